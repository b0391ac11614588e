/* SPDX-License-Identifier: Apache-2.0 */
/* document.c — one document: create, read, change, step through its workflow, remove.
 *
 *    body -> members checked -> may they? -> one write: row, tags, event, audit row
 *         -> answer with ETag; the search index follows (index.c)
 *
 * Always true: what somebody may not read does not exist for them (404, so that a guess at an id
 * learns nothing); a change names the revision it was made from (If-Match: 428 without, 412 when
 * somebody was faster) and is checked again inside the write. */
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/id.h"
#include "app/metrics/metrics.h"
#include "app/policies/policies_impl.h"

/* ---- Members of a body ----------------------------------------------------------------------- */

static const char *const content_members[] = {"title",        "summary", "body",     "category",
                                              "jurisdiction", "tags",    "priority", "impact",
                                              "language",     NULL};

static bool title_member(struct request *rq, const cJSON *body, bool required, str *out) {
    size_t characters = 0;
    str title = {0};
    if (!request_member_text(rq, body, "title", required, 1, TITLE_MAX, &title)) return false;
    if (!title.ptr) return true;
    title = str_trim(title);
    for (size_t i = 0; i < title.len; i++) characters += ((u8)title.ptr[i] & 0xC0) != 0x80;
    if (characters < TITLE_MIN) {
        reply_problem(rq, 422, "title_too_short", "title: at least %d characters.", TITLE_MIN);
        return false;
    }
    *out = title;
    return true;
}

static bool word_member(struct request *rq, const cJSON *body, const char *name, const char *words,
                        str *out) {
    str text = {0}, rest = str_from_c(words), one;
    if (!request_member_text(rq, body, name, false, 1, 32, &text)) return false;
    if (!text.ptr) return true;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, text)) {
            *out = one;
            return true;
        }
    reply_problem(rq, 422, "invalid_choice", "%s: one of %s.", name, words);
    return false;
}

static bool label_member(struct request *rq, const cJSON *body, const char *name, str *out) {
    str text = {0};
    if (!request_member_text(rq, body, name, false, 0, LABEL_MAX, &text)) return false;
    if (text.ptr) *out = str_trim(text);
    return true;
}

static bool tags_invalid(struct request *rq) {
    reply_problem(rq, 422, "tags_invalid", "tags: an array of at most %d texts of 1 to %d bytes.",
                  TAGS_MAX, TAG_MAX);
    return false;
}

/* Trimmed, lower case (ASCII), sorted, each once. */
static rc_t tags_collect(struct request *rq, const cJSON *array, str tags[TAGS_MAX], u32 *count) {
    const cJSON *item;
    *count = 0;
    cJSON_ArrayForEach(item, array) {
        if (!cJSON_IsString(item)) return RC_INVALID;
        str tag = arena_copy(rq->arena, str_trim(str_from_c(item->valuestring)));
        if (!tag.ptr) return RC_NO_MEMORY;
        if (tag.len == 0 || tag.len > TAG_MAX) return RC_INVALID;
        for (size_t i = 0; i < tag.len; i++)
            if (tag.ptr[i] >= 'A' && tag.ptr[i] <= 'Z') ((char *)tag.ptr)[i] += 32;
        u32 at = 0;
        while (at < *count && str_cmp(tags[at], tag) < 0) at++;
        if (at < *count && str_eq(tags[at], tag)) continue;
        if (*count == TAGS_MAX) return RC_INVALID;
        for (u32 i = (*count)++; i > at; i--) tags[i] = tags[i - 1];
        tags[at] = tag;
    }
    return RC_OK;
}

static bool tags_member(struct request *rq, const cJSON *body, str *out) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(body, "tags");
    str tags[TAGS_MAX];
    struct json_writer w;
    u32 count;
    if (!array) return true;
    rc_t rc = cJSON_IsArray(array) ? tags_collect(rq, array, tags, &count) : RC_INVALID;
    if (rc == RC_INVALID) return tags_invalid(rq);
    if (rc == RC_OK) {
        json_open(&w, 16384);
        json_array(&w, NULL);
        for (u32 i = 0; i < count; i++) json_text(&w, NULL, tags[i]);
        json_array_end(&w);
        *out = arena_copy(rq->arena, buf_str(&w.out));
        if (w.out.failed || !out->ptr) rc = RC_NO_MEMORY;
        json_close(&w);
    }
    if (rc) reply_rc(rq, rc, "Reading the tags");
    return rc == RC_OK;
}

static bool content_members_read(struct request *rq, const cJSON *body, bool create,
                                 struct policy *p) {
    return request_members_known(rq, body, content_members) &&
           title_member(rq, body, create, &p->title) &&
           request_member_text(rq, body, "summary", false, 0, SUMMARY_MAX, &p->summary) &&
           request_member_text(rq, body, "body", false, 0, BODY_MAX, &p->body) &&
           label_member(rq, body, "category", &p->category) &&
           label_member(rq, body, "jurisdiction", &p->jurisdiction) &&
           tags_member(rq, body, &p->tags) &&
           word_member(rq, body, "priority", "low medium high critical", &p->priority) &&
           word_member(rq, body, "impact", "local regional national international", &p->impact) &&
           word_member(rq, body, "language", "en fr", &p->language);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void document_answer(struct request *rq, int status, const struct policy *p) {
    struct json_writer w;
    json_open(&w, 8 * BODY_MAX);
    policy_json(&w, NULL, p, true);
    json_object_end(&w);
    reply_etag(rq, p->revision);
    reply_json(rq, status, &w);
}

static void not_found(struct request *rq) {
    reply_problem(rq, 404, "policy_not_found",
                  "There is no document with this id that you may read.");
}

bool policy_fetch(struct request *rq, struct policy *out) {
    struct access_answer may;
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = policy_by_id(t, rq->arena, rq->params[0], out);
        db_read_end(t);
    }
    if (rc == RC_OK) {
        access_decide_for(rq,
                          &(struct access_question){&rq->actor, S("policies:document:read"),
                                                    out->id, out->author_id, out->status},
                          &may);
        if (!may.allowed || !access_reaches(&rq->actor, out->org_id)) rc = RC_NOT_FOUND;
    }
    if (rc == RC_NOT_FOUND)
        not_found(rq);
    else if (rc)
        reply_rc(rq, rc, "Reading the document");
    return rc == RC_OK;
}

void policy_get(struct request *rq) {
    struct policy p;
    if (!policy_fetch(rq, &p) || reply_not_modified(rq, p.revision)) return;
    document_answer(rq, 200, &p);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static rc_t audit(struct db_txn *t, struct request *rq, const struct policy *p, const char *action,
                  str from) {
    char version[24];
    return audit_add(
        t, rq,
        &(struct audit_event){
            .action = action,
            .resource = arena_join(rq->arena, S("policy/"), p->id),
            .result = "ok",
            .detail = arena_join(rq->arena, S("{\"version\":\""), version_name(p->version, version),
                                 S("\",\"from\":\""), from, S("\",\"to\":\""), p->status, S("\"}")),
        });
}

/* Event for people, audit row for auditors, both in `t`. `action` "policy.verb". */
static rc_t record(struct db_txn *t, struct request *rq, const struct policy *p, const char *action,
                   str from, str comment) {
    str verb = str_skip(str_from_c(action), sizeof "policy." - 1);
    rc_t rc = policy_event(t, rq, p, verb, from, p->status, comment);
    return rc ? rc : audit(t, rq, p, action, from);
}

static rc_t finish(struct db_txn *t, rc_t rc) {
    rc = db_write_end(t, rc);
    if (rc == RC_OK) metric_add(METRIC_POLICY_WRITES, 1);
    return rc;
}

static rc_t create_write(struct request *rq, struct policy *p) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = policy_insert(t, p);
    if (rc == RC_OK) rc = audit(t, rq, p, "policy.create", S(""));
    rc = finish(t, rc);
    if (rc == RC_OK) search_index_later();
    return rc;
}

void policies_post(struct request *rq) {
    struct policy p = {.summary = S(""),
                       .body = S(""),
                       .category = S(""),
                       .jurisdiction = S(""),
                       .tags = S("[]"),
                       .priority = S("medium"),
                       .impact = S("local"),
                       .language = S("en"),
                       .status = S("draft"),
                       .approver_id = S(""),
                       .approver = S(""),
                       .author_id = rq->actor.user_id,
                       .author = rq->actor.email,
                       .org_id = rq->actor.org_id.len ? rq->actor.org_id : S("")};
    char id[ID_ROOM];
    cJSON *body;
    if (!request_json(rq, &body) || !content_members_read(rq, body, true, &p)) return;
    rc_t rc = id_make(id, &p.id);
    if (rc == RC_OK) rc = create_write(rq, &p);
    if (rc) {
        reply_rc(rq, rc, "Creating the document");
        return;
    }
    reply_location(rq, arena_join(rq->arena, S("/api/v1/policies/"), p.id));
    document_answer(rq, 201, &p);
}

/* Inside the write: is the document still what the change was made from? RC_AGAIN: no. */
static rc_t still(struct db_txn *t, struct request *rq, const struct policy *before) {
    struct policy now;
    rc_t rc = policy_by_id(t, rq->arena, before->id, &now);
    if (rc) return rc;
    return now.revision == before->revision ? RC_OK : RC_AGAIN;
}

static void write_failed(struct request *rq, rc_t rc) {
    if (rc == RC_AGAIN)
        reply_problem(rq, 412, "changed_meanwhile",
                      "Somebody changed this document; read it again.");
    else if (rc == RC_NOT_FOUND)
        not_found(rq);
    else
        reply_rc(rq, rc, "Writing the document");
}

static rc_t update_write(struct request *rq, const struct policy *before, const struct policy *p) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = still(t, rq, before);
    if (rc == RC_OK) rc = policy_update(t, p, &rq->actor);
    if (rc == RC_OK) rc = record(t, rq, p, "policy.update", before->status, S(""));
    rc = finish(t, rc);
    if (rc == RC_OK) search_index_later();
    return rc;
}

static bool same_content(const struct policy *a, const struct policy *b) {
    return str_eq(a->title, b->title) && str_eq(a->summary, b->summary) &&
           str_eq(a->body, b->body) && str_eq(a->category, b->category) &&
           str_eq(a->jurisdiction, b->jurisdiction) && str_eq(a->tags, b->tags) &&
           str_eq(a->priority, b->priority) && str_eq(a->impact, b->impact) &&
           str_eq(a->language, b->language);
}

static bool may_edit(struct request *rq, const struct policy *p) {
    enum status status;
    if (!access_check(rq, S("policies:document:update"), p->id, p->author_id, p->status))
        return false;
    if (status_parse(p->status, &status) && status_editable(status)) return true;
    reply_problem(rq, 409, "not_editable", "A document that is %.*s cannot be edited.",
                  STR(p->status));
    return false;
}

void policy_put(struct request *rq) {
    struct policy before, p;
    cJSON *body;
    if (!policy_fetch(rq, &before) || !may_edit(rq, &before) ||
        !request_if_match(rq, before.revision, true))
        return;
    p = before;
    if (!request_json(rq, &body) || !content_members_read(rq, body, false, &p)) return;
    if (same_content(&p, &before)) { /* nothing to write, no version without a difference */
        document_answer(rq, 200, &before);
        return;
    }
    if (p.version == VERSIONS_MAX) {
        reply_problem(rq, 409, "too_many_versions", "This document has %d versions; copy it.",
                      VERSIONS_MAX);
        return;
    }
    p.version++;
    p.revision++;
    p.updated_ns = policies_now_ns();
    rc_t rc = update_write(rq, &before, &p);
    if (rc)
        write_failed(rq, rc);
    else
        document_answer(rq, 200, &p);
}

/* ---- Workflow -------------------------------------------------------------------------------- */

static rc_t status_write(struct request *rq, const struct policy *before, const struct policy *p,
                         str comment) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = still(t, rq, before);
    if (rc == RC_OK)
        rc = db_run(
            t,
            "UPDATE policy SET status=?2,revision=?3,updated_ns=?4,approver_id=?5,approver=?6,"
            "approved_ns=?7,published_ns=?8 WHERE num=?1",
            DB_INT(p->num), DB_TEXT(p->status), DB_INT(p->revision), DB_INT(p->updated_ns),
            DB_TEXT(p->approver_id), DB_TEXT(p->approver), DB_INT(p->approved_ns),
            DB_INT(p->published_ns));
    const char *action = str_eq(p->status, S("published")) ? "policy.publish" : "policy.status";
    if (rc == RC_OK) rc = record(t, rq, p, action, before->status, comment);
    return finish(t, rc);
}

static void step(struct request *rq, struct policy *p, enum status to) {
    p->status = status_name(to);
    p->revision++;
    p->updated_ns = policies_now_ns();
    if (to == STATUS_APPROVED || to == STATUS_REJECTED) {
        p->approver_id = rq->actor.user_id;
        p->approver = rq->actor.email;
    }
    if (to == STATUS_APPROVED) p->approved_ns = p->updated_ns;
    if (to == STATUS_PUBLISHED) p->published_ns = p->updated_ns;
    if (to == STATUS_DRAFT) p->approver_id = p->approver = S("");
}

static bool status_read(struct request *rq, enum status *to, str *comment) {
    static const char *const members[] = {"status", "comment", NULL};
    cJSON *body;
    str wanted;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "status", true, 1, 32, &wanted) ||
        !request_member_text(rq, body, "comment", false, 0, COMMENT_MAX, comment))
        return false;
    if (status_parse(wanted, to)) return true;
    reply_problem(rq, 422, "invalid_choice",
                  "status: one of draft under_review approved rejected published archived.");
    return false;
}

void policy_status_post(struct request *rq) {
    struct policy before, p;
    enum status from, to;
    str comment = S("");
    if (!policy_fetch(rq, &before) || !status_read(rq, &to, &comment)) return;
    if (!access_check(rq, str_from_c(status_permission(to)), before.id, before.author_id,
                      before.status))
        return;
    if (!request_if_match(rq, before.revision, false)) return;
    if (!status_parse(before.status, &from) || !status_may_become(from, to)) {
        reply_problem(rq, 409, "illegal_step", "A document that is %.*s cannot become %.*s.",
                      STR(before.status), STR(status_name(to)));
        return;
    }
    p = before;
    step(rq, &p, to);
    rc_t rc = status_write(rq, &before, &p, comment);
    if (rc)
        write_failed(rq, rc);
    else
        document_answer(rq, 200, &p);
}

/* ---- Removing -------------------------------------------------------------------------------- */

static rc_t delete_write(struct request *rq, const struct policy *p) {
    struct audit_event event = {
        .action = "policy.delete",
        .resource = arena_printf(rq->arena, "policy/%.*s", STR(p->id)),
        .result = "ok",
    };
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = still(t, rq, p);
    if (rc == RC_OK) rc = policy_delete(t, p);
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    return finish(t, rc);
}

void policy_delete_(struct request *rq) {
    struct policy p;
    if (!policy_fetch(rq, &p) ||
        !access_check(rq, S("policies:document:delete"), p.id, p.author_id, p.status) ||
        !request_if_match(rq, p.revision, false))
        return;
    if (!str_eq(p.status, S("draft"))) {
        reply_problem(rq, 409, "not_a_draft", "Only drafts can be deleted; this one is %.*s.",
                      STR(p.status));
        return;
    }
    rc_t rc = delete_write(rq, &p);
    if (rc)
        write_failed(rq, rc);
    else
        reply_empty(rq, 204);
}
