/* SPDX-License-Identifier: Apache-2.0 */
/* calendar.c — days to dates and back.
 *
 * Years are counted from March, so that the leap day is the last of the year, and in eras of 400
 * years of 146,097 days, after which everything repeats. */
#include "app/policy/builtin/calendar.h"

s64 calendar_days(s64 year, s64 month, s64 day) {
    year -= month <= 2;
    s64 era = floor_div(year, 400), of_era = year - era * 400;
    s64 of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year + day - 1 - 719468;
}

struct calendar_date calendar_date(s64 days) {
    struct calendar_date d;
    s64 shifted = days + 719468, era = floor_div(shifted, 146097), of_era = shifted - era * 146097;
    s64 year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    s64 of_year = of_era - (365 * year + year / 4 - year / 100), part = (5 * of_year + 2) / 153;
    d.day = (u8)(of_year - (153 * part + 2) / 5 + 1);
    d.month = (u8)(part < 10 ? part + 3 : part - 9);
    d.year = year + era * 400 + (d.month <= 2);
    d.year_day = (u16)(d.month <= 2 ? of_year - 306 : of_year + 59 + calendar_is_leap(d.year));
    return d;
}

u32 calendar_month_days(s64 year, u32 month) {
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && calendar_is_leap(year));
}
