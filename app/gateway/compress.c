/* SPDX-License-Identifier: Apache-2.0 */
/* compress.c — gzip for upstreams' answers that are text, piece by piece (RFC 9110 8.4, RFC 1952).
 *
 * Only whole answers (200) that the upstream did not code itself, that are text, not small, not a
 * stream of events, and that may be transformed (no `no-transform`); never for a client that did
 * not say it takes gzip. The coded bytes are another representation: a strong ETag becomes weak,
 * the length is not told, ranges are not offered, and Vary says what it depends on.
 *
 * One state takes about 48 KiB (12 bits of window); without memory the answer passes as it is. A
 * secret in the same page as a client's text can be guessed by length (BREACH), so it is a route's
 * to switch on. Always true: `end` writes the trailer, or the client sees a broken body. */
#include "app/gateway/compress.h"
#include "kernel/core/memory.h"
#include "net/zlib_memory.h"

enum { WINDOW_BITS = 12, GZIP = 16, MEMORY_LEVEL = 5, LEVEL = 4, SMALL = 1024 };
enum { CODED_MAX = 8192 };

struct compress {
    z_stream z;
    char out[CODED_MAX];
};

static bool is_text(str type) {
    static const char *const list[] = {"application/json",       "application/javascript",
                                       "application/xml",        "application/xhtml+xml",
                                       "application/rss+xml",    "application/atom+xml",
                                       "application/problem+json", "application/manifest+json",
                                       "application/ld+json",    "image/svg+xml",
                                       NULL};
    str base = str_trim(str_take(type, str_find_byte(type, ';')));
    if (str_eq_nocase(base, S("text/event-stream"))) return false;
    if (str_eq_nocase(str_take(base, 5), S("text/"))) return true;
    for (u32 i = 0; list[i]; i++)
        if (str_eq_nocase(base, str_from_c(list[i]))) return true;
    return false;
}

static bool has_word(str list, str word) {
    str one;
    while (str_split(&list, ',', &one))
        if (str_eq_nocase(str_trim(one), word)) return true;
    return false;
}

bool compress_wanted(const struct request *rq, const struct edge_route *e,
                     const struct http_client_answer *a) {
    if (!e->compress || a->status != 200 || rq->http->method == HTTP_HEAD) return false;
    if (a->content_length >= 0 && a->content_length < SMALL) return false;
    if (http_client_field(a, S("Content-Encoding")).ptr) return false;
    if (!is_text(http_client_field(a, S("Content-Type")))) return false;
    if (has_word(http_client_field(a, S("Cache-Control")), S("no-transform"))) return false;
    return http_coding_quality(http_field(rq->http, S("Accept-Encoding")), S("gzip")) > 0;
}

static void end_coder(void *arg) {
    struct compress *c = arg;
    (void)deflateEnd(&c->z); /* of what was not sent whole, too */
}

struct compress *compress_open(struct arena *a) {
    struct compress *c = arena_alloc(a, sizeof *c);
    if (!c) return NULL;
    c->z = ZLIB_STREAM;
    if (deflateInit2(&c->z, LEVEL, Z_DEFLATED, WINDOW_BITS + GZIP, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    return arena_on_close(a, end_coder, c) ? NULL : c;
}

rc_t compress_write(struct compress *c, struct http_exchange *x, str bytes, bool end) {
    c->z.next_in = (Bytef *)(uintptr_t)bytes.ptr;
    c->z.avail_in = (uInt)bytes.len;
    for (;;) {
        c->z.next_out = (Bytef *)c->out;
        c->z.avail_out = sizeof c->out;
        int e = deflate(&c->z, end ? Z_FINISH : Z_NO_FLUSH);
        if (e == Z_STREAM_ERROR) return RC_INVALID;
        size_t n = sizeof c->out - c->z.avail_out;
        rc_t rc = n ? http_answer_write(x, str_of(c->out, n)) : RC_OK;
        if (rc) return rc;
        if (end ? e == Z_STREAM_END : !c->z.avail_in && c->z.avail_out) return RC_OK;
    }
}
