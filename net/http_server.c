/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c — connections: heads are read on the loop, handlers run on fibers.
 *
 *   IDLE --first byte--> HEAD --complete--> (EARLY_BODY) --> ACTIVE --answered--> IDLE
 *    |75 s                |10 s: 408         |30 s: 408        a fiber has it
 *    close                any doubt: 4xx, close              (STARVED: none free, 1 s: 503)
 *
 * A connection that is slow costs its few hundred bytes and no fiber: only a complete, unambiguous
 * head starts one, and a body that fits beside its head is waited for first. A request for
 * which no fiber is free waits for the next one, at most a second; then its answer is 503 with
 * Retry-After, made here. Requests that were sent ahead (pipelining) wait in
 * the stream until their turn, so answers leave in order.
 *
 * When the process has as many connections as it may, the one idle longest makes room, or the one
 * whose request has been coming longest; when there is none the newcomer is reset.
 *
 * Always true: a connection is in the queue of its state, and in none while ACTIVE; `active` is
 * set only in ACTIVE; a connection is freed only with its stream closed. */
#include "net/http2_impl.h"
#include "net/http_impl.h"
#include "net/url.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

#define STARVED_MS 1000u     /* how long a request waits for a fiber before its 503 */
#define ACTIVE_SPARE_MAX 32u /* exchanges kept ready */

struct http_stats http_counters;
static struct http_active *spare;
static u32 spare_count;

/* whole requests for which no fiber was free, oldest first */
static struct http_conn_queue starved;
static bool starved_again;             /* one joined since starved_run looked */
static void starved_run(void *arg);
static struct loop_post starved_post = {.fn = starved_run};

static void on_timer(void *arg);
static void on_readable(void *arg);
static void on_writable(void *arg);
static void on_closed(void *arg, rc_t why);
static const struct stream_events conn_events = {on_readable, on_writable, on_closed};

void http_stats_get(struct http_stats *out) {
    *out = http_counters;
}

/* ---- Pools and lists ------------------------------------------------------------------------- */

struct http_active *http_active_new(void) {
    struct http_active *a = spare;
    if (a) {
        spare = a->next_free;
        spare_count--;
    } else if (!(a = memory_alloc(MEMORY_REQUESTS, sizeof *a))) {
        return NULL;
    }
    memset(a, 0,
           offsetof(struct http_active, extra)); /* the large tables are written before read */
    arena_open(&a->arena, a->block, sizeof a->block, REQUEST_ARENA_MAX);
    http_counters.active++;
    return a;
}

void http_active_free(struct http_active *a) {
    arena_close(&a->arena);
    http_counters.active--;
    if (spare_count < ACTIVE_SPARE_MAX) {
        a->next_free = spare;
        spare = a;
        spare_count++;
    } else {
        memory_free(MEMORY_REQUESTS, a);
    }
}

static void queue_leave(struct http_conn *c) {
    struct http_conn_queue *q = c->queue;
    if (!q) return;
    c->queue = NULL;
    if (c->queue_prev) c->queue_prev->queue_next = c->queue_next;
    else q->first = c->queue_next;
    if (c->queue_next) c->queue_next->queue_prev = c->queue_prev;
    else q->last = c->queue_prev;
}

static void queue_join(struct http_conn *c, struct http_conn_queue *q) {
    queue_leave(c);
    c->queue = q;
    c->queue_next = NULL;
    c->queue_prev = q->last;
    if (q->last) q->last->queue_next = c;
    else q->first = c;
    q->last = c;
}

void http_conn_free(struct http_conn *c, bool abort) {
    struct http_server *s = c->server;
    CHECK(!c->active);
    if (c->http2) http2_free(c->http2);
    queue_leave(c);
    timer_stop(&c->timer);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    if (c->stream && abort)
        stream_abort(c->stream);
    else if (c->stream)
        stream_close(c->stream);
    http_counters.open--;
    memory_free(MEMORY_CONNECTIONS, c);
}

void http_conn_rest(struct http_conn *c, bool idle) {
    if (idle) queue_join(c, &c->server->idle);
    else queue_leave(c);
}

static void conn_rest(struct http_conn *c) {
    c->state = CONN_IDLE;
    c->scan = (struct http_scan){0};
    c->blank_skipped = false;
    c->need = 0;
    queue_join(c, &c->server->idle);
    (void)timer_start(&c->timer, loop_now_ns() + HTTP_IDLE_TIMEOUT_MS * NS_PER_MS);
}

/* ---- Refusing -------------------------------------------------------------------------------- */

/* Without an exchange: answer what can be answered and close. The stream drains, so that the answer
 * reaches a peer that is still sending. */
static void conn_refuse(struct http_conn *c, int status, const char *detail) {
    char text[1024];
    size_t took;
    str answer = http_refusal_text(status, detail, true, text, sizeof text);
    if (status == 408)
        http_counters.timeouts++;
    else
        http_counters.bad_requests++;
    if (stream_write_some(c->stream, answer, &took) == RC_OK) http_counters.bytes_out += took;
    log_debug("http", "request refused", "status=%d why=\"%s\"", status, detail);
    http_conn_free(c, false);
}

static void conn_busy(struct http_conn *c, const struct http_head *head) {
    char text[1024];
    size_t took = 0;
    bool close = head->has_length || head->chunked || c->server->draining;
    str answer = http_refusal_text(503, "Every worker is busy; try again in a moment.", close, text,
                                   sizeof text);
    http_counters.refused_busy++;
    rc_t rc = stream_write_some(c->stream, answer, &took);
    if (rc || took < answer.len || close) {
        http_conn_free(c, rc != RC_OK);
        return;
    }
    stream_consume(c->stream, head->length);
    conn_rest(c);
    if (stream_peek(c->stream).len) on_readable(c);
}

/* ---- The exchange, on its fiber -------------------------------------------------------------- */

static void exchange_end(struct http_active *a) {
    struct http_conn *c = a->conn;
    http_answer_finish(a);
    if (!a->http2 && !a->answer_failed && !http_body_skip(a)) a->close = true;
    if (c->server->options.logged)
        c->server->options.logged(&a->x, platform_clock_ns() - a->x.started_ns);
    bool failed = a->answer_failed && a->answer != ANSWER_NONE, close = a->close;
    http_slow_body_end(a);
    /* this fiber is free once it has returned */
    if (starved.first || http2_starved()) loop_post(&starved_post);
    if (a->http2) {
        http2_exchange_over(a);
        return;
    }
    c->active = NULL;
    void (*taken)(void *arg, struct stream *s) = a->taken;
    void *taken_arg = a->taken_arg;
    http_active_free(a);
    if (taken) {
        struct stream *stream = c->stream;
        c->stream = NULL;
        stream_events_set(stream, NULL, NULL);
        http_conn_free(c, false);
        taken(taken_arg, stream);
        return;
    }
    if (close || c->server->draining) {
        http_conn_free(c, failed);
        return;
    }
    conn_rest(c);
    if (stream_peek(c->stream).len || stream_ended(c->stream)) on_readable(c);
}

static void exchange_run(void *arg) {
    struct http_active *a = arg;
    fiber_set_request_id(str_of(a->id, HTTP_ID_LEN));
    a->conn->server->options.handler(&a->x, a->conn->server->options.arg);
    fiber_set_request_id(S(""));
    exchange_end(a);
}

rc_t http_active_start(struct http_active *a) {
    struct fiber *f;
    return fiber_start("http", exchange_run, a, &f);
}

/* ---- From a head to an exchange -------------------------------------------------------------- */

enum http_method http_method_of(str m) {
    switch (m.len) {
    case 3:
        if (memcmp(m.ptr, "GET", 3) == 0) return HTTP_GET;
        return memcmp(m.ptr, "PUT", 3) == 0 ? HTTP_PUT : HTTP_OTHER;
    case 4:
        if (memcmp(m.ptr, "HEAD", 4) == 0) return HTTP_HEAD;
        return memcmp(m.ptr, "POST", 4) == 0 ? HTTP_POST : HTTP_OTHER;
    case 5: return memcmp(m.ptr, "PATCH", 5) == 0 ? HTTP_PATCH : HTTP_OTHER;
    case 6: return memcmp(m.ptr, "DELETE", 6) == 0 ? HTTP_DELETE : HTTP_OTHER;
    case 7: return memcmp(m.ptr, "OPTIONS", 7) == 0 ? HTTP_OPTIONS : HTTP_OTHER;
    default: return HTTP_OTHER;
    }
}

str http_method_name(enum http_method m) {
    static const str names[] = {{"GET", 3},   {"HEAD", 4},   {"POST", 4},    {"PUT", 3},
                                {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7}, {"OTHER", 5}};
    return m <= HTTP_OTHER ? names[m] : names[HTTP_OTHER];
}

static str moved(str view, const char *from, const char *to) {
    return view.ptr ? str_of(to + (view.ptr - from), view.len) : view;
}

str http_host_plain(struct arena *arena, str host) {
    bool literal = host.len && host.ptr[0] == '[';
    char *to = arena_alloc(arena, host.len + 1);
    size_t n = 0;
    if (!to) return S("");
    for (; n < host.len && (literal || host.ptr[n] != ':'); n++) {
        char c = host.ptr[n];
        to[n] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if (c == ']') literal = false; /* a port may follow */
    }
    return str_of(to, n);
}

rc_t http_request_target(struct http_active *a, str target) {
    struct http_request *r = &a->request;
    r->target = target;
    size_t path = str_find_byte(target, '?');
    r->query = path == target.len ? S("") : str_skip(target, path + 1);
    if (str_eq(target, S("*"))) {
        r->path = target;
        return RC_OK;
    }
    char *plain = arena_alloc(&a->arena, path + 1);
    if (!plain) return RC_NO_MEMORY;
    return url_path_plain(str_take(target, path), plain, &r->path);
}

/* The head's bytes move to the request's arena, and every view with them: what the stream holds may
 * move when more comes. */
static rc_t request_fill(struct http_active *a, const struct http_head *h, str bytes, str origin) {
    struct http_request *r = &a->request;
    const char *from = bytes.ptr;
    char *to = arena_alloc(&a->arena, h->length);
    if (!to) return RC_NO_MEMORY;
    memcpy(to, from, h->length);
    for (u32 i = 0; i < h->field_count; i++) {
        a->fields[i].name = moved(a->fields[i].name, from, to);
        a->fields[i].value = moved(a->fields[i].value, from, to);
    }
    bool inside = origin.ptr >= from && origin.ptr < from + h->length;
    r->method_text = moved(h->method, from, to);
    r->method = http_method_of(r->method_text);
    r->host = http_host_plain(&a->arena, h->host);
    r->fields = a->fields;
    r->field_count = h->field_count;
    r->version_major = 1;
    r->version_minor = (u8)h->version_minor;
    r->has_body = h->chunked || (h->has_length && h->content_length);
    r->content_length = h->has_length ? (s64)h->content_length : -1;
    return http_request_target(a, inside ? moved(origin, from, to) : origin);
}

static void exchange_begin(struct http_conn *c, struct http_active *a, const struct http_head *h) {
    struct http_server *s = c->server;
    a->conn = c;
    a->expect_continue = h->expect_continue;
    a->chunked = h->chunked;
    a->body_left = h->content_length;
    a->body_done = !h->chunked && !h->content_length;
    http_id_next(a->id);
    a->request.id = str_of(a->id, HTTP_ID_LEN);
    a->request.peer = stream_peer(c->stream);
    a->request.secure = stream_is_tls(c->stream);
    a->request.client = stream_tls_peer(c->stream);
    a->x = (struct http_exchange){
        .request = &a->request, .arena = &a->arena, .started_ns = c->started_ns};
    bool keep = h->version_minor ? !h->close : h->keep_alive && !h->close;
    a->close = !keep || s->draining || ++c->requests >= HTTP_REQUESTS_PER_CONNECTION;
    http_counters.requests++;
    http_counters.bytes_in += h->length;
}

/* A body that fits beside its head is waited for before a fiber is taken. */
static bool early_body_missing(struct http_conn *c, const struct http_head *h, size_t here) {
    if (!h->has_length || h->expect_continue) return false;
    if (h->content_length > HTTP_HEAD_MAX || h->length + h->content_length > HTTP_HEAD_MAX)
        return false;
    c->need = h->length + (size_t)h->content_length;
    return here < c->need;
}

/* The request stays in its stream and is read again when a fiber ends. */
static void starved_join(struct http_conn *c) {
    if (c->state != CONN_STARVED)
        (void)timer_start(&c->timer, loop_now_ns() + STARVED_MS * NS_PER_MS);
    c->state = CONN_STARVED;
    queue_join(c, &starved);
    starved_again = true;
}

/* May this request have a fiber? See http_wait.c. */
bool http_fiber_granted(struct http_active *a, bool complete) {
    u32 capacity = fiber_capacity();
    if (fiber_count() * 4 >= capacity * 3) (void)http_wait_relieve(NS_PER_S);
    if (complete) return true;
    if (http_slow_bodies() * 2 >= capacity && !http_wait_relieve(NS_PER_S)) return false;
    http_slow_body_begin(a);
    return true;
}

static void on_head(struct http_conn *c, str bytes, struct http_active *a, struct http_head *h) {
    struct http_refusal no = {0};
    str origin;
    rc_t rc = http_target_check(h, a->fields, &origin, &no);
    if (!rc && early_body_missing(c, h, bytes.len)) {
        http_active_free(a);
        if (stream_complete(c->stream)) {
            conn_refuse(c, 400, "The body of the request was cut short.");
            return;
        }
        c->state = CONN_EARLY_BODY;
        queue_join(c, &c->server->reading);
        (void)timer_start(&c->timer, loop_now_ns() + HTTP_STALL_TIMEOUT_MS * NS_PER_MS);
        return;
    }
    if (!rc && (rc = request_fill(a, h, bytes, origin)))
        no = (struct http_refusal){rc == RC_INVALID ? 400 : 503,
                                   "The path of the request target is malformed."};
    if (rc) {
        http_active_free(a);
        conn_refuse(c, no.status, no.why);
        return;
    }
    exchange_begin(c, a, h);
    bool here = !h->chunked && (!h->has_length || bytes.len - h->length >= h->content_length);
    bool granted = http_fiber_granted(a, here);
    if (!granted || http_active_start(a)) {
        http_slow_body_end(a);
        http_active_free(a);
        if (granted) starved_join(c);
        else conn_busy(c, h);
        return;
    }
    stream_consume(c->stream, h->length);
    queue_leave(c);
    c->active = a;
    c->state = CONN_ACTIVE;
}

/* What opens HTTP/2 to those who know that we speak it (RFC 9113 3.3): RC_OK, RC_AGAIN: the
 * beginning of it, RC_PASS: something else. */
static rc_t http2_preface(const struct http_conn *c, str bytes) {
    str preface = S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    size_t n = MIN(bytes.len, preface.len);
    if (c->requests || stream_is_tls(c->stream)) return RC_PASS;
    if (memcmp(bytes.ptr, preface.ptr, n)) return RC_PASS;
    return n == preface.len ? RC_OK : RC_AGAIN;
}

static void conn_try_head(struct http_conn *c, str bytes) {
    struct http_refusal no = {0};
    struct http_head head;
    rc_t two = bytes.ptr[0] == 'P' ? http2_preface(c, bytes) : RC_PASS;
    if (two == RC_OK) {
        if (http2_open(c)) http_conn_free(c, true);
        return;
    }
    struct http_active *a = http_active_new();
    if (!a) {
        conn_refuse(c, 503, "There is no memory for another request; try again in a moment.");
        return;
    }
    rc_t rc = two == RC_AGAIN ? RC_AGAIN : http_head_parse(bytes, &head, a->fields, &no);
    if (rc == RC_OK) {
        on_head(c, bytes, a, &head);
        return;
    }
    http_active_free(a);
    if (rc == RC_INVALID) {
        conn_refuse(c, no.status, no.why);
        return;
    }
    if (stream_complete(c->stream)) {
        conn_refuse(c, 400, "The head of the request was cut short.");
        return;
    }
    if (c->state == CONN_IDLE) {
        c->state = CONN_HEAD;
        queue_join(c, &c->server->reading);
        (void)timer_start(&c->timer, loop_now_ns() + HTTP_HEAD_TIMEOUT_MS * NS_PER_MS);
    }
}

static void starved_run(void *arg) {
    (void)arg;
    starved_again = false;
    while (starved.first && !starved_again && fiber_count() < fiber_capacity()) {
        struct http_conn *c = starved.first;
        queue_leave(c);
        conn_try_head(c, stream_peek(c->stream));
    }
    http2_starved_run();
}

/* It has waited long enough. */
static void starved_end(struct http_conn *c) {
    static struct http_field fields[HTTP_HEADER_COUNT_MAX];
    struct http_refusal no;
    struct http_head head;
    queue_leave(c);
    rc_t rc = http_head_parse(stream_peek(c->stream), &head, fields, &no);
    CHECK(rc == RC_OK); /* it was, when it joined */
    conn_busy(c, &head);
}

static void on_readable(void *arg) {
    struct http_conn *c = arg;
    if (c->state == CONN_HTTP2) {
        http2_readable(c->http2);
        return;
    }
    if (c->state >= CONN_STARVED) return; /* it has, or waits for, a fiber; what is ahead waits */
    str bytes = stream_peek(c->stream);
    if (!bytes.len) {
        if (stream_ended(c->stream)) http_conn_free(c, false);
        return;
    }
    if (c->state == CONN_IDLE) {
        queue_leave(c);
        c->started_ns = loop_now_ns();
        bool blank = bytes.ptr[0] == '\r' && !c->blank_skipped;
        if (blank && bytes.len >= 2 && bytes.ptr[1] == '\n') { /* RFC 9112 2.2: one, no more */
            c->blank_skipped = true;
            stream_consume(c->stream, 2);
            bytes = stream_peek(c->stream);
        }
        if (!bytes.len || (blank && bytes.len == 1 && bytes.ptr[0] == '\r')) {
            if (stream_complete(c->stream)) http_conn_free(c, false);
            /* nothing of a request yet: its idle time runs on */
            else queue_join(c, &c->server->idle);
            return;
        }
    }
    if (c->state == CONN_EARLY_BODY && bytes.len < c->need) {
        if (stream_complete(c->stream))
            conn_refuse(c, 400, "The body of the request was cut short.");
        return;
    }
    bool first = c->state == CONN_IDLE;
    /* One parse at first sight; later ones only when the end of the head is known to be here. */
    if (first || c->state != CONN_HEAD || http_scan_complete(&c->scan, bytes))
        conn_try_head(c, bytes);
    else if (stream_complete(c->stream))
        conn_refuse(c, 400, "The head of the request was cut short.");
}

static void on_writable(void *arg) {
    struct http_conn *c = arg;
    if (c->state == CONN_HTTP2) http2_writable(c->http2);
}

static void on_closed(void *arg, rc_t why) {
    struct http_conn *c = arg;
    (void)why;
    if (c->state == CONN_HTTP2)
        http2_closed(c->http2);
    else if (c->state == CONN_ACTIVE)
        c->active->close = true; /* its fiber sees it and cleans up */
    else
        http_conn_free(c, true);
}

static void on_timer(void *arg) {
    struct http_conn *c = arg;
    switch (c->state) {
    case CONN_IDLE: http_conn_free(c, false); return;
    case CONN_HEAD: conn_refuse(c, 408, "The head of the request did not come in time."); return;
    case CONN_EARLY_BODY:
        conn_refuse(c, 408, "The body of the request did not come in time.");
        return;
    case CONN_STARVED: starved_end(c); return;
    case CONN_ACTIVE: return; /* the exchange has its own deadlines */
    case CONN_HTTP2: http2_timer(c->http2); return;
    }
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void on_accepted(void *arg, struct stream *stream) {
    struct http_server *s = arg;
    struct http_conn *c = memory_zero(MEMORY_CONNECTIONS, sizeof *c);
    if (!c) {
        stream_abort(stream);
        return;
    }
    c->stream = stream;
    c->server = s;
    c->next = s->conns;
    if (s->conns) s->conns->prev = c;
    s->conns = c;
    timer_init(&c->timer, on_timer, c);
    http_counters.connections++;
    http_counters.open++;
    conn_rest(c);
    if (!timer_waiting(&c->timer)) { /* every timer is in use: then so is every connection */
        http_conn_free(c, true);
        return;
    }
    stream_events_set(stream, &conn_events, c);
    if (s->options.tls && str_eq(stream_alpn(stream), S("h2")) && http2_open(c))
        http_conn_free(c, true);
}

/* The connection idle longest makes room; none idle: the one whose request has been coming longest,
 * if that is a second or more. */
static bool on_shed(void *arg) {
    struct http_server *s = arg;
    struct http_conn *c = s->idle.first ? s->idle.first : s->reading.first;
    if (!c || (c->queue == &s->reading && loop_now_ns() - c->started_ns < NS_PER_S)) return false;
    http_conn_free(c, true);
    return true;
}

rc_t http_serve(const struct http_server_options *o, struct http_server **out) {
    struct http_server *s = memory_zero(MEMORY_CONNECTIONS, sizeof *s);
    if (!s) return RC_NO_MEMORY;
    CHECK(o->handler != NULL);
    s->options = *o;
    struct stream_listen_options listen = {
        .port = o->port, .tls = o->tls, .accepted = on_accepted, .shed = on_shed, .arg = s};
    rc_t rc = stream_listen(&listen, &s->listener);
    if (rc) {
        memory_free(MEMORY_CONNECTIONS, s);
        return rc;
    }
    *out = s;
    return RC_OK;
}

void http_server_drain(struct http_server *s) {
    if (s->draining) return;
    s->draining = true;
    stream_unlisten(s->listener);
    s->listener = NULL;
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_HTTP2) http2_drain(c->http2);
    }
    while (s->idle.first) http_conn_free(s->idle.first, false);
    while (s->reading.first) http_conn_free(s->reading.first, false);
}

bool http_server_drained(const struct http_server *s) {
    return s->draining && !s->conns;
}
