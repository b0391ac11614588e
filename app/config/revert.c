/* SPDX-License-Identifier: Apache-2.0 */
/* revert.c — a setting tried without being stored, and put back to what it was.
 *
 *   POST /api/v1/config/{key}/check    {"value": ...}   would it be accepted? 200, or 422 as PUT
 *   POST /api/v1/config/{key}/revert   {"version": 7}   the value that version 7 left in force
 *
 * Going back is a change like any other: judged anew (what was accepted once may not be today),
 * stored with a version of its own, audited. Always true: nothing of the history is rewritten. What
 * is never shown cannot be put back, for the history does not hold it. */
#include "app/config/config_impl.h"
#include "app/reply.h"

static int option_asked(struct request *rq) {
    int i = option_find(rq->params[0]);
    if (i < 0)
        reply_problem(rq, 404, "config_key_unknown",
                      "There is no such option; GET /api/v1/config lists them.");
    return i;
}

static bool judged(struct request *rq, u32 i, str text, struct config_setting *out) {
    struct diag why = {0};
    out->option = i;
    rc_t rc = option_parse(&options[i], text, rq->arena, &out->text, &out->number, &why);
    if (rc == RC_NO_MEMORY) reply_rc(rq, rc, "Reading the value");
    else if (rc) reply_problem(rq, 422, "config_value_invalid", "%s.", why.text);
    return rc == RC_OK;
}

void config_check_one(struct request *rq) {
    cJSON *body;
    struct config_setting s;
    struct diag why = {0};
    struct json_writer w;
    str text;
    int i = option_asked(rq);
    if (i < 0 || !request_json(rq, &body) ||
        !request_members_known(rq, body, (const char *const[]){"value", NULL}))
        return;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, "value");
    if (!value) {
        reply_problem(rq, 422, "member_missing", "\"value\" is wanted.");
        return;
    }
    rc_t rc = option_text_of_json(&options[i], value, rq->arena, &text, &why);
    if (rc == RC_NO_MEMORY) {
        reply_rc(rq, rc, "Reading the value");
        return;
    }
    if (rc) {
        reply_problem(rq, 422, "config_value_invalid", "%s.", why.text);
        return;
    }
    if (!judged(rq, (u32)i, text, &s)) return;
    json_open(&w, KIB(4));
    json_object(&w, NULL);
    json_text(&w, "key", str_from_c(options[i].key));
    json_bool(&w, "valid", true);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* *text ptr NULL: it was not set then. */
static rc_t value_at(struct request *rq, u32 i, s64 version, str *text) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    *text = (str){NULL, 0};
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows,
                  "SELECT new FROM config_change WHERE key=?1 AND version<=?2"
                  " ORDER BY version DESC LIMIT 1",
                  DB_TEXT(str_from_c(options[i].key)), DB_INT(version));
    if (!rc && !(rc = db_next(rows)) && db_column_text(rows, 0).ptr) {
        *text = arena_copy(rq->arena, db_column_text(rows, 0));
        if (!text->ptr) rc = RC_NO_MEMORY;
    }
    db_done(rows);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static bool may_go_back(struct request *rq, u32 i, s64 version) {
    s64 newest;
    rc_t rc = config_store_version(&newest);
    if (rc) {
        reply_rc(rq, rc, "Reading the configuration");
    } else if (option_is_hidden(&options[i])) {
        reply_problem(rq, 409, "config_not_kept",
                      "The history does not hold values that are never shown.");
    } else if (config_fixed_by_machine(i)) {
        reply_problem(rq, 409, "config_set_by_machine",
                      "%s is set by the machine's configuration; change it there.", options[i].key);
    } else if (version > newest) {
        reply_problem(rq, 422, "config_version_unknown",
                      "There is no version %lld; the newest is %lld.", (long long)version,
                      (long long)newest);
    } else {
        return true;
    }
    return false;
}

void config_revert_one(struct request *rq) {
    cJSON *body;
    struct config_setting s = {0};
    s64 version = 0, now;
    str text;
    int i = option_asked(rq);
    if (i < 0 || !request_json(rq, &body) ||
        !request_members_known(rq, body, (const char *const[]){"version", NULL}) ||
        !request_member_int(rq, body, "version", true, 0, INT64_MAX >> 11, &version) ||
        !may_go_back(rq, (u32)i, version))
        return;
    rc_t rc = value_at(rq, (u32)i, version, &text);
    s.option = (u32)i;
    if (!rc && text.ptr && !judged(rq, (u32)i, text, &s)) return;
    if (!rc) rc = config_store_change(rq, &s, 1, !text.ptr, -1, &now);
    if (rc) {
        reply_rc(rq, rc, "Changing the configuration");
        return;
    }
    reply_etag(rq, now);
    config_answer_one(rq, (u32)i);
}
