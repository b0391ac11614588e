/* SPDX-License-Identifier: Apache-2.0 */
/* Where bundles come from, as the configuration says it: what is read, and what is refused. */
#include "app/config/sources.c"
#include "tests/test.h"
#include <stdio.h>

static struct diag why;

static bool refuses(bool (*check_fn)(str, struct diag *), const char *json, const char *words) {
    why = (struct diag){0};
    bool refused = !check_fn(str_from_c(json), &why);
    if (!refused || !strstr(why.text, words))
        test_fail(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", json, why.text, words);
    return refused;
}

TEST(a_source_has_the_references_defaults) {
    struct arena a;
    struct source list[SOURCES_MAX];
    u32 count;
    arena_open(&a, NULL, 0, MIB(1));
    EXPECT_OK(sources_parse(
        &a,
        S("{\"x\":{},\"gone\":null,\"y\":{\"service\":\"s\",\"resource\":\"/b/y.tar.gz\","
          "\"polling\":{\"min_delay_seconds\":1,\"max_delay_seconds\":2,"
          "\"long_polling_timeout_seconds\":30},\"signing\":{\"keyid\":\"k\",\"scope\":\"read\","
          "\"exclude_files\":[\"a\",\"b/*\"]},\"persist\":true,\"size_limit_bytes\":1024,"
          "\"trigger\":\"manual\"}}"),
        list, &count, &why));
    REQUIRE(count == 2);
    EXPECT_STR(list[0].name, S("x"));
    EXPECT_STR(list[0].resource, S("bundles/x"));
    EXPECT_EQ(list[0].delay_min_s, 60);
    EXPECT_EQ(list[0].delay_max_s, 120);
    EXPECT_EQ(list[0].wait_s, 0);
    EXPECT(!list[0].has_signing && !list[0].manual);
    EXPECT_STR(list[1].service, S("s"));
    EXPECT_STR(list[1].resource, S("b/y.tar.gz"));
    EXPECT_EQ(list[1].delay_max_s, 2);
    EXPECT_EQ(list[1].wait_s, 30);
    EXPECT_EQ(list[1].bytes_max, 1024);
    EXPECT(list[1].has_signing && list[1].manual);
    EXPECT_STR(list[1].key_id, S("k"));
    REQUIRE(list[1].exclude_count == 2);
    EXPECT_STR(list[1].exclude[1], S("b/*"));
    EXPECT_OK(sources_parse(&a, S(""), list, &count, &why));
    EXPECT_EQ(count, 0);
    arena_close(&a);
}

TEST(what_is_wrong_with_a_source_is_named) {
    refuses(check_bundles, "[]", "wants an object of bundles by name");
    refuses(check_bundles, "{", "");
    refuses(check_bundles, "{\"x\":1}", "wants an object");
    refuses(check_bundles, "{\"x\":{\"signin\":{}}}", "\"signin\" is not known here");
    refuses(check_bundles, "{\"x\":{\"service\":1}}", "\"service\" wants a text");
    refuses(check_bundles, "{\"x\":{\"persist\":1}}", "\"persist\" wants true or false");
    refuses(check_bundles, "{\"x\":{\"trigger\":\"now\"}}", "wants periodic or manual");
    refuses(check_bundles, "{\"x\":{\"resource\":\"file:///b\"}}", "names a file");
    refuses(check_bundles, "{\"x\":{\"size_limit_bytes\":-1}}", "wants a whole number");
    refuses(check_bundles, "{\"x\":{\"size_limit_bytes\":1.5}}", "wants a whole number");
    refuses(check_bundles, "{\"x\":{\"polling\":{\"min_delay_seconds\":1}}}", "max_delay_seconds");
    refuses(check_bundles, "{\"x\":{\"polling\":{\"max_delay_seconds\":1}}}", "min_delay_seconds");
    refuses(check_bundles,
            "{\"x\":{\"polling\":{\"min_delay_seconds\":2,\"max_delay_seconds\":1}}}",
            "max polling delay must be >= min polling delay");
    refuses(check_bundles, "{\"x\":{\"polling\":{\"long_polling_timeout_seconds\":0}}}",
            "must be at least 1");
    refuses(check_bundles, "{\"x\":{\"polling\":1}}", "wants an object");
    refuses(check_bundles, "{\"x\":{\"signing\":{\"exclude_files\":1}}}", "wants an array");
    refuses(check_bundles, "{\"x\":{\"signing\":{\"exclude_files\":[1]}}}", "wants a few texts");
    refuses(check_bundles, "{\"\":{}}", "\"name\" is too long");
    char many[1024] = "{\"a\":{}";
    for (u32 i = 0; i < SOURCES_MAX; i++) {
        size_t n = strlen(many);
        snprintf(many + n, sizeof many - n, ",\"b%u\":{}", i);
    }
    strcat(many, "}");
    refuses(check_bundles, many, "are too many");
    EXPECT(check_bundles(S(""), &why) && check_bundles(S("{}"), &why));
}

TEST(keys) {
    struct arena a;
    struct source_key list[SOURCE_KEYS_MAX];
    u32 count;
    arena_open(&a, NULL, 0, MIB(1));
    EXPECT_OK(source_keys_parse(&a,
                                S("{\"k\":{\"key\":\"secret\",\"algorithm\":\"HS256\",\"scope\":"
                                  "\"read\",\"private_key\":\"x\"}}"),
                                list, &count, &why));
    REQUIRE(count == 1);
    EXPECT_STR(list[0].id, S("k"));
    EXPECT_STR(list[0].key, S("secret"));
    EXPECT_STR(list[0].algorithm, S("HS256"));
    EXPECT_STR(list[0].scope, S("read"));
    arena_close(&a);
    refuses(check_keys, "{\"k\":{}}", "\"key\" is missing");
    refuses(check_keys, "{\"k\":{\"key\":\"x\",\"alg\":\"y\"}}", "\"alg\" is not known here");
    refuses(check_keys, "1", "wants an object of keys by name");
    EXPECT(check_keys(S(""), &why));
}

TEST(discovery) {
    struct arena a;
    struct source s;
    bool on;
    arena_open(&a, NULL, 0, MIB(1));
    EXPECT_OK(discovery_parse(&a, S(""), &s, &on, &why));
    EXPECT(!on);
    EXPECT_OK(
        discovery_parse(&a, S("{\"resource\":\"/d.tar.gz\",\"decision\":\"a/b\"}"), &s, &on, &why));
    EXPECT(on);
    EXPECT_STR(s.resource, S("d.tar.gz"));
    EXPECT_STR(s.decision, S("a/b"));
    EXPECT_OK(discovery_parse(&a, S("{\"name\":\"n\",\"prefix\":\"p\"}"), &s, &on, &why));
    EXPECT_STR(s.resource, S("p/n"));
    EXPECT_STR(s.decision, S("n"));
    EXPECT_OK(discovery_parse(&a, S("{\"name\":\"n\"}"), &s, &on, &why));
    EXPECT_STR(s.resource, S("bundles/n"));
    arena_close(&a);
    refuses(check_discovery, "{\"service\":\"s\"}", "missing required discovery.resource field");
    refuses(check_discovery, "{\"resource\":\"x\",\"query\":\"y\"}", "is not known here");
    EXPECT(check_discovery(S("{}"), &why));
}

TEST(status) {
    struct arena a;
    struct status_target t;
    arena_open(&a, NULL, 0, MIB(1));
    EXPECT_OK(status_target_parse(&a, S("{}"), &t, &why));
    EXPECT(!t.on);
    EXPECT_OK(status_target_parse(
        &a, S("{\"service\":\"s\",\"partition_name\":\"p\",\"console\":true}"), &t, &why));
    EXPECT(t.on && t.console && !t.manual);
    EXPECT_STR(t.service, S("s"));
    EXPECT_STR(t.partition, S("p"));
    arena_close(&a);
    refuses(check_status, "{\"plugin\":\"x\"}", "\"plugin\" is not known here");
    refuses(check_status, "{\"trigger\":1}", "wants a text");
    EXPECT(check_status(S("{\"prometheus\":true,\"trigger\":\"manual\"}"), &why));
}

TEST(decision_logs) {
    struct arena a;
    struct decision_target t;
    arena_open(&a, NULL, 0, MIB(1));
    EXPECT_OK(decision_target_parse(&a, S(""), &t, &why));
    EXPECT(!t.on);
    EXPECT_OK(decision_target_parse(
        &a,
        S("{\"service\":\"s\",\"partition_name\":\"p\",\"resource\":\"//r/x\",\"mask_decision\":"
          "\"/system/log/mask\",\"console\":true,\"reporting\":{\"min_delay_seconds\":3,"
          "\"max_delay_seconds\":9,\"upload_size_limit_bytes\":4096,\"trigger\":\"manual\"}}"),
        &t, &why));
    EXPECT(t.on && t.manual);
    EXPECT_STR(t.service, S("s"));
    EXPECT_STR(t.partition, S("p"));
    EXPECT_STR(t.resource, S("r/x"));
    EXPECT_EQ(t.delay_min_s, 3);
    EXPECT_EQ(t.delay_max_s, 9);
    EXPECT_EQ(t.upload_bytes, 4096);
    arena_close(&a);
    refuses(check_decision_logs, "[]", "wants an object");
    refuses(check_decision_logs, "{\"servise\":\"s\"}", "\"servise\" is not known here");
    EXPECT(check_decision_logs(S("{\"mask_decision\":\"/a/b\",\"drop_decision\":\"c\"}"), &why));
    refuses(check_decision_logs, "{\"mask_decision\":\"/a\\\"b\"}", "has a quote in it");
    refuses(check_decision_logs, "{\"drop_decision\":1}", "wants a text");
    refuses(check_decision_logs, "{\"reporting\":[]}", "wants an object");
    refuses(check_decision_logs,
            "{\"reporting\":{\"min_delay_seconds\":9,\"max_delay_seconds\":1}}", "max reporting");
    refuses(check_decision_logs, "{\"reporting\":{\"upload_size_limit_bytes\":1e9}}",
            "wants a whole");
}
