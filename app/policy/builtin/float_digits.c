/* SPDX-License-Identifier: Apache-2.0 */
/* float_digits.c — a double is a whole number times a power of two, so it has an end in decimal
 * too.
 *
 * Positive powers double a number in base 10^9; negative ones multiply it by 5 and move the point.
 * No printf of a C library is asked: they differ in how many digits they get right. */
#include "app/policy/builtin/float_digits.h"

enum { WORDS = 90, BASE = 1000000000 }; /* 10^9 each: 767 digits and some */
struct big { u32 count; u32 words[WORDS]; /* least first */ };

static void multiply(struct big *n, u32 by) {
    u64 carry = 0;
    for (u32 i = 0; i < n->count; i++) {
        u64 word = (u64)n->words[i] * by + carry;
        n->words[i] = (u32)(word % BASE);
        carry = word / BASE;
    }
    if (carry) {
        CHECK(n->count < WORDS);
        n->words[n->count++] = (u32)carry;
    }
}

void float_digits_of_double(struct float_digits *d, double v) {
    u64 bits;
    struct big n = {0};
    memcpy(&bits, &v, sizeof(bits));
    u64 mantissa = bits & ((1ull << 52) - 1);
    s32 power = (s32)(bits >> 52 & 0x7FF);
    if (power) mantissa |= 1ull << 52;
    else power = 1;
    power -= 1075;
    d->count = 0, d->point = 0;
    if (mantissa == 0) return;
    while (!(mantissa & 1)) mantissa >>= 1, power++;
    for (u64 rest = mantissa; rest; rest /= BASE) n.words[n.count++] = (u32)(rest % BASE);
    s32 left = power < 0 ? -power : power;
    for (; left >= 12; left -= 12) multiply(&n, power < 0 ? 244140625 : 4096);
    for (; left > 0; left--) multiply(&n, power < 0 ? 5 : 2);
    char *to = d->digits;
    for (u32 i = n.count; i-- > 0;) {
        u32 word = n.words[i];
        for (u32 unit = BASE / 10; unit; unit /= 10) {
            char digit = (char)('0' + word / unit % 10);
            if (to > d->digits || digit != '0') *to++ = digit;
        }
    }
    d->count = (u32)(to - d->digits);
    d->point = (s32)d->count + MIN(power, 0);
    while (d->count && d->digits[d->count - 1] == '0') d->count--;
}

void float_digits_of_text(struct float_digits *d, str s) {
    s32 exponent = 0;
    bool point = false, negative = false, some = false;
    size_t i = 0;
    d->count = 0, d->point = 0;
    if (s.len && s.ptr[0] == '-') i++;
    for (; i < s.len && (s.ptr[i] | 32) != 'e'; i++) {
        if (s.ptr[i] == '.') point = true;
        else {
            some = some || s.ptr[i] != '0';
            if (some && d->count < FLOAT_DIGITS_MAX) d->digits[d->count++] = s.ptr[i];
            d->point += point ? (some ? 0 : -1) : some;
        }
    }
    for (i++; i < s.len; i++) {
        if (s.ptr[i] == '-') negative = true;
        else if (s.ptr[i] != '+' && exponent < 100000) exponent = exponent * 10 + (s.ptr[i] - '0');
    }
    while (d->count && d->digits[d->count - 1] == '0') d->count--;
    d->point = d->count ? d->point + (negative ? -exponent : exponent) : 0;
}

void float_digits_round(struct float_digits *d, s32 digits) {
    if (digits >= (s32)d->count) return;
    if (digits < 0) {
        d->count = 0, d->point = 0;
        return;
    }
    char next = d->digits[digits];
    bool tie = next == '5' && digits + 1 == (s32)d->count;
    bool up = tie ? digits > 0 && (d->digits[digits - 1] - '0') % 2 : next >= '5';
    d->count = (u32)digits;
    while (up && d->count && d->digits[d->count - 1] == '9') d->count--;
    if (up && d->count) d->digits[d->count - 1]++;
    else if (up) d->digits[d->count++] = '1', d->point++;
    while (d->count && d->digits[d->count - 1] == '0') d->count--;
    if (!d->count) d->point = 0;
}

static char digit_at(const struct float_digits *d, s32 i) {
    return i >= 0 && i < (s32)d->count ? d->digits[i] : '0';
}

static void write_scientific(struct buf *to, const struct float_digits *d, s32 precision,
                             char letter) {
    s32 exponent = d->count ? d->point - 1 : 0;
    (void)buf_add_byte(to, digit_at(d, 0));
    if (precision > 0) (void)buf_add_byte(to, '.');
    for (s32 i = 1; i <= precision && !to->failed; i++) (void)buf_add_byte(to, digit_at(d, i));
    (void)buf_printf(to, "%c%c%02d", letter, exponent < 0 ? '-' : '+',
                     exponent < 0 ? -exponent : exponent);
}
static void write_plain(struct buf *to, const struct float_digits *d, s32 precision) {
    if (d->point <= 0) (void)buf_add_byte(to, '0');
    for (s32 i = 0; i < d->point; i++) (void)buf_add_byte(to, digit_at(d, i));
    if (precision > 0) (void)buf_add_byte(to, '.');
    for (s32 i = 0; i < precision && !to->failed; i++)
        (void)buf_add_byte(to, digit_at(d, d->point + i));
}

void float_digits_write(struct buf *to, const struct float_digits *d, char how, s32 precision,
                        bool shortest) {
    s32 count = (s32)d->count;
    char lower = (char)(how | 32), letter = how == 'E' || how == 'G' ? 'E' : 'e';
    if (lower == 'e')
        write_scientific(to, d, precision < 0 ? MAX(count - 1, 0) : precision, letter);
    else if (lower == 'f') write_plain(to, d, precision < 0 ? MAX(count - d->point, 0) : precision);
    else {
        s32 limit = shortest ? 6 : precision;
        if (!shortest && limit > count && count >= d->point) limit = count;
        s32 exponent = d->point - 1;
        if (shortest || precision > count) precision = count;
        if (exponent < -4 || exponent >= limit)
            write_scientific(to, d, MAX(precision, 1) - 1, letter);
        else write_plain(to, d, MAX(count - d->point, 0));
    }
}
