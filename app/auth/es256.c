/* SPDX-License-Identifier: Apache-2.0 */
/* es256.c — ECDSA over P-256 with SHA-256 (RFC 7518 3.4) by mbedTLS: keys, signatures r||s, and a
 * key's name, the RFC 7638 thumbprint of its JWK.
 *
 * Everything here is arithmetic on memory of the caller's, hundreds of microseconds long: call it
 * in a job, never on the loop. Signing is deterministic (RFC 6979), so a weak random source cannot
 * leak the key; the random bytes taken blind the computation against side channels. */
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <stdio.h>

static int entropy(void *arg, unsigned char *to, size_t n) {
    (void)arg;
    return platform_entropy(to, n) ? MBEDTLS_ERR_ECP_RANDOM_FAILED : 0;
}

void sha256(str bytes, u8 out[SHA256_BYTES]) {
    static const u8 none[1] = {0};
    int rc = mbedtls_sha256(bytes.len ? (const u8 *)bytes.ptr : none, bytes.len, out, 0);
    CHECK(rc == 0); /* software SHA-256 cannot fail */
}

void secret_wipe(void *p, size_t n) {
    mbedtls_platform_zeroize(p, n);
}

static rc_t thumbprint(const u8 public_key[64], char kid[ES256_KID_ROOM]) {
    char x[48], y[48], json[192];
    base64url_encode(public_key, 32, x);
    base64url_encode(public_key + 32, 32, y);
    int n = snprintf(json, sizeof json,
                     "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
    u8 hash[SHA256_BYTES];
    sha256(str_of(json, (size_t)n), hash);
    size_t len = base64url_encode(hash, sizeof hash, kid);
    return len < ES256_KID_ROOM ? RC_OK : RC_LIMIT;
}

rc_t es256_make(struct es256_key *out) {
    mbedtls_ecp_keypair pair;
    u8 point[65];
    size_t n = 0;
    rc_t rc = RC_IO;
    mbedtls_ecp_keypair_init(&pair);
    if (mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, &pair, entropy, NULL)) goto done;
    if (mbedtls_ecp_write_key_ext(&pair, &n, out->private_key, sizeof out->private_key)) goto done;
    if (n != sizeof out->private_key) goto done;
    if (mbedtls_ecp_write_public_key(&pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point, sizeof point) ||
        n != sizeof point)
        goto done;
    memcpy(out->public_key, point + 1, sizeof out->public_key);
    rc = thumbprint(out->public_key, out->kid);
done:
    mbedtls_ecp_keypair_free(&pair);
    return rc;
}

rc_t es256_load(str private_key, str public_key, struct es256_key *out) {
    if (private_key.len != sizeof out->private_key) return RC_CORRUPT;
    if (public_key.len != sizeof out->public_key) return RC_CORRUPT;
    memcpy(out->private_key, private_key.ptr, private_key.len);
    memcpy(out->public_key, public_key.ptr, public_key.len);
    return thumbprint(out->public_key, out->kid);
}

rc_t es256_sign(const struct es256_key *key, str message, u8 out[ES256_SIGNATURE_BYTES]) {
    u8 hash[SHA256_BYTES];
    mbedtls_ecp_group group;
    mbedtls_mpi d, r, s;
    rc_t rc = RC_NO_MEMORY;
    sha256(message, hash);
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1)) goto done;
    if (mbedtls_mpi_read_binary(&d, key->private_key, sizeof key->private_key)) goto done;
    if (mbedtls_ecdsa_sign_det_ext(&group, &r, &s, &d, hash, sizeof hash, MBEDTLS_MD_SHA256,
                                   entropy, NULL))
        goto done;
    if (mbedtls_mpi_write_binary(&r, out, 32) || mbedtls_mpi_write_binary(&s, out + 32, 32))
        goto done;
    rc = RC_OK;
done:
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_group_free(&group);
    return rc;
}

static rc_t verdict(int e) {
    if (e == 0) return RC_OK;
    bool starved = e == MBEDTLS_ERR_MPI_ALLOC_FAILED || e == MBEDTLS_ERR_ECP_ALLOC_FAILED;
    return starved ? RC_NO_MEMORY : RC_DENIED;
}

rc_t es256_verify(const u8 public_key[64], str message, const u8 signature[ES256_SIGNATURE_BYTES]) {
    u8 hash[SHA256_BYTES], point[65] = {4}; /* uncompressed */
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;
    rc_t rc = RC_NO_MEMORY;
    sha256(message, hash);
    memcpy(point + 1, public_key, 64);
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1)) goto done;
    if (mbedtls_mpi_read_binary(&r, signature, 32)) goto done;
    if (mbedtls_mpi_read_binary(&s, signature + 32, 32)) goto done;
    if ((rc = verdict(mbedtls_ecp_point_read_binary(&group, &q, point, sizeof point)))) goto done;
    if ((rc = verdict(mbedtls_ecp_check_pubkey(&group, &q)))) goto done; /* on the curve */
    /* Refuses r or s outside 1 .. n-1. */
    rc = verdict(mbedtls_ecdsa_verify(&group, hash, sizeof hash, &q, &r, &s));
done:
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return rc;
}
