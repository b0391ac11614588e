/* SPDX-License-Identifier: Apache-2.0 */
/* net_port_test.c — the small parts: checksum against its definition, SipHash against its authors'
 * vectors, cookies, addresses, dates, request ids, escapes, the heap's bounds. */
#include "net/port.c"
#include "net/address.h"
#include "net/heap.h"
#include "net/http_impl.h"
#include "net/isn.h"
#include "net/url.h"
#include "kernel/core/memory.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

static void begin(void) {
    sim_start(&(struct sim_options){.seed = test_seed()});
    memory_init(MIB(64));
}

/* RFC 1071, word by word. */
static u16 checksum_slowly(const u8 *p, size_t n) {
    u32 sum = 0;
    for (size_t i = 0; i < n; i += 2) sum += (u32)p[i] | (i + 1 < n ? (u32)p[i + 1] << 8 : 0);
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return (u16)sum;
}

TEST(the_checksum_is_the_one_of_the_rfc) {
    u8 bytes[300];
    for (u32 round = 0; round < 2000; round++) {
        size_t n = test_random() % 290, at = test_random() % 8;
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = round % 3 ? (u8)test_random() : 0xFF;
        EXPECT_EQ(net_checksum(bytes + at, (int)n), checksum_slowly(bytes + at, n));
    }
    str end =
        test_at_page_end(S("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg"));
    (void)net_checksum(end.ptr, (int)end.len);
}

/* The reference implementation's first and last vectors: key 00..0f, message 00, 00 01, ... */
TEST(siphash_gives_its_authors_numbers) {
    u64 key[2] = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
    u8 in[64];
    for (u8 i = 0; i < 64; i++) in[i] = i;
    EXPECT(siphash(key, in, 0) == 0x726fdb47dd0e0e31ull);
    EXPECT(siphash(key, in, 1) == 0x74f839c593dc67fdull);
    EXPECT(siphash(key, in, 8) == 0x93f5f5799a932462ull);
    EXPECT(siphash(key, in, 15) == 0xa129ca6149be45e5ull);
    EXPECT(siphash(key, in, 63) == 0x958a324ceb064572ull);
}

TEST(a_cookie_is_good_for_its_tuple_and_a_while) {
    u16 mss;
    begin();
    struct tuple t = {.remote = {1}, .local = {2}, .remote_port = 3, .local_port = 4};
    u32 cookie = isn_cookie_make(&t, 77, 1399);
    EXPECT(isn_cookie_check(&t, 77, cookie, &mss));
    EXPECT_EQ(mss, 1360);
    EXPECT(!isn_cookie_check(&t, 78, cookie, &mss));
    EXPECT(!isn_cookie_check(&t, 77, cookie ^ 1, &mss));
    EXPECT(!isn_cookie_check(&t, 77, cookie ^ (1u << 24), &mss)); /* another MSS */
    t.remote_port++;
    EXPECT(!isn_cookie_check(&t, 77, cookie, &mss));
    t.remote_port--;
    (void)platform_wait(platform_clock_ns() + 60 * NS_PER_S);
    EXPECT(isn_cookie_check(&t, 77, cookie, &mss));
    (void)platform_wait(platform_clock_ns() + 180 * NS_PER_S);
    EXPECT(!isn_cookie_check(&t, 77, cookie, &mss));
    EXPECT(isn_for(&t) != isn_for(&(struct tuple){
                              .remote = {1}, .local = {2}, .remote_port = 3, .local_port = 5}));
}

TEST(addresses_are_read_strictly_and_written_back) {
    static const char *const good[][2] = {
        {"192.0.2.1", "192.0.2.1"},     {"0.0.0.0", "0.0.0.0"}, {"::1", "::1"},
        {"2001:DB8::A", "2001:db8::a"}, {"fe80::1", "fe80::1"}, {"::", "::"}};
    static const char *const bad[] = {"",         "1.2.3",   "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
                                      "1.2.3.4 ", "1..2.3",  "a.b.c.d",   "0x1.2.3.4", "1.2.3.-4",
                                      ":::",      "12345::", "fe80::1%1", "g::1",      "::1 "};
    struct net_address a;
    char text[46];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        EXPECT_OK(net_address_parse(str_from_c(good[i][0]), &a));
        EXPECT_STR(net_address_text(&a, text, sizeof text), str_from_c(good[i][1]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (net_address_parse(str_from_c(bad[i]), &a) == RC_OK)
            test_fail(__FILE__, __LINE__, "took %s", bad[i]);
}

TEST(dates) {
    static const struct {
        u64 seconds;
        const char *text;
    } known[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
                 {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
                 {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
                 {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
                 {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"}};
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nox 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT"};
    char text[30];
    u64 seconds;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        http_date_format(known[i].seconds, text);
        EXPECT_STR(str_from_c(text), str_from_c(known[i].text));
        EXPECT_OK(http_date_parse(str_from_c(known[i].text), &seconds));
        EXPECT_EQ(seconds, known[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_RC(http_date_parse(str_from_c(bad[i]), &seconds), RC_INVALID);
}

TEST(request_ids_are_unlike_and_in_order) {
    char before[27] = "", now[27];
    begin();
    for (u32 i = 0; i < 5000; i++) {
        http_id_next(now);
        EXPECT_EQ(strlen(now), 26);
        EXPECT(memcmp(before, now, 26) != 0);
        if (i) EXPECT(memcmp(before, now, 10) <= 0); /* the time part never goes back here */
        memcpy(before, now, sizeof now);
        if (i % 100 == 99) (void)platform_wait(platform_clock_ns() + NS_PER_MS);
    }
}

TEST(escapes_are_undone_once) {
    char to[64];
    str out;
    EXPECT_OK(url_decode(S("a%20b+c%2Bd"), true, to, &out));
    EXPECT_STR(out, S("a b c+d"));
    EXPECT_OK(url_decode(S("%2541"), false, to, &out));
    EXPECT_STR(out, S("%41"));
    EXPECT_RC(url_decode(S("%00"), false, to, &out), RC_INVALID);
    EXPECT_RC(url_decode(S("%f0%28%8c%28"), false, to, &out), RC_INVALID);
    EXPECT_OK(url_path_plain(S("/a//b/%7Ec%2fd"), to, &out));
    EXPECT_STR(out, S("/a/b/~c%2Fd"));
    EXPECT_OK(url_path_plain(S("/plain-path_1/x"), to, &out));
    EXPECT_STR(out, S("/plain-path_1/x"));
    EXPECT_RC(url_path_plain(S("x"), to, &out), RC_INVALID);
    EXPECT_RC(url_path_plain(S("/a/%2e."), to, &out), RC_INVALID);
}

TEST(the_heap_is_bounded_and_gives_back) {
    static void *held[40000];
    u32 n = 0;
    begin();
    size_t used = net_heap_used();
    while (n < ARRAY_LEN(held) && (held[n] = net_heap_alloc(1500))) n++;
    EXPECT(n < ARRAY_LEN(held)); /* it said no */
    EXPECT(net_heap_tight());
    EXPECT(net_heap_used() <= net_heap_limit());
    while (n) net_heap_free(held[--n]);
    EXPECT_EQ(net_heap_used(), used);
    EXPECT(!net_heap_tight());
    EXPECT(net_heap_zero(SIZE_MAX / 2, 3) == NULL);
    net_heap_free(NULL);
}
