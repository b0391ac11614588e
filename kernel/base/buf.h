/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h — growing bytes with a declared maximum, on malloc. A failed append sets `failed`, leaves
 * the content as it was, and makes all later appends fail too: check once, at the end. */
#pragma once
#include "kernel/base/base.h"

struct buf {
    char *ptr;
    size_t len, room, max;
    bool failed; /* the maximum or the memory was reached */
};

void buf_open(struct buf *b, size_t bytes_max); /* allocates nothing yet */
void buf_close(struct buf *b);
static inline void buf_clear(struct buf *b) { b->len = 0, b->failed = false; }
static inline str buf_str(const struct buf *b) { return (str){b->ptr, b->len}; }

rc_t buf_reserve(struct buf *b, size_t more); /* room for `more` bytes at ptr + len; RC_LIMIT */
rc_t buf_add(struct buf *b, str s);
rc_t buf_add_byte(struct buf *b, char c);
rc_t buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop(struct buf *b, size_t n); /* the first n bytes */
