/* SPDX-License-Identifier: Apache-2.0 */
/* client.c — CLIENT: connections listed, named, ended, paused, unblocked, muted; and MONITOR. */
#include "app/cache/acl.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <stdio.h>

static struct {
    u64 until_ns;
    bool all; /* else only what writes */
    struct timer timer;
    u32 monitors;
} paused;

/* ---- One line per client --------------------------------------------------------------------- */

static void address_text(const struct net_address *a, char to[64]) {
    char text[48];
    str s = net_address_text(a, text, sizeof text);
    bool v4 = net_address_is_v4(a);
    (void)snprintf(to, 64, v4 ? "%.*s:%u" : "[%.*s]:%u", STR(s), a->port);
}

void client_address(const struct client *c, char to[64]) {
    struct net_address a = stream_peer(c->stream);
    address_text(&a, to);
}

static void flags_text(const struct client *c, char to[16]) {
    char *p = to;
    if (c->monitor) *p++ = 'O';
    if (pubsub_count(c)) *p++ = 'P';
    if (c->in_multi) *p++ = 'x';
    if (c->held) *p++ = 'b';
    p = tracking_letters(c, p);
    if (c->multi_dirty) *p++ = 'd';
    if (c->closing) *p++ = 'c';
    if (c->no_evict) *p++ = 'e';
    if (c->no_touch) *p++ = 'T';
    if (p == to) *p++ = 'N';
    *p = 0;
}

void client_line(const struct client *c, struct buf *to) {
    char peer[64], local[64], flags[16], name[64] = "NULL";
    struct net_address here = stream_local(c->stream);
    u64 now = loop_now_ns();
    client_address(c, peer);
    address_text(&here, local);
    flags_text(c, flags);
    if (c->last_command) {
        str full = command_full_name(c->last_command, name);
        name[full.len] = 0;
    }
    str user = c->user ? acl_user_name(c->user) : S("(superuser)");
    if (!c->user) user = S("default");
    size_t query = c->query ? c->query_len : stream_peek(c->stream).len;
    (void)!!buf_printf(to,
        "id=%llu addr=%s laddr=%s fd=%llu name=%s age=%llu idle=%llu flags=%s db=%u sub=%u psub=%u "
        "ssub=%u multi=%d qbuf=%llu qbuf-free=%llu argv-mem=0 multi-mem=%llu rbs=%u rbp=%u obl=0 "
        "oll=%u omem=%llu tot-mem=%llu events=r cmd=%s user=%.*s redir=%lld resp=%u",
        (unsigned long long)c->id, peer, local, (unsigned long long)c->id, c->name,
        (unsigned long long)((now - c->created_ns) / NS_PER_S),
        (unsigned long long)((now - MIN(c->active_ns, now)) / NS_PER_S), flags, c->db->id,
        c->channels.count, c->patterns.count, c->shard_channels.count,
        c->in_multi ? (int)c->queue_count : -1, (unsigned long long)query,
        (unsigned long long)(c->query_room - c->query_len), (unsigned long long)c->queue_bytes, 0u,
        0u, c->out.first ? 1u : 0u, (unsigned long long)c->out.bytes,
        (unsigned long long)(sizeof *c + c->query_room + c->out.bytes + c->queue_bytes), name,
        STR(user), (long long)tracking_redirect(c), c->resp);
}

static void say_lines(struct client *c, bool (*wanted)(struct client *, const struct client *)) {
    struct buf text;
    buf_open(&text, MIB(16));
    for (struct client *o = clients; o; o = o->next) {
        if (!wanted(c, o)) continue;
        client_line(o, &text);
        (void)!!buf_add_byte(&text, '\n');
    }
    if (text.failed) say_error(c, "ERR the list is too long");
    else say_verbatim(c, buf_str(&text));
    buf_close(&text);
}

static bool is_type(const struct client *o, str type, bool *known) {
    *known = true;
    if (str_eq_nocase(type, S("normal"))) return !pubsub_count(o);
    if (str_eq_nocase(type, S("pubsub"))) return pubsub_count(o) > 0;
    *known = str_eq_nocase(type, S("master")) || str_eq_nocase(type, S("replica")) ||
             str_eq_nocase(type, S("slave"));
    return false;
}

static bool any_wanted(struct client *c, const struct client *o) { (void)c, (void)o; return true; }
static bool itself_wanted(struct client *c, const struct client *o) { return c == o; }
static bool type_wanted(struct client *c, const struct client *o) {
    bool known;
    return is_type(o, c->argv[3], &known);
}
static bool id_wanted(struct client *c, const struct client *o) {
    s64 id;
    for (u32 i = 3; i < c->argc; i++)
        if (integer_parse(c->argv[i], &id) && (u64)id == o->id) return true;
    return false;
}

void cmd_client_list(struct client *c) {
    bool known;
    s64 id;
    if (c->argc == 4 && arg_is(c, 2, "type")) {
        (void)is_type(c, c->argv[3], &known);
        if (!known) {
            say_errorf(c, "ERR Unknown client type '%.*s'", STR(str_take(c->argv[3], 64)));
            return;
        }
        say_lines(c, type_wanted);
    } else if (c->argc > 3 && arg_is(c, 2, "id")) {
        for (u32 i = 3; i < c->argc; i++)
            if (!arg_integer_or(c, i, &id, "ERR Invalid client ID")) return;
        say_lines(c, id_wanted);
    } else if (c->argc != 2) {
        say_error(c, SYNTAX_ERROR);
    } else {
        say_lines(c, any_wanted);
    }
}

void cmd_client_info(struct client *c) { say_lines(c, itself_wanted); }
void cmd_client_id(struct client *c) { say_integer(c, (s64)c->id); }

void cmd_client_getname(struct client *c) {
    if (c->name[0]) say_cstr(c, c->name);
    else say_null(c);
}

void cmd_client_setinfo(struct client *c) {
    char *to = arg_is(c, 2, "lib-name") ? c->library : c->library_version;
    size_t room = to == c->library ? sizeof c->library : sizeof c->library_version;
    if (to == c->library_version && !arg_is(c, 2, "lib-ver")) {
        say_errorf(c, "ERR Unrecognized option '%.*s'", STR(str_take(c->argv[2], 64)));
        return;
    }
    for (size_t i = 0; i < c->argv[3].len; i++)
        if (c->argv[3].ptr[i] < '!' || c->argv[3].ptr[i] > '~') {
            say_error(c, "ERR lib-name and lib-ver cannot contain spaces, newlines or special "
                         "characters.");
            return;
        }
    if (str_to_c(c->argv[3], to, room)) say_error(c, "ERR that name is too long");
    else say_ok(c);
}

static bool on_off(struct client *c, bool *flag) {
    bool on = arg_is(c, 2, "on");
    if (!on && !arg_is(c, 2, "off")) {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    *flag = on;
    say_ok(c);
    return true;
}

void cmd_client_no_evict(struct client *c) { (void)on_off(c, &c->no_evict); }
void cmd_client_no_touch(struct client *c) { (void)on_off(c, &c->no_touch); }

void cmd_client_reply(struct client *c) {
    if (arg_is(c, 2, "on")) {
        c->reply = REPLY_ON;
        say_ok(c);
    } else if (arg_is(c, 2, "off")) {
        c->reply = REPLY_OFF;
    } else if (arg_is(c, 2, "skip")) {
        if (c->reply != REPLY_OFF) c->reply = REPLY_SKIP_NEXT;
    } else {
        say_error(c, SYNTAX_ERROR);
    }
}

void cmd_client_unblock(struct client *c) {
    s64 id;
    bool with_error = c->argc == 4 && arg_is(c, 3, "error");
    if (c->argc > 4 || (c->argc == 4 && !with_error && !arg_is(c, 3, "timeout"))) {
        say_error(c, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!arg_integer_or(c, 2, &id, NOT_INTEGER)) return;
    struct client *o = client_find((u64)id);
    say_integer(c, o && o->held & HELD_WAITING && wait_end(o, with_error));
}

/* ---- CLIENT KILL ----------------------------------------------------------------------------- */

struct kill {
    str address, local, type, user;
    s64 id;
    bool skip_me;
};

static bool kill_matches(const struct kill *k, const struct client *c, const struct client *o) {
    char text[64];
    bool known;
    client_address(o, text);
    if (k->address.ptr && !str_eq(k->address, str_from_c(text))) return false;
    struct net_address here = stream_local(o->stream);
    address_text(&here, text);
    if (k->local.ptr && !str_eq(k->local, str_from_c(text))) return false;
    if (k->type.ptr && !is_type(o, k->type, &known)) return false;
    if (k->user.ptr && !(o->user && str_eq(acl_user_name(o->user), k->user))) return false;
    if (k->id && o->id != (u64)k->id) return false;
    return !(k->skip_me && o == c);
}

static u32 kill_all(struct client *c, const struct kill *k) {
    u32 n = 0;
    for (struct client *o = clients, *next; o; o = next) {
        next = o->next;
        if (!kill_matches(k, c, o)) continue;
        if (o == c) c->closing = true; /* after its answer */
        else client_end(o);
        n++;
    }
    return n;
}

static bool kill_options(struct client *c, struct kill *k) {
    bool known;
    for (u32 i = 2; i + 1 < c->argc || (i < c->argc && i + 1 == c->argc); i += 2) {
        if (i + 1 == c->argc) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
        str v = c->argv[i + 1];
        if (arg_is(c, i, "id")) {
            if (!arg_range(c, i + 1, 1, INT64_MAX, &k->id,
                           "ERR client-id should be greater than 0")) return false;
        } else if (arg_is(c, i, "addr")) {
            k->address = v;
        } else if (arg_is(c, i, "laddr")) {
            k->local = v;
        } else if (arg_is(c, i, "user")) {
            if (!acl_user(v)) {
                say_errorf(c, "ERR No such user '%.*s'", STR(str_take(v, 64)));
                return false;
            }
            k->user = v;
        } else if (arg_is(c, i, "type")) {
            (void)is_type(c, v, &known);
            if (!known) {
                say_errorf(c, "ERR Unknown client type '%.*s'", STR(str_take(v, 64)));
                return false;
            }
            k->type = v;
        } else if (arg_is(c, i, "skipme") &&
                   (str_eq_nocase(v, S("yes")) || str_eq_nocase(v, S("no")))) {
            k->skip_me = str_eq_nocase(v, S("yes"));
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

void cmd_client_kill(struct client *c) {
    struct kill k = {.skip_me = true};
    if (c->argc == 3) {
        k.address = c->argv[2];
        k.skip_me = false;
        if (kill_all(c, &k)) say_ok(c);
        else say_error(c, "ERR No such client");
        return;
    }
    if (kill_options(c, &k)) say_integer(c, kill_all(c, &k));
}

/* ---- CLIENT PAUSE ---------------------------------------------------------------------------- */

static void unpause(void *arg) {
    (void)arg;
    paused.until_ns = 0;
    keys_hooks.paused = false;
    timer_stop(&paused.timer);
    for (struct client *o = clients; o; o = o->next) {
        if (!(o->held & HELD_PAUSED)) continue;
        o->held &= (u8)~HELD_PAUSED;
        client_run_soon(o);
    }
}

bool pause_holds(struct client *c, const struct command *cmd) {
    if (!paused.until_ns) return false;
    bool writes = cmd->flags & CMD_WRITE || cmd->run == cmd_publish || cmd->run == cmd_spublish ||
                  strcmp(cmd->name, "pfcount") == 0 || (cmd->run == cmd_exec
                                                        && transaction_writes(c)) ||
                  cmd->run == cmd_no_scripts;
    if (!paused.all && !writes) return false;
    c->held |= HELD_PAUSED;
    return true; /* the words stay where they are: the command is read again */
}

u32 pause_count(void) {
    u32 n = 0;
    for (struct client *o = paused.until_ns ? clients : NULL; o; o = o->next)
        n += (o->held & HELD_PAUSED) != 0;
    return n;
}

void cmd_client_pause(struct client *c) {
    s64 until;
    bool all = true;
    if (c->argc == 4 && arg_is(c, 3, "write")) all = false;
    else if (c->argc > 4 || (c->argc == 4 && !arg_is(c, 3, "all"))) {
        say_error(c, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    if (!arg_timeout(c, 2, &until, true)) return;
    if (!until) until = cache_now_ms();
    u64 until_ns = (u64)until * NS_PER_MS;
    paused.all = all || (paused.until_ns && paused.all);
    if (until_ns > paused.until_ns) paused.until_ns = until_ns;
    keys_hooks.paused = true;
    timer_init(&paused.timer, unpause, NULL);
    (void)!!timer_start(&paused.timer, paused.until_ns);
    say_ok(c);
}

void cmd_client_unpause(struct client *c) {
    unpause(NULL);
    say_ok(c);
}

/* ---- MONITOR --------------------------------------------------------------------------------- */

static void quoted(struct buf *to, str s) {
    (void)!!buf_add_byte(to, '"');
    for (size_t i = 0; i < s.len; i++) {
        u8 ch = (u8)s.ptr[i];
        const char *at = memchr("\n\r\t\a\b\\\"", ch, 7);
        if (at && ch) (void)!!buf_printf(to, "\\%c",
                                         "nrtab\\\""[at - (const char *)memchr("\n\r\t\a\b\\\"",
                                                 '\n', 1)]);
        else if (ch < 32 || ch > 126) (void)!!buf_printf(to, "\\x%02x", ch);
        else (void)!!buf_add_byte(to, (char)ch);
    }
    (void)!!buf_add_byte(to, '"');
}

static bool secret_arg(const struct command *cmd, u32 i) {
    return cmd->run == cmd_auth || (cmd->run == cmd_hello && i > 1) || cmd->run == cmd_acl_setuser;
}

void monitor_show(struct client *c, const struct command *cmd) {
    struct buf line;
    bool any = false;
    if (wait_running_again(c)) return; /* shown when it began to wait */
    for (struct client *o = clients; o && !any; o = o->next) any = o->monitor;
    if (!any || cmd->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    char address[64];
    u64 us = platform_wall_ns() / NS_PER_US;
    client_address(c, address);
    buf_open(&line, MIB(1));
    (void)!!buf_printf(&line, "+%llu.%06llu [%u %s]", (unsigned long long)(us / 1000000),
                       (unsigned long long)(us % 1000000), c->db->id, address);
    for (u32 i = 0; i < c->argc; i++) {
        (void)!!buf_add_byte(&line, ' ');
        quoted(&line, i && secret_arg(cmd, i) ? S("(redacted)") : str_take(c->argv[i], 65536));
    }
    (void)!!buf_add(&line, S("\r\n"));
    for (struct client *o = clients; o; o = o->next)
        if (o->monitor) say_raw(o, buf_str(&line));
    buf_close(&line);
}

void cmd_monitor(struct client *c) {
    c->monitor = true;
    say_ok(c);
}

void cmd_client_help(struct client *c) {
    static const char *const lines[] = {
        "CACHING (YES|NO)", "    Whether the next command is tracked.",
        "GETNAME", "    The name of this connection.",
        "GETREDIR", "    Where invalidations go.",
        "ID", "    The number of this connection.",
        "INFO", "    This connection in one line.",
        "KILL <ip:port>", "    End the connection from there.",
        "KILL <option> <value> [<option> <value> [...]]", "    End those that match all of ADDR, "
        "LADDR, TYPE, USER, ID; SKIPME (YES|NO).",
        "LIST [options ...]", "    Connections, one per line; TYPE or ID choose.",
        "NO-EVICT (ON|OFF)", "    Keep this connection under memory pressure.",
        "PAUSE <timeout> [WRITE|ALL]", "    Make clients wait.",
        "REPLY (ON|OFF|SKIP)", "    Whether commands are answered.",
        "SETNAME <name>", "    Name this connection.",
        "TRACKING (ON|OFF) [...]", "    Be told when keys that were read change.",
        "TRACKINGINFO", "    What is tracked and how.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]", "    End another connection's wait.",
        "UNPAUSE", "    Let clients go on.", NULL};
    say_help(c, lines);
}
