/* SPDX-License-Identifier: Apache-2.0 */
/* memo.c — values of rules, functions and keyed partial rules, remembered for one question.
 *
 * A rule's value has a cell of its own, found by the rule's number. Each scope of `with` has a
 * generation; what was remembered under another generation does not count. A cell overwritten
 * under a `with` is put back when the `with` ends, so that the rest of the question still knows it.
 *
 * Calls are remembered by function and scalar arguments in a small table in which the newer simply
 * overwrites the older: losing one costs time, never truth. */
#include "app/policy/machine/run.h"
#include <stdlib.h>
#include "kernel/base/limits.h"

void memo_put(struct evaluation *e, u32 node, value v) {
    struct memo *m = e->memo + node;
    if (e->now.with && m->generation != e->now.generation) {
        if (e->undo_count == e->undo_room) {
            u32 room = e->undo_room ? e->undo_room * 2 : 64;
            struct memo_undo *now = realloc(e->undo, (size_t)room * sizeof *now);
            if (!now) return;
            e->undo = now, e->undo_room = room;
        }
        e->undo[e->undo_count++] = (struct memo_undo){node, *m};
    }
    *m = (struct memo){e->now.generation, v};
}

void memo_undo_to(struct evaluation *e, u32 mark) {
    while (e->undo_count > mark) {
        const struct memo_undo *u = e->undo + --e->undo_count;
        e->memo[u->id] = u->old;
    }
}

static bool are_scalars(const value *v, u32 count) {
    for (u32 i = 0; i < count; i++)
        if (v[i].kind > VALUE_STRING) return false;
    return count <= MEMO_ARGUMENTS_MAX;
}

static u32 call_hash(u32 id, const value *arguments, u32 count) {
    u32 h = id * 0x9e3779b1u;
    for (u32 i = 0; i < count; i++) h = (h ^ value_hash(arguments[i])) * 0x85ebca6bu;
    return h ^ h >> 15;
}

static bool is_call(const struct memo_call *m, u32 id, const value *arguments, u32 count) {
    if (m->id != id || m->count != count) return false;
    for (u32 i = 0; i < count; i++)
        if (!value_equal(m->arguments[i], arguments[i]) ||
            m->arguments[i].boxed != arguments[i].boxed)
            return false;
    return true;
}

struct memo_call *memo_call_find(struct evaluation *e, u32 id, const value *arguments, u32 count) {
    if (!e->calls || !are_scalars(arguments, count)) return NULL;
    struct memo_call *m = e->calls + (call_hash(id, arguments, count) & e->calls_mask);
    return m->generation == e->now.generation && is_call(m, id, arguments, count) ? m : NULL;
}

static void calls_grow(struct evaluation *e) {
    u32 slots = e->calls ? (e->calls_mask + 1) * 4 : 64;
    if (slots > POLICY_MEMO_CALLS_MAX) return;
    struct memo_call *now = calloc(slots, sizeof *now);
    if (!now) return;
    for (u32 i = 0; e->calls && i <= e->calls_mask; i++) {
        const struct memo_call *m = e->calls + i;
        if (m->generation == e->now.generation)
            now[call_hash(m->id, m->arguments, m->count) & (slots - 1)] = *m;
    }
    free(e->calls);
    e->calls = now, e->calls_mask = slots - 1, e->calls_lost = 0;
}

void memo_call_put(struct evaluation *e, u32 id, const value *arguments, u32 count, value result) {
    if (!are_scalars(arguments, count)) return;
    if (!e->calls || e->calls_lost > e->calls_mask / 4) calls_grow(e);
    if (!e->calls) return;
    struct memo_call *m = e->calls + (call_hash(id, arguments, count) & e->calls_mask);
    if (m->generation == e->now.generation) e->calls_lost++;
    *m = (struct memo_call){
        .generation = e->now.generation, .id = id, .count = count, .result = result};
    for (u32 i = 0; i < count; i++) m->arguments[i] = arguments[i];
}
