/* SPDX-License-Identifier: Apache-2.0 */
/* said.c — what METADATA says of a filter: which parts of the input are unknown, and which rule
 * says what is masked. It may stand above the rule, its document, its package, or packages around
 * that. */
#include "app/policy/filter/filter_impl.h"
#include "app/policy/lang/annotations.h"

static const struct rule_node *node_at(const struct compiled *program, const value *path,
                                       u32 count) {
    const struct rule_node *n = program->root;
    for (u32 i = 0; n && i < count; i++) n = rule_node_find(n, path[i]);
    return n && n->rule_count ? n : NULL;
}

static str ref_text(struct heap *h, const struct ast_term *t) {
    struct buf b;
    buf_open(&b, KIB(16));
    ast_term_write(&b, t);
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static void take(struct heap *h, const struct ast_rule *rule, const struct ast_annotations *a,
                 struct policy_filter_said *out, struct policy_errors *errors) {
    for (u32 i = 0; i < a->unknown_count; i++) {
        str text = ref_text(h, a->unknowns[i]);
        if (!ref_begins(a->unknowns[i], "input") && !ref_begins(a->unknowns[i], "data"))
            policy_error_add(errors, FILTER_UNKNOWN_ERROR, &a->at,
                             "unknowns must be prefixed with `input` or `data`: %.*s", STR(text));
        else if (out->unknown_count < ARRAY_LEN(out->unknowns))
            out->unknowns[out->unknown_count++] = text;
    }
    if (!a->mask_rule || out->mask_rule.len) return;
    str mask = ref_text(h, a->mask_rule);
    if (!ref_begins(a->mask_rule, "data")) {
        struct buf b;
        buf_open(&b, KIB(16));
        ast_term_write(&b, rule->module->package);
        (void)buf_printf(&b, ".%.*s", STR(mask));
        value v = value_string(h, buf_str(&b));
        mask = v.kind == VALUE_STRING ? value_str(v) : S("");
        buf_close(&b);
    }
    out->mask_rule = mask;
}

static bool fits(const struct ast_annotations *a, const struct ast_module *m,
                 const struct ast_rule *rule, enum ast_scope scope, u32 package) {
    const struct ast_term *own = rule->module->package;
    if (a->scope != scope) return false;
    switch (scope) {
    case SCOPE_RULE: return a->rule == rule;
    case SCOPE_DOCUMENT:
        return a->rule && ast_term_compare(a->rule->head->ref, rule->head->ref) == 0;
    case SCOPE_PACKAGE: return ast_term_compare(m->package, own) == 0;
    case SCOPE_SUBPACKAGES: return m->package->count == package && ast_ref_starts(own, m->package);
    default: return false;
    }
}

static void take_all(struct heap *h, const struct compiled *program, const struct ast_rule *rule,
                     enum ast_scope scope, u32 package, struct policy_filter_said *out,
                     struct policy_errors *errors) {
    for (u32 i = 0; i < program->module_count; i++) {
        const struct ast_module *m = program->modules[i];
        for (u32 k = 0; k < m->annotation_count; k++)
            if (fits(m->annotations[k], m, rule, scope, package))
                take(h, rule, m->annotations[k], out, errors);
    }
}

void policy_filter_said_of(struct heap *h, const struct compiled *program, const value *path,
                           u32 count, struct policy_filter_said *out,
                           struct policy_errors *errors) {
    *out = (struct policy_filter_said){0};
    const struct rule_node *n = node_at(program, path, count);
    if (!n) return;
    const struct ast_rule *rule = n->rules[0];
    take_all(h, program, rule, SCOPE_RULE, 0, out, errors);
    take_all(h, program, rule, SCOPE_DOCUMENT, 0, out, errors);
    take_all(h, program, rule, SCOPE_PACKAGE, 0, out, errors);
    for (u32 i = rule->module->package->count; i > 0; i--)
        take_all(h, program, rule, SCOPE_SUBPACKAGES, i, out, errors);
}
