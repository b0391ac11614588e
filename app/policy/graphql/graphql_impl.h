/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_impl.h — what the steps over GraphQL trees share among themselves. */
#pragma once
#include "app/policy/graphql/graphql.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

#define graphql_sort qsort
void graphql_push_name(struct heap *h, struct gql_names *l, str name);
bool graphql_names_have(const struct gql_names *l, str name);
str *graphql_map_names(struct heap *h,
                       const struct gql_map *m); /* sorted, m->count of them; NULL: used up */

/* ---- Tokens (lex.c) ---- */
enum gql_token_kind {
    GQL_T_INVALID,
    GQL_T_EOF,
    GQL_T_BANG,
    GQL_T_DOLLAR,
    GQL_T_AMP,
    GQL_T_PAREN_L,
    GQL_T_PAREN_R,
    GQL_T_SPREAD,
    GQL_T_COLON,
    GQL_T_EQUALS,
    GQL_T_AT,
    GQL_T_BRACKET_L,
    GQL_T_BRACKET_R,
    GQL_T_BRACE_L,
    GQL_T_BRACE_R,
    GQL_T_PIPE,
    GQL_T_NAME,
    GQL_T_INT,
    GQL_T_FLOAT,
    GQL_T_STRING,
    GQL_T_BLOCK_STRING,
};
struct gql_token {
    enum gql_token_kind kind;
    str text; /* of strings: decoded */
    struct gql_place at;
};
struct gql_lexer {
    struct gql_context *context;
    str text;
    size_t at;
    u32 line, column; /* of `at`; columns count characters */
    char error[160];  /* why a token is invalid */
};
struct gql_token graphql_lex(struct gql_lexer *l);
const char *graphql_token_name(enum gql_token_kind kind); /* "{", "Name", "<EOF>" */

/* ---- Validation (validate.c, rules.c, overlap.c) ---- */
struct gql_walk {
    struct gql_context *context;
    struct gql_schema *schema;
    struct gql_query *query;
    struct gql_operation *operation; /* NULL within fragments */
    struct gql_map seen_fragments;   /* walked for this operation or fragment */
    struct gql_map used_fragments, known_operations, known_fragments, cyclic_fragments;
    struct gql_map compared_pairs;
    bool in_fragment;
    u32 depth, errors;
};
void graphql_report(struct gql_walk *w, struct gql_place at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
bool graphql_walk_on(struct gql_walk *w, u32 steps); /* false: stop */
void graphql_rules_operation(struct gql_walk *w, struct gql_operation *o);
void graphql_rules_field(struct gql_walk *w, struct gql_selection *f);
void graphql_rules_fragment(struct gql_walk *w, struct gql_fragment *f);
void graphql_rules_inline(struct gql_walk *w, struct gql_selection *f);
void graphql_rules_spread(struct gql_walk *w, struct gql_selection *f);
void graphql_rules_directive(struct gql_walk *w, struct gql_directive *d);
void graphql_rules_directives(struct gql_walk *w, gql_directives *list);
void graphql_rules_value(struct gql_walk *w, struct gql_value *v);
void graphql_overlap_check(struct gql_walk *w, const gql_selections *selections);
/* " Did you mean "a", "b", or "c"?"; nothing when nothing is near. */
void graphql_suggest(struct gql_walk *w, struct buf *to, const char *prefix, str typed,
                     const str *options, u32 count);
void graphql_or_list(struct buf *to, const str *items, u32 count);
bool graphql_is_composite(const struct gql_definition *d);
bool graphql_is_input(const struct gql_definition *d);
bool graphql_type_fits(const struct gql_type *t, const struct gql_type *other);
