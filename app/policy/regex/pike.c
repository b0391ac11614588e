/* SPDX-License-Identifier: Apache-2.0 */
/* pike.c — all threads of the program at once, rune by rune, each with its own groups (Rob Pike's
 * machine): where the automaton only says that and where a match ends, this says where its parts
 * are.
 *
 * Threads are kept in order of preference, one per instruction; a match drops all less preferred
 * ones. Time is the text times the program. */
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

enum { NOWHERE = UINT32_MAX, KEPT_BYTES_MAX = 64 << 10 };

struct threads { u32 *dense, *sparse, count; u32 *slots; /* per instruction: what it has saved */ };
struct step { u32 pc; s32 slot; u32 old; }; /* slot >= 0: put the old value back */
struct pike { struct threads now, next; struct step *stack; u32 slots; u32 *best, *work; };

static void threads_close(struct threads *t) { free(t->dense), free(t->sparse), free(t->slots); }
static bool threads_open(struct threads *t, u32 count, u32 slots) {
    t->dense = calloc(count, sizeof(u32));
    t->sparse = calloc(count, sizeof(u32));
    t->slots = calloc((size_t)count * slots, sizeof(u32));
    return t->dense && t->sparse && t->slots;
}
void pike_close(struct pike *p) {
    if (!p) return;
    threads_close(&p->now), threads_close(&p->next);
    free(p->stack), free(p->best), free(p->work);
    free(p);
}

static struct pike *pike_open(const struct regex *r, u32 slots) {
    if ((u64)r->count * slots * 8 > REGEX_PIKE_BYTES_MAX) return NULL;
    struct pike *p = calloc(1, sizeof(*p));
    if (!p) return NULL;
    p->slots = slots;
    p->stack = calloc(3 * (size_t)r->count + 2, sizeof(*p->stack));
    p->best = calloc(slots, sizeof(u32));
    p->work = calloc(slots, sizeof(u32));
    if (threads_open(&p->now, r->count, slots) && threads_open(&p->next, r->count, slots) &&
        p->stack && p->best && p->work)
        return p;
    pike_close(p);
    return NULL;
}

static bool has(const struct threads *t, u32 pc) {
    return t->sparse[pc] < t->count && t->dense[t->sparse[pc]] == pc;
}

/* A thread at `pc` with the groups in p->work, and all it splits into without a rune. */
static void add(const struct regex *r, struct pike *p, struct threads *t, u32 pc, u32 at,
                u32 flags) {
    u32 depth = 0;
    p->stack[depth++] = (struct step){pc, -1, 0};
    while (depth) {
        struct step e = p->stack[--depth];
        if (e.slot >= 0) {
            p->work[e.slot] = e.old;
            continue;
        }
        if (has(t, e.pc)) continue;
        t->sparse[e.pc] = t->count;
        t->dense[t->count++] = e.pc;
        const struct inst *i = &r->insts[e.pc];
        switch ((enum regex_op)i->op) {
        case OP_SPLIT:
            p->stack[depth++] = (struct step){e.pc + (u32)i->y, -1, 0};
            p->stack[depth++] = (struct step){e.pc + (u32)i->x, -1, 0};
            break;
        case OP_JUMP: p->stack[depth++] = (struct step){e.pc + (u32)i->x, -1, 0}; break;
        case OP_SAVE:
            if ((u32)i->x < p->slots) {
                p->stack[depth++] = (struct step){0, i->x, p->work[i->x]};
                p->work[i->x] = at;
            }
            p->stack[depth++] = (struct step){e.pc + 1, -1, 0};
            break;
        case OP_ASSERT:
            if ((flags & (u32)i->x) == (u32)i->x)
                p->stack[depth++] = (struct step){e.pc + 1, -1, 0};
            break;
        case OP_CLASS:
        case OP_MATCH:
            memcpy(t->slots + (size_t)e.pc * p->slots, p->work, p->slots * sizeof(u32));
            break;
        case OP_FAIL: break;
        }
    }
}

static u32 kind_before(str text, size_t at) {
    if (at == 0) return KIND_START;
    return (u8)text.ptr[at - 1] < 128 ? regex_kind((u8)text.ptr[at - 1]) : KIND_OTHER;
}
static u32 kind_at(str text, size_t at) {
    if (at >= text.len) return KIND_TEXT_END;
    return (u8)text.ptr[at] < 128 ? regex_kind((u8)text.ptr[at]) : KIND_OTHER;
}

/* One rune. true: a match ended before it, its groups are in p->best. */
static bool step(const struct regex *r, struct pike *p, u32 rune, u32 after, u32 flags) {
    p->next.count = 0;
    for (u32 i = 0; i < p->now.count; i++) {
        u32 pc = p->now.dense[i];
        const u32 *slots = p->now.slots + (size_t)pc * p->slots;
        if (r->insts[pc].op == OP_MATCH) {
            memcpy(p->best, slots, p->slots * sizeof(u32));
            return true;
        }
        if (r->insts[pc].op != OP_CLASS || rune == NOWHERE ||
            !regex_class_has(r, r->insts[pc].x, rune))
            continue;
        memcpy(p->work, slots, p->slots * sizeof(u32));
        add(r, p, &p->next, pc + 1, after, flags);
    }
    return false;
}

/* Room for `slots` positions; kept from search to search. */
static struct pike *machine(struct regex *r, u32 slots) {
    if (r->pike && r->pike->slots < slots) {
        pike_close(r->pike);
        r->pike = NULL;
    }
    if (!r->pike) r->pike = pike_open(r, slots);
    return r->pike;
}

static rc_t search(struct regex *r, struct pike *p, str text, size_t from, size_t to, s64 *groups,
                   u32 count, struct regex_work work) {
    bool found = false;
    p->now.count = 0;
    for (size_t at = from; at <= to; ) {
        u32 width = 1, rune = NOWHERE;
        u32 flags =
            r->asserts ? regex_asserts_between(kind_before(text, at), kind_at(text, at)) : 0;
        if (!found && !(r->anchored && at > 0)) {
            memset(p->work, 0xFF, p->slots * sizeof(u32));
            add(r, p, &p->now, 0, (u32)at, flags);
        }
        if (p->now.count == 0 && found) break;
        if (at < text.len) rune = regex_rune(text, at, &width);
        size_t next = at + width;
        u32 next_flags = r->asserts && at < text.len
                             ? regex_asserts_between(kind_before(text, next), kind_at(text, next))
                             : 0;
        if (!work.tick(work.arg, 1 + p->now.count / 4)) return RC_TIMEOUT;
        if (step(r, p, rune, (u32)next, next_flags)) found = true;
        struct threads swap = p->now;
        p->now = p->next;
        p->next = swap;
        at = next;
    }
    if (!found) return RC_NOT_FOUND;
    for (u32 i = 0; i < 2 * count; i++) groups[i] = p->best[i] == NOWHERE ? -1 : (s64)p->best[i];
    return RC_OK;
}

rc_t pike_search(struct regex *r, str text, size_t from, size_t to, s64 *groups, u32 count,
                 struct regex_work work) {
    struct pike *p = machine(r, 2 * count);
    if (!p) return RC_NO_MEMORY;
    rc_t rc = search(r, p, text, from, to, groups, count, work);
    if ((u64)r->count * p->slots * 8 > KEPT_BYTES_MAX) {
        pike_close(p);
        r->pike = NULL;
    }
    return rc;
}
