/* SPDX-License-Identifier: Apache-2.0 */
/* auth_setup_test.c — the first administrator: by the console's code, once; or by the machine's
 * configuration, which is compared at each start. */
#include "app/auth/setup.c"
#include "tests/unit/whole.h"

static char console_text[16384];
static size_t console_len;
void platform_console_put(str bytes) { /* in place of the host's: the code is read from here */
    size_t n = MIN(bytes.len, sizeof console_text - 1 - console_len);
    memcpy(console_text + console_len, bytes.ptr, n);
    console_len += n;
    console_text[console_len] = 0;
}
/* The newest code on the console. */
static const char *code_shown(void) {
    static char code[16];
    const char *at = NULL;
    for (const char *p = console_text; (p = strstr(p, "setup code: ")); p++) at = p;
    snprintf(code, sizeof code, "%.14s", at ? at + 12 : "none");
    return code;
}
static int set_up(const char *code_typed, const char *email, const char *password) {
    char body[512];
    snprintf(body, sizeof body, "{\"code\":\"%s\",\"email\":\"%s\",\"password\":\"%s\"}",
             code_typed, email, password);
    return ask(HTTP_POST, "/api/v1/setup", GUEST, body);
}

TEST(codes_are_read_as_people_type_them) {
    char to[CODE_LETTERS];
    EXPECT(code_normalise(S("abcd-efgh-jkmn"), to, CODE_LETTERS) &&
           memcmp(to, "ABCDEFGHJKMN", 12) == 0);
    EXPECT(code_normalise(S("0OoI lL1-23456"), to, CODE_LETTERS) &&
           memcmp(to, "000111123456", 12) == 0);
    EXPECT(!code_normalise(S("abcd-efgh-jkm"), to, CODE_LETTERS));
    EXPECT(!code_normalise(S("abcd-efgh-jkmnp"), to, CODE_LETTERS));
    EXPECT(!code_normalise(S("abcd-efgh-jkm!"), to, CODE_LETTERS));
    EXPECT(!code_normalise(S("abcd-efgh-jku\xC3"), to, CODE_LETTERS));
    EXPECT(!code_normalise(str_of("ABCDEFGHJKM", 12), to, CODE_LETTERS)); /* a NUL inside */
}

TEST(nobody_is_let_in_without_the_code) {
    char first[16];
    whole_begin_with(S(""));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/setup", GUEST, NULL), 200);
    EXPECT(body_has("\"required\":true"));
    snprintf(first, sizeof first, "%s", code_shown());
    EXPECT_EQ(set_up("0000-0000-0000", "root@example.org", ROOT_PASSWORD), 403);
    EXPECT(code("wrong_code"));
    EXPECT_EQ(set_up("what?", "root@example.org", ROOT_PASSWORD), 403);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/setup", GUEST, "{\"code\":7}"), 422);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/setup", GUEST, "{\"code\":\"x\",\"role\":\"admin\"}"), 422);
    EXPECT_EQ(set_up(first, "no address", ROOT_PASSWORD), 422);
    EXPECT_EQ(set_up(first, "root@example.org", "short"), 422);
    EXPECT_STR(str_from_c(code_shown()), str_from_c(first)); /* still good */
    EXPECT_EQ(storage_number("SELECT tries FROM auth_setup"), 2);
    for (int i = 2; i < CODE_TRIES; i++) EXPECT_EQ(set_up("0000-0000-0000", "a@b.cd", "x"), 403);
    EXPECT(strcmp(first, code_shown()) != 0); /* ten guesses: a new one */
    EXPECT_EQ(set_up(first, "root@example.org", ROOT_PASSWORD), 403);
    EXPECT_EQ(
        storage_number("SELECT count(*) FROM audit WHERE action='setup.code' AND result='failed'"),
        11);
    EXPECT_EQ(storage_number("SELECT count(*) FROM user"), 0);
}

TEST(the_code_makes_one_administrator) {
    whole_begin_with(S(""));
    EXPECT_EQ(set_up(code_shown(), "Root@Example.org", ROOT_PASSWORD), 201);
    EXPECT_OK(str_to_c(whole_text("access_token"), whole.token[ROOT], sizeof whole.token[ROOT]));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/users", ROOT, NULL), 200);
    EXPECT(body_has("root@example.org") && body_has("\"role\":\"admin\""));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/setup", GUEST, NULL), 200);
    EXPECT(body_has("\"required\":false"));
    EXPECT_EQ(set_up(code_shown(), "two@example.org", ROOT_PASSWORD), 409);
    EXPECT(code("already_set_up"));
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='setup.admin'"), 1);
}

/* ---- The configured administrator, at one start after the other ------------------------------ */

static struct diag start_why;
static rc_t start_rc;
static void start_again(void *done) {
    start_why = (struct diag){0};
    start_rc = setup_start(&start_why);
    *(bool *)done = true;
}
static rc_t restart_with(const char *words) {
    bool done = false;
    console_len = 0;
    config_boot(S(""), str_from_c(words));
    storage_fiber(start_again, &done);
    whole_run_until(&done);
    whole_run_ms(COMPARE_AFTER_MS + 2000); /* the comparison follows the start */
    return start_rc;
}
#define WORDS(email, password) "config.admin.email=" email " config.admin.password=" password
#define COUNT(what) storage_number("SELECT count(*) FROM " what)

/* Once, a pair whose password was too short made the account all the same, with an empty one. */
TEST(a_pair_that_is_no_pair_makes_nobody) {
    static const char *const words[] = {
        "config.admin.password=alone-without-email",
        "config.admin.email=alone@example.org",
        WORDS("alone@example.org", "short"),
        WORDS("root@example.org", "short"), /* nor changes whom it names */
    };
    whole_begin_with(S(""));
    s64 users = COUNT("user");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        EXPECT_OK(restart_with(words[i])); /* it starts all the same: there is an administrator */
        if (COUNT("user") != users) test_fail(__FILE__, __LINE__, "%s made somebody", words[i]);
    }
    EXPECT(whole_login(ROOT, "root@example.org", ROOT_PASSWORD));
}

TEST(the_machines_word_makes_and_keeps_an_administrator) {
    whole_begin_with(S(""));
    s64 users = COUNT("user");
    EXPECT_OK(restart_with(WORDS("Ops@example.org", "first-secret-words")));
    EXPECT_EQ(COUNT("user WHERE email='ops@example.org' AND role='admin'"), 1);
    EXPECT_EQ(COUNT("user"), users + 1);
    EXPECT(whole_login(BOB, "ops@example.org", "first-secret-words"));
    EXPECT_STR(config_text("admin.password"), S("")); /* not kept in memory */
    /* The same again: nothing changes, sessions live. */
    EXPECT_OK(restart_with(WORDS("ops@example.org", "first-secret-words")));
    EXPECT_EQ(COUNT("audit WHERE action='user.password'"), 0);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/me", BOB, NULL), 200);
    /* Somebody took the role away: the machine's word gives it back. */
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(
        db_run(t, "UPDATE user SET role='user',state='disabled' WHERE email='ops@example.org'"));
    EXPECT_OK(db_write_commit(t));
    EXPECT_OK(restart_with(WORDS("ops@example.org", "first-secret-words")));
    EXPECT_EQ(COUNT("user WHERE email='ops@example.org' AND role='admin' AND state='active'"), 1);
    /* Another password: set, and the sessions of the old one end. */
    EXPECT_OK(restart_with(WORDS("ops@example.org", "second-secret-words")));
    EXPECT_EQ(COUNT("audit WHERE action='user.password' AND actor='appliance'"), 1);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/me", BOB, NULL), 401);
    EXPECT(whole_login(BOB, "ops@example.org", "second-secret-words"));
}

TEST(a_database_that_fails_is_told) {
    whole_begin_with(S(""));
    sim_disk_fail(0, DISK_WRITE, 1, RC_IO, true);
    EXPECT(restart_with(WORDS("late@example.org", "third-secret-words")) != RC_OK);
    EXPECT(strstr(start_why.text, "first administrator") != NULL);
    sim_disk_fail(0, DISK_WRITE, 0, RC_OK, false);
    whole_run_ms(5000);
    EXPECT_EQ(COUNT("user WHERE email='late@example.org'"), 0);
    EXPECT_OK(restart_with(WORDS("late@example.org", "third-secret-words")));
    EXPECT_EQ(COUNT("user WHERE email='late@example.org'"), 1);
}
