/* SPDX-License-Identifier: Apache-2.0 */
/* kind.c — what a value is, comparing, and turning one kind into another. */
#include "app/policy/builtin/builtin_impl.h"

#define IS(name, wanted)                                                                           \
    value builtin_is_##name(struct builtin_call *c, const value *args) {                           \
        (void)c;                                                                                   \
        return value_boolean(args[0].kind == (wanted));                                            \
    }
IS(null, VALUE_NULL)
IS(boolean, VALUE_BOOLEAN)
IS(number, VALUE_NUMBER)
IS(string, VALUE_STRING)
IS(array, VALUE_ARRAY)
IS(object, VALUE_OBJECT)
IS(set, VALUE_SET)
#undef IS

value builtin_type_name(struct builtin_call *c, const value *args) {
    return value_string_c(c->heap, value_kind_name(args[0].kind));
}

#define COMPARE(name, test)                                                                        \
    value builtin_##name(struct builtin_call *c, const value *args) {                              \
        (void)c;                                                                                   \
        return value_boolean(test);                                                                \
    }
COMPARE(equal, value_equal(args[0], args[1]))
COMPARE(neq, !value_equal(args[0], args[1]))
COMPARE(lt, value_compare(args[0], args[1]) < 0)
COMPARE(lte, value_compare(args[0], args[1]) <= 0)
COMPARE(gt, value_compare(args[0], args[1]) > 0)
COMPARE(gte, value_compare(args[0], args[1]) >= 0)
#undef COMPARE

/* ---- Casts ---- */

/* What the reference's float parser takes: signs, digits with single underscores only after a base
 * prefix, one point, an exponent; hexadecimal with a binary exponent. Not infinities: those were
 * refused before. */
static bool digits(str s, size_t *at, bool hex) {
    size_t from = *at;
    while (*at < s.len) {
        char ch = s.ptr[*at];
        if (!(ch >= '0' && ch <= '9') && !(hex && ((ch | 32) >= 'a' && (ch | 32) <= 'f'))) break;
        ++*at;
    }
    return *at > from;
}
static bool is_float_text(str s, bool *hex) {
    size_t at = 0;
    if (at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-')) at++;
    *hex = s.len - at > 2 && s.ptr[at] == '0' && (s.ptr[at + 1] | 32) == 'x';
    if (*hex) at += 2;
    bool some = digits(s, &at, *hex);
    if (at < s.len && s.ptr[at] == '.') at++, some = digits(s, &at, *hex) || some;
    if (!some) return false;
    bool exponent = at < s.len && (s.ptr[at] | 32) == (*hex ? 'p' : 'e');
    if (exponent) {
        at++;
        if (at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-')) at++;
        if (!digits(s, &at, false)) return false;
    }
    return at == s.len && (exponent || !*hex);
}

/* The reference keeps the text as the number it is: "+5" and ".5" are taken by its parser though
 * JSON has no such numbers. We write them as JSON does. */
static value number_of_text(struct builtin_call *c, str s) {
    struct buf text;
    buf_open(&text, s.len + 4);
    if (s.ptr[0] == '-') (void)buf_add_byte(&text, '-');
    if (s.ptr[0] == '-' || s.ptr[0] == '+') s = str_skip(s, 1);
    while (s.len > 1 && s.ptr[0] == '0' && s.ptr[1] >= '0' && s.ptr[1] <= '9') s = str_skip(s, 1);
    if (s.ptr[0] == '.') (void)buf_add_byte(&text, '0');
    for (size_t i = 0; i < s.len; i++) {
        bool last = i + 1 == s.len || (s.ptr[i + 1] | 32) == 'e';
        if (s.ptr[i] != '.' || !last) (void)buf_add_byte(&text, s.ptr[i]);
    }
    value v = text.failed ? UNDEFINED : value_number(c->heap, buf_str(&text));
    buf_close(&text);
    return v;
}

value builtin_to_number(struct builtin_call *c, const value *args) {
    value v = args[0];
    bool hex;
    switch (v.kind) {
    case VALUE_NULL: return value_integer(0);
    case VALUE_BOOLEAN: return value_integer(value_is_true(v));
    case VALUE_NUMBER: return v;
    case VALUE_STRING: break;
    default: return builtin_fail_operand(c, 1, "{null, boolean, number, string}", v);
    }
    str s = value_str(v), rest = s;
    while (rest.len && (rest.ptr[0] == '+' || rest.ptr[0] == '-')) rest = str_skip(rest, 1);
    if (str_eq_nocase(rest, S("inf")) || str_eq_nocase(rest, S("infinity")) ||
        str_eq_nocase(rest, S("nan")))
        return builtin_fail_operand(c, 1, "valid number string", v);
    value number = UNDEFINED;
    if (is_float_text(s, &hex) && !hex) {
        number = number_of_text(c, s);
        if (number.kind != VALUE_NUMBER || number_to_double(number) - number_to_double(number) != 0)
            return builtin_fail(c, "strconv.ParseFloat: parsing \"%.*s\": value out of range",
                                STR(str_take(s, 300)));
    }
    if (number.kind == VALUE_NUMBER) return number;
    return builtin_fail(c, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
                        STR(str_take(s, 300)));
}

value builtin_cast_array(struct builtin_call *c, const value *args) {
    if (args[0].kind == VALUE_ARRAY) return args[0];
    if (args[0].kind == VALUE_SET)
        return value_array(c->heap, args[0].set->items, value_count(args[0]));
    return builtin_fail_operand(c, 1, "{array, set}", args[0]);
}
value builtin_cast_set(struct builtin_call *c, const value *args) {
    if (args[0].kind == VALUE_SET) return args[0];
    if (args[0].kind == VALUE_ARRAY) {
        if (!builtin_tick(c, value_count(args[0]))) return UNDEFINED;
        return value_set(c->heap, args[0].array->items, value_count(args[0]));
    }
    return builtin_fail_operand(c, 1, "{array, set}", args[0]);
}
#define CAST(name, wanted)                                                                         \
    value builtin_cast_##name(struct builtin_call *c, const value *args) {                         \
        return builtin_take_kind(c, args, 0, wanted) ? args[0] : UNDEFINED;                        \
    }
CAST(string, VALUE_STRING)
CAST(boolean, VALUE_BOOLEAN)
CAST(null, VALUE_NULL)
CAST(object, VALUE_OBJECT)
#undef CAST
