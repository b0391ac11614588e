/* SPDX-License-Identifier: Apache-2.0 */
/* list.c — many documents: filtered lists, full-text search, counts.
 *
 * Every statement here carries the same condition: what this actor may read. It is made by asking
 * access_decide about each status, so lists, counts and single documents can never disagree.
 * Snippets are cut by a worker: stems of some kilobytes per hit are too long for the loop. */
#include "app/access/access.h"
#include "app/filter.h"
#include "app/page.h"
#include "app/policies/policies_impl.h"
#include "kernel/core/worker.h"

enum { ANSWER_MAX = 4 << 20 };

/* ---- What may be seen ------------------------------------------------------------------------ */

static bool may_read(const struct request *rq, enum status s, str owner) {
    struct access_answer answer;
    access_decide_for(rq,
                      &(struct access_question){&rq->actor, S("policies:document:read"), S("any"),
                                                owner, status_name(s)},
                      &answer);
    return answer.allowed;
}

static void filter_visible(struct request *rq, struct filter *f) {
    str others = S("''"), own = S("''");
    bool own_more = false;
    for (int s = 0; s < STATUS_COUNT; s++) {
        str name = status_name((enum status)s);
        bool any = may_read(rq, (enum status)s, S(""));
        bool mine =
            rq->actor.user_id.len && may_read(rq, (enum status)s, rq->actor.user_id);
        if (any) others = arena_printf(f->arena, "%.*s,'%.*s'", STR(others), STR(name));
        if (mine) own = arena_printf(f->arena, "%.*s,'%.*s'", STR(own), STR(name));
        own_more |= mine && !any;
        if (!others.ptr || !own.ptr) break;
    }
    str sql = own_more
                  ? arena_printf(f->arena,
                                 "(p.status IN (%.*s) OR (p.author_id=? AND p.status IN (%.*s)))",
                                 STR(others), STR(own))
                  : arena_printf(f->arena, "p.status IN (%.*s)", STR(others));
    if (sql.ptr)
        filter_add(f, sql.ptr, DB_TEXT(rq->actor.user_id));
    else
        f->where = sql;
    if (access_reaches(&rq->actor, S("-"))) return; /* every organisation's */
    filter_add(f, "p.org_id IN ('',?)",
               DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S("")));
}

/* ---- Filters --------------------------------------------------------------------------------- */

static bool filter_text(struct request *rq, struct filter *f, const char *name,
                        const char *condition) {
    str text = {0};
    if (!request_query_text(rq, name, 256, &text)) return false;
    if (text.ptr) filter_add(f, condition, DB_TEXT(text));
    return true;
}

static bool filter_read(struct request *rq, struct filter *f) {
    str author = {0};
    filter_open(f, rq->arena);
    filter_visible(rq, f);
    if (!filter_text(rq, f, "status", "p.status=?") ||
        !filter_text(rq, f, "category", "p.category=?") ||
        !filter_text(rq, f, "jurisdiction", "p.jurisdiction=?") ||
        !filter_text(rq, f, "language", "p.language=?") ||
        !filter_text(rq, f, "priority", "p.priority=?") ||
        !filter_text(rq, f, "impact", "p.impact=?") ||
        !filter_text(rq, f, "tag", "p.num IN (SELECT policy FROM policy_tag WHERE tag=lower(?))") ||
        !request_query_text(rq, "author", 256, &author))
        return false;
    bool email = str_find_byte(author, '@') < author.len;
    if (author.ptr) filter_add(f, email ? "p.author=lower(?)" : "p.author_id=?", DB_TEXT(author));
    return filter_time(rq, f, "created_at__gte", "p.created_ns>=?") &&
           filter_time(rq, f, "created_at__lt", "p.created_ns<?") &&
           filter_time(rq, f, "updated_at__gte", "p.updated_ns>=?") &&
           filter_time(rq, f, "updated_at__lt", "p.updated_ns<?");
}

/* Adds the full-text condition for `q`. false: answered. *out->count == 0: no q. */
static bool filter_search(struct request *rq, struct filter *f, bool required, struct search *out) {
    str q = {0};
    *out = (struct search){.count = 0};
    if (!request_query_text(rq, "q", QUERY_MAX, &q)) return false;
    if (!q.ptr && !required) return true;
    rc_t rc = q.ptr ? search_parse(rq->arena, q, out) : RC_INVALID;
    if (rc == RC_INVALID || rc == RC_LIMIT) {
        reply_problem(rq, 400, "bad_search", "q: 1 to %d words, at most %d bytes.", QUERY_WORDS_MAX,
                      QUERY_MAX);
        return false;
    }
    if (rc) {
        reply_rc(rq, rc, "Reading the search");
        return false;
    }
    filter_add(f, "policy_fts MATCH ?", DB_TEXT(out->match));
    return true;
}

/* ---- Sorting --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *sql;
} orders[] = {
    {"updated_at", "p.updated_ns"},
    {"created_at", "p.created_ns"},
    {"title", "p.title COLLATE NOCASE"},
    {"status", "p.status"},
    {"priority",
     "CASE p.priority WHEN 'low' THEN 1 WHEN 'medium' THEN 2 WHEN 'high' THEN 3 ELSE 4 END"},
};

static bool order_read(struct request *rq, bool ranked, struct arena *a, str *out) {
    str sort = {0};
    if (!request_query_text(rq, "sort", 32, &sort)) return false;
    if (!sort.ptr) {
        *out = ranked ? S(" ORDER BY bm25(policy_fts,10.0,4.0,1.0,2.0),p.num DESC")
                      : S(" ORDER BY p.updated_ns DESC,p.num DESC");
        return true;
    }
    bool down = str_starts(sort, S("-"));
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        if (!str_eq(str_skip(sort, down), str_from_c(orders[i].name))) continue;
        *out = arena_printf(a, " ORDER BY %s%s,p.num DESC", orders[i].sql, down ? " DESC" : "");
        return true;
    }
    reply_problem(
        rq, 400, "bad_sort",
        "sort: updated_at, created_at, title, status or priority, with - for descending.");
    return false;
}

/* ---- Snippets -------------------------------------------------------------------------------- */

struct snippet_job {
    const struct search *search;
    struct policy *items;
    u32 count;
    struct arena *arena; /* handed over while the fiber is parked */
    bool failed;
};

/* Of the body, or of the summary when nothing in the body's beginning matches; into `body`. */
static void cut_snippets(void *arg) {
    struct snippet_job *job = arg;
    for (u32 i = 0; i < job->count; i++) {
        struct policy *p = &job->items[i];
        str in_body = search_snippet(job->arena, job->search, p->body);
        bool found = in_body.ptr && str_find(in_body, S("<mark>")) < in_body.len;
        str in_summary =
            found ? str_of(NULL, 0) : search_snippet(job->arena, job->search, p->summary);
        bool better = in_summary.ptr && str_find(in_summary, S("<mark>")) < in_summary.len;
        p->body = better ? in_summary : in_body;
        job->failed |= !p->body.ptr;
    }
}

/* ---- Listing --------------------------------------------------------------------------------- */

struct listing {
    struct filter filter;
    struct search search;
    struct page page;
    str order;
    struct policy items[100];
    u32 count;
    u64 total;
};

static rc_t listing_count(struct db_txn *t, struct listing *l, const char *from) {
    struct db_rows *r = NULL;
    str head = arena_printf(l->filter.arena, "SELECT count(*)%s", from);
    str sql = head.ptr ? filter_sql(&l->filter, head.ptr, "") : head;
    if (!sql.ptr) return RC_NO_MEMORY;
    rc_t rc = db_query_values(t, &r, sql.ptr, l->filter.values);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) l->total = (u64)db_column_int(r, 0);
    db_done(r);
    return rc;
}

static rc_t listing_rows(struct db_txn *t, struct listing *l, const char *from) {
    struct arena *a = l->filter.arena;
    struct db_rows *r = NULL;
    u32 limit = filter_bind(&l->filter, DB_INT(l->page.limit));
    u32 offset = filter_bind(&l->filter, DB_INT(l->page.offset));
    str head = arena_printf(a, "SELECT " POLICY_COLUMNS "%s%s",
                            l->search.count ? ",substr(p.body,1,16384)" : "", from);
    str tail = arena_printf(a, "%.*s LIMIT ?%u OFFSET ?%u", STR(l->order), limit, offset);
    str sql = head.ptr && tail.ptr ? filter_sql(&l->filter, head.ptr, tail.ptr) : str_of(NULL, 0);
    if (!sql.ptr) return RC_NO_MEMORY;
    rc_t rc = db_query_values(t, &r, sql.ptr, l->filter.values);
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK && l->count < ARRAY_LEN(l->items)) {
        struct policy *p = &l->items[l->count++];
        if ((rc = policy_read(r, a, p))) break;
        if (!l->search.count) continue;
        p->body = arena_copy(a, db_column_text(r, POLICY_COLUMN_COUNT));
        if (!p->body.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t listing_read(struct listing *l) {
    const char *from = l->search.count ? " FROM policy_fts JOIN policy p ON p.num=policy_fts.rowid"
                                       : " FROM policy p";
    struct db_txn *t;
    rc_t rc = l->search.count ? search_index_catch_up() : RC_OK;
    if (rc == RC_OK) rc = db_read_begin(&t);
    if (rc) return rc;
    rc = listing_count(t, l, from);
    if (rc == RC_OK) rc = listing_rows(t, l, from);
    db_read_end(t);
    if (rc || !l->search.count) return rc;
    struct snippet_job job = {&l->search, l->items, l->count, l->filter.arena, false};
    rc = worker_run(cut_snippets, &job);
    return rc ? rc : job.failed ? RC_NO_MEMORY : RC_OK;
}

static void listing_answer(struct request *rq, const struct listing *l) {
    struct json_writer w;
    json_open(&w, ANSWER_MAX);
    json_object(&w, NULL);
    json_array(&w, "items");
    for (u32 i = 0; i < l->count; i++) {
        policy_json(&w, NULL, &l->items[i], false);
        if (l->search.count) json_text(&w, "snippet", l->items[i].body);
        json_object_end(&w);
    }
    json_array_end(&w);
    page_json(rq, &w, &l->page, l->total);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static void list(struct request *rq, bool search_required) {
    struct listing *l = arena_zero(rq->arena, sizeof *l);
    if (!l) {
        reply_rc(rq, RC_NO_MEMORY, "Listing the documents");
        return;
    }
    if (!request_page(rq, &l->page) || !filter_read(rq, &l->filter) ||
        !filter_search(rq, &l->filter, search_required, &l->search) ||
        !order_read(rq, l->search.count > 0, rq->arena, &l->order))
        return;
    rc_t rc = listing_read(l);
    if (rc)
        reply_rc(rq, rc, "Listing the documents");
    else
        listing_answer(rq, l);
}
void policies_get(struct request *rq) {
    list(rq, false);
}
void policies_search_get(struct request *rq) {
    list(rq, true);
}

/* ---- Counts ---------------------------------------------------------------------------------- */

/* One array of {name, count}, most first. */
static rc_t facet(struct db_txn *t, struct json_writer *w, const struct filter *f,
                  const char *member, const char *head, const char *tail) {
    struct db_rows *r = NULL;
    str sql = filter_sql(f, head, tail);
    if (!sql.ptr) return RC_NO_MEMORY;
    json_array(w, member);
    rc_t rc = db_query_values(t, &r, sql.ptr, f->values);
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "name", db_column_text(r, 0));
        json_int(w, "count", db_column_int(r, 1));
        json_object_end(w);
    }
    db_done(r);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

#define FACET_TAIL(column) " GROUP BY " column " ORDER BY 2 DESC,1 LIMIT 1000"
#define FACET(column) "SELECT " column ",count(*) FROM policy p", FACET_TAIL(column)

struct facet_rule {
    const char *member, *head, *tail;
};
static const struct facet_rule by_category = {"items", FACET("p.category")},
                               by_jurisdiction = {"items", FACET("p.jurisdiction")},
                               by_tag = {"items",
                                         "SELECT g.tag,count(*) FROM policy p JOIN policy_tag g"
                                         " ON g.policy=p.num",
                                         FACET_TAIL("g.tag")};
static const struct facet_rule all_facets[] = {
    {"by_status", FACET("p.status")},
    {"by_category", FACET("p.category")},
    {"by_jurisdiction", FACET("p.jurisdiction")},
    {"by_language", FACET("p.language")},
    {"by_priority", FACET("p.priority")},
    {"by_impact", FACET("p.impact")},
};

static void facets(struct request *rq, const struct facet_rule *rules, size_t count,
                   const char *condition, bool with_total) {
    struct listing *l = arena_zero(rq->arena, sizeof *l);
    struct json_writer w;
    struct db_txn *t;
    rc_t rc = l ? db_read_begin(&t) : RC_NO_MEMORY;
    if (rc) {
        reply_rc(rq, rc, "Counting the documents");
        return;
    }
    filter_open(&l->filter, rq->arena);
    filter_visible(rq, &l->filter);
    if (condition) filter_add(&l->filter, condition, DB_NULL);
    json_open(&w, ANSWER_MAX);
    json_object(&w, NULL);
    if (with_total) rc = listing_count(t, l, " FROM policy p");
    if (with_total && rc == RC_OK) json_int(&w, "total", (s64)l->total);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = facet(t, &w, &l->filter, rules[i].member, rules[i].head, rules[i].tail);
    json_object_end(&w);
    db_read_end(t);
    if (rc) {
        json_close(&w);
        reply_rc(rq, rc, "Counting the documents");
        return;
    }
    reply_json(rq, 200, &w);
}
void policies_categories_get(struct request *rq) {
    facets(rq, &by_category, 1, "p.category<>''", false);
}
void policies_jurisdictions_get(struct request *rq) {
    facets(rq, &by_jurisdiction, 1, "p.jurisdiction<>''", false);
}
void policies_tags_get(struct request *rq) {
    facets(rq, &by_tag, 1, NULL, false);
}
void policies_stats_get(struct request *rq) {
    facets(rq, all_facets, ARRAY_LEN(all_facets), NULL, true);
}
