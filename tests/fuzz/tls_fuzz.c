/* SPDX-License-Identifier: Apache-2.0 */
/* tls_fuzz.c — any bytes as the first flight of a TLS client, in one piece or several: the server
 * answers with an alert or with nothing, and holds nothing afterwards. First byte: where to cut. */
#include "tests/unit/net_peer.h"
#include "net/tls.h"

static struct http_server *server;
static bool made;
static size_t held;

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    http_answer(x, 200, S("text/plain"), S("ok"));
}

static void make(void *arg) {
    static char key[4096], chain[4096];
    struct diag why;
    (void)arg;
    if (tls_make_identity(S("a"), key, sizeof key, chain, sizeof chain)) panic("no identity");
    if (tls_use_identity(str_from_c(key), str_from_c(chain), &why)) panic("%s", why.text);
    made = true;
}

static size_t tls_bytes(void) {
    struct memory_use use;
    memory_use_get(MEMORY_TLS, &use);
    return use.used;
}

static void begin(void) {
    struct fiber *f;
    struct http_server_options o = {.port = 443, .tls = true, .handler = handler};
    peer_begin(1, "192.0.2.2/24");
    if (made) return;
    if (tls_init() || fiber_start("make", make, NULL, &f)) panic("no TLS");
    while (!made) peer_run(10);
    if (http_serve(&o, &server)) panic("no server");
    held = tls_bytes();
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    if (n < 2 || n > 6000) return 0;
    begin();
    struct peer_conn *c = peer_open(443);
    str all = str_of((const char *)bytes + 1, n - 1);
    size_t cut = MIN((size_t)bytes[0] * 4, all.len);
    peer_write(c, str_take(all, cut));
    peer_run(2);
    peer_write(c, str_skip(all, cut));
    peer_run(5);
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_run(20);
    peer_close(c);
    for (u32 s = 0; s < 20 && stream_count(); s++) peer_run(1000);
    CHECK(stream_count() == 0);
    CHECK(tls_bytes() <= held + 512); /* ticket keys come with the first session */
    return 0;
}
