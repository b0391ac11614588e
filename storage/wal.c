/* SPDX-License-Identifier: Apache-2.0 */
/* wal.c — the write-ahead log partition, written in few large pieces.
 *
 *   log file:  | header 32 | frame 1: 24 + 4096 | frame 2 | ...           grows, then starts over
 *   window:             [start ............ dirty_from ##### dirty_to) end   the log's newest bytes
 *   disk:      everything before dirty_from; blocks of 512 or 4096 bytes
 *
 * SQLite writes a frame in two calls and a commit in many; here they only land in the window, and
 * wal_sync puts them on the disk in one piece (two where the ring wraps) and flushes. The window
 * also answers reads of young frames, and it holds the block the next frame begins in: frames are
 * not aligned to blocks, so that block is written again, with the old bytes unchanged in front.
 *
 * What that asks of a disk: a block being rewritten when the power fails holds afterwards, byte for
 * byte, old or new content ("powersafe overwrite", SQLite's own assumption for WAL mode). The bytes
 * of acknowledged frames are the same in both. Bytes behind the last frame are zeroes or old
 * frames, which never count: their salts or running checksums do not fit.
 *
 * Always true: start <= dirty_from <= dirty_to <= end, and end's block fits the ring; bytes outside
 * [dirty_from, dirty_to) are on the disk. Only the holder of SQLite's write lock writes. */
#include "storage/store.h"
#include "kernel/base/bytes.h"
#include "kernel/core/disk.h"
#include "kernel/core/memory.h"
#include "storage/seal.h"

#define READ_AHEAD_BYTES (64u * 1024)
#define SECTOR_BYTES 512u

static u64 block_down(const struct wal *w, u64 at) { return at & ~(u64)(w->at.block_bytes - 1); }
static u64 block_up(const struct wal *w, u64 at) {
    return block_down(w, at + w->at.block_bytes - 1);
}

static rc_t log_disk_read(const struct wal *w, u64 at, void *to, size_t n) {
    u32 block = w->at.block_bytes;
    CHECK(at % block == 0 && n % block == 0);
    return sealed_read(w->at.disk, w->at.first_block + at / block, (u32)(n / block), to);
}

static rc_t log_disk_write(struct wal *w, u64 at, const void *from, size_t n) {
    u32 block = w->at.block_bytes;
    CHECK(at % block == 0 && n % block == 0);
    CHECK(at + n <= w->at.bytes);
    w->writes++;
    return sealed_write(w->at.disk, w->at.first_block + at / block, (u32)(n / block), from);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Only whether there is a log at all; its checksums are SQLite's to judge. */
static bool header_there(const u8 *block) { return (be32(block) & ~1u) == 0x377f0682; }

rc_t wal_open(struct wal *w, const struct volume *v, size_t window_bytes_max) {
    const struct volume_part_info *part = &v->parts[VOLUME_WAL];
    u64 bytes = part->block_count * v->info.block_bytes;
    *w = (struct wal){.recovering = true};
    w->at = (struct store_disk){v->disk, v->info.block_bytes, part->first_block,
                                bytes - bytes % LAYOUT_PAGE_BYTES};
    w->window_bytes = w->window_bytes_max = READ_AHEAD_BYTES;
    while (w->window_bytes_max * 2u <= window_bytes_max && w->window_bytes_max < (1u << 30))
        w->window_bytes_max *= 2u;
    w->window = memory_alloc(MEMORY_SQL, w->window_bytes);
    if (!w->window) return RC_NO_MEMORY;
    rc_t rc = log_disk_read(w, 0, w->window, LAYOUT_PAGE_BYTES);
    if (rc) {
        wal_close(w);
        return rc;
    }
    if (header_there(w->window)) {
        w->end = LAYOUT_PAGE_BYTES;
        w->size = w->at.bytes; /* recovery finds the end by salts and checksums */
        rc = disk_flush(
            w->at.disk); /* what recovery will count must be durable, not just readable */
        if (rc) wal_close(w);
    }
    return rc;
}

void wal_recovered(struct wal *w, u64 committed_end) {
    w->recovering = false;
    w->synced = committed_end;
}

void wal_close(struct wal *w) {
    memory_free(MEMORY_SQL, w->window);
    *w = (struct wal){0};
}

/* ---- The window ------------------------------------------------------------------------------ */

static void window_copy_out(const struct wal *w, u64 at, u8 *to, size_t n) {
    size_t index = (size_t)(at % w->window_bytes), first = MIN(n, w->window_bytes - index);
    memcpy(to, w->window + index, first);
    if (first < n) memcpy(to + first, w->window, n - first);
}

static void window_copy_in(struct wal *w, u64 at, const u8 *from, size_t n) {
    size_t index = (size_t)(at % w->window_bytes), first = MIN(n, w->window_bytes - index);
    memcpy(w->window + index, from, first);
    if (first < n) memcpy(w->window, from + first, n - first);
}

/* Puts what is dirty on the disk, whole blocks, in at most two operations. */
static rc_t window_write(struct wal *w) {
    if (w->dirty_from == w->dirty_to) return RC_OK;
    u64 from = block_down(w, w->dirty_from), to = block_up(w, w->dirty_to);
    /* The rest of the last block; a block never wraps. */
    if (to > w->end) memset(w->window + w->end % w->window_bytes, 0, (size_t)(to - w->end));
    size_t index = (size_t)(from % w->window_bytes), n = (size_t)(to - from);
    size_t first = MIN(n, w->window_bytes - index);
    w->in_flight++;
    rc_t rc = log_disk_write(w, from, w->window + index, first);
    if (!rc && first < n) rc = log_disk_write(w, from + first, w->window, n - first);
    w->in_flight--;
    if (!rc) w->dirty_from = w->dirty_to = w->end;
    return rc;
}

/* Begins anew at the block of `at`, whose older bytes come from the disk; so do those behind the
 * log's header in a block longer than its sector: with the old header they are the old log still.
 */
static rc_t window_move(struct wal *w, u64 at) {
    rc_t rc = window_write(w);
    if (rc) return rc;
    u64 start = block_down(w, at);
    size_t index = (size_t)(start % w->window_bytes);
    w->start = w->end = w->dirty_from = w->dirty_to = start;
    if (at == start && (at || w->at.block_bytes == SECTOR_BYTES)) return RC_OK;
    rc = log_disk_read(w, start, w->window + index, w->at.block_bytes);
    if (!rc) w->end = w->dirty_from = w->dirty_to = start + w->at.block_bytes;
    return rc;
}

/* A ring of twice the size with the same bytes; without the memory it stays as it is. */
static void window_grow(struct wal *w) {
    if (w->in_flight) return; /* the device reads from it */
    struct wal grown = *w;
    grown.window_bytes = w->window_bytes * 2;
    grown.window = memory_alloc(MEMORY_SQL, grown.window_bytes);
    if (!grown.window) return;
    for (u64 at = w->start; at < w->end;) {
        size_t index = (size_t)(at % w->window_bytes);
        size_t n = (size_t)MIN(w->end - at, (u64)(w->window_bytes - index));
        window_copy_in(&grown, at, w->window + index, n);
        at += n;
    }
    memory_free(MEMORY_SQL, w->window);
    *w = grown;
}

/* Makes [start, upto) fit: by growing, or by letting the oldest bytes go. */
static rc_t window_slide(struct wal *w, u64 upto) {
    u64 need = block_up(w, upto);
    if (need - w->start > w->window_bytes && w->window_bytes < w->window_bytes_max) window_grow(w);
    if (need - w->start <= w->window_bytes) return RC_OK;
    u64 start = need - w->window_bytes;
    bool clean = w->dirty_from == w->dirty_to || start <= block_down(w, w->dirty_from);
    rc_t rc = clean ? RC_OK : window_write(w);
    if (!rc) w->start = start;
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The next piece of the log, for recovery, which reads all of it from the start, alone. */
static rc_t read_ahead(struct wal *w, u64 at) {
    u64 start = at & ~(u64)(LAYOUT_PAGE_BYTES - 1);
    size_t index = (size_t)(start % w->window_bytes);
    size_t n = MIN((size_t)READ_AHEAD_BYTES, w->window_bytes - index);
    n = (size_t)MIN((u64)n, w->at.bytes - start);
    w->start = w->end = w->dirty_from = w->dirty_to = start;
    rc_t rc = log_disk_read(w, start, w->window + index, n);
    if (!rc) w->end = w->dirty_from = w->dirty_to = start + n;
    return rc;
}

rc_t wal_read_raw(const struct wal *w, u64 at, void *to, size_t n) {
    u64 from = block_down(w, at), upto = block_up(w, at + n);
    u8 *blocks = memory_alloc(MEMORY_SQL, (size_t)(upto - from));
    if (!blocks) return RC_NO_MEMORY;
    rc_t rc = log_disk_read(w, from, blocks, (size_t)(upto - from));
    if (!rc) memcpy(to, blocks + (at - from), n);
    memory_free(MEMORY_SQL, blocks);
    if (rc) return rc;
    /* What the window has of it is newer. */
    u64 low = MAX(at, w->start), high = MIN(at + n, w->end);
    if (low < high) window_copy_out(w, low, (u8 *)to + (low - at), (size_t)(high - low));
    return RC_OK;
}

rc_t wal_read(struct wal *w, u64 at, void *to, size_t n, bool *out_short) {
    *out_short = at + n > w->size || at + n < at;
    if (*out_short) {
        memset(to, 0, n);
        return RC_OK;
    }
    u8 *p = to;
    while (w->recovering && n) { /* window misses are filled by large reads until the first write */
        if (at < w->start || at >= w->end) {
            rc_t rc = read_ahead(w, at);
            if (rc) return rc;
        }
        size_t have = (size_t)MIN((u64)n, w->end - at);
        window_copy_out(w, at, p, have);
        at += have, p += have, n -= have;
    }
    if (n == 0) return RC_OK;
    if (at < w->start || at + n > w->end) return wal_read_raw(w, at, p, n);
    window_copy_out(w, at, p, n);
    return RC_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

rc_t wal_write(struct wal *w, u64 at, const void *from, size_t n) {
    CHECK(n <= w->window_bytes / 4);
    if (at + n > w->at.bytes || at + n < at) return RC_FULL;
    rc_t rc = RC_OK;
    w->recovering = false;
    if (at == 0) { /* the log starts over: what was in it counts no more */
        w->synced = w->size = 0;
        w->dirty_from = w->dirty_to;
    }
    if (at == 0 || at < w->start || at > w->end) rc = window_move(w, at);
    if (!rc) rc = window_slide(w, at + n);
    if (rc) return rc;
    window_copy_in(w, at, from, n);
    if (w->dirty_from == w->dirty_to) w->dirty_from = at, w->dirty_to = at + n;
    w->dirty_from = MIN(w->dirty_from, at);
    w->dirty_to = MAX(w->dirty_to, at + n);
    w->end = MAX(w->end, at + n);
    w->size = MAX(w->size, at + n);
    return RC_OK;
}

rc_t wal_sync(struct wal *w) {
    u64 upto = w->dirty_to;
    rc_t rc = window_write(w);
    if (!rc) rc = disk_flush(w->at.disk);
    if (!rc) w->synced = MAX(w->synced, upto);
    return rc;
}

/* Only the sector of the header changes, so a cut leaves the whole log or none: half of one would
 * look as a damaged log does (wal_check.c). */
rc_t wal_forget(struct wal *w) {
    w->start = w->end = w->dirty_from = w->dirty_to = 0;
    w->size = w->synced = 0;
    rc_t rc = log_disk_read(w, 0, w->window, LAYOUT_PAGE_BYTES);
    memset(w->window, 0, SECTOR_BYTES);
    if (!rc) rc = log_disk_write(w, 0, w->window, w->at.block_bytes);
    return rc ? rc : disk_flush(w->at.disk);
}

/* Frames begin with their page number, which is never 0. */
rc_t wal_cut(struct wal *w, u64 at) {
    u64 from = block_down(w, at), upto = MIN(block_up(w, at + 24), w->at.bytes);
    if (from >= upto) return RC_OK;
    size_t n = (size_t)(upto - from);
    u8 *blocks = memory_alloc(MEMORY_SQL, n);
    if (!blocks) return RC_NO_MEMORY;
    rc_t rc = log_disk_read(w, from, blocks, n);
    if (!rc) {
        memset(blocks + (at - from), 0, n - (size_t)(at - from));
        rc = log_disk_write(w, from, blocks, n);
    }
    if (!rc) rc = disk_flush(w->at.disk);
    memory_free(MEMORY_SQL, blocks);
    w->start = w->end = w->dirty_from = w->dirty_to = from; /* what the window knew is old */
    if (at == 0) w->size = 0;
    return rc;
}
