/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h — a hash: fields and values in a pack, or in a table once there are many, one is long, or
 * one has an end of its own. */
#pragma once
#include "app/cache/data/deadlines.h"
#include "app/cache/data/dict.h"
#include "app/cache/object.h"

struct htable {
    struct dict dict;
    struct deadlines ends; /* of fields that have one */
    struct entry *owner;   /* whose value it is, while in `hashes_ending` */
    u32 slot;              /* there */
};
struct object hash_new(void);
bool hash_get(const struct object *o, str field, str *out);
bool hash_set(struct object *o, str field, str value, bool keep_end); /* true: a new field */
bool hash_delete(struct object *o, str field);
u64 hash_count(const struct object *o);
void hash_random(const struct object *o, str *field, str *value);

struct hash_walk {
    const struct object *o;
    u8 *item;
    struct dict_walk table;
};
void hash_walk_begin(struct hash_walk *w, const struct object *o);
bool hash_walk_next(struct hash_walk *w, str *field, str *value);
void hash_walk_end(struct hash_walk *w);
void hash_of_node(const struct object *o, const struct node *n, str *field, str *value);

/* Ends of fields, on the cache's clock. -1: none. */
s64 hash_end(const struct object *o, str field);
void hash_end_set(struct object *o, str field, s64 at_ms); /* the field is there */
bool hash_end_drop(struct object *o, str field);
s64 hash_first_end(const struct object *o);                /* INT64_MAX: none */
/* Deletes up to `most` fields that have ended by now; how many. */
u32 hash_fields_end(struct object *o, s64 now_ms, u32 most);

/* Hashes with ending fields, the earliest first; kept up by whoever changes ends. */
void hashes_ending_set(struct entry *owner);
struct entry *hashes_ending_first(s64 *out_at); /* NULL: none */
void hashes_ending_forget(struct object *o);
