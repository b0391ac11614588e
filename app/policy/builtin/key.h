/* SPDX-License-Identifier: Apache-2.0 */
/* key.h — public, private and shared keys: read from DER (RFC 5280, 5208, 5915, 8017, 8410) and
 * JSON (RFC 7517), used to sign and to verify.
 *
 * Numbers are big-endian bytes without leading zeros. What a key points to lives as long as the
 * text or the heap it was read from. */
#pragma once
#include "app/policy/builtin/builtin.h"
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>

enum key_kind { KEY_RSA, KEY_EC, KEY_ED25519, KEY_SHARED };
struct key {
    enum key_kind kind;
    bool is_private;
    u8 curve; /* KEY_EC: a mbedtls_ecp_group_id */
    union {
        struct {
            str n, e, d, p, q;
        } rsa; /* p and q empty: not told */
        struct {
            str x, y, d;
        } ec;
        struct {
            str x, seed;
        } ed; /* 32 bytes each */
        str shared;
    };
    str alg, kid; /* of a JSON key; empty: not told */
};
struct key_set {
    u32 count;
    struct key *items;
};

/* ---- Reading. False: `why` tells in the reference's words ---- */
bool key_of_spki(str der, struct key *out, struct diag *why);  /* SubjectPublicKeyInfo */
bool key_of_pkcs1(str der, struct key *out, struct diag *why); /* RSAPrivateKey */
bool key_of_sec1(struct heap *h, str der, u8 curve, struct key *out,
                 struct diag *why); /* ECPrivateKey; 0: it names its curve */
bool key_of_pkcs8(struct heap *h, str der, struct key *out, struct diag *why);
/* A key or a set of keys; unknown algorithms are kept (the caller knows what it takes). */
bool key_set_of_json(struct heap *h, str text, struct key_set *out, struct diag *why);

const char *key_curve_name(u8 curve); /* "P-256" */
u32 key_curve_bytes(u8 curve);        /* of one coordinate */

/* ---- Using ---- */
enum key_scheme { SCHEME_RS, SCHEME_PS, SCHEME_ES, SCHEME_HS, SCHEME_ED };
struct key_algorithm {
    const char *name; /* "RS256" */
    enum key_scheme scheme;
    mbedtls_md_type_t hash;
};
const struct key_algorithm *key_algorithm_find(str name); /* NULL: unknown */
enum {
    KEY_ANY_SALT = 1,   /* PS: the signature says how long its salt is; else as long as the hash */
    KEY_ANY_LENGTH = 2, /* ES: halves of any length; else exactly two coordinates */
};
bool key_verify(const struct key *k, const struct key_algorithm *a, unsigned flags, str message,
                str signature);
enum { KEY_SIGNATURE_MAX = 1024 };
/* RC_INVALID: not such a key, or not a good one; RC_NO_MEMORY. */
rc_t key_sign(const struct key *k, const struct key_algorithm *a, str message,
              u8 signature[KEY_SIGNATURE_MAX], size_t *len);
/* The signature of a certificate: DER for EC. `hash` MBEDTLS_MD_NONE: Ed25519. */
bool key_verify_der(const struct key *k, enum key_scheme scheme, mbedtls_md_type_t hash,
                    str message, str signature);
