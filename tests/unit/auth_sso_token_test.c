/* SPDX-License-Identifier: Apache-2.0 */
/* auth_sso_token_test.c — ID tokens of other providers: one that holds, and every change of it that
 * must not; which keys of a set are used for what. */
#include "app/auth/sso_token.c"
#include "net/tls.h"
#include "tests/test.h"
#include <stdio.h>

#define NOW 1750000000
static struct arena arena;
static struct es256_key key;
static const char *why;
static const struct sso_expected expected = {.issuer = {"https://id.test", 15},
                                             .client_id = {"me", 2},
                                             .nonce = {"n-1", 3},
                                             .access_token = {"at", 2},
                                             .now_s = NOW};

static void begin(void) {
    if (!key.kid[0]) {
        EXPECT_OK(tls_init());
        EXPECT_OK(es256_make(&key));
    }
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
}

static str segment(str json) {
    char *to = arena_alloc(&arena, BASE64_LEN(json.len) + 1);
    return str_of(to, base64url_encode(json.ptr, json.len, to));
}

static str token_of(const char *header, const char *claims) {
    u8 signature[ES256_SIGNATURE_BYTES];
    str text = arena_join(&arena, segment(str_from_c(header)), S("."), segment(str_from_c(claims)));
    EXPECT_OK(es256_sign(&key, text, signature));
    return jwt_signed(&arena, text, signature);
}

#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k\"}"
#define TIMES "\"iat\":1749999990,\"exp\":1750000300"
#define BASE "\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\"," TIMES
#define GOOD "{" BASE ",\"aud\":\"me\",\"email\":\"a@b.c\",\"email_verified\":true,\"name\":\"A\"}"

static rc_t reads(const char *header, const char *claims, struct sso_token *out) {
    return sso_token_read(&arena, token_of(header, claims), &expected, out, &why);
}

static struct sso_key public_key(void) {
    struct sso_key k = {.kid = "k", .algorithm = COSE_ES256, .key_len = 64};
    memcpy(k.key, key.public_key, 64);
    return k;
}

TEST(a_token_that_holds) {
    struct sso_token t;
    begin();
    EXPECT_OK(reads(HEADER, GOOD, &t));
    EXPECT_STR(t.kid, S("k"));
    EXPECT_STR(t.claims.subject, S("7"));
    EXPECT_STR(t.claims.email, S("a@b.c"));
    EXPECT_STR(t.claims.name, S("A"));
    EXPECT(t.claims.email_verified);
    struct sso_key k = public_key();
    EXPECT_OK(sso_token_verify(&k, &t));
    k.algorithm = COSE_RS256; /* the token's is another */
    EXPECT_EQ(sso_token_verify(&k, &t), RC_DENIED);
    k = public_key();
    t.signature.len--;
    EXPECT_EQ(sso_token_verify(&k, &t), RC_DENIED);
    t.signature.len++;
    ((char *)t.signature.ptr)[40] ^= 1;
    EXPECT_EQ(sso_token_verify(&k, &t), RC_DENIED);
    EXPECT_OK(reads("{\"alg\":\"ES256\",\"typ\":\"jwt\"}", GOOD, &t));
    EXPECT(!t.kid.ptr);
    EXPECT_OK(reads("{\"alg\":\"RS256\"}", GOOD, &t));
    EXPECT_EQ(t.algorithm, COSE_RS256);
    EXPECT_EQ(sso_token_verify(&k, &t), RC_DENIED); /* said to be RSA's, signed by P-256 */
    EXPECT_OK(reads(HEADER, "{" BASE ",\"aud\":[\"me\",\"you\"],\"azp\":\"me\"}", &t));
    EXPECT_OK(reads(HEADER,
                    "{" BASE ",\"aud\":[\"me\"],\"email\":\"a@b.c\",\"email_verified\":\"true\","
                    "\"preferred_username\":\"ann\"}", &t));
    EXPECT(t.claims.email_verified);
    EXPECT_STR(t.claims.name, S("ann"));
    EXPECT_OK(reads(HEADER, "{" BASE ",\"aud\":\"me\",\"email\":\"a@b.c\"}", &t));
    EXPECT(!t.claims.email_verified);
}

TEST(headers_that_are_refused) {
    static const char *const headers[] = {
        "{}", "{\"alg\":\"none\"}", "{\"alg\":\"HS256\",\"kid\":\"k\"}", "{\"alg\":\"es256\"}",
        "{\"alg\":[\"ES256\"]}", "{\"alg\":\"ES256\",\"alg\":\"none\"}",
        "{\"alg\":\"ES256\",\"crit\":[]}", "{\"alg\":\"ES256\",\"b64\":false}",
        "{\"alg\":\"ES256\",\"jwk\":{}}", "{\"alg\":\"ES256\",\"jku\":\"https://x\"}",
        "{\"alg\":\"ES256\",\"x5u\":\"https://x\"}", "{\"alg\":\"ES256\",\"x5c\":[]}",
        "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":1}", "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"kid\":\"\"}", "[]", "1", "",
    };
    struct sso_token t;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        begin();
        if (reads(headers[i], GOOD, &t) != RC_INVALID || !why)
            test_fail(__FILE__, __LINE__, "%s was taken", headers[i]);
    }
}

TEST(claims_that_are_refused) {
    static const char *const claims[] = {
        "{}",
        "{\"iss\":\"https://id.test/\",\"nonce\":\"n-1\",\"sub\":\"7\"," TIMES ",\"aud\":\"me\"}",
        "{\"nonce\":\"n-1\",\"sub\":\"7\"," TIMES ",\"aud\":\"me\"}",
        "{" BASE "}",
        "{" BASE ",\"aud\":\"you\"}",
        "{" BASE ",\"aud\":[]}",
        "{" BASE ",\"aud\":[\"me\",\"you\"]}",
        "{" BASE ",\"aud\":[\"me\",\"you\"],\"azp\":\"you\"}",
        "{" BASE ",\"aud\":[\"you\"],\"azp\":\"me\"}",
        "{" BASE ",\"aud\":\"me\",\"azp\":1}",
        "{" BASE ",\"aud\":\"me\",\"nbf\":1750000100}",
        "{" BASE ",\"aud\":\"me\",\"nbf\":\"x\"}",
        "{" BASE ",\"aud\":\"me\",\"at_hash\":\"AAAA\"}",
        "{" BASE ",\"aud\":\"me\",\"at_hash\":1}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-2\",\"sub\":\"7\"," TIMES ",\"aud\":\"me\"}",
        "{\"iss\":\"https://id.test\",\"sub\":\"7\"," TIMES ",\"aud\":\"me\"}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\"," TIMES ",\"aud\":\"me\"}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"\"," TIMES ",\"aud\":\"me\"}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"\\u00e9\"," TIMES
        ",\"aud\":\"me\"}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"iat\":"
        "1749999990}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"exp\":"
        "1750000300}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"iat\":"
        "1749999000,\"exp\":1749999940}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"iat\":"
        "1750000061,\"exp\":1750000300}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"iat\":"
        "1749990000,\"exp\":1750000300}",
        "{\"iss\":\"https://id.test\",\"nonce\":\"n-1\",\"sub\":\"7\",\"aud\":\"me\",\"iat\":1e400,"
        "\"exp\":1750000300}",
    };
    struct sso_token t;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        begin();
        if (reads(HEADER, claims[i], &t) != RC_INVALID || !why)
            test_fail(__FILE__, __LINE__, "%s was taken", claims[i]);
    }
}

TEST(texts_that_are_no_tokens) {
    static const char *const texts[] = {"",   ".",    "..",      "...",      "a.b",
                                        "a.b.c", "e30.e30.e30.e30", "e30.e30.", "e30..e30",
                                        "!.!.!"};
    struct sso_token t;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        EXPECT_EQ(sso_token_read(&arena, str_from_c(texts[i]), &expected, &t, &why), RC_INVALID);
    str good = token_of(HEADER, GOOD);
    for (size_t n = 0; n < good.len - 86; n++) /* cut anywhere before its signature */
        EXPECT(sso_token_read(&arena, str_take(good, n), &expected, &t, &why) != RC_OK);
    char *large = arena_alloc(&arena, SSO_TOKEN_MAX + 1);
    memset(large, 'a', SSO_TOKEN_MAX + 1);
    EXPECT_EQ(sso_token_read(&arena, str_of(large, SSO_TOKEN_MAX + 1), &expected, &t, &why),
              RC_LIMIT);
}

/* 43 letters: 32 bytes; and 342: 256 of them, an RSA modulus by its size. */
#define X32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
static str jwks(const char *keys) {
    return arena_printf(&arena, "{\"keys\":[%s]}", keys);
}

TEST(keys_of_a_set) {
    struct sso_key keys[SSO_KEYS_MAX];
    char modulus[343], rsa[600];
    u32 count;
    begin();
    memset(modulus, 'B', 342);
    modulus[341] = 'A';
    modulus[342] = 0;
    snprintf(rsa, sizeof rsa, "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"%s\",\"e\":\"AQAB\"}",
             modulus);
    EXPECT_OK(sso_keys_read(&arena, jwks(rsa), keys, &count));
    REQUIRE(count == 1);
    EXPECT_EQ(keys[0].algorithm, COSE_RS256);
    EXPECT_EQ(keys[0].key_len, 260);
    EXPECT(!memcmp(keys[0].key + 256, "\0\1\0\1", 4));
    EXPECT_OK(sso_keys_read(
        &arena, jwks("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}"),
        keys, &count));
    REQUIRE(count == 1);
    EXPECT_EQ(keys[0].algorithm, COSE_ES256);
    EXPECT(!keys[0].kid[0]);
    static const char *const never[] = {
        "1", "{}", "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"" X32 "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X32 "\"}",
        "{\"kty\":\"EC\",\"use\":\"enc\",\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}",
        "{\"kty\":\"EC\",\"alg\":\"RS256\",\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}",
        "{\"kty\":\"EC\",\"kid\":1,\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        EXPECT_OK(sso_keys_read(&arena, jwks(never[i]), keys, &count));
        if (count) test_fail(__FILE__, __LINE__, "%s was taken", never[i]);
    }
    EXPECT_EQ(sso_keys_read(&arena, S("{}"), keys, &count), RC_INVALID);
    EXPECT_EQ(sso_keys_read(&arena, S("[]"), keys, &count), RC_INVALID);
    EXPECT_EQ(sso_keys_read(&arena, S("{"), keys, &count), RC_INVALID);
    str many = S("");
    for (u32 i = 0; i < SSO_KEYS_MAX + 4; i++)
        many = arena_join(&arena, many, many.len ? S(",") : S(""), str_from_c(rsa));
    EXPECT_OK(sso_keys_read(&arena, jwks(many.ptr), keys, &count));
    EXPECT_EQ(count, SSO_KEYS_MAX);
}

TEST(a_token_has_one_key_or_none) {
    struct sso_key keys[3] = {{.kid = "a", .algorithm = COSE_ES256},
                              {.kid = "b", .algorithm = COSE_RS256},
                              {.kid = "c", .algorithm = COSE_ES256}};
    struct sso_token t = {.kid = S("c"), .algorithm = COSE_ES256};
    EXPECT(sso_key_find(keys, 3, &t) == &keys[2]);
    t.kid = S("b"); /* RSA's, and the token says ES256 */
    EXPECT(!sso_key_find(keys, 3, &t));
    t.kid = S("d");
    EXPECT(!sso_key_find(keys, 3, &t));
    t.kid = str_of(NULL, 0);
    EXPECT(!sso_key_find(keys, 3, &t)); /* which of the two? */
    EXPECT(sso_key_find(keys, 2, &t) == &keys[0]);
}
