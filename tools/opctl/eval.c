/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c — opctl policy eval: ask a query and print the answer in the reference's formats.
 *
 *   json      {"result": [{"expressions": [{"value", "text", "location"}], "bindings": {}}]}
 *   pretty    the value, or a table of bindings
 *   values    the expressions' values per result
 *   bindings  the bindings per result
 *   raw       values one per line, strings without quotes
 *   discard   nothing
 *
 * Exit status: 0; 1 with --fail when the answer is undefined or empty, with --fail-defined when it
 * is not; 2 for errors. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { EXIT_ERROR = 2 };

struct eval {
    struct bundle files;
    struct policy_load_options load;
    struct policy_ask ask;
    const char *format, *query, *input;
    bool fail, fail_defined, stdin_input, strict_errors;
};

static void print_message(void *arg, const struct ast_location *at, str message) {
    (void)arg;
    if (at && at->file && at->file->name.len)
        fprintf(stderr, "%.*s:%u: ", STR(at->file->name), at->row);
    fprintf(stderr, "%.*s\n", STR(message));
}

/* ---- Output: members in the reference's order, two blanks per level ---- */

static void put_indented(struct buf *to, value v, int level) {
    struct buf text;
    buf_open(&text, to->max);
    json_text_write(&text, v, JSON_TEXT_INDENT);
    for (str rest = buf_str(&text), line; str_split(&rest, '\n', &line);) {
        (void)buf_add(to, line);
        if (rest.len) (void)buf_printf(to, "\n%*s", level * 2, "");
    }
    if (text.failed) to->failed = true;
    buf_close(&text);
}

struct query_text {
    const struct ast_expr *exprs[64];
    u32 count;
};

static void put_expressions(struct buf *to, value expressions, const struct query_text *texts) {
    for (u32 i = 0; i < value_count(expressions); i++) {
        const struct ast_expr *e = i < texts->count ? texts->exprs[i] : NULL;
        (void)buf_add(to, i ? S(",\n        {\n          \"value\": ")
                            : S("        {\n          \"value\": "));
        put_indented(to, value_item(expressions, i), 5);
        if (e) {
            struct heap h;
            heap_open(&h, 1 << 20);
            str source = str_take(str_skip(e->at.file->text, e->at.offset), e->at.len);
            (void)buf_add(to, S(",\n          \"text\": "));
            json_text_write(to, value_string(&h, source), 0);
            (void)buf_add(to, S(",\n          \"location\": {\n"));
            (void)buf_printf(to, "            \"row\": %u,\n            \"col\": %u\n          }",
                             e->at.row, e->at.column);
            heap_close(&h);
        }
        (void)buf_add(to, S("\n        }"));
    }
}

static void put_json(struct buf *to, const struct policy_answer *a, const struct query_text *texts,
                     struct heap *h) {
    if (!a->count) {
        (void)buf_add(to, S("{}\n"));
        return;
    }
    (void)buf_add(to, S("{\n  \"result\": [\n"));
    for (u32 i = 0; i < a->count; i++) {
        (void)buf_add(to, S("    {\n      \"expressions\": [\n"));
        put_expressions(to, value_as_json(h, a->results[i].expressions), texts);
        (void)buf_add(to, S("\n      ]"));
        if (value_count(a->results[i].bindings)) {
            (void)buf_add(to, S(",\n      \"bindings\": "));
            put_indented(to, value_as_json(h, a->results[i].bindings), 3);
        }
        (void)buf_add(to, i + 1 < a->count ? S("\n    },\n") : S("\n    }\n"));
    }
    (void)buf_add(to, S("  ]\n}\n"));
}

static void put_lists(struct buf *to, const struct policy_answer *a, bool bindings,
                      struct heap *h) {
    struct value_builder all;
    value_builder_open(&all, h, VALUE_ARRAY);
    for (u32 i = 0; i < a->count; i++)
        value_builder_add(
            &all, value_as_json(h, bindings ? a->results[i].bindings : a->results[i].expressions));
    value list = value_builder_close(&all);
    for (u32 i = 0; !bindings && i < value_count(list); i++) {
        json_text_write(to, value_item(list, i), JSON_TEXT_INDENT);
        (void)buf_add(to, S("\n"));
    }
    if (!bindings) return;
    json_text_write(to, list, JSON_TEXT_INDENT);
    (void)buf_add(to, S("\n"));
}

static void put_raw(struct buf *to, const struct policy_answer *a, struct heap *h) {
    for (u32 i = 0; i < a->count; i++) {
        value values = value_as_json(h, a->results[i].expressions);
        for (u32 j = 0; j < value_count(values); j++) {
            value v = value_item(values, j);
            if (j) (void)buf_add(to, S(" "));
            if (v.kind == VALUE_STRING)
                (void)buf_add(to, value_str(v));
            else
                json_text_write(to, v, 0);
        }
        (void)buf_add(to, S("\n"));
    }
}

static void put_pretty(struct buf *to, const struct policy_answer *a, struct heap *h) {
    if (!a->count) {
        (void)buf_add(to, S("undefined\n"));
        return;
    }
    for (u32 i = 0; i < a->count; i++) {
        value v = value_as_json(h, a->results[i].expressions),
              names = value_as_json(h, a->results[i].bindings);
        bool alone = value_count(v) == 1 && !value_count(names);
        json_text_write(to,
                        alone                ? value_item(v, 0)
                        : value_count(names) ? names
                                             : v,
                        JSON_TEXT_INDENT);
        (void)buf_add(to, S("\n"));
    }
}

static bool print_answer(struct eval *e, const struct policy_answer *a,
                         const struct query_text *texts) {
    struct heap h;
    struct buf b;
    heap_open(&h, (size_t)1 << 30);
    buf_open(&b, (size_t)1 << 30);
    if (!strcmp(e->format, "json"))
        put_json(&b, a, texts, &h);
    else if (!strcmp(e->format, "values"))
        put_lists(&b, a, false, &h);
    else if (!strcmp(e->format, "bindings"))
        put_lists(&b, a, true, &h);
    else if (!strcmp(e->format, "raw"))
        put_raw(&b, a, &h);
    else if (!strcmp(e->format, "pretty"))
        put_pretty(&b, a, &h);
    if (b.len) fwrite(b.ptr, 1, b.len, stdout);
    bool ok = !b.failed && !h.exhausted;
    buf_close(&b);
    heap_close(&h);
    return ok;
}

/* ---- Asking ---- */

static int report(struct eval *e, const struct policy_errors *errors) {
    if (strcmp(e->format, "json"))
        errors_print(errors);
    else {
        struct value_builder b;
        value_builder_open(&b, errors->heap, VALUE_OBJECT);
        value_builder_replace(&b, value_string_c(errors->heap, "errors"),
                              policy_errors_json(errors->heap, errors));
        value_print(value_builder_close(&b), JSON_TEXT_INDENT);
    }
    return EXIT_ERROR;
}

/* The query's expressions as written; `some` leaves no value of its own. */
static void read_texts(struct heap *h, str query, const struct parse_options *o,
                       struct query_text *out) {
    struct policy_errors errors;
    struct ast_body *body;
    policy_errors_open(&errors, h, 1);
    out->count = 0;
    if (parse_body(h, query, o, &body, &errors)) return;
    for (u32 i = 0; i < body->count && out->count < ARRAY_LEN(out->exprs); i++)
        if (body->exprs[i]->kind != AST_EXPR_SOME) out->exprs[out->count++] = body->exprs[i];
}

static int ask(struct eval *e, struct policy_query *query, struct policy_errors *errors) {
    struct policy_evaluator *evaluator;
    struct policy_answer answer;
    struct policy_error error = {0};
    struct query_text texts;
    if (policy_evaluator_open(&evaluator, (size_t)4 << 30)) return EXIT_ERROR;
    int status = 0;
    if (policy_ask(evaluator, query, &e->ask, &answer, &error)) {
        struct policy_error *copy =
            policy_error_add(errors, error.code, &error.at, "%.*s", STR(error.message));
        (void)copy;
        status = report(e, errors);
    } else {
        read_texts(&e->files.heap, str_from_c(e->query), &e->load.parse, &texts);
        if (!print_answer(e, &answer, &texts)) status = EXIT_ERROR;
        bool defined = answer.count > 0;
        for (u32 i = 0; i < answer.count; i++)
            for (u32 j = 0; j < value_count(answer.results[i].expressions); j++)
                if (value_is_false(value_item(answer.results[i].expressions, j))) defined = false;
        if (!status && ((e->fail && !defined) || (e->fail_defined && defined))) status = EXIT_NO;
    }
    policy_evaluator_close(evaluator);
    return status;
}

static int eval(struct eval *e) {
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_query *query;
    policy_errors_open(&errors, &e->files.heap, 0);
    if (e->input && !value_of_file(&e->files.heap, e->input, &e->ask.input)) return EXIT_ERROR;
    e->ask.data = e->files.data;
    e->ask.now_ns = e->ask.seed = wall_ns();
    e->ask.print = print_message;
    if (policy_load(e->files.sources, e->files.count, &e->load, &program, &errors))
        return report(e, &errors);
    int status;
    if (policy_prepare(program, str_from_c(e->query), &query, &errors))
        status = report(e, &errors);
    else {
        status = ask(e, query, &errors);
        policy_query_drop(query);
    }
    policy_drop(program);
    return status;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
        {"input", 'i', false, "the input: a JSON or YAML file"},
        {"format", 'f', false, "json, pretty, values, bindings, raw or discard"},
        {"stdin-input", 'I', true, "read the input from stdin"},
        {"fail", 0, true, "status 1 when the answer is undefined, empty or false"},
        {"fail-defined", 0, true, "status 1 when it is not"},
        {"strict", 'S', true, "the compiler's strict mode"},
        {"strict-builtin-errors", 0, true, "an error of a builtin ends the question"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct eval e = {.format = "json"};
    const char *v;
    bool ok = true;
    bundle_open(&e.files);
    e.load.compile.keep_print = true;
    e.load.parse.annotations = true; /* rego.metadata answers them */
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0)
            ok = bundle_add(&e.files, v);
        else if (o == 1)
            e.input = v;
        else if (o == 2)
            e.format = v;
        else if (o == 3)
            e.input = on ? "-" : NULL;
        else if (o == 4)
            e.fail = on;
        else if (o == 5)
            e.fail_defined = on;
        else if (o == 6)
            e.load.compile.strict = on;
        else if (o == 7)
            e.ask.strict_errors = on;
        else if (o == 8)
            e.load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !e.query)
            e.query = v;
        else
            ok = false;
    }
    int status = ok && e.query ? eval(&e) : usage_of(&eval_verb, specs, ARRAY_LEN(specs));
    bundle_close(&e.files);
    return status;
}

const struct verb eval_verb = {"eval", "[OPTIONS] QUERY", "ask a query", run};
