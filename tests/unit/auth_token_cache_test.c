/* SPDX-License-Identifier: Apache-2.0 */
/* auth_token_cache_test.c — proofs are found, expire, are dropped, and never outlive what ended. */
#include "app/auth/token_cache.c"
#include "tests/test.h"
#include <stdio.h>

#define ID(n) "0190a0b0-c0d0-7000-8000-00000000000" n
static struct token_proof proof(const char *token, const char *user, const char *session) {
    return (struct token_proof){.token = str_from_c(token),
                                .user_id = str_from_c(user),
                                .session_id = str_from_c(session),
                                .token_id = S(ID("9")),
                                .role = S("admin"),
                                .email = S("a@example.org"),
                                .expires_ns = 1000};
}
static void fresh(void) {
    memory_init(MIB(64));
    token_cache_stop();
    REQUIRE(token_cache_start() == RC_OK);
}
static bool has(const char *token, u64 now) {
    struct token_proof p;
    return token_cache_find(str_from_c(token), now, &p);
}

TEST(finds_what_was_put_and_nothing_else) {
    struct token_proof p = proof("header.claims.signature", ID("1"), ID("2")), got;
    fresh();
    EXPECT(!has("header.claims.signature", 1));
    token_cache_put(&p, token_cache_generation());
    REQUIRE(token_cache_find(p.token, 1, &got));
    EXPECT_STR(got.user_id, p.user_id);
    EXPECT_STR(got.session_id, p.session_id);
    EXPECT_STR(got.token_id, p.token_id);
    EXPECT_STR(got.role, p.role);
    EXPECT_STR(got.email, p.email);
    EXPECT_EQ(got.expires_ns, 1000);
    EXPECT(!has("header.claims.signaturf", 1));
    EXPECT(!has("header.claims.signatur", 1));
    EXPECT(!has("", 1));
}

TEST(expires) {
    struct token_proof p = proof("t", ID("1"), ID("2"));
    fresh();
    token_cache_put(&p, token_cache_generation());
    EXPECT(has("t", 999));
    EXPECT(!has("t", 1000));
    EXPECT(!has("t", 999)); /* it is gone, not hidden */
}

TEST(ends_with_its_session_or_its_user) {
    struct token_proof a = proof("a", ID("1"), ID("2")), b = proof("b", ID("1"), ID("3")),
                       c = proof("c", ID("4"), ID("5"));
    fresh();
    token_cache_put(&a, token_cache_generation());
    token_cache_put(&b, token_cache_generation());
    token_cache_put(&c, token_cache_generation());
    token_cache_drop_session(S(ID("2")));
    EXPECT(!has("a", 1) && has("b", 1) && has("c", 1));
    token_cache_drop_user(S(ID("1")));
    EXPECT(!has("b", 1) && has("c", 1));
}

TEST(a_proof_overtaken_by_a_logout_is_not_kept) {
    struct token_proof p = proof("t", ID("1"), ID("2"));
    fresh();
    u64 generation = token_cache_generation();
    token_cache_drop_session(S(ID("2"))); /* while the database was being asked */
    token_cache_put(&p, generation);
    EXPECT(!has("t", 1));
}

TEST(is_bounded_and_keeps_the_newest) {
    char token[32];
    fresh();
    for (int i = 0; i < 100000; i++) {
        int n = snprintf(token, sizeof token, "token %d", i);
        struct token_proof p = proof("", ID("1"), ID("2"));
        p.token = str_of(token, (size_t)n);
        token_cache_put(&p, token_cache_generation());
        EXPECT(has(token, 1));
    }
}

TEST(odd_sizes_are_not_kept) {
    struct token_proof p = proof("t", "short", ID("2"));
    char big[TOKEN_KEPT_MAX + 1];
    fresh();
    token_cache_put(&p, token_cache_generation());
    EXPECT(!has("t", 1));
    memset(big, 'x', sizeof big);
    p = proof("", ID("1"), ID("2"));
    p.token = str_of(big, sizeof big);
    token_cache_put(&p, token_cache_generation());
    EXPECT(!token_cache_find(p.token, 1, &p));
    token_cache_stop();
    EXPECT(!has("t", 1));
    token_cache_put(&p, token_cache_generation());
}
