/* SPDX-License-Identifier: Apache-2.0 */
/* advice.c — what could go, by the decision log (app/policy/advise.h).
 *
 *   GET /api/v1/rego/advice?limit=&path=&document=
 *   -> {"policies": {"asked", "from", "to", "complete", "advice": [...]},
 *       "access": the same of the appliance's own requests, when the shipped policy decides them}
 *
 * A worker does it, with a deadline; nothing is applied. The appliance's own decisions are in the
 * log only while access.decisions is on. */
#include "app/policy/advise.h"
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "kernel/platform.h"

enum { DEADLINE_S = 20, REPORT_BYTES_MAX = 16 << 20 };
#define ACCESS_PATH "openpolicy/authz/allow"

struct advice_job {
    struct policy_advise_options o;
    struct policy_advisor *advisor;
    struct policy_program *watched;
    bool access; /* of the appliance's own requests: only those records; else all others */
    bool shipped;
    str path;
    struct heap *heap, record;
    value report;
    rc_t rc;
};

static rc_t see_record(void *arg, s64 id, str text) {
    struct advice_job *j = arg;
    value event;
    (void)id;
    heap_rewind(&j->record);
    if (json_text_read(&j->record, NULL, text, &event, NULL)) return RC_OK;
    value path = value_get_str(event, S("path"));
    bool own = path.kind == VALUE_STRING && str_eq(value_str(path), S(ACCESS_PATH));
    if (j->shipped && own != j->access) return RC_OK;
    (void)policy_advise_add(j->advisor, event); /* what does not fit is not asked */
    return RC_OK;
}

static value roles_in_force(struct policy_evaluator *e, struct policy_program *p, value data,
                            struct heap *h) {
    value path[] = {value_string_c(h, "openpolicy"), value_string_c(h, "authz"),
                    value_string_c(h, "roles_in_force")};
    struct policy_ask ask = {.data = data, .limits.steps_max = 1000000};
    struct policy_errors errors;
    struct policy_error error;
    struct policy_query *q;
    value roles = UNDEFINED;
    policy_errors_open(&errors, h, 1);
    if (policy_prepare_path(p, path, ARRAY_LEN(path), &q, &errors)) return UNDEFINED;
    if (policy_decide(e, q, &ask, &roles, &error)) roles = UNDEFINED;
    roles = value_defined(roles) ? value_copy(h, roles) : UNDEFINED;
    policy_query_drop(q);
    return roles;
}

static void advice_run(void *arg) {
    struct advice_job *j = arg;
    struct policy_evaluator *e;
    j->rc = policy_evaluator_open(&e, POLICY_EVALUATION_BYTES_MAX);
    if (j->rc) return;
    policy_advise_watched(j->advisor, j->watched);
    if (j->access)
        policy_advise_shipped(j->advisor, roles_in_force(e, j->o.plain, j->o.data, j->heap),
                              S("/openpolicy/authz/roles"));
    j->report = policy_advise_report(j->advisor, e, j->heap);
    policy_evaluator_close(e);
}

static rc_t advise(struct advice_job *j, struct rego_state *s, u64 limit) {
    j->o.data = document_root(s->data);
    j->o.clock_ns = platform_clock_ns;
    j->o.deadline_ns = platform_clock_ns() + DEADLINE_S * NS_PER_S;
    heap_open(&j->record, MIB(16));
    rc_t rc = policy_advise_open(&j->advisor, &j->o);
    if (!rc) rc = rego_decisions_each(limit, j->path, see_record, j);
    if (!rc) rc = rego_explained_run(s, j->access, &j->watched, advice_run, j);
    if (!rc) rc = j->rc;
    policy_advise_close(j->advisor);
    heap_close(&j->record);
    return rc;
}

static void answer(struct request *rq, struct heap *h, value policies, value access) {
    struct value_builder b;
    struct buf out;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "policies"), policies);
    if (value_defined(access)) value_builder_replace(&b, value_string_c(h, "access"), access);
    buf_open(&out, REPORT_BYTES_MAX);
    json_text_write(&out, value_builder_close(&b), 0);
    if (out.failed || h->exhausted)
        reply_rc(rq, RC_NO_MEMORY, "advice");
    else
        reply_text(rq, 200, "application/json", buf_str(&out));
    buf_close(&out);
}

void rego_advice(struct request *rq) {
    s64 limit = ADVISE_DECISIONS_MAX;
    str path = S(""), document = S("");
    struct heap h;
    if (!request_query_int(rq, "limit", 1, ADVISE_DECISIONS_MAX, &limit) ||
        !request_query_text(rq, "path", 1024, &path) ||
        !request_query_text(rq, "document", 1024, &document))
        return;
    struct rego_state *s = rego_hold();
    if (!s) {
        rego_rc(rq, RC_AGAIN, NULL);
        return;
    }
    heap_open(&h, MIB(64));
    rego_decisions_flush();
    bool shipped = !s->build->access;
    struct advice_job own = {.path = path, .heap = &h, .shipped = shipped,
                             .o = {.plain = s->build->program, .documents = &document,
                                   .document_count = document.len > 0}};
    struct advice_job access = {.path = S(ACCESS_PATH), .heap = &h, .shipped = true, .access = true,
                                .o = {.plain = access_shipped_program()}};
    rc_t rc = advise(&own, s, (u64)limit);
    if (!rc && shipped) rc = advise(&access, s, (u64)limit);
    if (rc)
        reply_rc(rq, rc, "advice");
    else
        answer(rq, &h, own.report, access.report);
    heap_close(&h);
    rego_release(s);
}

/* ---- The appliance's own decisions, on the log ---- */

void rego_log_access(const struct request *rq, value input, bool allowed) {
    struct rego_state *s = rego_hold();
    char id[ID_ROOM];
    struct rego_decision d = {.state = s,
                              .path = S(ACCESS_PATH),
                              .request_id = rq->http->id,
                              .user = rq->actor.email.ptr ? rq->actor.email : S(""),
                              .input = input,
                              .result = value_boolean(allowed),
                              .at_ns = platform_wall_ns()};
    if (s) rego_decision_log(&d, id);
    rego_release(s);
}
