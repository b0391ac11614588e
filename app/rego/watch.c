/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c — questions whose steps are kept: the explanation of a decision, and what each rule and
 * line of it cost.
 *
 *   POST /api/v1/rego/profile {"path": "gate/allow", "input": {...}, "count": 100}
 *
 * Live policies are compiled without watching, so that decisions pay nothing for it. The first who
 * asks why has them compiled once more, watched, beside the live ones; that program lives as long
 * as the build it belongs to. Records are bounded: what is over is left out, and said. */
#include "app/rego/watch.h"
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum {
    PROFILE_COUNT_MAX = 10000,
    PROFILE_ROWS = 100,
    PROFILE_ROWS_MAX = 1000,
    BYTES_MAX = 64 << 20
};

/* ---- The watched program ---- */

struct watch_job {
    const struct rego_state *state;
    struct policy_errors *errors;
    struct policy_program *program;
    rc_t rc;
};

static void watch_compile(void *arg) {
    struct watch_job *j = arg;
    j->rc = rego_sources_compile(j->state, NULL, true, &j->program, j->errors);
}

rc_t rego_watched(struct rego_state *s, struct policy_program **out, struct policy_errors *errors) {
    struct watch_job j = {.state = s, .errors = errors};
    struct rego_build *b = s->build;
    if (!b->watched) {
        rc_t rc = worker_run(watch_compile, &j);
        if (!rc) rc = j.rc;
        if (rc) return rc;
        if (b->watched) policy_drop(j.program); /* somebody was quicker */
        else b->watched = j.program;
    }
    *out = b->watched;
    return RC_OK;
}

rc_t rego_watched_prepare(struct rego_state *s, str text, struct policy_times *times,
                          struct policy_query **out, struct policy_errors *errors) {
    struct policy_query_options o = {.trace = true, .times = times};
    struct policy_program *program;
    rc_t rc = rego_watched(s, &program, errors);
    if (rc) return rc;
    return policy_prepare_with(program, text, &o, out, errors);
}

/* ---- Explanations: written by a worker, since there may be many steps ---- */

struct explain_job {
    struct buf *to;
    struct policy_record *record;
    enum policy_explain mode;
    bool pretty;
};

static void put_lines(struct buf *to, str text) {
    struct heap h;
    str rest = text, line;
    bool first = true;
    heap_open(&h, BYTES_MAX);
    (void)buf_add(to, S("["));
    while (rest.len && str_split(&rest, '\n', &line)) {
        if (!line.len && !rest.len) break;
        if (!first) (void)buf_add(to, S(","));
        json_text_write(to, value_string(&h, line), JSON_TEXT_ESCAPE_HTML);
        first = false;
    }
    (void)buf_add(to, S("]"));
    if (h.exhausted) to->failed = true;
    heap_close(&h);
}

static void explain_run(void *arg) {
    struct explain_job *j = arg;
    struct heap h;
    struct buf text;
    policy_record_finish(j->record, j->mode);
    if (j->pretty) {
        buf_open(&text, BYTES_MAX);
        policy_record_write(&text, j->record, false);
        put_lines(j->to, buf_str(&text));
        if (text.failed) j->to->failed = true;
        buf_close(&text);
        return;
    }
    heap_open(&h, 4 * (size_t)BYTES_MAX);
    value steps = policy_record_json(&h, j->record, POLICY_RECORD_REST);
    if (value_count(steps) < j->record->steps.count) j->record->incomplete = true;
    json_text_write(j->to, steps, JSON_TEXT_ESCAPE_HTML);
    if (h.exhausted) j->to->failed = true;
    heap_close(&h);
}

void rego_put_explanation(struct buf *to, struct policy_record *r, const struct rego_options *o) {
    struct explain_job j = {to, r, o->explain, o->pretty};
    (void)buf_add(to, S("\"explanation\":"));
    if (worker_run(explain_run, &j)) to->failed = true;
    if (r->incomplete) (void)buf_add(to, S(",\"explanation_incomplete\":true"));
}

/* ---- Figures ---- */

void rego_metric(struct rego_metrics *m, const char *name, u64 n) {
    u32 at = 0;
    while (at < m->count && strcmp(m->items[at].name, name) < 0) at++;
    if (m->count == ARRAY_LEN(m->items)) return;
    memmove(m->items + at + 1, m->items + at, (m->count - at) * sizeof *m->items);
    m->items[at].name = name, m->items[at].n = n;
    m->count++;
}

void rego_put_metrics(struct buf *to, const struct rego_metrics *m) {
    (void)buf_add(to, S("\"metrics\":{"));
    for (u32 i = 0; i < m->count; i++)
        (void)buf_printf(to, "%s\"%s\":%llu", i ? "," : "", m->items[i].name,
                         (unsigned long long)m->items[i].n);
    (void)buf_add(to, S("}"));
}

/* ---- What rules and lines cost ---- */

struct profile {
    struct request *rq;
    struct rego_state *state;
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    struct policy_cover cover;
    struct policy_ask ask;
    s64 count, limit;
    u64 total_ns, steps;
    value result;
};

static int by_cost(const void *a, const void *b) {
    const struct policy_cover_hit *x = a, *y = b;
    if (x->ns != y->ns) return x->ns < y->ns ? 1 : -1;
    return x->entered < y->entered ? 1 : x->entered > y->entered ? -1 : 0;
}

static void put_name(struct json_writer *w, const char *key, const struct ast_term *ref) {
    struct buf b;
    buf_open(&b, KIB(64));
    ast_term_write(&b, ref);
    json_text(w, key, buf_str(&b));
    buf_close(&b);
}

static void put_rule(struct json_writer *w, const struct policy_cover_hit *h) {
    json_object(w, NULL);
    put_name(w, "rule", h->rule->head->ref);
    json_text(w, "policy", h->rule->at.file ? h->rule->at.file->name : S(""));
    json_int(w, "row", h->rule->at.row);
    json_int(w, "entered", (s64)h->entered);
    json_int(w, "held", (s64)h->held);
    json_int(w, "ns", (s64)h->ns);
    json_object_end(w);
}

static void put_line(struct json_writer *w, const struct policy_cover_hit *h) {
    json_object(w, NULL);
    json_text(w, "policy", h->file->name);
    json_int(w, "row", h->row);
    if (h->at)
        json_text(w, "text",
                  str_take(str_skip(h->at->file->text, h->at->offset), MIN(h->at->len, 200u)));
    json_int(w, "evaluated", (s64)h->entered);
    json_int(w, "redone", (s64)h->redone);
    json_int(w, "failed", (s64)h->failed);
    json_int(w, "expressions", __builtin_popcountll(h->exprs));
    json_int(w, "ns", (s64)h->ns);
    json_object_end(w);
}

static void put_hits(struct json_writer *w, const struct profile *p, bool rules) {
    s64 shown = 0;
    json_array(w, rules ? "rules" : "lines");
    for (u32 i = 0; i < p->cover.count && shown < p->limit; i++) {
        const struct policy_cover_hit *h = p->cover.hits + i;
        if (!!h->rule != rules || (!rules && !h->file->name.len)) continue;
        if (rules) put_rule(w, h);
        else put_line(w, h);
        shown++;
    }
    json_array_end(w);
}

static void profile_answer(struct profile *p) {
    struct json_writer w;
    struct buf result;
    buf_open(&result, BYTES_MAX);
    if (value_defined(p->result)) json_text_write(&result, p->result, 0);
    if (p->cover.count) qsort(p->cover.hits, p->cover.count, sizeof *p->cover.hits, by_cost);
    json_open(&w, BYTES_MAX);
    json_object(&w, NULL);
    if (value_defined(p->result)) json_raw(&w, "result", buf_str(&result));
    json_int(&w, "questions", p->count);
    json_int(&w, "ns", (s64)p->total_ns);
    json_int(&w, "steps", (s64)p->steps);
    put_hits(&w, p, true);
    put_hits(&w, p, false);
    json_bool(&w, "incomplete", p->cover.incomplete);
    json_object_end(&w);
    if (result.failed) rego_error(p->rq, 503, "internal_error", "the answer is too large");
    else reply_json(p->rq, 200, &w);
    json_close(&w);
    buf_close(&result);
}

static void profile_run(struct profile *p) {
    struct policy_answer a = {0};
    struct policy_error error = {0};
    rc_t rc = RC_OK;
    policy_cover_open(&p->cover, 0);
    p->cover.clock_ns = platform_clock_ns;
    rego_ask_fill(&p->ask, p->state); /* one deadline for all of them */
    p->ask.trace = &p->cover.trace;
    u64 from = platform_clock_ns();
    for (s64 i = 0; i < p->count && !rc; i++) {
        rc = policy_ask(p->evaluator, p->query, &p->ask, &a, &error);
        p->steps += a.steps;
        policy_cover_stop(&p->cover);
    }
    p->total_ns = platform_clock_ns() - from;
    p->result = !rc && a.count && value_count(a.results[0].expressions)
                    ? value_item(a.results[0].expressions, 0)
                    : UNDEFINED;
    if (rc) rego_eval_error(p->rq, rc, &error);
    else profile_answer(p);
    policy_cover_close(&p->cover);
}

static bool read_count(struct request *rq, value body, const char *name, s64 max, s64 *out) {
    value v = value_get_str(body, str_from_c(name));
    if (!value_defined(v)) return true;
    if (v.kind == VALUE_NUMBER && !v.boxed && v.integer >= 1 && v.integer <= max) {
        *out = v.integer;
        return true;
    }
    rego_error(rq, 400, "invalid_parameter", "%s must be a number from 1 to %lld", name,
               (long long)max);
    return false;
}

static void profile_prepare(struct profile *p, value body) {
    struct policy_errors errors;
    struct heap h;
    value path = value_get_str(body, S("path")), query = value_get_str(body, S("query"));
    heap_open(&h, MIB(16));
    policy_errors_open(&errors, &h, 10);
    str text = query.kind == VALUE_STRING  ? value_str(query)
               : path.kind == VALUE_STRING ? rego_path_query(&h, value_str(path))
                                           : S("");
    p->ask.input = value_get_str(body, S("input"));
    if (!text.len && h.exhausted)
        rego_rc(p->rq, RC_NO_MEMORY, NULL);
    else if (!text.len)
        rego_error(p->rq, 400, "invalid_parameter", "path or query is missing");
    else {
        rc_t rc = rego_watched_prepare(p->state, text, NULL, &p->query, &errors);
        if (rc == RC_INVALID)
            rego_errors(p->rq, "error(s) occurred while compiling query", &errors);
        else if (rc) rego_rc(p->rq, rc, NULL);
        else profile_run(p);
        if (!rc) policy_query_drop(p->query);
    }
    heap_close(&h);
}

void rego_profile(struct request *rq) {
    struct profile p = {.rq = rq, .state = rego_hold(), .count = 1, .limit = PROFILE_ROWS};
    value body;
    rc_t rc = p.state ? rego_evaluator_take(&p.evaluator) : RC_AGAIN;
    if (rc)
        rego_rc(rq, rc, NULL);
    else {
        if (rego_body_value(rq, policy_evaluator_heap(p.evaluator), &body) &&
            read_count(rq, body, "count", PROFILE_COUNT_MAX, &p.count) &&
            read_count(rq, body, "limit", PROFILE_ROWS_MAX, &p.limit))
            profile_prepare(&p, body);
        rego_evaluator_give(p.evaluator);
    }
    rego_release(p.state);
}
