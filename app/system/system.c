/* SPDX-License-Identifier: Apache-2.0 */
/* system.c — the machine as a whole over HTTP.
 *
 *   GET  /api/v1/system           version, machine, uptime, boot, memory, addresses (admin)
 *   GET  /api/v1/system/public    what the landing page shows to anyone
 *   POST /api/v1/system/restart   clean stop, then start again (admin, audited)
 *   POST /api/v1/system/poweroff  clean stop (admin, audited)
 *   POST /api/v1/system/integrity-check   the database examines itself (admin)
 *   PUT  /api/v1/system/disk-key  another key for an encrypted disk: disk_key.c (admin, audited)
 *
 * Stopping is answered first (202) and begins when the answer has left. */
#include "app/system/system.h"
#include "app/audit/audit.h"
#include "app/health/health.h"
#include "app/reply.h"
#include "app/system/disk_key.h"
#include "app/version.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "net/link.h"
#include "net/tls.h"

#define STOP_AFTER_MS 200u /* the answer is on its way by then; the drain waits for the rest */

struct boot_stamps boot_stamps;
const struct boot_info *boot_machine;
void (*system_stop)(bool reset);

/* ---- GET ----------------------------------------------------------------------------------- */

static void write_stamp(struct json_writer *w, const char *key, u64 ns) {
    if (ns)
        json_real(w, key, (double)ns / 1e9);
    else
        json_null(w, key);
}

static void write_boot(struct json_writer *w) {
    json_object(w, "boot");
    json_time(w, "vmm_start", boot_stamps.vmm_start_ns);
    json_real(w, "first_instruction_seconds", (double)boot_stamps.first_instruction_ns / 1e9);
    write_stamp(w, "storage_ready_seconds", boot_stamps.storage_ready_ns);
    write_stamp(w, "listener_ready_seconds", boot_stamps.listener_ready_ns);
    write_stamp(w, "first_answer_seconds", boot_stamps.first_answer_ns);
    json_object_end(w);
}

static void write_network(struct json_writer *w) {
    struct link_status link;
    link_status_get(&link);
    json_object(w, "network");
    json_bool(w, "up", link.up);
    json_text(w, "ipv4", str_from_c(link.ipv4));
    json_text(w, "netmask", str_from_c(link.netmask));
    json_text(w, "gateway", str_from_c(link.gateway));
    json_array(w, "ipv6");
    for (size_t i = 0; i < ARRAY_LEN(link.ipv6); i++)
        if (link.ipv6[i][0]) json_text(w, NULL, str_from_c(link.ipv6[i]));
    json_array_end(w);
    json_bool(w, "dhcp", link.dhcp_bound);
    json_object_end(w);
}

static void get_system(struct request *rq) {
    struct json_writer w;
    struct loop_stats loop;
    loop_stats_get(&loop);
    json_open(&w, KIB(32));
    json_object(&w, NULL);
    json_text(&w, "name", S("OpenPolicy Appliance"));
    json_text(&w, "version", S(OPENPOLICY_VERSION));
    json_text(&w, "machine", boot_machine->machine);
    json_text(&w, "status", str_from_c(health_state_name(health_overall())));
    json_time(&w, "time", platform_wall_ns());
    json_real(&w, "uptime_seconds", (double)platform_clock_ns() / 1e9);
    json_int(&w, "workers", worker_count());
    json_int(&w, "fibers_max", fiber_capacity());
    u64 spent = loop.busy_ns + loop.idle_ns;
    json_real(&w, "loop_busy_ratio", spent ? (double)loop.busy_ns / (double)spent : 0);
    write_boot(&w);
    json_object(&w, "memory");
    json_int(&w, "machine_bytes", (s64)boot_machine->memory_bytes);
    health_memory_json(&w);
    json_object_end(&w);
    write_network(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* Nothing here helps an attacker: it is on the landing page. */
static void get_public(struct request *rq) {
    struct json_writer w;
    json_open(&w, KIB(2));
    json_object(&w, NULL);
    json_text(&w, "name", S("OpenPolicy Appliance"));
    json_text(&w, "version", S(OPENPOLICY_VERSION));
    json_text(&w, "status", str_from_c(health_state_name(health_overall())));
    json_bool(&w, "ready", health_ready());
    json_time(&w, "time", platform_wall_ns());
    json_int(&w, "uptime_seconds", (s64)(platform_clock_ns() / NS_PER_S));
    write_stamp(&w, "first_answer_seconds", boot_stamps.first_answer_ns);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- Stop ---------------------------------------------------------------------------------- */

static bool stop_asked, stop_reset;

static void stop_later(void *arg) {
    (void)arg;
    fiber_sleep_ms(STOP_AFTER_MS);
    system_stop(stop_reset);
}

static void stop(struct request *rq, bool reset) {
    struct fiber *f;
    struct json_writer w;
    if (stop_asked) {
        reply_problem(rq, 409, "stopping", "The appliance is stopping already.");
        return;
    }
    rc_t rc = audit_add_alone(rq, &(struct audit_event){
                                      .action = reset ? "system.restart" : "system.poweroff",
                                      .resource = S("system"),
                                      .result = "ok"});
    /* A machine whose disk fails must still obey: the log line stands for the row. */
    if (rc) log_warn("system", "stopping without an audit row", "rc=%s", rc_name(rc));
    stop_reset = reset;
    if ((rc = fiber_start("stop", stop_later, NULL, &f))) {
        reply_rc(rq, rc, "Stopping");
        return;
    }
    stop_asked = true;
    http_close_after(rq->x);
    json_open(&w, KIB(1));
    json_object(&w, NULL);
    json_text(&w, "status", reset ? S("restarting") : S("powering off"));
    json_object_end(&w);
    reply_json(rq, 202, &w);
}
static void post_restart(struct request *rq) { stop(rq, true); }
static void post_poweroff(struct request *rq) { stop(rq, false); }

/* ---- Integrity ----------------------------------------------------------------------------- */

static void post_integrity(struct request *rq) {
    str report;
    struct json_writer w;
    u64 began = platform_clock_ns();
    rc_t rc = db_integrity_check(rq->arena, &report);
    if (rc) {
        reply_rc(rq, rc, "The integrity check");
        return;
    }
    json_open(&w, KIB(64));
    json_object(&w, NULL);
    json_bool(&w, "ok", str_eq(report, S("ok")));
    json_text(&w, "report", report);
    json_real(&w, "seconds", (double)(platform_clock_ns() - began) / 1e9);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- Tables -------------------------------------------------------------------------------- */

#define SYSTEM_ROUTE(verb, path, fn, who, right, words, answer, status)                            \
    {.method = verb, .pattern = path, .handle = fn, .access = who, .permission = right,            \
     .summary = words, .tag = "system", .answer_schema = answer, .success = status}
static const struct route routes[] = {
    SYSTEM_ROUTE(HTTP_GET, "/api/v1/system", get_system, ACCESS_ADMIN, "system:machine:read",
                 "The machine: version, uptime, boot, memory, network", "#System", 200),
    SYSTEM_ROUTE(HTTP_GET, "/api/v1/system/public", get_public, ACCESS_PUBLIC,
                 "system:public:read", "What anyone may know", "#SystemPublic", 200),
    SYSTEM_ROUTE(HTTP_POST, "/api/v1/system/restart", post_restart, ACCESS_ADMIN,
                 "system:machine:restart", "Stop cleanly and start again", "#Status", 202),
    SYSTEM_ROUTE(HTTP_POST, "/api/v1/system/poweroff", post_poweroff, ACCESS_ADMIN,
                 "system:machine:poweroff", "Stop cleanly and stay off", "#Status", 202),
    SYSTEM_ROUTE(HTTP_POST, "/api/v1/system/integrity-check", post_integrity, ACCESS_ADMIN,
                 "system:database:check", "The database examines itself", "#Integrity", 200),
    {.method = HTTP_PUT,
     .pattern = "/api/v1/system/disk-key",
     .handle = put_disk_key,
     .access = ACCESS_ADMIN,
     .permission = "system:disk_key:update",
     .summary = "Another key or passphrase for the encrypted data disk",
     .tag = "system",
     .body_schema = "#DiskKey",
     .success = 204},
    {0},
};
static const struct module_schema schemas[] = {
    {"System",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":"
     "{\"type\":\"string\"},\"machine\":{\"type\":\"string\"},\"uptime_seconds\":{\"type\":"
     "\"number\"},\"boot\":{\"type\":\"object\"},\"memory\":{\"type\":\"object\"},"
     "\"network\":{\"type\":\"object\"}},\"required\":[\"version\",\"uptime_seconds\"]}"},
    {"SystemPublic",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"type\":"
     "\"string\"},\"status\":{\"type\":\"string\"},\"ready\":{\"type\":\"boolean\"},\"time\":{"
     "\"type\":[\"string\",\"null\"]},\"uptime_seconds\":{\"type\":\"integer\"}},"
     "\"required\":[\"version\",\"status\"]}"},
    {"Status", "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\"}},"
               "\"required\":[\"status\"]}"},
    {"DiskKey", "{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\","
                "\"pattern\":\"^[0-9A-Fa-f]{64}$\"},\"passphrase\":{\"type\":\"string\","
                "\"minLength\":8,\"maxLength\":1024}},\"additionalProperties\":false}"},
    {"Integrity", "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"},\"report\":"
                  "{\"type\":\"string\"},\"seconds\":{\"type\":\"number\"}},"
                  "\"required\":[\"ok\",\"report\"]}"},
    {0},
};
const struct module system_module = {.name = "system", .routes = routes, .schemas = schemas};
