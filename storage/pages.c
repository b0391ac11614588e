/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c — the database partition: a plain SQLite file, one page after the other.
 *
 *   read:  cache -> pages gathered by a checkpoint -> disk -> cache
 *   write: cache, then gathered with its neighbours (checkpoint) or straight to the disk
 *
 * Why a cache below SQLite's: a connection forgets all its pages whenever another one has
 * committed. Here they are found again by a copy of 4 KiB instead of a trip to the disk.
 *
 * Always true: a page in the cache is what a read of the file must give; gathered pages are seen by
 * reads before they are on the disk, also after writing them failed. A page goes to the disk with
 * its sum and is believed only with it (sum.h). Only whole pages are written,
 * and only by checkpoints: durability is the log's business until pages_put and a flush.
 * Leaves errors' consequences to vfs.c. */
#include "storage/store.h"
#include "kernel/base/bytes.h"
#include "kernel/core/memory.h"
#include "storage/seal.h"
#include "storage/sum.h"

#define SQLITE_HEADER_BYTES 108u /* and the empty leaf's: in one sector, old or new as a whole */

static void store_place(struct store_disk *at, const struct volume *v, enum volume_part part) {
    u64 bytes = v->parts[part].block_count * v->info.block_bytes;
    bytes =
        MIN(bytes, (u64)(UINT32_MAX - 1) * LAYOUT_PAGE_BYTES); /* SQLite's largest page number */
    *at = (struct store_disk){.disk = v->disk,
                              .block_bytes = v->info.block_bytes,
                              .first_block = v->parts[part].first_block,
                              .bytes = bytes - bytes % LAYOUT_PAGE_BYTES};
}

void pages_place(struct pages *p, const struct volume *v) {
    store_place(&p->at, v, VOLUME_DATABASE);
}

/* The file's size is what its header says; a header that cannot be right gives the whole partition,
 * and SQLite will say what is wrong with it. */
static u64 size_said(const u8 *page, u64 bytes_max) {
    struct layout_sqlite_header h;
    memcpy(&h, page, sizeof h);
    u64 said = (u64)be32(h.page_count) * LAYOUT_PAGE_BYTES;
    return said == 0 || said > bytes_max ? bytes_max : said;
}

rc_t pages_open(struct pages *p, const struct volume *v, size_t cache_bytes) {
    *p = (struct pages){.fence = UINT64_MAX};
    store_place(&p->at, v, VOLUME_DATABASE);
    p->set_count = 1;
    while (p->set_count * 2 * PAGES_WAYS * (size_t)LAYOUT_PAGE_BYTES <= cache_bytes)
        p->set_count *= 2;
    size_t slots = (size_t)p->set_count * PAGES_WAYS;
    p->slots = memory_zero(MEMORY_SQL, slots * sizeof *p->slots);
    p->holds = memory_zero(MEMORY_SQL, slots * sizeof *p->holds);
    p->hands = memory_zero(MEMORY_SQL, p->set_count);
    p->run = memory_alloc(MEMORY_SQL, PAGES_RUN_PAGES * LAYOUT_PAGE_BYTES);
    if (!p->slots || !p->holds || !p->hands || !p->run) {
        pages_close(p);
        return RC_NO_MEMORY;
    }
    rc_t rc =
        sealed_read(p->at.disk, p->at.first_block, LAYOUT_PAGE_BYTES / p->at.block_bytes, p->run);
    if (rc) pages_close(p);
    else p->size = size_said(p->run, p->at.bytes);
    return rc;
}

void pages_close(struct pages *p) {
    for (u32 i = 0; p->slots && i < p->set_count * PAGES_WAYS; i++)
        memory_free(MEMORY_SQL, p->slots[i]);
    memory_free(MEMORY_SQL, p->slots);
    memory_free(MEMORY_SQL, p->holds);
    memory_free(MEMORY_SQL, p->hands);
    memory_free(MEMORY_SQL, p->run);
    *p = (struct pages){0};
}

/* ---- The cache ------------------------------------------------------------------------------- */

static u8 *cache_find(const struct pages *p, u32 number) {
    u32 first = (number & (p->set_count - 1)) * PAGES_WAYS;
    for (u32 i = first; i < first + PAGES_WAYS; i++)
        if (p->holds[i] == number) return p->slots[i];
    return NULL;
}

/* The next way of the page's set; where memory is short, one that has its page already. */
static u8 *cache_replace(struct pages *p, u32 number) {
    u32 set = number & (p->set_count - 1);
    for (u32 tries = 0; tries < PAGES_WAYS; tries++) {
        u32 i = set * PAGES_WAYS + (p->hands[set]++ & (PAGES_WAYS - 1));
        if (!p->slots[i]) p->slots[i] = memory_alloc(MEMORY_SQL, LAYOUT_PAGE_BYTES);
        if (!p->slots[i]) continue;
        p->holds[i] = number;
        return p->slots[i];
    }
    return NULL;
}

static void cache_keep(struct pages *p, u32 number, const void *page) {
    u8 *slot = cache_find(p, number);
    if (!slot) slot = cache_replace(p, number);
    if (slot) memcpy(slot, page, LAYOUT_PAGE_BYTES);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static u64 block_of(const struct pages *p, u32 number) {
    return p->at.first_block + (u64)(number - 1) * (LAYOUT_PAGE_BYTES / p->at.block_bytes);
}

static const u8 *page_near(struct pages *p, u32 number) {
    const u8 *page = cache_find(p, number);
    if (!page && p->run_count && number - p->run_first < p->run_count)
        page = p->run + (size_t)(number - p->run_first) * LAYOUT_PAGE_BYTES;
    return page;
}

/* Read once more before it is called damaged: the byte may have changed on its way here. */
static rc_t page_fetch(struct pages *p, u32 number, void *to) {
    u32 write_count = p->write_count, count = LAYOUT_PAGE_BYTES / p->at.block_bytes;
    rc_t rc = RC_CORRUPT;
    for (u32 tries = 0; tries < 2 && rc == RC_CORRUPT; tries++) {
        rc = sealed_read(p->at.disk, block_of(p, number), count, to);
        if (!rc && !page_sum_right(to)) rc = RC_CORRUPT;
    }
    if (!rc && write_count == p->write_count) cache_keep(p, number, to);
    return rc;
}

rc_t pages_read(struct pages *p, u64 at, void *to, size_t n, bool *out_short) {
    u64 first = at / LAYOUT_PAGE_BYTES;
    size_t offset = (size_t)(at % LAYOUT_PAGE_BYTES);
    *out_short = at + n > p->size || at + n < at;
    if (*out_short || offset + n > LAYOUT_PAGE_BYTES) {
        memset(to, 0, n);
        return *out_short ? RC_OK : RC_INVALID;
    }
    u32 number = (u32)first + 1;
    const u8 *page = page_near(p, number);
    if (page) {
        p->hits++;
        memcpy(to, page + offset, n);
        return RC_OK;
    }
    p->misses++;
    if (n == LAYOUT_PAGE_BYTES) return page_fetch(p, number, to);
    u8 *whole = memory_alloc(MEMORY_SQL, LAYOUT_PAGE_BYTES);
    if (!whole) return RC_NO_MEMORY;
    rc_t rc = page_fetch(p, number, whole);
    /* SQLite looks at the file's header before it knows of the log, which may have that page's true
     * content: a checkpoint was cut short. As the database's first page it is read whole, later. */
    if (rc == RC_CORRUPT && number == 1 && offset + n <= SQLITE_HEADER_BYTES) rc = RC_OK;
    if (!rc) memcpy(to, whole + offset, n);
    memory_free(MEMORY_SQL, whole);
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

void pages_gather(struct pages *p) { p->gathering = true; }

/* A failed run stays where reads find it; only opening anew drops it. */
static rc_t run_put(struct pages *p) {
    if (p->run_count == 0) return RC_OK;
    rc_t rc = sealed_write(p->at.disk, block_of(p, p->run_first),
                         p->run_count * (LAYOUT_PAGE_BYTES / p->at.block_bytes), p->run);
    if (!rc) p->run_count = 0;
    return rc;
}

rc_t pages_put(struct pages *p) {
    p->gathering = false;
    return run_put(p);
}

rc_t pages_write(struct pages *p, u64 at, const void *from, size_t n) {
    if (n != LAYOUT_PAGE_BYTES || at % LAYOUT_PAGE_BYTES) return RC_INVALID;
    if (at + n > MIN(p->at.bytes, p->fence)) return RC_FULL;
    u32 number = (u32)(at / LAYOUT_PAGE_BYTES) + 1;
    p->write_count++;
    bool next =
        p->run_count && number == p->run_first + p->run_count && p->run_count < PAGES_RUN_PAGES;
    rc_t rc = next ? RC_OK : run_put(p);
    if (rc) return rc;
    if (p->run_count == 0) p->run_first = number;
    u8 *page = p->run + (size_t)p->run_count++ * LAYOUT_PAGE_BYTES;
    memcpy(page, from, n);
    page_sum_set(page);
    cache_keep(p, number, page);
    p->size = MAX(p->size, at + n);
    return p->gathering ? RC_OK : run_put(p);
}

void pages_truncate(struct pages *p, u64 bytes) { p->size = MIN(p->size, bytes); }
