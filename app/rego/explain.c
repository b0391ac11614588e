/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c — why did a decision come out so? Asked again of policies that are watched, and told in
 * sentences (app/policy/why.h).
 *
 *   POST /api/v1/rego/explain {"path": "app/allow", "input": {...}}
 *                             {"decision_id": "0190..."}      a record of the decision log
 *   -> {"path", "outcome", "result"?, "sentences": [...], "fired": [...], "nearest"?: {...}}
 *
 * The watched program is compiled from the same sources when somebody first asks, and goes with the
 * policies it was made from. Everything is done by a worker, one question at a time. What the log's
 * mask rules take out of records is shown as "(masked)"; what they took out of a record is not
 * there to be asked with. http.send is not carried out here. */
#include <stdlib.h>
#include "app/policy/why.h"
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "app/utc.h"
#include "kernel/core/fiber.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum { WAIT_S = 30, REPORT_BYTES_MAX = 16 << 20, STEPS_MAX = 20 * 1000 * 1000, DEADLINE_S = 5 };

static struct fiber_mutex explaining;

struct explain_job {
    const struct rego_state *state;
    const struct rego_state *data; /* whose base documents; NULL: the state's own */
    struct policy_program *watched; /* NULL: to be made from the state's sources */
    struct policy_why_question question;
    u64 now_ns;
    struct heap *heap;
    value report, result;
    struct policy_errors errors;
    struct policy_error error;
    bool compiled; /* it got as far as asking */
    rc_t rc;
};

static rc_t load_watched(struct explain_job *j) {
    u32 n = j->state->source_count;
    struct policy_source *sources = calloc(n + 1, sizeof *sources);
    struct policy_load_options o = {.parse = {.version = REGO_V1, .annotations = true},
                                    .trace = true, .every_rule = true};
    if (!sources) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++)
        sources[i] = (struct policy_source){j->state->sources[i].id, j->state->sources[i].text};
    rc_t rc = policy_load(sources, n, &o, &j->watched, &j->errors);
    free(sources);
    return rc;
}

static void explain_run(void *arg) {
    struct explain_job *j = arg;
    struct policy_evaluator *e = NULL;
    struct policy_ask ask = {
        .now_ns = j->now_ns,
        .seed = j->now_ns,
        .clock_ns = platform_clock_ns,
        .limits = {.steps_max = STEPS_MAX,
                   .deadline_ns = platform_clock_ns() + DEADLINE_S * NS_PER_S},
    };
    j->rc = j->watched ? RC_OK : load_watched(j);
    if (!j->rc) j->rc = policy_evaluator_open(&e, POLICY_EVALUATION_BYTES_MAX);
    if (j->rc) return;
    j->compiled = true;
    j->rc =
        policy_why(j->watched, e, &ask, &j->question, j->heap, &j->report, &j->result, &j->error);
    policy_evaluator_close(e);
}

/* Parks. The state stays held by the caller. */
static rc_t run(struct explain_job *j, struct policy_program **keep) {
    rc_t rc = fiber_mutex_lock(&explaining, platform_clock_ns() + WAIT_S * NS_PER_S);
    if (rc) return rc;
    if (keep) j->watched = *keep;
    j->question.data = document_root((j->data ? j->data : j->state)->data);
    rc = worker_run(explain_run, j);
    if (keep) *keep = j->watched;
    fiber_mutex_unlock(&explaining);
    return rc ? rc : j->rc;
}

struct work_job {
    struct explain_job load;
    struct policy_program **watched;
    void (*work)(void *arg);
    void *arg;
};

static void work_run(void *arg) {
    struct work_job *j = arg;
    j->load.rc = j->load.watched ? RC_OK : load_watched(&j->load);
    *j->watched = j->load.watched;
    if (!j->load.rc) j->work(j->arg);
}

rc_t rego_explained_run(struct rego_state *s, bool shipped, struct policy_program **watched,
                        void (*work)(void *arg), void *arg) {
    struct heap h;
    struct work_job j = {.load = {.state = s}, .watched = watched, .work = work, .arg = arg};
    rc_t rc = fiber_mutex_lock(&explaining, platform_clock_ns() + WAIT_S * NS_PER_S);
    if (rc) return rc;
    heap_open(&h, MIB(1));
    policy_errors_open(&j.load.errors, &h, 1);
    j.load.watched = shipped ? access_shipped_watched() : s->build->explained;
    rc = shipped && !j.load.watched ? RC_NO_MEMORY : worker_run(work_run, &j);
    if (!shipped) s->build->explained = j.load.watched;
    fiber_mutex_unlock(&explaining);
    heap_close(&h);
    return rc ? rc : j.load.rc;
}

/* ---- Of the appliance's own requests (app/access) ---- */

rc_t rego_explain_access(struct heap *h, struct policy_program *shipped, str path, value input,
                         value *report) {
    struct rego_state *s = rego_hold();
    struct explain_job j = {.state = s, .watched = shipped, .heap = h,
                            .now_ns = platform_wall_ns(),
                            .question = {.path = path, .input = input}};
    if (!s) return RC_AGAIN;
    policy_errors_open(&j.errors, h, 1);
    rc_t rc = run(&j, shipped ? NULL : &s->build->explained);
    *report = j.report;
    rego_release(s);
    return rc;
}

/* ---- Of what a candidate would answer otherwise ---- */

rc_t rego_explain_state(struct heap *h, struct rego_state *policies, const struct rego_state *data,
                        str path, value input, u64 now_ns, value *report) {
    struct explain_job j = {.state = policies, .data = data, .heap = h, .now_ns = now_ns,
                            .question = {.path = path, .input = input, .sentences_max = 5}};
    policy_errors_open(&j.errors, h, 1);
    rc_t rc = run(&j, &policies->build->explained);
    *report = rc ? UNDEFINED : j.report;
    return rc;
}

static value with_reports(struct heap *h, value change, value before, value after) {
    struct value_builder b, both;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_open(&both, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(change); i++)
        value_builder_replace(&b, value_key_at(change, i), value_value_at(change, i));
    value_builder_replace(&both, value_string_c(h, "before"), policy_why_short(h, before));
    value_builder_replace(&both, value_string_c(h, "after"), policy_why_short(h, after));
    value_builder_replace(&b, value_string_c(h, "explanations"), value_builder_close(&both));
    return value_builder_close(&b);
}

value rego_explain_changes(struct heap *h, struct rego_state *before, struct rego_state *after,
                           const struct rego_state *data, value changes, u64 unseen,
                           value *by_rule) {
    struct policy_groups *groups = calloc(1, sizeof *groups);
    struct value_builder list;
    *by_rule = value_empty_array();
    if (!groups) return changes;
    policy_groups_open(groups, h);
    groups->others = unseen;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(changes) && !h->exhausted; i++) {
        value c = value_item(changes, i), path = value_get_str(c, S("path")), was, is;
        value at = value_get_str(c, S("timestamp")), input = value_get_str(c, S("input"));
        u64 now = platform_wall_ns();
        if (at.kind == VALUE_STRING) (void)utc_parse(value_str(at), &now);
        /* one that cannot be explained stands there without */
        (void)rego_explain_state(h, before, data, value_str(path), input, now, &was);
        (void)rego_explain_state(h, after, data, value_str(path), input, now, &is);
        policy_groups_add(groups, was, is, value_get_str(c, S("decision_id")));
        value_builder_add(&list, with_reports(h, c, was, is));
    }
    *by_rule = policy_groups_close(groups);
    free(groups);
    return value_builder_close(&list);
}

/* ---- Of any decision ---- */

struct record { str id; struct heap *heap; value event; };

static rc_t find_record(struct record *r) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    struct diag why = {0};
    rego_decisions_flush();
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc =
        db_query(t, &rows, "SELECT record FROM rego_decision WHERE decision_id=?1", DB_TEXT(r->id));
    if (!rc) rc = db_next(rows);
    if (!rc) rc = json_text_read(r->heap, NULL, db_column_text(rows, 0), &r->event, &why);
    db_done(rows);
    db_read_end(t);
    return rc;
}

/* false: answered. */
static bool question_read(struct request *rq, struct heap *h, value body, struct explain_job *j,
                          bool *recorded) {
    value id = value_get_str(body, S("decision_id")), path = value_get_str(body, S("path"));
    *recorded = id.kind == VALUE_STRING;
    if (*recorded) {
        struct record r = {.id = value_str(id), .heap = h};
        rc_t rc = find_record(&r);
        if (rc == RC_NOT_FOUND)
            reply_problem(rq, 404, "decision_not_found", "The log has no decision %.*s.",
                          STR(str_take(r.id, 64)));
        else if (rc)
            reply_rc(rq, rc, "the decision log");
        if (rc) return false;
        body = r.event, path = value_get_str(body, S("path"));
        value at = value_get_str(body, S("timestamp"));
        if (at.kind == VALUE_STRING) (void)utc_parse(value_str(at), &j->now_ns);
    }
    if (path.kind != VALUE_STRING || !value_str(path).len || value_str(path).len > 2048) {
        reply_problem(rq, 422, "path_wanted",
                      "path: the document to explain, such as app/allow; or a decision_id.");
        return false;
    }
    j->question.path = value_str(path);
    j->question.input = value_get_str(body, S("input"));
    return true;
}

/* The input as the log would have it. */
static void mask_input(struct heap *h, struct rego_state *s, struct policy_why_question *q) {
    struct value_builder b;
    if (!value_defined(q->input) || !rego_log_looked_at(s)) return;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "path"), value_string(h, q->path));
    value_builder_replace(&b, value_string_c(h, "input"), q->input);
    value event = rego_masked(h, s, value_builder_close(&b));
    q->shown = value_get_str(event, S("input"));
    if (!value_defined(q->shown)) q->shown = value_null();
}

static void answer(struct request *rq, struct explain_job *j) {
    struct value_builder b;
    struct buf out;
    value_builder_open(&b, j->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(j->report); i++)
        value_builder_replace(&b, value_key_at(j->report, i), value_value_at(j->report, i));
    value_builder_replace(&b, value_string_c(j->heap, "path"),
                          value_string(j->heap, j->question.path));
    if (value_defined(j->result) && !value_defined(j->question.shown))
        value_builder_replace(&b, value_string_c(j->heap, "result"), j->result);
    buf_open(&out, REPORT_BYTES_MAX);
    json_text_write(&out, value_builder_close(&b), 0);
    if (out.failed || j->heap->exhausted) reply_rc(rq, RC_NO_MEMORY, "explanation");
    else reply_text(rq, 200, "application/json", buf_str(&out));
    buf_close(&out);
}

void rego_explain(struct request *rq) {
    struct heap h;
    value body;
    bool recorded;
    struct rego_state *s = rego_hold();
    struct explain_job j = {.state = s, .heap = &h, .now_ns = platform_wall_ns()};
    if (!s) {
        rego_rc(rq, RC_AGAIN, NULL);
        return;
    }
    heap_open(&h, REPORT_BYTES_MAX);
    policy_errors_open(&j.errors, &h, 10);
    if (rego_body_value(rq, &h, &body) && question_read(rq, &h, body, &j, &recorded)) {
        if (!recorded) mask_input(&h, s, &j.question);
        rc_t rc = run(&j, &s->build->explained);
        if (!rc) answer(rq, &j);
        else if (j.compiled && j.error.message.len) rego_eval_error(rq, rc, &j.error);
        else if (rc == RC_INVALID && j.errors.count)
            rego_errors(rq, "error(s) occurred while compiling module(s)", &j.errors);
        else reply_rc(rq, rc, "explanation");
    }
    heap_close(&h);
    rego_release(s);
}
