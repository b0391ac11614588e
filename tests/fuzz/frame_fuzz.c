/* SPDX-License-Identifier: Apache-2.0 */
/* frame_fuzz.c — frames into the stack: ARP, IPv4, IPv6, ICMP, UDP with DHCP, DNS and time, TCP
 * with a request. An input is a list of pieces: kind, two parameters, length, bytes. Checksums are
 * put right, or nothing behind them would ever be reached. After each input time passes until the
 * stack has forgotten it, and what it held has come back. */
#include "tests/unit/net_peer.h"
#include "net/pcb.h"
#include "net/heap.h"

static struct http_server *server;

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    str body;
    if (http_body_all(x, 100000, &body) == RC_OK) http_answer(x, 200, S("text/plain"), body);
}

static void piece_ipv6(u8 next, const u8 *bytes, size_t n) {
    u8 f[1700] = {0}, pseudo[40];
    memcpy(f, appliance_mac, 6), memcpy(f + 6, peer_mac, 6), put16(f + 12, 0x86DD);
    f[14] = 0x60, put16(f + 18, (u16)n), f[20] = next, f[21] = 255;
    f[22] = 0xFE, f[23] = 0x80, f[37] = 1, f[38] = 0xFF, f[39] = 2, f[53] = 1;
    memcpy(f + 54, bytes, n);
    size_t sum_at = next == 58 ? 2 : next == 6 ? 16 : 6;
    if (n > sum_at + 1) {
        memcpy(pseudo, f + 22, 32), put32(pseudo + 32, (u32)n), put32(pseudo + 36, next);
        put16(f + 54 + sum_at, 0);
        u16 sum = (u16)~peer_sum(pseudo, 40, f + 54, n);
        memcpy(f + 54 + sum_at, &sum, 2);
    }
    sim_wire_send(f, 54 + n);
}

static void piece_udp(u16 from, u16 to, const u8 *bytes, size_t n) {
    u8 u[1500], f[1600];
    put16(u, from), put16(u + 2, to), put16(u + 4, (u16)(8 + n)), put16(u + 6, 0);
    memcpy(u + 8, bytes, n);
    sim_wire_send(f, peer_ip_frame(f, PEER_IP, APPLIANCE_IP, 17, u, 8 + n));
}

static void piece(u8 kind, u8 a, u8 b, const u8 *bytes, size_t n, struct peer_conn *c) {
    static const u16 ports[] = {67, 53, 123, 5353};
    u8 f[1700];
    switch (kind % 6) {
    case 0:
        if (n) sim_wire_send(bytes, n);
        break;
    case 1: sim_wire_send(f, peer_ip_frame(f, PEER_IP, APPLIANCE_IP, a, bytes, n)); break;
    case 2: piece_udp(ports[a % 4], a % 4 ? (u16)(49152 + b) : 68, bytes, n); break;
    case 3: piece_ipv6(a, bytes, n); break;
    case 4: /* a segment of the open connection, a little off */
        peer_send_tcp(PEER_IP, c->port, 80, c->seq + (u32)(a & 7) - 2,
                      c->ack + (u32)(a >> 3 & 3) - 1, b, 1000, bytes, MIN(n, (size_t)(a >> 5) * 4),
                      bytes, n);
        break;
    default: conn_send(c, P_ACK | P_PSH, bytes, n); break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static size_t held;
    peer_begin(1, "192.0.2.2/24");
    if (!server) {
        struct http_server_options o = {.port = 80, .handler = handler};
        if (http_serve(&o, &server)) panic("no server");
        peer_run(5000);
        held = net_heap_used();
    }
    struct peer_conn *c = peer_open(80);
    for (u32 i = 0; n >= 5 && i < 32; i++) {
        size_t len = MIN((size_t)(bytes[3] << 8 | bytes[4]) % 1500, n - 5);
        piece(bytes[0], bytes[1], bytes[2], bytes + 5, len, c);
        bytes += 5 + len, n -= 5 + len;
        peer_run(1);
    }
    peer_run(5);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    for (u32 s = 0; s < 40 && pcb_count(); s++) peer_run(10000);
    CHECK(pcb_count() == 0 && stream_count() == 0);
    CHECK(net_heap_used() < held + KIB(64));
    return 0;
}
