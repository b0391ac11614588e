/* SPDX-License-Identifier: Apache-2.0 */
/* ship.c — the decision log sent to a service, in the reference's form: gzip of a JSON array,
 * POST {service}/logs[/partition].
 *
 *   rego_decision (a ring) --from `position` on--> as many as fit --worker: gzip--> POST --2xx-->
 *   position moves, durable
 *
 * What was not acknowledged is sent again, also after a power cut: a collector may see a record
 * twice (decision_id tells), and none is left out while the ring still has it. Records that the
 * ring had to drop before they were sent are counted: that counter is one to be alarmed by.
 *
 * How many records fit is learnt: a chunk that came out too large is halved, one that was small
 * lets the next be larger. A record that alone is too large, or that the service refuses alone
 * (400, 413, 422), is left out and counted, lest it stop all that come after it.
 *
 * After a failure the next attempt comes sooner than the next regular upload, then later and later.
 */
#include "app/bundle/bundle.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/json.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "app/rego/service.h"
#include "app/version.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum {
    RECORDS_MAX = 4096,      /* of one chunk */
    RAW_BYTES_MAX = 4 << 20, /* of a chunk before gzip */
    ANSWER_BYTES_MAX = 64 << 10,
    ROUND_CHUNKS_MAX = 10000,
    TARGET_BYTES_MAX = 8 << 20, /* a section of the configuration, read */
};
#define RETRY_FIRST_MS 1000u
#define LABELS_MAX 16384u

static struct {
    struct timer timer;
    bool started, running, stopping;
    s64 position; /* the newest record the service has; -1: not read yet */
    u32 records;  /* that the next chunk tries to hold */
    u32 failures; /* in a row */
    /* For status */
    u64 sent, lost, refused, attempted_ns, succeeded_ns;
    int code;
    struct diag error;
} ship = {.position = -1, .records = 64};

/* ---- Where to: the options here, or else what was discovered ---- */

/* Texts in the arena. `on` false: nowhere. */
static struct decision_target target_of(struct arena *a) {
    struct decision_target t = {.service = config_text("decisions.service")};
    struct diag why;
    str text;
    t.on = t.service.len > 0;
    if (!t.on && discovery_found() && !section_text(a, "decision_logs", &text) &&
        decision_target_parse(a, text, &t, &why))
        t = (struct decision_target){0}; /* it was checked: there was no memory */
    if (!t.resource.len) t.resource = config_text("decisions.resource");
    if (!t.partition.len) t.partition = config_text("decisions.partition");
    if (!t.delay_min_s) t.delay_min_s = (u64)config_int("decisions.delay_min");
    if (!t.delay_max_s) t.delay_max_s = (u64)config_int("decisions.delay_max");
    if (!t.upload_bytes) t.upload_bytes = (u64)config_int("decisions.upload_bytes");
    t.delay_max_s = MAX(t.delay_max_s, t.delay_min_s);
    return t;
}

/* What can be told of it without its texts. */
static struct decision_target target_now(void) {
    struct arena a;
    arena_open(&a, NULL, 0, TARGET_BYTES_MAX);
    struct decision_target t = target_of(&a);
    arena_close(&a);
    t.service = t.partition = t.resource = (str){0};
    return t;
}

/* ---- The position ---------------------------------------------------------------------------- */

static rc_t position_read(void) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows,
                  "SELECT position FROM rego_shipping"
                  " WHERE position<=(SELECT coalesce(max(id),0) FROM rego_decision)");
    if (!rc) rc = db_next(rows);
    if (!rc) ship.position = db_column_int(rows, 0);
    /* None, or one that the ring never reached (an older copy was restored): all it has. */
    if (rc == RC_NOT_FOUND) ship.position = 0, rc = RC_OK;
    db_done(rows);
    db_read_end(t);
    return rc;
}

static rc_t position_move(s64 to) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(t,
                "INSERT INTO rego_shipping(one,position) VALUES(1,?1)"
                " ON CONFLICT DO UPDATE SET position=?1",
                DB_INT(to));
    rc = db_write_end(t, rc);
    if (!rc) ship.position = to;
    return rc;
}

/* ---- A chunk --------------------------------------------------------------------------------- */

struct chunk {
    struct buf raw, gzip;
    u32 count;
    s64 first, last;
    bool more; /* records wait behind it */
    rc_t rc;
};

/* The front of every record: who made it, in the words of status reports. */
static void labels_write(struct json_writer *w) {
    json_open(w, LABELS_MAX);
    json_object(w, NULL);
    json_object(w, "labels");
    json_text(w, "id", config_text("net.hostname"));
    json_text(w, "version", S(OPENPOLICY_VERSION));
    discovery_labels_json(w);
    json_object_end(w);
}

static rc_t chunk_add(struct chunk *c, s64 id, str record, str labels) {
    (void)!!buf_add(&c->raw, c->count ? S(",") : S("["));
    (void)!!buf_add(&c->raw, labels);
    (void)!!buf_add(&c->raw, S(","));
    rc_t rc = buf_add(&c->raw, str_skip(record, 1)); /* an object: behind its brace */
    if (!c->count) c->first = id;
    c->last = id;
    c->count++;
    return rc;
}

static rc_t chunk_fill(struct chunk *c, u32 records) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    struct json_writer labels;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    labels_write(&labels);
    buf_clear(&c->raw);
    c->count = 0, c->more = false;
    rc = db_query(t, &rows, "SELECT id,record FROM rego_decision WHERE id>?1 ORDER BY id LIMIT ?2",
                  DB_INT(ship.position), DB_INT(records + 1));
    while (!rc && !(rc = db_next(rows))) {
        str record = db_column_text(rows, 1);
        bool fits = c->raw.len + record.len + LABELS_MAX < RAW_BYTES_MAX;
        if ((c->more = c->count == records || (c->count && !fits))) break;
        rc = chunk_add(c, db_column_int(rows, 0), record, buf_str(&labels.out));
    }
    db_done(rows);
    db_read_end(t);
    json_close(&labels);
    if (rc && rc != RC_NOT_FOUND) return rc;
    return c->count ? buf_add(&c->raw, S("]")) : RC_NOT_FOUND;
}

static void gzip_on_worker(void *arg) {
    struct chunk *c = arg;
    buf_clear(&c->gzip);
    c->rc = gzip_pack(buf_str(&c->raw), &c->gzip);
}

/* As many records as come out below the limit. RC_NOT_FOUND: there are none; RC_LIMIT: one alone
 * is too large. */
static rc_t chunk_make(struct chunk *c) {
    size_t limit = (size_t)target_now().upload_bytes;
    for (u32 records = MAX(ship.records, 1u);; records = c->count / 2) {
        rc_t rc = chunk_fill(c, records);
        if (!rc) rc = worker_run(gzip_on_worker, c);
        if (!rc) rc = c->rc;
        if (rc) return rc;
        if (c->gzip.len <= limit) {
            bool small = c->gzip.len < limit / 2 && c->count == records;
            ship.records = small ? MIN(records * 2, (u32)RECORDS_MAX) : records;
            return RC_OK;
        }
        ship.records = MAX(c->count / 2, 1u);
        if (c->count == 1) return RC_LIMIT;
    }
}

/* ---- Sending --------------------------------------------------------------------------------- */

static rc_t path_of(struct arena *a, const struct decision_target *t, str *out) {
    *out = t->resource.len    ? arena_copy(a, t->resource)
           : t->partition.len ? arena_join(a, S("logs/"), t->partition)
                              : S("logs");
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t post(struct arena *a, const struct chunk *c, struct diag *why) {
    static const struct http_field fields[] = {{S("Content-Type"), S("application/json")},
                                               {S("Content-Encoding"), S("gzip")}};
    struct http_client_request r;
    struct http_client_answer answer = {0};
    struct service s;
    struct decision_target target = target_of(a);
    str path, body;
    rc_t rc = service_find(a, target.service, &s, why);
    if (!rc) rc = path_of(a, &target, &path);
    if (!rc) rc = service_request(a, &s, S("POST"), path, fields, ARRAY_LEN(fields), &r, why);
    if (rc) return RC_IO; /* not the records' fault, whatever it is */
    r.body = buf_str(&c->gzip);
    rc = http_client_fetch(a, &r, ANSWER_BYTES_MAX, &answer, &body, why);
    ship.code = rc ? 0 : answer.status;
    if (rc) return RC_IO;
    if (answer.status >= 200 && answer.status < 300) return RC_OK;
    diag_set(why, "%.*s answered %d %.*s", STR(str_take(r.url, 120)), answer.status,
             STR(str_take(answer.reason, 60)));
    bool about_it = answer.status == 400 || answer.status == 413 || answer.status == 422;
    return about_it ? RC_INVALID : RC_IO;
}

/* Records that went before they were sent. */
static void note_lost(const struct chunk *c) {
    s64 gap = c->first - ship.position - 1;
    if (gap <= 0 || ship.position == 0) return;
    ship.lost += (u64)gap;
    metric_add(METRIC_DECISIONS_UNSENT, (u64)gap);
    log_warn("rego", "decision records were dropped before they could be sent", "count=%lld",
             (long long)gap);
}

static rc_t leave_out(const struct chunk *c, const char *why) {
    ship.refused++;
    metric_add(METRIC_DECISIONS_REFUSED, 1);
    log_warn("rego", "a decision record cannot be sent and is left out", "id=%lld why=%s",
             (long long)c->first, LOGSTR(str_from_c(why)));
    return position_move(c->first);
}

/* RC_NOT_FOUND: nothing waits. */
static rc_t ship_chunk(struct chunk *c, struct diag *why) {
    struct arena a;
    rc_t rc = chunk_make(c);
    if (rc == RC_LIMIT && c->count == 1)
        return leave_out(c, "it is larger than decisions.upload_bytes");
    if (rc) return rc;
    note_lost(c);
    arena_open(&a, NULL, 0, TARGET_BYTES_MAX + MIB(1));
    rc = post(&a, c, why);
    arena_close(&a);
    if (rc == RC_INVALID && c->count > 1) { /* which of them? */
        ship.records = MAX(c->count / 2, 1u);
        return RC_OK;
    }
    if (rc == RC_INVALID) return leave_out(c, why->text);
    if (rc) return rc;
    ship.sent += c->count;
    metric_add(METRIC_DECISIONS_SENT, c->count);
    return position_move(c->last);
}

static rc_t ship_all(struct diag *why) {
    struct chunk c = {0};
    rc_t rc = ship.position < 0 ? position_read() : RC_OK;
    buf_open(&c.raw, RAW_BYTES_MAX + MIB(1));
    buf_open(&c.gzip, RAW_BYTES_MAX + MIB(2));
    rego_decisions_flush();
    for (u32 i = 0; !rc && i < ROUND_CHUNKS_MAX && !ship.stopping; i++) rc = ship_chunk(&c, why);
    buf_close(&c.raw);
    buf_close(&c.gzip);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- When ------------------------------------------------------------------------------------ */

static u64 random_below(u64 n) {
    u64 r;
    if (!n || platform_entropy(&r, sizeof r)) return 0;
    return r % n;
}

static u64 next_ms(void) {
    struct decision_target t = target_now();
    u64 least = t.delay_min_s * 1000, most = t.delay_max_s * 1000;
    if (!ship.failures) return least + random_below(most - least + 1);
    u64 wait = MIN((u64)RETRY_FIRST_MS << MIN(ship.failures - 1, 16u), most);
    return wait / 2 + random_below(wait / 2 + 1);
}

static void arm(void) {
    struct decision_target t = target_now();
    if (ship.started && !ship.stopping && t.on && !t.manual &&
        timer_start_after_ms(&ship.timer, next_ms()))
        log_warn("rego", "no timer is left: decisions are not sent until they are configured anew");
}

static void ship_fiber(void *arg) {
    struct diag why = {0};
    (void)arg;
    ship.attempted_ns = platform_wall_ns();
    rc_t rc = ship_all(&why);
    ship.error = (struct diag){0};
    if (rc) {
        if (!why.text[0]) diag_set(&why, "%s", rc_name(rc));
        ship.error = why;
        ship.failures++;
        metric_add(METRIC_DECISIONS_UPLOAD_FAILED, 1);
        log_warn("rego", "the decision log could not be sent; it is kept and tried again",
                 "failures=%u why=%s", ship.failures, LOGSTR(str_from_c(why.text)));
    } else {
        ship.failures = 0;
        ship.succeeded_ns = platform_wall_ns();
    }
    ship.running = false;
    arm();
}

static void on_timer(void *arg) {
    struct fiber *f;
    (void)arg;
    if (ship.running || ship.stopping) return;
    ship.running = !fiber_start("decision upload", ship_fiber, NULL, &f);
    if (!ship.running) arm();
}

static void on_change(void) {
    if (ship.running) return; /* it arms the timer itself */
    timer_stop(&ship.timer);
    ship.failures = 0;
    arm();
}

void rego_ship_configure(void) {
    if (ship.started && !ship.stopping) on_change();
}

void rego_ship_start(void) {
    static const char *const keys[] = {"decisions.service", "decisions.delay_min",
                                       "decisions.delay_max", "policy.services"};
    timer_init(&ship.timer, on_timer, NULL);
    for (size_t i = 0; i < ARRAY_LEN(keys) && !ship.started; i++)
        if (config_on_change(keys[i], on_change)) panic("config: too many watches at start");
    ship.started = true;
    ship.stopping = false;
    arm();
}

/* Calls end by themselves: the client has been told to stop. */
void rego_ship_stop(void) {
    ship.stopping = true;
    timer_stop(&ship.timer);
    for (u32 i = 0; ship.running && i < 100; i++) fiber_sleep_ms(10);
}

/* ---- Status ---------------------------------------------------------------------------------- */

void rego_ship_config(struct json_writer *w) {
    struct arena a;
    arena_open(&a, NULL, 0, TARGET_BYTES_MAX);
    struct decision_target t = target_of(&a);
    json_object(w, "decision_logs");
    json_bool(w, "enabled", config_bool("policy.decisions"));
    if (t.on) {
        json_text(w, "service", t.service);
        if (t.resource.len) json_text(w, "resource", t.resource);
        if (t.partition.len) json_text(w, "partition_name", t.partition);
        json_object(w, "reporting");
        json_int(w, "min_delay_seconds", (s64)t.delay_min_s);
        json_int(w, "max_delay_seconds", (s64)t.delay_max_s);
        json_int(w, "upload_size_limit_bytes", (s64)t.upload_bytes);
        if (t.manual) json_text(w, "trigger", S("manual"));
        json_object_end(w);
    }
    json_object_end(w);
    arena_close(&a);
}

const char *rego_ship_state(void) {
    if (!target_now().on) return NULL;
    return ship.failures ? "WARN" : "OK";
}

static void put_status(struct json_writer *w, const struct decision_target *t) {
    json_object(w, "decision_logs");
    json_text(w, "service", t->service);
    json_int(w, "sent", (s64)ship.sent);
    json_int(w, "dropped_unsent", (s64)ship.lost);
    json_int(w, "refused", (s64)ship.refused);
    json_int(w, "position", ship.position);
    json_time(w, "last_attempt", ship.attempted_ns);
    json_time(w, "last_success", ship.succeeded_ns);
    if (ship.failures) {
        json_int(w, "failures", ship.failures);
        if (ship.code) json_int(w, "http_code", ship.code);
        json_text(w, "code", S("decision_log_error"));
        json_text(w, "message", str_from_c(ship.error.text));
    }
    json_object_end(w);
}

void rego_ship_status(struct json_writer *w) {
    struct arena a;
    arena_open(&a, NULL, 0, TARGET_BYTES_MAX);
    struct decision_target t = target_of(&a);
    if (t.on) put_status(w, &t);
    arena_close(&a);
}
