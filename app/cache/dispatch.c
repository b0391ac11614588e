/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch.c — from words to a command that has run: the checks, in the order clients rely on.
 *
 *   known? -> enough arguments? -> signed in? -> allowed? -> memory? -> only listening?
 *          -> queued by MULTI? -> paused? -> run, measure -> who waits for what it changed?
 *
 * An error of the first five breaks a transaction that is being queued. What a command costs goes
 * into its own counters, the slow log and the latency monitor. */
#include "app/cache/acl.h"
#include "app/cache/command.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <stdio.h>

struct command_stats command_stats;
struct error_kind error_kinds[ERROR_KINDS_MAX];
u32 error_kind_count;

void command_error_count(const char *line) {
    size_t n = 0;
    command_stats.error_replies++;
    while (line[n] && line[n] != ' ' && n < sizeof error_kinds[0].name - 1) n++;
    for (u32 i = 0; i < error_kind_count; i++)
        if (strncmp(error_kinds[i].name, line, n) == 0 && !error_kinds[i].name[n]) {
            error_kinds[i].count++;
            return;
        }
    if (error_kind_count == ERROR_KINDS_MAX) return;
    struct error_kind *k = &error_kinds[error_kind_count++];
    memcpy(k->name, line, n);
    k->name[n] = 0;
    k->count = 1;
}

/* ---- Refusing -------------------------------------------------------------------------------- */

static void say_unknown(struct client *c) {
    char words[128];
    size_t n = 0;
    for (u32 i = 1; i < c->argc && n < sizeof words - 1; i++) {
        str s = str_take(c->argv[i], 128 - MIN(n, (size_t)127));
        int more = snprintf(words + n, sizeof words - n, "'%.*s' ", STR(s));
        n = MIN(n + (size_t)MAX(more, 0), sizeof words - 1);
    }
    words[n] = 0;
    str name = str_take(c->argv[0], 128);
    say_errorf(c, "ERR unknown command '%.*s', with args beginning with: %s", STR(name), words);
}

void say_subcommand_unknown(struct client *c) {
    str sub = str_take(c->argv[1], 128);
    char parent[64];
    size_t n = 0;
    for (; n < c->argv[0].len && n < 63; n++) {
        char ch = c->argv[0].ptr[n];
        parent[n] = ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
    }
    say_errorf(c, "ERR unknown subcommand '%.*s'. Try %.*s HELP.", STR(sub), (int)n, parent);
}

void say_arity(struct client *c) {
    char name[64];
    str full = command_full_name(c->command, name);
    say_errorf(c, "ERR wrong number of arguments for '%.*s' command", STR(full));
}

void cmd_container(struct client *c) { say_subcommand_unknown(c); }

static bool arity_fits(const struct command *cmd, u32 argc) {
    return cmd->arity > 0 ? argc == (u32)cmd->arity : argc >= (u32)-cmd->arity;
}

/* True: refused, and the client has been told. */
static bool refused(struct client *c, const struct command *cmd) {
    bool sub_missing = cmd && cmd->container && c->argc >= 2;
    if (!cmd || sub_missing) {
        if (cmd) say_subcommand_unknown(c);
        else say_unknown(c);
        return true;
    }
    c->command = cmd;
    if (!arity_fits(cmd, c->argc)) {
        say_arity(c);
        return true;
    }
    if (!(cmd->flags & CMD_NO_AUTH) && !c->user) {
        say_error(c, "NOAUTH Authentication required.");
        return true;
    }
    if (cmd->flags & CMD_NO_MULTI && c->in_multi) {
        say_error(c, "ERR Command not allowed inside a transaction");
        return true;
    }
    if (!(cmd->flags & CMD_NO_AUTH) && !acl_allows(c)) return true;
    bool grows = cmd->flags & CMD_MEMORY ||
                 (cmd->run == cmd_exec && c->multi_denied_oom);
    if (!evict_make_room() && grows) {
        say_error(c, "OOM command not allowed when used memory > 'maxmemory'.");
        return true;
    }
    return false;
}

static bool only_listening(struct client *c, const struct command *cmd) {
    if (c->resp > 2 || !pubsub_count(c)) return false;
    void (*const allowed[])(struct client *) = {
        cmd_ping,        cmd_subscribe,    cmd_psubscribe,   cmd_ssubscribe, cmd_unsubscribe,
        cmd_punsubscribe, cmd_sunsubscribe, cmd_quit,        cmd_reset};
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (cmd->run == allowed[i]) return false;
    char name[64];
    str full = command_full_name(cmd, name);
    say_errorf(c,
               "ERR Can't execute '%.*s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                  "RESET are allowed in this context", STR(full));
    return true;
}

/* ---- Running --------------------------------------------------------------------------------- */

static u32 depth; /* of commands inside commands: EXEC, those that are served */

bool command_running(void) { return depth > 0; }

void command_call(struct client *c, const struct command *cmd) {
    struct command *counted = &commands[cmd->id];
    u64 started = platform_clock_ns();
    c->failed = false;
    c->command = cmd;
    depth++;
    cmd->run(c);
    depth--;
    monitor_show(c, cmd);
    u64 us = (platform_clock_ns() - started) / NS_PER_US;
    if (c->held & HELD_WAITING) return; /* counted when it has been served */
    u32 bucket = us ? (u32)(64 - __builtin_clzll(us)) : 0;
    counted->calls++;
    counted->us += us;
    counted->failed += c->failed;
    counted->histogram[MIN(bucket, COMMAND_BUCKETS - 1)]++;
    server_stats.commands++;
    slowlog_see(c, cmd, us);
}

void command_dispatch(struct client *c) {
    const struct command *cmd = command_find(c->argc, c->argv);
    keys_clock_tick();
    c->failed = false;
    c->command = NULL;
    if (c->reply == REPLY_SKIP) c->reply = REPLY_ON;
    if (c->reply == REPLY_SKIP_NEXT) c->reply = REPLY_SKIP;
    c->refusing_exec = cmd && cmd->run == cmd_exec;
    bool no = refused(c, cmd);
    if (no && c->refusing_exec) transaction_close(c); /* nothing of it runs, and it is over */
    c->refusing_exec = false;
    if (no) {
        if (c->in_multi) c->multi_broken = true;
        if (cmd && c->command) commands[cmd->id].rejected++;
        return;
    }
    if (only_listening(c, cmd)) {
        commands[cmd->id].rejected++;
        return;
    }
    if (c->in_multi && !transaction_control(cmd)) {
        if (transaction_queue(c)) say_raw(c, S("+QUEUED\r\n"));
        return;
    }
    if (pause_holds(c, cmd)) return;
    c->last_command = cmd;
    c->commands++;
    command_call(c, cmd);
    tracking_after(c, cmd);
    if (waits_ready()) waits_serve();
}

/* ---- Words kept ------------------------------------------------------------------------------ */

struct queued *queued_new(const struct client *c) {
    size_t bytes = sizeof(struct queued) + c->argc * sizeof(str);
    for (u32 i = 0; i < c->argc; i++) bytes += c->argv[i].len;
    struct queued *q = memory_alloc(MEMORY_CONNECTIONS, bytes);
    if (!q) return NULL;
    q->next = NULL;
    q->command = c->command;
    q->argc = c->argc;
    char *to = (char *)&q->argv[c->argc];
    for (u32 i = 0; i < c->argc; i++) {
        if (c->argv[i].len) memcpy(to, c->argv[i].ptr, c->argv[i].len);
        q->argv[i] = str_of(to, c->argv[i].len);
        to += c->argv[i].len;
    }
    return q;
}

void queued_free(struct queued *q) { memory_free(MEMORY_CONNECTIONS, q); }
