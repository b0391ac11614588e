/* SPDX-License-Identifier: Apache-2.0 */
/* regex.c — a regex as its users see it: made, asked, walked along a text.
 *
 * The automaton answers whether and where to; the slower machine is asked for groups only once
 * there is a match, and no further than its end. */
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

u32 regex_rune(str s, size_t at, u32 *width) {
    const u8 *p = (const u8 *)s.ptr + at;
    size_t left = s.len - at;
    u32 b = p[0];
    *width = 1;
    if (b < 0x80) return b;
    u32 need = b >= 0xC2 && b <= 0xDF   ? 2
               : b >= 0xE0 && b <= 0xEF ? 3
               : b >= 0xF0 && b <= 0xF4 ? 4
                                        : 0;
    if (!need || left < need) return 0xFFFD;
    u8 low = b == 0xE0   ? 0xA0
             : b == 0xF0 ? 0x90
                         : 0x80,
       high = b == 0xED   ? 0x9F
              : b == 0xF4 ? 0x8F
                          : 0xBF;
    if (p[1] < low || p[1] > high) return 0xFFFD;
    u32 r = (b & (0xFFu >> (need + 1))) << 6 | (p[1] & 0x3Fu);
    for (u32 i = 2; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0xFFFD;
        r = r << 6 | (p[i] & 0x3Fu);
    }
    *width = need;
    return r;
}

/* Does every way through the program start with \A? Only what is certain counts: SAVE and \A in a
 * row. */
static bool starts_anchored(const struct regex *r) {
    for (u32 pc = 0; pc < r->count; pc++) {
        const struct inst *i = &r->insts[pc];
        if (i->op == OP_ASSERT && i->x == AT_TEXT_START) return true;
        if (i->op != OP_SAVE) return false;
    }
    return false;
}

rc_t regex_open(struct regex **out, str pattern, struct buf *why) {
    struct regex *r = calloc(1, sizeof(*r));
    rc_t rc = RC_NO_MEMORY;
    *out = NULL;
    if (!r) return RC_NO_MEMORY;
    r->pattern = malloc(pattern.len + 1);
    if (r->pattern) {
        if (pattern.len) memcpy(r->pattern, pattern.ptr, pattern.len);
        r->pattern_len = pattern.len;
        rc = regex_parse(r, pattern, why);
    }
    if (rc == RC_OK) {
        r->anchored = starts_anchored(r);
        rc = regex_make_symbols(r);
        if (rc == RC_LIMIT) {
            (void)buf_printf(why, "error parsing regexp: expression too large: `%.*s`",
                             STR(pattern));
            rc = RC_INVALID;
        }
    }
    if (rc == RC_OK) *out = r;
    else regex_close(r);
    return rc;
}

void regex_close(struct regex *r) {
    if (!r) return;
    dfa_close(r->dfa);
    pike_close(r->pike);
    free(r->insts), free(r->classes), free(r->ranges.at), free(r->names), free(r->pattern);
    free(r->intervals), free(r->interval_symbols), free(r->symbol_kinds), free(r->symbol_runes);
    free(r);
}

u32 regex_groups(const struct regex *r) { return r->groups; }
str regex_group_name(const struct regex *r, u32 group) { return r->names[group]; }
size_t regex_bytes(const struct regex *r) {
    return sizeof(*r) + r->room * sizeof(*r->insts) + r->ranges.room * sizeof(*r->ranges.at) +
           r->pattern_len;
}

rc_t regex_match(struct regex *r, str text, struct regex_work work) {
    size_t end;
    return dfa_search(r, text, 0, true, &end, work);
}

rc_t regex_find(struct regex *r, str text, size_t from, s64 *groups, u32 count,
                struct regex_work work) {
    size_t end;
    rc_t rc = dfa_search(r, text, from, false, &end, work);
    return rc == RC_OK ? pike_search(r, text, from, end, groups, count, work) : rc;
}

rc_t regex_next(struct regex *r, str text, struct regex_walk *w, s64 *groups, u32 count,
                struct regex_work work) {
    while (!w->done && w->at <= text.len) {
        u32 width = 1;
        rc_t rc = regex_find(r, text, w->at, groups, count, work);
        if (rc != RC_OK) {
            w->done = rc == RC_NOT_FOUND;
            return rc;
        }
        bool accept = true;
        if (groups[1] == (s64)w->at) {
            accept = groups[0] != w->last_end;
            if (w->at < text.len) regex_rune(text, w->at, &width);
            w->at += width;
        } else w->at = (size_t)groups[1];
        w->last_end = groups[1];
        if (accept) return RC_OK;
    }
    w->done = true;
    return RC_NOT_FOUND;
}

void regex_quote(struct buf *to, str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] && strchr("\\.+*?()|[]{}^$", s.ptr[i])) (void)buf_add_byte(to, '\\');
        (void)buf_add_byte(to, s.ptr[i]);
    }
}
