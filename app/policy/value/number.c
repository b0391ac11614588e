/* SPDX-License-Identifier: Apache-2.0 */
/* number.c — numbers as text: reading, comparing, hashing, converting.
 *
 * The text is the number: nothing is lost by keeping it. To compare two, each is brought into one
 * form, 0.DIGITS x 10^POINT without zeros at either end:
 *
 *   "-12.50"  ->  - 0.125 x 10^2        "1e3"  ->  0.1 x 10^4        "0.00"  ->  no digits
 *
 * Then sign, point and digits decide in this order, exactly and without arithmetic. Whole numbers
 * of 64 bits written plainly lie in the cell and never come here. Arithmetic is in arithmetic.c,
 * floats in bigfloat.c. */
#include "app/policy/value/number_impl.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- Reading ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The exponent behind 'e': at most six digits count; more are out of range whatever they are. */
static rc_t read_exponent(str *s, s32 *out) {
    bool negative = s->len && s->ptr[0] == '-';
    if (s->len && (s->ptr[0] == '-' || s->ptr[0] == '+')) *s = str_skip(*s, 1);
    if (!s->len || !is_digit(s->ptr[0])) return RC_INVALID;
    s32 n = 0;
    for (; s->len && is_digit(s->ptr[0]); *s = str_skip(*s, 1))
        if (n < 1000000) n = n * 10 + (s->ptr[0] - '0');
    *out = negative ? -n : n;
    return RC_OK;
}

static u32 count_digits(str s) {
    u32 n = 0;
    while (n < s.len && is_digit(s.ptr[n])) n++;
    return n;
}

static void add_digits(struct decimal *d, str digits) {
    memcpy(d->digits + d->count, digits.ptr, digits.len);
    d->count += (u32)digits.len;
}

/* JSON's syntax (RFC 8259, section 6) and nothing else. */
rc_t decimal_read(struct decimal *d, str s) {
    d->negative = s.len && s.ptr[0] == '-', d->count = 0, d->point = 0;
    if (s.len > NUMBER_TEXT_MAX) return RC_LIMIT;
    if (d->negative) s = str_skip(s, 1);
    str whole = str_take(s, count_digits(s)), fraction = {0};
    if (!whole.len || (whole.len > 1 && whole.ptr[0] == '0')) return RC_INVALID;
    s = str_skip(s, whole.len);
    if (s.len && s.ptr[0] == '.') {
        s = str_skip(s, 1);
        fraction = str_take(s, count_digits(s));
        if (!fraction.len) return RC_INVALID;
        s = str_skip(s, fraction.len);
    }
    s32 exponent = 0;
    if (s.len && (s.ptr[0] == 'e' || s.ptr[0] == 'E')) {
        s = str_skip(s, 1);
        rc_t rc = read_exponent(&s, &exponent);
        if (rc) return rc;
    }
    if (s.len) return RC_INVALID;
    d->point = (s32)whole.len + exponent;
    add_digits(d, whole);
    if (fraction.len) add_digits(d, fraction);
    u32 zeros = 0;
    while (zeros < d->count && d->digits[zeros] == '0') zeros++;
    memmove(d->digits, d->digits + zeros, d->count - zeros);
    d->count -= zeros, d->point -= (s32)zeros;
    while (d->count && d->digits[d->count - 1] == '0') d->count--;
    if (!d->count) d->point = 0;
    return d->point > NUMBER_EXPONENT_MAX || d->point < -NUMBER_EXPONENT_MAX ? RC_LIMIT : RC_OK;
}

void decimal_of(struct decimal *d, value n) {
    char room[NUMBER_TEXT_ROOM];
    rc_t rc = decimal_read(d, number_text(n, room));
    CHECK(rc == RC_OK); /* nothing else is ever stored */
}

static bool is_plain(str s) {
    str digits = s.len && s.ptr[0] == '-' ? str_skip(s, 1) : s;
    return digits.len && count_digits(digits) == digits.len && !(s.len == 2 && str_eq(s, S("-0")));
}

value value_number(struct heap *h, str text) {
    s64 small;
    if (is_plain(text) && text.len <= 20 &&
        (text.ptr[text.ptr[0] == '-'] != '0' || text.len == 1) && str_to_s64(text, &small) == RC_OK)
        return value_integer(small);
    struct decimal d;
    if (decimal_read(&d, text)) return UNDEFINED;
    struct value_number *n = heap_alloc(h, sizeof *n + text.len + 1);
    if (!n) return value_null();
    n->len = (u32)text.len;
    n->whole = decimal_is_whole(&d);
    memcpy(n->text, text.ptr, text.len);
    n->text[text.len] = 0;
    return (value){.kind = VALUE_NUMBER, .boxed = 1, .number = n};
}

value value_number_of_u64(struct heap *h, u64 n) {
    if (n <= INT64_MAX) return value_integer((s64)n);
    char text[NUMBER_TEXT_ROOM];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return value_number(h, str_of(text, (size_t)len));
}

/* Digits from the C library, form as the reference's: plain from 1e-4 up to 21 digits. */
value value_number_of_double(struct heap *h, double n) {
    char text[48];
    if (n != n || n - n != 0) return UNDEFINED;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, n);
        if (strtod(text, NULL) == n) break;
    }
    struct decimal d;
    char *e = strchr(text, 'e');
    long exponent = strtol(e + 1, NULL, 10);
    if (exponent >= -5 && exponent < 21) {
        if (decimal_read(&d, str_from_c(text))) return UNDEFINED;
        int fraction = (int)d.count - d.point;
        snprintf(text, sizeof text, "%.*f", fraction > 0 ? fraction : 0, n);
    }
    return value_number(h, str_from_c(text));
}

/* ---- Looking ---- */

str number_text(value n, char room[NUMBER_TEXT_ROOM]) {
    if (n.boxed) return str_of(n.number->text, n.number->len);
    u64 rest = n.integer < 0 ? -(u64)n.integer : (u64)n.integer;
    char *at = room + NUMBER_TEXT_ROOM;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (n.integer < 0) *--at = '-';
    return str_of(at, (size_t)(room + NUMBER_TEXT_ROOM - at));
}

bool number_is_whole(value n) { return !n.boxed || n.number->whole; }

/* Of digits that make a whole number; false: more than 64 bits. */
static bool decimal_to_u64(const struct decimal *d, u64 *out) {
    u64 n = 0;
    if (d->point > 20) return false;
    for (s32 i = 0; i < d->point; i++) {
        u64 digit = i < (s32)d->count ? (u64)(d->digits[i] - '0') : 0;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n)) return false;
    }
    *out = n;
    return true;
}

static rc_t decimal_to_s64(const struct decimal *d, s64 *out) {
    u64 n;
    if (!decimal_is_whole(d)) return RC_INVALID;
    if (!decimal_to_u64(d, &n) || n > (u64)INT64_MAX + d->negative) return RC_LIMIT;
    *out = d->negative ? (s64)-n : (s64)n;
    return RC_OK;
}

rc_t number_to_s64(value n, s64 *out) {
    if (!n.boxed) {
        *out = n.integer;
        return RC_OK;
    }
    if (!n.number->whole) return RC_INVALID;
    struct decimal d;
    decimal_of(&d, n);
    return decimal_to_s64(&d, out);
}

double number_to_double(value n) {
    return n.boxed ? strtod(n.number->text, NULL) : (double)n.integer;
}

/* ---- Order ---- */

static int compare_magnitude(const struct decimal *a, const struct decimal *b) {
    if (!a->count || !b->count) return a->count ? 1 : b->count ? -1 : 0;
    if (a->point != b->point) return a->point < b->point ? -1 : 1;
    return str_cmp(str_of(a->digits, a->count), str_of(b->digits, b->count));
}

int number_compare(value a, value b) {
    if (!a.boxed && !b.boxed) return a.integer < b.integer ? -1 : a.integer > b.integer;
    struct decimal x, y;
    decimal_of(&x, a);
    decimal_of(&y, b);
    bool x_below = x.negative && x.count, y_below = y.negative && y.count;
    if (x_below != y_below) return x_below ? -1 : 1;
    int order = compare_magnitude(&x, &y);
    return x_below ? -order : order;
}

u32 number_hash(value n) {
    s64 small;
    if (!n.boxed) return value_hash(n);
    struct decimal d;
    decimal_of(&d, n);
    if (decimal_to_s64(&d, &small) == RC_OK) return value_hash(value_integer(small));
    u64 h = str_hash(str_of(d.digits, d.count), (u64)d.point * 2 + d.negative);
    return (u32)(h ^ h >> 32);
}
