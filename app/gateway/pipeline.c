/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c — one request is one walk over the phase table, on one fiber.
 *
 *   POST_READ  our headers on whatever will be answered
 *   ROUTE      path and method to a route; its query parameters checked
 *   LIMIT      shed under overload
 *   AUTH       who is asking            (app/auth)
 *   POLICY     may they?                (app/access)
 *   CONTENT    the module's handler
 *   LOG        always: counters, the access line
 *
 * Modules put functions into phases with their descriptor; within a phase they run in the order of
 * app/modules.c. A function that answered returns anything but RC_OK or RC_PASS, and the walk goes
 * on with LOG.
 *
 * Always true: a route that is not ACCESS_PUBLIC runs only after a POLICY function set `allowed`
 * (no policy module, no access); probes skip AUTH and POLICY, for they must answer when these fail;
 * each request gets exactly one answer; nothing a client sends makes this file panic.
 * Leaves to others: what the gateway tells about itself (routes.c). */
#include "app/gateway/gateway_impl.h"
#include "app/access/access.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

enum { PHASE_FUNCTIONS_MAX = 8, MODULES_MAX = 64 };

static struct {
    struct router *router;
    const struct module *const *list;
    phase_fn *phases[PHASE_COUNT][PHASE_FUNCTIONS_MAX + 1]; /* each NULL-ended */
    const struct module *started[MODULES_MAX];
    u64 first_answer_ns;
    void (*on_first_answer)(void);
    bool upstreams, upstreams_named; /* there are routes to them; some name hosts */
} gateway;

/* ---- Building ------------------------------------------------------------------------------ */

static rc_t add_phases(const struct module *m, struct diag *why) {
    for (int p = 0; p < PHASE_COUNT; p++) {
        if (!m->phases[p]) continue;
        int n = 0;
        while (gateway.phases[p][n]) n++;
        if (n == PHASE_FUNCTIONS_MAX) {
            diag_set(why, "too many functions in phase %d (module %s)", p, m->name);
            return RC_LIMIT;
        }
        gateway.phases[p][n] = m->phases[p];
    }
    return RC_OK;
}

static const struct route *route_for(enum http_method method, str path) {
    struct router_match m;
    return router_find(gateway.router, method, path, &m) ? NULL : m.route;
}

rc_t gateway_build(const struct module *const *list, struct diag *why) {
    rc_t rc = router_open(&gateway.router);
    gateway.list = list;
    access_router_use(route_for);
    if (rc) {
        diag_set(why, "no memory for the route table");
        return rc;
    }
    for (u32 i = 0; list[i]; i++) {
        const struct module *m = list[i];
        if ((rc = add_phases(m, why))) return rc;
        for (const struct route *r = m->routes; r && r->pattern; r++) {
            if (!(rc = router_add(gateway.router, m, r))) continue;
            diag_set(why, "route %.*s %s of module %s: %s", STR(http_method_name(r->method)),
                     r->pattern, m->name, rc_name(rc));
            return rc;
        }
    }
    return RC_OK;
}

const struct route *gateway_own_route(enum http_method method, str path) {
    return route_for(method, path);
}
void gateway_table_changed(bool any, bool named) {
    gateway.upstreams = any;
    gateway.upstreams_named = named;
}

const struct module *const *gateway_list(void) { return gateway.list; }

void gateway_module_started(const struct module *m, bool started) {
    for (int i = 0; i < MODULES_MAX; i++) {
        if (gateway.started[i] == m) {
            if (!started) gateway.started[i] = NULL;
            return;
        }
        if (started && !gateway.started[i]) {
            gateway.started[i] = m;
            return;
        }
    }
    CHECK(!started); /* more than MODULES_MAX modules */
}
bool gateway_module_runs(const struct module *m) {
    for (int i = 0; i < MODULES_MAX; i++)
        if (gateway.started[i] == m) return true;
    return false;
}

/* ---- Headers ------------------------------------------------------------------------------- */

#define COMMON_LINES                                                                               \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "X-Frame-Options: DENY\r\n"                                                                    \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Cross-Origin-Resource-Policy: same-origin\r\n"
#define SECURE_LINE "Strict-Transport-Security: max-age=63072000\r\n" /* Mozilla 6.0: two years */
/* An API answer is never a page: nothing in it may run, be framed, or be kept by a cache. */
#define API_LINES                                                                                  \
    COMMON_LINES "Cache-Control: no-store\r\n"                                                     \
                 "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
/* Our pages: only our own files, no inline script or style. They set their own Cache-Control. */
#define PAGE_LINES                                                                                 \
    COMMON_LINES "Cross-Origin-Opener-Policy: same-origin\r\n"                                     \
                 "Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n"                \
                 "Content-Security-Policy: default-src 'none'; script-src 'self'; "                \
                 "style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "   \
                 "form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n"

static void add_headers(struct request *rq) {
    static const str lines[2][2] = {{S(API_LINES), S(API_LINES SECURE_LINE)},
                                    {S(PAGE_LINES), S(PAGE_LINES SECURE_LINE)}};
    http_answer_lines(rq->x, lines[rq->route && rq->route->page][rq->http->secure]);
}

/* ---- Phases of the gateway's own ----------------------------------------------------------- */

static void add_allow(struct request *rq) {
    char text[96];
    size_t n = 0;
    for (int m = HTTP_GET; m < HTTP_OTHER; m++) {
        if (!(rq->allow & 1u << m)) continue;
        str name = http_method_name((enum http_method)m);
        if (n) text[n++] = ',', text[n++] = ' ';
        memcpy(text + n, name.ptr, name.len);
        n += name.len;
    }
    if (http_answer_field(rq->x, S("Allow"), str_of(text, n)))
        log_warn("gateway", "no room for an Allow field");
}

/* "/x/" is "/x" for those who say so. */
static rc_t find_lenient(struct request *rq, struct router_match *m) {
    str path = rq->http->path;
    if (path.len < 2 || path.ptr[path.len - 1] != '/') return RC_NOT_FOUND;
    rc_t rc = router_find(gateway.router, rq->http->method, str_take(path, path.len - 1), m);
    return !rc && m->route->lenient ? RC_OK : RC_NOT_FOUND;
}

/* "/x/" where only "/x" exists: one canonical path per thing. */
static bool redirect_slash(struct request *rq) {
    struct router_match m;
    str path = rq->http->path;
    if (path.len < 2 || path.ptr[path.len - 1] != '/') return false;
    if (rq->http->method != HTTP_GET && rq->http->method != HTTP_HEAD) return false;
    str shorter = str_take(path, path.len - 1);
    if (router_find(gateway.router, rq->http->method, shorter, &m)) return false;
    str target = rq->http->target; /* as it was encoded */
    size_t question = str_find_byte(target, '?');
    if (question < 2 || target.ptr[question - 1] != '/') return false;
    if (str_starts(target, S("//"))) return false; /* would leave for another host */
    reply_location(rq, arena_join(rq->arena, str_take(target, question - 1),
                                  str_skip(target, question)));
    reply_empty(rq, 308);
    return true;
}

/* `OPTIONS *` asks about the server as a whole (RFC 9110 9.3.7). */
static rc_t answer_asterisk(struct request *rq) {
    add_headers(rq);
    rq->allow = (1u << HTTP_OTHER) - 1;
    add_allow(rq);
    reply_empty(rq, 204);
    return RC_CLOSED;
}

static rc_t refuse_method(struct request *rq) {
    add_headers(rq);
    add_allow(rq);
    if (rq->http->method == HTTP_OPTIONS)
        reply_empty(rq, 204);
    else
        reply_problem(rq, 405, "method_not_allowed",
                      "This path does not know the method; Allow lists those it knows.");
    return RC_DENIED;
}

/* RC_PASS: no route to an upstream fits. */
static rc_t route_upstream(struct request *rq, bool named) {
    rc_t rc = front_route(rq, named, &rq->allow);
    if (rc == RC_PASS) return rc;
    add_headers(rq);
    if (rc == RC_NO_MEMORY) reply_rc(rq, rc, "Passing the request on");
    return rc;
}

/* Nothing of ours is at this path. */
static rc_t route_elsewhere(struct request *rq) {
    add_headers(rq);
    if (redirect_slash(rq)) return RC_NOT_FOUND;
    rc_t rc = gateway.upstreams ? route_upstream(rq, false) : RC_PASS;
    if (rc != RC_PASS) return rc;
    if (rq->allow) return refuse_method(rq);
    reply_problem(rq, 404, "no_such_path",
                  "There is nothing at this path; /api/openapi.json lists what there is.");
    return RC_NOT_FOUND;
}

rc_t pipeline_route(struct request *rq) {
    struct router_match m;
    if (str_eq(rq->http->path, S("*"))) return answer_asterisk(rq);
    rc_t rc = gateway.upstreams_named ? route_upstream(rq, true) : RC_PASS;
    if (rc != RC_PASS) return rc;
    rc = router_find(gateway.router, rq->http->method, rq->http->path, &m);
    if (rc == RC_NOT_FOUND) rc = find_lenient(rq, &m);
    if (rc == RC_NOT_FOUND) return route_elsewhere(rq);
    rq->allow = m.allow;
    if (rc) return refuse_method(rq);
    rq->route = m.route;
    rq->module = m.module;
    rq->param_count = m.param_count;
    for (u32 i = 0; i < m.param_count; i++) rq->params[i] = m.params[i];
    add_headers(rq);
    return rq->http->query.len ? query_check(rq) : RC_OK;
}

static rc_t run_content(struct request *rq) {
    if (!gateway_module_runs(rq->module)) {
        if (http_answer_field(rq->x, S("Retry-After"), S("5"))) return RC_CLOSED;
        reply_problem(rq, 503, "not_ready", "The service is not started yet; /readyz says why.");
        return RC_CLOSED;
    }
    if (rq->route->access != ACCESS_PUBLIC && !rq->allowed) { /* a probe that is not public, too */
        metric_add(METRIC_ACCESS_DENIED, 1);
        reply_problem(rq, 403, "denied", "Nothing allows this request.");
        return RC_DENIED;
    }
    rc_t rc = rq->route->idempotency_key ? idempotency_begin(rq) : RC_OK;
    if (rc) return rc;
    rq->route->handle(rq);
    if (rq->before_answer && rq->before_answer_arg) idempotency_end(rq);
    return RC_OK;
}

/* ---- LOG ----------------------------------------------------------------------------------- */

struct line { /* fields of the access line, put together by hand: it is written for every request */
    char text[LOG_LINE_MAX];
    size_t len;
};
static void line_put(struct line *l, str name, str value) {
    if (l->len + name.len + value.len > sizeof l->text) return;
    memcpy(l->text + l->len, name.ptr, name.len);
    if (value.len) memcpy(l->text + l->len + name.len, value.ptr, value.len);
    l->len += name.len + value.len;
}
static void line_number(struct line *l, str name, u64 v) {
    char digits[20], *at = digits + sizeof digits;
    do *--at = (char)('0' + v % 10);
    while (v /= 10);
    line_put(l, name, str_of(at, (size_t)(digits + sizeof digits - at)));
}

static void access_line(struct request *rq, u64 duration_ns) {
    UNINITIALIZED char path[256], peer[46];
    UNINITIALIZED struct line l;
    l.len = 0;
    /* a token, so it needs no quotes */
    line_put(&l, S("method="), str_take(rq->http->method_text, 16));
    line_put(&l, S(" path="), str_from_c(log_quote(rq->http->path, path, sizeof path)));
    line_number(&l, S(" status="), (u64)rq->x->status);
    line_number(&l, S(" bytes="), rq->x->bytes_sent);
    line_number(&l, S(" us="), duration_ns / NS_PER_US);
    if (rq->http->version_major > 1) line_put(&l, S(" proto=h2"), S(""));
    if (rq->actor.user_id.len) line_put(&l, S(" user="), rq->actor.user_id); /* ours: a UUID */
    line_put(&l, S(" peer="), net_address_text(&rq->http->peer, peer, sizeof peer));
    log_write_ready(LOG_INFO, "http", "request", str_of(l.text, l.len));
}

static rc_t log_request(struct request *rq) {
    u64 duration_ns = platform_clock_ns() - rq->x->started_ns;
    metric_request(rq->route ? rq->route->pattern : "none",
                   rq->http->method == HTTP_OTHER ? S("OTHER") : http_method_name(rq->http->method),
                   rq->x->status, duration_ns);
    if (!rq->route || !rq->route->quiet) access_line(rq, duration_ns);
    return RC_OK;
}

static rc_t content_phase(struct request *rq) {
    rc_t rc = run_content(rq);
    if (!http_answered(rq->x)) {
        log_error("gateway", "a handler gave no answer", "route=%s", rq->route->pattern);
        reply_problem(rq, 500, "no_answer", "The appliance failed to answer this request.");
    }
    return rc;
}

/* ---- The walk ------------------------------------------------------------------------------ */

static rc_t run_phase(enum phase p, struct request *rq) {
    if ((p == PHASE_AUTH || p == PHASE_POLICY) && rq->route->probe) return RC_OK;
    for (phase_fn *const *fn = gateway.phases[p]; *fn; fn++) {
        rc_t rc = (*fn)(rq);
        if (rc != RC_OK && rc != RC_PASS) return rc;
    }
    return RC_OK;
}

static void first_answer(void) {
    if (gateway.first_answer_ns) return;
    gateway.first_answer_ns = platform_clock_ns();
    if (gateway.on_first_answer) gateway.on_first_answer();
}

void gateway_handle(struct http_exchange *x, void *arg) {
    (void)arg;
    struct request rq = {.x = x, .http = x->request, .arena = x->arena};
    x->user = &rq;
    fiber_set_request_id(rq.http->id);
    for (enum phase p = PHASE_POST_READ; p < PHASE_LOG; p++)
        if (run_phase(p, &rq)) break;
    if (!http_answered(x)) /* a phase refused and forgot to say so: never leave a client waiting */
        reply_problem(&rq, 500, "no_answer", "The appliance failed to answer this request.");
    (void)!!run_phase(PHASE_LOG, &rq);
    first_answer();
    x->user = NULL;
}

u64 gateway_first_answer_ns(void) { return gateway.first_answer_ns; }
void gateway_on_first_answer(void (*fn)(void)) { gateway.on_first_answer = fn; }

/* Port 80 without `http.plain`: probes are answered (load balancers ask in plain), the rest is sent
 * to HTTPS. 308 keeps method and body; only GET and HEAD are redirected, so that nobody's password
 * goes over the wire in plain and then again. */
void gateway_handle_redirect(struct http_exchange *x, void *arg) {
    const struct http_request *http = x->request;
    struct router_match m;
    if (!router_find(gateway.router, http->method, http->path, &m) && m.route->quiet &&
        m.route->access == ACCESS_PUBLIC) {
        gateway_handle(x, arg);
        return;
    }
    struct request rq = {.x = x, .http = http, .arena = x->arena};
    fiber_set_request_id(http->id);
    add_headers(&rq);
    bool safe = http->method == HTTP_GET || http->method == HTTP_HEAD;
    if (safe && http->host.len && !str_starts(http->target, S("*"))) {
        reply_location(&rq, arena_join(rq.arena, S("https://"), http->host, http->target));
        reply_empty(&rq, 308);
    } else {
        reply_problem(&rq, 403, "https_wanted", "Use https:// for this.");
    }
    (void)log_request(&rq);
    first_answer();
}

/* ---- The module ---------------------------------------------------------------------------- */

const struct module gateway_module = {
    .name = "gateway",
    .routes = gateway_routes,
    .schemas = gateway_schemas,
    .phases = {[PHASE_ROUTE] = pipeline_route,
               [PHASE_LIMIT] = load_limit,
               [PHASE_CONTENT] = content_phase,
               [PHASE_LOG] = log_request},
};
