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
