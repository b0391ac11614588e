/* SPDX-License-Identifier: Apache-2.0 */
/* repair.c — after a device error: nothing is believed until the disk has proved itself.
 *
 *   error -> health falls -> every second or so: write, flush and read back a probe page
 *     only reads failed            -> healthy again
 *     a write or a flush failed    -> wait until nobody uses a connection, close them, wipe
 *                                     what follows the acknowledged frames, open anew, recover
 *
 * A flush that failed is never retried: the device may have dropped what it could not write and say
 * "done" the next time. What it holds is read back instead. The wipe makes sure that a commit whose
 * caller was told "failed" does not come back to life.
 *
 * A disk can die while nobody writes. So whoever asks how the database is (db_status_get:
 * readiness, metrics) sets off the same probe, every five seconds at most; a machine nobody asks
 * stays quiet.
 *
 * Always true: while store.failed is set nothing is written but probes; readers go on until the
 * moment of reopening and then wait for it. */
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/db_impl.h"

#define REPAIR_FIRST_MS 100u
#define REPAIR_AGAIN_MS 1000u
#define WATCH_EVERY_MS 5000u
#define DRAIN_STEP_MS 5u
#define DRAIN_STEPS 2000u /* ten seconds */

/* A flush that fails here may have dropped what a commit is writing right now, so it counts as any
 * other does. */
static rc_t probe(void) {
    const struct volume *v = &db->volume;
    u32 count = LAYOUT_PAGE_BYTES / v->info.block_bytes;
    u64 block = v->parts[VOLUME_CRASH].first_block + LAYOUT_PROBE_AT / v->info.block_bytes;
    u64 *page = memory_alloc(MEMORY_SQL, 2 * LAYOUT_PAGE_BYTES);
    if (!page) return RC_NO_MEMORY;
    u64 *back = page + LAYOUT_PAGE_BYTES / sizeof *page;
    u64 seed = platform_clock_ns() | 1;
    for (u32 i = 0; i < LAYOUT_PAGE_BYTES / sizeof *page; i++) page[i] = seed * (i + 1);
    rc_t rc = disk_write(v->disk, block, count, page);
    if (!rc) rc = disk_flush(v->disk);
    if (rc && rc != RC_FULL && db->open) store_fail(&db->store, rc, "probe", "write");
    if (!rc) rc = disk_read(v->disk, block, count, back);
    if (!rc && memcmp(page, back, LAYOUT_PAGE_BYTES) != 0) rc = RC_CORRUPT;
    memory_free(MEMORY_SQL, page);
    return rc;
}

static void watch_fiber(void *arg) {
    (void)arg;
    if (db->open && !db->stopping && !db->repairing) {
        rc_t rc = probe();
        if (rc && rc != RC_NO_MEMORY && db->open) repair_ask();
    }
    db->watching = false;
}

void repair_watch(void) {
    u64 now = platform_clock_ns();
    bool due = now - db->watched_ns >= (u64)WATCH_EVERY_MS * NS_PER_MS;
    if (!due || !db->open || db->watching || db->repairing || db->stopping || !loop_running())
        return;
    db->watched_ns = now;
    db->watching = fiber_start("storage-watch", watch_fiber, NULL, NULL) == RC_OK;
}

static bool in_use(void) {
    bool busy = db->turn_taken || db->checkpointing || snapshot_running() || restore_running();
    for (u32 i = 0; i < db->reader_count; i++) busy |= db->readers[i].busy;
    return busy;
}

static rc_t drain(void) {
    for (u32 i = 0; in_use(); i++) {
        if (i == DRAIN_STEPS || !fiber_inside()) return RC_TIMEOUT;
        fiber_sleep_ms(DRAIN_STEP_MS);
    }
    return RC_OK;
}

static rc_t reopen(void) {
    struct diag why = {0};
    rc_t rc = db_stores_open();
    if (!rc) rc = wal_cut(&db->store.wal, db->cut_at);
    if (!rc) rc = vfs_start(&db->store);
    if (!rc) rc = db_writer_open(&why);
    if (rc) {
        db_connections_close(false);
        vfs_stop();
        db_stores_close();
        db->store.failed = RC_IO; /* closed: nothing may be written, and the next attempt opens */
        return rc;
    }
    if (vfs_wal_committed_end() < db->cut_at)
        log_error("storage", "the disk lost acknowledged rows: restore a backup", "bytes=%llu",
                  (unsigned long long)(db->cut_at - vfs_wal_committed_end()));
    return RC_OK;
}

rc_t repair_try(void) {
    rc_t rc = probe();
    if (rc) return rc;
    if (db->store.failed) {
        db->paused = true;
        snapshot_give_up("the disk failed");
        rc = drain();
        if (!rc) {
            db->turn_taken = true; /* nobody begins while this fiber parks */
            if (db->writer.handle) {
                db->cut_at = vfs_wal_committed_end();
                db_connections_close(false);
                vfs_stop();
                db_stores_close();
            }
            rc = reopen();
            db->down = rc != RC_OK;
            db->paused = false;
            writer_turn_pass();
        } else {
            db->paused = false;
        }
        readers_wake();
    }
    if (rc) return rc;
    db->healthy = true;
    log_warn("storage", "the disk works again", "disk=%u", db->volume.disk);
    return RC_OK;
}

static void repair_fiber(void *arg) {
    (void)arg;
    rc_t rc = db->open && !db->stopping ? repair_try() : RC_OK;
    db->repairing = false;
    if (rc && db->open && !db->stopping) repair_ask();
}

static void on_timer(void *arg) {
    (void)arg;
    if (fiber_start("storage-repair", repair_fiber, NULL, NULL) == RC_OK) return;
    db->repairing = false;
    repair_ask();
}

void repair_ask(void) {
    bool first = db->healthy;
    db->healthy = false;
    if (db->repairing || !db->open || db->stopping) return;
    db->repairing = true;
    timer_init(&db->repair_timer, on_timer, NULL);
    rc_t rc = timer_start_after_ms(&db->repair_timer, first ? REPAIR_FIRST_MS : REPAIR_AGAIN_MS);
    if (rc) db->repairing = false; /* no timer left: the next error asks again */
}
