/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_header_fuzz.c — any bytes where a PROXY header may stand: what is taken is within its
 * bounds, and is waited for whatever part of it has come. */
#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct proxy_header h;
    str all = str_of((const char *)bytes, n);
    rc_t rc = proxy_header_parse(all, &h);
    if (rc == RC_AGAIN) CHECK(n < PROXY_V2_MAX);
    if (rc) return 0;
    CHECK(h.length > 0 && h.length <= n && h.length <= PROXY_V2_MAX);
    size_t whole = h.length;
    for (size_t i = 0; i < whole; i++)
        CHECK(proxy_header_parse(str_take(all, i), &h) == RC_AGAIN);
    return 0;
}
