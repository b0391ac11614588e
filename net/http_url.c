/* SPDX-License-Identifier: Apache-2.0 */
/* http_url.c — URLs of servers we call.
 *
 *   https :// host [: port] [/path] [? query] [# fragment]
 *
 * One reader checks where a URL leads and another connects there; when they disagree, a check is
 * worth nothing. So there is one reader, it takes only what can be read one way, and what it found
 * is what is connected to, sent as Host and verified. "http://a\@b", "http://a b", "http://a:80:80"
 * and names with odd bytes are refused rather than guessed at. */
#include "net/http_url.h"

static rc_t refuse(struct diag *why, const char *what) {
    diag_set(why, "the URL %s", what);
    return RC_INVALID;
}

static bool is_alnum(char c) {
    return (u8)((c | 32) - 'a') < 26 || (u8)(c - '0') < 10;
}

/* A name: what a DNS label may be, and `_`, which some use. */
static bool is_name(str s) {
    if (!s.len || s.len > 253) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '.' && s.ptr[i] != '_')
            return false;
    return true;
}

static bool is_v6(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool hex = (u8)(c - '0') < 10 || (u8)((c | 32) - 'a') < 6;
        if (!hex && c != ':' && c != '.') return false;
    }
    return s.len >= 2 && s.len <= 45;
}

static rc_t read_port(str digits, u16 *out) {
    u64 n;
    if (digits.len > 5 || str_to_u64(digits, &n) || n < 1 || n > 65535) return RC_INVALID;
    *out = (u16)n;
    return RC_OK;
}

static rc_t read_authority(str text, struct http_url *out, struct diag *why) {
    str port = {NULL, 0};
    out->authority = text;
    if (str_find_byte(text, '@') < text.len) return refuse(why, "holds user information");
    if (text.len && text.ptr[0] == '[') {
        size_t end = str_find_byte(text, ']');
        out->host = str_skip(str_take(text, end), 1);
        if (end == text.len || !is_v6(out->host)) return refuse(why, "has no valid host");
        str rest = str_skip(text, end + 1);
        if (rest.len && rest.ptr[0] != ':') return refuse(why, "has no valid host");
        if (rest.len) port = str_skip(rest, 1);
    } else {
        size_t colon = str_find_byte(text, ':');
        out->host = str_take(text, colon);
        if (!is_name(out->host)) return refuse(why, "has no valid host");
        if (colon < text.len) port = str_skip(text, colon + 1);
    }
    if (port.ptr && read_port(port, &out->port)) return refuse(why, "has no valid port");
    return RC_OK;
}

rc_t http_url_parse(str text, struct http_url *out, struct diag *why) {
    *out = (struct http_url){0};
    for (size_t i = 0; i < text.len; i++)
        if ((u8)text.ptr[i] <= ' ' || (u8)text.ptr[i] >= 0x7F || text.ptr[i] == '\\')
            return refuse(why, "holds a byte that must be escaped");
    size_t scheme = str_find(text, S("://"));
    str name = str_take(text, scheme);
    out->tls = str_eq_nocase(name, S("https"));
    if (scheme == text.len || (!out->tls && !str_eq_nocase(name, S("http"))))
        return refuse(why, "is neither http:// nor https://");
    out->port = out->tls ? 443 : 80;
    str rest = str_skip(text, scheme + 3);
    rest = str_take(rest, str_find_byte(rest, '#'));
    size_t end = MIN(str_find_byte(rest, '/'), str_find_byte(rest, '?'));
    out->target = str_skip(rest, end);
    return read_authority(str_take(rest, end), out, why);
}

bool http_url_same_origin(const struct http_url *a, const struct http_url *b) {
    return a->tls == b->tls && a->port == b->port && str_eq_nocase(a->host, b->host);
}

/* ---- References ------------------------------------------------------------------------------ */

/* RFC 3986 5.2.4, in place: a path that begins with '/'. */
static str remove_dots(char *path, size_t n) {
    size_t out = 0, at = 0;
    while (at < n) {
        size_t end = at + 1;
        while (end < n && path[end] != '/') end++;
        str segment = str_of(path + at + 1, end - at - 1);
        bool last = end == n;
        if (str_eq(segment, S(".."))) {
            while (out && path[--out] != '/') continue;
            if (last) path[out++] = '/';
        } else if (str_eq(segment, S("."))) {
            if (last) path[out++] = '/';
        } else {
            memmove(path + out, path + at, end - at);
            out += end - at;
        }
        at = end;
    }
    return str_of(path, out);
}

static str origin_of(str url) { /* "https://host:port" */
    size_t scheme = str_find(url, S("://")) + 3;
    str rest = str_skip(url, scheme);
    size_t end =
        MIN(MIN(str_find_byte(rest, '/'), str_find_byte(rest, '?')), str_find_byte(rest, '#'));
    return str_take(url, scheme + end);
}

static bool has_scheme(str reference) {
    for (size_t i = 0; i < reference.len; i++) {
        char c = reference.ptr[i];
        if (c == ':') return i > 0;
        if (!is_alnum(c) && c != '+' && c != '-' && c != '.') return false;
    }
    return false;
}

rc_t http_url_resolve(struct arena *a, str base, str reference, str *out) {
    struct http_url url;
    struct diag why;
    if (http_url_parse(base, &url, &why)) return RC_INVALID;
    reference = str_take(reference, str_find_byte(reference, '#'));
    if (has_scheme(reference)) {
        *out = arena_copy(a, reference);
    } else if (str_starts(reference, S("//"))) {
        *out = arena_join(a, url.tls ? S("https:") : S("http:"), reference);
    } else {
        size_t mark = str_find_byte(reference, '?');
        str query = str_skip(reference, mark), path = str_take(reference, mark);
        str base_path = str_take(url.target, str_find_byte(url.target, '?'));
        str base_query = str_skip(url.target, base_path.len);
        size_t directory = base_path.len;
        while (directory && base_path.ptr[directory - 1] != '/') directory--;
        bool absolute = path.len && path.ptr[0] == '/', empty = !path.len;
        str merged = arena_join(a,
                                absolute ? S("")
                                : empty  ? base_path
                                         : str_take(base_path, directory),
                                absolute || empty || directory ? S("") : S("/"), path);
        if (!merged.ptr) return RC_NO_MEMORY;
        merged = remove_dots((char *)(uintptr_t)merged.ptr, merged.len);
        *out = arena_join(a, origin_of(base), merged.len ? merged : S("/"),
                          empty && mark == reference.len ? base_query : query);
    }
    if (!out->ptr) return RC_NO_MEMORY;
    return http_url_parse(*out, &url, &why);
}
