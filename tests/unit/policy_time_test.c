/* SPDX-License-Identifier: Apache-2.0 */
/* policy_time_test.c — layouts, durations, calendars and zones. */
#include "app/policy/builtin/layout.c"
#include "app/policy/builtin/zones.h"
#include "tests/unit/policy_builtin.h"

TEST(reading) {
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2020-04-02T18:33:41.593912+02:00\"]", "1585845221593912000");
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2020-04-02T18:33:41Z\"]", "1585852421000000000");
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2020-04-02\"]",
                "error: parsing time \"2020-04-02\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"T\"");
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2020-13-02T18:33:41Z\"]", "error: parsing time \"2020-13-02T18:33:41Z\": month out of range");
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2021-02-29T18:33:41Z\"]", "error: parsing time \"2021-02-29T18:33:41Z\": day out of range");
    EXPECT_CALL("time.parse_rfc3339_ns", "[\"2020-04-02T18:33:41Zx\"]", "error: parsing time \"2020-04-02T18:33:41Zx\": extra text: \"x\"");
    EXPECT_CALL("time.parse_ns", "[\"2006-01-02T15:04:05Z07:00\", \"2262-04-11T23:47:16.854775807-00:00\"]", "9223372036854775807");
    EXPECT_CALL("time.parse_ns", "[\"2006-01-02T15:04:05Z07:00\", \"2262-04-11T23:47:16.854775808-00:00\"]", "error: time outside of valid range");
    EXPECT_CALL("time.parse_ns", "[\"2006-01-02T15:04:05Z07:00\", \"1677-09-21T00:12:43.145224191-00:00\"]", "error: time outside of valid range");
    EXPECT_CALL("time.parse_ns", "[\"RFC1123\", \"Mon, 02 Jan 2006 15:04:05 CEST\"]", "1136214245000000000");
    EXPECT_CALL("time.parse_ns", "[\"ANSIC\", \"mon jan  2 15:04:05 2006\"]", "1136214245000000000");
    EXPECT_CALL("time.parse_ns", "[\"RFC850\", \"Monday, 02-Jan-06 15:04:05 GMT+3\"]", "1136214245000000000");
    EXPECT_CALL("time.parse_ns", "[\"3:4:5.000pm 2 Jan 06 -0700\", \"1:2:3.250pm 5 Feb 07 -0230\"]", "1170689523250000000");
    EXPECT_CALL("time.parse_ns", "[\"2006 002\", \"2020 060\"]", "1582934400000000000");
    EXPECT_CALL("time.parse_ns", "[\"2006 __2\", \"2020 400\"]", "error: parsing time \"2020 400\": day-of-year out of range");
    EXPECT_CALL("time.parse_ns", "[\"15h\", \"25h\"]", "error: parsing time \"25h\": hour out of range");
    EXPECT_CALL("time.parse_ns", "[\"Jan\", \"\u00e5\"]", "error: parsing time \"\\xc3\\xa5\" as \"Jan\": cannot parse \"\\xc3\\xa5\" as \"Jan\"");
    EXPECT_CALL("time.parse_ns", "[\"Janitor\", \"Janitor\"]", "error: time outside of valid range");
    EXPECT_CALL("time.parse_ns", "[1, \"\"]", "type error: operand 1 must be string but got number");
}
TEST(both_ways_of_reading_rfc3339_agree) {
    static const char *const texts[] = {
        "2020-04-02T18:33:41.593912+02:00", "2000-02-29T23:59:59Z", "1999-12-31T00:00:00.1234567890123-23:59",
        "2021-02-29T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T00:00:00,5Z", "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00+24:00", "2020-01-01T0:00:00Z", "0000-01-01T00:00:00Z", "2020-01-01T00:00:00Z ", "x"};
    for (u32 i = 0; i < ARRAY_LEN(texts); i++) {
        s64 a = 0, b = 0, x = 0, y = 0;
        struct buf why;
        buf_open(&why, 1000);
        /* A layout that means the same, but is not the known one. */
        bool slow = layout_read(S("2006-01-02T15:04:05.999Z07:00"), str_from_c(texts[i]), &a, &x, &why);
        bool fast = read_rfc3339(str_from_c(texts[i]), &b, &y);
        EXPECT(!fast || slow);
        if (!fast) b = a, y = x;
        EXPECT_EQ(a, b);
        EXPECT_EQ(x, y);
        buf_close(&why);
    }
    for (s64 days = -800000; days < 800000; days += 17) {
        struct calendar_date d = calendar_date(days);
        if (calendar_days(d.year, d.month, d.day) != days || calendar_days(d.year, 1, 1) + d.year_day != days)
            test_fail(__FILE__, __LINE__, "day %lld", (long long)days);
    }
}
TEST(durations) {
    EXPECT_CALL("time.parse_duration_ns", "[\"100ms\"]", "100000000");
    EXPECT_CALL("time.parse_duration_ns", "[\"1h15m30.918s\"]", "4530918000000");
    EXPECT_CALL("time.parse_duration_ns", "[\"-1.5h\"]", "-5400000000000");
    EXPECT_CALL("time.parse_duration_ns", "[\"2d\"]", "172800000000000");
    EXPECT_CALL("time.parse_duration_ns", "[\"1\u00b5s\"]", "1000");
    EXPECT_CALL("time.parse_duration_ns", "[\"0\"]", "0");
    EXPECT_CALL("time.parse_duration_ns", "[\"-9223372036854775808ns\"]", "-9223372036854775808");
    EXPECT_CALL("time.parse_duration_ns", "[\"9223372036854775808ns\"]", "error: time: invalid duration \"9223372036854775808ns\"");
    EXPECT_CALL("time.parse_duration_ns", "[\"\"]", "error: time: invalid duration \"\"");
    EXPECT_CALL("time.parse_duration_ns", "[\"3\"]", "error: time: missing unit in duration \"3\"");
    EXPECT_CALL("time.parse_duration_ns", "[\"3x\"]", "error: time: unknown unit \"x\" in duration \"3x\"");
    EXPECT_CALL("time.parse_duration_ns", "[\".s\"]", "error: time: invalid duration \".s\"");
}
TEST(writing) {
    EXPECT_CALL("time.format", "[1670006453141828752]", "\"2022-12-02T18:40:53.141828752Z\"");
    EXPECT_CALL("time.format", "[[1670006453141828752, \"Asia/Kolkata\"]]", "\"2022-12-03T00:10:53.141828752+05:30\"");
    EXPECT_CALL("time.format", "[[1670006453141828752, \"Asia/Kolkata\", \"Mon Jan 02 15:04:05 -0700 2006\"]]", "\"Sat Dec 03 00:10:53 +0530 2022\"");
    EXPECT_CALL("time.format", "[[0, \"\", \"_2 __2 002 3PM 03pm 4 5 06 .000 ,99 MST Z07 -07:00:00 Monday\"]]",
                "\" 1   1 001 12AM 12am 0 0 70 .000  UTC Z +00:00:00 Thursday\"");
    EXPECT_CALL("time.format", "[[0, \"\", \"RFC850\"]]", "\"Thursday, 01-Jan-70 00:00:00 UTC\"");
    EXPECT_CALL("time.format", "[[0, \"America/St_Johns\", \"Z0700 Z070000 -07\"]]", "\"-0330 -033000 -03\"");
    EXPECT_CALL("time.format", "[[]]", "type error: operand 1 must be either number (ns) or [number (ns), string (tz)] but got array");
    EXPECT_CALL("time.format", "[[0, \"No/Where\"]]", "error: unknown time zone No/Where");
    EXPECT_CALL("time.format", "[[0, \"../etc\"]]", "error: time: invalid location name");
    EXPECT_CALL("time.format", "[1e19]", "error: timestamp too big");
}
TEST(parts_of_time) {
    EXPECT_CALL("time.date", "[1582977600000000000]", "[2020, 2, 29]");
    EXPECT_CALL("time.date", "[-1]", "[1969, 12, 31]");
    EXPECT_CALL("time.clock", "[[1500000000000000000, \"America/New_York\"]]", "[22, 40, 0]");
    EXPECT_CALL("time.weekday", "[1517832000000000000]", "\"Monday\"");
    EXPECT_CALL("time.add_date", "[1585852421593912000, 3, 9, 12]", "1705257221593912000");
    EXPECT_CALL("time.add_date", "[1585852421593912000, -1, -1, -1]", "1551465221593912000");
    EXPECT_CALL("time.add_date", "[0, 2262, 1, 1]", "error: time outside of valid range");
    EXPECT_CALL("time.add_date", "[-9223372036854775808, 0, 0, -1]", "error: time outside of valid range");
    EXPECT_CALL("time.add_date", "[0, 9223372036854775807, 0, 0]", "error: time outside of valid range");
    EXPECT_CALL("time.diff", "[1078012800000000000, 1109635200000000000]", "[1, 0, 1, 0, 0, 0]");
    EXPECT_CALL("time.diff", "[[0, \"Asia/Tokyo\"], 86399000000000]", "[0, 0, 0, 23, 59, 59]");
}
TEST(zones) {
    const struct zone *paris = zone_find(S("Europe/Paris")), *apia = zone_find(S("Pacific/Apia"));
    REQUIRE(paris && apia);
    EXPECT_EQ(zone_at(paris, -4000000000).offset_s, 561);
    EXPECT_EQ(zone_at(paris, 1616893199).offset_s, 3600); /* the second before 2021-03-28 01:00 UTC */
    EXPECT_EQ(zone_at(paris, 1616893200).offset_s, 7200);
    EXPECT_EQ(zone_at(paris, 4109950800 + 100 * 86400).offset_s, 7200); /* summer of 2100: the rule */
    EXPECT_EQ(zone_at(paris, 4102444800).offset_s, 3600);
    EXPECT_EQ(zone_at(apia, 1325239199).offset_s, -36000); /* 2011-12-30 was left out */
    EXPECT_EQ(zone_at(apia, 1325239200).offset_s, 50400);
    EXPECT_EQ(zone_at(zone_find(S("Australia/Lord_Howe")), 4102444800).offset_s, 39600);
    EXPECT_EQ(zone_at(zone_find(S("Europe/Dublin")), 1609459200).offset_s, 0);
    EXPECT_EQ(zone_at(zone_find(S("Etc/GMT+5")), 0).offset_s, -18000);
    const struct zone *gaza = zone_find(S("Asia/Gaza")); /* listed one by one, beyond 2038 */
    EXPECT_EQ(zone_at(gaza, 3244319999).offset_s, 7200);
    EXPECT_EQ(zone_at(gaza, 3244320000).offset_s, 10800);
    EXPECT_EQ(zone_at(gaza, 3244921200).offset_s, 7200);
    EXPECT(zone_find(S("Europe/paris")) == NULL);
    for (u32 i = 0; i < zones_count; i++)
        for (s64 at = -5000000000; at < 9000000000; at += 7777777) {
            s32 offset = zone_at(&zones[i], at).offset_s;
            if (offset < -16 * 3600 || offset > 16 * 3600) test_fail(__FILE__, __LINE__, "%s at %lld", zones[i].name, (long long)at);
        }
}
