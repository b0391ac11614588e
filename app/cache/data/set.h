/* SPDX-License-Identifier: Apache-2.0 */
/* set.h — a set: sorted whole numbers (INTS), a few short strings (PACK), or a table. It goes from
 * one to the next as it grows, never back. */
#pragma once
#include "app/cache/data/dict.h"
#include "app/cache/object.h"

struct ints { /* sorted, each `width` bytes: 2, 4 or 8 */
    u32 count, room;
    u8 width;
    u8 bytes[];
};
struct object set_new(str first); /* of the kind that suits its first member; empty */
bool set_add(struct object *o, str member);    /* false: was there */
bool set_remove(struct object *o, str member); /* false: was not there */
bool set_has(const struct object *o, str member);
u64 set_count(const struct object *o);
/* A random member; valid until the next call. */
str set_random(const struct object *o);

/* A walk; the set must not change meanwhile. */
struct set_walk {
    const struct object *o;
    u32 at;
    u8 *item;
    struct dict_walk table;
    char scratch[24];
};
void set_walk_begin(struct set_walk *w, const struct object *o);
bool set_walk_next(struct set_walk *w, str *out);
void set_walk_end(struct set_walk *w); /* to leave it early */
