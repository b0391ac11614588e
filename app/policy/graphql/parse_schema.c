/* SPDX-License-Identifier: Apache-2.0 */
/* parse_schema.c — schema documents: types, their extensions, directives, entry points. */
#include "app/policy/graphql/parse_impl.h"

static str parse_description(struct gql_parser *p) {
    enum gql_token_kind kind = gql_peek(p)->kind;
    return kind == GQL_T_STRING || kind == GQL_T_BLOCK_STRING ? gql_next(p).text : (str){0};
}

/* An argument, or a member of an input object: name: Type = default @directives */
static void parse_input(struct gql_parser *p, void *to) {
    struct gql_field_definition *f = GQL_NEW(p->context, gql_field_definition);
    if (!f) return;
    f->at = gql_here(p);
    f->description = parse_description(p);
    f->name = gql_name(p);
    (void)gql_expect(p, GQL_T_COLON);
    f->type = gql_type_reference(p);
    if (gql_skip(p, GQL_T_EQUALS)) f->default_value = gql_value_literal(p, true);
    gql_directive_list(p, &f->directives, true);
    graphql_push(p->context->heap, to, f);
}

static void parse_field(struct gql_parser *p, void *to) {
    struct gql_field_definition *f = GQL_NEW(p->context, gql_field_definition);
    if (!f) return;
    f->at = gql_here(p);
    f->description = parse_description(p);
    f->name = gql_name(p);
    gql_each(p, GQL_T_PAREN_L, GQL_T_PAREN_R, true, parse_input, &f->arguments);
    (void)gql_expect(p, GQL_T_COLON);
    f->type = gql_type_reference(p);
    gql_directive_list(p, &f->directives, true);
    graphql_push(p->context->heap, to, f);
}

static void parse_enum_value(struct gql_parser *p, void *to) {
    struct gql_field_definition *f = GQL_NEW(p->context, gql_field_definition);
    if (!f) return;
    f->at = gql_here(p);
    f->description = parse_description(p);
    f->name = gql_name(p);
    gql_directive_list(p, &f->directives, true);
    graphql_push(p->context->heap, to, f);
}

/* a & b & c, or a | b | c, with one more separator allowed in front */
static void parse_names(struct gql_parser *p, enum gql_token_kind between, struct gql_names *to) {
    (void)gql_skip(p, between);
    do graphql_push_name(p->context->heap, to, gql_name(p));
    while (gql_skip(p, between));
}

static struct gql_definition *parse_definition(struct gql_parser *p, str description,
                                               bool extension) {
    static const struct {
        const char *word;
        enum gql_definition_kind kind;
    } kinds[] = {{"scalar", GQL_KIND_SCALAR},       {"type", GQL_KIND_OBJECT},
                 {"interface", GQL_KIND_INTERFACE}, {"union", GQL_KIND_UNION},
                 {"enum", GQL_KIND_ENUM},           {"input", GQL_KIND_INPUT}};
    struct gql_definition *d = GQL_NEW(p->context, gql_definition);
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && !gql_is_word(p, kinds[i].word)) i++;
    if (!d || i == ARRAY_LEN(kinds)) {
        gql_unexpected(p, gql_peek(p));
        return NULL;
    }
    (void)gql_next(p);
    d->at = gql_here(p);
    d->kind = kinds[i].kind;
    d->description = description;
    d->name = gql_name(p);
    bool may_implement =
        d->kind == GQL_KIND_OBJECT || (d->kind == GQL_KIND_INTERFACE && !extension);
    if (may_implement && gql_is_word(p, "implements")) {
        (void)gql_next(p);
        parse_names(p, GQL_T_AMP, &d->interfaces);
    }
    gql_directive_list(p, &d->directives, !(extension && d->kind == GQL_KIND_INPUT));
    if (d->kind == GQL_KIND_OBJECT || d->kind == GQL_KIND_INTERFACE)
        gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, true, parse_field, &d->fields);
    else if (d->kind == GQL_KIND_INPUT)
        gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, true, parse_input, &d->fields);
    else if (d->kind == GQL_KIND_ENUM)
        gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, true, parse_enum_value, &d->enum_values);
    else if (d->kind == GQL_KIND_UNION && gql_skip(p, GQL_T_EQUALS))
        parse_names(p, GQL_T_PIPE, &d->types);
    bool empty = !d->interfaces.count && !d->directives.count && !d->fields.count &&
                 !d->types.count && !d->enum_values.count;
    if (extension && empty) gql_unexpected(p, gql_peek(p));
    return d;
}

static void parse_root(struct gql_parser *p, void *to) {
    struct gql_root *r = GQL_NEW(p->context, gql_root);
    if (!r) return;
    r->at = gql_here(p);
    r->operation = gql_operation_type(p);
    (void)gql_expect(p, GQL_T_COLON);
    r->type = gql_name(p);
    graphql_push(p->context->heap, to, r);
}

static struct gql_schema_definition *parse_schema(struct gql_parser *p, str description,
                                                  bool extension) {
    struct gql_schema_definition *s = GQL_NEW(p->context, gql_schema_definition);
    if (!s) return NULL;
    gql_expect_word(p, "schema");
    s->at = gql_here(p);
    s->description = description;
    gql_directive_list(p, &s->directives, true);
    gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, true, parse_root, &s->roots);
    if (extension && !s->directives.count && !s->roots.count) gql_unexpected(p, gql_peek(p));
    return s;
}

static void parse_location(struct gql_parser *p, struct gql_names *to) {
    static const char *const known[] = {"QUERY",
                                        "MUTATION",
                                        "SUBSCRIPTION",
                                        "FIELD",
                                        "FRAGMENT_DEFINITION",
                                        "FRAGMENT_SPREAD",
                                        "INLINE_FRAGMENT",
                                        "VARIABLE_DEFINITION",
                                        "SCHEMA",
                                        "SCALAR",
                                        "OBJECT",
                                        "FIELD_DEFINITION",
                                        "ARGUMENT_DEFINITION",
                                        "INTERFACE",
                                        "UNION",
                                        "ENUM",
                                        "ENUM_VALUE",
                                        "INPUT_OBJECT",
                                        "INPUT_FIELD_DEFINITION"};
    struct gql_token t = gql_expect(p, GQL_T_NAME);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(t.text, str_from_c(known[i]))) {
            graphql_push_name(p->context->heap, to, t.text);
            return;
        }
    gql_unexpected(p, &t);
}

static struct gql_directive_definition *parse_directive(struct gql_parser *p, str description) {
    struct gql_directive_definition *d = GQL_NEW(p->context, gql_directive_definition);
    if (!d) return NULL;
    gql_expect_word(p, "directive");
    (void)gql_expect(p, GQL_T_AT);
    d->at = gql_here(p);
    d->description = description;
    d->name = gql_name(p);
    gql_each(p, GQL_T_PAREN_L, GQL_T_PAREN_R, true, parse_input, &d->arguments);
    if (gql_is_word(p, "repeatable")) {
        (void)gql_next(p);
        d->repeatable = true;
    }
    gql_expect_word(p, "on");
    (void)gql_skip(p, GQL_T_PIPE);
    do parse_location(p, &d->locations);
    while (gql_skip(p, GQL_T_PIPE));
    return d;
}

static void parse_one(struct gql_parser *p, struct gql_document *d) {
    struct heap *h = p->context->heap;
    struct gql_token before = *gql_peek(p);
    str description = parse_description(p);
    if (gql_stopped(p)) return;
    if (gql_is_word(p, "schema"))
        graphql_push(h, &d->schema, parse_schema(p, description, false));
    else if (gql_is_word(p, "directive"))
        graphql_push(h, &d->directives, parse_directive(p, description));
    else if (gql_is_word(p, "extend")) {
        if (description.len) gql_unexpected(p, &before);
        (void)gql_next(p);
        if (gql_is_word(p, "schema"))
            graphql_push(h, &d->schema_extensions, parse_schema(p, (str){0}, true));
        else
            graphql_push(h, &d->extensions, parse_definition(p, (str){0}, true));
    } else
        graphql_push(h, &d->definitions, parse_definition(p, description, false));
}

struct gql_document *graphql_parse_schema(struct gql_context *c, str text, bool built_in) {
    struct gql_parser p;
    struct gql_document *d = GQL_NEW(c, gql_document);
    gql_parser_open(&p, c, text);
    while (d && !gql_stopped(&p) && gql_peek(&p)->kind != GQL_T_EOF) parse_one(&p, d);
    if (gql_stopped(&p)) return NULL;
    for (u32 i = 0; i < d->definitions.count; i++) d->definitions.items[i]->built_in = built_in;
    return d;
}
