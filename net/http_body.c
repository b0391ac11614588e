/* SPDX-License-Identifier: Apache-2.0 */
/* http_body.c — the body of a request, read by the handler's fiber: counted by Content-Length or
 * decoded from chunks (HTTP/2's comes out of its frames: http2_request.c). "100 Continue" is sent
 * when somebody first wants the body, so a request that is refused unread costs its sender nothing.
 * A body that breaks ends the connection: where the next request would begin, nobody can know. */
#include "net/http2_impl.h"
#include "net/http_impl.h"
#include "kernel/platform.h"

#define SKIP_MAX KIB(64) /* unread body bytes we take in to keep the connection */

static rc_t broken(struct http_active *a, rc_t rc) {
    a->body_broken = true;
    a->close = true;
    return rc;
}

static rc_t body_begin(struct http_active *a) {
    if (a->body_started) return RC_OK;
    a->body_started = true;
    if (!a->expect_continue || a->answer != ANSWER_NONE || stream_peek(a->conn->stream).len)
        return RC_OK;
    rc_t rc =
        stream_write(a->conn->stream, S("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_STALL_TIMEOUT_MS);
    if (!rc) stream_flush(a->conn->stream);
    return rc;
}

/* One look at what waits. RC_AGAIN: nothing usable yet. */
static rc_t take_chunked(struct http_active *a, str view, char *to, size_t room, size_t *got) {
    struct http_refusal no;
    size_t used, data;
    /* Data is bounded by the room; a trailer line must be seen whole. */
    str part = a->chunks.state == CHUNK_TRAILER ? view : str_take(view, room);
    rc_t rc = http_chunks_next(&a->chunks, part, &used, &data, &no);
    if (rc == RC_INVALID) return broken(a, RC_INVALID);
    if (data) memcpy(to, view.ptr + used - data, data);
    stream_consume(a->conn->stream, used);
    *got = data;
    if (rc == RC_OK) a->body_done = true;
    return data || rc == RC_OK || used ? RC_OK : RC_AGAIN;
}

static rc_t take_counted(struct http_active *a, str view, char *to, size_t room, size_t *got) {
    size_t n = (size_t)MIN((u64)MIN(view.len, room), a->body_left);
    memcpy(to, view.ptr, n);
    stream_consume(a->conn->stream, n);
    a->body_left -= n;
    if (!a->body_left) a->body_done = true;
    *got = n;
    return RC_OK;
}

rc_t http_body_read(struct http_exchange *x, void *to, size_t room, size_t *got) {
    struct http_active *a = active_of(x);
    struct stream *s = a->conn->stream;
    *got = 0;
    if (a->body_broken) return RC_INVALID;
    if (a->body_done || room == 0) return RC_OK;
    if (a->http2) return http2_body_read(a, to, room, got);
    rc_t rc = body_begin(a);
    u64 stall = HTTP_STALL_TIMEOUT_MS * NS_PER_MS;
    size_t seen = 0;
    while (!rc && !a->body_done && !*got) {
        str view = stream_peek(s);
        rc_t taken = RC_AGAIN;
        if (view.len > seen)
            taken = a->chunked ? take_chunked(a, view, to, room, got)
                               : take_counted(a, view, to, room, got);
        if (taken == RC_OK) {
            seen = 0;
            continue;
        }
        if (taken != RC_AGAIN) return taken;
        seen = view.len; /* part of a trailer line: more must come than what is here */
        http_wait_begin(a);
        rc = stream_wait_more(s, seen, platform_clock_ns() + stall);
        http_wait_end(a);
    }
    if (a->body_done) http_slow_body_end(a);
    return rc ? broken(a, rc) : RC_OK;
}

rc_t http_body_all(struct http_exchange *x, size_t bytes_max, str *out) {
    struct http_active *a = active_of(x);
    size_t room =
        a->chunked ? MIN(bytes_max, (size_t)4096) : (size_t)MIN(a->body_left, (u64)bytes_max);
    *out = S("");
    if (!a->chunked && a->body_left > bytes_max) return broken(a, RC_LIMIT);
    if (a->body_done) return RC_OK;
    char *to = arena_alloc(x->arena, room + 1);
    for (size_t len = 0, got;; len += got) {
        if (!to) return broken(a, RC_LIMIT);
        if (len == room && !a->body_done) { /* full: is there one byte more? */
            if (room >= bytes_max) {
                char one;
                rc_t rc = http_body_read(x, &one, 1, &got);
                if (rc || got) return broken(a, rc ? rc : RC_LIMIT);
                continue;
            }
            size_t more = MIN(room * 2, bytes_max);
            char *bigger = arena_alloc(x->arena, more + 1);
            if (bigger) memcpy(bigger, to, len);
            to = bigger, room = more, got = 0;
            continue;
        }
        rc_t rc = http_body_read(x, to + len, room - len, &got);
        if (rc) return rc;
        if (!got) {
            to[len] = 0;
            *out = str_of(to, len);
            return RC_OK;
        }
    }
}

bool http_body_skip_rest(struct http_active *a) {
    char waste[1024];
    size_t skipped = 0, got;
    if (a->body_broken || (!a->chunked && a->body_left > SKIP_MAX)) return false;
    if (a->expect_continue && !a->body_started) return false; /* it may never come */
    while (skipped < SKIP_MAX) {
        if (http_body_read(&a->x, waste, sizeof waste, &got)) return false;
        if (!got) return true;
        skipped += got;
    }
    return false;
}
