/* SPDX-License-Identifier: Apache-2.0 */
/* http2_answer.c — answers over HTTP/2: the same fields as HTTP/1's, then frames of the body.
 *
 *   handler -> http_answer*() -> HEADERS, and `out` = the handler's bytes -> DATA by DATA, as the
 *                                windows let -> all in frames: the handler goes on
 *
 * Nothing is copied but into frames: the fiber parks while its bytes wait. One that is alone on its
 * connection sends at once; several of one connection send together in the next turn. A peer that
 * takes nothing for HTTP_STALL_TIMEOUT_MS has its stream ended, so has one whose fiber is wanted by
 * others (http_wait.c). */
#include "net/http2_impl.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

#define OWN_FIELDS 6u /* :status, date, x-request-id, content-type, content-length, retry-after */

/* ---- Fields ---------------------------------------------------------------------------------- */

static nghttp2_nv nv_of(str name, str value, u8 flags) {
    return (nghttp2_nv){(u8 *)(uintptr_t)name.ptr, (u8 *)(uintptr_t)value.ptr, name.len, value.len,
                        flags};
}

/* RFC 9113 8.2.2: what says something about an HTTP/1 connection. */
static bool of_connection(str name) {
    static const str names[] = {S("connection"), S("keep-alive"), S("proxy-connection"),
                                S("transfer-encoding"), S("upgrade"), S("content-length")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, names[i])) return true;
    return false;
}

static u32 count_lines(str lines) {
    u32 n = 0;
    for (size_t i = 0; i < lines.len; i++) n += lines.ptr[i] == '\n';
    return n;
}

/* "Name: value\r\n" each, checked by those who made them, into `to` with names in lower case. */
static u32 fields_of(str lines, char *to, nghttp2_nv *nv, u32 room) {
    u32 n = 0;
    if (lines.len) memcpy(to, lines.ptr, lines.len);
    str rest = str_of(to, lines.len), line;
    while (rest.len && n < room && str_split(&rest, '\n', &line)) {
        size_t colon = str_find_byte(line, ':');
        if (colon + 2 > line.len) continue;
        char *name = to + (line.ptr - to);
        for (size_t i = 0; i < colon; i++)
            if (name[i] >= 'A' && name[i] <= 'Z') name[i] = (char)(name[i] + 32);
        str key = str_of(name, colon);
        if (!of_connection(key))
            nv[n++] = nv_of(key, str_trim(str_skip(line, colon + 1)), NGHTTP2_NV_FLAG_NONE);
    }
    return n;
}

static str digits(u64 n, char room[20]) {
    int i = 20;
    do room[--i] = (char)('0' + n % 10);
    while (n /= 10);
    return str_of(room + i, (size_t)(20 - i));
}

/* ---- Frames of the body ---------------------------------------------------------------------- */

static nghttp2_ssize give(nghttp2_session *session, s32 id, u8 *to, size_t room, u32 *flags,
                          nghttp2_data_source *source, void *arg) {
    struct http2_stream *s = source->ptr;
    size_t n = MIN(room, s->out_len);
    (void)session, (void)id, (void)arg;
    if (!n && !s->out_end) return NGHTTP2_ERR_DEFERRED;
    if (n) memcpy(to, s->out, n);
    s->out += n, s->out_len -= n;
    s->moved_ns = s->since_ns = loop_now_ns();
    if (!s->out_len && s->waiter) fiber_wake(s->waiter);
    if (!s->out_len && s->out_end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (nghttp2_ssize)n;
}

static rc_t submit(struct http2_stream *s, const nghttp2_nv *nv, size_t count, bool body) {
    nghttp2_data_provider2 from = {.source = {.ptr = s}, .read_callback = give};
    if (s->closed || s->http2->gone) return RC_CLOSED;
    s->submitted = true;
    return nghttp2_submit_response2(s->http2->session, s->id, nv, count, body ? &from : NULL)
               ? RC_NO_MEMORY
               : RC_OK;
}

/* Alone: now. Others of the connection may have something for the same write: soon. */
static void push(struct http2 *h) {
    if (h->exchanges <= 1) http2_pump(h);
    else http2_pump_soon(h);
}

rc_t http2_park(struct http2_stream *s, u64 deadline_ns) {
    if (s->given_up) return RC_TIMEOUT;
    if (s->closed || s->http2->gone) return RC_CLOSED;
    s->waiter = fiber_self();
    rc_t rc = fiber_park(deadline_ns);
    s->waiter = NULL;
    if (s->given_up) return RC_TIMEOUT;
    return s->closed || s->http2->gone ? RC_CLOSED : rc;
}

void http2_give_up(struct http_active *a) {
    a->http2->given_up = true;
    if (a->http2->waiter) fiber_wake(a->http2->waiter);
}

/* Until all of `out` is in frames. */
static rc_t out_wait(struct http_active *a) {
    struct http2_stream *s = a->http2;
    rc_t rc = RC_OK;
    s->moved_ns = platform_clock_ns();
    while (s->out_len && !rc) {
        u64 moved = s->moved_ns;
        http_wait_begin(a);
        rc = http2_park(s, moved + HTTP_STALL_TIMEOUT_MS * NS_PER_MS);
        http_wait_end(a);
        if (!s->out_len || (rc == RC_TIMEOUT && !s->given_up && s->moved_ns != moved)) rc = RC_OK;
    }
    if (!rc) return RC_OK;
    a->answer_failed = true;
    s->out = NULL, s->out_len = 0;
    if (rc == RC_TIMEOUT) http_counters.timeouts++;
    return rc;
}

/* ---- The calls of http_answer.c -------------------------------------------------------------- */

/* `body`: DATA follow. */
static rc_t head(struct http_active *a, str content_type, s64 length, bool body) {
    char status[20], size[20];
    str extra = str_of(a->extra, a->extra_len);
    u32 room = OWN_FIELDS + count_lines(a->lines) + count_lines(extra);
    nghttp2_nv *nv = arena_alloc(&a->arena, room * sizeof *nv);
    char *names = arena_alloc(&a->arena, a->lines.len + extra.len + 1);
    str date = http_date_now();
    u32 n = 0;
    if (!nv || !names) return RC_NO_MEMORY;
    nv[n++] = nv_of(S(":status"), digits((u64)a->x.status, status), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    if (date.len) nv[n++] = nv_of(S("date"), date, NGHTTP2_NV_FLAG_NO_COPY_NAME);
    nv[n++] = nv_of(S("x-request-id"), str_of(a->id, HTTP_ID_LEN),
                    NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
    if (content_type.len)
        nv[n++] = nv_of(S("content-type"), content_type, NGHTTP2_NV_FLAG_NO_COPY_NAME);
    if (length >= 0 && a->x.status >= 200 && a->x.status != 204) /* RFC 9110 8.6 */
        nv[n++] = nv_of(S("content-length"), digits((u64)length, size),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME);
    n += fields_of(a->lines, names, nv + n, room - n);
    n += fields_of(extra, names + a->lines.len, nv + n, room - n);
    return submit(a->http2, nv, n, body);
}

static rc_t failed(struct http_active *a, rc_t rc) {
    a->answer_failed = true;
    return rc;
}

void http2_answer(struct http_active *a, str content_type, str body) {
    struct http2_stream *s = a->http2;
    bool has_body = !a->answer_no_body && body.len;
    s->out = has_body ? body.ptr : NULL;
    s->out_len = has_body ? body.len : 0;
    s->out_end = true;
    rc_t rc = head(a, content_type, (s64)body.len, has_body);
    if (rc) {
        s->out_len = 0;
        (void)!!failed(a, rc);
        return;
    }
    push(s->http2);
    (void)!!out_wait(a);
}

rc_t http2_begin(struct http_active *a, str content_type, s64 length) {
    struct http2_stream *s = a->http2;
    bool has_body = !a->answer_no_body && length != 0;
    s->out_end = !has_body;
    rc_t rc = head(a, content_type, length, has_body);
    if (rc) return failed(a, rc);
    push(s->http2);
    return RC_OK;
}

rc_t http2_send(struct http_active *a, str bytes, bool last) {
    struct http2_stream *s = a->http2;
    s->out = bytes.ptr;
    s->out_len = bytes.len;
    s->out_end = last;
    if (s->closed || s->http2->gone) {
        s->out_len = 0;
        return failed(a, RC_CLOSED);
    }
    (void)nghttp2_session_resume_data(s->http2->session, s->id);
    push(s->http2);
    return out_wait(a);
}

rc_t http2_end(struct http_active *a) {
    struct http2_stream *s = a->http2;
    if (a->answer_failed) return RC_CLOSED;
    if (s->out_end) return RC_OK;
    s->out_end = true;
    if (s->closed || s->http2->gone) return failed(a, RC_CLOSED);
    (void)nghttp2_session_resume_data(s->http2->session, s->id);
    push(s->http2);
    return RC_OK;
}

rc_t http2_interim(struct http_active *a, int status, str lines) {
    struct http2_stream *s = a->http2;
    char code[20];
    if (s->closed || s->http2->gone) return RC_CLOSED;
    if (s->submitted) return RC_OK;
    u32 room = 1 + count_lines(lines);
    nghttp2_nv *nv = arena_alloc(&a->arena, room * sizeof *nv);
    char *names = arena_alloc(&a->arena, lines.len + 1);
    if (!nv || !names) return RC_NO_MEMORY;
    nv[0] = nv_of(S(":status"), digits((u64)status, code), NGHTTP2_NV_FLAG_NONE);
    u32 n = 1 + fields_of(lines, names, nv + 1, room - 1);
    if (nghttp2_submit_headers(s->http2->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, n, NULL))
        return RC_NO_MEMORY;
    push(s->http2);
    return RC_OK;
}

/* ---- Without an exchange --------------------------------------------------------------------- */

void http2_refuse(struct http2_stream *s, int status, const char *detail) {
    char id[HTTP_ID_LEN + 1], code[20], size[20];
    str method = {0};
    if (s->pseudo[PSEUDO_METHOD]) {
        u16 lengths[2];
        const char *at = s->head + s->pseudo[PSEUDO_METHOD] - 1;
        memcpy(lengths, at, 4);
        method = str_of(at + 4 + lengths[0], lengths[1]);
    }
    bool has_body = !str_eq(method, S("HEAD"));
    if (status != 408 && status != 503) http_counters.bad_requests++;
    char *text = memory_resize(MEMORY_REQUESTS, s->head, 1024);
    if (text) s->head = text;
    s->head_room = 0;
    s->phase = HTTP2_OVER;
    s->since_ns = loop_now_ns();
    if (!text) {
        http2_reset(s, NGHTTP2_REFUSED_STREAM);
        return;
    }
    http_id_next(id);
    size_t len = http_problem_format(status, detail, id, text, 1024);
    s->out = has_body ? text : NULL;
    s->out_len = has_body ? len : 0;
    s->out_end = true;
    nghttp2_nv nv[8];
    size_t n = 0;
    nv[n++] = nv_of(S(":status"), digits((u64)status, code), NGHTTP2_NV_FLAG_NONE);
    str date = http_date_now();
    if (date.len) nv[n++] = nv_of(S("date"), date, NGHTTP2_NV_FLAG_NONE);
    nv[n++] = nv_of(S("x-request-id"), str_of(id, HTTP_ID_LEN), NGHTTP2_NV_FLAG_NO_INDEX);
    nv[n++] = nv_of(S("content-type"), S("application/problem+json"), NGHTTP2_NV_FLAG_NONE);
    nv[n++] = nv_of(S("content-length"), digits(len, size), NGHTTP2_NV_FLAG_NONE);
    nv[n++] = nv_of(S("cache-control"), S("no-store"), NGHTTP2_NV_FLAG_NONE);
    nv[n++] = nv_of(S("x-content-type-options"), S("nosniff"), NGHTTP2_NV_FLAG_NONE);
    if (status == 503) nv[n++] = nv_of(S("retry-after"), S("1"), NGHTTP2_NV_FLAG_NONE);
    rc_t rc = submit(s, nv, n, has_body);
    if (rc) s->out_len = 0;
    if (rc == RC_NO_MEMORY) http2_reset(s, NGHTTP2_INTERNAL_ERROR);
    else if (!s->body_ended) s->reset_after = true;
}
