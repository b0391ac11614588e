/* SPDX-License-Identifier: Apache-2.0 */
/* test.c — opctl policy test: asks every rule named test_* and counts what holds.
 *
 *   file.rego:
 *   data.pkg.test_x: PASS (1.2µs)       only with -v; FAIL and ERROR always
 *   -----...
 *   PASS: 3/4
 *   FAIL: 1/4
 *
 * A test passes when its rule is true, fails when it is false or undefined. todo_test_* is skipped.
 * Exit status 2 when one fails, 1 when nothing could be asked. */
#include <stdlib.h>
#include "app/policy/regex/regex.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { EXIT_FAILED = 2, TIMEOUT_S = 5 };
enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP, VERDICT_ERROR };

struct tests {
    struct bundle files;
    struct policy_load_options load;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct regex *wanted; /* NULL: all */
    bool verbose, json;
    u64 timeout_ns;
    str last_file;
    struct buf output; /* what the current test printed */
    struct value_builder report;
    u32 counts[4];
    bool any_line;
};

static bool go_on(void *arg, u32 steps) {
    (void)arg, (void)steps;
    return true;
}

/* As the reference's language writes durations. */
static void put_duration(char *to, size_t room, u64 ns) {
    static const struct {
        u64 unit;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    u32 i = 0;
    while (i < 3 && ns < units[i].unit) i++;
    int n = snprintf(to, room, "%.9f", (double)ns / (double)units[i].unit);
    while (n && to[n - 1] == '0') n--;
    if (n && to[n - 1] == '.') n--;
    snprintf(to + n, room - (size_t)n, "%s", units[i].name);
}

static void keep_print(void *arg, const struct ast_location *at, str message) {
    struct tests *t = arg;
    (void)at;
    rc_t rc = buf_add(&t->output, message);
    if (!rc) rc = buf_add(&t->output, S("\n"));
    (void)rc; /* what does not fit is not shown */
}

static void put_member(struct heap *h, struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(h, name), v);
}

static void report_json(struct tests *t, const struct ast_rule *r, str package, str name,
                        enum verdict verdict, u64 ns, const struct policy_error *error) {
    struct heap *h = &t->files.heap;
    struct value_builder b, at;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_open(&at, h, VALUE_OBJECT);
    put_member(h, &at, "file", value_string(h, r->at.file->name));
    put_member(h, &at, "row", value_integer(r->at.row));
    put_member(h, &at, "col", value_integer(r->at.column));
    put_member(h, &b, "location", value_builder_close(&at));
    put_member(h, &b, "package", value_string(h, package));
    put_member(h, &b, "name", value_string(h, name));
    put_member(h, &b, "duration", value_integer((s64)ns));
    if (verdict == VERDICT_FAIL) put_member(h, &b, "fail", value_boolean(true));
    if (verdict == VERDICT_SKIP) put_member(h, &b, "skip", value_boolean(true));
    if (verdict == VERDICT_ERROR) {
        value_builder_open(&at, h, VALUE_OBJECT);
        put_member(h, &at, "code", value_string_c(h, policy_code_name(error->code)));
        put_member(h, &at, "message", value_string(h, error->message));
        put_member(h, &b, "error", value_builder_close(&at));
    }
    if (t->output.len) put_member(h, &b, "output", value_string(h, buf_str(&t->output)));
    value_builder_add(&t->report, value_builder_close(&b));
}

static void report_text(struct tests *t, const struct ast_rule *r, str package, str name,
                        enum verdict verdict, u64 ns, const struct policy_error *error) {
    static const char *const words[] = {"PASS", "FAIL", "SKIPPED", "ERROR"};
    char took[48] = "";
    if (verdict == VERDICT_PASS && !t->verbose) return;
    if (!str_eq(t->last_file, r->at.file->name)) {
        printf("%s%.*s:\n", t->last_file.len ? "\n" : "", STR(r->at.file->name));
        t->last_file = r->at.file->name;
    }
    t->any_line = true;
    put_duration(took, sizeof took, ns);
    if (verdict == VERDICT_SKIP)
        printf("%.*s.%.*s: SKIPPED\n", STR(package), STR(name));
    else
        printf("%.*s.%.*s: %s (%s)\n", STR(package), STR(name), words[verdict], took);
    if (t->output.len) {
        str rest = str_trim(buf_str(&t->output)), line;
        putchar('\n');
        while (str_split(&rest, '\n', &line)) printf("  %.*s\n", STR(line));
        puts("\n");
    }
    if (verdict == VERDICT_ERROR)
        printf("  %s: %.*s\n", policy_code_name(error->code), STR(error->message));
}

static enum verdict ask(struct tests *t, const struct ast_term *ref, u64 *ns,
                        struct policy_error *error) {
    struct policy_ask ask = {.data = t->files.data,
                             .now_ns = wall_ns(),
                             .seed = wall_ns(),
                             .print = keep_print,
                             .arg = t,
                             .clock_ns = steady_ns};
    struct policy_errors errors;
    struct policy_query *query;
    struct buf path;
    value result;
    u64 from = steady_ns();
    ask.limits.deadline_ns = from + t->timeout_ns;
    http_allow(&ask);
    buf_open(&path, 1 << 16);
    ast_term_write(&path, ref);
    policy_errors_open(&errors, &t->files.heap, 1);
    rc_t rc = policy_prepare(t->program, buf_str(&path), &query, &errors);
    buf_close(&path);
    if (rc) {
        if (errors.count) *error = errors.items[0];
        return VERDICT_ERROR;
    }
    struct policy_answer answer;
    rc = policy_ask(t->evaluator, query, &ask, &answer, error);
    *ns = steady_ns() - from;
    result = !rc && answer.count && value_count(answer.results[0].expressions)
                 ? value_item(answer.results[0].expressions, 0)
                 : UNDEFINED;
    policy_query_drop(query);
    if (rc) return VERDICT_ERROR;
    return value_defined(result) && !value_is_false(result) ? VERDICT_PASS : VERDICT_FAIL;
}

static void run_test(struct tests *t, const struct ast_module *m, const struct ast_rule *r) {
    struct policy_error error = {0};
    const struct ast_term *ref = r->head->ref, *last = ref->terms[ref->count - 1];
    struct buf package, full;
    u64 ns = 0;
    if (ref->count <= m->package->count || last->kind != AST_STRING) return;
    str name = value_str(last->scalar);
    bool skip = str_starts(name, S("todo_test_"));
    if (!skip && !str_starts(name, S("test_"))) return;
    buf_open(&package, 1 << 16);
    buf_open(&full, 1 << 16);
    ast_term_write(&package, m->package);
    ast_term_write(&full, ref);
    bool wanted = !t->wanted ||
                  regex_match(t->wanted, buf_str(&full), (struct regex_work){go_on, NULL}) == RC_OK;
    if (wanted) {
        buf_clear(&t->output);
        enum verdict verdict = skip ? VERDICT_SKIP : ask(t, ref, &ns, &error);
        t->counts[verdict]++;
        if (t->json)
            report_json(t, r, buf_str(&package), name, verdict, ns, &error);
        else
            report_text(t, r, buf_str(&package), name, verdict, ns, &error);
    }
    buf_close(&package);
    buf_close(&full);
}

static bool same_ref_before(const struct ast_module *m, u32 at) {
    for (u32 i = 0; i < at; i++)
        if (ast_term_compare(m->rules[i]->head->ref, m->rules[at]->head->ref) == 0) return true;
    return false;
}

static int run_all(struct tests *t) {
    struct policy_errors errors;
    policy_errors_open(&errors, &t->files.heap, 0);
    bundle_load_options(&t->files, &t->load);
    if (policy_load(t->files.sources, t->files.count, &t->load, &t->program, &errors)) {
        errors_print(&errors);
        return EXIT_NO;
    }
    const struct compiled *c = policy_compiled(t->program);
    for (u32 i = 0; i < c->module_count; i++)
        for (u32 j = 0; j < c->modules[i]->rule_count; j++)
            if (!same_ref_before(c->modules[i], j))
                run_test(t, c->modules[i], c->modules[i]->rules[j]);
    if (t->json)
        value_print(value_builder_close(&t->report), JSON_TEXT_INDENT);
    else {
        static const char *const words[] = {"PASS", "FAIL", "SKIPPED", "ERROR"};
        u32 total = t->counts[0] + t->counts[1] + t->counts[2] + t->counts[3];
        if (t->any_line)
            printf(
                "%.80s\n",
                "--------------------------------------------------------------------------------");
        for (int i = 0; i < 4; i++)
            if (t->counts[i]) printf("%s: %u/%u\n", words[i], t->counts[i], total);
    }
    policy_drop(t->program);
    return t->counts[VERDICT_FAIL] || t->counts[VERDICT_ERROR] ? EXIT_FAILED : 0;
}

static bool set_filter(struct tests *t, const char *pattern) {
    struct buf why;
    buf_open(&why, 4096);
    bool ok = regex_open(&t->wanted, str_from_c(pattern), &why) == RC_OK;
    if (!ok) fprintf(stderr, "opctl: --run: %.*s\n", STR(buf_str(&why)));
    buf_close(&why);
    return ok;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"verbose", 'v', true, "name the tests that pass, too"},
        {"run", 'r', false, "only tests whose full name matches this expression"},
        {"format", 'f', false, "pretty or json"},
        {"timeout", 't', false, "seconds one test may take (default 5)"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
        {"bundle", 'b', true, "the paths are bundles: archives or folders"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct tests t = {.timeout_ns = TIMEOUT_S * NS_PER_S,
                      .load.compile.keep_print = true,
                      .load.parse.annotations = true};
    const char *v;
    bool ok = true, any = false;
    bool packages = option_is_given(specs, ARRAY_LEN(specs), argc, argv, "bundle");
    bundle_open(&t.files);
    t.files.bundles = packages;
    buf_open(&t.output, 1 << 20);
    value_builder_open(&t.report, &t.files.heap, VALUE_ARRAY);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0)
            t.verbose = on;
        else if (o == 1)
            ok = set_filter(&t, v);
        else if (o == 2)
            t.json = !strcmp(v, "json");
        else if (o == 3)
            t.timeout_ns = (u64)(strtod(v, NULL) * 1e9);
        else if (o == 4)
            t.load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == 6)
            continue; /* seen above */
        else if (o == OPTION_PLAIN)
            any = true, ok = bundle_add(&t.files, v);
        else
            ok = false;
    }
    int status = EXIT_NO;
    if (!ok || !any)
        usage_of(&test_verb, specs, ARRAY_LEN(specs));
    else if (policy_evaluator_open(&t.evaluator, (size_t)4 << 30) == RC_OK) {
        status = run_all(&t);
        policy_evaluator_close(t.evaluator);
    }
    if (t.wanted) regex_close(t.wanted);
    buf_close(&t.output);
    bundle_close(&t.files);
    return status;
}

const struct verb test_verb = {"test", "[OPTIONS] PATH...", "run the rules named test_*", run};
