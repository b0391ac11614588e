/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.c — opctl policy conformance DIR: runs the reference's own YAML cases.
 *
 * A file holds `cases`; a case has modules, data, input (or input_term: a term of the language, may
 * hold sets), a query, and what is wanted: a set of results (each an object of bindings; none:
 * undefined), or an error by code and by a part of its text. As the reference's own runner does it:
 * results are compared as sets, in the form JSON can say; `sort_bindings` sorts arrays first;
 * `strict_error` makes errors of builtins end the question. */
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include "tools/opctl/opctl.h"

struct runner {
    enum rego_version version;
    const char *filter; /* NULL: all */
    bool verbose;
    u32 passed, failed, skipped;
    struct policy_evaluator *evaluator;
};

struct test_case {
    str note, file;
    value body;
    struct heap *heap;
    char why[2048]; /* of a failure */
};

static bool flag(value c, const char *name) {
    return value_is_true(value_get_str(c, str_from_c(name)));
}

static bool wrong(struct test_case *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool wrong(struct test_case *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    return false;
}

/* ---- What was wanted ---- */

static value sorted_arrays(struct heap *h, value bindings) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(bindings); i++) {
        value v = value_value_at(bindings, i);
        if (v.kind == VALUE_ARRAY) {
            v = value_array(h, v.array->items, v.array->count);
            value_sort(h, v.array->items, v.array->count);
        }
        value_builder_replace(&b, value_key_at(bindings, i), v);
    }
    return value_builder_close(&b);
}

static bool is_generated(value name) {
    return str_starts(value_str(name), S("__localq"));
}

static value without_generated(struct heap *h, value bindings) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(bindings); i++)
        if (!is_generated(value_key_at(bindings, i)))
            value_builder_replace(&b, value_key_at(bindings, i), value_value_at(bindings, i));
    return value_builder_close(&b);
}

static bool check_result(struct test_case *t, const struct policy_answer *a, value want) {
    struct value_builder got;
    struct buf text;
    value_builder_open(&got, t->heap, VALUE_SET);
    for (u32 i = 0; i < a->count; i++) {
        value bindings = value_as_json(t->heap, a->results[i].bindings);
        if (flag(t->body, "ignore_generated_vars")) bindings = without_generated(t->heap, bindings);
        if (flag(t->body, "sort_bindings")) bindings = sorted_arrays(t->heap, bindings);
        value_builder_add(&got, bindings);
    }
    value got_set = value_builder_close(&got);
    value want_set =
        value_set(t->heap, want.kind == VALUE_ARRAY ? want.array->items : NULL, value_count(want));
    if (value_equal(got_set, want_set)) return true;
    buf_open(&text, 1 << 20);
    (void)buf_add(&text, S("\n    got  "));
    value_write(&text, got_set);
    (void)buf_add(&text, S("\n    want "));
    value_write(&text, want_set);
    wrong(t, "%.*s", STR(buf_str(&text)));
    buf_close(&text);
    return false;
}

static bool check_error(struct test_case *t, str got_code, str got_text) {
    value code = value_get_str(t->body, S("want_error_code")),
          text = value_get_str(t->body, S("want_error"));
    if (code.kind != VALUE_STRING && text.kind != VALUE_STRING)
        return wrong(t, "error: %.*s", STR(got_text));
    if (code.kind == VALUE_STRING && !str_eq(value_str(code), got_code))
        return wrong(t, "error: %.*s\n    want code %.*s", STR(got_text), STR(value_str(code)));
    if (text.kind == VALUE_STRING && str_find(got_text, value_str(text)) == got_text.len)
        return wrong(t, "error: %.*s\n    want %.*s", STR(got_text), STR(value_str(text)));
    return true;
}

static bool check_errors(struct test_case *t, const struct policy_errors *e) {
    struct buf b;
    buf_open(&b, 1 << 20);
    policy_errors_write(&b, e);
    bool ok = check_error(t, e->count ? str_from_c(policy_code_name(e->items[0].code)) : S(""),
                          buf_str(&b));
    buf_close(&b);
    return ok;
}

/* ---- Asking ---- */

static bool read_input(struct test_case *t, const struct parse_options *parse, value *out) {
    value term = value_get_str(t->body, S("input_term"));
    *out = value_get_str(t->body, S("input"));
    if (term.kind != VALUE_STRING) return true;
    struct policy_errors errors;
    struct ast_term *tree;
    policy_errors_open(&errors, t->heap, 10);
    if (parse_term(t->heap, value_str(term), parse, &tree, &errors))
        return wrong(t, "input_term cannot be read");
    *out = ast_term_value(t->heap, tree);
    return value_defined(*out) || wrong(t, "input_term is not a value");
}

static bool ask(struct runner *r, struct test_case *t, struct policy_query *q,
                const struct parse_options *parse) {
    struct policy_ask ask = {.data = value_get_str(t->body, S("data")),
                             .now_ns = wall_ns(),
                             .seed = 7,
                             .strict_errors = flag(t->body, "strict_error")};
    struct policy_answer answer;
    struct policy_error error = {0};
    value want = value_get_str(t->body, S("want_result"));
    if (ask.data.kind != VALUE_OBJECT) ask.data = value_empty_object();
    if (!read_input(t, parse, &ask.input)) return false;
    rc_t rc = policy_ask(r->evaluator, q, &ask, &answer, &error);
    if (rc) {
        struct buf b;
        buf_open(&b, 1 << 20);
        policy_error_write(&b, &error);
        bool ok = check_error(t, str_from_c(policy_code_name(error.code)), buf_str(&b));
        buf_close(&b);
        return ok;
    }
    if (!value_defined(want)) return wrong(t, "no error, but one was wanted");
    return check_result(t, &answer, want);
}

static bool run_case(struct runner *r, struct test_case *t) {
    struct policy_source sources[64];
    char names[64][24];
    struct policy_load_options load = {.parse.version = r->version,
                                       .parse.annotations = true,
                                       .compile.test_builtins = true,
                                       .parse.logical_keywords =
                                           flag(t->body, "experimental_keywords")};
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_query *query;
    value modules = value_get_str(t->body, S("modules")), text = value_get_str(t->body, S("query"));
    u32 count = value_count(modules);
    if (count > ARRAY_LEN(sources) || text.kind != VALUE_STRING) return wrong(t, "not a case");
    for (u32 i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "test-%u.rego", i);
        sources[i] =
            (struct policy_source){str_from_c(names[i]), value_str(value_item(modules, i))};
    }
    policy_errors_open(&errors, t->heap, 10);
    if (policy_load(sources, count, &load, &program, &errors)) return check_errors(t, &errors);
    bool ok;
    if (policy_prepare(program, value_str(text), &query, &errors))
        ok = check_errors(t, &errors);
    else {
        ok = ask(r, t, query, &load.parse);
        policy_query_drop(query);
    }
    policy_drop(program);
    return ok;
}

static void run_file(struct runner *r, const char *path) {
    struct heap h;
    value document;
    heap_open(&h, (size_t)1 << 30);
    if (!value_of_file(&h, path, &document)) {
        r->failed++;
        heap_close(&h);
        return;
    }
    value cases = value_get_str(document, S("cases"));
    for (u32 i = 0; i < value_count(cases); i++) {
        struct test_case t = {.body = value_item(cases, i), .heap = &h, .file = str_from_c(path)};
        value note = value_get_str(t.body, S("note"));
        if (note.kind == VALUE_STRING) t.note = value_str(note);
        bool wanted =
            !r->filter || strstr(path, r->filter) || (t.note.ptr && strstr(t.note.ptr, r->filter));
        if (!wanted) continue;
        if (run_case(r, &t)) {
            r->passed++;
            if (r->verbose) printf("PASS %s: %.*s\n", path, STR(t.note));
        } else {
            r->failed++;
            printf("FAIL %s: %.*s: %s\n", path, STR(t.note), t.why);
        }
        fflush(stdout);
    }
    heap_close(&h);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_path(struct runner *r, const char *path, int depth) {
    struct stat st;
    struct dirent **entries;
    if (stat(path, &st)) {
        perror(path);
        r->failed++;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        str name = str_from_c(path);
        if (str_ends(name, S(".yaml")) || str_ends(name, S(".yml"))) run_file(r, path);
        return;
    }
    int n = depth < 16 ? scandir(path, &entries, NULL, by_name) : -1;
    for (int i = 0; i < n; i++) {
        char below[4096];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name) < (int)sizeof below)
            run_path(r, below, depth + 1);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"rego-version", 0, false, "v0 or v1 (default: the folder's name if it is one, else v1)"},
        {"filter", 0, false, "only cases whose file or note holds this text"},
        {"verbose", 'v', true, "name the cases that pass, too"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct runner r = {.version = REGO_V1};
    const char *v, *folder = NULL, *version = NULL;
    for (int o; (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0)
            version = v;
        else if (o == 1)
            r.filter = v;
        else if (o == 2)
            r.verbose = true;
        else if (o == OPTION_PLAIN && !folder)
            folder = v;
        else
            return usage_of(&conformance_verb, specs, ARRAY_LEN(specs));
    }
    if (!folder) return usage_of(&conformance_verb, specs, ARRAY_LEN(specs));
    if (!version && (str_ends(str_from_c(folder), S("/v0")) || strstr(folder, "/v0/")))
        version = "v0";
    if (version && strcmp(version, "v0") && strcmp(version, "v1"))
        return usage_of(&conformance_verb, specs, ARRAY_LEN(specs));
    if (version && !strcmp(version, "v0")) r.version = REGO_V0;
    if (policy_evaluator_open(&r.evaluator, (size_t)1 << 30)) return EXIT_NO;
    run_path(&r, folder, 0);
    policy_evaluator_close(r.evaluator);
    printf("%u passed, %u failed, %u skipped\n", r.passed, r.failed, r.skipped);
    return r.failed ? EXIT_NO : 0;
}

const struct verb conformance_verb = {"conformance", "DIR [--rego-version v0|v1] [--filter TEXT]",
                                      "run the reference's published cases", run};
