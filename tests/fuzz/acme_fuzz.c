/* SPDX-License-Identifier: Apache-2.0 */
/* acme_fuzz.c — any bytes as what a certificate authority says: refused with a reason, or read into
 * URLs that are https, tokens that are safe in a path, and times in order. */
#include "app/tls/acme_impl.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

static void check_token(str s) {
    CHECK(s.len <= ACME_TOKEN_MAX);
    for (size_t i = 0; i < s.len; i++) CHECK(s.ptr[i] > ' ' && s.ptr[i] != '/' && s.ptr[i] != '"');
}

static void check_url(str s) {
    CHECK(s.len < ACME_URL_MAX && str_starts(s, S("https://")));
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct arena a;
    struct diag why = {0};
    struct acme_directory d;
    struct acme_order o;
    struct acme_authorization z;
    struct acme_problem p;
    u64 from, until;
    str text = str_of((const char *)bytes, n);
    arena_open(&a, NULL, 0, MIB(4));
    if (!acme_read_directory(&a, text, &d, &why)) check_url(d.new_order);
    if (!acme_read_order(&a, text, &o, &why)) {
        check_url(o.finalize);
        if (o.state == ACME_VALID) check_url(o.certificate);
        for (u32 i = 0; i < o.authorization_count; i++) check_url(o.authorizations[i]);
    }
    if (!acme_read_authorization(&a, text, "http-01", &z, &why)) {
        check_token(z.token);
        if (z.token.len) check_url(z.url);
    }
    if (!acme_read_window(&a, text, &from, &until, &why)) CHECK(from <= until);
    acme_read_problem(&a, text, &p);
    CHECK(p.type.len && p.detail.len);
    CHECK(acme_retry_after_s(str_take(text, 64), NS_PER_S, 1, 100, 7) <= 100);
    arena_close(&a);
    return 0;
}
