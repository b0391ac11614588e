/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_head.c — the head of an answer: waited for, judged, kept.
 *
 *   stream: [HTTP/1.1 200 OK ... blank line][body ...]
 *            ^ client_read_head looks        ^ client_body_open says how this ends
 *
 * The parse looks at the stream's own bytes; they move when more come, so what the caller keeps is
 * a copy. Always true: nothing is consumed here, so whoever called decides what a head means. */
#include "kernel/platform.h"
#include "net/http_client_impl.h"

rc_t client_read_head(struct http_client_call *c, u64 deadline_ns, struct http_answer_head *h,
                      struct http_field *fields, struct diag *why) {
    struct stream *s = c->stream;
    struct http_refusal no = {0};
    size_t seen = 0;
    for (;;) {
        str view = stream_peek(s);
        rc_t rc = view.len > seen ? http_answer_parse(view, h, fields, &no) : RC_AGAIN;
        if (rc == RC_INVALID) {
            diag_set(why, "%.80s does not speak HTTP as it should: %s", c->host, no.why);
            return RC_IO;
        }
        if (rc == RC_OK) return rc;
        seen = view.len;
        if ((rc = stream_wait_more(s, seen, deadline_ns))) {
            diag_set(why, "%.100s: %s", c->host,
                     rc == RC_TIMEOUT ? "no answer in time"
                     : seen           ? "the connection ended within the answer's head"
                                      : "the connection ended without an answer");
            if (rc == RC_TIMEOUT || rc == RC_LIMIT) return rc;
            return seen ? RC_IO : RC_CLOSED; /* ended or reset */
        }
    }
}

rc_t client_keep_head(struct http_client_call *c, struct arena *a, const struct http_answer_head *h,
                      const struct http_field *fields, struct http_client_answer *out) {
    str view = str_take(stream_peek(c->stream), h->length);
    str copy = arena_copy(a, view);
    struct http_field *list = arena_alloc(a, MAX(h->field_count, 1u) * sizeof *list);
    if (!copy.ptr || !list) return RC_NO_MEMORY;
    for (u32 i = 0; i < h->field_count; i++)
        list[i] = (struct http_field){
            str_of(copy.ptr + (fields[i].name.ptr - view.ptr), fields[i].name.len),
            str_of(copy.ptr + (fields[i].value.ptr - view.ptr), fields[i].value.len)};
    *out = (struct http_client_answer){.status = h->status,
                                       .fields = list,
                                       .field_count = h->field_count,
                                       .content_length =
                                           h->has_length ? (s64)h->content_length : -1,
                                       .reason = str_of(copy.ptr + 13, h->reason.len)};
    return RC_OK;
}

void client_body_open(struct http_client_call *c, const struct http_answer_head *h, bool to_head) {
    bool last = h->version_minor == 0 ? !h->keep_alive : h->close;
    http_answer_body_open(&c->body, h, to_head);
    c->complete = c->body.framing == BODY_NONE;
    c->keep &= !last && c->body.framing != BODY_TO_END;
    c->idle_ms = CLIENT_IDLE_MS;
    if (h->keep_alive_s) /* a second before the server's own patience ends */
        c->idle_ms = MIN(c->idle_ms, (u64)(h->keep_alive_s - 1) * 1000);
    if (c->idle_ms == 0) c->keep = false;
}
