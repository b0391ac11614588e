/* SPDX-License-Identifier: Apache-2.0 */
/* storage_volume_test.c — the data disk: a blank one is made, ours is opened however its tables
 * were hurt, and any other is refused without a single write. */
#include "storage/volume.c"
#include "tests/storage.h"

#define SIZE MIB(24)
static u8 image[SIZE];

static void begin(u32 disks, u32 block_bytes) {
    storage_begin(&(struct sim_options){.seed = 5,
                                        .disk_count = disks,
                                        .disk_bytes = SIZE,
                                        .block_bytes = block_bytes,
                                        .log_bytes_max = MIB(64)});
}
static rc_t open_it(struct volume *v, struct diag *why) {
    *why = (struct diag){0};
    rc_t rc = volume_open(v, why);
    EXPECT((rc == RC_OK) == (why->text[0] == 0));
    return rc;
}
/* What the disk holds becomes what the core knows of it (size, read-only). */
static void replug(void) { EXPECT_OK(disk_init()); }

static void expect_refused(rc_t want, const char *word) {
    struct volume v;
    struct diag why;
    u64 writes = sim_disk_log_count(0);
    EXPECT_RC(open_it(&v, &why), want);
    if (!strstr(why.text, word))
        test_fail(__FILE__, __LINE__, "\"%s\" says nothing of %s", why.text, word);
    EXPECT_EQ(sim_disk_log_count(0), writes); /* not one write, flush or discard */
}

TEST(a_blank_disk_is_made_and_opened_again) {
    for (u32 block = 512; block <= 4096; block += 3584) {
        struct volume v, again;
        struct diag why;
        begin(1, block);
        EXPECT_OK(open_it(&v, &why));
        EXPECT(v.fresh);
        EXPECT_EQ(v.info.block_bytes, block);
        EXPECT_EQ(v.parts[VOLUME_CRASH].first_block * block, MIB(1));
        EXPECT_EQ(v.parts[VOLUME_WAL].first_block * block, MIB(2));
        EXPECT_EQ(v.parts[VOLUME_WAL].block_count * block, MIB(4));
        EXPECT_EQ(v.parts[VOLUME_DATABASE].block_count * block, SIZE - MIB(7));
        u64 writes = sim_disk_log_count(0);
        EXPECT_OK(open_it(&again, &why));
        EXPECT(!again.fresh);
        EXPECT(memcmp(v.id, again.id, 16) == 0);
        EXPECT(memcmp(v.parts, again.parts, sizeof v.parts) == 0);
        EXPECT_EQ(sim_disk_log_count(0), writes);
        EXPECT(memcmp(sim_disk_bytes(0) + block, "EFI PART", 8) == 0);
        EXPECT(memcmp(sim_disk_bytes(0) + SIZE - block, "EFI PART", 8) == 0);
        EXPECT(memcmp(sim_disk_bytes(0) + v.parts[VOLUME_DATABASE].first_block * block,
                      "SQLite format 3", 16) == 0);
        sim_stop();
    }
}

TEST(a_cut_at_any_moment_of_making_is_made_up) {
    static u8 state[SIZE];
    struct volume v;
    struct diag why;
    begin(1, 512);
    EXPECT_OK(open_it(&v, &why));
    u64 n = sim_disk_log_count(0);
    struct sim_options o = {.seed = 5, .disk_count = 1, .disk_bytes = SIZE};
    static struct {
        u64 k;
        enum sim_tear tear;
        u64 seed;
    } cuts[200];
    u32 count = 0;
    for (u64 k = 0; k <= n; k++) {
        cuts[count].k = k, cuts[count++].tear = SIM_NONE;
        cuts[count].k = k, cuts[count++].tear = SIM_ALL;
        for (u64 s = 0; s < 2; s++)
            cuts[count].k = k, cuts[count].seed = s, cuts[count++].tear = SIM_TORN;
    }
    CHECK(count <= ARRAY_LEN(cuts));
    for (u32 i = 0; i < count; i++) {
        begin(1, 512); /* the same making again: same seed, same bytes */
        EXPECT_OK(open_it(&v, &why));
        sim_disk_state(0, cuts[i].k, cuts[i].tear, cuts[i].seed, state);
        o.seed = i;
        sim_start(&o);
        sim_disk_load(0, state);
        replug();
        EXPECT_OK(open_it(&v, &why));
        EXPECT_OK(db_open(&v, storage_schemas, &why));
        EXPECT_OK(storage_put_one(1, 1));
        db_close();
        EXPECT_OK(open_it(&v, &why));
        EXPECT(!v.fresh); /* once written to, never made again */
        EXPECT_OK(db_open(&v, storage_schemas, &why));
        EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
        db_close();
    }
    sim_stop();
}

TEST(foreign_disks_are_refused_and_not_written) {
    static const struct {
        u64 at;
        const char *bytes;
        size_t n;
    } foreign[] = {
        {1024 + 56, "\x53\xef", 2}, /* ext4 */
        {510, "\x55\xaa", 2},       /* any MBR */
        {512, "EFI PART", 8},       /* a table we cannot read */
        {0, "XFSB", 4},
        {32768 + 1, "CD001", 5},
        {65536 + 64, "_BHRfS_M", 8}, /* btrfs */
        {4086, "SWAPSPACE2", 10},
        {MIB(1), "\x0d\xd0\x01\xc0", 4},       /* VMFS */
        {SIZE - 65536, "\xfc\x4e\x2b\xa9", 4}, /* md superblock 0.90 */
        {SIZE - 1, "x", 1},
    };
    for (u32 i = 0; i < ARRAY_LEN(foreign); i++) {
        begin(1, 512);
        memset(image, 0, SIZE);
        memcpy(image + foreign[i].at, foreign[i].bytes, foreign[i].n);
        sim_disk_load(0, image);
        expect_refused(RC_DENIED, "not ours");
        EXPECT(memcmp(image, sim_disk_bytes(0), SIZE) == 0);
        sim_stop();
    }
}

/* A sound table without our partitions: somebody's boot disk. */
TEST(a_sound_table_of_others_is_refused) {
    struct volume v;
    struct diag why;
    begin(1, 512);
    EXPECT_OK(open_it(&v, &why));
    u8 *disk = sim_disk_bytes(0);
    memset(disk, 0, 440);
    for (u32 copy = 0; copy < 2; copy++) {
        u8 *header = disk + (copy ? SIZE - 512 : 512),
           *entries = disk + (copy ? SIZE - 512 - 16384 : 1024);
        for (u32 i = 0; i < 3; i++) entries[i * 128] ^= 0xFF;
        struct layout_gpt_header h;
        memcpy(&h, header, sizeof h);
        h.header_crc = 0;
        h.entries_crc = gpt_crc32(0, entries, LAYOUT_GPT_TABLE_BYTES);
        h.header_crc = gpt_crc32(0, &h, sizeof h);
        memcpy(header, &h, sizeof h);
    }
    expect_refused(RC_DENIED, "without our data partitions");
    sim_stop();
}

static void made(u8 *out) {
    struct volume v;
    struct diag why;
    begin(1, 512);
    EXPECT_OK(open_it(&v, &why));
    memcpy(out, sim_disk_bytes(0), SIZE);
}

TEST(either_table_may_be_hurt_and_is_mended) {
    static u8 sound[SIZE];
    made(sound);
    u64 hurt[] = {512,        512 + 17,   512 + 57,        512 + 80,          1024,
                  1024 + 129, SIZE - 512, SIZE - 512 + 33, SIZE - 512 - 16384};
    for (u32 i = 0; i < ARRAY_LEN(hurt); i++) {
        struct volume v;
        struct diag why;
        sim_disk_load(0, sound);
        sim_disk_rot(0, hurt[i], 0x10);
        u64 tail = log_next_seq();
        EXPECT_OK(open_it(&v, &why));
        EXPECT(!v.fresh);
        EXPECT(log_next_seq() > tail + 1); /* said, besides "open" */
        EXPECT(memcmp(sound, sim_disk_bytes(0), SIZE) == 0);
    }
    sim_stop();
}

TEST(when_both_tables_are_hurt_nothing_is_touched) {
    static u8 sound[SIZE];
    made(sound);
    sim_disk_rot(0, 512 + 20, 1);
    sim_disk_rot(0, SIZE - 512 - 16384 + 5, 1);
    expect_refused(RC_CORRUPT, "both its partition tables");
    sim_disk_load(0, sound);
    memset(sim_disk_bytes(0) + 512, 0, MIB(1) - 512);
    memset(sim_disk_bytes(0) + SIZE - MIB(1), 0, MIB(1));
    expect_refused(RC_CORRUPT, "both its partition tables"); /* wiped, but the mark tells */
    sim_stop();
}

static void sim_disk_load_part(const u8 *bytes, size_t n) {
    static u8 whole[SIZE + MIB(8)];
    memset(whole, 0, sizeof whole);
    memcpy(whole, bytes, n);
    sim_disk_load(0, whole);
}
/* What the table in force says, as a start would find it, before it mends or moves anything. */
static u64 look_size(const struct volume *v) {
    struct look l = {.bytes = memory_alloc(MEMORY_SQL, LAYOUT_ALIGN_BYTES)};
    look_at(v->disk, &l);
    EXPECT_EQ(l.verdict, OURS);
    memory_free(MEMORY_SQL, l.bytes);
    return l.gpt.parts[VOLUME_DATABASE].block_count;
}
/* How many blocks the database may have at most on this disk. */
static u64 grown_blocks(const struct volume *v) {
    u64 align = LAYOUT_ALIGN_BYTES / v->info.block_bytes;
    return (v->info.block_count / align - 1) * align - v->parts[VOLUME_DATABASE].first_block;
}

TEST(a_disk_cut_short_is_refused_and_a_grown_one_taken) {
    static u8 sound[SIZE];
    made(sound);
    sim_disk_resize(0, SIZE - MIB(4));
    replug();
    expect_refused(RC_CORRUPT, "make it that large again");
    sim_stop();

    struct volume v;
    struct diag why;
    storage_begin(&(struct sim_options){
        .seed = 5, .disk_count = 1, .disk_bytes = SIZE + MIB(8), .log_bytes_max = MIB(64)});
    memcpy(sim_disk_bytes(0), sound, SIZE);
    sim_disk_rot(0, 512 + 20, 1); /* its backup is not at the end: found all the same, and mended */
    EXPECT_OK(open_it(&v, &why));
    EXPECT(memcmp(sim_disk_bytes(0), sound, SIZE) == 0);
    EXPECT_OK(open_it(&v, &why)); /* with two sound tables it grows */
    EXPECT_EQ(v.parts[VOLUME_DATABASE].block_count, grown_blocks(&v));
    sim_stop();
}

/* Every moment of moving the tables: old size or new, what is in the database stays. */
TEST(a_cut_while_it_grows_leaves_the_old_size_or_the_new) {
    static u8 sound[SIZE], state[SIZE + MIB(8)];
    struct volume v;
    struct diag why;
    struct sim_options larger = {
        .seed = 5, .disk_count = 1, .disk_bytes = SIZE + MIB(8), .log_bytes_max = MIB(64)};
    begin(1, 512);
    EXPECT_OK(open_it(&v, &why));
    u64 had = v.parts[VOLUME_DATABASE].block_count;
    EXPECT_OK(db_open(&v, storage_schemas, &why));
    EXPECT_OK(storage_put_one(1, 1));
    db_close();
    memcpy(sound, sim_disk_bytes(0), SIZE);
    storage_begin(&larger);
    sim_disk_load_part(sound, SIZE);
    EXPECT_OK(open_it(&v, &why));
    u64 n = sim_disk_log_count(0), new_size = v.parts[VOLUME_DATABASE].block_count;
    EXPECT_EQ(new_size, had + MIB(8) / 512);
    u32 old_seen = 0, new_seen = 0;
    for (u64 k = 0; k <= n; k++) {
        for (u64 seed = 0; seed < 4; seed++) {
            storage_begin(&larger);
            sim_disk_load_part(sound, SIZE);
            EXPECT_OK(open_it(&v, &why)); /* the same again, to cut it */
            sim_disk_state(0, k, seed ? SIM_TORN : SIM_ALL, seed, state);
            sim_disk_load(0, state);
            replug();
            u64 before = look_size(&v);
            old_seen += before == had, new_seen += before == new_size;
            EXPECT_OK(open_it(&v, &why));
            EXPECT_EQ(v.parts[VOLUME_DATABASE].block_count, new_size);
            EXPECT_OK(db_open(&v, storage_schemas, &why));
            EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
            db_close();
        }
    }
    EXPECT(old_seen > 2 && new_seen > 2);
    sim_stop();
}

static void grow_live(void *arg) {
    struct db_status before, after;
    (void)arg;
    EXPECT_OK(storage_open());
    EXPECT_OK(storage_put_one(1, 1));
    db_status_get(&before);
    sim_disk_resize(0, SIZE + MIB(8));
    for (int i = 0; i < 200; i++) fiber_sleep_ms(1);
    db_status_get(&after);
    EXPECT_EQ(after.bytes_max, before.bytes_max + MIB(8));
    EXPECT_OK(storage_put_one(1, 2));
    db_close();
}
TEST(a_database_in_use_follows_its_disk) {
    struct volume v;
    struct diag why;
    storage_begin(&(struct sim_options){.seed = 6, .disk_count = 1, .disk_bytes = SIZE + MIB(8)});
    sim_disk_resize(0, SIZE);
    replug();
    storage_fiber(grow_live, NULL);
    storage_run();
    EXPECT_OK(open_it(&v, &why));
    EXPECT_EQ(v.parts[VOLUME_DATABASE].block_count, grown_blocks(&v));
    EXPECT_OK(db_open(&v, storage_schemas, &why));
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 2);
    db_close();
    sim_stop();
}

/* A partition of somebody's behind the database: nothing moves. */
TEST(what_lies_behind_the_database_keeps_it_from_growing) {
    static u8 entries[LAYOUT_GPT_TABLE_BYTES];
    struct gpt g;
    u8 ids[16 * (1 + VOLUME_PART_COUNT)] = {1};
    EXPECT_OK(gpt_divide(SIZE / 512, 512, &g));
    gpt_entries_write(&g, ids, entries);
    u64 had = g.parts[VOLUME_DATABASE].block_count;
    EXPECT(!gpt_database_grow(entries, SIZE / 512, 512, &g)); /* nothing to gain */
    struct layout_gpt_entry other = {
        .type = {7}, .first_lba = SIZE / 512, .last_lba = SIZE / 512 + 9};
    memcpy(entries + 9 * LAYOUT_GPT_ENTRY_BYTES, &other, sizeof other);
    EXPECT(!gpt_database_grow(entries, 2 * SIZE / 512, 512, &g));
    EXPECT_EQ(g.parts[VOLUME_DATABASE].block_count, had);
    memset(entries + 9 * LAYOUT_GPT_ENTRY_BYTES, 0, sizeof other);
    EXPECT(gpt_database_grow(entries, 2 * SIZE / 512, 512, &g));
    EXPECT_EQ(g.parts[VOLUME_DATABASE].block_count, had + SIZE / 512);
}

TEST(small_read_only_and_missing_disks_are_told_apart) {
    static u8 sound[SIZE];
    struct volume v;
    struct diag why;
    begin(1, 512);
    sim_disk_read_only(0, true);
    replug();
    expect_refused(RC_DENIED, "read-only");
    sim_disk_read_only(0, false);
    sim_disk_resize(0, MIB(12));
    replug();
    expect_refused(RC_DENIED, "smaller than 16 MiB");
    sim_disk_resize(0, 4096);
    replug();
    expect_refused(RC_DENIED, "no data disk");
    sim_stop();
    made(sound);
    sim_disk_read_only(0, true);
    replug();
    expect_refused(RC_DENIED, "ours but read-only");
    sim_stop();
    begin(0, 512);
    EXPECT_RC(open_it(&v, &why), RC_NOT_FOUND);
    EXPECT(strstr(why.text, "no disk"));
    sim_stop();
}

TEST(ours_is_found_among_others_and_never_replaced) {
    static u8 sound[SIZE];
    struct volume v;
    struct diag why;
    made(sound);
    sim_stop();
    begin(3, 512);
    sim_disk_bytes(0)[700] = 1; /* foreign, blank, ours */
    memcpy(sim_disk_bytes(2), sound, SIZE);
    EXPECT_OK(open_it(&v, &why));
    EXPECT_EQ(v.disk, 2);
    sim_disk_rot(2, 512 + 9, 1);
    sim_disk_rot(2, SIZE - 512 + 9, 1);
    EXPECT_RC(open_it(&v, &why), RC_CORRUPT); /* and the blank one is not taken in its place */
    EXPECT_EQ(sim_disk_log_count(1), 0);
    memset(sim_disk_bytes(2), 1, 4096);
    EXPECT_OK(open_it(&v, &why));
    EXPECT_EQ(v.disk, 1);
    sim_stop();
}

TEST(a_disk_that_cannot_be_read_is_not_replaced) {
    struct volume v;
    struct diag why;
    begin(2, 512);
    sim_disk_fail(0, DISK_READ, 1, RC_IO, true);
    EXPECT_RC(open_it(&v, &why), RC_IO);
    EXPECT(strstr(why.text, "disk 0 could not be read"));
    EXPECT_EQ(sim_disk_log_count(1), 0);
    sim_stop();
}

TEST(making_fails_cleanly) {
    for (u64 n = 1; n <= 9; n++) {
        struct volume v;
        struct diag why;
        begin(1, 512);
        sim_disk_fail(0, DISK_WRITE, n, RC_IO, false);
        EXPECT_RC(open_it(&v, &why), RC_IO);
        EXPECT(strstr(why.text, "could not be initialised"));
        EXPECT_OK(open_it(&v, &why)); /* the next start makes it */
        sim_stop();
    }
    struct volume v;
    struct diag why;
    begin(1, 512);
    sim_entropy_fails(true);
    EXPECT_RC(open_it(&v, &why), RC_IO);
    EXPECT_EQ(sim_disk_log_count(0), 0);
    sim_stop();
}

TEST(the_crash_record_is_read_and_cleared) {
    static char record[CRASH_RECORD_BYTES] __attribute__((aligned(4096))) =
        "PANIC out of cheese\nregisters ...\n";
    struct volume v;
    struct diag why;
    char text[100];
    size_t len = 0;
    begin(1, 4096);
    EXPECT_OK(open_it(&v, &why));
    EXPECT_RC(volume_crash_read(&v, text, sizeof text, &len), RC_NOT_FOUND);
    EXPECT_OK(platform_disk_emergency_write(0, v.parts[VOLUME_CRASH].first_block, record,
                                            CRASH_RECORD_BYTES / 4096));
    EXPECT_OK(volume_crash_read(&v, text, sizeof text, &len));
    EXPECT_STR(str_of(text, len), str_from_c(record));
    EXPECT_OK(volume_crash_read(&v, text, 5, &len));
    EXPECT_STR(str_of(text, len), S("PANIC"));
    EXPECT_OK(volume_crash_clear(&v));
    EXPECT_RC(volume_crash_read(&v, text, sizeof text, &len), RC_NOT_FOUND);
    sim_stop();
}

/* Any single flipped bit of the tables, and any field made extreme with its checksum mended. */
TEST(no_table_however_wrong_confuses_us) {
    static u8 sound[SIZE];
    struct volume v;
    struct diag why;
    made(sound);
    log_console_level_set(LOG_ERROR + 1);
    for (u32 bit = 0; bit < 92 * 8; bit += 5) {
        memcpy(sim_disk_bytes(0), sound, 2048);
        sim_disk_bytes(0)[512 + bit / 8] ^= (u8)(1u << bit % 8);
        EXPECT_OK(open_it(&v, &why));
    }
    for (u32 field = 24; field < 88; field += 4) {
        for (u32 value = 0; value < 4; value++) {
            static const u32 extremes[] = {0, 1, 0x7FFFFFFF, 0xFFFFFFFF};
            memcpy(sim_disk_bytes(0), sound, SIZE);
            struct layout_gpt_header h;
            memcpy(&h, sound + 512, sizeof h);
            memcpy((u8 *)&h + field, &extremes[value], 4);
            h.header_crc = 0;
            h.header_crc = gpt_crc32(0, &h, sizeof h);
            memcpy(sim_disk_bytes(0) + 512, &h, sizeof h);
            EXPECT_OK(open_it(&v, &why)); /* sound or not, the backup is there */
            EXPECT(memcmp(v.parts, v.parts, sizeof v.parts) == 0);
            EXPECT_EQ(v.parts[VOLUME_CRASH].first_block, 2048);
        }
    }
    log_console_level_set(LOG_WARN);
    sim_stop();
}
