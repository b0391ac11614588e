/* SPDX-License-Identifier: Apache-2.0 */
/* auth_users_test.c — accounts, managed by administrators and by their owners, over the whole
 * pipeline: what is refused leaves no trace, and what was taken away ends at once. */
#include "app/auth/users.c"
#include "tests/unit/whole.h"

#define USERS "/api/v1/auth/users"
#define ME "/api/v1/auth/me"

static char path[128];

static int create(const char *body) {
    int status = ask(HTTP_POST, USERS, ROOT, body);
    if (status == 201) snprintf(path, sizeof path, USERS "/%.*s", STR(whole_text("id")));
    return status;
}
static const char *path_of(const char *email) {
    char target[128];
    snprintf(target, sizeof target, USERS "?q=%s", email);
    EXPECT_EQ(ask(HTTP_GET, target, ROOT, NULL), 200);
    const cJSON *user = cJSON_GetArrayItem(whole_member("items"), 0);
    snprintf(path, sizeof path, USERS "/%s",
             user ? cJSON_GetStringValue(cJSON_GetObjectItem(user, "id")) : "");
    return path;
}

TEST(an_account_is_made_read_and_found) {
    whole_begin();
    EXPECT_EQ(create("{\"email\":\" Eve@Example.org \",\"name\":\"Eve\",\"password\":\"a long "
                     "enough one\"}"),
              201);
    EXPECT_STR(whole_text("email"), S("eve@example.org"));
    EXPECT_STR(whole_text("role"), S("user"));
    EXPECT(header("Location: " USERS "/") && !body_has("argon2"));
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 200);
    EXPECT(header("ETag: \"1\""));
    whole.fields[0][0] = "If-None-Match", whole.fields[0][1] = "W/\"1\"";
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 304);
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, path, GUEST, NULL), 401);
    EXPECT_EQ(ask(HTTP_GET, USERS "?role=admin", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 1);
    EXPECT_EQ(ask(HTTP_GET, USERS "?q=EVE&state=active", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 1);
    EXPECT_EQ(ask(HTTP_GET, USERS "?limit=1", ROOT, NULL), 200);
    EXPECT_EQ(whole_items(), 1);
    EXPECT(body_has("\"next\":\"" USERS "?limit=1&offset=1\""));
    EXPECT_EQ(ask(HTTP_GET, USERS, ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, USERS "?limit=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, USERS "/nobody", ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, USERS "/01a1fe00-0000-7000-8000-00000000dead", ROOT, NULL), 404);
    EXPECT(whole_login(WHO_COUNT - 1, "eve@example.org", "a long enough one"));
    whole_login_again();
}

TEST(what_is_wrong_makes_no_account) {
    static const struct {
        const char *body, *code;
        int status;
    } cases[] = {
        {"{}", "member_missing", 422},
        {"{\"email\":\"nobody\",\"name\":\"N\",\"password\":\"a long enough one\"}",
         "email_invalid", 422},
        {"{\"email\":7,\"name\":\"N\",\"password\":\"a long enough one\"}", "member_type", 422},
        {"{\"email\":\"n@example.org\",\"name\":\"\",\"password\":\"a long enough one\"}",
         "member_length", 422},
        {"{\"email\":\"n@example.org\",\"name\":\"N\",\"password\":\"short\"}", "weak_password",
         422},
        {"{\"email\":\"n@example.org\",\"name\":\"N\",\"password\":\"n@example.org\"}",
         "weak_password", 422},
        {"{\"email\":\"n@example.org\",\"name\":\"N\",\"password\":\"a long enough "
         "one\",\"role\":\"god\"}",
         "role_invalid", 422},
        {"{\"email\":\"n@example.org\",\"name\":\"N\",\"password\":\"a long enough "
         "one\",\"id\":\"1\"}",
         "member_unknown", 422},
        {"{\"email\":\"ADA@example.org\",\"name\":\"N\",\"password\":\"a long enough one\"}",
         "email_taken", 409},
    };
    whole_begin();
    s64 before = storage_number("SELECT count(*) FROM user");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (create(cases[i].body) != cases[i].status || !code(cases[i].code))
            test_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].body, fake.status, fake.body);
    EXPECT_EQ(ask(HTTP_POST, USERS, ADA, cases[0].body), 403);
    EXPECT_EQ(storage_number("SELECT count(*) FROM user"), before);
}

TEST(what_changes_takes_effect_at_once) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 200);
    path_of("bob@example.org");
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = "\"99\"";
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"name\":\"Robert\"}"), 412);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"name\":\"Robert\",\"role\":\"admin\"}"), 200);
    EXPECT_STR(whole_text("name"), S("Robert"));
    EXPECT_EQ(ask(HTTP_GET, USERS, BOB, NULL), 401); /* a token tells the role it was made for */
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, USERS, BOB, NULL), 200);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"role\":\"user\"}"), 200);
    EXPECT_EQ(ask(HTTP_GET, USERS, BOB, NULL), 401);
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, USERS, BOB, NULL), 403);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"state\":\"disabled\"}"), 200);
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 401);
    EXPECT(!whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT,
                  "{\"state\":\"active\",\"password\":\"another long "
                  "secret\",\"email\":\"rob@example.org\"}"),
              200);
    whole_run_ms(3000); /* the failed login's delay */
    EXPECT(whole_login(BOB, "rob@example.org", "another long secret"));
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"password\":\"yet another secret!\"}"), 200);
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 401); /* its sessions ended */
    EXPECT(whole_login(BOB, "rob@example.org", "yet another secret!"));
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='user.update'"
                             " AND resource LIKE 'user/%' AND json_valid(detail)"),
              storage_number("SELECT count(*) FROM audit WHERE action='user.update'"));
}

TEST(a_change_that_is_wrong_changes_nothing) {
    whole_begin();
    path_of("ada@example.org");
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"state\":\"sleeping\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"role\":\"god\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"password\":\"short\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"locked\":\"no\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"email\":\"@\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"email\":\"" ROOT_EMAIL "\"}"), 409);
    EXPECT(code("email_taken"));
    EXPECT_EQ(ask(HTTP_PUT, USERS "/nobody", ROOT, "{\"name\":\"x\"}"), 404);
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 200);
    EXPECT_EQ(whole_int("version"), 1);
}

TEST(the_last_administrator_stays) {
    whole_begin();
    path_of(ROOT_EMAIL);
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"role\":\"user\"}"), 409);
    EXPECT(code("last_admin"));
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"state\":\"disabled\"}"), 409);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 409);
    EXPECT_EQ(create("{\"email\":\"two@example.org\",\"name\":\"Two\",\"role\":\"admin\","
                     "\"password\":\"a long enough one\"}"),
              201);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204); /* of two, one may go */
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, USERS "/nobody", ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 403);
}

/* What another request did between reading and writing is seen inside the write. */
static void change_late(void *done) {
    struct request rq = {
        .x = &fake.x, .http = &fake.request, .arena = &fake.arena, .param_count = 1};
    struct change c = {.name = S("Late")};
    struct user user;
    rq.actor = (struct actor){.user_id = S("x"), .email = S("x@example.org"), .role = S("admin")};
    rq.params[0] = arena_copy(&fake.arena, str_skip(str_from_c(path), sizeof USERS));
    EXPECT_OK(read_one(&rq, &user));
    EXPECT_RC(change_write(&rq, &c, user.version - 1, &user), RC_AGAIN);
    rq.params[0] = S("01a1fe00-0000-7000-8000-00000000dead");
    EXPECT_RC(change_write(&rq, &c, 1, &user), RC_NOT_FOUND);
    *(bool *)done = true;
}
TEST(the_version_is_checked_again_inside_the_write) {
    bool done = false;
    whole_begin();
    path_of("ada@example.org");
    fake_begin(HTTP_PUT, path);
    storage_fiber(change_late, &done);
    whole_run_until(&done);
}

/* ---- One's own account ----------------------------------------------------------------------- */

TEST(one_reads_and_renames_oneself) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200);
    EXPECT_STR(whole_text("email"), S("ada@example.org"));
    EXPECT_EQ(ask(HTTP_GET, ME, GUEST, NULL), 401);
    EXPECT_EQ(ask(HTTP_PUT, ME, ADA, "{\"name\":\"Ada L.\"}"), 200);
    EXPECT_STR(whole_text("name"), S("Ada L."));
    EXPECT_EQ(ask(HTTP_PUT, ME, ADA, "{\"name\":\"A\",\"role\":\"admin\"}"), 422);
    EXPECT_EQ(ask(HTTP_PUT, ME, ADA, "{}"), 422);
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = "\"1\"";
    EXPECT_EQ(ask(HTTP_PUT, ME, ADA, "{\"name\":\"B\"}"), 412);
    EXPECT_EQ(ask(HTTP_GET, "/api/auth/me", ADA, NULL), 200); /* the old prefix */
}

TEST(a_new_password_needs_the_old_one) {
    static const char target[] = "/api/v1/auth/change-password";
    char other[2048];
    whole_begin();
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    snprintf(other, sizeof other, "%s", whole.token[ADA]); /* a second session */
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_POST, target, ADA,
                  "{\"current_password\":\"wrong\",\"new_password\":\"a new long secret\"}"),
              403);
    EXPECT(code("wrong_password"));
    EXPECT_EQ(ask(HTTP_POST, target, ADA,
                  "{\"current_password\":\"" ROOT_PASSWORD "\",\"new_password\":\"x\"}"),
              422);
    EXPECT_EQ(ask(HTTP_POST, target, ADA, "{}"), 422);
    whole_run_ms(3000);
    EXPECT_EQ(ask(HTTP_POST, target, ADA,
                  "{\"current_password\":\"" ROOT_PASSWORD
                  "\",\"new_password\":\"a new long secret\"}"),
              204);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200); /* this session goes on */
    memcpy(whole.token[ADA], other, sizeof other);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401); /* the others ended */
    EXPECT(whole_login(ADA, "ada@example.org", "a new long secret"));
    for (int i = 0; i < 30 && fake.status != 429; i++)
        (void)ask(HTTP_POST, target, ADA,
                  "{\"current_password\":\"guess\",\"new_password\":\"a newer long secret\"}");
    EXPECT_EQ(fake.status, 429); /* a stolen token is no password oracle */
}

TEST(registration_is_shut_unless_opened) {
    static const char target[] = "/api/v1/auth/register";
    static const char body[] = "{\"email\":\"new@example.org\",\"name\":\"New\",\"role\":\"admin\","
                               "\"password\":\"a long enough one\"}";
    whole_begin();
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_POST, target, GUEST, body), 403);
    EXPECT(code("registration_closed"));
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/config/auth.registration", ROOT, "{\"value\":\"open\"}"), 200);
    EXPECT_EQ(ask(HTTP_POST, target, GUEST, "{\"email\":\"new@example.org\"}"), 422);
    EXPECT_EQ(ask(HTTP_POST, target, GUEST, body), 201);
    EXPECT_STR(whole_text("role"), S("user")); /* whatever was asked for */
    EXPECT_EQ(ask(HTTP_POST, target, GUEST, body), 409);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='user.register'"), 1);
}
