/* SPDX-License-Identifier: Apache-2.0 */
/* net_http2_test.c — HTTP/2 over the simulated wire, in virtual time, against a client made of the
 * same library and against bytes of our own: exchanges, bodies both ways, windows, limits,
 * patience, floods, goodbyes, and no memory at any moment. What RFC 9113 says case by case is in
 * tests/integration/test_h2.py. */
#include "net/http2.c"
#include "net/http_interim.h"
#include "tests/test.h"
#include "tests/unit/net_peer.h"
#include <stdio.h>

#define PORT 80
#define STREAMS 40u

static struct http_server *server;
static u32 handled, logged;
static u32 hold_ms;
static char large[200000];

static void stream_out(struct http_exchange *x) {
    char line[3000];
    memset(line, 'l', sizeof line);
    rc_t rc = http_answer_begin(x, 200, S("text/plain"), -1);
    for (int i = 0; i < 50 && !rc; i++) rc = http_answer_write(x, str_of(line, sizeof line));
    if (!rc) rc = http_answer_end(x);
    (void)!!rc;
}

static void handler(struct http_exchange *x, void *arg) {
    str path = x->request->path, body;
    (void)arg;
    handled++;
    EXPECT_EQ(x->request->version_major, 2);
    EXPECT_EQ(x->request->id.len, 26);
    if (hold_ms) fiber_sleep_ms(hold_ms);
    if (str_eq(path, S("/none"))) return;
    if (str_eq(path, S("/stream"))) {
        stream_out(x);
    } else if (str_eq(path, S("/large"))) {
        http_answer(x, 200, S("text/plain"), str_of(large, sizeof large));
    } else if (str_eq(path, S("/short"))) {
        if (!http_answer_begin(x, 200, S("text/plain"), 100))
            EXPECT_OK(http_answer_write(x, S("abc")));
    } else if (str_eq(path, S("/fields"))) {
        EXPECT_RC(http_answer_field(x, S("X-A"), S("a\r\nX-B: b")), RC_INVALID);
        EXPECT_OK(http_answer_field(x, S("X-Good"), S("yes")));
        EXPECT_OK(http_answer_field(x, S("Connection"), S("close")));
        http_answer_lines(x, S("X-Line: one\r\nX-Other: two\r\n"));
        http_answer(x, 204, S(""), S(""));
    } else if (str_eq(path, S("/cookie"))) {
        http_answer(x, 200, S("text/plain"), http_field(x->request, S("Cookie")));
    } else if (str_eq(path, S("/host"))) {
        EXPECT_STR(http_field(x->request, S("Host")), S("Box.test:81"));
        http_answer(x, 200, S("text/plain"), x->request->host);
    } else if (str_eq(path, S("/early"))) {
        str hints = S("Link: </a.css>; rel=preload\r\nConnection: close\r\n");
        EXPECT_OK(http_answer_interim(x, 103, hints));
        fiber_sleep_ms(20);
        EXPECT_OK(http_answer_interim(x, 103, S("")));
        EXPECT_RC(http_answer_interim(x, 101, S("")), RC_CONFLICT);
        http_answer(x, 200, S("text/plain"), S("late\n"));
        EXPECT_RC(http_answer_interim(x, 103, S("")), RC_CONFLICT);
    } else if (str_eq(path, S("/unread"))) {
        http_answer(x, 200, S("text/plain"), S("unread\n"));
    } else {
        rc_t rc = http_body_all(x, 100000, &body);
        http_answer(x, rc == RC_LIMIT ? 413 : rc ? 400 : 200, S("text/plain"), rc ? S("") : body);
    }
}

static void on_logged(struct http_exchange *x, u64 duration_ns) {
    (void)x, (void)duration_ns;
    logged++;
}

static void begin(void) {
    peer_begin(test_seed(), "192.0.2.2/24");
    handled = logged = hold_ms = 0;
    memset(large, 'x', sizeof large);
    if (server) return;
    struct http_server_options o = {.port = PORT, .handler = handler, .logged = on_logged};
    EXPECT_OK(http_serve(&o, &server));
}

static void end(void) {
    peer_run(200000);
    EXPECT_EQ(http_counters.open, 0);
    EXPECT_EQ(http_counters.active, 0);
    EXPECT_EQ(stream_count(), 0);
    EXPECT(!http2_starved());
}

/* ---- The client ------------------------------------------------------------------------------ */

struct told { /* about one stream */
    int status;
    u32 informed, bytes;
    bool closed;
    u32 error;
    char body[256], fields[2048];
};
static struct client {
    struct peer_conn *conn;
    size_t taken;
    nghttp2_session *session;
    struct told told[STREAMS];
    bool goaway, broken;
    u32 goaway_error;
    size_t upload; /* bytes still to send, of the one stream with a body */
} client;

static struct told *told(s32 id) {
    return &client.told[((u32)id / 2) % STREAMS];
}

static int saw_header(nghttp2_session *n, const nghttp2_frame *f, const u8 *name, size_t nn,
                      const u8 *value, size_t vn, u8 flags, void *arg) {
    struct told *t = told(f->hd.stream_id);
    (void)n, (void)flags, (void)arg;
    if (nn == 7 && memcmp(name, ":status", 7) == 0) {
        int status = atoi((const char *)value);
        if (status < 200) t->informed++;
        else t->status = status;
    }
    size_t at = strlen(t->fields);
    (void)snprintf(t->fields + at, sizeof t->fields - at, "%.*s: %.*s\n", (int)nn, name, (int)vn,
                   value);
    return 0;
}
static int saw_data(nghttp2_session *n, u8 flags, s32 id, const u8 *bytes, size_t len, void *arg) {
    struct told *t = told(id);
    (void)n, (void)flags, (void)arg;
    for (size_t i = 0; i < len && t->bytes + i < sizeof t->body - 1; i++)
        t->body[t->bytes + i] = (char)bytes[i];
    t->bytes += (u32)len;
    return 0;
}
static int saw_close(nghttp2_session *n, s32 id, u32 error, void *arg) {
    (void)n, (void)arg;
    told(id)->closed = true;
    told(id)->error = error;
    return 0;
}
static int saw_frame(nghttp2_session *n, const nghttp2_frame *f, void *arg) {
    (void)n, (void)arg;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        client.goaway = true;
        client.goaway_error = f->goaway.error_code;
    }
    return 0;
}

static void client_run(u64 ms);
static void client_open(u32 window, bool auto_window) {
    nghttp2_session_callbacks *calls;
    nghttp2_option *o;
    memset(&client, 0, sizeof client);
    client.conn = peer_open(PORT);
    EXPECT_EQ(nghttp2_session_callbacks_new(&calls), 0);
    EXPECT_EQ(nghttp2_option_new(&o), 0);
    nghttp2_session_callbacks_set_on_header_callback(calls, saw_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, saw_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, saw_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, saw_frame);
    if (!auto_window) nghttp2_option_set_no_auto_window_update(o, 1);
    EXPECT_EQ(nghttp2_session_client_new2(&client.session, calls, NULL, o), 0);
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(o);
    nghttp2_settings_entry set = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    EXPECT_EQ(nghttp2_submit_settings(client.session, 0, &set, 1), 0);
    client_run(20);
}

static void client_turn(void) {
    const u8 *bytes;
    nghttp2_ssize n;
    while ((n = nghttp2_session_mem_send2(client.session, &bytes)) > 0)
        peer_write(client.conn, str_of((const char *)bytes, (size_t)n));
    if (client.conn->in_len > client.taken && !client.broken) {
        n = nghttp2_session_mem_recv2(client.session, (const u8 *)client.conn->in + client.taken,
                                      client.conn->in_len - client.taken);
        if (n < 0) client.broken = true;
    }
    client.taken = client.conn->in_len = 0;
}

static void client_run(u64 ms) {
    for (u64 at = 0; at < ms; at += 10) {
        client_turn();
        peer_run(10);
    }
    client_turn();
}

static void client_close(void) {
    nghttp2_session_del(client.session);
    conn_send(client.conn, P_RST | P_ACK, NULL, 0);
    peer_run(5);
    peer_close(client.conn);
}

static nghttp2_nv nv(const char *name, const char *value) {
    return (nghttp2_nv){(u8 *)(uintptr_t)name, (u8 *)(uintptr_t)value, strlen(name), strlen(value),
                        0};
}

static nghttp2_ssize give_zeroes(nghttp2_session *n, s32 id, u8 *to, size_t room, u32 *flags,
                                 nghttp2_data_source *source, void *arg) {
    size_t take = MIN(room, client.upload);
    (void)n, (void)id, (void)arg;
    if (!client.upload && source->fd) return NGHTTP2_ERR_DEFERRED; /* never ends */
    memset(to, '0', take);
    client.upload -= take;
    if (!client.upload && !source->fd) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return take ? (nghttp2_ssize)take : client.upload ? 0 : source->fd ? NGHTTP2_ERR_DEFERRED : 0;
}

/* upload < 0: no body. `more` holds pairs, NULL-ended. */
static s32 ask_with(const char *method, const char *path, s64 upload, bool for_ever,
                    const char *const *more) {
    nghttp2_nv list[160] = {nv(":method", method), nv(":scheme", "http"),
                            nv(":authority", "Box.test:81"), nv(":path", path)};
    size_t n = 4;
    for (; more && more[0]; more += 2) list[n++] = nv(more[0], more[1]);
    nghttp2_data_provider2 body = {.source = {.fd = for_ever}, .read_callback = give_zeroes};
    client.upload = upload > 0 ? (size_t)upload : 0;
    s32 id = nghttp2_submit_request2(client.session, NULL, list, n, upload >= 0 ? &body : NULL,
                                     NULL);
    EXPECT(id > 0);
    return id;
}
static s32 ask(const char *path) {
    return ask_with("GET", path, -1, false, NULL);
}

/* Frames of our own making, and no library that minds. */
static void raw_open(void) {
    memset(&client, 0, sizeof client);
    client.conn = peer_open(PORT);
    peer_write(client.conn, str_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
    peer_run(10);
}
static void raw_close(void) {
    conn_send(client.conn, P_RST | P_ACK, NULL, 0);
    peer_run(5);
    peer_close(client.conn);
}
/* The error of the GOAWAY among what came; -1: none. */
static s64 raw_goaway(void) {
    const u8 *at = (const u8 *)client.conn->in, *all = at + client.conn->in_len;
    for (u32 n; all - at >= 9; at += 9 + n) {
        n = (u32)at[0] << 16 | (u32)get16(at + 1);
        if (at[3] == NGHTTP2_GOAWAY && all - at >= 17) return get32(at + 13);
    }
    return -1;
}

static void raw_frame(u8 type, u8 flags, u32 id, const void *bytes, u32 n) {
    u8 f[20000] = {(u8)(n >> 16), (u8)(n >> 8), (u8)n, type, flags};
    put32(f + 5, id);
    memcpy(f + 9, bytes, n);
    peer_write(client.conn, str_of((char *)f, 9 + n));
}

/* ---- Exchanges ------------------------------------------------------------------------------- */

TEST(requests_have_answers) {
    begin();
    client_open(65535, true);
    s32 a = ask("/x"), b = ask("/fields"), c = ask("/none"), d = ask("/host");
    client_run(50);
    EXPECT_EQ(told(a)->status, 200);
    EXPECT(strstr(told(a)->fields, "x-request-id: ") != NULL);
    EXPECT(strstr(told(a)->fields, "date: Thu, 01 Jan") != NULL);
    EXPECT(strstr(told(a)->fields, "content-length: 0\n"));
    EXPECT_EQ(told(b)->status, 204);
    EXPECT(strstr(told(b)->fields, "x-good: yes\n") && strstr(told(b)->fields, "x-line: one\n"));
    EXPECT(strstr(told(b)->fields, "x-other: two\n") && !strstr(told(b)->fields, "connection"));
    EXPECT(!strstr(told(b)->fields, "content-length"));
    EXPECT_EQ(told(c)->status, 500);
    EXPECT_EQ(told(d)->status, 200);
    EXPECT_STR(str_from_c(told(d)->body), S("box.test"));
    EXPECT(told(a)->closed && told(b)->closed && told(c)->closed && told(d)->closed);
    EXPECT_EQ(told(a)->error, 0);
    EXPECT_EQ(logged, 4);
    /* idle: a goodbye after its time, not before */
    client_run(60000);
    EXPECT(!client.goaway);
    client_run(20000);
    EXPECT(client.goaway && client.goaway_error == 0 && client.conn->finished);
    client_close();
    end();
}

TEST(bodies_both_ways) {
    static const char *const length[] = {"content-length", "5000", NULL};
    static const char *const wanted[] = {"content-length", "30000", "expect", "100-continue", NULL};
    begin();
    client_open(65535, true);
    s32 a = ask_with("POST", "/echo", 5000, false, length); /* fits beside its head */
    client_run(100);
    EXPECT_EQ(told(a)->status, 200);
    EXPECT_EQ(told(a)->bytes, 5000);
    a = ask_with("POST", "/echo", 90000, false, NULL); /* of unknown length, beyond a window */
    client_run(300);
    EXPECT_EQ(told(a)->status, 200);
    EXPECT_EQ(told(a)->bytes, 90000);
    a = ask_with("POST", "/echo", 30000, false, wanted);
    client_run(300);
    EXPECT_EQ(told(a)->bytes, 30000);
    a = ask_with("POST", "/echo", 150000, false, NULL);
    client_run(300);
    EXPECT_EQ(told(a)->status, 413);
    a = ask_with("POST", "/unread", 150000, false, NULL);
    client_run(300);
    EXPECT_EQ(told(a)->status, 200);
    EXPECT(told(a)->closed);
    a = ask("/large");
    s32 b = ask("/stream"), c = ask("/short"), d = ask_with("HEAD", "/large", -1, false, NULL);
    client_run(1000);
    EXPECT_EQ(told(a)->bytes, sizeof large);
    EXPECT_EQ(told(b)->bytes, 150000);
    EXPECT_EQ(told(b)->error, 0);
    EXPECT(told(c)->closed && told(c)->error == NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(told(d)->bytes, 0);
    EXPECT(strstr(told(d)->fields, "content-length: 200000\n"));
    EXPECT(!client.goaway);
    client_close();
    end();
}

TEST(interim_answers_come_before_the_one_that_counts) {
    begin();
    client_open(65535, true);
    s32 a = ask("/early"), b = ask("/large");
    client_run(300);
    EXPECT_EQ(told(a)->informed, 2);
    EXPECT_EQ(told(a)->status, 200);
    EXPECT_STR(str_from_c(told(a)->body), S("late\n"));
    EXPECT(strstr(told(a)->fields, ":status: 103\nlink: </a.css>; rel=preload\n:status: 103\n"));
    EXPECT(!strstr(told(a)->fields, "connection"));
    EXPECT_EQ(told(b)->bytes, sizeof large);
    EXPECT(told(a)->closed && told(a)->error == 0 && !client.goaway);
    client_close();
    end();
}

TEST(heads_have_limits_and_one_meaning) {
    static char line[HTTP_LINE_MAX + 100], path[HTTP_LINE_MAX + 100], names[130][8];
    static const char *const crumbs[] = {"cookie", "a=1", "x-y", "z", "cookie", "b=2", "cookie",
                                         "c=3", NULL};
    static const char *const expects[] = {"expect", "miracles", NULL};
    static const char *const another[] = {"host", "other.test", NULL};
    static const char *const under[] = {"x_y", "1", NULL};
    const char *many[2 * 130 + 1] = {0}, *const one[] = {"x-a", line, NULL};
    begin();
    memset(line, 'v', sizeof line - 1);
    memset(path, '/', 1), memset(path + 1, 'p', sizeof path - 2);
    for (u32 i = 0; i < 130; i++) {
        (void)snprintf(names[i], sizeof names[i], "x-%u", i);
        many[2 * i] = names[i], many[2 * i + 1] = "1";
    }
    client_open(65535, true);
    s32 a = ask(path), b = ask_with("GET", "/x", -1, false, one);
    client_run(30);
    s32 c = ask_with("GET", "/x", -1, false, many);
    s32 d = ask_with("GET", "/cookie", -1, false, crumbs);
    client_run(30);
    s32 e = ask_with("GET", "/x", -1, false, expects);
    s32 f = ask_with("GET", "/x", -1, false, another);
    client_run(30);
    s32 g = ask("/%2e%2e/x"), h = ask_with("HEAD", "/%zz", -1, false, NULL);
    client_run(30);
    s32 i = ask_with("GET", "/x", -1, false, under);
    client_run(30);
    EXPECT_EQ(told(a)->status, 414);
    EXPECT_EQ(told(b)->status, 431);
    EXPECT_EQ(told(c)->status, 431);
    EXPECT_STR(str_from_c(told(d)->body), S("a=1; b=2; c=3"));
    EXPECT_EQ(told(e)->status, 417);
    EXPECT_EQ(told(f)->error, NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(told(g)->status, 400);
    EXPECT(strstr(told(g)->body, "\"status\":400"));
    EXPECT_EQ(told(h)->status, 400);
    EXPECT_EQ(told(h)->bytes, 0);
    EXPECT_EQ(told(i)->status, 200);
    EXPECT(!client.goaway);
    client_close();
    end();
}

/* ---- More than there is room for ------------------------------------------------------------- */

TEST(requests_wait_for_a_fiber) {
    s32 ids[HTTP2_STREAMS_MAX];
    u32 count = MIN(STREAMS, (u32)HTTP2_STREAMS_MAX), good = 0, busy = 0;
    begin();
    hold_ms = 300;
    client_open(65535, true);
    for (u32 i = 0; i < count; i++) ids[i] = ask("/x");
    client_run(1500);
    for (u32 i = 0; i < count; i++) {
        good += told(ids[i])->status == 200;
        busy += told(ids[i])->status == 503;
    }
    EXPECT_EQ(good + busy, count);
    EXPECT(good >= MIN(count, fiber_capacity()));
    EXPECT_EQ(busy, 0);
    /* longer than anybody waits */
    memset(client.told, 0, sizeof client.told);
    hold_ms = 5000;
    for (u32 i = 0; i < count; i++) ids[i] = ask("/x");
    client_run(2000);
    for (u32 i = busy = 0; i < count; i++) busy += told(ids[i])->status == 503;
    if (count > fiber_capacity()) EXPECT(busy > 0);
    client_run(6000);
    client_close();
    end();
}

TEST(streams_taken_back_free_nothing_early) {
    begin();
    hold_ms = 1000;
    client_open(65535, true);
    for (u32 i = 0; i < 8; i++) {
        s32 id = ask("/large");
        client_turn();
        EXPECT_EQ(nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL), 0);
        client_turn();
    }
    client_run(3000);
    EXPECT_EQ(logged, handled);
    EXPECT(!client.goaway);
    client_close();
    end();
}

TEST(who_takes_nothing_is_given_up) {
    begin();
    client_open(0, false);
    s32 a = ask("/large"), b = ask("/stream"), c = ask("/x");
    client_run(1000);
    EXPECT_EQ(told(c)->status, 200);
    EXPECT_EQ(told(a)->bytes + told(b)->bytes, 0);
    EXPECT(!told(a)->closed && !told(b)->closed);
    client_run(HTTP_STALL_TIMEOUT_MS + 1000);
    EXPECT(told(a)->closed && told(b)->closed);
    EXPECT_EQ(http_counters.active, 0);
    client_close();
    end();
}

TEST(a_connection_that_takes_nothing_ends) {
    begin();
    client_open(1 << 24, true);
    EXPECT_EQ(nghttp2_session_set_local_window_size(client.session, 0, 0, 1 << 24), 0);
    client_run(20);
    client.conn->window = 0;
    for (u32 i = 0; i < 3; i++) (void)ask("/large");
    client_run(2 * HTTP_STALL_TIMEOUT_MS + 2000);
    EXPECT_EQ(http_counters.active, 0);
    client_close();
    end();
}

TEST(patience_ends) {
    static const char *const length[] = {"content-length", "900", NULL}; /* fits beside its head */
    static const char *const longer[] = {"content-length", "50000", NULL};
    begin();
    client_open(65535, true);
    s32 a = ask_with("POST", "/echo", 10, true, length);
    client_run(100);
    s32 b = ask_with("POST", "/echo", 10, true, longer);
    client_run(HTTP_STALL_TIMEOUT_MS + 2000);
    EXPECT_EQ(told(a)->status, 408);
    EXPECT_EQ(told(b)->status, 400); /* the handler heard RC_TIMEOUT and said so */
    client_close();
    raw_open(); /* a head that does not end */
    raw_frame(NGHTTP2_HEADERS, 1, 1, "\x82", 1);
    peer_run(HTTP_HEAD_TIMEOUT_MS + 2000);
    EXPECT_EQ(raw_goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
    raw_close();
    memset(&client, 0, sizeof client); /* one that says nothing but hello */
    client.conn = peer_open(PORT);
    peer_write(client.conn, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    peer_run(HTTP_HEAD_TIMEOUT_MS + 2000);
    EXPECT(client.conn->finished);
    conn_send(client.conn, P_RST | P_ACK, NULL, 0);
    peer_run(5);
    peer_close(client.conn);
    end();
}

/* ---- Hostile --------------------------------------------------------------------------------- */

TEST(floods_end) {
    static const struct {
        u8 type, flags;
        u32 id, n;
    } floods[] = {{NGHTTP2_PING, 0, 0, 8},
                  {NGHTTP2_PRIORITY, 0, 1, 5},
                  {0xEE, 0, 0, 3}};
    begin();
    for (size_t k = 0; k < ARRAY_LEN(floods); k++) {
        u64 before = http_counters.floods;
        client_open(65535, true);
        for (u32 i = 0; i < HTTP2_FRAMES_BURST / 50 + 20 && !client.goaway; i++) {
            u8 many[50 * 20];
            u32 each = 9 + floods[k].n;
            memset(many, 0, sizeof many);
            for (u32 j = 0; j < 50; j++) {
                many[j * each + 2] = (u8)floods[k].n, many[j * each + 3] = floods[k].type;
                put32(many + j * each + 5, floods[k].id);
            }
            peer_write(client.conn, str_of((char *)many, 50 * each));
            client_run(10);
        }
        EXPECT(client.goaway && client.goaway_error == NGHTTP2_ENHANCE_YOUR_CALM);
        EXPECT(http_counters.floods > before);
        client_close();
    }
    end();
}

TEST(a_head_that_unfolds_ends_the_connection) {
    u8 block[1200], refs[4000];
    begin();
    raw_open();
    memcpy(block, "\x82\x86\x84\x41\x01" "a\x40\x03x-a\x7f\x81\x06", 14);
    memset(block + 14, 'v', 896); /* 127 + 1 + 6 * 128 = 896 */
    memset(refs, 0xBE, sizeof refs);
    raw_frame(NGHTTP2_HEADERS, 1, 1, block, 14 + 896);
    raw_frame(NGHTTP2_CONTINUATION, 4, 1, refs, sizeof refs);
    peer_run(50);
    EXPECT_EQ(raw_goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_EQ(handled, 0);
    raw_close();
    end();
}

TEST(frames_for_the_dead) {
    static const u8 get[] = {0x82, 0x86, 0x84, 0x41, 1, 'a'};
    begin();
    raw_open(); /* ended by both: the client knows */
    raw_frame(NGHTTP2_HEADERS, 5, 1, get, sizeof get);
    peer_run(30);
    raw_frame(NGHTTP2_DATA, 0, 1, "x", 1);
    peer_run(30);
    EXPECT_EQ(raw_goaway(), NGHTTP2_STREAM_CLOSED);
    raw_close();
    raw_open(); /* skipped */
    raw_frame(NGHTTP2_HEADERS, 5, 5, get, sizeof get);
    peer_run(30);
    raw_frame(NGHTTP2_HEADERS, 5, 3, get, sizeof get);
    peer_run(30);
    EXPECT_EQ(raw_goaway(), NGHTTP2_PROTOCOL_ERROR);
    raw_close();
    raw_open(); /* reset by us: it may not know yet */
    static const u8 post[] = {0x83, 0x86, 0x44, 7, '/', 'u', 'n', 'r', 'e', 'a', 'd', 0x41, 1, 'a'};
    raw_frame(NGHTTP2_HEADERS, 4, 1, post, sizeof post);
    peer_run(30);
    raw_frame(NGHTTP2_DATA, 0, 1, "x", 1);
    raw_frame(NGHTTP2_HEADERS, 5, 1, "\x82", 1);
    peer_run(30);
    EXPECT_EQ(raw_goaway(), -1);
    raw_close();
    end();
}

TEST(cut_at_any_byte) {
    static const u8 all[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                            "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1a"
                            "\0\0\6\1\4\0\0\0\3\x83\x86\x84\x41\1a\0\0\3\0\1\0\0\0\3abc";
    begin();
    for (size_t n = 1; n < sizeof all; n += 3) {
        struct peer_conn *c = peer_open(PORT);
        peer_write(c, str_of((const char *)all, n));
        peer_run(5);
        conn_send(c, n % 2 ? P_RST | P_ACK : P_FIN | P_ACK, NULL, 0);
        peer_run(50);
        if (n % 2 == 0) EXPECT(c->finished || c->reset);
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_close(c);
    }
    end();
}

TEST(no_memory_at_any_moment) {
    begin();
    for (u64 nth = 1; nth < 120; nth++) {
        struct peer_conn *c = peer_open(PORT);
        static const char all[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                  "\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1a"
                                  "\0\0\6\1\4\0\0\0\3\x83\x86\x84\x41\1a\0\0\3\0\1\0\0\0\3abc"
                                  "\0\0\xc\1\5\0\0\0\5\x82\x86\x44\6/large\x81";
        memory_fault_set(nth, false);
        peer_write(c, str_of(all, sizeof all - 1));
        peer_run(50);
        memory_fault_set(0, false);
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_run(5);
        peer_close(c);
    }
    end();
}

/* ---- The end --------------------------------------------------------------------------------- */

TEST(zz_draining_says_goodbye) {
    begin();
    client_open(65535, true);
    struct client idle = client;
    client_open(65535, true);
    s32 a = ask_with("POST", "/echo", 10, true, NULL);
    client_run(50);
    http_server_drain(server);
    client_run(300);
    EXPECT(client.goaway && client.goaway_error == 0);
    EXPECT(idle.conn->finished);
    EXPECT(!http_server_drained(server));
    EXPECT_EQ(nghttp2_submit_rst_stream(client.session, 0, a, NGHTTP2_CANCEL), 0);
    client_run(200);
    EXPECT(client.conn->finished);
    EXPECT(http_server_drained(server));
    nghttp2_session_del(idle.session);
    peer_close(idle.conn);
    client_close();
    end();
}
