/* SPDX-License-Identifier: Apache-2.0 */
/* builder.c — collections that grow: add in any order, close once.
 *
 * Members go to the end of a list that doubles; sets and objects keep an index by hash beside it
 * once they are larger than a few, so that repeats are found at once. Closing sorts: a merge sort
 * over (key, value) pairs, skipped when they came in order. The lists the builder outgrew stay in
 * the heap until it is rewound: at most as much again as the last one. */
#include "app/policy/value/keys_impl.h"

enum { BUILDER_ROOM_FIRST = 8 };

void value_builder_open(struct value_builder *b, struct heap *h, enum value_kind kind) {
    *b = (struct value_builder){.heap = h, .kind = (u8)kind};
}

static bool index_members(struct value_builder *b) {
    u32 slots = 32;
    while (slots < b->room * 2) slots *= 2;
    u32 *index = heap_alloc(b->heap, slots * sizeof *index);
    if (!index) return false;
    memset(index, 0, slots * sizeof *index);
    for (u32 i = 0; i < b->count; i++) {
        u32 at = value_hash(b->keys[i]) & (slots - 1);
        while (index[at]) at = (at + 1) & (slots - 1);
        index[at] = i + 1;
    }
    b->index = index, b->mask = slots - 1;
    return true;
}

static bool make_room(struct value_builder *b) {
    if (b->count < b->room) return true;
    u32 room = b->room ? b->room * 2 : BUILDER_ROOM_FIRST;
    if (room > UINT32_MAX / sizeof(value) / 2) {
        b->heap->exhausted = true;
        return false;
    }
    value *keys = heap_alloc(b->heap, room * sizeof *keys);
    value *values = b->kind == VALUE_OBJECT ? heap_alloc(b->heap, room * sizeof *values) : NULL;
    if (!keys || (b->kind == VALUE_OBJECT && !values)) return false;
    if (b->count) {
        memcpy(keys, b->keys, b->count * sizeof *keys);
        if (values) memcpy(values, b->values, b->count * sizeof *values);
    }
    b->keys = keys, b->values = values, b->room = room;
    if (b->kind == VALUE_ARRAY || room < 2 * BUILDER_ROOM_FIRST || index_members(b)) return true;
    b->room = b->count; /* so that nothing more goes in: the index has room for no more */
    return false;
}

static s64 find(const struct value_builder *b, value key) {
    if (b->index) {
        for (u32 at = value_hash(key) & b->mask; b->index[at]; at = (at + 1) & b->mask)
            if (value_equal(b->keys[b->index[at] - 1], key)) return b->index[at] - 1;
        return -1;
    }
    for (u32 i = 0; i < b->count; i++)
        if (value_equal(b->keys[i], key)) return i;
    return -1;
}

static void append(struct value_builder *b, value key, value v) {
    if (!make_room(b)) return;
    if (b->index) {
        u32 at = value_hash(key) & b->mask;
        while (b->index[at]) at = (at + 1) & b->mask;
        b->index[at] = b->count + 1;
    }
    b->keys[b->count] = key;
    if (b->values) b->values[b->count] = v;
    b->count++;
}

void value_builder_add(struct value_builder *b, value item) {
    if (b->kind != VALUE_ARRAY && find(b, item) >= 0) return;
    append(b, item, UNDEFINED);
}

rc_t value_builder_put(struct value_builder *b, value key, value v) {
    s64 at = find(b, key);
    if (at >= 0) return value_equal(b->values[at], v) ? RC_OK : RC_CONFLICT;
    append(b, key, v);
    return RC_OK;
}

void value_builder_replace(struct value_builder *b, value key, value v) {
    s64 at = find(b, key);
    if (at >= 0) b->values[at] = v;
    else append(b, key, v);
}

value value_builder_find(const struct value_builder *b, value key) {
    s64 at = find(b, key);
    if (at < 0) return UNDEFINED;
    return b->values ? b->values[at] : b->keys[at];
}

/* ---- Sorting ---- */

/* Merges runs of `width` from one side to the other, keys and values alike. */
static void merge_pass(const value *keys, const value *values, value *keys_to, value *values_to,
                       u32 n, u32 width) {
    for (u32 from = 0; from < n; from += 2 * width) {
        u32 left = from, middle = MIN(from + width, n), right = middle,
            end = MIN(middle + width, n);
        for (u32 at = from; at < end; at++) {
            bool take_left =
                left < middle && (right >= end || value_compare(keys[left], keys[right]) <= 0);
            u32 source = take_left ? left++ : right++;
            keys_to[at] = keys[source];
            if (values) values_to[at] = values[source];
        }
    }
}

static bool in_order(const value *keys, u32 n) {
    for (u32 i = 1; i < n; i++)
        if (value_compare(keys[i - 1], keys[i]) > 0) return false;
    return true;
}

static void sort_pairs(struct heap *h, value *keys, value *values, u32 n) {
    if (in_order(keys, n)) return;
    struct heap_mark mark = heap_mark(h);
    value *keys_to = heap_alloc(h, n * sizeof *keys);
    value *values_to = values ? heap_alloc(h, n * sizeof *values) : NULL;
    if (!keys_to || (values && !values_to)) return; /* exhausted: the result will not be used */
    value *k = keys, *v = values;
    for (u32 width = 1; width < n; width *= 2) {
        merge_pass(k, v, keys_to, values_to, n, width);
        value *t = k;
        k = keys_to, keys_to = t;
        t = v, v = values_to, values_to = t;
        if (width > UINT32_MAX / 4) break;
    }
    if (k != keys) {
        memcpy(keys, k, n * sizeof *keys);
        if (values) memcpy(values, v, n * sizeof *values);
    }
    heap_release(h, mark);
}

void value_sort(struct heap *h, value *items, size_t count) {
    sort_pairs(h, items, NULL, (u32)MIN(count, (size_t)UINT32_MAX / 4));
}

value value_builder_close(struct value_builder *b) {
    struct heap *h = b->heap;
    if (h->exhausted) return value_null();
    if (b->kind == VALUE_ARRAY) return value_array(h, b->keys, b->count);
    if (!b->count) return b->kind == VALUE_SET ? value_empty_set() : value_empty_object();
    sort_pairs(h, b->keys, b->values, b->count);
    struct value_keys *k = value_keys_room(h, b->count);
    if (!k) return value_null();
    memcpy(k->items, b->keys, b->count * sizeof(value));
    if (h->exhausted || !value_keys_index(h, k)) return value_null();
    u16 depth = value_depth_over(k->items, k->count);
    if (b->kind == VALUE_SET)
        return value_nested(h, (value){.kind = VALUE_SET, .depth = depth, .set = k});
    value *cells;
    value o = value_object_of_keys(h, k, &cells);
    if (o.kind != VALUE_OBJECT) return o;
    memcpy(cells, b->values, b->count * sizeof(value));
    o.depth = MAX(depth, value_depth_over(cells, b->count));
    return value_nested(h, o);
}
