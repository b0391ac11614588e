/* SPDX-License-Identifier: Apache-2.0 */
/* glob.c — glob.match: * within delimiters, ** across them, ? for one, [abc] [!a-z], {a,b*}.
 *
 * A pattern is compiled to a small graph (one node per element, two ways out of a choice), and a
 * text is matched by following all ways at once: time is text times pattern, whatever the pattern.
 */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/glob.h"
#include <stdlib.h>

enum op {
    RUNE,
    ANY_ONE /* no delimiter */,
    ANY_MANY /* likewise, any number */,
    ALL_MANY,
    LIST,
    RANGE,
    SPLIT,
    JUMP,
    MATCH
};
struct node { u8 op; bool not; u32 a, b; }; /* rune | range | places in `chars` | targets */
struct glob {
    struct node *nodes;
    u32 count;
    u32 *chars;
    u32 chars_count;
    u32 *delimiters;
    u32 delimiter_count;
};
enum { NODES_MAX = 65536, NEST_MAX = 256 };

static void drop(void *thing) {
    struct glob *g = thing;
    free(g->nodes), free(g->chars), free(g->delimiters), free(g);
}

/* ---- Compiling ---- */

struct open_choice { u32 split, jumps; }; /* of the last branch; chain of JUMPs through `a` */
struct compiler {
    struct glob *g;
    str rest;
    const char *why;       /* the reference's words */
    char words[96];
    bool no_memory;
    struct open_choice open[NEST_MAX];
    u32 depth;
};

static bool put(struct compiler *k, enum op op, bool not, u32 a, u32 b) {
    struct glob *g = k->g;
    if (g->count >= NODES_MAX) return k->no_memory = true, false;
    if ((g->count & (g->count - 1)) == 0) {
        struct node *nodes = realloc(g->nodes, MAX(2 * g->count, 16u) * sizeof(*nodes));
        if (!nodes) return k->no_memory = true, false;
        g->nodes = nodes;
    }
    g->nodes[g->count++] = (struct node){(u8)op, not, a, b};
    return true;
}
static bool fail(struct compiler *k, const char *why) { return k->why = why, false; }

static bool next(struct compiler *k, u32 *rune) {
    u32 width;
    if (k->rest.len == 0) return false;
    *rune = rune_decode(k->rest, 0, &width);
    k->rest = str_skip(k->rest, width);
    return true;
}

/* The characters up to ], escapes taken off. */
static bool list(struct compiler *k, bool not) {
    struct glob *g = k->g;
    u32 from = g->chars_count, rune;
    for (;;) {
        if (k->rest.len && k->rest.ptr[0] == ']') break;
        if (!next(k, &rune)) return fail(k, "unexpected end of input");
        if (rune == '\\' && !next(k, &rune)) return fail(k, "unexpected end of input");
        if ((g->chars_count & (g->chars_count - 1)) == 0) {
            u32 *chars = realloc(g->chars, MAX(2 * g->chars_count, 16u) * sizeof(u32));
            if (!chars) return k->no_memory = true, false;
            g->chars = chars;
        }
        g->chars[g->chars_count++] = rune;
    }
    k->rest = str_skip(k->rest, 1);
    if (g->chars_count == from) return fail(k, "could not parse range");
    return put(k, LIST, not, from, g->chars_count);
}

/* Behind [: a range of two, or a list. */
static bool class(struct compiler *k) {
    u32 low, high;
    bool not = str_starts(k->rest, S("!"));
    if (not) k->rest = str_skip(k->rest, 1);
    str start = k->rest;
    if (!next(k, &low)) return fail(k, "unexpected end of input");
    if (!str_starts(k->rest, S("-"))) {
        k->rest = start;
        return list(k, not);
    }
    k->rest = str_skip(k->rest, 1);
    if (!next(k, &high) || k->rest.len == 0) return fail(k, "unexpected end of input");
    if (k->rest.ptr[0] != ']') return fail(k, "expected close range character");
    k->rest = str_skip(k->rest, 1);
    if (high < low) {
        struct buf text;
        buf_open(&text, sizeof(k->words) - 1);
        (void)buf_add(&text, S("hi character '"));
        buf_add_rune(&text, high);
        (void)buf_add(&text, S("' should be greater than lo '"));
        buf_add_rune(&text, low);
        (void)buf_add_byte(&text, '\'');
        memcpy(k->words, text.ptr, text.len);
        k->words[text.len] = 0;
        buf_close(&text);
        return fail(k, k->words);
    }
    return put(k, RANGE, not, low, high);
}

/* {a,b,c}: SPLIT to a or on; a; JUMP to the end; SPLIT to b or on; ... */
static bool open_choice(struct compiler *k) {
    if (k->depth == NEST_MAX) return fail(k, "pattern nests too deeply");
    k->open[k->depth++] = (struct open_choice){k->g->count, UINT32_MAX};
    return put(k, SPLIT, false, k->g->count + 1, 0);
}
static bool next_choice(struct compiler *k) {
    struct open_choice *o = &k->open[k->depth - 1];
    u32 jump = k->g->count;
    if (!put(k, JUMP, false, o->jumps, 0)) return false;
    o->jumps = jump;
    k->g->nodes[o->split].b = k->g->count;
    o->split = k->g->count;
    return put(k, SPLIT, false, k->g->count + 1, 0);
}
static bool close_choice(struct compiler *k) {
    struct open_choice *o = &k->open[--k->depth];
    struct node *nodes = k->g->nodes;
    nodes[o->split].b = nodes[o->split].a; /* the last branch: no other way */
    for (u32 at = o->jumps, before; at != UINT32_MAX; at = before) {
        before = nodes[at].a;
        nodes[at].a = k->g->count;
    }
    return true;
}

static bool compile(struct compiler *k) {
    u32 rune;
    while (next(k, &rune)) {
        bool good;
        if (rune == '\\') {
            if (!next(k, &rune)) break; /* a backslash at the end stands for nothing */
            good = put(k, RUNE, false, rune, 0);
        } else if (rune == '*') {
            bool many = str_starts(k->rest, S("*"));
            if (many) k->rest = str_skip(k->rest, 1);
            good = put(k, many ? ALL_MANY : ANY_MANY, false, 0, 0);
        } else if (rune == '?') good = put(k, ANY_ONE, false, 0, 0);
        else if (rune == '[') good = class(k);
        else if (rune == '{') good = open_choice(k);
        else if (rune == ',' && k->depth) good = next_choice(k);
        else if (rune == '}' && k->depth) good = close_choice(k);
        else good = put(k, RUNE, false, rune, 0);
        if (!good) return false;
    }
    while (k->depth) close_choice(k); /* an open brace is closed by the end */
    return put(k, MATCH, false, 0, 0);
}

/* ---- Matching ---- */

static bool among(const u32 *runes, u32 from, u32 to, u32 rune) {
    for (u32 i = from; i < to; i++)
        if (runes[i] == rune) return true;
    return false;
}
static bool takes(const struct glob *g, const struct node *n, u32 rune) {
    switch ((enum op)n->op) {
    case RUNE: return n->a == rune;
    case ANY_ONE: case ANY_MANY: return !among(g->delimiters, 0, g->delimiter_count, rune);
    case ALL_MANY: return true;
    case LIST: return among(g->chars, n->a, n->b, rune) != n->not;
    case RANGE: return (rune >= n->a && rune <= n->b) != n->not;
    default: return false;
    }
}

struct places { u32 *at, count; u32 *marks, mark; u32 *stack; };

/* `from` and where one gets from there without a rune. */
static void reach(const struct glob *g, struct places *p, u32 from) {
    u32 depth = 0;
    p->stack[depth++] = from;
    while (depth) {
        u32 i = p->stack[--depth];
        if (p->marks[i] == p->mark) continue;
        p->marks[i] = p->mark;
        p->at[p->count++] = i;
        const struct node *n = &g->nodes[i];
        if (n->op == SPLIT) p->stack[depth++] = n->b, p->stack[depth++] = n->a;
        else if (n->op == JUMP) p->stack[depth++] = n->a;
        else if (n->op == ANY_MANY || n->op == ALL_MANY) p->stack[depth++] = i + 1;
    }
}

static value match(struct builtin_call *c, const struct glob *g, str text) {
    u32 *room = heap_alloc(c->heap, (5 * (size_t)g->count + 4) * sizeof(u32)), width;
    if (!room) return UNDEFINED;
    struct places now = {.at = room}, then;
    u32 *other = room + g->count;
    now.marks = room + 2 * g->count;
    now.stack = room + 3 * g->count;
    memset(now.marks, 0, g->count * sizeof(u32));
    now.mark = 1;
    reach(g, &now, 0);
    for (size_t at = 0; at < text.len && now.count; at += width) {
        u32 rune = rune_decode(text, at, &width);
        if (!builtin_tick(c, 1 + now.count / 4)) return UNDEFINED;
        then = now;
        then.at = other, then.count = 0, then.mark++;
        for (u32 i = 0; i < now.count; i++) {
            const struct node *n = &g->nodes[now.at[i]];
            if (takes(g, n, rune))
                reach(g, &then, now.at[i] + (n->op != ANY_MANY && n->op != ALL_MANY));
        }
        other = now.at;
        now = then;
    }
    for (u32 i = 0; i < now.count; i++)
        if (g->nodes[now.at[i]].op == MATCH) return value_boolean(true);
    return value_boolean(false);
}

/* ---- The functions ---- */

static const char cache_owner;
struct making { str pattern; value delimiters; const char *why; char words[96]; bool made; };

static void *make(void *arg, str key) {
    struct making *m = arg;
    struct compiler *k = calloc(1, sizeof(*k));
    (void)key;
    if (!k || !(k->g = calloc(1, sizeof(*k->g)))) {
        free(k);
        return NULL;
    }
    struct glob *g = k->g;
    u32 count = value_count(m->delimiters), width;
    k->rest = m->pattern;
    g->delimiters = calloc(MAX(count, 1u), sizeof(u32));
    for (u32 i = 0; g->delimiters && i < count; i++)
        g->delimiters[g->delimiter_count++] =
            rune_decode(value_str(value_item(m->delimiters, i)), 0, &width);
    if (m->delimiters.kind == VALUE_ARRAY && count == 0 && g->delimiters)
        g->delimiters[g->delimiter_count++] = '.';
    bool good = g->delimiters && compile(k);
    if (!good) {
        if (k->why)
            memcpy(m->words, k->why == k->words ? k->words : k->why,
                   MIN(strlen(k->why) + 1, sizeof(m->words)));
        m->why = k->why ? m->words : NULL;
        m->words[sizeof(m->words) - 1] = 0;
        drop(g);
        g = NULL;
    }
    free(k);
    m->made = g != NULL;
    return g;
}

static bool take_delimiters(struct builtin_call *c, value v) {
    if (v.kind == VALUE_NULL) return true;
    if (v.kind != VALUE_ARRAY) {
        builtin_fail_operand(c, 2, "{array, null}", v);
        return false;
    }
    for (u32 i = 0; i < value_count(v); i++) {
        value item = value_item(v, i);
        bool one = item.kind == VALUE_STRING && rune_count(value_str(item)) == 1;
        if (one) continue;
        builtin_fail_element(c, 2, v, item.kind == VALUE_STRING ? "rune" : "string", item);
        return false;
    }
    return true;
}

/* Patterns are kept by delimiters and pattern, with a byte between them that no delimiter holds. */
static str key_of(struct builtin_call *c, value delimiters, str pattern, bool *good) {
    size_t len = pattern.len + 1, at = 0;
    for (u32 i = 0; i < value_count(delimiters); i++)
        len += value_str(value_item(delimiters, i)).len;
    char *key = heap_alloc(c->heap, len);
    *good = key != NULL;
    if (!key) return S("");
    for (u32 i = 0; i < value_count(delimiters); i++) {
        str one = value_str(value_item(delimiters, i));
        memcpy(key + at, one.ptr, one.len);
        at += one.len;
    }
    key[at++] = delimiters.kind == VALUE_NULL ? (char)0xFE : (char)0xFF;
    if (pattern.len) memcpy(key + at, pattern.ptr, pattern.len);
    return str_of(key, len);
}

value builtin_glob_match(struct builtin_call *c, const value *args) {
    str pattern, text;
    struct making m = {.delimiters = args[1]};
    if (!builtin_take_string(c, args, 0, &pattern) || !take_delimiters(c, args[1]) ||
        !builtin_take_string(c, args, 2, &text))
        return UNDEFINED;
    if (!builtin_tick(c, 4 + (u32)(pattern.len / 8))) return UNDEFINED;
    m.pattern = pattern;
    bool good = true;
    str key = key_of(c, args[1], pattern, &good);
    struct glob *g =
        good ? evaluation_cached(c->evaluation, &cache_owner, key, make, drop, &m) : NULL;
    if (!g) return m.why ? builtin_fail(c, "%s", m.why) : builtin_fail_memory(c);
    /* Kept until after the query: it counts against the query's memory. */
    if (m.made && !heap_alloc(c->heap, g->count * sizeof(*g->nodes))) return UNDEFINED;
    return match(c, g, text);
}

value builtin_glob_quote_meta(struct builtin_call *c, const value *args) {
    str s;
    struct buf text;
    if (!builtin_take_string(c, args, 0, &s) || !builtin_tick(c, (u32)(s.len / 32)))
        return UNDEFINED;
    builtin_text_open(c, &text);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] && strchr("*?\\[]{}", s.ptr[i])) (void)buf_add_byte(&text, '\\');
        (void)buf_add_byte(&text, s.ptr[i]);
    }
    return builtin_text_close(c, &text);
}

rc_t glob_matches(struct heap *h, str pattern, str text, bool *out, struct diag *why) {
    struct making m = {.pattern = pattern, .delimiters = value_null()};
    struct builtin_call c = {.heap = h};
    struct glob *g = make(&m, pattern);
    if (!g) {
        diag_set(why, "%s", m.why ? m.why : "out of memory");
        return m.why ? RC_INVALID : RC_NO_MEMORY;
    }
    value hit = match(&c, g, text);
    drop(g);
    *out = value_is_true(hit);
    return value_defined(hit) ? RC_OK : RC_NO_MEMORY;
}
