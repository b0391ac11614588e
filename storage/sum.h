/* SPDX-License-Identifier: Apache-2.0 */
/* sum.h — sums by which a changed byte is noticed: of the database's pages and of the log's frames.
 *
 * Both are SQLite's own: a page ends with the eight bytes that its cksumvfs extension keeps there
 * (https://sqlite.org/cksumvfs.html), so a database or a backup can be verified by that extension;
 * a frame's header has the running sum of https://sqlite.org/fileformat2.html 4.2, which SQLite
 * looks at only when it recovers a log. They find accidents, not forgers. */
#pragma once
#include "kernel/base/base.h"

#define SUM_BYTES 8u /* at a page's end: the reserved bytes of SQLite's header */

struct sum {
    u32 a, b;
};
void sum_add(struct sum *s, const void *bytes, size_t n); /* n: a multiple of 8 */

/* A page of LAYOUT_PAGE_BYTES. A page of zeroes is right: it was never written. */
void page_sum_set(u8 *page);
bool page_sum_right(const u8 *page);

/* `frame`: 24 bytes of header, then the page. `before`: the sum in the header of the frame before,
 * or in the log's header; *out (may be `before`): the one it says itself. */
bool frame_sum_right(const struct sum *before, const u8 *frame, struct sum *out);
/* The log's own header of 32 bytes; its sum, where frame 1 begins. */
bool log_sum_right(const u8 *header, struct sum *out);
