/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer_fuzz.c — any bytes as a server's answer, and as a URL: whole and in pieces they get
 * the same verdict and the same body, views lie inside the bytes. The first byte is the step and
 * whether the request was HEAD. */
#include "net/http_answer_parse.h"
#include "net/http_url.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

static void inside(str view, str whole) {
    if (view.len) CHECK(view.ptr >= whole.ptr && view.ptr + view.len <= whole.ptr + whole.len);
}

struct outcome {
    rc_t rc;
    int status;
    u64 body, hash;
};

static struct outcome read_answer(str all, size_t step, bool to_head) {
    static struct http_field fields[HTTP_HEADER_COUNT_MAX];
    struct http_refusal no = {0};
    struct http_answer_head h;
    struct http_answer_body b;
    struct outcome o = {0};
    size_t here = MIN(step, all.len), at, used, data;
    while ((o.rc = http_answer_parse(str_take(all, here), &h, fields, &no)) == RC_AGAIN) {
        if (here == all.len) return o;
        here = MIN(here + step, all.len);
    }
    if (o.rc) {
        CHECK(no.why && no.status >= 400);
        return o;
    }
    CHECK(h.status >= 100 && h.status <= 999 && h.length <= HTTP_HEAD_MAX);
    CHECK(!(h.has_length && h.chunked) && h.field_count <= HTTP_HEADER_COUNT_MAX);
    inside(h.reason, all);
    for (u32 i = 0; i < h.field_count; i++) {
        inside(fields[i].name, all), inside(fields[i].value, all);
        CHECK(http_is_token(fields[i].name) && http_is_field_value(fields[i].value));
    }
    o.status = h.status;
    http_answer_body_open(&b, &h, to_head);
    for (at = h.length;;) {
        str view = str_skip(str_take(all, here), at);
        o.rc = http_answer_body_next(&b, view, here == all.len, &used, &data, &no);
        CHECK(data <= used && used <= view.len);
        for (size_t i = used - data; i < used; i++) o.hash = o.hash * 31 + (u8)view.ptr[i];
        o.body += data;
        at += used;
        if (o.rc != RC_AGAIN) return o;
        if (used) continue;
        CHECK(here < all.len); /* after the end it must decide */
        here = MIN(here + step, all.len);
    }
}

static void read_url(str text) {
    struct http_url u;
    struct diag why;
    struct arena a;
    str out;
    if (http_url_parse(text, &u, &why))
        CHECK(why.text[0]);
    else {
        inside(u.host, text), inside(u.authority, text), inside(u.target, text);
        CHECK(u.host.len && u.port);
        CHECK(str_find_byte(u.authority, '@') == u.authority.len);
    }
    arena_open(&a, NULL, 0, MIB(1));
    if (http_url_resolve(&a, S("http://a.b:81/c/d?e"), text, &out) == RC_OK) {
        CHECK(http_url_parse(out, &u, &why) == RC_OK);
        CHECK(str_find(str_take(u.target, str_find_byte(u.target, '?')), S("/../")) >=
                  str_find_byte(u.target, '?') ||
              str_find(text, S("://")) < text.len || str_starts(text, S("//")));
    }
    arena_close(&a);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    if (n < 2 || n > 40000) return 0;
    bool to_head = bytes[0] & 1;
    char *copy = malloc(n - 1); /* exact, so that a byte too far is seen */
    if (!copy) return 0;
    memcpy(copy, bytes + 1, n - 1);
    str all = str_of(copy, n - 1);
    struct outcome one = read_answer(all, all.len, to_head),
                   two = read_answer(all, 1 + bytes[0] / 2 % 16, to_head);
    CHECK(one.rc == two.rc && one.status == two.status);
    if (one.rc == RC_OK) CHECK(one.body == two.body && one.hash == two.hash);
    if (n < 4000) read_url(all);
    free(copy);
    return 0;
}
