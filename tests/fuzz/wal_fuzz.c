/* SPDX-License-Identifier: Apache-2.0 */
/* wal_fuzz.c — the log as found at a start: edits of a real one. With the first byte's low bit the
 * frames' checksums are made right again, so that wrong pages reach the database. */
#include "tests/fuzz/storage_fuzz.h"
#include "kernel/base/bytes.h"

static void put32(u8 *p, u32 n) {
    p[0] = (u8)(n >> 24), p[1] = (u8)(n >> 16), p[2] = (u8)(n >> 8), p[3] = (u8)n;
}
static void sum(const u8 *p, size_t n, u32 *s) { /* https://sqlite.org/fileformat2.html 4.2 */
    for (size_t i = 0; i < n; i += 8) {
        u32 a, b;
        memcpy(&a, p + i, 4), memcpy(&b, p + i + 4, 4);
        s[0] += a + s[1];
        s[1] += b + s[0];
    }
}
static void checksums(u8 *log, u32 frames) {
    u32 s[2] = {0, 0};
    put32(log, 0x377f0682);
    sum(log, 24, s);
    put32(log + 24, s[0]), put32(log + 28, s[1]);
    for (u32 i = 0; i < frames; i++) {
        u8 *frame = log + WAL_HEADER_BYTES + (size_t)i * WAL_FRAME_BYTES;
        if (be32(frame + 8) != be32(log + 16)) return;
        sum(frame, 8, s);
        sum(frame + 24, LAYOUT_PAGE_BYTES, s);
        put32(frame + 16, s[0]), put32(frame + 20, s[1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_start(true);
    if (size < 1) return 0;
    sim_disk_load(0, fuzz_base);
    u8 *log = sim_disk_bytes(0) + fuzz_part(VOLUME_WAL);
    fuzz_edit(log, 40 * WAL_FRAME_BYTES, data + 1, size - 1);
    if (data[0] & 1) checksums(log, 40);
    fuzz_run(fuzz_open_and_use, NULL);
    return 0;
}
