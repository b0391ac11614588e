/* SPDX-License-Identifier: Apache-2.0 */
/* http2_fuzz.c — a client's side of an HTTP/2 connection: frames of any kind with any bytes, or any
 * bytes at all, cut anywhere. First byte: bit 0, the hello is said for the input; the others, how
 * long the pieces are. However it goes, the connection ends and what it held has come back. */
#include "tests/unit/net_peer.h"
#include "net/http2_impl.h"

static struct http_server *server;

static void handler(struct http_exchange *x, void *arg) {
    static char some[70000];
    str body;
    (void)arg;
    for (u32 i = 0; i < x->request->field_count; i++)
        CHECK(http_is_field_value(x->request->fields[i].value));
    CHECK(x->request->path.ptr[0] == '/' || x->request->path.ptr[0] == '*');
    if (x->request->method == HTTP_GET) {
        http_answer(x, 200, S("text/plain"), str_of(some, sizeof some));
    } else if (!http_body_all(x, 3000, &body) &&
               !http_answer_begin(x, 200, S("text/plain"), -1)) {
        rc_t rc = http_answer_write(x, body);
        if (!rc) rc = http_answer_end(x);
        (void)rc;
    }
}

static size_t held(enum memory_budget b) {
    struct memory_use use;
    memory_use_get(b, &use);
    return use.used;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static size_t before;
    if (n < 2 || n > 20000) return 0;
    peer_begin(1, "192.0.2.2/24");
    if (!server) {
        struct http_server_options o = {.port = 80, .handler = handler};
        if (http_serve(&o, &server)) panic("no server");
    }
    struct peer_conn *c = peer_open(80);
    if (bytes[0] & 1)
        peer_write(c, str_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
    size_t step = 1 + (size_t)(bytes[0] >> 1) * 16;
    for (str all = str_of((const char *)bytes + 1, n - 1); all.len && !c->finished && !c->reset;
         all = str_skip(all, step)) {
        peer_write(c, str_take(all, step));
        peer_run(1);
    }
    peer_run(10);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_run(20);
    peer_close(c);
    for (u32 s = 0; s < 60 && stream_count(); s++) peer_run(1000);
    struct http_stats stats;
    http_stats_get(&stats);
    CHECK(stream_count() == 0 && stats.open == 0 && stats.active == 0);
    if (!before) before = held(MEMORY_CONNECTIONS);
    CHECK(held(MEMORY_CONNECTIONS) <= before + KIB(64)); /* kept streams and blocks */
    return 0;
}
