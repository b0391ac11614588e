/* SPDX-License-Identifier: Apache-2.0 */
/* rego_impl.h — what the files of this folder share.
 *
 * A state is everything a decision needs: the compiled policies, the base documents, the queries
 * prepared so far. It is published whole by one pointer store; whoever decides holds the state it
 * began with. A change makes the next state, writes its revision to the database, and publishes
 * it once that is durable: what was acknowledged is there after a power cut, and a change that
 * fails leaves everything as it was. */
#pragma once
#include "app/access/access.h"
#include "app/bundle/bundle.h"
#include "app/id.h"
#include "app/policy/policy.h"
#include "app/policy/trace_record.h"
#include "app/policy/value/document.h"
#include "app/reply.h"
#include "app/rego/rego.h"

struct rego_source {
    str id, text;
    s64 revision; /* that put it there */
    enum rego_version version;
    struct rego_text *in; /* where both lie: states that have the same policy share it */
};

enum { REGO_QUERIES = 256 }; /* prepared paths kept per state */
struct rego_query { str path; struct policy_query *query; };
struct rego_state {
    u32 refs;
    s64 revision;
    struct heap heap;             /* of the list below */
    struct rego_source *sources;  /* by id */
    u32 source_count;
    struct rego_build *build;     /* the compiled policies; shared by states that differ in data */
    struct document *data;
    value bundles; /* name -> {"manifest", "etag", "modules": {id: 0 or 1}}; in the heap */
};
/* Compiled once per set of policies. */
struct rego_build {
    u32 refs;
    struct policy_program *program;
    struct policy_program *watched; /* the same, for explanations (watch.c); NULL: not yet wanted */
    bool mixed; /* of policies in Rego v0 and v1 */
    bool broken; /* what is stored did not compile at the start: nothing is decided, all is kept */
    bool has_mask, has_drop; /* data.system.log.mask, drop: a policy looks at decision records */
    struct policy_program *explained; /* the same, every rule tried (explain.c); NULL: likewise */
    struct access_policy *access; /* data.openpolicy.authz; NULL: the shipped one decides */
    struct rego_query queries[REGO_QUERIES]; /* by hash of the path; loop only */
};

/* Behind the state's sources, for which there is room: a new one, or one of another state. */
rc_t rego_source_add(struct rego_state *to, str id, str text, s64 revision,
                     enum rego_version version);
void rego_source_share(struct rego_state *to, const struct rego_source *s);

struct rego_state *rego_hold(void); /* the current one; NULL before the database is open */
void rego_release(struct rego_state *s); /* NULL is fine */

/* Compiles a state's policies; for workers. `from` (may be NULL): takes over what is the same in
 * it; only whoever holds the changes may say so. */
rc_t rego_sources_compile(const struct rego_state *s, const struct rego_build *from, bool trace,
                          struct policy_program **out, struct policy_errors *errors);
/* The same if it is prepared already, else NULL. */
struct policy_query *rego_query_known(const struct rego_state *s, str path);
/* The prepared query for a path "a/b"; owned by the state. */
rc_t rego_query_of(struct rego_state *s, str path, struct policy_query **out,
                   struct policy_errors *errors);

/* ---- Changes (state.c) ---- */
enum rego_kind {
    REGO_SOURCE_PUT,
    REGO_SOURCE_DELETE,
    REGO_DATA_PUT,
    REGO_DATA_PATCH,
    REGO_DATA_DELETE,
    REGO_REVERT,
    REGO_BUNDLE_PUT,
    REGO_BUNDLE_PATCH,
    REGO_BUNDLE_DELETE
};
struct rego_change {
    enum rego_kind kind;
    str subject;  /* a policy's id, a bundle's name, or a data path "/a/b" */
    str content;  /* policy text; JSON of the document, of the patch or of a bundle's delta */
    const struct policy_bundle *bundle; /* REGO_BUNDLE_PUT */
    str etag;                           /* likewise; may be empty */
    s64 revision; /* REGO_REVERT: to which */
    bool only_if_absent; /* REGO_DATA_PUT: nothing is changed when the document is there */
};
/* Makes and publishes the next state. RC_INVALID with `errors` (compile errors) or `why`;
 * RC_NOT_FOUND, RC_CONFLICT, RC_LIMIT, RC_FULL, RC_IO: nothing changed. `*changed` false: the
 * content was the same, no revision was made. `rq` NULL: the appliance itself. */
rc_t rego_apply(struct request *rq, const struct rego_change *change, struct policy_errors *errors,
                struct diag *why, bool *changed);
/* The state as it was at a revision, from the database; for reverting and for looking. */
rc_t rego_state_at(s64 revision, struct rego_state **out, struct diag *why);

/* ---- Paths of documents (path.c): as URLs have them, "a%2Fb/c" ---- */
str rego_path_of(struct request *rq); /* the route's {path...}, as it was sent */
/* RC_INVALID: a part has a quote in it, `why` (may be NULL) says so; RC_LIMIT; RC_NO_MEMORY. */
rc_t rego_path_keys(struct heap *h, str path, value *keys, u32 room, u32 *count, struct diag *why);
str rego_path_pointer(struct arena *a, str path); /* "/a~1b/c"; ptr NULL: no memory */
str rego_path_query(struct heap *h, str path); /* data["a/b"].c; empty: not to be said */
str rego_path_dotted(struct arena *a, str path); /* the same for messages; else the path itself */

/* ---- Base documents (documents.c) ---- */
/* `next` gets the documents of `from` after a change of data. `checked`: against the rules of
 * `from`. RC_INVALID, RC_NOT_FOUND, RC_CONFLICT (something lies in the way): `why` says what. */
rc_t rego_next_data(struct rego_state *next, const struct rego_state *from,
                    const struct rego_change *c, bool checked, struct diag *why, bool *changed);

/* ---- Bundles (activate.c) ---- */
/* `next` gets the policies, data and bundles that `from` has after the change. Parks. */
rc_t rego_activate(struct rego_state *next, const struct rego_state *from,
                   const struct rego_change *c, struct diag *why);
/* The package's path "a/b"; RC_INVALID: the text is no policy. */
rc_t rego_package_of(struct heap *h, str text, enum rego_version version, str *out);
/* RC_INVALID with the reference's words: a bundle owns the path. */
rc_t rego_path_is_free(const struct rego_state *s, str path, struct diag *why);
/* The same for each operation of a JSON patch below `subject`. */
rc_t rego_patch_is_free(const struct rego_state *s, struct heap *h, str subject, str patch,
                        struct diag *why);

/* ---- Rows (store.c) ---- */
extern const struct db_schema rego_schema;
/* Calls apply(arg, change) for each revision after the newest snapshot at or before `until` (0: the
 * newest of all), after snapshot(arg, revision, sources, data, bundles as JSON) if there is one. */
struct rego_replay {
    rc_t (*snapshot)(void *arg, s64 revision, str sources, str data, str bundles);
    rc_t (*apply)(void *arg, s64 revision, const struct rego_change *change);
    void *arg;
};
rc_t rego_store_replay(s64 until, const struct rego_replay *r);
rc_t rego_store_add(struct db_txn *t, struct request *rq, const struct rego_change *change,
                    s64 *revision);
rc_t rego_store_snapshot(struct db_txn *t, s64 revision, str sources, str data, str bundles);
rc_t rego_store_trim(struct db_txn *t, s64 newest);

/* ---- Deciding (decide.c) ---- */
struct rego_evaluator { struct policy_evaluator *engine; struct rego_evaluator *next; };
rc_t rego_evaluator_take(struct policy_evaluator **out); /* RC_LIMIT: all are in use */
void rego_evaluator_give(struct policy_evaluator *e);
/* Fills clock, seed, limits and the hook that lets other requests run in between. */
void rego_ask_fill(struct policy_ask *ask, struct rego_state *s);
void rego_ask_fill_at(struct policy_ask *ask, struct rego_state *s, u64 clock_ns); /* it is then */

/* Policies besides data.system.log that look at records, as discovered: "a/b/mask"; empty: none. */
void rego_log_elsewhere(str mask, str drop); /* decision.c */
bool rego_log_looked_at(const struct rego_state *s); /* any policy looks at them */

/* ---- The decision log sent elsewhere (ship.c) ---- */
struct json_writer;
void rego_ship_start(void);
void rego_ship_stop(void); /* parks */
void rego_ship_configure(void); /* where to may have changed */
const char *rego_ship_state(void); /* in the reference's words; NULL: it is sent nowhere */
void rego_ship_status(struct json_writer *w); /* a member, if it is sent somewhere */
void rego_ship_config(struct json_writer *w);

/* ---- Calling out (http.c) ---- */
struct http_cache_stats;
void rego_http_fill(struct policy_ask *ask);
void rego_http_stats(struct http_cache_stats *out);
void rego_http_stop(void);

/* ---- The decision log (decision.c) ---- */
struct rego_decision {
    struct rego_state *state;
    str path, request_id, user;
    value input, result; /* UNDEFINED: none */
    u64 at_ns, eval_ns;
};
/* Queues a record and gives its id; "" when the log is off. Never waits, never fails the caller. */
void rego_decision_log(const struct rego_decision *d, char id[ID_ROOM]);
void rego_decisions_start(void);
void rego_decisions_stop(void);
void rego_decisions_flush(void); /* parks */
rc_t rego_decisions_each(u64 limit, str path, rc_t (*see)(void *arg, s64 id, str record),
                         void *arg);
void rego_decisions_list(struct request *rq);

/* ---- Looking back and trying out (history.c, replay.c) ---- */
void rego_revisions_list(struct request *rq);
void rego_revert(struct request *rq);
void rego_replay(struct request *rq);
/* The member `policies` of a body: text replaces or adds, null leaves out. False: answered. */
bool rego_overrides_read(struct request *rq, value body, struct rego_change **out, u32 *count);
/* Asks the candidate what was just answered, if there is one. Parks. */
void rego_shadow_ask(const struct rego_decision *d, const char *id);
void rego_shadow_stop(void);
void rego_shadow_get(struct request *rq);
void rego_shadow_put(struct request *rq);
void rego_shadow_delete(struct request *rq);
/* The current state with some changes to its policies; compiled, not stored, not published. */
rc_t rego_candidate(const struct rego_change *changes, u32 count, struct rego_state **out,
                    struct policy_errors *errors, struct diag *why);

/* ---- Answers in the reference's form (answer.c) ---- */
struct rego_options {
    bool pretty, metrics, instrument, provenance, strict;
    enum policy_explain explain; /* off for guests: steps show policies and data */
};
bool rego_flag(struct request *rq, const char *name); /* `?name` and `?name=true` */
/* The next value that the query gives a name, from rq->http->query on; false: no more. */
bool rego_query_next(struct request *rq, str *rest, const char *name, str *out);
/* The last value of a query parameter; ptr NULL stays: there is none. False: answered. */
bool rego_query_last(struct request *rq, const char *name, str *out);
void rego_options_read(struct request *rq, struct rego_options *out);
/* The body without its Content-Encoding; false: answered. */
bool rego_body(struct request *rq, str *out);
/* An answer, compressed if the client takes that and it is worth it. */
void rego_send(struct request *rq, int status, const char *type, str body);
void rego_send_json(struct request *rq, int status, struct json_writer *w); /* closes w */
extern const struct route_param rego_parameters[];
/* {"code": ..., "message": ...} and, with errors, {"errors": [...]} */
void rego_error(struct request *rq, int status, const char *code, const char *message, ...)
    PRINTF_LIKE(4, 5);
void rego_errors(struct request *rq, const char *message, const struct policy_errors *errors);
/* The same under another code; not RC_OK status 400. */
void rego_errors_as(struct request *rq, const char *code, const char *message,
                    const struct policy_errors *errors);
/* By its first error: the reference tells parsing from compiling. */
const char *rego_query_message(const struct policy_errors *errors);
extern const char *const rego_unsafe_calls[]; /* builtins that ad-hoc queries may not call */
/* The stored policies can be asked; false: answered 503. `s` NULL: they are not read yet. */
bool rego_decides(struct request *rq, const struct rego_state *s);
void rego_eval_error(struct request *rq, rc_t rc, const struct policy_error *error);
void rego_rc(struct request *rq, rc_t rc, const struct diag *why);
/* "bundles":{"authz":{"revision":"7"}} */
void rego_put_bundles(struct buf *to, const struct rego_state *s);
void rego_put_provenance(struct buf *to, const struct rego_state *s); /* the member "provenance" */
/* 200, written anew with `pretty`; a body that failed is too large. */
void rego_answer(struct request *rq, const struct rego_options *o, struct buf *body);
/* A body as a value: JSON, or YAML when its type says so. Large ones are read by a worker. Answers
 * 400 itself. `*out` UNDEFINED: the body is empty. */
bool rego_body_value(struct request *rq, struct heap *h, value *out);

/* ---- Explaining (explain.c) ---- */
void rego_explain(struct request *rq);
/* Why `policies` answer so, with the data of `data`; `report` in `h`. Parks. */
rc_t rego_explain_state(struct heap *h, struct rego_state *policies, const struct rego_state *data,
                        str path, value input, u64 now_ns, value *report);
/* Changed decisions [{decision_id, path, input?, timestamp?, ...}] each with `explanations`
 * {before, after}; `*by_rule`: groups, as policy_groups_close. Parks. */
value rego_explain_changes(struct heap *h, struct rego_state *before, struct rego_state *after,
                           const struct rego_state *data, value changes, u64 unseen,
                           value *by_rule);
/* Runs `work` on a worker with the program that is watched: of the state's policies, or of the
 * shipped access policy. One at a time. Parks. */
rc_t rego_explained_run(struct rego_state *s, bool shipped, struct policy_program **watched,
                        void (*work)(void *arg), void *arg);
void rego_advice(struct request *rq); /* advice.c */
void rego_log_access(const struct request *rq, value input, bool allowed);
/* For app/access: of `shipped`, or of the stored policies, with today's data. Parks. */
rc_t rego_explain_access(struct heap *h, struct policy_program *shipped, str path, value input,
                         value *report);
/* What the policies on the log leave of a record; UNDEFINED: nothing (decision.c). */
value rego_masked(struct heap *h, struct rego_state *s, value event);

/* The path of the document that POST / asks for: "system/main" unless told otherwise. */
str rego_default_decision(struct arena *a);
void rego_status(struct request *rq);
void rego_config(struct request *rq);

/* ---- In the words of the reference's probes (health.c) ---- */
bool rego_health_answer(struct request *rq); /* /health?bundles&plugins; false: not asked so */
void rego_health_policy(struct request *rq); /* /health/{path...}: data.system.health says */

/* ---- Partial evaluation (compile.c) ---- */
void rego_compile(struct request *rq);
void rego_compile_filter(struct request *rq);

extern const struct route rego_routes[];
