/* SPDX-License-Identifier: Apache-2.0 */
/* policy_json_fuzz.c — any bytes as JSON: a value or an error; what is read, written and read again
 * is equal, hashes alike, and orders as equal. */
#include "app/policy/value/json_text.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static struct heap h;
    static bool open;
    struct buf b;
    value v, again;
    if (!open) heap_open(&h, 8 << 20), open = true;
    heap_rewind(&h);
    if (json_text_read(&h, NULL, str_of((const char *)bytes, n), &v, NULL)) return 0;
    buf_open(&b, 16 << 20);
    json_text_write(&b, v, 0);
    CHECK(!b.failed);
    CHECK(json_text_read(&h, NULL, buf_str(&b), &again, NULL) == RC_OK || h.exhausted);
    if (!h.exhausted) {
        CHECK(value_equal(v, again) && value_compare(v, again) == 0);
        CHECK(value_hash(v) == value_hash(again));
    }
    buf_close(&b);
    return 0;
}
