/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c — blocking commands. One that finds nothing keeps its words and is queued at each of its
 * keys; when one of them may have something, it simply runs again, in the order of arrival.
 *
 *   key "jobs" -> [BLPOP of client 7] -> [BLMOVE of client 9] -> ...
 *
 * Keys that got something while a command ran are gathered, and served after it (after the whole of
 * a transaction): then a push that is popped at once behaves as two separate commands, and what
 * the served command pushes elsewhere is served in turn.
 *
 * Always true: a client that waits is HELD_WAITING, has its words kept, and hangs at its keys. */
#include "app/cache/features.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

struct waited_key {
    struct node node;
    struct waiter *first;
    struct waited_key *ready_next;
    bool ready;
    char key[]; /* one byte: database; then the key */
};
struct waiter {
    struct waits *owner;
    struct waited_key *key;
    struct waiter *next, **prev;
    u64 number;
};
struct waits {
    struct client *client;
    struct queued *words;
    enum object_type type;
    void (*timed_out)(struct client *c);
    struct timer timer;
    u64 number; /* of arrival */
    u32 count;
    bool running_again, waits_on;
    struct waiter at[];
};
static struct dict waited;
static struct waited_key *ready_first, **ready_last = &ready_first;
static u64 arrivals;
static u32 waiting;

u32 waits_count(void) { return waiting; }
bool waits_ready(void) { return ready_first != NULL; }

/* ---- Keys ------------------------------------------------------------------------------------ */

static struct waited_key *key_find(const struct keys *k, str key) {
    char few[256];
    if (!waited.count) return NULL;
    if (key.len >= sizeof few) {
        struct text *t = text_new(S(""), key.len + 1);
        t->bytes[0] = (char)k->id;
        memcpy(t->bytes + 1, key.ptr, key.len);
        struct node *n = dict_find(&waited, str_of(t->bytes, key.len + 1));
        text_drop(t);
        return (struct waited_key *)n;
    }
    few[0] = (char)k->id;
    if (key.len) memcpy(few + 1, key.ptr, key.len);
    return (struct waited_key *)dict_find(&waited, str_of(few, key.len + 1));
}

static struct waited_key *key_get(const struct keys *k, str key) {
    if (!waited.key_at) dict_open(&waited, offsetof(struct waited_key, key));
    struct waited_key *w = key_find(k, key);
    if (w) return w;
    if (!(w = memory_alloc(MEMORY_CONNECTIONS, sizeof *w + key.len + 1))) return NULL;
    *w = (struct waited_key){.node.len = (u32)key.len + 1};
    w->key[0] = (char)k->id;
    if (key.len) memcpy(w->key + 1, key.ptr, key.len);
    dict_insert(&waited, &w->node, dict_hash(str_of(w->key, w->node.len)));
    return w;
}

static void key_drop(struct waited_key *w) {
    if (w->first || w->ready) return;
    (void)dict_remove(&waited, str_of(w->key, w->node.len));
    memory_free(MEMORY_CONNECTIONS, w);
    dict_close_empty(&waited);
}

static void make_ready(struct waited_key *w) {
    if (!w || w->ready) return;
    w->ready = true;
    w->ready_next = NULL;
    *ready_last = w;
    ready_last = &w->ready_next;
}

void waits_key_ready(struct keys *k, str key) {
    if (waited.count) make_ready(key_find(k, key));
}

/* A flushed database: everybody looks again. */
void waits_key_gone(struct keys *k, str key) {
    struct dict_walk walk;
    struct node *n;
    if (!waited.count) return;
    if (key.ptr) {
        make_ready(key_find(k, key));
        return;
    }
    for (dict_walk_begin(&walk, &waited); (n = dict_walk_next(&walk));) {
        struct waited_key *w = (struct waited_key *)n;
        if ((u8)w->key[0] == k->id) make_ready(w);
    }
}

void waits_database_swapped(struct keys *a, struct keys *b) {
    waits_key_gone(a, (str){0});
    waits_key_gone(b, (str){0});
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void leave_keys(struct waits *w) {
    for (u32 i = 0; i < w->count; i++) {
        struct waiter *at = &w->at[i];
        if (!at->prev) continue;
        *at->prev = at->next;
        if (at->next) at->next->prev = at->prev;
        at->prev = NULL;
        key_drop(at->key);
    }
}

static void waits_free(struct waits *w) {
    leave_keys(w);
    timer_stop(&w->timer);
    queued_free(w->words);
    w->client->waits = NULL;
    w->client->held &= (u8)~HELD_WAITING;
    memory_free(MEMORY_CONNECTIONS, w);
    waiting--;
}

void waits_close(struct client *c) {
    if (c->waits) waits_free(c->waits);
}

bool wait_running_again(const struct client *c) { return c->waits && c->waits->running_again; }

static void on_timeout(void *arg) {
    struct waits *w = arg;
    struct client *c = w->client;
    void (*timed_out)(struct client *) = w->timed_out;
    waits_free(w);
    keys_clock_tick();
    if (timed_out) timed_out(c);
    else say_null_array(c);
    client_flush_soon(c);
    client_run_soon(c);
}

/* Behind those who came before: a command that runs again keeps its place. */
static void queue_at(struct waiter *at, struct waited_key *key) {
    struct waiter **p = &key->first;
    while (*p && (*p)->number < at->number) p = &(*p)->next;
    at->key = key;
    at->next = *p;
    at->prev = p;
    if (*p) (*p)->prev = &at->next;
    *p = at;
}

static struct waits *waits_new(struct client *c, u32 count) {
    struct waits *w = memory_zero(MEMORY_CONNECTIONS, sizeof *w + count * sizeof w->at[0]);
    if (w && !(w->words = queued_new(c))) {
        memory_free(MEMORY_CONNECTIONS, w);
        return NULL;
    }
    if (!w) return NULL;
    w->client = c;
    w->count = count;
    w->number = ++arrivals;
    timer_init(&w->timer, on_timeout, w);
    waiting++;
    return w;
}

void wait_for_keys(struct client *c, const str *keys, u32 count, s64 until_ms,
                   enum object_type type, void (*timed_out)(struct client *c)) {
    if (c->executing) { /* a transaction waits for nothing */
        if (timed_out) timed_out(c);
        else say_null_array(c);
        return;
    }
    if (wait_running_again(c)) { /* still nothing: it stays where it is */
        c->waits->waits_on = true;
        return;
    }
    struct waits *w = waits_new(c, count);
    if (!w) {
        say_error(c, "ERR no memory to wait");
        return;
    }
    w->type = type;
    w->timed_out = timed_out;
    c->waits = w;
    c->held |= HELD_WAITING;
    for (u32 i = 0; i < count; i++) {
        struct waited_key *key = key_get(c->db, keys[i]);
        bool twice = false;
        for (u32 j = 0; j < i; j++) twice |= str_eq(keys[i], keys[j]);
        if (!key || twice) continue;
        w->at[i].owner = w;
        w->at[i].number = w->number;
        queue_at(&w->at[i], key);
    }
    if (until_ms) (void)!!timer_start(&w->timer, (u64)until_ms * NS_PER_MS);
}

void wait_only(struct client *c, s64 until_ms, void (*timed_out)(struct client *c)) {
    wait_for_keys(c, NULL, 0, until_ms, OBJECT_STRING, timed_out);
}

bool wait_end(struct client *c, bool with_error) {
    struct waits *w = c->waits;
    if (!w || w->running_again) return false;
    void (*timed_out)(struct client *) = w->timed_out;
    waits_free(w);
    if (with_error) say_error(c, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else if (timed_out) timed_out(c);
    else say_null_array(c);
    client_flush_soon(c);
    client_run_soon(c);
    return true;
}

/* ---- Serving --------------------------------------------------------------------------------- */

/* Its command once more. True: it has been answered and waits no longer. */
static bool run_again(struct waits *w) {
    struct client *c = w->client;
    struct queued *q = w->words;
    bool was_running = c->running;
    w->running_again = true;
    w->waits_on = false;
    c->running = true;
    c->held &= (u8)~HELD_WAITING;
    c->argv = q->argv;
    c->argc = q->argc;
    command_call(c, q->command);
    w->running_again = false;
    bool done = !w->waits_on || c->dead;
    if (done) {
        tracking_after(c, q->command);
        waits_free(w);
    } else {
        c->held |= HELD_WAITING;
    }
    c->argc = 0;
    c->running = was_running;
    if (done && c->dead && !was_running) {
        c->dead = false;
        client_end(c);
        return true;
    }
    if (done) {
        client_flush_soon(c);
        client_run_soon(c);
    }
    return done;
}

/* Everybody at the key, in the order of arrival, who has come by now or comes meanwhile. */
static void serve_key(struct waited_key *key) {
    struct waiter anchor = {.number = UINT64_MAX}; /* keeps the key until all have had their turn */
    queue_at(&anchor, key);
    for (u64 seen = 0;;) {
        struct waiter *at = key->first;
        while (at->number <= seen) at = at->next;
        if (at == &anchor) break;
        seen = at->number;
        if (!(at->owner->client->held & HELD_PAUSED)) (void)run_again(at->owner);
    }
    *anchor.prev = anchor.next;
    if (anchor.next) anchor.next->prev = anchor.prev;
}

void waits_serve(void) {
    static bool serving; /* what a served command pushes is served by this loop */
    if (serving) return;
    serving = true;
    while (ready_first) {
        struct waited_key *key = ready_first;
        ready_first = key->ready_next;
        if (!ready_first) ready_last = &ready_first;
        key->ready = false;
        if (key->first) serve_key(key);
        key_drop(key);
    }
    serving = false;
}

void waits_close_all(void) {
    if (waited.key_at) dict_close(&waited);
}
