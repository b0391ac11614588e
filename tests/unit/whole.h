/* SPDX-License-Identifier: Apache-2.0 */
/* whole.h — every module of app/modules.c, started over a database on a simulated disk, below an
 * HTTP row that remembers (http_fake.h). A question walks the whole pipeline: routes, access, the
 * handler, the audit log.
 *
 *   whole_begin();
 *   EXPECT_EQ(ask(HTTP_POST, "/api/v1/policies", ROOT, "{\"title\":\"Water Act, one\"}"), 201);
 *   str id = whole_text("id");
 *
 * One appliance per process: it lives through all tests of a file, as it would through requests. */
#pragma once
#include "tests/storage.h"
#include "tests/unit/http_fake.h"
#include "app/access/access.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "app/gateway/gateway.h"
#include "app/health/health.h"
#include "app/json.h"
#include "app/openapi/openapi.h"
#include "app/system/system.h"
#include "kernel/core/console.h"
#include "kernel/core/worker.h"

#define ROOT_EMAIL "root@example.org"
#define ROOT_PASSWORD "correct horse battery staple"

enum who { GUEST, ROOT, ADA, BOB, WHO_COUNT }; /* ROOT: administrator; ADA, BOB: users */

static struct {
    char token[WHO_COUNT][2048];
    char stream[MIB(1)]; /* what http_answer_write got */
    size_t stream_bytes;
    bool started, served;
    rc_t write_rc;
    u32 rounds; /* of an endless answer, before the server leaves */
    u64 fail_nth; /* the malloc of the next question that fails */
    bool fail_for_ever;
    u64 failed; /* how many did, in the question just asked */
    struct arena arena; /* of the answer's tree */
    const cJSON *answer;
    const char *fields[3][2]; /* of the next question, besides Authorization */
} whole;

/* ---- The rest of the HTTP row --------------------------------------------------------------- */

rc_t http_answer_begin(struct http_exchange *x, int status, str type, s64 length) {
    (void)length;
    if (whole.write_rc == RC_NO_MEMORY) return RC_NO_MEMORY;
    http_answer(x, status, type, S(""));
    return RC_OK;
}
rc_t http_answer_write(struct http_exchange *x, str bytes) {
    (void)x;
    if (whole.write_rc) return whole.write_rc;
    size_t n = MIN(bytes.len, sizeof whole.stream - whole.stream_bytes);
    memcpy(whole.stream + whole.stream_bytes, bytes.ptr, n);
    whole.stream_bytes += n;
    return RC_OK;
}
rc_t http_answer_end(struct http_exchange *x) {
    (void)x;
    return RC_OK;
}
bool http_leaving(struct http_exchange *x) {
    (void)x;
    return !whole.rounds || !whole.rounds--;
}
void http_answer_static(struct http_exchange *x, const struct http_static *file) {
    http_answer(x, 200, file->content_type, file->body);
}

/* ---- Start ---------------------------------------------------------------------------------- */

static void whole_stop_loop(void *arg) {
    (void)arg;
    loop_stop();
}
/* Lets the machine live until the flag is up, at most a virtual minute. */
static inline void whole_run_until(const bool *flag) {
    static struct timer stopper;
    timer_init(&stopper, whole_stop_loop, NULL);
    for (u32 i = 0; i < 60000 && !*flag; i++) {
        EXPECT_OK(timer_start_after_ms(&stopper, 1)); /* the table of timers has room long since */
        loop_run();
    }
    timer_stop(&stopper);
    if (!*flag) panic("a request never ended");
}
static inline void whole_run_ms(u64 ms) {
    static struct timer stopper;
    timer_init(&stopper, whole_stop_loop, NULL);
    EXPECT_OK(timer_start_after_ms(&stopper, ms));
    loop_run();
}

static inline void whole_open_database(void) {
    const struct db_schema *tables[32];
    struct volume v;
    struct diag why = {0};
    u32 n = 0;
    for (u32 i = 0; modules[i]; i++)
        if (modules[i]->schema) tables[n++] = modules[i]->schema;
    tables[n] = NULL;
    rc_t rc = volume_open(&v, &why);
    if (!rc) rc = db_open(&v, tables, &why);
    if (rc) panic("%s: %s", rc_name(rc), why.text);
}

static void whole_start(void *arg) {
    struct diag why = {0};
    (void)arg;
    whole_open_database();
    if (gateway_build(modules, &why) || access_cover(modules, &why)) panic("%s", why.text);
    openapi_use(modules);
    for (u32 i = 0; modules[i]; i++) {
        rc_t rc = modules[i]->start ? modules[i]->start(&why) : RC_OK;
        if (rc) panic("%s: %s: %s", modules[i]->name, rc_name(rc), why.text);
        gateway_module_started(modules[i], true);
    }
    *(bool *)arg = true;
}

/* ---- A question ----------------------------------------------------------------------------- */

static void whole_serve(void *arg) {
    (void)arg;
    if (whole.fail_nth) (void)test_malloc_fail(whole.fail_nth, whole.fail_for_ever);
    gateway_handle(&fake.x, NULL);
    whole.failed = test_malloc_fail(0, false);
    whole.served = true;
}

/* The answer's status. Its fields: header(); its members: whole_text() and whole_int(). */
static inline int ask(enum http_method method, const char *target, enum who who, const char *body) {
    static char bearer[2100];
    char target_copy[1024];
    snprintf(target_copy, sizeof target_copy, "%s", target); /* it may lie in the last answer */
    fake.request_body = body ? str_from_c(body) : S("");
    u32 n = 0;
    for (; n < ARRAY_LEN(whole.fields) && whole.fields[n][0]; n++)
        fake.fields[n] = (struct http_field){str_from_c(whole.fields[n][0]),
                                             str_from_c(whole.fields[n][1])};
    if (whole.token[who][0]) {
        snprintf(bearer, sizeof bearer, "Bearer %s", whole.token[who]);
        fake.fields[n++] = (struct http_field){S("Authorization"), str_from_c(bearer)};
    }
    fake.request.field_count = n;
    fake_begin(method, target_copy);
    fake.request.peer =
        (struct net_address){.bytes = {[10] = 0xff, 0xff, 192, 0, 2, (u8)(7 + who)}};
    fake.x.started_ns = platform_clock_ns();
    whole.served = false;
    whole.stream_bytes = 0;
    whole.answer = NULL;
    if (fiber_inside()) {
        whole_serve(NULL);
    } else {
        storage_fiber(whole_serve, NULL);
        whole_run_until(&whole.served);
    }
    fake_end();
    memset(whole.fields, 0, sizeof whole.fields);
    return fake.status;
}

/* ---- The answer ----------------------------------------------------------------------------- */

static inline const cJSON *whole_answer(void) {
    struct diag why = {0};
    cJSON *root = NULL;
    if (whole.answer) return whole.answer;
    arena_close(&whole.arena);
    arena_open(&whole.arena, NULL, 0, MIB(8));
    if (json_parse(&whole.arena, str_from_c(fake.body), &root, &why))
        test_fail(__FILE__, __LINE__, "%d: no JSON: %s: %s", fake.status, why.text, fake.body);
    return whole.answer = root;
}
static inline const cJSON *whole_member(const char *name) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(whole_answer(), name);
    if (!m) test_fail(__FILE__, __LINE__, "no member %s in %s", name, fake.body);
    return m;
}
static inline str whole_text(const char *name) {
    const cJSON *m = whole_member(name);
    return m && m->valuestring ? str_from_c(m->valuestring) : S("");
}
static inline s64 whole_int(const char *name) {
    const cJSON *m = whole_member(name);
    return m ? (s64)m->valuedouble : -1;
}
static inline u32 whole_items(void) { return (u32)cJSON_GetArraySize(whole_member("items")); }
static inline bool body_has(const char *text) { return strstr(fake.body, text) != NULL; }

/* ---- Its people ----------------------------------------------------------------------------- */

static inline bool whole_login(enum who who, const char *email, const char *password) {
    char body[512];
    snprintf(body, sizeof body, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
    if (ask(HTTP_POST, "/api/v1/auth/login", GUEST, body) != 200) return false;
    str token = whole_text("access_token");
    return str_to_c(token, whole.token[who], sizeof whole.token[who]) == RC_OK;
}

/* Without the minute that hashing passwords for many accounts would take. */
static inline void whole_add_user(void *arg) {
    struct user root, user = {.role = S("user"), .state = S("active"), .email = str_from_c(arg),
                              .name = S("Some One")};
    struct arena a;
    struct db_txn *t;
    arena_open(&a, NULL, 0, KIB(64));
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(user_by_email(t, &a, S(ROOT_EMAIL), &root));
    user.phc = root.phc; /* so everybody has the same password */
    EXPECT_OK(user_insert(t, &a, &user));
    EXPECT_OK(db_write_commit(t));
    arena_close(&a);
}

static struct boot_info whole_boot = {.machine = {"sim", 3}, .memory_bytes = MIB(256)};

static inline void whole_begin_with(str config) {
    static bool up;
    static char ada[] = "ada@example.org", bob[] = "bob@example.org";
    if (whole.started) return;
    whole.started = true;
    log_console_level_set(LOG_ERROR + 1);
    storage_begin(&(struct sim_options){.seed = 11, .disk_count = 1, .disk_bytes = MIB(64)});
    EXPECT_OK(worker_init());
    EXPECT_OK(console_init());
    boot_machine = &whole_boot;
    config_boot(config, S(""));
    storage_fiber(whole_start, &up);
    whole_run_until(&up);
    if (!config.len) return;
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    storage_fiber(whole_add_user, ada);
    storage_fiber(whole_add_user, bob);
    whole_run_ms(100);
    EXPECT(whole_login(ADA, ada, ROOT_PASSWORD));
    EXPECT(whole_login(BOB, bob, ROOT_PASSWORD));
}
static inline void whole_begin(void) {
    whole_begin_with(S("{\"admin.email\":\"" ROOT_EMAIL "\",\"admin.password\":\"" ROOT_PASSWORD
                       "\",\"http.plain\":true}"));
}
/* The access tokens live ten minutes of virtual time. */
static inline void whole_login_again(void) {
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
}
