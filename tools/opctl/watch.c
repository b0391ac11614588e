/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c — what is gathered beside an answer: a record of its steps, the lines it came by and what
 * they cost, times by the reference's names. */
#define _GNU_SOURCE /* qsort_r */
#include <stdlib.h>
#include "tools/opctl/eval.h"

void watched_open(struct watched *w, const struct watch *wanted, struct heap *h) {
    *w = (struct watched){0};
    policy_record_open(&w->record, 0);
    policy_cover_open(&w->cover, 0);
    if (wanted->profile) w->cover.clock_ns = steady_ns;
    policy_errors_open(&w->builtin_errors, h, 0);
}

void watched_close(struct watched *w) {
    policy_record_close(&w->record);
    policy_cover_close(&w->cover);
}

struct policy_trace *watched_trace(struct watched *w, const struct watch *wanted) {
    if (wanted->explain != POLICY_EXPLAIN_OFF) policy_tee_add(&w->tee, &w->record.trace);
    if (wanted->profile || wanted->coverage) policy_tee_add(&w->tee, &w->cover.trace);
    return w->tee.count ? &w->tee.trace : NULL;
}

void watched_metric(struct watched *w, const char *name, u64 n) {
    u32 at = 0;
    while (at < w->metric_count && strcmp(w->metric[at].name, name) < 0) at++;
    if (w->metric_count == METRICS_MAX) return;
    memmove(w->metric + at + 1, w->metric + at, (w->metric_count - at) * sizeof *w->metric);
    w->metric[at] = (struct metric){name, n};
    w->metric_count++;
}

/* ---- The profile: rows by cost ---- */

static str kept(struct heap *h, str s) {
    value v = value_string(h, s);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static int descending(u64 a, u64 b) {
    return a > b ? -1 : a < b;
}

static int by_key(const char *key, const struct profile_row *a, const struct profile_row *b) {
    if (!strcmp(key, "total_time_ns")) return descending(a->ns, b->ns);
    if (!strcmp(key, "num_eval")) return descending(a->evals, b->evals);
    if (!strcmp(key, "num_redo")) return descending(a->redos, b->redos);
    if (!strcmp(key, "num_gen_expr")) return descending(a->exprs, b->exprs);
    if (!strcmp(key, "file")) return str_cmp(b->file, a->file);
    if (!strcmp(key, "line")) return descending(a->row, b->row);
    return 0;
}

struct sort_by { const char *keys[PROFILE_KEYS_MAX + 5]; u32 count; };

static int rows_order(const void *a, const void *b, void *arg) {
    const struct sort_by *by = arg;
    int c = 0;
    for (u32 i = 0; !c && i < by->count; i++) c = by_key(by->keys[i], a, b);
    return c;
}

static void sort_rows(struct profile *p, const struct watch *wanted) {
    static const char *const usual[] = {"total_time_ns", "num_eval", "num_redo", "file", "line"};
    struct sort_by by = {.count = 0};
    for (u32 i = 0; i < wanted->profile_sort_count; i++)
        by.keys[by.count++] = wanted->profile_sort[i];
    for (u32 i = 0; i < ARRAY_LEN(usual); i++) by.keys[by.count++] = usual[i];
    if (p->count) qsort_r(p->rows, p->count, sizeof *p->rows, rows_order, &by);
    if (wanted->profile_limit > 0 && p->count > wanted->profile_limit)
        p->count = (u32)wanted->profile_limit;
}

static void make_profile(struct watched *w, const struct watch *wanted, struct heap *h) {
    struct profile *p = &w->profile;
    p->rows = heap_alloc(h, (w->cover.count + 1) * sizeof *p->rows);
    for (u32 i = 0; p->rows && i < w->cover.count; i++) {
        const struct policy_cover_hit *hit = w->cover.hits + i;
        if (hit->rule || !hit->exprs) continue;
        str text = str_take(str_skip(hit->at->file->text, hit->at->offset), hit->at->len);
        p->rows[p->count++] = (struct profile_row){.file = kept(h, hit->file->name),
                                                   .text = kept(h, text),
                                                   .row = hit->row,
                                                   .column = hit->at->column,
                                                   .ns = hit->ns,
                                                   .evals = hit->entered,
                                                   .redos = hit->redone,
                                                   .exprs = (u64)__builtin_popcountll(hit->exprs)};
    }
    sort_rows(p, wanted);
}

void watched_finish(struct watched *w, const struct watch *wanted, struct heap *h) {
    policy_cover_stop(&w->cover);
    if (wanted->explain != POLICY_EXPLAIN_OFF) policy_record_finish(&w->record, wanted->explain);
    if (wanted->profile) make_profile(w, wanted, h);
}
