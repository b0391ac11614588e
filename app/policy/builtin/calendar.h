/* SPDX-License-Identifier: Apache-2.0 */
/* calendar.h — the Gregorian calendar, without end in both directions. Days count from 1970-01-01.
 */
#pragma once
#include "kernel/base/base.h"

struct calendar_date { s64 year; u8 month, day; /* from 1 */ u16 year_day; /* from 0 */ };

s64 calendar_days(s64 year, s64 month, s64 day); /* month 1-12; any day */
struct calendar_date calendar_date(s64 days);
u32 calendar_month_days(s64 year, u32 month);
static inline bool calendar_is_leap(s64 year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
/* 0: Sunday */
static inline u32 calendar_weekday(s64 days) { return (u32)(((days + 4) % 7 + 7) % 7); }
/* Rounds towards minus infinity. */
static inline s64 floor_div(s64 a, s64 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
