/* SPDX-License-Identifier: Apache-2.0 */
/* auth_base64url_test.c — one spelling per byte string, both ways (RFC 4648 vectors). */
#include "app/auth/base64url.c"
#include "tests/test.h"

TEST(encodes_the_rfc_vectors) {
    static const struct {
        const char *plain, *text;
    } v[] = {{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
             {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        char text[32], plain[32];
        size_t n = base64url_encode(v[i].plain, strlen(v[i].plain), text);
        EXPECT_STR(str_of(text, n), str_from_c(v[i].text));
        EXPECT_OK(base64url_decode(str_from_c(v[i].text), plain, sizeof plain, &n));
        EXPECT_STR(str_of(plain, n), str_from_c(v[i].plain));
    }
}

TEST(every_byte_makes_the_round) {
    u8 bytes[256], back[256];
    char text[BASE64_LEN(256) + 1];
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t got;
        for (size_t i = 0; i < n; i++) bytes[i] = (u8)(i * 37 + n);
        size_t len = base64url_encode(bytes, n, text);
        EXPECT_EQ(len, BASE64_LEN(n));
        EXPECT(memchr(text, '+', len) == NULL && memchr(text, '/', len) == NULL);
        EXPECT_OK(base64url_decode(str_of(text, len), back, n, &got));
        EXPECT(got == n && memcmp(back, bytes, n) == 0);
        len = base64_encode(bytes, n, text);
        EXPECT_OK(base64_decode(str_of(text, len), back, n, &got));
        EXPECT(got == n && memcmp(back, bytes, n) == 0);
    }
}

TEST(refuses_a_second_spelling) {
    static const char *const bad[] = {"Z",     "Zg==",   "Zm8=",  "Zh",        "Zm9",
                                      "Zm 9v", "Zm9v\n", "Zm+v",  "Zm/v",      "Zm9v.",
                                      "A",     "_____",  "Z\x80", "Zm\xC3\xA9"};
    u8 to[16];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (base64url_decode(str_from_c(bad[i]), to, sizeof to, &n) != RC_INVALID)
            test_fail(__FILE__, __LINE__, "accepted \"%s\"", bad[i]);
    EXPECT_RC(base64url_decode(S("Zm9vYmFy"), to, 5, &n), RC_LIMIT);
    EXPECT_RC(base64_decode(S("Zm-v"), to, sizeof to, &n), RC_INVALID);
}
