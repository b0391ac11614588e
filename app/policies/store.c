/* SPDX-License-Identifier: Apache-2.0 */
/* store.c — rows of policy documents.
 *
 *    policy          what is now; revision counts every change (ETag), version those of content
 *    policy_version  the contents before that: 1.0, 1.1, ... written when a newer one replaces them
 *    policy_tag      tag -> document, for filters and counts
 *    policy_event    who did what after the creation: for people (audit is for auditors)
 *    policy_fts      stems of the content; contentless, so a text is stored once   (index.c)
 *    policy_stale    whose content is newer than its stems                         (index.c)
 *
 *    policy_content, policy_history: views in which the newest version and the creation, which the
 *    row of the document tells, stand beside the others
 *
 * A new document is one row in two trees besides its own, so that creating one costs little: what
 * can be told from the row is not written a second time. One index serves all lists: it holds every
 * column that filters and counts ask for, so these never read the documents themselves.
 *
 * Always true: the versions before the newest are in policy_version, the newest never is; the body
 * is the last column, so that reading the others does not walk through it. */
#include "app/id.h"
#include "app/policies/policies_impl.h"
#include "kernel/platform.h"

#define CONTENT                                                                                    \
    " title TEXT NOT NULL, summary TEXT NOT NULL, category TEXT NOT NULL,"                         \
    " jurisdiction TEXT NOT NULL, tags TEXT NOT NULL, priority TEXT NOT NULL,"                     \
    " impact TEXT NOT NULL, language TEXT NOT NULL CHECK(language IN ('en','fr')),"
#define BODY " body TEXT NOT NULL"
/* As VERSION_COLUMNS (policies_impl.h): the author of version 1 is the document's. */
#define NEWEST_VERSION                                                                             \
    "SELECT num AS policy,version,title,summary,body,category,jurisdiction,tags,priority,impact,"  \
    "language,CASE version WHEN 1 THEN author_id ELSE editor_id END AS author_id,"                 \
    "CASE version WHEN 1 THEN author ELSE editor END AS author,"                                   \
    "CASE version WHEN 1 THEN created_ns ELSE edited_ns END AS created_ns FROM policy"

static const char *const steps[] = {
    "CREATE TABLE policy(num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE," CONTENT
    " status TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL,"
    " author_id TEXT NOT NULL, author TEXT NOT NULL, editor_id TEXT NOT NULL DEFAULT '',"
    " editor TEXT NOT NULL DEFAULT '', approver_id TEXT NOT NULL DEFAULT '',"
    " approver TEXT NOT NULL DEFAULT '', created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL,"
    " edited_ns INTEGER NOT NULL DEFAULT 0, approved_ns INTEGER NOT NULL DEFAULT 0,"
    " published_ns INTEGER NOT NULL DEFAULT 0," BODY ") STRICT;"
    "CREATE INDEX policy_list ON policy(updated_ns,status,author_id,category,jurisdiction,language,"
    "priority,impact,created_ns);"
    "CREATE TABLE policy_version(policy INTEGER NOT NULL REFERENCES policy(num) ON DELETE CASCADE,"
    " version INTEGER NOT NULL," CONTENT " author_id TEXT NOT NULL, author TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL," BODY ", PRIMARY KEY(policy,version)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE policy_tag(tag TEXT NOT NULL,"
    " policy INTEGER NOT NULL REFERENCES policy(num) ON DELETE CASCADE, PRIMARY KEY(tag,policy))"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX policy_tag_policy ON policy_tag(policy);"
    "CREATE TABLE policy_event(policy INTEGER NOT NULL REFERENCES policy(num) ON DELETE CASCADE,"
    " revision INTEGER NOT NULL, at_ns INTEGER NOT NULL, actor_id TEXT NOT NULL,"
    " actor TEXT NOT NULL, action TEXT NOT NULL, from_status TEXT NOT NULL,"
    " to_status TEXT NOT NULL, version INTEGER NOT NULL, comment TEXT NOT NULL,"
    " PRIMARY KEY(policy,revision)) STRICT, WITHOUT ROWID;"
    "CREATE VIRTUAL TABLE policy_fts USING fts5(title, summary, body, tags, content='',"
    " contentless_delete=1, tokenize=\"unicode61 remove_diacritics 2\");"
    "CREATE TABLE policy_stale(num INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;"
    "CREATE VIEW policy_content AS " NEWEST_VERSION
    " UNION ALL SELECT "
    "policy,version,title,summary,body,category,jurisdiction,tags,priority,impact,"
    "language,author_id,author,created_ns FROM policy_version;"
    "CREATE VIEW policy_history AS SELECT num AS policy,1 AS revision,created_ns AS at_ns,"
    "author_id AS actor_id,author AS actor,'create' AS action,'' AS from_status,"
    "'draft' AS to_status,1 AS version,'' AS comment FROM policy"
    " UNION ALL SELECT policy,revision,at_ns,actor_id,actor,action,from_status,to_status,version,"
    "comment FROM policy_event;",
    "ALTER TABLE policy ADD COLUMN org_id TEXT NOT NULL DEFAULT '';"
    "DROP INDEX policy_list;"
    "CREATE INDEX policy_list ON policy(updated_ns,status,author_id,category,jurisdiction,language,"
    "priority,impact,created_ns,org_id);",
    NULL,
};
const struct db_schema policies_schema = {.module = "policies", .steps = steps};

/* ---- Small things ---------------------------------------------------------------------------- */

str version_name(s64 version, char to[24]) {
    char *at = to + 24;
    u64 left = (u64)version - 1; /* versions count from 1 */
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    *--at = '.';
    *--at = '1';
    return str_of(at, (size_t)(to + 24 - at));
}

bool version_parse(str text, s64 *out) {
    s64 n;
    if (!str_starts(text, S("1.")) || str_to_s64(str_skip(text, 2), &n)) return false;
    if (n < 0 || n >= VERSIONS_MAX || (text.len > 3 && text.ptr[2] == '0')) return false;
    *out = n + 1;
    return true;
}

u64 policies_now_ns(void) {
    u64 wall = platform_wall_ns();
    return wall ? wall : platform_clock_ns();
}

void policy_json(struct json_writer *w, const char *key, const struct policy *p, bool with_body) {
    char version[24];
    json_object(w, key);
    json_text(w, "id", p->id);
    json_text(w, "title", p->title);
    json_text(w, "summary", p->summary);
    if (with_body) json_text(w, "body", p->body);
    json_text(w, "category", p->category);
    json_text(w, "jurisdiction", p->jurisdiction);
    json_raw(w, "tags", p->tags);
    json_text(w, "priority", p->priority);
    json_text(w, "impact", p->impact);
    json_text(w, "language", p->language);
    json_text(w, "status", p->status);
    json_text(w, "version", version_name(p->version, version));
    json_int(w, "revision", p->revision);
    json_text(w, "author_id", p->author_id);
    json_text(w, "author", p->author);
    json_text(w, "approver_id", p->approver_id.len ? p->approver_id : str_of(NULL, 0));
    json_text(w, "approver", p->approver.len ? p->approver : str_of(NULL, 0));
    json_time(w, "created_at", p->created_ns);
    json_time(w, "updated_at", p->updated_ns);
    json_time(w, "approved_at", p->approved_ns);
    json_time(w, "published_at", p->published_ns);
}

/* ---- Reading --------------------------------------------------------------------------------- */

rc_t policy_read(struct db_rows *r, struct arena *a, struct policy *out) {
    str *const texts[] = {&out->id,           &out->title,   &out->summary,   &out->category,
                          &out->jurisdiction, &out->tags,    &out->priority,  &out->impact,
                          &out->language,     &out->status,  &out->author_id, &out->author,
                          &out->approver_id,  &out->approver};
    *out = (struct policy){.num = db_column_int(r, 0)};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        str text = db_column_text(r, (int)i + 1);
        *texts[i] = text.len ? arena_copy(a, text) : S(""); /* many are: no memory for those */
        if (!texts[i]->ptr) return RC_NO_MEMORY;
    }
    out->version = db_column_int(r, 15);
    out->revision = db_column_int(r, 16);
    out->created_ns = (u64)db_column_int(r, 17);
    out->updated_ns = (u64)db_column_int(r, 18);
    out->approved_ns = (u64)db_column_int(r, 19);
    out->published_ns = (u64)db_column_int(r, 20);
    str org_id = db_column_text(r, 21);
    out->org_id = org_id.len ? arena_copy(a, org_id) : S("");
    return out->org_id.ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t policy_by_id(struct db_txn *t, struct arena *a, str id, struct policy *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT " POLICY_COLUMNS ",p.body FROM policy p WHERE p.id=?1",
                       DB_TEXT(id));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = policy_read(r, a, out);
    if (rc == RC_OK) {
        out->body = arena_copy(a, db_column_text(r, POLICY_COLUMN_COUNT));
        if (!out->body.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static rc_t tags_write(struct db_txn *t, const struct policy *p) {
    if (str_eq(p->tags, S("[]"))) return RC_OK;
    return db_run(t, "INSERT INTO policy_tag(tag,policy) SELECT value,?1 FROM json_each(?2)",
                  DB_INT(p->num), DB_TEXT(p->tags));
}

rc_t policy_insert(struct db_txn *t, struct policy *p) {
    p->version = p->revision = 1;
    p->created_ns = p->updated_ns = policies_now_ns();
    rc_t rc =
        db_run(t,
               "INSERT INTO policy(id,title,summary,body,category,jurisdiction,tags,priority,"
               "impact,language,status,version,revision,author_id,author,created_ns,updated_ns,"
               "org_id) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,1,1,?12,?13,?14,?14,?15)",
               DB_TEXT(p->id), DB_TEXT(p->title), DB_TEXT(p->summary), DB_TEXT(p->body),
               DB_TEXT(p->category), DB_TEXT(p->jurisdiction), DB_TEXT(p->tags),
               DB_TEXT(p->priority), DB_TEXT(p->impact), DB_TEXT(p->language), DB_TEXT(p->status),
               DB_TEXT(p->author_id), DB_TEXT(p->author), DB_INT(p->created_ns),
               DB_TEXT(p->org_id));
    if (rc) return rc;
    p->num = db_last_id(t);
    return tags_write(t, p);
}

/* The content that is replaced becomes a row of its own. */
static rc_t version_keep(struct db_txn *t, const struct policy *p) {
    return db_run(t,
                  "INSERT INTO policy_version(policy,version,title,summary,body,category,"
                  "jurisdiction,tags,priority,impact,language,author_id,author,"
                  "created_ns) " NEWEST_VERSION " WHERE num=?1",
                  DB_INT(p->num));
}

rc_t policy_update(struct db_txn *t, const struct policy *p, const struct actor *who) {
    rc_t rc = version_keep(t, p);
    if (rc == RC_OK)
        rc = db_run(
            t,
            "UPDATE policy SET title=?2,summary=?3,body=?4,category=?5,jurisdiction=?6,tags=?7,"
            "priority=?8,impact=?9,language=?10,version=?11,revision=?12,updated_ns=?13,"
            "edited_ns=?13,editor_id=?14,editor=?15 WHERE num=?1",
            DB_INT(p->num), DB_TEXT(p->title), DB_TEXT(p->summary), DB_TEXT(p->body),
            DB_TEXT(p->category), DB_TEXT(p->jurisdiction), DB_TEXT(p->tags), DB_TEXT(p->priority),
            DB_TEXT(p->impact), DB_TEXT(p->language), DB_INT(p->version), DB_INT(p->revision),
            DB_INT(p->updated_ns), DB_TEXT(who->user_id), DB_TEXT(who->email));
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM policy_tag WHERE policy=?1", DB_INT(p->num));
    if (rc == RC_OK) rc = tags_write(t, p);
    return rc ? rc : search_index_stale(t, p);
}

rc_t policy_delete(struct db_txn *t, const struct policy *p) {
    rc_t rc = search_index_drop(t, p);
    return rc ? rc : db_run(t, "DELETE FROM policy WHERE num=?1", DB_INT(p->num));
}

/* Not for the creation: policy_history reads that from the document's row. */
rc_t policy_event(struct db_txn *t, struct request *rq, const struct policy *p, str action,
                  str from, str to, str comment) {
    return db_run(t,
                  "INSERT INTO policy_event(policy,revision,at_ns,actor_id,actor,action,"
                  "from_status,to_status,version,comment) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
                  DB_INT(p->num), DB_INT(p->revision), DB_INT(p->updated_ns),
                  DB_TEXT(rq->actor.user_id), DB_TEXT(rq->actor.email), DB_TEXT(action),
                  DB_TEXT(from), DB_TEXT(to), DB_INT(p->version),
                  DB_TEXT(comment.ptr ? comment : S("")));
}
