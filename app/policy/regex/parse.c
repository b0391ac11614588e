/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c — a pattern straight into a program, with one frame per open group instead of a tree.
 *
 *   ( branch | branch | ... atom )        a frame: where the group, its branch and its last atom
 * start
 *
 * Parts of a program are contiguous and move freely (regex_impl.h), so that an operator behind an
 * atom is put around it in place: a* inserts before the atom and appends after it. What is refused,
 * and in what words, follows the reference. */
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

struct part { /* what is known of a piece of program */
    u32 at;       /* its first instruction */
    bool exists, nullable; /* may match nothing */
    u32 repeat;   /* the largest product of counts within */
    u32 height;
};
struct frame {
    u32 at;                 /* the group's first instruction */
    s32 group;              /* capturing: its number; else -1 */
    u8 flags;               /* to be restored at its end */
    struct part branch, atom;
    u32 parts;              /* atoms of the branch */
    bool split, any_nullable; /* had a | */
    s32 chain;              /* the last JUMP to the end; y: distance to the one before */
    u32 repeat, height;     /* of the branches that are done */
};
enum { FOLD = 1, MULTI = 2, DOT_ALL = 4, UNGREEDY = 8 };

struct parser {
    struct regex *r;
    str pattern, rest;
    struct frame *frames;
    u32 depth, room;
    u8 flags;
    u32 names_room;
    str after_repeat;       /* the text from the operator on that came last; none: ptr is NULL */
    struct ranges set;      /* the class being read */
    s32 single[128];        /* classes of single ASCII runes, made once: index + 1 */
    struct buf *why;
    rc_t rc;
};

/* ---- Failing ---- */

static bool bad(struct parser *p, const char *what, str where) {
    if (p->rc != RC_OK) return false;
    p->rc = RC_INVALID;
    (void)buf_printf(p->why, "error parsing regexp: %s: `", what);
    (void)buf_add(p->why, where);
    (void)buf_add_byte(p->why, '`');
    return false;
}
static bool no_memory(struct parser *p) {
    if (p->rc == RC_OK) p->rc = RC_NO_MEMORY;
    return false;
}
static bool too_large(struct parser *p) { return bad(p, "expression too large", p->pattern); }
static str until(str from, str rest) { return str_take(from, from.len - rest.len); }

/* ---- Program ---- */

static bool reserve(struct parser *p, u32 more) {
    struct regex *r = p->r;
    if (r->count + more > REGEX_INSTS_MAX) return too_large(p);
    if (r->count + more <= r->room) return true;
    u32 room = MAX(r->count + more, 2 * r->room);
    struct inst *at = realloc(r->insts, room * sizeof(*at));
    if (!at) return no_memory(p);
    r->insts = at, r->room = room;
    return true;
}
static bool emit(struct parser *p, enum regex_op op, s32 x, s32 y) {
    if (!reserve(p, 1)) return false;
    p->r->insts[p->r->count++] = (struct inst){(s32)op, x, y};
    return true;
}
static bool insert(struct parser *p, u32 at, enum regex_op op, s32 x, s32 y) {
    struct regex *r = p->r;
    if (!reserve(p, 1)) return false;
    memmove(r->insts + at + 1, r->insts + at, (r->count - at) * sizeof(*r->insts));
    r->insts[at] = (struct inst){(s32)op, x, y};
    r->count++;
    return true;
}

static struct frame *top(struct parser *p) { return &p->frames[p->depth - 1]; }

/* The last atom becomes part of its branch; a new one starts here. */
static void settle(struct parser *p) {
    struct frame *f = top(p);
    if (!f->atom.exists) return;
    f->branch.nullable = f->branch.nullable && f->atom.nullable;
    f->branch.repeat = MAX(f->branch.repeat, f->atom.repeat);
    f->branch.height = MAX(f->branch.height, f->atom.height);
    f->parts++;
    f->atom.exists = false;
}
static bool add_atom(struct parser *p, struct part atom) {
    atom.exists = true;
    if (atom.height > REGEX_DEPTH_MAX) return bad(p, "expression nests too deeply", p->pattern);
    top(p)->atom = atom;
    return true;
}
static bool start_atom(struct parser *p, u32 *at) {
    settle(p);
    *at = p->r->count;
    return true;
}
static struct part simple(u32 at, bool nullable) {
    return (struct part){.at = at, .nullable = nullable, .repeat = 1, .height = 1};
}

/* ---- Atoms ---- */

static bool add_class(struct parser *p, const struct range *at, u32 count, s32 *index) {
    struct regex *r = p->r;
    if (r->class_count == r->class_room) {
        u32 room = r->class_room ? 2 * r->class_room : 16;
        struct class *c = realloc(r->classes, room * sizeof(*c));
        if (!c) return no_memory(p);
        r->classes = c, r->class_room = room;
    }
    struct class c = {r->ranges.count, count};
    for (u32 i = 0; i < count; i++)
        if (!ranges_add(&r->ranges, at[i].low, at[i].high)) return too_large(p);
    r->classes[r->class_count] = c;
    *index = (s32)r->class_count++;
    return true;
}

static bool put_class(struct parser *p) { /* the set that was read */
    u32 at;
    s32 index;
    ranges_clean(&p->set, 0);
    if (!start_atom(p, &at)) return false;
    if (p->set.count == 0) return emit(p, OP_FAIL, 0, 0) && add_atom(p, simple(at, false));
    return add_class(p, p->set.at, p->set.count, &index) && emit(p, OP_CLASS, index, 0) &&
           add_atom(p, simple(at, false));
}

static bool literal(struct parser *p, u32 rune) {
    u32 at;
    s32 index;
    bool plain = rune < 128 && !(p->flags & FOLD);
    if (plain && p->single[rune]) index = p->single[rune] - 1;
    else {
        p->set.count = 0;
        bool good = p->flags & FOLD ? ranges_add_folded(&p->set, rune, rune)
                                    : ranges_add(&p->set, rune, rune);
        if (!good) return no_memory(p);
        ranges_clean(&p->set, 0);
        if (!add_class(p, p->set.at, p->set.count, &index)) return false;
        if (plain) p->single[rune] = index + 1;
    }
    return start_atom(p, &at) && emit(p, OP_CLASS, index, 0) && add_atom(p, simple(at, false));
}

static bool assertion(struct parser *p, enum regex_assert what) {
    u32 at;
    p->r->asserts = true;
    return start_atom(p, &at) && emit(p, OP_ASSERT, (s32)what, 0) && add_atom(p, simple(at, true));
}

/* ---- Runes and escapes ---- */

static bool next_rune(struct parser *p, str *s, u32 *rune) {
    u32 width;
    if (s->len == 0) {
        *rune = 0xFFFD;
        return true;
    }
    *rune = regex_rune(*s, 0, &width);
    if (*rune == 0xFFFD && width == 1) return bad(p, "invalid UTF-8", *s);
    *s = str_skip(*s, width);
    return true;
}
static bool check_utf8(struct parser *p, str s) {
    u32 rune;
    while (s.len)
        if (!next_rune(p, &s, &rune)) return false;
    return true;
}
static int hex_of(u32 c) {
    if (c >= '0' && c <= '9') return (int)c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

/* After \x. -1: not one. */
static s64 hex_escape(struct parser *p, str *t) {
    u32 c;
    if (t->len == 0 || !next_rune(p, t, &c)) return -1;
    if (c != '{') {
        int high = hex_of(c), low;
        if (!next_rune(p, t, &c)) return -1;
        low = hex_of(c);
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
    s64 rune = 0;
    for (u32 n = 0;; n++) {
        if (t->len == 0 || !next_rune(p, t, &c)) return -1;
        if (c == '}') return n ? rune : -1;
        if (hex_of(c) < 0) return -1;
        rune = rune * 16 + hex_of(c);
        if (rune > 0x10FFFF) return -1;
    }
}

/* A backslash and what follows, as one rune. */
static bool escape(struct parser *p, str *s, u32 *rune) {
    str whole = *s, t = str_skip(*s, 1);
    u32 c;
    s64 value = -1;
    static const char letters[] = "afnrtv", runes[] = "\a\f\n\r\t\v";
    if (t.len == 0) return bad(p, "trailing backslash at end of expression", S(""));
    if (!next_rune(p, &t, &c)) return false;
    bool word = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    const char *letter = c < 128 && c ? strchr(letters, (int)c) : NULL;
    bool octal = t.len && t.ptr[0] >= '0' && t.ptr[0] <= '7';
    if (c < 128 && !word) value = c;
    else if (letter) value = (u8)runes[letter - letters];
    else if (c == '0' || (c >= '1' && c <= '7' && octal)) {
        value = c - '0';
        for (u32 i = 1; i < 3 && t.len && t.ptr[0] >= '0' && t.ptr[0] <= '7'; i++) {
            value = value * 8 + (t.ptr[0] - '0');
            t = str_skip(t, 1);
        }
    } else if (c == 'x') value = hex_escape(p, &t);
    if (p->rc != RC_OK) return false;
    if (value < 0) return bad(p, "invalid escape sequence", until(whole, t));
    *rune = (u32)value;
    *s = t;
    return true;
}

/* ---- Classes ---- */

/* \d and the like into the set; *was: there was one. */
static bool perl_class(struct parser *p, str *s, bool *was) {
    u32 count = 0;
    *was = false;
    if (s->len < 2 || s->ptr[0] != '\\') return true;
    const struct range *at = ranges_perl((char)(s->ptr[1] | 32), &count);
    if (!at) return true;
    bool negate = !(s->ptr[1] & 32), good = true;
    *was = true;
    *s = str_skip(*s, 2);
    if (!(p->flags & FOLD)) return ranges_add_all(&p->set, at, count, negate) || no_memory(p);
    struct ranges own = {0};
    for (u32 i = 0; i < count && good; i++) good = ranges_add_folded(&own, at[i].low, at[i].high);
    good = good && ranges_clean(&own, 0) && ranges_add_all(&p->set, own.at, own.count, negate);
    free(own.at);
    return good || no_memory(p);
}

/* \p{Greek}, \pL, \P{^Lu} */
static bool unicode_class(struct parser *p, str *s, bool *was) {
    u32 c;
    *was = false;
    if (s->len < 2 || s->ptr[0] != '\\' || (s->ptr[1] != 'p' && s->ptr[1] != 'P')) return true;
    bool negate = s->ptr[1] == 'P', known;
    str t = str_skip(*s, 2), whole, name;
    if (!next_rune(p, &t, &c)) return false;
    if (c != '{') {
        whole = until(*s, t);
        name = str_skip(whole, 2);
    } else {
        size_t end = str_find_byte(*s, '}');
        if (end == s->len) return check_utf8(p, *s) && bad(p, "invalid character class range", *s);
        whole = str_take(*s, end + 1);
        t = str_skip(*s, end + 1);
        name = str_of(s->ptr + 3, end - 3);
        if (!check_utf8(p, name)) return false;
    }
    if (str_starts(name, S("^"))) negate = !negate, name = str_skip(name, 1);
    *was = true;
    *s = t;
    if (!ranges_add_named(&p->set, name, negate, p->flags & FOLD, &known)) return no_memory(p);
    return known || bad(p, "invalid character class range", whole);
}

/* [:alpha:] within a class */
static bool posix_class(struct parser *p, str *s, bool *was) {
    u32 count = 0;
    bool negate, good = true;
    *was = false;
    if (s->len < 3 || !str_starts(*s, S("[:"))) return true;
    size_t end = str_find(str_skip(*s, 2), S(":]"));
    if (end == s->len - 2) return true;
    str name = str_take(*s, end + 4);
    const struct range *at = ranges_posix(name, &count, &negate);
    if (!at) return bad(p, "invalid character class range", name);
    *was = true;
    *s = str_skip(*s, name.len);
    struct ranges own = {0};
    for (u32 i = 0; i < count && good; i++)
        good = p->flags & FOLD ? ranges_add_folded(&own, at[i].low, at[i].high)
                               : ranges_add(&own, at[i].low, at[i].high);
    good = good && ranges_clean(&own, 0) && ranges_add_all(&p->set, own.at, own.count, negate);
    free(own.at);
    return good || no_memory(p);
}

static bool class_rune(struct parser *p, str *s, str whole, u32 *rune) {
    if (s->len == 0) return bad(p, "missing closing ]", whole);
    return s->ptr[0] == '\\' ? escape(p, s, rune) : next_rune(p, s, rune);
}

static bool class_range(struct parser *p, str *t, str whole) {
    str start = *t;
    u32 low, high;
    if (!class_rune(p, t, whole, &low)) return false;
    high = low;
    if (t->len >= 2 && t->ptr[0] == '-' && t->ptr[1] != ']') {
        *t = str_skip(*t, 1);
        if (!class_rune(p, t, whole, &high)) return false;
        if (high < low) return bad(p, "invalid character class range", until(start, *t));
    }
    bool good =
        p->flags & FOLD ? ranges_add_folded(&p->set, low, high) : ranges_add(&p->set, low, high);
    return good || no_memory(p);
}

static bool class(struct parser *p) {
    str whole = p->rest, t = str_skip(p->rest, 1);
    bool negate = str_starts(t, S("^")), first = true, was;
    if (negate) t = str_skip(t, 1);
    p->set.count = 0;
    while (t.len == 0 || t.ptr[0] != ']' || first) {
        first = false;
        if (!posix_class(p, &t, &was)) return false;
        if (!was && !unicode_class(p, &t, &was)) return false;
        if (!was && !perl_class(p, &t, &was)) return false;
        if (!was && !class_range(p, &t, whole)) return false;
        if (p->set.count > 4096) ranges_clean(&p->set, 0);
    }
    p->rest = str_skip(t, 1);
    ranges_clean(&p->set, 0);
    if (negate && !ranges_negate(&p->set, 0)) return no_memory(p);
    return put_class(p);
}

/* ---- Repeating ---- */

static bool copy_atom(struct parser *p, u32 at, u32 n) {
    if (!reserve(p, n)) return false;
    memcpy(p->r->insts + p->r->count, p->r->insts + at, n * sizeof(*p->r->insts));
    p->r->count += n;
    return true;
}
/* Around what lies from `at` to the end. SPLIT takes first what greed wants. */
static bool make_quest(struct parser *p, u32 at, bool lazy) {
    s32 n = (s32)(p->r->count - at) + 1;
    return lazy ? insert(p, at, OP_SPLIT, n, 1) : insert(p, at, OP_SPLIT, 1, n);
}
static bool make_plus(struct parser *p, u32 at, bool lazy) {
    s32 back = -(s32)(p->r->count - at);
    return lazy ? emit(p, OP_SPLIT, 1, back) : emit(p, OP_SPLIT, back, 1);
}
/* Of what may be empty: (x+)?, which keeps the order of preference right. */
static bool make_star(struct parser *p, u32 at, bool lazy, bool nullable) {
    if (nullable) return make_plus(p, at, lazy) && make_quest(p, at, lazy);
    s32 n = (s32)(p->r->count - at);
    bool good = lazy ? insert(p, at, OP_SPLIT, n + 2, 1) : insert(p, at, OP_SPLIT, 1, n + 2);
    return good && emit(p, OP_JUMP, -(n + 1), 0);
}

/* x{2,4}: x x (x x?)?   x{2,}: x x+   x{0}: nothing */
static bool make_count(struct parser *p, u32 at, s32 min, s32 max, bool lazy, bool nullable) {
    u32 n = p->r->count - at;
    if (max == 0) {
        p->r->count = at;
        return emit(p, OP_JUMP, 1, 0);
    }
    if (max < 0 && min == 0) return make_star(p, at, lazy, nullable);
    if ((u64)n * (u64)MAX(min, max) > REGEX_INSTS_MAX) return too_large(p);
    for (s32 i = 1; i < min; i++)
        if (!copy_atom(p, at, n)) return false;
    if (max < 0) return make_plus(p, p->r->count - n, lazy);
    /* The optional ones: each SPLIT leads past all that follow. */
    s32 optional = max - MAX(min, 0);
    if (optional == 0) return true;
    u32 from = min > 0 ? p->r->count : at;
    u32 stride = n + 1, end = from + (u32)optional * stride;
    struct regex *r = p->r;
    if (!reserve(p, end - r->count)) return false;
    if (min == 0) memmove(r->insts + at + 1, r->insts + at, n * sizeof(*r->insts));
    u32 body = min > 0 ? at : at + 1;
    for (u32 i = 0; i < (u32)optional; i++) {
        u32 here = from + i * stride;
        s32 out = (s32)(end - here);
        r->insts[here] = (struct inst){OP_SPLIT, lazy ? out : 1, lazy ? 1 : out};
        if (here + 1 != body) memcpy(r->insts + here + 1, r->insts + body, n * sizeof(*r->insts));
    }
    r->count = end;
    return true;
}

/* "2,5}" after the brace. false: it is no count, so the brace stands for itself. -1: too large; in
 * max also: no end. */
static bool read_int(str *s, s32 *out) {
    size_t n = 0;
    if (s->len == 0 || s->ptr[0] < '0' || s->ptr[0] > '9') return false;
    if (s->len >= 2 && s->ptr[0] == '0' && s->ptr[1] >= '0' && s->ptr[1] <= '9') return false;
    *out = 0;
    for (; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
        *out = *out < 0 || *out >= 100000000 ? -1 : *out * 10 + (s->ptr[n] - '0');
    *s = str_skip(*s, n);
    return true;
}
static bool read_count(str *s, s32 *min, s32 *max) {
    str t = str_skip(*s, 1);
    if (!read_int(&t, min) || t.len == 0) return false;
    *max = *min;
    if (t.ptr[0] == ',') {
        t = str_skip(t, 1);
        if (t.len == 0) return false;
        if (t.ptr[0] == '}') *max = -1;
        else {
            if (!read_int(&t, max)) return false;
            if (*max < 0) *min = -1;
        }
    }
    if (t.len == 0 || t.ptr[0] != '}') return false;
    *s = str_skip(t, 1);
    return true;
}

static bool repeat(struct parser *p, char op) {
    str before = p->rest, after = str_skip(p->rest, 1);
    s32 min = op == '+', max = op == '?' ? 1 : -1;
    if (op == '{') {
        after = before;
        if (!read_count(&after, &min, &max)) {
            p->rest = str_skip(p->rest, 1);
            p->after_repeat = (str){0};
            return literal(p, '{');
        }
        if (min < 0 || min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX || (max >= 0 && min > max))
            return bad(p, "invalid repeat count", until(before, after));
    }
    bool lazy = p->flags & UNGREEDY;
    if (after.len && after.ptr[0] == '?') after = str_skip(after, 1), lazy = !lazy;
    if (p->after_repeat.ptr)
        return bad(p, "invalid nested repetition operator", until(p->after_repeat, after));
    struct part *atom = &top(p)->atom;
    if (!atom->exists)
        return bad(p, "missing argument to repetition operator", until(before, after));
    u32 at = atom->at;
    if (op == '{') {
        u32 times = (u32)(max < 0 ? min : max);
        u64 product = max == 0 ? 1 : (u64)MAX(times, 1u) * atom->repeat;
        if ((min >= 2 || max >= 2) && product > REGEX_REPEAT_MAX)
            return bad(p, "invalid repeat count", until(before, after));
        atom->repeat = (u32)MIN(product, (u64)REGEX_REPEAT_MAX + 1);
        if (!make_count(p, at, min, max, lazy, atom->nullable)) return false;
    } else if (op == '*' ? !make_star(p, at, lazy, atom->nullable)
                         : op == '+' ? !make_plus(p, at, lazy) : !make_quest(p, at, lazy))
        return false;
    atom = &top(p)->atom;
    atom->nullable = atom->nullable || min == 0;
    if (++atom->height > REGEX_DEPTH_MAX) return bad(p, "expression nests too deeply", p->pattern);
    p->after_repeat = before;
    p->rest = after;
    return true;
}

/* ---- Groups ---- */

static bool open_group(struct parser *p, s32 group, u8 flags_to_restore) {
    if (p->depth) settle(p);
    if (p->depth > REGEX_DEPTH_MAX) return bad(p, "expression nests too deeply", p->pattern);
    if (p->depth == p->room) {
        u32 room = p->room ? 2 * p->room : 8;
        struct frame *f = realloc(p->frames, room * sizeof(*f));
        if (!f) return no_memory(p);
        p->frames = f, p->room = room;
    }
    p->frames[p->depth++] =
        (struct frame){.at = p->r->count,
                       .group = group,
                       .flags = flags_to_restore,
                       .chain = -1,
                       .branch = {.at = p->r->count, .nullable = true, .repeat = 1}};
    return true;
}

/* The branch is whole. */
static void end_branch(struct parser *p) {
    struct frame *f = top(p);
    settle(p);
    f->any_nullable = f->any_nullable || f->branch.nullable;
    f->repeat = MAX(f->repeat, f->branch.repeat);
    f->height = MAX(f->height, f->branch.height + (f->parts > 1));
}

static bool vertical_bar(struct parser *p) {
    struct frame *f = top(p);
    end_branch(p);
    s32 n = (s32)(p->r->count - f->branch.at);
    if (!insert(p, f->branch.at, OP_SPLIT, 1, n + 2)) return false;
    f = top(p);
    s32 here = (s32)p->r->count;
    if (!emit(p, OP_JUMP, 0, f->chain < 0 ? 0 : here - f->chain)) return false;
    f->chain = here;
    f->split = true;
    f->parts = 0;
    f->branch = (struct part){.at = p->r->count, .nullable = true, .repeat = 1};
    return true;
}

/* Closes the frame; what it was is then an atom of the one around it, or all of the program. */
static bool end_group(struct parser *p, struct part *whole) {
    end_branch(p);
    struct frame f = *top(p);
    struct regex *r = p->r;
    for (s32 at = f.chain, step; at >= 0; at = step ? at - step : -1) {
        step = r->insts[at].y;
        r->insts[at].x = (s32)r->count - at;
        r->insts[at].y = 0;
    }
    *whole = (struct part){
        .at = f.at, .nullable = f.any_nullable, .repeat = f.repeat, .height = f.height + f.split};
    if (f.group >= 0) {
        if (!insert(p, f.at, OP_SAVE, 2 * f.group, 0) || !emit(p, OP_SAVE, 2 * f.group + 1, 0))
            return false;
        whole->height++;
    }
    p->depth--;
    p->flags = f.flags;
    return true;
}

static bool close_group(struct parser *p) {
    struct part whole;
    if (p->depth < 2) return bad(p, "unexpected )", p->pattern);
    if (!end_group(p, &whole)) return false;
    p->rest = str_skip(p->rest, 1);
    if (whole.at == p->r->count && !emit(p, OP_JUMP, 1, 0))
        return false; /* "()" is there, though empty */
    return add_atom(p, whole);
}

static bool name_group(struct parser *p, str name) {
    struct regex *r = p->r;
    if (r->groups >= p->names_room) {
        u32 room = p->names_room ? 2 * p->names_room : 8;
        str *names = realloc(r->names, room * sizeof(*names));
        if (!names) return no_memory(p);
        r->names = names, p->names_room = room;
    }
    /* Kept as a place in the pattern, which the regex copies. */
    r->names[r->groups++] =
        name.len ? str_of(r->pattern + (name.ptr - p->pattern.ptr), name.len) : S("");
    return true;
}

static bool is_name(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') && c != '_')
            return false;
    }
    return s.len > 0;
}

static bool named_group(struct parser *p, u32 skip) {
    size_t end = str_find_byte(p->rest, '>');
    if (end == p->rest.len)
        return check_utf8(p, p->rest) && bad(p, "invalid named capture", p->rest);
    str name = str_of(p->rest.ptr + skip, end - skip);
    if (!check_utf8(p, name)) return false;
    if (!is_name(name)) return bad(p, "invalid named capture", str_take(p->rest, end + 1));
    p->rest = str_skip(p->rest, end + 1);
    return name_group(p, name) && open_group(p, (s32)p->r->groups - 1, p->flags);
}

/* (?i-s) changes flags from here on; (?i-s: ...) within the group. */
static bool flag_group(struct parser *p) {
    str start = p->rest, t = str_skip(p->rest, 2);
    u8 on = 0, off = 0;
    bool minus = false, saw = false;
    u32 c;
    while (t.len) {
        if (!next_rune(p, &t, &c)) return false;
        u8 flag = c == 'i' ? FOLD : c == 'm' ? MULTI : c == 's' ? DOT_ALL : c == 'U' ? UNGREEDY : 0;
        if (flag) {
            *(minus ? &off : &on) |= flag;
            saw = true;
        } else if (c == '-' && !minus) minus = true, saw = false;
        else if ((c == ':' || c == ')') && (!minus || saw)) {
            u8 before = p->flags;
            p->rest = t;
            if (c == ':' && !open_group(p, -1, before)) return false;
            p->flags = (u8)((before | on) & ~off);
            return true;
        } else break;
    }
    return bad(p, "invalid or unsupported Perl syntax", until(start, t));
}

static bool group(struct parser *p) {
    str s = p->rest;
    if (!str_starts(s, S("(?"))) {
        p->rest = str_skip(s, 1);
        return name_group(p, S("")) && open_group(p, (s32)p->r->groups - 1, p->flags);
    }
    if (s.len > 4 && str_starts(s, S("(?P<"))) return named_group(p, 4);
    if (s.len > 3 && str_starts(s, S("(?<"))) return named_group(p, 3);
    return flag_group(p);
}

/* ---- All of it ---- */

static bool backslash(struct parser *p) {
    char c = p->rest.len > 1 ? p->rest.ptr[1] : '\0';
    enum regex_assert at = c == 'A'   ? AT_TEXT_START
                           : c == 'z' ? AT_TEXT_END
                           : c == 'b' ? AT_WORD_EDGE
                                      : AT_NO_WORD_EDGE;
    bool was;
    u32 rune;
    if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
        p->rest = str_skip(p->rest, 2);
        return assertion(p, at);
    }
    if (c == 'C') return bad(p, "invalid escape sequence", str_take(p->rest, 2));
    if (c == 'Q') {
        str t = str_skip(p->rest, 2);
        size_t end = str_find(t, S("\\E"));
        str quoted = str_take(t, end);
        p->rest = str_skip(t, end + 2);
        while (quoted.len)
            if (!next_rune(p, &quoted, &rune) || !literal(p, rune)) return false;
        return true;
    }
    p->set.count = 0;
    if (!unicode_class(p, &p->rest, &was)) return false;
    if (!was && !perl_class(p, &p->rest, &was)) return false;
    if (was) return put_class(p);
    return escape(p, &p->rest, &rune) && literal(p, rune);
}

static bool one(struct parser *p) {
    char c = p->rest.ptr[0];
    bool good;
    u32 rune;
    if (c == '*' || c == '+' || c == '?' || c == '{') return repeat(p, c);
    switch (c) {
    case '(': good = group(p); break;
    case ')': good = close_group(p); break;
    case '[': good = class(p); break;
    case '\\': good = backslash(p); break;
    case '|': p->rest = str_skip(p->rest, 1), good = vertical_bar(p); break;
    case '^':
        p->rest = str_skip(p->rest, 1),
        good = assertion(p, p->flags & MULTI ? AT_LINE_START : AT_TEXT_START);
        break;
    case '$':
        p->rest = str_skip(p->rest, 1),
        good = assertion(p, p->flags & MULTI ? AT_LINE_END : AT_TEXT_END);
        break;
    case '.':
        p->rest = str_skip(p->rest, 1);
        p->set.count = 0;
        good = p->flags & DOT_ALL
                   ? ranges_add(&p->set, 0, 0x10FFFF)
                   : ranges_add(&p->set, 0, '\n' - 1) && ranges_add(&p->set, '\n' + 1, 0x10FFFF);
        good = good ? put_class(p) : no_memory(p);
        break;
    default: good = next_rune(p, &p->rest, &rune) && literal(p, rune); break;
    }
    p->after_repeat = (str){0};
    return good;
}

rc_t regex_parse(struct regex *r, str pattern, struct buf *why) {
    struct parser *p = calloc(1, sizeof(*p));
    struct part whole;
    if (!p) return RC_NO_MEMORY;
    p->r = r, p->pattern = p->rest = pattern, p->why = why;
    bool good = name_group(p, S("")) && open_group(p, 0, 0);
    while (good && p->rest.len) good = one(p);
    if (good && p->depth != 1) good = bad(p, "missing closing )", pattern);
    good = good && end_group(p, &whole) && emit(p, OP_MATCH, 0, 0);
    rc_t rc = good ? RC_OK : p->rc;
    CHECK(good == (p->rc == RC_OK));
    free(p->frames);
    free(p->set.at);
    free(p);
    return rc;
}
