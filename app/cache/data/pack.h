/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h — a few strings one after the other in one block: small hashes, sets, sorted sets, the
 * nodes of lists and the blocks of streams. Found by walking, so kept small by whoever has one.
 * Functions that change a pack may move it: they return where it is now. */
#pragma once
#include "kernel/base/base.h"

struct pack {
    u32 bytes; /* of items in use */
    u32 room;
    u32 count; /* items */
    u32 spare; /* the owner's */
    u8 items[];
};

/* A place: the first byte of an item. NULL: before the first, behind the last. */
typedef u8 *pack_at;

struct pack *pack_new(size_t room);
static inline bool pack_end(const struct pack *p, const u8 *at) { return at == p->items + p->bytes;
                                                                 }
static inline pack_at pack_first(struct pack *p) { return p->items; } /* may be the end */
pack_at pack_next(const u8 *at);
pack_at pack_last(struct pack *p);                  /* NULL: empty */
pack_at pack_prev(struct pack *p, const u8 *at);    /* NULL: at was the first */
pack_at pack_index(struct pack *p, s64 i);          /* negative: from the end; NULL: none */
str pack_get(const u8 *at);
size_t pack_item_bytes(size_t len);                 /* what a string of this length takes */

/* Before `at`; at the end: appends. *out_at (may be NULL): where the new item is. */
struct pack *pack_insert(struct pack *p, pack_at at, str s, pack_at *out_at);
struct pack *pack_append(struct pack *p, str s);
struct pack *pack_replace(struct pack *p, pack_at at, str s, pack_at *out_at);
struct pack *pack_delete(struct pack *p, pack_at at, u32 items); /* room is kept until pack_fit */
struct pack *pack_fit(struct pack *p);
/* The first item equal to s among those at from, from + step...; NULL: none. */
pack_at pack_find(struct pack *p, pack_at from, str s, u32 step);
