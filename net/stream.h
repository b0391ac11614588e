/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h — bytes both ways, the same over TCP and over TLS. A stream belongs to the loop.
 *
 * Two ways to use one, freely mixed: callbacks (`readable`, `writable`, `closed`) outside fibers,
 * and parking calls inside them. Received bytes wait in the stream, bounded; while they wait the
 * TCP window stays shut, so a peer never makes us hold more than the window. */
#pragma once
#include "kernel/base/base.h"

struct stream;

struct net_address {
    u8 bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    u16 port;     /* host order */
};
bool net_address_is_v4(const struct net_address *a);
/* Without the port; room >= 46. */
str net_address_text(const struct net_address *a, char *to, size_t room);
rc_t net_address_parse(str text, struct net_address *out); /* RC_INVALID */

struct stream_events {                   /* each may be NULL; called on the loop, must not park */
    void (*readable)(void *arg);         /* bytes or the end of the stream have come */
    void (*writable)(void *arg);         /* room again after a short write */
    void (*closed)(void *arg, rc_t why); /* peer reset or error; the stream still must be closed */
};

struct stream_listener;
struct stream_listen_options {
    u16 port;
    bool tls;
    /* A stream is ready (for TLS: after the handshake). The callee owns it. */
    void (*accepted)(void *arg, struct stream *s);
    /* All connections are in use: end an idle one of yours. False: none, the newcomer is reset. */
    bool (*shed)(void *arg);
    void *arg;
};
rc_t stream_listen(const struct stream_listen_options *options, struct stream_listener **out);
void stream_unlisten(struct stream_listener *l);

/* Outgoing; fibers only. `tls` NULL: plain. RC_TIMEOUT; RC_IO: refused, reset; RC_DENIED: the
 * certificate; RC_INVALID: not TLS; RC_LIMIT. `why` (may be NULL) gets the TLS part's reason. */
struct tls_trust; /* tls.h */
struct tls_peer;
struct stream_tls {
    str server_name; /* for SNI, and what the certificate must be for */
    struct tls_trust *trust;
};
rc_t stream_connect(const struct net_address *to, const struct stream_tls *tls, u64 deadline_ns,
                    struct stream **out, struct diag *why);

void stream_events_set(struct stream *s, const struct stream_events *events, void *arg);
/* The bytes waiting, without copying; valid until the next call on s. Empty: none yet. */
str stream_peek(struct stream *s);
void stream_consume(struct stream *s, size_t n); /* n <= peeked */
bool stream_ended(struct stream *s);             /* peer sent its end and all bytes were consumed */
bool stream_complete(struct stream *s); /* no byte will follow those that wait */
/* Complete, but over TLS without the peer's word for it: it may have been cut (RFC 8446 6.1). */
bool stream_truncated(const struct stream *s);
/* Fibers: parks until bytes wait. RC_CLOSED: the end; RC_TIMEOUT; RC_IO: reset. */
rc_t stream_wait_readable(struct stream *s, u64 deadline_ns);
rc_t stream_wait_more(struct stream *s, size_t have,
                      u64 deadline_ns); /* until more than `have` wait */
/* Takes what fits into the send buffer, *took may be 0. Copies. Sent at the turn's end. */
rc_t stream_write_some(struct stream *s, str bytes, size_t *took);
/* The same without a copy: bytes live for ever (static files). */
rc_t stream_write_some_static(struct stream *s, str bytes, size_t *took);
/* Fibers: all of it, parking for room; RC_TIMEOUT when nothing moved for `stall_ms`. */
rc_t stream_write(struct stream *s, str bytes, u64 stall_ms);
rc_t stream_write_until(struct stream *s, str bytes, u64 deadline_ns); /* or not all was taken */
/* Parked calls on it return RC_TIMEOUT, as later ones that would park. What is buffered still
 * goes. */
void stream_give_up(struct stream *s);
void stream_flush(struct stream *s); /* now, rather than at the turn's end */
void stream_close(struct stream *s); /* graceful: sends what is buffered, then the end */
void stream_abort(struct stream *s); /* reset */

struct net_address stream_peer(const struct stream *s);
struct net_address stream_local(const struct stream *s);
bool stream_is_tls(const struct stream *s);
str stream_tls_version(const struct stream *s); /* "TLSv1.3"; empty on plain */
const struct tls_peer *stream_tls_peer(const struct stream *s); /* NULL: it showed no certificate */
str stream_alpn(const struct stream *s); /* what both sides chose to speak: "h2"; empty: nothing */
u32 stream_count(void);
u32 stream_max(void); /* CONNECTION_MAX, or fewer on a small machine */
