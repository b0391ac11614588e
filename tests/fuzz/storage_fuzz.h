/* SPDX-License-Identifier: Apache-2.0 */
/* storage_fuzz.h — a simulated disk with a made volume and a small database; an input edits its
 * bytes, and then the appliance starts from it. Whatever is there: an error or rows, never a
 * crash. */
#pragma once
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/host/sim.h"
#include "storage/db_impl.h"
#include "storage/sum.h"
#include <stdlib.h>

#define FUZZ_DISK_BYTES MIB(16)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fuzz_steps[] = {
    "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB) STRICT;"
    "CREATE TABLE part(item INTEGER REFERENCES item(id) ON DELETE CASCADE, n INTEGER, PRIMARY "
    "KEY(item, n))"
    " WITHOUT ROWID;"
    "CREATE INDEX item_body ON item(length(body));"
    "CREATE VIRTUAL TABLE words USING fts5(text, tokenize='unicode61 remove_diacritics 2');",
    NULL};
static const struct db_schema fuzz_schema = {"fuzz", fuzz_steps};
static const struct db_schema *const fuzz_schemas[] = {&fuzz_schema, NULL};
static u8 *fuzz_base; /* the disk as it was made */
static struct volume fuzz_volume;

static void fuzz_stop(void *arg) {
    (void)arg;
    loop_stop();
}
static inline void fuzz_run(void (*fn)(void *arg), void *arg) {
    static struct timer stopper;
    if (fiber_start("fuzz", fn, arg, NULL)) abort();
    timer_init(&stopper, fuzz_stop, NULL);
    for (u32 i = 0; i < 60000 && fiber_count(); i++) {
        if (timer_start_after_ms(&stopper, 1)) abort();
        loop_run();
    }
    if (fiber_count()) abort(); /* a hang */
}

static void fuzz_fill(void *arg) {
    struct db_txn *t;
    (void)arg;
    for (u32 i = 0; i < 60; i++) {
        static char body[3000];
        str name = {body, 5 + i}, text = S("le pr\xc3\xa9sident has signed the decree");
        memset(body, 'a' + (int)(i % 26), sizeof body);
        if (db_write_begin(&t)) abort();
        if (db_run(t, "INSERT INTO item VALUES(?1, ?2, ?3)", DB_INT(i), DB_TEXT(name),
                   DB_BLOB(str_of(body, i * 50))) ||
            db_run(t, "INSERT INTO part VALUES(?1, ?2)", DB_INT(i), DB_INT(i * i)) ||
            db_run(t, "INSERT INTO words VALUES(?1)", DB_TEXT(text)) || db_write_commit(t))
            abort();
    }
}

/* Makes the base once. `keep_log`: as after a cut, with all rows still in the log. */
static inline void fuzz_start(bool keep_log) {
    struct diag why;
    if (fuzz_base) return;
    fuzz_base = malloc(FUZZ_DISK_BYTES);
    log_level_set(LOG_ERROR);
    log_console_level_set(LOG_ERROR + 1);
    sim_start(&(struct sim_options){.seed = 1,
                                    .disk_count = 1,
                                    .disk_bytes = FUZZ_DISK_BYTES,
                                    .op_bytes_max = 1 << 20,
                                    .log_bytes_max = MIB(64)});
    memory_init(MIB(100));
    loop_init();
    if (fiber_init(8) || disk_init() || volume_open(&fuzz_volume, &why)) abort();
    if (db_open(&fuzz_volume, fuzz_schemas, &why)) abort();
    fuzz_run(fuzz_fill, NULL);
    if (keep_log) memcpy(fuzz_base, sim_disk_bytes(0), FUZZ_DISK_BYTES);
    db_close();
    if (!keep_log) memcpy(fuzz_base, sim_disk_bytes(0), FUZZ_DISK_BYTES);
}

static inline u64 fuzz_part(enum volume_part part) {
    return fuzz_volume.parts[part].first_block * 512;
}

/* Edits: three bytes where, one how many, then the bytes. */
static inline void fuzz_edit(u8 *region, u32 room, const u8 *data, size_t size) {
    while (size >= 5) {
        u32 at = (data[0] | data[1] << 8 | (u32)data[2] << 16) % room;
        size_t n = 1 + data[3] % 64;
        data += 4, size -= 4;
        n = MIN(n, size);
        memcpy(region + at, data, MIN(n, (size_t)(room - at)));
        data += n, size -= n;
    }
}

/* As one would who damages a page and knows of the sums: what is above them has to cope. */
static inline void fuzz_sum(u8 *pages, u32 bytes) {
    for (u32 at = 0; at < bytes; at += LAYOUT_PAGE_BYTES) page_sum_set(pages + at);
}

static inline void fuzz_use(void *arg) {
    static const char *const queries[] = {"SELECT * FROM item ORDER BY name",
                                          "SELECT * FROM part",
                                          "SELECT max(length(body)) FROM item",
                                          "SELECT rowid FROM words WHERE words MATCH 'president'",
                                          "SELECT * FROM item JOIN part ON item=id",
                                          "SELECT count(*) FROM item WHERE length(body) > 500",
                                          "PRAGMA integrity_check(5)"};
    static const char *const changes[] = {"INSERT INTO item VALUES(NULL, 'fresh', zeroblob(9000))",
                                          "UPDATE item SET body = NULL WHERE id % 7 = 1",
                                          "DELETE FROM item WHERE id % 5 = 2",
                                          "INSERT INTO words VALUES('fresh words')",
                                          "DELETE FROM words WHERE rowid % 3 = 0",
                                          "DELETE FROM part"};
    struct db_txn *t;
    struct db_rows *r;
    bool complete;
    (void)arg;
    for (u32 i = 0; i < ARRAY_LEN(queries); i++) {
        if (db_read_begin(&t)) continue;
        rc_t rc = db_query(t, &r, queries[i]);
        for (u32 n = 0; !rc && n < 500; n++)
            if (!(rc = db_next(r))) (void)db_column_text(r, 0);
        db_done(r);
        db_read_end(t);
    }
    for (u32 i = 0; i < ARRAY_LEN(changes); i++) {
        if (db_write_begin(&t)) continue;
        rc_t rc = db_run(t, changes[i]);
        if (rc) db_write_rollback(t);
        else rc = db_write_commit(t);
    }
    rc_t rc = checkpoint_run(&complete);
    (void)rc;
}

/* A start of the appliance from the disk as it is now. */
static inline void fuzz_open_and_use(void *arg) {
    struct diag why;
    (void)arg;
    if (volume_open(&fuzz_volume, &why)) return;
    if (db_open(&fuzz_volume, fuzz_schemas, &why)) return;
    fuzz_use(NULL);
    db_close();
}
