/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c — streams: blocks of entries in the order of their ids.
 *
 *   blocks -> [first id | entries, live | pack] [...] [...]        binary search by first id
 *   pack:    head  field value field value ... tail   head  ...
 *            |id, deleted?, fields|            |fields|            both ways walkable
 *
 * An entry that is deleted is only marked;
     its block goes when none of its entries lives. Blocks are
 * added at the end and dropped at the front.
 *
 * Always true: ids grow from entry to entry; live <= entries; length is the sum of live. */
#include "app/cache/data/feed.h"
#include "app/cache/data/memory.h"
#include "app/cache/object_impl.h"
#include "app/cache/settings.h"

struct head {
    struct id id;
    u32 fields;
    u32 deleted;
};

#define FRAME_BYTES 32u /* of an entry's head and tail: not counted by stream-node-max-bytes */

struct object feed_new(void) {
    return (struct object){.feed = cache_zero(sizeof(struct feed)), .type = OBJECT_STREAM,
                           .encoding = ENC_FEED};
}

bool id_next(struct id *a) {
    if (++a->seq) return true;
    if (++a->ms) return true;
    *a = ID_MOST;
    return false;
}

bool id_prev(struct id *a) {
    if (a->seq--) return true;
    if (a->ms--) return true;
    *a = ID_LEAST;
    return false;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static struct head head_get(const u8 *at) {
    struct head h;
    memcpy(&h, pack_get(at).ptr, sizeof h);
    return h;
}

static u8 *entry_after(const u8 *head) {
    u8 *p = pack_next(head);
    for (u32 n = 2 * head_get(head).fields + 1; n; n--) p = pack_next(p);
    return p;
}

static u8 *entry_before(struct pack *p, const u8 *head) {
    u32 fields;
    u8 *at = pack_prev(p, head);
    if (!at) return NULL;
    memcpy(&fields, pack_get(at).ptr, sizeof fields);
    for (u32 n = 2 * fields + 1; n; n--) at = pack_prev(p, at);
    return at;
}

static void block_free(struct feed_block *b) {
    cache_free(b->pack);
    cache_free(b);
}

static struct feed_block *block_add(struct feed *f, struct id first) {
    if (f->block_count == f->block_room) {
        f->block_room = f->block_room ? 2 * f->block_room : 4;
        f->blocks = cache_resize(f->blocks, f->block_room * sizeof *f->blocks);
    }
    struct feed_block *b = cache_alloc(sizeof *b);
    *b = (struct feed_block){.first = first, .pack = pack_new(128)};
    return f->blocks[f->block_count++] = b;
}

static void blocks_drop(struct feed *f, u32 at, u32 count) {
    for (u32 i = at; i < at + count; i++) block_free(f->blocks[i]);
    f->block_count -= count;
    memmove(f->blocks + at, f->blocks + at + count, (f->block_count - at) * sizeof *f->blocks);
}

void feed_append(struct feed *f, struct id id, const str *words, u32 count) {
    struct feed_block *b = f->block_count ? f->blocks[f->block_count - 1] : NULL;
    struct head h = {.id = id, .fields = count / 2};
    size_t bytes = 0;
    for (u32 i = 0; i < count; i++) bytes += pack_item_bytes(words[i].len);
    bool full = b && ((settings.stream_node_entries && (s64)b->entries >=
                       settings.stream_node_entries) ||
                      (settings.stream_node_bytes &&
                       b->pack->bytes - b->entries * FRAME_BYTES + bytes >
                           (u64)settings.stream_node_bytes));
    if (!b || full) b = block_add(f, id);
    b->pack = pack_append(b->pack, str_of((const char *)&h, sizeof h));
    for (u32 i = 0; i < count; i++) b->pack = pack_append(b->pack, words[i]);
    b->pack = pack_append(b->pack, str_of((const char *)&h.fields, sizeof h.fields));
    b->entries++;
    b->live++;
    f->length++;
    f->added++;
    f->last = id;
}

/* The block that holds id, if one does: the last that begins at or before it. -1: none. */
static s64 block_of(const struct feed *f, struct id id) {
    s64 low = 0, high = (s64)f->block_count;
    while (low < high) {
        s64 mid = (low + high) / 2;
        if (id_compare(f->blocks[mid]->first, id) <= 0) low = mid + 1;
        else high = mid;
    }
    return low - 1;
}

static void place(struct feed_at *at, u32 block, u8 *head, struct head h) {
    at->block = block;
    at->head = head;
    at->id = h.id;
    at->fields = h.fields;
}

static bool forward(struct feed_at *at, u32 block, u8 *p, struct id from) {
    const struct feed *f = at->f;
    for (; block < f->block_count; block++, p = NULL) {
        struct pack *pack = f->blocks[block]->pack;
        for (p = p ? p : pack_first(pack); !pack_end(pack, p); p = entry_after(p)) {
            struct head h = head_get(p);
            if (h.deleted || id_compare(h.id, from) < 0) continue;
            place(at, block, p, h);
            return true;
        }
    }
    return false;
}

static bool backward(struct feed_at *at, s64 block, u8 *p, struct id from) {
    const struct feed *f = at->f;
    for (; block >= 0; block--, p = NULL) {
        struct pack *pack = f->blocks[block]->pack;
        if (!p) p = pack->items + pack->bytes;
        while ((p = entry_before(pack, p))) {
            struct head h = head_get(p);
            if (h.deleted || id_compare(h.id, from) > 0) continue;
            place(at, (u32)block, p, h);
            return true;
        }
    }
    return false;
}

bool feed_seek(const struct feed *f, struct id from, bool backwards, struct feed_at *at) {
    s64 b = block_of(f, from);
    at->f = f;
    if (backwards) return b >= 0 && backward(at, b, NULL, from);
    return forward(at, b < 0 ? 0 : (u32)b, NULL, from);
}

bool feed_step(struct feed_at *at, bool backwards) {
    if (backwards) {
        struct pack *pack = at->f->blocks[at->block]->pack;
        u8 *p = at->head;
        if (p == pack->items) return at->block && backward(at, (s64)at->block - 1, NULL, ID_MOST);
        return backward(at, at->block, p, ID_MOST);
    }
    return forward(at, at->block, entry_after(at->head), ID_LEAST);
}

u8 *feed_words(const struct feed_at *at) { return pack_next(at->head); }

bool feed_has(const struct feed *f, struct id id, struct feed_at *at) {
    return feed_seek(f, id, false, at) && id_compare(at->id, id) == 0;
}

struct id feed_first(const struct feed *f) {
    struct feed_at at;
    return feed_seek(f, ID_LEAST, false, &at) ? at.id : ID_LEAST;
}

static void mark_deleted(struct feed *f, const struct feed_at *at) {
    struct feed_block *b = f->blocks[at->block];
    struct head h = head_get(at->head);
    h.deleted = 1;
    memcpy((char *)(uintptr_t)pack_get(at->head).ptr, &h, sizeof h);
    f->length--;
    if (!--b->live) blocks_drop(f, at->block, 1);
}

bool feed_delete(struct feed *f, struct id id) {
    struct feed_at at;
    if (!feed_has(f, id, &at)) return false;
    mark_deleted(f, &at);
    if (id_compare(id, f->max_deleted) > 0) f->max_deleted = id;
    return true;
}

static struct id block_last(const struct feed *f, u32 i) {
    struct pack *p = f->blocks[i]->pack;
    return head_get(entry_before(p, p->items + p->bytes)).id;
}

u64 feed_trim(struct feed *f, bool by_id, u64 max_length, struct id min_id, bool rough, u64 most) {
    u64 gone = 0;
    u32 whole = 0;
    while (whole < f->block_count) {
        struct feed_block *b = f->blocks[whole];
        bool goes = by_id ? id_compare(block_last(f, whole), min_id) < 0
                          : f->length - b->live >= max_length;
        if (!goes || (most && gone + b->live > most)) break;
        gone += b->live;
        f->length -= b->live;
        whole++;
    }
    if (whole) blocks_drop(f, 0, whole);
    struct feed_at at;
    while (!rough && feed_seek(f, ID_LEAST, false, &at) &&
           (by_id ? id_compare(at.id, min_id) < 0 : f->length > max_length)) {
        mark_deleted(f, &at);
        gone++;
    }
    return gone;
}

s64 feed_distance(const struct feed *f, struct id id) {
    if (!f->added) return 0;
    int last = id_compare(id, f->last);
    if (!f->length && last < 1) return (s64)f->added;
    if (last == 0) return (s64)f->added;
    if (last > 0) return -1;
    struct id first = feed_first(f);
    int d = id_compare(id, first);
    if (id_is_zero(f->max_deleted) || id_compare(f->max_deleted, first) < 0) {
        if (d < 0) return (s64)(f->added - f->length);
        if (d == 0) return (s64)(f->added - f->length + 1);
    }
    return -1;
}

bool feed_has_holes_from(const struct feed *f, struct id from) {
    if (!f->length || id_is_zero(f->max_deleted)) return false;
    return id_compare(from, f->max_deleted) <= 0;
}

/* ---- As a type ------------------------------------------------------------------------------- */

static bool free_some(struct object *o, u32 n) {
    struct feed *f = o->feed;
    while (f->block_count && n--) block_free(f->blocks[--f->block_count]);
    if (f->block_count) return false;
    if (f->groups) {
        feed_group_delete(f, f->groups);
        return false;
    }
    cache_free(f->blocks);
    cache_free(f);
    return true;
}

static void free_now(struct object *o) {
    while (!free_some(o, 1000)) {}
}

static void groups_copy(struct feed *to, const struct feed *from) {
    for (const struct group *g = from->groups; g; g = g->next) {
        struct group *copy = feed_group_add(to, str_of(g->name, g->len), g->last, g->read);
        for (const struct consumer *c = g->consumers; c; c = c->next) {
            struct consumer *k = group_consumer_add(copy, str_of(c->name, c->len), c->seen_ms);
            struct id_place at;
            for (struct id *i = id_map_seek(&c->pending, ID_LEAST, &at); i;
                 i = id_map_step(&c->pending, &at)) {
                const struct nack *n = (const struct nack *)i;
                group_give(copy, k, n->id, n->given_ms)->times = n->times;
            }
        }
    }
}

static struct object copy(const struct object *o) {
    struct object to = feed_new();
    struct feed *f = to.feed, *from = o->feed;
    for (u32 i = 0; i < from->block_count; i++) {
        struct feed_block *b = from->blocks[i], *n = block_add(f, b->first);
        size_t bytes = sizeof *b->pack + b->pack->bytes;
        n->entries = b->entries;
        n->live = b->live;
        cache_free(n->pack);
        n->pack = memcpy(cache_alloc(bytes), b->pack, bytes);
        n->pack->room = n->pack->bytes;
    }
    f->length = from->length;
    f->added = from->added;
    f->last = from->last;
    f->max_deleted = from->max_deleted;
    groups_copy(f, from);
    return to;
}

static size_t items(const struct object *o) {
    size_t n = o->feed->block_count + 1;
    for (const struct group *g = o->feed->groups; g; g = g->next) n += 1 + (size_t)g->pending.count;
    return n;
}

static size_t bytes(const struct object *o, u32 samples) {
    const struct feed *f = o->feed;
    size_t sum = 0, seen = 0;
    for (; seen < f->block_count && (!samples || seen < samples); seen++)
        sum += cache_size(f->blocks[seen]) + cache_size(f->blocks[seen]->pack);
    if (seen && seen < f->block_count) sum = sum / seen * f->block_count;
    for (const struct group *g = f->groups; g; g = g->next)
        sum += cache_size(g) + 2 * id_map_bytes(&g->pending) +
               (size_t)g->pending.count * (sizeof(struct nack) + 16);
    return sum + cache_size(f) + cache_size(f->blocks);
}

const struct object_class feed_class = {.name = "stream", .free_now = free_now, .copy = copy,
                                        .items = items, .bytes = bytes, .free_some = free_some};
