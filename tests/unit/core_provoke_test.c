/* SPDX-License-Identifier: Apache-2.0 */
/* core_provoke_test.c — each provocation does what it says, and is refused when it makes no
 * sense. */
#include "kernel/core/provoke.c"
#include "kernel/core/loop.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

static u8 page[512] __attribute__((aligned(16)));
static struct buf out;

static void begin(void) {
    sim_start(&(struct sim_options){.seed = 1, .disk_count = 1, .disk_bytes = MIB(1)});
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(4));
    EXPECT_OK(disk_init());
    EXPECT_OK(console_init());
    EXPECT_OK(provoke_init());
    buf_open(&out, 4096);
}
static str say(const char *arguments) {
    buf_clear(&out);
    run_provoke(str_from_c(arguments), &out);
    return str_trim(buf_str(&out));
}
static void end(void) {
    buf_close(&out);
    sim_stop();
}

TEST(nonsense_is_refused) {
    begin();
    EXPECT_STR(say(""), S("provoked: RC_NOT_FOUND"));
    EXPECT_STR(say("peace"), S("provoked: RC_NOT_FOUND"));
    EXPECT_STR(say("disk"), S("provoked: RC_NOT_FOUND"));
    EXPECT_STR(say("disk 1 read 1 RC_IO"), S("provoked: RC_NOT_FOUND"));
    EXPECT_STR(say("disk 0 read x RC_IO"), S("provoked: RC_INVALID"));
    EXPECT_STR(say("disk 0 read 1 RC_OK"), S("provoked: RC_INVALID"));
    EXPECT_STR(say("disk 0 erase 1 RC_IO"), S("provoked: RC_INVALID"));
    EXPECT_STR(say("memory sql 101"), S("provoked: RC_INVALID"));
    EXPECT_STR(say("memory gold 10"), S("provoked: RC_NOT_FOUND"));
    EXPECT_STR(say("stall"), S("provoked: RC_INVALID"));
    EXPECT_STR(say("stall 99999999"), S("provoked: RC_INVALID"));
    end();
}

TEST(a_disk_fails_and_is_well_again) {
    begin();
    EXPECT_STR(say("disk 0 write 2 RC_FULL for-ever"), S("provoked: RC_OK"));
    EXPECT_OK(disk_write(0, 0, 1, page));
    for (int i = 0; i < 20; i++) EXPECT_RC(disk_write(0, 0, 1, page), RC_FULL);
    EXPECT_OK(disk_read(0, 0, 1, page));
    EXPECT_STR(say("disk 0 write 0"), S("provoked: RC_OK"));
    EXPECT_OK(disk_write(0, 0, 1, page));
    EXPECT_STR(say("disk 0 read 1 RC_IO"), S("provoked: RC_OK"));
    EXPECT_RC(disk_read(0, 0, 1, page), RC_IO);
    EXPECT_OK(disk_read(0, 0, 1, page));
    end();
}

TEST(memory_is_taken_and_given_back) {
    begin();
    struct memory_use before, use;
    memory_use_get(MEMORY_SQL, &before);
    EXPECT_STR(say("memory sql 50"), S("provoked: RC_OK"));
    memory_use_get(MEMORY_SQL, &use);
    EXPECT(use.used >= use.limit / 100 * 50);
    EXPECT_STR(say("memory sql 100"), S("provoked: RC_OK"));
    EXPECT(memory_alloc(MEMORY_SQL, 1) == NULL);
    EXPECT_STR(say("memory sql 0"), S("provoked: RC_OK"));
    memory_use_get(MEMORY_SQL, &use);
    EXPECT_EQ(use.used, before.used);
    memory_fault_set(2, false);
    void *first = memory_alloc(MEMORY_SQL, 1);
    EXPECT(first != NULL);
    EXPECT(memory_alloc(MEMORY_SQL, 1) == NULL);
    memory_free(MEMORY_SQL, first);
    memory_fault_set(1, true);
    EXPECT(memory_alloc(MEMORY_SQL, 1) == NULL);
    EXPECT(memory_alloc(MEMORY_SQL, 1) == NULL);
    memory_fault_set(0, false);
    first = memory_alloc(MEMORY_SQL, 1);
    EXPECT(first != NULL);
    memory_free(MEMORY_SQL, first);
    end();
}

static void panics(void *unused) {
    (void)unused;
    begin();
    (void)say("panic");
}
TEST(a_panic_is_a_panic) { EXPECT_PANIC(panics, NULL, "provoked on the console"); }

TEST(a_stack_that_is_dug_through_is_started_on_a_fiber) {
    begin();
    EXPECT_STR(say("stack"), S("provoked: RC_OK"));
    EXPECT_EQ(fiber_count(), 1); /* not run here: the sanitizer would end the test with it */
    end();
}
