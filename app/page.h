/* SPDX-License-Identifier: Apache-2.0 */
/* page.h — every list has one shape: `items`, `total` (after filters), `limit`, `offset`, `next`
 * (the address of the next page with the same filters, or null). */
#pragma once
#include "app/reply.h"

void page_json(struct request *rq, struct json_writer *w, const struct page *page, u64 total);

/* Writes the items of this page and says how many there are in all. What db_next ends with,
 * RC_NOT_FOUND, is the end of the items; anything else is answered as a failure of `what`. */
typedef rc_t page_items_fn(struct db_txn *t, struct request *rq, const struct page *page,
                           struct json_writer *w, u64 *out_total, void *arg);
/* Answers with one page, read in one snapshot; at most `bytes_max` of it. */
void page_answer(struct request *rq, const struct page *page, size_t bytes_max,
                 page_items_fn *items, void *arg, const char *what);
