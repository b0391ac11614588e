/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: text is kept, comparing is exact, arithmetic gives the reference's digits (its floats
 * have 64 bits of mantissa; expected values from an exact computation with fractions). */
#include "app/policy/value/arithmetic.c"
#include "app/policy/value/bigfloat.c"
#include "app/policy/value/number.c"
#include "tests/test.h"

static struct heap heap_of_test;
static struct heap *fresh(void) {
    static bool open;
    if (!open) heap_open(&heap_of_test, 16 << 20);
    open = true;
    heap_rewind(&heap_of_test);
    return &heap_of_test;
}

static value number(const char *text) { return value_number(&heap_of_test, str_from_c(text)); }

static void expect_number(value got, const char *want, const char *what, int line) {
    char room[NUMBER_TEXT_ROOM];
    str text = value_defined(got) ? number_text(got, room) : S("undefined");
    if (!str_eq(text, str_from_c(want))) test_fail(__FILE__, line, "%s is %.*s, not %s", what, STR(text), want);
}
#define EXPECT_NUMBER(got, want) expect_number(got, want, #got, __LINE__)

TEST(text_is_kept_as_written) {
    static const char *const kept[] = {"0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
                                       "1.0", "1e2", "1E+2", "-0", "0.10", "123456789012345678901234567890", "1e-300"};
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) EXPECT_NUMBER(number(kept[i]), kept[i]);
    EXPECT(!number("-9223372036854775808").boxed);
    EXPECT(number("9223372036854775808").boxed);
}

TEST(what_json_does_not_know_is_no_number) {
    static const char *const wrong[] = {"", "-", "01", "+1", "1.", ".5", "1e", "1e+", "0x1", "1 ", " 1", "1e1.5", "NaN", "Infinity",
                                        "--1", "1e99999999999999999999", "1e5001", "1e-6000"};
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) EXPECT(!value_defined(number(wrong[i])));
    char long_text[NUMBER_TEXT_MAX + 2];
    memset(long_text, '7', sizeof long_text);
    EXPECT(!value_defined(value_number(&heap_of_test, str_of(long_text, NUMBER_TEXT_MAX + 1))));
    EXPECT(value_defined(value_number(&heap_of_test, str_of(long_text, NUMBER_TEXT_MAX))));
}

TEST(whole_numbers_convert_and_others_do_not) {
    s64 n = 0;
    fresh();
    EXPECT_OK(number_to_s64(number("1e3"), &n));
    EXPECT_EQ(n, 1000);
    EXPECT_OK(number_to_s64(number("-9223372036854775808.0"), &n));
    EXPECT_EQ(n, INT64_MIN);
    EXPECT_RC(number_to_s64(number("9223372036854775808"), &n), RC_LIMIT);
    EXPECT_RC(number_to_s64(number("1e40"), &n), RC_LIMIT);
    EXPECT_RC(number_to_s64(number("1.5"), &n), RC_INVALID);
    EXPECT(number_is_whole(number("10.0")) && !number_is_whole(number("10.01")));
    EXPECT(number_to_double(number("2.5")) == 2.5 && number_to_double(number("7")) == 7);
}

TEST(comparing_is_exact) {
    fresh();
    EXPECT(number_compare(number("28857836529306024611913"), number("28857836529306024611912")) > 0);
    EXPECT(number_compare(number("0.1"), number("0.10000000000000000000000001")) < 0);
    EXPECT(number_compare(number("1e400"), number("1e401")) < 0);
    EXPECT(number_compare(number("-1e-400"), number("0")) < 0);
    EXPECT(number_compare(number("10.0"), number("1")) > 0);
    EXPECT_EQ(number_compare(number("-0"), number("0.00")), 0);
    EXPECT_EQ(number_compare(number("5"), number("50e-1")), 0);
}

TEST(arithmetic_has_the_reference_s_digits) {
    struct heap *h = fresh();
    const char *why;
    EXPECT_NUMBER(number_add(h, number("1.5"), number("2.5")), "4");
    EXPECT_NUMBER(number_add(h, number("0.1"), number("0.2")), "0.3");
    EXPECT_NUMBER(number_add(h, number("9223372036854775807"), number("1")), "9223372036854775808");
    EXPECT_NUMBER(number_subtract(h, number("-9223372036854775808"), number("1")), "-9223372036854775809");
    EXPECT_NUMBER(number_multiply(h, number("123456789012345678901234567890"), number("1e1")), "1234567890123456789012345678900");
    EXPECT_NUMBER(number_add(h, number("123456789012345678901234567890"), number("1")), "123456789012345678901234567891");
    EXPECT_NUMBER(number_multiply(h, number("1234567.5"), number("1.0")), "1.2345675e+06");
    EXPECT_NUMBER(number_multiply(h, number("0.00001"), number("2")), "2e-05");
    EXPECT_NUMBER(number_divide(h, number("1"), number("3"), &why), "0.33333333333333333334");
    EXPECT_NUMBER(number_divide(h, number("10"), number("5"), &why), "2");
    EXPECT_NUMBER(number_divide(h, number("0"), number("-5"), &why), "-0");
    EXPECT_NUMBER(number_divide(h, number("18446744073709551616"), number("3"), &why), "6.1489146912365172055e+18");
    EXPECT_NUMBER(number_subtract(h, number("-186.39"), number("-327072823331980412")), "3.2707282333198022562e+17");
    EXPECT_NUMBER(number_modulo(h, number("-7"), number("3"), &why), "-1");
    EXPECT_NUMBER(number_modulo(h, number("10"), number("18446744073709551616"), &why), "10");
    EXPECT_NUMBER(number_modulo(h, number("-9223372036854775808"), number("-1"), &why), "0");
    EXPECT(!value_defined(number_modulo(h, number("1.5"), number("1"), &why)));
    EXPECT_STR(str_from_c(why), S("modulo on floating-point number"));
    EXPECT(!value_defined(number_modulo(h, number("1"), number("0.0"), &why)));
    EXPECT_STR(str_from_c(why), S("modulo by zero"));
    EXPECT(!value_defined(number_divide(h, number("1"), number("0.0"), &why)));
    EXPECT_STR(str_from_c(why), S("divide by zero"));
}

TEST(rounding_is_the_reference_s) {
    struct heap *h = fresh();
    EXPECT_NUMBER(number_round(h, number("2.5")), "3");
    EXPECT_NUMBER(number_round(h, number("-2.5")), "-3");
    EXPECT_NUMBER(number_round(h, number("0.4")), "0");
    EXPECT_NUMBER(number_ceil(h, number("1.1")), "2");
    EXPECT_NUMBER(number_ceil(h, number("-1.1")), "-1");
    EXPECT_NUMBER(number_floor(h, number("1.9")), "1");
    EXPECT_NUMBER(number_floor(h, number("-1.1")), "-2");
    EXPECT_NUMBER(number_floor(h, number("7")), "7");
    EXPECT_NUMBER(number_absolute(h, number("-7.25")), "7.25");
    EXPECT_NUMBER(number_absolute(h, number("-9223372036854775808")), "9223372036854775808");
}

TEST(bits_have_no_end) {
    struct heap *h = fresh();
    EXPECT_NUMBER(number_and(h, number("-5"), number("18446744073709551617")), "18446744073709551617");
    EXPECT_NUMBER(number_or(h, number("-18446744073709551616"), number("3")), "-18446744073709551613");
    EXPECT_NUMBER(number_xor(h, number("1e20"), number("-1")), "-100000000000000000001");
    EXPECT_NUMBER(number_and(h, number("12"), number("10")), "8");
    EXPECT_NUMBER(number_negate_bits(h, number("18446744073709551616")), "-18446744073709551617");
    EXPECT_NUMBER(number_shift_left(h, number("1"), 100), "1267650600228229401496703205376");
    EXPECT_NUMBER(number_shift_right(h, number("-18446744073709551617"), 60), "-17");
    EXPECT_NUMBER(number_shift_right(h, number("-1"), 4000000000u), "-1");
    EXPECT(!value_defined(number_shift_left(h, number("1"), 4000000000u)));
    EXPECT(!value_defined(number_and(h, number("1.5"), number("1"))));
}

TEST(other_bases_and_doubles) {
    struct heap *h = fresh();
    struct buf b;
    buf_open(&b, 4096);
    EXPECT_OK(number_format(number("255"), 16, &b));
    EXPECT_OK(number_format(number("-10"), 2, &b));
    EXPECT_OK(number_format(number("18446744073709551616"), 16, &b));
    EXPECT_OK(number_format(number("0"), 8, &b));
    EXPECT_RC(number_format(number("0.5"), 8, &b), RC_INVALID);
    EXPECT_STR(buf_str(&b), S("ff-1010100000000000000000"));
    buf_close(&b);
    EXPECT_NUMBER(number_parse(h, S("ff"), 16), "255");
    EXPECT(!value_defined(number_parse(h, S("fg"), 16)));
    EXPECT_NUMBER(value_number_of_double(h, 0.1), "0.1");
    EXPECT_NUMBER(value_number_of_double(h, 1e6), "1000000");
    EXPECT_NUMBER(value_number_of_double(h, -2.5), "-2.5");
    EXPECT(!value_defined(value_number_of_double(h, 1e308 * 10)));
    EXPECT_NUMBER(value_number_of_u64(h, UINT64_MAX), "18446744073709551615");
}
