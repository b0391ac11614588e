/* SPDX-License-Identifier: Apache-2.0 */
/* url_fuzz.c — any bytes as a path, a query, an address: results fit, are UTF-8, and are stable. */
#include "net/http.h"
#include "net/stream.h"
#include "net/url.h"
#include "kernel/base/check.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    char to[4096], again[4096], text[46];
    str raw = str_of((const char *)bytes, n), out, twice, name, value;
    if (n > sizeof to) return 0;
    if (url_path_plain(raw, to, &out) == RC_OK) {
        CHECK(out.len <= n && out.ptr[0] == '/' && str_is_utf8(out));
        CHECK(memchr(out.ptr, 0, out.len) == NULL && memchr(out.ptr, '\\', out.len) == NULL);
        CHECK(str_find(out, S("//")) == out.len && str_find(out, S("/./")) == out.len);
    }
    if (url_decode(raw, n & 1, to, &out) == RC_OK) CHECK(out.len <= n && str_is_utf8(out));
    for (str rest = raw; http_query_next(&rest, &name, &value);) {
        CHECK(name.ptr >= raw.ptr && value.ptr + value.len <= raw.ptr + raw.len);
        if (url_decode(value, true, again, &twice) == RC_OK) CHECK(twice.len <= value.len);
    }
    struct net_address a, b;
    if (net_address_parse(raw, &a) == RC_OK) {
        a.port = 0;
        CHECK(net_address_parse(net_address_text(&a, text, sizeof text), &b) == RC_OK);
        CHECK(memcmp(a.bytes, b.bytes, 16) == 0);
    }
    return 0;
}
