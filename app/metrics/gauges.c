/* SPDX-License-Identifier: Apache-2.0 */
/* gauges.c — the read functions of counter.def: what other rows count already, turned into base
 * units (seconds, bytes). Each reads a struct its owner keeps; none touches a device. */
#include "app/metrics/metrics_impl.h"
#include "app/health/health.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "net/http.h"
#include "net/http_client.h"
#include "net/link.h"
#include "net/tls.h"
#include "storage/db.h"

#define READ(fn, type, get, expression)                                                            \
    double fn(void) {                                                                              \
        struct type s = {0};                                                                       \
        get(&s);                                                                                   \
        return (double)(expression);                                                               \
    }

double read_uptime(void) { return (double)platform_clock_ns() / 1e9; }
double read_start_time(void) {
    u64 wall = platform_wall_ns();
    return wall ? (double)(wall - platform_clock_ns()) / 1e9 : 0;
}
double read_resident(void) { return (double)platform_memory_used(); }
double read_heap(void) { return (double)memory_heap_bytes(); }
double read_pressure(void) { return memory_pressure_percent() / 100.0; }
double read_ready(void) { return health_ready(); }
double read_bundle_activation(void) { return (double)metric_values[METRIC_BUNDLE_ACTIVATION]; }
double read_acme_renewal(void) { return (double)metric_values[METRIC_ACME_RENEWAL]; }
double read_cache_keys(void) { return (double)metric_values[METRIC_CACHE_KEYS]; }
double read_cache_clients(void) { return (double)metric_values[METRIC_CACHE_CLIENTS]; }
double read_cache_blocked(void) { return (double)metric_values[METRIC_CACHE_BLOCKED]; }
double read_cache_memory(void) { return (double)metric_values[METRIC_CACHE_MEMORY]; }
double read_cache_memory_max(void) { return (double)metric_values[METRIC_CACHE_MEMORY_MAX]; }
double read_fibers(void) { return fiber_count(); }
double read_fibers_max(void) { return fiber_capacity(); }
double read_workers(void) { return worker_count(); }
double read_jobs(void) { return worker_queue_length(); }

READ(read_cpu, loop_stats, loop_stats_get, (double)s.busy_ns / 1e9)
READ(read_loop_turns, loop_stats, loop_stats_get, s.turns)
READ(read_loop_slow, loop_stats, loop_stats_get, s.slow_turns)
READ(read_loop_lag, loop_stats, loop_stats_get, (double)s.lag_us_max / 1e6)

READ(read_client_calls, http_client_stats, http_client_stats_get, s.calls)
READ(read_client_failed, http_client_stats, http_client_stats_get, s.failed)
READ(read_client_connects, http_client_stats, http_client_stats_get, s.connects)
READ(read_client_reused, http_client_stats, http_client_stats_get, s.reused)
READ(read_client_open, http_client_stats, http_client_stats_get, s.open)

READ(read_connections, http_stats, http_stats_get, s.connections)
READ(read_connections_open, http_stats, http_stats_get, s.open)
READ(read_requests_active, http_stats, http_stats_get, s.active)
READ(read_bad_requests, http_stats, http_stats_get, s.bad_requests)
READ(read_http_timeouts, http_stats, http_stats_get, s.timeouts)
READ(read_http_busy, http_stats, http_stats_get, s.refused_busy)
READ(read_http2_connections, http_stats, http_stats_get, s.connections_http2)
READ(read_http2_requests, http_stats, http_stats_get, s.requests_http2)
READ(read_http2_floods, http_stats, http_stats_get, s.floods)
READ(read_http_in, http_stats, http_stats_get, s.bytes_in)
READ(read_http_out, http_stats, http_stats_get, s.bytes_out)

READ(read_tls_handshakes, tls_stats, tls_stats_get, s.handshakes)
READ(read_tls_resumed, tls_stats, tls_stats_get, s.resumed)
READ(read_tls_failed, tls_stats, tls_stats_get, s.failed)
READ(read_tls_started, tls_stats, tls_stats_get, s.started)
READ(read_tls_shed, tls_stats, tls_stats_get, s.shed)
READ(read_tls_refused, tls_stats, tls_stats_get, s.refused)
READ(read_tls_waiting, tls_stats, tls_stats_get, s.waiting)
READ(read_tls_in_progress, tls_stats, tls_stats_get, s.in_progress)
double read_tls_expiry(void) {
    struct tls_identity_info info;
    char id[TLS_NAMED_ID_MAX];
    u64 first_ns = tls_identity_info_get(&info) ? 0 : info.not_after_ns;
    for (u32 i = 0; tls_named_info(i, id, &info); i++) first_ns = MIN(first_ns, info.not_after_ns);
    return (double)(first_ns / NS_PER_S);
}

double read_backup_last(void) { return (double)metric_values[METRIC_BACKUP_LAST]; }
double read_backup_proved(void) { return (double)metric_values[METRIC_BACKUP_PROVED]; }

READ(read_rx_frames, link_status, link_status_get, s.rx_frames)
READ(read_tx_frames, link_status, link_status_get, s.tx_frames)
READ(read_rx_bytes, link_status, link_status_get, s.rx_bytes)
READ(read_tx_bytes, link_status, link_status_get, s.tx_bytes)
READ(read_rx_dropped, link_status, link_status_get, s.rx_dropped)
READ(read_tx_dropped, link_status, link_status_get, s.tx_dropped)
READ(read_net_up, link_status, link_status_get, s.up)

READ(read_db_up, db_status, db_status_get, s.open && s.healthy)
READ(read_db_sealed, db_status, db_status_get, s.sealed)
READ(read_db_bytes, db_status, db_status_get, (s.pages - s.free_pages) * s.page_bytes)
READ(read_db_bytes_max, db_status, db_status_get, s.bytes_max)
READ(read_db_wal, db_status, db_status_get, s.wal_frames)
READ(read_db_commits, db_status, db_status_get, s.commits)
READ(read_db_groups, db_status, db_status_get, s.groups)
READ(read_db_rollbacks, db_status, db_status_get, s.rollbacks)
READ(read_db_reads, db_status, db_status_get, s.reads)
READ(read_db_checkpoints, db_status, db_status_get, s.checkpoints)
READ(read_db_slow, db_status, db_status_get, s.slow_queries)
READ(read_db_errors, db_status, db_status_get, s.errors)
READ(read_db_damaged, db_status, db_status_get, s.damaged)
READ(read_db_flush, db_status, db_status_get, (double)s.flush_us_total / 1e6)
READ(read_db_statements_hit, db_status, db_status_get, s.statements_hit)
READ(read_db_statements_miss, db_status, db_status_get, s.statements_miss)
