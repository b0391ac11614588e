/* SPDX-License-Identifier: Apache-2.0 */
/* units.c — "10G", "1500m", "2.5e3MiB" as numbers.
 *
 * units.parse is exact: digits times unit, then the point moved; what is not whole is written with
 * ten decimals. (The reference's "milli" is the double next to 0.001, all of its 61 digits: hence
 * 1000m is 1.0000000000.) units.parse_bytes computes in floats of 64 bits and cuts the fraction. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/float_digits.h"
#include "app/policy/builtin/unicode.h"
#include "app/policy/value/number_impl.h"

enum { EXPONENT_DIGITS_MAX = 6, DECIMALS = 10 };

static bool is_digit(char ch) { return ch >= '0' && ch <= '9'; }

/* Where the number ends and the unit starts; false: the exponent has too many digits. An `e` that
 * no digit follows belongs to the unit. */
static bool split_unit(str s, size_t *end) {
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        bool e = ch == 'e' || ch == 'E', sign = ch == '+' || ch == '-';
        char next = i + 1 < s.len ? s.ptr[i + 1] : '\0';
        if ((!is_digit(ch) && ch != '.' && !e && !sign) ||
            (e && !is_digit(next) && next != '+' && next != '-')) {
            *end = i;
            return true;
        }
        if (!e) continue;
        if (next == '+' || next == '-') i++;
        size_t digits = 0;
        while (i + 1 + digits < s.len && is_digit(s.ptr[i + 1 + digits])) digits++;
        if (digits > EXPONENT_DIGITS_MAX) return false;
    }
    *end = s.len;
    return true;
}

/* sign, digits with at most one point, exponent: as integer digits and a power of ten. */
struct amount { bool negative; char *digits; size_t count; s64 power; };

static bool read_amount(struct builtin_call *c, str s, struct amount *a) {
    size_t i = 0;
    bool point = false, some = false;
    *a = (struct amount){.digits = heap_alloc(c->heap, s.len + 1)};
    if (!a->digits) return false;
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) a->negative = s.ptr[i++] == '-';
    for (; i < s.len && (is_digit(s.ptr[i]) || (s.ptr[i] == '.' && !point)); i++) {
        if (s.ptr[i] == '.') {
            point = true;
            continue;
        }
        some = true;
        if (a->count || s.ptr[i] != '0') a->digits[a->count++] = s.ptr[i];
        a->power -= point;
    }
    if (!some) return false;
    if (i < s.len && (s.ptr[i] | 32) == 'e') {
        bool down = i + 1 < s.len && s.ptr[i + 1] == '-';
        i += 1 + (i + 1 < s.len && (down || s.ptr[i + 1] == '+'));
        s64 exponent = 0, from = (s64)i;
        for (; i < s.len && is_digit(s.ptr[i]); i++) exponent = exponent * 10 + (s.ptr[i] - '0');
        if ((s64)i == from) return false;
        a->power += down ? -exponent : exponent;
    }
    return i == s.len;
}

/* ---- Exactly ---- */

/* The last of `decimals` kept digits is rounded, halves away from zero. */
static void write_decimals(struct buf *to, str digits, s64 decimals) {
    s64 kept = (s64)digits.len - decimals + DECIMALS; /* digits that stay */
    char out[NUMBER_TEXT_MAX + 2 * DECIMALS];
    s64 n = 0, lead = DECIMALS + 1 - MIN(MAX(kept, 0), DECIMALS + 1);
    for (s64 i = 0; i < lead && n < (s64)sizeof(out); i++) out[n++] = '0';
    for (s64 i = 0; i < kept && n < (s64)sizeof(out); i++)
        out[n++] = i < (s64)digits.len ? digits.ptr[i] : '0';
    bool up = kept >= 0 && kept < (s64)digits.len && digits.ptr[kept] >= '5';
    for (s64 i = n; up && i > 0;) {
        up = out[--i] == '9';
        out[i] = up ? '0' : (char)(out[i] + 1);
    }
    if (up) (void)buf_add_byte(to, '1');
    (void)buf_add(to, str_of(out, (size_t)(n - DECIMALS)));
    (void)buf_add_byte(to, '.');
    (void)buf_add(to, str_of(out + n - DECIMALS, DECIMALS));
}

static value exact(struct builtin_call *c, const struct amount *a, str unit, s64 power) {
    value left = number_parse(c->heap, a->count ? str_of(a->digits, a->count) : S("0"), 10);
    value right = number_parse(c->heap, unit, 10);
    if (left.kind != VALUE_NUMBER || right.kind != VALUE_NUMBER) return UNDEFINED;
    value product = number_multiply(c->heap, left, right);
    char room[NUMBER_TEXT_ROOM];
    if (product.kind != VALUE_NUMBER) return UNDEFINED;
    str digits = number_text(product, room);
    if (str_eq(digits, S("0"))) return product;
    s64 zeros = 0;
    while (digits.ptr[digits.len - 1 - (size_t)zeros] == '0') zeros++;
    struct buf text;
    buf_open(&text, NUMBER_TEXT_MAX + 2 * DECIMALS);
    if (a->negative) (void)buf_add_byte(&text, '-');
    if (power + zeros >= 0) {
        (void)buf_add(&text, str_take(digits, digits.len - (power < 0 ? (size_t)-power : 0)));
        for (s64 i = 0; i < power && !text.failed; i++) (void)buf_add_byte(&text, '0');
    } else write_decimals(&text, digits, -power);
    value v = text.failed ? UNDEFINED : value_number(c->heap, buf_str(&text));
    buf_close(&text);
    return v;
}

struct unit { const char *name; const char *times; };
static const struct unit units[] = {{"", "1"},
                                    {"k", "1000"},
                                    {"K", "1000"},
                                    {"ki", "1024"},
                                    {"Ki", "1024"},
                                    {"M", "1000000"},
                                    {"mi", "1048576"},
                                    {"Mi", "1048576"},
                                    {"g", "1000000000"},
                                    {"G", "1000000000"},
                                    {"gi", "1073741824"},
                                    {"Gi", "1073741824"},
                                    {"t", "1000000000000"},
                                    {"T", "1000000000000"},
                                    {"ti", "1099511627776"},
                                    {"Ti", "1099511627776"},
                                    {"p", "1000000000000000"},
                                    {"P", "1000000000000000"},
                                    {"pi", "1125899906842624"},
                                    {"Pi", "1125899906842624"},
                                    {"e", "1000000000000000000"},
                                    {"E", "1000000000000000000"},
                                    {"ei", "1152921504606846976"},
                                    {"Ei", "1152921504606846976"}};
static const struct unit byte_units[] = {{"", "1"},
                                         {"kb", "1000"},
                                         {"k", "1000"},
                                         {"kib", "1024"},
                                         {"ki", "1024"},
                                         {"mb", "1000000"},
                                         {"m", "1000000"},
                                         {"mib", "1048576"},
                                         {"mi", "1048576"},
                                         {"gb", "1000000000"},
                                         {"g", "1000000000"},
                                         {"gib", "1073741824"},
                                         {"gi", "1073741824"},
                                         {"tb", "1000000000000"},
                                         {"t", "1000000000000"},
                                         {"tib", "1099511627776"},
                                         {"ti", "1099511627776"},
                                         {"pb", "1000000000000000"},
                                         {"p", "1000000000000000"},
                                         {"pib", "1125899906842624"},
                                         {"pi", "1125899906842624"},
                                         {"eb", "1000000000000000000"},
                                         {"e", "1000000000000000000"},
                                         {"eib", "1152921504606846976"},
                                         {"ei", "1152921504606846976"}};

static const char *times_of(const struct unit *table, size_t count, str name) {
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, str_from_c(table[i].name))) return table[i].times;
    return NULL;
}

/* The argument without quotes, in lower case from byte `from` on. */
static bool take_text(struct builtin_call *c, const value *args, size_t from, struct buf *text) {
    str s;
    u32 width;
    if (!builtin_take_string(c, args, 0, &s) || !builtin_tick(c, (u32)(s.len / 16))) return false;
    builtin_text_open(c, text);
    for (size_t at = 0; at < s.len; at += width) {
        u32 r = rune_decode(s, at, &width);
        if (r == '"') continue;
        if (at >= from) buf_add_rune(text, unicode_lower(r));
        else (void)buf_add(text, str_of(s.ptr + at, width));
    }
    if (text->failed) builtin_fail_memory(c);
    return !text->failed;
}

/* After its first letter a unit's case does not matter. */
static void lower_tail(struct buf *text, size_t from) {
    for (size_t i = from + 1; i < text->len; i++)
        if (text->ptr[i] >= 'A' && text->ptr[i] <= 'Z') text->ptr[i] = (char)(text->ptr[i] + 32);
}

value builtin_units_parse(struct builtin_call *c, const value *args) {
    struct buf text;
    size_t end;
    value v = UNDEFINED;
    if (!take_text(c, args, SIZE_MAX, &text)) return UNDEFINED;
    str s = buf_str(&text);
    if (str_find_byte(s, ' ') < s.len)
        builtin_fail(c, "units.parse: spaces not allowed in resource strings");
    else if (!split_unit(s, &end)) builtin_fail(c, "units.parse: exponent too large");
    else if (end == 0) builtin_fail(c, "units.parse: no amount provided");
    else {
        struct amount a;
        struct float_digits milli;
        lower_tail(&text, end);
        str name = str_skip(s, end);
        const char *times = times_of(units, ARRAY_LEN(units), name);
        bool is_milli = str_eq(name, S("m"));
        if (!times && !is_milli)
            builtin_fail(c, "units.parse: unit %.*s not recognized", STR(str_take(name, 300)));
        else if (!read_amount(c, str_take(s, end), &a))
            builtin_fail(c, "units.parse: could not parse amount to a number");
        else if (is_milli) {
            float_digits_of_double(&milli, 0.001);
            v = exact(c, &a, str_of(milli.digits, milli.count),
                      a.power + milli.point - (s64)milli.count);
        } else v = exact(c, &a, str_from_c(times), a.power);
        if (v.kind != VALUE_NUMBER && !c->failed) builtin_fail(c, "number is too large");
    }
    buf_close(&text);
    return c->failed ? UNDEFINED : v;
}

static value cut_product(struct builtin_call *c, const struct amount *a, const char *times) {
    struct decimal amount, unit;
    struct bigfloat x, y;
    if (a->count > NUMBER_TEXT_MAX) return UNDEFINED;
    amount.negative = a->negative;
    amount.count = (u32)a->count;
    memcpy(amount.digits, a->digits, a->count);
    amount.point = (s32)((s64)a->count + a->power);
    while (amount.count && amount.digits[amount.count - 1] == '0') amount.count--;
    if (!amount.count) return value_integer(0);
    if (amount.point > NUMBER_EXPONENT_MAX) return UNDEFINED;
    if (amount.point < -30) return value_integer(0);
    if (decimal_read(&unit, str_from_c(times)) != RC_OK || bigfloat_of(&x, &amount) != RC_OK ||
        bigfloat_of(&y, &unit) != RC_OK)
        return UNDEFINED;
    return bigfloat_value(c->heap, bigfloat_truncate(bigfloat_multiply(x, y)));
}

value builtin_units_parse_bytes(struct builtin_call *c, const value *args) {
    struct buf text;
    size_t end;
    value v = UNDEFINED;
    if (!take_text(c, args, 0, &text)) return UNDEFINED;
    str s = buf_str(&text);
    if (str_find_byte(s, ' ') < s.len)
        builtin_fail(c, "units.parse_bytes: spaces not allowed in resource strings");
    else if (!split_unit(s, &end)) builtin_fail(c, "units.parse_bytes: exponent too large");
    else if (end == 0) builtin_fail(c, "units.parse_bytes: no byte amount provided");
    else {
        struct amount a;
        str name = str_skip(s, end);
        const char *times = times_of(byte_units, ARRAY_LEN(byte_units), name);
        if (!times)
            builtin_fail(c, "units.parse_bytes: byte unit %.*s not recognized",
                         STR(str_take(name, 300)));
        else if (!read_amount(c, str_take(s, end), &a))
            builtin_fail(c, "units.parse_bytes: could not parse byte amount to a number");
        else v = cut_product(c, &a, times);
        if (v.kind != VALUE_NUMBER && !c->failed) builtin_fail(c, "number is too large");
    }
    buf_close(&text);
    return c->failed ? UNDEFINED : v;
}
