/* SPDX-License-Identifier: Apache-2.0 */
/* object.c — object.get keys remove filter union union_n subset. (Paths and patches: json_path.c.)
 */
#include "app/policy/builtin/builtin_impl.h"

value builtin_object_get(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return UNDEFINED;
    value at = args[0];
    if (args[1].kind != VALUE_ARRAY) at = value_get(at, args[1]);
    else
        for (u32 i = 0; i < value_count(args[1]) && value_defined(at); i++)
            at = value_get(at, value_item(args[1], i));
    return value_defined(at) ? at : args[2];
}

value builtin_object_keys(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return UNDEFINED;
    if (!builtin_tick(c, value_count(args[0]))) return UNDEFINED;
    return value_set(c->heap, args[0].object->keys->items, value_count(args[0]));
}

/* ---- Removing and keeping keys ---- */

static value with_keys(struct builtin_call *c, const value *args, bool keep) {
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return UNDEFINED;
    value object = args[0], names = args[1];
    if (names.kind != VALUE_ARRAY && names.kind != VALUE_SET && names.kind != VALUE_OBJECT)
        return builtin_fail_operand(c, 2, "{object, set, array}", names);
    if (!builtin_tick(c, value_count(object) + value_count(names))) return UNDEFINED;
    if (names.kind == VALUE_ARRAY)
        names = value_set(c->heap, names.array->items, value_count(names));
    if (names.kind == VALUE_NULL) return UNDEFINED; /* the heap is exhausted */
    const struct value_keys *named = names.kind == VALUE_SET ? names.set : names.object->keys;
    u32 count = value_count(object), n = 0;
    value *keys = heap_alloc(c->heap, 2 * (size_t)count * sizeof(value));
    if (!keys) return UNDEFINED;
    value *values = keys + count;
    for (u32 i = 0; i < count; i++) {
        if ((value_position(named, value_key_at(object, i)) >= 0) != keep) continue;
        keys[n] = value_key_at(object, i);
        values[n++] = value_value_at(object, i);
    }
    return n == count ? object : value_object(c->heap, keys, values, n);
}
value builtin_object_remove(struct builtin_call *c, const value *args) {
    return with_keys(c, args, false);
}
value builtin_object_filter(struct builtin_call *c, const value *args) {
    return with_keys(c, args, true);
}

/* ---- Union: the right wins, objects below are united in turn ---- */

static value unite(struct builtin_call *c, value a, value b);

static void unite_into(struct builtin_call *c, struct value_builder *to, value object) {
    if (!builtin_tick(c, value_count(object))) return;
    for (u32 i = 0; i < value_count(object); i++) {
        value key = value_key_at(object, i), v = value_value_at(object, i);
        if (v.kind == VALUE_OBJECT) {
            value old = value_builder_find(to, key);
            if (old.kind == VALUE_OBJECT) v = unite(c, old, v);
            if (c->failed) return;
        }
        value_builder_replace(to, key, v);
    }
}

static value unite(struct builtin_call *c, value a, value b) {
    struct value_builder all;
    if (value_count(a) == 0) return b;
    if (value_count(b) == 0) return a;
    value_builder_open(&all, c->heap, VALUE_OBJECT);
    unite_into(c, &all, a);
    unite_into(c, &all, b);
    if (c->failed || c->heap->exhausted) return UNDEFINED;
    return value_builder_close(&all);
}

value builtin_object_union(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT) ||
        !builtin_take_kind(c, args, 1, VALUE_OBJECT))
        return UNDEFINED;
    /* Of equals the left one, which may be written otherwise: 1 and 1.0. */
    return value_equal(args[0], args[1]) ? args[0] : unite(c, args[0], args[1]);
}

value builtin_object_union_n(struct builtin_call *c, const value *args) {
    struct value_builder all;
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY)) return UNDEFINED;
    for (u32 i = value_count(args[0]); i-- > 0;)
        if (value_item(args[0], i).kind != VALUE_OBJECT)
            return builtin_fail_element(c, 1, args[0], "object", value_item(args[0], i));
    value_builder_open(&all, c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(args[0]) && !c->failed; i++)
        unite_into(c, &all, value_item(args[0], i));
    if (c->failed || c->heap->exhausted) return UNDEFINED;
    return value_builder_close(&all);
}

/* ---- Subset ---- */

static bool set_within(value big, value small) {
    for (u32 i = 0; i < value_count(small); i++)
        if (!value_has(big, value_item(small, i))) return false;
    return true;
}

/* As a run, in order. */
static bool array_within(struct builtin_call *c, value big, value small) {
    u32 n = value_count(big), m = value_count(small);
    for (u32 from = 0; from + m <= n; from++) {
        u32 same = 0;
        while (same < m && value_equal(value_item(big, from + same), value_item(small, same)))
            same++;
        if (same == m) return true;
        if (!builtin_tick(c, 1 + same)) return false;
    }
    return false;
}

static bool object_within(struct builtin_call *c, value big, value small) {
    if (!builtin_tick(c, value_count(small))) return false;
    for (u32 i = 0; i < value_count(small); i++) {
        value want = value_value_at(small, i), have = value_get(big, value_key_at(small, i));
        if (!value_defined(have) || have.kind != want.kind) return false;
        bool within = have.kind == VALUE_OBJECT  ? object_within(c, have, want)
                      : have.kind == VALUE_SET   ? set_within(have, want)
                      : have.kind == VALUE_ARRAY ? array_within(c, have, want)
                                                 : value_equal(have, want);
        if (!within) return false;
    }
    return true;
}

/* The reference counts each element that is in the set, so that a repeated one counts twice. */
static bool set_within_array(value array, value set) {
    s64 left = value_count(set);
    for (u32 i = 0; i < value_count(array); i++) {
        left -= value_has(set, value_item(array, i));
        if (left == 0) return true;
    }
    return false;
}

value builtin_object_subset(struct builtin_call *c, const value *args) {
    value big = args[0], small = args[1];
    bool within;
    if (!builtin_tick(c, value_count(big) + value_count(small))) return UNDEFINED;
    if (big.kind == VALUE_OBJECT && small.kind == VALUE_OBJECT)
        within = object_within(c, big, small);
    else if (big.kind == VALUE_SET && small.kind == VALUE_SET) within = set_within(big, small);
    else if (big.kind == VALUE_ARRAY && small.kind == VALUE_ARRAY)
        within = array_within(c, big, small);
    else if (big.kind == VALUE_ARRAY && small.kind == VALUE_SET)
        within = set_within_array(big, small);
    else {
        builtin_fail(c, "both arguments object.subset must be of the same type or array and set");
        c->code = EVAL_TYPE_ERROR;
        return UNDEFINED;
    }
    return c->failed ? UNDEFINED : value_boolean(within);
}
