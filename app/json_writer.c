/* SPDX-License-Identifier: Apache-2.0 */
/* json_writer.c — JSON out: text appended in the document's order, no tree between.
 *
 *   json_object(w, NULL) -> json_text(w, "name", v) ... -> json_object_end(w) -> w->out
 *
 * Always true: what comes out is valid JSON in UTF-8 whatever the values hold (bytes that are not
 * UTF-8 become U+FFFD), unless the buffer's maximum was reached, and then `out.failed` says so.
 * Objects and arrays must be closed by the caller; reply_json checks it. */
#include "app/json.h"
#include <math.h>

void json_open(struct json_writer *w, size_t bytes_max) {
    *w = (struct json_writer){0};
    buf_open(&w->out, bytes_max);
}
void json_close(struct json_writer *w) { buf_close(&w->out); }

/* Appends never stop half-way through a reply: the buffer remembers the failure for the end. */
static void put(struct json_writer *w, str s) { (void)!!buf_add(&w->out, s); }

/* Bytes of the well-formed UTF-8 character at p, 0 = none: str_is_utf8 on growing pieces. */
static size_t character_bytes(str s) {
    u8 c = (u8)s.ptr[0];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return n <= s.len && str_is_utf8(str_take(s, n)) ? n : 0;
}

static void put_escaped(struct json_writer *w, str s) {
    static const char hex[] = "0123456789abcdef";
    put(w, S("\""));
    while (s.len) {
        size_t plain = 0; /* the longest run that needs no escape goes out in one piece */
        while (plain < s.len && (u8)s.ptr[plain] >= 0x20 && (u8)s.ptr[plain] < 0x7F &&
               s.ptr[plain] != '"' && s.ptr[plain] != '\\')
            plain++;
        if (plain) put(w, str_take(s, plain));
        s = str_skip(s, plain);
        if (!s.len) break;
        char c = s.ptr[0];
        size_t n = 1;
        if (c == '"' || c == '\\') {
            put(w, str_of((char[]){'\\', c}, 2));
        } else if (c == '\n') {
            put(w, S("\\n"));
        } else if ((u8)c < 0x20 || c == 0x7F) {
            put(w, str_of((char[]){'\\', 'u', '0', '0', hex[(u8)c >> 4], hex[c & 15]}, 6));
        } else if ((n = character_bytes(s))) {
            put(w, str_take(s, n));
        } else {
            put(w, S("\xEF\xBF\xBD"));
            n = 1;
        }
        s = str_skip(s, n);
    }
    put(w, S("\""));
}

/* The comma before, and the key. */
static void lead(struct json_writer *w, const char *key) {
    if (w->comma) put(w, S(","));
    w->comma = true;
    if (!key) return;
    put_escaped(w, str_from_c(key));
    put(w, S(":"));
}

static void open_level(struct json_writer *w, const char *key, str bracket) {
    lead(w, key);
    put(w, bracket);
    w->comma = false;
    w->depth++;
}
static void close_level(struct json_writer *w, str bracket) {
    CHECK(w->depth > 0);
    put(w, bracket);
    w->comma = true;
    w->depth--;
}
void json_object(struct json_writer *w, const char *key) { open_level(w, key, S("{")); }
void json_object_end(struct json_writer *w) { close_level(w, S("}")); }
void json_array(struct json_writer *w, const char *key) { open_level(w, key, S("[")); }
void json_array_end(struct json_writer *w) { close_level(w, S("]")); }

void json_text(struct json_writer *w, const char *key, str value) {
    lead(w, key);
    if (value.ptr)
        put_escaped(w, value);
    else
        put(w, S("null"));
}
void json_int(struct json_writer *w, const char *key, s64 value) {
    char digits[24], *at = digits + sizeof digits;
    u64 left = value < 0 ? 0 - (u64)value : (u64)value;
    lead(w, key);
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *--at = '-';
    put(w, str_of(at, (size_t)(digits + sizeof digits - at)));
}
void json_real(struct json_writer *w, const char *key, double value) {
    lead(w, key);
    if (isfinite(value))
        (void)!!buf_printf(&w->out, "%.15g", value);
    else
        put(w, S("null"));
}
void json_bool(struct json_writer *w, const char *key, bool value) {
    lead(w, key);
    put(w, value ? S("true") : S("false"));
}
void json_null(struct json_writer *w, const char *key) {
    lead(w, key);
    put(w, S("null"));
}
void json_raw(struct json_writer *w, const char *key, str json) {
    lead(w, key);
    put(w, json);
}

/* Civil date from days since 1970: the year begins in March, so the leap day comes last and months
 * follow one formula; 146,097 days make 400 years. */
static void put_date(struct json_writer *w, u64 days) {
    u64 z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    u64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    u64 march_month = (5 * day_of_year + 2) / 153;
    u64 day = day_of_year - (153 * march_month + 2) / 5 + 1;
    u64 month = march_month < 10 ? march_month + 3 : march_month - 9;
    u64 year = year_of_era + era * 400 + (month <= 2);
    (void)!!buf_printf(&w->out, "\"%04u-%02u-%02uT", (unsigned)year, (unsigned)month,
                       (unsigned)day);
}
void json_time(struct json_writer *w, const char *key, u64 utc_ns) {
    u64 ms = utc_ns / NS_PER_MS, s = ms / 1000;
    lead(w, key);
    if (!utc_ns) {
        put(w, S("null"));
        return;
    }
    put_date(w, s / 86400);
    (void)!!buf_printf(&w->out, "%02u:%02u:%02u.%03uZ\"", (unsigned)(s / 3600 % 24),
                       (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(ms % 1000));
}
