/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h — shared by the commands of streams. */
#pragma once
#include "app/cache/command.h"
#include "app/cache/data/feed.h"

/* "5-3", "5" (then seq is `missing`), "-", "+". Answers and returns false otherwise. */
bool arg_id(struct client *c, u32 i, u64 missing, struct id *out);
bool arg_id_strict(struct client *c, u32 i, u64 missing, struct id *out); /* without - and + */
/* A bound of a range: an id, "(" and an id, "-", "+". */
bool arg_id_bound(struct client *c, u32 i, bool lower, struct id *out);
bool id_parse(str s, u64 missing, struct id *out);
str id_text(struct id id, char to[48]);
void say_id(struct client *c, struct id id);
void say_entry(struct client *c, const struct feed_at *at); /* id, then fields and values */
void say_nogroup(struct client *c, str key, str group);
/* Where say_later was: the id as a bulk string. */
void say_later_bulk(struct client *c, struct block *at, struct id id);
/* XADD's and XTRIM's words; `i` at the first that may be one, moves over them. */
struct trim {
    bool wanted, by_id, rough, limited;
    s64 max_length, most;
    struct id min_id;
};
