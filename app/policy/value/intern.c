/* SPDX-License-Identifier: Apache-2.0 */
/* intern.c — two hash tables with open addressing: strings by their bytes, sets of keys by the
 * cells of the (interned) keys in them. The tables grow by doubling and are dropped with the
 * intern; what they point to lives in the heap. */
#include "app/policy/value/intern.h"
#include <stdlib.h>
#include "app/policy/value/keys_impl.h"

struct intern {
    struct heap *heap;
    value *strings; /* VALUE_UNDEFINED: free */
    u32 string_count, string_mask;
    const struct value_keys **shapes;
    u32 *shape_hashes;
    u32 shape_count, shape_mask;
};
enum { INTERN_SLOTS_FIRST = 64 };

static bool grow_strings(struct intern *t) {
    u32 slots = t->strings ? (t->string_mask + 1) * 2 : INTERN_SLOTS_FIRST;
    value *strings = slots ? calloc(slots, sizeof *strings) : NULL;
    if (!strings) return false;
    for (u32 i = 0; t->strings && i <= t->string_mask; i++) {
        if (!value_defined(t->strings[i])) continue;
        u32 at = t->strings[i].hash & (slots - 1);
        while (value_defined(strings[at])) at = (at + 1) & (slots - 1);
        strings[at] = t->strings[i];
    }
    free(t->strings);
    t->strings = strings, t->string_mask = slots - 1;
    return true;
}

static bool grow_shapes(struct intern *t) {
    u32 slots = t->shapes ? (t->shape_mask + 1) * 2 : INTERN_SLOTS_FIRST;
    const struct value_keys **shapes = slots ? calloc(slots, sizeof *shapes) : NULL;
    u32 *hashes = slots ? calloc(slots, sizeof *hashes) : NULL;
    if (!shapes || !hashes) {
        free(shapes);
        free(hashes);
        return false;
    }
    for (u32 i = 0; t->shapes && i <= t->shape_mask; i++) {
        if (!t->shapes[i]) continue;
        u32 at = t->shape_hashes[i] & (slots - 1);
        while (shapes[at]) at = (at + 1) & (slots - 1);
        shapes[at] = t->shapes[i], hashes[at] = t->shape_hashes[i];
    }
    free(t->shapes);
    free(t->shape_hashes);
    t->shapes = shapes, t->shape_hashes = hashes, t->shape_mask = slots - 1;
    return true;
}

rc_t intern_open(struct intern **out, struct heap *h) {
    struct intern *t = calloc(1, sizeof *t);
    if (!t) return RC_NO_MEMORY;
    t->heap = h;
    if (!grow_strings(t) || !grow_shapes(t)) {
        intern_close(t);
        return RC_NO_MEMORY;
    }
    *out = t;
    return RC_OK;
}

void intern_close(struct intern *t) {
    free(t->strings);
    free(t->shapes);
    free(t->shape_hashes);
    free(t);
}

/* When a table cannot grow it still finds what is in it; what is new is then simply not shared. */
value intern_string(struct intern *t, str bytes) {
    struct heap_mark mark = heap_mark(t->heap);
    value fresh = value_string(t->heap, bytes); /* computes the hash; given back if known */
    if (fresh.kind != VALUE_STRING) return fresh;
    u32 at = fresh.hash & t->string_mask;
    for (; value_defined(t->strings[at]); at = (at + 1) & t->string_mask) {
        if (!value_equal(t->strings[at], fresh)) continue;
        heap_release(t->heap, mark);
        return t->strings[at];
    }
    if (t->string_count * 4 >= t->string_mask * 3) {
        if (!grow_strings(t)) return fresh;
        at = fresh.hash & t->string_mask;
        while (value_defined(t->strings[at])) at = (at + 1) & t->string_mask;
    }
    t->strings[at] = fresh;
    t->string_count++;
    return fresh;
}

static bool same_keys(const struct value_keys *k, const value *items, u32 count) {
    if (k->count != count) return false;
    for (u32 i = 0; i < count; i++)
        if (!value_equal(k->items[i], items[i])) return false;
    return true;
}

static const struct value_keys *shape_of(struct heap *h, const value *items, u32 count) {
    static const struct value_keys none;
    struct value_keys *k = value_keys_room(h, count);
    if (!k) return &none;
    memcpy(k->items, items, count * sizeof *items);
    return value_keys_index(h, k) ? k : &none;
}

const struct value_keys *intern_keys(struct intern *t, const value *sorted, u32 count) {
    u32 hash = count;
    for (u32 i = 0; i < count; i++) hash = (hash ^ value_hash(sorted[i])) * 0x9E3779B1u;
    hash ^= hash >> 15;
    u32 at = hash & t->shape_mask;
    for (; t->shapes[at]; at = (at + 1) & t->shape_mask)
        if (t->shape_hashes[at] == hash && same_keys(t->shapes[at], sorted, count))
            return t->shapes[at];
    const struct value_keys *k = shape_of(t->heap, sorted, count);
    if (k->count != count) return k; /* exhausted: nobody will use it */
    if (t->shape_count * 4 >= t->shape_mask * 3) {
        if (!grow_shapes(t)) return k;
        at = hash & t->shape_mask;
        while (t->shapes[at]) at = (at + 1) & t->shape_mask;
    }
    t->shapes[at] = k, t->shape_hashes[at] = hash;
    t->shape_count++;
    return k;
}

/* ---- Copies ---- */

static value copy_array(struct intern *t, value v) {
    value copy = value_array(t->heap, v.array->items, v.array->count);
    if (copy.kind != VALUE_ARRAY) return copy;
    for (u32 i = 0; i < v.array->count; i++)
        copy.array->items[i] = intern_copy(t, v.array->items[i]);
    return copy;
}

/* Most records have keys that are known already: then nothing new is kept. */
static const struct value_keys *keep_keys(struct intern *t, const struct value_keys *from) {
    value few[8] = {0}, *keys = few;
    if (from->count > ARRAY_LEN(few)) keys = malloc((size_t)from->count * sizeof *keys);
    if (!keys) {
        t->heap->exhausted = true;
        return from;
    }
    for (u32 i = 0; i < from->count; i++) keys[i] = intern_copy(t, from->items[i]);
    const struct value_keys *copy = intern_keys(t, keys, from->count);
    if (keys != few) free(keys);
    return copy;
}

value intern_copy(struct intern *t, value v) {
    if (v.kind == VALUE_STRING) return intern_string(t, value_str(v));
    if (v.kind < VALUE_ARRAY || value_count(v) == 0) return value_copy(t->heap, v);
    if (v.kind == VALUE_ARRAY) return copy_array(t, v);
    if (v.kind == VALUE_SET) return value_copy(t->heap, v); /* not in what JSON can say */
    const struct value_keys *keys = keep_keys(t, v.object->keys);
    value *cells;
    if (keys->count != v.object->keys->count || t->heap->exhausted) return value_null();
    value copy = value_object_of_keys(t->heap, keys, &cells);
    if (copy.kind != VALUE_OBJECT) return copy;
    copy.depth = v.depth;
    for (u32 i = 0; i < keys->count; i++) cells[i] = intern_copy(t, v.object->values[i]);
    return copy;
}
