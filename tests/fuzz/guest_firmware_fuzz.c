/* SPDX-License-Identifier: Apache-2.0 */
/* guest_firmware_fuzz.c — everything a loader or firmware leaves in memory: the input is the
 * memory, at 0x10000; its first byte chooses the reader. */
#include "kernel/guest/acpi_table.c"
#include "kernel/guest/handoff.c"
#include "kernel/guest/words.c"

enum { BASE = 0x10000 };
static const u8 *bytes;
static size_t count;

static const void *view(u64 phys, size_t n) {
    if (phys < BASE || n > count || phys - BASE > count - n) return NULL;
    return bytes + (phys - BASE);
}

int LLVMFuzzerTestOneInput(const u8 *p, size_t n);
int LLVMFuzzerTestOneInput(const u8 *p, size_t n) {
    static struct handoff h;
    static struct acpi_facts facts;
    if (n < 1) return 0;
    bytes = p + 1;
    count = n - 1;
    rc_t rc = RC_OK;
    u64 base;
    u32 gsi;
    switch (p[0] % 4) {
    case 0: rc = handoff_pvh(view, BASE, &h); break;
    case 1: rc = handoff_multiboot2(view, BASE, &h); break;
    case 2: rc = acpi_read(view, BASE, &facts); break;
    case 3: rc = words_virtio_place((str){(const char *)bytes, count}, &base, &gsi); break;
    }
    if (p[0] % 4 < 2 && rc == RC_OK)
        for (u32 i = 0; i < h.ram_count; i++) {
            CHECK(h.ram[i].start < h.ram[i].end);
            CHECK(i == 0 || h.ram[i - 1].end < h.ram[i].start);
        }
    return 0;
}
