/* SPDX-License-Identifier: Apache-2.0 */
/* app_providers_test.c — who else may say who somebody is, as the configuration has it: what
 * presets fill in, and what is refused. */
#include "app/config/providers.c"
#include "tests/test.h"

static struct diag why;
static struct arena arena;

static u32 parse(const char *json, struct provider list[PROVIDERS_MAX]) {
    u32 count = 0;
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    EXPECT_OK(providers_parse(&arena, str_from_c(json), list, &count, &why));
    return count;
}

TEST(presets_fill_in_what_is_always_the_same) {
    struct provider list[PROVIDERS_MAX];
    EXPECT_EQ(parse("", list), 0);
    REQUIRE(parse("{\"g\":{\"preset\":\"google\",\"client_id\":\"c\",\"client_secret\":\"s\"},"
                  "\"m\":{\"preset\":\"microsoft\",\"tenant\":\"t-1\",\"client_id\":\"c\"},"
                  "\"lab\":{\"preset\":\"gitlab\",\"issuer\":\"https://git.test\",\"client_id\":"
                  "\"c\",\"title\":\"Ours\",\"scopes\":\"openid\",\"domains\":[\"a.b\",\"c\"],"
                  "\"link\":\"email\",\"create\":true,\"client_auth\":\"none\"}}",
                  list) == 3);
    EXPECT_STR(list[0].issuer, S("https://accounts.google.com"));
    EXPECT_STR(list[0].title, S("Google"));
    EXPECT_STR(list[0].scopes, S("openid profile email"));
    EXPECT_STR(list[0].client_auth, S("client_secret_basic"));
    EXPECT_STR(list[0].link, S("none"));
    EXPECT_STR(list[0].second_factor, S("here"));
    EXPECT(!list[0].create && !list[0].trust_email);
    EXPECT_STR(list[1].issuer, S("https://login.microsoftonline.com/t-1/v2.0"));
    EXPECT_STR(list[1].client_auth, S("none"));
    EXPECT_STR(list[2].issuer, S("https://git.test"));
    EXPECT_STR(list[2].title, S("Ours"));
    EXPECT_STR(list[2].domains, S("a.b c"));
    EXPECT(list[2].create);
    EXPECT(check_providers(S(""), &why) && check_providers(S("{}"), &why));
}

#define WITH(more) "{\"x\":{\"issuer\":\"https://i\",\"client_id\":\"c\"," more "}}"
TEST(what_is_not_sound_is_named) {
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"[]", "object"},
        {"{", "line"},
        {"{\"X\":{}}", "names of providers"},
        {"{\"\":{}}", "names of providers"},
        {"{\"x\":1}", "object"},
        {"{\"x\":{\"client_id\":\"c\"}}", "issuer"},
        {"{\"x\":{\"issuer\":\"https://i\"}}", "client_id"},
        {"{\"x\":{\"issuer\":\"http://i\",\"client_id\":\"c\"}}", "https"},
        {"{\"x\":{\"issuer\":\"https://i?a\",\"client_id\":\"c\"}}", "query"},
        {"{\"x\":{\"issuer\":\"x\",\"client_id\":\"c\"}}", "issuer"},
        {"{\"x\":{\"preset\":\"microsoft\",\"client_id\":\"c\"}}", "tenant"},
        {WITH("\"tenant\":\"t\""), "tenant"},
        {WITH("\"preset\":\"facebook\""), "preset"},
        {WITH("\"client_auth\":\"client_secret_post\""), "client_secret"},
        {WITH("\"client_auth\":\"jwt\""), "client_auth"},
        {WITH("\"scopes\":\"email\""), "openid"},
        {WITH("\"link\":\"all\""), "link"},
        {WITH("\"title\":1"), "title"},
        {WITH("\"title\":\"a\\u0001\""), "control"},
        {WITH("\"tenant\":\"01234567890123456789012345678901234567890123456789012345678901234\""),
         "long"},
        {WITH("\"create\":1"), "true or false"},
        {WITH("\"domains\":\"x\""), "domains"},
        {WITH("\"domains\":[\"A\"]"), "domains"},
        {WITH("\"domains\":[\"\"]"), "domains"},
        {WITH("\"domains\":[1]"), "domains"},
        {WITH("\"clientid\":\"c\""), "not known"},
        {"{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},\"h\":{},\"i\":{}}",
         "at most 8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        why = (struct diag){0};
        if (check_providers(str_from_c(cases[i].json), &why) || !strstr(why.text, cases[i].words))
            test_fail(__FILE__, __LINE__, "%s: \"%s\"", cases[i].json, why.text);
    }
}
