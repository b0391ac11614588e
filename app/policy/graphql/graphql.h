/* SPDX-License-Identifier: Apache-2.0 */
/* graphql.h — GraphQL documents (October 2021): parsed, turned into values and back, checked.
 *
 *   query text  --graphql_parse_query-->  gql_query  --graphql_query_value-->  value
 *   schema text --graphql_parse_schema--> gql_document --graphql_load_schema--> gql_schema
 *   graphql_validate(schema, query)
 *
 * The tree has the shape and the names of the reference's library, since its JSON is what policies
 * see. Everything lives in the context's heap; texts are parts of the input or of the heap. */
#pragma once
#include "app/policy/value/value.h"

struct gql_place {
    u32 line, column;
}; /* 0: a document that came as a value */

#define GQL_LIST(type)                                                                             \
    struct {                                                                                       \
        struct type **items;                                                                       \
        u32 count, room;                                                                           \
    }

struct gql_type { /* name or elem */
    str name;
    struct gql_type *elem;
    bool non_null;
    struct gql_place at;
};

enum gql_value_kind { /* the reference's numbers */
                      GQL_VARIABLE,
                      GQL_INT,
                      GQL_FLOAT,
                      GQL_STRING,
                      GQL_BLOCK,
                      GQL_BOOLEAN,
                      GQL_NULL,
                      GQL_ENUM,
                      GQL_LIST_VALUE,
                      GQL_OBJECT,
};
struct gql_value {
    enum gql_value_kind kind;
    str raw;
    struct {
        struct gql_member *items;
        u32 count, room;
    } children;
    struct gql_place at;
    struct gql_definition *definition; /* set by validation, like those below */
    struct gql_type *expected;
    bool expected_has_default;
    struct gql_variable *variable;
};
struct gql_member {
    str name;
    struct gql_value *value;
    struct gql_place at;
};

struct gql_argument {
    str name;
    struct gql_value *value;
    struct gql_place at;
};
struct gql_directive {
    str name;
    GQL_LIST(gql_argument) arguments;
    struct gql_place at;
    struct gql_directive_definition *definition; /* by validation */
    const char *location;
};
typedef GQL_LIST(gql_directive) gql_directives;

/* A field of an object, an argument of a field, a member of an input object, a value of an enum. */
struct gql_field_definition {
    str description, name;
    GQL_LIST(gql_field_definition) arguments;
    struct gql_value *default_value;
    struct gql_type *type;
    gql_directives directives;
    struct gql_place at;
};
typedef GQL_LIST(gql_field_definition) gql_fields;
struct gql_names {
    str *items;
    u32 count, room;
};

enum gql_definition_kind {
    GQL_KIND_SCALAR,
    GQL_KIND_OBJECT,
    GQL_KIND_INTERFACE,
    GQL_KIND_UNION,
    GQL_KIND_ENUM,
    GQL_KIND_INPUT
};
struct gql_definition {
    enum gql_definition_kind kind;
    bool built_in;
    str description, name;
    gql_directives directives;
    struct gql_names interfaces, types;
    gql_fields fields, enum_values;
    struct gql_place at;
    GQL_LIST(gql_definition) possible; /* by graphql_load_schema: what an abstract type may be */
};
struct gql_directive_definition {
    str description, name;
    gql_fields arguments;
    struct gql_names locations;
    bool repeatable;
    struct gql_place at;
};
struct gql_root {
    str operation, type;
    struct gql_place at;
};
struct gql_schema_definition {
    str description;
    gql_directives directives;
    GQL_LIST(gql_root) roots;
    struct gql_place at;
};
struct gql_document { /* of a schema */
    GQL_LIST(gql_schema_definition) schema, schema_extensions;
    GQL_LIST(gql_directive_definition) directives;
    GQL_LIST(gql_definition) definitions, extensions;
};

enum gql_selection_kind { GQL_FIELD, GQL_SPREAD, GQL_INLINE };
struct gql_selection {
    enum gql_selection_kind kind;
    str alias, name; /* of an inline fragment: `name` is the type condition */
    GQL_LIST(gql_argument) arguments;
    gql_directives directives;
    struct {
        struct gql_selection **items;
        u32 count, room;
    } selections;
    struct gql_place at;
    struct gql_definition *parent; /* by validation */
    struct gql_field_definition *definition;
    struct gql_fragment *fragment;
};
typedef GQL_LIST(gql_selection) gql_selections;
struct gql_variable {
    str name;
    struct gql_type *type;
    struct gql_value *default_value;
    gql_directives directives;
    struct gql_place at;
    struct gql_definition *definition; /* by validation */
    bool used;
};
struct gql_operation {
    str operation, name; /* "query" ... */
    GQL_LIST(gql_variable) variables;
    gql_directives directives;
    gql_selections selections;
    struct gql_place at;
};
struct gql_fragment {
    str name, condition;
    GQL_LIST(gql_variable) variables;
    gql_directives directives;
    gql_selections selections;
    struct gql_place at;
    struct gql_definition *definition; /* by validation */
};
struct gql_query {
    GQL_LIST(gql_operation) operations;
    GQL_LIST(gql_fragment) fragments;
};

/* ---- Context --------------------------------------------------------------------------------- */

struct gql_context {
    struct heap *heap;
    bool (*tick)(void *arg, u32 steps); /* false: stop; whoever gave it knows why */
    void *arg;
    struct buf *message; /* of the first error, without its place */
    struct gql_place at;
    bool failed;
};
/* Keeps the first error. */
void graphql_fail(struct gql_context *c, struct gql_place at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Appends to a GQL_LIST; NULL items of a used-up heap are not added. */
void graphql_push(struct heap *h, void *list, const void *item);
void *graphql_new(struct gql_context *c, size_t bytes); /* zeroed; NULL: the heap is used up */
#define GQL_NEW(c, type) ((struct type *)graphql_new((c), sizeof(struct type)))

/* ---- Steps: NULL when the context has failed, its heap is used up, or it was told to stop ---- */
struct gql_query *graphql_parse_query(struct gql_context *c, str text);
struct gql_document *graphql_parse_schema(struct gql_context *c, str text, bool built_in);
value graphql_query_value(struct heap *h, const struct gql_query *q);
value graphql_document_value(struct heap *h, const struct gql_document *d);
struct gql_query *graphql_query_of_value(struct gql_context *c, value v);
struct gql_document *graphql_document_of_value(struct gql_context *c, value v);

struct gql_map {
    struct gql_entry *entries;
    u32 mask, count;
};
void *graphql_map_get(const struct gql_map *m, str name); /* NULL: absent */
void graphql_map_put(struct heap *h, struct gql_map *m, str name, void *thing);

struct gql_schema {
    struct gql_map types, directives;
    struct gql_definition *query, *mutation, *subscription;
};
/* With the built-in types added. Changes the document. */
struct gql_schema *graphql_load_schema(struct gql_context *c, struct gql_document *d);
/* All that is wrong, one line each: the first as message and place, then "input:L:C: message". */
bool graphql_validate(struct gql_context *c, struct gql_schema *s, struct gql_query *q);

/* ---- Small questions ------------------------------------------------------------------------- */
const char *graphql_kind_name(enum gql_definition_kind kind); /* "OBJECT" */
struct gql_field_definition *graphql_field_find(const gql_fields *fields, str name);
str graphql_type_name(const struct gql_type *t); /* of the innermost */
void graphql_type_write(struct buf *to, const struct gql_type *t);
void graphql_value_write(struct buf *to, const struct gql_value *v);
