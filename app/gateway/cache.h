/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h — answers of upstreams kept for the next who asks (cache.c). */
#pragma once
#include "app/gateway/proxy.h"
#include "kernel/base/buf.h"

LIMIT(GATEWAY_CACHE_BYTES, 33554432, 65536) /* of all kept answers; less on small machines */
LIMIT(GATEWAY_CACHED_MAX, 1048576, 8192)    /* of one body; larger ones pass */

struct cached { /* an answer that is kept; held while it is sent */
    struct http_client_answer answer;
    str body;
    u64 age_s, left_s; /* at the time of cache_find */
};
/* A fresh answer to this request, or NULL. */
struct cached *cache_find(struct request *rq, const struct gateway_route *g);
void cache_release(struct cached *c);

struct cache_filling; /* an answer on its way that may be kept */
/* NULL: this answer is not to be kept. In the request's arena, ends with it. */
struct cache_filling *cache_begin(struct request *rq, const struct gateway_route *g,
                                  const struct http_client_answer *answer);
void cache_body(struct cache_filling *f, str bytes);
void cache_commit(struct cache_filling *f); /* the body is whole */
/* A method that changes things was answered well: what is kept for its URL is forgotten. */
void cache_invalidate(struct request *rq, const struct gateway_route *g);
void cache_forget(void); /* all */
u64 cache_bytes(void);
