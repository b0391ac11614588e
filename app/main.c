/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the appliance starts: memory is divided, the core is started, and the loop runs until
 * somebody asks the machine to stop. */
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/console.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

static bool on_power(void *arg, u32 bits) {
    (void)arg;
    if (bits & WAIT_POWER) loop_stop();
    return false;
}

static void stop_by_console(str arguments, struct buf *out) {
    (void)arguments;
    (void)buf_add(out, S("Stopping.\n"));
    loop_stop();
}

static const struct console_command stop_command = {"stop", "stop the machine cleanly",
                                                    stop_by_console};

static rc_t start_core(const struct boot_info *boot) {
    rc_t rc;
    memory_init(boot->heap_bytes);
    loop_init();
    /* One request in four of the memory's requests: 64 MiB give 16 stacks, 512 MiB all. */
    if ((rc = fiber_init(FIBER_MAX))) return rc;
    if ((rc = worker_init())) return rc;
    if ((rc = console_init())) return rc;
    if ((rc = console_command_add(&stop_command))) return rc;
    if ((rc = disk_init())) return rc;
    return loop_poller_add(WAIT_POWER, on_power, NULL);
}

void app_main(const struct boot_info *boot) {
    rc_t rc = start_core(boot);
    if (rc) panic("the core cannot start: %s", rc_name(rc));
    console_print("OpenPolicy Appliance on %.*s: %llu MiB, %u disks, %u networks, %u workers\n",
                  STR(boot->machine), (unsigned long long)(boot->memory_bytes >> 20),
                  platform_disk_count(), platform_nic_count(), worker_count());
    log_info("boot", "ready", "us=%llu", (unsigned long long)(platform_clock_ns() / 1000));
    loop_run();
    console_print("Stopped.\n");
    platform_exit(0);
}
