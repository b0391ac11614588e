/* SPDX-License-Identifier: Apache-2.0 */
/* zset_algebra.c — union, intersection and difference of sorted sets (and plain sets, whose members
 * count 1), with weights and a way to bring scores together. */
#include "app/cache/command/pop.h"
#include "app/cache/command/zset.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/data/set.h"
#include "app/cache/features.h"
#include <math.h>

enum algebra { UNION, INTER, DIFF };
enum aggregate { SUM, MINIMUM, MAXIMUM };
struct source {
    struct object *o; /* NULL: absent */
    double weight;
};
struct job {
    struct source *sources;
    u32 count;
    enum aggregate aggregate;
    bool scores;
    s64 limit;
};

/* ---- Sources of either type ------------------------------------------------------------------ */

static u64 source_count(const struct source *s) {
    if (!s->o) return 0;
    return s->o->type == OBJECT_SET ? set_count(s->o) : zset_count(s->o);
}

static bool source_score(const struct source *s, str member, double *out) {
    if (!s->o) return false;
    *out = 1;
    return s->o->type == OBJECT_SET ? set_has(s->o, member) : zset_score(s->o, member, out);
}

struct walk {
    const struct source *s;
    struct set_walk set;
    struct zset_walk zset;
};

static void walk_begin(struct walk *w, const struct source *s) {
    w->s = s;
    if (!s->o) return;
    if (s->o->type == OBJECT_SET) set_walk_begin(&w->set, s->o);
    else zset_walk_begin(&w->zset, s->o);
}

static bool walk_next(struct walk *w, str *member, double *score) {
    *score = 1;
    if (!w->s->o) return false;
    if (w->s->o->type == OBJECT_SET) return set_walk_next(&w->set, member);
    return zset_walk_next(&w->zset, member, score);
}

static void walk_end(struct walk *w) {
    if (w->s->o && w->s->o->type == OBJECT_SET) set_walk_end(&w->set);
}

static double weighed(const struct source *s, double score) {
    double d = s->weight * score;
    return isnan(d) ? 0 : d;
}

static double together(enum aggregate how, double a, double b) {
    if (how == MINIMUM) return MIN(a, b);
    if (how == MAXIMUM) return MAX(a, b);
    double d = a + b;
    return isnan(d) ? 0 : d; /* inf - inf */
}

/* ---- The three ------------------------------------------------------------------------------- */

static void sort_by_size(struct job *j) {
    for (u32 i = 1; i < j->count; i++)
        for (u32 k = i; k && source_count(&j->sources[k - 1]) > source_count(&j->sources[k]); k--) {
            struct source t = j->sources[k];
            j->sources[k] = j->sources[k - 1];
            j->sources[k - 1] = t;
        }
}

static void unite(struct job *j, struct object *to) {
    struct walk w;
    str member;
    double score, old;
    for (u32 i = 0; i < j->count; i++) {
        walk_begin(&w, &j->sources[i]);
        while (walk_next(&w, &member, &score)) {
            double value = weighed(&j->sources[i], score);
            if (i && zset_score(to, member, &old)) value = together(j->aggregate, old, value);
            (void)zset_put(to, member, value);
        }
    }
}

/* `to` NULL: only count, up to the limit. */
static s64 intersect(struct job *j, struct object *to) {
    struct walk w;
    str member;
    double score, other;
    s64 n = 0;
    sort_by_size(j);
    if (!source_count(&j->sources[0])) return 0;
    walk_begin(&w, &j->sources[0]);
    while (walk_next(&w, &member, &score)) {
        bool all = true;
        double value = weighed(&j->sources[0], score);
        for (u32 i = 1; i < j->count && all; i++) {
            all = source_score(&j->sources[i], member, &other);
            if (all) value = together(j->aggregate, value, weighed(&j->sources[i], other));
        }
        if (!all) continue;
        n++;
        if (to) (void)zset_put(to, member, value);
        else if (n == j->limit) {
            walk_end(&w);
            break;
        }
    }
    return n;
}

static void subtract(struct job *j, struct object *to) {
    struct walk w;
    str member;
    double score, other;
    walk_begin(&w, &j->sources[0]);
    while (walk_next(&w, &member, &score)) {
        bool found = false;
        for (u32 i = 1; i < j->count && !found; i++)
            found = source_score(&j->sources[i], member, &other);
        if (!found) (void)zset_put(to, member, score);
    }
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static bool weights_read(struct client *c, struct job *j, u32 *i) {
    if (c->argc - *i - 1 < j->count) {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    for (u32 k = 0; k < j->count; k++)
        if (!arg_double(c, ++*i, &j->sources[k].weight,
                        "ERR weight value is not a float")) return false;
    return true;
}

static bool aggregate_read(struct client *c, struct job *j, u32 i) {
    if (arg_is(c, i, "sum")) j->aggregate = SUM;
    else if (arg_is(c, i, "min")) j->aggregate = MINIMUM;
    else if (arg_is(c, i, "max")) j->aggregate = MAXIMUM;
    else {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    return true;
}

static bool options_read(struct client *c, struct job *j, u32 i, enum algebra what, bool store,
                         bool cardinality) {
    for (; i < c->argc; i++) {
        if (!cardinality && what != DIFF && arg_is(c, i, "weights")) {
            if (!weights_read(c, j, &i)) return false;
        } else if (!cardinality && what != DIFF && arg_is(c, i, "aggregate") && i + 1 < c->argc) {
            if (!aggregate_read(c, j, ++i)) return false;
        } else if (!cardinality && !store && arg_is(c, i, "withscores")) {
            j->scores = true;
        } else if (cardinality && arg_is(c, i, "limit") && i + 1 < c->argc) {
            if (!arg_range(c, ++i, 0, INT64_MAX, &j->limit,
                           "ERR LIMIT can't be negative")) return false;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

static bool job_read(struct client *c, struct job *j, u32 at, enum algebra what, bool store,
                     bool cardinality) {
    char name[64];
    const str *keys;
    s64 n;
    if (!arg_integer(c, at, &n)) return false;
    if (n < 1) {
        str full = command_full_name(c->command, name);
        struct diag text;
        diag_set(&text, "ERR at least 1 input key is needed for '%.*s' command", STR(full));
        say_error(c, text.text);
        return false;
    }
    if (!arg_keys_or(c, at, &keys, &j->count,
                     cardinality ? "ERR Number of keys can't be greater than number of args"
                         : SYNTAX_ERROR)) return false;
    j->sources = cache_zero(j->count * sizeof *j->sources);
    for (u32 i = 0; i < j->count; i++) {
        struct object *o = look_any(c, keys[i]);
        if (o && o->type != OBJECT_ZSET && o->type != OBJECT_SET) {
            say_error(c, WRONG_TYPE);
            return false;
        }
        j->sources[i] = (struct source){o, 1};
    }
    return options_read(c, j, at + 1 + j->count, what, store, cardinality);
}

static bool job_fits(struct client *c, const struct job *j) {
    u64 bytes = 0;
    for (u32 i = 0; i < j->count; i++)
        if (j->sources[i].o) bytes += object_bytes(j->sources[i].o,
                                                   5) + 64 * source_count(&j->sources[i]);
    if (cache_room(bytes)) return true;
    say_error(c, "OOM command not allowed: its result needs more memory than there is.");
    return false;
}

static void say_all(struct client *c, const struct object *o, bool scores) {
    struct zset_walk w;
    str member;
    double score;
    u64 n = zset_count(o);
    say_array(c, scores && c->resp < 3 ? 2 * n : n);
    zset_walk_begin(&w, o);
    while (zset_walk_next(&w, &member, &score)) {
        if (scores && c->resp >= 3) say_array(c, 2);
        say_bulk(c, member);
        if (scores) say_double(c, score);
    }
}

static void run(struct client *c, enum algebra what, bool store, const char *event) {
    struct job j = {0};
    if (job_read(c, &j, store ? 2 : 1, what, store, false) && job_fits(c, &j)) {
        struct object result = zset_new(0, 0);
        if (what == UNION) unite(&j, &result);
        else if (what == INTER) (void)intersect(&j, &result);
        else subtract(&j, &result);
        if (store) {
            zset_store(c, c->argv[1], result, event);
        } else {
            say_all(c, &result, j.scores);
            object_free(&result);
        }
    }
    cache_free(j.sources);
}

void cmd_zunion(struct client *c) { run(c, UNION, false, NULL); }
void cmd_zinter(struct client *c) { run(c, INTER, false, NULL); }
void cmd_zdiff(struct client *c) { run(c, DIFF, false, NULL); }
void cmd_zunionstore(struct client *c) { run(c, UNION, true, "zunionstore"); }
void cmd_zinterstore(struct client *c) { run(c, INTER, true, "zinterstore"); }
void cmd_zdiffstore(struct client *c) { run(c, DIFF, true, "zdiffstore"); }

void cmd_zintercard(struct client *c) {
    struct job j = {0};
    if (job_read(c, &j, 1, INTER, false, true)) say_integer(c, intersect(&j, NULL));
    cache_free(j.sources);
}
