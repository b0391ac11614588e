/* SPDX-License-Identifier: Apache-2.0 */
/* list.c — lists as chains of packs.
 *
 *   first <-> [a b c d ...] <-> [one long element] <-> [x y z] <-> last
 *
 * How large a node may be is list-max-listpack-size: -1..-5 for 4 to 64 KiB, or a number of
 * elements. Neighbours that have become small are joined when something is deleted between them.
 *
 * Always true: no node is empty; count is the sum of the packs' counts. */
#include "app/cache/data/list.h"
#include "app/cache/data/memory.h"
#include "app/cache/object_impl.h"
#include "app/cache/settings.h"

static bool pack_takes(const struct pack *p, size_t len) {
    s64 size = settings.list_pack_size;
    size_t bytes = p->bytes + pack_item_bytes(len);
    if (!p->count) return true;
    if (size >= 0) return (s64)p->count < MAX(size, (s64)1) && bytes <= KIB(8);
    return bytes <= KIB(4) << (MIN(-size, (s64)5) - 1);
}

static struct list_node *node_new(struct list *l, struct list_node *prev, struct list_node *next,
                                  size_t room) {
    struct list_node *n = cache_alloc(sizeof *n);
    *n = (struct list_node){.prev = prev, .next = next, .pack = pack_new(room)};
    if (prev) prev->next = n;
    else l->first = n;
    if (next) next->prev = n;
    else l->last = n;
    l->nodes++;
    return n;
}

static void node_free(struct list *l, struct list_node *n) {
    if (n->prev) n->prev->next = n->next;
    else l->first = n->next;
    if (n->next) n->next->prev = n->prev;
    else l->last = n->prev;
    l->nodes--;
    cache_free(n->pack);
    cache_free(n);
}

struct object list_new(void) {
    return (struct object){.list = cache_zero(sizeof(struct list)), .type = OBJECT_LIST,
                           .encoding = ENC_QUICK};
}

void list_push(struct list *l, str s, bool left) {
    struct list_node *n = left ? l->first : l->last;
    if (!n || !pack_takes(n->pack, s.len))
        n = node_new(l, left ? NULL : n, left ? n : NULL, pack_item_bytes(s.len));
    n->pack = left ? pack_insert(n->pack, n->pack->items, s, NULL) : pack_append(n->pack, s);
    l->count++;
}

struct text *list_pop(struct list *l, bool left) {
    struct list_node *n = left ? l->first : l->last;
    if (!n) return NULL;
    pack_at at = left ? pack_first(n->pack) : pack_last(n->pack);
    struct text *t = text_new(pack_get(at), 0);
    n->pack = pack_delete(n->pack, at, 1);
    if (!n->pack->count) node_free(l, n);
    l->count--;
    return t;
}

struct list_at list_index(struct list *l, s64 i) {
    struct list_at at = {0};
    if (i < 0) i += (s64)l->count;
    if (i < 0 || i >= (s64)l->count) return at;
    struct list_node *n;
    if (i < (s64)l->count / 2) {
        for (n = l->first; i >= (s64)n->pack->count; n = n->next) i -= n->pack->count;
    } else {
        i = (s64)l->count - i; /* from behind: 1 is the last */
        for (n = l->last; i > (s64)n->pack->count; n = n->prev) i -= n->pack->count;
        i = (s64)n->pack->count - i;
    }
    return (struct list_at){n, pack_index(n->pack, i)};
}

str list_get(struct list_at at) { return pack_get(at.item); }

bool list_step(struct list *l, struct list_at *at, bool backwards) {
    (void)l;
    if (backwards) {
        at->item = pack_prev(at->node->pack, at->item);
        if (at->item) return true;
        at->node = at->node->prev;
        if (at->node) at->item = pack_last(at->node->pack);
    } else {
        at->item = pack_next(at->item);
        if (!pack_end(at->node->pack, at->item)) return true;
        at->node = at->node->next;
        if (at->node) at->item = pack_first(at->node->pack);
    }
    return at->node != NULL;
}

/* Cuts a node before `item`, which becomes the first of a new node after it. */
static struct list_node *node_cut(struct list *l, struct list_node *n, pack_at item) {
    struct list_node *right = node_new(l, n, n->next,
                                       (size_t)(n->pack->items + n->pack->bytes - item));
    u32 moved = 0;
    for (pack_at p = item; !pack_end(n->pack, p); p = pack_next(p), moved++)
        right->pack = pack_append(right->pack, pack_get(p));
    n->pack = pack_fit(pack_delete(n->pack, item, moved));
    return right;
}

void list_set(struct list *l, struct list_at at, str s) {
    struct list_node *n = at.node;
    if (pack_takes(n->pack, s.len) || n->pack->count == 1) {
        n->pack = pack_replace(n->pack, at.item, s, NULL);
        return;
    }
    /* the node is full: cut it behind the element, which then is the last of its part */
    size_t where = (size_t)(at.item - n->pack->items);
    if (!pack_end(n->pack, pack_next(at.item))) (void)node_cut(l, n, pack_next(at.item));
    n->pack = pack_delete(n->pack, n->pack->items + where, 1);
    if (n->pack->count) n = node_new(l, n, n->next, pack_item_bytes(s.len));
    n->pack = pack_append(n->pack, s);
}

void list_insert(struct list *l, struct list_at at, str s, bool before) {
    struct list_node *n = at.node;
    pack_at item = before ? at.item : pack_next(at.item);
    l->count++;
    if (pack_takes(n->pack, s.len)) {
        n->pack = pack_insert(n->pack, item, s, NULL);
        return;
    }
    struct list_node *new;
    if (item == n->pack->items) {
        new = n->prev && pack_takes(n->prev->pack, s.len)
                  ? n->prev : node_new(l, n->prev, n, pack_item_bytes(s.len));
        new->pack = pack_append(new->pack, s);
    } else if (pack_end(n->pack, item)) {
        new = n->next && pack_takes(n->next->pack, s.len)
                  ? n->next : node_new(l, n, n->next, pack_item_bytes(s.len));
        new->pack = pack_insert(new->pack, new->pack->items, s, NULL);
    } else {
        (void)node_cut(l, n, item);
        if (!pack_takes(n->pack, s.len)) n = node_new(l, n, n->next, pack_item_bytes(s.len));
        n->pack = pack_append(n->pack, s);
    }
}

/* A node that has become small takes in its right neighbour, if that fits well. */
static void join(struct list *l, struct list_node *n) {
    struct list_node *r = n ? n->next : NULL;
    if (!r || !pack_takes(n->pack, r->pack->bytes)) return;
    if (settings.list_pack_size >= 0 &&
        (s64)(n->pack->count + r->pack->count) > MAX(settings.list_pack_size, (s64)1))
        return;
    for (pack_at p = pack_first(r->pack); !pack_end(r->pack, p); p = pack_next(p))
        n->pack = pack_append(n->pack, pack_get(p));
    node_free(l, r);
}

bool list_delete(struct list *l, struct list_at *at, bool backwards) {
    struct list_node *n = at->node;
    struct list_at next = *at;
    bool more = backwards ? list_step(l, &next, true) : false;
    size_t where = (size_t)(at->item - n->pack->items);
    l->count--;
    n->pack = pack_delete(n->pack, at->item, 1);
    if (!n->pack->count) {
        struct list_node *after = n->next;
        node_free(l, n);
        if (backwards) {
            *at = more ? next : (struct list_at){0};
            return more;
        }
        *at = (struct list_at){after, after ? pack_first(after->pack) : NULL};
        return after != NULL;
    }
    if (backwards) { /* deleting behind it does not move the one before, unless its pack moved */
        if (more && next.node == n) {
            pack_at p = n->pack->items + where;
            next.item = pack_prev(n->pack, p);
        }
        *at = more ? next : (struct list_at){0};
        return more;
    }
    at->item = n->pack->items + where;
    if (!pack_end(n->pack, at->item)) return true;
    at->node = n->next;
    at->item = n->next ? pack_first(n->next->pack) : NULL;
    return n->next != NULL;
}

void list_delete_range(struct list *l, u64 from, u64 count) {
    if (from >= l->count || !count) return;
    count = MIN(count, l->count - from);
    struct list_at at = list_index(l, (s64)from);
    struct list_node *before = at.node->prev;
    while (count) {
        struct list_node *n = at.node, *next = n->next;
        if (at.item == n->pack->items && n->pack->count <= count) {
            count -= n->pack->count;
            l->count -= n->pack->count;
            node_free(l, n);
        } else {
            u32 had = n->pack->count;
            n->pack = pack_delete(n->pack, at.item, (u32)MIN(count, (u64)UINT32_MAX));
            n->pack = pack_fit(n->pack);
            count -= had - n->pack->count;
            l->count -= had - n->pack->count;
            before = n;
        }
        at = (struct list_at){next, next ? pack_first(next->pack) : NULL};
    }
    join(l, before ? before : l->first);
}

/* ---- As a type ------------------------------------------------------------------------------- */

static bool free_some(struct object *o, u32 n) {
    struct list *l = o->list;
    while (l->first && n--) node_free(l, l->first);
    if (l->first) return false;
    cache_free(l);
    return true;
}

static void free_now(struct object *o) {
    while (!free_some(o, 1000)) {}
}

static struct object copy(const struct object *o) {
    struct object to = list_new();
    for (struct list_node *n = o->list->first; n; n = n->next) {
        struct list_node *c = node_new(to.list, to.list->last, NULL, n->pack->bytes);
        memcpy(c->pack->items, n->pack->items, n->pack->bytes);
        c->pack->bytes = n->pack->bytes;
        c->pack->count = n->pack->count;
    }
    to.list->count = o->list->count;
    return to;
}

static size_t items(const struct object *o) { return (size_t)o->list->nodes; }

static size_t bytes(const struct object *o, u32 samples) {
    size_t sum = 0, seen = 0;
    for (struct list_node *n = o->list->first; n && (!samples || seen < samples); n = n->next,
         seen++)
        sum += cache_size(n) + cache_size(n->pack);
    if (seen && seen < o->list->nodes) sum = sum / seen * (size_t)o->list->nodes;
    return sum + cache_size(o->list);
}

const struct object_class list_class = {.name = "list", .free_now = free_now, .copy = copy,
                                        .items = items, .bytes = bytes, .free_some = free_some};
