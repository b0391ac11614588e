/* SPDX-License-Identifier: Apache-2.0 */
/* http_date.c — "Sun, 06 Nov 1994 08:49:37 GMT", the one form senders may use today. The two
 * obsolete ones are taken for no date at all, which makes an answer stale and nothing worse. */
#include "app/policy/builtin/http_date.h"

static bool digits(str s, size_t at, size_t n, u32 *out) {
    *out = 0;
    for (size_t i = at; i < at + n; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        *out = *out * 10 + (u32)(s.ptr[i] - '0');
    }
    return true;
}

bool http_date_read(str s, u64 *out) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char shape[] = "---, -- --- ---- --:--:-- GMT";
    u32 day, year, hour, minute, second, month = 0;
    if (s.len != sizeof shape - 1) return false;
    for (size_t i = 0; i < s.len; i++)
        if (shape[i] != '-' && s.ptr[i] != shape[i]) return false;
    while (month < 12 && memcmp(months + month * 3, s.ptr + 8, 3) != 0) month++;
    if (month == 12 || !digits(s, 5, 2, &day) || !digits(s, 12, 4, &year) ||
        !digits(s, 17, 2, &hour) || !digits(s, 20, 2, &minute) || !digits(s, 23, 2, &second))
        return false;
    if (year < 1970 || !day || day > 31 || hour > 23 || minute > 59 || second > 60) return false;
    u32 m = month + 1, y = year - (m <= 2), era = y / 400, of_era = y - era * 400;
    u32 of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + day - 1;
    u64 days = (u64)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    *out = days * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}
