/* SPDX-License-Identifier: Apache-2.0 */
/* grow.c — the database follows a disk that becomes larger while it is in use.
 *
 *   the disk's size changes -> a fiber: volume_grow (tables, partition)
 *                                       -> with the writer's turn: the new bounds
 *
 * A disk that shrinks is left to the next start, which says what is missing. Pages that are staged
 * for a restore keep their place: they lie behind a fence until then. */
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "storage/db_impl.h"

static bool growing, asked_again;

static rc_t bounds_move(void) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    pages_place(&db->store.pages, &db->volume);
    db_bounds_set();
    db->store.full = false;
    log_info("storage", "the database has more room", "MiB=%llu",
             (unsigned long long)(db->store.pages.at.bytes >> 20));
    return db_write_end(t, db_page_limit_set(db->pages_soft));
}

static void grow_fiber(void *arg) {
    (void)arg;
    do {
        asked_again = false;
        if (!db->open || db->stopping) break;
        u64 had = db->volume.parts[VOLUME_DATABASE].block_count;
        rc_t rc = volume_grow(&db->volume);
        bool more = db->volume.parts[VOLUME_DATABASE].block_count > had;
        if (!rc && more) rc = bounds_move();
        if (rc)
            log_warn("storage", "the disk's new size counts from the next start on", "rc=%s",
                     rc_name(rc));
    } while (asked_again);
    growing = false;
}

static void on_size(u32 disk) {
    if (!db->open || disk != db->volume.disk) return;
    asked_again = growing;
    if (!growing) growing = fiber_start("storage-grow", grow_fiber, NULL, NULL) == RC_OK;
}

void grow_watch(void) {
    growing = false;
    disk_on_size(on_size);
}
