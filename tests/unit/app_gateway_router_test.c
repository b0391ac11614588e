/* SPDX-License-Identifier: Apache-2.0 */
/* app_gateway_router_test.c — the right route for a path, whatever the order of registration. */
#include "app/gateway/router.c"
#include "tests/test.h"

static void handle(struct request *rq) { (void)rq; }
static const struct module owner = {.name = "test"};

static struct router *build(const struct route *routes, size_t n, bool backwards) {
    struct router *r;
    memory_init(MIB(64));
    if (router_open(&r)) return NULL;
    for (size_t i = 0; i < n; i++) {
        rc_t rc = router_add(r, &owner, &routes[backwards ? n - 1 - i : i]);
        if (rc) test_fail(__FILE__, __LINE__, "%s: %s", routes[i].pattern, rc_name(rc));
    }
    return r;
}
#define R(m, p) {.method = m, .pattern = p, .handle = handle}
static const struct route table[] = {
    R(HTTP_GET, "/"),
    R(HTTP_GET, "/health"),
    R(HTTP_GET, "/a/{id}"),
    R(HTTP_PUT, "/a/{id}"),
    R(HTTP_GET, "/a/stats"),
    R(HTTP_GET, "/a/{id}/versions"),
    R(HTTP_GET, "/a/{id}/versions/{n}"),
    R(HTTP_GET, "/a/stats/deep/x"),
    R(HTTP_POST, "/a"),
    R(HTTP_GET, "/files/{rest...}"),
    R(HTTP_GET, "/files/{name}/info"),
    R(HTTP_HEAD, "/own"),
    R(HTTP_GET, "/own"),
};

static const char *found(struct router *r, enum http_method m, const char *path, rc_t wanted,
                         struct router_match *out) {
    rc_t rc = router_find(r, m, test_at_page_end(str_from_c(path)), out);
    if (rc != wanted)
        test_fail(__FILE__, __LINE__, "%s gives %s, not %s", path, rc_name(rc), rc_name(wanted));
    return out->route ? out->route->pattern : "";
}

TEST(finds_whatever_the_order) {
    for (int backwards = 0; backwards < 2; backwards++) {
        struct router_match m;
        struct router *r = build(table, ARRAY_LEN(table), backwards);
        REQUIRE(r);
#define FINDS(path, pattern) EXPECT_STR(str_from_c(found(r, HTTP_GET, path, RC_OK, &m)), S(pattern))
        FINDS("/", "/");
        FINDS("/health", "/health");
        FINDS("/a/stats", "/a/stats"); /* a literal is never shadowed by {id} */
        FINDS("/a/7", "/a/{id}");
        EXPECT_STR(m.params[0], S("7"));
        FINDS("/a/stats/versions", "/a/{id}/versions"); /* and backs off when it leads nowhere */
        EXPECT_EQ(m.param_count, 1);
        EXPECT_STR(m.params[0], S("stats"));
        FINDS("/a/x/versions/3", "/a/{id}/versions/{n}");
        EXPECT_EQ(m.param_count, 2);
        EXPECT_STR(m.params[1], S("3"));
        FINDS("/files/a/b/c", "/files/{rest...}");
        EXPECT_STR(m.params[0], S("a/b/c"));
        FINDS("/files/a/info", "/files/{name}/info");
        FINDS("/files/a/infos", "/files/{rest...}");
        EXPECT_EQ(m.param_count, 1);
        EXPECT_STR(m.params[0], S("a/infos"));
        router_close(r);
    }
}

TEST(knows_nothing_else) {
    const char *paths[] = {"", "x", "//", "/healt", "/healthz", "/health/", "/a/", "/a//versions",
                           "/a/1/versions/", "/a/1/2", "/files", "/files/", "*", "/A/stats"};
    struct router *r = build(table, ARRAY_LEN(table), false);
    struct router_match m;
    REQUIRE(r);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) found(r, HTTP_GET, paths[i], RC_NOT_FOUND, &m);
    router_close(r);
}

TEST(a_known_path_with_another_method_is_405_and_says_which) {
    struct router *r = build(table, ARRAY_LEN(table), false);
    struct router_match m;
    REQUIRE(r);
    found(r, HTTP_DELETE, "/a/7", RC_DENIED, &m);
    EXPECT_EQ(m.allow, 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_PUT | 1u << HTTP_OPTIONS);
    found(r, HTTP_PUT, "/a/stats", RC_DENIED, &m); /* decided by path first: not {id}'s PUT */
    EXPECT_EQ(m.allow, 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_OPTIONS);
    found(r, HTTP_GET, "/a", RC_DENIED, &m);
    EXPECT_EQ(m.allow, 1u << HTTP_POST | 1u << HTTP_OPTIONS);
    found(r, HTTP_OTHER, "/health", RC_DENIED, &m);
    router_close(r);
}

TEST(head_is_get_unless_it_has_its_own) {
    struct router *r = build(table, ARRAY_LEN(table), false);
    struct router_match m;
    REQUIRE(r);
    found(r, HTTP_HEAD, "/health", RC_OK, &m);
    EXPECT_EQ(m.route->method, HTTP_GET);
    found(r, HTTP_HEAD, "/own", RC_OK, &m);
    EXPECT_EQ(m.route->method, HTTP_HEAD);
    router_close(r);
}

TEST(refuses_malformed_patterns) {
    const char *bad[] = {"", "a", "/a/", "//", "/{}", "/{id", "/id}", "/x{id}", "/{id}x",
                         "/{rest...}/x", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}",
                         "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    struct router *r = build(NULL, 0, false);
    REQUIRE(r);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct route route = R(HTTP_GET, bad[i]);
        if (router_add(r, &owner, &route) != RC_INVALID)
            test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
    }
    struct route twice = R(HTTP_GET, "/t/{x}"), again = R(HTTP_GET, "/t/{y}");
    EXPECT_OK(router_add(r, &owner, &twice));
    EXPECT_RC(router_add(r, &owner, &again), RC_CONFLICT);
    router_close(r);
}

TEST(is_bounded) {
    static char patterns[ROUTE_MAX + 2][24];
    static struct route many[ROUTE_MAX + 2];
    struct router *r = build(NULL, 0, false);
    struct router_match m;
    rc_t rc = RC_OK;
    u32 n = 0;
    REQUIRE(r);
    for (; n < ARRAY_LEN(many) && !rc; n++) {
        for (u32 i = 0, v = n; i < 4; i++, v /= 26) patterns[n][i + 1] = (char)('a' + v % 26);
        patterns[n][0] = '/';
        many[n] = (struct route)R(HTTP_GET, patterns[n]);
        rc = router_add(r, &owner, &many[n]);
    }
    EXPECT_RC(rc, RC_LIMIT);
    EXPECT_EQ(n, ROUTE_MAX);
    for (u32 i = 0; i + 1 < n; i++) {
        EXPECT_OK(router_find(r, HTTP_GET, str_from_c(patterns[i]), &m));
        EXPECT(m.route == &many[i]);
    }
    router_close(r);
}

/* Deep hostile paths cost two looks per level, not two to the power of it. */
TEST(long_paths_end_soon) {
    struct route deep[] = {R(HTTP_GET, "/{a}/{b}/{c}/{d}/{e}/{f}"), R(HTTP_GET, "/x/x/x/x/x/x"),
                           R(HTTP_GET, "/x/{b}/x/{d}/x/{f}")};
    char path[HTTP_LINE_MAX];
    struct router_match m;
    struct router *r = build(deep, ARRAY_LEN(deep), false);
    REQUIRE(r);
    for (size_t i = 0; i < sizeof path; i++) path[i] = i % 2 ? 'x' : '/';
    for (int i = 0; i < 1000; i++)
        EXPECT_RC(router_find(r, HTTP_GET, str_of(path, sizeof path), &m), RC_NOT_FOUND);
    EXPECT_OK(router_find(r, HTTP_GET, S("/x/x/x/x/x/y"), &m));
    EXPECT_STR(str_from_c(m.pattern), S("/x/{b}/x/{d}/x/{f}"));
    router_close(r);
}
