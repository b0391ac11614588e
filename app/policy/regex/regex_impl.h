/* SPDX-License-Identifier: Apache-2.0 */
/* regex_impl.h — what the files of regex/ share.
 *
 * A program is an array of instructions; targets are relative, so that a part can be moved or
 * copied whole, and each part ends by falling out of its end:
 *
 *   a|b      SPLIT(+1, +3)  a  JUMP(+2)  b
 *   a*       SPLIT(+1, +3)  a  JUMP(-2)
 *   (a)      SAVE(2)  a  SAVE(3) */
#pragma once
#include "app/policy/regex/regex.h"

enum regex_op {
    OP_CLASS,  /* a rune of class `x`; then the next */
    OP_SPLIT,  /* both `x` and `y`, first x: relative */
    OP_JUMP,   /* x: relative; y: the next in a chain while parsing */
    OP_SAVE,   /* the position into slot x */
    OP_ASSERT, /* x: enum regex_assert */
    OP_MATCH,
    OP_FAIL,
};
enum regex_assert { /* what holds between two runes */
                    AT_TEXT_START = 1,
                    AT_TEXT_END = 2,
                    AT_LINE_START = 4,
                    AT_LINE_END = 8,
                    AT_WORD_EDGE = 16,
                    AT_NO_WORD_EDGE = 32,
};
struct inst { s32 op, x, y; };
struct range { u32 low, high; };
struct class { u32 first, count; }; /* in `ranges`: sorted, disjoint */

struct ranges { struct range *at; u32 count, room; }; /* growing; see class.c */

/* What stands before a position; the last symbol's kind. */
enum { KIND_START, KIND_OTHER, KIND_WORD, KIND_LINE_END, KIND_TEXT_END, KIND_COUNT };

struct dfa; /* dfa.c */
struct pike; /* pike.c */
struct regex {
    struct inst *insts;
    u32 count, room;
    struct class *classes;
    u32 class_count, class_room;
    struct ranges ranges;
    u32 groups;
    str *names;             /* of groups; into `pattern` */
    char *pattern;
    size_t pattern_len;
    bool anchored;          /* starts with \A or ^ in every way */
    /* Runes fall into symbols: those of one symbol are alike to every class. */
    u32 symbols;
    u16 ascii[128];
    struct range *intervals; /* of all other runes */
    u16 *interval_symbols;
    u32 interval_count;
    u8 *symbol_kinds;        /* KIND_OTHER, KIND_WORD, KIND_LINE_END */
    u32 *symbol_runes;       /* one rune of each */
    bool asserts;            /* the program has OP_ASSERT */
    size_t bytes;
    struct dfa *dfa;
    struct pike *pike;
};

rc_t regex_parse(struct regex *r, str pattern, struct buf *why);
rc_t regex_make_symbols(struct regex *r);
void dfa_close(struct dfa *d);
void pike_close(struct pike *p);
/* The end of the leftmost match, or, with `any`, of some match. */
rc_t dfa_search(struct regex *r, str text, size_t from, bool any, size_t *end,
                struct regex_work work);
rc_t pike_search(struct regex *r, str text, size_t from, size_t to, s64 *groups, u32 count,
                 struct regex_work work);

/* ---- Sets of runes while they are built ---- */
bool ranges_add(struct ranges *s, u32 low, u32 high);
bool ranges_add_folded(struct ranges *s, u32 low, u32 high); /* and what differs only in case */
bool ranges_add_all(struct ranges *s, const struct range *at, u32 count, bool negate);
bool ranges_clean(struct ranges *s, u32 from); /* sorts and joins those from `from` on */
bool ranges_negate(struct ranges *s, u32 from);
/* \p{name}; false: there is none. With `fold` also what differs only in case. */
bool ranges_add_named(struct ranges *s, str name, bool negate, bool fold, bool *known);
const struct range *ranges_posix(str name, u32 *count, bool *negate); /* "[:alpha:]"; NULL */
const struct range *ranges_perl(char letter, u32 *count);             /* d s w; NULL */

/* UTF-8, a bad byte being U+FFFD of width 1. */
u32 regex_rune(str s, size_t at, u32 *width);
static inline u16 regex_symbol(const struct regex *r, u32 rune) {
    if (rune < 128) return r->ascii[rune];
    u32 low = 0, high = r->interval_count;
    while (high - low > 1) {
        u32 middle = low + (high - low) / 2;
        if (rune >= r->intervals[middle].low) low = middle;
        else high = middle;
    }
    return r->interval_symbols[low];
}
bool regex_class_has(const struct regex *r, s32 class, u32 rune);
u32 regex_kind(u32 rune); /* KIND_WORD, KIND_LINE_END, KIND_OTHER */
/* What holds between a rune of kind `before` and one of kind `after`. */
u32 regex_asserts_between(u32 before, u32 after);
