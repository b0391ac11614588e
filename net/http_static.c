/* SPDX-License-Identifier: Apache-2.0 */
/* http_static.c — bytes that never change, answered as RFC 9110 sections 8.8, 12 to 14 want:
 * ETag and 304, ranges (one, or several as multipart/byteranges), If-Range, precompressed variants.
 *
 * Each coding of the bytes is a representation of its own, so it has its own tag: `"abc"` becomes
 * `"abc-gz"` and `"abc-br"`. Ranges are served of the plain bytes only; a set of ranges that would
 * cost more than the whole (too many, or overlapping) gets the whole (RFC 9110 14.2). */
#include "net/http_impl.h"
#include <stdio.h>

#define RANGES_MAX 16

struct range {
    u64 first, last; /* inclusive */
};

/* q-value of a coding in Accept-Encoding, in thousandths; -1: not named. */
int http_coding_quality(str header, str coding) {
    str rest = header, part;
    int star = -1;
    while (rest.len && str_split(&rest, ',', &part)) {
        str params = part, name;
        if (!str_split(&params, ';', &name)) continue;
        name = str_trim(name);
        int q = 1000;
        str parameter = str_trim(params.ptr ? params : S(""));
        if (str_starts(parameter, S("q=")) || str_starts(parameter, S("Q="))) {
            str digits = str_skip(parameter, 2);
            q = digits.len && digits.ptr[0] == '1' ? 1000 : 0;
            for (size_t i = 2, unit = 100; q == 0 && i < digits.len && i < 5; i++, unit /= 10)
                if (digits.ptr[i] >= '1' && digits.ptr[i] <= '9') {
                    q = (int)((size_t)(digits.ptr[i] - '0') * unit);
                    break;
                }
        }
        if (str_eq_nocase(name, coding)) return q;
        if (str_eq(name, S("*"))) star = q;
    }
    return star;
}

struct variant {
    str body, coding, etag;
};

static str tagged(struct http_exchange *x, str etag, const char *suffix) {
    if (etag.len < 2) return etag;
    return arena_printf(x->arena, "%.*s%s\"", (int)etag.len - 1, etag.ptr, suffix);
}

static struct variant choose(struct http_exchange *x, const struct http_static *f) {
    str accept = http_field(x->request, S("Accept-Encoding"));
    int br = f->brotli.len ? http_coding_quality(accept, S("br")) : -1;
    int gz = f->gzip.len ? http_coding_quality(accept, S("gzip")) : -1;
    if (br > 0 && br >= gz) return (struct variant){f->brotli, S("br"), tagged(x, f->etag, "-br")};
    if (gz > 0) return (struct variant){f->gzip, S("gzip"), tagged(x, f->etag, "-gz")};
    return (struct variant){f->body, S(""), f->etag};
}

static str strip_weak(str tag) {
    return str_starts(tag, S("W/")) ? str_skip(tag, 2) : tag;
}

/* If-None-Match against the tag of the plain bytes and of the variant (weak comparison, 13.1.2). */
static bool tag_listed(str list, str etag) {
    str rest = list, part;
    if (str_eq(str_trim(list), S("*"))) return true;
    while (rest.len && str_split(&rest, ',', &part))
        if (etag.len && str_eq(strip_weak(str_trim(part)), etag)) return true;
    return false;
}

/* One "first-last", "first-" or "-suffix" against `size` bytes. RC_INVALID: not a range at all, so
 * the whole field is ignored; RC_NOT_FOUND: outside. */
static rc_t range_parse(str text, u64 size, struct range *out) {
    size_t dash = str_find_byte(text, '-');
    str first = str_take(text, dash), last = str_skip(text, dash + 1);
    uint64_t a = 0, b = 0;
    if (dash == text.len || (!first.len && !last.len)) return RC_INVALID;
    if (first.len && str_to_u64(first, &a)) return RC_INVALID;
    if (last.len && str_to_u64(last, &b)) return RC_INVALID;
    if (!first.len) {
        if (b == 0 || size == 0) return RC_NOT_FOUND;
        *out = (struct range){b >= size ? 0 : size - b, size - 1};
        return RC_OK;
    }
    if (last.len && b < a) return RC_INVALID;
    if (a >= size) return RC_NOT_FOUND;
    *out = (struct range){a, !last.len || b >= size ? size - 1 : b};
    return RC_OK;
}

/* RC_PASS: no ranges apply, send everything; RC_NOT_FOUND: none can be satisfied. */
static rc_t ranges_parse(struct http_exchange *x, const struct http_static *f, struct range *ranges,
                         u32 *count) {
    str header = http_field(x->request, S("Range")), part;
    str condition = http_field(x->request, S("If-Range"));
    u64 total = 0;
    *count = 0;
    if (!header.ptr || x->request->method != HTTP_GET || !str_starts(header, S("bytes=")))
        return RC_PASS;
    if (condition.ptr && !str_eq(condition, f->etag)) return RC_PASS; /* strong: 13.1.5 */
    str rest = str_skip(header, 6);
    bool any_outside = false;
    while (rest.len && str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!part.len) continue;
        if (*count == RANGES_MAX) return RC_PASS;
        rc_t rc = range_parse(part, f->body.len, &ranges[*count]);
        if (rc == RC_INVALID) return RC_PASS;
        if (rc) {
            any_outside = true;
            continue;
        }
        total += ranges[*count].last - ranges[*count].first + 1;
        (*count)++;
    }
    if (!*count) return any_outside ? RC_NOT_FOUND : RC_PASS;
    return total > f->body.len ? RC_PASS : RC_OK;
}

static void field(struct http_exchange *x, str name, str value) {
    if (value.len) (void)http_answer_field(x, name, value); /* ours: always valid, few */
}

static str slice(const struct http_static *f, struct range r) {
    return str_of(f->body.ptr + r.first, (size_t)(r.last - r.first + 1));
}

static void answer_one_range(struct http_exchange *x, const struct http_static *f, struct range r) {
    field(x, S("Content-Range"),
          arena_printf(x->arena, "bytes %llu-%llu/%zu", (unsigned long long)r.first,
                       (unsigned long long)r.last, f->body.len));
    http_answer(x, 206, f->content_type, slice(f, r));
}

static void answer_many_ranges(struct http_exchange *x, const struct http_static *f,
                               const struct range *ranges, u32 count) {
    str boundary = x->request->id, heads[RANGES_MAX];
    str end = arena_printf(x->arena, "\r\n--%.*s--\r\n", STR(boundary));
    s64 total = (s64)end.len;
    for (u32 i = 0; i < count; i++) {
        heads[i] = arena_printf(
            x->arena,
            "%s--%.*s\r\nContent-Type: %.*s\r\nContent-Range: bytes %llu-%llu/%zu\r\n\r\n",
            i ? "\r\n" : "", STR(boundary), STR(f->content_type),
            (unsigned long long)ranges[i].first, (unsigned long long)ranges[i].last, f->body.len);
        total += (s64)(heads[i].len + slice(f, ranges[i]).len);
    }
    str type = arena_printf(x->arena, "multipart/byteranges; boundary=%.*s", STR(boundary));
    rc_t rc = http_answer_begin(x, 206, type, total);
    for (u32 i = 0; i < count && !rc; i++) {
        rc = http_answer_write(x, heads[i]);
        if (!rc) rc = http_answer_write(x, slice(f, ranges[i]));
    }
    if (!rc) rc = http_answer_write(x, end);
    if (!rc) rc = http_answer_end(x);
    (void)rc; /* a broken connection closes itself */
}

void http_answer_static(struct http_exchange *x, const struct http_static *f) {
    struct variant v = choose(x, f);
    struct range ranges[RANGES_MAX];
    u32 count;
    if (f->gzip.len || f->brotli.len) field(x, S("Vary"), S("Accept-Encoding"));
    field(x, S("Cache-Control"), f->cache_control);
    str known = http_field(x->request, S("If-None-Match"));
    bool read = x->request->method == HTTP_GET || x->request->method == HTTP_HEAD;
    if (known.ptr && read && (tag_listed(known, v.etag) || tag_listed(known, f->etag))) {
        field(x, S("ETag"), v.etag);
        http_answer(x, 304, S(""), S(""));
        return;
    }
    field(x, S("Accept-Ranges"), S("bytes"));
    rc_t rc = ranges_parse(x, f, ranges, &count);
    if (rc == RC_NOT_FOUND) {
        field(x, S("Content-Range"), arena_printf(x->arena, "bytes */%zu", f->body.len));
        char body[512];
        char id[HTTP_ID_LEN + 1];
        (void)str_to_c(x->request->id, id, sizeof id);
        size_t n =
            http_problem_format(416, "No byte of the file is in the range.", id, body, sizeof body);
        http_answer(x, 416, S("application/problem+json"), str_of(body, n));
        return;
    }
    if (rc == RC_OK) {
        field(x, S("ETag"), f->etag);
        if (count == 1)
            answer_one_range(x, f, ranges[0]);
        else
            answer_many_ranges(x, f, ranges, count);
        return;
    }
    field(x, S("ETag"), v.etag);
    field(x, S("Content-Encoding"), v.coding);
    http_answer(x, 200, f->content_type, v.body);
}
