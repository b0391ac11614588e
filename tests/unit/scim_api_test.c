/* SPDX-License-Identifier: Apache-2.0 */
/* scim_api_test.c — a directory over the whole pipeline: accounts and groups made, found, changed
 * and removed; what each comparison of a filter finds; errors in the RFC's form. */
#include "app/scim/where.c"
#include "tests/unit/whole.h"

#define USERS "/scim/v2/Users"
#define GROUPS "/scim/v2/Groups"

static char user[160], group[160], user_id[40], group_id[40];

static int made(const char *place, const char *body, char path[160], char id[40]) {
    int status = ask(HTTP_POST, place, ROOT, body);
    if (status != 201) return status;
    EXPECT_OK(str_to_c(whole_text("id"), id, 40));
    snprintf(path, 160, "%s/%s", place, id);
    return status;
}
static int patch(const char *path, const char *operations) {
    char body[2000];
    snprintf(body, sizeof body, "{\"Operations\":[%s]}", operations);
    return ask(HTTP_PATCH, path, ROOT, body);
}
/* How many the filter finds; -1: it was refused. The text is percent-encoded here. */
static s64 found(const char *place, const char *filter) {
    char target[1000];
    size_t n = (size_t)snprintf(target, sizeof target, "%s?count=0&filter=", place);
    for (; *filter; filter++)
        n += (size_t)snprintf(target + n, sizeof target - n,
                              strchr(" \"[]%+#&", *filter) ? "%%%02X" : "%c", (u8)*filter);
    int status = ask(HTTP_GET, target, ROOT, NULL);
    if (status != 200) {
        EXPECT(status == 400 && body_has("\"scimType\":\"invalidFilter\""));
        return -1;
    }
    return whole_int("totalResults");
}

TEST(an_account_is_made_changed_and_removed) {
    whole_begin();
    EXPECT_EQ(made(USERS,
                   "{\"userName\":\"Carol@Example.org\",\"externalId\":\"7\",\"name\":{"
                   "\"givenName\":\"Carol\",\"familyName\":\"Day\"},\"emails\":[{\"value\":1}]}",
                   user, user_id),
              201);
    EXPECT_STR(whole_text("userName"), S("carol@example.org"));
    EXPECT_STR(whole_text("displayName"), S("Carol Day"));
    EXPECT(header("Location: " USERS) && header("ETag: \"1\""));
    EXPECT_EQ(ask(HTTP_POST, USERS, ROOT, "{\"userName\":\"carol@example.org\"}"), 409);
    EXPECT(body_has("\"scimType\":\"uniqueness\"") && body_has("\"status\":\"409\""));
    EXPECT_EQ(patch(user, "{\"op\":\"Replace\",\"path\":\"active\",\"value\":\"False\"},"
                          "{\"op\":\"add\",\"value\":{\"name.formatted\":\"C. Day\"}},"
                          "{\"op\":\"remove\",\"path\":\"name.familyName\"}"),
              200);
    EXPECT_STR(whole_text("displayName"), S("C. Day"));
    EXPECT(cJSON_IsFalse(whole_member("active")) && !body_has("familyName"));
    EXPECT_EQ(ask(HTTP_PUT, user, ROOT, "{\"userName\":\"carol@example.org\",\"active\":true}"),
              200);
    EXPECT(cJSON_IsTrue(whole_member("active")) && !body_has("externalId"));
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = "\"1\"";
    EXPECT_EQ(ask(HTTP_PUT, user, ROOT, "{\"userName\":\"carol@example.org\"}"), 412);
    EXPECT_EQ(ask(HTTP_GET, user, ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, user, ADA, NULL), 403);
    EXPECT(body_has("api:messages:2.0:Error"));
    EXPECT_EQ(ask(HTTP_GET, user, GUEST, NULL), 401);
    EXPECT_EQ(ask(HTTP_DELETE, user, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_DELETE, user, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_PATCH, user, ROOT, "{\"Operations\":[{}]}"), 404);
    EXPECT_EQ(ask(HTTP_GET, USERS "/x", ROOT, NULL), 404);
}

TEST(each_comparison_finds_its_own) {
    static const struct {
        const char *filter;
        s64 count;
    } cases[] = {
        {"userName eq \"ADA@example.org\"", 1},
        {"userName ne \"ada@example.org\" and userName eq \"ada@example.org\"", 0},
        {"userName sw \"ada@\" or userName ew \"bob@example.org\"", 2},
        {"userName co \"da@ex\" and userName gt \"ada\" and userName ge \"ada\"", 1},
        {"userName co \"da@ex\" and (userName lt \"a\" or userName le \"a\")", 0},
        {"emails[value eq \"ada@example.org\" and primary eq true and type eq \"WORK\"]", 1},
        {"userName eq \"ada@example.org\" and not (active eq false) and active ne false", 1},
        {"userName eq \"ada@example.org\" and active pr and displayName pr", 1},
        {"userName eq \"ada@example.org\" and externalId pr", 0},
        {"userName eq \"ada@example.org\" and meta.lastModified lt \"2000-01-01T00:00:00Z\"", 0},
        {"userName ew \"a much longer text than any address that there is\"", 0},
        {"groups eq \"0190a0b0-c0d0-7000-8000-000000000001\"", 0},
        {"userName eq \"ada@example.org\" and groups.value ne \"x\"", 1},
        {"userName eq 1", -1},
        {"active gt true", -1},
        {"active eq 3", -1},
        {"meta.created eq \"x\"", -1},
        {"meta.created co \"2026-01-01T00:00:00Z\"", -1},
        {"groups pr", -1},
        {"groups co \"x\"", -1},
        {"emails[emails[value pr]]", -1},
        {"password pr", -1},
        {"userName", -1},
    };
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        s64 n = found(USERS, cases[i].filter);
        if (n != cases[i].count)
            test_fail(__FILE__, __LINE__, "%s: %lld", cases[i].filter, (long long)n);
    }
    EXPECT_EQ(ask(HTTP_GET, USERS "?startIndex=0&count=-3", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("startIndex"), 1);
    EXPECT_EQ(whole_int("itemsPerPage"), 0);
    EXPECT_EQ(ask(HTTP_GET, USERS "?startIndex=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, USERS "?count=1&attributes=userName,meta.version", ROOT, NULL), 200);
    EXPECT(body_has("\"meta\":") && !body_has("\"displayName\":"));
}

TEST(a_group_and_its_members) {
    char body[400];
    whole_begin();
    EXPECT_EQ(made(USERS, "{\"userName\":\"dan@example.org\"}", user, user_id), 201);
    snprintf(body, sizeof body, "{\"displayName\":\"R & D\",\"members\":[{\"value\":\"%s\"}]}",
             user_id);
    EXPECT_EQ(made(GROUPS, body, group, group_id), 201);
    EXPECT_STR(whole_text("displayName"), S("R & D"));
    EXPECT(body_has(user_id));
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_group WHERE name='r-d'"), 1);
    EXPECT_EQ(ask(HTTP_POST, GROUPS, ROOT, "{\"displayName\":\"r d\"}"), 409);
    snprintf(body, sizeof body, "members[value eq \"%s\"] and displayName co \"d\"", user_id);
    EXPECT_EQ(found(GROUPS, body), 1);
    snprintf(body, sizeof body, "{\"op\":\"remove\",\"path\":\"members[value eq \\\"%s\\\" or "
                                "value eq \\\"x\\\"]\"}", user_id);
    EXPECT_EQ(patch(group, body), 200);
    EXPECT(!body_has(user_id));
    snprintf(body, sizeof body, "{\"op\":\"add\",\"path\":\"members\",\"value\":\"%s\"},"
                                "{\"op\":\"replace\",\"path\":\"externalId\",\"value\":\"g\"},"
                                "{\"op\":\"add\",\"path\":\"colour\",\"value\":1}", user_id);
    EXPECT_EQ(patch(group, body), 200);
    EXPECT(body_has(user_id) && body_has("\"externalId\":\"g\""));
    EXPECT_EQ(patch(group, "{\"op\":\"remove\",\"path\":\"members\"},"
                           "{\"op\":\"remove\",\"path\":\"externalId\"}"), 200);
    EXPECT(!body_has(user_id) && !body_has("externalId"));
    static const char *const never[] = {
        "{\"op\":\"remove\",\"path\":\"displayName\"}",
        "{\"op\":\"replace\",\"path\":\"id\",\"value\":\"x\"}",
        "{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"x\"}]}",
        "{\"op\":\"add\",\"path\":\"members\",\"value\":[{}]}",
        "{\"op\":\"add\",\"path\":\"members[value eq \\\"x\\\"]\",\"value\":[]}",
        "{\"op\":\"remove\",\"path\":\"members[display eq \\\"x\\\"]\"}",
        "{\"op\":\"add\",\"value\":3}",
    };
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (patch(group, never[i]) != 400)
            test_fail(__FILE__, __LINE__, "%s: %d", never[i], fake.status);
    EXPECT_EQ(ask(HTTP_PUT, group, ROOT, "{\"displayName\":\"x\"}"), 200);
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_group WHERE name='group-x'"), 1);
    EXPECT_EQ(ask(HTTP_PUT, group, ROOT, "{}"), 400);
    EXPECT_EQ(ask(HTTP_GET, group, ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_DELETE, group, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_DELETE, group, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_PUT, group, ROOT, "{\"displayName\":\"y\"}"), 404);
}

TEST(the_last_administrator_stays) {
    char root[160];
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/me", ROOT, NULL), 200);
    snprintf(root, sizeof root, USERS "/%.*s", STR(whole_text("id")));
    EXPECT_EQ(patch(root, "{\"op\":\"replace\",\"path\":\"active\",\"value\":false}"), 409);
    EXPECT_EQ(ask(HTTP_DELETE, root, ROOT, NULL), 409);
    EXPECT(body_has("last active administrator"));
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/me", ROOT, NULL), 200);
}

TEST(what_it_says_of_itself) {
    whole_begin();
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/ServiceProviderConfig", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/Schemas", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("totalResults"), 2);
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/Schemas/" SCIM_CORE "User", ROOT, NULL), 200);
    EXPECT_STR(whole_text("name"), S("User"));
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/ResourceTypes", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/ResourceTypes/Group", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, "/scim/v2/ResourceTypes/Robot", ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_POST, USERS, ROOT, "[]"), 400);
    EXPECT_EQ(ask(HTTP_POST, USERS, ROOT, "{"), 400);
}
