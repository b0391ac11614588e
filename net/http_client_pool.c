/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_pool.c — connections to servers: made, kept for the next call, bounded.
 *
 *   call --take--> idle one of the same origin and trust --or--> resolve, connect, handshake
 *        <--give-- back to the front of the list | closed
 *
 * A connection may be used again only for what it was made for: scheme, host, port, the name its
 * certificate was checked against, and the trust it was checked with. While idle it is watched: a
 * byte nobody asked for, or the peer's end, closes it at once, so that few are found dead later.
 *
 * Always true: every call is in the list once; an idle one has its timer running; the counts of the
 * list are within the CLIENT_*_MAX. */
#include "net/http_client_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/link.h"

static struct http_client_call *first, *last;
static bool stopped;
struct http_client_stats client_counters;

void http_client_stats_get(struct http_client_stats *out) {
    *out = client_counters;
}

/* ---- The list -------------------------------------------------------------------------------- */

static void unlink_call(struct http_client_call *c) {
    if (c->prev)
        c->prev->next = c->next;
    else
        first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        last = c->prev;
    c->prev = c->next = NULL;
}

static void link_front(struct http_client_call *c) {
    c->prev = NULL;
    c->next = first;
    if (first)
        first->prev = c;
    else
        last = c;
    first = c;
}

static bool same_origin(const struct http_client_call *c, const struct client_target *t) {
    return c->tls == t->url.tls && c->port == t->url.port &&
           str_eq_nocase(str_from_c(c->host), t->url.host);
}

static bool same_target(const struct http_client_call *c, const struct client_target *t) {
    return same_origin(c, t) && c->trust == t->trust &&
           (!c->tls || str_eq_nocase(str_from_c(c->server_name), t->server_name));
}

void client_drop(struct http_client_call *c, bool reset) {
    unlink_call(c);
    timer_stop(&c->timer);
    client_counters.open--;
    if (c->idle) client_counters.idle--;
    if (c->stream && reset)
        stream_abort(c->stream);
    else if (c->stream)
        stream_close(c->stream);
    tls_trust_release(c->trust);
    memory_free(MEMORY_CONNECTIONS, c);
}

/* ---- Idle ------------------------------------------------------------------------------------ */

static void on_idle_end(void *arg) {
    client_drop(arg, false);
}
static void on_idle_closed(void *arg, rc_t why) {
    (void)why;
    client_drop(arg, true);
}
/* Over TLS what came may be a ticket, which is nobody's business up here. */
static void on_idle_readable(void *arg) {
    struct http_client_call *c = arg;
    if (stream_peek(c->stream).len || stream_complete(c->stream)) client_drop(c, false);
}
static const struct stream_events idle_events = {.readable = on_idle_readable,
                                                 .closed = on_idle_closed};

static u32 idle_of(const struct http_client_call *like) {
    u32 n = 0;
    for (struct http_client_call *c = first; c; c = c->next)
        n +=
            c->idle && c->port == like->port && c->tls == like->tls && !strcmp(c->host, like->host);
    return n;
}

static bool drop_oldest_idle(void) {
    struct http_client_call *c = last;
    while (c && !c->idle) c = c->prev;
    if (c) client_drop(c, false);
    return c != NULL;
}

void client_pool_give(struct http_client_call *c) {
    bool quiet =
        c->complete && !c->broken && !stream_peek(c->stream).len && !stream_complete(c->stream);
    bool room = idle_of(c) < CLIENT_IDLE_ORIGIN_MAX;
    timer_init(&c->timer, on_idle_end, c);
    if (!c->keep || !quiet || !room || stopped || timer_start_after_ms(&c->timer, c->idle_ms)) {
        client_drop(c, !c->complete || c->broken);
        return;
    }
    if (client_counters.idle >= CLIENT_IDLE_MAX) (void)drop_oldest_idle();
    unlink_call(c);
    link_front(c);
    c->idle = true;
    client_counters.idle++;
    stream_events_set(c->stream, &idle_events, c);
}

static bool may_call(const struct http_client_request *r, str host, const struct net_address *to) {
    return (r->may_call ? r->may_call : http_client_public)(r->may_call_arg, host, to);
}

struct http_client_call *client_pool_take(const struct client_target *t,
                                          const struct http_client_request *r) {
    for (struct http_client_call *c = first; c; c = c->next) {
        struct net_address peer;
        if (!c->idle || !same_target(c, t)) continue;
        peer = stream_peer(c->stream);
        if (!may_call(r, t->url.host, &peer)) continue;
        timer_stop(&c->timer);
        stream_events_set(c->stream, NULL, NULL);
        c->idle = false;
        c->reused = true;
        client_counters.idle--;
        client_counters.reused++;
        return c;
    }
    return NULL;
}

/* ---- Where one may call ---------------------------------------------------------------------- */

bool http_client_public(void *arg, str host, const struct net_address *to) {
    static const u8 zero[16];
    const u8 *b = to->bytes;
    (void)arg, (void)host;
    if (net_address_is_v4(to)) {
        b += 12;
        bool this_network = b[0] == 0, link_local = b[0] == 169 && b[1] == 254;
        return !this_network && !link_local && b[0] < 224; /* multicast, reserved, broadcast */
    }
    static const u8 nat64[12] = {0, 0x64, 0xFF, 0x9B}; /* RFC 6052: an IPv4 address inside */
    bool link_local = (b[0] == 0xFE && (b[1] & 0xC0) == 0x80) ||
                      (!memcmp(b, nat64, 12) && b[12] == 169 && b[13] == 254);
    return !link_local && b[0] != 0xFF && memcmp(b, zero, 16) != 0;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static rc_t room_for(const struct client_target *t, struct diag *why) {
    u32 here = 0;
    if (stopped) {
        diag_set(why, "the appliance is stopping");
        return RC_CLOSED;
    }
    for (struct http_client_call *c = first; c; c = c->next) here += same_origin(c, t);
    if (here < CLIENT_ORIGIN_MAX && (client_counters.open < CLIENT_OPEN_MAX || drop_oldest_idle()))
        return RC_OK;
    diag_set(why, "too many calls are under way to %.*s", STR(str_take(t->url.host, 100)));
    return RC_LIMIT;
}

static void explain(rc_t rc, const struct client_target *t, const struct net_address *to,
                    struct diag *why, const char *reason) {
    char text[46];
    struct diag copy;
    diag_set(&copy, "%s", reason); /* may lie in *why */
    diag_set(why, "%.*s (%.*s port %u): %s", STR(str_take(t->url.host, 80)),
             STR(net_address_text(to, text, sizeof text)), t->url.port,
             copy.text[0]       ? copy.text
             : rc == RC_TIMEOUT ? "no answer in time"
             : rc == RC_LIMIT   ? "no connection is left"
                                : "the connection was refused or reset");
}

static rc_t connect_one(const struct client_target *t, struct net_address *to, u64 deadline_ns,
                        struct stream **out, struct diag *why) {
    struct stream_tls tls = {t->server_name, t->trust};
    struct diag inner = {0};
    to->port = t->url.port;
    rc_t rc = stream_connect(to, t->url.tls ? &tls : NULL, deadline_ns, out, &inner);
    if (rc) explain(rc, t, to, why, inner.text);
    return rc == RC_INVALID ? RC_IO : rc; /* not TLS */
}

/* All addresses in turn; the last reason stands. */
static rc_t connect_any(const struct client_target *t, const struct http_client_request *r,
                        struct stream **out, struct diag *why) {
    struct net_address list[NAME_ADDRESSES_MAX];
    u32 count;
    rc_t rc = name_resolve_all(t->url.host, r->deadline_ns, list, ARRAY_LEN(list), &count);
    if (rc) {
        diag_set(why, "%.*s: %s", STR(str_take(t->url.host, 100)),
                 rc == RC_NOT_FOUND ? "no such name" : "its name could not be looked up");
        return rc;
    }
    rc = RC_DENIED;
    explain(rc, t, &list[0], why, "this address may not be called");
    for (u32 i = 0; i < count; i++) {
        if (!may_call(r, t->url.host, &list[i])) continue;
        u64 now = platform_clock_ns(), until = r->deadline_ns;
        if (i + 1 < count) until = MIN(until, now + (u64)CLIENT_CONNECT_MS * NS_PER_MS);
        rc = connect_one(t, &list[i], until, out, why);
        if (!rc || rc == RC_LIMIT || platform_clock_ns() >= r->deadline_ns) return rc;
    }
    return rc;
}

static rc_t connect_again(const struct client_target *t, const struct http_client_request *r,
                          struct stream **out, struct diag *why) {
    u64 pause_ms = 100;
    for (u32 attempt = 1;; attempt++, pause_ms = MIN(pause_ms * 2, (u64)5000)) {
        rc_t rc = connect_any(t, r, out, why);
        bool again = rc == RC_IO || rc == RC_TIMEOUT || rc == RC_NOT_FOUND;
        u64 now = platform_clock_ns();
        if (!again || attempt >= r->attempts || stopped) return rc;
        if (now + pause_ms * NS_PER_MS >= r->deadline_ns) return rc;
        fiber_sleep_ms(pause_ms);
    }
}

rc_t client_connect(const struct client_target *t, const struct http_client_request *r,
                    struct http_client_call **out, struct diag *why) {
    rc_t rc = room_for(t, why);
    if (rc) return rc;
    struct http_client_call *c = memory_zero(MEMORY_CONNECTIONS, sizeof *c);
    if (!c) return RC_NO_MEMORY;
    c->tls = t->url.tls;
    c->port = t->url.port;
    c->trust = t->trust ? tls_trust_hold(t->trust) : NULL;
    link_front(c); /* counts at once: connecting takes a while */
    client_counters.open++;
    rc = str_to_c(t->url.host, c->host, sizeof c->host);
    if (!rc) rc = str_to_c(t->server_name, c->server_name, sizeof c->server_name);
    if (!rc) rc = connect_again(t, r, &c->stream, why);
    if (rc) {
        client_drop(c, true);
        return rc;
    }
    client_counters.connects++;
    *out = c;
    return RC_OK;
}

void http_client_stop(void) {
    stopped = true;
    for (struct http_client_call *c = first, *next; c; c = next) {
        next = c->next;
        if (c->idle)
            client_drop(c, false);
        else if (c->stream)
            stream_give_up(c->stream);
    }
}
