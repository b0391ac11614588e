/* SPDX-License-Identifier: Apache-2.0 */
/* webauthn.c — what an authenticator sends (Web Authentication Level 2), judged without a database.
 *
 *    attestationObject    CBOR map: fmt, attStmt, authData                               (6.5.4)
 *    authData             32 hash of the site's id | 1 flags | 4 counter                 (6.1)
 *                         | when made: 16 model, 2 length, credential id, COSE key | extensions
 *    the signature        over authData followed by SHA-256 of clientDataJSON
 *
 * Keys: ES256 (kept as x and y) and RS256 (kept as modulus and 4 bytes of exponent, 2048 to 4096
 * bits). Attestation: "none", or "packed" by the credential's own key; who built the authenticator
 * is not asked. Signatures take hundreds of microseconds: webauthn_signed is for a worker. */
#include "app/auth/auth_impl.h"
#include "kernel/base/bytes.h"
#include <mbedtls/asn1.h>
#include <mbedtls/rsa.h>

enum {
    AUTH_DATA_MIN = 37,
    MODEL_BYTES = 16,
    FLAG_PRESENT = 1,
    FLAG_VERIFIED = 4,
    FLAG_MAY_BACK_UP = 8,
    FLAG_BACKED_UP = 16,
    FLAG_MADE = 64,
    FLAG_EXTENSIONS = 128,
    COSE_KTY = 1,
    COSE_ALG = 3,
    KTY_EC2 = 2,
    KTY_RSA = 3,
    RSA_BYTES_MIN = 256,
    RSA_BYTES_MAX = 512,
    LABELS = 3, /* -1, -2, -3 */
};

/* ---- Public keys, as COSE has them (RFC 9052, 9053, 8230) ------------------------------------ */

struct cose {
    s64 type, algorithm, curve;
    str part[LABELS]; /* of label -1 - i: byte strings only */
};

static rc_t cose_read(struct cbor *r, struct cose *out) {
    struct cbor_item map, label, value;
    *out = (struct cose){0};
    rc_t rc = cbor_next(r, &map);
    if (rc || map.kind != CBOR_MAP || map.value > 8) return RC_INVALID;
    u32 seen = 0;
    for (u64 i = 0; i < map.value; i++) {
        if (cbor_next(r, &label) || cbor_next(r, &value)) return RC_INVALID;
        if (value.kind == CBOR_MAP || value.kind == CBOR_ARRAY) return RC_INVALID;
        s64 name = cbor_int(&label);
        if (name < -LABELS || name > COSE_ALG || !name || (seen & 1u << (name + LABELS)))
            return RC_INVALID; /* not a parameter of these keys, or twice */
        seen |= 1u << (name + LABELS);
        if (name == COSE_KTY) out->type = cbor_int(&value);
        if (name == COSE_ALG) out->algorithm = cbor_int(&value);
        if (name == -1 && value.kind == CBOR_UINT) out->curve = cbor_int(&value);
        if (name < 0 && value.kind == CBOR_BYTES) out->part[-1 - name] = value.text;
    }
    return RC_OK;
}

static rc_t key_of(const struct cose *c, struct webauthn_data *out) {
    out->algorithm = c->algorithm;
    if (c->algorithm == COSE_ES256) {
        if (c->type != KTY_EC2 || c->curve != 1 || c->part[1].len != 32 || c->part[2].len != 32)
            return RC_INVALID;
        memcpy(out->key, c->part[1].ptr, 32);
        memcpy(out->key + 32, c->part[2].ptr, 32);
        out->key_len = 64;
        return RC_OK;
    }
    str n = c->part[0], e = c->part[1];
    if (c->algorithm != COSE_RS256 || c->type != KTY_RSA || n.len < RSA_BYTES_MIN ||
        n.len > RSA_BYTES_MAX || !n.ptr[0] || !e.len || e.len > 4)
        return RC_INVALID;
    memcpy(out->key, n.ptr, n.len);
    memset(out->key + n.len, 0, 4);
    memcpy(out->key + n.len + 4 - e.len, e.ptr, e.len);
    out->key_len = n.len + 4;
    return RC_OK;
}

/* ---- Authenticator data ---------------------------------------------------------------------- */

static rc_t made_read(struct cbor *r, struct webauthn_data *out) {
    struct cose key;
    if (r->rest.len < MODEL_BYTES + 2) return RC_INVALID;
    r->rest = str_skip(r->rest, MODEL_BYTES);
    size_t n = be16(r->rest.ptr);
    r->rest = str_skip(r->rest, 2);
    if (!n || n > CREDENTIAL_ID_MAX || n > r->rest.len) return RC_INVALID;
    out->credential_id = str_take(r->rest, n);
    r->rest = str_skip(r->rest, n);
    rc_t rc = cose_read(r, &key);
    return rc ? rc : key_of(&key, out);
}

rc_t webauthn_data_read(str bytes, bool made, struct webauthn_data *out) {
    *out = (struct webauthn_data){.bytes = bytes};
    if (bytes.len < AUTH_DATA_MIN) return RC_INVALID;
    const u8 *at = (const u8 *)bytes.ptr;
    u8 flags = at[32];
    memcpy(out->site_hash, at, sizeof out->site_hash);
    out->counter = be32(at + 33);
    out->present = flags & FLAG_PRESENT;
    out->verified = flags & FLAG_VERIFIED;
    out->backed_up = flags & FLAG_BACKED_UP;
    if (out->backed_up && !(flags & FLAG_MAY_BACK_UP)) return RC_INVALID;
    if (made != !!(flags & FLAG_MADE)) return RC_INVALID;
    struct cbor r = {str_skip(bytes, AUTH_DATA_MIN)};
    rc_t rc = made ? made_read(&r, out) : RC_OK;
    str extensions = {NULL, 0};
    if (rc == RC_OK && (flags & FLAG_EXTENSIONS)) {
        rc = cbor_skip(&r, &extensions);
        if (rc == RC_OK && (u8)extensions.ptr[0] >> 5 != CBOR_MAP) rc = RC_INVALID;
    }
    return rc == RC_OK && r.rest.len ? RC_INVALID : rc;
}

/* ---- Attestation ----------------------------------------------------------------------------- */

/* {"alg", "sig"}: signed by the credential itself. Certificates ("x5c") are not looked at. */
static rc_t packed_read(str bytes, struct webauthn_data *out) {
    struct cbor r = {bytes};
    struct cbor_item map, name, value;
    s64 algorithm = 0;
    if (cbor_next(&r, &map) || map.kind != CBOR_MAP || map.value != 2) return RC_INVALID;
    for (u32 i = 0; i < 2; i++) {
        if (cbor_next(&r, &name) || name.kind != CBOR_TEXT || cbor_next(&r, &value))
            return RC_INVALID;
        if (str_eq(name.text, S("alg")))
            algorithm = cbor_int(&value);
        else if (str_eq(name.text, S("sig")) && value.kind == CBOR_BYTES)
            out->own_signature = value.text;
    }
    return out->own_signature.len && algorithm == out->algorithm ? RC_OK : RC_INVALID;
}

rc_t webauthn_attestation_read(str bytes, struct webauthn_data *out) {
    struct cbor r = {bytes};
    struct cbor_item map, name, value;
    str format = {NULL, 0}, statement = {NULL, 0}, data = {NULL, 0};
    if (cbor_next(&r, &map) || map.kind != CBOR_MAP || map.value != 3) return RC_INVALID;
    for (u32 i = 0; i < 3; i++) {
        if (cbor_next(&r, &name) || name.kind != CBOR_TEXT) return RC_INVALID;
        if (str_eq(name.text, S("attStmt"))) {
            if (cbor_skip(&r, &statement)) return RC_INVALID;
            continue;
        }
        if (cbor_next(&r, &value)) return RC_INVALID;
        if (str_eq(name.text, S("fmt")) && value.kind == CBOR_TEXT) format = value.text;
        if (str_eq(name.text, S("authData")) && value.kind == CBOR_BYTES) data = value.text;
    }
    if (r.rest.len || !format.ptr || !statement.len || !data.ptr) return RC_INVALID;
    rc_t rc = webauthn_data_read(data, true, out);
    if (rc) return rc;
    if (str_eq(format, S("none"))) return str_eq(statement, S("\xA0")) ? RC_OK : RC_INVALID;
    return str_eq(format, S("packed")) ? packed_read(statement, out) : RC_INVALID;
}

/* ---- Signatures ------------------------------------------------------------------------------ */

/* DER SEQUENCE of two INTEGERs into r||s. */
static bool ecdsa_der(str der, u8 out[ES256_SIGNATURE_BYTES]) {
    u8 *at = (u8 *)der.ptr, *end = at + der.len;
    size_t n;
    if (mbedtls_asn1_get_tag(&at, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) ||
        at + n != end)
        return false;
    memset(out, 0, ES256_SIGNATURE_BYTES);
    for (u32 i = 0; i < 2; i++) {
        if (mbedtls_asn1_get_tag(&at, end, &n, MBEDTLS_ASN1_INTEGER) || !n || at[0] & 0x80)
            return false;
        if (n > 1 && !at[0] && !(at[1] & 0x80)) return false; /* a longer form than needed */
        if (n > 1 && !at[0]) at++, n--;
        if (n > 32) return false;
        memcpy(out + 32 * i + 32 - n, at, n);
        at += n;
    }
    return at == end;
}

rc_t rs256_verify(str key, str message, str signature) {
    mbedtls_rsa_context rsa;
    u8 hash[SHA256_BYTES];
    rc_t rc = RC_DENIED;
    if (key.len < RSA_BYTES_MIN + 4) return rc;
    size_t n = key.len - 4;
    sha256(message, hash);
    mbedtls_rsa_init(&rsa);
    if (signature.len == n &&
        !mbedtls_rsa_import_raw(&rsa, (const u8 *)key.ptr, n, NULL, 0, NULL, 0, NULL, 0,
                                (const u8 *)key.ptr + n, 4) &&
        !mbedtls_rsa_complete(&rsa) && !mbedtls_rsa_check_pubkey(&rsa) &&
        !mbedtls_rsa_pkcs1_verify(&rsa, MBEDTLS_MD_SHA256, sizeof hash, hash,
                                  (const u8 *)signature.ptr))
        rc = RC_OK;
    mbedtls_rsa_free(&rsa);
    return rc;
}

rc_t webauthn_signed(s64 algorithm, str key, str message, str signature) {
    u8 raw[ES256_SIGNATURE_BYTES];
    if (algorithm == COSE_RS256)
        return rs256_verify(key, message, signature);
    if (algorithm != COSE_ES256 || key.len != 64 || !ecdsa_der(signature, raw)) return RC_DENIED;
    return es256_verify((const u8 *)key.ptr, message, raw);
}
