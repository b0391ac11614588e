/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c — sectors on their way to the disk and back, enciphered where the volume is.
 *
 *   write: the stores' bytes -> (cipher) -> a buffer of ours -> disk    never in place: others read
 *   read:  disk -> the reader's bytes -> (cipher, in place)
 *
 * A sector's number on the disk, in units of 512 bytes, is its place: no two have the same, in no
 * partition. A sector that is all zeroes on the disk was never written, and reads as zeroes: what
 * is not a cipher text is not deciphered (one that is will be all zeroes once in 2^4096).
 *
 * Always true: what is written comes out of a buffer that holds cipher text alone. The buffers are
 * made when the volume is opened, so a commit needs no memory for them; who finds none waits. */
#include "storage/seal.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "storage/xts.h"

#define BUFFER_BYTES 65536u
#define BUFFER_COUNT 2u /* the log's writer and a checkpoint's */

static struct seal {
    bool on;
    u32 block_bytes;
    struct xts cipher;
    u8 *free[BUFFER_COUNT];
    u32 free_count;
    struct wait_queue waiting;
} seal;

bool seal_on(void) { return seal.on; }

void seal_stop(void) {
    if (!seal.on) return;
    xts_close(&seal.cipher);
    while (seal.free_count) memory_free(MEMORY_SQL, seal.free[--seal.free_count]);
    seal = (struct seal){0};
}

rc_t seal_start(const struct seal_place *at, const u8 *data_key) {
    seal_stop();
    rc_t rc = xts_open(&seal.cipher, data_key);
    if (rc) return rc;
    seal.on = true;
    seal.block_bytes = at->info.block_bytes;
    while (seal.free_count < BUFFER_COUNT) {
        u8 *buffer = memory_alloc(MEMORY_SQL, BUFFER_BYTES);
        if (!buffer) {
            seal_stop();
            return RC_NO_MEMORY;
        }
        seal.free[seal.free_count++] = buffer;
    }
    return RC_OK;
}

static u8 *buffer_take(void) {
    while (!seal.free_count) {
        CHECK(fiber_inside()); /* before the loop runs there is one caller, and two buffers */
        rc_t rc = wait_queue_wait(&seal.waiting, UINT64_MAX);
        CHECK(!rc);
    }
    return seal.free[--seal.free_count];
}

static void buffer_give(u8 *buffer) {
    seal.free[seal.free_count++] = buffer;
    wait_queue_wake_one(&seal.waiting);
}

static bool all_zero(const u8 *p) {
    u64 any = 0, word;
    for (u32 i = 0; i < XTS_UNIT_BYTES && !any; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        any |= word;
    }
    return any == 0;
}

static u64 unit_of(u64 block) { return block * (seal.block_bytes / XTS_UNIT_BYTES); }

rc_t sealed_read(u32 disk, u64 block, u32 count, void *to) {
    rc_t rc = disk_read(disk, block, count, to);
    if (rc || !seal.on) return rc;
    u8 *p = to;
    size_t n = (size_t)count * seal.block_bytes;
    u64 unit = unit_of(block);
    while (n) { /* as many as follow each other: the cipher is told where they begin */
        size_t run = 0;
        while (run < n && !all_zero(p + run)) run += XTS_UNIT_BYTES;
        xts_decrypt(&seal.cipher, unit, p, p, run);
        if (run < n) run += XTS_UNIT_BYTES; /* that one stays as it is */
        p += run, n -= run, unit += run / XTS_UNIT_BYTES;
    }
    return RC_OK;
}

rc_t sealed_write(u32 disk, u64 block, u32 count, const void *from) {
    if (!seal.on) return disk_write(disk, block, count, from);
    u8 *buffer = buffer_take();
    const u8 *p = from;
    rc_t rc = RC_OK;
    while (count && !rc) {
        u32 blocks = MIN(count, BUFFER_BYTES / seal.block_bytes);
        size_t n = (size_t)blocks * seal.block_bytes;
        xts_encrypt(&seal.cipher, unit_of(block), p, buffer, n);
        rc = disk_write(disk, block, blocks, buffer);
        block += blocks, count -= blocks, p += n;
    }
    buffer_give(buffer);
    return rc;
}
