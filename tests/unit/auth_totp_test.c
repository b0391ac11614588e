/* SPDX-License-Identifier: Apache-2.0 */
/* auth_totp_test.c — the published values of RFC 4226 and 6238, base32 of RFC 4648, and which steps
 * a code is good for. */
#include "app/auth/totp.c"
#include "tests/test.h"

#define RFC_SECRET S("12345678901234567890")

TEST(rfc4226_appendix_d) {
    static const u32 wanted[] = {755224, 287082, 359152, 969429, 338314,
                                 254676, 287922, 162583, 399871, 520489};
    for (u32 i = 0; i < ARRAY_LEN(wanted); i++) EXPECT_EQ(hotp(RFC_SECRET, i, 1000000), wanted[i]);
}

TEST(rfc6238_appendix_b) {
    static const struct {
        u64 time;
        u32 code;
    } v[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
             {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
    for (u32 i = 0; i < ARRAY_LEN(v); i++)
        EXPECT_EQ(hotp(RFC_SECRET, v[i].time / STEP_S, 100000000), v[i].code);
}

TEST(a_code_is_good_around_its_step_and_only_once) {
    s64 step;
    EXPECT(totp_check(RFC_SECRET, S("287082"), 59, 0, &step)); /* step 1 */
    EXPECT_EQ(step, 1);
    EXPECT(totp_check(RFC_SECRET, S("287082"), 30, 0, &step));
    EXPECT(totp_check(RFC_SECRET, S("287082"), 89, 0, &step));
    EXPECT(!totp_check(RFC_SECRET, S("287082"), 90, 0, &step));
    EXPECT(totp_check(RFC_SECRET, S("755224"), 59, -1, &step)); /* step 0, at the very beginning */
    EXPECT(!totp_check(RFC_SECRET, S("287082"), 59, 1, &step)); /* used */
    EXPECT(!totp_check(RFC_SECRET, S("287082"), 59, 2, &step)); /* a newer one was used */
    EXPECT(totp_check(RFC_SECRET, S("359152"), 59, 1, &step));
    EXPECT_EQ(step, 2);
    static const char *const bad[] = {"", "28708", "2870822", "28708a", " 287082", "287083"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!totp_check(RFC_SECRET, str_from_c(bad[i]), 59, 0, &step));
}

TEST(base32_of_rfc4648) {
    static const struct {
        const char *bytes, *text;
    } v[] = {{"", ""},
             {"f", "MY"},
             {"fo", "MZXQ"},
             {"foo", "MZXW6"},
             {"foob", "MZXW6YQ"},
             {"fooba", "MZXW6YTB"},
             {"foobar", "MZXW6YTBOI"}};
    char text[32];
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        EXPECT_EQ(base32_encode(v[i].bytes, strlen(v[i].bytes), text), strlen(v[i].text));
        EXPECT_STR(str_from_c(text), str_from_c(v[i].text));
    }
}
