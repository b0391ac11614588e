/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c — moves the log into the database, so that the log can start over.
 *
 *   checkpoint_frames not copied yet -> a background fiber copies, readers and writers go on
 *   log longer than log_frames       -> the next writer waits for a complete copy before it begins
 *   log full all the same            -> RC_FULL: a reader holds an old snapshot, or a full disk
 *
 * Copying runs on a connection of its own. Once all frames are copied and no reader looks at them
 * any more, SQLite starts the log over with the next commit, whose header is flushed before its
 * frames: that commit costs one flush more.
 *
 * Always true: one checkpoint at a time. */
#include "kernel/base/log.h"
#include "kernel/base/bytes.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/db_impl.h"

#define CHECKPOINT_CACHE_KIB 64u
#define READERS_WAIT_MS 1000u
#define READERS_STEP_MS 2u
#define READERS_AGAIN_MS 5000u

static void free_pages_note(void) {
    struct layout_sqlite_header h;
    bool is_short;
    if (!pages_read(&db->store.pages, 0, &h, sizeof h, &is_short) && !is_short)
        db->free_pages = be32(h.free_count);
}

static rc_t checkpoint_once(int *out_frames, int *out_copied) {
    struct connection *c = &db->checkpointer;
    rc_t rc = RC_OK;
    *out_frames = *out_copied = 0;
    if (!c->handle) rc = connection_open(c, CHECKPOINT_CACHE_KIB, 1, NULL);
    if (rc) return rc;
    c->deadline_ns = UINT64_MAX;
    c->slice_ns = platform_clock_ns();
    int code = sqlite3_wal_checkpoint_v2(c->handle, "main", SQLITE_CHECKPOINT_PASSIVE, out_frames,
                                         out_copied);
    if (code) return connection_error(c, code);
    db->counts.checkpoints++;
    free_pages_note();
    return RC_OK;
}

rc_t checkpoint_run(bool *out_complete) {
    int frames = 0, copied = 0;
    *out_complete = false;
    while (db->checkpointing) {
        if (!fiber_inside()) return RC_AGAIN;
        rc_t rc = wait_queue_wait(&db->checkpoint_waiting, UINT64_MAX);
        CHECK(!rc);
    }
    if (db->store.failed) return RC_IO;
    db->checkpointing = true;
    rc_t rc = checkpoint_once(&frames, &copied);
    db->checkpointing = false;
    wait_queue_wake_all(&db->checkpoint_waiting);
    *out_complete = !rc && frames >= 0 && frames == copied;
    if (rc)
        log_warn("storage", "the log could not be moved into the database", "rc=%s", rc_name(rc));
    return rc;
}

static void checkpoint_fiber(void *arg) {
    bool complete;
    (void)arg;
    if (db->open && !db->paused && !db->down) {
        rc_t rc = checkpoint_run(&complete);
        if (!rc)
            log_debug("storage", "checkpoint", "frames=%u complete=%d", vfs_wal_frames(), complete);
    }
    db->checkpoint_asked = false;
}

void checkpoint_consider(void) {
    if (vfs_wal_frames() - vfs_wal_copied() < db->checkpoint_frames) return;
    if (db->checkpoint_asked || db->checkpointing) return;
    db->checkpoint_asked = true;
    if (!fiber_inside()) checkpoint_fiber(NULL); /* before the loop runs */
    else if (fiber_start("checkpoint", checkpoint_fiber, NULL, NULL)) db->checkpoint_asked = false;
}

/* Old snapshots keep frames from being copied, and any snapshot that uses the log keeps it from
 * starting over. No frame is added meanwhile and whoever begins to read once all is copied takes
 * all from the database, so this ends with the longest of those who read already. One that stays
 * longer than READERS_WAIT_MS is not waited for, nor is it by the commits that follow soon. */
static rc_t copy_all(bool *out_complete) {
    u64 now = platform_clock_ns(), until = now + (u64)READERS_WAIT_MS * NS_PER_MS;
    if (now < db->no_wait_until_ns || snapshot_running()) until = 0;
    rc_t rc = checkpoint_run(out_complete);
    while (!rc && (!*out_complete || vfs_wal_read())) {
        now = platform_clock_ns();
        if (until && now >= until) db->no_wait_until_ns = now + (u64)READERS_AGAIN_MS * NS_PER_MS;
        if (!fiber_inside() || now >= until) break;
        fiber_sleep_ms(READERS_STEP_MS);
        if (!*out_complete) rc = checkpoint_run(out_complete);
    }
    return rc;
}

/* The log's frames stay until they are copied; a transaction larger than what is left of the log
 * fails with RC_FULL when it gets there. */
rc_t checkpoint_make_room(void) {
    u32 max = wal_frames_max(&db->store.wal);
    bool complete = false;
    if (vfs_wal_frames() < db->log_frames) return RC_OK;
    rc_t rc = copy_all(&complete);
    if (rc == RC_FULL) return rc;
    if (complete || vfs_wal_frames() < max - max / 8) return RC_OK;
    if (snapshot_running()) {
        snapshot_give_up("the log has no more room for it: take it when less is written");
        return RC_OK;
    }
    log_warn("storage", "the log is full and cannot start over: a reader stays too long",
             "frames=%u copied=%u", vfs_wal_frames(), vfs_wal_copied());
    return RC_FULL;
}
