/* SPDX-License-Identifier: Apache-2.0 */
/* app_gateway_load_test.c — shedding: who is refused, when it ends, and that an idle machine
 * sleeps. */
#include "app/gateway/load.c"
#include "tests/test.h"

static u64 now_ns;
static u32 pressure;
static int status;
u64 platform_clock_ns(void) { return now_ns; }
u64 loop_now_ns(void) { return now_ns; }
u32 memory_pressure_percent(void) { return pressure; }
rc_t http_answer_field(struct http_exchange *x, str name, str value) {
    (void)x;
    (void)name;
    (void)value;
    return RC_OK;
}
void reply_problem(struct request *rq, int s, const char *code, const char *detail, ...) {
    (void)rq;
    (void)code;
    (void)detail;
    status = s;
}

static const struct route ordinary = {.pattern = "/o"}, probe = {.pattern = "/p", .quiet = true},
                          admin = {.pattern = "/a", .access = ACCESS_ADMIN};
static bool shed(const struct route *r) {
    struct request rq = {.route = r};
    status = 0;
    rc_t rc = load_limit(&rq);
    EXPECT_EQ(rc != RC_OK, status == 503);
    return status == 503;
}
/* The loop comes round after this long; timers that are due fire. */
static void turn_after_ms(u64 ms) {
    now_ns += ms * NS_PER_MS;
    while (timer_run(now_ns)) {}
}
static void fresh(void) {
    timer_stop(&load.sampler);
    memset(&load, 0, sizeof load);
    now_ns += 1000 * NS_PER_S;
    pressure = 10;
}

TEST(serves_all_when_well) {
    fresh();
    for (int i = 0; i < 50; i++) {
        EXPECT(!shed(&ordinary));
        turn_after_ms(SAMPLE_MS);
    }
    EXPECT_EQ(load_lag_us(), 0);
}

TEST(a_full_memory_sheds_all_but_probes_and_administrators) {
    fresh();
    pressure = 90;
    EXPECT(shed(&ordinary));
    EXPECT(!shed(&probe));
    EXPECT(!shed(&admin));
    EXPECT_EQ(load_memory_percent(), 90);
    pressure = 89;
    turn_after_ms(SAMPLE_MS);
    EXPECT(!shed(&ordinary));
}

TEST(a_late_loop_sheds_until_it_keeps_time_again) {
    fresh();
    EXPECT(!shed(&ordinary));
    turn_after_ms(SAMPLE_MS + 400);
    EXPECT(!shed(&ordinary));
    turn_after_ms(SAMPLE_MS + 300);
    EXPECT_EQ(load_lag_us(), 300000);
    EXPECT(shed(&ordinary));
    turn_after_ms(SAMPLE_MS + 400);
    EXPECT(shed(&ordinary));
    turn_after_ms(SAMPLE_MS);
    EXPECT(!shed(&ordinary)); /* half of it is forgotten with each good sample */
    turn_after_ms(SAMPLE_MS + 240);
    EXPECT(!shed(&ordinary));
}

/* The machine stood still for two seconds, once: everybody is served. */
TEST(a_pause_is_not_overload) {
    fresh();
    for (int i = 0; i < 10; i++) {
        EXPECT(!shed(&ordinary));
        turn_after_ms(SAMPLE_MS + (i == 4 ? 2000 : 20));
    }
    EXPECT_EQ(load_lag_us() / 1000, 20);
}

TEST(sampling_stops_when_nobody_asks) {
    fresh();
    EXPECT(!shed(&ordinary));
    EXPECT(timer_waiting(&load.sampler));
    for (int i = 0; i < 30; i++) turn_after_ms(SAMPLE_MS);
    EXPECT(!timer_waiting(&load.sampler));
    EXPECT(!shed(&probe)); /* probes do not wake it */
    EXPECT(!timer_waiting(&load.sampler));
    turn_after_ms(100000); /* a long sleep is not lag */
    EXPECT(!shed(&ordinary));
    EXPECT(timer_waiting(&load.sampler));
    timer_stop(&load.sampler);
}
