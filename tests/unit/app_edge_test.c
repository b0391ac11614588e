/* SPDX-License-Identifier: Apache-2.0 */
/* app_edge_test.c — gateway.routes as it is read: defaults, bounds, what is refused and how it is
 * named, the order routes are tried in, which route a request has; lists of networks. */
#include "app/config/edge.c"
#include "app/config/edge_route.c"
#include "app/config/networks.c"
#include "app/gateway/match.c"
#include "tests/test.h"
#include <stdio.h>

static struct diag why;
static struct arena arena;
static struct edge edge;

static rc_t read(const char *json) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(4));
    why = (struct diag){0};
    return edge_parse(&arena, str_from_c(json), &edge, &why);
}

#define UP "\"upstreams\":{\"up\":{\"targets\":[\"http://a\"]}}"
static void refuses(const char *json, const char *words) {
    if (read(json) != RC_INVALID || !strstr(why.text, words))
        test_fail(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", json, why.text, words);
    EXPECT(!check_edge(str_from_c(json), &why));
}
static void refuses_route(const char *more, const char *words) {
    char json[1024];
    snprintf(json, sizeof json, "{" UP ",\"routes\":[{\"name\":\"r\"%s}]}", more);
    refuses(json, words);
}
static void refuses_upstream(const char *more, const char *words) {
    char json[1024];
    snprintf(json, sizeof json, "{\"upstreams\":{\"u\":{\"targets\":[\"http://a\"]%s}}}", more);
    refuses(json, words);
}

TEST(an_empty_document_has_no_routes) {
    EXPECT_OK(read(""));
    EXPECT_OK(read("{}"));
    EXPECT_EQ(edge.route_count, 0);
    EXPECT(check_edge(S(""), &why));
}

TEST(defaults_are_the_documented_ones) {
    EXPECT_OK(read("{" UP ",\"limits\":{\"l\":{\"buckets\":[{\"quota\":5,\"window_seconds\":60}]}},"
                   "\"platform_limits\":\"l\",\"routes\":[{\"name\":\"r\",\"path\":\"/x/\","
                   "\"upstream\":\"up\",\"limits\":[\"l\"]}]}"));
    const struct edge_upstream *u = &edge.upstreams[0];
    EXPECT_EQ(u->connect_ms, 3000);
    EXPECT_EQ(u->answer_ms, 15000);
    EXPECT_EQ(u->idle_ms, 300000);
    EXPECT_EQ(u->retries, 1);
    EXPECT_EQ(u->targets[0].weight, 1);
    EXPECT_EQ(u->breaker_failures, 5);
    const struct edge_route *r = &edge.routes[0];
    EXPECT_STR(r->path, S("/x"));
    EXPECT_EQ(r->access, EDGE_USER);
    EXPECT_STR(r->permission, S("gateway:upstream:use"));
    EXPECT_EQ(r->mirror, -1);
    EXPECT_EQ(r->body_max, 32 << 20);
    EXPECT_EQ(r->limit_count, 1);
    EXPECT_EQ(edge.platform_limit_count, 1);
    EXPECT_EQ(edge.limits[0].buckets[0].burst, 5);
    EXPECT_EQ(edge.limits[0].buckets[0].window_ms, 60000);
}

TEST(what_is_wrong_is_named) {
    refuses("[]", "wants an object");
    refuses("{", "");
    refuses("{\"x\":1}", "\"x\" is not known");
    refuses("{\"upstreams\":[]}", "upstreams");
    refuses("{\"upstreams\":{\"a b\":{}}}", "names have");
    refuses("{\"upstreams\":{\"u\":{}}}", "\"targets\" wants");
    refuses("{\"upstreams\":{\"u\":{\"targets\":[\"http://a\",\"http://a/\"]}}}", "twice");
    refuses("{\"upstreams\":{\"u\":{\"targets\":[{\"url\":\"http://a\",\"weight\":0}]}}}",
            "weight");
    refuses("{\"upstreams\":{\"u\":{\"targets\":[\"http://a/x\"]}}}", "without a path");
    refuses("{\"upstreams\":{\"u\":{\"targets\":[\"http://u@a\"]}}}", "user information");
    refuses_upstream(",\"balance\":\"magic\"", "round-robin");
    refuses_upstream(",\"hash_on\":\"moon\"", "hash_on");
    refuses_upstream(",\"hash_on\":\"header:a b\"", "hash_on");
    refuses_upstream(",\"tls\":{\"x\":1}", "\"x\" is not known");
    refuses_upstream(",\"tls\":{\"insecure\":1}", "true or false");
    refuses_upstream(",\"health\":{\"path\":\"x\"}", "path");
    refuses_upstream(",\"health\":{\"path\":\"/\",\"passes\":0}", "1 to 10");
    refuses_upstream(",\"timeouts\":{\"answer_ms\":0}", "answer_ms");
    refuses_upstream(",\"retries\":4", "0 to 3");
    refuses_upstream(",\"breaker\":{\"failures\":1.5}", "whole number");
    refuses("{\"limits\":{\"l\":{}}}", "buckets");
    refuses("{\"limits\":{\"l\":{\"buckets\":[{\"quota\":1}]}}}", "window_seconds");
    refuses("{\"limits\":{\"l\":{\"buckets\":[{\"quota\":1,\"window_seconds\":1}],"
            "\"count_status\":\"9-1\"}}}", "count_status");
    refuses("{\"platform_limits\":[\"none\"]}", "names no limit");
}

TEST(what_is_wrong_with_a_route_is_named) {
    refuses_route("", "one of them");
    refuses_route(",\"upstream\":\"up\",\"redirect\":\"/x\"", "one of them");
    refuses_route(",\"upstream\":\"no\"", "names no upstream");
    refuses_route(",\"split\":[{\"upstream\":\"up\",\"weight\":0}]", "above 0");
    refuses_route(",\"redirect\":\"//evil\"", "redirect");
    refuses_route(",\"redirect\":\"javascript:x\"", "redirect");
    refuses_route(",\"redirect\":\"/x\",\"redirect_status\":304", "301, 302");
    refuses_route(",\"upstream\":\"up\",\"hosts\":[\"A.example\"]", "lower case");
    refuses_route(",\"upstream\":\"up\",\"hosts\":[\"a*.example\"]", "hosts");
    refuses_route(",\"upstream\":\"up\",\"path\":\"x\"", "path");
    refuses_route(",\"upstream\":\"up\",\"path\":\"/a//b\"", "path");
    refuses_route(",\"upstream\":\"up\",\"path\":\"/a/..\"", "path");
    refuses_route(",\"upstream\":\"up\",\"path\":\"/{id}\"", "path");
    refuses_route(",\"upstream\":\"up\",\"path\":\"/{a...}/b\",\"match\":\"pattern\"", "path");
    refuses_route(",\"upstream\":\"up\",\"methods\":[\"get\"]", "methods");
    refuses_route(",\"upstream\":\"up\",\"headers\":{\"a b\":\"1\"}", "headers");
    refuses_route(",\"upstream\":\"up\",\"query\":{\"a\":1}", "query");
    refuses_route(",\"upstream\":\"up\",\"rewrite\":\"x\"", "rewrite");
    refuses_route(",\"upstream\":\"up\",\"match\":\"exact\",\"strip_prefix\":true", "prefix");
    refuses_route(",\"upstream\":\"up\",\"host\":\"a b\"", "host");
    refuses_route(",\"upstream\":\"up\",\"request_headers\":{\"Content-Length\":\"1\"}",
                  "own to set");
    refuses_route(",\"upstream\":\"up\",\"response_headers\":{\"X\":1}", "fields");
    refuses_route(",\"upstream\":\"up\",\"permission\":\"a:b\"", "service:resource:verb");
    refuses_route(",\"upstream\":\"up\",\"cors\":{}", "origins");
    refuses_route(",\"upstream\":\"up\",\"cors\":{\"origins\":\"*\",\"credentials\":true}",
                  "alone");
    refuses_route(",\"upstream\":\"up\",\"limits\":\"x\"", "names no limit");
    refuses_route(",\"upstream\":\"up\",\"mirror\":\"x\"", "names no upstream");
    refuses_route(",\"upstream\":\"up\",\"compress\":1", "true or false");
    refuses("{" UP ",\"routes\":[{\"path\":\"/\",\"upstream\":\"up\"}]}", "names have");
    refuses("{" UP ",\"routes\":{}}", "wants a list");
}

/* ---- Order and fit --------------------------------------------------------------------------- */

static const char *const routes_json =
    "{" UP ",\"routes\":["
    "{\"name\":\"all\",\"upstream\":\"up\"},"
    "{\"name\":\"prefix\",\"path\":\"/a/b\",\"upstream\":\"up\"},"
    "{\"name\":\"pattern\",\"path\":\"/a/b/{id}/c\",\"match\":\"pattern\",\"upstream\":\"up\"},"
    "{\"name\":\"tail\",\"path\":\"/t/{rest...}\",\"match\":\"pattern\",\"upstream\":\"up\"},"
    "{\"name\":\"exact\",\"path\":\"/a/b\",\"match\":\"exact\",\"upstream\":\"up\"},"
    "{\"name\":\"post\",\"path\":\"/a/b\",\"methods\":[\"POST\"],\"upstream\":\"up\"},"
    "{\"name\":\"field\",\"path\":\"/f\",\"headers\":{\"X-A\":\"1\",\"X-B\":\"*\"},"
    "\"upstream\":\"up\"},"
    "{\"name\":\"query\",\"path\":\"/q\",\"query\":{\"v\":\"a b\",\"w\":\"*\"},"
    "\"upstream\":\"up\"},"
    "{\"name\":\"wild\",\"hosts\":[\"*.x.example\"],\"upstream\":\"up\"},"
    "{\"name\":\"wilder\",\"hosts\":[\"*.y.x.example\"],\"upstream\":\"up\"},"
    "{\"name\":\"host\",\"hosts\":[\"h.x.example\"],\"upstream\":\"up\"}]}";

static const char *who(enum http_method m, const char *host, const char *path, const char *query,
                       const struct http_field *fields, u32 count) {
    static char name[64];
    struct match_question q = {.method = m, .host = str_from_c(host), .path = str_from_c(path),
                               .query = str_from_c(query), .fields = fields, .field_count = count};
    for (u32 i = 0; i < edge.route_count; i++) {
        if (match_route(&edge.routes[i], &q, NULL) != MATCH_FITS) continue;
        (void)!!str_to_c(edge.routes[i].name, name, sizeof name);
        return name;
    }
    return "none";
}
#define WHO(m, host, path, query, want)                                                            \
    EXPECT_STR(str_from_c(who(m, host, path, query, NULL, 0)), S(want))

TEST(the_most_specific_route_has_it) {
    EXPECT_OK(read(routes_json));
    EXPECT(edge.any_host);
    WHO(HTTP_GET, "h.x.example", "/a/b", "", "host");
    WHO(HTTP_GET, "g.x.example", "/a/b", "", "wild");
    WHO(HTTP_GET, "g.y.x.example", "/a/b", "", "wilder");
    WHO(HTTP_GET, "x.example", "/a/b", "", "exact");
    WHO(HTTP_GET, "", "/a/b/", "", "prefix");
    WHO(HTTP_GET, "", "/a/bc", "", "all");
    WHO(HTTP_POST, "", "/a/b/x", "", "post");
    WHO(HTTP_GET, "", "/a/b/7/c", "", "pattern");
    WHO(HTTP_GET, "", "/a/b/7/c/", "", "prefix");
    WHO(HTTP_GET, "", "/a/b//c", "", "prefix"); /* {id} is not empty */
    WHO(HTTP_GET, "", "/t/", "", "tail");
    WHO(HTTP_GET, "", "/t/x/y", "", "tail");
    WHO(HTTP_GET, "", "/t", "", "all");
    WHO(HTTP_GET, "", "/q", "v=a+b&w", "query");
    WHO(HTTP_GET, "", "/q", "w=1&v=a%20b", "query");
    WHO(HTTP_GET, "", "/q", "v=a+b", "all");
    WHO(HTTP_GET, "", "/q", "v=%zz&w", "all");
    struct http_field fields[] = {{S("x-a"), S("1")}, {S("X-B"), S("anything")}};
    EXPECT_STR(str_from_c(who(HTTP_GET, "", "/f", "", fields, 2)), S("field"));
    EXPECT_STR(str_from_c(who(HTTP_GET, "", "/f", "", fields, 1)), S("all"));
}

TEST(networks_hold_what_lies_in_them) {
    struct network list[NETWORKS_MAX];
    struct net_address a;
    u32 n;
    EXPECT_OK(networks_parse(S("10.0.0.0/9, 2001:db8::/33 ,192.0.2.7"), list, &n));
    EXPECT_EQ(n, 3);
    static const struct {
        const char *address;
        bool in;
    } cases[] = {{"10.127.0.1", true}, {"10.128.0.1", false}, {"192.0.2.7", true},
                 {"192.0.2.6", false}, {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false}};
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_OK(net_address_parse(str_from_c(cases[i].address), &a));
        EXPECT_EQ(networks_hold(list, n, &a), cases[i].in);
    }
    EXPECT_RC(networks_parse(S("10.0.0.0/33"), list, &n), RC_INVALID);
    EXPECT_RC(networks_parse(S("x"), list, &n), RC_INVALID);
    EXPECT(check_networks(S(""), &why) && !check_networks(S("10.0.0.0/8,"), &why));
}
