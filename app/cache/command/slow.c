/* SPDX-License-Identifier: Apache-2.0 */
/* slow.c — what was slow: SLOWLOG keeps the newest slow commands with their arguments cut short and
 * secrets left out; LATENCY keeps a history of slow events of each kind. */
#include "app/cache/acl.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/base/buf.h"
#include "kernel/platform.h"
#include <stdio.h>

#define SLOW_ARGS 32u
#define SLOW_ARG_BYTES 128u

struct slow {
    struct slow *next;
    u64 id, us;
    s64 at_s;
    char address[64], name[64];
    u32 argc;
    struct text *args[SLOW_ARGS];
};
static struct slow *slow_first;
static u64 slow_ids;

static void slow_free(struct slow *s) {
    for (u32 i = 0; i < s->argc; i++) text_drop(s->args[i]);
    cache_free(s);
}

void slowlog_trim(void) {
    struct slow **at = &slow_first;
    for (s64 n = 0; *at && n < settings.slowlog_lines; n++) at = &(*at)->next;
    while (*at) {
        struct slow *s = *at;
        *at = s->next;
        slow_free(s);
    }
}

static struct text *short_text(str s) {
    char more[64];
    if (s.len <= SLOW_ARG_BYTES) return text_new(s, 0);
    int n = snprintf(more, sizeof more, "... (%llu more bytes)",
                     (unsigned long long)(s.len - SLOW_ARG_BYTES));
    struct text *t = text_new(str_take(s, SLOW_ARG_BYTES), SLOW_ARG_BYTES + (size_t)n);
    memcpy(t->bytes + t->len, more, (size_t)n);
    t->len += (u32)n;
    return t;
}

static bool is_secret(const struct client *c, const struct command *cmd, u32 i) {
    if (cmd->run == cmd_auth) return i > 0;
    if (cmd->run == cmd_acl_setuser || cmd->run == cmd_acl_getuser || cmd->run == cmd_acl_deluser)
        return i > 1;
    if (cmd->run != cmd_hello) return false;
    return (i >= 2 && arg_is(c, i - 1, "auth")) || (i >= 3 && arg_is(c, i - 2, "auth"));
}

void slowlog_see(struct client *c, const struct command *cmd, u64 us) {
    latency_see(cmd->flags & CMD_FAST ? "fast-command" : "command", us / 1000);
    if (settings.slowlog_us < 0 || (s64)us < settings.slowlog_us || !settings.slowlog_lines ||
        cmd->flags & CMD_SKIP_SLOWLOG || c->dead)
        return;
    struct slow *s = cache_zero(sizeof *s);
    s->id = slow_ids++;
    s->us = us;
    s->at_s = (s64)(platform_wall_ns() / NS_PER_S);
    client_address(c, s->address);
    memcpy(s->name, c->name, sizeof s->name);
    s->argc = MIN(c->argc, SLOW_ARGS);
    for (u32 i = 0; i < s->argc; i++)
        s->args[i] = is_secret(c, cmd, i) ? text_new(S("(redacted)"), 0) : short_text(c->argv[i]);
    if (c->argc > SLOW_ARGS) {
        char more[64];
        int n = snprintf(more, sizeof more, "... (%u more arguments)", c->argc - SLOW_ARGS + 1);
        text_drop(s->args[SLOW_ARGS - 1]);
        s->args[SLOW_ARGS - 1] = text_new(str_of(more, (size_t)n), 0);
    }
    s->next = slow_first;
    slow_first = s;
    slowlog_trim();
}

void cmd_slowlog_get(struct client *c) {
    s64 most = 10, n = 0;
    if (c->argc == 3 && !arg_range(c, 2, -1, INT64_MAX, &most,
                                   "ERR count should be greater than or equal to -1"))
        return;
    if (c->argc > 3) {
        say_arity(c);
        return;
    }
    for (struct slow *s = slow_first; s; s = s->next) n++;
    if (most < 0 || most > n) most = n;
    say_array(c, (u64)most);
    for (struct slow *s = slow_first; s && most; s = s->next, most--) {
        say_array(c, 6);
        say_integer(c, (s64)s->id);
        say_integer(c, s->at_s);
        say_integer(c, (s64)s->us);
        say_array(c, s->argc);
        for (u32 i = 0; i < s->argc; i++) say_bulk(c, str_of(s->args[i]->bytes, s->args[i]->len));
        say_cstr(c, s->address);
        say_cstr(c, s->name);
    }
}

void cmd_slowlog_len(struct client *c) {
    s64 n = 0;
    for (struct slow *s = slow_first; s; s = s->next) n++;
    say_integer(c, n);
}

void cmd_slowlog_reset(struct client *c) {
    while (slow_first) {
        struct slow *s = slow_first;
        slow_first = s->next;
        slow_free(s);
    }
    say_ok(c);
}

void cmd_slowlog_help(struct client *c) {
    static const char *const lines[] = {
        "GET [<count>]", "    The newest slow commands: id, time, microseconds, words, client.",
        "LEN", "    How many are kept.", "RESET", "    Forget them.", NULL};
    say_help(c, lines);
}

/* ---- LATENCY --------------------------------------------------------------------------------- */

#define EVENTS_MAX 16u
#define HISTORY 160u
static struct event {
    const char *name;
    u32 count, next;
    u64 max;
    struct {
        s64 at_s;
        u64 ms;
    } samples[HISTORY];
} events[EVENTS_MAX];
static u32 event_count;

void latency_see(const char *name, u64 ms) {
    struct event *e = NULL;
    if (!settings.latency_ms || (s64)ms < settings.latency_ms) return;
    for (u32 i = 0; i < event_count; i++)
        if (strcmp(events[i].name, name) == 0) e = &events[i];
    if (!e) {
        if (event_count == EVENTS_MAX) return;
        e = &events[event_count++];
        *e = (struct event){.name = name};
    }
    s64 now = (s64)(platform_wall_ns() / NS_PER_S);
    if (ms > e->max) e->max = ms;
    u32 last = (e->next + HISTORY - 1) % HISTORY;
    if (e->count && e->samples[last].at_s == now) { /* one sample per second: the worst */
        if (ms > e->samples[last].ms) e->samples[last].ms = ms;
        return;
    }
    e->samples[e->next].at_s = now;
    e->samples[e->next].ms = ms;
    e->next = (e->next + 1) % HISTORY;
    if (e->count < HISTORY) e->count++;
}

static struct event *event_arg(struct client *c) {
    for (u32 i = 0; i < event_count; i++)
        if (str_eq_nocase(c->argv[2], str_from_c(events[i].name))) return &events[i];
    return NULL;
}

void cmd_latency_latest(struct client *c) {
    say_array(c, event_count);
    for (u32 i = 0; i < event_count; i++) {
        struct event *e = &events[i];
        u32 last = (e->next + HISTORY - 1) % HISTORY;
        say_array(c, 4);
        say_cstr(c, e->name);
        say_integer(c, e->samples[last].at_s);
        say_integer(c, (s64)e->samples[last].ms);
        say_integer(c, (s64)e->max);
    }
}

void cmd_latency_history(struct client *c) {
    struct event *e = event_arg(c);
    say_array(c, e ? e->count : 0);
    for (u32 i = 0; e && i < e->count; i++) {
        u32 at = (e->next + HISTORY - e->count + i) % HISTORY;
        say_array(c, 2);
        say_integer(c, e->samples[at].at_s);
        say_integer(c, (s64)e->samples[at].ms);
    }
}

void cmd_latency_reset(struct client *c) {
    s64 n = 0;
    for (u32 i = 0; i < event_count;) {
        bool wanted = c->argc == 2;
        for (u32 j = 2; j < c->argc; j++) wanted |= arg_is(c, j, events[i].name);
        if (!wanted) {
            i++;
            continue;
        }
        events[i] = events[--event_count];
        n++;
    }
    say_integer(c, n);
}

void cmd_latency_graph(struct client *c) {
    struct event *e = event_arg(c);
    struct buf text;
    if (!e) {
        say_errorf(c, "ERR No samples available for event '%.*s'", STR(str_take(c->argv[2], 64)));
        return;
    }
    buf_open(&text, KIB(64));
    u64 low = UINT64_MAX;
    for (u32 i = 0; i < e->count; i++) low = MIN(low, e->samples[i].ms);
    (void)!!buf_printf(&text, "%s - high %llu ms, low %llu ms (all time high %llu ms)\n", e->name,
                       (unsigned long long)e->max, (unsigned long long)low,
                       (unsigned long long)e->max);
    for (u32 row = 4; row--;) {
        for (u32 i = 0; i < e->count; i++) {
            u32 at = (e->next + HISTORY - e->count + i) % HISTORY;
            u64 height = e->samples[at].ms * 4 / MAX(e->max, (u64)1);
            (void)!!buf_add_byte(&text, height > row ? '#' : height == row ? '_' : ' ');
        }
        (void)!!buf_add_byte(&text, '\n');
    }
    say_verbatim(c, buf_str(&text));
    buf_close(&text);
}

void cmd_latency_doctor(struct client *c) {
    struct buf text;
    buf_open(&text, KIB(64));
    if (!settings.latency_ms) {
        (void)!!buf_add(&text,
                        S("I'm sorry, Dave, I can't do that. Latency monitoring is disabled: "
                                 "set latency-monitor-threshold to the milliseconds from which "
                                 "something counts as slow.\n"));
    } else if (!event_count) {
        (void)!!buf_add(&text, S("Dave, no latency spike was observed during the lifetime of this "
                                 "server.\n"));
    }
    for (u32 i = 0; i < event_count; i++)
        (void)!!buf_printf(&text, "%u. %s: %u latency spikes, the worst took %llu ms.\n", i + 1,
                           events[i].name, events[i].count, (unsigned long long)events[i].max);
    say_verbatim(c, buf_str(&text));
    buf_close(&text);
}

static bool histogram_wanted(struct client *c, const struct command *cmd) {
    if (!cmd->calls) return false;
    if (c->argc == 2) return true;
    for (u32 i = 2; i < c->argc; i++) {
        const struct command *asked = command_by_name(c->argv[i]);
        if (asked == cmd || (asked && cmd->parent == (s16)asked->id)) return true;
    }
    return false;
}

void cmd_latency_histogram(struct client *c) {
    char name[64];
    u64 said = 0;
    struct block *later = say_later(c);
    for (u32 i = 0; i < command_count; i++) {
        const struct command *cmd = &commands[i];
        u64 filled = 0, sum = 0;
        if (!histogram_wanted(c, cmd)) continue;
        for (u32 b = 0; b < COMMAND_BUCKETS; b++) filled += cmd->histogram[b] != 0;
        say_bulk(c, command_full_name(cmd, name));
        say_map(c, 2);
        say_cstr(c, "calls");
        say_integer(c, (s64)cmd->calls);
        say_cstr(c, "histogram_usec");
        say_map(c, filled);
        for (u32 b = 0; b < COMMAND_BUCKETS; b++) {
            sum += cmd->histogram[b];
            if (!cmd->histogram[b]) continue;
            say_integer(c, (s64)1 << b);
            say_integer(c, (s64)sum);
        }
        said++;
    }
    say_later_map(c, later, said);
}

void cmd_latency_help(struct client *c) {
    static const char *const lines[] = {
        "DOCTOR", "    Slow events in words.", "GRAPH <event>", "    Slow events as a picture.",
        "HISTORY <event>", "    Time and milliseconds of each.", "LATEST",
            "    The newest of each kind.",
        "RESET [<event> ...]", "    Forget them.",
        "HISTOGRAM [COMMAND ...]", "    How long commands took, cumulative.", NULL};
    say_help(c, lines);
}
