/* SPDX-License-Identifier: Apache-2.0 */
/* http_parse.c — the strict reading of request heads and chunked bodies.
 *
 *   GET SP /path?query SP HTTP/1.1 CR LF
 *   name ":" OWS value OWS CR LF          0..100 of them, 8 KiB each, 16 KiB together
 *   CR LF
 *
 * Two readers of one byte stream must agree on where each message ends, or the second request of
 * one is the body of the other's first (request smuggling). We are one of the readers and never
 * know the other, so whatever two readers could take differently is refused: bare CR or LF, folded
 * lines, blanks around names, two lengths, a length and an encoding, an encoding that is not just
 * `chunked`, a length that is not plain digits, an encoding in HTTP/1.0, two Hosts. A target that
 * names its host is the one place with two answers and a rule: it outranks Host, whose value is
 * replaced, so that nobody further in reads the other one. RFC sections stand at each.
 *
 * Always true: no byte past `bytes` is read, no byte is read twice in one call but the few of the
 * fields that frame the message; results are views into `bytes`. */
#include "net/http_parse.h"
#include "kernel/base/limits.h"
#include <emmintrin.h>

enum { TOKEN = 1, TARGET = 2, VALUE = 4, HEX = 8, HOST = 16, NAME = 32 }; /* NAME: TOKEN less `_` */

/* clang-format off */
#define T (TOKEN | TARGET | VALUE | NAME)
#define D (TOKEN | TARGET | VALUE | HEX | HOST | NAME)
#define X (TOKEN | TARGET | VALUE | HEX | HOST | NAME)
#define L (TOKEN | TARGET | VALUE | HOST | NAME)
#define G (TARGET | VALUE)
#define H (TARGET | VALUE | HOST)
#define M (TOKEN | TARGET | VALUE | HOST | NAME)
#define V VALUE
static const u8 class_of[256] = {
    [9] = V, [' '] = V,
    ['!'] = M, ['"'] = G, ['#'] = TOKEN | VALUE | NAME,
    ['$'] = M, ['%'] = M, ['&'] = M, ['\''] = M, ['('] = H,
    [')'] = H, ['*'] = M, ['+'] = M, [','] = G, ['-'] = M, ['.'] = M, ['/'] = G,
    ['0'] = D, D, D, D, D, D, D, D, D, D, [':'] = G, [';'] = H, ['<'] = G, ['='] = H, ['>'] = G,
    ['?'] = G, ['@'] = G,
    ['A'] = X, X, X, X, X, X, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['['] = G, ['\\'] = G, [']'] = G, ['^'] = T, ['_'] = TOKEN | TARGET | VALUE | HOST, ['`'] = T,
    ['a'] = X, X, X, X, X, X, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['{'] = G, ['|'] = T, ['}'] = G, ['~'] = M,
    [128 ... 255] = V,
};
#undef T
#undef D
#undef X
#undef L
#undef G
#undef H
#undef M
#undef V
/* clang-format on */

static bool is(char c, u8 what) {
    return class_of[(u8)c] & what;
}

static rc_t refuse(struct http_refusal *no, int status, const char *why) {
    *no = (struct http_refusal){status, why};
    return RC_INVALID;
}

static const char *skip_value(const char *p, const char *end);

bool http_is_token(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!is(s.ptr[i], TOKEN)) return false;
    return s.len > 0;
}

bool http_is_field_value(str s) {
    return skip_value(s.ptr, s.ptr + s.len) == s.ptr + s.len;
}

bool http_is_target(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!is(s.ptr[i], TARGET)) return false;
    return s.len > 0;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* After the bytes of a line: exactly CR LF. RC_AGAIN: not all here. */
rc_t http_line_end(const char **p, const char *end, struct http_refusal *no) {
    if (*p == end) return RC_AGAIN;
    if (**p == '\n') return refuse(no, 400, "A line ends in a bare line feed."); /* RFC 9112 2.2 */
    if (**p != '\r') return refuse(no, 400, "A line holds a byte that is not allowed there.");
    if (*p + 1 == end) return RC_AGAIN;
    if ((*p)[1] != '\n')
        return refuse(no, 400, "A carriage return without its line feed."); /* 2.2 */
    *p += 2;
    return RC_OK;
}

static const char *skip(const char *p, const char *end, u8 what) {
    while (p < end && is(*p, what)) p++;
    return p;
}

/* As skip(VALUE), sixteen bytes at a time while there are sixteen: a field value is what most bytes
 * of a head are. Stops at control bytes other than the tab, and at DEL. */
static const char *skip_value(const char *p, const char *end) {
    const __m128i below = _mm_set1_epi8(0x1F), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7F);
    for (; end - p >= 16; p += 16) {
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(b, below), b);
        __m128i bad =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(b, tab), control), _mm_cmpeq_epi8(b, del));
        int mask = _mm_movemask_epi8(bad);
        if (mask) return p + __builtin_ctz((unsigned)mask);
    }
    return skip(p, end, VALUE);
}

/* "HTTP/1.1" and its line end. */
static rc_t version(const char **p, const char *end, struct http_head *h, struct http_refusal *no) {
    static const char shape[] = "HTTP/d.d";
    const char *v = *p;
    if (end - v >= 10 && memcmp(v, "HTTP/1.1\r\n", 10) == 0) { /* nearly always */
        h->version_minor = 1;
        *p = v + 10;
        return RC_OK;
    }
    for (size_t i = 0; i < 8; i++) {
        if (v + i == end) return RC_AGAIN;
        bool fits = shape[i] == 'd' ? v[i] >= '0' && v[i] <= '9' : v[i] == shape[i];
        if (!fits) return refuse(no, 400, "The request line is not `method target HTTP/1.1`.");
    }
    if (v[5] != '1') return refuse(no, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    h->version_minor = v[7] == '0' ? 0 : 1; /* a higher minor is served as ours: RFC 9110 2.5 */
    *p = v + 8;
    return http_line_end(p, end, no);
}

static rc_t request_line(const char **at, const char *end, struct http_head *h,
                         struct http_refusal *no) {
    const char *start = *at, *p = skip(start, end, TOKEN);
    if (p == end) return p - start > 32 ? refuse(no, 501, "The method is unknown.") : RC_AGAIN;
    if (p == start || *p != ' ')
        return refuse(no, 400, "The request line is not `method target HTTP/1.1`.");
    if (p - start > 32) return refuse(no, 501, "The method is unknown.");
    h->method = str_of(start, (size_t)(p - start));
    start = ++p;
    p = skip(p, end, TARGET);
    if (p - start > HTTP_LINE_MAX) return refuse(no, 414, "The request target is too long.");
    if (p == end) return RC_AGAIN;
    if (p == start || *p != ' ')
        return refuse(no, 400,
                      "The request target is missing or holds a byte that must be escaped.");
    h->target = str_of(start, (size_t)(p - start));
    *at = p + 1;
    return version(at, end, h, no);
}

/* One field line at *at. RC_PASS: it is the blank line that ends the head. */
rc_t http_field_line(const char **at, const char *end, struct http_field *f, bool *underscore,
                     struct http_refusal *no) {
    const char *start = *at, *p = start;
    if (p == end) return RC_AGAIN;
    if (*p == '\r' || *p == '\n') {
        rc_t rc = http_line_end(at, end, no);
        return rc ? rc : RC_PASS;
    }
    if (*p == ' ' || *p == '\t')
        return refuse(no, 400, "A field line is folded."); /* RFC 9112 5.2 */
    p = skip(p, end, NAME);
    if (p < end && *p == '_') {
        *underscore = true;
        p = skip(p, end, TOKEN);
    }
    if (p - start > HTTP_LINE_MAX) return refuse(no, 431, "A field line is too long.");
    if (p == end) return RC_AGAIN;
    if (*p != ':' || p == start) /* RFC 9112 5.1: no blank before the colon */
        return refuse(no, 400, "A field line is not `name: value`.");
    f->name = str_of(start, (size_t)(p - start));
    p++;
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    const char *value = p;
    p = skip_value(p, end);
    if (p - start > HTTP_LINE_MAX) return refuse(no, 431, "A field line is too long.");
    const char *last = p;
    rc_t rc = http_line_end(&p, end, no);
    if (rc) return rc;
    while (last > value && (last[-1] == ' ' || last[-1] == '\t')) last--;
    f->value = str_of(value, (size_t)(last - value));
    *at = p;
    return RC_OK;
}

/* ---- Fields that frame the message ----------------------------------------------------------- */

static rc_t content_length(struct http_head *h, str value, struct http_refusal *no) {
    uint64_t n;
    if (h->has_length) return refuse(no, 400, "Content-Length is given twice."); /* RFC 9112 6.3 */
    if (str_to_u64(value, &n) || n > INT64_MAX || (value.len > 1 && value.ptr[0] == '0'))
        return refuse(no, 400, "Content-Length is not a plain decimal number."); /* RFC 9110 8.6 */
    h->has_length = true;
    h->content_length = n;
    return RC_OK;
}

static rc_t transfer_encoding(struct http_head *h, str value, struct http_refusal *no) {
    if (h->version_minor == 0) /* RFC 9112 6.1 */
        return refuse(no, 400, "HTTP/1.0 has no Transfer-Encoding.");
    if (h->chunked) return refuse(no, 400, "Transfer-Encoding is given twice.");
    if (!str_eq_nocase(value, S("chunked")))
        return refuse(no, 400, "The only Transfer-Encoding understood is `chunked`, alone.");
    h->chunked = true;
    return RC_OK;
}

/* RFC 3986 3.2.2 and 3.2.3: a name or an address, then perhaps a port. */
bool http_host_is_valid(str v) {
    const char *p = v.ptr, *end = p + v.len;
    if (v.len && *p == '[') {
        for (p++; p < end && (is(*p, HEX) || *p == ':' || *p == '.'); p++) continue;
        if (p == end || *p++ != ']' || p - v.ptr < 4) return false;
    } else {
        p = skip(p, end, HOST);
        if (p == v.ptr) return false;
    }
    if (p == end) return true;
    if (*p++ != ':' || end - p > 5) return false;
    u32 port = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        port = port * 10 + (u32)(*p - '0');
    }
    return port <= 65535;
}

static rc_t connection_options(struct http_head *h, str value, struct http_refusal *no) {
    str rest = value, part;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.len == 0) continue;
        if (!http_is_token(part)) return refuse(no, 400, "Connection is not a list of options.");
        if (str_eq_nocase(part, S("close"))) h->close = true;
        if (str_eq_nocase(part, S("keep-alive"))) h->keep_alive = true;
    }
    return RC_OK;
}

static rc_t framing_field(struct http_head *h, const struct http_field *f,
                          struct http_refusal *no) {
    switch (f->name.len) {
    case 4:
        if (!str_eq_nocase(f->name, S("Host"))) break;
        if (h->host.ptr) return refuse(no, 400, "Host is given twice."); /* RFC 9112 3.2 */
        if (!http_host_is_valid(f->value)) return refuse(no, 400, "Host is not a host name.");
        h->host = f->value;
        break;
    case 6:
        if (!str_eq_nocase(f->name, S("Expect"))) break;
        if (!str_eq_nocase(f->value, S("100-continue")))
            return refuse(no, 417, "The only expectation met is `100-continue`.");
        h->expect_continue = h->version_minor > 0; /* RFC 9110 10.1.1 */
        break;
    case 10:
        if (str_eq_nocase(f->name, S("Connection"))) return connection_options(h, f->value, no);
        break;
    case 14:
        if (str_eq_nocase(f->name, S("Content-Length"))) return content_length(h, f->value, no);
        break;
    case 17:
        if (str_eq_nocase(f->name, S("Transfer-Encoding")))
            return transfer_encoding(h, f->value, no);
        break;
    default: break;
    }
    return RC_OK;
}

static rc_t head_fields(const char **p, const char *end, struct http_head *h,
                        struct http_field *fields, struct http_refusal *no) {
    u32 lines = 0;
    for (;;) {
        struct http_field f;
        bool underscore = false;
        rc_t rc = http_field_line(p, end, &f, &underscore, no);
        if (rc == RC_PASS) return RC_OK;
        if (rc) return rc;
        if (lines++ == HTTP_HEADER_COUNT_MAX) return refuse(no, 431, "There are too many fields.");
        if (underscore) continue; /* CGI-like readers take `_` for `-` */
        if ((rc = framing_field(h, &f, no))) return rc;
        fields[h->field_count++] = f;
    }
}

rc_t http_head_parse(str bytes, struct http_head *h, struct http_field *fields,
                     struct http_refusal *no) {
    bool whole = bytes.len >= HTTP_HEAD_MAX;
    const char *p = bytes.ptr, *end = p + MIN(bytes.len, (size_t)HTTP_HEAD_MAX);
    memset(h, 0, sizeof *h);
    if (bytes.len == 0) return RC_AGAIN;
    rc_t rc = request_line(&p, end, h, no);
    if (!rc) rc = head_fields(&p, end, h, fields, no);
    if (rc == RC_AGAIN && whole) return refuse(no, 431, "The head of the request is too long.");
    if (rc) return rc;
    if (h->chunked && h->has_length) /* RFC 9112 6.1, 11.2 */
        return refuse(no, 400, "Content-Length and Transfer-Encoding exclude each other.");
    if (h->version_minor == 1 && !h->host.ptr) return refuse(no, 400, "Host is missing."); /* 3.2 */
    h->length = (size_t)(p - bytes.ptr);
    return RC_OK;
}

/* A blank line, or any line that already is wrong: both mean "parse now". */
bool http_scan_complete(struct http_scan *s, str bytes) {
    if (bytes.len >= HTTP_HEAD_MAX) return true;
    while (s->seen < bytes.len) {
        str rest = str_skip(bytes, s->seen);
        size_t n = str_find_byte(rest, '\n');
        if (n == rest.len) {
            s->seen = (u32)bytes.len;
            return s->seen - s->line_at > HTTP_LINE_MAX;
        }
        u32 at = s->seen + (u32)n, first_line = s->line_at;
        s->seen = s->line_at = at + 1;
        if (at == first_line || bytes.ptr[at - 1] != '\r' || at - 1 == first_line) return true;
        if (first_line == 0) return true; /* the request line is here: judge it now */
    }
    return false;
}

/* ---- Targets --------------------------------------------------------------------------------- */

/* The target's authority outranks what Host said. */
static void replace_host(struct http_head *h, struct http_field *fields, str authority) {
    h->host = authority;
    for (u32 i = 0; i < h->field_count; i++)
        if (str_eq_nocase(fields[i].name, S("Host"))) fields[i].value = authority;
}

rc_t http_target_check(struct http_head *h, struct http_field *fields, str *origin,
                       struct http_refusal *no) {
    str t = h->target;
    if (str_eq(h->method, S("CONNECT"))) return refuse(no, 501, "This is not a proxy.");
    if (t.ptr[0] == '/') {
        *origin = t;
        return RC_OK;
    }
    if (str_eq(t, S("*"))) { /* RFC 9112 3.2.4 */
        if (!str_eq(h->method, S("OPTIONS")))
            return refuse(no, 400, "The target `*` is for OPTIONS.");
        *origin = t;
        return RC_OK;
    }
    size_t scheme = str_find(t, S("://"));
    str name = str_take(t, scheme);
    if (scheme == t.len || !(str_eq_nocase(name, S("http")) || str_eq_nocase(name, S("https"))))
        return refuse(no, 400, "The request target is neither a path nor an http URL.");
    str rest = str_skip(t, scheme + 3);
    size_t slash = MIN(str_find_byte(rest, '/'), str_find_byte(rest, '?'));
    str authority = str_take(rest, slash);
    if (!http_host_is_valid(authority))
        return refuse(no, 400, "The authority in the request target is not a host name.");
    replace_host(h, fields, authority); /* RFC 9112 3.2.2 */
    *origin = slash == rest.len ? S("/") : str_skip(rest, slash);
    if (origin->ptr[0] == '?')
        return refuse(no, 400, "The request target has a query but no path.");
    return RC_OK;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

static int hex_value(char c) {
    if (!is(c, HEX)) return -1;
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static rc_t chunk_size_byte(struct http_chunks *c, char b, struct http_refusal *no) {
    int digit = hex_value(b);
    if (digit >= 0) {
        if (c->left >> 56) return refuse(no, 400, "A chunk size is too large.");
        c->left = c->left << 4 | (u64)digit;
        c->state = CHUNK_SIZE;
        return RC_OK;
    }
    if (c->state == CHUNK_SIZE && b == ';')
        c->state = CHUNK_EXT, c->before = b;
    else if (c->state == CHUNK_SIZE && b == '\r')
        c->state = CHUNK_EXT_CR_LF;
    else
        return refuse(no, 400, "A chunk size is not a hexadecimal number."); /* RFC 9112 7.1 */
    return RC_OK;
}

/* Extensions are not understood and so ignored, but only ones that look like some (7.1.1): after
 * `;` comes a name, no line ends in a blank, no byte outside the visible ones. */
static rc_t chunk_ext_byte(struct http_chunks *c, char b, struct http_refusal *no) {
    char before = c->before;
    bool escaped = c->quoted && before == '\\';
    c->before = escaped ? 'x' : b; /* an escaped backslash escapes nothing */
    if (b != '\r' && (!is(b, VALUE) || (u8)b >= 128))
        return refuse(no, 400, "A chunk extension is malformed.");
    if (c->quoted) {
        if (b == '\r') return refuse(no, 400, "A chunk extension's quote is not closed.");
        if (b == '"' && !escaped) c->quoted = false;
        return RC_OK;
    }
    if (b == '\r') {
        if (before == ';' || before == ' ' || before == '\t' || before == '=')
            return refuse(no, 400, "A chunk extension is malformed.");
        c->state = CHUNK_EXT_CR_LF;
        return RC_OK;
    }
    if (before == ';' && !is(b, TOKEN)) return refuse(no, 400, "A chunk extension is malformed.");
    c->quoted = b == '"';
    return RC_OK;
}

/* The line after the size, or after the last chunk: its trailer section. */
static rc_t chunk_size_end(struct http_chunks *c, char b, struct http_refusal *no) {
    if (b != '\n') return refuse(no, 400, "A carriage return without its line feed.");
    c->line_bytes = 0;
    c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
    return RC_OK;
}

/* Trailer fields are checked and dropped; one that would change the framing is refused (RFC 9110
 * 6.5.1). Works on whole lines: RC_AGAIN leaves the line for later, RC_PASS ends the body. */
static rc_t chunk_trailer_line(struct http_chunks *c, str bytes, size_t *used,
                               struct http_refusal *no) {
    static const char *const forbidden[] = {
        "Content-Length", "Transfer-Encoding", "Host",   "Connection", "Expect", "Content-Encoding",
        "Content-Range",  "Authorization",     "Cookie", "Range",      "Upgrade"};
    const char *p = bytes.ptr;
    struct http_field f;
    bool underscore;
    rc_t rc = http_field_line(&p, bytes.ptr + bytes.len, &f, &underscore, no);
    if (rc == RC_INVALID) return rc;
    size_t n = rc == RC_AGAIN ? bytes.len : (size_t)(p - bytes.ptr);
    if (c->line_bytes + n > HTTP_HEAD_MAX || c->trailer_count > HTTP_HEADER_COUNT_MAX)
        return refuse(no, 431, "The trailer section is too long.");
    if (rc == RC_AGAIN) return rc;
    *used += n;
    c->line_bytes += (u32)n;
    if (rc == RC_PASS) return rc;
    c->trailer_count++;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (str_eq_nocase(f.name, str_from_c(forbidden[i])))
            return refuse(no, 400, "A trailer field that may not be one.");
    return RC_OK;
}

static rc_t chunk_line_byte(struct http_chunks *c, char b, struct http_refusal *no) {
    switch (c->state) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE: return chunk_size_byte(c, b, no);
    case CHUNK_EXT: return chunk_ext_byte(c, b, no);
    case CHUNK_EXT_CR_LF: return chunk_size_end(c, b, no);
    case CHUNK_DATA_CR:
        c->state = CHUNK_DATA_LF;
        return b == '\r' ? RC_OK : refuse(no, 400, "A chunk is longer than its size says.");
    case CHUNK_DATA_LF:
        c->state = CHUNK_SIZE_FIRST;
        return b == '\n' ? RC_OK : refuse(no, 400, "A carriage return without its line feed.");
    case CHUNK_DATA:
    case CHUNK_TRAILER:
    case CHUNK_DONE: break;
    }
    return RC_OK;
}

rc_t http_chunks_next(struct http_chunks *c, str bytes, size_t *used, size_t *data,
                      struct http_refusal *no) {
    *used = *data = 0;
    while (c->state != CHUNK_DONE) {
        rc_t rc;
        if (c->state == CHUNK_TRAILER) {
            rc = chunk_trailer_line(c, str_skip(bytes, *used), used, no);
            if (rc == RC_PASS)
                c->state = CHUNK_DONE;
            else if (rc)
                return rc;
            continue;
        }
        if (*used == bytes.len) return RC_AGAIN;
        if (c->state == CHUNK_DATA) {
            *data = (size_t)MIN(c->left, (u64)(bytes.len - *used));
            *used += *data;
            c->left -= *data;
            if (!c->left) c->state = CHUNK_DATA_CR;
            return RC_AGAIN;
        }
        if ((rc = chunk_line_byte(c, bytes.ptr[*used], no))) return rc;
        (*used)++;
        if (++c->line_bytes > HTTP_CHUNK_LINE_MAX && c->state != CHUNK_DATA &&
            c->state != CHUNK_TRAILER)
            return refuse(no, 400, "The line of a chunk's size is too long.");
        if (c->state == CHUNK_SIZE_FIRST || c->state == CHUNK_DATA) c->line_bytes = 0;
    }
    return RC_OK;
}
