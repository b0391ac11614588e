/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_static_test.c — embedded files over a connection: tags and 304, ranges of every shape,
 * precompressed variants by Accept-Encoding; and looking things up in queries and fields. */
#include "net/http_static.c"
#include "tests/test.h"
#include "tests/unit/net_peer.h"
#include <stdio.h>

static struct http_server *server;
static const struct http_static file = {
    .content_type = {"text/plain", 10},
    .body = {"0123456789abcdefghij", 20},
    .gzip = {"GZIPPED", 7},
    .brotli = {"BROTLI", 6},
    .etag = {"\"tag\"", 5},
    .cache_control = {"max-age=60", 10},
};
static const struct http_static bare = {
    .content_type = {"text/plain", 10}, .body = {"0123456789", 10}, .etag = {"\"b\"", 3}};

static void queries(struct http_exchange *x) {
    str value;
    EXPECT_OK(http_query(x, S("a"), &value));
    EXPECT_STR(value, S("1 2"));
    EXPECT_OK(http_query(x, S("é"), &value));
    EXPECT_STR(value, S("x"));
    EXPECT_OK(http_query(x, S("empty"), &value));
    EXPECT(value.ptr && !value.len);
    EXPECT_OK(http_query(x, S("missing"), &value));
    EXPECT(!value.ptr);
    EXPECT_RC(http_query(x, S("bad"), &value), RC_INVALID);
    u32 at = 0, count = 0;
    while (http_field_next(x->request, S("x-many"), &at, &value)) count++;
    EXPECT_EQ(count, 2);
    EXPECT_STR(http_field(x->request, S("X-MANY")), S("one"));
    EXPECT(!http_field(x->request, S("X-None")).ptr);
    EXPECT_STR(x->request->host, S("example.test"));
    EXPECT_STR(x->request->query, S("a=1+2&%C3%A9=x&empty=&&bad=%ZZ&a=3"));
    http_answer(x, 200, S("text/plain"), S("ok"));
}

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    if (str_eq(x->request->path, S("/q")))
        queries(x);
    else
        http_answer_static(x, str_eq(x->request->path, S("/bare")) ? &bare : &file);
}

static struct peer_conn *last;
/* GET with these fields; true when the answer has the status and holds the text. */
static bool get(const char *path, const char *fields, int status, const char *text) {
    char request[1024];
    if (last) peer_close(last);
    peer_begin(test_seed(), "192.0.2.2/24");
    if (!server) {
        struct http_server_options o = {.port = 80, .handler = handler};
        EXPECT_OK(http_serve(&o, &server));
    }
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: Example.TEST:80\r\nConnection: close\r\n%s\r\n",
                     path, fields);
    last = peer_ask(80, str_of(request, (size_t)n), 20);
    conn_send(last, P_RST | P_ACK, NULL, 0);
    str in = peer_in(last);
    bool found = str_find(in, str_from_c(text)) < in.len;
    if (peer_status(last) != status || !found) printf("%s %s: %.*s\n", path, fields, STR(in));
    return peer_status(last) == status && found;
}
static bool lacks(const char *text) {
    return str_find(peer_in(last), str_from_c(text)) == last->in_len;
}

TEST(plain_and_precompressed) {
    EXPECT(get("/f", "", 200, "\r\n\r\n0123456789abcdefghij"));
    EXPECT(get("/f", "", 200, "ETag: \"tag\"\r\n"));
    EXPECT(get("/f", "", 200, "Cache-Control: max-age=60\r\n"));
    EXPECT(get("/f", "", 200, "Vary: Accept-Encoding\r\n"));
    EXPECT(get("/f", "", 200, "Accept-Ranges: bytes\r\n"));
    EXPECT(get("/f", "Accept-Encoding: gzip\r\n", 200, "\r\n\r\nGZIPPED"));
    EXPECT(get("/f", "Accept-Encoding: gzip\r\n", 200, "Content-Encoding: gzip\r\n"));
    EXPECT(get("/f", "Accept-Encoding: gzip\r\n", 200, "ETag: \"tag-gz\"\r\n"));
    EXPECT(get("/f", "Accept-Encoding: gzip, br\r\n", 200, "\r\n\r\nBROTLI"));
    EXPECT(get("/f", "Accept-Encoding: br;q=0.5, gzip;q=0.9\r\n", 200, "\r\n\r\nGZIPPED"));
    EXPECT(get("/f", "Accept-Encoding: br;q=0, gzip;q=0\r\n", 200, "\r\n\r\n0123"));
    EXPECT(get("/f", "Accept-Encoding: *\r\n", 200, "\r\n\r\nBROTLI"));
    EXPECT(get("/f", "Accept-Encoding: identity\r\n", 200, "\r\n\r\n0123"));
    EXPECT(get("/bare", "Accept-Encoding: gzip, br\r\n", 200, "\r\n\r\n0123456789"));
    EXPECT(lacks("Vary"));
}

TEST(what_is_known_is_not_sent_again) {
    EXPECT(get("/f", "If-None-Match: \"tag\"\r\n", 304, "ETag: \"tag\"\r\n"));
    EXPECT(lacks("0123") && lacks("Content-Length: 20"));
    EXPECT(get("/f", "If-None-Match: W/\"tag\"\r\n", 304, "\r\n\r\n"));
    EXPECT(get("/f", "If-None-Match: \"x\", \"tag\"\r\n", 304, "\r\n\r\n"));
    EXPECT(get("/f", "If-None-Match: *\r\n", 304, "\r\n\r\n"));
    EXPECT(get("/f", "If-None-Match: \"tag-gz\"\r\nAccept-Encoding: gzip\r\n", 304, "\"tag-gz\""));
    EXPECT(get("/f", "If-None-Match: \"other\"\r\n", 200, "0123"));
    EXPECT(get("/f", "If-None-Match: tag\r\n", 200, "0123"));
}

TEST(one_range) {
    EXPECT(get("/f", "Range: bytes=2-5\r\n", 206, "\r\n\r\n2345"));
    EXPECT(get("/f", "Range: bytes=2-5\r\n", 206, "Content-Range: bytes 2-5/20\r\n"));
    EXPECT(get("/f", "Range: bytes=18-\r\n", 206, "\r\n\r\nij"));
    EXPECT(get("/f", "Range: bytes=-3\r\n", 206, "\r\n\r\nhij"));
    EXPECT(get("/f", "Range: bytes=-99\r\n", 206, "bytes 0-19/20"));
    EXPECT(get("/f", "Range: bytes=10-99\r\n", 206, "bytes 10-19/20"));
    EXPECT(get("/f", "Range: bytes=0-0\r\n", 206, "Content-Length: 1\r\n"));
    EXPECT(get("/f", "Range: bytes=20-\r\n", 416, "Content-Range: bytes */20\r\n"));
    EXPECT(get("/f", "Range: bytes=-0\r\n", 416, "problem+json"));
    EXPECT(get("/f", "Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n", 206,
               "\r\n\r\n01")); /* of the plain bytes */
}

TEST(what_is_no_range_is_ignored) {
    static const char *const bad[] = {
        "bytes=5-2", "bytes=",    "bytes=a-b",   "bytes",       "lines=1-2",
        "bytes=1",   "bytes=--1", "bytes=1-2-3", "bytes=0x1-2", "bytes=99999999999999999999-"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char f[100];
        snprintf(f, sizeof f, "Range: %s\r\n", bad[i]);
        EXPECT(get("/f", f, 200, "\r\n\r\n0123456789abcdefghij"));
    }
}

TEST(several_ranges) {
    EXPECT(get("/f", "Range: bytes=0-1,5-6\r\n", 206,
               "Content-Type: multipart/byteranges; boundary="));
    EXPECT(
        get("/f", "Range: bytes=0-1, 5-6\r\n", 206, "Content-Range: bytes 0-1/20\r\n\r\n01\r\n--"));
    EXPECT(
        get("/f", "Range: bytes=0-1,5-6\r\n", 206, "Content-Range: bytes 5-6/20\r\n\r\n56\r\n--"));
    str in = peer_in(last);
    uint64_t promised = 0;
    size_t at = str_find(in, S("Content-Length: ")) + 16, head = str_find(in, S("\r\n\r\n")) + 4;
    EXPECT_OK(
        str_to_u64(str_take(str_skip(in, at), str_find(str_skip(in, at), S("\r\n"))), &promised));
    EXPECT_EQ(promised, in.len - head);
    EXPECT(get("/f", "Range: bytes=0-1,99-\r\n", 206, "bytes 0-1/20")); /* one can be met */
    EXPECT(get("/f", "Range: bytes=0-,0-,0-\r\n", 200, "0123"));        /* dearer than the whole */
    EXPECT(get("/f",
               "Range: "
               "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,"
               "16-16\r\n",
               200, "0123"));
}

TEST(ranges_on_condition) {
    EXPECT(get("/f", "Range: bytes=0-1\r\nIf-Range: \"tag\"\r\n", 206, "\r\n\r\n01"));
    EXPECT(get("/f", "Range: bytes=0-1\r\nIf-Range: \"old\"\r\n", 200, "0123"));
    EXPECT(get("/f", "Range: bytes=0-1\r\nIf-Range: W/\"tag\"\r\n", 200, "0123"));
}

TEST(queries_and_fields) {
    EXPECT(get("/q?a=1+2&%C3%A9=x&empty=&&bad=%ZZ&a=3", "X-Many: one\r\nx-many: two\r\n", 200,
               "\r\n\r\nok"));
}
