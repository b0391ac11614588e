/* SPDX-License-Identifier: Apache-2.0 */
/* store.c — configuration in the database: the value of each changed option, and every change ever
 * made.
 *
 *   config_value   key -> value, version      what is in force after the next start
 *   config_change  version -> key, old, new   append only; its highest version is the whole's
 *
 * Always true: a change, its history and its audit row are one transaction; the version is read
 * inside it, so two editors with the same If-Match cannot both win. A stored value that a newer
 * build no longer accepts is left where it is, named in the log, and the default holds. */
#include "app/audit/audit.h"
#include "app/config/config_impl.h"
#include "app/metrics/metrics.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

static const char *const steps[] = {
    "CREATE TABLE config_value ("
    " key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE config_change ("
    " version INTEGER NOT NULL, key TEXT NOT NULL, old TEXT, new TEXT,"
    " changed_at INTEGER NOT NULL, changed_by TEXT NOT NULL,"
    " PRIMARY KEY (version, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX config_change_key ON config_change (key, version);",
    NULL,
};
const struct db_schema config_db_schema = {.module = "config", .steps = steps};

static rc_t load_row(struct arena *a, str key, str text, s64 version) {
    struct config_setting s;
    struct diag why = {0};
    int i = option_find(key);
    rc_t rc = i < 0 ? RC_NOT_FOUND
                    : option_parse(&options[i], text, a, &s.text, &s.number, &why);
    if (!rc) {
        s.option = (u32)i;
        return config_set(SOURCE_STORED, &s, 1, version);
    }
    if (rc == RC_NO_MEMORY) return rc;
    log_warn("config", "a stored value is not accepted any more; its default holds",
             "key=%s reason=%s", LOGSTR(key), LOGSTR(str_from_c(why.text)));
    return RC_OK;
}

rc_t config_store_load(struct diag *why) {
    struct arena a;
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        diag_set(why, "stored configuration cannot be read: %s", rc_name(rc));
        return rc;
    }
    arena_open(&a, NULL, 0, KIB(1024));
    rc = db_query(t, &rows, "SELECT key, value, version FROM config_value ORDER BY key");
    while (!rc && !(rc = db_next(rows)))
        rc = load_row(&a, db_column_text(rows, 0), db_column_text(rows, 1), db_column_int(rows, 2));
    db_done(rows);
    db_read_end(t);
    arena_close(&a);
    if (rc == RC_NOT_FOUND) return RC_OK; /* no more rows */
    diag_set(why, "stored configuration cannot be read: %s", rc_name(rc));
    return rc;
}

static rc_t version_in(struct db_txn *t, s64 *out) {
    struct db_rows *rows = NULL;
    rc_t rc = db_query(t, &rows, "SELECT coalesce(max(version), 0) FROM config_change");
    if (!rc && !(rc = db_next(rows))) *out = db_column_int(rows, 0);
    db_done(rows);
    return rc;
}

rc_t config_store_version(s64 *out) {
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = version_in(t, out);
    db_read_end(t);
    return rc;
}

static rc_t change_one(struct db_txn *t, struct request *rq, const struct config_setting *s,
                       bool unset, s64 version) {
    str key = str_from_c(options[s->option].key);
    str who = rq->actor.email.len ? rq->actor.email : rq->actor.user_id;
    bool hidden = option_is_hidden(&options[s->option]);
    str shown = hidden ? S("(not shown)") : s->text; /* history and audit are for reading */
    rc_t rc = db_run(t,
                     "INSERT INTO config_change (version, key, old, new, changed_at, changed_by)"
                     " VALUES (?1, ?2, (SELECT iif(?6, '(not shown)', value) FROM config_value"
                     " WHERE key=?2), ?3, ?4, ?5)",
                     DB_INT(version), DB_TEXT(key), unset ? DB_NULL : DB_TEXT(shown),
                     DB_INT(platform_wall_ns() / NS_PER_MS), DB_TEXT(who.ptr ? who : S("")),
                     DB_INT(hidden));
    if (!rc && unset) rc = db_run(t, "DELETE FROM config_value WHERE key=?1", DB_TEXT(key));
    if (!rc && !unset)
        rc = db_run(t,
                    "INSERT INTO config_value (key, value, version) VALUES (?1, ?2, ?3)"
                    " ON CONFLICT DO UPDATE SET value=?2, version=?3",
                    DB_TEXT(key), DB_TEXT(s->text), DB_INT(version));
    if (rc) return rc;
    struct json_writer w; /* what changed, for the audit row */
    json_open(&w, KIB(640));
    json_object(&w, NULL);
    json_int(&w, "version", version);
    json_text(&w, "value", unset ? (str){NULL, 0} : shown);
    json_object_end(&w);
    str resource = arena_printf(rq->arena, "config/%.*s", STR(key));
    rc = audit_add(t, rq,
                   &(struct audit_event){.action = unset ? "config.unset" : "config.set",
                                         .resource = resource,
                                         .result = "ok",
                                         .detail = buf_str(&w.out)});
    json_close(&w);
    return rc;
}

rc_t config_store_change(struct request *rq, const struct config_setting *list, u32 count,
                         bool unset, s64 expected_version, s64 *out_version) {
    struct db_txn *t;
    s64 version = 0;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = version_in(t, &version);
    if (!rc && expected_version >= 0 && version != expected_version) rc = RC_CONFLICT;
    version++;
    for (u32 i = 0; i < count && !rc; i++) rc = change_one(t, rq, &list[i], unset, version);
    if ((rc = db_write_end(t, rc))) return rc;
    metric_add(METRIC_CONFIG_CHANGES, count);
    *out_version = version;
    if (!unset) return config_set(SOURCE_STORED, list, count, version);
    for (u32 i = 0; i < count; i++) config_unset(SOURCE_STORED, list[i].option, version);
    return RC_OK;
}
