/* SPDX-License-Identifier: Apache-2.0 */
/* net_http_parse_test.c — heads and chunks: the table of cases whole, cut at every byte and before
 * an unmapped page; limits; a thousand mutations of each good case; the public cases of llhttp. */
#include "net/http_parse.c"
#include "net/url.h"
#include "tests/test.h"
#include "tests/unit/http_cases.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct http_field fields[HTTP_HEADER_COUNT_MAX];

static rc_t body_verdict(const struct http_head *h, str rest, size_t step,
                         struct http_refusal *no) {
    struct http_chunks c = {0};
    if (h->has_length) return rest.len >= h->content_length ? RC_OK : RC_AGAIN;
    if (!h->chunked) return RC_OK;
    size_t here = step, at = 0; /* bytes that have come; bytes consumed */
    for (;;) {
        size_t used, data;
        str view = str_take(str_skip(rest, at), MIN(here, rest.len) - at);
        rc_t rc = http_chunks_next(&c, view, &used, &data, no);
        EXPECT(used <= view.len && data <= used);
        at += used;
        if (rc != RC_AGAIN) return rc;
        if (used) continue;
        if (here >= rest.len) return RC_AGAIN;
        here += step;
    }
}

/* What the server makes of the bytes, as http_cases.h writes it. `step`: how they come. */
static int verdict(str bytes, size_t step) {
    struct http_refusal no = {0};
    struct http_head h;
    char plain[16384];
    str origin, path;
    if (str_eq(bytes, S("\r"))) return 0; /* the server takes one empty line off */
    if (str_starts(bytes, S("\r\n"))) bytes = str_skip(bytes, 2);
    rc_t rc = http_head_parse(bytes, &h, fields, &no);
    if (rc == RC_AGAIN) return 0;
    if (!rc) rc = http_target_check(&h, fields, &origin, &no);
    if (rc) return no.status;
    if (!str_eq(origin, S("*")) &&
        url_path_plain(str_take(origin, str_find_byte(origin, '?')), plain, &path))
        return 400;
    rc = body_verdict(&h, str_skip(bytes, h.length), step, &no);
    return rc == RC_OK ? 200 : rc == RC_AGAIN ? 0 : no.status;
}

TEST(every_case_has_its_verdict) {
    EXPECT(ARRAY_LEN(http_cases) >= 200);
    for (size_t i = 0; i < ARRAY_LEN(http_cases); i++) {
        const struct http_case *c = &http_cases[i];
        int got = verdict(c->bytes, SIZE_MAX / 2);
        if (got != c->status)
            test_fail(__FILE__, __LINE__, "%s (%s): %d, not %d", c->name, c->rule, got, c->status);
        int bytewise = verdict(c->bytes, 1);
        if (bytewise != got)
            test_fail(__FILE__, __LINE__, "%s: %d when it comes byte by byte", c->name, bytewise);
    }
}

/* Cut anywhere, a good request is incomplete, never wrong; a bad one is never good. */
TEST(no_cut_changes_a_verdict) {
    for (size_t i = 0; i < ARRAY_LEN(http_cases); i++) {
        const struct http_case *c = &http_cases[i];
        bool refused = false;
        for (size_t n = 0; n < c->bytes.len; n++) {
            int got = verdict(str_take(c->bytes, n), SIZE_MAX / 2);
            if (c->status == 200 && got != 0 && !(got == 200 && c->bytes.ptr[0] == 'G'))
                test_fail(__FILE__, __LINE__, "%s cut at %zu: %d", c->name, n, got);
            if (refused && got < 400)
                test_fail(__FILE__, __LINE__, "%s: refused, then %d at %zu", c->name, got, n);
            refused |= got >= 400;
        }
    }
}

TEST(nothing_is_read_past_the_end) {
    for (size_t i = 0; i < ARRAY_LEN(http_cases); i += 4) {
        str s = test_at_page_end(http_cases[i].bytes);
        EXPECT_EQ(verdict(s, SIZE_MAX / 2), http_cases[i].status);
    }
}

TEST(the_scan_says_when_to_parse) {
    for (size_t i = 0; i < ARRAY_LEN(http_cases); i++) {
        struct http_refusal no;
        struct http_head h;
        str all = http_cases[i].bytes;
        struct http_scan scan = {0};
        if (str_starts(all, S("\r\n"))) continue; /* taken off before */
        for (size_t n = 1; n <= all.len; n++) {
            str part = str_take(all, n);
            bool now = http_scan_complete(&scan, part);
            rc_t rc = http_head_parse(part, &h, fields, &no);
            if (rc == RC_OK && !now)
                test_fail(__FILE__, __LINE__, "%s: head missed at %zu", http_cases[i].name, n);
            if (rc == RC_OK) break;
        }
    }
}

static str request_with(char *to, size_t target_bytes, size_t field_bytes, int field_count) {
    char *p = to;
    p += sprintf(p, "GET /");
    memset(p, 'a', target_bytes), p += target_bytes;
    p += sprintf(p, " HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < field_count; i++) {
        p += sprintf(p, "X-%d: ", i);
        memset(p, 'b', field_bytes), p += field_bytes;
        p += sprintf(p, "\r\n");
    }
    p += sprintf(p, "\r\n");
    return str_of(to, (size_t)(p - to));
}

TEST(limits_have_their_own_answers) {
    static char text[1 << 20];
    EXPECT_EQ(verdict(request_with(text, 100, 10, 3), 1), 200);
    EXPECT_EQ(verdict(request_with(text, HTTP_LINE_MAX + 1, 1, 1), 1), 414);
    EXPECT_EQ(verdict(request_with(text, 10, HTTP_LINE_MAX + 1, 1), 1), 431);
    EXPECT_EQ(verdict(request_with(text, 10, 1, HTTP_HEADER_COUNT_MAX - 1), 1),
              HTTP_HEAD_MAX < 2000 ? 200 : 200);
    EXPECT_EQ(verdict(request_with(text, 10, 1, HTTP_HEADER_COUNT_MAX), 1), 431);
    EXPECT_EQ(verdict(request_with(text, 10, HTTP_LINE_MAX - 20, 3), 1),
              431); /* the head as a whole */
    str endless = request_with(text, 10, HTTP_LINE_MAX - 20, 3);
    EXPECT_EQ(verdict(str_take(endless, HTTP_HEAD_MAX), 1), 431);
    EXPECT_EQ(verdict(str_take(request_with(text, HTTP_LINE_MAX + 9, 1, 1), HTTP_LINE_MAX + 7), 1),
              414);
}

TEST(a_chunk_line_has_a_limit) {
    static char text[4096];
    struct http_chunks c = {0};
    struct http_refusal no;
    size_t used, data;
    int n = sprintf(text, "3;");
    memset(text + n, 'x', HTTP_CHUNK_LINE_MAX);
    EXPECT_RC(
        http_chunks_next(&c, str_of(text, (size_t)n + HTTP_CHUNK_LINE_MAX), &used, &data, &no),
        RC_INVALID);
    EXPECT_EQ(no.status, 400);
    c = (struct http_chunks){0};
    memset(text, '0', HTTP_CHUNK_LINE_MAX + 1);
    EXPECT_RC(http_chunks_next(&c, str_of(text, HTTP_CHUNK_LINE_MAX + 1), &used, &data, &no),
              RC_INVALID);
}

TEST(endless_trailers_end) {
    struct http_chunks c = {0};
    struct http_refusal no = {0};
    size_t used, data;
    rc_t rc = http_chunks_next(&c, S("0\r\n"), &used, &data, &no);
    EXPECT_RC(rc, RC_AGAIN);
    u32 lines = 0;
    while (rc == RC_AGAIN && lines++ < 100000)
        rc = http_chunks_next(&c, S("X-A: b\r\n"), &used, &data, &no);
    EXPECT_RC(rc, RC_INVALID);
    EXPECT_EQ(no.status, 431);
    EXPECT(lines <= HTTP_HEADER_COUNT_MAX + 3);
}

TEST(fields_are_views_and_trimmed) {
    struct http_refusal no;
    struct http_head h;
    str text =
        S("GET /x?y=1 HTTP/1.1\r\nHost: A:80\r\nAccept:  a, b \r\nBad_One: 1\r\nE:\r\n\r\nrest");
    EXPECT_OK(http_head_parse(text, &h, fields, &no));
    EXPECT_EQ(h.field_count, 3);
    EXPECT_STR(h.method, S("GET"));
    EXPECT_STR(h.target, S("/x?y=1"));
    EXPECT_STR(h.host, S("A:80"));
    EXPECT_STR(fields[1].name, S("Accept"));
    EXPECT_STR(fields[1].value, S("a, b"));
    EXPECT_STR(fields[2].value, S(""));
    EXPECT_EQ(h.length, text.len - 4);
    EXPECT_EQ(h.version_minor, 1);
}

/* Random damage: never a crash, never a read outside, and no body that is both counted and chunked.
 */
TEST(the_host_of_the_target_is_the_only_one) {
    struct http_refusal no = {0};
    struct http_head h;
    str origin;
    str bytes = S("GET http://b:81/x?y HTTP/1.1\r\nA: a\r\nHost: a\r\n\r\n");
    REQUIRE(http_head_parse(bytes, &h, fields, &no) == RC_OK);
    REQUIRE(http_target_check(&h, fields, &origin, &no) == RC_OK);
    EXPECT(str_eq(origin, S("/x?y")) && str_eq(h.host, S("b:81")));
    EXPECT(str_eq(fields[0].value, S("a")) && str_eq(fields[1].value, S("b:81")));
}

TEST(ten_thousand_malformed_requests) {
    u32 served = 0, refused = 0;
    for (u32 round = 0; round < 10000; round++) {
        char text[1024];
        const struct http_case *c = &http_cases[test_random() % ARRAY_LEN(http_cases)];
        size_t n = MIN(c->bytes.len, sizeof text - 8);
        memcpy(text, c->bytes.ptr, n);
        for (u64 k = test_random() % 4; k < 4 && n; k++) {
            size_t at = test_random() % n;
            u64 what = test_random() % 4;
            static const char nasty[] = "\r\n\0 \t:;,%/\\.0aA\x7F\x80\xFF\x0B";
            char b = what & 1 ? nasty[test_random() % (sizeof nasty - 1)] : (char)test_random();
            if (what < 2)
                text[at] = b;
            else if (what == 2)
                memmove(text + at, text + at + 1, --n - at);
            else if (n < sizeof text - 1)
                memmove(text + at + 1, text + at, n++ - at), text[at] = b;
        }
        int got = verdict(str_of(text, n), 1 + test_random() % 7);
        EXPECT(got == verdict(str_of(text, n), SIZE_MAX / 2));
        served += got == 200;
        refused += got >= 400;
    }
    EXPECT(served > 100); /* the damage is small enough to leave some good ones */
    EXPECT(refused > 1000);
}

/* ---- llhttp's cases -------------------------------------------------------------------------- */

/* The files are Markdown: a title, `<!-- meta={...} -->`, the request, and the events or the error
 * that llhttp gives. We take a request as accepted when its log has no error. */
struct public_case {
    char title[256];
    char meta[256];
    str request;
    bool log_error;
    bool log_complete;
};
static u32 agreed, stricter, looser, unlike;

/* llhttp knows a list of methods; to us any token is one, and its route says 405. */
static const char *const methods_of_ours[] = {"MKCOLA ", "ANNOUNCE "};

/* Where we refuse what llhttp takes, on purpose. A word of the title, or bytes of the request. */
static const struct {
    const char *bytes, *why;
} stricter_on_purpose[] = {
    {"HTTP/0.9", "only HTTP/1.x"},
    {"HTTP/2.0", "only HTTP/1.x"},
    {"CONNECT", "not a proxy"},
    {"Transfer-Encoding: deflate", "no coding but chunked"},
    {"Transfer-Encoding: identity", "no coding but chunked"},
    {"Transfer-Encoding: chunked, deflate", "chunked must be alone"},
    {"Transfer-Encoding: pigeons", "no coding but chunked"},
    {"; ilovew3", "no blank in a chunk extension"},
    {"Transfer-Encoding:  chunked", "chunked must be alone"},
    {"gzip", "no coding but chunked"},
    {" Line folding", "no folded lines"},
    {"HTTP/1.1\n", "no bare line feeds"},
    {"\n\n", "no bare line feeds"},
    {"δ", "bytes over 127 must be escaped"},
    {"#", "no fragments in targets"},
    {"RTSP/1.0", "HTTP only"},
    {"ICE/1.0", "HTTP only"},
    {"\xC2", "bytes over 127 must be escaped"},
    {"Expect: ", "only 100-continue is met"},
    {"M-SEARCH *", "the target * is for OPTIONS"},
    {"Content-Length: 00", "no leading zeros in a length"},
    {"GET http://hello.com?", "a query needs a path"},
    {"GET http://", "the authority must be the Host's"},
    {"GET a:b@toto", "a target is a path or an http URL"},
    {"GET toto:toto", "a target is a path or an http URL"},
    {"GET /\r\n", "only HTTP/1.x"},
};

static bool without_host(str s) {
    return str_find(s, S("Host:")) == s.len && str_find(s, S("HTTP/1.1")) < s.len;
}

/* llhttp does not ask for a Host; we give the request one so that its own subject is tested. */
static str with_host(str s, char *to) {
    size_t line = str_find(s, S("\r\n"));
    if (line == s.len) return s;
    memcpy(to, s.ptr, line);
    int n = sprintf(to + line, "\r\nHost: a");
    memcpy(to + line + n, s.ptr + line, s.len - line);
    return str_of(to, s.len + (size_t)n);
}

static void judge(const struct public_case *c, const char *file) {
    static char text[1 << 16];
    if (c->request.len > sizeof text - 64) return;
    if (strstr(c->meta, "lenient") || strstr(c->meta, "\"pause\"") || strstr(c->meta, "pause"))
        return;
    str r = c->request;
    while (str_starts(r, S("\r\n"))) r = str_skip(r, 2);
    str request = without_host(r) ? with_host(r, text) : r;
    int got = verdict(request, SIZE_MAX / 2);
    bool taken = got < 400;
    if (taken == !c->log_error) {
        agreed++;
        return;
    }
    if (!taken) {
        for (size_t i = 0; i < ARRAY_LEN(stricter_on_purpose); i++)
            if (str_find(c->request, str_from_c(stricter_on_purpose[i].bytes)) < c->request.len) {
                stricter++;
                printf("llhttp %s: %s: refused with %d on purpose: %s\n", file, c->title, got,
                       stricter_on_purpose[i].why);
                return;
            }
        printf("llhttp %s: %s: refused with %d: we are stricter\n", file, c->title, got);
        unlike++;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(methods_of_ours); i++)
        if (str_starts(c->request, str_from_c(methods_of_ours[i]))) {
            printf("llhttp %s: %s: any token is a method here; its route answers 405\n", file,
                   c->title);
            agreed++;
            return;
        }
    /* Its error may lie in what follows this request, which a later parse judges. */
    if (c->log_complete)
        agreed++;
    else if (got == 0)
        agreed++; /* we wait for the rest and then judge, or time out */
    else {
        looser++;
        test_fail(__FILE__, __LINE__, "llhttp %s: %s: served what llhttp refuses", file, c->title);
    }
}

/* `\r\n` is how lines end in the files unless an escape says otherwise. */
static size_t unescape_block(const char *from, size_t n, char *to) {
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (from[i] == '\n') {
            bool joined = out && to[out - 1] == '\\'; /* a backslash at the end joins lines */
            if (joined) {
                out--;
                continue;
            }
            bool explicit_end =
                i >= 2 && from[i - 2] == '\\' && (from[i - 1] == 'n' || from[i - 1] == 'r');
            if (explicit_end) continue;
            to[out++] = '\r', to[out++] = '\n';
        } else if (from[i] == '\\' && i + 1 < n && strchr("rntfx", from[i + 1]) && from[i + 1]) {
            i++;
            if (from[i] == 'x' && i + 2 < n) {
                char digits[3] = {from[i + 1], from[i + 2], 0};
                to[out++] = (char)strtol(digits, NULL, 16);
                i += 2;
            } else {
                to[out++] = from[i] == 'r'   ? '\r'
                            : from[i] == 'n' ? '\n'
                            : from[i] == 't' ? '\t'
                                             : '\f';
            }
        } else {
            to[out++] = from[i];
        }
    }
    if (out >= 2 && to[out - 2] == '\r') out -= 2; /* the fence's own line end */
    return out;
}

static void run_file(const char *path, const char *name) {
    static char text[1 << 18], request[1 << 17];
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    struct public_case c = {0};
    for (char *line = text; line && *line;) {
        char *next = strchr(line, '\n');
        if (strncmp(line, "##", 2) == 0 && next)
            snprintf(c.title, sizeof c.title, "%.*s", (int)(next - line), line);
        if (strncmp(line, "<!-- meta", 9) == 0 && next)
            snprintf(c.meta, sizeof c.meta, "%.*s", (int)(next - line), line);
        if (strncmp(line, "```", 3) == 0 && next) {
            bool is_http = strncmp(line, "```http", 7) == 0,
                 is_log = strncmp(line, "```log", 6) == 0;
            char *end = strstr(next, "\n```");
            if (!end) return;
            if (is_http)
                c.request =
                    str_of(request, unescape_block(next + 1, (size_t)(end - next), request));
            if (is_log && c.request.len) {
                str log = str_of(next + 1, (size_t)(end - next));
                c.log_error = str_find(log, S("error code=")) < log.len;
                c.log_complete = str_find(log, S("message complete")) < log.len;
                judge(&c, name);
                c.request.len = 0;
            }
            next = strchr(end + 1, '\n');
        }
        line = next ? next + 1 : NULL;
    }
}

TEST(llhttp_cases) {
    char dir[512], path[1024];
    const char *base = getenv("CONFORMANCE_DIR");
    snprintf(dir, sizeof dir, "%s/llhttp/request", base ? base : "../shared/conformance");
    DIR *d = opendir(dir);
    if (!d) {
        printf("skipped: llhttp_cases: there is no %s; set CONFORMANCE_DIR\n", dir);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".md") != 0) continue;
        if (strncmp(e->d_name, "lenient", 7) == 0 || strcmp(e->d_name, "pausing.md") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        run_file(path, e->d_name);
    }
    closedir(d);
    printf("llhttp: %u agree, %u refused on purpose, %u looser, %u unlike\n", agreed, stricter,
           looser, unlike);
    EXPECT(agreed > 50);
    EXPECT_EQ(looser, 0);
    EXPECT_EQ(unlike, 0);
}
