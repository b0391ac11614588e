/* SPDX-License-Identifier: Apache-2.0 */
/* stream_group.c — consumer groups: made and removed, entries acknowledged, looked over,
    taken over. */
#include "app/cache/command/stream.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

/* The group of argument 2 in what argument 1 was found to be. NULL: the client has been told. */
static struct group *group_of(struct client *c, struct object *o, bool bad) {
    struct group *g = o ? feed_group(o->feed, c->argv[2]) : NULL;
    if (!g && !bad) say_nogroup(c, c->argv[1], c->argv[2]);
    return g;
}

/* ---- XGROUP ---------------------------------------------------------------------------------- */

/* "$" is the stream's last id. */
static bool group_id(struct client *c, u32 i, const struct feed *f, struct id *out) {
    if (!str_eq(c->argv[i], S("$"))) return arg_id(c, i, 0, out);
    *out = f ? f->last : ID_LEAST;
    return true;
}

static bool entries_read(struct client *c, u32 i, s64 *read) {
    if (!arg_integer(c, i, read)) return false;
    if (*read >= 0 || *read == -1) return true;
    say_error(c, "ERR value for ENTRIESREAD must be positive or -1");
    return false;
}

static struct object *stream_needed(struct client *c, str key) {
    bool bad;
    struct object *o = look_write(c, key, OBJECT_STREAM, &bad);
    if (!o && !bad)
        say_error(c,
                  "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you "
                  "may "
                     "want to use the MKSTREAM option to create an empty stream automatically.");
    return o;
}

static struct group *group_needed(struct client *c, struct object *o) {
    struct group *g = o ? feed_group(o->feed, c->argv[3]) : NULL;
    if (o && !g)
        say_errorf(c, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                   STR(str_take(c->argv[3], 128)), STR(str_take(c->argv[2], 128)));
    return g;
}

void cmd_xgroup_create(struct client *c) {
    bool make = false, bad;
    s64 read = -1;
    struct id id;
    for (u32 i = 5; i < c->argc; i++) {
        if (arg_is(c, i, "mkstream")) {
            make = true;
        } else if (arg_is(c, i, "entriesread") && i + 1 < c->argc) {
            if (!entries_read(c, ++i, &read)) return;
        } else {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    struct object *o = look_write(c, c->argv[2], OBJECT_STREAM, &bad);
    if (bad) return;
    if (!o && !make) {
        (void)stream_needed(c, c->argv[2]);
        return;
    }
    if (!group_id(c, 4, o ? o->feed : NULL, &id)) return;
    if (!o) {
        o = &keys_add(c->db, c->argv[2], feed_new())->object;
        notify(NOTIFY_NEW, "new", c->argv[2], c->db);
        key_changed(c, c->db, c->argv[2]);
    }
    if (!feed_group_add(o->feed, c->argv[3], id, read)) {
        say_error(c, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    say_ok(c);
    command_stats.dirty++;
    notify(NOTIFY_STREAM, "xgroup-create", c->argv[2], c->db);
}

void cmd_xgroup_setid(struct client *c) {
    s64 read = -1;
    struct id id;
    if (c->argc > 5 && (c->argc != 7 || !arg_is(c, 5, "entriesread"))) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (c->argc == 7 && !entries_read(c, 6, &read)) return;
    struct object *o = stream_needed(c, c->argv[2]);
    struct group *g = group_needed(c, o);
    if (!g || !group_id(c, 4, o->feed, &id)) return;
    g->last = id;
    g->read = read;
    say_ok(c);
    command_stats.dirty++;
    notify(NOTIFY_STREAM, "xgroup-setid", c->argv[2], c->db);
}

void cmd_xgroup_destroy(struct client *c) {
    struct object *o = stream_needed(c, c->argv[2]);
    if (!o) return;
    struct group *g = feed_group(o->feed, c->argv[3]);
    if (g) {
        feed_group_delete(o->feed, g);
        notify(NOTIFY_STREAM, "xgroup-destroy", c->argv[2], c->db);
        key_changed(c, c->db, c->argv[2]); /* whoever waits in it is told */
    }
    say_integer(c, g != NULL);
}

void cmd_xgroup_createconsumer(struct client *c) {
    struct group *g = group_needed(c, stream_needed(c, c->argv[2]));
    if (!g) return;
    bool made = !group_consumer(g, c->argv[4]);
    if (made) {
        (void)group_consumer_add(g, c->argv[4], cache_now_ms());
        command_stats.dirty++;
        notify(NOTIFY_STREAM, "xgroup-createconsumer", c->argv[2], c->db);
    }
    say_integer(c, made);
}

void cmd_xgroup_delconsumer(struct client *c) {
    struct group *g = group_needed(c, stream_needed(c, c->argv[2]));
    if (!g) return;
    struct consumer *k = group_consumer(g, c->argv[4]);
    s64 pending = k ? (s64)k->pending.count : 0;
    if (k) {
        group_consumer_delete(g, k);
        command_stats.dirty++;
        notify(NOTIFY_STREAM, "xgroup-delconsumer", c->argv[2], c->db);
    }
    say_integer(c, pending);
}

void cmd_xgroup_help(struct client *c) {
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]", "    Make a group; MKSTREAM, ENTRIESREAD n.",
        "CREATECONSUMER <key> <groupname> <consumer>", "    Make a consumer.",
        "DELCONSUMER <key> <groupname> <consumer>", "    Remove a consumer.",
        "DESTROY <key> <groupname>", "    Remove a group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]", "    Set a group's place.",
            NULL};
    say_help(c, lines);
}

/* ---- XACK, XPENDING -------------------------------------------------------------------------- */

void cmd_xack(struct client *c) {
    bool bad;
    s64 n = 0;
    struct id id;
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    struct group *g = o ? feed_group(o->feed, c->argv[2]) : NULL;
    for (u32 i = 3; g && i < c->argc; i++)
        if (!arg_id_strict(c, i, 0, &id)) return;
    for (u32 i = 3; g && i < c->argc; i++) {
        (void)id_parse(c->argv[i], 0, &id);
        n += group_take_back(g, id);
    }
    command_stats.dirty += (u64)n;
    say_integer(c, n);
}

static void pending_summary(struct client *c, const struct group *g) {
    struct id_place at;
    u64 n = 0;
    say_array(c, 4);
    say_integer(c, (s64)g->pending.count);
    if (!g->pending.count) {
        say_null(c);
        say_null(c);
        say_null_array(c);
        return;
    }
    say_id(c, *id_map_seek(&g->pending, ID_LEAST, &at));
    say_id(c, *id_map_last(&g->pending));
    struct block *later = say_later(c);
    for (struct consumer *k = g->consumers; k; k = k->next) {
        if (!k->pending.count) continue;
        say_array(c, 2);
        say_bulk(c, str_of(k->name, k->len));
        say_integer_bulk(c, (s64)k->pending.count);
        n++;
    }
    say_later_array(c, later, n);
}

void cmd_xpending(struct client *c) {
    bool bad;
    u32 at = 3;
    s64 idle = 0, most, n = 0;
    struct id low, high;
    if (c->argc > 3 && arg_is(c, 3, "idle")) {
        if (c->argc < 8) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
        if (!arg_integer(c, 4, &idle)) return;
        at = 5;
    }
    bool listing = c->argc > at;
    if (listing && (c->argc < at + 3 || c->argc > at + 4)) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (listing && (!arg_integer(c, at + 2, &most) || !arg_id_bound(c, at, true, &low) ||
                    !arg_id_bound(c, at + 1, false, &high)))
        return;
    struct object *o = look_read(c, c->argv[1], OBJECT_STREAM, &bad);
    struct group *g = group_of(c, o, bad);
    if (!g) return;
    if (!listing) {
        pending_summary(c, g);
        return;
    }
    struct consumer *k = c->argc > at + 3 ? group_consumer(g, c->argv[at + 3]) : NULL;
    const struct id_map *map = k ? &k->pending : &g->pending;
    struct id_place place;
    struct block *later = say_later(c);
    struct id *i = c->argc > at + 3 && !k ? NULL : id_map_seek(map, low, &place);
    for (; i && n < most && id_compare(*i, high) <= 0; i = id_map_step(map, &place)) {
        const struct nack *nack = (const struct nack *)i;
        s64 since = MAX(cache_now_ms() - nack->given_ms, 0);
        if (since < idle) continue;
        say_array(c, 4);
        say_id(c, *i);
        say_bulk(c, str_of(nack->consumer->name, nack->consumer->len));
        say_integer(c, since);
        say_integer(c, (s64)nack->times);
        n++;
    }
    say_later_array(c, later, (u64)n);
}

/* ---- XCLAIM ---------------------------------------------------------------------------------- */

struct claim {
    s64 least_idle, given_ms, times;
    bool given, force, just_id, has_last;
    struct id last;
};

static bool claim_options(struct client *c, u32 i, struct claim *k) {
    for (; i < c->argc; i++) {
        u32 left = c->argc - i - 1;
        s64 n;
        if (arg_is(c, i, "force")) {
            k->force = true;
        } else if (arg_is(c, i, "justid")) {
            k->just_id = true;
        } else if (arg_is(c, i, "idle") && left) {
            if (!arg_integer_or(c, ++i, &n,
                                "ERR Invalid IDLE option argument for XCLAIM")) return false;
            k->given_ms = cache_now_ms() - n;
            k->given = true;
        } else if (arg_is(c, i, "time") && left) {
            if (!arg_integer_or(c, ++i, &n,
                                "ERR Invalid TIME option argument for XCLAIM")) return false;
            k->given_ms = n - cache_wall_offset_ms();
            k->given = true;
        } else if (arg_is(c, i, "retrycount") && left) {
            if (!arg_integer_or(c, ++i, &k->times,
                                "ERR Invalid RETRYCOUNT option argument for XCLAIM"))
                return false;
        } else if (arg_is(c, i, "lastid") && left) {
            if (!arg_id_strict(c, ++i, 0, &k->last)) return false;
            k->has_last = true;
        } else {
            say_errorf(c, "ERR Unrecognized XCLAIM option '%.*s'", STR(str_take(c->argv[i], 64)));
            return false;
        }
    }
    if (!k->given || k->given_ms > cache_now_ms()) k->given_ms = cache_now_ms();
    return true;
}

static void nack_claim(struct nack *n, struct consumer *to, const struct claim *k) {
    nack_move(n, to);
    n->given_ms = k->given_ms;
    if (k->times >= 0) n->times = (u64)k->times;
    else if (!k->just_id) n->times++;
}

/* True: it was claimed and said. */
static bool claim_one(struct client *c, struct feed *f, struct group *g, struct consumer *to,
                      struct id id, const struct claim *k) {
    struct feed_at at;
    struct nack *n = (struct nack *)id_map_find(&g->pending, id);
    if (!feed_has(f, id, &at)) {
        if (n) {
            (void)group_take_back(g, id); /* the entry is gone: nobody needs it */
            command_stats.dirty++;
        }
        return false;
    }
    if (!n && !k->force) return false;
    if (!n) n = group_give(g, to, id, cache_now_ms()), n->times = 0;
    else if (k->least_idle && cache_now_ms() - n->given_ms < k->least_idle) return false;
    nack_claim(n, to, k);
    command_stats.dirty++;
    if (k->just_id) say_id(c, id);
    else say_entry(c, &at);
    return true;
}

static struct consumer *consumer_of(struct client *c, struct group *g, str name) {
    struct consumer *k = group_consumer(g, name);
    if (!k) {
        k = group_consumer_add(g, name, cache_now_ms());
        notify(NOTIFY_STREAM, "xgroup-createconsumer", c->argv[1], c->db);
    }
    k->seen_ms = cache_now_ms();
    return k;
}

void cmd_xclaim(struct client *c) {
    bool bad;
    struct claim k = {.times = -1};
    struct id id;
    u32 ids = 5;
    u64 n = 0;
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    struct group *g = group_of(c, o, bad);
    if (!g) return;
    if (!arg_integer_or(c, 4, &k.least_idle,
                        "ERR Invalid min-idle-time argument for XCLAIM")) return;
    if (k.least_idle < 0) k.least_idle = 0;
    while (ids < c->argc && id_parse(c->argv[ids], 0, &id)) ids++;
    if (ids == 5) {
        say_error(c, "ERR Invalid stream ID specified as stream command argument");
        return;
    }
    if (!claim_options(c, ids, &k)) return;
    if (k.has_last && id_compare(k.last, g->last) > 0) g->last = k.last;
    struct consumer *to = consumer_of(c, g, c->argv[3]);
    struct block *later = say_later(c);
    for (u32 i = 5; i < ids; i++) {
        (void)id_parse(c->argv[i], 0, &id);
        n += claim_one(c, o->feed, g, to, id, &k);
    }
    say_later_array(c, later, n);
}

void cmd_xautoclaim(struct client *c) {
    bool bad;
    struct claim k = {.times = -1};
    struct id from;
    s64 most = 100;
    if (!arg_integer_or(c, 4, &k.least_idle, "ERR Invalid min-idle-time argument for XAUTOCLAIM") ||
        !arg_id_bound(c, 5, true, &from))
        return;
    if (k.least_idle < 0) k.least_idle = 0;
    for (u32 i = 6; i < c->argc; i++) {
        if (arg_is(c, i, "count") && i + 1 < c->argc) {
            if (!arg_range(c, ++i, 1, INT64_MAX / 64, &most, "ERR COUNT must be > 0")) return;
        } else if (arg_is(c, i, "justid")) {
            k.just_id = true;
        } else {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    struct group *g = group_of(c, o, bad);
    if (!g) return;
    struct consumer *to = consumer_of(c, g, c->argv[3]);
    struct id_place place;
    s64 attempts = most * 10;
    u64 said = 0, gone = 0, room = (u64)MIN(most, (s64)g->pending.count) + 1;
    struct id *deleted = cache_alloc(room * sizeof *deleted);
    k.given_ms = cache_now_ms();
    say_array(c, 3);
    struct block *cursor = say_later(c), *later = say_later(c);
    struct id *i = id_map_seek(&g->pending, from, &place);
    for (; i && attempts-- > 0 && most > 0; i = id_map_seek(&g->pending, from, &place)) {
        struct feed_at at;
        struct nack *n = (struct nack *)i;
        struct id id = from = *i;
        bool more = id_next(&from);
        if (!feed_has(o->feed, id, &at)) {
            (void)group_take_back(g, id);
            deleted[gone++] = id;
            most--;
        } else if (!k.least_idle || cache_now_ms() - n->given_ms >= k.least_idle) {
            nack_claim(n, to, &k);
            if (k.just_id) say_id(c, id);
            else say_entry(c, &at);
            said++;
            most--;
        }
        if (!more) break;
    }
    i = id_map_seek(&g->pending, from, &place);
    say_later_bulk(c, cursor, i ? *i : ID_LEAST);
    say_later_array(c, later, said);
    say_array(c, gone);
    for (u64 d = 0; d < gone; d++) say_id(c, deleted[d]);
    cache_free(deleted);
    command_stats.dirty += said + gone;
}

/* ---- XINFO ----------------------------------------------------------------------------------- */

static void say_lag(struct client *c, const struct feed *f, const struct group *g) {
    s64 lag = -1;
    if (!f->added) lag = 0;
    else if (g->read >= 0 && !feed_has_holes_from(f, g->last)) lag = (s64)f->added - g->read;
    else {
        s64 read = feed_distance(f, g->last);
        if (read >= 0) lag = (s64)f->added - read;
    }
    say_cstr(c, "lag");
    if (lag >= 0) say_integer(c, lag);
    else say_null(c);
}

static void say_read(struct client *c, const struct group *g) {
    say_cstr(c, "entries-read");
    if (g->read >= 0) say_integer(c, g->read);
    else say_null(c);
}

void cmd_xinfo_groups(struct client *c) {
    bool bad;
    u64 n = 0, consumers;
    struct object *o = look_read(c, c->argv[2], OBJECT_STREAM, &bad);
    if (!o && !bad) say_error(c, NO_KEY);
    if (!o) return;
    for (struct group *g = o->feed->groups; g; g = g->next) n++;
    say_array(c, n);
    for (struct group *g = o->feed->groups; g; g = g->next) {
        consumers = 0;
        for (struct consumer *k = g->consumers; k; k = k->next) consumers++;
        say_map(c, 6);
        say_cstr(c, "name");
        say_bulk(c, str_of(g->name, g->len));
        say_cstr(c, "consumers");
        say_integer(c, (s64)consumers);
        say_cstr(c, "pending");
        say_integer(c, (s64)g->pending.count);
        say_cstr(c, "last-delivered-id");
        say_id(c, g->last);
        say_read(c, g);
        say_lag(c, o->feed, g);
    }
}

void cmd_xinfo_consumers(struct client *c) {
    bool bad;
    u64 n = 0;
    struct object *o = look_read(c, c->argv[2], OBJECT_STREAM, &bad);
    if (!o && !bad) say_error(c, NO_KEY);
    if (!o) return;
    struct group *g = group_needed(c, o);
    if (!g) return;
    for (struct consumer *k = g->consumers; k; k = k->next) n++;
    say_array(c, n);
    for (struct consumer *k = g->consumers; k; k = k->next) {
        say_map(c, 3);
        say_cstr(c, "name");
        say_bulk(c, str_of(k->name, k->len));
        say_cstr(c, "pending");
        say_integer(c, (s64)k->pending.count);
        say_cstr(c, "idle");
        say_integer(c, MAX(cache_now_ms() - k->seen_ms, 0));
    }
}

static void say_pending(struct client *c, const struct id_map *map, s64 most, bool with_consumer) {
    struct id_place at;
    s64 n = 0;
    struct block *later = say_later(c);
    for (struct id *i = id_map_seek(map, ID_LEAST, &at); i && (!most || n < most);
         i = id_map_step(map, &at), n++) {
        const struct nack *nack = (const struct nack *)i;
        say_array(c, 3 + with_consumer);
        say_id(c, *i);
        if (with_consumer) say_bulk(c, str_of(nack->consumer->name, nack->consumer->len));
        say_integer(c, nack->given_ms + cache_wall_offset_ms());
        say_integer(c, (s64)nack->times);
    }
    say_later_array(c, later, (u64)n);
}

static void say_group_full(struct client *c, const struct feed *f, const struct group *g,
                           s64 most) {
    u64 n = 0;
    say_map(c, 7);
    say_cstr(c, "name");
    say_bulk(c, str_of(g->name, g->len));
    say_cstr(c, "last-delivered-id");
    say_id(c, g->last);
    say_read(c, g);
    say_lag(c, f, g);
    say_cstr(c, "pel-count");
    say_integer(c, (s64)g->pending.count);
    say_cstr(c, "pending");
    say_pending(c, &g->pending, most, true);
    say_cstr(c, "consumers");
    for (struct consumer *k = g->consumers; k; k = k->next) n++;
    say_array(c, n);
    for (struct consumer *k = g->consumers; k; k = k->next) {
        say_map(c, 4);
        say_cstr(c, "name");
        say_bulk(c, str_of(k->name, k->len));
        say_cstr(c, "seen-time");
        say_integer(c, k->seen_ms + cache_wall_offset_ms());
        say_cstr(c, "pel-count");
        say_integer(c, (s64)k->pending.count);
        say_cstr(c, "pending");
        say_pending(c, &k->pending, most, false);
    }
}

static void say_end_entry(struct client *c, const struct feed *f, const char *name, bool last) {
    struct feed_at at;
    say_cstr(c, name);
    if (feed_seek(f, last ? ID_MOST : ID_LEAST, last, &at)) say_entry(c, &at);
    else say_null(c);
}

static void say_full(struct client *c, const struct feed *f, s64 most) {
    struct feed_at at;
    u64 n = 0;
    say_cstr(c, "entries");
    struct block *later = say_later(c);
    bool more = feed_seek(f, ID_LEAST, false, &at);
    for (; more && (!most || (s64)n < most); more = feed_step(&at, false), n++) say_entry(c, &at);
    say_later_array(c, later, n);
    n = 0;
    say_cstr(c, "groups");
    for (struct group *g = f->groups; g; g = g->next) n++;
    say_array(c, n);
    for (struct group *g = f->groups; g; g = g->next) say_group_full(c, f, g, most);
}

void cmd_xinfo_stream(struct client *c) {
    bool bad, full = c->argc > 3;
    s64 most = 10;
    u64 n = 0;
    if (full && (!arg_is(c, 3, "full") || (c->argc > 4 && (c->argc != 6 || !arg_is(c, 4,
            "count"))))) {
        say_error(c, "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO "
                     "HELP.");
        return;
    }
    if (c->argc == 6 && !arg_integer(c, 5, &most)) return;
    if (most < 0) most = 10;
    struct object *o = look_read(c, c->argv[2], OBJECT_STREAM, &bad);
    if (!o && !bad) say_error(c, NO_KEY);
    if (!o) return;
    const struct feed *f = o->feed;
    for (struct group *g = f->groups; g; g = g->next) n++;
    say_map(c, full ? 9 : 10);
    say_cstr(c, "length");
    say_integer(c, (s64)f->length);
    say_cstr(c, "radix-tree-keys");
    say_integer(c, f->block_count);
    say_cstr(c, "radix-tree-nodes");
    say_integer(c, f->block_count + 1);
    say_cstr(c, "last-generated-id");
    say_id(c, f->last);
    say_cstr(c, "max-deleted-entry-id");
    say_id(c, f->max_deleted);
    say_cstr(c, "entries-added");
    say_integer(c, (s64)f->added);
    say_cstr(c, "recorded-first-entry-id");
    say_id(c, feed_first(f));
    if (full) {
        say_full(c, f, most);
        return;
    }
    say_cstr(c, "groups");
    say_integer(c, (s64)n);
    say_end_entry(c, f, "first-entry", false);
    say_end_entry(c, f, "last-entry", true);
}

void cmd_xinfo_help(struct client *c) {
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>", "    Consumers of a group.",
        "GROUPS <key>", "    Groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]", "    A stream.", NULL};
    say_help(c, lines);
}
