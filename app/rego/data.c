/* SPDX-License-Identifier: Apache-2.0 */
/* data.c — the Data API: documents, base and virtual, by path.
 *
 *   GET, POST  /v1/data/a/b    the document data.a.b, asked with an input: {"result": ...}
 *   POST       /v0/data/a/b    the body is the input, the answer is the document itself
 *   POST       /               as v0, of the default decision data.system.main
 *   PUT, PATCH, DELETE         base documents */
#include "app/policy/value/json_text.h"
#include "app/metrics/metrics.h"
#include "app/rego/bundles.h"
#include "app/rego/watch.h"
#include "kernel/platform.h"

enum { ANSWER_BYTES_MAX = 64 << 20, PATH_BYTES_MAX = 2048, STEPS_BYTES_MAX = 16 << 20 };

struct decision {
    struct request *rq;
    struct rego_options options;
    struct rego_state *state;
    struct policy_evaluator *evaluator;
    struct policy_query *query;
    bool own_query; /* not the state's: dropped at the end */
    bool input_missing;
    struct policy_ask ask;
    str path;
    bool decided;
    struct rego_decision record;
    char id[ID_ROOM]; /* of the record in the decision log; empty: none */
    u64 started_ns, prepared_ns, asked_ns, evaluated_ns, input_ns;
    bool query_known, timed; /* timed: somebody wants to see how long the parts took */
    struct policy_times times;  /* of a query prepared for this question */
    struct policy_record steps; /* with explain */
    u64 step_count;
    value result;
};

/* Its steps are wanted, or counts that only the long way gives. */
static bool is_watched(const struct decision *d) {
    return d->options.explain != POLICY_EXPLAIN_OFF || d->options.instrument;
}

/* A query of the watched policies, for this question alone. */
static rc_t prepare_watched(struct decision *d, struct policy_errors *errors) {
    value keys[POLICY_PATH_DEPTH_MAX];
    struct heap h;
    u32 count;
    heap_open(&h, MIB(1));
    rc_t rc = rego_path_keys(&h, d->path, keys, ARRAY_LEN(keys), &count, NULL);
    str text = rc ? S("") : rego_path_query(&h, d->path);
    d->times.clock_ns = platform_clock_ns;
    if (!rc && !text.len) rc = RC_LIMIT;
    if (!rc) rc = rego_watched_prepare(d->state, text, &d->times, &d->query, errors);
    if (rc == RC_OK) policy_record_open(&d->steps, STEPS_BYTES_MAX), rc = RC_AGAIN;
    heap_close(&h);
    return rc;
}

static void refuse_path(struct request *rq, struct heap *h, str path) {
    value keys[POLICY_PATH_DEPTH_MAX];
    struct diag why = {0};
    u32 count;
    (void)!!rego_path_keys(h, path, keys, ARRAY_LEN(keys), &count, &why);
    rego_error(rq, 400, "invalid_parameter", "%s", why.text[0] ? why.text : "invalid path");
}

/* Everything a decision needs; false: answered. decision_close in any case. */
static bool decision_open(struct decision *d, struct request *rq, str path) {
    struct policy_errors errors;
    struct heap h;
    *d = (struct decision){.rq = rq, .path = path, .started_ns = platform_clock_ns()};
    rego_options_read(rq, &d->options);
    d->state = rego_hold();
    if (!rego_decides(rq, d->state)) return false;
    rc_t rc = rego_evaluator_take(&d->evaluator);
    if (rc) {
        d->evaluator = NULL;
        rego_rc(rq, rc, NULL);
        return false;
    }
    d->timed = d->options.metrics || is_watched(d);
    rego_ask_fill_at(&d->ask, d->state, d->started_ns);
    d->ask.strict_errors = d->options.strict;
    d->query = is_watched(d) ? NULL : rego_query_known(d->state, path);
    d->query_known = d->query != NULL;
    d->prepared_ns = d->started_ns;
    if (d->query_known) return true;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 10);
    rc = is_watched(d) ? prepare_watched(d, &errors)
                       : rego_query_of(d->state, path, &d->query, &errors);
    d->prepared_ns = platform_clock_ns();
    d->own_query = rc == RC_AGAIN;
    bool ok = rc == RC_OK || rc == RC_AGAIN;
    if (!ok) d->query = NULL;
    if (!ok && rc == RC_INVALID && !errors.count)
        refuse_path(rq, &h, path);
    else if (!ok && rc == RC_INVALID)
        rego_errors(rq, "error(s) occurred while compiling query", &errors);
    else if (!ok)
        rego_rc(rq, rc, NULL);
    heap_close(&h);
    return ok;
}

static void decision_close(struct decision *d) {
    if (d->decided) rego_shadow_ask(&d->record, d->id);
    if (d->steps.trace.event) policy_record_close(&d->steps);
    if (d->own_query) policy_query_drop(d->query);
    if (d->evaluator) rego_evaluator_give(d->evaluator);
    rego_release(d->state);
}

static rc_t ask_watched(struct decision *d, struct policy_error *error) {
    struct policy_answer a = {0};
    if (d->options.explain != POLICY_EXPLAIN_OFF) d->ask.trace = &d->steps.trace;
    rc_t rc = policy_ask(d->evaluator, d->query, &d->ask, &a, error);
    bool defined = !rc && a.count && value_count(a.results[0].expressions);
    d->result = defined ? value_item(a.results[0].expressions, 0) : UNDEFINED;
    d->step_count = a.steps;
    return rc;
}

static bool decide(struct decision *d) {
    struct policy_error error = {0};
    if (d->timed) d->asked_ns = platform_clock_ns();
    rc_t rc = is_watched(d)
                  ? ask_watched(d, &error)
                  : policy_decide(d->evaluator, d->query, &d->ask, &d->result, &error);
    d->evaluated_ns = platform_clock_ns();
    metric_decide(d->path,
                  rc                         ? METRIC_FAILED
                  : value_defined(d->result) ? METRIC_ANSWERED
                                             : METRIC_UNDEFINED,
                  d->query_known, d->evaluated_ns - d->started_ns);
    if (rc) {
        rego_eval_error(d->rq, rc, &error);
        return false;
    }
    d->record = (struct rego_decision){.state = d->state,
                                       .path = d->path,
                                       .request_id = d->rq->http->id,
                                       .user = d->rq->actor.email.ptr ? d->rq->actor.email : S(""),
                                       .input = d->ask.input,
                                       .result = d->result,
                                       .at_ns = d->ask.now_ns,
                                       .eval_ns = d->evaluated_ns - d->started_ns};
    rego_decision_log(&d->record, d->id);
    d->decided = true;
    return true;
}

static void put_metrics(struct buf *b, const struct decision *d) {
    struct rego_metrics m = {.count = 0};
    rego_metric(&m, "counter_server_query_cache_hit", d->query_known && !is_watched(d));
    if (d->input_ns) rego_metric(&m, "timer_rego_input_parse_ns", d->input_ns);
    if (is_watched(d)) rego_metric(&m, "timer_rego_query_parse_ns", d->times.parse_ns);
    if (is_watched(d) || !d->query_known)
        rego_metric(&m, "timer_rego_query_compile_ns",
                    is_watched(d) ? d->times.compile_ns : d->prepared_ns - d->started_ns);
    rego_metric(&m, "timer_rego_query_eval_ns", d->evaluated_ns - d->asked_ns);
    rego_metric(&m, "timer_server_handler_ns", platform_clock_ns() - d->started_ns);
    if (d->options.instrument) rego_metric(&m, "counter_eval_steps", d->step_count);
    rego_put_metrics(b, &m);
}

/* Between two members. */
static void put_comma(struct buf *b) {
    if (b->len > 1) (void)buf_add(b, S(","));
}

static void answer(struct decision *d, bool warn) {
    unsigned flags = JSON_TEXT_ESCAPE_HTML;
    struct buf b;
    buf_open(&b, ANSWER_BYTES_MAX);
    (void)buf_add(&b, S("{"));
    if (d->id[0]) {
        (void)buf_add(&b, S("\"decision_id\":\""));
        (void)buf_add(&b, str_of(d->id, ID_LEN));
        (void)buf_add(&b, S("\""));
    }
    if (d->options.provenance) put_comma(&b), rego_put_provenance(&b, d->state);
    if (d->options.explain != POLICY_EXPLAIN_OFF)
        put_comma(&b), rego_put_explanation(&b, &d->steps, &d->options);
    if (d->options.metrics) put_comma(&b), put_metrics(&b, d);
    if (value_defined(d->result)) {
        put_comma(&b);
        (void)buf_add(&b, S("\"result\":"));
        json_text_write(&b, d->result, flags);
    }
    if (warn) {
        put_comma(&b);
        (void)buf_add(&b, S("\"warning\":{\"code\":\"api_usage_warning\",\"message\":\"'input' key "
                            "missing from the request\"}"));
    }
    (void)buf_add(&b, S("}\n"));
    rego_answer(d->rq, &d->options, &b);
    buf_close(&b);
}

static void data_get(struct request *rq) {
    struct decision d;
    str input = {0};
    bool ok = decision_open(&d, rq, rego_path_of(rq)) &&
              rego_query_last(rq, "input", &input);
    if (ok && input.ptr) {
        struct diag why = {0};
        if (json_text_read(policy_evaluator_heap(d.evaluator), NULL, input, &d.ask.input, &why)) {
            rego_error(rq, 400, "invalid_parameter",
                       "parameter contains malformed input document: %s", why.text);
            ok = false;
        }
    }
    if (ok && decide(&d)) answer(&d, false);
    decision_close(&d);
}

static bool body_read(struct decision *d, value *out) {
    u64 from = d->timed ? platform_clock_ns() : 0;
    bool ok = rego_body_value(d->rq, policy_evaluator_heap(d->evaluator), out);
    if (d->timed) d->input_ns = platform_clock_ns() - from;
    return ok;
}

static void data_post(struct request *rq) {
    struct decision d;
    value body;
    if (decision_open(&d, rq, rego_path_of(rq)) && body_read(&d, &body)) {
        bool none = !value_defined(body) || body.kind == VALUE_NULL;
        bool wrong = !none && body.kind != VALUE_OBJECT;
        d.ask.input = value_get_str(body, S("input"));
        if (d.ask.input.kind == VALUE_NULL) d.ask.input = UNDEFINED; /* as the reference reads it */
        d.input_missing = !value_defined(d.ask.input);
        if (wrong)
            rego_error(rq, 400, "invalid_parameter",
                       "body contains malformed input document: an object is wanted");
        else if (decide(&d))
            answer(&d, d.input_missing);
    }
    decision_close(&d);
}

/* A rule is there and says nothing, or there is nothing. */
static bool has_rules(const struct rego_state *s, str path) {
    const struct rule_node *n = policy_compiled(s->build->program)->root;
    value keys[POLICY_PATH_DEPTH_MAX];
    struct heap h;
    u32 count;
    bool found = false;
    heap_open(&h, MIB(1));
    if (!rego_path_keys(&h, path, keys, ARRAY_LEN(keys), &count, NULL))
        for (u32 i = 0; n && i < count && !found; i++) {
            n = rule_node_find(n, keys[i]);
            found = n && n->rule_count;
        }
    heap_close(&h);
    return found;
}

static void answer_bare(struct decision *d, str path) {
    struct buf b;
    if (!value_defined(d->result)) {
        rego_error(d->rq, 404, "undefined_document", "document %s: %.*s",
                   has_rules(d->state, path) ? "undefined" : "missing",
                   STR(rego_path_dotted(d->rq->arena, path)));
        return;
    }
    buf_open(&b, ANSWER_BYTES_MAX);
    json_text_write(&b, d->result, JSON_TEXT_ESCAPE_HTML);
    (void)buf_add(&b, S("\n"));
    rego_answer(d->rq, &d->options, &b);
    buf_close(&b);
}

/* The whole body is the input, the answer the bare document. */
static void decide_bare(struct request *rq, str path) {
    struct decision d;
    if (decision_open(&d, rq, path) && body_read(&d, &d.ask.input)) {
        if (!value_defined(d.ask.input)) d.ask.input = value_null();
        if (decide(&d)) answer_bare(&d, path);
    }
    decision_close(&d);
}

static void data_post_v0(struct request *rq) {
    decide_bare(rq, rego_path_of(rq));
}
static void post_default(struct request *rq) {
    decide_bare(rq, rego_default_decision(rq->arena));
}

/* ---- Changing base documents ---- */

/* What a change of data or policies answers: nothing, or how long it took. */
static void answer_change(struct request *rq, const struct rego_options *o, u64 from, bool empty) {
    struct rego_metrics m = {.count = 0};
    struct buf b;
    if (!o->metrics) { /* it is done: no want of memory may say otherwise */
        if (empty) reply_empty(rq, 204);
        else reply_text(rq, 200, "application/json", S("{}\n"));
        return;
    }
    rego_metric(&m, "timer_server_handler_ns", platform_clock_ns() - from);
    buf_open(&b, KIB(4));
    (void)buf_add(&b, S("{"));
    rego_put_metrics(&b, &m);
    (void)buf_add(&b, S("}\n"));
    rego_answer(rq, o, &b);
    buf_close(&b);
}

static void change(struct request *rq, enum rego_kind kind, bool only_if_absent) {
    struct policy_errors errors;
    struct diag why = {0};
    struct heap h;
    struct rego_change c = {.kind = kind, .only_if_absent = only_if_absent};
    struct rego_options o;
    bool changed;
    str path = rego_path_of(rq);
    u64 from = platform_clock_ns();
    rego_options_read(rq, &o);
    if (kind != REGO_DATA_DELETE && !rego_body(rq, &c.content)) return;
    c.subject = rego_path_pointer(rq->arena, path);
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 10);
    rc_t rc = path.len > PATH_BYTES_MAX || !c.subject.ptr
                  ? RC_LIMIT
                  : rego_apply(rq, &c, &errors, &why, &changed);
    if (rc == RC_OK && only_if_absent && !changed)
        reply_empty(rq, 304);
    else if (rc == RC_OK)
        answer_change(rq, &o, from, true);
    else if (rc == RC_INVALID && errors.count)
        rego_errors(rq, "error(s) occurred while compiling module(s)", &errors);
    else
        rego_rc(rq, rc, &why);
    heap_close(&h);
}

static void data_put(struct request *rq) {
    str field = http_field(rq->http, S("If-None-Match"));
    change(rq, REGO_DATA_PUT, str_eq(field, S("*")));
}
static void data_patch(struct request *rq) {
    change(rq, REGO_DATA_PATCH, false);
}
static void data_delete(struct request *rq) {
    change(rq, REGO_DATA_DELETE, false);
}

/* ---- Policies ---- */

static str id_of(const struct request *rq) {
    return rq->param_count ? rq->params[0] : S("");
}

static void put_source(struct buf *b, struct heap *h, const struct rego_source *s, bool first) {
    (void)buf_add(b, first ? S("{\"id\":") : S(",{\"id\":"));
    json_text_write(b, value_string(h, s->id), JSON_TEXT_ESCAPE_HTML);
    (void)buf_add(b, S(",\"raw\":"));
    json_text_write(b, value_string(h, s->text), JSON_TEXT_ESCAPE_HTML);
    struct policy_errors errors;
    struct ast_module *module;
    struct parse_options o = {.version = s->version};
    policy_errors_open(&errors, h, 1);
    if (parse_module(h, s->id, s->text, &o, &module, &errors) == RC_OK) {
        (void)buf_add(b, S(",\"ast\":"));
        json_text_write(b, ast_module_json(h, module, false), JSON_TEXT_ESCAPE_HTML);
    }
    (void)buf_add(b, S("}"));
}

static void policies_answer(struct request *rq, const char *id) {
    struct rego_state *s = rego_hold();
    struct rego_options o;
    struct heap h;
    struct buf b;
    bool found = !id;
    if (!s) {
        rego_rc(rq, RC_AGAIN, NULL);
        return;
    }
    heap_open(&h, POLICY_DATA_BYTES_MAX);
    buf_open(&b, ANSWER_BYTES_MAX);
    (void)buf_add(&b, id ? S("{\"result\":") : S("{\"result\":["));
    for (u32 i = 0, shown = 0; i < s->source_count; i++) {
        if (id && !str_eq(s->sources[i].id, str_from_c(id))) continue;
        put_source(&b, &h, &s->sources[i], shown++ == 0);
        heap_rewind(&h);
        found = true;
    }
    (void)buf_add(&b, id ? S("}\n") : S("]}\n"));
    if (!found && id && !strcmp(id, ACCESS_POLICY_ID)) { /* the shipped one, till another is put */
        struct rego_source shipped = {
            .id = S(ACCESS_POLICY_ID), .text = access_policy_text(), .version = REGO_V1};
        buf_clear(&b);
        (void)buf_add(&b, S("{\"result\":"));
        put_source(&b, &h, &shipped, true);
        (void)buf_add(&b, S("}\n"));
        found = true;
    }
    if (!found)
        rego_error(rq, 404, "resource_not_found", "storage_not_found_error: policy id \"%s\"", id);
    else
        rego_options_read(rq, &o), rego_answer(rq, &o, &b);
    buf_close(&b);
    heap_close(&h);
    rego_release(s);
}

static void policies_list(struct request *rq) {
    policies_answer(rq, NULL);
}
static void policies_get(struct request *rq) {
    policies_answer(rq, arena_cstr(rq->arena, id_of(rq)));
}

static void policies_change(struct request *rq, enum rego_kind kind) {
    struct policy_errors errors;
    struct diag why = {0};
    struct heap h;
    struct rego_change c = {.kind = kind, .subject = id_of(rq)};
    struct rego_options o;
    bool changed;
    u64 from = platform_clock_ns();
    rego_options_read(rq, &o);
    if (kind == REGO_SOURCE_PUT && !rego_body(rq, &c.content)) return;
    heap_open(&h, MIB(16));
    policy_errors_open(&errors, &h, 10);
    rc_t rc = rego_apply(rq, &c, &errors, &why, &changed);
    if (rc == RC_OK)
        answer_change(rq, &o, from, false);
    else if (rc == RC_INVALID && errors.count)
        rego_errors_as(rq, kind == REGO_SOURCE_PUT ? "invalid_parameter" : "invalid_operation",
                       "error(s) occurred while compiling module(s)", &errors);
    else {
        if (rc == RC_NOT_FOUND)
            diag_set(&why, "storage_not_found_error: policy id \"%.*s\"", STR(c.subject));
        rego_rc(rq, rc, &why);
    }
    heap_close(&h);
}

static void policies_put(struct request *rq) {
    policies_change(rq, REGO_SOURCE_PUT);
}
static void policies_delete(struct request *rq) {
    policies_change(rq, REGO_SOURCE_DELETE);
}

/* ---- Ad-hoc queries ---- */

static void put_results(struct buf *b, const struct policy_answer *a) {
    (void)buf_add(b, S("\"result\":["));
    for (u32 i = 0; i < a->count; i++) {
        if (i) (void)buf_add(b, S(","));
        json_text_write(b, a->results[i].bindings, JSON_TEXT_ESCAPE_HTML);
    }
    (void)buf_add(b, S("]"));
}

/* A question in the language itself, its options, and how long its parts took. */
struct query {
    struct request *rq;
    struct rego_state *state;
    struct policy_evaluator *evaluator;
    const struct rego_options *options;
    struct policy_query *query;
    struct policy_times times;
    struct policy_record steps;
    u64 started_ns, eval_ns;
};

static rc_t query_prepare(struct query *q, str text, struct policy_errors *errors) {
    struct policy_query_options o = {.times = &q->times, .refused = rego_unsafe_calls};
    struct policy_program *program = q->state->build->program;
    q->times.clock_ns = platform_clock_ns;
    if (q->options->explain != POLICY_EXPLAIN_OFF) {
        policy_record_open(&q->steps, STEPS_BYTES_MAX);
        rc_t rc = rego_watched(q->state, &program, errors);
        if (rc) return rc;
        o.trace = true;
    }
    return policy_prepare_with(program, text, &o, &q->query, errors);
}

static void query_answer(struct query *q, const struct policy_answer *a) {
    struct rego_metrics m = {.count = 0};
    struct buf b;
    buf_open(&b, ANSWER_BYTES_MAX);
    (void)buf_add(&b, S("{"));
    if (q->options->explain != POLICY_EXPLAIN_OFF) rego_put_explanation(&b, &q->steps, q->options);
    if (q->options->metrics) {
        rego_metric(&m, "timer_rego_query_parse_ns", q->times.parse_ns);
        rego_metric(&m, "timer_rego_query_compile_ns", q->times.compile_ns);
        rego_metric(&m, "timer_rego_query_eval_ns", q->eval_ns);
        rego_metric(&m, "timer_server_handler_ns", platform_clock_ns() - q->started_ns);
        if (q->options->instrument) rego_metric(&m, "counter_eval_steps", a->steps);
        put_comma(&b), rego_put_metrics(&b, &m);
    }
    if (a->count) put_comma(&b), put_results(&b, a);
    (void)buf_add(&b, S("}\n"));
    rego_answer(q->rq, q->options, &b);
    buf_close(&b);
}

static void query_run(struct request *rq, struct rego_state *s, struct policy_evaluator *e,
                      str text, value input, const struct rego_options *o) {
    struct query q = {.rq = rq, .state = s, .evaluator = e, .options = o,
                      .started_ns = platform_clock_ns()};
    struct policy_errors errors;
    struct policy_answer a;
    struct policy_error error = {0};
    struct policy_ask ask = {.input = input, .strict_errors = o->strict};
    struct heap h;
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, 10);
    rc_t rc = query_prepare(&q, text, &errors);
    if (rc == RC_INVALID)
        rego_errors(rq, rego_query_message(&errors), &errors);
    else if (rc)
        rego_rc(rq, rc, NULL);
    else {
        rego_ask_fill(&ask, s);
        if (q.steps.trace.event) ask.trace = &q.steps.trace;
        u64 from = platform_clock_ns();
        rc = policy_ask(e, q.query, &ask, &a, &error);
        q.eval_ns = platform_clock_ns() - from;
        if (rc)
            rego_eval_error(rq, rc, &error);
        else
            query_answer(&q, &a);
        policy_query_drop(q.query);
    }
    if (q.steps.trace.event) policy_record_close(&q.steps);
    heap_close(&h);
}

static void query_any(struct request *rq, bool post) {
    struct rego_options o;
    struct policy_evaluator *e = NULL;
    value body = UNDEFINED, q;
    str text = {0};
    rego_options_read(rq, &o);
    struct rego_state *s = rego_hold();
    if (!rego_decides(rq, s)) {
        rego_release(s);
        return;
    }
    rc_t rc = rego_evaluator_take(&e);
    if (rc) {
        rego_release(s);
        rego_rc(rq, rc, NULL);
        return;
    }
    bool ok = post ? rego_body_value(rq, policy_evaluator_heap(e), &body)
                   : rego_query_last(rq, "q", &text);
    q = value_get_str(body, S("query"));
    bool no_text = value_defined(q) && q.kind != VALUE_STRING && q.kind != VALUE_NULL;
    bool wrong = post && ok && (body.kind != VALUE_OBJECT || no_text);
    if (q.kind == VALUE_STRING) text = arena_copy(rq->arena, value_str(q));
    value input = value_get_str(body, S("input"));
    if (wrong)
        rego_error(rq, 400, "invalid_parameter",
                   "error(s) occurred while decoding request: an object with a query is wanted");
    else if (ok && !post && !text.ptr)
        rego_error(rq, 400, "invalid_parameter", "missing parameter 'q'");
    else if (ok)
        query_run(rq, s, e, text.ptr ? text : S(""), input.kind == VALUE_NULL ? UNDEFINED : input,
                  &o);
    rego_evaluator_give(e);
    rego_release(s);
}

static void query_get(struct request *rq) {
    query_any(rq, false);
}
static void query_post(struct request *rq) {
    query_any(rq, true);
}

static const struct route_param query_parameters[] = {
    {"q", "string", "the query"},
    {"pretty", "string", "indent the answer"},
    {"explain", "string", "add the steps: full, notes, fails or debug; for those signed in"},
    {"metrics", "string", "add how long the parts of the work took"},
    {"instrument", "string", "add also what the machine counted"},
    {"strict-builtin-errors", "string", "an error of a builtin is an error"},
    {.name = NULL}};

static const struct route_param compile_parameters[] = {
    {"pretty", "string", "indent the answer"},
    {"explain", "string", "accepted; no explanation is added"},
    {"metrics", "string", "add how long the parts of the work took"},
    {"instrument", "string", "accepted for the reference's clients; as metrics"},
    {.name = NULL}};

#define ANY_ROUTE(method_, pattern_, handle_, permission_, query_, lenient_, summary_)             \
    {                                                                                              \
        .method = method_, .pattern = pattern_, .handle = handle_, .access = ACCESS_PUBLIC,        \
        .permission = permission_, .summary = summary_, .tag = "policy engine", .query = query_,   \
        .lenient = lenient_                                                                        \
    }
/* The reference's: asked by its clients. */
#define ROUTE(method, pattern, handler, permission, query, help)                                   \
    ANY_ROUTE(method, pattern, handler, permission, query, true, help)
#define DECIDE(method, pattern, handler, help)                                                     \
    ROUTE(method, pattern, handler, "rego:decision:read", rego_parameters, help)
#define MANAGE(method, pattern, handler, help)                                                     \
    ROUTE(method, pattern, handler, "rego:policy:write", rego_parameters, help)
#define REGO(method, pattern, handler, query, help)                                                \
    ANY_ROUTE(method, pattern, handler, "rego:policy:write", query, false, help)
static const struct route_param page_parameters[] = {
    {"limit", "integer", "rows of a page, 1 to 100"},
    {"offset", "integer", "rows to skip"},
    {.name = NULL}};
static const struct route_param decision_parameters[] = {
    {"path", "string", "only decisions of this path"},
    {"limit", "integer", "rows of a page, 1 to 100"},
    {"offset", "integer", "rows to skip"},
    {.name = NULL}};
static const struct route_param advice_parameters[] = {
    {"limit", "integer", "how many of the newest decisions are asked again, 1 to 1000"},
    {"path", "string", "only decisions of this path"},
    {"document", "string", "the role data to try, such as /app/roles; else by name"},
    {.name = NULL}};
static const struct route_param shadow_parameters[] = {
    {"explain", "boolean", "why on both sides, and by which rule they differ"},
    {.name = NULL}};
const struct route rego_routes[] = {
    DECIDE(HTTP_GET, "/v1/data", data_get, "The whole document tree"),
    DECIDE(HTTP_GET, "/v1/data/{path...}", data_get, "A document, with an input from the query"),
    DECIDE(HTTP_POST, "/v1/data", data_post, "The whole document tree, with an input"),
    DECIDE(HTTP_POST, "/v1/data/{path...}", data_post, "A document, with an input"),
    DECIDE(HTTP_POST, "/v0/data", data_post_v0, "All documents; the body is the input"),
    DECIDE(HTTP_POST, "/v0/data/{path...}", data_post_v0, "A document; the body is the input"),
    DECIDE(HTTP_POST, "/", post_default, "The default decision; the body is the input"),
    MANAGE(HTTP_PUT, "/v1/data", data_put, "Replace the base documents"),
    MANAGE(HTTP_PUT, "/v1/data/{path...}", data_put, "Make or replace a base document"),
    MANAGE(HTTP_PATCH, "/v1/data", data_patch, "Change base documents (JSON Patch)"),
    MANAGE(HTTP_PATCH, "/v1/data/{path...}", data_patch, "Change a base document (JSON Patch)"),
    MANAGE(HTTP_DELETE, "/v1/data/{path...}", data_delete, "Delete a base document"),
    MANAGE(HTTP_GET, "/v1/policies", policies_list, "All policies"),
    MANAGE(HTTP_GET, "/v1/policies/{id...}", policies_get, "One policy"),
    MANAGE(HTTP_PUT, "/v1/policies/{id...}", policies_put, "Make or replace a policy"),
    MANAGE(HTTP_DELETE, "/v1/policies/{id...}", policies_delete, "Delete a policy"),
    ROUTE(HTTP_GET, "/v1/query", query_get, "rego:decision:read", query_parameters,
          "An ad-hoc query"),
    ROUTE(HTTP_POST, "/v1/query", query_post, "rego:decision:read", query_parameters,
          "An ad-hoc query"),
    ROUTE(HTTP_POST, "/v1/compile", rego_compile, "rego:decision:read", compile_parameters,
          "What is left of a query when something is unknown"),
    ROUTE(HTTP_POST, "/v1/compile/{path...}", rego_compile_filter, "rego:decision:read",
          compile_parameters,
          "The same of a rule, as the condition of a database: Accept says which"),
    ROUTE(HTTP_GET, "/v1/compile/{path...}", rego_compile_filter, "rego:decision:read",
          compile_parameters, "The same; the options come in a body, as with POST"),
    {.method = HTTP_GET, .pattern = "/health/{path...}", .handle = rego_health_policy,
     .access = ACCESS_PUBLIC, .permission = "health:status:read", .tag = "health", .quiet = true,
     .probe = true, .lenient = true,
     .summary = "What the policy data.system.health says: /health/live, /health/ready"},
    MANAGE(HTTP_GET, "/v1/status", rego_status, "State of the policy engine"),
    MANAGE(HTTP_GET, "/v1/config", rego_config, "Its settings, in the reference's form"),
    REGO(HTTP_GET, "/api/v1/rego/decisions", rego_decisions_list, decision_parameters,
         "The decision log, newest first"),
    REGO(HTTP_GET, "/api/v1/rego/revisions", rego_revisions_list, page_parameters,
         "Every change of policies and data"),
    REGO(HTTP_GET, "/api/v1/rego/bundles", bundles_list, NULL,
         "Bundles: active ones, and how they fare"),
    REGO(HTTP_PUT, "/api/v1/rego/bundles/{name...}", bundles_put, NULL,
         "Activate a bundle: the body is its archive"),
    REGO(HTTP_POST, "/api/v1/rego/bundles/{name...}", bundles_load_now, NULL,
         "Ask a bundle's server now"),
    REGO(HTTP_DELETE, "/api/v1/rego/bundles/{name...}", bundles_delete, NULL,
         "Take a bundle out, and what lies under its roots"),
    REGO(HTTP_POST, "/api/v1/rego/revert", rego_revert, NULL, "Go back to a revision"),
    REGO(HTTP_GET, "/api/v1/rego/shadow", rego_shadow_get, shadow_parameters,
         "What the candidate would have answered otherwise"),
    REGO(HTTP_PUT, "/api/v1/rego/shadow", rego_shadow_put, NULL,
         "Ask a candidate beside the live policies"),
    REGO(HTTP_DELETE, "/api/v1/rego/shadow", rego_shadow_delete, NULL, "End the trial"),
    REGO(HTTP_POST, "/api/v1/rego/profile", rego_profile, NULL,
         "What each rule and line costs for a question"),
    REGO(HTTP_GET, "/api/v1/rego/advice", rego_advice, advice_parameters,
         "From the decision log: rules, roles and grants that could go"),
    REGO(HTTP_POST, "/api/v1/rego/explain", rego_explain, NULL,
         "Why did a decision come out so? In sentences"),
    REGO(HTTP_POST, "/api/v1/rego/replay", rego_replay, NULL,
         "Which recorded decisions would a change have changed?"),
    {.pattern = NULL},
};
