/* SPDX-License-Identifier: Apache-2.0 */
/* with.c — `with`: documents and functions replaced while one expression is evaluated.
 *
 * A scope holds the input and the base documents in force; entering a `with` puts another scope in
 * its place and leaving it puts the first one back. Trees never change, so a replacement copies
 * the objects along its path and shares the rest.
 *
 * The reference reads a replaced document from the replacements alone when the path asked for lies
 * at or below what was replaced, and else from the replacements laid over the stored documents,
 * object by object. Both trees are kept for that. */
#include "app/policy/machine/run.h"

static value object_with(struct heap *h, value object, value key, value v) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    if (object.kind == VALUE_OBJECT)
        for (u32 i = 0; i < value_count(object); i++)
            value_builder_replace(&b, value_key_at(object, i), value_value_at(object, i));
    value_builder_replace(&b, key, v);
    return value_builder_close(&b);
}

value value_patch(struct heap *h, value into, const value *path, u32 count, value v) {
    if (!count) return v;
    value child = into.kind == VALUE_OBJECT ? value_get(into, path[0]) : UNDEFINED;
    if (child.kind != VALUE_OBJECT) child = UNDEFINED;
    return object_with(h, into, path[0], value_patch(h, child, path + 1, count - 1, v));
}

/* Both are objects: their entries, merged where both have one; else a. */
value value_merge(struct heap *h, value a, value b) {
    if (a.kind == VALUE_UNDEFINED) return b;
    if (a.kind != VALUE_OBJECT || b.kind != VALUE_OBJECT) return a;
    struct value_builder to;
    value_builder_open(&to, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(b); i++)
        value_builder_replace(&to, value_key_at(b, i), value_value_at(b, i));
    for (u32 i = 0; i < value_count(a); i++) {
        value key = value_key_at(a, i), other = value_get(b, key);
        value_builder_replace(&to, key, value_merge(h, value_value_at(a, i), other));
    }
    return value_builder_close(&to);
}

static void replace_function(struct evaluation *e, struct scope *to, const struct with_item *item,
                             value v) {
    struct mock *m = heap_alloc(&e->heap, sizeof *m);
    if (!m) return;
    *m = (struct mock){item, v, to->mocks};
    to->mocks = m;
}

value with_open(struct evaluation *e, const struct with_set *set,
                value (*operand)(void *arg, u32 operand), void *arg) {
    struct with_state *s = heap_alloc(&e->heap, sizeof *s);
    if (!s) return value_null();
    s->set = set, s->outer = e->now.with, s->own = e->now;
    bool data = false;
    for (u32 i = 0; i < set->count; i++) {
        const struct with_item *item = set->items + i;
        value v = item->by == BY_VALUE ? operand(arg, item->value) : UNDEFINED;
        switch (item->kind) {
        case WITH_INPUT:
            s->own.input = value_patch(&e->heap, s->own.input, item->path, item->path_count, v);
            break;
        case WITH_DATA:
            s->own.replaced =
                value_patch(&e->heap, s->own.replaced, item->path, item->path_count, v);
            data = true;
            break;
        default:
            replace_function(e, &s->own, item, v);
        }
    }
    if (data) s->own.data = value_merge(&e->heap, s->own.replaced, e->ask->data);
    s->own.with = s;
    value cell = {.kind = CELL_WITH, .bits = (uintptr_t)s};
    with_enter(e, cell);
    return cell;
}

void with_enter(struct evaluation *e, value state) {
    if (state.kind != CELL_WITH) return; /* the heap was exhausted */
    struct with_state *s = (struct with_state *)(uintptr_t)state.bits;
    s->before = e->now, s->undo_mark = e->undo_count;
    e->now = s->own;
    e->now.generation = ++e->generations;
}

void with_leave(struct evaluation *e, value state) {
    if (state.kind != CELL_WITH) return;
    struct with_state *s = (struct with_state *)(uintptr_t)state.bits;
    memo_undo_to(e, s->undo_mark);
    e->now = s->before;
}

const struct mock *mock_find(const struct evaluation *e, int kind, u32 target) {
    for (const struct mock *m = e->now.mocks; m; m = m->older)
        if ((int)m->item->kind == kind && m->item->target == target) return m;
    return NULL;
}
