/* SPDX-License-Identifier: Apache-2.0 */
/* varset.c — sets of variables' names.
 *
 * Most hold fewer than ten, for which a look at each is quickest; from INDEX_FROM on an open
 * addressing table of positions is kept beside the names. Names are views: whoever owns the tree
 * owns them. Order is that of arrival, except after a removal or a sort. */
#include "app/policy/compile/compile_impl.h"

enum { INDEX_FROM = 16 };

void varset_open(struct varset *s, struct heap *h) {
    *s = (struct varset){.heap = h};
}

void varset_clear(struct varset *s) {
    s->count = 0;
    if (s->index) memset(s->index, 0, ((size_t)s->mask + 1) * sizeof *s->index);
}

static u32 hash_name(const struct varset *s, str v) {
    return (u32)str_hash(v, (u64)(uintptr_t)s->heap);
}

u32 varset_find(const struct varset *s, str v) {
    if (!s->index) {
        for (u32 i = 0; i < s->count; i++)
            if (str_eq(s->items[i], v)) return i;
        return s->count;
    }
    for (u32 at = hash_name(s, v) & s->mask; s->index[at]; at = (at + 1) & s->mask)
        if (str_eq(s->items[s->index[at] - 1], v)) return s->index[at] - 1;
    return s->count;
}

bool varset_has(const struct varset *s, str v) {
    return varset_find(s, v) < s->count;
}

static void index_item(struct varset *s, u32 i) {
    u32 at = hash_name(s, s->items[i]) & s->mask;
    while (s->index[at]) at = (at + 1) & s->mask;
    s->index[at] = i + 1;
}

static void rebuild(struct varset *s) {
    if (s->room < INDEX_FROM) return;
    u32 slots = s->room * 2;
    if (!s->index || s->mask + 1 < slots) {
        s->index = heap_alloc(s->heap, slots * sizeof *s->index);
        s->mask = slots - 1;
    }
    if (!s->index) return;
    memset(s->index, 0, ((size_t)s->mask + 1) * sizeof *s->index);
    for (u32 i = 0; i < s->count; i++) index_item(s, i);
}

bool varset_add(struct varset *s, str v) {
    if (varset_has(s, v)) return false;
    if (s->count == s->room) {
        u32 room = s->room ? s->room * 2 : 8;
        str *items = heap_alloc(s->heap, room * sizeof *items);
        if (!items) return false;
        if (s->count) memcpy(items, s->items, s->count * sizeof *items);
        s->items = items;
        s->room = room;
        rebuild(s);
    }
    s->items[s->count++] = v;
    if (s->index) index_item(s, s->count - 1);
    return true;
}

void varset_remove(struct varset *s, str v) {
    u32 i = varset_find(s, v);
    if (i == s->count) return;
    s->items[i] = s->items[--s->count];
    rebuild(s);
}

void varset_add_all(struct varset *s, const struct varset *from) {
    for (u32 i = 0; i < from->count; i++) varset_add(s, from->items[i]);
}

bool varset_within(const struct varset *s, const struct varset *of) {
    for (u32 i = 0; i < s->count; i++)
        if (!varset_has(of, s->items[i])) return false;
    return true;
}

bool varset_equal(const struct varset *a, const struct varset *b) {
    return a->count == b->count && varset_within(a, b);
}

/* Sets that are sorted go into messages: they are small, or the message is the least trouble. */
void varset_sort(struct varset *s) {
    for (u32 gap = s->count / 2; gap; gap /= 2)
        for (u32 i = gap; i < s->count; i++)
            for (u32 j = i; j >= gap && str_cmp(s->items[j - gap], s->items[j]) > 0; j -= gap) {
                str swap = s->items[j];
                s->items[j] = s->items[j - gap], s->items[j - gap] = swap;
            }
    rebuild(s);
}
