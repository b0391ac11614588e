/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c — the part of loading that knows no firmware: sums, slots, ELF headers, fw_cfg.
 *
 * Compiled twice, 32-bit for the BIOS loader and 64-bit for the UEFI one, and once more for the
 * host, where tests/unit/image_boot_test.c feeds it broken slots and ELFs. Everything read from the
 * disk is checked against the sizes it came with; sums of two 64-bit numbers never wrap
 * unnoticed. */
#include "image/boot.h"

uint32_t boot_crc(uint32_t crc, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    crc = ~crc;
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

bool slot_valid(const struct slot *s) {
    return !memcmp(s->magic, "OPSLOT1", 8) && s->sequence &&
           s->head_crc == boot_crc(0, s, offsetof(struct slot, head_crc)) && s->elf_bytes >= 64 &&
           s->elf_bytes <= (SLOT_BLOCKS - 1) * BLOCK_BYTES && !s->command_line[SLOT_LINE_MAX - 1];
}

void slot_order(const struct slot *a, const struct slot *b, const struct slot **first,
                const struct slot **second) {
    if (!slot_valid(a)) a = NULL;
    if (!slot_valid(b)) b = NULL;
    bool b_first = b && (!a || b->sequence > a->sequence);
    *first = b_first ? b : a;
    *second = b_first ? a : b;
}

/* ---- ELF ------------------------------------------------------------------------------------- */

struct elf_head {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t head_bytes, program_bytes, program_count, section_bytes, section_count, names;
};
struct elf_program {
    uint32_t type, flags;
    uint64_t offset, virtual_address, to, file_bytes, memory_bytes, align;
};
enum { ELF_LOAD = 1, ELF_NOTE = 4, NOTE_PVH = 18 };
#define LOWEST 0x100000ull
#define HIGHEST (1ull << 32)

static bool inside(uint64_t at, uint64_t bytes, uint64_t end) {
    return at <= end && bytes <= end - at;
}

/* The 32-bit entry in the notes at [p, p + n). 0: none there. */
static uint32_t note_entry(const uint8_t *p, uint64_t n) {
    while (n >= 12) {
        uint32_t name, value, type;
        memcpy(&name, p, 4);
        memcpy(&value, p + 4, 4);
        memcpy(&type, p + 8, 4);
        uint64_t name_room = ((uint64_t)name + 3) & ~3ull, room = ((uint64_t)value + 3) & ~3ull;
        if (name_room + room > n - 12) return 0;
        if (type == NOTE_PVH && name == 4 && value >= 4 && !memcmp(p + 12, "Xen", 4)) {
            uint32_t entry;
            memcpy(&entry, p + 12 + name_room, 4);
            return entry;
        }
        p += 12 + name_room + room;
        n -= 12 + name_room + room;
    }
    return 0;
}

static const char *segment_add(struct plan *p, const struct elf_program *h, uint64_t elf_bytes) {
    if (!h->memory_bytes) return NULL;
    if (p->count == SEGMENT_MAX) return "too many segments";
    if (!inside(h->offset, h->file_bytes, elf_bytes)) return "a segment lies outside the file";
    if (h->file_bytes > h->memory_bytes || h->to < LOWEST ||
        !inside(h->to, h->memory_bytes, HIGHEST))
        return "a segment lies outside memory";
    p->segments[p->count++] = (struct segment){h->offset, h->file_bytes, h->to, h->memory_bytes};
    if (h->to < p->start) p->start = h->to;
    if (h->to + h->memory_bytes > p->end) p->end = h->to + h->memory_bytes;
    return NULL;
}

const char *plan_make(struct plan *p, const void *head, size_t head_bytes, uint64_t elf_bytes) {
    struct elf_head e;
    memset(p, 0, sizeof *p);
    p->start = HIGHEST;
    if (head_bytes < sizeof e) return "not an ELF";
    memcpy(&e, head, sizeof e);
    if (memcmp(e.ident, "\177ELF\2\1", 6) || e.machine != 62) return "not an x86-64 ELF";
    if (e.program_bytes != sizeof(struct elf_program) || e.program_count > 32 ||
        !inside(e.program_offset, e.program_count * sizeof(struct elf_program), head_bytes))
        return "its program headers are not where they should be";
    for (uint32_t i = 0; i < e.program_count; i++) {
        struct elf_program h;
        memcpy(&h, (const char *)head + (size_t)e.program_offset + i * sizeof h, sizeof h);
        const char *wrong = h.type == ELF_LOAD ? segment_add(p, &h, elf_bytes) : NULL;
        if (wrong) return wrong;
        if (h.type == ELF_NOTE)
            p->note = (struct segment){h.offset, h.file_bytes, h.to, h.file_bytes};
    }
    if (!p->count) return "nothing in it to load";
    for (uint32_t i = 0; i < p->count; i++) {
        const struct segment *s = &p->segments[i];
        if (p->note.to >= s->to && inside(p->note.to - s->to, p->note.file_bytes, s->file_bytes) &&
            p->note.offset == s->offset + (p->note.to - s->to))
            return NULL;
    }
    return "no note in its segments";
}

const char *plan_enter(struct plan *p, const void *note) {
    p->entry = note_entry(note, p->note.file_bytes);
    if (!p->entry) return "no PVH entry in its note";
    if (p->entry < p->start || p->entry >= p->end) return "its entry lies outside its segments";
    return NULL;
}

/* ---- The command line ------------------------------------------------------------------------ */

#ifdef BOOT_NO_PORTS /* the host's tests have no ports */
static size_t append_read(char *to, size_t room) { return (void)to, (void)room, 0; }
#else
static void port_out16(uint16_t port, uint16_t v) {
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static uint8_t port_in8(uint16_t port) {
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

/* QEMU docs/specs/fw_cfg: select a key at 0x510, read its bytes at 0x511. */
enum {
    FW_SELECT = 0x510,
    FW_DATA = 0x511,
    FW_SIGNATURE = 0,
    FW_DIRECTORY = 0x19,
    FW_FILES_MAX = 256
};

static void fw_read(void *to, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)to)[i] = port_in8(FW_DATA);
}
static uint32_t big(const uint8_t *p, int n) {
    uint32_t v = 0;
    while (n--) v = v << 8 | *p++;
    return v;
}

static size_t append_read(char *to, size_t room) {
    static const char wanted[] = "opt/org.openpolicy/append";
    uint8_t file[64]; /* size (4), key (2), reserved (2), name (56), big endian */
    port_out16(FW_SELECT, FW_SIGNATURE);
    fw_read(file, 4);
    if (memcmp(file, "QEMU", 4)) return 0;
    port_out16(FW_SELECT, FW_DIRECTORY);
    fw_read(file, 4);
    uint32_t count = big(file, 4);
    for (uint32_t i = 0; i < count && i < FW_FILES_MAX; i++) {
        fw_read(file, sizeof file);
        if (memcmp(file + 8, wanted, sizeof wanted)) continue;
        size_t n = big(file, 4);
        if (n > room) n = room;
        port_out16(FW_SELECT, (uint16_t)big(file + 4, 2));
        fw_read(to, n);
        return n;
    }
    return 0;
}
#endif

void boot_command_line(char to[LINE_BYTES_MAX], const struct slot *slot) {
    size_t n = 0;
    while (slot->command_line[n]) {
        to[n] = slot->command_line[n];
        n++;
    }
    size_t from = n ? n + 1 : 0;
    size_t more = append_read(to + from, LINE_BYTES_MAX - 1 - from);
    if (more && n) to[n] = ' ';
    to[more ? from + more : n] = 0;
}

/* ---- Without a library ----------------------------------------------------------------------- */

#ifndef BOOT_NO_PORTS
void *memcpy(void *to, const void *from, size_t n) {
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return start;
}
void *memset(void *to, int byte, size_t n) {
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return start;
}
int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
#endif
