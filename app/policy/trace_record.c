/* SPDX-License-Identifier: Apache-2.0 */
/* trace_record.c — keeps events and brings them into the reference's order.
 *
 * The reference evaluates what follows an expression while the rule that answered it is still
 * open, so it comes back to the rule's expressions last. The machine closes a rule when it has its
 * value. What it tells is a tree of bodies, each told without a gap:
 *
 *   machine                          as shown
 *   Eval p                           Eval p
 *     Enter p, Eval a, Exit p          Enter p, Eval a, Exit p
 *   Eval q                           Eval q
 *   Redo q                           Redo q
 *   Redo p                           Redo p
 *                                      Redo p (the rule), Redo a      <- the tail of Enter p
 *
 * So each body gives two lists: its head, up to where it held, and its tail, what comes after the
 * rest of its caller. A tail waits at the caller's expression until that is redone or fails. A
 * rule of a document that is wanted whole says itself that it goes on: it has no tail. */
#include "app/policy/trace_record.h"
#include <stdlib.h>
#include "kernel/base/limits.h"

enum { POLICY_RECORD_BYTES_MAX = 1 << 28, EVENTS_MAX = 1 << 24 };

static bool steps_add(struct policy_steps *s, struct policy_event *e) {
    if (s->count == s->room) {
        u32 room = s->room ? s->room * 2 : 256;
        struct policy_event **more =
            room <= EVENTS_MAX ? realloc(s->items, room * sizeof *more) : NULL;
        if (!more) return false;
        s->items = more, s->room = room;
    }
    s->items[s->count++] = e;
    return true;
}

static struct policy_event *event_copy(struct policy_record *r, const struct policy_event *e) {
    struct policy_event *copy = heap_alloc(&r->heap, sizeof *copy);
    struct policy_local *locals =
        heap_alloc(&r->heap, (e->local_count ? e->local_count : 1) * sizeof *locals);
    value message = e->message.len ? value_string(&r->heap, e->message) : UNDEFINED;
    if (!copy || !locals) return NULL;
    *copy = *e, copy->locals = locals;
    if (e->local_count) memcpy(locals, e->locals, e->local_count * sizeof *locals);
    copy->message = message.kind == VALUE_STRING ? value_str(message) : S("");
    return copy;
}

static void keep(struct policy_trace *t, const struct policy_event *e) {
    struct policy_record *r = (struct policy_record *)t;
    if (r->incomplete) return;
    struct policy_event *copy = event_copy(r, e);
    if (!copy || !steps_add(&r->told, copy)) r->incomplete = true;
}

void policy_record_open(struct policy_record *r, size_t bytes_max) {
    *r = (struct policy_record){.trace = {.event = keep, .locals = true}};
    heap_open(&r->heap, bytes_max ? bytes_max : POLICY_RECORD_BYTES_MAX);
}

void policy_record_close(struct policy_record *r) {
    free(r->told.items), free(r->steps.items);
    heap_close(&r->heap);
    *r = (struct policy_record){.trace = {.event = keep, .locals = true}};
}

bool policy_explain_of(str word, enum policy_explain *out) {
    static const struct { str word; enum policy_explain mode; } words[] = {
        {S("off"), POLICY_EXPLAIN_OFF},     {S("full"), POLICY_EXPLAIN_FULL},
        {S("notes"), POLICY_EXPLAIN_NOTES}, {S("fails"), POLICY_EXPLAIN_FAILS},
        {S("debug"), POLICY_EXPLAIN_DEBUG},
    };
    for (u32 i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(words[i].word, word)) return *out = words[i].mode, true;
    return false;
}

/* ---- Order ---- */

struct link { struct policy_event *e; struct link *next; };
struct list { struct link *first, *last; };

struct waiting { /* an expression that was evaluated and may be come back to */
    struct policy_event *e;
    struct list tail;  /* of what it called last */
    struct list older; /* of what it called before */
    bool held;         /* the document called last has a value */
    bool done;         /* was come back to, and nothing followed */
    struct waiting *below;
};

struct body {
    struct policy_event *enter, *exit; /* `exit` once `exited` */
    struct list head, tail;
    bool exited;              /* `tail` is where events go */
    struct waiting *waiting;  /* the newest first */
    struct body *outer;
};

struct order {
    struct policy_record *r;
    struct body *now;
};

static void *take(struct order *o, size_t bytes) {
    void *p = heap_alloc(&o->r->heap, bytes);
    if (!p) o->r->incomplete = true;
    return p;
}

/* A negation has nothing to come back to. */
static void list_add(struct order *o, struct list *to, struct policy_event *e) {
    if (e->op == POLICY_REDO && e->expr && e->expr->negated) return;
    struct link *l = take(o, sizeof *l);
    if (!l) return;
    *l = (struct link){e, NULL};
    if (to->last) to->last->next = l;
    else to->first = l;
    to->last = l;
}

static void list_join(struct list *to, struct list *from) {
    if (!from->first) return;
    if (to->last) to->last->next = from->first;
    else to->first = from->first;
    to->last = from->last;
    *from = (struct list){0};
}

static struct list *target(struct body *b) { return b->exited ? &b->tail : &b->head; }

static void flush(struct list *to, struct waiting *w) {
    list_join(to, &w->tail);
    list_join(to, &w->older);
    w->held = false;
}

/* Expressions above `expr` have said their last; false: it is not among those waiting. */
static bool unwind_to(struct body *b, const struct ast_expr *expr) {
    struct waiting *w = b->waiting;
    while (w && w->e->expr != expr) w = w->below;
    if (!w) return false;
    while (b->waiting != w) {
        flush(target(b), b->waiting);
        b->waiting = b->waiting->below;
    }
    return true;
}

static void wait_for(struct order *o, struct body *b, struct policy_event *e) {
    struct waiting *w = take(o, sizeof *w);
    if (b->waiting) b->waiting->done = false;
    if (w) *w = (struct waiting){.e = e, .below = b->waiting}, b->waiting = w;
}

static struct policy_event *redo_of(struct order *o, const struct policy_event *e) {
    struct policy_event *copy = take(o, sizeof *copy);
    if (copy) *copy = *e, copy->op = POLICY_REDO, copy->early = false;
    return copy;
}

/* What held is left at once: it is come back to as the reference would. */
static void close_body(struct order *o, struct body *b) {
    for (struct waiting *w = b->waiting; w; w = w->below) {
        bool left = b->exited && b->enter->rule && !w->done;
        struct policy_event *redo = left ? redo_of(o, w->e) : NULL;
        if (redo) {
            redo->locals = b->exit->locals, redo->local_count = b->exit->local_count;
            list_add(o, target(b), redo);
        }
        flush(target(b), w);
    }
    struct body *outer = b->outer;
    o->now = outer;
    if (!outer) return;
    struct waiting *w = outer->waiting;
    if (!w) {
        list_join(target(outer), &b->head);
        list_join(target(outer), &b->tail);
        return;
    }
    list_join(w->held ? &w->tail : target(outer), &b->head);
    if (b->tail.first) w->held = true;
    list_join(&w->tail, &b->tail);
}

static bool goes_on(const struct policy_steps *s, u32 at) {
    const struct policy_event *e = s->items[at],
                              *next = at + 1 < s->count ? s->items[at + 1] : NULL;
    return next && next->op == POLICY_REDO && next->query == e->query && !next->expr;
}

static void own_event(struct order *o, struct body *b, struct policy_event *e, bool on) {
    struct waiting *w = b->waiting;
    if (e->op == POLICY_INDEX && w) {
        list_join(&w->tail, &w->older);
        w->older = w->tail, w->tail = (struct list){0}, w->held = false;
        e->expr = w->e->expr, e->at = w->e->at;
    }
    if (e->op == POLICY_FAIL && unwind_to(b, e->expr)) {
        flush(target(b), b->waiting);
        b->waiting = b->waiting->below;
    }
    if (e->op == POLICY_REDO && e->expr && unwind_to(b, e->expr)) {
        list_add(o, target(b), e);
        flush(target(b), b->waiting);
        b->waiting->done = true;
        return;
    }
    list_add(o, target(b), e);
    if (e->op == POLICY_EVAL) wait_for(o, b, e);
    if (e->op == POLICY_EXIT && e->rule && !on) {
        struct policy_event *redo = redo_of(o, e);
        b->exited = true, b->exit = e;
        if (w) w->done = false;
        if (redo) list_add(o, &b->tail, redo);
    }
}

static struct list order_all(struct policy_record *r) {
    struct order o = {.r = r};
    struct body whole = {0};
    o.now = &whole;
    for (u32 i = 0; i < r->told.count; i++) {
        struct policy_event *e = r->told.items[i];
        bool first = e->op == POLICY_ENTER;
        u32 owner = first ? e->parent : e->query;
        while (o.now->outer && o.now->enter->query != owner) close_body(&o, o.now);
        if (first) {
            struct body *b = take(&o, sizeof *b);
            if (!b) break;
            *b = (struct body){.enter = e, .outer = o.now};
            o.now = b;
            list_add(&o, &b->head, e);
        } else {
            own_event(&o, o.now, e, goes_on(&r->told, i));
        }
    }
    while (o.now->outer) close_body(&o, o.now);
    list_join(&whole.head, &whole.tail);
    return whole.head;
}

/* ---- Choice ---- */

static bool wanted(const struct policy_event *e, enum policy_explain mode) {
    bool note = e->op == POLICY_NOTE, fail = e->op == POLICY_FAIL;
    return (note && mode != POLICY_EXPLAIN_FAILS) || (fail && mode != POLICY_EXPLAIN_NOTES);
}

struct ways { struct policy_event **into; u32 room; }; /* per body: how it was last come into */

static bool ways_note(struct ways *w, struct policy_event *e) {
    if (e->query >= w->room) {
        u32 room = w->room ? w->room : 64;
        while (room <= e->query) room *= 2;
        struct policy_event **more =
            room <= EVENTS_MAX ? realloc(w->into, room * sizeof *more) : NULL;
        if (!more) return false;
        memset(more + w->room, 0, (room - w->room) * sizeof *more);
        w->into = more, w->room = room;
    }
    w->into[e->query] = e;
    return true;
}

/* The step itself, behind the steps that led into each body around it and were not yet shown. */
static bool add_with_ways(struct policy_record *r, struct ways *w, struct policy_event *e) {
    u32 from = r->steps.count, body = e->query;
    bool ok = steps_add(&r->steps, e);
    while (ok && body < w->room && w->into[body]) {
        struct policy_event *way = w->into[body];
        ok = steps_add(&r->steps, way);
        w->into[body] = NULL; /* also ends at a body that is its own parent */
        body = way->parent;
    }
    for (u32 i = from, j = r->steps.count; ok && i + 1 < j; i++) {
        struct policy_event *swap = r->steps.items[--j];
        r->steps.items[j] = r->steps.items[i], r->steps.items[i] = swap;
    }
    if (w->into) memset(w->into, 0, w->room * sizeof *w->into);
    return ok;
}

void policy_record_finish(struct policy_record *r, enum policy_explain mode) {
    struct ways ways = {0};
    struct list all = order_all(r);
    bool every = mode == POLICY_EXPLAIN_FULL || mode == POLICY_EXPLAIN_DEBUG, ok = true;
    r->steps.count = 0;
    for (struct link *l = all.first; ok && l && mode != POLICY_EXPLAIN_OFF; l = l->next) {
        bool way = (l->e->op == POLICY_ENTER || l->e->op == POLICY_REDO) && !l->e->expr;
        if (every) ok = steps_add(&r->steps, l->e);
        else if (wanted(l->e, mode)) ok = add_with_ways(r, &ways, l->e);
        if (ok && way && !every) ok = ways_note(&ways, l->e);
    }
    if (!ok) r->incomplete = true;
    free(ways.into);
}
