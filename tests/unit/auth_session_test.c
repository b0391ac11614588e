/* SPDX-License-Identifier: Apache-2.0 */
/* auth_session_test.c — refresh families, what ends them, and tokens judged against the database.
 */
#include "app/auth/session.c"
#include "app/auth/keyring.c"
#include "app/auth/token.c"
#include "tests/identity.h"

static struct user alice;

static void begin(void) {
    struct diag why = {0};
    struct db_txn *t;
    identity_begin();
    token_cache_stop();
    EXPECT_OK(token_cache_start());
    EXPECT_OK(token_start(&why));
    memset(grace, 0, sizeof grace);
    alice = (struct user){.email = S("alice@example.org"),
                          .name = S("Alice"),
                          .role = S("user"),
                          .state = S("active"),
                          .phc = S("x")};
    REQUIRE(db_write_begin(&t) == RC_OK);
    EXPECT_OK(user_insert(t, &identity_arena, &alice));
    EXPECT_OK(db_write_commit(t));
}

static struct session_start login(void) {
    struct session_start s = {0};
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(session_begin(t, &identity_request, alice.id, NULL, &s));
    EXPECT_OK(db_write_commit(t));
    return s;
}

static struct session_refresh refresh(str token) {
    struct session_refresh r = {0};
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(session_rotate(t, &identity_arena, token, &r));
    EXPECT_OK(db_write_commit(t));
    session_rotated(&r, token);
    return r;
}

static void sql(const char *text) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, text));
    EXPECT_OK(db_write_commit(t));
}

static void later(u64 seconds) {
    sim_wall_step((s64)(seconds * NS_PER_S));
}

static rc_t judge(str token) {
    struct actor who;
    const char *why;
    return token_verify(&identity_arena, token, &who, &why);
}

TEST(a_refresh_token_turns_over_and_repeats_within_the_grace) {
    begin();
    struct session_start s = login();
    struct session_refresh one = refresh(s.refresh_token);
    EXPECT_EQ(one.result, REFRESH_ROTATED);
    EXPECT_STR(one.session_id, s.session_id);
    EXPECT_STR(one.user_id, alice.id);
    EXPECT(!str_eq(one.refresh_token, s.refresh_token));
    struct session_refresh again = refresh(s.refresh_token);
    EXPECT_EQ(again.result, REFRESH_REPEATED);
    EXPECT_STR(again.refresh_token, one.refresh_token);
    EXPECT_EQ(refresh(one.refresh_token).result, REFRESH_ROTATED);
    identity_end();
}

TEST(after_the_grace_a_used_token_is_theft) {
    begin();
    struct session_start s = login();
    struct session_refresh one = refresh(s.refresh_token);
    later(REFRESH_GRACE_S + 1);
    EXPECT_EQ(refresh(s.refresh_token).result, REFRESH_REUSED);
    EXPECT_EQ(refresh(one.refresh_token).result, REFRESH_REFUSED); /* the family is gone */
    identity_end();
}

TEST(a_token_two_turns_old_is_theft_at_once) {
    begin();
    struct session_start s = login(), other = login();
    struct session_refresh one = refresh(s.refresh_token), two = refresh(one.refresh_token);
    EXPECT_EQ(refresh(s.refresh_token).result, REFRESH_REUSED);
    EXPECT_EQ(refresh(two.refresh_token).result, REFRESH_REFUSED);
    EXPECT_EQ(refresh(other.refresh_token).result, REFRESH_ROTATED); /* another family lives on */
    identity_end();
}

TEST(a_grace_forgotten_by_a_restart_refuses_but_ends_nothing) {
    begin();
    struct session_start s = login();
    struct session_refresh one = refresh(s.refresh_token);
    memset(grace, 0, sizeof grace);
    EXPECT_EQ(refresh(s.refresh_token).result, REFRESH_REFUSED);
    EXPECT_EQ(refresh(one.refresh_token).result, REFRESH_ROTATED);
    identity_end();
}

TEST(guesses_end_nothing) {
    begin();
    struct session_start s = login();
    struct refresh_parts parts;
    REQUIRE(parts_parse(s.refresh_token, &parts) == RC_OK);
    parts.family[3] ^= 1; /* whoever knows only the session's id */
    EXPECT_EQ(refresh(parts_text(&identity_arena, &parts)).result, REFRESH_REFUSED);
    parts.family[3] ^= 1;
    EXPECT_EQ(refresh(S("opr_")).result, REFRESH_REFUSED);
    EXPECT_EQ(refresh(S("")).result, REFRESH_REFUSED);
    EXPECT_EQ(refresh(parts_text(&identity_arena, &parts)).result, REFRESH_ROTATED);
    identity_end();
}

TEST(sessions_end_by_idling_and_by_age) {
    begin();
    struct session_start s = login();
    later(SESSION_IDLE_S + 1);
    EXPECT_EQ(refresh(s.refresh_token).result, REFRESH_REFUSED);
    s = login();
    str token = s.refresh_token;
    for (int i = 0; i < 4; i++) { /* used every 20 days, still over after 90 */
        struct session_refresh r = refresh(token);
        EXPECT_EQ(r.result, REFRESH_ROTATED);
        token = r.refresh_token;
        later(20 * 86400);
    }
    EXPECT_EQ(refresh(token).result, REFRESH_ROTATED);
    later(11 * 86400);
    EXPECT_EQ(refresh(token).result, REFRESH_REFUSED);
    identity_end();
}

TEST(only_so_many_sessions_per_user) {
    begin();
    struct session_start first = login(), last = {0};
    later(1);
    for (int i = 0; i < SESSIONS_PER_USER_MAX; i++) {
        last = login();
        later(1);
    }
    EXPECT(last.ended_others);
    EXPECT_EQ(refresh(first.refresh_token).result, REFRESH_REFUSED);
    EXPECT_EQ(refresh(last.refresh_token).result, REFRESH_ROTATED);
    identity_end();
}

TEST(the_database_holds_no_token) {
    begin();
    struct session_start s = login();
    struct refresh_parts parts;
    struct db_txn *t;
    struct db_rows *r;
    REQUIRE(parts_parse(s.refresh_token, &parts) == RC_OK);
    REQUIRE(db_read_begin(&t) == RC_OK);
    REQUIRE(db_query(t, &r, "SELECT family,turn FROM session") == RC_OK);
    REQUIRE(db_next(r) == RC_OK);
    EXPECT_EQ(db_column_text(r, 0).len, 32);
    EXPECT(str_find(db_column_text(r, 0), str_of((char *)parts.family, FAMILY_BYTES)) == 32);
    EXPECT(str_find(db_column_text(r, 1), str_of((char *)parts.turn, TURN_BYTES)) == 32);
    db_done(r);
    db_read_end(t);
    identity_end();
}

TEST(a_token_is_good_until_anything_it_rests_on_changes) {
    static const char *const ends[] = {
        "DELETE FROM session", "UPDATE user SET state='disabled'", "UPDATE user SET role='admin'",
        "DELETE FROM user",    "UPDATE session SET expires_ns=1",
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        str token;
        begin();
        struct session_start s = login();
        REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &token) == RC_OK);
        EXPECT_OK(judge(token));
        EXPECT_OK(judge(token)); /* from the cache */
        sql(ends[i]);
        token_cache_drop_user(alice.id); /* what each such change does */
        EXPECT_RC(judge(token), RC_DENIED);
        identity_end();
    }
}

TEST(a_token_expires_also_in_the_cache) {
    str token;
    begin();
    struct session_start s = login();
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &token) == RC_OK);
    EXPECT_OK(judge(token));
    later(ACCESS_SECONDS - 1);
    EXPECT_OK(judge(token));
    later(1);
    EXPECT_RC(judge(token), RC_DENIED);
    identity_end();
}

TEST(key_and_tokens_outlive_a_restart) {
    struct diag why = {0};
    str token;
    begin();
    struct session_start s = login();
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &token) == RC_OK);
    struct es256_key before = ring[0].key;
    keyring_stop();
    identity_restart();
    token_cache_stop();
    EXPECT_OK(token_cache_start());
    memset(&token_of_loop, 0, sizeof token_of_loop);
    EXPECT_OK(token_start(&why));
    EXPECT(memcmp(&before, &ring[0].key, sizeof before) == 0);
    EXPECT_OK(judge(token));
    identity_end();
}

TEST(a_new_key_is_published_a_day_before_it_signs_and_the_old_outlives_its_tokens) {
    str old, new;
    begin();
    struct session_start s = login();
    EXPECT_EQ(ring_count, 1);
    later(KEY_SIGNS_S - KEY_AHEAD_S - 60);
    look_now(NULL);
    EXPECT_EQ(ring_count, 1); /* not yet */
    later(120);
    look_now(NULL);
    EXPECT_EQ(ring_count, 2); /* published */
    look_now(NULL);
    EXPECT_EQ(ring_count, 2); /* once */
    EXPECT(keyring_signer() == &ring[1].key);
    s = login(); /* a month has passed */
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &old) == RC_OK);
    later(KEY_AHEAD_S - 60);
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &old) == RC_OK);
    EXPECT_OK(judge(old));
    later(120);
    EXPECT(keyring_signer() == &ring[0].key); /* signs now, without anybody looking */
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &new) == RC_OK);
    token_cache_drop_all();
    EXPECT_OK(judge(old));
    EXPECT_OK(judge(new));
    look_now(NULL);
    EXPECT_EQ(ring_count, 2); /* tokens of the old key live */
    later(KEY_AFTER_S);
    look_now(NULL);
    EXPECT_EQ(ring_count, 1);
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_key"), 1);
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='key.rotate'"), 2);
    identity_end();
}

TEST(a_leaked_key_is_changed_at_once) {
    struct change c = {.make = true, .now = true, .drop_others = true};
    str old, new;
    begin();
    struct session_start s = login();
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &old) == RC_OK);
    EXPECT_OK(judge(old));
    EXPECT_OK(ring_change(&identity_request, &c));
    token_cache_drop_all();
    EXPECT_EQ(ring_count, 1);
    EXPECT_RC(judge(old), RC_DENIED);
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &new) == RC_OK);
    EXPECT_OK(judge(new)); /* the session lives on */
    identity_end();
}

TEST(another_appliance_s_token_is_refused) {
    struct es256_key other;
    str token;
    begin();
    struct session_start s = login();
    REQUIRE(es256_make(&other) == RC_OK);
    memcpy(ring[0].key.private_key, other.private_key, 32); /* signs with a key not ours */
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &token) == RC_OK);
    EXPECT_RC(judge(token), RC_DENIED);
    identity_end();
}

TEST(a_failing_disk_is_not_a_verdict) {
    str token;
    begin();
    struct session_start s = login();
    REQUIRE(token_issue(&identity_arena, &alice, s.session_id, &token) == RC_OK);
    identity_restart(); /* nothing of it in memory */
    sim_disk_fail_range(0, DISK_READ, 0, 1 << 20, RC_IO);
    rc_t rc = judge(token);
    EXPECT(rc != RC_DENIED); /* 503, never 401; and never yes without asking */
    sim_disk_fail_range(0, DISK_READ, 0, 0, RC_IO);
    identity_end();
}
