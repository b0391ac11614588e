/* SPDX-License-Identifier: Apache-2.0 */
/* app_services_test.c — configuration, idempotency keys, health and system over a real database
 * on a simulated disk, with an HTTP row that remembers. What fails below must be refused above,
 * whole. */
#include "tests/storage.h"
#include "app/config/api.c"
#include "app/config/config.c"
#include "app/gateway/idempotency.c"
#include "app/audit/audit.h"
#include "app/health/health_impl.h"
#include "app/system/system.h"
#include "kernel/core/worker.h"
#include "tests/unit/http_fake.h"

/* ---- A machine with a database, an administrator, and a way to ask ------------------------- */

static const struct sim_options machine = {.seed = 5, .disk_count = 1, .disk_bytes = MIB(32)};

static rc_t open_all(void) {
    const struct db_schema *schemas[32];
    struct volume v;
    struct diag why = {0};
    u32 n = 0;
    for (u32 i = 0; modules[i]; i++)
        if (modules[i]->schema) schemas[n++] = modules[i]->schema;
    schemas[n] = NULL;
    rc_t rc = volume_open(&v, &why);
    if (!rc) rc = db_open(&v, schemas, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %s", rc_name(rc), why.text);
    return rc;
}

static void forget_config(void) {
    for (u32 i = 0; config.ready && i < option_count; i++)
        for (int layer = SOURCE_STORED; layer < SOURCE_COUNT; layer++)
            config_unset((enum config_source)layer, i, INT64_MAX);
    sweep(NULL);
    struct loop_post waiting = config.sweep; /* the loop may hold it */
    memset(&config, 0, sizeof config);
    config.sweep = waiting;
}

static struct boot_info boot = {.machine = {"sim", 3}, .memory_bytes = MIB(256)};
static void begin(void) {
    static bool working;
    forget_config();
    storage_begin(&machine);
    if (!working) EXPECT_OK(worker_init());
    working = true;
    boot_machine = &boot;
    EXPECT_OK(open_all());
    struct diag why;
    EXPECT_OK(start(&why)); /* configuration */
    EXPECT_OK(audit_module.start ? audit_module.start(&why) : RC_OK);
    fake.request.field_count = 0;
}
static void end(void) {
    forget_config();
    db_close();
    sim_stop();
}

static const struct route *route_of(enum http_method method, const char *pattern) {
    for (u32 i = 0; modules[i]; i++)
        for (const struct route *r = modules[i]->routes; r && r->pattern; r++)
            if (r->method == method && strcmp(r->pattern, pattern) == 0) return r;
    panic("no route %s", pattern);
}

/* One request by the administrator; the parameter is the path's last segment. */
static int ask(enum http_method method, const char *pattern, const char *target, const char *body) {
    fake.request_body = body ? str_from_c(body) : S("");
    fake_begin(method, target);
    str path = fake.request.path;
    size_t last = path.len;
    while (last && path.ptr[last - 1] != '/') last--;
    struct request rq = {.x = &fake.x,
                         .http = &fake.request,
                         .arena = &fake.arena,
                         .route = route_of(method, pattern),
                         .params = {str_skip(path, last)},
                         .param_count = 1,
                         .allowed = true,
                         .actor = {.user_id = S("01a1fe00-0000-7000-8000-000000000001"),
                                   .email = S("ada@example.org"),
                                   .role = S("admin")}};
    rc_t rc = rq.route->idempotency_key ? idempotency_begin(&rq) : RC_OK;
    if (!rc) rq.route->handle(&rq);
    if (rq.before_answer) idempotency_end(&rq);
    fake_end();
    return fake.status;
}
#define CONFIG "/api/v1/config"
static int put(const char *key, const char *body) {
    char target[128];
    snprintf(target, sizeof target, CONFIG "/%s", key);
    return ask(HTTP_PUT, CONFIG "/{key}", target, body);
}
static bool body_has(const char *text) { return strstr(fake.body, text) != NULL; }

/* ---- Configuration ------------------------------------------------------------------------- */

TEST(an_option_is_changed_kept_and_given_back) {
    begin();
    EXPECT_EQ(put("log.level", "{\"value\":\"debug\"}"), 200);
    EXPECT(header("ETag: \"1\"") && body_has("\"source\":\"stored\""));
    EXPECT_EQ(config_int("log.level"), LOG_DEBUG);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='config.set'"), 1);
    forget_config(); /* the next start */
    struct diag why;
    EXPECT_OK(start(&why));
    EXPECT_EQ(config_int("log.level"), LOG_DEBUG);
    EXPECT_EQ(ask(HTTP_DELETE, CONFIG "/{key}", CONFIG "/log.level", NULL), 200);
    EXPECT(header("ETag: \"2\"") && body_has("\"source\":\"default\""));
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/config-changes", "/api/v1/config-changes?limit=1", NULL), 200);
    EXPECT(body_has("\"total\":2") && body_has("\"old\":\"debug\",\"new\":null"));
    end();
}

TEST(what_is_wrong_changes_nothing) {
    static const struct {
        const char *key, *body, *code;
        int status;
    } cases[] = {
        {"log.level", "{\"value\":\"loud\"}", "config_value_invalid", 422},
        {"log.level", "{\"value\":1}", "config_value_invalid", 422},
        {"log.level", "{\"worth\":1}", "member_unknown", 422},
        {"log.level", "{}", "member_missing", 422},
        {"log.level", "{", "json_invalid", 400},
        {"no.such", "{\"value\":1}", "config_key_unknown", 404},
        {"admin.password", "{\"value\":\"x\"}", "config_machine_only", 422},
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char word[64];
        snprintf(word, sizeof word, "\"code\":\"%s\"", cases[i].code);
        if (put(cases[i].key, cases[i].body) != cases[i].status || !body_has(word))
            test_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].body, fake.status, fake.body);
    }
    EXPECT_EQ(ask(HTTP_GET, CONFIG "/{key}", CONFIG "/no.such", NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, CONFIG "/{key}", CONFIG "/admin.password", NULL), 422);
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{\"log.level\":\"debug\",\"nope\":1}"), 422);
    EXPECT(body_has("unknown key nope"));
    struct diag why;
    EXPECT_OK(config_read_json(S("{\"net.hostname\":\"fixed\"}"), &why));
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{\"log.level\":\"debug\",\"net.hostname\":\"x\"}"),
              409);
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    EXPECT_EQ(storage_number("SELECT count(*) FROM config_change"), 0);
    end();
}

TEST(several_change_at_once_and_stale_editors_lose) {
    begin();
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{\"log.level\":\"warn\",\"auth.lockout\":true}"), 200);
    EXPECT(config_bool("auth.lockout"));
    fake.fields[0] = (struct http_field){S("If-Match"), S("\"0\"")};
    fake.request.field_count = 1;
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{\"log.level\":\"error\"}"), 412);
    fake.fields[0].value = S("\"1\"");
    EXPECT_EQ(ask(HTTP_PUT, CONFIG, CONFIG, "{\"log.level\":\"error\"}"), 200);
    fake.fields[0] = (struct http_field){S("If-None-Match"), S("\"2\"")};
    EXPECT_EQ(ask(HTTP_GET, CONFIG, CONFIG, NULL), 304);
    fake.request.field_count = 0;
    EXPECT_EQ(ask(HTTP_GET, CONFIG, CONFIG, NULL), 200);
    EXPECT(header("ETag: \"2\""));
    EXPECT_EQ(storage_number("SELECT count(*) FROM config_change WHERE version=1"), 2);
    end();
}

TEST(a_value_no_longer_accepted_is_left_and_its_default_holds) {
    struct db_txn *t;
    struct diag why;
    begin();
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "INSERT INTO config_value (key, value, version) VALUES"
                        " ('log.level', 'shout', 1), ('gone.option', '1', 1),"
                        " ('net.hostname', 'kept', 1)"));
    EXPECT_OK(db_write_commit(t));
    forget_config();
    log_console_level_set(LOG_ERROR + 1);
    EXPECT_OK(start(&why));
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    EXPECT_STR(config_text("net.hostname"), S("kept"));
    EXPECT_EQ(storage_number("SELECT count(*) FROM config_value"), 3);
    end();
}

/* Whatever operation of the disk fails, the answer is no success and memory shows what is stored.
 * On a fiber, so that closing can wait for the database's own repair to see that it must end. */
static void wait_until_well(void) {
    struct db_status db;
    for (int i = 0; i < 600; i++) {
        db_status_get(&db);
        if (db.healthy && put("log.level", "{\"value\":\"debug\"}") == 200) return;
        fiber_sleep_ms(100);
    }
    test_fail(__FILE__, __LINE__, "the database never became well again");
}
static void fail_nth_write(void *arg) {
    EXPECT_EQ(put("log.level", "{\"value\":\"warn\"}"), 200);
    sim_disk_fail(0, DISK_WRITE, (u64)(uintptr_t)arg, RC_IO, true);
    int status = put("log.level", "{\"value\":\"error\"}");
    if (status != 200) { /* 200: it needed fewer writes than that */
        EXPECT_EQ(status, 503);
        EXPECT_EQ(config_int("log.level"), LOG_WARN);
    }
    sim_disk_fail(0, DISK_WRITE, 0, RC_OK, false);
    wait_until_well(); /* and it takes writes again by itself */
    forget_config();
    db_close();
}
static void fill_the_disk(void *arg) {
    (void)arg;
    sim_disk_full(0, true);
    EXPECT_EQ(put("log.level", "{\"value\":\"error\"}"), 507);
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    sim_disk_full(0, false);
    wait_until_well();
    forget_config();
    db_close();
}

TEST(a_failing_disk_is_a_clean_refusal) {
    log_console_level_set(LOG_ERROR + 1);
    for (u64 nth = 1; nth <= 3; nth++) {
        begin();
        storage_fiber(fail_nth_write, (void *)(uintptr_t)nth);
        storage_run();
        sim_stop();
    }
}

TEST(a_full_disk_is_507) {
    log_console_level_set(LOG_ERROR + 1);
    begin();
    storage_fiber(fill_the_disk, NULL);
    storage_run();
    sim_stop();
}

/* ---- Idempotency keys ---------------------------------------------------------------------- */

static int ran, made_status;
static void make(struct request *rq) {
    ran++;
    reply_location(rq, arena_printf(rq->arena, "/things/%d", ran));
    reply_etag(rq, ran);
    struct json_writer w;
    json_open(&w, 100);
    json_object(&w, NULL);
    json_int(&w, "n", ran);
    json_object_end(&w);
    reply_json(rq, made_status, &w);
}
static int post(const char *key, const char *user, const char *body) {
    static const struct route r = {.method = HTTP_POST, .pattern = "/things", .handle = make,
                                   .idempotency_key = true};
    fake.fields[0] = (struct http_field){S("Idempotency-Key"), str_from_c(key)};
    fake.request.field_count = 1;
    fake.request_body = str_from_c(body);
    fake_begin(HTTP_POST, "/things");
    struct request rq = {.x = &fake.x, .http = &fake.request, .arena = &fake.arena, .route = &r};
    rq.actor.user_id = str_from_c(user);
    if (!idempotency_begin(&rq)) r.handle(&rq);
    if (rq.before_answer) idempotency_end(&rq);
    fake_end();
    return fake.status;
}

TEST(one_key_acts_once) {
    begin();
    ran = 0, made_status = 201;
    EXPECT_EQ(post("k", "ada", "{}"), 201);
    EXPECT_EQ(post("k", "ada", "{}"), 201);
    EXPECT_EQ(ran, 1);
    EXPECT(header("Idempotency-Replayed: true") && header("Location: /things/1"));
    EXPECT(header("ETag: \"1\"") && body_has("{\"n\":1}"));
    EXPECT_EQ(post("k", "bob", "{}"), 201); /* another user's key is another key */
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(post("k", "ada", "{ }"), 422);
    EXPECT_EQ(post("", "ada", "{}"), 400);
    EXPECT_EQ(post("with blank", "ada", "{}"), 400);
    char longer[KEY_BYTES_MAX + 2];
    memset(longer, 'k', sizeof longer);
    longer[sizeof longer - 1] = 0;
    EXPECT_EQ(post(longer, "ada", "{}"), 400);
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(post("k", "", "{}"), 201); /* a guest's is not honoured: anyone could guess it */
    EXPECT_EQ(post("k", "", "{}"), 201);
    EXPECT_EQ(ran, 4);
    EXPECT(running == NULL);
    end();
}

TEST(a_failure_frees_the_key_and_a_lost_outcome_is_told) {
    struct db_txn *t;
    begin();
    ran = 0, made_status = 503;
    EXPECT_EQ(post("k", "ada", "{}"), 503);
    made_status = 201;
    EXPECT_EQ(post("k", "ada", "{}"), 201);
    EXPECT_EQ(ran, 2);
    EXPECT_OK(db_write_begin(&t)); /* as a power cut between claim and answer leaves it */
    EXPECT_OK(db_run(t, "UPDATE idempotency SET status=NULL"));
    EXPECT_OK(db_write_commit(t));
    EXPECT_EQ(post("k", "ada", "{}"), 409);
    EXPECT(body_has("idempotency_unknown"));
    struct claim busy = {S("ada"), S("busy"), NULL}; /* another fiber is at it */
    running = &busy;
    EXPECT_EQ(post("busy", "ada", "{}"), 409);
    EXPECT(body_has("idempotency_running"));
    running = NULL;
    EXPECT_EQ(ran, 2);
    end();
}

TEST(keys_are_forgotten_after_a_day) {
    begin();
    ran = 0, made_status = 201, purged_s = 0;
    EXPECT_EQ(post("k", "ada", "{}"), 201);
    sim_wall_step((s64)(KEPT_S + 1) * (s64)NS_PER_S);
    EXPECT_EQ(post("other", "ada", "{}"), 201);
    EXPECT_EQ(storage_number("SELECT count(*) FROM idempotency WHERE key='k'"), 0);
    EXPECT_EQ(post("k", "ada", "{}"), 201);
    EXPECT_EQ(ran, 3);
    end();
}

/* ---- What the appliance says about itself -------------------------------------------------- */

TEST(health_follows_the_disk_down_and_up) {
    struct diag why;
    log_console_level_set(LOG_ERROR + 1);
    begin();
    EXPECT_OK(health_module.start(&why));
    EXPECT_EQ(ask(HTTP_GET, "/readyz", "/readyz", NULL), 200);
    EXPECT(body_has("\"status\":\"ready\""));
    health_storage_failed("disk 0 is somebody else's");
    for (int i = 0; i < 400; i++) (void)platform_wait(platform_clock_ns() + NS_PER_MS);
    storage_run();
    EXPECT_EQ(ask(HTTP_GET, "/readyz", "/readyz", NULL), 503);
    EXPECT(body_has("disk 0 is somebody else's") && header("Retry-After: 5"));
    EXPECT_EQ(ask(HTTP_GET, "/health", "/health", NULL), 200);
    EXPECT(body_has("\"status\":\"unhealthy\",\"ready\":false"));
    EXPECT_EQ(ask(HTTP_GET, "/livez", "/livez", NULL), 200);
    end();
}

TEST(system_tells_and_the_database_examines_itself) {
    begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/system", "/api/v1/system", NULL), 200);
    EXPECT(body_has("\"machine\":\"sim\"") && body_has("\"budgets\":[{"));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/system/public", "/api/v1/system/public", NULL), 200);
    EXPECT(!body_has("budgets"));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/health/detailed", "/api/v1/health/detailed", NULL), 200);
    EXPECT(body_has("\"database\":{\"open\":true"));
    EXPECT_EQ(
        ask(HTTP_POST, "/api/v1/system/integrity-check", "/api/v1/system/integrity-check", NULL),
        200);
    EXPECT(body_has("\"ok\":true"));
    end();
}
