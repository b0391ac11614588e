/* SPDX-License-Identifier: Apache-2.0 */
/* collection.c — arrays and sets as wholes: concat slice reverse flatten, and or union
 * intersection. */
#include "app/policy/builtin/builtin_impl.h"

/* ---- Arrays ---- */

static value *cells(struct builtin_call *c, size_t count) {
    if (!builtin_tick(c, (u32)MIN(count / 4, (size_t)UINT32_MAX))) return NULL;
    return heap_alloc(c->heap, MAX(count, (size_t)1) * sizeof(value));
}
static void put(value **to, value array) {
    if (value_count(array)) memcpy(*to, array.array->items, value_count(array) * sizeof(value));
    *to += value_count(array);
}

value builtin_array_concat(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY) || !builtin_take_kind(c, args, 1, VALUE_ARRAY))
        return UNDEFINED;
    if (value_count(args[0]) == 0) return args[1];
    if (value_count(args[1]) == 0) return args[0];
    size_t count = (size_t)value_count(args[0]) + value_count(args[1]);
    value *all = cells(c, count), *to = all;
    if (!all) return UNDEFINED;
    put(&to, args[0]);
    put(&to, args[1]);
    return value_array(c->heap, all, count);
}

value builtin_array_slice(struct builtin_call *c, const value *args) {
    s64 start, stop;
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY) || !builtin_take_integer(c, args, 1, &start) ||
        !builtin_take_integer(c, args, 2, &stop))
        return UNDEFINED;
    s64 count = value_count(args[0]);
    stop = MAX(0, MIN(stop, count));
    start = MAX(0, MIN(start, stop));
    if (start == 0 && stop == count) return args[0];
    return value_array(c->heap, args[0].array->items + start, (size_t)(stop - start));
}

value builtin_array_reverse(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY)) return UNDEFINED;
    u32 count = value_count(args[0]);
    value *all = cells(c, count);
    if (!all) return UNDEFINED;
    for (u32 i = 0; i < count; i++) all[i] = value_item(args[0], count - 1 - i);
    return value_array(c->heap, all, count);
}

/* One level: arrays in the array give their elements, everything else stays. */
value builtin_array_flatten(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY)) return UNDEFINED;
    size_t count = 0;
    for (u32 i = 0; i < value_count(args[0]); i++) {
        value v = value_item(args[0], i);
        count += v.kind == VALUE_ARRAY ? value_count(v) : 1;
    }
    value *all = cells(c, count), *to = all;
    if (!all) return UNDEFINED;
    for (u32 i = 0; i < value_count(args[0]); i++) {
        value v = value_item(args[0], i);
        if (v.kind == VALUE_ARRAY) put(&to, v);
        else *to++ = v;
    }
    return value_array(c->heap, all, count);
}

/* ---- Sets ---- */

static value both(struct builtin_call *c, value a, value b) {
    if (value_count(b) < value_count(a)) {
        value swap = a;
        a = b, b = swap;
    }
    value *all = cells(c, value_count(a));
    if (!all) return UNDEFINED;
    u32 n = 0;
    for (u32 i = 0; i < value_count(a); i++)
        if (value_has(b, value_item(a, i))) all[n++] = value_item(a, i);
    return n == value_count(a) ? a : value_set(c->heap, all, n);
}

static value either(struct builtin_call *c, value a, value b) {
    if (value_count(a) == 0) return b;
    if (value_count(b) == 0) return a;
    /* Both are sorted: one pass. Of equal members the first set's is kept. */
    u32 i = 0, j = 0;
    value *all = cells(c, (size_t)value_count(a) + value_count(b));
    if (!all) return UNDEFINED;
    size_t n = 0;
    while (i < value_count(a) && j < value_count(b)) {
        int order = value_compare(value_item(a, i), value_item(b, j));
        all[n++] = order <= 0 ? value_item(a, i) : value_item(b, j);
        i += order <= 0, j += order >= 0;
    }
    while (i < value_count(a)) all[n++] = value_item(a, i++);
    while (j < value_count(b)) all[n++] = value_item(b, j++);
    return value_set(c->heap, all, n);
}

value builtin_and(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_SET) || !builtin_take_kind(c, args, 1, VALUE_SET))
        return UNDEFINED;
    return both(c, args[0], args[1]);
}
value builtin_or(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_SET) || !builtin_take_kind(c, args, 1, VALUE_SET))
        return UNDEFINED;
    return either(c, args[0], args[1]);
}

static bool take_sets(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_SET)) return false;
    for (u32 i = 0; i < value_count(args[0]); i++) {
        value v = value_item(args[0], i);
        if (v.kind == VALUE_SET) continue;
        builtin_fail_operand(c, 1, "set", v);
        return false;
    }
    return true;
}

value builtin_intersection(struct builtin_call *c, const value *args) {
    if (!take_sets(c, args)) return UNDEFINED;
    if (value_count(args[0]) == 0) return value_empty_set();
    value all = value_item(args[0], 0);
    for (u32 i = 1; i < value_count(args[0]) && all.kind == VALUE_SET; i++)
        all = both(c, all, value_item(args[0], i));
    return all;
}
value builtin_union(struct builtin_call *c, const value *args) {
    struct value_builder b;
    if (!take_sets(c, args)) return UNDEFINED;
    if (value_count(args[0]) == 1) return value_item(args[0], 0);
    value_builder_open(&b, c->heap, VALUE_SET);
    for (u32 i = 0; i < value_count(args[0]); i++) {
        value one = value_item(args[0], i);
        if (!builtin_tick(c, value_count(one))) return UNDEFINED;
        for (u32 k = 0; k < value_count(one); k++) value_builder_add(&b, value_item(one, k));
    }
    return value_builder_close(&b);
}
