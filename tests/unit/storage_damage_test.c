/* SPDX-License-Identifier: Apache-2.0 */
/* storage_damage_test.c — damaged pages and logs, with SQLite itself under the sanitizers (the fuzz
 * targets leave it uninstrumented): seeded edits, a start from each, errors but never a crash. */
#include "tests/fuzz/storage_fuzz.h"
#include "tests/test.h"

static void damage(u8 *region, u32 bytes) {
    u32 edits = 1 + (u32)(test_random() % 6);
    while (edits--) {
        u64 x = test_random();
        u32 at = (u32)(x >> 8) % (bytes - 64);
        switch (x & 3) {
        case 0: region[at] ^= (u8)(1u << (x >> 40 & 7)); break;
        case 1:
            region[(at & ~4095u) + (x >> 40 & 127)] = (u8)(x >> 48);
            break; /* a page's header */
        case 2: memset(region + at, (int)(x >> 48), 1 + (x >> 40) % 60); break;
        default: /* one page over another */
            memmove(region + (at & ~4095u) % (bytes - 8192),
                    region + ((u32)(x >> 40) % (bytes - 8192) & ~4095u), 4096);
        }
    }
}

static u32 opened;
static void open_damaged(void *arg) {
    struct diag why = {0};
    (void)arg;
    rc_t rc = volume_open(&fuzz_volume, &why);
    EXPECT_OK(rc);
    rc = db_open(&fuzz_volume, fuzz_schemas, &why);
    EXPECT((rc == RC_OK) == (why.text[0] == 0));
    if (rc) return;
    opened++;
    fuzz_use(NULL);
    db_close();
}

static void run(bool log, u32 rounds) {
    fuzz_start(log);
    opened = 0;
    for (u32 i = 0; i < rounds; i++) {
        sim_disk_load(0, fuzz_base);
        if (i) damage(sim_disk_bytes(0) + fuzz_part(log ? VOLUME_WAL : VOLUME_DATABASE), 60 * 4096);
        fuzz_run(open_damaged, NULL);
        if (i == 0) EXPECT_EQ(opened, 1);
    }
    EXPECT(opened > rounds / 4);
    free(fuzz_base);
    fuzz_base = NULL;
    sim_stop();
}

TEST(damaged_pages_give_errors) { run(false, 80); }
TEST(damaged_logs_give_errors) { run(true, 60); }
