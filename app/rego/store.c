/* SPDX-License-Identifier: Apache-2.0 */
/* store.c — revisions of policies and data in the database.
 *
 *   rego_revision   every change, as it was asked for: id, when, who, what, content
 *   rego_snapshot   everything at one revision: policies, data, bundles as JSON
 *   rego_decision   the newest records of the decision log (decision.c)
 *
 * The state at revision N is the newest snapshot at or before N and the changes after it. A
 * snapshot is written every SNAPSHOT_EVERY changes or SNAPSHOT_BYTES of them, and with a revert.
 * What is older than REVISIONS_KEPT and not needed by a kept revision is deleted; so are the oldest
 * when snapshots (each bundle brings one) take more than SNAPSHOTS_BYTES_MAX. */
#include "app/rego/rego_impl.h"
#include "kernel/platform.h"

enum { REVISIONS_KEPT = 1000, SNAPSHOTS_BYTES_MAX = 64 << 20 };

static const char *const steps[] = {
    "CREATE TABLE rego_revision(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, actor_id TEXT NOT "
    "NULL,"
    " actor TEXT NOT NULL, kind INTEGER NOT NULL, subject TEXT NOT NULL, target INTEGER NOT NULL,"
    " content BLOB NOT NULL) STRICT;"
    "CREATE TABLE rego_snapshot(revision INTEGER PRIMARY KEY, sources BLOB NOT NULL, data BLOB NOT "
    "NULL) STRICT;"
    "CREATE TABLE rego_decision(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, decision_id TEXT "
    "NOT NULL,"
    " path TEXT NOT NULL, record TEXT NOT NULL) STRICT;",
    "ALTER TABLE rego_snapshot ADD COLUMN bundles BLOB NOT NULL DEFAULT x'7b7d';",
    "CREATE TABLE rego_shipping(one INTEGER PRIMARY KEY CHECK(one=1), position INTEGER NOT NULL)"
    " STRICT;",
    NULL,
};
const struct db_schema rego_schema = {.module = "rego", .steps = steps};

static rc_t replay_snapshot(struct db_txn *t, s64 until, const struct rego_replay *r, s64 *from) {
    struct db_rows *rows = NULL;
    rc_t rc =
        db_query(t, &rows,
                 "SELECT revision,sources,data,bundles FROM rego_snapshot WHERE revision<=?1 ORDER "
                 "BY revision DESC LIMIT 1",
                 DB_INT(until));
    *from = 0;
    if (!rc) rc = db_next(rows);
    if (!rc) {
        *from = db_column_int(rows, 0);
        rc = r->snapshot(r->arg, *from, db_column_text(rows, 1), db_column_text(rows, 2),
                         db_column_text(rows, 3));
    }
    db_done(rows);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

rc_t rego_store_replay(s64 until, const struct rego_replay *r) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    s64 from;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    if (until == 0) until = INT64_MAX;
    rc = replay_snapshot(t, until, r, &from);
    if (!rc)
        rc = db_query(t, &rows,
                      "SELECT id,kind,subject,target,content FROM rego_revision WHERE id>?1 AND "
                      "id<=?2 ORDER BY id",
                      DB_INT(from), DB_INT(until));
    while (!rc && !(rc = db_next(rows))) {
        struct rego_change c = {.kind = (enum rego_kind)db_column_int(rows, 1),
                                .subject = db_column_text(rows, 2),
                                .revision = db_column_int(rows, 3),
                                .content = db_column_text(rows, 4)};
        rc = r->apply(r->arg, db_column_int(rows, 0), &c);
    }
    db_done(rows);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

rc_t rego_store_add(struct db_txn *t, struct request *rq, const struct rego_change *c,
                    s64 *revision) {
    str actor_id = rq ? rq->actor.user_id : S(""), actor = rq ? rq->actor.email : S("");
    rc_t rc = db_run(t,
                     "INSERT INTO rego_revision(at_ns,actor_id,actor,kind,subject,target,content) "
                     "VALUES(?1,?2,?3,?4,?5,?6,?7)",
                     DB_INT(platform_wall_ns()), DB_TEXT(actor_id.ptr ? actor_id : S("")),
                     DB_TEXT(actor.ptr ? actor : S("")), DB_INT(c->kind),
                     DB_TEXT(c->subject.ptr ? c->subject : S("")), DB_INT(c->revision),
                     DB_BLOB(c->content.ptr ? c->content : S("")));
    if (!rc) *revision = db_last_id(t);
    return rc;
}

rc_t rego_store_snapshot(struct db_txn *t, s64 revision, str sources, str data, str bundles) {
    return db_run(t,
                  "INSERT OR REPLACE INTO rego_snapshot(revision,sources,data,bundles) "
                  "VALUES(?1,?2,?3,?4)",
                  DB_INT(revision), DB_BLOB(sources), DB_BLOB(data), DB_BLOB(bundles));
}

/* Of the snapshots the newest are kept as far as SNAPSHOTS_BYTES_MAX goes, two in any case. What
 * lies before the oldest cannot be told any more: its revisions go too. */
static rc_t trim_bytes(struct db_txn *t) {
    rc_t rc = db_run(t,
                     "DELETE FROM rego_snapshot WHERE revision IN (SELECT revision FROM (SELECT "
                     "revision,row_number() OVER (ORDER BY revision DESC) AS place,"
                     "sum(length(sources)+length(data)+length(bundles)) OVER (ORDER BY revision "
                     "DESC) AS bytes FROM rego_snapshot) WHERE place>2 AND bytes>?1)",
                     DB_INT(SNAPSHOTS_BYTES_MAX));
    if (rc || !db_changes(t)) return rc;
    return db_run(t,
                  "DELETE FROM rego_revision WHERE id<(SELECT min(revision) FROM rego_snapshot)");
}

/* The oldest revision kept must still be reachable: the snapshot before it stays. */
rc_t rego_store_trim(struct db_txn *t, s64 newest) {
    s64 oldest = newest - REVISIONS_KEPT;
    rc_t rc = trim_bytes(t);
    if (rc || oldest <= 0) return rc;
    rc = db_run(t,
                     "DELETE FROM rego_snapshot WHERE revision<(SELECT max(revision) FROM "
                     "rego_snapshot WHERE revision<=?1)",
                     DB_INT(oldest));
    if (!rc)
        rc = db_run(t,
                    "DELETE FROM rego_revision WHERE id<=(SELECT coalesce(min(revision),0) FROM "
                    "rego_snapshot) AND id<?1",
                    DB_INT(oldest));
    return rc;
}
