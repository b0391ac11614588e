/* SPDX-License-Identifier: Apache-2.0 */
/* stream_impl.h — a stream from inside: stream.c (TCP and the public calls), stream_tcp.c (lwIP's
 * callbacks), tls_session.c (records). Not for other folders. */
#pragma once
#include "net/stream.h"
#include "net/net_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/core/timer.h"
#include "lwip/tcp.h"

struct tls_session;

enum stream_state {
    STREAM_CONNECTING, /* outgoing, no answer yet */
    STREAM_OPEN,       /* somebody owns it */
    STREAM_DRAINING,   /* closed by its owner; lwIP still sends, what comes is dropped */
    STREAM_DEAD        /* only waits to leave the lists it is in */
};
enum { EVENT_ACCEPT = 1, EVENT_READ = 2, EVENT_WRITE = 4, EVENT_CLOSED = 8 };

/* Received bytes, contiguous: [at, at + len) of `room`. No memory while empty. */
struct stream_bytes {
    char *ptr;
    u32 at, len, room;
};

struct stream {
    struct tcp_pcb *pcb;              /* NULL: lwIP has freed it */
    struct stream_listener *listener; /* until accepted */
    enum stream_state state;
    rc_t why;   /* why there is no pcb */
    bool ended; /* the peer's FIN came */
    bool proxied; /* a PROXY header must come first */
    u8 header_polls; /* seconds it has been waited for */
    bool window_opened, want_room, dirty, queued, started;
    u8 pending, holds; /* EVENT_*; holds: somebody up the stack still looks at it */
    struct stream_bytes rx;
    const struct stream_events *events;
    void *arg;
    struct fiber *reader, *writer;
    struct stream *next_queued, *next_dirty;
    struct stream *drain_prev, *drain_next;
    u64 drain_deadline_ns, drain_end_ns;
    u32 drained_bytes;
    struct net_address peer, local;
    struct tls_session *tls;
};

struct stream_listener {
    struct stream_listen_options options;
    struct tcp_pcb *pcb;
    u32 references; /* itself, and streams not yet accepted */
};

/* stream_bytes.c */
rc_t stream_bytes_add(struct stream_bytes *b, const void *bytes, u32 n, u32 max);
rc_t stream_bytes_reserve(struct stream_bytes *b, u32 more, u32 max);
void stream_bytes_drop(struct stream_bytes *b, u32 n);
void stream_bytes_free(struct stream_bytes *b);
u32 stream_bytes_max(void); /* what one stream may hold just now */

/* stream_tcp.c: lwIP's side */
struct stream *stream_new(void);
void stream_free_soon(struct stream *s); /* frees it once no list and no caller holds it */
void stream_queue(struct stream *s, u8 events);
void stream_dirty(struct stream *s);
void stream_callbacks_set(struct stream *s);
err_t stream_on_accept(void *arg, struct tcp_pcb *pcb, err_t e);
err_t stream_on_connected(void *arg, struct tcp_pcb *pcb, err_t e);
void stream_drain(struct stream *s);
void stream_listener_release(struct stream_listener *l);

/* stream.c: the bytes below TLS */
str stream_raw_peek(struct stream *s);
void stream_raw_consume(struct stream *s, size_t n);
rc_t stream_raw_write(struct stream *s, str bytes, size_t *took, bool copy);
u32 stream_raw_room(struct stream *s);

/* tls_session.c */
rc_t tls_session_open_server(struct stream *s);
rc_t tls_session_open_client(struct stream *s, const struct stream_tls *tls);
void tls_session_words(const struct stream *s, struct diag *why); /* why the handshake failed */
bool tls_session_truncated(const struct stream *s);
bool tls_session_make_room(void);               /* ends a connection that has never said a word */
bool tls_session_dropped(const struct stream *s); /* refused before any arithmetic: reset it */
void tls_session_close(struct stream *s);       /* may outlive the stream while a worker has it */
void tls_session_notify(struct stream *s);      /* close_notify, best effort */
void tls_session_input(struct stream *s);       /* bytes or the end have come below */
bool tls_session_ready(const struct stream *s); /* the handshake is over */
str tls_session_peek(struct stream *s);
void tls_session_consume(struct stream *s, size_t n);
bool tls_session_ended(const struct stream *s);
bool tls_session_complete(const struct stream *s);
rc_t tls_session_write(struct stream *s, str bytes, size_t *took);
bool tls_session_flush(struct stream *s); /* ciphertext that found no room; true: none is left */
str tls_session_version(const struct stream *s);
str tls_session_alpn(const struct stream *s);
bool tls_session_challenged(const struct stream *s); /* by an authority that looks (RFC 8737) */
const struct tls_peer *tls_session_peer(const struct stream *s);
