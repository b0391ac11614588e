/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate.c — one answer out of a collection: count sum product max min sort any all, membership.
 *
 * Sums of whole numbers are exact at any size; one fraction among them and the whole sum is done in
 * the number format of fractions, in order, as the reference does it. */
#include "app/policy/builtin/builtin_impl.h"

value builtin_count(struct builtin_call *c, const value *args) {
    value v = args[0];
    switch (v.kind) {
    case VALUE_ARRAY: case VALUE_OBJECT: case VALUE_SET: return value_integer(value_count(v));
    case VALUE_STRING: return value_integer((s64)rune_count(value_str(v)));
    default: return builtin_fail_operand(c, 1, "{array, object, set, string}", v);
    }
}

/* The numbers of a collection: are they all whole? false with the call failed: not all numbers. */
static bool take_numbers(struct builtin_call *c, value collection, bool *whole) {
    if (!builtin_is_sequence(collection)) {
        builtin_fail_operand(c, 1, "{set, array}", collection);
        return false;
    }
    *whole = true;
    for (u32 i = 0; i < value_count(collection); i++) {
        value v = value_item(collection, i);
        if (v.kind != VALUE_NUMBER) {
            builtin_fail_element(c, 1, collection, "number", v);
            return false;
        }
        *whole = *whole && number_is_whole(v);
    }
    return builtin_tick(c, value_count(collection));
}

typedef value fold_fn(struct heap *h, value a, value b);
static value fold(struct builtin_call *c, value collection, s64 start, fold_fn *step) {
    value total = value_integer(start);
    for (u32 i = 0; i < value_count(collection); i++) {
        total = step(c->heap, total, value_item(collection, i));
        if (total.kind != VALUE_NUMBER) return builtin_fail(c, "number is too large");
        if (total.boxed && !builtin_tick(c, total.number->len / 16)) return UNDEFINED;
    }
    return total;
}

value builtin_sum(struct builtin_call *c, const value *args) {
    bool whole;
    if (!take_numbers(c, args[0], &whole)) return UNDEFINED;
    return fold(c, args[0], 0, number_add);
}
/* The reference multiplies fractions with the mantissa of a double, though it adds them with more.
 */
value builtin_product(struct builtin_call *c, const value *args) {
    bool whole;
    double total = 1;
    if (!take_numbers(c, args[0], &whole)) return UNDEFINED;
    if (whole) return fold(c, args[0], 1, number_multiply);
    for (u32 i = 0; i < value_count(args[0]); i++)
        total *= number_to_double(value_item(args[0], i));
    value v = value_number_of_double(c->heap, total);
    return v.kind == VALUE_NUMBER ? v : builtin_fail(c, "number is too large");
}

/* Of equal ones (1 and 1.0) an array gives the last: the reference keeps replacing. */
static value extreme(struct builtin_call *c, value collection, int sign) {
    if (!builtin_is_sequence(collection))
        return builtin_fail_operand(c, 1, "{set, array}", collection);
    u32 count = value_count(collection);
    if (count == 0) return UNDEFINED;
    if (collection.kind == VALUE_SET) return value_item(collection, sign > 0 ? count - 1 : 0);
    if (!builtin_tick(c, count)) return UNDEFINED;
    value best = value_item(collection, 0);
    for (u32 i = 1; i < count; i++)
        if (value_compare(value_item(collection, i), best) * sign >= 0)
            best = value_item(collection, i);
    return best;
}
value builtin_max(struct builtin_call *c, const value *args) { return extreme(c, args[0], 1); }
value builtin_min(struct builtin_call *c, const value *args) { return extreme(c, args[0], -1); }

value builtin_sort(struct builtin_call *c, const value *args) {
    value v = args[0];
    if (!builtin_is_sequence(v)) return builtin_fail_operand(c, 1, "{set, array}", v);
    u32 count = value_count(v);
    if (v.kind == VALUE_SET) return value_array(c->heap, v.set->items, count);
    u32 log2 = count ? 32 - (u32)__builtin_clz(count) : 0;
    if (!builtin_tick(c, count / 4 * log2)) return UNDEFINED;
    value *items = heap_alloc(c->heap, (size_t)count * sizeof(value));
    if (!items) return UNDEFINED;
    if (count) memcpy(items, v.array->items, count * sizeof(value));
    value_sort(c->heap, items, count);
    return value_array(c->heap, items, count);
}

value builtin_all(struct builtin_call *c, const value *args) {
    if (!builtin_is_sequence(args[0])) return builtin_fail_operand(c, 1, "{array, set}", args[0]);
    for (u32 i = 0; i < value_count(args[0]); i++)
        if (!value_is_true(value_item(args[0], i))) return value_boolean(false);
    return value_boolean(true);
}
value builtin_any(struct builtin_call *c, const value *args) {
    if (!builtin_is_sequence(args[0])) return builtin_fail_operand(c, 1, "{array, set}", args[0]);
    for (u32 i = 0; i < value_count(args[0]); i++)
        if (value_is_true(value_item(args[0], i))) return value_boolean(true);
    return value_boolean(false);
}

value builtin_member(struct builtin_call *c, const value *args) {
    value in = args[1];
    u32 count = value_count(in);
    if (in.kind == VALUE_SET) return value_boolean(value_has(in, args[0]));
    if (in.kind != VALUE_ARRAY && in.kind != VALUE_OBJECT) return value_boolean(false);
    if (!builtin_tick(c, count / 8)) return UNDEFINED;
    const value *items = in.kind == VALUE_ARRAY ? in.array->items : in.object->values;
    for (u32 i = 0; i < count; i++)
        if (value_equal(items[i], args[0])) return value_boolean(true);
    return value_boolean(false);
}
value builtin_member_with_key(struct builtin_call *c, const value *args) {
    (void)c;
    if (args[2].kind == VALUE_SET)
        return value_boolean(value_equal(args[0], args[1]) && value_has(args[2], args[0]));
    value found = value_get(args[2], args[0]);
    return value_boolean(value_defined(found) && value_equal(found, args[1]));
}
