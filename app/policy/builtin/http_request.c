/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.c — requests as policies describe them: checked, and their addresses taken apart. */
#include "app/policy/builtin/http_request.h"
#include "app/policy/value/json_text.h"

static const char *const members[] = {
    "body",
    "cache",
    "cache_ignored_headers",
    "caching_mode",
    "enable_redirect",
    "force_cache",
    "force_cache_duration_seconds",
    "force_json_decode",
    "force_yaml_decode",
    "headers",
    "max_retry_attempts",
    "method",
    "raise_error",
    "raw_body",
    "timeout",
    "tls_ca_cert",
    "tls_ca_cert_env_variable",
    "tls_ca_cert_file",
    "tls_client_cert",
    "tls_client_cert_env_variable",
    "tls_client_cert_file",
    "tls_client_key",
    "tls_client_key_env_variable",
    "tls_client_key_file",
    "tls_insecure_skip_verify",
    "tls_server_name",
    "tls_use_system_certs",
    "url",
};

bool http_fail_set(struct builtin_call *c, u32 position, const char *words, value set) {
    struct buf text;
    buf_open(&text, 400);
    value_write(&text, set);
    builtin_fail_operand_because(c, position, "%s: %.*s", words, (int)text.len,
                                 text.ptr ? text.ptr : "");
    buf_close(&text);
    return false;
}

bool http_check_request(struct builtin_call *c, value request, u32 position) {
    struct value_builder unknown, missing;
    value_builder_open(&unknown, c->heap, VALUE_SET);
    value_builder_open(&missing, c->heap, VALUE_SET);
    for (u32 i = 0; i < value_count(request); i++) {
        value name = value_key_at(request, i);
        bool known = false;
        for (size_t j = 0; j < ARRAY_LEN(members) && value_is(name, VALUE_STRING) && !known; j++)
            known = str_eq(value_str(name), str_from_c(members[j]));
        if (!known) value_builder_add(&unknown, name);
    }
    if (unknown.count)
        return http_fail_set(c, position, "invalid request parameters(s)",
                             value_builder_close(&unknown));
    static const char *const required[] = {"method", "url"};
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        if (!value_defined(value_get_str(request, str_from_c(required[i]))))
            value_builder_add(&missing, value_string_c(c->heap, required[i]));
    return !missing.count || http_fail_set(c, position, "missing required request parameters(s)",
                                           value_builder_close(&missing));
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static bool is_alnum(char ch) {
    char low = ch | 0x20;
    return (low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9');
}
static s32 hex_digit(char ch) {
    char low = ch | 0x20;
    return ch >= '0' && ch <= '9' ? ch - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* A path with only characters that may stand in one is taken as it is; any other is escaped. */
static bool escape_path(struct builtin_call *c, str path, str *out) {
    bool good = true;
    for (size_t i = 0; i < path.len; i++) {
        char ch = path.ptr[i];
        if (ch == '%' && (i + 2 >= path.len || hex_digit(path.ptr[i + 1]) < 0 ||
                          hex_digit(path.ptr[i + 2]) < 0)) {
            builtin_fail(c, "invalid URL escape \"%.*s\"", STR(str_take(str_skip(path, i), 3)));
            return false;
        }
        good = good && (is_alnum(ch) || (ch && strchr("-_.~!$&'()*+,;=:@[]/%", ch)));
    }
    *out = path;
    if (good) return true;
    char *to = heap_alloc(c->heap, 3 * path.len + 1);
    size_t n = 0;
    if (!to) return false;
    for (size_t i = 0; i < path.len; i++) {
        u8 ch = (u8)path.ptr[i];
        if (ch == '%')
            ch = (u8)(hex_digit(path.ptr[i + 1]) << 4 | hex_digit(path.ptr[i + 2])), i += 2;
        if (is_alnum((char)ch) || (ch && strchr("-_.~$&+,/:;=@", ch)))
            to[n++] = (char)ch;
        else
            to[n++] = '%', to[n++] = "0123456789ABCDEF"[ch >> 4],
            to[n++] = "0123456789ABCDEF"[ch & 15];
    }
    *out = str_of(to, n);
    return true;
}

bool http_url_read(struct builtin_call *c, str text, struct http_url *out) {
    *out = (struct http_url){0};
    for (size_t i = 0; i < text.len; i++)
        if ((u8)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F) {
            builtin_fail(c, "parse \"%.*s\": net/url: invalid control character in URL",
                         STR(str_take(text, 200)));
            return false;
        }
    str rest = str_take(text, str_find_byte(text, '#'));
    size_t query = str_find_byte(rest, '?');
    out->query = str_skip(rest, query + 1);
    rest = str_take(rest, query);
    size_t colon = str_find_byte(rest, ':');
    if (colon == 0 && rest.len) {
        builtin_fail(c, "parse \"%.*s\": missing protocol scheme", STR(str_take(text, 200)));
        return false;
    }
    if (colon < rest.len && str_find_byte(str_take(rest, colon), '/') == colon)
        out->scheme = str_take(rest, colon), rest = str_skip(rest, colon + 1);
    if (str_starts(rest, S("//"))) {
        rest = str_skip(rest, 2);
        size_t slash = str_find_byte(rest, '/');
        out->host = str_take(rest, slash);
        rest = str_skip(rest, slash);
        for (size_t at = str_find_byte(out->host, '@'); at < out->host.len;
             at = str_find_byte(out->host, '@'))
            out->host = str_skip(out->host, at + 1);
    }
    return escape_path(c, rest, &out->path);
}
