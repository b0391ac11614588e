/* SPDX-License-Identifier: Apache-2.0 */
/* decide.c — evaluators: memory and caches that go from question to question.
 *
 * A decision runs on its request's fiber. Every few thousand steps the engine asks whether to go
 * on; that is where other requests get their turn, so an expensive policy costs its own asker
 * time and nobody else. Evaluators come from a pool that grows to EVALUATORS_MAX; beyond it the
 * answer is 503. */
#include <stdlib.h>
#include "app/rego/rego_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

enum { EVALUATORS_MAX = 64, EVALUATORS_KEPT = 8, DEADLINE_S = 10 };

static struct rego_evaluator *idle;
static u32 idle_count, made_count;

rc_t rego_evaluator_take(struct policy_evaluator **out) {
    if (idle) {
        struct rego_evaluator *e = idle;
        idle = e->next, idle_count--;
        *out = e->engine;
        free(e);
        return RC_OK;
    }
    if (made_count == EVALUATORS_MAX) return RC_LIMIT;
    rc_t rc = policy_evaluator_open(out, POLICY_EVALUATION_BYTES_MAX);
    if (!rc) made_count++;
    return rc;
}

void rego_evaluator_give(struct policy_evaluator *e) {
    struct rego_evaluator *entry = idle_count < EVALUATORS_KEPT ? malloc(sizeof *entry) : NULL;
    if (!entry) {
        policy_evaluator_close(e);
        made_count--;
        return;
    }
    *entry = (struct rego_evaluator){e, idle};
    idle = entry, idle_count++;
}

static bool let_others_run(void *arg) {
    (void)arg;
    if (fiber_inside()) fiber_yield();
    return false;
}

/* Of rand.intn and uuid.rfc4122 within one question: one draw of entropy, then a keyed sequence. */
static u64 next_seed(u64 now) {
    static u64 key[2], count;
    if (!count && platform_entropy(key, sizeof key)) key[0] = now;
    count++;
    return str_hash(str_of((const char *)&count, sizeof count), key[0]) ^ key[1];
}

void rego_ask_fill(struct policy_ask *ask, struct rego_state *s) {
    rego_ask_fill_at(ask, s, platform_clock_ns());
}

void rego_ask_fill_at(struct policy_ask *ask, struct rego_state *s, u64 now) {
    ask->data = document_root(s->data);
    ask->data_version = (u64)s->revision + 1;
    ask->clock_ns = platform_clock_ns;
    ask->now_ns = platform_wall_ns();
    ask->seed = next_seed(now);
    ask->limits.deadline_ns = now + DEADLINE_S * NS_PER_S;
    ask->cancelled = let_others_run;
    rego_http_fill(ask);
}
