/* SPDX-License-Identifier: Apache-2.0 */
/* storage.h — what the storage tests share: a simulated machine with one disk, and a way to run a
 * function on fibers until all have ended. */
#pragma once
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/host/sim.h"
#include "storage/db.h"
#include "tests/test.h"
#include <stdio.h>

/* A machine with its core started; call once per test (or per life). */
static inline void storage_core_start(u64 heap_bytes) {
    memory_init(heap_bytes);
    loop_init();
    static bool pooled; /* stacks are never given back: one pool for all tests of a process */
    if (!pooled) EXPECT_OK(fiber_init(128));
    pooled = true;
    EXPECT_OK(disk_init());
}
static inline void storage_begin(const struct sim_options *options) {
    sim_start(options);
    storage_core_start(MIB(200));
}

static void storage_loop_stop(void *arg) {
    (void)arg;
    loop_stop();
}
/* Runs the loop until every fiber has ended, at most a virtual minute. */
static inline void storage_run(void) {
    static struct timer stopper;
    timer_init(&stopper, storage_loop_stop, NULL);
    for (u32 i = 0; i < 60000 && fiber_count(); i++) {
        EXPECT_OK(timer_start_after_ms(&stopper, 1));
        loop_run();
    }
    timer_stop(&stopper);
    EXPECT_EQ(fiber_count(), 0);
}
/* Waits for a free stack: with tiny limits there are few. */
static inline void storage_fiber(void (*fn)(void *arg), void *arg) {
    rc_t rc;
    while ((rc = fiber_start("test", fn, arg, NULL)) == RC_LIMIT) {
        if (fiber_inside()) fiber_sleep_ms(1);
        else storage_run();
    }
    EXPECT_OK(rc);
}

/* One table for all: a writer's rows, each with a body made from its number. */
static const char *const storage_steps[] = {
    "CREATE TABLE item(writer INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY(writer, n)) STRICT;"
    "CREATE INDEX item_n ON item(n);",
    NULL};
static const struct db_schema storage_schema = {"test", storage_steps};
static const struct db_schema *const storage_schemas[] = {&storage_schema, NULL};

/* Opens volume and database; what went wrong is a failure of the test. */
static inline rc_t storage_open(void) {
    struct volume v;
    struct diag why = {0};
    rc_t rc = volume_open(&v, &why);
    if (!rc) rc = db_open(&v, storage_schemas, &why);
    if (rc) printf("%s: %s\n", rc_name(rc), why.text);
    return rc;
}

static inline size_t storage_body(u64 writer, u64 n, u8 *to, size_t room) {
    u64 x = (writer + 1) * 0x9E3779B97F4A7C15ull ^ (n + 1) * 0xD1B54A32D192ED03ull;
    size_t len = 20 + (size_t)(x >> 40) % (room - 20);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        to[i] = (u8)x;
    }
    return len;
}
static inline rc_t storage_put(struct db_txn *t, u64 writer, u64 n) {
    u8 body[1500];
    str s = {(char *)body, storage_body(writer, n, body, sizeof body)};
    return db_run(t, "INSERT INTO item(writer, n, body) VALUES(?1, ?2, ?3)", DB_INT(writer),
                  DB_INT(n), DB_BLOB(s));
}
static inline rc_t storage_put_one(u64 writer, u64 n) {
    struct db_txn *t;
    rc_t rc;
    while ((rc = db_write_begin(&t)) == RC_LIMIT && fiber_inside()) fiber_sleep_ms(1);
    if (rc) return rc;
    if (!(rc = storage_put(t, writer, n))) return db_write_commit(t);
    db_write_rollback(t);
    return rc;
}
/* The first column of the first row. */
static inline s64 storage_number(const char *sql) {
    struct db_txn *t;
    struct db_rows *r;
    s64 n = -1;
    rc_t rc;
    while ((rc = db_read_begin(&t)) == RC_LIMIT && fiber_inside()) fiber_sleep_ms(1);
    if (rc) return -1;
    rc = db_query(t, &r, sql);
    if (!rc) rc = db_next(r);
    if (!rc) n = db_column_int(r, 0);
    db_done(r);
    db_read_end(t);
    return n;
}
