/* SPDX-License-Identifier: Apache-2.0 */
/* policies_list_test.c — many documents: whoever asks sees what they may and nothing else, in
 * lists, in search and in counts alike. */
#include "app/policies/list.c"
#include "tests/unit/whole.h"

#define POLICIES "/api/v1/policies"

static void add(enum who who, const char *body, const char *const *steps) {
    char path[128], step[64];
    EXPECT_EQ(ask(HTTP_POST, POLICIES, who, body), 201);
    snprintf(path, sizeof path, POLICIES "/%.*s/status", STR(whole_text("id")));
    for (; steps && *steps; steps++) {
        snprintf(step, sizeof step, "{\"status\":\"%s\"}", *steps);
        EXPECT_EQ(ask(HTTP_POST, path, ROOT, step), 200);
    }
}

/* Ada: a draft, one under review, one published; Bob: a published one in French. */
static void library(void) {
    static const char *const review[] = {"under_review", NULL},
                             *const publish[] = {"under_review", "approved", "published", NULL};
    static bool there;
    whole_begin();
    if (there) return;
    there = true;
    add(ADA, "{\"title\":\"Secret plans for rivers\",\"category\":\"water\",\"tags\":[\"blue\"]}",
        NULL);
    add(ADA, "{\"title\":\"Harbour safety rules\",\"category\":\"sea\",\"jurisdiction\":\"EU\"}",
        review);
    add(ADA,
        "{\"title\":\"Clean Water Act\",\"summary\":\"Rivers and lakes\",\"category\":\"water\","
        "\"body\":\"The <b>river</b> shall be clean. Rivers flow.\",\"priority\":\"critical\","
        "\"jurisdiction\":\"EU\",\"tags\":[\"Blue\",\"green\"]}",
        publish);
    add(BOB,
        "{\"title\":\"Loi sur les for\xC3\xAAts\",\"language\":\"fr\",\"body\":\"Les arbres et les "
        "eaux.\","
        "\"summary\":\"Des arbres verts\",\"category\":\"forest\",\"priority\":\"low\"}",
        publish);
}
static s64 total(enum who who, const char *query) {
    char target[256];
    snprintf(target, sizeof target, POLICIES "%s", query);
    int status = ask(HTTP_GET, target, who, NULL);
    if (status != 200) {
        test_fail(__FILE__, __LINE__, "%s: %d %s", query, status, fake.body);
        return -1;
    }
    return whole_int("total");
}
static const char *first_title(void) {
    const cJSON *item = cJSON_GetArrayItem(whole_member("items"), 0);
    return item ? cJSON_GetStringValue(cJSON_GetObjectItem(item, "title")) : "";
}

TEST(each_sees_what_they_may) {
    library();
    EXPECT_EQ(total(GUEST, ""), 2);
    EXPECT_EQ(total(BOB, ""), 3);
    EXPECT_EQ(total(ADA, ""), 4);
    EXPECT_EQ(total(ROOT, ""), 4);
    EXPECT_EQ(total(GUEST, "?status=draft"), 0);
    EXPECT_EQ(total(BOB, "?status=draft"), 0);
    EXPECT_EQ(total(ADA, "?status=draft"), 1);
    EXPECT_EQ(total(BOB, "?q=secret"), 0);
    EXPECT_EQ(total(ADA, "?q=secret"), 1);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/stats", GUEST, NULL), 200);
    EXPECT_EQ(whole_int("total"), 2);
    EXPECT(!body_has("draft") && body_has("{\"name\":\"published\",\"count\":2}"));
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/stats", ADA, NULL), 200);
    EXPECT(body_has("{\"name\":\"draft\",\"count\":1}"));
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/tags", GUEST, NULL), 200);
    EXPECT(body_has("{\"name\":\"blue\",\"count\":1}"));
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/tags", ADA, NULL), 200);
    EXPECT(body_has("{\"name\":\"blue\",\"count\":2}"));
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/categories", GUEST, NULL), 200);
    EXPECT_EQ(whole_items(), 2);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/jurisdictions", BOB, NULL), 200);
    EXPECT(body_has("{\"name\":\"EU\",\"count\":2}") && whole_items() == 1);
}

TEST(filters_join_with_and) {
    library();
    EXPECT_EQ(total(ROOT, "?category=water"), 2);
    EXPECT_EQ(total(ROOT, "?category=water&status=published"), 1);
    EXPECT_EQ(total(ROOT, "?jurisdiction=EU&language=en"), 2);
    EXPECT_EQ(total(ROOT, "?language=fr&priority=low"), 1);
    EXPECT_EQ(total(ROOT, "?tag=BLUE"), 2);
    EXPECT_EQ(total(ROOT, "?tag=green&category=sea"), 0);
    EXPECT_EQ(total(ROOT, "?author=Ada@example.org"), 3);
    EXPECT_EQ(total(ROOT, "?author=no-such-id"), 0);
    EXPECT_EQ(total(ROOT, "?impact=international"), 0);
    EXPECT_EQ(
        total(ROOT, "?created_at__gte=2026-01-01T00:00:00Z&updated_at__lt=2027-01-01T00:00:00Z"),
        4);
    EXPECT_EQ(total(ROOT, "?created_at__lt=2026-01-01T00:00:00Z"), 0);
    EXPECT_EQ(total(ROOT, "?updated_at__gte=2027-01-01T00:00:00Z"), 0);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "?created_at__gte=yesterday", ROOT, NULL), 400);
    EXPECT(code("bad_time"));
    EXPECT_EQ(ask(HTTP_GET, POLICIES "?colour=blue", ROOT, NULL), 400);
    EXPECT_EQ(total(ROOT, "?category=';DROP%20TABLE%20policy;--"), 0); /* a value, never SQL */
    EXPECT_EQ(total(ROOT, ""), 4);
}

TEST(pages_and_orders) {
    library();
    EXPECT_EQ(total(ROOT, "?sort=title"), 4);
    EXPECT_STR(str_from_c(first_title()), S("Clean Water Act"));
    EXPECT_EQ(total(ROOT, "?sort=-priority"), 4);
    EXPECT_STR(str_from_c(first_title()), S("Clean Water Act"));
    EXPECT_EQ(total(ROOT, "?sort=created_at"), 4);
    EXPECT_STR(str_from_c(first_title()), S("Secret plans for rivers"));
    EXPECT_EQ(total(ROOT, "?sort=status"), 4);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "?sort=colour", ROOT, NULL), 400);
    EXPECT(code("bad_sort"));
    EXPECT_EQ(total(ROOT, "?limit=3&sort=-title&tag="), 0);
    EXPECT_EQ(total(ROOT, "?limit=3&sort=-title"), 4);
    EXPECT_EQ(whole_items(), 3);
    EXPECT_STR(whole_text("next"), S(POLICIES "?limit=3&sort=-title&offset=3"));
    EXPECT_EQ(total(ROOT, "?limit=3&offset=3&sort=-title"), 4);
    EXPECT_EQ(whole_items(), 1);
    EXPECT(cJSON_IsNull(whole_member("next")));
    EXPECT_EQ(total(ROOT, "?offset=100"), 4);
    EXPECT_EQ(whole_items(), 0);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "?limit=101", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "?offset=-1", ROOT, NULL), 400);
}

TEST(search_finds_words_in_two_languages_and_shows_where) {
    library();
    EXPECT_EQ(total(ROOT, "/search?q=river"), 2);
    EXPECT_STR(str_from_c(first_title()), S("Secret plans for rivers")); /* the title weighs most */
    EXPECT(body_has("The &lt;b&gt;<mark>river</mark>&lt;/b&gt;"));
    EXPECT_EQ(total(ROOT, "/search?q=vert"), 1); /* in the summary alone */
    EXPECT(body_has("<mark>verts</mark>"));
    EXPECT_EQ(total(ROOT, "/search?q=%22clean%20water%22"), 1);
    EXPECT_EQ(total(ROOT, "/search?q=wat*&sort=title"), 1);
    EXPECT_EQ(total(ROOT, "/search?q=zebra"), 0);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/search", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/search?q=", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/search?q=%20", ROOT, NULL), 400);
    char words[600] = POLICIES "/search?q=";
    for (int i = 0; i <= QUERY_WORDS_MAX; i++) strcat(words, "a%20");
    EXPECT_EQ(ask(HTTP_GET, words, ROOT, NULL), 400);
    EXPECT(code("bad_search"));
}
