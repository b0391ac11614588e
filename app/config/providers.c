/* SPDX-License-Identifier: Apache-2.0 */
/* providers.c — the value of auth.providers, read and judged.
 *
 * One table names the members and where each goes; a preset fills in what a well-known provider
 * has always the same. A member we do not know is refused: a misspelt "domains" must not let
 * everybody in. Always true of what was read: the issuer is https without query or fragment, the
 * scopes hold openid, a client that proves itself has a secret. */
#include "app/config/providers.h"
#include "app/json.h"
#include "net/http_parse.h"
#include "net/http_url.h"

enum { PARSE_ARENA_MAX = 256 << 10, TEXT_MAX = 512, PEM_MAX = 16384, DOMAINS_MAX = 16 };

#define MICROSOFT "https://login.microsoftonline.com/"
static const struct preset {
    const char *name, *title, *issuer; /* issuer NULL: each installation has its own */
} presets[] = {
    {"generic", "Single sign-on", NULL},
    {"google", "Google", "https://accounts.google.com"},
    {"microsoft", "Microsoft", NULL}, /* made from the tenant */
    {"gitlab", "GitLab", "https://gitlab.com"},
    {"keycloak", "Keycloak", NULL},
    {"okta", "Okta", NULL},
    {"auth0", "Auth0", NULL},
    {"authentik", "authentik", NULL},
    {"zitadel", "Zitadel", NULL},
    {"openpolicy", "OpenPolicy", NULL},
};

#define AT(member) offsetof(struct provider, member)
static const struct text_member {
    const char *name;
    size_t at, len_max;
    const char *choice; /* words; NULL: any text */
} text_members[] = {
    {"preset", AT(preset), 40, NULL},
    {"title", AT(title), 100, NULL},
    {"issuer", AT(issuer), PROVIDER_ISSUER_MAX, NULL},
    {"tenant", AT(tenant), 64, NULL},
    {"client_id", AT(client_id), TEXT_MAX, NULL},
    {"client_secret", AT(client_secret), TEXT_MAX, NULL},
    {"scopes", AT(scopes), TEXT_MAX, NULL},
    {"client_auth", AT(client_auth), 40, "client_secret_basic client_secret_post none"},
    {"link", AT(link), 8, "none email"},
    {"second_factor", AT(second_factor), 8, "here theirs"},
    {"organisation", AT(organisation), 36, NULL},
    {"ca_cert", AT(ca_pem), PEM_MAX, NULL},
    {"server_name", AT(server_name), 253, NULL},
};
static const struct flag_member {
    const char *name;
    size_t at;
} flag_members[] = {{"create", AT(create)}, {"trust_email", AT(trust_email)}};

static rc_t wrong(const struct provider *p, struct diag *why, const char *member,
                  const char *wanted) {
    diag_set(why, "%.*s: \"%s\" %s", STR(str_take(p->name, 60)), member, wanted);
    return RC_INVALID;
}

static bool word_among(str word, const char *words) {
    str rest = str_from_c(words), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, word)) return true;
    return false;
}

static rc_t text_read(const cJSON *m, const struct text_member *t, struct provider *p,
                      struct diag *why) {
    if (!cJSON_IsString(m)) return wrong(p, why, t->name, "wants a text");
    str s = str_from_c(m->valuestring);
    if (s.len > t->len_max) return wrong(p, why, t->name, "is too long");
    if (t->at != AT(ca_pem) && !http_is_field_value(s))
        return wrong(p, why, t->name, "holds a control byte");
    if (t->choice && !word_among(s, t->choice)) return wrong(p, why, t->name, t->choice);
    *(str *)(void *)((char *)p + t->at) = s;
    return RC_OK;
}

static bool domain_sound(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
            return false;
    }
    return s.len > 0 && s.len <= 253;
}

static rc_t domains_read(struct arena *a, const cJSON *m, struct provider *p, struct diag *why) {
    static const char wanted[] = "wants a list of at most 16 domains in lower case";
    if (!cJSON_IsArray(m) || cJSON_GetArraySize(m) > DOMAINS_MAX)
        return wrong(p, why, "domains", wanted);
    for (const cJSON *one = m->child; one; one = one->next) {
        str s = str_from_c(cJSON_IsString(one) ? one->valuestring : "");
        if (!domain_sound(s)) return wrong(p, why, "domains", wanted);
        p->domains = arena_join(a, p->domains, p->domains.len ? S(" ") : S(""), s);
        if (!p->domains.ptr) return RC_NO_MEMORY;
    }
    return RC_OK;
}

static rc_t member_read(struct arena *a, const cJSON *m, struct provider *p, struct diag *why) {
    for (size_t i = 0; i < ARRAY_LEN(text_members); i++)
        if (!strcmp(m->string, text_members[i].name))
            return text_read(m, &text_members[i], p, why);
    for (size_t i = 0; i < ARRAY_LEN(flag_members); i++) {
        if (strcmp(m->string, flag_members[i].name) != 0) continue;
        if (!cJSON_IsBool(m)) return wrong(p, why, m->string, "wants true or false");
        *(bool *)((char *)p + flag_members[i].at) = cJSON_IsTrue(m);
        return RC_OK;
    }
    if (!strcmp(m->string, "domains")) return domains_read(a, m, p, why);
    return wrong(p, why, m->string, "is not known here");
}

static rc_t preset_fill(struct arena *a, struct provider *p, struct diag *why) {
    str name = p->preset.len ? p->preset : S("generic");
    const struct preset *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(presets); i++)
        if (str_eq(name, str_from_c(presets[i].name))) found = &presets[i];
    if (!found) return wrong(p, why, "preset", "is none we know");
    bool microsoft = str_eq(name, S("microsoft"));
    if (microsoft && !p->tenant.len) return wrong(p, why, "tenant", "is missing");
    if (!microsoft && p->tenant.len) return wrong(p, why, "tenant", "is Microsoft's alone");
    if (!p->issuer.len && microsoft)
        p->issuer = arena_join(a, S(MICROSOFT), p->tenant, S("/v2.0"));
    else if (!p->issuer.len)
        p->issuer = str_from_c(found->issuer ? found->issuer : "");
    if (!p->title.len) p->title = str_from_c(found->title);
    if (!p->scopes.len) p->scopes = S("openid profile email");
    if (!p->client_auth.len) p->client_auth = p->client_secret.len ? S("client_secret_basic")
                                                                   : S("none");
    if (!p->link.len) p->link = S("none");
    if (!p->second_factor.len) p->second_factor = S("here");
    return p->issuer.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t sound(const struct provider *p, struct diag *why) {
    struct http_url url;
    struct diag inner = {0};
    if (!p->issuer.len) return wrong(p, why, "issuer", "is missing");
    if (http_url_parse(p->issuer, &url, &inner)) return wrong(p, why, "issuer", inner.text);
    if (!url.tls || str_find_byte(p->issuer, '?') < p->issuer.len ||
        str_find_byte(p->issuer, '#') < p->issuer.len)
        return wrong(p, why, "issuer", "wants https, without query and fragment");
    if (!p->client_id.len) return wrong(p, why, "client_id", "is missing");
    if (!str_eq(p->client_auth, S("none")) && !p->client_secret.len)
        return wrong(p, why, "client_secret", "is missing");
    str rest = p->scopes, one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, S("openid"))) return RC_OK;
    return wrong(p, why, "scopes", "wants openid among them");
}

static bool name_sound(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
    }
    return s.len > 0 && s.len <= PROVIDER_NAME_MAX;
}

static rc_t provider_read(struct arena *a, const cJSON *object, struct provider *p,
                          struct diag *why) {
    *p = (struct provider){.name = str_from_c(object->string)};
    if (!name_sound(p->name)) {
        diag_set(why, "names of providers have 1 to 40 of a-z, 0-9 and -");
        return RC_INVALID;
    }
    if (!cJSON_IsObject(object)) return wrong(p, why, "provider", "wants an object");
    rc_t rc = RC_OK;
    for (const cJSON *m = object->child; m && !rc; m = m->next) rc = member_read(a, m, p, why);
    if (!rc) rc = preset_fill(a, p, why);
    return rc ? rc : sound(p, why);
}

rc_t providers_parse(struct arena *a, str json, struct provider list[PROVIDERS_MAX], u32 *count,
                     struct diag *why) {
    cJSON *root;
    *count = 0;
    if (!json.len) return RC_OK;
    rc_t rc = json_parse(a, json, &root, why);
    if (rc) return rc;
    if (!cJSON_IsObject(root) || cJSON_GetArraySize(root) > PROVIDERS_MAX) {
        diag_set(why, "wants an object of at most %d providers by name", PROVIDERS_MAX);
        return RC_INVALID;
    }
    for (const cJSON *m = root->child; m && !rc; m = m->next)
        rc = provider_read(a, m, &list[(*count)++], why);
    return rc;
}

bool check_providers(str value, struct diag *why) {
    struct provider list[PROVIDERS_MAX];
    struct arena a;
    u32 count;
    arena_open(&a, NULL, 0, PARSE_ARENA_MAX);
    rc_t rc = providers_parse(&a, value, list, &count, why);
    arena_close(&a);
    if (rc == RC_NO_MEMORY) diag_set(why, "is too large to be read now");
    return rc == RC_OK;
}
