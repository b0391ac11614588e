/* SPDX-License-Identifier: Apache-2.0 */
/* acme_text.c — the messages of RFC 8555: what an authority says is read strictly, what we say is
 * written. Memory in, memory out; no network, no key operation.
 *
 *   directory -> account -> order -> authorization -> challenge      each a JSON object, read here
 *   {"protected": ..., "payload": ..., "signature": ...}             a JWS (RFC 7515 7.2.2),
 * written
 *
 * Always true of what was read: every URL is https and short, so that no answer leads the appliance
 * to ask in the clear; a token is letters of base64url, so that it is safe in a path and in a text;
 * a state is one that the RFC names. What is not known is passed over (RFC 8555 6.2 wants so). */
#include "app/tls/acme_impl.h"
#include "app/utc.h"
#include "net/http_date.h"
#include "net/http_url.h"
#include <mbedtls/md.h>

/* ---- Reading --------------------------------------------------------------------------------- */

static rc_t wrong(struct diag *why, const char *what, const char *member) {
    diag_set(why, "the authority's %s has no usable `%s`", what, member);
    return RC_INVALID;
}

static rc_t parse(struct arena *a, str text, const char *what, cJSON **out, struct diag *why) {
    struct diag inner = {0};
    rc_t rc = json_parse(a, text, out, &inner);
    if (rc == RC_OK && cJSON_IsObject(*out)) return RC_OK;
    if (rc == RC_NO_MEMORY) return rc;
    diag_set(why, "the authority's %s is not a JSON object: %s", what, inner.text);
    return RC_INVALID;
}

static str member(const cJSON *object, const char *name) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(m) ? str_from_c(m->valuestring) : S("");
}

static bool is_url(str s) {
    struct http_url url;
    struct diag unused;
    return s.len < ACME_URL_MAX && str_starts(s, S("https://")) &&
           !http_url_parse(s, &url, &unused);
}

static bool is_token(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.len > 0 && s.len <= ACME_TOKEN_MAX;
}

rc_t acme_read_directory(struct arena *a, str text, struct acme_directory *out, struct diag *why) {
    cJSON *d;
    *out = (struct acme_directory){0};
    rc_t rc = parse(a, text, "directory", &d, why);
    if (rc) return rc;
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(d, "meta");
    out->new_nonce = member(d, "newNonce");
    out->new_account = member(d, "newAccount");
    out->new_order = member(d, "newOrder");
    out->renewal_info = member(d, "renewalInfo");
    out->terms = member(meta, "termsOfService");
    out->wants_binding =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(meta, "externalAccountRequired"));
    if (!is_url(out->new_nonce)) return wrong(why, "directory", "newNonce");
    if (!is_url(out->new_account)) return wrong(why, "directory", "newAccount");
    if (!is_url(out->new_order)) return wrong(why, "directory", "newOrder");
    if (out->renewal_info.len && !is_url(out->renewal_info))
        return wrong(why, "directory", "renewalInfo");
    if (out->terms.len >= ACME_URL_MAX) out->terms = S("");
    return RC_OK;
}

static bool read_state(const cJSON *object, bool ends_badly, enum acme_state *out) {
    static const char *const words[] = {"pending", "ready", "processing", "valid", "invalid"};
    str s = member(object, "status");
    for (u32 i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(s, str_from_c(words[i]))) continue;
        *out = (enum acme_state)i;
        return true;
    }
    *out = ACME_INVALID;
    return ends_badly &&
           (str_eq(s, S("deactivated")) || str_eq(s, S("expired")) || str_eq(s, S("revoked")));
}

/* "type: detail" of a problem document inside another. */
static void say_problem(const cJSON *error, struct diag *why, const char *what, str name) {
    str type = member(error, "type"), detail = member(error, "detail");
    if (!detail.len) detail = type.len ? type : S("it does not say why");
    diag_set(why, "%s%.*s: %.*s", what, STR(str_take(name, 100)), STR(str_take(detail, 300)));
}

rc_t acme_read_order(struct arena *a, str text, struct acme_order *out, struct diag *why) {
    cJSON *o;
    const cJSON *one;
    *out = (struct acme_order){0};
    rc_t rc = parse(a, text, "order", &o, why);
    if (rc) return rc;
    if (!read_state(o, false, &out->state)) return wrong(why, "order", "status");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "authorizations");
    cJSON_ArrayForEach(one, list) {
        str url = cJSON_IsString(one) ? str_from_c(one->valuestring) : S("");
        if (!is_url(url) || out->authorization_count == ACME_NAMES_MAX)
            return wrong(why, "order", "authorizations");
        out->authorizations[out->authorization_count++] = url;
    }
    out->finalize = member(o, "finalize");
    out->certificate = member(o, "certificate");
    if (!cJSON_IsArray(list) || !out->authorization_count)
        return wrong(why, "order", "authorizations");
    if (!is_url(out->finalize)) return wrong(why, "order", "finalize");
    if (out->state == ACME_VALID && !is_url(out->certificate))
        return wrong(why, "order", "certificate");
    if (out->state == ACME_INVALID)
        say_problem(cJSON_GetObjectItemCaseSensitive(o, "error"), why, "the order failed", S(""));
    return RC_OK;
}

static rc_t read_challenge(const cJSON *c, struct acme_authorization *out, struct diag *why) {
    out->url = member(c, "url");
    out->token = member(c, "token");
    if (!is_url(out->url)) return wrong(why, "challenge", "url");
    if (!is_token(out->token)) return wrong(why, "challenge", "token");
    if (!read_state(c, false, &out->challenge)) return wrong(why, "challenge", "status");
    if (out->challenge == ACME_INVALID)
        say_problem(cJSON_GetObjectItemCaseSensitive(c, "error"), why,
                    "the authority could not see that the name is ours, ", out->name);
    return RC_OK;
}

rc_t acme_read_authorization(struct arena *a, str text, const char *challenge,
                             struct acme_authorization *out, struct diag *why) {
    cJSON *z;
    const cJSON *one;
    *out = (struct acme_authorization){0};
    rc_t rc = parse(a, text, "authorization", &z, why);
    if (rc) return rc;
    out->name = member(cJSON_GetObjectItemCaseSensitive(z, "identifier"), "value");
    if (!out->name.len) return wrong(why, "authorization", "identifier");
    if (!read_state(z, true, &out->state)) return wrong(why, "authorization", "status");
    if (out->state == ACME_INVALID)
        diag_set(why, "the authority's word on %.*s has ended", STR(str_take(out->name, 253)));
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(z, "challenges")) {
        if (!str_eq(member(one, "type"), str_from_c(challenge))) continue;
        return read_challenge(one, out, why);
    }
    return RC_OK;
}

void acme_read_problem(struct arena *a, str text, struct acme_problem *out) {
    static const str prefix = {"urn:ietf:params:acme:error:", 27};
    struct diag unused = {0};
    cJSON *p;
    *out = (struct acme_problem){.type = S("malformed"), .detail = S("it does not say why")};
    if (parse(a, text, "problem", &p, &unused)) return;
    str type = member(p, "type"), detail = member(p, "detail");
    if (type.len) out->type = str_starts(type, prefix) ? str_skip(type, prefix.len) : type;
    if (detail.len) out->detail = detail;
}

rc_t acme_read_window(struct arena *a, str text, u64 *from_ns, u64 *until_ns, struct diag *why) {
    cJSON *w;
    rc_t rc = parse(a, text, "renewal information", &w, why);
    if (rc) return rc;
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(w, "suggestedWindow");
    if (utc_parse(member(window, "start"), from_ns))
        return wrong(why, "renewal information", "suggestedWindow.start");
    if (utc_parse(member(window, "end"), until_ns) || *until_ns < *from_ns)
        return wrong(why, "renewal information", "suggestedWindow.end");
    return RC_OK;
}

u64 acme_retry_after_s(str field, u64 now_ns, u64 min, u64 max, u64 absent) {
    u64 s, at, now_s = now_ns / NS_PER_S;
    if (!field.len) return absent;
    if (str_to_u64(field, &s)) {
        if (http_date_parse(field, &at)) return absent;
        s = at > now_s ? at - now_s : 0;
    }
    return s < min ? min : MIN(s, max);
}

/* ---- Writing --------------------------------------------------------------------------------- */

str acme_base64url(struct arena *a, str bytes) {
    char *to = arena_alloc(a, BASE64_LEN(bytes.len) + 1);
    return to ? str_of(to, base64url_encode(bytes.ptr, bytes.len, to)) : str_of(NULL, 0);
}

str acme_jwk(struct arena *a, const struct es256_key *key) {
    str x = acme_base64url(a, str_of((const char *)key->public_key, 32));
    str y = acme_base64url(a, str_of((const char *)key->public_key + 32, 32));
    if (!x.ptr || !y.ptr) return str_of(NULL, 0);
    return arena_join(a, S("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""), x, S("\",\"y\":\""), y,
                      S("\"}"));
}

/* Into a JSON text; `s` is a URL or a name that somebody gave. */
static str quoted(struct arena *a, str s) {
    struct json_writer w;
    json_open(&w, s.len * 6 + 16);
    json_put_text(&w, s);
    str out = w.out.failed ? str_of(NULL, 0) : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return out;
}

str acme_protected(struct arena *a, const struct es256_key *key, str kid, str nonce, str url) {
    str who = kid.len ? quoted(a, kid) : acme_jwk(a, key);
    str n = quoted(a, nonce), u = quoted(a, url);
    if (!who.ptr || !n.ptr || !u.ptr) return str_of(NULL, 0);
    return arena_join(a, S("{\"alg\":\"ES256\",\""), kid.len ? S("kid") : S("jwk"), S("\":"), who,
                      S(",\"nonce\":"), n, S(",\"url\":"), u, S("}"));
}

str acme_flattened(struct arena *a, str protected_json, str payload, str *to_sign) {
    str head = acme_base64url(a, protected_json), body = acme_base64url(a, payload);
    if (!head.ptr || !body.ptr) return str_of(NULL, 0);
    *to_sign = arena_join(a, head, S("."), body);
    if (!to_sign->ptr) return str_of(NULL, 0);
    return arena_join(a, S("{\"protected\":\""), head, S("\",\"payload\":\""), body,
                      S("\",\"signature\":\""));
}

str acme_flattened_end(struct arena *a, str message, const void *signature, size_t n) {
    str s = acme_base64url(a, str_of(signature, n));
    return s.ptr ? arena_join(a, message, s, S("\"}")) : str_of(NULL, 0);
}

rc_t acme_binding(struct arena *a, str kid, str mac_key, str jwk, str url, str *out) {
    u8 secret[256], mac[32];
    size_t n;
    str id = quoted(a, kid), u = quoted(a, url), to_sign;
    *out = str_of(NULL, 0);
    while (mac_key.len && mac_key.ptr[mac_key.len - 1] == '=') mac_key.len--; /* some pad it */
    if (base64url_decode(mac_key, secret, sizeof secret, &n) || n < 16) return RC_INVALID;
    if (!id.ptr || !u.ptr) return RC_NO_MEMORY;
    str head = arena_join(a, S("{\"alg\":\"HS256\",\"kid\":"), id, S(",\"url\":"), u, S("}"));
    str message = head.ptr ? acme_flattened(a, head, jwk, &to_sign) : head;
    if (message.ptr && !mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), secret, n,
                                        (const u8 *)to_sign.ptr, to_sign.len, mac))
        *out = acme_flattened_end(a, message, mac, sizeof mac);
    secret_wipe(secret, sizeof secret);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

str acme_key_authorization(struct arena *a, const struct es256_key *key, str token) {
    return arena_join(a, token, S("."), str_from_c(key->kid));
}
