/* SPDX-License-Identifier: Apache-2.0 */
/* zones.c — what the clocks of a zone show at a moment.
 *
 *   first kind | early moments | late moments | the rule, year by year, for ever
 *
 * A rule's day is the POSIX one: month, week (5: the last), weekday, and a time of day that may lie
 * outside of the day. */
#include "app/policy/builtin/zones.h"
#include "app/policy/builtin/calendar.h"

const struct zone *zone_find(str name) {
    u32 low = 0, high = zones_count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        int order = str_cmp(name, str_from_c(zones[middle].name));
        if (order == 0) return &zones[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* Seconds from the start of `year` to the day's moment, in the time before the change. */
static s64 day_seconds(struct zone_day d, s64 year) {
    s64 month_start = calendar_days(year, d.month, 1), start = calendar_days(year, 1, 1);
    s64 weekday = ((month_start + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    s64 day = (d.weekday - weekday + 7) % 7 + 7 * (d.week - 1);
    while (day >= calendar_month_days(year, d.month)) day -= 7;
    return (month_start - start + day) * 86400 + d.time_s;
}

static struct zone_kind by_rule(const struct zone_rule *r, s64 unix_s) {
    if (r->start.month == 0) return r->winter;
    s64 local = unix_s + r->winter.offset_s;
    struct calendar_date date =
        calendar_date(local >= 0 ? local / 86400 : -((86399 - local) / 86400));
    s64 year_start = calendar_days(date.year, 1, 1) * 86400;
    s64 start = year_start + day_seconds(r->start, date.year) - r->winter.offset_s;
    s64 end = year_start + day_seconds(r->end, date.year) - r->summer.offset_s;
    bool summer = start < end ? unix_s >= start && unix_s < end : unix_s >= start || unix_s < end;
    return summer ? r->summer : r->winter;
}

struct zone_kind zone_at(const struct zone *z, s64 unix_s) {
    if (!z) return (struct zone_kind){0, false, "UTC"};
    const struct zone_kind *kinds = &zone_kinds[z->kinds];
    const s64 *late = &zone_late[z->late];
    if (z->late_count && unix_s >= late[0]) {
        if (unix_s >= late[z->late_count - 1] && z->rule >= 0)
            return by_rule(&zone_rules[z->rule], unix_s);
        u32 low = 0, high = z->late_count; /* late[low] <= unix_s < late[high] */
        while (high - low > 1) {
            u32 middle = low + (high - low) / 2;
            if (unix_s >= late[middle]) low = middle;
            else high = middle;
        }
        return kinds[zone_late_kinds[z->late + low]];
    }
    for (u32 i = z->early_count; i > 0; i--)
        if (unix_s >= zone_early[z->early + i - 1]) {
            if (!z->late_count && i == z->early_count && z->rule >= 0)
                return by_rule(&zone_rules[z->rule], unix_s);
            return kinds[zone_early_kinds[z->early + i - 1]];
        }
    if (!z->late_count && !z->early_count && z->rule >= 0)
        return by_rule(&zone_rules[z->rule], unix_s);
    return kinds[0];
}
