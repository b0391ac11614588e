/* SPDX-License-Identifier: Apache-2.0 */
/* app_platform_test.c — what the appliance says about itself and lets be done to it: routes,
 * figures, log, certificate, pages, API document, health, stopping. All modules are up. */
#include "app/tls/certificate.c"
#include "tests/unit/whole.h"
#include "app/screen.h"
#include <stdlib.h>

#define CERTIFICATE "/api/v1/tls/certificate"

static char console_text[65536];
static size_t console_len;
void platform_console_put(str bytes) {
    size_t n = MIN(bytes.len, sizeof console_text - 1 - console_len);
    memcpy(console_text + console_len, bytes.ptr, n);
    console_len += n;
    console_text[console_len] = 0;
}

TEST(the_gateway_shows_its_routes) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/gateway/routes", ROOT, NULL), 200);
    EXPECT(whole_int("total") > 50 && whole_items() == whole_int("total"));
    EXPECT(body_has("\"access\":\"public\"") && body_has("\"access\":\"user\"") &&
           !body_has("\"running\":false"));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/gateway/routes", ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_OPTIONS, "*", GUEST, NULL), 204);
    EXPECT(header("Allow: GET, HEAD, POST"));
}

TEST(a_refusal_is_audited_but_not_a_flood) {
    whole_begin();
    s64 before = storage_number("SELECT count(*) FROM audit WHERE action='access.denied'");
    for (int i = 0; i < 20; i++) EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs", BOB, NULL), 403);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='access.denied'"),
              before + 1);
    whole_run_ms(11000);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs", BOB, NULL), 403);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='access.denied'"),
              before + 2);
}

TEST(the_log_is_read_from_any_point) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs?since=0&limit=5", ROOT, NULL), 200);
    EXPECT_EQ(whole_items(), 5);
    s64 next = whole_int("next");
    EXPECT(body_has("\"level\":\"info\""));
    /* a small ring has forgotten the start */
    if (LOG_RING_BYTES > KIB(64)) EXPECT(body_has("\"lost\":0"));
    char target[80];
    snprintf(target, sizeof target, "/api/v1/logs?since=%lld&limit=1000", (long long)next);
    EXPECT_EQ(ask(HTTP_GET, target, ROOT, NULL), 200);
    EXPECT(whole_int("next") > next);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs?level=error", ROOT, NULL), 200);
    EXPECT(!body_has("\"level\":\"info\""));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs?level=loud", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs?limit=1001", ROOT, NULL), 400);
    for (int i = 0; i < 6000; i++) log_info("test", "a line that pushes out an old one", "n=%d", i);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/logs?since=0&limit=3", ROOT, NULL), 200);
    EXPECT(whole_int("lost") > 0);
    EXPECT_EQ(whole_items(), 3);
}

TEST(figures_are_lines_that_prometheus_reads) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/metrics", GUEST, NULL), 200);
    str rest = str_from_c(fake.body), line;
    u32 samples = 0;
    while (str_split(&rest, '\n', &line)) {
        if (!line.len || line.ptr[0] == '#') continue;
        size_t blank = line.len;
        while (blank && line.ptr[blank - 1] != ' ') blank--;
        char number[64], *end;
        REQUIRE(blank && str_to_c(str_skip(line, blank), number, sizeof number) == RC_OK);
        (void)strtod(number, &end);
        if (*end) test_fail(__FILE__, __LINE__, "no number: %.*s", STR(line));
        samples++;
    }
    EXPECT(samples > 100);
    EXPECT(body_has("openpolicy_disk_writes_total{disk=\"0\"} ") && body_has("budget=\"sql\""));
    EXPECT(body_has("route=\"/api/v1/auth/login\",method=\"POST\",status=\"200\"} "));
    EXPECT(body_has("_bucket{route=\"/api/v1/auth/login\",method=\"POST\",le=\"+Inf\"} "));
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/config/metrics.public", ROOT, "{\"value\":false}"), 200);
    EXPECT_EQ(ask(HTTP_GET, "/metrics", GUEST, NULL), 401);
    EXPECT_EQ(ask(HTTP_GET, "/metrics", ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, "/metrics", ROOT, NULL), 200);
}

TEST(the_api_document_and_the_pages_are_public) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/openapi.json", GUEST, NULL), 200);
    if (JSON_DEPTH_MAX > 16) EXPECT_STR(whole_text("openapi"), S("3.1.0")); /* it is that deep */
    EXPECT_EQ(ask(HTTP_GET, "/", GUEST, NULL), 200);
    EXPECT(header("Content-Language: en"));
    EXPECT_EQ(ask(HTTP_GET, "/?lang=fr", GUEST, NULL), 200);
    EXPECT(header("Content-Language: fr"));
    EXPECT_EQ(ask(HTTP_GET, "/?lang=french-like", GUEST, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, "/setup?lang=de", GUEST, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/assets/none.js", GUEST, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, "/setup/", GUEST, NULL), 308);
}

/* ---- Certificate ----------------------------------------------------------------------------- */

static str pem_of(const char *column, char *to, size_t room) {
    struct db_txn *t;
    struct db_rows *r;
    char text[96];
    snprintf(text, sizeof text, "SELECT %s FROM tls_identity", column);
    EXPECT_OK(db_read_begin(&t));
    EXPECT_OK(db_query(t, &r, text));
    EXPECT_OK(db_next(r));
    EXPECT_OK(str_to_c(db_column_text(r, 0), to, room));
    db_done(r);
    db_read_end(t);
    return str_from_c(to);
}
static const char *upload(str key, str chain) {
    static char body[16384];
    struct json_writer w;
    json_open(&w, sizeof body);
    json_object(&w, NULL);
    json_text(&w, "key", key);
    json_text(&w, "chain", chain);
    json_object_end(&w);
    EXPECT_OK(str_to_c(buf_str(&w.out), body, sizeof body));
    json_close(&w);
    return body;
}
static char fingerprint[128];
static bool same_fingerprint(void) {
    EXPECT_EQ(ask(HTTP_GET, CERTIFICATE, ROOT, NULL), 200);
    return str_eq(whole_text("fingerprint_sha256"), str_from_c(fingerprint));
}

TEST(the_certificate_is_replaced_whole_or_not_at_all) {
    static char key[4096], chain[4096], new_key[4096];
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, CERTIFICATE, ROOT, NULL), 200);
    EXPECT(body_has("\"self_signed\":true") && body_has("localhost"));
    EXPECT_OK(str_to_c(whole_text("fingerprint_sha256"), fingerprint, sizeof fingerprint));
    (void)pem_of("key_pem", key, sizeof key);
    (void)pem_of("chain_pem", chain, sizeof chain);
    EXPECT_EQ(ask(HTTP_POST, CERTIFICATE "/generate", ROOT, NULL), 200);
    EXPECT(!same_fingerprint());
    (void)pem_of("key_pem", new_key, sizeof new_key);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, upload(S(""), str_from_c(chain))), 422);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, upload(S("no key"), str_from_c(chain))), 422);
    EXPECT(code("certificate_invalid"));
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, upload(str_from_c(new_key), str_from_c(chain))),
              422);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, "{\"key\":\"x\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ADA, upload(str_from_c(key), str_from_c(chain))), 403);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, upload(str_from_c(key), str_from_c(chain))), 200);
    EXPECT(same_fingerprint());
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='tls.certificate.replace'"),
              3);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE detail LIKE '%PRIVATE%'"), 0);
    /* Refused by the disk: the one in force stays in force. */
    EXPECT_EQ(ask(HTTP_POST, CERTIFICATE "/generate", ROOT, NULL), 200);
    EXPECT_OK(str_to_c(whole_text("fingerprint_sha256"), fingerprint, sizeof fingerprint));
    sim_disk_full(0, true);
    EXPECT_EQ(ask(HTTP_PUT, CERTIFICATE, ROOT, upload(str_from_c(key), str_from_c(chain))), 507);
    sim_disk_full(0, false);
    whole_run_ms(5000);
    EXPECT(same_fingerprint());
}

static void start_tls(void *done) {
    struct diag why = {0};
    rc_t rc = tls_module.start(&why);
    if (rc) test_fail(__FILE__, __LINE__, "%s %s", rc_name(rc), why.text);
    *(bool *)done = true;
}
static void restart_tls(const char *sql) {
    bool done = false;
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, sql));
    EXPECT_OK(db_write_commit(t));
    storage_fiber(start_tls, &done);
    whole_run_until(&done);
}
static void make_temporary(void *done) {
    EXPECT_OK(certificate_use_temporary());
    *(bool *)done = true;
}

TEST(a_start_uses_what_is_stored_and_mends_what_is_not_usable) {
    bool done = false;
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, CERTIFICATE, ROOT, NULL), 200);
    EXPECT_OK(str_to_c(whole_text("fingerprint_sha256"), fingerprint, sizeof fingerprint));
    restart_tls("SELECT 1");
    EXPECT(same_fingerprint());
    restart_tls("UPDATE tls_identity SET key_pem='rotten'");
    EXPECT(!same_fingerprint());
    EXPECT_OK(str_to_c(whole_text("fingerprint_sha256"), fingerprint, sizeof fingerprint));
    storage_fiber(make_temporary, &done);
    whole_run_until(&done);
    EXPECT(!same_fingerprint());
    sim_wall_step((s64)900 * 86400 * (s64)NS_PER_S); /* after its last day */
    whole_login_again();
    restart_tls("SELECT 1");
    EXPECT(!same_fingerprint());
}

/* ---- Health, screen, stopping ---------------------------------------------------------------- */

TEST(health_tells_what_is_wrong_and_where) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/health/detailed", GUEST, NULL), 200);
    EXPECT(body_has("\"workers\":") && body_has("the link is down"));
    EXPECT_EQ(ask(HTTP_GET, "/health", GUEST, NULL), 200);
    EXPECT(body_has("\"status\":\"degraded\""));
    size_t taken[MEMORY_BUDGET_COUNT];
    for (int i = 0; i < MEMORY_BUDGET_COUNT; i++) { /* most of the memory goes */
        struct memory_use use;
        memory_use_get((enum memory_budget)i, &use);
        taken[i] = (use.limit - use.used) / 20 * 19;
        EXPECT(memory_charge((enum memory_budget)i, taken[i]));
    }
    whole_run_ms(1000);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/health/detailed", GUEST, NULL), 200);
    EXPECT(body_has("% of the memory is in use"));
    for (int i = 0; i < MEMORY_BUDGET_COUNT; i++) memory_refund((enum memory_budget)i, taken[i]);
    whole_run_ms(1000);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/health/detailed", GUEST, NULL), 200);
    EXPECT(!body_has("% of the memory is in use"));
}

TEST(the_screen_says_where_and_how) {
    struct buf out;
    whole_begin();
    buf_open(&out, 8192);
    boot_stamps.storage_ready_ns = 1500000000;
    screen_write(&out);
    str text = buf_str(&out);
    EXPECT(str_find(text, S("OpenPolicy Appliance")) < text.len);
    EXPECT(str_find(text, S("none yet (the link is down)")) < text.len);
    EXPECT(str_find(text, S("certificate  SHA-256 ")) < text.len);
    EXPECT(str_find(text, S("storage 1.500000 s")) < text.len);
    buf_close(&out);
}

static int stopped; /* 1: off, 2: again */
static void note_stop(bool reset) { stopped = reset ? 2 : 1; }

TEST(stopping_is_answered_first_and_once) {
    whole_begin();
    system_stop = note_stop;
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/restart", ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/restart", ROOT, NULL), 202);
    EXPECT(fake.closed);
    EXPECT_EQ(stopped, 0);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/poweroff", ROOT, NULL), 409);
    whole_run_ms(1000);
    EXPECT_EQ(stopped, 2);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='system.restart'"), 1);
}
