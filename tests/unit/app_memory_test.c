/* SPDX-License-Identifier: Apache-2.0 */
/* app_memory_test.c — every route, while the nth allocation of its request finds no memory, once
 * and for ever: the client is told to come back (503) or gets the whole answer; it is never told
 * something that is not so (that it is a stranger, that the thing is gone, that its body was
 * wrong), and nothing is half done or done without its audit row. */
#include "tests/unit/whole.h"

#define POLICIES "/api/v1/policies"
#define USERS "/api/v1/auth/users"

static char id[64], token[1024], etag[16]; /* of what the step acts on */

static void take_id(void) { EXPECT_OK(str_to_c(whole_text("id"), id, sizeof id)); }
static void new_draft(void) {
    EXPECT_EQ(ask(HTTP_POST, POLICIES, ADA,
                  "{\"title\":\"Clean Water "
                  "Act\",\"body\":\"one\\ntwo\\n\",\"summary\":\"s\",\"tags\":[\"a\"]}"),
              201);
    take_id();
    snprintf(etag, sizeof etag, "\"1\"");
}
static void new_version(void) {
    char target[128];
    new_draft();
    snprintf(target, sizeof target, POLICIES "/%s", id);
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = etag;
    EXPECT_EQ(
        ask(HTTP_PUT, target, ADA, "{\"body\":\"one\\n2\\n\",\"title\":\"Cleaner Water Act\"}"),
        200);
}
static void insert_user(void *arg) { whole_add_user(arg); }
static char address[64];
static void new_user(void) {
    static u32 n;
    char target[128];
    snprintf(address, sizeof address, "user%u@example.org", ++n);
    storage_fiber(insert_user, address);
    whole_run_ms(20);
    snprintf(target, sizeof target, USERS "?q=%s", address);
    EXPECT_EQ(ask(HTTP_GET, target, ROOT, NULL), 200);
    const cJSON *user = cJSON_GetArrayItem(whole_member("items"), 0);
    snprintf(id, sizeof id, "%s",
             user ? cJSON_GetStringValue(cJSON_GetObjectItem(user, "id")) : "none");
}
static void new_session(void) {
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/login", GUEST,
                  "{\"email\":\"bob@example.org\",\"password\":\"" ROOT_PASSWORD "\"}"),
              200);
    EXPECT_OK(str_to_c(whole_text("access_token"), whole.token[BOB], sizeof whole.token[BOB]));
    EXPECT_OK(str_to_c(whole_text("refresh_token"), token, sizeof token));
}
/* Tokens are verified afresh when the cache lost them. */
static void forget_tokens(void) {
    token_cache_stop();
    EXPECT_OK(token_cache_start());
}

struct step {
    enum http_method method;
    const char *target; /* %s: the id */
    enum who who;
    const char *body; /* %s: the refresh token, the number of the try */
    int good;
    void (*prepare)(void);
    bool if_match, slow; /* slow: hashes a password */
};
static const struct step steps[] = {
    {HTTP_GET, "/api/v1/auth/me", ADA, NULL, 200, forget_tokens, 0, 0},
    {HTTP_PUT, "/api/v1/auth/me", ADA, "{\"name\":\"Ada\"}", 200, NULL, 0, 0},
    {HTTP_POST, POLICIES, ADA,
     "{\"title\":\"Clean Water Act\",\"tags\":[\"x\",\"y\"],\"body\":\"text\"}", 201, NULL, 0, 0},
    {HTTP_GET, POLICIES "/%s", ADA, NULL, 200, new_draft, 0, 0},
    {HTTP_PUT, POLICIES "/%s", ADA, "{\"summary\":\"other\",\"tags\":[\"z\"]}", 200, new_draft,
     true, 0},
    {HTTP_POST, POLICIES "/%s/status", ADA, "{\"status\":\"under_review\",\"comment\":\"c\"}", 200,
     new_draft, 0, 0},
    {HTTP_DELETE, POLICIES "/%s", ADA, NULL, 204, new_draft, 0, 0},
    {HTTP_GET, POLICIES "/%s/versions", ADA, NULL, 200, new_version, 0, 0},
    {HTTP_GET, POLICIES "/%s/versions/1.1", ADA, NULL, 200, new_version, 0, 0},
    {HTTP_GET, POLICIES "/%s/diff", ADA, NULL, 200, new_version, 0, 0},
    {HTTP_GET, POLICIES "/%s/history", ADA, NULL, 200, new_version, 0, 0},
    {HTTP_GET, POLICIES "?status=draft&tag=a&author=ada@example.org&sort=-title&limit=2", ADA, NULL,
     200, NULL, 0, 0},
    {HTTP_GET, POLICIES "/search?q=clean+%%22water+act%%22&created_at__gte=2026-01-01T00:00:00Z",
     ADA, NULL, 200, new_draft, 0, 0},
    {HTTP_GET, POLICIES "/stats", ADA, NULL, 200, NULL, 0, 0},
    {HTTP_GET, POLICIES "/tags", BOB, NULL, 200, NULL, 0, 0},
    {HTTP_GET, USERS "?q=a&limit=3", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, USERS "/%s", ROOT, NULL, 200, new_user, 0, 0},
    {HTTP_PUT, USERS "/%s", ROOT,
     "{\"name\":\"N\",\"role\":\"admin\",\"email\":\"ren%s@example.org\"}", 200, new_user, 0, 0},
    {HTTP_DELETE, USERS "/%s", ROOT, NULL, 204, new_user, 0, 0},
    {HTTP_POST, USERS, ROOT,
     "{\"email\":\"new%s@example.org\",\"name\":\"N\",\"password\":\"a long enough one\"}", 201,
     NULL, 0, true},
    {HTTP_POST, "/api/v1/auth/login", GUEST,
     "{\"email\":\"bob@example.org\",\"password\":\"" ROOT_PASSWORD "\"}", 200, NULL, 0, true},
    {HTTP_POST, "/api/v1/auth/refresh", GUEST, "{\"refresh_token\":\"%s\"}", 200, new_session, 0,
     true},
    {HTTP_POST, "/api/v1/auth/change-password", ADA,
     "{\"current_password\":\"" ROOT_PASSWORD "\",\"new_password\":\"" ROOT_PASSWORD "\"}", 204,
     NULL, 0, true},
    {HTTP_POST, "/api/v1/auth/logout", BOB, NULL, 204, new_session, 0, true},
    {HTTP_POST, "/api/v1/auth/logout-all", BOB, NULL, 204, new_session, 0, true},
    {HTTP_GET, "/.well-known/jwks.json", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/setup", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/auth/audit-logs?action=user.login&actor=a@b&resource=u&limit=5", ROOT, NULL,
     200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/auth/audit-logs/export?action=policy.delete", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/auth/audit-logs/verify", ROOT, NULL, 200, NULL, 0, true},
    {HTTP_GET, "/api/v1/config", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_PUT, "/api/v1/config", ROOT, "{\"log.level\":\"info\",\"tls.names\":\"n%s.example.org\"}",
     200, NULL, 0, 0},
    {HTTP_PUT, "/api/v1/config/log.level", ROOT, "{\"value\":\"info\"}", 200, NULL, 0, 0},
    {HTTP_DELETE, "/api/v1/config/log.level", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/config-changes?limit=3", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/tls/certificate", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_POST, "/api/v1/tls/certificate/generate", ROOT, NULL, 200, NULL, 0, true},
    {HTTP_GET, "/api/v1/gateway/routes", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/system", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/system/public", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_POST, "/api/v1/system/integrity-check", ROOT, NULL, 200, NULL, 0, true},
    {HTTP_GET, "/api/v1/health/detailed", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/v1/logs?limit=3", ROOT, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/metrics", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/api/openapi.json", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/health", GUEST, NULL, 200, NULL, 0, 0},
    {HTTP_GET, "/?lang=fr", GUEST, NULL, 200, NULL, 0, 0},
};

static u64 refused, served;

/* One try; true: the fault was never reached. */
static bool try_step(const struct step *s, u64 nth, bool for_ever) {
    static u32 tries;
    char target[512], body[1400] = "", number[16];
    if (s->prepare) s->prepare();
    snprintf(number, sizeof number, "%u", ++tries);
    bool refresh = s->body && strstr(s->body, "refresh_token");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(target, sizeof target, s->target, id);
    if (s->body) snprintf(body, sizeof body, s->body, refresh ? token : number);
#pragma GCC diagnostic pop
    if (s->if_match) whole.fields[0][0] = "If-Match", whole.fields[0][1] = etag;
    whole.fail_nth = nth, whole.fail_for_ever = for_ever;
    int status = ask(s->method, target, s->who, s->body ? body : NULL);
    whole.fail_nth = 0;
    if (status == 503) refused++;
    else if (status == s->good) served++;
    else
        test_fail(__FILE__, __LINE__, "%.*s %s, allocation %llu%s: %d %s",
                  STR(http_method_name(s->method)), target, (unsigned long long)nth,
                  for_ever ? " and all after it" : "", status, fake.body);
    EXPECT(whole.failed || status == s->good);
    return whole.failed == 0;
}

static void sweep(size_t from, size_t to) {
    whole_begin();
    whole_login_again();
    for (size_t i = from; i < to; i++) {
        EXPECT(try_step(&steps[i], 0, false)); /* it works at all */
        for (u64 n = 1; !try_step(&steps[i], n, false); n += 1 + n / (steps[i].slow ? 3 : 24)) {}
        for (u64 n = 1; !try_step(&steps[i], n, true); n += 1 + n / (steps[i].slow ? 2 : 8)) {}
        whole_run_ms(1000);
    }
}
/* Nothing half done: each document has its versions, each change its audit row, with what it
 * was. */
static void judge(void) {
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy p WHERE version-1<>(SELECT count(*) FROM"
                             " policy_version v WHERE v.policy=p.num)"),
              0);
    EXPECT_EQ(
        storage_number("SELECT (SELECT count(*) FROM policy)+(SELECT count(*) FROM audit WHERE"
                       " action='policy.delete')-(SELECT count(*) FROM audit WHERE"
                       " action='policy.create')"),
        0);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE resource='' AND action<>'user.login'"
                             " AND action<>'setup.code'"),
              0);
    EXPECT_EQ(
        storage_number("SELECT count(*) FROM audit WHERE detail='' AND action IN ('policy.create',"
                       "'policy.update','user.update','user.create')"),
        0);
    whole_login_again();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/audit-logs/verify", ROOT, NULL), 200);
    EXPECT(body_has("\"intact\":true"));
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/integrity-check", ROOT, NULL), 200);
    EXPECT(body_has("\"ok\":true"));
    EXPECT(refused > 100 && served > 100);
}

/* Each has the harness's minute, on a busy machine, too. */
TEST(documents_without_memory) { sweep(0, 7); }
TEST(versions_and_lists_without_memory) { sweep(7, 15); }
TEST(accounts_without_memory) { sweep(15, 20); }
TEST(logins_without_memory) { sweep(20, 22); }
TEST(sessions_without_memory) { sweep(22, 25); }
TEST(logs_and_settings_without_memory) { sweep(25, 35); }
TEST(the_rest_without_memory) { sweep(35, ARRAY_LEN(steps)); }
TEST(nothing_is_half_done) { judge(); }
