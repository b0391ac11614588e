/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c — yaml.marshal, yaml.unmarshal, yaml.is_valid: value/yaml_text.h with the reference's
 * words around its errors. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/value/yaml_text.h"

/* The error of a step, unless it is the evaluation that is at its end. */
static value fail(struct builtin_call *c, rc_t rc, const char *doing, const struct diag *why) {
    if (rc == RC_NO_MEMORY || c->heap->exhausted) return builtin_fail_memory(c);
    return builtin_fail(c, "error converting %s: %s", doing, why->text);
}

value builtin_yaml_marshal(struct builtin_call *c, const value *args) {
    struct diag why = {0};
    struct buf text;
    if (!builtin_tick(c, 1)) return UNDEFINED;
    builtin_text_open(c, &text);
    rc_t rc = yaml_text_write(c->heap, &text, args[0], &why);
    if (rc && !text.failed) {
        buf_close(&text);
        return fail(c, rc, "JSON to YAML", &why);
    }
    value v = builtin_text_close(c, &text);
    return builtin_tick(c, value_is(v, VALUE_STRING) ? (u32)(value_str(v).len / 16) : 0)
               ? v
               : UNDEFINED;
}

value builtin_yaml_unmarshal(struct builtin_call *c, const value *args) {
    struct diag why = {0};
    str text;
    value v;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_tick(c, 1 + (u32)(text.len / 16)))
        return UNDEFINED;
    rc_t rc = yaml_text_read(c->heap, text, &v, &why);
    return rc ? fail(c, rc, "YAML to JSON", &why) : v;
}

value builtin_yaml_is_valid(struct builtin_call *c, const value *args) {
    struct diag why;
    value v;
    if (!value_is(args[0], VALUE_STRING)) return value_boolean(false);
    str text = value_str(args[0]);
    if (!builtin_tick(c, 1 + (u32)(text.len / 16))) return UNDEFINED;
    rc_t rc = yaml_text_read(c->heap, text, &v, &why);
    if (rc == RC_NO_MEMORY || c->heap->exhausted) return builtin_fail_memory(c);
    return value_boolean(rc == RC_OK);
}
