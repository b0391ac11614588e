/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c — the connection itself: greeting, signing in, protocol, name, reset, end; and a few
 * words about the server that need no data. */
#include "app/cache/acl.h"
#include "app/cache/features.h"
#include "kernel/core/loop.h"
#include "kernel/platform.h"
#include <stdio.h>

#define SPOKEN_VERSION "7.0.15" /* of the protocol's reference: what clients adapt to */

void cmd_ping(struct client *c) {
    if (c->argc > 2) {
        say_arity(c);
        return;
    }
    if (c->resp == 2 && pubsub_count(c)) {
        say_array(c, 2);
        say_cstr(c, "pong");
        say_bulk(c, c->argc == 2 ? c->argv[1] : S(""));
    } else if (c->argc == 2) {
        say_bulk(c, c->argv[1]);
    } else {
        say_raw(c, S("+PONG\r\n"));
    }
}

void cmd_echo(struct client *c) { say_bulk(c, c->argv[1]); }

void cmd_quit(struct client *c) {
    say_ok(c);
    c->closing = true;
}

void cmd_time(struct client *c) {
    u64 us = platform_wall_ns() / NS_PER_US;
    say_array(c, 2);
    say_integer_bulk(c, (s64)(us / 1000000));
    say_integer_bulk(c, (s64)(us % 1000000));
}

void cmd_role(struct client *c) {
    say_array(c, 3);
    say_cstr(c, "master");
    say_integer(c, 0);
    say_array(c, 0);
}

void cmd_lastsave(struct client *c) {
    say_integer(c, (s64)(platform_wall_ns() / NS_PER_S) - cache_now_ms() / 1000);
}

static void wait_answer(struct client *c) { say_integer(c, 0); }

void cmd_wait(struct client *c) {
    s64 replicas, until;
    if (!arg_integer(c, 1, &replicas) || !arg_timeout(c, 2, &until, true)) return;
    if (replicas <= 0 || c->executing) say_integer(c, 0);
    else wait_only(c, until, wait_answer);
}

void cmd_lolwut(struct client *c) {
    say_verbatim(c,
                 S("OpenPolicy cache\n  _____\n |     |  what was asked for\n |_____|  is still "
                   "here\n\nRedis ver. " SPOKEN_VERSION "\n"));
}

void cmd_no_scripts(struct client *c) {
    say_error(c, "ERR this cache runs no scripts: send the commands themselves, in MULTI and EXEC "
                 "where they belong together");
}

void cmd_function_flush(struct client *c) { say_ok(c); }
void cmd_function_list(struct client *c) { say_array(c, 0); }

/* ---- Signing in ------------------------------------------------------------------------------ */

void cmd_auth(struct client *c) {
    if (c->argc > 3) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    str name = c->argc == 3 ? c->argv[1] : S("default");
    if (c->argc == 2 && acl_default_user()) {
        say_error(c, "ERR AUTH <password> called without any password configured for the default "
                     "user. Are you sure your configuration is correct?");
        return;
    }
    if (acl_sign_in(c, name, c->argv[c->argc - 1])) say_ok(c);
}

static bool name_is_fine(str name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~') return false;
    return true;
}

static bool name_set(struct client *c, str name) {
    if (!name_is_fine(name)) {
        say_error(c, "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    if (name.len >= sizeof c->name) {
        say_error(c, "ERR Client names have at most 63 characters.");
        return false;
    }
    memcpy(c->name, name.ptr, name.len);
    c->name[name.len] = 0;
    return true;
}

void cmd_client_setname(struct client *c) {
    if (name_set(c, c->argv[2])) say_ok(c);
}

static void say_hello(struct client *c) {
    say_map(c, 7);
    say_cstr(c, "server");
    say_cstr(c, "redis");
    say_cstr(c, "version");
    say_cstr(c, SPOKEN_VERSION);
    say_cstr(c, "proto");
    say_integer(c, c->resp);
    say_cstr(c, "id");
    say_integer(c, (s64)c->id);
    say_cstr(c, "mode");
    say_cstr(c, "standalone");
    say_cstr(c, "role");
    say_cstr(c, "master");
    say_cstr(c, "modules");
    say_array(c, 0);
}

void cmd_hello(struct client *c) {
    s64 version = c->resp;
    u32 auth = 0, name = 0;
    if (c->argc >= 2 &&
        !arg_integer_or(c, 1, &version, "ERR Protocol version is not an integer or out of range"))
        return;
    if (version < 2 || version > 3) {
        say_error(c, "NOPROTO unsupported protocol version");
        return;
    }
    for (u32 i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "auth") && i + 2 < c->argc) {
            auth = i + 1;
            i += 2;
        } else if (arg_is(c, i, "setname") && i + 1 < c->argc) {
            name = ++i;
        } else {
            say_errorf(c, "ERR Syntax error in HELLO option '%.*s'", STR(str_take(c->argv[i], 64)));
            return;
        }
    }
    if (auth && !acl_sign_in(c, c->argv[auth], c->argv[auth + 1])) return;
    if (!c->user) {
        say_error(c, "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                     "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                     "client and select the RESP protocol version at the same time");
        return;
    }
    if (name && !name_set(c, c->argv[name])) return;
    c->resp = (u8)version;
    say_hello(c);
}

void cmd_reset(struct client *c) {
    transaction_close(c);
    pubsub_close(c, false);
    tracking_close(c);
    pubsub_open(c);
    c->db = &databases[0];
    c->resp = 2;
    c->reply = REPLY_ON;
    c->user = acl_default_user();
    c->name[0] = 0;
    c->monitor = c->no_evict = c->no_touch = false;
    say_status(c, "RESET");
}
