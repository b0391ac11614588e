/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h — the cache without a network: clients whose replies are read as one line each. For unit
 * tests and fuzzing; include it once, after the .c under test.
 *
 *   struct client *c = cache_client();
 *   EXPECT_STR(cache_do(c, "SET k 5"), S("+OK"));
 *   EXPECT_STR(cache_do(c, "LRANGE l 0 -1"), S("*2 [\"a\" \"b\"]"));
 *
 * A line of a command is split as inline commands are (wire/resp.h: quotes, \xHH). Replies of RESP
 * become: +OK  -ERR why  :7  "bulk"  nil  *2 [..]  %1 [k v]  ~1 [..]  >3 [..]  ,1.5  #t  =txt. */
#pragma once
#include "app/cache/acl.h"
#include "app/cache/client.h"
#include "app/cache/command/hash.h"
#include "app/cache/command.h"
#include "app/cache/data/memory.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/server.h"
#include "app/cache/settings.h"
#include "kernel/core/memory.h"
#include "net/stream_impl.h"
#include <stdio.h>
#include <stdlib.h>

#define CACHE_TEST_CLIENTS 8u
static struct stream cache_test_streams[CACHE_TEST_CLIENTS];
static struct client cache_test_clients[CACHE_TEST_CLIENTS];

static void cache_test_expired(struct keys *k, str key) {
    notify(NOTIFY_EXPIRED, "expired", key, k);
}
static void cache_test_changed(struct keys *k, str key) { key_changed(NULL, k, key); }

static inline struct client *cache_client_numbered(u32 i);
static inline void cache_clients_close(void);
static inline str cache_do(struct client *c, const char *line);

/* Tables that stay once they were needed: so that what a test leaves behind can be told. */
static inline void cache_test_warm(void) {
    acl_open(true);
    struct client *c = cache_client_numbered(0);
    static const char *const lines[] = {
        "HSET h f v", "HEXPIRE h 100 FIELDS 1 f", "WATCH k", "UNWATCH", "SUBSCRIBE c",
        "PSUBSCRIBE c*", "SSUBSCRIBE c", "RESET", "CLIENT TRACKING ON", "GET k",
        "CLIENT TRACKING OFF", "SET k v EX 100", "FLUSHALL SYNC", "BLPOP l 0"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) (void)cache_do(c, lines[i]);
    cache_clients_close();
    while (lazy_run(UINT64_MAX)) {}
}

/* All as at a start, without limits, whatever was there before. */
static inline void cache_test_open(void) {
    static bool done;
    if (!done) {
        memory_init(MIB(256));
        settings_open();
        settings.debug = true;
        commands_open();
        keys_open();
        CHECK(cache_memory_open(MIB(64)) == RC_OK);
        CHECK(server_open() == RC_OK);
        keys_hooks.changed = cache_test_changed;
        keys_hooks.expired = cache_test_expired;
        keys_hooks.fields_end = hash_fields_hook;
        cache_test_warm();
        done = true;
    }
    settings_open();
    settings.debug = true;
    settings.slowlog_us = -1; /* a busy machine is not to fill it */
    evict_limit_set(0);
    evict_policy_set(EVICT_NOTHING);
    acl_open(true);
}

/* Forgets what the client was told. */
static inline void cache_forget(struct client *c) { out_close(&c->out); }

static inline struct client *cache_client_numbered(u32 i) {
    struct client *c = &cache_test_clients[i];
    CHECK(i < CACHE_TEST_CLIENTS);
    if (c->stream) return c;
    cache_test_streams[i] = (struct stream){.state = STREAM_OPEN};
    *c = (struct client){.id = 100 + i, .stream = &cache_test_streams[i], .db = &databases[0],
                         .resp = 2, .running = true};
    c->user = acl_default_user();
    c->queue_last = &c->queue;
    resp_begin(&c->parse);
    pubsub_open(c);
    c->next = clients;
    if (clients) clients->prev = c;
    clients = c;
    return c;
}

static inline void cache_client_close(struct client *c) {
    if (!c->stream) return;
    waits_close(c);
    transaction_close(c);
    watch_close(c);
    pubsub_close(c, false);
    tracking_close(c);
    out_close(&c->out);
    resp_close(&c->parse);
    if (c->prev) c->prev->next = c->next;
    else clients = c->next;
    if (c->next) c->next->prev = c->prev;
    *c = (struct client){0};
}

static inline void cache_clients_close(void) {
    for (u32 i = 0; i < CACHE_TEST_CLIENTS; i++) cache_client_close(&cache_test_clients[i]);
}

/* ---- Replies as text ------------------------------------------------------------------------- */

struct cache_view {
    const char *at, *end;
    char *to;
    size_t room;
    bool broken;
};

static inline void cache_view_put(struct cache_view *v, const char *text, size_t n) {
    if (n >= v->room) n = v->room ? v->room - 1 : 0;
    memcpy(v->to, text, n);
    v->to += n;
    v->room -= n;
}

static inline void cache_view_quoted(struct cache_view *v, const char *p, size_t n) {
    cache_view_put(v, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        char hex[8];
        u8 ch = (u8)p[i];
        if (ch >= 32 && ch < 127 && ch != '"' && ch != '\\') cache_view_put(v, p + i, 1);
        else cache_view_put(v, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", ch));
    }
    cache_view_put(v, "\"", 1);
}

static inline void cache_view_one(struct cache_view *v, u32 depth) {
    const char *line = v->at, *cr = memchr(line, '\r', (size_t)(v->end - line));
    if (depth > 64 || !cr || cr + 1 >= v->end || cr[1] != '\n') {
        v->broken = true;
        return;
    }
    long long n = strtoll(line + 1, NULL, 10);
    v->at = cr + 2;
    if (strchr("+-:,#_(", *line)) {
        if (*line == '_') cache_view_put(v, "nil", 3);
        else cache_view_put(v, line, (size_t)(cr - line));
    } else if (strchr("$=", *line) && n < 0) {
        cache_view_put(v, "nil", 3);
    } else if (strchr("$=", *line)) {
        if (n + 2 > v->end - v->at || memcmp(v->at + n, "\r\n", 2)) {
            v->broken = true;
            return;
        }
        if (*line == '=') cache_view_put(v, "=", 1);
        cache_view_quoted(v, v->at, (size_t)n);
        v->at += n + 2;
    } else if (strchr("*%~>", *line)) {
        cache_view_put(v, line, (size_t)(cr - line));
        if (n < 0) return;
        cache_view_put(v, " [", 2);
        for (long long i = 0; i < (*line == '%' ? 2 * n : n) && !v->broken; i++) {
            if (i) cache_view_put(v, " ", 1);
            cache_view_one(v, depth + 1);
        }
        cache_view_put(v, "]", 1);
    } else {
        v->broken = true;
    }
}

/* What waits to be sent to c, and forgets it. NULL: nothing. Freed by the caller. */
static inline char *cache_raw(struct client *c, size_t *len) {
    size_t n = 0, at = 0;
    for (struct block *b = c->out.first; b; b = b->next) n += b->len - b->at;
    *len = n;
    if (!n) return NULL;
    char *raw = malloc(n + 1);
    CHECK(raw != NULL);
    raw[n] = 0;
    for (struct block *b = c->out.first; b; b = b->next) {
        memcpy(raw + at, (b->shared ? b->shared->bytes : b->bytes) + b->at, b->len - b->at);
        at += b->len - b->at;
    }
    cache_forget(c);
    return raw;
}

/* All that c was told, separated by " | "; "BROKEN" at the end when it is not RESP. */
static inline str cache_heard(struct client *c) {
    static char text[1 << 18];
    size_t n;
    char *raw = cache_raw(c, &n);
    struct cache_view v = {raw, raw + n, text, sizeof text - 8, false};
    while (v.at < v.end && !v.broken) {
        if (v.at > raw) cache_view_put(&v, " | ", 3);
        cache_view_one(&v, 0);
    }
    if (v.broken) {
        memcpy(v.to, "BROKEN", 6);
        v.to += 6;
    }
    free(raw);
    return str_of(text, (size_t)(v.to - text));
}

/* ---- Commands -------------------------------------------------------------------------------- */

static inline void cache_run(struct client *c, u32 argc, str *argv) {
    c->argv = argv;
    c->argc = argc;
    c->held &= (u8)~HELD_PAUSED;
    if (argc) command_dispatch(c);
    c->argc = 0;
}

static inline void cache_send(struct client *c, str line) {
    static char words[CACHE_INLINE_MAX];
    static struct span span[512];
    static str argv[512];
    u32 argc = 0;
    CHECK(line.len < sizeof words);
    CHECK(resp_unquote(line, words, span, ARRAY_LEN(span), &argc) == RC_OK);
    for (u32 i = 0; i < argc; i++) argv[i] = str_of(words + span[i].at, span[i].len);
    cache_run(c, argc, argv);
}

static inline str cache_do(struct client *c, const char *line) {
    cache_forget(c);
    cache_send(c, str_from_c(line));
    return cache_heard(c);
}
