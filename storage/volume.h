/* SPDX-License-Identifier: Apache-2.0 */
/* volume.h — the data disk: a GPT with our partitions (type GUIDs of our own).
 *
 *   | protective MBR, GPT | crash record | WAL | database ... | backup GPT |
 *
 * A blank disk is initialised; ours is opened; anything else is refused and never written. */
#pragma once
#include "kernel/platform.h"

enum volume_part { VOLUME_DATABASE, VOLUME_WAL, VOLUME_CRASH, VOLUME_PART_COUNT };

struct volume_part_info {
    u64 first_block, block_count; /* of the disk's blocks */
};
struct volume {
    u32 disk;
    struct disk_info info;
    struct volume_part_info parts[VOLUME_PART_COUNT];
    bool fresh; /* initialised by this open */
    u8 id[16];  /* disk GUID */
};
/* Fibers or before the loop runs. Looks at every disk and takes the one that is ours, else a blank
 * one. RC_NOT_FOUND: no disk at all; RC_DENIED: only foreign disks; RC_CORRUPT; RC_IO; `why` says
 * which disk and what to do. */
rc_t volume_open(struct volume *out, struct diag *why);
/* The disk changed its size: if it grew, the database's partition grows with it; what is there
 * stays where it is. RC_CORRUPT: that is not the disk we opened any more. Fibers only. */
rc_t volume_grow(struct volume *v);
/* The last crash record, if one was left; RC_NOT_FOUND. */
rc_t volume_crash_read(const struct volume *v, char *to, size_t room, size_t *out_len);
rc_t volume_crash_clear(const struct volume *v);
