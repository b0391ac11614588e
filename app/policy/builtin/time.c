/* SPDX-License-Identifier: Apache-2.0 */
/* time.c — time.*: moments are nanoseconds since 1970 in UTC, shown by the clocks of a zone.
 *
 *   ns  |  [ns]  |  [ns, "Europe/Paris"]  |  [ns, "", "RFC822"]
 *
 * Results must fit 64 bits of nanoseconds: the years 1677 to 2262. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/layout.h"
#include "app/policy/builtin/zones.h"

/* ---- Moments ---- */

struct stamp { s64 ns; const struct zone *zone; /* NULL: UTC */ str layout; };

static bool take_zone(struct builtin_call *c, str name, struct stamp *t) {
    t->zone = NULL;
    if (name.len == 0 || str_eq(name, S("UTC")) || str_eq(name, S("Local"))) return true;
    bool dots = str_find(name, S("..")) < name.len;
    if (dots || name.ptr[0] == '/' || name.ptr[0] == '\\') {
        builtin_fail(c, "time: invalid location name");
        return false;
    }
    if ((t->zone = zone_find(name))) return true;
    builtin_fail(c, "unknown time zone %.*s", STR(str_take(name, 300)));
    return false;
}

static bool take_stamp(struct builtin_call *c, value v, struct stamp *t) {
    *t = (struct stamp){0};
    value n = v;
    if (v.kind == VALUE_ARRAY && value_count(v)) n = value_item(v, 0);
    else if (v.kind != VALUE_NUMBER) {
        builtin_fail_operand(c, 1, "either number (ns) or [number (ns), string (tz)]", v);
        return false;
    }
    if (n.kind != VALUE_NUMBER) {
        builtin_fail_operand(c, 1, "number", n);
        return false;
    }
    for (u32 i = 1; v.kind == VALUE_ARRAY && i < 3 && i < value_count(v); i++) {
        value text = value_item(v, i);
        if (text.kind != VALUE_STRING) {
            builtin_fail_operand(c, 1, "string", text);
            return false;
        }
        if (i == 1 && !take_zone(c, value_str(text), t)) return false;
        if (i == 2) t->layout = value_str(text);
    }
    if (number_to_s64(n, &t->ns) == RC_OK) return true;
    builtin_fail(c, "timestamp too big");
    return false;
}

static struct moment moment_of(s64 ns, const struct zone *zone) {
    s64 unix_s = floor_div(ns, (s64)NS_PER_S);
    struct zone_kind kind = zone_at(zone, unix_s);
    s64 local = unix_s + kind.offset_s, days = floor_div(local, 86400),
        of_day = local - days * 86400;
    struct calendar_date d = calendar_date(days);
    struct moment t = {.year = d.year,
                       .month = d.month,
                       .day = d.day,
                       .hour = of_day / 3600,
                       .minute = of_day / 60 % 60,
                       .second = of_day % 60,
                       .ns = ns % (s64)NS_PER_S + (ns % (s64)NS_PER_S < 0 ? (s64)NS_PER_S : 0),
                       .weekday = calendar_weekday(days),
                       .year_day = d.year_day + 1u,
                       .offset_s = kind.offset_s};
    memcpy(t.zone, kind.name, sizeof(kind.name));
    return t;
}

/* Clocks to UTC. Where they show a moment twice or never the offset that held before is taken. */
static s64 unix_of(s64 local, const struct zone *zone) {
    s32 offset = zone_at(zone, local).offset_s;
    return offset ? local - zone_at(zone, local - offset).offset_s : local;
}

static value stamp_value(struct builtin_call *c, s64 unix_s, s64 ns) {
    __int128 all = (__int128)unix_s * (s64)NS_PER_S + ns;
    if (all < INT64_MIN || all > INT64_MAX) return builtin_fail(c, "time outside of valid range");
    return value_integer((s64)all);
}

/* ---- Reading ---- */

static value read_with(struct builtin_call *c, str layout, str text) {
    struct buf why;
    s64 unix_s, ns;
    if (!builtin_tick(c, (u32)((layout.len + text.len) / 16))) return UNDEFINED;
    buf_open(&why, 8192);
    bool good = layout_read(layout, text, &unix_s, &ns, &why);
    if (!good) builtin_fail(c, "%.*s", STR(buf_str(&why)));
    buf_close(&why);
    return good ? stamp_value(c, unix_s, ns) : UNDEFINED;
}
value builtin_time_parse_ns(struct builtin_call *c, const value *args) {
    str layout, text;
    if (!builtin_take_string(c, args, 0, &layout) || !builtin_take_string(c, args, 1, &text))
        return UNDEFINED;
    return read_with(c, layout_named(layout), text);
}
value builtin_time_parse_rfc3339_ns(struct builtin_call *c, const value *args) {
    str text;
    return builtin_take_string(c, args, 0, &text)
               ? read_with(c, S("2006-01-02T15:04:05Z07:00"), text)
               : UNDEFINED;
}
value builtin_time_parse_duration_ns(struct builtin_call *c, const value *args) {
    str text;
    s64 ns;
    struct buf why;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_tick(c, (u32)(text.len / 16)))
        return UNDEFINED;
    buf_open(&why, 8192);
    bool good = duration_read(text, &ns, &why);
    if (!good) builtin_fail(c, "%.*s", STR(buf_str(&why)));
    buf_close(&why);
    return good ? value_integer(ns) : UNDEFINED;
}

/* ---- Writing ---- */

value builtin_time_format(struct builtin_call *c, const value *args) {
    struct stamp t;
    struct buf text;
    if (!take_stamp(c, args[0], &t) || !builtin_tick(c, (u32)(t.layout.len / 8))) return UNDEFINED;
    struct moment m = moment_of(t.ns, t.zone);
    builtin_text_open(c, &text);
    layout_write(&text, &m, layout_named(t.layout.len ? t.layout : S("RFC3339Nano")));
    return builtin_text_close(c, &text);
}

static value numbers(struct builtin_call *c, const s64 *n, u32 count) {
    value cells[6];
    for (u32 i = 0; i < count; i++) cells[i] = value_integer(n[i]);
    return value_array(c->heap, cells, count);
}
value builtin_time_date(struct builtin_call *c, const value *args) {
    struct stamp t;
    if (!take_stamp(c, args[0], &t)) return UNDEFINED;
    struct moment m = moment_of(t.ns, t.zone);
    return numbers(c, (s64[]){m.year, m.month, m.day}, 3);
}
value builtin_time_clock(struct builtin_call *c, const value *args) {
    struct stamp t;
    if (!take_stamp(c, args[0], &t)) return UNDEFINED;
    struct moment m = moment_of(t.ns, t.zone);
    return numbers(c, (s64[]){m.hour, m.minute, m.second}, 3);
}
value builtin_time_weekday(struct builtin_call *c, const value *args) {
    static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
    struct stamp t;
    if (!take_stamp(c, args[0], &t)) return UNDEFINED;
    return value_string_c(c->heap, names[moment_of(t.ns, t.zone).weekday]);
}

/* ---- Computing ---- */

value builtin_time_add_date(struct builtin_call *c, const value *args) {
    struct stamp t;
    s64 years, months, days, far = 1000000000;
    if (!take_stamp(c, args[0], &t) || !builtin_take_integer(c, args, 1, &years) ||
        !builtin_take_integer(c, args, 2, &months) || !builtin_take_integer(c, args, 3, &days))
        return UNDEFINED;
    if (years > far || years < -far || months > far || months < -far || days > far * 1000 ||
        days < -far * 1000)
        return builtin_fail(c, "time outside of valid range");
    struct moment m = moment_of(t.ns, t.zone);
    s64 month = m.month - 1 + months, year = m.year + years + floor_div(month, 12);
    month -= floor_div(month, 12) * 12;
    s64 local = (calendar_days(year, month + 1, 1) + m.day - 1 + days) * 86400 + m.hour * 3600 +
                m.minute * 60 + m.second;
    return stamp_value(c, unix_of(local, t.zone), m.ns);
}

value builtin_time_diff(struct builtin_call *c, const value *args) {
    struct stamp a, b;
    if (!take_stamp(c, args[0], &a) || !take_stamp(c, args[1], &b)) return UNDEFINED;
    struct moment x = moment_of(MIN(a.ns, b.ns), a.zone), y = moment_of(MAX(a.ns, b.ns), a.zone);
    s64 year = y.year - x.year, month = y.month - x.month, day = y.day - x.day,
        hour = y.hour - x.hour, minute = y.minute - x.minute, second = y.second - x.second;
    if (second < 0) second += 60, minute--;
    if (minute < 0) minute += 60, hour--;
    if (hour < 0) hour += 24, day--;
    if (day < 0) day += calendar_month_days(x.year, (u32)x.month), month--;
    if (month < 0) month += 12, year--;
    return numbers(c, (s64[]){year, month, day, hour, minute, second}, 6);
}
