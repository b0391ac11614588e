/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer_parse.h — heads and bodies of answers (RFC 9112 4, 6), as strictly as those of
 * requests (http_parse.h): views out, nothing allocated. */
#pragma once
#include "net/http_parse.h"

struct http_answer_head {
    int status;        /* 100..999 */
    u32 version_minor; /* 0 or 1 */
    str reason;        /* may be empty */
    u32 field_count;
    size_t length; /* of the head, blank line included */
    bool has_length, chunked, close, keep_alive;
    u64 content_length;
    u32 keep_alive_s; /* Keep-Alive: timeout=N; 0: not told */
};
/* RC_AGAIN: incomplete, nothing wrong so far. RC_INVALID: `no->why`. `fields` has room for
 * HTTP_HEADER_COUNT_MAX. */
rc_t http_answer_parse(str bytes, struct http_answer_head *head, struct http_field *fields,
                       struct http_refusal *no);

enum http_answer_framing { BODY_NONE, BODY_COUNTED, BODY_CHUNKED, BODY_TO_END };
struct http_answer_body {
    enum http_answer_framing framing;
    u64 left; /* counted: bytes to come */
    struct http_chunks chunks;
};
/* How the body of this answer ends; `to_head`: the request's method was HEAD. */
void http_answer_body_open(struct http_answer_body *b, const struct http_answer_head *head,
                           bool to_head);
/* As http_chunks_next: consumes *used of `bytes`, of which the last *data are the body's. RC_OK:
 * it is complete; RC_AGAIN: more must come, or bytes were handed over. `ended`: no byte will follow
 * these. RC_CLOSED: it ended too early; RC_INVALID. */
rc_t http_answer_body_next(struct http_answer_body *b, str bytes, bool ended, size_t *used,
                           size_t *data, struct http_refusal *no);
