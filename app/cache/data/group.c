/* SPDX-License-Identifier: Apache-2.0 */
/* group.c — consumer groups of a stream: who was given what, and has not acknowledged it.
 *
 *   group.pending    id -> nack -> consumer          the same nack
 *   consumer.pending id -> nack                      in both
 *
 * The maps are sorted arrays of pointers in chunks of 255: found by two binary searches, changed by
 * moving at most one chunk, walked in order.
 *
 * Always true: a nack is in its group's map and in its consumer's, and in no other. */
#include "app/cache/data/feed.h"
#include "app/cache/data/memory.h"

/* ---- Maps ------------------------------------------------------------------------------------ */

static struct id_place lower_bound(const struct id_map *m, struct id key) {
    u32 low = 0, high = m->chunk_count;
    while (low < high) { /* the first chunk whose last is not below the key */
        u32 mid = (low + high) / 2;
        struct id_chunk *c = m->chunks[mid];
        if (id_compare(*c->items[c->count - 1], key) < 0) low = mid + 1;
        else high = mid;
    }
    struct id_place at = {low, 0};
    if (low == m->chunk_count) return at;
    struct id_chunk *c = m->chunks[low];
    u32 first = 0, last = c->count;
    while (first < last) {
        u32 mid = (first + last) / 2;
        if (id_compare(*c->items[mid], key) < 0) first = mid + 1;
        else last = mid;
    }
    at.at = first;
    return at;
}

struct id *id_map_seek(const struct id_map *m, struct id key, struct id_place *at) {
    *at = lower_bound(m, key);
    return at->chunk < m->chunk_count ? m->chunks[at->chunk]->items[at->at] : NULL;
}

struct id *id_map_step(const struct id_map *m, struct id_place *at) {
    if (++at->at == m->chunks[at->chunk]->count) {
        at->chunk++;
        at->at = 0;
    }
    return at->chunk < m->chunk_count ? m->chunks[at->chunk]->items[at->at] : NULL;
}

struct id *id_map_find(const struct id_map *m, struct id key) {
    struct id_place at;
    struct id *found = id_map_seek(m, key, &at);
    return found && id_compare(*found, key) == 0 ? found : NULL;
}

struct id *id_map_last(const struct id_map *m) {
    if (!m->chunk_count) return NULL;
    struct id_chunk *c = m->chunks[m->chunk_count - 1];
    return c->items[c->count - 1];
}

static struct id_chunk *chunk_insert(struct id_map *m, u32 where) {
    if (m->chunk_count == m->chunk_room) {
        m->chunk_room = m->chunk_room ? 2 * m->chunk_room : 2;
        m->chunks = cache_resize(m->chunks, m->chunk_room * sizeof *m->chunks);
    }
    memmove(m->chunks + where + 1, m->chunks + where, (m->chunk_count - where) * sizeof *m->chunks);
    m->chunk_count++;
    struct id_chunk *c = m->chunks[where] = cache_alloc(sizeof *c);
    c->count = 0;
    return c;
}

bool id_map_add(struct id_map *m, struct id *item) {
    struct id_place at = lower_bound(m, *item);
    if (at.chunk < m->chunk_count && id_compare(*m->chunks[at.chunk]->items[at.at], *item) == 0)
        return false;
    if (at.chunk == m->chunk_count && at.chunk) { /* behind all: at the end of the last chunk */
        at.chunk--;
        at.at = m->chunks[at.chunk]->count;
    }
    struct id_chunk *c = m->chunk_count ? m->chunks[at.chunk] : chunk_insert(m, 0);
    if (c->count == ARRAY_LEN(c->items)) {
        /* appended to a full one: a new one; in the middle: half moves over */
        u32 keep = at.at == c->count ? c->count : c->count / 2;
        struct id_chunk *right = chunk_insert(m, at.chunk + 1);
        right->count = c->count - keep;
        memcpy(right->items, c->items + keep, right->count * sizeof *c->items);
        c->count = keep;
        if (at.at > keep || at.at == ARRAY_LEN(c->items)) {
            at.at -= keep;
            c = right;
        }
    }
    memmove(c->items + at.at + 1, c->items + at.at, (c->count - at.at) * sizeof *c->items);
    c->items[at.at] = item;
    c->count++;
    m->count++;
    return true;
}

struct id *id_map_remove(struct id_map *m, struct id key) {
    struct id_place at;
    struct id *found = id_map_seek(m, key, &at);
    if (!found || id_compare(*found, key) != 0) return NULL;
    struct id_chunk *c = m->chunks[at.chunk];
    c->count--;
    memmove(c->items + at.at, c->items + at.at + 1, (c->count - at.at) * sizeof *c->items);
    m->count--;
    if (c->count) return found;
    cache_free(c);
    m->chunk_count--;
    memmove(m->chunks + at.chunk, m->chunks + at.chunk + 1,
            (m->chunk_count - at.chunk) * sizeof *m->chunks);
    return found;
}

void id_map_close(struct id_map *m) {
    for (u32 i = 0; i < m->chunk_count; i++) cache_free(m->chunks[i]);
    cache_free(m->chunks);
    *m = (struct id_map){0};
}

size_t id_map_bytes(const struct id_map *m) {
    return cache_size(m->chunks) + m->chunk_count * (sizeof(struct id_chunk) + 8);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

struct group *feed_group(const struct feed *f, str name) {
    for (struct group *g = f->groups; g; g = g->next)
        if (str_eq(str_of(g->name, g->len), name)) return g;
    return NULL;
}

struct group *feed_group_add(struct feed *f, str name, struct id last, s64 read) {
    struct group **at = &f->groups;
    if (feed_group(f, name)) return NULL;
    struct group *g = cache_alloc(sizeof *g + name.len);
    *g = (struct group){.last = last, .read = read, .len = (u32)name.len};
    if (name.len) memcpy(g->name, name.ptr, name.len);
    while (*at && str_cmp(str_of((*at)->name, (*at)->len), name) < 0) at = &(*at)->next;
    g->next = *at;
    *at = g;
    return g;
}

struct consumer *group_consumer(const struct group *g, str name) {
    for (struct consumer *c = g->consumers; c; c = c->next)
        if (str_eq(str_of(c->name, c->len), name)) return c;
    return NULL;
}

struct consumer *group_consumer_add(struct group *g, str name, s64 now_ms) {
    struct consumer **at = &g->consumers;
    struct consumer *c = cache_alloc(sizeof *c + name.len);
    *c = (struct consumer){.seen_ms = now_ms, .len = (u32)name.len};
    if (name.len) memcpy(c->name, name.ptr, name.len);
    while (*at && str_cmp(str_of((*at)->name, (*at)->len), name) < 0) at = &(*at)->next;
    c->next = *at;
    *at = c;
    return c;
}

void group_consumer_delete(struct group *g, struct consumer *c) {
    struct consumer **at = &g->consumers;
    struct id *i;
    while ((i = id_map_last(&c->pending))) {
        (void)id_map_remove(&g->pending, *i);
        (void)id_map_remove(&c->pending, *i);
        cache_free(i);
    }
    id_map_close(&c->pending);
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    cache_free(c);
}

void feed_group_delete(struct feed *f, struct group *g) {
    struct group **at = &f->groups;
    while (g->consumers) group_consumer_delete(g, g->consumers);
    id_map_close(&g->pending);
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    cache_free(g);
}

struct nack *group_give(struct group *g, struct consumer *c, struct id id, s64 now_ms) {
    struct nack *n = cache_alloc(sizeof *n);
    *n = (struct nack){.id = id, .consumer = c, .given_ms = now_ms, .times = 1};
    bool added = id_map_add(&g->pending, &n->id);
    CHECK(added);
    added = id_map_add(&c->pending, &n->id);
    CHECK(added);
    return n;
}

bool group_take_back(struct group *g, struct id id) {
    struct nack *n = (struct nack *)id_map_remove(&g->pending, id);
    if (!n) return false;
    (void)id_map_remove(&n->consumer->pending, id);
    cache_free(n);
    return true;
}

void nack_move(struct nack *n, struct consumer *to) {
    if (n->consumer == to) return;
    (void)id_map_remove(&n->consumer->pending, n->id);
    n->consumer = to;
    (void)id_map_add(&to->pending, &n->id);
}
