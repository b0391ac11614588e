/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_answer_parse_test.c — answers: a table of good and bad ones, whole, byte by byte, cut
 * and before an unmapped page; limits; the public cases of llhttp. */
#include "net/http_answer_parse.c"
#include "tests/test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct http_field fields[HTTP_HEADER_COUNT_MAX];

/* What becomes of the bytes: the status once the answer is complete, 0 while more is wanted, -1
 * when it is refused. `step`: how they come; `body` gets the body's bytes; `ended`: then the end.
 */
static int verdict_of(str bytes, size_t step, bool to_head, bool ended, char *body, size_t *n) {
    struct http_refusal no = {0};
    struct http_answer_head h;
    struct http_answer_body b;
    size_t here = MIN(step, bytes.len), at, used, data;
    *n = 0;
    rc_t rc;
    while ((rc = http_answer_parse(str_take(bytes, here), &h, fields, &no)) == RC_AGAIN) {
        if (here == bytes.len) return 0;
        here = MIN(here + step, bytes.len);
    }
    if (rc) {
        EXPECT(no.why && no.status >= 400);
        return -1;
    }
    at = h.length;
    http_answer_body_open(&b, &h, to_head);
    for (;;) {
        str view = str_skip(str_take(bytes, here), at);
        rc = http_answer_body_next(&b, view, ended && here == bytes.len, &used, &data, &no);
        EXPECT(used <= view.len && data <= used);
        if (data && body) memcpy(body + *n, view.ptr + used - data, data);
        *n += data;
        at += used;
        if (rc == RC_OK) return h.status;
        if (rc != RC_AGAIN) return -1;
        if (used) continue;
        if (here == bytes.len) return 0;
        here = MIN(here + step, bytes.len);
    }
}
static int verdict(str bytes, size_t step, bool to_head, bool ended) {
    size_t n;
    return verdict_of(bytes, step, to_head, ended, NULL, &n);
}

#define OK11 "HTTP/1.1 200 OK\r\n"
static const struct answer_case {
    const char *rule;
    str bytes;
    int open, ended; /* the verdict while the connection is open, and once it has ended */
    const char *body;
} cases[] = {
    {"9112 4: counted", S(OK11 "Content-Length: 5\r\n\r\nhello"), 200, 200, "hello"},
    {"9112 4: no reason", S("HTTP/1.1 204\r\n\r\n"), 204, 204, ""},
    {"9112 4: an empty reason", S("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"), 404, 404, ""},
    {"9112 4: obs-text in a reason", S("HTTP/1.1 500 \xC3\xA9\r\nContent-Length: 0\r\n\r\n"), 500,
     500, ""},
    {"9112 6.3: to the end", S(OK11 "\r\nhello"), 0, 200, "hello"},
    {"9112 6.3: to the end, HTTP/1.0", S("HTTP/1.0 200 OK\r\n\r\nhello"), 0, 200, "hello"},
    {"9112 6.3: cut", S(OK11 "Content-Length: 6\r\n\r\nhello"), 0, -1, "hello"},
    {"9112 6.3: 304 with a length", S("HTTP/1.1 304 X\r\nContent-Length: 6\r\n\r\n"), 304, 304, ""},
    {"9112 6.3: 204 with a length", S("HTTP/1.1 204 X\r\nContent-Length: 6\r\n\r\n"), 204, 204, ""},
    {"9112 7.1: chunks",
     S(OK11 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n"), 200, 200,
     "abcde"},
    {"9112 7.1.2: trailers",
     S(OK11 "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"), 200, 200, "a"},
    {"9112 7.1: cut chunks", S(OK11 "Transfer-Encoding: chunked\r\n\r\n3\r\nab"), 0, -1, "ab"},
    {"9112 7.1: no last chunk", S(OK11 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), 0, -1, "a"},
    {"9110 8.6: the same length twice", S(OK11 "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
     200, 200, "a"},
    {"9110 8.6: two lengths", S(OK11 "Content-Length: 1\r\nContent-Length: 2\r\n\r\na"), -1, -1,
     ""},
    {"9110 8.6: a list of lengths", S(OK11 "Content-Length: 1, 1\r\n\r\na"), -1, -1, ""},
    {"9110 8.6: a sign", S(OK11 "Content-Length: +1\r\n\r\na"), -1, -1, ""},
    {"9110 8.6: too large", S(OK11 "Content-Length: 9223372036854775808\r\n\r\n"), -1, -1, ""},
    {"9112 6.1: both", S(OK11 "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     -1, -1, ""},
    {"9112 6.1: HTTP/1.0 chunks",
     S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), -1, -1, ""},
    {"9112 6.1: gzip, chunked", S(OK11 "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), -1, -1,
     ""},
    {"9112 6.1: xchunked", S(OK11 "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), -1, -1, ""},
    {"9112 6.1: twice",
     S(OK11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), -1, -1,
     ""},
    {"9112 7.1: size", S(OK11 "Transfer-Encoding: chunked\r\n\r\nx\r\n"), -1, -1, ""},
    {"9112 7.1: a longer chunk", S(OK11 "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), -1, -1,
     "a"},
    {"9110 6.5.1: a trailer that frames",
     S(OK11 "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n"), -1, -1, ""},
    {"9112 4: no version", S("200 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: HTTP/2", S("HTTP/2.0 200 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: lower case", S("http/1.1 200 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: two digits", S("HTTP/1.1 20 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: four digits", S("HTTP/1.1 2000 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: below 100", S("HTTP/1.1 099 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: two blanks", S("HTTP/1.1  200 OK\r\n\r\n"), -1, -1, ""},
    {"9112 4: NUL in a reason", S("HTTP/1.1 200 O\0K\r\n\r\n"), -1, -1, ""},
    {"9112 2.2: bare LF", S("HTTP/1.1 200 OK\n\n"), -1, -1, ""},
    {"9112 2.2: bare LF after a field", S(OK11 "A: b\n\r\n"), -1, -1, ""},
    {"9112 2.2: bare CR", S("HTTP/1.1 200 OK\rX: y\r\n\r\n"), -1, -1, ""},
    {"9112 5.1: blank before the colon", S(OK11 "A : b\r\n\r\n"), -1, -1, ""},
    {"9112 5.2: folded", S(OK11 "A: b\r\n c\r\n\r\n"), -1, -1, ""},
    {"9110 5.5: NUL in a value", S(OK11 "A: \0\r\n\r\n"), -1, -1, ""},
    {"9110 5.1: no name", S(OK11 ": b\r\n\r\n"), -1, -1, ""},
    {"9112 2.1: an early line", S("\r\nHTTP/1.1 200 OK\r\n\r\n"), -1, -1, ""},
};

TEST(every_answer_has_its_verdict) {
    char body[256];
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct answer_case *c = &cases[i];
        str bytes = test_at_page_end(c->bytes);
        for (size_t step = 1; step < 400; step = step < 4 ? step + 1 : step * 4) {
            int open = verdict_of(bytes, step, false, false, body, &n);
            if (open != c->open)
                test_fail(__FILE__, __LINE__, "%s: %d, not %d", c->rule, open, c->open);
            int ended = verdict_of(bytes, step, false, true, body, &n);
            if (ended != c->ended)
                test_fail(__FILE__, __LINE__, "%s ended: %d, not %d", c->rule, ended, c->ended);
            if (!str_eq(str_of(body, n), str_from_c(c->body)))
                test_fail(__FILE__, __LINE__, "%s: body \"%.*s\"", c->rule, (int)n, body);
        }
    }
}

TEST(no_cut_makes_a_good_one_wrong) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t cut = 0; cut < cases[i].bytes.len; cut++) {
            int got = verdict(str_take(cases[i].bytes, cut), SIZE_MAX / 2, false, false);
            if (cases[i].open >= 0 && got < 0)
                test_fail(__FILE__, __LINE__, "%s cut at %zu", cases[i].rule, cut);
        }
}

TEST(an_answer_to_head_has_no_body) {
    EXPECT_EQ(verdict(S(OK11 "Content-Length: 50\r\n\r\n"), 7, true, false), 200);
    EXPECT_EQ(verdict(S(OK11 "Transfer-Encoding: chunked\r\n\r\n"), 7, true, false), 200);
    EXPECT_EQ(verdict(S(OK11 "\r\n"), 7, true, false), 200);
}

TEST(what_is_said_about_the_connection) {
    struct http_answer_head h;
    struct http_refusal no;
    EXPECT_OK(http_answer_parse(
        S("HTTP/1.1 201 So be it\r\nconnection: x, Close ,\r\nKeep-Alive: max=3, timeout=12\r\n"
          "X_Y:  a b \r\n\r\nrest"),
        &h, fields, &no));
    EXPECT(h.close && !h.keep_alive && h.version_minor == 1);
    EXPECT_EQ(h.keep_alive_s, 12);
    EXPECT_STR(h.reason, S("So be it"));
    EXPECT_EQ(h.field_count, 3);
    EXPECT_STR(fields[2].name, S("X_Y")); /* no one reads it as X-Y here */
    EXPECT_STR(fields[2].value, S("a b"));
    EXPECT_OK(http_answer_parse(S("HTTP/1.0 200\r\nConnection: keep-alive\r\n"
                                  "Keep-Alive: timeout=99999999999999999999\r\n\r\n"),
                                &h, fields, &no));
    EXPECT(h.keep_alive && !h.close && !h.keep_alive_s && h.version_minor == 0);
}

TEST(limits_hold) {
    static char text[1 << 16];
    int n = sprintf(text, OK11);
    memset(text + n, 'a', HTTP_LINE_MAX + 2);
    EXPECT_EQ(verdict(str_of(text, (size_t)n + HTTP_LINE_MAX + 2), SIZE_MAX / 2, false, false), -1);
    n = sprintf(text, "HTTP/1.1 200 ");
    memset(text + n, 'a', HTTP_LINE_MAX + 2);
    EXPECT_EQ(verdict(str_of(text, (size_t)n + HTTP_LINE_MAX + 2), SIZE_MAX / 2, false, false), -1);
    n = sprintf(text, OK11);
    for (u32 i = 0; i <= HTTP_HEADER_COUNT_MAX; i++) n += sprintf(text + n, "A: b\r\n");
    EXPECT_EQ(verdict(str_of(text, (size_t)n), SIZE_MAX / 2, false, false), -1);
    n = sprintf(text, OK11);
    while (n < HTTP_HEAD_MAX) {
        n += sprintf(text + n, "A: ");
        memset(text + n, 'b', HTTP_LINE_MAX / 2);
        n += HTTP_LINE_MAX / 2;
        n += sprintf(text + n, "\r\n");
    }
    EXPECT_EQ(verdict(str_of(text, (size_t)n), SIZE_MAX / 2, false, false), -1);
}

TEST(ten_thousand_malformed_answers) {
    static const char nasty[] = "\r\n\0 \t:;,%0aA\x7F\x80\xFF\x0B";
    u32 good = 0, bad = 0;
    for (u32 round = 0; round < 10000; round++) {
        char text[512];
        const struct answer_case *c = &cases[test_random() % ARRAY_LEN(cases)];
        size_t n = c->bytes.len;
        memcpy(text, c->bytes.ptr, n);
        for (u64 k = test_random() % 4; k < 4; k++)
            text[test_random() % n] = nasty[test_random() % (sizeof nasty - 1)];
        int whole = verdict(str_of(text, n), SIZE_MAX / 2, false, true);
        EXPECT_EQ(verdict(str_of(text, n), 1 + test_random() % 9, false, true), whole);
        good += whole > 0, bad += whole < 0;
    }
    EXPECT(good > 100 && bad > 1000);
}

/* ---- llhttp's cases, as Markdown ------------------------------------------------------------ */

/* Where we refuse on purpose what it takes: bytes of the answer. */
static const struct {
    const char *bytes, *why;
} stricter[] = {
    {"RTSP/", "HTTP only"},
    {"ICE/", "HTTP only"},
    {"HTTP/0.9", "only HTTP/1.x"},
    {"HTTP/2.0", "only HTTP/1.x"},
    {"Transfer-Encoding: deflate", "no coding but chunked"},
    {"chunked, deflate", "no coding but chunked"},
    {"chunkedchunked", "no coding but chunked"},
    {"Transfer-Encoding: identity", "no coding but chunked"},
    {" Line folding", "no folded lines"},
    {"; ilovew3", "no blank in a chunk extension"},
    {"\r\nHTTP/1.1", "no line before the answer"},
    {"200 OK\n", "no bare line feeds"},
    {"\r\n\t", "no folded lines"},
    {"\r\n ", "no folded lines"},
    {"Transfer-Encoding: chunked\r\nTransfer-Encoding", "one encoding"},
    {"Content-Length: 2\r\nTransfer-Encoding: chunked", "one framing"},
    {"Transfer-Encoding: chunked\r\nContent-Length", "one framing"},
};
static u32 agreed, refused_more;

static void judge(const char *file, const char *title, str bytes, bool error, bool complete) {
    /* It is told of the connection's end only in some cases; ours may then wait or be complete. */
    int got = verdict(bytes, SIZE_MAX / 2, false, true);
    int open = verdict(bytes, SIZE_MAX / 2, false, false);
    if ((open >= 0) == !error) {
        agreed++;
        return;
    }
    if (open >= 0) {
        /* Its error may lie in what follows: bytes after a complete answer, which end ours. */
        if (complete || open == 0 || got > 0)
            agreed++;
        else
            test_fail(__FILE__, __LINE__, "llhttp %s: %s: taken", file, title);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(stricter); i++)
        if (str_find(bytes, str_from_c(stricter[i].bytes)) < bytes.len) {
            refused_more++;
            return;
        }
    test_fail(__FILE__, __LINE__, "llhttp %s: %s: refused", file, title);
}

/* The text of a block: `\r`, `\n`, `\t` and `\x..` are escapes; a line's end is CR LF unless a
 * backslash stands before it. The last line's end is the block's. */
static size_t unescape(str block, char *to) {
    size_t n = 0;
    for (size_t i = 0; i < block.len; i++) {
        char c = block.ptr[i], next = i + 1 < block.len ? block.ptr[i + 1] : 0;
        if (c == '\n') {
            to[n++] = '\r', to[n++] = '\n';
        } else if (c == '\\' && next == '\n') {
            i++;
        } else if (c == '\\' && strchr("rntf", next) && next) {
            to[n++] = next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f';
            i++;
        } else if (c == '\\' && next == 'x' && i + 3 < block.len) {
            char hex[3] = {block.ptr[i + 2], block.ptr[i + 3], 0};
            to[n++] = (char)strtol(hex, NULL, 16);
            i += 3;
        } else {
            to[n++] = c;
        }
    }
    return n;
}

static void judge_file(const char *path, const char *name) {
    static char text[1 << 18], bytes[1 << 17];
    FILE *f = fopen(path, "r");
    REQUIRE(f);
    str rest = str_of(text, fread(text, 1, sizeof text, f));
    fclose(f);
    char title[128] = "";
    while (rest.len) {
        size_t meta = str_find(rest, S("<!-- meta="));
        size_t head = str_find(rest, S("\n## "));
        if (head < meta) (void)snprintf(title, sizeof title, "%.60s", rest.ptr + head + 4);
        rest = str_skip(rest, meta);
        str block = str_skip(rest, str_find(rest, S("```http\n")) + 8);
        size_t end = str_find(block, S("\n```"));
        str log = str_skip(block, end);
        log = str_skip(log, str_find(log, S("```log\n")) + 7);
        size_t log_end = str_find(log, S("\n```"));
        str what = str_take(rest, str_find_byte(rest, '\n')), said = str_take(log, log_end);
        bool plain = str_find(what, S("lenient")) == what.len &&
                     str_find(what, S("pause")) == what.len &&
                     str_find(what, S("skipBody")) == what.len;
        if (log_end < log.len && plain && end < sizeof bytes / 2)
            judge(name, title, str_of(bytes, unescape(str_take(block, end), bytes)),
                  str_find(said, S("error code")) < said.len &&
                      str_find(said, S("Pause on")) == said.len,
                  str_find(said, S("message complete")) < said.len);
        rest = str_skip(log, log_end);
    }
}

TEST(the_public_cases) {
    const char *root = getenv("CONFORMANCE_DIR");
    char path[1024];
    if (!root) root = "../shared/conformance";
    (void)snprintf(path, sizeof path, "%s/llhttp/response", root);
    DIR *d = opendir(path);
    if (!d) {
        printf("skipped: the_public_cases: there is no %s; set CONFORMANCE_DIR\n", path);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "%s/llhttp/response/%s", root, e->d_name);
        judge_file(path, e->d_name);
    }
    closedir(d);
    printf("llhttp: %u answers as it judges, %u refused on purpose\n", agreed, refused_more);
    EXPECT(agreed >= 40);
}
