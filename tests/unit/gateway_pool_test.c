/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_pool_test.c — whose turn it is: weights, load, keys; who rests and for how long; the
 * breaker's three states; the budget of retries; what stays when the table changes. In a time of
 * the test's own. */
#include "app/gateway/pool.c"
#include "tests/test.h"

static u64 now_ns = NS_PER_S;
u64 loop_now_ns(void) { return now_ns; }

static struct edge_target targets[3] = {{S("http://a"), 3}, {S("http://b"), 1}, {S("http://c"), 1}};
static struct edge_upstream up;
static struct pool *pool;

static void begin(u32 count, enum edge_balance balance) {
    static bool ready;
    if (!ready) memory_init(MIB(64));
    ready = true;
    targets[0].weight = 1;
    up = (struct edge_upstream){.name = S("up"), .targets = targets, .target_count = count,
                                .balance = balance, .requests_max = 100, .eject_failures = 2,
                                .eject_ms = 1000, .breaker_ms = 1000};
    log_console_level_set(LOG_ERROR + 1);
}
static void open_pool(void) { EXPECT_OK(pool_open(&up, &pool)); }
static void close_pool(void) {
    pool_close(pool, &up);
    EXPECT(pools_first == NULL);
}

/* One request that ends so; the target it went to, or -1. */
static int ask(enum pool_outcome outcome, u64 hash) {
    struct pool_pick k = {.upstream = &up, .pool = pool, .hash = hash};
    u32 target, wait_s;
    if (pool_take(&k, &target, &wait_s)) return -1;
    pool_done(&k, target, outcome);
    return (int)target;
}

TEST(turns_follow_the_weights) {
    u32 got[3] = {0};
    begin(3, EDGE_ROUND_ROBIN);
    targets[0].weight = 3;
    open_pool();
    for (u32 i = 0; i < 50; i++) got[ask(POOL_ANSWERED, 0)]++;
    EXPECT_EQ(got[0], 30);
    EXPECT_EQ(got[1], 10);
    EXPECT_EQ(got[2], 10);
    close_pool();
}

TEST(load_goes_where_less_is_under_way) {
    begin(2, EDGE_LEAST_REQUEST);
    open_pool();
    struct pool_pick held[20];
    u32 got[2] = {0}, target, wait_s;
    for (u32 i = 0; i < 20; i++) {
        held[i] = (struct pool_pick){.upstream = &up, .pool = pool};
        EXPECT_OK(pool_take(&held[i], &target, &wait_s));
        got[target]++;
    }
    EXPECT_EQ(got[0], 10);
    for (u32 i = 0; i < 20; i++) pool_done(&held[i], held[i].tried == 1 ? 0 : 1, POOL_ANSWERED);
    close_pool();
}

TEST(keys_stay_with_their_server) {
    int home[200], moved = 0, on_third = 0;
    begin(3, EDGE_HASH);
    open_pool();
    for (u32 i = 0; i < 200; i++) {
        home[i] = ask(POOL_ANSWERED, i * 7919);
        EXPECT_EQ(ask(POOL_ANSWERED, i * 7919), home[i]);
        on_third += home[i] == 2;
    }
    EXPECT(on_third > 30 && on_third < 110);
    close_pool();
    begin(2, EDGE_HASH);
    open_pool();
    for (u32 i = 0; i < 200; i++) moved += home[i] != 2 && ask(POOL_ANSWERED, i * 7919) != home[i];
    EXPECT_EQ(moved, 0);
    close_pool();
}

TEST(a_failing_server_rests_but_never_the_last) {
    begin(2, EDGE_ROUND_ROBIN);
    open_pool();
    for (u32 i = 0; i < 20; i++) { /* the second one fails */
        struct pool_pick k = {.upstream = &up, .pool = pool};
        u32 target, wait_s;
        EXPECT_OK(pool_take(&k, &target, &wait_s));
        pool_done(&k, target, target == 1 ? POOL_FAILED : POOL_ANSWERED);
    }
    struct pool_view *v = view_of(pool, &up);
    EXPECT(resting(v->targets[1]) && !resting(v->targets[0]));
    for (u32 i = 0; i < 10; i++) EXPECT_EQ(ask(POOL_ANSWERED, 0), 0);
    for (u32 i = 0; i < 10; i++) EXPECT_EQ(ask(POOL_FAILED, 0), 0); /* nobody is left but it */
    EXPECT(!resting(v->targets[0]));
    now_ns += 1001 * NS_PER_MS;
    EXPECT(!resting(v->targets[1]));
    v->targets[0]->ill = v->targets[1]->ill = true; /* then all are tried */
    EXPECT(ask(POOL_ANSWERED, 0) >= 0);
    close_pool();
}

TEST(the_breaker_opens_probes_and_closes) {
    u32 target, wait_s;
    begin(1, EDGE_ROUND_ROBIN);
    up.breaker_failures = 3;
    open_pool();
    for (u32 i = 0; i < 3; i++) EXPECT_EQ(ask(POOL_FAILED, 0), 0);
    struct pool_pick k = {.upstream = &up, .pool = pool}, other = k;
    EXPECT_RC(pool_take(&k, &target, &wait_s), RC_DENIED);
    EXPECT_EQ(wait_s, 1);
    now_ns += 1001 * NS_PER_MS;
    EXPECT_OK(pool_take(&k, &target, &wait_s)); /* one probe at a time */
    EXPECT_RC(pool_take(&other, &target, &wait_s), RC_DENIED);
    pool_done(&k, 0, POOL_FAILED);
    EXPECT_RC(pool_take(&other, &target, &wait_s), RC_DENIED);
    EXPECT_EQ(wait_s, 2); /* doubled */
    now_ns += 2001 * NS_PER_MS;
    EXPECT_EQ(ask(POOL_UNKNOWN, 0), 0); /* says nothing */
    for (u32 i = 0; i < 3; i++) EXPECT_EQ(ask(POOL_ANSWERED, 0), 0);
    EXPECT_EQ(pool->breaker, BREAKER_CLOSED);
    for (u32 i = 0; i < 30; i++) (void)ask(i % 2 ? POOL_FAILED : POOL_ANSWERED, 0);
    EXPECT_EQ(pool->breaker, BREAKER_OPEN); /* half of many, never three in a row */
    close_pool();
}

TEST(too_many_at_once_and_all_tried) {
    u32 target, wait_s;
    begin(2, EDGE_ROUND_ROBIN);
    up.requests_max = 1;
    open_pool();
    struct pool_pick a = {.upstream = &up, .pool = pool}, b = a, c = a;
    EXPECT_OK(pool_take(&a, &target, &wait_s));
    EXPECT_OK(pool_take(&b, &target, &wait_s));
    EXPECT_RC(pool_take(&c, &target, &wait_s), RC_LIMIT);
    pool_done(&a, a.tried == 1 ? 0 : 1, POOL_FAILED);
    pool_done(&b, b.tried == 1 ? 0 : 1, POOL_ANSWERED);
    EXPECT_OK(pool_take(&b, &target, &wait_s));
    pool_done(&b, target, POOL_ANSWERED);
    EXPECT_RC(pool_take(&b, &target, &wait_s), RC_NOT_FOUND);
    close_pool();
}

TEST(retries_have_a_budget) {
    begin(1, EDGE_ROUND_ROBIN);
    open_pool();
    u32 granted = 0;
    now_ns += 2 * NS_PER_S;
    for (u32 i = 0; i < 20; i++) granted += pool_may_retry(pool);
    EXPECT_EQ(granted, 3);
    now_ns += 2 * NS_PER_S;
    EXPECT(pool_may_retry(pool));
    close_pool();
}

TEST(what_was_seen_outlives_the_table) {
    begin(2, EDGE_ROUND_ROBIN);
    open_pool();
    struct pool *before = pool;
    view_of(pool, &up)->targets[1]->ill = true;
    struct edge_upstream next = up;
    EXPECT_OK(pool_open(&next, &pool));
    EXPECT(pool == before);
    pool_close(pool, &up);
    EXPECT(view_of(pool, &next)->targets[1]->ill);
    pool_close(pool, &next);
    EXPECT(pools_first == NULL);
    memory_fault_set(1, false);
    EXPECT_RC(pool_open(&up, &pool), RC_NO_MEMORY);
    memory_fault_set(3, false);
    EXPECT_RC(pool_open(&up, &pool), RC_NO_MEMORY);
    memory_fault_set(0, false);
    EXPECT(pools_first == NULL);
}
