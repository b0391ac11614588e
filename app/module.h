/* SPDX-License-Identifier: Apache-2.0 */
/* module.h — the one shape of a feature. A module is a descriptor; app/modules.c lists them in the
 * order they start: that list is the appliance on one page. Modules never include each other; they
 * meet here and in the few public headers that tools/layers.txt allows (access, audit, config,
 * metrics, health). How to add one: app/README.md. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/limits.h"
#include "kernel/base/buf.h"
#include "kernel/base/limits.h"
#include "kernel/core/console.h"
#include "net/http.h"
#include "storage/db.h"

struct request;

/* Who may call a route. Decided in one place: access_decide (app/access/access.h). */
enum route_access {
    ACCESS_PUBLIC, /* anyone */
    ACCESS_USER,   /* whoever is signed in */
    ACCESS_ADMIN,  /* role admin */
};

/* for OpenAPI and for checking: queries outside the list are refused with 400 */
struct route_param {
    const char *name, *type; /* "string" "integer" "boolean" */
    const char *help;
};
struct route {
    enum http_method method;
    /* "/api/v1/policies/{id}"; {id} matches one segment; "/x/{rest...}" all */
    const char *pattern;
    void (*handle)(struct request *rq); /* on a fiber; answers exactly once */
    enum route_access access;
    const char *permission; /* "policies:document:read"; the resource and verb access_decide sees */
    const char *summary;    /* OpenAPI */
    const char *tag;        /* OpenAPI group */
    const struct route_param *query; /* NULL-name ended; NULL: none */
    /* JSON Schema text or "#Name" into app/schemas; NULL: none */
    const char *body_schema, *answer_schema;
    int success;            /* status of a good answer; 0 = 200 */
    bool idempotency_key;   /* POST honours Idempotency-Key */
    bool quiet;             /* no access-log line, never shed (health, metrics) */
    bool probe;             /* answered without asking who and whether: must work when they fail */
    bool page;              /* for people's browsers: scripts and styles of our own may run */
    /* Of a foreign API whose clients expect it: query parameters nobody knows, or sent twice, and a
     * slash at the path's end are as if not there; problems also say `message`. */
    bool lenient;
};

enum phase { PHASE_POST_READ, PHASE_ROUTE, PHASE_LIMIT, PHASE_AUTH, PHASE_POLICY, PHASE_CONTENT,
             PHASE_LOG, PHASE_COUNT };
/* RC_OK: go on; RC_PASS: not mine, go on; anything else: an answer was given, go to PHASE_LOG. */
typedef rc_t phase_fn(struct request *rq);

struct module_schema { /* a named JSON Schema (2020-12) for the API document */
    const char *name, *json;
};
struct module {
    const char *name;
    /* On the start fiber, in list order; may park. A module with a `schema` starts only once the
     * database is open; until then its routes answer 503. */
    rc_t (*start)(struct diag *why);
    void (*stop)(void);                 /* reverse order, may park, bounded */
    const struct route *routes;         /* NULL-pattern ended */
    phase_fn *phases[PHASE_COUNT];
    const struct db_schema *schema;
    const struct console_command *console; /* NULL-name ended */
    const struct module_schema *schemas;   /* for "#Name" in routes; NULL-name ended */
};
extern const struct module *const modules[]; /* NULL-ended; app/modules.c */

/* What proved who is asking. */
enum actor_kind {
    ACTOR_GUEST,  /* nothing did */
    ACTOR_USER,   /* the access token or the cookie of a login */
    ACTOR_KEY,    /* an API key of a user's */
    ACTOR_CLIENT, /* a token that an application got, for a user or for itself */
};
/* Who is asking. Filled in PHASE_AUTH; all zero: a guest. Lists: words, one space between two. */
struct actor {
    str user_id, email, role; /* role "admin" or "user"; empty for guests */
    str token_id;             /* the token that proved it */
    str session_id;           /* the login it belongs to; logout ends it. A key's own id */
    str scopes;               /* ptr NULL: unbounded. Else only what these cover (app/scope.h), and
                               * only as far as the policy lets the user do it */
    str groups;               /* names of the groups they are in; may be empty */
    str roles;                /* that those groups give, besides `role`; may be empty */
    str org_id;               /* the organisation they act in; empty: none */
    enum actor_kind kind;
    bool mfa;                 /* a second factor was shown at this login */
};

struct request {
    struct http_exchange *x;
    const struct http_request *http; /* x->request */
    struct arena *arena;             /* x->arena */
    const struct route *route;       /* after PHASE_ROUTE */
    str params[ROUTE_PARAMS_MAX];    /* of the pattern, in order, decoded */
    u32 param_count;
    struct actor actor;
    bool allowed;                    /* set by PHASE_POLICY; without it only ACCESS_PUBLIC runs */
    const struct module *module;     /* whose route it is, after PHASE_ROUTE */
    u32 allow;                       /* bit per method that the path knows, for Allow */
    /* Sees an answer made by reply.h before it leaves (Idempotency-Key records it). May be NULL. */
    void (*before_answer)(struct request *rq, int status, str content_type, str body);
    void *before_answer_arg;
    str location, etag;              /* as sent by reply_location, reply_etag */
    str body;                        /* once read by request_body; ptr NULL: not yet */
    void *local;                     /* the current phase owner's */
};
