/* SPDX-License-Identifier: Apache-2.0 */
/* transactions.c — MULTI, EXEC, DISCARD, WATCH.
 *
 *   MULTI  -> commands are checked and their words kept
 *   EXEC   -> all of them run, one after the other, nobody between -- unless one was refused while
 *             queueing, or a watched key was changed, ended or flushed meanwhile
 *
 * A watch is a node in two lists: its client's and its key's. A key that had ended already when
 * WATCH saw it (but was still there) counts as absent then and later.
 *
 * Always true: a watch is in both lists or in none; a client that is not in MULTI has no queue. */
#include "app/cache/acl.h"
#include "app/cache/features.h"
#include "kernel/core/memory.h"

struct watched_key { /* in a table by database and key */
    struct node node;
    struct watch *first;
    char key[]; /* one byte: database; then the key */
};
struct watch {
    struct client *client;
    struct watched_key *key;
    struct watch *next_of_client;
    struct watch *next_of_key, **prev_of_key;
    bool ended; /* the key was there and had ended */
};
static struct dict watched;

static str watched_name(const struct keys *k, str key, struct text **hold) {
    *hold = text_new(S(""), key.len + 1);
    (*hold)->bytes[0] = (char)k->id;
    if (key.len) memcpy((*hold)->bytes + 1, key.ptr, key.len);
    return str_of((*hold)->bytes, key.len + 1);
}

/* ---- WATCH ----------------------------------------------------------------------------------- */

static void watch_drop(struct watch *w) {
    struct watched_key *key = w->key;
    *w->prev_of_key = w->next_of_key;
    if (w->next_of_key) w->next_of_key->prev_of_key = w->prev_of_key;
    if (!key->first) {
        (void)dict_remove(&watched, dict_key(&watched, &key->node));
        memory_free(MEMORY_CONNECTIONS, key);
        dict_close_empty(&watched);
    }
    memory_free(MEMORY_CONNECTIONS, w);
}

void watch_close(struct client *c) {
    while (c->watches) {
        struct watch *w = c->watches;
        c->watches = w->next_of_client;
        watch_drop(w);
    }
}

u32 watch_count(const struct client *c) {
    u32 n = 0;
    for (struct watch *w = c->watches; w; w = w->next_of_client) n++;
    return n;
}

static bool watch_add(struct client *c, str key) {
    struct text *hold;
    if (!watched.key_at) dict_open(&watched, offsetof(struct watched_key, key));
    str name = watched_name(c->db, key, &hold);
    struct watched_key *k = (struct watched_key *)dict_find(&watched, name);
    for (struct watch *w = c->watches; w && k; w = w->next_of_client)
        if (w->key == k) {
            text_drop(hold);
            return true;
        }
    struct watch *w = memory_zero(MEMORY_CONNECTIONS, sizeof *w);
    if (w && !k && (k = memory_alloc(MEMORY_CONNECTIONS, sizeof *k + name.len))) {
        *k = (struct watched_key){.node.len = (u32)name.len};
        memcpy(k->key, name.ptr, name.len);
        dict_insert(&watched, &k->node, dict_hash(name));
    }
    text_drop(hold);
    if (!w || !k) {
        memory_free(MEMORY_CONNECTIONS, w);
        return false;
    }
    bool was_paused = keys_hooks.paused;
    struct entry *e = (struct entry *)dict_find(&c->db->dict, key);
    s64 end = e ? keys_end(c->db, e) : -1;
    (void)was_paused;
    *w = (struct watch){.client = c, .key = k, .next_of_client = c->watches,
                        .next_of_key = k->first, .prev_of_key = &k->first,
                        .ended = end >= 0 && end <= cache_now_ms()};
    if (k->first) k->first->prev_of_key = &w->next_of_key;
    k->first = w;
    c->watches = w;
    return true;
}

void cmd_watch(struct client *c) {
    if (c->in_multi) {
        say_error(c, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (u32 i = 1; i < c->argc && !c->multi_dirty; i++)
        if (!watch_add(c, c->argv[i])) {
            say_error(c, "ERR no memory for another watched key");
            return;
        }
    say_ok(c);
}

void cmd_unwatch(struct client *c) {
    watch_close(c);
    c->multi_dirty = false;
    say_ok(c);
}

void watch_key_changed(struct keys *k, str key) {
    struct text *hold;
    if (!watched.count) return;
    struct watched_key *found = (struct watched_key *)dict_find(&watched, watched_name(k, key,
            &hold));
    text_drop(hold);
    if (!found) return;
    for (struct watch *w = found->first; w; w = w->next_of_key) {
        struct entry *e = w->ended ? (struct entry *)dict_find(&k->dict, key) : NULL;
        if (w->ended && !e) { /* it was as good as gone already */
            w->ended = false;
            continue;
        }
        w->client->multi_dirty = true;
    }
}

static bool has_ended(const struct keys *k, const struct entry *e) {
    s64 end = e ? keys_end(k, e) : -1;
    return end >= 0 && end <= cache_now_ms();
}

/* What was as good as gone and will be gone, or as good as gone again, has not changed. */
static void watch_replaced(struct watch *w, const struct entry *here, const struct keys *by,
                           const struct entry *there) {
    if (w->ended && !there) w->ended = false;
    else if (w->ended && has_ended(by, there)) return;
    else if (!w->ended && !here && has_ended(by, there)) w->ended = true;
    else w->client->multi_dirty = true;
}

/* Flushed, or exchanged with another: whoever watches a key that is there, or will be. */
void watch_database_changed(struct keys *k, const struct keys *by) {
    struct dict_walk walk;
    struct node *n;
    if (!watched.count) return;
    for (dict_walk_begin(&walk, &watched); (n = dict_walk_next(&walk));) {
        struct watched_key *found = (struct watched_key *)n;
        str key = str_of(found->key + 1, n->len - 1);
        if ((u8)found->key[0] != k->id) continue;
        struct entry *here = (struct entry *)dict_find(&k->dict, key);
        struct entry *there = by ? (struct entry *)dict_find(&by->dict, key) : NULL;
        for (struct watch *w = here || there ? found->first : NULL; w; w = w->next_of_key)
            watch_replaced(w, here, by, there);
    }
}

static bool watched_key_ended(struct client *c) {
    for (struct watch *w = c->watches; w; w = w->next_of_client) {
        struct keys *k = &databases[(u8)w->key->key[0]];
        struct entry *e = (struct entry *)dict_find(&k->dict, str_of(w->key->key + 1,
                                                                     w->key->node.len - 1));
        if (!w->ended && has_ended(k, e)) return true;
    }
    return false;
}

/* ---- MULTI ----------------------------------------------------------------------------------- */

static void forget(struct client *c) {
    while (c->queue) {
        struct queued *q = c->queue;
        c->queue = q->next;
        queued_free(q);
    }
    c->queue_last = &c->queue;
    c->queue_count = 0;
    c->queue_bytes = 0;
    c->in_multi = c->multi_broken = c->multi_dirty = c->multi_denied_oom = c->multi_writes = false;
    watch_close(c);
}

void transaction_close(struct client *c) { forget(c); }

bool transaction_control(const struct command *cmd) {
    return cmd->run == cmd_exec || cmd->run == cmd_discard || cmd->run == cmd_multi ||
           cmd->run == cmd_watch || cmd->run == cmd_quit || cmd->run == cmd_reset;
}

bool transaction_queue(struct client *c) {
    struct queued *q = queued_new(c);
    if (!q) {
        say_error(c, "ERR no memory for another command of the transaction");
        c->multi_broken = true;
        return false;
    }
    *c->queue_last = q;
    c->queue_last = &q->next;
    c->queue_count++;
    c->queue_bytes += memory_size(q);
    if (q->command->flags & CMD_MEMORY) c->multi_denied_oom = true;
    return true;
}

void cmd_multi(struct client *c) {
    if (c->in_multi) {
        say_error(c, "ERR MULTI calls can not be nested");
        return;
    }
    c->in_multi = true;
    say_ok(c);
}

void cmd_discard(struct client *c) {
    if (!c->in_multi) {
        say_error(c, "ERR DISCARD without MULTI");
        return;
    }
    forget(c);
    say_ok(c);
}

static void run_all(struct client *c) {
    str *argv = c->argv;
    u32 argc = c->argc;
    const struct command *exec = c->command;
    say_array(c, c->queue_count);
    c->executing = true;
    for (struct queued *q = c->queue; q && !c->dead; q = q->next) {
        c->argv = q->argv;
        c->argc = q->argc;
        c->command = q->command;
        if (acl_allows_queued(c, q->command, q->argc, q->argv)) command_call(c, q->command);
        tracking_after(c, q->command);
    }
    c->executing = false;
    c->argv = argv;
    c->argc = argc;
    c->command = exec;
    c->failed = false;
}

void cmd_exec(struct client *c) {
    if (!c->in_multi) {
        say_error(c, "ERR EXEC without MULTI");
        return;
    }
    if (c->multi_broken) {
        forget(c);
        say_error(c, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if (c->multi_dirty || watched_key_ended(c)) {
        forget(c);
        say_null_array(c);
        return;
    }
    watch_close(c);
    run_all(c);
    forget(c);
}

bool transaction_writes(const struct client *c) {
    for (const struct queued *q = c->queue; q; q = q->next)
        if (q->command->flags & CMD_WRITE || q->command->flags & CMD_REPLICATE) return true;
    return false;
}
