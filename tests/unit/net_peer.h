/* SPDX-License-Identifier: Apache-2.0 */
/* net_peer.h — the other end of the simulated wire: a machine at 192.0.2.1 (or fe80::1) that speaks
 * ARP, neighbour discovery and just enough TCP to be a client, well-behaved or not. Everything runs
 * in virtual time: peer_run(ms) lets the appliance live for so long. One appliance per process. */
#pragma once
#include "kernel/base/limits.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/host/sim.h"
#include "net/http.h"
#include "net/link.h"
#include <stdlib.h>

uint16_t net_checksum(const void *bytes, int n);

#define PEER_IP 0xC0000201u      /* 192.0.2.1 */
#define APPLIANCE_IP 0xC0000202u /* 192.0.2.2 */
static const u8 peer_mac[6] = {2, 0, 0, 0, 0, 1};
static u8 appliance_mac[6];

enum { P_FIN = 1, P_SYN = 2, P_RST = 4, P_PSH = 8, P_ACK = 16 };

struct peer_segment { /* what the appliance sent, host order */
    u32 source_ip;
    u16 source, dest;
    u32 seq, ack;
    u8 flags;
    u16 window;
    const u8 *data;
    size_t data_len;
    bool checksum_good;
};

struct peer_conn {
    u16 port;                                  /* ours */
    u16 to;                                    /* the appliance's */
    u32 seq, ack;                              /* next to send, next expected */
    bool established, finished, reset, silent; /* silent: acknowledges nothing */
    u16 window;
    char in[1 << 20];
    size_t in_len;
    u32 syn_ack_seq;
    u16 syn_ack_mss;
    bool syn_ack_wscale;
};

static struct peer_conn *peer_conns[64];
static u32 peer_conn_count;
static void (*peer_watch)(const struct peer_segment *s); /* sees every segment first */
static void (*peer_watch_frame)(const u8 *frame, size_t n);
static u64 peer_segments_seen, peer_frames_seen;

static inline void put16(u8 *p, u16 v) {
    p[0] = (u8)(v >> 8), p[1] = (u8)v;
}
static inline void put32(u8 *p, u32 v) {
    put16(p, (u16)(v >> 16)), put16(p + 2, (u16)v);
}
static inline u16 get16(const u8 *p) {
    return (u16)(p[0] << 8 | p[1]);
}
static inline u32 get32(const u8 *p) {
    return (u32)get16(p) << 16 | get16(p + 2);
}

static u16 peer_sum(const u8 *pseudo, size_t pn, const u8 *bytes, size_t n) {
    u8 all[2048];
    memcpy(all, pseudo, pn);
    memcpy(all + pn, bytes, n);
    return net_checksum(all, (int)(pn + n));
}

/* An Ethernet + IPv4 frame with `n` bytes of payload; returns its length. */
static size_t peer_ip_frame(u8 *f, u32 from, u32 to, u8 proto, const u8 *payload, size_t n) {
    memcpy(f, appliance_mac, 6);
    memcpy(f + 6, peer_mac, 6);
    put16(f + 12, 0x0800);
    u8 *ip = f + 14;
    memset(ip, 0, 20);
    ip[0] = 0x45, ip[8] = 64, ip[9] = proto;
    put16(ip + 2, (u16)(20 + n));
    put32(ip + 12, from);
    put32(ip + 16, to);
    u16 sum = (u16)~net_checksum(ip, 20);
    memcpy(ip + 10, &sum, 2);
    memcpy(ip + 20, payload, n);
    return 34 + n;
}

static size_t peer_tcp(u8 *t, u32 from_ip, u16 from, u16 to, u32 seq, u32 ack, u8 flags, u16 window,
                       const u8 *options, size_t on, const void *data, size_t n) {
    u8 pseudo[12];
    memset(t, 0, 20);
    put16(t, from), put16(t + 2, to), put32(t + 4, seq), put32(t + 8, ack);
    t[12] = (u8)((20 + on) / 4 << 4), t[13] = flags;
    put16(t + 14, window);
    if (on) memcpy(t + 20, options, on);
    if (n) memcpy(t + 20 + on, data, n);
    put32(pseudo, from_ip), put32(pseudo + 4, APPLIANCE_IP);
    pseudo[8] = 0, pseudo[9] = 6;
    put16(pseudo + 10, (u16)(20 + on + n));
    u16 sum = (u16)~peer_sum(pseudo, 12, t, 20 + on + n);
    memcpy(t + 16, &sum, 2);
    return 20 + on + n;
}

static void peer_send_tcp(u32 from_ip, u16 from, u16 to, u32 seq, u32 ack, u8 flags, u16 window,
                          const u8 *options, size_t on, const void *data, size_t n) {
    u8 t[1600], f[1700];
    size_t tn = peer_tcp(t, from_ip, from, to, seq, ack, flags, window, options, on, data, n);
    sim_wire_send(f, peer_ip_frame(f, from_ip, APPLIANCE_IP, 6, t, tn));
}

static void conn_send(struct peer_conn *c, u8 flags, const void *data, size_t n) {
    peer_send_tcp(PEER_IP, c->port, c->to, c->seq, c->ack, flags, c->window, NULL, 0, data, n);
    c->seq += (u32)n + (flags & P_FIN ? 1 : 0) + (flags & P_SYN ? 1 : 0);
}

static void conn_segment(struct peer_conn *c, const struct peer_segment *s) {
    if (s->flags & P_RST) {
        c->reset = true;
        return;
    }
    if (s->flags & P_SYN) {
        c->syn_ack_seq = s->seq;
        if (c->established || c->silent) return;
        c->ack = s->seq + 1;
        c->established = true;
        conn_send(c, P_ACK, NULL, 0);
        return;
    }
    if (c->silent) return;
    if (s->seq == c->ack) {
        size_t n = MIN(s->data_len, sizeof c->in - c->in_len);
        memcpy(c->in + c->in_len, s->data, n);
        c->in_len += n;
        c->ack += (u32)s->data_len;
        if (s->flags & P_FIN) c->ack++, c->finished = true;
    }
    if (s->data_len || s->flags & P_FIN) conn_send(c, P_ACK, NULL, 0);
}

static void peer_arp(const u8 *f) {
    if (get16(f + 20) != 1) return; /* a request for one of our addresses: any 192.0.2.x or 10.x */
    u8 r[42];
    memcpy(r, f + 6, 6), memcpy(r + 6, peer_mac, 6), put16(r + 12, 0x0806);
    put16(r + 14, 1), put16(r + 16, 0x0800), r[18] = 6, r[19] = 4, put16(r + 20, 2);
    memcpy(r + 22, peer_mac, 6), memcpy(r + 28, f + 38, 4);
    memcpy(r + 32, f + 22, 6), memcpy(r + 38, f + 28, 4);
    if (get32(f + 38) != APPLIANCE_IP) sim_wire_send(r, sizeof r);
}

static void peer_frame(void *arg, const u8 *f, size_t n) {
    (void)arg;
    peer_frames_seen++;
    if (n >= 12) memcpy(appliance_mac, f + 6, 6);
    if (peer_watch_frame) peer_watch_frame(f, n);
    if (n >= 42 && get16(f + 12) == 0x0806) peer_arp(f);
    if (n < 54 || get16(f + 12) != 0x0800 || f[23] != 6) return;
    const u8 *ip = f + 14, *t = ip + (ip[0] & 15) * 4;
    size_t total = get16(ip + 2), ahead = (size_t)(t - ip);
    if (ahead < 20 || total < ahead + 20 || 14 + total > n) return; /* the wire damaged it */
    size_t header = (size_t)(t[12] >> 4) * 4;
    if (header < 20 || ahead + header > total) return;
    u8 pseudo[12];
    memcpy(pseudo, ip + 12, 8);
    pseudo[8] = 0, pseudo[9] = 6;
    size_t tcp_bytes = total - ahead;
    put16(pseudo + 10, (u16)tcp_bytes);
    struct peer_segment s = {.source_ip = get32(ip + 16),
                             .source = get16(t),
                             .dest = get16(t + 2),
                             .seq = get32(t + 4),
                             .ack = get32(t + 8),
                             .flags = t[13],
                             .window = get16(t + 14),
                             .data = t + header,
                             .data_len = tcp_bytes - header,
                             .checksum_good = peer_sum(pseudo, 12, t, tcp_bytes) == 0xFFFF};
    peer_segments_seen++;
    if (peer_watch) peer_watch(&s);
    if (s.source_ip != PEER_IP || !s.checksum_good) return;
    for (u32 i = 0; i < peer_conn_count; i++)
        if (peer_conns[i] && peer_conns[i]->port == s.dest && peer_conns[i]->to == s.source)
            conn_segment(peer_conns[i], &s);
}

/* ---- The appliance's life -------------------------------------------------------------------- */

static void peer_stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void peer_run(u64 ms) {
    struct timer t;
    timer_init(&t, peer_stop, NULL);
    if (timer_start_after_ms(&t, ms)) panic("no timer left for the test");
    loop_run();
}

static inline void peer_begin(u64 seed, const char *address) {
    static bool begun;
    struct diag why;
    struct link_options link = {
        .address = str_from_c(address), .hostname = S("test"), .ipv6 = true};
    if (begun) return;
    begun = true;
    sim_start(&(struct sim_options){.seed = seed, .nic_count = 1});
    sim_wire_peer(peer_frame, NULL);
    memory_init(MIB(200));
    loop_init();
    if (fiber_init(32) || worker_init()) panic("no core");
    if (link_start(&link, &why)) panic("link: %s", why.text);
    peer_run(1);
}

static inline struct peer_conn *peer_open(u16 to) {
    static u16 port = 40000;
    struct peer_conn *c = calloc(1, sizeof *c);
    u32 at = 0;
    if (!c) panic("no memory for a peer");
    while (at < peer_conn_count && peer_conns[at]) at++;
    if (at == ARRAY_LEN(peer_conns)) panic("too many peers");
    if (at == peer_conn_count) peer_conn_count++;
    peer_conns[at] = c;
    c->port = port++, c->to = to, c->window = 65535;
    c->seq = (u32)port * 7919u;
    static const u8 options[] = {2, 4, 1460 >> 8, 1460 & 255, 4, 2, 1, 3, 3, 0, 1, 1};
    peer_send_tcp(PEER_IP, c->port, to, c->seq, 0, P_SYN, c->window, options, 8, NULL, 0);
    c->seq++;
    peer_run(20);
    return c;
}

static inline void peer_close(struct peer_conn *c) {
    for (u32 i = 0; i < peer_conn_count; i++)
        if (peer_conns[i] == c) peer_conns[i] = NULL;
    free(c);
}

static inline void peer_write(struct peer_conn *c, str bytes) {
    while (bytes.len) {
        str part = str_take(bytes, 1400);
        conn_send(c, P_ACK | P_PSH, part.ptr, part.len);
        bytes = str_skip(bytes, part.len);
        if (bytes.len) peer_run(2);
    }
}
static inline str peer_in(const struct peer_conn *c) {
    return str_of(c->in, c->in_len);
}

/* One request on a connection of its own; what came back. The conn is the caller's to close. */
static inline struct peer_conn *peer_ask(u16 port, str request, u64 ms) {
    struct peer_conn *c = peer_open(port);
    peer_write(c, request);
    peer_run(ms);
    return c;
}
static inline int peer_status(const struct peer_conn *c) {
    str in = peer_in(c);
    uint64_t n;
    if (str_starts(in, S("HTTP/1.1 100 Continue\r\n\r\n"))) in = str_skip(in, 25);
    if (in.len < 12 || !str_starts(in, S("HTTP/1.1 ")) ||
        str_to_u64(str_take(str_skip(in, 9), 3), &n))
        return 0;
    return (int)n;
}
