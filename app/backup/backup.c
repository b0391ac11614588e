/* SPDX-License-Identifier: Apache-2.0 */
/* backup.c — the routes around storage/backup.h.
 *
 *   GET  /api/v1/backup    the database of this moment, a plain SQLite file, streamed
 *   POST /api/v1/restore   such a file: staged, checked; then the appliance starts anew with it
 *        ?check=true       staged and checked only
 *
 *   schedule.c: backups by themselves, to storage elsewhere
 *
 * A backup holds everything the appliance knows: password hashes and signing keys too. So both are
 * for administrators, both leave an audit row (a restore leaves one in the database that goes and
 * one in the one that comes), and a restore ends every session: those that had been revoked since
 * the backup was taken would be alive again.
 *
 * Always true: an answer 200 with fewer bytes than its Content-Length is a copy given up half way;
 * a client sees that. Nothing of a file that fails a check stays. */
#include "app/backup/backup.h"
#include "app/backup/backup_impl.h"
#include "app/audit/audit.h"
#include "app/auth/auth.h"
#include "app/json.h"
#include "app/reply.h"
#include "app/system/system.h"
#include "app/utc.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/backup.h"
#include <stdio.h>

enum { PIECE_BYTES = 65536, RESTART_AFTER_MS = 250 };

/* ---- Out ----------------------------------------------------------------------------------- */

static bool begin_answer(struct request *rq, u64 bytes) {
    char now[UTC_ROOM];
    str day = str_take(utc_write(platform_wall_ns(), now), 10);
    str name = arena_printf(rq->arena, "attachment; filename=\"openpolicy-%.*s.sqlite\"", STR(day));
    return name.ptr && !http_answer_field(rq->x, S("Content-Disposition"), name) &&
           !http_answer_field(rq->x, S("Cache-Control"), S("no-store")) &&
           !http_answer_begin(rq->x, 200, S("application/vnd.sqlite3"), (s64)bytes);
}

static rc_t send_pages(struct request *rq, struct db_snapshot *s, u8 *piece, u64 *sent) {
    size_t got = 0;
    rc_t rc;
    while (!(rc = db_snapshot_read(s, piece, PIECE_BYTES, &got))) {
        if ((rc = http_answer_write(rq->x, str_of((const char *)piece, got)))) return rc;
        *sent += got;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void get_backup(struct request *rq) {
    struct db_snapshot *s = NULL;
    u64 bytes = 0, sent = 0;
    u8 *piece = memory_alloc(MEMORY_REQUESTS, PIECE_BYTES);
    rc_t rc = piece ? db_snapshot_open(&s, &bytes) : RC_NO_MEMORY;
    if (rc == RC_CONFLICT) {
        reply_problem(rq, 409, "backup_running", "Another backup is being taken; try again later.");
    } else if (!rc) {
        rc = audit_add_alone(rq, &(struct audit_event){.action = "backup.read",
                                                       .resource = S("backup"),
                                                       .result = "ok"});
        if (!rc && !begin_answer(rq, bytes)) rc = RC_NO_MEMORY;
        bool begun = !rc;
        if (!rc) rc = send_pages(rq, s, piece, &sent);
        if (!rc) rc = http_answer_end(rq->x);
        db_snapshot_close(s);
        if (begun && rc) {
            log_warn("backup", "a backup did not arrive whole", "sent=%llu of=%llu rc=%s",
                     (unsigned long long)sent, (unsigned long long)bytes, rc_name(rc));
            http_close_after(rq->x);
        } else if (rc) {
            reply_rc(rq, rc, "The backup");
        }
    } else {
        reply_rc(rq, rc, "The backup");
    }
    memory_free(MEMORY_REQUESTS, piece);
}

/* ---- In ------------------------------------------------------------------------------------ */

static rc_t receive(struct request *rq, struct db_restore *r, u8 *piece, struct diag *why) {
    size_t got = 0;
    rc_t rc;
    while (!(rc = http_body_read(rq->x, piece, PIECE_BYTES, &got)) && got)
        if ((rc = db_restore_write(r, str_of((const char *)piece, got), why))) return rc;
    if (rc) diag_set(why, "the upload broke off");
    return rc;
}

/* Whoever restores must be able to get in afterwards. */
static rc_t check_way_in(struct db_restore *r, s64 *users, struct diag *why) {
    s64 admins = 0;
    rc_t rc = db_restore_number(
        r, "SELECT count(*) FROM user WHERE role='admin' AND state='active'", &admins);
    if (!rc) rc = db_restore_number(r, "SELECT count(*) FROM user", users);
    if (rc) diag_set(why, "its accounts cannot be read: it was not made by this appliance");
    else if (!admins) diag_set(why, "it has no active administrator: nobody could use it");
    else return RC_OK;
    return RC_INVALID;
}

static void refuse(struct request *rq, rc_t rc, const struct diag *why) {
    const char *text = why->text[0] ? why->text : "it cannot be used";
    switch (rc) {
    case RC_INVALID:
    case RC_CORRUPT:
        reply_problem(rq, 422, "backup_refused", "Nothing was changed: %s.", text);
        break;
    case RC_CONFLICT:
        reply_problem(rq, 409, "backup_refused", "Nothing was changed: %s.", text);
        break;
    case RC_FULL: reply_problem(rq, 507, "no_room", "Nothing was changed: %s.", text); break;
    default: reply_rc(rq, rc, "The restore"); break;
    }
}

static void restart_later(void *arg) {
    (void)arg;
    fiber_sleep_ms(RESTART_AFTER_MS);
    system_stop(true);
}

/* From here on the next clean stop brings the other database, so that stop comes at once. */
static rc_t arm(struct request *rq, struct db_restore *r) {
    struct fiber *f;
    str note = arena_printf(rq->arena, "%.*s", STR(rq->actor.email));
    rc_t rc = note.ptr ? RC_OK : RC_NO_MEMORY;
    if (!rc)
        rc = audit_add_alone(rq, &(struct audit_event){.action = "backup.restore",
                                                       .resource = S("backup"),
                                                       .result = "ok"});
    if (!rc) rc = db_restore_arm(r, note);
    return rc ? rc : fiber_start("restore", restart_later, NULL, &f);
}

static void answer(struct request *rq, bool only_check, s64 bytes, s64 users) {
    struct json_writer w;
    json_open(&w, KIB(1));
    json_object(&w, NULL);
    json_text(&w, "status", only_check ? S("good") : S("restarting"));
    json_int(&w, "bytes", bytes);
    json_int(&w, "users", users);
    json_object_end(&w);
    if (!only_check) http_close_after(rq->x);
    reply_json(rq, only_check ? 200 : 202, &w);
}

static bool flag_check(struct request *rq, bool *out) {
    str text = {0};
    if (!request_query_text(rq, "check", 8, &text)) return false;
    *out = str_eq(text, S("true"));
    if (!text.ptr || *out || str_eq(text, S("false"))) return true;
    reply_problem(rq, 400, "bad_query", "check is true or false.");
    return false;
}

static void post_restore(struct request *rq) {
    struct db_restore *r = NULL;
    struct diag why = {0};
    bool only_check;
    s64 users = 0, bytes = rq->http->content_length;
    if (!flag_check(rq, &only_check)) return;
    if (bytes <= 0) {
        reply_problem(rq, 411, "length_required",
                      "Send the backup as the body, with its Content-Length.");
        return;
    }
    u8 *piece = memory_alloc(MEMORY_REQUESTS, PIECE_BYTES);
    rc_t rc = piece ? db_restore_open((u64)bytes, &r, &why) : RC_NO_MEMORY;
    if (rc) http_close_after(rq->x); /* what it sends is not read */
    if (!rc) {
        rc = receive(rq, r, piece, &why);
        if (!rc) rc = db_restore_check(r, &why);
        if (!rc) rc = check_way_in(r, &users, &why);
        if (!rc && !only_check) rc = arm(rq, r);
        db_restore_close(r);
    }
    memory_free(MEMORY_REQUESTS, piece);
    if (rc) refuse(rq, rc, &why);
    else answer(rq, only_check, bytes, users);
}

/* ---- After a restore ----------------------------------------------------------------------- */

static rc_t tell(const char *who) {
    struct db_txn *t;
    char detail[320];
    int n = snprintf(detail, sizeof detail, "{\"by\":\"%s\"}", who);
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = auth_sessions_end(t);
    if (!rc)
        rc = audit_add(t, NULL,
                       &(struct audit_event){.action = "backup.restored",
                                             .resource = S("backup"),
                                             .result = "ok",
                                             .detail = str_of(detail, (size_t)n)});
    return db_write_end(t, rc);
}

static rc_t start(struct diag *why) {
    char who[200];
    if (schedule_start()) log_error("backup", "no backups are made: no timer left");
    if (!db_restored(who, sizeof who)) return RC_OK;
    for (char *c = who; *c; c++)
        if (*c == '"' || *c == '\\' || (u8)*c < ' ') *c = '?';
    rc_t rc = tell(who);
    if (!rc) rc = db_restored_forget();
    if (rc) diag_set(why, "the restore could not be noted (%s)", rc_name(rc));
    else log_warn("backup", "the database was restored; everyone signs in again", "by=%s",
                  LOGSTR(str_from_c(who)));
    return rc;
}

/* ---- Tables -------------------------------------------------------------------------------- */

static const struct route_param restore_query[] = {
    {"check", "boolean", "true: stage and check the file, change nothing"},
    {.name = NULL},
};
static const struct route routes[] = {
    {.method = HTTP_GET,
     .pattern = "/api/v1/backup",
     .handle = get_backup,
     .access = ACCESS_ADMIN,
     .permission = "backup:database:read",
     .summary = "The whole database of this moment, as one SQLite file",
     .tag = "Backup"},
    {.method = HTTP_POST,
     .pattern = "/api/v1/restore",
     .handle = post_restore,
     .access = ACCESS_ADMIN,
     .permission = "backup:database:restore",
     .summary = "Put a backup in the database's place and start anew",
     .tag = "Backup",
     .query = restore_query,
     .answer_schema = "#Restore",
     .success = 202},
    {.method = HTTP_POST,
     .pattern = "/api/v1/backup/run",
     .handle = post_backup_run,
     .access = ACCESS_ADMIN,
     .permission = "backup:database:run",
     .summary = "Make a scheduled backup now: stored, read back, proved",
     .tag = "Backup",
     .answer_schema = "#BackupRun"},
    {.method = HTTP_GET,
     .pattern = "/api/v1/backup/status",
     .handle = get_backup_status,
     .access = ACCESS_ADMIN,
     .permission = "backup:status:read",
     .summary = "How scheduled backups fare",
     .tag = "Backup",
     .answer_schema = "#BackupStatus"},
    {.pattern = NULL},
};
static const struct module_schema schemas[] = {
    {"Restore",
     "{\"type\":\"object\",\"required\":[\"status\",\"bytes\",\"users\"],\"properties\":{"
     "\"status\":{\"enum\":[\"good\",\"restarting\"]},\"bytes\":{\"type\":\"integer\"},"
     "\"users\":{\"type\":\"integer\"}}}"},
    {"BackupRun",
     "{\"type\":\"object\",\"required\":[\"key\",\"bytes\",\"proved\"],\"properties\":{"
     "\"key\":{\"type\":\"string\"},\"bytes\":{\"type\":\"integer\"},\"proved\":{\"type\":"
     "\"boolean\"},\"removed\":{\"type\":\"integer\"}}}"},
    {"BackupStatus",
     "{\"type\":\"object\",\"required\":[\"configured\",\"running\"],\"properties\":{"
     "\"configured\":{\"type\":\"boolean\"},\"running\":{\"type\":\"boolean\"},"
     "\"last_success\":{\"type\":[\"string\",\"null\"]},\"last_failure\":{\"type\":["
     "\"string\",\"null\"]},\"failure\":{\"type\":\"string\"}}}"},
    {.name = NULL},
};
static const char *const steps[] = {NULL};
static const struct db_schema schema = {.module = "backup", .steps = steps}; /* no tables */

const struct module backup_module = {.name = "backup",
                                     .start = start,
                                     .stop = schedule_stop,
                                     .routes = routes,
                                     .schema = &schema,
                                     .schemas = schemas};
