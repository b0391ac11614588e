/* SPDX-License-Identifier: Apache-2.0 */
/* http_fuzz.c — any bytes as an HTTP request: what comes at once and what comes in pieces gets the
 * same verdict, views lie inside the bytes, and a body has one length. The first byte is the step.
 */
#include "net/http_parse.h"
#include "net/url.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

static void inside(str view, str whole) {
    if (!view.len) return;
    CHECK(view.ptr >= whole.ptr && view.ptr + view.len <= whole.ptr + whole.len);
}

static rc_t body(str rest, size_t step, u64 *total) {
    struct http_chunks c = {0};
    struct http_refusal no = {0};
    size_t at = 0, here = MIN(step, rest.len);
    *total = 0;
    for (;;) {
        size_t used, data;
        rc_t rc = http_chunks_next(&c, str_of(rest.ptr + at, here - at), &used, &data, &no);
        CHECK(data <= used && used <= here - at);
        *total += data;
        at += used;
        if (rc == RC_INVALID) CHECK(no.status >= 400);
        if (rc != RC_AGAIN) return rc;
        if (used) continue;
        if (here == rest.len) return RC_AGAIN;
        here = MIN(here + step, rest.len);
    }
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static struct http_field fields[HTTP_HEADER_COUNT_MAX];
    struct http_refusal no = {0}, no_cut = {0};
    struct http_head h, cut;
    if (n < 2 || n > 40000) return 0;
    size_t step = 1 + bytes[0] % 16;
    char *copy = malloc(n - 1); /* exact, so that a byte too far is seen */
    if (!copy) return 0;
    memcpy(copy, bytes + 1, n - 1);
    str all = str_of(copy, n - 1);
    rc_t rc = http_head_parse(all, &h, fields, &no);
    struct http_scan scan = {0};
    rc_t piecewise = RC_AGAIN;
    for (size_t len = MIN(step, all.len);; len = MIN(len + step, all.len)) {
        str part = str_take(all, len);
        if (len <= step || http_scan_complete(&scan, part))
            piecewise = http_head_parse(part, &cut, fields, &no_cut);
        if (piecewise != RC_AGAIN || len == all.len) break;
    }
    if (rc == RC_OK) CHECK(piecewise == RC_OK && cut.length == h.length);
    if (piecewise == RC_OK) CHECK(rc == RC_OK);
    if (rc == RC_INVALID) CHECK(no.status >= 400 && no.why);
    if (rc == RC_OK) {
        CHECK(h.length <= all.len && h.length <= HTTP_HEAD_MAX);
        CHECK(!(h.has_length && h.chunked));
        CHECK(h.field_count <= HTTP_HEADER_COUNT_MAX);
        inside(h.method, all), inside(h.target, all), inside(h.host, all);
        for (u32 i = 0; i < h.field_count; i++) {
            inside(fields[i].name, all), inside(fields[i].value, all);
            CHECK(http_is_token(fields[i].name) && http_is_field_value(fields[i].value));
        }
        str origin, path;
        char plain[HTTP_HEAD_MAX];
        if (http_target_check(&h, fields, &origin, &no) == RC_OK && origin.ptr[0] == '/' &&
            url_path_plain(str_take(origin, str_find_byte(origin, '?')), plain, &path) == RC_OK) {
            CHECK(path.ptr[0] == '/' && str_is_utf8(path));
            CHECK(str_find(path, S("/../")) == path.len && str_find(path, S("//")) == path.len);
        }
        u64 one, two;
        str rest = str_skip(all, h.length);
        rc_t a = body(rest, rest.len + 1, &one), b = body(rest, step, &two);
        CHECK(a == b);
        if (a == RC_OK) CHECK(one == two);
    }
    free(copy);
    return 0;
}
