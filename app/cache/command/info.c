/* SPDX-License-Identifier: Apache-2.0 */
/* info.c — INFO: the state of the cache as text, in sections. Names are those that tools look for;
 * what a cache without disk, replicas and scripts does not have is given as zero where tools insist
 * on reading it. */
#include "app/cache/data/memory.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/server.h"
#include "app/cache/settings.h"
#include "kernel/base/buf.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <stdio.h>

#define LINE(name, format, ...) (void)!!buf_printf(to, name ":" format "\r\n", __VA_ARGS__)
#define U(n) ((unsigned long long)(n))

static u64 sampled[16], sampled_commands;
static u32 samples;

/* Ten times a second. */
void server_tick(void) {
    static u64 last_ns;
    u64 now = platform_clock_ns(), n = server_stats.commands;
    if (last_ns && now > last_ns && n >= sampled_commands)
        sampled[samples++ % ARRAY_LEN(sampled)] =
            (n - sampled_commands) * NS_PER_S / (now - last_ns);
    sampled_commands = n;
    last_ns = now;
}

static u64 commands_per_second(void) {
    u64 sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(sampled); i++) sum += sampled[i];
    return sum / ARRAY_LEN(sampled);
}

static void human(u64 n, char to[32]) {
    static const char units[] = "BKMGT";
    double d = (double)n;
    u32 i = 0;
    for (; d >= 1024 && i < 4; i++) d /= 1024;
    if (i) (void)snprintf(to, 32, "%.2f%c", d, units[i]);
    else (void)snprintf(to, 32, "%lluB", U(n));
}

static void info_server(struct buf *to) {
    u64 up = platform_clock_ns() / NS_PER_S;
    LINE("redis_version", "%s", "7.0.15");
    LINE("redis_mode", "%s", "standalone");
    LINE("os", "%s", "OpenPolicy Appliance");
    LINE("arch_bits", "%d", 64);
    LINE("process_id", "%d", 1);
    LINE("run_id", "%040d", 0);
    LINE("tcp_port", "%d", 6379);
    LINE("server_time_usec", "%llu", U(platform_wall_ns() / NS_PER_US));
    LINE("uptime_in_seconds", "%llu", U(up));
    LINE("uptime_in_days", "%llu", U(up / 86400));
    LINE("hz", "%d", 10);
}

static void info_clients(struct buf *to) {
    struct tracking_totals t;
    struct pubsub_totals p;
    tracking_totals_get(&t);
    pubsub_totals_get(&p);
    LINE("connected_clients", "%u", client_count());
    LINE("cluster_connections", "%d", 0);
    LINE("maxclients", "%lld", (long long)settings.clients_max);
    LINE("client_recent_max_input_buffer", "%llu", U(server_stats.query_bytes));
    LINE("client_recent_max_output_buffer", "%d", 0);
    LINE("blocked_clients", "%u", waits_count() + pause_count());
    LINE("tracking_clients", "%u", t.clients);
    LINE("pubsub_clients", "%u", p.clients);
    LINE("clients_in_timeout_table", "%u", waits_count());
}

static void info_memory(struct buf *to) {
    char text[32];
    struct lazy_stats lazy;
    u64 limit = evict_limit_get();
    lazy_stats_get(&lazy);
    u64 used = cache_used() + cache_fixed(), peak = cache_used_peak() + cache_fixed();
    LINE("used_memory", "%llu", U(used));
    human(used, text);
    LINE("used_memory_human", "%s", text);
    LINE("used_memory_rss", "%llu", U(used));
    LINE("used_memory_peak", "%llu", U(peak));
    human(peak, text);
    LINE("used_memory_peak_human", "%s", text);
    LINE("used_memory_overhead", "%llu", U(cache_fixed()));
    LINE("used_memory_startup", "%llu", U(cache_fixed()));
    LINE("used_memory_dataset", "%llu", U(cache_used()));
    LINE("used_memory_scripts", "%d", 0);
    LINE("total_system_memory", "%llu", U(memory_heap_bytes()));
    LINE("maxmemory", "%llu", U(limit));
    human(limit, text);
    LINE("maxmemory_human", "%s", text);
    LINE("maxmemory_policy", "%s", evict_policy_names[evict_policy_get()]);
    LINE("maxmemory_budget", "%llu", U(cache_memory_budget()));
    LINE("mem_fragmentation_ratio", "%s", "1.00");
    LINE("mem_clients_normal", "%llu", U(server_stats.query_bytes));
    LINE("mem_not_counted_for_evict", "%d", 0);
    LINE("mem_allocator", "%s", "libc");
    LINE("lazyfree_pending_objects", "%llu", U(lazy.pending));
    LINE("lazyfreed_objects", "%llu", U(lazy.freed));
}

static void info_persistence(struct buf *to) {
    LINE("loading", "%d", 0);
    LINE("async_loading", "%d", 0);
    LINE("rdb_changes_since_last_save", "%llu", U(command_stats.dirty));
    LINE("rdb_bgsave_in_progress", "%d", 0);
    LINE("rdb_last_save_time", "%d", 0);
    LINE("rdb_last_bgsave_status", "%s", "ok");
    LINE("aof_enabled", "%d", 0);
    LINE("aof_rewrite_in_progress", "%d", 0);
    LINE("aof_rewrite_scheduled", "%d", 0);
}

static void info_stats(struct buf *to) {
    struct tracking_totals t;
    struct pubsub_totals p;
    tracking_totals_get(&t);
    pubsub_totals_get(&p);
    LINE("total_connections_received", "%llu", U(server_stats.connections));
    LINE("total_commands_processed", "%llu", U(server_stats.commands));
    LINE("instantaneous_ops_per_sec", "%llu", U(commands_per_second()));
    LINE("total_net_input_bytes", "%llu", U(server_stats.bytes_in));
    LINE("total_net_output_bytes", "%llu", U(server_stats.bytes_out));
    LINE("rejected_connections", "%llu", U(server_stats.rejected));
    LINE("sync_full", "%d", 0);
    LINE("expired_keys", "%llu", U(keys_stats.expired));
    LINE("expired_fields", "%llu", U(keys_stats.expired_fields));
    LINE("expired_stale_perc", "%s", "0.00");
    LINE("evicted_keys", "%llu", U(keys_stats.evicted));
    LINE("evicted_clients", "%d", 0);
    LINE("keyspace_hits", "%llu", U(keys_stats.hits));
    LINE("keyspace_misses", "%llu", U(keys_stats.misses));
    LINE("pubsub_channels", "%u", p.channels);
    LINE("pubsub_patterns", "%u", p.patterns);
    LINE("pubsubshard_channels", "%u", p.shard_channels);
    LINE("latest_fork_usec", "%d", 0);
    LINE("tracking_total_keys", "%llu", U(t.keys));
    LINE("tracking_total_items", "%llu", U(t.items));
    LINE("tracking_total_prefixes", "%llu", U(t.prefixes));
    LINE("unexpected_error_replies", "%d", 0);
    LINE("total_error_replies", "%llu", U(command_stats.error_replies));
    LINE("client_query_buffer_limit_disconnections", "%llu", U(server_stats.query_closed));
    LINE("client_output_buffer_limit_disconnections", "%llu", U(server_stats.output_closed));
    LINE("acl_access_denied_auth", "%llu", U(command_stats.acl_denied_auth));
    LINE("acl_access_denied_cmd", "%llu", U(command_stats.acl_denied_cmd));
    LINE("acl_access_denied_key", "%llu", U(command_stats.acl_denied_key));
    LINE("acl_access_denied_channel", "%llu", U(command_stats.acl_denied_channel));
}

static void info_replication(struct buf *to) {
    LINE("role", "%s", "master");
    LINE("connected_slaves", "%d", 0);
    LINE("master_repl_offset", "%d", 0);
}

static void info_cpu(struct buf *to) {
    u64 us = 0;
    for (u32 i = 0; i < command_count; i++) us += commands[i].us;
    LINE("used_cpu_user", "%llu.%06llu", U(us / 1000000), U(us % 1000000));
    LINE("used_cpu_sys", "%s", "0.000000");
}

static void info_commandstats(struct buf *to) {
    char name[64];
    for (u32 i = 0; i < command_count; i++) {
        const struct command *cmd = &commands[i];
        if (!cmd->calls && !cmd->rejected && !cmd->failed) continue;
        str full = command_full_name(cmd, name);
        (void)!!buf_printf(to, "cmdstat_%.*s:calls=%llu,usec=%llu,usec_per_call=%.2f,"
                               "rejected_calls=%llu,failed_calls=%llu\r\n",
                           STR(full), U(cmd->calls), U(cmd->us),
                           cmd->calls ? (double)cmd->us / (double)cmd->calls : 0, U(cmd->rejected),
                           U(cmd->failed));
    }
}

static void info_errorstats(struct buf *to) {
    for (u32 i = 0; i < error_kind_count; i++)
        (void)!!buf_printf(to, "errorstat_%s:count=%llu\r\n", error_kinds[i].name,
                           U(error_kinds[i].count));
}

static u64 percentile(const struct command *cmd, double p) {
    u64 seen = 0;
    for (u32 b = 0; b < COMMAND_BUCKETS; b++) {
        seen += cmd->histogram[b];
        if ((double)seen >= p * (double)cmd->calls) return (u64)1 << b;
    }
    return 0;
}

static void info_latencystats(struct buf *to) {
    char name[64];
    for (u32 i = 0; i < command_count; i++) {
        const struct command *cmd = &commands[i];
        if (!cmd->calls) continue;
        str full = command_full_name(cmd, name);
        (void)!!buf_printf(to, "latency_percentiles_usec_%.*s:p50=%llu.000,p99=%llu.000,"
                               "p99.9=%llu.000\r\n", STR(full), U(percentile(cmd, .5)),
                           U(percentile(cmd, .99)), U(percentile(cmd, .999)));
    }
}

static void info_modules(struct buf *to) { (void)to; }
static void info_cluster(struct buf *to) { LINE("cluster_enabled", "%d", 0); }

static void info_keyspace(struct buf *to) {
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        const struct keys *k = &databases[i];
        s64 sum = 0;
        u32 n = MIN(k->ends.count, 100u);
        for (u32 j = 0; j < n; j++) sum += MAX(deadlines_some(&k->ends, j)->at - cache_now_ms(), 0);
        if (k->dict.count)
            (void)!!buf_printf(to, "db%u:keys=%u,expires=%u,avg_ttl=%lld\r\n", i, k->dict.count,
                               k->ends.count, (long long)(n ? sum / n : 0));
    }
}

static const struct {
    const char *name, *title;
    void (*write)(struct buf *to);
    bool usual;
} sections[] = {
    {"server", "Server", info_server, true},
    {"clients", "Clients", info_clients, true},
    {"memory", "Memory", info_memory, true},
    {"persistence", "Persistence", info_persistence, true},
    {"stats", "Stats", info_stats, true},
    {"replication", "Replication", info_replication, true},
    {"cpu", "CPU", info_cpu, true},
    {"modules", "Modules", info_modules, true},
    {"commandstats", "Commandstats", info_commandstats, false},
    {"errorstats", "Errorstats", info_errorstats, true},
    {"latencystats", "Latencystats", info_latencystats, false},
    {"cluster", "Cluster", info_cluster, true},
    {"keyspace", "Keyspace", info_keyspace, true},
};

static bool wanted(const struct client *c, size_t i) {
    if (c->argc == 1) return sections[i].usual;
    for (u32 j = 1; j < c->argc; j++) {
        if (arg_is(c, j, "all") || arg_is(c, j, "everything")) return true;
        if (arg_is(c, j, "default") && sections[i].usual) return true;
        if (arg_is(c, j, sections[i].name)) return true;
    }
    return false;
}

void cmd_info(struct client *c) {
    struct buf text;
    buf_open(&text, MIB(1));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!wanted(c, i)) continue;
        (void)!!buf_printf(&text, "%s# %s\r\n", text.len ? "\r\n" : "", sections[i].title);
        sections[i].write(&text);
    }
    say_verbatim(c, buf_str(&text));
    buf_close(&text);
}
