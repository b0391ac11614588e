/* SPDX-License-Identifier: Apache-2.0 */
/* dfa.c — the automaton, built as far as a text asks for it.
 *
 * A state is the ordered list of instructions that wait for the next rune, what kind of rune came
 * last, and whether new matches may still start. A transition by a symbol follows splits and
 * assertions (both neighbours are known now), stops at the first match in order of preference, and
 * steps over the symbol. Hence a match is seen one rune late: the transition says so.
 *
 *   next[state][symbol] = target << 1 | a match ended before this rune
 *
 * States are found again by hash. When they take too much memory all are forgotten but the present
 * one. Column `symbols` is the end of the text. */
#include "app/policy/regex/regex_impl.h"
#include <stdlib.h>

enum { DEAD = 0, UNKNOWN = UINT32_MAX, SLOTS = 2 * REGEX_STATES_MAX };

struct state { u32 first, count, hash; u8 kind; bool searching; };
struct dfa {
    struct state *states;
    u32 count, room;
    u32 *pool, pool_count, pool_room; /* lists of instructions */
    u32 *next;                        /* columns per state */
    u32 columns;
    u32 slots[SLOTS];                 /* state + 1 */
    /* Scratch: a set of instructions in order, and a stack. */
    u32 *dense, *stack, *list;
    u32 *marks, mark;
};

void dfa_close(struct dfa *d) {
    if (!d) return;
    free(d->states), free(d->pool), free(d->next), free(d->dense), free(d->stack), free(d->list),
        free(d->marks);
    free(d);
}

static struct dfa *dfa_open(struct regex *r) {
    struct dfa *d = calloc(1, sizeof(*d));
    if (!d) return NULL;
    d->columns = r->symbols + 1;
    d->dense = calloc(r->count, sizeof(u32));
    d->stack = calloc(2 * (size_t)r->count + 2, sizeof(u32));
    d->list = calloc(r->count, sizeof(u32));
    d->marks = calloc(r->count, sizeof(u32));
    if (d->dense && d->stack && d->list && d->marks) return d;
    dfa_close(d);
    return NULL;
}

/* ---- States ---- */

static bool same(const struct dfa *d, const struct state *s, const u32 *list, u32 count, u8 kind,
                 bool searching, u32 hash) {
    return s->hash == hash && s->count == count && s->kind == kind && s->searching == searching &&
           (!count || memcmp(d->pool + s->first, list, count * sizeof(u32)) == 0);
}

static bool grow(struct dfa *d, u32 count) {
    if (d->count == d->room) {
        u32 room = d->room ? 2 * d->room : 16;
        struct state *states = realloc(d->states, room * sizeof(*states));
        if (states) d->states = states;
        u32 *next = realloc(d->next, (size_t)room * d->columns * sizeof(u32));
        if (next) d->next = next;
        if (!states || !next) return false;
        d->room = room;
    }
    if (d->pool_count + count > d->pool_room) {
        u32 room = MAX(d->pool_count + count, 2 * d->pool_room);
        u32 *pool = realloc(d->pool, room * sizeof(u32));
        if (!pool) return false;
        d->pool = pool, d->pool_room = room;
    }
    return true;
}

/* The state of this description, old or new. UNKNOWN: no memory. */
static u32 state_of(struct dfa *d, const u32 *list, u32 count, u8 kind, bool searching) {
    if (count == 0 && !searching && d->count) return DEAD;
    u32 hash =
            (u32)str_hash(str_of((const char *)list, count * sizeof(u32)), kind + 8u * searching),
        slot = hash % SLOTS;
    for (; d->slots[slot]; slot = (slot + 1) % SLOTS)
        if (same(d, &d->states[d->slots[slot] - 1], list, count, kind, searching, hash))
            return d->slots[slot] - 1;
    if (!grow(d, count)) return UNKNOWN;
    struct state *s = &d->states[d->count];
    *s = (struct state){d->pool_count, count, hash, kind, searching};
    if (count) memcpy(d->pool + d->pool_count, list, count * sizeof(u32));
    d->pool_count += count;
    memset(d->next + (size_t)d->count * d->columns, 0xFF, d->columns * sizeof(u32));
    d->slots[slot] = d->count + 1;
    return d->count++;
}

static bool is_full(const struct dfa *d) {
    size_t bytes = (size_t)d->count * (sizeof(struct state) + d->columns * sizeof(u32)) +
                   d->pool_count * sizeof(u32);
    return d->count >= REGEX_STATES_MAX || bytes > REGEX_STATE_BYTES_MAX;
}

static bool forget_all(struct dfa *d) {
    memset(d->slots, 0, sizeof(d->slots));
    d->count = d->pool_count = 0;
    return state_of(d, NULL, 0, KIND_OTHER, false) == DEAD;
}

/* Forgets all states but `keep`; its new number, or UNKNOWN. */
static u32 forget_others(struct dfa *d, u32 keep) {
    struct state s = d->states[keep];
    memmove(d->list, d->pool + s.first, s.count * sizeof(u32));
    return forget_all(d) ? state_of(d, d->list, s.count, s.kind, s.searching) : UNKNOWN;
}

/* ---- Transitions ---- */

/* Follows what needs no rune, in order of preference; true: a match was met, less preferred ones
 * do not count any more. Waiting instructions are appended to dense. */
static bool follow(const struct regex *r, struct dfa *d, u32 from, u32 flags, u32 *waiting) {
    u32 depth = 0;
    d->stack[depth++] = from;
    while (depth) {
        u32 pc = d->stack[--depth];
        if (d->marks[pc] == d->mark) continue;
        d->marks[pc] = d->mark;
        const struct inst *i = &r->insts[pc];
        switch ((enum regex_op)i->op) {
        case OP_CLASS: d->dense[(*waiting)++] = pc; break;
        case OP_SPLIT:
            d->stack[depth++] = pc + (u32)i->y;
            d->stack[depth++] = pc + (u32)i->x;
            break;
        case OP_JUMP: d->stack[depth++] = pc + (u32)i->x; break;
        case OP_SAVE: d->stack[depth++] = pc + 1; break;
        case OP_ASSERT:
            if ((flags & (u32)i->x) == (u32)i->x) d->stack[depth++] = pc + 1;
            break;
        case OP_MATCH: return true;
        case OP_FAIL: break;
        }
    }
    return false;
}

static void new_mark(const struct regex *r, struct dfa *d) {
    if (++d->mark) return;
    memset(d->marks, 0, r->count * sizeof(u32));
    d->mark = 1;
}

/* Computes and remembers one transition; UNKNOWN: no memory. *cost: instructions looked at. */
static u32 transition(const struct regex *r, struct dfa *d, u32 from, u32 symbol, u32 *cost) {
    struct state s = d->states[from];
    bool end = symbol == r->symbols, match = false;
    u32 kind = end ? KIND_TEXT_END : r->symbol_kinds[symbol], waiting = 0, count = 0;
    u32 flags = r->asserts ? regex_asserts_between(s.kind, kind) : 0;
    new_mark(r, d);
    for (u32 i = 0; i < s.count && !match; i++)
        match = follow(r, d, d->pool[s.first + i], flags, &waiting);
    bool searching = s.searching && !match;
    if (searching && (match = follow(r, d, 0, flags, &waiting))) searching = false;
    *cost = 1 + (s.count + waiting) / 4;
    new_mark(r, d);
    for (u32 i = 0; i < waiting && !end; i++) {
        u32 pc = d->dense[i];
        if (d->marks[pc] == d->mark || !regex_class_has(r, r->insts[pc].x, r->symbol_runes[symbol]))
            continue;
        d->marks[pc] = d->mark;
        d->list[count++] = pc + 1;
    }
    u32 to =
        state_of(d, d->list, count, r->asserts && !end ? (u8)kind : KIND_OTHER, searching && !end);
    if (to == UNKNOWN) return UNKNOWN;
    return d->next[(size_t)from * d->columns + symbol] = to << 1 | match;
}

/* ---- Searching ---- */

static u32 start_state(const struct regex *r, struct dfa *d, str text, size_t from) {
    u32 kind = KIND_OTHER;
    if (r->asserts && from == 0) kind = KIND_START;
    else if (r->asserts)
        kind = (u8)text.ptr[from - 1] < 128 ? regex_kind((u8)text.ptr[from - 1]) : KIND_OTHER;
    const u32 first = 0;
    return r->anchored ? state_of(d, &first, 1, (u8)kind, false)
                       : state_of(d, NULL, 0, (u8)kind, true);
}

struct search { struct regex *r; struct dfa *d; u32 state; u64 spent; struct regex_work work; };

static u32 slow_step(struct search *s, u32 symbol, rc_t *rc) {
    u32 cost = 0;
    if (is_full(s->d)) s->state = forget_others(s->d, s->state);
    u32 t = s->state == UNKNOWN ? UNKNOWN : transition(s->r, s->d, s->state, symbol, &cost);
    if (t == UNKNOWN) *rc = RC_NO_MEMORY;
    else if (!s->work.tick(s->work.arg, cost)) *rc = RC_TIMEOUT;
    return t;
}

rc_t dfa_search(struct regex *r, str text, size_t from, bool any, size_t *end,
                struct regex_work work) {
    if (r->anchored && from > 0) return RC_NOT_FOUND;
    if (!r->dfa) {
        if (!(r->dfa = dfa_open(r))) return RC_NO_MEMORY;
        if (!forget_all(r->dfa)) return RC_NO_MEMORY;
    }
    struct search s = {.r = r, .d = r->dfa, .work = work};
    if (is_full(s.d) && !forget_all(s.d)) return RC_NO_MEMORY;
    s.state = start_state(r, s.d, text, from);
    if (s.state == UNKNOWN) return RC_NO_MEMORY;
    bool found = false;
    rc_t rc = RC_OK;
    size_t at = from;
    for (u32 counted = 0; at <= text.len && s.state != DEAD; counted++) {
        u32 width = 1, symbol = r->symbols;
        if (at < text.len) {
            u8 byte = (u8)text.ptr[at];
            symbol = byte < 128 ? r->ascii[byte] : regex_symbol(r, regex_rune(text, at, &width));
        }
        u32 t = s.d->next[(size_t)s.state * s.d->columns + symbol];
        if (t == UNKNOWN) {
            t = slow_step(&s, symbol, &rc);
            if (rc != RC_OK) return rc;
        }
        if (t & 1) found = true, *end = at;
        if (any && found) return RC_OK;
        s.state = t >> 1;
        at += width;
        if ((counted & 1023) == 1023 && !work.tick(work.arg, 16)) return RC_TIMEOUT;
    }
    return found ? RC_OK : RC_NOT_FOUND;
}
