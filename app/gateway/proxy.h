/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h — the gateway as a gateway: requests that servers behind us answer.
 *
 *   gateway.routes (app/config/edge.h) -> table, live and counted -> match -> AUTH, POLICY, limits
 *                                                                                |
 *   client <== pieces, one in memory per exchange ==> proxy.c <== pool.c picks ==> upstream
 *                                                        +--> tunnel.c once a protocol was switched
 *
 * Each route of the document becomes a struct route like any other: it has an access rule, a
 * permission, a handler, and walks through the same phases. So a request to an upstream is
 * authenticated, decided by the policy, counted and logged by the code that does it for our own.
 *
 * What holds for every exchange:
 *  - One piece (PROXY_PIECE) of body is in memory in each direction, no more: the next is read only
 *    once the last was taken, so a slow client stops the upstream through TCP's windows, and the
 *    other way about.
 *  - Framing is never forwarded. Both messages are parsed strictly and framed anew, so what two
 *    readers could see differently never leaves.
 *  - A request is sent again only when its server has done nothing with it: it did not connect, or
 *    a kept connection was closed before it answered, and the method may be repeated.
 *  - An exchange holds its table. A change of the configuration makes a new table; requests under
 *    way end by the one they began with, and none is dropped. */
#pragma once
#include "app/config/edge.h"
#include "app/module.h"
#include "net/http_client.h"

LIMIT(PROXY_PIECE, 16384, 512)     /* body bytes in memory, per exchange and direction */
LIMIT(PROXY_NAMES_MAX, 512, 32)    /* route names ever seen, for metrics; beyond: "gateway:other" */
LIMIT(PROXY_TUNNELS_MAX, 4096, 8)  /* switched connections; beyond: 503 */

/* ---- The table (table.c) --------------------------------------------------------------------- */

struct pool;
struct gateway_table;
struct gateway_route {
    struct route route; /* what the pipeline sees */
    const struct edge_route *edge;
    struct gateway_table *table;
    u64 requests, failures; /* since the table was made */
    u64 split_at;           /* where the shares' turn stands */
};
struct gateway_table {
    struct arena arena;
    struct edge edge;
    struct gateway_route *routes; /* as edge.routes */
    struct pool **pools;          /* as edge.upstreams */
    u32 references;
    u64 since_ns;
};
rc_t table_start(void); /* reads the option, follows its changes */
void table_stop(void);
/* The one in force; NULL: none. Held until released: by a request, at its end. */
struct gateway_table *table_now(void);
void table_hold(struct gateway_table *t);
void table_release(struct gateway_table *t);

/* ---- Which route (match.c) ------------------------------------------------------------------- */

struct match_question {
    enum http_method method;
    str host, path, query; /* lower case, decoded, raw */
    const struct http_field *fields;
    u32 field_count;
};
enum match_miss { MATCH_FITS, MATCH_HOST, MATCH_PATH, MATCH_METHOD, MATCH_HEADER, MATCH_QUERY };
/* Does the route fit, and if not, what is in the way? `what` (may be NULL): the condition's
 * name. */
enum match_miss match_route(const struct edge_route *t, const struct match_question *q, str *what);
bool match_host(const struct edge_route *t, str host); /* true for routes of every host */

/* ---- Who answers (pool.c) -------------------------------------------------------------------- */

struct pool_target;
struct pool_pick {
    const struct edge_upstream *upstream;
    struct pool *pool;
    u64 hash;       /* of what EDGE_HASH goes by */
    u32 tried;      /* bit per target: not again */
    bool probe;     /* the breaker lets this one through to see */
};
rc_t pool_open(const struct edge_upstream *u, struct pool **out); /* the one of its name, or new */
void pool_close(struct pool *p, const struct edge_upstream *u); /* as opened */
/* The target's index for the next request, counted as under way. RC_LIMIT: all are at their most;
 * RC_DENIED: the breaker is open; RC_NOT_FOUND: all were tried. *wait_s: when to come again. */
rc_t pool_take(struct pool_pick *k, u32 *target, u32 *wait_s);
enum pool_outcome { POOL_ANSWERED, POOL_FAILED, POOL_UNKNOWN /* the client's doing */ };
void pool_done(struct pool_pick *k, u32 target, enum pool_outcome outcome);
bool pool_may_retry(struct pool *p); /* within the budget; counts it */
struct json_writer;
void pool_write(struct json_writer *w, const struct edge_upstream *u, struct pool *p);
struct pool_health; /* the fiber that asks (pool_health.c) */

/* ---- The exchange (proxy.c, proxy_fields.c, tunnel.c) ---------------------------------------- */

void proxy_handle(struct request *rq); /* of every route of the table */
/* The target as the upstream sees it, in the request's arena; ptr NULL: no room. */
str proxy_target(struct request *rq, const struct edge_route *t);
/* `{path}`, `{rest}`, `{query}` and `{host}` of a template. */
str proxy_template(struct request *rq, const struct edge_route *t, str text);
/* What goes to the upstream, and what comes back as lines for http_answer_lines. */
rc_t proxy_request_fields(struct request *rq, const struct gateway_route *g, str authority,
                          struct http_field **out, u32 *count);
/* `coded`: the body will be gzip, which it was not. */
rc_t proxy_answer_lines(struct request *rq, const struct gateway_route *g,
                        const struct http_client_answer *answer, bool coded, str *out);
str proxy_upgrade_wanted(const struct request *rq); /* "websocket" or so; empty: none */

/* Bytes both ways between two streams, without a fiber, until both have ended or neither has said
 * anything for idle_ms. Owns both from here on. RC_LIMIT: too many. */
rc_t tunnel_reserve(void);
void tunnel_open(struct stream *client, struct stream *upstream, u64 idle_ms);
void tunnel_unreserve(void);
void tunnel_stop(void);
u32 tunnel_count(void);
