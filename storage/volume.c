/* SPDX-License-Identifier: Apache-2.0 */
/* volume.c — finds the data disk, makes one out of a blank one, refuses all others.
 *
 *   look at every disk (reads only) -> one verdict each -> ours? use it
 *                                                       -> half made by us, or blank? make it
 *                                                       -> anything else: say why, write nothing
 *
 * Always true: no write is issued to a disk before its verdict is OURS, HALF or BLANK; a disk that
 * is ours but damaged is never made anew, and while there is one no blank disk is taken in its
 * place.
 *
 * Making is safe against a cut at any point:
 *
 *   claim (MBR, state MAKING) | flush | no crash record, key, no WAL, empty database | flush
 *   | backup table, primary table | flush | MBR, state READY | flush
 *
 * A claim without a sound table means that nothing of value can be here yet: start over. With a
 * sound table the database below it was flushed before, so it counts, and only the end is made up.
 * Leaves the tables' bytes to gpt.c and what is inside the partitions to db.c. */
#include "storage/volume.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/memory.h"
#include "storage/gpt.h"
#include "storage/seal.h"

enum verdict { OURS, HALF, BLANK, BROKEN, UNREADABLE, UNUSABLE, FOREIGN, VERDICT_COUNT };

struct look { /* at one disk */
    struct disk_info info;
    enum verdict verdict;
    struct gpt gpt;
    bool primary_bad, backup_bad; /* to be repaired */
    char mbr_state;
    struct diag why;
    u8 *bytes; /* LAYOUT_ALIGN_BYTES of scratch */
};

/* ---- Looking --------------------------------------------------------------------------------- */

/* Reads the table at `lba` into scratch and checks all of it. */
static rc_t table_read(u32 disk, struct look *l, u64 lba, struct gpt *out, struct diag *why) {
    u32 block_bytes = l->info.block_bytes;
    u64 last = l->info.block_count - 1;
    if (lba > last) {
        diag_set(why, "no table copy within the disk");
        return RC_NOT_FOUND;
    }
    rc_t rc = disk_read(disk, lba, 1, l->bytes);
    if (!rc) rc = gpt_header_read(l->bytes, block_bytes, lba, out, why);
    if (rc) return rc;
    if (out->entries_lba > last || out->entries_blocks > last - out->entries_lba + 1) {
        diag_set(why, "partition entries lie outside the disk");
        return RC_CORRUPT;
    }
    rc = disk_read(disk, out->entries_lba, out->entries_blocks, l->bytes);
    return rc ? rc : gpt_entries_read(l->bytes, block_bytes, out, why);
}

static bool all_zero(const u8 *p, size_t n) {
    u8 any = 0;
    for (size_t i = 0; i < n; i++) any |= p[i];
    return any == 0;
}

/* The first two and the last MiB hold every label, table and superblock we know of. */
static rc_t looks_blank(u32 disk, struct look *l, bool *out) {
    u32 count = LAYOUT_ALIGN_BYTES / l->info.block_bytes;
    u64 at[3] = {0, count, l->info.block_count - count};
    *out = true;
    for (u32 i = 0; i < ARRAY_LEN(at) && *out; i++) {
        rc_t rc = disk_read(disk, at[i], count, l->bytes);
        if (rc) return rc;
        *out = all_zero(l->bytes, LAYOUT_ALIGN_BYTES);
    }
    return RC_OK;
}

static void judge(struct look *l, enum verdict v) { l->verdict = v; }

static bool fits(const struct look *l, u64 *out_blocks_wanted) {
    u64 end = 0;
    for (u32 i = 0; i < VOLUME_PART_COUNT; i++)
        end = MAX(end, l->gpt.parts[i].first_block + l->gpt.parts[i].block_count);
    *out_blocks_wanted = end;
    return end <= l->info.block_count;
}

static void judge_ours(u32 disk, struct look *l) {
    u64 wanted;
    u32 block_bytes = l->info.block_bytes;
    if (!fits(l, &wanted)) {
        diag_set(
            &l->why,
            "disk %u is ours but was cut to %llu MiB; it needs %llu MiB: make it that large again",
            disk, (unsigned long long)(l->info.block_count * block_bytes >> 20),
            (unsigned long long)((wanted * block_bytes >> 20) + 1));
        judge(l, BROKEN);
    } else if (l->info.read_only) {
        diag_set(&l->why, "disk %u is ours but read-only: attach it writable", disk);
        judge(l, BROKEN);
    } else {
        judge(l, OURS);
    }
}

/* Neither copy of a table is ours: marked by us, blank, or somebody else's? */
static rc_t judge_tableless(u32 disk, struct look *l) {
    bool blank = false;
    struct diag inner = l->why;
    if (l->mbr_state == LAYOUT_STATE_READY) {
        diag_set(&l->why,
                 "disk %u is ours but both its partition tables are damaged (%s): restore a backup",
                 disk, inner.text);
        judge(l, BROKEN);
        return RC_OK;
    }
    if (l->mbr_state != LAYOUT_STATE_MAKING) {
        rc_t rc = looks_blank(disk, l, &blank);
        if (rc) return rc;
        if (!blank) {
            diag_set(&l->why,
                     "disk %u holds data that is not ours (%s): not touched; attach a blank disk",
                     disk, inner.text);
            judge(l, FOREIGN);
            return RC_OK;
        }
    }
    if (l->info.read_only) {
        diag_set(&l->why, "disk %u is blank but read-only: attach it writable", disk);
        judge(l, UNUSABLE);
    } else if (l->info.block_count * l->info.block_bytes < LAYOUT_DISK_BYTES_MIN) {
        diag_set(&l->why, "disk %u is blank but smaller than %llu MiB", disk,
                 (unsigned long long)(LAYOUT_DISK_BYTES_MIN >> 20));
        judge(l, UNUSABLE);
    } else {
        judge(l, blank ? BLANK : HALF);
    }
    return RC_OK;
}

static rc_t judge_disk(u32 disk, struct look *l) {
    u64 last = l->info.block_count - 1;
    struct gpt primary = {0}, backup = {0};
    struct diag backup_why = {0};
    rc_t rc = disk_read(disk, 0, 1, l->bytes);
    if (rc) return rc;
    l->mbr_state = gpt_mbr_state(l->bytes);
    u64 made_with = gpt_mbr_blocks(l->bytes);
    rc_t first = table_read(disk, l, 1, &primary, &l->why);
    if (first == RC_IO) return first;
    /* The other copy: where the primary says; or at the end; or at the end of the disk it once
     * was. */
    u64 at = first ? last : primary.other_lba;
    rc_t second = table_read(disk, l, at, &backup, &backup_why);
    if (first && second && made_with && made_with - 1 != at)
        second = table_read(disk, l, at = made_with - 1, &backup, &backup_why);
    if (second == RC_IO) return second;
    bool same = !second && memcmp(backup.disk_id, primary.disk_id, 16) == 0;
    if (!first) {
        l->gpt = primary;
        l->backup_bad = second || !same || backup.entries_crc != primary.entries_crc;
        judge_ours(disk, l);
    } else if (!second && backup.other_lba == 1) {
        l->gpt = backup;
        l->gpt.other_lba = at;
        l->primary_bad = true;
        judge_ours(disk, l);
    } else {
        return judge_tableless(disk, l);
    }
    return RC_OK;
}

static void look_at(u32 disk, struct look *l) {
    rc_t rc = disk_info_get(disk, &l->info);
    if (rc) {
        diag_set(&l->why, "disk %u does not answer (%s)", disk, rc_name(rc));
        judge(l, UNREADABLE);
        return;
    }
    bool sized = l->info.block_bytes == 512 || l->info.block_bytes == 4096;
    if (!sized || l->info.block_count < 2 * LAYOUT_ALIGN_BYTES / l->info.block_bytes ||
        l->info.block_count > UINT64_MAX / 2 / l->info.block_bytes) {
        diag_set(&l->why, "disk %u has %llu blocks of %u bytes: no data disk", disk,
                 (unsigned long long)l->info.block_count, l->info.block_bytes);
        judge(l, UNUSABLE);
        return;
    }
    rc = judge_disk(disk, l);
    if (rc) {
        diag_set(&l->why, "disk %u could not be read (%s): check the device", disk, rc_name(rc));
        judge(l, UNREADABLE);
    }
}

/* ---- Making and mending ---------------------------------------------------------------------- */

static rc_t write_bytes(u32 disk, const struct look *l, u64 block, size_t bytes) {
    return disk_write(disk, block, (u32)(bytes / l->info.block_bytes), l->bytes);
}

static rc_t mbr_put(u32 disk, struct look *l, char state) {
    gpt_mbr_write(l->info.block_count, state, l->bytes, l->info.block_bytes);
    rc_t rc = write_bytes(disk, l, 0, l->info.block_bytes);
    return rc ? rc : disk_flush(disk);
}

/* Entries first, then the header that vouches for them. */
static rc_t table_put(u32 disk, struct look *l, u8 *entries, u64 lba, u64 other_lba,
                      u64 entries_lba) {
    rc_t rc = disk_write(disk, entries_lba, l->gpt.entries_blocks, entries);
    if (rc) return rc;
    gpt_header_write(&l->gpt, entries, l->info.block_bytes, lba, other_lba, entries_lba, l->bytes);
    return write_bytes(disk, l, lba, l->info.block_bytes);
}

static struct seal_place seal_at(u32 disk, const struct look *l) {
    struct seal_place at = {.disk = disk, .info = l->info};
    at.crash_block = l->gpt.parts[VOLUME_CRASH].first_block;
    memcpy(at.disk_id, l->gpt.disk_id, sizeof at.disk_id);
    return at;
}

static rc_t contents_put(u32 disk, struct look *l) {
    memset(l->bytes, 0, LAYOUT_ALIGN_BYTES);
    rc_t rc = write_bytes(disk, l, l->gpt.parts[VOLUME_CRASH].first_block, CRASH_RECORD_BYTES);
    if (rc) return rc;
    struct seal_place place = seal_at(disk, l);
    u32 per_page = LAYOUT_PAGE_BYTES / l->info.block_bytes;
    if ((rc = seal_make(&place))) return rc;
    rc = sealed_write(disk, l->gpt.parts[VOLUME_WAL].first_block, per_page, l->bytes);
    if (rc) return rc;
    gpt_database_page_write(l->bytes);
    rc = sealed_write(disk, l->gpt.parts[VOLUME_DATABASE].first_block, per_page, l->bytes);
    return rc ? rc : disk_flush(disk);
}

static void guid_make(u8 *id) {
    id[7] = (u8)((id[7] & 0x0F) | 0x40); /* RFC 4122 version 4, in mixed byte order */
    id[8] = (u8)((id[8] & 0x3F) | 0x80);
}

static rc_t make(u32 disk, struct look *l, struct diag *why) {
    u8 ids[16 * (1 + VOLUME_PART_COUNT)];
    u64 last = l->info.block_count - 1;
    rc_t rc = gpt_divide(l->info.block_count, l->info.block_bytes, &l->gpt);
    if (rc) return rc;
    u8 *entries = memory_alloc(MEMORY_SQL, LAYOUT_GPT_TABLE_BYTES);
    if (!entries) return RC_NO_MEMORY;
    if ((rc = platform_entropy(ids, sizeof ids))) goto done;
    for (u32 i = 0; i < sizeof ids; i += 16) guid_make(ids + i);
    memcpy(l->gpt.disk_id, ids, 16);
    gpt_entries_write(&l->gpt, ids, entries);
    if ((rc = mbr_put(disk, l, LAYOUT_STATE_MAKING))) goto done;
    if ((rc = contents_put(disk, l))) goto done;
    if ((rc = table_put(disk, l, entries, last, 1, last - l->gpt.entries_blocks))) goto done;
    if ((rc = table_put(disk, l, entries, 1, last, 2))) goto done;
    if ((rc = disk_flush(disk))) goto done;
    rc = mbr_put(disk, l, LAYOUT_STATE_READY);
done:
    if (rc) diag_set(why, "disk %u could not be initialised (%s)", disk, rc_name(rc));
    memory_free(MEMORY_SQL, entries);
    return rc;
}

/* One sound copy makes the other. A failure to mend is told and lived with. */
static void mend(u32 disk, struct look *l) {
    struct gpt seen;
    struct diag why = {0};
    u64 good = l->primary_bad ? l->gpt.other_lba : 1, bad = l->primary_bad ? 1 : l->gpt.other_lba;
    log_warn("storage", "partition table copy damaged: the other one is used and mended from",
             "disk=%u damaged=%s", disk, l->primary_bad ? "primary" : "backup");
    bool room = bad == 1 || bad > l->gpt.last_usable_lba + l->gpt.entries_blocks;
    if (bad >= l->info.block_count || !room) return;
    rc_t rc = table_read(disk, l, good, &seen, &why);
    u8 *entries = rc ? NULL : memory_alloc(MEMORY_SQL, LAYOUT_GPT_TABLE_BYTES);
    if (!entries) return;
    memcpy(entries, l->bytes, LAYOUT_GPT_TABLE_BYTES);
    rc = table_put(disk, l, entries, bad, good, bad == 1 ? 2 : bad - l->gpt.entries_blocks);
    if (!rc) rc = disk_flush(disk);
    if (rc)
        log_error("storage", "partition table not mended: check the device", "rc=%s", rc_name(rc));
    memory_free(MEMORY_SQL, entries);
}

/* ---- Growing --------------------------------------------------------------------------------- */

/* The disk is larger than its tables say: they move, and the database's partition follows.
 *
 *   backup table at the new end | flush | primary table | flush | MBR's size | flush
 *
 * Until the primary table is touched the old pair is in force; from then on the new backup is,
 * which a start finds at the disk's end when the primary is in pieces. */
static rc_t tables_move(u32 disk, struct look *l, u8 *entries) {
    u64 last = l->info.block_count - 1;
    rc_t rc = table_put(disk, l, entries, last, 1, last - l->gpt.entries_blocks);
    if (!rc) rc = disk_flush(disk);
    if (!rc) rc = table_put(disk, l, entries, 1, last, 2);
    if (!rc) rc = disk_flush(disk);
    if (!rc) rc = disk_read(disk, 0, 1, l->bytes);
    if (rc) return rc;
    gpt_mbr_resize(l->bytes, l->info.block_count);
    rc = write_bytes(disk, l, 0, l->info.block_bytes);
    return rc ? rc : disk_flush(disk);
}

static void move_to_end(u32 disk, struct look *l, struct gpt *larger, u8 *entries) {
    struct gpt old = l->gpt;
    l->gpt = *larger;
    l->gpt.other_lba = l->info.block_count - 1;
    rc_t rc = tables_move(disk, l, entries);
    if (rc) {
        l->gpt = old;
        log_error("storage",
                  "the disk has grown, but its table could not be moved: check the device",
                  "disk=%u rc=%s", disk, rc_name(rc));
    } else {
        log_info("storage", "the disk has grown, and the database's partition with it",
                 "disk=%u MiB=%llu", disk,
                 (unsigned long long)(l->info.block_count * l->info.block_bytes >> 20));
    }
}

/* What cannot grow is used as it is. */
static void grow(u32 disk, struct look *l) {
    struct gpt larger = {0};
    struct diag why = {0};
    u64 last = l->info.block_count - 1, more = last - MIN(last, l->gpt.other_lba);
    if (!more || l->primary_bad || l->backup_bad || l->info.read_only) return;
    rc_t rc = table_read(disk, l, 1, &larger, &why);
    u8 *entries = rc ? NULL : memory_alloc(MEMORY_SQL, LAYOUT_GPT_TABLE_BYTES);
    if (!entries) return;
    memcpy(entries, l->bytes, LAYOUT_GPT_TABLE_BYTES);
    if (larger.entries_lba == 2 &&
        gpt_database_grow(entries, l->info.block_count, l->info.block_bytes, &larger))
        move_to_end(disk, l, &larger, entries);
    else if (more >= LAYOUT_ALIGN_BYTES / l->info.block_bytes)
        log_warn("storage", "the disk has grown, but another partition lies behind the database",
                 "disk=%u", disk);
    memory_free(MEMORY_SQL, entries);
}

rc_t volume_grow(struct volume *v) {
    struct look l = {.bytes = memory_alloc(MEMORY_SQL, LAYOUT_ALIGN_BYTES)};
    if (!l.bytes) return RC_NO_MEMORY;
    look_at(v->disk, &l);
    bool same = l.verdict == OURS && memcmp(l.gpt.disk_id, v->id, sizeof v->id) == 0;
    if (same) {
        grow(v->disk, &l);
        v->info = l.info;
        memcpy(v->parts, l.gpt.parts, sizeof v->parts);
    }
    memory_free(MEMORY_SQL, l.bytes);
    return same ? RC_OK : RC_CORRUPT;
}

static void adopt(u32 disk, struct look *l, struct volume *out) {
    *out = (struct volume){.disk = disk, .info = l->info, .fresh = l->verdict != OURS};
    memcpy(out->parts, l->gpt.parts, sizeof out->parts);
    memcpy(out->id, l->gpt.disk_id, sizeof out->id);
    panic_record_at(disk, out->parts[VOLUME_CRASH].first_block, l->info.block_bytes);
    log_info("storage", "data disk open", "disk=%u MiB=%llu block=%u fresh=%d cache=%s", disk,
             (unsigned long long)(l->info.block_count * l->info.block_bytes >> 20),
             l->info.block_bytes, out->fresh, l->info.volatile_cache ? "volatile" : "none");
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static rc_t refusal(const struct look *worst[VERDICT_COUNT], struct diag *why) {
    static const struct {
        enum verdict verdict;
        rc_t rc;
    } order[] = {
        {BROKEN, RC_CORRUPT}, {UNREADABLE, RC_IO}, {FOREIGN, RC_DENIED}, {UNUSABLE, RC_DENIED}};
    for (u32 i = 0; i < ARRAY_LEN(order); i++) {
        const struct look *l = worst[order[i].verdict];
        if (!l) continue;
        if (why) *why = l->why;
        bool read_only = order[i].verdict == BROKEN && l->info.read_only;
        return read_only ? RC_DENIED : order[i].rc;
    }
    diag_set(why, "no disk attached: attach a blank one of %llu MiB or more",
             (unsigned long long)(LAYOUT_DISK_BYTES_MIN >> 20));
    return RC_NOT_FOUND;
}

static rc_t choose(struct look *looks, u32 count, struct volume *out, struct diag *why) {
    const struct look *first[VERDICT_COUNT] = {NULL};
    for (u32 i = 0; i < count; i++) {
        look_at(i, &looks[i]);
        if (!first[looks[i].verdict]) first[looks[i].verdict] = &looks[i];
        else if (looks[i].verdict == OURS)
            log_warn("storage", "a second data disk of ours is attached and left alone", "disk=%u",
                     i);
    }
    bool spare = !first[BROKEN] && !first[UNREADABLE];
    const struct look *l = first[OURS];
    if (!l && spare) l = first[HALF] ? first[HALF] : first[BLANK];
    if (!l) return refusal(first, why);
    u32 disk = (u32)(l - looks);
    rc_t rc = RC_OK;
    struct seal_place place = seal_at(disk, l);
    if (l->verdict == OURS && (rc = seal_open(&place, why))) return rc; /* nothing is written yet */
    if (l->verdict != OURS) rc = make(disk, &looks[disk], why);
    else if (l->primary_bad || l->backup_bad) mend(disk, &looks[disk]);
    if (!rc && l->mbr_state == LAYOUT_STATE_MAKING && l->verdict == OURS)
        rc = mbr_put(disk, &looks[disk], LAYOUT_STATE_READY);
    if (!rc && l->verdict == OURS) grow(disk, &looks[disk]);
    if (!rc) adopt(disk, &looks[disk], out);
    return rc;
}

rc_t volume_open(struct volume *out, struct diag *why) {
    u32 count = MIN(platform_disk_count(), (u32)DISK_MAX);
    u8 *bytes = memory_alloc(MEMORY_SQL, LAYOUT_ALIGN_BYTES);
    struct look *looks = memory_zero(MEMORY_SQL, sizeof *looks * DISK_MAX);
    rc_t rc = RC_NO_MEMORY;
    if (bytes && looks) {
        for (u32 i = 0; i < count; i++) looks[i].bytes = bytes;
        rc = choose(looks, count, out, why);
    } else {
        diag_set(why, "no memory to look at the disks");
    }
    memory_free(MEMORY_SQL, looks);
    memory_free(MEMORY_SQL, bytes);
    return rc;
}

/* ---- The crash record ------------------------------------------------------------------------ */

rc_t volume_crash_read(const struct volume *v, char *to, size_t room, size_t *out_len) {
    static const char first[] = "PANIC ";
    u32 count = CRASH_RECORD_BYTES / v->info.block_bytes;
    char *bytes = memory_alloc(MEMORY_SQL, CRASH_RECORD_BYTES);
    if (!bytes) return RC_NO_MEMORY;
    rc_t rc = disk_read(v->disk, v->parts[VOLUME_CRASH].first_block, count, bytes);
    if (!rc && memcmp(bytes, first, sizeof first - 1) != 0) rc = RC_NOT_FOUND;
    if (!rc) {
        size_t len = strnlen(bytes, CRASH_RECORD_BYTES);
        *out_len = MIN(len, room);
        memcpy(to, bytes, *out_len);
    }
    memory_free(MEMORY_SQL, bytes);
    return rc;
}

rc_t volume_crash_clear(const struct volume *v) {
    u32 count = CRASH_RECORD_BYTES / v->info.block_bytes;
    void *zero = memory_zero(MEMORY_SQL, CRASH_RECORD_BYTES);
    if (!zero) return RC_NO_MEMORY;
    rc_t rc = disk_write(v->disk, v->parts[VOLUME_CRASH].first_block, count, zero);
    if (!rc) rc = disk_flush(v->disk);
    memory_free(MEMORY_SQL, zero);
    return rc;
}
