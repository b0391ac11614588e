/* SPDX-License-Identifier: Apache-2.0 */
/* cors.c — pages of other origins that may ask (https://fetch.spec.whatwg.org, "CORS protocol").
 *
 *   preflight: OPTIONS + Origin + Access-Control-Request-Method -> 204, before limits and sign-in
 *   request:   Origin -> Access-Control-Allow-Origin, Vary: Origin
 *
 * The browser enforces; we say who may. An origin that is not listed gets no field at all, and the
 * request itself is answered as without the browser: CORS protects the page's user, not us. Always
 * true: "*" is never sent together with credentials (edge_route.c refuses such a document), and an
 * origin is echoed only after it was found in the list. */
#include "app/gateway/cors.h"
#include "app/reply.h"
#include <stdio.h>

static void field(struct request *rq, str name, str value) {
    if (value.len) (void)!!http_answer_field(rq->x, name, value);
}

static bool listed(const struct edge_cors *c, str origin) {
    for (u32 i = 0; i < c->origin_count; i++)
        if (str_eq(c->origins[i], origin)) return true;
    return false;
}

static bool allow_origin(struct request *rq, const struct edge_cors *c) {
    str origin = http_field(rq->http, S("Origin"));
    if (!c->any) field(rq, S("Vary"), S("Origin"));
    if (!origin.len || (!c->any && !listed(c, origin))) return false;
    field(rq, S("Access-Control-Allow-Origin"), c->any ? S("*") : origin);
    if (c->credentials) field(rq, S("Access-Control-Allow-Credentials"), S("true"));
    return true;
}

str cors_asks_for(const struct request *rq) {
    if (rq->http->method != HTTP_OPTIONS || !http_field(rq->http, S("Origin")).ptr)
        return (str){NULL, 0};
    return http_field(rq->http, S("Access-Control-Request-Method"));
}

void cors_preflight(struct request *rq, const struct edge_cors *c) {
    char age[16];
    if (allow_origin(rq, c)) {
        int n = snprintf(age, sizeof age, "%u", c->max_age_s);
        field(rq, S("Access-Control-Allow-Methods"), c->methods);
        field(rq, S("Access-Control-Allow-Headers"), c->headers);
        field(rq, S("Access-Control-Max-Age"), str_of(age, (size_t)n));
    }
    reply_empty(rq, 204);
}

void cors_answer(struct request *rq, const struct edge_cors *c) {
    if (allow_origin(rq, c)) field(rq, S("Access-Control-Expose-Headers"), c->expose);
}
