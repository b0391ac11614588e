/* SPDX-License-Identifier: Apache-2.0 */
/* auth_once_test.c — what works once works once: tickets, codes and their tries, ages, kinds. */
#include "app/auth/once.c"
#include "tests/identity.h"

static struct user alice;
static bool begun;

static void begin(void) {
    struct db_txn *t;
    if (begun) return;
    begun = true;
    identity_begin();
    alice = (struct user){.email = S("alice@example.org"),
                          .name = S("Alice"),
                          .role = S("user"),
                          .state = S("active"),
                          .phc = S("x")};
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(user_insert(t, &identity_arena, &alice));
    EXPECT_OK(db_write_commit(t));
}

static str ticket(const char *kind, u64 lifetime_s) {
    struct once o = {.kind = str_from_c(kind), .user_id = alice.id, .data = S("{\"n\":1}")};
    struct db_txn *t;
    str out = {NULL, 0};
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(once_ticket(t, &identity_arena, &o, "tst_", lifetime_s, &out));
    EXPECT_OK(db_write_commit(t));
    return out;
}
static rc_t take(const char *kind, str text, struct once *out) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    rc_t rc = once_take(t, &identity_arena, str_from_c(kind), text, out);
    EXPECT_OK(db_write_commit(t));
    return rc;
}
static str digits(const char *kind) {
    struct once o = {.kind = str_from_c(kind), .user_id = alice.id};
    struct db_txn *t;
    str out = {NULL, 0};
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(once_code(t, &identity_arena, &o, 300, &out));
    EXPECT_OK(db_write_commit(t));
    return out;
}
static rc_t type(const char *kind, str code) {
    struct once out;
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    rc_t rc = once_code_take(t, &identity_arena, str_from_c(kind), alice.id, code, &out);
    EXPECT_OK(db_write_commit(t));
    return rc;
}

TEST(a_ticket_works_once) {
    struct once got;
    begin();
    str text = ticket("reset", 60);
    EXPECT(str_starts(text, S("tst_")));
    EXPECT_EQ(text.len, 4 + BASE64_LEN(32));
    EXPECT_EQ(take("verify", text, &got), RC_NOT_FOUND); /* of another kind */
    EXPECT_EQ(take("reset", str_take(text, text.len - 1), &got), RC_NOT_FOUND);
    EXPECT_EQ(take("reset", S(""), &got), RC_NOT_FOUND);
    EXPECT_OK(take("reset", text, &got));
    EXPECT_STR(got.user_id, alice.id);
    EXPECT_STR(got.data, S("{\"n\":1}"));
    EXPECT_EQ(take("reset", text, &got), RC_NOT_FOUND);
}

TEST(the_table_knows_no_secret) {
    begin();
    str text = ticket("secret", 60);
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM auth_once WHERE instr(hash,'%.*s') OR instr(data,'%.*s')",
             STR(text), STR(text));
    EXPECT_EQ(storage_number(sql), 0);
}

TEST(a_ticket_gets_too_old_and_is_cleared_away) {
    struct once got;
    begin();
    str text = ticket("old", 60), young = ticket("young", 600);
    sim_wall_step((s64)(61 * NS_PER_S));
    EXPECT_EQ(take("old", text, &got), RC_NOT_FOUND);
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_once WHERE kind='old'"), 1);
    ticket("other", 60);
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_once WHERE kind='old'"), 0);
    EXPECT_OK(take("young", young, &got));
}

TEST(five_wrong_answers_end_a_ticket) {
    struct once got;
    struct db_txn *t;
    begin();
    str text = ticket("mfa", 60);
    for (int i = 0; i < ONCE_TRIES; i++) {
        EXPECT_OK(db_write_begin(&t));
        EXPECT_OK(once_peek(t, &identity_arena, S("mfa"), text, &got));
        EXPECT_EQ(got.tries, i);
        EXPECT_OK(once_missed(t, &identity_arena, S("mfa"), text));
        EXPECT_OK(db_write_commit(t));
    }
    EXPECT_EQ(take("mfa", text, &got), RC_NOT_FOUND);
}

TEST(a_code_is_eight_digits_for_one_person_and_five_tries) {
    begin();
    str code = digits("verify");
    EXPECT_EQ(code.len, 8);
    for (size_t i = 0; i < code.len; i++) EXPECT(code.ptr[i] >= '0' && code.ptr[i] <= '9');
    EXPECT_EQ(type("reset", code), RC_NOT_FOUND);
    EXPECT_OK(type("verify", code));
    EXPECT_EQ(type("verify", code), RC_NOT_FOUND);
    code = digits("verify");
    str newer = digits("verify"); /* replaces it */
    if (!str_eq(code, newer)) EXPECT_EQ(type("verify", code), RC_NOT_FOUND);
    EXPECT_OK(type("verify", newer));
    code = digits("verify");
    for (int i = 0; i < ONCE_TRIES; i++) EXPECT_EQ(type("verify", S("0")), RC_NOT_FOUND);
    EXPECT_EQ(type("verify", code), RC_NOT_FOUND); /* the right one comes too late */
}

TEST(they_go_with_their_account) {
    struct once got;
    struct db_txn *t;
    begin();
    str text = ticket("gone", 60);
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "DELETE FROM user WHERE id=?1", DB_TEXT(alice.id)));
    EXPECT_OK(db_write_commit(t));
    EXPECT_EQ(take("gone", text, &got), RC_NOT_FOUND);
}
