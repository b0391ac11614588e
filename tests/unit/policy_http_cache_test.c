/* SPDX-License-Identifier: Apache-2.0 */
/* policy_http_cache_test.c — answers kept beyond a question: for how long, what is never kept, what
 * is asked again and how, bounds; and dates. */
#include "app/policy/builtin/http_cache.c"
#include "app/policy/builtin/http_date.c"
#include "tests/test.h"
#include <stdio.h>

/* A server in memory: the answer to come, and what it was asked last. */
static struct http_send_answer next;
static struct http_send_header next_headers[8];
static u32 asked;
static char if_none_match[64], if_modified_since[64];
static rc_t next_rc;

static rc_t server(void *arg, struct heap *h, const struct http_send_request *r,
                   struct http_send_answer *out, struct diag *why) {
    (void)arg, (void)h;
    asked++;
    if_none_match[0] = if_modified_since[0] = 0;
    for (u32 i = 0; i < r->header_count; i++) {
        if (str_eq(r->headers[i].name, S("If-None-Match")))
            (void)snprintf(if_none_match, 64, "%.*s", STR(r->headers[i].text));
        if (str_eq(r->headers[i].name, S("If-Modified-Since")))
            (void)snprintf(if_modified_since, 64, "%.*s", STR(r->headers[i].text));
    }
    if (next_rc) diag_set(why, "down");
    *out = next;
    return next_rc;
}

static struct http_cache_sender sender = {.next = server};
static struct heap heap;
static struct http_send_answer got;
static struct http_send_request request;
#define NOW (784111777ull) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void begin(size_t bytes_max) {
    http_cache_close(sender.cache);
    heap_close(&heap);
    heap_open(&heap, MIB(8));
    EXPECT_OK(http_cache_open(bytes_max, &sender.cache));
    request = (struct http_send_request){.method = S("GET"),
                                         .url = S("http://a/"),
                                         .key = S("k"),
                                         .cache = true,
                                         .now_ns = NOW * NS_PER_S,
                                         .attempts = 1};
    next_rc = RC_OK;
    asked = 0;
}

/* Headers as "Name: text" with NULL at the end. */
static void will_answer(u32 status, const char *body, const char *const *lines) {
    next = (struct http_send_answer){
        .status = status, .reason = S("R"), .body = str_from_c(body), .headers = next_headers};
    for (; lines && *lines; lines++) {
        str line = str_from_c(*lines);
        size_t colon = str_find_byte(line, ':');
        next_headers[next.header_count++] =
            (struct http_send_header){str_take(line, colon), str_skip(line, colon + 2)};
    }
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static rc_t ask_after(u64 seconds) {
    struct diag why;
    request.now_ns = (NOW + seconds) * NS_PER_S;
    return http_cache_send(&sender, &heap, &request, &got, &why);
}

/* For how many seconds is such an answer served again? 0: it is not, -1: more than a week. */
static s64 fresh_for(u32 status, const char *const *lines) {
    begin(MIB(1));
    will_answer(status, "b", lines);
    EXPECT_OK(ask_after(0));
    for (s64 s = 0; s < 604800; s = s < 20 ? s + 1 : s * 2) {
        u32 before = asked;
        EXPECT_OK(ask_after((u64)s));
        if (asked != before) return s;
    }
    return -1;
}

TEST(freshness_is_what_the_server_said) {
    EXPECT_EQ(fresh_for(200, NULL), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=7")), 7);
    EXPECT_EQ(fresh_for(200, LINES("cache-control: public, MAX-AGE=\"7\"")), 7);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=99999999999999")), -1);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=-7")), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=x")), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: no-store, max-age=7")), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: no-cache, max-age=7")), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=7", "Age: 3")), 4);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=7", "Age: 30")), 0);
    EXPECT_EQ(
        fresh_for(200, LINES("Cache-Control: max-age=9", "Date: Sun, 06 Nov 1994 08:49:33 GMT")),
        5);
    EXPECT_EQ(
        fresh_for(200, LINES("Cache-Control: max-age=9", "Date: Sun, 06 Nov 1994 09:49:37 GMT")),
        9);
    EXPECT_EQ(fresh_for(200, LINES("Expires: Sun, 06 Nov 1994 08:49:42 GMT")), 5);
    EXPECT_EQ(fresh_for(200, LINES("Expires: 0")), 0);
    EXPECT_EQ(
        fresh_for(200, LINES("Expires: Sun, 06 Nov 1994 08:49:42 GMT", "Cache-Control: max-age=2")),
        2);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=7", "Vary: *")), 0);
    EXPECT_EQ(fresh_for(200, LINES("Cache-Control: max-age=7", "Vary: Accept")), 7);
    EXPECT_EQ(fresh_for(404, LINES("Cache-Control: max-age=7")), 7);
    EXPECT_EQ(fresh_for(500, LINES("Cache-Control: max-age=7")), 0);
    EXPECT_EQ(fresh_for(302, LINES("Cache-Control: max-age=7")), 0);
    EXPECT_EQ(fresh_for(206, LINES("Cache-Control: max-age=7")), 0); /* a part of something */
}

TEST(a_policy_may_insist) {
    begin(MIB(1));
    request.force_s = 10;
    will_answer(200, "x", LINES("Cache-Control: no-store"));
    EXPECT_OK(ask_after(0));
    EXPECT_OK(ask_after(9));
    EXPECT_EQ(asked, 1);
    EXPECT_STR(got.body, S("x"));
    EXPECT_OK(ask_after(10));
    EXPECT_EQ(asked, 2);
    request.cache = false; /* who does not ask for it gets none of it */
    EXPECT_OK(ask_after(11));
    EXPECT_EQ(asked, 3);
}

TEST(stale_answers_are_asked_about) {
    struct http_cache_stats s;
    begin(MIB(1));
    will_answer(200, "one",
                LINES("Cache-Control: max-age=5", "ETag: \"a\"", "Content-Length: 3",
                      "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT", "X: old"));
    EXPECT_OK(ask_after(0));
    will_answer(304, "", LINES("Cache-Control: max-age=50", "X: new", "Content-Length: 0"));
    EXPECT_OK(ask_after(6));
    EXPECT_STR(str_from_c(if_none_match), S("\"a\""));
    EXPECT_STR(str_from_c(if_modified_since), S("Sun, 06 Nov 1994 08:00:00 GMT"));
    EXPECT_EQ(got.status, 200);
    EXPECT_STR(got.body, S("one"));
    EXPECT_STR(header(got.headers, got.header_count, "X"), S("new"));
    EXPECT_STR(header(got.headers, got.header_count, "ETag"), S("\"a\""));
    EXPECT_STR(header(got.headers, got.header_count, "Content-Length"), S("3"));
    EXPECT_OK(ask_after(55)); /* fresh again, from then on */
    EXPECT_EQ(asked, 2);
    will_answer(200, "two", LINES("Cache-Control: max-age=5"));
    EXPECT_OK(ask_after(57));
    EXPECT_STR(got.body, S("two"));
    EXPECT_OK(ask_after(58));
    EXPECT_EQ(asked, 3);
    next_rc = RC_IO; /* stale, no validator, and the server is down */
    EXPECT_RC(ask_after(100), RC_IO);
    http_cache_stats_get(sender.cache, &s);
    EXPECT_EQ(s.revalidated, 1);
    EXPECT_EQ(s.hits, 2);
}

TEST(the_cache_has_a_bound) {
    static char body[1000], keys[64][8];
    struct http_cache_stats s;
    begin(KIB(16));
    memset(body, 'b', sizeof body - 1);
    will_answer(200, body, LINES("Cache-Control: max-age=60"));
    for (u32 i = 0; i < 64; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%u", i);
        request.key = str_from_c(keys[i]);
        EXPECT_OK(ask_after(0));
        request.key = S("k0"); /* asked for all the time: it stays */
        EXPECT_OK(ask_after(0));
        http_cache_stats_get(sender.cache, &s);
        EXPECT(s.bytes <= KIB(16));
    }
    EXPECT_EQ(asked, 64);
    EXPECT(s.evicted >= 40 && s.entries >= 10);
    static char large[KIB(5)];
    memset(large, 'l', sizeof large - 1);
    will_answer(200, large, LINES("Cache-Control: max-age=60"));
    request.key = S("large");
    EXPECT_OK(ask_after(0));
    EXPECT_OK(ask_after(0));
    EXPECT_EQ(asked, 66); /* one answer does not push all others out */
    http_cache_clear(sender.cache);
    http_cache_stats_get(sender.cache, &s);
    EXPECT(s.bytes == 0 && s.entries == 0);
}

TEST(dates) {
    static const struct {
        const char *text;
        s64 seconds;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
        {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
        {"Sun Nov  6 08:49:37 1994", -1},
        {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1969 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 CET", -1},
        {"", -1},
        {"0", -1},
        {"Sun, 6x Nov 1994 08:49:37 GMT", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        u64 s;
        bool ok = http_date_read(test_at_page_end(str_from_c(cases[i].text)), &s);
        EXPECT_EQ(ok ? (s64)s : -1, cases[i].seconds);
    }
}
