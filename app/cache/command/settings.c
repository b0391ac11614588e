/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c — CONFIG GET, SET, RESETSTAT over one table. There is no name here that reaches a
 * disk, another machine or the ports: those that clients habitually ask for (save, appendonly,
 * dir...) can be read, and set to what they are. All of a CONFIG SET is checked before any of it
 * is done. */
#include "app/cache/settings.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/server.h"
#include <stdio.h>

u64 bulk_limit(void) { return (u64)settings.bulk_max; }
u64 query_limit(void) { return (u64)settings.query_max; }
u32 clients_limit(void) { return (u32)settings.clients_max; }

void output_limits(const struct client *c, u64 *hard, u64 *soft, u64 *seconds) {
    enum output_class class = pubsub_count(c) || c->monitor ? OUTPUT_PUBSUB : OUTPUT_NORMAL;
    if (c->monitor) class = OUTPUT_REPLICA;
    *hard = settings.output[class].hard;
    *soft = settings.output[class].soft;
    *seconds = settings.output[class].seconds;
}

/* ---- The table ------------------------------------------------------------------------------- */

enum kind { NUMBER, BYTES, YES_NO, FIXED, SPECIAL };
struct setting {
    const char *name;
    enum kind kind;
    void *at;
    s64 least, most;
    bool hidden;       /* from patterns: only its whole name finds it */
    const char *fixed; /* FIXED: the only value; more after '|' are accepted too */
    void (*get)(char *to, size_t room);
    bool (*set)(str value, bool try_only, char why[128]);
};

static void policy_get(char *to, size_t room) {
    (void)snprintf(to, room, "%s", evict_policy_names[evict_policy_get()]);
}
static bool policy_set(str v, bool try_only, char why[128]) {
    for (u32 i = 0; i < EVICT_POLICY_COUNT; i++)
        if (str_eq_nocase(v, str_from_c(evict_policy_names[i]))) {
            if (!try_only) evict_policy_set(i);
            return true;
        }
    (void)snprintf(why, 128, "argument(s) must be one of the following: noeviction, allkeys-lru, "
                             "volatile-lru, allkeys-lfu, ... ");
    return false;
}

static bool bytes_parse(str v, u64 *out) {
    static const struct {
        const char *unit;
        u64 by;
    } units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1024}, {"m", 1000000}, {"mb", 1u << 20},
                 {"g", 1000000000}, {"gb", 1u << 30}};
    size_t digits = 0;
    while (digits < v.len && v.ptr[digits] >= '0' && v.ptr[digits] <= '9') digits++;
    u64 n;
    if (str_to_u64(str_take(v, digits), &n)) return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_nocase(str_skip(v, digits), str_from_c(units[i].unit)))
            return !__builtin_mul_overflow(n, units[i].by, out);
    return false;
}

static void memory_get(char *to, size_t room) {
    (void)snprintf(to, room, "%llu", (unsigned long long)evict_limit_get());
}
static bool memory_set(str v, bool try_only, char why[128]) {
    u64 n;
    if (!bytes_parse(v, &n)) {
        (void)snprintf(why, 128, "argument must be a memory value");
        return false;
    }
    if (!try_only) {
        evict_limit_set(n);
        (void)evict_make_room();
    }
    return true;
}

static void events_get(char *to, size_t room) {
    char text[24];
    notify_text(notify_mask, text);
    (void)snprintf(to, room, "%s", text);
}
static bool events_set(str v, bool try_only, char why[128]) {
    u32 mask;
    if (!notify_parse(v, &mask)) {
        (void)snprintf(why, 128, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return false;
    }
    if (!try_only) notify_mask = mask;
    return true;
}

static const char *const output_names[OUTPUT_CLASSES] = {"normal", "slave", "pubsub"};

static void output_get(char *to, size_t room) {
    size_t n = 0;
    for (u32 i = 0; i < OUTPUT_CLASSES; i++)
        n += (size_t)snprintf(to + n, room - n, "%s%s %llu %llu %llu", i ? " " : "",
                              output_names[i],
                              (unsigned long long)settings.output[i].hard,
                              (unsigned long long)settings.output[i].soft,
                              (unsigned long long)settings.output[i].seconds);
}
static bool output_set(str v, bool try_only, char why[128]) {
    str words[16], word, rest = v;
    u32 n = 0;
    while (rest.ptr && n < ARRAY_LEN(words) && str_split(&rest, ' ', &word))
        if (word.len) words[n++] = word;
    bool good = n && n % 4 == 0;
    for (u32 i = 0; good && i < n; i += 4) {
        u64 hard, soft, seconds;
        u32 class = 0;
        while (class < OUTPUT_CLASSES && !str_eq_nocase(words[i], str_from_c(output_names[class])))
            class++;
        if (class == OUTPUT_CLASSES && str_eq_nocase(words[i], S("replica"))) class =
            OUTPUT_REPLICA;
        good = class < OUTPUT_CLASSES && bytes_parse(words[i + 1], &hard) &&
               bytes_parse(words[i + 2], &soft) && !str_to_u64(words[i + 3], &seconds);
        if (!good || try_only) continue;
        settings.output[class].hard = hard;
        settings.output[class].soft = soft;
        settings.output[class].seconds = seconds;
    }
    if (!good) (void)snprintf(why, 128, "Invalid client class or limits specified.");
    return good;
}

static const struct setting table[] = {
    {.name = "maxmemory", .kind = SPECIAL, .get = memory_get, .set = memory_set},
    {.name = "maxmemory-policy", .kind = SPECIAL, .get = policy_get, .set = policy_set},
    {.name = "maxmemory-samples", .kind = NUMBER,
     .at = &settings.memory_samples, .least = 1, .most = 64},
    {.name = "maxmemory-clients", .kind = FIXED, .fixed = "0"},
    {.name = "maxmemory-eviction-tenacity", .kind = FIXED, .fixed = "10"},
    {.name = "notify-keyspace-events", .kind = SPECIAL, .get = events_get, .set = events_set},
    {.name = "client-output-buffer-limit", .kind = SPECIAL, .get = output_get, .set = output_set},
    {.name = "hash-max-listpack-entries", .kind = NUMBER,
     .at = &settings.hash_pack_entries, .least = 0, .most = INT64_MAX},
    {.name = "hash-max-ziplist-entries", .kind = NUMBER,
     .at = &settings.hash_pack_entries, .least = 0, .most = INT64_MAX},
    {.name = "hash-max-listpack-value", .kind = NUMBER,
     .at = &settings.hash_pack_value, .least = 0, .most = INT64_MAX},
    {.name = "hash-max-ziplist-value", .kind = NUMBER,
     .at = &settings.hash_pack_value, .least = 0, .most = INT64_MAX},
    {.name = "set-max-intset-entries", .kind = NUMBER,
     .at = &settings.set_ints_entries, .least = 0, .most = INT64_MAX},
    {.name = "set-max-listpack-entries", .kind = NUMBER,
     .at = &settings.set_pack_entries, .least = 0, .most = INT64_MAX},
    {.name = "set-max-listpack-value", .kind = NUMBER,
     .at = &settings.set_pack_value, .least = 0, .most = INT64_MAX},
    {.name = "zset-max-listpack-entries", .kind = NUMBER,
     .at = &settings.zset_pack_entries, .least = 0, .most = INT64_MAX},
    {.name = "zset-max-ziplist-entries", .kind = NUMBER,
     .at = &settings.zset_pack_entries, .least = 0, .most = INT64_MAX},
    {.name = "zset-max-listpack-value", .kind = NUMBER,
     .at = &settings.zset_pack_value, .least = 0, .most = INT64_MAX},
    {.name = "zset-max-ziplist-value", .kind = NUMBER,
     .at = &settings.zset_pack_value, .least = 0, .most = INT64_MAX},
    {.name = "list-max-listpack-size", .kind = NUMBER,
     .at = &settings.list_pack_size, .least = -5, .most = 65536},
    {.name = "list-max-ziplist-size", .kind = NUMBER,
     .at = &settings.list_pack_size, .least = -5, .most = 65536},
    {.name = "list-compress-depth", .kind = NUMBER,
     .at = &settings.list_compress_depth, .least = 0, .most = INT32_MAX},
    {.name = "stream-node-max-entries", .kind = NUMBER,
     .at = &settings.stream_node_entries, .least = 0, .most = 65536},
    {.name = "stream-node-max-bytes", .kind = BYTES,
     .at = &settings.stream_node_bytes, .least = 0, .most = MIB(1)},
    {.name = "hll-sparse-max-bytes", .kind = NUMBER,
     .at = &settings.hll_sparse_bytes, .least = 0, .most = 16000},
    {.name = "slowlog-log-slower-than", .kind = NUMBER,
     .at = &settings.slowlog_us, .least = -1, .most = INT64_MAX},
    {.name = "slowlog-max-len", .kind = NUMBER,
     .at = &settings.slowlog_lines, .least = 0, .most = 65536},
    {.name = "latency-monitor-threshold", .kind = NUMBER,
     .at = &settings.latency_ms, .least = 0, .most = INT64_MAX},
    {.name = "latency-tracking", .kind = FIXED, .fixed = "yes|no"},
    {.name = "maxclients", .kind = NUMBER,
     .at = &settings.clients_max, .least = 1, .most = CACHE_CLIENTS_MAX},
    {.name = "proto-max-bulk-len", .kind = BYTES,
     .at = &settings.bulk_max, .least = MIB(1), .most = CACHE_BULK_MAX},
    {.name = "client-query-buffer-limit", .kind = BYTES,
     .at = &settings.query_max, .least = MIB(1), .most = CACHE_QUERY_MAX},
    {.name = "timeout", .kind = NUMBER, .at = &settings.timeout_s, .least = 0, .most = INT32_MAX},
    {.name = "tracking-table-max-keys", .kind = NUMBER,
     .at = &settings.tracking_keys_max, .least = 0, .most = INT64_MAX},
    {.name = "acllog-max-len", .kind = NUMBER,
     .at = &settings.acl_log_lines, .least = 0, .most = 4096},
    {.name = "lfu-log-factor", .kind = NUMBER,
     .at = &settings.lfu_log_factor, .least = 0, .most = INT32_MAX},
    {.name = "lfu-decay-time", .kind = NUMBER,
     .at = &settings.lfu_decay_minutes, .least = 0, .most = INT32_MAX},
    {.name = "lazyfree-lazy-user-del", .kind = YES_NO, .at = &settings.lazy_user_del},
    {.name = "lazyfree-lazy-user-flush", .kind = YES_NO, .at = &settings.lazy_user_flush},
    {.name = "lazyfree-lazy-expire", .kind = YES_NO, .at = &settings.lazy_expire},
    {.name = "lazyfree-lazy-eviction", .kind = YES_NO, .at = &settings.lazy_eviction},
    {.name = "lazyfree-lazy-server-del", .kind = YES_NO, .at = &settings.lazy_server_del},
    {.name = "sanitize-dump-payload", .kind = FIXED, .fixed = "yes|no|clients"},
    {.name = "databases", .kind = FIXED, .fixed = "16"},
    {.name = "port", .kind = FIXED, .fixed = "6379"},
    {.name = "save", .kind = FIXED, .fixed = ""},
    {.name = "appendonly", .kind = FIXED, .fixed = "no"},
    {.name = "dir", .kind = FIXED, .fixed = ""},
    {.name = "dbfilename", .kind = FIXED, .fixed = ""},
    {.name = "appendfsync", .kind = FIXED, .fixed = "no|always|everysec"},
    {.name = "auto-aof-rewrite-percentage", .kind = FIXED, .fixed = "0"},
    {.name = "rdb-key-save-delay", .kind = FIXED, .fixed = "0"},
    {.name = "key-load-delay", .kind = FIXED, .fixed = "0", .hidden = true},
    {.name = "hz", .kind = FIXED, .fixed = "10"},
    {.name = "activedefrag", .kind = FIXED, .fixed = "no"},
    {.name = "activerehashing", .kind = FIXED, .fixed = "yes|no"},
    {.name = "replica-serve-stale-data", .kind = FIXED, .fixed = "yes"},
    {.name = "replica-read-only", .kind = FIXED, .fixed = "yes"},
    {.name = "busy-reply-threshold", .kind = FIXED, .fixed = "5000"},
    {.name = "lua-time-limit", .kind = FIXED, .fixed = "5000"},
    {.name = "cluster-enabled", .kind = FIXED, .fixed = "no"},
    {.name = "bind", .kind = FIXED, .fixed = ""},
    {.name = "replicaof", .kind = FIXED, .fixed = ""},
    {.name = "slaveof", .kind = FIXED, .fixed = ""},
    {.name = "daemonize", .kind = FIXED, .fixed = "no"},
    {.name = "io-threads", .kind = FIXED, .fixed = "1"},
};

static const struct setting *setting_find(str name) {
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq_nocase(name, str_from_c(table[i].name))) return &table[i];
    return NULL;
}

static void setting_text(const struct setting *s, char *to, size_t room) {
    switch (s->kind) {
    case NUMBER:
    case BYTES: (void)snprintf(to, room, "%lld", (long long)*(s64 *)s->at); break;
    case YES_NO: (void)snprintf(to, room, "%s", *(bool *)s->at ? "yes" : "no"); break;
    case FIXED: {
        str first = str_from_c(s->fixed);
        first = str_take(first, str_find_byte(first, '|'));
        (void)snprintf(to, room, "%.*s", STR(first));
        break;
    }
    case SPECIAL: s->get(to, room); break;
    }
}

static bool fixed_accepts(const char *values, str v) {
    str rest = str_from_c(values), one;
    if (!rest.len) return !v.len;
    while (rest.ptr && str_split(&rest, '|', &one))
        if (str_eq_nocase(one, v)) return true;
    return false;
}

static bool setting_apply(const struct setting *s, str v, bool try_only, char why[128]) {
    s64 n = 0;
    u64 bytes = 0;
    switch (s->kind) {
    case NUMBER:
    case BYTES:
        if (s->kind == NUMBER ? !integer_parse(v, &n) : !bytes_parse(v, &bytes)) {
            (void)snprintf(why, 128, "argument couldn't be parsed into an integer");
            return false;
        }
        if (s->kind == BYTES) n = (s64)MIN(bytes, (u64)INT64_MAX);
        if (n < s->least || n > s->most) {
            (void)snprintf(why, 128, "argument must be between %lld and %lld inclusive",
                           (long long)s->least, (long long)s->most);
            return false;
        }
        if (!try_only) *(s64 *)s->at = n;
        return true;
    case YES_NO:
        if (!str_eq_nocase(v, S("yes")) && !str_eq_nocase(v, S("no"))) {
            (void)snprintf(why, 128, "argument must be 'yes' or 'no'");
            return false;
        }
        if (!try_only) *(bool *)s->at = str_eq_nocase(v, S("yes"));
        return true;
    case FIXED:
        if (fixed_accepts(s->fixed, v)) return true;
        (void)snprintf(why, 128, "can't set immutable config");
        return false;
    default: return s->set(v, try_only, why);
    }
}

/* Copies of values kept elsewhere for speed. */
static void spread(void) {
    evict_samples = (u32)settings.memory_samples;
    keys_lfu_log_factor = (u32)settings.lfu_log_factor;
    keys_lfu_decay_minutes = (u32)settings.lfu_decay_minutes;
    slowlog_trim();
}

/* ---- Commands -------------------------------------------------------------------------------- */

void cmd_config_get(struct client *c) {
    char text[512];
    u64 n = 0;
    struct block *later = say_later(c);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        bool wanted = false;
        for (u32 j = 2; j < c->argc; j++)
            wanted |= table[i].hidden ? arg_is(c, j, table[i].name)
                                      : glob_match(c->argv[j], str_from_c(table[i].name), true);
        if (!wanted) continue;
        setting_text(&table[i], text, sizeof text);
        say_cstr(c, table[i].name);
        say_cstr(c, text);
        n++;
    }
    say_later_map(c, later, n);
}

void cmd_config_set(struct client *c) {
    char why[128] = "";
    if (c->argc % 2) {
        say_arity(c);
        return;
    }
    for (int try_only = 1; try_only >= 0; try_only--)
        for (u32 i = 2; i < c->argc; i += 2) {
            const struct setting *s = setting_find(c->argv[i]);
            str name = str_take(c->argv[i], 64);
            bool twice = false;
            for (u32 j = 2; j < i; j += 2) twice |= setting_find(c->argv[j]) == s;
            if (!s)
                say_errorf(c, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           STR(name));
            else if (twice)
                say_errorf(c, "ERR CONFIG SET failed (possibly related to argument '%.*s') - "
                              "duplicate parameter", STR(name));
            else if (!setting_apply(s, c->argv[i + 1], try_only, why))
                say_errorf(c, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                           STR(name), why);
            else
                continue;
            return;
        }
    spread();
    say_ok(c);
}

void cmd_config_resetstat(struct client *c) {
    for (u32 i = 0; i < command_count; i++) {
        commands[i].calls = commands[i].us = commands[i].rejected = commands[i].failed = 0;
        memset(commands[i].histogram, 0, sizeof commands[i].histogram);
    }
    keys_stats = (struct keys_stats){0};
    command_stats = (struct command_stats){.dirty = command_stats.dirty};
    error_kind_count = 0;
    memset(error_kinds, 0, sizeof error_kinds);
    server_stats = (struct server_stats){.query_bytes = server_stats.query_bytes};
    cache_used_peak_reset();
    lazy_stats_reset();
    say_ok(c);
}

void cmd_config_help(struct client *c) {
    static const char *const lines[] = {
        "GET <pattern>", "    Settings whose names match.",
        "SET <directive> <value>", "    Change settings until the next start.",
        "RESETSTAT", "    Counters back to zero.", NULL};
    say_help(c, lines);
}
