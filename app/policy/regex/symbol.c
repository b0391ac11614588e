/* SPDX-License-Identifier: Apache-2.0 */
/* symbol.c — the alphabet of one regex: runes that every class treats alike are one symbol.
 *
 *   [a-z]+@\p{Greek}   ->   0: everything else   1: a-z   2: @   3: Greek
 *
 * All boundaries of all classes cut Unicode into intervals; classes then split the set of intervals
 * one after the other, and intervals never split apart share a symbol. */
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

static const struct range word_class[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct range line_class[] = {{'\n', '\n'}};

u32 regex_kind(u32 rune) {
    if (rune == '\n') return KIND_LINE_END;
    if (rune >= 128) return KIND_OTHER;
    bool word =
        (rune >= '0' && rune <= '9') || ((rune | 32) >= 'a' && (rune | 32) <= 'z') || rune == '_';
    return word ? KIND_WORD : KIND_OTHER;
}

u32 regex_asserts_between(u32 before, u32 after) {
    u32 flags = (before == KIND_WORD) != (after == KIND_WORD) ? AT_WORD_EDGE : AT_NO_WORD_EDGE;
    if (before == KIND_START) flags |= AT_TEXT_START | AT_LINE_START;
    if (before == KIND_LINE_END) flags |= AT_LINE_START;
    if (after == KIND_TEXT_END) flags |= AT_TEXT_END | AT_LINE_END;
    if (after == KIND_LINE_END) flags |= AT_LINE_END;
    return flags;
}

bool regex_class_has(const struct regex *r, s32 class, u32 rune) {
    const struct class *c = &r->classes[class];
    const struct range *at = r->ranges.at + c->first;
    u32 low = 0, high = c->count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (rune < at[middle].low) high = middle;
        else if (rune > at[middle].high) low = middle + 1;
        else return true;
    }
    return false;
}

static int by_value(const void *a, const void *b) {
    u32 x = *(const u32 *)a, y = *(const u32 *)b;
    return x < y ? -1 : x > y;
}

/* Starts of all intervals, sorted. NULL: no memory. */
static u32 *all_bounds(const struct regex *r, u32 *count) {
    u32 n = 0, *at = malloc((2 * (size_t)r->ranges.count + 16) * sizeof(*at));
    if (!at) return NULL;
    at[n++] = 0, at[n++] = 128;
    for (u32 i = 0; i < r->ranges.count; i++)
        at[n++] = r->ranges.at[i].low, at[n++] = r->ranges.at[i].high + 1;
    for (u32 i = 0; r->asserts && i < ARRAY_LEN(word_class); i++)
        at[n++] = word_class[i].low, at[n++] = word_class[i].high + 1;
    if (r->asserts) at[n++] = '\n', at[n++] = '\n' + 1;
    qsort(at, n, sizeof(*at), by_value);
    *count = 0;
    for (u32 i = 0; i < n; i++)
        if (at[i] <= 0x10FFFF && (!*count || at[*count - 1] != at[i])) at[(*count)++] = at[i];
    return at;
}

/* Splits symbols by one class: those of an interval in it become others than those outside. */
static u32 split(const u32 *bounds, u32 count, u32 *symbols, u32 known, u32 *map,
                 const struct range *ranges, u32 range_count) {
    u32 next = 0;
    memset(map, 0xFF, 2 * (size_t)known * sizeof(*map));
    for (u32 i = 0, k = 0; i < count; i++) {
        while (k < range_count && ranges[k].high < bounds[i]) k++;
        u32 slot = 2 * symbols[i] + (k < range_count && ranges[k].low <= bounds[i]);
        if (map[slot] == UINT32_MAX) map[slot] = next++;
        symbols[i] = map[slot];
    }
    return next;
}

static rc_t fill(struct regex *r, const u32 *bounds, const u32 *symbols, u32 count) {
    r->symbol_kinds = calloc(r->symbols, 1);
    r->symbol_runes = calloc(r->symbols, sizeof(u32));
    r->intervals = calloc(count, sizeof(*r->intervals));
    r->interval_symbols = calloc(count, sizeof(u16));
    if (!r->symbol_kinds || !r->symbol_runes || !r->intervals || !r->interval_symbols)
        return RC_NO_MEMORY;
    for (u32 i = 0; i < count; i++) {
        u32 end = i + 1 < count ? bounds[i + 1] : 0x110000;
        r->symbol_runes[symbols[i]] = bounds[i];
        r->symbol_kinds[symbols[i]] = (u8)(r->asserts ? regex_kind(bounds[i]) : KIND_OTHER);
        for (u32 rune = bounds[i]; rune < end && rune < 128; rune++)
            r->ascii[rune] = (u16)symbols[i];
        if (end <= 128) continue;
        u32 n = r->interval_count;
        if (n && r->interval_symbols[n - 1] == symbols[i]) r->intervals[n - 1].high = end - 1;
        else {
            r->intervals[n] = (struct range){MAX(bounds[i], 128u), end - 1};
            r->interval_symbols[r->interval_count++] = (u16)symbols[i];
        }
    }
    return RC_OK;
}

rc_t regex_make_symbols(struct regex *r) {
    u32 count, known = 1;
    u32 *bounds = all_bounds(r, &count);
    u32 *symbols = bounds ? calloc(count, sizeof(u32)) : NULL;
    u32 *map = bounds ? malloc(2 * ((size_t)count + 1) * sizeof(u32)) : NULL;
    rc_t rc = RC_NO_MEMORY;
    if (symbols && map) {
        for (u32 i = 0; i < r->class_count; i++)
            known = split(bounds, count, symbols, known, map, r->ranges.at + r->classes[i].first,
                          r->classes[i].count);
        if (r->asserts) {
            known = split(bounds, count, symbols, known, map, word_class, ARRAY_LEN(word_class));
            known = split(bounds, count, symbols, known, map, line_class, 1);
        }
        r->symbols = known;
        rc = known < UINT16_MAX ? fill(r, bounds, symbols, count) : RC_LIMIT;
    }
    free(map);
    free(symbols);
    free(bounds);
    return rc;
}
