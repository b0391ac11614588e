/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h — what both loaders share: choosing a slot, placing an ELF, telling the kernel.
 *
 * The kernel is entered as PVH says (Xen public/arch-x86/hvm/start_info.h): 32-bit protected mode,
 * paging and interrupts off, flat segments, %ebx at a struct start_info below 4 GiB. Its entry
 * address is in the ELF's note of type 18. Slot and ELF are checked before a byte is believed: a
 * broken slot is passed over, never entered. */
#pragma once
#include "image/layout.h"
#include <stdbool.h>
#include <stddef.h>

/* ---- Telling the kernel ---------------------------------------------------------------------- */

enum { MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3, MEMORY_NVS = 4 };
struct memory_entry {
    uint64_t start, bytes;
    uint32_t type, reserved;
};
struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
_Static_assert(sizeof(struct memory_entry) == 24 && sizeof(struct start_info) == 56,
               "start_info.h");
#define START_INFO_MAGIC 0x336ec578u
#define LINE_BYTES_MAX 2048u

/* ---- Small things a loader has no library for ------------------------------------------------ */

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
uint32_t boot_crc(uint32_t crc, const void *bytes, size_t n); /* begin with 0 */

/* The command line: the slot's words, then those of QEMU's fw_cfg opt/org.openpolicy/append. */
void boot_command_line(char to[LINE_BYTES_MAX], const struct slot *slot);

/* ---- Slots and ELF --------------------------------------------------------------------------- */

bool slot_valid(const struct slot *s);
/* The slots in the order to try: *first is NULL when neither is valid. */
void slot_order(const struct slot *a, const struct slot *b, const struct slot **first,
                const struct slot **second);

#define SEGMENT_MAX 8
struct segment { /* bytes offset..offset+file_bytes go to `to`, zeroes up to memory_bytes */
    uint64_t offset, file_bytes, to, memory_bytes;
};
struct plan {
    uint32_t entry; /* physical */
    uint32_t count;
    struct segment segments[SEGMENT_MAX];
    uint64_t start, end; /* what the segments span */
    struct segment note; /* lies in one of the segments */
};
/* From an ELF's first bytes, where its program headers lie. NULL, or what is wrong. */
const char *plan_make(struct plan *p, const void *head, size_t head_bytes, uint64_t elf_bytes);
/* The entry, from the bytes of p->note. NULL, or what is wrong. */
const char *plan_enter(struct plan *p, const void *note);
