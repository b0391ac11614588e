/* SPDX-License-Identifier: Apache-2.0 */
/* page.h — the end of every list: `total` (after filters), `limit`, `offset`, `next` (the address
 * of the next page with the same filters, or null). */
#pragma once
#include "app/reply.h"

void page_json(struct request *rq, struct json_writer *w, const struct page *page, u64 total);
