/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c — requests out, heads of answers in.
 *
 *   URL -> trust -> connection (pool or new) -> head, body out -> 1xx* -> head in -+-> the caller
 *            ^                                                                      |
 *            +---------------------- Location (redirects_max times) ----------------+
 *
 * What may go wrong is told apart by whose fault it is, because callers differ in what they do:
 * a certificate that is refused is not tried again, a reset may be.
 *
 * A kept connection may have been closed by its server at the moment we wrote to it. Then, and only
 * when no byte of an answer came and the method may be repeated (RFC 9110 9.2.2), the request goes
 * out once more on a fresh connection.
 *
 * Heads of answers are http_client_head.c's; requests sent piece by piece http_client_pass.c's.
 *
 * On the way to another origin, what was meant for the first one stays behind: Authorization,
 * Cookie, Proxy-Authorization, the client's certificate and the name to verify. */
#include "net/http_client_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

enum { HEAD_OUT_MAX = 65536, SMALL_BODY = 16384, WRITE_STEP = 65536 };

struct attempt { /* one request on its way, redirects included */
    struct arena *a;
    const struct http_client_request *r;
    struct client_target target;
    struct http_client_trust trust;
    str method, url, body, first_url;
    bool crossed; /* another origin than the caller's */
    struct http_client_call *call;
    struct diag *why;
};

static rc_t refuse(struct diag *why, rc_t rc, const char *what) {
    diag_set(why, "%s", what);
    return rc;
}

str http_client_field(const struct http_client_answer *a, str name) {
    for (u32 i = 0; i < a->field_count; i++)
        if (str_eq_nocase(a->fields[i].name, name)) return a->fields[i].value;
    return (str){NULL, 0};
}

/* ---- The request ----------------------------------------------------------------------------- */

static bool is_one_of(str name, const char *const *list) {
    for (; *list; list++)
        if (str_eq_nocase(name, str_from_c(*list))) return true;
    return false;
}

static const char *const ours[] = {"Content-Length",
                                   "Transfer-Encoding",
                                   "Connection",
                                   "Keep-Alive",
                                   "Proxy-Connection",
                                   "Upgrade",
                                   "TE",
                                   "Trailer",
                                   "Expect",
                                   NULL};
static const char *const private[] = {"Authorization",       "Cookie", "Cookie2",
                                      "Proxy-Authorization", "Host",   NULL};

static rc_t check_request(const struct http_client_request *r, struct diag *why) {
    CHECK(r->deadline_ns != 0);
    if (!http_is_token(r->method) || r->method.len > 32)
        return refuse(why, RC_INVALID, "the method is not a word");
    if (str_eq_nocase(r->method, S("CONNECT")))
        return refuse(why, RC_INVALID, "CONNECT is not spoken");
    for (u32 i = 0; i < r->field_count; i++) {
        const struct http_field *f = &r->fields[i];
        if (!http_is_token(f->name) || !http_is_field_value(f->value)) {
            diag_set(why, "the field %.*s holds a byte that is not allowed",
                     STR(http_is_token(f->name) ? str_take(f->name, 60) : S("")));
            return RC_INVALID;
        }
        if (!is_one_of(f->name, ours)) continue;
        diag_set(why, "the field %.*s is not the caller's to set", STR(str_take(f->name, 60)));
        return RC_INVALID;
    }
    return RC_OK;
}

static rc_t write_head(struct attempt *t, struct buf *to) {
    const struct http_client_request *r = t->r;
    bool host = false, agent = false, accept = false;
    bool wants_body = t->body.len || str_eq(t->method, S("POST")) || str_eq(t->method, S("PUT")) ||
                      str_eq(t->method, S("PATCH"));
    bool slash = t->target.url.target.len && t->target.url.target.ptr[0] == '/';
    (void)!!buf_add(to, t->method);
    (void)!!buf_add(to, slash ? S(" ") : S(" /"));
    (void)!!buf_add(to, t->target.url.target);
    (void)!!buf_add(to, S(" HTTP/1.1\r\n"));
    for (u32 i = 0; i < r->field_count; i++) {
        const struct http_field *f = &r->fields[i];
        if (t->crossed && is_one_of(f->name, private)) continue;
        if (!t->body.len && r->body.len && str_starts(f->name, S("Content-")))
            continue; /* the redirect took the body away */
        host |= str_eq_nocase(f->name, S("Host"));
        agent |= str_eq_nocase(f->name, S("User-Agent"));
        accept |= str_eq_nocase(f->name, S("Accept"));
        (void)!!buf_add(to, f->name);
        (void)!!buf_add(to, S(": "));
        (void)!!buf_add(to, f->value);
        (void)!!buf_add(to, S("\r\n"));
    }
    if (!host) (void)!!buf_printf(to, "Host: %.*s\r\n", STR(t->target.url.authority));
    if (!agent) (void)!!buf_add(to, S("User-Agent: OpenPolicy\r\n"));
    if (!accept) (void)!!buf_add(to, S("Accept: */*\r\n"));
    if (wants_body) (void)!!buf_printf(to, "Content-Length: %zu\r\n", t->body.len);
    if (t->body.len && t->body.len <= SMALL_BODY) { /* one segment, often */
        (void)!!buf_add(to, S("\r\n"));
        return buf_add(to, t->body);
    }
    return buf_add(to, S("\r\n"));
}

/* A server that has already answered, a refusal most likely, need not be sent the rest. */
static rc_t write_body(struct attempt *t) {
    str rest = t->body;
    struct stream *s = t->call->stream;
    while (rest.len) {
        str step = str_take(rest, WRITE_STEP);
        rc_t rc = stream_write_until(s, step, t->r->deadline_ns);
        if (rc) return rc;
        rest = str_skip(rest, step.len);
        if (rest.len && stream_peek(s).len) {
            t->call->keep = false;
            return RC_OK;
        }
    }
    return RC_OK;
}

static rc_t send_request(struct attempt *t) {
    struct buf head;
    buf_open(&head, HEAD_OUT_MAX + SMALL_BODY);
    rc_t rc = write_head(t, &head);
    if (rc) rc = refuse(t->why, RC_LIMIT, "the head of the request is too large");
    if (!rc && stream_complete(t->call->stream)) rc = RC_CLOSED;
    if (!rc) rc = stream_write_until(t->call->stream, buf_str(&head), t->r->deadline_ns);
    buf_close(&head);
    if (!rc && t->body.len > SMALL_BODY) rc = write_body(t);
    if (!rc) stream_flush(t->call->stream);
    return rc;
}

/* ---- The answer's head ----------------------------------------------------------------------- */

static rc_t receive_head(struct attempt *t, struct http_client_answer *out) {
    struct http_field fields[HTTP_HEADER_COUNT_MAX] UNINITIALIZED;
    struct http_client_call *c = t->call;
    struct http_answer_head h;
    for (u32 interim = 0; interim <= CLIENT_INTERIM_MAX; interim++) {
        rc_t rc = client_read_head(c, t->r->deadline_ns, &h, fields, t->why);
        if (rc) return rc;
        if (h.status == 101)
            return refuse(t->why, RC_IO, "the server changes the protocol unasked");
        if (h.status >= 200) {
            rc = client_keep_head(c, t->a, &h, fields, out);
            out->url = t->url;
            client_body_open(c, &h, str_eq(t->method, S("HEAD")));
            stream_consume(c->stream, h.length);
            return rc;
        }
        stream_consume(c->stream, h.length);
    }
    return refuse(t->why, RC_IO, "the server sends interim answers without end");
}

/* ---- One exchange ---------------------------------------------------------------------------- */

static rc_t aim(struct attempt *t) {
    rc_t rc = http_url_parse(t->url, &t->target.url, t->why);
    if (rc) return rc;
    t->target.server_name = t->trust.server_name.len ? t->trust.server_name : t->target.url.host;
    t->target.trust = NULL;
    if (!t->target.url.tls) return RC_OK;
    struct tls_trust_options o = {.ca_pem = t->trust.ca_pem,
                                  .cert_pem = t->trust.cert_pem,
                                  .key_pem = t->trust.key_pem,
                                  .insecure = t->trust.insecure};
    return tls_trust_open(&o, &t->target.trust, t->why);
}

static bool repeatable(str method) {
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", NULL};
    return is_one_of(method, safe);
}

static rc_t exchange_once(struct attempt *t, struct http_client_answer *out, bool *untouched) {
    struct http_client_call *c = t->call;
    c->keep = true;
    c->complete = c->broken = false;
    c->held = 0;
    c->deadline_ns = t->r->deadline_ns;
    rc_t rc = send_request(t);
    bool answered = stream_peek(c->stream).len > 0; /* it may have refused before it read all */
    *untouched = rc == RC_CLOSED && !answered;      /* not a byte was written */
    if (rc && (rc == RC_LIMIT || rc == RC_TIMEOUT || !answered)) {
        if (rc != RC_LIMIT)
            diag_set(t->why, "%.*s: the request could not be sent%s",
                     STR(str_take(t->target.url.host, 100)), rc == RC_TIMEOUT ? " in time" : "");
        return rc;
    }
    if (rc) c->keep = false;
    return receive_head(t, out);
}

static rc_t exchange(struct attempt *t, struct http_client_answer *out) {
    bool untouched = false;
    t->call = client_pool_take(&t->target, t->r);
    if (t->call) {
        rc_t rc = exchange_once(t, out, &untouched);
        if (!rc) return rc;
        bool stale = (rc == RC_CLOSED || rc == RC_IO) && !stream_peek(t->call->stream).len;
        client_drop(t->call, true);
        t->call = NULL;
        if (!stale || !(untouched || repeatable(t->method)))
            return rc == RC_CLOSED ? RC_IO : rc;
    }
    rc_t rc = client_connect(&t->target, t->r, &t->call, t->why);
    if (!rc) rc = exchange_once(t, out, &untouched);
    if (rc && t->call) client_drop(t->call, true);
    if (rc) t->call = NULL;
    return rc == RC_CLOSED ? RC_IO : rc;
}

/* ---- Redirects (RFC 9110 15.4) --------------------------------------------------------------- */

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* What is left of a small body is read, so that its connection can be used again. */
static void finish(struct http_client_call *c) {
    struct diag why;
    str bytes;
    size_t n = 0;
    while (!c->complete && n <= CLIENT_DRAIN_MAX && !http_client_read(c, &bytes, &why) && bytes.len)
        n += bytes.len;
    http_client_close(c);
}

static rc_t follow(struct attempt *t, const struct http_client_answer *answer, str location) {
    struct http_url from = t->target.url, to;
    str url;
    rc_t rc = http_url_resolve(t->a, t->url, location, &url);
    if (!rc) rc = http_url_parse(url, &to, t->why);
    if (rc == RC_INVALID) return refuse(t->why, RC_IO, "the server redirects to no URL");
    if (rc) return rc;
    bool post = str_eq(t->method, S("POST")), head = str_eq(t->method, S("HEAD"));
    if ((answer->status == 303 && !head) || (answer->status <= 302 && post)) {
        t->method = S("GET");
        t->body = S("");
    }
    if (!http_url_same_origin(&from, &to)) {
        t->crossed = true;
        t->trust.cert_pem = t->trust.key_pem = t->trust.server_name = S("");
    }
    t->url = url;
    return RC_OK;
}

static rc_t open_call(struct attempt *t, struct http_client_answer *answer) {
    for (u32 hops = 0;; hops++) {
        rc_t rc = aim(t);
        if (rc) return rc;
        rc = exchange(t, answer);
        tls_trust_release(t->target.trust);
        if (rc || !t->r->redirects_max || !is_redirect(answer->status)) return rc;
        str location = http_client_field(answer, S("Location"));
        if (!location.len) return RC_OK;
        finish(t->call);
        t->call = NULL;
        if (hops == t->r->redirects_max) {
            diag_set(t->why, "stopped after %u redirects", hops);
            return RC_LIMIT;
        }
        if ((rc = follow(t, answer, location))) return rc;
    }
}

rc_t http_client_open(struct arena *a, const struct http_client_request *r,
                      struct http_client_answer *answer, struct http_client_call **out,
                      struct diag *why) {
    struct attempt t = {
        .a = a, .r = r, .method = r->method, .url = r->url, .body = r->body, .why = why};
    CHECK(fiber_inside());
    why->text[0] = 0;
    if (r->trust) t.trust = *r->trust;
    client_counters.calls++;
    rc_t rc = check_request(r, why);
    if (!rc && r->deadline_ns <= platform_clock_ns())
        rc = refuse(why, RC_TIMEOUT, "no time is left");
    if (!rc) rc = open_call(&t, answer);
    if (rc) {
        client_counters.failed++;
        if (!why->text[0])
            diag_set(why, "calling %.*s: %s", STR(str_take(r->url, 100)), rc_name(rc));
        return rc;
    }
    *out = t.call;
    return RC_OK;
}

/* ---- The body -------------------------------------------------------------------------------- */

static rc_t broken(struct http_client_call *c, rc_t rc, struct diag *why, const char *what) {
    c->broken = true;
    diag_set(why, "%s: %s", c->host, what);
    client_counters.failed++;
    return rc;
}

/* A trailer line must be seen whole. */
static str part_of(const struct http_client_call *c, str view, size_t max) {
    bool trailer = c->body.framing == BODY_CHUNKED && c->body.chunks.state == CHUNK_TRAILER;
    return trailer ? view : str_take(view, max);
}

rc_t client_read_some(struct http_client_call *c, size_t max, str *bytes, struct diag *why) {
    struct http_refusal no = {0};
    size_t used, data, seen = 0;
    *bytes = S("");
    if (c->broken) return broken(c, RC_IO, why, "the answer has broken off");
    stream_consume(c->stream, c->held);
    c->held = 0;
    while (!c->complete) {
        str view = stream_peek(c->stream);
        str part = part_of(c, view, max);
        bool ended = part.len == view.len && stream_complete(c->stream);
        rc_t rc = RC_AGAIN;
        used = data = 0;
        if (view.len > seen || ended || c->body.framing == BODY_NONE)
            rc = http_answer_body_next(&c->body, part, ended, &used, &data, &no);
        if (rc == RC_INVALID) return broken(c, RC_IO, why, no.why);
        if (rc == RC_CLOSED) return broken(c, RC_IO, why, "the answer has broken off");
        c->complete = rc == RC_OK;
        if (c->complete && c->body.framing == BODY_TO_END && stream_truncated(c->stream))
            return broken(c, RC_IO, why, "the answer was cut: TLS ended without a goodbye");
        if (data) {
            if (used > data) stream_consume(c->stream, used - data);
            *bytes = str_take(stream_peek(c->stream), data);
            c->held = data;
            return RC_OK;
        }
        if (used) {
            stream_consume(c->stream, used);
            seen = 0;
            continue;
        }
        if (c->complete) break;
        seen = view.len; /* part of a trailer line: more must come than what is here */
        rc = stream_wait_more(c->stream, seen, c->deadline_ns);
        if (rc == RC_TIMEOUT) return broken(c, rc, why, "the answer did not end in time");
        if (rc && rc != RC_CLOSED) return broken(c, RC_IO, why, "the connection was reset");
    }
    return RC_OK;
}

rc_t http_client_read(struct http_client_call *c, str *bytes, struct diag *why) {
    return client_read_some(c, SIZE_MAX, bytes, why);
}

void http_client_close(struct http_client_call *c) {
    if (!c->broken) stream_consume(c->stream, c->held);
    c->held = 0;
    client_pool_give(c);
}
