/* SPDX-License-Identifier: Apache-2.0 */
/* key_read.c — keys out of their DER forms.
 *
 *   SubjectPublicKeyInfo { algorithm { oid, parameters }, BIT STRING }            public
 *   PrivateKeyInfo { version, algorithm { oid, parameters }, OCTET STRING }       PKCS #8
 *   RSAPrivateKey { version, n, e, d, p, q, dp, dq, qinv }                         PKCS #1
 *   ECPrivateKey { version, OCTET STRING d, [0] curve, [1] BIT STRING point }      SEC 1
 *
 * Only what the reference can read is read: RSA, the curves P-224 to P-521 as far as they are
 * built, Ed25519. What is refused is refused in its words. */
#include "app/policy/builtin/der.h"
#include "app/policy/builtin/ed25519.h"
#include "app/policy/builtin/key.h"
#include "kernel/platform.h"
#include <mbedtls/ecdsa.h>

#define OID_RSA S("\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01")
#define OID_EC S("\x2A\x86\x48\xCE\x3D\x02\x01")
#define OID_ED25519 S("\x2B\x65\x70")

static bool fail(struct diag *why, const char *words) {
    diag_set(why, "%s", words);
    return false;
}

/* ---- Curves ---------------------------------------------------------------------------------- */

static const struct curve {
    u8 id;
    const char *name;
    u32 bytes;
    str oid;
} curves[] = {
    {MBEDTLS_ECP_DP_SECP256R1, "P-256", 32, {"\x2A\x86\x48\xCE\x3D\x03\x01\x07", 8}},
    {MBEDTLS_ECP_DP_SECP384R1, "P-384", 48, {"\x2B\x81\x04\x00\x22", 5}},
    {MBEDTLS_ECP_DP_SECP521R1, "P-521", 66, {"\x2B\x81\x04\x00\x23", 5}},
};
static const struct curve *curve_of(u8 id) {
    for (size_t i = 0; i < ARRAY_LEN(curves); i++)
        if (curves[i].id == id) return &curves[i];
    return NULL;
}
static u8 curve_of_oid(str oid) {
    for (size_t i = 0; i < ARRAY_LEN(curves); i++)
        if (str_eq(curves[i].oid, oid)) return curves[i].id;
    return 0;
}
const char *key_curve_name(u8 curve) {
    return curve_of(curve) ? curve_of(curve)->name : "";
}
u32 key_curve_bytes(u8 curve) {
    return curve_of(curve) ? curve_of(curve)->bytes : 0;
}

/* ---- Public keys ----------------------------------------------------------------------------- */

static bool read_rsa_public(str bits, struct key *out, struct diag *why) {
    str sequence;
    if (!der_take(&bits, DER_SEQUENCE, &sequence) || bits.len)
        return fail(why, "x509: invalid RSA public key");
    *out = (struct key){.kind = KEY_RSA};
    if (!der_take_whole_number(&sequence, &out->rsa.n))
        return fail(why, "x509: invalid RSA modulus");
    if (!der_take_whole_number(&sequence, &out->rsa.e))
        return fail(why, "x509: invalid RSA public exponent");
    if (out->rsa.n.len == 0) return fail(why, "x509: RSA modulus is not a positive number");
    if (out->rsa.e.len == 0) return fail(why, "x509: RSA public exponent is not a positive number");
    return true;
}

/* An uncompressed point of the curve. */
static bool read_point(u8 curve, str bits, struct key *out, struct diag *why) {
    u32 n = key_curve_bytes(curve);
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    if (bits.len != 1 + 2 * n || bits.ptr[0] != 4)
        return fail(why, "x509: failed to unmarshal elliptic curve point");
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    bool ok = !mbedtls_ecp_group_load(&group, curve) &&
              !mbedtls_ecp_point_read_binary(&group, &point, (const u8 *)bits.ptr, bits.len) &&
              !mbedtls_ecp_check_pubkey(&group, &point);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    if (!ok) return fail(why, "x509: failed to unmarshal elliptic curve point");
    *out = (struct key){.kind = KEY_EC, .curve = curve};
    out->ec.x = str_take(str_skip(bits, 1), n);
    out->ec.y = str_skip(bits, 1 + n);
    return true;
}

bool key_of_spki(str der, struct key *out, struct diag *why) {
    str outer, algorithm, oid, parameters, bits;
    u32 unused;
    if (!der_take(&der, DER_SEQUENCE, &outer)) return fail(why, "x509: malformed spki");
    if (!der_take(&outer, DER_SEQUENCE, &algorithm))
        return fail(why, "x509: malformed public key algorithm identifier");
    if (!der_take_oid(&algorithm, &oid)) return fail(why, "x509: malformed OID");
    if (!der_take_bits(&outer, &bits, &unused))
        return fail(why, "x509: malformed subjectPublicKey");
    if (str_eq(oid, OID_RSA)) {
        if (!der_take(&algorithm, DER_NULL, &parameters))
            return fail(why, "x509: RSA key missing NULL parameters");
        return read_rsa_public(bits, out, why);
    }
    if (str_eq(oid, OID_EC)) {
        if (!der_take_oid(&algorithm, &parameters))
            return fail(why, "x509: invalid ECDSA parameters");
        u8 curve = curve_of_oid(parameters);
        if (!curve) return fail(why, "x509: unsupported elliptic curve");
        return read_point(curve, bits, out, why);
    }
    if (str_eq(oid, OID_ED25519)) {
        if (algorithm.len) return fail(why, "x509: Ed25519 key encoded with illegal parameters");
        if (bits.len != ED25519_KEY_BYTES) return fail(why, "x509: wrong Ed25519 public key size");
        *out = (struct key){.kind = KEY_ED25519, .ed.x = bits};
        return true;
    }
    return fail(why, "x509: unknown public key algorithm");
}

/* ---- Private keys ---------------------------------------------------------------------------- */

bool key_of_pkcs1(str der, struct key *out, struct diag *why) {
    str s;
    u32 version;
    *out = (struct key){.kind = KEY_RSA, .is_private = true};
    if (!der_take(&der, DER_SEQUENCE, &s))
        return fail(why, "asn1: structure error: tags don't match");
    if (der.len) return fail(why, "asn1: syntax error: trailing data");
    if (!der_take_small(&s, &version) || !der_take_whole_number(&s, &out->rsa.n) ||
        !der_take_whole_number(&s, &out->rsa.e) || !der_take_whole_number(&s, &out->rsa.d) ||
        !der_take_whole_number(&s, &out->rsa.p) || !der_take_whole_number(&s, &out->rsa.q))
        return fail(why, "asn1: structure error: tags don't match");
    if (version > 1) return fail(why, "x509: unsupported private key version");
    if (!out->rsa.n.len || !out->rsa.d.len || !out->rsa.p.len || !out->rsa.q.len)
        return fail(why, "x509: private key contains zero or negative value");
    return true;
}

/* For blinding: multiplying must not tell the number by its timing. */
static int random_bytes(void *unused, u8 *to, size_t n) {
    (void)unused;
    return platform_entropy(to, n) == RC_OK ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

/* The public point of a private number. */
static bool complete_point(struct heap *h, struct key *k) {
    u32 n = key_curve_bytes(k->curve);
    char *room = heap_alloc(h, 1 + 2 * (size_t)n);
    mbedtls_ecp_keypair pair;
    size_t len;
    bool ok = false;
    if (!room) return false;
    mbedtls_ecp_keypair_init(&pair);
    if (!mbedtls_ecp_read_key(k->curve, &pair, (const u8 *)k->ec.d.ptr, k->ec.d.len) &&
        !mbedtls_ecp_mul(&pair.MBEDTLS_PRIVATE(grp), &pair.MBEDTLS_PRIVATE(Q),
                         &pair.MBEDTLS_PRIVATE(d), &pair.MBEDTLS_PRIVATE(grp).G, random_bytes,
                         NULL) &&
        !mbedtls_ecp_point_write_binary(&pair.MBEDTLS_PRIVATE(grp), &pair.MBEDTLS_PRIVATE(Q),
                                        MBEDTLS_ECP_PF_UNCOMPRESSED, &len, (u8 *)room,
                                        1 + 2 * (size_t)n))
        ok = true;
    mbedtls_ecp_keypair_free(&pair);
    k->ec.x = str_of(room + 1, n);
    k->ec.y = str_of(room + 1 + n, n);
    return ok;
}

bool key_of_sec1(struct heap *h, str der, u8 curve, struct key *out, struct diag *why) {
    str s, d, named, oid;
    u32 version;
    if (!der_take(&der, DER_SEQUENCE, &s) || !der_take_small(&s, &version) ||
        !der_take(&s, DER_OCTET_STRING, &d))
        return fail(
            why, "x509: failed to parse EC private key: asn1: structure error: tags don't match");
    if (version != 1) return fail(why, "x509: unknown EC private key version");
    if (!curve && der_take(&s, DER_CONTEXT_CONSTRUCTED, &named) && der_take_oid(&named, &oid))
        curve = curve_of_oid(oid);
    if (!curve) return fail(why, "x509: unknown elliptic curve");
    while (d.len > key_curve_bytes(curve) && d.ptr[0] == 0) d = str_skip(d, 1);
    if (d.len > key_curve_bytes(curve)) return fail(why, "x509: invalid private key length");
    *out = (struct key){.kind = KEY_EC, .is_private = true, .curve = curve, .ec.d = d};
    if (!complete_point(h, out)) return fail(why, "x509: invalid elliptic curve private key value");
    return true;
}

static bool read_ed25519(struct heap *h, str bytes, struct key *out, struct diag *why) {
    str seed;
    if (!der_take(&bytes, DER_OCTET_STRING, &seed) || seed.len != ED25519_KEY_BYTES)
        return fail(why, "x509: invalid Ed25519 private key");
    u8 *room = heap_alloc(h, ED25519_KEY_BYTES);
    if (!room) return false;
    ed25519_public_of_seed((const u8 *)seed.ptr, room);
    *out = (struct key){.kind = KEY_ED25519, .is_private = true};
    out->ed.seed = seed;
    out->ed.x = str_of((const char *)room, ED25519_KEY_BYTES);
    return true;
}

bool key_of_pkcs8(struct heap *h, str der, struct key *out, struct diag *why) {
    str s, algorithm, oid, named, bytes;
    u32 version;
    if (!der_take(&der, DER_SEQUENCE, &s) || !der_take_small(&s, &version) ||
        !der_take(&s, DER_SEQUENCE, &algorithm) || !der_take_oid(&algorithm, &oid) ||
        !der_take(&s, DER_OCTET_STRING, &bytes))
        return fail(why, "asn1: structure error: tags don't match");
    if (str_eq(oid, OID_RSA)) return key_of_pkcs1(bytes, out, why);
    if (str_eq(oid, OID_EC)) {
        u8 curve = der_take_oid(&algorithm, &named) ? curve_of_oid(named) : 0;
        return key_of_sec1(h, bytes, curve, out, why);
    }
    if (str_eq(oid, OID_ED25519)) return read_ed25519(h, bytes, out, why);
    return fail(why, "x509: PKCS#8 wrapping contained private key with unknown algorithm");
}
