/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_url_test.c — URLs taken and refused; RFC 3986's own table of references. */
#include "net/http_url.c"
#include "tests/test.h"

TEST(parts_of_a_url) {
    static const struct {
        const char *text, *host, *authority, *target;
        u16 port;
        bool tls;
    } cases[] = {
        {"http://a", "a", "a", "", 80, false},
        {"HTTPS://Example.Org/x?y=1#z", "Example.Org", "Example.Org", "/x?y=1", 443, true},
        {"http://192.0.2.1:8181/v1/data", "192.0.2.1", "192.0.2.1:8181", "/v1/data", 8181, false},
        {"https://[2001:db8::1]:8443/", "2001:db8::1", "[2001:db8::1]:8443", "/", 8443, true},
        {"http://[::1]?q", "::1", "[::1]", "?q", 80, false},
        {"http://a_b.test/%20;a=b/@c:d", "a_b.test", "a_b.test", "/%20;a=b/@c:d", 80, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url u;
        struct diag why = {0};
        str text = test_at_page_end(str_from_c(cases[i].text));
        if (http_url_parse(text, &u, &why))
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].text, why.text);
        EXPECT_STR(u.host, str_from_c(cases[i].host));
        EXPECT_STR(u.authority, str_from_c(cases[i].authority));
        EXPECT_STR(u.target, str_from_c(cases[i].target));
        EXPECT_EQ(u.port, cases[i].port);
        EXPECT_EQ(u.tls, cases[i].tls);
    }
}

TEST(what_can_be_read_two_ways_is_refused) {
    static const char *const bad[] = {
        "",
        "http",
        "http:/a",
        "http://",
        "http:///x",
        "ftp://a",
        "//a/b",
        "a/b",
        "http://u@a/",
        "http://u:p@a/",
        "http://a@b@c/",
        "http://a\\@b/",
        "http://a b/",
        "http://a/b c",
        "http://a/\t",
        "http://a/\r\nX: y",
        "http://a/\x7F",
        "http://a/\xC3\xA9",
        "http://a:",
        "http://a:0/",
        "http://a:65536/",
        "http://a:80:80/",
        "http://a:-1/",
        "http://a:080000/",
        "http://a:8x/",
        "http://[::1",
        "http://[::1]x/",
        "http://[::g]/",
        "http://[]/",
        "http://[::1]:/",
        "http://%61/",
        "http://a,b/",
        "http://a!/",
        "http://[::1%25en0]/",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_url u;
        struct diag why = {0};
        if (!http_url_parse(str_from_c(bad[i]), &u, &why))
            test_fail(__FILE__, __LINE__, "%s is taken", bad[i]);
        EXPECT(why.text[0]);
    }
    static char name[300] = "http://";
    struct http_url u;
    struct diag why;
    memset(name + 7, 'a', 254);
    EXPECT_RC(http_url_parse(str_from_c(name), &u, &why), RC_INVALID);
}

TEST(origins) {
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"http://a/x", "http://A:80/y", true}, {"http://a", "https://a", false},
        {"https://a", "https://a:443", true},  {"http://a:1", "http://a:2", false},
        {"http://a", "http://b", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_url a, b;
        struct diag why;
        EXPECT_OK(http_url_parse(str_from_c(cases[i].a), &a, &why));
        EXPECT_OK(http_url_parse(str_from_c(cases[i].b), &b, &why));
        EXPECT_EQ(http_url_same_origin(&a, &b), cases[i].same);
    }
}

TEST(references_resolve_as_the_rfc_says) { /* RFC 3986 5.4 */
    static const char *const cases[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://z/x", "https://z/x"},
    };
    struct arena a;
    str out;
    arena_open(&a, NULL, 0, KIB(64));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_OK(http_url_resolve(&a, S("http://a/b/c/d;p?q"), str_from_c(cases[i][0]), &out));
        EXPECT_STR(out, str_from_c(cases[i][1]));
    }
    EXPECT_OK(http_url_resolve(&a, S("http://a"), S("x"), &out));
    EXPECT_STR(out, S("http://a/x"));
    EXPECT_RC(http_url_resolve(&a, S("http://a"), S("mailto:a@b"), &out), RC_INVALID);
    EXPECT_RC(http_url_resolve(&a, S("http://a"), S("/a b"), &out), RC_INVALID);
    EXPECT_RC(http_url_resolve(&a, S("nowhere"), S("/a"), &out), RC_INVALID);
    EXPECT_RC(http_url_resolve(&a, S("http://a"), S("http://u@b/"), &out), RC_INVALID);
    arena_close(&a);
}
