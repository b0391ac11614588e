/* SPDX-License-Identifier: Apache-2.0 */
/* jose.h — the arithmetic of signed messages (RFC 7515): base64url, SHA-256, ECDSA over P-256. Of
 * use to whoever signs: tokens of ours, requests to certificate authorities. */
#pragma once
#include "kernel/base/base.h"

/* ---- base64url.c ----------------------------------------------------------------------------- */

#define BASE64_LEN(bytes) (((bytes)*4 + 2) / 3) /* letters without padding; add one for the NUL */
#define BASE64_BYTES(letters) ((letters) / 4 * 3 + ((letters) % 4 ? (letters) % 4 - 1 : 0))
/* Strict, unpadded. RC_INVALID; RC_LIMIT: does not fit. */
rc_t base64url_decode(str text, void *to, size_t room, size_t *out_len);
rc_t base64_decode(str text, void *to, size_t room, size_t *out_len);
/* NUL-ended; room BASE64_LEN(n) + 1. Returns the length. */
size_t base64url_encode(const void *bytes, size_t n, char *to);
size_t base64_encode(const void *bytes, size_t n, char *to);

/* ---- es256.c: arithmetic, any thread, slow --------------------------------------------------- */

#define SHA256_BYTES 32u
#define ES256_SIGNATURE_BYTES 64u
#define ES256_KID_ROOM 44u
struct es256_key {
    u8 private_key[32], public_key[64]; /* d; x and y */
    char kid[ES256_KID_ROOM];           /* RFC 7638 thumbprint */
};
void sha256(str bytes, u8 out[SHA256_BYTES]);
void secret_wipe(void *p, size_t n);                                     /* not optimised away */
rc_t es256_make(struct es256_key *out);                                  /* RC_IO: no entropy */
rc_t es256_load(str private_key, str public_key, struct es256_key *out); /* RC_CORRUPT */
rc_t es256_sign(const struct es256_key *key, str message, u8 out[ES256_SIGNATURE_BYTES]);
/* RC_DENIED: not by this key, or not a signature at all. */
rc_t es256_verify(const u8 public_key[64], str message, const u8 signature[ES256_SIGNATURE_BYTES]);
