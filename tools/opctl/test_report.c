/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c — verdicts as the reference shows them.
 *
 *   a_test.rego:3:
 *   data.a.test_x: FAIL (1.2ms)              what failed, and with -v everything
 *     one: PASS                              cases
 *   ------------
 *   FAILURES                                 with -v: the steps; with --var-values: the values
 *   ------------
 *   ...
 *   ------------
 *   PASS: 3/4
 *   FAIL: 1/4
 *
 * as JSON, a list of results; with --coverage the report on lines instead. */
#include <stdlib.h>
#include "app/policy/value/base64_text.h"
#include "tools/opctl/test.h"

enum { EXIT_FAILED = 2 };
static const char *const words[] = {"PASS", "FAIL", "SKIPPED", "ERROR"};

static void bar(void) {
    for (int i = 0; i < 80; i++) putchar('-');
    putchar('\n');
}

static void indented(str text, int by) {
    for (str rest = text, line; rest.len && str_split(&rest, '\n', &line);)
        printf("%*s%.*s\n", by, "", STR(line));
}

static void put_headline(const struct result *r) {
    struct heap h;
    heap_open(&h, 4096);
    printf("%.*s.%.*s: %s", STR(r->package), STR(r->name), words[r->verdict]);
    if (r->verdict != VERDICT_SKIP) printf(" (%.*s)", STR(duration_text(&h, r->ns)));
    heap_close(&h);
}

/* Goes through the leaves and what is around them, sorted by name. */
static bool case_holds(value v) {
    if (v.kind != VALUE_OBJECT) return value_is_true(v);
    for (u32 i = 0; i < value_count(v); i++)
        if (!case_holds(value_value_at(v, i))) return false;
    return true;
}

static void put_cases(value cases, int level, bool all) {
    for (u32 i = 0; i < value_count(cases); i++) {
        value v = value_value_at(cases, i);
        bool holds = case_holds(v);
        if (!holds || all)
            printf("  %*s%.*s: %s\n", level * 2, "", STR(value_str(value_key_at(cases, i))),
                   holds ? "PASS" : "FAIL");
        if (v.kind == VALUE_OBJECT) put_cases(v, level + 1, all);
    }
}

static void count_cases(struct tests *t, value cases) {
    for (u32 i = 0; i < value_count(cases); i++) {
        value v = value_value_at(cases, i);
        if (v.kind == VALUE_OBJECT && value_count(v)) count_cases(t, v);
        else t->counts[case_holds(v) ? VERDICT_PASS : VERDICT_FAIL]++;
    }
}

static void count(struct tests *t, const struct result *r) {
    bool cases = r->is_cases && value_count(r->cases) && r->verdict <= VERDICT_FAIL;
    if (cases) count_cases(t, r->cases);
    else t->counts[r->verdict]++;
}

static void put_bench(const struct tests *t, const struct result *r) {
    if (t->format != TEST_GOBENCH) {
        printf("%.*s.%.*s\t", STR(r->package), STR(r->name));
    } else {
        bool up = true; /* data.a.test_x is BenchmarkDataATestX */
        fputs("Benchmark", stdout);
        for (int part = 0; part < 2; part++) {
            str s = part ? r->name : r->package;
            for (size_t i = 0; i < s.len; i++) {
                bool gap = s.ptr[i] == '.' || s.ptr[i] == '_';
                if (!gap)
                    putchar(up && s.ptr[i] >= 'a' && s.ptr[i] <= 'z' ? s.ptr[i] - 32 : s.ptr[i]);
                up = gap;
            }
            up = true;
        }
        putchar('\t');
    }
    timing_write(stdout, &r->timing, t->benchmem);
    putchar('\n');
}

static void put_result(struct tests *t, const struct result *r) {
    bool pass = r->verdict == VERDICT_PASS;
    if (pass && t->bench) {
        t->any_line = true;
        put_bench(t, r);
        return;
    }
    if (pass && !t->verbose) return;
    str file = r->rule->at.file->name;
    if (t->last_file.len && !str_eq(t->last_file, file)) putchar('\n');
    t->last_file = file, t->any_line = true;
    printf("%.*s:%u:\n", STR(file), r->rule->at.row);
    put_headline(r);
    putchar('\n');
    if (r->is_cases) put_cases(r->cases, 0, t->verbose);
    if (r->output.len) {
        putchar('\n');
        indented(str_trim(r->output), 2);
        putchar('\n');
    }
    if (r->verdict == VERDICT_ERROR) {
        struct buf b;
        buf_open(&b, 1 << 20);
        policy_error_write(&b, &r->error);
        printf("  %.*s\n", STR(buf_str(&b)));
        buf_close(&b);
    }
}

void test_shown(struct tests *t, const struct result *r) {
    count(t, r);
    if (t->format != TEST_JSON && !t->coverage) put_result(t, r);
}

static void put_failures(const struct tests *t) {
    bar();
    puts("FAILURES");
    bar();
    for (u32 i = 0; i < t->result_count; i++) {
        const struct result *r = t->results + i;
        if (r->verdict != VERDICT_FAIL) continue;
        put_headline(r);
        putchar('\n');
        if (t->verbose) {
            putchar('\n');
            indented(r->trace, 2);
        }
        if (r->failed_at.len) printf("\n%.*s\n", STR(r->failed_at));
        putchar('\n');
    }
}

static void put_sums(const struct tests *t) {
    u32 total = t->counts[0] + t->counts[1] + t->counts[2] + t->counts[3];
    if (t->any_line) bar();
    for (int i = 0; i < 4; i++)
        if (t->counts[i]) printf("%s: %u/%u\n", words[i], t->counts[i], total);
}

/* ---- JSON ---- */

static void put_cases_json(struct json_out *o, value cases) {
    out_begin(o, "sub_results", '{');
    for (u32 i = 0; i < value_count(cases); i++) {
        value v = value_value_at(cases, i);
        const char *name = value_str(value_key_at(cases, i)).ptr;
        out_begin(o, name, '{');
        if (v.kind == VALUE_OBJECT && value_count(v)) put_cases_json(o, v);
        out_text(o, "name", value_str(value_key_at(cases, i)));
        if (!case_holds(v)) out_bool(o, "fail", true);
        out_end(o, '}');
    }
    out_end(o, '}');
}

static void put_base64(struct json_out *o, const char *key, str bytes) {
    char *room = value_string_room(&o->heap, BASE64_WRITE_ROOM(bytes.len));
    if (room) out_value(o, key, value_string_seal(room, base64_text_write(bytes, 0, room)));
}

static void put_json(struct json_out *o, const struct tests *t, const struct result *r) {
    out_begin(o, NULL, '{');
    if (r->verdict == VERDICT_ERROR) {
        out_begin(o, "error", '{');
        out_text(o, "code", str_from_c(policy_code_name(r->error.code)));
        out_text(o, "message", r->error.message);
        if (r->error.at.file) out_place(o, "location", &r->error.at);
        out_end(o, '}');
    }
    out_place(o, "location", &r->rule->at);
    if (t->bench && r->verdict == VERDICT_PASS) {
        out_begin(o, "benchmark_result", '{');
        out_u64(o, "N", r->timing.n);
        out_u64(o, "T", r->timing.ns);
        out_u64(o, "MemAllocs", r->timing.allocs);
        out_u64(o, "MemBytes", r->timing.bytes);
        out_end(o, '}');
    }
    if (r->is_cases && value_count(r->cases)) put_cases_json(o, r->cases);
    out_text(o, "package", r->package);
    out_text(o, "name", r->name);
    if (value_count(r->steps)) out_value(o, "trace", r->steps);
    if (r->output.len) put_base64(o, "output", r->output);
    out_u64(o, "duration", r->ns);
    if (r->verdict == VERDICT_FAIL) out_bool(o, "fail", true);
    if (r->verdict == VERDICT_SKIP) out_bool(o, "skip", true);
    out_end(o, '}');
}

static void put_all_json(const struct tests *t) {
    struct json_out o;
    out_open(&o);
    out_begin(&o, NULL, '[');
    for (u32 i = 0; i < t->result_count; i++) put_json(&o, t, t->results + i);
    out_end(&o, ']');
    (void)out_close(&o, stdout);
}

/* ---- Coverage ---- */

static void put_missed(const struct tests *t) {
    bool first = true;
    for (u32 i = 0; i < t->files.count; i++) {
        struct policy_cover_lines l;
        struct policy_errors errors;
        struct ast_module *m;
        struct heap h;
        heap_open(&h, (size_t)1 << 30);
        policy_errors_open(&errors, &h, 1);
        const struct policy_source *s = t->files.sources + i;
        bool ok = !parse_module(&h, s->name, s->text, &t->load.parse, &m, &errors) &&
                  !policy_cover_lines(&t->cover, &h, m, &l);
        for (u32 k = 0; ok && k < l.missed_count; k++) {
            if (first) fputs("\nLines not covered:", stderr);
            first = false;
            fprintf(stderr, "\n\t%.*s:%u", STR(s->name), l.missed[k].first);
            if (l.missed[k].last != l.missed[k].first) fprintf(stderr, "-%u", l.missed[k].last);
        }
        heap_close(&h);
    }
}

static int put_coverage(struct tests *t) {
    struct coverage_totals totals;
    struct json_out o;
    bool failed = false;
    for (u32 i = 0; i < t->result_count; i++)
        if (t->results[i].verdict == VERDICT_FAIL || t->results[i].verdict == VERDICT_ERROR) {
            put_result(t, t->results + i);
            failed = true;
        }
    if (failed) {
        put_sums(t);
        return EXIT_NO;
    }
    out_open(&o);
    rc_t rc = coverage_put(&o, NULL, &t->cover, t->files.sources, t->files.count, &t->load.parse,
                           &totals);
    if (!rc && coverage_percent(totals) < t->threshold) {
        buf_close(&o.to), heap_close(&o.heap);
        fprintf(stderr, "Code coverage threshold not met: got %.2f instead of %.2f",
                coverage_percent(totals), t->threshold);
        if (t->verbose) put_missed(t);
        fputs("\n", stderr);
        return EXIT_FAILED;
    }
    return out_close(&o, stdout) && !rc ? 0 : EXIT_NO;
}

int test_summed(struct tests *t) {
    if (t->coverage) {
        int status = put_coverage(t);
        if (status) return status;
    } else if (t->format == TEST_JSON) {
        put_all_json(t);
    } else {
        if (t->counts[VERDICT_FAIL] && (t->verbose || t->var_values)) put_failures(t);
        put_sums(t);
    }
    if (!t->result_count && t->fail_on_empty) {
        fputs("no tests were run\n", stderr);
        return EXIT_NO;
    }
    for (u32 i = 0; i < t->result_count; i++) {
        enum verdict v = t->results[i].verdict;
        if (v != VERDICT_PASS && !(v == VERDICT_SKIP && t->zero_on_skip)) return EXIT_FAILED;
    }
    return 0;
}
