/* SPDX-License-Identifier: Apache-2.0 */
/* policies_impl.h — what the files of app/policies share. */
#pragma once
#include "app/module.h"
#include "app/reply.h"

/* ---- Bounds ---------------------------------------------------------------------------------- */

enum {
    TITLE_MIN = 10,  /* characters */
    TITLE_MAX = 300, /* bytes, as all below */
    SUMMARY_MAX = 4000,
    BODY_MAX = 262144,
    LABEL_MAX = 100, /* category, jurisdiction */
    TAG_MAX = 50,
    TAGS_MAX = 20,
    COMMENT_MAX = 2000,
    VERSIONS_MAX = 10000, /* of one document; then it must be copied */
    QUERY_MAX = 200,      /* a search text */
    QUERY_WORDS_MAX = 16,
};

/* ---- workflow.c: the life of a document ------------------------------------------------------ */

enum status {
    STATUS_DRAFT,
    STATUS_REVIEW,
    STATUS_APPROVED,
    STATUS_REJECTED,
    STATUS_PUBLISHED,
    STATUS_ARCHIVED,
    STATUS_COUNT
};
str status_name(enum status s);
bool status_parse(str text, enum status *out);
bool status_may_become(enum status from, enum status to);
bool status_editable(enum status s);
const char *status_permission(enum status to); /* what access_decide is asked for the step */

/* ---- stem.c: words as the index knows them --------------------------------------------------- */

enum language { ENGLISH, FRENCH };
#define WORD_MAX 64u
struct word {
    char text[WORD_MAX]; /* lower case, no diacritics, not stemmed */
    size_t len;
    size_t start, end; /* where it stood in the text */
};
/* The next word at or after *at; false at the end. Elided articles (l', d', qu') are skipped. */
bool word_next(str text, size_t *at, struct word *out);
/* In place; returns the new length. `text` as word_next gives it. */
size_t word_stem(enum language language, char *text, size_t len);
/* All words of `text`, stemmed, joined by blanks: what FTS5 indexes. */
rc_t text_stem(enum language language, str text, struct buf *out);

/* ---- search.c -------------------------------------------------------------------------------- */

struct search {
    str match; /* an FTS5 expression, in the arena */
    u32 count;
    struct {
        char text[2][WORD_MAX]; /* the word's stem in each language */
        u8 len[2];
        bool prefix;
    } words[QUERY_WORDS_MAX];
};
/* RC_INVALID: no word in it; RC_LIMIT: too many. Words are all wanted; "quoted" ones together;
 * wor* by their beginning. */
rc_t search_parse(struct arena *a, str text, struct search *out);
/* HTML-escaped piece of `text` around the best matches, those in <mark>. ptr NULL: no room. */
str search_snippet(struct arena *a, const struct search *s, str text);

/* ---- diff.c ---------------------------------------------------------------------------------- */

struct diff_stats {
    u64 added, removed;
};
/* Line by line, as hunks with context, into an open JSON object as member "hunks". Slow for large
 * texts: in a job. RC_NO_MEMORY; RC_LIMIT: the writer is full. */
rc_t diff_json(struct json_writer *w, str from, str to, struct diff_stats *out);

/* ---- store.c --------------------------------------------------------------------------------- */

struct policy {                                                 /* texts in the arena given */
    s64 num;                                                    /* row */
    str id, title, summary, body, category, jurisdiction, tags; /* tags: a JSON array, sorted */
    str priority, impact, language, status;
    str author_id, author, approver_id, approver;
    str org_id; /* whose it is; empty: everybody's */
    s64 version, revision; /* 1 is "1.0"; the ETag */
    u64 created_ns, updated_ns, approved_ns, published_ns;
};
#define POLICY_COLUMNS                                                                             \
    "p.num,p.id,p.title,p.summary,p.category,p.jurisdiction,p.tags,p.priority,p.impact,p."         \
    "language,"                                                                                    \
    "p.status,p.author_id,p.author,p.approver_id,p.approver,p.version,p.revision,p.created_ns,"    \
    "p.updated_ns,p.approved_ns,p.published_ns,p.org_id"
#define POLICY_COLUMN_COUNT 22
extern const struct db_schema policies_schema;
rc_t policy_read(struct db_rows *r, struct arena *a, struct policy *out);         /* no body */
rc_t policy_by_id(struct db_txn *t, struct arena *a, str id, struct policy *out); /* with body */
rc_t policy_insert(struct db_txn *t, struct policy *p);
/* New content as a new version. */
rc_t policy_update(struct db_txn *t, const struct policy *p, const struct actor *who);
rc_t policy_delete(struct db_txn *t, const struct policy *p);
rc_t policy_event(struct db_txn *t, struct request *rq, const struct policy *p, str action,
                  str from, str to, str comment);
str version_name(s64 version, char to[24]); /* 3: "1.2" */
bool version_parse(str text, s64 *out);
void policy_json(struct json_writer *w, const char *key, const struct policy *p, bool with_body);

/* ---- index.c: the search index, a moment behind the documents -------------------------------- */

rc_t search_index_stale(struct db_txn *t, const struct policy *p); /* its content changed */
rc_t search_index_drop(struct db_txn *t, const struct policy *p);  /* before its row is deleted */
/* after a commit with new content */
void search_index_later(void);
/* Parks until everything committed before the call can be found. */
rc_t search_index_catch_up(void);
rc_t search_index_start(struct diag *why);
void search_index_stop(void);

/* ---- Routes ---------------------------------------------------------------------------------- */

/* The document of the path if the actor may read it; answers 404 itself otherwise. */
bool policy_fetch(struct request *rq, struct policy *out);
u64 policies_now_ns(void);
void policies_get(struct request *rq), policies_post(struct request *rq);
void policy_get(struct request *rq), policy_put(struct request *rq),
    policy_delete_(struct request *rq);
void policy_status_post(struct request *rq);
void policy_versions_get(struct request *rq), policy_version_get(struct request *rq);
void policy_history_get(struct request *rq), policy_diff_get(struct request *rq);
void policies_search_get(struct request *rq), policies_stats_get(struct request *rq);
void policies_categories_get(struct request *rq), policies_jurisdictions_get(struct request *rq);
void policies_tags_get(struct request *rq);
