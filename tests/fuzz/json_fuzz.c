/* SPDX-License-Identifier: Apache-2.0 */
/* json_fuzz.c — any bytes as JSON: the scan and the tree agree, and what is written scans again. */
#include "app/json.h"
#include "kernel/base/check.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct arena a;
    struct json_writer w;
    struct diag why;
    cJSON *root;
    str text = str_of((const char *)bytes, n);
    rc_t scanned = json_scan(text, &why);
    arena_open(&a, NULL, 0, MIB(4));
    rc_t parsed = json_parse(&a, text, &root, &why);
    CHECK(scanned == RC_OK || parsed != RC_OK);
    arena_close(&a);
    json_open(&w, MIB(4));
    json_text(&w, NULL, text);
    if (!w.out.failed) CHECK(json_scan(buf_str(&w.out), &why) == RC_OK);
    json_close(&w);
    return 0;
}
