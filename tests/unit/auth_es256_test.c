/* SPDX-License-Identifier: Apache-2.0 */
/* auth_es256_test.c — signatures made and judged; RFC 7638 names; hostile r and s. */
#include "app/auth/es256.c"
#include "net/tls.h"
#include "tests/test.h"

/* RFC 7515 A.3: key and signature. */
static const char rfc_x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
static const char rfc_y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
static const char rfc_d[] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
static const char rfc_message[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
    "bS9pc19yb290Ijp0cnVlfQ";
static const char rfc_signature[] =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/* The library's locks. */
__attribute__((constructor)) static void start(void) {
    (void)!!tls_init();
}

static void rfc_key(struct es256_key *key) {
    u8 d[32], xy[64];
    size_t n;
    EXPECT_OK(base64url_decode(str_from_c(rfc_d), d, sizeof d, &n));
    EXPECT_OK(base64url_decode(str_from_c(rfc_x), xy, 32, &n));
    EXPECT_OK(base64url_decode(str_from_c(rfc_y), xy + 32, 32, &n));
    EXPECT_OK(es256_load(str_of((char *)d, 32), str_of((char *)xy, 64), key));
}

TEST(judges_the_rfc_signature) {
    struct es256_key key;
    u8 signature[64];
    size_t n;
    rfc_key(&key);
    EXPECT_OK(base64url_decode(str_from_c(rfc_signature), signature, sizeof signature, &n));
    EXPECT_OK(es256_verify(key.public_key, str_from_c(rfc_message), signature));
    EXPECT_RC(es256_verify(key.public_key, S("another message"), signature), RC_DENIED);
    for (size_t i = 0; i < 64; i += 7) {
        signature[i] ^= 1;
        EXPECT_RC(es256_verify(key.public_key, str_from_c(rfc_message), signature), RC_DENIED);
        signature[i] ^= 1;
    }
}

TEST(signs_what_it_accepts_and_nothing_else) {
    struct es256_key key, other;
    u8 signature[64], again[64];
    REQUIRE(es256_make(&key) == RC_OK);
    REQUIRE(es256_make(&other) == RC_OK);
    EXPECT(strcmp(key.kid, other.kid) != 0);
    EXPECT_EQ(strlen(key.kid), 43);
    EXPECT_OK(es256_sign(&key, S("message"), signature));
    EXPECT_OK(es256_sign(&key, S("message"), again));
    EXPECT(memcmp(signature, again, 64) == 0); /* deterministic: no nonce to leak */
    EXPECT_OK(es256_verify(key.public_key, S("message"), signature));
    EXPECT_RC(es256_verify(other.public_key, S("message"), signature), RC_DENIED);
}

TEST(names_a_key_by_its_thumbprint) {
    struct es256_key key;
    rfc_key(&key);
    EXPECT_STR(str_from_c(key.kid), S("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"));
}

/* The order of the group, and the values around it that a careless verifier accepts. */
TEST(refuses_r_and_s_out_of_range) {
    static const u8 order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    u8 values[5][32] = {{0}};
    struct es256_key key;
    rfc_key(&key);
    values[1][31] = 1;
    memcpy(values[2], order, 32);
    values[2][31]--;
    memcpy(values[3], order, 32);
    memset(values[4], 0xff, 32);
    for (int r = 0; r < 5; r++)
        for (int s = 0; s < 5; s++) {
            u8 signature[64];
            memcpy(signature, values[r], 32);
            memcpy(signature + 32, values[s], 32);
            EXPECT_RC(es256_verify(key.public_key, S("message"), signature), RC_DENIED);
        }
}

TEST(refuses_a_key_that_is_not_on_the_curve) {
    struct es256_key key;
    u8 signature[64];
    rfc_key(&key);
    EXPECT_OK(es256_sign(&key, S("m"), signature));
    key.public_key[63] ^= 1;
    EXPECT_RC(es256_verify(key.public_key, S("m"), signature), RC_DENIED);
    EXPECT_RC(es256_load(S("short"), S("short"), &key), RC_CORRUPT);
    EXPECT_RC(es256_load(str_of((char *)key.private_key, 32), S("short"), &key), RC_CORRUPT);
}
