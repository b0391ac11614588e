/* SPDX-License-Identifier: Apache-2.0 */
/* auth_mailbox_test.c — addresses proved and passwords reset by code, invitations, leaving,
 * notices: what an outsider can learn from it (nothing) and what a code is good for (once, its own
 * thing). */
#include "app/auth/mailbox.c"
#include "tests/unit/whole.h"

#define A "/api/v1/auth/"
#define NEW_PASSWORD "an entirely new phrase"

static char code_text[16];

static void setting(const char *key, const char *value) {
    char path[128], body[64];
    snprintf(path, sizeof path, "/api/v1/config/%s", key);
    snprintf(body, sizeof body, "{\"value\":%s}", value);
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, body), 200);
}
static int with_email(const char *path, const char *email) {
    char body[256];
    snprintf(body, sizeof body, "{\"email\":\"%s\"}", email);
    return ask(HTTP_POST, path, GUEST, body);
}
static int with_code(const char *path, const char *email, const char *digits,
                     const char *password) {
    char body[512];
    snprintf(body, sizeof body, "{\"email\":\"%s\",\"code\":\"%s\"%s%s%s}", email, digits,
             password ? ",\"new_password\":\"" : "", password ? password : "",
             password ? "\"" : "");
    return ask(HTTP_POST, path, GUEST, body);
}
/* The code of the newest message, as an administrator reads it. */
static bool outbox_code(const char *kind) {
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, A "outbox", ROOT, NULL), 200);
    const cJSON *m;
    cJSON_ArrayForEach(m, whole_member("items")) {
        if (strcmp(cJSON_GetObjectItem(m, "kind")->valuestring, kind) != 0) continue;
        const char *at = strchr(cJSON_GetObjectItem(m, "body")->valuestring, ':');
        snprintf(code_text, sizeof code_text, "%.8s", at + 2);
        return true;
    }
    return false;
}
static s64 count(const char *sql) {
    return storage_number(sql);
}
static int registered(const char *email, const char *invite) {
    char body[512];
    snprintf(body, sizeof body,
             "{\"email\":\"%s\",\"name\":\"N\",\"password\":\"a long enough one\"%s%s%s}", email,
             invite ? ",\"invite\":\"" : "", invite ? invite : "", invite ? "\"" : "");
    return ask(HTTP_POST, A "register", GUEST, body);
}
static int login(const char *email, const char *password) {
    char body[256];
    snprintf(body, sizeof body, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
    return ask(HTTP_POST, A "login", GUEST, body);
}

TEST(a_registered_address_is_proved_before_the_first_sign_in) {
    whole_begin();
    setting("auth.registration", "\"open\"");
    setting("auth.verify_email", "true");
    EXPECT_EQ(registered("carl@example.org", NULL), 201);
    EXPECT(body_has("\"email_verified_at\":null"));
    EXPECT_EQ(login("carl@example.org", "a long enough one"), 403);
    EXPECT(code("email_unverified"));
    EXPECT_EQ(login("carl@example.org", "a wrong one"), 401); /* tells nothing to others */
    EXPECT(outbox_code("verify"));
    EXPECT_EQ(with_code(A "verify", "carl@example.org", "00000000", NULL), 403);
    EXPECT(code("code_refused"));
    EXPECT_EQ(with_code(A "verify", "ada@example.org", code_text, NULL), 403); /* not hers */
    EXPECT_EQ(with_code(A "verify", "carl@example.org", code_text, NULL), 204);
    EXPECT_EQ(with_code(A "verify", "carl@example.org", code_text, NULL), 403);
    EXPECT_EQ(login("carl@example.org", "a long enough one"), 200);
    EXPECT_EQ(login(ROOT_EMAIL, ROOT_PASSWORD), 200); /* administrators are not shut out */
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 403);
    EXPECT_EQ(with_email(A "verify/send", "bob@example.org"), 202);
    whole_run_ms(100);
    EXPECT(outbox_code("verify"));
    EXPECT_EQ(with_code(A "verify", "bob@example.org", code_text, NULL), 204);
    setting("auth.verify_email", "false");
    setting("auth.registration", "\"closed\"");
}

TEST(a_forgotten_password_is_chosen_anew_and_every_session_ends) {
    whole_begin();
    s64 before = count("SELECT count(*) FROM outbox");
    EXPECT_EQ(with_email(A "forgot-password", "nobody@example.org"), 202);
    EXPECT_EQ(strlen(fake.body), 0);
    whole_run_ms(100);
    EXPECT_EQ(count("SELECT count(*) FROM outbox"), before);
    EXPECT_EQ(with_email(A "forgot-password", " Ada@Example.org "), 202);
    EXPECT_EQ(strlen(fake.body), 0);
    whole_run_ms(100);
    EXPECT(outbox_code("reset"));
    EXPECT_EQ(with_code(A "reset-password", "ada@example.org", "12345678", NEW_PASSWORD), 403);
    char known[512];
    snprintf(known, sizeof known, "%.511s", fake.body);
    EXPECT_EQ(with_code(A "reset-password", "nobody@example.org", "12345678", NEW_PASSWORD), 403);
    EXPECT_STR(str_from_c(fake.body), str_from_c(known));
    EXPECT_EQ(with_code(A "reset-password", "ada@example.org", code_text, "short"), 422);
    EXPECT_EQ(with_code(A "verify", "ada@example.org", code_text, NULL), 403); /* another kind */
    EXPECT_EQ(ask(HTTP_GET, A "me", ADA, NULL), 200);
    EXPECT_EQ(with_code(A "reset-password", "ada@example.org", code_text, NEW_PASSWORD), 204);
    EXPECT_EQ(ask(HTTP_GET, A "me", ADA, NULL), 401);
    EXPECT_EQ(login("ada@example.org", ROOT_PASSWORD), 401);
    EXPECT(whole_login(ADA, "ada@example.org", NEW_PASSWORD));
    EXPECT_EQ(with_code(A "reset-password", "ada@example.org", code_text, NEW_PASSWORD), 403);
    EXPECT_EQ(count("SELECT count(*) FROM audit WHERE action='user.reset_password'"), 4);
    EXPECT_EQ(count("SELECT count(*) FROM outbox WHERE subject='Your password was changed'"), 1);
    EXPECT_EQ(count("SELECT count(*) FROM audit WHERE action='outbox.read'") > 0, true);
}

TEST(five_wrong_codes_or_fifteen_minutes_end_it) {
    whole_begin();
    whole_run_ms(1000000); /* the waits of before are over */
    EXPECT_EQ(with_email(A "forgot-password", "bob@example.org"), 202);
    whole_run_ms(100);
    EXPECT(outbox_code("reset"));
    for (int i = 0; i < ONCE_TRIES; i++)
        EXPECT_EQ(with_code(A "reset-password", "bob@example.org", "00000000", NEW_PASSWORD), 403);
    whole_run_ms(3000);
    EXPECT_EQ(with_code(A "reset-password", "bob@example.org", code_text, NEW_PASSWORD), 403);
    EXPECT_EQ(with_email(A "forgot-password", "bob@example.org"), 202);
    whole_run_ms(100);
    EXPECT(outbox_code("reset"));
    sim_wall_step((s64)(901 * NS_PER_S));
    whole_run_ms(3000);
    EXPECT_EQ(with_code(A "reset-password", "bob@example.org", code_text, NEW_PASSWORD), 403);
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 200);
    int status = 0;
    for (int i = 0; i < 8 && status != 429; i++)
        status = with_code(A "reset-password", "bob@example.org", "00000000", NEW_PASSWORD);
    EXPECT_EQ(status, 429);
}

TEST(a_mailbox_is_not_flooded) {
    whole_begin();
    for (int i = 0; i < 12; i++) {
        with_email(A "verify/send", "ada@example.org");
        whole_run_ms(20000);
    }
    EXPECT(count("SELECT count(*) FROM outbox WHERE kind='verify' AND address='ada@example.org'") <=
           5);
}

TEST(an_invitation_makes_one_account_for_its_address) {
    char ticket[128], path[128];
    whole_begin();
    setting("auth.registration", "\"invite\"");
    EXPECT(whole_login(ADA, "ada@example.org", NEW_PASSWORD));
    EXPECT_EQ(ask(HTTP_POST, A "invites", ADA, "{\"email\":\"dora@example.org\"}"), 403);
    EXPECT_EQ(ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"bob@example.org\"}"), 409);
    EXPECT_EQ(ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"x\"}"), 422);
    EXPECT_EQ(ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"d@e.f\",\"role\":\"god\"}"), 422);
    EXPECT_EQ(
        ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"dora@example.org\",\"role\":\"admin\"}"),
        201);
    EXPECT_OK(str_to_c(whole_text("invite"), ticket, sizeof ticket));
    EXPECT_EQ(
        ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"dora@example.org\",\"role\":\"user\"}"),
        201);
    EXPECT_EQ(registered("dora@example.org", ticket), 403); /* replaced */
    EXPECT_OK(str_to_c(whole_text("code"), path, sizeof path));
    EXPECT_STR(str_from_c(path), S("invite_refused"));
    EXPECT_EQ(
        ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"dora@example.org\",\"role\":\"admin\"}"),
        201);
    EXPECT_OK(str_to_c(whole_text("invite"), ticket, sizeof ticket));
    EXPECT_EQ(ask(HTTP_GET, A "invites", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 1);
    EXPECT(!body_has(ticket));
    EXPECT_EQ(registered("dora@example.org", NULL), 403);
    EXPECT_EQ(registered("dora@example.org", "opi_wrong"), 403);
    EXPECT_EQ(registered("eve@example.org", ticket), 403); /* for somebody else; not used up */
    EXPECT_EQ(registered("dora@example.org", ticket), 201);
    EXPECT_STR(whole_text("role"), S("admin"));
    EXPECT(!body_has("\"email_verified_at\":null"));
    EXPECT_EQ(registered("dora@example.org", ticket), 403);
    EXPECT_EQ(ask(HTTP_POST, A "invites", ROOT, "{\"email\":\"eve@example.org\"}"), 201);
    snprintf(path, sizeof path, A "invites/%.*s", STR(whole_text("id")));
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, A "invites/x", ROOT, NULL), 404);
    setting("auth.registration", "\"closed\"");
    EXPECT_EQ(registered("eve@example.org", ticket), 403);
    EXPECT(code("registration_closed"));
}

TEST(a_new_device_is_told_of_and_a_known_one_is_not) {
    whole_begin();
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 200);
    s64 before = count("SELECT count(*) FROM outbox WHERE subject='A new sign-in'");
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 200);
    EXPECT_EQ(count("SELECT count(*) FROM outbox WHERE subject='A new sign-in'"), before);
    whole.fields[0][0] = "User-Agent", whole.fields[0][1] = "Another/1.0";
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 200);
    EXPECT_EQ(count("SELECT count(*) FROM outbox WHERE subject='A new sign-in'"), before + 1);
    whole.fields[0][0] = "User-Agent", whole.fields[0][1] = "Another/1.0";
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 200);
    EXPECT_EQ(count("SELECT count(*) FROM outbox WHERE subject='A new sign-in'"), before + 1);
}

TEST(messages_are_removed_and_expire) {
    char path[128];
    whole_begin();
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, A "outbox", ADA, NULL) / 100, 4);
    EXPECT_EQ(ask(HTTP_GET, A "outbox?limit=1", ROOT, NULL), 200);
    const cJSON *m = cJSON_GetArrayItem(whole_member("items"), 0);
    snprintf(path, sizeof path, A "outbox/%s", cJSON_GetObjectItem(m, "id")->valuestring);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, A "outbox/x", ROOT, NULL), 404);
    sim_wall_step((s64)(8ull * 86400 * NS_PER_S));
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_GET, A "outbox", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 0);
}

TEST(one_may_leave_but_not_the_last_administrator) {
    whole_begin();
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_DELETE, A "me", BOB, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, A "me", BOB, NULL), 401);
    EXPECT_EQ(login("bob@example.org", ROOT_PASSWORD), 401);
    EXPECT_EQ(count("SELECT count(*) FROM session s LEFT JOIN user u ON u.id=s.user_id WHERE u.id "
                    "IS NULL"),
              0);
    EXPECT(whole_login(ADA, "dora@example.org", "a long enough one")); /* an administrator, too */
    EXPECT_EQ(ask(HTTP_DELETE, A "me", ADA, NULL), 204);
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_DELETE, A "me", ROOT, NULL), 409);
    EXPECT(code("last_admin"));
}

TEST(the_last_administrator_is_not_locked_out) {
    whole_begin();
    whole_run_ms(1000000); /* the waits of before are over */
    setting("auth.lockout", "true");
    for (int i = 0; i < 12; i++) {
        login(ROOT_EMAIL, "wrong");
        whole_run_ms(301000);
    }
    EXPECT_EQ(login(ROOT_EMAIL, ROOT_PASSWORD), 200);
    setting("auth.lockout", "false");
}
