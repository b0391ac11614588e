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

/* The read functions of counter.def (gauges.c). */
#define COUNTER(id, name, help)
#define COUNTER_READ(id, name, help, read) double read(void);
#define GAUGE(id, name, help, read) double read(void);
#include "app/metrics/counter.def"
#undef COUNTER
#undef COUNTER_READ
#undef GAUGE
