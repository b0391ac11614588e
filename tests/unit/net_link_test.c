/* SPDX-License-Identifier: Apache-2.0 */
/* net_link_test.c — the wire's moods (a full ring, a pulled cable, oversized frames) and
 * connections that we open ourselves: answered, refused, unanswered, reset in the middle. */
#include "net/link.c"
#include "tests/test.h"
#include "tests/unit/net_peer.h"

static struct http_server *server;
static u32 changes;

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    http_answer(x, 200, S("text/plain"), S("ok\n"));
}
static void on_changed(void) {
    changes++;
}

static void begin(void) {
    peer_begin(test_seed(), "192.0.2.2/24");
    if (server) return;
    struct http_server_options o = {.port = 80, .handler = handler};
    EXPECT_OK(http_serve(&o, &server));
    link_on_change(on_changed);
}

static int ask_once(u64 ms) {
    struct peer_conn *c = peer_ask(80, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ms);
    int status = peer_status(c);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_run(2);
    peer_close(c);
    return status;
}

TEST(a_full_ring_delays_and_loses_nothing) {
    begin();
    struct peer_conn *c = peer_open(80);
    sim_wire_block(true);
    peer_write(c, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    EXPECT_EQ(peer_status(c), 0);
    EXPECT(link_here->waiting_count > 0);
    sim_wire_block(false);
    peer_run(200);
    EXPECT_EQ(peer_status(c), 200);
    EXPECT_EQ(link_here->waiting_count, 0);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
}

TEST(a_ring_that_stays_full_drops_at_a_bound) {
    begin();
    u64 dropped = link_here->tx_dropped;
    sim_wire_block(true);
    for (u32 i = 0; i < 2 * TX_WAITING_MAX; i++) {
        peer_send_tcp(PEER_IP, (u16)(7000 + i), 81, i, 0, P_SYN, 100, NULL, 0, NULL,
                      0); /* each earns a reset */
        if (i % 32 == 31) peer_run(1);
    }
    peer_run(5);
    EXPECT_EQ(link_here->waiting_count, TX_WAITING_MAX);
    EXPECT(link_here->tx_dropped > dropped);
    sim_wire_block(false);
    peer_run(100);
    EXPECT_EQ(ask_once(50), 200);
}

TEST(a_pulled_cable_is_noticed) {
    struct link_status s;
    begin();
    u32 before = changes;
    sim_wire_link(false);
    peer_run(10);
    EXPECT(!link_ready());
    EXPECT(changes > before);
    link_status_get(&s);
    EXPECT(!s.up);
    sim_wire_link(true);
    peer_run(10);
    EXPECT(link_ready());
    EXPECT_EQ(ask_once(50), 200);
}

TEST(status_says_what_is) {
    struct link_status s;
    begin();
    link_status_get(&s);
    EXPECT_STR(str_from_c(s.ipv4), S("192.0.2.2"));
    EXPECT_STR(str_from_c(s.netmask), S("255.255.255.0"));
    EXPECT(!s.dhcp_bound && s.rx_frames && s.tx_frames && s.ready_ns);
    struct diag why = {0};
    EXPECT_RC(link_start(&(struct link_options){.address = S("dhcp")}, &why), RC_CONFLICT);
    EXPECT_RC(link_start(&(struct link_options){.address = S("dhcp"), .nic = 9}, &why),
              RC_NOT_FOUND);
}

/* ---- Connections we open --------------------------------------------------------------------- */

static u16 their_port;
static u32 their_seq, their_ack;

/* 9999 answers and echoes, 9998 refuses, 9996 resets after the first bytes, others are silent. */
static void be_server(const struct peer_segment *s) {
    if (s->dest == 9998 && s->flags & P_SYN)
        peer_send_tcp(PEER_IP, 9998, s->source, 0, s->seq + 1, P_RST | P_ACK, 0, NULL, 0, NULL, 0);
    if (s->dest != 9999 && s->dest != 9996) return;
    if (s->flags & P_SYN) {
        their_port = s->source, their_seq = 5000, their_ack = s->seq + 1;
        peer_send_tcp(PEER_IP, s->dest, s->source, their_seq++, their_ack, P_SYN | P_ACK, 60000,
                      NULL, 0, NULL, 0);
    } else if (s->data_len && s->dest == 9996) {
        peer_send_tcp(PEER_IP, 9996, s->source, their_seq, s->seq, P_RST | P_ACK, 0, NULL, 0, NULL,
                      0);
    } else if (s->data_len && s->seq == their_ack) {
        their_ack += (u32)s->data_len;
        peer_send_tcp(PEER_IP, 9999, s->source, their_seq, their_ack, P_ACK | P_PSH, 60000, NULL, 0,
                      s->data, s->data_len);
        their_seq += (u32)s->data_len;
    }
}

static struct {
    u16 port;
    rc_t rc, read_rc;
    bool done;
    char got[64];
    size_t got_len;
} call;

static void call_out(void *arg) {
    struct net_address to = {.bytes = {[10] = 0xFF, [11] = 0xFF, 192, 0, 2, 1}, .port = call.port};
    struct stream *s;
    u64 deadline = platform_clock_ns() + 3 * NS_PER_S;
    (void)arg;
    call.rc = stream_connect(&to, NULL, deadline, &s, NULL);
    if (!call.rc) {
        EXPECT_OK(stream_write(s, S("hello"), 1000));
        stream_flush(s);
        call.read_rc = stream_wait_more(s, 4, deadline);
        str in = stream_peek(s);
        call.got_len = MIN(in.len, sizeof call.got);
        if (call.got_len) memcpy(call.got, in.ptr, call.got_len);
        stream_consume(s, in.len);
        EXPECT(!stream_is_tls(s) && stream_tls_version(s).len == 0);
        EXPECT_EQ(stream_peer(s).port, call.port);
        EXPECT(net_address_is_v4(&(struct net_address){.bytes = {[10] = 0xFF, [11] = 0xFF}}));
        stream_close(s);
    }
    call.done = true;
}

static rc_t call_port(u16 port) {
    struct fiber *f;
    call.port = port;
    call.done = false;
    call.got_len = 0;
    peer_watch = be_server;
    EXPECT_OK(fiber_start("call", call_out, NULL, &f));
    for (u32 i = 0; i < 60 && !call.done; i++) peer_run(100);
    EXPECT(call.done);
    return call.rc;
}

TEST(calls_are_answered_refused_or_time_out) {
    begin();
    EXPECT_OK(call_port(9999));
    EXPECT_OK(call.read_rc);
    EXPECT_STR(str_of(call.got, call.got_len), S("hello"));
    EXPECT_RC(call_port(9998), RC_IO);
    EXPECT_RC(call_port(9997), RC_TIMEOUT);
    EXPECT_OK(call_port(9996));
    EXPECT_RC(call.read_rc, RC_IO);
    peer_watch = NULL;
    peer_run(120000);
    EXPECT_EQ(stream_count(), 0);
}
