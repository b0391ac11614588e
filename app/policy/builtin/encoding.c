/* SPDX-License-Identifier: Apache-2.0 */
/* encoding.c — base64, base64url, hex, and JSON as text. (URLs: url.c; YAML: yaml.c.)
 *
 * Decoders follow the reference's library to the byte at which they complain. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/unicode.h"

static bool tick_bytes(struct builtin_call *c, size_t n) {
    return builtin_tick(c, (u32)MIN(n / 32, (size_t)UINT32_MAX));
}

/* ---- base64 (RFC 4648) ---- */

static const char base64_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static value base64_encode(struct builtin_call *c, const value *args, const char *alphabet,
                           bool pad) {
    str s;
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    size_t rest = s.len % 3, len = s.len / 3 * 4 + (rest ? (pad ? 4 : rest + 1) : 0);
    char *room = value_string_room(c->heap, len), *to = room;
    if (!room) return UNDEFINED;
    const u8 *from = (const u8 *)s.ptr;
    for (size_t i = 0; i + 2 < s.len; i += 3) {
        u32 bits = (u32)from[i] << 16 | (u32)from[i + 1] << 8 | from[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) *to++ = alphabet[bits >> shift & 63];
    }
    if (rest) {
        u32 bits = (u32)from[s.len - rest] << 16 | (rest == 2 ? (u32)from[s.len - 1] << 8 : 0);
        for (size_t i = 0; i <= rest; i++) *to++ = alphabet[bits >> (18 - 6 * i) & 63];
        for (size_t i = rest; pad && i < 3; i++) *to++ = '=';
    }
    return value_string_seal(room, len);
}
value builtin_base64_encode(struct builtin_call *c, const value *args) {
    return base64_encode(c, args, base64_standard, true);
}
value builtin_base64url_encode(struct builtin_call *c, const value *args) {
    return base64_encode(c, args, base64_url, true);
}
value builtin_base64url_encode_no_pad(struct builtin_call *c, const value *args) {
    return base64_encode(c, args, base64_url, false);
}

static size_t skip_line_ends(str s, size_t at) {
    while (at < s.len && (s.ptr[at] == '\n' || s.ptr[at] == '\r')) at++;
    return at;
}
static int base64_digit(char ch, const char *alphabet) {
    if (ch == '\0') return -1;
    const char *at = memchr(alphabet, ch, 64);
    return at ? (int)(at - alphabet) : -1;
}

/* One group of four. false: done, `*at` is at the end, or `*bad` is where it went wrong. */
static bool base64_group(str s, const char *alphabet, size_t *at, struct buf *out, s64 *bad) {
    u32 bits = 0, have = 0;
    bool end = false;
    while (have < 4 && !end) {
        *at = skip_line_ends(s, *at);
        if (*at == s.len) {
            if (have) *bad = (s64)(*at - have);
            return false;
        }
        char ch = s.ptr[(*at)++];
        int digit = base64_digit(ch, alphabet);
        if (digit >= 0) {
            bits = bits << 6 | (u32)digit, have++;
            continue;
        }
        end = true;
        if (ch != '=' || have < 2) *bad = (s64)*at - 1;
        if (*bad >= 0) return false;
        if (have == 2) {
            *at = skip_line_ends(s, *at);
            if (*at == s.len) *bad = (s64)s.len;
            else if (s.ptr[*at] != '=') *bad = (s64)*at - 1;
            if (*bad >= 0) return false;
            ++*at;
        }
        *at = skip_line_ends(s, *at);
        if (*at < s.len) *bad = (s64)*at;
    }
    bits <<= 6 * (4 - have);
    for (u32 i = 0; i + 1 < have; i++) (void)buf_add_byte(out, (char)(bits >> (16 - 8 * i)));
    return !end && *bad < 0;
}

/* -1, or the byte at which it is not base64. */
static s64 base64_decode(str s, const char *alphabet, struct buf *out) {
    s64 bad = -1;
    size_t at = 0;
    while (base64_group(s, alphabet, &at, out, &bad)) {}
    return bad;
}

static value base64_decoded(struct builtin_call *c, str s, const char *alphabet) {
    struct buf out;
    if (!tick_bytes(c, s.len)) return UNDEFINED;
    builtin_text_open(c, &out);
    s64 bad = base64_decode(s, alphabet, &out);
    if (bad < 0) return builtin_text_close(c, &out);
    buf_close(&out);
    return builtin_fail(c, "illegal base64 data at input byte %lld", (long long)bad);
}
value builtin_base64_decode(struct builtin_call *c, const value *args) {
    str s;
    return builtin_take_string(c, args, 0, &s) ? base64_decoded(c, s, base64_standard) : UNDEFINED;
}
value builtin_base64_is_valid(struct builtin_call *c, const value *args) {
    struct buf out;
    if (args[0].kind != VALUE_STRING) return value_boolean(false);
    if (!tick_bytes(c, value_str(args[0]).len)) return UNDEFINED;
    builtin_text_open(c, &out);
    s64 bad = base64_decode(value_str(args[0]), base64_standard, &out);
    buf_close(&out);
    return value_boolean(bad < 0);
}
value builtin_base64url_decode(struct builtin_call *c, const value *args) {
    str s;
    if (!builtin_take_string(c, args, 0, &s)) return UNDEFINED;
    if (str_ends(s, S("=")) || s.len % 4 == 0) return base64_decoded(c, s, base64_url);
    if (s.len % 4 == 1)
        return builtin_fail(c, "illegal base64url string: %.*s", STR(str_take(s, 400)));
    char *padded = heap_alloc(c->heap, s.len + 2);
    if (!padded) return UNDEFINED;
    memcpy(padded, s.ptr, s.len);
    memcpy(padded + s.len, "==", 2);
    return base64_decoded(c, str_of(padded, s.len + (4 - s.len % 4)), base64_url);
}

/* ---- hex ---- */

value builtin_hex_encode(struct builtin_call *c, const value *args) {
    str s;
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    char *room = value_string_room(c->heap, 2 * s.len);
    if (!room) return UNDEFINED;
    for (size_t i = 0; i < s.len; i++) {
        room[2 * i] = "0123456789abcdef"[(u8)s.ptr[i] >> 4];
        room[2 * i + 1] = "0123456789abcdef"[(u8)s.ptr[i] & 15];
    }
    return value_string_seal(room, 2 * s.len);
}

static int hex_digit(u8 ch) {
    if (ch >= '0' && ch <= '9') return ch - '0';
    ch |= 32;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}
/* A byte as the reference names it: U+0067 'g'; the character only where it can be seen. */
static value hex_bad(struct builtin_call *c, u8 byte) {
    char seen[16] = "", utf8[4];
    u32 n = rune_encode(utf8, byte);
    if (unicode_is_print(byte)) {
        seen[0] = ' ', seen[1] = '\'';
        memcpy(seen + 2, utf8, n);
        seen[2 + n] = '\'', seen[3 + n] = 0;
    }
    return builtin_fail(c, "encoding/hex: invalid byte: U+%04X%s", byte, seen);
}
value builtin_hex_decode(struct builtin_call *c, const value *args) {
    str s;
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    char *room = value_string_room(c->heap, s.len / 2);
    if (!room) return UNDEFINED;
    for (size_t i = 0; i < s.len; i++) {
        int digit = hex_digit((u8)s.ptr[i]);
        if (digit < 0) return hex_bad(c, (u8)s.ptr[i]);
        if (i % 2) room[i / 2] = (char)(room[i / 2] << 4 | digit);
        else if (i / 2 < s.len / 2) room[i / 2] = (char)digit;
    }
    if (s.len % 2) return builtin_fail(c, "encoding/hex: odd length hex string");
    return value_string_seal(room, s.len / 2);
}

/* ---- JSON ---- */

value builtin_json_marshal(struct builtin_call *c, const value *args) {
    struct buf text;
    builtin_text_open(c, &text);
    json_text_write(&text, args[0], JSON_TEXT_ESCAPE_HTML);
    if (!tick_bytes(c, text.len)) {
        buf_close(&text);
        return UNDEFINED;
    }
    return builtin_text_close(c, &text);
}

value builtin_json_unmarshal(struct builtin_call *c, const value *args) {
    str s;
    value v;
    struct diag why = {0};
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    rc_t rc = json_text_read(c->heap, NULL, s, &v, &why);
    if (rc == RC_OK) return v;
    return rc == RC_NO_MEMORY ? builtin_fail_memory(c) : builtin_fail(c, "%s", why.text);
}
value builtin_json_is_valid(struct builtin_call *c, const value *args) {
    value v;
    struct diag why = {0};
    if (args[0].kind != VALUE_STRING) return value_boolean(false);
    str s = value_str(args[0]);
    if (!tick_bytes(c, s.len)) return UNDEFINED;
    struct heap_mark mark = heap_mark(c->heap);
    rc_t rc = json_text_read(c->heap, NULL, s, &v, &why);
    heap_release(c->heap, mark);
    return rc == RC_NO_MEMORY ? builtin_fail_memory(c) : value_boolean(rc == RC_OK);
}

/* Lines and indents put into compact JSON; empty containers stay together. */
struct layout { str prefix, indent; };

static void new_line(struct buf *to, const struct layout *l, u32 depth) {
    (void)buf_add_byte(to, '\n');
    (void)buf_add(to, l->prefix);
    for (u32 i = 0; i < depth && !to->failed; i++) (void)buf_add(to, l->indent);
}
static void lay_out(struct buf *to, str json, const struct layout *l) {
    u32 depth = 0;
    bool in_string = false, opened = false;
    for (size_t i = 0; i < json.len && !to->failed; i++) {
        char ch = json.ptr[i];
        bool close = !in_string && (ch == '}' || ch == ']');
        if (close) depth--;
        if (opened && !close) new_line(to, l, depth);
        if (close && !opened) new_line(to, l, depth);
        opened = false;
        (void)buf_add_byte(to, ch);
        if (in_string) {
            if (ch == '\\') (void)buf_add_byte(to, json.ptr[++i]);
            else in_string = ch != '"';
        } else if (ch == '"') in_string = true;
        else if (ch == '{' || ch == '[') depth++, opened = true;
        else if (ch == ',') new_line(to, l, depth);
        else if (ch == ':') (void)buf_add_byte(to, ' ');
    }
}

/* The options; *pretty is what they come to. false: failed. */
static bool take_layout(struct builtin_call *c, value options, struct layout *l, bool *pretty) {
    bool implied = false, said = false;
    *pretty = false;
    for (u32 i = 0; i < value_count(options); i++) {
        value key = value_key_at(options, i), v = value_value_at(options, i);
        if (key.kind != VALUE_STRING) {
            builtin_fail_operand_because(
                c, 2, "failed to stringify key at index %u: operand %u must be string but got %s",
                i, i, value_kind_name(key.kind));
            return false;
        }
        str name = value_str(key);
        bool prefix = str_eq(name, S("prefix"));
        if (prefix || str_eq(name, S("indent"))) {
            if (v.kind != VALUE_STRING) {
                builtin_fail_operand_because(
                    c, 2,
                    "key \"%.*s\" failed cast to string: operand %u must be string but got %s",
                    STR(name), i, value_kind_name(v.kind));
                return false;
            }
            *(prefix ? &l->prefix : &l->indent) = value_str(v);
            implied = true;
        } else if (str_eq(name, S("pretty"))) {
            said = true;
            if (v.kind != VALUE_BOOLEAN) {
                builtin_fail_operand_because(c, 2, "key \"%.*s\" failed cast to bool", STR(name));
                return false;
            }
            *pretty = value_is_true(v);
        } else {
            builtin_fail_operand_because(c, 2, "object contained unknown key \"%.*s\"",
                                         STR(str_take(name, 300)));
            return false;
        }
    }
    if (!said) *pretty = implied;
    return true;
}

value builtin_json_marshal_with_options(struct builtin_call *c, const value *args) {
    struct layout l = {S(""), S("\t")};
    struct buf compact, text;
    bool pretty;
    if (!builtin_take_kind(c, args, 1, VALUE_OBJECT) || !take_layout(c, args[1], &l, &pretty))
        return UNDEFINED;
    if (!pretty) return builtin_json_marshal(c, args);
    builtin_text_open(c, &compact);
    builtin_text_open(c, &text);
    json_text_write(&compact, args[0], JSON_TEXT_ESCAPE_HTML);
    (void)buf_add(&text, l.prefix);
    if (!compact.failed) lay_out(&text, buf_str(&compact), &l);
    if (compact.failed) text.failed = true;
    buf_close(&compact);
    if (!tick_bytes(c, text.len)) {
        buf_close(&text);
        return UNDEFINED;
    }
    return builtin_text_close(c, &text);
}
