/* SPDX-License-Identifier: Apache-2.0 */
/* handoff.c — reads what the loader left in memory.
 *
 *   PVH         ebx -> hvm_start_info { magic, version, flags, modules, cmdline, rsdp, memmap }
 *               (Xen public/arch-x86/hvm/start_info.h; also the boot disk's own loader)
 *   multiboot2  eax = magic, ebx -> { size, 0, tags: type, size, payload, 8-aligned }
 *
 * Always true of the result: ranges are whole pages, ascending, disjoint, below 2^52; the command
 * line is a copy. Loader data is never trusted: counts and addresses are checked against `view`.
 * Knows no hardware, so tests and the fuzzer run it on the host. */
#include "kernel/guest/handoff.h"

struct pvh_start_info {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, rsdp;
    u64 memmap; /* version >= 1 */
    u32 memmap_entries, reserved;
};
struct pvh_memmap_entry {
    u64 start, bytes;
    u32 type, reserved;
};
static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h");
static_assert(sizeof(struct pvh_memmap_entry) == 24, "start_info.h");

enum { MEMORY_RAM = 1, ENTRIES_MAX = 1024 };
#define ADDRESS_MAX (1ull << 52)

static void ram_insert(struct handoff *h, u64 start, u64 bytes) {
    if (bytes > ADDRESS_MAX || start > ADDRESS_MAX - bytes) return;
    u64 end = (start + bytes) & ~4095ull;
    start = (start + 4095) & ~4095ull;
    if (start >= end) return;
    u32 i = 0;
    while (i < h->ram_count && h->ram[i].end < start) i++;
    if (i < h->ram_count && h->ram[i].start <= end) { /* touches: grow it, swallow what follows */
        struct ram_range *r = &h->ram[i];
        r->start = MIN(r->start, start);
        r->end = MAX(r->end, end);
        u32 after = i + 1;
        while (after < h->ram_count && h->ram[after].start <= r->end) {
            r->end = MAX(r->end, h->ram[after].end);
            after++;
        }
        memmove(&h->ram[i + 1], &h->ram[after], (h->ram_count - after) * sizeof h->ram[0]);
        h->ram_count -= after - (i + 1);
        return;
    }
    if (h->ram_count == RAM_RANGES_MAX) return;
    memmove(&h->ram[i + 1], &h->ram[i], (h->ram_count - i) * sizeof h->ram[0]);
    h->ram[i] = (struct ram_range){start, end};
    h->ram_count++;
}

static void command_line_copy(view_fn view, u64 at, size_t room, struct handoff *h) {
    size_t n = 0;
    room = MIN(room, COMMAND_LINE_MAX - 1);
    while (n < room) {
        const char *c = view(at + n, 1);
        if (!c || !*c) break;
        h->command_line[n++] = *c;
    }
    h->command_line[n] = 0;
    h->command_line_bytes = n;
}

rc_t handoff_pvh(view_fn view, u64 at, struct handoff *out) {
    struct pvh_start_info info = {0};
    const void *p = at & 3 ? NULL : view(at, 40);
    if (!p) return RC_PASS;
    memcpy(&info, p, 40);
    if (info.magic != PVH_MAGIC) return RC_PASS;
    if (info.version >= 1) {
        if (!(p = view(at, sizeof info))) return RC_CORRUPT;
        memcpy(&info, p, sizeof info);
    }
    *out = (struct handoff){.rsdp = info.rsdp};
    if (info.command_line) command_line_copy(view, info.command_line, COMMAND_LINE_MAX, out);
    if (info.memmap_entries > ENTRIES_MAX || !info.memmap) return RC_CORRUPT;
    for (u32 i = 0; i < info.memmap_entries; i++) {
        struct pvh_memmap_entry e;
        if (!(p = view(info.memmap + (u64)i * sizeof e, sizeof e))) return RC_CORRUPT;
        memcpy(&e, p, sizeof e);
        if (e.type == MEMORY_RAM) ram_insert(out, e.start, e.bytes);
    }
    return out->ram_count ? RC_OK : RC_CORRUPT;
}

enum { TAG_END = 0, TAG_COMMAND_LINE = 1, TAG_MEMMAP = 6, TAG_ACPI_OLD = 14, TAG_ACPI_NEW = 15 };

static rc_t multiboot2_memmap(view_fn view, u64 at, u32 bytes, struct handoff *out) {
    u32 head[2]; /* entry size, version */
    const void *p = bytes >= 8 ? view(at, 8) : NULL;
    if (!p) return RC_CORRUPT;
    memcpy(head, p, 8);
    if (head[0] < 24 || head[0] > 256) return RC_CORRUPT;
    for (u64 i = 8; i + head[0] <= bytes; i += head[0]) {
        struct pvh_memmap_entry e; /* the same first 20 bytes */
        if (!(p = view(at + i, sizeof e))) return RC_CORRUPT;
        memcpy(&e, p, sizeof e);
        if (e.type == MEMORY_RAM) ram_insert(out, e.start, e.bytes);
    }
    return RC_OK;
}

rc_t handoff_multiboot2(view_fn view, u64 at, struct handoff *out) {
    u32 total[2];
    const void *p = at & 7 ? NULL : view(at, 8);
    if (!p) return RC_CORRUPT;
    memcpy(total, p, 8);
    if (total[0] > MIB(1)) return RC_CORRUPT;
    *out = (struct handoff){0};
    bool rsdp_is_new = false;
    for (u64 i = 8; i + 8 <= total[0];) {
        u32 tag[2]; /* type, bytes with this head */
        if (!(p = view(at + i, 8))) return RC_CORRUPT;
        memcpy(tag, p, 8);
        if (tag[1] < 8 || tag[1] > total[0] - i) return RC_CORRUPT;
        if (tag[0] == TAG_END) break;
        u64 body = at + i + 8;
        u32 bytes = tag[1] - 8;
        if (tag[0] == TAG_COMMAND_LINE) command_line_copy(view, body, bytes, out);
        if (tag[0] == TAG_MEMMAP && multiboot2_memmap(view, body, bytes, out)) return RC_CORRUPT;
        if (tag[0] == TAG_ACPI_NEW || (tag[0] == TAG_ACPI_OLD && !rsdp_is_new)) {
            out->rsdp = body; /* a copy of the table, not its address */
            rsdp_is_new = tag[0] == TAG_ACPI_NEW;
        }
        i += (tag[1] + 7ull) & ~7ull;
    }
    return out->ram_count ? RC_OK : RC_CORRUPT;
}

static bool is_rsdp(view_fn view, u64 at) {
    const u8 *p = view(at, 20);
    if (!p || p[0] != 'R' || memcmp(p, "RSD PTR ", 8)) return false;
    u8 sum = 0;
    for (int i = 0; i < 20; i++) sum = (u8)(sum + p[i]);
    return sum == 0;
}

u64 handoff_find_rsdp(view_fn view) {
    const u8 *p = view(0x40E, 2);
    u64 ebda = p ? (u64)(p[0] | p[1] << 8) << 4 : 0;
    if (ebda >= 0x400)
        for (u64 at = ebda; at < ebda + 1024; at += 16)
            if (is_rsdp(view, at)) return at;
    for (u64 at = 0xE0000; at < 0x100000; at += 16)
        if (is_rsdp(view, at)) return at;
    return 0;
}
