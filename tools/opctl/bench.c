/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c — opctl policy bench: how long one decision takes, in nanoseconds, and what it allocates.
 *
 * The query is prepared once (with --partial: its policies are, and what is left of it is found
 * anew each time); then it is asked in rounds that double until one lasts --benchtime.
 * Allocations are those of malloc: what an evaluator keeps from question to question is not one.
 * The last round is the figure, as in the reference's command; --count repeats it. The input is
 * given as a value, or with --parse-input as text that is read again for every question.
 * The histogram of --metrics is of questions timed one at a time after that, so that reading the
 * clock is not part of the figure. */
#include <math.h>
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/alloc.h"
#include "tools/opctl/output.h"

enum { SAMPLES_MAX = 10000, LIST_MAX = 64 };
static const size_t PARTIAL_BYTES_MAX = (size_t)4 << 30;

struct bench {
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    struct policy_ask ask;
    const char *text; /* of the query */
    str input_text;
    struct partial_options left; /* with --partial */
    bool parse_input, allocations, fail, partial, metrics;
    u64 *samples; /* sorted */
    u32 sample_count;
};

/* What is left of the query; *out is defined when anything is. */
static bool ask_partial(struct bench *b, value *out) {
    struct policy_errors errors;
    struct partial_answer answer;
    struct heap h;
    heap_open(&h, PARTIAL_BYTES_MAX);
    policy_errors_open(&errors, &h, 1);
    rc_t rc = partial_evaluate(&h, b->program, str_from_c(b->text), &b->ask, &b->left, &answer,
                               &errors);
    if (rc) errors_print(&errors);
    *out = rc || !answer.query_count ? UNDEFINED : value_integer(answer.query_count);
    heap_close(&h);
    return !rc;
}

/* False: the question failed, said on stderr. */
static bool ask_once(struct bench *b, value *out) {
    struct policy_error error;
    if (b->parse_input && json_text_read(policy_evaluator_heap(b->evaluator), NULL, b->input_text,
                                         &b->ask.input, NULL)) {
        fputs("opctl: the input cannot be read\n", stderr);
        return false;
    }
    if (b->partial) return ask_partial(b, out);
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

/* ---- The histogram ---- */

static int by_size(const void *a, const void *b) {
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return (x > y) - (x < y);
}

/* As many as fit into a tenth of the round's time, SAMPLES_MAX at most. */
static bool take_samples(struct bench *b, u64 ns_max) {
    u64 begin = steady_ns(), now = begin;
    b->sample_count = 0;
    while (b->sample_count < SAMPLES_MAX && (!b->sample_count || now - begin < ns_max / 10)) {
        value result;
        if (!ask_once(b, &result)) return false;
        u64 end = steady_ns();
        b->samples[b->sample_count++] = end - now;
        now = end;
    }
    qsort(b->samples, b->sample_count, sizeof *b->samples, by_size);
    return true;
}

static double sample_at(const struct bench *b, double share) {
    double place = share * (b->sample_count + 1);
    if (place < 1) return (double)b->samples[0];
    if (place >= b->sample_count) return (double)b->samples[b->sample_count - 1];
    double below = (double)b->samples[(u32)place - 1], above = (double)b->samples[(u32)place];
    return below + (place - floor(place)) * (above - below);
}

static double sample_figure(const struct bench *b, const char *name) {
    double n = b->sample_count, sum = 0, squares = 0;
    for (u32 i = 0; i < b->sample_count; i++) sum += (double)b->samples[i];
    for (u32 i = 0; i < b->sample_count; i++) {
        double off = (double)b->samples[i] - sum / n;
        squares += off * off;
    }
    if (!strcmp(name, "count")) return n;
    if (!strcmp(name, "max")) return (double)b->samples[b->sample_count - 1];
    if (!strcmp(name, "min")) return (double)b->samples[0];
    if (!strcmp(name, "mean")) return sum / n;
    if (!strcmp(name, "stddev")) return sqrt(squares / n);
    return sample_at(b, !strcmp(name, "median") ? 0.5 : strtod(name, NULL) / 100);
}

static const char *const figures[] = {"75%", "90%",   "95%", "99%",  "99.9%",  "99.99%",
                                      "count", "max", "mean", "median", "min", "stddev"};

/* As the reference names them. */
static const char *figure_name(const struct bench *b, u32 i, char *to, size_t room) {
    snprintf(to, room, "histogram_timer_rego_%s_eval_ns_%s", b->partial ? "partial" : "query",
             figures[i]);
    return to;
}

/* ---- What is printed ---- */

static void print_json(const struct bench *b, const struct timing *r) {
    struct json_out o;
    out_open(&o);
    out_begin(&o, NULL, '{');
    out_u64(&o, "N", r->n);
    out_u64(&o, "T", r->ns);
    out_u64(&o, "Bytes", 0); /* the reference's benchmarks may count bytes moved: these never do */
    out_u64(&o, "MemAllocs", r->allocs);
    out_u64(&o, "MemBytes", r->bytes);
    out_begin(&o, "Extra", '{');
    for (u32 i = 0; b->sample_count && i < ARRAY_LEN(figures); i++) {
        char name[64];
        out_double(&o, figure_name(b, i, name, sizeof name), sample_figure(b, figures[i]));
    }
    out_end(&o, '}');
    out_double(&o, "ns_per_op", (double)r->ns / (double)r->n);
    out_end(&o, '}');
    (void)!!out_close(&o, stdout);
}

static void print_timing(const struct bench *b, const struct timing *r, const char *format) {
    if (!strcmp(format, "json")) {
        print_json(b, r);
        return;
    }
    if (!strcmp(format, "gobench")) {
        printf("BenchmarkOPAEval\t");
        timing_write(stdout, r, b->allocations);
        putchar('\n');
        return;
    }
    struct table t;
    table_open(&t, 2);
    t.right = true;
    put_figure(&t, "samples", (double)r->n, true);
    put_figure(&t, "ns/op", (double)r->ns / (double)r->n, false);
    if (b->allocations) {
        put_figure(&t, "B/op", (double)(r->bytes / r->n), true);
        put_figure(&t, "allocs/op", (double)(r->allocs / r->n), true);
    }
    for (u32 i = 0; b->sample_count && i < ARRAY_LEN(figures); i++) {
        char name[64];
        put_figure(&t, figure_name(b, i, name, sizeof name), sample_figure(b, figures[i]), false);
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
    if (!strcmp(format, "pretty") && !b->partial) {
        printf("result  ");
        if (value_defined(result))
            value_print(result, 0);
        else
            puts("undefined");
    }
    for (int i = 0; i < repeats; i++) {
        struct timing r;
        if (!timing_take(&r, least_ns, ask_again, b)) return EXIT_NO;
        if (b->metrics && !take_samples(b, least_ns)) return EXIT_NO;
        print_timing(b, &r, format);
    }
    return 0;
}

/* ---- Options ---- */

enum {
    DATA, INPUT, COUNT, BENCHTIME, FORMAT, PARSE_INPUT, V0, BENCHMEM, BUNDLE, IGNORE, STDIN_QUERY,
    STDIN_INPUT, FAIL, SCHEMA, CAPABILITIES, TARGET, METRICS, V1, PARTIAL, UNKNOWNS, PACKAGE,
    IMPORT, STORE, HELP, E2E, CONFIG, GRACE, WAIT
};
#define SERVER OPTION_REFUSED "a running server is measured from outside: docs/hacking.md"

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
    [METRICS] = {"metrics", 0, true, "how the times are spread (default true)"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
    [PARTIAL] = {"partial", 'p', true, "measure what finds what is left of the query"},
    [UNKNOWNS] = {"unknowns", 'u', false, "refs that are unknown, with --partial (default input)"},
    [PACKAGE] = {"package", 0, false, "ask as if in this package"},
    [IMPORT] = {"import", 0, false, "an import of the query; may be given more than once"},
    [STORE] = {"optimize-store-for-read-speed", 0, true, "accepted; it always is"},
    [HELP] = {"help", 'h', true, "this text"},
    [E2E] = {"e2e", 0, true, SERVER},
    [CONFIG] = {"config-file", 'c', false, SERVER},
    [GRACE] = {"shutdown-grace-period", 0, false, SERVER},
    [WAIT] = {"shutdown-wait-period", 0, false, SERVER},
};

struct asked {
    struct policy_load_options load;
    struct bundle files;
    struct bench bench;
    struct query_scope scope;
    const char *query, *input, *format;
    str query_text; /* of stdin */
    str unknowns[LIST_MAX];
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
    case TARGET: return option_target(v);
    case METRICS: a->bench.metrics = on; return true;
    case PARTIAL: a->bench.partial = on; return true;
    case UNKNOWNS: return option_list(a->unknowns, LIST_MAX, &a->bench.left.unknown_count, v);
    case PACKAGE: a->scope.package = v; return true;
    case IMPORT: return query_scope_import(&a->scope, v);
    case STORE:
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
    struct policy_query_options with = {.parse.version = a->load.parse.version};
    b->program = program, b->text = a->query;
    b->left.unknowns = b->left.unknown_count ? a->unknowns : NULL;
    b->samples = calloc(SAMPLES_MAX, sizeof *b->samples);
    if (!b->samples || !query_scope_read(&a->scope, &a->files.heap, &with)) {
        policy_drop(program);
        return EXIT_NO;
    }
    b->left.parse = with.parse, b->left.package = with.package;
    b->left.imports = with.imports, b->left.import_count = with.import_count;
    if (policy_prepare_with(program, str_from_c(a->query), &with, &b->query, &errors))
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
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct asked a = {.format = "pretty", .repeats = 1, .seconds = 1,
                      .load.parse.annotations = true,
                      .bench = {.allocations = true, .fail = true, .metrics = true,
                                .ask = {.now_ns = wall_ns(), .seed = 1, .data_version = 1}}};
    const char *v, *wrong = NULL;
    bool ok = true;
    bundle_open(&a.files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) ok = option(&a, o, v);
    if (ok && (wrong = contradiction(&a))) (void)option_wrong(wrong, "");
    int status = ok && !wrong ? load_and_run(&a) : usage_of(&bench_verb, specs, ARRAY_LEN(specs));
    free((char *)a.bench.input_text.ptr), free((char *)a.query_text.ptr), free(a.bench.samples);
    bundle_close(&a.files);
    return status;
}

const struct verb bench_verb = {"bench", "[OPTIONS] QUERY", "measure one decision", run};
