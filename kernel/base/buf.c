/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c — growing bytes with a declared maximum.
 * Always true: len <= room <= max; `failed` never clears except by buf_clear. */
#include "kernel/base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_open(struct buf *b, size_t bytes_max) { *b = (struct buf){.max = bytes_max}; }

void buf_close(struct buf *b) {
    free(b->ptr);
    *b = (struct buf){.max = b->max};
}

rc_t buf_reserve(struct buf *b, size_t more) {
    if (b->failed) return RC_LIMIT;
    if (more <= b->room - b->len) return RC_OK;
    if (more > b->max - b->len) {
        b->failed = true;
        return RC_LIMIT;
    }
    size_t room = MAX(MAX(b->len + more, b->room * 2), (size_t)512);
    if (room > b->max) room = b->max;
    char *grown = realloc(b->ptr, room);
    if (!grown) {
        b->failed = true;
        return RC_NO_MEMORY;
    }
    b->ptr = grown;
    b->room = room;
    return RC_OK;
}

rc_t buf_add(struct buf *b, str s) {
    rc_t rc = buf_reserve(b, s.len);
    if (rc) return rc;
    if (s.len) memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
    return RC_OK;
}

rc_t buf_add_byte(struct buf *b, char c) { return buf_add(b, (str){&c, 1}); }

rc_t buf_printf(struct buf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    /* One byte more than the text: vsnprintf writes its NUL there, and it is not counted. */
    rc_t rc = n < 0 ? RC_INVALID : buf_reserve(b, (size_t)n + 1);
    if (!rc) {
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

void buf_drop(struct buf *b, size_t n) {
    CHECK(n <= b->len);
    if (n && b->len > n) memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
