/* SPDX-License-Identifier: Apache-2.0 */
/* shadow.c — a candidate beside the live policies: asked the same real questions, never enforced.
 *
 *   PUT    /api/v1/rego/shadow {"policies": {"authz": "package ..."}}   begin
 *   GET    /api/v1/rego/shadow     how many questions, how many answers differed, which;
 *                                  ?explain=true: why on both sides, and by which rule
 *   DELETE /api/v1/rego/shadow     end
 *
 * The candidate is the live policies with some replaced, added or left out, as for a replay; when
 * the live ones change it is made again from the same replacements. It is asked after the answer
 * has left, so nobody waits for it. The newest differences are kept in memory. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "kernel/platform.h"

enum { DIFFERENCES_KEPT = 100, DIFFERENCE_BYTES_MAX = 16 << 10, REPORT_BYTES_MAX = 4 << 20 };

static struct {
    bool on, broken;  /* broken: the live policies changed and it no longer compiles */
    struct heap heap; /* of the replacements */
    struct rego_change *changes;
    u32 change_count;
    struct rego_state *candidate;
    const struct rego_build *base; /* what it was made from: compared, never followed */
    u64 since_ns, asked, differing, failed, skipped;
    char *differences[DIFFERENCES_KEPT]; /* JSON texts, a ring */
    u32 next;
} shadow;

static void end(void) {
    rego_release(shadow.candidate);
    heap_close(&shadow.heap);
    for (u32 i = 0; i < DIFFERENCES_KEPT; i++) free(shadow.differences[i]);
    memset(&shadow, 0, sizeof shadow);
}

void rego_shadow_stop(void) {
    end();
}

/* The candidate for the policies that are live now; false: it cannot be made. */
static bool follow(const struct rego_state *live) {
    struct policy_errors errors;
    struct diag why = {0};
    struct heap h;
    struct rego_state *fresh;
    if (shadow.base == live->build) return !shadow.broken;
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, 1);
    const struct rego_build *base = live->build;
    rc_t rc = rego_candidate(shadow.changes, shadow.change_count, &fresh, &errors, &why);
    heap_close(&h);
    if (!shadow.on) { /* ended while we were parked */
        if (!rc) rego_release(fresh);
        return false;
    }
    shadow.base = base;
    shadow.broken = rc != RC_OK;
    if (rc) return false;
    rego_release(shadow.candidate);
    shadow.candidate = fresh;
    return true;
}

static void keep_difference(struct heap *h, const struct rego_decision *d, const char *id,
                            value after, const struct policy_error *error) {
    struct value_builder b;
    struct buf text;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "decision_id"), value_string_c(h, id));
    value_builder_replace(&b, value_string_c(h, "path"), value_string(h, d->path));
    if (value_defined(d->input)) value_builder_replace(&b, value_string_c(h, "input"), d->input);
    if (value_defined(d->result)) value_builder_replace(&b, value_string_c(h, "live"), d->result);
    if (value_defined(after)) value_builder_replace(&b, value_string_c(h, "candidate"), after);
    if (error)
        value_builder_replace(&b, value_string_c(h, "error"), value_string(h, error->message));
    buf_open(&text, DIFFERENCE_BYTES_MAX);
    json_text_write(&text, value_builder_close(&b), 0);
    char *copy = text.failed || h->exhausted ? NULL : malloc(text.len + 1);
    if (copy) {
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = 0;
        free(shadow.differences[shadow.next]);
        shadow.differences[shadow.next] = copy;
        shadow.next = (shadow.next + 1) % DIFFERENCES_KEPT;
    }
    buf_close(&text);
}

static void ask_beside(const struct rego_decision *d, const char *id) {
    struct policy_evaluator *e;
    struct policy_errors errors;
    struct policy_error error = {0};
    struct policy_query *query;
    struct policy_ask ask = {.input = d->input};
    struct heap h;
    value after = UNDEFINED;
    if (!follow(d->state) || rego_evaluator_take(&e)) {
        shadow.skipped++;
        return;
    }
    struct rego_state *candidate = shadow.candidate;
    __atomic_add_fetch(&candidate->refs, 1,
                       __ATOMIC_RELAXED); /* a question may outlive the shadow */
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, 1);
    rc_t rc = rego_query_of(candidate, d->path, &query, &errors);
    if (rc == RC_OK || rc == RC_AGAIN) {
        rego_ask_fill(&ask, d->state); /* the live data: only the policies are on trial */
        ask.now_ns = d->at_ns;
        rc_t asked = policy_decide(e, query, &ask, &after, &error);
        if (rc == RC_AGAIN) policy_query_drop(query);
        bool differs = asked || value_defined(after) != value_defined(d->result) ||
                       (value_defined(after) && !value_equal(after, d->result));
        if (shadow.on) {
            shadow.asked++, shadow.failed += asked != RC_OK, shadow.differing += differs;
            if (differs)
                keep_difference(&h, d, id, asked ? UNDEFINED : after, asked ? &error : NULL);
        }
    } else
        shadow.skipped++;
    heap_close(&h);
    rego_evaluator_give(e);
    rego_release(candidate);
}

void rego_shadow_ask(const struct rego_decision *d, const char *id) {
    if (shadow.on) ask_beside(d, id);
}

/* ---- API ---- */

/* Newest first, as far as they can be read. */
static value differences(struct heap *h) {
    struct value_builder list;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < DIFFERENCES_KEPT; i++) {
        u32 at = (shadow.next + DIFFERENCES_KEPT - 1 - i) % DIFFERENCES_KEPT;
        value v;
        if (shadow.differences[at] &&
            json_text_read(h, NULL, str_from_c(shadow.differences[at]), &v, NULL) == RC_OK)
            value_builder_add(&list, v);
    }
    return value_builder_close(&list);
}

static void put_value(struct json_writer *w, const char *name, value v) {
    struct buf text;
    buf_open(&text, REPORT_BYTES_MAX);
    json_text_write(&text, v, 0);
    if (!text.failed) json_raw(w, name, buf_str(&text));
    buf_close(&text);
}

/* Parks: neither the live state nor the candidate may go meanwhile. */
static void put_explained(struct json_writer *w) {
    struct rego_state *live = rego_hold(), *candidate = shadow.candidate;
    struct heap h;
    value by_rule;
    if (!live || !candidate) {
        rego_release(live);
        return;
    }
    __atomic_add_fetch(&candidate->refs, 1, __ATOMIC_RELAXED);
    heap_open(&h, 4 * REPORT_BYTES_MAX);
    value list = differences(&h);
    u64 unseen = shadow.differing - MIN(shadow.differing, (u64)value_count(list));
    list = rego_explain_changes(&h, live, candidate, live, list, unseen, &by_rule);
    put_value(w, "by_rule", by_rule);
    put_value(w, "differences", list);
    heap_close(&h);
    rego_release(candidate);
    rego_release(live);
}

static void report(struct request *rq, bool explain) {
    struct json_writer w;
    json_open(&w, REPORT_BYTES_MAX);
    json_object(&w, NULL);
    json_bool(&w, "active", shadow.on);
    json_bool(&w, "compiles", shadow.on && !shadow.broken);
    json_time(&w, "since", shadow.since_ns);
    json_int(&w, "asked", (s64)shadow.asked);
    json_int(&w, "differing", (s64)shadow.differing);
    json_int(&w, "failed", (s64)shadow.failed);
    json_int(&w, "skipped", (s64)shadow.skipped);
    if (explain && shadow.on)
        put_explained(&w);
    else {
        json_array(&w, "differences");
        for (u32 i = 0; i < DIFFERENCES_KEPT; i++) { /* newest first */
            u32 at = (shadow.next + DIFFERENCES_KEPT - 1 - i) % DIFFERENCES_KEPT;
            if (shadow.differences[at]) json_raw(&w, NULL, str_from_c(shadow.differences[at]));
        }
        json_array_end(&w);
    }
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
}

void rego_shadow_get(struct request *rq) {
    str explain = {0};
    if (!request_query_text(rq, "explain", 8, &explain)) return;
    report(rq, explain.ptr && !str_eq(explain, S("false")));
}

static bool copy_changes(const struct rego_change *changes, u32 count) {
    shadow.changes = heap_alloc(&shadow.heap, (count + 1) * sizeof *changes);
    for (u32 i = 0; shadow.changes && i < count; i++) {
        value id = value_string(&shadow.heap, changes[i].subject),
              text = value_string(&shadow.heap, changes[i].content);
        if (shadow.heap.exhausted) return false;
        shadow.changes[i] = changes[i];
        shadow.changes[i].subject = value_str(id), shadow.changes[i].content = value_str(text);
    }
    shadow.change_count = count;
    return shadow.changes != NULL;
}

static void begin(struct request *rq, const struct rego_change *changes, u32 count,
                  struct policy_errors *errors) {
    struct rego_state *candidate, *live = rego_hold();
    struct diag why = {0};
    rc_t rc = live ? rego_candidate(changes, count, &candidate, errors, &why) : RC_AGAIN;
    if (rc == RC_INVALID && errors->count)
        rego_errors(rq, "error(s) occurred while compiling module(s)", errors);
    else if (rc)
        rego_rc(rq, rc, &why);
    else {
        end();
        heap_open(&shadow.heap, MIB(16));
        shadow.on = copy_changes(changes, count);
        shadow.candidate = candidate, shadow.base = live->build,
        shadow.since_ns = platform_wall_ns();
        if (shadow.on)
            report(rq, false);
        else {
            end();
            rego_rc(rq, RC_NO_MEMORY, NULL);
        }
    }
    rego_release(live);
}

void rego_shadow_put(struct request *rq) {
    struct policy_errors errors;
    struct rego_change *changes;
    struct heap h;
    value body;
    u32 count;
    heap_open(&h, MIB(16));
    policy_errors_open(&errors, &h, 10);
    if (rego_body_value(rq, &h, &body) && rego_overrides_read(rq, body, &changes, &count))
        begin(rq, changes, count, &errors);
    heap_close(&h);
}

void rego_shadow_delete(struct request *rq) {
    end();
    reply_empty(rq, 204);
}
