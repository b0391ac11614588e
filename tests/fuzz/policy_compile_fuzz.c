/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile_fuzz.c — any bytes as a module, and as a query against it: parsed and compiled in
 * a small heap; what compiles can be printed. The first byte chooses options. */
#include "app/policy/compile/compile.h"
#include "kernel/base/check.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    if (!n) return 0;
    struct heap h;
    struct parse_options parse = {.version = bytes[0] & 1 ? REGO_V0 : REGO_V1,
                                  .annotations = bytes[0] & 2,
                                  .logical_keywords = bytes[0] & 4};
    struct compile_options o = {.strict = bytes[0] & 8,
                                .keep_print = bytes[0] & 16,
                                .schemas = UNDEFINED,
                                .capabilities = UNDEFINED,
                                .data = UNDEFINED};
    struct policy_errors errors;
    struct ast_module *m;
    struct compiled *program;
    struct buf text;
    str source = {(const char *)bytes + 1, n - 1};
    heap_open(&h, bytes[0] & 32 ? KIB(256) : MIB(16));
    policy_errors_open(&errors, &h, 10);
    buf_open(&text, MIB(4));
    if (!parse_module(&h, S("a.rego"), source, &parse, &m, &errors) &&
        !compile_modules(&h, &m, 1, &o, &program, &errors)) {
        CHECK(!errors.count);
        ast_module_write(&text, m);
        struct ast_body *body;
        struct compiled_query q = {0};
        if (!parse_body(&h, S("x := data.a[i]; y = [z | z = x[_]]; not x.y"), &parse, &body,
                        &errors) &&
            !compile_query(&h, program, body, NULL, NULL, 0, &q, &errors))
            ast_body_write(&text, q.body);
    }
    buf_clear(&text);
    policy_errors_write(&text, &errors);
    buf_close(&text);
    heap_close(&h);
    return 0;
}
