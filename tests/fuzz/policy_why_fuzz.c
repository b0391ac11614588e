/* SPDX-License-Identifier: Apache-2.0 */
/* policy_why_fuzz.c — any bytes as a policy that is watched and explained: every rule of it, within
 * small limits. An explanation never fails where the question did not, keeps to its number of
 * sentences, and what is masked does not turn up. */
#include "app/policy/value/json_text.h"
#include "app/policy/why.h"
#include "tests/test.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

enum { SENTENCES = 5 };

#define SECRET "x7qz"
#define INPUT "{\"a\": 1, \"b\": [1, {\"c\": \"" SECRET "\"}], \"user\": {\"name\": \"" SECRET "\"}}"

static void explain(struct policy_program *p, struct policy_evaluator *e, str source, str path) {
    struct policy_ask ask = {.limits = {.steps_max = 20000, .bytes_max = 4 << 20}};
    struct policy_error error = {0};
    struct buf text;
    struct heap h;
    value report, result, secret;
    heap_open(&h, 32 << 20);
    buf_open(&text, 8 << 20);
    CHECK(json_text_read(&h, NULL, S(INPUT), &secret, NULL) == RC_OK);
    struct policy_why_question q = {.path = path, .input = secret, .shown = value_empty_object(),
                                    .data = value_empty_object(), .sentences_max = SENTENCES};
    if (policy_why(p, e, &ask, &q, &h, &report, &result, &error) == RC_OK) {
        CHECK(value_count(value_get_str(report, S("sentences"))) <= SENTENCES);
        json_text_write(&text, report, 0);
        bool told = str_find(buf_str(&text), S(SECRET)) < text.len;
        CHECK(!told || str_find(source, S(SECRET)) < source.len);
    }
    buf_close(&text);
    heap_close(&h);
}

static void explain_rules(struct policy_program *p, struct policy_evaluator *e, str source) {
    const struct compiled *c = policy_compiled(p);
    for (u32 i = 0; i < c->order_count && i < 8; i++) {
        const struct ast_rule *r = c->order[i];
        struct buf path;
        buf_open(&path, 4096);
        for (u32 k = 1; k < r->module->package->count; k++)
            if (r->module->package->terms[k]->kind == AST_STRING)
                (void)buf_printf(&path, "%.*s/", STR(value_str(r->module->package->terms[k]->scalar)));
        const struct ast_term *head = r->head->ref;
        if (head->count && head->terms[0]->kind == AST_VAR) (void)buf_add(&path, head->terms[0]->var);
        explain(p, e, source, buf_str(&path));
        buf_close(&path);
    }
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct policy_source source = {S("f.rego"), str_of((const char *)bytes, n)};
    struct policy_load_options o = {.bytes_max = 16 << 20, .trace = true, .every_rule = true,
                                    .parse.annotations = true};
    struct policy_program *p = NULL;
    struct policy_evaluator *e = NULL;
    struct policy_errors errors;
    struct heap h;
    heap_open(&h, 16 << 20);
    policy_errors_open(&errors, &h, 10);
    if (policy_load(&source, 1, &o, &p, &errors) == RC_OK) {
        CHECK(policy_evaluator_open(&e, 4 << 20) == RC_OK);
        explain_rules(p, e, source.text);
        policy_evaluator_close(e);
        policy_drop(p);
    }
    heap_close(&h);
    return 0;
}
