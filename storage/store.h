/* SPDX-License-Identifier: Apache-2.0 */
/* store.h — the two files SQLite sees, on their partitions: pages.c keeps the database, wal.c the
 * log. Only storage/ includes this. All calls park while the disk works, and may be entered again
 * by other fibers meanwhile; SQLite's own locks (vfs.c) keep a writer from its readers. */
#pragma once
#include "storage/layout.h"
#include "storage/volume.h"

struct store_disk { /* where a partition lies */
    u32 disk, block_bytes;
    u64 first_block, bytes; /* bytes: whole pages */
};

/* ---- pages.c: the database partition --------------------------------------------------------- */

#define PAGES_WAYS 4u
#define PAGES_RUN_PAGES 16u /* neighbours a checkpoint writes at once */
struct pages {
    struct store_disk at;
    u64 size; /* of the database file in bytes */
    u64 fence; /* it does not grow past this byte: restore.c keeps something behind it */
    /* The cache, shared by all connections: SQLite's own caches are emptied by each commit. */
    u8 **slots;      /* set_count * PAGES_WAYS pages, each allocated when first used */
    u32 *holds;      /* per slot: page number (from 1), 0: free */
    u8 *hands;       /* per set: the way replaced next */
    u32 set_count;   /* a power of two */
    u32 write_count; /* grows with each write; a read that overlapped one is not kept */
    /* Pages of a checkpoint not yet written: page run_first, run_count of them. */
    u8 *run;
    u32 run_first, run_count;
    bool gathering;
    u64 hits, misses;
};
rc_t pages_open(struct pages *p, const struct volume *v, size_t cache_bytes);
void pages_place(struct pages *p, const struct volume *v); /* its partition may have grown */
void pages_close(struct pages *p);
/* `at` and `n` within one page. Beyond the size: zeroes, and *out_short is true. RC_CORRUPT: the
 * page is not as it was written. */
rc_t pages_read(struct pages *p, u64 at, void *to, size_t n, bool *out_short);
rc_t pages_write(struct pages *p, u64 at, const void *from, size_t n); /* one whole page; RC_FULL */
void pages_gather(struct pages *p);   /* from here to pages_put writes may wait for neighbours */
rc_t pages_put(struct pages *p);      /* what was gathered is on the disk (not yet durable) */
void pages_truncate(struct pages *p, u64 bytes);

/* ---- wal.c: the write-ahead log -------------------------------------------------------------- */

#define WAL_HEADER_BYTES 32u
#define WAL_FRAME_BYTES (24u + LAYOUT_PAGE_BYTES)
struct wal {
    struct store_disk at;
    u64 size;   /* of the log file as SQLite sees it */
    u64 synced; /* bytes known durable from the start of the log */
    u8 *window; /* a ring: byte `o` of the log at window[o % window_bytes] */
    u32 window_bytes, window_bytes_max; /* powers of two; it grows when the log does */
    u64 start, end;           /* these bytes of the log are in the window; start on a block */
    u64 dirty_from, dirty_to; /* these are not on the disk yet; equal: none */
    bool recovering;          /* one reader alone: read ahead into the window */
    u32 in_flight;            /* writes out of the window that the disk has not done */
    u64 writes;               /* disk operations, for tests and figures */
};
rc_t wal_open(struct wal *w, const struct volume *v, size_t window_bytes_max);
/* SQLite has read what was there; its frames end at this byte, and wal_open made them durable. */
void wal_recovered(struct wal *w, u64 committed_end);
void wal_close(struct wal *w);
rc_t wal_read(struct wal *w, u64 at, void *to, size_t n, bool *out_short);
/* RC_FULL: the partition's end */
rc_t wal_write(struct wal *w, u64 at, const void *from, size_t n);
rc_t wal_sync(struct wal *w);   /* what was written is durable */
rc_t wal_forget(struct wal *w); /* the log is empty, durably */
rc_t wal_cut(struct wal *w, u64 at); /* durably no frame begins at byte `at` of the disk's log */
/* wal_check.c. The page of a committed frame, from the disk; RC_CORRUPT: it is not as written. */
rc_t wal_read_proved(struct wal *w, u32 frame, void *to);
/* After recovery, which believes `committed` frames: RC_CORRUPT if there were more which somebody
 * was told are durable, *out_frame the first of them that is damaged (0: the log's header). */
rc_t wal_look_past(struct wal *w, u32 committed, u32 *out_frame);
/* Through the window, as wal_read does, but without the file's end. */
rc_t wal_read_raw(const struct wal *w, u64 at, void *to, size_t n);
static inline u64 wal_frame_offset(u64 frame) { /* of frame 1, 2, ... */
    return WAL_HEADER_BYTES + (frame - 1) * WAL_FRAME_BYTES;
}
static inline u32 wal_frames_max(const struct wal *w) {
    u64 n = (w->at.bytes - WAL_HEADER_BYTES) / WAL_FRAME_BYTES;
    return (u32)MIN(n, (u64)UINT32_MAX);
}

/* ---- vfs.c: both, as SQLite wants them ------------------------------------------------------- */

struct store {
    struct pages pages;
    struct wal wal;
    /* the first device error of a write or flush; nothing is written while it is set */
    rc_t failed;
    u64 read_errors, damaged; /* damaged: pages that were not as they were written */
    bool full;   /* the device said ENOSPC */
    void (*on_error)(void); /* a device error was seen; called once per error, must not park */
};
void store_fail(struct store *s, rc_t rc, const char *what, const char *verb);
#define VFS_NAME "openpolicy"
#define VFS_DATABASE_NAME "openpolicy.db"
rc_t vfs_start(struct store *s); /* registers the VFS and keeps `s`; RC_NO_MEMORY */
void vfs_stop(void);
u32 vfs_wal_frames(void); /* committed frames in the log, from the wal-index */
u32 vfs_wal_copied(void); /* so many of them are in the database by now */
bool vfs_wal_read(void);  /* somebody's snapshot needs them: the log cannot start over */
u32 vfs_wal_pages(void);  /* the database's size as of the log's last commit; 0: ask pages.size */
/* Where the frames end whose commits were acknowledged; 0: none. */
u64 vfs_wal_committed_end(void);

/* What is staged for a restore, as a file that never changes: restore.c. */
#define VFS_STAGED_NAME "staged.db"
u64 restore_bytes(void);
rc_t restore_read(u64 at, void *to, size_t n, bool *out_short);

rc_t heap_start(void); /* heap.c: SQLite's memory from MEMORY_SQL; before sqlite3_initialize */
