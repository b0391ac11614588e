/* SPDX-License-Identifier: Apache-2.0 */
/* data_api_test.c — collections and records asked over the whole pipeline: definitions and their
 * changes, values of every type, lists and pages, rules, relations, batches, files, streams. */
#include "app/data/api.c"
#include "tests/unit/whole.h"

#define COLLECTIONS "/api/v1/collections"
#define DATA "/api/v1/data/"

static size_t sent; /* of a file's body */
rc_t http_body_read(struct http_exchange *x, void *to, size_t room, size_t *got) {
    (void)x;
    *got = MIN(room, fake.request_body.len - sent);
    memcpy(to, fake.request_body.ptr + sent, *got);
    sent += *got;
    return RC_OK;
}

static char path[160], other[160]; /* of records just made */
static char id[40], other_id[40];

static void with(const char *name, const char *value) {
    whole.fields[0][0] = name, whole.fields[0][1] = value;
}
static int make(enum who who, const char *collection, const char *body) {
    char at[100];
    snprintf(at, sizeof at, DATA "%s", collection);
    memcpy(other, path, sizeof other);
    memcpy(other_id, id, sizeof other_id);
    int status = ask(HTTP_POST, at, who, body);
    if (status != 201) return status;
    snprintf(id, sizeof id, "%.*s", STR(whole_text("id")));
    snprintf(path, sizeof path, DATA "%s/%s", collection, id);
    return status;
}
static int define(const char *body) {
    return ask(HTTP_POST, COLLECTIONS, ROOT, body);
}
static int change(const char *name, const char *steps) {
    static char etag[32];
    char at[100], body[2000];
    snprintf(at, sizeof at, COLLECTIONS "/%s", name);
    if (ask(HTTP_GET, at, ROOT, NULL) != 200) return 0;
    snprintf(etag, sizeof etag, "\"%lld\"", (long long)whole_int("version"));
    snprintf(body, sizeof body, "{\"changes\":[%s]}", steps);
    with("If-Match", etag);
    return ask(HTTP_PATCH, at, ROOT, body);
}

#define TITLE "{\"name\":\"title\",\"type\":\"text\",\"required\":true,\"search\":true}"
#define RULES                                                                                      \
    "\"rules\":\"package collection\\n"                                                            \
    "read if input.record.created_by == input.actor.id\\n"                                         \
    "read if {\\n  input.record.open\\n  input.record.votes >= 0\\n}\\n"                           \
    "read if input.actor.role == \\\"admin\\\"\\n"                                                 \
    "create if input.actor.signed_in\\n"                                                           \
    "update if input.new.title != input.record.title\\n"                                           \
    "delete if input.actor.role == \\\"admin\\\"\\n\""

TEST(values_of_every_type) {
    whole_begin();
    REQUIRE(
        define("{\"name\":\"all\",\"fields\":[" TITLE
               ",{\"name\":\"price\",\"type\":\"number\",\"min\":0,\"max\":9},"
               "{\"name\":\"votes\",\"type\":\"integer\",\"unique\":true},"
               "{\"name\":\"open\",\"type\":\"bool\",\"default\":true},"
               "{\"name\":\"due\",\"type\":\"date-time\"},{\"name\":\"extra\",\"type\":\"json\"},"
               "{\"name\":\"kind\",\"type\":\"select\",\"values\":[\"a\",\"b\"]},"
               "{\"name\":\"mail\",\"type\":\"email\"},{\"name\":\"page\",\"type\":\"url\"},"
               "{\"name\":\"code\",\"type\":\"text\",\"pattern\":\"^[a-z]+$\"}]}") == 201);
    EXPECT_EQ(define("{\"name\":\"all\"}"), 409);
    REQUIRE(make(ROOT, "all",
                 "{\"title\":\"T\",\"price\":1.5,\"votes\":7,\"due\":\"2026-01-31\","
                 "\"extra\":{\"a\":[1]},\"kind\":\"a\",\"mail\":\"a@b.org\","
                 "\"page\":\"https://b.org/\",\"code\":\"abc\"}") == 201);
    EXPECT(body_has("\"price\":1.5,\"votes\":7,\"open\":true,\"due\":\"2026-01-31T00:00:00.000Z\","
                    "\"extra\":{\"a\":[1]},\"kind\":\"a\""));
    static const char *const bad[][2] = {
        {"{}", "field_required"},
        {"{\"title\":\"\"}", "field_required"},
        {"{\"title\":1}", "field_type"},
        {"{\"title\":\"T\",\"price\":10}", "field_range"},
        {"{\"title\":\"T\",\"price\":-1}", "field_range"},
        {"{\"title\":\"T\",\"votes\":1.5}", "field_type"},
        {"{\"title\":\"T\",\"votes\":9007199254740994}", "field_type"},
        {"{\"title\":\"T\",\"open\":\"yes\"}", "field_type"},
        {"{\"title\":\"T\",\"due\":\"soon\"}", "field_type"},
        {"{\"title\":\"T\",\"kind\":\"c\"}", "field_choice"},
        {"{\"title\":\"T\",\"mail\":\"a\"}", "field_type"},
        {"{\"title\":\"T\",\"page\":\"ftp://x\"}", "field_type"},
        {"{\"title\":\"T\",\"code\":\"A\"}", "field_pattern"},
        {"{\"title\":\"T\",\"what\":1}", "field_unknown"},
        {"{\"title\":\"T\",\"id\":\"x\"}", "field_type"},
        {"{\"title\":\"T\",\"votes\":7}", "field_unique"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int status = ask(HTTP_POST, DATA "all", ROOT, bad[i][0]);
        EXPECT_EQ(status, strcmp(bad[i][1], "field_unique") ? 422 : 409);
        EXPECT_STR(whole_text("code"), str_from_c(bad[i][1]));
    }
    with("If-Match", "\"2\"");
    EXPECT_EQ(ask(HTTP_PATCH, path, ROOT, "{\"price\":2}"), 412);
    with("If-Match", "nonsense");
    EXPECT_EQ(ask(HTTP_PATCH, path, ROOT, "{\"price\":2}"), 412);
    with("If-Match", "\"1\"");
    EXPECT_EQ(ask(HTTP_PATCH, path, ROOT, "{\"price\":null}"), 200);
    EXPECT(body_has("\"version\":2") && body_has("\"price\":null") && body_has("\"votes\":7"));
    EXPECT_EQ(ask(HTTP_PUT, path, ROOT, "{\"title\":\"New\"}"), 200);
    EXPECT(body_has("\"votes\":null,\"open\":true"));
    with("If-None-Match", "\"3\"");
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 304);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, DATA "nothing", ROOT, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, DATA "all", ADA, NULL), 200); /* the shipped rules: nothing for her */
    EXPECT_EQ(whole_items(), 0);
    EXPECT_EQ(make(ADA, "all", "{\"title\":\"T\"}"), 403);
}

TEST(lists_and_rules) {
    char body[200], at[300];
    whole_begin();
    REQUIRE(define("{\"name\":\"bills\",\"fields\":[" TITLE ",{\"name\":\"votes\",\"type\":"
                   "\"integer\",\"index\":true},{\"name\":\"open\",\"type\":\"bool\"}]," RULES
                   "}") == 201);
    for (int i = 0; i < 9; i++) {
        snprintf(body, sizeof body, "{\"title\":\"Bill %d\",\"votes\":%s%d,\"open\":%s}", i,
                 i == 4 ? "-" : "", i / 2, i % 3 ? "true" : "false");
        REQUIRE(make(i < 5 ? ROOT : ADA, "bills", body) == 201);
    }
    EXPECT_EQ(ask(HTTP_GET, DATA "bills?count=true&limit=100", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 9);
    EXPECT_EQ(ask(HTTP_GET, DATA "bills?count=true&limit=100", ADA, NULL), 200);
    EXPECT_EQ(whole_int("total"), 6); /* four of hers; of the others' the open ones with votes */
    EXPECT_EQ(ask(HTTP_GET, DATA "bills?count=true&limit=100", BOB, NULL), 200);
    EXPECT_EQ(whole_int("total"), 5);
    EXPECT_EQ(ask(HTTP_GET, DATA "bills?limit=100", BOB, NULL), 200);
    const cJSON *one;
    char ids[16][40];
    int n = 0;
    cJSON_ArrayForEach(one, whole_member("items")) snprintf(
        ids[n++], sizeof ids[0], "%s", cJSON_GetObjectItemCaseSensitive(one, "id")->valuestring);
    for (int i = 0; i < n; i++) {
        snprintf(at, sizeof at, DATA "bills/%s", ids[i]);
        EXPECT_EQ(ask(HTTP_GET, at, BOB, NULL), 200);
        EXPECT_EQ(ask(HTTP_DELETE, at, BOB, NULL), 403);
    }
    EXPECT_EQ(ask(HTTP_PATCH, path, ADA, "{\"votes\":3}"), 403); /* its title must change */
    EXPECT_EQ(ask(HTTP_PATCH, path, ADA, "{\"title\":\"Bill 8b\"}"), 200);
    EXPECT_EQ(
        ask(HTTP_GET, DATA "bills?q=bill*&sort=-votes,title&fields=title&cost=true", ROOT, NULL),
        200);
    EXPECT(body_has("{\"title\":\"Bill 8b\"},{\"title\":\"Bill 6\"},{\"title\":\"Bill 7\"}"));
    EXPECT(body_has("\"cost\":{\"steps\":"));
    int seen = 0;
    snprintf(at, sizeof at, DATA "bills?limit=2&sort=votes");
    for (int pages = 0; pages < 9; pages++) {
        EXPECT_EQ(ask(HTTP_GET, at, ROOT, NULL), 200);
        seen += (int)whole_items();
        if (!cJSON_IsString(whole_member("next_cursor"))) break;
        snprintf(at, sizeof at, DATA "bills?limit=2&sort=votes&cursor=%.*s",
                 STR(whole_text("next_cursor")));
    }
    EXPECT_EQ(seen, 9);
    static const char *const bad[] = {"filter=x",    "sort=x", "fields=x", "expand=x", "cursor=zz",
                                      "cursor=5b5d", "q=%22",  "limit=0",  "offset=-1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(at, sizeof at, DATA "bills?%s", bad[i]);
        EXPECT_EQ(ask(HTTP_GET, at, ROOT, NULL), 400);
    }
    REQUIRE(define("{\"name\":\"few\",\"view\":{\"from\":\"bills\",\"filter\":\"votes > 2\","
                   "\"fields\":\"title,votes\",\"sort\":\"-title\"}}") == 201);
    EXPECT_EQ(ask(HTTP_GET, DATA "few?fields=title,id", ROOT, NULL), 200);
    EXPECT(body_has("\"items\":[{\"title\":\"Bill 8b\"},{\"title\":\"Bill 7\"},{\"title\":"));
    EXPECT_EQ(make(ROOT, "few", "{\"title\":\"x\"}"), 405);
    EXPECT_EQ(define("{\"name\":\"fewer\",\"view\":{\"from\":\"few\"}}"), 422);
    EXPECT_EQ(change("few", "{\"op\":\"set_view\",\"view\":{\"from\":\"bills\"}}"), 200);
    EXPECT_EQ(change("few", "{\"op\":\"set_view\",\"view\":{\"from\":\"bills\",\"sort\":\"x\"}}"),
              422);
}

TEST(rules_that_cannot_be_kept_are_refused) {
    static const char *const bad[] = {
        "package other\\nread := true",
        "package collection\\nread if {",
        "package collection\\nx := 1",
        "package collection\\nread if input.record.nothing == 1",
        "package collection\\nread if input.record.extra.a == 1",
        "package collection\\nread if count(input.record.title) > 1",
        "package collection\\nread if input.record.votes < \\\"x\\\"",
        "package collection\\nread if input.record.open < true",
        "package collection\\nread if input.record.title == input.record.votes",
        "package collection\\nread if input.record.title < input.record.other",
        "package collection\\nread if rand.intn(\\\"x\\\", 2) == 1",
        "package collection\\nread if input.record.created_at == \\\"soon\\\"",
        "package collection\\nread if input.record.votes > null",
        "package collection\\nread if startswith(input.record.votes, \\\"x\\\")",
    };
    static const struct {
        const char *rule;
        int items;
    } good[] = {{"input.record.votes in [1, 5, null]", 2},
                {"not input.record.votes in [1, 5]", 2},
                {"startswith(input.record.title, \\\"Wa\\\")", 1},
                {"endswith(input.record.title, \\\"r\\\")", 2},
                {"endswith(input.record.title, \\\"\\\")", 3},
                {"contains(input.record.title, \\\"i\\\")", 1},
                {"input.record.votes < 2", 2},
                {"not input.record.votes < 2", 1},
                {"3 <= input.record.votes", 1},
                {"input.record.votes != null", 2},
                {"input.record.votes == null", 1},
                {"input.record.title == 7", 0},
                {"input.record.title != 7", 3},
                {"input.record.title != input.record.other", 3},
                {"input.record.open", 2},
                {"not input.record.open", 1},
                {"input.record.open == true", 1},
                {"input.record.created_at > \\\"1971-01-01\\\"", 3},
                {"input.record.version == 1.0", 3},
                {"input.record.price == 0.5", 1},
                {"time.now_ns() > 0", 3},
                {"input.actor.id == \\\"nobody\\\"", 0}};
    char body[700];
    whole_begin();
    REQUIRE(define("{\"name\":\"ruled\",\"fields\":[" TITLE
                   ",{\"name\":\"votes\",\"type\":\"integer\"},{\"name\":\"other\",\"type\":"
                   "\"text\"},{\"name\":\"open\",\"type\":\"bool\"},{\"name\":\"extra\",\"type\":"
                   "\"json\"},{\"name\":\"price\",\"type\":\"number\"}]}") == 201);
    REQUIRE(make(ROOT, "ruled", "{\"title\":\"Water\",\"votes\":1,\"open\":true,\"price\":0.5}") ==
            201);
    REQUIRE(make(ROOT, "ruled", "{\"title\":\"Air\",\"votes\":3,\"open\":false}") == 201);
    REQUIRE(make(ROOT, "ruled", "{\"title\":\"Land\"}") == 201);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(body, sizeof body, "{\"op\":\"set_rules\",\"rules\":\"%s\"}", bad[i]);
        if (change("ruled", body) != 422)
            test_fail(__FILE__, __LINE__, "%s: %s", bad[i], fake.body);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(body, sizeof body,
                 "{\"op\":\"set_rules\",\"rules\":\"package collection\\nread if %s\"}",
                 good[i].rule);
        if (change("ruled", body) != 200) test_fail(__FILE__, __LINE__, "%s", fake.body);
        EXPECT_EQ(ask(HTTP_GET, DATA "ruled", ROOT, NULL), 200);
        if ((int)whole_items() != good[i].items)
            test_fail(__FILE__, __LINE__, "%s: %u", good[i].rule, whole_items());
    }
}

TEST(relations_and_what_goes_along) {
    char body[300], at[300];
    whole_begin();
    REQUIRE(define("{\"name\":\"people\",\"fields\":[{\"name\":\"name\",\"type\":\"text\"}]}") ==
            201);
    REQUIRE(define("{\"name\":\"acts\",\"fields\":[{\"name\":\"author\",\"type\":\"relation\","
                   "\"collection\":\"people\",\"on_delete\":\"cascade\"},{\"name\":\"signer\","
                   "\"type\":\"relation\",\"collection\":\"people\",\"on_delete\":\"set_null\"},"
                   "{\"name\":\"next\",\"type\":\"relation\",\"collection\":\"acts\"}]}") == 201);
    REQUIRE(make(ROOT, "people", "{\"name\":\"Ann\"}") == 201);
    REQUIRE(make(ROOT, "people", "{\"name\":\"Ben\"}") == 201);
    char ann[40], ann_path[160];
    snprintf(ann, sizeof ann, "%s", other_id);
    snprintf(ann_path, sizeof ann_path, "%s", other);
    snprintf(body, sizeof body, "{\"author\":\"%s\",\"signer\":\"%s\"}", ann, id);
    REQUIRE(make(ROOT, "acts", body) == 201);
    snprintf(at, sizeof at, "%s?expand=author,signer,next", path);
    EXPECT_EQ(ask(HTTP_GET, at, ROOT, NULL), 200);
    EXPECT(body_has("\"name\":\"Ann\"") && body_has("\"name\":\"Ben\"") &&
           body_has("\"next\":null}"));
    snprintf(body, sizeof body, "{\"next\":\"%s\"}", id);
    REQUIRE(make(ROOT, "acts", body) == 201);
    EXPECT_EQ(ask(HTTP_DELETE, other, ROOT, NULL), 409); /* the second act comes after it */
    EXPECT_STR(whole_text("code"), S("record_in_use"));
    EXPECT_EQ(ask(HTTP_DELETE, ann_path, ROOT, NULL), 409);
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_DELETE, ann_path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, other, ROOT, NULL), 404);
    EXPECT_EQ(make(ROOT, "acts", body), 422);
    EXPECT_STR(whole_text("code"), S("relation_unknown"));
    EXPECT_EQ(ask(HTTP_GET, DATA "acts?expand=author.name", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, DATA "acts?expand=next.next.next.next", ROOT, NULL), 400);
    with("If-Match", "\"1\"");
    EXPECT_EQ(ask(HTTP_DELETE, COLLECTIONS "/people", ROOT, NULL), 409);
    with("If-Match", "\"1\"");
    EXPECT_EQ(ask(HTTP_DELETE, COLLECTIONS "/acts", ROOT, NULL), 204);
    with("If-Match", "\"1\"");
    EXPECT_EQ(ask(HTTP_DELETE, COLLECTIONS "/people", ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, COLLECTIONS, ROOT, NULL), 200);
    EXPECT(!body_has("\"people\""));
    EXPECT_EQ(ask(HTTP_GET, COLLECTIONS, ADA, NULL), 403);
}

TEST(definitions_change_as_one) {
    static const char *const bad[] = {
        "",
        "7",
        "{\"op\":\"fly\"}",
        "{\"op\":\"drop_field\",\"name\":\"x\"}",
        "{\"op\":\"rename_field\",\"from\":\"x\",\"to\":\"y\"}",
        "{\"op\":\"rename_field\",\"from\":\"title\",\"to\":\"id\"}",
        "{\"op\":\"change_field\",\"name\":\"title\",\"field\":{\"name\":\"b\",\"type\":\"text\"}}",
        "{\"op\":\"change_field\",\"name\":\"title\",\"field\":{\"name\":\"title\",\"type\":"
        "\"bool\"}}",
        "{\"op\":\"change_field\",\"name\":\"x\",\"field\":{}}",
        "{\"op\":\"add_field\"}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"required\":true}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"what\":true}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"unique\":1}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"min\":1}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"integer\",\"min\":\"x\"}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"integer\",\"min\":2,\"max\":1}"
        "}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"integer\",\"search\":true}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"json\",\"unique\":true}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"text\",\"pattern\":\"(\"}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"pattern\":\"a\"}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"text\",\"values\":[\"a\"]}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"select\",\"values\":[1]}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"text\",\"collection\":\"x\"}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"relation\",\"collection\":"
        "\"laws\",\"on_delete\":\"burn\"}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"relation\",\"collection\":"
        "\"laws\",\"on_delete\":\"set_null\",\"required\":true}}",
        "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"bool\",\"default\":\"x\"}}",
        "{\"op\":\"add_index\",\"index\":{\"fields\":[]}}",
        "{\"op\":\"add_index\",\"index\":{\"fields\":[\"x\"]}}",
        "{\"op\":\"add_index\",\"index\":{\"fields\":[\"title\"],\"what\":1}}",
        "{\"op\":\"add_index\",\"index\":7}",
        "{\"op\":\"drop_index\",\"fields\":[\"title\"]}",
        "{\"op\":\"set_view\",\"view\":{\"from\":\"laws\"}}",
        "{\"op\":\"set_rules\"}",
    };
    whole_begin();
    REQUIRE(define("{\"name\":\"laws\",\"fields\":[" TITLE "]}") == 201);
    REQUIRE(make(ROOT, "laws", "{\"title\":\"One\"}") == 201);
    REQUIRE(make(ROOT, "laws", "{\"title\":\"Two\"}") == 201);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (change("laws", bad[i]) != 422)
            test_fail(__FILE__, __LINE__, "%s: %s", bad[i], fake.body);
    EXPECT_EQ(ask(HTTP_GET, COLLECTIONS "/laws", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("version"), 1);
    EXPECT_EQ(
        change("laws",
               "{\"op\":\"add_field\",\"field\":{\"name\":\"n\",\"type\":\"integer\","
               "\"default\":3,\"index\":true}},"
               "{\"op\":\"add_index\",\"index\":{\"fields\":[\"n\",\"title\"],\"unique\":true}}"),
        200);
    EXPECT_EQ(change("laws", "{\"op\":\"rename_field\",\"from\":\"n\",\"to\":\"count\"}"), 200);
    EXPECT_EQ(change("laws", "{\"op\":\"add_index\",\"index\":{\"fields\":[\"count\"],\"unique\":"
                             "true}}"),
              409);
    EXPECT_EQ(change("laws", "{\"op\":\"drop_index\",\"fields\":[\"count\",\"title\"]},"
                             "{\"op\":\"drop_field\",\"name\":\"count\"},"
                             "{\"op\":\"change_field\",\"name\":\"title\",\"field\":{\"name\":"
                             "\"title\",\"type\":\"text\",\"index\":true}}"),
              200);
    EXPECT_EQ(ask(HTTP_GET, DATA "laws?q=one", ROOT, NULL), 400); /* no longer searched */
    EXPECT_EQ(ask(HTTP_GET, DATA "laws?sort=title&fields=title", ROOT, NULL), 200);
    EXPECT(body_has("[{\"title\":\"One\"},{\"title\":\"Two\"}]"));
    EXPECT_EQ(ask(HTTP_PATCH, COLLECTIONS "/laws", ROOT, "{\"changes\":[{\"op\":\"x\"}]}"), 428);
    static const char *const worse[] = {"{\"name\":\"Laws\"}",
                                        "{\"name\":\"x\",\"fields\":7}",
                                        "{\"name\":\"x\",\"what\":7}",
                                        "{\"name\":\"x\",\"fields\":[7]}",
                                        "{\"name\":\"x\",\"view\":{\"from\":\"none\"}}",
                                        "{\"name\":\"x\",\"view\":{}}",
                                        "{\"name\":\"x\",\"fields\":[" TITLE
                                        "],\"view\":{\"from\":\"laws\"}}",
                                        "{\"name\":\"x\",\"fields\":[" TITLE "," TITLE "]}"};
    for (size_t i = 0; i < ARRAY_LEN(worse); i++) EXPECT_EQ(define(worse[i]), 422);
}

static char batch_body[1200];
static u32 batch_count;
/* One more operation on votes; `record` NULL: none. */
static void operation(const char *op, const char *id_wanted, const char *record) {
    size_t n = batch_count ? strlen(batch_body) - 2 : 0; /* without what ends the list */
    n += (size_t)snprintf(batch_body + n, sizeof batch_body - n,
                          "%s{\"op\":\"%s\",\"collection\":\"votes\"",
                          batch_count++ ? "," : "{\"operations\":[", op);
    if (id_wanted)
        n += (size_t)snprintf(batch_body + n, sizeof batch_body - n, ",\"id\":\"%s\"", id_wanted);
    if (record)
        n += (size_t)snprintf(batch_body + n, sizeof batch_body - n, ",\"record\":%s", record);
    snprintf(batch_body + n, sizeof batch_body - n, "}]}");
}
static int batch(enum who who) {
    batch_count = 0;
    return ask(HTTP_POST, "/api/v1/data", who, batch_body);
}

TEST(a_batch_holds_together) {
    static const char *const bad[] = {
        "{}",
        "{\"operations\":[]}",
        "{\"operations\":[7]}",
        "{\"operations\":[{\"op\":\"fly\",\"collection\":\"votes\"}]}",
        "{\"operations\":[{\"op\":\"create\",\"collection\":\"votes\"}]}",
        "{\"operations\":[{\"op\":\"delete\",\"collection\":\"votes\"}]}",
        "{\"operations\":[{\"op\":\"create\",\"collection\":\"votes\",\"what\":1}]}",
        "{\"operations\":[{\"op\":\"delete\",\"id\":\"x\"}]}",
    };
    whole_begin();
    REQUIRE(define("{\"name\":\"votes\",\"fields\":[{\"name\":\"voter\",\"type\":\"text\","
                   "\"unique\":true}]}") == 201);
    REQUIRE(make(ROOT, "votes", "{\"voter\":\"a\"}") == 201);
    operation("create", NULL, "{\"voter\":\"b\"}");
    operation("create", NULL, "{\"voter\":\"a\"}");
    EXPECT_EQ(batch(ROOT), 409);
    EXPECT_STR(whole_text("field"), S("operations[1].voter"));
    EXPECT_EQ(ask(HTTP_GET, DATA "votes?count=true", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 1);
    operation("create", NULL, "{\"voter\":\"b\"}");
    operation("update", id, "{\"voter\":\"c\"}");
    operation("upsert", id, "{\"voter\":\"d\"}");
    operation("upsert", NULL, "{\"voter\":\"e\"}");
    operation("replace", id, "{\"voter\":\"f\"}");
    operation("delete", id, NULL);
    EXPECT_EQ(batch(ROOT), 200);
    EXPECT(body_has("\"result\":\"created\"") && body_has("\"result\":\"replaced\""));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_EQ(ask(HTTP_POST, "/api/v1/data", ROOT, bad[i]), 422);
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/data", ROOT,
                  "{\"operations\":[{\"op\":\"delete\",\"collection\":\"none\",\"id\":\"x\"}]}"),
              404);
    operation("delete", id, NULL);
    EXPECT_EQ(batch(GUEST), 404);
}

static int import(const char *query, const char *body) {
    char at[100];
    sent = 0;
    snprintf(at, sizeof at, DATA "files/import?%s", query);
    return ask(HTTP_POST, at, ROOT, body);
}

TEST(files_come_and_go) {
    whole_begin();
    REQUIRE(
        define("{\"name\":\"files\",\"fields\":[{\"name\":\"title\",\"type\":\"text\",\"required\""
               ":true},{\"name\":\"n\",\"type\":\"integer\",\"default\":5,\"unique\":true},"
               "{\"name\":\"extra\",\"type\":\"json\"},{\"name\":\"open\",\"type\":\"bool\"},"
               "{\"name\":\"due\",\"type\":\"date-time\"}]}") == 201);
    EXPECT_EQ(import("format=csv&dry_run=true", "title,n\na,1\nb,2\n"), 200);
    EXPECT(body_has("\"dry_run\":true,\"rows\":2,\"written\":0"));
    EXPECT_EQ(import("format=csv", "title,n,extra,open,due\r\n'=1+1,1,\"{\"\"a\"\":1}\",true,"
                                   "2026-01-31\r\n\"x, y\",-2,,0,\r\n"),
              200);
    EXPECT(body_has("\"rows\":2,\"written\":2"));
    EXPECT_EQ(
        ask(HTTP_GET, DATA "files/export?format=csv&fields=title,n,extra,open,due", ROOT, NULL),
        200);
    EXPECT_STR(str_of(whole.stream, whole.stream_bytes),
               S("title,n,extra,open,due\r\n\"'=1+1\",1,\"{\"\"a\"\":1}\",true,"
                 "2026-01-31T00:00:00.000Z\r\n\"x, y\",-2,,false,\r\n"));
    EXPECT_EQ(ask(HTTP_GET, DATA "files/export?format=jsonl&filter=n%3D1&fields=n,id", ROOT, NULL),
              200);
    str line = str_of(whole.stream, whole.stream_bytes);
    EXPECT(str_starts(line, S("{\"id\":\"")) && str_ends(line, S("\",\"n\":1}\n")));
    EXPECT_EQ(import("format=jsonl", "\n{\"title\":\"c\",\"n\":3}\n\n{\"title\":\"d\",\"n\":4}"),
              200);
    EXPECT(body_has("\"rows\":2,\"written\":2"));
    static const char *const bad[][3] = {
        {"format=csv", "title,n\na,9\nb,x\n", "line 3.n"},
        {"format=csv&dry_run=true", "title,n\na,9\nb,x\nc,1\n", "line 3.n"},
        {"format=csv", "title,n\na,1\n", "line 2.n"},
        {"format=csv", "title\n\"\"\n", "line 2.title"},
        {"format=csv", "title,what\na,1\n", "line 1"},
        {"format=csv", "title,n\na\n", "line 2"},
        {"format=csv", "title\n\"a", "line 2"},
        {"format=csv", "id,title\nx,a\n", "line 2.id"},
        {"format=csv", "title,open\na,maybe\n", "line 2.open"},
        {"format=csv", "title,extra\na,{\n", "line 2.extra"},
        {"format=jsonl", "{\"title\":\"c\",\"n\":8}\n{", "line 2"},
        {"format=jsonl", "[]", "line 1"},
        {"format=jsonl", "{\"title\":7}", "line 1.title"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EXPECT_EQ(import(bad[i][0], bad[i][1]), 422);
        const cJSON *first = cJSON_GetArrayItem(whole_member("errors"), 0);
        EXPECT_STR(str_from_c(cJSON_GetObjectItemCaseSensitive(first, "field")->valuestring),
                   str_from_c(bad[i][2]));
        EXPECT_EQ(whole_int("written"), 0);
    }
    EXPECT_EQ(import("format=xml", ""), 400);
    EXPECT_EQ(import("mode=maybe", ""), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "files/export?format=xml", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "files/export?fields=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "files/export?filter=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "files/export", GUEST, NULL), 200); /* nothing of it is theirs */
    EXPECT_EQ(whole.stream_bytes, 0);
    EXPECT_EQ(ask(HTTP_GET, DATA "files?count=true", ROOT, NULL), 200);
    EXPECT_EQ(whole_int("total"), 4);
}

static bool told(const char *what) {
    return str_find(str_of(whole.stream, whole.stream_bytes), str_from_c(what)) <
           whole.stream_bytes;
}

TEST(changes_are_told_to_those_who_may_know) {
    whole_begin();
    REQUIRE(define("{\"name\":\"news\",\"fields\":[" TITLE
                   ",{\"name\":\"votes\",\"type\":\"integer\"},{\"name\":\"open\",\"type\":"
                   "\"bool\",\"default\":false}]," RULES "}") == 201);
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events", ROOT, NULL), 200);
    EXPECT(told("event: ready\n"));
    REQUIRE(make(ROOT, "news", "{\"title\":\"shut\",\"votes\":1}") == 201);
    REQUIRE(make(ADA, "news", "{\"title\":\"hers\",\"votes\":1}") == 201);
    REQUIRE(ask(HTTP_PATCH, path, ADA, "{\"title\":\"hers still\"}") == 200);
    REQUIRE(ask(HTTP_DELETE, path, ROOT, NULL) == 204);
    REQUIRE(make(ROOT, "news", "{\"title\":\"out\",\"votes\":1,\"open\":true}") == 201);
    whole.rounds = 2;
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events?last_event_id=1", ADA, NULL), 200);
    EXPECT(told("event: delete\n") && told(id) && told("\"title\":\"out\""));
    EXPECT(!told("shut"));
    whole.rounds = 2;
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events?last_event_id=1", BOB, NULL), 200);
    EXPECT(!told("event: delete\n") && told("\"title\":\"out\"") && !told("shut"));
    whole.rounds = 2;
    with("Last-Event-ID", "1");
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events?filter=title%3D'shut'", ROOT, NULL), 200);
    EXPECT(told("shut") && !told("\"title\":\"out\""));
    whole.rounds = 20; /* silence is broken now and then */
    with("Last-Event-ID", "999999");
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events", ROOT, NULL), 200);
    EXPECT(told("event: gap\n") && told(": still here\n"));
    with("Last-Event-ID", "x");
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "news/events?filter=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, DATA "none/events", ROOT, NULL), 404);
}
