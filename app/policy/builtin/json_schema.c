/* SPDX-License-Identifier: Apache-2.0 */
/* json_schema.c — json.verify_schema and json.match_schema: a document held against a schema.
 *
 *   validate(schema, document, place) -> result { errors, score }
 *
 * The schema is walked as it is, after it was checked. Each error has a type, a field and a
 * description in the reference's words. Where one of several schemas had to fit, the errors of the
 * one that came nearest (the highest score) are told too. */
#include "app/policy/builtin/json_schema.h"
#include "app/policy/regex/regex.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/limits.h"
#include <stdarg.h>
#include <stdio.h>

struct place {
    const struct place *above;
    str name;
};
struct found {
    struct found *next;
    value error;
};
struct result {
    struct found *first, **last;
    u32 count;
    s64 score;
};
struct matching {
    struct builtin_call *call;
    value root;
    u32 depth;
};

static void open(struct result *r) {
    *r = (struct result){.last = &r->first};
}
static value member(value schema, const char *name) {
    return value_get_str(schema, str_from_c(name));
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void put(struct value_builder *b, const char *name, str text) {
    value_builder_replace(b, value_string_c(b->heap, name), value_string(b->heap, text));
}

static void write_place(struct buf *to, const struct place *at) {
    const struct place *chain[VALUE_DEPTH_MAX + 2];
    u32 n = 0;
    for (; at && n < ARRAY_LEN(chain); at = at->above) chain[n++] = at;
    if (!n) (void)buf_add(to, S("(root)"));
    while (n--) {
        (void)buf_add(to, chain[n]->name);
        if (n) (void)buf_add_byte(to, '.');
    }
}

static void report(struct matching *m, struct result *r, const struct place *at, const char *type,
                   const char *fmt, ...) PRINTF_LIKE(5, 6);
static void report(struct matching *m, struct result *r, const struct place *at, const char *type,
                   const char *fmt, ...) {
    struct heap *h = m->call->heap;
    struct found *f = heap_alloc(h, sizeof *f);
    struct value_builder b;
    struct buf field, text, whole;
    char *description;
    va_list args;
    r->score -= 2;
    if (!f || !builtin_tick(m->call, 4)) return;
    builtin_text_open(m->call, &field);
    builtin_text_open(m->call, &text);
    builtin_text_open(m->call, &whole);
    write_place(&field, at);
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    description = n >= 0 ? heap_alloc(h, (size_t)n + 1) : NULL;
    if (description) {
        va_start(args, fmt);
        vsnprintf(description, (size_t)n + 1, fmt, args);
        va_end(args);
        (void)buf_add(&text, str_of(description, (size_t)n));
    }
    (void)buf_add(&whole, buf_str(&field));
    (void)buf_add(&whole, S(": "));
    (void)buf_add(&whole, buf_str(&text));
    value_builder_open(&b, h, VALUE_OBJECT);
    put(&b, "error", buf_str(&whole));
    put(&b, "type", str_from_c(type));
    put(&b, "field", buf_str(&field));
    put(&b, "desc", buf_str(&text));
    buf_close(&whole), buf_close(&text), buf_close(&field);
    *f = (struct found){.error = value_builder_close(&b)};
    *r->last = f, r->last = &f->next;
    r->count++;
}

static void merge(struct result *to, struct result *from) {
    if (from->first) *to->last = from->first, to->last = from->last;
    to->count += from->count, to->score += from->score;
}

/* JSON of a value as messages show it. */
static str text_of(struct matching *m, value v) {
    struct buf b;
    builtin_text_open(m->call, &b);
    json_text_write(&b, v, JSON_TEXT_ESCAPE_HTML);
    value s = builtin_text_close(m->call, &b);
    return value_is(s, VALUE_STRING) ? value_str(s) : (str){0};
}
static str number_shown(value n, char room[40]) {
    snprintf(room, 40, "%.10g", number_to_double(n));
    return str_from_c(room);
}

/* ---- Types ----------------------------------------------------------------------------------- */

static bool is_whole(value n) {
    return number_is_whole(n);
}

static const char *type_name(value v) {
    switch ((enum value_kind)v.kind) {
    case VALUE_BOOLEAN: return "boolean";
    case VALUE_NUMBER: return is_whole(v) ? "integer" : "number";
    case VALUE_STRING: return "string";
    case VALUE_ARRAY:
    case VALUE_SET: return "array";
    case VALUE_OBJECT: return "object";
    default: return "null";
    }
}
static bool has_type(value types, const char *name) {
    if (value_is(types, VALUE_STRING)) return str_eq(value_str(types), str_from_c(name));
    for (u32 i = 0; i < value_count(types); i++)
        if (str_eq(value_str(value_item(types, i)), str_from_c(name))) return true;
    return false;
}

static bool check_type(struct matching *m, value schema, value v, struct result *r,
                       const struct place *at) {
    value types = member(schema, "type");
    const char *name = type_name(v);
    bool typed = value_is(types, VALUE_STRING) || value_count(types) > 0;
    if (!typed || has_type(types, name) || (value_is(v, VALUE_NUMBER) && has_type(types, "number")))
        return true;
    struct buf b;
    buf_open(&b, 256);
    bool several = value_is(types, VALUE_ARRAY) && value_count(types) > 1;
    if (value_is(types, VALUE_STRING)) (void)buf_add(&b, value_str(types));
    if (several) (void)buf_add_byte(&b, '[');
    for (u32 i = 0; value_is(types, VALUE_ARRAY) && i < value_count(types); i++)
        (void)buf_printf(&b, i ? ",%.*s" : "%.*s", STR(value_str(value_item(types, i))));
    if (several) (void)buf_add_byte(&b, ']');
    report(m, r, at, "invalid_type", "Invalid type. Expected: %.*s, given: %s", (int)b.len,
           b.ptr ? b.ptr : "", name);
    buf_close(&b);
    return false;
}

/* ---- Several schemas at once -------------------------------------------------------------------
 */

static void validate(struct matching *m, value schema, value v, struct result *r,
                     const struct place *at);

static bool fits(struct matching *m, value schema, value v, const struct place *at,
                 struct result *r) {
    open(r);
    validate(m, schema, v, r, at);
    return r->count == 0;
}
static void keep_best(struct result *best, bool *any, struct result *r) {
    if (*any && r->score <= best->score) return;
    bool empty = !r->first;
    *best = *r, *any = true;
    if (empty) best->last = &best->first;
}

static void check_any_of(struct matching *m, value list, value v, struct result *r,
                         const struct place *at) {
    struct result best, one;
    bool any = false;
    if (!value_count(list)) return;
    for (u32 i = 0; i < value_count(list); i++) {
        if (fits(m, value_item(list, i), v, at, &one)) return;
        keep_best(&best, &any, &one);
    }
    report(m, r, at, "number_any_of", "Must validate at least one schema (anyOf)");
    if (any) merge(r, &best);
}
static void check_one_of(struct matching *m, value list, value v, struct result *r,
                         const struct place *at) {
    struct result best, one;
    bool any = false;
    u32 fitting = 0;
    if (!value_count(list)) return;
    for (u32 i = 0; i < value_count(list); i++) {
        if (fits(m, value_item(list, i), v, at, &one))
            fitting++;
        else if (!fitting)
            keep_best(&best, &any, &one);
    }
    if (fitting == 1) return;
    report(m, r, at, "number_one_of", "Must validate one and only one schema (oneOf)");
    if (!fitting && any) merge(r, &best);
}
static void check_all_of(struct matching *m, value list, value v, struct result *r,
                         const struct place *at) {
    u32 fitting = 0;
    for (u32 i = 0; i < value_count(list); i++) {
        struct result one;
        fitting += fits(m, value_item(list, i), v, at, &one);
        merge(r, &one);
    }
    if (fitting != value_count(list))
        report(m, r, at, "number_all_of", "Must validate all the schemas (allOf)");
}

static void check_dependencies(struct matching *m, value all, value v, struct result *r,
                               const struct place *at) {
    for (u32 i = 0; value_is(v, VALUE_OBJECT) && i < value_count(all); i++) {
        value wanted = value_value_at(all, i);
        if (!value_defined(value_get(v, value_key_at(all, i)))) continue;
        if (!value_is(wanted, VALUE_ARRAY)) validate(m, wanted, v, r, at);
        for (u32 j = 0; value_is(wanted, VALUE_ARRAY) && j < value_count(wanted); j++)
            if (!value_defined(value_get(v, value_item(wanted, j))))
                report(m, r, at, "missing_dependency", "Has a dependency on %.*s",
                       STR(value_str(value_item(wanted, j))));
    }
}

static void check_condition(struct matching *m, value schema, value v, struct result *r,
                            const struct place *at) {
    value condition = member(schema, "if");
    struct result tried, then;
    if (!value_defined(condition)) return;
    bool holds = fits(m, condition, v, at, &tried);
    value next = member(schema, holds ? "then" : "else");
    if (!value_defined(next) || fits(m, next, v, at, &then)) return;
    if (holds)
        report(m, r, at, "condition_then", "Must validate \"then\" as \"if\" was valid");
    else
        report(m, r, at, "condition_else", "Must validate \"else\" as \"if\" was not valid");
    merge(r, &then);
}

static void check_combined(struct matching *m, value schema, value v, struct result *r,
                           const struct place *at) {
    value not = member(schema, "not");
    struct result one;
    check_any_of(m, member(schema, "anyOf"), v, r, at);
    check_one_of(m, member(schema, "oneOf"), v, r, at);
    check_all_of(m, member(schema, "allOf"), v, r, at);
    if (value_defined(not ) && fits(m, not, v, at, &one))
        report(m, r, at, "number_not", "Must not validate the schema (not)");
    check_dependencies(m, member(schema, "dependencies"), v, r, at);
    check_condition(m, schema, v, r, at);
    r->score++;
}

/* ---- By kind of value --------------------------------------------------------------------------
 */

static void check_common(struct matching *m, value schema, value v, struct result *r,
                         const struct place *at) {
    value wanted = member(schema, "const"), list = member(schema, "enum"),
          format = member(schema, "format");
    struct buf where;
    builtin_text_open(m->call, &where);
    write_place(&where, at);
    if (value_defined(wanted) && !value_equal(wanted, v))
        report(m, r, at, "const", "%.*s does not match: %.*s", (int)where.len, where.ptr,
               STR(text_of(m, wanted)));
    bool among = !value_is(list, VALUE_ARRAY);
    for (u32 i = 0; !among && i < value_count(list); i++)
        among = value_equal(value_item(list, i), v);
    if (!among) {
        struct buf all;
        builtin_text_open(m->call, &all);
        for (u32 i = 0; i < value_count(list); i++) {
            if (i) (void)buf_add(&all, S(", "));
            (void)buf_add(&all, text_of(m, value_item(list, i)));
        }
        if (!all.len) (void)buf_add(&all, S("(none)"));
        report(m, r, at, "enum", "%.*s must be one of the following: %.*s", (int)where.len,
               where.ptr, (int)all.len, all.ptr);
        buf_close(&all);
    }
    if (value_is(format, VALUE_STRING) && value_is(v, VALUE_STRING) &&
        !json_schema_format_fits(m->call, value_str(format), value_str(v)))
        report(m, r, at, "format", "Does not match format '%.*s'", STR(value_str(format)));
    buf_close(&where);
    r->score++;
}

/* Is `n` a whole number of times `of`? By whole numbers alone, both made whole first. */
static bool is_multiple(struct heap *h, value n, value of) {
    const char *why;
    for (int digits = 0; digits < 40 && !(is_whole(n) && is_whole(of)); digits++) {
        n = number_multiply(h, n, value_integer(10));
        of = number_multiply(h, of, value_integer(10));
    }
    value rest = number_modulo(h, n, of, &why);
    return value_is(rest, VALUE_NUMBER) && number_compare(rest, value_integer(0)) == 0;
}

static void check_number(struct matching *m, value schema, value v, struct result *r,
                         const struct place *at) {
    value multiple = member(schema, "multipleOf"), least = member(schema, "minimum"),
          most = member(schema, "maximum");
    value above = member(schema, "exclusiveMinimum"), below = member(schema, "exclusiveMaximum");
    char room[40];
    if (value_is_true(above)) above = least, least = UNDEFINED;
    if (value_is_true(below)) below = most, most = UNDEFINED;
    if (value_is(multiple, VALUE_NUMBER) && !is_multiple(m->call->heap, v, multiple))
        report(m, r, at, "multiple_of", "Must be a multiple of %.*s",
               STR(number_shown(multiple, room)));
    if (value_is(most, VALUE_NUMBER) && number_compare(v, most) > 0)
        report(m, r, at, "number_lte", "Must be less than or equal to %.*s",
               STR(number_shown(most, room)));
    if (value_is(below, VALUE_NUMBER) && number_compare(v, below) >= 0)
        report(m, r, at, "number_lt", "Must be less than %.*s", STR(number_shown(below, room)));
    if (value_is(least, VALUE_NUMBER) && number_compare(v, least) < 0)
        report(m, r, at, "number_gte", "Must be greater than or equal to %.*s",
               STR(number_shown(least, room)));
    if (value_is(above, VALUE_NUMBER) && number_compare(v, above) <= 0)
        report(m, r, at, "number_gt", "Must be greater than %.*s", STR(number_shown(above, room)));
    r->score++;
}

static bool matches(struct matching *m, str pattern, str text) {
    struct regex *r = builtin_regex_of(m->call, pattern);
    return r && regex_match(r, text, builtin_regex_work(m->call)) == RC_OK;
}

static bool count_of(value schema, const char *name, s64 *out) {
    value v = member(schema, name);
    return value_is(v, VALUE_NUMBER) && number_to_s64(v, out) == RC_OK;
}

static void check_string(struct matching *m, value schema, value v, struct result *r,
                         const struct place *at) {
    value pattern = member(schema, "pattern");
    s64 n, length = (s64)rune_count(value_str(v));
    if (count_of(schema, "minLength", &n) && length < n)
        report(m, r, at, "string_gte", "String length must be greater than or equal to %lld",
               (long long)n);
    if (count_of(schema, "maxLength", &n) && length > n)
        report(m, r, at, "string_lte", "String length must be less than or equal to %lld",
               (long long)n);
    if (value_is(pattern, VALUE_STRING) && !matches(m, value_str(pattern), value_str(v)))
        report(m, r, at, "pattern", "Does not match pattern '%.*s'", STR(value_str(pattern)));
    r->score++;
}

static void check_item(struct matching *m, value schema, value v, u32 i, struct result *r,
                       const struct place *at) {
    char name[16];
    struct place below = {at, str_of(name, (size_t)snprintf(name, sizeof name, "%u", i))};
    struct result one;
    (void)fits(m, schema, v, &below, &one);
    merge(r, &one);
}

static void check_items(struct matching *m, value schema, value v, struct result *r,
                        const struct place *at) {
    value items = member(schema, "items"), more = member(schema, "additionalItems");
    u32 n = value_count(v), known = value_count(items);
    if (value_is(items, VALUE_OBJECT) || value_is(items, VALUE_BOOLEAN)) {
        for (u32 i = 0; i < n; i++) check_item(m, items, value_item(v, i), i, r, at);
        return;
    }
    if (!value_is(items, VALUE_ARRAY) || !known) return;
    for (u32 i = 0; i < n && i < known; i++)
        check_item(m, value_item(items, i), value_item(v, i), i, r, at);
    if (known >= n) return;
    if (value_is_false(more))
        report(m, r, at, "array_no_additional_items", "No additional items allowed on array");
    for (u32 i = known; value_is(more, VALUE_OBJECT) && i < n; i++)
        check_item(m, more, value_item(v, i), i, r, at);
}

static void check_unique(struct matching *m, value v, struct result *r, const struct place *at) {
    struct value_builder seen;
    value_builder_open(&seen, m->call->heap, VALUE_OBJECT);
    for (u32 j = 0; j < value_count(v); j++) {
        value before = value_builder_find(&seen, value_item(v, j));
        if (value_defined(before))
            report(m, r, at, "unique", "array items[%lld,%u] must be unique",
                   (long long)before.integer, j);
        value_builder_replace(&seen, value_item(v, j), value_integer(j));
    }
}

static void check_contains(struct matching *m, value schema, value v, struct result *r,
                           const struct place *at) {
    struct result best, one;
    bool any = false;
    for (u32 i = 0; i < value_count(v); i++) {
        char name[16];
        struct place below = {at, str_of(name, (size_t)snprintf(name, sizeof name, "%u", i))};
        if (fits(m, schema, value_item(v, i), &below, &one)) return;
        keep_best(&best, &any, &one);
    }
    report(m, r, at, "contains", "At least one of the items must match");
    if (any) merge(r, &best);
}

static void check_array(struct matching *m, value schema, value v, struct result *r,
                        const struct place *at) {
    value contains = member(schema, "contains");
    s64 n;
    check_items(m, schema, v, r, at);
    if (count_of(schema, "minItems", &n) && value_count(v) < n)
        report(m, r, at, "array_min_items", "Array must have at least %lld items", (long long)n);
    if (count_of(schema, "maxItems", &n) && value_count(v) > n)
        report(m, r, at, "array_max_items", "Array must have at most %lld items", (long long)n);
    if (value_is_true(member(schema, "uniqueItems"))) check_unique(m, v, r, at);
    if (value_defined(contains)) check_contains(m, contains, v, r, at);
    r->score++;
}

static bool check_patterns(struct matching *m, value patterns, str name, value v, struct result *r,
                           const struct place *at) {
    struct place below = {at, name};
    bool any = false;
    for (u32 i = 0; i < value_count(patterns); i++) {
        struct result one;
        if (!matches(m, value_str(value_key_at(patterns, i)), name)) continue;
        any = true;
        (void)fits(m, value_value_at(patterns, i), v, &below, &one);
        merge(r, &one);
    }
    r->score += any;
    return any;
}

static void check_members(struct matching *m, value schema, value v, struct result *r,
                          const struct place *at) {
    value known = member(schema, "properties"), more = member(schema, "additionalProperties");
    value patterns = member(schema, "patternProperties"), names = member(schema, "propertyNames");
    struct result one;
    for (u32 i = 0; i < value_count(v); i++) {
        value key = value_key_at(v, i);
        if (!value_is(key, VALUE_STRING)) continue;
        struct place below = {at, value_str(key)};
        bool described = check_patterns(m, patterns, value_str(key), value_value_at(v, i), r, at);
        if (described || value_defined(value_get(known, key))) continue;
        if (value_is_false(more))
            report(m, r, at, "additional_property_not_allowed",
                   "Additional property %.*s is not allowed", STR(value_str(key)));
        if (!value_is(more, VALUE_OBJECT)) continue;
        (void)fits(m, more, value_value_at(v, i), &below, &one);
        merge(r, &one);
    }
    for (u32 i = 0; value_defined(names) && i < value_count(v); i++) {
        value key = value_key_at(v, i);
        if (!value_is(key, VALUE_STRING) || fits(m, names, key, at, &one)) continue;
        report(m, r, at, "invalid_property_name", "Property name of \"%.*s\" does not match",
               STR(value_str(key)));
        merge(r, &one);
    }
}

static void check_object(struct matching *m, value schema, value v, struct result *r,
                         const struct place *at) {
    value required = member(schema, "required");
    s64 n;
    if (count_of(schema, "minProperties", &n) && value_count(v) < n)
        report(m, r, at, "array_min_properties", "Must have at least %lld properties",
               (long long)n);
    if (count_of(schema, "maxProperties", &n) && value_count(v) > n)
        report(m, r, at, "array_max_properties", "Must have at most %lld properties", (long long)n);
    for (u32 i = 0; i < value_count(required); i++) {
        if (value_defined(value_get(v, value_item(required, i))))
            r->score++;
        else
            report(m, r, at, "required", "%.*s is required",
                   STR(value_str(value_item(required, i))));
    }
    check_members(m, schema, v, r, at);
    r->score++;
}

/* ---- The walk ----------------------------------------------------------------------------------
 */

static void validate_kind(struct matching *m, value schema, value v, struct result *r,
                          const struct place *at) {
    value known = member(schema, "properties");
    check_combined(m, schema, v, r, at);
    if (value_is(v, VALUE_NUMBER)) check_number(m, schema, v, r, at);
    if (value_is(v, VALUE_ARRAY)) check_array(m, schema, v, r, at);
    if (value_is(v, VALUE_OBJECT)) check_object(m, schema, v, r, at);
    check_common(m, schema, v, r, at);
    if (value_is(v, VALUE_STRING)) check_string(m, schema, v, r, at);
    for (u32 i = 0; value_is(v, VALUE_OBJECT) && i < value_count(known); i++) {
        value key = value_key_at(known, i), below = value_get(v, key);
        struct place place = {at, value_str(key)};
        if (value_defined(below)) validate(m, value_value_at(known, i), below, r, &place);
    }
}

static void validate(struct matching *m, value schema, value v, struct result *r,
                     const struct place *at) {
    value reference = member(schema, "$ref");
    struct diag why;
    if (!builtin_tick(m->call, 2) || m->call->heap->exhausted) return;
    if (m->depth == VALUE_DEPTH_MAX) { /* a reference to itself, or the like */
        builtin_fail(m->call, "json.match_schema: the schema's references are nested too deeply");
        return;
    }
    m->depth++;
    if (value_is_false(schema))
        report(m, r, at, "false", "False always fails validation");
    else if (value_is(reference, VALUE_STRING))
        validate(m, json_schema_refer(m->call, m->root, value_str(reference), &why), v, r, at);
    else if (value_is(schema, VALUE_OBJECT) && check_type(m, schema, v, r, at)) {
        validate_kind(m, schema, v, r, at);
        r->score++;
    }
    m->depth--;
}

value json_schema_match(struct builtin_call *c, value root, value document) {
    struct matching m = {.call = c, .root = root};
    struct value_builder b;
    struct result r;
    open(&r);
    validate(&m, root, document, &r, NULL);
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (const struct found *f = r.first; f; f = f->next) value_builder_add(&b, f->error);
    value all = value_builder_close(&b);
    return c->failed || c->heap->exhausted ? UNDEFINED : all;
}

/* ---- The functions -----------------------------------------------------------------------------
 */

/* A text is JSON to be read; objects and arrays are taken as they are (sets in them as arrays). */
static const char *load(struct builtin_call *c, value v, value *out) {
    struct diag why;
    struct buf text;
    if (!value_is(v, VALUE_STRING) && !value_is(v, VALUE_OBJECT) && !value_is(v, VALUE_ARRAY))
        return "wrong type, expected string or object";
    if (value_is(v, VALUE_STRING)) {
        if (!builtin_tick(c, 1 + (u32)(value_str(v).len / 16))) return "";
        return json_text_read(c->heap, NULL, value_str(v), out, &why) == RC_OK
                   ? NULL
                   : "invalid JSON string";
    }
    builtin_text_open(c, &text);
    json_text_write(&text, v, 0);
    const char *wrong = text.failed || json_text_read(c->heap, NULL, buf_str(&text), out, &why)
                            ? "invalid JSON"
                            : NULL;
    if (!builtin_tick(c, 1 + (u32)(text.len / 16))) wrong = "";
    buf_close(&text);
    return wrong;
}

static value pair(struct builtin_call *c, bool good, value second) {
    value parts[2] = {value_boolean(good), second};
    return c->failed || c->heap->exhausted ? UNDEFINED : value_array(c->heap, parts, 2);
}

value builtin_json_verify_schema(struct builtin_call *c, const value *args) {
    struct diag why = {0};
    value schema;
    char words[sizeof why.text + 16];
    const char *wrong = load(c, args[0], &schema);
    if (!wrong && !json_schema_check(c, schema, &why)) return UNDEFINED;
    if (!wrong && !why.text[0]) return pair(c, true, value_null());
    snprintf(words, sizeof words, "jsonschema: %s", wrong ? wrong : why.text);
    return pair(c, false, value_string_c(c->heap, words));
}

value builtin_json_match_schema(struct builtin_call *c, const value *args) {
    struct diag why = {0};
    value schema, document;
    const char *wrong = load(c, args[0], &document);
    if (!wrong) wrong = load(c, args[1], &schema);
    if (wrong) return c->failed || c->heap->exhausted ? UNDEFINED : builtin_fail(c, "%s", wrong);
    if (!json_schema_check(c, schema, &why)) return UNDEFINED;
    if (why.text[0]) return builtin_fail(c, "%s", why.text);
    value errors = json_schema_match(c, schema, document);
    return value_defined(errors) ? pair(c, value_count(errors) == 0, errors) : UNDEFINED;
}
