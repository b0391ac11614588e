/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h — the policy engine, as its users see it: load modules, prepare a query, ask.
 *
 *   sources --policy_load--> program --policy_prepare--> query --policy_ask(input, data)--> answer
 *
 * A program and its queries are immutable and may be used by any number of threads, each with an
 * evaluator of its own. Data is a value (a tree that never changes); a change of data is another
 * tree. Every question is bounded: steps, time, memory, depth. */
#pragma once
#include "app/policy/compile/compile.h"

struct policy_program;
struct policy_query;
struct policy_evaluator; /* memory and caches reused from question to question; one thread at a time
                          */

struct policy_source { str name, text; };
struct policy_times { /* how long the parts of loading and preparing took; added to */
    u64 (*clock_ns)(void);
    u64 parse_ns, compile_ns; /* planning is part of compiling */
};
struct policy_load_options {
    struct parse_options parse;
    const enum rego_version *versions; /* of each source; NULL: parse.version for all. With
                                           them `from` is not looked at */
    struct compile_options compile;
    size_t bytes_max; /* memory of the program; 0: POLICY_PROGRAM_BYTES_MAX */
    bool trace;       /* its evaluation can be watched: trace.h */
    struct policy_times *times; /* may be NULL */
    bool every_rule;  /* each rule is tried, also those an index would leave out: why.h */
    /* A program loaded with the same options, or NULL: what is the same in both is taken from it,
     * which makes a small change cheap; the program made is the one that would be made without. The
     * caller sees to it that no two loads take from programs of one origin at the same time. */
    struct policy_program *from;
};
/* On RC_INVALID `errors` (opened by the caller) tells; nothing else was made. */
rc_t policy_load(const struct policy_source *sources, u32 count,
                 const struct policy_load_options *o, struct policy_program **out,
                 struct policy_errors *errors);
void policy_drop(struct policy_program *p); /* once its queries are dropped */
const struct compiled *policy_compiled(const struct policy_program *p);

/* Any query text: "data.a.b = x; x > 1". */
rc_t policy_prepare(struct policy_program *p, str query, struct policy_query **out,
                    struct policy_errors *errors);
struct policy_query_options {
    struct parse_options parse;
    const struct ast_term *package; /* names of its rules may be used as they are; may be NULL */
    const struct ast_import *imports;
    u32 import_count;
    bool trace;
    struct policy_times *times; /* may be NULL */
    const char *const *refused; /* builtins the query itself may not call; NULL-ended, or NULL */
};
/* RC_INVALID, and `errors` in the reference's words: a compiled body calls one of `refused`. */
rc_t policy_check_calls(struct ast_body *body, const char *const *refused,
                        struct policy_errors *errors);
rc_t policy_prepare_with(struct policy_program *p, str query, const struct policy_query_options *o,
                         struct policy_query **out, struct policy_errors *errors);
/* The document at a path, "a/b" for data.a.b: the question of the REST API, without parsing. */
rc_t policy_prepare_path(struct policy_program *p, const value *path, u32 count,
                         struct policy_query **out, struct policy_errors *errors);
void policy_query_drop(struct policy_query *q);

struct policy_limits {
    u64 steps_max;   /* 0: POLICY_STEPS_MAX */
    u64 deadline_ns; /* of platform_clock_ns's scale; 0: none */
    size_t bytes_max;
    u32 depth_max;
};
struct policy_ask {
    value input;          /* UNDEFINED: none */
    value data;           /* base documents: an object */
    /* Changes whenever the data does. 0: not known; then nothing is worked out from the data that
     * could serve the next question. */
    u64 data_version;
    u64 now_ns;           /* UTC; the same for the whole question */
    u64 seed;             /* of rand.intn and uuids within it */
    bool strict_errors;   /* an error of a builtin ends the question */
    struct policy_limits limits;
    u64 (*clock_ns)(void);         /* for the deadline: platform_clock_ns; NULL: none is kept */
    bool (*cancelled)(void *arg);  /* may be NULL; asked now and then */
    void (*print)(void *arg, const struct ast_location *at, str message);
    void (*note)(void *arg, str message); /* of trace() */
    void (*test_case)(void *arg, value names); /* of a test's case: compile_options.test_cases */
    /* Each error of a builtin, unless it ends the question; `e` is valid during the call. May be
     * NULL. */
    void (*builtin_error)(void *arg, const struct policy_error *e);
    void *arg;
    value runtime;        /* opa.runtime(); UNDEFINED: {} */
    http_send_fn *http;   /* http.send; NULL: an error */
    value allow_net;      /* hosts that both may reach, as capabilities list them; UNDEFINED: any */
    name_lookup_fn *lookup;     /* net.lookup_ip_addr; NULL: an error */
    void *http_arg;             /* of both */
    struct policy_trace *trace; /* NULL: none. Events for explain, coverage, profile: trace.h */
};
struct policy_answer {
    /* The set of results: per result the query's variables (written names, sorted; `_` and made
     * ones left out) and the value of each expression. Empty: undefined. */
    struct policy_result { value bindings; value expressions; } *results;
    u32 count;
    u64 steps;
};
rc_t policy_evaluator_open(struct policy_evaluator **out, size_t bytes_max);
void policy_evaluator_close(struct policy_evaluator *e);
/* The answer's values live until the evaluator is asked again. RC_INVALID: an eval_ error in
 * `error`; RC_LIMIT / RC_TIMEOUT: a bound was reached, said in `error` (eval_cancel_error). */
rc_t policy_ask(struct policy_evaluator *e, const struct policy_query *q,
                const struct policy_ask *ask, struct policy_answer *out,
                struct policy_error *error);
/* The fast way for decisions: a query that is one path gives its document, or UNDEFINED. */
rc_t policy_decide(struct policy_evaluator *e, const struct policy_query *q,
                   const struct policy_ask *ask, value *out, struct policy_error *error);
/* To read the next input into. Forgets the inputs read into it before. */
struct heap *policy_evaluator_heap(struct policy_evaluator *e);
