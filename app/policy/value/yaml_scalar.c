/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_scalar.c — what a word in a YAML text means: null, a boolean, a number, a time or just text.
 *
 *   yes On TRUE ~ null            by name
 *   12 -0x1F 0777 0b101 1_000     whole numbers: bases by prefix, a leading zero is octal
 *   1.5 .5 1e3 .inf               doubles; whole numbers beyond 64 bits too
 *   2001-12-14 2001-12-14T1:2:3Z  times: values keep them as text, but they are quoted when written
 *
 * The rules are those of the reference's YAML library, oddities included: what it takes for text
 * must stay text here. Knows nothing of values. */
#include "app/policy/value/yaml_text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool is_one_of(str s, const char *names) { /* separated by blanks */
    str rest = str_from_c(names), name;
    while (str_split(&rest, ' ', &name))
        if (str_eq(s, name)) return true;
    return false;
}

static bool resolve_name(str s, struct yaml_scalar *out) {
    if (s.len > 5) return false;
    if (s.len == 0 || is_one_of(s, "~ null Null NULL"))
        out->kind = YAML_NULL;
    else if (is_one_of(s, "y Y yes Yes YES true True TRUE on On ON"))
        out->kind = YAML_TRUE;
    else if (is_one_of(s, "n N no No NO false False FALSE off Off OFF"))
        out->kind = YAML_FALSE;
    else if (is_one_of(s, ".nan .NaN .NAN"))
        out->kind = YAML_FLOAT, out->real = NAN;
    else if (is_one_of(s, ".inf .Inf .INF +.inf +.Inf +.INF"))
        out->kind = YAML_FLOAT, out->real = INFINITY;
    else if (is_one_of(s, "-.inf -.Inf -.INF"))
        out->kind = YAML_FLOAT, out->real = -INFINITY;
    else
        return false;
    return true;
}

/* ---- Times ----------------------------------------------------------------------------------- */

struct scan {
    const char *at, *end;
};

/* `least` to `most` digits; -1: fewer. */
static int take_number(struct scan *s, int least, int most) {
    int n = 0, digits = 0;
    while (digits < most && s->at < s->end && is_digit(*s->at))
        n = n * 10 + (*s->at++ - '0'), digits++;
    return digits < least ? -1 : n;
}
static bool take(struct scan *s, char c) {
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}
static bool take_zone(struct scan *s) {
    if (take(s, 'Z')) return true;
    if (!take(s, '+') && !take(s, '-')) return false;
    int hours = take_number(s, 2, 2);
    if (hours < 0 || !take(s, ':')) return false;
    int minutes = take_number(s, 2, 2);
    return hours <= 24 && minutes >= 0 && minutes < 60;
}
static bool is_time(str text) {
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct scan s = {text.ptr, text.ptr + text.len};
    int year = take_number(&s, 4, 4);
    if (year < 0 || !take(&s, '-')) return false;
    int month = take_number(&s, 1, 2);
    if (month < 1 || month > 12 || !take(&s, '-')) return false;
    int day = take_number(&s, 1, 2);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > days[month - 1] + (month == 2 && leap)) return false;
    if (s.at == s.end) return true;
    char between = *s.at++;
    if (between != 'T' && between != 't' && between != ' ') return false;
    int hour = take_number(&s, 1, 2);
    if (hour < 0 || hour > 23 || !take(&s, ':')) return false;
    int minute = take_number(&s, 1, 2);
    if (minute < 0 || minute > 59 || !take(&s, ':')) return false;
    int second = take_number(&s, 1, 2);
    if (second < 0 || second > 59) return false;
    if (s.end - s.at >= 2 && (*s.at == '.' || *s.at == ',') && is_digit(s.at[1])) {
        s.at++;
        while (s.at < s.end && is_digit(*s.at)) s.at++;
    }
    if (between != ' ' && !take_zone(&s)) return false;
    return s.at == s.end;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

enum { PLAIN_MAX = 400 }; /* longer words are text: no double needs more digits */

/* All of `s` in `base`. False: not digits, or beyond 64 bits. */
static bool parse_digits(str s, u32 base, u64 *out) {
    u64 n = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i], low = c | 0x20;
        u32 d = is_digit((char)c)          ? (u32)(c - '0')
                : low >= 'a' && low <= 'f' ? (u32)(low - 'a' + 10)
                                           : 99;
        if (d >= base || __builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n))
            return false;
    }
    *out = n;
    return true;
}

static bool resolve_integer(str s, struct yaml_scalar *out) {
    bool sign = s.len && (*s.ptr == '-' || *s.ptr == '+');
    bool negative = sign && *s.ptr == '-';
    u32 base = 10;
    if (sign) s = str_skip(s, 1);
    if (s.len >= 3 && s.ptr[0] == '0') {
        char p = s.ptr[1] | 0x20;
        base = p == 'x' ? 16 : p == 'o' ? 8 : p == 'b' ? 2 : 10;
        if (base != 10) s = str_skip(s, 2);
    }
    if (base == 10 && s.len >= 2 && s.ptr[0] == '0') base = 8;
    u64 n;
    if (!parse_digits(s, base, &n)) return false;
    if (negative ? n > 1ull << 63 : sign && n >= 1ull << 63) return false;
    *out = (struct yaml_scalar){YAML_INTEGER, negative && n, n, 0};
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(str text) {
    struct scan s = {text.ptr, text.ptr + text.len};
    if (!take(&s, '-')) (void)take(&s, '+');
    size_t whole = 0, part = 0;
    while (s.at < s.end && is_digit(*s.at)) s.at++, whole++;
    if (take(&s, '.'))
        while (s.at < s.end && is_digit(*s.at)) s.at++, part++;
    if (whole + part == 0) return false;
    if (take(&s, 'e') || take(&s, 'E')) {
        if (!take(&s, '-')) (void)take(&s, '+');
        if (s.at == s.end) return false;
        while (s.at < s.end && is_digit(*s.at)) s.at++;
    }
    return s.at == s.end;
}

static bool resolve_number(str text, struct yaml_scalar *out) {
    char plain[PLAIN_MAX + 1];
    size_t n = 0;
    if (text.len > PLAIN_MAX) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '_') plain[n++] = text.ptr[i];
    plain[n] = 0;
    if (*text.ptr != '.' && resolve_integer(str_of(plain, n), out)) return true;
    if (!is_float(str_of(plain, n))) return false;
    double d = strtod(plain, NULL);
    if (!isfinite(d)) return false;
    *out = (struct yaml_scalar){.kind = YAML_FLOAT, .real = d};
    return true;
}

struct yaml_scalar yaml_scalar_resolve(str text) {
    struct yaml_scalar out = {.kind = YAML_TEXT};
    if (resolve_name(text, &out)) return out;
    char first = *text.ptr;
    if (!is_digit(first) && first != '+' && first != '-' && first != '.') return out;
    if (is_digit(first) && is_time(text)) {
        out.kind = YAML_TIME;
        return out;
    }
    (void)resolve_number(text, &out);
    return out;
}

/* ---- Doubles to text ------------------------------------------------------------------------- */

/* Shortest digits and the place of the point: 0.D1D2.. x 10^point. */
static u32 shortest(double d, bool single, char digits[20], int *point) {
    char text[40];
    double least_normal = single ? 0x1p-126 : 0x1p-1022; /* those below have fewer digits */
    int least = d < least_normal ? 1 : single ? 6 : 15, most = single ? 9 : 17;
    for (int precision = least; precision <= most; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, d);
        if (single ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d) break;
    }
    u32 n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (is_digit(*p)) digits[n++] = *p;
    *point = (int)strtol(p + 1, NULL, 10) + 1;
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

str yaml_float_write(double d, char format, bool single, char room[YAML_FLOAT_ROOM]) {
    if (single) d = (float)d;
    if (isnan(d)) return S("NaN");
    if (isinf(d)) return d < 0 ? S("-Inf") : S("+Inf");
    char digits[20], *to = room;
    int point = 1;
    if (signbit(d)) *to++ = '-', d = -d;
    u32 n = 1;
    if (d == 0)
        digits[0] = '0';
    else
        n = shortest(d, single, digits, &point);
    /* An exponent is written below 1e-6 and from 1e21 on in JSON, below 1e-4 and from 1e6 on else.
     */
    int top = format == 'j' ? 21 : 6;
    bool exponent = d != 0 && (point - 1 < (format == 'j' ? -6 : -4) || point - 1 >= top);
    if (exponent) {
        *to++ = digits[0];
        if (n > 1) *to++ = '.';
        for (u32 i = 1; i < n; i++) *to++ = digits[i];
        int e = point - 1;
        to += snprintf(to, 8, format == 'j' ? "e%c%d" : "e%c%02d", e < 0 ? '-' : '+', abs(e));
        return str_of(room, (size_t)(to - room));
    }
    if (point <= 0) *to++ = '0';
    for (int i = 0; i < point; i++) *to++ = i < (int)n ? digits[i] : '0';
    if ((int)n > point) {
        *to++ = '.';
        for (int i = point; i < 0; i++) *to++ = '0';
        for (u32 i = point > 0 ? (u32)point : 0; i < n; i++) *to++ = digits[i];
    }
    return str_of(room, (size_t)(to - room));
}
