/* SPDX-License-Identifier: Apache-2.0 */
/* http2_request.c — requests that come over HTTP/2: heads and bodies out of frames.
 *
 *   HEAD --complete--> (WAIT: a small body) --> ACTIVE --answered--> OVER --closed--> freed
 *                  \--> (STARVED: no fiber is free, 1 s: 503) --^
 *
 * nghttp2 has checked what RFC 9113 says of names, values, pseudo-fields and lengths; a breach is
 * the stream's end. Here is what we add, the same as for HTTP/1: limits (431, 414), fields with `_`
 * dropped, one meaning per request: Host and :authority agree or the stream ends (8.3.1), crumbs of
 * Cookie are put together (8.2.3). A head waits packed, a few hundred bytes, until a fiber is
 * free for it; only then is there an exchange.
 *
 * A body waits in its stream, within the window the client was given; the window opens as the
 * handler reads. */
#include "net/http2_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

#define STARVED_MS 1000u
#define HEAD_ROOM_FIRST 512u

static struct {
    struct http2_stream *first, *last;
    struct timer timer; /* for the first */
} starved;

struct http2_stream *http2_stream_new(struct http2 *h, s32 id) {
    struct http2_stream *s = memory_zero(MEMORY_REQUESTS, sizeof *s);
    if (!s) return NULL;
    s->http2 = h;
    s->id = id;
    s->since_ns = s->started_ns = loop_now_ns();
    s->next = h->streams;
    if (h->streams) h->streams->prev = s;
    h->streams = s;
    h->stream_count++;
    return s;
}

/* ---- A head, field by field ------------------------------------------------------------------ */

static void object(struct http2_stream *s, int status, const char *why) {
    if (s->refusal) return;
    s->refusal = status;
    s->why = why;
}

static rc_t pack(struct http2_stream *s, str name, str value) {
    u32 need = s->head_len + (u32)(4 + name.len + value.len);
    if (need > s->head_room) {
        u32 room = MAX(s->head_room * 2, HEAD_ROOM_FIRST);
        while (room < need) room *= 2;
        char *p = memory_resize(MEMORY_REQUESTS, s->head, room);
        if (!p) return RC_NO_MEMORY;
        s->head = p, s->head_room = room;
    }
    u16 lengths[2] = {(u16)name.len, (u16)value.len};
    char *to = s->head + s->head_len;
    memcpy(to, lengths, 4);
    memcpy(to + 4, name.ptr, name.len);
    if (value.len) memcpy(to + 4 + name.len, value.ptr, value.len);
    s->head_len = need;
    return RC_OK;
}

/* The entry at *at, which moves to the next. */
static void unpack(const char *head, u32 *at, str *name, str *value) {
    u16 lengths[2];
    memcpy(lengths, head + *at, 4);
    *name = str_of(head + *at + 4, lengths[0]);
    *value = str_of(name->ptr + lengths[0], lengths[1]);
    *at += 4u + lengths[0] + lengths[1];
}

static str pseudo(const struct http2_stream *s, enum http2_pseudo which) {
    str name, value = {0};
    u32 at = s->pseudo[which];
    if (at) {
        at--;
        unpack(s->head, &at, &name, &value);
    }
    return value;
}

/* Those with a meaning for the framing; nghttp2 has seen that they are well-formed and single. */
static void known_field(struct http2_stream *s, str name, str value) {
    uint64_t n;
    if (str_eq(name, S("cookie"))) {
        s->cookie_count++;
        s->cookie_bytes += (u32)value.len + 2;
    } else if (str_eq(name, S("content-length")) && !str_to_u64(value, &n)) {
        s->has_length = true;
        s->content_length = n;
    } else if (str_eq(name, S("expect"))) {
        if (str_eq_nocase(value, S("100-continue"))) s->expect_continue = true;
        else object(s, 417, "The only expectation met is `100-continue`.");
    }
}

bool http2_head_add(struct http2_stream *s, str name, str value) {
    static const str names[] = {S(":method"), S(":scheme"), S(":authority"), S(":path")};
    bool is_pseudo = name.len && name.ptr[0] == ':';
    s->decoded += (u32)(name.len + value.len + 32);
    if (s->decoded > HTTP2_HEAD_DECODED_MAX) return false;
    if (s->refusal) return true; /* nothing more of it is kept */
    if (name.len + value.len + 2 > HTTP_LINE_MAX) {
        bool target = str_eq(name, names[PSEUDO_PATH]);
        object(s, target ? 414 : 431,
               target ? "The request target is too long." : "A field line is too long.");
    } else if (s->head_len + name.len + value.len + 4 > HTTP_HEAD_MAX) {
        object(s, 431, "The head of the request is too long.");
    } else if (s->field_count >= HTTP_HEADER_COUNT_MAX - 1) { /* less one: a Host may be added */
        object(s, 431, "There are too many fields.");
    }
    if (s->refusal) return true;
    if (!is_pseudo && str_find_byte(name, '_') < name.len) return true; /* as in HTTP/1 */
    u32 at = s->head_len;
    if (pack(s, name, value)) {
        object(s, 503, "There is no memory for another request; try again in a moment.");
        return true;
    }
    if (is_pseudo) {
        for (u32 i = 0; i < ARRAY_LEN(names); i++)
            if (str_eq(name, names[i])) s->pseudo[i] = at + 1;
        return true;
    }
    known_field(s, name, value);
    s->field_count += !str_eq(name, S("cookie")) || s->cookie_count == 1;
    return true;
}

/* ---- From a head to an exchange -------------------------------------------------------------- */

/* Every field into the arena, crumbs of Cookie as one, and a Host for those who look for one. */
static rc_t fill_fields(struct http_active *a, const struct http2_stream *s) {
    struct http_request *r = &a->request;
    char *head = arena_alloc(&a->arena, s->head_len + 1);
    char *cookie = s->cookie_count > 1 ? arena_alloc(&a->arena, s->cookie_bytes) : NULL;
    size_t cookie_len = 0;
    struct http_field *cookie_field = NULL;
    str host = {0}, authority = pseudo(s, PSEUDO_AUTHORITY);
    if (!head || (s->cookie_count > 1 && !cookie)) return RC_NO_MEMORY;
    memcpy(head, s->head, s->head_len);
    r->fields = a->fields;
    for (u32 at = 0; at < s->head_len;) {
        str name, value;
        unpack(head, &at, &name, &value);
        if (name.len && name.ptr[0] == ':') continue;
        if (str_eq(name, S("host"))) host = value;
        if (cookie && str_eq(name, S("cookie"))) {
            if (cookie_len) cookie[cookie_len++] = ';', cookie[cookie_len++] = ' ';
            memcpy(cookie + cookie_len, value.ptr, value.len);
            cookie_len += value.len;
            value = str_of(cookie, cookie_len);
            if (cookie_field) {
                cookie_field->value = value;
                continue;
            }
            cookie_field = &a->fields[r->field_count];
        }
        a->fields[r->field_count++] = (struct http_field){name, value};
    }
    if (authority.len && !host.ptr) {
        host = arena_copy(&a->arena, authority);
        a->fields[r->field_count++] = (struct http_field){S("host"), host};
    }
    r->host = http_host_plain(&a->arena, host);
    return host.len && !r->host.ptr ? RC_NO_MEMORY : RC_OK;
}

static rc_t fill(struct http_active *a, struct http2_stream *s) {
    struct http_request *r = &a->request;
    rc_t rc = fill_fields(a, s);
    if (rc) return rc;
    str method = arena_copy(&a->arena, pseudo(s, PSEUDO_METHOD));
    str path = arena_copy(&a->arena, pseudo(s, PSEUDO_PATH));
    if (!method.ptr || !path.ptr) return RC_NO_MEMORY;
    r->method_text = method;
    r->method = http_method_of(method);
    r->version_major = 2;
    r->has_body = !s->body_ended || s->body.len;
    r->content_length = s->has_length ? (s64)s->content_length : -1;
    r->peer = stream_peer(s->http2->conn->stream);
    r->secure = stream_is_tls(s->http2->conn->stream);
    r->client = stream_tls_peer(s->http2->conn->stream);
    http_id_next(a->id);
    r->id = str_of(a->id, HTTP_ID_LEN);
    return http_request_target(a, path);
}

/* What RFC 9113 8.3 leaves to us. RC_INVALID: malformed. */
static rc_t judge(struct http2_stream *s) {
    struct http_refusal no = {0};
    str name, value, origin, host = {0}, authority = pseudo(s, PSEUDO_AUTHORITY);
    str scheme = pseudo(s, PSEUDO_SCHEME);
    for (u32 at = 0; at < s->head_len;) {
        unpack(s->head, &at, &name, &value);
        if (str_eq(name, S("host"))) host = value;
    }
    if (host.ptr && authority.ptr && !str_eq_nocase(host, authority)) return RC_INVALID; /* 8.3.1 */
    if (s->refusal) return RC_OK;
    struct http_head head = {.method = pseudo(s, PSEUDO_METHOD),
                             .target = pseudo(s, PSEUDO_PATH),
                             .version_minor = 1,
                             .host = authority.ptr ? authority : host};
    if (str_eq(head.method, S("CONNECT"))) {
        object(s, 501, "This is not a proxy.");
    } else if (!str_starts(head.target, S("/")) && !str_eq(head.target, S("*"))) {
        return RC_INVALID; /* 8.3.1 */
    } else if (!http_host_is_valid(head.host)) {
        object(s, 400, "The authority is not a host name.");
    } else if (!str_eq(scheme, S("https")) && !str_eq(scheme, S("http"))) {
        object(s, 400, "The scheme is neither http nor https.");
    } else if (!http_is_target(head.target) || http_target_check(&head, NULL, &origin, &no)) {
        object(s, no.status ? no.status : 400,
               no.why ? no.why : "The request target holds a byte that must be escaped.");
    }
    return RC_OK;
}

static void starved_join(struct http2_stream *s);

static void begin(struct http2_stream *s) {
    struct http2 *h = s->http2;
    if (fiber_count() >= fiber_capacity()) {
        starved_join(s);
        return;
    }
    struct http_active *a = http_active_new();
    rc_t rc = a ? fill(a, s) : RC_NO_MEMORY;
    if (rc) {
        if (a) http_active_free(a);
        http2_refuse(s, rc == RC_INVALID ? 400 : 503,
                     rc == RC_INVALID ? "The path of the request target is malformed."
                                      : "There is no memory for another request.");
        return;
    }
    a->conn = h->conn;
    a->http2 = s;
    a->expect_continue = s->expect_continue && !s->body_ended;
    a->chunked = !s->has_length; /* of unknown length */
    a->body_left = s->has_length ? s->content_length : 0;
    a->body_done = s->body_ended && !s->body.len;
    a->x = (struct http_exchange){
        .request = &a->request, .arena = &a->arena, .started_ns = s->started_ns};
    bool granted = http_fiber_granted(a, s->body_ended);
    if (!granted || http_active_start(a)) {
        http_slow_body_end(a);
        http_active_free(a);
        if (granted) {
            starved_join(s);
            return;
        }
        http_counters.refused_busy++;
        http2_refuse(s, 503, "Every worker is busy; try again in a moment.");
        return;
    }
    memory_free(MEMORY_REQUESTS, s->head);
    s->head = NULL;
    s->head_room = 0;
    s->active = a;
    s->phase = HTTP2_ACTIVE;
    h->exchanges++;
}

void http2_head_over(struct http2_stream *s) {
    http_counters.requests++;
    http_counters.requests_http2++;
    http_counters.bytes_in += s->head_len;
    s->since_ns = loop_now_ns();
    if (judge(s)) {
        http_counters.bad_requests++;
        s->phase = HTTP2_OVER;
        http2_reset(s, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (s->refusal) {
        http2_refuse(s, s->refusal, s->why);
        return;
    }
    if (++s->http2->conn->requests == HTTP_REQUESTS_PER_CONNECTION) http2_drain(s->http2);
    bool early = !s->body_ended && s->has_length && s->content_length <= HTTP_HEAD_MAX &&
                 !s->expect_continue;
    if (early) s->phase = HTTP2_WAIT;
    else begin(s);
}

/* ---- No fiber is free ------------------------------------------------------------------------ */

static void starved_arm(void);

static void starved_late(void *arg) {
    (void)arg;
    u64 now = loop_now_ns();
    while (starved.first && now - starved.first->since_ns >= STARVED_MS * NS_PER_MS) {
        struct http2_stream *s = starved.first;
        struct http2 *h = s->http2;
        http2_starved_leave(s);
        http_counters.refused_busy++;
        http2_refuse(s, 503, "Every worker is busy; try again in a moment.");
        http2_pump(h);
    }
    starved_arm();
}

static void starved_arm(void) {
    if (!starved.first) return;
    if (!starved.timer.fn) timer_init(&starved.timer, starved_late, NULL);
    (void)timer_start(&starved.timer, starved.first->since_ns + STARVED_MS * NS_PER_MS);
}

static void starved_join(struct http2_stream *s) {
    if (s->phase != HTTP2_STARVED) s->since_ns = loop_now_ns();
    s->phase = HTTP2_STARVED;
    s->starved_next = NULL;
    s->starved_prev = starved.last;
    if (starved.last) starved.last->starved_next = s;
    else starved.first = s;
    starved.last = s;
    if (starved.first == s) starved_arm();
}

void http2_starved_leave(struct http2_stream *s) {
    if (s->phase != HTTP2_STARVED) return;
    s->phase = HTTP2_OVER;
    if (s->starved_prev) s->starved_prev->starved_next = s->starved_next;
    else starved.first = s->starved_next;
    if (s->starved_next) s->starved_next->starved_prev = s->starved_prev;
    else starved.last = s->starved_prev;
    if (!starved.first) timer_stop(&starved.timer);
}

bool http2_starved(void) {
    return starved.first != NULL;
}

void http2_starved_run(void) {
    while (starved.first && fiber_count() < fiber_capacity()) {
        struct http2_stream *s = starved.first;
        struct http2 *h = s->http2;
        http2_starved_leave(s);
        begin(s);
        if (s->phase == HTTP2_STARVED) return;
        if (s->phase == HTTP2_OVER) http2_pump(h);
    }
}

/* ---- Bodies ---------------------------------------------------------------------------------- */

/* RC_PASS: nobody wants it. */
rc_t http2_body_add(struct http2_stream *s, const u8 *bytes, size_t n) {
    if (s->phase == HTTP2_OVER || s->closed) return RC_PASS;
    s->since_ns = loop_now_ns();
    rc_t rc = stream_bytes_add(&s->body, bytes, (u32)n, HTTP2_STREAM_WINDOW_BYTES);
    if (!rc && s->waiter) fiber_wake(s->waiter);
    return rc;
}

void http2_body_over(struct http2_stream *s) {
    if (s->phase == HTTP2_WAIT) begin(s);
    else if (s->waiter) fiber_wake(s->waiter);
}

static void body_take(struct http_active *a, void *to, size_t n) {
    struct http2_stream *s = a->http2;
    struct http2 *h = s->http2;
    memcpy(to, s->body.ptr + s->body.at, n);
    stream_bytes_drop(&s->body, (u32)n);
    if (!a->chunked) a->body_left -= MIN((u64)n, a->body_left);
    if (h->gone) return;
    if (s->closed) (void)nghttp2_session_consume_connection(h->session, n);
    else (void)nghttp2_session_consume(h->session, s->id, n);
    if (nghttp2_session_want_write(h->session)) http2_pump_soon(h); /* the window opens again */
}

rc_t http2_body_read(struct http_active *a, void *to, size_t room, size_t *got) {
    struct http2_stream *s = a->http2;
    a->body_started = true;
    rc_t rc = a->expect_continue && !s->body.len ? http2_interim(a, 100, S("")) : RC_OK;
    a->expect_continue = false;
    while (!rc && !s->body.len && !s->body_ended) {
        if (s->http2->input_over) {
            rc = RC_CLOSED;
            break;
        }
        http_wait_begin(a);
        rc = http2_park(s, platform_clock_ns() + HTTP_STALL_TIMEOUT_MS * NS_PER_MS);
        http_wait_end(a);
    }
    if (rc) {
        if (rc == RC_TIMEOUT) http_counters.timeouts++;
        a->body_broken = a->close = true;
        return rc;
    }
    if (s->body.len) {
        *got = MIN(room, (size_t)s->body.len);
        body_take(a, to, *got);
    }
    a->body_done = !s->body.len && s->body_ended;
    if (a->body_done) http_slow_body_end(a);
    return RC_OK;
}

/* ---- The end of an exchange ------------------------------------------------------------------ */

void http2_exchange_over(struct http_active *a) {
    struct http2_stream *s = a->http2;
    struct http2 *h = s->http2;
    bool failed = a->answer_failed || s->out_len;
    s->active = NULL;
    s->waiter = NULL;
    s->phase = HTTP2_OVER;
    s->since_ns = loop_now_ns();
    http_active_free(a);
    h->exchanges--;
    if (s->body.len && !h->gone) {
        (void)nghttp2_session_consume_connection(h->session, s->body.len);
        stream_bytes_free(&s->body);
    }
    if (failed) {
        http2_reset(s, NGHTTP2_INTERNAL_ERROR);
    } else if (!s->body_ended && !s->closed) {
        if (s->said_end) http2_reset(s, NGHTTP2_NO_ERROR);
        else s->reset_after = true;
    }
    if (h->exchanges) http2_pump_soon(h);
    else http2_pump(h);
}
