/* SPDX-License-Identifier: Apache-2.0 */
/* http.c — http.send: a policy's request given to whoever may send it, and what came back as a
 * value.
 *
 *   {method, url, headers, body ...} -> checked -> http_send_fn of the evaluation -> {status_code,
 * body ...}
 *
 * The engine has no network: an evaluation that was not given a way to send answers with an error.
 * Which hosts may be asked is the sender's business; answers kept beyond the query are
 * http_cache.c's; within a query the machine asks once for equal requests, and this file for those
 * that differ in headers to be ignored. */
#include "app/policy/builtin/http_request.h"
#include "app/policy/builtin/layout.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include <stdio.h>

struct sending {
    struct http_send_request request;
    bool raise, json, yaml;
    value key; /* the request less the headers that do not matter to a cache */
};

/* ---- The request ----------------------------------------------------------------------------- */

static bool take_flag(struct builtin_call *c, value request, const char *name, bool *out) {
    value v = value_get_str(request, str_from_c(name));
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_BOOLEAN)) {
        builtin_fail(c, "invalid value for %s field", name);
        return false;
    }
    *out = value_is_true(v);
    return true;
}

static bool take_text(struct builtin_call *c, value request, const char *name, str *out) {
    value v = value_get_str(request, str_from_c(name));
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_STRING)) {
        builtin_fail(c, "\"%s\" must be a string", name);
        return false;
    }
    *out = value_str(v);
    return true;
}

static bool take_timeout(struct builtin_call *c, value request, u64 *ns) {
    value v = value_get_str(request, S("timeout"));
    s64 n;
    *ns = 5 * NS_PER_S;
    if (!value_defined(v)) return true;
    if (value_is(v, VALUE_NUMBER) && builtin_integer_of(v, &n) && n >= 0) {
        *ns = (u64)n;
        return true;
    }
    struct buf why;
    buf_open(&why, 256);
    bool ok = value_is(v, VALUE_STRING) && duration_read(value_str(v), &n, &why) && n >= 0;
    if (ok)
        *ns = (u64)n;
    else if (value_is(v, VALUE_STRING))
        builtin_fail(c, "%.*s", (int)why.len, why.ptr ? why.ptr : "");
    else
        builtin_fail(c, "'timeout' must be one of {string, number} but got %s",
                     value_kind_name(v.kind));
    buf_close(&why);
    return ok;
}

/* ---- Answers kept beyond the question ---- */

static bool take_count(struct builtin_call *c, value request, const char *name, s64 *out) {
    value v = value_get_str(request, str_from_c(name));
    *out = 0;
    if (!value_defined(v)) return true;
    if (value_is(v, VALUE_NUMBER) && builtin_integer_of(v, out) && *out >= 0 && *out <= INT32_MAX)
        return true;
    struct buf text;
    buf_open(&text, 200);
    value_write(&text, v);
    builtin_fail(c, "invalid value %.*s for field \"%s\"", (int)text.len, text.ptr ? text.ptr : "",
                 name);
    buf_close(&text);
    return false;
}

static bool take_mode(struct builtin_call *c, value request) {
    value v = value_get_str(request, S("caching_mode"));
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_STRING)) {
        builtin_fail(c, "invalid value for \"caching_mode\" field");
        return false;
    }
    /* Both keep what came as text here: reading it again costs less than copying a tree. */
    if (str_eq(value_str(v), S("serialized")) || str_eq(value_str(v), S("deserialized")))
        return true;
    builtin_fail(c, "invalid value specified for \"caching_mode\" field: %.*s",
                 STR(str_take(value_str(v), 100)));
    return false;
}

static bool is_ignored(value ignored, value name) {
    for (u32 i = 0; i < value_count(ignored); i++) {
        value one = value_is(ignored, VALUE_ARRAY) ? value_item(ignored, i) : UNDEFINED;
        if (value_is(one, VALUE_STRING) && value_is(name, VALUE_STRING) &&
            str_eq_nocase(value_str(one), value_str(name)))
            return true;
    }
    return false;
}

static bool make_key(struct builtin_call *c, value request, value *key) {
    value ignored = value_get_str(request, S("cache_ignored_headers"));
    value headers = value_get_str(request, S("headers"));
    struct value_builder all, kept;
    *key = request;
    if (!value_defined(ignored)) return true;
    if (!value_is(ignored, VALUE_ARRAY)) {
        builtin_fail(c, "invalid value for cache_ignored_headers field");
        return false;
    }
    value_builder_open(&all, c->heap, VALUE_OBJECT);
    value_builder_open(&kept, c->heap, VALUE_OBJECT);
    for (u32 i = 0; value_is(headers, VALUE_OBJECT) && i < value_count(headers); i++)
        if (!is_ignored(ignored, value_key_at(headers, i)))
            value_builder_replace(&kept, value_key_at(headers, i), value_value_at(headers, i));
    for (u32 i = 0; i < value_count(request); i++)
        if (!str_eq(value_str(value_key_at(request, i)), S("cache_ignored_headers")) &&
            !str_eq(value_str(value_key_at(request, i)), S("headers")))
            value_builder_replace(&all, value_key_at(request, i), value_value_at(request, i));
    value_builder_replace(&all, value_string_c(c->heap, "headers"), value_builder_close(&kept));
    *key = value_builder_close(&all);
    return true;
}

static bool take_caching(struct builtin_call *c, value request, struct sending *s) {
    struct http_send_request *r = &s->request;
    s64 attempts;
    bool force = false;
    struct buf text;
    if (!take_flag(c, request, "cache", &r->cache) ||
        !take_flag(c, request, "force_cache", &force) || !take_mode(c, request) ||
        !take_count(c, request, "max_retry_attempts", &attempts) || !make_key(c, request, &s->key))
        return false;
    r->attempts = (u32)MIN(attempts, 100) + 1;
    r->now_ns = evaluation_now_ns(c->evaluation);
    if (force && !value_defined(value_get_str(request, S("force_cache_duration_seconds")))) {
        builtin_fail(c,
                     "'force_cache' set but 'force_cache_duration_seconds' parameter is missing");
        return false;
    }
    if (force && !take_count(c, request, "force_cache_duration_seconds", &r->force_s)) return false;
    r->cache |= force;
    if (!r->cache) return true;
    builtin_text_open(c, &text);
    json_text_write(&text, s->key, 0);
    value v = builtin_text_close(c, &text);
    if (!value_is(v, VALUE_STRING)) return false;
    r->key = value_str(v);
    return true;
}

/* There are no files here, and a call that goes out without what was to protect it is worse than
 * one that fails. */
static bool refuse_files(struct builtin_call *c, value request) {
    static const char *const names[] = {
        "tls_ca_cert_file",    "tls_ca_cert_env_variable",    "tls_client_cert_file",
        "tls_client_key_file", "tls_client_key_env_variable", "tls_client_cert_env_variable"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        value v = value_get_str(request, str_from_c(names[i]));
        if (!value_defined(v) || (value_is(v, VALUE_STRING) && !value_str(v).len)) continue;
        builtin_fail(c, "%s: there are no files and no environment here; give the text itself",
                     names[i]);
        return false;
    }
    return true;
}

/* PEM in one line, its line feeds written out: as people put it into JSON twice. */
static bool take_pem(struct builtin_call *c, value request, const char *name, str *out) {
    if (!take_text(c, request, name, out) || str_find(*out, S("\\n")) == out->len)
        return !c->failed;
    char *to = heap_alloc(c->heap, out->len + 1);
    size_t n = 0;
    if (!to) return false;
    for (size_t i = 0; i < out->len; i++) {
        bool escaped = out->ptr[i] == '\\' && i + 1 < out->len && out->ptr[i + 1] == 'n';
        to[n++] = escaped ? '\n' : out->ptr[i];
        i += escaped;
    }
    *out = str_of(to, n);
    return true;
}

static bool take_headers(struct builtin_call *c, value request, struct http_send_request *out) {
    value v = value_get_str(request, S("headers"));
    if (!value_defined(v)) return true;
    if (!value_is(v, VALUE_OBJECT)) {
        builtin_fail(c, "invalid type for headers key");
        return false;
    }
    u32 n = value_count(v);
    struct http_send_header *h = heap_alloc(c->heap, MAX(1, n) * sizeof *h);
    if (!h) return false;
    for (u32 i = 0; i < n; i++) {
        value name = value_key_at(v, i), text = value_value_at(v, i);
        if (!value_is(name, VALUE_STRING) || !value_is(text, VALUE_STRING)) {
            builtin_fail(c, "invalid type for headers value %s", value_kind_name(text.kind));
            return false;
        }
        h[i] = (struct http_send_header){value_str(name), value_str(text)};
    }
    out->headers = h, out->header_count = n;
    return true;
}

static bool take_body(struct builtin_call *c, value request, struct http_send_request *out) {
    value body = value_get_str(request, S("body"));
    if (!take_text(c, request, "raw_body", &out->body)) return false;
    if (value_defined(value_get_str(request, S("raw_body"))) || !value_defined(body)) return true;
    struct buf text;
    builtin_text_open(c, &text);
    json_text_write(&text, body, JSON_TEXT_ESCAPE_HTML);
    value v = builtin_text_close(c, &text);
    if (!value_is(v, VALUE_STRING)) return false;
    out->body = value_str(v);
    return true;
}

static bool take_request(struct builtin_call *c, value request, struct sending *s) {
    struct http_send_request *r = &s->request;
    if (!http_check_request(c, request, 1)) return false;
    if (!take_text(c, request, "method", &r->method) || !take_text(c, request, "url", &r->url))
        return false;
    if (!take_flag(c, request, "enable_redirect", &r->follow) ||
        !take_flag(c, request, "tls_insecure_skip_verify", &r->insecure) ||
        !take_flag(c, request, "force_json_decode", &s->json) ||
        !take_flag(c, request, "force_yaml_decode", &s->yaml))
        return false;
    if (!take_pem(c, request, "tls_ca_cert", &r->ca_cert) ||
        !take_pem(c, request, "tls_client_cert", &r->client_cert) ||
        !take_pem(c, request, "tls_client_key", &r->client_key) ||
        !take_text(c, request, "tls_server_name", &r->server_name) || !refuse_files(c, request) ||
        !take_caching(c, request, s))
        return false;
    char *upper = heap_alloc(c->heap, r->method.len + 1);
    if (!upper) return false;
    for (size_t i = 0; i < r->method.len; i++)
        upper[i] = r->method.ptr[i] >= 'a' && r->method.ptr[i] <= 'z'
                       ? (char)(r->method.ptr[i] & ~0x20)
                       : r->method.ptr[i];
    r->method.ptr = upper;
    return take_timeout(c, request, &r->timeout_ns) && take_headers(c, request, r) &&
           take_body(c, request, r);
}

/* ---- The answer ------------------------------------------------------------------------------ */

static void put(struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(b->heap, name), v);
}

/* Headers by lower-case name, each with all its values. */
static value headers_value(struct builtin_call *c, const struct http_send_answer *a) {
    struct value_builder all, one;
    value_builder_open(&all, c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < a->header_count; i++) {
        char *name = value_string_room(c->heap, a->headers[i].name.len);
        if (!name) return value_null();
        for (size_t j = 0; j < a->headers[i].name.len; j++) {
            char ch = a->headers[i].name.ptr[j];
            name[j] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
        }
        value key = value_string_seal(name, a->headers[i].name.len),
              old = value_builder_find(&all, key);
        value_builder_open(&one, c->heap, VALUE_ARRAY);
        for (u32 j = 0; value_defined(old) && j < value_count(old); j++)
            value_builder_add(&one, value_item(old, j));
        value_builder_add(&one, value_string(c->heap, a->headers[i].text));
        value_builder_replace(&all, key, value_builder_close(&one));
    }
    return value_builder_close(&all);
}

static bool has_type(value headers, const char *const *types, size_t count) {
    value list = value_get_str(headers, S("content-type"));
    for (u32 i = 0; i < value_count(list); i++) {
        str type = value_str(value_item(list, i));
        type = str_trim(str_take(type, str_find_byte(type, ';')));
        for (size_t j = 0; j < count; j++)
            if (str_eq_nocase(type, str_from_c(types[j])) ||
                (types[j][0] == '+' && str_ends(type, str_from_c(types[j]))))
                return true;
    }
    return false;
}

/* null when the body is of no kind that is read, or is not what it says. */
static value body_value(struct builtin_call *c, const struct sending *s, str body, value headers) {
    static const char *const json[] = {"application/json", "+json"};
    static const char *const yaml[] = {"application/yaml", "application/x-yaml"};
    struct diag why;
    value v;
    if (s->json || has_type(headers, json, ARRAY_LEN(json)))
        return json_text_read(c->heap, NULL, body, &v, &why) == RC_OK ? v : value_null();
    if (s->yaml || has_type(headers, yaml, ARRAY_LEN(yaml)))
        return yaml_text_read(c->heap, body, &v, &why) == RC_OK ? v : value_null();
    return value_null();
}

static value answer_value(struct builtin_call *c, const struct sending *s,
                          const struct http_send_answer *a) {
    struct value_builder b;
    char status[80];
    value headers = headers_value(c, a);
    snprintf(status, sizeof status, "%u %.*s", a->status, STR(str_take(a->reason, 60)));
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    put(&b, "status", value_string_c(c->heap, status));
    put(&b, "status_code", value_integer(a->status));
    put(&b, "headers", headers);
    put(&b, "raw_body", value_string(c->heap, a->body));
    put(&b, "body", body_value(c, s, a->body, headers));
    return value_builder_close(&b);
}

/* What went wrong, as an answer: for policies that asked not to be stopped by it. */
static value error_value(struct builtin_call *c, bool network) {
    struct value_builder b, error;
    char message[sizeof c->message + 16];
    snprintf(message, sizeof message, network ? "%s" : "http.send: %s", c->message);
    value_builder_open(&error, c->heap, VALUE_OBJECT);
    put(&error, "code",
        value_string_c(c->heap,
                       network ? "eval_http_send_network_error" : "eval_http_send_internal_error"));
    put(&error, "message", value_string_c(c->heap, message));
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    put(&b, "status_code", value_integer(0));
    put(&b, "error", value_builder_close(&error));
    c->failed = false;
    return value_builder_close(&b);
}

/* "Get", as the reference's client calls what it did. */
static str title(str method, char room[16]) {
    str m = str_take(method, 15);
    for (size_t i = 0; i < m.len; i++)
        room[i] = i && m.ptr[i] >= 'A' && m.ptr[i] <= 'Z' ? (char)(m.ptr[i] | 0x20) : m.ptr[i];
    return str_of(room, m.len);
}

bool http_host_allowed(value allow, str host) {
    bool sequence = value_is(allow, VALUE_ARRAY) || value_is(allow, VALUE_SET);
    if (!value_defined(allow)) return true;
    for (u32 i = 0; sequence && i < value_count(allow); i++)
        if (value_is(value_item(allow, i), VALUE_STRING) &&
            str_eq(value_str(value_item(allow, i)), host))
            return true;
    return false;
}

static bool check_host(struct builtin_call *c, struct sending *s) {
    struct http_url url;
    s->request.allow_net = evaluation_allow_net(c->evaluation);
    if (!value_defined(s->request.allow_net)) return true;
    if (!http_url_read(c, s->request.url, &url)) return false;
    str host = str_take(url.host, str_find_byte(url.host, ':'));
    if (http_host_allowed(s->request.allow_net, host)) return true;
    builtin_fail(c, "unallowed host: %.*s", STR(str_take(host, 200)));
    return false;
}

static value send_it(struct builtin_call *c, struct sending *s) {
    struct http_send_answer answer = {0};
    struct diag why = {0};
    void *arg = NULL;
    char room[16];
    str verb = title(s->request.method, room), url = str_take(s->request.url, 200);
    http_send_fn *send = evaluation_http(c->evaluation, &arg);
    if (!send)
        return builtin_fail(c, "%.*s \"%.*s\": this evaluation may not send requests", STR(verb),
                            STR(url));
    value known = evaluation_remember_get(c->evaluation, c->self, s->key);
    if (value_defined(known)) return known;
    rc_t rc = send(arg, c->heap, &s->request, &answer, &why);
    if (rc == RC_TIMEOUT)
        return builtin_fail(c, "%.*s %.*s: request timed out", STR(verb), STR(url));
    if (rc) return builtin_fail(c, "%.*s \"%.*s\": %s", STR(verb), STR(url), why.text);
    known = answer_value(c, s, &answer);
    if (!c->heap->exhausted) evaluation_remember(c->evaluation, c->self, s->key, known);
    return known;
}

value builtin_http_send(struct builtin_call *c, const value *args) {
    struct sending s = {.raise = true};
    bool network = false;
    value answer = UNDEFINED;
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT) ||
        !take_flag(c, args[0], "raise_error", &s.raise))
        return UNDEFINED;
    c->quiet &= s.raise; /* else the message is part of the answer */
    if (take_request(c, args[0], &s) && check_host(c, &s) && !c->heap->exhausted) {
        network = true;
        answer = send_it(c, &s);
    }
    if (!c->failed || c->halt || s.raise) return answer;
    return error_value(c, network);
}
