/* SPDX-License-Identifier: Apache-2.0 */
/* front.c — where the routes of gateway.routes meet the pipeline, and what they tell of themselves.
 *
 *   request -> a route that names its host? -> our own paths -> a route for every host? -> 404
 *
 * So a route for a named host goes before everything (but the answers to certificate authorities),
 * and one without hosts never hides a path of the platform. "Which one wins, and why" is answered
 * by the very function that decides: GET /api/v1/gateway/match. */
#include "app/gateway/gateway_impl.h"
#include "app/gateway/gateway.h"
#include "app/gateway/cache.h"
#include "app/gateway/cors.h"
#include "app/gateway/limit.h"
#include "app/gateway/pool_impl.h"
#include "app/gateway/proxy.h"
#include "app/gateway/trust.h"
#include "app/reply.h"
#include "net/http_url.h"
#include "net/url.h"

enum { MATCH_FIELDS_MAX = 16 };

static const struct gateway_route *decide(const struct gateway_table *t,
                                          const struct match_question *q, bool named, u32 *allow) {
    for (u32 i = 0; i < t->edge.route_count; i++) {
        const struct edge_route *e = &t->edge.routes[i];
        if (named && !e->host_count) return NULL; /* those with hosts come first */
        if (!named && e->host_count) continue;
        enum match_miss miss = match_route(e, q, NULL);
        if (miss == MATCH_FITS) return &t->routes[i];
        if (miss == MATCH_METHOD) *allow |= e->methods;
    }
    return NULL;
}

static enum http_method method_named(str name) {
    u32 m = 0;
    while (m < HTTP_OTHER && !str_eq(http_method_name((enum http_method)m), name)) m++;
    return (enum http_method)m;
}

static void release(void *arg) { table_release(arg); }

rc_t front_route(struct request *rq, bool named, u32 *allow) {
    struct gateway_table *t = table_now();
    struct match_question q = {.method = rq->http->method,
                               .host = rq->http->host,
                               .path = rq->http->path,
                               .query = rq->http->query,
                               .fields = rq->http->fields,
                               .field_count = rq->http->field_count};
    str asked = cors_asks_for(rq);
    if (asked.ptr) q.method = method_named(asked);
    if (!t || (named && str_starts(q.path, S("/.well-known/acme-challenge/")))) return RC_PASS;
    const struct gateway_route *g = decide(t, &q, named, allow);
    if (g && asked.ptr && !g->edge->cors) { /* then OPTIONS is a method like any other */
        q.method = HTTP_OPTIONS;
        g = decide(t, &q, named, allow);
        asked.ptr = NULL;
    }
    if (!g) return RC_PASS;
    table_hold(t);
    if (arena_on_close(rq->arena, release, t)) return RC_NO_MEMORY;
    rq->route = &g->route;
    rq->module = &gateway_module;
    if (!g->edge->cors) return RC_OK;
    if (!asked.ptr) {
        cors_answer(rq, g->edge->cors);
        return RC_OK;
    }
    cors_preflight(rq, g->edge->cors);
    return RC_CLOSED;
}

/* Before AUTH what goes by address and route, after it what goes by who asks. */
static rc_t limit(struct request *rq, bool with_actor) {
    struct gateway_table *t = table_now();
    if (!t || rq->route->quiet) return RC_PASS;
    if (rq->route->handle == proxy_handle) {
        const struct gateway_route *g = CONTAINER_OF(rq->route, const struct gateway_route, route);
        const struct edge_route *e = g->edge;
        return e->limit_count
                   ? limit_charge(rq, &g->table->edge, e->limits, e->limit_count, with_actor)
                   : RC_PASS;
    }
    if (!t->edge.platform_limit_count || rq->route->access == ACCESS_ADMIN) return RC_PASS;
    table_hold(t); /* rules are looked at until the answer is out */
    if (arena_on_close(rq->arena, release, t)) return RC_PASS;
    return limit_charge(rq, &t->edge, t->edge.platform_limits, t->edge.platform_limit_count,
                        with_actor);
}
static rc_t limit_early(struct request *rq) { return limit(rq, false); }
static rc_t limit_actor(struct request *rq) { return limit(rq, true); }

/* ---- GET /api/v1/gateway/routes -------------------------------------------------------------- */

static void write_texts(struct json_writer *w, const char *key, const str *list, u32 n) {
    json_array(w, key);
    for (u32 i = 0; i < n; i++) json_text(w, NULL, list[i]);
    json_array_end(w);
}

static void write_methods(struct json_writer *w, u32 methods) {
    json_array(w, "methods");
    for (u32 m = 0; m < HTTP_OTHER; m++)
        if (methods & 1u << m) json_text(w, NULL, http_method_name((enum http_method)m));
    json_array_end(w);
}

static void write_one(struct json_writer *w, const struct gateway_table *t, u32 i) {
    static const char *const kinds[] = {"prefix", "exact", "pattern"};
    static const char *const access[] = {"public", "user", "admin"};
    const struct edge_route *e = &t->edge.routes[i];
    json_object(w, NULL);
    json_text(w, "name", e->name);
    write_texts(w, "hosts", e->hosts, e->host_count);
    json_text(w, "path", e->path);
    json_text(w, "match", str_from_c(kinds[e->kind]));
    write_methods(w, e->methods);
    json_int(w, "conditions", e->header_count + e->query_count);
    json_text(w, "access", str_from_c(access[e->access]));
    if (e->access != EDGE_PUBLIC) json_text(w, "permission", e->permission);
    if (e->redirect.len) json_text(w, "redirect", e->redirect);
    json_array(w, "upstreams");
    for (u32 s = 0; s < e->share_count; s++) {
        json_object(w, NULL);
        json_text(w, "upstream", t->edge.upstreams[e->shares[s].upstream].name);
        json_int(w, "weight", e->shares[s].weight);
        json_object_end(w);
    }
    json_array_end(w);
    json_int(w, "requests", (s64)t->routes[i].requests);
    json_int(w, "failures", (s64)t->routes[i].failures);
    json_object_end(w);
}

void front_write(struct json_writer *w) {
    struct gateway_table *t = table_now();
    json_array(w, "routes");
    for (u32 i = 0; t && i < t->edge.route_count; i++) write_one(w, t, i);
    json_array_end(w);
    json_array(w, "upstreams");
    for (u32 i = 0; t && i < t->edge.upstream_count; i++)
        pool_write(w, &t->edge.upstreams[i], t->pools[i]);
    json_array_end(w);
    json_int(w, "tunnels", tunnel_count());
    json_int(w, "cache_bytes", (s64)cache_bytes());
}

/* ---- GET /api/v1/gateway/match --------------------------------------------------------------- */

/* "X-Canary: 1", a line each. */
static bool read_fields(struct request *rq, str text, struct http_field *list, u32 *count) {
    str line;
    *count = 0;
    while (str_split(&text, '\n', &line)) {
        size_t colon = str_find_byte(line, ':');
        if (!str_trim(line).len) continue;
        if (*count == MATCH_FIELDS_MAX || colon == line.len) {
            reply_problem(rq, 400, "query_invalid", "\"headers\" wants lines of \"Name: value\".");
            return false;
        }
        list[(*count)++] = (struct http_field){str_trim(str_take(line, colon)),
                                               str_trim(str_skip(line, colon + 1))};
    }
    return true;
}

static bool read_question(struct request *rq, struct match_question *q, struct http_field *fields) {
    str url = {NULL, 0}, method = S("GET"), headers = S("");
    struct http_url u;
    struct diag why;
    if (!request_query_text(rq, "url", 8000, &url) ||
        !request_query_text(rq, "method", 16, &method) ||
        !request_query_text(rq, "headers", 8000, &headers) ||
        !read_fields(rq, headers, fields, &q->field_count))
        return false;
    q->fields = fields;
    q->method = method_named(method);
    if (!url.ptr || http_url_parse(url, &u, &why)) {
        reply_problem(rq, 400, "query_invalid",
                      "\"url\" wants an absolute URL such as https://shop.example.org/cart?a=1.");
        return false;
    }
    size_t question = str_find_byte(u.target, '?');
    str raw = question ? str_take(u.target, question) : S("/");
    char *plain = arena_alloc(rq->arena, raw.len + 1);
    char *host = arena_alloc(rq->arena, u.host.len + 1);
    if (!plain || !host) {
        reply_rc(rq, RC_NO_MEMORY, "Reading the URL");
        return false;
    }
    for (size_t i = 0; i < u.host.len; i++) {
        char c = u.host.ptr[i];
        host[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    q->host = str_of(host, u.host.len);
    q->query = str_skip(u.target, question + 1);
    if (!url_path_plain(raw, plain, &q->path)) return true;
    reply_problem(rq, 400, "query_invalid", "The URL's path would be refused with 400.");
    return false;
}

static str miss_text(struct arena *a, enum match_miss miss, str what) {
    switch (miss) {
    case MATCH_FITS: return S("fits");
    case MATCH_HOST: return S("is for other hosts");
    case MATCH_PATH: return S("is for other paths");
    case MATCH_METHOD: return S("is for other methods");
    case MATCH_HEADER: return arena_join(a, S("wants another header "), what);
    case MATCH_QUERY: return arena_join(a, S("wants another query parameter "), what);
    }
    return S("");
}

struct verdict {
    const struct gateway_route *winner;
    const struct route *own; /* of the platform */
};

static void write_candidates(struct request *rq, struct json_writer *w,
                             const struct gateway_table *t, const struct match_question *q,
                             const struct verdict *v) {
    json_array(w, "tried");
    for (u32 i = 0; t && i < t->edge.route_count; i++) {
        const struct edge_route *e = &t->edge.routes[i];
        str what;
        enum match_miss miss = match_route(e, q, &what);
        str text = miss_text(rq->arena, miss, what);
        if (miss == MATCH_FITS && &t->routes[i] != v->winner)
            text = v->own && !e->host_count ? S("fits, but the platform's own path goes before it")
                                            : S("fits, but a more specific one goes before it");
        json_object(w, NULL);
        json_text(w, "route", e->name);
        json_bool(w, "wins", &t->routes[i] == v->winner);
        json_text(w, "why", text);
        json_object_end(w);
        if (&t->routes[i] == v->winner) break;
    }
    json_array_end(w);
}

static void explain(struct request *rq) {
    struct http_field fields[MATCH_FIELDS_MAX];
    struct match_question q = {0};
    struct gateway_table *t = table_now();
    struct verdict v = {0};
    struct json_writer w;
    u32 allow = 0;
    if (!read_question(rq, &q, fields)) return;
    if (t) v.winner = decide(t, &q, true, &allow);
    if (!v.winner) v.own = gateway_own_route(q.method, q.path);
    if (t && !v.winner && !v.own) v.winner = decide(t, &q, false, &allow);
    json_open(&w, KIB(128));
    json_object(&w, NULL);
    json_text(&w, "host", q.host);
    json_text(&w, "path", q.path);
    json_text(&w, "answered_by", v.winner ? S("upstream") : v.own ? S("platform") : S("nobody"));
    json_text(&w, "route", v.winner ? v.winner->edge->name
                           : v.own  ? str_from_c(v.own->pattern)
                                    : (str){NULL, 0});
    json_text(&w, "why",
              v.winner && v.winner->edge->host_count ? S("it names the host and goes before all")
              : v.winner ? S("the platform has no such path, and it is the most specific that fits")
              : v.own    ? S("no route names the host, and it is a path of the platform")
              : allow    ? S("a route has the path, but for other methods: 405")
                         : S("no route fits, and the platform has no such path: 404"));
    if (v.winner && !v.winner->edge->redirect.len)
        json_text(&w, "upstream",
                  t->edge.upstreams[v.winner->edge->shares[0].upstream].name);
    write_candidates(rq, &w, t, &q, &v);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static const struct route_param match_query[] = {
    {"url", "string", "The URL a client would ask, absolute"},
    {"method", "string", "GET if absent"},
    {"headers", "string", "Header lines, \"Name: value\" each"},
    {0},
};
const struct route front_routes[] = {
    {.method = HTTP_GET, .pattern = "/api/v1/gateway/match", .handle = explain,
     .access = ACCESS_ADMIN, .permission = "gateway:route:read", .tag = "gateway",
     .summary = "Which route answers a URL, and why", .query = match_query},
    {0},
};

/* ---- The module ------------------------------------------------------------------------------ */

static rc_t start(struct diag *why) {
    rc_t rc = table_start();
    if (rc) diag_set(why, "the routes cannot follow the configuration: %s", rc_name(rc));
    if (!rc && (rc = trust_start())) diag_set(why, "too many watches of the configuration");
    if (!rc) pool_health_start();
    return rc;
}
static void stop(void) {
    pool_health_stop();
    tunnel_stop();
    cache_forget();
    table_stop();
    limit_forget();
}
const struct module proxy_module = {
    .name = "proxy",
    .start = start,
    .stop = stop,
    .routes = front_routes,
    .phases = {[PHASE_POST_READ] = trust_phase,
               [PHASE_LIMIT] = limit_early,
               [PHASE_AUTH] = limit_actor}};
