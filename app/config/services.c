/* SPDX-License-Identifier: Apache-2.0 */
/* services.c — the value of policy.services, read and judged.
 *
 * It comes in the reference's form so that its users bring theirs along; what names a file there is
 * the text itself here. A member we do not know is refused rather than passed over: a misspelt
 * "credentials" must not end in a call without any. */
#include "app/config/services.h"
#include "app/json.h"
#include "net/http_parse.h"
#include "net/http_url.h"

enum { PARSE_ARENA_MAX = 256 << 10 };

struct reading {
    struct arena *a;
    struct service *s;
    struct diag *why;
};

static rc_t wrong(struct reading *r, const char *member, const char *wanted) {
    struct diag copy;
    diag_set(&copy, "%s", wanted); /* may lie in *why */
    diag_set(r->why, "%.*s: \"%s\" %s", STR(str_take(r->s->name, 60)), member, copy.text);
    return RC_INVALID;
}

static rc_t known(struct reading *r, const cJSON *object, const char *what,
                  const char *const *names) {
    if (!cJSON_IsObject(object)) return wrong(r, what, "wants an object");
    for (const cJSON *m = object->child; m; m = m->next) {
        u32 i = 0;
        while (names[i] && strcmp(names[i], m->string) != 0) i++;
        if (!names[i]) return wrong(r, m->string, "is not known here");
    }
    return RC_OK;
}

static rc_t text(struct reading *r, const cJSON *object, const char *name, str *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!m) return RC_OK;
    if (!cJSON_IsString(m)) return wrong(r, name, "wants a text");
    *out = str_from_c(m->valuestring);
    return RC_OK;
}

static rc_t required(struct reading *r, const cJSON *object, const char *name, str *out) {
    rc_t rc = text(r, object, name, out);
    return !rc && !out->len ? wrong(r, name, "is missing") : rc;
}

static rc_t field_text(struct reading *r, const char *member, str v) {
    return http_is_field_value(v) ? RC_OK : wrong(r, member, "holds a control byte");
}

static rc_t read_headers(struct reading *r, const cJSON *object) {
    struct http_field *list;
    if (!object) return RC_OK;
    if (!cJSON_IsObject(object)) return wrong(r, "headers", "wants an object");
    if (!(list = arena_alloc(r->a, SERVICE_HEADERS_MAX * sizeof *list))) return RC_NO_MEMORY;
    r->s->headers = list;
    for (const cJSON *m = object->child; m; m = m->next) {
        if (r->s->header_count == SERVICE_HEADERS_MAX) return wrong(r, "headers", "are too many");
        str name = str_from_c(m->string);
        if (!cJSON_IsString(m) || !http_is_token(name))
            return wrong(r, "headers", "wants names and texts");
        list[r->s->header_count++] = (struct http_field){name, str_from_c(m->valuestring)};
        rc_t rc = field_text(r, "headers", str_from_c(m->valuestring));
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t read_tls(struct reading *r, const cJSON *object) {
    static const char *const names[] = {"ca_cert", "server_name", NULL};
    rc_t rc = object ? known(r, object, "tls", names) : RC_OK;
    if (!rc) rc = text(r, object, "ca_cert", &r->s->ca_pem);
    if (!rc) rc = text(r, object, "server_name", &r->s->server_name);
    return rc;
}

static rc_t read_bearer(struct reading *r, const cJSON *m) {
    static const char *const names[] = {"token", "scheme", NULL};
    rc_t rc = known(r, m, "bearer", names);
    r->s->scheme = S("Bearer");
    if (!rc) rc = required(r, m, "token", &r->s->token);
    if (!rc) rc = text(r, m, "scheme", &r->s->scheme);
    if (!rc) rc = field_text(r, "token", r->s->token);
    return rc ? rc : field_text(r, "scheme", r->s->scheme);
}

static rc_t read_basic(struct reading *r, const cJSON *m) {
    static const char *const names[] = {"username", "password", NULL};
    rc_t rc = known(r, m, "basic", names);
    if (!rc) rc = required(r, m, "username", &r->s->username);
    if (!rc) rc = text(r, m, "password", &r->s->password);
    if (!rc && str_find_byte(r->s->username, ':') < r->s->username.len)
        rc = wrong(r, "username", "holds a colon (RFC 7617 2)");
    return rc;
}

static rc_t read_client_tls(struct reading *r, const cJSON *m) {
    static const char *const names[] = {"cert", "private_key", NULL};
    rc_t rc = known(r, m, "client_tls", names);
    if (!rc) rc = required(r, m, "cert", &r->s->cert_pem);
    return rc ? rc : required(r, m, "private_key", &r->s->key_pem);
}

static rc_t read_oauth2(struct reading *r, const cJSON *m) {
    static const char *const names[] = {"token_url",  "client_id", "client_secret",
                                        "grant_type", "scopes",    NULL};
    struct http_url url;
    str grant = S("client_credentials");
    rc_t rc = known(r, m, "oauth2", names);
    if (!rc) rc = required(r, m, "token_url", &r->s->token_url);
    if (!rc) rc = required(r, m, "client_id", &r->s->client_id);
    if (!rc) rc = required(r, m, "client_secret", &r->s->client_secret);
    if (!rc) rc = text(r, m, "grant_type", &grant);
    if (rc) return rc;
    if (!str_eq(grant, S("client_credentials")))
        return wrong(r, "grant_type", "wants client_credentials");
    if (http_url_parse(r->s->token_url, &url, r->why)) return wrong(r, "token_url", r->why->text);
    const cJSON *scopes = cJSON_GetObjectItemCaseSensitive(m, "scopes");
    if (scopes && !cJSON_IsArray(scopes)) return wrong(r, "scopes", "wants a list of texts");
    for (const cJSON *one = scopes ? scopes->child : NULL; one; one = one->next) {
        if (!cJSON_IsString(one)) return wrong(r, "scopes", "wants a list of texts");
        r->s->scopes = arena_join(r->a, r->s->scopes, r->s->scopes.len ? S(" ") : S(""),
                                  str_from_c(one->valuestring));
        if (!r->s->scopes.ptr) return RC_NO_MEMORY;
    }
    return RC_OK;
}

static rc_t read_credentials(struct reading *r, const cJSON *object) {
    static const char *const names[] = {"bearer", "basic", "client_tls", "oauth2", NULL};
    static rc_t (*const readers[])(struct reading *, const cJSON *) = {
        read_bearer, read_basic, read_client_tls, read_oauth2};
    rc_t rc = object ? known(r, object, "credentials", names) : RC_OK;
    if (rc || !object || !object->child) return rc;
    if (object->child->next) return wrong(r, "credentials", "wants one kind");
    for (u32 i = 0; names[i]; i++)
        if (!strcmp(names[i], object->child->string)) rc = readers[i](r, object->child);
    return rc;
}

static rc_t read_url(struct reading *r, const cJSON *m) {
    struct http_url url;
    rc_t rc = required(r, m, "url", &r->s->url);
    if (rc) return rc;
    if (http_url_parse(r->s->url, &url, r->why)) return wrong(r, "url", r->why->text);
    if (str_find_byte(url.target, '?') < url.target.len)
        return wrong(r, "url", "has a query, which a path behind it cannot follow");
    while (r->s->url.ptr[r->s->url.len - 1] == '/') r->s->url.len--;
    return RC_OK;
}

static rc_t read_service(struct reading *r, const cJSON *m) {
    static const char *const names[] = {"name",
                                        "url",
                                        "headers",
                                        "response_header_timeout_seconds",
                                        "credentials",
                                        "tls",
                                        "allow_insecure_tls",
                                        NULL};
    rc_t rc = known(r, m, "service", names);
    if (!rc) rc = read_url(r, m);
    if (!rc) rc = read_headers(r, cJSON_GetObjectItemCaseSensitive(m, "headers"));
    if (!rc) rc = read_tls(r, cJSON_GetObjectItemCaseSensitive(m, "tls"));
    if (!rc) rc = read_credentials(r, cJSON_GetObjectItemCaseSensitive(m, "credentials"));
    if (rc) return rc;
    const cJSON *insecure = cJSON_GetObjectItemCaseSensitive(m, "allow_insecure_tls");
    if (insecure && !cJSON_IsBool(insecure))
        return wrong(r, "allow_insecure_tls", "wants true or false");
    r->s->insecure = cJSON_IsTrue(insecure);
    const cJSON *wait = cJSON_GetObjectItemCaseSensitive(m, "response_header_timeout_seconds");
    r->s->header_timeout_s = 10;
    if (!wait) return RC_OK;
    if (!cJSON_IsNumber(wait) || wait->valuedouble < 1 || wait->valuedouble > 3600)
        return wrong(r, "response_header_timeout_seconds", "wants 1 to 3600");
    r->s->header_timeout_s = (u64)wait->valuedouble;
    return RC_OK;
}

rc_t services_parse(struct arena *a, str json, struct service *list, u32 *count, struct diag *why) {
    cJSON *root;
    *count = 0;
    if (!json.len) return RC_OK;
    rc_t rc = json_parse(a, json, &root, why);
    if (!rc && !cJSON_IsObject(root)) {
        diag_set(why, "wants an object of services by name");
        rc = RC_INVALID;
    }
    for (const cJSON *m = rc ? NULL : root->child; m && !rc; m = m->next) {
        if (*count == SERVICES_MAX) {
            diag_set(why, "wants at most %d services", SERVICES_MAX);
            return RC_INVALID;
        }
        struct service *s = &list[(*count)++];
        *s = (struct service){.name = str_from_c(m->string)};
        rc = read_service(&(struct reading){a, s, why}, m);
    }
    return rc;
}

bool check_services(str value, struct diag *why) {
    struct service list[SERVICES_MAX];
    struct arena a;
    u32 count;
    arena_open(&a, NULL, 0, PARSE_ARENA_MAX);
    rc_t rc = services_parse(&a, value, list, &count, why);
    arena_close(&a);
    if (rc == RC_NO_MEMORY) diag_set(why, "is too large to be read now");
    return rc == RC_OK;
}
