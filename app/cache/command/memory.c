/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c — MEMORY: what data costs; and DEBUG, which exists for tests and answers only where
 * cache.debug is set. */
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/platform.h"

void cmd_memory_usage(struct client *c) {
    s64 samples = 5;
    for (u32 i = 3; i < c->argc; i += 2) {
        if (!arg_is(c, i, "samples") || i + 1 >= c->argc) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
        if (!arg_integer(c, i + 1, &samples)) return;
        if (samples < 0) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    struct entry *e = keys_peek(c->db, c->argv[2]);
    if (!e) {
        say_null(c);
        return;
    }
    size_t bytes = cache_size(e) + object_bytes(&e->object, (u32)MIN(samples, (s64)UINT32_MAX));
    say_integer(c, (s64)(bytes + sizeof(void *) + (e->deadline_slot ? sizeof(struct deadline)
                                                   : 0)));
}

static void say_number(struct client *c, const char *name, u64 n) {
    say_cstr(c, name);
    say_integer(c, (s64)n);
}

void cmd_memory_stats(struct client *c) {
    u64 keys = 0, tables = 0;
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        keys += databases[i].dict.count;
        tables += dict_bytes(&databases[i].dict) + deadlines_bytes(&databases[i].ends);
    }
    say_map(c, 9);
    say_number(c, "peak.allocated", cache_used_peak());
    say_number(c, "total.allocated", cache_used());
    say_number(c, "startup.allocated", 0);
    say_number(c, "replication.backlog", 0);
    say_number(c, "clients.normal", server_stats.query_bytes);
    say_number(c, "overhead.total", tables);
    say_number(c, "keys.count", keys);
    say_number(c, "keys.bytes-per-key", keys ? cache_used() / keys : 0);
    say_number(c, "dataset.bytes", cache_used() - MIN(tables, cache_used()));
}

void cmd_memory_doctor(struct client *c) {
    u64 limit = evict_limit_get();
    if (limit && cache_used() > limit / 10 * 9)
        say_verbatim(c,
                     S("The data is close to its limit: keys are being evicted, or writes refused, "
                          "as cache.policy says. Give cache.memory more if hits matter.\n"));
    else
        say_verbatim(c, S("Hi Sam, I can't find any memory issue in your instance.\n"));
}

void cmd_memory_malloc_stats(struct client *c) {
    say_verbatim(c, S("Counted to the byte; see INFO memory.\n"));
}

void cmd_memory_purge(struct client *c) { say_ok(c); }

void cmd_memory_help(struct client *c) {
    static const char *const lines[] = {
        "DOCTOR", "    Advice.", "MALLOC-STATS", "    The allocator's own words.",
        "PURGE", "    Give memory back.", "STATS", "    Where memory goes.",
        "USAGE <key> [SAMPLES <count>]", "    Bytes of one key; SAMPLES 0: exactly.", NULL};
    say_help(c, lines);
}

/* ---- DEBUG ----------------------------------------------------------------------------------- */

static void debug_object(struct client *c) {
    struct entry *e = keys_peek(c->db, c->argv[2]);
    if (!e) {
        say_error(c, NO_KEY);
        return;
    }
    struct diag text;
    diag_set(&text, "Value at:%p refcount:1 encoding:%s serializedlength:%llu lru:%u "
                    "lru_seconds_idle:%llu", (void *)&e->object, object_encoding_name(&e->object),
             (unsigned long long)object_bytes(&e->object, 0), e->object.used_at,
             (unsigned long long)(keys_idle_ms(&e->object) / 1000));
    say_status(c, text.text);
}

static void debug_sleep(struct client *c) {
    double seconds;
    if (!arg_double(c, 2, &seconds, NOT_FLOAT)) return;
    u64 until = platform_clock_ns() + (u64)(MIN(MAX(seconds, 0), 10) * 1e9);
    while (platform_clock_ns() < until) {}
    say_ok(c);
}

void cmd_debug(struct client *c) {
    if (!settings.debug) {
        say_error(c, "ERR DEBUG command not allowed: it exists for tests alone");
        return;
    }
    if (arg_is(c, 1, "sleep") && c->argc == 3) {
        debug_sleep(c);
    } else if (arg_is(c, 1, "object") && c->argc == 3) {
        debug_object(c);
    } else if (arg_is(c, 1, "set-active-expire") && c->argc == 3) {
        keys_expiry_set(str_eq(c->argv[2], S("1")));
        say_ok(c);
    } else if (arg_is(c, 1, "quicklist-packed-threshold") && c->argc == 3) {
        say_ok(c); /* from where on an element of a list has a block of its own: always, here */
    } else if (arg_is(c, 1, "jmap") || arg_is(c, 1, "set-disable-deny-scripts")) {
        say_ok(c);
    } else {
        say_error(c, "ERR unknown subcommand of DEBUG, or wrong number of arguments");
    }
}
