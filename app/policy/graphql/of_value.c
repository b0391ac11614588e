/* SPDX-License-Identifier: Apache-2.0 */
/* of_value.c — trees from values: documents that a policy has parsed before, or made itself.
 *
 * What is absent is empty; what has the wrong type is an error. Such trees have no places, and
 * their names are what the policy wrote: validation must expect anything. Values have limited
 * depth. */
#include "app/policy/graphql/graphql_impl.h"

static value member(struct gql_context *c, value object, const char *name, enum value_kind kind) {
    value v = value_get_str(object, str_from_c(name));
    if (!value_defined(v) || value_is(v, VALUE_NULL)) return UNDEFINED;
    if (value_is(v, kind)) return v;
    graphql_fail(c, (struct gql_place){0}, "json: cannot unmarshal %s into Go struct field %s",
                 value_kind_name(v.kind), name);
    return UNDEFINED;
}
static str text(struct gql_context *c, value object, const char *name) {
    value v = member(c, object, name, VALUE_STRING);
    return value_defined(v) ? value_str(v) : (str){0};
}
static bool truth(struct gql_context *c, value object, const char *name) {
    return value_is_true(member(c, object, name, VALUE_BOOLEAN));
}
static struct gql_place place_of(value object) {
    value at = value_get_str(object, S("Position"));
    value line = value_get_str(at, S("Line")), column = value_get_str(at, S("Column"));
    bool is_place = value_is(line, VALUE_NUMBER) && value_is(column, VALUE_NUMBER) && !line.boxed &&
                    !column.boxed;
    return is_place ? (struct gql_place){(u32)line.integer, (u32)column.integer}
                    : (struct gql_place){0};
}

/* Each object of a list by its own function; others are errors. */
#define READ_LIST(c, object, name, to, read)                                                       \
    do {                                                                                           \
        value list_ = member((c), (object), (name), VALUE_ARRAY);                                  \
        for (u32 i_ = 0; value_defined(list_) && i_ < value_count(list_); i_++) {                  \
            value item_ = value_item(list_, i_);                                                   \
            if (!value_is(item_, VALUE_OBJECT))                                                    \
                graphql_fail((c), (struct gql_place){0},                                           \
                             "json: cannot unmarshal %s into Go struct field %s",                  \
                             value_kind_name(item_.kind), (name));                                 \
            if (stopped(c)) break;                                                                 \
            graphql_push((c)->heap, (to), read((c), item_));                                       \
        }                                                                                          \
    } while (0)

static bool stopped(struct gql_context *c) {
    return c->failed || c->heap->exhausted || !c->tick(c->arg, 1);
}

static void read_names(struct gql_context *c, value object, const char *name,
                       struct gql_names *to) {
    value list = member(c, object, name, VALUE_ARRAY);
    for (u32 i = 0; value_defined(list) && i < value_count(list); i++) {
        value item = value_item(list, i);
        if (value_is(item, VALUE_STRING))
            graphql_push_name(c->heap, to, value_str(item));
        else
            graphql_fail(c, (struct gql_place){0},
                         "json: cannot unmarshal %s into Go struct field %s",
                         value_kind_name(item.kind), name);
    }
}

static struct gql_type *read_type(struct gql_context *c, value object) {
    struct gql_type *t = GQL_NEW(c, gql_type);
    if (!t || stopped(c)) return NULL;
    t->name = text(c, object, "NamedType");
    value elem = member(c, object, "Elem", VALUE_OBJECT);
    if (value_defined(elem)) t->elem = read_type(c, elem);
    t->non_null = truth(c, object, "NonNull");
    t->at = place_of(object);
    return t;
}
static struct gql_type *type_of(struct gql_context *c, value object) {
    value v = member(c, object, "Type", VALUE_OBJECT);
    return value_defined(v) ? read_type(c, v) : GQL_NEW(c, gql_type);
}

static struct gql_value *read_value(struct gql_context *c, value object);
static struct gql_value *value_of(struct gql_context *c, value object, const char *name) {
    value v = member(c, object, name, VALUE_OBJECT);
    return value_defined(v) ? read_value(c, v) : NULL;
}
static struct gql_value *read_value(struct gql_context *c, value object) {
    struct gql_value *v = GQL_NEW(c, gql_value);
    if (!v || stopped(c)) return NULL;
    v->raw = text(c, object, "Raw");
    v->at = place_of(object);
    value kind = member(c, object, "Kind", VALUE_NUMBER),
          children = member(c, object, "Children", VALUE_ARRAY);
    if (value_defined(kind)) {
        if (kind.boxed || kind.integer < 0 || kind.integer > GQL_OBJECT)
            graphql_fail(c, v->at, "json: not a kind of value");
        else
            v->kind = (enum gql_value_kind)kind.integer;
    }
    u32 n = value_defined(children) ? value_count(children) : 0;
    if (!n) return v;
    v->children.items = heap_alloc(c->heap, n * sizeof *v->children.items);
    for (u32 i = 0; v->children.items && i < n; i++) {
        value child = value_item(children, i);
        struct gql_member m = {.name = text(c, child, "Name"),
                               .value = value_of(c, child, "Value"),
                               .at = place_of(child)};
        if (!m.value) m.value = GQL_NEW(c, gql_value);
        v->children.items[i] = m;
        v->children.count = i + 1;
    }
    return v;
}

static struct gql_argument *read_argument(struct gql_context *c, value object) {
    struct gql_argument *a = GQL_NEW(c, gql_argument);
    if (!a) return NULL;
    a->name = text(c, object, "Name");
    a->value = value_of(c, object, "Value");
    if (!a->value) a->value = GQL_NEW(c, gql_value);
    a->at = place_of(object);
    return a;
}
static struct gql_directive *read_directive(struct gql_context *c, value object) {
    struct gql_directive *d = GQL_NEW(c, gql_directive);
    if (!d) return NULL;
    d->name = text(c, object, "Name");
    READ_LIST(c, object, "Arguments", &d->arguments, read_argument);
    d->at = place_of(object);
    return d;
}

static struct gql_selection *read_selection(struct gql_context *c, value object) {
    struct gql_selection *s = GQL_NEW(c, gql_selection);
    if (!s) return NULL;
    bool is_inline = value_defined(value_get_str(object, S("TypeCondition")));
    bool is_field = value_defined(value_get_str(object, S("Alias")));
    s->kind = is_inline ? GQL_INLINE : is_field ? GQL_FIELD : GQL_SPREAD;
    s->alias = text(c, object, "Alias");
    s->name = text(c, object, is_inline ? "TypeCondition" : "Name");
    s->at = place_of(object);
    READ_LIST(c, object, "Arguments", &s->arguments, read_argument);
    READ_LIST(c, object, "Directives", &s->directives, read_directive);
    READ_LIST(c, object, "SelectionSet", &s->selections, read_selection);
    return s;
}
static struct gql_variable *read_variable(struct gql_context *c, value object) {
    struct gql_variable *v = GQL_NEW(c, gql_variable);
    if (!v) return NULL;
    v->name = text(c, object, "Variable");
    v->type = type_of(c, object);
    v->default_value = value_of(c, object, "DefaultValue");
    READ_LIST(c, object, "Directives", &v->directives, read_directive);
    v->at = place_of(object);
    return v;
}
static struct gql_operation *read_operation(struct gql_context *c, value object) {
    struct gql_operation *o = GQL_NEW(c, gql_operation);
    if (!o) return NULL;
    o->operation = text(c, object, "Operation");
    o->name = text(c, object, "Name");
    READ_LIST(c, object, "VariableDefinitions", &o->variables, read_variable);
    READ_LIST(c, object, "Directives", &o->directives, read_directive);
    READ_LIST(c, object, "SelectionSet", &o->selections, read_selection);
    o->at = place_of(object);
    return o;
}
static struct gql_fragment *read_fragment(struct gql_context *c, value object) {
    struct gql_fragment *f = GQL_NEW(c, gql_fragment);
    if (!f) return NULL;
    f->name = text(c, object, "Name");
    f->condition = text(c, object, "TypeCondition");
    READ_LIST(c, object, "VariableDefinition", &f->variables, read_variable);
    READ_LIST(c, object, "Directives", &f->directives, read_directive);
    READ_LIST(c, object, "SelectionSet", &f->selections, read_selection);
    f->at = place_of(object);
    return f;
}
struct gql_query *graphql_query_of_value(struct gql_context *c, value v) {
    struct gql_query *q = GQL_NEW(c, gql_query);
    if (!q) return NULL;
    READ_LIST(c, v, "Operations", &q->operations, read_operation);
    READ_LIST(c, v, "Fragments", &q->fragments, read_fragment);
    return c->failed || c->heap->exhausted ? NULL : q;
}

/* ---- Schemas --------------------------------------------------------------------------------- */

static struct gql_field_definition *read_input(struct gql_context *c, value object) {
    struct gql_field_definition *f = GQL_NEW(c, gql_field_definition);
    if (!f) return NULL;
    f->description = text(c, object, "Description");
    f->name = text(c, object, "Name");
    f->default_value = value_of(c, object, "DefaultValue");
    f->type = type_of(c, object);
    READ_LIST(c, object, "Directives", &f->directives, read_directive);
    f->at = place_of(object);
    return f;
}
static struct gql_field_definition *read_field(struct gql_context *c, value object) {
    struct gql_field_definition *f = read_input(c, object);
    if (f) READ_LIST(c, object, "Arguments", &f->arguments, read_input);
    return f;
}
static struct gql_definition *read_definition(struct gql_context *c, value object) {
    struct gql_definition *d = GQL_NEW(c, gql_definition);
    if (!d) return NULL;
    str kind = text(c, object, "Kind");
    u32 k = GQL_KIND_SCALAR;
    while (k <= GQL_KIND_INPUT &&
           !str_eq(kind, str_from_c(graphql_kind_name((enum gql_definition_kind)k))))
        k++;
    if (k > GQL_KIND_INPUT) {
        graphql_fail(c, (struct gql_place){0}, "json: not a kind of definition");
        return NULL;
    }
    d->kind = (enum gql_definition_kind)k;
    d->description = text(c, object, "Description");
    d->name = text(c, object, "Name");
    READ_LIST(c, object, "Directives", &d->directives, read_directive);
    read_names(c, object, "Interfaces", &d->interfaces);
    READ_LIST(c, object, "Fields", &d->fields, read_field);
    read_names(c, object, "Types", &d->types);
    READ_LIST(c, object, "EnumValues", &d->enum_values, read_input);
    d->built_in = truth(c, object, "BuiltIn");
    d->at = place_of(object);
    return d;
}
static struct gql_root *read_root(struct gql_context *c, value object) {
    struct gql_root *r = GQL_NEW(c, gql_root);
    if (!r) return NULL;
    *r = (struct gql_root){text(c, object, "Operation"), text(c, object, "Type"), place_of(object)};
    return r;
}
static struct gql_schema_definition *read_schema(struct gql_context *c, value object) {
    struct gql_schema_definition *s = GQL_NEW(c, gql_schema_definition);
    if (!s) return NULL;
    s->description = text(c, object, "Description");
    READ_LIST(c, object, "Directives", &s->directives, read_directive);
    READ_LIST(c, object, "OperationTypes", &s->roots, read_root);
    s->at = place_of(object);
    return s;
}
static struct gql_directive_definition *read_directive_definition(struct gql_context *c,
                                                                  value object) {
    struct gql_directive_definition *d = GQL_NEW(c, gql_directive_definition);
    if (!d) return NULL;
    d->description = text(c, object, "Description");
    d->name = text(c, object, "Name");
    READ_LIST(c, object, "Arguments", &d->arguments, read_input);
    read_names(c, object, "Locations", &d->locations);
    d->repeatable = truth(c, object, "IsRepeatable");
    d->at = place_of(object);
    return d;
}
struct gql_document *graphql_document_of_value(struct gql_context *c, value v) {
    struct gql_document *d = GQL_NEW(c, gql_document);
    if (!d) return NULL;
    READ_LIST(c, v, "Schema", &d->schema, read_schema);
    READ_LIST(c, v, "SchemaExtension", &d->schema_extensions, read_schema);
    READ_LIST(c, v, "Directives", &d->directives, read_directive_definition);
    READ_LIST(c, v, "Definitions", &d->definitions, read_definition);
    READ_LIST(c, v, "Extensions", &d->extensions, read_definition);
    return c->failed || c->heap->exhausted ? NULL : d;
}
