/* SPDX-License-Identifier: Apache-2.0 */
/* pop.h — what commands of lists, sets and sorted sets share: ranges of places, and popping. */
#pragma once
#include "app/cache/command.h"

/* Places counted from either end, cut to what is there. False: nothing is. */
bool range_fit(s64 count, s64 *from, s64 *to);
void list_changed(struct client *c, str key, struct object *o, const char *event);
void say_popped(struct client *c, str key, struct object *o, u64 n, bool left);
/* LEFT or RIGHT in argument i; answers otherwise. */
bool arg_side(struct client *c, u32 i, bool *left);
/* numkeys in argument i, and that many keys after it. Answers and returns false if wrong. */
bool arg_keys(struct client *c, u32 i, const str **keys, u32 *count);
bool arg_keys_or(struct client *c, u32 i, const str **keys, u32 *count, const char *too_many);
/* The first of the keys that has something. NULL: none; *bad: another type, and it has been told.
 * While waiting again, keys of other types are passed over. */
struct object *first_of_type(struct client *c, const str *keys, u32 count, enum object_type type,
                             u32 *which, bool *bad);
/* LMPOP, ZMPOP and those that wait. say_taken takes up to n from one end, and says them. */
typedef void say_taken_fn(struct client *c, str key, struct object *o, u64 n, bool first);
void mpop_now(struct client *c, const char *first, const char *other, enum object_type type,
              say_taken_fn *say_taken);
void mpop_waiting(struct client *c, const char *first, const char *other, enum object_type type,
                  say_taken_fn *say_taken);
/* SREM, ZREM. */
struct member_type {
    enum object_type type;
    const char *event;
    u64 (*count)(const struct object *o);
    bool (*remove)(struct object *o, str member);
    void (*changed)(struct client *c, str key, struct object *o, const char *event);
};
void members_remove(struct client *c, const struct member_type *t);
