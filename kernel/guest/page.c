/* SPDX-License-Identifier: Apache-2.0 */
/* page.c — page tables: every address is its physical one, and says what may be done with it.
 *
 *   0 .. 64 KiB          nothing: a null pointer, also with an offset, faults
 *   RAM                  read, write, never execute; 1 GiB and 2 MiB pages
 *   image                .text read + execute, .rodata and (after boot) .sealed read,
 *                        .data and .bss read + write; 4 KiB pages
 *   below each stack     one page of nothing
 *   device registers     read, write, uncached, on demand
 *   firmware tables      read, on demand
 *   everything else      nothing
 *
 * Always true: no page is writable and executable, none is a user page, and no second mapping of
 * the text exists. Tables come from a small pool, then from kept memory; they are never freed.
 * Only the boot CPU changes them; the others were started after, or see a page vanish later. */
#include "kernel/guest/guest.h"

enum {
    PRESENT = 1 << 0,
    WRITE = 1 << 1,
    USER = 1 << 2,
    UNCACHED = 1 << 3 | 1 << 4,
    LARGE = 1 << 7,
    POOL_TABLES = 24, /* 64 MiB machine: 1 + 1 + 2 + about 8 for the image, devices and stacks */
    NULL_BYTES = 0x10000,
};
#define NO_EXECUTE (1ull << 63)
#define ADDRESS_BITS 0x000FFFFFFFFFF000ull
#define TABLE_ENTRIES 512u

static u64 pool[POOL_TABLES][TABLE_ENTRIES]
    __attribute__((aligned(4096)));
static u32 pool_used;
static u64 *root;
static bool live; /* this is the table in force: stale translations must go */

static u64 *table_new(void) {
    if (pool_used < POOL_TABLES) return pool[pool_used++];
    void *table = ram_keep_table();
    if (!table) panic("No memory for page tables.");
    return memset(table, 0, PAGE_BYTES);
}

static u64 bits_of(enum page_kind kind) {
    u64 nx = cpu_has.nx ? NO_EXECUTE : 0;
    switch (kind) {
    case PAGE_NONE: return 0;
    case PAGE_READ: return PRESENT | nx;
    case PAGE_WRITE: return PRESENT | WRITE | nx;
    case PAGE_CODE: return PRESENT;
    case PAGE_DEVICE: return PRESENT | WRITE | UNCACHED | nx;
    }
    return 0;
}

/* The table below an entry, made or split off a large page where there is none yet. */
static u64 *table_below(u64 *entry, int level) {
    u64 old = *entry;
    if ((old & PRESENT) && !(old & LARGE)) return (u64 *)(old & ADDRESS_BITS);
    u64 *t = table_new();
    if (old & PRESENT) {
        u64 step = 1ull << (12 + 9 * (level - 1));
        u64 leaf = level > 1 ? old : old & ~(u64)LARGE;
        for (u64 i = 0; i < TABLE_ENTRIES; i++) t[i] = leaf + i * step;
    }
    *entry = (u64)t | PRESENT | WRITE;
    return t;
}

static void set_range(u64 *table, int level, u64 from, u64 to, u64 bits) {
    u64 span = 1ull << (12 + 9 * level);
    while (from < to) {
        u64 *entry = &table[(from >> (12 + 9 * level)) % TABLE_ENTRIES];
        u64 end = MIN((from & ~(span - 1)) + span, to);
        bool whole = end - from == span;
        bool has_table = (*entry & PRESENT) && !(*entry & LARGE) && level > 0;
        bool may_be_leaf = level <= 1 || (level == 2 && cpu_has.page_1g);
        if (!bits && !(*entry & PRESENT)) {
            /* nothing is there already */
        } else if (whole && !has_table && (may_be_leaf || !bits)) {
            *entry = bits ? from | bits | (level ? (u64)LARGE : 0) : 0;
            if (live) __asm__ volatile("invlpg (%0)" ::"r"(from) : "memory");
        } else {
            bool split = !has_table && (*entry & PRESENT);
            u64 *below = table_below(entry, level);
            if (split && live) __asm__ volatile("invlpg (%0)" ::"r"(from) : "memory");
            set_range(below, level - 1, from, end, bits);
        }
        from = end;
    }
}

void page_set(u64 start, u64 bytes, enum page_kind kind) {
    u64 end = (start + bytes + PAGE_BYTES - 1) & ~(u64)(PAGE_BYTES - 1);
    start &= ~(u64)(PAGE_BYTES - 1);
    if (end <= start || end > 1ull << 47) return; /* not an address */
    set_range(root, 3, start, end, bits_of(kind));
}

/* The entry that decides about an address; *level tells its size. NULL: nothing is there. */
static const u64 *entry_of(u64 at, int *level) {
    const u64 *table = root;
    if (at >> 47) return NULL;
    for (int l = 3;; l--) {
        const u64 *entry = &table[(at >> (12 + 9 * l)) % TABLE_ENTRIES];
        if (!(*entry & PRESENT)) return NULL;
        if (l == 0 || (*entry & LARGE)) {
            *level = l;
            return entry;
        }
        table = (const u64 *)(*entry & ADDRESS_BITS);
    }
}

bool page_is_mapped(u64 at) {
    int level;
    return entry_of(at, &level) != NULL;
}

bool page_is_guard(u64 at) {
    return at >= (u64)image_start && !page_is_mapped(at) &&
           page_is_mapped((at | (PAGE_BYTES - 1)) + 1);
}

void page_seal(bool sealed) {
    page_set((u64)sealed_start, (u64)(sealed_end - sealed_start), sealed ? PAGE_READ : PAGE_WRITE);
}

void page_open_for_startup(u64 start, u64 bytes) {
    u64 end = ALIGN_UP(start + bytes, (u64)PAGE_BYTES);
    set_range(root, 3, start, end, PRESENT | WRITE);
}

void page_start(const struct handoff *h) {
    root = table_new();
    for (u32 i = 0; i < h->ram_count; i++) {
        u64 start = MAX(h->ram[i].start, (u64)NULL_BYTES);
        if (h->ram[i].end > start) page_set(start, h->ram[i].end - start, PAGE_WRITE);
    }
    page_set((u64)text_start, (u64)(text_end - text_start), PAGE_CODE);
    page_set((u64)rodata_start, (u64)(rodata_end - rodata_start), PAGE_READ);
    page_set((u64)bss_end, (u64)(image_end - bss_end), PAGE_READ); /* symbols */
    page_set((u64)loop_stack_guard, PAGE_BYTES, PAGE_NONE);
    page_cpu();
    live = true;
}

void page_cpu(void) {
    u64 cr4 = cr4_read();
    if (cpu_has.smep) cr4 |= CR4_SMEP;
    if (cpu_has.umip) cr4 |= CR4_UMIP;
    if (cpu_has.smap) cr4 |= CR4_SMAP; /* the AC flag is clear since boot.S */
    cr3_write((u64)root);
    cr4_write(cr4);
}

/* ---- The proof ------------------------------------------------------------------------------- */

struct walk {
    void (*put)(str);
    u64 start, end, bits; /* the range being gathered */
    u64 bad;
};

static char *put_hex(char *to, u64 v) {
    for (int shift = 44; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[v >> shift & 15];
    return to;
}

static void walk_flush(struct walk *w) {
    if (w->end <= w->start) return;
    bool writes = w->bits & WRITE, runs = cpu_has.nx && !(w->bits & NO_EXECUTE);
    if ((writes && runs) || (w->bits & USER)) w->bad++;
    char line[48], *p = put_hex(line, w->start);
    *p++ = '-';
    p = put_hex(p, w->end);
    *p++ = ' ';
    *p++ = 'r';
    *p++ = writes ? 'w' : '-';
    *p++ = runs ? 'x' : '-';
    *p++ = w->bits & USER ? 'u' : '-';
    *p++ = w->bits & UNCACHED ? 'd' : '-';
    *p++ = '\n';
    w->put((str){line, (size_t)(p - line)});
}

static void walk_table(struct walk *w, const u64 *table, int level, u64 base) {
    u64 span = 1ull << (12 + 9 * level);
    for (u64 i = 0; i < TABLE_ENTRIES; i++) {
        u64 e = table[i], at = base + i * span;
        if (!(e & PRESENT)) continue;
        if (level && !(e & LARGE)) {
            walk_table(w, (const u64 *)(e & ADDRESS_BITS), level - 1, at);
            continue;
        }
        u64 bits = e & (WRITE | USER | UNCACHED | NO_EXECUTE);
        if (at != w->end || bits != w->bits) {
            walk_flush(w);
            *w = (struct walk){w->put, at, at, bits, w->bad};
        }
        w->end = at + span;
    }
}

u64 page_walk_check(void (*put)(str)) {
    struct walk w = {.put = put};
    walk_table(&w, root, 3, 0);
    walk_flush(&w);
    return w.bad;
}
