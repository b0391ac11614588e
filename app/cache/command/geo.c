/* SPDX-License-Identifier: Apache-2.0 */
/* geo.c — places in sorted sets: GEOADD, GEOPOS, GEODIST, GEOHASH, and searching in circles and
 * boxes, in its old form (GEORADIUS) and its new one (GEOSEARCH).
 *
 * A search covers the area with ranges of scores, looks at the members in them, and keeps those
 * inside. With COUNT alone the nearest are wanted, so all are found and sorted; with ANY the first
 * that are found will do. */
#include "app/cache/command/zset.h"
#include "app/cache/data/geohash.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include <stdio.h>

#define RANGES_MAX 64u

static bool arg_point(struct client *c, u32 i, struct geo_point *p) {
    if (!arg_double(c, i, &p->longitude, NOT_FLOAT) || !arg_double(c, i + 1, &p->latitude,
                                                                   NOT_FLOAT))
        return false;
    if (p->longitude >= -180 && p->longitude <= 180 && p->latitude >= -GEO_LATITUDE_MAX &&
        p->latitude <= GEO_LATITUDE_MAX)
        return true;
    say_errorf(c, "ERR invalid longitude,latitude pair %f,%f", p->longitude, p->latitude);
    return false;
}

static bool arg_unit(struct client *c, u32 i, double *metres) {
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t k = 0; k < ARRAY_LEN(units); k++)
        if (arg_is(c, i, units[k].name)) {
            *metres = units[k].metres;
            return true;
        }
    say_error(c, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

static void say_distance(struct client *c, double d) {
    char text[64];
    int n = snprintf(text, sizeof text, "%.4f", d);
    say_bulk(c, str_of(text, (size_t)n));
}

static void say_point(struct client *c, struct geo_point p) {
    static char digits[NUMBER_ROOM * 40];
    say_array(c, 2);
    if (c->resp >= 3) {
        say_double(c, p.longitude);
        say_double(c, p.latitude);
        return;
    }
    say_bulk(c, long_double_text((long double)p.longitude, digits));
    say_bulk(c, long_double_text((long double)p.latitude, digits));
}

/* ---- Members --------------------------------------------------------------------------------- */

enum { IF_NONE = 1, IF_SOME = 2, COUNT_CHANGED = 4 };

void cmd_geoadd(struct client *c) {
    u32 first = 2, flags = 0;
    for (;; first++) {
        if (arg_is(c, first, "nx")) flags |= IF_NONE;
        else if (arg_is(c, first, "xx")) flags |= IF_SOME;
        else if (arg_is(c, first, "ch")) flags |= COUNT_CHANGED;
        else break;
    }
    if (first >= c->argc || (c->argc - first) % 3 || (flags & IF_NONE && flags & IF_SOME)) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    struct geo_point p;
    bool bad;
    s64 added = 0, changed = 0;
    for (u32 i = first; i < c->argc; i += 3)
        if (!arg_point(c, i, &p)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (!o && flags & IF_SOME) {
        say_integer(c, 0);
        return;
    }
    if (!o) {
        o = &keys_add(c->db, c->argv[1], zset_new((c->argc - first) / 3,
                                                  c->argv[first + 2].len))->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    for (u32 i = first; i < c->argc; i += 3) {
        double old, score;
        (void)arg_point(c, i, &p);
        score = (double)geo_encode(p);
        bool there = zset_score(o, c->argv[i + 2], &old);
        if (there ? flags & IF_NONE : flags & IF_SOME) continue;
        changed += there && old != score;
        added += zset_put(o, c->argv[i + 2], score);
    }
    say_integer(c, flags & COUNT_CHANGED ? added + changed : added);
    if (added || changed) zset_changed(c, c->argv[1], o, "zadd");
    else if (!zset_count(o)) key_emptied(c, c->argv[1]);
}

static bool member_point(const struct object *o, str member, struct geo_point *p) {
    double score;
    if (!o || !zset_score(o, member, &score)) return false;
    *p = geo_decode((u64)score);
    return true;
}

void cmd_geopos(struct client *c) {
    bool bad;
    struct geo_point p;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++)
        if (member_point(o, c->argv[i], &p)) say_point(c, p);
        else say_null_array(c);
}

void cmd_geohash(struct client *c) {
    bool bad;
    struct geo_point p;
    char text[12];
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) {
        if (!member_point(o, c->argv[i], &p)) {
            say_null(c);
            continue;
        }
        geo_text(p, text);
        say_cstr(c, text);
    }
}

void cmd_geodist(struct client *c) {
    bool bad;
    double unit = 1;
    struct geo_point a, b;
    if (c->argc == 5 && !arg_unit(c, 4, &unit)) return;
    if (c->argc > 5) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (member_point(o, c->argv[2], &a) && member_point(o, c->argv[3], &b))
        say_distance(c, geo_distance(a, b) / unit);
    else
        say_null(c);
}

/* ---- Searching: arguments -------------------------------------------------------------------- */

struct search {
    u32 key; /* argument */
    struct geo_shape shape;
    double unit;
    bool with_point, with_distance, with_hash, store_distance, any, has_centre, has_shape, counted;
    int sort; /* 1 nearest first, -1 furthest first */
    s64 most;
    str store; /* ptr NULL: said */
    bool absent; /* the member that is the centre, or its set, is not there */
};

static bool centre_member(struct client *c, const struct object *o, u32 i, struct search *s) {
    s->has_centre = true;
    if (!o) {
        s->absent = true;
        return true;
    }
    if (member_point(o, c->argv[i], &s->shape.centre)) return true;
    say_error(c, "ERR could not decode requested zset member");
    return false;
}

static bool arg_radius(struct client *c, u32 i, struct search *s) {
    if (!arg_double(c, i, &s->shape.radius, "ERR need numeric radius")) return false;
    if (s->shape.radius < 0) {
        say_error(c, "ERR radius cannot be negative");
        return false;
    }
    if (!arg_unit(c, i + 1, &s->unit)) return false;
    s->shape.radius *= s->unit;
    s->has_shape = true;
    return true;
}

static bool arg_box(struct client *c, u32 i, struct search *s) {
    if (!arg_double(c, i, &s->shape.width, "ERR need numeric width") ||
        !arg_double(c, i + 1, &s->shape.height, "ERR need numeric height"))
        return false;
    if (s->shape.width < 0 || s->shape.height < 0) {
        say_error(c, "ERR height or width cannot be negative");
        return false;
    }
    if (!arg_unit(c, i + 2, &s->unit)) return false;
    s->shape.width *= s->unit;
    s->shape.height *= s->unit;
    s->shape.box = s->has_shape = true;
    return true;
}

/* One option both forms know; *i moves over it. False: not one, or told (*told). */
static bool common_option(struct client *c, u32 *i, struct search *s, bool *told) {
    *told = false;
    if (arg_is(c, *i, "withdist")) s->with_distance = true;
    else if (arg_is(c, *i, "withhash")) s->with_hash = true;
    else if (arg_is(c, *i, "withcoord")) s->with_point = true;
    else if (arg_is(c, *i, "any")) s->any = true;
    else if (arg_is(c, *i, "asc")) s->sort = 1;
    else if (arg_is(c, *i, "desc")) s->sort = -1;
    else if (arg_is(c, *i, "count") && *i + 1 < c->argc) {
        *told = !arg_integer(c, ++*i, &s->most);
        if (!*told && s->most <= 0) {
            say_error(c, "ERR COUNT must be > 0");
            *told = true;
        }
        s->counted = true;
        return !*told;
    } else {
        return false;
    }
    return true;
}

static bool check(struct client *c, struct search *s, bool new_form) {
    bool with = s->with_distance || s->with_hash || s->with_point;
    char name[64];
    str full = command_full_name(c->command, name);
    if (s->store.ptr && with)
        say_errorf(c, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                   new_form ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
    else if (new_form && !s->has_centre)
        say_errorf(c, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                   STR(full));
    else if (new_form && !s->has_shape)
        say_errorf(c, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", STR(full));
    else if (s->any && !s->counted)
        say_error(c, "ERR the ANY argument requires COUNT argument");
    else
        return true;
    return false;
}

/* ---- Searching ------------------------------------------------------------------------------- */

struct found {
    str member; /* of the set, which does not change meanwhile */
    double score, metres;
    struct geo_point at;
};
struct results {
    struct found *all;
    size_t count, room;
};

static void keep(struct results *r, const struct found *f) {
    if (r->count == r->room) {
        r->room = r->room ? 2 * r->room : 32;
        r->all = cache_resize(r->all, r->room * sizeof *r->all);
    }
    r->all[r->count++] = *f;
}

/* Members of one range of scores. False: enough. */
static bool look_through(const struct object *o, const struct search *s, const struct geo_range *g,
                         struct results *r) {
    struct zset_range range = {.min = (double)g->first, .max = (double)g->last};
    struct zset_at at;
    u64 first, last;
    if (!zset_range_ranks(o, &range, &first, &last) || !zset_at_rank(o, first, &at)) return true;
    for (u64 i = first; i <= last; i++) {
        struct found f = {.member = zset_member(o, at), .score = zset_at_score(o, at)};
        f.at = geo_decode((u64)f.score);
        if (geo_inside(&s->shape, f.at, &f.metres)) keep(r, &f);
        if (s->any && (s64)r->count >= s->most) return false;
        if (i < last) (void)zset_next(o, &at);
    }
    return true;
}

static void merge_sort(struct found *f, struct found *spare, size_t n, int way) {
    if (n < 2) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    merge_sort(f, spare, half, way);
    merge_sort(f + half, spare, n - half, way);
    while (i < half && j < n)
        spare[k++] = way * f[i].metres <= way * f[j].metres ? f[i++] : f[j++];
    while (i < half) spare[k++] = f[i++];
    while (j < n) spare[k++] = f[j++];
    memcpy(f, spare, n * sizeof *f);
}

static void say_results(struct client *c, const struct search *s, const struct results *r,
                        size_t n) {
    u32 extras = s->with_distance + s->with_hash + s->with_point;
    say_array(c, n);
    for (size_t i = 0; i < n; i++) {
        const struct found *f = &r->all[i];
        if (extras) say_array(c, 1 + extras);
        say_bulk(c, f->member);
        if (s->with_distance) say_distance(c, f->metres / s->unit);
        if (s->with_hash) say_integer(c, (s64)f->score);
        if (s->with_point) say_point(c, f->at);
    }
}

/* What lies in the centre's own cell is found first. */
static void centre_first(struct geo_range *ranges, u32 n, u64 centre) {
    for (u32 i = 1; i < n; i++)
        if (centre >= ranges[i].first && centre <= ranges[i].last) {
            struct geo_range own = ranges[i];
            memmove(ranges + 1, ranges, i * sizeof *ranges);
            ranges[0] = own;
            return;
        }
}

static void search_run(struct client *c, struct object *o, struct search *s) {
    struct geo_range ranges[RANGES_MAX];
    struct results r = {0};
    if (s->counted && !s->sort && !s->any) s->sort = 1;
    if (o && !s->absent) {
        u32 n = geo_cover(&s->shape, ranges, RANGES_MAX);
        centre_first(ranges, n, geo_encode(s->shape.centre));
        for (u32 i = 0; i < n && look_through(o, s, &ranges[i], &r); i++) {}
    }
    if (s->sort && r.count) {
        struct found *spare = cache_alloc(r.count * sizeof *spare);
        merge_sort(r.all, spare, r.count, s->sort);
        cache_free(spare);
    }
    size_t n = s->counted ? (size_t)MIN((u64)s->most, (u64)r.count) : r.count;
    if (s->store.ptr) {
        struct object to = zset_new(n, 0);
        for (size_t i = 0; i < n; i++)
            (void)zset_put(&to, r.all[i].member,
                           s->store_distance ? r.all[i].metres / s->unit : r.all[i].score);
        zset_store(c, s->store, to, strcmp(c->command->name, "geosearchstore") == 0
                   ? "geosearchstore"
                                                                                : "georadiusstore");
    } else {
        say_results(c, s, &r, n);
    }
    cache_free(r.all);
}

static void georadius(struct client *c, bool by_member, bool may_store) {
    struct search s = {.key = 1, .unit = 1};
    bool bad, told;
    u32 i = by_member ? 3 : 4;
    struct object *o = look_read(c, c->argv[1], OBJECT_ZSET, &bad);
    if (bad) return;
    if (by_member ? !centre_member(c, o, 2, &s) : !arg_point(c, 2, &s.shape.centre)) return;
    if (!arg_radius(c, i, &s)) return;
    for (i += 2; i < c->argc; i++) {
        if (common_option(c, &i, &s, &told)) continue;
        if (told) return;
        bool distance = arg_is(c, i, "storedist");
        if (!may_store || !(distance || arg_is(c, i, "store")) || i + 1 >= c->argc) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
        s.store = c->argv[++i];
        s.store_distance = distance;
    }
    if (check(c, &s, false)) search_run(c, o, &s);
}

void cmd_georadius(struct client *c) { georadius(c, false, true); }
void cmd_georadius_ro(struct client *c) { georadius(c, false, false); }
void cmd_georadiusbymember(struct client *c) { georadius(c, true, true); }
void cmd_georadiusbymember_ro(struct client *c) { georadius(c, true, false); }

static void geosearch(struct client *c, bool store) {
    struct search s = {.key = store ? 2 : 1, .unit = 1};
    bool bad, told;
    if (store) s.store = c->argv[1];
    struct object *o = look_read(c, c->argv[s.key], OBJECT_ZSET, &bad);
    if (bad) return;
    for (u32 i = s.key + 1; i < c->argc; i++) {
        u32 left = c->argc - i - 1;
        if (arg_is(c, i, "frommember") && left >= 1 && !s.has_centre) {
            if (!centre_member(c, o, ++i, &s)) return;
        } else if (arg_is(c, i, "fromlonlat") && left >= 2 && !s.has_centre) {
            if (!arg_point(c, i + 1, &s.shape.centre)) return;
            s.has_centre = true;
            i += 2;
        } else if (arg_is(c, i, "byradius") && left >= 2 && !s.has_shape) {
            if (!arg_radius(c, i + 1, &s)) return;
            i += 2;
        } else if (arg_is(c, i, "bybox") && left >= 3 && !s.has_shape) {
            if (!arg_box(c, i + 1, &s)) return;
            i += 3;
        } else if (store && arg_is(c, i, "storedist")) {
            s.store_distance = true;
        } else if (!common_option(c, &i, &s, &told)) {
            if (!told) say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    if (check(c, &s, true)) search_run(c, o, &s);
}

void cmd_geosearch(struct client *c) { geosearch(c, false); }
void cmd_geosearchstore(struct client *c) { geosearch(c, true); }
