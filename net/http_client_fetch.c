/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_fetch.c — an answer's whole body, gzip undone.
 *
 * Unless the caller asked for a coding himself, "gzip" is offered, and undone when the server took
 * it up: the fields then say nothing of a coding or a length, as if there had been none. A small
 * answer may unfold to a thousand times its size: the bound is on what comes out, and the loop gets
 * its turn after every STEP of it. */
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "net/http_client_impl.h"
#include "net/zlib_memory.h"

enum { STEP = 32768, PIECE = 8192, GZIP_WINDOW = 15 + 16 };

struct fetching {
    struct buf out;
    z_stream z;
    bool gzip, begun, member_over;
    char piece[PIECE]; /* the stream's bytes may move while others run */
};

static void fetching_free(void *arg) {
    struct fetching *f = arg;
    if (f->begun) (void)inflateEnd(&f->z);
    f->begun = false;
    buf_close(&f->out);
}

static rc_t gzip_begin(struct fetching *f) {
    f->z = ZLIB_STREAM;
    if (inflateInit2(&f->z, GZIP_WINDOW) != Z_OK) return RC_NO_MEMORY;
    f->begun = true;
    return RC_OK;
}

/* One step of output. RC_AGAIN: there is more in what was given. */
static rc_t inflate_step(struct fetching *f) {
    Bytef beyond; /* at the bound the end may still be to come, but no byte more */
    size_t room = MIN((size_t)STEP, f->out.max - f->out.len);
    if (room && buf_reserve(&f->out, room)) return RC_NO_MEMORY;
    f->z.next_out = room ? (Bytef *)f->out.ptr + f->out.len : &beyond;
    f->z.avail_out = room ? (uInt)room : 1;
    if (f->member_over) { /* another member follows (RFC 1952 2.2) */
        if (inflateReset(&f->z) != Z_OK) return RC_INVALID;
        f->member_over = false;
    }
    int e = inflate(&f->z, Z_NO_FLUSH);
    if (!room && !f->z.avail_out) return RC_LIMIT;
    if (room) f->out.len += room - f->z.avail_out;
    if (e == Z_STREAM_END)
        f->member_over = true;
    else if (e != Z_OK && e != Z_BUF_ERROR)
        return e == Z_MEM_ERROR ? RC_NO_MEMORY : RC_INVALID;
    return f->z.avail_in || (!f->z.avail_out && !f->member_over) ? RC_AGAIN : RC_OK;
}

static rc_t inflate_some(struct fetching *f, str bytes) {
    memcpy(f->piece, bytes.ptr, bytes.len);
    f->z.next_in = (Bytef *)f->piece;
    f->z.avail_in = (uInt)bytes.len;
    for (;;) {
        size_t before = f->out.len, in_before = f->z.avail_in;
        rc_t rc = inflate_step(f);
        if (rc != RC_AGAIN) return rc;
        if (f->out.len == before && f->z.avail_in == in_before) return RC_INVALID;
        if (f->z.avail_out == 0) fiber_yield();
    }
}

static rc_t take(struct fetching *f, str bytes, struct diag *why) {
    rc_t rc = RC_OK;
    if (f->gzip)
        rc = inflate_some(f, bytes);
    else if (bytes.len > f->out.max - f->out.len)
        rc = RC_LIMIT;
    else if (buf_add(&f->out, bytes))
        rc = RC_NO_MEMORY;
    if (rc == RC_LIMIT) diag_set(why, "the answer is larger than %zu bytes", f->out.max);
    if (rc == RC_INVALID) diag_set(why, "the answer is not the gzip it says it is");
    return rc == RC_INVALID ? RC_IO : rc;
}

static rc_t read_all(struct http_client_call *c, struct fetching *f, struct diag *why) {
    for (;;) {
        str bytes;
        rc_t rc = client_read_some(c, f->gzip ? PIECE : SIZE_MAX, &bytes, why);
        if (rc) return rc;
        if (!bytes.len) break;
        if ((rc = take(f, bytes, why))) return rc;
    }
    if (!f->gzip || f->member_over || !f->out.len) return RC_OK;
    diag_set(why, "the answer's gzip has broken off");
    return RC_IO;
}

/* As if it had never been coded. */
static void drop_coding(struct http_client_answer *answer) {
    struct http_field *list =
        (struct http_field *)(uintptr_t)answer->fields; /* ours, in the arena */
    u32 n = 0;
    for (u32 i = 0; i < answer->field_count; i++)
        if (!str_eq_nocase(list[i].name, S("Content-Encoding")) &&
            !str_eq_nocase(list[i].name, S("Content-Length")))
            list[n++] = list[i];
    answer->field_count = n;
    answer->content_length = -1;
}

static rc_t offer_gzip(struct arena *a, struct http_client_request *r, bool *offered) {
    static const str coding = {"Accept-Encoding", 15};
    *offered = false;
    for (u32 i = 0; i < r->field_count; i++)
        if (str_eq_nocase(r->fields[i].name, coding) ||
            str_eq_nocase(r->fields[i].name, S("Range")))
            return RC_OK;
    struct http_field *list = arena_alloc(a, (r->field_count + 1) * sizeof *list);
    if (!list) return RC_NO_MEMORY;
    if (r->field_count) memcpy(list, r->fields, r->field_count * sizeof *list);
    list[r->field_count] = (struct http_field){coding, S("gzip")};
    r->fields = list;
    r->field_count++;
    *offered = true;
    return RC_OK;
}

rc_t http_client_fetch(struct arena *a, const struct http_client_request *request, size_t bytes_max,
                       struct http_client_answer *answer, str *body, struct diag *why) {
    struct http_client_request r = *request;
    struct http_client_call *c;
    struct fetching *f = arena_zero(a, sizeof *f);
    bool offered;
    if (!f) return RC_NO_MEMORY;
    buf_open(&f->out, MAX(bytes_max, (size_t)1));
    rc_t rc = arena_on_close(a, fetching_free, f); /* the body lives as long as the arena */
    if (!rc) rc = offer_gzip(a, &r, &offered);
    if (!rc) rc = http_client_open(a, &r, answer, &c, why);
    if (rc) return rc;
    str coding = http_client_field(answer, S("Content-Encoding"));
    f->gzip = offered && (str_eq_nocase(coding, S("gzip")) || str_eq_nocase(coding, S("x-gzip")));
    if (f->gzip) {
        rc = gzip_begin(f);
        drop_coding(answer);
    } else if (answer->content_length > 0 && (u64)answer->content_length > bytes_max &&
               !str_eq_nocase(r.method, S("HEAD"))) {
        diag_set(why, "the answer is larger than %zu bytes", bytes_max);
        rc = RC_LIMIT;
    }
    if (!rc) rc = read_all(c, f, why);
    http_client_close(c);
    if (f->begun) (void)inflateEnd(&f->z);
    f->begun = false;
    *body = buf_str(&f->out);
    return rc;
}
