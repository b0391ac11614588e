/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c — evaluators: opened once, asked many questions.
 *
 * An evaluator keeps its memory from question to question: registers, frames, the tables of what
 * is remembered, and the heap's blocks. Nothing is cleared: every question has a generation of its
 * own, and what was remembered under another one does not count. */
#include <stdlib.h>
#include "app/policy/machine/run.h"
#include "kernel/base/limits.h"

/* ---- Opening and closing ---- */

rc_t policy_evaluator_open(struct policy_evaluator **out, size_t bytes_max) {
    struct policy_evaluator *pe = calloc(1, sizeof *pe);
    if (!pe) return RC_NO_MEMORY;
    size_t bytes = bytes_max ? bytes_max : POLICY_EVALUATION_BYTES_MAX;
    heap_open(&pe->e.heap, bytes);
    heap_open(&pe->e.input_heap, bytes);
    *out = pe;
    return RC_OK;
}

void policy_evaluator_close(struct policy_evaluator *pe) {
    if (!pe) return;
    struct evaluation *e = &pe->e;
    evaluation_cached_close(e), looks_close(e);
    heap_close(&e->heap), heap_close(&e->input_heap);
    free(e->registers), free(e->frames), free(e->memo), free(e->undo), free(e->calls);
    free(e->slots), free(e->query_slots), free(e->results), free(e->locals);
    free(pe);
}

struct heap *policy_evaluator_heap(struct policy_evaluator *pe) {
    heap_rewind(&pe->e.input_heap);
    return &pe->e.input_heap;
}

/* ---- Asking ---- */

static bool slots_fit(u32 **slots, u32 *room, u32 needed) {
    if (needed <= *room) return true;
    u32 *now = realloc(*slots, (size_t)needed * sizeof(u32));
    if (!now) return false;
    memset(now, 0, (size_t)needed * sizeof(u32));
    *slots = now, *room = needed;
    return true;
}

static bool memo_fit(struct evaluation *e, u32 nodes) {
    if (nodes <= e->memo_room) return true;
    struct memo *now = realloc(e->memo, (size_t)nodes * sizeof *now);
    if (!now) return false;
    memset(now, 0, (size_t)nodes * sizeof *now);
    e->memo = now, e->memo_room = nodes;
    return true;
}

/* False: no memory. */
static bool begin(struct evaluation *e, const struct policy_query *q, const struct policy_ask *ask,
                  struct policy_error *error) {
    const struct program *p = &q->of->program;
    if (e->cached_count > POLICY_CACHED_MAX) evaluation_cached_trim(e);
    size_t bytes = ask->limits.bytes_max;
    heap_rewind(&e->heap);
    if (bytes) e->heap.bytes_max = bytes;
    e->policy = q->of, e->query = q, e->ask = ask;
    e->now = (struct scope){.input = ask->input, .data = ask->data, .generation = ++e->generations};
    e->top = e->depth = e->nested = e->undo_count = 0;
    e->depth_max = ask->limits.depth_max ? ask->limits.depth_max : POLICY_DEPTH_MAX;
    e->steps = 0, e->budget = POLICY_STEPS_SLICE;
    e->steps_max = ask->limits.steps_max ? ask->limits.steps_max : POLICY_STEPS_MAX;
    e->rc = RC_OK, e->error = error, e->builtin_failed = false;
    e->result_count = 0, e->decision = UNDEFINED;
    e->remembered = NULL, e->random_count = 0;
    e->told_queries = e->telling = 0;
    return slots_fit(&e->slots, &e->slot_room, p->slot_count) &&
           slots_fit(&e->query_slots, &e->query_slot_room, q->program.slot_count) &&
           memo_fit(e, p->node_count);
}

static rc_t no_memory(struct policy_error *error) {
    if (error)
        *error = (struct policy_error){.code = EVAL_CANCEL_ERROR,
                                       .message = S("the memory allowed for a query is used up")};
    return RC_NO_MEMORY;
}

static rc_t ended(struct evaluation *e) {
    if (!e->rc && e->builtin_failed) e->rc = RC_INVALID;
    return e->rc;
}

rc_t policy_ask(struct policy_evaluator *pe, const struct policy_query *q,
                const struct policy_ask *ask, struct policy_answer *out,
                struct policy_error *error) {
    struct evaluation *e = &pe->e;
    *out = (struct policy_answer){0};
    if (!begin(e, q, ask, error)) return no_memory(error);
    (void)machine_run(e, &q->program, q->unit, NOWHERE, 0xffff, NULL, 0);
    out->steps = e->steps + (u64)(POLICY_STEPS_SLICE - e->budget);
    rc_t rc = ended(e);
    if (rc) return rc;
    out->results = e->results, out->count = e->result_count;
    return RC_OK;
}

rc_t policy_decide(struct policy_evaluator *pe, const struct policy_query *q,
                   const struct policy_ask *ask, value *out, struct policy_error *error) {
    struct evaluation *e = &pe->e;
    *out = UNDEFINED;
    if (!begin(e, q, ask, error)) return no_memory(error);
    value v;
    if (q->node) {
        v = machine_rules(e, q->node);
    } else {
        (void)machine_run(e, &q->program, q->unit, NOWHERE, 0xffff, NULL, 0);
        v = e->decision;
    }
    rc_t rc = ended(e);
    if (!rc) *out = v;
    return rc;
}
