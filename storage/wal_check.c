/* SPDX-License-Identifier: Apache-2.0 */
/* wal_check.c — the log's frames are what was written, and none is missing that was promised.
 *
 *   header | frame 1 | ... | frame c, the last that recovery believes | c+1 | ... | i | i+1 | ...
 *
 * Recovery ends at the first frame whose sum is wrong. That is right for the tail of a commit which
 * the power cut short: nobody was told it is durable. A byte that changes in the middle of a log
 * looks the same, and all behind it would silently be gone. The two are told apart by what follows:
 * a commit is flushed before the next one's first frame is written, so a frame that continues the
 * running sum of a commit's last frame proves that this commit was durable and acknowledged. Frames
 * of an earlier attempt, cut off after a device error, do not continue each other's sums.
 *
 * What no look at the log can tell: damage within the last commit, whose frames nothing follows. */
#include "kernel/core/memory.h"
#include "kernel/base/bytes.h"
#include "storage/store.h"
#include "storage/sum.h"

#define STRANGERS_MAX 8u /* so many frames of another log in a row: it ends before them */

/* In a frame's header: page number 4, size after commit 4 (0: not the last of one), salts 8, sum 8;
 * in the log's, the salts lie at 16 too. */
#define SALTS_AT 16u
#define FRAME_SALTS_AT 8u
#define FRAME_SUM_AT 16u

rc_t wal_read_proved(struct wal *w, u32 frame, void *to) {
    u64 at = wal_frame_offset(frame);
    u64 from = frame == 1 ? WAL_HEADER_BYTES - SUM_BYTES
                          : wal_frame_offset(frame - 1) + FRAME_SUM_AT;
    size_t n = (size_t)(at + WAL_FRAME_BYTES - from);
    u8 *bytes = memory_alloc(MEMORY_SQL, n);
    if (!bytes) return RC_NO_MEMORY;
    const u8 *header = bytes + (at - from);
    rc_t rc = RC_CORRUPT;
    for (u32 tries = 0; tries < 2 && rc == RC_CORRUPT; tries++) {
        struct sum said;
        rc = wal_read_raw(w, from, bytes, n);
        struct sum before = {be32(bytes), be32(bytes + 4)};
        if (!rc && !frame_sum_right(&before, header, &said)) rc = RC_CORRUPT;
    }
    if (!rc) memcpy(to, header + (WAL_FRAME_BYTES - LAYOUT_PAGE_BYTES), LAYOUT_PAGE_BYTES);
    memory_free(MEMORY_SQL, bytes);
    return rc;
}

/* One frame after the other, from the first that recovery did not believe. */
static rc_t look(struct wal *w, const u8 *salts, u32 first, u8 *frame) {
    struct sum said = {0};
    bool ours = false, commit = false; /* of the frame before */
    u32 strangers = 0;
    for (u32 i = first; i <= wal_frames_max(w) && strangers < STRANGERS_MAX; i++) {
        struct sum before = said;
        rc_t rc = wal_read_raw(w, wal_frame_offset(i), frame, WAL_FRAME_BYTES);
        if (rc) return rc;
        bool follows = frame_sum_right(&before, frame, &said) && ours;
        ours = memcmp(frame + FRAME_SALTS_AT, salts, 8) == 0;
        if (commit && follows && ours) return RC_CORRUPT;
        commit = ours && be32(frame + 4) != 0;
        strangers = ours ? 0 : strangers + 1;
    }
    return RC_OK;
}

rc_t wal_look_past(struct wal *w, u32 committed, u32 *out_frame) {
    static const u8 none[WAL_HEADER_BYTES];
    u8 header[WAL_HEADER_BYTES];
    struct sum said;
    *out_frame = 0;
    rc_t rc = wal_read_raw(w, 0, header, sizeof header);
    if (rc || memcmp(header, none, sizeof none) == 0) return rc;
    if (!log_sum_right(header, &said)) return RC_CORRUPT;
    u8 *frame = memory_alloc(MEMORY_SQL, WAL_FRAME_BYTES);
    if (!frame) return RC_NO_MEMORY;
    *out_frame = committed + 1;
    rc = look(w, header + SALTS_AT, committed + 1, frame);
    memory_free(MEMORY_SQL, frame);
    return rc;
}
