/* SPDX-License-Identifier: Apache-2.0 */
/* page.c — one page of a list. `next` repeats the query as it came, still encoded,
 * with only the offset changed: following it keeps filters and order. */
#include "app/page.h"

static str next_address(struct request *rq, const struct page *page) {
    str rest = rq->http->query, name, value;
    str path = rq->http->path;
    str target = str_take(rq->http->target, str_find_byte(rq->http->target, '?'));
    str address = arena_printf(rq->arena, "%.*s?", STR(target.len ? target : path));
    while (address.ptr && http_query_next(&rest, &name, &value)) {
        if (name.len == 0 || str_eq(name, S("offset"))) continue;
        address = arena_printf(rq->arena, "%.*s%.*s=%.*s&", STR(address), STR(name), STR(value));
    }
    if (!address.ptr) return address;
    return arena_printf(rq->arena, "%.*soffset=%llu", STR(address),
                        (unsigned long long)(page->offset + page->limit));
}

void page_json(struct request *rq, struct json_writer *w, const struct page *page, u64 total) {
    bool more = total > page->offset && total - page->offset > page->limit;
    json_int(w, "total", (s64)total);
    json_int(w, "limit", (s64)page->limit);
    json_int(w, "offset", (s64)page->offset);
    if (more)
        json_text(w, "next", next_address(rq, page));
    else
        json_null(w, "next");
}

void page_answer(struct request *rq, const struct page *page, size_t bytes_max,
                 page_items_fn *items, void *arg, const char *what) {
    struct json_writer w;
    struct db_txn *t;
    u64 total = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, what);
        return;
    }
    json_open(&w, bytes_max);
    json_object(&w, NULL);
    json_array(&w, "items");
    rc = items(t, rq, page, &w, &total, arg);
    db_read_end(t);
    if (rc && rc != RC_NOT_FOUND) {
        json_close(&w);
        reply_rc(rq, rc, what);
        return;
    }
    json_array_end(&w);
    page_json(rq, &w, page, total);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
