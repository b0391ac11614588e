/* SPDX-License-Identifier: Apache-2.0 */
/* expiry.c — keys that end: EXPIRE and its relatives, TTL, PERSIST. */
#include "app/cache/command/expiry.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

static bool relative(enum expiry_unit u) { return u == EXPIRY_SECONDS || u == EXPIRY_MS; }
static bool seconds(enum expiry_unit u) { return u == EXPIRY_SECONDS || u == EXPIRY_AT_SECONDS; }

bool expiry_option_at(const struct client *c, u32 *i, struct expiry_option *o) {
    static const char *const words[] = {[EXPIRY_SECONDS] = "ex", [EXPIRY_MS] = "px",
                                        [EXPIRY_AT_SECONDS] = "exat", [EXPIRY_AT_MS] = "pxat"};
    for (u32 u = EXPIRY_SECONDS; u <= EXPIRY_AT_MS; u++)
        if (arg_is(c, *i, words[u]) && *i + 1 < c->argc) {
            o->unit = u;
            o->arg = ++*i;
            return true;
        }
    return false;
}

bool expiry_at(s64 n, enum expiry_unit unit, s64 *out) {
    if (seconds(unit) && __builtin_mul_overflow(n, 1000, &n)) return false;
    if (relative(unit)) {
        s64 wall; /* the clock's time must fit as well */
        if (__builtin_add_overflow(n, cache_now_ms() + cache_wall_offset_ms(), &wall)) return false;
        return !__builtin_add_overflow(n, cache_now_ms(), out);
    }
    if (__builtin_sub_overflow(n, cache_wall_offset_ms(), out)) *out = INT64_MIN; /* long ago */
    return true;
}

static void say_invalid(struct client *c) {
    char name[64];
    str full = command_full_name(c->command, name);
    say_errorf(c, "ERR invalid expire time in '%.*s' command", STR(full));
}

bool expiry_option_resolve(struct client *c, const struct expiry_option *o, s64 *out) {
    s64 n;
    if (!arg_integer(c, o->arg, &n)) return false;
    if (n > 0 && expiry_at(n, o->unit, out)) return true;
    say_invalid(c);
    return false;
}

/* ---- EXPIRE ---------------------------------------------------------------------------------- */

enum { IF_NONE = 1, IF_SOME = 2, IF_LATER = 4, IF_EARLIER = 8 };

static bool conditions_read(struct client *c, u32 *out) {
    *out = 0;
    for (u32 i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "nx")) *out |= IF_NONE;
        else if (arg_is(c, i, "xx")) *out |= IF_SOME;
        else if (arg_is(c, i, "gt")) *out |= IF_LATER;
        else if (arg_is(c, i, "lt")) *out |= IF_EARLIER;
        else {
            say_errorf(c, "ERR Unsupported option %.*s", STR(str_take(c->argv[i], 100)));
            return false;
        }
    }
    if (*out & IF_NONE && *out & ~(u32)IF_NONE) {
        say_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (*out & IF_LATER && *out & IF_EARLIER) {
        say_error(c, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

static bool conditions_hold(u32 conditions, s64 now, s64 at) {
    if (conditions & IF_NONE && now >= 0) return false;
    if (conditions & IF_SOME && now < 0) return false;
    if (conditions & IF_LATER && (now < 0 || at <= now)) return false;
    return !(conditions & IF_EARLIER && now >= 0 && at >= now);
}

static void expire_run(struct client *c, enum expiry_unit unit) {
    u32 conditions;
    s64 n, at;
    if (!conditions_read(c, &conditions) || !arg_integer(c, 2, &n)) return;
    if (!expiry_at(n, unit, &at)) {
        say_invalid(c);
        return;
    }
    struct entry *e = keys_write(c->db, c->argv[1]);
    if (!e || !conditions_hold(conditions, keys_end(c->db, e), at)) {
        say_integer(c, 0);
        return;
    }
    if (at <= cache_now_ms()) {
        keys_delete_entry(c->db, e);
        notify(NOTIFY_GENERIC, "del", c->argv[1], c->db);
    } else {
        keys_end_set(c->db, e, at);
        notify(NOTIFY_GENERIC, "expire", c->argv[1], c->db);
    }
    key_changed(c, c->db, c->argv[1]);
    say_integer(c, 1);
}

void cmd_expire(struct client *c) { expire_run(c, EXPIRY_SECONDS); }
void cmd_pexpire(struct client *c) { expire_run(c, EXPIRY_MS); }
void cmd_expireat(struct client *c) { expire_run(c, EXPIRY_AT_SECONDS); }
void cmd_pexpireat(struct client *c) { expire_run(c, EXPIRY_AT_MS); }

void cmd_persist(struct client *c) {
    struct entry *e = keys_write(c->db, c->argv[1]);
    bool had = e && keys_end_drop(c->db, e);
    if (had) {
        notify(NOTIFY_GENERIC, "persist", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, had);
}

/* ---- TTL ------------------------------------------------------------------------------------- */

static void ttl_run(struct client *c, bool in_seconds, bool absolute) {
    struct entry *e = keys_peek(c->db, c->argv[1]);
    s64 at = e ? keys_end(c->db, e) : -1;
    if (e) keys_stats.hits++;
    else keys_stats.misses++;
    if (!e) {
        say_integer(c, -2);
        return;
    }
    if (at < 0) {
        say_integer(c, -1);
        return;
    }
    if (absolute) at += cache_wall_offset_ms();
    else at = MAX(at - cache_now_ms(), 0);
    say_integer(c, in_seconds ? (at + 500) / 1000 : at);
}

void cmd_ttl(struct client *c) { ttl_run(c, true, false); }
void cmd_pttl(struct client *c) { ttl_run(c, false, false); }
void cmd_expiretime(struct client *c) { ttl_run(c, true, true); }
void cmd_pexpiretime(struct client *c) { ttl_run(c, false, true); }
