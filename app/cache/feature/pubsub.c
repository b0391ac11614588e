/* SPDX-License-Identifier: Apache-2.0 */
/* pubsub.c — channels, patterns of channels, and shard channels, which are channels of their own.
 *
 *   channel "news" -> [listener, listener, ...]      one array per channel
 *   client.channels: "news" -> listener              one table per client; the listener knows its
 *                                                    place in the array, so leaving costs nothing
 *
 * Always true: a listener is in its client's table and in its channel's array; a channel without
 * listeners does not exist. */
#include "app/cache/acl.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "kernel/core/memory.h"

struct channel {
    struct node node;
    struct listener **listeners;
    u32 count, room;
    char name[];
};
struct listener {
    struct node node;
    struct client *client;
    struct channel *channel;
    u32 place;
    char name[];
};
enum kind { CHANNEL, PATTERN, SHARD, KINDS };
static struct dict channels[KINDS];
static u32 listening_clients;

static const char *const words_in[KINDS] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const words_out[KINDS] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

static struct dict *own(struct client *c, enum kind kind) {
    return kind == CHANNEL ? &c->channels : kind == PATTERN ? &c->patterns : &c->shard_channels;
}

void pubsub_open(struct client *c) {
    for (u32 k = 0; k < KINDS; k++) {
        dict_open(own(c, k), offsetof(struct listener, name));
        if (!channels[k].key_at) dict_open(&channels[k], offsetof(struct channel, name));
    }
}

u32 pubsub_count(const struct client *c) {
    return c->channels.count + c->patterns.count + c->shard_channels.count;
}

static s64 count_said(struct client *c, enum kind kind) {
    return kind == SHARD ? c->shard_channels.count : c->channels.count + c->patterns.count;
}

/* ---- Joining and leaving --------------------------------------------------------------------- */

static struct channel *channel_get(enum kind kind, str name) {
    struct channel *ch = (struct channel *)dict_find(&channels[kind], name);
    if (ch) return ch;
    if (!(ch = memory_alloc(MEMORY_CONNECTIONS, sizeof *ch + name.len))) return NULL;
    *ch = (struct channel){.node.len = (u32)name.len};
    memcpy(ch->name, name.ptr, name.len);
    dict_insert(&channels[kind], &ch->node, dict_hash(name));
    return ch;
}

static void channel_drop(enum kind kind, struct channel *ch) {
    if (ch->count) return;
    (void)dict_remove(&channels[kind], str_of(ch->name, ch->node.len));
    memory_free(MEMORY_CONNECTIONS, ch->listeners);
    memory_free(MEMORY_CONNECTIONS, ch);
    dict_close_empty(&channels[kind]);
}

static bool join(struct client *c, enum kind kind, str name) {
    struct channel *ch = channel_get(kind, name);
    struct listener *l = ch ? memory_alloc(MEMORY_CONNECTIONS, sizeof *l + name.len) : NULL;
    if (l && ch->count == ch->room) {
        u32 room = ch->room ? 2 * ch->room : 4;
        void *to = memory_resize(MEMORY_CONNECTIONS, ch->listeners, room * sizeof *ch->listeners);
        if (to) {
            ch->listeners = to;
            ch->room = room;
        }
    }
    if (!l || ch->count == ch->room) {
        memory_free(MEMORY_CONNECTIONS, l);
        if (ch) channel_drop(kind, ch);
        return false;
    }
    *l = (struct listener){.node.len = (u32)name.len, .client = c, .channel = ch, .place =
                           ch->count};
    memcpy(l->name, name.ptr, name.len);
    ch->listeners[ch->count++] = l;
    if (!pubsub_count(c)) listening_clients++;
    dict_insert(own(c, kind), &l->node, dict_hash(name));
    return true;
}

static bool leave(struct client *c, enum kind kind, str name) {
    struct listener *l = (struct listener *)dict_remove(own(c, kind), name);
    if (!l) return false;
    struct channel *ch = l->channel;
    ch->listeners[l->place] = ch->listeners[--ch->count];
    ch->listeners[l->place]->place = l->place;
    memory_free(MEMORY_CONNECTIONS, l);
    channel_drop(kind, ch);
    if (!pubsub_count(c)) listening_clients--;
    return true;
}

static void say_change(struct client *c, const char *word, str name, s64 n) {
    bool was = c->pushing;
    c->pushing = true;
    say_push(c, 3);
    say_cstr(c, word);
    if (name.ptr) say_bulk(c, name);
    else say_null(c);
    say_integer(c, n);
    c->pushing = was;
}

static void leave_all(struct client *c, enum kind kind, bool say) {
    struct dict_walk w;
    struct node *n;
    if (say && !own(c, kind)->count)
        say_change(c, words_out[kind], (str){0}, count_said(c, kind));
    while (own(c, kind)->count) {
        dict_walk_begin(&w, own(c, kind));
        n = dict_walk_next(&w);
        dict_walk_end(&w);
        struct text *name = text_new(dict_key(own(c, kind), n), 0);
        (void)leave(c, kind, str_of(name->bytes, name->len));
        if (say) say_change(c, words_out[kind], str_of(name->bytes, name->len), count_said(c,
                kind));
        text_drop(name);
    }
    dict_close(own(c, kind));
}

void pubsub_close(struct client *c, bool say) {
    for (u32 k = 0; k < KINDS; k++)
        if (!say || own(c, k)->count) leave_all(c, k, say);
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void subscribe_run(struct client *c, enum kind kind) {
    for (u32 i = 1; i < c->argc; i++) {
        if (!dict_find(own(c, kind), c->argv[i]) && !join(c, kind, c->argv[i])) {
            say_error(c, "ERR no memory for another channel");
            return;
        }
        say_change(c, words_in[kind], c->argv[i], count_said(c, kind));
    }
}

static void unsubscribe_run(struct client *c, enum kind kind) {
    if (c->argc == 1) leave_all(c, kind, true);
    for (u32 i = 1; i < c->argc; i++) {
        (void)leave(c, kind, c->argv[i]);
        say_change(c, words_out[kind], c->argv[i], count_said(c, kind));
    }
}

void cmd_subscribe(struct client *c) { subscribe_run(c, CHANNEL); }
void cmd_psubscribe(struct client *c) { subscribe_run(c, PATTERN); }
void cmd_ssubscribe(struct client *c) { subscribe_run(c, SHARD); }
void cmd_unsubscribe(struct client *c) { unsubscribe_run(c, CHANNEL); }
void cmd_punsubscribe(struct client *c) { unsubscribe_run(c, PATTERN); }
void cmd_sunsubscribe(struct client *c) { unsubscribe_run(c, SHARD); }

static void say_message(struct client *c, const char *word, str pattern, str channel, str message) {
    c->pushing = true;
    say_push(c, pattern.ptr ? 4 : 3);
    say_cstr(c, word);
    if (pattern.ptr) say_bulk(c, pattern);
    say_bulk(c, channel);
    say_bulk(c, message);
    c->pushing = false;
    client_flush_soon(c);
}

u32 pubsub_publish(str channel, str message, bool shard) {
    enum kind kind = shard ? SHARD : CHANNEL;
    struct channel *ch = channels[kind].count
                             ? (struct channel *)dict_find(&channels[kind], channel) : NULL;
    u32 n = 0;
    for (u32 i = 0; ch && i < ch->count; i++, n++)
        say_message(ch->listeners[i]->client, shard ? "smessage" : "message", (str){0}, channel,
                    message);
    if (shard || !channels[PATTERN].count) return n;
    struct dict_walk w;
    struct node *node;
    for (dict_walk_begin(&w, &channels[PATTERN]); (node = dict_walk_next(&w));) {
        struct channel *p = (struct channel *)node;
        str pattern = str_of(p->name, node->len);
        if (!glob_match(pattern, channel, false)) continue;
        for (u32 i = 0; i < p->count; i++, n++)
            say_message(p->listeners[i]->client, "pmessage", pattern, channel, message);
    }
    return n;
}

void cmd_publish(struct client *c) {
    say_integer(c, pubsub_publish(c->argv[1], c->argv[2], false));
}
void cmd_spublish(struct client *c) { say_integer(c, pubsub_publish(c->argv[1], c->argv[2], true));
                                     }

static void say_names(struct client *c, enum kind kind) {
    struct dict_walk w;
    struct node *n;
    u64 said = 0;
    struct block *later = say_later(c);
    if (channels[kind].key_at)
        for (dict_walk_begin(&w, &channels[kind]); (n = dict_walk_next(&w));) {
            str name = dict_key(&channels[kind], n);
            if (c->argc > 2 && !glob_match(c->argv[2], name, false)) continue;
            say_bulk(c, name);
            said++;
        }
    say_later_array(c, later, said);
}

static void say_counts(struct client *c, enum kind kind) {
    say_map(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) {
        struct channel *ch = channels[kind].count
                                 ? (struct channel *)dict_find(&channels[kind], c->argv[i]) : NULL;
        say_bulk(c, c->argv[i]);
        say_integer(c, ch ? ch->count : 0);
    }
}

void cmd_pubsub_channels(struct client *c) { say_names(c, CHANNEL); }
void cmd_pubsub_shardchannels(struct client *c) { say_names(c, SHARD); }
void cmd_pubsub_numsub(struct client *c) { say_counts(c, CHANNEL); }
void cmd_pubsub_shardnumsub(struct client *c) { say_counts(c, SHARD); }
void cmd_pubsub_numpat(struct client *c) { say_integer(c, channels[PATTERN].count); }

void cmd_pubsub_help(struct client *c) {
    static const char *const lines[] = {
        "CHANNELS [<pattern>]", "    Channels with listeners.",
        "NUMPAT", "    Patterns listened to.",
        "NUMSUB [<channel> ...]", "    Listeners of channels.",
        "SHARDCHANNELS [<pattern>]", "    Shard channels with listeners.",
        "SHARDNUMSUB [<channel> ...]", "    Listeners of shard channels.", NULL};
    say_help(c, lines);
}

void pubsub_totals_get(struct pubsub_totals *out) {
    *out = (struct pubsub_totals){channels[CHANNEL].count, channels[PATTERN].count,
                                  channels[SHARD].count, listening_clients};
}

void pubsub_recheck(struct client *c) {
    for (u32 k = 0; k < KINDS; k++) {
        struct dict_walk w;
        struct node *n;
        bool denied = false;
        for (dict_walk_begin(&w, own(c, k)); (n = dict_walk_next(&w));)
            denied |= !c->user || !acl_allows_channel(c->user, dict_key(own(c, k), n),
                                                      k == PATTERN);
        if (denied) {
            client_end(c);
            return;
        }
    }
}
