/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — one connection: what it has sent, what it will be told, and the state that features
 * keep for it. Commands get a client and answer it with the say_ functions, exactly once; nothing
 * else is needed to write one (command.h). Loop only. */
#pragma once
#include "app/cache/keys.h"
#include "app/cache/wire/resp.h"
#include "kernel/base/buf.h"
#include "kernel/core/timer.h"
#include "net/stream.h"

struct command;
struct client;
struct cache_user;

/* Replies not yet sent: copies, or values shared by reference. */
struct block {
    struct block *next;
    struct text *shared; /* the bytes are the text's; at counts in them */
    u32 at, len, room;
    char bytes[];
};
struct out {
    struct block *first, *last;
    size_t bytes; /* waiting */
};

struct queued { /* a command of a transaction, or one that waits: its words in one block */
    struct queued *next;
    const struct command *command;
    u32 argc;
    str argv[];
};

struct watch; /* transactions.c */
struct waits; /* wait.c */

enum { /* why a client does not run for now */
    HELD_WAITING = 1, /* in a blocking command */
    HELD_PAUSED = 2,  /* CLIENT PAUSE */
    HELD_SAVING = 4,  /* until its change of users is durable */
};
enum reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP };

struct client {
    u64 id;
    struct stream *stream;
    struct client *prev, *next;            /* all of them */
    struct client *run_next, *flush_next;  /* queues */
    bool run_queued, flush_queued;

    struct keys *db;
    u32 argc;
    str *argv;                 /* of the current command; [0] is its name as sent */
    const struct command *command, *last_command;
    u8 resp;                   /* 2 or 3 */
    u8 held;                   /* HELD_ bits */
    enum reply_mode reply;
    bool pushing;              /* what is said now is a push: not muted */
    bool closing;              /* after what is waiting has been sent */
    bool dead;                 /* freed once nobody runs it */
    bool running;
    bool failed;               /* the current command answered an error */
    bool refusing_exec;        /* EXEC itself is refused: say_error says what becomes of it */
    bool no_evict, no_touch, monitor;
    bool unused_touch;

    struct resp parse;
    char *query;               /* bytes of a command too long to stay in the stream */
    size_t query_len, query_room;
    struct out out;
    u64 out_soft_since_ns;

    struct cache_user *user;   /* NULL: has not signed in */
    u64 saving;                /* store.c: which change of users it waits for */
    s64 save_answer;
    char name[64], library[64], library_version[32];
    u64 created_ns, active_ns;
    u64 commands, bytes_in, bytes_out;

    /* transactions.c */
    bool in_multi, multi_broken, multi_dirty, multi_denied_oom, executing;
    bool multi_writes;
    struct queued *queue, **queue_last;
    u32 queue_count;
    size_t queue_bytes;
    struct watch *watches;

    /* pubsub.c */
    struct dict channels, patterns, shard_channels;

    /* wait.c */
    struct waits *waits;

    /* tracking.c */
    struct tracking *tracking;
};

/* ---- Answers --------------------------------------------------------------------------------- */

void say_raw(struct client *c, str bytes);
void say_status(struct client *c, const char *word);
void say_ok(struct client *c);
/* "CODE text"; without a code in capitals first, "ERR " is put before. */
void say_error(struct client *c, const char *text);
void say_errorf(struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void say_integer(struct client *c, s64 n);
void say_bulk(struct client *c, str s);
void say_cstr(struct client *c, const char *z);
void say_integer_bulk(struct client *c, s64 n);
void say_string(struct client *c, const struct object *o); /* large ones are not copied */
void say_double(struct client *c, double d);
void say_bool(struct client *c, bool yes); /* RESP2: 1 and 0 */
void say_null(struct client *c);
void say_null_array(struct client *c);
void say_array(struct client *c, u64 n);
void say_map(struct client *c, u64 pairs);
void say_set(struct client *c, u64 n);
void say_push(struct client *c, u64 n);
void say_verbatim(struct client *c, str s); /* text for people */
/* A length that is known only later: *_later once, then fill with as many as were said. */
struct block *say_later(struct client *c);
void say_later_array(struct client *c, struct block *at, u64 n);
void say_later_map(struct client *c, struct block *at, u64 pairs);
void say_later_set(struct client *c, struct block *at, u64 n);

#define SYNTAX_ERROR "ERR syntax error"
#define WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INTEGER "ERR value is not an integer or out of range"
#define NOT_FLOAT "ERR value is not a valid float"
#define NO_KEY "ERR no such key"

void out_close(struct out *o);
bool out_send(struct client *c); /* false: the connection is broken */
u64 out_spare_blocks(void);

/* ---- Connections (server.c) ------------------------------------------------------------------ */

extern struct client *clients;
struct client *client_find(u64 id);
void client_flush_soon(struct client *c); /* something was said outside its own command */
void client_run_soon(struct client *c);   /* it may go on reading */
void client_end(struct client *c);        /* now; one that runs: after its command */
u32 client_count(void);
struct server_stats {
    u64 connections, rejected, commands, bytes_in, bytes_out, output_closed, query_closed;
    u32 clients_peak;
    size_t query_bytes; /* held by all */
};
extern struct server_stats server_stats;
void client_address(const struct client *c, char to[64]);
void client_line(const struct client *c, struct buf *to); /* CLIENT LIST, without the newline */
