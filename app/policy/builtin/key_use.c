/* SPDX-License-Identifier: Apache-2.0 */
/* key_use.c — signatures by mbedTLS and libsodium: verified and made.
 *
 * A key's numbers are loaded into the library's form for each use: that costs little beside the
 * signature itself, and leaves nothing that several threads would share. A false answer is all that
 * verification ever says: a signature that is malformed is a signature that is not right. */
#include "app/policy/builtin/ed25519.h"
#include "app/policy/builtin/key.h"
#include "app/policy/builtin/sha256_x86.h"
#include "kernel/platform.h"
#include <mbedtls/asn1.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/rsa.h>

static const struct key_algorithm algorithms[] = {
    {"RS256", SCHEME_RS, MBEDTLS_MD_SHA256}, {"RS384", SCHEME_RS, MBEDTLS_MD_SHA384},
    {"RS512", SCHEME_RS, MBEDTLS_MD_SHA512}, {"PS256", SCHEME_PS, MBEDTLS_MD_SHA256},
    {"PS384", SCHEME_PS, MBEDTLS_MD_SHA384}, {"PS512", SCHEME_PS, MBEDTLS_MD_SHA512},
    {"ES256", SCHEME_ES, MBEDTLS_MD_SHA256}, {"ES384", SCHEME_ES, MBEDTLS_MD_SHA384},
    {"ES512", SCHEME_ES, MBEDTLS_MD_SHA512}, {"HS256", SCHEME_HS, MBEDTLS_MD_SHA256},
    {"HS384", SCHEME_HS, MBEDTLS_MD_SHA384}, {"HS512", SCHEME_HS, MBEDTLS_MD_SHA512},
    {"EdDSA", SCHEME_ED, MBEDTLS_MD_NONE},
};
const struct key_algorithm *key_algorithm_find(str name) {
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_eq(name, str_from_c(algorithms[i].name))) return &algorithms[i];
    return NULL;
}

static const u8 *bytes_of(str s) {
    return (const u8 *)s.ptr;
}

static bool digest_of(mbedtls_md_type_t hash, str message, u8 digest[MBEDTLS_MD_MAX_SIZE],
                      size_t *len) {
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(hash);
    if (!md || mbedtls_md(md, bytes_of(message), message.len, digest)) return false;
    *len = mbedtls_md_get_size(md);
    return true;
}

/* ---- Verifying ------------------------------------------------------------------------------- */

enum { RSA_BYTES_MAX = MBEDTLS_MPI_MAX_SIZE };

static bool verify_rsa(const struct key *k, bool pss, mbedtls_md_type_t hash, int salt, str message,
                       str signature) {
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    size_t n;
    mbedtls_rsa_context rsa;
    if (!digest_of(hash, message, digest, &n)) return false;
    if (k->rsa.n.len > RSA_BYTES_MAX || k->rsa.e.len > 8) return false;
    mbedtls_rsa_init(&rsa);
    bool ok = !mbedtls_rsa_import_raw(&rsa, bytes_of(k->rsa.n), k->rsa.n.len, NULL, 0, NULL, 0,
                                      NULL, 0, bytes_of(k->rsa.e), k->rsa.e.len) &&
              !mbedtls_rsa_complete(&rsa) && mbedtls_rsa_get_len(&rsa) == signature.len;
    if (ok && pss)
        ok = !mbedtls_rsa_rsassa_pss_verify_ext(&rsa, hash, (unsigned)n, digest, hash, salt,
                                                bytes_of(signature));
    else if (ok)
        ok = !mbedtls_rsa_pkcs1_verify(&rsa, hash, (unsigned)n, digest, bytes_of(signature));
    mbedtls_rsa_free(&rsa);
    return ok;
}

static bool verify_ec(const struct key *k, mbedtls_md_type_t hash, str message, str r_bytes,
                      str s_bytes) {
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    size_t n;
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;
    if (!digest_of(hash, message, digest, &n)) return false;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r), mbedtls_mpi_init(&s);
    bool ok = !mbedtls_ecp_group_load(&group, k->curve) &&
              !mbedtls_mpi_read_binary(&q.MBEDTLS_PRIVATE(X), bytes_of(k->ec.x), k->ec.x.len) &&
              !mbedtls_mpi_read_binary(&q.MBEDTLS_PRIVATE(Y), bytes_of(k->ec.y), k->ec.y.len) &&
              !mbedtls_mpi_lset(&q.MBEDTLS_PRIVATE(Z), 1) &&
              !mbedtls_ecp_check_pubkey(&group, &q) &&
              !mbedtls_mpi_read_binary(&r, bytes_of(r_bytes), r_bytes.len) &&
              !mbedtls_mpi_read_binary(&s, bytes_of(s_bytes), s_bytes.len) &&
              !mbedtls_ecdsa_verify(&group, digest, n, &q, &r, &s);
    mbedtls_mpi_free(&r), mbedtls_mpi_free(&s);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return ok;
}

static bool verify_hmac(str key, mbedtls_md_type_t hash, str message, str signature) {
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(hash);
    u8 mac[MBEDTLS_MD_MAX_SIZE];
    if (hash == MBEDTLS_MD_SHA256 && sha256_x86_hmac(key, message, mac))
        return str_eq_secret(signature, str_of((const char *)mac, SHA256_BYTES));
    if (!md || mbedtls_md_hmac(md, bytes_of(key), key.len, bytes_of(message), message.len, mac))
        return false;
    return str_eq_secret(signature, str_of((const char *)mac, mbedtls_md_get_size(md)));
}

bool key_verify(const struct key *k, const struct key_algorithm *a, unsigned flags, str message,
                str signature) {
    static const enum key_kind kind_of[] = {[SCHEME_RS] = KEY_RSA,
                                            [SCHEME_PS] = KEY_RSA,
                                            [SCHEME_ES] = KEY_EC,
                                            [SCHEME_HS] = KEY_SHARED,
                                            [SCHEME_ED] = KEY_ED25519};
    size_t half = signature.len / 2, most = 2 * (size_t)key_curve_bytes(MBEDTLS_ECP_DP_SECP521R1);
    if (k->kind != kind_of[a->scheme]) return false;
    switch (a->scheme) {
    case SCHEME_RS: return verify_rsa(k, false, a->hash, 0, message, signature);
    case SCHEME_PS:
        return verify_rsa(k, true, a->hash,
                          flags & KEY_ANY_SALT
                              ? MBEDTLS_RSA_SALT_LEN_ANY
                              : (int)mbedtls_md_get_size(mbedtls_md_info_from_type(a->hash)),
                          message, signature);
    case SCHEME_ES:
        if (signature.len > most) return false;
        if (!(flags & KEY_ANY_LENGTH) && signature.len != 2 * (size_t)key_curve_bytes(k->curve))
            return false;
        return verify_ec(k, a->hash, message, str_take(signature, half), str_skip(signature, half));
    case SCHEME_HS: return verify_hmac(k->shared, a->hash, message, signature);
    case SCHEME_ED: return ed25519_verify(bytes_of(k->ed.x), message, signature);
    }
    return false;
}

bool key_verify_der(const struct key *k, enum key_scheme scheme, mbedtls_md_type_t hash,
                    str message, str signature) {
    if (scheme == SCHEME_ED)
        return k->kind == KEY_ED25519 && ed25519_verify(bytes_of(k->ed.x), message, signature);
    if (scheme == SCHEME_RS)
        return k->kind == KEY_RSA && verify_rsa(k, false, hash, 0, message, signature);
    if (scheme == SCHEME_PS)
        return k->kind == KEY_RSA &&
               verify_rsa(k, true, hash, MBEDTLS_RSA_SALT_LEN_ANY, message, signature);
    if (scheme != SCHEME_ES || k->kind != KEY_EC) return false;
    u8 *p = (u8 *)(uintptr_t)signature.ptr; /* the library only reads, but says otherwise */
    const u8 *end = p + signature.len;
    size_t n, r_len, s_len;
    if (mbedtls_asn1_get_tag(&p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) ||
        p + n != end)
        return false;
    if (mbedtls_asn1_get_tag(&p, end, &r_len, MBEDTLS_ASN1_INTEGER)) return false;
    str r = str_of((const char *)p, r_len);
    p += r_len;
    if (mbedtls_asn1_get_tag(&p, end, &s_len, MBEDTLS_ASN1_INTEGER) || p + s_len != end)
        return false;
    return verify_ec(k, hash, message, r, str_of((const char *)p, s_len));
}

/* ---- Signing --------------------------------------------------------------------------------- */

/* Not the evaluation's: that one can be foretold, and these bytes hide the key. */
static int random_of(void *unused, u8 *to, size_t n) {
    (void)unused;
    return platform_entropy(to, n) == RC_OK ? 0 : MBEDTLS_ERR_RSA_RNG_FAILED;
}

static rc_t sign_rsa(const struct key *k, const struct key_algorithm *a, str message,
                     u8 signature[KEY_SIGNATURE_MAX], size_t *len) {
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    size_t n;
    mbedtls_rsa_context rsa;
    if (!digest_of(a->hash, message, digest, &n)) return RC_NO_MEMORY;
    mbedtls_rsa_init(&rsa);
    bool has_primes = k->rsa.p.len && k->rsa.q.len;
    bool ok = !mbedtls_rsa_import_raw(
                  &rsa, bytes_of(k->rsa.n), k->rsa.n.len, has_primes ? bytes_of(k->rsa.p) : NULL,
                  k->rsa.p.len, has_primes ? bytes_of(k->rsa.q) : NULL, k->rsa.q.len,
                  bytes_of(k->rsa.d), k->rsa.d.len, bytes_of(k->rsa.e), k->rsa.e.len) &&
              !mbedtls_rsa_complete(&rsa) && mbedtls_rsa_get_len(&rsa) <= KEY_SIGNATURE_MAX &&
              !mbedtls_rsa_check_privkey(&rsa);
    if (ok && a->scheme == SCHEME_PS)
        ok = !mbedtls_rsa_set_padding(&rsa, MBEDTLS_RSA_PKCS_V21, a->hash) &&
             !mbedtls_rsa_rsassa_pss_sign(&rsa, random_of, NULL, a->hash, (unsigned)n, digest,
                                          signature);
    else if (ok)
        ok =
            !mbedtls_rsa_pkcs1_sign(&rsa, random_of, NULL, a->hash, (unsigned)n, digest, signature);
    *len = mbedtls_rsa_get_len(&rsa);
    mbedtls_rsa_free(&rsa);
    return ok ? RC_OK : RC_INVALID;
}

/* Without randomness (RFC 6979): the same token every time, and no bad random source to fear. */
static rc_t sign_ec(const struct key *k, const struct key_algorithm *a, str message,
                    u8 signature[KEY_SIGNATURE_MAX], size_t *len) {
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    size_t n, half = key_curve_bytes(k->curve);
    mbedtls_ecp_group group;
    mbedtls_mpi d, r, s;
    if (!digest_of(a->hash, message, digest, &n)) return RC_NO_MEMORY;
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&d), mbedtls_mpi_init(&r), mbedtls_mpi_init(&s);
    bool ok =
        !mbedtls_ecp_group_load(&group, k->curve) &&
        !mbedtls_mpi_read_binary(&d, bytes_of(k->ec.d), k->ec.d.len) &&
        !mbedtls_ecp_check_privkey(&group, &d) &&
        !mbedtls_ecdsa_sign_det_ext(&group, &r, &s, &d, digest, n, a->hash, random_of, NULL) &&
        !mbedtls_mpi_write_binary(&r, signature, half) &&
        !mbedtls_mpi_write_binary(&s, signature + half, half);
    mbedtls_mpi_free(&d), mbedtls_mpi_free(&r), mbedtls_mpi_free(&s);
    mbedtls_ecp_group_free(&group);
    *len = 2 * half;
    return ok ? RC_OK : RC_INVALID;
}

rc_t key_sign(const struct key *k, const struct key_algorithm *a, str message,
              u8 signature[KEY_SIGNATURE_MAX], size_t *len) {
    switch (a->scheme) {
    case SCHEME_HS:
        if (k->kind != KEY_SHARED) return RC_INVALID;
        *len = mbedtls_md_get_size(mbedtls_md_info_from_type(a->hash));
        return mbedtls_md_hmac(mbedtls_md_info_from_type(a->hash), bytes_of(k->shared),
                               k->shared.len, bytes_of(message), message.len, signature)
                   ? RC_NO_MEMORY
                   : RC_OK;
    case SCHEME_RS:
    case SCHEME_PS:
        return k->kind == KEY_RSA && k->is_private ? sign_rsa(k, a, message, signature, len)
                                                   : RC_INVALID;
    case SCHEME_ES:
        return k->kind == KEY_EC && k->is_private ? sign_ec(k, a, message, signature, len)
                                                  : RC_INVALID;
    case SCHEME_ED:
        if (k->kind != KEY_ED25519 || !k->is_private) return RC_INVALID;
        ed25519_sign(bytes_of(k->ed.seed), message, signature);
        *len = ED25519_SIGNATURE_BYTES;
        return RC_OK;
    }
    return RC_INVALID;
}
