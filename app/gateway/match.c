/* SPDX-License-Identifier: Apache-2.0 */
/* match.c — does a route fit a request? Its conditions are asked in one order: host, path, method,
 * headers, query; the first that fails is the answer, which is also what "why not this one" shows.
 *
 * Paths are compared as the router and the policy see them: decoded once, dot segments refused,
 * runs of slashes one. A prefix ends at a segment: "/shop" fits "/shop" and "/shop/x", not
 * "/shopping".
 * Always true: nothing is allocated and nothing kept. */
#include "app/gateway/proxy.h"
#include "net/url.h"

enum { QUERY_VALUE_MAX = 1024 }; /* longer values fit only "*" */

static bool one_host(str pattern, str host) {
    if (!str_starts(pattern, S("*."))) return str_eq(pattern, host);
    str below = str_skip(pattern, 1); /* ".example.org": one label at least in front of it */
    return host.len > below.len && str_ends(host, below);
}

bool match_host(const struct edge_route *t, str host) {
    if (!t->host_count) return true;
    for (u32 i = 0; i < t->host_count; i++)
        if (one_host(t->hosts[i], host)) return true;
    return false;
}

static bool match_pattern(str pattern, str path) {
    str want = str_skip(pattern, 1), have = str_skip(path, 1), w, h;
    for (;;) {
        if (!str_split(&want, '/', &w)) return !have.ptr || !have.len;
        if (w.len > 5 && w.ptr[0] == '{' && str_ends(w, S("...}"))) return true;
        if (!str_split(&have, '/', &h)) return false;
        if (w.len && w.ptr[0] == '{') {
            if (!h.len) return false;
        } else if (!str_eq(w, h)) {
            return false;
        }
        if (!want.ptr) return !have.ptr;
        if (!have.ptr) return false;
    }
}

static bool match_path(const struct edge_route *t, str path) {
    switch (t->kind) {
    case EDGE_EXACT: return str_eq(t->path, path);
    case EDGE_PATTERN: return match_pattern(t->path, path);
    case EDGE_PREFIX: break;
    }
    if (t->path.len == 1) return path.len && path.ptr[0] == '/';
    return str_starts(path, t->path) && (path.len == t->path.len || path.ptr[t->path.len] == '/');
}

static bool match_field(const struct edge_condition *c, const struct match_question *q) {
    for (u32 i = 0; i < q->field_count; i++)
        if (str_eq_nocase(q->fields[i].name, c->name) &&
            (str_eq(c->value, S("*")) || str_eq(c->value, q->fields[i].value)))
            return true;
    return false;
}

static bool match_query(const struct edge_condition *c, str query) {
    str rest = query, raw_name, raw_value;
    while (http_query_next(&rest, &raw_name, &raw_value)) {
        char name[QUERY_VALUE_MAX], value[QUERY_VALUE_MAX];
        str n, v;
        if (raw_name.len > sizeof name || url_decode(raw_name, true, name, &n)) continue;
        if (!str_eq(n, c->name)) continue;
        if (str_eq(c->value, S("*"))) return true;
        if (raw_value.len > sizeof value || url_decode(raw_value, true, value, &v)) continue;
        if (str_eq(v, c->value)) return true;
    }
    return false;
}

enum match_miss match_route(const struct edge_route *t, const struct match_question *q, str *what) {
    str none;
    if (!what) what = &none;
    *what = S("");
    if (!match_host(t, q->host)) return MATCH_HOST;
    if (!match_path(t, q->path)) return MATCH_PATH;
    if (t->methods && !(t->methods & 1u << q->method)) return MATCH_METHOD;
    for (u32 i = 0; i < t->header_count; i++) {
        *what = t->headers[i].name;
        if (!match_field(&t->headers[i], q)) return MATCH_HEADER;
    }
    for (u32 i = 0; i < t->query_count; i++) {
        *what = t->queries[i].name;
        if (!match_query(&t->queries[i], q->query)) return MATCH_QUERY;
    }
    *what = S("");
    return MATCH_FITS;
}
