/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the appliance starts, runs, and stops.
 *
 *   core -> link -> modules in the order of modules.c -> listeners -> the loop ... -> drain ->
 *   modules in reverse -> off
 *
 * All that may wait runs on one fiber, the conductor, which stays for the whole life: it starts
 * everything, sleeps, and is there to stop everything when no other fiber can be had. */
#include "app/gateway/gateway.h"
#include "app/health/health.h"
#include "app/module.h"
#include "app/version.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/console.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/provoke.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "net/link.h"

#define DRAIN_MS_MAX 5000u
#define DRAIN_STEP_MS 20u

static struct {
    const struct boot_info *boot;
    struct fiber *conductor;
    struct http_server *servers[2];
    bool stopping, reset;
    u64 listener_ready_ns;
} life;

static void ask_to_stop(bool reset) {
    if (life.stopping) return;
    life.stopping = true;
    life.reset = reset;
    if (life.conductor) fiber_wake(life.conductor);
}

static bool on_power(void *arg, u32 bits) {
    (void)arg;
    if (bits & WAIT_POWER) ask_to_stop(false);
    return false;
}

static void stop_by_console(str arguments, struct buf *out) {
    (void)arguments;
    (void)buf_add(out, S("Stopping.\n"));
    ask_to_stop(false);
}
static const struct console_command stop_command = {"stop", "stop the machine cleanly",
                                                    stop_by_console};

static rc_t start_core(const struct boot_info *boot) {
    rc_t rc;
    memory_init(boot->heap_bytes);
    loop_init();
    if ((rc = fiber_init(FIBER_MAX))) return rc;
    if ((rc = worker_init())) return rc;
    if ((rc = console_init())) return rc;
    if ((rc = console_command_add(&stop_command))) return rc;
    if (boot->test && (rc = provoke_init())) return rc;
    if ((rc = disk_init())) return rc;
    return loop_poller_add(WAIT_POWER, on_power, NULL);
}

static void start_modules(void) {
    for (u32 i = 0; modules[i]; i++) {
        struct diag why = {0};
        rc_t rc = modules[i]->start ? modules[i]->start(&why) : RC_OK;
        if (rc)
            log_error("boot", "a module did not start", "module=%s why=%s", modules[i]->name,
                      LOGSTR(str_from_c(why.text)));
        else
            gateway_module_started(modules[i], true);
    }
}

static void stop_all(void) {
    u32 count = 0;
    for (size_t i = 0; i < ARRAY_LEN(life.servers); i++)
        if (life.servers[i]) http_server_drain(life.servers[i]);
    for (u32 ms = 0; ms < DRAIN_MS_MAX; ms += DRAIN_STEP_MS) {
        bool drained = true;
        for (size_t i = 0; i < ARRAY_LEN(life.servers); i++)
            drained &= !life.servers[i] || http_server_drained(life.servers[i]);
        if (drained) break;
        fiber_sleep_ms(DRAIN_STEP_MS);
    }
    while (modules[count]) count++;
    while (count--)
        if (modules[count]->stop) modules[count]->stop();
}

static void conduct(void *arg) {
    struct diag why = {0};
    (void)arg;
    struct link_options link = {.address = S("dhcp"), .gateway = S(""), .dns = S(""), .ntp = S(""),
                                .hostname = S("openpolicy"), .ipv6 = true};
    if (gateway_build(modules, &why)) panic("the route tables are wrong: %s", why.text);
    if (link_start(&link, &why)) log_error("boot", "the network did not start", "why=%s", why.text);
    start_modules();
    struct http_server_options plain = {.port = 80, .handler = gateway_handle};
    if (http_serve(&plain, &life.servers[0])) log_error("boot", "port 80 cannot be opened");
    life.listener_ready_ns = platform_clock_ns();
    console_print("OpenPolicy Appliance " OPENPOLICY_VERSION " on %.*s: listener ready %llu us\n",
                  STR(life.boot->machine), (unsigned long long)(life.listener_ready_ns / NS_PER_US));
    while (!life.stopping) (void)!!fiber_park(UINT64_MAX);
    stop_all();
    loop_stop();
}

void app_main(const struct boot_info *boot) {
    life.boot = boot;
    rc_t rc = start_core(boot);
    if (!rc) rc = fiber_start("conductor", conduct, NULL, &life.conductor);
    if (rc) panic("the core cannot start: %s", rc_name(rc));
    loop_run();
    console_print("Stopped.\n");
    platform_exit(life.reset ? PLATFORM_EXIT_RESET : 0);
}
