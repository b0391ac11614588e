/* SPDX-License-Identifier: Apache-2.0 */
/* http_id.c — request ids and dates.
 *
 * An id is 26 characters of Crockford's base 32 (a ULID): ten of milliseconds since 1970, sixteen
 * that begin at a random value per boot and count up. Unique per boot by counting, between boots by
 * 80 random bits, sortable by time; not secret. A request costs one carry and, once a millisecond,
 * ten shifts. The Date field (RFC 9110 5.6.7) is made once a second. */
#include "net/http_impl.h"
#include "net/net_impl.h"
#include "kernel/platform.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void id_time(char *to, u64 ms) {
    for (int i = 9; i >= 0; i--, ms >>= 5) to[i] = digits[ms & 31];
}

void http_id_next(char id[HTTP_ID_LEN + 1]) {
    static u8 count[16];
    static char text[HTTP_ID_LEN];
    static u64 ms_before;
    static bool seeded;
    if (!seeded) {
        for (int i = 0; i < 16; i++)
            count[i] = net_random_u32() & 31, text[10 + i] = digits[count[i]];
        seeded = true;
    }
    u64 wall = platform_wall_ns();
    u64 ms = (wall ? wall : platform_clock_ns()) / NS_PER_MS;
    if (ms != ms_before) {
        id_time(text, ms);
        ms_before = ms;
    }
    for (int i = 15; i >= 0; i--) {
        count[i] = (count[i] + 1) & 31;
        text[10 + i] = digits[count[i]];
        if (count[i]) break;
    }
    memcpy(id, text, HTTP_ID_LEN);
    id[HTTP_ID_LEN] = 0;
}

/* ---- Dates ----------------------------------------------------------------------------------- */

static const char day_names[] = "ThuFriSatSunMonTueWed",
                  month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *put2(char *p, u32 n) {
    p[0] = (char)('0' + n / 10 % 10), p[1] = (char)('0' + n % 10);
    return p + 2;
}

/* Days since 1970 to a civil date (Howard Hinnant's method: eras of 400 years from 1 March). */
static void civil(u64 days, u32 *year, u32 *month, u32 *day) {
    u64 z = days + 719468, era = z / 146097, doe = z - era * 146097;
    u64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    u64 doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *day = (u32)(doy - (153 * mp + 2) / 5 + 1);
    *month = (u32)(mp < 10 ? mp + 3 : mp - 9);
    *year = (u32)(yoe + era * 400 + (*month <= 2));
}

static u64 days_from_civil(u64 y, u32 m, u32 d) {
    y -= m <= 2;
    u64 era = y / 400, yoe = y - era * 400;
    u64 doy = (153 * (m + (m > 2 ? 0 : 12) - 3) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void http_date_format(u64 seconds, char to[30]) {
    u32 year, month, day, in_day = (u32)(seconds % 86400);
    char *p = to;
    civil(seconds / 86400, &year, &month, &day);
    memcpy(p, day_names + seconds / 86400 % 7 * 3, 3), p += 3;
    memcpy(p, ", ", 2), p = put2(p + 2, day);
    *p++ = ' ';
    memcpy(p, month_names + (month - 1) * 3, 3), p += 3;
    *p++ = ' ';
    p = put2(put2(p, year / 100), year % 100);
    *p++ = ' ', p = put2(p, in_day / 3600);
    *p++ = ':', p = put2(p, in_day / 60 % 60);
    *p++ = ':', p = put2(p, in_day % 60);
    memcpy(p, " GMT", 5);
}

str http_date_now(void) {
    static char text[30];
    static u64 made_for;
    u64 seconds = platform_wall_ns() / NS_PER_S;
    if (!seconds) return S("");
    if (seconds != made_for) {
        http_date_format(seconds, text);
        made_for = seconds;
    }
    return str_of(text, 29);
}

/* Only the form every sender must use (IMF-fixdate); others are as good as absent. */
rc_t http_date_parse(str t, u64 *out) {
    static const char shape[] = "aaa, dd aaa dddd dd:dd:dd GMT";
    u64 n[6] = {0};
    if (t.len != 29) return RC_INVALID;
    for (size_t i = 0, field = 0, in_number = 0; i < 29; i++) {
        bool number = shape[i] == 'd';
        if (number ? t.ptr[i] < '0' || t.ptr[i] > '9' : shape[i] != 'a' && t.ptr[i] != shape[i])
            return RC_INVALID;
        if (number)
            n[field] = n[field] * 10 + (u64)(t.ptr[i] - '0');
        else if (in_number)
            field++;
        in_number = number;
    }
    for (u32 m = 0; m < 12; m++) {
        if (memcmp(month_names + m * 3, t.ptr + 8, 3) != 0) continue;
        if (n[0] < 1 || n[0] > 31 || n[1] < 1970 || n[2] > 23 || n[3] > 59 || n[4] > 60)
            return RC_INVALID;
        *out = days_from_civil(n[1], m + 1, (u32)n[0]) * 86400 + n[2] * 3600 + n[3] * 60 + n[4];
        return RC_OK;
    }
    return RC_INVALID;
}
