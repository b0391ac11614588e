/* SPDX-License-Identifier: Apache-2.0 */
/* float_digits.h — a double's exact decimal digits, and rounding them. */
#pragma once
#include "kernel/base/buf.h"

enum { FLOAT_DIGITS_MAX = 800 }; /* a double has at most 767 */
struct float_digits {
    u32 count; /* of digits; 0: the value is zero */
    s32 point; /* 0.d1d2d3... times 10^point */
    char digits[FLOAT_DIGITS_MAX];
};
void float_digits_of_double(struct float_digits *d, double v);  /* |v|, finite; exact */
void float_digits_of_text(struct float_digits *d,
                          str number); /* |number| in JSON's syntax, at most 800 digits of it */
void float_digits_round(struct float_digits *d, s32 digits);    /* to that many; ties to even */
/* As the reference's strconv writes: 'e' 'E' 'f' 'g' 'G'; precision -1: all digits there are. */
void float_digits_write(struct buf *to, const struct float_digits *d, char how, s32 precision,
                        bool shortest);
