/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.h — the functions every policy may call. One line each in builtin.def:
 *
 *   BUILTIN("name", function, arity, "type", flags)
 *   BUILTIN_WITHOUT("name", arity, "type", flags)   the compiler or the machine does it: fn is NULL
 *
 * `type` is its declaration in the notation of compile/type.h: "(x: string, y: any) => boolean";
 * the names of arguments, where given, are shown in messages. Functions are given arguments of the
 * right number, defined, of any kind: the compiler has only checked what it could know. A function
 * has one result:
 *
 *   a value                      the answer; made in call->heap, or a part of an argument
 *   UNDEFINED, nothing set       undefined
 *   builtin_fail(...)            an error: undefined too, unless errors are strict
 *
 * Arguments and results are immutable. Work that grows with the input calls builtin_tick so that
 * the evaluation's budget and deadline hold inside builtins too. */
#pragma once
#include "app/policy/lang/error.h"
#include "app/policy/value/number.h"

enum {
    BUILTIN_RELATION = 1, /* walk: the array returned holds its results, each matched in turn */
    BUILTIN_NONDETERMINISTIC = 2, /* asked once per query for the same arguments */
    BUILTIN_DEPRECATED = 4,       /* refused in strict mode, and in v1 */
    BUILTIN_COMPILER = 8,         /* rewritten or planned by the compiler itself; no function */
    BUILTIN_INFIX = 16,           /* written as an operator too: "+" ... (table in the lexer) */
    BUILTIN_TEST = 32,            /* exists only with compile_options.test_builtins */
};
struct builtin;
struct evaluation; /* the machine's: opaque here */

struct builtin_call {
    struct heap *heap;
    struct evaluation *evaluation; /* NULL: none; then ticks cost nothing */
    const struct builtin *self;
    const struct ast_location *at; /* of the call; may be NULL */
    bool failed;
    bool halt;                     /* the error ends the evaluation in any mode */
    bool quiet;                    /* nobody will read the message: it is not written. Whoever sets
                                      `halt`, or reads it, clears this before it fails */
    enum policy_code code;         /* EVAL_BUILTIN_ERROR or EVAL_TYPE_ERROR */
    char message[512];             /* without the name in front: the machine adds "name: " */
};
typedef value builtin_fn(struct builtin_call *c, const value *args);

struct builtin {
    const char *name; /* "array.concat" */
    builtin_fn *fn;
    u8 arity;
    u8 flags;
    const char *type;
};
extern const struct builtin builtins[]; /* sorted by name */
extern const u32 builtins_count;
const struct builtin *builtin_find(str name); /* NULL */

value builtin_fail(struct builtin_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The reference's words for an argument of the wrong kind, an eval_type_error:
 * "operand 2 must be number but got string"; `wanted` may be "{number, string}" or a set's text. */
value builtin_fail_operand(struct builtin_call *c, u32 position, const char *wanted, value got);
/* The same shape with a reason of its own: "operand 1 <fmt>" */
value builtin_fail_operand_because(struct builtin_call *c, u32 position, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
bool builtin_tick(struct builtin_call *c,
                  u32 steps); /* false: stop, the budget is used up (set as failed) */

/* ---- What a builtin may ask of its evaluation (implemented by the machine) ---- */
bool evaluation_tick(struct evaluation *e, u32 steps);    /* false: budget or deadline is used up */
u64 evaluation_now_ns(struct evaluation *e);              /* UTC, the same for the whole query */
void evaluation_random(struct evaluation *e, void *to, size_t n);
/* A memo for the whole query, keyed by (builtin, key): UNDEFINED when absent. */
value evaluation_remember_get(struct evaluation *e, const struct builtin *b, value key);
void evaluation_remember(struct evaluation *e, const struct builtin *b, value key, value v);
/* Things that cost time to make from a pattern or a key (compiled expressions, parsed keys, parsed
 * schemas) and outlive the query. `make` is called on a miss; the thing is freed by `drop` when
 * evicted, never during the evaluation that got it. NULL when `make` returns NULL. */
void *evaluation_cached(struct evaluation *e, const void *owner, str key,
                        void *(*make)(void *arg, str key), void (*drop)(void *thing), void *arg);
value evaluation_runtime(struct evaluation *e);           /* opa.runtime() */
struct http_send_request;
struct http_send_answer;
/* Asks and waits for the answer, which lies in `h`. Not RC_OK: `why` tells a person. */
typedef rc_t http_send_fn(void *arg, struct heap *h, const struct http_send_request *request,
                          struct http_send_answer *answer, struct diag *why);
http_send_fn *evaluation_http(struct evaluation *e, void **arg); /* NULL: may not send */
/* The addresses of a name, IPv4 as ::ffff:a.b.c.d. Not RC_OK: `why` tells a person. */
value evaluation_allow_net(struct evaluation *e); /* UNDEFINED: any host */
enum { NAME_LOOKUP_MAX = 16 };
typedef rc_t name_lookup_fn(void *arg, str name, u8 (*addresses)[16], u32 *count, struct diag *why);
name_lookup_fn *evaluation_lookup(struct evaluation *e, void **arg); /* NULL: may not ask */
void evaluation_trace(struct evaluation *e, str message); /* trace() */
void evaluation_test_case(struct evaluation *e, value names); /* internal.test_case */
void evaluation_print(struct evaluation *e, const struct ast_location *at, str message);

struct http_send_header { str name, text; };
struct http_send_request {
    str method, url, body; /* the method in upper case */
    const struct http_send_header *headers;
    u32 header_count;
    u64 timeout_ns;
    bool follow;   /* redirects */
    bool insecure; /* take any certificate */
    str ca_cert, client_cert, client_key, server_name; /* PEM; empty: not told */
    u32 attempts;  /* at least 1 */
    /* May its answer serve another question? (http_cache.h) */
    str key;       /* of the request, as text */
    bool cache;
    s64 force_s;   /* whatever the server says about it, for so long; 0: as it says */
    u64 now_ns;    /* UTC */
    value allow_net; /* hosts, for redirects: http_host_allowed */
};
/* Is the host among those of the capabilities? `allow` UNDEFINED: any is. */
bool http_host_allowed(value allow, str host);
struct http_send_answer {
    u32 status;
    str reason, body;
    const struct http_send_header *headers;
    u32 header_count;
};
