/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_fields.c — what of a message's head goes through the gateway, and what it adds.
 *
 *   client's fields  - hop by hop (RFC 9110 7.6.1) - those Connection names - framing
 *                    - claims about the client that nobody we trust made (Forwarded, X-Forwarded-*)
 *                    - proofs meant for us (our session's cookie; on routes we guard, the token)
 *                    + Host, Via, Forwarded, X-Forwarded-*, X-Request-Id, traceparent, who asks
 *                    +- the route's edits
 *   upstream's       - hop by hop - framing - Date, X-Request-Id (ours stand) +- the route's edits
 *
 * Always true: no field of framing passes in either direction; a name that tells the upstream who
 * asks (X-User-*) never comes from the client. */
#include "app/gateway/proxy.h"
#include "kernel/base/buf.h"
#include "net/http_parse.h"
#include "net/http_url.h"

enum { OURS_MAX = 20, LINES_MAX = HTTP_LINES_MAX };
#define VIA_NAME "openpolicy"
#define SESSION_COOKIE "__Host-openpolicy"

static bool one_of(str name, const char *const *list) {
    for (; *list; list++)
        if (str_eq_nocase(name, str_from_c(*list))) return true;
    return false;
}

/* Hop by hop, and what framing is made of. */
static const char *const hops[] = {"Connection", "Keep-Alive",        "Proxy-Connection",
                                   "TE",         "Transfer-Encoding", "Upgrade",
                                   "Trailer",    "Content-Length",    "Proxy-Authenticate",
                                   "HTTP2-Settings", NULL};
/* What we say ourselves, or nobody. */
static const char *const told[] = {"Host",
                                   "Expect",
                                   "Via",
                                   "Forwarded",
                                   "X-Forwarded-For",
                                   "X-Forwarded-Host",
                                   "X-Forwarded-Proto",
                                   "X-Forwarded-Port",
                                   "X-Forwarded-Server",
                                   "X-Real-Ip",
                                   "X-Request-Id",
                                   "X-User-Id",
                                   "X-User-Email",
                                   "X-User-Role",
                                   "X-User-Groups",
                                   "Proxy-Authorization",
                                   "Cookie",
                                   NULL};
static const char *const proofs[] = {"Authorization", "X-Api-Key", NULL};
static const char *const answers_own[] = {"Date", "X-Request-Id", NULL};

static bool cors_field(str name) {
    return str_eq_nocase(str_take(name, 15), S("Access-Control-"));
}

static bool connection_names(const struct http_field *fields, u32 count, str name) {
    for (u32 i = 0; i < count; i++) {
        str rest = fields[i].value, one;
        if (!str_eq_nocase(fields[i].name, S("Connection"))) continue;
        while (str_split(&rest, ',', &one))
            if (str_eq_nocase(str_trim(one), name)) return true;
    }
    return false;
}

static bool edited(const struct edge_edit *edits, u32 count, str name) {
    for (u32 i = 0; i < count; i++)
        if (str_eq_nocase(edits[i].name, name)) return true;
    return false;
}

str proxy_upgrade_wanted(const struct request *rq) {
    str wanted = http_field(rq->http, S("Upgrade"));
    bool one = wanted.len && http_is_token(wanted) && rq->http->version_minor == 1 &&
               rq->http->method == HTTP_GET && !rq->http->has_body;
    return one && connection_names(rq->http->fields, rq->http->field_count, S("Upgrade"))
               ? wanted
               : S("");
}

/* ---- To the upstream ------------------------------------------------------------------------- */

struct list {
    struct arena *a;
    struct http_field *at;
    u32 count, room;
    bool failed;
};

static void put(struct list *l, str name, str value) {
    if (!value.ptr || l->count == l->room) {
        l->failed = true;
        return;
    }
    l->at[l->count++] = (struct http_field){name, value};
}

/* The cookies that are not ours; ptr NULL: none is left. */
static str other_cookies(struct arena *a, str value) {
    str rest = value, one, out = {NULL, 0};
    if (str_find(value, S(SESSION_COOKIE)) == value.len) return value;
    while (str_split(&rest, ';', &one)) {
        one = str_trim(one);
        if (str_eq(str_take(one, str_find_byte(one, '=')), S(SESSION_COOKIE))) continue;
        out = out.ptr ? arena_join(a, out, S("; "), one) : one;
    }
    return out;
}

static void put_theirs(struct request *rq, const struct gateway_route *g, struct list *l) {
    const struct http_request *h = rq->http;
    const struct edge_route *e = g->edge;
    bool guarded = e->access != EDGE_PUBLIC;
    for (u32 i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        if (str_eq_nocase(f->name, S("Cookie"))) {
            str left = other_cookies(l->a, f->value);
            if (left.ptr) put(l, f->name, left);
            continue;
        }
        if (one_of(f->name, hops) || one_of(f->name, told)) continue;
        if (guarded && one_of(f->name, proofs)) continue;
        if (edited(e->request_edits, e->request_edit_count, f->name)) continue;
        if (connection_names(h->fields, h->field_count, f->name)) continue;
        put(l, f->name, f->value);
    }
    for (u32 i = 0; i < e->request_edit_count; i++)
        if (e->request_edits[i].value.ptr)
            put(l, e->request_edits[i].name, e->request_edits[i].value);
}

static str hex16(struct arena *a, u64 v) {
    char text[17];
    for (int i = 15; i >= 0; i--, v >>= 4) text[i] = "0123456789abcdef"[v & 15];
    return arena_copy(a, str_of(text, 16));
}

/* https://www.w3.org/TR/trace-context/: ours when they brought none. */
static void put_trace(struct request *rq, struct list *l) {
    if (http_field(rq->http, S("traceparent")).ptr) return;
    str id = rq->http->id;
    put(l, S("traceparent"),
        arena_join(l->a, S("00-"), hex16(l->a, str_hash(id, 1)), hex16(l->a, str_hash(id, 2)),
                   S("-"), hex16(l->a, str_hash(id, 3) | 1), S("-00")));
}

static str appended(struct arena *a, str before, str value) {
    return before.len ? arena_join(a, before, S(", "), value) : value;
}

/* `h->peer` is the client: trust.c has judged what proxies before us say. */
static void put_way(struct request *rq, struct list *l) {
    const struct http_request *h = rq->http;
    char text[46];
    str peer = arena_copy(l->a, net_address_text(&h->peer, text, sizeof text));
    str proto = h->secure ? S("https") : S("http");
    str host = http_field(h, S("Host"));
    if (!host.ptr) host = h->host;
    bool v6 = str_find_byte(peer, ':') < peer.len;
    put(l, S("X-Forwarded-For"), peer);
    put(l, S("X-Forwarded-Proto"), proto);
    put(l, S("X-Forwarded-Host"), host.ptr ? host : S(""));
    put(l, S("Forwarded"),
        arena_join(l->a, v6 ? S("for=\"[") : S("for="), peer, v6 ? S("]\"") : S(""), S(";host=\""),
                   host, S("\";proto="), proto));
    put(l, S("Via"), appended(l->a, http_field(h, S("Via")), S("1.1 " VIA_NAME)));
    put(l, S("X-Request-Id"), h->id);
}

static void put_actor(struct request *rq, struct list *l) {
    const struct actor *who = &rq->actor;
    if (who->user_id.len) put(l, S("X-User-Id"), who->user_id);
    if (who->email.len) put(l, S("X-User-Email"), who->email);
    if (who->role.len) put(l, S("X-User-Role"), who->role);
    if (who->groups.len && http_is_field_value(who->groups))
        put(l, S("X-User-Groups"), who->groups);
}

static str host_for(struct request *rq, const struct edge_route *e, str authority) {
    if (e->host == EDGE_HOST_TEXT) return e->host_text;
    str host = http_field(rq->http, S("Host"));
    return e->host == EDGE_HOST_UPSTREAM || !host.len ? authority : host;
}

rc_t proxy_request_fields(struct request *rq, const struct gateway_route *g, str authority,
                          struct http_field **out, u32 *count) {
    struct list l = {.a = rq->arena,
                     .room = rq->http->field_count + g->edge->request_edit_count + OURS_MAX};
    if (!(l.at = arena_alloc(rq->arena, l.room * sizeof *l.at))) return RC_NO_MEMORY;
    put(&l, S("Host"), host_for(rq, g->edge, authority));
    put_theirs(rq, g, &l);
    put_way(rq, &l);
    put_trace(rq, &l);
    put_actor(rq, &l);
    *out = l.at;
    *count = l.count;
    return l.failed ? RC_NO_MEMORY : RC_OK;
}

/* ---- To the client --------------------------------------------------------------------------- */

static void line(struct buf *to, str name, str value) {
    (void)!!buf_add(to, name); /* checked once, at the end */
    (void)!!buf_add(to, S(": "));
    (void)!!buf_add(to, value);
    (void)!!buf_add(to, S("\r\n"));
}

struct standing { /* what stands unless the upstream says otherwise */
    const char *name, *value;
};
static void put_security(struct request *rq, const struct http_client_answer *a, struct buf *to) {
    static const struct standing list[] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "strict-origin-when-cross-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-site"},
        {"Permissions-Policy", "geolocation=(), camera=(), microphone=()"},
    };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (!http_client_field(a, str_from_c(list[i].name)).ptr)
            line(to, str_from_c(list[i].name), str_from_c(list[i].value));
    if (rq->http->secure && !http_client_field(a, S("Strict-Transport-Security")).ptr)
        line(to, S("Strict-Transport-Security"), S("max-age=63072000"));
}

/* What a coded body changes (RFC 9110 8.8.1, 14.3). false: nothing of this field. */
static bool put_coded(const struct http_field *f, struct buf *to) {
    if (str_eq_nocase(f->name, S("Accept-Ranges")) || str_eq_nocase(f->name, S("Content-MD5")))
        return true;
    if (!str_eq_nocase(f->name, S("ETag")) || str_starts(f->value, S("W/"))) return false;
    (void)!!buf_add(to, S("ETag: W/"));
    (void)!!buf_add(to, f->value);
    (void)!!buf_add(to, S("\r\n"));
    return true;
}

rc_t proxy_answer_lines(struct request *rq, const struct gateway_route *g,
                        const struct http_client_answer *answer, bool coded, str *out) {
    const struct edge_route *e = g->edge;
    struct buf b;
    buf_open(&b, LINES_MAX);
    for (u32 i = 0; i < answer->field_count; i++) {
        const struct http_field *f = &answer->fields[i];
        if (one_of(f->name, hops) || one_of(f->name, answers_own)) continue;
        if (e->cors && cors_field(f->name)) continue; /* said already, by the route */
        if (edited(e->answer_edits, e->answer_edit_count, f->name)) continue;
        if (connection_names(answer->fields, answer->field_count, f->name)) continue;
        if (coded && put_coded(f, &b)) continue;
        line(&b, f->name, f->value);
    }
    if (coded) line(&b, S("Content-Encoding"), S("gzip"));
    if (e->compress) line(&b, S("Vary"), S("Accept-Encoding"));
    if (e->security_headers) put_security(rq, answer, &b);
    for (u32 i = 0; i < e->answer_edit_count; i++)
        if (e->answer_edits[i].value.ptr)
            line(&b, e->answer_edits[i].name, e->answer_edits[i].value);
    *out = b.failed ? (str){NULL, 0} : arena_copy(rq->arena, buf_str(&b));
    bool large = b.failed && b.len + 1024 > LINES_MAX;
    buf_close(&b);
    return out->ptr ? RC_OK : large ? RC_LIMIT : RC_NO_MEMORY;
}

/* ---- Targets --------------------------------------------------------------------------------- */

static str raw_path(const struct http_request *h) {
    return str_take(h->target, str_find_byte(h->target, '?'));
}

/* Runs of slashes become one, as the router saw them. */
static str merged(struct arena *a, str raw) {
    if (str_find(raw, S("//")) == raw.len) return raw;
    char *to = arena_alloc(a, raw.len);
    size_t n = 0;
    if (!to) return (str){NULL, 0};
    for (size_t i = 0; i < raw.len; i++)
        if (raw.ptr[i] != '/' || !n || to[n - 1] != '/') to[n++] = raw.ptr[i];
    return str_of(to, n);
}

/* What follows the decoded bytes `fixed` in the raw path that begins with them. */
static str raw_rest(str raw, str fixed) {
    size_t i = 0;
    for (size_t j = 0; j < fixed.len && i < raw.len;) {
        bool escaped = raw.ptr[i] == '%';
        bool slash = escaped && raw.len - i >= 3 && raw.ptr[i + 1] == '2' &&
                     (raw.ptr[i + 2] | 32) == 'f'; /* stays "%2F" in decoded paths */
        i += escaped ? 3 : 1;
        j += slash ? 3 : 1;
    }
    return str_skip(raw, i);
}

static str rest_of(const struct edge_route *t, str path) {
    size_t fixed = t->kind == EDGE_PATTERN ? str_find_byte(t->path, '{') : t->path.len;
    if (t->kind == EDGE_PATTERN && fixed == t->path.len) return S("");
    while (fixed && t->path.ptr[fixed - 1] == '/') fixed--; /* the slash belongs to the rest */
    return t->kind == EDGE_EXACT ? S("") : raw_rest(path, str_take(t->path, fixed));
}

str proxy_template(struct request *rq, const struct edge_route *t, str text) {
    str path = merged(rq->arena, raw_path(rq->http)), out = S("");
    if (!path.ptr) return path;
    while (text.len && out.ptr) {
        size_t open = str_find_byte(text, '{'), end = str_find_byte(text, '}');
        bool whole = open < end && end < text.len;
        out = arena_join(rq->arena, out, str_take(text, whole ? open : text.len));
        if (!whole) break;
        str name = str_take(str_skip(text, open + 1), end - open - 1), value = S("");
        if (str_eq(name, S("path"))) value = path;
        if (str_eq(name, S("rest"))) value = rest_of(t, path);
        if (str_eq(name, S("host"))) value = rq->http->host;
        if (str_eq(name, S("query")) && rq->http->query.len)
            value = arena_join(rq->arena, S("?"), rq->http->query);
        if (out.ptr && value.ptr) out = arena_join(rq->arena, out, value);
        text = str_skip(text, end + 1);
    }
    return out;
}

str proxy_target(struct request *rq, const struct edge_route *t) {
    str path;
    if (t->rewrite.len) {
        path = proxy_template(rq, t, t->rewrite);
        if (str_find(t->rewrite, S("{query}")) < t->rewrite.len) return path;
    } else {
        path = merged(rq->arena, raw_path(rq->http));
        if (path.ptr && t->strip_prefix) {
            path = rest_of(t, path);
            if (!path.len || path.ptr[0] != '/') path = arena_join(rq->arena, S("/"), path);
        }
    }
    if (!path.ptr || !rq->http->query.len) return path;
    str mark = str_find_byte(path, '?') < path.len ? S("&") : S("?");
    return arena_join(rq->arena, path, mark, rq->http->query);
}
