/* SPDX-License-Identifier: Apache-2.0 */
/* crypto.c — hashes and message authentication codes: text in, lower-case hexadecimal out.
 *
 * MD5 and SHA-1 are here because policies compare with digests others made; nothing of ours relies
 * on them. The certificates and keys of this name space are in x509.c and private_key.c. */
#include "app/policy/builtin/builtin_impl.h"
#include <mbedtls/md.h>

static value hex_of(struct builtin_call *c, const u8 *digest, size_t n) {
    char text[2 * MBEDTLS_MD_MAX_SIZE + 1];
    if (str_hex(digest, n, text, sizeof text)) return builtin_fail_memory(c);
    return builtin_string_of(c, str_of(text, 2 * n));
}

static value hash(struct builtin_call *c, const value *args, mbedtls_md_type_t type) {
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    str text;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_tick(c, 1 + (u32)(text.len / 64)))
        return UNDEFINED;
    if (mbedtls_md(md, (const u8 *)text.ptr, text.len, digest)) return builtin_fail_memory(c);
    return hex_of(c, digest, mbedtls_md_get_size(md));
}

static value hmac(struct builtin_call *c, const value *args, mbedtls_md_type_t type) {
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    u8 digest[MBEDTLS_MD_MAX_SIZE];
    str text, key;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_take_string(c, args, 1, &key))
        return UNDEFINED;
    if (!builtin_tick(c, 2 + (u32)((text.len + key.len) / 64))) return UNDEFINED;
    if (mbedtls_md_hmac(md, (const u8 *)key.ptr, key.len, (const u8 *)text.ptr, text.len, digest))
        return builtin_fail_memory(c);
    return hex_of(c, digest, mbedtls_md_get_size(md));
}

value builtin_crypto_md5(struct builtin_call *c, const value *args) {
    return hash(c, args, MBEDTLS_MD_MD5);
}
value builtin_crypto_sha1(struct builtin_call *c, const value *args) {
    return hash(c, args, MBEDTLS_MD_SHA1);
}
value builtin_crypto_sha256(struct builtin_call *c, const value *args) {
    return hash(c, args, MBEDTLS_MD_SHA256);
}
value builtin_crypto_hmac_md5(struct builtin_call *c, const value *args) {
    return hmac(c, args, MBEDTLS_MD_MD5);
}
value builtin_crypto_hmac_sha1(struct builtin_call *c, const value *args) {
    return hmac(c, args, MBEDTLS_MD_SHA1);
}
value builtin_crypto_hmac_sha256(struct builtin_call *c, const value *args) {
    return hmac(c, args, MBEDTLS_MD_SHA256);
}
value builtin_crypto_hmac_sha512(struct builtin_call *c, const value *args) {
    return hmac(c, args, MBEDTLS_MD_SHA512);
}
value builtin_crypto_hmac_equal(struct builtin_call *c, const value *args) {
    str a, b;
    if (!builtin_take_string(c, args, 0, &a) || !builtin_take_string(c, args, 1, &b))
        return UNDEFINED;
    return value_boolean(str_eq_secret(a, b));
}
