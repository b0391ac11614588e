/* SPDX-License-Identifier: Apache-2.0 */
/* core_console_test.c — The operator's line: editing, dispatch, bounds, noise. Output is caught
 * by a platform call of our own in place of the machine's. */
#include "kernel/core/console.c"
#include "kernel/host/sim.h"
#include "tests/test.h"

static char out[65536];
static size_t out_len;
static const char *typing;

void platform_console_put(str bytes) {
    size_t n = MIN(bytes.len, sizeof out - 1 - out_len);
    memcpy(out + out_len, bytes.ptr, n);
    out_len += n;
    out[out_len] = 0;
}
int platform_console_get(void) { return typing && *typing ? (u8)*typing++ : -1; }

static str got_arguments;
static char kept[64];
static void run_echo(str arguments, struct buf *to) {
    EXPECT_OK(str_to_c(arguments, kept, sizeof kept));
    got_arguments = str_from_c(kept);
    EXPECT_OK(buf_printf(to, "<%.*s>\n", STR(arguments)));
}
static const struct console_command echo = {"echo", "says it again", run_echo};
static void run_flood(str arguments, struct buf *to) {
    (void)arguments;
    for (u32 i = 0; i < 100000; i++) (void)buf_add(to, S("0123456789"));
}
static const struct console_command flood = {"flood", "too much", run_flood};

static void begin(void) {
    sim_start(&(struct sim_options){.seed = 1, .disk_count = 1, .disk_bytes = MIB(1)});
    memory_init(MIB(64));
    loop_init();
    EXPECT_OK(fiber_init(4));
    EXPECT_OK(worker_init());
    EXPECT_OK(disk_init());
    EXPECT_OK(console_init());
    EXPECT_OK(console_command_add(&echo));
    EXPECT_OK(console_command_add(&flood));
    typing = NULL;
    out_len = 0;
    out[0] = 0;
}
static const char *type(const char *keys) {
    out_len = 0;
    out[0] = 0;
    typing = keys;
    while (on_typing(NULL, WAIT_CONSOLE)) {}
    return out;
}
static bool says(const char *word) { return strstr(out, word) != NULL; }

TEST(a_line_finds_its_command) {
    begin();
    type("echo  one two \r");
    EXPECT_STR(got_arguments, S("one two"));
    EXPECT(says("<one two>"));
    type("echo\r\n");
    EXPECT_STR(got_arguments, S(""));
    type("echo three\n");
    EXPECT_STR(got_arguments, S("three"));
    type("\r\r\n   \r");
    EXPECT(!says("<"));
    sim_stop();
}

TEST(editing_and_noise) {
    begin();
    type("ecxx\b\x7fho \x1b[A1\x01\x80\r"); /* escape sequences leave their letters, nothing else */
    EXPECT_STR(got_arguments, S("[A1"));
    type("nonsense\x15\b\b\becho after\r");
    EXPECT_STR(got_arguments, S("after"));
    sim_stop();
}

TEST(unknown_gets_help) {
    begin();
    type("frobnicate\r");
    EXPECT(says("No such command"));
    EXPECT(says("says it again"));
    type("help\r");
    EXPECT(!says("No such command"));
    EXPECT(says("  mem "));
    sim_stop();
}

TEST(long_lines_and_long_answers_are_bounded) {
    char keys[CONSOLE_LINE_MAX + 20];
    begin();
    memset(keys, 'a', sizeof keys);
    keys[sizeof keys - 2] = '\r';
    keys[sizeof keys - 1] = 0;
    type(keys);
    EXPECT(says("too long"));
    type("echo fine\r");
    EXPECT(says("<fine>"));
    type("flood\r");
    EXPECT(says("(cut"));
    type("echo fine\r");
    EXPECT(says("<fine>"));
    static char many[4 * INPUT_PER_TURN];
    memset(many, 'b', sizeof many - 1);
    typing = many;
    EXPECT(on_typing(NULL, WAIT_CONSOLE)); /* stops early, says so */
    EXPECT_EQ(*typing, 'b');
    sim_stop();
}

static void parked(void *arg) {
    (void)arg;
    fiber_sleep_ms(10);
    type("fibers\r");
    EXPECT(says("a-name"));
    type("loop\r");
    EXPECT(says("turns"));
    EXPECT(says("workers: 1"));
    type("disks\r");
    EXPECT(says("disk 0: 1 MiB"));
    type("mem\r");
    EXPECT(says("password hashing"));
    log_info("test", "a line to find", "n=%d", 1);
    type("log\r");
    EXPECT(says("a line to find"));
    type("log 1\r");
    EXPECT(says("a line to find"));
    type("log x\r");
    EXPECT(says("how many"));
    for (u32 i = 0; i < 20000; i++) log_info("test", "filling the ring", "n=%u", i);
    type("log 200\r");
    EXPECT(says("filling"));
    loop_stop();
}
TEST(the_cores_own_commands) {
    begin();
    EXPECT_OK(fiber_start("a-name", parked, NULL, NULL));
    loop_run();
    sim_stop();
}

TEST(the_table_is_bounded) {
    begin();
    rc_t rc = RC_OK;
    for (u32 i = 0; i < CONSOLE_COMMAND_MAX && !rc; i++) rc = console_command_add(&echo);
    EXPECT_RC(rc, RC_LIMIT);
    console_print("%s\n", "shown");
    EXPECT(says("shown"));
    static char wide[3000];
    memset(wide, 'w', sizeof wide - 1);
    out_len = 0;
    console_print("%s", wide);
    EXPECT_EQ(out_len, 1023);
    sim_stop();
}
