/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel.c — a connection that has left HTTP (WebSocket and the like): bytes both ways.
 *
 *   client.rx --peek--> upstream.tx        upstream.rx --peek--> client.tx
 *
 * No fiber and no buffer of its own: what cannot be written stays where it was received, whose
 * window then shuts, so a slow side stops the other. A tunnel costs its struct and a timer, and
 * thousands may sit idle.
 *
 * Either side's end ends both, what was received before it is still sent. Always true: a tunnel is
 * in the list until both streams are closed; `reserved` + open ones <= PROXY_TUNNELS_MAX. */
#include "app/gateway/proxy.h"
#include "app/metrics/metrics.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "net/stream.h"

struct side {
    struct tunnel *of;
    struct stream *stream;
};
struct tunnel {
    struct tunnel *prev, *next;
    struct side client, upstream;
    struct timer idle;
    u64 idle_ms;
};
static struct tunnel *first;
static u32 reserved, open_count;

static void tunnel_end(struct tunnel *t, bool abort) {
    if (t->prev) t->prev->next = t->next;
    else first = t->next;
    if (t->next) t->next->prev = t->prev;
    timer_stop(&t->idle);
    stream_events_set(t->client.stream, NULL, NULL);
    stream_events_set(t->upstream.stream, NULL, NULL);
    if (abort) {
        stream_abort(t->client.stream);
        stream_abort(t->upstream.stream);
    } else {
        stream_close(t->client.stream);
        stream_close(t->upstream.stream);
    }
    memory_free(MEMORY_CONNECTIONS, t);
    open_count--;
}

/* false: the tunnel is gone. */
static bool move(struct tunnel *t, struct side *from, struct side *to) {
    for (;;) {
        str bytes = stream_peek(from->stream);
        size_t took = 0;
        if (!bytes.len) break;
        if (stream_write_some(to->stream, bytes, &took)) {
            tunnel_end(t, true);
            return false;
        }
        if (!took) return true; /* the other side is full; it will say when it is not */
        stream_consume(from->stream, took);
    }
    if (!stream_complete(from->stream)) return true;
    tunnel_end(t, stream_truncated(from->stream));
    return false;
}

static void touch(struct tunnel *t) {
    (void)timer_start(&t->idle, loop_now_ns() + t->idle_ms * NS_PER_MS);
}

static struct side *other(struct side *s) {
    return s == &s->of->client ? &s->of->upstream : &s->of->client;
}

static void on_readable(void *arg) {
    struct side *s = arg;
    touch(s->of);
    (void)move(s->of, s, other(s));
}
static void on_writable(void *arg) {
    struct side *s = arg;
    touch(s->of);
    (void)move(s->of, other(s), s);
}
static void on_closed(void *arg, rc_t why) {
    struct side *s = arg;
    (void)why;
    tunnel_end(s->of, true);
}
static const struct stream_events events = {on_readable, on_writable, on_closed};

static void on_idle(void *arg) { tunnel_end(arg, false); }

rc_t tunnel_reserve(void) {
    if (reserved + open_count >= PROXY_TUNNELS_MAX) return RC_LIMIT;
    reserved++;
    return RC_OK;
}
void tunnel_unreserve(void) {
    CHECK(reserved > 0);
    reserved--;
}

void tunnel_open(struct stream *client, struct stream *upstream, u64 idle_ms) {
    struct tunnel *t = memory_zero(MEMORY_CONNECTIONS, sizeof *t);
    tunnel_unreserve();
    if (!t) {
        stream_abort(client);
        stream_abort(upstream);
        return;
    }
    t->client = (struct side){t, client};
    t->upstream = (struct side){t, upstream};
    t->idle_ms = idle_ms;
    t->next = first;
    if (first) first->prev = t;
    first = t;
    open_count++;
    metric_add(METRIC_GATEWAY_TUNNELS, 1);
    timer_init(&t->idle, on_idle, t);
    touch(t);
    stream_events_set(client, &events, &t->client);
    stream_events_set(upstream, &events, &t->upstream);
    if (move(t, &t->client, &t->upstream)) (void)move(t, &t->upstream, &t->client);
}

void tunnel_stop(void) {
    while (first) tunnel_end(first, false);
}
u32 tunnel_count(void) { return open_count; }
