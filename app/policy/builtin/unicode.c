/* SPDX-License-Identifier: Apache-2.0 */
/* unicode.c — looking up what the tables of unicode.h say.
 *
 * All tables are sorted; every look-up is a binary search, with ASCII answered before it. */
#include "app/policy/builtin/unicode.h"

static const struct unicode_range *range_of(const struct unicode_range *table, u32 count,
                                            u32 rune) {
    u32 low = 0, high = count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (rune < table[middle].low) high = middle;
        else if (rune > table[middle].high) low = middle + 1;
        else return &table[middle];
    }
    return NULL;
}

enum unicode_category unicode_category(u32 rune) {
    const struct unicode_range *r = range_of(unicode_categories, unicode_categories_count, rune);
    return r ? (enum unicode_category)r->what : UNICODE_CN;
}

static u32 change_case(const struct unicode_case *table, u32 count, u32 rune) {
    u32 low = 0, high = count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        const struct unicode_case *r = &table[middle];
        if (rune < r->low) high = middle;
        else if (rune > r->high) low = middle + 1;
        else return (rune - r->low) % r->stride == 0 ? (u32)((s32)rune + r->delta) : rune;
    }
    return rune;
}
u32 unicode_upper(u32 rune) {
    if (rune < 0x80) return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
    return change_case(unicode_uppers, unicode_uppers_count, rune);
}
u32 unicode_lower(u32 rune) {
    if (rune < 0x80) return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    return change_case(unicode_lowers, unicode_lowers_count, rune);
}

u32 unicode_fold(u32 rune) {
    u32 low = 0, high = unicode_folds_count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (rune == unicode_folds[middle].from) return unicode_folds[middle].to;
        if (rune < unicode_folds[middle].from) high = middle;
        else low = middle + 1;
    }
    return rune;
}

bool unicode_is_space(u32 r) {
    if (r < 0x80) return r == ' ' || (r >= '\t' && r <= '\r');
    return r == 0x85 || r == 0xA0 || r == 0x1680 || (r >= 0x2000 && r <= 0x200A) || r == 0x2028 ||
           r == 0x2029 || r == 0x202F || r == 0x205F || r == 0x3000;
}

bool unicode_is_print(u32 r) {
    if (r < 0x7F) return r >= 0x20;
    enum unicode_category c = unicode_category(r);
    return c >= UNICODE_LL && c < UNICODE_ZL;
}

const struct unicode_name *unicode_find(str name) {
    char bare[40];
    size_t n = 0;
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        if (ch == '_' || ch == '-' || ch == ' ') continue;
        if (n == sizeof(bare)) return NULL;
        bare[n++] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
    }
    u32 low = 0, high = unicode_names_count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        int order = str_cmp(str_of(bare, n), str_from_c(unicode_names[middle].name));
        if (order == 0) return &unicode_names[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
