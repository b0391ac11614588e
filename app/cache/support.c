/* SPDX-License-Identifier: Apache-2.0 */
/* support.c — what commands share: looking keys up with the type checked, reading arguments, and
 * telling everybody about a change. */
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include <math.h>

/* ---- Looking --------------------------------------------------------------------------------- */

static struct object *typed(struct client *c, struct entry *e, enum object_type type, bool *bad) {
    *bad = e && e->object.type != type;
    if (*bad) {
        say_error(c, WRONG_TYPE);
        return NULL;
    }
    return e ? &e->object : NULL;
}

struct object *look_read(struct client *c, str key, enum object_type type, bool *bad) {
    struct entry *e = c->no_touch ? keys_peek(c->db, key) : keys_read(c->db, key);
    if (!e) notify(NOTIFY_MISS, "keymiss", key, c->db);
    return typed(c, e, type, bad);
}

struct object *look_write(struct client *c, str key, enum object_type type, bool *bad) {
    return typed(c, c->no_touch ? keys_peek(c->db, key) : keys_write(c->db, key), type, bad);
}

struct object *look_any(struct client *c, str key) {
    struct entry *e = c->no_touch ? keys_peek(c->db, key) : keys_read(c->db, key);
    if (!e) notify(NOTIFY_MISS, "keymiss", key, c->db);
    return e ? &e->object : NULL;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

bool arg_integer_or(struct client *c, u32 i, s64 *out, const char *error) {
    if (integer_parse(c->argv[i], out)) return true;
    say_error(c, error);
    return false;
}

bool arg_integer(struct client *c, u32 i, s64 *out) {
    return arg_integer_or(c, i, out, NOT_INTEGER);
}

bool arg_range(struct client *c, u32 i, s64 least, s64 most, s64 *out, const char *error) {
    if (!integer_parse(c->argv[i], out) || *out < least || *out > most) {
        say_error(c, error);
        return false;
    }
    return true;
}

bool arg_random_count(struct client *c, u32 i, s64 most, s64 *out) {
    if (!arg_integer(c, i, out)) return false;
    if (*out < -most || *out > most) {
        if (most == INT64_MAX)
            say_errorf(c, "ERR value is out of range, value must between %lld and %lld",
                       (long long)-most, (long long)most);
        else
            say_error(c, "ERR value is out of range");
        return false;
    }
    if (*out >= -(s64)CACHE_RANDOM_MAX) return true;
    say_errorf(c, "ERR value is out of range, at most %u with repetitions", CACHE_RANDOM_MAX);
    return false;
}

bool arg_double(struct client *c, u32 i, double *out, const char *error) {
    if (double_parse(c->argv[i], out)) return true;
    say_error(c, error);
    return false;
}

bool arg_timeout(struct client *c, u32 i, s64 *out_until_ms, bool milliseconds) {
    long double n;
    s64 ms;
    if (milliseconds) {
        if (!arg_integer_or(c, i, &ms, "ERR timeout is not an integer or out of range"))
            return false;
    } else {
        if (!long_double_parse(c->argv[i], &n)) {
            say_error(c, "ERR timeout is not a float or out of range");
            return false;
        }
        n = n * 1000;
        if (n > (long double)INT64_MAX) {
            say_error(c, "ERR timeout is out of range");
            return false;
        }
        ms = n < 0 ? -1 : (s64)ceill(n);
    }
    if (ms < 0) {
        say_error(c, "ERR timeout is negative");
        return false;
    }
    if (ms && __builtin_add_overflow(ms, cache_now_ms(), &ms)) {
        say_error(c, "ERR timeout is out of range");
        return false;
    }
    *out_until_ms = ms;
    return true;
}

bool too_large(struct client *c, u64 more) {
    if (more <= (u64)settings.bulk_max && cache_room(more)) return false;
    if (more > (u64)settings.bulk_max)
        say_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    else
        say_error(c, "OOM command not allowed: it needs more memory than the cache may have.");
    return true;
}

void say_help(struct client *c, const char *const *lines) {
    char name[64], title[128];
    size_t n = 0;
    str parent = c->argv[0];
    for (; n < parent.len && n < 40; n++)
        name[n] = (char)(parent.ptr[n] >= 'a' && parent.ptr[n] <= 'z' ? parent.ptr[n] - 32
                                                                       : parent.ptr[n]);
    struct block *later = say_later(c);
    u64 count = 1;
    memcpy(title, name, n);
    static const char rest[] = " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
    memcpy(title + n, rest, sizeof rest);
    say_status(c, title);
    for (; *lines; lines++, count++) say_status(c, *lines);
    say_status(c, "HELP");
    say_status(c, "    Print this help.");
    say_later_array(c, later, count + 2);
}

/* ---- Changes --------------------------------------------------------------------------------- */

void key_changed(struct client *c, struct keys *k, str key) {
    command_stats.dirty++;
    if (c && c->in_multi) c->multi_writes = true;
    watch_key_changed(k, key);
    tracking_key_changed(c, key);
    waits_key_ready(k, key);
}

void flush_changed(struct client *c, struct keys *k) {
    (void)c;
    for (u32 i = 0; i < CACHE_DATABASES; i++)
        if (!k || k == &databases[i]) watch_database_changed(&databases[i], NULL);
    tracking_flushed(k);
}

void key_emptied(struct client *c, str key) {
    if (!keys_delete(c->db, key)) return;
    notify(NOTIFY_GENERIC, "del", key, c->db);
}
