/* SPDX-License-Identifier: Apache-2.0 */
/* why.c — watching an evaluation to be able to tell about it.
 *
 *   ENTER q  -> an attempt: which rule or body, for whom (its parent, and what the parent was at)
 *   EVAL  q  -> what it is at
 *   FAIL  q  -> if no failure of it lay further: remembered, with what the variables were
 *   EXIT  q  -> it held
 *
 * Nothing is told here (why_tell.c). Attempts beyond WHY_ATTEMPTS_MAX are not kept, and the
 * report says so. Values belong to the evaluation; only lists of them are copied. */
#include <stdlib.h>
#include "app/policy/why_impl.h"

static struct attempt *find(struct policy_why *e, u32 number) {
    u32 place = number < e->index_room ? e->index[number] : 0;
    return place ? &e->attempts[place - 1] : NULL;
}

const struct attempt *attempt_of(const struct policy_why *e, u32 number) {
    u32 place = number < e->index_room ? e->index[number] : 0;
    return place ? &e->attempts[place - 1] : NULL;
}

static bool room_for(struct policy_why *e, u32 number) {
    if (e->count == WHY_ATTEMPTS_MAX || number > 8 * WHY_ATTEMPTS_MAX) return false;
    if (e->count == e->room) {
        u32 room = e->room ? e->room * 2 : 256;
        struct attempt *more = realloc(e->attempts, room * sizeof *more);
        if (!more) return false;
        e->attempts = more, e->room = room;
    }
    if (number >= e->index_room) {
        u32 room = MAX(number + 1, e->index_room ? e->index_room * 2 : 256);
        u32 *more = realloc(e->index, room * sizeof *more);
        if (!more) return false;
        memset(more + e->index_room, 0, (room - e->index_room) * sizeof *more);
        e->index = more, e->index_room = room;
    }
    return true;
}

static void enter(struct policy_why *e, const struct policy_event *event) {
    if (!room_for(e, event->query)) {
        e->incomplete = true;
        return;
    }
    const struct attempt *parent = attempt_of(e, event->parent);
    e->attempts[e->count++] = (struct attempt){.number = event->query, .parent = event->parent,
                                               .rule = event->rule, .body = event->body,
                                               .trigger = parent ? parent->current : NULL};
    e->index[event->query] = e->count;
}

static void keep_locals(struct policy_why *e, struct attempt *a, const struct policy_event *v) {
    struct policy_local *copy = heap_alloc(&e->heap, (v->local_count + 1) * sizeof *copy);
    a->locals = copy, a->local_count = 0;
    if (!copy) {
        e->incomplete = true;
        return;
    }
    if (v->local_count) memcpy(copy, v->locals, v->local_count * sizeof *copy);
    a->local_count = v->local_count;
}

static u32 position(const struct ast_body *b, const struct ast_expr *expr) {
    for (u32 i = 0; b && i < b->count; i++)
        if (b->exprs[i] == expr) return i;
    return 0;
}

static void fail(struct policy_why *e, struct attempt *a, const struct policy_event *event) {
    u32 at = position(attempt_body(a), event->expr);
    if (a->held || (a->failed && at <= a->reached)) return;
    a->failed = event->expr, a->reached = at;
    keep_locals(e, a, event);
}

static value head_value(const struct ast_rule *r, const struct policy_event *event) {
    const struct ast_term *t = r->head->value;
    if (!t) return UNDEFINED;
    if (t->kind <= AST_STRING || t->kind == AST_VALUE) return t->scalar;
    for (u32 i = 0; t->kind == AST_VAR && i < event->local_count; i++)
        if (str_eq(event->locals[i].name, t->var)) return event->locals[i].v;
    return UNDEFINED;
}

static void watch(struct policy_trace *t, const struct policy_event *event) {
    struct policy_why *e = (struct policy_why *)t;
    struct attempt *a = event->op == POLICY_ENTER ? NULL : find(e, event->query);
    switch (event->op) {
    case POLICY_ENTER: enter(e, event); break;
    case POLICY_EVAL:
    case POLICY_REDO:
        if (a && event->expr) a->current = event->expr;
        break;
    case POLICY_FAIL:
        if (a && event->expr) fail(e, a, event);
        break;
    case POLICY_EXIT:
        if (!a || a->held) break;
        a->held = true, a->order = ++e->order;
        keep_locals(e, a, event);
        if (a->rule) a->held_value = head_value(a->rule, event);
        break;
    default: break;
    }
}

rc_t policy_why_open(struct policy_why **out, size_t bytes_max) {
    struct policy_why *e = calloc(1, sizeof *e);
    if (!e) return RC_NO_MEMORY;
    heap_open(&e->heap, bytes_max ? bytes_max : MIB(16));
    e->trace = (struct policy_trace){.event = watch, .locals = true};
    *out = e;
    return RC_OK;
}

void policy_why_close(struct policy_why *e) {
    if (!e) return;
    free(e->attempts), free(e->index);
    heap_close(&e->heap);
    free(e);
}

struct policy_trace *policy_why_trace(struct policy_why *e) { return &e->trace; }

static rc_t ask_watched(struct policy_why *x, const struct policy_query *query,
                        struct policy_evaluator *e, const struct policy_ask *ask,
                        struct policy_why_question *q, struct heap *h, value *report,
                        value *result, struct policy_error *error) {
    struct policy_ask watched = *ask;
    struct policy_answer answer;
    watched.input = q->input, watched.data = q->data;
    watched.trace = policy_why_trace(x);
    rc_t rc = policy_ask(e, query, &watched, &answer, error);
    if (rc) return rc;
    value v = answer.count ? value_get_str(answer.results[0].bindings, S("x")) : UNDEFINED;
    q->result = v;
    *report = policy_why_report(x, h, q);
    *result = value_defined(v) ? value_copy(h, v) : UNDEFINED;
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

rc_t policy_why(struct policy_program *watched, struct policy_evaluator *e,
                    const struct policy_ask *ask, struct policy_why_question *q,
                    struct heap *h, value *report, value *result, struct policy_error *error) {
    struct policy_query_options o = {.trace = true};
    struct policy_why *x = NULL;
    struct policy_query *query = NULL;
    struct policy_errors errors;
    struct buf text;
    buf_open(&text, MIB(1));
    policy_why_query(&text, q->path);
    policy_errors_open(&errors, h, 1);
    *report = *result = UNDEFINED;
    rc_t rc = text.failed ? RC_NO_MEMORY : policy_why_open(&x, 0);
    if (!rc) rc = policy_prepare_with(watched, buf_str(&text), &o, &query, &errors);
    if (rc == RC_INVALID && errors.count) *error = errors.items[0];
    if (!rc) rc = ask_watched(x, query, e, ask, q, h, report, result, error);
    if (query) policy_query_drop(query);
    policy_why_close(x);
    buf_close(&text);
    return rc;
}
