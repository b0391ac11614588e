/* SPDX-License-Identifier: Apache-2.0 */
/* auth_delay_test.c — what failed logins cost, and whom they do not hurt. */
#include "app/auth/delay.c"
#include <stdio.h>
#include "tests/test.h"

static const struct net_address home = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 7}};
static const struct net_address neighbour = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 200}};
static const struct net_address away = {.bytes = {[10] = 0xff, 0xff, 198, 51, 100, 9}};
static const struct net_address six = {.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 9, 9}};
#define SECOND NS_PER_S

static void fresh(void) {
    memset(table, 0, sizeof table);
    EXPECT_OK(delay_start());
}

TEST(five_tries_are_free_then_each_costs_twice_as_much) {
    u64 now = SECOND, before = 0;
    fresh();
    for (int i = 0; i < 5; i++) EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 1 * SECOND);
    EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 1 * SECOND); /* asking again does not count */
    for (int i = 0; i < 12; i++) {
        u64 wait = delay_take(S("a@b.c"), &home, now);
        EXPECT(wait >= before);
        EXPECT(wait <= 300 * SECOND);
        before = wait;
        now += wait;
        EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    }
    EXPECT_EQ(before, 300 * SECOND);
}

TEST(a_network_is_one_guesser) {
    u64 now = SECOND;
    fresh();
    for (int i = 0; i < 5; i++) EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    EXPECT(delay_take(S("a@b.c"), &neighbour, now) > 0); /* the same /24 */
    EXPECT_EQ(delay_take(S("a@b.c"), &away, now), 0);
    EXPECT_EQ(delay_take(S("a@b.c"), &six, now), 0);
}

TEST(success_forgives_and_makes_a_friend) {
    u64 now = SECOND;
    fresh();
    for (int i = 0; i < 4; i++) EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    delay_succeeded(S("a@b.c"), &home, now);
    for (int i = 0; i < 5; i++) EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
}

TEST(others_cannot_slow_the_owner_where_they_logged_in_before) {
    u64 now = SECOND;
    struct net_address many = away;
    fresh();
    EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    delay_succeeded(S("a@b.c"), &home, now);
    for (int i = 0; i < 20; i++) { /* a botnet: one try from each network */
        many.bytes[13] = (u8)i;
        EXPECT_EQ(delay_take(S("a@b.c"), &many, now), 0);
    }
    many.bytes[13] = 77;
    EXPECT(delay_take(S("a@b.c"), &many, now) > 0); /* the account is being guessed */
    EXPECT(delay_take(S("a@b.c"), &many, now) <= 10 * SECOND);
    EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0); /* its owner goes in */
}

TEST(one_guesser_of_many_accounts_is_slowed) {
    u64 now = SECOND;
    char email[32];
    fresh();
    int passed = 0;
    for (int i = 0; i < 100; i++) {
        int n = snprintf(email, sizeof email, "user%d@example.org", i);
        passed += delay_take(str_of(email, (size_t)n), &home, now) == 0;
    }
    EXPECT_EQ(passed, 30);
}

TEST(a_burst_is_counted_before_any_of_it_is_judged) {
    u64 now = SECOND;
    int passed = 0;
    fresh();
    for (int i = 0; i < 32; i++) passed += delay_take(S("a@b.c"), &home, now) == 0;
    EXPECT_EQ(passed, 5);
}

TEST(a_try_that_was_not_judged_does_not_count) {
    u64 now = SECOND;
    fresh();
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
        delay_returned(S("a@b.c"), &home, now);
    }
}

TEST(time_forgets) {
    u64 now = SECOND;
    fresh();
    for (int i = 0; i < 5; i++) EXPECT_EQ(delay_take(S("a@b.c"), &home, now), 0);
    EXPECT(delay_take(S("a@b.c"), &home, now) > 0);
    EXPECT_EQ(delay_take(S("a@b.c"), &home, now + 901 * SECOND), 0);
}

TEST(the_table_is_bounded_and_survives_a_flood_of_names) {
    u64 now = SECOND;
    char email[64];
    struct net_address from = away;
    fresh();
    for (int i = 0; i < 100000; i++) {
        from.bytes[12] = (u8)(i >> 8), from.bytes[13] = (u8)i, from.bytes[14] = (u8)(i >> 16);
        int n = snprintf(email, sizeof email, "flood%d@example.org", i);
        (void)delay_take(str_of(email, (size_t)n), &from, now + (u64)i);
    }
    EXPECT_EQ(sizeof table, sizeof(struct entry) * DELAY_BUCKETS * DELAY_WAYS);
}
