/* SPDX-License-Identifier: Apache-2.0 */
/* list.c — lists that do not wait: push, pop, look, change. Those that wait are blocking.c. */
#include "app/cache/command/pop.h"
#include "app/cache/data/list.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

void list_changed(struct client *c, str key, struct object *o, const char *event) {
    notify(NOTIFY_LIST, event, key, c->db);
    if (!o->list->count) key_emptied(c, key);
    key_changed(c, c->db, key);
}

static void push_run(struct client *c, bool left, bool only_existing) {
    bool bad;
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o && only_existing) {
        say_integer(c, 0);
        return;
    }
    if (!o) {
        o = &keys_add(c->db, c->argv[1], list_new())->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    for (u32 i = 2; i < c->argc; i++) list_push(o->list, c->argv[i], left);
    say_integer(c, (s64)o->list->count);
    list_changed(c, c->argv[1], o, left ? "lpush" : "rpush");
}

void cmd_lpush(struct client *c) { push_run(c, true, false); }
void cmd_rpush(struct client *c) { push_run(c, false, false); }
void cmd_lpushx(struct client *c) { push_run(c, true, true); }
void cmd_rpushx(struct client *c) { push_run(c, false, true); }

void cmd_llen(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_LIST, &bad);
    if (!bad) say_integer(c, o ? (s64)o->list->count : 0);
}

void cmd_lindex(struct client *c) {
    bool bad;
    s64 i;
    struct object *o = look_read(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o) {
        say_null(c);
        return;
    }
    if (!arg_integer(c, 2, &i)) return;
    struct list_at at = list_index(o->list, i);
    if (at.node) say_bulk(c, list_get(at));
    else say_null(c);
}

void cmd_lset(struct client *c) {
    bool bad;
    s64 i;
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o) {
        say_error(c, NO_KEY);
        return;
    }
    if (!arg_integer(c, 2, &i)) return;
    struct list_at at = list_index(o->list, i);
    if (!at.node) {
        say_error(c, "ERR index out of range");
        return;
    }
    list_set(o->list, at, c->argv[3]);
    say_ok(c);
    list_changed(c, c->argv[1], o, "lset");
}

void cmd_linsert(struct client *c) {
    bool bad, before = arg_is(c, 2, "before");
    if (!before && !arg_is(c, 2, "after")) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o) {
        say_integer(c, 0);
        return;
    }
    struct list_at at = list_index(o->list, 0);
    do {
        if (!str_eq(list_get(at), c->argv[3])) continue;
        list_insert(o->list, at, c->argv[4], before);
        say_integer(c, (s64)o->list->count);
        list_changed(c, c->argv[1], o, "linsert");
        return;
    } while (list_step(o->list, &at, false));
    say_integer(c, -1);
}

/* ---- Popping --------------------------------------------------------------------------------- */

/* Up to n elements of an end, as an array; the list is there. */
void say_popped(struct client *c, str key, struct object *o, u64 n, bool left) {
    n = MIN(n, o->list->count);
    say_array(c, n);
    for (u64 i = 0; i < n; i++) {
        struct text *t = list_pop(o->list, left);
        say_bulk(c, str_of(t->bytes, t->len));
        text_drop(t);
    }
    list_changed(c, key, o, left ? "lpop" : "rpop");
}

static void pop_run(struct client *c, bool left) {
    bool bad, counted = c->argc == 3;
    s64 n = 1;
    if (c->argc > 3) {
        say_arity(c);
        return;
    }
    if (counted && !arg_range(c, 2, 0, INT64_MAX, &n,
                              "ERR value is out of range, must be positive"))
        return;
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o) {
        if (counted) say_null_array(c);
        else say_null(c);
        return;
    }
    if (counted && !n) {
        say_array(c, 0);
        return;
    }
    if (counted) {
        say_popped(c, c->argv[1], o, (u64)n, left);
        return;
    }
    struct text *t = list_pop(o->list, left);
    say_bulk(c, str_of(t->bytes, t->len));
    text_drop(t);
    list_changed(c, c->argv[1], o, left ? "lpop" : "rpop");
}

void cmd_lpop(struct client *c) { pop_run(c, true); }
void cmd_rpop(struct client *c) { pop_run(c, false); }

/* ---- Ranges ---------------------------------------------------------------------------------- */

bool range_fit(s64 count, s64 *from, s64 *to) {
    if (*from < 0) *from += count;
    if (*to < 0) *to += count;
    if (*from < 0) *from = 0;
    if (*to >= count) *to = count - 1;
    return *from <= *to && *from < count;
}

void cmd_lrange(struct client *c) {
    bool bad;
    s64 from, to;
    if (!arg_integer(c, 2, &from) || !arg_integer(c, 3, &to)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (!o || !range_fit((s64)o->list->count, &from, &to)) {
        say_array(c, 0);
        return;
    }
    struct list_at at = list_index(o->list, from);
    say_array(c, (u64)(to - from + 1));
    for (s64 i = from; i <= to; i++) {
        say_bulk(c, list_get(at));
        (void)list_step(o->list, &at, false);
    }
}

void cmd_ltrim(struct client *c) {
    bool bad;
    s64 from, to;
    if (!arg_integer(c, 2, &from) || !arg_integer(c, 3, &to)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    if (o) {
        u64 count = o->list->count;
        if (!range_fit((s64)count, &from, &to)) {
            list_delete_range(o->list, 0, count);
        } else {
            list_delete_range(o->list, (u64)to + 1, count);
            list_delete_range(o->list, 0, (u64)from);
        }
        list_changed(c, c->argv[1], o, "ltrim");
        command_stats.dirty += count - 1;
    }
    say_ok(c);
}

void cmd_lrem(struct client *c) {
    bool bad;
    s64 most, n = 0;
    if (!arg_integer(c, 2, &most)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    bool backwards = most < 0;
    struct list_at at = o ? list_index(o->list, backwards ? -1 : 0) : (struct list_at){0};
    most = most == INT64_MIN ? INT64_MAX : backwards ? -most : most;
    for (bool more = at.node != NULL; more;) {
        if (!str_eq(list_get(at), c->argv[3])) {
            more = list_step(o->list, &at, backwards);
            continue;
        }
        more = list_delete(o->list, &at, backwards);
        if (++n == most) break;
    }
    if (n) list_changed(c, c->argv[1], o, "lrem");
    say_integer(c, n);
}

struct lpos {
    s64 rank, count, most;
    bool counted;
};

static bool lpos_options(struct client *c, struct lpos *p) {
    *p = (struct lpos){.rank = 1};
    for (u32 i = 3; i < c->argc; i += 2) {
        if (i + 1 == c->argc) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
        if (arg_is(c, i, "rank")) {
            if (!arg_integer(c, i + 1, &p->rank)) return false;
            if (p->rank == 0 || p->rank == INT64_MIN) {
                say_error(c, p->rank ? NOT_INTEGER
                                     : "ERR RANK can't be zero: use 1 to start from the first "
                                       "match, 2 "
                                       "from the second ... or use negative to start from the "
                                       "end of the list");
                return false;
            }
        } else if (arg_is(c, i, "count")) {
            if (!arg_range(c, i + 1, 0, INT64_MAX, &p->count, "ERR COUNT can't be negative"))
                return false;
            p->counted = true;
        } else if (arg_is(c, i, "maxlen")) {
            if (!arg_range(c, i + 1, 0, INT64_MAX, &p->most, "ERR MAXLEN can't be negative"))
                return false;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

void cmd_lpos(struct client *c) {
    struct lpos p;
    bool bad;
    if (!lpos_options(c, &p)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_LIST, &bad);
    if (bad) return;
    bool backwards = p.rank < 0;
    s64 skip = (backwards ? -p.rank : p.rank) - 1, seen = 0, found = 0;
    struct list_at at = o ? list_index(o->list, backwards ? -1 : 0) : (struct list_at){0};
    struct block *later = p.counted ? say_later(c) : NULL;
    for (bool more = at.node != NULL; more && (!p.most || seen < p.most); seen++) {
        if (str_eq(list_get(at), c->argv[2]) && skip-- <= 0) {
            say_integer(c, backwards ? (s64)o->list->count - 1 - seen : seen);
            found++;
            if (!p.counted || found == p.count) break;
        }
        more = list_step(o->list, &at, backwards);
    }
    if (p.counted) say_later_array(c, later, (u64)found);
    else if (!found) say_null(c);
}
