/* SPDX-License-Identifier: Apache-2.0 */
/* stream_tcp.c — lwIP's callbacks, turned into events that are delivered when lwIP is not running.
 *
 *   tcp_input -> on_recv: bytes into s->rx, queue(READ)            (inside lwIP: only notes)
 *   batch ends -> stream_deliver(): accepted, readable, writable, closed; fibers woken
 *   turn ends -> stream_flush_all(): tcp_output once per stream that was written to
 *
 * So an owner may close or abort any stream in any event: lwIP is never on the stack below it.
 * Back-pressure: bytes that do not fit are refused, lwIP keeps them and shuts the window.
 *
 * A closed stream drains: what it has buffered still goes out and what comes in is dropped, so that
 * an answer is not lost to a reset. Draining ends with the peer's FIN, after DRAIN_STALL_MS without
 * an acknowledgement, after DRAIN_MS in all, or once the peer has sent DRAIN_BYTES_MAX nobody
 * reads. */
#include "net/proxy_header.h"
#include "net/stream_impl.h"
#include "net/address.h"
#include "net/heap.h"
#include "net/pcb.h"
#include "kernel/base/limits.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "lwip/priv/tcp_priv.h"

#define DRAIN_STALL_MS 5000
#define DRAIN_MS 60000
#define DRAIN_BYTES_MAX (1u << 20)
#define STREAM_BYTES_LEAST 2560u /* a stream, its connection and one small buffer */
#define SPARE_MAX 64u
#define HEADER_POLLS_MAX 10u /* of a second each: a PROXY header comes with the connection */

static struct streams {
    struct stream *queued, *queued_last;
    struct stream *dirty;
    struct stream *drain_first, *drain_last; /* oldest deadline first */
    struct timer drain_timer;
    struct stream *spare;
    u32 spare_count;
    u32 count, max;
} streams_of_loop, *const streams = &streams_of_loop;

u32 stream_count(void) {
    return streams->count;
}

u32 stream_max(void) {
    if (!streams->max) {
        struct memory_use use;
        memory_use_get(MEMORY_CONNECTIONS, &use);
        streams->max =
            (u32)MIN((size_t)CONNECTION_MAX, MAX(use.limit / STREAM_BYTES_LEAST, (size_t)16));
    }
    return streams->max;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

struct stream *stream_new(void) {
    struct stream *s = streams->spare;
    if (s) {
        streams->spare = s->next_queued;
        streams->spare_count--;
    } else if (!(s = memory_alloc(MEMORY_CONNECTIONS, sizeof *s))) {
        return NULL;
    }
    memset(s, 0, sizeof *s);
    streams->count++;
    return s;
}

static void stream_free_now(struct stream *s) {
    CHECK(s->state == STREAM_DEAD && !s->queued && !s->dirty && !s->holds);
    streams->count--;
    if (streams->spare_count < SPARE_MAX) {
        s->next_queued = streams->spare;
        streams->spare = s;
        streams->spare_count++;
    } else {
        memory_free(MEMORY_CONNECTIONS, s);
    }
}

static void drain_unlink(struct stream *s) {
    if (s->drain_prev)
        s->drain_prev->drain_next = s->drain_next;
    else if (streams->drain_first == s)
        streams->drain_first = s->drain_next;
    if (s->drain_next)
        s->drain_next->drain_prev = s->drain_prev;
    else if (streams->drain_last == s)
        streams->drain_last = s->drain_prev;
    s->drain_prev = s->drain_next = NULL;
}

/* lwIP forgets the stream: no callback reaches it any more. */
static void detach(struct stream *s) {
    if (!s->pcb) return;
    pcb_set_owner(s->pcb, NULL);
    tcp_arg(s->pcb, NULL);
    tcp_recv(s->pcb, NULL);
    tcp_sent(s->pcb, NULL);
    tcp_err(s->pcb, NULL);
    tcp_poll(s->pcb, NULL, 0);
    s->pcb = NULL;
}

void stream_free_soon(struct stream *s) {
    drain_unlink(s);
    detach(s);
    stream_bytes_free(&s->rx);
    if (s->tls) tls_session_close(s);
    if (s->listener) stream_listener_release(s->listener);
    s->listener = NULL;
    s->events = NULL;
    s->reader = s->writer = NULL;
    s->state = STREAM_DEAD;
    if (!s->queued && !s->dirty && !s->holds) stream_free_now(s);
}

void stream_queue(struct stream *s, u8 events) {
    s->pending |= events;
    if (s->queued) return;
    s->queued = true;
    s->next_queued = NULL;
    if (streams->queued)
        streams->queued_last->next_queued = s;
    else
        streams->queued = s;
    streams->queued_last = s;
}

void stream_dirty(struct stream *s) {
    if (s->dirty) return;
    s->dirty = true;
    s->next_dirty = streams->dirty;
    streams->dirty = s;
}

/* ---- Delivery -------------------------------------------------------------------------------- */

static void deliver_accept(struct stream *s) {
    struct stream_listener *l = s->listener;
    if (!l || !l->pcb) { /* the listener has gone meanwhile */
        stream_abort(s);
        return;
    }
    s->listener = NULL;
    s->started = true;
    if (tls_session_challenged(s)) stream_close(s); /* it has seen what it came for */
    else l->options.accepted(l->options.arg, s);
    stream_listener_release(l);
}

static void wake(struct fiber **f) {
    struct fiber *it = *f;
    *f = NULL;
    if (it) fiber_wake(it);
}

static bool (*expects_header)(const struct net_address *peer, u16 our_port);

void stream_proxies_use(bool (*expects)(const struct net_address *peer, u16 our_port)) {
    expects_header = expects;
}

/* Whose bytes follow: before TLS, before anybody is told. false: not yet, or the stream is gone. */
static bool header_taken(struct stream *s) {
    struct proxy_header h;
    rc_t rc = proxy_header_parse(stream_raw_peek(s), &h);
    if (rc == RC_AGAIN && !s->ended) return false;
    if (rc) {
        stream_abort(s);
        return false;
    }
    stream_raw_consume(s, h.length);
    if (h.told) s->peer = h.client;
    s->proxied = false;
    return true;
}

static void deliver_one(struct stream *s) {
    if (s->proxied && s->state == STREAM_OPEN) {
        if (s->why) stream_abort(s); /* nobody is told of it */
        if (s->why || !header_taken(s)) return;
    }
    u8 events = s->pending;
    s->pending = 0;
    if (s->tls && s->state == STREAM_OPEN) tls_session_input(s); /* may set or clear what waits */
    events |= s->pending, s->pending = 0;
    bool plain_or_ready = !s->tls || tls_session_ready(s) || s->why;
    if (s->state == STREAM_OPEN && events & EVENT_ACCEPT) {
        if (s->tls && !tls_session_ready(s))
            s->pending |= EVENT_ACCEPT; /* after the handshake */
        else
            deliver_accept(s);
    }
    if (!plain_or_ready || (!s->started && s->state == STREAM_OPEN && s->listener)) return;
    if (s->state == STREAM_OPEN && events & EVENT_READ) {
        wake(&s->reader);
        if (s->events && s->events->readable) s->events->readable(s->arg);
    }
    if (s->state == STREAM_OPEN && events & EVENT_WRITE) {
        wake(&s->writer);
        if (s->events && s->events->writable) s->events->writable(s->arg);
    }
    if (s->state == STREAM_CONNECTING && events & EVENT_CLOSED) wake(&s->writer);
    if (s->state == STREAM_OPEN && events & EVENT_CLOSED) {
        wake(&s->reader);
        wake(&s->writer);
        if (s->events && s->events->closed) s->events->closed(s->arg, s->why);
    }
}

/* A TLS stream whose handshake broke before anybody owned it. */
static bool orphan(const struct stream *s) {
    return s->state == STREAM_OPEN && s->listener && s->why;
}

void stream_deliver(void) {
    for (u32 n = streams->count + 64; streams->queued && n; n--) {
        struct stream *s = streams->queued;
        streams->queued = s->next_queued;
        s->queued = false;
        s->holds++;
        if (s->state != STREAM_DEAD) deliver_one(s);
        if (orphan(s) && tls_session_dropped(s)) stream_abort(s);
        else if (orphan(s)) stream_close(s); /* an alert may still be on its way */
        s->holds--;
        if (s->state == STREAM_DEAD && !s->queued && !s->dirty && !s->holds) stream_free_now(s);
    }
}

bool stream_work_waits(void) {
    return streams->queued != NULL;
}

void stream_flush_all(void) {
    while (streams->dirty) {
        struct stream *s = streams->dirty;
        streams->dirty = s->next_dirty;
        s->dirty = false;
        if (s->pcb) (void)tcp_output(s->pcb);
        if (s->state == STREAM_DEAD && !s->queued && !s->holds) stream_free_now(s);
    }
}

/* ---- lwIP calls us --------------------------------------------------------------------------- */

static void drain_check(struct stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    if (!pcb || !s->ended || pcb->unsent || pcb->unacked) return;
    stream_free_soon(s); /* both directions are done; lwIP sees TIME_WAIT or LAST_ACK out alone */
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t e) {
    struct stream *s = arg;
    (void)e;
    if (!s) {
        if (p) {
            tcp_recved(pcb, p->tot_len);
            pbuf_free(p);
        }
        return ERR_OK;
    }
    if (!p) {
        s->ended = true;
        if (s->state == STREAM_DRAINING)
            drain_check(s);
        else
            stream_queue(s, EVENT_READ);
        return ERR_OK;
    }
    if (s->state == STREAM_DRAINING) {
        s->drained_bytes += p->tot_len;
        if (s->drained_bytes < DRAIN_BYTES_MAX) tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        return ERR_OK;
    }
    if (!s->window_opened) { /* RFC 6928: ten segments may go before the first acknowledgement */
        s->window_opened = true;
        pcb->cwnd = MAX(pcb->cwnd, (tcpwnd_size_t)(10 * pcb->mss));
    }
    if (stream_bytes_reserve(&s->rx, p->tot_len, stream_bytes_max())) return ERR_MEM;
    (void)pbuf_copy_partial(p, s->rx.ptr + s->rx.at + s->rx.len, p->tot_len, 0);
    s->rx.len += p->tot_len;
    pbuf_free(p);
    stream_queue(s, EVENT_READ);
    return ERR_OK;
}

static void drain_touch(struct stream *s);

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n) {
    struct stream *s = arg;
    (void)pcb, (void)n;
    if (!s) return ERR_OK;
    if (s->state == STREAM_DRAINING) {
        drain_touch(s);
        drain_check(s);
    } else if (s->want_room) {
        stream_queue(s, EVENT_WRITE);
    }
    return ERR_OK;
}

/* Once a second: a writer that found no memory has no acknowledgement to wait for; a load balancer
 * that does not say whose bytes follow is not waited for for ever. Nobody owns its stream yet. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb) {
    struct stream *s = arg;
    (void)pcb;
    if (!s || s->state != STREAM_OPEN) return ERR_OK;
    if (s->want_room) stream_queue(s, EVENT_WRITE);
    if (s->proxied && !s->why && ++s->header_polls >= HEADER_POLLS_MAX) {
        s->why = RC_TIMEOUT;
        stream_queue(s, EVENT_CLOSED);
    }
    return ERR_OK;
}

static void on_err(void *arg, err_t e) {
    struct stream *s = arg;
    if (!s) return;
    s->pcb = NULL;
    if (!s->why) s->why = e == ERR_CLSD ? RC_CLOSED : RC_IO;
    stream_queue(s, EVENT_CLOSED);
}

/* lwIP frees the block, whatever the reason; on_err may follow. */
void stream_pcb_gone(struct stream *s) {
    s->pcb = NULL;
    if (s->state == STREAM_DRAINING) {
        stream_free_soon(s);
        return;
    }
    if (s->state == STREAM_DEAD) return;
    if (!s->why) s->why = RC_IO;
    stream_queue(s, EVENT_CLOSED);
}

void stream_callbacks_set(struct stream *s) {
    tcp_arg(s->pcb, s);
    tcp_recv(s->pcb, on_recv);
    tcp_sent(s->pcb, on_sent);
    tcp_err(s->pcb, on_err);
    tcp_poll(s->pcb, on_poll, 1000 / TCP_SLOW_INTERVAL);
    tcp_nagle_disable(s->pcb);
    net_address_from_ip(&s->pcb->remote_ip, s->pcb->remote_port, &s->peer);
    net_address_from_ip(&s->pcb->local_ip, s->pcb->local_port, &s->local);
}

/* One stream fewer: one that only drains, else one that has said nothing, else one its owner can do
 * without. */
static bool room_made(struct stream_listener *l) {
    struct stream *draining = streams->drain_first;
    if (!draining)
        return tls_session_make_room() || (l->options.shed && l->options.shed(l->options.arg));
    struct tcp_pcb *pcb = draining->pcb;
    stream_free_soon(draining);
    if (pcb) pcb_abort(pcb);
    return true;
}

err_t stream_on_accept(void *arg, struct tcp_pcb *pcb, err_t e) {
    struct stream_listener *l = arg;
    if (e != ERR_OK || !pcb || !l) return ERR_VAL;
    pcb_accepted(pcb, NULL);
    if (streams->count >= stream_max() && !room_made(l)) return ERR_MEM; /* lwIP resets it */
    struct stream *s = stream_new();
    if (!s) return ERR_MEM;
    s->pcb = pcb;
    s->state = STREAM_OPEN;
    s->listener = l;
    l->references++;
    if (l->options.tls && tls_session_open_server(s) != RC_OK) {
        s->pcb = NULL;
        stream_free_soon(s);
        return ERR_MEM;
    }
    pcb_set_owner(pcb, s);
    stream_callbacks_set(s);
    s->proxied = expects_header && expects_header(&s->peer, s->local.port);
    stream_queue(s, EVENT_ACCEPT);
    return ERR_OK;
}

err_t stream_on_connected(void *arg, struct tcp_pcb *pcb, err_t e) {
    struct stream *s = arg;
    (void)pcb, (void)e;
    if (!s) return ERR_OK;
    s->state = STREAM_OPEN;
    stream_queue(s, EVENT_WRITE);
    return ERR_OK;
}

/* ---- Draining -------------------------------------------------------------------------------- */

static void on_drain_timer(void *arg) {
    (void)arg;
    u64 now = platform_clock_ns();
    struct stream *s;
    while ((s = streams->drain_first) && s->drain_deadline_ns <= now) {
        struct tcp_pcb *pcb = s->pcb;
        bool owes = pcb && (pcb->unsent || pcb->unacked);
        stream_free_soon(s);
        if (owes)
            pcb_abort(pcb);
        else if (pcb)
            pcb_close(pcb); /* lwIP ends FIN_WAIT_2 by itself */
    }
    if (s) (void)timer_start(&streams->drain_timer, s->drain_deadline_ns);
}

static void drain_touch(struct stream *s) {
    u64 now = platform_clock_ns();
    drain_unlink(s);
    s->drain_deadline_ns = MIN(now + DRAIN_STALL_MS * NS_PER_MS, s->drain_end_ns);
    s->drain_prev = streams->drain_last;
    if (streams->drain_last)
        streams->drain_last->drain_next = s;
    else
        streams->drain_first = s;
    streams->drain_last = s;
    if (timer_waiting(&streams->drain_timer)) return;
    timer_init(&streams->drain_timer, on_drain_timer, NULL);
    (void)timer_start(&streams->drain_timer, streams->drain_first->drain_deadline_ns);
}

/* The owner is done with it and lwIP may still have to send. */
void stream_drain(struct stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    u32 unread = s->rx.len;
    s->state = STREAM_DRAINING;
    s->events = NULL;
    s->reader = s->writer = NULL;
    if (s->tls) tls_session_close(s); /* nothing more is read or written: its memory is free now */
    stream_bytes_free(&s->rx);
    tcp_err(pcb, NULL);
    for (u32 n; unread; unread -= n) {
        n = MIN(unread, 0xFFFFu);
        tcp_recved(pcb, (u16_t)n);
    }
    s->drain_end_ns = platform_clock_ns() + DRAIN_MS * NS_PER_MS;
    drain_touch(s);
    s->holds++;
    err_t e = pcb_shutdown_send(pcb);
    s->holds--;
    if (s->state != STREAM_DRAINING) { /* the call itself ended it */
        if (!s->queued && !s->dirty && !s->holds) stream_free_now(s);
        return;
    }
    if (e == ERR_OK || e == ERR_MEM) {
        drain_check(s);
        return;
    }
    stream_free_soon(s);
    pcb_abort(pcb);
}
