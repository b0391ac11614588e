/* SPDX-License-Identifier: Apache-2.0 */
/* scim_filter_fuzz.c — any bytes as a filter of SCIM and as a path: bounded, and what is accepted
 * becomes SQL whose text is ours alone, however deep. */
#include "app/scim/scim_impl.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static const struct scim_column columns[] = {
        {"a", "a", SCIM_TEXT},  {"b", "b", SCIM_LOWER}, {"c.d", "c", SCIM_EXACT},
        {"e", "e", SCIM_FLAG},  {"f", "f", SCIM_TIME},  {"g", "EXISTS(?)", SCIM_MEMBER},
        {NULL, NULL, SCIM_TEXT}};
    static const char letters[] =
        "abcdefg WHERE EXISTS AND OR NOT lower instr length substr ()=<>?0123456789,-+'";
    str input = str_of((const char *)bytes, n);
    const struct scim_filter *filter;
    struct scim_path path;
    struct diag why = {0};
    struct filter f;
    struct arena a;
    arena_open(&a, NULL, 0, MIB(1));
    filter_open(&f, &a);
    if (scim_filter_parse(&a, input, &filter, &why) == RC_OK &&
        scim_where(&f, columns, filter, &why) == RC_OK) {
        CHECK(f.count <= SCIM_TESTS_MAX);
        for (size_t i = 0; i < f.where.len; i++) CHECK(strchr(letters, f.where.ptr[i]));
    }
    if (scim_path_parse(&a, input, &path, &why) == RC_OK) CHECK(path.attribute.len);
    arena_close(&a);
    return 0;
}
