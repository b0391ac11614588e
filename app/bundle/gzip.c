/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c — gzip (RFC 1952) by zlib, whole texts at once.
 *
 * What is unpacked is bounded by the buffer it goes to, so that a small archive cannot become a
 * large one. Several members one after another are one text; anything else behind the last is
 * refused. What is packed depends on the bytes alone: no time, no name. */
#include <zlib.h>
#include "app/bundle/bundle_impl.h"

enum { GZIP_FORMAT = 15 + 16, STEP_BYTES = 65536 };

static rc_t unpack_member(z_stream *z, struct buf *to, struct diag *why) {
    for (;;) {
        rc_t rc = buf_reserve(to, 1);
        if (!rc && to->room - to->len < STEP_BYTES && to->max - to->len > STEP_BYTES)
            rc = buf_reserve(to, STEP_BYTES);
        if (rc) {
            diag_set(why, "the bundle is larger than %zu bytes when unpacked", to->max);
            return rc == RC_NO_MEMORY ? rc : RC_LIMIT;
        }
        size_t room = MIN(to->room, to->max) - to->len;
        z->next_out = (Bytef *)to->ptr + to->len;
        z->avail_out = (uInt)MIN(room, (size_t)1 << 30);
        uInt before = z->avail_out;
        int got = inflate(z, Z_NO_FLUSH);
        to->len += before - z->avail_out;
        if (got == Z_STREAM_END) return RC_OK;
        if (got == Z_MEM_ERROR) return RC_NO_MEMORY;
        if (got == Z_BUF_ERROR || (got == Z_OK && z->avail_in == 0 && z->avail_out))
            return bundle_fail(why, RC_INVALID, "archive read failed: unexpected EOF");
        if (got != Z_OK) {
            diag_set(why, "archive read failed: gzip: %s", z->msg ? z->msg : "invalid header");
            return RC_INVALID;
        }
    }
}

rc_t gzip_unpack(str packed, struct buf *to, struct diag *why) {
    z_stream z = {0};
    if (packed.len > UINT32_MAX) return bundle_fail(why, RC_LIMIT, "the bundle is too large");
    z.next_in = (Bytef *)(uintptr_t)packed.ptr;
    z.avail_in = (uInt)packed.len;
    if (!packed.len) return bundle_fail(why, RC_INVALID, "archive read failed: EOF");
    if (inflateInit2(&z, GZIP_FORMAT) != Z_OK) return RC_NO_MEMORY;
    rc_t rc;
    do {
        rc = unpack_member(&z, to, why);
        if (!rc && z.avail_in && inflateReset(&z) != Z_OK) rc = RC_NO_MEMORY;
    } while (!rc && z.avail_in);
    (void)inflateEnd(&z);
    return rc;
}

rc_t gzip_pack(str bytes, struct buf *to) {
    z_stream z = {0};
    if (bytes.len > UINT32_MAX) return RC_LIMIT;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_FORMAT, 8, Z_DEFAULT_STRATEGY))
        return RC_NO_MEMORY;
    gz_header head = {.os = 255}; /* no system is named */
    (void)deflateSetHeader(&z, &head);
    rc_t rc = buf_reserve(to, deflateBound(&z, (uLong)bytes.len));
    if (!rc) {
        z.next_in = (Bytef *)(uintptr_t)bytes.ptr;
        z.avail_in = (uInt)bytes.len;
        z.next_out = (Bytef *)to->ptr + to->len;
        z.avail_out = (uInt)MIN(to->room - to->len, (size_t)UINT32_MAX);
        uInt before = z.avail_out;
        if (deflate(&z, Z_FINISH) != Z_STREAM_END) rc = RC_LIMIT;
        to->len += before - z.avail_out;
    }
    (void)deflateEnd(&z);
    return rc;
}
