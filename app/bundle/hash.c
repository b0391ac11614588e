/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c — the digest of a file of a bundle.
 *
 * Documents (data.json, data.yaml, .manifest) are hashed by what they mean: members sorted, no
 * blanks, numbers as written; so their layout may change. All else is hashed as it is. */
#include <mbedtls/md.h>
#include <sodium/crypto_hash_sha512.h>
#include "app/bundle/bundle_impl.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"

/* SHA-512/t (FIPS 180-4, 5.3.6): SHA-512 that begins elsewhere and is cut. Where it begins is the
 * hash of its name by a SHA-512 whose beginning was flipped. */
static void sha512_cut(const char *name, str bytes, u8 *to, size_t len) {
    crypto_hash_sha512_state s;
    u8 whole[64];
    crypto_hash_sha512_init(&s);
    for (u32 i = 0; i < 8; i++) s.state[i] ^= 0xa5a5a5a5a5a5a5a5ull;
    crypto_hash_sha512_update(&s, (const u8 *)name, strlen(name));
    crypto_hash_sha512_final(&s, whole);
    crypto_hash_sha512_init(&s);
    for (u32 i = 0; i < 8; i++) {
        s.state[i] = 0;
        for (u32 k = 0; k < 8; k++) s.state[i] = s.state[i] << 8 | whole[8 * i + k];
    }
    crypto_hash_sha512_update(&s, (const u8 *)bytes.ptr, bytes.len);
    crypto_hash_sha512_final(&s, whole);
    memcpy(to, whole, len);
}

static rc_t hash_bytes(str bytes, str algorithm, u8 hash[BUNDLE_HASH_MAX], size_t *len,
                       struct diag *why) {
    static const struct {
        const char *name;
        mbedtls_md_type_t md;
    } known[] = {{"SHA-256", MBEDTLS_MD_SHA256}, {"SHA-512", MBEDTLS_MD_SHA512},
                 {"SHA-384", MBEDTLS_MD_SHA384}, {"SHA-224", MBEDTLS_MD_SHA224},
                 {"SHA-1", MBEDTLS_MD_SHA1},     {"MD5", MBEDTLS_MD_MD5}};
    if (!bytes.ptr) bytes = S("");
    if (str_eq(algorithm, S("SHA-512-256")) || str_eq(algorithm, S("SHA-512-224"))) {
        bool longer = str_ends(algorithm, S("256"));
        *len = longer ? 32 : 28;
        sha512_cut(longer ? "SHA-512/256" : "SHA-512/224", bytes, hash, *len);
        return RC_OK;
    }
    for (u32 i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq(algorithm, str_from_c(known[i].name))) continue;
        const mbedtls_md_info_t *md = mbedtls_md_info_from_type(known[i].md);
        if (!md || mbedtls_md(md, (const u8 *)bytes.ptr, bytes.len, hash)) break;
        *len = mbedtls_md_get_size(md);
        return RC_OK;
    }
    diag_set(why, "unsupported hashing algorithm: %.*s", STR(str_take(algorithm, 80)));
    return RC_INVALID;
}

rc_t bundle_hash_value(value v, str algorithm, u8 hash[BUNDLE_HASH_MAX], size_t *len,
                       struct diag *why) {
    struct buf text;
    buf_open(&text, (size_t)BUNDLE_BYTES_MAX * 2);
    json_text_write(&text, v, 0);
    rc_t rc = text.failed ? RC_NO_MEMORY : hash_bytes(buf_str(&text), algorithm, hash, len, why);
    buf_close(&text);
    return rc;
}

rc_t bundle_hash_file(struct heap *h, str path, str bytes, str algorithm, u8 hash[BUNDLE_HASH_MAX],
                      size_t *len, struct diag *why) {
    str base = path_base(path);
    bool document = str_eq(base, S("data.json")) || str_eq(base, S("data.yaml")) ||
                    str_eq(base, S("signatures.json")) || str_eq(base, S(".manifest"));
    if (!document) return hash_bytes(bytes, algorithm, hash, len, why);
    struct heap_mark mark = heap_mark(h);
    struct diag place = {0};
    value v;
    rc_t rc = json_text_read(h, NULL, bytes, &v, &place);
    if (rc == RC_INVALID) rc = yaml_text_read(h, bytes, &v, &place);
    if (rc)
        diag_set(why, "%.*s: %s", STR(str_take(path, 100)), place.text);
    else
        rc = bundle_hash_value(v, algorithm, hash, len, why);
    if (!h->exhausted) heap_release(h, mark);
    return rc;
}
