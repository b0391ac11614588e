/* SPDX-License-Identifier: Apache-2.0 */
/* guest_handoff_test.c — what loaders leave in memory: both formats, whole, broken and hostile;
 * and the command line words. */
#include "kernel/guest/handoff.c"
#include "kernel/guest/words.c"
#include "tests/test.h"

enum { BASE = 0x10000, BYTES = 0x4000 };
static u8 memory[BYTES];

static const void *view(u64 phys, size_t n) {
    if (phys < BASE || n > BYTES || phys - BASE > BYTES - n) return NULL;
    return memory + (phys - BASE);
}
static void put(u64 phys, const void *p, size_t n) { memcpy(memory + (phys - BASE), p, n); }
static void put32(u64 phys, u32 v) { put(phys, &v, 4); }
static void put64(u64 phys, u64 v) { put(phys, &v, 8); }

static struct handoff h;

static void pvh_build(u32 entries) {
    memset(memory, 0, sizeof memory);
    struct pvh_start_info info = {.magic = PVH_MAGIC, .version = 1, .command_line = BASE + 0x100,
                                  .rsdp = 0xE0010, .memmap = BASE + 0x200,
                                  .memmap_entries = entries};
    put(BASE, &info, sizeof info);
    put(BASE + 0x100, "a=1 b=2", 8);
}
static void pvh_entry(u32 i, u64 start, u64 bytes, u32 type) {
    struct pvh_memmap_entry e = {start, bytes, type, 0};
    put(BASE + 0x200 + i * sizeof e, &e, sizeof e);
}

TEST(pvh_whole) {
    pvh_build(3);
    pvh_entry(0, 0x100000, 0x3F00000, 1);
    pvh_entry(1, 0, 0x9FC00, 1);
    pvh_entry(2, 0x9FC00, 0x400, 2);
    REQUIRE(handoff_pvh(view, BASE, &h) == RC_OK);
    EXPECT_EQ(h.ram_count, 2);
    EXPECT_EQ(h.ram[0].end, 0x9F000); /* whole pages */
    EXPECT_EQ(h.ram[1].start, 0x100000);
    EXPECT_EQ(h.ram[1].end, 0x4000000);
    EXPECT_EQ(h.rsdp, 0xE0010);
    EXPECT_STR(((str){h.command_line, h.command_line_bytes}), S("a=1 b=2"));
}

TEST(ranges_are_sorted_and_joined) {
    pvh_build(5);
    pvh_entry(0, 0x4000, 0x1000, 1);
    pvh_entry(1, 0x1000, 0x1000, 1);
    pvh_entry(2, 0x8000, 0x1000, 1);
    pvh_entry(3, 0x2000, 0x2800, 1); /* joins 0 and 1, overlapping */
    pvh_entry(4, 0x8800, 0x100, 1);  /* less than a page */
    REQUIRE(handoff_pvh(view, BASE, &h) == RC_OK);
    EXPECT_EQ(h.ram_count, 2);
    EXPECT_EQ(h.ram[0].start, 0x1000);
    EXPECT_EQ(h.ram[0].end, 0x5000);
    EXPECT_EQ(h.ram[1].start, 0x8000);
}

TEST(impossible_ranges_are_left_out) {
    pvh_build(4);
    pvh_entry(0, ~0ull - 0x1000, 0x4000, 1); /* wraps */
    pvh_entry(1, 1ull << 60, 0x4000, 1);
    pvh_entry(2, 0x1000, ~0ull, 1);
    pvh_entry(3, 0x1000, 0, 1);
    EXPECT_RC(handoff_pvh(view, BASE, &h), RC_CORRUPT); /* nothing is left */
}

TEST(pvh_broken) {
    pvh_build(1);
    EXPECT_RC(handoff_pvh(view, BASE + 2, &h), RC_PASS);
    EXPECT_RC(handoff_pvh(view, 0, &h), RC_PASS);
    EXPECT_RC(handoff_pvh(view, BASE + 0x100, &h), RC_PASS); /* no magic there */
    pvh_build(1025);
    EXPECT_RC(handoff_pvh(view, BASE, &h), RC_CORRUPT);
    pvh_build(1024); /* runs off the end of what may be read */
    EXPECT_RC(handoff_pvh(view, BASE, &h), RC_CORRUPT);
    pvh_build(0);
    put64(BASE + 24, 0xFFFFFFFFFFFFFFF0ull); /* command line nowhere */
    EXPECT_RC(handoff_pvh(view, BASE, &h), RC_CORRUPT);
    EXPECT_EQ(h.command_line_bytes, 0);
    put32(BASE + 4, 0); /* version 0 has no memory map */
    EXPECT_RC(handoff_pvh(view, BASE, &h), RC_CORRUPT);
    put(BASE + BYTES - 40, memory, 40); /* version 1, but cut off */
    put32(BASE + BYTES - 36, 1);
    EXPECT_RC(handoff_pvh(view, BASE + BYTES - 40, &h), RC_CORRUPT);
}

TEST(long_command_lines_are_cut) {
    pvh_build(1);
    pvh_entry(0, 0x100000, 0x100000, 1);
    put64(BASE + 24, BASE + 0x1000);
    memset(memory + 0x1000, 'x', 0x3000);
    REQUIRE(handoff_pvh(view, BASE, &h) == RC_OK);
    EXPECT_EQ(h.command_line_bytes, COMMAND_LINE_MAX - 1);
    EXPECT_EQ(h.command_line[COMMAND_LINE_MAX - 1], 0);
}

TEST(many_ranges_fit_or_are_dropped) {
    pvh_build(200);
    for (u32 i = 0; i < 200; i++) pvh_entry(i, (200 - i) * 0x10000ull, 0x1000, 1);
    REQUIRE(handoff_pvh(view, BASE, &h) == RC_OK);
    EXPECT_EQ(h.ram_count, RAM_RANGES_MAX);
    for (u32 i = 1; i < h.ram_count; i++) EXPECT(h.ram[i - 1].end < h.ram[i].start);
}

/* tags: command line, memory map with 24-byte entries, old and new ACPI, end */
static u32 multiboot2_build(void) {
    memset(memory, 0, sizeof memory);
    u64 at = BASE + 8;
    put32(at, TAG_COMMAND_LINE), put32(at + 4, 8 + 6), put(at + 8, "x=y z", 6);
    at += 16;
    put32(at, TAG_MEMMAP), put32(at + 4, 16 + 2 * 24), put32(at + 8, 24);
    put64(at + 16, 0x100000), put64(at + 24, 0x700000), put32(at + 32, 1);
    put64(at + 40, 0x800000), put64(at + 48, 0x100000), put32(at + 56, 2);
    at += 64;
    put32(at, TAG_ACPI_NEW), put32(at + 4, 8 + 36);
    at += 48;
    put32(at, TAG_ACPI_OLD), put32(at + 4, 8 + 20);
    at += 32;
    put32(at, TAG_END), put32(at + 4, 8);
    at += 8;
    put32(BASE, (u32)(at - BASE));
    return (u32)(at - BASE);
}

TEST(multiboot2_whole) {
    multiboot2_build();
    REQUIRE(handoff_multiboot2(view, BASE, &h) == RC_OK);
    EXPECT_EQ(h.ram_count, 1);
    EXPECT_EQ(h.ram[0].end, 0x800000);
    EXPECT_STR(((str){h.command_line, h.command_line_bytes}), S("x=y z"));
    EXPECT_EQ(h.rsdp, BASE + 8 + 16 + 64 + 8); /* the new one wins */
}

TEST(multiboot2_broken) {
    EXPECT_RC(handoff_multiboot2(view, BASE + 4, &h), RC_CORRUPT);
    EXPECT_RC(handoff_multiboot2(view, 0, &h), RC_CORRUPT);
    multiboot2_build();
    put32(BASE, 0x200000);
    EXPECT_RC(handoff_multiboot2(view, BASE, &h), RC_CORRUPT);
    multiboot2_build();
    put32(BASE + 12, 4); /* a tag shorter than its head would never end */
    EXPECT_RC(handoff_multiboot2(view, BASE, &h), RC_CORRUPT);
    multiboot2_build();
    put32(BASE + 24 + 8, 0); /* entries of no size likewise */
    EXPECT_RC(handoff_multiboot2(view, BASE, &h), RC_CORRUPT);
    multiboot2_build();
    put32(BASE, BYTES * 2); /* claims more than there is, and has no end tag */
    put32(BASE + 8 + 16 + 64 + 48 + 32, 99);
    EXPECT_RC(handoff_multiboot2(view, BASE, &h), RC_CORRUPT);
}

TEST(multiboot2_flipped_bits_never_hurt) {
    for (int run = 0; run < 20000; run++) {
        u32 n = multiboot2_build();
        for (int k = 0; k < 3; k++) memory[test_random() % n] ^= (u8)(1u << test_random() % 8);
        if (handoff_multiboot2(view, BASE, &h) == RC_OK) EXPECT(h.ram_count > 0);
    }
}

static u8 low[0x100000];
static const void *low_view(u64 phys, size_t n) {
    return phys && n <= sizeof low && phys <= sizeof low - n ? low + phys : NULL;
}
static void rsdp_at(u32 at) {
    memcpy(low + at, "RSD PTR ", 8);
    u8 sum = 0;
    for (int i = 0; i < 20; i++) sum = (u8)(sum + low[at + (u32)i]);
    low[at + 8] = (u8)-sum;
}

TEST(the_root_pointer_is_found) {
    EXPECT_EQ(handoff_find_rsdp(low_view), 0);
    memcpy(low + 0xE4000, "RSD PTR ", 8); /* checksum wrong */
    EXPECT_EQ(handoff_find_rsdp(low_view), 0);
    rsdp_at(0xF5AD0);
    EXPECT_EQ(handoff_find_rsdp(low_view), 0xF5AD0);
    low[0x40E] = 0xC0, low[0x40F] = 0x9F;
    rsdp_at(0x9FC10);
    EXPECT_EQ(handoff_find_rsdp(low_view), 0x9FC10);
}

TEST(words) {
    EXPECT_STR(words_value(S("a=1 test=1 b"), S("test=")), S("1"));
    EXPECT(words_value(S("a=1 b"), S("test=")).ptr == NULL);
    u64 base;
    u32 gsi;
    EXPECT_OK(words_virtio_place(S("512@0xfeb00e00:12"), &base, &gsi));
    EXPECT_EQ(base, 0xfeb00e00);
    EXPECT_EQ(gsi, 12);
    EXPECT_OK(words_virtio_place(S("4K@0xd0000000:5:0"), &base, &gsi));
    static const char *const bad[] = {"",
                                      "512",
                                      "512@",
                                      "512@0x",
                                      "512@0xfeb00000",
                                      "@0xfeb00000:1",
                                      "512@0xfeb00000:",
                                      "512@0xfeb00000:2000",
                                      "512@16:1",
                                      "512@0xffffffffffffffff:1",
                                      "512@0xfeb00000:1x",
                                      "512@0xfeb00001:1",
                                      "512@0xfeb00000000000000000:1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_RC(words_virtio_place(test_at_page_end(str_from_c(bad[i])), &base, &gsi),
                  RC_INVALID);
}
