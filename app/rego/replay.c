/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c — what would a change have changed? Recorded decisions are asked again of a candidate:
 * the policies as they are, with some replaced, added or left out. Nothing is enforced or stored.
 *
 *   POST /api/v1/rego/replay {"policies": {"authz": "package ...", "old": null}, "limit": 1000}
 *   -> {"asked": 998, "changed": 3, "failed": 0, "by_path": {"authz/allow": 3},
 *       "by_rule": [{"rule": "data.authz.allow", "file", "row", "title"?, "count",
 * "decision_ids"}], "changes": [{"decision_id", "path", "input", "before", "after", "explanations":
 * {"before": {"outcome", "sentences", "by"}, "after": {...}}}]}
 *
 * The data is today's, the time of the question that of the recorded one. "explain": false leaves
 * explanations and groups out. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "app/utc.h"
#include "kernel/core/fiber.h"

enum {
    CHANGES_SHOWN = 200,
    REPLAY_MAX = 10000,
    REPLAY_DEFAULT = 1000,
    REPLAY_BYTES_MAX = 64 << 20
};

struct replay {
    struct rego_state *candidate;
    struct policy_evaluator *evaluator;
    struct heap heap;   /* of the report */
    struct heap record; /* of the record at hand */
    struct value_builder changes, by_path;
    u64 asked, changed, failed;
    bool explain;
};

static value text_of(struct heap *h, const struct policy_error *e) {
    struct buf b;
    buf_open(&b, 4096);
    (void)buf_printf(&b, "%s: %.*s", policy_code_name(e->code), STR(e->message));
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v;
}

static void note_change(struct replay *r, value event, value after, value error) {
    struct heap *h = &r->heap;
    struct value_builder b;
    value path = value_copy(h, value_get_str(event, S("path"))),
          before = value_get_str(event, S("result"));
    value count = value_builder_find(&r->by_path, path);
    value_builder_replace(&r->by_path, path,
                          value_integer(value_defined(count) ? count.integer + 1 : 1));
    r->changed++;
    if (r->changes.count >= CHANGES_SHOWN) return;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "decision_id"),
                          value_copy(h, value_get_str(event, S("decision_id"))));
    value_builder_replace(&b, value_string_c(h, "path"), path);
    value at = value_get_str(event, S("timestamp"));
    if (value_defined(at))
        value_builder_replace(&b, value_string_c(h, "timestamp"), value_copy(h, at));
    value input = value_get_str(event, S("input"));
    if (value_defined(input))
        value_builder_replace(&b, value_string_c(h, "input"), value_copy(h, input));
    if (value_defined(before))
        value_builder_replace(&b, value_string_c(h, "before"), value_copy(h, before));
    if (value_defined(after))
        value_builder_replace(&b, value_string_c(h, "after"), value_copy(h, after));
    if (value_defined(error)) value_builder_replace(&b, value_string_c(h, "error"), error);
    value_builder_add(&r->changes, value_builder_close(&b));
}

/* As JSON says it: the record went through JSON, so its sets are arrays. */
static bool same(struct heap *h, value before, value after) {
    struct buf b;
    value again;
    if (value_defined(before) != value_defined(after)) return false;
    if (!value_defined(before)) return true;
    buf_open(&b, REPLAY_BYTES_MAX);
    json_text_write(&b, after, 0);
    bool equal = !b.failed && json_text_read(h, NULL, buf_str(&b), &again, NULL) == RC_OK &&
                 value_equal(before, again);
    buf_close(&b);
    return equal;
}

static rc_t ask_again(void *arg, s64 id, str text) {
    struct replay *r = arg;
    struct policy_errors errors;
    struct policy_error error = {0};
    struct policy_query *query;
    struct policy_ask ask = {0};
    value event, after = UNDEFINED, path, time;
    (void)id;
    heap_rewind(&r->record);
    if (json_text_read(&r->record, NULL, text, &event, NULL)) return RC_OK;
    path = value_get_str(event, S("path")), time = value_get_str(event, S("timestamp"));
    if (path.kind != VALUE_STRING) return RC_OK;
    policy_errors_open(&errors, &r->record, 1);
    rc_t rc = rego_query_of(r->candidate, value_str(path), &query, &errors);
    if (rc && rc != RC_AGAIN) return rc == RC_NO_MEMORY ? rc : RC_OK;
    rego_ask_fill(&ask, r->candidate);
    ask.input = value_get_str(event, S("input"));
    u64 then;
    if (time.kind == VALUE_STRING && utc_parse(value_str(time), &then) == RC_OK) ask.now_ns = then;
    rc_t asked = policy_decide(r->evaluator, query, &ask, &after, &error);
    if (rc == RC_AGAIN) policy_query_drop(query);
    r->asked++;
    if (asked) r->failed++;
    if (asked)
        note_change(r, event, UNDEFINED, text_of(&r->heap, &error));
    else if (!same(&r->record, value_get_str(event, S("result")), after))
        note_change(r, event, after, UNDEFINED);
    return r->heap.exhausted ? RC_NO_MEMORY : RC_OK;
}

static void report(struct request *rq, struct replay *r) {
    struct value_builder b;
    struct heap *h = &r->heap;
    struct buf out;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "asked"), value_integer((s64)r->asked));
    value_builder_replace(&b, value_string_c(h, "changed"), value_integer((s64)r->changed));
    value_builder_replace(&b, value_string_c(h, "failed"), value_integer((s64)r->failed));
    value_builder_replace(&b, value_string_c(h, "by_path"), value_builder_close(&r->by_path));
    value changes = value_builder_close(&r->changes), by_rule;
    struct rego_state *live = r->explain ? rego_hold() : NULL;
    if (live) {
        changes = rego_explain_changes(h, live, r->candidate, live, changes,
                                       r->changed - value_count(changes), &by_rule);
        value_builder_replace(&b, value_string_c(h, "by_rule"), by_rule);
        rego_release(live);
    }
    value_builder_replace(&b, value_string_c(h, "changes"), changes);
    buf_open(&out, REPLAY_BYTES_MAX);
    json_text_write(&out, value_builder_close(&b), 0);
    if (out.failed || h->exhausted)
        reply_rc(rq, RC_NO_MEMORY, "replay");
    else
        reply_text(rq, 200, "application/json", buf_str(&out));
    buf_close(&out);
}

/* The candidate's policies: a member of `policies` that is text replaces or adds, null leaves out.
 */
bool rego_overrides_read(struct request *rq, value body, struct rego_change **out, u32 *count) {
    value policies = value_get_str(body, S("policies"));
    *count = 0;
    *out = arena_alloc(rq->arena, (value_count(policies) + 1) * sizeof **out);
    if (!*out) {
        rego_rc(rq, RC_NO_MEMORY, NULL);
        return false;
    }
    if (policies.kind != VALUE_OBJECT) {
        reply_problem(rq, 422, "policies_wanted",
                      "`policies` must be an object of policy texts (or null) by id.");
        return false;
    }
    for (u32 i = 0; i < value_count(policies); i++) {
        value id = value_key_at(policies, i), text = value_value_at(policies, i);
        if (text.kind != VALUE_STRING && text.kind != VALUE_NULL) {
            reply_problem(rq, 422, "policies_wanted", "The policy %.*s must be a text or null.",
                          STR(value_str(id)));
            return false;
        }
        bool put = text.kind == VALUE_STRING;
        (*out)[(*count)++] =
            (struct rego_change){.kind = put ? REGO_SOURCE_PUT : REGO_SOURCE_DELETE,
                                 .subject = value_str(id),
                                 .content = put ? value_str(text) : S("")};
    }
    return true;
}

void rego_replay(struct request *rq) {
    struct policy_errors errors;
    struct rego_change *changes;
    struct replay r = {0};
    struct diag why = {0};
    struct heap body_heap;
    value body;
    u32 count;
    heap_open(&body_heap, MIB(16));
    heap_open(&r.heap, REPLAY_BYTES_MAX);
    heap_open(&r.record, MIB(16));
    policy_errors_open(&errors, &body_heap, 10);
    bool ok =
        rego_body_value(rq, &body_heap, &body) && rego_overrides_read(rq, body, &changes, &count);
    value limit = ok ? value_get_str(body, S("limit")) : UNDEFINED;
    u64 rows = limit.kind == VALUE_NUMBER && !limit.boxed && limit.integer > 0 ? (u64)limit.integer
                                                                               : REPLAY_DEFAULT;
    r.explain = ok && !value_is_false(value_get_str(body, S("explain")));
    if (ok) {
        rc_t rc = rego_candidate(changes, count, &r.candidate, &errors, &why);
        if (rc == RC_INVALID && errors.count)
            rego_errors(rq, "error(s) occurred while compiling module(s)", &errors);
        else if (rc)
            rego_rc(rq, rc, &why);
        ok = rc == RC_OK;
    }
    if (ok && rego_evaluator_take(&r.evaluator) == RC_OK) {
        value_builder_open(&r.changes, &r.heap, VALUE_ARRAY);
        value_builder_open(&r.by_path, &r.heap, VALUE_OBJECT);
        rego_decisions_flush();
        rc_t rc = rego_decisions_each(MIN(rows, (u64)REPLAY_MAX), S(""), ask_again, &r);
        if (rc)
            reply_rc(rq, rc, "replay");
        else
            report(rq, &r);
        rego_evaluator_give(r.evaluator);
    } else if (ok)
        reply_rc(rq, RC_LIMIT, "replay");
    rego_release(r.candidate);
    heap_close(&r.record);
    heap_close(&r.heap);
    heap_close(&body_heap);
}
