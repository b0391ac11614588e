/* SPDX-License-Identifier: Apache-2.0 */
/* list.c — many records: filtered, sorted, found by words, page by page.
 *
 *   SELECT columns FROM d7 WHERE rule AND organisation AND view AND filter AND after-cursor
 *   ORDER BY sort, num LIMIT n+1
 *
 * Two ways to turn pages. By offset: any page, at the cost of walking to it. By cursor: where the
 * last page ended, as the values sorted by and the row's number; it costs the same on every page
 * and neither skips nor repeats when records come and go meanwhile.
 *
 * A cursor is a place and no secret: it holds what its reader was shown, and whoever changes it
 * gets another place in the same list, through the same rules. */
#include <stdio.h>
#include "app/data/target.h"
#include "app/page.h"

enum { CURSOR_MAX = 2048, ITEMS_MAX = 100 };

struct listing {
    struct request *rq;
    struct target target;
    struct page page;
    str filter, sort, q, match, cursor, expand_text, fields;
    struct order order;
    struct selection selection;
    struct expand expand;
    struct flaws flaws;
    bool count, cost;
    cJSON *after; /* of the cursor: [hash of the order, num, values...] */
    struct record items[ITEMS_MAX + 1];
    u32 item_count;
    s64 total;
    struct db_cost spent;
};

/* ---- The cursor ------------------------------------------------------------------------------ */

static s64 order_mark(const struct listing *l) { /* a cursor is of one list */
    u64 h = str_hash(l->sort, 17);
    h = str_hash(l->filter, h);
    return (s64)(str_hash(l->q, h) & 0x7FFFFFFF);
}

static void put_key(struct json_writer *w, const struct listing *l, const struct record *r, u32 i) {
    const struct field *f = l->order.by[i].field;
    const char *system = l->order.by[i].system;
    char number[24];
    if (!f && !strcmp(system, "id")) {
        json_text(w, NULL, r->id);
        return;
    }
    if (!f) { /* too long for JSON's readers: as text */
        u64 ns = !strcmp(system, "created_ns") ? r->created_ns : r->updated_ns;
        snprintf(number, sizeof number, "%llu", (unsigned long long)ns);
        json_text(w, NULL, str_from_c(number));
        return;
    }
    const struct db_value *v = &r->values[f - l->target.c->fields];
    if (v->kind == DB_KIND_NULL)
        json_null(w, NULL);
    else if (v->kind == DB_KIND_INT)
        json_int(w, NULL, v->integer);
    else if (v->kind == DB_KIND_REAL)
        json_real(w, NULL, v->real);
    else
        json_text(w, NULL, v->bytes);
}

/* ptr NULL: there is none (a value is too long for an address). */
static str cursor_of(const struct listing *l, const struct record *r) {
    struct json_writer w;
    char *text = arena_alloc(l->rq->arena, 2 * CURSOR_MAX);
    json_open(&w, CURSOR_MAX / 2 - 1);
    json_array(&w, NULL);
    json_int(&w, NULL, order_mark(l));
    json_int(&w, NULL, r->num);
    for (u32 i = 0; i < l->order.count; i++) put_key(&w, l, r, i);
    json_array_end(&w);
    bool ok = text && !w.out.failed && !str_hex(w.out.ptr, w.out.len, text, 2 * CURSOR_MAX);
    json_close(&w);
    return ok ? str_from_c(text) : (str){0};
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool cursor_read(struct listing *l) {
    struct diag why = {0};
    char *text = arena_alloc(l->rq->arena, l->cursor.len / 2 + 1);
    bool ok = text && l->cursor.len % 2 == 0;
    for (size_t i = 0; ok && i < l->cursor.len / 2; i++) {
        int high = hex_digit(l->cursor.ptr[2 * i]), low = hex_digit(l->cursor.ptr[2 * i + 1]);
        ok = high >= 0 && low >= 0;
        if (ok) text[i] = (char)(high << 4 | low);
    }
    ok = ok &&
         json_parse(l->rq->arena, str_of(text, l->cursor.len / 2), &l->after, &why) == RC_OK &&
         cJSON_IsArray(l->after) && cJSON_GetArraySize(l->after) == (int)l->order.count + 2 &&
         cJSON_IsNumber(cJSON_GetArrayItem(l->after, 0)) &&
         cJSON_IsNumber(cJSON_GetArrayItem(l->after, 1)) &&
         (s64)cJSON_GetArrayItem(l->after, 0)->valuedouble == order_mark(l);
    if (!ok)
        flaw_add(&l->flaws, "cursor", "cursor_invalid",
                 "it is not of this list: the same filter, sort and q are wanted");
    return ok;
}

static struct db_value cursor_value(const struct listing *l, u32 i) {
    const cJSON *v = cJSON_GetArrayItem(l->after, (int)i + 2);
    s64 ns;
    if (cJSON_IsNumber(v)) return DB_REAL(v->valuedouble);
    if (!cJSON_IsString(v)) return DB_NULL;
    str text = str_from_c(v->valuestring);
    bool time = !l->order.by[i].field && strcmp(l->order.by[i].system, "id") != 0;
    if (time) return str_to_s64(text, &ns) ? DB_INT(0) : DB_INT(ns);
    return DB_TEXT(text);
}

static void put_column(const struct listing *l, struct sql *s, u32 i) {
    if (l->order.by[i].field)
        sql_put_name(s, l->order.by[i].field->column);
    else
        sql_put(s, l->order.by[i].system);
}

/* Behind v in the order; empty fields come first, and last when it is descending. */
static void put_behind(const struct listing *l, struct sql *s, u32 i, struct db_value v) {
    bool down = l->order.by[i].down, null = v.kind == DB_KIND_NULL;
    if (null && down) {
        sql_put(s, "0");
        return;
    }
    sql_put(s, "(");
    put_column(l, s, i);
    if (null) {
        sql_put(s, " IS NOT NULL)");
        return;
    }
    sql_put(s, down ? "<" : ">");
    sql_bind(s, v);
    if (down) {
        sql_put(s, " OR ");
        put_column(l, s, i);
        sql_put(s, " IS NULL");
    }
    sql_put(s, ")");
}

/* a > x OR (a = x AND b > y) OR (a = x AND b = y AND num > n); and a >= x before, for an index. */
static void put_cursor(const struct listing *l, struct sql *s) {
    u32 n = l->order.count;
    bool num_down = n && l->order.by[n - 1].down;
    s64 num = (s64)cJSON_GetArrayItem(l->after, 1)->valuedouble;
    if (n && !l->order.by[0].down && cursor_value(l, 0).kind != DB_KIND_NULL) {
        sql_put(s, " AND ");
        put_column(l, s, 0);
        sql_put(s, ">=");
        sql_bind(s, cursor_value(l, 0));
    }
    sql_put(s, " AND (");
    for (u32 i = 0; i <= n; i++) {
        sql_put(s, i ? " OR (" : "(");
        for (u32 k = 0; k < i; k++) {
            put_column(l, s, k);
            sql_put(s, " IS ");
            sql_bind(s, cursor_value(l, k));
            sql_put(s, " AND ");
        }
        if (i < n) {
            put_behind(l, s, i, cursor_value(l, i));
        } else {
            sql_put(s, num_down ? "num<" : "num>");
            sql_bind(s, DB_INT(num));
        }
        sql_put(s, ")");
    }
    sql_put(s, ")");
}

/* ---- The question ---------------------------------------------------------------------------- */

static bool listing_read(struct listing *l) {
    struct request *rq = l->rq;
    str count = {0}, cost = {0};
    if (!request_page(rq, &l->page) ||
        !request_query_text(rq, "filter", DATA_FILTER_BYTES_MAX, &l->filter) ||
        !request_query_text(rq, "sort", 256, &l->sort) ||
        !request_query_text(rq, "fields", 2048, &l->fields) ||
        !request_query_text(rq, "expand", 512, &l->expand_text) ||
        !request_query_text(rq, "q", 200, &l->q) ||
        !request_query_text(rq, "cursor", 2 * CURSOR_MAX, &l->cursor) ||
        !request_query_text(rq, "count", 5, &count) || !request_query_text(rq, "cost", 5, &cost))
        return false;
    l->count = str_eq(count, S("true"));
    l->cost = str_eq(cost, S("true"));
    return true;
}

static bool listing_understand(struct listing *l) {
    const struct collection *c = l->target.c;
    if (!l->sort.len && l->target.view) l->sort = l->target.view->view_sort;
    if (!order_parse(c, l->sort, &l->order, &l->flaws) ||
        !target_selection(&l->target, l->fields, &l->selection, &l->flaws) ||
        !expand_parse(c, l->expand_text, &l->expand, &l->flaws))
        return false;
    if (l->cursor.len && !cursor_read(l)) return false;
    if (!l->q.ptr) return true;
    l->match = words_match(l->rq->arena, l->q);
    if (!c->searched || !l->match.len) {
        flaw_add(&l->flaws, "q", c->searched ? "bad_search" : "not_searched",
                 c->searched ? "a word is wanted" : "no field of it is searched");
        return false;
    }
    return true;
}

static rc_t build(struct listing *l, const char *head, bool page, struct sql *s, struct diag *why) {
    char join[64] = "";
    const struct collection *c = l->target.c;
    if (l->match.len)
        snprintf(join, sizeof join, " JOIN %.*s_fts ON %.*s_fts.rowid=num", STR(c->table),
                 STR(c->table));
    sql_put(s, "SELECT ");
    if (head)
        sql_put(s, head);
    else
        sql_put_name(s, c->columns);
    rc_t rc = target_from(l->rq, &l->target, join, s, why);
    if (rc) return rc;
    if (l->match.len) {
        sql_put(s, " AND ");
        sql_put_name(s, c->table);
        sql_put(s, "_fts MATCH ");
        sql_bind(s, DB_TEXT(l->match));
    }
    if (l->filter.len) {
        sql_put(s, " AND ");
        if (!filter_parse(c, l->rq->arena, l->filter, s, &l->flaws)) return RC_PASS;
    }
    if (!page) return RC_OK;
    if (l->after) put_cursor(l, s);
    if (l->match.len && !l->order.count)
        sql_put(s, " ORDER BY rank,num");
    else
        order_put(&l->order, s);
    sql_put(s, " LIMIT ");
    sql_bind(s, DB_INT(l->page.limit + 1));
    if (!l->after && l->page.offset) {
        sql_put(s, " OFFSET ");
        sql_bind(s, DB_INT(l->page.offset));
    }
    return RC_OK;
}

static rc_t read_items(struct listing *l, struct db_txn *t, struct sql *s) {
    struct db_rows *r = NULL;
    rc_t rc = sql_query(s, t, &r);
    if (!rc) db_cost_begin(r);
    while (!rc && (rc = db_next(r)) == RC_OK && l->item_count < l->page.limit + 1)
        rc = record_read(r, l->target.c, l->rq->arena, &l->items[l->item_count++]);
    if (r) db_cost_add(r, &l->spent);
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t read_total(struct listing *l, struct db_txn *t, struct diag *why) {
    struct db_rows *r = NULL;
    struct sql s;
    sql_open(&s);
    rc_t rc = build(l, "count(*)", false, &s, why);
    if (!rc) rc = sql_query(&s, t, &r);
    if (!rc) db_cost_begin(r);
    if (!rc) rc = db_next(r);
    if (!rc) l->total = db_column_int(r, 0);
    if (r) db_cost_add(r, &l->spent);
    db_done(r);
    sql_close(&s);
    return rc;
}

/* ---- The answer ------------------------------------------------------------------------------ */

static rc_t put_items(struct listing *l, struct db_txn *t, struct json_writer *w) {
    rc_t rc = RC_OK;
    json_object(w, NULL);
    json_array(w, "items");
    for (u32 i = 0; !rc && i < MIN(l->item_count, (u32)l->page.limit); i++) {
        json_object(w, NULL);
        record_json(w, l->target.c, &l->items[i], &l->selection);
        if (l->expand.count) rc = expand_json(l->rq, t, l->target.c, &l->items[i], &l->expand, w);
        json_object_end(w);
    }
    json_array_end(w);
    return rc;
}

static void put_paging(struct listing *l, struct json_writer *w) {
    bool more = l->item_count > l->page.limit;
    bool ranked = l->match.len && !l->order.count; /* best first: there is no place in that */
    if (l->count) {
        page_json(l->rq, w, &l->page, (u64)l->total);
    } else {
        json_int(w, "limit", (s64)l->page.limit);
        json_int(w, "offset", (s64)l->page.offset);
    }
    json_bool(w, "more", more);
    json_text(w, "next_cursor",
              more && !ranked ? cursor_of(l, &l->items[l->page.limit - 1]) : (str){0});
    if (!l->cost) return;
    json_object(w, "cost");
    json_int(w, "steps", (s64)l->spent.steps);
    json_int(w, "rows_scanned", (s64)l->spent.scanned);
    json_int(w, "sorts", (s64)l->spent.sorts);
    json_int(w, "microseconds", (s64)(l->spent.spent_ns / NS_PER_US));
    json_object_end(w);
}

static rc_t listing_run(struct listing *l, struct db_txn *t, struct json_writer *w,
                        struct diag *why) {
    struct sql s;
    sql_open(&s);
    rc_t rc = build(l, NULL, true, &s, why);
    if (!rc) rc = read_items(l, t, &s);
    sql_close(&s);
    if (rc == RC_DENIED)
        rc = RC_OK; /* nothing is theirs to see: an empty list */
    else if (!rc && l->count)
        rc = read_total(l, t, why);
    if (!rc) rc = put_items(l, t, w);
    return rc;
}

void data_list_get(struct request *rq) {
    struct listing *l = arena_zero(rq->arena, sizeof *l);
    struct diag why = {0};
    struct json_writer w;
    struct db_txn *t;
    if (!l) {
        reply_rc(rq, RC_NO_MEMORY, "The records");
        return;
    }
    l->rq = rq;
    if (!listing_read(l)) return;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "The records");
        return;
    }
    if (!target_of(rq, t, rq->params[0], &l->target)) {
        db_read_end(t);
        return;
    }
    json_open(&w, DATA_ANSWER_MAX);
    if (!listing_understand(l)) rc = RC_PASS;
    if (!rc) rc = listing_run(l, t, &w, &why);
    db_read_end(t);
    bool large = w.out.failed || (rc == RC_NO_MEMORY && !rq->arena->starved);
    if (large) {
        json_close(&w);
        reply_problem(rq, 400, "page_too_large",
                      "These records are more than %d bytes: ask for fewer (limit) or for some of "
                      "their members (fields).",
                      DATA_ANSWER_MAX);
    } else if (!rc) {
        put_paging(l, &w);
        json_object_end(&w);
        reply_json(rq, 200, &w);
    } else {
        json_close(&w);
        if (rc == RC_PASS)
            reply_flaws(rq, 400, &l->flaws);
        else
            reply_read(rq, rc, &why);
    }
    target_release(&l->target);
}
