/* SPDX-License-Identifier: Apache-2.0 */
/* http_parse.h — bytes to HTTP/1.1 messages, strictly (RFC 9112): views out, nothing allocated,
 * nothing kept. Every refusal says which status answers it; each one also closes the connection,
 * because after bytes we did not understand we cannot know where the next request begins. */
#pragma once
#include "net/http.h"

struct http_refusal {
    int status;      /* 400, 413, 414, 417, 431, 501, 505 */
    const char *why; /* a sentence for the answer's `detail` */
};

struct http_head {
    str method, target; /* as received */
    u32 version_minor;  /* 0 or 1 */
    u32 field_count;    /* kept fields: those with `_` in the name are dropped */
    size_t length;      /* of the head, blank line included */
    /* What the fields say about the connection and the body */
    str host; /* value of Host; empty in HTTP/1.0 without one */
    bool has_length, chunked, expect_continue, close, keep_alive;
    u64 content_length;
};

/* Parses a head at the start of `bytes`. RC_AGAIN: it is not complete (and nothing wrong so far).
 * RC_INVALID: `no` says why. `fields` has room for HTTP_HEADER_COUNT_MAX. */
rc_t http_head_parse(str bytes, struct http_head *head, struct http_field *fields,
                     struct http_refusal *no);

/* Between attempts: is the end of the head here yet? Looks at each byte once. Two words to keep. */
struct http_scan {
    u32 seen, line_at;
};
bool http_scan_complete(struct http_scan *scan, str bytes);

/* The target: origin-form, absolute-form reduced to it, or `*`. Fills `origin` (a view of the
 * target). The authority of an absolute-form is the Host from then on, in `head` and `fields`. */
rc_t http_target_check(struct http_head *head, struct http_field *fields, str *origin,
                       struct http_refusal *no);

/* ---- Chunked bodies (RFC 9112 7.1) ----------------------------------------------------------- */

enum http_chunk_state {
    CHUNK_SIZE_FIRST,
    CHUNK_SIZE,
    CHUNK_EXT,
    CHUNK_EXT_CR_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_DONE
};
struct http_chunks {
    enum http_chunk_state state;
    u64 left;       /* bytes of the current chunk still to come */
    u32 line_bytes; /* of the current size line, or of the trailer section */
    u32 trailer_count;
    bool quoted;       /* within a quoted extension value */
    char before; /* the byte before, within an extension */
};
/* Looks at the front of `bytes`: consumes *used of them, of which the last *data are body bytes (so
 * body = bytes[used - data, used)). Call again with the rest. RC_OK: the body is complete;
 * RC_AGAIN: more is needed or body bytes are handed over; RC_INVALID. */
rc_t http_chunks_next(struct http_chunks *c, str bytes, size_t *used, size_t *data,
                      struct http_refusal *no);

/* ---- Lines, for http_answer_parse.c too ------------------------------------------------------ */

/* Exactly CR LF at *p, which moves past it. RC_AGAIN: not all here; RC_INVALID. */
rc_t http_line_end(const char **p, const char *end, struct http_refusal *no);
/* One field line at *at. RC_PASS: the blank line that ends the head. `underscore`: set when the
 * name holds a `_`. */
rc_t http_field_line(const char **at, const char *end, struct http_field *f, bool *underscore,
                     struct http_refusal *no);

bool http_is_token(str s); /* RFC 9110 5.6.2 */
bool http_is_field_value(str s);
bool http_is_target(str s);     /* no byte that must be escaped */
bool http_host_is_valid(str v); /* RFC 3986 3.2.2, 3.2.3: a name or an address, perhaps a port */
