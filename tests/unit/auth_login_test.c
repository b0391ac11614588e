/* SPDX-License-Identifier: Apache-2.0 */
/* auth_login_test.c — login, refresh and logout as a client meets them: failures all look alike, a
 * session that ended is over in the next request, a stolen refresh token ends its family. */
#include "app/auth/login.c"
#include "tests/unit/whole.h"

#define LOGIN "/api/v1/auth/login"
#define ME "/api/v1/auth/me"
#define ADA_LOGIN "{\"email\":\"ada@example.org\",\"password\":\"" ROOT_PASSWORD "\"}"

static int refresh_with(const char *token) {
    char body[3000];
    snprintf(body, sizeof body, "{\"refresh_token\":\"%s\"}", token);
    return ask(HTTP_POST, "/api/v1/auth/refresh", GUEST, body);
}
static void keep(const char *member, char *to, size_t room) {
    EXPECT_OK(str_to_c(whole_text(member), to, room));
}
static void sql(const char *text) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, text));
    EXPECT_OK(db_write_commit(t));
}
static s64 rows(const char *action, const char *result) {
    char text[160];
    snprintf(text, sizeof text, "SELECT count(*) FROM audit WHERE action='%s' AND result='%s'",
             action, result);
    return storage_number(text);
}

TEST(failures_look_alike_and_are_recorded) {
    static const char *const bodies[] = {
        "{\"email\":\"ada@example.org\",\"password\":\"wrong\"}",
        "{\"email\":\"nobody@example.org\",\"password\":\"" ROOT_PASSWORD "\"}",
        "{\"email\":\"not an address\",\"password\":\"" ROOT_PASSWORD "\"}",
    };
    char first[1024] = "";
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        whole_run_ms(5000);
        EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, bodies[i]), 401);
        if (i) EXPECT_STR(str_from_c(fake.body), str_from_c(first));
        snprintf(first, sizeof first, "%.1023s", fake.body);
    }
    EXPECT_EQ(rows("user.login", "failed"), 3);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, "{\"email\":\"a@b.c\"}"), 422);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, "{\"email\":1,\"password\":2}"), 422);
    EXPECT_EQ(
        ask(HTTP_POST, LOGIN, GUEST, "{\"email\":\"a@b.c\",\"password\":\"x\",\"role\":\"admin\"}"),
        422);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, ""), 400);
}

TEST(guessing_gets_slower_and_stays_slow) {
    whole_begin();
    int status = 0;
    for (int i = 0; i < 30 && status != 429; i++)
        status = ask(HTTP_POST, LOGIN, BOB,
                     "{\"email\":\"guessed@example.org\",\"password\":\"guess\"}");
    EXPECT_EQ(status, 429);
    EXPECT(header("Retry-After: ") && code("too_many_tries"));
}

TEST(an_account_locks_if_the_operator_wants_it) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/config/auth.lockout", ROOT, "{\"value\":true}"), 200);
    sql("UPDATE user SET failures=4 WHERE email='bob@example.org'");
    whole_run_ms(60000);
    EXPECT_EQ(
        ask(HTTP_POST, LOGIN, GUEST, "{\"email\":\"bob@example.org\",\"password\":\"wrong\"}"),
        401);
    whole_run_ms(60000);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST,
                  "{\"email\":\"bob@example.org\",\"password\":\"" ROOT_PASSWORD "\"}"),
              429); /* right, but locked */
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/config/auth.lockout", ROOT, "{\"value\":false}"), 200);
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(storage_number("SELECT failures+locked_ns FROM user WHERE email='bob@example.org'"),
              0);
}

TEST(a_session_turns_over_and_ends) {
    char first[1024], second[1024];
    whole_begin();
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, ADA_LOGIN), 200);
    EXPECT_EQ(whole_int("expires_in"), ACCESS_SECONDS);
    keep("refresh_token", first, sizeof first);
    EXPECT_EQ(refresh_with(first), 200);
    keep("refresh_token", second, sizeof second);
    keep("access_token", whole.token[ADA], sizeof whole.token[ADA]);
    EXPECT(strcmp(first, second) != 0);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200);
    EXPECT_EQ(refresh_with(first), 200); /* its answer was lost: within the grace, the same again */
    whole_run_ms((REFRESH_GRACE_S + 2) * 1000);
    EXPECT_EQ(refresh_with(first), 401); /* later, it was stolen: the family ends */
    EXPECT_EQ(rows("session.reuse", "denied"), 1);
    EXPECT_EQ(refresh_with(second), 401);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401);
    EXPECT_EQ(refresh_with("nonsense"), 401);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/refresh", GUEST, "{}"), 422);
}

TEST(a_disabled_account_refreshes_nothing) {
    char token[1024];
    whole_begin();
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, ADA_LOGIN), 200);
    keep("refresh_token", token, sizeof token);
    sql("UPDATE user SET state='disabled' WHERE email='ada@example.org'");
    EXPECT_EQ(refresh_with(token), 401);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, ADA_LOGIN), 401);
    sql("UPDATE user SET state='active' WHERE email='ada@example.org'");
    whole_run_ms(60000);
}

/* Disabled, or gone, while its password was being looked at. */
static void succeed_too_late(void *done) {
    struct request rq = {.x = &fake.x, .http = &fake.request, .arena = &fake.arena};
    struct attempt a = {.email = S("ada@example.org"), .password = S(ROOT_PASSWORD)};
    EXPECT_OK(attempt_read(&rq, &a));
    sql("UPDATE user SET state='disabled' WHERE email='ada@example.org'");
    succeeded(&rq, &a);
    EXPECT_EQ(fake.status, 401);
    sql("UPDATE user SET state='active' WHERE email='ada@example.org'");
    a.user.id = S("01a1fe00-0000-7000-8000-00000000dead");
    fake.answered = false;
    succeeded(&rq, &a);
    EXPECT_EQ(fake.status, 401);
    *(bool *)done = true;
}
TEST(the_account_is_looked_at_again_inside_the_write) {
    bool done = false;
    whole_begin();
    s64 sessions = storage_number("SELECT count(*) FROM session");
    fake_begin(HTTP_POST, LOGIN);
    storage_fiber(succeed_too_late, &done);
    whole_run_until(&done);
    EXPECT_EQ(storage_number("SELECT count(*) FROM session"), sessions);
}

TEST(logout_is_at_once) {
    char other[2048];
    whole_begin();
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    memcpy(other, whole.token[ADA], sizeof other);
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/logout", ADA, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401);
    EXPECT(header("WWW-Authenticate: Bearer"));
    memcpy(whole.token[ADA], other, sizeof other);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200); /* the other session lives */
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/logout-all", ADA, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/logout", GUEST, NULL), 401);
    EXPECT_EQ(rows("user.logout_all", "ok"), 1);
}

TEST(a_user_has_so_many_sessions_and_no_more) {
    whole_begin();
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 200); /* its proof is cached */
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<60)"
        " INSERT INTO session(id,user_id,family,turn,previous,created_ns,refreshed_ns,expires_ns,"
        "address,client) SELECT 's'||i,(SELECT id FROM user WHERE "
        "email='bob@example.org'),x'00',"
        "x'00',NULL,9000000000000000000,9000000000000000000,9100000000000000000,'','' FROM n");
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST,
                  "{\"email\":\"bob@example.org\",\"password\":\"" ROOT_PASSWORD "\"}"),
              200);
    EXPECT_EQ(storage_number("SELECT count(*) FROM session s JOIN user u ON u.id=s.user_id"
                             " WHERE email='bob@example.org'"),
              SESSIONS_PER_USER_MAX);
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 401); /* the oldest one was pushed out, cached or not */
}

TEST(the_header_is_good_or_refused) {
    static const char *const bad[] = {"Basic YTpi",   "Bearer", "Bearer ",
                                      "Bearer x.y.z", "bearer", ""};
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        whole.fields[0][0] = "Authorization", whole.fields[0][1] = bad[i];
        if (ask(HTTP_GET, ME, GUEST, NULL) != 401)
            test_fail(__FILE__, __LINE__, "\"%s\": %d", bad[i], fake.status);
    }
    /* and a good one after it */
    whole.fields[0][0] = "Authorization", whole.fields[0][1] = "Bearer x";
    EXPECT_EQ(ask(HTTP_GET, ME, ROOT, NULL), 401);
    whole.fields[0][0] = "Authorization", whole.fields[0][1] = "Bearer x";
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, ADA_LOGIN), 200); /* an old token keeps nobody out */
    EXPECT_EQ(ask(HTTP_GET, "/.well-known/jwks.json", GUEST, NULL), 200);
    EXPECT(body_has("\"kty\":\"EC\"") && !body_has("\"d\""));
}
