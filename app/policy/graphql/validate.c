/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c — a walk over a query that knows, at each place, what the schema says about it.
 *
 *   operation -> variables, directives, selections -> arguments, values ... -> the rules of each
 *
 * Children come before their parents' rules, since some rules need what the walk finds out below.
 * A fragment is walked once for each operation that uses it, and once for itself. */
#include "app/policy/graphql/graphql_impl.h"
#include <stdarg.h>
#include <stdio.h>

bool graphql_walk_on(struct gql_walk *w, u32 steps) {
    return !w->context->heap->exhausted && w->errors < GRAPHQL_ERRORS_MAX &&
           w->context->tick(w->context->arg, steps);
}

void graphql_report(struct gql_walk *w, struct gql_place at, const char *fmt, ...) {
    struct gql_context *c = w->context;
    char text[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->errors++ == 0) {
        c->failed = true, c->at = at;
        buf_clear(c->message);
        (void)buf_add(c->message, str_from_c(text));
        return;
    }
    (void)buf_printf(c->message, "\ninput:%u:%u: ", at.line, at.column);
    (void)buf_add(c->message, str_from_c(text));
}

static struct gql_definition *type_of(const struct gql_walk *w, const struct gql_type *t) {
    return graphql_map_get(&w->schema->types, graphql_type_name(t));
}
static bool has_default(const struct gql_field_definition *f) {
    return f->default_value && f->default_value->kind != GQL_NULL;
}

static struct gql_variable *variable_named(const struct gql_operation *o, str name) {
    for (u32 i = 0; i < o->variables.count; i++)
        if (str_eq(o->variables.items[i]->name, name)) return o->variables.items[i];
    return NULL;
}

static void walk_value(struct gql_walk *w, struct gql_value *v) {
    if (!graphql_walk_on(w, 1)) return;
    if (v->kind == GQL_VARIABLE && w->operation) {
        v->variable = variable_named(w->operation, v->raw);
        if (v->variable) v->variable->used = true;
    }
    for (u32 i = 0; (v->kind == GQL_OBJECT || v->kind == GQL_LIST_VALUE) && i < v->children.count;
         i++) {
        struct gql_member *m = &v->children.items[i];
        if (!m->value) continue;
        if (v->kind == GQL_OBJECT) {
            struct gql_field_definition *f =
                v->definition ? graphql_field_find(&v->definition->fields, m->name) : NULL;
            if (f) {
                m->value->expected = f->type, m->value->expected_has_default = has_default(f);
                m->value->definition = type_of(w, f->type);
            }
        } else if (v->expected && v->expected->elem) {
            m->value->expected = v->expected->elem, m->value->definition = v->definition;
        }
        walk_value(w, m->value);
    }
    graphql_rules_value(w, v);
}

static void walk_argument(struct gql_walk *w, const gql_fields *known, struct gql_argument *a) {
    struct gql_field_definition *f = known ? graphql_field_find(known, a->name) : NULL;
    if (f) {
        a->value->expected = f->type, a->value->expected_has_default = has_default(f);
        a->value->definition = type_of(w, f->type);
    }
    walk_value(w, a->value);
}

static void walk_directives(struct gql_walk *w, gql_directives *list, const char *location) {
    for (u32 i = 0; i < list->count && graphql_walk_on(w, 1); i++) {
        struct gql_directive *d = list->items[i];
        d->definition = graphql_map_get(&w->schema->directives, d->name);
        d->location = location;
        for (u32 j = 0; j < d->arguments.count; j++)
            walk_argument(w, d->definition ? &d->definition->arguments : NULL,
                          d->arguments.items[j]);
        graphql_rules_directive(w, d);
    }
    graphql_rules_directives(w, list);
}

static void walk_selections(struct gql_walk *w, struct gql_definition *parent,
                            const gql_selections *list);

static void walk_field(struct gql_walk *w, struct gql_definition *parent, struct gql_selection *f) {
    static struct gql_type string = {.name = {"String", 6}}; /* never written to */
    static struct gql_field_definition type_name = {.name = {"__typename", 10}, .type = &string};
    f->parent = parent;
    f->definition = str_eq(f->name, S("__typename")) ? &type_name
                    : parent                         ? graphql_field_find(&parent->fields, f->name)
                                                     : NULL;
    struct gql_definition *below = f->definition ? type_of(w, f->definition->type) : NULL;
    const gql_fields *known = f->definition ? (const gql_fields *)&f->definition->arguments : NULL;
    for (u32 i = 0; i < f->arguments.count; i++) walk_argument(w, known, f->arguments.items[i]);
    walk_directives(w, &f->directives, "FIELD");
    walk_selections(w, below, (const gql_selections *)&f->selections);
    graphql_rules_field(w, f);
}

static struct gql_fragment *fragment_named(const struct gql_walk *w, str name) {
    for (u32 i = 0; i < w->query->fragments.count; i++)
        if (str_eq(w->query->fragments.items[i]->name, name)) return w->query->fragments.items[i];
    return NULL;
}

static void walk_spread(struct gql_walk *w, struct gql_definition *parent,
                        struct gql_selection *s) {
    s->fragment = fragment_named(w, s->name);
    s->parent = parent;
    struct gql_definition *below =
        s->fragment ? graphql_map_get(&w->schema->types, s->fragment->condition) : NULL;
    walk_directives(w, &s->directives, "FRAGMENT_SPREAD");
    if (s->fragment && !graphql_map_get(&w->seen_fragments, s->name)) {
        graphql_map_put(w->context->heap, &w->seen_fragments, s->name, s->fragment);
        walk_selections(w, below, &s->fragment->selections);
    }
    graphql_rules_spread(w, s);
}

static void walk_selections(struct gql_walk *w, struct gql_definition *parent,
                            const gql_selections *list) {
    if (++w->depth > GRAPHQL_WALK_DEPTH_MAX) /* fragments in fragments */
        graphql_report(w, (struct gql_place){0}, "exceeded the depth of %d",
                       GRAPHQL_WALK_DEPTH_MAX);
    for (u32 i = 0; w->depth <= GRAPHQL_WALK_DEPTH_MAX && i < list->count && graphql_walk_on(w, 1);
         i++) {
        struct gql_selection *s = list->items[i];
        if (s->kind == GQL_FIELD)
            walk_field(w, parent, s);
        else if (s->kind == GQL_SPREAD)
            walk_spread(w, parent, s);
        else {
            s->parent = parent;
            struct gql_definition *below =
                s->name.len ? graphql_map_get(&w->schema->types, s->name) : parent;
            walk_directives(w, &s->directives, "INLINE_FRAGMENT");
            walk_selections(w, below, (const gql_selections *)&s->selections);
            graphql_rules_inline(w, s);
        }
    }
    w->depth--;
}

static void walk_operation(struct gql_walk *w, struct gql_operation *o) {
    bool mutation = str_eq(o->operation, S("mutation")),
         subscription = str_eq(o->operation, S("subscription"));
    struct gql_definition *root = mutation       ? w->schema->mutation
                                  : subscription ? w->schema->subscription
                                                 : w->schema->query;
    w->operation = o;
    for (u32 i = 0; i < o->variables.count; i++) {
        struct gql_variable *v = o->variables.items[i];
        v->definition = type_of(w, v->type);
        if (v->default_value)
            v->default_value->expected = v->type, v->default_value->definition = v->definition;
    }
    for (u32 i = 0; i < o->variables.count; i++) {
        struct gql_variable *v = o->variables.items[i];
        if (v->default_value) walk_value(w, v->default_value);
        walk_directives(w, &v->directives, "VARIABLE_DEFINITION");
    }
    walk_directives(w, &o->directives,
                    mutation       ? "MUTATION"
                    : subscription ? "SUBSCRIPTION"
                                   : "QUERY");
    walk_selections(w, root, &o->selections);
    graphql_rules_operation(w, o);
    w->operation = NULL;
}

bool graphql_validate(struct gql_context *c, struct gql_schema *s, struct gql_query *q) {
    struct gql_walk w = {.context = c, .schema = s, .query = q};
    for (u32 i = 0; i < q->operations.count && graphql_walk_on(&w, 1); i++) {
        w.seen_fragments = (struct gql_map){0};
        walk_operation(&w, q->operations.items[i]);
    }
    for (u32 i = 0; i < q->fragments.count && graphql_walk_on(&w, 1); i++) {
        struct gql_fragment *f = q->fragments.items[i];
        w.seen_fragments = (struct gql_map){0};
        f->definition = graphql_map_get(&s->types, f->condition);
        walk_directives(&w, &f->directives, "FRAGMENT_DEFINITION");
        walk_selections(&w, f->definition, &f->selections);
        graphql_rules_fragment(&w, f);
    }
    return !c->failed && graphql_walk_on(&w, 0);
}
