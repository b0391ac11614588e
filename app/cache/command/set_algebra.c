/* SPDX-License-Identifier: Apache-2.0 */
/* set_algebra.c — intersection, union and difference of sets, said or stored.
 *
 * An intersection walks the smallest set and asks the others. A difference either walks the first
 * and asks the others, or collects the first and takes the others away, whichever is less work. */
#include "app/cache/command/pop.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/set.h"
#include "app/cache/features.h"

/* The sets of keys; absent ones are NULL. The caller frees; NULL: told. */
static struct object **sets_of(struct client *c, const str *keys, u32 count) {
    struct object **sets = cache_alloc(count * sizeof *sets);
    for (u32 i = 0; i < count; i++) {
        bool bad;
        sets[i] = look_read(c, keys[i], OBJECT_SET, &bad);
        if (bad) {
            cache_free(sets);
            return NULL;
        }
    }
    return sets;
}

static u64 cost_of(struct object **sets, u32 count) {
    u64 sum = 0;
    for (u32 i = 0; i < count; i++)
        if (sets[i]) sum += object_bytes(sets[i], 5);
    return sum;
}

static int by_size(const void *a, const void *b) {
    u64 x = set_count(*(struct object *const *)a), y = set_count(*(struct object *const *)b);
    return x < y ? -1 : x > y;
}

/* `each` is called with every common member; it may end the walk by returning false. */
static void intersect(struct object **sets, u32 count, bool (*each)(void *arg, str s), void *arg) {
    struct set_walk w;
    str s;
    for (u32 i = 0; i < count; i++)
        if (!sets[i]) return;
    for (u32 i = 1; i < count; i++) /* insertion: few, and often in order */
        for (u32 j = i; j && by_size(&sets[j - 1], &sets[j]) > 0; j--) {
            struct object *t = sets[j];
            sets[j] = sets[j - 1];
            sets[j - 1] = t;
        }
    set_walk_begin(&w, sets[0]);
    while (set_walk_next(&w, &s)) {
        bool all = true;
        for (u32 i = 1; i < count && all; i++) all = sets[i] == sets[0] || set_has(sets[i], s);
        if (all && !each(arg, s)) {
            set_walk_end(&w);
            return;
        }
    }
}

static void collect(struct object *to, bool *any, str s) {
    if (!*any) *to = set_new(s);
    *any = true;
    (void)set_add(to, s);
}

struct gathering {
    struct object *to;
    bool any;
};
static bool gather(void *arg, str s) {
    struct gathering *g = arg;
    collect(g->to, &g->any, s);
    return true;
}

static bool unite(struct object **sets, u32 count, struct object *to) {
    bool any = false;
    struct set_walk w;
    str s;
    for (u32 i = 0; i < count; i++) {
        if (!sets[i]) continue;
        set_walk_begin(&w, sets[i]);
        while (set_walk_next(&w, &s)) collect(to, &any, s);
    }
    return any;
}

static bool subtract(struct object **sets, u32 count, struct object *to) {
    bool any = false, same = false;
    struct set_walk w;
    str s;
    u64 asking = 0, taking = 0;
    if (!sets[0]) return false;
    for (u32 i = 0; i < count; i++) {
        same |= i && sets[i] == sets[0];
        asking += sets[i] ? set_count(sets[0]) : 0;
        taking += sets[i] ? set_count(sets[i]) : 0;
    }
    if (same) return false;
    set_walk_begin(&w, sets[0]);
    while (set_walk_next(&w, &s)) {
        bool found = false;
        if (asking / 2 <= taking)
            for (u32 i = 1; i < count && !found; i++) found = sets[i] && set_has(sets[i], s);
        if (!found) collect(to, &any, s);
    }
    if (asking / 2 <= taking || !any) return any;
    for (u32 i = 1; i < count; i++) {
        if (!sets[i]) continue;
        set_walk_begin(&w, sets[i]);
        while (set_walk_next(&w, &s)) (void)set_remove(to, s);
    }
    if (set_count(to)) return true;
    object_free(to);
    return false;
}

enum algebra { INTER, UNION, DIFF };

/* False: the result is empty. */
static bool combine(enum algebra what, struct object **sets, u32 count, struct object *to) {
    struct gathering g = {.to = to};
    if (what == UNION) return unite(sets, count, to);
    if (what == DIFF) return subtract(sets, count, to);
    intersect(sets, count, gather, &g);
    return g.any;
}

static void say_result(struct client *c, enum algebra what) {
    struct object result;
    struct set_walk w;
    str s;
    struct object **sets = sets_of(c, c->argv + 1, c->argc - 1);
    if (!sets) return;
    if (what != INTER && !cache_room(cost_of(sets, c->argc - 1))) {
        say_error(c, "OOM command not allowed: its result needs more memory than there is.");
    } else if (!combine(what, sets, c->argc - 1, &result)) {
        say_set(c, 0);
    } else {
        say_set(c, set_count(&result));
        set_walk_begin(&w, &result);
        while (set_walk_next(&w, &s)) say_bulk(c, s);
        object_free(&result);
    }
    cache_free(sets);
}

static void store_result(struct client *c, enum algebra what, const char *event) {
    str to = c->argv[1];
    struct object result;
    struct object **sets = sets_of(c, c->argv + 2, c->argc - 2);
    if (!sets) return;
    if (!cache_room(cost_of(sets, c->argc - 2))) {
        say_error(c, "OOM command not allowed: its result needs more memory than there is.");
    } else if (combine(what, sets, c->argc - 2, &result)) {
        say_integer(c, (s64)set_count(&result));
        (void)keys_put(c->db, to, result, false);
        notify(NOTIFY_SET, event, to, c->db);
        key_changed(c, c->db, to);
    } else {
        if (keys_delete(c->db, to)) {
            notify(NOTIFY_GENERIC, "del", to, c->db);
            key_changed(c, c->db, to);
        }
        say_integer(c, 0);
    }
    cache_free(sets);
}

void cmd_sinter(struct client *c) { say_result(c, INTER); }
void cmd_sunion(struct client *c) { say_result(c, UNION); }
void cmd_sdiff(struct client *c) { say_result(c, DIFF); }
void cmd_sinterstore(struct client *c) { store_result(c, INTER, "sinterstore"); }
void cmd_sunionstore(struct client *c) { store_result(c, UNION, "sunionstore"); }
void cmd_sdiffstore(struct client *c) { store_result(c, DIFF, "sdiffstore"); }

struct counting {
    s64 n, most;
};
static bool count(void *arg, str s) {
    struct counting *k = arg;
    (void)s;
    return ++k->n != k->most;
}

void cmd_sintercard(struct client *c) {
    const str *keys;
    u32 n;
    struct counting k = {0};
    if (!arg_keys_or(c, 1, &keys, &n,
                     "ERR Number of keys can't be greater than number of args")) return;
    for (u32 i = 2 + n; i < c->argc; i += 2) {
        if (!arg_is(c, i, "limit") || i + 1 >= c->argc) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
        if (!arg_range(c, i + 1, 0, INT64_MAX, &k.most, "ERR LIMIT can't be negative")) return;
    }
    struct object **sets = sets_of(c, keys, n);
    if (!sets) return;
    intersect(sets, n, count, &k);
    say_integer(c, k.n);
    cache_free(sets);
}
