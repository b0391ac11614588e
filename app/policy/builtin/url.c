/* SPDX-License-Identifier: Apache-2.0 */
/* url.c — urlquery.* and uri.*: URLs and their queries as the reference's library takes them apart.
 *
 *   scheme : // user @ host : port / path ? query # fragment
 *
 * What may be percent-escaped, and which bytes are refused, differs from part to part. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/quote.h"

enum part { PART_PATH, PART_HOST, PART_ZONE, PART_USER, PART_QUERY, PART_FRAGMENT };

static bool is_hex(char ch) {
    return (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'f');
}
static u8 hex(char ch) { return (u8)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10); }
static bool is_unreserved(char ch) {
    return (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || ch == '-' ||
           ch == '_' || ch == '.' || ch == '~';
}
/* May it stand unescaped in a host? */
static bool is_host_byte(char ch) {
    return is_unreserved(ch) || (ch && strchr("!$&'()*+,;=:[]<>\"", ch));
}

/* ---- Escapes ---- */

static bool unescape(struct builtin_call *c, str s, enum part part, struct buf *to) {
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        if (ch == '%') {
            str three = str_take(str_skip(s, i), 3);
            bool good = three.len == 3 && is_hex(three.ptr[1]) && is_hex(three.ptr[2]);
            u8 byte = good ? (u8)(hex(three.ptr[1]) << 4 | hex(three.ptr[2])) : 0;
            /* In a host only bytes beyond ASCII may be escaped; %25 before a zone. */
            if (good && part == PART_HOST && byte < 0x80 && byte != '%') good = false;
            if (good && part == PART_HOST && byte == '%' && !str_eq(three, S("%25"))) good = false;
            if (good && part == PART_ZONE && byte != '%' && byte != ' ' &&
                !is_host_byte((char)byte))
                good = false;
            if (!good) {
                builtin_fail(c, "invalid URL escape \"%.*s\"", STR(three));
                return false;
            }
            (void)buf_add_byte(to, (char)byte);
            i += 2;
        } else if (ch == '+' && part == PART_QUERY) (void)buf_add_byte(to, ' ');
        else if ((part == PART_HOST || part == PART_ZONE) && (u8)ch < 0x80 && !is_host_byte(ch)) {
            builtin_fail(c, "invalid character \"%c\" in host name", ch);
            return false;
        } else (void)buf_add_byte(to, ch);
    }
    return true;
}
static value unescaped(struct builtin_call *c, str s, enum part part) {
    struct buf text;
    if (!builtin_tick(c, (u32)MIN(s.len / 32, (size_t)UINT32_MAX))) return UNDEFINED;
    builtin_text_open(c, &text);
    if (unescape(c, s, part, &text)) return builtin_text_close(c, &text);
    buf_close(&text);
    return UNDEFINED;
}

static void escape_query(struct buf *to, str s) {
    for (size_t i = 0; i < s.len; i++) {
        u8 ch = (u8)s.ptr[i];
        char three[3] = {'%', "0123456789ABCDEF"[ch >> 4], "0123456789ABCDEF"[ch & 15]};
        if (is_unreserved((char)ch)) (void)buf_add_byte(to, (char)ch);
        else if (ch == ' ') (void)buf_add_byte(to, '+');
        else (void)buf_add(to, str_of(three, 3));
    }
}

/* ---- urlquery ---- */

value builtin_urlquery_encode(struct builtin_call *c, const value *args) {
    str s;
    struct buf text;
    if (!builtin_take_string(c, args, 0, &s) || !builtin_tick(c, (u32)(s.len / 32)))
        return UNDEFINED;
    builtin_text_open(c, &text);
    escape_query(&text, s);
    return builtin_text_close(c, &text);
}
value builtin_urlquery_decode(struct builtin_call *c, const value *args) {
    str s;
    return builtin_take_string(c, args, 0, &s) ? unescaped(c, s, PART_QUERY) : UNDEFINED;
}

static bool add_pair(struct builtin_call *c, struct buf *to, str key, value v) {
    if (v.kind != VALUE_STRING) {
        builtin_fail_operand_because(c, 1, "values must be string, array[string], or set[string]");
        return false;
    }
    if (to->len) (void)buf_add_byte(to, '&');
    escape_query(to, key);
    (void)buf_add_byte(to, '=');
    escape_query(to, value_str(v));
    return builtin_tick(c, 1);
}

value builtin_urlquery_encode_object(struct builtin_call *c, const value *args) {
    struct buf text, name;
    bool good = true;
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return UNDEFINED;
    builtin_text_open(c, &text);
    builtin_text_open(c, &name);
    for (u32 i = 0; i < value_count(args[0]) && good; i++) {
        value key = value_key_at(args[0], i), v = value_value_at(args[0], i);
        buf_clear(&name);
        if (key.kind == VALUE_STRING) (void)buf_add(&name, value_str(key));
        else value_write(&name, key);
        if (!builtin_is_sequence(v)) good = add_pair(c, &text, buf_str(&name), v);
        else
            for (u32 k = 0; k < value_count(v) && good; k++)
                good = add_pair(c, &text, buf_str(&name), value_item(v, k));
    }
    buf_close(&name);
    if (good) return builtin_text_close(c, &text);
    buf_close(&text);
    return UNDEFINED;
}

value builtin_urlquery_decode_object(struct builtin_call *c, const value *args) {
    str rest, pair;
    struct value_builder object;
    if (!builtin_take_string(c, args, 0, &rest)) return UNDEFINED;
    value_builder_open(&object, c->heap, VALUE_OBJECT);
    while (str_split(&rest, '&', &pair)) {
        if (!builtin_tick(c, 2)) return UNDEFINED;
        if (str_find_byte(pair, ';') < pair.len)
            return builtin_fail(c, "invalid semicolon separator in query");
        if (pair.len == 0) continue;
        size_t cut = str_find_byte(pair, '=');
        value key = unescaped(c, str_take(pair, cut), PART_QUERY);
        value v = c->failed ? UNDEFINED : unescaped(c, str_skip(pair, cut + 1), PART_QUERY);
        if (key.kind != VALUE_STRING || v.kind != VALUE_STRING) return UNDEFINED;
        value old = value_builder_find(&object, key), list;
        if (!value_defined(old)) list = value_array(c->heap, &v, 1);
        else {
            struct value_builder more; /* repeated names are few: quadratic, and counted */
            if (!builtin_tick(c, value_count(old) / 4)) return UNDEFINED;
            value_builder_open(&more, c->heap, VALUE_ARRAY);
            for (u32 i = 0; i < value_count(old); i++) value_builder_add(&more, value_item(old, i));
            value_builder_add(&more, v);
            list = value_builder_close(&more);
        }
        value_builder_replace(&object, key, list);
    }
    return value_builder_close(&object);
}

/* ---- uri ---- */

struct uri { str scheme, host, port, raw_path, query, fragment; bool has_authority; };

/* The scheme; false: there is none, or (failed) it is not one. */
static bool take_scheme(struct builtin_call *c, str *rest, str *scheme) {
    for (size_t i = 0; i < rest->len; i++) {
        char ch = rest->ptr[i];
        if ((ch | 32) >= 'a' && (ch | 32) <= 'z') continue;
        if (ch == ':') {
            if (i == 0) builtin_fail(c, "missing protocol scheme");
            *scheme = str_take(*rest, i);
            *rest = str_skip(*rest, i + 1);
            return i > 0;
        }
        bool digit = (ch >= '0' && ch <= '9') || ch == '+' || ch == '-' || ch == '.';
        if (!digit || i == 0) return false;
    }
    return false;
}

static bool is_user_info(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!is_unreserved(s.ptr[i]) && !(s.ptr[i] && strchr(":!$&'()*+,;=%@", s.ptr[i])))
            return false;
    return true;
}

/* ":80", ":" or nothing. */
static bool is_port(str s) {
    if (s.len == 0) return true;
    if (s.ptr[0] != ':') return false;
    for (size_t i = 1; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return true;
}

static size_t last_byte(str s, char ch) { /* s.len: absent */
    for (size_t i = s.len; i > 0; i--)
        if (s.ptr[i - 1] == ch) return i - 1;
    return s.len;
}

static bool bad_port(struct builtin_call *c, str port) {
    builtin_fail(c, "invalid port \"%.*s\" after host", STR(port));
    return false;
}

/* The host's text with brackets and port still on. */
static bool check_host(struct builtin_call *c, str host, struct buf *to) {
    if (host.len && host.ptr[0] == '[') {
        size_t close = last_byte(host, ']');
        if (close == host.len) {
            builtin_fail(c, "missing ']' in host");
            return false;
        }
        str port = str_skip(host, close + 1);
        if (!is_port(port)) return bad_port(c, port);
        str inside = str_take(host, close);
        size_t zone = str_find(inside, S("%25"));
        if (zone < inside.len)
            return unescape(c, str_take(host, zone), PART_HOST, to) &&
                   unescape(c, str_skip(inside, zone), PART_ZONE, to) &&
                   unescape(c, str_skip(host, close), PART_HOST, to);
    } else {
        size_t colon = str_find_byte(host, ':');
        str port = str_skip(host, colon); /* one colon at most */
        if (!is_port(port)) return bad_port(c, port);
    }
    return unescape(c, host, PART_HOST, to);
}

static bool take_authority(struct builtin_call *c, str authority, struct uri *u, struct buf *host) {
    size_t at = last_byte(authority, '@');
    if (at < authority.len) {
        str user = str_take(authority, at);
        struct buf unused;
        if (!is_user_info(user)) {
            builtin_fail(c, "net/url: invalid userinfo");
            return false;
        }
        builtin_text_open(c, &unused);
        bool good = unescape(c, user, PART_USER, &unused);
        buf_close(&unused);
        if (!good) return false;
        authority = str_skip(authority, at + 1);
    }
    if (!check_host(c, authority, host)) return false;
    str whole = buf_str(host);
    size_t colon = last_byte(whole, ':');
    if (colon < whole.len && is_port(str_skip(whole, colon))) {
        u->host = str_take(whole, colon);
        u->port = str_skip(whole, colon + 1);
    } else u->host = whole;
    if (u->host.len >= 2 && u->host.ptr[0] == '[' && u->host.ptr[u->host.len - 1] == ']')
        u->host = str_of(u->host.ptr + 1, u->host.len - 2);
    return true;
}

/* In the reference's order, so that of several faults the same one is named. `host` backs u->host.
 */
static bool uri_split(struct builtin_call *c, str text, struct uri *u, struct buf *host) {
    size_t hash = str_find_byte(text, '#');
    u->fragment = str_skip(text, hash + 1);
    str rest = str_take(text, hash);
    for (size_t i = 0; i < text.len; i++)
        if ((u8)text.ptr[i] < ' ' || text.ptr[i] == 0x7F) {
            if (i > hash) break;
            builtin_fail(c, "net/url: invalid control character in URL");
            return false;
        }
    if (str_eq(rest, S("*"))) {
        u->raw_path = rest;
        return true;
    }
    take_scheme(c, &rest, &u->scheme);
    if (c->failed) return false;
    size_t question = str_find_byte(rest, '?');
    u->query = str_skip(rest, question + 1);
    rest = str_take(rest, question);
    if (!str_starts(rest, S("/"))) {
        if (u->scheme.len) return true; /* opaque: mailto:someone */
        size_t slash = str_find_byte(rest, '/');
        if (str_find_byte(str_take(rest, slash), ':') < MIN(slash, rest.len)) {
            builtin_fail(c, "first path segment in URL cannot contain colon");
            return false;
        }
    }
    if ((u->scheme.len || !str_starts(rest, S("///"))) && str_starts(rest, S("//"))) {
        str authority = str_skip(rest, 2);
        size_t slash = str_find_byte(authority, '/');
        rest = str_skip(authority, slash);
        if (!take_authority(c, str_take(authority, slash), u, host)) return false;
    }
    u->raw_path = rest;
    return true;
}

/* The reference gives the path as written only where escaping it again would not give that back. */
static bool path_is_default(str raw, str path) {
    size_t at = 0;
    for (size_t i = 0; i < path.len; i++) {
        u8 ch = (u8)path.ptr[i];
        bool plain = is_unreserved((char)ch) || (ch && strchr("$&+,/:;=@", ch));
        char three[3] = {'%', "0123456789ABCDEF"[ch >> 4], "0123456789ABCDEF"[ch & 15]};
        str want = plain ? str_of(&path.ptr[i], 1) : str_of(three, 3);
        if (!str_starts(str_skip(raw, at), want)) return false;
        at += want.len;
    }
    return at == raw.len;
}

static void put(struct builtin_call *c, struct value_builder *b, const char *name, value v) {
    if (v.kind == VALUE_STRING && value_str(v).len)
        value_builder_replace(b, value_string_c(c->heap, name), v);
}

static value uri_object(struct builtin_call *c, const struct uri *u) {
    struct value_builder b;
    value path = unescaped(c, u->raw_path, PART_PATH);
    value fragment = c->failed ? UNDEFINED : unescaped(c, u->fragment, PART_FRAGMENT);
    if (path.kind != VALUE_STRING || fragment.kind != VALUE_STRING) return UNDEFINED;
    struct buf scheme;
    builtin_text_open(c, &scheme);
    for (size_t i = 0; i < u->scheme.len; i++)
        (void)buf_add_byte(&scheme, u->scheme.ptr[i] >= 'A' && u->scheme.ptr[i] <= 'Z'
                                        ? (char)(u->scheme.ptr[i] + 32)
                                        : u->scheme.ptr[i]);
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    put(c, &b, "scheme", builtin_text_close(c, &scheme));
    put(c, &b, "hostname", builtin_string_of(c, u->host));
    put(c, &b, "port", builtin_string_of(c, u->port));
    put(c, &b, "path", path);
    bool same = path_is_default(u->raw_path, value_str(path));
    put(c, &b, "raw_path", same ? path : builtin_string_of(c, u->raw_path));
    put(c, &b, "raw_query", builtin_string_of(c, u->query));
    put(c, &b, "fragment", fragment);
    return value_builder_close(&b);
}

static value uri_parse(struct builtin_call *c, str text) {
    struct uri u = {0};
    struct buf host, quoted;
    if (!builtin_tick(c, (u32)MIN(text.len / 16, (size_t)UINT32_MAX))) return UNDEFINED;
    builtin_text_open(c, &host);
    value v = uri_split(c, text, &u, &host) ? uri_object(c, &u) : UNDEFINED;
    buf_close(&host);
    if (!c->failed || c->halt) return v;
    char why[sizeof(c->message)];
    memcpy(why, c->message, sizeof(why));
    buf_open(&quoted, 400);
    quote_write(&quoted, str_take(text, 300), false);
    value failed = builtin_fail(c, "parse %.*s: %s", STR(buf_str(&quoted)), why);
    buf_close(&quoted);
    return failed;
}

value builtin_uri_parse(struct builtin_call *c, const value *args) {
    str text;
    return builtin_take_string(c, args, 0, &text) ? uri_parse(c, text) : UNDEFINED;
}
value builtin_uri_is_valid(struct builtin_call *c, const value *args) {
    if (args[0].kind != VALUE_STRING || value_str(args[0]).len == 0) return value_boolean(false);
    uri_parse(c, value_str(args[0]));
    if (c->halt || c->heap->exhausted) return UNDEFINED;
    bool valid = !c->failed;
    c->failed = false;
    return value_boolean(valid);
}
