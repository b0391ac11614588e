/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c — opctl policy bench: how long one decision takes, in nanoseconds, and what it allocates.
 *
 * The query is prepared once; then it is asked in rounds that double until one lasts --benchtime.
 * Allocations are those of malloc: what an evaluator keeps from question to question is not one.
 * The last round is the figure, as in the reference's command; --count repeats it. The input is
 * given as a value, or with --parse-input as text that is read again for every question. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/alloc.h"
#include "tools/opctl/output.h"

struct bench {
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    struct policy_ask ask;
    str input_text;
    bool parse_input, allocations;
};

/* False: the question failed, said on stderr. */
static bool ask_once(struct bench *b, value *out) {
    struct policy_error error;
    if (b->parse_input && json_text_read(policy_evaluator_heap(b->evaluator), NULL, b->input_text,
                                         &b->ask.input, NULL)) {
        fputs("opctl: the input cannot be read\n", stderr);
        return false;
    }
    if (!policy_decide(b->evaluator, b->query, &b->ask, out, &error)) return true;
    fprintf(stderr, "opctl: %s: %.*s\n", policy_code_name(error.code), STR(error.message));
    return false;
}

static bool ask_again(void *arg) {
    value result;
    return ask_once(arg, &result);
}

static void put_figure(struct table *t, const char *name, double x, bool whole) {
    char text[64];
    if (whole) snprintf(text, sizeof text, "%.0f", x);
    else figure_text(text, sizeof text, x);
    table_cell(t, 0, str_from_c(name));
    table_cell(t, 1, str_from_c(text));
}

static void print_timing(const struct timing *r, const char *format, bool allocations) {
    double n = (double)r->n;
    if (!strcmp(format, "json")) {
        printf("{\"N\":%llu,\"T\":%llu,\"MemAllocs\":%llu,\"MemBytes\":%llu,\"ns_per_op\":%.1f}\n",
               (unsigned long long)r->n, (unsigned long long)r->ns, (unsigned long long)r->allocs,
               (unsigned long long)r->bytes, (double)r->ns / n);
        return;
    }
    if (!strcmp(format, "gobench")) {
        printf("BenchmarkOPAEval\t");
        timing_write(stdout, r, allocations);
        putchar('\n');
        return;
    }
    struct table t;
    table_open(&t, 2);
    t.right = true;
    put_figure(&t, "samples", n, true);
    put_figure(&t, "ns/op", (double)r->ns / n, false);
    if (allocations) {
        put_figure(&t, "B/op", (double)(r->bytes / r->n), true);
        put_figure(&t, "allocs/op", (double)(r->allocs / r->n), true);
    }
    table_print(&t, stdout);
    table_close(&t);
}

static int run_bench(struct bench *b, int repeats, u64 least_ns, const char *format) {
    value result;
    if (!ask_once(b, &result)) return EXIT_NO;
    if (!strcmp(format, "pretty")) {
        printf("result  ");
        if (value_defined(result))
            value_print(result, 0);
        else
            puts("undefined");
    }
    for (int i = 0; i < repeats; i++) {
        struct timing r;
        if (!timing_take(&r, least_ns, ask_again, b)) return EXIT_NO;
        print_timing(&r, format, b->allocations);
    }
    return 0;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
        {"input", 'i', false, "the input: a JSON or YAML file"},
        {"count", 0, false, "how often the figure is taken"},
        {"benchtime", 0, false, "least seconds of a round (default 1)"},
        {"format", 'f', false, "pretty, json or gobench"},
        {"parse-input", 0, true, "read the input's text for every question"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"benchmem", 0, true, "count allocations (default true)"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct policy_load_options load = {.parse.annotations = true};
    struct bundle files;
    struct bench b = {.allocations = true,
                      .ask = {.now_ns = wall_ns(), .seed = 1, .data_version = 1}};
    const char *v, *query = NULL, *input = NULL, *format = "pretty";
    int repeats = 1, status = EXIT_USAGE;
    double seconds = 1;
    bool ok = true;
    bundle_open(&files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0)
            ok = bundle_add(&files, v);
        else if (o == 1)
            input = v;
        else if (o == 2)
            repeats = atoi(v);
        else if (o == 3)
            seconds = atof(v);
        else if (o == 4)
            format = v;
        else if (o == 5)
            b.parse_input = true;
        else if (o == 6)
            load.parse.version = REGO_V0;
        else if (o == 7)
            b.allocations = !v || strcmp(v, "false");
        else if (o == OPTION_PLAIN && !query)
            query = v;
        else
            ok = false;
    }
    if (!ok || !query) {
        bundle_close(&files);
        return usage_of(&bench_verb, specs, ARRAY_LEN(specs));
    }
    struct policy_errors errors;
    struct policy_program *program;
    policy_errors_open(&errors, &files.heap, 0);
    b.ask.data = files.data;
    status = EXIT_NO;
    if (input &&
        (!value_of_file(&files.heap, input, &b.ask.input) || !file_read(input, &b.input_text)))
        ok = false;
    bundle_load_options(&files, &load);
    if (ok && policy_load(files.sources, files.count, &load, &program, &errors))
        errors_print(&errors);
    else if (ok) {
        if (policy_prepare(program, str_from_c(query), &b.query, &errors))
            errors_print(&errors);
        else if (policy_evaluator_open(&b.evaluator, (size_t)1 << 30) == RC_OK) {
            status = run_bench(&b, repeats, (u64)(seconds * 1e9), format);
            policy_evaluator_close(b.evaluator);
            policy_query_drop(b.query);
        }
        policy_drop(program);
    }
    free((char *)b.input_text.ptr);
    bundle_close(&files);
    return status;
}

const struct verb bench_verb = {"bench", "[OPTIONS] QUERY", "measure one decision", run};
