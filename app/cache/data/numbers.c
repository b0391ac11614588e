/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c — texts of numbers, and globs. What is written reads back to the same number; what is
 * read is the whole string or nothing. Sums of INCRBYFLOAT are made in 80 bits and written with
 * 17 digits after the point, digit by digit from the bits, so that they never depend on a libc. */
#include "app/cache/data/numbers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT 1024u /* digits of the largest double, and then some */

bool integer_parse(str s, s64 *out) {
    if (!s.len || s.len > 20) return false;
    bool minus = s.ptr[0] == '-';
    const char *p = s.ptr + minus, *end = s.ptr + s.len;
    if (p == end) return false;
    if (*p == '0') {
        *out = 0;
        return s.len == 1;
    }
    u64 n = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (u64)(*p - '0'), &n))
            return false;
    }
    if (n > (u64)INT64_MAX + minus) return false;
    *out = minus ? (s64)(0 - n) : (s64)n;
    return true;
}

str integer_text(s64 n, char to[NUMBER_ROOM]) {
    char *end = to + 24, *p = end;
    u64 left = n < 0 ? 0 - (u64)n : (u64)n;
    do *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (n < 0) *--p = '-';
    memmove(to, p, (size_t)(end - p));
    return str_of(to, (size_t)(end - p));
}

/* As a NUL-ended copy that begins as a number may begin. */
static bool number_copy(str s, char to[NUMBER_TEXT]) {
    if (!s.len || str_to_c(s, to, NUMBER_TEXT)) return false;
    char c = to[0] == '-' || to[0] == '+' ? to[1] : to[0];
    return (c >= '0' && c <= '9') || c == '.' || c == 'i' || c == 'I';
}

bool double_parse(str s, double *out) {
    char text[NUMBER_TEXT], *end;
    if (!number_copy(s, text)) return false;
    *out = strtod(text, &end);
    if (*end || end == text || isnan(*out)) return false;
    if (isinf(*out) || *out == 0) /* by name, or too large; zero, or too small */
        for (const char *p = text; *p; p++)
            if (isinf(*out) && *p >= '0' && *p <= '9') return false;
    return true;
}

bool long_double_parse(str s, long double *out) {
    char text[NUMBER_TEXT], *end;
    if (!number_copy(s, text)) return false;
    *out = strtold(text, &end);
    return !*end && end != text && !isnan(*out);
}

str double_text(double d, char to[NUMBER_ROOM]) {
    if (isinf(d)) return d > 0 ? S("inf") : S("-inf");
    if (isnan(d)) return S("nan");
    if (d == 0) return signbit(d) ? S("-0") : S("0");
    if (d > -1e17 && d < 1e17 && d == (double)(s64)d) return integer_text((s64)d, to);
    for (int digits = 15; digits <= 17; digits++) {
        int n = snprintf(to, NUMBER_ROOM, "%.*g", digits, d);
        if (digits == 17 || strtod(to, NULL) == d) return str_of(to, (size_t)n);
    }
    return S("");
}

/* ---- Long doubles ---------------------------------------------------------------------------- */

/* mantissa * 2^exponent, exponent > 0, in decimal. */
static size_t big_text(u64 mantissa, u32 exponent, char *to) {
    static u32 limbs[600]; /* of nine digits: 2^16384 has 4,933 */
    u32 n = 0;
    size_t len = 0;
    for (; mantissa; mantissa /= 1000000000u) limbs[n++] = (u32)(mantissa % 1000000000u);
    for (; exponent; exponent -= MIN(exponent, 20u)) {
        u64 carry = 0, by = 1u << MIN(exponent, 20u);
        for (u32 i = 0; i < n; i++) {
            carry += limbs[i] * by;
            limbs[i] = (u32)(carry % 1000000000u);
            carry /= 1000000000u;
        }
        if (carry) limbs[n++] = (u32)carry;
    }
    for (u32 i = n; i--;)
        len += (size_t)snprintf(to + len, 16, i == n - 1 ? "%u" : "%09u", limbs[i]);
    return len;
}

/* The 17 digits after the point of part / 2^shift, 0 < shift < 128; true: they round up to 1. */
static bool fraction_text(u64 part, u32 shift, char to[17]) {
    unsigned __int128 scaled = (unsigned __int128)part * 100000000000000000u; /* < 2^121 */
    u64 digits = (u64)(scaled >> shift);
    unsigned __int128 rest = scaled - ((unsigned __int128)digits << shift);
    unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    if (rest > half || (rest == half && digits & 1)) digits++;
    bool carry = digits == 100000000000000000u;
    if (carry) digits = 0;
    for (int i = 17; i--; digits /= 10) to[i] = (char)('0' + digits % 10);
    return carry;
}

str long_double_text(long double d, char to[NUMBER_ROOM * 40]) {
    if (isinf(d)) return d > 0 ? S("inf") : S("-inf");
    size_t len = 0;
    if (d < 0) to[len++] = '-';
    int exponent;
    long double fraction = frexpl(d < 0 ? -d : d, &exponent);
    u64 mantissa = (u64)ldexpl(fraction, 64); /* |d| = mantissa * 2^(exponent - 64) */
    if (exponent > 64) return str_of(to, len + big_text(mantissa, (u32)exponent - 64, to + len));
    u32 shift = (u32)(64 - exponent);
    u64 whole = shift >= 64 ? 0 : mantissa >> shift;
    u64 part = shift >= 64 ? mantissa : mantissa - (whole << shift);
    char digits[17];
    if (!shift) part = 0;
    if (shift < 128 && shift) {
        if (fraction_text(part, shift, digits)) whole++;
    } else {
        memset(digits, '0', sizeof digits);
    }
    len += (size_t)snprintf(to + len, 24, "%llu", (unsigned long long)whole);
    size_t used = 17;
    while (used && digits[used - 1] == '0') used--;
    if (used) {
        to[len++] = '.';
        memcpy(to + len, digits, used);
        len += used;
    }
    if (len == 2 && to[0] == '-' && to[1] == '0') return S("0");
    return str_of(to, len);
}

/* ---- Globs ----------------------------------------------------------------------------------- */

static u8 fold(char c, bool nocase) {
    return (u8)(nocase && c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* One class, p at its '['; moves p behind it. */
static bool class_match(const char **at, const char *end, char c, bool nocase) {
    const char *p = *at + 1;
    bool inverted = p < end && *p == '^', found = false;
    u8 wanted = fold(c, nocase);
    if (inverted) p++;
    for (; p < end && *p != ']'; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            found |= fold(*p, nocase) == wanted;
        } else if (p + 2 < end && p[1] == '-') {
            u8 low = fold(p[0], nocase), high = fold(p[2], nocase);
            found |= low <= high ? wanted >= low && wanted <= high : wanted >= high && wanted <=
                low;
            p += 2;
        } else {
            found |= fold(*p, nocase) == wanted;
        }
    }
    *at = p < end ? p + 1 : end;
    return found != inverted;
}

/* One element of the pattern against one character. */
static bool one_match(const char **at, const char *end, char c, bool nocase) {
    if (**at == '[') return class_match(at, end, c, nocase);
    if (**at == '?') {
        (*at)++;
        return true;
    }
    if (**at == '\\' && *at + 1 < end) (*at)++;
    return fold(*(*at)++, nocase) == fold(c, nocase);
}

/* Only the last star is ever tried again: time is |pattern| * |text| at worst. */
bool glob_match(str pattern, str text, bool nocase) {
    const char *p = pattern.ptr, *end = p + pattern.len, *t = text.ptr, *last = t + text.len;
    const char *star = NULL, *star_text = NULL;
    while (t < last) {
        const char *before = p;
        if (p < end && *p == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < end && one_match(&p, end, *t, nocase)) {
            t++;
            continue;
        }
        p = before;
        if (!star) return false;
        p = star;
        t = ++star_text;
    }
    while (p < end && *p == '*') p++;
    return p == end;
}
