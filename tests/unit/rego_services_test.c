/* SPDX-License-Identifier: Apache-2.0 */
/* rego_services_test.c — what the policy engine does by itself: bundles fetched from a server, the
 * configuration discovered in one, reports on them, the decision log sent on. The server is a
 * function here, in place of net/http_client.c; time is the simulated machine's. */
#include "tests/unit/whole.h"
#include "app/bundle/bundle.h"
#include "net/http_client.h"

/* ---- The server ---- */

static struct {
    struct buf archive[2];   /* of "b" and of "disco" */
    char etag[2][16];
    int bundle_status, log_status, report_status, token_status;
    u32 bundles, not_modified, tokens, reports, logs;
    u32 records;             /* in the newest chunk of the decision log */
    char authorization[256], log_url[256], report[16384], log[16384];
    rc_t rc;                 /* of the wire */
    size_t log_bytes_max;    /* larger ones are refused with 413 */
} server;

static str field_of(const struct http_client_request *r, const char *name) {
    for (u32 i = 0; i < r->field_count; i++)
        if (str_eq(r->fields[i].name, str_from_c(name))) return r->fields[i].value;
    return S("");
}

static bool url_has(const struct http_client_request *r, const char *text) {
    return str_find(r->url, str_from_c(text)) < r->url.len;
}

static rc_t answer_bundle(struct arena *a, const struct http_client_request *r, u32 which,
                          struct http_client_answer *answer, str *body) {
    struct http_field *f = arena_alloc(a, sizeof *f);
    server.bundles++;
    answer->status = server.bundle_status;
    if (!server.archive[which].len) answer->status = 404;
    if (answer->status != 200 || !f) return RC_OK;
    f[0] = (struct http_field){S("ETag"), str_from_c(server.etag[which])};
    answer->fields = f, answer->field_count = 1;
    if (server.etag[which][0] && str_eq(field_of(r, "If-None-Match"), f[0].value)) {
        server.not_modified++;
        answer->status = 304;
        return RC_OK;
    }
    *body = arena_copy(a, buf_str(&server.archive[which]));
    return body->ptr ? RC_OK : RC_NO_MEMORY;
}

static void take_log(const struct http_client_request *r, struct http_client_answer *answer) {
    struct diag why;
    struct buf text;
    server.logs++;
    answer->status = r->body.len > server.log_bytes_max ? 413 : server.log_status;
    if (answer->status != 200) return;
    buf_open(&text, MIB(4));
    EXPECT_STR(field_of(r, "Content-Encoding"), S("gzip"));
    EXPECT_OK(gzip_unpack(r->body, &text, &why));
    snprintf(server.log, sizeof server.log, "%.*s", STR(str_take(buf_str(&text), 16000)));
    snprintf(server.log_url, sizeof server.log_url, "%.*s", STR(r->url));
    server.records = 0;
    for (size_t at = 0; at < text.len;) {
        str rest = str_skip(buf_str(&text), at);
        size_t next = str_find(rest, S("\"decision_id\""));
        if (next < rest.len) server.records++;
        at += next + 1;
    }
    buf_close(&text);
}

rc_t http_client_fetch(struct arena *a, const struct http_client_request *r, size_t bytes_max,
                       struct http_client_answer *answer, str *body, struct diag *why) {
    (void)bytes_max;
    *answer = (struct http_client_answer){.status = 404, .url = r->url, .reason = S("None")};
    *body = S("");
    fiber_sleep_ms(2);
    if (server.rc) {
        diag_set(why, "the server is not there");
        return server.rc;
    }
    snprintf(server.authorization, sizeof server.authorization, "%.*s",
             STR(field_of(r, "Authorization")));
    if (url_has(r, "/bundles/b")) return answer_bundle(a, r, 0, answer, body);
    if (url_has(r, "/disco")) return answer_bundle(a, r, 1, answer, body);
    if (url_has(r, "/logs")) {
        take_log(r, answer);
    } else if (url_has(r, "/status")) {
        server.reports++;
        answer->status = server.report_status;
        snprintf(server.report, sizeof server.report, "%.*s", STR(r->body));
    } else if (url_has(r, "/token")) {
        server.tokens++;
        answer->status = server.token_status;
        *body = S("{\"access_token\":\"fetched\",\"expires_in\":3600}");
    }
    return RC_OK;
}

static void serve_bundle(u32 which, const char *etag, const char *roots, const char *data,
                         const char *rego) {
    struct heap h;
    struct bundle_files files = {0};
    char manifest[256];
    snprintf(manifest, sizeof manifest, "{\"roots\":[\"%s\"],\"revision\":\"%s\"}", roots, etag);
    const char *const entries[][2] = {
        {"/.manifest", manifest}, {"/data.json", data}, {"/p.rego", rego}};
    heap_open(&h, MIB(4));
    buf_close(&server.archive[which]);
    buf_open(&server.archive[which], MIB(4));
    for (u32 i = 0; i < ARRAY_LEN(entries); i++) {
        struct bundle_file f = {.name = str_from_c(entries[i][0]),
                                .bytes = str_from_c(entries[i][1])};
        EXPECT_OK(bundle_files_add(&h, &files, &f));
    }
    EXPECT_OK(bundle_pack(&files, &server.archive[which]));
    heap_close(&h);
    snprintf(server.etag[which], sizeof server.etag[which], "%s", etag);
}

/* ---- The appliance ---- */

static void begin(void) {
    server.bundle_status = server.log_status = server.report_status = server.token_status = 200;
    server.log_bytes_max = MIB(1), server.rc = RC_OK;
    whole_begin();
    whole_login_again();
}

static void set(const char *options) {
    int status = ask(HTTP_PUT, "/api/v1/config", ROOT, options);
    if (status != 200) test_fail(__FILE__, __LINE__, "%d %s", status, fake.body);
}

/* Lives on until the answer to a question has this text in it; at most a virtual minute. */
static void soon(enum http_method method, const char *target, const char *text) {
    for (u32 i = 0; i < 240; i++) {
        (void)ask(method, target, ROOT, method == HTTP_POST ? "{\"input\":{}}" : NULL);
        if (body_has(text)) return;
        whole_run_ms(250);
    }
    test_fail(__FILE__, __LINE__, "no %s in %s: %s", text, target, fake.body);
}

static void soon_sent(const u32 *count, u32 least) {
    for (u32 i = 0; i < 400 && *count < least; i++) whole_run_ms(250);
    if (*count < least) test_fail(__FILE__, __LINE__, "%u of %u", *count, least);
}

/* The same of what the server was sent. */
static void soon_told(const char *sent, const char *text) {
    for (u32 i = 0; i < 400 && !strstr(sent, text); i++) whole_run_ms(250);
    if (!strstr(sent, text)) test_fail(__FILE__, __LINE__, "no %s in %s", text, sent);
}

#define POLLING "\"polling\":{\"min_delay_seconds\":1,\"max_delay_seconds\":1}"
#define SERVICES "\"policy.services\":{\"s\":{\"url\":\"https://svc.example/base\"," \
                 "\"credentials\":{\"bearer\":{\"token\":\"secret\"}}}}"

TEST(a_bundle_is_fetched_and_polled) {
    begin();
    set("{" SERVICES ",\"policy.bundles\":{\"b\":{\"service\":\"s\",\"resource\":\"bundles/b\","
        "" POLLING
        "}},\"policy.status\":{\"service\":\"s\",\"partition_name\":\"berlin\"}}");
    soon(HTTP_GET, "/health?bundles", "one or more bundles are not activated");
    soon(HTTP_GET, "/v1/status", "server replied with Not Found");
    serve_bundle(0, "e1", "b", "{\"b\":{\"n\":1}}", "package b.p\n\nq := data.b.n + 1\n");
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":2");
    EXPECT(!strcmp(server.authorization, "Bearer secret"));
    EXPECT_EQ(ask(HTTP_GET, "/health?bundles&plugins", GUEST, NULL), 200);
    soon_sent(&server.not_modified, 1);
    serve_bundle(0, "e2", "b", "{\"b\":{\"n\":5}}", "package b.p\n\nq := data.b.n + 1\n");
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":6");
    soon_told(server.report, "\"active_revision\":\"e2\"");
    EXPECT_EQ(ask(HTTP_PUT, "/v1/data/b/n", ROOT, "7"), 400); /* the bundle's own */
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/x", ROOT, "package b\n\nz := 1\n"), 400);
}

TEST(what_goes_wrong_is_told_and_changes_nothing) {
    begin();
    serve_bundle(0, "e3", "b", "{\"b\":{\"n\":6}}", "package b.p\n\nq := \n");
    soon(HTTP_GET, "/v1/status", "rego_parse_error");
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":6");
    buf_clear(&server.archive[0]);
    EXPECT_OK(buf_add(&server.archive[0], S("this is no archive")));
    soon(HTTP_GET, "/v1/status", "bundle_error");
    server.bundle_status = 503;
    soon(HTTP_GET, "/v1/status", "server replied with Service Unavailable");
    server.rc = RC_TIMEOUT;
    soon(HTTP_GET, "/v1/status", "the server is not there");
    server.rc = RC_OK, server.report_status = 500;
    u32 reports = server.reports;
    soon_sent(&server.reports, reports + 3); /* tried again */
    server.report_status = 200, server.bundle_status = 200;
    serve_bundle(0, "e4", "b", "{\"b\":{\"n\":8}}", "package b.p\n\nq := data.b.n + 1\n");
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":9");
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/rego/bundles/b", ROOT, NULL), 202);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/rego/bundles/none", ROOT, NULL), 404);
    set("{\"policy.services\":{\"other\":{\"url\":\"https://svc.example\"}}}");
    soon(HTTP_GET, "/v1/status", "policy.services has no");
    set("{" SERVICES ",\"policy.bundles\":{}}");
    soon(HTTP_POST, "/v1/data/b", "{"); /* what it brought goes with it */
    for (u32 i = 0; i < 100 && body_has("\"n\""); i++) {
        whole_run_ms(100);
        (void)ask(HTTP_POST, "/v1/data/b", ROOT, "{\"input\":{}}");
    }
    EXPECT(!body_has("\"n\""));
}

TEST(tokens_are_fetched_and_kept) {
    begin();
    server.token_status = 401;
    serve_bundle(0, "f1", "b", "{\"b\":{\"n\":1}}", "package b.p\n\nq := data.b.n + 1\n");
    set("{\"policy.services\":{\"s\":{\"url\":\"https://svc.example\",\"credentials\":{\"oauth2\":{"
        "\"token_url\":\"https://id.example/token\",\"client_id\":\"me&you\",\"client_secret\":"
        "\"p w\","
        "\"scopes\":[\"read\",\"list\"]}}}},\"policy.bundles\":{\"b\":{\"service\":\"s\","
        "\"resource\":\"bundles/b\"," POLLING "}}}");
    soon(HTTP_GET, "/v1/status", "the token server answered 401");
    server.token_status = 200;
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":2");
    u32 tokens = server.tokens, bundles = server.bundles;
    soon_sent(&server.bundles, bundles + 3);
    EXPECT_EQ(server.tokens, tokens); /* kept */
    EXPECT(!strcmp(server.authorization, "Bearer fetched"));
    set("{\"policy.services\":{\"s\":{\"url\":\"https://svc.example\",\"headers\":{\"X-A\":\"1\"},"
        "\"credentials\":{\"basic\":{\"username\":\"u\",\"password\":\"p\"}}}}}");
    bundles = server.bundles;
    soon_sent(&server.bundles, bundles + 2);
    EXPECT(!strcmp(server.authorization, "Basic dTpw"));
    set("{\"policy.bundles\":{}}");
}

static void decide(u32 count) {
    for (u32 i = 0; i < count; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"input\":{\"n\":%u,\"name\":\"n\",\"secret\":\"hush\"}}", i);
        EXPECT_EQ(ask(HTTP_POST, "/v1/data/greet/hello", ROOT, body), 200);
    }
}

TEST(the_decision_log_is_sent) {
    begin();
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/greet", ROOT,
                  "package greet\n\nhello := input.name\n"), 200);
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/mask", ROOT,
                  "package system.log\n\nmask contains \"/input/secret\"\n\n"
                  "mask contains {\"op\": \"upsert\", \"path\": \"/input/name\", \"value\": "
                  "\"X\"}\n\n"
                  "drop if input.input.n == 1\n"), 200);
    set("{" SERVICES ",\"decisions.service\":\"s\",\"decisions.partition\":\"p\","
        "\"decisions.delay_min\":1,\"decisions.delay_max\":2}");
    decide(3);
    soon_sent(&server.logs, 1);
    EXPECT(strstr(server.log_url, "/base/logs/p") != NULL);
    EXPECT(strstr(server.log, "hush") == NULL);
    EXPECT(strstr(server.log, "\"erased\":[\"/input/secret\"]") != NULL);
    EXPECT(strstr(server.log, "\"masked\":[\"/input/name\"]") != NULL);
    EXPECT(strstr(server.log, "\"n\":1,") == NULL);
    server.log_status = 500; /* kept, tried again */
    decide(2);
    u32 logs = server.logs;
    soon_sent(&server.logs, logs + 2);
    soon(HTTP_GET, "/v1/status", "\"http_code\":500");
    server.log_status = 200;
    logs = server.logs;
    soon_sent(&server.logs, logs + 1);
    server.log_status = 422; /* halved until the one is found that nobody takes */
    decide(6);
    logs = server.logs;
    soon_sent(&server.logs, logs + 6);
    server.log_status = 200;
    decide(1);
    logs = server.logs;
    soon_sent(&server.logs, logs + 1);
    EXPECT_EQ(ask(HTTP_GET, "/v1/config", ROOT, NULL), 200);
    EXPECT(body_has("\"partition_name\":\"p\""));
    /* A mask that fails: rather no record than one with a secret in it. */
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/mask", ROOT,
                  "package system.log\n\nmask := {\"/input/secret\"}\n\nmask := {\"/x\"} if "
                  "input.path\n"),
              200);
    EXPECT_EQ(ask(HTTP_POST, "/v1/data/greet/hello", ROOT, "{\"input\":{\"name\":\"lost\"}}"), 200);
    whole_run_ms(3000);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/decisions?limit=1", ROOT, NULL), 200);
    EXPECT(!body_has("lost"));
    EXPECT_EQ(ask(HTTP_DELETE, "/v1/policies/mask", ROOT, NULL), 200);
    set("{\"decisions.service\":\"\"}");
}

TEST(configuration_is_discovered) {
    begin();
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/looks", ROOT,
                  "package looks\n\nmask contains \"/input/secret\"\n\ndrop if input.input.n == "
                  "0\n"),
              200);
    serve_bundle(0, "g1", "b", "{\"b\":{\"n\":1}}", "package b.p\n\nq := data.b.n + 1\n");
    serve_bundle(1, "d1", "conf",
                 "{\"conf\":{\"opa\":{\"bundles\":{\"b\":{\"service\":\"s\",\"resource\":"
                 "\"bundles/b\"," POLLING
                 "}},\"labels\":{\"zone\":\"a\",\"id\":\"no\"},\"default_decision\":\"/b/p/q\","
                 "\"decision_logs\":{\"service\":\"s\",\"mask_decision\":\"/looks/mask\","
                 "\"drop_decision\":\"looks/drop\",\"reporting\":{\"min_delay_seconds\":1,"
                 "\"max_delay_seconds\":1}}}}}", "package conf.p\n\nx := 1\n");
    set("{" SERVICES ",\"policy.discovery\":{\"resource\":\"disco\",\"service\":\"s\","
        "\"decision\":\"conf/opa\"," POLLING "}}");
    soon(HTTP_POST, "/v1/data/b/p/q", "\"result\":2");
    soon(HTTP_GET, "/v1/config", "\"zone\":\"a\"");
    EXPECT_EQ(ask(HTTP_POST, "/", ROOT, "{}"), 200);
    EXPECT(body_has("2"));
    decide(2);
    soon_told(server.log, "\"erased\":[\"/input/secret\"]");
    EXPECT(strstr(server.log, "hush") == NULL);
    serve_bundle(1, "d2", "conf",
        "{\"conf\":{\"opa\":{\"services\":{\"s\":{\"url\":\"https://evil\"}}}}}",
                 "package conf.p\n\nx := 1\n");
    soon(HTTP_GET, "/v1/status", "updates to the discovery service are not allowed");
    serve_bundle(1, "d3", "conf", "{\"conf\":{\"opa\":[]}}", "package conf.p\n\nx := 1\n");
    soon(HTTP_GET, "/v1/status", "the configuration is not an object");
    serve_bundle(1, "d4", "conf", "{\"conf\":{\"other\":1}}", "package conf.p\n\nx := 1\n");
    soon(HTTP_GET, "/v1/status", "undefined configuration");
    serve_bundle(1, "d5", "conf", "{\"conf\":{\"opa\":{\"bundles\":{\"b\":{\"resource\":7}}}}}",
                 "package conf.p\n\nx := 1\n");
    soon(HTTP_GET, "/v1/status", "bundles: ");
    serve_bundle(1, "d6", "conf", "{\"conf\":{\"opa\":{\"bundles\":{}}}}",
        "package conf.p\n\nx := 1\n");
    for (u32 i = 0; i < 100; i++) {
        (void)ask(HTTP_POST, "/v1/data/b/p", ROOT, "{\"input\":{}}");
        if (!body_has("\"q\"")) break;
        whole_run_ms(250);
    }
    EXPECT(!body_has("\"q\"")); /* the bundle left with the word of it */
    set("{\"policy.discovery\":{}}");
    whole_run_ms(2000);
}

/* ---- What needs no server: probes, filters, shadows, advice ---- */

TEST(probes_ask_policies) {
    begin();
    EXPECT_EQ(ask(HTTP_GET, "/health/live", GUEST, NULL), 500);
    EXPECT(body_has("was undefined"));
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/health", ROOT,
                  "package system.health\n\nlive := true\n\nready if input.plugins_ready\n\n"
                  "odd := 7\n\nbad := 1\n\nbad := 2 if input.plugin_state\n"), 200);
    EXPECT_EQ(ask(HTTP_GET, "/health/live", GUEST, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/health/ready", GUEST, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/health/odd", GUEST, NULL), 500);
    EXPECT(body_has("returned unexpected value"));
    EXPECT_EQ(ask(HTTP_GET, "/health/bad", GUEST, NULL), 500);
    EXPECT(body_has("eval_conflict_error"));
    EXPECT_EQ(ask(HTTP_GET, "/health/a%22b", GUEST, NULL), 500);
    EXPECT_EQ(ask(HTTP_GET, "/health?plugins&exclude-plugin=status&exclude-plugin=bundle", GUEST,
                  NULL), 200);
    EXPECT_EQ(ask(HTTP_DELETE, "/v1/policies/health", ROOT, NULL), 200);
}

static int filter(const char *accept, const char *body) {
    whole.fields[0][0] = "Accept", whole.fields[0][1] = accept;
    return ask(HTTP_POST, "/v1/compile/f/include?metrics&pretty", ROOT, body);
}

TEST(conditions_are_asked_for) {
    begin();
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/f", ROOT,
                  "package f\n\n# METADATA\n# scope: document\n# compile:\n#   unknowns: ["
                  "input.t]\n"
                  "#   mask_rule: hidden\ninclude if input.t.a == input.x\n\n"
                  "include if input.tt.b == 1\n\nhidden.t.a.replace.value := \"*\"\n"), 200);
    EXPECT_EQ(filter("application/vnd.opa.sql.postgresql+json", "{\"input\":{\"x\":1}}"), 200);
    EXPECT(body_has("WHERE t.a = E'1'"));
    EXPECT(body_has("did you mean input.t.b?"));
    EXPECT(body_has("\"masks\""));
    EXPECT(body_has("timer_rego_partial_eval_ns"));
    EXPECT_EQ(filter("application/vnd.opa.multitarget+json",
                     "{\"input\":{\"x\":1},\"options\":{\"targetDialects\":[\"sql+mysql\","
                     "\"ucast+all\"],\"maskRule\":\"hidden\"}}"), 200);
    EXPECT(body_has("\"mysql\""));
    EXPECT(body_has("\"ucast\""));
    EXPECT_EQ(filter("application/vnd.opa.multitarget+json",
                     "{\"options\":{\"targetDialects\":[\"sql+oracle\"]}}"), 400);
    EXPECT_EQ(filter("application/vnd.opa.sql.oracle+json", "{}"), 400);
    EXPECT_EQ(filter("text/html, text/plain", "{}"), 400);
    EXPECT_EQ(filter("", "{}"), 400);
    EXPECT_EQ(filter("application/vnd.opa.ucast.all+json",
        "{\"options\":{\"maskRule\":\"1 +\"}}"), 400);
    EXPECT_EQ(filter("application/vnd.opa.ucast.all+json", "{\"unknowns\":[\"1 +\"]}"), 400);
    EXPECT_EQ(filter("application/vnd.opa.ucast.all+json",
                     "{\"input\":{\"x\":1},\"options\":{\"targetSQLTableMappings\":{\"ucast\":"
                     "1}}}"), 500);
    EXPECT_EQ(ask(HTTP_POST, "/v1/compile", ROOT,
        "{\"query\":\"data.f.include\",\"unknowns\":[\"input.t\"],"
                  "\"options\":{\"disableInlining\":[\"data.f.include\"]}}"), 200);
    EXPECT_EQ(ask(HTTP_POST, "/v1/compile", ROOT, "{\"query\":\"1 +\"}"), 400);
    EXPECT_EQ(ask(HTTP_POST, "/v1/compile", ROOT, "{\"query\":\"x\",\"unknowns\":7}"), 400);
    EXPECT_EQ(ask(HTTP_POST, "/v1/compile", ROOT, "[]"), 400);
}

TEST(a_candidate_is_asked_beside) {
    begin();
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/gate", ROOT,
                  "package gate\n\ndefault allow := false\n\nallow if input.user == \"ada\"\n"),
                  200);
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/rego/shadow", ROOT,
        "{\"policies\":{\"gate\":\"package\"}}"), 400);
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/rego/shadow", ROOT,
                  "{\"policies\":{\"gate\":\"package gate\\n\\ndefault allow := false\\n\\n"
                  "allow if input.user == \\\"bob\\\"\\n\"}}"), 200);
    EXPECT_EQ(ask(HTTP_POST, "/v1/data/gate/allow", ROOT, "{\"input\":{\"user\":\"ada\"}}"), 200);
    EXPECT(body_has("true")); /* never enforced */
    EXPECT_EQ(ask(HTTP_POST, "/v1/data/gate/allow", ROOT, "{\"input\":{\"user\":\"eve\"}}"), 200);
    whole_run_ms(200);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/shadow?explain=true", ROOT, NULL), 200);
    EXPECT(body_has("\"asked\":2"));
    EXPECT(body_has("\"differing\":1"));
    EXPECT(body_has("\"by_rule\""));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/shadow?explain=false", ROOT, NULL), 200);
    EXPECT(body_has("\"live\":true,") || body_has("\"candidate\":false"));
    /* The live policies change: the candidate is made again from the same replacements. */
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/gate2", ROOT, "package gate2\n\nx := 1\n"), 200);
    EXPECT_EQ(ask(HTTP_POST, "/v1/data/gate/allow", ROOT, "{\"input\":{\"user\":\"bob\"}}"), 200);
    whole_run_ms(200);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/shadow", ROOT, NULL), 200);
    EXPECT(body_has("\"asked\":3"));
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/rego/replay", ROOT,
                  "{\"policies\":{\"gate\":\"package gate\\n\\nallow := true\\n\"},\"limit\":"
                  "10}"), 200);
    EXPECT(body_has("\"changes\""));
    EXPECT_EQ(ask(HTTP_DELETE, "/api/v1/rego/shadow", ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/shadow", ROOT, NULL), 200);
    EXPECT(body_has("\"active\":false"));
}

TEST(what_could_go_is_told) {
    begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/advice?path=gate/allow&limit=100", ROOT, NULL), 200);
    EXPECT(body_has("\"asked\":"));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/advice?document=/roles", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/rego/advice?limit=0", ROOT, NULL), 400);
    for (u32 i = 0; i < 2; i++) buf_close(&server.archive[i]);
}
