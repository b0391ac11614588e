/* SPDX-License-Identifier: Apache-2.0 */
/* sso_fetch.c — what we ask a provider: where things are, its keys, a code's tokens, a person.
 *
 *    discovery document --> places --+
 *                                    +--> kept for KEPT_S, per provider and its settings
 *    jwks_uri ------------> keys ----+
 *
 * All of it goes over verified TLS, to addresses that http_client_public allows, without following
 * redirects, within DEADLINE_S and BYTES_MAX. A kid that is not among the kept keys makes us look
 * again (keys rotate), but at most once in LOOK_FLOOR_S: tokens with made-up kids must not become
 * requests to the provider. Always true: the document names the issuer it was asked for, letter by
 * letter, so that none answers for another; what is kept is copied before anybody parks. */
#include "app/auth/oauth_impl.h"
#include "app/auth/sso_impl.h"
#include "app/json.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/http_client.h"
#include "net/http_url.h"

#define DEADLINE_S 10u
#define KEPT_S 3600u
#define STALE_S 86400u /* what is kept serves so long when the provider cannot be asked */
#define LOOK_FLOOR_S 60u
enum { BYTES_MAX = 65536, PLACE_ROOM = 513, ARENA_MAX = 1 << 20 };

static struct kept {
    u64 mark; /* of the provider's settings; 0: free */
    u64 places_ns, keys_ns, looked_ns; /* platform clock; 0: never */
    char authorization[PLACE_ROOM], token[PLACE_ROOM], userinfo[PLACE_ROOM], jwks[PLACE_ROOM];
    bool says_issuer;
    struct sso_key keys[SSO_KEYS_MAX];
    u32 key_count;
} *kept[PROVIDERS_MAX];

static u64 mark_of(const struct provider *p) {
    str parts[] = {p->name, p->issuer, p->ca_pem, p->server_name};
    u64 mark = 1;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) mark = str_hash(parts[i], mark);
    return mark ? mark : 1;
}

/* Its place, empty at first; the one looked at least lately goes. NULL: no memory. */
static struct kept *kept_of(const struct provider *p) {
    u64 mark = mark_of(p);
    u32 oldest = 0;
    for (u32 i = 0; i < PROVIDERS_MAX; i++) {
        if (kept[i] && kept[i]->mark == mark) return kept[i];
        if (!kept[oldest]) continue;
        if (!kept[i] || kept[i]->places_ns < kept[oldest]->places_ns) oldest = i;
    }
    if (!kept[oldest]) kept[oldest] = memory_alloc(MEMORY_SERVICES, sizeof *kept[oldest]);
    if (!kept[oldest]) return NULL;
    *kept[oldest] = (struct kept){.mark = mark};
    return kept[oldest];
}

void sso_forget(void) {
    for (u32 i = 0; i < PROVIDERS_MAX; i++) {
        memory_free(MEMORY_SERVICES, kept[i]);
        kept[i] = NULL;
    }
}

static bool fresh(u64 at_ns, u64 seconds) {
    return at_ns && platform_clock_ns() - at_ns < seconds * NS_PER_S;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static rc_t ask(struct arena *a, const struct provider *p, struct http_client_request *r, str *body,
                struct diag *why) {
    struct http_client_trust trust = {.ca_pem = p->ca_pem, .server_name = p->server_name};
    struct http_client_answer answer;
    r->trust = &trust;
    r->deadline_ns = platform_clock_ns() + DEADLINE_S * NS_PER_S;
    rc_t rc = http_client_fetch(a, r, BYTES_MAX, &answer, body, why);
    if (rc || answer.status == 200) return rc;
    diag_set(why, "%.*s answered %d", STR(str_take(r->url, 200)), answer.status);
    return answer.status == 400 || answer.status == 401 ? RC_DENIED : RC_IO;
}

static rc_t get_json(struct arena *a, const struct provider *p, str url, str authorization,
                     cJSON **out, str *text, struct diag *why) {
    struct http_field fields[] = {{S("Accept"), S("application/json")},
                                  {S("Authorization"), authorization}};
    struct http_client_request r = {.method = S("GET"),
                                    .url = url,
                                    .fields = fields,
                                    .field_count = authorization.len ? 2 : 1};
    rc_t rc = ask(a, p, &r, text, why);
    if (rc == RC_OK) rc = json_parse_parked(a, *text, out, why);
    if (rc == RC_OK && !cJSON_IsObject(*out)) {
        diag_set(why, "%.*s answered with something else than an object", STR(str_take(url, 200)));
        rc = RC_INVALID;
    }
    return rc;
}

/* ---- Discovery ------------------------------------------------------------------------------- */

/* An endpoint of the document: https, and short enough to be kept. */
static rc_t place(const cJSON *root, const char *name, bool required, char to[PLACE_ROOM],
                  struct diag *why) {
    struct http_url url;
    str text = S("");
    to[0] = 0;
    bool told = jwt_text(root, name, &text);
    if (!told && !required) return RC_OK;
    if (told && !http_url_parse(text, &url, why) && url.tls && !str_to_c(text, to, PLACE_ROOM))
        return RC_OK;
    diag_set(why, "\"%s\" of its discovery document is not an https address", name);
    return RC_INVALID;
}

static rc_t places_read(const struct provider *p, const cJSON *root, struct kept *k,
                        struct diag *why) {
    str issuer = S("");
    if (!jwt_text(root, "issuer", &issuer) || !str_eq(issuer, p->issuer)) {
        diag_set(why, "its discovery document is of the issuer \"%.*s\"",
                 STR(str_take(issuer, 200)));
        return RC_INVALID;
    }
    rc_t rc = place(root, "authorization_endpoint", true, k->authorization, why);
    if (!rc) rc = place(root, "token_endpoint", true, k->token, why);
    if (!rc) rc = place(root, "userinfo_endpoint", false, k->userinfo, why);
    if (!rc) rc = place(root, "jwks_uri", true, k->jwks, why);
    k->says_issuer = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
        root, "authorization_response_iss_parameter_supported"));
    return rc;
}

/* RC_OK: *out holds places not older than KEPT_S, or than STALE_S when nobody answers. */
static rc_t places_get(const struct provider *p, struct kept *out, struct diag *why) {
    struct kept *k = kept_of(p), *made;
    struct arena a;
    cJSON *root;
    str text, slash = S("/");
    if (!k) return RC_NO_MEMORY;
    *out = *k;
    if (fresh(k->places_ns, KEPT_S)) return RC_OK;
    arena_open(&a, NULL, 0, ARENA_MAX);
    if (str_ends(p->issuer, slash)) slash = S("");
    str url = arena_join(&a, p->issuer, slash, S(".well-known/openid-configuration"));
    made = arena_zero(&a, sizeof *made);
    rc_t rc = url.ptr && made ? get_json(&a, p, url, S(""), &root, &text, why) : RC_NO_MEMORY;
    if (rc == RC_OK) rc = places_read(p, root, made, why);
    if (rc == RC_OK && (k = kept_of(p))) { /* others may have needed the room */
        if (strcmp(k->jwks, made->jwks) != 0) k->keys_ns = 0;
        memcpy(k->authorization, made->authorization, sizeof k->authorization);
        memcpy(k->token, made->token, sizeof k->token);
        memcpy(k->userinfo, made->userinfo, sizeof k->userinfo);
        memcpy(k->jwks, made->jwks, sizeof k->jwks);
        k->says_issuer = made->says_issuer;
        k->places_ns = platform_clock_ns();
        *out = *k;
    }
    arena_close(&a);
    if (rc) return fresh(out->places_ns, STALE_S) ? RC_OK : rc;
    return k ? RC_OK : RC_NO_MEMORY;
}

rc_t sso_discover(struct arena *a, const struct provider *p, struct sso_places *out,
                  struct diag *why) {
    struct kept *copy = arena_alloc(a, sizeof *copy);
    rc_t rc = copy ? places_get(p, copy, why) : RC_NO_MEMORY;
    if (rc) return rc;
    *out = (struct sso_places){.authorization = str_from_c(copy->authorization),
                               .token = str_from_c(copy->token),
                               .userinfo = str_from_c(copy->userinfo),
                               .says_issuer = copy->says_issuer};
    return RC_OK;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static rc_t keys_fetch(const struct provider *p, str url, struct diag *why) {
    struct kept *k = kept_of(p);
    struct sso_key *keys;
    struct arena a;
    cJSON *root;
    str text;
    u32 count = 0;
    if (!k) return RC_NO_MEMORY;
    k->looked_ns = platform_clock_ns();
    arena_open(&a, NULL, 0, ARENA_MAX);
    keys = arena_alloc(&a, SSO_KEYS_MAX * sizeof *keys);
    rc_t rc = keys ? get_json(&a, p, url, S(""), &root, &text, why) : RC_NO_MEMORY;
    if (rc == RC_OK && (rc = sso_keys_read(&a, text, keys, &count)))
        diag_set(why, "its keys are not a JWK set");
    if (rc == RC_OK && !(k = kept_of(p))) rc = RC_NO_MEMORY;
    if (rc == RC_OK) {
        if (count) memcpy(k->keys, keys, count * sizeof *keys);
        k->key_count = count;
        k->keys_ns = platform_clock_ns();
    }
    arena_close(&a);
    return rc;
}

static rc_t key_copy(const struct provider *p, const struct sso_token *t, u64 age_s,
                     struct sso_key *out) {
    struct kept *k = kept_of(p);
    if (!k || !fresh(k->keys_ns, age_s)) return RC_NOT_FOUND;
    const struct sso_key *found = sso_key_find(k->keys, k->key_count, t);
    if (!found) return RC_NOT_FOUND;
    *out = *found;
    return RC_OK;
}

rc_t sso_key_of(const struct provider *p, const struct sso_token *t, struct sso_key *out,
                struct diag *why) {
    struct kept *k = kept_of(p);
    char url[PLACE_ROOM];
    if (!k) return RC_NO_MEMORY;
    if (!key_copy(p, t, KEPT_S, out)) return RC_OK;
    bool may = !fresh(k->looked_ns, LOOK_FLOOR_S);
    memcpy(url, k->jwks, sizeof url);
    rc_t rc = may ? keys_fetch(p, str_from_c(url), why) : RC_NOT_FOUND;
    if (rc && !key_copy(p, t, STALE_S, out)) return RC_OK;
    if (rc && rc != RC_NOT_FOUND) return rc;
    if (rc == RC_OK) rc = key_copy(p, t, KEPT_S, out);
    if (rc) diag_set(why, "it has no such key as the token names");
    return rc;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* "Basic base64(id:secret)", both form-encoded (RFC 6749 2.3.1). */
static str basic(struct arena *a, str id, str secret) {
    str plain = arena_join(a, percent_encode(a, id), S(":"), percent_encode(a, secret));
    char *to = plain.ptr ? arena_alloc(a, BASE64_LEN(plain.len) + 4) : NULL;
    if (!to) return str_of(NULL, 0);
    size_t n = base64_encode(plain.ptr, plain.len, to);
    while (n % 4) to[n++] = '=';
    return arena_join(a, S("Basic "), str_of(to, n));
}

static str redeem_form(struct arena *a, const struct provider *p, const struct sso_exchange *x) {
    str form = arena_join(a, S("grant_type=authorization_code&code="), percent_encode(a, x->code),
                          S("&redirect_uri="), percent_encode(a, x->redirect_uri),
                          S("&code_verifier="), x->verifier);
    if (form.ptr && !str_eq(p->client_auth, S("client_secret_basic")))
        form = arena_join(a, form, S("&client_id="), percent_encode(a, p->client_id));
    if (form.ptr && str_eq(p->client_auth, S("client_secret_post")))
        form = arena_join(a, form, S("&client_secret="), percent_encode(a, p->client_secret));
    return form;
}

static rc_t redeemed_read(struct arena *a, str body, struct sso_exchange *x, struct diag *why) {
    cJSON *root;
    rc_t rc = json_parse_parked(a, body, &root, why);
    if (rc) return rc;
    x->access_token = S("");
    if (jwt_text(root, "access_token", &x->access_token) && x->access_token.len > SSO_TOKEN_MAX)
        x->access_token = S("");
    if (jwt_text(root, "id_token", &x->id_token)) return RC_OK;
    diag_set(why, "its token endpoint gave no ID token");
    return RC_INVALID;
}

rc_t sso_redeem(struct arena *a, const struct provider *p, const struct sso_places *places,
                struct sso_exchange *x, struct diag *why) {
    bool by_header = str_eq(p->client_auth, S("client_secret_basic"));
    str authorization = by_header ? basic(a, p->client_id, p->client_secret) : S("");
    struct http_field fields[] = {
        {S("Content-Type"), S("application/x-www-form-urlencoded")},
        {S("Accept"), S("application/json")},
        {S("Authorization"), authorization},
    };
    struct http_client_request r = {.method = S("POST"),
                                    .url = places->token,
                                    .fields = fields,
                                    .field_count = by_header ? 3 : 2,
                                    .body = redeem_form(a, p, x)};
    str body;
    if (!r.body.ptr || !authorization.ptr) return RC_NO_MEMORY;
    rc_t rc = ask(a, p, &r, &body, why);
    return rc ? rc : redeemed_read(a, body, x, why);
}

rc_t sso_userinfo(struct arena *a, const struct provider *p, str url, str access_token,
                  struct sso_claims *out, struct diag *why) {
    str text, subject, authorization = arena_join(a, S("Bearer "), access_token);
    cJSON *root;
    if (!authorization.ptr) return RC_NO_MEMORY;
    rc_t rc = get_json(a, p, url, authorization, &root, &text, why);
    if (rc) return rc;
    if (!jwt_text(root, "sub", &subject) || !str_eq(subject, out->subject)) {
        diag_set(why, "its userinfo is about somebody else"); /* Core 5.3.2 */
        return RC_DENIED;
    }
    sso_person_read(root, out);
    return RC_OK;
}
