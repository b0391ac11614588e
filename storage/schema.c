/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c — numbered migrations, gathered from the modules.
 *
 *   schema_version: module | version | applied_at          one row per step that was taken
 *
 * Each step is one transaction together with its row, so a cut or an error leaves the schema at a
 * whole version. A database that knows a step this program does not is newer than the program:
 * refused, because an older program could not keep what the newer one promised. */
#include "kernel/base/log.h"
#include "storage/db_impl.h"

static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_version("
    " module TEXT NOT NULL, version INTEGER NOT NULL, applied_at TEXT NOT NULL,"
    " PRIMARY KEY(module, version)) STRICT, WITHOUT ROWID";

static rc_t version_get(const char *module, s64 *out) {
    struct db_txn t = {.c = &db->writer};
    struct db_rows *r;
    rc_t rc =
        db_query(&t, &r, "SELECT coalesce(max(version), 0) FROM schema_version WHERE module = ?1",
                 DB_TEXT(str_from_c(module)));
    if (!rc) rc = db_next(r);
    if (!rc) *out = db_column_int(r, 0);
    db_done(r);
    return rc;
}

static rc_t step_take(const struct db_schema *s, s64 version) {
    struct db_txn t = {.c = &db->writer};
    rc_t rc = connection_fixed(t.c, FIXED_BEGIN_WRITE);
    if (rc) return rc;
    rc = connection_exec(t.c, s->steps[version - 1]);
    if (!rc)
        rc = db_run(
            &t, "INSERT INTO schema_version VALUES(?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
            DB_TEXT(str_from_c(s->module)), DB_INT(version));
    if (!rc) rc = connection_fixed(t.c, FIXED_COMMIT);
    if (rc && !sqlite3_get_autocommit(t.c->handle)) {
        rc_t back = connection_fixed(t.c, FIXED_ROLLBACK);
        if (back) log_error("storage", "a rollback failed", "rc=%s", rc_name(back));
    }
    connection_fixed_forget(t.c);
    t.c->lost = RC_OK;
    return rc;
}

static rc_t migrate_module(const struct db_schema *s, struct diag *why) {
    s64 have = 0, known = 0;
    rc_t rc = version_get(s->module, &have);
    if (rc) {
        diag_set(why, "the schema of %s could not be read: %s", s->module, db->writer.error);
        return rc;
    }
    while (s->steps[known]) known++;
    if (have > known) {
        diag_set(why,
                 "the database is newer than this program: %s is at version %lld, known are %lld: "
                 "start the newer program",
                 s->module, (long long)have, (long long)known);
        return RC_CONFLICT;
    }
    for (s64 version = have + 1; version <= known; version++) {
        rc = step_take(s, version);
        if (rc) {
            diag_set(why, "migration %lld of %s failed and was undone: %s", (long long)version,
                     s->module, db->writer.error);
            return rc == RC_CONFLICT ? RC_INVALID : rc; /* RC_CONFLICT says "newer" here */
        }
        log_info("storage", "migrated", "module=%s version=%lld", s->module, (long long)version);
    }
    db->schema_version += known;
    return RC_OK;
}

rc_t schema_migrate(const struct db_schema *const *schemas, struct diag *why) {
    s64 there = 0;
    rc_t rc = connection_number(
        &db->writer, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'", &there);
    if (!rc && !there) rc = connection_exec(&db->writer, table_sql);
    if (rc) diag_set(why, "the database cannot be used: %s", db->writer.error);
    db->schema_version = 0;
    for (; !rc && schemas && *schemas; schemas++) rc = migrate_module(*schemas, why);
    return rc;
}
