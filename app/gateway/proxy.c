/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c — one request, asked of an upstream and answered from it, on the request's fiber.
 *
 *   pick a target -> connect (or reuse), head out -> body, piece by piece -> head in -> body, piece
 *        ^                  |                                                  |        by piece
 *        +-- another one, when this one has done nothing with the request <----+
 *
 * What goes wrong before the client has heard anything becomes a problem with a reason:
 *   503 nobody is there to ask (all busy, breaker open), 504 it took too long, 502 the rest.
 * What goes wrong later can only break the connection: a body that ends early must not look whole.
 *
 * The client hears what happened, not where: addresses of upstreams go into the log alone. */
#include "app/gateway/cache.h"
#include "app/gateway/compress.h"
#include "app/gateway/mirror.h"
#include "app/gateway/proxy.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"
#include "net/http_interim.h"
#include "net/http_url.h"
#include <stdio.h>

enum { VIA_MAX = 8 }; /* gateways of our kind on the way: beyond, it goes round in circles */

enum step { STEP_CONNECT, STEP_SEND, STEP_ANSWER };
struct proxying {
    struct request *rq;
    struct gateway_route *g;
    const struct edge_upstream *up;
    struct pool_pick pick;
    u32 target;
    struct http_client_call *call;
    struct http_client_answer answer;
    str upgrade;
    struct mirror *mirror;
    struct cache_filling *filling; /* NULL: the answer is not to be kept */
    struct compress *coder; /* NULL: bytes pass as they are */
    char *piece;
    u64 body_sent;
    bool body_begun; /* bytes of the client's were taken: it cannot be asked again */
    bool reused, mirrored;
    enum step step; /* the last one begun */
    struct diag why;
};

/* ---- Refusing -------------------------------------------------------------------------------- */

/* The log has it all; the client gets what is behind the first colon when it names no address. */
static void refuse(struct proxying *p, rc_t rc) {
    const char *what;
    int status = rc == RC_TIMEOUT ? 504 : 502;
    const char *code = rc == RC_TIMEOUT ? "upstream_timeout" : "upstream_failed";
    switch (p->step) {
    case STEP_CONNECT:
        what = rc == RC_TIMEOUT     ? "did not accept a connection in time"
               : rc == RC_DENIED    ? "could not be verified or may not be called"
               : rc == RC_NOT_FOUND ? "could not be found: its name has no address"
                                    : "could not be reached";
        break;
    case STEP_SEND:
        what = rc == RC_TIMEOUT ? "did not take the request's body in time"
                                : "closed the connection before it had the whole request";
        break;
    default:
        what = rc == RC_TIMEOUT  ? "did not answer in time"
               : rc == RC_CLOSED ? "closed the connection without an answer"
               : rc == RC_LIMIT  ? "answered with a head that is too large"
                                 : "did not send a proper HTTP answer";
    }
    if (rc == RC_LIMIT && p->step == STEP_CONNECT) {
        status = 503, code = "upstream_busy", what = "has no free connection";
        (void)!!http_answer_field(p->rq->x, S("Retry-After"), S("1"));
    }
    log_warn("gateway", "an upstream failed a request", "route=%.*s upstream=%.*s server=%s why=%s",
             STR(p->g->edge->name), STR(p->up->name), LOGSTR(p->up->targets[p->target].url),
             LOGSTR(str_from_c(p->why.text)));
    metric_add(METRIC_GATEWAY_FAILED, 1);
    p->g->failures++;
    reply_problem(p->rq, status, code, "The server behind this address, \"%.*s\", %s.",
                  STR(p->up->name), what);
}

static void refuse_pick(struct proxying *p, rc_t rc, u32 wait_s) {
    char text[12];
    int n = snprintf(text, sizeof text, "%u", wait_s);
    metric_add(METRIC_GATEWAY_FAILED, 1);
    p->g->failures++;
    (void)!!http_answer_field(p->rq->x, S("Retry-After"), str_of(text, (size_t)n));
    if (rc == RC_DENIED)
        reply_problem(p->rq, 503, "upstream_resting",
                      "The servers behind this address, \"%.*s\", have failed too often; they are "
                      "asked again in %u s.",
                      STR(p->up->name), wait_s);
    else
        reply_problem(p->rq, 503, "upstream_busy",
                      "The servers behind this address, \"%.*s\", are all busy; try again in a "
                      "moment.",
                      STR(p->up->name));
}

/* The client's own body broke; the upstream is not to blame. */
static void refuse_body(struct proxying *p, rc_t rc) {
    http_close_after(p->rq->x);
    if (rc == RC_LIMIT)
        reply_problem(p->rq, 413, "body_too_large", "The body may have at most %llu bytes here.",
                      (unsigned long long)p->g->edge->body_max);
    else if (rc == RC_TIMEOUT)
        reply_problem(p->rq, 408, "body_late", "The body did not arrive in time.");
    else
        reply_problem(p->rq, 400, "body_broken", "The body's framing is broken or it ended early.");
}

/* ---- Out ------------------------------------------------------------------------------------- */

static u64 hash_key(struct proxying *p) {
    const struct http_request *h = p->rq->http;
    char text[46];
    str key = {NULL, 0};
    if (p->up->hash_on == EDGE_BY_HEADER) key = http_field(h, p->up->hash_name);
    if (p->up->hash_on == EDGE_BY_COOKIE) {
        str rest = http_field(h, S("Cookie")), one;
        while (!key.ptr && str_split(&rest, ';', &one)) {
            one = str_trim(one);
            size_t at = str_find_byte(one, '=');
            if (str_eq(str_take(one, at), p->up->hash_name)) key = str_skip(one, at + 1);
        }
    }
    if (!key.ptr) key = net_address_text(&h->peer, text, sizeof text);
    return str_hash(key, 0x5EED);
}

/* Whose share is it? Smooth over requests, so 5 of 100 is every twentieth. */
static u32 share_of(struct gateway_route *g) {
    const struct edge_route *e = g->edge;
    if (e->share_count == 1) return e->shares[0].upstream;
    u64 at = g->split_at;
    g->split_at = (at + e->share_total * 618 / 1000 + 1) % e->share_total; /* golden: well spread */
    for (u32 i = 0; i < e->share_count; i++) {
        if (at < e->shares[i].weight) return e->shares[i].upstream;
        at -= e->shares[i].weight;
    }
    return e->shares[0].upstream;
}

static rc_t open_call(struct proxying *p) {
    struct http_url url;
    struct http_client_trust trust = {.ca_pem = p->up->ca_pem,
                                      .server_name = p->up->server_name,
                                      .insecure = p->up->insecure};
    const struct http_request *h = p->rq->http;
    struct http_client_pass pass = {
        .url = p->up->targets[p->target].url,
        .method = h->method_text,
        .target = proxy_target(p->rq, p->g->edge),
        .length = !h->has_body ? 0 : h->content_length,
        .upgrade = p->upgrade,
        .trust = &trust,
        .connect_deadline_ns = platform_clock_ns() + p->up->connect_ms * NS_PER_MS,
        .stall_ms = HTTP_STALL_TIMEOUT_MS,
        .fresh = p->upgrade.len > 0};
    struct http_field *fields;
    p->step = STEP_CONNECT;
    rc_t rc = http_url_parse(pass.url, &url, &p->why);
    if (!rc && !pass.target.ptr) rc = RC_NO_MEMORY;
    if (!rc) rc = proxy_request_fields(p->rq, p->g, url.authority, &fields, &pass.field_count);
    if (rc) return rc;
    pass.fields = fields;
    if (!p->mirrored && p->g->edge->mirror >= 0) p->mirror = mirror_begin(p->g, &pass);
    p->mirrored = true;
    return http_client_pass_open(&pass, &p->call, &p->reused, &p->why);
}

/* *theirs: the client's fault. RC_PASS: the upstream has answered before it had all. */
static rc_t send_body(struct proxying *p, bool *theirs) {
    struct request *rq = p->rq;
    size_t got;
    *theirs = false;
    p->step = STEP_SEND;
    if (!rq->http->has_body) return RC_OK;
    p->body_begun = true;
    for (;;) {
        if (http_client_pass_answers(p->call)) return RC_PASS;
        rc_t rc = http_body_read(rq->x, p->piece, PROXY_PIECE, &got);
        *theirs = rc != RC_OK;
        if (!rc && p->body_sent + got > p->g->edge->body_max) *theirs = true, rc = RC_LIMIT;
        if (rc) return rc;
        if (!got) return http_client_pass_end(p->call, &p->why);
        p->body_sent += got;
        if (p->mirror) mirror_body(&p->mirror, str_of(p->piece, got));
        rc = http_client_pass_write(p->call, str_of(p->piece, got), &p->why);
        if (rc) return rc;
    }
}

/* ---- In -------------------------------------------------------------------------------------- */

/* Hints go on to browsers; 100 is between us and the upstream. Clients there are that take any 1xx
 * but 100 for the answer, and a gateway, unlike a proxy, need not pass them on (RFC 9110 3.7). */
static void pass_interim(struct proxying *p) {
    str lines;
    if (p->answer.status == 100 || !http_field(p->rq->http, S("Sec-Fetch-Mode")).ptr) return;
    if (!proxy_answer_lines(p->rq, p->g, &p->answer, false, &lines))
        (void)!!http_answer_interim(p->rq->x, p->answer.status, lines);
}

static rc_t receive_head(struct proxying *p) {
    u64 deadline = platform_clock_ns() + p->up->answer_ms * NS_PER_MS;
    p->step = STEP_ANSWER;
    for (;;) {
        rc_t rc = http_client_pass_answer(p->call, p->rq->arena, deadline, &p->answer, &p->why);
        if (rc) return rc;
        if (p->answer.status == 101 || p->answer.status >= 200) break;
        pass_interim(p);
    }
    if (p->answer.status <= 599) return RC_OK;
    diag_set(&p->why, "the status %d is none", p->answer.status);
    return RC_IO;
}

static void close_call(struct proxying *p) {
    if (p->call) http_client_close(p->call);
    p->call = NULL;
}

/* From head to end. After the first byte there is no other answer: a failure breaks off. */
static void pass_body(struct proxying *p) {
    struct http_exchange *x = p->rq->x;
    size_t got;
    for (;;) {
        http_client_patience(p->call, platform_clock_ns() + p->up->idle_ms * NS_PER_MS);
        rc_t rc = http_client_pass_read(p->call, p->piece, PROXY_PIECE, &got, &p->why);
        if (rc) {
            log_warn("gateway", "an upstream's answer broke off", "route=%.*s upstream=%.*s why=%s",
                     STR(p->g->edge->name), STR(p->up->name), LOGSTR(str_from_c(p->why.text)));
            metric_add(METRIC_GATEWAY_FAILED, 1);
            p->g->failures++;
            return; /* unended: the connection closes, and the client sees it was cut */
        }
        str bytes = str_of(p->piece, got);
        if (p->filling && got) cache_body(p->filling, bytes);
        if (p->filling && !got) cache_commit(p->filling);
        rc = p->coder ? compress_write(p->coder, x, bytes, !got) : http_answer_write(x, bytes);
        if (rc) return; /* the client has gone */
        if (got) continue;
        (void)!!http_answer_end(x);
        return;
    }
}

static void pass_answer(struct proxying *p) {
    struct http_exchange *x = p->rq->x;
    const struct http_client_answer *a = &p->answer;
    str lines;
    p->filling = cache_begin(p->rq, p->g, a);
    if (p->g->edge->cache)
        (void)!!http_answer_field(x, S("Cache-Status"),
                                  p->filling ? S("openpolicy; fwd=miss; stored")
                                             : S("openpolicy; fwd=bypass"));
    if (p->rq->http->method != HTTP_GET && p->rq->http->method != HTTP_HEAD &&
        p->rq->http->method != HTTP_OPTIONS && a->status < 400)
        cache_invalidate(p->rq, p->g);
    if (compress_wanted(p->rq, p->g->edge, a)) p->coder = compress_open(p->rq->arena);
    rc_t rc = proxy_answer_lines(p->rq, p->g, a, p->coder != NULL, &lines);
    if (rc) {
        refuse(p, rc);
        return;
    }
    http_answer_lines(x, lines);
    bool bodyless = a->status == 204 || a->status == 304 || p->rq->http->method == HTTP_HEAD;
    s64 length = a->content_length < 0 && bodyless ? HTTP_LENGTH_UNTOLD : a->content_length;
    if (p->coder) length = -1;
    if (http_answer_begin(x, a->status, S(""), length)) return;
    if (bodyless)
        (void)!!http_answer_end(x);
    else
        pass_body(p);
}

static void on_switched(void *arg, struct stream *client) {
    struct stream *upstream = arg;
    tunnel_open(client, upstream, 300000);
}

/* 101: from here on it is bytes, both ways, and nobody's fiber. */
static void pass_switch(struct proxying *p) {
    str lines, protocol = http_client_field(&p->answer, S("Upgrade"));
    rc_t rc = proxy_answer_lines(p->rq, p->g, &p->answer, false, &lines);
    if (!rc && !str_eq_nocase(protocol, p->upgrade)) rc = RC_IO;
    if (!rc && tunnel_reserve()) rc = RC_LIMIT;
    if (rc) {
        refuse(p, rc);
        return;
    }
    http_answer_lines(p->rq->x, lines);
    struct stream *upstream = http_client_pass_take(p->call);
    p->call = NULL;
    if (http_switch(p->rq->x, protocol, on_switched, upstream)) {
        tunnel_unreserve();
        stream_abort(upstream);
        reply_problem(p->rq, 502, "upgrade_failed", "The connection cannot change its protocol.");
    }
}

/* ---- Tries ----------------------------------------------------------------------------------- */

static bool repeatable(enum http_method m) {
    return m == HTTP_GET || m == HTTP_HEAD || m == HTTP_OPTIONS || m == HTTP_PUT ||
           m == HTTP_DELETE;
}

/* Has the upstream certainly, or harmlessly, done nothing with it? */
static bool may_repeat(const struct proxying *p, rc_t rc) {
    if (p->body_begun) return false;
    if (p->step == STEP_CONNECT) return rc == RC_IO || rc == RC_TIMEOUT || rc == RC_NOT_FOUND;
    return rc != RC_TIMEOUT && rc != RC_LIMIT && repeatable(p->rq->http->method) &&
           (rc == RC_CLOSED || p->step == STEP_SEND);
}

/* One try. RC_OK: answered, well or not; RC_PASS: the client's fault, answered; else: failed. */
static rc_t try_once(struct proxying *p) {
    bool theirs;
    rc_t rc = open_call(p);
    if (rc) return rc;
    rc = send_body(p, &theirs);
    if (rc) { /* half a body is nobody's to see */
        mirror_drop(p->mirror);
        p->mirror = NULL;
    }
    if (theirs) {
        refuse_body(p, rc);
        return RC_PASS;
    }
    if (rc && rc != RC_PASS) return rc;
    return receive_head(p);
}

static void drop_call(struct proxying *p) {
    if (p->call) http_client_pass_drop(p->call);
    p->call = NULL;
}

/* A kept connection that its server closed in this very moment is nobody's failure: once more on a
 * fresh one, at the same server, beside the retries. */
static rc_t try_target(struct proxying *p) {
    rc_t rc = try_once(p);
    if (rc != RC_CLOSED || !p->reused || !may_repeat(p, rc)) return rc;
    drop_call(p);
    return try_once(p);
}

static void ask(struct proxying *p) {
    for (u32 tries = 0;; tries++) {
        u32 wait_s;
        rc_t rc = pool_take(&p->pick, &p->target, &wait_s);
        if (rc && tries == 0) {
            refuse_pick(p, rc, wait_s);
            return;
        }
        if (rc) break; /* nobody is left to try */
        rc = try_target(p);
        bool bad = p->answer.status == 502 || p->answer.status == 503 || p->answer.status == 504;
        pool_done(&p->pick, p->target, rc == RC_PASS ? POOL_UNKNOWN
                                       : rc || bad   ? POOL_FAILED
                                                     : POOL_ANSWERED);
        if (rc == RC_PASS) drop_call(p);
        if (rc == RC_PASS) return;
        if (!rc) {
            if (p->answer.status == 101) pass_switch(p);
            else pass_answer(p);
            close_call(p);
            return;
        }
        drop_call(p);
        p->answer.status = 0;
        bool again = tries < p->up->retries && may_repeat(p, rc) && pool_may_retry(p->pick.pool);
        if (!again) {
            refuse(p, rc);
            return;
        }
    }
    refuse(p, RC_IO);
}

/* ---- From the cache -------------------------------------------------------------------------- */

static bool known_already(struct request *rq, const struct cached *c) {
    str tag = http_client_field(&c->answer, S("ETag")), rest, one;
    rest = http_field(rq->http, S("If-None-Match"));
    if (str_starts(tag, S("W/"))) tag = str_skip(tag, 2);
    while (tag.len && rest.len && str_split(&rest, ',', &one)) {
        one = str_trim(one);
        if (str_starts(one, S("W/"))) one = str_skip(one, 2);
        if (str_eq(one, tag) || str_eq(one, S("*"))) return true;
    }
    return false;
}

static void send_cached(struct request *rq, const struct gateway_route *g,
                        const struct cached *c) {
    struct http_exchange *x = rq->x;
    struct compress *coder = NULL;
    char text[64];
    str lines;
    bool known = known_already(rq, c), head = rq->http->method == HTTP_HEAD;
    if (!known && compress_wanted(rq, g->edge, &c->answer)) coder = compress_open(rq->arena);
    if (proxy_answer_lines(rq, g, &c->answer, coder != NULL, &lines)) {
        reply_rc(rq, RC_NO_MEMORY, "Answering from the cache");
        return;
    }
    http_answer_lines(x, lines);
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)c->age_s);
    (void)!!http_answer_field(x, S("Age"), str_of(text, (size_t)n));
    n = snprintf(text, sizeof text, "openpolicy; hit; ttl=%llu", (unsigned long long)c->left_s);
    (void)!!http_answer_field(x, S("Cache-Status"), str_of(text, (size_t)n));
    s64 length = known ? HTTP_LENGTH_UNTOLD : coder ? -1 : (s64)c->body.len;
    if (http_answer_begin(x, known ? 304 : c->answer.status, S(""), length)) return;
    rc_t rc = RC_OK;
    if (!known && !head)
        rc = coder ? compress_write(coder, x, c->body, true) : http_answer_write(x, c->body);
    if (!rc) (void)!!http_answer_end(x);
}

static bool answered_from_cache(struct request *rq, const struct gateway_route *g) {
    struct cached *c = g->edge->cache ? cache_find(rq, g) : NULL;
    if (!c) return false;
    metric_add(METRIC_GATEWAY_CACHE_HITS, 1);
    send_cached(rq, g, c);
    cache_release(c);
    return true;
}

/* ---- The handler ----------------------------------------------------------------------------- */

static bool goes_in_circles(struct request *rq) {
    u32 at = 0, seen = 0;
    str value;
    while (http_field_next(rq->http, S("Via"), &at, &value))
        for (str rest = value, one; str_split(&rest, ',', &one);)
            seen += str_ends(str_trim(one), S(" openpolicy"));
    return seen >= VIA_MAX;
}

static void redirect(struct request *rq, const struct edge_route *e) {
    str to = proxy_template(rq, e, e->redirect);
    if (to.ptr && str_starts(to, S("//"))) to = S("/"); /* would leave for another host */
    reply_location(rq, to);
    reply_empty(rq, e->redirect_status);
}

/* A share of the fibers stays for our own services, however slow the servers behind us are. */
static bool crowded(struct request *rq) {
    if (fiber_count() * 8 < fiber_capacity() * 7) return false;
    (void)!!http_answer_field(rq->x, S("Retry-After"), S("1"));
    metric_add(METRIC_REQUESTS_SHED, 1);
    reply_problem(rq, 503, "overloaded", "The appliance is overloaded; try again in a moment.");
    return true;
}

void proxy_handle(struct request *rq) {
    struct gateway_route *g = CONTAINER_OF(rq->route, struct gateway_route, route);
    const struct edge_route *e = g->edge;
    g->requests++;
    metric_add(METRIC_GATEWAY_REQUESTS, 1);
    if (e->redirect.len) {
        redirect(rq, e);
        return;
    }
    if (goes_in_circles(rq)) {
        reply_problem(rq, 508, "loop", "This request has been through this gateway too often.");
        return;
    }
    if (rq->http->content_length > 0 && (u64)rq->http->content_length > e->body_max) {
        struct proxying p = {.rq = rq, .g = g};
        refuse_body(&p, RC_LIMIT);
        return;
    }
    if (answered_from_cache(rq, g) || crowded(rq)) return;
    u32 share = share_of(g);
    struct proxying p = {.rq = rq,
                         .g = g,
                         .up = &g->table->edge.upstreams[share],
                         .upgrade = proxy_upgrade_wanted(rq),
                         .piece = arena_alloc(rq->arena, PROXY_PIECE)};
    p.pick = (struct pool_pick){.upstream = p.up, .pool = g->table->pools[share]};
    if (p.up->balance == EDGE_HASH) p.pick.hash = hash_key(&p);
    if (p.piece) ask(&p);
    mirror_send(p.mirror);
    if (!p.piece) reply_rc(rq, RC_NO_MEMORY, "Passing the request on");
}
