/* SPDX-License-Identifier: Apache-2.0 */
/* value.c — making, comparing and looking into values. Collections that grow are in builder.c.
 *
 * Sets and the keys of objects are one structure (struct value_keys): sorted, unique, and above
 * KEYS_INDEXED_FROM members with an index by hash. An object is keys and as many cells; objects
 * made from equal keys through intern.h share them. Always: items are sorted by value_compare;
 * a node's `hash` is 0 or the hash of its content (a race between readers that fill it in is
 * harmless: both write the same number). */
#include "app/policy/value/value.h"
#include "app/policy/value/keys_impl.h"
#include "app/policy/value/number.h"
#include "kernel/base/limits.h"

static u64 hash_seed = 0x6f70656e706f6c69ull; /* until value_hash_seed: a fixed order of probing */

void value_hash_seed(u64 seed) { hash_seed = seed; }

const char *value_kind_name(enum value_kind kind) {
    static const char *const names[] = {"undefined", "null", "boolean", "number",
                                        "string",    "array", "object", "set"};
    return names[kind];
}

/* ---- Makers ---- */

u32 value_hash_text(str s) {
    u64 h = str_hash(s, hash_seed);
    u32 folded = (u32)(h ^ h >> 32);
    return folded ? folded : 1;
}

char *value_string_room(struct heap *h, size_t len) {
    if (len > UINT32_MAX - 64) {
        h->exhausted = true;
        return NULL;
    }
    struct value_string *s = heap_alloc(h, sizeof *s + len + 1);
    if (!s) return NULL;
    s->len = (u32)len, s->spare = 0;
    return s->bytes;
}

value value_string_seal(char *room, size_t len) {
    struct value_string *s = CONTAINER_OF(room, struct value_string, bytes);
    s->len = (u32)len;
    s->bytes[len] = 0;
    return (value){.kind = VALUE_STRING, .hash = value_hash_text(str_of(room, len)), .string = s};
}

value value_string(struct heap *h, str bytes) {
    char *room = value_string_room(h, bytes.len);
    if (!room) return value_null();
    if (bytes.len) memcpy(room, bytes.ptr, bytes.len);
    return value_string_seal(room, bytes.len);
}

value value_string_c(struct heap *h, const char *z) { return value_string(h, str_from_c(z)); }

u16 value_depth_over(const value *items, size_t count) {
    u16 deepest = 0;
    for (size_t i = 0; i < count; i++) deepest = MAX(deepest, items[i].depth);
    return (u16)(deepest + 1);
}

value value_nested(struct heap *h, value v) {
    if (v.depth <= VALUE_DEPTH_MAX) return v;
    h->exhausted = true;
    return value_null();
}

value value_array(struct heap *h, const value *items, size_t count) {
    if (!count) return value_empty_array();
    if (count > UINT32_MAX / sizeof(value)) {
        h->exhausted = true;
        return value_null();
    }
    struct value_array *a = heap_alloc(h, sizeof *a + count * sizeof(value));
    if (!a) return value_null();
    *a = (struct value_array){.count = (u32)count, .items = (value *)(a + 1)};
    memcpy(a->items, items, count * sizeof(value));
    return value_nested(
        h, (value){.kind = VALUE_ARRAY, .depth = value_depth_over(items, count), .array = a});
}

static const struct value_array empty_array;
static const struct value_keys empty_keys;
static const struct value_object empty_object = {.keys = &empty_keys};
value value_empty_array(void) {
    return (value){.kind = VALUE_ARRAY, .depth = 1, .array = &empty_array};
}
value value_empty_set(void) { return (value){.kind = VALUE_SET, .depth = 1, .set = &empty_keys}; }
value value_empty_object(void) {
    return (value){.kind = VALUE_OBJECT, .depth = 1, .object = &empty_object};
}

/* ---- Keys: sorted members with an index ---- */

struct value_keys *value_keys_room(struct heap *h, u32 count) {
    struct value_keys *k = heap_alloc(h, sizeof *k + (size_t)count * sizeof(value));
    if (!k) return NULL;
    *k = (struct value_keys){.count = count, .items = (value *)(k + 1)};
    return k;
}

bool value_keys_index(struct heap *h, struct value_keys *k) {
    if (k->count < KEYS_INDEXED_FROM) return true;
    u32 slots = 16;
    while (slots < k->count * 2) slots *= 2;
    u32 *index = heap_alloc(h, slots * sizeof *index);
    if (!index) return false;
    memset(index, 0, slots * sizeof *index);
    for (u32 i = 0; i < k->count; i++) {
        u32 at = value_hash(k->items[i]) & (slots - 1);
        while (index[at]) at = (at + 1) & (slots - 1);
        index[at] = i + 1;
    }
    k->index = index, k->mask = slots - 1;
    return true;
}

s64 value_position(const struct value_keys *k, value key) {
    if (k->index) {
        for (u32 at = value_hash(key) & k->mask; k->index[at]; at = (at + 1) & k->mask)
            if (value_equal(k->items[k->index[at] - 1], key)) return k->index[at] - 1;
        return -1;
    }
    for (u32 i = 0; i < k->count; i++)
        if (value_equal(k->items[i], key)) return i;
    return -1;
}

bool value_has(value set, value member) {
    return set.kind == VALUE_SET && value_position(set.set, member) >= 0;
}

value value_set_of_keys(const struct value_keys *k) {
    return (value){.kind = VALUE_SET, .depth = value_depth_over(k->items, k->count), .set = k};
}

value value_object_of_keys(struct heap *h, const struct value_keys *k, value **values) {
    struct value_object *o = heap_alloc(h, sizeof *o + (size_t)k->count * sizeof(value));
    if (!o) return value_null();
    *o = (struct value_object){.keys = k};
    *values = o->values;
    return (value){.kind = VALUE_OBJECT, .object = o};
}

value value_set(struct heap *h, const value *items, size_t count) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_SET);
    for (size_t i = 0; i < count; i++) value_builder_add(&b, items[i]);
    return value_builder_close(&b);
}

value value_object(struct heap *h, const value *keys, const value *values, size_t count) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (size_t i = 0; i < count; i++) value_builder_replace(&b, keys[i], values[i]);
    return value_builder_close(&b);
}

/* ---- Looking ---- */

u32 value_count(value v) {
    switch (v.kind) {
    case VALUE_ARRAY: return v.array->count;
    case VALUE_OBJECT: return v.object->keys->count;
    case VALUE_SET: return v.set->count;
    default: return 0;
    }
}

value value_get(value c, value key) {
    s64 at;
    switch (c.kind) {
    case VALUE_ARRAY:
        if (key.kind != VALUE_NUMBER || key.boxed) return UNDEFINED;
        if (key.integer < 0 || key.integer >= c.array->count) return UNDEFINED;
        return c.array->items[key.integer];
    case VALUE_OBJECT:
        at = value_position(c.object->keys, key);
        return at < 0 ? UNDEFINED : c.object->values[at];
    case VALUE_SET:
        at = value_position(c.set, key);
        return at < 0 ? UNDEFINED : c.set->items[at];
    default: return UNDEFINED;
    }
}

value value_get_str(value object, str key) {
    if (object.kind != VALUE_OBJECT) return UNDEFINED;
    const struct value_keys *k = object.object->keys;
    u32 hash = value_hash_text(key);
    if (!k->index) {
        for (u32 i = 0; i < k->count; i++)
            if (k->items[i].kind == VALUE_STRING && k->items[i].hash == hash &&
                str_eq(value_str(k->items[i]), key))
                return object.object->values[i];
        return UNDEFINED;
    }
    for (u32 at = hash & k->mask; k->index[at]; at = (at + 1) & k->mask) {
        value item = k->items[k->index[at] - 1];
        if (item.kind == VALUE_STRING && item.hash == hash && str_eq(value_str(item), key))
            return object.object->values[k->index[at] - 1];
    }
    return UNDEFINED;
}

/* ---- Order, equality, hash ---- */

static int compare_lists(const value *a, u32 a_count, const value *b, u32 b_count) {
    for (u32 i = 0; i < a_count && i < b_count; i++) {
        int order = value_compare(a[i], b[i]);
        if (order) return order;
    }
    return a_count < b_count ? -1 : a_count > b_count;
}

static int compare_objects(const struct value_object *a, const struct value_object *b) {
    u32 n = MIN(a->keys->count, b->keys->count);
    for (u32 i = 0; i < n; i++) {
        int order = a->keys == b->keys ? 0 : value_compare(a->keys->items[i], b->keys->items[i]);
        if (!order) order = value_compare(a->values[i], b->values[i]);
        if (order) return order;
    }
    return a->keys->count < b->keys->count ? -1 : a->keys->count > b->keys->count;
}

int value_compare(value a, value b) {
    if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
    if (a.bits == b.bits && a.boxed == b.boxed) return 0;
    switch (a.kind) {
    case VALUE_BOOLEAN: return a.integer < b.integer ? -1 : 1;
    case VALUE_NUMBER:
        if (!a.boxed && !b.boxed) return a.integer < b.integer ? -1 : 1;
        return number_compare(a, b);
    case VALUE_STRING: return str_cmp(value_str(a), value_str(b));
    case VALUE_ARRAY:
        return compare_lists(a.array->items, a.array->count, b.array->items, b.array->count);
    case VALUE_OBJECT: return compare_objects(a.object, b.object);
    case VALUE_SET: return compare_lists(a.set->items, a.set->count, b.set->items, b.set->count);
    default: return 0;
    }
}

/* Both of one kind, and not the same cell: see value_equal. Hashes that are known and differ save
 * the walk. */
bool value_equal_slow(value a, value b) {
    switch (a.kind) {
    case VALUE_STRING: return str_eq(value_str(a), value_str(b));
    case VALUE_NUMBER: return number_compare(a, b) == 0;
    case VALUE_ARRAY:
        if (a.array->count != b.array->count) return false;
        if (a.array->hash && b.array->hash && a.array->hash != b.array->hash) return false;
        for (u32 i = 0; i < a.array->count; i++)
            if (!value_equal(a.array->items[i], b.array->items[i])) return false;
        return true;
    case VALUE_SET:
        if (a.set->count != b.set->count) return false;
        if (a.set->hash && b.set->hash && a.set->hash != b.set->hash) return false;
        for (u32 i = 0; i < a.set->count; i++)
            if (!value_equal(a.set->items[i], b.set->items[i])) return false;
        return true;
    case VALUE_OBJECT:
        if (a.object->keys->count != b.object->keys->count) return false;
        if (a.object->keys != b.object->keys)
            for (u32 i = 0; i < a.object->keys->count; i++)
                if (!value_equal(a.object->keys->items[i], b.object->keys->items[i])) return false;
        for (u32 i = 0; i < a.object->keys->count; i++)
            if (!value_equal(a.object->values[i], b.object->values[i])) return false;
        return true;
    default: return false;
    }
}

static u32 hash_mix(u32 h, u32 with) {
    u64 m = (u64)(h ^ with) * 0x9E3779B97F4A7C15ull;
    return (u32)(m >> 32) ^ (u32)m;
}

static u32 hash_list(u32 h, const value *items, u32 count) {
    for (u32 i = 0; i < count; i++) h = hash_mix(h, value_hash(items[i]));
    return h ? h : 1;
}

static u32 hash_node(u32 *known, u32 fresh) {
    __atomic_store_n(known, fresh, __ATOMIC_RELAXED);
    return fresh;
}

u32 value_hash(value v) {
    u32 known;
    switch (v.kind) {
    case VALUE_STRING: return v.hash;
    case VALUE_NUMBER:
        if (v.boxed) return number_hash(v);
        return hash_mix((u32)v.integer, (u32)(v.integer >> 32) + (u32)hash_seed);
    case VALUE_ARRAY:
        if (!v.array->count) return 3;
        known = __atomic_load_n(&v.array->hash, __ATOMIC_RELAXED);
        if (known) return known;
        return hash_node((u32 *)&v.array->hash, hash_list(5, v.array->items, v.array->count));
    case VALUE_SET:
        if (!v.set->count) return 7;
        known = __atomic_load_n(&v.set->hash, __ATOMIC_RELAXED);
        if (known) return known;
        return hash_node((u32 *)&v.set->hash, hash_list(11, v.set->items, v.set->count));
    case VALUE_OBJECT:
        if (!v.object->keys->count) return 13;
        known = __atomic_load_n(&v.object->hash, __ATOMIC_RELAXED);
        if (known) return known;
        return hash_node((u32 *)&v.object->hash,
                         hash_list(hash_list(17, v.object->keys->items, v.object->keys->count),
                                   v.object->values, v.object->keys->count));
    default: return hash_mix(v.kind, (u32)v.integer);
    }
}

/* ---- Copies ---- */

static value copy_keys(struct heap *to, const struct value_keys *from,
                       const struct value_keys **out) {
    struct value_keys *k = value_keys_room(to, from->count);
    *out = &empty_keys;
    if (!k) return value_null();
    for (u32 i = 0; i < from->count; i++) k->items[i] = value_copy(to, from->items[i]);
    if (!value_keys_index(to, k)) return value_null();
    *out = k;
    return value_set_of_keys(k);
}

value value_copy(struct heap *to, value v) {
    if (v.kind == VALUE_STRING) return value_string(to, value_str(v));
    if (v.kind == VALUE_NUMBER && v.boxed) {
        size_t bytes = sizeof *v.number + v.number->len + 1;
        struct value_number *n = heap_alloc(to, bytes);
        if (!n) return value_null();
        memcpy(n, v.number, bytes);
        v.number = n;
        return v;
    }
    if (v.kind < VALUE_ARRAY || value_count(v) == 0) return v;
    if (v.kind == VALUE_ARRAY) {
        value copy = value_array(to, v.array->items, v.array->count);
        if (copy.kind != VALUE_ARRAY) return copy;
        for (u32 i = 0; i < v.array->count; i++)
            copy.array->items[i] = value_copy(to, v.array->items[i]);
        return copy;
    }
    const struct value_keys *keys;
    value set = copy_keys(to, v.kind == VALUE_SET ? v.set : v.object->keys, &keys);
    if (v.kind == VALUE_SET || !value_defined(set) || set.kind == VALUE_NULL) return set;
    value *cells;
    value copy = value_object_of_keys(to, keys, &cells);
    if (copy.kind != VALUE_OBJECT) return copy;
    copy.depth = v.depth;
    for (u32 i = 0; i < keys->count; i++) cells[i] = value_copy(to, v.object->values[i]);
    return copy;
}
