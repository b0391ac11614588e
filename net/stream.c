/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c — the public calls: listen, connect, look, take, write, close. The same for TCP and TLS:
 * below these lines a stream either has a TLS session, which keeps its own plain bytes, or it has
 * not. What one stream may have unsent is bounded by a share of what the network budget has left,
 * so that a thousand slow readers do not take all the memory. */
#include "net/stream_impl.h"
#include "net/address.h"
#include "net/heap.h"
#include "net/link_impl.h"
#include "net/pcb.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "lwip/priv/tcp_priv.h"

#define SEND_LEAST KIB(16) /* unsent bytes any stream may have */

/* ---- Listening, connecting ------------------------------------------------------------------- */

rc_t stream_listen(const struct stream_listen_options *o, struct stream_listener **out) {
    net_init();
    struct stream_listener *l = memory_zero(MEMORY_CONNECTIONS, sizeof *l);
    if (!l) return RC_NO_MEMORY;
    CHECK(o->accepted != NULL);
    l->options = *o;
    l->references = 1;
    l->pcb = pcb_listen(o->port, stream_on_accept, l);
    if (!l->pcb) {
        memory_free(MEMORY_CONNECTIONS, l);
        return RC_CONFLICT;
    }
    *out = l;
    return RC_OK;
}

void stream_listener_release(struct stream_listener *l) {
    CHECK(l->references > 0);
    if (--l->references == 0) memory_free(MEMORY_CONNECTIONS, l);
}

void stream_unlisten(struct stream_listener *l) {
    CHECK(l->pcb != NULL);
    pcb_unlisten(l->pcb);
    l->pcb = NULL;
    stream_listener_release(l);
}

static rc_t wait_for(struct fiber **slot, u64 deadline_ns) {
    CHECK(fiber_inside());
    *slot = fiber_self();
    rc_t rc = fiber_park(deadline_ns);
    *slot = NULL;
    return rc;
}

rc_t stream_connect(const struct net_address *to, const struct stream_tls *tls, u64 deadline_ns,
                    struct stream **out, struct diag *why) {
    ip_addr_t ip;
    rc_t rc = RC_OK;
    struct stream *s = stream_new();
    if (!s) return RC_LIMIT;
    net_address_to_ip(to, &ip);
    s->state = STREAM_CONNECTING;
    s->started = true;
    s->pcb = pcb_connect(&ip, to->port, stream_on_connected, s);
    if (!s->pcb) {
        stream_free_soon(s);
        return RC_IO;
    }
    pcb_set_owner(s->pcb, s);
    stream_callbacks_set(s);
    while (s->state == STREAM_CONNECTING && !s->why && rc == RC_OK)
        rc = wait_for(&s->writer, deadline_ns);
    if (!rc && s->why) rc = RC_IO;
    if (!rc && tls) {
        rc = tls_session_open_client(s, tls);
        if (!rc) stream_queue(s, EVENT_READ);
        while (!rc && !s->why && !tls_session_ready(s)) rc = wait_for(&s->reader, deadline_ns);
        if (!rc && s->why) rc = s->why;
        if (rc && why && s->tls) tls_session_words(s, why);
    }
    if (rc)
        stream_abort(s);
    else
        *out = s;
    return rc;
}

void stream_events_set(struct stream *s, const struct stream_events *events, void *arg) {
    s->events = events;
    s->arg = arg;
    if (s->why)
        stream_queue(s, EVENT_CLOSED);
    else if (s->rx.len || s->ended)
        stream_queue(s, EVENT_READ);
}

/* ---- Reading --------------------------------------------------------------------------------- */

str stream_raw_peek(struct stream *s) {
    return str_of(s->rx.ptr + s->rx.at, s->rx.len);
}

void stream_raw_consume(struct stream *s, size_t n) {
    stream_bytes_drop(&s->rx, (u32)n);
    if (!s->pcb) return;
    for (size_t left = n, step; left; left -= step) {
        step = MIN(left, (size_t)0xFFFF);
        tcp_recved(s->pcb, (u16_t)step);
    }
    if (s->pcb && s->pcb->refused_data) (void)tcp_process_refused_data(s->pcb);
}

str stream_peek(struct stream *s) {
    return s->tls ? tls_session_peek(s) : stream_raw_peek(s);
}

void stream_consume(struct stream *s, size_t n) {
    if (s->tls)
        tls_session_consume(s, n);
    else if (n)
        stream_raw_consume(s, n);
}

bool stream_ended(struct stream *s) {
    if (s->tls) return tls_session_ended(s);
    return s->ended && s->rx.len == 0;
}

rc_t stream_wait_readable(struct stream *s, u64 deadline_ns) {
    return stream_wait_more(s, 0, deadline_ns);
}

bool stream_complete(struct stream *s) { return s->tls ? tls_session_complete(s) : s->ended; }

bool stream_truncated(const struct stream *s) { return s->tls && tls_session_truncated(s); }

rc_t stream_wait_more(struct stream *s, size_t have, u64 deadline_ns) {
    for (;;) {
        if (stream_peek(s).len > have) return RC_OK;
        if (s->why) return s->why;
        if (stream_complete(s)) return RC_CLOSED;
        rc_t rc = wait_for(&s->reader, deadline_ns);
        if (rc) return rc;
    }
}

/* ---- Writing --------------------------------------------------------------------------------- */

u32 stream_raw_room(struct stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    if (!pcb || tcp_sndqueuelen(pcb) + 8 > TCP_SND_QUEUELEN) return 0;
    size_t used = net_heap_used(), limit = net_heap_limit();
    size_t share = MAX(used < limit ? (limit - used) / 8 : 0, SEND_LEAST);
    size_t unsent = TCP_SND_BUF - pcb->snd_buf;
    if (net_heap_tight()) share = SEND_LEAST;
    return unsent >= share ? 0 : (u32)MIN((size_t)pcb->snd_buf, share - unsent);
}

rc_t stream_raw_write(struct stream *s, str bytes, size_t *took, bool copy) {
    *took = 0;
    if (!s->pcb) return s->why ? s->why : RC_CLOSED;
    size_t room = stream_raw_room(s);
    str rest = str_take(bytes, room);
    while (rest.len) {
        u16_t n = (u16_t)MIN(rest.len, (size_t)0xFFFF);
        err_t e = tcp_write(s->pcb, rest.ptr, n, copy ? TCP_WRITE_FLAG_COPY : 0);
        if (e == ERR_MEM && n > TCP_MSS) { /* a smaller piece may still fit */
            n = TCP_MSS;
            e = tcp_write(s->pcb, rest.ptr, n, copy ? TCP_WRITE_FLAG_COPY : 0);
        }
        if (e == ERR_MEM) break;
        if (e) return rc_from_lwip(e);
        *took += n;
        rest = str_skip(rest, n);
    }
    s->want_room = *took < bytes.len;
    if (*took || s->want_room) stream_dirty(s);
    return RC_OK;
}

rc_t stream_write_some(struct stream *s, str bytes, size_t *took) {
    return s->tls ? tls_session_write(s, bytes, took) : stream_raw_write(s, bytes, took, true);
}

rc_t stream_write_some_static(struct stream *s, str bytes, size_t *took) {
    return s->tls ? tls_session_write(s, bytes, took) : stream_raw_write(s, bytes, took, false);
}

/* `until_ns` 0: `stall_ms` anew for each wait. */
static rc_t write_all(struct stream *s, str bytes, u64 stall_ms, u64 until_ns) {
#define PATIENCE (until_ns ? until_ns : platform_clock_ns() + stall_ms * NS_PER_MS)
    while (bytes.len) {
        size_t took = 0;
        rc_t rc = stream_write_some(s, bytes, &took);
        if (rc) return rc;
        bytes = str_skip(bytes, took);
        if (!bytes.len) break;
        if (took)
            continue; /* try once more before parking: the session may have had a full record */
        rc = wait_for(&s->writer, PATIENCE);
        if (rc) return rc;
        if (s->why) return s->why;
    }
    /* A record that found no memory in TCP is ours to see out: its owner may close next. */
    while (s->tls && s->pcb && !s->why && !tls_session_flush(s)) {
        rc_t rc = wait_for(&s->writer, PATIENCE);
        if (rc) return rc;
        if (s->why) return s->why;
    }
    return RC_OK;
#undef PATIENCE
}

rc_t stream_write(struct stream *s, str bytes, u64 stall_ms) {
    return write_all(s, bytes, stall_ms, 0);
}

rc_t stream_write_until(struct stream *s, str bytes, u64 deadline_ns) {
    return write_all(s, bytes, 0, deadline_ns);
}

void stream_give_up(struct stream *s) {
    if (!s->why) s->why = RC_TIMEOUT;
    if (s->reader) fiber_wake(s->reader);
    if (s->writer) fiber_wake(s->writer);
}

void stream_flush(struct stream *s) {
    if (s->pcb) (void)tcp_output(s->pcb);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void stream_close(struct stream *s) {
    CHECK(s->state == STREAM_OPEN || s->state == STREAM_CONNECTING);
    if (s->tls && s->pcb) tls_session_notify(s);
    if (!s->pcb || s->state == STREAM_CONNECTING) {
        stream_abort(s);
        return;
    }
    stream_drain(s);
}

void stream_abort(struct stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    CHECK(s->state != STREAM_DEAD);
    stream_free_soon(s); /* detaches first, so that lwIP's error callback finds nobody */
    if (pcb) pcb_abort(pcb);
}

struct net_address stream_peer(const struct stream *s) {
    return s->peer;
}
struct net_address stream_local(const struct stream *s) {
    return s->local;
}
bool stream_is_tls(const struct stream *s) {
    return s->tls != NULL;
}
str stream_tls_version(const struct stream *s) {
    return s->tls ? tls_session_version(s) : S("");
}
str stream_alpn(const struct stream *s) {
    return s->tls ? tls_session_alpn(s) : S("");
}
const struct tls_peer *stream_tls_peer(const struct stream *s) {
    return s->tls ? tls_session_peer(s) : NULL;
}
