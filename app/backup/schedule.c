/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c — backups that nobody has to think of: to storage that speaks S3, and proved.
 *
 *   every backup.every:  database -> PUT prefix/openpolicy-TIME.sqlite
 *                        -> GET it back -> staged and checked as a restore would be -> forgotten
 *                        -> the oldest beyond backup.keep are removed
 *
 * The proof reads what the storage has, not what we sent. Only a backup that was proved lets older
 * ones go. When the last one was is read off the storage's own list, so a restart neither forgets
 * nor repeats one. A failure is counted, said on the console, and tried again in some minutes.
 *
 * Always true: one run at a time; what fails on the way changes nothing here. */
#include "app/audit/audit.h"
#include "app/backup/backup_impl.h"
#include "app/backup/s3.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "app/utc.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "kernel/platform.h"
#include "storage/backup.h"

#define NAME "openpolicy-"
#define NAME_END ".sqlite"
enum { PIECE_BYTES = 65536, RUN_ARENA_MAX = 4 << 20 };
#define LOOK_MS 60000u    /* is one due? */
#define AGAIN_S 600u      /* after one that failed */

struct run {
    struct arena arena;
    struct backup_target target;
    struct db_snapshot *snapshot;
    struct db_restore *restore;
    u8 *piece;
    str key;
    u64 bytes;
    u32 removed;
    struct diag why;
};
static struct schedule {
    struct timer timer;
    bool running, stopping, looked; /* looked: at the list, for when the last one was */
    u64 last_ns, failed_ns;         /* UTC */
    struct diag why;                /* of the last failure; empty: it went well */
} schedule;

/* ---- One backup ------------------------------------------------------------------------------ */

static rc_t next_piece(void *arg, str *piece) {
    struct run *r = arg;
    size_t got = 0;
    rc_t rc = db_snapshot_read(r->snapshot, r->piece, PIECE_BYTES, &got);
    *piece = str_of((char *)r->piece, got);
    return rc;
}

static rc_t send(struct run *r) {
    rc_t rc = db_snapshot_open(&r->snapshot, &r->bytes);
    if (rc) {
        diag_set(&r->why, "the copy could not be begun (%s)", rc_name(rc));
        return rc;
    }
    rc = s3_put(&r->arena, &r->target, r->key, r->bytes, next_piece, r, &r->why);
    db_snapshot_close(r->snapshot);
    return rc;
}

static rc_t stage_begin(void *arg, u64 bytes) {
    struct run *r = arg;
    if (bytes == r->bytes) return db_restore_open(bytes, &r->restore, &r->why);
    diag_set(&r->why, "%llu bytes were sent and the storage has %llu", (unsigned long long)r->bytes,
             (unsigned long long)bytes);
    return RC_CORRUPT;
}
static rc_t stage(void *arg, str piece) {
    struct run *r = arg;
    return db_restore_write(r->restore, piece, &r->why);
}

/* It would go back in: that, and no less, is a backup. */
static rc_t prove(struct run *r) {
    rc_t rc = s3_get(&r->arena, &r->target, r->key, stage_begin, stage, r,
                     str_of((char *)r->piece, PIECE_BYTES), &r->why);
    if (!rc) rc = db_restore_check(r->restore, &r->why);
    if (r->restore) db_restore_close(r->restore);
    metric_add(rc ? METRIC_BACKUP_PROOF_FAILED : METRIC_BACKUP_PROOFS, 1);
    if (!rc) metric_values[METRIC_BACKUP_PROVED] = platform_wall_ns() / NS_PER_S;
    return rc;
}

/* Its names sort as their times do. */
static rc_t thin_out(struct run *r) {
    str *keys;
    u32 count, keep = (u32)config_int("backup.keep");
    rc_t rc = s3_list(&r->arena, &r->target, S(NAME), &keys, &count, &r->why);
    for (u32 i = 0; !rc && i + keep < count; i++) {
        rc = s3_remove(&r->arena, &r->target, keys[i], &r->why);
        if (!rc) r->removed++;
    }
    return rc;
}

static rc_t run_prepared(struct run *r) {
    char room[UTC_ROOM];
    str time = str_take(utc_write(platform_wall_ns(), room), 19);
    rc_t rc = backup_target_parse(&r->arena, config_text("backup.s3"), &r->target, &r->why);
    if (rc) return rc;
    if (!r->target.bucket.len) {
        diag_set(&r->why, "backup.s3 names no bucket");
        return RC_NOT_FOUND;
    }
    for (size_t i = 0; i < time.len; i++)
        if (room[i] == ':') room[i] = '.';
    r->key = arena_join(&r->arena, r->target.prefix, S(NAME), time, S(NAME_END));
    r->piece = memory_alloc(MEMORY_SERVICES, PIECE_BYTES);
    if (!r->key.ptr || !r->piece) return RC_NO_MEMORY;
    rc = send(r);
    if (!rc) rc = prove(r);
    if (!rc) rc = thin_out(r);
    return rc;
}

/* The run's arena is the caller's to close. RC_CONFLICT with no key: one is being made. */
static rc_t run(struct run *r) {
    *r = (struct run){.snapshot = NULL};
    arena_open(&r->arena, NULL, 0, RUN_ARENA_MAX);
    if (schedule.running || schedule.stopping) return RC_CONFLICT;
    schedule.running = true;
    rc_t rc = run_prepared(r);
    memory_free(MEMORY_SERVICES, r->piece);
    schedule.running = false;
    schedule.why = r->why;
    if (rc && !r->why.text[0]) diag_set(&schedule.why, "%s", rc_name(rc));
    if (rc) {
        schedule.failed_ns = platform_wall_ns();
        metric_add(METRIC_BACKUP_FAILED, 1);
        log_error("backup", "the scheduled backup failed", "why=%s",
                  LOGSTR(str_from_c(schedule.why.text)));
    } else {
        schedule.last_ns = platform_wall_ns();
        schedule.why = (struct diag){0};
        metric_add(METRIC_BACKUPS, 1);
        metric_values[METRIC_BACKUP_LAST] = schedule.last_ns / NS_PER_S;
        log_info("backup", "a backup was stored and proved", "key=%.*s bytes=%llu removed=%u",
                 STR(r->key), (unsigned long long)r->bytes, r->removed);
    }
    return rc;
}

/* ---- When ------------------------------------------------------------------------------------ */

static bool configured(void) { return config_text("backup.s3").len > sizeof "{}" - 1; }

/* The newest name's time; 0: none. */
static u64 newest_ns(void) {
    struct arena a;
    struct backup_target t;
    struct diag why = {0};
    str *keys;
    u32 count = 0;
    u64 ns = 0;
    char text[UTC_ROOM] = "";
    arena_open(&a, NULL, 0, RUN_ARENA_MAX);
    rc_t rc = backup_target_parse(&a, config_text("backup.s3"), &t, &why);
    if (!rc) rc = s3_list(&a, &t, S(NAME), &keys, &count, &why);
    if (!rc && count) {
        str name = str_skip(keys[count - 1], t.prefix.len + sizeof NAME - 1);
        size_t n = MIN(name.len, (size_t)19);
        memcpy(text, name.ptr, n);
        for (size_t i = 0; i < n; i++)
            if (text[i] == '.') text[i] = ':';
        text[n] = 'Z';
        if (utc_parse(str_of(text, n + 1), &ns)) ns = 0;
    }
    schedule.looked = !rc;
    arena_close(&a);
    return ns;
}

static bool due(void) {
    u64 now = platform_wall_ns(), every = (u64)config_int("backup.every") * NS_PER_S;
    if (!configured() || schedule.running || schedule.stopping || !now)
        return false;
    if (schedule.failed_ns && now - MIN(now, schedule.failed_ns) < AGAIN_S * NS_PER_S) return false;
    return now - MIN(now, schedule.last_ns) >= every;
}

static void scheduled(void *arg) {
    struct run r;
    (void)arg;
    if (!schedule.looked) schedule.last_ns = MAX(schedule.last_ns, newest_ns());
    if (!due()) return;
    (void)!!run(&r);
    arena_close(&r.arena);
}

static void on_timer(void *arg) {
    (void)arg;
    if (due() && fiber_start("backup", scheduled, NULL, NULL))
        log_warn("backup", "a backup is due and waits for a free fiber");
    if (timer_start_after_ms(&schedule.timer, LOOK_MS))
        log_error("backup", "no backups are made any more: no timer left");
}

rc_t schedule_start(void) {
    schedule = (struct schedule){0};
    timer_init(&schedule.timer, on_timer, NULL);
    return timer_start_after_ms(&schedule.timer, LOOK_MS);
}
void schedule_stop(void) {
    schedule.stopping = true;
    timer_stop(&schedule.timer);
}

/* ---- Routes ---------------------------------------------------------------------------------- */

void post_backup_run(struct request *rq) {
    struct run r;
    struct json_writer w;
    if (!configured()) {
        reply_problem(rq, 409, "no_backup_target", "Say in backup.s3 where backups go.");
        return;
    }
    rc_t rc = audit_add_alone(rq, &(struct audit_event){.action = "backup.run",
                                                        .resource = S("backup"),
                                                        .result = "ok"});
    if (rc) {
        reply_rc(rq, rc, "The backup");
        return;
    }
    rc = run(&r);
    if (rc == RC_CONFLICT && !r.key.len) {
        reply_problem(rq, 409, "backup_running", "A backup is being made already.");
    } else if (rc) {
        reply_problem(rq, 502, "backup_failed", "No backup was made: %s.", schedule.why.text);
    } else {
        json_open(&w, KIB(4));
        json_object(&w, NULL);
        json_text(&w, "key", r.key);
        json_int(&w, "bytes", (s64)r.bytes);
        json_bool(&w, "proved", true);
        json_int(&w, "removed", r.removed);
        json_object_end(&w);
        reply_json(rq, 200, &w);
    }
    arena_close(&r.arena);
}

void get_backup_status(struct request *rq) {
    struct json_writer w;
    json_open(&w, KIB(4));
    json_object(&w, NULL);
    json_bool(&w, "configured", configured());
    json_bool(&w, "running", schedule.running);
    json_time(&w, "last_success", schedule.last_ns);
    json_time(&w, "last_failure", schedule.failed_ns);
    json_text(&w, "failure", str_from_c(schedule.why.text));
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
