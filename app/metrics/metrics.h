/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — counters, gauges and histograms: one line each in counter.def; the numbers live in
 * plain memory and cost an add. Loop only (workers report through their job's result). */
#pragma once
#include "kernel/base/base.h"

enum metric {
#define COUNTER(id, name, help) METRIC_##id,
#define COUNTER_READ(id, name, help, read) METRIC_##id,
#define GAUGE(id, name, help, read) METRIC_##id,
#include "app/metrics/counter.def"
#undef COUNTER
#undef COUNTER_READ
#undef GAUGE
    METRIC_COUNT
};
extern u64 metric_values[METRIC_COUNT];
static inline void metric_add(enum metric m, u64 n) { metric_values[m] += n; }
/* One finished request: route pattern, method, status, duration. Bounded label sets: `route` and
 * `method` must be constants that live for ever (they are told apart by their address). */
void metric_request(const char *route, str method, int status, u64 duration_ns);

/* One decision of the policy engine, by the path asked. Any path: the label set is bounded. */
enum metric_outcome { METRIC_ANSWERED, METRIC_UNDEFINED, METRIC_FAILED };
void metric_decide(str path, enum metric_outcome outcome, bool cached, u64 duration_ns);

extern const struct module metrics_module;
