/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h — CPU-bound work off the loop: password hashes, private-key operations, compression.
 * What a job touches is handed over whole: nobody else looks at it until it is done. Jobs do not
 * park, touch no device and no fiber call; malloc, log and platform "any thread" calls are fine. */
#pragma once
#include "kernel/base/base.h"

rc_t worker_init(void); /* starts platform_worker_count() workers */
/* Runs fn(arg) on a worker and parks the calling fiber until it has returned. RC_LIMIT: the queue
 * is full (JOB_QUEUE_MAX): answer 503. Outside fibers, before the loop runs: runs it in place. */
rc_t worker_run(void (*fn)(void *arg), void *arg);
/* The same without a fiber: done(arg) is called on the loop. `job` is the caller's until then. */
struct job {
    void (*fn)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct job *next;
    str request_id; /* worker_run's: whose work it is, for the log */
};
rc_t worker_submit(struct job *job);
u32 worker_count(void);
u32 worker_queue_length(void); /* waiting for a worker */

struct worker_stats {
    u64 jobs, refused;       /* taken; RC_LIMIT answers */
    u64 busy_ns;             /* running jobs, all workers */
    u32 queue_peak;
};
void worker_stats_get(struct worker_stats *out);
