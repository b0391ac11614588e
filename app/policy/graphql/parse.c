/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c — queries: operations, fragments, selections, values, types; and the parser's tools,
 * which parse_schema.c uses too.
 *
 * One token of look-ahead. After the first error every step is empty and the parser runs out; its
 * loops all look at that. Nesting is limited, since the tree is walked recursively. */
#include <stdio.h>
#include "app/policy/graphql/parse_impl.h"

/* ---- Tools ----------------------------------------------------------------------------------- */

void gql_parser_open(struct gql_parser *p, struct gql_context *c, str text) {
    *p = (struct gql_parser){.context = c,
                             .lexer = {.context = c, .text = text, .line = 1, .column = 1}};
}

bool gql_stopped(struct gql_parser *p) {
    return p->context->failed || p->context->heap->exhausted || p->stopped;
}

const struct gql_token *gql_peek(struct gql_parser *p) {
    if (gql_stopped(p)) return &p->previous;
    if (!p->has_next) {
        p->next = graphql_lex(&p->lexer);
        p->has_next = true;
        if (!p->context->tick(p->context->arg, 1)) p->stopped = true;
    }
    return &p->next;
}
struct gql_place gql_here(struct gql_parser *p) {
    return gql_peek(p)->at;
}

struct gql_token gql_next(struct gql_parser *p) {
    if (gql_stopped(p)) return p->previous;
    (void)gql_peek(p);
    p->has_next = false;
    p->previous = p->next;
    if (p->previous.kind == GQL_T_INVALID)
        graphql_fail(p->context, p->previous.at, "%s", p->lexer.error);
    return p->previous;
}

static void fail_with(struct gql_parser *p, const char *before, const struct gql_token *t) {
    const char *name = graphql_token_name(t->kind);
    bool quoted = t->kind >= GQL_T_NAME && t->text.len;
    if (!quoted)
        graphql_fail(p->context, t->at, "%s%s", before, name);
    else
        graphql_fail(p->context, t->at, "%s%s \"%.*s\"", before, name, STR(str_take(t->text, 256)));
}
void gql_unexpected(struct gql_parser *p, const struct gql_token *t) {
    fail_with(p, "Unexpected ", t);
}

struct gql_token gql_expect(struct gql_parser *p, enum gql_token_kind kind) {
    const struct gql_token *t = gql_peek(p);
    if (t->kind == kind) return gql_next(p);
    graphql_fail(p->context, t->at, "Expected %s, found %s", graphql_token_name(kind),
                 graphql_token_name(t->kind));
    return *t;
}
bool gql_is_word(struct gql_parser *p, const char *word) {
    const struct gql_token *t = gql_peek(p);
    return t->kind == GQL_T_NAME && str_eq(t->text, str_from_c(word));
}
void gql_expect_word(struct gql_parser *p, const char *word) {
    char before[64];
    if (gql_is_word(p, word)) {
        (void)gql_next(p);
        return;
    }
    snprintf(before, sizeof before, "Expected \"%s\", found ", word); /* words of ours, all short */
    fail_with(p, before, gql_peek(p));
}
bool gql_skip(struct gql_parser *p, enum gql_token_kind kind) {
    if (gql_stopped(p) || gql_peek(p)->kind != kind) return false;
    (void)gql_next(p);
    return true;
}
str gql_name(struct gql_parser *p) {
    return gql_expect(p, GQL_T_NAME).text;
}

/* open item* close, when it opens at all; `some`: at least one. */
void gql_each(struct gql_parser *p, enum gql_token_kind open, enum gql_token_kind close, bool some,
              void (*item)(struct gql_parser *p, void *to), void *to) {
    bool any = false;
    if (!gql_skip(p, open)) return;
    if (++p->depth > GRAPHQL_DEPTH_MAX)
        graphql_fail(p->context, gql_here(p), "exceeded the depth of %d", GRAPHQL_DEPTH_MAX);
    while (!gql_stopped(p) && gql_peek(p)->kind != close) {
        any = true;
        item(p, to);
    }
    p->depth--;
    if (some && !any) {
        const struct gql_token *t = gql_peek(p);
        graphql_fail(p->context, t->at, "expected at least one definition, found %s",
                     graphql_token_name(t->kind));
        return;
    }
    (void)gql_next(p);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void add_member(struct gql_parser *p, struct gql_value *to, struct gql_member m) {
    if (to->children.count == to->children.room) {
        u32 room = to->children.room ? to->children.room * 2 : 4;
        struct gql_member *grown = heap_alloc(p->context->heap, room * sizeof *grown);
        if (!grown) return;
        if (to->children.count)
            memcpy(grown, to->children.items, to->children.count * sizeof *grown);
        to->children.items = grown, to->children.room = room;
    }
    to->children.items[to->children.count++] = m;
}
struct value_place {
    struct gql_value *v;
    bool constant;
};

static void parse_element(struct gql_parser *p, void *to) {
    struct value_place *place = to;
    add_member(p, place->v, (struct gql_member){.value = gql_value_literal(p, place->constant)});
}
static void parse_member(struct gql_parser *p, void *to) {
    struct value_place *place = to;
    struct gql_member m = {.at = gql_here(p), .name = gql_name(p)};
    (void)gql_expect(p, GQL_T_COLON);
    m.value = gql_value_literal(p, place->constant);
    add_member(p, place->v, m);
}

struct gql_value *gql_value_literal(struct gql_parser *p, bool constant) {
    struct gql_token t = *gql_peek(p);
    struct gql_value *v = GQL_NEW(p->context, gql_value);
    if (!v) return NULL;
    *v = (struct gql_value){.raw = t.text, .at = t.at};
    struct value_place place = {v, constant};
    switch (t.kind) {
    case GQL_T_BRACKET_L:
        v->kind = GQL_LIST_VALUE, v->raw = (str){0};
        gql_each(p, GQL_T_BRACKET_L, GQL_T_BRACKET_R, false, parse_element, &place);
        return v;
    case GQL_T_BRACE_L:
        v->kind = GQL_OBJECT, v->raw = (str){0};
        gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, false, parse_member, &place);
        return v;
    case GQL_T_DOLLAR:
        if (constant) break;
        (void)gql_next(p);
        v->kind = GQL_VARIABLE, v->raw = gql_name(p);
        return v;
    case GQL_T_INT: v->kind = GQL_INT; break;
    case GQL_T_FLOAT: v->kind = GQL_FLOAT; break;
    case GQL_T_STRING: v->kind = GQL_STRING; break;
    case GQL_T_BLOCK_STRING: v->kind = GQL_BLOCK; break;
    case GQL_T_NAME:
        v->kind = str_eq(t.text, S("true")) || str_eq(t.text, S("false")) ? GQL_BOOLEAN
                  : str_eq(t.text, S("null"))                             ? GQL_NULL
                                                                          : GQL_ENUM;
        break;
    default: break;
    }
    if (v->kind == GQL_VARIABLE) {
        gql_unexpected(p, &t);
        return NULL;
    }
    (void)gql_next(p);
    return v;
}

struct list_place {
    void *list;
    bool constant;
};
static void parse_argument(struct gql_parser *p, void *to) {
    struct list_place *place = to;
    struct gql_argument *a = GQL_NEW(p->context, gql_argument);
    if (!a) return;
    a->at = gql_here(p);
    a->name = gql_name(p);
    (void)gql_expect(p, GQL_T_COLON);
    a->value = gql_value_literal(p, place->constant);
    graphql_push(p->context->heap, place->list, a);
}
static void parse_arguments(struct gql_parser *p, void *list, bool constant) {
    struct list_place place = {list, constant};
    gql_each(p, GQL_T_PAREN_L, GQL_T_PAREN_R, false, parse_argument, &place);
}

void gql_directive_list(struct gql_parser *p, gql_directives *to, bool constant) {
    while (!gql_stopped(p) && gql_peek(p)->kind == GQL_T_AT) {
        (void)gql_next(p);
        struct gql_directive *d = GQL_NEW(p->context, gql_directive);
        if (!d) return;
        d->at = gql_here(p);
        d->name = gql_name(p);
        parse_arguments(p, &d->arguments, constant);
        graphql_push(p->context->heap, to, d);
    }
}

struct gql_type *gql_type_reference(struct gql_parser *p) {
    struct gql_type *t = GQL_NEW(p->context, gql_type);
    if (!t) return NULL;
    if (gql_skip(p, GQL_T_BRACKET_L)) {
        t->at = gql_here(p);
        if (++p->depth > GRAPHQL_DEPTH_MAX)
            graphql_fail(p->context, t->at, "exceeded the depth of %d", GRAPHQL_DEPTH_MAX);
        t->elem = gql_stopped(p) ? NULL : gql_type_reference(p);
        p->depth--;
        (void)gql_expect(p, GQL_T_BRACKET_R);
    } else {
        t->at = gql_here(p);
        t->name = gql_name(p);
    }
    if (gql_skip(p, GQL_T_BANG)) t->at = gql_here(p), t->non_null = true;
    return t;
}

/* ---- Selections ------------------------------------------------------------------------------ */

static void parse_selection(struct gql_parser *p, void *to);

static void required_selections(struct gql_parser *p, void *to) {
    const struct gql_token *t = gql_peek(p);
    if (t->kind != GQL_T_BRACE_L) {
        graphql_fail(p->context, t->at, "Expected {, found %s", graphql_token_name(t->kind));
        return;
    }
    gql_each(p, GQL_T_BRACE_L, GQL_T_BRACE_R, true, parse_selection, to);
}

static void parse_fragment_use(struct gql_parser *p, struct gql_selection *s) {
    (void)gql_next(p); /* ... */
    s->at = gql_here(p);
    if (gql_peek(p)->kind == GQL_T_NAME && !gql_is_word(p, "on")) {
        s->kind = GQL_SPREAD;
        s->name = gql_name(p);
        gql_directive_list(p, &s->directives, false);
        return;
    }
    s->kind = GQL_INLINE;
    if (gql_is_word(p, "on")) {
        (void)gql_next(p);
        s->name = gql_name(p);
    }
    gql_directive_list(p, &s->directives, false);
    required_selections(p, &s->selections);
}

static void parse_selection(struct gql_parser *p, void *to) {
    struct gql_selection *s = GQL_NEW(p->context, gql_selection);
    if (!s) return;
    graphql_push(p->context->heap, to, s);
    if (gql_peek(p)->kind == GQL_T_SPREAD) {
        parse_fragment_use(p, s);
        return;
    }
    s->at = gql_here(p);
    s->alias = s->name = gql_name(p);
    if (gql_skip(p, GQL_T_COLON)) s->name = gql_name(p);
    parse_arguments(p, &s->arguments, false);
    gql_directive_list(p, &s->directives, false);
    if (gql_peek(p)->kind == GQL_T_BRACE_L) required_selections(p, &s->selections);
}

/* ---- Operations and fragments ---------------------------------------------------------------- */

static void parse_variable(struct gql_parser *p, void *to) {
    struct gql_variable *v = GQL_NEW(p->context, gql_variable);
    if (!v) return;
    v->at = gql_here(p);
    (void)gql_expect(p, GQL_T_DOLLAR);
    v->name = gql_name(p);
    (void)gql_expect(p, GQL_T_COLON);
    v->type = gql_type_reference(p);
    if (gql_skip(p, GQL_T_EQUALS)) v->default_value = gql_value_literal(p, true);
    gql_directive_list(p, &v->directives, false);
    graphql_push(p->context->heap, to, v);
}

str gql_operation_type(struct gql_parser *p) {
    struct gql_token t = gql_next(p);
    static const char *const names[] = {"query", "mutation", "subscription"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (t.kind == GQL_T_NAME && str_eq(t.text, str_from_c(names[i]))) return t.text;
    gql_unexpected(p, &t);
    return (str){0};
}

static void parse_operation(struct gql_parser *p, struct gql_query *q) {
    struct gql_operation *o = GQL_NEW(p->context, gql_operation);
    if (!o) return;
    o->at = gql_here(p);
    o->operation = S("query");
    if (gql_peek(p)->kind != GQL_T_BRACE_L) {
        o->operation = gql_operation_type(p);
        if (gql_peek(p)->kind == GQL_T_NAME) o->name = gql_next(p).text;
        gql_each(p, GQL_T_PAREN_L, GQL_T_PAREN_R, false, parse_variable, &o->variables);
        gql_directive_list(p, &o->directives, false);
    }
    required_selections(p, &o->selections);
    graphql_push(p->context->heap, &q->operations, o);
}

static void parse_fragment(struct gql_parser *p, struct gql_query *q) {
    struct gql_fragment *f = GQL_NEW(p->context, gql_fragment);
    if (!f) return;
    f->at = gql_here(p);
    gql_expect_word(p, "fragment");
    if (gql_is_word(p, "on"))
        gql_unexpected(p, gql_peek(p));
    else
        f->name = gql_name(p);
    gql_each(p, GQL_T_PAREN_L, GQL_T_PAREN_R, false, parse_variable, &f->variables);
    gql_expect_word(p, "on");
    f->condition = gql_name(p);
    gql_directive_list(p, &f->directives, false);
    required_selections(p, &f->selections);
    graphql_push(p->context->heap, &q->fragments, f);
}

struct gql_query *graphql_parse_query(struct gql_context *c, str text) {
    struct gql_parser p;
    struct gql_query *q = GQL_NEW(c, gql_query);
    gql_parser_open(&p, c, text);
    while (q && !gql_stopped(&p) && gql_peek(&p)->kind != GQL_T_EOF) {
        if (gql_is_word(&p, "fragment"))
            parse_fragment(&p, q);
        else if (gql_peek(&p)->kind == GQL_T_BRACE_L || gql_is_word(&p, "query") ||
                 gql_is_word(&p, "mutation") || gql_is_word(&p, "subscription"))
            parse_operation(&p, q);
        else
            gql_unexpected(&p, gql_peek(&p));
    }
    return gql_stopped(&p) ? NULL : q;
}
