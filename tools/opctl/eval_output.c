/* SPDX-License-Identifier: Apache-2.0 */
/* eval_output.c — an answer, and all that was asked for beside it, in the reference's formats.
 *
 *   json      {"metrics", "coverage", "errors", "result", "explanation", "profile"}: what there is
 *   pretty    the value, or a table of bindings; then tables of metrics and of the profile
 *   values    the expressions' values, an array per result
 *   bindings  the bindings, an object per result
 *   raw       values one result per line, strings without quotes
 *   discard   as json, with the word "discarded" for the result */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"
#include "tools/opctl/eval.h"

/* ---- Figures of several rounds ---- */

struct figures { u64 *n; u32 count; };

static int u64_order(const void *a, const void *b) {
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

static double mean_of(const struct figures *f) {
    double sum = 0;
    for (u32 i = 0; i < f->count; i++) sum += (double)f->n[i];
    return sum / (double)f->count;
}

/* As the reference's histograms interpolate: position p * (count + 1), from 1. */
static double percentile(const struct figures *f, double p) {
    double at = p * (double)(f->count + 1);
    if (at < 1) return (double)f->n[0];
    if (at >= (double)f->count) return (double)f->n[f->count - 1];
    u32 low = (u32)at;
    double a = (double)f->n[low - 1], b = (double)f->n[low];
    return a + (at - (double)low) * (b - a);
}

static double stat_of(const struct figures *f, const char *key) {
    if (!strcmp(key, "min")) return (double)f->n[0];
    if (!strcmp(key, "max")) return (double)f->n[f->count - 1];
    if (!strcmp(key, "mean")) return mean_of(f);
    if (!strcmp(key, "median")) return percentile(f, 0.5);
    return percentile(f, strtod(key, NULL) / 100);
}

static void put_stats(struct json_out *o, const char *key, const struct figures *f) {
    static const char *const keys[] = {"min", "max", "mean", "median", "75%", "90%", "95%", "99%",
                                       "99.9%", "99.99%"};
    out_begin(o, key, '{');
    out_u64(o, "count", f->count);
    for (u32 i = 0; i < ARRAY_LEN(keys); i++) out_double(o, keys[i], stat_of(f, keys[i]));
    out_end(o, '}');
}

static struct figures metric_figures(const struct shown *s, struct heap *h, const char *name) {
    struct figures f = {heap_alloc(h, s->round_count * sizeof(u64)), 0};
    for (u32 i = 0; f.n && i < s->round_count; i++)
        for (u32 j = 0; j < s->rounds[i].metric_count; j++)
            if (!strcmp(s->rounds[i].metric[j].name, name))
                f.n[f.count++] = s->rounds[i].metric[j].n;
    if (f.count) qsort(f.n, f.count, sizeof *f.n, u64_order);
    return f;
}

static bool same_row(const struct profile_row *a, const struct profile_row *b) {
    return a->row == b->row && str_eq(a->file, b->file);
}

static struct figures row_figures(const struct shown *s, struct heap *h,
                                  const struct profile_row *row) {
    struct figures f = {heap_alloc(h, s->round_count * sizeof(u64)), 0};
    for (u32 i = 0; f.n && i < s->round_count; i++)
        for (u32 j = 0; j < s->rounds[i].profile.count; j++)
            if (same_row(s->rounds[i].profile.rows + j, row) && f.count < s->round_count)
                f.n[f.count++] = s->rounds[i].profile.rows[j].ns;
    if (f.count) qsort(f.n, f.count, sizeof *f.n, u64_order);
    return f;
}

/* ---- JSON ---- */

static void put_metrics(struct json_out *o, const struct shown *s) {
    const struct watched *w = s->watched;
    bool several = s->round_count > 1;
    out_begin(o, several ? "aggregated_metrics" : "metrics", '{');
    for (u32 i = 0; i < w->metric_count; i++) {
        struct figures f = {0};
        if (several) f = metric_figures(s, &o->heap, w->metric[i].name);
        if (several) put_stats(o, w->metric[i].name, &f);
        else out_u64(o, w->metric[i].name, w->metric[i].n);
    }
    out_end(o, '}');
}

static void put_expression(struct json_out *o, value v, const struct ast_expr *e) {
    out_begin(o, NULL, '{');
    out_value(o, "value", v);
    if (e) {
        out_text(o, "text", str_take(str_skip(e->at.file->text, e->at.offset), e->at.len));
        out_begin(o, "location", '{');
        out_u64(o, "row", e->at.row);
        out_u64(o, "col", e->at.column);
        out_end(o, '}');
    }
    out_end(o, '}');
}

static void put_result(struct json_out *o, const struct shown *s) {
    const struct policy_answer *a = s->answer;
    out_begin(o, "result", '[');
    for (u32 i = 0; i < a->count; i++) {
        value values = a->results[i].expressions;
        out_begin(o, NULL, '{');
        out_begin(o, "expressions", '[');
        for (u32 j = 0; j < value_count(values); j++)
            put_expression(o, value_item(values, j),
                           j < s->texts->count ? s->texts->exprs[j] : NULL);
        out_end(o, ']');
        if (value_count(a->results[i].bindings)) out_value(o, "bindings", a->results[i].bindings);
        out_end(o, '}');
    }
    out_end(o, ']');
}

static void put_profile(struct json_out *o, const struct shown *s) {
    const struct profile *p = &s->watched->profile;
    bool several = s->round_count > 1;
    out_begin(o, several ? "aggregated_profile" : "profile", '[');
    for (u32 i = 0; i < p->count; i++) {
        const struct profile_row *r = p->rows + i;
        struct figures f = {0};
        if (several) f = row_figures(s, &o->heap, r);
        out_begin(o, NULL, '{');
        if (several) put_stats(o, "total_time_ns_stats", &f);
        out_begin(o, "location", '{');
        out_text(o, "file", r->file);
        out_u64(o, "row", r->row);
        out_u64(o, "col", r->column);
        out_end(o, '}');
        if (!several) out_u64(o, "total_time_ns", r->ns);
        out_u64(o, "num_eval", r->evals);
        out_u64(o, "num_redo", r->redos);
        out_u64(o, "num_gen_expr", r->exprs);
        out_end(o, '}');
    }
    out_end(o, ']');
}

static void put_steps(struct json_out *o, const struct policy_record *r) {
    value steps = policy_record_json(&o->heap, r, POLICY_RECORD_COMMAND);
    out_value(o, "explanation", steps);
    if (value_count(steps) < r->steps.count || r->incomplete)
        fprintf(stderr, "opctl: the explanation is cut: there is no room for all of its steps\n");
}

static bool show_json(const struct shown *s, bool discard) {
    struct json_out o;
    struct coverage_totals totals;
    out_open(&o);
    out_begin(&o, NULL, '{');
    if (s->watch->metrics) put_metrics(&o, s);
    if (s->watch->coverage && coverage_put(&o, "coverage", &s->watched->cover, s->sources,
                                           s->source_count, s->parse, &totals))
        o.to.failed = true;
    if (s->errors && s->errors->count) out_errors(&o, s->errors);
    if (s->answer && s->answer->count) {
        if (discard) out_text(&o, "result", S("discarded"));
        else put_result(&o, s);
    }
    if (s->watched->record.steps.count) put_steps(&o, &s->watched->record);
    if (s->watched->profile.count) put_profile(&o, s);
    out_end(&o, '}');
    return out_close(&o, stdout);
}

/* ---- For people ---- */

static str text_of(struct heap *h, value v, s64 limit) {
    struct buf b;
    buf_open(&b, (size_t)1 << 30);
    json_text_write(&b, value_as_json(h, v), JSON_TEXT_ESCAPE_HTML);
    if (limit > 0 && b.len > (u64)limit) {
        b.len = (size_t)limit;
        (void)buf_add(&b, S("..."));
    }
    value kept = value_string(h, buf_str(&b));
    buf_close(&b);
    return kept.kind == VALUE_STRING ? value_str(kept) : S("");
}

static bool all_boolean(value values) {
    for (u32 i = 0; i < value_count(values); i++)
        if (value_item(values, i).kind != VALUE_BOOLEAN) return false;
    return true;
}

/* A column per variable, and per expression whose value is more than true. */
static void print_rows(const struct shown *s) {
    const struct policy_answer *a = s->answer;
    value names = a->results[0].bindings, values = a->results[0].expressions;
    u32 columns[TABLE_COLUMNS_MAX], count = 0;
    const char *heads[TABLE_COLUMNS_MAX];
    struct table t;
    struct heap h;
    heap_open(&h, (size_t)1 << 30);
    for (u32 i = 0; i < value_count(names) && count < TABLE_COLUMNS_MAX; i++)
        columns[count] = i, heads[count++] = value_str(value_key_at(names, i)).ptr;
    u32 variables = count;
    for (u32 i = 0; i < value_count(values) && count < TABLE_COLUMNS_MAX; i++) {
        if (value_item(values, i).kind == VALUE_BOOLEAN && variables) continue;
        const struct ast_expr *e = i < s->texts->count ? s->texts->exprs[i] : NULL;
        str text = e ? str_take(str_skip(e->at.file->text, e->at.offset), e->at.len) : S("");
        value kept = value_string(&h, text);
        columns[count] = i, heads[count++] = kept.kind == VALUE_STRING ? value_str(kept).ptr : "";
    }
    table_open(&t, count);
    table_header(&t, heads);
    for (u32 i = 0; i < a->count; i++)
        for (u32 c = 0; c < count; c++) {
            value v = c < variables ? value_value_at(a->results[i].bindings, columns[c])
                                    : value_item(a->results[i].expressions, columns[c]);
            table_cell(&t, c, text_of(&h, v, s->pretty_limit));
        }
    if (count) table_print(&t, stdout);
    table_close(&t);
    heap_close(&h);
}

static void print_result(const struct shown *s) {
    const struct policy_answer *a = s->answer;
    value values = a->count ? a->results[0].expressions : UNDEFINED;
    bool plain = a->count == 1 && !value_count(a->results[0].bindings) &&
                 (value_count(values) == 1 || all_boolean(values));
    struct json_out o;
    if (!a->count)
        puts("undefined");
    else if (plain) {
        out_open(&o);
        out_value(&o, NULL, value_item(values, 0));
        (void)out_close(&o, stdout);
    } else
        print_rows(s);
}

static void number_cell(struct table *t, u32 column, double n) {
    char room[NUMBER_TEXT_ROOM];
    value v = value_number_of_double(&t->heap, n);
    table_cell(t, column, value_defined(v) ? number_text(v, room) : S("NaN"));
}

static void print_metrics(const struct shown *s) {
    static const char *const one[] = {"Metric", "Value"};
    static const char *const all[] = {"Metric", "Min", "Max", "Mean", "90%", "99%"};
    bool several = s->round_count > 1;
    struct table t;
    table_open(&t, several ? 6 : 2);
    table_header(&t, several ? all : one);
    for (u32 i = 0; i < s->watched->metric_count; i++) {
        const struct metric *m = s->watched->metric + i;
        char text[32];
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)m->n);
        table_cell(&t, 0, str_from_c(m->name));
        struct figures f = {0};
        if (several) f = metric_figures(s, &t.heap, m->name);
        static const char *const keys[] = {"min", "max", "mean", "90%", "99%"};
        for (u32 k = 0; several && k < 5; k++) number_cell(&t, k + 1, stat_of(&f, keys[k]));
        if (!several) table_cell(&t, 1, str_of(text, (size_t)n));
    }
    if (s->watched->metric_count) table_print(&t, stdout);
    table_close(&t);
}

static void count_cell(struct table *t, u32 column, u64 n) {
    char text[32];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    table_cell(t, column, str_of(text, (size_t)len));
}

static void place_cell(struct table *t, u32 column, const struct profile_row *r) {
    char text[4200];
    int n = snprintf(text, sizeof text, "%.*s:%u", STR(r->file), r->row);
    if (r->file.len) table_cell(t, column, str_of(text, MIN((size_t)n, sizeof text - 1)));
    else table_cell(t, column, r->text);
}

static void print_profile(const struct shown *s) {
    static const char *const one[] = {"Time", "Num Eval", "Num Redo", "Num Gen Expr", "Location"};
    static const char *const all[] = {"Min", "Max", "Mean", "90%", "99%",
                                      "Num Eval", "Num Redo", "Num Gen Expr", "Location"};
    static const char *const keys[] = {"min", "max", "mean", "90%", "99%"};
    bool several = s->round_count > 1;
    u32 first = several ? 5 : 1;
    struct table t;
    table_open(&t, first + 4);
    table_header(&t, several ? all : one);
    for (u32 i = 0; i < s->watched->profile.count; i++) {
        const struct profile_row *r = s->watched->profile.rows + i;
        struct figures f = {0};
        if (several) f = row_figures(s, &t.heap, r);
        for (u32 k = 0; several && k < 5; k++)
            table_cell(&t, k, duration_text(&t.heap, (u64)stat_of(&f, keys[k])));
        if (!several) table_cell(&t, 0, duration_text(&t.heap, r->ns));
        count_cell(&t, first, r->evals), count_cell(&t, first + 1, r->redos);
        count_cell(&t, first + 2, r->exprs), place_cell(&t, first + 3, r);
    }
    if (s->watched->profile.count) table_print(&t, stdout);
    table_close(&t);
}

static bool print_coverage(const struct shown *s) {
    struct json_out unseen; /* the report is made, and its sum shown */
    struct coverage_totals totals;
    struct table t;
    char text[32];
    out_open(&unseen);
    rc_t rc = coverage_put(&unseen, NULL, &s->watched->cover, s->sources, s->source_count, s->parse,
                           &totals);
    buf_close(&unseen.to), heap_close(&unseen.heap);
    int n = snprintf(text, sizeof text, "%.2f", coverage_percent(totals));
    table_open(&t, 2);
    table_cell(&t, 0, S("Overall Coverage"));
    table_cell(&t, 1, str_of(text, (size_t)n));
    table_print(&t, stdout);
    table_close(&t);
    return rc == RC_OK;
}

static bool show_pretty(const struct shown *s) {
    struct buf b;
    buf_open(&b, (size_t)1 << 30);
    if (s->watched->record.steps.count)
        policy_record_write(&b, &s->watched->record, s->watch->variables);
    if (b.len) fwrite(b.ptr, 1, b.len, stdout);
    bool ok = !b.failed;
    buf_close(&b);
    if (s->errors && s->errors->count) errors_print(s->errors);
    else if (s->answer) print_result(s);
    if (s->watch->metrics) print_metrics(s);
    if (s->watched->profile.count) print_profile(s);
    return (!s->watch->coverage || print_coverage(s)) && ok;
}

/* ---- Bare values ---- */

static bool show_lists(const struct shown *s, bool bindings) {
    bool ok = true;
    for (u32 i = 0; i < s->answer->count; i++) {
        struct json_out o;
        out_open(&o);
        out_value(&o, NULL,
                  bindings ? s->answer->results[i].bindings : s->answer->results[i].expressions);
        ok &= out_close(&o, stdout);
    }
    return ok;
}

static bool show_raw(const struct shown *s) {
    struct heap h;
    heap_open(&h, (size_t)1 << 30);
    for (u32 i = 0; i < s->answer->count; i++) {
        value values = s->answer->results[i].expressions;
        for (u32 j = 0; j < value_count(values); j++) {
            value v = value_item(values, j);
            str text = v.kind == VALUE_STRING ? value_str(v) : text_of(&h, v, 0);
            printf("%s%.*s", j ? " " : "", STR(text));
        }
        putchar('\n');
    }
    bool ok = !h.exhausted;
    heap_close(&h);
    return ok;
}

bool show(const struct shown *s, const char *format) {
    bool bare = !strcmp(format, "values") || !strcmp(format, "bindings") || !strcmp(format, "raw");
    if (bare && s->errors && s->errors->count) {
        errors_print(s->errors);
        return true;
    }
    if (!strcmp(format, "pretty")) return show_pretty(s);
    if (bare && !s->answer) return true;
    if (!strcmp(format, "values")) return show_lists(s, false);
    if (!strcmp(format, "bindings")) return show_lists(s, true);
    if (!strcmp(format, "raw")) return show_raw(s);
    return show_json(s, !strcmp(format, "discard"));
}
