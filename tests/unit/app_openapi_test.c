/* SPDX-License-Identifier: Apache-2.0 */
/* app_openapi_test.c — the document is JSON, holds every route once, and its references lead
 * somewhere. (A public validator looks at the whole one in tests/integration.) */
#include "app/openapi/openapi.c"
#include "tests/test.h"

static void handle(struct request *rq) { (void)rq; }
static const struct route_param params[] = {{"limit", "integer", "How many"}, {0}};
static const struct route a_routes[] = {
    {.method = HTTP_GET, .pattern = "/a/{id}", .handle = handle, .summary = "Read \"it\"",
     .tag = "a", .permission = "a:b:read", .answer_schema = "#Thing", .access = ACCESS_USER},
    {.method = HTTP_POST, .pattern = "/a", .handle = handle, .body_schema = "{\"type\":\"object\"}",
     .success = 201, .idempotency_key = true, .access = ACCESS_ADMIN},
    {.method = HTTP_GET, .pattern = "/a", .handle = handle, .query = params},
    {.method = HTTP_GET, .pattern = "/f/{rest...}", .handle = handle},
    {.method = HTTP_OTHER, .pattern = "/odd", .handle = handle},
    {0},
};
static const struct route b_routes[] = {
    {.method = HTTP_DELETE, .pattern = "/a/{id}", .handle = handle, .success = 204}, {0}};
static const struct module_schema schemas[] = {{"Thing", "{\"type\":\"object\"}"}, {0}};
static const struct module a = {.name = "a", .routes = a_routes, .schemas = schemas};
static const struct module b = {.name = "b", .routes = b_routes};
static const struct module c = {.name = "c"};
static const struct module *const list[] = {&a, &c, &b, NULL};

static const cJSON *at(const cJSON *from, const char *key) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(from, key);
    if (!m) test_fail(__FILE__, __LINE__, "no member %s", key);
    return m;
}
static str text(const cJSON *from, const char *key) {
    const cJSON *m = at(from, key);
    return m && m->valuestring ? str_from_c(m->valuestring) : S("");
}

TEST(the_document_is_the_tables) {
    struct json_writer w;
    struct arena arena;
    struct diag why;
    cJSON *root;
    json_open(&w, MIB(1));
    openapi_write(&w, list);
    EXPECT(!w.out.failed);
    EXPECT_EQ(w.depth, 0);
    if (JSON_DEPTH_MAX < 16) { /* the tiny build's scan refuses any document as deep as this */
        EXPECT_RC(json_scan(buf_str(&w.out), &why), RC_LIMIT);
        json_close(&w);
        return;
    }
    arena_open(&arena, NULL, 0, MIB(4));
    if (json_parse(&arena, buf_str(&w.out), &root, &why)) { /* refuses a key twice, too */
        test_fail(__FILE__, __LINE__, "%s", why.text);
        return;
    }
    EXPECT_STR(text(root, "openapi"), S("3.1.0"));
    const cJSON *paths = at(root, "paths");
    EXPECT_EQ(cJSON_GetArraySize(paths), 4);
    EXPECT(at(paths, "/f/{rest}") != NULL);
    const cJSON *get = at(at(paths, "/a/{id}"), "get");
    EXPECT_STR(text(get, "summary"), S("Read \"it\""));
    EXPECT_STR(text(get, "operationId"), S("get_a_id_"));
    EXPECT_STR(text(get, "x-access"), S("user"));
    EXPECT_EQ(cJSON_GetArraySize(at(get, "security")), 1);
    const cJSON *parameter = cJSON_GetArrayItem(at(get, "parameters"), 0);
    EXPECT_STR(text(parameter, "name"), S("id"));
    EXPECT(cJSON_IsTrue(at(parameter, "required")));
    const cJSON *schema = at(at(at(at(at(get, "responses"), "200"), "content"), "application/json"),
                             "schema");
    EXPECT_STR(text(schema, "$ref"), S("#/components/schemas/Thing"));
    EXPECT(at(at(at(root, "components"), "schemas"), "Thing") != NULL);
    EXPECT(at(at(paths, "/a/{id}"), "delete") != NULL); /* another module's method, same path */
    const cJSON *post = at(at(paths, "/a"), "post");
    EXPECT(at(at(post, "responses"), "201") != NULL);
    EXPECT_STR(text(cJSON_GetArrayItem(at(post, "parameters"), 0), "name"), S("Idempotency-Key"));
    EXPECT(cJSON_IsTrue(at(at(post, "requestBody"), "required")));
    const cJSON *query = cJSON_GetArrayItem(at(at(at(paths, "/a"), "get"), "parameters"), 0);
    EXPECT_STR(text(query, "in"), S("query"));
    EXPECT(!cJSON_IsTrue(at(query, "required")));
    arena_close(&arena);
    json_close(&w);
}
