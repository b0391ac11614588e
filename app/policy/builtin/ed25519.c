/* SPDX-License-Identifier: Apache-2.0 */
/* ed25519.c — Ed25519 by libsodium, of which only that part is built.
 *
 * That part calls four helpers of the rest of the library, which wants memory pages locked and a
 * random source opened; here they are as this machine has them. */
#include "app/policy/builtin/ed25519.h"
#include "kernel/platform.h"
#include <mbedtls/platform_util.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/randombytes.h>
#include <sodium/utils.h>

void sodium_memzero(void *const p, const size_t n) {
    mbedtls_platform_zeroize(p, n);
}
int sodium_memcmp(const void *const a, const void *const b, size_t n) {
    return str_eq_secret(str_of(a, n), str_of(b, n)) ? 0 : -1;
}
int sodium_is_zero(const unsigned char *bytes, const size_t n) {
    u8 all = 0;
    for (size_t i = 0; i < n; i++) all |= bytes[i];
    return all == 0;
}
/* For keys made at random, which nobody here asks for; but it must not give what can be guessed. */
void randombytes_buf(void *const to, const size_t n) {
    CHECK(platform_entropy(to, n) == RC_OK);
}

bool ed25519_verify(const u8 public_key[ED25519_KEY_BYTES], str message, str signature) {
    if (signature.len != ED25519_SIGNATURE_BYTES) return false;
    return crypto_sign_ed25519_verify_detached((const u8 *)signature.ptr, (const u8 *)message.ptr,
                                               message.len, public_key) == 0;
}

void ed25519_public_of_seed(const u8 seed[ED25519_KEY_BYTES], u8 public_key[ED25519_KEY_BYTES]) {
    u8 secret[crypto_sign_ed25519_SECRETKEYBYTES];
    (void)crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    sodium_memzero(secret, sizeof secret);
}

void ed25519_sign(const u8 seed[ED25519_KEY_BYTES], str message,
                  u8 signature[ED25519_SIGNATURE_BYTES]) {
    u8 secret[crypto_sign_ed25519_SECRETKEYBYTES], public_key[ED25519_KEY_BYTES];
    (void)crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    (void)crypto_sign_ed25519_detached(signature, NULL, (const u8 *)message.ptr, message.len,
                                       secret);
    sodium_memzero(secret, sizeof secret);
}
