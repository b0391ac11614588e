/* SPDX-License-Identifier: Apache-2.0 */
/* graphql.c — graphql.*: documents parsed and checked, from texts or from trees a policy holds.
 *
 *   query (text or tree), schema (text or tree)  -->  trees  -->  checked  -->  trees as values
 *
 * The trees that are answered were made before checking, which writes into them. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/graphql/graphql.h"
#include "kernel/base/limits.h"

struct work {
    struct builtin_call *call;
    struct gql_context context;
    struct buf message;
};
static bool tick(void *call, u32 steps) {
    return builtin_tick(call, steps);
}

static void open_work(struct work *w, struct builtin_call *c) {
    *w = (struct work){.call = c};
    buf_open(&w->message, KIB(16));
    w->context =
        (struct gql_context){.heap = c->heap, .tick = tick, .arg = c, .message = &w->message};
}
static void close_work(struct work *w) {
    buf_close(&w->message);
}

enum stage { PARSING, LOADING, CHECKING };
/* The error as the reference puts it; nothing when the evaluation has ended anyway. */
static value fail(struct work *w, enum stage stage) {
    struct gql_place at = w->context.at;
    int n = (int)w->message.len;
    const char *text = w->message.ptr ? w->message.ptr : "";
    if (!w->context.failed || w->call->failed || w->call->heap->exhausted) return UNDEFINED;
    if (stage == LOADING)
        return builtin_fail(
            w->call, "Error in gqlparser SchemaDocument to Schema conversion: input:%u:%u: %.*s",
            at.line, at.column, n, text);
    if (stage == CHECKING && n && text[n - 1] == '.') n--;
    return builtin_fail(w->call, "%.*s in GraphQL string at location %u:%u", n, text, at.line,
                        at.column);
}

static struct gql_query *take_query(struct work *w, value v) {
    if (value_is(v, VALUE_STRING)) return graphql_parse_query(&w->context, value_str(v));
    return value_is(v, VALUE_OBJECT) ? graphql_query_of_value(&w->context, v) : NULL;
}
static struct gql_document *take_schema(struct work *w, value v) {
    if (value_is(v, VALUE_STRING)) return graphql_parse_schema(&w->context, value_str(v), false);
    return value_is(v, VALUE_OBJECT) ? graphql_document_of_value(&w->context, v) : NULL;
}
static bool is_document(value v) {
    return value_is(v, VALUE_STRING) || value_is(v, VALUE_OBJECT);
}
static bool is_stopped(const struct builtin_call *c) {
    return c->failed || c->heap->exhausted;
}

/* Both documents as values, and whether the query fits the schema. */
static bool check(struct work *w, const value *args, value out[2], enum stage *stage) {
    *stage = PARSING;
    struct gql_query *q = take_query(w, args[0]);
    struct gql_document *d = q ? take_schema(w, args[1]) : NULL;
    if (!d) return false;
    out[0] = graphql_query_value(w->call->heap, q);
    out[1] = graphql_document_value(w->call->heap, d);
    *stage = LOADING;
    struct gql_schema *s = graphql_load_schema(&w->context, d);
    if (!s) return false;
    *stage = CHECKING;
    return graphql_validate(&w->context, s, q);
}

value builtin_graphql_parse(struct builtin_call *c, const value *args) {
    struct work w;
    enum stage stage;
    value parts[2];
    for (u32 i = 0; i < 2; i++)
        if (!is_document(args[i]))
            return builtin_fail_operand(c, i, "{string, object}",
                                        args[i]); /* counted from 0 there */
    open_work(&w, c);
    value v = check(&w, args, parts, &stage) ? value_array(c->heap, parts, 2) : fail(&w, stage);
    close_work(&w);
    return v;
}

value builtin_graphql_parse_and_verify(struct builtin_call *c, const value *args) {
    struct work w;
    enum stage stage;
    value parts[3];
    open_work(&w, c);
    bool right = check(&w, args, parts + 1, &stage);
    close_work(&w);
    if (is_stopped(c)) return UNDEFINED;
    parts[0] = value_boolean(right);
    if (!right) parts[1] = parts[2] = value_empty_object();
    return value_array(c->heap, parts, 3);
}

value builtin_graphql_is_valid(struct builtin_call *c, const value *args) {
    struct work w;
    enum stage stage;
    value parts[2];
    open_work(&w, c);
    bool right = check(&w, args, parts, &stage);
    close_work(&w);
    return is_stopped(c) ? UNDEFINED : value_boolean(right);
}

value builtin_graphql_parse_query(struct builtin_call *c, const value *args) {
    struct work w;
    str text;
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    open_work(&w, c);
    struct gql_query *q = graphql_parse_query(&w.context, text);
    value v = q ? graphql_query_value(c->heap, q) : fail(&w, PARSING);
    close_work(&w);
    return v;
}

value builtin_graphql_parse_schema(struct builtin_call *c, const value *args) {
    struct work w;
    str text;
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    open_work(&w, c);
    struct gql_document *d = graphql_parse_schema(&w.context, text, false);
    value v = d ? graphql_document_value(c->heap, d) : fail(&w, PARSING);
    close_work(&w);
    return v;
}

value builtin_graphql_schema_is_valid(struct builtin_call *c, const value *args) {
    struct work w;
    open_work(&w, c);
    struct gql_document *d = take_schema(&w, args[0]);
    bool right = d && graphql_load_schema(&w.context, d);
    close_work(&w);
    return is_stopped(c) ? UNDEFINED : value_boolean(right);
}
