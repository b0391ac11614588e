/* SPDX-License-Identifier: Apache-2.0 */
/* template_function.c — what templates print, and the functions they may call. */
#include "app/policy/builtin/template_impl.h"
#include <stdarg.h>
#include <stdio.h>

typedef bool function(struct template_call *k, const struct data *args, u32 count,
                      struct data *out);

static bool refuse(struct template_call *k, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool refuse(struct template_call *k, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(k->words, sizeof k->words, fmt, args);
    va_end(args);
    k->why = str_from_c(k->words);
    return false;
}

static bool is_nothing(struct data d) {
    return !value_defined(d.v) || value_is(d.v, VALUE_NULL);
}
/* Of a string, and of a document's number: text as well. */
static bool is_text(struct data d) {
    return value_is(d.v, VALUE_STRING) || (value_is(d.v, VALUE_NUMBER) && !d.whole);
}

bool template_true(struct data d) {
    switch ((enum value_kind)d.v.kind) {
    case VALUE_BOOLEAN: return value_is_true(d.v);
    case VALUE_NUMBER: return !d.whole || number_compare(d.v, value_integer(0)) != 0;
    case VALUE_STRING: return value_str(d.v).len > 0;
    case VALUE_ARRAY:
    case VALUE_OBJECT: return value_count(d.v) > 0;
    default: return false;
    }
}

void template_write(struct buf *to, struct data d, bool inside) { /* depth: VALUE_DEPTH_MAX */
    u32 n;
    switch ((enum value_kind)d.v.kind) {
    case VALUE_STRING: (void)buf_add(to, value_str(d.v)); break;
    case VALUE_BOOLEAN: (void)buf_add(to, value_is_true(d.v) ? S("true") : S("false")); break;
    case VALUE_NUMBER: value_write(to, d.v); break;
    case VALUE_ARRAY:
        (void)buf_add_byte(to, '[');
        for (u32 i = 0; i < value_count(d.v); i++) {
            if (i) (void)buf_add_byte(to, ' ');
            template_write(to, (struct data){.v = value_item(d.v, i)}, true);
        }
        (void)buf_add_byte(to, ']');
        break;
    case VALUE_OBJECT:
        n = value_count(d.v);
        (void)buf_add(to, S("map["));
        for (u32 i = 0; i < n; i++) {
            if (i) (void)buf_add_byte(to, ' ');
            (void)buf_add(to, value_str(value_key_at(d.v, i)));
            (void)buf_add_byte(to, ':');
            template_write(to, (struct data){.v = value_value_at(d.v, i)}, true);
        }
        (void)buf_add_byte(to, ']');
        break;
    default: (void)buf_add(to, inside ? S("<nil>") : S("<no value>"));
    }
}

static struct data text_of(struct template_call *k, struct data d) {
    struct buf b;
    builtin_text_open(k->call, &b);
    template_write(&b, d, true);
    return (struct data){.v = builtin_text_close(k->call, &b)};
}

/* ---- Comparing ------------------------------------------------------------------------------- */

enum basic { BASIC_NOTHING, BASIC_BOOLEAN, BASIC_INTEGER, BASIC_TEXT, BASIC_NONE };
static enum basic basic_of(struct data d) {
    if (is_nothing(d)) return BASIC_NOTHING;
    if (value_is(d.v, VALUE_BOOLEAN)) return BASIC_BOOLEAN;
    if (is_text(d)) return BASIC_TEXT;
    return value_is(d.v, VALUE_NUMBER) ? BASIC_INTEGER : BASIC_NONE;
}

/* < 0, 0, > 0 in *order. */
static bool compare(struct template_call *k, struct data a, struct data b, bool equality,
                    int *order) {
    enum basic one = basic_of(a), two = basic_of(b);
    *order = 1;
    if (one == BASIC_NONE || two == BASIC_NONE)
        return equality && (one == BASIC_NOTHING || two == BASIC_NOTHING) ? true
               : equality ? refuse(k, "non-comparable type")
                          : refuse(k, "invalid type for comparison");
    if (one == BASIC_NOTHING || two == BASIC_NOTHING) {
        if (!equality) return refuse(k, "invalid type for comparison");
        *order = one != two;
        return true;
    }
    if (one != two) return refuse(k, "incompatible types for comparison");
    if (one == BASIC_BOOLEAN && !equality) return refuse(k, "invalid type for comparison");
    if (one == BASIC_TEXT)
        *order = value_compare(text_of(k, a).v, text_of(k, b).v);
    else if (one == BASIC_INTEGER)
        *order = number_compare(a.v, b.v);
    else
        *order = value_is_true(a.v) != value_is_true(b.v);
    return !k->call->failed && !k->call->heap->exhausted;
}

static bool equal(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    bool same = false;
    if (count < 2) return refuse(k, "missing argument for comparison");
    for (u32 i = 1; !same && i < count; i++) {
        int order;
        if (!compare(k, args[0], args[i], true, &order)) return false;
        same = order == 0;
    }
    out->v = value_boolean(same);
    return true;
}
static bool not_equal(struct template_call *k, const struct data *args, u32 count,
                      struct data *out) {
    if (!equal(k, args, count, out)) return false;
    out->v = value_boolean(!value_is_true(out->v));
    return true;
}
static bool ordered(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    int order;
    (void)count;
    if (!compare(k, args[0], args[1], false, &order)) return false;
    char side = k->function.ptr[0], with = k->function.ptr[1];
    out->v = value_boolean(side == 'l' ? order < (with == 'e') : order > -(with == 'e'));
    return true;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static bool not_true(struct template_call *k, const struct data *args, u32 count,
                     struct data *out) {
    (void)k, (void)count;
    out->v = value_boolean(!template_true(args[0]));
    return true;
}

static bool length(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    (void)count;
    if (is_nothing(args[0])) return refuse(k, "len of nil pointer");
    if (is_text(args[0]))
        out->v = value_integer((s64)value_str(text_of(k, args[0]).v).len);
    else if (value_is(args[0].v, VALUE_ARRAY) || value_is(args[0].v, VALUE_OBJECT))
        out->v = value_integer(value_count(args[0].v));
    else
        return refuse(k, "len of type %s", args[0].whole ? "int" : "bool");
    out->whole = true;
    return true;
}

static bool position(struct template_call *k, struct data d, s64 most, s64 *out) {
    if (!d.whole)
        return refuse(k,
                      is_nothing(d) ? "cannot index slice/array with nil"
                                    : "cannot index slice/array with type %s",
                      value_is(d.v, VALUE_NUMBER)   ? "json.Number"
                      : value_is(d.v, VALUE_STRING) ? "string"
                                                    : "bool");
    if (number_to_s64(d.v, out) == RC_OK && *out >= 0 && *out <= most) return true;
    return refuse(k, "index out of range: %lld", (long long)*out);
}

static bool element(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    struct data d = args[0];
    if (is_nothing(d)) return refuse(k, "index of untyped nil");
    for (u32 i = 1; i < count; i++) {
        s64 at;
        if (value_is(d.v, VALUE_OBJECT)) {
            if (!value_is(args[i].v, VALUE_STRING))
                return refuse(k, "value has type %s; should be string",
                              args[i].whole ? "int" : "other");
            d = (struct data){.v = value_get(d.v, args[i].v)};
        } else if (value_is(d.v, VALUE_ARRAY)) {
            if (!position(k, args[i], (s64)value_count(d.v) - 1, &at)) return false;
            d = (struct data){.v = value_item(d.v, (u32)at)};
        } else if (is_text(d)) {
            str s = value_str(text_of(k, d).v);
            if (!position(k, args[i], (s64)s.len - 1, &at)) return false;
            d = (struct data){.v = value_integer((u8)s.ptr[at]), .whole = true};
        } else
            return refuse(k, is_nothing(d) ? "index of nil pointer" : "can't index item of type %s",
                          d.whole ? "int" : "bool");
    }
    *out = d;
    return true;
}

static bool slice(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    struct data d = args[0];
    bool text = is_text(d);
    if (is_nothing(d)) return refuse(k, "slice of untyped nil");
    if (!text && !value_is(d.v, VALUE_ARRAY)) return refuse(k, "can't slice item of this type");
    if (count > 4 || (text && count > 3))
        return refuse(k, count > 4 ? "too many slice indexes: %u" : "cannot 3-index slice a string",
                      count - 1);
    str s = text ? value_str(text_of(k, d).v) : (str){0};
    s64 from = 0, most = text ? (s64)s.len : (s64)value_count(d.v), to = most, ignored;
    if (count > 1 && !position(k, args[1], most, &from)) return false;
    if (count > 2 && !position(k, args[2], most, &to)) return false;
    if (count > 3 && !position(k, args[3], most, &ignored)) return false;
    if (from > to)
        return refuse(k, "invalid slice index: %lld > %lld", (long long)from, (long long)to);
    out->v =
        text ? value_string(k->call->heap, str_take(str_skip(s, (size_t)from), (size_t)(to - from)))
             : value_array(k->call->heap, d.v.array->items + from, (size_t)(to - from));
    return true;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* A space between two that are no strings; with println between all. */
static bool print(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    struct buf b;
    bool line = k->function.len == 7;
    builtin_text_open(k->call, &b);
    for (u32 i = 0; i < count; i++) {
        if (i && (line || (!is_text(args[i]) && !is_text(args[i - 1]))))
            (void)buf_add_byte(&b, ' ');
        template_write(&b, args[i], true);
    }
    if (line) (void)buf_add_byte(&b, '\n');
    out->v = builtin_text_close(k->call, &b);
    return true;
}

static bool print_format(struct template_call *k, const struct data *args, u32 count,
                         struct data *out) {
    struct value_builder b;
    if (!value_is(args[0].v, VALUE_STRING))
        return refuse(k, "wrong type for value; expected string");
    value_builder_open(&b, k->call->heap, VALUE_ARRAY);
    for (u32 i = 1; i < count; i++)
        value_builder_add(&b, args[i].whole || value_is(args[i].v, VALUE_BOOLEAN)
                                  ? args[i].v
                                  : text_of(k, args[i]).v);
    value given[2] = {args[0].v, value_builder_close(&b)};
    out->v = builtin_sprintf(k->call, given);
    return !k->call->failed;
}

static value joined(struct template_call *k, const struct data *args, u32 count) {
    struct data all = {0};
    str name = k->function;
    k->function = S("print");
    (void)print(k, args, count, &all);
    k->function = name;
    return all.v;
}

static bool escape(struct template_call *k, const struct data *args, u32 count, struct data *out) {
    value all = joined(k, args, count);
    bool html = str_eq(k->function, S("html"));
    struct buf b;
    if (!value_is(all, VALUE_STRING)) return false;
    str s = value_str(all);
    builtin_text_open(k->call, &b);
    for (size_t i = 0; i < s.len; i++) {
        static const char special[] = "&<>\"'=";
        static const char *const as_html[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;", "="};
        static const char *const as_js[] = {"\\u0026", "\\u003C", "\\u003E",
                                            "\\\"",    "\\'",     "\\u003D"};
        const char *at = s.ptr[i] ? strchr(special, s.ptr[i]) : NULL;
        if (at)
            (void)buf_add(&b, str_from_c((html ? as_html : as_js)[at - special]));
        else if (html && !s.ptr[i])
            (void)buf_add(&b, S("\xEF\xBF\xBD"));
        else if (!html && s.ptr[i] == '\\')
            (void)buf_add(&b, S("\\\\"));
        else if (!html && (u8)s.ptr[i] < ' ')
            (void)buf_printf(&b, "\\u%04X", (unsigned)s.ptr[i]);
        else
            (void)buf_add_byte(&b, s.ptr[i]);
    }
    out->v = builtin_text_close(k->call, &b);
    return true;
}
static bool escape_query(struct template_call *k, const struct data *args, u32 count,
                         struct data *out) {
    value all = joined(k, args, count);
    if (!value_is(all, VALUE_STRING)) return false;
    out->v = builtin_urlquery_encode(k->call, &all);
    return !k->call->failed;
}

static bool call_value(struct template_call *k, const struct data *args, u32 count,
                       struct data *out) {
    (void)count, (void)out;
    return is_nothing(args[0]) ? refuse(k, "call of nil")
                               : refuse(k, "non-function of type interface {}");
}

/* ---- By name --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    function *call;
    u8 least, most;
} functions[] = {
    {"and", NULL, 1, 255},
    {"call", call_value, 1, 255},
    {"eq", equal, 1, 255},
    {"ge", ordered, 2, 2},
    {"gt", ordered, 2, 2},
    {"html", escape, 0, 255},
    {"index", element, 1, 255},
    {"js", escape, 0, 255},
    {"le", ordered, 2, 2},
    {"len", length, 1, 1},
    {"lt", ordered, 2, 2},
    {"ne", not_equal, 2, 2},
    {"not", not_true, 1, 1},
    {"or", NULL, 1, 255},
    {"print", print, 0, 255},
    {"printf", print_format, 1, 255},
    {"println", print, 0, 255},
    {"slice", slice, 1, 255},
    {"urlquery", escape_query, 0, 255},
};

bool template_function_known(str name) {
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (str_eq(name, str_from_c(functions[i].name))) return true;
    return false;
}

bool template_function(struct template_call *k, const struct data *args, u32 count,
                       struct data *out) {
    *out = (struct data){0};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (!str_eq(k->function, str_from_c(functions[i].name)) || !functions[i].call) continue;
        if (count >= functions[i].least && count <= functions[i].most)
            return functions[i].call(k, args, count, out) && !k->call->heap->exhausted;
        return refuse(k, "wrong number of args for %s: want %s%u got %u", functions[i].name,
                      functions[i].most == 255 ? "at least " : "", functions[i].least, count);
    }
    return refuse(k, "no such function");
}
