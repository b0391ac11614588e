/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c — answers: the habits of our API on their way out.
 *
 *   handler -> reply_json / reply_problem / reply_empty -> before_answer (Idempotency-Key) -> http
 *
 * Always true: one answer per request (a second one is a defect of a handler: logged, not sent);
 * every error is application/problem+json with the request's id and never holds words of a lower
 * row; text from outside enters JSON only through the writer, so it is escaped.
 * Leaves to others: reading (request.c), headers common to all answers (gateway/pipeline.c). */
#include "app/reply.h"
#include "kernel/base/log.h"
#include <stdarg.h>
#include <stdio.h>

#define PROBLEM_BYTES_MAX 4096u

static void send(struct request *rq, int status, str content_type, str body) {
    if (http_answered(rq->x)) {
        log_error("app", "a handler answered twice; the second answer was dropped", "status=%d",
                  status);
        return;
    }
    if (rq->before_answer) rq->before_answer(rq, status, content_type, body);
    if (http_answered(rq->x)) return; /* it had a better answer */
    http_answer(rq->x, status, content_type, body);
}

static void field(struct request *rq, str name, str value) {
    if (http_answer_field(rq->x, name, value))
        log_warn("app", "an answer's field was refused", "name=%.*s", STR(name));
}

void reply_text(struct request *rq, int status, const char *content_type, str body) {
    send(rq, status, str_from_c(content_type), body);
}
void reply_empty(struct request *rq, int status) { send(rq, status, S(""), S("")); }

void reply_problem(struct request *rq, int status, const char *code, const char *detail, ...) {
    char text[512];
    va_list args;
    va_start(args, detail);
    int n = vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    str sentence = str_of(text, n < 0 ? 0 : MIN((size_t)n, sizeof text - 1));
    struct json_writer w;
    json_open(&w, PROBLEM_BYTES_MAX);
    json_object(&w, NULL);
    json_text(&w, "type", S("about:blank"));
    json_text(&w, "title", str_from_c(http_status_text(status)));
    json_int(&w, "status", status);
    json_text(&w, "code", str_from_c(code));
    json_text(&w, "detail", sentence);
    if (rq->route && rq->route->lenient) json_text(&w, "message", sentence);
    json_text(&w, "request_id", rq->http->id);
    json_object_end(&w);
    str body = w.out.failed ? S("{\"title\":\"Out of memory\"}") : buf_str(&w.out);
    send(rq, status, S("application/problem+json"), body);
    json_close(&w);
}

void reply_rc(struct request *rq, rc_t rc, const char *what) {
    switch (rc) {
    case RC_NOT_FOUND:
        reply_problem(rq, 404, "not_found", "%s: there is no such thing.", what);
        return;
    case RC_DENIED: reply_problem(rq, 403, "denied", "%s: not allowed.", what); return;
    case RC_INVALID:
        reply_problem(rq, 400, "invalid", "%s: malformed or out of range.", what);
        return;
    case RC_CONFLICT:
        reply_problem(rq, 409, "conflict", "%s: it exists already or was changed meanwhile.", what);
        return;
    case RC_FULL:
        log_error("app", "the disk is full; delete data or give the machine a larger disk",
                  "what=%s", LOGSTR(str_from_c(what)));
        reply_problem(rq, 507, "storage_full", "%s: the disk is full; nothing was changed.", what);
        return;
    default: break;
    }
    log_warn("app", "a request could not be served", "what=%s rc=%s", LOGSTR(str_from_c(what)),
             rc_name(rc));
    bool busy = rc == RC_LIMIT || rc == RC_NO_MEMORY || rc == RC_AGAIN;
    field(rq, S("Retry-After"), busy ? S("1") : S("5"));
    if (busy)
        reply_problem(rq, 503, "busy", "%s: too much at once; try again in a moment.", what);
    else
        reply_problem(rq, 503, "unavailable",
                      "%s: a part of the appliance is unavailable; nothing was acknowledged.",
                      what);
}

void reply_json(struct request *rq, int status, struct json_writer *w) {
    if (w->out.failed)
        reply_rc(rq, RC_NO_MEMORY, "The answer");
    else {
        CHECK(w->depth == 0);
        send(rq, status, S("application/json"), buf_str(&w->out));
    }
    json_close(w);
}

void reply_problem_json(struct request *rq, int status, struct json_writer *w) {
    if (w->out.failed)
        reply_rc(rq, RC_NO_MEMORY, "The answer");
    else
        send(rq, status, S("application/problem+json"), buf_str(&w->out));
    json_close(w);
}

void reply_location(struct request *rq, str location) {
    rq->location = location;
    if (location.ptr) field(rq, S("Location"), location);
}

/* "\"<version>\"" at the end of `to`: on every read of every document, so without printf. */
#define TAG_ROOM 24u
static str tag_of(s64 version, char to[TAG_ROOM]) {
    u64 left = version < 0 ? 0 - (u64)version : (u64)version;
    char *at = to + TAG_ROOM;
    *--at = '"';
    do *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (version < 0) *--at = '-';
    *--at = '"';
    return str_of(at, (size_t)(to + TAG_ROOM - at));
}

void reply_etag(struct request *rq, s64 version) {
    char text[TAG_ROOM];
    rq->etag = arena_copy(rq->arena, tag_of(version, text));
    if (rq->etag.ptr) field(rq, S("ETag"), rq->etag);
}

/* One of a list of entity tags, "*" or W/"..." (weak comparison, RFC 9110 8.8.3.2). */
static bool tag_listed(struct request *rq, str name, str want, bool weak, bool *out_any) {
    u32 at = 0;
    str list, one;
    while (http_field_next(rq->http, name, &at, &list)) {
        while (str_split(&list, ',', &one)) {
            one = str_trim(one);
            if (str_eq(one, S("*"))) return *out_any = true;
            if (weak && str_starts(one, S("W/"))) one = str_skip(one, 2);
            if (str_eq(one, want)) return true;
        }
    }
    return false;
}

bool request_if_match(struct request *rq, s64 version, bool required) {
    char text[TAG_ROOM];
    str tag = tag_of(version, text);
    bool any = false;
    if (!http_field(rq->http, S("If-Match")).ptr) {
        if (!required) return true;
        reply_problem(rq, 428, "if_match_wanted",
                      "Send If-Match with the ETag of the version you changed.");
        return false;
    }
    if (tag_listed(rq, S("If-Match"), tag, false, &any)) return true;
    reply_etag(rq, version);
    reply_problem(rq, 412, "changed_meanwhile",
                  "It was changed meanwhile: read it again, apply your change, send the new ETag.");
    return false;
}

bool reply_not_modified(struct request *rq, s64 version) {
    bool any = false;
    reply_etag(rq, version);
    if (!tag_listed(rq, S("If-None-Match"), rq->etag, true, &any)) return false;
    reply_empty(rq, 304);
    return true;
}
