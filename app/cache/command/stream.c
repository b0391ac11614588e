/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c — streams: add, read ranges, trim, delete. Reading that waits and groups are
 * stream_read.c and stream_group.c. */
#include "app/cache/command/stream.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include <stdio.h>

#define BAD_ID "ERR Invalid stream ID specified as stream command argument"

/* ---- Ids ------------------------------------------------------------------------------------- */

bool id_parse(str s, u64 missing, struct id *out) {
    size_t dash = str_find_byte(s, '-');
    out->seq = missing;
    if (str_to_u64(str_take(s, dash), &out->ms)) return false;
    return dash == s.len || !str_to_u64(str_skip(s, dash + 1), &out->seq);
}

bool arg_id_strict(struct client *c, u32 i, u64 missing, struct id *out) {
    if (id_parse(c->argv[i], missing, out)) return true;
    say_error(c, BAD_ID);
    return false;
}

bool arg_id(struct client *c, u32 i, u64 missing, struct id *out) {
    *out = str_eq(c->argv[i], S("-")) ? ID_LEAST : ID_MOST;
    if (str_eq(c->argv[i], S("-")) || str_eq(c->argv[i], S("+"))) return true;
    return arg_id_strict(c, i, missing, out);
}

bool arg_id_bound(struct client *c, u32 i, bool lower, struct id *out) {
    str s = c->argv[i];
    bool open = s.len > 1 && s.ptr[0] == '(';
    if (!open) return arg_id(c, i, lower ? 0 : UINT64_MAX, out);
    if (!id_parse(str_skip(s, 1), lower ? 0 : UINT64_MAX, out)) {
        say_error(c, BAD_ID);
        return false;
    }
    if (lower ? id_next(out) : id_prev(out)) return true;
    say_error(c, lower ? "ERR invalid start ID for the interval"
              : "ERR invalid end ID for the interval");
    return false;
}

str id_text(struct id id, char to[48]) {
    int n = snprintf(to, 48, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
    return str_of(to, (size_t)n);
}

void say_id(struct client *c, struct id id) {
    char text[48];
    say_bulk(c, id_text(id, text));
}

void say_later_bulk(struct client *c, struct block *at, struct id id) {
    char text[48];
    str s = id_text(id, text);
    if (!at || c->dead) return;
    at->len = (u32)snprintf(at->bytes, at->room, "$%zu\r\n%.*s\r\n", s.len, STR(s));
    c->out.bytes += at->len;
}

void say_entry(struct client *c, const struct feed_at *at) {
    u8 *p = feed_words(at);
    say_array(c, 2);
    say_id(c, at->id);
    say_array(c, 2 * at->fields);
    for (u32 i = 0; i < 2 * at->fields; i++, p = pack_next(p)) say_bulk(c, pack_get(p));
}

void say_nogroup(struct client *c, str key, str group) {
    say_errorf(c, "NOGROUP No such key '%.*s' or consumer group '%.*s'", STR(str_take(key, 128)),
               STR(str_take(group, 128)));
}

/* ---- Trimming -------------------------------------------------------------------------------- */

static bool trim_read(struct client *c, u32 *at, struct trim *t) {
    u32 i = *at;
    t->by_id = arg_is(c, i, "minid");
    if (t->wanted) {
        say_error(c,
                  "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return false;
    }
    t->wanted = true;
    i++;
    t->rough = i + 1 < c->argc && str_eq(c->argv[i], S("~"));
    if (t->rough || (i + 1 < c->argc && str_eq(c->argv[i], S("=")))) i++;
    if (i >= c->argc) {
        say_error(c, SYNTAX_ERROR);
        return false;
    }
    if (t->by_id) {
        if (!arg_id_strict(c, i, 0, &t->min_id)) return false;
    } else if (!arg_integer(c, i, &t->max_length)) {
        return false;
    } else if (t->max_length < 0) {
        say_error(c, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    *at = i;
    return true;
}

static bool limit_read(struct client *c, u32 *i, struct trim *t) {
    if (!arg_integer(c, ++*i, &t->most)) return false;
    if (t->most < 0) {
        say_error(c, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    t->limited = true;
    return true;
}

static bool trim_check(struct client *c, struct trim *t) {
    if (t->limited && (!t->wanted || !t->rough)) {
        say_error(c, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    if (t->rough && !t->limited) t->most = 100 * MAX(settings.stream_node_entries, (s64)1);
    if (!t->rough) t->most = 0;
    return true;
}

static u64 trim_run(struct feed *f, const struct trim *t) {
    return feed_trim(f, t->by_id, (u64)t->max_length, t->min_id, t->rough, (u64)t->most);
}

void cmd_xtrim(struct client *c) {
    struct trim t = {0};
    bool bad;
    for (u32 i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "maxlen") || arg_is(c, i, "minid")) {
            if (!trim_read(c, &i, &t)) return;
        } else if (arg_is(c, i, "limit") && i + 1 < c->argc) {
            if (!limit_read(c, &i, &t)) return;
        } else {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    if (!t.wanted) {
        say_error(c, "ERR syntax error, XTRIM must be called with MAXLEN or MINID");
        return;
    }
    if (!trim_check(c, &t)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    u64 n = o ? trim_run(o->feed, &t) : 0;
    if (n) {
        notify(NOTIFY_STREAM, "xtrim", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, (s64)n);
}

/* ---- XADD ------------------------------------------------------------------------------------ */

struct xadd {
    struct trim trim;
    bool no_make, own_id, own_ms;
    struct id id;
    u32 first; /* argument: the first field */
};

static bool xadd_id(struct client *c, u32 i, struct xadd *x) {
    str s = c->argv[i];
    x->own_id = !str_eq(s, S("*"));
    if (!x->own_id) return true;
    if (s.len > 2 && str_ends(s, S("-*"))) { /* its milliseconds, our sequence */
        x->own_ms = true;
        if (!str_to_u64(str_take(s, s.len - 2), &x->id.ms)) return true;
        say_error(c, BAD_ID);
        return false;
    }
    if (!arg_id_strict(c, i, 0, &x->id)) return false;
    if (!id_is_zero(x->id)) return true;
    say_error(c, "ERR The ID specified in XADD must be greater than 0-0");
    return false;
}

static bool xadd_read(struct client *c, struct xadd *x) {
    u32 i = 2;
    for (; i < c->argc; i++) {
        if (arg_is(c, i, "nomkstream")) {
            x->no_make = true;
        } else if (arg_is(c, i, "maxlen") || arg_is(c, i, "minid")) {
            if (!trim_read(c, &i, &x->trim)) return false;
        } else if (arg_is(c, i, "limit") && i + 1 < c->argc) {
            if (!limit_read(c, &i, &x->trim)) return false;
        } else {
            break;
        }
    }
    if (!trim_check(c, &x->trim)) return false;
    if (i >= c->argc || (c->argc - i - 1) < 2 || (c->argc - i - 1) % 2) {
        if (i < c->argc && !xadd_id(c, i, x)) return false;
        say_arity(c);
        return false;
    }
    x->first = i + 1;
    return xadd_id(c, i, x);
}

/* False: told. */
static bool xadd_choose_id(struct client *c, struct xadd *x, struct id last) {
    u64 now = (u64)(cache_now_ms() + cache_wall_offset_ms());
    if (!x->own_id) {
        x->id = (struct id){now, 0};
        if (now > last.ms) return true;
        x->id = last;
        if (id_next(&x->id)) return true;
        say_error(c, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (x->own_ms) {
        x->id.seq = 0;
        if (x->id.ms == last.ms && last.seq < UINT64_MAX) x->id.seq = last.seq + 1;
        else if (x->id.ms == last.ms) x->id.ms = 0;
    }
    if (id_compare(last, ID_MOST) == 0) {
        say_error(c, "ERR The stream has exhausted the last possible ID, unable to add more items");
        return false;
    }
    if (id_compare(x->id, last) > 0) return true;
    say_error(c,
              "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
}

void cmd_xadd(struct client *c) {
    struct xadd x = {0};
    bool bad;
    if (!xadd_read(c, &x)) return;
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    if (!o && x.no_make) {
        say_null(c);
        return;
    }
    if (!xadd_choose_id(c, &x, o ? o->feed->last : ID_LEAST)) return;
    if (!o) {
        o = &keys_add(c->db, c->argv[1], feed_new())->object;
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    feed_append(o->feed, x.id, c->argv + x.first, c->argc - x.first);
    say_id(c, x.id);
    notify(NOTIFY_STREAM, "xadd", c->argv[1], c->db);
    if (x.trim.wanted && trim_run(o->feed, &x.trim)) notify(NOTIFY_STREAM, "xtrim", c->argv[1],
                                                            c->db);
    key_changed(c, c->db, c->argv[1]);
}

/* ---- Looking, deleting ----------------------------------------------------------------------- */

void cmd_xlen(struct client *c) {
    bool bad;
    struct object *o = look_read(c, c->argv[1], OBJECT_STREAM, &bad);
    if (!bad) say_integer(c, o ? (s64)o->feed->length : 0);
}

static void range_run(struct client *c, bool backwards) {
    struct id low, high;
    s64 most = -1, n = 0;
    bool bad;
    struct feed_at at;
    if (!arg_id_bound(c, backwards ? 3 : 2, true, &low) ||
        !arg_id_bound(c, backwards ? 2 : 3, false, &high))
        return;
    if (c->argc > 4) {
        if (c->argc != 6 || !arg_is(c, 4, "count")) {
            say_error(c, SYNTAX_ERROR);
            return;
        }
        if (!arg_integer(c, 5, &most)) return;
        if (most < 0) most = 0;
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    if (!o || !most) {
        if (!o) say_array(c, 0);
        else say_null_array(c);
        return;
    }
    struct block *later = say_later(c);
    bool more = feed_seek(o->feed, backwards ? high : low, backwards, &at);
    for (; more && n != most; more = feed_step(&at, backwards)) {
        if (backwards ? id_compare(at.id, low) < 0 : id_compare(at.id, high) > 0) break;
        say_entry(c, &at);
        n++;
    }
    say_later_array(c, later, (u64)n);
}

void cmd_xrange(struct client *c) { range_run(c, false); }
void cmd_xrevrange(struct client *c) { range_run(c, true); }

void cmd_xdel(struct client *c) {
    bool bad;
    s64 n = 0;
    struct id id;
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    for (u32 i = 2; i < c->argc; i++)
        if (!arg_id_strict(c, i, 0, &id)) return;
    for (u32 i = 2; o && i < c->argc; i++) {
        (void)id_parse(c->argv[i], 0, &id);
        n += feed_delete(o->feed, id);
    }
    if (n) {
        notify(NOTIFY_STREAM, "xdel", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, n);
}

void cmd_xsetid(struct client *c) {
    struct id id, deleted = ID_LEAST;
    s64 added = -1;
    bool bad, has_deleted = false;
    if (!arg_id_strict(c, 2, 0, &id)) return;
    for (u32 i = 3; i < c->argc; i += 2) {
        if (i + 1 < c->argc && arg_is(c, i, "entriesadded")) {
            if (!arg_integer(c, i + 1, &added)) return;
            if (added < 0) {
                say_error(c, "ERR entries_added must be positive");
                return;
            }
        } else if (i + 1 < c->argc && arg_is(c, i, "maxdeletedid")) {
            if (!arg_id_strict(c, i + 1, 0, &deleted)) return;
            has_deleted = true;
            if (id_compare(id, deleted) < 0) {
                say_error(c,
                          "ERR The ID specified in XSETID is smaller than the provided "
                          "max_deleted_entry_id");
                return;
            }
        } else {
            say_error(c, SYNTAX_ERROR);
            return;
        }
    }
    struct object *o = look_write(c, c->argv[1], OBJECT_STREAM, &bad);
    if (bad) return;
    if (!o) {
        say_error(c, NO_KEY);
        return;
    }
    struct feed *f = o->feed;
    struct feed_at at;
    if (feed_seek(f, ID_MOST, true, &at) && id_compare(id, at.id) < 0) {
        say_error(c, "ERR The ID specified in XSETID is smaller than the target stream top item");
        return;
    }
    if (id_compare(id, f->max_deleted) < 0) {
        say_error(c, "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
        return;
    }
    if (added >= 0 && (u64)added < f->length) {
        say_error(c,
                  "ERR The entries_added specified in XSETID is smaller than the target stream "
                  "length");
        return;
    }
    f->last = id;
    if (added >= 0) f->added = (u64)added;
    if (has_deleted && !id_is_zero(deleted)) f->max_deleted = deleted;
    say_ok(c);
    notify(NOTIFY_STREAM, "xsetid", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
}
