/* SPDX-License-Identifier: Apache-2.0 */
/* generic.c — commands for keys of any type: delete, rename, copy, move between databases, flush,
 * and what a value is made of. */
#include "app/cache/data/hash.h"
#include "app/cache/data/numbers.h"
#include "app/cache/data/memory.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"

/* ---- Being there ----------------------------------------------------------------------------- */

void cmd_del(struct client *c) {
    s64 n = 0;
    for (u32 i = 1; i < c->argc; i++) {
        if (!keys_delete(c->db, c->argv[i])) continue;
        notify(NOTIFY_GENERIC, "del", c->argv[i], c->db);
        key_changed(c, c->db, c->argv[i]);
        n++;
    }
    say_integer(c, n);
}

void cmd_unlink(struct client *c) { cmd_del(c); }

void cmd_exists(struct client *c) {
    s64 n = 0;
    for (u32 i = 1; i < c->argc; i++) {
        bool there = keys_peek(c->db, c->argv[i]) != NULL;
        if (there) keys_stats.hits++;
        else keys_stats.misses++;
        n += there;
    }
    say_integer(c, n);
}

void cmd_touch(struct client *c) {
    s64 n = 0;
    for (u32 i = 1; i < c->argc; i++) {
        struct entry *e = keys_read(c->db, c->argv[i]);
        if (e) keys_touch(e);
        n += e != NULL;
    }
    say_integer(c, n);
}

void cmd_type(struct client *c) {
    struct entry *e = keys_peek(c->db, c->argv[1]);
    say_status(c, e ? object_type_name(e->object.type) : "none");
}

void cmd_dbsize(struct client *c) { say_integer(c, c->db->dict.count); }

void cmd_randomkey(struct client *c) {
    struct entry *e = keys_random(c->db);
    if (e) say_bulk(c, entry_key(e));
    else say_null(c);
}

void cmd_keys(struct client *c) {
    struct dict_walk w;
    struct node *n;
    u64 found = 0;
    bool all = str_eq(c->argv[1], S("*"));
    struct block *later = say_later(c);
    for (dict_walk_begin(&w, &c->db->dict); (n = dict_walk_next(&w));) {
        struct entry *e = (struct entry *)n;
        s64 end = keys_end(c->db, e);
        if (end >= 0 && end <= cache_now_ms()) continue;
        if (!all && !glob_match(c->argv[1], entry_key(e), false)) continue;
        say_bulk(c, entry_key(e));
        found++;
    }
    say_later_array(c, later, found);
}

/* ---- Another name, another place ------------------------------------------------------------- */

/* The value of `from` under `to`, with its end. */
static void put_moved(struct keys *db, str to, struct object o, s64 end) {
    u32 used_at = o.used_at;
    u8 often = o.often;
    struct entry *e = keys_add(db, to, o);
    e->object.used_at = used_at;
    e->object.often = often;
    if (end >= 0) keys_end_set(db, e, end);
    hashes_ending_set(e);
}

static void rename_run(struct client *c, bool if_none) {
    str from = c->argv[1], to = c->argv[2];
    struct entry *e = keys_write(c->db, from), *there;
    if (!e) {
        say_error(c, NO_KEY);
        return;
    }
    if (str_eq(from, to)) {
        if (if_none) say_integer(c, 0);
        else say_ok(c);
        return;
    }
    there = keys_write(c->db, to);
    if (there && if_none) {
        say_integer(c, 0);
        return;
    }
    if (there) keys_delete_entry(c->db, there);
    s64 end = keys_end(c->db, e);
    put_moved(c->db, to, keys_take(c->db, e), end);
    notify(NOTIFY_GENERIC, "rename_from", from, c->db);
    notify(NOTIFY_GENERIC, "rename_to", to, c->db);
    key_changed(c, c->db, from);
    key_changed(c, c->db, to);
    if (if_none) say_integer(c, 1);
    else say_ok(c);
}

void cmd_rename(struct client *c) { rename_run(c, false); }
void cmd_renamenx(struct client *c) { rename_run(c, true); }

static bool database_arg(struct client *c, u32 i, struct keys **out, const char *not_a_number) {
    s64 n;
    if (!integer_parse(c->argv[i], &n)) {
        say_error(c, not_a_number);
        return false;
    }
    if (n < 0 || n >= CACHE_DATABASES) {
        say_error(c, "ERR DB index is out of range");
        return false;
    }
    *out = &databases[n];
    return true;
}

void cmd_select(struct client *c) {
    struct keys *db;
    if (!database_arg(c, 1, &db, NOT_INTEGER)) return;
    c->db = db;
    say_ok(c);
}

void cmd_move(struct client *c) {
    struct keys *to;
    if (!database_arg(c, 2, &to, NOT_INTEGER)) return;
    if (to == c->db) {
        say_error(c, "ERR source and destination objects are the same");
        return;
    }
    struct entry *e = keys_write(c->db, c->argv[1]);
    if (!e || keys_write(to, c->argv[1])) {
        say_integer(c, 0);
        return;
    }
    s64 end = keys_end(c->db, e);
    put_moved(to, c->argv[1], keys_take(c->db, e), end);
    notify(NOTIFY_GENERIC, "move_from", c->argv[1], c->db);
    notify(NOTIFY_GENERIC, "move_to", c->argv[1], to);
    key_changed(c, c->db, c->argv[1]);
    key_changed(c, to, c->argv[1]);
    say_integer(c, 1);
}

void cmd_copy(struct client *c) {
    struct keys *to = c->db;
    bool replace = false;
    for (u32 i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "replace")) {
            replace = true;
        } else if (arg_is(c, i, "db") && i + 1 < c->argc) {
            if (!database_arg(c, ++i, &to, NOT_INTEGER)) return;
        } else {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    if (to == c->db && str_eq(c->argv[1], c->argv[2])) {
        say_error(c, "ERR source and destination objects are the same");
        return;
    }
    struct entry *e = keys_read(c->db, c->argv[1]), *there;
    if (!e || ((there = keys_write(to, c->argv[2])) && !replace)) {
        say_integer(c, 0);
        return;
    }
    if (!cache_room(object_bytes(&e->object, 5) + KIB(1))) {
        say_error(c,
                  "OOM command not allowed: the copy needs more memory than the cache may have.");
        return;
    }
    if (there) keys_delete_entry(to, there);
    put_moved(to, c->argv[2], object_copy(&e->object), keys_end(c->db, e));
    notify(NOTIFY_GENERIC, "copy_to", c->argv[2], to);
    key_changed(c, to, c->argv[2]);
    say_integer(c, 1);
}

/* ---- Whole databases ------------------------------------------------------------------------- */

static bool flush_option(struct client *c) {
    if (c->argc == 1 || (c->argc == 2 && (arg_is(c, 1, "async") || arg_is(c, 1, "sync"))))
        return true;
    say_error(c, SYNTAX_ERROR);
    return false;
}

void cmd_flushdb(struct client *c) {
    if (!flush_option(c)) return;
    flush_changed(c, c->db);
    command_stats.dirty += c->db->dict.count;
    keys_flush(c->db);
    waits_key_gone(c->db, (str){0});
    say_ok(c);
}

void cmd_flushall(struct client *c) {
    if (!flush_option(c)) return;
    flush_changed(c, NULL);
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        command_stats.dirty += databases[i].dict.count;
        keys_flush(&databases[i]);
        waits_key_gone(&databases[i], (str){0});
    }
    say_ok(c);
}

void cmd_swapdb(struct client *c) {
    struct keys *a, *b;
    if (!database_arg(c, 1, &a, "ERR invalid first DB index") ||
        !database_arg(c, 2, &b, "ERR invalid second DB index"))
        return;
    if (a != b) {
        watch_database_changed(a, b);
        watch_database_changed(b, a);
        tracking_flushed(a);
        tracking_flushed(b);
        keys_swap(a, b);
        waits_database_swapped(a, b);
    }
    command_stats.dirty++;
    say_ok(c);
}

/* ---- OBJECT ---------------------------------------------------------------------------------- */

static struct object *object_arg(struct client *c) {
    struct entry *e = keys_peek(c->db, c->argv[2]);
    if (!e) say_null(c);
    return e ? &e->object : NULL;
}

void cmd_object_encoding(struct client *c) {
    struct object *o = object_arg(c);
    if (o) say_cstr(c, object_encoding_name(o));
}

void cmd_object_refcount(struct client *c) {
    struct object *o = object_arg(c);
    if (o) say_integer(c, o->encoding == ENC_TEXT ? o->text->refs : 1);
}

void cmd_object_idletime(struct client *c) {
    struct object *o = object_arg(c);
    if (!o) return;
    if (keys_use_is_lfu())
        say_error(c,
                  "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                  "that "
                     "when switching between policies at runtime LRU and LFU data will take some "
                     "time to adjust.");
    else
        say_integer(c, (s64)(keys_idle_ms(o) / 1000));
}

void cmd_object_freq(struct client *c) {
    struct object *o = object_arg(c);
    if (!o) return;
    if (!keys_use_is_lfu())
        say_error(c,
                  "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                  "Please "
                     "note that when switching between policies at runtime LRU and LFU data will "
                     "take some time to adjust.");
    else
        say_integer(c, keys_frequency(o));
}

void cmd_object_help(struct client *c) {
    static const char *const lines[] = {
        "ENCODING <key>", "    How the value is kept.",
        "FREQ <key>", "    How often it is used (LFU policies).",
        "IDLETIME <key>", "    Seconds since it was used (other policies).",
        "REFCOUNT <key>", "    References to the value.", NULL};
    say_help(c, lines);
}
