/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h — SCAN and its relatives: a cursor, a pattern, a count. */
#pragma once
#include "app/cache/command.h"

struct scan {
    u64 cursor;
    s64 count;
    str pattern; /* ptr NULL: all */
    str type;    /* SCAN only; ptr NULL: all */
};
/* Cursor in argument `at`, options after it; answers and returns false if they are wrong. */
bool scan_options(struct client *c, u32 at, bool keys, struct scan *out);
bool glob_match(str pattern, str text, bool nocase);
static inline bool scan_wants(const struct scan *s, str name) {
    return !s->pattern.ptr || glob_match(s->pattern, name, false);
}
/* The answer's head: the cursor to come back with; then an array, whose length comes later. */
struct block *say_scan(struct client *c, u64 cursor);
/* The same when the cursor is known only afterwards. */
struct block *say_scan_later(struct client *c);
void say_scan_fill(struct client *c, struct block *at, u64 cursor, u64 said);
