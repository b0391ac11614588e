/* SPDX-License-Identifier: Apache-2.0 */
/* net_tls_test.c — TLS over the simulated wire against a client made of the same library: both
 * versions, resumption, replacing who we are, certificates that must be refused, damaged records,
 * clients that stall, and nothing left behind. */
#include "net/tls_session.c"
#include "mbedtls/gcm.h"
#include "psa/crypto.h"
#include "tests/test.h"
#include "tests/unit/net_peer.h"
#include <stdio.h>

#define PORT 443

static struct http_server *server;
static char key_pem[4096], cert_pem[4096], other_key[4096], other_cert[4096];
static bool fiber_done;

static void handler(struct http_exchange *x, void *arg) {
    (void)arg;
    str body;
    EXPECT(x->request->secure);
    if (http_body_all(x, 300000, &body)) return;
    http_answer(x, 200, S("text/plain"), body.len ? body : S("ok\n"));
}

static void run_fiber(void (*fn)(void *arg), void *arg) {
    struct fiber *f;
    fiber_done = false;
    EXPECT_OK(fiber_start("test", fn, arg, &f));
    for (u32 i = 0; i < 200 && !fiber_done; i++) peer_run(50);
    EXPECT(fiber_done);
}

static void make_identities(void *arg) {
    struct diag why = {0};
    (void)arg;
    EXPECT_RC(tls_identity_info_get(&(struct tls_identity_info){0}), RC_NOT_FOUND);
    EXPECT_OK(tls_make_identity(S("example.test, 192.0.2.2,2001:db8::7"), key_pem, sizeof key_pem,
                                cert_pem, sizeof cert_pem));
    EXPECT_OK(tls_make_identity(S("other.test"), other_key, sizeof other_key, other_cert,
                                sizeof other_cert));
    EXPECT_RC(tls_make_identity(S("x"), other_key + 4000, 10, other_cert + 4000, 10), RC_LIMIT);
    EXPECT_OK(tls_use_identity(str_from_c(key_pem), str_from_c(cert_pem), &why));
    fiber_done = true;
}

static void begin(void) {
    peer_begin(test_seed(), "192.0.2.2/24");
    if (server) return;
    EXPECT_OK(tls_init());
    run_fiber(make_identities, NULL);
    struct http_server_options o = {.port = PORT, .tls = true, .handler = handler};
    EXPECT_OK(http_serve(&o, &server));
}

static void quiet(void) {
    peer_run(120000);
    EXPECT_EQ(stream_count(), 0);
}

/* ---- The client ------------------------------------------------------------------------------ */

struct client {
    struct peer_conn *conn;
    size_t taken; /* of conn->in */
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt trust;
};

static int client_send(void *arg, const unsigned char *bytes, size_t n) {
    struct client *c = arg;
    peer_write(c->conn, str_of((const char *)bytes, n));
    return (int)n;
}
static int client_recv(void *arg, unsigned char *to, size_t room) {
    struct client *c = arg;
    size_t n = MIN(room, c->conn->in_len - c->taken);
    if (!n)
        return c->conn->finished || c->conn->reset ? MBEDTLS_ERR_SSL_CONN_EOF
                                                   : MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(to, c->conn->in + c->taken, n);
    c->taken += n;
    return (int)n;
}

static struct client *client_open(mbedtls_ssl_protocol_version version, const char *trust,
                                  const char *name) {
    struct client *c = calloc(1, sizeof *c);
    if (!c) panic("no memory for a client");
    c->conn = peer_open(PORT);
    mbedtls_ssl_init(&c->ssl);
    mbedtls_x509_crt_init(&c->trust);
    EXPECT_OK(tls_settings_init(&c->config, MBEDTLS_SSL_IS_CLIENT));
    mbedtls_ssl_conf_min_tls_version(&c->config, version);
    mbedtls_ssl_conf_max_tls_version(&c->config, version);
    EXPECT_EQ(mbedtls_x509_crt_parse(&c->trust, (const u8 *)trust, strlen(trust) + 1), 0);
    mbedtls_ssl_conf_ca_chain(&c->config, &c->trust, NULL);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        &c->config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    EXPECT_EQ(mbedtls_ssl_setup(&c->ssl, &c->config), 0);
    EXPECT_EQ(mbedtls_ssl_set_hostname(&c->ssl, name), 0);
    mbedtls_ssl_set_bio(&c->ssl, c, client_send, client_recv, NULL);
    return c;
}

static int client_handshake(struct client *c) {
    int e = MBEDTLS_ERR_SSL_WANT_READ;
    for (u32 i = 0; i < 100 && e == MBEDTLS_ERR_SSL_WANT_READ; i++) {
        e = mbedtls_ssl_handshake(&c->ssl);
        peer_run(20);
    }
    return e;
}

static size_t client_ask(struct client *c, str request, char *to, size_t room, size_t want) {
    size_t n = 0;
    while (request.len) {
        int e = mbedtls_ssl_write(&c->ssl, (const u8 *)request.ptr, request.len);
        if (e < 0) return 0;
        request = str_skip(request, (size_t)e);
        peer_run(2);
    }
    for (u32 i = 0; i < 400 && n < want; i++) {
        int e = mbedtls_ssl_read(&c->ssl, (u8 *)to + n, room - n);
        if (e > 0)
            n += (size_t)e;
        else if (e != MBEDTLS_ERR_SSL_WANT_READ && e != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
            break;
        else
            peer_run(10);
    }
    return n;
}

static void client_close(struct client *c) {
    (void)mbedtls_ssl_close_notify(&c->ssl);
    conn_send(c->conn, P_FIN | P_ACK, NULL, 0);
    peer_run(50);
    peer_close(c->conn);
    mbedtls_ssl_free(&c->ssl);
    mbedtls_ssl_config_free(&c->config);
    mbedtls_x509_crt_free(&c->trust);
    free(c);
}

#define GET S("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")

static void serves(mbedtls_ssl_protocol_version version, const char *name) {
    char answer[4096];
    struct client *c = client_open(version, cert_pem, "example.test");
    EXPECT_EQ(client_handshake(c), 0);
    EXPECT_STR(str_from_c(mbedtls_ssl_get_version(&c->ssl)), str_from_c(name));
    EXPECT_STR(str_from_c(mbedtls_ssl_get_alpn_protocol(&c->ssl)), S("http/1.1"));
    for (u32 i = 0; i < 3; i++) {
        size_t n = client_ask(c, GET, answer, sizeof answer, 100);
        EXPECT(str_starts(str_of(answer, n), S("HTTP/1.1 200 OK\r\n")));
    }
    client_close(c);
    quiet();
}

TEST(both_versions_serve) {
    begin();
    serves(MBEDTLS_SSL_VERSION_TLS1_3, "TLSv1.3");
    serves(MBEDTLS_SSL_VERSION_TLS1_2, "TLSv1.2");
}

static void resumes(mbedtls_ssl_protocol_version version) {
    char answer[4096];
    mbedtls_ssl_session session;
    u64 before = tls_counters.resumed;
    mbedtls_ssl_session_init(&session);
    struct client *c = client_open(version, cert_pem, "example.test");
    EXPECT_EQ(client_handshake(c), 0);
    (void)client_ask(c, GET, answer, sizeof answer, 100);
    EXPECT_EQ(mbedtls_ssl_get_session(&c->ssl, &session), 0);
    client_close(c);
    c = client_open(version, cert_pem, "example.test");
    EXPECT_EQ(mbedtls_ssl_set_session(&c->ssl, &session), 0);
    EXPECT_EQ(client_handshake(c), 0);
    EXPECT(str_starts(str_of(answer, client_ask(c, GET, answer, sizeof answer, 100)),
                      S("HTTP/1.1 200")));
    EXPECT_EQ(tls_counters.resumed, before + 1);
    client_close(c);
    mbedtls_ssl_session_free(&session);
    quiet();
}

TEST(sessions_resume_in_both_versions) {
    begin();
    resumes(MBEDTLS_SSL_VERSION_TLS1_2);
    resumes(MBEDTLS_SSL_VERSION_TLS1_3);
}

TEST(large_bodies_both_ways) {
    static char request[260000], answer[300000];
    begin();
    int head = sprintf(request, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n\r\n");
    for (u32 i = 0; i < 250000; i++) request[head + (int)i] = (char)('a' + i % 26);
    struct client *c = client_open(MBEDTLS_SSL_VERSION_TLS1_3, cert_pem, "example.test");
    EXPECT_EQ(client_handshake(c), 0);
    size_t n = client_ask(c, str_of(request, (size_t)head + 250000), answer, sizeof answer, 250100);
    EXPECT(str_ends(str_of(answer, n), str_of(request + head, 250000)));
    client_close(c);
    quiet();
}

TEST(the_identity_says_who_it_is) {
    struct tls_identity_info info;
    begin();
    EXPECT(tls_has_identity());
    EXPECT_OK(tls_identity_info_get(&info));
    EXPECT_EQ(strlen(info.fingerprint_sha256), 95);
    EXPECT_STR(str_from_c(info.names), S("2001:db8::7,192.0.2.2,example.test,localhost"));
    EXPECT_STR(str_from_c(info.subject), S("CN=OpenPolicy Appliance"));
    EXPECT(info.self_signed);
    EXPECT_EQ((info.not_after_ns - info.not_before_ns) / (86400 * NS_PER_S), 825);
    EXPECT(info.not_before_ns < platform_wall_ns());
}

TEST(a_client_that_does_not_trust_us_leaves) {
    begin();
    u64 failed = tls_counters.failed;
    struct client *c = client_open(MBEDTLS_SSL_VERSION_TLS1_3, other_cert, "example.test");
    EXPECT(client_handshake(c) != 0);
    client_close(c);
    peer_run(100);
    EXPECT_EQ(tls_counters.failed, failed + 1);
    quiet();
}

/* ---- Replacing ------------------------------------------------------------------------------- */

static const char *use_key, *use_chain;
static rc_t use_rc;
static struct diag use_why;
static void use_identity(void *arg) {
    (void)arg;
    use_rc = tls_use_identity(str_from_c(use_key), str_from_c(use_chain), &use_why);
    fiber_done = true;
}
static rc_t use(const char *key, const char *chain) {
    use_key = key, use_chain = chain;
    run_fiber(use_identity, NULL);
    return use_rc;
}

TEST(replaced_while_connections_live) {
    char answer[4096];
    begin();
    struct client *old = client_open(MBEDTLS_SSL_VERSION_TLS1_3, cert_pem, "example.test");
    EXPECT_EQ(client_handshake(old), 0);
    EXPECT_OK(use(other_key, other_cert));
    EXPECT(str_starts(str_of(answer, client_ask(old, GET, answer, sizeof answer, 100)),
                      S("HTTP/1.1 200")));
    struct client *new = client_open(MBEDTLS_SSL_VERSION_TLS1_3, other_cert, "other.test");
    EXPECT_EQ(client_handshake(new), 0);
    client_close(old);
    client_close(new);
    EXPECT_OK(use(key_pem, cert_pem));
    quiet();
}

static void add_named(void *arg) {
    struct diag why = {0};
    (void)arg;
    EXPECT_RC(tls_add_identity(S(""), str_from_c(other_key), str_from_c(other_cert), &why),
              RC_INVALID);
    EXPECT_RC(tls_add_identity(S("a"), str_from_c(key_pem), str_from_c(other_cert), &why),
              RC_INVALID);
    for (u32 i = 0; i < 2; i++) /* again is instead */
        EXPECT_OK(tls_add_identity(S("a"), str_from_c(other_key), str_from_c(other_cert), &why));
    fiber_done = true;
}

static int handshake_as(const char *trust, const char *name) {
    struct client *c = client_open(MBEDTLS_SSL_VERSION_TLS1_3, trust, name);
    int e = client_handshake(c);
    client_close(c);
    return e;
}

TEST(the_name_asked_for_decides) {
    struct tls_identity_info info;
    char id[TLS_NAMED_ID_MAX];
    begin();
    EXPECT(handshake_as(other_cert, "other.test") != 0);
    run_fiber(add_named, NULL);
    EXPECT(tls_named_info(0, id, &info) && !tls_named_info(1, id, &info));
    EXPECT_STR(str_from_c(id), S("a"));
    EXPECT_EQ(handshake_as(other_cert, "other.test"), 0);
    EXPECT_EQ(handshake_as(cert_pem, "example.test"), 0);
    EXPECT_OK(tls_remove_identity(S("a")));
    EXPECT_RC(tls_remove_identity(S("a")), RC_NOT_FOUND);
    EXPECT(handshake_as(other_cert, "other.test") != 0);
    quiet();
}

TEST(what_does_not_fit_is_refused) {
    char cut[4096];
    begin();
    struct tls_identity_info before, after;
    EXPECT_OK(tls_identity_info_get(&before));
    EXPECT_RC(use(other_key, cert_pem), RC_INVALID);
    EXPECT(strstr(use_why.text, "does not belong") != NULL);
    EXPECT_RC(use("", cert_pem), RC_INVALID);
    EXPECT_RC(use(key_pem, ""), RC_INVALID);
    EXPECT_RC(use("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", cert_pem),
              RC_INVALID);
    EXPECT_RC(use(cert_pem, cert_pem), RC_INVALID);
    for (u32 i = 0; i < 40; i++) { /* a damaged certificate is never taken for a good one */
        strcpy(cut, cert_pem);
        cut[30 + test_random() % (strlen(cut) - 60)] ^= (char)(1 << test_random() % 6);
        rc_t rc = use(key_pem, cut);
        if (rc == RC_OK)
            EXPECT_OK(use(key_pem, cert_pem)); /* only its signature was hit: ours alone to judge */
        else
            EXPECT_RC(rc, RC_INVALID);
    }
    EXPECT_OK(tls_identity_info_get(&after));
    EXPECT_STR(str_from_c(after.fingerprint_sha256), str_from_c(before.fingerprint_sha256));
}

/* ---- Hostile clients ------------------------------------------------------------------------- */

TEST(plain_http_on_the_tls_port) {
    begin();
    struct peer_conn *c = peer_ask(PORT, GET, 200);
    EXPECT(c->finished || c->reset);
    EXPECT(c->in_len < 16); /* an alert at most */
    conn_send(c, P_RST | P_ACK, NULL, 0);
    peer_close(c);
    quiet();
}

TEST(a_handshake_that_stalls_ends) {
    begin();
    struct peer_conn *c = peer_ask(PORT, S("\x16\x03\x01\x02\x00\x01"), 100);
    EXPECT(!c->finished && !c->reset);
    peer_run(HANDSHAKE_MS + 1000);
    EXPECT(c->finished || c->reset);
    peer_close(c);
    quiet();
}

/* A recorded ClientHello, damaged in a thousand ways and cut anywhere. */
TEST(damaged_hellos) {
    static char hello[2048];
    size_t n;
    begin();
    struct client *c = client_open(MBEDTLS_SSL_VERSION_TLS1_3, cert_pem, "example.test");
    struct peer_conn *real = c->conn;
    u32 seq = real->seq;
    (void)mbedtls_ssl_handshake(&c->ssl); /* writes the hello to the wire */
    n = MIN((size_t)(real->seq - seq), sizeof hello);
    EXPECT(n > 100);
    memcpy(hello, c->ssl.MBEDTLS_PRIVATE(out_hdr), n);
    client_close(c);
    quiet();
    for (u32 i = 0; i < 300; i++) {
        char bad[2048];
        size_t len = test_random() % 3 ? n : test_random() % n;
        memcpy(bad, hello, n);
        for (u64 k = test_random() % 5; k < 5; k++) bad[test_random() % n] = (char)test_random();
        struct peer_conn *p = peer_ask(PORT, str_of(bad, len), 5);
        if (test_random() % 2)
            conn_send(p, P_RST | P_ACK, NULL, 0);
        else
            conn_send(p, P_FIN | P_ACK, NULL, 0);
        peer_run(2);
        peer_close(p);
    }
    quiet();
    serves(MBEDTLS_SSL_VERSION_TLS1_3, "TLSv1.3");
}

TEST(damaged_records_end_the_connection) {
    begin();
    for (u32 i = 0; i < 20; i++) {
        struct client *c =
            client_open(i % 2 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2, cert_pem,
                        "example.test");
        EXPECT_EQ(client_handshake(c), 0);
        char junk[64] = {0x17, 3, 3, 0, 40};
        for (u32 k = 5; k < 45; k++) junk[k] = (char)test_random();
        if (i % 4 == 3) junk[0] = (char)test_random(), junk[3] = (char)test_random();
        peer_write(c->conn, str_of(junk, 45));
        peer_run(100);
        if (i % 4 != 3) EXPECT(c->conn->finished || c->conn->reset);
        conn_send(c->conn, P_RST | P_ACK, NULL, 0);
        client_close(c);
    }
    quiet();
}

/* The stream dies while a worker has the session. */
TEST(a_client_vanishes_in_its_handshake) {
    begin();
    for (u32 i = 0; i < 10; i++) {
        struct client *c = client_open(MBEDTLS_SSL_VERSION_TLS1_3, cert_pem, "example.test");
        (void)mbedtls_ssl_handshake(&c->ssl);
        conn_send(c->conn, P_RST | P_ACK, NULL, 0);
        peer_run(i);
        client_close(c);
    }
    quiet();
    struct memory_use use_now;
    memory_use_get(MEMORY_TLS, &use_now);
    EXPECT(use_now.used < KIB(64)); /* one identity, the ticket keys, nothing else */
}

/* ---- Without memory, and too many ------------------------------------------------------------ */

static void nothing_is_left(void) {
    struct tls_stats stats;
    struct memory_use use_now;
    quiet();
    tls_stats_get(&stats);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.in_progress, 0);
    memory_use_get(MEMORY_TLS, &use_now);
    EXPECT(use_now.used < KIB(64)); /* one identity, the ticket keys, nothing else */
}

/* The connection's own memory: the nth allocation fails while it is being accepted. */
TEST(accepting_without_memory_refuses) {
    begin();
    for (u64 nth = 1; nth <= 24; nth++) {
        memory_fault_set(nth, nth % 2);
        struct peer_conn *c = peer_open(PORT);
        peer_write(c, S("\x16\x03\x01\x02\x00\x01"));
        peer_run(20);
        memory_fault_set(0, false);
        conn_send(c, P_RST | P_ACK, NULL, 0);
        peer_close(c);
        peer_run(20);
    }
    nothing_is_left();
    serves(MBEDTLS_SSL_VERSION_TLS1_3, "TLSv1.3");
}

/* The nth allocation after the hello has left the client fails, once or for ever: from the buffers
 * of the session through all of its arithmetic, until a handshake passes untouched. */
static void handshakes_without_memory(mbedtls_ssl_protocol_version version, bool for_ever) {
    u32 failures = 0;
    bool whole = false;
    for (u64 nth = 1; nth < 20000 && !whole; nth += 1 + nth / 12) {
        struct client *c = client_open(version, cert_pem, "example.test");
        EXPECT_EQ(mbedtls_ssl_handshake(&c->ssl), MBEDTLS_ERR_SSL_WANT_READ);
        memory_fault_set(nth, for_ever);
        peer_run(30);
        memory_fault_set(0, false);
        whole = client_handshake(c) == 0;
        failures += !whole;
        conn_send(c->conn, P_RST | P_ACK, NULL, 0);
        client_close(c);
    }
    EXPECT(whole);
    EXPECT(failures > 10);
    nothing_is_left();
}

TEST(handshakes_without_memory_end_cleanly) {
    begin();
    handshakes_without_memory(MBEDTLS_SSL_VERSION_TLS1_3, false);
    handshakes_without_memory(MBEDTLS_SSL_VERSION_TLS1_2, true);
    serves(MBEDTLS_SSL_VERSION_TLS1_3, "TLSv1.3");
}

/* Many hellos in one batch while the budget holds a few sessions only: those that fit are served,
 * the others wait for memory, some leave, and all that stay are served in the end. */
TEST(many_at_once_share_a_small_budget) {
    enum { MANY = 40 };
    struct client *clients[MANY];
    struct memory_use use_now;
    u64 before = tls_counters.handshakes;
    u32 served = 0, count = 0;
    begin();
    for (; count < MIN((u32)MANY, (u32)TLS_WAITING_MAX); count++)
        clients[count] = client_open(MBEDTLS_SSL_VERSION_TLS1_3, cert_pem, "example.test");
    for (u32 i = 0; i < count; i++)
        EXPECT_EQ(mbedtls_ssl_handshake(&clients[i]->ssl), MBEDTLS_ERR_SSL_WANT_READ);
    memory_use_get(MEMORY_TLS, &use_now);
    size_t spare = KIB(240), all = use_now.limit - use_now.used;
    REQUIRE(memory_charge(MEMORY_TLS, all - spare));
    peer_run(50);
    struct tls_stats stats;
    tls_stats_get(&stats);
    if (count == MANY) EXPECT(stats.waiting > 10);
    EXPECT(stats.in_progress + (tls_counters.handshakes - before) > 0);
    memory_refund(MEMORY_TLS, all - spare);
    conn_send(clients[count - 1]->conn, P_RST | P_ACK, NULL, 0); /* gone while it waits */
    conn_send(clients[count - 2]->conn, P_FIN | P_ACK, NULL, 0);
    for (u32 i = 0; i + 2 < count; i++) served += client_handshake(clients[i]) == 0;
    EXPECT_EQ(served, count - 2);
    for (u32 i = 0; i < count; i++) client_close(clients[i]);
    nothing_is_left();
}

/* ---- What the patches touch ------------------------------------------------------------------ */

static void from_hex(const char *hex, u8 *to, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        to[i] = (u8)strtoul(two, NULL, 16);
    }
}

/* RFC 7748 6.1, Bob: a private key imported, its public key exported (the patched path), the secret
 * agreed with Alice's public key. */
TEST(x25519_is_the_one_of_the_rfc) {
    u8 key[32], public[32], alice[32], secret[32], got[32];
    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id;
    size_t n;
    begin();
    from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", key, 32);
    from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", public, 32);
    from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", alice, 32);
    from_hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", secret, 32);
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY));
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    REQUIRE(psa_import_key(&a, key, 32, &id) == PSA_SUCCESS);
    EXPECT(psa_export_public_key(id, got, sizeof got, &n) == PSA_SUCCESS && n == 32);
    EXPECT(memcmp(got, public, 32) == 0);
    EXPECT(psa_raw_key_agreement(PSA_ALG_ECDH, id, alice, 32, got, sizeof got, &n) == PSA_SUCCESS);
    EXPECT(memcmp(got, secret, 32) == 0);
    EXPECT(psa_destroy_key(id) == PSA_SUCCESS);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4. */
TEST(gcm_is_the_one_of_the_standard) {
    u8 key[16], iv[12], plain[60], also[20], cipher[60], tag[16], got[60], got_tag[16];
    mbedtls_gcm_context gcm;
    from_hex("feffe9928665731c6d6a8f9467308308", key, 16);
    from_hex("cafebabefacedbaddecaf888", iv, 12);
    from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0"
             "e2449a6b525"
             "b16aedf5aa0de657ba637b39",
             plain, 60);
    from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", also, 20);
    from_hex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6"
             "a5aac84aa05"
             "1ba30b396a0aac973d58e091",
             cipher, 60);
    from_hex("5bc94fbc3221a5db94fae95ae7121a47", tag, 16);
    begin();
    mbedtls_gcm_init(&gcm);
    EXPECT_EQ(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 128), 0);
    EXPECT_EQ(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, 60, iv, 12, also, 20, plain, got,
                                        16, got_tag),
              0);
    EXPECT(memcmp(got, cipher, 60) == 0 && memcmp(got_tag, tag, 16) == 0);
    EXPECT_EQ(mbedtls_gcm_auth_decrypt(&gcm, 60, iv, 12, also, 20, tag, 16, cipher, got), 0);
    EXPECT(memcmp(got, plain, 60) == 0);
    tag[3] ^= 1;
    EXPECT(mbedtls_gcm_auth_decrypt(&gcm, 60, iv, 12, also, 20, tag, 16, cipher, got) != 0);
    mbedtls_gcm_free(&gcm);
}
