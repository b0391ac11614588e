/* SPDX-License-Identifier: Apache-2.0 */
/* base_str_test.c — views: every edge (empty, NULL, last byte) with the input at an unmapped
 * page. */
#include "kernel/base/str.c"
#include "kernel/base/limits.h"
#include "tests/test.h"

static const str nothing = {NULL, 0};

TEST(compares_equal_only_when_all_bytes_are) {
    EXPECT(str_eq(S("abc"), S("abc")));
    EXPECT(!str_eq(S("abc"), S("abd")));
    EXPECT(!str_eq(S("abc"), S("ab")));
    EXPECT(str_eq(nothing, S("")));
    EXPECT(str_eq_nocase(S("Content-TYPE"), S("content-type")));
    EXPECT(!str_eq_nocase(S("@"), S("`"))); /* 0x40 and 0x60: not letters, not folded */
    EXPECT(!str_eq_nocase(S("["), S("{")));
    EXPECT(!str_eq_nocase(S("a"), S("ab")));
    EXPECT(!str_eq_nocase(S("\xC3\x89"), S("\xC3\xA9"))); /* ASCII only */
    EXPECT(str_eq_secret(S("key"), S("key")));
    EXPECT(!str_eq_secret(S("key"), S("kez")));
    EXPECT(!str_eq_secret(S("key"), S("ke")));
    EXPECT(str_eq_secret(nothing, nothing));
}

TEST(orders_bytewise_shorter_first) {
    EXPECT_EQ(str_cmp(S("a"), S("a")), 0);
    EXPECT(str_cmp(S("a"), S("b")) < 0);
    EXPECT(str_cmp(S("b"), S("a")) > 0);
    EXPECT(str_cmp(S("a"), S("aa")) < 0);
    EXPECT(str_cmp(S("aa"), S("a")) > 0);
    EXPECT(str_cmp(S("\x7F"), S("\x80")) < 0); /* unsigned */
    EXPECT_EQ(str_cmp(nothing, S("")), 0);
    EXPECT(str_cmp(nothing, S("a")) < 0);
}

TEST(knows_ends) {
    EXPECT(str_starts(S("/api/v1"), S("/api")));
    EXPECT(str_starts(S("/api"), S("/api")));
    EXPECT(str_starts(S("x"), nothing));
    EXPECT(!str_starts(S("/ap"), S("/api")));
    EXPECT(str_ends(S("a.json"), S(".json")));
    EXPECT(!str_ends(S("json"), S(".json")));
    EXPECT(str_ends(nothing, nothing));
}

TEST(takes_and_skips_within_bounds) {
    EXPECT_STR(str_take(S("abc"), 2), S("ab"));
    EXPECT_STR(str_take(S("abc"), 9), S("abc"));
    EXPECT_STR(str_skip(S("abc"), 1), S("bc"));
    EXPECT_STR(str_skip(S("abc"), 9), S(""));
    EXPECT_STR(str_from_c(NULL), S(""));
    EXPECT_STR(str_from_c("z"), S("z"));
    EXPECT_STR(str_of("abc", 2), S("ab"));
}

TEST(trims_blanks_off_both_ends) {
    EXPECT_STR(str_trim(S(" \t\r\n a b \n")), S("a b"));
    EXPECT_STR(str_trim(S(" \t ")), S(""));
    EXPECT_STR(str_trim(nothing), S(""));
    EXPECT_STR(str_trim(S("\va\f")), S("\va\f")); /* only the four */
}

TEST(finds_first_or_says_length) {
    EXPECT_EQ(str_find_byte(S("a:b:c"), ':'), 1);
    EXPECT_EQ(str_find_byte(S("abc"), ':'), 3);
    EXPECT_EQ(str_find_byte(nothing, ':'), 0);
    EXPECT_EQ(str_find(S("aab"), S("ab")), 1);
    EXPECT_EQ(str_find(S("aaa"), S("ab")), 3);
    EXPECT_EQ(str_find(S("aba"), S("abac")), 3);
    EXPECT_EQ(str_find(S("abc"), nothing), 0);
    EXPECT_EQ(str_find(nothing, S("a")), 0);
    EXPECT_EQ(str_find(test_at_page_end(S("xxab")), S("ab")), 2);
    EXPECT_EQ(str_find(test_at_page_end(S("xxxa")), S("ab")), 4);
}

TEST(splits_until_nothing_is_left) {
    str rest = S("a,,b,"), part;
    EXPECT(str_split(&rest, ',', &part));
    EXPECT_STR(part, S("a"));
    EXPECT(str_split(&rest, ',', &part));
    EXPECT_STR(part, S(""));
    EXPECT(str_split(&rest, ',', &part));
    EXPECT_STR(part, S("b"));
    EXPECT(str_split(&rest, ',', &part)); /* what stands after the last comma */
    EXPECT_STR(part, S(""));
    EXPECT(!str_split(&rest, ',', &part));
}

TEST(reads_whole_numbers_only) {
    uint64_t u = 7;
    int64_t s = 7;
    EXPECT_OK(str_to_u64(S("18446744073709551615"), &u));
    EXPECT(u == UINT64_MAX);
    EXPECT_OK(str_to_u64(S("007"), &u));
    EXPECT_EQ(u, 7);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616",
                                      "99999999999999999999", "0x10", "1.0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_RC(str_to_u64(test_at_page_end(str_from_c(bad[i])), &u), RC_INVALID);
    EXPECT_EQ(u, 7); /* untouched by failures */
    EXPECT_OK(str_to_s64(S("-9223372036854775808"), &s));
    EXPECT(s == INT64_MIN);
    EXPECT_OK(str_to_s64(S("9223372036854775807"), &s));
    EXPECT(s == INT64_MAX);
    EXPECT_RC(str_to_s64(S("9223372036854775808"), &s), RC_INVALID);
    EXPECT_RC(str_to_s64(S("-9223372036854775809"), &s), RC_INVALID);
    EXPECT_RC(str_to_s64(S("-"), &s), RC_INVALID);
    EXPECT_RC(str_to_s64(S("--1"), &s), RC_INVALID);
    EXPECT_OK(str_to_s64(S("-0"), &s));
    EXPECT_EQ(s, 0);
}

TEST(accepts_exactly_well_formed_utf8) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "caf\xC3\xA9"};
    static const char *const bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41",
                                      "\xE0\x9F\xBF", "\xE0\xA0", "\xED\xA0\x80", "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80", "\xFF", "a\xE2\x82", "\xE2\x28\xA1",
                                      "\xE2\x82\x28", "\xF0\x9F\x98\x41", "\xF0\x9F\x41\x80"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        EXPECT(str_is_utf8(test_at_page_end(str_from_c(good[i]))));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!str_is_utf8(test_at_page_end(str_from_c(bad[i]))));
    EXPECT(str_is_utf8(nothing));
}

/* All 2^21 candidates of one code point: the encoding of a scalar value passes, nothing else. */
TEST(utf8_agrees_with_arithmetic) {
    for (u32 c = 0x80; c < 0x200000; c += c < 0x11000 ? 1 : 257) {
        char b[4];
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const u8 lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
        for (size_t i = n - 1, rest = c; i; i--, rest >>= 6) b[i] = (char)(0x80 | (rest & 0x3F));
        b[0] = (char)(lead[n] | c >> 6 * (n - 1));
        bool scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        if (str_is_utf8((str){b, n}) != scalar) EXPECT_EQ(c, -1);
    }
}

TEST(hashes_by_content_length_and_seed) {
    EXPECT(str_hash(S("abc"), 1) == str_hash(str_take(S("abcd"), 3), 1));
    EXPECT(str_hash(S("abc"), 1) != str_hash(S("abc"), 2));
    EXPECT(str_hash(S(""), 1) != str_hash(S("\0"), 1));
    EXPECT(str_hash(S("12345678"), 1) != str_hash(S("12345679"), 1));
    EXPECT(str_hash(S("123456789"), 1) != str_hash(S("12345678"), 1));
    for (size_t n = 0; n < 20; n++)
        (void)str_hash(test_at_page_end((str){"aaaaaaaaaaaaaaaaaaaa", n}), 3);
    u32 buckets[64] = {0}; /* 6,400 keys over 64: nowhere near all in one */
    for (u32 i = 0; i < 6400; i++) buckets[str_hash((str){(char *)&i, 4}, 9) % 64]++;
    for (size_t i = 0; i < 64; i++) EXPECT(buckets[i] > 50 && buckets[i] < 160);
}

TEST(copies_to_c_only_what_c_can_hold) {
    char to[4];
    EXPECT_OK(str_to_c(S("abc"), to, sizeof to));
    EXPECT_STR(str_from_c(to), S("abc"));
    EXPECT_RC(str_to_c(S("abcd"), to, sizeof to), RC_LIMIT);
    EXPECT_RC(str_to_c(S("a\0b"), to, sizeof to), RC_INVALID);
    EXPECT_OK(str_to_c(nothing, to, 1));
    EXPECT_EQ(to[0], 0);
    EXPECT_RC(str_to_c(nothing, to, 0), RC_LIMIT);
}

TEST(writes_hex) {
    char to[7];
    EXPECT_OK(str_hex("\x00\xAB\x7F", 3, to, sizeof to));
    EXPECT_STR(str_from_c(to), S("00ab7f"));
    EXPECT_RC(str_hex("\x00\xAB\x7F", 3, to, 6), RC_LIMIT);
}

TEST(names_every_result) {
    for (int rc = RC_OK; rc <= RC_CLOSED; rc++) EXPECT(strncmp(rc_name((rc_t)rc), "RC_", 3) == 0);
    EXPECT_STR(str_from_c(rc_name(RC_CLOSED)), S("RC_CLOSED"));
    EXPECT_STR(str_from_c(rc_name((rc_t)999)), S("RC_?"));
}

TEST(diag_keeps_a_cut_sentence) {
    struct diag why = {.line = 3};
    diag_set(&why, "unknown key %s", "x");
    EXPECT_STR(str_from_c(why.text), S("unknown key x"));
    diag_set(&why, "%0400d", 1);
    EXPECT_EQ(strlen(why.text), DIAG_TEXT_MAX - 1);
    EXPECT_EQ(why.line, 3);
    diag_set(NULL, "nobody asks");
}
