/* SPDX-License-Identifier: Apache-2.0 */
/* pool_impl.h — a pool from inside: pool.c (turns, rests, breaker) and pool_health.c (checks). */
#pragma once
#include "app/gateway/proxy.h"

enum breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct pool_target { /* one server, for as long as a table names it */
    struct pool_target *next;
    str url;
    u32 references, weight, under_way;
    s64 credit;            /* of its turn */
    u32 failures, rested;  /* in a row; how often it was made to rest */
    u64 rest_until_ns;
    bool ill;              /* by its health checks */
    u32 passes, fails;     /* of them in a row */
    u64 next_check_ns, checks;
    u64 requests, failed;  /* ever */
    char said[96];         /* what the last check found; empty: fine */
    char text[];
};
struct pool_view { /* how one table sees the pool */
    struct pool_view *next;
    const struct edge_upstream *upstream;
    struct pool *pool;
    u32 count;
    struct pool_target *targets[EDGE_TARGETS_MAX];
};
static_assert(EDGE_TARGETS_MAX <= 32, "a bit each in pool_pick");
struct pool {
    struct pool *next;
    str name;
    struct pool_view *views; /* newest first */
    struct pool_target *targets;
    u32 references, under_way;
    enum breaker breaker;
    u64 open_until_ns;
    u32 opened, probing, probes_well; /* in a row; now; since half open */
    u32 failures;                     /* in a row */
    u64 window_ns;
    u32 window_all, window_failed;
    u64 retry_ns;
    u32 retries, retry_base;
    char text[];
};
extern struct pool *pools_first;
void pool_health_start(void);
void pool_health_follow(void); /* after the table changed */
void pool_health_stop(void);
