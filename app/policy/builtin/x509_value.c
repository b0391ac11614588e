/* SPDX-License-Identifier: Apache-2.0 */
/* x509_value.c — certificates, names and keys as policies see them.
 *
 * The shapes are what the reference's language makes of its own structures in JSON, down to the
 * fields that are always empty: policies in the world compare with them. */
#include "app/policy/builtin/der.h"
#include "app/policy/builtin/x509.h"
#include "app/policy/value/base64_text.h"
#include <mbedtls/bignum.h>
#include <stdio.h>
#include <stdlib.h>

void x509_put(struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(b->heap, name), v);
}

value x509_bytes(struct heap *h, str bytes) {
    if (!bytes.ptr) return value_null();
    char *room = value_string_room(h, BASE64_WRITE_ROOM(bytes.len));
    if (!room) return value_null();
    return value_string_seal(room, base64_text_write(bytes, 0, room));
}

/* The next number of an object identifier. */
static bool next_arc(str *body, u64 *out) {
    u64 n = 0;
    for (size_t i = 0; i < body->len && i < 9; i++) {
        n = n << 7 | ((u8)body->ptr[i] & 0x7F);
        if (!((u8)body->ptr[i] & 0x80)) {
            *body = str_skip(*body, i + 1);
            *out = n;
            return true;
        }
    }
    return false;
}

value x509_oid(struct heap *h, str body) {
    struct value_builder b;
    u64 arc;
    if (!next_arc(&body, &arc)) return value_null();
    value_builder_open(&b, h, VALUE_ARRAY);
    u64 top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
    value_builder_add(&b, value_integer((s64)top));
    value_builder_add(&b, value_integer((s64)(arc - top * 40)));
    while (body.len) {
        if (!next_arc(&body, &arc)) return value_null();
        value_builder_add(&b, value_integer((s64)arc));
    }
    return value_builder_close(&b);
}

value x509_oid_text(struct heap *h, str body) {
    char text[256];
    int n = 0;
    value arcs = x509_oid(h, body);
    for (u32 i = 0; i < value_count(arcs) && n < (int)sizeof text - 24; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, i ? ".%lld" : "%lld",
                      (long long)value_item(arcs, i).integer);
    return value_string(h, str_of(text, (size_t)n));
}

value x509_whole_number(struct heap *h, str bytes) {
    mbedtls_mpi n;
    size_t len = 0, room = bytes.len * 4 + 16; /* as the library reckons */
    char *text = heap_alloc(h, room);
    if (!text) return value_null();
    mbedtls_mpi_init(&n);
    bool ok = !mbedtls_mpi_read_binary(&n, (const u8 *)bytes.ptr, bytes.len) &&
              !mbedtls_mpi_write_string(&n, 10, text, room, &len);
    mbedtls_mpi_free(&n);
    value v = ok ? value_number(h, str_of(text, len - 1)) : UNDEFINED;
    return value_defined(v) ? v : value_null();
}

value x509_time(struct heap *h, s64 seconds) {
    /* Days since 0000-03-01, by eras of 400 years. */
    s64 days = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400),
        rest = seconds - days * 86400;
    s64 z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, day = z - era * 146097;
    s64 year_of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    s64 day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100),
        m = (5 * day_of_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9), year = (int)(year_of_era + era * 400 + (month <= 2));
    char text[64];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month,
             (int)(day_of_year - (153 * m + 2) / 5 + 1), (int)(rest / 3600), (int)(rest / 60 % 60),
             (int)(rest % 60));
    return value_string_c(h, text);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void put_public(struct value_builder *b, const struct key *k) {
    if (k->kind == KEY_RSA) {
        x509_put(b, "N", x509_whole_number(b->heap, k->rsa.n));
        x509_put(b, "E", x509_whole_number(b->heap, k->rsa.e));
        return;
    }
    x509_put(b, "Curve", value_empty_object());
    x509_put(b, "X", x509_whole_number(b->heap, k->ec.x));
    x509_put(b, "Y", x509_whole_number(b->heap, k->ec.y));
}

value x509_public_key(struct heap *h, const struct key *k) {
    struct value_builder b;
    if (k->kind == KEY_ED25519) return x509_bytes(h, k->ed.x);
    value_builder_open(&b, h, VALUE_OBJECT);
    put_public(&b, k);
    return value_builder_close(&b);
}

/* What speeds up private RSA, computed from the primes. Order: d mod p-1, d mod q-1, 1/q mod p. */
static bool rsa_extras(struct heap *h, const struct key *k, str out[3]) {
    mbedtls_mpi n[5]; /* p, q, d, p - 1 or q - 1, result */
    bool ok = true;
    for (int i = 0; i < 5; i++) mbedtls_mpi_init(&n[i]);
    const str in[3] = {k->rsa.p, k->rsa.q, k->rsa.d};
    for (int i = 0; i < 3; i++)
        ok = ok && !mbedtls_mpi_read_binary(&n[i], (const u8 *)in[i].ptr, in[i].len);
    for (int i = 0; ok && i < 3; i++) {
        ok = i < 2 ? !mbedtls_mpi_sub_int(&n[3], &n[i], 1) &&
                         !mbedtls_mpi_mod_mpi(&n[4], &n[2], &n[3])
                   : !mbedtls_mpi_inv_mod(&n[4], &n[1], &n[0]);
        size_t len = mbedtls_mpi_size(&n[4]);
        u8 *room = ok ? heap_alloc(h, len) : NULL;
        ok = ok && room && !mbedtls_mpi_write_binary(&n[4], room, len);
        out[i] = str_of((const char *)room, len);
    }
    for (int i = 0; i < 5; i++) mbedtls_mpi_free(&n[i]);
    return ok;
}

value x509_private_key(struct heap *h, const struct key *k) {
    struct value_builder b, pre;
    if (k->kind == KEY_ED25519) {
        char both[64];
        memcpy(both, k->ed.seed.ptr, 32);
        memcpy(both + 32, k->ed.x.ptr, 32);
        return x509_bytes(h, str_of(both, sizeof both));
    }
    value_builder_open(&b, h, VALUE_OBJECT);
    put_public(&b, k);
    x509_put(&b, "D", x509_whole_number(h, k->kind == KEY_RSA ? k->rsa.d : k->ec.d));
    if (k->kind == KEY_RSA) {
        str extras[3];
        value primes[2] = {x509_whole_number(h, k->rsa.p), x509_whole_number(h, k->rsa.q)};
        x509_put(&b, "Primes", value_array(h, primes, 2));
        if (!rsa_extras(h, k, extras)) return value_null();
        value_builder_open(&pre, h, VALUE_OBJECT);
        x509_put(&pre, "Dp", x509_whole_number(h, extras[0]));
        x509_put(&pre, "Dq", x509_whole_number(h, extras[1]));
        x509_put(&pre, "Qinv", x509_whole_number(h, extras[2]));
        x509_put(&pre, "CRTValues", value_empty_array());
        x509_put(&b, "Precomputed", value_builder_close(&pre));
    }
    return value_builder_close(&b);
}

/* base64url without padding, with leading zeros up to `width` bytes. */
static value url_bytes(struct heap *h, str bytes, size_t width) {
    size_t n = MAX(bytes.len, width);
    char *whole = heap_alloc(h, n), *room = value_string_room(h, BASE64_WRITE_ROOM(n));
    if (!whole || !room) return value_null();
    memset(whole, 0, n);
    memcpy(whole + n - bytes.len, bytes.ptr, bytes.len);
    return value_string_seal(room,
                             base64_text_write(str_of(whole, n), BASE64_URL | BASE64_NO_PAD, room));
}

value x509_private_jwk(struct heap *h, const struct key *k) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    if (k->kind == KEY_RSA) {
        static const char *const names[] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
        str parts[8] = {k->rsa.n, k->rsa.e, k->rsa.d, k->rsa.p, k->rsa.q};
        if (!rsa_extras(h, k, parts + 5)) return value_null();
        x509_put(&b, "kty", value_string_c(h, "RSA"));
        for (int i = 0; i < 8; i++) x509_put(&b, names[i], url_bytes(h, parts[i], 0));
    } else if (k->kind == KEY_EC) {
        u32 width = key_curve_bytes(k->curve);
        x509_put(&b, "kty", value_string_c(h, "EC"));
        x509_put(&b, "crv", value_string_c(h, key_curve_name(k->curve)));
        x509_put(&b, "x", url_bytes(h, k->ec.x, width));
        x509_put(&b, "y", url_bytes(h, k->ec.y, width));
        x509_put(&b, "d", url_bytes(h, k->ec.d, width));
    } else {
        x509_put(&b, "kty", value_string_c(h, "OKP"));
        x509_put(&b, "crv", value_string_c(h, "Ed25519"));
        x509_put(&b, "x", url_bytes(h, k->ed.x, 0));
        x509_put(&b, "d", url_bytes(h, k->ed.seed, 0));
    }
    return value_builder_close(&b);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* scheme:opaque | scheme://user@host/path?query#fragment */
value x509_uri(struct heap *h, str text) {
    struct value_builder b;
    str scheme = {0}, opaque = {0}, host = {0}, query = {0}, fragment = {0}, rest = text;
    bool has_user = false, force_query = false;
    size_t at = str_find_byte(rest, '#');
    if (at < rest.len) fragment = str_skip(rest, at + 1), rest = str_take(rest, at);
    at = str_find_byte(rest, ':');
    if (at > 0 && at < rest.len && str_find_byte(str_take(rest, at), '/') == at)
        scheme = str_take(rest, at), rest = str_skip(rest, at + 1);
    at = str_find_byte(rest, '?');
    if (at < rest.len)
        query = str_skip(rest, at + 1), force_query = query.len == 0, rest = str_take(rest, at);
    if (scheme.len && !str_starts(rest, S("/")))
        opaque = rest, rest = (str){0};
    else if (str_starts(rest, S("//"))) {
        str authority = str_skip(rest, 2);
        at = str_find_byte(authority, '/');
        rest = str_skip(authority, at);
        host = str_take(authority, at);
        size_t user = str_find_byte(host, '@');
        if (user < host.len) has_user = true, host = str_skip(host, user + 1);
    }
    value_builder_open(&b, h, VALUE_OBJECT);
    x509_put(&b, "Scheme", value_string(h, scheme));
    x509_put(&b, "Opaque", value_string(h, opaque));
    x509_put(&b, "User", has_user ? value_empty_object() : value_null());
    x509_put(&b, "Host", value_string(h, host));
    x509_put(&b, "Path", value_string(h, rest));
    x509_put(&b, "RawPath", value_string_c(h, ""));
    x509_put(&b, "OmitHost", value_boolean(false));
    x509_put(&b, "ForceQuery", value_boolean(force_query));
    x509_put(&b, "RawQuery", value_string(h, query));
    x509_put(&b, "Fragment", value_string(h, fragment));
    x509_put(&b, "RawFragment", value_string_c(h, ""));
    return value_builder_close(&b);
}
