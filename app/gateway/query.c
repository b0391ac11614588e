/* SPDX-License-Identifier: Apache-2.0 */
/* query.c — a query holds what the route's table lists, once each, and of the type it lists.
 *
 * A misspelt filter that is silently ignored answers with too much; so an unknown name is 400 and
 * named. The same table feeds the API document, so the two cannot part.
 * Routes that are lenient take any name, any number of times: their handlers look through them.
 * Leaves ranges and lengths to the handlers (request_page, request_query_text). */
#include "app/gateway/gateway_impl.h"
#include "app/reply.h"

static int find_listed(const struct route_param *list, str name) {
    for (int i = 0; list && list[i].name; i++)
        if (str_eq(str_from_c(list[i].name), name)) return i;
    return -1;
}

static bool type_fits(const char *type, str value) {
    s64 n;
    if (strcmp(type, "integer") == 0) return str_to_s64(value, &n) == RC_OK;
    if (strcmp(type, "boolean") == 0) return str_eq(value, S("true")) || str_eq(value, S("false"));
    return true;
}

static rc_t refuse(struct request *rq, const char *code, const char *what, str name) {
    char quoted[96];
    str shown = str_take(name, 80);
    size_t n = 0;
    for (size_t i = 0; i < shown.len; i++) /* names of ours are ASCII; others are shown as such */
        quoted[n++] = shown.ptr[i] >= ' ' && shown.ptr[i] < 0x7F ? shown.ptr[i] : '?';
    quoted[n] = 0;
    reply_problem(rq, 400, code, "The query parameter \"%s\" %s.", quoted, what);
    return RC_INVALID;
}

/* Decoded; a name or value that cannot be is answered. */
static rc_t decode(struct request *rq, str raw, str name, str *out) {
    rc_t rc = http_percent_decode(rq->arena, raw, true, out);
    if (rc == RC_NO_MEMORY) reply_rc(rq, rc, "Reading the query");
    else if (rc) (void)refuse(rq, "query_invalid", "is badly encoded", name);
    return rc;
}

rc_t query_check(struct request *rq) {
    str rest = rq->http->query, raw_name, raw_value;
    u64 seen = 0;
    while (http_query_next(&rest, &raw_name, &raw_value)) {
        str name, value;
        rc_t rc = decode(rq, raw_name, raw_name, &name);
        if (rc) return rc;
        if (rq->route->lenient) {
            if ((rc = decode(rq, raw_value, name, &value))) return rc;
            continue;
        }
        int i = find_listed(rq->route->query, name);
        if (i < 0) return refuse(rq, "query_unknown", "is not known here", name);
        CHECK(i < 64);
        if (seen & 1ull << i) return refuse(rq, "query_twice", "was sent twice", name);
        seen |= 1ull << i;
        if ((rc = decode(rq, raw_value, name, &value))) return rc;
        if (!type_fits(rq->route->query[i].type, value))
            return refuse(rq, "query_type",
                          strcmp(rq->route->query[i].type, "integer") == 0
                              ? "must be a whole number"
                              : "must be true or false",
                          name);
    }
    return RC_OK;
}
