/* SPDX-License-Identifier: Apache-2.0 */
/* decision.c — the decision log: what was asked, with what input, what was answered, by which
 * revision. Records have the reference's form, so that what reads its logs reads ours.
 *
 *   decision --encode, mask--> queue in memory --one transaction a second--> rego_decision
 *
 * The queue is bounded: when it is full the oldest record goes and is counted. The table keeps the
 * newest DECISIONS_KEPT. A power cut costs the last second of records and nothing else: no answer
 * waits for the log. A policy may take parts out (data.system.log.mask: pointers such as
 * "/input/password") or leave a record out (data.system.log.drop); what was discovered may name
 * one more of each, which stands beside them. One that fails costs the record: rather none than
 * one with a secret in it. */
#include <stdio.h>
#include "app/config/config.h"
#include "app/config/sources.h"
#include "app/id.h"
#include "app/metrics/metrics.h"
#include "app/page.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"
#include "app/rego/rego_impl.h"
#include "app/utc.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum {
    QUEUE_MAX = 2048,
    QUEUE_BYTES_MAX = 4 << 20,
    FLUSH_MS = 1000,
    FLUSH_ROWS = 256,
    DECISIONS_KEPT = 10000,
    RECORD_BYTES_MAX = 256 << 10,
    RECORD_BYTES = 1 << 10,
    LIST_BYTES_MAX = 4 << 20
};

struct record {
    struct record *next;
    u64 at_ns;
    char id[ID_ROOM];
    u32 path_len, len;
    char text[]; /* the path, then the record as JSON */
};
static struct {
    struct record *first, *last;
    u32 count;
    size_t bytes;
} queue;
static struct timer timer;
static bool flushing;

static void queue_drop_first(void) {
    struct record *r = queue.first;
    queue.first = r->next;
    if (!queue.first) queue.last = NULL;
    queue.count--, queue.bytes -= r->len;
    memory_free(MEMORY_POLICY, r);
}

static void queue_add(struct record *r) {
    while (queue.count >= QUEUE_MAX || (queue.count && queue.bytes + r->len > QUEUE_BYTES_MAX)) {
        queue_drop_first();
        metric_add(METRIC_DECISIONS_LOST, 1);
    }
    if (queue.last)
        queue.last->next = r;
    else
        queue.first = r;
    queue.last = r;
    queue.count++, queue.bytes += r->len;
    if (!timer_waiting(&timer) && !flushing && timer_start_after_ms(&timer, FLUSH_MS))
        metric_add(METRIC_DECISIONS_LOST, 0); /* no timer left: the next decision tries again */
}

/* ---- Masks ---- */

/* `v` without what lies at keys[0..count), or with `instead` there; unchanged if it is not there.
 */
static value masked(struct heap *h, value v, const value *keys, u32 count, value instead,
                    bool *hit) {
    value below = value_get(v, keys[0]);
    if (v.kind != VALUE_OBJECT || (!value_defined(below) && (count > 1 || !value_defined(instead))))
        return v;
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    if (count > 1)
        below = masked(h, below, keys + 1, count - 1, instead, hit);
    else
        below = instead, *hit = true;
    for (u32 i = 0; i < value_count(v); i++)
        if (!value_equal(value_key_at(v, i), keys[0]))
            value_builder_replace(&b, value_key_at(v, i), value_value_at(v, i));
    if (value_defined(below)) value_builder_replace(&b, keys[0], below);
    return value_builder_close(&b);
}

static value mask_one(struct heap *h, value event, value rule, struct value_builder *erased,
                      struct value_builder *changed) {
    value op = value_get_str(rule, S("op")),
          path = rule.kind == VALUE_STRING ? rule : value_get_str(rule, S("path"));
    value keys[POLICY_PATH_DEPTH_MAX], instead = UNDEFINED;
    u32 count;
    bool hit = false;
    bool upsert = op.kind == VALUE_STRING && str_eq(value_str(op), S("upsert"));
    if (path.kind != VALUE_STRING ||
        document_path(h, value_str(path), keys, ARRAY_LEN(keys), &count) || !count)
        return event;
    bool known = keys[0].kind == VALUE_STRING && (str_eq(value_str(keys[0]), S("input")) ||
                                                  str_eq(value_str(keys[0]), S("result")));
    if (!known) return event;
    if (upsert) instead = value_get_str(rule, S("value"));
    event = masked(h, event, keys, count, instead, &hit);
    if (hit) value_builder_add(upsert ? changed : erased, path);
    return event;
}

static struct { char mask[DECISION_PATH_MAX + 1], drop[DECISION_PATH_MAX + 1]; } elsewhere;

void rego_log_elsewhere(str mask, str drop) {
    if (str_to_c(mask, elsewhere.mask, sizeof elsewhere.mask)) elsewhere.mask[0] = 0;
    if (str_to_c(drop, elsewhere.drop, sizeof elsewhere.drop)) elsewhere.drop[0] = 0;
}

bool rego_log_looked_at(const struct rego_state *s) {
    return s->build->has_mask || s->build->has_drop || elsewhere.mask[0] || elsewhere.drop[0];
}

/* The document at `path`, asked with the event as input; false: it cannot be told. */
static bool ask_policy(struct rego_state *s, struct policy_evaluator *e, const char *path,
                       value event, value *out) {
    struct policy_errors errors;
    struct policy_error error;
    struct policy_query *query;
    struct policy_ask ask = {.input = event};
    struct heap h;
    *out = UNDEFINED;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    rc_t rc = rego_query_of(s, str_from_c(path), &query, &errors);
    bool ok = rc == RC_OK || rc == RC_AGAIN;
    if (ok) {
        rego_ask_fill(&ask, s);
        ok = !policy_decide(e, query, &ask, out, &error);
        if (rc == RC_AGAIN) policy_query_drop(query);
    }
    heap_close(&h);
    return ok;
}

/* A policy's rules applied to the event; false: they cannot be told. */
static bool mask_all(struct heap *h, struct rego_state *s, struct policy_evaluator *e,
                     const char *path, value *event) {
    struct value_builder erased, changed;
    value rules;
    if (!ask_policy(s, e, path, *event, &rules)) return false;
    rules = value_defined(rules) ? value_copy(h, rules) : UNDEFINED;
    value_builder_open(&erased, h, VALUE_SET);
    value_builder_open(&changed, h, VALUE_SET);
    for (u32 i = 0; rules.kind == VALUE_SET && i < value_count(rules); i++)
        *event = mask_one(h, *event, value_item(rules, i), &erased, &changed);
    value names[] = {value_string_c(h, "erased"), value_string_c(h, "masked")};
    struct value_builder *const lists[] = {&erased, &changed};
    for (u32 i = 0; i < ARRAY_LEN(names); i++) {
        value before = value_get(*event, names[i]); /* of another policy */
        for (u32 k = 0; before.kind == VALUE_SET && k < value_count(before); k++)
            value_builder_add(lists[i], value_item(before, k));
        if (lists[i]->count)
            *event = masked(h, *event, &names[i], 1, value_builder_close(lists[i]), &(bool){false});
    }
    return true;
}

/* UNDEFINED: the policy wants no record. */
value rego_masked(struct heap *h, struct rego_state *s, value event) {
    const char *const drops[] = {s->build->has_drop ? "system/log/drop" : "", elsewhere.drop},
                     *const masks[] = {s->build->has_mask ? "system/log/mask" : "", elsewhere.mask};
    struct policy_evaluator *e;
    if (rego_evaluator_take(&e)) return UNDEFINED; /* rather no record than a secret in it */
    bool ok = true;
    for (u32 i = 0; ok && value_defined(event) && i < ARRAY_LEN(drops); i++) {
        value answer = UNDEFINED;
        ok = !drops[i][0] || ask_policy(s, e, drops[i], event, &answer);
        if (value_is_true(answer)) event = UNDEFINED;
    }
    for (u32 i = 0; ok && value_defined(event) && i < ARRAY_LEN(masks); i++)
        ok = !masks[i][0] || mask_all(h, s, e, masks[i], &event);
    if (!ok) metric_add(METRIC_DECISIONS_LOST, 1);
    rego_evaluator_give(e);
    return ok ? event : UNDEFINED;
}

/* ---- Records ---- */

static void put(struct heap *h, struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(h, name), v);
}

static value bundles_of(struct heap *h, value known) {
    struct value_builder all, one;
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(known); i++) {
        value manifest = value_get_str(value_value_at(known, i), S("manifest"));
        value revision = value_get_str(manifest, S("revision"));
        value_builder_open(&one, h, VALUE_OBJECT);
        put(h, &one, "revision", revision.kind == VALUE_STRING ? revision : value_null());
        value_builder_replace(&all, value_key_at(known, i), value_builder_close(&one));
    }
    return value_builder_close(&all);
}

/* The record as a value, for policies to look at. */
static value event_of(struct heap *h, const struct rego_decision *d, str id, str time) {
    struct value_builder b, m;
    char revision[24];
    snprintf(revision, sizeof revision, "%lld", (long long)d->state->revision);
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_open(&m, h, VALUE_OBJECT);
    put(h, &m, "timer_rego_query_eval_ns", value_integer((s64)d->eval_ns));
    put(h, &b, "decision_id", value_string(h, id));
    put(h, &b, "metrics", value_builder_close(&m));
    put(h, &b, "path", value_string(h, d->path));
    put(h, &b, "revision", value_string_c(h, revision));
    put(h, &b, "timestamp", value_string(h, time));
    put(h, &b, "request_id", value_string(h, d->request_id));
    if (value_count(d->state->bundles)) put(h, &b, "bundles", bundles_of(h, d->state->bundles));
    if (d->user.len) put(h, &b, "requested_by", value_string(h, d->user));
    if (value_defined(d->input)) put(h, &b, "input", d->input);
    if (value_defined(d->result)) put(h, &b, "result", d->result);
    return value_builder_close(&b);
}

static void add_text(struct buf *to, str name, str text) {
    (void)buf_add(to, name);
    json_text_write_string(to, text, 0);
}

/* The same record straight as text, when no policy wants to see it first. */
static void write_event(struct buf *to, const struct rego_decision *d, str id, str time) {
    char number[2][NUMBER_TEXT_ROOM];
    (void)buf_add(to, S("{\"decision_id\":\""));
    (void)buf_add(to, id);
    (void)buf_add(to, S("\",\"metrics\":{\"timer_rego_query_eval_ns\":"));
    (void)buf_add(to, number_text(value_integer((s64)d->eval_ns), number[0]));
    add_text(to, S("},\"path\":"), d->path);
    (void)buf_add(to, S(",\"revision\":\""));
    (void)buf_add(to, number_text(value_integer(d->state->revision), number[1]));
    (void)buf_add(to, S("\",\"timestamp\":\""));
    (void)buf_add(to, time);
    (void)buf_add(to, S("\",\"request_id\":\""));
    (void)buf_add(to, d->request_id);
    (void)buf_add(to, S("\""));
    if (value_count(d->state->bundles)) (void)buf_add(to, S(",")), rego_put_bundles(to, d->state);
    if (d->user.len) add_text(to, S(",\"requested_by\":"), d->user);
    if (value_defined(d->input)) {
        (void)buf_add(to, S(",\"input\":"));
        json_text_write(to, d->input, 0);
    }
    if (value_defined(d->result)) {
        (void)buf_add(to, S(",\"result\":"));
        json_text_write(to, d->result, 0);
    }
    (void)buf_add(to, S("}"));
}

/* False: the policy wants no record, or it cannot be made. */
static bool write_record(struct buf *to, const struct rego_decision *d, str id) {
    struct heap h;
    char room[UTC_ROOM];
    str time = utc_write(d->at_ns, room);
    bool seen = rego_log_looked_at(d->state), ok = true;
    heap_open(&h, MIB(4));
    if (!seen)
        write_event(to, d, id, time);
    else {
        value event = rego_masked(&h, d->state, event_of(&h, d, id, time));
        ok = value_defined(event);
        if (ok) json_text_write(to, event, 0);
    }
    if (ok && (h.exhausted || to->failed)) {
        metric_add(METRIC_DECISIONS_LOST, 1);
        ok = false;
    }
    heap_close(&h);
    return ok;
}

void rego_decision_log(const struct rego_decision *d, char id[ID_ROOM]) {
    struct buf text;
    str made;
    id[0] = 0;
    if (!config_bool("policy.decisions") || id_make(id, &made)) return;
    metric_add(METRIC_DECISIONS, 1);
    buf_open(&text, RECORD_BYTES_MAX);
    (void)buf_reserve(&text, RECORD_BYTES); /* most are no longer */
    if (write_record(&text, d, made)) {
        struct record *r = memory_alloc(MEMORY_POLICY, sizeof *r + d->path.len + text.len);
        if (r) {
            *r = (struct record){
                .at_ns = d->at_ns, .path_len = (u32)d->path.len, .len = (u32)text.len};
            memcpy(r->id, id, ID_ROOM);
            memcpy(r->text, d->path.ptr, d->path.len);
            memcpy(r->text + d->path.len, text.ptr, text.len);
            queue_add(r);
        } else
            metric_add(METRIC_DECISIONS_LOST, 1);
    }
    buf_close(&text);
}

/* ---- Into the database ---- */

static rc_t write_batch(struct record *first, u32 count) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    for (struct record *r = first; r && count && !rc; r = r->next, count--)
        rc = db_run(
            t, "INSERT INTO rego_decision(at_ns,decision_id,path,record) VALUES(?1,?2,?3,?4)",
            DB_INT(r->at_ns), DB_TEXT(str_of(r->id, ID_LEN)), DB_TEXT(str_of(r->text, r->path_len)),
            DB_TEXT(str_of(r->text + r->path_len, r->len)));
    if (!rc)
        rc = db_run(t, "DELETE FROM rego_decision WHERE id<=(SELECT max(id) FROM rego_decision)-?1",
                    DB_INT(DECISIONS_KEPT));
    if (!rc) return db_write_commit(t);
    db_write_rollback(t);
    return rc;
}

/* Takes a batch off the queue first, so that decisions made meanwhile cannot drop what is written.
 */
static rc_t flush_some(void) {
    struct record *first = queue.first, *last = NULL;
    u32 count = 0;
    size_t bytes = 0;
    for (struct record *r = first; r && count < FLUSH_ROWS; r = r->next)
        last = r, count++, bytes += r->len;
    if (!count) return RC_NOT_FOUND;
    queue.first = last->next;
    if (!queue.first) queue.last = NULL;
    last->next = NULL;
    queue.count -= count, queue.bytes -= bytes;
    rc_t rc = write_batch(first, count);
    if (rc) {
        metric_add(METRIC_DECISIONS_LOST, count);
        log_warn("rego", "decision records could not be written", "count=%u rc=%s", count,
                 rc_name(rc));
    }
    while (first) {
        struct record *next = first->next;
        memory_free(MEMORY_POLICY, first);
        first = next;
    }
    return rc;
}

void rego_decisions_flush(void) {
    while (flush_some() == RC_OK) {
    }
}

static void flush_fiber(void *arg) {
    (void)arg;
    rego_decisions_flush();
    flushing = false;
}

static void on_timer(void *arg) {
    (void)arg;
    flushing = true;
    if (fiber_start("decision log", flush_fiber, NULL, NULL)) flushing = false;
}

void rego_decisions_start(void) {
    timer_init(&timer, on_timer, NULL);
}

void rego_decisions_stop(void) {
    timer_stop(&timer);
    rego_decisions_flush();
}

/* ---- Reading ---- */

rc_t rego_decisions_each(u64 limit, str path, rc_t (*see)(void *arg, s64 id, str record),
                         void *arg) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(
        t, &rows,
        "SELECT id,record FROM rego_decision WHERE (?1='' OR path=?1) ORDER BY id DESC LIMIT ?2",
        DB_TEXT(path.ptr ? path : S("")), DB_INT(limit));
    while (!rc && !(rc = db_next(rows)))
        rc = see(arg, db_column_int(rows, 0), db_column_text(rows, 1));
    db_done(rows);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t decisions_items(struct db_txn *t, struct request *rq, const struct page *page,
                            struct json_writer *w, u64 *out_total, void *arg) {
    const str *path = arg;
    struct db_rows *rows = NULL;
    (void)rq;
    rc_t rc = db_query(t, &rows, "SELECT count(*) FROM rego_decision WHERE (?1='' OR path=?1)",
                       DB_TEXT(*path));
    if (!rc && !(rc = db_next(rows))) *out_total = (u64)db_column_int(rows, 0);
    db_done(rows);
    rows = NULL;
    if (!rc)
        rc = db_query(t, &rows,
                      "SELECT record FROM rego_decision WHERE (?1='' OR path=?1) ORDER BY id DESC "
                      "LIMIT ?2 OFFSET ?3",
                      DB_TEXT(*path), DB_INT(page->limit), DB_INT(page->offset));
    while (!rc && !(rc = db_next(rows))) json_raw(w, NULL, db_column_text(rows, 0));
    db_done(rows);
    return rc;
}

void rego_decisions_list(struct request *rq) {
    struct page page;
    str path = {0};
    if (!request_page(rq, &page) || !request_query_text(rq, "path", 1024, &path)) return;
    if (!path.ptr) path = S("");
    rego_decisions_flush();
    page_answer(rq, &page, LIST_BYTES_MAX, decisions_items, &path, "decision log");
}
