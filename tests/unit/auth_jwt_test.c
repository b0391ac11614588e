/* SPDX-License-Identifier: Apache-2.0 */
/* auth_jwt_test.c — the one form of token we accept, and a collection of those we do not (RFC 8725,
 * and what attackers of token libraries have tried). Whoever adds a claim adds its abuses here. */
#include "app/auth/jwt.c"
#include "tests/test.h"
#include <stdio.h>

#define NOW 1750000000
#define USER "0190a0b0-c0d0-7000-8000-000000000001"
#define SESSION "0190a0b0-c0d0-7000-8000-000000000002"
#define TOKEN "0190a0b0-c0d0-7000-8000-000000000003"
#define KID "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}"
#define IDS "\"sub\":\"" USER "\",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN "\",\"role\":\"user\""
#define TIMES "\"iat\":1750000000,\"exp\":1750000600"
#define NAMES "\"iss\":\"urn:x\",\"aud\":\"openpolicy\""
#define CLAIMS "{" NAMES "," IDS "," TIMES "}"
/* 64 bytes */
#define SIGNATURE                                                                                  \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct jwt_expected expected = {.issuer = {"urn:x", 5},
                                             .audience = {"openpolicy", 10},
                                             .kid = {KID, sizeof KID - 1},
                                             .now_s = NOW};
static struct arena arena;

static str encode_part(const char *json) {
    size_t n = strlen(json);
    char *to = arena_alloc(&arena, BASE64_LEN(n) + 1);
    return str_of(to, base64url_encode(json, n, to));
}

static rc_t parse_text(str token, struct jwt *out) {
    const char *why = NULL;
    rc_t rc = jwt_parse(&arena, test_at_page_end(token), &expected, out, &why);
    EXPECT((rc == RC_OK) == (why == NULL));
    return rc;
}

static rc_t parse(const char *header, const char *claims) {
    struct jwt jwt;
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    return parse_text(arena_printf(&arena, "%.*s.%.*s." SIGNATURE, STR(encode_part(header)),
                                   STR(encode_part(claims))),
                      &jwt);
}

TEST(our_own_token_is_read_back) {
    struct jwt jwt;
    u8 signature[64] = {7};
    arena_open(&arena, NULL, 0, MIB(1));
    str text = jwt_unsigned(&arena, expected.issuer, expected.audience, expected.kid, S(USER),
                            S(SESSION), S(TOKEN), S("admin"), NOW);
    str token = jwt_signed(&arena, text, signature);
    REQUIRE(parse_text(token, &jwt) == RC_OK);
    EXPECT_STR(jwt.signed_part, text);
    EXPECT_STR(jwt.user_id, S(USER));
    EXPECT_STR(jwt.session_id, S(SESSION));
    EXPECT_STR(jwt.token_id, S(TOKEN));
    EXPECT_STR(jwt.role, S("admin"));
    EXPECT_EQ(jwt.expires_s, NOW + ACCESS_SECONDS);
    EXPECT(memcmp(jwt.signature, signature, 64) == 0);
    EXPECT(token.len < 1024);
}

TEST(the_plain_form_is_accepted) {
    EXPECT_OK(parse(HEADER, CLAIMS));
}

TEST(bad_headers) {
    static const char *const bad[] = {
        "{\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"None\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"nOnE\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":null,\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":256,\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":[\"ES256\"],\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"es256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256 \",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES384\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"ALG\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"typ\":\"rt+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"../../etc/passwd\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"x' OR 1=1--\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\\u0000\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":7}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID
        "\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"crit\":[]}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"b64\":true}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID
        "\",\"jku\":\"https://evil.example/k\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID
        "\",\"x5u\":\"https://evil.example/c\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"jwk\":{\"kty\":\"EC\"}}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"x5c\":[\"MIIB\"]}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"" KID "\",\"zip\":\"DEF\"}",
        "[\"ES256\"]",
        "\"ES256\"",
        "null",
        "",
        "{",
        "{}",
        "{\"alg\":\"ES256\"}x",
        "\xEF\xBB\xBF" HEADER,
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\xFF\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse(bad[i], CLAIMS) == RC_OK) test_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
}

TEST(bad_claims) {
    static const char *const bad[] = {
        "{" NAMES "," IDS "}",
        "{" NAMES "," IDS ",\"iat\":1750000000}",
        "{" NAMES "," IDS ",\"exp\":1750000600}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":1750000000}",
        "{" NAMES "," IDS ",\"iat\":1749999000,\"exp\":1749999600}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":1750000601}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":\"1750000600\"}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":1750000600.5}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":1e300}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":-1}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":null}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":true}",
        "{" NAMES "," IDS ",\"iat\":1750000000,\"exp\":[1750000600]}",
        "{" NAMES "," IDS ",\"iat\":\"now\",\"exp\":1750000600}",
        "{" NAMES "," IDS ",\"iat\":0,\"exp\":1750000600}",
        "{" NAMES "," IDS ",\"iat\":1750000100,\"exp\":1750000600}",
        "{" NAMES "," IDS "," TIMES ",\"nbf\":1750000500}",
        "{" NAMES "," IDS "," TIMES ",\"nbf\":\"soon\"}",
        "{" NAMES "," IDS "," TIMES ",\"exp\":9999999999}",
        "{\"aud\":\"openpolicy\"," IDS "," TIMES "}",
        "{\"iss\":\"urn:y\",\"aud\":\"openpolicy\"," IDS "," TIMES "}",
        "{\"iss\":[\"urn:x\"],\"aud\":\"openpolicy\"," IDS "," TIMES "}",
        "{\"iss\":\"urn:x\"," IDS "," TIMES "}",
        "{\"iss\":\"urn:x\",\"aud\":\"other\"," IDS "," TIMES "}",
        "{\"iss\":\"urn:x\",\"aud\":[\"openpolicy\",\"other\"]," IDS "," TIMES "}",
        "{" NAMES ",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN "\",\"role\":\"user\"," TIMES "}",
        "{" NAMES ",\"sub\":\"admin\",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN
        "\",\"role\":\"user\"," TIMES "}",
        "{" NAMES ",\"sub\":\"" USER "\",\"sid\":\"\",\"jti\":\"" TOKEN
        "\",\"role\":\"user\"," TIMES "}",
        "{" NAMES ",\"sub\":\"" USER "\",\"sid\":\"" SESSION "\",\"jti\":7,\"role\":\"user\"," TIMES
        "}",
        "{" NAMES ",\"sub\":\"" USER "\",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN
        "\",\"role\":\"root\"," TIMES "}",
        "{" NAMES ",\"sub\":\"" USER "\",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN
        "\",\"role\":\"\"," TIMES "}",
        "{" NAMES ",\"sub\":\"" USER "\",\"sid\":\"" SESSION "\",\"jti\":\"" TOKEN "\"," TIMES "}",
        "{" NAMES "," IDS "," TIMES ",\"role\":\"admin\"}",
        "{" NAMES "," IDS "," TIMES "} ",
        "[" CLAIMS "]x",
        "",
        "{}",
        "[]",
        "7",
        "not json",
        "{" NAMES "," IDS "," TIMES
        ",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"
        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (strcmp(bad[i], CLAIMS " ") == 0) continue; /* blanks are JSON */
        if (parse(HEADER, bad[i]) == RC_OK) test_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
    }
}

TEST(a_small_clock_difference_is_forgiven) {
    EXPECT_OK(parse(HEADER, "{" NAMES "," IDS ",\"iat\":1750000050,\"exp\":1750000600}"));
    EXPECT_OK(parse(HEADER, "{" NAMES "," IDS "," TIMES ",\"nbf\":1750000010}"));
}

TEST(bad_shapes) {
    struct jwt jwt;
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    str h = encode_part(HEADER), c = encode_part(CLAIMS);
    const str bad[] = {
        S(""),
        S("."),
        S(".."),
        S("..."),
        S("a.b"),
        h,
        arena_printf(&arena, "%.*s.%.*s", STR(h), STR(c)),
        arena_printf(&arena, "%.*s.%.*s.", STR(h), STR(c)),
        arena_printf(&arena, "%.*s..%s", STR(h), SIGNATURE),
        arena_printf(&arena, ".%.*s.%s", STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.%s.", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.%s.%s", STR(h), STR(c), SIGNATURE, SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.%s=", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.%sAA", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.A%s", STR(h), STR(c), SIGNATURE + 2),
        arena_printf(&arena, "%.*s=.%.*s.%s", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s==.%s", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, " %.*s.%.*s.%s", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "%.*s.%.*s.%s ", STR(h), STR(c), SIGNATURE),
        arena_printf(&arena, "{\"payload\":\"%.*s\"}", STR(c)),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse_text(bad[i], &jwt) == RC_OK)
            test_fail(__FILE__, __LINE__, "accepted %.*s", STR(bad[i]));
    char *long_one = arena_alloc(&arena, 100000);
    memset(long_one, 'A', 100000);
    EXPECT_RC(parse_text(str_of(long_one, 100000), &jwt), RC_LIMIT);
}

TEST(a_small_arena_is_a_limit_not_a_crash) {
    struct jwt jwt;
    const char *why;
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    str token = arena_printf(&arena, "%.*s.%.*s." SIGNATURE, STR(encode_part(HEADER)),
                             STR(encode_part(CLAIMS)));
    for (size_t room = 0; room < 4096; room += 64) {
        struct arena small;
        char memory[4096];
        arena_open(&small, memory, room, room);
        rc_t rc = jwt_parse(&small, token, &expected, &jwt, &why);
        EXPECT(rc == RC_OK || rc == RC_LIMIT || rc == RC_NO_MEMORY);
        arena_close(&small);
    }
    arena_close(&arena);
}
