/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c — the rules of validation (October 2021, section 5), by the place they look at.
 *
 * Each is a few lines that look at one node as the walk left it. Their order at a place is the
 * reference's, since the first thing wrong is what users are told first. */
#include "app/policy/graphql/graphql_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool graphql_is_composite(const struct gql_definition *d) {
    return d->kind == GQL_KIND_OBJECT || d->kind == GQL_KIND_INTERFACE || d->kind == GQL_KIND_UNION;
}
bool graphql_is_input(const struct gql_definition *d) {
    return d->kind == GQL_KIND_SCALAR || d->kind == GQL_KIND_ENUM || d->kind == GQL_KIND_INPUT;
}
static bool is_leaf(const struct gql_definition *d) {
    return d->kind == GQL_KIND_SCALAR || d->kind == GQL_KIND_ENUM;
}

bool graphql_type_fits(const struct gql_type *t, const struct gql_type *other) {
    bool required = other->non_null;
    const struct gql_type *first = t;
    if (!str_eq(t->name, other->name)) return false;
    if (t->elem && !other->elem) return false;
    if (t->elem && !graphql_type_fits(t->elem, other->elem))
        return false; /* as deep as the parser allows */
    return !required || first->non_null;
}

/* A type or a value as text, in the heap. */
static str text_of_type(struct gql_walk *w, const struct gql_type *t) {
    struct buf b;
    buf_open(&b, KIB(4));
    graphql_type_write(&b, t);
    value v = value_string(w->context->heap, buf_str(&b));
    buf_close(&b);
    return value_is(v, VALUE_STRING) ? value_str(v) : (str){0};
}
static str text_of_value(struct gql_walk *w, const struct gql_value *x) {
    struct buf b;
    buf_open(&b, KIB(4));
    graphql_value_write(&b, x);
    value v = value_string(w->context->heap, buf_str(&b));
    buf_close(&b);
    return value_is(v, VALUE_STRING) ? value_str(v) : (str){0};
}

/* ---- Suggestions ----------------------------------------------------------------------------- */

void graphql_or_list(struct buf *to, const str *items, u32 count) {
    if (count > 5) count = 5;
    for (u32 i = 0; i < count; i++) {
        if (i) (void)buf_add(to, count == 2 ? S(" or ") : i == count - 1 ? S(", or ") : S(", "));
        (void)buf_printf(to, "\"%.*s\"", STR(items[i]));
    }
}

enum { DISTANCE_MAX_LEN = 128 }; /* longer names are not suggested */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static u32 distance_of(str a, str b) {
    u32 row[DISTANCE_MAX_LEN + 1];
    if (str_eq(a, b)) return 0;
    if (str_eq_nocase(a, b)) return 1;
    if (a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN) return UINT32_MAX;
    for (u32 j = 0; j <= b.len; j++) row[j] = j;
    for (u32 i = 1; i <= a.len; i++) {
        u32 diagonal = row[0];
        row[0] = i;
        for (u32 j = 1; j <= b.len; j++) {
            u32 above = row[j], change = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
            diagonal = above;
        }
    }
    return row[b.len];
}

void graphql_suggest(struct gql_walk *w, struct buf *to, const char *prefix, str typed,
                     const str *options, u32 count) {
    u32 threshold = MAX(1, (u32)(typed.len * 2 / 5 + 1)), n = 0;
    str *near = heap_alloc(w->context->heap, (size_t)MAX(1, count) * sizeof *near);
    u32 *distance = heap_alloc(w->context->heap, (size_t)MAX(1, count) * sizeof *distance);
    if (!near || !distance || !graphql_walk_on(w, 1 + count * (u32)MIN(typed.len, 1000))) return;
    for (u32 i = 0; i < count; i++) {
        u32 d = distance_of(typed, options[i]), at = n;
        if (d > threshold) continue;
        for (; at > 0 && distance[at - 1] > d; at--)
            near[at] = near[at - 1], distance[at] = distance[at - 1];
        near[at] = options[i], distance[at] = d;
        n++;
    }
    if (!n) return;
    (void)buf_printf(to, " %s ", prefix);
    graphql_or_list(to, near, n);
    (void)buf_add_byte(to, '?');
}

static str *names_of(struct gql_walk *w, const gql_fields *fields) {
    str *names = heap_alloc(w->context->heap, (size_t)MAX(1, fields->count) * sizeof *names);
    for (u32 i = 0; names && i < fields->count; i++) names[i] = fields->items[i]->name;
    return names;
}
/* Reports `fmt`'s text with a suggestion behind it. */
#define REPORT_WITH_SUGGESTION(w, at, prefix, typed, fields, ...)                                  \
    do {                                                                                           \
        struct buf more_;                                                                          \
        buf_open(&more_, 1024);                                                                    \
        const str *names_ = names_of((w), (fields));                                               \
        if (names_) graphql_suggest((w), &more_, (prefix), (typed), names_, (fields)->count);      \
        struct buf text_;                                                                          \
        buf_open(&text_, 2048);                                                                    \
        (void)buf_printf(&text_, __VA_ARGS__);                                                     \
        graphql_report((w), (at), "%.*s%.*s", (int)text_.len, text_.ptr ? text_.ptr : "",          \
                       (int)more_.len, more_.ptr ? more_.ptr : "");                                \
        buf_close(&text_);                                                                         \
        buf_close(&more_);                                                                         \
    } while (0)

/* ---- Operations ------------------------------------------------------------------------------ */

static void check_subscription(struct gql_walk *w, const struct gql_operation *o) {
    struct {
        const struct gql_selection *s;
    } first[2] = {{NULL}, {NULL}};
    struct gql_map names = {0};
    u32 n = 0;
    const gql_selections *stack[GRAPHQL_DEPTH_MAX];
    u32 at[GRAPHQL_DEPTH_MAX], depth = 1;
    char who[200] = "Anonymous Subscription";
    if (o->name.len)
        snprintf(who, sizeof who, "Subscription \"%.*s\"", STR(str_take(o->name, 128)));
    stack[0] = &o->selections, at[0] = 0;
    while (depth && graphql_walk_on(w, 1)) { /* the fields at the top, through fragments */
        if (at[depth - 1] == stack[depth - 1]->count) {
            depth--;
            continue;
        }
        const struct gql_selection *s = stack[depth - 1]->items[at[depth - 1]++];
        const gql_selections *below = s->kind == GQL_INLINE ? (const gql_selections *)&s->selections
                                      : s->kind == GQL_SPREAD && s->fragment
                                          ? &s->fragment->selections
                                          : NULL;
        if (below && depth < GRAPHQL_DEPTH_MAX) stack[depth] = below, at[depth++] = 0;
        if (s->kind != GQL_FIELD || graphql_map_get(&names, s->name)) continue;
        graphql_map_put(w->context->heap, &names, s->name, (void *)(uintptr_t)s);
        if (n < 2) first[n].s = s;
        n++;
        if (str_starts(s->name, S("__")))
            graphql_report(w, s->at, "%s must not select an introspection top level field.", who);
    }
    if (n > 1) graphql_report(w, first[1].s->at, "%s must select only one top level field.", who);
}

static void check_variables(struct gql_walk *w, const struct gql_operation *o) {
    for (u32 i = 0; i < o->variables.count; i++) {
        const struct gql_variable *v = o->variables.items[i];
        if (v->used) continue;
        if (o->name.len)
            graphql_report(w, v->at, "Variable \"$%.*s\" is never used in operation \"%.*s\".",
                           STR(v->name), STR(o->name));
        else
            graphql_report(w, v->at, "Variable \"$%.*s\" is never used.", STR(v->name));
    }
}
static void check_variables_once(struct gql_walk *w, const struct gql_operation *o) {
    struct gql_map seen = {0};
    for (u32 i = 0; i < o->variables.count; i++) {
        struct gql_variable *v = o->variables.items[i];
        if (graphql_map_get(&seen, v->name))
            graphql_report(w, v->at, "There can be only one variable named \"$%.*s\".",
                           STR(v->name));
        graphql_map_put(w->context->heap, &seen, v->name, v);
    }
}

void graphql_rules_operation(struct gql_walk *w, struct gql_operation *o) {
    bool mutation = str_eq(o->operation, S("mutation")),
         subscription = str_eq(o->operation, S("subscription"));
    if (!(mutation       ? w->schema->mutation
          : subscription ? w->schema->subscription
                         : w->schema->query))
        graphql_report(w, o->at, "Schema does not support operation type \"%.*s\"",
                       STR(o->operation));
    for (u32 i = 0; i < o->variables.count; i++)
        if (!o->variables.items[i]->definition)
            graphql_report(w, o->at, "Unknown type \"%.*s\".",
                           STR(graphql_type_name(o->variables.items[i]->type)));
    if (!o->name.len && w->query->operations.count > 1)
        graphql_report(w, o->at, "This anonymous operation must be the only defined operation.");
    check_variables(w, o);
    graphql_overlap_check(w, &o->selections);
    if (subscription) check_subscription(w, o);
    if (graphql_map_get(&w->known_operations, o->name))
        graphql_report(w, o->at, "There can be only one operation named \"%.*s\".", STR(o->name));
    graphql_map_put(w->context->heap, &w->known_operations, o->name, o);
    check_variables_once(w, o);
    for (u32 i = 0; i < o->variables.count; i++) {
        const struct gql_variable *v = o->variables.items[i];
        if (v->definition && !graphql_is_input(v->definition))
            graphql_report(w, v->at, "Variable \"$%.*s\" cannot be non-input type \"%.*s\".",
                           STR(v->name), STR(text_of_type(w, v->type)));
    }
}

/* ---- Fields ---------------------------------------------------------------------------------- */

struct counted {
    str name;
    u32 uses;
};
static int compare_counted(const void *a, const void *b) {
    const struct counted *x = a, *y = b;
    return x->uses != y->uses ? (x->uses < y->uses ? 1 : -1) : str_cmp(x->name, y->name);
}

/* Types an abstract type may be, and their interfaces, that have such a field: most used first. */
static u32 types_with_field(struct gql_walk *w, const struct gql_definition *parent, str name,
                            str **out) {
    struct gql_map counts = {0};
    u32 n = 0, room = 0;
    if (parent->kind != GQL_KIND_INTERFACE && parent->kind != GQL_KIND_UNION) return 0;
    for (u32 i = 0; i < parent->possible.count; i++)
        room += 1 + parent->possible.items[i]->interfaces.count;
    struct counted *found = heap_alloc(w->context->heap, MAX(1, room) * sizeof *found);
    *out = heap_alloc(w->context->heap, MAX(1, room) * sizeof **out);
    if (!found || !*out) return 0;
    for (u32 i = 0; i < parent->possible.count; i++) {
        const struct gql_definition *p = parent->possible.items[i];
        if (!graphql_field_find(&p->fields, name) || !graphql_walk_on(w, 1)) continue;
        found[n++] = (struct counted){p->name, 0};
        for (u32 j = 0; j < p->interfaces.count; j++) {
            const struct gql_definition *f =
                graphql_map_get(&w->schema->types, p->interfaces.items[j]);
            if (!f || !graphql_field_find(&f->fields, name)) continue;
            struct counted *c = graphql_map_get(&counts, f->name);
            if (!c) {
                c = &found[n++];
                *c = (struct counted){f->name, 0};
                graphql_map_put(w->context->heap, &counts, f->name, c);
            }
            c->uses++;
        }
    }
    if (n) qsort(found, n, sizeof *found, compare_counted);
    for (u32 i = 0; i < n; i++) (*out)[i] = found[i].name;
    return n;
}

static void check_field_known(struct gql_walk *w, const struct gql_selection *f) {
    str *types;
    if (!f->parent || f->definition) return;
    u32 n = types_with_field(w, f->parent, f->name, &types);
    if (n) {
        struct buf list;
        buf_open(&list, 1024);
        graphql_or_list(&list, types, n);
        graphql_report(w, f->at,
                       "Cannot query field \"%.*s\" on type \"%.*s\". Did you mean to use an "
                       "inline fragment on %.*s?",
                       STR(f->name), STR(f->parent->name), (int)list.len, list.ptr);
        buf_close(&list);
        return;
    }
    static const gql_fields none;
    bool has_fields = f->parent->kind == GQL_KIND_OBJECT || f->parent->kind == GQL_KIND_INTERFACE;
    REPORT_WITH_SUGGESTION(
        w, f->at, "Did you mean", f->name, has_fields ? &f->parent->fields : &none,
        "Cannot query field \"%.*s\" on type \"%.*s\".", STR(f->name), STR(f->parent->name));
}

/* How many lists of lists of the schema's own description a query may ask for. */
static bool is_too_deep(struct gql_walk *w, const gql_selections *list, u32 lists, u32 depth) {
    static const char *const names[] = {"fields", "interfaces", "possibleTypes", "inputFields"};
    if (depth > GRAPHQL_WALK_DEPTH_MAX) return false;
    for (u32 i = 0; i < list->count && graphql_walk_on(w, 1); i++) {
        const struct gql_selection *s = list->items[i];
        u32 here = lists;
        for (size_t j = 0; s->kind == GQL_FIELD && j < ARRAY_LEN(names); j++)
            here += str_eq(s->name, str_from_c(names[j]));
        if (here >= 3) return true;
        const gql_selections *below = s->kind == GQL_SPREAD
                                          ? (s->fragment ? &s->fragment->selections : NULL)
                                          : (const gql_selections *)&s->selections;
        if (below && is_too_deep(w, below, here, depth + 1)) return true;
    }
    return false;
}

static void check_required(struct gql_walk *w, const gql_fields *wanted, const void *given_list,
                           struct gql_place at, const char *what, str name) {
    const GQL_LIST(gql_argument) *given = given_list;
    for (u32 i = 0; i < wanted->count; i++) {
        const struct gql_field_definition *f = wanted->items[i];
        bool found = !f->type->non_null || f->default_value;
        for (u32 j = 0; !found && j < given->count; j++)
            found = str_eq(given->items[j]->name, f->name);
        if (!found)
            graphql_report(
                w, at,
                "%s%.*s\" argument \"%.*s\" of type \"%.*s\" is required, but it was not provided.",
                what, STR(name), STR(f->name), STR(text_of_type(w, f->type)));
    }
}
static void check_arguments_once(struct gql_walk *w, const void *given_list) {
    const GQL_LIST(gql_argument) *given = given_list;
    struct gql_map seen = {0};
    for (u32 i = 0; i < given->count; i++) {
        struct gql_argument *a = given->items[i];
        if (graphql_map_get(&seen, a->name))
            graphql_report(w, a->at, "There can be only one argument named \"%.*s\".",
                           STR(a->name));
        if (given->count > 1) graphql_map_put(w->context->heap, &seen, a->name, a);
    }
}

void graphql_rules_field(struct gql_walk *w, struct gql_selection *f) {
    static const gql_fields none;
    const gql_fields *known = f->definition ? (const gql_fields *)&f->definition->arguments : &none;
    check_field_known(w, f);
    for (u32 i = 0; f->definition && f->parent && i < f->arguments.count; i++) {
        str name = f->arguments.items[i]->name;
        if (!graphql_field_find(known, name))
            REPORT_WITH_SUGGESTION(w, f->at, "Did you mean", name, known,
                                   "Unknown argument \"%.*s\" on field \"%.*s.%.*s\".", STR(name),
                                   STR(f->parent->name), STR(f->name));
    }
    if ((str_eq(f->name, S("__schema")) || str_eq(f->name, S("__type"))) &&
        is_too_deep(w, (const gql_selections *)&f->selections, 0, 0))
        graphql_report(w, f->at, "Maximum introspection depth exceeded");
    if (w->operation) graphql_overlap_check(w, (const gql_selections *)&f->selections);
    if (f->definition) check_required(w, known, &f->arguments, f->at, "Field \"", f->name);
    const struct gql_definition *type =
        f->definition ? graphql_map_get(&w->schema->types, graphql_type_name(f->definition->type))
                      : NULL;
    if (type && is_leaf(type) && f->selections.count)
        graphql_report(
            w, f->at,
            "Field \"%.*s\" must not have a selection since type \"%.*s\" has no subfields.",
            STR(f->name), STR(type->name));
    if (type && !is_leaf(type) && !f->selections.count)
        graphql_report(w, f->at,
                       "Field \"%.*s\" of type \"%.*s\" must have a selection of subfields. "
                       "Did you mean \"%.*s { ... }\"?",
                       STR(f->name), STR(text_of_type(w, f->definition->type)), STR(f->name));
    check_arguments_once(w, &f->arguments);
}

/* ---- Fragments ------------------------------------------------------------------------------- */

struct spreads {
    GQL_LIST(gql_selection) list;
};
/* All spreads below, inner sets after outer ones, the last set first: the reference's order. */
static void collect_spreads(struct gql_walk *w, const gql_selections *from, struct spreads *out) {
    struct {
        const gql_selections **items;
        u32 count, room;
    } sets = {0};
    graphql_push(w->context->heap, &sets, from);
    while (sets.count && graphql_walk_on(w, 1)) {
        const gql_selections *set = sets.items[--sets.count];
        for (u32 i = 0; i < set->count; i++) {
            struct gql_selection *s = set->items[i];
            if (s->kind == GQL_SPREAD)
                graphql_push(w->context->heap, &out->list, s);
            else
                graphql_push(w->context->heap, &sets, &s->selections);
        }
    }
}

struct path {
    const struct gql_selection *spreads[GRAPHQL_WALK_DEPTH_MAX];
    str fragments[GRAPHQL_WALK_DEPTH_MAX];
    u32 count;
};

static void report_cycle(struct gql_walk *w, const struct path *p, u32 from,
                         const struct gql_selection *s) {
    struct buf via;
    buf_open(&via, 1024);
    for (u32 i = from; i < p->count - 1; i++)
        (void)buf_printf(&via, i == from ? " via %.*s" : ", %.*s", STR(p->spreads[i]->name));
    graphql_report(w, s->at, "Cannot spread fragment \"%.*s\" within itself%.*s.", STR(s->name),
                   (int)via.len, via.ptr ? via.ptr : "");
    buf_close(&via);
}

static void find_cycles(struct gql_walk *w, struct gql_fragment *f, struct path *p) {
    struct spreads all = {0};
    if (graphql_map_get(&w->cyclic_fragments, f->name) || p->count == GRAPHQL_WALK_DEPTH_MAX)
        return;
    graphql_map_put(w->context->heap, &w->cyclic_fragments, f->name, f);
    collect_spreads(w, &f->selections, &all);
    u32 at = p->count++;
    p->fragments[at] = f->name;
    for (u32 i = 0; i < all.list.count && graphql_walk_on(w, 1); i++) {
        struct gql_selection *s = all.list.items[i];
        u32 cycle = 0;
        p->spreads[at] = s;
        while (cycle <= at && !str_eq(p->fragments[cycle], s->name)) cycle++;
        if (cycle <= at)
            report_cycle(w, p, cycle, s);
        else if (s->fragment)
            find_cycles(w, s->fragment, p);
    }
    p->count--;
}

void graphql_rules_fragment(struct gql_walk *w, struct gql_fragment *f) {
    if (f->definition && f->condition.len && !graphql_is_composite(f->definition))
        graphql_report(w, f->at,
                       "Fragment \"%.*s\" cannot condition on non composite type \"%.*s\".",
                       STR(f->name), STR(f->condition));
    if (!f->definition) {
        str *names = graphql_map_names(w->context->heap, &w->schema->types);
        struct buf more;
        buf_open(&more, 1024);
        if (names)
            graphql_suggest(w, &more, "Did you mean", f->condition, names, w->schema->types.count);
        graphql_report(w, f->at, "Unknown type \"%.*s\".%.*s", STR(f->condition), (int)more.len,
                       more.ptr ? more.ptr : "");
        buf_close(&more);
    }
    struct path *p = heap_alloc(w->context->heap, sizeof *p);
    if (!p) return;
    p->count = 0;
    find_cycles(w, f, p);
    if (!graphql_map_get(&w->used_fragments, f->name))
        graphql_report(w, f->at, "Fragment \"%.*s\" is never used.", STR(f->name));
    graphql_overlap_check(w, &f->selections);
    if (graphql_map_get(&w->known_fragments, f->name))
        graphql_report(w, f->at, "There can be only one fragment named \"%.*s\".", STR(f->name));
    graphql_map_put(w->context->heap, &w->known_fragments, f->name, f);
    w->in_fragment = true;
}

/* Can anything be both? */
static bool may_be(struct gql_walk *w, const struct gql_definition *parent, str condition) {
    const struct gql_definition *other = graphql_map_get(&w->schema->types, condition);
    if (!parent || !graphql_is_composite(parent) || !other || !graphql_is_composite(other))
        return true;
    bool alone = parent->kind == GQL_KIND_OBJECT;
    for (u32 i = 0; i < other->possible.count; i++) {
        if (alone && str_eq(parent->name, other->possible.items[i]->name)) return true;
        for (u32 j = 0; !alone && j < parent->possible.count; j++)
            if (parent->possible.items[j] == other->possible.items[i]) return true;
        if (!graphql_walk_on(w, 1 + parent->possible.count / 16)) return true;
    }
    return false;
}

void graphql_rules_inline(struct gql_walk *w, struct gql_selection *f) {
    const struct gql_definition *type = graphql_map_get(&w->schema->types, f->name);
    if (type && !graphql_is_composite(type))
        graphql_report(w, f->at, "Fragment cannot condition on non composite type \"%.*s\".",
                       STR(f->name));
    if (f->name.len && !type) graphql_report(w, f->at, "Unknown type \"%.*s\".", STR(f->name));
    graphql_overlap_check(w, (const gql_selections *)&f->selections);
    if (!may_be(w, f->parent, f->name))
        graphql_report(w, f->at,
                       "Fragment cannot be spread here as objects of type \"%.*s\" can never be of "
                       "type \"%.*s\".",
                       STR(f->parent->name), STR(f->name));
}

void graphql_rules_spread(struct gql_walk *w, struct gql_selection *f) {
    if (!f->fragment) {
        graphql_report(w, f->at, "Unknown fragment \"%.*s\".", STR(f->name));
        graphql_map_put(w->context->heap, &w->used_fragments, f->name, f);
        return;
    }
    if (!w->in_fragment) graphql_map_put(w->context->heap, &w->used_fragments, f->name, f);
    if (!may_be(w, f->parent, f->fragment->condition))
        graphql_report(w, f->at,
                       "Fragment \"%.*s\" cannot be spread here as objects of type \"%.*s\" can "
                       "never be of type "
                       "\"%.*s\".",
                       STR(f->name), STR(f->parent->name), STR(f->fragment->condition));
}

/* ---- Directives ------------------------------------------------------------------------------ */

void graphql_rules_directive(struct gql_walk *w, struct gql_directive *d) {
    if (!d->definition) {
        graphql_report(w, d->at, "Unknown directive \"@%.*s\".", STR(d->name));
        check_arguments_once(w, &d->arguments);
        return;
    }
    for (u32 i = 0; i < d->arguments.count; i++) {
        str name = d->arguments.items[i]->name;
        if (!graphql_field_find(&d->definition->arguments, name))
            REPORT_WITH_SUGGESTION(w, d->at, "Did you mean", name, &d->definition->arguments,
                                   "Unknown argument \"%.*s\" on directive \"@%.*s\".", STR(name),
                                   STR(d->name));
    }
    if (!graphql_names_have(&d->definition->locations, str_from_c(d->location)))
        graphql_report(w, d->at, "Directive \"@%.*s\" may not be used on %s.", STR(d->name),
                       d->location);
    check_required(w, &d->definition->arguments, &d->arguments, d->at, "Directive \"@", d->name);
    check_arguments_once(w, &d->arguments);
}

void graphql_rules_directives(struct gql_walk *w, gql_directives *list) {
    struct gql_map seen = {0};
    for (u32 i = 0; list->count > 1 && i < list->count; i++) {
        struct gql_directive *d = list->items[i];
        bool may = str_eq(d->name, S("repeatable")) || (d->definition && d->definition->repeatable);
        if (!may && graphql_map_get(&seen, d->name))
            graphql_report(w, d->at,
                           "The directive \"@%.*s\" can only be used once at this location.",
                           STR(d->name));
        graphql_map_put(w->context->heap, &seen, d->name, d);
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void report_type(struct gql_walk *w, const struct gql_value *v) {
    str type = text_of_type(w, v->expected), text = text_of_value(w, v);
    str bare = type.len && type.ptr[type.len - 1] == '!' ? str_take(type, type.len - 1) : type;
    s64 n;
    if (str_eq(bare, S("Int"))) {
        bool whole = v->kind == GQL_INT,
             fits = whole && str_to_s64(v->raw, &n) == RC_OK && n >= INT32_MIN && n <= INT32_MAX;
        graphql_report(w, v->at,
                       whole && !fits ? "Int cannot represent non 32-bit signed integer value: %.*s"
                                      : "Int cannot represent non-integer value: %.*s",
                       STR(text));
    } else if (str_eq(bare, S("String")) || str_eq(type, S("[String]")))
        graphql_report(w, v->at, "String cannot represent a non string value: %.*s", STR(text));
    else if (str_eq(bare, S("Boolean")))
        graphql_report(w, v->at, "Boolean cannot represent a non boolean value: %.*s", STR(text));
    else if (str_eq(bare, S("Float")))
        graphql_report(w, v->at, "Float cannot represent non numeric value: %.*s", STR(text));
    else if (str_eq(bare, S("ID")))
        graphql_report(w, v->at, "ID cannot represent a non-string and non-integer value: %.*s",
                       STR(text));
    else if (v->definition->kind == GQL_KIND_ENUM)
        graphql_report(w, v->at, "Enum \"%.*s\" cannot represent non-enum value: %.*s.", STR(type),
                       STR(text));
    else
        graphql_report(w, v->at, "Expected value of type \"%.*s\", found %.*s.", STR(type),
                       STR(text));
}

static bool is_named(const struct gql_value *v, const char *a, const char *b, const char *c) {
    str name = v->definition->name;
    return str_eq(name, str_from_c(a)) || (b && str_eq(name, str_from_c(b))) ||
           (c && str_eq(name, str_from_c(c)));
}

/* Whole numbers of 64 bits and doubles in range: what a value can be turned into. */
static bool is_convertible(const struct gql_value *v) {
    s64 n;
    char text[400], *end;
    if (v->kind == GQL_INT) return str_to_s64(v->raw, &n) == RC_OK;
    if (v->kind == GQL_FLOAT) {
        if (str_to_c(v->raw, text, sizeof text)) return false;
        double d = strtod(text, &end);
        return *end == 0 && isfinite(d);
    }
    for (u32 i = 0; i < v->children.count; i++)
        if (v->children.items[i].value && !is_convertible(v->children.items[i].value)) return false;
    return true;
}

static void check_object(struct gql_walk *w, const struct gql_value *v) {
    const struct gql_definition *d = v->definition;
    for (u32 i = 0; i < d->fields.count; i++) {
        const struct gql_field_definition *f = d->fields.items[i];
        bool found = !f->type || !f->type->non_null || f->default_value;
        for (u32 j = 0; !found && j < v->children.count; j++)
            found = str_eq(v->children.items[j].name, f->name);
        if (!found)
            graphql_report(w, v->at,
                           "Field \"%.*s.%.*s\" of required type \"%.*s\" was not provided.",
                           STR(d->name), STR(f->name), STR(text_of_type(w, f->type)));
    }
    for (u32 j = 0; j < v->children.count; j++) {
        const struct gql_member *m = &v->children.items[j];
        if (!graphql_field_find(&d->fields, m->name))
            REPORT_WITH_SUGGESTION(w, m->at, "Did you mean", m->name, &d->fields,
                                   "Field \"%.*s\" is not defined by type \"%.*s\".", STR(m->name),
                                   STR(d->name));
    }
}

static void check_type(struct gql_walk *w, const struct gql_value *v) {
    if (!v->definition || !v->expected) return;
    if (v->kind == GQL_NULL && v->expected->non_null)
        graphql_report(w, v->at, "Expected value of type \"%.*s\", found %.*s.",
                       STR(text_of_type(w, v->expected)), STR(text_of_value(w, v)));
    bool is_enum = v->definition->kind == GQL_KIND_ENUM;
    if (v->definition->kind == GQL_KIND_SCALAR && !is_named(v, "Int", "Float", "String") &&
        !is_named(v, "Boolean", "ID", NULL))
        return; /* a scalar of the schema's own */
    if (!is_convertible(v)) report_type(w, v);
    switch (v->kind) {
    case GQL_NULL:
    case GQL_VARIABLE: return;
    case GQL_LIST_VALUE:
        if (!v->expected->elem) report_type(w, v);
        return;
    case GQL_INT:
        if (!is_named(v, "Int", "Float", "ID")) report_type(w, v);
        return;
    case GQL_FLOAT:
        if (!is_named(v, "Float", NULL, NULL)) report_type(w, v);
        return;
    case GQL_STRING:
    case GQL_BLOCK:
        if (is_enum)
            REPORT_WITH_SUGGESTION(w, v->at, "Did you mean the enum value", v->raw,
                                   &v->definition->enum_values,
                                   "Enum \"%.*s\" cannot represent non-enum value: %.*s.",
                                   STR(text_of_type(w, v->expected)), STR(text_of_value(w, v)));
        else if (!is_named(v, "String", "ID", NULL))
            report_type(w, v);
        return;
    case GQL_ENUM:
        if (!is_enum)
            report_type(w, v);
        else if (!graphql_field_find(&v->definition->enum_values, v->raw))
            REPORT_WITH_SUGGESTION(w, v->at, "Did you mean the enum value", v->raw,
                                   &v->definition->enum_values,
                                   "Value \"%.*s\" does not exist in \"%.*s\" enum.",
                                   STR(text_of_value(w, v)), STR(text_of_type(w, v->expected)));
        return;
    case GQL_BOOLEAN:
        if (!is_named(v, "Boolean", NULL, NULL)) report_type(w, v);
        return;
    case GQL_OBJECT: check_object(w, v); return;
    }
}

static void check_members_once(struct gql_walk *w, const struct gql_value *v) {
    struct gql_map seen = {0};
    for (u32 i = 0; v->kind == GQL_OBJECT && v->children.count > 1 && i < v->children.count; i++) {
        struct gql_member *m = &v->children.items[i];
        if (graphql_map_get(&seen, m->name))
            graphql_report(w, m->at, "There can be only one input field named \"%.*s\".",
                           STR(m->name));
        graphql_map_put(w->context->heap, &seen, m->name, m);
    }
}

void graphql_rules_value(struct gql_walk *w, struct gql_value *v) {
    if (v->kind == GQL_VARIABLE && w->operation && !v->variable) {
        if (w->operation->name.len)
            graphql_report(w, v->at, "Variable \"$%.*s\" is not defined by operation \"%.*s\".",
                           STR(v->raw), STR(w->operation->name));
        else
            graphql_report(w, v->at, "Variable \"$%.*s\" is not defined.", STR(v->raw));
    }
    check_members_once(w, v);
    check_type(w, v);
    if (v->kind != GQL_VARIABLE || !v->expected || !v->variable || !w->operation) return;
    struct gql_type expected = *v->expected; /* with a default on either side null may be given */
    const struct gql_value *given = v->variable->default_value;
    if (v->expected_has_default || (given && given->kind != GQL_NULL)) expected.non_null = false;
    if (!graphql_type_fits(v->variable->type, &expected))
        graphql_report(
            w, v->at,
            "Variable \"$%.*s\" of type \"%.*s\" used in position expecting type \"%.*s\".",
            STR(v->raw), STR(text_of_type(w, v->variable->type)),
            STR(text_of_type(w, v->expected)));
}
