/* SPDX-License-Identifier: Apache-2.0 */
/* auth_key_test.c — API keys: shown once, bounded by scopes and by their owner, dead at once. */
#include "app/auth/key.c"
#include "tests/unit/whole.h"

#define KEYS "/api/v1/auth/api-keys"
#define ME "/api/v1/auth/me"

static char key_text[128], key_path[128];

static int create(enum who who, const char *body) {
    int status = ask(HTTP_POST, KEYS, who, body);
    if (status != 201) return status;
    EXPECT_OK(str_to_c(whole_text("key"), key_text, sizeof key_text));
    snprintf(key_path, sizeof key_path, KEYS "/%.*s", STR(whole_text("id")));
    return status;
}
static int with_key(enum http_method method, const char *path, const char *key, const char *body) {
    whole.fields[0][0] = "X-Api-Key", whole.fields[0][1] = key;
    return ask(method, path, GUEST, body);
}
static int with_bearer(const char *path, const char *key) {
    static char value[256];
    snprintf(value, sizeof value, "Bearer %s", key);
    whole.fields[0][0] = "Authorization", whole.fields[0][1] = value;
    return ask(HTTP_GET, path, GUEST, NULL);
}
static s64 count(const char *sql) {
    return storage_number(sql);
}
static void sql(const char *text) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, text));
    EXPECT_OK(db_write_commit(t));
}

TEST(a_key_is_shown_once_and_opens_what_its_scopes_cover) {
    whole_begin();
    EXPECT_EQ(create(ADA, "{\"name\":\"ci\",\"scopes\":[\"auth:self:read\",\"policies:*\"]}"), 201);
    EXPECT(str_starts(str_from_c(key_text), S("opk_")));
    EXPECT_EQ(strlen(key_text), KEY_LEN);
    EXPECT(header("Location: " KEYS "/"));
    EXPECT_EQ(ask(HTTP_GET, key_path, ADA, NULL), 200);
    EXPECT(!body_has(key_text) && body_has("\"prefix\":\"opk_"));
    EXPECT_EQ(ask(HTTP_GET, KEYS, ADA, NULL), 200);
    EXPECT(!body_has(key_text));
    EXPECT_EQ(whole_int("total"), 1);
    EXPECT_EQ(with_key(HTTP_GET, ME, key_text, NULL), 200);
    EXPECT_STR(whole_text("email"), S("ada@example.org"));
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    EXPECT_EQ(with_bearer("/api/v1/policies", key_text), 200);
    EXPECT_EQ(with_key(HTTP_PUT, ME, key_text, "{\"name\":\"Eve\"}"), 403); /* reads only */
    EXPECT(body_has("scopes"));
    EXPECT_EQ(with_bearer("/api/v1/rego/policies", key_text) == 200, false);
    EXPECT_EQ(with_bearer("/api/v1/auth/users", key_text), 403);
    char text[256];
    snprintf(text, sizeof text, "SELECT count(*) FROM api_key WHERE instr(hash,'%s')", key_text);
    EXPECT_EQ(count(text), 0);
    EXPECT_EQ(count("SELECT count(*) FROM audit WHERE action='key.create' AND result='ok'"), 1);
    snprintf(text, sizeof text, "SELECT count(*) FROM audit WHERE instr(detail,'%s')", key_text);
    EXPECT_EQ(count(text), 0);
}

TEST(a_key_gives_nothing_that_its_owner_has_not) {
    whole_begin();
    EXPECT_EQ(create(ADA, "{\"name\":\"all\",\"scopes\":[\"*\"]}"), 201);
    EXPECT_EQ(with_bearer("/api/v1/auth/users", key_text), 403);
    EXPECT_EQ(create(ROOT, "{\"name\":\"all\",\"scopes\":[\"*\"]}"), 201);
    EXPECT_EQ(with_bearer("/api/v1/auth/users", key_text), 200);
    /* What stays with the person: keys, passwords, signing out. */
    EXPECT_EQ(with_key(HTTP_POST, KEYS, key_text, "{\"name\":\"x\",\"scopes\":[\"*\"]}"), 403);
    EXPECT(code("sign_in_wanted"));
    EXPECT_EQ(with_key(HTTP_POST, "/api/v1/auth/logout-all", key_text, NULL), 403);
    EXPECT_EQ(with_key(HTTP_POST, "/api/v1/auth/change-password", key_text,
                       "{\"current_password\":\"" ROOT_PASSWORD
                       "\",\"new_password\":\"quite another phrase\"}"),
              403);
    EXPECT_EQ(with_key(HTTP_DELETE, key_path, key_text, NULL), 403);
}

TEST(a_removed_or_expired_key_is_dead_at_once) {
    whole_begin();
    EXPECT_EQ(create(BOB, "{\"name\":\"k\",\"scopes\":[\"*\"],\"expires_in\":0}"), 201);
    EXPECT(body_has("\"expires_at\":null"));
    EXPECT_EQ(with_bearer(ME, key_text), 200);             /* cached now */
    EXPECT_EQ(ask(HTTP_DELETE, key_path, ADA, NULL), 404); /* not hers */
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    EXPECT_EQ(ask(HTTP_DELETE, key_path, BOB, NULL), 204);
    EXPECT_EQ(with_bearer(ME, key_text), 401);
    EXPECT_EQ(ask(HTTP_DELETE, key_path, BOB, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, key_path, BOB, NULL), 404);
    EXPECT_EQ(create(BOB, "{\"name\":\"k\",\"scopes\":[\"*\"],\"expires_in\":60}"), 201);
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    sql("UPDATE api_key SET expires_ns=1 WHERE name='k'");
    sim_wall_step((s64)((PROOF_KEPT_S + 1) * NS_PER_S));
    EXPECT_EQ(with_bearer(ME, key_text), 401);
    whole_login_again();
}

TEST(an_administrator_sees_and_removes_keys_and_a_disabled_owner_has_none) {
    char path[256], id[64], user[64];
    whole_begin();
    EXPECT_EQ(create(BOB, "{\"name\":\"mine\",\"scopes\":[\"*\"]}"), 201);
    EXPECT_OK(str_to_c(whole_text("id"), id, sizeof id));
    EXPECT_EQ(ask(HTTP_GET, ME, BOB, NULL), 200);
    EXPECT_OK(str_to_c(whole_text("id"), user, sizeof user));
    snprintf(path, sizeof path, "/api/v1/auth/users/%s/api-keys", user);
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 200);
    EXPECT(body_has("mine") && !body_has(key_text));
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    sql("UPDATE user SET state='disabled' WHERE email='bob@example.org'");
    token_cache_drop_user(str_from_c(user));
    EXPECT_EQ(with_bearer(ME, key_text), 401);
    sql("UPDATE user SET state='active' WHERE email='bob@example.org'");
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    snprintf(path, sizeof path, "/api/v1/auth/users/%s/api-keys/%s", user, id);
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(with_bearer(ME, key_text), 401);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/users/x/api-keys", ROOT, NULL), 404);
}

TEST(when_it_was_used_is_written_down_later) {
    whole_begin();
    whole_login_again();
    EXPECT_EQ(create(ADA, "{\"name\":\"used\",\"scopes\":[\"*\"]}"), 201);
    EXPECT_EQ(with_bearer(ME, key_text), 200);
    EXPECT_EQ(count("SELECT used_ns FROM api_key WHERE name='used'"), 0);
    whole_run_ms(11000);
    EXPECT(count("SELECT used_ns FROM api_key WHERE name='used'") > 0);
    EXPECT_EQ(count("SELECT used_address='192.0.2.7' FROM api_key WHERE name='used'"), 1);
}

TEST(what_is_wrong_makes_no_key) {
    static const struct {
        const char *body, *code;
    } v[] = {
        {"{}", "member_missing"},
        {"{\"name\":\"\",\"scopes\":[\"*\"]}", "member_length"},
        {"{\"name\":\"k\"}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":\"*\"}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":[]}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":[7]}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":[\"a b:c\"]}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":[\"policies\"]}", "scopes_invalid"},
        {"{\"name\":\"k\",\"scopes\":[\"*\"],\"expires_in\":-1}", "member_range"},
        {"{\"name\":\"k\",\"scopes\":[\"*\"],\"expires_in\":\"1\"}", "member_range"},
        {"{\"name\":\"k\",\"scopes\":[\"*\"],\"expires_in\":1e300}", "member_range"},
        {"{\"name\":\"k\",\"scopes\":[\"*\"],\"key\":\"opk_mine\"}", "member_unknown"},
    };
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        EXPECT_EQ(ask(HTTP_POST, KEYS, ADA, v[i].body), 422);
        if (!code(v[i].code)) test_fail(__FILE__, __LINE__, "%s: %s", v[i].body, fake.body);
    }
    static const char *const bad[] = {"opk_", "opk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "x", "opr_", " "};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_EQ(with_key(HTTP_GET, ME, bad[i], NULL), 401);
    whole.fields[1][0] = "Authorization", whole.fields[1][1] = "Bearer x";
    EXPECT_EQ(with_key(HTTP_GET, ME, key_text, NULL), 401); /* two proofs */
    whole.fields[1][0] = "x-api-key", whole.fields[1][1] = "x";
    EXPECT_EQ(with_key(HTTP_GET, ME, key_text, NULL), 401);
}

TEST(keys_are_counted) {
    whole_begin();
    sql("DELETE FROM api_key");
    sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50)"
        " INSERT INTO api_key(id,user_id,name,hint,hash,scopes,created_ns,expires_ns)"
        " SELECT 'k'||i,(SELECT id FROM user WHERE email='ada@example.org'),'n','h',"
        "CAST('h'||i AS BLOB),'*',1,0 FROM n");
    EXPECT_EQ(ask(HTTP_POST, KEYS, ADA, "{\"name\":\"k\",\"scopes\":[\"*\"]}"), 409);
    EXPECT(code("too_many_keys"));
    sql("DELETE FROM api_key");
}

TEST(a_stale_sign_in_is_asked_again) {
    whole_begin();
    whole_login_again();
    sql("UPDATE session SET proved_ns=proved_ns-601000000000");
    EXPECT_EQ(ask(HTTP_POST, KEYS, ADA, "{\"name\":\"k\",\"scopes\":[\"*\"]}"), 403);
    EXPECT(code("reauthentication_required"));
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/reauthenticate", ADA, "{\"password\":\"wrong\"}"), 403);
    EXPECT(code("wrong_password"));
    EXPECT_EQ(ask(HTTP_POST, KEYS, ADA, "{\"name\":\"k\",\"scopes\":[\"*\"]}"), 403);
    EXPECT_EQ(
        ask(HTTP_POST, "/api/v1/auth/reauthenticate", ADA, "{\"password\":\"" ROOT_PASSWORD "\"}"),
        204);
    EXPECT_EQ(ask(HTTP_POST, KEYS, ADA, "{\"name\":\"k\",\"scopes\":[\"*\"]}"), 201);
    EXPECT_EQ(count("SELECT count(*) FROM audit WHERE action='user.reauthenticate'"), 2);
    for (int i = 0; i < 8 && fake.status != 429; i++)
        ask(HTTP_POST, "/api/v1/auth/reauthenticate", ADA, "{\"password\":\"wrong\"}");
    EXPECT_EQ(fake.status, 429); /* no oracle */
}
