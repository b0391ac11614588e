/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h — from text to tree. Any bytes may be given: what is not a policy is a located error. */
#pragma once
#include "app/policy/lang/error.h"

struct parse_options {
    enum rego_version version;   /* REGO_V1 unless the caller says v0 */
    bool all_future_keywords;    /* as if each were imported (v0) */
    bool not_keyword;            /* as if future.keywords.not were imported */
    bool logical_keywords;       /* importing all keywords brings `and` and `or` too */
    bool annotations;            /* read METADATA comments */
    bool skip_rules;             /* package and imports alone */
};
/* The tree and `file` live in `h`. RC_INVALID: see `errors`; RC_NO_MEMORY. */
rc_t parse_module(struct heap *h, str file_name, str text, const struct parse_options *o,
                  struct ast_module **out, struct policy_errors *errors);
/* A query: expressions separated by ; or line ends. */
rc_t parse_body(struct heap *h, str text, const struct parse_options *o, struct ast_body **out,
                struct policy_errors *errors);
rc_t parse_term(struct heap *h, str text, const struct parse_options *o, struct ast_term **out,
                struct policy_errors *errors); /* "data.a.b", "{1, 2}" */
