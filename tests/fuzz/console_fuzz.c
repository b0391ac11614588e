/* SPDX-License-Identifier: Apache-2.0 */
/* console_fuzz.c — whatever comes over the serial line: the input is what is typed. */
#include "kernel/core/console.c"
#include "kernel/host/sim.h"

static const u8 *at, *end;
static size_t written;

void platform_console_put(str bytes) { written += bytes.len; }
int platform_console_get(void) { return at < end ? *at++ : -1; }

static void start(void) {
    rc_t rc;
    sim_start(&(struct sim_options){.seed = 1, .disk_count = 1, .disk_bytes = MIB(1)});
    memory_init(MIB(256));
    loop_init();
    if ((rc = fiber_init(4)) || (rc = worker_init()) || (rc = disk_init()) || (rc = console_init()))
        panic("the core does not start: %s", rc_name(rc));
}

int LLVMFuzzerTestOneInput(const u8 *p, size_t n);
int LLVMFuzzerTestOneInput(const u8 *p, size_t n) {
    static bool started;
    if (!started) start();
    started = true;
    at = p;
    end = p + n;
    written = 0;
    while (on_typing(NULL, WAIT_CONSOLE)) {}
    CHECK(at == end);
    CHECK(serial.length <= sizeof serial.line);
    CHECK(written <= (n + 1) * (OUT_BYTES_MAX + 64)); /* an answer per line, each bounded */
    CHECK(serial.length == 0 || n > 0);
    at = end = (const u8 *)"\r";
    end++;
    while (on_typing(NULL, WAIT_CONSOLE)) {} /* the next operator begins with a fresh line */
    CHECK(serial.length == 0);
    return 0;
}
