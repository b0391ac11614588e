/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c — what the cache counts, copied to where /metrics reads it (app/metrics/counter.def).
 * Counters there never go back: CONFIG RESETSTAT starts INFO's anew, and what they had reached is
 * remembered here.
 *
 *   shown = what earlier periods reached + what the present one counts
 */
#include "app/cache/figures.h"
#include "app/cache/data/memory.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/metrics/metrics.h"

struct figure {
    u64 before, last; /* the sum of finished periods; the present one when last seen */
};

static void count(enum metric m, struct figure *f, u64 now) {
    if (now < f->last) f->before += f->last;
    f->last = now;
    metric_values[m] = f->before + now;
}

void figures_publish(void) {
    static struct figure hits, misses, evicted, expired, commands_run, connections, rejected, in,
        out, errors;
    count(METRIC_CACHE_HITS, &hits, keys_stats.hits);
    count(METRIC_CACHE_MISSES, &misses, keys_stats.misses);
    count(METRIC_CACHE_EVICTED, &evicted, keys_stats.evicted);
    count(METRIC_CACHE_EXPIRED, &expired, keys_stats.expired);
    count(METRIC_CACHE_COMMANDS, &commands_run, server_stats.commands);
    count(METRIC_CACHE_ERRORS, &errors, command_stats.error_replies);
    count(METRIC_CACHE_CONNECTIONS, &connections, server_stats.connections);
    count(METRIC_CACHE_REJECTED, &rejected, server_stats.rejected);
    count(METRIC_CACHE_IN, &in, server_stats.bytes_in);
    count(METRIC_CACHE_OUT, &out, server_stats.bytes_out);
    u64 keys = 0, limit = evict_limit_get();
    for (u32 i = 0; i < CACHE_DATABASES; i++) keys += databases[i].dict.count;
    metric_values[METRIC_CACHE_KEYS] = keys;
    metric_values[METRIC_CACHE_CLIENTS] = client_count();
    metric_values[METRIC_CACHE_BLOCKED] = waits_count();
    metric_values[METRIC_CACHE_MEMORY] = cache_used() + cache_fixed();
    metric_values[METRIC_CACHE_MEMORY_MAX] = limit ? limit : cache_memory_budget();
}
