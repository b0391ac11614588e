/* SPDX-License-Identifier: Apache-2.0 */
/* net_pcb_test.c — connection blocks under honest and hostile traffic: buckets hold what belongs in
 * them, floods cost a bounded table, TIME_WAIT ends, memory comes back, IPv6 works, and ten
 * thousand frames of damage change nothing for the next client. */
#include "net/pcb.c"
#include "lwip/stats.h"
#include "tests/test.h"
#include "tests/unit/net_peer.h"

#define PORT 80

static struct http_server *server;

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    http_answer(x, 200, S("text/plain"), S("ok\n"));
}

static void begin(void) {
    peer_begin(test_seed(), "192.0.2.2/24");
    if (server) return;
    struct http_server_options o = {.port = PORT, .handler = handler};
    EXPECT_OK(http_serve(&o, &server));
}

static void every_block_is_in_its_bucket(void) {
    u32 seen = 0;
    for (u32 b = 0; b < BUCKETS; b++) {
        struct tcp_pcb *lists[2] = {b == table->current ? tcp_active_pcbs : table->bucket[b].active,
                                    b == table->current ? tcp_tw_pcbs : table->bucket[b].time_wait};
        for (u32 l = 0; l < 2; l++)
            for (struct tcp_pcb *p = lists[l]; p; p = p->next, seen++) {
                struct tuple t;
                tuple_of_pcb(p, &t);
                EXPECT_EQ(tuple_bucket(&t), b);
            }
    }
    EXPECT_EQ(seen, table->count);
}

/* After everything has timed out nothing is left. */
static void quiet(void) {
    peer_run(120000);
    EXPECT_EQ(pcb_count(), 0);
    EXPECT_EQ(table->half_open, 0);
    EXPECT_EQ(stream_count(), 0);
    every_block_is_in_its_bucket();
}

static void expect_served(void) {
    struct peer_conn *c =
        peer_ask(PORT, S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 20);
    EXPECT_EQ(peer_status(c), 200);
    conn_send(c, P_FIN | P_ACK, NULL, 0);
    peer_run(5);
    peer_close(c);
}

static bool saw_bad_sum;
static void watch_sums(const struct peer_segment *s) {
    saw_bad_sum |= !s->checksum_good;
}

TEST(a_connection_opens_and_its_numbers_are_unlike) {
    u32 numbers[16];
    begin();
    peer_watch = watch_sums;
    for (u32 i = 0; i < ARRAY_LEN(numbers); i++) {
        struct peer_conn *c = peer_open(PORT);
        EXPECT(c->established);
        numbers[i] = c->syn_ack_seq;
        for (u32 k = 0; k < i; k++)
            EXPECT(numbers[k] != numbers[i] && numbers[k] + 1 != numbers[i]);
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_close(c);
    }
    EXPECT(!saw_bad_sum);
    peer_watch = NULL;
    quiet();
}

TEST(many_connections_find_their_blocks) {
    struct peer_conn *c[60];
    begin();
    for (u32 i = 0; i < ARRAY_LEN(c); i++) c[i] = peer_open(PORT);
    every_block_is_in_its_bucket();
    EXPECT_EQ(pcb_count(), ARRAY_LEN(c));
    for (u32 round = 0; round < 3; round++)
        for (u32 i = 0; i < ARRAY_LEN(c); i++) {
            c[i]->in_len = 0;
            peer_write(c[i], S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
            if (i % 4 == 3) peer_run(10);
        }
    peer_run(20);
    for (u32 i = 0; i < ARRAY_LEN(c); i++) {
        EXPECT_EQ(peer_status(c[i]), 200);
        conn_send(c[i], P_FIN | P_ACK, NULL, 0);
    }
    peer_run(100);
    every_block_is_in_its_bucket();
    for (u32 i = 0; i < ARRAY_LEN(c); i++) peer_close(c[i]);
    quiet();
}

/* ---- Floods ---------------------------------------------------------------------------------- */

static void flood(u32 count, u32 first_ip) {
    static const u8 mss[] = {2, 4, 5, 0xB4};
    for (u32 i = 0; i < count; i++) {
        peer_send_tcp(first_ip + i % 200, (u16)(1024 + i / 200), PORT, i * 77u, 0, P_SYN, 1000, mss,
                      4, NULL, 0);
        if (i % 64 == 63) peer_run(1);
    }
    peer_run(2);
}

TEST(a_syn_flood_costs_a_bounded_table) {
    begin();
    flood(600, 0xC0000210u); /* the peer answers ARP for all of them, nothing else */
    EXPECT_EQ(table->half_open, table->half_open_max);
    EXPECT(pcb_count() <= HALF_OPEN_MAX);
    u64 good = table->stats.cookies_good;
    size_t used = net_heap_used();
    flood(5000, 0xC0000210u);
    EXPECT(net_heap_used() < used + KIB(64));
    EXPECT(table->stats.half_open_full > 4000);
    for (u32 i = 0; i < 20; i++) {
        expect_served(); /* by cookie, in the middle of it */
        flood(100, 0xC0000250u);
    }
    EXPECT_EQ(table->stats.cookies_good, good + 20);
    every_block_is_in_its_bucket();
    quiet();
    expect_served(); /* and as ever afterwards */
    quiet();
}

TEST(a_forged_cookie_opens_nothing) {
    begin();
    flood(600, 0xC0000210u);
    u32 before = pcb_count();
    u64 good = table->stats.cookies_good;
    for (u32 i = 0; i < 500; i++) {
        peer_send_tcp(PEER_IP, (u16)(2000 + i), PORT, 5, (u32)test_random(), P_ACK, 1000, NULL, 0,
                      NULL, 0);
        peer_run(1);
    }
    EXPECT_EQ(table->stats.cookies_good, good);
    EXPECT(pcb_count() <= before);
    quiet();
}

static u32 resets_seen;
static void count_resets(const struct peer_segment *s) {
    resets_seen += s->flags & P_RST ? 1 : 0;
}

TEST(a_closed_port_resets) {
    begin();
    peer_watch = count_resets;
    struct peer_conn *c = peer_open(81);
    EXPECT(c->reset && !c->established);
    EXPECT_EQ(resets_seen, 1);
    peer_watch = NULL;
    peer_close(c);
    quiet();
}

/* ---- The end of connections ------------------------------------------------------------------ */

TEST(time_wait_is_short_and_gives_way) {
    begin();
    struct peer_conn *c =
        peer_ask(PORT, S("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 20);
    EXPECT(c->finished);
    conn_send(c, P_FIN | P_ACK, NULL, 0);
    peer_run(20);
    EXPECT_EQ(pcb_count(), 1); /* TIME_WAIT */
    EXPECT_EQ(stream_count(), 0);
    /* The same four-tuple, a later sequence number: a new connection (RFC 1122 4.2.2.13). */
    c->established = c->finished = false;
    c->in_len = 0;
    c->seq += 100000;
    conn_send(c, P_SYN, NULL, 0);
    peer_run(20);
    EXPECT(c->established);
    peer_write(c, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    EXPECT_EQ(peer_status(c), 200);
    conn_send(c, P_FIN | P_ACK, NULL, 0);
    peer_run(20);
    peer_close(c);
    peer_run(5000);
    EXPECT_EQ(pcb_count(), 0);
    quiet();
}

TEST(a_thousand_short_connections_leave_nothing) {
    begin();
    expect_served();
    quiet();
    size_t base = net_heap_used();
    for (u32 i = 0; i < 1000; i++) expect_served();
    EXPECT(pcb_count() <= 1000);
    every_block_is_in_its_bucket();
    quiet();
    EXPECT(net_heap_used() <= base + 4096);
}

TEST(blocks_in_time_wait_are_recycled_under_pressure) {
    begin();
    u32 max = table->max;
    u64 recycled = table->stats.recycled;
    table->max = 40;
    for (u32 i = 0; i < 200; i++) expect_served();
    EXPECT(table->stats.recycled > recycled);
    EXPECT(pcb_count() <= 40);
    every_block_is_in_its_bucket();
    table->max = max;
    quiet();
}

TEST(a_peer_that_vanishes_is_forgotten) {
    begin();
    struct peer_conn *c = peer_open(PORT);
    peer_write(c, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    c->silent = true;
    peer_run(400000); /* the answer is sent again and again, then given up */
    EXPECT_EQ(pcb_count(), 0);
    peer_close(c);
    quiet();
}

/* ---- Hostile segments ------------------------------------------------------------------------ */

/* An option that runs past the header's end must not be read (patches/lwip-1-tcp-options.patch). */
TEST(tcp_options_are_read_within_the_header) {
    static const u8 shapes[][4] = {{1, 1, 1, 2}, {1, 1, 1, 3},   {1, 1, 1, 4},  {1, 1, 2, 4},
                                   {1, 1, 3, 3}, {2, 4, 5, 2},   {1, 8, 10, 1}, {1, 1, 1, 8},
                                   {5, 0, 0, 0}, {254, 1, 2, 4}, {1, 1, 4, 3},  {3, 255, 1, 1},
                                   {2, 0, 0, 0}, {1, 1, 1, 255}};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        peer_send_tcp(PEER_IP, (u16)(3000 + i), PORT, 1, 0, P_SYN, 1000, shapes[i], 4, NULL, 0);
        peer_run(2);
    }
    struct peer_conn *c = peer_open(PORT);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        peer_send_tcp(PEER_IP, c->port, PORT, c->seq, c->ack, P_ACK, 1000, shapes[i], 4, NULL, 0);
    peer_run(5);
    peer_write(c, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    EXPECT_EQ(peer_status(c), 200);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    quiet();
}

TEST(tcp_in_fragments_is_dropped) {
    u8 t[64], f[128];
    begin();
    u64 before = table->stats.fragments;
    size_t n = peer_tcp(t, PEER_IP, 5000, PORT, 1, 0, P_SYN, 1000, NULL, 0, NULL, 0);
    size_t fn = peer_ip_frame(f, PEER_IP, APPLIANCE_IP, 6, t, n);
    put16(f + 20, 0x2000); /* more fragments */
    put16(f + 24, 0);
    u16 sum = (u16)~net_checksum(f + 14, 20);
    memcpy(f + 24, &sum, 2);
    sim_wire_send(f, fn);
    peer_run(5);
    EXPECT_EQ(table->stats.fragments, before + 1);
    EXPECT_EQ(pcb_count(), 0);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static size_t some_frame(u8 *f) {
    u8 t[1600];
    size_t n;
    switch (test_random() % 6) {
    case 0: /* anything at all */
        n = 1 + test_random() % 1500;
        for (size_t i = 0; i < n; i++) f[i] = (u8)test_random();
        if (n > 14 && test_random() % 2)
            memcpy(f, appliance_mac, 6), put16(f + 12, test_random() % 2 ? 0x0800 : 0x86DD);
        return n;
    case 1: /* IPv4 of any protocol */
        n = test_random() % 600;
        for (size_t i = 0; i < n; i++) t[i] = (u8)test_random();
        return peer_ip_frame(f, (u32)test_random(), APPLIANCE_IP,
                             (u8)(test_random() % 2 ? test_random() : 17), t, n);
    case 2: /* ARP */
        for (size_t i = 0; i < 42; i++) f[i] = (u8)test_random();
        memcpy(f, appliance_mac, 6), put16(f + 12, 0x0806);
        put16(f + 14, 1), put16(f + 16, 0x0800), f[18] = 6, f[19] = 4,
                                                 put16(f + 20, (u16)(1 + test_random() % 2));
        return 42;
    case 3: { /* ICMPv6: neighbour discovery, router advertisements */
        n = 24 + test_random() % 100;
        memcpy(f, appliance_mac, 6), memcpy(f + 6, peer_mac, 6), put16(f + 12, 0x86DD);
        for (size_t i = 14; i < 54 + n; i++) f[i] = (u8)test_random();
        f[14] = 0x60, f[20] = 58, f[21] = 255, put16(f + 18, (u16)n);
        f[22] = 0xFE, f[23] = 0x80, f[38] = test_random() % 2 ? 0xFF : 0xFE,
        f[39] = f[38] == 0xFF ? 2 : 0x80;
        f[54] = (u8)(133 + test_random() % 5), f[55] = 0;
        u8 pseudo[40];
        memcpy(pseudo, f + 22, 32), put32(pseudo + 32, (u32)n), put32(pseudo + 36, 58);
        put16(f + 56, 0);
        u16 sum = (u16)~peer_sum(pseudo, 40, f + 54, n);
        memcpy(f + 56, &sum, 2);
        return 54 + n;
    }
    default: { /* TCP with right checksums and everything else random */
        u8 data[200];
        u32 on = (u32)(test_random() % 6) * 4;
        n = test_random() % sizeof data;
        for (size_t i = 0; i < sizeof data; i++) data[i] = (u8)test_random();
        struct peer_conn *c = peer_conn_count ? peer_conns[test_random() % peer_conn_count] : NULL;
        /* below those the peer opens connections from: its next SYN may meet no block of chance */
        u16 port = c && test_random() % 2 ? c->port : (u16)(test_random() % 40000);
        u32 seq =
            c && test_random() % 2 ? c->seq + (u32)(test_random() % 5) - 2 : (u32)test_random();
        u32 ack =
            c && test_random() % 2 ? c->ack + (u32)(test_random() % 5) - 2 : (u32)test_random();
        size_t tn = peer_tcp(t, PEER_IP, port, PORT, seq, ack, (u8)test_random() & 0x3F,
                             (u16)test_random(), data, on, data, n);
        return peer_ip_frame(f, PEER_IP, APPLIANCE_IP, 6, t, tn);
    }
    }
}

/* A SYN that ends what it begins (Linux drops it in LISTEN, too) must not slip past the door. */
TEST(a_flood_of_syn_with_fin_takes_no_block) {
    begin();
    for (u32 i = 0; i < 2 * HALF_OPEN_MAX; i++) {
        peer_send_tcp(0xC0000300u + i % 200, (u16)(1024 + i), PORT, i * 7919u, 0, P_SYN | P_FIN,
                      1000, NULL, 0, NULL, 0);
        if (i % 16 == 15) peer_run(1);
    }
    EXPECT_EQ(table->half_open, 0);
    EXPECT_EQ(table->count, 0);
    expect_served();
    quiet();
}

TEST(ten_thousand_random_frames) {
    begin();
    struct peer_conn *open[4];
    for (u32 i = 0; i < 4; i++) open[i] = peer_open(PORT);
    for (u32 i = 0; i < 10000; i++) {
        u8 f[1700];
        sim_wire_send(f, some_frame(f));
        if (i % 8 == 7) peer_run(1);
        if (i % 1000 == 999) {
            expect_served();
            every_block_is_in_its_bucket();
        }
    }
    for (u32 i = 0; i < 4; i++) peer_close(open[i]);
    expect_served();
    peer_run(400000);
    quiet();
    EXPECT(net_heap_used() < KIB(256)); /* tables of neighbours, nothing that grows */
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

static const u8 peer_v6[16] = {0xFE, 0x80, [15] = 1};
static u8 appliance_v6[16];
static bool v6_syn_ack;
static u32 v6_seq;

static void v6_send(u8 next, u8 *payload, size_t n, size_t sum_at) {
    u8 f[1700], pseudo[40];
    memcpy(f, appliance_mac, 6), memcpy(f + 6, peer_mac, 6), put16(f + 12, 0x86DD);
    memset(f + 14, 0, 40);
    f[14] = 0x60, put16(f + 18, (u16)n), f[20] = next, f[21] = 255;
    memcpy(f + 22, peer_v6, 16), memcpy(f + 38, appliance_v6, 16);
    memcpy(pseudo, f + 22, 32), put32(pseudo + 32, (u32)n), put32(pseudo + 36, next);
    put16(payload + sum_at, 0);
    u16 sum = (u16)~peer_sum(pseudo, 40, payload, n);
    memcpy(payload + sum_at, &sum, 2);
    memcpy(f + 54, payload, n);
    sim_wire_send(f, 54 + n);
}

static void v6_watch(const u8 *f, size_t n) {
    if (n < 78 || get16(f + 12) != 0x86DD) return;
    if (f[20] == 58 && f[54] == 135 && memcmp(f + 62, peer_v6, 16) == 0) { /* who has fe80::1? */
        u8 na[32] = {136, 0, 0, 0, 0x60};
        memcpy(na + 8, peer_v6, 16);
        na[24] = 2, na[25] = 1;
        memcpy(na + 26, peer_mac, 6);
        v6_send(58, na, sizeof na, 2);
    }
    if (f[20] == 6 && (f[54 + 13] & (P_SYN | P_ACK)) == (P_SYN | P_ACK))
        v6_syn_ack = true, v6_seq = get32(f + 58);
}

TEST(ipv6_is_formed_and_serves) {
    struct link_status status;
    begin();
    peer_watch_frame = v6_watch;
    peer_run(3000); /* duplicate address detection */
    link_status_get(&status);
    EXPECT(str_starts(str_from_c(status.ipv6[0]), S("fe80::")));
    struct net_address a;
    EXPECT_OK(net_address_parse(str_from_c(status.ipv6[0]), &a));
    memcpy(appliance_v6, a.bytes, 16);
    u8 syn[20] = {0};
    put16(syn, 6000), put16(syn + 2, PORT), put32(syn + 4, 100);
    syn[12] = 5 << 4, syn[13] = P_SYN;
    put16(syn + 14, 1000);
    v6_send(6, syn, sizeof syn, 16);
    peer_run(50);
    EXPECT(v6_syn_ack);
    every_block_is_in_its_bucket();
    EXPECT_EQ(pcb_count(), 1);
    u8 rst[20];
    memcpy(rst, syn, 20);
    rst[13] = P_RST, put32(rst + 4, 101);
    v6_send(6, rst, sizeof rst, 16);
    peer_run(10);
    EXPECT_EQ(pcb_count(), 0);
    peer_watch_frame = NULL;
    quiet();
}

/* A zero-length option at the very end of the packet (patches/lwip-2-nd6-options.patch): without
 * the check six bytes behind it are taken for an address, which AddressSanitizer sees. */
static void nd_with_empty_option(u8 type, u8 option, size_t header) {
    u8 m[64] = {type, 0, 0, 0, 0x60};
    memcpy(m + 8, type == 135 ? appliance_v6 : peer_v6, 16);
    m[header] = option, m[header + 1] = 0;
    v6_send(58, m, header + 2, 2);
    peer_run(2);
}

TEST(neighbour_options_of_no_length_are_refused) {
    struct link_status status;
    struct net_address a;
    begin();
    peer_run(3000);
    link_status_get(&status);
    REQUIRE(net_address_parse(str_from_c(status.ipv6[0]), &a) == RC_OK);
    peer_watch_frame =
        v6_watch; /* the neighbour must be known: ipv6_is_formed_and_serves made it so */
    memcpy(appliance_v6, a.bytes, 16);
    u32 lenerr = lwip_stats.nd6.lenerr;
    nd_with_empty_option(135, 1, 24); /* solicitation: the option is ignored */
    nd_with_empty_option(136, 2, 24); /* advertisement: the packet is dropped, now that */
    nd_with_empty_option(137, 2, 40); /* redirect */
    EXPECT(lwip_stats.nd6.lenerr > lenerr);
    quiet();
}
