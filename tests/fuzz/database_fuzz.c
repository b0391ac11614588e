/* SPDX-License-Identifier: Apache-2.0 */
/* database_fuzz.c — the database's pages as found at a start: flipped, overwritten, swapped. SQLite
 * finds what it finds; the appliance answers errors and goes on. */
#include "tests/fuzz/storage_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_start(false);
    sim_disk_load(0, fuzz_base);
    u8 *pages = sim_disk_bytes(0) + fuzz_part(VOLUME_DATABASE);
    fuzz_edit(pages, 60 * LAYOUT_PAGE_BYTES, data, size);
    fuzz_sum(pages, 60 * LAYOUT_PAGE_BYTES);
    fuzz_run(fuzz_open_and_use, NULL);
    return 0;
}
