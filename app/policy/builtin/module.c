/* SPDX-License-Identifier: Apache-2.0 */
/* module.c — rego.parse_module: a policy's tree as a value. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/lang/parse.h"

value builtin_rego_parse_module(struct builtin_call *c, const value *args) {
    str name, text;
    struct parse_options options = {.version = REGO_V1};
    struct policy_errors errors;
    struct ast_module *module;
    if (!builtin_take_string(c, args, 0, &name) || !builtin_take_string(c, args, 1, &text))
        return UNDEFINED;
    if (!builtin_tick(c, (u32)MIN(text.len / 4, (size_t)UINT32_MAX))) return UNDEFINED;
    policy_errors_open(&errors, c->heap, 0);
    rc_t rc = parse_module(c->heap, name, text, &options, &module, &errors);
    if (rc == RC_OK) return ast_module_json(c->heap, module, false);
    if (rc == RC_NO_MEMORY) return builtin_fail_memory(c);
    struct buf why;
    buf_open(&why, sizeof(c->message) - 1);
    policy_errors_write(&why, &errors);
    builtin_fail(c, "%.*s", STR(buf_str(&why)));
    buf_close(&why);
    return UNDEFINED;
}
