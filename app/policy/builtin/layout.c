/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c — a layout shows how one certain moment would be written, Mon Jan 2 15:04:05 MST 2006:
 *
 *   "Jan _2 '06 at 3:04PM"  ->  month, blank, day, " '", year, " at ", hour, ":", minute, PM
 *
 * It is cut into elements (next_element) and whatever lies between them; writing and reading walk
 * the same elements. Which spellings are elements, what is read leniently and what is not, and the
 * words of errors are the reference's. */
#include "app/policy/builtin/layout.h"
#include "app/policy/builtin/builtin_impl.h"

enum element {
    NOTHING,
    LONG_MONTH,
    MONTH,
    NUM_MONTH,
    ZERO_MONTH,
    LONG_WEEKDAY,
    WEEKDAY,
    DAY,
    UNDER_DAY,
    ZERO_DAY,
    UNDER_YEAR_DAY,
    ZERO_YEAR_DAY,
    HOUR,
    HOUR12,
    ZERO_HOUR12,
    MINUTE,
    ZERO_MINUTE,
    SECOND,
    ZERO_SECOND,
    LONG_YEAR,
    YEAR,
    UPPER_PM,
    LOWER_PM,
    ZONE,
    ISO_ZONE,
    ISO_SECONDS_ZONE,
    ISO_SHORT_ZONE,
    ISO_COLON_ZONE,
    ISO_COLON_SECONDS_ZONE,
    NUM_ZONE,
    NUM_SECONDS_ZONE,
    NUM_SHORT_ZONE,
    NUM_COLON_ZONE,
    NUM_COLON_SECONDS_ZONE,
    FRACTION,
    FRACTION_TRIMMED,
};
static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July",
                                     "August", "September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
static const struct { const char *text; enum element what;
} spellings[] = {
    /* longer ones first */
    {"January", LONG_MONTH},
    {"Monday", LONG_WEEKDAY},
    {"MST", ZONE},
    {"01", ZERO_MONTH},
    {"02", ZERO_DAY},
    {"03", ZERO_HOUR12},
    {"04", ZERO_MINUTE},
    {"05", ZERO_SECOND},
    {"06", YEAR},
    {"002", ZERO_YEAR_DAY},
    {"15", HOUR},
    {"1", NUM_MONTH},
    {"2006", LONG_YEAR},
    {"2", DAY},
    {"__2", UNDER_YEAR_DAY},
    {"3", HOUR12},
    {"4", MINUTE},
    {"5", SECOND},
    {"PM", UPPER_PM},
    {"pm", LOWER_PM},
    {"-070000", NUM_SECONDS_ZONE},
    {"-07:00:00", NUM_COLON_SECONDS_ZONE},
    {"-0700", NUM_ZONE},
    {"-07:00", NUM_COLON_ZONE},
    {"-07", NUM_SHORT_ZONE},
    {"Z070000", ISO_SECONDS_ZONE},
    {"Z07:00:00", ISO_COLON_SECONDS_ZONE},
    {"Z0700", ISO_ZONE},
    {"Z07:00", ISO_COLON_ZONE},
    {"Z07", ISO_SHORT_ZONE},
};
static const struct { const char *name, *layout;
} named[] = {
    {"ANSIC", "Mon Jan _2 15:04:05 2006"},
    {"UnixDate", "Mon Jan _2 15:04:05 MST 2006"},
    {"RubyDate", "Mon Jan 02 15:04:05 -0700 2006"},
    {"RFC822", "02 Jan 06 15:04 MST"},
    {"RFC822Z", "02 Jan 06 15:04 -0700"},
    {"RFC850", "Monday, 02-Jan-06 15:04:05 MST"},
    {"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"},
    {"RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"},
    {"RFC3339", "2006-01-02T15:04:05Z07:00"},
    {"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"},
};

str layout_named(str name) {
    for (u32 i = 0; i < ARRAY_LEN(named); i++)
        if (str_eq(name, str_from_c(named[i].name))) return str_from_c(named[i].layout);
    return name;
}

/* ---- Elements ---- */

static bool is_digit_at(str s, size_t i) { return i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; }
static bool is_lower_at(str s, size_t i) { return i < s.len && s.ptr[i] >= 'a' && s.ptr[i] <= 'z'; }

struct piece { str prefix, text; enum element what; u32 digits; char point; };

/* The element at `s`, its length in *len. */
static enum element element_at(str s, size_t *len, struct piece *p) {
    char first = s.ptr[0];
    if (!first || !strchr("JM0123456_Pp-Z.,", first)) return NOTHING;
    for (u32 i = 0; i < ARRAY_LEN(spellings); i++)
        if (spellings[i].text[0] == first && str_starts(s, str_from_c(spellings[i].text))) {
            *len = strlen(spellings[i].text);
            return spellings[i].what;
        }
    *len = 3;
    if (str_starts(s, S("Jan")) && !is_lower_at(s, 3)) return MONTH;
    if (str_starts(s, S("Mon")) && !is_lower_at(s, 3)) return WEEKDAY;
    *len = 2;
    if (str_starts(s, S("_2")) && !str_starts(s, S("_2006"))) return UNDER_DAY;
    if ((first == '.' || first == ',') && s.len > 1 && (s.ptr[1] == '0' || s.ptr[1] == '9')) {
        size_t end = 1;
        while (end < s.len && s.ptr[end] == s.ptr[1]) end++;
        if (!is_digit_at(s, end)) {
            *len = end;
            p->digits = (u32)end - 1, p->point = first;
            return s.ptr[1] == '0' ? FRACTION : FRACTION_TRIMMED;
        }
    }
    return NOTHING;
}

/* The first element in `layout` and what stands before it; `layout` is moved behind it. */
static struct piece next_piece(str *layout) {
    struct piece p = {.prefix = *layout};
    for (size_t i = 0; i < layout->len; i++) {
        size_t len;
        p.what = element_at(str_skip(*layout, i), &len, &p);
        if (p.what == NOTHING) continue;
        p.prefix = str_take(*layout, i);
        p.text = str_take(str_skip(*layout, i), len);
        *layout = str_skip(*layout, i + len);
        return p;
    }
    *layout = str_skip(*layout, layout->len);
    return p;
}

/* ---- Writing ---- */

static void put_number(struct buf *to, s64 n, int width, char fill) {
    if (n < 0) (void)buf_add_byte(to, '-'), n = -n;
    if (fill == ' ') (void)buf_printf(to, "%*lld", width, (long long)n);
    else (void)buf_printf(to, "%0*lld", width, (long long)n);
}

static void put_offset(struct buf *to, enum element what, s32 offset) {
    bool iso = what >= ISO_ZONE && what <= ISO_COLON_SECONDS_ZONE;
    if (iso && offset == 0) {
        (void)buf_add_byte(to, 'Z');
        return;
    }
    /* The minutes are cut before the sign is taken, the seconds are not. */
    s32 minutes = offset / 60, seconds = offset < 0 ? -offset : offset;
    (void)buf_add_byte(to, minutes < 0 ? '-' : '+');
    if (minutes < 0) minutes = -minutes;
    put_number(to, minutes / 60, 2, '0');
    if (what == ISO_SHORT_ZONE || what == NUM_SHORT_ZONE) return;
    bool with_seconds = what == ISO_SECONDS_ZONE || what == NUM_SECONDS_ZONE ||
                        what == ISO_COLON_SECONDS_ZONE || what == NUM_COLON_SECONDS_ZONE;
    bool colon = what == ISO_COLON_ZONE || what == NUM_COLON_ZONE ||
                 what == ISO_COLON_SECONDS_ZONE || what == NUM_COLON_SECONDS_ZONE;
    if (colon) (void)buf_add_byte(to, ':');
    put_number(to, minutes % 60, 2, '0');
    if (with_seconds && colon) (void)buf_add_byte(to, ':');
    if (with_seconds) put_number(to, seconds % 60, 2, '0');
}

static void put_fraction(struct buf *to, const struct piece *p, s64 ns) {
    char digits[9];
    u32 n = MIN(p->digits, 9u);
    for (u32 i = 9; i-- > 0; ns /= 10) digits[i] = (char)('0' + ns % 10);
    while (p->what == FRACTION_TRIMMED && n > 0 && digits[n - 1] == '0') n--;
    if (n == 0) return;
    (void)buf_add_byte(to, p->point);
    (void)buf_add(to, str_of(digits, n));
}

static void put_element(struct buf *to, const struct piece *p, const struct moment *t) {
    s64 hour12 = t->hour % 12 ? t->hour % 12 : 12;
    switch (p->what) {
    case NOTHING: break;
    case LONG_MONTH: (void)buf_add(to, str_from_c(months[t->month - 1])); break;
    case MONTH: (void)buf_add(to, str_of(months[t->month - 1], 3)); break;
    case NUM_MONTH: put_number(to, t->month, 0, '0'); break;
    case ZERO_MONTH: put_number(to, t->month, 2, '0'); break;
    case LONG_WEEKDAY: (void)buf_add(to, str_from_c(weekdays[t->weekday])); break;
    case WEEKDAY: (void)buf_add(to, str_of(weekdays[t->weekday], 3)); break;
    case DAY: put_number(to, t->day, 0, '0'); break;
    case UNDER_DAY: put_number(to, t->day, 2, ' '); break;
    case ZERO_DAY: put_number(to, t->day, 2, '0'); break;
    case UNDER_YEAR_DAY: put_number(to, t->year_day, 3, ' '); break;
    case ZERO_YEAR_DAY: put_number(to, t->year_day, 3, '0'); break;
    case HOUR: put_number(to, t->hour, 2, '0'); break;
    case HOUR12: put_number(to, hour12, 0, '0'); break;
    case ZERO_HOUR12: put_number(to, hour12, 2, '0'); break;
    case MINUTE: put_number(to, t->minute, 0, '0'); break;
    case ZERO_MINUTE: put_number(to, t->minute, 2, '0'); break;
    case SECOND: put_number(to, t->second, 0, '0'); break;
    case ZERO_SECOND: put_number(to, t->second, 2, '0'); break;
    case LONG_YEAR: put_number(to, t->year, 4, '0'); break;
    case YEAR: put_number(to, t->year < 0 ? 0 : t->year % 100, 2, '0'); break;
    case UPPER_PM: (void)buf_add(to, t->hour >= 12 ? S("PM") : S("AM")); break;
    case LOWER_PM: (void)buf_add(to, t->hour >= 12 ? S("pm") : S("am")); break;
    case ZONE: (void)buf_add(to, str_from_c(t->zone)); break;
    case FRACTION:
    case FRACTION_TRIMMED: put_fraction(to, p, t->ns); break;
    default: put_offset(to, p->what, t->offset_s); break;
    }
}

void layout_write(struct buf *to, const struct moment *t, str layout) {
    while (layout.len && !to->failed) {
        struct piece p = next_piece(&layout);
        (void)buf_add(to, p.prefix);
        put_element(to, &p, t);
    }
}

/* ---- Reading ---- */

struct reader { /* what was read so far; month, day, year_day: -1 until they are */
    s64 year, month, day, year_day, hour, minute, second, ns, offset;
    bool am, pm, utc, has_offset, has_zone;
    const char *out_of_range;
};

/* In quotes, as this part of the reference's library has it: bytes beyond ASCII as \x. */
static void quote(struct buf *to, str s) {
    (void)buf_add_byte(to, '"');
    for (size_t i = 0; i < s.len && !to->failed; i++) {
        u8 ch = (u8)s.ptr[i];
        if (ch >= 0x80 || ch < ' ') (void)buf_printf(to, "\\x%02x", ch);
        else {
            if (ch == '"' || ch == '\\') (void)buf_add_byte(to, '\\');
            (void)buf_add_byte(to, (char)ch);
        }
    }
    (void)buf_add_byte(to, '"');
}

/* One or two digits; `fixed`: two. */
static bool get_number(str *s, bool fixed, s64 *out) {
    if (!is_digit_at(*s, 0) || (fixed && !is_digit_at(*s, 1))) return false;
    u32 n = is_digit_at(*s, 1) ? 2 : 1;
    *out = n == 2 ? (s->ptr[0] - '0') * 10 + (s->ptr[1] - '0') : s->ptr[0] - '0';
    *s = str_skip(*s, n);
    return true;
}
static bool get_digits(str *s, u32 count, s64 *out) { /* exactly; a sign may take the first place */
    if (s->len < count) return false;
    s64 n = 0;
    u32 i = s->ptr[0] == '-' || s->ptr[0] == '+';
    if (i == count) return false;
    for (; i < count; i++) {
        if (!is_digit_at(*s, i)) return false;
        n = n * 10 + (s->ptr[i] - '0');
    }
    *out = s->ptr[0] == '-' ? -n : n;
    *s = str_skip(*s, count);
    return true;
}
static bool get_name(str *s, const char *const *names, u32 count, bool brief, s64 *out) {
    for (u32 i = 0; i < count; i++) {
        str name = str_from_c(names[i]);
        if (brief) name = str_take(name, 3);
        if (!str_eq_nocase(str_take(*s, name.len), name)) continue;
        *s = str_skip(*s, name.len);
        *out = i;
        return true;
    }
    return false;
}
static void check(struct reader *r, s64 n, s64 low, s64 high, const char *what) {
    if (n < low || n > high) r->out_of_range = what;
}

/* `bytes` of "." and digits; more than nine digits are cut. */
static bool get_fraction(struct reader *r, str *s, size_t bytes) {
    if (s->len < bytes || (s->ptr[0] != '.' && s->ptr[0] != ',')) return false;
    s64 n = 0;
    if (bytes < 2) return false;
    for (size_t i = 1; i < 10; i++) {
        if (i < bytes && !is_digit_at(*s, i)) return false;
        n = n * 10 + (i < bytes ? s->ptr[i] - '0' : 0);
    }
    for (size_t i = 10; i < bytes; i++)
        if (!is_digit_at(*s, i)) return false;
    r->ns = n;
    *s = str_skip(*s, bytes);
    return true;
}
static size_t fraction_len(str s) { /* "." and all digits; 0: none */
    if (s.len < 2 || (s.ptr[0] != '.' && s.ptr[0] != ',') || !is_digit_at(s, 1)) return 0;
    size_t n = 2;
    while (is_digit_at(s, n)) n++;
    return n;
}

static bool get_offset(struct reader *r, str *s, enum element what) {
    static const char shapes[][10] = {/* from ISO_ZONE on, by fives */
                                      "shhmm", "shhmmss", "shh", "shh:mm", "shh:mm:ss"};
    bool iso = what <= ISO_COLON_SECONDS_ZONE;
    const char *shape = shapes[iso ? what - ISO_ZONE : what - NUM_ZONE];
    s64 part[3] = {0};
    if (iso && s->len && s->ptr[0] == 'Z') {
        *s = str_skip(*s, 1);
        r->utc = true;
        return true;
    }
    if (s->len < strlen(shape)) return false;
    char sign = s->ptr[0];
    for (u32 i = 1, n = 0; shape[i];) {
        if (shape[i] == ':' && s->ptr[i++] != ':') return false;
        str two = str_of(s->ptr + i, 2);
        if (!get_number(&two, true, &part[n++])) return false;
        i += 2;
    }
    if (part[0] > 24) r->out_of_range = "time zone offset hour";
    if (part[1] > 60) r->out_of_range = "time zone offset minute";
    if (part[2] > 60) r->out_of_range = "time zone offset second";
    if (sign != '+' && sign != '-') return false;
    r->offset = (part[0] * 60 + part[1]) * 60 + part[2];
    if (sign == '-') r->offset = -r->offset;
    r->has_offset = true;
    *s = str_skip(*s, strlen(shape));
    return true;
}

/* "+3", "-11": its length; 0: it is none. */
static size_t signed_offset_len(str s) {
    if (s.len < 2 || (s.ptr[0] != '+' && s.ptr[0] != '-')) return 0;
    u32 n = 0;
    size_t i = 1;
    for (; is_digit_at(s, i) && n < 1000; i++) n = n * 10 + (u32)(s.ptr[i] - '0');
    return i == 1 || n > 23 ? 0 : i;
}
/* An abbreviation like CEST: what length has it? 0: none. */
static size_t zone_len(str s) {
    if (s.len < 3) return 0;
    if (str_starts(s, S("ChST")) || str_starts(s, S("MeST"))) return 4;
    if (str_starts(s, S("GMT"))) return 3 + signed_offset_len(str_skip(s, 3));
    if (s.ptr[0] == '+' || s.ptr[0] == '-') return signed_offset_len(s);
    size_t n = 0;
    while (n < 6 && n < s.len && s.ptr[n] >= 'A' && s.ptr[n] <= 'Z') n++;
    if (n == 5 && s.ptr[4] == 'T') return 5;
    if (n == 4 && (s.ptr[3] == 'T' || str_starts(s, S("WITA")))) return 4;
    return n == 3 ? 3 : 0;
}
/* A name says nothing of its offset: only UTC is known. */
static bool get_zone(struct reader *r, str *s) {
    if (str_starts(*s, S("UTC"))) {
        r->utc = true;
        *s = str_skip(*s, 3);
        return true;
    }
    size_t n = zone_len(*s);
    r->has_zone = n > 0;
    *s = str_skip(*s, n);
    return n > 0;
}

static bool get_year(struct reader *r, str *s, bool full) {
    if (full && !is_digit_at(*s, 0)) return false;
    if (!get_digits(s, full ? 4 : 2, &r->year)) return false;
    if (!full) r->year += r->year >= 69 ? 1900 : 2000;
    return true;
}
static bool get_month(struct reader *r, str *s, enum element what) {
    if (what == LONG_MONTH || what == MONTH) {
        if (!get_name(s, months, 12, what == MONTH, &r->month)) return false;
        r->month++;
        return true;
    }
    if (!get_number(s, what == ZERO_MONTH, &r->month)) return false;
    check(r, r->month, 1, 12, "month");
    return true;
}
static bool get_year_day(struct reader *r, str *s, bool fixed) {
    u32 n = 0;
    for (u32 i = 0; i < 2 && !fixed; i++)
        if (s->len && s->ptr[0] == ' ') *s = str_skip(*s, 1);
    r->year_day = 0;
    for (; n < 3 && is_digit_at(*s, n); n++) r->year_day = r->year_day * 10 + (s->ptr[n] - '0');
    *s = str_skip(*s, n);
    return n == 3 || (n && !fixed);
}
/* A fraction may follow seconds even where the layout has none. */
static bool get_second(struct reader *r, str *s, bool fixed, str layout) {
    if (!get_number(s, fixed, &r->second)) return false;
    check(r, r->second, 0, 59, "second");
    size_t n = fraction_len(*s);
    if (n == 0 || r->out_of_range) return true;
    enum element next = next_piece(&layout).what;
    return next == FRACTION || next == FRACTION_TRIMMED || get_fraction(r, s, n);
}
static bool get_pm(struct reader *r, str *s, const char *am, const char *pm) {
    str two = str_take(*s, 2);
    r->pm = str_eq(two, str_from_c(pm)), r->am = str_eq(two, str_from_c(am));
    *s = str_skip(*s, 2);
    return r->am || r->pm;
}

/* One element of the text; `rest`: of the layout. */
static bool get_element(struct reader *r, str *s, const struct piece *p, str rest) {
    s64 ignored;
    size_t n;
    switch (p->what) {
    case NOTHING: return true;
    case YEAR: case LONG_YEAR: return get_year(r, s, p->what == LONG_YEAR);
    case LONG_MONTH: case MONTH: case NUM_MONTH: case ZERO_MONTH: return get_month(r, s, p->what);
    case LONG_WEEKDAY: case WEEKDAY: return get_name(s, weekdays, 7, p->what == WEEKDAY, &ignored);
    case DAY: case UNDER_DAY: case ZERO_DAY:
        if (p->what == UNDER_DAY && s->len && s->ptr[0] == ' ') *s = str_skip(*s, 1);
        return get_number(s, p->what == ZERO_DAY, &r->day);
    case UNDER_YEAR_DAY: case ZERO_YEAR_DAY: return get_year_day(r, s, p->what == ZERO_YEAR_DAY);
    case HOUR:
        if (!get_number(s, false, &r->hour)) return false;
        check(r, r->hour, 0, 23, "hour");
        return true;
    case HOUR12: case ZERO_HOUR12:
        if (!get_number(s, p->what == ZERO_HOUR12, &r->hour)) return false;
        check(r, r->hour, 0, 12, "hour");
        return true;
    case MINUTE: case ZERO_MINUTE:
        if (!get_number(s, p->what == ZERO_MINUTE, &r->minute)) return false;
        check(r, r->minute, 0, 59, "minute");
        return true;
    case SECOND: case ZERO_SECOND: return get_second(r, s, p->what == ZERO_SECOND, rest);
    case UPPER_PM: return get_pm(r, s, "AM", "PM");
    case LOWER_PM: return get_pm(r, s, "am", "pm");
    case ZONE: return get_zone(r, s);
    case FRACTION: return get_fraction(r, s, 1 + p->digits);
    case FRACTION_TRIMMED: n = fraction_len(*s); return n == 0 || get_fraction(r, s, n);
    default: return get_offset(r, s, p->what);
    }
}

/* What stands between elements: blanks stand for any number of blanks. */
static bool skip_prefix(str *s, str prefix) {
    while (prefix.len) {
        if (prefix.ptr[0] == ' ') {
            if (s->len && s->ptr[0] != ' ') return false;
            while (prefix.len && prefix.ptr[0] == ' ') prefix = str_skip(prefix, 1);
            while (s->len && s->ptr[0] == ' ') *s = str_skip(*s, 1);
            continue;
        }
        if (s->len == 0 || s->ptr[0] != prefix.ptr[0]) return false;
        prefix = str_skip(prefix, 1), *s = str_skip(*s, 1);
    }
    return true;
}

/* Day of the year into month and day; NULL or what does not fit. */
static const char *settle_date(struct reader *r) {
    if (r->year_day >= 0) {
        s64 last = calendar_is_leap(r->year) ? 366 : 365;
        if (r->year_day < 1 || r->year_day > last) return "day-of-year out of range";
        struct calendar_date d = calendar_date(calendar_days(r->year, 1, r->year_day));
        if (r->month >= 0 && r->month != d.month) return "day-of-year does not match month";
        if (r->day >= 0 && r->day != d.day) return "day-of-year does not match day";
        r->month = d.month, r->day = d.day;
    }
    if (r->month < 0) r->month = 1;
    if (r->day < 0) r->day = 1;
    if (r->day < 1 || r->day > calendar_month_days(r->year, (u32)r->month))
        return "day out of range";
    return NULL;
}

static bool fail_at(struct buf *why, str layout, str text, str element, str rest) {
    (void)buf_add(why, S("parsing time "));
    quote(why, text);
    (void)buf_add(why, S(" as "));
    quote(why, layout);
    (void)buf_add(why, S(": cannot parse "));
    quote(why, rest);
    (void)buf_add(why, S(" as "));
    quote(why, element);
    return false;
}
static bool fail_because(struct buf *why, str text, const char *reason) {
    (void)buf_add(why, S("parsing time "));
    quote(why, text);
    (void)buf_printf(why, ": %s", reason);
    return false;
}

static bool read_all(struct reader *r, str layout, str text, struct buf *why) {
    str rest = text, left = layout;
    for (;;) {
        struct piece p = next_piece(&left);
        if (!skip_prefix(&rest, p.prefix)) return fail_at(why, layout, text, p.prefix, rest);
        if (p.what == NOTHING) break;
        str before = rest;
        bool good = get_element(r, &rest, &p, left);
        if (r->out_of_range) {
            (void)fail_because(why, text, r->out_of_range);
            (void)buf_add(why, S(" out of range"));
            return false;
        }
        if (!good) return fail_at(why, layout, text, p.text, before);
    }
    if (rest.len == 0) return true;
    (void)fail_because(why, text, "extra text: ");
    quote(why, rest);
    return false;
}

/* ---- RFC 3339 as it mostly comes, without looking at a layout ---- */

static u32 two_digits(str s, size_t at, bool *good) {
    if (!is_digit_at(s, at) || !is_digit_at(s, at + 1)) {
        *good = false;
        return 0;
    }
    return (u32)(s.ptr[at] - '0') * 10 + (u32)(s.ptr[at + 1] - '0');
}

/* false: it is not quite that, the layout decides. */
static bool read_rfc3339(str s, s64 *unix_s, s64 *ns) {
    bool good = s.len >= 20 && s.ptr[4] == '-' && s.ptr[7] == '-' && s.ptr[10] == 'T' &&
                s.ptr[13] == ':' && s.ptr[16] == ':';
    if (!good) return false;
    s64 year = two_digits(s, 0, &good) * 100 + two_digits(s, 2, &good);
    u32 month = two_digits(s, 5, &good), day = two_digits(s, 8, &good);
    u32 hour = two_digits(s, 11, &good), minute = two_digits(s, 14, &good),
        second = two_digits(s, 17, &good);
    if (!good || month < 1 || month > 12 || day < 1 || day > calendar_month_days(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    size_t at = 19;
    u32 scale = 100000000;
    *ns = 0;
    if (s.ptr[at] == '.' && is_digit_at(s, at + 1))
        for (at++; is_digit_at(s, at); at++, scale /= 10) *ns += (s64)scale * (s.ptr[at] - '0');
    *unix_s = calendar_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    if (at + 1 == s.len && s.ptr[at] == 'Z') return true;
    if (at + 6 != s.len || (s.ptr[at] != '+' && s.ptr[at] != '-') || s.ptr[at + 3] != ':')
        return false;
    u32 hours = two_digits(s, at + 1, &good), minutes = two_digits(s, at + 4, &good);
    if (!good || hours > 23 || minutes > 59) return false;
    s64 offset = hours * 3600 + minutes * 60;
    *unix_s -= s.ptr[at] == '-' ? -offset : offset;
    return true;
}

bool layout_read(str layout, str text, s64 *unix_s, s64 *ns, struct buf *why) {
    struct reader r = {.month = -1, .day = -1, .year_day = -1};
    bool known = str_eq(layout, S("2006-01-02T15:04:05Z07:00"));
    if (known && read_rfc3339(text, unix_s, ns)) return true;
    if (!read_all(&r, layout, text, why)) return false;
    if (r.pm && r.hour < 12) r.hour += 12;
    else if (r.am && r.hour == 12) r.hour = 0;
    const char *wrong = settle_date(&r);
    if (wrong) return fail_because(why, text, wrong);
    *unix_s =
        calendar_days(r.year, r.month, r.day) * 86400 + r.hour * 3600 + r.minute * 60 + r.second;
    if (!r.utc && r.has_offset) *unix_s -= r.offset;
    *ns = r.ns;
    return true;
}

/* ---- Durations ---- */

static bool bad_duration(struct buf *why, const char *what, str text) {
    (void)buf_printf(why, "time: %s ", what);
    quote(why, text);
    return false;
}

static u64 unit_ns(str unit) {
    static const struct { const char *name; u64 ns;
    } units[] = {{"ns", 1},
                 {"us", 1000},
                 {"\u00b5s", 1000},
                 {"\u03bcs", 1000},
                 {"ms", 1000000},
                 {"s", NS_PER_S},
                 {"m", 60 * NS_PER_S},
                 {"h", 3600 * NS_PER_S},
                 {"d", 86400 * NS_PER_S},
                 {"w", 7 * 86400 * NS_PER_S},
                 {"y", 365 * 86400 * NS_PER_S}};
    for (u32 i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(unit, str_from_c(units[i].name))) return units[i].ns;
    return 0;
}

/* Digits while they fit; false: more than 2^63. */
static bool get_whole(str *s, u64 *out) {
    *out = 0;
    for (; is_digit_at(*s, 0); *s = str_skip(*s, 1)) {
        if (*out > (1ull << 63) / 10) return false;
        *out = *out * 10 + (u64)(s->ptr[0] - '0');
        if (*out > 1ull << 63) return false;
    }
    return true;
}
/* Digits behind the point; those that do not fit do not matter. */
static void get_part(str *s, u64 *out, double *scale) {
    bool full = false;
    *out = 0, *scale = 1;
    for (; is_digit_at(*s, 0); *s = str_skip(*s, 1)) {
        u64 next = *out * 10 + (u64)(s->ptr[0] - '0');
        full = full || *out > ((1ull << 63) - 1) / 10 || next > 1ull << 63;
        if (full) continue;
        *out = next, *scale *= 10;
    }
}

bool duration_read(str text, s64 *ns, struct buf *why) {
    str s = text;
    u64 total = 0;
    bool negative = s.len && s.ptr[0] == '-';
    if (negative || (s.len && s.ptr[0] == '+')) s = str_skip(s, 1);
    *ns = 0;
    if (str_eq(s, S("0"))) return true;
    if (s.len == 0) return bad_duration(why, "invalid duration", text);
    while (s.len) {
        u64 whole, part = 0, times;
        double scale = 1;
        size_t before = s.len;
        if (!get_whole(&s, &whole)) return bad_duration(why, "invalid duration", text);
        bool some = s.len < before;
        if (s.len && s.ptr[0] == '.') {
            s = str_skip(s, 1);
            before = s.len;
            get_part(&s, &part, &scale);
            some = some || s.len < before;
        }
        if (!some) return bad_duration(why, "invalid duration", text);
        size_t end = 0;
        while (end < s.len && s.ptr[end] != '.' && !is_digit_at(s, end)) end++;
        if (end == 0) return bad_duration(why, "missing unit in duration", text);
        str unit = str_take(s, end);
        s = str_skip(s, end);
        if (!(times = unit_ns(unit))) {
            (void)bad_duration(why, "unknown unit", unit);
            (void)buf_add(why, S(" in duration "));
            quote(why, text);
            return false;
        }
        if (whole > (1ull << 63) / times) return bad_duration(why, "invalid duration", text);
        whole *= times;
        if (part) whole += (u64)((double)part * ((double)times / scale));
        total += whole;
        if (whole > 1ull << 63 || total > 1ull << 63)
            return bad_duration(why, "invalid duration", text);
    }
    if (!negative && total > (1ull << 63) - 1) return bad_duration(why, "invalid duration", text);
    *ns = (s64)(negative ? 0 - total : total);
    return true;
}
