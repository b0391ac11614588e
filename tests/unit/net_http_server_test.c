/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_server_test.c — the server over real TCP on the simulated wire: every case of
 * http_cases.h gets its answer and its end; keep-alive, pipelining, slow and silent clients,
 * timeouts, limits, draining. */
#include "net/http_server.c"
#include "net/proxy_header.h"
#include "net/stream_impl.h"
#include "tests/test.h"
#include "tests/unit/http_cases.h"
#include "tests/unit/net_peer.h"
#include <stdio.h>

#define PORT 80

static struct http_server *server;
static u32 handled, logged;
static char last_path[256];
static u32 hold_ms;

static void echo(struct http_exchange *x) {
    str body;
    rc_t rc = http_body_all(x, 200000, &body);
    if (rc == RC_LIMIT)
        http_answer(x, 413, S("text/plain"), S("large\n"));
    else if (rc)
        http_answer(x, 400, S("text/plain"), S("broken\n"));
    else
        http_answer(x, 200, S("text/plain"), body);
}

static void stream_out(struct http_exchange *x) {
    char line[100];
    memset(line, 'l', sizeof line);
    rc_t rc = http_answer_begin(x, 200, S("text/plain"), -1);
    for (int i = 0; i < 50 && !rc; i++) rc = http_answer_write(x, str_of(line, sizeof line));
    if (!rc) rc = http_answer_end(x);
    EXPECT_OK(rc);
}

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    handled++;
    (void)str_to_c(str_take(x->request->path, sizeof last_path - 1), last_path, sizeof last_path);
    EXPECT_EQ(x->request->id.len, 26);
    if (hold_ms) fiber_sleep_ms(hold_ms);
    if (str_eq(x->request->path, S("/none"))) return;
    if (str_eq(x->request->path, S("/stream"))) {
        stream_out(x);
        return;
    }
    if (str_eq(x->request->path, S("/short"))) {
        if (!http_answer_begin(x, 200, S("text/plain"), 100))
            EXPECT_OK(http_answer_write(x, S("abc")));
        return;
    }
    if (str_eq(x->request->path, S("/fields"))) {
        EXPECT_RC(http_answer_field(x, S("X-A"), S("a\r\nX-B: b")), RC_INVALID);
        EXPECT_RC(http_answer_field(x, S("X A"), S("a")), RC_INVALID);
        EXPECT_RC(http_answer_field(x, S("X-N"), str_of("a\0b", 3)), RC_INVALID);
        EXPECT_OK(http_answer_field(x, S("X-Good"), S("yes")));
        http_answer(x, 204, S(""), S(""));
        http_answer(x, 200, S("text/plain"), S("second"));
        return;
    }
    if (str_eq(x->request->path, S("/unread"))) {
        http_answer(x, 200, S("text/plain"), S("unread\n"));
        return;
    }
    echo(x);
}

static void on_logged(struct http_exchange *x, u64 duration_ns) {
    (void)duration_ns;
    EXPECT(x->status >= 200);
    logged++;
}

static void begin(void) {
    peer_begin(test_seed(), "192.0.2.2/24");
    handled = logged = hold_ms = 0;
    if (server) return;
    struct http_server_options o = {.port = PORT, .handler = handler, .logged = on_logged};
    EXPECT_OK(http_serve(&o, &server));
}

static struct peer_conn *ask(str request) {
    return peer_ask(PORT, request, 50);
}

/* No connection and no request of an earlier test is left. */
static void end(void) {
    peer_run(200000);
    EXPECT_EQ(http_counters.open, 0);
    EXPECT_EQ(http_counters.active, 0);
    EXPECT_EQ(stream_count(), 0);
}

TEST(a_request_has_its_answer) {
    begin();
    struct peer_conn *c = ask(S("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(peer_status(c), 200);
    EXPECT(str_find(peer_in(c), S("X-Request-Id: ")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("Date: Thu, 01 Jan 2026 00:00:0")) < c->in_len);
    EXPECT(str_ends(peer_in(c), S("\r\n\r\n")));
    EXPECT(!c->finished && !c->reset);
    EXPECT_EQ(logged, 1);
    peer_write(
        c, S("POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
    c->in_len = 0;
    peer_run(50);
    EXPECT_EQ(peer_status(c), 200);
    EXPECT(str_find(peer_in(c), S("Connection: close")) < c->in_len);
    EXPECT(str_ends(peer_in(c), S("\r\n\r\nhello")));
    EXPECT(c->finished);
    conn_send(c, P_FIN | P_ACK, NULL, 0);
    peer_run(5000);
    peer_close(c);
    end();
}

/* Each case on its own connection: the answer is the case's, and every refusal ends the connection.
 */
TEST(every_case_over_a_connection) {
    begin();
    for (size_t i = 0; i < ARRAY_LEN(http_cases); i++) {
        const struct http_case *k = &http_cases[i];
        if (str_starts(k->bytes, S("PRI "))) continue; /* the beginning of another protocol */
        u32 before = handled;
        struct peer_conn *c = peer_ask(PORT, k->bytes, 10);
        int want = k->status, got = peer_status(c);
        bool waits = str_eq(str_take(k->bytes, 4), S("POST")) && got == 0;
        if (got != want && !(waits && want == 0))
            test_fail(__FILE__, __LINE__, "%s: %d, not %d", k->name, got, want);
        if (want >= 400 && !c->finished && !c->reset)
            test_fail(__FILE__, __LINE__, "%s: still open", k->name);
        if (want == 200 && handled == before)
            test_fail(__FILE__, __LINE__, "%s: no handler ran", k->name);
        if (want >= 400) {
            str in = peer_in(c);
            size_t second = str_find(str_skip(in, 12), S("\nHTTP/1.1 "));
            if (second != str_skip(in, 12).len)
                test_fail(__FILE__, __LINE__, "%s: two answers", k->name);
        }
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_run(1);
        peer_close(c);
    }
    end();
}

TEST(a_refusal_is_a_problem_document) {
    begin();
    struct peer_conn *c = ask(S("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_EQ(peer_status(c), 400);
    EXPECT(str_find(peer_in(c), S("application/problem+json")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("\"request_id\":\"")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("Host is missing")) < c->in_len);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(pipelined_requests_answer_in_order) {
    begin();
    struct peer_conn *c = ask(S(
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nonePOST /2 HTTP/1.1\r\nHost: a\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: "
        "a\r\n\r\nGET /4"));
    EXPECT_EQ(handled, 3);
    str in = peer_in(c);
    size_t one = str_find(in, S("\r\n\r\none")), two = str_find(in, S("\r\n\r\ntwo"));
    EXPECT(one < two && two < in.len);
    peer_write(c, S(" HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(50);
    EXPECT_EQ(handled, 4);
    EXPECT(strcmp(last_path, "/4") == 0);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(a_head_may_come_byte_by_byte) {
    begin();
    struct peer_conn *c = peer_open(PORT);
    str request = S("\r\nPOST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    for (size_t i = 0; i < request.len; i++) {
        conn_send(c, P_ACK | P_PSH, request.ptr + i, 1);
        peer_run(3);
    }
    peer_run(50);
    EXPECT_EQ(peer_status(c), 200);
    EXPECT_EQ(handled, 1);
    EXPECT(str_ends(peer_in(c), S("body")));
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

/* Half an empty line, half a head, half a body, and then the client's end: no more can come. */
TEST(a_client_that_ends_in_the_middle) {
    static const char *const parts[] = {
        "\r", "\r\n", "\r\n\r", "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct peer_conn *c = ask(S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        peer_write(c, str_from_c(parts[i]));
        peer_run(5);
        EXPECT(!c->finished || i == 2); /* "\r\n\r" is wrong at once */
        conn_send(c, P_FIN | P_ACK, NULL, 0);
        peer_run(20);
        EXPECT(c->finished);
        peer_close(c);
    }
    end();
}

TEST(head_answers_carry_no_body) {
    begin();
    struct peer_conn *c = ask(S("HEAD /unread HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(str_find(peer_in(c), S("Content-Length: 7\r\n")) < c->in_len);
    EXPECT(str_ends(peer_in(c), S("\r\n\r\n")));
    c->in_len = 0;
    peer_write(
        c, S("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /fields HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(50);
    EXPECT(str_find(peer_in(c), S("llll")) == c->in_len);
    EXPECT(str_find(peer_in(c), S("HTTP/1.1 204 No Content")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("X-Good: yes")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("second")) == c->in_len);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(streamed_answers) {
    begin();
    struct peer_conn *c = ask(S("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT(str_find(peer_in(c), S("Transfer-Encoding: chunked")) < c->in_len);
    EXPECT(str_find(peer_in(c), S("64\r\nllll")) < c->in_len);
    EXPECT(str_ends(peer_in(c), S("\r\n0\r\n\r\n")));
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    c = ask(S("GET /stream HTTP/1.0\r\n\r\n")); /* no chunks before 1.1: the end is the end */
    EXPECT(str_find(peer_in(c), S("chunked")) == c->in_len);
    EXPECT(str_ends(peer_in(c), S("llll")) && c->finished);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(a_handler_that_fails_is_seen) {
    begin();
    struct peer_conn *c = ask(S("GET /none HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(peer_status(c), 500);
    EXPECT(!c->finished);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    c = ask(S("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")); /* promised 100 bytes, gave 3: cut off */
    EXPECT(c->reset || c->finished);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(expect_100_continue) {
    begin();
    struct peer_conn *c =
        ask(S("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
    EXPECT_STR(peer_in(c), S("HTTP/1.1 100 Continue\r\n\r\n"));
    peer_write(c, S("body"));
    peer_run(50);
    EXPECT_EQ(peer_status(c), 200);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    /* Refused unread: no 100, the answer, and the end, since the body may or may not follow. */
    c = ask(
        S("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
    EXPECT_EQ(peer_status(c), 200);
    EXPECT(str_find(peer_in(c), S("100 Continue")) == c->in_len);
    EXPECT(c->finished);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

TEST(bodies_of_every_size) {
    static char request[300000];
    begin();
    for (size_t n = 1; n < 180000; n = n * 3 + 7) {
        int head =
            sprintf(request, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
        for (size_t i = 0; i < n; i++) request[(size_t)head + i] = (char)('a' + i % 26);
        struct peer_conn *c = peer_ask(PORT, str_of(request, (size_t)head + n), 400);
        str body = str_of(request + head, n);
        EXPECT_EQ(peer_status(c), 200);
        EXPECT(str_ends(peer_in(c), body));
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_close(c);
    }
    struct peer_conn *c = ask(S("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200001\r\n\r\n"));
    EXPECT_EQ(peer_status(c), 413);
    EXPECT(c->finished);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

/* Slow heads and slow bodies hold no fiber: a hundred of them, and a good client is served at once.
 */
TEST(slow_clients_stall_nobody) {
    struct peer_conn *slow[50];
    begin();
    for (u32 i = 0; i < ARRAY_LEN(slow); i++) {
        slow[i] = peer_open(PORT);
        peer_write(slow[i], i % 2
                                ? S("GET / HTTP/1.1\r\nHos")
                                : S("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"));
    }
    peer_run(100);
    EXPECT_EQ(fiber_count(), 0);
    u64 start = platform_clock_ns();
    struct peer_conn *c = peer_ask(PORT, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 5);
    EXPECT_EQ(peer_status(c), 200);
    EXPECT(platform_clock_ns() - start < 60 * NS_PER_MS);
    peer_run(HTTP_STALL_TIMEOUT_MS + 2000);
    for (u32 i = 0; i < ARRAY_LEN(slow); i++) {
        EXPECT_EQ(peer_status(slow[i]), 408);
        EXPECT(slow[i]->finished || slow[i]->reset);
        peer_close(slow[i]);
    }
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    end();
}

/* Large bodies that never come: each would hold a fiber, and there are more of them than fibers. */
TEST(slow_large_bodies_leave_fibers) {
    struct peer_conn *slow[50];
    u32 refused = 0;
    begin();
    for (u32 i = 0; i < ARRAY_LEN(slow); i++) {
        slow[i] = peer_open(PORT);
        peer_write(
            slow[i],
            i % 2 ? S("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx")
                  : S("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"));
    }
    peer_run(50);
    EXPECT(fiber_count() <= fiber_capacity() / 2);
    for (u32 round = 0; round < 10; round++) {
        struct peer_conn *c = peer_ask(PORT, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 5);
        EXPECT_EQ(peer_status(c), 200);
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_close(c);
        for (u32 i = 0; i < ARRAY_LEN(slow); i++)
            if (!slow[i]->finished && !slow[i]->reset) conn_send(slow[i], P_ACK | P_PSH, "y", 1);
        peer_run(2000);
    }
    /* A large body that does come is taken: the longest wait gives way. */
    static char request[40000];
    int head = sprintf(request, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n");
    memset(request + head, 'x', 30000);
    struct peer_conn *c = peer_ask(PORT, str_of(request, (size_t)head + 30000), 200);
    EXPECT_EQ(peer_status(c), 200);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    peer_run(60000);
    for (u32 i = 0; i < ARRAY_LEN(slow); i++) {
        refused += peer_status(slow[i]) == 503;
        EXPECT(slow[i]->finished || slow[i]->reset);
        peer_close(slow[i]);
    }
    EXPECT(refused >= 50 - fiber_capacity() / 2 - 20);
    EXPECT_EQ(http_slow_bodies(), 0);
    end();
}

/* More requests at once than fibers: the rest wait their turn. */
TEST(a_burst_waits_for_fibers) {
    struct peer_conn *c[60];
    begin();
    for (u32 i = 0; i < ARRAY_LEN(c); i++) c[i] = peer_open(PORT);
    hold_ms = 100;
    for (u32 i = 0; i < ARRAY_LEN(c); i++) peer_write(c[i], S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(ARRAY_LEN(c) * 100 / fiber_capacity() + 300);
    for (u32 i = 0; i < ARRAY_LEN(c); i++) {
        EXPECT_EQ(peer_status(c[i]), 200);
        conn_send(c[i], P_RST | P_ACK, NULL, 0);
        peer_run(1);
        peer_close(c[i]);
    }
    end();
}

/* When none comes free: 503, and they may ask again on the same connection. */
TEST(no_fiber_is_503) {
    struct peer_conn *c[40];
    u32 ok = 0, busy = 0;
    begin();
    hold_ms = 500;
    for (u32 i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = peer_open(PORT);
        hold_ms = 5000;
        peer_write(c[i], S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    peer_run(STARVED_MS + 100);
    for (u32 i = 0; i < ARRAY_LEN(c); i++) busy += peer_status(c[i]) == 503;
    EXPECT_EQ(busy, ARRAY_LEN(c) - fiber_capacity());
    EXPECT(str_find(peer_in(c[39]), S("Retry-After: ")) < c[39]->in_len);
    peer_run(6000);
    for (u32 i = 0; i < ARRAY_LEN(c); i++) ok += peer_status(c[i]) == 200;
    EXPECT_EQ(ok, fiber_capacity());
    hold_ms = 0;
    c[39]->in_len = 0;
    peer_write(c[39], S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(50);
    EXPECT_EQ(peer_status(c[39]), 200);
    for (u32 i = 0; i < ARRAY_LEN(c); i++) {
        conn_send(c[i], P_RST | P_ACK, NULL, 0);
        peer_run(1);
        peer_close(c[i]);
    }
    end();
}

/* All connections taken: the longest idle one goes, then the slowest head; with neither, a reset.
 */
TEST(too_many_connections_shed_the_idle) {
    begin();
    struct peer_conn *idle = ask(S("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), *slow = peer_open(PORT);
    peer_write(slow, S("GET / HT"));
    peer_run(2000);
    static struct stream *fillers[CONNECTION_MAX]; /* nobody's: they use up the count */
    u32 count = 0;
    while (stream_count() < stream_max()) REQUIRE((fillers[count++] = stream_new()) != NULL);
    struct peer_conn *one = peer_ask(PORT, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 20);
    EXPECT_EQ(peer_status(one), 200);
    EXPECT(idle->reset && !slow->reset);
    hold_ms = 3000;
    peer_write(one, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); /* now active: not to be shed */
    peer_run(20);
    struct peer_conn *two = peer_open(PORT);
    EXPECT(two->established && !two->reset);
    EXPECT(slow->reset);
    peer_write(two, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    struct peer_conn *three = peer_open(PORT);
    EXPECT(three->reset);
    hold_ms = 0;
    conn_send(one, P_RST | P_ACK, NULL, 0);
    conn_send(two, P_RST | P_ACK, NULL, 0);
    peer_run(5000);
    peer_close(idle), peer_close(slow), peer_close(one), peer_close(two), peer_close(three);
    while (count) stream_free_soon(fillers[--count]);
    end();
}

TEST(an_idle_connection_ends) {
    begin();
    struct peer_conn *c = ask(S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(HTTP_IDLE_TIMEOUT_MS - 5000);
    EXPECT(!c->finished);
    peer_run(10000);
    EXPECT(c->finished);
    EXPECT(!c->reset);
    peer_run(100000); /* the peer never closes its side: we do not wait for ever */
    peer_close(c);
    end();
}

/* A peer that reads nothing: its answer waits, bounded, and then the connection ends. */
TEST(a_peer_that_reads_nothing) {
    static char request[220000];
    begin();
    int head = sprintf(request, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 199000\r\n\r\n");
    memset(request + head, 'x', 199000);
    struct peer_conn *c = peer_open(PORT);
    c->window = 1000;
    peer_write(c, str_of(request, (size_t)head + 199000));
    c->window = 0;
    conn_send(c, P_ACK, NULL, 0);
    c->silent = true;
    peer_run(HTTP_STALL_TIMEOUT_MS * 4);
    peer_close(c);
    end();
}

/* Whose bytes follow must be said soon, whether the peer is silent or drips. */
static bool everybody(const struct net_address *peer, u16 our_port) {
    (void)peer, (void)our_port;
    return true;
}

TEST(a_load_balancer_that_does_not_say_whose_bytes_follow) {
    begin();
    stream_proxies_use(everybody);
    struct peer_conn *silent = peer_open(PORT), *drips = peer_open(PORT);
    struct peer_conn *good = peer_ask(
        PORT, S("PROXY TCP4 192.0.2.9 192.0.2.2 1 80\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"), 50);
    EXPECT_EQ(peer_status(good), 200);
    for (size_t i = 0; i < 8; i++) {
        peer_write(drips, str_take(str_skip(S("PROXY TCP4 192"), i), 1));
        peer_run(1000);
    }
    EXPECT(!silent->reset && !drips->reset);
    peer_run(20000);
    EXPECT(silent->reset && drips->reset);
    EXPECT(!good->reset);
    EXPECT_EQ(handled, 1);
    stream_proxies_use(NULL);
    peer_close(silent);
    peer_close(drips);
    peer_close(good);
    end();
}

TEST(a_connection_dies_while_its_handler_runs) {
    begin();
    hold_ms = 1000;
    struct peer_conn *c = peer_open(PORT);
    peer_write(c, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    EXPECT_EQ(http_counters.active, 1);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_run(2000);
    EXPECT_EQ(http_counters.active, 0);
    peer_close(c);
    end();
}

TEST(draining_lets_the_last_request_finish) {
    begin();
    struct peer_conn *idle = peer_open(PORT), *busy = peer_open(PORT);
    hold_ms = 300;
    peer_write(busy, S("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    peer_run(20);
    http_server_drain(server);
    peer_run(20);
    EXPECT(idle->finished);
    EXPECT(!http_server_drained(server));
    struct peer_conn *late = peer_open(PORT);
    EXPECT(late->reset && !late->established);
    peer_run(500);
    EXPECT_EQ(peer_status(busy), 200);
    EXPECT(busy->finished);
    EXPECT(http_server_drained(server));
    peer_close(idle), peer_close(busy), peer_close(late);
    memory_free(MEMORY_CONNECTIONS, server);
    server = NULL;
    end();
}
