/* SPDX-License-Identifier: Apache-2.0 */
/* parse_impl.h — the parser's tools, for both kinds of documents. */
#pragma once
#include "app/policy/graphql/graphql_impl.h"

struct gql_parser {
    struct gql_context *context;
    struct gql_lexer lexer;
    struct gql_token next, previous;
    bool has_next, stopped;
    u32 depth;
};
void gql_parser_open(struct gql_parser *p, struct gql_context *c, str text);
bool gql_stopped(struct gql_parser *p);
const struct gql_token *gql_peek(struct gql_parser *p);
struct gql_place gql_here(struct gql_parser *p);
struct gql_token gql_next(struct gql_parser *p);
void gql_unexpected(struct gql_parser *p, const struct gql_token *t);
struct gql_token gql_expect(struct gql_parser *p, enum gql_token_kind kind);
bool gql_is_word(struct gql_parser *p, const char *word);
void gql_expect_word(struct gql_parser *p, const char *word);
bool gql_skip(struct gql_parser *p, enum gql_token_kind kind);
str gql_name(struct gql_parser *p);
void gql_each(struct gql_parser *p, enum gql_token_kind open, enum gql_token_kind close, bool some,
              void (*item)(struct gql_parser *p, void *to), void *to);
struct gql_value *gql_value_literal(struct gql_parser *p, bool constant);
void gql_directive_list(struct gql_parser *p, gql_directives *to, bool constant);
struct gql_type *gql_type_reference(struct gql_parser *p);
str gql_operation_type(struct gql_parser *p);
