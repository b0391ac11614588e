/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer_parse.c — the strict reading of answers.
 *
 *   HTTP/1.1 SP 200 SP reason CR LF
 *   name ":" OWS value OWS CR LF          0..100 of them, together 16 KiB at most
 *   CR LF
 *   body: none | Content-Length | chunked | to the end of the connection
 *
 * A connection is used again after an answer, so a server that makes us see an answer's end too
 * early feeds us the next one from its body (response splitting). Here too, what two readers could
 * take differently is refused: two lengths, a length and an encoding, any encoding but `chunked`,
 * bare line feeds, folded lines. Most of it is http_parse.c's.
 *
 * Always true: no byte past `bytes` is read; a body has one framing. */
#include "net/http_answer_parse.h"
#include "kernel/base/limits.h"

static rc_t refuse(struct http_refusal *no, const char *why) {
    *no = (struct http_refusal){502, why};
    return RC_INVALID;
}

/* "HTTP/1.x 200", then perhaps a blank and the reason. */
static rc_t status_line(const char **at, const char *end, struct http_answer_head *h,
                        struct http_refusal *no) {
    static const char shape[] = "HTTP/1.d ddd";
    const char *p = *at;
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (p + i == end) return RC_AGAIN;
        bool fits = shape[i] == 'd' ? p[i] >= '0' && p[i] <= '9' : p[i] == shape[i];
        if (!fits) return refuse(no, "The answer does not begin with `HTTP/1.1 status`.");
    }
    h->version_minor = p[7] == '0' ? 0 : 1;
    h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (h->status < 100) return refuse(no, "The status is below 100.");
    p += sizeof shape - 1;
    if (p < end && *p == ' ') {
        const char *reason = ++p;
        while (p < end && ((u8)*p >= ' ' || *p == '\t') && *p != 0x7F) p++;
        if (p - reason > HTTP_LINE_MAX) return refuse(no, "The status line is too long.");
        h->reason = str_of(reason, (size_t)(p - reason));
    }
    *at = p;
    return http_line_end(at, end, no);
}

static rc_t content_length(struct http_answer_head *h, str value, struct http_refusal *no) {
    u64 n;
    if (str_to_u64(value, &n) || n > INT64_MAX)
        return refuse(no, "Content-Length is not a plain decimal number.");
    if (h->has_length && h->content_length != n) /* the same twice is one: RFC 9110 8.6 */
        return refuse(no, "Content-Length is given twice.");
    h->has_length = true;
    h->content_length = n;
    return RC_OK;
}

static rc_t transfer_encoding(struct http_answer_head *h, str value, struct http_refusal *no) {
    if (h->version_minor == 0) return refuse(no, "HTTP/1.0 has no Transfer-Encoding.");
    if (h->chunked) return refuse(no, "Transfer-Encoding is given twice.");
    if (!str_eq_nocase(value, S("chunked")))
        return refuse(no, "The only Transfer-Encoding understood is `chunked`, alone.");
    h->chunked = true;
    return RC_OK;
}

static void connection_options(struct http_answer_head *h, str value) {
    str rest = value, part;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (str_eq_nocase(part, S("close"))) h->close = true;
        if (str_eq_nocase(part, S("keep-alive"))) h->keep_alive = true;
    }
}

static void keep_alive(struct http_answer_head *h, str value) {
    str rest = value, part;
    u64 seconds;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!str_eq_nocase(str_take(part, 8), S("timeout="))) continue;
        if (!str_to_u64(str_skip(part, 8), &seconds))
            h->keep_alive_s = (u32)MIN(seconds, (u64)UINT32_MAX);
    }
}

static rc_t framing_field(struct http_answer_head *h, const struct http_field *f,
                          struct http_refusal *no) {
    if (str_eq_nocase(f->name, S("Content-Length"))) return content_length(h, f->value, no);
    if (str_eq_nocase(f->name, S("Transfer-Encoding"))) return transfer_encoding(h, f->value, no);
    if (str_eq_nocase(f->name, S("Connection"))) connection_options(h, f->value);
    if (str_eq_nocase(f->name, S("Keep-Alive"))) keep_alive(h, f->value);
    return RC_OK;
}

static rc_t head_fields(const char **p, const char *end, struct http_answer_head *h,
                        struct http_field *fields, struct http_refusal *no) {
    for (;;) {
        struct http_field f;
        bool underscore;
        rc_t rc = http_field_line(p, end, &f, &underscore, no);
        if (rc == RC_PASS) return RC_OK;
        if (rc) return rc;
        if (h->field_count == HTTP_HEADER_COUNT_MAX)
            return refuse(no, "There are too many fields.");
        if ((rc = framing_field(h, &f, no))) return rc;
        fields[h->field_count++] = f;
    }
}

rc_t http_answer_parse(str bytes, struct http_answer_head *h, struct http_field *fields,
                       struct http_refusal *no) {
    bool whole = bytes.len >= HTTP_HEAD_MAX;
    const char *p = bytes.ptr, *end = p + MIN(bytes.len, (size_t)HTTP_HEAD_MAX);
    memset(h, 0, sizeof *h);
    if (bytes.len == 0) return RC_AGAIN;
    rc_t rc = status_line(&p, end, h, no);
    if (!rc) rc = head_fields(&p, end, h, fields, no);
    if (rc == RC_AGAIN && whole) return refuse(no, "The head of the answer is too long.");
    if (rc) return rc;
    if (h->chunked && h->has_length)
        return refuse(no, "Content-Length and Transfer-Encoding exclude each other.");
    h->length = (size_t)(p - bytes.ptr);
    return RC_OK;
}

/* ---- Bodies (RFC 9112 6.3) ------------------------------------------------------------------- */

void http_answer_body_open(struct http_answer_body *b, const struct http_answer_head *h,
                           bool to_head) {
    *b = (struct http_answer_body){.framing = BODY_TO_END};
    if (to_head || h->status < 200 || h->status == 204 || h->status == 304)
        b->framing = BODY_NONE;
    else if (h->chunked)
        b->framing = BODY_CHUNKED;
    else if (h->has_length && h->content_length)
        b->framing = BODY_COUNTED, b->left = h->content_length;
    else if (h->has_length)
        b->framing = BODY_NONE;
}

rc_t http_answer_body_next(struct http_answer_body *b, str bytes, bool ended, size_t *used,
                           size_t *data, struct http_refusal *no) {
    rc_t rc = RC_AGAIN;
    *used = *data = 0;
    switch (b->framing) {
    case BODY_NONE: return RC_OK;
    case BODY_COUNTED:
        *used = *data = (size_t)MIN((u64)bytes.len, b->left);
        b->left -= *data;
        if (!b->left) return RC_OK;
        break;
    case BODY_CHUNKED: rc = http_chunks_next(&b->chunks, bytes, used, data, no); break;
    case BODY_TO_END:
        *used = *data = bytes.len;
        if (ended) return RC_OK;
        break;
    }
    return rc == RC_AGAIN && ended && *used == 0 ? RC_CLOSED : rc;
}
