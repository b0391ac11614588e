/* SPDX-License-Identifier: Apache-2.0 */
/* number_impl.h — what the files of numbers share: decimals as digits, floats of 64 bits. */
#pragma once
#include <mbedtls/bignum.h>
#include "app/policy/value/number.h"
#include "kernel/base/limits.h"

/* 0.d1d2d3... x 10^point, without zeros at either end; no digits: zero. */
struct decimal {
    bool negative;
    u32 count;
    s32 point;
    char digits[NUMBER_TEXT_MAX + 1];
};
rc_t decimal_read(struct decimal *d, str json_number); /* RC_INVALID, RC_LIMIT */
void decimal_of(struct decimal *d, value n);
static inline bool decimal_is_whole(const struct decimal *d) {
    return d->point >= (s32)d->count;
}

/* mantissa x 2^exponent; the mantissa's top bit is set, or it is 0. As the reference's floats:
 * 64 bits, round to nearest, ties to even; the exponent has no bounds that matter here. */
struct bigfloat {
    bool negative;
    u64 mantissa;
    s64 exponent;
};
rc_t bigfloat_of(struct bigfloat *f, const struct decimal *d); /* RC_NO_MEMORY */
struct bigfloat bigfloat_round(bool negative, unsigned __int128 m, s64 exponent, bool sticky);
struct bigfloat bigfloat_add(struct bigfloat a, struct bigfloat b);
struct bigfloat bigfloat_multiply(struct bigfloat a, struct bigfloat b);
struct bigfloat bigfloat_divide(struct bigfloat a, struct bigfloat b); /* b is not 0 */
struct bigfloat bigfloat_truncate(struct bigfloat f);                  /* towards zero */
bool bigfloat_is_whole(struct bigfloat f);
/* As the reference writes it: plainly when whole, else with the fewest digits that read back.
 * UNDEFINED: more than NUMBER_TEXT_MAX digits. */
value bigfloat_value(struct heap *h, struct bigfloat f);

rc_t whole_read(mbedtls_mpi *to, value n); /* RC_INVALID: not whole; RC_NO_MEMORY */
value whole_value(struct heap *h, const mbedtls_mpi *n);
