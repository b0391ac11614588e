/* SPDX-License-Identifier: Apache-2.0 */
/* jwk.c — keys as JSON (RFC 7517, 7518, 8037): one key, or {"keys": [...]}.
 *
 *   {"kty": "RSA", "n", "e", "d"...}  {"kty": "EC", "crv", "x", "y", "d"}
 *   {"kty": "OKP", "crv": "Ed25519", "x", "d"}  {"kty": "oct", "k"}
 *
 * One key that cannot be read makes the whole set unreadable, as in the reference. */
#include "app/policy/builtin/ed25519.h"
#include "app/policy/builtin/key.h"
#include "app/policy/value/base64_text.h"
#include "app/policy/value/json_text.h"

struct reading {
    struct heap *heap;
    value object;
    struct diag *why;
};

static bool text_of(struct reading *r, const char *name, str *out) {
    value v = value_get_str(r->object, str_from_c(name));
    if (!value_is(v, VALUE_STRING)) return false;
    *out = value_str(v);
    return true;
}

/* Bytes in base64 of any kind. Absent: empty, which `required` refuses. */
static bool take_bytes(struct reading *r, const char *name, bool required, str *out) {
    value v = value_get_str(r->object, str_from_c(name));
    size_t n, bad_at;
    *out = (str){0};
    if (!value_defined(v)) {
        if (required)
            diag_set(r->why, "failed to unmarshal JWK: required field %s is missing", name);
        return !required;
    }
    if (!value_is(v, VALUE_STRING)) {
        diag_set(r->why, "failed to unmarshal JWK: invalid value for %s", name);
        return false;
    }
    str text = value_str(v);
    char *room = heap_alloc(r->heap, BASE64_READ_ROOM(text.len));
    if (!room) return false;
    unsigned flags =
        str_find_byte(text, '+') < text.len || str_find_byte(text, '/') < text.len ? 0 : BASE64_URL;
    if (str_find_byte(text, '=') == text.len) flags |= BASE64_NO_PAD;
    if (base64_text_read(text, flags, room, &n, &bad_at) || (required && n == 0)) {
        diag_set(r->why, "failed to unmarshal JWK: failed to decode base64 of %s", name);
        return false;
    }
    *out = str_of(room, n);
    return true;
}
static str without_zeros(str s) {
    while (s.len && s.ptr[0] == 0) s = str_skip(s, 1);
    return s;
}

static bool read_rsa(struct reading *r, struct key *k) {
    str *const parts[] = {&k->rsa.n, &k->rsa.e, &k->rsa.d, &k->rsa.p, &k->rsa.q};
    static const char *const names[] = {"n", "e", "d", "p", "q"};
    k->kind = KEY_RSA;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!take_bytes(r, names[i], i < 2, parts[i])) return false;
        *parts[i] = without_zeros(*parts[i]);
    }
    k->is_private = k->rsa.d.len > 0;
    return true;
}

static bool read_ec(struct reading *r, struct key *k) {
    static const u8 ids[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
                             MBEDTLS_ECP_DP_SECP521R1};
    str curve;
    k->kind = KEY_EC;
    if (!text_of(r, "crv", &curve)) {
        diag_set(r->why, "failed to unmarshal JWK: required field crv is missing");
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (str_eq(curve, str_from_c(key_curve_name(ids[i])))) k->curve = ids[i];
    if (!k->curve) {
        diag_set(r->why, "failed to unmarshal JWK: invalid curve: \"%.*s\"",
                 STR(str_take(curve, 40)));
        return false;
    }
    u32 n = key_curve_bytes(k->curve);
    if (!take_bytes(r, "x", true, &k->ec.x) || !take_bytes(r, "y", true, &k->ec.y) ||
        !take_bytes(r, "d", false, &k->ec.d))
        return false;
    k->ec.x = without_zeros(k->ec.x), k->ec.y = without_zeros(k->ec.y),
    k->ec.d = without_zeros(k->ec.d);
    if (k->ec.x.len > n || k->ec.y.len > n || k->ec.d.len > n) {
        diag_set(r->why, "failed to unmarshal JWK: coordinates are too long");
        return false;
    }
    k->is_private = k->ec.d.len > 0;
    return true;
}

static bool read_okp(struct reading *r, struct key *k) {
    str curve;
    u8 derived[ED25519_KEY_BYTES];
    k->kind = KEY_ED25519;
    if (!text_of(r, "crv", &curve) || !str_eq(curve, S("Ed25519"))) {
        diag_set(r->why, "failed to unmarshal JWK: invalid curve algorithm");
        return false;
    }
    if (!take_bytes(r, "x", true, &k->ed.x) || !take_bytes(r, "d", false, &k->ed.seed))
        return false;
    k->is_private = k->ed.seed.len > 0;
    if (k->ed.x.len != ED25519_KEY_BYTES ||
        (k->is_private && k->ed.seed.len != ED25519_KEY_BYTES)) {
        diag_set(r->why, "ed25519: wrong key size");
        return false;
    }
    if (!k->is_private) return true;
    ed25519_public_of_seed((const u8 *)k->ed.seed.ptr, derived);
    if (str_eq(k->ed.x, str_of((const char *)derived, sizeof derived))) return true;
    diag_set(r->why, "ed25519: invalid x value given d value");
    return false;
}

static bool read_key(struct reading *r, struct key *k) {
    str kind;
    *k = (struct key){0};
    if (!value_is(r->object, VALUE_OBJECT) || !text_of(r, "kty", &kind)) {
        diag_set(r->why, "failed to unmarshal JSON into key hint: invalid key type from JSON ()");
        return false;
    }
    bool ok = false;
    if (str_eq(kind, S("RSA")))
        ok = read_rsa(r, k);
    else if (str_eq(kind, S("EC")))
        ok = read_ec(r, k);
    else if (str_eq(kind, S("OKP")))
        ok = read_okp(r, k);
    else if (str_eq(kind, S("oct")))
        k->kind = KEY_SHARED, ok = take_bytes(r, "k", true, &k->shared);
    else
        diag_set(r->why, "invalid key type from JSON (%.*s)", STR(str_take(kind, 40)));
    if (!ok) return false;
    (void)text_of(r, "alg", &k->alg);
    (void)text_of(r, "kid", &k->kid);
    return true;
}

bool key_set_of_json(struct heap *h, str text, struct key_set *out, struct diag *why) {
    value v;
    struct diag place;
    *out = (struct key_set){0};
    rc_t rc = json_text_read(h, NULL, text, &v, &place);
    if (rc) {
        diag_set(why, "failed to unmarshal JWK set: %s",
                 str_trim(text).len ? place.text : "unexpected end of JSON input");
        return false;
    }
    value keys = value_get_str(v, S("keys"));
    bool is_set = value_is(keys, VALUE_ARRAY);
    u32 count = is_set ? value_count(keys) : 1;
    out->items = heap_alloc(h, MAX(1, count) * sizeof *out->items);
    if (!out->items) return false;
    for (u32 i = 0; i < count; i++) {
        struct reading r = {h, is_set ? value_item(keys, i) : v, why};
        if (!read_key(&r, &out->items[i])) return false;
    }
    out->count = count;
    return true;
}
