/* SPDX-License-Identifier: Apache-2.0 */
/* policy_parser_fuzz.c — any bytes as a policy, a query and a term. What was read is printed,
 * written as JSON and in the common layout, and that text is read and laid out again. The first
 * byte says how to read. */
#include "app/policy/lang/format.h"
#include "kernel/base/check.h"

enum { V0 = 1, LOGICAL = 2, NOTES = 4, FUTURE = 8, NOT = 16, V1 = 32, DROP = 64 };
static void print_all(const struct ast_module *m, struct heap *h, struct buf *text) {
    buf_clear(text);
    ast_module_write(text, m);
    (void)ast_module_json(h, m, true);
    (void)ast_module_json(h, m, false);
}
/* The common layout of `text`. What it gives for odd policies need not be one: the reference's
 * own does not either. */
static rc_t lay_out(struct heap *h, str text, const struct parse_options *o,
                    const struct format_options *f, struct buf *to) {
    struct policy_errors errors;
    policy_errors_open(&errors, h, 0);
    buf_clear(to);
    rc_t rc = format_source(h, S("again.rego"), text, o, f, to, &errors);
    return to->failed || h->exhausted ? RC_NO_MEMORY : rc;
}
static void lay_out_again(struct heap *h, str text, const struct parse_options *o,
                          const struct format_options *f) {
    struct buf once, twice;
    buf_open(&once, MIB(4));
    buf_open(&twice, MIB(4));
    if (lay_out(h, text, o, f, &once) == RC_OK) (void)lay_out(h, buf_str(&once), o, f, &twice);
    buf_close(&twice);
    buf_close(&once);
}
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    if (!n) return 0;
    struct heap heap;
    struct policy_errors errors;
    struct buf text;
    struct ast_module *m;
    struct ast_body *b;
    struct ast_term *t;
    str source = str_of((const char *)bytes + 1, n - 1);
    u8 how = bytes[0];
    struct parse_options o = {.version = how & V0 ? REGO_V0 : REGO_V1,
                              .logical_keywords = how & LOGICAL, .annotations = how & NOTES,
                              .all_future_keywords = how & FUTURE, .not_keyword = how & NOT};
    struct format_options f = {.version = o.version};
    heap_open(&heap, MIB(64));
    buf_open(&text, MIB(4));
    policy_errors_open(&errors, &heap, 0);
    (void)parse_body(&heap, source, &o, &b, &errors);
    (void)parse_term(&heap, source, &o, &t, &errors);
    policy_errors_open(&errors, &heap, 0);
    if (parse_module(&heap, S("a.rego"), source, &o, &m, &errors) == RC_OK) {
        print_all(m, &heap, &text);
        lay_out_again(&heap, source, &o, &f);
        f.version = how & V1 ? REGO_V0_COMPAT_V1 : REGO_V1, f.drop_v0_imports = how & DROP;
        lay_out_again(&heap, source, &o, &f);
    }
    buf_clear(&text);
    policy_errors_write(&text, &errors);
    (void)policy_errors_json(&heap, &errors);
    buf_close(&text);
    heap_close(&heap);
    return 0;
}
