/* SPDX-License-Identifier: Apache-2.0 */
/* audit.c — appends rows and checks the chain.
 *
 * Always true: a row is written by the transaction that makes the change it tells of, or the change
 * does not happen; a row is never updated, and deleted only by age (expire.c; triggers refuse even
 * our own SQL); its hash
 * covers it and all before it (chain.c). Text from outside is cut to AUDIT_TEXT_MAX and made valid
 * UTF-8, so the log is always readable. */
#include "app/audit/audit_impl.h"
#include "app/json.h"
#include "app/metrics/metrics.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

static const char *const steps[] = {
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, actor_id TEXT NOT NULL,"
    " actor TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL, resource TEXT NOT NULL,"
    " result TEXT NOT NULL, address TEXT NOT NULL, client TEXT NOT NULL, request_id TEXT NOT NULL,"
    " detail TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT,'the audit log is append-only'); END;"
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
    " BEGIN SELECT RAISE(ABORT,'the audit log is append-only'); END;",
    /* Whose member acted: who may read the row. Beside the chain, which tells what happened. */
    "ALTER TABLE audit ADD COLUMN org_id TEXT NOT NULL DEFAULT '';",
    /* expire.c: up to the anchor rows may go. */
    "CREATE TABLE audit_anchor(one INTEGER PRIMARY KEY CHECK(one=1), removed_id INTEGER NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "DROP TRIGGER audit_no_delete;"
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
    " WHEN old.id>coalesce((SELECT removed_id FROM audit_anchor),0)"
    " BEGIN SELECT RAISE(ABORT,'the audit log is append-only'); END;",
    NULL,
};
static const struct db_schema audit_schema = {.module = "audit", .steps = steps};

/* Printable and whole: control characters become '?', a cut never splits a character. Nearly every
 * text is so already, and is given back as it is. */
static str printable(str text, char *to, size_t room) {
    if (text.len <= room && json_plain_run(text) == text.len) return text;
    if (!str_is_utf8(text)) text = S("(not UTF-8)");
    text = str_take(text, room);
    while (text.len && !str_is_utf8(text)) text.len--;
    for (size_t i = 0; i < text.len; i++) {
        u8 c = (u8)text.ptr[i];
        to[i] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    return str_of(to, text.len);
}

void audit_row_read(struct db_rows *r, struct audit_row *out) {
    *out = (struct audit_row){
        .id = db_column_int(r, 0),
        .at_ns = db_column_int(r, 1),
        .actor_id = db_column_text(r, 2),
        .actor = db_column_text(r, 3),
        .role = db_column_text(r, 4),
        .action = db_column_text(r, 5),
        .resource = db_column_text(r, 6),
        .result = db_column_text(r, 7),
        .address = db_column_text(r, 8),
        .client = db_column_text(r, 9),
        .request_id = db_column_text(r, 10),
        .detail = db_column_text(r, 11),
        .hash = db_column_text(r, 12),
    };
}

/* The newest row, as the writer sees it: rows not yet committed included. What is remembered holds
 * as long as nothing written was taken back. */
static struct {
    u64 undone;
    s64 id; /* 0: not known */
    u8 hash[AUDIT_HASH_BYTES];
} newest;

static rc_t head(struct db_txn *t, s64 *out_id, u8 out_hash[AUDIT_HASH_BYTES]) {
    struct db_rows *r;
    if (newest.id && newest.undone == db_undone()) {
        *out_id = newest.id;
        memcpy(out_hash, newest.hash, AUDIT_HASH_BYTES);
        return RC_OK;
    }
    *out_id = 0;
    memcpy(out_hash, audit_genesis, AUDIT_HASH_BYTES);
    rc_t rc = db_query(t, &r, "SELECT id,hash FROM audit ORDER BY id DESC LIMIT 1");
    if (rc) return rc;
    rc = db_next(r);
    if (rc == RC_OK) {
        str hash = db_column_text(r, 1);
        *out_id = db_column_int(r, 0);
        if (hash.len == AUDIT_HASH_BYTES)
            memcpy(out_hash, hash.ptr, AUDIT_HASH_BYTES);
        else
            rc = RC_CORRUPT;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t insert(struct db_txn *t, const struct audit_row *row, str org_id,
                   const u8 hash[AUDIT_HASH_BYTES]) {
    return db_run(t,
                  "INSERT INTO audit(" AUDIT_COLUMNS ",org_id)"
                  " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
                  DB_INT(row->id), DB_INT(row->at_ns), DB_TEXT(row->actor_id), DB_TEXT(row->actor),
                  DB_TEXT(row->role), DB_TEXT(row->action), DB_TEXT(row->resource),
                  DB_TEXT(row->result), DB_TEXT(row->address), DB_TEXT(row->client),
                  DB_TEXT(row->request_id), DB_TEXT(row->detail),
                  DB_BLOB(str_of((const char *)hash, AUDIT_HASH_BYTES)), DB_TEXT(org_id));
}

static str or_empty(str s) {
    return s.ptr ? s : S("");
}

rc_t audit_add(struct db_txn *t, struct request *rq, const struct audit_event *event) {
    char address[48];
    UNINITIALIZED char client[AUDIT_TEXT_MAX], resource[AUDIT_TEXT_MAX], actor[AUDIT_TEXT_MAX];
    u8 hash[AUDIT_HASH_BYTES];
    /* What the event should name may be missing for want of memory: no row beats half a row, and
     * a change without its row is refused. */
    if (rq && rq->arena->starved) return RC_NO_MEMORY;
    struct audit_row row = {
        .at_ns = (s64)platform_wall_ns(),
        .actor_id = S(""),
        .actor = S("appliance"),
        .role = S(""),
        .action = str_from_c(event->action),
        .resource = printable(or_empty(event->resource), resource, sizeof resource),
        .result = str_from_c(event->result),
        .address = S(""),
        .client = S(""),
        .request_id = S(""),
        .detail =
            event->detail.len <= AUDIT_DETAIL_MAX ? or_empty(event->detail) : S("{\"cut\":true}"),
    };
    if (rq) {
        row.actor_id = or_empty(rq->actor.user_id);
        row.actor =
            rq->actor.email.len ? printable(rq->actor.email, actor, sizeof actor) : S("guest");
        row.role = or_empty(rq->actor.role);
        row.address = net_address_text(&rq->http->peer, address, sizeof address);
        row.client =
            printable(or_empty(http_field(rq->http, S("User-Agent"))), client, sizeof client);
        row.request_id = rq->http->id;
    }
    rc_t rc = head(t, &row.id, hash);
    if (rc) return rc;
    row.id++;
    audit_row_hash(hash, &row, hash);
    newest.id = 0;
    if ((rc = insert(t, &row, rq ? or_empty(rq->actor.org_id) : S(""), hash))) return rc;
    newest.id = row.id;
    newest.undone = db_undone();
    memcpy(newest.hash, hash, sizeof hash);
    metric_add(METRIC_AUDIT_ROWS, 1);
    return RC_OK;
}

rc_t audit_add_alone(struct request *rq, const struct audit_event *event) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    return db_write_end(t, audit_add(t, rq, event));
}

/* ---- Checking -------------------------------------------------------------------------------- */

enum { VERIFY_ROWS = 32 }; /* per turn of the loop: about 100 us of hashing */

/* The next rows after *id; *count of them fit. RC_CORRUPT: row *id + 1 (or what stands there). */
static rc_t verify_some(s64 *id, u8 hash[AUDIT_HASH_BYTES], u32 *count) {
    struct db_txn *t;
    struct db_rows *r = NULL;
    u8 wanted[AUDIT_HASH_BYTES];
    *count = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r, "SELECT " AUDIT_COLUMNS " FROM audit WHERE id>?1 ORDER BY id LIMIT ?2",
                  DB_INT(*id), DB_INT(VERIFY_ROWS));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct audit_row row;
        audit_row_read(r, &row);
        audit_row_hash(hash, &row, wanted);
        if (row.id != *id + 1 || !str_eq(row.hash, str_of((char *)wanted, sizeof wanted))) {
            rc = RC_CORRUPT;
            break;
        }
        memcpy(hash, wanted, sizeof wanted);
        *id = row.id;
        (*count)++;
    }
    db_done(r);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

rc_t audit_verify(u64 *out_rows, s64 *out_row) {
    u8 hash[AUDIT_HASH_BYTES];
    struct db_txn *t;
    s64 id = 0, first = 0;
    u32 count = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = audit_anchor_read(t, &first, hash);
    db_read_end(t);
    if (rc) return rc;
    id = first;
    for (;;) {
        rc = verify_some(&id, hash, &count);
        *out_rows = (u64)(id - first);
        *out_row = id + 1;
        if (rc || count < VERIFY_ROWS) return rc;
        if (fiber_inside()) fiber_yield();
    }
}

/* ---- The module ------------------------------------------------------------------------------ */

static const struct route_param list_query[] = {
    {"action", "string", "Exact action, such as user.login."},
    {"actor", "string", "User id or e-mail address."},
    {"resource", "string", "Beginning of the resource, such as policy/."},
    {"result", "string", "ok, denied or failed."},
    {"at__gte", "string", "Not before this time (RFC 3339)."},
    {"at__lt", "string", "Before this time (RFC 3339)."},
    {"limit", "integer", "1 to 100; 20."},
    {"offset", "integer", "Rows to skip."},
    {NULL, NULL, NULL},
};
static const struct route_param export_query[] = {
    {"action", "string", "Exact action, such as user.login."},
    {"actor", "string", "User id or e-mail address."},
    {"resource", "string", "Beginning of the resource, such as policy/."},
    {"result", "string", "ok, denied or failed."},
    {"at__gte", "string", "Not before this time (RFC 3339)."},
    {"at__lt", "string", "Before this time (RFC 3339)."},
    {NULL, NULL, NULL},
};

static const struct route audit_routes[] = {
    {.method = HTTP_GET,
     .pattern = "/api/v1/auth/audit-logs",
     .handle = audit_list_get,
     .access = ACCESS_ADMIN,
     .permission = "audit:log:read",
     .summary = "Read the audit log, newest first",
     .tag = "audit",
     .query = list_query,
     .answer_schema = "#AuditPage"},
    {.method = HTTP_GET,
     .pattern = "/api/v1/auth/audit-logs/export",
     .handle = audit_export_get,
     .access = ACCESS_ADMIN,
     .permission = "audit:log:export",
     .summary = "The audit log as JSON lines, oldest first, with the hash chain",
     .tag = "audit",
     .query = export_query},
    {.method = HTTP_GET,
     .pattern = "/api/v1/auth/audit-logs/verify",
     .handle = audit_verify_get,
     .access = ACCESS_ADMIN,
     .permission = "audit:log:verify",
     .summary = "Check the hash chain of the whole audit log",
     .tag = "audit",
     .answer_schema = "#AuditVerdict"},
    {.pattern = NULL},
};

static const struct module_schema audit_schemas[] = {
    {"AuditEntry",
     "{\"type\":\"object\",\"required\":[\"id\",\"at\",\"action\",\"result\",\"hash\"],"
     "\"properties\":{"
     "\"id\":{\"type\":\"integer\"},\"at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-"
     "time\"},"
     "\"actor_id\":{\"type\":\"string\"},\"actor\":{\"type\":\"string\"},\"role\":{\"type\":"
     "\"string\"},"
     "\"action\":{\"type\":\"string\"},\"resource\":{\"type\":\"string\"},"
     "\"result\":{\"type\":\"string\",\"enum\":[\"ok\",\"denied\",\"failed\"]},"
     "\"address\":{\"type\":\"string\"},\"client\":{\"type\":\"string\"},"
     "\"request_id\":{\"type\":\"string\"},\"detail\":{\"type\":[\"object\",\"null\"]},"
     "\"hash\":{\"type\":\"string\"}}}"},
    {"AuditPage",
     "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"limit\",\"next\"],\"properties\":{"
     "\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/AuditEntry\"}},"
     "\"total\":{\"type\":\"integer\"},\"limit\":{\"type\":\"integer\"},\"offset\":{\"type\":"
     "\"integer\"},"
     "\"next\":{\"type\":[\"string\",\"null\"]}}}"},
    {"AuditVerdict", "{\"type\":\"object\",\"required\":[\"intact\",\"rows\"],\"properties\":{"
                     "\"intact\":{\"type\":\"boolean\"},\"rows\":{\"type\":\"integer\"},"
                     "\"first_bad_row\":{\"type\":[\"integer\",\"null\"]}}}"},
    {NULL, NULL},
};

const struct module audit_module = {
    .name = "audit",
    .start = audit_expire_start,
    .stop = audit_expire_stop,
    .schema = &audit_schema,
    .routes = audit_routes,
    .schemas = audit_schemas,
};
