/* SPDX-License-Identifier: Apache-2.0 */
/* number.h — numbers as the reference treats them: a whole number of any size stays whole, any
 * other keeps the decimal text it was written with; arithmetic on those that are not whole is
 * done as the reference does it, with 64 bits of mantissa, rounded to nearest even, and written
 * with the fewest digits that read back the same.
 *
 * In a cell: a whole number that fits 64 bits and is written plainly lies in the cell itself;
 * everything else ("1.0", "1e3", "-0", 2^70) is a node with its text. */
#pragma once
#include "app/policy/value/value.h"

struct value_number {
    u32 len;
    bool whole;  /* the value is an integer, whatever the text ("1.0", "1e3", 2^70) */
    char text[]; /* JSON's number syntax; NUL-terminated */
};

/* JSON's number syntax, else UNDEFINED. Long texts and exponents are refused beyond
 * NUMBER_TEXT_MAX and NUMBER_EXPONENT_MAX. */
value value_number(struct heap *h, str text);
value value_number_of_u64(struct heap *h, u64 n);
value value_number_of_double(struct heap *h, double d); /* shortest text; UNDEFINED: not finite */

#define NUMBER_TEXT_ROOM 24
/* The text; `room` is used when the number lies in the cell. */
str number_text(value n, char room[NUMBER_TEXT_ROOM]);
bool number_is_whole(value n);
/* RC_INVALID: not whole. RC_LIMIT: whole, but too large. */
rc_t number_to_s64(value n, s64 *out);
double number_to_double(value n); /* nearest; infinite when out of range */

int number_compare(value a, value b); /* by value, exactly */
u32 number_hash(value n);

/* Arithmetic: whole numbers exactly, all else as floats. UNDEFINED: the result is larger than
 * NUMBER_EXPONENT_MAX allows; where there is a `why` it is always set to a reason, in the
 * reference's words where it has them: "divide by zero", "modulo by zero", "modulo on
 * floating-point number". */
value number_add(struct heap *h, value a, value b);
value number_subtract(struct heap *h, value a, value b);
value number_multiply(struct heap *h, value a, value b);
value number_divide(struct heap *h, value a, value b, const char **why);
value number_modulo(struct heap *h, value a, value b, const char **why);
value number_round(struct heap *h, value n);
value number_ceil(struct heap *h, value n);
value number_floor(struct heap *h, value n);
value number_absolute(struct heap *h, value n);
/* Bits: whole numbers of any size, two's complement as if without end. UNDEFINED: an argument is
 * not whole, or the result has more than NUMBER_TEXT_MAX digits. */
value number_and(struct heap *h, value a, value b);
value number_or(struct heap *h, value a, value b);
value number_xor(struct heap *h, value a, value b);
value number_negate_bits(struct heap *h, value a);
value number_shift_left(struct heap *h, value a, u32 by);
value number_shift_right(struct heap *h, value a, u32 by);
/* Whole number to text in base 2, 8, 10, 16 and back; RC_INVALID / UNDEFINED. */
rc_t number_format(value n, int base, struct buf *out);
value number_parse(struct heap *h, str digits, int base);
