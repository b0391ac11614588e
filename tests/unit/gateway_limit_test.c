/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_limit_test.c — the limiter in a time of the test's own: quota and burst, several buckets,
 * refused calls that cost nothing, keys, answers that count and those that do not, a full table.
 */
#include "app/gateway/limit.c"
#include "tests/unit/http_fake.h"

static u64 now_ns = 1000 * NS_PER_S;
u64 platform_clock_ns(void) { return now_ns; }

static struct edge_bucket buckets[2];
static struct edge_limit rule = {.name = S("r"), .buckets = buckets, .bucket_count = 1};
static struct edge edge = {.limits = &rule, .limit_count = 1};
static const struct route route = {.pattern = "gateway:x"};
static struct request rq;

static void peer(const char *address) {
    EXPECT_OK(net_address_parse(str_from_c(address), &fake.request.peer));
}

/* The status of one request; 200: let through. */
static int ask_from(const char *address, int status) {
    u32 first = 0;
    fake_begin(HTTP_GET, "/x");
    peer(address);
    rq.x = &fake.x, rq.http = &fake.request, rq.arena = &fake.arena, rq.route = &route;
    rc_t rc = limit_charge(&rq, &edge, &first, 1, limit_wants_actor(&rule));
    if (rc == RC_OK) fake.x.status = status;
    int got = rc == RC_OK ? 200 : fake.x.status;
    if (rc) fake_end(); /* refused: one answer */
    arena_close(&fake.arena); /* what counts only some answers is settled here */
    arena_open(&fake.arena, NULL, 0, MIB(1));
    return got;
}
static int ask(void) { return ask_from("192.0.2.1", 200); }

static void begin(u32 quota, u64 window_ms, u32 burst) {
    static bool ready;
    if (!ready) memory_init(MIB(64));
    ready = true;
    limit_forget();
    rq = (struct request){0};
    rule.key = EDGE_KEY_NETWORK;
    rule.only_failed = false;
    rule.bucket_count = 1;
    buckets[0] = (struct edge_bucket){.quota = quota, .burst = burst, .window_ms = window_ms};
}

TEST(a_quota_and_its_refill) {
    begin(10, 10000, 10);
    for (u32 i = 0; i < 10; i++) EXPECT_EQ(ask(), 200);
    for (u32 i = 0; i < 5; i++) EXPECT_EQ(ask(), 429);
    EXPECT(header("Retry-After: 1\n"));
    EXPECT(header("RateLimit-Policy: \"r\";q=10;w=10\n"));
    EXPECT(header("RateLimit: \"r\";r=0;t=10\n"));
    now_ns += NS_PER_S - 1;
    EXPECT_EQ(ask(), 429);
    now_ns += 1;
    EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429);
    now_ns += 100 * NS_PER_S; /* no more than the burst is saved up */
    for (u32 i = 0; i < 10; i++) EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429);
}

TEST(a_burst_is_less_than_the_quota) {
    begin(100, 10000, 3);
    for (u32 i = 0; i < 3; i++) EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429);
    u32 through = 0;
    for (u32 i = 0; i < 100; i++) { /* a second in steps of 10 ms: the pace, whatever is asked */
        now_ns += 10 * NS_PER_MS;
        through += ask() == 200;
    }
    EXPECT_EQ(through, 10);
}

TEST(all_buckets_or_none) {
    begin(5, 1000, 5);
    rule.bucket_count = 2;
    buckets[1] = (struct edge_bucket){.quota = 8, .burst = 8, .window_ms = 100000};
    for (u32 i = 0; i < 5; i++) EXPECT_EQ(ask(), 200);
    for (u32 i = 0; i < 50; i++) EXPECT_EQ(ask(), 429); /* costs the second bucket nothing */
    now_ns += NS_PER_S;
    for (u32 i = 0; i < 3; i++) EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429);
    EXPECT(header("\"r\";q=5;w=1, \"r-2\";q=8;w=100\n"));
    EXPECT(header("Retry-After: 12\n") || header("Retry-After: 13\n"));
}

TEST(networks_users_keys_and_routes) {
    begin(1, 10000, 1);
    EXPECT_EQ(ask_from("192.0.2.1", 200), 200);
    EXPECT_EQ(ask_from("192.0.2.2", 200), 200);
    EXPECT_EQ(ask_from("192.0.2.1", 200), 429);
    EXPECT_EQ(ask_from("2001:db8:0:1::1", 200), 200);
    EXPECT_EQ(ask_from("2001:db8:0:1:ffff::2", 200), 429); /* the same /64 */
    EXPECT_EQ(ask_from("2001:db8:0:2::1", 200), 200);
    rule.key = EDGE_KEY_ROUTE;
    EXPECT_EQ(ask_from("192.0.2.1", 200), 200);
    EXPECT_EQ(ask_from("192.0.2.2", 200), 429);
    rule.key = EDGE_KEY_USER;
    rq.actor = (struct actor){.user_id = S("u1"), .kind = ACTOR_KEY, .session_id = S("k1")};
    EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask_from("192.0.2.9", 200), 429);
    rule.key = EDGE_KEY_API_KEY;
    EXPECT_EQ(ask(), 200);
    rq.actor.session_id = S("k2");
    EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429);
}

TEST(only_some_answers_count) {
    begin(2, 10000, 2);
    rule.only_failed = true;
    rule.status_from = 401, rule.status_to = 403;
    for (u32 i = 0; i < 10; i++) EXPECT_EQ(ask_from("192.0.2.1", 200), 200);
    for (u32 i = 0; i < 2; i++) EXPECT_EQ(ask_from("192.0.2.1", 403), 200);
    EXPECT_EQ(ask_from("192.0.2.1", 403), 429);
    EXPECT_EQ(ask_from("192.0.2.1", 200), 429);
}

TEST(a_full_table_forgets_who_used_least) {
    begin(1000, 1000000, 1000);
    for (u32 i = 0; i < 500; i++) EXPECT_EQ(ask(), 200); /* one who asks much */
    char address[64];
    for (u32 i = 0; i < 200000; i++) {
        snprintf(address, sizeof address, "2001:db8:%x:%x::1", i >> 16, i & 0xFFFF);
        struct net_address a;
        EXPECT_OK(net_address_parse(str_from_c(address), &a));
        tat_set(str_hash(network_of(&a), 7) | 1, now_ns + NS_PER_S);
    }
    for (u32 i = 0; i < 500; i++) EXPECT_EQ(ask(), 200);
    EXPECT_EQ(ask(), 429); /* he is not forgotten */
}

TEST(without_memory_nothing_is_refused) {
    begin(1, 10000, 1);
    memory_fault_set(1, false);
    fake_begin(HTTP_GET, "/x");
    u32 first = 0;
    rq.x = &fake.x, rq.http = &fake.request, rq.arena = &fake.arena, rq.route = &route;
    EXPECT_RC(limit_charge(&rq, &edge, &first, 1, false), RC_PASS);
    memory_fault_set(0, false);
}
