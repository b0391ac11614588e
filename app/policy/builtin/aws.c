/* SPDX-License-Identifier: Apache-2.0 */
/* aws.c — providers.aws.sign_req: a request's headers with a Signature Version 4.
 *
 *   canonical request = method, path, query, headers (sorted, lower case), their names, hash of the
 * body text to sign      = algorithm, time, day/region/service/aws4_request, hash of the canonical
 * request key               = HMAC over "AWS4" secret, day, region, service, "aws4_request" in turn
 *
 * What is checked, and in which order, is the reference's. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/http_request.h"
#include "app/policy/builtin/x509.h"
#include "app/policy/value/json_text.h"
#include <mbedtls/md.h>

enum { HASH_BYTES = 32 };

static bool sha256(str text, u8 out[HASH_BYTES]) {
    return !mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const u8 *)text.ptr, text.len,
                       out);
}
static bool hmac(const u8 *key, size_t n, str text, u8 out[HASH_BYTES]) {
    return !mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, n,
                            (const u8 *)text.ptr, text.len, out);
}
static void add_hash(struct buf *to, str text) {
    u8 hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    if (!sha256(text, hash) || str_hex(hash, sizeof hash, hex, sizeof hex))
        to->failed = true;
    else
        (void)buf_add(to, str_of(hex, 2 * HASH_BYTES));
}

struct signing {
    str access_key, secret_key, region, service, token;
    str method;
    struct http_url url;
    struct buf body_hash;
    value headers; /* as given, by name */
    char day[16], time[32];
    bool unsigned_body;
};

/* ---- Arguments ------------------------------------------------------------------------------- */

static str text_of(value object, const char *name) {
    value v = value_get_str(object, str_from_c(name));
    return value_is(v, VALUE_STRING) ? value_str(v) : (str){0};
}

static bool take_config(struct builtin_call *c, value config, struct signing *s) {
    static const char *const required[] = {"aws_access_key", "aws_region", "aws_secret_access_key",
                                           "aws_service"};
    struct value_builder missing, invalid;
    value_builder_open(&missing, c->heap, VALUE_SET);
    value_builder_open(&invalid, c->heap, VALUE_SET);
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        value name = value_string_c(c->heap, required[i]), v = value_get(config, name);
        if (!value_defined(v))
            value_builder_add(&missing, name);
        else if (!value_is(v, VALUE_STRING))
            value_builder_add(&invalid, name);
    }
    if (missing.count)
        return http_fail_set(c, 2, "missing required AWS config parameters(s)",
                             value_builder_close(&missing));
    if (invalid.count)
        return http_fail_set(c, 2, "invalid values for required AWS config parameters(s)",
                             value_builder_close(&invalid));
    s->access_key = text_of(config, "aws_access_key"),
    s->secret_key = text_of(config, "aws_secret_access_key");
    s->region = text_of(config, "aws_region"), s->service = text_of(config, "aws_service");
    s->token = text_of(config, "aws_session_token");
    return true;
}

static bool take_time(struct builtin_call *c, const value *args, struct signing *s) {
    s64 ns;
    if (!value_is(args[2], VALUE_NUMBER)) {
        builtin_fail_operand(c, 1, "number", args[2]); /* the reference counts so */
        return false;
    }
    if (!builtin_integer_of(args[2], &ns)) {
        builtin_fail_operand_because(c, 3, "could not convert time_ns value into a unix timestamp");
        return false;
    }
    s64 seconds = ns / (s64)NS_PER_S - (ns % (s64)NS_PER_S < 0);
    value text = x509_time(c->heap, seconds); /* 2006-01-02T15:04:05Z */
    size_t n = 0, day = 0;
    for (size_t i = 0;
         value_is(text, VALUE_STRING) && i < value_str(text).len && n < sizeof s->time - 1; i++) {
        char ch = value_str(text).ptr[i];
        if (ch == 'T') day = n;
        if (ch != '-' && ch != ':') s->time[n++] = ch;
    }
    memcpy(s->day, s->time, MIN(day, sizeof s->day - 1));
    return n > 0;
}

static bool take_request(struct builtin_call *c, value request, struct signing *s) {
    struct value_builder invalid;
    value url = value_get_str(request, S("url")), method = value_get_str(request, S("method"));
    if (!http_check_request(c, request, 1)) return false;
    s->headers = value_get_str(request, S("headers"));
    if (!value_defined(s->headers)) s->headers = value_empty_object();
    if (!value_is(s->headers, VALUE_OBJECT)) {
        builtin_fail_operand(c, 0, "object", s->headers);
        return false;
    }
    value_builder_open(&invalid, c->heap, VALUE_SET);
    if (!value_is(url, VALUE_STRING)) value_builder_add(&invalid, value_string_c(c->heap, "url"));
    if (!value_is(method, VALUE_STRING))
        value_builder_add(&invalid, value_string_c(c->heap, "method"));
    if (invalid.count)
        return http_fail_set(c, 1, "invalid values for required request parameters(s)",
                             value_builder_close(&invalid));
    s->method = value_str(method);
    return http_url_read(c, value_str(url), &s->url);
}

static bool take_body(struct builtin_call *c, value request, struct signing *s) {
    value raw = value_get_str(request, S("raw_body")), body = value_get_str(request, S("body"));
    struct buf text;
    if (s->unsigned_body) return buf_add(&s->body_hash, S("UNSIGNED-PAYLOAD")) == RC_OK;
    builtin_text_open(c, &text);
    if (value_is(raw, VALUE_STRING))
        (void)buf_add(&text, value_str(raw));
    else if (!value_defined(raw) && value_defined(body))
        json_text_write(&text, body, JSON_TEXT_ESCAPE_HTML);
    bool ok = !text.failed && builtin_tick(c, 1 + (u32)(text.len / 64));
    if (ok) add_hash(&s->body_hash, buf_str(&text));
    buf_close(&text);
    return ok && !s->body_hash.failed;
}

/* ---- Signing --------------------------------------------------------------------------------- */

static value lower(struct builtin_call *c, str name) {
    char *to = value_string_room(c->heap, name.len);
    if (!to) return value_null();
    for (size_t i = 0; i < name.len; i++)
        to[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
    return value_string_seal(to, name.len);
}
static void put(struct value_builder *b, const char *name, str v) {
    value_builder_replace(b, value_string_c(b->heap, name), value_string(b->heap, v));
}

/* The headers that are added. */
static value added_headers(struct builtin_call *c, const struct signing *s) {
    struct value_builder b;
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    put(&b, "host", s->url.host);
    put(&b, "x-amz-date", str_from_c(s->time));
    if (str_eq(s->service, S("s3")) || str_eq(s->service, S("glacier")))
        put(&b, "x-amz-content-sha256", buf_str(&s->body_hash));
    if (s->token.len) put(&b, "x-amz-security-token", s->token);
    return value_builder_close(&b);
}

/* All that are signed, by lower-case name: objects are sorted. */
static value signed_headers(struct builtin_call *c, const struct signing *s, value added) {
    static const char *const ignored[] = {"authorization", "user-agent", "x-amzn-trace-id"};
    struct value_builder b;
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(added); i++)
        value_builder_replace(&b, value_key_at(added, i), value_value_at(added, i));
    for (u32 i = 0; i < value_count(s->headers); i++) {
        value name = value_key_at(s->headers, i), v = value_value_at(s->headers, i);
        name = lower(c, value_is(name, VALUE_STRING) ? value_str(name) : (str){0});
        bool skip = !value_is(name, VALUE_STRING);
        for (size_t j = 0; !skip && j < ARRAY_LEN(ignored); j++)
            skip = str_eq(value_str(name), str_from_c(ignored[j]));
        if (!skip)
            value_builder_replace(&b, name,
                                  value_is(v, VALUE_STRING) ? v : value_string_c(c->heap, ""));
    }
    return value_builder_close(&b);
}

static void add_names(struct buf *to, value headers) {
    for (u32 i = 0; i < value_count(headers); i++) {
        if (i) (void)buf_add_byte(to, ';');
        (void)buf_add(to, value_str(value_key_at(headers, i)));
    }
}

static void write_text_to_sign(const struct signing *s, value headers, struct buf *canonical,
                               struct buf *to) {
    (void)buf_printf(canonical, "%.*s\n", STR(s->method));
    (void)buf_add(canonical, s->url.path);
    (void)buf_printf(canonical, "\n%.*s\n", STR(s->url.query));
    for (u32 i = 0; i < value_count(headers); i++) {
        (void)buf_add(canonical, value_str(value_key_at(headers, i)));
        (void)buf_add_byte(canonical, ':');
        (void)buf_add(canonical, value_str(value_value_at(headers, i)));
        (void)buf_add_byte(canonical, '\n');
    }
    (void)buf_add_byte(canonical, '\n');
    add_names(canonical, headers);
    (void)buf_add_byte(canonical, '\n');
    (void)buf_add(canonical, buf_str(&s->body_hash));
    (void)buf_printf(to, "AWS4-HMAC-SHA256\n%s\n%s/%.*s/%.*s/aws4_request\n", s->time, s->day,
                     STR(s->region), STR(s->service));
    add_hash(to, buf_str(canonical));
    if (canonical->failed) to->failed = true;
}

static bool write_signature(struct builtin_call *c, const struct signing *s, value headers,
                            struct buf *to) {
    u8 key[HASH_BYTES];
    struct buf canonical, text;
    char hex[2 * HASH_BYTES + 1] = "";
    builtin_text_open(c, &canonical);
    builtin_text_open(c, &text);
    (void)buf_printf(&canonical, "AWS4%.*s", STR(s->secret_key));
    bool ok = !canonical.failed &&
              hmac((const u8 *)canonical.ptr, canonical.len, str_from_c(s->day), key) &&
              hmac(key, sizeof key, s->region, key) && hmac(key, sizeof key, s->service, key) &&
              hmac(key, sizeof key, S("aws4_request"), key);
    buf_clear(&canonical);
    write_text_to_sign(s, headers, &canonical, &text);
    ok = ok && !text.failed && hmac(key, sizeof key, buf_str(&text), key) &&
         !str_hex(key, sizeof key, hex, sizeof hex);
    buf_close(&text);
    buf_close(&canonical);
    (void)buf_printf(to,
                     "AWS4-HMAC-SHA256 Credential=%.*s/%s/%.*s/%.*s/aws4_request,SignedHeaders=",
                     STR(s->access_key), s->day, STR(s->region), STR(s->service));
    add_names(to, headers);
    (void)buf_printf(to, ",Signature=%s", hex);
    return ok;
}

static value answer(struct builtin_call *c, value request, const struct signing *s, value added,
                    value authorization) {
    struct value_builder headers, out;
    value_builder_open(&headers, c->heap, VALUE_OBJECT);
    value_builder_open(&out, c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(s->headers); i++) {
        value name = value_key_at(s->headers, i), v = value_value_at(s->headers, i);
        if (!value_is(name, VALUE_STRING)) name = value_string_c(c->heap, "");
        value_builder_replace(&headers, name,
                              value_is(v, VALUE_STRING) ? v : value_string_c(c->heap, ""));
    }
    value_builder_replace(&headers, value_string_c(c->heap, "Authorization"), authorization);
    for (u32 i = 0; i < value_count(added); i++)
        value_builder_replace(&headers, value_key_at(added, i), value_value_at(added, i));
    for (u32 i = 0; i < value_count(request); i++)
        value_builder_replace(&out, value_key_at(request, i), value_value_at(request, i));
    value_builder_replace(&out, value_string_c(c->heap, "headers"), value_builder_close(&headers));
    return value_builder_close(&out);
}

static value sign(struct builtin_call *c, const value *args, struct signing *s) {
    struct buf text;
    value disabled = value_get_str(args[1], S("disable_payload_signing"));
    if (!take_config(c, args[1], s) || !take_time(c, args, s) || !take_request(c, args[0], s))
        return UNDEFINED;
    if (value_defined(disabled) && !value_is(disabled, VALUE_BOOLEAN))
        return builtin_fail_operand_because(
            c, 2, "invalid value for 'disable_payload_signing' in AWS config");
    s->unsigned_body = value_is_true(disabled);
    if (!take_body(c, args[0], s)) return UNDEFINED;
    value added = added_headers(c, s), headers = signed_headers(c, s, added);
    if (c->heap->exhausted) return UNDEFINED;
    builtin_text_open(c, &text);
    bool ok = write_signature(c, s, headers, &text);
    value authorization = builtin_text_close(c, &text);
    return ok && value_is(authorization, VALUE_STRING) ? answer(c, args[0], s, added, authorization)
                                                       : builtin_fail_memory(c);
}

value builtin_providers_aws_sign_req(struct builtin_call *c, const value *args) {
    struct signing s = {0};
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT)) return UNDEFINED;
    if (!value_is(args[1], VALUE_OBJECT))
        return builtin_fail_operand(c, 1, "object", args[1]); /* the reference counts so */
    buf_open(&s.body_hash, 256);
    value v = sign(c, args, &s);
    buf_close(&s.body_hash);
    return v;
}
