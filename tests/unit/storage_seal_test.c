/* SPDX-License-Identifier: Apache-2.0 */
/* storage_seal_test.c — an encrypted disk: it opens with its secret and with no other, nothing of
 * what is stored can be read off it, and the secret is changed whole or not at all. */
#define _GNU_SOURCE /* memmem */
#include "storage/seal_key.c"
#include "storage/store.h"
#include "tests/storage.h"
#include <stdlib.h>

#define SIZE MIB(16)
#define SECOND_KEY "abcdefghijklmnopqrstuvwxyzabcdef"
#define FIRST_KEY "0123456789abcdef0123456789abcdef"
#define ROWS 40u
static u8 image[SIZE];

static void offer(enum seal_kind kind, const char *secret) {
    EXPECT_OK(seal_offer(kind, secret ? str_from_c(secret) : S("")));
}
static void begin(u32 block_bytes) {
    storage_begin(&(struct sim_options){
        .seed = 3, .disk_count = 1, .disk_bytes = SIZE, .block_bytes = block_bytes});
}
static void end(void) {
    seal_stop();
    offer(SEAL_NONE, NULL);
    sim_stop();
}
static void fill(void *arg) {
    (void)arg;
    for (u64 n = 0; n < ROWS; n++) EXPECT_OK(storage_put_one(1, n));
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), ROWS);
}
/* A volume with rows, closed again. */
static void make_filled(enum seal_kind kind, const char *secret) {
    offer(kind, secret);
    EXPECT_OK(storage_open());
    EXPECT_EQ(seal_on(), kind != SEAL_NONE);
    storage_fiber(fill, NULL);
    storage_run();
    db_close();
    memcpy(image, sim_disk_bytes(0), SIZE);
}
static rc_t try_open(enum seal_kind kind, const char *secret, struct diag *why) {
    struct volume v;
    offer(kind, secret);
    *why = (struct diag){0};
    return volume_open(&v, why);
}
static void expect_refused(enum seal_kind kind, const char *secret, rc_t want, const char *word) {
    struct diag why;
    u64 writes = sim_disk_log_count(0);
    EXPECT_RC(try_open(kind, secret, &why), want);
    if (!strstr(why.text, word))
        test_fail(__FILE__, __LINE__, "\"%s\" says nothing of %s", why.text, word);
    EXPECT_EQ(sim_disk_log_count(0), writes); /* not one write, flush or discard */
    EXPECT(!seal_on());
}
static void expect_rows(enum seal_kind kind, const char *secret) {
    offer(kind, secret);
    EXPECT_OK(storage_open());
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), ROWS);
    db_close();
}

static bool on_disk(const void *bytes, size_t n) {
    return memmem(sim_disk_bytes(0) + MIB(2), SIZE - MIB(2), bytes, n) != NULL;
}

TEST(what_is_stored_cannot_be_read_off_the_disk) {
    u8 body[1500];
    for (u32 block = 512; block <= 4096; block += 3584) {
        for (int sealed = 0; sealed < 2; sealed++) {
            begin(block);
            make_filled(sealed ? SEAL_BY_KEY : SEAL_NONE, sealed ? FIRST_KEY : NULL);
            storage_body(1, 5, body, sizeof body);
            EXPECT_EQ(on_disk("SQLite format 3", 15), !sealed);
            EXPECT_EQ(on_disk("CREATE TABLE item", 17), !sealed);
            EXPECT_EQ(on_disk(body, 20), !sealed);
            EXPECT(!memmem(sim_disk_bytes(0), SIZE, FIRST_KEY, 32));
            EXPECT(!sealed || !memmem(sim_disk_bytes(0), SIZE, current_key, 32));
            expect_rows(sealed ? SEAL_BY_KEY : SEAL_NONE, sealed ? FIRST_KEY : NULL);
            end();
        }
    }
}

TEST(another_secret_opens_nothing_and_writes_nothing) {
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    expect_refused(SEAL_BY_KEY, SECOND_KEY, RC_DENIED, "is not that of disk 0");
    expect_refused(SEAL_NONE, NULL, RC_DENIED, "give its disk.key");
    expect_refused(SEAL_BY_PASSPHRASE, FIRST_KEY, RC_DENIED, "encrypted with a key");
    EXPECT(memcmp(image, sim_disk_bytes(0), SIZE) == 0);
    expect_rows(SEAL_BY_KEY, FIRST_KEY);
    end();
}

TEST(a_passphrase_opens_its_disk) {
    begin(0);
    make_filled(SEAL_BY_PASSPHRASE, "correct horse battery");
    EXPECT(current.memory_kib == COST_KIB && current.passes == COST_PASSES);
    expect_refused(SEAL_BY_PASSPHRASE, "correct horse batterx", RC_DENIED, "passphrase given");
    expect_refused(SEAL_BY_KEY, FIRST_KEY, RC_DENIED, "encrypted with a passphrase");
    expect_rows(SEAL_BY_PASSPHRASE, "correct horse battery");
    end();
}

TEST(a_disk_in_the_clear_is_not_taken_for_an_encrypted_one) {
    begin(0);
    make_filled(SEAL_NONE, NULL);
    expect_refused(SEAL_BY_KEY, FIRST_KEY, RC_DENIED, "is not encrypted");
    expect_rows(SEAL_NONE, NULL);
    end();
}

TEST(secrets_out_of_bounds_are_refused) {
    static char text[SEAL_PASSPHRASE_MAX + 1];
    memset(text, 'a', sizeof text);
    EXPECT_RC(seal_offer(SEAL_BY_KEY, str_of(text, 31)), RC_INVALID);
    EXPECT_RC(seal_offer(SEAL_BY_KEY, str_of(text, 33)), RC_INVALID);
    EXPECT_RC(seal_offer(SEAL_BY_PASSPHRASE, str_of(text, 7)), RC_INVALID);
    EXPECT_RC(seal_offer(SEAL_BY_PASSPHRASE, str_of(text, sizeof text)), RC_INVALID);
    EXPECT_OK(seal_offer(SEAL_BY_PASSPHRASE, str_of(text, sizeof text - 1)));
    EXPECT_OK(seal_offer(SEAL_NONE, S("")));
}

/* Every byte of a copy in turn: the other one opens the disk; of both: nothing does. */
TEST(damaged_headers_are_told_apart) {
    struct diag why;
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    u64 first = MIB(1) + LAYOUT_SEAL_AT, second = first + LAYOUT_PAGE_BYTES;
    for (u64 i = 0; i < sizeof(struct layout_seal); i += 7) {
        for (u32 copy = 0; copy < COPIES; copy++) {
            sim_disk_rot(0, copy ? second + i : first + i, 0x10);
            EXPECT_OK(try_open(SEAL_BY_KEY, FIRST_KEY, &why));
            seal_stop();
            sim_disk_rot(0, copy ? second + i : first + i, 0x10);
        }
        sim_disk_rot(0, first + i, 1);
        sim_disk_rot(0, second + i, 1);
        expect_refused(SEAL_BY_KEY, FIRST_KEY, RC_CORRUPT, "both copies");
        sim_disk_rot(0, first + i, 1);
        sim_disk_rot(0, second + i, 1);
    }
    end();
}

/* A header with a sum of its own making, but another's costs or disk: the tag does not vouch. */
TEST(a_header_that_was_changed_is_not_believed) {
    struct diag why;
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    for (int which = 0; which < 2; which++) {
        struct layout_seal h = current;
        if (which) h.passes++;
        else h.salt[3] ^= 4;
        h.crc = header_crc(h);
        for (u32 i = 0; i < COPIES; i++)
            memcpy(sim_disk_bytes(0) + MIB(1) + LAYOUT_SEAL_AT + i * LAYOUT_PAGE_BYTES, &h,
                   sizeof h);
        expect_refused(SEAL_BY_KEY, FIRST_KEY, RC_DENIED, "is not that of disk 0");
        sim_disk_load(0, image);
        EXPECT_OK(try_open(SEAL_BY_KEY, FIRST_KEY, &why));
        seal_stop();
    }
    end();
}

TEST(a_changed_bit_below_the_cipher_is_noticed) {
    struct volume v;
    struct pages p;
    bool is_short;
    struct diag why;
    u8 *page = malloc(LAYOUT_PAGE_BYTES);
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    EXPECT_OK(volume_open(&v, &why));
    u64 at = v.parts[VOLUME_DATABASE].first_block * 512;
    EXPECT_OK(pages_open(&p, &v, 0));
    EXPECT_OK(pages_read(&p, 2 * LAYOUT_PAGE_BYTES, page, LAYOUT_PAGE_BYTES, &is_short));
    sim_disk_rot(0, at + 3 * LAYOUT_PAGE_BYTES + 777, 0x20);
    EXPECT_RC(pages_read(&p, 3 * LAYOUT_PAGE_BYTES, page, LAYOUT_PAGE_BYTES, &is_short),
              RC_CORRUPT);
    pages_close(&p);
    free(page);
    end();
}

/* ---- Another secret -------------------------------------------------------------------------- */

static rc_t open_and_change(enum seal_kind kind, const char *secret) {
    struct volume v;
    struct diag why;
    offer(SEAL_BY_KEY, FIRST_KEY);
    EXPECT_OK(volume_open(&v, &why));
    return seal_change(kind, str_from_c(secret));
}

TEST(the_secret_is_changed_without_touching_data) {
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    EXPECT_OK(open_and_change(SEAL_BY_PASSPHRASE, "a new passphrase"));
    expect_refused(SEAL_BY_KEY, FIRST_KEY, RC_DENIED, "give its disk.passphrase");
    expect_rows(SEAL_BY_PASSPHRASE, "a new passphrase");
    EXPECT_EQ(current.generation, 2);
    end();
}

TEST(a_disk_in_the_clear_has_no_secret_to_change) {
    begin(0);
    make_filled(SEAL_NONE, NULL);
    EXPECT_RC(seal_change(SEAL_BY_KEY, S(FIRST_KEY)), RC_NOT_FOUND);
    end();
}

static rc_t opens(const char *secret) {
    struct diag why;
    rc_t rc = try_open(SEAL_BY_KEY, secret, &why);
    seal_stop();
    return rc;
}

TEST(a_cut_while_it_changes_leaves_one_secret_in_force) {
    u32 old_count = 0, new_count = 0;
    begin(0);
    make_filled(SEAL_BY_KEY, FIRST_KEY);
    sim_disk_load(0, image);
    EXPECT_OK(open_and_change(SEAL_BY_KEY, SECOND_KEY));
    u64 entries = sim_disk_log_count(0);
    EXPECT_EQ(entries, 4); /* two copies, a flush behind each */
    static u8 states[8 * 5][SIZE];
    u32 n = 0;
    for (u64 k = 0; k <= entries; k++)
        for (u32 tear = SIM_NONE; tear <= SIM_TAIL; tear++)
            sim_disk_state(0, k, (enum sim_tear)tear, test_random(), states[n++]);
    for (u32 i = 0; i < n; i++) {
        sim_disk_load(0, states[i]);
        bool by_old = opens(FIRST_KEY) == RC_OK, by_new = opens(SECOND_KEY) == RC_OK;
        EXPECT(by_old != by_new);
        old_count += by_old, new_count += by_new;
    }
    EXPECT(old_count && new_count);
    end();
}

TEST(an_error_while_it_changes_leaves_one_secret_in_force) {
    for (u32 verb = DISK_WRITE; verb <= DISK_FLUSH; verb++) {
        for (u64 nth = 1; nth <= COPIES; nth++) {
            struct volume v;
            struct diag why;
            begin(0);
            make_filled(SEAL_BY_KEY, FIRST_KEY);
            EXPECT_OK(volume_open(&v, &why));
            sim_disk_fail(0, (enum disk_verb)verb, nth, RC_IO, false);
            EXPECT_RC(seal_change(SEAL_BY_KEY, S(SECOND_KEY)), RC_IO);
            bool by_old = opens(FIRST_KEY) == RC_OK, by_new = opens(SECOND_KEY) == RC_OK;
            EXPECT(by_old != by_new);
            /* And once more, with another: the number of a generation is not used twice. */
            EXPECT_OK(try_open(SEAL_BY_KEY, by_old ? FIRST_KEY : SECOND_KEY, &why));
            EXPECT_OK(seal_change(SEAL_BY_KEY, S("third key, of thirty-two bytes..")));
            EXPECT_RC(opens(FIRST_KEY), RC_DENIED);
            EXPECT_RC(opens(SECOND_KEY), RC_DENIED);
            EXPECT_OK(opens("third key, of thirty-two bytes.."));
            end();
        }
    }
}

/* The making is cut at every point; what was claimed is made again, with a key of its own, or in
 * the clear if none is given now: nothing of the first attempt's header counts. */
TEST(a_disk_half_made_is_made_again) {
    static u8 states[32][SIZE];
    begin(0);
    offer(SEAL_BY_KEY, FIRST_KEY);
    struct volume v;
    struct diag why;
    EXPECT_OK(volume_open(&v, &why));
    u64 entries = sim_disk_log_count(0), mbr = 2;
    u32 n = 0;
    for (u64 k = mbr; k < entries && n < ARRAY_LEN(states); k++)
        sim_disk_state(0, k, k & 1 ? SIM_TORN : SIM_ALL, k, states[n++]);
    EXPECT(n >= 6);
    for (u32 i = 0; i < n; i++) {
        for (int sealed = 0; sealed < 2; sealed++) {
            sim_disk_load(0, states[i]);
            rc_t rc = try_open(sealed ? SEAL_BY_KEY : SEAL_NONE, sealed ? SECOND_KEY : NULL, &why);
            if (rc) { /* it was whole already: its own key opens it */
                EXPECT_RC(rc, RC_DENIED);
                EXPECT_OK(try_open(SEAL_BY_KEY, FIRST_KEY, &why));
            } else {
                EXPECT_EQ(seal_on(), sealed);
            }
            seal_stop();
            if (rc) continue;
            EXPECT_OK(storage_open());
            db_close();
        }
    }
    end();
}
