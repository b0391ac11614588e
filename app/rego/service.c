/* SPDX-License-Identifier: Apache-2.0 */
/* service.c — requests to the servers of policy.services.
 *
 *   policy.services --parse--> service --+ path, credentials, headers, trust--> http_client_request
 *
 * The option is read anew for each request: a changed token holds for the next one, and nothing of
 * it lies about between requests. Only access tokens we fetched ourselves (OAuth 2 client
 * credentials, RFC 6749 4.4) are kept, until shortly before they end. */
#include "app/rego/service.h"
#include "app/rego/bundles.h"
#include "app/json.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"
#include "mbedtls/base64.h"
#include <stdio.h>

enum { TOKENS_KEPT = 8, TOKEN_MAX = 4096, TOKEN_ANSWER_MAX = 65536, TOKEN_EARLY_S = 30 };
#define SERVICE_DEADLINE_S 30u

rc_t service_each(struct arena *a, const struct service **list, u32 *count, struct diag *why) {
    struct service *made = arena_alloc(a, SERVICES_MAX * sizeof *made);
    *list = made;
    *count = 0;
    if (!made) return RC_NO_MEMORY;
    str text;
    rc_t rc = section_text(a, "services", &text);
    return rc ? rc : services_parse(a, text, made, count, why);
}

rc_t service_find(struct arena *a, str name, struct service *out, struct diag *why) {
    const struct service *list;
    u32 count;
    rc_t rc = service_each(a, &list, &count, why);
    if (rc) return rc;
    for (u32 i = 0; i < count; i++) {
        if (name.len ? !str_eq(list[i].name, name) : count > 1) continue;
        *out = list[i];
        return RC_OK;
    }
    if (name.len)
        diag_set(why, "policy.services has no \"%.*s\"", STR(str_take(name, 100)));
    else if (count)
        diag_set(why, "policy.services has several; one must be named");
    else
        diag_set(why, "policy.services is empty");
    return RC_NOT_FOUND;
}

/* ---- Credentials ----------------------------------------------------------------------------- */

static rc_t base64_of(struct arena *a, str plain, str *out) {
    size_t room = (plain.len + 2) / 3 * 4 + 1, n = 0;
    char *to = arena_alloc(a, room);
    if (!to) return RC_NO_MEMORY;
    if (mbedtls_base64_encode((u8 *)to, room, &n, (const u8 *)plain.ptr, plain.len))
        return RC_LIMIT;
    *out = str_of(to, n);
    return RC_OK;
}

static rc_t basic(struct arena *a, str user, str password, str *out) {
    str coded, plain = arena_join(a, user, S(":"), password);
    rc_t rc = plain.ptr ? base64_of(a, plain, &coded) : RC_NO_MEMORY;
    if (rc) return rc;
    *out = arena_join(a, S("Basic "), coded);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

struct kept_token {
    u64 key;      /* of server, client, secret and scopes; 0: free */
    u64 until_ns; /* platform clock */
    char text[TOKEN_MAX];
};
static struct kept_token kept[TOKENS_KEPT];

static u64 token_key(const struct service *s) {
    str parts[] = {s->token_url, s->client_id, s->client_secret, s->scopes};
    u64 key = 1;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) key = str_hash(parts[i], key);
    return key ? key : 1;
}

static struct kept_token *token_slot(u64 key) {
    struct kept_token *oldest = &kept[0];
    for (u32 i = 0; i < TOKENS_KEPT; i++) {
        if (kept[i].key == key) return &kept[i];
        if (kept[i].until_ns < oldest->until_ns) oldest = &kept[i];
    }
    return oldest;
}

/* Form encoding of one text (RFC 6749 appendix B). */
static rc_t form_text(struct arena *a, str s, str *out) {
    static const char hex[] = "0123456789ABCDEF";
    char *to = arena_alloc(a, s.len * 3 + 1);
    size_t n = 0;
    if (!to) return RC_NO_MEMORY;
    for (size_t i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        bool plain = (u8)((c | 32) - 'a') < 26 || (u8)(c - '0') < 10 || c == '-' || c == '_' ||
                     c == '.' || c == '~';
        if (plain) {
            to[n++] = (char)c;
            continue;
        }
        to[n++] = '%', to[n++] = hex[c >> 4], to[n++] = hex[c & 15];
    }
    *out = str_of(to, n);
    return RC_OK;
}

static rc_t token_of_answer(struct arena *a, str body, str *token, u64 *seconds, struct diag *why) {
    cJSON *root;
    rc_t rc = json_parse_parked(a, body, &root, why);
    if (rc) return rc;
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(root, "access_token");
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(root, "expires_in");
    *token = cJSON_IsString(t) ? str_from_c(t->valuestring) : S("");
    double left = cJSON_IsNumber(e) ? e->valuedouble : 0;
    *seconds = left > 0 && left < 1e9 ? (u64)left : 60;
    for (size_t i = 0; i < token->len; i++)
        if ((u8)token->ptr[i] <= ' ' || (u8)token->ptr[i] >= 0x7F) *token = S("");
    if (token->len && token->len < TOKEN_MAX) return RC_OK;
    diag_set(why, "the token server's answer has no usable access_token");
    return RC_INVALID;
}

static rc_t fetch_token(struct arena *a, const struct service *s, struct kept_token *into, u64 key,
                        struct diag *why) {
    struct http_client_answer answer;
    struct http_client_trust trust = {
        .ca_pem = s->ca_pem, .server_name = s->server_name, .insecure = s->insecure};
    str id, secret, scope, authorization, body, token;
    u64 seconds;
    rc_t rc = form_text(a, s->client_id, &id);
    if (!rc) rc = form_text(a, s->client_secret, &secret);
    if (!rc) rc = form_text(a, s->scopes, &scope);
    if (!rc) rc = basic(a, id, secret, &authorization); /* RFC 6749 2.3.1 */
    if (rc) return rc;
    struct http_field fields[] = {{S("Authorization"), authorization},
                                  {S("Content-Type"), S("application/x-www-form-urlencoded")},
                                  {S("Accept"), S("application/json")}};
    body =
        arena_join(a, S("grant_type=client_credentials"), scope.len ? S("&scope=") : S(""), scope);
    if (!body.ptr) return RC_NO_MEMORY;
    struct http_client_request r = {.method = S("POST"),
                                    .url = s->token_url,
                                    .fields = fields,
                                    .field_count = ARRAY_LEN(fields),
                                    .body = body,
                                    .trust = &trust,
                                    .deadline_ns =
                                        platform_clock_ns() + SERVICE_DEADLINE_S * NS_PER_S};
    rc = http_client_fetch(a, &r, TOKEN_ANSWER_MAX, &answer, &body, why);
    if (rc) return rc;
    if (answer.status != 200) {
        diag_set(why, "the token server answered %d", answer.status);
        return RC_DENIED;
    }
    if ((rc = token_of_answer(a, body, &token, &seconds, why))) return rc;
    u64 early = MIN(seconds / 2, (u64)TOKEN_EARLY_S);
    into->key = key;
    into->until_ns = platform_clock_ns() + (seconds - early) * NS_PER_S;
    return str_to_c(token, into->text, sizeof into->text);
}

static rc_t access_token(struct arena *a, const struct service *s, str *out, struct diag *why) {
    u64 key = token_key(s);
    struct kept_token *slot = token_slot(key);
    if (slot->key != key || slot->until_ns <= platform_clock_ns()) {
        struct kept_token fresh = {0}; /* the slots may change hands while we are parked */
        rc_t rc = fetch_token(a, s, &fresh, key, why);
        if (rc) return rc;
        slot = token_slot(key);
        *slot = fresh;
    }
    *out = arena_join(a, S("Bearer "), str_from_c(slot->text));
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t authorization(struct arena *a, const struct service *s, str *out, struct diag *why) {
    *out = S("");
    if (s->token_url.len) return access_token(a, s, out, why);
    if (s->username.len) return basic(a, s->username, s->password, out);
    if (!s->token.len) return RC_OK;
    *out = arena_join(a, s->scheme, S(" "), s->token);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

/* ---- The request ----------------------------------------------------------------------------- */

rc_t service_request(struct arena *a, const struct service *s, str method, str path,
                     const struct http_field *fields, u32 field_count,
                     struct http_client_request *out, struct diag *why) {
    struct http_field *all = arena_alloc(a, (s->header_count + field_count + 1) * sizeof *all);
    struct http_client_trust *trust = arena_zero(a, sizeof *trust);
    u32 n = 0;
    str shown;
    if (!all || !trust) return RC_NO_MEMORY;
    rc_t rc = authorization(a, s, &shown, why);
    if (rc) return rc;
    if (shown.len) all[n++] = (struct http_field){S("Authorization"), shown};
    for (u32 i = 0; i < s->header_count; i++) all[n++] = s->headers[i];
    for (u32 i = 0; i < field_count; i++) all[n++] = fields[i];
    *trust = (struct http_client_trust){.ca_pem = s->ca_pem,
                                        .cert_pem = s->cert_pem,
                                        .key_pem = s->key_pem,
                                        .server_name = s->server_name,
                                        .insecure = s->insecure};
    while (path.len && path.ptr[0] == '/') path = str_skip(path, 1);
    *out = (struct http_client_request){
        .method = method,
        .url = arena_join(a, s->url, path.len ? S("/") : S(""), path),
        .fields = all,
        .field_count = n,
        .trust = trust,
        .deadline_ns =
            platform_clock_ns() + MAX(s->header_timeout_s, SERVICE_DEADLINE_S) * NS_PER_S,
        .redirects_max = 5,
        .attempts = 1};
    return out->url.ptr ? RC_OK : RC_NO_MEMORY;
}
