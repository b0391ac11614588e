/* SPDX-License-Identifier: Apache-2.0 */
/* checks.c — the checks every appliance has, and the figures behind them: database, network,
 * memory, loop. Each reads counters its owner keeps anyway; none touches a device. */
#include "app/config/config.h"
#include "app/health/health_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "net/link.h"
#include "storage/db.h"

#define MEMORY_DEGRADED_PERCENT 80u
#define MEMORY_FAILED_PERCENT 95u
#define WORKERS_DEGRADED (JOB_QUEUE_MAX * 3 / 4)

static struct diag storage_failure;
void health_storage_failed(const char *why) { diag_set(&storage_failure, "%s", why); }

static enum health_state look_database(struct diag *detail) {
    struct db_status db;
    if (storage_failure.text[0]) {
        *detail = storage_failure;
        return HEALTH_FAILED;
    }
    db_status_get(&db);
    if (!db.open) {
        diag_set(detail, "the database is not open yet");
        return HEALTH_STARTING;
    }
    if (!db.healthy) {
        diag_set(detail, "the disk gave an error; writes are refused until a probe succeeds");
        return HEALTH_FAILED;
    }
    if (db.damaged) {
        diag_set(detail, "pages of the database are not as they were written; replace the disk and "
                         "restore a backup");
        return HEALTH_DEGRADED;
    }
    if (db.full) {
        diag_set(detail, "the disk is full; reads work, writes answer 507");
        return HEALTH_DEGRADED;
    }
    return HEALTH_OK;
}

static enum health_state look_network(struct diag *detail) {
    struct link_status link;
    link_status_get(&link);
    if (!link.up) {
        diag_set(detail, "the link is down");
        return HEALTH_DEGRADED;
    }
    if (!link_ready()) {
        diag_set(detail, "no address yet");
        return HEALTH_DEGRADED;
    }
    return HEALTH_OK;
}

static enum health_state look_memory(struct diag *detail) {
    u32 percent = memory_pressure_percent();
    if (percent < MEMORY_DEGRADED_PERCENT) return HEALTH_OK;
    diag_set(detail, "%u %% of the memory is in use", percent);
    return percent < MEMORY_FAILED_PERCENT ? HEALTH_DEGRADED : HEALTH_FAILED;
}

static enum health_state look_workers(struct diag *detail) {
    u32 waiting = worker_queue_length();
    if (waiting < WORKERS_DEGRADED) return HEALTH_OK;
    diag_set(detail, "%u jobs wait for a worker", waiting);
    return HEALTH_DEGRADED;
}

static enum health_state look_configuration(struct diag *detail) {
    str refusal = config_refusal();
    if (!refusal.len) return HEALTH_OK;
    diag_set(detail, "%.*s", STR(refusal));
    return HEALTH_DEGRADED;
}

static const struct health_check checks[] = {
    {"database", true, look_database},
    {"network", false, look_network},
    {"memory", false, look_memory},
    {"workers", false, look_workers},
    {"configuration", false, look_configuration},
};

rc_t health_checks_start(void) {
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        rc_t rc = health_check_add(&checks[i]);
        if (rc) return rc;
    }
    return RC_OK;
}

/* ---- The figures --------------------------------------------------------------------------- */

static void write_database(struct json_writer *w) {
    struct db_status db;
    db_status_get(&db);
    json_object(w, "database");
    json_bool(w, "open", db.open);
    json_bool(w, "healthy", db.healthy);
    json_bool(w, "full", db.full);
    json_int(w, "bytes_used", (s64)((db.pages - db.free_pages) * db.page_bytes));
    json_int(w, "bytes_max", (s64)db.bytes_max);
    json_int(w, "wal_frames", (s64)db.wal_frames);
    json_int(w, "commits", (s64)db.commits);
    json_int(w, "flushes", (s64)db.groups);
    json_int(w, "rollbacks", (s64)db.rollbacks);
    json_int(w, "reads", (s64)db.reads);
    json_int(w, "errors", (s64)db.errors);
    json_int(w, "schema_version", db.schema_version);
    json_object_end(w);
}

void health_memory_json(struct json_writer *w) {
    json_int(w, "used_bytes", (s64)platform_memory_used());
    json_int(w, "heap_bytes", (s64)memory_heap_bytes());
    json_int(w, "pressure_percent", memory_pressure_percent());
    json_array(w, "budgets");
    for (int b = 0; b < MEMORY_BUDGET_COUNT; b++) {
        struct memory_use use;
        memory_use_get((enum memory_budget)b, &use);
        json_object(w, NULL);
        json_text(w, "name", str_from_c(use.name));
        json_int(w, "used_bytes", (s64)use.used);
        json_int(w, "peak_bytes", (s64)use.peak);
        json_int(w, "limit_bytes", (s64)use.limit);
        json_int(w, "refused", (s64)use.refused);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_network(struct json_writer *w) {
    struct link_status link;
    struct sntp_status time;
    struct http_stats http;
    link_status_get(&link);
    sntp_status_get(&time);
    http_stats_get(&http);
    json_object(w, "network");
    json_bool(w, "up", link.up);
    json_bool(w, "ready", link_ready());
    json_bool(w, "time_synced", time.synced);
    json_int(w, "connections_open", http.open);
    json_int(w, "requests_active", http.active);
    json_int(w, "rx_dropped", (s64)link.rx_dropped);
    json_int(w, "tx_dropped", (s64)link.tx_dropped);
    json_object_end(w);
}

void health_write_values(struct json_writer *w) {
    struct loop_stats loop;
    write_database(w);
    json_object(w, "memory");
    health_memory_json(w);
    json_object_end(w);
    write_network(w);
    loop_stats_get(&loop);
    json_object(w, "loop");
    json_int(w, "turns", (s64)loop.turns);
    json_int(w, "slow_turns", (s64)loop.slow_turns);
    json_int(w, "lag_us_max", (s64)loop.lag_us_max);
    json_int(w, "fibers", fiber_count());
    json_int(w, "fibers_max", fiber_capacity());
    json_int(w, "workers", worker_count());
    json_int(w, "jobs_waiting", worker_queue_length());
    json_object_end(w);
}
