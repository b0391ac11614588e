/* SPDX-License-Identifier: Apache-2.0 */
/* cache_keys_test.c — what conversations cannot show: keys that end, the eight policies and the
 * limit to the byte, tables that grow and shrink under a SCAN, large values freed in slices, and a
 * model beside each type under random changes. */
#include "app/cache/command/dump.c"
#include "app/cache/data/numbers.h"
#include "kernel/platform.h"
#include "tests/cache.h"
#include "tests/test.h"
#include <stdarg.h>

static struct client *open_one(void) {
    cache_test_open();
    return cache_client_numbered(0);
}
static void close_all(void) {
    cache_clients_close();
    for (u32 i = 0; i < CACHE_DATABASES; i++) keys_flush(&databases[i]);
    while (lazy_run(UINT64_MAX)) {}
}
static str ask(struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static str ask(struct client *c, const char *fmt, ...) {
    static char line[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    return cache_do(c, line);
}
static void wait_ms(u64 ms) {
    u64 until = platform_clock_ns() + ms * NS_PER_MS;
    while (platform_clock_ns() < until) {}
}

/* ---- Ends ------------------------------------------------------------------------------------ */

TEST(keys_end_when_asked_for_and_by_themselves) {
    struct client *c = open_one();
    for (int i = 0; i < 500; i++) (void)ask(c, "SET end:%d v PX %d", i, 1 + i % 5);
    (void)ask(c, "SET stays v PX 100000");
    EXPECT(keys_next_end_ms() < INT64_MAX);
    wait_ms(8);
    EXPECT_STR(ask(c, "GET end:7"), S("nil"));
    while (keys_expire_run(UINT64_MAX)) {}
    EXPECT_STR(ask(c, "DBSIZE"), S(":1"));
    EXPECT_EQ(databases[0].ends.count, 1);
    EXPECT_STR(ask(c, "PERSIST stays"), S(":1"));
    EXPECT_EQ(keys_next_end_ms(), INT64_MAX);
    close_all();
}

TEST(fields_end_by_themselves_and_take_the_hash_along) {
    struct client *c = open_one();
    for (int i = 0; i < 200; i++) (void)ask(c, "HSET h f%d v", i);
    EXPECT_STR(ask(c, "HPEXPIRE h 2 FIELDS 2 f1 f2"), S("*2 [:1 :1]"));
    wait_ms(5);
    keys_clock_tick();
    EXPECT_STR(ask(c, "HGET h f1"), S("nil"));
    while (keys_expire_run(UINT64_MAX)) {}
    EXPECT_STR(ask(c, "HLEN h"), S(":198"));
    (void)ask(c, "DEL h");
    (void)ask(c, "HSET h only v");
    (void)ask(c, "HPEXPIRE h 1 FIELDS 1 only");
    wait_ms(4);
    while (keys_expire_run(UINT64_MAX)) {}
    EXPECT_STR(ask(c, "EXISTS h"), S(":0"));
    close_all();
}

/* ---- The limit ------------------------------------------------------------------------------- */

static void fill(struct client *c, enum evict_policy policy, u64 limit, bool ends) {
    static char value[512];
    memset(value, 'x', sizeof value - 1);
    evict_policy_set(policy);
    evict_limit_set(limit);
    for (int i = 0; i < 4000; i++) {
        str got = ends ? ask(c, "SET key:%d %s EX %d", i, value, 1000 + i)
                       : ask(c, "SET key:%d %s", i, value);
        EXPECT_STR(got, S("+OK"));
        /* The command itself may add one key beyond what it found room for. */
        EXPECT(cache_used() + cache_fixed() <= limit + 4096);
    }
    (void)evict_make_room();
    EXPECT(cache_used() + cache_fixed() <= limit);
    EXPECT(cache_used() + cache_fixed() > limit - limit / 8);
}

TEST(every_policy_keeps_the_limit) {
    struct client *c = open_one();
    u64 limit = cache_used() + cache_fixed() + MIB(1);
    for (u32 p = EVICT_ALL_LRU; p < EVICT_POLICY_COUNT; p++) {
        u64 before = keys_stats.evicted;
        fill(c, p, limit, true);
        EXPECT(keys_stats.evicted > before + 1000);
        evict_limit_set(0);
        (void)ask(c, "FLUSHALL SYNC");
        while (lazy_run(UINT64_MAX)) {}
    }
    close_all();
    cache_test_open();
}

TEST(without_eviction_writes_are_refused_and_deletes_are_not) {
    struct client *c = open_one();
    (void)ask(c, "SET a 1");
    (void)ask(c, "SET b 1");
    evict_policy_set(EVICT_NOTHING);
    evict_limit_set(1);
    EXPECT(str_starts(ask(c, "SET c 1"), S("-OOM")));
    EXPECT(str_starts(ask(c, "LPUSH l 1"), S("-OOM")));
    EXPECT_STR(ask(c, "GET a"), S("\"1\""));
    EXPECT_STR(ask(c, "DEL a"), S(":1"));
    (void)ask(c, "MULTI");
    EXPECT(str_starts(ask(c, "SET c 1"), S("-OOM")));
    EXPECT(str_starts(ask(c, "EXEC"), S("-EXECABORT")));
    evict_policy_set(EVICT_VOLATILE_LRU); /* nothing has an end: nothing may go */
    EXPECT(str_starts(ask(c, "SET c 1"), S("-OOM")));
    EXPECT_STR(ask(c, "EXISTS b"), S(":1"));
    evict_limit_set(0);
    EXPECT_STR(ask(c, "SET c 1"), S("+OK"));
    close_all();
    cache_test_open();
}

TEST(the_right_keys_go_first) {
    struct client *c = open_one();
    u64 base = cache_used() + cache_fixed();
    for (int i = 0; i < 100; i++) (void)ask(c, "SET k%d v EX %d", i, i == 42 ? 10 : 1000 + i);
    evict_policy_set(EVICT_VOLATILE_TTL);
    evict_limit_set(cache_used() + cache_fixed() - 1);
    EXPECT(evict_make_room());
    EXPECT_STR(ask(c, "EXISTS k42"), S(":0")); /* exactly the next to end */
    EXPECT_STR(ask(c, "DBSIZE"), S(":99"));
    evict_limit_set(0);
    evict_policy_set(EVICT_ALL_LFU);
    (void)ask(c, "FLUSHALL SYNC");
    while (lazy_run(UINT64_MAX)) {}
    for (int i = 0; i < 50; i++) (void)ask(c, "SET k%d v", i);
    for (int n = 0; n < 300; n++)
        for (int i = 0; i < 10; i++) (void)ask(c, "GET k%d", i);
    evict_limit_set(base + (cache_used() + cache_fixed() - base) / 2);
    while (!evict_make_room()) {}
    evict_limit_set(0);
    for (int i = 0; i < 10; i++) EXPECT_STR(ask(c, "EXISTS k%d", i), S(":1"));
    EXPECT(!str_eq(ask(c, "OBJECT FREQ k1"), S(":0")));
    evict_policy_set(EVICT_ALL_LRU);
    EXPECT(str_starts(ask(c, "OBJECT FREQ k1"), S("-ERR")));
    close_all();
    cache_test_open();
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static u8 seen[3000];
static void see(void *arg, struct node *n) {
    (void)arg;
    s64 i;
    if (integer_parse(dict_key(&databases[0].dict, n), &i)) seen[i] = 1;
}

TEST(a_scan_misses_nothing_that_was_there_throughout) {
    struct client *c = open_one();
    u64 cursor = 0;
    u32 extra = 0, missed = 0;
    for (int i = 0; i < 1000; i++) (void)ask(c, "SET %d v", i);
    memset(seen, 0, sizeof seen);
    do { /* it grows at first, and shrinks later */
        cursor = dict_scan(&databases[0].dict, cursor, see, NULL);
        for (int i = 0; i < 8 && extra < 2000; i++) (void)ask(c, "SET %u v", 1000 + extra++);
        if (extra == 2000)
            for (int i = 0; i < 40; i++) (void)ask(c, "DEL %u", 1000 + (u32)(test_random() % 2000));
    } while (cursor);
    for (int i = 0; i < 1000; i++) missed += !seen[i];
    EXPECT_EQ(missed, 0);
    dict_check(&databases[0].dict);
    close_all();
}

TEST(large_values_are_freed_in_slices) {
    struct client *c = open_one();
    size_t before = cache_used();
    struct lazy_stats lazy;
    for (int i = 0; i < 3000; i++) {
        (void)ask(c, "SADD set m%d", i);
        (void)ask(c, "HSET hash f%d v%d", i, i);
        (void)ask(c, "ZADD zset %d m%d", i, i);
        (void)ask(c, "RPUSH list element:%d", i);
        (void)ask(c, "XADD stream * f v%d", i);
    }
    (void)ask(c, "XGROUP CREATE stream g 0");
    (void)ask(c, "XREADGROUP GROUP g c COUNT 100 STREAMS stream >");
    EXPECT_STR(ask(c, "UNLINK set hash zset list stream"), S(":5"));
    lazy_stats_get(&lazy);
    EXPECT(lazy.pending > 0);
    u32 slices = 0;
    while (lazy_run(platform_clock_ns())) slices++; /* the least a slice can be */
    EXPECT(slices > 10);
    close_all();
    EXPECT_EQ(cache_used(), before);
}

/* ---- Beside a model -------------------------------------------------------------------------- */

/* Random changes of a set, a hash and a sorted set of at most 300 members, through every encoding
 * and back, beside an array. */
TEST(types_agree_with_a_model) {
    static s64 model[300];
    struct client *c = open_one();
    u32 count = 0;
    memset(model, -1, sizeof model);
    for (u32 step = 0; step < 6000; step++) {
        u32 m = (u32)(test_random() % (step % 2000 < 1000 ? 300 : 30));
        u32 v = (u32)test_random() % 1000;
        bool there = model[m] >= 0;
        if (test_random() % 3 || !there) {
            EXPECT_STR(ask(c, "SADD s %u", m), there ? S(":0") : S(":1"));
            EXPECT_STR(ask(c, "HSET h f%u %u", m, v), there ? S(":0") : S(":1"));
            EXPECT_STR(ask(c, "ZADD z %u m%u", v, m), there ? S(":0") : S(":1"));
            count += !there;
            model[m] = v;
        } else {
            EXPECT_STR(ask(c, "SREM s %u", m), S(":1"));
            EXPECT_STR(ask(c, "HDEL h f%u", m), S(":1"));
            EXPECT_STR(ask(c, "ZREM z m%u", m), S(":1"));
            model[m] = -1;
            count--;
        }
        if (step % 64) continue;
        char want[32];
        u32 rank = 0;
        (void)snprintf(want, sizeof want, ":%u", count);
        EXPECT_STR(ask(c, "SCARD s"), str_from_c(want));
        EXPECT_STR(ask(c, "HLEN h"), str_from_c(want));
        EXPECT_STR(ask(c, "ZCARD z"), str_from_c(want));
        if (model[m] < 0) continue;
        for (u32 i = 0; i < 300; i++) rank += model[i] >= 0 && model[i] < model[m];
        (void)snprintf(want, sizeof want, "\"%lld\"", (long long)model[m]);
        EXPECT_STR(ask(c, "HGET h f%u", m), str_from_c(want));
        EXPECT_STR(ask(c, "ZSCORE z m%u", m), str_from_c(want));
        (void)snprintf(want, sizeof want, ":%u", rank);
        EXPECT_STR(ask(c, "ZCOUNT z -inf (%lld", (long long)model[m]), str_from_c(want));
    }
    close_all();
}

TEST(dumped_and_restored_it_is_the_same) {
    struct client *c = open_one();
    static const struct {
        const char *make, *before, *after; /* look: before KEY after */
    } cases[] = {
        {"SET k 5", "GET", ""}, {"SET k \"bytes \\x00\\xff\"", "GET", ""},
        {"RPUSH k a b 3", "LRANGE", "0 -1"}, {"SADD k 1 2 3", "SMEMBERS", ""},
        {"SADD k a b", "SCARD", ""}, {"ZADD k 1.5 a 2 b", "ZRANGE", "0 -1 WITHSCORES"},
        {"HSET k f v g w", "HMGET", "f g"}, {"XADD k 1-1 f v", "XRANGE", "- +"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char first[512];
        str argv[4] = {S("RESTORE"), S("copy"), S("0")};
        size_t n;
        (void)ask(c, "DEL k copy");
        (void)cache_do(c, cases[i].make);
        (void)snprintf(first, sizeof first, "%.*s",
                       STR(ask(c, "%s k %s", cases[i].before, cases[i].after)));
        cache_forget(c);
        cache_send(c, S("DUMP k"));
        char *raw = cache_raw(c, &n), *body = strchr(raw, '\n') + 1;
        argv[3] = str_of(body, n - (size_t)(body - raw) - 2);
        cache_run(c, 4, argv);
        EXPECT_STR(cache_heard(c), S("+OK"));
        EXPECT_STR(ask(c, "%s copy %s", cases[i].before, cases[i].after), str_from_c(first));
        for (size_t at = 0; at < argv[3].len; at++) { /* any broken bit is seen */
            body[at] ^= 4;
            argv[1] = S("broken");
            cache_run(c, 4, argv);
            EXPECT(str_starts(cache_heard(c), S("-ERR")));
            body[at] ^= 4;
        }
        EXPECT_STR(ask(c, "EXISTS broken"), S(":0"));
        free(raw);
    }
    close_all();
}

/* A right checksum over wrong content: refused, or a value like any other; never a broken one. */
TEST(sealed_nonsense_is_refused_or_sound) {
    struct client *c = open_one();
    static const char *const make[] = {
        "RPUSH k a b 3", "SADD k 1 2 3", "SADD k a b", "ZADD k 1.5 a 2 b", "HSET k f v g w",
        "XADD k 1-1 f v", "SET k 5"};
    u32 taken = 0, refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(make); i++) {
        size_t n;
        (void)ask(c, "DEL k");
        (void)cache_do(c, make[i]);
        if (make[i][0] == 'X') {
            (void)ask(c, "XGROUP CREATE k g 0");
            (void)ask(c, "XREADGROUP GROUP g who STREAMS k >");
        }
        if (make[i][0] == 'H') (void)ask(c, "HEXPIRE k 100 FIELDS 1 f");
        cache_forget(c);
        cache_send(c, S("DUMP k"));
        char *raw = cache_raw(c, &n), *good = strchr(raw, '\n') + 1, body[1024];
        size_t len = n - (size_t)(good - raw) - 2;
        REQUIRE(len < sizeof body - 16);
        for (u32 round = 0; round < 1500; round++) {
            size_t now = len - test_random() % (len - 10) * (round % 8 == 0);
            memcpy(body, good, len);
            for (u32 k = 0; k <= round % 3; k++)
                body[1 + test_random() % (now - 9)] = (char)(round % 2 ? test_random()
                                                                       : test_random() % 4);
            u64 seal = str_hash(str_of(body, now - 8), SEAL);
            memcpy(body + now - 8, &seal, 8);
            str argv[] = {S("RESTORE"), S("r"), S("0"), str_of(body, now), S("REPLACE")};
            cache_run(c, ARRAY_LEN(argv), argv);
            bool ok = str_eq(cache_heard(c), S("+OK"));
            taken += ok, refused += !ok;
            if (!ok) continue;
            static const char *const use[] = {
                "DUMP r", "OBJECT ENCODING r", "MEMORY USAGE r", "COPY r r2 REPLACE", "TYPE r",
                "LPUSH r x", "SADD r x", "ZADD r 3 x", "HSET r x y", "XADD r * f v", "APPEND r x",
                "XPENDING r g - + 10", "XINFO STREAM r FULL", "XTRIM r MAXLEN 1", "HGETALL r"};
            for (size_t k = 0; k < ARRAY_LEN(use); k++) (void)cache_do(c, use[k]);
        }
        free(raw);
    }
    EXPECT(taken > 100);
    EXPECT(refused > 1000);
    close_all();
}

TEST(ends_of_restored_keys_beyond_the_clock) {
    struct client *c = open_one();
    size_t n;
    (void)ask(c, "SET k 5");
    cache_forget(c);
    cache_send(c, S("DUMP k"));
    char *raw = cache_raw(c, &n), *body = strchr(raw, '\n') + 1;
    str argv[] = {S("RESTORE"), S("r"), S("9223372036854775807"),
                  str_of(body, n - (size_t)(body - raw) - 2), S("REPLACE"), S("ABSTTL")};
    for (u32 argc = 5; argc <= 6; argc++) {
        cache_run(c, argc, argv);
        EXPECT_STR(cache_heard(c), S("+OK"));
        EXPECT_STR(ask(c, "GET r"), S("\"5\""));
    }
    argv[2] = S("1"); /* long ago: it is not there at all */
    cache_run(c, 6, argv);
    EXPECT_STR(cache_heard(c), S("+OK"));
    EXPECT_STR(ask(c, "EXISTS r"), S(":0"));
    free(raw);
    close_all();
}
