/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_impl.h — a call from inside: http_client.c (requests, answers), http_client_head.c
 * (heads of answers), http_client_pass.c (piece by piece), http_client_pool.c (connections),
 * http_client_fetch.c (whole bodies). Not for other folders. */
#pragma once
#include "kernel/base/buf.h"
#include "kernel/base/limits.h"
#include "kernel/core/timer.h"
#include "net/http_answer_parse.h"
#include "net/http_client.h"
#include "net/http_url.h"
#include "net/tls.h"

LIMIT(CLIENT_OPEN_MAX, 256, 8)       /* connections in all; beyond: the oldest idle one closes */
LIMIT(CLIENT_ORIGIN_MAX, 64, 4)      /* of them to one origin; beyond: RC_LIMIT */
LIMIT(CLIENT_IDLE_MAX, 64, 4)        /* kept for the next call */
LIMIT(CLIENT_IDLE_ORIGIN_MAX, 16, 2) /* of one origin */
LIMIT(CLIENT_IDLE_MS, 30000, 30000)  /* less than servers' own patience, mostly a minute */
LIMIT(CLIENT_CONNECT_MS, 5000, 5000) /* for one address while others are left to be tried */
LIMIT(CLIENT_INTERIM_MAX, 8, 8)      /* 1xx answers before the one that counts */
LIMIT(CLIENT_DRAIN_MAX, 65536, 512)  /* of a redirect's body, to keep its connection */
#define CLIENT_NAME_MAX 254u

/* A connection, and the call that has it. */
struct http_client_call {
    struct stream *stream;
    struct http_client_call *prev, *next; /* all of them, the most recently used in front */
    struct timer timer;                   /* while idle */
    bool idle, reused;
    /* What it leads to */
    bool tls;
    u16 port;
    char host[CLIENT_NAME_MAX], server_name[CLIENT_NAME_MAX];
    struct tls_trust *trust; /* held */
    /* The answer that is being read */
    struct http_answer_body body;
    u64 deadline_ns;
    u64 idle_ms;
    size_t held; /* bytes handed out, to be consumed at the next look */
    bool keep, complete, broken;
    /* Of a request that is passed on */
    bool to_head, chunked_out, upgrade;
    u64 out_left, stall_ms; /* bytes of its body still to be sent; patience for each */
    u32 interim;                        /* answers of 1xx so far */
};

/* A place to call: the URL's, and the name its certificate must carry. */
struct client_target {
    struct http_url url;
    str server_name;
    struct tls_trust *trust; /* NULL: plain */
};
/* One from the pool that may_call allows, or NULL. */
struct http_client_call *client_pool_take(const struct client_target *t,
                                          const struct http_client_request *r);
/* A fresh one: every address of the name in turn. */
rc_t client_connect(const struct client_target *t, const struct http_client_request *r,
                    struct http_client_call **out, struct diag *why);
/* Kept if `call->keep` and the answer was read to its end; else closed. */
void client_pool_give(struct http_client_call *c);
void client_drop(struct http_client_call *c, bool reset);

/* http_client_read, at most `max` bytes at a time. */
rc_t client_read_some(struct http_client_call *c, size_t max, str *bytes, struct diag *why);

/* http_client_head.c. Parks for a whole head, which stays in the stream with its views in `h` and
 * `fields`. RC_TIMEOUT; RC_CLOSED: ended before its first byte; RC_IO. */
rc_t client_read_head(struct http_client_call *c, u64 deadline_ns, struct http_answer_head *h,
                      struct http_field *fields, struct diag *why);
/* Its views move to a copy in the arena; `url` is the caller's to fill. */
rc_t client_keep_head(struct http_client_call *c, struct arena *a, const struct http_answer_head *h,
                      const struct http_field *fields, struct http_client_answer *out);
/* What follows it: the body's framing, and whether the connection can be kept. */
void client_body_open(struct http_client_call *c, const struct http_answer_head *h, bool to_head);

extern struct http_client_stats client_counters;
