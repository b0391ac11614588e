/* SPDX-License-Identifier: Apache-2.0 */
/* zones.h — the world's time zones. The tables are made by tools/zones.py out of the tz database.
 *
 * A zone is a list of moments and the kind of time that holds from each on; before the first its
 * first kind; after the last the rule for all years to come, if there is one. The few moments
 * before 1901 lie in a list of their own, so that a search among the others is shorter. */
#pragma once
#include "kernel/base/base.h"

struct zone_kind { s32 offset_s; bool summer; char name[7]; }; /* east of UTC: positive */
struct zone_day {
    u8 month, week, weekday;
    s32 time_s;
};                               /* POSIX Mm.w.d/time; month 0: day of year */
struct zone_rule {               /* of all years after the last moment */
    struct zone_kind winter, summer; /* the same twice: no change of clocks */
    struct zone_day start, end;  /* of summer time, in the time that held before */
};
struct zone {
    const char *name;
    u32 kinds;                   /* first of its kinds */
    u32 early, early_count;      /* in zone_early */
    u32 late, late_count;        /* in zone_late; kinds in zone_late_kinds, counted from `kinds` */
    s32 rule;                    /* -1: none, the last kind holds for ever */
};
extern const struct zone zones[]; /* sorted by name */
extern const u32 zones_count;
extern const struct zone_kind zone_kinds[];
extern const s64 zone_early[];
extern const u8 zone_early_kinds[], zone_late_kinds[];
extern const s64 zone_late[]; /* some zones' are listed beyond 2038 */
extern const struct zone_rule zone_rules[];

const struct zone *zone_find(str name); /* NULL */
struct zone_kind zone_at(const struct zone *z, s64 unix_s); /* NULL: UTC */
