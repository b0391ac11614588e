/* SPDX-License-Identifier: Apache-2.0 */
/* service.c — requests to the servers of policy.services.
 *
 *   policy.services --parse--> service --+ path, credentials, headers, trust--> http_client_request
 *
 * The option is read anew for each request: a changed token holds for the next one, and nothing of
 * it lies about between requests. */
#include "app/rego/service.h"
#include "app/config/config.h"
#include "kernel/platform.h"
#include "mbedtls/base64.h"

#define SERVICE_DEADLINE_S 30u

rc_t service_each(struct arena *a, const struct service **list, u32 *count, struct diag *why) {
    struct service *made = arena_alloc(a, SERVICES_MAX * sizeof *made);
    *list = made;
    *count = 0;
    if (!made) return RC_NO_MEMORY;
    return services_parse(a, config_text("policy.services"), made, count, why);
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

static rc_t authorization(struct arena *a, const struct service *s, str *out, struct diag *why) {
    *out = S("");
    (void)why;
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
