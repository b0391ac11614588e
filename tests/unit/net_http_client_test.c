/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_client_test.c — calls over the simulated wire to a scripted server: bodies of every
 * framing, reuse and what is not reused, stale connections, redirects and what stays behind,
 * servers that lie, stall, cut and flood, addresses that may not be called. */
#include "net/http_client.c"
#include "net/http_client_fetch.c"
#include "net/http_client_pool.c"
#include "tests/test.h"
#include "tests/unit/net_peer.h"
#include <stdio.h>

/* ---- The server: answers by path ------------------------------------------------------------- */

struct served {
    struct peer_conn *conn;
    size_t taken; /* bytes of requests answered */
    u32 requests;
};
static struct served served[64];
static u32 served_count, connects, refuse_syn;
static bool hang_up_at_next; /* the next request on a used connection finds it closed */
static char last_request[1 << 16];

static void on_segment(const struct peer_segment *s) {
    if (!(s->flags & P_SYN) || s->flags & P_ACK) return;
    if (s->dest != 80 && s->dest != 81) return;
    for (u32 i = 0; i < served_count; i++)
        if (served[i].conn && served[i].conn->to == s->source) return; /* sent again */
    connects++;
    if (refuse_syn) {
        refuse_syn--;
        peer_send_tcp(PEER_IP, s->dest, s->source, 0, s->seq + 1, P_RST | P_ACK, 0, NULL, 0, NULL,
                      0);
        return;
    }
    struct peer_conn *c = calloc(1, sizeof *c);
    u32 at = 0;
    if (!c || served_count == ARRAY_LEN(served)) panic("no room for a connection");
    while (at < peer_conn_count && peer_conns[at]) at++;
    if (at == ARRAY_LEN(peer_conns)) panic("too many connections");
    if (at == peer_conn_count) peer_conn_count++;
    peer_conns[at] = c;
    *c = (struct peer_conn){.port = s->dest,
                            .to = s->source,
                            .window = 65535,
                            .seq = 7000u + connects * 100000u,
                            .ack = s->seq + 1,
                            .established = true};
    served[served_count++] = (struct served){.conn = c};
    conn_send(c, P_SYN | P_ACK, NULL, 0);
}

static str whole_request(struct served *s) {
    str in = str_skip(peer_in(s->conn), s->taken);
    size_t head = str_find(in, S("\r\n\r\n")), at = str_find(in, S("Content-Length: "));
    if (head == in.len) return S("");
    u64 body = 0;
    if (at < head) {
        str digits = str_skip(in, at + 16);
        if (str_to_u64(str_take(digits, str_find_byte(digits, '\r')), &body)) panic("length");
    }
    return head + 4 + body <= in.len ? str_take(in, head + 4 + body) : S("");
}

static void say(struct served *s, const char *text) {
    peer_write(s->conn, str_from_c(text));
}
static void finish_conn(struct served *s) {
    conn_send(s->conn, P_FIN | P_ACK, NULL, 0);
}

static const u8 gzip_hello[] = {/* "hello hello hello\n" */
                                0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
                                0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x5c,
                                0x00, 0x3b, 0x7c, 0x8a, 0xdf, 0x12, 0x00, 0x00, 0x00};

static void answer_gzip(struct served *s, size_t n) {
    char head[160];
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", n);
    say(s, head);
    peer_write(s->conn, str_of((const char *)gzip_hello, n));
}

static void answer(struct served *s, str request) {
    static const struct {
        const char *path, *text;
        bool end;
    } fixed[] = {
        {"/hello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", false},
        {"/none", "HTTP/1.1 204 No\r\n\r\n", false},
        {"/chunked",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: "
         "1\r\n\r\n",
         false},
        {"/to-end", "HTTP/1.0 200 OK\r\n\r\nall of it", true},
        {"/last", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true},
        {"/interim",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 "
         "OK\r\nContent-Length: 2\r\n\r\nok",
         false},
        {"/upgrade", "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false},
        {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", true},
        {"/cut-chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhalf", true},
        {"/cut-head", "HTTP/1.1 200 OK\r\nContent-", true},
        {"/nothing", "", true},
        {"/silent", "", false},
        {"/stalls", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", false},
        {"/garbage", "220 smtp.example ESMTP\r\n", false},
        {"/two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
         false},
        {"/split",
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
         "4\r\n\r\nevil",
         false},
        {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false},
        {"/patience", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3\r\nContent-Length: 2\r\n\r\nok",
         false},
        {"/to-hello", "HTTP/1.1 302 F\r\nLocation: hello\r\nContent-Length: 4\r\n\r\nbody", false},
        {"/loop", "HTTP/1.1 301 M\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", false},
        {"/over",
         "HTTP/1.1 303 S\r\nLocation: http://192.0.2.1:81/echo\r\nContent-Length: 0\r\n\r\n",
         false},
        {"/again", "HTTP/1.1 307 T\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n", false},
        {"/nowhere", "HTTP/1.1 302 F\r\nLocation: gopher://x\r\nContent-Length: 0\r\n\r\n", false},
        {"/placeless", "HTTP/1.1 302 F\r\nContent-Length: 1\r\n\r\n.", false},
        {"/metadata",
         "HTTP/1.1 302 F\r\nLocation: http://169.254.169.254/x\r\nContent-Length: 0\r\n\r\n",
         false},
        {"/head", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", false},
    };
    str path = str_skip(request, str_find_byte(request, ' ') + 1);
    path = str_take(path, str_find_byte(path, ' '));
    size_t n = MIN(request.len, sizeof last_request - 1);
    memcpy(last_request, request.ptr, n);
    last_request[n] = 0;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (str_eq(path, str_from_c(fixed[i].path))) {
            say(s, fixed[i].text);
            if (fixed[i].end) finish_conn(s);
            return;
        }
    if (str_eq(path, S("/echo"))) {
        char head[100];
        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                       request.len);
        say(s, head);
        peer_write(s->conn, request);
    } else if (str_eq(path, S("/gzip"))) {
        answer_gzip(s, sizeof gzip_hello);
    } else if (str_eq(path, S("/gzip-cut"))) {
        answer_gzip(s, sizeof gzip_hello - 6);
    } else if (str_eq(path, S("/flood"))) {
        static char x[60000];
        memset(x, 'x', sizeof x);
        say(s, "HTTP/1.1 200 OK\r\nX: ");
        peer_write(s->conn, str_of(x, sizeof x));
    } else if (str_eq(path, S("/interims"))) {
        for (int i = 0; i < 20; i++) say(s, "HTTP/1.1 102 Processing\r\n\r\n");
    } else {
        say(s, "HTTP/1.1 404 Not\r\nContent-Length: 0\r\n\r\n");
    }
}

static void serve(void) {
    for (u32 i = 0; i < served_count; i++) {
        struct served *s = &served[i];
        str request = whole_request(s);
        if (s->conn->finished || s->conn->reset) {
            if (!s->conn->reset) finish_conn(s);
            peer_run(2);
            peer_close(s->conn);
            *s-- = served[--served_count];
            i--;
            continue;
        }
        if (!request.len) continue;
        s->taken += request.len;
        if (s->requests++ && hang_up_at_next) {
            hang_up_at_next = false;
            conn_send(s->conn, P_RST | P_ACK, NULL, 0);
            continue;
        }
        answer(s, request);
    }
}

/* ---- The calls ------------------------------------------------------------------------------- */

static struct {
    struct http_client_request r;
    struct arena arena;
    struct http_client_answer answer;
    struct diag why;
    size_t bytes_max;
    str body;
    rc_t rc;
    bool done, hold;
} call;

static void fetch(void *arg) {
    (void)arg;
    call.rc = http_client_fetch(&call.arena, &call.r, call.bytes_max, &call.answer, &call.body,
                                &call.why);
    call.done = true;
}

static void begin(void) {
    static bool begun;
    peer_begin(test_seed(), "192.0.2.2/24");
    peer_watch = on_segment;
    if (!begun) arena_open(&call.arena, NULL, 0, MIB(4));
    begun = true;
}

static rc_t run(void) {
    struct fiber *f;
    call.done = false;
    call.r.deadline_ns = platform_clock_ns() + 10 * NS_PER_S;
    EXPECT_OK(fiber_start("call", fetch, NULL, &f));
    for (u32 i = 0; i < 4000 && !call.done; i++) {
        peer_run(5);
        serve();
    }
    EXPECT(call.done);
    return call.rc;
}

static rc_t ask_with(const char *method, const char *path, str body,
                     const struct http_field *fields, u32 count, u32 redirects) {
    char url[200];
    begin();
    arena_reset(&call.arena);
    (void)snprintf(url, sizeof url, "http://192.0.2.1%s", path);
    call.r = (struct http_client_request){.method = str_from_c(method),
                                          .url = arena_copy(&call.arena, str_from_c(url)),
                                          .fields = fields,
                                          .field_count = count,
                                          .body = body,
                                          .redirects_max = redirects};
    call.bytes_max = 100000;
    return run();
}
static rc_t get(const char *path) {
    return ask_with("GET", path, S(""), NULL, 0, 5);
}

#define EXPECT_GET(path, status_, body_)                                                           \
    do {                                                                                           \
        EXPECT_OK(get(path));                                                                      \
        EXPECT_EQ(call.answer.status, status_);                                                    \
        EXPECT_STR(call.body, str_from_c(body_));                                                  \
    } while (0)
#define EXPECT_FAILS(path, rc_, words)                                                             \
    do {                                                                                           \
        EXPECT_RC(get(path), rc_);                                                                 \
        if (!strstr(call.why.text, words)) test_fail(__FILE__, __LINE__, "%s", call.why.text);     \
    } while (0)

static u32 all_open(void) {
    struct http_client_stats s;
    http_client_stats_get(&s);
    EXPECT_EQ(s.open, s.idle); /* between calls */
    return s.open;
}

TEST(bodies_of_every_framing) {
    EXPECT_GET("/hello", 200, "hello");
    EXPECT_STR(http_client_field(&call.answer, S("x-a")), S("b"));
    EXPECT_EQ(http_client_field(&call.answer, S("x-b")).ptr, NULL);
    EXPECT_EQ(call.answer.content_length, 5);
    EXPECT_STR(call.answer.url, S("http://192.0.2.1/hello"));
    EXPECT_GET("/none", 204, "");
    EXPECT_GET("/chunked", 200, "abcde");
    EXPECT_EQ(call.answer.content_length, -1);
    EXPECT_GET("/to-end", 200, "all of it");
    EXPECT_GET("/last", 200, "ok");
    EXPECT_GET("/interim", 200, "ok");
    EXPECT_OK(ask_with("HEAD", "/head", S(""), NULL, 0, 0));
    EXPECT_EQ(call.answer.content_length, 500);
    EXPECT_EQ(call.body.len, 0);
}

TEST(gzip_is_undone_when_it_was_ours) {
    EXPECT_GET("/gzip", 200, "hello hello hello\n");
    EXPECT(strstr(last_request, "Accept-Encoding: gzip\r\n") != NULL);
    EXPECT_EQ(http_client_field(&call.answer, S("Content-Encoding")).ptr, NULL);
    EXPECT_EQ(http_client_field(&call.answer, S("Content-Length")).ptr, NULL);
    struct http_field f = {S("accept-encoding"), S("gzip, br")};
    EXPECT_OK(ask_with("GET", "/gzip", S(""), &f, 1, 0));
    EXPECT_STR(call.body, str_of((const char *)gzip_hello, sizeof gzip_hello));
    EXPECT_FAILS("/gzip-cut", RC_IO, "gzip");
}

TEST(requests_are_written_as_asked) {
    struct http_field f[] = {{S("X-One"), S("1")}, {S("Host"), S("other.example")}};
    EXPECT_OK(ask_with("POST", "/echo", S("{\"a\":1}"), f, 2, 0));
    EXPECT(str_starts(call.body, S("POST /echo HTTP/1.1\r\nX-One: 1\r\nHost: other.example\r\n")));
    EXPECT(strstr(last_request, "Content-Length: 7\r\n\r\n{\"a\":1}") != NULL);
    EXPECT(strstr(last_request, "Host: 192.0.2.1") == NULL);
    EXPECT_OK(ask_with("DELETE", "/echo", S(""), NULL, 0, 0));
    EXPECT(strstr(last_request, "Content-Length") == NULL);
    EXPECT(strstr(last_request, "Host: 192.0.2.1\r\n") != NULL);
    static char large[60000];
    memset(large, 'y', sizeof large);
    EXPECT_OK(ask_with("PUT", "/echo", str_of(large, sizeof large), NULL, 0, 0));
    EXPECT(call.body.len > sizeof large && call.body.ptr[call.body.len - 1] == 'y');
}

TEST(what_must_not_be_sent_is_refused) {
    static const struct http_field bad[] = {
        {{"X", 1}, {"a\r\nY: b", 7}},
        {{"X", 1}, {"a\nb", 3}},
        {{"X", 1}, {"a\0b", 3}},
        {{"X Y", 3}, {"a", 1}},
        {{"", 0}, {"a", 1}},
        {{"X:", 2}, {"a", 1}},
        {{"content-length", 14}, {"3", 1}},
        {{"Transfer-Encoding", 17}, {"chunked", 7}},
        {{"Connection", 10}, {"close", 5}},
        {{"Expect", 6}, {"100-continue", 12}},
    };
    u32 before = connects;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_RC(ask_with("GET", "/hello", S(""), &bad[i], 1, 0), RC_INVALID);
    EXPECT_RC(ask_with("GE T", "/hello", S(""), NULL, 0, 0), RC_INVALID);
    EXPECT_RC(ask_with("CONNECT", "/hello", S(""), NULL, 0, 0), RC_INVALID);
    EXPECT_RC(get("/a b"), RC_INVALID);
    EXPECT_RC(get("@192.0.2.3/"), RC_INVALID);
    EXPECT_EQ(connects, before);
}

TEST(connections_are_used_again_when_it_is_safe) {
    EXPECT_GET("/hello", 200, "hello");
    u32 before = connects;
    for (u32 i = 0; i < 20; i++)
        EXPECT_GET(i & 1 ? "/hello" : "/chunked", 200, i & 1 ? "hello" : "abcde");
    EXPECT_EQ(connects, before);
    EXPECT_GET("/last", 200, "ok"); /* it said so */
    EXPECT_GET("/hello", 200, "hello");
    EXPECT_EQ(connects, before + 1);
    EXPECT_GET("/split", 200, "ok"); /* bytes nobody asked for */
    EXPECT_GET("/hello", 200, "hello");
    EXPECT_EQ(connects, before + 2);
    EXPECT_GET("/patience", 200, "ok");
    peer_run(2500); /* the server's patience is 3 s, ours a second less */
    EXPECT_GET("/hello", 200, "hello");
    EXPECT_EQ(connects, before + 3);
    peer_run(CLIENT_IDLE_MS + 1000);
    EXPECT_EQ(all_open(), 0);
}

TEST(a_kept_connection_that_died_costs_nothing) {
    EXPECT_GET("/hello", 200, "hello");
    u32 before = connects;
    hang_up_at_next = true;
    EXPECT_GET("/hello", 200, "hello"); /* once more, on a fresh one */
    EXPECT_EQ(connects, before + 1);
    hang_up_at_next = true;
    EXPECT_RC(ask_with("POST", "/echo", S("pay"), NULL, 0, 0), RC_IO); /* may have been done */
    EXPECT_GET("/hello", 200, "hello");
    for (u32 i = 0; i < served_count; i++) /* closed by the server while idle */
        if (!served[i].conn->reset && !served[i].conn->finished) finish_conn(&served[i]);
    peer_run(50);
    EXPECT_EQ(all_open(), 0);
}

TEST(redirects_and_what_stays_behind) {
    static const struct http_field f[] = {{{"Authorization", 13}, {"Bearer x", 8}},
                                          {{"Cookie", 6}, {"c", 1}},
                                          {{"X-Mine", 6}, {"m", 1}},
                                          {{"Content-Type", 12}, {"a/b", 3}}};
    EXPECT_GET("/to-hello", 200, "hello");
    EXPECT_STR(call.answer.url, S("http://192.0.2.1/hello"));
    EXPECT_OK(ask_with("GET", "/to-hello", S(""), NULL, 0, 0));
    EXPECT_EQ(call.answer.status, 302);
    EXPECT_GET("/placeless", 302, ".");
    EXPECT_FAILS("/loop", RC_LIMIT, "redirects");
    EXPECT_FAILS("/nowhere", RC_IO, "no URL");
    EXPECT_FAILS("/metadata", RC_DENIED, "may not be called");
    EXPECT_OK(ask_with("POST", "/again", S("body"), f, 4, 5)); /* 307: the same again */
    EXPECT(str_starts(call.body, S("POST /echo ")) && strstr(last_request, "Bearer x"));
    EXPECT_OK(ask_with("POST", "/over", S("body"), f, 4, 5)); /* 303 to another port */
    EXPECT(str_starts(call.body, S("GET /echo ")));
    EXPECT(!strstr(last_request, "Bearer") && !strstr(last_request, "Cookie"));
    EXPECT(!strstr(last_request, "Content-") && !strstr(last_request, "body"));
    EXPECT(strstr(last_request, "X-Mine: m") && strstr(last_request, "Host: 192.0.2.1:81\r\n"));
}

TEST(servers_that_do_not_keep_their_word) {
    EXPECT_FAILS("/cut", RC_IO, "broken off");
    EXPECT_FAILS("/cut-chunks", RC_IO, "broken off");
    EXPECT_FAILS("/cut-head", RC_IO, "within the answer's head");
    EXPECT_FAILS("/nothing", RC_IO, "without an answer");
    EXPECT_FAILS("/silent", RC_TIMEOUT, "in time");
    EXPECT_FAILS("/stalls", RC_TIMEOUT, "in time");
    EXPECT_FAILS("/garbage", RC_IO, "HTTP");
    EXPECT_FAILS("/two-lengths", RC_IO, "twice");
    EXPECT_FAILS("/bad-chunk", RC_IO, "chunk");
    EXPECT_FAILS("/upgrade", RC_IO, "protocol");
    EXPECT_FAILS("/flood", RC_IO, "too long");
    EXPECT_FAILS("/interims", RC_IO, "interim");
    peer_run(100000);
    EXPECT_EQ(all_open(), 0);
}

TEST(an_answer_has_a_bound) {
    static char large[60000];
    EXPECT_GET("/hello", 200, "hello");
    call.bytes_max = 4;
    EXPECT_RC(run(), RC_LIMIT); /* by its length */
    EXPECT_GET("/chunked", 200, "abcde");
    call.bytes_max = 4;
    EXPECT_RC(run(), RC_LIMIT); /* by what came */
    EXPECT_GET("/gzip", 200, "hello hello hello\n");
    call.bytes_max = 17;
    EXPECT_RC(run(), RC_LIMIT); /* by what came out */
    call.bytes_max = 18;
    EXPECT_OK(run());
    EXPECT(strstr(call.why.text, "larger") == NULL);
    memset(large, 'z', sizeof large);
    EXPECT_OK(ask_with("POST", "/echo", str_of(large, sizeof large), NULL, 0, 0));
}

static bool nobody(void *arg, str host, const struct net_address *to) {
    (void)to;
    EXPECT_STR(host, S("192.0.2.1"));
    ++*(u32 *)arg;
    return false;
}

TEST(addresses_may_be_refused) {
    u32 asked = 0;
    EXPECT_GET("/hello", 200, "hello"); /* leaves a connection, which is not to be used either */
    u32 before = connects;
    call.r.may_call = nobody;
    call.r.may_call_arg = &asked;
    EXPECT_RC(run(), RC_DENIED);
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(connects, before);
}

TEST(what_is_public) {
    static const struct {
        const char *text;
        bool may;
    } list[] = {
        {"8.8.8.8", true},
        {"10.0.0.1", true},
        {"127.0.0.1", true},
        {"169.254.169.254", false},
        {"0.0.0.0", false},
        {"224.0.0.1", false},
        {"255.255.255.255", false},
        {"::1", true},
        {"::", false},
        {"fe80::1", false},
        {"ff02::1", false},
        {"2001:db8::1", true},
        {"64:ff9b::a9fe:a9fe", false},
        {"64:ff9b::808:808", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct net_address a;
        EXPECT_OK(net_address_parse(str_from_c(list[i].text), &a));
        if (http_client_public(NULL, S("x"), &a) != list[i].may)
            test_fail(__FILE__, __LINE__, "%s", list[i].text);
    }
}

TEST(connecting_is_tried_as_often_as_told) {
    begin();
    peer_run(CLIENT_IDLE_MS + 1000);
    EXPECT_EQ(all_open(), 0);
    refuse_syn = 2;
    EXPECT_FAILS("/hello", RC_IO, "refused");
    refuse_syn = 2;
    (void)get("/hello");
    call.r.attempts = 3;
    refuse_syn = 2;
    EXPECT_OK(run());
    EXPECT_STR(call.body, S("hello"));
}

static struct http_client_call *held[CLIENT_ORIGIN_MAX + 1];
static rc_t held_rc;
static u32 held_count;
static void hold_many(void *arg) {
    struct http_client_answer answer;
    (void)arg;
    held_rc = RC_OK;
    for (held_count = 0; !held_rc && held_count <= CLIENT_ORIGIN_MAX; held_count += !held_rc)
        held_rc = http_client_open(&call.arena, &call.r, &answer, &held[held_count], &call.why);
    for (u32 i = 0; i < held_count; i++) {
        str bytes;
        EXPECT_OK(http_client_read(held[i], &bytes, &call.why));
        EXPECT_STR(bytes, S("hello"));
        EXPECT_OK(http_client_read(held[i], &bytes, &call.why));
        EXPECT_EQ(bytes.len, 0);
        http_client_close(held[i]);
    }
    call.done = true;
}

TEST(connections_are_bounded) {
    struct fiber *f;
    EXPECT_GET("/hello", 200, "hello");
    peer_run(CLIENT_IDLE_MS + 1000);
    for (u32 i = 0; i < served_count; i++) peer_close(served[i].conn);
    served_count = 0;
    call.done = false;
    call.r.deadline_ns = platform_clock_ns() + 100 * NS_PER_S;
    EXPECT_OK(fiber_start("hold", hold_many, NULL, &f));
    for (u32 i = 0; i < 4000 && !call.done; i++) {
        peer_run(5);
        serve();
    }
    EXPECT(call.done);
    EXPECT_RC(held_rc, RC_LIMIT);
    EXPECT_EQ(held_count, CLIENT_ORIGIN_MAX);
    EXPECT_EQ(all_open(), CLIENT_IDLE_ORIGIN_MAX);
    peer_run(CLIENT_IDLE_MS + 1000);
    EXPECT_EQ(all_open(), 0);
    peer_run(60000);
    EXPECT_EQ(stream_count(), 0);
}

TEST(zz_after_the_stop_nothing_is_called) {
    EXPECT_GET("/hello", 200, "hello");
    http_client_stop();
    EXPECT_EQ(all_open(), 0);
    EXPECT_RC(get("/hello"), RC_IO);
    stopped = false;
}
