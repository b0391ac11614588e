/* SPDX-License-Identifier: Apache-2.0 */
/* guest_acpi_table_test.c — firmware tables: the facts we take, and tables that lie. */
#include "kernel/guest/acpi_table.c"
#include "tests/test.h"

enum { BASE = 0x100000, BYTES = 0x4000 };
enum { RSDP = BASE, XSDT = BASE + 0x100, FADT = BASE + 0x200, MADT = BASE + 0x400,
       MCFG = BASE + 0x600, DSDT = BASE + 0x800 };
static u8 memory[BYTES];
static struct acpi_facts facts;

static const void *view(u64 phys, size_t n) {
    if (phys < BASE || n > BYTES || phys - BASE > BYTES - n) return NULL;
    return memory + (phys - BASE);
}
static u8 *at(u64 phys) { return memory + (phys - BASE); }
static void put16(u64 phys, u32 v) { memcpy(at(phys), &v, 2); }
static void put32(u64 phys, u32 v) { memcpy(at(phys), &v, 4); }
static void put64(u64 phys, u64 v) { memcpy(at(phys), &v, 8); }
static void sum_fix(u64 phys, u32 bytes, u32 where) {
    u8 sum = 0;
    at(phys)[where] = 0;
    for (u32 i = 0; i < bytes; i++) sum = (u8)(sum + at(phys)[i]);
    at(phys)[where] = (u8)-sum;
}
static void head(u64 phys, const char *name, u32 bytes) {
    memcpy(at(phys), name, 4);
    put32(phys + 4, bytes);
}
static void seal(u64 phys) { sum_fix(phys, get32(at(phys) + 4), 9); }

static void fadt_build(u32 flags, u32 bytes) {
    head(FADT, "FACP", bytes);
    put32(FADT + 40, DSDT);
    put16(FADT + 46, 9);
    put32(FADT + 48, 0xB2), at(FADT)[52] = 2;
    put32(FADT + 56, 0x600), put32(FADT + 64, 0x604), put32(FADT + 76, 0x608);
    at(FADT)[88] = 4, at(FADT)[91] = 4;
    put32(FADT + 112, flags);
    if (bytes >= 129) at(FADT)[116] = 1, put64(FADT + 120, 0xCF9), at(FADT)[128] = 6;
    if (bytes >= 256) at(FADT)[244] = 0, put64(FADT + 248, 0xFEA00200);
    seal(FADT);
}

static void madt_build(void) {
    static const u8 entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,                   /* CPU 0, usable */
        0, 8, 1, 1, 0, 0, 0, 0,                   /* CPU 1, not */
        9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, /* x2APIC CPU, usable */
        1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0,
        1, 12, 1, 0, 0, 0, 0xC1, 0xFE, 24, 0, 0, 0,
        2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,         /* SCI: level, high */
        2, 10, 0, 5, 5, 0, 0, 0, 0x0F, 0,         /* level, low */
    };
    head(MADT, "APIC", 44 + sizeof entries);
    memcpy(at(MADT) + 44, entries, sizeof entries);
    seal(MADT);
}

static void build(void) {
    memset(memory, 0, sizeof memory);
    memcpy(at(RSDP), "RSD PTR ", 8);
    at(RSDP)[15] = 2;
    put64(RSDP + 24, XSDT);
    sum_fix(RSDP, 20, 8);
    head(XSDT, "XSDT", 36 + 4 * 8);
    put64(XSDT + 36, FADT), put64(XSDT + 44, MADT), put64(XSDT + 52, MCFG);
    put64(XSDT + 60, 0xDEAD0000); /* a table nobody can read */
    fadt_build(1u << 10, 276);
    madt_build();
    head(MCFG, "MCFG", 60);
    put64(MCFG + 44, 0xB0000000), at(MCFG)[55] = 255;
    seal(MCFG);
    static const u8 code[] = {'x', '_', 'S', '5', '_', 0x12, 6, 4, 0x0A, 5, 0x0A, 7, 0, 0, 'A', 'C',
                              'P', 'I', '0', '0', '1', '3', 0, 'L', 'N', 'R', 'O', '0', '0', '0',
                              '5', 0, 8, '_', 'C', 'R', 'S', 0x11, 0x1A, 0x0A, 0x17,
                              0x86, 9, 0, 1, 0, 0x0E, 0xB0, 0xFE, 0, 2, 0, 0,
                              0x89, 6, 0, 1, 1, 31, 0, 0, 0, 0x79, 0, 0, 0, 0, 0, 0, 0};
    head(DSDT, "DSDT", 36 + sizeof code);
    memcpy(at(DSDT) + 36, code, sizeof code);
}

TEST(all_facts) {
    build();
    REQUIRE(acpi_read(view, RSDP, &facts) == RC_OK);
    EXPECT(facts.fadt && facts.madt && !facts.reduced_hardware && facts.ged && facts.s5);
    EXPECT_EQ(facts.s5_a, 5);
    EXPECT_EQ(facts.s5_b, 7);
    EXPECT_EQ(facts.cpu_count, 2);
    EXPECT_EQ(facts.ioapic_count, 2);
    EXPECT_EQ(facts.ioapic[1].gsi_base, 24);
    EXPECT_EQ(facts.override_count, 2);
    EXPECT(facts.override[0].level && !facts.override[0].active_low);
    EXPECT(facts.override[1].level && facts.override[1].active_low);
    EXPECT_EQ(facts.sci, 9);
    EXPECT_EQ(facts.pm1a_event, 0x600);
    EXPECT_EQ(facts.pm1a_control, 0x604);
    EXPECT_EQ(facts.pm_timer, 0x608);
    EXPECT_EQ(facts.smi_command, 0xB2);
    EXPECT(facts.reset_works);
    EXPECT_EQ(facts.reset.at, 0xCF9);
    EXPECT_EQ(facts.reset_value, 6);
    EXPECT_EQ(facts.sleep_control.at, 0xFEA00200);
    EXPECT_EQ(facts.ecam, 0xB0000000);
    EXPECT_EQ(facts.ecam_last_bus, 255);
    REQUIRE(facts.mmio_count == 1);
    EXPECT_EQ(facts.mmio[0].base, 0xFEB00E00);
    EXPECT_EQ(facts.mmio[0].gsi, 31);
}

TEST(old_root_and_short_fadt) {
    build();
    at(RSDP)[15] = 0;
    put32(RSDP + 16, XSDT);
    sum_fix(RSDP, 20, 8);
    head(XSDT, "RSDT", 36 + 4);
    put32(XSDT + 36, FADT);
    fadt_build(1u << 10, 116);
    REQUIRE(acpi_read(view, RSDP, &facts) == RC_OK);
    EXPECT(facts.fadt && !facts.madt && !facts.reset_works);
    EXPECT_EQ(facts.sleep_control.space, 0xFF);
}

TEST(reduced_hardware) {
    build();
    fadt_build(1u << 20, 276);
    REQUIRE(acpi_read(view, RSDP, &facts) == RC_OK);
    EXPECT(facts.reduced_hardware && !facts.reset_works);
}

TEST(wrong_checksums_and_roots) {
    build();
    at(MADT)[50] ^= 1;
    REQUIRE(acpi_read(view, RSDP, &facts) == RC_OK);
    EXPECT(!facts.madt && facts.fadt);
    at(RSDP)[10] ^= 1;
    EXPECT_RC(acpi_read(view, RSDP, &facts), RC_NOT_FOUND);
    EXPECT_RC(acpi_read(view, 0, &facts), RC_NOT_FOUND);
    EXPECT_RC(acpi_read(view, 1ull << 40, &facts), RC_NOT_FOUND);
    build();
    memcpy(at(XSDT), "NOPE", 4);
    EXPECT_RC(acpi_read(view, RSDP, &facts), RC_NOT_FOUND);
    build();
    put32(XSDT + 4, 0xFFFFFFFF);
    EXPECT_RC(acpi_read(view, RSDP, &facts), RC_NOT_FOUND);
}

TEST(lying_lengths) {
    build();
    at(MADT)[44 + 1] = 0; /* an entry of no length would never end */
    seal(MADT);
    EXPECT_OK(acpi_read(view, RSDP, &facts));
    EXPECT_EQ(facts.cpu_count, 0);
    build();
    at(MADT)[44 + 1] = 255;
    seal(MADT);
    EXPECT_OK(acpi_read(view, RSDP, &facts));
    EXPECT_EQ(facts.cpu_count, 0);
    build();
    head(MADT, "APIC", 40);
    seal(MADT);
    EXPECT_OK(acpi_read(view, RSDP, &facts));
    EXPECT(!facts.madt);
    build();
    head(MCFG, "MCFG", 50);
    seal(MCFG);
    head(FADT, "FACP", 100);
    seal(FADT);
    EXPECT_OK(acpi_read(view, RSDP, &facts));
    EXPECT(!facts.ecam && !facts.fadt);
}

TEST(names_at_the_very_end_of_the_dsdt) {
    static const char *const ends[] = {"_S5_\x12", "LNRO0005", "ACPI0013",
                                       "_S5_\x12\xFF\xFF\xFF\xFF\xFF"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        build();
        size_t n = strlen(ends[i]);
        put32(FADT + 40, BASE + BYTES - 64);
        seal(FADT);
        head(BASE + BYTES - 64, "DSDT", 64);
        memcpy(memory + BYTES - n, ends[i], n);
        EXPECT_OK(acpi_read(view, RSDP, &facts));
        EXPECT(!facts.s5 && !facts.mmio_count);
    }
}

TEST(flipped_bits_never_hurt) {
    for (int run = 0; run < 20000; run++) {
        build();
        u64 where[] = {RSDP, XSDT, FADT, MADT, MCFG, DSDT};
        for (int k = 0; k < 4; k++)
            at(where[test_random() % ARRAY_LEN(where)])[test_random() % 128] = (u8)test_random();
        sum_fix(RSDP, 20, 8);
        for (u32 i = 2; i < 5; i++)
            if (get32(at(where[i]) + 4) < 0x400) seal(where[i]);
        if (acpi_read(view, RSDP, &facts)) continue;
        EXPECT(facts.cpu_count <= ACPI_CPU_MAX && facts.ioapic_count <= ACPI_IOAPIC_MAX);
    }
}
