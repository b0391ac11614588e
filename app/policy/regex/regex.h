/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h — regular expressions in RE2's syntax, matched in time linear in the text.
 *
 *   pattern --parse--> program --lazy DFA--> is there a match, where does it end
 *                             \-Pike's machine--> where are its groups
 *
 * No backtracking: an expression from outside may be asked of a text from outside. Leftmost-first
 * matches, as Perl's; classes, errors and their words as the reference's. Memory is malloc's,
 * bounded by limits below. A regex remembers what it has learnt of its automaton: one thread at a
 * time. */
#pragma once
#include "kernel/base/buf.h"

enum {
    REGEX_REPEAT_MAX = 1000,   /* x{1000}, also of nested ones multiplied: as the reference */
    REGEX_DEPTH_MAX = 1000,    /* as the reference */
    REGEX_INSTS_MAX = 65536,   /* the reference allows more; no honest pattern needs it */
    REGEX_RANGES_MAX = 262144,
    REGEX_STATES_MAX = 4096,   /* states of the DFA that are remembered; then it starts afresh */
    REGEX_STATE_BYTES_MAX = 256 << 10,
    REGEX_PIKE_BYTES_MAX = 8 << 20, /* while groups are looked for */
};

struct regex;
/* RC_INVALID: `why` has the reference's words; RC_NO_MEMORY. */
rc_t regex_open(struct regex **out, str pattern, struct buf *why);
void regex_close(struct regex *r);
u32 regex_groups(const struct regex *r);              /* with the whole match, which is group 0 */
str regex_group_name(const struct regex *r, u32 group); /* empty: it has none */
size_t regex_bytes(const struct regex *r);            /* held now */

/* Counts work; false: stop. */
struct regex_work { bool (*tick)(void *arg, u32 steps); void *arg; };
/* RC_NOT_FOUND: no match; RC_TIMEOUT: told to stop; RC_NO_MEMORY. */
rc_t regex_match(struct regex *r, str text, struct regex_work work);
/* The leftmost match that starts at or after `from`; groups[2 * i] and [2 * i + 1] are where group
 * i starts and ends, -1 where it took no part. Room for `count` groups. */
rc_t regex_find(struct regex *r, str text, size_t from, s64 *groups, u32 count,
                struct regex_work work);
/* The reference's successive matches: an empty one right after the last is passed over.
 * RC_NOT_FOUND: there are no more. Start with `{0}` but for `last_end = -1`. */
struct regex_walk { size_t at; s64 last_end; bool done; };
rc_t regex_next(struct regex *r, str text, struct regex_walk *w, s64 *groups, u32 count,
                struct regex_work work);
void regex_quote(struct buf *to, str s); /* so that it matches itself */
