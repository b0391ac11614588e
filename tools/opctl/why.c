/* SPDX-License-Identifier: Apache-2.0 */
/* why.c — opctl policy why: why did a decision come out so? In sentences for a person, or with -f
 * json the whole report (app/policy/why.h).
 *
 *   $ opctl policy why -d app.rego -i input.json data.app.allow
 *   Denied: no rule for data.app.allow held, so its default stands (app.rego:3).
 *   The nearest was "Owners may write" (app.rego:7): 1 of 2 conditions held, but not ...
 *
 * Exit status: 0; 1 when the answer is a no; 2 for errors. */
#include <stdlib.h>
#include "app/policy/why.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { EXIT_ERROR = 2 };

struct why {
    struct bundle files;
    struct policy_load_options load;
    struct policy_why_question question;
    const char *format, *query, *input;
};

/* "data.a.b", or "a/b" as in the REST API. */
static str path_of(struct heap *h, const char *query) {
    struct buf b;
    str rest = str_from_c(query);
    bool dotted = str_starts(rest, S("data."));
    buf_open(&b, KIB(64));
    if (dotted) rest = str_skip(rest, 5);
    else if (str_eq(rest, S("data"))) rest = S("");
    for (size_t i = 0; i < rest.len; i++)
        (void)buf_add(&b, dotted && rest.ptr[i] == '.' ? S("/") : str_of(rest.ptr + i, 1));
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return value_str(v);
}

static int report(const struct why *w, struct policy_errors *errors) {
    policy_errors_sort(errors);
    errors_print(errors);
    (void)w;
    return EXIT_ERROR;
}

static int tell(struct why *w, struct policy_program *program, struct policy_errors *errors) {
    struct policy_evaluator *evaluator;
    struct policy_error error = {0};
    struct policy_ask ask = {.now_ns = wall_ns(), .seed = wall_ns()};
    value found, result;
    if (policy_evaluator_open(&evaluator, (size_t)4 << 30)) return EXIT_ERROR;
    rc_t rc =
        policy_why(program, evaluator, &ask, &w->question, &w->files.heap, &found, &result, &error);
    int status = EXIT_ERROR;
    if (rc) {
        (void)policy_error_add(errors, error.code, &error.at, "%.*s", STR(error.message));
        status = report(w, errors);
    } else {
        struct buf text;
        buf_open(&text, (size_t)64 << 20);
        if (!strcmp(w->format, "json")) {
            json_text_write(&text, found, JSON_TEXT_INDENT);
            (void)buf_add(&text, S("\n"));
        } else
            policy_why_write(&text, found);
        fwrite(text.ptr, 1, text.len, stdout);
        buf_close(&text);
        value outcome = value_get_str(found, S("outcome"));
        status = str_eq(value_str(outcome), S("denied")) ? EXIT_NO : 0;
    }
    policy_evaluator_close(evaluator);
    return status;
}

static int why(struct why *w) {
    struct policy_errors errors;
    struct policy_program *program;
    policy_errors_open(&errors, &w->files.heap, 0);
    if (w->input && !value_of_file(&w->files.heap, w->input, &w->question.input)) return EXIT_ERROR;
    w->question.data = w->files.data;
    w->question.path = path_of(&w->files.heap, w->query);
    w->load.trace = w->load.every_rule = w->load.parse.annotations = true;
    if (policy_load(w->files.sources, w->files.count, &w->load, &program, &errors))
        return report(w, &errors);
    int status = tell(w, program, &errors);
    policy_drop(program);
    return status;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
        {"input", 'i', false, "the input: a JSON or YAML file, - for stdin"},
        {"format", 'f', false, "text (default) or json"},
        {"sentences", 0, false, "at most so many (default 8)"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct why w = {.format = "text"};
    const char *v;
    bool ok = true;
    bundle_open(&w.files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        u64 n;
        if (o == 0) ok = bundle_add(&w.files, v);
        else if (o == 1) w.input = v;
        else if (o == 2 && (!strcmp(v, "text") || !strcmp(v, "json"))) w.format = v;
        else if (o == 3 && str_to_u64(str_from_c(v), &n) == RC_OK && n && n <= 1000)
            w.question.sentences_max = (u32)n;
        else if (o == 4) w.load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !w.query) w.query = v;
        else ok = false;
    }
    int status = ok && w.query ? why(&w) : usage_of(&why_verb, specs, ARRAY_LEN(specs));
    bundle_close(&w.files);
    return status;
}

const struct verb why_verb = {"why", "[OPTIONS] data.PATH",
                              "tell a person why a decision came out so", run};
