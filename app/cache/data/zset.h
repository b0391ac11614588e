/* SPDX-License-Identifier: Apache-2.0 */
/* zset.h — a sorted set: members ordered by score, then by name; each found by name at once. A few
 * short ones lie in a pack, in order; more have a table and a skip list over the same blocks. */
#pragma once
#include "app/cache/data/dict.h"
#include "app/cache/object.h"

struct zset {
    struct dict dict;
    struct zitem *head, *tail; /* head: no member, all levels */
    u32 level;
};
struct object zset_new(size_t expected, size_t member_len);
u64 zset_count(const struct object *o);
bool zset_score(const struct object *o, str member, double *out);
/* Adds or moves. True: it is new. */
bool zset_put(struct object *o, str member, double score);
bool zset_remove(struct object *o, str member);
/* 0-based, from the lowest. */
bool zset_rank(const struct object *o, str member, u64 *out);

/* A place in the order. */
struct zset_at {
    struct zitem *item; /* TABLE */
    u8 *pack;           /* PACK: the member */
};
bool zset_at_rank(const struct object *o, u64 rank, struct zset_at *out); /* false: beyond */
bool zset_next(const struct object *o, struct zset_at *at);
bool zset_prev(const struct object *o, struct zset_at *at);
str zset_member(const struct object *o, struct zset_at at);
double zset_at_score(const struct object *o, struct zset_at at);

/* Ranges. By score: bounds, each exclusive or not. By name: `-` and `+` are NULL ptr with `inf`. */
struct zset_range {
    double min, max;
    str min_name, max_name;
    int min_inf, max_inf; /* by name: -1 "-", 0 a name, 1 "+" */
    bool min_open, max_open, by_name;
};
/* First and last inside; false: nobody is. Ranks of both. */
bool zset_range_ranks(const struct object *o, const struct zset_range *r, u64 *first, u64 *last);
u64 zset_remove_ranks(struct object *o, u64 first, u64 count);

/* A walk in no order, while nothing changes. */
struct zset_walk {
    const struct object *o;
    struct zset_at at;
    bool begun;
};
void zset_walk_begin(struct zset_walk *w, const struct object *o);
bool zset_walk_next(struct zset_walk *w, str *member, double *score);
/* For ZSCAN: of a table's node. */
void zset_of_node(const struct object *o, const struct node *n, str *member, double *score);
