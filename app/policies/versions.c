/* SPDX-License-Identifier: Apache-2.0 */
/* versions.c — what a document was: its versions, their differences, its history.
 *
 * Whoever may read the document may read how it came to be. Versions never change, so two of them
 * always compare the same. Comparing runs on a worker. */
#include "app/page.h"
#include "app/policies/policies_impl.h"
#include "kernel/core/worker.h"

enum { ANSWER_MAX = 8 << 20 };

struct version {
    s64 number;
    str title, summary, body, category, jurisdiction, tags, priority, impact, language, author_id,
        author;
    u64 created_ns;
};
#define VERSION_COLUMNS                                                                            \
    "version,title,summary,body,category,jurisdiction,tags,priority,impact,language,author_id,"    \
    "author,"                                                                                      \
    "created_ns"

static rc_t version_read(struct db_rows *r, struct arena *a, struct version *v) {
    str *const texts[] = {&v->title,        &v->summary,   &v->body,     &v->category,
                          &v->jurisdiction, &v->tags,      &v->priority, &v->impact,
                          &v->language,     &v->author_id, &v->author};
    v->number = db_column_int(r, 0);
    v->created_ns = (u64)db_column_int(r, 12);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_copy(a, db_column_text(r, (int)i + 1));
        if (!texts[i]->ptr) return RC_NO_MEMORY;
    }
    return RC_OK;
}

static rc_t version_by_number(struct db_txn *t, struct arena *a, s64 policy, s64 number,
                              struct version *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(
        t, &r, "SELECT " VERSION_COLUMNS " FROM policy_content WHERE policy=?1 AND version=?2",
        DB_INT(policy), DB_INT(number));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = version_read(r, a, out);
    db_done(r);
    return rc;
}

static void version_json(struct json_writer *w, const struct version *v, bool with_body) {
    char name[24];
    json_object(w, NULL);
    json_text(w, "version", version_name(v->number, name));
    json_text(w, "title", v->title);
    json_text(w, "summary", v->summary);
    if (with_body) json_text(w, "body", v->body);
    json_text(w, "category", v->category);
    json_text(w, "jurisdiction", v->jurisdiction);
    json_raw(w, "tags", v->tags);
    json_text(w, "priority", v->priority);
    json_text(w, "impact", v->impact);
    json_text(w, "language", v->language);
    json_text(w, "author_id", v->author_id);
    json_text(w, "author", v->author);
    json_time(w, "created_at", v->created_ns);
    json_object_end(w);
}

static void no_such_version(struct request *rq) {
    reply_problem(rq, 404, "version_not_found",
                  "There is no such version; they are named 1.0, 1.1 ...");
}

/* ---- Versions -------------------------------------------------------------------------------- */

static rc_t versions_items(struct db_txn *t, struct request *rq, const struct page *page,
                           struct json_writer *w, u64 *out_total, void *arg) {
    const struct policy *p = arg;
    struct db_rows *r = NULL;
    *out_total = (u64)p->version;
    /* The body is not listed: an empty text stands in its column. */
    rc_t rc = db_query(t, &r,
                       "SELECT version,title,summary,'',category,jurisdiction,tags,priority,impact,"
                       "language,author_id,author,created_ns FROM policy_content WHERE policy=?1"
                       " ORDER BY version DESC LIMIT ?2 OFFSET ?3",
                       DB_INT(p->num), DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct version v;
        if ((rc = version_read(r, rq->arena, &v))) break;
        version_json(w, &v, false);
    }
    db_done(r);
    return rc;
}

void policy_versions_get(struct request *rq) {
    struct policy p;
    struct page page;
    if (!request_page(rq, &page) || !policy_fetch(rq, &p)) return;
    page_answer(rq, &page, ANSWER_MAX, versions_items, &p, "Listing the versions");
}

void policy_version_get(struct request *rq) {
    struct json_writer w;
    struct version v;
    struct policy p;
    struct db_txn *t;
    s64 number;
    if (!policy_fetch(rq, &p)) return;
    rc_t rc = version_parse(rq->params[1], &number) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = version_by_number(t, rq->arena, p.num, number, &v);
        db_read_end(t);
    }
    if (rc == RC_NOT_FOUND)
        no_such_version(rq);
    else if (rc)
        reply_rc(rq, rc, "Reading the version");
    if (rc) return;
    json_open(&w, ANSWER_MAX);
    version_json(&w, &v, true);
    reply_json(rq, 200, &w);
}

/* ---- Diff ------------------------------------------------------------------------------------ */

struct diff_job {
    struct json_writer *w;
    const struct version *from, *to;
    struct diff_stats stats;
    rc_t rc;
};
static void compare(void *arg) {
    struct diff_job *job = arg;
    job->rc = diff_json(job->w, job->from->body, job->to->body, &job->stats);
}

static void field_change(struct json_writer *w, const char *name, str from, str to) {
    if (str_eq(from, to)) return;
    json_object(w, NULL);
    json_text(w, "field", str_from_c(name));
    json_text(w, "from", from);
    json_text(w, "to", to);
    json_object_end(w);
}

static rc_t diff_write(struct json_writer *w, const struct version *from,
                       const struct version *to) {
    struct diff_job job = {.w = w, .from = from, .to = to};
    char name[24];
    json_object(w, NULL);
    json_text(w, "from", version_name(from->number, name));
    json_text(w, "to", version_name(to->number, name));
    json_array(w, "fields");
    field_change(w, "title", from->title, to->title);
    field_change(w, "summary", from->summary, to->summary);
    field_change(w, "category", from->category, to->category);
    field_change(w, "jurisdiction", from->jurisdiction, to->jurisdiction);
    field_change(w, "tags", from->tags, to->tags);
    field_change(w, "priority", from->priority, to->priority);
    field_change(w, "impact", from->impact, to->impact);
    field_change(w, "language", from->language, to->language);
    json_array_end(w);
    rc_t rc = worker_run(compare, &job);
    json_int(w, "added", (s64)job.stats.added);
    json_int(w, "removed", (s64)job.stats.removed);
    json_object_end(w);
    return rc ? rc : job.rc;
}

/* Both ends default sensibly: to = the newest, from = the one before it. false: answered. */
static bool diff_ends(struct request *rq, const struct policy *p, s64 *from, s64 *to) {
    str from_text = {0}, to_text = {0};
    if (!request_query_text(rq, "from", 16, &from_text) ||
        !request_query_text(rq, "to", 16, &to_text))
        return false;
    *to = p->version;
    bool fine = !to_text.ptr || version_parse(to_text, to);
    *from = MAX(*to - 1, 1);
    fine = fine && (!from_text.ptr || version_parse(from_text, from));
    if (!fine) reply_problem(rq, 400, "bad_version", "from, to: versions such as 1.0 and 1.1.");
    return fine;
}

void policy_diff_get(struct request *rq) {
    struct version a, b;
    struct json_writer w;
    struct policy p;
    struct db_txn *t;
    s64 from, to;
    if (!policy_fetch(rq, &p) || !diff_ends(rq, &p, &from, &to)) return;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = version_by_number(t, rq->arena, p.num, from, &a);
        if (rc == RC_OK) rc = version_by_number(t, rq->arena, p.num, to, &b);
        db_read_end(t);
    }
    if (rc == RC_OK) {
        json_open(&w, ANSWER_MAX);
        rc = diff_write(&w, &a, &b);
        if (rc)
            json_close(&w);
        else
            reply_json(rq, 200, &w);
    }
    if (rc == RC_NOT_FOUND)
        no_such_version(rq);
    else if (rc)
        reply_rc(rq, rc, "Comparing the versions");
}

/* ---- History --------------------------------------------------------------------------------- */

static rc_t history_items(struct db_txn *t, struct request *rq, const struct page *page,
                          struct json_writer *w, u64 *out_total, void *arg) {
    const struct policy *p = arg;
    struct db_rows *r = NULL;
    char version[24];
    (void)rq;
    rc_t rc =
        db_query(t, &r, "SELECT count(*) FROM policy_history WHERE policy=?1", DB_INT(p->num));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT at_ns,actor_id,actor,action,from_status,to_status,version,comment"
                  " FROM policy_history WHERE policy=?1 ORDER BY revision DESC LIMIT ?2 OFFSET ?3",
                  DB_INT(p->num), DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_time(w, "at", (u64)db_column_int(r, 0));
        json_text(w, "actor_id", db_column_text(r, 1));
        json_text(w, "actor", db_column_text(r, 2));
        json_text(w, "action", db_column_text(r, 3));
        json_text(w, "from", db_column_text(r, 4));
        json_text(w, "to", db_column_text(r, 5));
        json_text(w, "version", version_name(db_column_int(r, 6), version));
        json_text(w, "comment", db_column_text(r, 7));
        json_object_end(w);
    }
    db_done(r);
    return rc;
}

void policy_history_get(struct request *rq) {
    struct policy p;
    struct page page;
    if (!request_page(rq, &page) || !policy_fetch(rq, &p)) return;
    page_answer(rq, &page, ANSWER_MAX, history_items, &p, "Reading the history");
}
