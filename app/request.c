/* SPDX-License-Identifier: Apache-2.0 */
/* request.c — what a handler asks of a request: its JSON body, typed members, paging.
 *
 * Each function answers for itself when the client erred (400, 413, 415, 422 with the member's
 * name and what is wanted) and then returns false: a handler is a list of `if (!...) return;`.
 * Declared in reply.h with the answers, for both are one habit.
 *
 * Always true: text handed out is UTF-8 without NUL and within the asked length; integers are
 * exact (a double beyond 2^53 is refused rather than rounded). */
#include "app/reply.h"
#include "kernel/base/log.h"
#include <math.h>

#define EXACT_INTEGER_MAX 9007199254740992.0 /* 2^53: beyond it a double skips integers */

static bool is_json_type(str type) {
    size_t semicolon = str_find_byte(type, ';');
    str base = str_trim(str_take(type, semicolon)), parameters = str_skip(type, semicolon);
    if (!str_eq_nocase(base, S("application/json")) &&
        !str_eq_nocase(base, S("application/merge-patch+json")) &&
        !str_eq_nocase(base, S("application/scim+json")))
        return false;
    size_t at = str_find_byte(parameters, '=');
    if (at == parameters.len) return true;
    str value = str_trim(str_skip(parameters, at + 1)); /* charset=utf-8 is what JSON is anyway */
    return str_eq_nocase(value, S("utf-8")) || str_eq_nocase(value, S("\"utf-8\""));
}

static void refuse_body(struct request *rq, rc_t rc) {
    switch (rc) {
    case RC_LIMIT:
        http_close_after(rq->x);
        reply_problem(rq, 413, "body_too_large", "The body may have at most %d bytes.",
                      HTTP_BODY_MAX);
        return;
    case RC_INVALID:
        http_close_after(rq->x);
        reply_problem(rq, 400, "body_broken", "The body's framing is broken.");
        return;
    case RC_TIMEOUT:
        http_close_after(rq->x);
        reply_problem(rq, 408, "body_late", "The body did not arrive in time.");
        return;
    case RC_CLOSED: /* it may have ended only its own side, and listen still */
        http_close_after(rq->x);
        reply_problem(rq, 400, "body_cut_short", "The body ended before its end.");
        return;
    default: reply_rc(rq, rc, "The body"); return;
    }
}

bool request_body(struct request *rq, str *out) {
    if (!rq->body.ptr) {
        rc_t rc = http_body_all(rq->x, HTTP_BODY_MAX, &rq->body);
        if (rc) {
            rq->body = (str){0};
            refuse_body(rq, rc);
            return false;
        }
        if (!rq->body.ptr) rq->body = S("");
    }
    *out = rq->body;
    return true;
}

bool request_json(struct request *rq, cJSON **out) {
    str text, type = http_field(rq->http, S("Content-Type"));
    struct diag why = {0};
    if (type.ptr && !is_json_type(type)) {
        reply_problem(rq, 415, "json_wanted", "Send the body as application/json in UTF-8.");
        return false;
    }
    if (!request_body(rq, &text)) return false;
    if (!text.len) {
        reply_problem(rq, 400, "body_missing", "A JSON object is wanted as the body.");
        return false;
    }
    rc_t rc = json_parse_parked(rq->arena, text, out, &why);
    if (rc == RC_INVALID || (rc == RC_LIMIT && why.text[0])) {
        reply_problem(rq, 400, "json_invalid", "The body is not acceptable JSON: %s.", why.text);
        return false;
    }
    if (rc) {
        reply_rc(rq, rc, "Reading the body");
        return false;
    }
    if (!cJSON_IsObject(*out)) {
        reply_problem(rq, 400, "object_wanted", "The body must be one JSON object.");
        return false;
    }
    return true;
}

/* The member, or NULL: absent, or refused (then *ok is false). */
static const cJSON *member(struct request *rq, const cJSON *body, const char *name, bool required,
                           bool *ok) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(body, name);
    *ok = m || !required;
    if (!*ok) reply_problem(rq, 422, "member_missing", "\"%s\" is wanted.", name);
    return m;
}

bool request_member_text(struct request *rq, const cJSON *body, const char *name, bool required,
                         size_t len_min, size_t len_max, str *out) {
    bool ok;
    const cJSON *m = member(rq, body, name, required, &ok);
    if (!m) return ok;
    if (!cJSON_IsString(m)) {
        reply_problem(rq, 422, "member_type", "\"%s\" must be a text.", name);
        return false;
    }
    str text = str_from_c(m->valuestring);
    if (text.len < len_min || text.len > len_max) {
        reply_problem(rq, 422, "member_length", "\"%s\" must have %zu to %zu bytes.", name, len_min,
                      len_max);
        return false;
    }
    *out = text;
    return true;
}

bool request_member_int(struct request *rq, const cJSON *body, const char *name, bool required,
                        s64 min, s64 max, s64 *out) {
    bool ok;
    const cJSON *m = member(rq, body, name, required, &ok);
    if (!m) return ok;
    double v = cJSON_IsNumber(m) ? m->valuedouble : NAN;
    if (!(fabs(v) <= EXACT_INTEGER_MAX) || v != floor(v) || (s64)v < min || (s64)v > max) {
        reply_problem(rq, 422, "member_range", "\"%s\" must be a whole number from %lld to %lld.",
                      name, (long long)min, (long long)max);
        return false;
    }
    *out = (s64)v;
    return true;
}

bool request_member_bool(struct request *rq, const cJSON *body, const char *name, bool required,
                         bool *out) {
    bool ok;
    const cJSON *m = member(rq, body, name, required, &ok);
    if (!m) return ok;
    if (!cJSON_IsBool(m)) {
        reply_problem(rq, 422, "member_type", "\"%s\" must be true or false.", name);
        return false;
    }
    *out = cJSON_IsTrue(m);
    return true;
}

bool request_members_known(struct request *rq, const cJSON *body, const char *const *names) {
    for (const cJSON *m = body->child; m; m = m->next) {
        bool known = false;
        for (const char *const *n = names; *n && !known; n++) known = strcmp(*n, m->string) == 0;
        if (known) continue;
        reply_problem(rq, 422, "member_unknown", "\"%.100s\" is not a member known here.",
                      m->string);
        return false;
    }
    return true;
}

bool request_query_text(struct request *rq, const char *name, size_t len_max, str *out) {
    str value;
    rc_t rc = http_query(rq->x, str_from_c(name), &value);
    if (rc == RC_INVALID || (!rc && value.ptr && memchr(value.ptr, 0, value.len))) {
        reply_problem(rq, 400, "query_invalid", "The query parameter \"%s\" is not proper text.",
                      name);
        return false;
    }
    if (rc) {
        reply_rc(rq, rc, "Reading the query");
        return false;
    }
    if (!value.ptr) return true;
    if (value.len > len_max) {
        reply_problem(rq, 400, "query_too_long",
                      "The query parameter \"%s\" may have at most %zu bytes.", name, len_max);
        return false;
    }
    *out = value;
    return true;
}

bool request_query_int(struct request *rq, const char *name, s64 min, s64 max, s64 *out) {
    str text = {NULL, 0};
    s64 v;
    if (!request_query_text(rq, name, 32, &text)) return false;
    if (!text.ptr) return true;
    if (str_to_s64(text, &v) || v < min || v > max) {
        reply_problem(rq, 400, "query_range",
                      "The query parameter \"%s\" must be a whole number from %lld to %lld.", name,
                      (long long)min, (long long)max);
        return false;
    }
    *out = v;
    return true;
}

bool request_page(struct request *rq, struct page *out) {
    s64 limit = 20, offset = 0;
    if (!request_query_int(rq, "limit", 1, 100, &limit) ||
        !request_query_int(rq, "offset", 0, 1000000000, &offset))
        return false;
    *out = (struct page){(u64)limit, (u64)offset};
    return true;
}
