/* SPDX-License-Identifier: Apache-2.0 */
/* http_client_pass.c — requests sent piece by piece, for a gateway.
 *
 *   caller:  open --- write, write, ... end --- answer --- read, read, ... close
 *   wire:    head     chunks or counted bytes   head       body
 *
 * The difference from http_client.c: the body is not there yet when the head goes out, the head's
 * fields are another's, and it is the caller who knows what may be sent again. Framing stays ours:
 * fields that speak of it are refused here, so that no two readers of a request can differ about
 * where it ends.
 *
 * Always true: a request with a length sends exactly so many bytes or breaks its connection. */
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/http_client_impl.h"
#include <stdio.h>

enum { PASS_HEAD_MAX = 32768 };

static bool framing_field(str name) {
    static const char *const list[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                       "Keep-Alive",     "Proxy-Connection",  "Upgrade",
                                       "TE",             "Trailer",           NULL};
    for (u32 i = 0; list[i]; i++)
        if (str_eq_nocase(name, str_from_c(list[i]))) return true;
    return false;
}

static void add(struct buf *to, str s) {
    (void)!!buf_add(to, s); /* checked once, at the end */
}

static rc_t write_head(const struct http_client_pass *p, struct buf *to, struct diag *why) {
    bool fits = http_is_token(p->method) && http_is_field_value(p->target) && p->target.len &&
                str_find_byte(p->target, ' ') == p->target.len;
    add(to, p->method);
    add(to, S(" "));
    add(to, p->target);
    add(to, S(" HTTP/1.1\r\n"));
    for (u32 i = 0; i < p->field_count && fits; i++) {
        const struct http_field *f = &p->fields[i];
        fits = http_is_token(f->name) && http_is_field_value(f->value) && !framing_field(f->name);
        add(to, f->name);
        add(to, S(": "));
        add(to, f->value);
        add(to, S("\r\n"));
    }
    if (!fits) {
        diag_set(why, "the request cannot be passed on as it is");
        return RC_INVALID;
    }
    if (p->upgrade.len) {
        add(to, S("Connection: Upgrade\r\nUpgrade: "));
        add(to, p->upgrade);
        add(to, S("\r\n"));
    }
    bool body = str_eq(p->method, S("POST")) || str_eq(p->method, S("PUT")) ||
                str_eq(p->method, S("PATCH"));
    if (p->length < 0)
        add(to, S("Transfer-Encoding: chunked\r\n"));
    else if (p->length || body)
        (void)!!buf_printf(to, "Content-Length: %lld\r\n", (long long)p->length);
    rc_t rc = buf_add(to, S("\r\n"));
    if (rc) diag_set(why, "the head of the request is too large");
    return rc ? RC_LIMIT : RC_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void begin(struct http_client_call *c, const struct http_client_pass *p) {
    c->keep = true;
    c->complete = c->broken = false;
    c->held = 0;
    c->deadline_ns = p->connect_deadline_ns;
    c->stall_ms = p->stall_ms;
    c->to_head = str_eq(p->method, S("HEAD"));
    c->chunked_out = p->length < 0;
    c->out_left = p->length > 0 ? (u64)p->length : 0;
    c->upgrade = p->upgrade.len > 0;
    c->interim = 0;
}

static rc_t send_head(struct http_client_call *c, const struct http_client_pass *p, str head) {
    if (stream_complete(c->stream) || stream_peek(c->stream).len) return RC_CLOSED;
    begin(c, p);
    return stream_write(c->stream, head, p->stall_ms);
}

static rc_t open_on(const struct client_target *t, const struct http_client_pass *p, str head,
                    struct http_client_call **out, bool *reused, struct diag *why) {
    struct http_client_request r = {.may_call = p->may_call,
                                    .may_call_arg = p->may_call_arg,
                                    .deadline_ns = p->connect_deadline_ns};
    struct http_client_call *c;
    rc_t rc;
    *reused = true;
    while (!p->fresh && (c = client_pool_take(t, &r))) {
        if (!(rc = send_head(c, p, head))) {
            *out = c;
            return RC_OK;
        }
        client_drop(c, true);
    }
    *reused = false;
    if ((rc = client_connect(t, &r, &c, why))) return rc;
    if ((rc = send_head(c, p, head))) {
        diag_set(why, "%.100s: the request could not be sent%s", c->host,
                 rc == RC_TIMEOUT ? " in time" : "");
        client_drop(c, true);
        return rc == RC_TIMEOUT ? rc : RC_IO;
    }
    *out = c;
    return RC_OK;
}

static rc_t aim(const struct http_client_pass *p, struct client_target *t, struct diag *why) {
    static const struct http_client_trust store;
    const struct http_client_trust *trust = p->trust ? p->trust : &store;
    rc_t rc = http_url_parse(p->url, &t->url, why);
    if (rc) return rc;
    t->server_name = trust->server_name.len ? trust->server_name : t->url.host;
    t->trust = NULL;
    if (!t->url.tls) return RC_OK;
    struct tls_trust_options o = {.ca_pem = trust->ca_pem,
                                  .cert_pem = trust->cert_pem,
                                  .key_pem = trust->key_pem,
                                  .insecure = trust->insecure};
    return tls_trust_open(&o, &t->trust, why);
}

rc_t http_client_pass_open(const struct http_client_pass *p, struct http_client_call **out,
                           bool *reused, struct diag *why) {
    struct client_target t;
    struct buf head;
    CHECK(fiber_inside());
    why->text[0] = 0;
    client_counters.calls++;
    buf_open(&head, PASS_HEAD_MAX);
    rc_t rc = write_head(p, &head, why);
    if (!rc) rc = aim(p, &t, why);
    if (!rc) {
        rc = open_on(&t, p, buf_str(&head), out, reused, why);
        tls_trust_release(t.trust);
    }
    buf_close(&head);
    if (!rc) return rc;
    client_counters.failed++;
    if (!why->text[0]) diag_set(why, "calling %.*s: %s", STR(str_take(p->url, 100)), rc_name(rc));
    return rc == RC_CLOSED ? RC_IO : rc;
}

/* ---- The body out ---------------------------------------------------------------------------- */

bool http_client_pass_answers(struct http_client_call *c) {
    return stream_peek(c->stream).len || stream_complete(c->stream);
}

static rc_t put(struct http_client_call *c, str bytes, struct diag *why) {
    rc_t rc = stream_write(c->stream, bytes, c->stall_ms);
    if (!rc) return rc;
    c->keep = false;
    if (http_client_pass_answers(c)) return RC_PASS; /* it refused, and reads no more */
    diag_set(why, "%.100s: the body could not be sent%s", c->host,
             rc == RC_TIMEOUT ? " in time" : "; the connection was reset");
    return rc == RC_TIMEOUT ? rc : RC_IO;
}

rc_t http_client_pass_write(struct http_client_call *c, str bytes, struct diag *why) {
    if (!bytes.len) return RC_OK;
    if (http_client_pass_answers(c)) {
        c->keep = false;
        return RC_PASS;
    }
    if (!c->chunked_out) {
        CHECK(bytes.len <= c->out_left);
        c->out_left -= bytes.len;
        return put(c, bytes, why);
    }
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", bytes.len);
    rc_t rc = put(c, str_of(size, (size_t)n), why);
    if (!rc) rc = put(c, bytes, why);
    return rc ? rc : put(c, S("\r\n"), why);
}

rc_t http_client_pass_end(struct http_client_call *c, struct diag *why) {
    CHECK(c->out_left == 0);
    rc_t rc = c->chunked_out ? put(c, S("0\r\n\r\n"), why) : RC_OK;
    c->chunked_out = false;
    return rc;
}

/* ---- The answer ------------------------------------------------------------------------------ */

rc_t http_client_pass_answer(struct http_client_call *c, struct arena *a, u64 deadline_ns,
                             struct http_client_answer *out, struct diag *why) {
    struct http_field fields[HTTP_HEADER_COUNT_MAX] UNINITIALIZED;
    struct http_answer_head h;
    rc_t rc = client_read_head(c, deadline_ns, &h, fields, why);
    if (rc) return rc;
    if (h.status == 101 && !c->upgrade) {
        diag_set(why, "%.100s changes the protocol unasked", c->host);
        return RC_IO;
    }
    if (h.status < 200 && h.status != 101 && ++c->interim > CLIENT_INTERIM_MAX) {
        diag_set(why, "%.100s sends interim answers without end", c->host);
        return RC_IO;
    }
    if ((rc = client_keep_head(c, a, &h, fields, out))) return rc;
    if (h.status >= 200) client_body_open(c, &h, c->to_head);
    if (c->chunked_out || c->out_left) c->keep = false; /* it answered before it had all */
    stream_consume(c->stream, h.length);
    return RC_OK;
}

rc_t http_client_pass_read(struct http_client_call *c, void *to, size_t room, size_t *got,
                           struct diag *why) {
    str bytes;
    rc_t rc = client_read_some(c, room, &bytes, why);
    *got = rc ? 0 : MIN(bytes.len, room);
    if (*got) {
        memcpy(to, bytes.ptr, *got);
        stream_consume(c->stream, c->held); /* at once: the peer may go on */
        c->held = 0;
    }
    return rc;
}

void http_client_pass_drop(struct http_client_call *c) { client_drop(c, true); }

void http_client_patience(struct http_client_call *c, u64 deadline_ns) {
    c->deadline_ns = deadline_ns;
}

struct stream *http_client_pass_take(struct http_client_call *c) {
    struct stream *s = c->stream;
    c->stream = NULL;
    client_drop(c, false);
    return s;
}
