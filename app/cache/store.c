/* SPDX-License-Identifier: Apache-2.0 */
/* store.c — users of the cache in the datastore, so that they are there after a restart.
 *
 *   ACL SETUSER, DELUSER -> in force at once -> the client is held -> a fiber writes all users in
 *   one transaction -> it is durable -> the client gets its answer
 *
 * A row is a name and the user's rules as ACL LIST shows them: passwords as SHA-256 only. At a
 * start stored users are read back; the user "default" of the machine's configuration
 * (cache.password) wins over a stored one. Without a database users last until the next start, and
 * the answer comes at once.
 *
 * Always true: an answer "OK" to a change, once there is a database, means that it survives a power
 * cut; changes that come while others are being written share the next transaction. */
#include "app/cache/acl.h"
#include "app/cache/cache.h"
#include "app/cache/store.h"
#include "app/module.h"
#include "kernel/base/arena.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"

#define RULES_MAX 4096u         /* words of one user */
#define STORE_BYTES_MAX MIB(16) /* of all rules, while they are written */

static const char *const steps[] = {
    "CREATE TABLE cache_user (name BLOB PRIMARY KEY, rules BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    NULL,
};
static const struct db_schema schema = {.module = "cache_users", .steps = steps};

static struct {
    bool open;    /* there is a database */
    bool writing; /* the fiber runs */
    u64 wanted, written;
    bool default_configured;
} store;

void users_default_is_configured(void) { store.default_configured = true; }

/* ---- Writing --------------------------------------------------------------------------------- */

/* Gathered before anything parks: the rules of one moment. Two values per user; NULL: no room. */
static str *users_gather(struct arena *a, u32 *count) {
    u32 n = 0;
    struct buf text;
    bool lost = false;
    for (struct cache_user *u = acl_first(); u; u = acl_next(u)) n++;
    str *rows = arena_alloc(a, (n + 1) * 2 * sizeof *rows), *to = rows;
    buf_open(&text, MIB(1));
    for (struct cache_user *u = rows ? acl_first() : NULL; u && !lost; u = acl_next(u), to += 2) {
        buf_clear(&text);
        acl_user_text(u, &text);
        to[0] = arena_copy(a, acl_user_name(u));
        to[1] = arena_copy(a, buf_str(&text));
        lost = text.failed || !to[0].ptr || !to[1].ptr;
    }
    buf_close(&text);
    *count = n;
    return lost ? NULL : rows;
}

static rc_t users_write(void) {
    struct db_txn *t;
    struct arena a;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    arena_open(&a, NULL, 0, STORE_BYTES_MAX);
    u32 n = 0;
    u64 now = store.wanted;
    str *rows = users_gather(&a, &n);
    rc = rows ? db_run(t, "DELETE FROM cache_user") : RC_NO_MEMORY;
    for (u32 i = 0; !rc && i < n; i++)
        rc = db_run(t, "INSERT INTO cache_user (name, rules) VALUES (?1, ?2)",
                    DB_BLOB(rows[2 * i]), DB_BLOB(rows[2 * i + 1]));
    rc = db_write_end(t, rc);
    if (!rc) store.written = now;
    arena_close(&a);
    return rc;
}

static void answer(struct client *c, rc_t rc) {
    s64 n = c->save_answer;
    c->held &= (u8)~HELD_SAVING;
    c->saving = 0;
    if (rc) say_errorf(c, "ERR in force, but not kept for the next start: %s", rc_name(rc));
    else if (n < 0) say_ok(c);
    else say_integer(c, n);
    client_flush_soon(c);
    client_run_soon(c);
}

static void users_write_all(void *arg) {
    (void)arg;
    while (store.open && store.written < store.wanted) {
        u64 wanted = store.wanted;
        rc_t rc = users_write();
        if (rc) log_error("cache", "users could not be kept", "rc=%s", rc_name(rc));
        for (struct client *c = clients; c; c = c->next)
            if (c->held & HELD_SAVING && c->saving <= (rc ? wanted : store.written)) answer(c, rc);
        if (rc && store.wanted == wanted) break; /* the next change tries again */
    }
    store.writing = false;
}

void users_changed(struct client *c, s64 say_then) {
    bool waits = store.open && !c->executing && c->reply == REPLY_ON;
    store.wanted++;
    if (store.open && !store.writing) {
        store.writing = fiber_start("cache users", users_write_all, NULL, NULL) == RC_OK;
        if (!store.writing) log_warn("cache", "users are not kept: no fiber is free");
    }
    c->saving = store.wanted;
    c->save_answer = say_then;
    if (waits && store.writing) {
        c->held |= HELD_SAVING;
        return;
    }
    c->saving = 0;
    if (waits) say_error(c, "ERR in force, but not kept for the next start: try again");
    else if (say_then < 0) say_ok(c);
    else say_integer(c, say_then);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static rc_t user_read(str name, str rules) {
    struct diag why = {0};
    str *words = NULL, rest = rules, word;
    u32 n = 1;
    struct arena a;
    arena_open(&a, NULL, 0, STORE_BYTES_MAX);
    words = arena_alloc(&a, RULES_MAX * sizeof *words);
    rc_t rc = words ? RC_OK : RC_NO_MEMORY;
    if (!rc) words[0] = S("reset");
    while (!rc && rest.len && str_split(&rest, ' ', &word)) {
        if (!word.len) continue;
        if (n == RULES_MAX) rc = RC_LIMIT;
        else words[n++] = word;
    }
    if (!rc) rc = acl_user_set(name, words, n, &why);
    if (rc)
        log_error("cache", "a stored user cannot be used", "user=%s rc=%s why=%s",
                  LOGSTR(name), rc_name(rc), LOGSTR(str_from_c(why.text)));
    arena_close(&a);
    return rc;
}

static rc_t users_start(struct diag *why) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    u32 n = 0;
    rc_t rc = db_read_begin(&t);
    if (!rc) {
        rc = db_query(t, &rows, "SELECT name, rules FROM cache_user ORDER BY name");
        while (!rc && !(rc = db_next(rows))) {
            str name = db_column_text(rows, 0);
            if (store.default_configured && str_eq(name, S("default"))) continue;
            n += user_read(name, db_column_text(rows, 1)) == RC_OK;
        }
        if (rc == RC_NOT_FOUND) rc = RC_OK;
        db_done(rows);
        db_read_end(t);
    }
    if (rc) {
        diag_set(why, "the users of the cache cannot be read: %s", rc_name(rc));
        return rc;
    }
    (void)acl_changed_take();
    store.open = true;
    if (n) log_info("cache", "users were read", "users=%u", n);
    cache_listen();
    return RC_OK;
}

static void users_stop(void) {
    store.open = false;
    for (struct client *c = clients; c; c = c->next)
        if (c->held & HELD_SAVING) answer(c, RC_CLOSED);
}

const struct module cache_users_module = {
    .name = "cache_users", .start = users_start, .stop = users_stop, .schema = &schema};
