/* SPDX-License-Identifier: Apache-2.0 */
/* load.c — refuses early what could not be finished: 503 with Retry-After while memory is nearly
 * used up or the loop runs late.
 *
 *   a request comes -> the sampler's timer starts -> every SAMPLE_MS: how late did I fire? how full
 *   is the heap? -> no request for QUIET_MS -> it stops (an idle machine is not woken for nothing)
 *
 * Late means late twice running. One late sample is a pause (a host that gave the CPU to somebody
 * else, one long turn): nothing has piled up behind it that refusing requests would help, and it
 * was seen to cost a hundred good requests their answer.
 *
 * Health, metrics and the administrator's routes are never shed: they are how one finds out. */
#include "app/gateway/gateway_impl.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "kernel/platform.h"

#define SAMPLE_MS 50u
#define QUIET_MS 1000u
#define LAG_SHED_US 250000u       /* a quarter of a second: people notice, probes time out soon */
#define MEMORY_SHED_PERCENT 90u   /* the rest is what requests already running may still need */

static struct {
    struct timer sampler;
    u64 last_request_ns, due_ns;
    u64 late_us; /* latest sample */
    u64 lag_us;  /* what the last two have in common, or half of what it was */
    u32 memory_percent;
} load;

static void sample(void *arg) {
    (void)arg;
    u64 now = platform_clock_ns();
    u64 late_us = now > load.due_ns ? (now - load.due_ns) / NS_PER_US : 0;
    load.lag_us = MAX(MIN(late_us, load.late_us), load.lag_us / 2);
    load.late_us = late_us;
    load.memory_percent = memory_pressure_percent();
    if (now - load.last_request_ns > QUIET_MS * NS_PER_MS) {
        load.lag_us = load.late_us = 0;
        return;
    }
    load.due_ns = now + SAMPLE_MS * NS_PER_MS;
    if (timer_start(&load.sampler, load.due_ns)) load.lag_us = 0; /* no timer left: judge memory */
}

static void keep_sampling(void) {
    load.last_request_ns = loop_now_ns();
    if (timer_waiting(&load.sampler)) return;
    if (!load.sampler.fn) timer_init(&load.sampler, sample, NULL);
    load.memory_percent = memory_pressure_percent();
    load.due_ns = load.last_request_ns + SAMPLE_MS * NS_PER_MS;
    if (timer_start(&load.sampler, load.due_ns)) load.lag_us = 0;
}

rc_t load_limit(struct request *rq) {
    if (rq->route->quiet) return RC_OK;
    keep_sampling();
    if (load.lag_us < LAG_SHED_US && load.memory_percent < MEMORY_SHED_PERCENT) return RC_OK;
    if (rq->route->access == ACCESS_ADMIN) return RC_OK;
    metric_add(METRIC_REQUESTS_SHED, 1);
    if (http_answer_field(rq->x, S("Retry-After"), S("1"))) return RC_LIMIT;
    reply_problem(rq, 503, "overloaded", "The appliance is overloaded; try again in a moment.");
    return RC_LIMIT;
}

u64 load_lag_us(void) { return load.lag_us; }
u32 load_memory_percent(void) { return load.memory_percent; }
