/* SPDX-License-Identifier: Apache-2.0 */
/* pop.c — what the commands of lists, sets and sorted sets share: reading "numkeys key..." and the
 * end to take from, finding the first key that has something, taking from it, removing members. */
#include "app/cache/command/pop.h"
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

/* ---- The first with something ---------------------------------------------------------------- */

struct object *first_of_type(struct client *c, const str *keys, u32 count, enum object_type type,
                             u32 *which, bool *bad) {
    *bad = false;
    for (u32 i = 0; i < count; i++) {
        struct entry *e = keys_write(c->db, keys[i]);
        if (!e) continue;
        if (e->object.type != type) {
            if (wait_running_again(c)) continue; /* its owner may yet make it one */
            say_error(c, WRONG_TYPE);
            *bad = true;
            return NULL;
        }
        *which = i;
        return &e->object;
    }
    return NULL;
}

/* ---- LMPOP, ZMPOP ---------------------------------------------------------------------------- */

struct mpop {
    const str *keys;
    u32 count;
    bool first; /* of the two ends */
    s64 most;
};

/* numkeys in argument `at`, keys, one of the two words, COUNT n. */
static bool mpop_args(struct client *c, u32 at, const char *first, const char *other,
                      struct mpop *m) {
    bool counted = false;
    m->most = 1;
    if (!arg_keys(c, at, &m->keys, &m->count)) return false;
    u32 i = at + 1 + m->count;
    m->first = arg_is(c, i, first);
    if (!m->first && !arg_is(c, i, other)) {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    for (i++; i < c->argc; i += 2) {
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
static bool mpop_run(struct client *c, const struct mpop *m, enum object_type type,
                     say_taken_fn *say_taken, bool *bad) {
    u32 which;
    struct object *o = first_of_type(c, m->keys, m->count, type, &which, bad);
    if (!o) return false;
    say_array(c, 2);
    say_bulk(c, m->keys[which]);
    say_taken(c, m->keys[which], o, (u64)m->most, m->first);
    return true;
}

void mpop_now(struct client *c, const char *first, const char *other, enum object_type type,
              say_taken_fn *say_taken) {
    struct mpop m;
    bool bad;
    if (!mpop_args(c, 1, first, other, &m)) return;
    if (!mpop_run(c, &m, type, say_taken, &bad) && !bad) say_null_array(c);
}

void mpop_waiting(struct client *c, const char *first, const char *other, enum object_type type,
                  say_taken_fn *say_taken) {
    struct mpop m;
    bool bad;
    s64 until;
    if (!arg_timeout(c, 1, &until, false) || !mpop_args(c, 2, first, other, &m)) return;
    if (!mpop_run(c, &m, type, say_taken, &bad) && !bad)
        wait_for_keys(c, m.keys, m.count, until, type, NULL);
}

/* ---- SREM, ZREM ------------------------------------------------------------------------------ */

void members_remove(struct client *c, const struct member_type *t) {
    bool bad;
    s64 n = 0;
    struct object *o = look_write(c, c->argv[1], t->type, &bad);
    if (bad) return;
    for (u32 i = 2; o && i < c->argc && t->count(o); i++) n += t->remove(o, c->argv[i]);
    if (n) t->changed(c, c->argv[1], o, t->event);
    say_integer(c, n);
}
