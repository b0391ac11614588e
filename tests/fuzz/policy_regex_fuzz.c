/* SPDX-License-Identifier: Apache-2.0 */
/* policy_regex_fuzz.c — a pattern, a NUL, a text: the automaton and Pike's machine agree with a
 * matcher that simply goes back, but never to the same instruction at the same place twice. */
#include "app/policy/regex/regex_impl.h"
#include "kernel/base/check.h"
#include <stdlib.h>

enum { GROUPS = 8, CELLS_MAX = 1 << 19 };

static bool always(void *arg, u32 steps) {
    (void)arg, (void)steps;
    return true;
}

struct oracle {
    const struct regex *r;
    str text;
    u8 *seen;
    s64 slots[2 * GROUPS];
    struct { u32 pc; size_t at; s32 slot; s64 old; } *stack;
    size_t depth, room;
};

static u32 kind(str text, size_t at, bool before) {
    if (before ? at == 0 : at == text.len) return before ? KIND_START : KIND_TEXT_END;
    u8 byte = (u8)text.ptr[before ? at - 1 : at];
    return byte < 128 ? regex_kind(byte) : KIND_OTHER;
}

static void push(struct oracle *o, u32 pc, size_t at, s32 slot, s64 old) {
    CHECK(o->depth < o->room);
    o->stack[o->depth].pc = pc, o->stack[o->depth].at = at;
    o->stack[o->depth].slot = slot, o->stack[o->depth++].old = old;
}

/* Leftmost-first from `start`; the first way to MATCH is the preferred one. */
static bool matches_at(struct oracle *o, size_t start) {
    o->depth = 0;
    push(o, 0, start, -1, 0);
    while (o->depth) {
        o->depth--;
        u32 pc = o->stack[o->depth].pc, width;
        size_t at = o->stack[o->depth].at;
        if (o->stack[o->depth].slot >= 0) {
            o->slots[o->stack[o->depth].slot] = o->stack[o->depth].old;
            continue;
        }
        u8 *cell = &o->seen[pc * (o->text.len + 1) + at];
        if (*cell) continue;
        *cell = 1;
        const struct inst *i = &o->r->insts[pc];
        switch ((enum regex_op)i->op) {
        case OP_MATCH: return true;
        case OP_FAIL: break;
        case OP_JUMP: push(o, pc + (u32)i->x, at, -1, 0); break;
        case OP_SPLIT:
            push(o, pc + (u32)i->y, at, -1, 0);
            push(o, pc + (u32)i->x, at, -1, 0);
            break;
        case OP_SAVE:
            if (i->x < 2 * GROUPS) {
                push(o, 0, 0, i->x, o->slots[i->x]);
                o->slots[i->x] = (s64)at;
            }
            push(o, pc + 1, at, -1, 0);
            break;
        case OP_ASSERT:
            if (regex_asserts_between(kind(o->text, at, true), kind(o->text, at, false)) & (u32)i->x) push(o, pc + 1, at, -1, 0);
            break;
        case OP_CLASS:
            if (at < o->text.len && regex_class_has(o->r, i->x, regex_rune(o->text, at, &width))) push(o, pc + 1, at + width, -1, 0);
            break;
        }
    }
    return false;
}

static bool oracle_find(struct oracle *o) {
    u32 width;
    for (size_t at = 0;; at += width) {
        memset(o->slots, 0xFF, sizeof(o->slots));
        if (matches_at(o, at)) return true;
        if (at >= o->text.len) return false;
        regex_rune(o->text, at, &width);
    }
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct regex *r;
    struct buf why;
    const struct regex_work work = {always, NULL};
    str all = str_of((const char *)bytes, n);
    size_t cut = str_find_byte(all, '\0');
    str text = str_skip(all, cut + 1);
    buf_open(&why, 2 * n + 200);
    rc_t rc = regex_open(&r, str_take(all, cut), &why);
    CHECK(rc == RC_OK || rc == RC_NO_MEMORY || str_starts(buf_str(&why), S("error parsing regexp: ")));
    buf_close(&why);
    if (rc != RC_OK) return 0;
    if ((u64)r->count * (text.len + 1) <= CELLS_MAX) {
        s64 groups[2 * GROUPS];
        u32 count = MIN(regex_groups(r), (u32)GROUPS);
        struct oracle o = {.r = r, .text = text, .room = 3 * ((size_t)r->count * (text.len + 1) + 1)};
        o.seen = calloc((size_t)r->count, text.len + 1);
        o.stack = malloc(o.room * sizeof(*o.stack));
        CHECK(o.seen && o.stack);
        bool found = oracle_find(&o);
        rc = regex_find(r, text, 0, groups, count, work);
        CHECK(rc == (found ? RC_OK : RC_NOT_FOUND));
        CHECK(regex_match(r, text, work) == rc);
        for (u32 i = 0; found && i < 2 * count; i++) CHECK(groups[i] == o.slots[i]);
        free(o.seen);
        free(o.stack);
    }
    regex_close(r);
    return 0;
}
