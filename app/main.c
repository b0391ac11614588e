/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the appliance starts, runs, and stops.
 *
 *   core -> configuration of the machine -> disk, database -> stored configuration -> network ->
 *   modules in the order of modules.c -> listeners -> status screen -> the loop ...
 *   ... power button -> no new connections, answers finish -> modules in reverse -> database -> off
 *
 * All that may wait runs on one fiber, the conductor, which stays for the whole life: it starts
 * everything, sleeps, and is there to stop everything when no other fiber can be had.
 *
 * Without a usable disk the appliance still answers: probes say 503 and why, modules that need the
 * database answer 503, the console says what to do, and the conductor tries again until it
 * works. */
#include "app/access/access.h"
#include "app/config/config.h"
#include "app/gateway/gateway.h"
#include "app/health/health.h"
#include "app/module.h"
#include "app/openapi/openapi.h"
#include "app/policy/value/value.h"
#include "app/screen.h"
#include "app/system/disk_key.h"
#include "app/system/system.h"
#include "app/tls/certificate.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/core/console.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/provoke.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "net/http_client.h"
#include "net/link.h"
#include "net/tls.h"

enum { MODULES_MAX = 64 };
#define DRAIN_MS_MAX 5000u       /* answers under way may take this long at a clean stop */
#define DRAIN_STEP_MS 20u
#define STORAGE_RETRY_MS 2000u
#define SCREEN_WAIT_MS 3000u     /* for an address, before the screen is shown without one */
#define SCREEN_BYTES_MAX 8192u

static struct {
    struct fiber *conductor;
    struct http_server *plain, *secure;
    struct volume volume;
    bool storage_open, started[MODULES_MAX];
    bool stopping, reset, screen_shown;
} life;

/* ---- The operator -------------------------------------------------------------------------- */

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

static void run_stop(str arguments, struct buf *out) {
    (void)arguments;
    (void)!!buf_add(out, S("Stopping.\n"));
    ask_to_stop(false);
}
static void run_status(str arguments, struct buf *out) {
    (void)arguments;
    screen_write(out);
}
static const struct console_command commands[] = {
    {"status", "where the appliance answers and how it is", run_status},
    {"stop", "stop the machine cleanly", run_stop},
};

static void show_screen(void) {
    struct buf text;
    if (life.screen_shown || life.stopping) return;
    life.screen_shown = true;
    buf_open(&text, SCREEN_BYTES_MAX);
    screen_write(&text);
    platform_console_put(buf_str(&text));
    buf_close(&text);
}

static void on_first_answer(void) {
    boot_stamps.first_answer_ns = gateway_first_answer_ns();
    log_info("boot", "first answer", "us=%llu",
             (unsigned long long)(boot_stamps.first_answer_ns / NS_PER_US));
    console_print("boot: first instruction 0.000000 s, listening %llu.%06llu s, first answer "
                  "%llu.%06llu s\n",
                  (unsigned long long)(boot_stamps.listener_ready_ns / NS_PER_S),
                  (unsigned long long)(boot_stamps.listener_ready_ns % NS_PER_S / NS_PER_US),
                  (unsigned long long)(boot_stamps.first_answer_ns / NS_PER_S),
                  (unsigned long long)(boot_stamps.first_answer_ns % NS_PER_S / NS_PER_US));
}

/* ---- Core and configuration ---------------------------------------------------------------- */

static rc_t start_core(const struct boot_info *boot) {
    u64 seed;
    rc_t rc;
    /* Before the first value: nobody outside may know which keys fall together. */
    if (!platform_entropy(&seed, sizeof seed)) value_hash_seed(seed);
    memory_init(boot->heap_bytes);
    loop_init();
    if ((rc = fiber_init(FIBER_MAX))) return rc;
    if ((rc = worker_init())) return rc;
    if ((rc = console_init())) return rc;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if ((rc = console_command_add(&commands[i]))) return rc;
    if (boot->test && (rc = provoke_init())) return rc;
    if ((rc = disk_init())) return rc;
    return loop_poller_add(WAIT_POWER, on_power, NULL);
}

static void apply_log_levels(void) {
    log_level_set((enum log_level)config_int("log.level"));
    log_console_level_set((enum log_level)config_int("log.console"));
}

static void read_configuration(const struct boot_info *boot) {
    config_boot(boot->config_json, boot->command_line);
    apply_log_levels();
    if (config_on_change("log.level", apply_log_levels) ||
        config_on_change("log.console", apply_log_levels))
        panic("config: too many watches at start");
}

/* ---- Storage ------------------------------------------------------------------------------- */

/* What the last crash left: into the log, where /api/v1/logs shows it, and off the disk. */
static void report_crash(void) {
    static char text[CRASH_RECORD_BYTES];
    size_t n;
    if (volume_crash_read(&life.volume, text, sizeof text, &n)) return;
    str first = str_take(str_of(text, n), str_find_byte(str_of(text, n), '\n'));
    log_error("boot", "the last run ended in a panic; the record follows in the log", "panic=%s",
              LOGSTR(first));
    for (str rest = str_of(text, n), line; str_split(&rest, '\n', &line);)
        if (line.len) log_info("crash", "record", "line=%s", LOGSTR(line));
    if (volume_crash_clear(&life.volume))
        log_warn("boot", "the crash record could not be cleared");
}

static void open_storage(void) {
    const struct db_schema *schemas[MODULES_MAX];
    struct diag why = {0};
    u32 n = 0;
    for (u32 i = 0; modules[i]; i++)
        if (modules[i]->schema) schemas[n++] = modules[i]->schema;
    schemas[n] = NULL;
    rc_t rc = disk_secret_offer(&why);
    if (!rc) rc = volume_open(&life.volume, &why);
    if (!rc) rc = db_open(&life.volume, schemas, &why);
    if (rc) {
        static struct diag said; /* the same sentence is not repeated at each attempt */
        if (strcmp(said.text, why.text) != 0)
            console_print("STORAGE NOT AVAILABLE: %s\n", why.text);
        said = why;
        health_storage_failed(why.text[0] ? why.text : rc_name(rc));
        return;
    }
    disk_secret_forget();
    life.storage_open = true;
    health_storage_failed("");
    boot_stamps.storage_ready_ns = platform_clock_ns();
    const struct volume_part_info *crash = &life.volume.parts[VOLUME_CRASH];
    panic_record_at(life.volume.disk, crash->first_block, life.volume.info.block_bytes);
    report_crash();
}

/* ---- Modules ------------------------------------------------------------------------------- */

static void start_module(u32 i) {
    const struct module *m = modules[i];
    struct diag why = {0};
    if (life.started[i] || (m->schema && !life.storage_open)) return;
    rc_t rc = m->start ? m->start(&why) : RC_OK;
    if (rc) {
        log_error("boot", "a module did not start; its routes answer 503", "module=%s rc=%s why=%s",
                  m->name, rc_name(rc), LOGSTR(str_from_c(why.text)));
        return;
    }
    life.started[i] = true;
    gateway_module_started(m, true);
}

static void start_modules(const struct module *up_to) {
    for (u32 i = 0; modules[i] && !life.stopping; i++) {
        CHECK(i < MODULES_MAX);
        start_module(i);
        if (modules[i] == up_to) return;
    }
}

/* ---- Network ------------------------------------------------------------------------------- */

static void on_link_change(void) {
    if (link_ready() && boot_stamps.listener_ready_ns) show_screen();
}

static void start_network(void) {
    struct diag why = {0};
    struct link_options o = {.address = config_text("net.address"),
                             .gateway = config_text("net.gateway"),
                             .dns = config_text("net.dns"),
                             .ntp = config_text("net.ntp"),
                             .hostname = config_text("net.hostname"),
                             .ipv6 = config_bool("net.ipv6")};
    link_on_change(on_link_change);
    if (link_start(&o, &why)) {
        log_error("boot", "the network did not start; correct net.* and start again", "why=%s",
                  LOGSTR(str_from_c(why.text)));
        console_print("NETWORK NOT AVAILABLE: %s\n", why.text);
    }
    if (tls_init())
        log_error("boot", "no trustworthy entropy: no keys are made and HTTPS stays off");
}

static void listen(u16 port, bool tls, http_handler_fn *handler, struct http_server **out) {
    struct http_server_options o = {.port = port, .tls = tls, .handler = handler};
    rc_t rc = http_serve(&o, out);
    if (rc) log_error("boot", "a port cannot be opened", "port=%u rc=%s", port, rc_name(rc));
}

static void start_listeners(void) {
    bool plain = config_bool("http.plain");
    if (!tls_has_identity() && certificate_use_temporary())
        console_print("HTTPS NOT AVAILABLE: no certificate could be made; see the log.\n");
    if (tls_has_identity() && !life.secure) listen(443, true, gateway_handle, &life.secure);
    if (!life.plain)
        listen(80, false, plain ? gateway_handle : gateway_handle_redirect, &life.plain);
    boot_stamps.listener_ready_ns = platform_clock_ns();
    gateway_on_first_answer(on_first_answer);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static bool drained(void) {
    return (!life.plain || http_server_drained(life.plain)) &&
           (!life.secure || http_server_drained(life.secure));
}

static void stop_all(void) {
    u32 n = 0;
    console_print("Stopping: answers under way finish first.\n");
    if (life.plain) http_server_drain(life.plain);
    if (life.secure) http_server_drain(life.secure);
    for (u32 ms = 0; ms < DRAIN_MS_MAX && !drained(); ms += DRAIN_STEP_MS)
        fiber_sleep_ms(DRAIN_STEP_MS);
    http_client_stop();
    while (modules[n]) n++;
    while (n--)
        if (life.started[n] && modules[n]->stop) modules[n]->stop();
    if (life.storage_open) db_close();
}

/* Until somebody asks to stop: watches for a disk that becomes usable. */
static void live(void) {
    u64 screen_ns = platform_clock_ns() + SCREEN_WAIT_MS * NS_PER_MS;
    while (!life.stopping) {
        u64 until = life.screen_shown ? UINT64_MAX : screen_ns;
        if (!life.storage_open)
            until = MIN(until, platform_clock_ns() + STORAGE_RETRY_MS * NS_PER_MS);
        rc_t rc = fiber_park(until);
        if (life.stopping) return;
        if (rc == RC_TIMEOUT && platform_clock_ns() >= screen_ns) show_screen();
        if (life.storage_open) continue;
        open_storage();
        if (!life.storage_open) continue;
        console_print("Storage is available now.\n");
        start_modules(NULL);
    }
}

static void conduct(void *arg) {
    struct diag why = {0};
    (void)arg;
    if (gateway_build(modules, &why)) panic("the route tables are wrong: %s", why.text);
    if (access_cover(modules, &why)) panic("the access rules are incomplete: %s", why.text);
    openapi_use(modules);
    open_storage();
    start_modules(&config_module);
    start_network();
    start_modules(NULL);
    start_listeners();
    if (link_ready()) show_screen();
    live();
    stop_all();
    loop_stop();
}

void app_main(const struct boot_info *boot) {
    boot_machine = boot;
    boot_stamps.vmm_start_ns = boot->vmm_start_ns;
    boot_stamps.first_instruction_ns = boot->first_instruction_ns;
    system_stop = ask_to_stop;
    rc_t rc = start_core(boot);
    if (rc) panic("the core cannot start: %s", rc_name(rc));
    read_configuration(boot);
    if ((rc = fiber_start("conductor", conduct, NULL, &life.conductor)))
        panic("the core cannot start: %s", rc_name(rc));
    loop_run();
    console_print("Stopped.\n");
    platform_exit(life.reset ? PLATFORM_EXIT_RESET : 0);
}
