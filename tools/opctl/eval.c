/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c — opctl policy eval: ask a query and show the answer, with what the reference's command
 * can show beside it: explanation, profile, coverage, metrics.
 *
 * Exit status: 0; 1 with --fail when there is no answer, with --fail-defined when there is one; 2
 * for errors. A query is watched only when something about its way is wanted. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/build.h"
#include "tools/opctl/eval.h"

enum { EXIT_ERROR = 2, PROFILE_ROWS = 10, PRETTY_WIDTH = 80, LIST_MAX = 64 };

struct eval {
    struct bundle files;
    struct policy_load_options load;
    struct policy_query_options with;
    struct policy_ask ask;
    struct watch watch;
    const char *format, *query, *input, *schema, *capabilities;
    struct query_scope scope;
    str query_text; /* of --stdin; freed at the end */
    bool fail, fail_defined, query_from_stdin, show_builtin_errors;
    s64 count, pretty_limit;
    u64 timeout_ns, load_files_ns, input_ns;
    bool defined;
    bool partial;
    struct partial_options left; /* with --partial */
    str unknowns[LIST_MAX], disabled[LIST_MAX];
    struct optimize_asked optimize;
    bool data_given, bundle_given;
};

/* ---- Asking ---- */

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

static void keep_error(void *arg, const struct policy_error *e) {
    struct watched *w = arg;
    (void)policy_error_add(&w->builtin_errors, e->code, &e->at, "%.*s", STR(e->message));
}

static void put_times(struct eval *e, struct watched *w, const struct policy_times *module,
                      const struct policy_times *query, u64 eval_ns, u64 steps) {
    if (!e->watch.metrics) return;
    watched_metric(w, "timer_rego_load_files_ns", e->load_files_ns);
    watched_metric(w, "timer_rego_module_parse_ns", module->parse_ns);
    watched_metric(w, "timer_rego_module_compile_ns", module->compile_ns);
    watched_metric(w, "timer_rego_query_parse_ns", query->parse_ns);
    watched_metric(w, "timer_rego_query_compile_ns", query->compile_ns);
    watched_metric(w, "timer_rego_query_eval_ns", eval_ns);
    if (e->input) watched_metric(w, "timer_rego_input_parse_ns", e->input_ns);
    if (e->watch.instrument) watched_metric(w, "counter_eval_steps", steps);
}

struct round {
    struct watched watched;
    struct policy_program *program;
    struct policy_query *query;
    struct policy_evaluator *evaluator;
    struct policy_answer answer;
    struct policy_errors errors;
    rc_t rc;
};

/* Loads, prepares and asks: what one round of --count is. */
static void round_run(struct eval *e, struct round *r) {
    struct policy_times module = {.clock_ns = steady_ns}, query = {.clock_ns = steady_ns};
    struct policy_error error = {0};
    *r = (struct round){.rc = RC_OK};
    watched_open(&r->watched, &e->watch, &e->files.heap);
    policy_errors_open(&r->errors, &e->files.heap, 0);
    e->ask.trace = watched_trace(&r->watched, &e->watch);
    e->load.trace = e->with.trace = e->ask.trace != NULL;
    e->load.times = &module, e->with.times = &query;
    e->ask.arg = &r->watched;
    e->ask.builtin_error = e->show_builtin_errors ? keep_error : NULL;
    bundle_load_options(&e->files, &e->load);
    r->rc = policy_load(e->files.sources, e->files.count, &e->load, &r->program, &r->errors);
    if (!r->rc)
        r->rc =
            policy_prepare_with(r->program, str_from_c(e->query), &e->with, &r->query, &r->errors);
    if (!r->rc) r->rc = policy_evaluator_open(&r->evaluator, (size_t)4 << 30);
    u64 from = steady_ns();
    if (e->timeout_ns)
        e->ask.limits.deadline_ns = from + e->timeout_ns, e->ask.clock_ns = steady_ns;
    if (!r->rc && (r->rc = policy_ask(r->evaluator, r->query, &e->ask, &r->answer, &error)))
        (void)policy_error_add(&r->errors, error.code, &error.at, "%.*s", STR(error.message));
    put_times(e, &r->watched, &module, &query, steady_ns() - from, r->answer.steps);
    watched_finish(&r->watched, &e->watch, &e->files.heap);
    for (u32 i = 0; i < r->watched.builtin_errors.count; i++) {
        const struct policy_error *told = r->watched.builtin_errors.items + i;
        (void)policy_error_add(&r->errors, told->code, &told->at, "%.*s", STR(told->message));
    }
}

static void round_close(struct round *r) {
    watched_close(&r->watched);
    policy_evaluator_close(r->evaluator);
    policy_query_drop(r->query);
    policy_drop(r->program);
}

/* The first round is shown; the others add their times. */
static int ask_rounds(struct eval *e) {
    struct watched *all = calloc((size_t)e->count, sizeof *all);
    struct query_text texts = {.count = 0};
    struct round first, other;
    if (!all) return EXIT_ERROR;
    round_run(e, &first);
    all[0] = first.watched;
    u32 rounds = 1;
    for (; !first.rc && rounds < (u64)e->count; rounds++) {
        round_run(e, &other);
        all[rounds] = other.watched;
        round_close(&other);
    }
    read_texts(&e->files.heap, str_from_c(e->query), &e->with.parse, &texts);
    struct shown s = {.watch = &e->watch,
                      .watched = &first.watched,
                      .answer = first.rc ? NULL : &first.answer,
                      .texts = &texts,
                      .errors = &first.errors,
                      .sources = e->files.sources,
                      .source_count = e->files.count,
                      .parse = &e->load.parse,
                      .pretty_limit = e->pretty_limit,
                      .rounds = all,
                      .round_count = rounds};
    bool ok = show(&s, e->format);
    e->defined = !first.rc && first.answer.count > 0;
    int status = first.rc || !ok ? EXIT_ERROR : 0;
    round_close(&first);
    free(all);
    return status;
}

/* ---- What the question is asked with ---- */

static bool read_query(struct eval *e) {
    if (!e->query_from_stdin) return true;
    if (!file_read("-", &e->query_text)) return false;
    e->query = e->query_text.ptr;
    return true;
}

static bool read_rest(struct eval *e) {
    struct heap *h = &e->files.heap;
    u64 from = steady_ns();
    e->with.parse = (struct parse_options){.version = e->load.parse.version};
    bool ok = !e->input || value_of_file(h, e->input, &e->ask.input);
    e->input_ns = steady_ns() - from;
    return ok && (!e->schema || schemas_load(h, e->schema, &e->load.compile.schemas)) &&
           (!e->capabilities ||
            capabilities_load(h, e->capabilities, &e->load.compile.capabilities)) &&
           read_query(e) && query_scope_read(&e->scope, h, &e->with);
}

/* --partial: what is left of the query. */
static int ask_partial(struct eval *e) {
    struct policy_errors errors;
    struct policy_program *program = NULL;
    struct heap *h = &e->files.heap;
    policy_errors_open(&errors, h, 0);
    e->left.unknowns = e->left.unknown_count ? e->unknowns : NULL;
    e->left.disabled = e->disabled;
    e->left.parse = e->with.parse, e->left.package = e->with.package;
    e->left.imports = e->with.imports, e->left.import_count = e->with.import_count;
    if (e->timeout_ns)
        e->ask.limits.deadline_ns = steady_ns() + e->timeout_ns, e->ask.clock_ns = steady_ns;
    rc_t rc = policy_load(e->files.sources, e->files.count, &e->load, &program, &errors);
    if (!rc)
        rc = partial_print(program, e->query, &e->ask, &e->left, e->format, &errors, &e->defined);
    policy_drop(program);
    if (rc && !strcmp(e->format, "json")) {
        struct value_builder b;
        value_builder_open(&b, h, VALUE_OBJECT);
        value_builder_replace(&b, value_string_c(h, "errors"), policy_errors_json(h, &errors));
        value_print(value_builder_close(&b), JSON_TEXT_INDENT);
    } else if (rc) {
        errors_print(&errors);
    }
    return rc ? EXIT_ERROR : 0;
}

static int eval(struct eval *e) {
    if (!read_rest(e)) return EXIT_ERROR;
    e->optimize.version = e->load.parse.version, e->optimize.capabilities = e->capabilities;
    e->files.bundles = e->bundle_given;
    if (e->optimize.level > 0 && (e->data_given || e->bundle_given) &&
        !bundle_optimize(&e->files, &e->optimize))
        return EXIT_ERROR;
    e->ask.data = e->files.data;
    e->ask.now_ns = e->ask.seed = wall_ns();
    e->ask.print = print_message;
    http_allow(&e->ask, e->load.compile.capabilities);
    int status = e->partial ? ask_partial(e) : ask_rounds(e);
    if (!status && ((e->fail && !e->defined) || (e->fail_defined && e->defined))) status = EXIT_NO;
    return status;
}

/* ---- Options ---- */

enum { DATA, INPUT, FORMAT, STDIN_INPUT, STDIN_QUERY, FAIL, FAIL_DEFINED, STRICT, STRICT_ERRORS,
       SHOW_ERRORS, EXPLAIN, VAR_VALUES, PROFILE, PROFILE_SORT, PROFILE_LIMIT, COVERAGE, METRICS,
       INSTRUMENT, COUNT, TIMEOUT, PRETTY_LIMIT, SCHEMA, CAPABILITIES, PACKAGE, IMPORT, BUNDLE,
       IGNORE, TARGET, NO_INDEX, NO_EARLY_EXIT, V0, V1, PARTIAL, UNKNOWNS, NO_INLINING, SHALLOW,
       NONDETERMINISTIC, OPTIMIZE, ENTRYPOINT, STORE, HELP };
static const struct option_spec specs[] = {
    [DATA] = {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
    [INPUT] = {"input", 'i', false, "the input: a JSON or YAML file"},
    [FORMAT] = {"format", 'f', false, "json, pretty, values, bindings, raw, discard or source"},
    [STDIN_INPUT] = {"stdin-input", 'I', true, "read the input from stdin"},
    [STDIN_QUERY] = {"stdin", 0, true, "read the query from stdin"},
    [FAIL] = {"fail", 0, true, "status 1 when there is no answer"},
    [FAIL_DEFINED] = {"fail-defined", 0, true, "status 1 when there is one"},
    [STRICT] = {"strict", 'S', true, "the compiler's strict mode"},
    [STRICT_ERRORS] = {"strict-builtin-errors", 0, true, "an error of a builtin ends the question"},
    [SHOW_ERRORS] = {"show-builtin-errors", 0, true, "show every error of a builtin"},
    [EXPLAIN] = {"explain", 0, false, "off, full, notes, fails or debug"},
    [VAR_VALUES] = {"var-values", 0, true, "show what variables hold in explanations"},
    [PROFILE] = {"profile", 0, true, "time per line"},
    [PROFILE_SORT] = {"profile-sort", 0, false,
                      "total_time_ns, num_eval, num_redo, num_gen_expr, file, line"},
    [PROFILE_LIMIT] = {"profile-limit", 0, false, "lines shown (default 10)"},
    [COVERAGE] = {"coverage", 0, true, "which lines were evaluated"},
    [METRICS] = {"metrics", 0, true, "how long the parts of the work took"},
    [INSTRUMENT] = {"instrument", 0, true, "metrics, and what the machine counted"},
    [COUNT] = {"count", 0, false, "how often to load and ask; times are summed up"},
    [TIMEOUT] = {"timeout", 0, false, "how long it may take, as 5s"},
    [PRETTY_LIMIT] = {"pretty-limit", 0, false, "bytes of a value shown in tables (default 80)"},
    [SCHEMA] = {"schema", 's', false, "a JSON schema of the input, or a folder of schemas"},
    [CAPABILITIES] = {"capabilities", 0, false, "a capabilities file, or a version"},
    [PACKAGE] = {"package", 0, false, "ask as if in this package"},
    [IMPORT] = {"import", 0, false, "an import of the query; may be given more than once"},
    [BUNDLE] = {"bundle", 'b', false,
                "a bundle: an archive or a folder; may be given more than once"},
    [IGNORE] = {"ignore", 0, false, "names of files and folders to leave out: patterns"},
    [TARGET] = {"target", 't', false, "rego; wasm is another machine's"},
    [NO_INDEX] = {"disable-indexing", 0, true, "accepted; the answer is the same"},
    [NO_EARLY_EXIT] = {"disable-early-exit", 0, true, "accepted; the answer is the same"},
    [V0] = {"v0-compatible", 0, true, "policies are Rego v0"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
    [PARTIAL] = {"partial", 'p', true, "what is left of the query when something is unknown"},
    [UNKNOWNS] = {"unknowns", 'u', false, "refs that are unknown, with --partial (default input)"},
    [NO_INLINING] = {"disable-inlining", 0, false, "refs of rules that stay rules"},
    [SHALLOW] = {"shallow-inlining", 0, true, "put in place only what is known in whole"},
    [NONDETERMINISTIC] = {"nondeterminstic-builtins", 0, true, "call time.now_ns and the like now"},
    [OPTIMIZE] = {"optimize", 'O', false,
                  "0 (default): as written; 1, 2: entrypoints evaluated in advance"},
    [ENTRYPOINT] = {"entrypoint", 'e', false,
                    "a/b/rule to be optimized; may be given more than once"},
    [STORE] = {"optimize-store-for-read-speed", 0, true, "accepted; it always is"},
    [HELP] = {"help", 'h', true, "this text"},
};

static bool add_path(struct eval *e, const char *path, bool bundle) {
    u64 from = steady_ns();
    e->files.bundles = bundle;
    e->data_given |= !bundle, e->bundle_given |= bundle;
    bool ok = bundle_add(&e->files, path);
    e->load_files_ns += steady_ns() - from;
    return ok;
}

static bool number_read(const char *text, s64 least, s64 *out) {
    return str_to_s64(str_from_c(text), out) == RC_OK && *out >= least;
}

/* Each must be a ref, as "input.user". */
static bool add_unknowns(struct eval *e, const char *text) {
    struct policy_errors errors;
    struct ast_term *term;
    u32 from = e->left.unknown_count;
    policy_errors_open(&errors, &e->files.heap, 1);
    if (!option_list(e->unknowns, LIST_MAX, &e->left.unknown_count, text)) return false;
    for (u32 i = from; i < e->left.unknown_count; i++)
        if (parse_term(&e->files.heap, e->unknowns[i], &e->load.parse, &term, &errors) ||
            (term->kind != AST_REF && term->kind != AST_VAR)) {
            (void)option_wrong("--unknowns",
                               "specify string with one or more --unknowns: input.user, data.x");
            return false;
        }
    return true;
}

static bool known_format(const char *v) {
    static const char *const formats[] = {"json", "pretty", "values", "bindings", "raw", "discard",
                                          "source"};
    for (u32 i = 0; i < ARRAY_LEN(formats); i++)
        if (!strcmp(v, formats[i])) return true;
    return false;
}

static bool watch_option(struct watch *w, int o, const char *v, bool on) {
    switch (o) {
    case EXPLAIN: return policy_explain_of(str_from_c(v), &w->explain);
    case VAR_VALUES: w->variables = on; return true;
    case PROFILE: w->profile = w->metrics = on; return true;
    case PROFILE_SORT:
        w->profile = w->metrics = true;
        if (w->profile_sort_count < PROFILE_KEYS_MAX) w->profile_sort[w->profile_sort_count++] = v;
        return true;
    case PROFILE_LIMIT:
        w->profile = w->metrics = true;
        return number_read(v, -1, &w->profile_limit);
    case COVERAGE: w->coverage = on; return true;
    case METRICS: w->metrics = on; return true;
    case INSTRUMENT: w->instrument = w->metrics = on; return true;
    default: return false;
    }
}

static bool option(struct eval *e, int o, const char *v) {
    bool on = !v || strcmp(v, "false");
    switch (o) {
    case DATA: return add_path(e, v, false);
    case BUNDLE: return add_path(e, v, true);
    case IGNORE: return bundle_ignore(&e->files, v);
    case INPUT: e->input = v; return true;
    case FORMAT: e->format = v; return known_format(v);
    case STDIN_INPUT: e->input = on ? "-" : NULL; return true;
    case STDIN_QUERY: e->query_from_stdin = on; return true;
    case FAIL: e->fail = on; return true;
    case FAIL_DEFINED: e->fail_defined = on; return true;
    case STRICT: e->load.compile.strict = on; return true;
    case STRICT_ERRORS: e->ask.strict_errors = on; return true;
    case SHOW_ERRORS: e->show_builtin_errors = on; return true;
    case COUNT: return number_read(v, 1, &e->count);
    case TIMEOUT: return option_duration(v, &e->timeout_ns);
    case PRETTY_LIMIT: return number_read(v, 0, &e->pretty_limit);
    case SCHEMA: e->schema = v; return true;
    case CAPABILITIES: e->capabilities = v; return true;
    case PACKAGE: e->scope.package = v; return true;
    case IMPORT: return query_scope_import(&e->scope, v);
    case PARTIAL: e->partial = on; return true;
    case UNKNOWNS: return add_unknowns(e, v);
    case NO_INLINING: return option_list(e->disabled, LIST_MAX, &e->left.disabled_count, v);
    case SHALLOW: e->left.shallow = on; return true;
    case NONDETERMINISTIC: e->left.nondeterministic = on; return true;
    case TARGET: return option_target(v);
    case OPTIMIZE: return number_read(v, 0, &e->optimize.level);
    case ENTRYPOINT:
        return e->optimize.entrypoints.count < BUILD_LIST_MAX &&
               (e->optimize.entrypoints.items[e->optimize.entrypoints.count++] = v);
    case NO_INDEX:
    case NO_EARLY_EXIT:
    case STORE:
    case V1: return true;
    case V0: e->load.parse.version = on ? REGO_V0 : REGO_V1; return true;
    case OPTION_PLAIN:
        if (e->query) return false;
        e->query = v;
        return true;
    default: return watch_option(&e->watch, o, v, on);
    }
}

/* As the reference says what does not go together. */
static const char *contradiction(const struct eval *e) {
    if (e->query && e->query_from_stdin) return "specify query argument or --stdin but not both";
    if (!e->query && !e->query_from_stdin) return "specify query argument or --stdin";
    if (e->query_from_stdin && e->input && !strcmp(e->input, "-"))
        return "specify --stdin or --stdin-input but not both";
    if (e->fail && e->fail_defined) return "specify --fail or --fail-defined but not both";
    bool whole = !strcmp(e->format, "pretty") || !strcmp(e->format, "json");
    if (!strcmp(e->format, "source") && !e->partial) return "invalid output format for evaluation";
    if (e->partial && !whole && strcmp(e->format, "source"))
        return "invalid output format for partial evaluation";
    if (e->optimize.level > 0 && e->data_given && e->bundle_given)
        return "specify either --data or --bundle flag with optimization level greater than 0";
    if (e->show_builtin_errors && e->ask.strict_errors)
        return "cannot use --show-builtin-errors with --strict-builtin-errors, "
               "--strict-builtin-errors will return the first built-in error encountered "
               "immediately";
    return NULL;
}

static int run(int argc, char **argv) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct eval e = {.format = "json", .count = 1, .pretty_limit = PRETTY_WIDTH,
                     .watch.profile_limit = PROFILE_ROWS};
    const char *v, *wrong = NULL;
    bool ok = true;
    bundle_open(&e.files);
    e.load.compile.keep_print = e.load.parse.annotations = true;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) ok = option(&e, o, v);
    if (ok && (wrong = contradiction(&e))) (void)option_wrong(wrong, "");
    int status = ok && !wrong ? eval(&e) : usage_of(&eval_verb, specs, ARRAY_LEN(specs));
    free((char *)e.query_text.ptr);
    bundle_close(&e.files);
    return status;
}

const struct verb eval_verb = {"eval", "[OPTIONS] QUERY", "ask a query", run};
