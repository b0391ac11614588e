/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_sign.c — tokens made: io.jwt.encode_sign from values, io.jwt.encode_sign_raw from texts.
 *
 * The header is taken as it is: only its algorithm and its type are looked at, by a reader as
 * lenient as the reference's (which takes a lone "e" for a number). */
#include "app/policy/builtin/jwt.h"
#include "app/policy/value/base64_text.h"
#include "app/policy/value/json_text.h"

#define BAD_ALG "missing or invalid 'alg' header: "

static bool is_lenient_number(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!memchr("0123456789+-.eE", s.ptr[i], 15)) return false;
    return s.len > 0;
}

/* The header as a value; null when there is nothing in it to find. */
static bool read_header(struct builtin_call *c, str text, value *out) {
    struct diag why = {0};
    str trimmed = str_trim(text);
    *out = value_null();
    if (trimmed.len == 0) {
        builtin_fail(c,
                     BAD_ALG "cannot parse JSON: cannot parse empty string; unparsed tail: \"\"");
        return false;
    }
    if (is_lenient_number(trimmed)) return true;
    if (json_text_read(c->heap, NULL, text, out, &why) == RC_OK) return true;
    if (!c->heap->exhausted)
        builtin_fail(c, BAD_ALG "cannot parse JSON: %s; unparsed tail: \"%.*s\"", why.text,
                     STR(str_take(trimmed, 64)));
    return false;
}

static bool is_json(struct builtin_call *c, str text) {
    struct diag why;
    value v;
    struct heap_mark mark = heap_mark(c->heap);
    rc_t rc = json_text_read(c->heap, NULL, text, &v, &why);
    if (!c->heap->exhausted) heap_release(c->heap, mark);
    return rc == RC_OK;
}

/* header "." payload "." signature, in one string. */
static value write_token(struct builtin_call *c, str header, str payload, const struct key *k,
                         const struct key_algorithm *a) {
    u8 signature[KEY_SIGNATURE_MAX];
    size_t n = 0, len;
    unsigned flags = BASE64_URL | BASE64_NO_PAD;
    size_t room = BASE64_WRITE_ROOM(header.len) + BASE64_WRITE_ROOM(payload.len) + 2 +
                  BASE64_WRITE_ROOM(sizeof signature);
    char *text = value_string_room(c->heap, room);
    if (!text || !builtin_tick(c, 1000 + (u32)(room / 64))) return UNDEFINED;
    n = base64_text_write(header, flags, text);
    text[n++] = '.';
    n += base64_text_write(payload, flags, text + n);
    rc_t rc = key_sign(k, a, str_of(text, n), signature, &len);
    if (rc == RC_NO_MEMORY) return builtin_fail_memory(c);
    if (rc) {
        static const char *const wanted[] = {[SCHEME_RS] = "*rsa.PrivateKey",
                                             [SCHEME_PS] = "*rsa.PrivateKey",
                                             [SCHEME_ES] = "*ecdsa.PrivateKey",
                                             [SCHEME_HS] = "[]byte",
                                             [SCHEME_ED] = "ed25519.PrivateKey"};
        return builtin_fail(c, "jwsbb.Sign: invalid key type. %s is required", wanted[a->scheme]);
    }
    text[n++] = '.';
    n += base64_text_write(str_of((const char *)signature, len), flags, text + n);
    return value_string_seal(text, n);
}

static value sign(struct builtin_call *c, str header, str payload, str key) {
    struct key_set keys;
    struct diag why = {0};
    value fields;
    if (!key_set_of_json(c->heap, key, &keys, &why)) return builtin_fail(c, "%s", why.text);
    if (keys.count == 0) return builtin_fail(c, "no keys found in JWK set");
    if (!read_header(c, header, &fields)) return UNDEFINED;
    value alg = value_get_str(fields, S("alg")), typ = value_get_str(fields, S("typ"));
    if (!value_is(alg, VALUE_STRING))
        return builtin_fail(c, BAD_ALG "jwsbb: header \"alg\" not found");
    const struct key_algorithm *a = key_algorithm_find(value_str(alg));
    if (!a)
        return builtin_fail(c, "unknown JWS algorithm: %.*s", STR(str_take(value_str(alg), 256)));
    bool must_be_json = !value_is(typ, VALUE_STRING) || str_eq(value_str(typ), S("JWT"));
    if (must_be_json && !is_json(c, payload))
        return builtin_fail(c, "type is JWT but payload is not JSON");
    return write_token(c, header, payload, &keys.items[0], a);
}

value builtin_io_jwt_encode_sign_raw(struct builtin_call *c, const value *args) {
    str header, payload, key;
    if (!builtin_take_string(c, args, 2, &key) || !builtin_take_string(c, args, 0, &header) ||
        !builtin_take_string(c, args, 1, &payload))
        return UNDEFINED;
    return sign(c, header, payload, key);
}

value builtin_io_jwt_encode_sign(struct builtin_call *c, const value *args) {
    str texts[3];
    for (u32 i = 0; i < 3; i++) {
        struct buf text;
        builtin_text_open(c, &text);
        json_text_write(&text, args[i], JSON_TEXT_ESCAPE_HTML);
        value v = builtin_text_close(c, &text);
        if (!value_is(v, VALUE_STRING)) return UNDEFINED;
        texts[i] = value_str(v);
    }
    return sign(c, texts[0], texts[1], texts[2]);
}
