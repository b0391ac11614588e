/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h — a stream: entries of fields and values under ids that only grow, and groups of consumers
 * who share them out. ("feed" because net/stream.h has the other name.) */
#pragma once
#include "app/cache/data/pack.h"
#include "app/cache/object.h"

struct id {
    u64 ms, seq;
};
#define ID_LEAST ((struct id){0, 0})
#define ID_MOST ((struct id){UINT64_MAX, UINT64_MAX})
static inline int id_compare(struct id a, struct id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}
static inline bool id_is_zero(struct id a) { return !a.ms && !a.seq; }
bool id_next(struct id *a); /* false: it is the last one */
bool id_prev(struct id *a);

/* Pointers sorted by the id they begin with: two levels, so no step moves more than 4 KiB. */
struct id_chunk {
    u32 count;
    struct id *items[255];
};
struct id_map {
    struct id_chunk **chunks;
    u32 chunk_count, chunk_room;
    u64 count;
};
struct id_place {
    u32 chunk, at;
};
struct id *id_map_find(const struct id_map *m, struct id key);
bool id_map_add(struct id_map *m, struct id *item); /* false: there is one */
struct id *id_map_remove(struct id_map *m, struct id key);
/* The first item not below key; NULL: none. Then the next one. */
struct id *id_map_seek(const struct id_map *m, struct id key, struct id_place *at);
struct id *id_map_step(const struct id_map *m, struct id_place *at);
struct id *id_map_last(const struct id_map *m);
void id_map_close(struct id_map *m);
size_t id_map_bytes(const struct id_map *m);

struct consumer;
struct nack { /* given out, not yet acknowledged */
    struct id id;
    struct consumer *consumer;
    s64 given_ms; /* the cache's clock */
    u64 times;
};
struct consumer {
    struct consumer *next;
    s64 seen_ms;
    struct id_map pending;
    u32 len;
    char name[];
};
struct group {
    struct group *next;
    struct id last;
    s64 read; /* entries read ever; -1: not known */
    struct id_map pending;
    struct consumer *consumers; /* by name */
    u32 len;
    char name[];
};
struct feed_block {
    struct id first;
    u32 entries, live;
    struct pack *pack;
};
struct feed {
    struct feed_block **blocks;
    u32 block_count, block_room;
    u64 length, added;
    struct id last, max_deleted;
    struct group *groups; /* by name */
};

struct object feed_new(void);
void feed_append(struct feed *f, struct id id, const str *words, u32 count); /* id > last */
bool feed_delete(struct feed *f, struct id id); /* counts as removed by hand */
/* Drops the oldest: down to max_length (or ids below min_id), whole blocks only if `rough`, at most
 * `most` entries (0: any number). How many. */
u64 feed_trim(struct feed *f, bool by_id, u64 max_length, struct id min_id, bool rough, u64 most);
struct id feed_first(const struct feed *f); /* zero when empty */

/* A place: an entry that has not been deleted. */
struct feed_at {
    const struct feed *f;
    u32 block;
    u8 *head;
    struct id id;
    u32 fields;
};
bool feed_seek(const struct feed *f, struct id from, bool backwards, struct feed_at *at);
bool feed_step(struct feed_at *at, bool backwards);
/* Fields and values in turn: begin with feed_words, then pack_next. */
u8 *feed_words(const struct feed_at *at);
bool feed_has(const struct feed *f, struct id id, struct feed_at *at);

struct group *feed_group(const struct feed *f, str name);
struct group *feed_group_add(struct feed *f, str name, struct id last, s64 read);
    /* NULL: there is one */
void feed_group_delete(struct feed *f, struct group *g);
struct consumer *group_consumer(const struct group *g, str name);
struct consumer *group_consumer_add(struct group *g, str name, s64 now_ms);
void group_consumer_delete(struct group *g, struct consumer *c); /* what it had is forgotten */
struct nack *group_give(struct group *g, struct consumer *c, struct id id, s64 now_ms);
    /* pending */
bool group_take_back(struct group *g, struct id id);
void nack_move(struct nack *n, struct consumer *to);
/* How many entries were ever added up to id; -1: not known. */
s64 feed_distance(const struct feed *f, struct id id);
bool feed_has_holes_from(const struct feed *f, struct id from);
