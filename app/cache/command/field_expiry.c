/* SPDX-License-Identifier: Apache-2.0 */
/* field_expiry.c — fields of hashes that end: HEXPIRE, HTTL, HPERSIST and their relatives; and
 * HGETEX, HSETEX, HGETDEL, which combine them with reading and writing.
 *
 * Answers per field, as Redis 7.4 has them: -2 no such field, 0 a condition did not hold, 1 done,
 * 2 it has ended already; for times -1: it has no end. */
#include "app/cache/command/expiry.h"
#include "app/cache/command/hash.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

void hash_let_end(struct keys *k, struct entry *e, u32 most) {
    struct text *key = text_new(entry_key(e), 0);
    str name = str_of(key->bytes, key->len);
    u32 n = hash_fields_end(&e->object, cache_now_ms(), most);
    keys_stats.expired_fields += n;
    hashes_ending_set(e);
    if (n) {
        notify(NOTIFY_HASH, "hexpired", name, k);
        if (!hash_count(&e->object)) {
            keys_delete_entry(k, e);
            notify(NOTIFY_GENERIC, "del", name, k);
        }
        key_changed(NULL, k, name);
    }
    text_drop(key);
}

void hash_fields_hook(struct keys *k, struct entry *e) { hash_let_end(k, e, 64); }

/* FIELDS n f1 ... fn from argument i to the last. */
static bool fields_arg(struct client *c, u32 i, u32 *first, u32 *count) {
    s64 n;
    if (!arg_is(c, i, "fields")) {
        say_error(c, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (i + 1 >= c->argc || !arg_range(c, i + 1, 1, INT32_MAX, &n,
                                       "ERR Number of fields must be a positive integer"))
        return false;
    if (n != (s64)c->argc - i - 2) {
        say_error(c, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    *first = i + 2;
    *count = (u32)n;
    return true;
}

/* The hash of argument 1 and the fields from argument i on; begins the answer, one item each.
 * False: the client has been told. */
static bool fields_begin(struct client *c, u32 i, bool write, struct object **o, u32 *first,
                         u32 *count) {
    bool bad;
    if (!fields_arg(c, i, first, count)) return false;
    *o = hash_look(c, c->argv[1], write, &bad);
    if (bad) return false;
    say_array(c, *count);
    return true;
}

/* ---- HEXPIRE --------------------------------------------------------------------------------- */

static s64 field_expire(struct object *o, str field, const char *condition, s64 at) {
    str value;
    if (!o || !hash_get(o, field, &value)) return -2;
    s64 now = hash_end(o, field);
    bool holds = !condition || (strcmp(condition, "nx") == 0 && now < 0) ||
                 (strcmp(condition, "xx") == 0 && now >= 0) ||
                 (strcmp(condition, "gt") == 0 && now >= 0 && at > now) ||
                 (strcmp(condition, "lt") == 0 && (now < 0 || at < now));
    if (!holds) return 0;
    if (at <= cache_now_ms()) {
        (void)hash_delete(o, field);
        return 2;
    }
    hash_end_set(o, field, at);
    return 1;
}

static void hexpire_run(struct client *c, enum expiry_unit unit) {
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    const char *condition = NULL;
    u32 at_arg = 3, first, count;
    struct object *o;
    s64 n, at;
    bool changed = false, gone = false;
    if (!arg_range(c, 2, 0, INT64_MAX, &n, "ERR invalid expire time, must be >= 0")) return;
    if (!expiry_at(n, unit, &at)) {
        say_error(c, "ERR invalid expire time in command");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (arg_is(c, 3, words[i])) condition = words[i];
    at_arg += condition != NULL;
    if (!fields_begin(c, at_arg, true, &o, &first, &count)) return;
    for (u32 i = first; i < first + count; i++) {
        s64 r = field_expire(o, c->argv[i], condition, at);
        changed |= r > 0;
        gone |= r == 2;
        say_integer(c, r);
    }
    if (changed) hash_changed(c, c->argv[1], o, gone ? "hdel" : "hexpire");
}

void cmd_hexpire(struct client *c) { hexpire_run(c, EXPIRY_SECONDS); }
void cmd_hpexpire(struct client *c) { hexpire_run(c, EXPIRY_MS); }
void cmd_hexpireat(struct client *c) { hexpire_run(c, EXPIRY_AT_SECONDS); }
void cmd_hpexpireat(struct client *c) { hexpire_run(c, EXPIRY_AT_MS); }

/* ---- HTTL ------------------------------------------------------------------------------------ */

static void httl_run(struct client *c, bool in_seconds, bool absolute) {
    u32 first, count;
    struct object *o;
    str value;
    if (!fields_begin(c, 2, false, &o, &first, &count)) return;
    for (u32 i = first; i < first + count; i++) {
        s64 at = o ? hash_end(o, c->argv[i]) : -1;
        if (!o || !hash_get(o, c->argv[i], &value)) at = -2;
        else if (at >= 0 && absolute) at += cache_wall_offset_ms();
        else if (at >= 0) at = MAX(at - cache_now_ms(), 0);
        say_integer(c, at >= 0 && in_seconds ? (at + 500) / 1000 : at);
    }
}

void cmd_httl(struct client *c) { httl_run(c, true, false); }
void cmd_hpttl(struct client *c) { httl_run(c, false, false); }
void cmd_hexpiretime(struct client *c) { httl_run(c, true, true); }
void cmd_hpexpiretime(struct client *c) { httl_run(c, false, true); }

void cmd_hpersist(struct client *c) {
    u32 first, count;
    struct object *o;
    bool changed = false;
    str value;
    if (!fields_begin(c, 2, true, &o, &first, &count)) return;
    for (u32 i = first; i < first + count; i++) {
        bool there = o && hash_get(o, c->argv[i], &value);
        bool had = there && hash_end_drop(o, c->argv[i]);
        changed |= had;
        say_integer(c, !there ? -2 : had ? 1 : -1);
    }
    if (changed) hash_changed(c, c->argv[1], o, "hpersist");
}

/* ---- Together with reading and writing ------------------------------------------------------- */

void cmd_hgetdel(struct client *c) {
    u32 first, count;
    struct object *o;
    bool changed = false;
    str value;
    if (!fields_begin(c, 2, true, &o, &first, &count)) return;
    for (u32 i = first; i < first + count; i++) {
        if (!o || !hash_get(o, c->argv[i], &value)) {
            say_null(c);
            continue;
        }
        say_bulk(c, value);
        changed |= hash_delete(o, c->argv[i]);
    }
    if (changed) hash_changed(c, c->argv[1], o, "hdel");
}

void cmd_hgetex(struct client *c) {
    struct expiry_option end = {0};
    u32 i = 2, first, count;
    bool bad, persist = arg_is(c, 2, "persist"), changed = false;
    s64 at = -1;
    str value;
    if (persist) i++;
    else if (expiry_option_at(c, &i, &end)) i++;
    if (!fields_arg(c, i, &first, &count)) return;
    if (end.unit && !expiry_option_resolve(c, &end, &at)) return;
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    say_array(c, count);
    for (i = first; i < first + count; i++) {
        if (!o || !hash_get(o, c->argv[i], &value)) {
            say_null(c);
            continue;
        }
        say_bulk(c, value);
        if (end.unit) changed |= field_expire(o, c->argv[i], NULL, at) > 0;
        else if (persist) changed |= hash_end_drop(o, c->argv[i]);
    }
    if (changed) hash_changed(c, c->argv[1], o, persist ? "hpersist" : "hexpire");
}

struct hsetex {
    struct expiry_option end;
    bool if_none, if_all, keep;
    u32 first, count;
};

static bool hsetex_args(struct client *c, struct hsetex *h) {
    u32 i = 2;
    s64 n;
    for (; i < c->argc && !arg_is(c, i, "fields"); i++) {
        if (arg_is(c, i, "fnx") && !h->if_all) h->if_none = true;
        else if (arg_is(c, i, "fxx") && !h->if_none) h->if_all = true;
        else if (arg_is(c, i, "keepttl") && !h->end.unit) h->keep = true;
        else if (h->keep || h->end.unit || !expiry_option_at(c, &i, &h->end)) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    if (i + 1 >= c->argc) {
        say_error(c, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (!arg_range(c, i + 1, 1, INT32_MAX, &n, "ERR Number of fields must be a positive integer"))
        return false;
    if (n * 2 != (s64)c->argc - i - 2) {
        say_error(c, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    h->first = i + 2;
    h->count = (u32)n;
    return true;
}

void cmd_hsetex(struct client *c) {
    struct hsetex h = {0};
    s64 at = -1;
    bool bad;
    str old;
    if (!hsetex_args(c, &h)) return;
    if (h.end.unit && !expiry_option_resolve(c, &h.end, &at)) return;
    struct object *o = hash_look(c, c->argv[1], true, &bad);
    if (bad) return;
    for (u32 i = 0; i < h.count && (h.if_none || h.if_all); i++)
        if ((o && hash_get(o, c->argv[h.first + 2 * i], &old)) == h.if_none) {
            say_integer(c, 0);
            return;
        }
    o = hash_make(c, c->argv[1], &bad);
    for (u32 i = 0; i < h.count; i++) {
        str field = c->argv[h.first + 2 * i];
        (void)hash_set(o, field, c->argv[h.first + 2 * i + 1], h.keep);
        if (h.end.unit) (void)field_expire(o, field, NULL, at);
    }
    say_integer(c, 1);
    hash_changed(c, c->argv[1], o, "hset");
}
