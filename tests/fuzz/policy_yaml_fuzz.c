/* SPDX-License-Identifier: Apache-2.0 */
/* policy_yaml_fuzz.c — any bytes as YAML: what was read is written, and read again as the same. */
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include "kernel/base/check.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct heap heap;
    struct diag why;
    struct buf text;
    value first, second;
    heap_open(&heap, MIB(16));
    buf_open(&text, MIB(4));
    if (yaml_text_read(&heap, str_of((const char *)bytes, n), &first, &why) == RC_OK &&
        yaml_text_write(&heap, &text, first, &why) == RC_OK && !heap.exhausted) {
        rc_t rc = yaml_text_read(&heap, buf_str(&text), &second, &why);
        CHECK(rc != RC_INVALID || heap.exhausted);
    }
    buf_close(&text);
    heap_close(&heap);
    return 0;
}
