/* SPDX-License-Identifier: Apache-2.0 */
/* handoff.h — what the loader tells us: memory, command line, where ACPI begins. Two formats,
 * one result. Pure functions over bytes from outside; `view` says which may be read. */
#pragma once
#include "kernel/base/base.h"

#define RAM_RANGES_MAX 64u
#define COMMAND_LINE_MAX 4096u

struct ram_range {
    u64 start, end; /* bytes, end exclusive, whole pages */
};
struct handoff {
    struct ram_range ram[RAM_RANGES_MAX]; /* usable, ascending, disjoint */
    u32 ram_count;
    char command_line[COMMAND_LINE_MAX]; /* copied; cut when longer */
    size_t command_line_bytes;
    u64 rsdp; /* physical address, 0: not told */
};

/* n readable bytes at a physical address, or NULL. */
typedef const void *(*view_fn)(u64 phys, size_t n);

#define MULTIBOOT2_MAGIC 0x36D76289u
#define PVH_MAGIC 0x336EC578u

/* RC_PASS: not this format. RC_CORRUPT: this format, but broken. */
rc_t handoff_pvh(view_fn view, u64 start_info, struct handoff *out);
rc_t handoff_multiboot2(view_fn view, u64 info, struct handoff *out);
/* The ACPI 1.0/2.0 root pointer by the BIOS way: EBDA, then 0xE0000..0xFFFFF. 0: none. */
u64 handoff_find_rsdp(view_fn view);
