/* SPDX-License-Identifier: Apache-2.0 */
/* zset_range.c — ranges of sorted sets, by rank, score or name, from either end, said, counted,
 * stored or removed. All the ZRANGE commands are one: they differ in where their arguments are. */
#include "app/cache/command/pop.h"
#include "app/cache/command/zset.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include <math.h>

/* ---- Bounds ---------------------------------------------------------------------------------- */

static bool score_bound(str s, double *out, bool *open) {
    *open = s.len && s.ptr[0] == '(';
    return double_parse(str_skip(s, *open), out);
}

bool zrange_by_score(struct client *c, u32 min_arg, u32 max_arg, struct zset_range *r) {
    *r = (struct zset_range){0};
    if (score_bound(c->argv[min_arg], &r->min, &r->min_open) &&
        score_bound(c->argv[max_arg], &r->max, &r->max_open))
        return true;
    say_error(c, "ERR min or max is not a float");
    return false;
}

static bool name_bound(str s, str *name, int *inf, bool *open) {
    *inf = str_eq(s, S("-")) ? -1 : str_eq(s, S("+")) ? 1 : 0;
    if (*inf) return true;
    *open = s.len && s.ptr[0] == '(';
    *name = str_skip(s, 1);
    return s.len && (s.ptr[0] == '(' || s.ptr[0] == '[');
}

bool zrange_by_name(struct client *c, u32 min_arg, u32 max_arg, struct zset_range *r) {
    *r = (struct zset_range){.by_name = true};
    if (name_bound(c->argv[min_arg], &r->min_name, &r->min_inf, &r->min_open) &&
        name_bound(c->argv[max_arg], &r->max_name, &r->max_inf, &r->max_open))
        return true;
    say_error(c, "ERR min or max not valid string range item");
    return false;
}

/* ---- Storing --------------------------------------------------------------------------------- */

void zset_store(struct client *c, str key, struct object o, const char *event) {
    u64 n = zset_count(&o);
    if (n) {
        (void)keys_put(c->db, key, o, false);
        notify(NOTIFY_ZSET, event, key, c->db);
        key_changed(c, c->db, key);
    } else {
        object_free(&o);
        if (keys_delete(c->db, key)) {
            notify(NOTIFY_GENERIC, "del", key, c->db);
            key_changed(c, c->db, key);
        }
    }
    say_integer(c, (s64)n);
}

/* ---- One command for all --------------------------------------------------------------------- */

enum by { BY_RANK, BY_SCORE, BY_NAME };
struct zrange {
    u32 key;         /* argument; the bounds follow */
    enum by by;
    bool reversed, scores, fixed_by, store;
    s64 offset, limit;
    bool limited;
    u64 first, last; /* ranks of what is chosen, from the lowest */
    bool any;
};

static bool options_read(struct client *c, struct zrange *z) {
    z->limit = -1;
    for (u32 i = z->key + 3; i < c->argc; i++) {
        if (!z->store && arg_is(c, i, "withscores")) {
            z->scores = true;
        } else if (arg_is(c, i, "limit") && i + 2 < c->argc) {
            if (!arg_integer(c, i + 1, &z->offset) || !arg_integer(c, i + 2,
                                                                   &z->limit)) return false;
            z->limited = true;
            i += 2;
        } else if (!z->fixed_by && arg_is(c, i, "rev")) {
            z->reversed = true;
        } else if (!z->fixed_by && z->by == BY_RANK && arg_is(c, i, "bylex")) {
            z->by = BY_NAME;
        } else if (!z->fixed_by && z->by == BY_RANK && arg_is(c, i, "byscore")) {
            z->by = BY_SCORE;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    if (z->limited && z->limit != -1 && z->by == BY_RANK) {
        say_error(c,
                  "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                     "BYLEX");
        return false;
    }
    if (z->scores && z->by == BY_NAME) {
        say_error(c, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    return true;
}

static bool bounds_read(struct client *c, struct zrange *z, struct zset_range *r, s64 *from,
                        s64 *to) {
    u32 min = z->key + 1, max = z->key + 2;
    if (z->by == BY_RANK) return arg_integer(c, min, from) && arg_integer(c, max, to);
    if (z->reversed) {
        u32 t = min;
        min = max;
        max = t;
    }
    return z->by == BY_SCORE ? zrange_by_score(c, min, max, r) : zrange_by_name(c, min, max, r);
}

static void choose(const struct object *o, struct zrange *z, const struct zset_range *r, s64 from,
                   s64 to) {
    u64 count = zset_count(o);
    if (z->by == BY_RANK) {
        z->any = range_fit((s64)count, &from, &to);
        z->first = z->reversed ? count - 1 - (u64)to : (u64)from;
        z->last = z->reversed ? count - 1 - (u64)from : (u64)to;
        return;
    }
    z->any = zset_range_ranks(o, r, &z->first, &z->last);
    if (!z->any || !z->limited) return;
    u64 n = z->last - z->first + 1;
    if (z->offset < 0 || (u64)z->offset >= n || !z->limit) {
        z->any = false;
        return;
    }
    u64 take = n - (u64)z->offset;
    if (z->limit >= 0) take = MIN(take, (u64)z->limit);
    if (z->reversed) {
        z->last -= (u64)z->offset;
        z->first = z->last - take + 1;
    } else {
        z->first += (u64)z->offset;
        z->last = z->first + take - 1;
    }
}

static void say_range(struct client *c, const struct object *o, const struct zrange *z) {
    u64 n = z->last - z->first + 1;
    struct zset_at at;
    say_array(c, z->scores && c->resp < 3 ? 2 * n : n);
    (void)zset_at_rank(o, z->reversed ? z->last : z->first, &at);
    for (u64 i = 0; i < n; i++) {
        if (z->scores && c->resp >= 3) say_array(c, 2);
        say_bulk(c, zset_member(o, at));
        if (z->scores) say_double(c, zset_at_score(o, at));
        if (i + 1 < n) (void)(z->reversed ? zset_prev(o, &at) : zset_next(o, &at));
    }
}

static void store_range(struct client *c, const struct object *o, const struct zrange *z) {
    struct object result = zset_new(z->any ? (size_t)(z->last - z->first + 1) : 0, 0);
    struct zset_at at;
    if (z->any) {
        (void)zset_at_rank(o, z->first, &at);
        for (u64 i = z->first; i <= z->last; i++) {
            (void)zset_put(&result, zset_member(o, at), zset_at_score(o, at));
            if (i < z->last) (void)zset_next(o, &at);
        }
    }
    zset_store(c, c->argv[1], result, "zrangestore");
}

static void zrange_run(struct client *c, struct zrange z) {
    struct zset_range r;
    s64 from, to;
    bool bad;
    if (!options_read(c, &z) || !bounds_read(c, &z, &r, &from, &to)) return;
    struct object *o = look_read(c, c->argv[z.key], OBJECT_ZSET, &bad);
    if (bad) return;
    if (o) choose(o, &z, &r, from, to);
    if (z.store && o && !cache_room(object_bytes(o, 5))) {
        say_error(c, "OOM command not allowed: its result needs more memory than there is.");
    } else if (z.store) {
        store_range(c, o, &z);
    } else if (z.any) {
        say_range(c, o, &z);
    } else {
        say_array(c, 0);
    }
}

void cmd_zrange(struct client *c) { zrange_run(c, (struct zrange){.key = 1}); }
void cmd_zrangestore(struct client *c) {
    zrange_run(c, (struct zrange){.key = 2, .store = true});
}
void cmd_zrevrange(struct client *c) {
    zrange_run(c, (struct zrange){.key = 1, .reversed = true, .fixed_by = true});
}
void cmd_zrangebyscore(struct client *c) {
    zrange_run(c, (struct zrange){.key = 1, .by = BY_SCORE, .fixed_by = true});
}
void cmd_zrevrangebyscore(struct client *c) {
    zrange_run(c, (struct zrange){.key = 1, .by = BY_SCORE, .reversed = true, .fixed_by = true});
}
void cmd_zrangebylex(struct client *c) {
    zrange_run(c, (struct zrange){.key = 1, .by = BY_NAME, .fixed_by = true});
}
void cmd_zrevrangebylex(struct client *c) {
    zrange_run(c, (struct zrange){.key = 1, .by = BY_NAME, .reversed = true, .fixed_by = true});
}

/* ---- Counting, removing ---------------------------------------------------------------------- */

static void count_run(struct client *c, const struct zset_range *r) {
    bool bad;
    u64 first, last;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    say_integer(c, o && zset_range_ranks(o, r, &first, &last) ? (s64)(last - first + 1) : 0);
}

void cmd_zcount(struct client *c) {
    struct zset_range r;
    if (zrange_by_score(c, 2, 3, &r)) count_run(c, &r);
}

void cmd_zlexcount(struct client *c) {
    struct zset_range r;
    if (zrange_by_name(c, 2, 3, &r)) count_run(c, &r);
}

static void remove_run(struct client *c, const struct zset_range *r, s64 from, s64 to,
                       const char *event) {
    bool bad, any = false;
    u64 first = 0, last = 0;
    struct object *o = look_write(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (o && r) any = zset_range_ranks(o, r, &first, &last);
    if (o && !r && (any = range_fit((s64)zset_count(o), &from, &to))) {
        first = (u64)from;
        last = (u64)to;
    }
    u64 n = any ? zset_remove_ranks(o, first, last - first + 1) : 0;
    if (n) zset_changed(c, c->argv[1], o, event);
    say_integer(c, (s64)n);
}

void cmd_zremrangebyrank(struct client *c) {
    s64 from, to;
    if (arg_integer(c, 2, &from) && arg_integer(c, 3, &to))
        remove_run(c, NULL, from, to, "zremrangebyrank");
}

void cmd_zremrangebyscore(struct client *c) {
    struct zset_range r;
    if (zrange_by_score(c, 2, 3, &r)) remove_run(c, &r, 0, 0, "zremrangebyscore");
}

void cmd_zremrangebylex(struct client *c) {
    struct zset_range r;
    if (zrange_by_name(c, 2, 3, &r)) remove_run(c, &r, 0, 0, "zremrangebylex");
}
