/* SPDX-License-Identifier: Apache-2.0 */
/* expire.c — old rows go: after audit.days (400), hourly, the oldest first, some at a time.
 *
 *    audit_anchor   removed_id, hash of that row     the chain of what is left begins there
 *
 * Always true: only a beginning of the log is removed, so that what is left has no gap; the row
 * "audit.expire" that tells of it, with the anchor, is part of the chain and of the same write; the
 * trigger that guards the table lets rows up to the anchor go and no other. Whoever needs them
 * longer exports them first: their hashes lead to the anchor. */
#include "app/audit/audit_impl.h"
#include "app/config/config.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/timer.h"
#include "kernel/platform.h"
#include <stdio.h>

enum { EXPIRE_ROWS = 500, FIRST_MS = 60000, EVERY_MS = 3600000 };
#define NS_PER_DAY (86400 * NS_PER_S)

rc_t audit_anchor_read(struct db_txn *t, s64 *out_id, u8 out_hash[AUDIT_HASH_BYTES]) {
    struct db_rows *r = NULL;
    *out_id = 0;
    memcpy(out_hash, audit_genesis, AUDIT_HASH_BYTES);
    rc_t rc = db_query(t, &r, "SELECT removed_id,hash FROM audit_anchor");
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        str hash = db_column_text(r, 1);
        *out_id = db_column_int(r, 0);
        if (hash.len == AUDIT_HASH_BYTES) memcpy(out_hash, hash.ptr, AUDIT_HASH_BYTES);
        else rc = RC_CORRUPT;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* The last row of those at the beginning, at most EXPIRE_ROWS of them, that are all older. */
static rc_t last_old(struct db_txn *t, s64 anchor, u64 before_ns, s64 *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT coalesce((SELECT min(id)-1 FROM audit WHERE id<=?1+?2 AND"
                       " at_ns>=?3),(SELECT max(id) FROM audit WHERE id<=?1+?2))",
                       DB_INT(anchor), DB_INT(EXPIRE_ROWS), DB_INT(before_ns));
    *out = anchor;
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK && !db_column_null(r, 0))
        *out = db_column_int(r, 0);
    db_done(r);
    return rc;
}

static rc_t remove_to(struct db_txn *t, s64 last) {
    rc_t rc = db_run(t,
                     "INSERT INTO audit_anchor(one,removed_id,hash) SELECT 1,id,hash FROM audit"
                     " WHERE id=?1 ON CONFLICT(one) DO UPDATE SET removed_id=excluded.removed_id,"
                     "hash=excluded.hash",
                     DB_INT(last));
    if (rc == RC_OK && db_changes(t) != 1) rc = RC_CORRUPT;
    return rc ? rc : db_run(t, "DELETE FROM audit WHERE id<=?1", DB_INT(last));
}

static rc_t expire_event(struct db_txn *t, s64 last) {
    char hex[AUDIT_HASH_BYTES * 2 + 1], detail[192];
    u8 hash[AUDIT_HASH_BYTES];
    s64 id;
    rc_t rc = audit_anchor_read(t, &id, hash);
    if (rc == RC_OK) rc = str_hex((const char *)hash, sizeof hash, hex, sizeof hex);
    if (rc) return rc;
    int n = snprintf(detail, sizeof detail, "{\"removed_to\":%lld,\"hash\":\"%s\"}",
                      (long long)last, hex);
    struct audit_event event = {
        .action = "audit.expire", .result = "ok", .detail = str_of(detail, (size_t)n)};
    return audit_add(t, NULL, &event);
}

/* Some of the oldest; *more: there may be others. */
static rc_t expire_some(u64 before_ns, bool *more) {
    u8 hash[AUDIT_HASH_BYTES];
    struct db_txn *t;
    s64 anchor, last = 0;
    *more = false;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = audit_anchor_read(t, &anchor, hash);
    if (rc == RC_OK) rc = last_old(t, anchor, before_ns, &last);
    if (rc || last <= anchor) {
        db_write_rollback(t);
        return rc;
    }
    rc = remove_to(t, last);
    if (rc == RC_OK) rc = expire_event(t, last);
    *more = rc == RC_OK && last == anchor + EXPIRE_ROWS;
    return db_write_end(t, rc);
}

rc_t audit_expire(u64 now_ns) {
    u64 days = (u64)config_int("audit.days"), age = days * NS_PER_DAY;
    bool more = days && now_ns > age;
    rc_t rc = RC_OK;
    while (rc == RC_OK && more) {
        rc = expire_some(now_ns - age, &more);
        if (more && fiber_inside()) fiber_yield();
    }
    return rc;
}

/* ---- Hourly ---------------------------------------------------------------------------------- */

static struct timer hourly;
static bool running;

static void run(void *arg) {
    (void)arg;
    rc_t rc = audit_expire(platform_wall_ns());
    if (rc) log_warn("audit", "old rows were not removed", "rc=%s", rc_name(rc));
    running = false;
}

static void due(void *arg) {
    (void)arg;
    if (!running) running = fiber_start("audit expire", run, NULL, NULL) == RC_OK;
    rc_t rc = timer_start_after_ms(&hourly, EVERY_MS);
    if (rc) log_warn("audit", "old rows will not be removed", "rc=%s", rc_name(rc));
}

rc_t audit_expire_start(struct diag *why) {
    (void)why;
    timer_init(&hourly, due, NULL);
    return timer_start_after_ms(&hourly, FIRST_MS);
}

void audit_expire_stop(void) {
    timer_stop(&hourly);
}
