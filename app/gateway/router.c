/* SPDX-License-Identifier: Apache-2.0 */
/* router.c — paths to routes: a hash for literal paths, a trie of segments for the rest.
 *
 *   /health                    hash of the whole path -> endpoint        (one probe)
 *   /api/v1/policies/{id}      root -> api -> v1 -> policies -> {} -> endpoint
 *   /assets/{rest...}          root -> assets -> {...} -> endpoint
 *
 * An endpoint is one pattern with its route per method. The most specific pattern wins whatever
 * the order of registration: literal before {id} before {rest...}, segment by segment, so a static
 * route is never shadowed by /{id}; and the method is looked at only after the path was decided,
 * so a path known with another method is 405 and not somebody else's {id}.
 *
 * Always true: finding allocates nothing, writes nothing shared, and visits at most two nodes per
 * level and candidate; depth is bounded by ROUTE_SEGMENTS_MAX patterns at registration. */
#include "app/gateway/router.h"
#include "kernel/core/memory.h"

enum { NODE_MAX = 2 * ROUTE_MAX, HASH_SLOTS = 2 * ROUTE_MAX, NONE = 0 };
static_assert((HASH_SLOTS & (HASH_SLOTS - 1)) == 0, "probing masks");
static_assert(NODE_MAX <= UINT16_MAX, "indices are u16");

struct endpoint {
    const char *pattern;
    str path; /* of literal patterns: the key in the hash */
    const struct route *routes[HTTP_OTHER + 1];
    const struct module *modules[HTTP_OTHER + 1];
    u32 allow;
};
struct node {
    str segment;             /* literal; empty for {id} */
    u16 child, sibling;      /* literal children */
    u16 param;               /* the {id} child */
    u16 endpoint, rest;      /* what ends here; {rest...} below here */
};
struct router { /* index 0 of each array means none, so that zeroed memory is an empty router */
    struct node nodes[NODE_MAX];
    struct endpoint endpoints[ROUTE_MAX];
    u16 hash[HASH_SLOTS];
    u16 node_count, endpoint_count;
};

rc_t router_open(struct router **out) {
    struct router *r = memory_zero(MEMORY_SERVICES, sizeof *r);
    if (!r) return RC_NO_MEMORY;
    r->node_count = 2; /* 0 is none, 1 the root */
    r->endpoint_count = 1;
    *out = r;
    return RC_OK;
}
void router_close(struct router *r) { memory_free(MEMORY_SERVICES, r); }

/* ---- Building ------------------------------------------------------------------------------ */

static u16 new_node(struct router *r, str segment) {
    if (r->node_count == NODE_MAX) return NONE;
    r->nodes[r->node_count].segment = segment;
    return r->node_count++;
}

static u16 literal_child(const struct router *r, u16 at, str segment) {
    u16 n = r->nodes[at].child;
    while (n && !str_eq(r->nodes[n].segment, segment)) n = r->nodes[n].sibling;
    return n;
}

/* The node one segment deeper, made if need be; NONE: too many. */
static u16 step(struct router *r, u16 at, str segment) {
    u16 n;
    if (segment.ptr[0] == '{') {
        if (!r->nodes[at].param) r->nodes[at].param = new_node(r, S(""));
        return r->nodes[at].param;
    }
    if ((n = literal_child(r, at, segment))) return n;
    if (!(n = new_node(r, segment))) return NONE;
    r->nodes[n].sibling = r->nodes[at].child;
    r->nodes[at].child = n;
    return n;
}

static bool segment_ok(str s, bool last) {
    if (!s.len) return false;
    size_t brace = str_find_byte(s, '{');
    if (brace == s.len) return str_find_byte(s, '}') == s.len;
    if (brace != 0 || s.len < 3 || s.ptr[s.len - 1] != '}') return false;
    return last || !str_ends(s, S("...}"));
}

/* Where the pattern's endpoint index is kept. NULL with *rc when the pattern is not one. */
static u16 *walk(struct router *r, str pattern, bool *literal, rc_t *rc) {
    u16 at = 1;
    u32 params = 0, segments = 0;
    str rest = pattern, segment;
    *rc = RC_INVALID;
    *literal = true;
    if (!str_starts(rest, S("/"))) return NULL;
    rest = str_skip(rest, 1);
    while (rest.len) {
        size_t slash = str_find_byte(rest, '/');
        segment = str_take(rest, slash);
        bool last = slash == rest.len;
        rest = str_skip(rest, slash + 1);
        if (!segment_ok(segment, last) || (!last && !rest.len)) return NULL;
        if (++segments > ROUTE_SEGMENTS_MAX) return NULL;
        if (segment.ptr[0] == '{') {
            *literal = false;
            if (++params > ROUTE_PARAMS_MAX) return NULL;
            if (str_ends(segment, S("...}"))) return &r->nodes[at].rest;
        }
        if (!(at = step(r, at, segment))) {
            *rc = RC_LIMIT;
            return NULL;
        }
    }
    return &r->nodes[at].endpoint;
}

static void hash_add(struct router *r, u16 index) {
    u64 at = str_hash(r->endpoints[index].path, 0) & (HASH_SLOTS - 1);
    while (r->hash[at]) at = (at + 1) & (HASH_SLOTS - 1);
    r->hash[at] = index;
}

rc_t router_add(struct router *r, const struct module *m, const struct route *route) {
    bool literal;
    rc_t rc;
    str pattern = str_from_c(route->pattern);
    u16 *slot = walk(r, pattern, &literal, &rc);
    if (!slot) return rc;
    if (!*slot) {
        if (r->endpoint_count == ROUTE_MAX) return RC_LIMIT;
        *slot = r->endpoint_count++;
        r->endpoints[*slot] = (struct endpoint){
            .pattern = route->pattern, .path = pattern, .allow = 1u << HTTP_OPTIONS};
        if (literal) hash_add(r, *slot);
    }
    struct endpoint *e = &r->endpoints[*slot];
    if (e->routes[route->method]) return RC_CONFLICT;
    e->routes[route->method] = route;
    e->modules[route->method] = m;
    e->allow |= 1u << route->method;
    if (route->method == HTTP_GET) e->allow |= 1u << HTTP_HEAD;
    return RC_OK;
}

/* ---- Finding ------------------------------------------------------------------------------- */

static u16 find_literal(const struct router *r, str path) {
    for (u64 at = str_hash(path, 0) & (HASH_SLOTS - 1); r->hash[at];
         at = (at + 1) & (HASH_SLOTS - 1))
        if (str_eq(r->endpoints[r->hash[at]].path, path)) return r->hash[at];
    return NONE;
}

/* `rest` is what follows the node's own '/'. Recursion is as deep as the trie. */
static u16 find_in_trie(const struct router *r, u16 at, str rest, struct router_match *out) {
    const struct node *n = &r->nodes[at];
    size_t slash = str_find_byte(rest, '/');
    str segment = str_take(rest, slash), below = str_skip(rest, slash + 1);
    bool last = slash == rest.len;
    u32 params = out->param_count;
    u16 found, child;
    if (segment.len && (child = literal_child(r, at, segment))) {
        found = last ? r->nodes[child].endpoint : find_in_trie(r, child, below, out);
        if (found) return found;
        out->param_count = params;
    }
    if (segment.len && n->param) {
        out->params[out->param_count++] = segment;
        found = last ? r->nodes[n->param].endpoint : find_in_trie(r, n->param, below, out);
        if (found) return found;
        out->param_count = params;
    }
    if (rest.len && n->rest) {
        out->params[out->param_count++] = rest;
        return n->rest;
    }
    return NONE;
}

rc_t router_find(const struct router *r, enum http_method method, str path,
                 struct router_match *out) {
    out->param_count = 0;
    out->route = NULL;
    u16 found = find_literal(r, path);
    if (!found && path.len) found = find_in_trie(r, 1, str_skip(path, 1), out);
    if (!found) return RC_NOT_FOUND;
    const struct endpoint *e = &r->endpoints[found];
    out->pattern = e->pattern;
    out->allow = e->allow;
    enum http_method m = method == HTTP_HEAD && !e->routes[HTTP_HEAD] ? HTTP_GET : method;
    out->route = e->routes[m];
    out->module = e->modules[m];
    return out->route ? RC_OK : RC_DENIED;
}
