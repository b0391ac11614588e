/* SPDX-License-Identifier: Apache-2.0 */
/* partial.h — partial evaluation: what is left of a question when part of the input or the data is
 * not known yet.
 *
 *   data.app.allow = true, with input.user known, data.pets not
 *     -> queries:  data.pets.owner = "bob"         any one of them holding answers the question
 *                  data.pets.public
 *     -> support:  package partial.app ...          rules the queries refer to
 *
 * Evaluating the queries (together with the policies and the support) once the rest is known gives
 * what evaluating the question at once would have given. */
#pragma once
#include "app/policy/policy.h"

struct partial_options {
    const str *unknowns; /* refs or variables: "data.pets"; NULL: input as a whole */
    u32 unknown_count;
    const str *disabled; /* refs of rules that stay rules */
    u32 disabled_count;
    bool plain; /* variables stay: `x = input.a; not f(x)`, not the reference's `not f(input.a)` */
    bool shallow;                   /* only what is known in whole is put in place of its rule */
    bool nondeterministic;          /* time.now_ns, http.send and so on are called now */
    bool no_namespace;              /* support rules keep their packages' names */
    str name_space;                 /* of support rules; empty: "partial" */
    const struct ast_term *package; /* of the query, and its imports; may be NULL */
    const struct ast_import *imports;
    u32 import_count;
    struct parse_options parse; /* of the query */
    const char *const *refused; /* as policy_query_options' */
};
struct partial_answer {
    struct ast_body **queries; /* none: never true. A body of no expressions: always */
    u32 query_count;
    struct ast_module **support; /* by name of package */
    u32 support_count;
    u64 steps;
    /* Refs to parts of the known input that are not there: perhaps misspelled. */
    struct partial_miss {
        const struct ast_term *ref;
        struct ast_location at;
    } * misses;
    u32 miss_count;
};
/* All of the answer lies in `h`, whose maximum bounds the work too. RC_INVALID: the query is wrong,
 * or evaluation failed, said in `errors`; RC_LIMIT, RC_TIMEOUT: a bound of `ask` was reached. */
rc_t partial_evaluate(struct heap *h, const struct policy_program *program, str query,
                      const struct policy_ask *ask, const struct partial_options *o,
                      struct partial_answer *out, struct policy_errors *errors);
/* {"queries": [...], "support": [...]}: trees as JSON; members without anything in them left out */
value partial_json(struct heap *h, const struct partial_answer *a);
