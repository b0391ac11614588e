/* SPDX-License-Identifier: Apache-2.0 */
/* net_proxy_header_test.c — PROXY headers of both versions: taken, waited for byte by byte,
 * refused. */
#include "net/proxy_header.c"
#include "tests/test.h"

static struct proxy_header h;

static void told(str bytes, const char *address, u16 port) {
    char text[46];
    EXPECT_OK(proxy_header_parse(bytes, &h));
    EXPECT(h.told);
    EXPECT_STR(net_address_text(&h.client, text, sizeof text), str_from_c(address));
    EXPECT_EQ(h.client.port, port);
    size_t whole = h.length;
    for (size_t n = 0; n < whole; n++)
        EXPECT_RC(proxy_header_parse(str_take(bytes, n), &h), RC_AGAIN);
}

TEST(lines_of_version_1) {
    told(S("PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\nGET /"), "192.0.2.1", 4711);
    EXPECT_OK(proxy_header_parse(S("PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\nGET /"), &h));
    EXPECT_EQ(h.length, 44);
    told(S("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), "2001:db8::1", 1);
    EXPECT_OK(proxy_header_parse(S("PROXY UNKNOWN\r\n"), &h));
    EXPECT(!h.told);
    EXPECT_OK(proxy_header_parse(S("PROXY UNKNOWN whatever it says\r\n"), &h));
    EXPECT(!h.told);
}

TEST(lines_that_are_none) {
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 x 1 2\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (proxy_header_parse(str_from_c(bad[i]), &h) != RC_INVALID)
            test_fail(__FILE__, __LINE__, "taken: %s", bad[i]);
    char endless[200];
    memset(endless, 'a', sizeof endless);
    memcpy(endless, "PROXY ", 6);
    EXPECT_RC(proxy_header_parse(str_of(endless, 106), &h), RC_AGAIN);
    EXPECT_RC(proxy_header_parse(str_of(endless, 107), &h), RC_INVALID);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
TEST(headers_of_version_2) {
    told(S(SIGNATURE "\x21\x11\0\x0C\xC0\0\2\1\xC6\x33\x64\7\x12\x67\1\xBB"
                     "GET"),
         "192.0.2.1", 0x1267);
    told(S(SIGNATURE "\x21\x21\0\x26"
                     "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\2"
                     "\0\x50\1\xBB\4\0"),
         "2001:db8::1", 80); /* two bytes of extension */
    EXPECT_OK(proxy_header_parse(S(SIGNATURE "\x20\0\0\0GET"), &h));
    EXPECT(!h.told);
    EXPECT_EQ(h.length, 16);
    EXPECT_OK(proxy_header_parse(S(SIGNATURE "\x21\0\0\0"), &h));
    EXPECT(!h.told);
}

TEST(headers_of_version_2_that_are_none) {
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x11\x11\0\0"), &h), RC_INVALID);
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x22\x11\0\0"), &h), RC_INVALID);
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x21\x11\0\x0B"
                                             "12345678901"),
                                 &h),
              RC_INVALID);
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x21\x21\0\x0C"
                                             "123456789012"),
                                 &h),
              RC_INVALID);
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x21\x41\0\0"), &h), RC_INVALID);
    EXPECT_RC(proxy_header_parse(S(SIGNATURE "\x21\x11\xFF\xFF"), &h), RC_INVALID);
    EXPECT_RC(proxy_header_parse(S("\r\n\r\nX"), &h), RC_INVALID);
}
