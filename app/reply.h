/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h — the habits of our API in one place: JSON answers, problem+json errors (RFC 9457) with
 * the request's id, ETag / If-Match, paging parameters, body parsing. */
#pragma once
#include "app/json.h"
#include "app/module.h"

/* application/problem+json: type, title, status, code, detail, request_id. `code` is a short
 * stable word ("policy_not_found"); `detail` a sentence that says what to do. */
void reply_problem(struct request *rq, int status, const char *code, const char *detail, ...)
    PRINTF_LIKE(4, 5);
/* One with members of its own; ends and sends w, which holds all of them. */
void reply_problem_json(struct request *rq, int status, struct json_writer *w);
/* The usual answer for a result code of a lower row: NOT_FOUND 404, DENIED 403, INVALID 400,
 * CONFLICT 409, LIMIT/NO_MEMORY 503 + Retry-After, FULL 507, IO/CORRUPT/TIMEOUT 503. */
void reply_rc(struct request *rq, rc_t rc, const char *what);
void reply_json(struct request *rq, int status, struct json_writer *w); /* ends and sends w */
void reply_empty(struct request *rq, int status);
void reply_text(struct request *rq, int status, const char *content_type, str body);
/* The Location of what a 201 made; before the answer. */
void reply_location(struct request *rq, str location); /* of the request's arena; ptr NULL: none */

/* The whole body, read once and kept; answers 400/408/413 itself and returns false. */
bool request_body(struct request *rq, str *out);
/* Reads and strictly parses the body as one JSON object; answers 400/413/415 itself and returns
 * false. The tree lives in rq->arena. */
bool request_json(struct request *rq, cJSON **out);
/* Typed members; each answers 422 naming the member and what is wanted, and returns false. An
 * absent optional member leaves *out as it was. Lengths in bytes of UTF-8. */
bool request_member_text(struct request *rq, const cJSON *body, const char *name, bool required,
                         size_t len_min, size_t len_max, str *out);
bool request_member_int(struct request *rq, const cJSON *body, const char *name, bool required,
                        s64 min, s64 max, s64 *out);
bool request_member_bool(struct request *rq, const cJSON *body, const char *name, bool required,
                         bool *out);
/* Refuses members not in the NULL-ended list: 422 naming the first. */
bool request_members_known(struct request *rq, const cJSON *body, const char *const *names);

struct page {
    u64 limit, offset; /* limit 1..100, default 20 */
};
bool request_page(struct request *rq, struct page *out); /* 400 when out of range */
bool request_query_text(struct request *rq, const char *name, size_t len_max, str *out);
/* An absent one leaves *out as it was; 400 when not a number or out of range. */
bool request_query_int(struct request *rq, const char *name, s64 min, s64 max, s64 *out);

/* ETags are "\"<version>\"". false: answered 412 (or 428 when required and absent). */
bool request_if_match(struct request *rq, s64 version, bool required);
void reply_etag(struct request *rq, s64 version);
/* true: If-None-Match matched and 304 was answered. */
bool reply_not_modified(struct request *rq, s64 version);
