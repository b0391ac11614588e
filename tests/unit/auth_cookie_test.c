/* SPDX-License-Identifier: Apache-2.0 */
/* auth_cookie_test.c — sessions of browsers: a cookie scripts cannot read, new at each sign-in, of
 * no use to other sites; and the list of where one is signed in. */
#include "app/auth/cookie.c"
#include "tests/unit/whole.h"

#define LOGIN "/api/v1/auth/login"
#define ME "/api/v1/auth/me"
#define SIGN_IN(email, more)                                                                       \
    "{\"email\":\"" email "\",\"password\":\"" ROOT_PASSWORD "\",\"cookie\":true" more "}"

static char jar[256];

/* The cookie of the last answer, as a browser would send it back. */
static void keep_cookie(void) {
    const char *at = strstr(fake.headers, "Set-Cookie: ");
    REQUIRE(at != NULL);
    at += strlen("Set-Cookie: ");
    snprintf(jar, sizeof jar, "%.*s", (int)strcspn(at, ";"), at);
}
static int browse(enum http_method method, const char *path, const char *origin, const char *body) {
    whole.fields[0][0] = "Cookie", whole.fields[0][1] = jar;
    whole.fields[1][0] = "Host", whole.fields[1][1] = "box:8443";
    if (origin) whole.fields[2][0] = "Origin", whole.fields[2][1] = origin;
    return ask(method, path, GUEST, body);
}
static void sign_in(void) {
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", "")), 200);
    keep_cookie();
}

TEST(a_cookie_signs_in_and_scripts_see_no_token) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", "")), 200);
    EXPECT(header("Set-Cookie: __Host-openpolicy=ops_"));
    EXPECT(header("; Path=/; Secure; HttpOnly; SameSite=Lax"));
    EXPECT(!header("Max-Age") && !body_has("token"));
    keep_cookie();
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 200);
    EXPECT_STR(whole_text("email"), S("ada@example.org"));
    EXPECT_EQ(browse(HTTP_GET, "/api/v1/auth/users", NULL, NULL), 403);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", ",\"remember\":true")), 200);
    EXPECT(header("Max-Age=2592000"));
    EXPECT_EQ(storage_number("SELECT count(*) FROM session WHERE instr(cookie,'ops_')"), 0);
}

TEST(other_sites_change_nothing) {
    static const char *const foreign[] = {NULL,
                                          "null",
                                          "",
                                          "https://evil.example",
                                          "http://box:8443.evil.example",
                                          "https://box",
                                          "https://box:8443/",
                                          "ftp://box:8443",
                                          "https://evil.example/https://box:8443"};
    whole_begin();
    sign_in();
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        EXPECT_EQ(browse(HTTP_PUT, ME, foreign[i], "{\"name\":\"Mallory\"}"), 403);
        EXPECT(code("cross_site"));
    }
    EXPECT_EQ(browse(HTTP_PUT, ME, "https://box:8443", "{\"name\":\"Ada L\"}"), 200);
    EXPECT_EQ(browse(HTTP_PUT, ME, "http://BOX:8443", "{\"name\":\"Ada L\"}"), 200);
    EXPECT_EQ(browse(HTTP_GET, ME, "https://evil.example", NULL), 200); /* a read; CORS hides it */
    whole.fields[0][0] = "Sec-Fetch-Site", whole.fields[0][1] = "cross-site";
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", "")), 403);
    whole.fields[0][0] = "Origin", whole.fields[0][1] = "https://evil.example";
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", "")), 403);
}

TEST(a_bad_cookie_makes_a_guest) {
    static const char *const bad[] = {
        "__Host-openpolicy=ops_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "__Host-openpolicy=",
        "__Host-openpolicy=opk_x",
        "openpolicy=ops_x",
        ";;",
        "=",
        "__Host-openpolicy=ops_a; __Host-openpolicy=ops_b"};
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(jar, sizeof jar, "%s", bad[i]);
        EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
        EXPECT(code("sign_in_required"));
        EXPECT_EQ(browse(HTTP_GET, "/api/v1/policies", NULL, NULL), 200);
    }
    sign_in();
    char twice[600];
    snprintf(twice, sizeof twice, "a=b; %s; %s", jar, jar);
    whole.fields[0][0] = "Cookie", whole.fields[0][1] = twice;
    EXPECT_EQ(ask(HTTP_GET, ME, GUEST, NULL), 401);
    snprintf(twice, sizeof twice, "a=b; %s;c", jar);
    whole.fields[0][0] = "Cookie", whole.fields[0][1] = twice;
    EXPECT_EQ(ask(HTTP_GET, ME, GUEST, NULL), 200);
    /* Its value is no token. */
    snprintf(twice, sizeof twice, "Bearer %s", strchr(jar, '=') + 1);
    whole.fields[0][0] = "Authorization", whole.fields[0][1] = twice;
    EXPECT_EQ(ask(HTTP_GET, ME, GUEST, NULL), 401);
}

TEST(signing_in_again_ends_what_was_there) {
    char old[sizeof jar];
    whole_begin();
    sign_in();
    memcpy(old, jar, sizeof jar);
    EXPECT_EQ(browse(HTTP_POST, LOGIN, "https://box:8443", SIGN_IN("bob@example.org", "")), 200);
    keep_cookie();
    EXPECT(strcmp(old, jar) != 0);
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 200);
    EXPECT_STR(whole_text("email"), S("bob@example.org"));
    memcpy(jar, old, sizeof jar);
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
}

TEST(signing_out_ends_it_and_clears_the_cookie) {
    whole_begin();
    sign_in();
    EXPECT_EQ(browse(HTTP_POST, "/api/v1/auth/logout", NULL, NULL), 403);
    EXPECT_EQ(browse(HTTP_POST, "/api/v1/auth/logout", "https://box:8443", NULL), 204);
    EXPECT(header("Set-Cookie: __Host-openpolicy=; Path=/") && header("Max-Age=0"));
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
}

TEST(an_idle_one_ends_and_a_used_one_does_not) {
    whole_begin();
    sign_in();
    for (int i = 0; i < 3; i++) {
        sim_wall_step((s64)(20 * 60 * NS_PER_S));
        EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 200);
        whole_run_ms(11000);
    }
    sim_wall_step((s64)(31 * 60 * NS_PER_S));
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST, SIGN_IN("ada@example.org", ",\"remember\":true")), 200);
    keep_cookie();
    sim_wall_step((s64)(29ull * 86400 * NS_PER_S));
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 200);
    sim_wall_step((s64)(2ull * 86400 * NS_PER_S));
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
    whole_login_again();
}

TEST(one_sees_and_ends_ones_own_sessions) {
    char path[200], id[64], ada[64];
    whole_begin();
    sign_in();
    EXPECT_EQ(browse(HTTP_GET, "/api/v1/auth/sessions", NULL, NULL), 200);
    EXPECT(body_has("\"kind\":\"cookie\"") && body_has("\"kind\":\"token\""));
    EXPECT(body_has("\"current\":true") && !body_has("ops_"));
    const cJSON *first = cJSON_GetArrayItem(whole_member("items"), 0);
    snprintf(id, sizeof id, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(first, "id")));
    snprintf(path, sizeof path, "/api/v1/auth/sessions/%s", id);
    EXPECT_EQ(ask(HTTP_DELETE, path, BOB, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, "/api/v1/auth/sessions/x", BOB, NULL), 404);
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 200);
    EXPECT_OK(str_to_c(whole_text("id"), ada, sizeof ada));
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 204);
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 404);
    sign_in();
    snprintf(path, sizeof path, "/api/v1/auth/users/%s/sessions", ada);
    EXPECT_EQ(ask(HTTP_GET, path, BOB, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 200);
    EXPECT(whole_int("total") >= 2);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(browse(HTTP_GET, ME, NULL, NULL), 401);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401);
    EXPECT_EQ(ask(HTTP_DELETE, "/api/v1/auth/users/x/sessions", ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, "/api/v1/auth/users/01a1fe00-0000-7000-8000-00000000dead/sessions",
                  ROOT, NULL),
              404);
    whole_login_again();
}
