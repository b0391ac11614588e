/* SPDX-License-Identifier: Apache-2.0 */
/* dict.h — a hash table that grows and shrinks one bucket at a time (linear hashing): no insert,
 * delete or lookup ever waits for a resize. Nodes are the owner's blocks: they begin with struct
 * node, and their key's bytes lie `key_at` bytes from their start. */
#pragma once
#include "kernel/base/base.h"

struct node {
    struct node *next;
    u32 hash;
    u32 len; /* of the key */
};

struct dict {
    struct node ***segments; /* of CACHE_SEGMENT buckets each; the first may be shorter */
    u32 segment_room;        /* of `segments` */
    u32 first_room;          /* buckets of segment 0 */
    u32 mask;                /* level - 1; buckets = mask + 1 + split */
    u32 split;               /* buckets of this level that have been split already */
    u32 count;
    u16 key_at;
    u16 held;                /* > 0: not resized (somebody walks over it) */
};

void dict_open(struct dict *d, size_t key_at);
void dict_close_empty(struct dict *d); /* gives its memory back if nobody is in it or walks it */
void dict_close(struct dict *d); /* must be empty of nodes, or they are the caller's to free */
static inline str dict_key(const struct dict *d, const struct node *n) {
    return str_of((const char *)n + d->key_at, n->len);
}
u32 dict_hash(str key);

struct node *dict_find(const struct dict *d, str key);
/* Where the pointer to the node lies (the chain's link), for exchanging it; NULL: absent. Valid
 * until the next insert or delete. */
struct node **dict_link(const struct dict *d, str key, u32 hash);
void dict_insert(struct dict *d, struct node *n, u32 hash); /* must be absent; n->len is set */
struct node *dict_remove(struct dict *d, str key);          /* NULL: absent */
void dict_unlink(struct dict *d, struct node **link);       /* what dict_link found */

/* Every node with the same chance; NULL: empty. */
struct node *dict_random(const struct dict *d);
/* SCAN: begin with 0; 0 comes back at the end. What is there from beginning to end is seen at
 * least once, however the table is resized meanwhile. */
u64 dict_scan(const struct dict *d, u64 cursor, void (*see)(void *arg, struct node *n), void *arg);

/* A walk over all of it: the node given last may be deleted meanwhile, others not. */
struct dict_walk {
    struct dict *d;
    u32 bucket;
    struct node *next;
};
void dict_walk_begin(struct dict_walk *w, struct dict *d);
struct node *dict_walk_next(struct dict_walk *w); /* NULL: the end, and the walk is over */
void dict_walk_end(struct dict_walk *w);          /* to leave it early */

struct node *dict_take_any(struct dict *d); /* unlinks some node, cheaply; NULL: empty */
size_t dict_bytes(const struct dict *d);    /* of the table, without nodes */
u32 dict_buckets(const struct dict *d);
/* For tests: panics if something is not as it must be. */
void dict_check(const struct dict *d);

void cache_random_seed(u64 seed);
u64 cache_random(void);           /* quick, not secret */
u64 cache_random_below(u64 n);    /* 0..n-1, n > 0 */
