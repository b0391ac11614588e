/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c — JSON to values (RFC 8259), in one pass straight into their final form.
 *
 * Members of open collections lie on one stack of cells; a collection that closes takes its own
 * off the top. An object's keys are sorted there, so members that came in order, as most do, cost
 * one comparison each. Depth is bounded by VALUE_DEPTH_MAX, so recursion is too. Writing is in
 * json_write.c. Forgiving only where the reference is: bytes that are not UTF-8 and halves of
 * surrogate pairs become U+FFFD. */
#include "app/policy/value/json_text.h"
#include <stdlib.h>
#include "app/policy/value/intern.h"
#include "app/policy/value/keys_impl.h"
#include "app/policy/value/number.h"
#include "kernel/base/limits.h"

struct reader {
    struct heap *heap;
    struct intern *names; /* may be NULL */
    const char *start, *at, *end;
    value *stack; /* members of the collections that are open, on malloc */
    u32 count, room;
    char *scratch; /* of strings with escapes, on malloc */
    size_t scratch_bytes;
    u32 depth;
    struct diag *why;
    rc_t rc;
};

static bool fail(struct reader *r, rc_t rc, const char *what) {
    if (r->rc) return false;
    r->rc = rc;
    if (!r->why) return false;
    int line = 1;
    const char *line_start = r->start;
    for (const char *p = r->start; p < r->at; p++)
        if (*p == '\n') line++, line_start = p + 1;
    diag_set(r->why, "%s", what);
    r->why->line = line, r->why->column = (int)(r->at - line_start) + 1;
    return false;
}

static bool push(struct reader *r, value v) {
    if (r->count == r->room) {
        u32 room = r->room ? r->room * 2 : 64;
        value *stack = room > r->room ? realloc(r->stack, room * sizeof *stack) : NULL;
        if (!stack) return fail(r, RC_NO_MEMORY, "out of memory");
        r->stack = stack, r->room = room;
    }
    r->stack[r->count++] = v;
    return true;
}

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* ---- Strings ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static s32 read_hex4(const char *at, const char *end) { /* -1: not four digits */
    s32 n = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(at[i]);
        if (d < 0) return -1;
        n = n * 16 + d;
    }
    return n;
}

static char *put_utf8(char *to, u32 c) {
    if (c < 0x80) *to++ = (char)c;
    else if (c < 0x800) *to++ = (char)(0xC0 | c >> 6), *to++ = (char)(0x80 | (c & 63));
    else if (c < 0x10000)
        *to++ = (char)(0xE0 | c >> 12), *to++ = (char)(0x80 | (c >> 6 & 63)),
        *to++ = (char)(0x80 | (c & 63));
    else {
        *to++ = (char)(0xF0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63)), *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* The length of the UTF-8 sequence at `p`; 0: not one (RFC 3629). */
static u32 utf8_length(const char *p, const char *end) {
    u32 n = 1;
    u8 c = (u8)*p;
    if (c < 0x80) return 1;
    n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return (size_t)(end - p) >= n && str_is_utf8(str_of(p, n)) ? n : 0;
}

/* Behind the backslash; NULL: not an escape. */
static char *read_escape(struct reader *r, char *to) {
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *found = r->at < r->end && *r->at ? strchr(names, *r->at) : NULL;
    if (found) {
        r->at++;
        *to = bytes[found - names];
        return to + 1;
    }
    if (r->at >= r->end || *r->at != 'u') return NULL;
    s32 high = read_hex4(r->at + 1, r->end);
    if (high < 0) return NULL;
    r->at += 5;
    if (high < 0xD800 || high > 0xDFFF) return put_utf8(to, (u32)high);
    if (high < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        s32 low = read_hex4(r->at + 2, r->end);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            r->at += 6;
            return put_utf8(to, 0x10000 + ((u32)(high - 0xD800) << 10) + (u32)(low - 0xDC00));
        }
    }
    return put_utf8(to, 0xFFFD);
}

/* What has an escape or odd bytes in it: through a scratch buffer with room for the worst case
 * (each bad byte becomes three). */
static bool read_string_slowly(struct reader *r, const char *from, const char *close, value *out) {
    size_t worst = (size_t)(close - from) * 3;
    if (worst > r->scratch_bytes) {
        char *scratch = realloc(r->scratch, worst);
        if (!scratch) return fail(r, RC_NO_MEMORY, "out of memory");
        r->scratch = scratch, r->scratch_bytes = worst;
    }
    char *to = r->scratch;
    for (r->at = from; r->at < close;) {
        if (*r->at == '\\') {
            r->at++;
            to = read_escape(r, to);
            if (!to) return fail(r, RC_INVALID, "invalid escape in a string");
            continue;
        }
        u32 n = utf8_length(r->at, close);
        if (n) memcpy(to, r->at, n), to += n, r->at += n;
        else to = put_utf8(to, 0xFFFD), r->at++;
    }
    r->at = close + 1;
    str s = str_of(r->scratch, (size_t)(to - r->scratch));
    *out = r->names ? intern_string(r->names, s) : value_string(r->heap, s);
    return true;
}

static bool read_string(struct reader *r, value *out) {
    const char *from = ++r->at, *p = from;
    bool plain = true;
    for (; p < r->end && *p != '"'; p++) {
        if ((u8)*p < 0x20) {
            r->at = p;
            return fail(r, RC_INVALID, "control character in a string");
        }
        if (*p == '\\') {
            plain = false;
            if (p + 1 < r->end) p++;
        } else if ((u8)*p >= 0x80) plain = false;
    }
    if (p >= r->end) return fail(r, RC_INVALID, "string without an end");
    if (!plain) return read_string_slowly(r, from, p, out);
    str s = str_of(from, (size_t)(p - from));
    *out = r->names ? intern_string(r->names, s) : value_string(r->heap, s);
    r->at = p + 1;
    return true;
}

/* ---- Collections ---- */

static bool read_value(struct reader *r);

static bool close_array(struct reader *r, u32 from) {
    u32 n = r->count - from;
    value v = n ? value_array(r->heap, r->stack + from, n) : value_empty_array();
    r->count = from;
    return push(r, v);
}

static bool read_array(struct reader *r) {
    u32 from = r->count;
    r->at++;
    skip_blanks(r);
    if (r->at < r->end && *r->at == ']') {
        r->at++;
        return close_array(r, from);
    }
    for (;;) {
        if (!read_value(r)) return false;
        skip_blanks(r);
        if (r->at >= r->end) return fail(r, RC_INVALID, "array without an end");
        if (*r->at == ',') {
            r->at++;
            skip_blanks(r);
        } else if (*r->at == ']') {
            r->at++;
            return close_array(r, from);
        } else return fail(r, RC_INVALID, "expected , or ] in an array");
    }
}

/* Keys and values in turn on the stack, in no order or with repeats: sorted, the last one wins. */
static value object_of_pairs(struct reader *r, const value *pairs, u32 n) {
    struct value_builder b;
    value_builder_open(&b, r->heap, VALUE_OBJECT);
    for (u32 i = 0; i < n; i++) value_builder_replace(&b, pairs[2 * i], pairs[2 * i + 1]);
    value o = value_builder_close(&b);
    if (r->names && o.kind == VALUE_OBJECT) { /* the shape once for all */
        struct value_object *made = (struct value_object *)o.object;
        const struct value_keys *k = intern_keys(r->names, made->keys->items, made->keys->count);
        if (k->count == made->keys->count) made->keys = k;
    }
    return o;
}

static const struct value_keys *keys_of_sorted(struct reader *r, const value *sorted, u32 n) {
    if (r->names) return intern_keys(r->names, sorted, n);
    struct value_keys *k = value_keys_room(r->heap, n);
    if (!k) return NULL;
    memcpy(k->items, sorted, n * sizeof *sorted);
    return value_keys_index(r->heap, k) ? k : NULL;
}

/* In order and unique, as most are: the keys are gathered on the stack above the pairs. */
static value object_of_sorted(struct reader *r, u32 from, u32 n) {
    value *cells;
    for (u32 i = 0; i < n; i++)
        if (!push(r, r->stack[from + 2 * i])) return value_null();
    const struct value_keys *keys = keys_of_sorted(r, r->stack + from + 2 * n, n);
    if (!keys || keys->count != n) return value_null();
    value o = value_object_of_keys(r->heap, keys, &cells);
    if (o.kind != VALUE_OBJECT) return o;
    for (u32 i = 0; i < n; i++) cells[i] = r->stack[from + 2 * i + 1];
    o.depth = value_depth_over(cells, n);
    return o;
}

static bool close_object(struct reader *r, u32 from) {
    u32 n = (r->count - from) / 2;
    const value *pairs = n ? r->stack + from : NULL;
    bool sorted = true;
    for (u32 i = 1; i < n && sorted; i++)
        sorted = value_compare(pairs[2 * i - 2], pairs[2 * i]) < 0;
    value o = !n       ? value_empty_object()
              : sorted ? object_of_sorted(r, from, n)
                       : object_of_pairs(r, pairs, n);
    if (o.kind != VALUE_OBJECT) return fail(r, RC_NO_MEMORY, "out of memory");
    r->count = from;
    return push(r, o);
}

static bool read_member(struct reader *r) {
    value key;
    if (r->at >= r->end || *r->at != '"')
        return fail(r, RC_INVALID, "expected a string as key of an object");
    if (!read_string(r, &key) || !push(r, key)) return false;
    skip_blanks(r);
    if (r->at >= r->end || *r->at != ':') return fail(r, RC_INVALID, "expected : after a key");
    r->at++;
    skip_blanks(r);
    return read_value(r);
}

static bool read_object(struct reader *r) {
    u32 from = r->count;
    r->at++;
    skip_blanks(r);
    if (r->at < r->end && *r->at == '}') {
        r->at++;
        return close_object(r, from);
    }
    for (;;) {
        if (!read_member(r)) return false;
        skip_blanks(r);
        if (r->at >= r->end) return fail(r, RC_INVALID, "object without an end");
        if (*r->at == ',') {
            r->at++;
            skip_blanks(r);
        } else if (*r->at == '}') {
            r->at++;
            return close_object(r, from);
        } else return fail(r, RC_INVALID, "expected , or } in an object");
    }
}

/* ---- Values ---- */

static bool read_word(struct reader *r, str word, value v) {
    if (!str_starts(str_of(r->at, (size_t)(r->end - r->at)), word))
        return fail(r, RC_INVALID, "not a JSON value");
    r->at += word.len;
    return push(r, v);
}

static bool read_number(struct reader *r) {
    const char *from = r->at;
    while (r->at < r->end && (*r->at == '-' || *r->at == '+' || *r->at == '.' ||
                              (*r->at | 32) == 'e' || (*r->at >= '0' && *r->at <= '9')))
        r->at++;
    str text = str_of(from, (size_t)(r->at - from));
    value v = value_number(r->heap, text);
    if (value_defined(v)) return push(r, v);
    r->at = from;
    return fail(r, text.len > NUMBER_TEXT_MAX ? RC_LIMIT : RC_INVALID,
                "not a JSON number, or one out of range");
}

static bool read_value(struct reader *r) {
    value v;
    bool ok;
    if (r->at >= r->end) return fail(r, RC_INVALID, "the text ends where a value is expected");
    switch (*r->at) {
    case '"': return read_string(r, &v) && push(r, v);
    case '{':
    case '[':
        if (r->depth >= VALUE_DEPTH_MAX) return fail(r, RC_LIMIT, "nested too deep");
        r->depth++;
        ok = *r->at == '{' ? read_object(r) : read_array(r);
        r->depth--;
        return ok;
    case 't': return read_word(r, S("true"), value_boolean(true));
    case 'f': return read_word(r, S("false"), value_boolean(false));
    case 'n': return read_word(r, S("null"), value_null());
    default:
        if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')) return read_number(r);
        return fail(r, RC_INVALID, "not a JSON value");
    }
}

rc_t json_text_read(struct heap *h, struct intern *names, str text, value *out, struct diag *why) {
    struct reader r = {.heap = h, .names = names, .start = text.ptr, .at = text.ptr, .why = why};
    *out = UNDEFINED;
    if (!text.len) r.start = r.at = "";
    r.end = r.at + text.len;
    if (text.len > JSON_VALUE_BYTES_MAX)
        return fail(&r, RC_LIMIT, "the document is too large"), RC_LIMIT;
    skip_blanks(&r);
    if (read_value(&r)) {
        skip_blanks(&r);
        if (r.at < r.end) fail(&r, RC_INVALID, "more text after the value");
        else if (h->exhausted) fail(&r, RC_NO_MEMORY, "out of memory");
        else *out = r.stack[0];
    }
    free(r.stack);
    free(r.scratch);
    return r.rc;
}
