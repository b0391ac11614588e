/* SPDX-License-Identifier: Apache-2.0 */
/* gpt.h — partition tables as bytes: check one, make one. Touches no disk; every byte it reads may
 * be hostile. */
#pragma once
#include "storage/layout.h"
#include "storage/volume.h"

/* The disk seen through its table. */
struct gpt {
    u8 disk_id[16];
    u64 other_lba;       /* of the other copy */
    u64 last_usable_lba;
    u64 entries_lba;
    u32 entries_blocks;
    u32 entries_crc;
    struct volume_part_info parts[VOLUME_PART_COUNT]; /* block_count 0: not there */
};

u32 gpt_crc32(u32 crc, const void *bytes, size_t n); /* CRC-32 of ISO 3309; start with 0 */

/* Checks one header block found at `lba`. RC_NOT_FOUND: no signature; RC_CORRUPT: one that cannot
 * be right. The numbers are within the disk's range only as far as its own fields agree. */
rc_t gpt_header_read(const void *block, u32 block_bytes, u64 lba, struct gpt *out,
                     struct diag *why);
/* Checks the entry array (LAYOUT_GPT_TABLE_BYTES) against the header and finds our partitions.
 * RC_OK: all ours are there; RC_NOT_FOUND: a sound table without them; RC_CORRUPT. */
rc_t gpt_entries_read(const void *entries, u32 block_bytes, struct gpt *in_out, struct diag *why);

/* Divides a disk. RC_LIMIT: too small. */
rc_t gpt_divide(u64 block_count, u32 block_bytes, struct gpt *out);
/* Fills the entry array, a header block (primary or backup), the protective MBR. `ids`: one GUID
 * for the disk and one per partition, 16 bytes each. */
void gpt_entries_write(const struct gpt *g, const u8 *ids, void *entries);
/* Moves the end of the database's partition, if it is the last one, in entries as read from the
 * disk and in `g`; whole MiB, room for the backup table kept. False: nothing to gain, or something
 * lies behind it. */
bool gpt_database_grow(void *entries, u64 block_count, u32 block_bytes, struct gpt *g);
/* A protective MBR's partition covers the disk's new size; anything else stays as it is. */
void gpt_mbr_resize(void *block, u64 block_count);
void gpt_header_write(const struct gpt *g, const void *entries, u32 block_bytes, u64 this_lba,
                      u64 other_lba, u64 entries_lba, void *block);
void gpt_mbr_write(u64 block_count, char state, void *block, u32 block_bytes);
/* LAYOUT_STATE_* of a marked MBR, 0 for any other block. */
char gpt_mbr_state(const void *block);
/* How many blocks the disk had when the MBR was made; 0: unknown. */
u64 gpt_mbr_blocks(const void *block);
void gpt_database_page_write(void *page); /* LAYOUT_PAGE_BYTES: an empty database */
