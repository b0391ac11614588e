/* SPDX-License-Identifier: Apache-2.0 */
/* core_memory_test.c — Budgets bind, count exactly, and always fit the heap. */
#include "kernel/core/memory.c"
#include "tests/test.h"
#include <stdio.h>

static struct memory_use use_of(enum memory_budget b) {
    struct memory_use u;
    memory_use_get(b, &u);
    return u;
}

TEST(limits_fit_any_heap) {
    u64 heaps[] = {0, 1, 4096, MIB(8), MIB(40), MIB(44), MIB(64), MIB(256), MIB(65536)};
    for (u32 i = 0; i < ARRAY_LEN(heaps); i++) {
        memory_init(heaps[i]);
        u64 sum = 0;
        for (u32 b = 0; b < MEMORY_BUDGET_COUNT; b++) {
            sum += budgets[b].limit;
            EXPECT(budgets[b].limit <= budgets[b].most);
            if (heaps[i] >= MIB(64)) EXPECT(budgets[b].limit >= budgets[b].least);
        }
        EXPECT(sum <= heaps[i]);
    }
    EXPECT_EQ(memory_heap_bytes(), 65536ull << 20);
}

TEST(counts_to_the_byte) {
    memory_init(MIB(64));
    size_t before = use_of(MEMORY_CACHE).used;
    char *p = memory_alloc(MEMORY_CACHE, 100);
    REQUIRE(p);
    EXPECT_EQ((uintptr_t)p % 16, 0);
    EXPECT_EQ(memory_size(p), 100);
    EXPECT_EQ(use_of(MEMORY_CACHE).used - before, 116);
    memset(p, 7, 100);
    p = memory_resize(MEMORY_CACHE, p, 5000);
    REQUIRE(p);
    EXPECT_EQ(p[99], 7);
    EXPECT_EQ(use_of(MEMORY_CACHE).used - before, 5016);
    p = memory_resize(MEMORY_CACHE, p, 10);
    EXPECT_EQ(use_of(MEMORY_CACHE).used - before, 26);
    EXPECT(use_of(MEMORY_CACHE).peak >= 5016);
    memory_free(MEMORY_CACHE, p);
    memory_free(MEMORY_CACHE, NULL);
    EXPECT_EQ(use_of(MEMORY_CACHE).used, before);
    char *z = memory_zero(MEMORY_CACHE, 64);
    REQUIRE(z);
    for (int i = 0; i < 64; i++) EXPECT_EQ(z[i], 0);
    memory_free(MEMORY_CACHE, z);
}

TEST(refuses_beyond_the_budget_and_says_so) {
    memory_init(MIB(64));
    struct memory_use u = use_of(MEMORY_CACHE);
    EXPECT(memory_alloc(MEMORY_CACHE, u.limit + 1) == NULL);
    EXPECT(memory_alloc(MEMORY_CACHE, SIZE_MAX) == NULL);
    EXPECT(memory_alloc(MEMORY_CACHE, SIZE_MAX - 8) == NULL);
    EXPECT(!memory_charge(MEMORY_CACHE, SIZE_MAX));
    EXPECT_EQ(use_of(MEMORY_CACHE).used, u.used);
    EXPECT(use_of(MEMORY_CACHE).refused >= u.refused + 2);
    char *p = memory_alloc(MEMORY_CACHE, 1000);
    REQUIRE(p);
    EXPECT(memory_resize(MEMORY_CACHE, p, u.limit) == NULL);
    EXPECT(memory_resize(MEMORY_CACHE, p, SIZE_MAX - 4) == NULL);
    EXPECT_EQ(memory_size(p), 1000); /* as it was */
    memory_free(MEMORY_CACHE, p);
    p = memory_resize(MEMORY_CACHE, NULL, 8);
    EXPECT(p != NULL);
    memory_free(MEMORY_CACHE, p);
}

TEST(other_budgets_are_not_touched) {
    memory_init(MIB(64));
    size_t n = use_of(MEMORY_POLICY).limit;
    EXPECT(memory_charge(MEMORY_POLICY, n));
    EXPECT(!memory_charge(MEMORY_POLICY, 1));
    void *p = memory_alloc(MEMORY_SQL, 4096);
    EXPECT(p != NULL);
    memory_free(MEMORY_SQL, p);
    EXPECT(memory_pressure_percent() >= 1);
    memory_refund(MEMORY_POLICY, n);
}

static void free_from_wrong_budget(void *arg) { memory_free(MEMORY_SQL, arg); }
static void give_back_too_much(void *arg) {
    (void)arg;
    memory_refund(MEMORY_POLICY, SIZE_MAX / 2);
}
TEST(mistakes_are_caught) {
    memory_init(MIB(64));
    void *p = memory_alloc(MEMORY_CACHE, 10);
    EXPECT_PANIC(free_from_wrong_budget, p, "budget");
    EXPECT_PANIC(give_back_too_much, NULL, "before >= n");
    memory_free(MEMORY_CACHE, p);
}

TEST(prints_every_budget) {
    struct buf b;
    buf_open(&b, 8192);
    memory_init(MIB(64));
    memory_print(&b);
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++)
        EXPECT(str_find(buf_str(&b), str_from_c(budgets[i].name)) < b.len);
    EXPECT(!b.failed);
    buf_close(&b);
    buf_open(&b, 100);
    memory_print(&b); /* no room: cut, and known */
    EXPECT(b.failed);
    buf_close(&b);
}

TEST(an_empty_heap_has_no_pressure) {
    memory_init(0);
    EXPECT_EQ(memory_pressure_percent(), 0);
    memory_init(MIB(64));
}
