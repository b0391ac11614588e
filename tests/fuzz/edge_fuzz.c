/* SPDX-License-Identifier: Apache-2.0 */
/* edge_fuzz.c — any text as gateway.routes: refused with a reason, or read into a struct edge whose
 * indices lie in its lists and whose routes can be asked whether they fit. */
#include "app/gateway/proxy.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

static void check_route(const struct edge *e, const struct edge_route *r) {
    static const struct http_field fields[] = {{S("X-A"), S("1")}};
    struct match_question q = {.method = HTTP_GET, .host = S("a.example"), .path = S("/a/b/c"),
                               .query = S("v=1&w=%20"), .fields = fields, .field_count = 1};
    str what;
    CHECK(r->redirect.len || r->share_total > 0);
    CHECK(r->mirror < (s32)e->upstream_count);
    for (u32 i = 0; i < r->share_count; i++) CHECK(r->shares[i].upstream < e->upstream_count);
    for (u32 i = 0; i < r->limit_count; i++) CHECK(r->limits[i] < e->limit_count);
    (void)match_route(r, &q, &what);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct arena a;
    struct edge e;
    struct diag why = {0};
    arena_open(&a, NULL, 0, EDGE_ARENA_MAX);
    rc_t rc = edge_parse(&a, str_of((const char *)bytes, n), &e, &why);
    if (rc) CHECK(why.text[0] != 0 || rc == RC_NO_MEMORY || rc == RC_LIMIT);
    for (u32 i = 0; !rc && i < e.route_count; i++) check_route(&e, &e.routes[i]);
    arena_close(&a);
    return 0;
}
