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
    bool parse_input, allocations, fail;
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
    if (b->fail && !value_defined(result)) {
        fputs("opctl: undefined result\n", stderr);
        return EXIT_NO;
    }
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

/* ---- Options ---- */

enum {
    DATA, INPUT, COUNT, BENCHTIME, FORMAT, PARSE_INPUT, V0, BENCHMEM, BUNDLE, IGNORE, STDIN_QUERY,
    STDIN_INPUT, FAIL, SCHEMA, CAPABILITIES, TARGET, METRICS, V1, HELP
};
static const struct option_spec specs[] = {
    [DATA] = {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
    [INPUT] = {"input", 'i', false, "the input: a JSON or YAML file"},
    [COUNT] = {"count", 0, false, "how often the figure is taken"},
    [BENCHTIME] = {"benchtime", 0, false, "least seconds of a round (default 1)"},
    [FORMAT] = {"format", 'f', false, "pretty, json or gobench"},
    [PARSE_INPUT] = {"parse-input", 0, true, "read the input's text for every question"},
    [V0] = {"v0-compatible", 0, true, "policies are Rego v0"},
    [BENCHMEM] = {"benchmem", 0, true, "count allocations (default true)"},
    [BUNDLE] = {"bundle", 'b', false,
                "a bundle: an archive or a folder; may be given more than once"},
    [IGNORE] = {"ignore", 0, false, "names of files and folders to leave out: patterns"},
    [STDIN_QUERY] = {"stdin", 0, true, "read the query from stdin"},
    [STDIN_INPUT] = {"stdin-input", 'I', true, "read the input from stdin"},
    [FAIL] = {"fail", 0, true, "status 1 when there is no answer (default true)"},
    [SCHEMA] = {"schema", 's', false, "a JSON schema of the input, or a folder of schemas"},
    [CAPABILITIES] = {"capabilities", 0, false, "a capabilities file, or a version"},
    [TARGET] = {"target", 't', false, "rego: there is no other"},
    [METRICS] = {"metrics", 0, true, "accepted"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
    [HELP] = {"help", 'h', true, "this text"},
};

struct asked {
    struct policy_load_options load;
    struct bundle files;
    struct bench bench;
    const char *query, *input, *format;
    str query_text; /* of stdin */
    int repeats;
    double seconds;
    bool query_from_stdin;
};

static bool add_path(struct asked *a, const char *path, bool bundle) {
    a->files.bundles = bundle;
    return bundle_add(&a->files, path);
}

static bool option(struct asked *a, int o, const char *v) {
    bool on = !v || strcmp(v, "false");
    struct compile_options *c = &a->load.compile;
    switch (o) {
    case DATA: return add_path(a, v, false);
    case BUNDLE: return add_path(a, v, true);
    case INPUT: a->input = v; return true;
    case STDIN_INPUT: a->input = on ? "-" : NULL; return true;
    case STDIN_QUERY: a->query_from_stdin = on; return true;
    case COUNT: return (a->repeats = atoi(v)) > 0;
    case BENCHTIME: return (a->seconds = atof(v)) > 0;
    case FORMAT: a->format = v; return true;
    case PARSE_INPUT: a->bench.parse_input = on; return true;
    case V0: a->load.parse.version = on ? REGO_V0 : REGO_V1; return true;
    case BENCHMEM: a->bench.allocations = on; return true;
    case FAIL: a->bench.fail = on; return true;
    case IGNORE: return bundle_ignore(&a->files, v);
    case SCHEMA: return schemas_load(&a->files.heap, v, &c->schemas);
    case CAPABILITIES: return capabilities_load(&a->files.heap, v, &c->capabilities);
    case TARGET: return !strcmp(v, "rego");
    case METRICS:
    case V1: return true;
    case OPTION_PLAIN:
        if (a->query) return false;
        a->query = v;
        return true;
    default: return false;
    }
}

static const char *contradiction(const struct asked *a) {
    if (a->query && a->query_from_stdin) return "specify query argument or --stdin but not both";
    if (!a->query && !a->query_from_stdin) return "specify query argument or --stdin";
    if (a->query_from_stdin && a->input && !strcmp(a->input, "-"))
        return "specify --stdin or --stdin-input but not both";
    return NULL;
}

static bool read_inputs(struct asked *a) {
    struct bench *b = &a->bench;
    if (a->query_from_stdin && !file_read("-", &a->query_text)) return false;
    if (a->query_from_stdin) a->query = a->query_text.ptr;
    if (!a->input) return true;
    if (strcmp(a->input, "-"))
        return value_of_file(&a->files.heap, a->input, &b->ask.input) &&
               file_read(a->input, &b->input_text);
    if (!file_read("-", &b->input_text)) return false;
    bool good = !json_text_read(&a->files.heap, NULL, b->input_text, &b->ask.input, NULL);
    if (!good) fputs("opctl: the input cannot be read\n", stderr);
    return good;
}

static int load_and_run(struct asked *a) {
    struct bench *b = &a->bench;
    struct policy_errors errors;
    struct policy_program *program;
    int status = EXIT_NO;
    policy_errors_open(&errors, &a->files.heap, 0);
    b->ask.data = a->files.data;
    if (!read_inputs(a)) return EXIT_NO;
    bundle_load_options(&a->files, &a->load);
    if (policy_load(a->files.sources, a->files.count, &a->load, &program, &errors)) {
        errors_print(&errors);
        return EXIT_NO;
    }
    if (policy_prepare(program, str_from_c(a->query), &b->query, &errors))
        errors_print(&errors);
    else {
        if (policy_evaluator_open(&b->evaluator, (size_t)1 << 30) == RC_OK) {
            status = run_bench(b, a->repeats, (u64)(a->seconds * 1e9), a->format);
            policy_evaluator_close(b->evaluator);
        }
        policy_query_drop(b->query);
    }
    policy_drop(program);
    return status;
}

static int run(int argc, char **argv) {
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct asked a = {.format = "pretty", .repeats = 1, .seconds = 1,
                      .load.parse.annotations = true,
                      .bench = {.allocations = true, .fail = true,
                                .ask = {.now_ns = wall_ns(), .seed = 1, .data_version = 1}}};
    const char *v, *wrong = NULL;
    bool ok = true;
    bundle_open(&a.files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) ok = option(&a, o, v);
    if (ok && (wrong = contradiction(&a))) fprintf(stderr, "opctl: %s\n", wrong);
    int status = ok && !wrong ? load_and_run(&a) : usage_of(&bench_verb, specs, ARRAY_LEN(specs));
    free((char *)a.bench.input_text.ptr), free((char *)a.query_text.ptr);
    bundle_close(&a.files);
    return status;
}

const struct verb bench_verb = {"bench", "[OPTIONS] QUERY", "measure one decision", run};
