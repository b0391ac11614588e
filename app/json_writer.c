/* SPDX-License-Identifier: Apache-2.0 */
/* json_writer.c — JSON out: text appended in the document's order, no tree between.
 *
 *   json_object(w, NULL) -> json_text(w, "name", v) ... -> json_object_end(w) -> w->out
 *
 * Always true: what comes out is valid JSON in UTF-8 whatever the values hold (bytes that are not
 * UTF-8 become U+FFFD), unless the buffer's maximum was reached, and then `out.failed` says so.
 * Keys are plain ASCII constants. Objects and arrays must be closed by the caller; reply_json
 * checks it. */
#include "app/json.h"
#include "app/utc.h"
#include <emmintrin.h>
#include <math.h>

void json_open(struct json_writer *w, size_t bytes_max) {
    *w = (struct json_writer){0};
    buf_open(&w->out, bytes_max);
}
void json_close(struct json_writer *w) { buf_close(&w->out); }

/* Appends never stop half-way through a reply: the buffer remembers the failure for the end. */
static void put(struct json_writer *w, str s) { (void)!!buf_add(&w->out, s); }

/* n bytes at the end to be filled at once, or NULL. */
static char *grow(struct json_writer *w, size_t n) {
    struct buf *b = &w->out;
    if (b->failed || (n > b->room - b->len && buf_reserve(b, n))) return NULL;
    char *at = b->ptr + b->len;
    b->len += n;
    return at;
}

/* Bytes of the well-formed UTF-8 character at the front, 0 = none. */
static size_t character_bytes(str s) {
    u8 c = (u8)s.ptr[0];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return n <= s.len && str_is_utf8(str_take(s, n)) ? n : 0;
}

/* Sixteen at a time, by SSE2, which every machine of ours has: compared with their sign, bytes from
 * 0x80 on are less than a blank, too. */
static inline u32 odd_bytes(__m128i v) { /* a bit for each that needs a closer look */
    __m128i odd =
        _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    return (u32)_mm_movemask_epi8(_mm_or_si128(odd, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7F))));
}
size_t json_plain_run(str s) {
    size_t n = 0;
    for (; n + 16 <= s.len; n += 16) {
        u32 mask = odd_bytes(_mm_loadu_si128((const __m128i_u *)(const void *)(s.ptr + n)));
        if (mask) return n + (size_t)__builtin_ctz(mask);
    }
    if (s.len - n >= 8) { /* what is left, as two words that may overlap */
        u64 words[2];
        memcpy(&words[0], s.ptr + n, 8);
        memcpy(&words[1], s.ptr + s.len - 8, 8);
        u32 mask = odd_bytes(_mm_loadu_si128((const __m128i_u *)(const void *)words));
        if (!mask) return s.len;
        size_t at = (size_t)__builtin_ctz(mask);
        return at < 8 ? n + at : s.len - 16 + at;
    }
    while (n < s.len && (u8)s.ptr[n] >= 0x20 && (u8)s.ptr[n] < 0x7F && s.ptr[n] != '"' &&
           s.ptr[n] != '\\')
        n++;
    return n;
}

/* What could not go out as it is, at the front of s; returns the bytes it used. */
static size_t put_odd(struct json_writer *w, str s) {
    static const char hex[] = "0123456789abcdef";
    char c = s.ptr[0];
    size_t n = 1;
    if (c == '"' || c == '\\')
        put(w, str_of((char[]){'\\', c}, 2));
    else if (c == '\n')
        put(w, S("\\n"));
    else if ((u8)c < 0x20 || c == 0x7F)
        put(w, str_of((char[]){'\\', 'u', '0', '0', hex[(u8)c >> 4], hex[c & 15]}, 6));
    else if ((n = character_bytes(s)))
        put(w, str_take(s, n));
    else {
        put(w, S("\xEF\xBF\xBD"));
        n = 1;
    }
    return n;
}

static void put_escaped(struct json_writer *w, str s) {
    size_t plain = json_plain_run(s);
    if (plain == s.len) { /* nearly always: one piece */
        char *to = grow(w, s.len + 2);
        if (!to) return;
        to[0] = '"';
        if (s.len) memcpy(to + 1, s.ptr, s.len);
        to[s.len + 1] = '"';
        return;
    }
    put(w, S("\""));
    for (;;) {
        put(w, str_take(s, plain));
        s = str_skip(s, plain);
        if (!s.len) break;
        s = str_skip(s, put_odd(w, s));
        plain = json_plain_run(s);
    }
    put(w, S("\""));
}

/* Keys are constants of ours, plain text. */
void json_key(struct json_writer *w, str key) {
    bool comma = w->comma;
    w->comma = true;
    if (!key.ptr) {
        if (comma) put(w, S(","));
        return;
    }
    char *to = grow(w, key.len + 3 + comma);
    if (!to) return;
    if (comma) *to++ = ',';
    to[0] = '"';
    memcpy(to + 1, key.ptr, key.len);
    to[key.len + 1] = '"';
    to[key.len + 2] = ':';
}

/* The commonest member of all, in one piece: key and plain text. */
void json_member_text(struct json_writer *w, str key, str v) {
    if (!key.ptr || !v.ptr || json_plain_run(v) != v.len) {
        json_key(w, key);
        json_put_text(w, v);
        return;
    }
    char *to = grow(w, key.len + v.len + 5 + w->comma);
    if (!to) return;
    if (w->comma) *to++ = ',';
    w->comma = true;
    to[0] = '"';
    memcpy(to + 1, key.ptr, key.len);
    to += key.len + 1;
    memcpy(to, "\":\"", 3);
    if (v.len) memcpy(to + 3, v.ptr, v.len);
    to[v.len + 3] = '"';
}

static void open_level(struct json_writer *w, str bracket) {
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
void json_put_object(struct json_writer *w) { open_level(w, S("{")); }
void json_object_end(struct json_writer *w) { close_level(w, S("}")); }
void json_put_array(struct json_writer *w) { open_level(w, S("[")); }
void json_array_end(struct json_writer *w) { close_level(w, S("]")); }

void json_put_text(struct json_writer *w, str value) {
    if (value.ptr) put_escaped(w, value);
    else put(w, S("null"));
}
void json_put_int(struct json_writer *w, s64 value) {
    char digits[24], *at = digits + sizeof digits;
    u64 left = value < 0 ? 0 - (u64)value : (u64)value;
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *--at = '-';
    put(w, str_of(at, (size_t)(digits + sizeof digits - at)));
}
void json_put_real(struct json_writer *w, double value) {
    if (isfinite(value)) (void)!!buf_printf(&w->out, "%.15g", value);
    else put(w, S("null"));
}
void json_put_raw(struct json_writer *w, str json) { put(w, json); }

void json_put_time(struct json_writer *w, u64 utc_ns) {
    char room[UTC_ROOM];
    if (!utc_ns) {
        put(w, S("null"));
        return;
    }
    put(w, S("\""));
    put(w, utc_write(utc_ns, room));
    put(w, S("\""));
}

void json_put_name(struct json_writer *w, str name) {
    json_key(w, str_of(NULL, 0)); /* the comma */
    put_escaped(w, name);
    put(w, S(":"));
}

/* As deep as the scan let it be: JSON_DEPTH_MAX. */
void json_put_tree(struct json_writer *w, const cJSON *v) {
    bool object = cJSON_IsObject(v);
    if (object || cJSON_IsArray(v)) {
        if (object) json_put_object(w);
        else json_put_array(w);
        for (const cJSON *m = v->child; m; m = m->next) {
            if (object) json_put_name(w, str_from_c(m->string));
            else json_key(w, str_of(NULL, 0));
            json_put_tree(w, m);
        }
        if (object) json_object_end(w);
        else json_array_end(w);
    } else if (cJSON_IsString(v)) {
        json_put_text(w, str_from_c(v->valuestring));
    } else if (cJSON_IsNumber(v)) {
        bool whole = v->valuedouble == floor(v->valuedouble) && fabs(v->valuedouble) < 9e15;
        if (whole) json_put_int(w, (s64)v->valuedouble);
        else json_put_real(w, v->valuedouble);
    } else {
        json_put_raw(w, cJSON_IsNull(v) ? S("null") : cJSON_IsTrue(v) ? S("true") : S("false"));
    }
}
