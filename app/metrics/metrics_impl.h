/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_impl.h — what the files of this folder share. */
#pragma once
#include "app/metrics/metrics.h"
#include "kernel/base/limits.h"

enum { METRIC_BUCKETS = 16, METRIC_STATUSES = 12, METRIC_ROUTES = 2 * ROUTE_MAX };
extern const u64 metric_bucket_ns[METRIC_BUCKETS]; /* upper bounds, rising */

struct metric_route { /* one route and method */
    const char *route; /* NULL: free */
    str method;
    u64 buckets[METRIC_BUCKETS + 1]; /* not yet cumulative; the last is +Inf */
    u64 count, sum_ns;
    struct {
        int status;
        u64 count;
    } statuses[METRIC_STATUSES]; /* the last one takes what no longer fits, as status 0 */
};
const struct metric_route *metric_route_at(u32 slot); /* NULL: free; slot < METRIC_ROUTES */

enum { DECISION_PATHS = 64, DECISION_SLOTS = 128, DECISION_PATH_MAX = 200 };
extern const u64 decision_bucket_ns[METRIC_BUCKETS];
struct metric_decision { /* one entry point */
    str path;
    u64 buckets[METRIC_BUCKETS + 1]; /* as those of a route */
    u64 count, sum_ns, errors, hits; /* hits: its query was prepared already */
    char text[];
};
const struct metric_decision *metric_decision_at(u32 i); /* NULL: none; i < DECISION_SLOTS + 2 */

/* The read functions of counter.def (gauges.c). */
#define COUNTER(id, name, help)
#define COUNTER_READ(id, name, help, read) double read(void);
#define GAUGE(id, name, help, read) double read(void);
#include "app/metrics/counter.def"
#undef COUNTER
#undef COUNTER_READ
#undef GAUGE
