/* SPDX-License-Identifier: Apache-2.0 */
/* policy_compile.h — for tests of the compiler's passes: sources in, core Rego or errors out. */
#pragma once
#include "app/policy/compile/compile.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

struct compile_case {
    struct heap heap;
    struct parse_options parse;
    struct compile_options options;
    struct ast_module *modules[16];
    u32 count;
    struct compiled *program;
    struct policy_errors errors;
    struct buf text;
};

__attribute__((unused)) static void case_open(struct compile_case *t) {
    *t = (struct compile_case){
        .options = {.schemas = UNDEFINED, .capabilities = UNDEFINED, .data = UNDEFINED}};
    t->parse.annotations = true;
    heap_open(&t->heap, MIB(64));
    policy_errors_open(&t->errors, &t->heap, 0);
    buf_open(&t->text, MIB(1));
}

__attribute__((unused)) static void case_close(struct compile_case *t) {
    buf_close(&t->text);
    heap_close(&t->heap);
}

/* A source that must parse. */
__attribute__((unused)) static void case_add(struct compile_case *t, const char *source) {
    char name[16];
    snprintf(name, sizeof name, "%c.rego", 'a' + (char)t->count);
    rc_t rc = parse_module(&t->heap, str_from_c(name), str_from_c(source), &t->parse,
                           &t->modules[t->count], &t->errors);
    if (rc)
        test_fail(__FILE__, __LINE__, "does not parse: %s", source);
    else
        t->count++;
}

__attribute__((unused)) static rc_t case_run(struct compile_case *t) {
    return compile_modules(&t->heap, t->modules, t->count, &t->options, &t->program, &t->errors);
}

/* All errors, one per line: "row:column code message". Details are told apart. */
__attribute__((unused)) static str case_errors(struct compile_case *t) {
    buf_clear(&t->text);
    for (u32 i = 0; i < t->errors.count; i++) {
        const struct policy_error *e = &t->errors.items[i];
        rc_t rc = buf_printf(&t->text, "%s%u:%u %s %.*s", i ? "\n" : "", e->at.row, e->at.column,
                             policy_code_name(e->code), STR(e->message));
        if (rc) test_fail(__FILE__, __LINE__, "errors are too long");
    }
    return buf_str(&t->text);
}

/* The body of the n-th rule of the first module, as core Rego. */
__attribute__((unused)) static str case_body(struct compile_case *t, u32 n) {
    buf_clear(&t->text);
    if (t->program && n < t->program->modules[0]->rule_count)
        ast_body_write(&t->text, t->program->modules[0]->rules[n]->body);
    return buf_str(&t->text);
}

__attribute__((unused)) static void expect_errors(const char *file, int line, const char *source,
                                                  const char *want,
                                                  struct compile_options options) {
    struct compile_case t;
    case_open(&t);
    t.options = options;
    t.options.schemas = t.options.capabilities = t.options.data = UNDEFINED;
    case_add(&t, source);
    rc_t rc = case_run(&t);
    str got = case_errors(&t);
    if (rc != RC_INVALID || !str_eq(got, str_from_c(want)))
        test_fail(file, line, "%s: %s\n  got:  %.*s\n  want: %s", rc_name(rc), source, STR(got),
                  want);
    case_close(&t);
}

__attribute__((unused)) static void expect_body(const char *file, int line, const char *source,
                                                u32 rule, const char *want,
                                                struct compile_options options) {
    struct compile_case t;
    case_open(&t);
    t.options = options;
    t.options.schemas = t.options.capabilities = t.options.data = UNDEFINED;
    case_add(&t, source);
    rc_t rc = case_run(&t);
    if (rc) {
        str errors = case_errors(&t);
        test_fail(file, line, "%s: %s: %.*s", rc_name(rc), source, STR(errors));
    } else {
        str got = case_body(&t, rule);
        if (!str_eq(got, str_from_c(want)))
            test_fail(file, line, "%s\n  got:  %.*s\n  want: %s", source, STR(got), want);
    }
    case_close(&t);
}
#define EXPECT_ERRORS(source, want, ...)                                                           \
    expect_errors(__FILE__, __LINE__, source, want, (struct compile_options){__VA_ARGS__})
#define EXPECT_BODY(source, rule, want, ...)                                                       \
    expect_body(__FILE__, __LINE__, source, rule, want, (struct compile_options){__VA_ARGS__})
