/* SPDX-License-Identifier: Apache-2.0 */
/* blocking.c — lists that are moved between, and that are waited for. Each command tries at once;
 * only what finds nothing waits, and is run again from the start when a key has something. */
#include "app/cache/command/pop.h"
#include "app/cache/data/list.h"
#include "app/cache/features.h"

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

static void pop_waiting(struct client *c, bool left) {
    u32 count = c->argc - 2, which;
    s64 until;
    bool bad;
    if (!arg_timeout(c, c->argc - 1, &until, false)) return;
    struct object *o = first_of_type(c, c->argv + 1, count, OBJECT_LIST, &which, &bad);
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

void cmd_lmpop(struct client *c) {
    mpop_now(c, "left", "right", OBJECT_LIST, say_popped);
}
void cmd_blmpop(struct client *c) {
    mpop_waiting(c, "left", "right", OBJECT_LIST, say_popped);
}
