/* SPDX-License-Identifier: Apache-2.0 */
/* vfs.c — SQLite's operating system: two files, no file system.
 *
 *   "openpolicy.db"      -> pages.c   the database partition
 *   "openpolicy.db-wal"  -> wal.c     the log partition
 *   wal-index            -> memory of this process, 32 KiB pieces, gone with it
 *   anything else        -> refused: temporary tables and statement journals stay in memory
 *                           (SQLITE_TEMP_STORE=3), and a database that is born in WAL mode never
 *                           has a rollback journal. A crash loses nothing by that: both only serve
 *                           transactions that were not committed.
 *
 * SQLite runs on fibers and parks inside xRead, xWrite, xSync and xSleep. It is built without
 * threads, so what it shares between connections must be whole at each of these points: its
 * allocator, its random numbers and its page lists are not in use while it does I/O (each
 * connection has page lists of its own, as SQLITE_CONFIG_PAGECACHE is not used), and a connection
 * belongs to one fiber at a time (db.c). What connections share is here: locks and the wal-index,
 * which SQLite made for processes that stop anywhere.
 *
 * Always true: after a device error on a write or a flush nothing more is written or flushed until
 * the store is opened anew, so a flush is never retried. Reads go on: the wal-index moves only
 * after a flush returned, so they see acknowledged rows only. */
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "storage/store.h"
#include <sqlite3.h>
#include <stdio.h>

#define SHM_PIECE_BYTES 32768 /* what SQLite asks for */
#define SHM_PIECES_MAX 1024u  /* 4 million frames */

enum file_kind { FILE_DATABASE, FILE_WAL, FILE_STAGED };
struct file {
    sqlite3_file base; /* first */
    enum file_kind kind;
    int lock;              /* SQLITE_LOCK_*, of the database file */
    u16 shared, exclusive; /* wal-index locks held, one bit each */
    bool mapped;
    bool wrote; /* to the log, since the last sync */
};

struct vfs {
    sqlite3_vfs base;
    struct store *store;
    bool registered;
    /* Locks of the database file. In WAL mode everyone holds SHARED, and closing asks for more. */
    u32 shared_count;
    struct file *reserved, *exclusive;
    /* The wal-index. */
    void *pieces[SHM_PIECES_MAX];
    u32 piece_count, mapped_count;
    u32 shm_shared[SQLITE_SHM_NLOCK];
    struct file *shm_exclusive[SQLITE_SHM_NLOCK];
};
static struct vfs the_vfs;
static struct vfs *const vfs = &the_vfs;

static struct file *file_of(sqlite3_file *f) { return (struct file *)(void *)f; }

/* ---- Errors ---------------------------------------------------------------------------------- */

static int read_result(rc_t rc, const char *what, u64 at) {
    if (!rc) return SQLITE_OK;
    if (rc == RC_NO_MEMORY) return SQLITE_IOERR_NOMEM;
    if (rc == RC_CORRUPT) { /* the disk did as it was told: trying it says nothing */
        log_error("storage", "a page is not as it was written: replace the disk, restore a backup",
                  "of=%s at=%llu", what, (unsigned long long)at);
        vfs->store->damaged++;
        return SQLITE_IOERR_DATA;
    }
    log_error("storage", "a read failed: check the disk", "of=%s at=%llu rc=%s", what,
              (unsigned long long)at, rc_name(rc));
    vfs->store->read_errors++;
    if (vfs->store->on_error) vfs->store->on_error();
    return SQLITE_IOERR_READ;
}

static int write_result(rc_t rc, int code, const char *what, const char *verb) {
    if (!rc) return SQLITE_OK;
    if (rc == RC_NO_MEMORY) return SQLITE_IOERR_NOMEM;
    struct store *s = vfs->store;
    if (rc == RC_FULL) {
        if (!s->full) log_error("storage", "the disk is full: give it room", "of=%s", what);
        s->full = true;
        return SQLITE_FULL;
    }
    store_fail(s, rc, what, verb);
    return code;
}

void store_fail(struct store *s, rc_t rc, const char *what, const char *verb) {
    if (s->failed) return;
    s->failed = rc;
    log_error("storage", "a write failed: nothing is written until the disk works again",
              "of=%s verb=%s rc=%s", what, verb, rc_name(rc));
    if (s->on_error) s->on_error();
}

/* ---- Reading, writing, flushing -------------------------------------------------------------- */

/* What is in the window was written or recovered by this process. A page of a committed frame that
 * comes from the disk is proved; other reads are recovery's, which proves what it reads itself, and
 * a writer's of its own frames, whose sums come with the commit. */
static rc_t frames_read(struct wal *w, u64 at, void *to, size_t n, bool *out_short) {
    u64 past = at - WAL_HEADER_BYTES, frame = past / WAL_FRAME_BYTES + 1;
    bool near = w->recovering || (at >= w->start && at + n <= w->end);
    bool page = n == LAYOUT_PAGE_BYTES && past % WAL_FRAME_BYTES == WAL_FRAME_BYTES - n;
    if (near || !page || frame > vfs_wal_frames()) return wal_read(w, at, to, n, out_short);
    return wal_read_proved(w, (u32)frame, to);
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    bool is_short = false;
    struct store *s = vfs->store;
    bool log = file_of(f)->kind == FILE_WAL;
    rc_t rc = log ? frames_read(&s->wal, (u64)at, to, (size_t)n, &is_short)
                  : pages_read(&s->pages, (u64)at, to, (size_t)n, &is_short);
    if (rc) return read_result(rc, log ? "wal" : "database", (u64)at);
    return is_short ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    struct store *s = vfs->store;
    if (s->failed) return SQLITE_IOERR_WRITE;
    bool log = file_of(f)->kind == FILE_WAL;
    file_of(f)->wrote = log;
    rc_t rc = log ? wal_write(&s->wal, (u64)at, from, (size_t)n)
                  : pages_write(&s->pages, (u64)at, from, (size_t)n);
    if (rc == RC_FULL && log && (u64)at + (u64)n > s->wal.at.bytes)
        return SQLITE_FULL; /* the log's end: a checkpoint makes room, the disk is not at fault */
    return write_result(rc, SQLITE_IOERR_WRITE, log ? "wal" : "database", "write");
}

static int file_sync(sqlite3_file *f, int flags) {
    struct store *s = vfs->store;
    (void)f, (void)flags;
    if (s->failed) return SQLITE_IOERR_FSYNC;
    rc_t rc = pages_put(&s->pages);
    if (!rc) rc = disk_flush(s->pages.at.disk);
    if (!rc && s->failed) return SQLITE_IOERR_FSYNC; /* see wal_file_sync */
    if (!rc) s->full = false;
    return write_result(rc, SQLITE_IOERR_FSYNC, "database", "flush");
}

/* A checkpoint asks for the log's flush each time, through a file that wrote nothing. When all
 * committed frames are durable it needs none, and it must not put on the disk what another fiber's
 * transaction has written so far. */
static int wal_file_sync(sqlite3_file *f, int flags) {
    struct store *s = vfs->store;
    struct file *file = file_of(f);
    (void)flags;
    if (s->failed) return SQLITE_IOERR_FSYNC;
    if (!file->wrote && s->wal.synced >= vfs_wal_committed_end()) return SQLITE_OK;
    file->wrote = false;
    rc_t rc = wal_sync(&s->wal);
    /* Another fiber's flush failed meanwhile: it may have dropped what this one wrote. */
    if (!rc && s->failed) return SQLITE_IOERR_FSYNC;
    if (!rc) s->full = false;
    return write_result(rc, SQLITE_IOERR_FSYNC, "wal", "flush");
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 bytes) {
    struct store *s = vfs->store;
    if (s->failed) return SQLITE_IOERR_TRUNCATE;
    if (file_of(f)->kind == FILE_DATABASE) {
        pages_truncate(&s->pages, (u64)bytes);
        return SQLITE_OK;
    }
    if (bytes != 0)
        return SQLITE_OK; /* the partition keeps its size; what counts is in the frames */
    return write_result(wal_forget(&s->wal), SQLITE_IOERR_TRUNCATE, "wal", "forget");
}

static int file_size(sqlite3_file *f, sqlite3_int64 *out) {
    struct store *s = vfs->store;
    *out = (sqlite3_int64)(file_of(f)->kind == FILE_WAL ? s->wal.size : s->pages.size);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg) {
    struct store *s = vfs->store;
    (void)arg;
    if (file_of(f)->kind != FILE_DATABASE) return SQLITE_NOTFOUND;
    if (op == SQLITE_FCNTL_CKPT_START) {
        pages_gather(&s->pages);
        return SQLITE_OK;
    }
    if (op == SQLITE_FCNTL_CKPT_DONE) {
        if (s->failed) return SQLITE_IOERR_WRITE;
        rc_t rc = pages_put(&s->pages);
        /* SQLite does not look at this result, so whatever the error: stop writing, open anew. The
         * pages that did not reach the disk stay visible to reads until then. */
        if (rc == RC_FULL) s->full = true, rc = RC_IO;
        return write_result(rc, SQLITE_IOERR_WRITE, "database", "checkpoint");
    }
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *f) {
    (void)f;
    return (int)vfs->store->pages.at.block_bytes;
}

static int file_characteristics(sqlite3_file *f) {
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
}

/* ---- Locks of the database file -------------------------------------------------------------- */

static int file_lock(sqlite3_file *base, int level) {
    struct file *f = file_of(base);
    if (f->kind != FILE_DATABASE || f->lock >= level) return SQLITE_OK;
    if (vfs->exclusive && vfs->exclusive != f) return SQLITE_BUSY;
    if (level >= SQLITE_LOCK_RESERVED) {
        if (vfs->reserved && vfs->reserved != f) return SQLITE_BUSY;
        vfs->reserved = f;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        if (vfs->shared_count > (f->lock >= SQLITE_LOCK_SHARED ? 1u : 0u)) {
            if (f->lock < SQLITE_LOCK_RESERVED) vfs->reserved = NULL;
            return SQLITE_BUSY;
        }
        vfs->exclusive = f;
    }
    if (f->lock < SQLITE_LOCK_SHARED) vfs->shared_count++;
    f->lock = level;
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level) {
    struct file *f = file_of(base);
    if (f->kind != FILE_DATABASE || f->lock <= level) return SQLITE_OK;
    if (vfs->exclusive == f) vfs->exclusive = NULL;
    if (vfs->reserved == f) vfs->reserved = NULL;
    if (level == SQLITE_LOCK_NONE && f->lock >= SQLITE_LOCK_SHARED) {
        CHECK(vfs->shared_count > 0);
        vfs->shared_count--;
    }
    f->lock = level;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *out) {
    (void)base;
    *out = vfs->reserved != NULL;
    return SQLITE_OK;
}

/* ---- The wal-index --------------------------------------------------------------------------- */

static int shm_map(sqlite3_file *base, int piece, int bytes, int extend, void volatile **out) {
    struct file *f = file_of(base);
    *out = NULL;
    if (!f->mapped) {
        f->mapped = true;
        vfs->mapped_count++;
    }
    if (bytes != SHM_PIECE_BYTES || piece < 0 || (u32)piece >= SHM_PIECES_MAX)
        return SQLITE_IOERR_SHMMAP;
    while (vfs->piece_count <= (u32)piece) {
        if (!extend) return SQLITE_OK;
        void *fresh = memory_zero(MEMORY_SQL, SHM_PIECE_BYTES);
        if (!fresh) return SQLITE_NOMEM;
        vfs->pieces[vfs->piece_count++] = fresh;
    }
    *out = vfs->pieces[piece];
    return SQLITE_OK;
}

static int shm_unlock(struct file *f, u16 mask) {
    for (u32 i = 0; i < SQLITE_SHM_NLOCK; i++) {
        if (!(mask & 1u << i)) continue;
        if (f->exclusive & 1u << i) vfs->shm_exclusive[i] = NULL;
        if (f->shared & 1u << i) vfs->shm_shared[i]--;
    }
    f->exclusive &= (u16)~mask;
    f->shared &= (u16)~mask;
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int offset, int n, int flags) {
    struct file *f = file_of(base);
    u16 mask = (u16)(((1u << (offset + n)) - 1) & ~((1u << offset) - 1));
    CHECK(offset >= 0 && n >= 1 && offset + n <= SQLITE_SHM_NLOCK);
    if (flags & SQLITE_SHM_UNLOCK) return shm_unlock(f, mask);
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    for (int i = offset; i < offset + n; i++) {
        u32 others = vfs->shm_shared[i] - (f->shared >> i & 1u);
        if ((vfs->shm_exclusive[i] && vfs->shm_exclusive[i] != f) || (exclusive && others))
            return SQLITE_BUSY;
    }
    for (int i = offset; i < offset + n; i++) {
        if (exclusive) vfs->shm_exclusive[i] = f;
        else if (!(f->shared & 1u << i)) vfs->shm_shared[i]++;
    }
    if (exclusive) f->exclusive |= mask;
    else f->shared |= mask;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *f) { (void)f; } /* one core runs all of it */

static int shm_unmap(sqlite3_file *base, int and_delete) {
    struct file *f = file_of(base);
    (void)and_delete;
    if (!f->mapped) return SQLITE_OK;
    shm_unlock(f, f->shared | f->exclusive);
    f->mapped = false;
    if (--vfs->mapped_count) return SQLITE_OK;
    while (vfs->piece_count) memory_free(MEMORY_SQL, vfs->pieces[--vfs->piece_count]);
    return SQLITE_OK;
}

/* WalIndexHdr in SQLite's wal.c: version, unused, change counter, two flags, page size, mxFrame,
 * nPage. The layout is part of the file format (https://sqlite.org/walformat.html 2.1). */
u32 vfs_wal_frames(void) {
    u32 frames = 0;
    if (vfs->piece_count) memcpy(&frames, (const u8 *)vfs->pieces[0] + 16, sizeof frames);
    return frames;
}

u32 vfs_wal_pages(void) {
    u32 pages = 0;
    if (vfs_wal_frames()) memcpy(&pages, (const u8 *)vfs->pieces[0] + 20, sizeof pages);
    return pages;
}

/* WalCkptInfo follows two copies of that header; its first field is nBackfill. */
u32 vfs_wal_copied(void) {
    u32 copied = 0;
    if (vfs->piece_count) memcpy(&copied, (const u8 *)vfs->pieces[0] + 96, sizeof copied);
    return MIN(copied, vfs_wal_frames());
}

/* Of the eight locks the last four are marks of readers who look at the log. */
bool vfs_wal_read(void) {
    u32 readers = 0;
    for (u32 i = SQLITE_SHM_NLOCK - 4; i < SQLITE_SHM_NLOCK; i++) readers += vfs->shm_shared[i];
    return readers != 0;
}

u64 vfs_wal_committed_end(void) {
    u32 frames = vfs_wal_frames();
    return frames ? wal_frame_offset((u64)frames + 1) : 0;
}

/* ---- What is staged for a restore -------------------------------------------------------------
 */

/* A file that never changes needs no locks and no log, and a log's mark in its header says nothing:
 * SQLite takes it as it is (SQLITE_IOCAP_IMMUTABLE). */
static int staged_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    bool is_short = false;
    (void)f;
    rc_t rc = restore_read((u64)at, to, (size_t)n, &is_short);
    if (rc) return read_result(rc, "staged", (u64)at);
    return is_short ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}
static int staged_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    (void)f, (void)from, (void)n, (void)at;
    return SQLITE_READONLY;
}
static int staged_truncate(sqlite3_file *f, sqlite3_int64 bytes) {
    (void)f, (void)bytes;
    return SQLITE_READONLY;
}
static int staged_sync(sqlite3_file *f, int flags) {
    (void)f, (void)flags;
    return SQLITE_OK;
}
static int staged_size(sqlite3_file *f, sqlite3_int64 *out) {
    (void)f;
    *out = (sqlite3_int64)restore_bytes();
    return SQLITE_OK;
}
static int staged_lock(sqlite3_file *f, int level) {
    (void)f, (void)level;
    return SQLITE_OK;
}
static int staged_check_reserved(sqlite3_file *f, int *out) {
    (void)f;
    *out = 0;
    return SQLITE_OK;
}
static int staged_control(sqlite3_file *f, int op, void *arg) {
    (void)f, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}
static int staged_characteristics(sqlite3_file *f) {
    (void)f;
    return SQLITE_IOCAP_IMMUTABLE;
}

/* ---- Files by name --------------------------------------------------------------------------- */

static int file_close(sqlite3_file *f) {
    file_unlock(f, SQLITE_LOCK_NONE);
    return SQLITE_OK;
}

#define FILE_METHODS                                                                               \
    .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate,    \
    .xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock,                            \
    .xCheckReservedLock = file_check_reserved, .xFileControl = file_control,                       \
    .xSectorSize = file_sector_size, .xDeviceCharacteristics = file_characteristics
static const sqlite3_io_methods database_methods = {
    .iVersion = 2,
    FILE_METHODS,
    .xSync = file_sync,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};
static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    FILE_METHODS,
    .xSync = wal_file_sync,
};

static int staged_close(sqlite3_file *f) {
    (void)f;
    return SQLITE_OK;
}
static const sqlite3_io_methods staged_methods = {
    .iVersion = 1,
    .xClose = staged_close,
    .xRead = staged_read,
    .xWrite = staged_write,
    .xTruncate = staged_truncate,
    .xSync = staged_sync,
    .xFileSize = staged_size,
    .xLock = staged_lock,
    .xUnlock = staged_lock,
    .xCheckReservedLock = staged_check_reserved,
    .xFileControl = staged_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = staged_characteristics,
};

static bool name_is_wal(const char *name) {
    return name && strcmp(name, VFS_DATABASE_NAME "-wal") == 0;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *base, int flags,
                    int *out_flags) {
    struct file *f = file_of(base);
    (void)v;
    *f = (struct file){0};
    if ((flags & SQLITE_OPEN_MAIN_DB) && name && strcmp(name, VFS_STAGED_NAME) == 0) {
        f->kind = FILE_STAGED;
        f->base.pMethods = &staged_methods;
        if (out_flags) *out_flags = SQLITE_OPEN_READONLY;
        return restore_bytes() ? SQLITE_OK : SQLITE_CANTOPEN;
    }
    bool database = (flags & SQLITE_OPEN_MAIN_DB) && name && strcmp(name, VFS_DATABASE_NAME) == 0;
    bool log = (flags & SQLITE_OPEN_WAL) && name_is_wal(name);
    if (!database && !log) return SQLITE_CANTOPEN;
    f->kind = log ? FILE_WAL : FILE_DATABASE;
    f->base.pMethods = log ? &wal_methods : &database_methods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_directory) {
    struct store *s = vfs->store;
    (void)v, (void)sync_directory;
    if (!name_is_wal(name)) return SQLITE_IOERR_DELETE_NOENT;
    if (s->failed) return SQLITE_IOERR_DELETE;
    return write_result(wal_forget(&s->wal), SQLITE_IOERR_DELETE, "wal", "forget");
}

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out) {
    (void)v, (void)flags;
    *out = strcmp(name, VFS_DATABASE_NAME) == 0 || (name_is_wal(name) && vfs->store->wal.size > 0);
    return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *v, const char *name, int room, char *to) {
    (void)v;
    int n = snprintf(to, (size_t)room, "%s", name);
    return n < 0 || n >= room ? SQLITE_CANTOPEN : SQLITE_OK;
}

/* Salts and rowids; a machine without entropy makes no keys, but may have a database. */
static int vfs_randomness(sqlite3_vfs *v, int n, char *to) {
    (void)v;
    if (!platform_entropy(to, (size_t)n)) return n;
    u64 now[2] = {platform_clock_ns(), platform_wall_ns()};
    memset(to, 0, (size_t)n);
    memcpy(to, now, MIN((size_t)n, sizeof now));
    return n;
}

static int vfs_sleep(sqlite3_vfs *v, int us) {
    (void)v;
    if (fiber_inside()) fiber_sleep_ms(us < 1000 ? 1 : (u64)us / 1000);
    return us;
}

static int vfs_time(sqlite3_vfs *v, sqlite3_int64 *out_ms) { /* since noon, 24 November 4714 BC */
    (void)v;
    *out_ms = 24405875LL * 8640000 + (sqlite3_int64)(platform_wall_ns() / NS_PER_MS);
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *v, int room, char *to) {
    (void)v, (void)room, (void)to;
    return 0;
}

rc_t vfs_start(struct store *s) {
    CHECK(!vfs->registered);
    *vfs = (struct vfs){.store = s};
    vfs->base = (sqlite3_vfs){.iVersion = 2,
                              .szOsFile = sizeof(struct file),
                              .mxPathname = 64,
                              .zName = VFS_NAME,
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_name,
                              .xRandomness = vfs_randomness,
                              .xSleep = vfs_sleep,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time};
    vfs->registered = sqlite3_vfs_register(&vfs->base, 1) == SQLITE_OK;
    return vfs->registered ? RC_OK : RC_NO_MEMORY;
}

void vfs_stop(void) {
    if (!vfs->registered) return;
    sqlite3_vfs_unregister(&vfs->base);
    CHECK(vfs->mapped_count == 0);
    *vfs = (struct vfs){0};
}

/* SQLite with SQLITE_OS_OTHER calls these around its own start and end. */
int sqlite3_os_init(void);
int sqlite3_os_end(void);
int sqlite3_os_init(void) { return SQLITE_OK; }
int sqlite3_os_end(void) { return SQLITE_OK; }
