/* SPDX-License-Identifier: Apache-2.0 */
/* sum.c — Fletcher's sum over words of 32 bits, as SQLite has it: one half depends on the order.
 *
 * The words are little-endian on every machine that writes here; their sums stand little-endian at
 * a page's end and big-endian in the log's headers. */
#include "storage/sum.h"
#include "kernel/base/bytes.h"
#include "storage/store.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the words are read as they lie");

void sum_add(struct sum *s, const void *bytes, size_t n) {
    const u8 *p = bytes;
    u32 a = s->a, b = s->b;
    for (const u8 *end = p + n; p < end; p += 8) {
        u32 word[2];
        memcpy(word, p, sizeof word);
        a += word[0] + b;
        b += word[1] + a;
    }
    *s = (struct sum){a, b};
}

static struct sum page_sum(const u8 *page) {
    struct sum s = {0};
    sum_add(&s, page, LAYOUT_PAGE_BYTES - SUM_BYTES);
    return s;
}

void page_sum_set(u8 *page) {
    struct sum s = page_sum(page);
    static_assert(sizeof s == SUM_BYTES, "as it stands on the disk");
    memcpy(page + LAYOUT_PAGE_BYTES - SUM_BYTES, &s, SUM_BYTES);
}

bool page_sum_right(const u8 *page) {
    struct sum s = page_sum(page);
    return memcmp(page + LAYOUT_PAGE_BYTES - SUM_BYTES, &s, SUM_BYTES) == 0;
}

bool frame_sum_right(const struct sum *before, const u8 *frame, struct sum *out) {
    struct sum s = *before, said = {be32(frame + 16), be32(frame + 20)};
    sum_add(&s, frame, 8);
    sum_add(&s, frame + WAL_FRAME_BYTES - LAYOUT_PAGE_BYTES, LAYOUT_PAGE_BYTES);
    *out = said;
    return s.a == said.a && s.b == said.b;
}

bool log_sum_right(const u8 *header, struct sum *out) {
    struct sum s = {0}, said = {be32(header + 24), be32(header + 28)};
    sum_add(&s, header, 24);
    *out = said;
    return s.a == said.a && s.b == said.b;
}
