/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c — fields and values. Ends of fields are in field_expiry.c; a hash is always looked up with
 * hash_look, which first lets go of fields whose time has come. */
#include "app/cache/command/hash.h"
#include "app/cache/command/scan.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include <math.h>

static struct object *ended_gone(struct client *c, str key, struct object *o) {
    if (!o || hash_first_end(o) > cache_now_ms()) return o;
    hash_let_end(c->db, entry_of(o), UINT32_MAX);
    struct entry *e = keys_peek(c->db, key);
    return e ? &e->object : NULL;
}

struct object *hash_look(struct client *c, str key, bool write, bool *bad) {
    struct object *o = write ? look_write(c, key, OBJECT_HASH, bad)
                             : look_read(c, key, OBJECT_HASH, bad);
    return ended_gone(c, key, o);
}

struct object *hash_make(struct client *c, str key, bool *bad) {
    struct object *o = hash_look(c, key, true, bad);
    if (o || *bad) return o;
    o = &keys_add(c->db, key, hash_new())->object;
    notify(NOTIFY_NEW, "new", key, c->db);
    return o;
}

void hash_changed(struct client *c, str key, struct object *o, const char *event) {
    hashes_ending_set(entry_of(o));
    notify(NOTIFY_HASH, event, key, c->db);
    if (!hash_count(o)) key_emptied(c, key);
    key_changed(c, c->db, key);
}

/* ---- Setting --------------------------------------------------------------------------------- */

static void hset_run(struct client *c, bool say_count) {
    bool bad;
    s64 added = 0;
    if (c->argc % 2) {
        say_arity(c);
        return;
    }
    struct object *o = hash_make(c, c->argv[1], &bad);
    if (bad) return;
    for (u32 i = 2; i < c->argc; i += 2) added += hash_set(o, c->argv[i], c->argv[i + 1], false);
    if (say_count) say_integer(c, added);
    else say_ok(c);
    hash_changed(c, c->argv[1], o, "hset");
}

void cmd_hset(struct client *c) { hset_run(c, true); }
void cmd_hmset(struct client *c) { hset_run(c, false); }

void cmd_hsetnx(struct client *c) {
    bool bad;
    str old;
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    if (o && hash_get(o, c->argv[2], &old)) {
        say_integer(c, 0);
        return;
    }
    o = hash_make(c, c->argv[1], &bad);
    (void)hash_set(o, c->argv[2], c->argv[3], false);
    say_integer(c, 1);
    hash_changed(c, c->argv[1], o, "hset");
}

void cmd_hdel(struct client *c) {
    bool bad;
    s64 n = 0;
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    for (u32 i = 2; o && i < c->argc && hash_count(o); i++) n += hash_delete(o, c->argv[i]);
    if (n) hash_changed(c, c->argv[1], o, "hdel");
    say_integer(c, n);
}

void cmd_hincrby(struct client *c) {
    bool bad;
    s64 by, n = 0;
    char digits[NUMBER_ROOM];
    str old;
    if (!arg_integer(c, 3, &by)) return;
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    if (o && hash_get(o, c->argv[2], &old) && !integer_parse(old, &n)) {
        say_error(c, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(n, by, &n)) {
        say_error(c, "ERR increment or decrement would overflow");
        return;
    }
    o = hash_make(c, c->argv[1], &bad);
    (void)hash_set(o, c->argv[2], integer_text(n, digits), true);
    say_integer(c, n);
    hash_changed(c, c->argv[1], o, "hincrby");
}

void cmd_hincrbyfloat(struct client *c) {
    bool bad;
    long double by, n = 0;
    static char digits[NUMBER_ROOM * 40];
    str old;
    if (!long_double_parse(c->argv[3], &by)) {
        say_error(c, NOT_FLOAT);
        return;
    }
    if (isinf(by)) {
        say_error(c, "ERR value is NaN or Infinity");
        return;
    }
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    if (o && hash_get(o, c->argv[2], &old) && !long_double_parse(old, &n)) {
        say_error(c, "ERR hash value is not a float");
        return;
    }
    n += by;
    if (isnan(n) || isinf(n)) {
        say_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    o = hash_make(c, c->argv[1], &bad);
    str s = long_double_text(n, digits);
    (void)hash_set(o, c->argv[2], s, true);
    say_bulk(c, s);
    hash_changed(c, c->argv[1], o, "hincrbyfloat");
}

/* ---- Getting --------------------------------------------------------------------------------- */

static void say_field(struct client *c, const struct object *o, str field) {
    str value;
    if (o && hash_get(o, field, &value)) say_bulk(c, value);
    else say_null(c);
}

void cmd_hget(struct client *c) {
    bool bad;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (!bad) say_field(c, o, c->argv[2]);
}

void cmd_hmget(struct client *c) {
    bool bad;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (bad) return;
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) say_field(c, o, c->argv[i]);
}

void cmd_hlen(struct client *c) {
    bool bad;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (!bad) say_integer(c, o ? (s64)hash_count(o) : 0);
}

void cmd_hstrlen(struct client *c) {
    bool bad;
    str value = S("");
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (bad) return;
    if (o) (void)hash_get(o, c->argv[2], &value);
    say_integer(c, (s64)value.len);
}

void cmd_hexists(struct client *c) {
    bool bad;
    str value;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (!bad) say_integer(c, o && hash_get(o, c->argv[2], &value));
}

static void say_all(struct client *c, bool fields, bool values) {
    bool bad;
    struct hash_walk w;
    str field, value;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (bad) return;
    u64 n = o ? hash_count(o) : 0;
    if (fields && values) say_map(c, n);
    else say_array(c, n);
    if (!o) return;
    hash_walk_begin(&w, o);
    while (hash_walk_next(&w, &field, &value)) {
        if (fields) say_bulk(c, field);
        if (values) say_bulk(c, value);
    }
}

void cmd_hgetall(struct client *c) { say_all(c, true, true); }
void cmd_hkeys(struct client *c) { say_all(c, true, false); }
void cmd_hvals(struct client *c) { say_all(c, false, true); }

/* ---- Random ---------------------------------------------------------------------------------- */

static void say_pair(struct client *c, str field, str value, bool values) {
    if (values && c->resp >= 3) say_array(c, 2);
    say_bulk(c, field);
    if (values) say_bulk(c, value);
}

/* Each field at most once: a walk that takes the next one with the chance that is left. */
static void say_distinct(struct client *c, const struct object *o, u64 wanted, bool values) {
    struct hash_walk w;
    str field, value;
    u64 left = hash_count(o);
    wanted = MIN(wanted, left);
    say_array(c, values && c->resp < 3 ? 2 * wanted : wanted);
    hash_walk_begin(&w, o);
    for (; wanted && hash_walk_next(&w, &field, &value); left--) {
        if (cache_random_below(left) >= wanted) continue;
        say_pair(c, field, value, values);
        wanted--;
    }
    hash_walk_end(&w);
}

void cmd_hrandfield(struct client *c) {
    bool bad, values = false;
    s64 n = 0;
    str field, value;
    if (c->argc > 4 || (c->argc == 4 && !arg_is(c, 3, "withvalues"))) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    values = c->argc == 4;
    if (c->argc > 2 && !arg_random_count(c, 2, values ? INT64_MAX / 2 : INT64_MAX, &n)) return;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (bad) return;
    if (c->argc == 2) {
        if (!o) {
            say_null(c);
            return;
        }
        hash_random(o, &field, &value);
        say_bulk(c, field);
        return;
    }
    if (!o || !n) {
        say_array(c, 0);
        return;
    }
    if (n > 0) {
        say_distinct(c, o, (u64)n, values);
        return;
    }
    say_array(c, values && c->resp < 3 ? 2 * (u64)-n : (u64)-n);
    for (; n && !c->dead; n++) {
        hash_random(o, &field, &value);
        say_pair(c, field, value, values);
    }
}

/* ---- HSCAN ----------------------------------------------------------------------------------- */

struct hscan {
    struct client *c;
    const struct object *o;
    const struct scan *s;
    u64 seen, said;
};

static void see(void *arg, struct node *n) {
    struct hscan *h = arg;
    str field, value;
    hash_of_node(h->o, n, &field, &value);
    h->seen++;
    if (!scan_wants(h->s, field)) return;
    say_bulk(h->c, field);
    say_bulk(h->c, value);
    h->said += 2;
}

void cmd_hscan(struct client *c) {
    struct scan s;
    bool bad;
    struct hash_walk w;
    str field, value;
    if (!scan_options(c, 2, false, &s)) return;
    struct object *o = hash_look(c, c->argv[1], false, &bad);
    if (bad) return;
    struct hscan h = {.c = c, .o = o, .s = &s};
    if (o && o->encoding == ENC_TABLE) {
        u64 cursor = s.cursor;
        struct block *later = say_scan_later(c);
        s64 rounds = s.count > INT64_MAX / 10 ? INT64_MAX : s.count * 10;
        do cursor = dict_scan(&o->htable->dict, cursor, see, &h);
        while (cursor && rounds-- > 0 && (s64)h.seen < s.count);
        say_scan_fill(c, later, cursor, h.said);
        return;
    }
    struct block *later = say_scan(c, 0);
    if (o)
        for (hash_walk_begin(&w, o); hash_walk_next(&w, &field, &value);) {
            if (!scan_wants(&s, field)) continue;
            say_bulk(c, field);
            say_bulk(c, value);
            h.said += 2;
        }
    say_later_array(c, later, h.said);
}
