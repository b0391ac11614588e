/* SPDX-License-Identifier: Apache-2.0 */
/* zset.h — shared by the commands of sorted sets (and of places, which are sorted sets). */
#pragma once
#include "app/cache/command.h"
#include "app/cache/data/zset.h"

void zset_changed(struct client *c, str key, struct object *o, const char *event);
/* Bounds: "(1.5" "-inf"; "[name" "(name" "-" "+". Answers and returns false if they are wrong. */
bool zrange_by_score(struct client *c, u32 min_arg, u32 max_arg, struct zset_range *out);
bool zrange_by_name(struct client *c, u32 min_arg, u32 max_arg, struct zset_range *out);
/* Under `key`, in the place of whatever is there; an empty one deletes the key. Says how many. */
void zset_store(struct client *c, str key, struct object o, const char *event);
