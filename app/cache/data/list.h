/* SPDX-License-Identifier: Apache-2.0 */
/* list.h — a list: packs in a chain, each of a few kilobytes, so that both ends are at hand and
 * the middle is a short walk away. An element too long for a pack has one of its own. */
#pragma once
#include "app/cache/data/pack.h"
#include "app/cache/object.h"

struct list_node {
    struct list_node *prev, *next;
    struct pack *pack;
};
struct list {
    struct list_node *first, *last;
    u64 count; /* elements */
    u64 nodes;
};
/* A place in a list; node NULL: none. */
struct list_at {
    struct list_node *node;
    pack_at item;
};

struct object list_new(void);
void list_push(struct list *l, str s, bool left);
/* Takes an element off an end: the copy is the caller's to text_drop. NULL: empty. */
struct text *list_pop(struct list *l, bool left);
struct list_at list_index(struct list *l, s64 i);      /* negative: from the end */
bool list_step(struct list *l, struct list_at *at, bool backwards); /* false: the end */
str list_get(struct list_at at);
void list_set(struct list *l, struct list_at at, str s);
void list_insert(struct list *l, struct list_at at, str s, bool before);
/* Deletes the element; `at` moves to the one after it (before it, with backwards), false: none. */
bool list_delete(struct list *l, struct list_at *at, bool backwards);
void list_delete_range(struct list *l, u64 from, u64 count);
