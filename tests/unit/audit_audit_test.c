/* SPDX-License-Identifier: Apache-2.0 */
/* audit_audit_test.c — rows, their chain, and that every way of tampering shows. */
#include "app/audit/audit.c"
#include "tests/identity.h"

static void add(const char *action, str resource, str detail) {
    struct audit_event event = {
        .action = action, .resource = resource, .result = "ok", .detail = detail};
    EXPECT_OK(audit_add_alone(&identity_request, &event));
}

static rc_t sql(const char *text) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(t, text);
    if (rc == RC_OK) return db_write_commit(t);
    db_write_rollback(t);
    return rc;
}

static void check_rows(rc_t verdict, u64 rows, s64 row) {
    u64 got_rows;
    s64 got_row;
    EXPECT_RC(audit_verify(&got_rows, &got_row), verdict);
    EXPECT_EQ(got_rows, rows);
    if (verdict) EXPECT_EQ(got_row, row);
}

/* Somebody with the database file in hand: our own triggers are not in their way. */
static void tamper(const char *text) {
    EXPECT_OK(sql("DROP TRIGGER IF EXISTS audit_no_update"));
    EXPECT_OK(sql("DROP TRIGGER IF EXISTS audit_no_delete"));
    EXPECT_OK(sql(text));
}

TEST(an_empty_log_is_intact) {
    identity_begin();
    check_rows(RC_OK, 0, 0);
    identity_end();
}

TEST(rows_chain_and_survive_a_restart) {
    identity_begin();
    for (int i = 0; i < 100; i++) add("test.act", S("thing/1"), S("{\"n\":1}"));
    check_rows(RC_OK, 100, 0);
    identity_restart();
    add("test.act", S("thing/2"), S(""));
    check_rows(RC_OK, 101, 0);
    identity_end();
}

static void add_at(s64 wall_step_s, int rows) {
    sim_wall_step(wall_step_s * (s64)NS_PER_S);
    for (int i = 0; i < rows; i++) add("test.act", S("thing/1"), S(""));
}

TEST(old_rows_go_and_the_rest_stays_a_chain) {
    static const s64 day = 86400;
    identity_begin();
    add_at(0, 700);
    add_at(300 * day, 20);
    EXPECT_OK(audit_expire(platform_wall_ns()));
    check_rows(RC_OK, 720, 0); /* none is old yet */
    add_at(101 * day, 5);
    EXPECT_OK(audit_expire(platform_wall_ns()));
    check_rows(RC_OK, 27, 0); /* 20, 5, and the two rows that tell of it */
    EXPECT_OK(audit_expire(platform_wall_ns()));
    check_rows(RC_OK, 27, 0);
    identity_restart();
    add_at(0, 1);
    check_rows(RC_OK, 28, 0);
    EXPECT(sql("DELETE FROM audit") != RC_OK);
    tamper("DELETE FROM audit WHERE id=701");
    check_rows(RC_CORRUPT, 0, 701);
    identity_end();
}

/* A clock that ran ahead and was put right: the row from then keeps those before it from nothing,
 * and those after it stay until it goes. */
TEST(a_row_that_is_not_old_keeps_those_after_it) {
    static const s64 day = 86400;
    identity_begin();
    add_at(0, 3);
    add_at(500 * day, 1);
    add_at(-500 * day, 3);
    add_at(450 * day, 0);
    EXPECT_OK(audit_expire(platform_wall_ns()));
    check_rows(RC_OK, 5, 0); /* one ahead, three behind it, one that tells */
    identity_end();
}

TEST(our_own_sql_cannot_change_the_log) {
    identity_begin();
    add("test.act", S("thing/1"), S(""));
    EXPECT(sql("UPDATE audit SET actor='nobody'") != RC_OK);
    EXPECT(sql("DELETE FROM audit") != RC_OK);
    check_rows(RC_OK, 1, 0);
    identity_end();
}

TEST(every_tampering_shows) {
    static const struct {
        const char *text;
        u64 rows;
    } v[] = {
        {"UPDATE audit SET actor='x' WHERE id=5", 4},
        {"UPDATE audit SET result='failed' WHERE id=1", 0},
        {"UPDATE audit SET at_ns=at_ns+1 WHERE id=10", 9},
        {"UPDATE audit SET detail='' WHERE id=7", 6},
        {"UPDATE audit SET resource=action,action=resource WHERE id=3", 2},
        {"UPDATE audit SET hash=zeroblob(48) WHERE id=6", 5},
        {"UPDATE audit SET hash=zeroblob(0) WHERE id=6", 5},
        {"DELETE FROM audit WHERE id=4", 3},
        {"DELETE FROM audit WHERE id=1", 0},
        {"UPDATE audit SET id=-id WHERE id=2", 1},
        {"INSERT INTO audit SELECT "
         "11,at_ns,actor_id,actor,role,action,resource,result,address,client,"
         "request_id,detail,hash,org_id FROM audit WHERE id=10",
         10},
        /* bytes moved from one field to the next */
        {"UPDATE audit SET actor=substr(actor,1,4),role=substr(actor,5)||role WHERE id=8", 7},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        identity_begin();
        for (int k = 0; k < 10; k++) add("test.act", S("thing/1"), S("{\"n\":1}"));
        tamper(v[i].text);
        u64 rows;
        s64 row;
        rc_t rc = audit_verify(&rows, &row);
        if (rc != RC_CORRUPT || rows != v[i].rows)
            test_fail(__FILE__, __LINE__, "%s: %s after %llu rows", v[i].text, rc_name(rc),
                      (unsigned long long)rows);
        identity_end();
    }
}

TEST(a_rolled_back_change_leaves_no_row) {
    struct audit_event event = {.action = "test.act", .result = "ok"};
    struct db_txn *t;
    identity_begin();
    REQUIRE(db_write_begin(&t) == RC_OK);
    EXPECT_OK(audit_add(t, &identity_request, &event));
    EXPECT_OK(audit_add(t, &identity_request, &event));
    db_write_rollback(t);
    add("test.act", S(""), S(""));
    check_rows(RC_OK, 1, 0);
    identity_end();
}

TEST(text_from_outside_is_cut_and_printable) {
    char to[AUDIT_TEXT_MAX], wide[600];
    memset(wide, 'x', sizeof wide);
    EXPECT_EQ(printable(str_of(wide, sizeof wide), to, sizeof to).len, sizeof to);
    EXPECT_STR(printable(S("a\r\nb\x1b[31m\x7f"), to, sizeof to), S("a??b?[31m?"));
    EXPECT_STR(printable(S("\xff\xfe"), to, sizeof to), S("(not UTF-8)"));
    EXPECT_STR(printable(S("\xC3\xA9\xC3\xA9"), to, 3), S("\xC3\xA9"));
    identity_begin();
    identity_request.actor =
        (struct actor){.user_id = S("u"), .email = S("a@b.c"), .role = S("admin")};
    add("test.act", str_of(wide, sizeof wide), str_of(wide, sizeof wide));
    memset(wide, ' ', sizeof wide);
    check_rows(RC_OK, 1, 0);
    identity_end();
}
