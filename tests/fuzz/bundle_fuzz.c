/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_fuzz.c — any bytes as the tar of a bundle, and as the gzip around one. What was read is
 * packed, and read again as the same files. */
#include "app/bundle/bundle_impl.h"
#include "kernel/base/check.h"

static void read_again(struct policy_bundle *b) {
    struct policy_bundle again;
    struct bundle_options o = {.bytes_max = MIB(4)};
    struct diag why;
    struct buf packed;
    buf_open(&packed, MIB(8));
    rc_t rc = bundle_pack(&b->files, &packed);
    CHECK(rc == RC_OK);
    rc = bundle_read(&again, buf_str(&packed), &o, &why);
    CHECK(rc == RC_OK || rc == RC_LIMIT || rc == RC_NO_MEMORY);
    if (rc == RC_OK) {
        CHECK(again.files.count == b->files.count && again.module_count == b->module_count);
        CHECK(value_equal(again.data, b->data));
    }
    bundle_drop(&again);
    buf_close(&packed);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct bundle_key key = {.id = S("k"), .key = S("secret"), .algorithm = S("HS256")};
    struct bundle_verification keys = {.keys = &key, .key_count = 1};
    struct bundle_options o = {.bytes_max = MIB(1), .verification = &keys};
    struct policy_bundle b;
    struct diag why;
    str input = str_of((const char *)bytes, n);
    rc_t rc = bundle_read(&b, input, &o, &why);
    bundle_drop(&b);
    bundle_begin(&b, MIB(1));
    rc = tar_list(&b.heap, input, MIB(1), &b.files, &why);
    if (!rc) rc = bundle_read_files(&b, &o, &why);
    if (!rc) read_again(&b);
    bundle_drop(&b);
    return 0;
}
