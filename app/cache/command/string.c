/* SPDX-License-Identifier: Apache-2.0 */
/* string.c — strings: SET and GET in all their forms, parts of strings, several at once.
 * Numbers inside strings are in counter.c, bits in bits.c. */
#include "app/cache/command/expiry.h"
#include "app/cache/data/memory.h"
#include "app/cache/features.h"

enum { SET_NX = 1, SET_XX = 2, SET_GET = 4, SET_KEEP = 8 };

/* ---- SET ------------------------------------------------------------------------------------- */

struct set_options {
    u32 flags;
    struct expiry_option end;
};

static bool set_options_read(struct client *c, struct set_options *o) {
    for (u32 i = 3; i < c->argc; i++) {
        u32 flag = arg_is(c, i, "nx") ? SET_NX : arg_is(c, i, "xx") ? SET_XX
                   : arg_is(c, i, "get") ? SET_GET : arg_is(c, i, "keepttl") ? SET_KEEP : 0;
        if (flag) {
            bool clash = (flag == SET_NX && o->flags & SET_XX) ||
                         (flag == SET_XX && o->flags & SET_NX) || (flag == SET_KEEP && o->end.unit);
            if (clash) {
                say_error(c, SYNTAX_ERROR);
                return false;
            }
            o->flags |= flag;
            continue;
        }
        if (o->flags & SET_KEEP || o->end.unit || !expiry_option_at(c, &i, &o->end)) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

/* What SET and its relatives do once their options are known. */
static void set_run(struct client *c, str key, str value, const struct set_options *o,
                    void (*done)(struct client *), void (*not_done)(struct client *)) {
    s64 at = -1;
    bool bad = false;
    if (o->end.unit && !expiry_option_resolve(c, &o->end, &at)) return;
    struct entry *e = keys_write(c->db, key);
    if (o->flags & SET_GET) {
        struct object *old = look_read(c, key, OBJECT_STRING, &bad);
        if (bad) return;
        if (old) say_string(c, old);
        else say_null(c);
    }
    if ((o->flags & SET_NX && e) || (o->flags & SET_XX && !e)) {
        if (!(o->flags & SET_GET)) not_done(c);
        return;
    }
    bool is_new = !e;
    e = keys_put_str(c->db, key, value, o->flags & SET_KEEP);
    if (is_new) notify(NOTIFY_NEW, "new", key, c->db);
    notify(NOTIFY_STRING, "set", key, c->db);
    if (o->end.unit) {
        notify(NOTIFY_GENERIC, "expire", key, c->db);
        keys_end_set(c->db, e, at);
        if (at <= cache_now_ms()) (void)keys_delete(c->db, key);
    }
    key_changed(c, c->db, key);
    if (!(o->flags & SET_GET)) done(c);
}

static void say_one(struct client *c) { say_integer(c, 1); }
static void say_zero(struct client *c) { say_integer(c, 0); }

void cmd_set(struct client *c) {
    struct set_options o = {0};
    if (!set_options_read(c, &o)) return;
    set_run(c, c->argv[1], c->argv[2], &o, say_ok, say_null);
}

void cmd_setnx(struct client *c) {
    struct set_options o = {.flags = SET_NX};
    set_run(c, c->argv[1], c->argv[2], &o, say_one, say_zero);
}

void cmd_setex(struct client *c) {
    struct set_options o = {.end = {.unit = EXPIRY_SECONDS, .arg = 2}};
    set_run(c, c->argv[1], c->argv[3], &o, say_ok, say_null);
}

void cmd_psetex(struct client *c) {
    struct set_options o = {.end = {.unit = EXPIRY_MS, .arg = 2}};
    set_run(c, c->argv[1], c->argv[3], &o, say_ok, say_null);
}

/* ---- GET ------------------------------------------------------------------------------------- */

void cmd_get(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (o) say_string(c, o);
    else say_null(c);
}

void cmd_getdel(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (!o) {
        say_null(c);
        return;
    }
    say_string(c, o);
    (void)keys_delete(c->db, c->argv[1]);
    notify(NOTIFY_GENERIC, "del", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
}

void cmd_getset(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (o) say_string(c, o);
    else say_null(c);
    (void)keys_put_str(c->db, c->argv[1], c->argv[2], false);
    notify(NOTIFY_STRING, "set", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
}

void cmd_getex(struct client *c) {
    struct expiry_option end = {0};
    bool persist = false, bad;
    s64 at = -1;
    for (u32 i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "persist") && !end.unit && !persist) {
            persist = true;
        } else if (persist || end.unit || !expiry_option_at(c, &i, &end)) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (!o) {
        say_null(c);
        return;
    }
    if (end.unit && !expiry_option_resolve(c, &end, &at)) return;
    say_string(c, o);
    if (end.unit && at <= cache_now_ms()) {
        (void)keys_delete(c->db, c->argv[1]);
        notify(NOTIFY_GENERIC, "del", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    } else if (end.unit) {
        keys_end_set(c->db, entry_of(o), at);
        notify(NOTIFY_GENERIC, "expire", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    } else if (persist && keys_end_drop(c->db, entry_of(o))) {
        notify(NOTIFY_GENERIC, "persist", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
}

void cmd_mget(struct client *c) {
    say_array(c, c->argc - 1);
    for (u32 i = 1; i < c->argc; i++) {
        struct object *o = look_any(c, c->argv[i]);
        if (o && o->type == OBJECT_STRING) say_string(c, o);
        else say_null(c);
    }
}

static void mset_run(struct client *c, bool if_none) {
    if (c->argc % 2 == 0) {
        say_arity(c);
        return;
    }
    for (u32 i = 1; if_none && i < c->argc; i += 2)
        if (keys_write(c->db, c->argv[i])) {
            say_integer(c, 0);
            return;
        }
    for (u32 i = 1; i < c->argc; i += 2) {
        (void)keys_put_str(c->db, c->argv[i], c->argv[i + 1], false);
        notify(NOTIFY_STRING, "set", c->argv[i], c->db);
        key_changed(c, c->db, c->argv[i]);
    }
    if (if_none) say_integer(c, 1);
    else say_ok(c);
}

void cmd_mset(struct client *c) { mset_run(c, false); }
void cmd_msetnx(struct client *c) { mset_run(c, true); }

/* ---- Parts ----------------------------------------------------------------------------------- */

void cmd_strlen(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (!bad) say_integer(c, o ? (s64)object_strlen(o) : 0);
}

void cmd_append(struct client *c) {
    bool bad;
    struct object *o = look_write(c, c->argv[1], OBJECT_STRING, &bad);
    str more = c->argv[2];
    if (bad) return;
    size_t old = o ? object_strlen(o) : 0;
    if (o && too_large(c, old + more.len)) return;
    if (!o) {
        (void)keys_put_str(c->db, c->argv[1], more, false);
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    } else {
        struct text *t = object_edit(o, old + more.len);
        if (more.len) memcpy(t->bytes + old, more.ptr, more.len);
    }
    notify(NOTIFY_STRING, "append", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
    say_integer(c, (s64)(old + more.len));
}

void cmd_setrange(struct client *c) {
    bool bad;
    s64 at;
    str value = c->argv[3];
    if (!arg_integer(c, 2, &at)) return;
    if (at < 0) {
        say_error(c, "ERR offset is out of range");
        return;
    }
    struct object *o = look_write(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    size_t old = o ? object_strlen(o) : 0;
    if (!value.len) {
        say_integer(c, (s64)old);
        return;
    }
    if (too_large(c, (u64)at + value.len)) return;
    if (!o) {
        o = &keys_add(c->db, c->argv[1], object_of_text(text_new(S(""), 0)))->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    struct text *t = object_edit(o, (size_t)at + value.len);
    memcpy(t->bytes + at, value.ptr, value.len);
    notify(NOTIFY_STRING, "setrange", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
    say_integer(c, t->len);
}

void cmd_getrange(struct client *c) {
    bool bad;
    s64 from, to;
    char scratch[OBJECT_NUMBER_ROOM];
    if (!arg_integer(c, 2, &from) || !arg_integer(c, 3, &to)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    str s = o ? object_str(o, scratch) : S("");
    s64 len = (s64)s.len;
    if (from < 0 && to < 0 && from > to) len = 0;
    if (from < 0) from = MAX(from + len, 0);
    if (to < 0) to = MAX(to + len, 0);
    if (to >= len) to = len - 1;
    if (!len || from > to) say_bulk(c, S(""));
    else say_bulk(c, str_of(s.ptr + from, (size_t)(to - from + 1)));
}

void cmd_substr(struct client *c) { cmd_getrange(c); }
