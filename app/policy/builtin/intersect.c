/* SPDX-License-Identifier: Apache-2.0 */
/* intersect.c — regex.globs_match: is there a text that two simple patterns both match?
 *
 * Patterns are characters, dots and sets, each perhaps with * or +. The reference's algorithm walks
 * both at once and tries again at stars; we take the same decisions, with each try counted. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

enum kind { CHARACTER, DOT, SET };
enum flag { NONE, PLUS, STAR };
struct token { enum kind kind; enum flag flag; u32 rune; struct range *set; u32 count; };
struct glob { struct token *at; u32 count; };

/* ---- Reading ---- */

struct reader { struct builtin_call *call; str text; u32 *runes; u32 count; };

static bool bad(struct reader *r, u32 at, const char *what) {
    builtin_fail(r->call, "input:%.*s, pos:%u, %s: the input provided is invalid",
                 STR(str_take(r->text, 300)), at, what);
    return false;
}
/* The next rune; *escaped: it stood behind a backslash. */
static bool next(struct reader *r, u32 *at, u32 *rune, bool *escaped) {
    *escaped = r->runes[*at] == '\\';
    if (*escaped && *at + 1 == r->count)
        return bad(r, *at, "input ends with a \\ (escape) character");
    *rune = r->runes[*at + *escaped];
    *at += 1 + *escaped;
    return true;
}

static bool read_set(struct reader *r, u32 *at, struct token *t) {
    struct ranges set = {0};
    u32 rune, last = 0;
    bool escaped, has_last = false, good = true, done = false;
    while (good && !done && *at < r->count) {
        if (!(good = next(r, at, &rune, &escaped))) break;
        if (!escaped && rune == ']') done = true;
        else if (!escaped && rune == '-') {
            if (!has_last)
                good = bad(r, *at, "range character '-' must be preceded by a Unicode character");
            else if (*at + 1 >= r->count)
                good = bad(r, *at, "range character '-' must be followed by a Unicode character");
            else if ((good = next(r, at, &rune, &escaped))) {
                if (!escaped && (rune == ']' || rune == '-'))
                    good =
                        bad(r, *at, "range character '-' cannot be followed by a special symbol");
                else if (rune >= last) good = ranges_add(&set, last, rune);
                has_last = false;
            }
        } else {
            good = ranges_add(&set, rune, rune);
            last = rune, has_last = true;
        }
    }
    if (good && !done) good = bad(r, *at, "found [ without matching ]");
    ranges_clean(&set, 0);
    *t = (struct token){.kind = SET, .count = set.count};
    if (good && set.count) {
        t->set = heap_alloc(r->call->heap, set.count * sizeof(*t->set));
        good = t->set != NULL;
        if (good) memcpy(t->set, set.at, set.count * sizeof(*t->set));
    }
    free(set.at);
    return good;
}

static bool read_token(struct reader *r, u32 *at, struct token *t) {
    u32 rune;
    bool escaped;
    if (!next(r, at, &rune, &escaped)) return false;
    *t = (struct token){.kind = CHARACTER, .rune = rune};
    if (!escaped && rune == '.') t->kind = DOT;
    else if (!escaped && rune == ']') return bad(r, *at, "set-close ']' with no preceding '['");
    else if (!escaped && rune == '[') {
        if (!read_set(r, at, t)) return false;
    } else if (!escaped && (rune == '+' || rune == '*'))
        return bad(r, *at,
                   rune == '+' ? "flag '+' must be preceded by a non-flag"
                               : "flag '*' must be preceded by a non-flag");
    if (*at == r->count) return true;
    if (r->runes[*at] == '+') t->flag = PLUS, ++*at;
    else if (r->runes[*at] == '*') t->flag = STAR, ++*at;
    return true;
}

static bool same(const struct token *a, const struct token *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == CHARACTER) return a->rune == b->rune;
    return a->kind == DOT ||
           (a->count == b->count &&
            (!a->count || memcmp(a->set, b->set, a->count * sizeof(*a->set)) == 0));
}

/* x*x+ and the like are one. */
static void simplify(struct glob *g) {
    u32 n = 0;
    for (u32 i = 0; i < g->count; i++) {
        struct token *last = n ? &g->at[n - 1] : NULL;
        if (last && last->flag && g->at[i].flag && same(last, &g->at[i])) {
            if (g->at[i].flag == PLUS) last->flag = PLUS;
        } else g->at[n++] = g->at[i];
    }
    g->count = n;
}

static bool read_glob(struct builtin_call *c, str text, struct glob *g) {
    struct reader r = {.call = c, .text = text};
    u32 width, at = 0;
    if (!builtin_tick(c, 1 + (u32)MIN(text.len, (size_t)UINT32_MAX / 2))) return false;
    r.runes = heap_alloc(c->heap, (text.len + 1) * sizeof(u32));
    g->at = heap_alloc(c->heap, (text.len + 1) * sizeof(*g->at));
    g->count = 0;
    if (!r.runes || !g->at) return false;
    for (size_t i = 0; i < text.len; i += width) r.runes[r.count++] = rune_decode(text, i, &width);
    while (at < r.count)
        if (!read_token(&r, &at, &g->at[g->count++])) return false;
    simplify(g);
    return true;
}

/* ---- Meeting ---- */

static bool set_has(const struct token *t, u32 rune) {
    for (u32 i = 0; i < t->count; i++)
        if (rune >= t->set[i].low && rune <= t->set[i].high) return true;
    return false;
}
static bool meet(const struct token *a, const struct token *b) {
    if (a->kind == DOT || b->kind == DOT) return true;
    if (a->kind == CHARACTER && b->kind == CHARACTER) return a->rune == b->rune;
    if (a->kind == CHARACTER) return set_has(b, a->rune);
    if (b->kind == CHARACTER) return set_has(a, b->rune);
    for (u32 i = 0, k = 0; i < a->count && k < b->count;) {
        if (a->set[i].high < b->set[k].low) i++;
        else if (b->set[k].high < a->set[i].low) k++;
        else return true;
    }
    return false;
}

static bool intersect(struct builtin_call *c, struct glob a, struct glob b, u32 depth);
static struct glob tail(struct glob g, u32 n) { return (struct glob){g.at + n, g.count - n}; }

/* `star` begins with a repeated token that may also take nothing. */
static bool with_star(struct builtin_call *c, struct glob star, struct glob other, u32 depth) {
    const struct token *after = star.count > 1 ? &star.at[1] : NULL;
    for (u32 i = 0; i < other.count; i++) {
        if (!builtin_tick(c, 1)) return false;
        if (after && meet(&other.at[i], after) &&
            intersect(c, tail(star, 1), tail(other, i), depth + 1))
            return true;
        if (!meet(&other.at[i], &star.at[0])) return false;
    }
    return !after;
}

static bool intersect(struct builtin_call *c, struct glob a, struct glob b, u32 depth) {
    u32 i = 0;
    if (depth > VALUE_DEPTH_MAX) {
        builtin_fail(c, "globs nest too deeply");
        return false;
    }
    for (; i < a.count && i < b.count; i++) {
        if (!builtin_tick(c, 1)) return false;
        if (a.at[i].flag != NONE || b.at[i].flag != NONE) break;
        if (!meet(&a.at[i], &b.at[i])) return false;
    }
    if (i == a.count || i == b.count) return a.count == b.count && i == a.count;
    a = tail(a, i), b = tail(b, i);
    if (a.at[0].flag == NONE) {
        struct glob swap = a;
        a = b, b = swap;
    }
    if (a.at[0].flag == STAR) return with_star(c, a, b, depth);
    if (!meet(&a.at[0], &b.at[0])) return false;
    if (with_star(c, a, tail(b, 1), depth)) return true;
    return b.at[0].flag != NONE && intersect(c, tail(a, 1), b, depth + 1);
}

/* What is plain at both ends must meet; one token of it stays, as the reference has it. */
static bool trim(struct glob *a, struct glob *b) {
    u32 left = 0, x = a->count, y = b->count;
    while (left < a->count && left < b->count && !a->at[left].flag && !b->at[left].flag) {
        if (!meet(&a->at[left], &b->at[left])) return false;
        left++;
    }
    if (left) left--;
    while (x > left && y > left && !a->at[x - 1].flag && !b->at[y - 1].flag) {
        if (!meet(&a->at[x - 1], &b->at[y - 1])) return false;
        x--, y--;
    }
    if (x < a->count) x++, y++;
    *a = (struct glob){a->at + left, x - left};
    *b = (struct glob){b->at + left, y - left};
    return true;
}

value builtin_regex_globs_match(struct builtin_call *c, const value *args) {
    str left, right;
    struct glob a, b;
    if (!builtin_take_string(c, args, 0, &left) || !builtin_take_string(c, args, 1, &right))
        return UNDEFINED;
    if (!read_glob(c, left, &a) || !read_glob(c, right, &b)) return UNDEFINED;
    bool match = trim(&a, &b) && intersect(c, a, b, 0);
    return c->failed ? UNDEFINED : value_boolean(match);
}
