/* SPDX-License-Identifier: Apache-2.0 */
/* app_pipeline_test.c — the walk: phases in order, default deny, 404, 405, queries, headers,
 * bodies, If-Match, members. The HTTP row is replaced by one that remembers what it was told. */
#include "app/gateway/pipeline.c"
#include "app/gateway/query.c"
#include "app/reply.c"
#include "app/request.c"
#include "tests/unit/http_fake.h"
#include "kernel/core/memory.h"
#include <stdlib.h>

static char order[64]; /* the phases that ran */

static void ask(enum http_method method, const char *target) {
    order[0] = 0;
    fake_begin(method, target);
    gateway_handle(&fake.x, NULL);
    fake_end();
}

/* ---- A module ------------------------------------------------------------------------------ */

static bool allow_all, phase_answers, handler_silent;
static rc_t phase_auth(struct request *rq) {
    (void)rq;
    strcat(order, "A");
    return RC_PASS;
}
static rc_t phase_policy(struct request *rq) {
    strcat(order, "P");
    if (phase_answers) {
        reply_problem(rq, 403, "by_policy", "no");
        return RC_DENIED;
    }
    rq->allowed = allow_all;
    return RC_OK;
}
static rc_t phase_log(struct request *rq) {
    (void)rq;
    strcat(order, "L");
    return RC_OK;
}
static void handle(struct request *rq) {
    strcat(order, "C");
    if (handler_silent) return;
    reply_text(rq, 200, "text/plain", rq->param_count ? rq->params[0] : S("fine"));
}
static void handle_page(struct request *rq) {
    struct page p;
    if (!request_page(rq, &p)) return;
    reply_etag(rq, (s64)p.limit * 1000 + (s64)p.offset);
    reply_empty(rq, 204);
}
static void handle_body(struct request *rq) {
    static const char *const known[] = {"name", "age", "ok", NULL};
    cJSON *body;
    str name = S("none");
    s64 age = -1;
    bool ok = false;
    if (!request_json(rq, &body) || !request_members_known(rq, body, known) ||
        !request_member_text(rq, body, "name", true, 1, 5, &name) ||
        !request_member_int(rq, body, "age", false, 0, 150, &age) ||
        !request_member_bool(rq, body, "ok", false, &ok))
        return;
    reply_location(rq, arena_join(rq->arena, S("/people/"), name));
    reply_empty(rq, ok ? 202 : 201);
}
static void handle_match(struct request *rq) {
    if (rq->http->method == HTTP_GET) {
        if (!reply_not_modified(rq, 7)) reply_empty(rq, 200);
    } else if (request_if_match(rq, 7, true)) {
        reply_empty(rq, 200);
    }
}
static void handle_rc(struct request *rq) {
    s64 rc = 0;
    if (request_query_int(rq, "rc", 0, 20, &rc)) reply_rc(rq, (rc_t)rc, "The thing");
}
static void handle_twice(struct request *rq) {
    reply_empty(rq, 200);
    reply_empty(rq, 201);
}
static const struct route_param page_params[] = {
    {"limit", "integer", ""}, {"offset", "integer", ""}, {"all", "boolean", ""}, {0}};
static const struct route_param rc_params[] = {{"rc", "integer", ""}, {0}};
static const struct route test_routes[] = {
    {.method = HTTP_GET, .pattern = "/open", .handle = handle},
    {.method = HTTP_GET, .pattern = "/open/{id}", .handle = handle},
    {.method = HTTP_GET, .pattern = "/closed", .handle = handle, .access = ACCESS_USER},
    {.method = HTTP_GET, .pattern = "/page", .handle = handle, .page = true},
    {.method = HTTP_GET, .pattern = "/list", .handle = handle_page, .query = page_params},
    {.method = HTTP_POST, .pattern = "/body", .handle = handle_body},
    {.method = HTTP_GET, .pattern = "/match", .handle = handle_match},
    {.method = HTTP_PUT, .pattern = "/match", .handle = handle_match},
    {.method = HTTP_GET, .pattern = "/rc", .handle = handle_rc, .query = rc_params},
    {.method = HTTP_GET, .pattern = "/twice", .handle = handle_twice},
    {.method = HTTP_GET, .pattern = "/probe", .handle = handle, .quiet = true, .probe = true},
    {.method = HTTP_POST, .pattern = "/foreign/{rest...}", .handle = handle, .lenient = true},
    {.method = HTTP_POST, .pattern = "/foreign", .handle = handle_rc, .query = rc_params,
     .lenient = true},
    {0},
};
static const struct module one = {.name = "one",
                                  .routes = test_routes,
                                  .phases = {[PHASE_AUTH] = phase_auth,
                                             [PHASE_POLICY] = phase_policy,
                                             [PHASE_LOG] = phase_log}};
static const struct route late_routes[] = {
    {.method = HTTP_GET, .pattern = "/late", .handle = handle}, {0}};
static const struct module late = {.name = "late", .routes = late_routes};
static const struct module *const list[] = {&gateway_module, &one, &late, NULL};

static void start(void) {
    static bool built;
    struct diag why;
    if (!built) {
        memory_init(MIB(64));
        log_console_level_set(LOG_ERROR + 1);
        EXPECT_OK(gateway_build(list, &why));
        gateway_module_started(&one, true);
        built = true;
    }
    order[0] = 0;
    allow_all = phase_answers = handler_silent = false;
    without_fields();
}

/* ---- Tests --------------------------------------------------------------------------------- */

TEST(walks_the_phases_in_order) {
    start();
    ask(HTTP_GET, "/open");
    EXPECT_EQ(fake.status, 200);
    EXPECT_STR(str_from_c(order), S("APCL"));
    ask(HTTP_GET, "/open/x1");
    EXPECT_STR(str_from_c(fake.body), S("x1"));
}

TEST(denies_what_nothing_allowed) {
    start();
    ask(HTTP_GET, "/closed");
    EXPECT_EQ(fake.status, 403);
    EXPECT_STR(str_from_c(order), S("APL")); /* the handler never ran */
    allow_all = true;
    ask(HTTP_GET, "/closed");
    EXPECT_EQ(fake.status, 200);
}

TEST(a_probe_is_answered_when_access_control_is_broken) {
    start();
    phase_answers = true;
    ask(HTTP_GET, "/probe");
    EXPECT_EQ(fake.status, 200);
    EXPECT_STR(str_from_c(order), S("CL"));
}

TEST(a_phase_that_answers_ends_the_walk) {
    start();
    phase_answers = true;
    ask(HTTP_GET, "/open");
    EXPECT(code("by_policy"));
    EXPECT_STR(str_from_c(order), S("APL"));
}

TEST(modules_that_did_not_start_answer_503) {
    start();
    ask(HTTP_GET, "/late");
    EXPECT_EQ(fake.status, 503);
    EXPECT(header("Retry-After: 5"));
    gateway_module_started(&late, true);
    ask(HTTP_GET, "/late");
    EXPECT_EQ(fake.status, 200);
    gateway_module_started(&late, false);
    ask(HTTP_GET, "/late");
    EXPECT_EQ(fake.status, 503);
}

TEST(lenient_routes_take_what_their_clients_send) {
    start();
    ask(HTTP_POST, "/foreign/?rc=1&rc=x&other&a=%41"); /* the handler looks at the first alone */
    EXPECT(strstr(fake.body, "\"message\":\"The thing") != NULL);
    ask(HTTP_POST, "/foreign/x/y/");
    EXPECT_STR(str_from_c(fake.body), S("x/y/"));
    ask(HTTP_POST, "/foreign?rc=%f");
    EXPECT(fake.status == 400 && code("query_invalid"));
    ask(HTTP_PUT, "/foreign/");
    EXPECT_EQ(fake.status, 404);
    ask(HTTP_GET, "/open?x=1");
    EXPECT_EQ(fake.status, 400);
}

TEST(unknown_paths_methods_and_slashes) {
    start();
    ask(HTTP_GET, "/nothing");
    EXPECT_EQ(fake.status, 404);
    EXPECT_STR(str_from_c(fake.type), S("application/problem+json"));
    EXPECT(strstr(fake.body, "01ABCDEFGHJKMNPQRSTVWXYZ00") != NULL);
    EXPECT(header("X-Content-Type-Options: nosniff"));
    ask(HTTP_POST, "/open");
    EXPECT_EQ(fake.status, 405);
    EXPECT(header("Allow: GET, HEAD, OPTIONS\n"));
    ask(HTTP_OTHER, "/open");
    EXPECT_EQ(fake.status, 405);
    ask(HTTP_OPTIONS, "/match");
    EXPECT_EQ(fake.status, 204);
    EXPECT(header("Allow: GET, HEAD, PUT, OPTIONS\n"));
    ask(HTTP_OPTIONS, "*");
    EXPECT_EQ(fake.status, 204);
    ask(HTTP_GET, "/open/?x=1");
    EXPECT_EQ(fake.status, 308);
    EXPECT(header("Location: /open?x=1\n"));
    ask(HTTP_POST, "/body/");
    EXPECT_EQ(fake.status, 404);
    ask(HTTP_GET, "//open/");
    EXPECT_EQ(fake.status, 404);
}

TEST(queries_are_checked_against_the_table) {
    static const struct {
        const char *target, *code;
    } bad[] = {{"/open?x=1", "query_unknown"},        {"/list?limit=1&limit=2", "query_twice"},
               {"/list?limit=ten", "query_type"},     {"/list?all=yes", "query_type"},
               {"/list?limit=%zz", "query_invalid"},  {"/list?%ff=1", "query_invalid"},
               {"/list?limit=0", "query_range"},      {"/list?limit=101", "query_range"},
               {"/list?offset=-1", "query_range"},    {"/list?li%0Amit=1", "query_unknown"},
               {"/list?limit=9999999999999999999", "query_type"}};
    start();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask(HTTP_GET, bad[i].target);
        if (fake.status != 400 || !code(bad[i].code))
            test_fail(__FILE__, __LINE__, "%s: %d %s", bad[i].target, fake.status, fake.body);
    }
    ask(HTTP_GET, "/list?limit=5&all=true&offset=3");
    EXPECT(header("ETag: \"5003\""));
    ask(HTTP_GET, "/list?%6cimit=7");
    EXPECT(header("ETag: \"7000\""));
    ask(HTTP_GET, "/list");
    EXPECT(header("ETag: \"20000\""));
}

TEST(pages_may_run_our_scripts_and_answers_may_not) {
    start();
    ask(HTTP_GET, "/page");
    EXPECT(header("script-src 'self'"));
    EXPECT(!header("Cache-Control"));
    ask(HTTP_GET, "/open");
    EXPECT(header("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'"));
    EXPECT(header("Cache-Control: no-store"));
}

TEST(bodies_are_judged) {
    static const struct {
        const char *body, *code;
        int status;
    } cases[] = {
        {"", "body_missing", 400},
        {"{", "json_invalid", 400},
        {"[]", "object_wanted", 400},
        {"{\"name\":\"a\",\"name\":\"b\"}", "json_invalid", 400},
        {"{}", "member_missing", 422},
        {"{\"name\":5}", "member_type", 422},
        {"{\"name\":\"\"}", "member_length", 422},
        {"{\"name\":\"abcdef\"}", "member_length", 422},
        {"{\"name\":\"a\",\"age\":1.5}", "member_range", 422},
        {"{\"name\":\"a\",\"age\":151}", "member_range", 422},
        {"{\"name\":\"a\",\"age\":\"1\"}", "member_range", 422},
        {"{\"name\":\"a\",\"age\":9007199254740993}", "member_range", 422},
        {"{\"name\":\"a\",\"ok\":1}", "member_type", 422},
        {"{\"name\":\"a\",\"mane\":1}", "member_unknown", 422},
    };
    start();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        with_body(cases[i].body);
        ask(HTTP_POST, "/body");
        if (fake.status != cases[i].status || !code(cases[i].code))
            test_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].body, fake.status, fake.body);
    }
    with_body("{\"name\":\"ada\",\"age\":36,\"ok\":true}");
    ask(HTTP_POST, "/body");
    EXPECT_EQ(fake.status, 202);
    EXPECT(header("Location: /people/ada\n"));
    with_body("{\"name\":\"ada\"}");
    with_field("Content-Type", "application/json; charset=UTF-8");
    ask(HTTP_POST, "/body");
    EXPECT_EQ(fake.status, 201);
    const char *types[] = {"text/plain", "application/jsonx", "application/json; charset=latin1",
                           "application/x-www-form-urlencoded"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        with_field("Content-Type", types[i]);
        ask(HTTP_POST, "/body");
        EXPECT_EQ(fake.status, 415);
    }
    without_fields();
    static const struct {
        rc_t rc;
        int status;
    } framing[] = {{RC_LIMIT, 413}, {RC_INVALID, 400}, {RC_TIMEOUT, 408}, {RC_NO_MEMORY, 503}};
    for (size_t i = 0; i < ARRAY_LEN(framing); i++) {
        fake.body_rc = framing[i].rc;
        ask(HTTP_POST, "/body");
        EXPECT_EQ(fake.status, framing[i].status);
    }
}

TEST(versions_are_compared) {
    start();
    ask(HTTP_PUT, "/match");
    EXPECT_EQ(fake.status, 428);
    static const struct {
        const char *tags;
        int put, get; /* If-Match on PUT, If-None-Match on GET */
    } cases[] = {{"\"7\"", 200, 304},   {"\"6\"", 412, 200}, {"\"6\", \"7\"", 200, 304},
                 {"W/\"7\"", 412, 304}, {"*", 200, 304},     {"7", 412, 200},
                 {"", 412, 200}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        with_field("If-Match", cases[i].tags);
        ask(HTTP_PUT, "/match");
        EXPECT_EQ(fake.status, cases[i].put);
        with_field("If-None-Match", cases[i].tags);
        ask(HTTP_GET, "/match");
        EXPECT_EQ(fake.status, cases[i].get);
        EXPECT(header("ETag: \"7\""));
    }
}

TEST(result_codes_become_statuses) {
    static const int wanted[] = {[RC_AGAIN] = 503,     [RC_NOT_FOUND] = 404, [RC_DENIED] = 403,
                                 [RC_INVALID] = 400,   [RC_CONFLICT] = 409,  [RC_LIMIT] = 503,
                                 [RC_NO_MEMORY] = 503, [RC_FULL] = 507,      [RC_IO] = 503,
                                 [RC_CORRUPT] = 503,   [RC_TIMEOUT] = 503};
    start();
    for (int rc = 1; rc < (int)ARRAY_LEN(wanted); rc++) {
        char target[32];
        if (!wanted[rc]) continue;
        snprintf(target, sizeof target, "/rc?rc=%d", rc);
        ask(HTTP_GET, target);
        EXPECT_EQ(fake.status, wanted[rc]);
        if (wanted[rc] == 503) EXPECT(header("Retry-After: "));
    }
}

TEST(one_answer_even_from_a_bad_handler) {
    start();
    handler_silent = true;
    ask(HTTP_GET, "/open");
    EXPECT_EQ(fake.status, 500);
    EXPECT(code("no_answer"));
    ask(HTTP_GET, "/twice");
    EXPECT_EQ(fake.status, 200);
}

TEST(plain_port_redirects_reads_and_refuses_writes) {
    start();
    ask(HTTP_GET, "/open"); /* fills the request */
    struct request_case {
        enum http_method method;
        const char *target;
        int status;
    } cases[] = {
        {HTTP_GET, "/open?a=1", 308}, {HTTP_POST, "/body", 403}, {HTTP_GET, "/probe", 200}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake.answered = false;
        fake.answers = 0;
        fake.headers[0] = 0;
        fake.request.method = cases[i].method;
        fake.request.target = str_from_c(cases[i].target);
        fake.request.path = str_take(fake.request.target, str_find_byte(fake.request.target, '?'));
        fake.request.query = S("");
        gateway_handle_redirect(&fake.x, NULL);
        EXPECT_EQ(fake.status, cases[i].status);
        EXPECT_EQ(fake.answers, 1);
        if (i == 0) EXPECT(header("Location: https://box/open?a=1\n"));
    }
}

TEST(wrong_tables_are_named) {
    static const struct route twice[] = {{.method = HTTP_GET, .pattern = "/d", .handle = handle},
                                         {.method = HTTP_GET, .pattern = "/d", .handle = handle},
                                         {0}};
    static const struct module m = {.name = "dup", .routes = twice};
    static const struct module *const bad[] = {&m, NULL};
    struct diag why;
    start();
    struct router *kept = gateway.router;
    EXPECT_RC(gateway_build(bad, &why), RC_CONFLICT);
    EXPECT(strstr(why.text, "GET /d of module dup") != NULL);
    router_close(gateway.router);
    gateway.router = kept;
}
