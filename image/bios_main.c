/* SPDX-License-Identifier: Apache-2.0 */
/* bios_main.c — stage 2 of the BIOS loader: slot from the disk to memory, then into the kernel.
 *
 *   slot headers -> ELF in 32 KiB reads -> [sum] and each segment's bytes to their place -> PVH
 *
 * Runs in 32-bit protected mode with paging off; each disk read drops to the BIOS and comes back
 * (bios.S). The ELF streams through a buffer below 64 KiB: its segments are filled as the bytes
 * pass, and entered only when the sum over all of them was right. Says on the screen and on the
 * first serial port what is wrong, and stops. */
#include "image/boot.h"

struct bios_packet { /* INT 13h extensions, AH=42h */
    uint8_t bytes, zero;
    uint16_t blocks, offset, segment;
    uint64_t block;
};
extern struct bios_packet bios_packet;
extern uint32_t bios_e820_count;
extern struct memory_entry bios_e820[]; /* filled by the BIOS: the same first 20 bytes */
int bios_read(void);
void bios_print(char c);
void bios_enter(uint32_t entry, struct start_info *info) __attribute__((noreturn));
void bios_main(void);

#define BOUNCE ((uint8_t *)0x10000)
#define BOUNCE_BLOCKS 64u
#define BOUNCE_BYTES (BOUNCE_BLOCKS * BLOCK_BYTES)

static struct slot slots[2];
static struct start_info info;
static char command_line[LINE_BYTES_MAX];

/* ---- Saying ---------------------------------------------------------------------------------- */

static uint8_t in8(uint16_t port) {
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static void say(const char *text) {
    for (; *text; text++) {
        bios_print(*text);
        for (int i = 0; i < 100000 && !(in8(0x3fd) & 0x20); i++) continue;
        __asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((uint16_t)0x3f8));
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_blocks(uint64_t block, uint32_t count) { /* into BOUNCE */
    for (int attempt = 0; attempt < 3; attempt++) {
        bios_packet = (struct bios_packet){16, 0, (uint16_t)count, 0, 0x1000, block};
        if (!bios_read()) return true;
    }
    return false;
}

/* Is this whole range RAM that nothing lies in? */
static bool range_is_ram(uint64_t start, uint64_t end) {
    for (uint32_t i = 0; i < bios_e820_count && start < end; i++) {
        const struct memory_entry *e = &bios_e820[i];
        if (e->type == MEMORY_RAM && e->start <= start && start < e->start + e->bytes) {
            start = e->start + e->bytes;
            i = UINT32_MAX; /* the map is in no order: look at all of it again */
        }
    }
    return start >= end;
}

/* The bytes [at, at + n) of the ELF have come: what of them belongs to a segment goes there. */
static void place(const struct plan *p, uint64_t at, const uint8_t *bytes, uint32_t n) {
    for (uint32_t i = 0; i < p->count; i++) {
        const struct segment *s = &p->segments[i];
        uint64_t from = at > s->offset ? at : s->offset;
        uint64_t end = at + n < s->offset + s->file_bytes ? at + n : s->offset + s->file_bytes;
        if (from >= end) continue;
        memcpy((void *)(uintptr_t)(s->to + (from - s->offset)), bytes + (from - at),
               (size_t)(end - from));
    }
}

/* NULL: in memory, whole, ready to be entered. */
static const char *load(uint64_t slot_block, const struct slot *s, struct plan *p) {
    uint32_t crc = 0;
    for (uint32_t at = 0; at < s->elf_bytes; at += BOUNCE_BYTES) {
        uint32_t n = s->elf_bytes - at < BOUNCE_BYTES ? s->elf_bytes - at : BOUNCE_BYTES;
        if (!read_blocks(slot_block + 1 + at / BLOCK_BYTES, (n + BLOCK_BYTES - 1) / BLOCK_BYTES))
            return "the disk cannot be read";
        crc = boot_crc(crc, BOUNCE, n);
        if (at == 0) {
            const char *wrong = plan_make(p, BOUNCE, n, s->elf_bytes);
            if (wrong) return wrong;
            if (!range_is_ram(p->start, p->end))
                return "it does not fit into this machine's memory";
            for (uint32_t i = 0; i < p->count; i++) {
                struct segment *g = &p->segments[i];
                memset((void *)(uintptr_t)(g->to + g->file_bytes), 0,
                       (size_t)(g->memory_bytes - g->file_bytes));
            }
        }
        place(p, at, BOUNCE, n);
    }
    if (crc != s->elf_crc) return "its sum is wrong";
    return plan_enter(p, (const void *)(uintptr_t)p->note.to);
}

/* ---- Telling --------------------------------------------------------------------------------- */

static uint32_t rsdp_in(uint32_t from, uint32_t to) {
    for (uint32_t at = from; at < to; at += 16) {
        const uint8_t *p = (const uint8_t *)(uintptr_t)at;
        uint8_t sum = 0;
        if (memcmp(p, "RSD PTR ", 8)) continue;
        for (int i = 0; i < 20; i++) sum = (uint8_t)(sum + p[i]);
        if (!sum) return at;
    }
    return 0;
}

static void tell(const struct slot *s) {
    uint16_t ebda_segment;
    memcpy(&ebda_segment, (const void *)(uintptr_t)0x40e, 2);
    uint32_t ebda = (uint32_t)ebda_segment << 4;
    uint32_t rsdp = ebda >= 0x80000 && ebda < 0xa0000 ? rsdp_in(ebda, ebda + 1024) : 0;
    if (!rsdp) rsdp = rsdp_in(0xe0000, 0x100000);
    boot_command_line(command_line, s);
    info = (struct start_info){.magic = START_INFO_MAGIC, .version = 1, .rsdp = rsdp,
                               .command_line = (uintptr_t)command_line,
                               .memmap = (uintptr_t)bios_e820, .memmap_entries = bios_e820_count};
    for (uint32_t i = 0; i < bios_e820_count; i++) bios_e820[i].reserved = 0;
}

void bios_main(void) {
    static struct plan plan;
    static const uint64_t blocks[2] = {SLOT_A_BLOCK, SLOT_B_BLOCK};
    const struct slot *order[2];
    for (int i = 0; i < 2; i++)
        if (read_blocks(blocks[i], 1)) memcpy(&slots[i], BOUNCE, BLOCK_BYTES);
    slot_order(&slots[0], &slots[1], &order[0], &order[1]);
    for (int i = 0; i < 2 && order[i]; i++) {
        const char *wrong = load(blocks[order[i] - slots], order[i], &plan);
        if (!wrong) {
            tell(order[i]);
            bios_enter(plan.entry, &info);
        }
        say(order[i] == &slots[0] ? "OpenPolicy: image A: " : "OpenPolicy: image B: ");
        say(wrong);
        say("\r\n");
    }
    say("OpenPolicy: no image on this disk can be started\r\n");
}
