/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer.c — answers: status line, fields, body; whole or streamed.
 *
 *   HTTP/1.1 200 OK | Date | X-Request-Id | Content-Type | Content-Length or chunked |
 *   Connection (if it says something) | the handler's fields | blank line | body
 *
 * A small answer leaves as one piece, head and body in one write, so it is one segment. Field names
 * and values from handlers are checked: a CR or LF in one would be a second answer (RFC 9110 5.5).
 * HEAD, 1xx, 204 and 304 never carry a body (RFC 9112 6.3); a body shorter than it promised closes
 * the connection, because the peer still waits for the rest. */
#include "net/http2_impl.h"
#include "net/http_impl.h"
#include "net/http_interim.h"
#include "kernel/platform.h"
#include <stdio.h>

#define ONE_PIECE_MAX KIB(8) /* larger bodies are written from where they lie */
#define HEAD_OWN_MAX 512u    /* what we ourselves put into a head */

static const struct {
    u16 status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
};

const char *http_status_text(int status) {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status) return statuses[i].text;
    return "Unknown";
}

/* ---- Putting bytes together ------------------------------------------------------------------ */

static char *put(char *p, str s) {
    if (s.len) memcpy(p, s.ptr, s.len);
    return p + s.len;
}

static char *put_u64(char *p, u64 n) {
    char digits[20];
    int i = 20;
    do digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    return put(p, str_of(digits + i, (size_t)(20 - i)));
}

static char *put_status_line(char *p, int status) {
    if (status == 200) return put(p, S("HTTP/1.1 200 OK\r\n"));
    p = put_u64(put(p, S("HTTP/1.1 ")), (u64)status);
    *p++ = ' ';
    p = put(p, str_from_c(http_status_text(status)));
    return put(p, S("\r\n"));
}

static char *put_common(char *p, const char *id) {
    str date = http_date_now();
    if (date.len) p = put(put(put(p, S("Date: ")), date), S("\r\n"));
    p = put(put(p, S("X-Request-Id: ")), str_of(id, HTTP_ID_LEN));
    return put(p, S("\r\n"));
}

size_t http_problem_format(int status, const char *detail, const char *id, char *to, size_t room) {
    int n = snprintf(to, room,
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\","
                     "\"request_id\":\"%s\"}\n",
                     http_status_text(status), status, detail, id);
    return n < 0 ? 0 : MIN((size_t)n, room - 1);
}

str http_refusal_text(int status, const char *detail, bool close, char *to, size_t room) {
    char id[HTTP_ID_LEN + 1], body[512];
    CHECK(room >= 1024);
    http_id_next(id);
    str text = str_of(body, http_problem_format(status, detail, id, body, sizeof body));
    char *p = put_common(put_status_line(to, status), id);
    p = put(p, S("Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
                 "X-Content-Type-Options: nosniff\r\nContent-Length: "));
    p = put(put_u64(p, text.len), S("\r\n"));
    if (status == 503) p = put(p, S("Retry-After: 1\r\n"));
    if (close) p = put(p, S("Connection: close\r\n"));
    p = put(put(p, S("\r\n")), text);
    return str_of(to, (size_t)(p - to));
}

/* ---- The handler's fields -------------------------------------------------------------------- */

rc_t http_answer_field(struct http_exchange *x, str name, str value) {
    struct http_active *a = active_of(x);
    if (!http_is_token(name) || !http_is_field_value(value)) return RC_INVALID;
    if (a->answer != ANSWER_NONE) return RC_CONFLICT;
    if (a->extra_len + name.len + value.len + 4 > sizeof a->extra) return RC_LIMIT;
    char *p = a->extra + a->extra_len;
    p = put(put(put(put(p, name), S(": ")), value), S("\r\n"));
    a->extra_len = (u32)(p - a->extra);
    return RC_OK;
}

void http_answer_lines(struct http_exchange *x, str lines) {
    CHECK(lines.len <= HTTP_LINES_MAX);
    active_of(x)->lines = lines;
}

/* ---- Heads ----------------------------------------------------------------------------------- */

static bool status_has_no_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

static void note_status(struct http_active *a, int status) {
    a->answer_no_body |= status_has_no_body(status) || a->request.method == HTTP_HEAD;
    a->x.status = status;
}

/* The head into `to` (HEAD_OWN_MAX + content type + extra). length -1: chunked or until close. */
static char *put_head(struct http_active *a, int status, str content_type, s64 length, char *to) {
    char *p = put_common(put_status_line(to, status), a->id);
    if (content_type.len) p = put(put(put(p, S("Content-Type: ")), content_type), S("\r\n"));
    bool close = a->close;
    a->answer_chunked = false;
    if (status < 200 || status == 204) {
        a->answer_no_body = true; /* and no length either: RFC 9110 8.6 */
    } else if (length == HTTP_LENGTH_UNTOLD) {
        a->answer_no_body = true;
    } else if (length >= 0) {
        p = put(put_u64(put(p, S("Content-Length: ")), (u64)length), S("\r\n"));
    } else if (a->request.version_minor > 0) {
        p = put(p, S("Transfer-Encoding: chunked\r\n"));
        a->answer_chunked = true;
    } else {
        close = a->close =
            true; /* HTTP/1.0: the end of the connection is the end of the body */
    }
    if (close)
        p = put(p, S("Connection: close\r\n"));
    else if (a->request.version_minor == 0)
        p = put(p, S("Connection: keep-alive\r\n"));
    p = put(put(p, a->lines), str_of(a->extra, a->extra_len));
    note_status(a, status);
    return put(p, S("\r\n"));
}

/* Bytes for a head and `more`, from the request's arena; NULL: it is used up. */
static char *head_room(struct http_active *a, str content_type, size_t more) {
    return arena_alloc(&a->arena,
                       HEAD_OWN_MAX + content_type.len + a->lines.len + a->extra_len + more);
}

static bool content_type_fits(str t) {
    return t.len <= 256 && http_is_field_value(t);
}

static rc_t send_bytes(struct http_active *a, str bytes) {
    if (a->answer_failed) return RC_CLOSED;
    if (a->http2) return http2_send(a, bytes, a->answer_sized && !a->answer_left);
    size_t took = 0;
    rc_t rc = stream_write_some(a->conn->stream, bytes, &took);
    if (!rc && (took < bytes.len || stream_is_tls(a->conn->stream))) {
        /* the peer may have to read */
        http_wait_begin(a);
        rc = stream_write(a->conn->stream, str_skip(bytes, took), HTTP_STALL_TIMEOUT_MS);
        http_wait_end(a);
    }
    if (rc) {
        a->answer_failed = true;
        a->close = true;
        if (rc == RC_TIMEOUT) http_counters.timeouts++;
        return rc;
    }
    http_counters.bytes_out += bytes.len;
    return RC_OK;
}

void http_answer(struct http_exchange *x, int status, str content_type, str body) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_NONE) return; /* once per exchange */
    if (!content_type_fits(content_type)) content_type = S("application/octet-stream");
    if (a->http2) {
        a->answer = ANSWER_DONE;
        note_status(a, status);
        x->bytes_sent = a->answer_no_body ? 0 : body.len;
        http2_answer(a, content_type, body);
        return;
    }
    bool one_piece = body.len <= ONE_PIECE_MAX;
    char *head = head_room(a, content_type, one_piece ? body.len : 0);
    a->answer = ANSWER_DONE;
    if (!head) {
        a->close = a->answer_failed = true;
        return;
    }
    char *end = put_head(a, status, content_type, (s64)body.len, head);
    size_t head_len = (size_t)(end - head);
    if (a->answer_no_body) body = S("");
    x->bytes_sent = body.len;
    if (one_piece) {
        end = put(end, body);
        (void)send_bytes(a, str_of(head, (size_t)(end - head)));
        return;
    }
    if (send_bytes(a, str_of(head, head_len)) == RC_OK) (void)send_bytes(a, body);
}

rc_t http_answer_begin(struct http_exchange *x, int status, str content_type, s64 length) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_NONE) return RC_CONFLICT;
    if (!content_type_fits(content_type)) return RC_INVALID;
    char *head = a->http2 ? NULL : head_room(a, content_type, 0);
    if (!head && !a->http2) return RC_NO_MEMORY;
    a->answer = ANSWER_STREAMING;
    a->answer_sized = length >= 0;
    a->answer_left = length >= 0 ? (u64)length : 0;
    if (a->http2) {
        note_status(a, status);
        return http2_begin(a, content_type, length);
    }
    char *end = put_head(a, status, content_type, length, head);
    return send_bytes(a, str_of(head, (size_t)(end - head)));
}

rc_t http_answer_write(struct http_exchange *x, str bytes) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_STREAMING) return RC_CONFLICT;
    if (a->answer_sized) {
        if (bytes.len > a->answer_left) return RC_LIMIT;
        a->answer_left -= bytes.len;
    }
    if (a->answer_no_body || !bytes.len) return RC_OK;
    x->bytes_sent += bytes.len;
    if (!a->answer_chunked) return send_bytes(a, bytes);
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", bytes.len);
    rc_t rc = send_bytes(a, str_of(size, (size_t)n));
    if (!rc) rc = send_bytes(a, bytes);
    if (!rc) rc = send_bytes(a, S("\r\n"));
    return rc;
}

rc_t http_answer_end(struct http_exchange *x) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_STREAMING) return RC_CONFLICT;
    a->answer = ANSWER_DONE;
    if (a->answer_sized && a->answer_left && !a->answer_no_body) {
        a->close = a->answer_failed = true;
        return RC_INVALID;
    }
    if (a->http2) return http2_end(a);
    if (!a->answer_chunked || a->answer_no_body) return a->answer_failed ? RC_CLOSED : RC_OK;
    return send_bytes(a, S("0\r\n\r\n"));
}

rc_t http_switch(struct http_exchange *x, str protocol, void (*taken)(void *arg, struct stream *s),
                 void *arg) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_NONE || a->http2 || a->request.version_minor == 0) return RC_CONFLICT;
    rc_t rc = http_answer_field(x, S("Connection"), S("Upgrade"));
    if (!rc) rc = http_answer_field(x, S("Upgrade"), protocol);
    if (rc) return rc;
    char *head = head_room(a, S(""), 0);
    if (!head) return RC_NO_MEMORY;
    a->close = false;
    char *end = put_head(a, 101, S(""), 0, head);
    a->answer = ANSWER_DONE;
    a->taken = taken;
    a->taken_arg = arg;
    (void)send_bytes(a, str_of(head, (size_t)(end - head))); /* gone: its new owner sees it */
    return RC_OK;
}

rc_t http_answer_interim(struct http_exchange *x, int status, str lines) {
    struct http_active *a = active_of(x);
    if (a->answer != ANSWER_NONE || status < 100 || status > 199) return RC_CONFLICT;
    if (a->http2) return status == 101 ? RC_CONFLICT : http2_interim(a, status, lines);
    if (a->request.version_minor == 0) return RC_OK;
    char *head = arena_alloc(&a->arena, HEAD_OWN_MAX + lines.len);
    if (!head) return RC_NO_MEMORY;
    char *end = put(put(put_status_line(head, status), lines), S("\r\n"));
    return send_bytes(a, str_of(head, (size_t)(end - head)));
}

bool http_answered(const struct http_exchange *x) {
    return CONTAINER_OF(x, const struct http_active, x)->answer != ANSWER_NONE;
}

bool http_leaving(struct http_exchange *x) {
    const struct http_conn *c = active_of(x)->conn;
    return c && c->server->draining;
}

void http_close_after(struct http_exchange *x) {
    active_of(x)->close = true;
}

/* A handler that answered nothing has failed; one that did not end its stream was cut short. */
void http_answer_finish(struct http_active *a) {
    if (a->answer == ANSWER_DONE) return;
    if (a->answer == ANSWER_STREAMING) {
        if (a->answer_no_body || (a->answer_sized && !a->answer_left)) return;
        a->close = true;
        /* Chunks without the last one, or fewer bytes than told, show that it was cut; the end of
         * the connection alone would not. */
        if (a->http2 || (!a->answer_chunked && !a->answer_sized)) a->answer_failed = true;
        return;
    }
    char body[512];
    a->extra_len = 0;
    size_t n =
        http_problem_format(500, "The request could not be served.", a->id, body, sizeof body);
    http_answer(&a->x, 500, S("application/problem+json"), str_of(body, n));
}
