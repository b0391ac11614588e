/* SPDX-License-Identifier: Apache-2.0 */
/* http2.c — one HTTP/2 connection: frames in, frames out, and no more of either than is fair.
 *
 *   stream -> nghttp2 (frames, HPACK, RFC 9113's rules) -> heads, bodies   (http2_request.c)
 *   stream <- gathered frames <- nghttp2 <- answers, as far as windows let  (http2_answer.c)
 *
 * Requests become the same exchanges as HTTP/1's, each on a fiber of its own. Answers are not
 * buffered: a fiber that answers lends its bytes and parks until they are in frames, so what a slow
 * reader costs us is one gathered write. Streams take turns frame by frame; priorities are ignored.
 *
 * What a hostile client may do is counted. Frames that serve nobody (pings, settings, window
 * updates of a byte, empty data) draw on a budget that time and served requests refill; streams
 * taken back have another; a head that unfolds to more than any honest one ends the connection. So
 * do a head that comes for ten seconds and output that nothing was taken of for thirty.
 *
 * Always true: the library is entered from one place at a time (`busy`), and its callbacks only
 * take notes and start fibers; an http2_stream lives until the library has closed it and its
 * exchange is over; the connection is freed only when no exchange runs. */
#include "net/http2_impl.h"
#include "kernel/base/bytes.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

#define GATHER_BYTES KIB(32)
#define FRAME_BYTES_MAX (16384u + 16u) /* as the library makes them */
#define READ_TURN_MAX KIB(128) /* then others have their turn */
#define TICK_MS 1000u
#define GOODBYE_MS 100u /* between the warning and the last word: requests on their way come in */

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *library_options;

/* ---- What the library asks of a machine ------------------------------------------------------ */

static void *library_alloc(size_t n, void *arg) {
    (void)arg;
    return memory_alloc(MEMORY_CONNECTIONS, n);
}
static void library_free(void *p, void *arg) {
    (void)arg;
    memory_free(MEMORY_CONNECTIONS, p);
}
static void *library_zero(size_t count, size_t size, void *arg) {
    size_t n;
    (void)arg;
    if (__builtin_mul_overflow(count, size, &n)) return NULL;
    return memory_zero(MEMORY_CONNECTIONS, n);
}
static void *library_resize(void *p, size_t n, void *arg) {
    (void)arg;
    return memory_resize(MEMORY_CONNECTIONS, p, n);
}
static nghttp2_mem memory = {NULL, library_alloc, library_free, library_zero, library_resize};

u64 nghttp2_time_now_sec(void); /* the library's own would ask the C library */
u64 nghttp2_time_now_sec(void) {
    return platform_clock_ns() / NS_PER_S;
}

/* ---- Floods ---------------------------------------------------------------------------------- */

static int flooded(struct http2 *h, const char *why) {
    http_counters.floods++;
    log_debug("http", "HTTP/2 connection ended", "why=\"%s\"", why);
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

/* A frame for a stream that is over. The library forgets those and lets it pass; but one that the
 * client itself has ended, or has skipped, is an error (RFC 9113 5.1, 5.1.1), while one that we
 * reset may still be on its way. */
static u32 error_of_ended(const struct http2 *h, u8 type, s32 id) {
    if (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) return 0;
    if (id % 2 == 0 || id > h->last_id || nghttp2_session_find_stream(h->session, id)) return 0;
    for (u32 i = 0; i < MIN(h->ended_count, (u32)HTTP2_CLOSED_KEPT); i++)
        if (h->ended[i].id == id) return h->ended[i].by_client ? NGHTTP2_STREAM_CLOSED : 0;
    return type == NGHTTP2_HEADERS ? NGHTTP2_PROTOCOL_ERROR : 0;
}

/* The nine bytes before every frame, before the library sees them: it says nothing of frames that
 * it ignores. Every frame costs one; what came of it is paid back elsewhere. */
static void frame_begins(struct http2 *h, const u8 *head) {
    u32 length = be24(head);
    u8 type = head[3];
    s32 id = (s32)(be32(head + 5) & 0x7FFFFFFF);
    h->frame_left = 9 + length;
    u32 error = error_of_ended(h, type, id);
    if (type == NGHTTP2_PRIORITY && !id) error = NGHTTP2_PROTOCOL_ERROR; /* 6.3 */
    if (type == NGHTTP2_HEADERS) h->last_id = MAX(h->last_id, id);
    if (error) {
        (void)nghttp2_session_terminate_session(h->session, error);
        return;
    }
    if (type == NGHTTP2_DATA && length >= 256) return;
    u64 now = loop_now_ns();
    h->frames += (s64)MIN((now - h->frames_ns) / NS_PER_MS, 60000ull) * HTTP2_FRAMES_PER_S;
    h->frames_ns = now;
    h->frames = MIN(h->frames, (s64)HTTP2_FRAMES_BURST * 1000) - 1000;
    if (h->frames < 0) (void)flooded(h, "frames that serve nobody");
}

static void frames_earned(struct http2 *h, u32 count) {
    h->frames += count * 1000;
}

/* ---- The library tells ----------------------------------------------------------------------- */

static struct http2_stream *stream_of(struct http2 *h, s32 id) {
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *arg) {
    static const nghttp2_extpri fair = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    struct http2 *h = arg;
    h->head_ns = loop_now_ns();
    h->head_id = f->hd.stream_id;
    if (f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0; /* trailers: checked, not kept */
    if (h->exchanges >= HTTP2_STREAMS_MAX) /* some of streams taken back still run */
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, h->head_id,
                                         NGHTTP2_REFUSED_STREAM);
    struct http2_stream *s = http2_stream_new(h, h->head_id);
    if (!s) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    (void)nghttp2_session_set_stream_user_data(session, s->id, s);
    (void)nghttp2_session_change_extpri_stream_priority(session, s->id, &fair, 1);
    frames_earned(h, 8);
    http_conn_rest(h->conn, false);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const u8 *name,
                     size_t name_len, const u8 *value, size_t value_len, u8 flags, void *arg) {
    struct http2_stream *s = stream_of(arg, f->hd.stream_id);
    (void)session, (void)flags;
    if (!s) return 0;
    if (f->headers.cat != NGHTTP2_HCAT_REQUEST) {
        s->decoded += (u32)(name_len + value_len + 32);
        if (s->decoded <= HTTP2_HEAD_DECODED_MAX) return 0;
    } else if (http2_head_add(s, str_of((const char *)name, name_len),
                              str_of((const char *)value, value_len))) {
        return 0;
    }
    return flooded(arg, "a head that unfolds to more than any honest one");
}

/* A field that must not be is no reason to guess what was meant (RFC 9113 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *f, const u8 *name,
                             size_t name_len, const u8 *value, size_t value_len, u8 flags,
                             void *arg) {
    (void)session, (void)f, (void)name, (void)name_len, (void)value, (void)value_len;
    (void)flags, (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg) {
    struct http2 *h = arg;
    struct http2_stream *s = stream_of(h, f->hd.stream_id);
    (void)session;
    if (f->hd.type == NGHTTP2_SETTINGS && !h->spoke) {
        h->spoke = true;
        (void)timer_start_after_ms(&h->conn->timer, HTTP_IDLE_TIMEOUT_MS);
    }
    if (f->hd.type == NGHTTP2_RST_STREAM && s) s->taken_back = true;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    if (f->hd.type == NGHTTP2_HEADERS) h->head_ns = 0;
    if (!s) return 0;
    if (f->hd.flags & NGHTTP2_FLAG_END_STREAM) s->body_ended = true;
    if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST) http2_head_over(s);
    else if (s->body_ended) http2_body_over(s);
    return 0;
}

static int on_data(nghttp2_session *session, u8 flags, s32 id, const u8 *bytes, size_t n,
                   void *arg) {
    struct http2 *h = arg;
    struct http2_stream *s = stream_of(h, id);
    (void)flags;
    rc_t rc = s ? http2_body_add(s, bytes, n) : RC_PASS;
    http_counters.bytes_in += n;
    if (rc) (void)nghttp2_session_consume(session, id, n); /* nobody will read it */
    if (rc && rc != RC_PASS) http2_reset(s, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, s32 id, u32 error, void *arg) {
    struct http2 *h = arg;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)error;
    if (h->head_id == id) h->head_ns = 0;
    u32 at = h->ended_count++ % HTTP2_CLOSED_KEPT;
    h->ended[at].id = id;
    h->ended[at].by_client = s && (s->body_ended || s->taken_back);
    if (!s) return 0;
    s->closed = true;
    http2_starved_leave(s);
    if (s->waiter) fiber_wake(s->waiter);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg) {
    struct http2 *h = arg;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    struct http2_stream *s = stream_of(h, f->hd.stream_id);
    http_counters.bytes_out += f->hd.length;
    frames_earned(h, 1 + (u32)f->hd.length / 256);
    if (!s || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    s->said_end = true;
    if (s->reset_after) /* RFC 9113 8.1: the rest of the request is not wanted */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- Birth and death ------------------------------------------------------------------------- */

static rc_t library_open(void) {
    if (callbacks) return RC_OK;
    if (nghttp2_session_callbacks_new(&callbacks)) return RC_NO_MEMORY;
    if (nghttp2_option_new(&library_options)) {
        nghttp2_session_callbacks_del(callbacks);
        callbacks = NULL;
        return RC_NO_MEMORY;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_option_set_no_auto_window_update(library_options, 1);
    nghttp2_option_set_stream_reset_rate_limit(library_options, HTTP2_RESETS_BURST,
                                               HTTP2_RESETS_PER_S);
    nghttp2_option_set_glitch_rate_limit(library_options, HTTP2_FRAMES_BURST * 4,
                                         HTTP2_FRAMES_PER_S * 4); /* ours comes first */
    return RC_OK;
}

static void on_post(void *arg) {
    struct http2 *h = arg;
    if (h->session) http2_pump(h);
    else memory_free(MEMORY_CONNECTIONS, h); /* it ended meanwhile */
}

static rc_t say_hello(struct http2 *h) {
    const nghttp2_settings_entry ours[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX + 32 * HTTP_HEADER_COUNT_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, ours, ARRAY_LEN(ours)) ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                              HTTP2_CONN_WINDOW_BYTES))
        return RC_NO_MEMORY;
    return RC_OK;
}

rc_t http2_open(struct http_conn *c) {
    struct http2 *h = memory_zero(MEMORY_CONNECTIONS, sizeof *h);
    if (!h) return RC_NO_MEMORY;
    h->conn = c;
    h->post = (struct loop_post){.fn = on_post, .arg = h};
    h->frames = HTTP2_FRAMES_BURST * 1000;
    h->frames_ns = loop_now_ns();
    h->frame_left = NGHTTP2_CLIENT_MAGIC_LEN;
    if (library_open() ||
        nghttp2_session_server_new3(&h->session, callbacks, h, library_options, &memory)) {
        memory_free(MEMORY_CONNECTIONS, h);
        return RC_NO_MEMORY;
    }
    c->http2 = h;
    c->state = CONN_HTTP2;
    http_conn_rest(c, true);
    http_counters.connections_http2++;
    if (say_hello(h) || timer_start_after_ms(&c->timer, HTTP_HEAD_TIMEOUT_MS)) return RC_NO_MEMORY;
    http2_readable(h); /* may be the last call for it: the caller looks at neither again */
    return RC_OK;
}

void http2_stream_free(struct http2_stream *s) {
    struct http2 *h = s->http2;
    CHECK(!s->active);
    http2_starved_leave(s);
    if (s->prev) s->prev->next = s->next;
    else h->streams = s->next;
    if (s->next) s->next->prev = s->prev;
    h->stream_count--;
    if (!s->closed) (void)nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    if (s->body.len) (void)nghttp2_session_consume_connection(h->session, s->body.len);
    stream_bytes_free(&s->body);
    memory_free(MEMORY_REQUESTS, s->head);
    memory_free(MEMORY_REQUESTS, s);
}

void http2_free(struct http2 *h) {
    CHECK(!h->exchanges && !h->busy);
    while (h->streams) http2_stream_free(h->streams);
    nghttp2_session_del(h->session);
    h->session = NULL;
    memory_free(MEMORY_CONNECTIONS, h->left);
    h->conn->http2 = NULL;
    if (!h->post.queued) memory_free(MEMORY_CONNECTIONS, h); /* otherwise on_post does */
}

void http2_reset(struct http2_stream *s, u32 error) {
    struct http2 *h = s->http2;
    s->out = NULL, s->out_len = 0;
    if (s->closed || h->gone) return;
    (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, error);
}

/* ---- The timer ------------------------------------------------------------------------------- */

void http2_rearm(struct http2 *h) {
    struct http_conn *c = h->conn;
    u64 now = loop_now_ns();
    bool waits = h->left_len || h->head_ns || h->draining;
    for (struct http2_stream *s = h->streams; s && !waits; s = s->next)
        waits = s->phase != HTTP2_ACTIVE;
    if (waits) {
        u64 ms = h->draining && !h->said_last ? GOODBYE_MS : TICK_MS;
        if (!timer_waiting(&c->timer) || c->timer.deadline_ns > now + ms * NS_PER_MS)
            (void)timer_start(&c->timer, now + ms * NS_PER_MS);
    } else if (h->streams) {
        timer_stop(&c->timer);
    } else if (h->spoke && !c->queue) {
        http_conn_rest(c, true);
        (void)timer_start(&c->timer, now + HTTP_IDLE_TIMEOUT_MS * NS_PER_MS);
    }
}

/* A body that fits beside its head, or a fiber, was waited for long enough. */
static void stream_tick(struct http2_stream *s, u64 now) {
    u64 waited_ms = (now - s->since_ns) / NS_PER_MS;
    if (s->closed || waited_ms < HTTP_STALL_TIMEOUT_MS) return;
    if (s->phase == HTTP2_WAIT) {
        http_counters.timeouts++;
        http2_refuse(s, 408, "The body of the request did not come in time.");
    } else if (s->phase == HTTP2_OVER) {
        http_counters.timeouts++;
        http2_reset(s, NGHTTP2_CANCEL);
    }
}

static void say_last(struct http2 *h) {
    s32 last = nghttp2_session_get_last_proc_stream_id(h->session);
    h->said_last = true;
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
}

void http2_timer(struct http2 *h) {
    u64 now = loop_now_ns();
    if (h->left_len && now - h->moved_ns >= HTTP_STALL_TIMEOUT_MS * NS_PER_MS) {
        http_counters.timeouts++;
        http2_closed(h);
        return;
    }
    if (h->draining && !h->said_last) {
        say_last(h);
    } else if (h->head_ns && now - h->head_ns >= HTTP_HEAD_TIMEOUT_MS * NS_PER_MS) {
        http_counters.timeouts++;
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (!h->streams && h->conn->queue) { /* idle, or never spoke */
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    }
    for (struct http2_stream *s = h->streams; s; s = s->next) stream_tick(s, now);
    http2_pump(h);
}

void http2_drain(struct http2 *h) {
    if (h->draining) return;
    h->draining = true;
    if (h->streams) (void)nghttp2_submit_shutdown_notice(h->session);
    else say_last(h);
    http2_pump(h);
}

/* ---- Out ------------------------------------------------------------------------------------- */

/* RC_AGAIN: the stream below is full. */
static rc_t send_left(struct http2 *h) {
    size_t took = 0;
    rc_t rc = stream_write_some(h->conn->stream, str_of(h->left + h->left_at, h->left_len), &took);
    if (rc) return rc;
    if (took) h->moved_ns = loop_now_ns();
    h->left_at += (u32)took, h->left_len -= (u32)took;
    if (h->left_len) return RC_AGAIN;
    memory_free(MEMORY_CONNECTIONS, h->left);
    h->left = NULL, h->left_at = 0;
    return RC_OK;
}

static rc_t send_bytes(struct http2 *h, str bytes) {
    size_t took = 0;
    rc_t rc = stream_write_some(h->conn->stream, bytes, &took);
    if (rc || took == bytes.len) return rc;
    bytes = str_skip(bytes, took);
    h->left = memory_alloc(MEMORY_CONNECTIONS, bytes.len);
    if (!h->left) return RC_NO_MEMORY;
    memcpy(h->left, bytes.ptr, bytes.len);
    h->left_at = 0, h->left_len = (u32)bytes.len;
    h->moved_ns = loop_now_ns();
    return RC_AGAIN;
}

/* Whole frames, side by side. */
static rc_t gather(struct http2 *h, char *to, size_t *len) {
    for (*len = 0; *len + FRAME_BYTES_MAX <= GATHER_BYTES;) {
        const u8 *bytes;
        nghttp2_ssize n = nghttp2_session_mem_send2(h->session, &bytes);
        if (n < 0) return RC_NO_MEMORY;
        if (n == 0) break;
        CHECK((size_t)n <= FRAME_BYTES_MAX);
        memcpy(to + *len, bytes, (size_t)n);
        *len += (size_t)n;
    }
    return RC_OK;
}

static rc_t pump(struct http2 *h) {
    static char gathered[GATHER_BYTES];
    rc_t rc = h->left_len ? send_left(h) : RC_OK;
    while (!rc) {
        size_t len;
        rc = gather(h, gathered, &len);
        if (!len && !rc) break;
        if (!rc) rc = send_bytes(h, str_of(gathered, len));
    }
    return rc == RC_AGAIN ? RC_OK : rc;
}

void http2_settle(struct http2 *h) {
    for (struct http2_stream *s = h->streams, *next; s; s = next) {
        next = s->next;
        if (!s->active && (s->closed || h->gone)) http2_stream_free(s);
    }
    bool over = !h->left_len && !nghttp2_session_want_read(h->session) &&
                !nghttp2_session_want_write(h->session);
    bool last = h->said_last && !h->streams && !h->left_len &&
                !nghttp2_session_want_write(h->session);
    if (h->input_over) over = !h->exchanges && !h->left_len; /* what waits for a body is lost */
    if (over && h->exchanges) h->gone = true; /* they hear of it */
    if (over && h->exchanges)
        for (struct http2_stream *s = h->streams; s; s = s->next)
            if (s->waiter) fiber_wake(s->waiter);
    if (!h->exchanges && (h->gone || over || last)) {
        http_conn_free(h->conn, h->aborted);
        return;
    }
    if (!h->gone) http2_rearm(h);
}

void http2_pump(struct http2 *h) {
    if (h->busy) return;
    h->busy = true;
    if (!h->gone && pump(h)) h->gone = h->aborted = true;
    h->busy = false;
    http2_settle(h);
}

void http2_pump_soon(struct http2 *h) {
    loop_post(&h->post);
}

void http2_writable(struct http2 *h) {
    http2_pump(h);
}

/* The stream below is dead, or as good as dead. */
void http2_closed(struct http2 *h) {
    h->gone = h->aborted = true;
    for (struct http2_stream *s = h->streams; s; s = s->next)
        if (s->waiter) fiber_wake(s->waiter);
    http2_settle(h);
}

/* ---- In -------------------------------------------------------------------------------------- */

/* As many bytes as belong together: the client's first words, or of one frame. 0: its head is not
 * here yet. */
static size_t portion(struct http2 *h, str bytes) {
    if (h->frame_left) return MIN(bytes.len, (size_t)h->frame_left);
    if (bytes.len < 9) return 0;
    frame_begins(h, (const u8 *)bytes.ptr);
    return MIN(bytes.len, (size_t)h->frame_left);
}

/* False: the connection has to end. */
static bool take(struct http2 *h, str bytes) {
    nghttp2_ssize n = nghttp2_session_mem_recv2(h->session, (const u8 *)bytes.ptr, bytes.len);
    u32 error = n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR;
    stream_consume(h->conn->stream, bytes.len);
    h->frame_left -= (u32)bytes.len;
    if (n >= 0) return true;
    if (n != NGHTTP2_ERR_FLOODED && n != NGHTTP2_ERR_BAD_CLIENT_MAGIC) return false;
    if (n == NGHTTP2_ERR_FLOODED) http_counters.floods++;
    else http_counters.bad_requests++;
    (void)nghttp2_session_terminate_session(h->session, error);
    return true;
}

void http2_readable(struct http2 *h) {
    struct stream *stream = h->conn->stream;
    size_t seen = 0, n;
    CHECK(!h->busy);
    h->busy = true;
    for (str bytes; !h->gone && seen < READ_TURN_MAX; seen += n) {
        bytes = stream_peek(stream);
        if (!bytes.len || !(n = portion(h, bytes))) break;
        if (!take(h, str_take(bytes, n))) h->gone = h->aborted = true;
    }
    h->busy = false;
    if (!h->gone && seen >= READ_TURN_MAX) {
        stream_queue(stream, EVENT_READ);
    } else if (stream_complete(stream)) {
        /* No request follows; those that came are answered: a half-closed client may still read. */
        h->input_over = true;
        for (struct http2_stream *s = h->streams; s; s = s->next)
            if (s->waiter) fiber_wake(s->waiter);
    }
    http2_pump(h);
}
