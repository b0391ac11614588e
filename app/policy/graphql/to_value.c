/* SPDX-License-Identifier: Apache-2.0 */
/* to_value.c — trees as policies see them: places, nulls and empty lists left out. */
#include "app/policy/graphql/graphql_impl.h"

struct object {
    struct value_builder b;
};

static void open(struct object *o, struct heap *h) {
    value_builder_open(&o->b, h, VALUE_OBJECT);
}
static void put(struct object *o, const char *name, value v) {
    value_builder_replace(&o->b, value_string_c(o->b.heap, name), v);
}
static void put_text(struct object *o, const char *name, str s) {
    put(o, name, value_string(o->b.heap, s));
}
static void put_list(struct object *o, const char *name, value list) {
    if (value_count(list)) put(o, name, list);
}
static value close(struct object *o) {
    return value_builder_close(&o->b);
}

/* Each item of a list by its own function. */
#define LIST_VALUE(h, list, item_value)                                                            \
    ({                                                                                             \
        struct value_builder b_;                                                                   \
        value_builder_open(&b_, (h), VALUE_ARRAY);                                                 \
        for (u32 i_ = 0; i_ < (list).count; i_++)                                                  \
            value_builder_add(&b_, item_value((h), (list).items[i_]));                             \
        value_builder_close(&b_);                                                                  \
    })

static value name_value(struct heap *h, str name) {
    return value_string(h, name);
}

static value type_value(struct heap *h, const struct gql_type *t) {
    struct object o;
    open(&o, h);
    put_text(&o, "NamedType", t->name);
    if (t->elem) put(&o, "Elem", type_value(h, t->elem));
    put(&o, "NonNull", value_boolean(t->non_null));
    return close(&o);
}

static value literal_value(struct heap *h, const struct gql_value *v);
static value member_value(struct heap *h, struct gql_member m) {
    struct object o;
    open(&o, h);
    put_text(&o, "Name", m.name);
    if (m.value) put(&o, "Value", literal_value(h, m.value));
    return close(&o);
}
static value literal_value(struct heap *h, const struct gql_value *v) {
    struct object o;
    open(&o, h);
    put_text(&o, "Raw", v->raw);
    put(&o, "Kind", value_integer(v->kind));
    put(&o, "ExpectedTypeHasDefault", value_boolean(false)); /* validation's, shown all the same */
    put_list(&o, "Children", LIST_VALUE(h, v->children, member_value));
    return close(&o);
}

static value argument_value(struct heap *h, const struct gql_argument *a) {
    struct object o;
    open(&o, h);
    put_text(&o, "Name", a->name);
    if (a->value) put(&o, "Value", literal_value(h, a->value));
    return close(&o);
}
static value directive_value(struct heap *h, const struct gql_directive *d) {
    struct object o;
    open(&o, h);
    put_text(&o, "Name", d->name);
    put_text(&o, "Location", (str){0});
    put_list(&o, "Arguments", LIST_VALUE(h, d->arguments, argument_value));
    return close(&o);
}
static void put_directives(struct object *o, const gql_directives *list) {
    put_list(o, "Directives", LIST_VALUE(o->b.heap, *list, directive_value));
}

/* ---- Queries --------------------------------------------------------------------------------- */

static value selection_value(struct heap *h,
                             const struct gql_selection *s) { /* as deep as the parser allows */
    struct object o;
    open(&o, h);
    if (s->kind == GQL_FIELD) put_text(&o, "Alias", s->alias);
    put_text(&o, s->kind == GQL_INLINE ? "TypeCondition" : "Name", s->name);
    put_list(&o, "Arguments", LIST_VALUE(h, s->arguments, argument_value));
    put_directives(&o, &s->directives);
    put_list(&o, "SelectionSet", LIST_VALUE(h, s->selections, selection_value));
    return close(&o);
}
static value variable_value(struct heap *h, const struct gql_variable *v) {
    struct object o;
    open(&o, h);
    put_text(&o, "Variable", v->name);
    if (v->type) put(&o, "Type", type_value(h, v->type));
    if (v->default_value) put(&o, "DefaultValue", literal_value(h, v->default_value));
    put_directives(&o, &v->directives);
    put(&o, "Used", value_boolean(false));
    return close(&o);
}
static value operation_value(struct heap *h, const struct gql_operation *op) {
    struct object o;
    open(&o, h);
    put_text(&o, "Operation", op->operation);
    put_text(&o, "Name", op->name);
    put_list(&o, "VariableDefinitions", LIST_VALUE(h, op->variables, variable_value));
    put_directives(&o, &op->directives);
    put_list(&o, "SelectionSet", LIST_VALUE(h, op->selections, selection_value));
    return close(&o);
}
static value fragment_value(struct heap *h, const struct gql_fragment *f) {
    struct object o;
    open(&o, h);
    put_text(&o, "Name", f->name);
    put_text(&o, "TypeCondition", f->condition);
    put_list(&o, "VariableDefinition", LIST_VALUE(h, f->variables, variable_value));
    put_directives(&o, &f->directives);
    put_list(&o, "SelectionSet", LIST_VALUE(h, f->selections, selection_value));
    return close(&o);
}
value graphql_query_value(struct heap *h, const struct gql_query *q) {
    struct object o;
    open(&o, h);
    put_list(&o, "Operations", LIST_VALUE(h, q->operations, operation_value));
    put_list(&o, "Fragments", LIST_VALUE(h, q->fragments, fragment_value));
    return close(&o);
}

/* ---- Schemas --------------------------------------------------------------------------------- */

static value field_value(struct heap *h, const struct gql_field_definition *f) {
    struct object o;
    open(&o, h);
    put_text(&o, "Description", f->description);
    put_text(&o, "Name", f->name);
    put_list(&o, "Arguments",
             LIST_VALUE(h, f->arguments, field_value)); /* arguments have none: two levels */
    if (f->default_value) put(&o, "DefaultValue", literal_value(h, f->default_value));
    if (f->type) put(&o, "Type", type_value(h, f->type));
    put_directives(&o, &f->directives);
    return close(&o);
}
static value definition_value(struct heap *h, const struct gql_definition *d) {
    struct object o;
    open(&o, h);
    put(&o, "Kind", value_string_c(h, graphql_kind_name(d->kind)));
    put_text(&o, "Description", d->description);
    put_text(&o, "Name", d->name);
    put_directives(&o, &d->directives);
    put_list(&o, "Interfaces", LIST_VALUE(h, d->interfaces, name_value));
    put_list(&o, "Fields", LIST_VALUE(h, d->fields, field_value));
    put_list(&o, "Types", LIST_VALUE(h, d->types, name_value));
    put_list(&o, "EnumValues", LIST_VALUE(h, d->enum_values, field_value));
    put(&o, "BuiltIn", value_boolean(d->built_in));
    return close(&o);
}
static value root_value(struct heap *h, const struct gql_root *r) {
    struct object o;
    open(&o, h);
    put_text(&o, "Operation", r->operation);
    put_text(&o, "Type", r->type);
    return close(&o);
}
static value schema_value(struct heap *h, const struct gql_schema_definition *s) {
    struct object o;
    open(&o, h);
    put_text(&o, "Description", s->description);
    put_directives(&o, &s->directives);
    put_list(&o, "OperationTypes", LIST_VALUE(h, s->roots, root_value));
    return close(&o);
}
static value directive_definition_value(struct heap *h, const struct gql_directive_definition *d) {
    struct object o;
    open(&o, h);
    put_text(&o, "Description", d->description);
    put_text(&o, "Name", d->name);
    put_list(&o, "Arguments", LIST_VALUE(h, d->arguments, field_value));
    put_list(&o, "Locations", LIST_VALUE(h, d->locations, name_value));
    put(&o, "IsRepeatable", value_boolean(d->repeatable));
    return close(&o);
}
value graphql_document_value(struct heap *h, const struct gql_document *d) {
    struct object o;
    open(&o, h);
    put_list(&o, "Schema", LIST_VALUE(h, d->schema, schema_value));
    put_list(&o, "SchemaExtension", LIST_VALUE(h, d->schema_extensions, schema_value));
    put_list(&o, "Directives", LIST_VALUE(h, d->directives, directive_definition_value));
    put_list(&o, "Definitions", LIST_VALUE(h, d->definitions, definition_value));
    put_list(&o, "Extensions", LIST_VALUE(h, d->extensions, definition_value));
    return close(&o);
}
