/* SPDX-License-Identifier: Apache-2.0 */
/* cache_resp_test.c — commands out of bytes: whole, in pieces of every length, and broken. */
#include "app/cache/wire/resp.c"
#include "tests/test.h"

static const struct resp_limits known = {CACHE_ARGS_MAX, CACHE_BULK_MAX},
                                stranger = {CACHE_ARGS_STRANGER_MAX, CACHE_BULK_STRANGER_MAX};
static char why[96];

static void fresh(void) { memory_init(MIB(64)); }

/* The words of the command at the start of `all`, joined by '|'; "?" with `why` when refused. */
static str words(str all, const struct resp_limits *limits, size_t *used) {
    static char text[4096], line[CACHE_INLINE_MAX + 1];
    struct span few[16], *spans;
    struct resp r = {0};
    size_t n = 0;
    const char *base = all.ptr;
    u32 argc;
    resp_begin(&r);
    why[0] = 0;
    rc_t rc = resp_read(&r, all, limits, why);
    if (rc == RC_AGAIN) {
        resp_close(&r);
        return S("...");
    }
    argc = r.argc;
    spans = r.spans;
    if (!rc && r.inline_words) {
        rc = resp_unquote(str_of(base + spans[0].at, spans[0].len), line, few, ARRAY_LEN(few),
                          &argc);
        base = line;
        spans = few;
    }
    for (u32 i = 0; !rc && i < argc; i++) {
        if (i) text[n++] = '|';
        if (spans[i].len) memcpy(text + n, base + spans[i].at, spans[i].len);
        n += spans[i].len;
    }
    if (used) *used = r.at;
    resp_close(&r);
    return rc ? S("?") : str_of(text, n);
}
static str read_as(const char *bytes) {
    return words(test_at_page_end(str_from_c(bytes)), &known, NULL);
}

TEST(arrays_of_bulks) {
    fresh();
    EXPECT_STR(read_as("*1\r\n$4\r\nPING\r\n"), S("PING"));
    EXPECT_STR(read_as("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"), S("SET|k|"));
    EXPECT_STR(read_as("*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n"), S("GET|\r\n\r\n"));
    EXPECT_STR(read_as("*0\r\n"), S(""));
    EXPECT_STR(read_as("*-1\r\n"), S(""));
    EXPECT_STR(read_as("*1\n$4\nPING\r\n"), S("PING")); /* a bare LF ends a line for Redis too */
}

TEST(inline_commands) {
    fresh();
    EXPECT_STR(read_as("PING\r\n"), S("PING"));
    EXPECT_STR(read_as("  SET   k  v  \n"), S("SET|k|v"));
    EXPECT_STR(read_as("\r\n"), S(""));
    EXPECT_STR(read_as("SET \"a b\" 'c d'\r\n"), S("SET|a b|c d"));
    EXPECT_STR(read_as("SET \"\\x41\\n\\r\\t\\b\\a\\q\\\"\" 'it\\'s'\r\n"),
               S("SET|A\n\r\t\b\aq\"|it's"));
    EXPECT_STR(read_as("SET \"\\x4g\"\r\n"), S("SET|x4g"));
    EXPECT_STR(read_as("SET \"\\x4\r\n"), S("?"));
    EXPECT_STR(read_as("SET \"abc\r\n"), S("?"));
    EXPECT_STR(read_as("SET 'abc'd\r\n"), S("?"));
    EXPECT_STR(read_as("a b c d e f g h i j k l m n o p q\r\n"), S("?")); /* more than asked for */
}

TEST(what_is_broken_says_why) {
    static const struct {
        const char *bytes, *why;
    } cases[] = {
        {"*x\r\n", "invalid multibulk length"}, {"*\r\n", "invalid multibulk length"},
        {"*+1\r\n", "invalid multibulk length"}, {"* 1\r\n", "invalid multibulk length"},
        {"*1048577\r\n", "invalid multibulk length"},
        {"*-1048577\r\n", "invalid multibulk length"},
        {"*99999999999999999999\r\n", "invalid multibulk length"},
        {"*1\r\nPING\r\n", "expected '$', got 'P'"}, {"*1\r\n\x01\r\n", "expected '$', got ' '"},
        {"*1\r\n$\r\n", "invalid bulk length"}, {"*1\r\n$-1\r\n", "invalid bulk length"},
        {"*1\r\n$536870913\r\n", "invalid bulk length"},
        {"*1\r\n$18446744073709551616\r\n", "invalid bulk length"},
    };
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_STR(read_as(cases[i].bytes), S("?"));
        if (!strstr(why, cases[i].why))
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].bytes, why);
    }
}

TEST(strangers_get_little) {
    fresh();
    EXPECT_STR(words(S("*10\r\n"), &stranger, NULL), S("..."));
    EXPECT_STR(words(S("*11\r\n"), &stranger, NULL), S("?"));
    EXPECT(strstr(why, "unauthenticated multibulk length") != NULL);
    EXPECT_STR(words(S("*1\r\n$16384\r\n"), &stranger, NULL), S("..."));
    EXPECT_STR(words(S("*1\r\n$16385\r\n"), &stranger, NULL), S("?"));
    EXPECT(strstr(why, "unauthenticated bulk length") != NULL);
    struct resp_limits small = {CACHE_ARGS_MAX, MIB(1)};
    EXPECT_STR(words(S("*1\r\n$1048577\r\n"), &small, NULL), S("?"));
    EXPECT(strstr(why, "invalid bulk length") != NULL);
}

TEST(endless_lines_end) {
    static char endless[CACHE_INLINE_MAX + 16];
    static const char *const heads[] = {"", "*", "*1\r\n$"},
                      *const reasons[] = {"too big inline request", "too big mbulk count string",
                                          "too big bulk count string"};
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        size_t n = strlen(heads[i]);
        memset(endless, '1', sizeof endless);
        memcpy(endless, heads[i], n);
        EXPECT_STR(words(str_of(endless, CACHE_INLINE_MAX - 1), &known, NULL), S("..."));
        EXPECT_STR(words(str_of(endless, sizeof endless), &known, NULL), S("?"));
        EXPECT(strstr(why, reasons[i]) != NULL);
        endless[sizeof endless - 1] = '\n'; /* complete, and yet too long */
        EXPECT_STR(words(str_of(endless, sizeof endless), &known, NULL), S("?"));
    }
}

TEST(pieces_of_any_length_are_the_same_command) {
    static const char bytes[] = "*3\r\n$3\r\nSET\r\n$5\r\nk\r\n\0y\r\n$12\r\n0123456789ab\r\n"
                                "GET k\r\n";
    str all = str_of(bytes, sizeof bytes - 1);
    fresh();
    for (size_t step = 1; step <= all.len; step++) {
        struct resp r = {0};
        size_t have = 0;
        rc_t rc = RC_AGAIN;
        resp_begin(&r);
        while (rc == RC_AGAIN && have < all.len) {
            have = MIN(have + step, all.len);
            rc = resp_read(&r, str_take(all, have), &known, why);
            if (rc == RC_AGAIN && resp_wants(&r)) EXPECT(resp_wants(&r) > have);
        }
        EXPECT_OK(rc);
        EXPECT_EQ(r.argc, 3);
        EXPECT_EQ(r.at, all.len - 7);
        EXPECT_STR(str_of(bytes + r.spans[1].at, r.spans[1].len), str_of("k\r\n\0y", 5));
        resp_close(&r);
    }
}

TEST(many_arguments_and_no_memory_for_them) {
    static char many[64 * 1024];
    size_t n = (size_t)snprintf(many, sizeof many, "*5000\r\n");
    fresh();
    for (u32 i = 0; i < 5000; i++) n += (size_t)snprintf(many + n, sizeof many - n, "$1\r\na\r\n");
    struct resp r = {0};
    resp_begin(&r);
    EXPECT_OK(resp_read(&r, str_of(many, n), &known, why));
    EXPECT_EQ(r.argc, 5000);
    EXPECT_EQ(r.at, n);
    resp_close(&r);
    struct memory_use use;
    memory_use_get(MEMORY_CONNECTIONS, &use);
    EXPECT_EQ(use.used, 0);
    for (u64 nth = 1;; nth++) {
        resp_begin(&r);
        (void)test_malloc_fail(nth, false);
        rc_t rc = resp_read(&r, str_of(many, n), &known, why);
        u64 failed = test_malloc_fail(0, false);
        resp_close(&r);
        if (!failed) break;
        EXPECT_RC(rc, RC_NO_MEMORY);
        EXPECT(strstr(why, "no memory") != NULL);
    }
    memory_use_get(MEMORY_CONNECTIONS, &use);
    EXPECT_EQ(use.used, 0);
}
