/* SPDX-License-Identifier: Apache-2.0 */
/* advise.c — opctl policy advise: from recorded decisions, what could go (app/policy/advise.h).
 *
 *   $ opctl policy advise decisions.jsonl -d policies/
 *   1000 asked, 2026-01-01T00:00:00Z to 2026-01-31T23:59:59Z
 *   data.app.allow (app.rego:14) held for none of the decisions.
 *     edit: {"delete_lines": [12, 14], "file": "app.rego"}
 *
 * Nothing is changed. Exit status: 0; 1 with --fail when there is advice; 2 for errors. */
#include <stdlib.h>
#include "app/policy/advise.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { EXIT_ERROR = 2, DOCUMENTS_MAX = 16 };

struct advising {
    struct bundle files;
    struct policy_load_options load;
    struct policy_advise_options o;
    str documents[DOCUMENTS_MAX];
    struct policy_advisor *advisor;
    struct heap record, heap;
    u64 skipped;
    const char *format;
    bool fail;
};

static void add(void *arg, value record) {
    struct advising *w = arg;
    if (!policy_advise_add(w->advisor, record)) w->skipped++;
}

static void print_text(const struct advising *w, struct buf *b, value report) {
    value list = value_get_str(report, S("advice"));
    value from = value_get_str(report, S("from")), to = value_get_str(report, S("to"));
    (void)buf_printf(b, "%lld asked, %llu skipped",
                     (long long)value_get_str(report, S("asked")).integer,
                     (unsigned long long)w->skipped);
    if (value_defined(from))
        (void)buf_printf(b, ", %.*s to %.*s", STR(value_str(from)), STR(value_str(to)));
    if (!value_is_true(value_get_str(report, S("complete")))) (void)buf_add(b, S(", not finished"));
    (void)buf_add(b, S("\n"));
    for (u32 i = 0; i < value_count(list); i++) {
        value one = value_item(list, i);
        (void)buf_printf(b, "\n%.*s\n  evidence: ", STR(value_str(value_get_str(one, S("what")))));
        json_text_write(b, value_get_str(one, S("evidence")), 0);
        (void)buf_add(b, S("\n  edit: "));
        value edit = value_get_str(one, S("edit"));
        json_text_write(b, value_defined(edit) ? edit : value_null(), 0);
        (void)buf_add(b, S("\n"));
    }
}

static int advise(struct advising *w, str text) {
    struct policy_evaluator *e;
    struct buf out;
    if (policy_advise_open(&w->advisor, &w->o) || policy_evaluator_open(&e, (size_t)1 << 30))
        return EXIT_ERROR;
    w->skipped += records_each(&w->record, text, add, w);
    value report = policy_advise_report(w->advisor, e, &w->heap);
    buf_open(&out, (size_t)1 << 30);
    if (!strcmp(w->format, "json")) {
        json_text_write(&out, report, JSON_TEXT_INDENT);
        (void)buf_add(&out, S("\n"));
    } else
        print_text(w, &out, report);
    if (out.len) fwrite(out.ptr, 1, out.len, stdout);
    bool any = value_count(value_get_str(report, S("advice"))) > 0, whole = !out.failed;
    buf_close(&out);
    policy_evaluator_close(e);
    policy_advise_close(w->advisor);
    return !whole ? EXIT_ERROR : w->fail && any ? EXIT_NO : 0;
}

static int load_and_advise(struct advising *w, const char *path) {
    struct policy_errors errors;
    struct policy_load_options o = w->load;
    int status = EXIT_ERROR;
    str text;
    policy_errors_open(&errors, &w->files.heap, 0);
    o.parse.annotations = true;
    rc_t rc = policy_load(w->files.sources, w->files.count, &o, &w->o.plain, &errors);
    o.trace = true;
    if (!rc) rc = policy_load(w->files.sources, w->files.count, &o, &w->o.watched, &errors);
    w->o.data = w->files.data;
    if (rc) {
        policy_errors_sort(&errors);
        errors_print(&errors);
    } else if (file_read(path, &text)) {
        status = advise(w, text);
        free((char *)text.ptr);
    }
    policy_drop(w->o.plain);
    policy_drop(w->o.watched);
    return status;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policies and data: a file or folder; may be repeated"},
        {"document", 0, false,
         "role data to try, such as /app/roles; may be repeated (default: by name)"},
        {"format", 'f', false, "text (default) or json"},
        {"fail", 0, true, "status 1 when there is advice"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct advising w = {.format = "text"};
    const char *v, *file = NULL;
    bool ok = true;
    bundle_open(&w.files);
    heap_open(&w.record, (size_t)1 << 30);
    heap_open(&w.heap, (size_t)1 << 30);
    w.o.documents = w.documents;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0) ok = bundle_add(&w.files, v);
        else if (o == 1 && w.o.document_count < DOCUMENTS_MAX)
            w.documents[w.o.document_count++] = str_from_c(v);
        else if (o == 2 && (!strcmp(v, "text") || !strcmp(v, "json"))) w.format = v;
        else if (o == 3) w.fail = on;
        else if (o == 4) w.load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !file) file = v;
        else ok = false;
    }
    int status = ok && file && w.files.count ? load_and_advise(&w, file)
                                             : usage_of(&advise_verb, specs, ARRAY_LEN(specs));
    heap_close(&w.record);
    heap_close(&w.heap);
    bundle_close(&w.files);
    return status;
}

const struct verb advise_verb = {"advise", "[OPTIONS] -d POLICIES DECISIONS.jsonl",
                                 "from recorded decisions: rules, roles and grants that could go",
                                 run};
