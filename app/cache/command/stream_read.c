/* SPDX-License-Identifier: Apache-2.0 */
/* stream_read.c — XREAD and XREADGROUP. A reader that waits runs again when a stream was added to;
 * its "$" is by then the id the stream had when it began to wait. */
#include "app/cache/command/stream.h"
#include "app/cache/data/memory.h"
#include "app/cache/features.h"

struct read {
    u32 streams, count; /* argument of the first key; how many keys */
    s64 most, until;
    bool waits, no_ack;
    u32 group, consumer; /* arguments; 0: XREAD */
};

static bool streams_read(struct client *c, struct read *r, u32 i) {
    bool group = c->command->run == cmd_xreadgroup;
    u32 left = c->argc - i - 1;
    if (!left || left % 2) {
        say_errorf(c, "ERR Unbalanced %s list of streams: for each stream key an ID or '%s' must "
                      "be specified.", group ? "XREADGROUP" : "XREAD", group ? ">" : "$");
        return false;
    }
    r->streams = i + 1;
    r->count = left / 2;
    return true;
}

static bool options_read(struct client *c, struct read *r, bool grouped) {
    for (u32 i = 1; i < c->argc; i++) {
        u32 left = c->argc - i - 1;
        if (arg_is(c, i, "count") && left) {
            if (!arg_integer(c, ++i, &r->most)) return false;
            if (r->most < 0) r->most = 0;
        } else if (arg_is(c, i, "block") && left) {
            if (!arg_timeout(c, ++i, &r->until, true)) return false;
            r->waits = true;
        } else if (arg_is(c, i, "group") && left >= 2) {
            if (!grouped) {
                say_error(c,
                          "ERR The GROUP option is only supported by XREADGROUP. You called XREAD "
                             "instead.");
                return false;
            }
            r->group = i + 1;
            r->consumer = i + 2;
            i += 2;
        } else if (arg_is(c, i, "noack")) {
            if (!grouped) {
                say_error(c,
                          "ERR The NOACK option is only supported by XREADGROUP. You called XREAD "
                             "instead.");
                return false;
            }
            r->no_ack = true;
        } else if (arg_is(c, i, "streams")) {
            if (!streams_read(c, r, i)) return false;
            if (!grouped || r->group) return true;
            say_error(c, "ERR Missing GROUP option for XREADGROUP");
            return false;
        } else {
            break;
        }
    }
    say_error(c, SYNTAX_ERROR);
    return false;
}

/* ---- Answers --------------------------------------------------------------------------------- */

struct answer {
    struct block *later;
    u64 streams;
};

static void stream_begin(struct client *c, struct answer *a, str key) {
    if (!a->streams++) a->later = say_later(c);
    if (c->resp < 3) say_array(c, 2);
    say_bulk(c, key);
}

static void answer_end(struct client *c, struct answer *a) {
    if (c->resp >= 3) say_later_map(c, a->later, a->streams);
    else say_later_array(c, a->later, a->streams);
}

/* ---- XREAD ----------------------------------------------------------------------------------- */

/* "$" becomes what it means now; the text lives as long as the command. */
static bool ids_settle(struct client *c, const struct read *r, char (*texts)[48], struct id *ids) {
    for (u32 i = 0; i < r->count; i++) {
        u32 at = r->streams + r->count + i;
        bool bad = false;
        str s = c->argv[at];
        if (str_eq(s, S("$"))) {
            struct object *o = look_read(c, c->argv[r->streams + i], OBJECT_STREAM, &bad);
            if (bad) return false;
            ids[i] = o ? o->feed->last : ID_LEAST;
            c->argv[at] = id_text(ids[i], texts[i]);
        } else if (str_eq(s, S(">"))) {
            say_error(c,
                      "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                         "<group> <consumer> option.");
            return false;
        } else if (!arg_id_strict(c, at, 0, &ids[i])) {
            return false;
        }
    }
    return true;
}

static bool types_fit(struct client *c, const struct read *r) {
    for (u32 i = 0; i < r->count; i++) {
        struct entry *e = keys_peek(c->db, c->argv[r->streams + i]);
        if (!e || e->object.type == OBJECT_STREAM) continue;
        if (wait_running_again(c) && !r->group) continue;
        say_error(c, wait_running_again(c) ? "UNBLOCKED the stream key no longer exists"
                                           : WRONG_TYPE);
        return false;
    }
    return true;
}

static void read_plain(struct client *c, const struct read *r, const struct id *ids) {
    struct answer a = {0};
    for (u32 i = 0; i < r->count; i++) {
        struct entry *e = keys_read(c->db, c->argv[r->streams + i]);
        struct id from = ids[i];
        struct feed_at at;
        u64 n = 0;
        if (!e || e->object.type != OBJECT_STREAM || !id_next(&from)) continue;
        if (!feed_seek(e->object.feed, from, false, &at)) continue;
        stream_begin(c, &a, c->argv[r->streams + i]);
        struct block *later = say_later(c);
        do {
            say_entry(c, &at);
            n++;
        } while ((!r->most || (s64)n < r->most) && feed_step(&at, false));
        say_later_array(c, later, n);
    }
    if (a.streams) answer_end(c, &a);
    else if (r->waits) wait_for_keys(c, c->argv + r->streams, r->count, r->until, OBJECT_STREAM,
                                     NULL);
    else say_null_array(c);
}

void cmd_xread(struct client *c) {
    struct read r = {0};
    if (!options_read(c, &r, false) || !types_fit(c, &r)) return;
    struct id *ids = cache_alloc(r.count * sizeof *ids);
    char(*texts)[48] = cache_alloc(r.count * sizeof *texts);
    if (ids_settle(c, &r, texts, ids)) read_plain(c, &r, ids);
    cache_free(ids);
    cache_free(texts);
}

/* ---- XREADGROUP ------------------------------------------------------------------------------ */

/* What this consumer was given already, after an id; entries that are gone have no fields. */
static void say_history(struct client *c, struct feed *f, struct consumer *k, struct id from,
                        s64 most) {
    struct id_place place;
    u64 n = 0;
    struct block *later = say_later(c);
    struct id *i = id_next(&from) ? id_map_seek(&k->pending, from, &place) : NULL;
    for (; i && (!most || (s64)n < most); i = id_map_step(&k->pending, &place), n++) {
        struct feed_at at;
        struct nack *nack = (struct nack *)i;
        if (feed_has(f, *i, &at)) {
            say_entry(c, &at);
        } else {
            say_array(c, 2);
            say_id(c, *i);
            say_null_array(c);
        }
        nack->given_ms = cache_now_ms();
        nack->times++;
    }
    say_later_array(c, later, n);
}

static void group_reads(struct feed *f, struct group *g, struct id id) {
    if (g->read >= 0 && !feed_has_holes_from(f, id)) g->read++;
    else if (f->added) g->read = feed_distance(f, id);
    g->last = id;
}

static void say_new(struct client *c, struct feed *f, struct group *g, struct consumer *k,
                    const struct read *r, struct feed_at *at) {
    u64 n = 0;
    struct block *later = say_later(c);
    do {
        say_entry(c, at);
        group_reads(f, g, at->id);
        n++;
        if (r->no_ack) continue;
        struct nack *old = (struct nack *)id_map_find(&g->pending, at->id);
        if (old) { /* the group was set back: it changes hands */
            nack_move(old, k);
            old->given_ms = cache_now_ms();
            old->times = 1;
        } else {
            (void)group_give(g, k, at->id, cache_now_ms());
        }
    } while ((!r->most || (s64)n < r->most) && feed_step(at, false));
    say_later_array(c, later, n);
}

static struct consumer *consumer_of(struct client *c, struct group *g, str key, str name) {
    struct consumer *k = group_consumer(g, name);
    if (!k) {
        k = group_consumer_add(g, name, cache_now_ms());
        notify(NOTIFY_STREAM, "xgroup-createconsumer", key, c->db);
        command_stats.dirty++;
    }
    k->seen_ms = cache_now_ms();
    return k;
}

/* The groups exist and the ids are well-formed; false: told. */
static bool groups_check(struct client *c, const struct read *r) {
    for (u32 i = 0; i < r->count; i++) {
        str key = c->argv[r->streams + i], id = c->argv[r->streams + r->count + i];
        struct entry *e = keys_peek(c->db, key);
        struct id ignored;
        if (!e || !feed_group(e->object.feed, c->argv[r->group])) {
            if (wait_running_again(c) && !e) {
                say_error(c, "UNBLOCKED the stream key no longer exists");
                return false;
            }
            say_errorf(c,
                       "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with "
                       "GROUP "
                          "option", STR(str_take(key, 128)), STR(str_take(c->argv[r->group], 128)));
            return false;
        }
        if (str_eq(id, S("$"))) {
            say_error(c,
                      "ERR The $ ID is meaningless in the context of XREADGROUP: you want to "
                      "read the "
                         "history of this consumer by specifying a proper ID, or use the > ID to "
                         "get "
                         "new messages. The $ ID would just return an empty result set.");
            return false;
        }
        if (!str_eq(id, S(">")) && !arg_id_strict(c, r->streams + r->count + i, 0,
                                                  &ignored)) return false;
    }
    return true;
}

void cmd_xreadgroup(struct client *c) {
    struct read r = {0};
    struct answer a = {0};
    if (!options_read(c, &r, true) || !types_fit(c, &r) || !groups_check(c, &r)) return;
    for (u32 i = 0; i < r.count; i++) {
        str key = c->argv[r.streams + i], id = c->argv[r.streams + r.count + i];
        struct entry *e = keys_write(c->db, key);
        struct feed *f = e->object.feed;
        struct group *g = feed_group(f, c->argv[r.group]);
        struct consumer *k = consumer_of(c, g, key, c->argv[r.consumer]);
        struct id from;
        struct feed_at at;
        if (!str_eq(id, S(">"))) {
            (void)id_parse(id, 0, &from);
            stream_begin(c, &a, key);
            say_history(c, f, k, from, r.most);
            continue;
        }
        from = g->last;
        if (!id_next(&from) || !feed_seek(f, from, false, &at)) continue;
        stream_begin(c, &a, key);
        say_new(c, f, g, k, &r, &at);
        command_stats.dirty++;
    }
    if (a.streams) answer_end(c, &a);
    else if (r.waits) wait_for_keys(c, c->argv + r.streams, r.count, r.until, OBJECT_STREAM, NULL);
    else say_null_array(c);
}
