/* SPDX-License-Identifier: Apache-2.0 */
/* blocking.c — lists that are moved between, and that are waited for. Each command tries at once;
 * only what finds nothing waits, and is run again from the start when a key has something. */
#include "app/cache/command/pop.h"
#include "app/cache/data/list.h"
#include "app/cache/features.h"

bool arg_side(struct client *c, u32 i, bool *left) {
    *left = arg_is(c, i, "left");
    if (*left || arg_is(c, i, "right")) return true;
    say_error(c, SYNTAX_ERROR);
    return false;
}

bool arg_keys_or(struct client *c, u32 i, const str **keys, u32 *count, const char *too_many) {
    s64 n;
    if (!arg_range(c, i, 1, INT64_MAX, &n, "ERR numkeys should be greater than 0")) return false;
    if (n > (s64)c->argc - (s64)i - 1) {
        say_error(c, too_many);
        return false;
    }
    *keys = c->argv + i + 1;
    *count = (u32)n;
    return true;
}

bool arg_keys(struct client *c, u32 i, const str **keys, u32 *count) {
    return arg_keys_or(c, i, keys, count, SYNTAX_ERROR);
}

/* ---- LMOVE ----------------------------------------------------------------------------------- */

/* False: there is nothing to move (and nothing was said), or *bad. */
static bool move(struct client *c, bool from_left, bool to_left, bool *bad) {
    str from = c->argv[1], to = c->argv[2];
    struct object *source = look_write(c, from, OBJECT_LIST, bad), *target;
    if (*bad || !source) return false;
    target = look_write(c, to, OBJECT_LIST, bad);
    if (*bad) return false;
    struct text *t = list_pop(source->list, from_left);
    bool last = !source->list->count;
    if (!target) {
        target = &keys_add(c->db, to, list_new())->object;
        notify(NOTIFY_NEW, "new", to, c->db);
        source = &keys_peek(c->db, from)->object;
    }
    list_push(target->list, str_of(t->bytes, t->len), to_left);
    say_bulk(c, str_of(t->bytes, t->len));
    text_drop(t);
    notify(NOTIFY_LIST, to_left ? "lpush" : "rpush", to, c->db);
    notify(NOTIFY_LIST, from_left ? "lpop" : "rpop", from, c->db);
    if (last && !str_eq(from, to)) key_emptied(c, from);
    key_changed(c, c->db, to);
    key_changed(c, c->db, from);
    return true;
}

void cmd_lmove(struct client *c) {
    bool from_left, to_left, bad;
    if (!arg_side(c, 3, &from_left) || !arg_side(c, 4, &to_left)) return;
    if (!move(c, from_left, to_left, &bad) && !bad) say_null(c);
}

void cmd_rpoplpush(struct client *c) {
    bool bad;
    if (!move(c, false, true, &bad) && !bad) say_null(c);
}

static void move_waiting(struct client *c, bool from_left, bool to_left, u32 timeout_arg) {
    bool bad;
    s64 until;
    if (!arg_timeout(c, timeout_arg, &until, false)) return;
    if (!move(c, from_left, to_left, &bad) && !bad)
        wait_for_keys(c, c->argv + 1, 1, until, OBJECT_LIST, say_null);
}

void cmd_blmove(struct client *c) {
    bool from_left, to_left;
    if (!arg_side(c, 3, &from_left) || !arg_side(c, 4, &to_left)) return;
    move_waiting(c, from_left, to_left, 5);
}

void cmd_brpoplpush(struct client *c) { move_waiting(c, false, true, 3); }

/* ---- BLPOP, LMPOP ---------------------------------------------------------------------------- */

/* The first of the keys with something. NULL: none; *bad: told. While waiting again, keys of other
 * types are passed over: their owner may yet make them lists. */
static struct object *first_list(struct client *c, const str *keys, u32 count, u32 *which,
                                 bool *bad) {
    *bad = false;
    for (u32 i = 0; i < count; i++) {
        struct entry *e = keys_write(c->db, keys[i]);
        if (!e) continue;
        if (e->object.type != OBJECT_LIST) {
            if (wait_running_again(c)) continue;
            say_error(c, WRONG_TYPE);
            *bad = true;
            return NULL;
        }
        *which = i;
        return &e->object;
    }
    return NULL;
}

static void pop_waiting(struct client *c, bool left) {
    u32 count = c->argc - 2, which;
    s64 until;
    bool bad;
    if (!arg_timeout(c, c->argc - 1, &until, false)) return;
    struct object *o = first_list(c, c->argv + 1, count, &which, &bad);
    if (bad) return;
    if (!o) {
        wait_for_keys(c, c->argv + 1, count, until, OBJECT_LIST, NULL);
        return;
    }
    str key = c->argv[1 + which];
    struct text *t = list_pop(o->list, left);
    say_array(c, 2);
    say_bulk(c, key);
    say_bulk(c, str_of(t->bytes, t->len));
    text_drop(t);
    list_changed(c, key, o, left ? "lpop" : "rpop");
}

void cmd_blpop(struct client *c) { pop_waiting(c, true); }
void cmd_brpop(struct client *c) { pop_waiting(c, false); }

struct mpop {
    const str *keys;
    u32 count;
    bool left;
    s64 most;
};

static bool mpop_args(struct client *c, u32 at, struct mpop *m) {
    m->most = 1;
    bool counted = false;
    if (!arg_keys(c, at, &m->keys, &m->count)) return false;
    u32 i = at + 1 + m->count;
    if (i >= c->argc) {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    if (!arg_side(c, i++, &m->left)) return false;
    for (; i < c->argc; i += 2) {
        if (counted || !arg_is(c, i, "count") || i + 1 >= c->argc) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
        if (!arg_range(c, i + 1, 1, INT64_MAX, &m->most, "ERR count should be greater than 0"))
            return false;
        counted = true;
    }
    return true;
}

/* False: nothing there, nothing said. */
static bool mpop_run(struct client *c, const struct mpop *m, bool *bad) {
    u32 which;
    struct object *o = first_list(c, m->keys, m->count, &which, bad);
    if (!o) return false;
    say_array(c, 2);
    say_bulk(c, m->keys[which]);
    say_popped(c, m->keys[which], o, (u64)m->most, m->left);
    return true;
}

void cmd_lmpop(struct client *c) {
    struct mpop m;
    bool bad;
    if (!mpop_args(c, 1, &m)) return;
    if (!mpop_run(c, &m, &bad) && !bad) say_null_array(c);
}

void cmd_blmpop(struct client *c) {
    struct mpop m;
    bool bad;
    s64 until;
    if (!arg_timeout(c, 1, &until, false) || !mpop_args(c, 2, &m)) return;
    if (!mpop_run(c, &m, &bad) && !bad)
        wait_for_keys(c, m.keys, m.count, until, OBJECT_LIST, NULL);
}
