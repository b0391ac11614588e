/* SPDX-License-Identifier: Apache-2.0 */
/* app_utc_test.c — RFC 3339 times in, nanoseconds out. */
#include "app/utc.c"
#include "tests/test.h"

static u64 seconds(str text) {
    u64 ns = 0;
    EXPECT_OK(utc_parse(text, &ns));
    return ns / NS_PER_S;
}

TEST(reads_dates_and_times) {
    u64 ns;
    EXPECT_EQ(seconds(S("1970-01-01")), 0);
    EXPECT_EQ(seconds(S("1970-01-01T00:00:00Z")), 0);
    EXPECT_EQ(seconds(S("2000-02-29T12:34:56Z")), 951827696);
    EXPECT_EQ(seconds(S("2026-01-31T12:00:00+02:00")), seconds(S("2026-01-31T10:00:00z")));
    EXPECT_EQ(seconds(S("2026-01-31 12:00:00-05:30")), seconds(S("2026-01-31T17:30:00Z")));
    EXPECT_OK(utc_parse(S("2026-01-31T12:00:00.123456789Z"), &ns));
    EXPECT_EQ(ns % NS_PER_S, 123456789);
    EXPECT_OK(utc_parse(S("2026-01-31T12:00:00.5Z"), &ns));
    EXPECT_EQ(ns % NS_PER_S, 500000000);
}

TEST(refuses_what_is_not_a_time) {
    static const char *const bad[] = {
        "",
        "2026",
        "2026-1-31",
        "2026-13-01",
        "2026-00-10",
        "2026-02-29",
        "2026-04-31",
        "1969-12-31",
        "2262-01-01",
        "2026-01-31T",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00ZZ",
        "2026-01-31T12:00:00+2:00",
        "2026-01-31T12:00:00+24:00",
        "1970-01-01T00:00:00+01:00",
        " 2026-01-31",
        "2026-01-31T12:00:00.1234567890123456789012Z",
    };
    u64 ns;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (utc_parse(str_from_c(bad[i]), &ns) != RC_INVALID)
            test_fail(__FILE__, __LINE__, "accepted \"%s\"", bad[i]);
}
