/* SPDX-License-Identifier: Apache-2.0 */
/* gpt.c — partition tables as bytes: check one, make one.
 *
 *   LBA 0: protective MBR | 1: header -> entries (128 x 128 bytes) ... entries | last LBA: header
 *
 * Always true: what gpt_header_read and gpt_entries_read accept has a right checksum, ranges
 * that do not wrap or overlap, and starts and lengths that are whole pages. Whether it fits the
 * disk is volume.c's question, because the answer differs for a disk that shrank. Knows no disk:
 * fuzzed as it stands. */
#include "storage/gpt.h"
#include "kernel/base/bytes.h"
#include "storage/sum.h"

static const u8 part_types[VOLUME_PART_COUNT][16] = {
    [VOLUME_DATABASE] = LAYOUT_TYPE_DATABASE,
    [VOLUME_WAL] = LAYOUT_TYPE_WAL,
    [VOLUME_CRASH] = LAYOUT_TYPE_CRASH,
};
static const char *const part_names[VOLUME_PART_COUNT] = {
    [VOLUME_DATABASE] = "openpolicy-database",
    [VOLUME_WAL] = "openpolicy-wal",
    [VOLUME_CRASH] = "openpolicy-crash",
};
static const u64 part_bytes_min[VOLUME_PART_COUNT] = {
    [VOLUME_DATABASE] = LAYOUT_DATABASE_BYTES_MIN,
    [VOLUME_WAL] = LAYOUT_WAL_BYTES_MIN,
    [VOLUME_CRASH] = LAYOUT_CRASH_BYTES,
};

/* Four bytes at a time: two tables of 16 KiB are summed at every start. */
u32 gpt_crc32(u32 crc, const void *bytes, size_t n) {
    static u32 table[4][256];
    const u8 *p = bytes;
    for (u32 i = 0; i < 256 && !table[0][255]; i++) {
        u32 sum = i;
        for (u32 bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
        table[0][i] = sum;
        if (i == 255)
            for (u32 k = 0; k < 3 * 256; k++) {
                u32 before = table[k >> 8][k & 255];
                table[(k >> 8) + 1][k & 255] = before >> 8 ^ table[0][before & 255];
            }
    }
    crc = ~crc;
    for (; n >= 4; n -= 4, p += 4) {
        crc ^= (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
        crc = table[3][crc & 255] ^ table[2][crc >> 8 & 255] ^ table[1][crc >> 16 & 255] ^
              table[0][crc >> 24];
    }
    for (; n; n--, p++) crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return ~crc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

rc_t gpt_header_read(const void *block, u32 block_bytes, u64 lba, struct gpt *out,
                     struct diag *why) {
    struct layout_gpt_header h;
    CHECK(block_bytes >= 512);
    memcpy(&h, block, sizeof h);
    if (memcmp(h.signature, LAYOUT_GPT_SIGNATURE, sizeof h.signature) != 0) {
        diag_set(why, "no partition table header at block %llu", (unsigned long long)lba);
        return RC_NOT_FOUND;
    }
    u32 crc = h.header_crc;
    h.header_crc = 0;
    bool sized = h.header_bytes >= sizeof h && h.header_bytes <= block_bytes;
    if (sized) {
        u32 sum = gpt_crc32(0, &h, sizeof h);
        sized = gpt_crc32(sum, (const u8 *)block + sizeof h, h.header_bytes - sizeof h) == crc;
    }
    if (!sized || h.this_lba != lba || h.revision != LAYOUT_GPT_REVISION) {
        diag_set(why, "partition table header at block %llu has a wrong checksum",
                 (unsigned long long)lba);
        return RC_CORRUPT;
    }
    u64 table_blocks = LAYOUT_GPT_TABLE_BYTES / block_bytes;
    if (h.entry_count != LAYOUT_GPT_ENTRIES || h.entry_bytes != LAYOUT_GPT_ENTRY_BYTES ||
        h.entries_lba < 2 || h.entries_lba > UINT64_MAX - table_blocks || h.other_lba == lba ||
        h.first_usable_lba > h.last_usable_lba ||
        h.last_usable_lba > UINT64_MAX / block_bytes - 1) {
        diag_set(why, "partition table header at block %llu has fields we do not take",
                 (unsigned long long)lba);
        return RC_CORRUPT;
    }
    *out = (struct gpt){.other_lba = h.other_lba,
                        .last_usable_lba = h.last_usable_lba,
                        .entries_lba = h.entries_lba,
                        .entries_blocks = (u32)table_blocks,
                        .entries_crc = h.entries_crc};
    memcpy(out->disk_id, h.disk_id, sizeof out->disk_id);
    return RC_OK;
}

static rc_t part_check(const struct layout_gpt_entry *e, u32 block_bytes, const struct gpt *g,
                       u32 part, struct diag *why) {
    u64 page_blocks = LAYOUT_PAGE_BYTES / block_bytes;
    bool right =
        e->first_lba > 1 && e->first_lba <= e->last_lba && e->last_lba <= g->last_usable_lba;
    u64 count = right ? e->last_lba - e->first_lba + 1 : 0;
    right = right && e->first_lba % page_blocks == 0 && count * block_bytes >= part_bytes_min[part];
    if (!right) diag_set(why, "partition %s has a place or size that cannot be", part_names[part]);
    return right ? RC_OK : RC_CORRUPT;
}

static bool parts_meet(const struct volume_part_info *a, const struct volume_part_info *b) {
    return a->first_block < b->first_block + b->block_count &&
           b->first_block < a->first_block + a->block_count;
}

rc_t gpt_entries_read(const void *entries, u32 block_bytes, struct gpt *g, struct diag *why) {
    if (gpt_crc32(0, entries, LAYOUT_GPT_TABLE_BYTES) != g->entries_crc) {
        diag_set(why, "partition entries at block %llu have a wrong checksum",
                 (unsigned long long)g->entries_lba);
        return RC_CORRUPT;
    }
    u32 found = 0;
    for (u32 i = 0; i < LAYOUT_GPT_ENTRIES; i++) {
        struct layout_gpt_entry e;
        memcpy(&e, (const u8 *)entries + i * LAYOUT_GPT_ENTRY_BYTES, sizeof e);
        for (u32 part = 0; part < VOLUME_PART_COUNT; part++) {
            if (memcmp(e.type, part_types[part], 16) != 0) continue;
            if (g->parts[part].block_count) {
                diag_set(why, "two partitions of the type %s", part_names[part]);
                return RC_CORRUPT;
            }
            rc_t rc = part_check(&e, block_bytes, g, part, why);
            if (rc) return rc;
            g->parts[part] = (struct volume_part_info){e.first_lba, e.last_lba - e.first_lba + 1};
            found++;
        }
    }
    for (u32 a = 0; a < VOLUME_PART_COUNT; a++)
        for (u32 b = a + 1; b < VOLUME_PART_COUNT; b++)
            if (parts_meet(&g->parts[a], &g->parts[b])) {
                diag_set(why, "partitions %s and %s overlap", part_names[a], part_names[b]);
                return RC_CORRUPT;
            }
    if (found == VOLUME_PART_COUNT) return RC_OK;
    diag_set(why, "a partition table without our data partitions");
    return found ? RC_CORRUPT : RC_NOT_FOUND;
}

/* ---- Making ---------------------------------------------------------------------------------- */

rc_t gpt_divide(u64 block_count, u32 block_bytes, struct gpt *out) {
    u64 align = LAYOUT_ALIGN_BYTES / block_bytes;
    u64 units = block_count / align; /* whole MiB */
    if (units < LAYOUT_DISK_BYTES_MIN / LAYOUT_ALIGN_BYTES ||
        units > UINT64_MAX / LAYOUT_ALIGN_BYTES)
        return RC_LIMIT;
    u64 wal = units / 16;
    wal = MAX(wal, LAYOUT_WAL_BYTES_MIN / LAYOUT_ALIGN_BYTES);
    wal = MIN(wal, LAYOUT_WAL_BYTES_MAX / LAYOUT_ALIGN_BYTES);
    u64 crash = LAYOUT_CRASH_BYTES / LAYOUT_ALIGN_BYTES;
    u64 database = 1 + crash + wal;
    /* The last unit is left to the backup table. */
    *out = (struct gpt){
        .parts = {[VOLUME_CRASH] = {align, crash * align},
                  [VOLUME_WAL] = {(1 + crash) * align, wal * align},
                  [VOLUME_DATABASE] = {database * align, (units - 1 - database) * align}},
        .entries_blocks = LAYOUT_GPT_TABLE_BYTES / block_bytes,
        .entries_lba = 2,
        .other_lba = block_count - 1};
    out->last_usable_lba = block_count - 2 - out->entries_blocks;
    return RC_OK;
}

void gpt_entries_write(const struct gpt *g, const u8 *ids, void *entries) {
    static const u8 order[VOLUME_PART_COUNT] = {VOLUME_CRASH, VOLUME_WAL, VOLUME_DATABASE};
    memset(entries, 0, LAYOUT_GPT_TABLE_BYTES);
    for (u32 i = 0; i < VOLUME_PART_COUNT; i++) {
        u32 part = order[i];
        struct layout_gpt_entry e = {.first_lba = g->parts[part].first_block};
        e.last_lba = e.first_lba + g->parts[part].block_count - 1;
        memcpy(e.type, part_types[part], 16);
        memcpy(e.id, ids + 16 * (1 + part), 16);
        for (u32 c = 0; part_names[part][c]; c++) e.name[c] = (u8)part_names[part][c];
        memcpy((u8 *)entries + i * LAYOUT_GPT_ENTRY_BYTES, &e, sizeof e);
    }
}

void gpt_header_write(const struct gpt *g, const void *entries, u32 block_bytes, u64 this_lba,
                      u64 other_lba, u64 entries_lba, void *block) {
    struct layout_gpt_header h = {.revision = LAYOUT_GPT_REVISION,
                                  .header_bytes = sizeof h,
                                  .this_lba = this_lba,
                                  .other_lba = other_lba,
                                  .first_usable_lba = 2 + LAYOUT_GPT_TABLE_BYTES / block_bytes,
                                  .last_usable_lba = g->last_usable_lba,
                                  .entries_lba = entries_lba,
                                  .entry_count = LAYOUT_GPT_ENTRIES,
                                  .entry_bytes = LAYOUT_GPT_ENTRY_BYTES};
    memcpy(h.signature, LAYOUT_GPT_SIGNATURE, sizeof h.signature);
    memcpy(h.disk_id, g->disk_id, sizeof h.disk_id);
    h.entries_crc = gpt_crc32(0, entries, LAYOUT_GPT_TABLE_BYTES);
    h.header_crc = gpt_crc32(0, &h, sizeof h);
    memset(block, 0, block_bytes);
    memcpy(block, &h, sizeof h);
}

void gpt_mbr_write(u64 block_count, char state, void *block, u32 block_bytes) {
    struct layout_mbr m = {.code = {0xEB, 0xFE}, .mark = LAYOUT_MARK, .state = (u8)state};
    m.parts[0] = (struct layout_mbr_part){.first_chs = {0, 2, 0},
                                          .type = 0xEE,
                                          .last_chs = {0xFF, 0xFF, 0xFF},
                                          .first_lba = 1,
                                          .lba_count = (u32)MIN(block_count - 1, (u64)UINT32_MAX)};
    m.signature = 0xAA55;
    memset(block, 0, block_bytes);
    memcpy(block, &m, sizeof m);
}

bool gpt_database_grow(void *entries, u64 block_count, u32 block_bytes, struct gpt *g) {
    static const u8 unused[16];
    u64 align = LAYOUT_ALIGN_BYTES / block_bytes, last = (block_count / align - 1) * align - 1;
    struct volume_part_info *part = &g->parts[VOLUME_DATABASE];
    u64 had = part->first_block + part->block_count - 1;
    u8 *mine = NULL;
    if (last <= had || last > block_count - 2 - g->entries_blocks) return false;
    for (u32 i = 0; i < LAYOUT_GPT_ENTRIES; i++) {
        struct layout_gpt_entry e;
        u8 *at = (u8 *)entries + i * LAYOUT_GPT_ENTRY_BYTES;
        memcpy(&e, at, sizeof e);
        if (memcmp(e.type, part_types[VOLUME_DATABASE], 16) == 0) mine = at;
        else if (memcmp(e.type, unused, sizeof unused) != 0 && e.last_lba > had) return false;
    }
    if (!mine) return false;
    memcpy(mine + offsetof(struct layout_gpt_entry, last_lba), &last, sizeof last);
    part->block_count = last - part->first_block + 1;
    g->last_usable_lba = block_count - 2 - g->entries_blocks;
    return true;
}

void gpt_mbr_resize(void *block, u64 block_count) {
    struct layout_mbr m;
    memcpy(&m, block, sizeof m);
    if (m.signature != 0xAA55 || m.parts[0].type != 0xEE || m.parts[0].first_lba != 1) return;
    m.parts[0].lba_count = (u32)MIN(block_count - 1, (u64)UINT32_MAX);
    memcpy(block, &m, sizeof m);
}

static bool mbr_marked(const struct layout_mbr *m) {
    return m->signature == 0xAA55 && memcmp(m->mark, LAYOUT_MARK, sizeof LAYOUT_MARK) == 0;
}

char gpt_mbr_state(const void *block) {
    struct layout_mbr m;
    memcpy(&m, block, sizeof m);
    if (!mbr_marked(&m)) return 0;
    return m.state == LAYOUT_STATE_MAKING ? LAYOUT_STATE_MAKING : LAYOUT_STATE_READY;
}

u64 gpt_mbr_blocks(const void *block) {
    struct layout_mbr m;
    memcpy(&m, block, sizeof m);
    const struct layout_mbr_part *p = &m.parts[0];
    bool known = m.signature == 0xAA55 && p->type == 0xEE && p->first_lba == 1;
    return known && p->lba_count != UINT32_MAX ? (u64)p->lba_count + 1 : 0;
}

void gpt_database_page_write(void *page) {
    struct layout_sqlite_header h = {.magic = "SQLite format 3",
                                     .page_bytes = {LAYOUT_PAGE_BYTES >> 8, 0},
                                     .write_version = 2,
                                     .read_version = 2,
                                     .reserved_bytes = SUM_BYTES,
                                     .max_fraction = 64,
                                     .min_fraction = 32,
                                     .leaf_fraction = 32,
                                     .application_id = {'O', 'P', 'O', 'L'},
                                     .leaf_type = 13,
                                     .leaf_content = {(LAYOUT_PAGE_BYTES - SUM_BYTES) >> 8,
                                                      (LAYOUT_PAGE_BYTES - SUM_BYTES) & 255}};
    be32_put(h.change_counter, 1);
    be32_put(h.page_count, 1);
    be32_put(h.schema_format, 4);
    be32_put(h.encoding, 1);
    be32_put(h.valid_for, 1);
    be32_put(h.library_version, 3051003); /* the oldest we accept */
    memset(page, 0, LAYOUT_PAGE_BYTES);
    memcpy(page, &h, sizeof h);
    page_sum_set(page);
}
