/* SPDX-License-Identifier: Apache-2.0 */
/* json_schema_check.c — is a value a JSON Schema? Each keyword's value by its kind, in the order
 * and the words of the reference, and every schema below, also behind references (each once). */
#include "app/policy/builtin/json_schema.h"
#include "app/policy/regex/regex.h"
#include "kernel/base/limits.h"
#include <stdarg.h>
#include <stdio.h>

struct checking {
    struct builtin_call *call;
    value root;
    struct diag *why;
    struct value_builder seen; /* references that were followed */
    u32 depth;
};

static bool fail(struct checking *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(struct checking *x, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(x->why->text, sizeof x->why->text, fmt, args);
    va_end(args);
    return false;
}
static bool fail_type(struct checking *x, const char *expected, const char *given) {
    return fail(x, "Invalid type. Expected: %s, given: %s", expected, given);
}
static value member(value schema, const char *name) {
    return value_get_str(schema, str_from_c(name));
}
static bool is_schema(value v) {
    return value_is(v, VALUE_OBJECT) || value_is(v, VALUE_BOOLEAN);
}

static bool check(struct checking *x, value schema);

/* ---- References ------------------------------------------------------------------------------ */

static value step_into(struct builtin_call *c, value at, str token, struct diag *why) {
    char *name = heap_alloc(c->heap, token.len + 1);
    size_t n = 0;
    if (!name) return UNDEFINED;
    for (size_t i = 0; i < token.len; i++) { /* ~0 and ~1 stand for ~ and / */
        bool escaped = token.ptr[i] == '~' && i + 1 < token.len &&
                       (token.ptr[i + 1] == '0' || token.ptr[i + 1] == '1');
        name[n++] = escaped ? (token.ptr[++i] == '0' ? '~' : '/') : token.ptr[i];
    }
    value v = value_get_str(at, str_of(name, n));
    u64 index;
    if (value_is(at, VALUE_ARRAY) && str_to_u64(str_of(name, n), &index) == RC_OK &&
        index < value_count(at))
        v = value_item(at, (u32)index);
    if (!value_defined(v)) diag_set(why, "Object has no key '%.*s'", (int)MIN(n, 200), name);
    return v;
}

/* The schema whose $id (or id) this is, somewhere below. */
static value find_id(struct builtin_call *c, value at, str id, u32 depth) {
    if (depth > VALUE_DEPTH_MAX || !builtin_tick(c, 1)) return UNDEFINED;
    if (value_is(at, VALUE_OBJECT)) {
        value own = member(at, "$id");
        if (!value_is(own, VALUE_STRING)) own = member(at, "id");
        if (value_is(own, VALUE_STRING) && str_eq(value_str(own), id)) return at;
    } else if (!value_is(at, VALUE_ARRAY))
        return UNDEFINED;
    for (u32 i = 0; i < value_count(at); i++) {
        value below = value_is(at, VALUE_ARRAY) ? value_item(at, i) : value_value_at(at, i);
        value found = find_id(c, below, id, depth + 1);
        if (value_defined(found)) return found;
    }
    return UNDEFINED;
}

value json_schema_refer(struct builtin_call *c, value root, str reference, struct diag *why) {
    size_t hash = str_find_byte(reference, '#');
    str document = str_take(reference, hash), pointer = str_skip(reference, hash + 1), token;
    value at = root;
    if (document.len) at = find_id(c, root, document, 0);
    if (value_defined(at) && pointer.len && pointer.ptr[0] != '/') {
        value named = find_id(c, root, str_skip(reference, hash), 0); /* "#name" */
        if (value_defined(named)) return named;
        diag_set(why, "JSON pointer must be empty or start with a \"/\"");
        return UNDEFINED;
    }
    if (!value_defined(at)) {
        diag_set(why, "remote reference loading disabled: %.*s", STR(str_take(reference, 200)));
        return UNDEFINED;
    }
    pointer = str_skip(pointer, 1);
    if (str_find_byte(str_skip(reference, hash + 1), '/') == str_skip(reference, hash + 1).len)
        return at;
    for (bool more = true; more && value_defined(at);) {
        size_t slash = str_find_byte(pointer, '/');
        token = str_take(pointer, slash);
        more = slash < pointer.len;
        pointer = str_skip(pointer, slash + 1);
        at = step_into(c, at, token, why);
    }
    return at;
}

static bool check_reference(struct checking *x, value reference) {
    value target;
    if (value_defined(value_builder_find(&x->seen, reference))) return true;
    value_builder_replace(&x->seen, reference, value_boolean(true));
    target = json_schema_refer(x->call, x->root, value_str(reference), x->why);
    if (!value_defined(target)) return false;
    return is_schema(target) ? check(x, target) : fail(x, "schema must be of type object");
}

/* ---- Keywords -------------------------------------------------------------------------------- */

static const char *const types[] = {"array", "boolean", "integer", "number",
                                    "null",  "object",  "string"};

static bool check_type_name(struct checking *x, value name, value before, u32 count) {
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        known |= str_eq(value_str(name), str_from_c(types[i]));
    if (!known)
        return fail(
            x,
            "has a primitive type that is NOT VALID -- given: /%.*s/ Expected valid values are:"
            "[array boolean integer number null object string]",
            STR(str_take(value_str(name), 100)));
    for (u32 i = 0; i < count; i++)
        if (value_equal(value_item(before, i), name))
            return fail(x, "%.*s type is duplicated", STR(value_str(name)));
    return true;
}
static bool check_types(struct checking *x, value schema) {
    value v = member(schema, "type");
    if (!value_defined(v)) return true;
    if (value_is(v, VALUE_STRING)) return check_type_name(x, v, UNDEFINED, 0);
    if (!value_is(v, VALUE_ARRAY)) return fail_type(x, "type", "string/array of strings");
    for (u32 i = 0; i < value_count(v); i++) {
        if (!value_is(value_item(v, i), VALUE_STRING))
            return fail_type(x, "type", "string/array of strings");
        if (!check_type_name(x, value_item(v, i), v, i)) return false;
    }
    return true;
}

static bool check_strings(struct checking *x, value schema, const char *const *names,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        value v = member(schema, names[i]);
        if (value_defined(v) && !value_is(v, VALUE_STRING)) return fail_type(x, "string", names[i]);
    }
    return true;
}

static bool check_map(struct checking *x, value schema, const char *name) { /* of schemas */
    value v = member(schema, name);
    for (u32 i = 0; value_is(v, VALUE_OBJECT) && i < value_count(v); i++)
        if (!check(x, value_value_at(v, i))) return false;
    return true;
}

static bool check_definitions(struct checking *x, value schema) {
    value v = member(schema, "definitions");
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_OBJECT)) return fail_type(x, "array of schemas", "definitions");
    for (u32 i = 0; i < value_count(v); i++)
        if (!is_schema(value_value_at(v, i)))
            return fail_type(x, "array of schemas", "definitions");
    return check_map(x, schema, "definitions");
}

static bool check_pattern_properties(struct checking *x, value schema) {
    value v = member(schema, "patternProperties");
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_OBJECT)) return fail_type(x, "valid schema", "patternProperties");
    for (u32 i = 0; i < value_count(v); i++) {
        struct regex *r;
        struct buf why;
        buf_open(&why, 512);
        str pattern = value_str(value_key_at(v, i));
        rc_t rc = regex_open(&r, pattern, &why);
        buf_close(&why);
        if (rc) return fail(x, "Invalid regex pattern '%.*s'", STR(str_take(pattern, 150)));
        regex_close(r);
    }
    return check_map(x, schema, "patternProperties");
}

static bool check_properties(struct checking *x, value schema) {
    value p = member(schema, "properties"), a = member(schema, "additionalProperties"),
          n = member(schema, "propertyNames");
    if (value_defined(p) && !value_is(p, VALUE_OBJECT))
        return fail(x, "properties must be of type object");
    if (!check_map(x, schema, "properties")) return false;
    if (value_defined(a) && !is_schema(a))
        return fail_type(x, "boolean/valid schema", "additionalProperties");
    if (value_is(a, VALUE_OBJECT) && !check(x, a)) return false;
    if (!check_pattern_properties(x, schema)) return false;
    if (value_defined(n) && !is_schema(n)) return fail_type(x, "valid schema", "patternProperties");
    return !value_defined(n) || check(x, n);
}

static bool check_dependencies(struct checking *x, value schema) {
    value v = member(schema, "dependencies");
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_OBJECT)) return fail(x, "dependencies must be of type object");
    for (u32 i = 0; i < value_count(v); i++) {
        value d = value_value_at(v, i);
        bool good = value_is(d, VALUE_ARRAY) || is_schema(d);
        for (u32 j = 0; value_is(d, VALUE_ARRAY) && j < value_count(d); j++)
            good &= value_is(value_item(d, j), VALUE_STRING);
        if (!good) return fail(x, "dependency must be of type schema or array of strings");
        if (is_schema(d) && !check(x, d)) return false;
    }
    return true;
}

static bool check_items(struct checking *x, value schema) {
    value v = member(schema, "items"), a = member(schema, "additionalItems");
    if (value_defined(v) && !is_schema(v) && !value_is(v, VALUE_ARRAY))
        return fail_type(x, "valid schema/array of schemas", "items");
    for (u32 i = 0; value_is(v, VALUE_ARRAY) && i < value_count(v); i++) {
        if (!is_schema(value_item(v, i)))
            return fail_type(x, "valid schema/array of schemas", "items");
        if (!check(x, value_item(v, i))) return false;
    }
    if (is_schema(v) && !check(x, v)) return false;
    if (value_defined(a) && !is_schema(a))
        return fail_type(x, "boolean/valid schema", "additionalItems");
    return !value_is(a, VALUE_OBJECT) || check(x, a);
}

static bool check_bound(struct checking *x, value schema, const char *name,
                        const char *exclusive_name) {
    value v = member(schema, name), e = member(schema, exclusive_name);
    if (value_defined(v) && !value_is(v, VALUE_NUMBER))
        return fail(x, "%s must be of a number", name);
    if (value_is(e, VALUE_BOOLEAN) && !value_defined(v))
        return fail(x, "%s cannot be used without %s", exclusive_name, name);
    if (value_defined(e) && !value_is(e, VALUE_BOOLEAN) && !value_is(e, VALUE_NUMBER))
        return fail_type(x, "boolean/number", exclusive_name);
    return true;
}
static bool check_numbers(struct checking *x, value schema) {
    value m = member(schema, "multipleOf");
    if (value_defined(m) && !value_is(m, VALUE_NUMBER)) return fail_type(x, "number", "multipleOf");
    if (value_defined(m) && number_compare(m, value_integer(0)) <= 0)
        return fail(x, "multipleOf must be strictly greater than 0");
    return check_bound(x, schema, "minimum", "exclusiveMinimum") &&
           check_bound(x, schema, "maximum", "exclusiveMaximum");
}

static bool check_counts(struct checking *x, value schema, const char *least, const char *most) {
    const char *const names[2] = {least, most};
    value v[2];
    for (int i = 0; i < 2; i++) {
        v[i] = member(schema, names[i]);
        if (!value_defined(v[i])) continue;
        if (!value_is(v[i], VALUE_NUMBER) || !number_is_whole(v[i]))
            return fail(x, "%s must be of an integer", names[i]);
        if (number_compare(v[i], value_integer(0)) < 0)
            return fail(x, "%s must be greater than or equal to 0", names[i]);
    }
    bool compared = strcmp(least, "minItems") != 0; /* the reference does not compare these two */
    if (compared && value_defined(v[0]) && value_defined(v[1]) && number_compare(v[0], v[1]) > 0)
        return fail(x, "%s cannot be greater than %s", least, most);
    return true;
}

static bool check_text(struct checking *x, value schema) {
    static const char *const strings[] = {"pattern", "format"};
    value pattern = member(schema, "pattern");
    if (!check_counts(x, schema, "minLength", "maxLength")) return false;
    if (!check_strings(x, schema, strings, 1)) return false;
    if (value_defined(pattern)) {
        struct regex *r;
        struct buf why;
        buf_open(&why, 512);
        rc_t rc = regex_open(&r, value_str(pattern), &why);
        buf_close(&why);
        if (rc) return fail(x, "pattern must be a valid regex");
        regex_close(r);
    }
    return check_strings(x, schema, strings + 1, 1);
}

/* A list without repeats; NULL: any elements. */
static bool check_list(struct checking *x, value schema, const char *name, bool strings) {
    value v = member(schema, name);
    struct value_builder seen;
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_ARRAY)) return fail(x, "%s must be of an array", name);
    value_builder_open(&seen, x->call->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(v); i++) {
        value item = value_item(v, i);
        if (strings && !value_is(item, VALUE_STRING)) return fail_type(x, "string", name);
        if (value_defined(value_builder_find(&seen, item)))
            return fail(x, "%s items must be unique", name);
        value_builder_replace(&seen, item, value_boolean(true));
    }
    return true;
}

static bool check_several(struct checking *x, value schema) {
    static const char *const lists[] = {"oneOf", "anyOf", "allOf"}, *const ones[] = {"not", "if",
                                                                                     "then",
                                                                                     "else"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        value v = member(schema, lists[i]);
        if (value_defined(v) && !value_is(v, VALUE_ARRAY))
            return fail(x, "%s must be of an array", lists[i]);
        for (u32 j = 0; j < value_count(v); j++)
            if (!check(x, value_item(v, j))) return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
        value v = member(schema, ones[i]);
        if (value_defined(v) && !is_schema(v)) return fail(x, "%s must be of an object", ones[i]);
        if (value_defined(v) && !check(x, v)) return false;
    }
    return true;
}

static bool check_keywords(struct checking *x, value schema) {
    static const char *const names[] = {"$id"}, *const texts[] = {"title", "description", "$ref"};
    value reference = member(schema, "$ref"), unique = member(schema, "uniqueItems"),
          contains = member(schema, "contains");
    if (!check_strings(x, schema, names, 1) || !check_definitions(x, schema) ||
        !check_strings(x, schema, texts, 3))
        return false;
    if (value_defined(reference)) return check_reference(x, reference);
    if (!check_types(x, schema) || !check_properties(x, schema) || !check_dependencies(x, schema) ||
        !check_items(x, schema))
        return false;
    if (!check_numbers(x, schema) || !check_text(x, schema) ||
        !check_counts(x, schema, "minProperties", "maxProperties"))
        return false;
    if (!check_list(x, schema, "required", true) ||
        !check_counts(x, schema, "minItems", "maxItems"))
        return false;
    if (value_defined(unique) && !value_is(unique, VALUE_BOOLEAN))
        return fail(x, "uniqueItems must be of a boolean");
    if (value_defined(contains) && !check(x, contains)) return false;
    return check_list(x, schema, "enum", false) && check_several(x, schema);
}

static bool check(struct checking *x,
                  value schema) { /* values are not deeper than VALUE_DEPTH_MAX */
    if (!builtin_tick(x->call, 1)) return false;
    if (value_is(schema, VALUE_BOOLEAN)) return true;
    if (!value_is(schema, VALUE_OBJECT))
        return fail(x, "Expected: valid schema, given: Invalid JSON");
    if (x->depth == VALUE_DEPTH_MAX) return fail(x, "references are nested too deeply");
    x->depth++;
    bool ok = check_keywords(x, schema);
    x->depth--;
    return ok;
}

bool json_schema_check(struct builtin_call *c, value schema, struct diag *why) {
    struct checking x = {.call = c, .root = schema, .why = why};
    why->text[0] = 0;
    value_builder_open(&x.seen, c->heap, VALUE_OBJECT);
    (void)check(&x, schema);
    return !c->failed && !c->heap->exhausted;
}
