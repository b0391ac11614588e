/* SPDX-License-Identifier: Apache-2.0 */
/* stream_bytes.c — received bytes of one stream, always contiguous, so that a parser gets one view.
 *
 *   ptr [ consumed | waiting ......... | free ]      grows by doubling, moves down before it grows
 *
 * Always true: len bytes wait at ptr + at; no memory while len is 0. Blocks of the first size come
 * back to a short list, so a request costs no malloc. How much one stream may hold follows what
 * the budget has left: much while few hold anything, little when many do, never less than a head.
 */
#include "net/stream_impl.h"
#include "kernel/base/limits.h"
#include "kernel/core/memory.h"

#define FIRST_BYTES 2048u
#define KEPT_MAX 64u

static struct {
    void *block[KEPT_MAX];
    u32 count;
} kept;

u32 stream_bytes_max(void) {
    struct memory_use use;
    memory_use_get(MEMORY_CONNECTIONS, &use);
    size_t left = use.limit > use.used ? use.limit - use.used : 0;
    size_t share = left / 8;
    return (u32)MIN(MAX(share, (size_t)HTTP_HEAD_MAX + FIRST_BYTES), (size_t)TCP_WND + 65536u);
}

static void block_free(struct stream_bytes *b) {
    if (b->room == FIRST_BYTES && kept.count < KEPT_MAX)
        kept.block[kept.count++] = b->ptr;
    else
        memory_free(MEMORY_CONNECTIONS, b->ptr);
}

static char *block_new(u32 bytes) {
    if (bytes == FIRST_BYTES && kept.count) return kept.block[--kept.count];
    return memory_alloc(MEMORY_CONNECTIONS, bytes);
}

rc_t stream_bytes_reserve(struct stream_bytes *b, u32 more, u32 max) {
    u32 need = b->len + more, room = b->room ? b->room : FIRST_BYTES;
    if (need > max || need < more) return RC_LIMIT;
    if (b->ptr && b->at + need <= b->room) return RC_OK;
    if (b->ptr && need <= b->room) { /* room at the front: at most `len` bytes move */
        memmove(b->ptr, b->ptr + b->at, b->len);
        b->at = 0;
        return RC_OK;
    }
    while (room < need) room *= 2;
    char *p = block_new(room);
    if (!p) return RC_NO_MEMORY;
    if (b->len) memcpy(p, b->ptr + b->at, b->len);
    if (b->ptr) block_free(b);
    b->ptr = p, b->at = 0, b->room = room;
    return RC_OK;
}

rc_t stream_bytes_add(struct stream_bytes *b, const void *bytes, u32 n, u32 max) {
    rc_t rc = stream_bytes_reserve(b, n, max);
    if (rc) return rc;
    memcpy(b->ptr + b->at + b->len, bytes, n);
    b->len += n;
    return RC_OK;
}

void stream_bytes_drop(struct stream_bytes *b, u32 n) {
    CHECK(n <= b->len);
    b->at += n;
    b->len -= n;
    if (!b->len) stream_bytes_free(b);
}

void stream_bytes_free(struct stream_bytes *b) {
    if (b->ptr) block_free(b);
    *b = (struct stream_bytes){0};
}
