/* SPDX-License-Identifier: Apache-2.0 */
/* lazy.c — large values and whole databases are freed in slices, from the loop's idle turns: a
 * million members gone at once would hold everybody up. Their memory counts until it is free.
 *
 * Always true: what waits here is reachable from nowhere else. */
#include "app/cache/data/dict.h"
#include "app/cache/data/memory.h"
#include "app/cache/limits.h"
#include "app/cache/object_impl.h"
#include "kernel/platform.h"

#define STEP 32u /* items between two looks at the clock */

struct lazy_job {
    struct lazy_job *next;
    struct object object;
    struct dict dict;
    void (*free_node)(void *node); /* NULL: it is an object */
};
static struct lazy_job *first, **last = &first;
static struct lazy_stats stats;

static const struct object_class *class_of(const struct object *o) {
    switch (o->type) {
    case OBJECT_LIST: return &list_class;
    case OBJECT_SET: return &set_class;
    case OBJECT_ZSET: return &zset_class;
    case OBJECT_HASH: return &hash_class;
    case OBJECT_STREAM: return &feed_class;
    default: return &string_class;
    }
}

static struct lazy_job *job_add(u64 values) {
    struct lazy_job *job = cache_zero(sizeof *job);
    *last = job;
    last = &job->next;
    stats.pending += values;
    return job;
}

void lazy_free_object(struct object o) {
    job_add(1)->object = o;
}

void lazy_free_dict(struct dict d, void (*free_node)(void *node)) {
    struct lazy_job *job = job_add(d.count);
    job->dict = d;
    job->free_node = free_node;
}

/* True: the job is done. */
static bool job_step(struct lazy_job *job) {
    if (!job->free_node) {
        const struct object_class *c = class_of(&job->object);
        bool done = true;
        if (c->free_some) done = c->free_some(&job->object, STEP);
        else c->free_now(&job->object);
        stats.pending -= done;
        stats.freed += done;
        return done;
    }
    for (u32 i = 0; i < STEP; i++) {
        struct node *n = dict_take_any(&job->dict);
        if (!n) {
            dict_close(&job->dict);
            return true;
        }
        job->free_node(n);
        stats.pending--;
        stats.freed++;
    }
    return false;
}

bool lazy_run(u64 until_ns) {
    while (first) {
        struct lazy_job *job = first;
        if (job_step(job)) {
            first = job->next;
            if (!first) last = &first;
            cache_free(job);
        }
        if (platform_clock_ns() >= until_ns) break;
    }
    return first != NULL;
}

void lazy_stats_get(struct lazy_stats *out) { *out = stats; }
void lazy_stats_reset(void) { stats.freed = 0; }
