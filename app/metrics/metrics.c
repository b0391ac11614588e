/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c — the numbers themselves: an array of counters, and a table of routes.
 *
 *   route pattern + method -> open addressing by address -> histogram, count per status
 *
 * Always true: a counter never falls; the label sets are bounded (patterns of our tables, nine
 * methods, METRIC_STATUSES statuses), whatever clients send; counting allocates only the first time
 * a route is seen, and without memory that request is simply not in the histogram.
 * Leaves the text to prometheus.c. */
#include "app/metrics/metrics_impl.h"
#include "kernel/core/memory.h"

u64 metric_values[METRIC_COUNT];
const u64 metric_bucket_ns[METRIC_BUCKETS] = {
    50000,    100000,    250000,    500000,    1000000,    2500000,    5000000,    10000000,
    25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000,
};
static struct metric_route *seen[METRIC_ROUTES];
static_assert((METRIC_ROUTES & (METRIC_ROUTES - 1)) == 0, "probing masks");

const struct metric_route *metric_route_at(u32 slot) { return seen[slot]; }

static struct metric_route *find(const char *route, str method) {
    u64 h = ((u64)(uintptr_t)route ^ (u64)(uintptr_t)method.ptr << 7) * 0x9E3779B97F4A7C15ull;
    u32 at = (u32)(h >> 40) & (METRIC_ROUTES - 1);
    for (u32 tried = 0; tried < METRIC_ROUTES / 2; tried++, at = (at + 1) & (METRIC_ROUTES - 1)) {
        struct metric_route *r = seen[at];
        if (r && r->route == route && r->method.ptr == method.ptr) return r;
        if (r) continue;
        if (!(r = memory_zero(MEMORY_SERVICES, sizeof *r))) return NULL;
        r->route = route;
        r->method = method;
        return seen[at] = r;
    }
    return NULL;
}

static void count_status(struct metric_route *r, int status) {
    u32 i = 0;
    while (i < METRIC_STATUSES - 1 && r->statuses[i].count && r->statuses[i].status != status) i++;
    r->statuses[i].status = i < METRIC_STATUSES - 1 ? status : 0;
    r->statuses[i].count++;
}

void metric_request(const char *route, str method, int status, u64 duration_ns) {
    struct metric_route *r = find(route, method);
    if (!r) return;
    u32 b = 0;
    while (b < METRIC_BUCKETS && duration_ns > metric_bucket_ns[b]) b++;
    r->buckets[b]++;
    r->count++;
    r->sum_ns += duration_ns;
    count_status(r, status);
}
