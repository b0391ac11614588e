/* SPDX-License-Identifier: Apache-2.0 */
/* set.c — members: add, remove, ask, draw at random. What is made of several sets is in
 * set_algebra.c. */
#include "app/cache/command/pop.h"
#include "app/cache/command/scan.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/set.h"
#include "app/cache/features.h"

static void set_changed(struct client *c, str key, struct object *o, const char *event) {
    notify(NOTIFY_SET, event, key, c->db);
    if (!set_count(o)) key_emptied(c, key);
    key_changed(c, c->db, key);
}

void cmd_sadd(struct client *c) {
    bool bad;
    s64 n = 0;
    struct object *o = look_write(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    if (!o) {
        o = &keys_add(c->db, c->argv[1], set_new(c->argv[2]))->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    for (u32 i = 2; i < c->argc; i++) n += set_add(o, c->argv[i]);
    if (n) set_changed(c, c->argv[1], o, "sadd");
    say_integer(c, n);
}

void cmd_srem(struct client *c) {
    static const struct member_type set = {OBJECT_SET, "srem", set_count, set_remove, set_changed};
    members_remove(c, &set);
}

void cmd_smove(struct client *c) {
    bool bad;
    struct object *from = look_write(c, c->argv[1], OBJECT_SET, &bad), *to;
    if (bad) return;
    if (!from) {
        say_integer(c, 0);
        return;
    }
    to = look_write(c, c->argv[2], OBJECT_SET, &bad);
    if (bad) return;
    if (from == to) {
        say_integer(c, set_has(from, c->argv[3]));
        return;
    }
    if (!set_remove(from, c->argv[3])) {
        say_integer(c, 0);
        return;
    }
    set_changed(c, c->argv[1], from, "srem");
    if (!to) {
        to = &keys_add(c->db, c->argv[2], set_new(c->argv[3]))->object;
        notify(NOTIFY_NEW, "new", c->argv[2], c->db);
    }
    if (set_add(to, c->argv[3])) set_changed(c, c->argv[2], to, "sadd");
    say_integer(c, 1);
}

void cmd_sismember(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (!bad) say_integer(c, o && set_has(o, c->argv[2]));
}

void cmd_smismember(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) say_integer(c, o && set_has(o, c->argv[i]));
}

void cmd_scard(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (!bad) say_integer(c, o ? (s64)set_count(o) : 0);
}

static void say_members(struct client *c, const struct object *o) {
    struct set_walk w;
    str s;
    say_set(c, set_count(o));
    set_walk_begin(&w, o);
    while (set_walk_next(&w, &s)) say_bulk(c, s);
}

void cmd_smembers(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    if (o) say_members(c, o);
    else say_set(c, 0);
}

/* ---- Random ---------------------------------------------------------------------------------- */

static void pop_many(struct client *c, struct object *o, u64 n) {
    u64 count = set_count(o);
    notify(NOTIFY_SET, "spop", c->argv[1], c->db);
    if (n >= count) {
        say_members(c, o);
        (void)keys_delete(c->db, c->argv[1]);
        notify(NOTIFY_GENERIC, "del", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
        return;
    }
    say_set(c, n);
    while (n--) {
        struct text *t = text_new(set_random(o), 0);
        say_bulk(c, str_of(t->bytes, t->len));
        (void)set_remove(o, str_of(t->bytes, t->len));
        text_drop(t);
    }
    key_changed(c, c->db, c->argv[1]);
}

void cmd_spop(struct client *c) {
    bool bad;
    s64 n = 1;
    if (c->argc > 3) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (c->argc == 3 &&
        !arg_range(c, 2, 0, INT64_MAX, &n, "ERR value is out of range, must be positive"))
        return;
    struct object *o = look_write(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    if (c->argc == 3) {
        if (o && n) pop_many(c, o, (u64)n);
        else say_set(c, 0);
        return;
    }
    if (!o) {
        say_null(c);
        return;
    }
    struct text *t = text_new(set_random(o), 0);
    (void)set_remove(o, str_of(t->bytes, t->len));
    say_bulk(c, str_of(t->bytes, t->len));
    text_drop(t);
    set_changed(c, c->argv[1], o, "spop");
}

/* Each member at most once, all choices alike. */
static void say_distinct(struct client *c, const struct object *o, u64 wanted) {
    u64 left = set_count(o);
    struct set_walk w;
    str s;
    wanted = MIN(wanted, left);
    say_array(c, wanted);
    set_walk_begin(&w, o);
    for (; wanted && set_walk_next(&w, &s); left--) {
        if (cache_random_below(left) >= wanted) continue;
        say_bulk(c, s);
        wanted--;
    }
    set_walk_end(&w);
}

void cmd_srandmember(struct client *c) {
    bool bad;
    s64 n = 0;
    if (c->argc > 3) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (c->argc == 3 && !arg_random_count(c, 2, INT64_MAX, &n)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    if (c->argc == 2) {
        if (o) say_bulk(c, set_random(o));
        else say_null(c);
    } else if (!o || !n) {
        say_array(c, 0);
    } else if (n > 0) {
        say_distinct(c, o, (u64)n);
    } else {
        say_array(c, (u64)-n);
        for (; n && !c->dead; n++) say_bulk(c, set_random(o));
    }
}

/* ---- SSCAN ----------------------------------------------------------------------------------- */

struct sscan {
    struct client *c;
    const struct object *o;
    const struct scan *s;
    u64 seen, said;
};

static void see(void *arg, struct node *n) {
    struct sscan *h = arg;
    str name = dict_key(h->o->dict, n);
    h->seen++;
    if (!scan_wants(h->s, name)) return;
    say_bulk(h->c, name);
    h->said++;
}

void cmd_sscan(struct client *c) {
    struct scan s;
    bool bad;
    struct set_walk w;
    str name;
    if (!scan_options(c, 2, false, &s)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_SET, &bad);
    if (bad) return;
    struct sscan h = {.c = c, .o = o, .s = &s};
    if (o && o->encoding == ENC_TABLE) {
        u64 cursor = s.cursor;
        s64 rounds = s.count > INT64_MAX / 10 ? INT64_MAX : s.count * 10;
        struct block *later = say_scan_later(c);
        do cursor = dict_scan(o->dict, cursor, see, &h);
        while (cursor && rounds-- > 0 && (s64)h.seen < s.count);
        say_scan_fill(c, later, cursor, h.said);
        return;
    }
    struct block *later = say_scan(c, 0);
    if (o)
        for (set_walk_begin(&w, o); set_walk_next(&w, &name);) {
            if (!scan_wants(&s, name)) continue;
            say_bulk(c, name);
            h.said++;
        }
    say_later_array(c, later, h.said);
}
