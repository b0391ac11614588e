/* SPDX-License-Identifier: Apache-2.0 */
/* volume_fuzz.c — partition tables: edits of both copies and the MBR, with and without right
 * checksums. Never a crash, and never a write to a disk that does not turn out to be ours. */
#include "storage/gpt.h"
#include "tests/fuzz/storage_fuzz.h"

static void checksums(u8 *header, const u8 *entries) {
    struct layout_gpt_header h;
    memcpy(&h, header, sizeof h);
    h.entries_crc = gpt_crc32(0, entries, LAYOUT_GPT_TABLE_BYTES);
    h.header_crc = 0;
    h.header_crc = gpt_crc32(0, &h, sizeof h);
    memcpy(header, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct volume v;
    struct diag why = {0};
    fuzz_start(false);
    if (size < 1) return 0;
    u8 *disk = sim_disk_bytes(0), *end = disk + FUZZ_DISK_BYTES - 512;
    memcpy(disk, fuzz_base, KIB(20));
    memcpy(end - 16384, fuzz_base + FUZZ_DISK_BYTES - 512 - 16384, 16384 + 512);
    size_t half = size / 2;
    fuzz_edit(disk, 512 + 512 + 1024, data + 1, half ? half - 1 : 0);
    fuzz_edit(end - 16384, 16384 + 512, data + half, size - half);
    if (data[0] & 1) checksums(disk + 512, disk + 1024);
    if (data[0] & 2) checksums(end, end - 16384);
    u64 writes = sim_disk_log_count(0);
    rc_t rc = volume_open(&v, &why);
    if (rc && sim_disk_log_count(0) != writes) abort();
    if (rc && !why.text[0]) abort();
    if (!rc)
        for (u32 i = 0; i < VOLUME_PART_COUNT; i++)
            if (v.parts[i].first_block + v.parts[i].block_count > FUZZ_DISK_BYTES / 512) abort();
    if (sim_disk_log_count(0) > 10000) sim_disk_load(0, fuzz_base);
    return 0;
}
