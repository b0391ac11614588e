/* SPDX-License-Identifier: Apache-2.0 */
/* zset.c — sorted sets: add, remove, ask one, pop, draw. Ranges are zset_range.c, what is made of
 * several zset_algebra.c. */
#include "app/cache/command/zset.h"
#include "app/cache/command/pop.h"
#include "app/cache/command/scan.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include <math.h>

void zset_changed(struct client *c, str key, struct object *o, const char *event) {
    notify(NOTIFY_ZSET, event, key, c->db);
    if (!zset_count(o)) key_emptied(c, key);
    key_changed(c, c->db, key);
}

/* ---- ZADD ------------------------------------------------------------------------------------ */

enum { IF_NONE = 1, IF_SOME = 2, IF_GREATER = 4, IF_LESS = 8, COUNT_CHANGED = 16, INCREMENT = 32 };

static bool zadd_flags(struct client *c, u32 *flags, u32 *first) {
    static const struct {
        const char *word;
        u32 flag;
    } words[] = {{"nx", IF_NONE}, {"xx", IF_SOME}, {"gt", IF_GREATER}, {"lt", IF_LESS},
                 {"ch", COUNT_CHANGED}, {"incr", INCREMENT}};
    u32 i = 2;
    for (bool more = true; more && i < c->argc; i += more) {
        more = false;
        for (size_t j = 0; j < ARRAY_LEN(words) && !more; j++)
            if (arg_is(c, i, words[j].word)) {
                *flags |= words[j].flag;
                more = true;
            }
    }
    *first = i;
    u32 pairs = (c->argc - i) / 2;
    if ((c->argc - i) % 2 || !pairs) say_error(c, SYNTAX_ERROR);
    else if (*flags & IF_NONE && *flags & IF_SOME)
        say_error(c, "ERR XX and NX options at the same time are not compatible");
    else if ((*flags & IF_GREATER && *flags & (IF_NONE | IF_LESS)) ||
             (*flags & IF_LESS && *flags & IF_NONE))
        say_error(c, "ERR GT, LT, and/or NX options at the same time are not compatible");
    else if (*flags & INCREMENT && pairs > 1)
        say_error(c, "ERR INCR option supports a single increment-element pair");
    else
        return true;
    return false;
}

enum outcome { ADDED, UPDATED, SAME, NOT_DONE, NOT_A_NUMBER };

static enum outcome zadd_one(struct object *o, u32 flags, str member, double *score) {
    double old;
    if (zset_score(o, member, &old)) {
        if (flags & IF_NONE) return NOT_DONE;
        if (flags & INCREMENT) {
            *score += old;
            if (isnan(*score)) return NOT_A_NUMBER;
        }
        if ((flags & IF_LESS && *score >= old) || (flags & IF_GREATER && *score <= old))
            return NOT_DONE;
        if (*score == old) return SAME;
        (void)zset_put(o, member, *score);
        return UPDATED;
    }
    if (flags & IF_SOME) return NOT_DONE;
    (void)zset_put(o, member, *score);
    return ADDED;
}

static void zadd_answer(struct client *c, u32 flags, s64 added, s64 updated, bool done,
                        double score) {
    if (!(flags & INCREMENT)) say_integer(c, flags & COUNT_CHANGED ? added + updated : added);
    else if (done) say_double(c, score);
    else say_null(c);
}

static void zadd_run(struct client *c, u32 flags, u32 first) {
    u32 pairs = (c->argc - first) / 2;
    s64 added = 0, updated = 0;
    bool bad, done = false;
    double score = 0;
    for (u32 i = 0; i < pairs; i++)
        if (!arg_double(c, first + 2 * i, &score, NOT_FLOAT)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (!o && flags & IF_SOME) {
        zadd_answer(c, flags, 0, 0, false, 0);
        return;
    }
    if (!o) {
        o = &keys_add(c->db, c->argv[1], zset_new(pairs, c->argv[first + 1].len))->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    for (u32 i = 0; i < pairs; i++) {
        (void)double_parse(c->argv[first + 2 * i], &score);
        enum outcome r = zadd_one(o, flags, c->argv[first + 2 * i + 1], &score);
        if (r == NOT_A_NUMBER) {
            say_error(c, "ERR resulting score is not a number (NaN)");
            return;
        }
        added += r == ADDED;
        updated += r == UPDATED;
        done = r != NOT_DONE;
    }
    zadd_answer(c, flags, added, updated, done, score);
    if (added || updated) zset_changed(c, c->argv[1], o, flags & INCREMENT ? "zincr" : "zadd");
}

void cmd_zadd(struct client *c) {
    u32 flags = 0, first;
    if (zadd_flags(c, &flags, &first)) zadd_run(c, flags, first);
}

void cmd_zincrby(struct client *c) { zadd_run(c, INCREMENT, 2); }

void cmd_zrem(struct client *c) {
    static const struct member_type zset = {OBJECT_ZSET, "zrem", zset_count, zset_remove,
                                            zset_changed};
    members_remove(c, &zset);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

void cmd_zcard(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (!bad) say_integer(c, o ? (s64)zset_count(o) : 0);
}

static void say_score(struct client *c, const struct object *o, str member) {
    double score;
    if (o && zset_score(o, member, &score)) say_double(c, score);
    else say_null(c);
}

void cmd_zscore(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (!bad) say_score(c, o, c->argv[2]);
}

void cmd_zmscore(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) say_score(c, o, c->argv[i]);
}

static void rank_run(struct client *c, bool reversed) {
    bool bad, with_score = c->argc == 4;
    u64 rank;
    if (c->argc > 4 || (with_score && !arg_is(c, 3, "withscore"))) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (!o || !zset_rank(o, c->argv[2], &rank)) {
        if (with_score) say_null_array(c);
        else say_null(c);
        return;
    }
    if (reversed) rank = zset_count(o) - 1 - rank;
    if (with_score) say_array(c, 2);
    say_integer(c, (s64)rank);
    if (with_score) say_score(c, o, c->argv[2]);
}

void cmd_zrank(struct client *c) { rank_run(c, false); }
void cmd_zrevrank(struct client *c) { rank_run(c, true); }

/* ---- Popping --------------------------------------------------------------------------------- */


/* Up to n from an end; the set is there and not empty. */
static void pop(struct client *c, str key, struct object *o, u64 n, bool lowest) {
    n = MIN(n, zset_count(o));
    for (u64 i = 0; i < n; i++) {
        struct zset_at at;
        (void)zset_at_rank(o, lowest ? 0 : zset_count(o) - 1, &at);
        struct text *t = text_new(zset_member(o, at), 0);
        double score = zset_at_score(o, at);
        say_bulk(c, str_of(t->bytes, t->len));
        say_double(c, score);
        (void)zset_remove(o, str_of(t->bytes, t->len));
        text_drop(t);
    }
    zset_changed(c, key, o, lowest ? "zpopmin" : "zpopmax");
}

static void say_popped_pairs(struct client *c, str key, struct object *o, u64 n, bool lowest) {
    n = MIN(n, zset_count(o));
    say_array(c, n);
    for (u64 i = 0; i < n; i++) {
        struct zset_at at;
        (void)zset_at_rank(o, lowest ? 0 : zset_count(o) - 1, &at);
        struct text *t = text_new(zset_member(o, at), 0);
        double score = zset_at_score(o, at);
        say_array(c, 2);
        say_bulk(c, str_of(t->bytes, t->len));
        say_double(c, score);
        (void)zset_remove(o, str_of(t->bytes, t->len));
        text_drop(t);
    }
    zset_changed(c, key, o, lowest ? "zpopmin" : "zpopmax");
}

static void pop_run(struct client *c, bool lowest) {
    bool bad;
    s64 n = 1;
    if (c->argc > 3) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (c->argc == 3 &&
        !arg_range(c, 2, 0, INT64_MAX, &n, "ERR value is out of range, must be positive"))
        return;
    struct object *o = look_write(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (!o || !n) {
        say_array(c, 0);
    } else if (c->argc == 3 && c->resp >= 3) {
        say_popped_pairs(c, c->argv[1], o, (u64)n, lowest);
    } else {
        say_array(c, 2 * MIN((u64)n, zset_count(o)));
        pop(c, c->argv[1], o, (u64)n, lowest);
    }
}

void cmd_zpopmin(struct client *c) { pop_run(c, true); }
void cmd_zpopmax(struct client *c) { pop_run(c, false); }

static void pop_waiting(struct client *c, bool lowest) {
    u32 which;
    bool bad;
    s64 until;
    if (!arg_timeout(c, c->argc - 1, &until, false)) return;
    struct object *o = first_of_type(c, c->argv + 1, c->argc - 2, OBJECT_ZSET, &which,
                                     &bad);
    if (bad) return;
    if (!o) {
        wait_for_keys(c, c->argv + 1, c->argc - 2, until, OBJECT_ZSET, NULL);
        return;
    }
    say_array(c, 3);
    say_bulk(c, c->argv[1 + which]);
    pop(c, c->argv[1 + which], o, 1, lowest);
}

void cmd_bzpopmin(struct client *c) { pop_waiting(c, true); }
void cmd_bzpopmax(struct client *c) { pop_waiting(c, false); }

void cmd_zmpop(struct client *c) {
    mpop_now(c, "min", "max", OBJECT_ZSET, say_popped_pairs);
}
void cmd_bzmpop(struct client *c) {
    mpop_waiting(c, "min", "max", OBJECT_ZSET, say_popped_pairs);
}

/* ---- Random ---------------------------------------------------------------------------------- */

static void say_one(struct client *c, str member, double score, bool scores) {
    if (scores && c->resp >= 3) say_array(c, 2);
    say_bulk(c, member);
    if (scores) say_double(c, score);
}

static void say_distinct(struct client *c, const struct object *o, u64 wanted, bool scores) {
    struct zset_walk w;
    str member;
    double score;
    u64 left = zset_count(o);
    wanted = MIN(wanted, left);
    say_array(c, scores && c->resp < 3 ? 2 * wanted : wanted);
    zset_walk_begin(&w, o);
    for (; wanted && zset_walk_next(&w, &member, &score); left--) {
        if (cache_random_below(left) >= wanted) continue;
        say_one(c, member, score, scores);
        wanted--;
    }
}

void cmd_zrandmember(struct client *c) {
    bool bad, scores = c->argc == 4;
    s64 n = 0;
    struct zset_at at;
    if (c->argc > 4 || (scores && !arg_is(c, 3, "withscores"))) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (c->argc > 2 && !arg_random_count(c, 2, scores ? INT64_MAX / 2 : INT64_MAX, &n)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (c->argc == 2) {
        if (o && zset_at_rank(o, cache_random_below(zset_count(o)), &at)) say_bulk(c,
                zset_member(o, at));
        else say_null(c);
        return;
    }
    if (!o || !n) {
        say_array(c, 0);
        return;
    }
    if (n > 0) {
        say_distinct(c, o, (u64)n, scores);
        return;
    }
    say_array(c, scores && c->resp < 3 ? 2 * (u64)-n : (u64)-n);
    for (; n && !c->dead; n++) {
        (void)zset_at_rank(o, cache_random_below(zset_count(o)), &at);
        say_one(c, zset_member(o, at), zset_at_score(o, at), scores);
    }
}

/* ---- ZSCAN ----------------------------------------------------------------------------------- */

struct zscan {
    struct client *c;
    const struct object *o;
    const struct scan *s;
    u64 seen, said;
};

static void say_scanned(struct zscan *h, str member, double score) {
    char digits[NUMBER_ROOM];
    h->seen++;
    if (!scan_wants(h->s, member)) return;
    say_bulk(h->c, member);
    say_bulk(h->c, double_text(score, digits));
    h->said += 2;
}

static void see(void *arg, struct node *n) {
    struct zscan *h = arg;
    str member;
    double score;
    zset_of_node(h->o, n, &member, &score);
    say_scanned(h, member, score);
}

void cmd_zscan(struct client *c) {
    struct scan s;
    bool bad;
    struct zset_walk w;
    str member;
    double score;
    if (!scan_options(c, 2, false, &s)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    struct zscan h = {.c = c, .o = o, .s = &s};
    if (o && o->encoding == ENC_TABLE) {
        u64 cursor = s.cursor;
        s64 rounds = s.count > INT64_MAX / 10 ? INT64_MAX : s.count * 10;
        struct block *later = say_scan_later(c);
        do cursor = dict_scan(&o->zset->dict, cursor, see, &h);
        while (cursor && rounds-- > 0 && (s64)h.seen < s.count);
        say_scan_fill(c, later, cursor, h.said);
        return;
    }
    struct block *later = say_scan(c, 0);
    if (o)
        for (zset_walk_begin(&w, o); zset_walk_next(&w, &member, &score);)
            say_scanned(&h, member, score);
    say_later_array(c, later, h.said);
}
