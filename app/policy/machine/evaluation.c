/* SPDX-License-Identifier: Apache-2.0 */
/* evaluation.c — what an evaluation offers to what it calls: its limits, the way to report an
 * error, and all that builtins may ask: time, chance, what they remembered, what was compiled
 * before.
 *
 * Things compiled from patterns and keys outlive the question. They are dropped between questions
 * only, those not asked for lately, so that a builtin may hold on to what it got. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "app/policy/machine/run.h"
#include "app/policy/trace.h"
#include "kernel/base/limits.h"

/* ---- Errors and limits ---- */

void machine_fail(struct evaluation *e, enum policy_code code, const struct ast_location *at,
                  const char *fmt, ...) {
    if (e->rc) return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
    e->rc = RC_INVALID;
    if (!e->error) return;
    *e->error = (struct policy_error){.code = code};
    e->error->message = (str){e->message, n < 0 ? 0 : MIN((size_t)n, sizeof e->message - 1)};
    if (at) e->error->at = *at;
}

void machine_stop(struct evaluation *e, rc_t rc, const char *why) {
    if (e->rc) return;
    machine_fail(e, EVAL_CANCEL_ERROR, NULL, "%s", why);
    e->rc = rc;
}

bool machine_check(struct evaluation *e) {
    if (e->rc) return false;
    e->steps += (u64)(POLICY_STEPS_SLICE - e->budget);
    e->budget = POLICY_STEPS_SLICE;
    const struct policy_ask *ask = e->ask;
    if (e->heap.exhausted) machine_stop(e, RC_LIMIT, "the memory allowed for a query is used up");
    else if (e->steps > e->steps_max)
        machine_stop(e, RC_LIMIT, "the steps allowed for a query are used up");
    else if (ask->cancelled && ask->cancelled(ask->arg))
        machine_stop(e, RC_TIMEOUT, "caller cancelled query execution");
    else if (ask->limits.deadline_ns && ask->clock_ns && ask->clock_ns() >= ask->limits.deadline_ns)
        machine_stop(e, RC_TIMEOUT, "context deadline exceeded");
    return !e->rc;
}

/* ---- What builtins ask ---- */

bool evaluation_tick(struct evaluation *e, u32 steps) {
    e->budget -= steps;
    return e->budget > 0 || machine_check(e);
}

u64 evaluation_now_ns(struct evaluation *e) { return e->ask->now_ns; }
http_send_fn *evaluation_http(struct evaluation *e, void **arg) {
    *arg = e->ask->http_arg;
    return e->ask->http;
}
value evaluation_allow_net(struct evaluation *e) { return e->ask->allow_net; }
name_lookup_fn *evaluation_lookup(struct evaluation *e, void **arg) {
    *arg = e->ask->http_arg;
    return e->ask->lookup;
}
value evaluation_runtime(struct evaluation *e) {
    return value_defined(e->ask->runtime) ? e->ask->runtime : value_empty_object();
}

/* splitmix64 of the question's seed: for rand.intn and uuids, not for secrets. */
void evaluation_random(struct evaluation *e, void *to, size_t n) {
    u8 *at = to;
    while (n) {
        u64 z = e->ask->seed + 0x9e3779b97f4a7c15ull * ++e->random_count;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        size_t part = MIN(n, sizeof z);
        memcpy(at, &z, part);
        at += part, n -= part;
    }
}

enum { REMEMBERED_SLOTS = 64 };

static u32 remembered_slot(const struct builtin *b, value key) {
    return (value_hash(key) ^ (u32)(uintptr_t)b >> 4) % REMEMBERED_SLOTS;
}

value evaluation_remember_get(struct evaluation *e, const struct builtin *b, value key) {
    if (!e->remembered) return UNDEFINED;
    for (const struct remembered *r = e->remembered[remembered_slot(b, key)]; r; r = r->next)
        if (r->builtin == b && value_equal(r->key, key)) return r->v;
    return UNDEFINED;
}

void evaluation_remember(struct evaluation *e, const struct builtin *b, value key, value v) {
    if (!e->remembered) {
        e->remembered = heap_alloc(&e->heap, REMEMBERED_SLOTS * sizeof *e->remembered);
        if (!e->remembered) return;
        memset(e->remembered, 0, REMEMBERED_SLOTS * sizeof *e->remembered);
    }
    struct remembered *r = heap_alloc(&e->heap, sizeof *r);
    if (!r) return;
    u32 slot = remembered_slot(b, key);
    *r = (struct remembered){b, key, v, e->remembered[slot]};
    e->remembered[slot] = r;
}

struct cached {
    const void *owner;
    void *thing;
    void (*drop)(void *thing);
    u64 used; /* the clock when it was last asked for */
    u32 hash, key_len;
    struct cached *next;
    char key[];
};

enum { CACHED_SLOTS = 256 };

void evaluation_cached_close(struct evaluation *e) {
    for (u32 i = 0; e->cached && i < CACHED_SLOTS; i++)
        for (struct cached *c = e->cached[i], *next; c; c = next) {
            next = c->next;
            if (c->drop && c->thing) c->drop(c->thing);
            free(c);
        }
    free(e->cached);
}

static u32 cached_hash(const void *owner, str key) {
    u64 h = str_hash(key, (u64)(uintptr_t)owner);
    return (u32)(h ^ h >> 32);
}

/* Drops what has not been asked for lately: at least half of all. Between questions only. */
void evaluation_cached_trim(struct evaluation *e) {
    u64 kept_from = e->cached_clock - POLICY_CACHED_MAX / 2;
    for (u32 i = 0; i < CACHED_SLOTS; i++)
        for (struct cached **at = &e->cached[i]; *at;) {
            struct cached *c = *at;
            if (c->used > kept_from) {
                at = &c->next;
                continue;
            }
            *at = c->next;
            if (c->drop && c->thing) c->drop(c->thing);
            free(c);
            e->cached_count--;
        }
}

void *evaluation_cached(struct evaluation *e, const void *owner, str key,
                        void *(*make)(void *arg, str key), void (*drop)(void *thing), void *arg) {
    if (!e->cached && !(e->cached = calloc(CACHED_SLOTS, sizeof *e->cached))) return NULL;
    u32 hash = cached_hash(owner, key);
    struct cached **slot = &e->cached[hash % CACHED_SLOTS];
    e->cached_clock++;
    for (struct cached *c = *slot; c; c = c->next)
        if (c->hash == hash && c->owner == owner && str_eq((str){c->key, c->key_len}, key)) {
            c->used = e->cached_clock;
            return c->thing;
        }
    if (e->cached_count >= POLICY_CACHED_HARD_MAX) {
        machine_stop(e, RC_LIMIT, "too many patterns and keys are used in one query");
        return NULL;
    }
    struct cached *c = malloc(sizeof *c + key.len);
    if (!c) return NULL;
    *c = (struct cached){.owner = owner, .drop = drop, .used = e->cached_clock, .hash = hash,
                         .key_len = (u32)key.len};
    if (key.len) memcpy(c->key, key.ptr, key.len);
    c->thing = make(arg, key);
    if (!c->thing) {
        free(c);
        return NULL;
    }
    c->next = *slot; /* making it may have added others here */
    *slot = c, e->cached_count++;
    return c->thing;
}

void evaluation_print(struct evaluation *e, const struct ast_location *at, str message) {
    if (e->ask->print) e->ask->print(e->ask->arg, at, message);
}

void evaluation_test_case(struct evaluation *e, value names) {
    if (e->ask->test_case) e->ask->test_case(e->ask->arg, names);
}

/* Notes: shown by those who asked for them. */
void evaluation_trace(struct evaluation *e, str message) {
    if (e->ask->note) e->ask->note(e->ask->arg, message);
    struct policy_event event = {.op = POLICY_NOTE, .depth = e->depth, .query = e->telling,
                                 .at = e->call.at, .message = message};
    if (e->ask->trace) e->ask->trace->event(e->ask->trace, &event);
}
