/* SPDX-License-Identifier: Apache-2.0 */
/* resp.h — commands as they arrive: RESP arrays of bulk strings, or an inline line of words. A
 * parser keeps its place between two looks at a growing view, and no copy of anything.
 * Source: the Redis serialization protocol specification, RESP2 and RESP3 (requests are alike). */
#pragma once
#include "kernel/base/base.h"

struct span {
    u32 at, len; /* from the view's first byte */
};
#define RESP_FEW 8u
struct resp {
    u32 at;           /* bytes looked at */
    s64 left;         /* arguments still to come; -1: the array's head is not read yet */
    s64 bulk;         /* length of the argument that comes next; -1: not read yet */
    u32 argc;
    u32 room;         /* of `spans` */
    bool inline_words; /* the one span is a whole line: resp_unquote */
    struct span *spans;
    struct span few[RESP_FEW];
};
struct resp_limits {
    u32 args_max;
    u64 bulk_max;
};

void resp_begin(struct resp *r);  /* the next command starts at the view's first byte */
void resp_close(struct resp *r);
/* RC_OK: argc arguments lie at spans, and the command takes r->at bytes. RC_AGAIN: more is needed.
 * RC_INVALID, RC_LIMIT, RC_NO_MEMORY: `why` is an error line of the protocol, without its dash.
 * argc 0 with RC_OK: an empty line, to be passed over. */
rc_t resp_read(struct resp *r, str view, const struct resp_limits *limits, char why[96]);
/* How many bytes the view must have before reading on is of use; 0: unknown. */
u64 resp_wants(const struct resp *r);
/* The words of an inline command, without their quotes, into `to`, which has the line's room.
 * RC_INVALID: quotes that do not match; RC_LIMIT: more than `room` words. */
rc_t resp_unquote(str line, char *to, struct span *words, u32 room, u32 *out_count);
