/* SPDX-License-Identifier: Apache-2.0 */
/* import.c — records out of a file that streams in, CSV or JSON lines.
 *
 *   piece of the body --> rows --> up to DATA_IMPORT_ROWS of them --> one transaction --> the next
 *
 * Nothing is kept of the file but the rows of one transaction, so a file may be of any length. The
 * body is read between transactions, never inside one: a slow client holds nobody up. Therefore a
 * file is not one transaction: when a row is wrong, those of its transaction are not written, those
 * before are, and the answer says how many. A dry run reads the whole file, takes every
 * transaction back, and tells what is wrong; it does not see that two of its own rows, far apart,
 * clash. */
#include <stdio.h>
#include "app/audit/audit.h"
#include "app/data/csv.h"
#include "app/data/data_impl.h"
#include "app/metrics/metrics.h"

enum { DRAIN_BYTES = 8 << 20, PIECE = 16384, ROWS_ARENA = 16 << 20, ROWS_BYTES = 1 << 20 };

struct row {
    u64 line;
    str id;
    struct record record; /* of CSV: values taken */
    const cJSON *body;    /* of JSON lines */
};
struct import {
    struct request rq; /* its arena: of the rows at hand */
    struct request *outer;
    struct arena arena;
    struct collection *c;
    bool csv, upsert, dry, failed;
    const struct field *columns[CSV_CELLS_MAX]; /* NULL: the id, or nothing of ours */
    int id_column;
    u32 column_count;
    bool headed;
    struct row rows[DATA_IMPORT_ROWS];
    u32 count;
    size_t bytes; /* of those rows */
    u64 read, written, line;
    struct buf text; /* of JSON lines: the line so far */
    struct flaws flaws;
    char prefix[40];
    struct csv parser;
};

static void at_line(struct import *m, u64 line) {
    snprintf(m->prefix, sizeof m->prefix, "line %llu", (unsigned long long)line);
    m->flaws.prefix = m->prefix;
}

/* ---- Writing what is at hand ----------------------------------------------------------------- */

static rc_t write_rows(struct import *m, struct db_txn *t) {
    rc_t rc = RC_OK;
    for (u32 i = 0; !rc && i < m->count; i++) {
        struct row *row = &m->rows[i];
        struct write w = {.kind = m->upsert ? WRITE_UPSERT : WRITE_CREATE,
                          .id = row->id,
                          .body = row->body,
                          .ready = m->csv ? &row->record : NULL};
        at_line(m, row->line);
        rc = record_write(&m->rq, t, m->c, &w, &m->flaws);
        if (rc && w.status) rc = RC_PASS; /* told */
    }
    if (rc || m->dry) return rc;
    str resource = arena_join(m->rq.arena, m->c->name, S("/"));
    str detail = arena_printf(m->rq.arena, "{\"records\":%u}", m->count);
    struct audit_event e = {"data.import", resource, "ok", detail};
    return resource.ptr && detail.ptr ? audit_add(t, &m->rq, &e) : RC_NO_MEMORY;
}

static rc_t flush(struct import *m) {
    struct db_txn *t;
    struct diag why = {0};
    rc_t rc = RC_OK;
    if (!m->count || (m->flaws.count && !m->dry)) return RC_OK;
    rc = record_write_prepare(&m->rq, m->c, &why);
    if (!rc) rc = db_write_begin(&t);
    if (rc) return rc;
    rc = write_rows(m, t);
    if (m->dry)
        db_write_rollback(t);
    else
        rc = db_write_end(t, rc);
    changes_tell();
    if (rc && rc != RC_PASS) return rc;
    if (!rc && !m->dry) {
        m->written += m->count;
        metric_add(METRIC_DATA_WRITTEN, m->count);
    }
    m->failed |= rc == RC_PASS;
    m->count = 0;
    m->bytes = 0;
    arena_reset(&m->arena);
    return RC_OK;
}

/* Wrong rows are told; the file is read on only to tell more of them. */
static rc_t row_done(struct import *m, bool good, size_t bytes) {
    m->read++;
    if (good) m->count++;
    m->bytes += bytes;
    m->failed |= !good;
    if (m->flaws.count == DATA_FLAWS_MAX || (m->failed && !m->dry)) return RC_PASS;
    bool full = m->count == DATA_IMPORT_ROWS || m->bytes > ROWS_BYTES;
    rc_t rc = full ? flush(m) : RC_OK;
    return rc ? rc : m->failed && !m->dry ? RC_PASS : RC_OK;
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static rc_t take_header(struct import *m, const struct csv_cell *cells, u32 count) {
    static const char *const ours[] = {"version", "created_at", "updated_at", "created_by"};
    u64 seen = 0;
    m->id_column = -1;
    for (u32 i = 0; i < count; i++) {
        str name = str_trim(cells[i].text);
        const struct field *f = collection_field(m->c, name);
        bool known = f != NULL;
        if (str_eq(name, S("id")) && m->id_column < 0) m->id_column = (int)i, known = true;
        for (size_t k = 0; k < ARRAY_LEN(ours); k++) known |= str_eq(name, str_from_c(ours[k]));
        if (f && seen >> (f - m->c->fields) & 1) known = false;
        if (f) seen |= 1ull << (f - m->c->fields);
        m->columns[i] = f;
        if (known) continue;
        flaw_add(&m->flaws, "", "field_unknown", "column %u: \"%.*s\" is no field of it, or twice",
                 i + 1, STR(str_take(name, 60)));
        return RC_PASS;
    }
    m->column_count = count;
    m->headed = true;
    return RC_OK;
}

static rc_t on_row(void *arg, u64 line, const struct csv_cell *cells, u32 count) {
    struct import *m = arg;
    size_t bytes = 64;
    at_line(m, line);
    if (!m->headed) return take_header(m, cells, count);
    if (count != m->column_count) {
        flaw_add(&m->flaws, "", "column_count", "%u columns, and the header has %u", count,
                 m->column_count);
        return row_done(m, false, 0);
    }
    struct row *row = &m->rows[m->count];
    *row = (struct row){.line = line, .id = S("")};
    row->record.values = arena_alloc(&m->arena, (m->c->field_count + 1) * sizeof(struct db_value));
    if (!row->record.values) return RC_NO_MEMORY;
    for (u32 i = 0; i < m->c->field_count; i++) row->record.values[i] = m->c->fields[i].fallback;
    bool good = true;
    for (u32 i = 0; i < count; i++) {
        const struct field *f = m->columns[i];
        str text = arena_copy(&m->arena, csv_plain(cells[i].text));
        if (!text.ptr) return RC_NO_MEMORY;
        bytes += text.len;
        if ((int)i == m->id_column) row->id = text;
        if (!f) continue;
        struct db_value *v = &row->record.values[f - m->c->fields];
        if (!text.len && cells[i].quoted && f->type == FIELD_TEXT)
            *v = DB_TEXT(text);
        else if (text.len)
            good &= field_take_text(f, &m->arena, text, v, &m->flaws);
    }
    if (good) good = record_whole(m->c, &row->record, &m->flaws);
    return row_done(m, good, bytes);
}

/* ---- JSON lines ------------------------------------------------------------------------------ */

static rc_t take_line(struct import *m) {
    struct diag why = {0};
    cJSON *o = NULL;
    at_line(m, ++m->line);
    str line = str_trim(buf_str(&m->text));
    struct row *row = &m->rows[m->count];
    if (!line.len) {
        buf_clear(&m->text);
        return RC_OK;
    }
    str kept = arena_copy(&m->arena, line);
    size_t bytes = line.len;
    buf_clear(&m->text);
    if (!kept.ptr) return RC_NO_MEMORY;
    rc_t rc = json_parse(&m->arena, kept, &o, &why);
    if (rc == RC_NO_MEMORY) return rc;
    const cJSON *id = rc ? NULL : cJSON_GetObjectItemCaseSensitive(o, "id");
    bool good = !rc && cJSON_IsObject(o);
    if (!good)
        flaw_add(&m->flaws, "", "json_invalid", "%s",
                 why.text[0] ? why.text : "each line is one object");
    *row = (struct row){.line = m->line, .body = o, .id = S("")};
    if (cJSON_IsString(id)) row->id = str_from_c(id->valuestring);
    return row_done(m, good, 4 * bytes); /* trees are larger than their text */
}

static rc_t feed_lines(struct import *m, str bytes) {
    while (bytes.len) {
        size_t at = str_find_byte(bytes, '\n');
        if (buf_add(&m->text, str_take(bytes, at))) {
            at_line(m, m->line + 1);
            flaw_add(&m->flaws, "", "row_too_long", "more than %d bytes", DATA_IMPORT_ROW_MAX);
            return RC_PASS;
        }
        if (at == bytes.len) return RC_OK;
        bytes = str_skip(bytes, at + 1);
        rc_t rc = take_line(m);
        if (rc) return rc;
    }
    return RC_OK;
}

/* ---- The file -------------------------------------------------------------------------------- */

static rc_t feed(struct import *m, str bytes, bool end) {
    struct diag why = {0};
    rc_t rc = RC_OK;
    if (!m->csv) {
        rc = feed_lines(m, bytes);
        return !rc && end && m->text.len ? take_line(m) : rc;
    }
    rc = end ? csv_end(&m->parser, &why) : csv_feed(&m->parser, bytes, &why);
    if (!why.text[0]) return rc;
    at_line(m, (u64)why.line);
    flaw_add(&m->flaws, "", "csv_invalid", "%s", why.text);
    return RC_PASS;
}

/* A client that still sends would not read the answer: a little more is taken, and forgotten. */
static void drain(struct import *m, char *piece) {
    size_t got = 0;
    for (u32 left = DRAIN_BYTES; left; left -= MIN(left, (u32)got))
        if (http_body_read(m->outer->x, piece, PIECE, &got) || !got) return;
}

static rc_t read_file(struct import *m) {
    char *piece = arena_alloc(m->outer->arena, PIECE);
    size_t got = 0;
    rc_t rc = piece ? RC_OK : RC_NO_MEMORY;
    while (!rc && !(rc = http_body_read(m->outer->x, piece, PIECE, &got)) && got)
        rc = feed(m, str_of(piece, got), false);
    if (!rc) rc = feed(m, S(""), true);
    if (!rc) rc = flush(m);
    if (rc != RC_PASS) return rc;
    drain(m, piece); /* what is wrong is told */
    return RC_OK;
}

static void answer(struct import *m) {
    struct json_writer w;
    bool wrong = m->flaws.count > 0;
    json_open(&w, KIB(64));
    json_object(&w, NULL);
    if (wrong) {
        json_text(&w, "type", S("about:blank"));
        json_text(&w, "title", str_from_c(http_status_text(422)));
        json_int(&w, "status", 422);
        json_text(&w, "code", S("import_stopped"));
        json_text(&w, "detail",
                  m->dry ? S("Some rows cannot be written; nothing was.")
                         : S("A row cannot be written: neither it nor what came after was, nor "
                             "the rows just before it in the same transaction."));
        flaws_json(&w, &m->flaws);
        json_text(&w, "request_id", m->outer->http->id);
    }
    json_bool(&w, "dry_run", m->dry);
    json_int(&w, "rows", (s64)m->read);
    json_int(&w, "written", (s64)m->written);
    json_object_end(&w);
    if (wrong)
        reply_problem_json(m->outer, 422, &w);
    else
        reply_json(m->outer, 200, &w);
}

static bool wants(struct request *rq, const char *name, const char *a, const char *b, bool *is_b) {
    str text = {0};
    if (!request_query_text(rq, name, 16, &text)) return false;
    if (!text.ptr) return true;
    *is_b = str_eq(text, str_from_c(b));
    if (*is_b || str_eq(text, str_from_c(a))) return true;
    reply_problem(rq, 400, "query_invalid", "%s: %s or %s.", name, a, b);
    return false;
}

static bool import_begin(struct request *rq, struct import *m) {
    struct db_txn *t;
    str type = http_field(rq->http, S("Content-Type"));
    m->csv = type.ptr && str_starts(type, S("text/csv"));
    if (!wants(rq, "format", "jsonl", "csv", &m->csv) ||
        !wants(rq, "mode", "insert", "upsert", &m->upsert) ||
        !wants(rq, "dry_run", "false", "true", &m->dry))
        return false;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "The import");
        return false;
    }
    bool ok = collection_of(rq, t, rq->params[0], &m->c);
    db_read_end(t);
    if (!ok) return false;
    if (!m->c->is_view) return true;
    reply_problem(rq, 405, "view_read_only", "A view is read; import into its collection.");
    collection_release(m->c);
    return false;
}

void data_import_post(struct request *rq) {
    struct import *m = arena_zero(rq->arena, sizeof *m);
    if (!m) {
        reply_rc(rq, RC_NO_MEMORY, "The import");
        return;
    }
    m->outer = rq;
    if (!import_begin(rq, m)) return;
    arena_open(&m->arena, NULL, 0, ROWS_ARENA);
    m->rq = *rq;
    m->rq.arena = &m->arena;
    buf_open(&m->text, DATA_IMPORT_ROW_MAX);
    csv_open(&m->parser, DATA_IMPORT_ROW_MAX, on_row, m);
    rc_t rc = read_file(m);
    if (rc || m->flaws.count) http_close_after(rq->x); /* part of the body may be unread */
    if (!rc)
        answer(m);
    else if (rc == RC_INVALID || rc == RC_TIMEOUT || rc == RC_CLOSED)
        reply_problem(rq, 400, "body_cut_short",
                      "The file ended before its end; %llu records are written.",
                      (unsigned long long)m->written);
    else
        reply_rc(rq, rc, "The import");
    csv_close(&m->parser);
    buf_close(&m->text);
    arena_close(&m->arena);
    collection_release(m->c);
}
