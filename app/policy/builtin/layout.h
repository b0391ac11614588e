/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h — times as text, by example: the reference's layouts ("2006-01-02T15:04:05Z07:00"). */
#pragma once
#include "app/policy/builtin/calendar.h"
#include "kernel/base/buf.h"

struct moment {      /* as the clocks of one zone show it */
    s64 year;
    s64 month, day;  /* from 1 */
    s64 hour, minute, second, ns;
    u32 weekday;     /* 0: Sunday; only for writing */
    u32 year_day;    /* from 1; only for writing */
    s32 offset_s;    /* east of UTC */
    char zone[8];
};
str layout_named(str name); /* "RFC822" and the like give their layout, anything else itself */
void layout_write(struct buf *to, const struct moment *t, str layout);
/* false: `why` holds the reference's words. An offset or zone in the text is taken off: *unix_s is
 * UTC. */
bool layout_read(str layout, str text, s64 *unix_s, s64 *ns, struct buf *why);
/* "1h15m30.918s"; d, w and y (365 days) too */
bool duration_read(str text, s64 *ns, struct buf *why);
