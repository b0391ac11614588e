/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: every algorithm both ways, what constraints let through, and the words of errors. */
#include "app/policy/builtin/jwt.c"
#include "app/policy/builtin/jwt_sign.c"
#include "app/policy/builtin/sha256_x86.h"
#include "net/tls.h"
#include "tests/unit/policy_builtin.h"
#include "tests/unit/policy_keys.h"
#include <stdio.h>

/* The library's locks. */
__attribute__((constructor)) static void start(void) {
    (void)!!tls_init();
}

static void forget(void) { /* what was cached */
    for (u32 i = 0; i < test_evaluation.cache_count; i++)
        test_evaluation.cache[i].drop(test_evaluation.cache[i].thing);
    test_evaluation.cache_count = 0;
}

/* Signs, then verifies with the public key, with another, and changed. */
static void round_trip(const char *algorithm, const char *verify, const char *jwk, const char *key,
                       const char *other) {
    static char args[8192], token[2048];
    snprintf(args, sizeof args, "[{\"alg\":\"%s\"},{\"iss\":\"x\",\"n\":1},%s]", algorithm, jwk);
    snprintf(token, sizeof token, "%s", test_answer("io.jwt.encode_sign", args, MIB(4)));
    size_t n = strlen(token);
    if (n < 40 || token[0] != '"') {
        test_fail(__FILE__, __LINE__, "%s: %s", algorithm, token);
        return;
    }
    snprintf(args, sizeof args, "[%s,\"%s\"]", token, key);
    EXPECT_CALL(verify, args, "true");
    snprintf(args, sizeof args, "[%s,\"%s\"]", token, other);
    EXPECT_CALL(verify, args, "false");
    const char *what = strncmp(algorithm, "HS", 2) ? "cert" : "secret";
    char want[128];
    snprintf(want, sizeof want, "[true, {\"alg\": \"%s\"}, {\"iss\": \"x\", \"n\": 1}]", algorithm);
    snprintf(args, sizeof args, "[%s,{\"%s\":\"%s\",\"alg\":\"%s\"}]", token, what, key, algorithm);
    EXPECT_CALL("io.jwt.decode_verify", args, want);
    EXPECT_CALL("io.jwt.decode_verify", args, want); /* remembered */
    snprintf(args, sizeof args, "[%s,{\"%s\":\"%s\",\"alg\":\"none\"}]", token, what, key);
    EXPECT_CALL("io.jwt.decode_verify", args, "[false, {}, {}]");
    token[n - 5] = token[n - 5] == 'A' ? 'B' : 'A';
    snprintf(args, sizeof args, "[%s,\"%s\"]", token, key);
    EXPECT_CALL(verify, args, "false");
    forget();
}

TEST(every_algorithm_signs_and_verifies) {
    round_trip("RS256", "io.jwt.verify_rs256", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_P256_PUBLIC);
    round_trip("RS384", "io.jwt.verify_rs384", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_P256_PUBLIC);
    round_trip("RS512", "io.jwt.verify_rs512", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_P256_PUBLIC);
    round_trip("PS256", "io.jwt.verify_ps256", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_ED25519_PUBLIC);
    round_trip("PS384", "io.jwt.verify_ps384", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_ED25519_PUBLIC);
    round_trip("PS512", "io.jwt.verify_ps512", KEY_RSA_JWK, KEY_RSA_PUBLIC, KEY_ED25519_PUBLIC);
    round_trip("ES256", "io.jwt.verify_es256", KEY_P256_JWK, KEY_P256_PUBLIC, KEY_P384_PUBLIC);
    round_trip("ES384", "io.jwt.verify_es384", KEY_P384_JWK, KEY_P384_PUBLIC, KEY_P256_PUBLIC);
    round_trip("ES512", "io.jwt.verify_es512", KEY_P521_JWK, KEY_P521_PUBLIC, KEY_RSA_PUBLIC);
    round_trip("EdDSA", "io.jwt.verify_eddsa", KEY_ED25519_JWK, KEY_ED25519_PUBLIC, KEY_RSA_PUBLIC);
    const char *oct = "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}";
    round_trip("HS256", "io.jwt.verify_hs256", oct, "secret", "wrong");
    round_trip("HS384", "io.jwt.verify_hs384", oct, "secret", "wrong");
    round_trip("HS512", "io.jwt.verify_hs512", oct, "secret", "wrong");
}

/* {"alg":"HS256"}.{"aud":["a","b"],"exp":2000,"iss":"me","nbf":1000}, secret "s" */
static char claims_token[512];
static const char *claims(const char *more) {
    static char args[1024];
    if (!claims_token[0])
        snprintf(
            claims_token, sizeof claims_token, "%s",
            test_answer("io.jwt.encode_sign",
                        "[{\"alg\":\"HS256\"},{\"aud\":[\"a\",\"b\"],\"exp\":2000,\"iss\":\"me\","
                        "\"nbf\":1000},{\"kty\":\"oct\",\"k\":\"cw\"}]",
                        MIB(1)));
    snprintf(args, sizeof args, "[%s,{\"secret\":\"s\"%s}]", claims_token, more);
    return test_answer("io.jwt.decode_verify", args, MIB(1));
}
static bool holds(const char *more) {
    return strncmp(claims(more), "[true", 5) == 0;
}

TEST(claims_are_held_against_constraints) {
    EXPECT(holds(",\"aud\":\"a\",\"time\":1500000000000"));
    EXPECT(holds(",\"aud\":\"b\",\"iss\":\"me\",\"time\":1000000000000"));
    EXPECT(!holds(",\"aud\":\"c\",\"time\":1500000000000"));
    EXPECT(!holds(",\"time\":1500000000000")); /* a token for somebody, and nobody asked for */
    EXPECT(!holds(",\"aud\":\"a\",\"iss\":\"you\",\"time\":1500000000000"));
    EXPECT(!holds(",\"aud\":\"a\",\"time\":2000000000000"));
    EXPECT(holds(",\"aud\":\"a\",\"time\":1999999999999"));
    EXPECT(!holds(",\"aud\":\"a\",\"time\":999900000000"));
    test_evaluation.now_ns = 1500ull * NS_PER_S;
    EXPECT(holds(",\"aud\":\"a\""));
    test_evaluation.now_ns = 3000ull * NS_PER_S;
    EXPECT(!holds(",\"aud\":\"a\""));
    EXPECT_STR(str_from_c(claims(",\"time\":\"x\"")),
               S("error: token time constraint: must be a number"));
    EXPECT_STR(str_from_c(claims(",\"time\":-1")),
               S("error: token time constraint: must not be negative"));
    EXPECT_STR(str_from_c(claims(",\"foo\":1")),
               S("error: unknown token validation constraint: foo"));
    EXPECT_STR(str_from_c(claims(",\"iss\":1")), S("error: iss constraint: must be a string"));
    EXPECT_STR(str_from_c(claims(",\"cert\":\"{\\\"keys\\\":[]}\"")),
               S("error: duplicate key constraints"));
    forget();
}

TEST(a_public_key_is_no_secret) { /* HS256 signed with the text of the public key */
    static char args[4096], token[2048];
    struct key k = {.kind = KEY_SHARED, .shared = S("-----BEGIN PUBLIC KEY-----")};
    (void)k;
    snprintf(token, sizeof token, "%s",
             test_answer("io.jwt.encode_sign",
                         "[{\"alg\":\"HS256\"},{},{\"kty\":\"oct\",\"k\":\"LS0t\"}]", MIB(1)));
    snprintf(args, sizeof args, "[%s,{\"cert\":\"%s\"}]", token, KEY_RSA_PUBLIC);
    EXPECT_CALL("io.jwt.decode_verify", args, "[false, {}, {}]");
    forget();
}

TEST(keys_are_chosen_by_id_and_algorithm) {
    static char args[16384], token[2048];
    snprintf(args, sizeof args, "[{\"alg\":\"ES256\",\"kid\":\"two\"},{},%s]", KEY_P256_JWK);
    snprintf(token, sizeof token, "%s", test_answer("io.jwt.encode_sign", args, MIB(1)));
    const char *x = strstr(KEY_P256_JWK, "\"x\"");
    REQUIRE(x != NULL);
    static char jwk[512], quoted[2048];
    snprintf(jwk, sizeof jwk, "{\"kty\":\"EC\",\"crv\":\"P-256\",%s", x);
    size_t n = 0;
    for (const char *p = jwk; *p; p++) {
        if (*p == '"') quoted[n++] = '\\';
        quoted[n++] = *p;
    }
    quoted[n - 1] = 0; /* open for more members */
    static const struct {
        const char *more, *want;
    } cases[] = {
        {",\\\"kid\\\":\\\"two\\\"}", "true"},    {",\\\"kid\\\":\\\"three\\\"}", "true"},
        {",\\\"alg\\\":\\\"ES256\\\"}", "true"},  {",\\\"alg\\\":\\\"ES384\\\"}", "false"},
        {",\\\"alg\\\":\\\"other\\\"}", "false"}, {"}", "true"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(args, sizeof args, "[%s,\"{\\\"keys\\\":[%s%s]}\"]", token, quoted, cases[i].more);
        EXPECT_CALL("io.jwt.verify_es256", args, cases[i].want);
    }
    forget();
}

TEST(tokens_are_refused_in_the_references_words) {
    EXPECT_CALL("io.jwt.decode", "[1]", "type error: operand 1 must be string but got number");
    EXPECT_CALL("io.jwt.decode", "[\"\"]", "error: encoded JWT had no period separators");
    EXPECT_CALL("io.jwt.decode", "[\"a.b\"]", "error: encoded JWT must have 3 sections, found 2");
    EXPECT_CALL("io.jwt.decode", "[\"a.b.c.d\"]",
                "error: encoded JWT must have 3 sections, found 4");
    EXPECT_CALL("io.jwt.decode", "[\"a.b.c\"]",
                "error: JWT header had invalid encoding: illegal base64url string: a");
    EXPECT_CALL("io.jwt.decode", "[\"e30.e3!0.e30\"]",
                "error: JWT payload had invalid encoding: illegal base64 data at input byte 2");
    EXPECT_CALL("io.jwt.decode", "[\"W10.e30.e30\"]",
                "error: bad JWT header: decoded JSON type was not an Object");
    EXPECT_CALL("io.jwt.decode", "[\"eyJlbmMiOjF9.e30.e30\"]",
                "error: JWT is a JWE object, which is not supported");
    EXPECT_CALL("io.jwt.decode", "[\"e30.W10.e30\"]", "error: decoded JSON type was not an Object");
    EXPECT_CALL("io.jwt.decode", "[\"e30.e30.\"]", "[{}, {}, \"\"]");
    EXPECT_CALL("io.jwt.verify_rs256", "[\"e30.e30.e30\",\"\"]",
                "error: failed to parse a JWK key (set): failed to unmarshal JWK set: unexpected "
                "end of JSON input");
    EXPECT_CALL("io.jwt.verify_rs256", "[\"e30.e30.e30\",\"{\\\"kty\\\":\\\"RSA\\\"}\"]",
                "error: failed to parse a JWK key (set): failed to unmarshal JWK: required field n "
                "is missing");
    EXPECT_CALL("io.jwt.verify_rs256", "[\"e30.e30.e30\",\"" KEY_RSA_PUBLIC "x\"]",
                "error: extra data after a PEM certificate block");
    EXPECT_CALL("io.jwt.verify_rs256", "[\"eyJhbGciOjF9.e30.e30\",\"" KEY_RSA_PUBLIC "\"]",
                "error: alg: must be a string");
    EXPECT_CALL("io.jwt.decode_verify", "[\"e30.e30.e30\",{}]", "error: no key constraint");
    EXPECT_CALL("io.jwt.decode_verify", "[\"eyJjcml0IjpbXX0.e30.e30\",{\"secret\":\"s\"}]",
                "error: crit: must be a nonempty list");
    EXPECT_CALL(
        "io.jwt.encode_sign_raw", "[\"\",\"\",\"{\\\"kty\\\":\\\"oct\\\",\\\"k\\\":\\\"cw\\\"}\"]",
        "error: missing or invalid 'alg' header: cannot parse JSON: cannot parse empty string; "
        "unparsed tail: \"\"");
    EXPECT_CALL("io.jwt.encode_sign", "[{\"alg\":\"RS256\"},{},{\"kty\":\"oct\",\"k\":\"cw\"}]",
                "error: jwsbb.Sign: invalid key type. *rsa.PrivateKey is required");
    forget();
}

TEST(tokens_survive_small_heaps) {
    for (size_t bytes = 0; bytes < KIB(32); bytes += 512) {
        const char *got =
            test_answer("io.jwt.decode_verify",
                        "[\"eyJhbGciOiJIUzI1NiJ9.e30.6cvao8lnOu6FAdK68jQFcDMXOmaWNwWiYhCgijd-AD8\","
                        "{\"secret\":\"x\"}]",
                        bytes);
        EXPECT(strcmp(got, "memory") == 0 || strcmp(got, "[false, {}, {}]") == 0);
    }
    forget();
}

/* ---- The processor's own SHA-256 ---- */

TEST(the_processors_hmac_is_the_librarys) {
    char key[200], message[700];
    u8 ours[SHA256_BYTES], theirs[SHA256_BYTES];
    for (u32 i = 0; i < 700; i++) {
        size_t key_len = i < 140 ? i : (size_t)(test_random() % sizeof key);
        for (size_t k = 0; k < key_len; k++) key[k] = (char)test_random();
        for (size_t k = 0; k < i; k++) message[k] = (char)test_random();
        str text = str_of(message, i);
        if (!sha256_x86_hmac(str_of(key, key_len), text, ours)) return; /* it has none */
        EXPECT_EQ(mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (u8 *)key, key_len,
                                  (u8 *)message, i, theirs),
                  0);
        EXPECT_EQ(memcmp(ours, theirs, sizeof ours), 0);
    }
}
