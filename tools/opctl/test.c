/* SPDX-License-Identifier: Apache-2.0 */
/* test.c — opctl policy test: asks every rule named test_* and counts what holds. todo_test_* is
 * skipped. Two tests of one name are two tests: test_x, test_x#01.
 *
 * Exit status 2 when one fails or is skipped (-z: skipped ones do not count) or the coverage is
 * less than wanted; 1 when nothing could be asked. */
#include <stdlib.h>
#include "tools/opctl/test.h"

enum { TIMEOUT_S = 5, BENCH_TIMEOUT_S = 30 };

static bool go_on(void *arg, u32 steps) {
    (void)arg, (void)steps;
    return true;
}

static str text_of(struct heap *h, const struct ast_term *ref) {
    struct buf b;
    buf_open(&b, 1 << 16);
    ast_term_write(&b, ref);
    value kept = value_string(h, buf_str(&b));
    buf_close(&b);
    return kept.kind == VALUE_STRING ? value_str(kept) : S("");
}

/* Where the test's own name ends in its rule's ref; 0: the rule is no test. */
static u32 name_end(const struct ast_module *m, const struct ast_rule *r, bool *skip) {
    const struct ast_term *ref = r->head->ref;
    for (u32 i = m->package->count; i < ref->count && ref->terms[i]->kind == AST_STRING; i++) {
        str name = value_str(ref->terms[i]->scalar);
        *skip = str_starts(name, S("todo_test_"));
        if (*skip || str_starts(name, S("test_"))) return i + 1;
    }
    return 0;
}

/* "a.test_x", as the reference writes a ref below its package. */
static str name_below(struct heap *h, const struct ast_module *m, struct ast_term ref) {
    struct ast_term own = ref, first = *ref.terms[m->package->count];
    struct ast_term *terms[64];
    u32 count = MIN(ref.count - m->package->count, (u32)ARRAY_LEN(terms));
    for (u32 i = 0; i < count; i++) terms[i] = ref.terms[m->package->count + i];
    first.kind = AST_VAR, first.var = value_str(ref.terms[m->package->count]->scalar);
    terms[0] = &first;
    own.terms = terms, own.count = count;
    return text_of(h, &own);
}

static bool is_wanted(const struct tests *t, const struct ast_term *ref) {
    struct heap h;
    heap_open(&h, 1 << 20);
    bool wanted = !t->wanted || regex_match(t->wanted, text_of(&h, ref),
                                            (struct regex_work){go_on, NULL}) == RC_OK;
    heap_close(&h);
    return wanted;
}

static bool keep_result(struct tests *t, const struct result *r) {
    if (t->result_count == t->result_room) {
        u32 room = t->result_room ? t->result_room * 2 : 64;
        struct result *more = realloc(t->results, room * sizeof *more);
        if (!more) return false;
        t->results = more, t->result_room = room;
    }
    t->results[t->result_count++] = *r;
    return true;
}

/* A test with cases is asked once, whatever the number of its rules. */
static bool asked_before(const struct tests *t, const struct result *r) {
    for (u32 i = t->result_count; i-- > 0;) {
        const struct result *o = t->results + i;
        if (str_eq(o->name, r->name) && str_eq(o->package, r->package)) return true;
    }
    return false;
}

static void run_rule(struct tests *t, const struct ast_module *m, const struct ast_rule *rule) {
    bool skip;
    u32 end = name_end(m, rule, &skip);
    struct ast_term ref = *rule->head->ref;
    if (!end) return;
    ref.count = end;
    if (!is_wanted(t, &ref)) return;
    struct result r = {.rule = rule, .package = text_of(&t->files.heap, m->package),
                       .name = name_below(&t->files.heap, m, ref),
                       .is_cases = rule->head->ref->count > end, .cases = UNDEFINED,
                       .steps = UNDEFINED, .verdict = VERDICT_SKIP};
    if (asked_before(t, &r)) return;
    if (!skip) test_run(t, &r);
    if (keep_result(t, &r)) test_shown(t, &r);
}

static int run_all(struct tests *t) {
    const struct compiled *c = policy_compiled(t->program);
    for (u32 i = 0; i < c->module_count; i++)
        for (u32 j = 0; j < c->modules[i]->rule_count; j++)
            run_rule(t, c->modules[i], c->modules[i]->rules[j]);
    return test_summed(t);
}

static int load_and_run(struct tests *t) {
    struct policy_errors errors;
    int status = 0;
    t->load.trace = test_is_traced(t) || t->coverage;
    t->load.compile.rewrite_tests = t->var_values;
    t->load.compile.test_cases = true;
    t->load.compile.keep_print = !t->bench;
    t->load.compile.data = t->files.data;
    bundle_load_options(&t->files, &t->load);
    policy_errors_open(&errors, &t->files.heap, t->load.compile.errors_max);
    if (policy_load(t->files.sources, t->files.count, &t->load, &t->program, &errors)) {
        errors_print(&errors);
        return EXIT_NO;
    }
    for (s64 i = 0; i < t->count && !status; i++) {
        t->result_count = 0, t->any_line = false, t->last_file = S("");
        memset(t->counts, 0, sizeof t->counts);
        status = run_all(t);
    }
    policy_drop(t->program);
    return status;
}

/* ---- Options ---- */

enum {
    VERBOSE,
    RUN,
    FORMAT,
    TIMEOUT,
    COVERAGE,
    THRESHOLD,
    EXPLAIN,
    VAR_VALUES,
    BENCH,
    BENCHMEM,
    COUNT,
    PARALLEL,
    ZERO_SKIP,
    FAIL_EMPTY,
    MAX_ERRORS,
    SCHEMA,
    CAPABILITIES,
    IGNORE,
    TARGET,
    V0,
    V1,
    BUNDLE,
    WATCH,
    HELP
};
static const struct option_spec specs[] = {
    [VERBOSE] = {"verbose", 'v', true, "name the tests that pass, too; show why others fail"},
    [RUN] = {"run", 'r', false, "only tests whose full name matches this expression"},
    [FORMAT] = {"format", 'f', false, "pretty, json, or gobench with --bench"},
    [TIMEOUT] = {"timeout", 0, false, "how long one test may take, as 5s (30s with --bench)"},
    [COVERAGE] = {"coverage", 'c', true, "report the lines evaluated, as JSON"},
    [THRESHOLD] = {"threshold", 0, false, "percent of lines below which the status is 2"},
    [EXPLAIN] = {"explain", 0, false, "fails, full, notes or debug; sets --verbose"},
    [VAR_VALUES] = {"var-values", 0, true, "show where a test failed and what variables held"},
    [BENCH] = {"bench", 0, true, "measure the tests that pass"},
    [BENCHMEM] = {"benchmem", 0, true, "with --bench: count allocations (default true)"},
    [COUNT] = {"count", 0, false, "how often all of them are run"},
    [PARALLEL] = {"parallel", 'p', false, "accepted; one at a time is quick enough"},
    [ZERO_SKIP] = {"exit-zero-on-skipped", 'z', true, "skipped tests do not count as failures"},
    [FAIL_EMPTY] = {"fail-on-empty", 0, true, "status 1 when there was no test"},
    [MAX_ERRORS] = {"max-errors", 'm', false, "how many errors are shown (default 10)"},
    [SCHEMA] = {"schema", 's', false, "a JSON schema of the input, or a folder of schemas"},
    [CAPABILITIES] = {"capabilities", 0, false, "a capabilities file, or a version"},
    [IGNORE] = {"ignore", 0, false, "names of files and folders to leave out: patterns"},
    [TARGET] = {"target", 't', false, "rego: there is no other"},
    [V0] = {"v0-compatible", 0, true, "policies are Rego v0"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
    [BUNDLE] = {"bundle", 'b', true, "the paths are bundles: archives or folders"},
    [WATCH] = {"watch", 'w', true, "run them again whenever a file changes, until interrupted"},
    [HELP] = {"help", 'h', true, "this text"},
};

static bool set_filter(struct tests *t, const char *pattern) {
    struct buf why;
    buf_open(&why, 4096);
    bool ok = regex_open(&t->wanted, str_from_c(pattern), &why) == RC_OK;
    if (!ok) fprintf(stderr, "opctl: --run: %.*s\n", STR(buf_str(&why)));
    buf_close(&why);
    return ok;
}

static bool set_format(struct tests *t, const char *v) {
    static const char *const names[] = {"pretty", "json", "gobench"};
    for (u32 i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(v, names[i])) return t->format = (enum test_format)i, true;
    return false;
}

static bool set_threshold(struct tests *t, const char *v) {
    char *end;
    t->threshold = strtod(v, &end);
    if (end != v && !*end && t->threshold >= 0 && t->threshold <= 100) return true;
    fputs("Code coverage threshold must be between 0 and 100\n", stderr);
    return false;
}

static bool number(const char *v, s64 least, s64 *out) {
    return str_to_s64(str_from_c(v), out) == RC_OK && *out >= least;
}

static bool option(struct tests *t, int o, const char *v) {
    bool on = !v || strcmp(v, "false");
    s64 n;
    switch (o) {
    case VERBOSE: t->verbose = on; return true;
    case RUN: return set_filter(t, v);
    case FORMAT: return set_format(t, v);
    case TIMEOUT: return option_duration(v, &t->timeout_ns);
    case COVERAGE: t->coverage = on; return true;
    case THRESHOLD: return set_threshold(t, v);
    case EXPLAIN:
        t->verbose = t->explain_set = true;
        return policy_explain_of(str_from_c(v), &t->explain) && t->explain != POLICY_EXPLAIN_OFF;
    case VAR_VALUES: t->var_values = on; return true;
    case BENCH: t->bench = on; return true;
    case BENCHMEM: t->benchmem = on; return true;
    case COUNT: return number(v, 1, &t->count);
    case PARALLEL: return number(v, 0, &n);
    case ZERO_SKIP: t->zero_on_skip = on; return true;
    case FAIL_EMPTY: t->fail_on_empty = on; return true;
    case MAX_ERRORS:
        if (!number(v, 0, &n)) return false;
        t->load.compile.errors_max = (u32)n, t->load.compile.all_errors = !n;
        return true;
    case SCHEMA: return schemas_load(&t->files.heap, v, &t->load.compile.schemas);
    case CAPABILITIES: return capabilities_load(&t->files.heap, v, &t->load.compile.capabilities);
    case IGNORE: return bundle_ignore(&t->files, v);
    case TARGET: return option_target(v);
    case V0: t->load.parse.version = on ? REGO_V0 : REGO_V1; return true;
    case V1:
    case WATCH:
    case BUNDLE: return true; /* seen before the paths */
    default: return false;
    }
}

static const char *contradiction(struct tests *t) {
    if (t->threshold > 0) t->coverage = true;
    if (t->format == TEST_GOBENCH && !t->bench)
        return "cannot use output format gobench without running benchmarks (--bench)";
    if (t->coverage && t->bench)
        return "coverage reporting is not supported when benchmarking tests";
    return NULL;
}

/* Options first, wherever they stand: patterns to ignore must be known before the paths. */
static bool read_options(struct tests *t, int argc, char **argv) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *v;
    for (int o; (o = option_next(&options, &v)) != OPTION_END;)
        if (o != OPTION_PLAIN && !option(t, o, v)) return false;
    return true;
}

static bool read_paths(struct tests *t, int argc, char **argv) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *v;
    bool any = false;
    for (int o; (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == OPTION_PLAIN && !bundle_add(&t->files, v)) return false;
        any |= o == OPTION_PLAIN;
    }
    return any;
}

/* `*began`: the options were good, tests were asked for. */
static int run_once(int argc, char **argv, bool *began) {
    struct tests t = {.count = 1, .benchmem = true, .load.parse.annotations = true,
                      .explain = POLICY_EXPLAIN_FAILS};
    const char *wrong = NULL;
    int status = EXIT_NO;
    bundle_open(&t.files);
    t.files.bundles = option_is_given(specs, ARRAY_LEN(specs), argc, argv, "bundle");
    buf_open(&t.output, 1 << 20);
    policy_cover_open(&t.cover, 0);
    if (!read_options(&t, argc, argv))
        status = usage_of(&test_verb, specs, ARRAY_LEN(specs)) ? EXIT_NO : 0;
    else if ((wrong = contradiction(&t)))
        fprintf(stderr, "%s\n", wrong);
    else if (!read_paths(&t, argc, argv))
        usage_of(&test_verb, specs, ARRAY_LEN(specs));
    else if (policy_evaluator_open(&t.evaluator, (size_t)4 << 30) == RC_OK) {
        *began = true;
        if (!t.timeout_ns) t.timeout_ns = (t.bench ? BENCH_TIMEOUT_S : TIMEOUT_S) * NS_PER_S;
        status = load_and_run(&t);
        policy_evaluator_close(t.evaluator);
    }
    if (t.wanted) regex_close(t.wanted);
    free(t.results);
    policy_cover_close(&t.cover);
    buf_close(&t.output);
    bundle_close(&t.files);
    return status;
}

/* `paths` has room for all arguments. */
static u32 paths_of(int argc, char **argv, char **paths) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *v;
    u32 count = 0;
    for (int o; (o = option_next(&options, &v)) != OPTION_END;)
        if (o == OPTION_PLAIN) paths[count++] = (char *)v;
    return count;
}

/* A policy that does not compile ends the first run, not those that follow. */
static int run(int argc, char **argv) {
    static const char words[] =
        "********************************************************************************\n"
        "Watching for changes ...\n";
    bool began = false;
    if (!option_is_given(specs, ARRAY_LEN(specs), argc, argv, "watch"))
        return run_once(argc, argv, &began);
    char **paths = calloc((size_t)argc + 1, sizeof *paths);
    if (!paths) return EXIT_NO;
    u32 count = paths_of(argc, argv, paths);
    u64 seen = notice_now(paths, count);
    int status = run_once(argc, argv, &began);
    bool watching = began && status != EXIT_NO;
    while (watching) {
        watching = notice_wait(paths, count, &seen, words);
        if (watching) (void)run_once(argc, argv, &began);
        else status = 0;
    }
    free(paths);
    return status;
}

const struct verb test_verb = {"test", "[OPTIONS] PATH...", "run the rules named test_*", run};
