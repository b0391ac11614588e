/* SPDX-License-Identifier: Apache-2.0 */
/* utc.c — reads RFC 3339 times: date, or date and time with an offset. A bare date is its midnight
 * in UTC. Leap seconds (":60") are refused: a u64 of nanoseconds since 1970 has no room for them.
 */
#include "app/utc.h"

/* Exactly n digits at *at. */
static bool digits(str s, size_t *at, size_t n, u32 *out) {
    *out = 0;
    if (s.len - *at < n || *at > s.len) return false;
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[*at + i];
        if (c < '0' || c > '9') return false;
        *out = *out * 10 + (u32)(c - '0');
    }
    *at += n;
    return true;
}

static bool letter(str s, size_t *at, char wanted) {
    if (*at >= s.len || s.ptr[*at] != wanted) return false;
    (*at)++;
    return true;
}

static u32 days_in_month(u32 year, u32 month) {
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 (civil calendar counted from March, so that February ends the year). */
static s64 days_since_epoch(u32 year, u32 month, u32 day) {
    s64 y = (s64)year - (month <= 2);
    s64 m = (s64)month + (month <= 2 ? 9 : -3);
    s64 era = y / 400, of_era = y % 400;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1 -
           719468;
}

static rc_t parse_clock(str s, size_t at, u64 *out_ns, s64 *out_offset_s) {
    u32 hour, minute, second, digit, off_hour, off_minute;
    if (!digits(s, &at, 2, &hour) || !letter(s, &at, ':') || !digits(s, &at, 2, &minute))
        return RC_INVALID;
    if (!letter(s, &at, ':') || !digits(s, &at, 2, &second)) return RC_INVALID;
    if (hour > 23 || minute > 59 || second > 59) return RC_INVALID;
    u64 fraction = 0, unit = NS_PER_S / 10;
    if (letter(s, &at, '.')) {
        if (!digits(s, &at, 1, &digit)) return RC_INVALID;
        do {
            fraction += digit * unit;
            unit /= 10;
        } while (digits(s, &at, 1, &digit));
    }
    *out_ns = (hour * 3600ull + minute * 60 + second) * NS_PER_S + fraction;
    *out_offset_s = 0;
    if (letter(s, &at, 'Z') || letter(s, &at, 'z')) return at == s.len ? RC_OK : RC_INVALID;
    bool minus = at < s.len && s.ptr[at] == '-';
    if (!letter(s, &at, '+') && !letter(s, &at, '-')) return RC_INVALID;
    if (!digits(s, &at, 2, &off_hour) || !letter(s, &at, ':') || !digits(s, &at, 2, &off_minute))
        return RC_INVALID;
    if (off_hour > 23 || off_minute > 59 || at != s.len) return RC_INVALID;
    *out_offset_s = (s64)(off_hour * 3600 + off_minute * 60) * (minus ? -1 : 1);
    return RC_OK;
}

rc_t utc_parse(str text, u64 *out_ns) {
    u32 year, month, day;
    size_t at = 0;
    u64 clock_ns = 0;
    s64 offset_s = 0;
    if (text.len > 40 || !digits(text, &at, 4, &year) || !letter(text, &at, '-')) return RC_INVALID;
    if (!digits(text, &at, 2, &month) || !letter(text, &at, '-') || !digits(text, &at, 2, &day))
        return RC_INVALID;
    if (year < 1970 || year > 2261 || month < 1 || month > 12) return RC_INVALID;
    if (day < 1 || day > days_in_month(year, month)) return RC_INVALID;
    if (at < text.len) {
        if (!letter(text, &at, 'T') && !letter(text, &at, 't') && !letter(text, &at, ' '))
            return RC_INVALID;
        rc_t rc = parse_clock(text, at, &clock_ns, &offset_s);
        if (rc) return rc;
    }
    s64 seconds = days_since_epoch(year, month, day) * 86400 - offset_s;
    if (seconds < 0) return RC_INVALID;
    *out_ns = (u64)seconds * NS_PER_S + clock_ns;
    return RC_OK;
}

/* ---- Writing ---- */

static char *two(char *to, u64 v) {
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
    return to + 2;
}

/* Civil date from days since 1970: the year begins in March, so the leap day comes last and months
 * follow one formula; 146,097 days make 400 years. */
static char *put_date(char *to, u64 days) {
    u64 z = days + 719468, era = z / 146097, day_of_era = z % 146097;
    u64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    u64 march_month = (5 * day_of_year + 2) / 153;
    u64 day = day_of_year - (153 * march_month + 2) / 5 + 1;
    u64 month = march_month < 10 ? march_month + 3 : march_month - 9;
    u64 year = year_of_era + era * 400 + (month <= 2); /* u64 nanoseconds end in 2554 */
    to = two(two(to, year / 100), year % 100);
    *to++ = '-';
    to = two(to, month);
    *to++ = '-';
    return two(to, day);
}
str utc_write(u64 utc_ns, char text[UTC_ROOM]) {
    u64 ms = utc_ns / NS_PER_MS, s = ms / 1000;
    char *to = put_date(text, s / 86400);
    *to++ = 'T';
    to = two(to, s / 3600 % 24);
    *to++ = ':';
    to = two(to, s / 60 % 60);
    *to++ = ':';
    to = two(to, s % 60);
    *to++ = '.';
    to = two(to, ms % 1000 / 10);
    *to++ = (char)('0' + ms % 10);
    *to++ = 'Z';
    *to = 0;
    return str_of(text, (size_t)(to - text));
}
