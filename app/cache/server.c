/* SPDX-License-Identifier: Apache-2.0 */
/* server.c — connections: bytes in, commands run, replies out. No fiber, no thread.
 *
 *   stream bytes --> resp_read --> argv (views) --> command_dispatch --> out --> stream
 *        |                                                                ^
 *        `-- a command too long to stay there: client's own query buffer  |
 *                                           others' messages -------------'
 *
 * Arguments are views into the stream's own bytes, which are taken from it only after the commands
 * in them have run; what is left of a command that is still arriving moves to a buffer of the
 * client's once it is long. A client has a slice per turn; who has more comes again in the next.
 *
 * Always true: a client is freed only while none of its commands runs; one that is held (waiting,
 * paused) is not read from. */
#include "app/cache/server.h"
#include "app/cache/acl.h"
#include "app/cache/client.h"
#include "app/cache/command.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/figures.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <stdio.h>

#define KEEP_IN_STREAM 4096u /* of an unfinished command; more moves to the client's buffer */
#define TICK_MS 100u

struct client *clients;
struct server_stats server_stats;
static struct {
    struct stream_listener *plain, *secure;
    struct client *run_first, **run_last, *flush_first;
    struct loop_post run_post, flush_post, lazy_post;
    struct timer tick;
    u64 next_id;
    u32 count, run_count;
    str *argv;
    u32 argv_room;
    char *words; /* of an inline command */
} server;

static void run_queue(void *arg);
static void flush_queue(void *arg);
static void lazy_slice(void *arg);

u32 client_count(void) { return server.count; }

struct client *client_find(u64 id) {
    for (struct client *c = clients; c; c = c->next)
        if (c->id == id) return c;
    return NULL;
}

/* ---- Queues ---------------------------------------------------------------------------------- */

void client_run_soon(struct client *c) {
    if (c->run_queued || c->dead) return;
    c->run_queued = true;
    c->run_next = NULL;
    *server.run_last = c;
    server.run_last = &c->run_next;
    server.run_count++;
    loop_post(&server.run_post);
}

void client_flush_soon(struct client *c) {
    if (c->flush_queued || c->dead) return;
    c->flush_queued = true;
    c->flush_next = server.flush_first;
    server.flush_first = c;
    loop_post(&server.flush_post);
}

static void queues_leave(struct client *c) {
    if (c->run_queued) {
        struct client **p = &server.run_first;
        while (*p != c) p = &(*p)->run_next;
        *p = c->run_next;
        if (server.run_last == &c->run_next) server.run_last = p;
        server.run_count--;
    }
    if (c->flush_queued) {
        struct client **p = &server.flush_first;
        while (*p != c) p = &(*p)->flush_next;
        *p = c->flush_next;
    }
    c->run_queued = c->flush_queued = false;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void query_close(struct client *c) {
    server_stats.query_bytes -= c->query_room;
    memory_free(MEMORY_CONNECTIONS, c->query);
    c->query = NULL;
    c->query_len = c->query_room = 0;
}

static void client_free(struct client *c, bool graceful) {
    c->dead = true;
    queues_leave(c);
    waits_close(c);
    transaction_close(c);
    pubsub_close(c, false);
    tracking_close(c);
    acl_client_gone(c);
    out_close(&c->out);
    query_close(c);
    resp_close(&c->parse);
    if (c->prev) c->prev->next = c->next;
    else clients = c->next;
    if (c->next) c->next->prev = c->prev;
    if (graceful) stream_close(c->stream);
    else stream_abort(c->stream);
    server.count--;
    memory_free(MEMORY_CONNECTIONS, c);
}

void client_end(struct client *c) {
    if (c->dead) return;
    if (c->running) {
        c->dead = true;
        return;
    }
    client_free(c, true);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static bool too_much_waits(struct client *c) {
    u64 hard, soft, seconds, now = loop_now_ns();
    output_limits(c, &hard, &soft, &seconds);
    if (hard && c->out.bytes > hard) return true;
    if (!soft || c->out.bytes <= soft) {
        c->out_soft_since_ns = 0;
        return false;
    }
    if (!c->out_soft_since_ns) c->out_soft_since_ns = now;
    return now - c->out_soft_since_ns > seconds * NS_PER_S;
}

/* False: the client is gone. */
static bool client_flush(struct client *c) {
    if (!out_send(c)) {
        client_free(c, false);
        return false;
    }
    if (c->closing && !c->out.first && !(c->held & HELD_SAVING)) {
        client_free(c, true);
        return false;
    }
    if (c->out.first && too_much_waits(c)) {
        char address[64];
        client_address(c, address);
        log_warn("cache", "a client does not read its replies; its connection was ended",
                 "client=%llu address=%s bytes=%llu", (unsigned long long)c->id, address,
                 (unsigned long long)c->out.bytes);
        server_stats.output_closed++;
        client_free(c, false);
        return false;
    }
    return true;
}

static void flush_queue(void *arg) {
    (void)arg;
    while (server.flush_first) {
        struct client *c = server.flush_first;
        server.flush_first = c->flush_next;
        c->flush_queued = false;
        (void)client_flush(c);
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Moves what the stream has behind what the client's buffer has. */
static bool query_take(struct client *c) {
    str more = stream_peek(c->stream);
    size_t want = c->query_len + more.len;
    if (want > query_limit()) {
        server_stats.query_closed++;
        log_warn("cache", "a command is too long; its connection was ended", "client=%llu",
                 (unsigned long long)c->id);
        return false;
    }
    if (want > c->query_room) {
        size_t room = MAX(want, MIN(c->query_room * 2, c->query_room + MIB(16)));
        char *to = memory_resize(MEMORY_CONNECTIONS, c->query, room);
        if (!to && !(to = memory_resize(MEMORY_CONNECTIONS, c->query, room = want))) return false;
        server_stats.query_bytes += room - c->query_room;
        c->query = to;
        c->query_room = room;
    }
    if (more.len) memcpy(c->query + c->query_len, more.ptr, more.len);
    c->query_len = want;
    c->bytes_in += more.len;
    server_stats.bytes_in += more.len;
    stream_consume(c->stream, more.len);
    return true;
}

static bool argv_room(u32 n) {
    if (n <= server.argv_room) return true;
    str *to = memory_resize(MEMORY_CONNECTIONS, server.argv, n * sizeof *to);
    if (!to) return false;
    server.argv = to;
    server.argv_room = n;
    return true;
}

/* c->argv from what was parsed, which begins at `base`. */
static bool words_of(struct client *c, const char *base) {
    struct span few[64], *spans = c->parse.spans;
    c->argc = c->parse.argc;
    if (c->parse.inline_words) {
        str line = str_of(base + spans[0].at, spans[0].len);
        rc_t rc = resp_unquote(line, server.words, few, ARRAY_LEN(few), &c->argc);
        if (rc) {
            say_error(c, rc == RC_INVALID ? "ERR Protocol error: unbalanced quotes in request"
                                          : "ERR Protocol error: too many words in a line");
            return false;
        }
        base = server.words;
        spans = few;
    }
    if (!argv_room(c->argc)) {
        say_error(c, "ERR no memory for so many arguments");
        return false;
    }
    for (u32 i = 0; i < c->argc; i++) server.argv[i] = str_of(base + spans[i].at, spans[i].len);
    c->argv = server.argv;
    return true;
}

/* One command at the start of the view. RC_OK: it ran and took *used bytes. */
static rc_t client_command(struct client *c, str view, size_t *used) {
    char why[96];
    struct resp_limits limits = {.args_max = c->user ? CACHE_ARGS_MAX : CACHE_ARGS_STRANGER_MAX,
                                 .bulk_max = c->user ? bulk_limit() : CACHE_BULK_STRANGER_MAX};
    rc_t rc = resp_read(&c->parse, view, &limits, why);
    if (rc == RC_AGAIN) return rc;
    bool good = rc == RC_OK && words_of(c, view.ptr);
    if (rc) say_error(c, why);
    if (!good) {
        c->closing = true;
        return RC_CLOSED;
    }
    *used = c->parse.at;
    resp_begin(&c->parse);
    if (c->argc) {
        c->active_ns = loop_now_ns();
        command_dispatch(c);
        if (c->held & HELD_PAUSED) return RC_AGAIN; /* not run: it is read again afterwards */
    }
    return RC_OK;
}

/* Commands of one view; how many bytes they took. *more: there may be another one. */
static size_t client_commands(struct client *c, str view, bool *more) {
    size_t used = 0, one = 0;
    u64 until = platform_clock_ns() + LOOP_SLICE_US * NS_PER_US;
    *more = false;
    for (u32 n = 1; !c->held && !c->closing && !c->dead; n++) {
        if (client_command(c, str_skip(view, used), &one)) return used;
        used += one;
        if (used == view.len) return used;
        if (c->out.bytes > CACHE_BURST_BYTES || n >= CACHE_SLICE_COMMANDS ||
            (n % 16 == 0 && platform_clock_ns() >= until)) {
            *more = true;
            return used;
        }
    }
    return used;
}

static void query_drop(struct client *c, size_t n) {
    c->query_len -= n;
    if (!c->query_len) query_close(c);
    else if (n) memmove(c->query, c->query + n, c->query_len);
}

static void client_run(struct client *c) {
    bool more = false;
    if (c->held || c->closing || c->dead) return;
    if (c->query && !query_take(c)) {
        client_free(c, false);
        return;
    }
    bool own = c->query != NULL;
    str view = own ? str_of(c->query, c->query_len) : stream_peek(c->stream);
    c->running = true;
    size_t used = client_commands(c, view, &more);
    c->running = false;
    c->argc = 0;
    if (c->dead) {
        client_free(c, true);
        return;
    }
    if (own) {
        query_drop(c, used);
    } else {
        c->bytes_in += used;
        server_stats.bytes_in += used;
        stream_consume(c->stream, used);
        str left = stream_peek(c->stream);
        if (!more && !c->held && !c->closing && left.len > KEEP_IN_STREAM && !query_take(c)) {
            client_free(c, false);
            return;
        }
    }
    if (stream_ended(c->stream) && !more && !c->held) c->closing = true;
    if (!client_flush(c)) return;
    if (more) client_run_soon(c);
    server_arm();
}

/* Those who queue again meanwhile come in the next turn. */
static void run_queue(void *arg) {
    (void)arg;
    for (u32 n = server.run_count; n && server.run_first; n--) {
        struct client *c = server.run_first;
        server.run_first = c->run_next;
        if (!server.run_first) server.run_last = &server.run_first;
        server.run_count--;
        c->run_queued = false;
        client_run(c);
    }
    if (server.run_first) loop_post(&server.run_post);
}

static void on_readable(void *arg) {
    struct client *c = arg;
    if (c->closing && stream_peek(c->stream).len) stream_consume(c->stream,
                                                                 stream_peek(c->stream).len);
    if (c->held && stream_ended(c->stream)) { /* whoever has gone waits for nothing */
        client_free(c, true);
        return;
    }
    if (!c->run_queued) client_run(c);
}

static void on_writable(void *arg) { (void)client_flush(arg); }

static void on_closed(void *arg, rc_t why) {
    (void)why;
    client_free(arg, false);
}

static const struct stream_events client_events = {on_readable, on_writable, on_closed};

/* ---- Accepting ------------------------------------------------------------------------------- */

static void refuse(struct stream *s) {
    size_t took;
    (void)!!stream_write_some(s, S("-ERR max number of clients reached\r\n"), &took);
    server_stats.rejected++;
    stream_close(s);
}

static void on_accepted(void *arg, struct stream *s) {
    (void)arg;
    if (server.count >= clients_limit()) {
        refuse(s);
        return;
    }
    struct client *c = memory_zero(MEMORY_CONNECTIONS, sizeof *c);
    if (!c) {
        stream_abort(s);
        return;
    }
    c->id = ++server.next_id;
    c->stream = s;
    c->db = &databases[0];
    c->resp = 2;
    c->user = acl_default_user();
    c->created_ns = c->active_ns = loop_now_ns();
    c->queue_last = &c->queue;
    resp_begin(&c->parse);
    pubsub_open(c);
    c->next = clients;
    if (clients) clients->prev = c;
    clients = c;
    server.count++;
    server_stats.connections++;
    if (server.count > server_stats.clients_peak) server_stats.clients_peak = server.count;
    stream_events_set(s, &client_events, c);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void lazy_slice(void *arg) {
    (void)arg;
    if (lazy_run(platform_clock_ns() + LOOP_SLICE_US / 2 * NS_PER_US)) loop_post(&server.lazy_post);
}

/* The next thing that happens by itself: a key ends, or soon another look around. A cache that
 * nobody can reach looks at nothing and wakes nobody. */
void server_arm(void) {
    struct lazy_stats lazy;
    bool open = server.plain || server.secure;
    u64 at = open ? platform_clock_ns() + TICK_MS * NS_PER_MS : UINT64_MAX;
    s64 next = keys_next_end_ms();
    if (next < INT64_MAX && !keys_hooks.paused) {
        u64 end_ns = next > 0 ? (u64)next * NS_PER_MS : 0;
        at = MIN(at, MAX(end_ns, platform_clock_ns()));
    }
    if (at < UINT64_MAX && (!timer_waiting(&server.tick) || server.tick.deadline_ns > at))
        (void)!!timer_start(&server.tick, at);
    lazy_stats_get(&lazy);
    if (lazy.pending) loop_post(&server.lazy_post);
}

static void on_tick(void *arg) {
    (void)arg;
    u64 until = platform_clock_ns() + LOOP_SLICE_US * NS_PER_US;
    bool more = keys_expire_run(until);
    server_tick();
    figures_publish();
    if (waits_ready()) waits_serve();
    server_arm();
    if (more) (void)!!timer_start(&server.tick, platform_clock_ns() + NS_PER_MS / 4);
}

/* ---- Opening --------------------------------------------------------------------------------- */

rc_t server_open(void) {
    server.words = memory_alloc(MEMORY_CONNECTIONS, CACHE_INLINE_MAX + 1);
    if (!server.words || !argv_room(64)) return RC_NO_MEMORY;
    server.run_last = &server.run_first;
    server.run_post = (struct loop_post){.fn = run_queue};
    server.flush_post = (struct loop_post){.fn = flush_queue};
    server.lazy_post = (struct loop_post){.fn = lazy_slice};
    timer_init(&server.tick, on_tick, NULL);
    server_arm();
    return RC_OK;
}

rc_t server_listen(u16 port, bool tls) {
    struct stream_listener **slot = tls ? &server.secure : &server.plain;
    if (*slot) return RC_OK;
    struct stream_listen_options o = {.port = port, .tls = tls, .accepted = on_accepted};
    rc_t rc = stream_listen(&o, slot);
    server_arm();
    return rc;
}

bool server_listening(bool tls) { return (tls ? server.secure : server.plain) != NULL; }

void server_unlisten(void) {
    if (server.plain) stream_unlisten(server.plain);
    if (server.secure) stream_unlisten(server.secure);
    server.plain = server.secure = NULL;
    while (clients) client_free(clients, true);
}

void server_close(void) {
    server_unlisten();
    timer_stop(&server.tick);
    memory_free(MEMORY_CONNECTIONS, server.words);
    memory_free(MEMORY_CONNECTIONS, server.argv);
    server.words = NULL;
    server.argv = NULL;
    server.argv_room = 0;
}
