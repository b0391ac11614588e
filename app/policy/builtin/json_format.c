/* SPDX-License-Identifier: Apache-2.0 */
/* json_format.c — the formats that JSON Schema gives names to. A name nobody knows fits everything.
 */
#include "app/policy/builtin/json_schema.h"
#include "app/policy/regex/regex.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_hex(char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}
static bool is_alnum(char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* By a picture: 0 a digit, x a hexadecimal digit, all else itself. The rest is left in `s`. */
static bool take_picture(str *s, const char *picture) {
    size_t n = strlen(picture);
    if (s->len < n) return false;
    for (size_t i = 0; i < n; i++) {
        char c = s->ptr[i];
        if (picture[i] == '0' ? !is_digit(c) : picture[i] == 'x' ? !is_hex(c) : c != picture[i])
            return false;
    }
    *s = str_skip(*s, n);
    return true;
}
static u32 two_digits(const char *p) {
    return (u32)(p[0] - '0') * 10 + (u32)(p[1] - '0');
}

static bool take_date(str *s) {
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *p = s->ptr;
    if (!take_picture(s, "0000-00-00")) return false;
    u32 year = two_digits(p) * 100 + two_digits(p + 2), month = two_digits(p + 5),
        day = two_digits(p + 8);
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (u32)(month == 2 && leap);
}
static bool take_time(str *s) {
    const char *p = s->ptr;
    if (!take_picture(s, "00:00:00")) return false;
    if (s->len > 1 && s->ptr[0] == '.' && is_digit(s->ptr[1])) {
        *s = str_skip(*s, 1);
        while (s->len && is_digit(*s->ptr)) *s = str_skip(*s, 1);
    }
    return two_digits(p) < 24 && two_digits(p + 3) < 60 && two_digits(p + 6) < 60;
}
static bool take_zone(str *s) {
    if (s->len && *s->ptr == 'Z') {
        *s = str_skip(*s, 1);
        return true;
    }
    if (!s->len || (*s->ptr != '+' && *s->ptr != '-')) return false;
    *s = str_skip(*s, 1);
    return take_picture(s, "00:00");
}
static bool is_date(str s) {
    return take_date(&s) && !s.len;
}
static bool is_time(str s) {
    if (!take_time(&s)) return false;
    return !s.len || (take_zone(&s) && !s.len);
}
static bool is_date_time(str s) {
    str whole = s;
    if (is_time(whole) || is_date(whole)) return true; /* as the reference has it */
    return take_date(&s) && take_picture(&s, "T") && take_time(&s) && take_zone(&s) && !s.len;
}

static bool is_hostname(str s) {
    size_t label = 0;
    if (!s.len || s.len > 255) return false;
    for (size_t i = 0; i <= s.len; i++) {
        char c = i < s.len ? s.ptr[i] : '.';
        if (c == '.') {
            if (!label || label > 63 || s.ptr[i - 1] == '-') return false;
            label = 0;
        } else if (is_alnum(c) || (c == '-' && label))
            label++;
        else
            return false;
    }
    return true;
}
static bool is_ipv4(str s) {
    str part, rest = s;
    u32 n = 0;
    u64 v;
    for (; str_split(&rest, '.', &part); n++)
        if (str_to_u64(part, &v) || v > 255 || part.len > 3 || (part.len > 1 && part.ptr[0] == '0'))
            return false;
    return n == 4 && s.len && s.ptr[s.len - 1] != '.';
}
static bool is_ipv6(str s) {
    u32 groups = 0;
    bool gap = false;
    if (str_find_byte(s, ':') == s.len) return false;
    if (str_starts(s, S("::"))) gap = true, s = str_skip(s, 2);
    while (s.len) {
        size_t n = 0;
        while (n < s.len && is_hex(s.ptr[n])) n++;
        if (n < s.len && s.ptr[n] == '.')
            return is_ipv4(s) && groups <= 6 && (gap ? groups < 6 : groups == 6);
        if (!n || n > 4) return false;
        groups++;
        s = str_skip(s, n);
        if (!s.len) break;
        if (*s.ptr != ':') return false;
        s = str_skip(s, 1);
        if (s.len && *s.ptr == ':') {
            if (gap) return false;
            gap = true, s = str_skip(s, 1);
        } else if (!s.len)
            return false;
    }
    return gap ? groups < 8 : groups == 8;
}
static bool is_uuid(str s) {
    return take_picture(&s, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") && !s.len;
}
static bool is_email(str s) {
    size_t at = str_find_byte(s, '@');
    if (at == 0 || at + 1 >= s.len || str_find_byte(str_skip(s, at + 1), '@') < s.len - at - 1)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] <= ' ' || memchr("()<>[]:;,\\\"", s.ptr[i], 11)) return false;
    return s.ptr[0] != '.' && s.ptr[at - 1] != '.' && s.ptr[at + 1] != '.' &&
           s.ptr[s.len - 1] != '.';
}
static bool is_reference(str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F || s.ptr[i] == '\\') return false;
    return true;
}
static bool is_uri(str s) {
    size_t colon = str_find_byte(s, ':');
    if (!is_reference(s) || colon == 0 || colon == s.len ||
        !((s.ptr[0] | 0x20) >= 'a' && (s.ptr[0] | 0x20) <= 'z'))
        return false;
    for (size_t i = 0; i < colon; i++)
        if (!is_alnum(s.ptr[i]) && !memchr("+-.", s.ptr[i], 3)) return false;
    return true;
}
static bool is_pointer(str s) {
    if (s.len && s.ptr[0] != '/') return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '~' && (i + 1 == s.len || (s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')))
            return false;
    return true;
}
static bool is_regex(str s) {
    struct regex *r;
    struct buf why;
    buf_open(&why, 512);
    rc_t rc = regex_open(&r, s, &why);
    buf_close(&why);
    if (rc == RC_OK) regex_close(r);
    return rc == RC_OK;
}

bool json_schema_format_fits(struct builtin_call *c, str format, str text) {
    static const struct {
        const char *name;
        bool (*fits)(str s);
    } formats[] = {
        {"date", is_date},
        {"time", is_time},
        {"date-time", is_date_time},
        {"hostname", is_hostname},
        {"email", is_email},
        {"idn-email", is_email},
        {"ipv4", is_ipv4},
        {"ipv6", is_ipv6},
        {"uri", is_uri},
        {"iri", is_uri},
        {"uri-reference", is_reference},
        {"iri-reference", is_reference},
        {"uuid", is_uuid},
        {"regex", is_regex},
        {"json-pointer", is_pointer},
    };
    if (!builtin_tick(c, 1 + (u32)(text.len / 16))) return false;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_eq(format, str_from_c(formats[i].name))) return formats[i].fits(text);
    return true;
}
