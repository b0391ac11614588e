/* SPDX-License-Identifier: Apache-2.0 */
/* edge_route.c — the routes of gateway.routes, read, judged, and put into the order in which they
 * are tried.
 *
 *   1. hosts:  a route for named hosts before one for *.names before one for every host
 *   2. path:   exact before the rest; then the longer fixed part; a pattern before a prefix
 *   3. more conditions (methods, headers, query) before fewer
 *   4. the order of the document
 *
 * The first of them that fits a request has it, so a specific route is never hidden by a general
 * one, whatever their order in the document; docs/reference/gateway.md says the same. */
#include "app/config/edge_read.h"
#include "net/http_parse.h"
#include "net/http_url.h"
#include <stdlib.h>

/* ---- Which requests -------------------------------------------------------------------------- */

static bool host_fits(str h) {
    str name = str_starts(h, S("*.")) ? str_skip(h, 2) : h;
    bool fine = name.len >= 1 && h.len <= 253;
    for (size_t i = 0; fine && i < name.len; i++) {
        char c = name.ptr[i];
        fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '[' || c == ']' || c == ':';
    }
    return fine;
}

static rc_t read_hosts(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    rc_t rc = edge_texts(r, m, "hosts", EDGE_LIST_MAX, &t->hosts, &t->host_count);
    for (u32 i = 0; i < t->host_count && !rc; i++)
        if (!host_fits(t->hosts[i]))
            rc = edge_wrong(r, "hosts", "wants names in lower case, such as a.example.org or "
                                        "*.example.org, without a port");
    r->e->any_host |= t->host_count > 0;
    return rc;
}

/* Plain segments; in patterns `{name}` for one of them and `{name...}` for the last ones. */
static bool path_fits(str path, bool pattern) {
    if (!path.len || path.ptr[0] != '/' || !str_is_utf8(path)) return false;
    str rest = str_skip(path, 1), segment;
    bool ended = false;
    while (str_split(&rest, '/', &segment)) {
        if (ended || str_eq(segment, S(".")) || str_eq(segment, S(".."))) return false;
        if (!segment.len && rest.ptr) return false; /* "//" */
        bool open = segment.len && segment.ptr[0] == '{';
        if (open && (!pattern || segment.len < 3 || segment.ptr[segment.len - 1] != '}'))
            return false;
        ended = open && str_ends(segment, S("...}"));
        for (size_t i = 0; i < segment.len && !open; i++) {
            char c = segment.ptr[i];
            if ((u8)c <= ' ' || c == 0x7F || strchr("?#\\{}", c)) return false;
        }
    }
    return true;
}

static rc_t read_path(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    u32 kind = EDGE_PREFIX;
    t->path = S("/");
    rc_t rc = edge_text(r, m, "path", 1000, &t->path);
    if (!rc) rc = edge_choice(r, m, "match", "prefix exact pattern", &kind);
    t->kind = (enum edge_path_kind)kind;
    if (rc) return rc;
    if (!path_fits(t->path, t->kind == EDGE_PATTERN))
        return edge_wrong(r, "path", "wants a path such as /shop, decoded, without dot segments; "
                                     "{id} and a last {rest...} in patterns");
    /* "/shop/" as a prefix means what "/shop" means */
    while (t->kind == EDGE_PREFIX && t->path.len > 1 && t->path.ptr[t->path.len - 1] == '/')
        t->path.len--;
    return RC_OK;
}

static rc_t read_methods(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    str *list;
    u32 n;
    rc_t rc = edge_texts(r, m, "methods", HTTP_OTHER, &list, &n);
    for (u32 i = 0; i < n && !rc; i++) {
        u32 method = 0;
        while (method < HTTP_OTHER && !str_eq(http_method_name((enum http_method)method), list[i]))
            method++;
        if (method == HTTP_OTHER) rc = edge_wrong(r, "methods", "wants names such as GET");
        t->methods |= 1u << method;
    }
    if (t->methods & 1u << HTTP_GET) t->methods |= 1u << HTTP_HEAD;
    return rc;
}

static rc_t read_conditions(struct edge_reading *r, const cJSON *m, const char *name, bool fields,
                            struct edge_condition **out, u32 *count) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(m, name);
    if (!object) return RC_OK;
    if (!cJSON_IsObject(object) || cJSON_GetArraySize(object) > EDGE_LIST_MAX)
        return edge_wrong(r, name, "wants an object of names and texts, 16 at most");
    if (!(*out = arena_alloc(r->a, EDGE_LIST_MAX * sizeof **out))) return RC_NO_MEMORY;
    for (const cJSON *one = object->child; one; one = one->next) {
        str key = str_from_c(one->string);
        if (!cJSON_IsString(one) || (fields && !http_is_token(key)))
            return edge_wrong(r, name, "wants names and texts");
        (*out)[(*count)++] = (struct edge_condition){key, str_from_c(one->valuestring)};
    }
    return RC_OK;
}

/* ---- Where to -------------------------------------------------------------------------------- */

static rc_t find_upstream(struct edge_reading *r, const char *member, str name, u32 *out) {
    for (*out = 0; *out < r->e->upstream_count; ++*out)
        if (str_eq(r->e->upstreams[*out].name, name)) return RC_OK;
    return edge_wrong(r, member, "names no upstream of this document");
}

static rc_t read_split(struct edge_reading *r, const cJSON *list, struct edge_route *t) {
    static const char *const names[] = {"upstream", "weight", NULL};
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > EDGE_LIST_MAX)
        return edge_wrong(r, "split", "wants a list of {\"upstream\", \"weight\"}, 16 at most");
    for (const cJSON *m = list->child; m; m = m->next) {
        struct edge_share *s = &t->shares[t->share_count++];
        str name = S("");
        s->weight = 1;
        rc_t rc = edge_known(r, m, names);
        if (!rc) rc = edge_text(r, m, "upstream", 63, &name);
        if (!rc) rc = edge_int(r, m, "weight", 0, 1000, &s->weight);
        if (!rc) rc = find_upstream(r, "split", name, &s->upstream);
        if (rc) return rc;
        t->share_total += s->weight;
    }
    return t->share_total ? RC_OK : edge_wrong(r, "split", "wants a weight above 0");
}

static bool template_fits(str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((u8)text.ptr[i] <= ' ' || (u8)text.ptr[i] >= 0x7F || text.ptr[i] == '\\') return false;
    return true;
}

static rc_t read_redirect(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    u32 status = 308;
    rc_t rc = edge_text(r, m, "redirect", 2000, &t->redirect);
    if (!rc) rc = edge_int(r, m, "redirect_status", 301, 308, &status);
    if (rc) return rc;
    if (status > 303 && status < 307) return edge_wrong(r, "redirect_status", "wants 301, 302, "
                                                                              "303, 307 or 308");
    t->redirect_status = (int)status;
    bool start = str_starts(t->redirect, S("/")) || str_starts(t->redirect, S("https://")) ||
                 str_starts(t->redirect, S("http://"));
    if (!t->redirect.len || (start && template_fits(t->redirect) &&
                             !str_starts(t->redirect, S("//"))))
        return RC_OK;
    return edge_wrong(r, "redirect", "wants a URL or a path, such as https://x.example{path}");
}

static rc_t read_goal(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    const cJSON *split = cJSON_GetObjectItemCaseSensitive(m, "split");
    str name = {NULL, 0}, mirror = {NULL, 0};
    u32 index;
    t->shares = arena_zero(r->a, EDGE_LIST_MAX * sizeof *t->shares);
    if (!t->shares) return RC_NO_MEMORY;
    rc_t rc = edge_text(r, m, "upstream", 63, &name);
    if (!rc) rc = read_redirect(r, m, t);
    if (rc) return rc;
    if ((name.ptr != NULL) + (split != NULL) + (t->redirect.len != 0) != 1)
        return edge_wrong(r, "upstream", "is wanted, or \"split\", or \"redirect\": one of them");
    if (name.ptr) {
        rc = find_upstream(r, "upstream", name, &index);
        t->shares[t->share_count++] = (struct edge_share){index, 1};
        t->share_total = 1;
    }
    if (!rc && split) rc = read_split(r, split, t);
    t->mirror = -1;
    if (!rc) rc = edge_text(r, m, "mirror", 63, &mirror);
    if (rc || !mirror.ptr) return rc;
    rc = find_upstream(r, "mirror", mirror, &index);
    t->mirror = (s32)index;
    return rc;
}

/* ---- What becomes of them -------------------------------------------------------------------- */

static bool ours_alone(str name) {
    static const char *const list[] = {"Connection",   "Content-Length", "Transfer-Encoding",
                                       "Upgrade",      "Keep-Alive",     "Trailer",
                                       "X-Request-Id", "TE",             "Host",
                                       "Date",         NULL};
    for (u32 i = 0; list[i]; i++)
        if (str_eq_nocase(name, str_from_c(list[i]))) return true;
    return false;
}

static rc_t read_edits(struct edge_reading *r, const cJSON *m, const char *member,
                       struct edge_edit **out, u32 *count) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(m, member);
    if (!object) return RC_OK;
    if (!cJSON_IsObject(object) || cJSON_GetArraySize(object) > EDGE_LIST_MAX)
        return edge_wrong(r, member, "wants an object of fields: a text, or null to remove it");
    if (!(*out = arena_alloc(r->a, EDGE_LIST_MAX * sizeof **out))) return RC_NO_MEMORY;
    for (const cJSON *one = object->child; one; one = one->next) {
        str name = str_from_c(one->string), value = {NULL, 0};
        if (cJSON_IsString(one)) value = str_from_c(one->valuestring);
        if (!http_is_token(name) || (!value.ptr && !cJSON_IsNull(one)) ||
            (value.ptr && !http_is_field_value(value)))
            return edge_wrong(r, member, "wants fields: a text, or null to remove it");
        if (ours_alone(name)) return edge_wrong(r, one->string, "is the gateway's own to set");
        (*out)[(*count)++] = (struct edge_edit){name, value};
    }
    return RC_OK;
}

static rc_t read_host(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    str text = S("keep");
    rc_t rc = edge_text(r, m, "host", 253, &text);
    if (rc) return rc;
    t->host = str_eq(text, S("keep"))       ? EDGE_HOST_KEEP
              : str_eq(text, S("upstream")) ? EDGE_HOST_UPSTREAM
                                            : EDGE_HOST_TEXT;
    t->host_text = text;
    if (t->host != EDGE_HOST_TEXT) return RC_OK;
    struct http_url url;
    struct diag why;
    str whole = arena_join(r->a, S("http://"), text);
    bool fine = !http_url_parse(whole, &url, &why) && str_eq(url.authority, text);
    return fine ? RC_OK : edge_wrong(r, "host", "wants \"keep\", \"upstream\" or a host");
}

static rc_t read_cors(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    static const char *const names[] = {"origins", "methods", "headers", "expose",
                                        "credentials", "max_age_seconds", NULL};
    struct edge_cors *c;
    rc_t rc = m ? edge_known(r, m, names) : RC_OK;
    if (!m || rc) return rc;
    if (!(t->cors = c = arena_zero(r->a, sizeof *c))) return RC_NO_MEMORY;
    c->max_age_s = 600;
    c->methods = S("GET, HEAD, POST");
    rc = edge_texts(r, m, "origins", EDGE_LIST_MAX, &c->origins, &c->origin_count);
    if (!rc) rc = edge_text(r, m, "methods", 200, &c->methods);
    if (!rc) rc = edge_text(r, m, "headers", 1000, &c->headers);
    if (!rc) rc = edge_text(r, m, "expose", 1000, &c->expose);
    if (!rc) rc = edge_bool(r, m, "credentials", &c->credentials);
    if (!rc) rc = edge_int(r, m, "max_age_seconds", 0, 86400, &c->max_age_s);
    if (rc) return rc;
    if (!c->origin_count) return edge_wrong(r, "origins", "wants origins, or \"*\"");
    for (u32 i = 0; i < c->origin_count; i++) {
        c->any |= str_eq(c->origins[i], S("*"));
        if (!template_fits(c->origins[i]))
            return edge_wrong(r, "origins", "wants origins such as https://app.example.org");
    }
    if (c->any && (c->credentials || c->origin_count > 1))
        return edge_wrong(r, "origins", "\"*\" stands alone, and never with credentials");
    if (!http_is_field_value(c->methods) || !http_is_field_value(c->headers) ||
        !http_is_field_value(c->expose))
        return edge_wrong(r, "cors", "wants texts without control bytes");
    return RC_OK;
}

rc_t edge_limit_names(struct edge_reading *r, const cJSON *object, const char *member, u32 **out,
                      u32 *count) {
    str *list;
    u32 n;
    rc_t rc = edge_texts(r, object, member, 4, &list, &n);
    if (rc || !n) return rc;
    if (!(*out = arena_alloc(r->a, n * sizeof **out))) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) {
        u32 at = 0;
        while (at < r->e->limit_count && !str_eq(r->e->limits[at].name, list[i])) at++;
        if (at == r->e->limit_count)
            return edge_wrong(r, member, "names no limit of this document");
        (*out)[(*count)++] = at;
    }
    return RC_OK;
}

static rc_t read_access(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    u32 access = EDGE_USER, body_kib = 32768;
    t->permission = S("gateway:upstream:use");
    rc_t rc = edge_choice(r, m, "access", "public user admin", &access);
    t->access = (enum edge_access)access;
    if (t->access == EDGE_ADMIN) t->permission = S("gateway:upstream:admin");
    if (!rc) rc = edge_text(r, m, "permission", 100, &t->permission);
    if (!rc) rc = edge_int(r, m, "body_max_kib", 0, 1 << 30, &body_kib);
    t->body_max = (u64)body_kib << 10;
    if (rc) return rc;
    u32 colons = 0;
    for (size_t i = 0; i < t->permission.len; i++) colons += t->permission.ptr[i] == ':';
    if (colons != 2 || !http_is_field_value(t->permission))
        return edge_wrong(r, "permission", "wants service:resource:verb");
    return RC_OK;
}

static const char *const route_members[] = {
    "name",     "hosts",       "path",            "match",        "methods",       "headers",
    "query",    "upstream",    "split",           "redirect",     "redirect_status", "mirror",
    "strip_prefix", "rewrite", "host",            "request_headers", "response_headers", "access",
    "permission", "limits",    "cors",            "security_headers", "compress",   "cache",
    "body_max_kib", NULL};

static rc_t read_route(struct edge_reading *r, const cJSON *m, struct edge_route *t) {
    rc_t rc = edge_known(r, m, route_members);
    if (!rc) rc = edge_text(r, m, "name", 63, &t->name);
    r->place = arena_join(r->a, S("routes/"), t->name.ptr ? t->name : S("?"));
    if (!rc) rc = edge_names(r, t->name);
    if (!rc) rc = read_hosts(r, m, t);
    if (!rc) rc = read_path(r, m, t);
    if (!rc) rc = read_methods(r, m, t);
    if (!rc) rc = read_conditions(r, m, "headers", true, &t->headers, &t->header_count);
    if (!rc) rc = read_conditions(r, m, "query", false, &t->queries, &t->query_count);
    if (!rc) rc = read_goal(r, m, t);
    if (!rc) rc = edge_bool(r, m, "strip_prefix", &t->strip_prefix);
    if (!rc) rc = edge_text(r, m, "rewrite", 1000, &t->rewrite);
    if (!rc && t->rewrite.len && (t->rewrite.ptr[0] != '/' || !template_fits(t->rewrite)))
        rc = edge_wrong(r, "rewrite", "wants a path such as /v2{rest}");
    if (!rc && t->strip_prefix && t->kind != EDGE_PREFIX)
        rc = edge_wrong(r, "strip_prefix", "goes with a prefix");
    if (!rc) rc = read_host(r, m, t);
    if (!rc) rc = read_edits(r, m, "request_headers", &t->request_edits, &t->request_edit_count);
    if (!rc) rc = read_edits(r, m, "response_headers", &t->answer_edits, &t->answer_edit_count);
    if (!rc) rc = read_access(r, m, t);
    if (!rc) rc = edge_limit_names(r, m, "limits", &t->limits, &t->limit_count);
    if (!rc) rc = read_cors(r, cJSON_GetObjectItemCaseSensitive(m, "cors"), t);
    if (!rc) rc = edge_bool(r, m, "security_headers", &t->security_headers);
    if (!rc) rc = edge_bool(r, m, "compress", &t->compress);
    if (!rc) rc = edge_bool(r, m, "cache", &t->cache);
    return rc;
}

/* ---- The order they are tried in ------------------------------------------------------------- */

static int host_class(const struct edge_route *t) { /* 0 named, 1 wildcard, 2 all */
    int best = t->host_count ? 1 : 2;
    for (u32 i = 0; i < t->host_count; i++)
        if (t->hosts[i].ptr[0] != '*') best = 0;
    return best;
}
static size_t host_length(const struct edge_route *t) {
    size_t longest = 0;
    for (u32 i = 0; i < t->host_count; i++) longest = MAX(longest, t->hosts[i].len);
    return longest;
}
/* Bytes of the path before its first {}. */
static size_t fixed_length(const struct edge_route *t) {
    return t->kind == EDGE_PATTERN ? str_find_byte(t->path, '{') : t->path.len;
}
static u32 conditions(const struct edge_route *t) {
    return t->header_count + t->query_count + (t->methods != 0);
}

static int by_order(const void *left, const void *right) {
    const struct edge_route *a = left, *b = right;
    int ha = host_class(a), hb = host_class(b);
    if (ha != hb) return ha - hb;
    if (ha == 1 && host_length(a) != host_length(b))
        return host_length(a) > host_length(b) ? -1 : 1;
    if ((a->kind == EDGE_EXACT) != (b->kind == EDGE_EXACT)) return a->kind == EDGE_EXACT ? -1 : 1;
    if (fixed_length(a) != fixed_length(b)) return fixed_length(a) > fixed_length(b) ? -1 : 1;
    if (a->kind != b->kind) return a->kind == EDGE_PATTERN ? -1 : 1;
    if (conditions(a) != conditions(b)) return conditions(a) > conditions(b) ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

rc_t edge_read_routes(struct edge_reading *r, const cJSON *list) {
    struct edge *e = r->e;
    if (!list) return RC_OK;
    u32 n = cJSON_IsArray(list) ? (u32)cJSON_GetArraySize(list) : UINT32_MAX;
    if (n > EDGE_ROUTES_MAX) return edge_wrong(r, "routes", "wants a list of at most 256");
    if (!(e->routes = arena_zero(r->a, (n + 1) * sizeof *e->routes))) return RC_NO_MEMORY;
    for (const cJSON *m = list->child; m; m = m->next) {
        struct edge_route *t = &e->routes[e->route_count];
        t->order = e->route_count;
        r->place = arena_printf(r->a, "routes/%u", e->route_count);
        rc_t rc = read_route(r, m, t);
        if (rc) return rc;
        for (u32 i = 0; i < e->route_count; i++)
            if (str_eq(e->routes[i].name, t->name))
                return edge_wrong(r, "name", "is another route's already");
        e->route_count++;
    }
    qsort(e->routes, e->route_count, sizeof *e->routes, by_order);
    return RC_OK;
}
