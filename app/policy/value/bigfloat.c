/* SPDX-License-Identifier: Apache-2.0 */
/* bigfloat.c — numbers with a mantissa of 64 bits, as the reference computes with what is not
 * whole (Go's math/big Float at its default precision).
 *
 * Every operation is exact in 128 bits, or in a multi-precision integer, and rounded once: to
 * nearest, ties to even. `sticky` says that bits below those at hand are not all zero. Printing
 * finds the shortest decimal between the two neighbours' midpoints: quickly for what people write
 * (up to 19 decimals), exactly with big integers for the rest. */
#include "app/policy/value/number_impl.h"
#include <stdio.h>

typedef unsigned __int128 u128;
enum { POWER_MAX = 27 }; /* 5^27 is the last that fits 64 bits */

static u64 power_of_5(u32 n) {
    u64 p = 1;
    while (n--) p *= 5;
    return p;
}

static int bits_of(u128 m) {
    u64 high = (u64)(m >> 64);
    return high ? 128 - __builtin_clzll(high) : m ? 64 - __builtin_clzll((u64)m) : 0;
}

struct bigfloat bigfloat_round(bool negative, u128 m, s64 exponent, bool sticky) {
    if (!m) return (struct bigfloat){.negative = negative};
    int extra = bits_of(m) - 64;
    if (extra <= 0)
        return (struct bigfloat){negative, (u64)m << -extra, exponent + extra};
    u64 kept = (u64)(m >> extra);
    u128 rest = m & (((u128)1 << extra) - 1), half = (u128)1 << (extra - 1);
    bool up = rest > half || (rest == half && (sticky || (kept & 1)));
    exponent += extra;
    if (up && ++kept == 0) kept = 1ull << 63, exponent++;
    return (struct bigfloat){negative, kept, exponent};
}

/* ---- From decimal digits ---- */

/* DIGITS x 10^e with up to 19 digits and a small e: in 128 bits. */
static bool of_short(struct bigfloat *f, const struct decimal *d) {
    s64 e = d->point - (s64)d->count;
    if (d->count > 19 || e > POWER_MAX || e < -POWER_MAX) return false;
    u64 m = 0;
    for (u32 i = 0; i < d->count; i++) m = m * 10 + (u64)(d->digits[i] - '0');
    if (e >= 0) {
        *f = bigfloat_round(d->negative, (u128)m * power_of_5((u32)e), e, false);
        return true;
    }
    u64 divisor = power_of_5((u32)-e);
    int shift = __builtin_clzll(m);
    u128 dividend = (u128)(m << shift) << 64;
    *f = bigfloat_round(d->negative, dividend / divisor, e - shift - 64, dividend % divisor != 0);
    return true;
}

static struct bigfloat round_whole(const mbedtls_mpi *m, bool negative, s64 exponent, bool sticky) {
    size_t bits = mbedtls_mpi_bitlen(m), low = bits > 128 ? bits - 128 : 0;
    u128 top = 0;
    for (size_t i = bits; i-- > low;) top = top << 1 | (u128)mbedtls_mpi_get_bit(m, i);
    for (size_t i = 0; i < low && !sticky; i++) sticky = mbedtls_mpi_get_bit(m, i);
    return bigfloat_round(negative, top, exponent + (s64)low, sticky);
}

static int power_of_5_big(mbedtls_mpi *p, u32 n) {
    int err = mbedtls_mpi_lset(p, 1);
    for (; !err && n; n -= MIN(n, (u32)POWER_MAX)) {
        mbedtls_mpi factor;
        u64 f = power_of_5(MIN(n, (u32)POWER_MAX));
        mbedtls_mpi_init(&factor);
        err = mbedtls_mpi_lset(&factor, (mbedtls_mpi_sint)f);
        if (!err) err = mbedtls_mpi_mul_mpi(p, p, &factor);
        mbedtls_mpi_free(&factor);
    }
    return err;
}

static int of_long(struct bigfloat *f, const struct decimal *d) {
    char text[NUMBER_TEXT_MAX + 2];
    mbedtls_mpi m, power, rest;
    s64 e = d->point - (s64)d->count, shift = 0;
    memcpy(text, d->digits, d->count);
    text[d->count] = 0;
    mbedtls_mpi_init(&m), mbedtls_mpi_init(&power), mbedtls_mpi_init(&rest);
    int err = mbedtls_mpi_read_string(&m, 10, text);
    if (!err) err = power_of_5_big(&power, (u32)(e < 0 ? -e : e));
    if (!err && e >= 0) err = mbedtls_mpi_mul_mpi(&m, &m, &power);
    if (!err && e < 0) {
        shift = (s64)mbedtls_mpi_bitlen(&power) - (s64)mbedtls_mpi_bitlen(&m) + 130;
        if (shift < 0) shift = 0;
        err = mbedtls_mpi_shift_l(&m, (size_t)shift);
        if (!err) err = mbedtls_mpi_div_mpi(&m, &rest, &m, &power);
    }
    if (!err) *f = round_whole(&m, d->negative, e - shift, mbedtls_mpi_bitlen(&rest) != 0);
    mbedtls_mpi_free(&m), mbedtls_mpi_free(&power), mbedtls_mpi_free(&rest);
    return err;
}

rc_t bigfloat_of(struct bigfloat *f, const struct decimal *d) {
    if (!d->count) {
        *f = (struct bigfloat){.negative = d->negative};
        return RC_OK;
    }
    if (of_short(f, d)) return RC_OK;
    return of_long(f, d) ? RC_NO_MEMORY : RC_OK;
}

/* ---- Arithmetic ---- */

struct bigfloat bigfloat_add(struct bigfloat a, struct bigfloat b) {
    if (!a.mantissa && !b.mantissa) return (struct bigfloat){.negative = a.negative && b.negative};
    if (!b.mantissa) return a;
    if (!a.mantissa) return b;
    if (a.exponent < b.exponent) {
        struct bigfloat t = a;
        a = b, b = t;
    }
    /* `a` gets 62 bits of room below it, `b` what of it lies in them; one bit above for the carry.
     */
    s64 distance = a.exponent - b.exponent;
    bool sticky = false;
    u128 x = (u128)a.mantissa << 62, y;
    if (distance <= 62) y = (u128)b.mantissa << (62 - distance);
    else if (distance - 62 < 64) {
        y = b.mantissa >> (distance - 62);
        sticky = (b.mantissa & ((1ull << (distance - 62)) - 1)) != 0;
    } else y = 0, sticky = true;
    s64 exponent = a.exponent - 62;
    if (a.negative == b.negative) return bigfloat_round(a.negative, x + y, exponent, sticky);
    if (sticky)
        y++; /* the true b is a little more than y; what is left is then a little more too */
    if (x == y && !sticky) return (struct bigfloat){0};
    return x > y ? bigfloat_round(a.negative, x - y, exponent, sticky)
                 : bigfloat_round(b.negative, y - x, exponent, sticky);
}

struct bigfloat bigfloat_multiply(struct bigfloat a, struct bigfloat b) {
    return bigfloat_round(a.negative != b.negative, (u128)a.mantissa * b.mantissa,
                          a.exponent + b.exponent, false);
}

struct bigfloat bigfloat_divide(struct bigfloat a, struct bigfloat b) {
    u128 dividend = (u128)a.mantissa << 64;
    u128 q = dividend / b.mantissa, rest = (dividend % b.mantissa) * 4;
    return bigfloat_round(a.negative != b.negative, q * 4 + rest / b.mantissa,
                          a.exponent - b.exponent - 66, rest % b.mantissa != 0);
}

bool bigfloat_is_whole(struct bigfloat f) {
    if (!f.mantissa || f.exponent >= 0) return true;
    return -f.exponent < 64 && !(f.mantissa & ((1ull << -f.exponent) - 1));
}

struct bigfloat bigfloat_truncate(struct bigfloat f) {
    if (bigfloat_is_whole(f)) return f;
    if (-f.exponent >= 64) return (struct bigfloat){0};
    return bigfloat_round(f.negative, f.mantissa >> -f.exponent, 0, false);
}

/* ---- To decimal digits ---- */

struct digits { char text[NUMBER_TEXT_MAX + 8]; u32 count; s32 point; };

static void trim_zeros(struct digits *d) {
    while (d->count && d->text[d->count - 1] == '0') d->count--;
}

/* mantissa / 2^shift, by trying 0, 1, .. 19 decimals. With k decimals the nearest is q / 10^k; gaps
 * are in units of 1 / (2^shift 10^k), in which half a step of the mantissa is 10^k / 2. Below a
 * power of two the steps are half as large: such a number is taken only when exact. */
static bool digits_short(struct digits *d, struct bigfloat f) {
    s64 shift = -f.exponent;
    u64 scale = 1;
    if (shift <= 0 || shift > 120) return false;
    for (int k = 0; k <= 19; k++, scale *= 10) {
        u128 exact = (u128)f.mantissa * scale, q = exact >> shift, unit = (u128)1 << shift;
        u128 gap = exact - (q << shift);
        if (gap * 2 > unit || (gap * 2 == unit && (q & 1))) q++, gap = unit - gap;
        if (q > UINT64_MAX) return false;
        bool near = gap * 2 < scale || (gap * 2 == scale && !(f.mantissa & 1));
        if (!near || !q) continue;
        if (gap && f.mantissa == 1ull << 63) return false;
        d->count = (u32)snprintf(d->text, sizeof d->text, "%llu", (unsigned long long)q);
        d->point = (s32)d->count - k;
        trim_zeros(d);
        return true;
    }
    return false;
}

/* m x 2^exponent as decimal digits, every one of them. */
static int digits_exact(struct digits *d, u128 m, s64 exponent) {
    mbedtls_mpi n, power;
    size_t len = 0;
    mbedtls_mpi_init(&n), mbedtls_mpi_init(&power);
    u8 bytes[16];
    for (int i = 0; i < 16; i++) bytes[i] = (u8)(m >> (120 - 8 * i));
    int err = mbedtls_mpi_read_binary(&n, bytes, sizeof bytes);
    if (!err && exponent >= 0) err = mbedtls_mpi_shift_l(&n, (size_t)exponent);
    if (!err && exponent < 0) {
        err = power_of_5_big(&power, (u32)-exponent);
        if (!err) err = mbedtls_mpi_mul_mpi(&n, &n, &power);
    }
    if (!err) err = mbedtls_mpi_write_string(&n, 10, d->text, sizeof d->text, &len);
    if (!err) {
        d->count = (u32)len - 1;
        d->point = (s32)d->count + (exponent < 0 ? (s32)exponent : 0);
    }
    mbedtls_mpi_free(&n), mbedtls_mpi_free(&power);
    return err;
}

/* Gives `d` leading zeros so that its point is where `point` is. */
static bool align_digits(struct digits *d, s32 point) {
    u32 zeros = (u32)(point - d->point);
    if (d->count + zeros >= sizeof d->text) return false;
    memmove(d->text + zeros, d->text, d->count);
    memset(d->text, '0', zeros);
    d->count += zeros, d->point = point;
    return true;
}

/* The digits of the midpoints to both neighbours and of the number itself, side by side. Cut after
 * the first place where what is left, or one more in the last place, lies between the midpoints. */
static void cut_digits(struct digits *d, const struct digits *low, const struct digits *high,
                       bool even) {
    for (u32 n = 1; n < d->count; n++) {
        int below = memcmp(d->text, low->text, n);
        bool low_rest = false;
        for (u32 i = n; i < low->count && !low_rest; i++) low_rest = low->text[i] != '0';
        bool down = below > 0 || (below == 0 && even && !low_rest);
        char up_text[NUMBER_TEXT_MAX + 8];
        memcpy(up_text, d->text, n);
        u32 at = n;
        while (at && up_text[at - 1] == '9') up_text[--at] = '0';
        if (at) up_text[at - 1]++;
        int above = at ? memcmp(up_text, high->text, n) : 1;
        bool high_rest = false;
        for (u32 i = n; i < high->count && !high_rest; i++) high_rest = high->text[i] != '0';
        bool up = above < 0 || (above == 0 && (even || high_rest));
        if (!down && !up) continue;
        bool rest = false;
        for (u32 i = n + 1; i < d->count && !rest; i++) rest = d->text[i] != '0';
        bool tie = d->text[n] == '5' && !rest; /* to even */
        bool nearer_up = tie ? (d->text[n - 1] - '0') & 1 : d->text[n] >= '5';
        if (up && (!down || nearer_up)) memcpy(d->text, up_text, n);
        d->count = n;
        return;
    }
}

static bool digits_long(struct digits *d, struct bigfloat f) {
    struct digits low, high;
    u128 m = (u128)f.mantissa * 4; /* in quarters of a step */
    bool power = f.mantissa == 1ull << 63;
    if (f.exponent > 4 * NUMBER_EXPONENT_MAX || f.exponent < -4 * NUMBER_EXPONENT_MAX) return false;
    if (digits_exact(d, m, f.exponent - 2) ||
        digits_exact(&low, m - (power ? 1 : 2), f.exponent - 2) ||
        digits_exact(&high, m + 2, f.exponent - 2))
        return false;
    s32 point = MAX(high.point, d->point);
    if (!align_digits(d, point) || !align_digits(&low, point) || !align_digits(&high, point))
        return false;
    cut_digits(d, &low, &high, !(f.mantissa & 1));
    u32 zeros = 0;
    while (zeros < d->count && d->text[zeros] == '0') zeros++;
    memmove(d->text, d->text + zeros, d->count - zeros);
    d->count -= zeros, d->point -= (s32)zeros;
    trim_zeros(d);
    return true;
}

/* ---- To text ---- */

/* D.DDDe+XX */
static int write_exponent(char *to, size_t room, const struct digits *d, bool negative) {
    int n = snprintf(to, room, "%s%c", negative ? "-" : "", d->text[0]);
    if (d->count > 1)
        n += snprintf(to + n, room - (size_t)n, ".%.*s", (int)d->count - 1, d->text + 1);
    int e = d->point - 1;
    return n + snprintf(to + n, room - (size_t)n, "e%c%02d", e < 0 ? '-' : '+', e < 0 ? -e : e);
}

static int write_plain(char *to, size_t room, const struct digits *d, bool negative) {
    char *at = to, *end = to + room;
    if (d->count + (u32)(d->point < 0 ? -d->point : d->point) + 8 > room) return -1;
    if (negative) *at++ = '-';
    if (d->point <= 0) *at++ = '0';
    for (s32 i = 0; i < d->point; i++) *at++ = i < (s32)d->count ? d->text[i] : '0';
    if ((s32)d->count > d->point) {
        *at++ = '.';
        for (s32 i = d->point; i < 0; i++) *at++ = '0';
        for (s32 i = MAX(d->point, 0); i < (s32)d->count; i++) *at++ = d->text[i];
    }
    CHECK(at < end);
    *at = 0;
    return (int)(at - to);
}

value bigfloat_value(struct heap *h, struct bigfloat f) {
    struct digits d = {.count = 0};
    char text[NUMBER_TEXT_MAX + 32];
    bool whole = bigfloat_is_whole(f);
    int len;
    if (!f.mantissa) return f.negative ? value_number(h, S("-0")) : value_integer(0);
    if (whole && f.exponent <= 0) {
        len = snprintf(text, sizeof text, "%s%llu", f.negative ? "-" : "",
                       (unsigned long long)(f.mantissa >> -f.exponent));
        return value_number(h, str_of(text, (size_t)len));
    }
    if (!digits_short(&d, f) && !digits_long(&d, f)) return UNDEFINED;
    /* Whole numbers are always written plainly; others with an exponent below 1e-4 and from 1e6 on,
     * where the reference's format changes. */
    bool plain = whole || (d.point - 1 >= -4 && d.point - 1 < 6);
    len = plain ? write_plain(text, sizeof text, &d, f.negative)
                : write_exponent(text, sizeof text, &d, f.negative);
    return len < 0 ? UNDEFINED : value_number(h, str_of(text, (size_t)len));
}
