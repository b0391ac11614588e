/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c — a schema document made whole: extensions joined in, names resolved, everything checked
 * (October 2021, section 3), in the reference's order and words.
 *
 * The built-in types come first, as if the document began with them. Checking goes by name, so that
 * the first error does not depend on how a map is laid out. */
#include "app/policy/graphql/graphql_impl.h"

static const char prelude[] =
    "scalar Int scalar Float scalar String scalar Boolean scalar ID\n"
    "directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT\n"
    "directive @skip(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT\n"
    "directive @deprecated(reason: String = \"No longer supported\") on FIELD_DEFINITION | "
    "ARGUMENT_DEFINITION "
    "| INPUT_FIELD_DEFINITION | ENUM_VALUE\n"
    "directive @specifiedBy(url: String!) on SCALAR\n"
    "directive @defer(if: Boolean = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT\n"
    "directive @oneOf on INPUT_OBJECT\n"
    "type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type "
    "subscriptionType: __Type directives: [__Directive!]! }\n"
    "type __Type { kind: __TypeKind! name: String description: String "
    "fields(includeDeprecated: Boolean = false): [__Field!] interfaces: [__Type!] possibleTypes: "
    "[__Type!] "
    "enumValues(includeDeprecated: Boolean = false): [__EnumValue!] inputFields: [__InputValue!] "
    "ofType: __Type "
    "specifiedByURL: String }\n"
    "type __Field { name: String! description: String args: [__InputValue!]! type: __Type! "
    "isDeprecated: Boolean! "
    "deprecationReason: String }\n"
    "type __InputValue { name: String! description: String type: __Type! defaultValue: String }\n"
    "type __EnumValue { name: String! description: String isDeprecated: Boolean! "
    "deprecationReason: String }\n"
    "enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }\n"
    "type __Directive { name: String! description: String locations: [__DirectiveLocation!]! "
    "args: [__InputValue!]! isRepeatable: Boolean! }\n"
    "enum __DirectiveLocation { QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION "
    "FRAGMENT_SPREAD "
    "INLINE_FRAGMENT VARIABLE_DEFINITION SCHEMA SCALAR OBJECT FIELD_DEFINITION ARGUMENT_DEFINITION "
    "INTERFACE UNION "
    "ENUM ENUM_VALUE INPUT_OBJECT INPUT_FIELD_DEFINITION }\n";

struct loading {
    struct gql_context *c;
    struct gql_schema *s;
};
static struct gql_definition *type_named(const struct gql_schema *s, str name) {
    return graphql_map_get(&s->types, name);
}
static bool stopped(struct loading *l) {
    return l->c->failed || l->c->heap->exhausted || !l->c->tick(l->c->arg, 1);
}

/* ---- Joining --------------------------------------------------------------------------------- */

#define APPEND(h, to, from)                                                                        \
    do {                                                                                           \
        for (u32 i_ = 0; i_ < (from).count; i_++) graphql_push((h), &(to), (from).items[i_]);      \
    } while (0)

static void add_types(struct loading *l, struct gql_document *d) {
    for (u32 i = 0; i < d->definitions.count && !stopped(l); i++) {
        struct gql_definition *def = d->definitions.items[i];
        if (type_named(l->s, def->name))
            graphql_fail(l->c, def->at, "Cannot redeclare type %.*s.", STR(def->name));
        else
            graphql_map_put(l->c->heap, &l->s->types, def->name, def);
    }
}

static void extend_types(struct loading *l, struct gql_document *d) {
    struct heap *h = l->c->heap;
    for (u32 i = 0; i < d->extensions.count && !stopped(l); i++) {
        struct gql_definition *ext = d->extensions.items[i], *def = type_named(l->s, ext->name);
        if (!def) {
            def = GQL_NEW(l->c, gql_definition);
            if (!def) return;
            *def = (struct gql_definition){.kind = ext->kind, .name = ext->name, .at = ext->at};
            graphql_map_put(h, &l->s->types, ext->name, def);
            graphql_push(h, &d->definitions, def);
        }
        if (def->kind != ext->kind) {
            graphql_fail(
                l->c, ext->at, "Cannot extend type %.*s because the base type is a %s, not %s.",
                STR(ext->name), graphql_kind_name(def->kind), graphql_kind_name(ext->kind));
            return;
        }
        APPEND(h, def->directives, ext->directives);
        APPEND(h, def->fields, ext->fields);
        APPEND(h, def->enum_values, ext->enum_values);
        for (u32 j = 0; j < ext->interfaces.count; j++)
            graphql_push_name(h, &def->interfaces, ext->interfaces.items[j]);
        for (u32 j = 0; j < ext->types.count; j++)
            graphql_push_name(h, &def->types, ext->types.items[j]);
    }
}

static void add_possible(struct loading *l, struct gql_document *d) {
    struct heap *h = l->c->heap;
    for (u32 i = 0; i < d->definitions.count && !stopped(l); i++) {
        struct gql_definition *def = d->definitions.items[i], *other;
        if (def->kind == GQL_KIND_UNION)
            for (u32 j = 0; j < def->types.count; j++) {
                if ((other = type_named(l->s, def->types.items[j])))
                    graphql_push(h, &def->possible, other);
            }
        for (u32 j = 0; j < def->interfaces.count; j++)
            if ((other = type_named(l->s, def->interfaces.items[j])) && other != def)
                graphql_push(h, &other->possible, def);
        if (def->kind == GQL_KIND_OBJECT || def->kind == GQL_KIND_INPUT)
            graphql_push(h, &def->possible, def);
    }
}

static void add_directives(struct loading *l, struct gql_document *d) {
    static const char *const again[] = {"include",     "skip",  "deprecated",
                                        "specifiedBy", "defer", "oneOf"}; /* the first one stays */
    for (u32 i = 0; i < d->directives.count && !stopped(l); i++) {
        struct gql_directive_definition *def = d->directives.items[i];
        bool known = graphql_map_get(&l->s->directives, def->name), may = false;
        for (size_t j = 0; j < ARRAY_LEN(again); j++)
            may |= str_eq(def->name, str_from_c(again[j]));
        if (known && !may)
            graphql_fail(l->c, def->at, "Cannot redeclare directive %.*s.", STR(def->name));
        graphql_map_put(l->c->heap, &l->s->directives, def->name, def);
    }
}

static void add_roots(struct loading *l, const struct gql_schema_definition *s) {
    for (u32 i = 0; i < s->roots.count; i++) {
        const struct gql_root *r = s->roots.items[i];
        struct gql_definition *def = type_named(l->s, r->type);
        if (!def) {
            graphql_fail(l->c, r->at, "Schema root %.*s refers to a type %.*s that does not exist.",
                         STR(r->operation), STR(r->type));
            return;
        }
        if (str_eq(r->operation, S("query")))
            l->s->query = def;
        else if (str_eq(r->operation, S("mutation")))
            l->s->mutation = def;
        else if (str_eq(r->operation, S("subscription")))
            l->s->subscription = def;
    }
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool check_name(struct loading *l, struct gql_place at, str name) {
    if (!str_starts(name, S("__"))) return true;
    graphql_fail(
        l->c, at,
        "Name \"%.*s\" must not begin with \"__\", which is reserved by GraphQL introspection.",
        STR(name));
    return false;
}
static bool check_type(struct loading *l, const struct gql_type *t) {
    str name = graphql_type_name(t);
    if (type_named(l->s, name)) return true;
    graphql_fail(l->c, t ? t->at : (struct gql_place){0}, "Undefined type %.*s.", STR(name));
    return false;
}

static bool check_directives(struct loading *l, const gql_directives *list, const char *location,
                             const struct gql_directive_definition *within) {
    for (u32 i = 0; i < list->count; i++) {
        struct gql_directive *d = list->items[i];
        if (stopped(l) || !check_name(l, d->at, d->name)) return false;
        d->definition = graphql_map_get(&l->s->directives, d->name);
        if (within && str_eq(d->name, within->name))
            graphql_fail(l->c, d->at, "Directive %.*s cannot refer to itself.", STR(within->name));
        else if (!d->definition)
            graphql_fail(l->c, d->at, "Undefined directive %.*s.", STR(d->name));
        else if (!graphql_names_have(&d->definition->locations, str_from_c(location)))
            graphql_fail(l->c, d->at, "Directive %.*s is not applicable on %s.", STR(d->name),
                         location);
        if (l->c->failed) return false;
    }
    return true;
}

static bool check_arguments(struct loading *l, const gql_fields *arguments,
                            const struct gql_directive_definition *within) {
    for (u32 i = 0; i < arguments->count; i++) {
        const struct gql_field_definition *a = arguments->items[i];
        if (!check_name(l, a->at, a->name) || !check_type(l, a->type)) return false;
        const struct gql_definition *def = type_named(l->s, graphql_type_name(a->type));
        if (!graphql_is_input(def)) {
            struct buf text;
            buf_open(&text, 4096);
            graphql_type_write(&text, a->type);
            graphql_fail(l->c, a->at,
                         "cannot use %.*s as argument %.*s because %s is not a valid input type",
                         (int)text.len, text.ptr, STR(a->name), graphql_kind_name(def->kind));
            buf_close(&text);
            return false;
        }
        if (!check_directives(l, &a->directives, "ARGUMENT_DEFINITION", within)) return false;
    }
    return true;
}

static bool is_covariant(const struct gql_schema *s, const struct gql_type *wanted,
                         const struct gql_type *actual) {
    for (;; wanted = wanted->elem, actual = actual->elem) {
        if (!wanted || !actual) return wanted == actual;
        if (wanted->non_null && !actual->non_null) return false;
        if (!wanted->name.len) continue;
        if (str_eq(wanted->name, actual->name)) return true;
        const struct gql_definition *def = type_named(s, wanted->name);
        for (u32 i = 0; def && i < def->possible.count; i++)
            if (str_eq(def->possible.items[i]->name, actual->name)) return true;
        return false;
    }
}

struct implementing {
    const struct gql_definition *def, *intf;
};

static bool check_implemented_arguments(struct loading *l, struct implementing x,
                                        const struct gql_field_definition *wanted,
                                        const struct gql_field_definition *found) {
#define FOR_TO "For %.*s to implement %.*s "
    str def = x.def->name, intf = x.intf->name;
    const gql_fields *w = (const gql_fields *)&wanted->arguments,
                     *f = (const gql_fields *)&found->arguments;
    for (u32 i = 0; i < w->count && !l->c->failed; i++) {
        const struct gql_field_definition *a = w->items[i], *b = graphql_field_find(f, a->name);
        if (!b)
            graphql_fail(l->c, found->at,
                         FOR_TO
                         "the field %.*s must have the same arguments but it is missing %.*s.",
                         STR(def), STR(intf), STR(wanted->name), STR(a->name));
        else if (!graphql_type_fits(a->type, b->type))
            graphql_fail(l->c, b->at,
                         FOR_TO
                         "the field %.*s must have the same arguments but %.*s has the wrong type.",
                         STR(def), STR(intf), STR(wanted->name), STR(a->name));
    }
    for (u32 i = 0; i < f->count && !l->c->failed; i++) {
        const struct gql_field_definition *b = f->items[i];
        if (!graphql_field_find(w, b->name) && b->type->non_null && !b->default_value)
            graphql_fail(
                l->c, b->at,
                FOR_TO "any additional arguments on %.*s must be optional or have a default value "
                       "but %.*s is required.",
                STR(def), STR(intf), STR(found->name), STR(b->name));
    }
    return !l->c->failed;
}

static bool check_implements(struct loading *l, const struct gql_definition *def, str name) {
    const struct gql_definition *intf = type_named(l->s, name);
    if (!intf)
        graphql_fail(l->c, def->at, "Undefined type \"%.*s\".", STR(name));
    else if (intf->kind != GQL_KIND_INTERFACE)
        graphql_fail(l->c, def->at, "\"%.*s\" is a non interface type %s.", STR(name),
                     graphql_kind_name(intf->kind));
    for (u32 i = 0; !stopped(l) && i < intf->fields.count; i++) {
        const struct gql_field_definition *wanted = intf->fields.items[i],
                                          *found = graphql_field_find(&def->fields, wanted->name);
        if (!found) {
            graphql_fail(l->c, def->at, FOR_TO "it must have a field called %.*s.", STR(def->name),
                         STR(intf->name), STR(wanted->name));
            return false;
        }
        if (!is_covariant(l->s, wanted->type, found->type)) {
            struct buf text;
            buf_open(&text, 4096);
            graphql_type_write(&text, wanted->type);
            graphql_fail(l->c, found->at, FOR_TO "the field %.*s must have type %.*s.",
                         STR(def->name), STR(intf->name), STR(wanted->name), (int)text.len,
                         text.ptr);
            buf_close(&text);
            return false;
        }
        if (!check_implemented_arguments(l, (struct implementing){def, intf}, wanted, found))
            return false;
    }
    for (u32 i = 0; !l->c->failed && i < intf->interfaces.count; i++) {
        str above = intf->interfaces.items[i];
        if (graphql_names_have(&def->interfaces, above)) continue;
        if (str_eq(above, def->name))
            graphql_fail(
                l->c, def->at,
                "Type %.*s cannot implement %.*s because it would create a circular reference.",
                STR(def->name), STR(name));
        else
            graphql_fail(l->c, def->at,
                         "Type %.*s must implement %.*s because it is implemented by %.*s.",
                         STR(def->name), STR(above), STR(name));
    }
    return !l->c->failed;
}

static bool check_fields(struct loading *l, const struct gql_definition *def) {
    const char *location =
        def->kind == GQL_KIND_INPUT ? "INPUT_FIELD_DEFINITION" : "FIELD_DEFINITION";
    for (u32 i = 0; i < def->fields.count; i++) {
        const struct gql_field_definition *f = def->fields.items[i];
        if (stopped(l) || !check_name(l, f->at, f->name) || !check_type(l, f->type) ||
            !check_arguments(l, (const gql_fields *)&f->arguments, NULL) ||
            !check_directives(l, &f->directives, location, NULL))
            return false;
    }
    return true;
}

/* What each kind of type must have, and may have as types of its fields. */
static bool check_kind(struct loading *l, const struct gql_definition *def) {
    const char *kind = graphql_kind_name(def->kind);
    bool in = def->kind == GQL_KIND_INPUT,
         out = def->kind == GQL_KIND_OBJECT || def->kind == GQL_KIND_INTERFACE;
    if (out && !def->fields.count)
        graphql_fail(l->c, def->at, "%s %.*s: must define one or more fields.", kind,
                     STR(def->name));
    else if (in && !def->fields.count)
        graphql_fail(l->c, def->at, "%s %.*s: must define one or more input fields.", kind,
                     STR(def->name));
    else if (def->kind == GQL_KIND_ENUM && !def->enum_values.count)
        graphql_fail(l->c, def->at, "%s %.*s: must define one or more unique enum values.", kind,
                     STR(def->name));
    for (u32 i = 0; def->kind == GQL_KIND_ENUM && i < def->enum_values.count; i++) {
        str name = def->enum_values.items[i]->name;
        if (str_eq(name, S("true")) || str_eq(name, S("false")) || str_eq(name, S("null")))
            graphql_fail(l->c, def->at, "%s %.*s: non-enum value %.*s.", kind, STR(def->name),
                         STR(name));
    }
    for (u32 i = 0; !l->c->failed && (in || out) && i < def->fields.count; i++) {
        const struct gql_field_definition *f = def->fields.items[i];
        const struct gql_definition *type = type_named(l->s, graphql_type_name(f->type));
        if (in && !graphql_is_input(type))
            graphql_fail(l->c, f->at, "%s %.*s: field must be one of SCALAR, ENUM, INPUT_OBJECT.",
                         graphql_kind_name(type->kind), STR(f->name));
        else if (out && type->kind == GQL_KIND_INPUT)
            graphql_fail(l->c, f->at,
                         "%s %.*s: field must be one of SCALAR, OBJECT, INTERFACE, UNION, ENUM.",
                         kind, STR(def->name));
    }
    return !l->c->failed;
}

static bool check_fields_once(struct loading *l, const struct gql_definition *def) {
    struct gql_map seen = {0};
    for (u32 i = 0; i < def->fields.count; i++) {
        struct gql_field_definition *f = def->fields.items[i];
        if (graphql_map_get(&seen, f->name)) {
            graphql_fail(l->c, f->at, "Field %.*s.%.*s can only be defined once.", STR(def->name),
                         STR(f->name));
            return false;
        }
        graphql_map_put(l->c->heap, &seen, f->name, f);
    }
    return true;
}

static bool check_definition(struct loading *l, const struct gql_definition *def) {
    if (!check_fields(l, def)) return false;
    for (u32 i = 0; i < def->types.count; i++) {
        const struct gql_definition *t = type_named(l->s, def->types.items[i]);
        if (!t)
            graphql_fail(l->c, def->at, "Undefined type \"%.*s\".", STR(def->types.items[i]));
        else if (t->kind != GQL_KIND_OBJECT)
            graphql_fail(l->c, def->at, "%s type \"%.*s\" must be OBJECT.",
                         graphql_kind_name(def->kind), STR(t->name));
        if (stopped(l)) return false;
    }
    for (u32 i = 0; i < def->interfaces.count; i++)
        if (!check_implements(l, def, def->interfaces.items[i])) return false;
    if (!check_kind(l, def) || !check_fields_once(l, def)) return false;
    if (!def->built_in && !check_name(l, def->at, def->name)) return false;
    return check_directives(l, &def->directives, graphql_kind_name(def->kind), NULL);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void check_all(struct loading *l) {
    str *names = graphql_map_names(l->c->heap, &l->s->types);
    for (u32 i = 0; names && i < l->s->types.count && !stopped(l); i++)
        if (!check_definition(l, type_named(l->s, names[i]))) return;
    names = graphql_map_names(l->c->heap, &l->s->directives);
    for (u32 i = 0; names && i < l->s->directives.count && !stopped(l); i++) {
        const struct gql_directive_definition *d = graphql_map_get(&l->s->directives, names[i]);
        if (!check_name(l, d->at, d->name) || !check_arguments(l, &d->arguments, d)) return;
    }
}

static struct gql_type *named_type(struct loading *l, const char *name, bool non_null) {
    struct gql_type *t = GQL_NEW(l->c, gql_type);
    if (t) t->name = str_from_c(name), t->non_null = non_null;
    return t;
}
/* __schema and __type, which every query may ask for. */
static void add_introspection(struct loading *l) {
    struct gql_field_definition *schema = GQL_NEW(l->c, gql_field_definition),
                                *type = GQL_NEW(l->c, gql_field_definition);
    struct gql_field_definition *name = GQL_NEW(l->c, gql_field_definition);
    if (!l->s->query || !schema || !type || !name) return;
    schema->name = S("__schema"), schema->type = named_type(l, "__Schema", true);
    type->name = S("__type"), type->type = named_type(l, "__Type", false);
    name->name = S("name"), name->type = named_type(l, "String", true);
    graphql_push(l->c->heap, &type->arguments, name);
    graphql_push(l->c->heap, &l->s->query->fields, schema);
    graphql_push(l->c->heap, &l->s->query->fields, type);
}

static void load(struct loading *l, struct gql_document *d) {
    add_types(l, d);
    extend_types(l, d);
    add_possible(l, d);
    add_directives(l, d);
    if (!l->c->failed && d->schema.count > 1)
        graphql_fail(
            l->c, d->schema.items[1]->at,
            "Cannot have multiple schema entry points, consider schema extensions instead.");
    if (!l->c->failed && d->schema.count) add_roots(l, d->schema.items[0]);
    for (u32 i = 0; !l->c->failed && i < d->schema_extensions.count; i++)
        add_roots(l, d->schema_extensions.items[i]);
    if (!l->c->failed) check_all(l);
    if (!d->schema.count) { /* without an entry point named, the usual names are it */
        if (!l->s->query) l->s->query = type_named(l->s, S("Query"));
        if (!l->s->mutation) l->s->mutation = type_named(l->s, S("Mutation"));
        if (!l->s->subscription) l->s->subscription = type_named(l->s, S("Subscription"));
    }
    if (!l->c->failed) add_introspection(l);
}

struct gql_schema *graphql_load_schema(struct gql_context *c, struct gql_document *d) {
    struct gql_document *all = graphql_parse_schema(c, str_from_c(prelude), true);
    struct gql_schema *s = GQL_NEW(c, gql_schema);
    struct loading l = {c, s};
    if (!all || !s) return NULL;
    APPEND(c->heap, all->definitions, d->definitions);
    APPEND(c->heap, all->extensions, d->extensions);
    APPEND(c->heap, all->directives, d->directives);
    APPEND(c->heap, all->schema, d->schema);
    APPEND(c->heap, all->schema_extensions, d->schema_extensions);
    load(&l, all);
    return stopped(&l) ? NULL : s;
}
