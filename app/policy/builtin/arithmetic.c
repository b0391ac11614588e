/* SPDX-License-Identifier: Apache-2.0 */
/* arithmetic.c — + - * / %, rounding, bits, ranges. The numbers themselves: value/number.c.
 *
 * Small whole numbers are done here without a call; everything else goes to number.c, which is
 * exact for whole numbers of any size. */
#include "app/policy/builtin/builtin_impl.h"

static bool take_two(struct builtin_call *c, const value *args) {
    return builtin_take_number(c, args, 0) && builtin_take_number(c, args, 1);
}
/* Results have at most NUMBER_TEXT_MAX digits. */
static value checked(struct builtin_call *c, value result, const char *why) {
    if (result.kind == VALUE_NUMBER) {
        if (!result.boxed) return result;
        return builtin_tick(c, result.number->len / 64) ? result : UNDEFINED;
    }
    return builtin_fail(c, "%s", why ? why : "number is too large");
}

value builtin_plus(struct builtin_call *c, const value *args) {
    if (!take_two(c, args)) return UNDEFINED;
    s64 sum;
    if (!args[0].boxed && !args[1].boxed &&
        !__builtin_add_overflow(args[0].integer, args[1].integer, &sum))
        return value_integer(sum);
    return checked(c, number_add(c->heap, args[0], args[1]), NULL);
}
value builtin_mul(struct builtin_call *c, const value *args) {
    if (!take_two(c, args)) return UNDEFINED;
    s64 product;
    if (!args[0].boxed && !args[1].boxed &&
        !__builtin_mul_overflow(args[0].integer, args[1].integer, &product))
        return value_integer(product);
    return checked(c, number_multiply(c->heap, args[0], args[1]), NULL);
}
value builtin_div(struct builtin_call *c, const value *args) {
    if (!take_two(c, args)) return UNDEFINED;
    const char *why = NULL;
    value v = number_divide(c->heap, args[0], args[1], &why);
    return checked(c, v, why);
}
value builtin_rem(struct builtin_call *c, const value *args) {
    if (!take_two(c, args)) return UNDEFINED;
    const char *why = NULL;
    value v = number_modulo(c->heap, args[0], args[1], &why);
    return checked(c, v, why);
}

static value set_difference(struct builtin_call *c, value a, value b) {
    u32 count = value_count(a);
    if (count == 0 || value_count(b) == 0) return a;
    if (!builtin_tick(c, count)) return UNDEFINED;
    value *left = heap_alloc(c->heap, count * sizeof(value));
    if (!left) return UNDEFINED;
    u32 n = 0;
    for (u32 i = 0; i < count; i++)
        if (!value_has(b, value_item(a, i))) left[n++] = value_item(a, i);
    return n == count ? a : value_set(c->heap, left, n);
}

value builtin_minus(struct builtin_call *c, const value *args) {
    u8 a = args[0].kind, b = args[1].kind;
    if (a == VALUE_NUMBER && b == VALUE_NUMBER) {
        s64 rest;
        if (!args[0].boxed && !args[1].boxed &&
            !__builtin_sub_overflow(args[0].integer, args[1].integer, &rest))
            return value_integer(rest);
        return checked(c, number_subtract(c->heap, args[0], args[1]), NULL);
    }
    if (a == VALUE_SET && b == VALUE_SET) return set_difference(c, args[0], args[1]);
    if (a != VALUE_NUMBER && a != VALUE_SET)
        return builtin_fail_operand(c, 1, "{number, set}", args[0]);
    return builtin_fail_operand(c, 2, b == VALUE_NUMBER ? "set" : "number", args[1]);
}
value builtin_set_diff(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_SET) || !builtin_take_kind(c, args, 1, VALUE_SET))
        return UNDEFINED;
    return set_difference(c, args[0], args[1]);
}

typedef value round_fn(struct heap *h, value n);
static value rounded(struct builtin_call *c, const value *args, round_fn *by) {
    if (!builtin_take_number(c, args, 0)) return UNDEFINED;
    return checked(c, by(c->heap, args[0]), NULL);
}
value builtin_round(struct builtin_call *c, const value *args) {
    return rounded(c, args, number_round);
}
value builtin_ceil(struct builtin_call *c, const value *args) {
    return rounded(c, args, number_ceil);
}
value builtin_floor(struct builtin_call *c, const value *args) {
    return rounded(c, args, number_floor);
}
value builtin_abs(struct builtin_call *c, const value *args) {
    return rounded(c, args, number_absolute);
}

/* ---- Bits ---- */

typedef value bits_fn(struct heap *h, value a, value b);
static value bits(struct builtin_call *c, const value *args, bits_fn *by) {
    if (!builtin_take_whole(c, args, 0) || !builtin_take_whole(c, args, 1)) return UNDEFINED;
    return checked(c, by(c->heap, args[0], args[1]), NULL);
}
value builtin_bits_and(struct builtin_call *c, const value *args) {
    return bits(c, args, number_and);
}
value builtin_bits_or(struct builtin_call *c, const value *args) {
    return bits(c, args, number_or);
}
value builtin_bits_xor(struct builtin_call *c, const value *args) {
    return bits(c, args, number_xor);
}
value builtin_bits_negate(struct builtin_call *c, const value *args) {
    if (!builtin_take_whole(c, args, 0)) return UNDEFINED;
    return checked(c, number_negate_bits(c->heap, args[0]), NULL);
}

enum { SHIFT_MAX = NUMBER_TEXT_MAX * 4 }; /* bits: more than the digits of any number */

/* Left by more than any number may hold is an error; right by more leaves the sign. */
static value shift(struct builtin_call *c, const value *args, bool left) {
    if (!builtin_take_whole(c, args, 0) || !builtin_take_whole(c, args, 1)) return UNDEFINED;
    if (number_compare(args[1], value_integer(0)) < 0)
        return builtin_fail_operand_because(
            c, 2, "must be an unsigned integer number but got a negative integer");
    s64 by;
    bool far = number_to_s64(args[1], &by) != RC_OK || by > SHIFT_MAX;
    if (number_compare(args[0], value_integer(0)) == 0) return value_integer(0);
    if (far && left) return builtin_fail(c, "number is too large");
    if (far) return value_integer(number_compare(args[0], value_integer(0)) < 0 ? -1 : 0);
    if (!builtin_tick(c, left ? 1 + (u32)by / 256 : 1)) return UNDEFINED;
    value v = left ? number_shift_left(c->heap, args[0], (u32)by)
                   : number_shift_right(c->heap, args[0], (u32)by);
    return checked(c, v, NULL);
}
value builtin_bits_lsh(struct builtin_call *c, const value *args) { return shift(c, args, true); }
value builtin_bits_rsh(struct builtin_call *c, const value *args) { return shift(c, args, false); }

/* ---- Ranges ---- */

/* Counted before it is made: what cannot fit the heap ends at once, the rest at the budget. */
static value range_small(struct builtin_call *c, s64 from, s64 to, u64 step) {
    u64 span = from <= to ? (u64)to - (u64)from : (u64)from - (u64)to, count = span / step;
    if (count >= UINT32_MAX - 1 || count >= c->heap->bytes_max / sizeof(value))
        return builtin_fail_memory(c);
    struct value_builder b;
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (u64 i = 0; i <= count; i++) {
        if ((i & 255) == 0 && !builtin_tick(c, 256)) return UNDEFINED;
        u64 at = from <= to ? (u64)from + i * step : (u64)from - i * step;
        value_builder_add(&b, value_integer((s64)at));
    }
    return value_builder_close(&b);
}

static value range(struct builtin_call *c, value from, value to, value step) {
    s64 a, b, by;
    bool small = number_to_s64(from, &a) == RC_OK && number_to_s64(to, &b) == RC_OK;
    if (small && number_to_s64(step, &by) == RC_OK) return range_small(c, a, b, (u64)by);
    bool up = number_compare(from, to) <= 0;
    struct value_builder list;
    value_builder_open(&list, c->heap, VALUE_ARRAY);
    for (value i = from; up ? number_compare(i, to) <= 0 : number_compare(i, to) >= 0;
         i = up ? number_add(c->heap, i, step) : number_subtract(c->heap, i, step)) {
        if (i.kind != VALUE_NUMBER) return builtin_fail_memory(c);
        if (!builtin_tick(c, 4)) return UNDEFINED;
        /* The reference counts in whole numbers: 1e2 comes out as 100. */
        value_builder_add(&list, number_floor(c->heap, i));
    }
    return value_builder_close(&list);
}

value builtin_numbers_range(struct builtin_call *c, const value *args) {
    if (!builtin_take_whole(c, args, 0) || !builtin_take_whole(c, args, 1)) return UNDEFINED;
    return range(c, args[0], args[1], value_integer(1));
}
value builtin_numbers_range_step(struct builtin_call *c, const value *args) {
    if (!builtin_take_whole(c, args, 0) || !builtin_take_whole(c, args, 1) ||
        !builtin_take_whole(c, args, 2))
        return UNDEFINED;
    if (number_compare(args[2], value_integer(0)) <= 0)
        return builtin_fail(c, "numbers.range_step: step must be a positive integer");
    return range(c, args[0], args[1], args[2]);
}
