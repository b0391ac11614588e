/* SPDX-License-Identifier: Apache-2.0 */
/* edge.h — the option gateway.routes: which requests go to which servers behind us, and how. One
 * document, taken whole or not at all; docs/reference/gateway.md has every member.
 *
 *   {"upstreams": {"shop": {"targets": ["http://10.0.0.5:8080"]}},
 *    "limits":    {"calls": {"key": "network", "buckets": [{"quota": 100, "window_seconds": 60}]}},
 *    "routes":    [{"name": "shop", "hosts": ["shop.example.org"], "path": "/", "access": "public",
 *                   "upstream": "shop", "limits": ["calls"]}]}
 *
 * Read into a struct edge whose texts and lists live in one arena. This folder reads and judges
 * (check_edge is the option's check); app/gateway runs it. */
#pragma once
#include "kernel/base/arena.h"
#include "kernel/base/limits.h"
#include "net/http.h"

LIMIT(EDGE_ROUTES_MAX, 256, 16)
LIMIT(EDGE_UPSTREAMS_MAX, 64, 8)
LIMIT(EDGE_TARGETS_MAX, 32, 4)   /* of one upstream */
LIMIT(EDGE_LIMITS_MAX, 32, 4)
LIMIT(EDGE_LIST_MAX, 16, 4)      /* hosts, methods, conditions, field edits of one route; buckets */
LIMIT(EDGE_BYTES_MAX, 262144, 65536) /* of the document */
LIMIT(EDGE_ARENA_MAX, 4194304, 1048576) /* of what it is read into, the JSON tree included */

/* ---- Where to -------------------------------------------------------------------------------- */

struct edge_target {
    str url;    /* scheme, host and port: "http://10.0.0.5:8080" */
    u32 weight; /* 1..1000 */
};
enum edge_balance { EDGE_ROUND_ROBIN, EDGE_LEAST_REQUEST, EDGE_HASH };
enum edge_hash_on { EDGE_BY_ADDRESS, EDGE_BY_HEADER, EDGE_BY_COOKIE };
struct edge_upstream {
    str name;
    struct edge_target *targets;
    u32 target_count;
    enum edge_balance balance;
    enum edge_hash_on hash_on;
    str hash_name; /* of the header or the cookie */
    /* https */
    str ca_pem, server_name;
    bool insecure;
    /* Patience, ms: for a connection, for the head of the answer, between two pieces */
    u32 connect_ms, answer_ms, idle_ms;
    u32 retries;      /* further tries, 0..3 */
    u32 requests_max; /* at once to one target; beyond: another, or 503 */
    /* Asked whether they live: path empty: not asked */
    str health_path;
    u32 health_interval_ms, health_timeout_ms, health_passes, health_fails;
    /* Seen failing: `eject_failures` in a row (0: never) rest for eject_ms times how often */
    u32 eject_failures, eject_ms;
    /* The breaker: opens after so many failures in a row or when half of >= 20 in 10 s failed */
    u32 breaker_failures, breaker_ms; /* failures 0: no breaker */
};

/* ---- Which requests -------------------------------------------------------------------------- */

enum edge_path_kind { EDGE_PREFIX, EDGE_EXACT, EDGE_PATTERN };
struct edge_condition {
    str name, value; /* value "*": present, whatever it says */
};
struct edge_edit { /* a field that is set (value.ptr) or removed */
    str name, value;
};
struct edge_share {
    u32 upstream, weight; /* index; 0..1000 */
};
enum edge_access { EDGE_PUBLIC, EDGE_USER, EDGE_ADMIN };
enum edge_host { EDGE_HOST_KEEP, EDGE_HOST_UPSTREAM, EDGE_HOST_TEXT };
struct edge_cors {
    str *origins; /* exact, or the one "*" */
    u32 origin_count;
    bool any, credentials;
    str methods, headers, expose; /* as the fields carry them */
    u32 max_age_s;
};
struct edge_route {
    str name;
    u32 order;   /* place in the document */
    str *hosts;  /* lower case; "*.example.org": any name below it; none: all hosts */
    u32 host_count;
    enum edge_path_kind kind;
    str path;
    u32 methods; /* bit per enum http_method; 0: all */
    struct edge_condition *headers, *queries;
    u32 header_count, query_count;
    /* What happens: one of the two */
    struct edge_share *shares;
    u32 share_count, share_total;
    str redirect; /* "https://new.example.org{path}{query}"; empty: not one */
    int redirect_status;
    s32 mirror; /* upstream index that gets a copy, -1: none */
    bool strip_prefix;
    str rewrite; /* "/v2{rest}" "{path}"; empty: the path as it came */
    enum edge_host host;
    str host_text;
    struct edge_edit *request_edits, *answer_edits;
    u32 request_edit_count, answer_edit_count;
    enum edge_access access;
    str permission; /* asked of the policy when not public */
    u32 *limits;    /* indices */
    u32 limit_count;
    struct edge_cors *cors; /* NULL: the upstream's own business */
    bool security_headers, compress, cache;
    u64 body_max; /* bytes; 413 beyond */
};

/* ---- How many -------------------------------------------------------------------------------- */

enum edge_limit_key { EDGE_KEY_NETWORK, EDGE_KEY_USER, EDGE_KEY_API_KEY, EDGE_KEY_ROUTE };
struct edge_bucket {
    u32 quota, burst; /* requests in `window_ms`; how many of them at once */
    u64 window_ms;
};
struct edge_limit {
    str name;
    enum edge_limit_key key;
    struct edge_bucket *buckets;
    u32 bucket_count;
    bool only_failed; /* counts answers of these statuses alone */
    int status_from, status_to;
};

struct edge {
    struct edge_upstream *upstreams;
    struct edge_limit *limits;
    struct edge_route *routes; /* in the order they are tried */
    u32 upstream_count, limit_count, route_count;
    u32 *platform_limits; /* indices: for the platform's own routes that are not administrators' */
    u32 platform_limit_count;
    bool any_host; /* a route names hosts */
};
/* Reads a document; empty text: no routes. RC_INVALID: `why` names the place and what is wanted;
 * RC_NO_MEMORY, RC_LIMIT. */
rc_t edge_parse(struct arena *a, str json, struct edge *out, struct diag *why);
bool check_edge(str value, struct diag *why);
