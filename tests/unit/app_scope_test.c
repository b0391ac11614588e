/* SPDX-License-Identifier: Apache-2.0 */
/* app_scope_test.c — which words cover which permissions, and which words are none. */
#include "app/scope.c"
#include "tests/test.h"

TEST(words_cover_by_whole_parts) {
    static const struct {
        const char *scopes, *permission;
        bool allowed;
    } v[] = {
        {"policies:document:read", "policies:document:read", true},
        {"policies:document:read", "policies:document:reads", false},
        {"policies:document:read", "policies:document", false},
        {"policies:document", "policies:document:read", false},
        {"policies:document:*", "policies:document:update", true},
        {"policies:document:*", "policies:documents:update", false},
        {"policies:*", "policies:document:update", true},
        {"policies:*", "policies", false},
        {"policies:*", "rego:decision:read", false},
        {"*:*:read", "rego:decision:read", true},
        {"*:*:read", "rego:decision:write", false},
        {"*:document:read", "policies:document:read", true},
        {"pol*:document:read", "policies:document:read", false},
        {"*", "rego:decision:read", true},
        {"*", "", true},
        {"*:*", "", false},
        {"", "rego:decision:read", false},
        {" ", "rego:decision:read", false},
        {"openid profile", "openid", false},
        {"openid", "openid:a:b", false},
        {"openid  rego:*  email", "rego:decision:read", true},
        {":", "rego:decision:read", false},
        {"rego:decision:read:more", "rego:decision:read", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        EXPECT_EQ(scope_allows(str_from_c(v[i].scopes), str_from_c(v[i].permission)), v[i].allowed);
    EXPECT(!scope_allows(str_of(NULL, 0), S("a:b:c")));
}

TEST(words_have_two_or_three_parts) {
    EXPECT(scope_valid(S("*")));
    EXPECT(scope_valid(S("policies:*")));
    EXPECT(scope_valid(S("policies:document:read")));
    EXPECT(scope_valid(S("*:*:read")));
    EXPECT(scope_valid(S("a-b_c:d9")));
    EXPECT(!scope_valid(S("")));
    EXPECT(!scope_valid(S("policies")));
    EXPECT(!scope_valid(S("a::b")));
    EXPECT(!scope_valid(S("a:b:c:d")));
    EXPECT(!scope_valid(S("a:B")));
    EXPECT(!scope_valid(S("a:b*")));
    EXPECT(!scope_valid(S("a:b c")));
    EXPECT(!scope_valid(S("a:\"")));
}
