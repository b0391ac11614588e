/* SPDX-License-Identifier: Apache-2.0 */
/* decisions.c — what decisions cost and how they ended, per entry point: the path that was asked.
 *
 *   path -> open addressing by hash -> histogram, errors, hits of the cache of prepared queries
 *
 * Paths come from clients, so the labels are bounded twice: a path has one of its own only once it
 * gave an answer (what is not there counts as "(undefined)"), and beyond DECISION_PATHS all others
 * are "(other)". Always true: every decision is counted exactly once; a counter never falls. */
#include "app/metrics/metrics_impl.h"
#include "kernel/core/memory.h"

static_assert((DECISION_SLOTS & (DECISION_SLOTS - 1)) == 0, "probing masks");

const u64 decision_bucket_ns[METRIC_BUCKETS] = {
    1000,    2500,    5000,    10000,    25000,    50000,     100000,    250000,
    500000, 1000000, 2500000, 5000000, 10000000, 100000000, 1000000000, 10000000000,
};
static struct metric_decision *table[DECISION_SLOTS];
static struct metric_decision undefined = {.path = S("(undefined)")};
static struct metric_decision other = {.path = S("(other)")};
static u32 named;

const struct metric_decision *metric_decision_at(u32 i) {
    if (i < DECISION_SLOTS) return table[i];
    const struct metric_decision *rest = i == DECISION_SLOTS ? &undefined : &other;
    return rest->count ? rest : NULL;
}

/* Where it is, or would be. At most half of the slots are ever taken. */
static struct metric_decision **slot_of(str path) {
    u32 at = (u32)str_hash(path, 0) & (DECISION_SLOTS - 1);
    while (table[at] && !str_eq(table[at]->path, path)) at = (at + 1) & (DECISION_SLOTS - 1);
    return &table[at];
}

static struct metric_decision *entry_of(str path, bool defined) {
    struct metric_decision **slot = slot_of(path);
    if (*slot) return *slot;
    if (!defined) return &undefined;
    if (named == DECISION_PATHS || path.len > DECISION_PATH_MAX) return &other;
    struct metric_decision *d = memory_zero(MEMORY_SERVICES, sizeof *d + path.len);
    if (!d) return &other;
    if (path.len) memcpy(d->text, path.ptr, path.len);
    d->path = str_of(d->text, path.len);
    named++;
    return *slot = d;
}

void metric_decide(str path, enum metric_outcome outcome, bool cached, u64 duration_ns) {
    struct metric_decision *d = entry_of(path, outcome == METRIC_ANSWERED);
    u32 b = 0;
    while (b < METRIC_BUCKETS && duration_ns > decision_bucket_ns[b]) b++;
    d->buckets[b]++;
    d->count++;
    d->sum_ns += duration_ns;
    d->errors += outcome == METRIC_FAILED;
    d->hits += cached;
}
