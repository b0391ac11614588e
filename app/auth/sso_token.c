/* SPDX-License-Identifier: Apache-2.0 */
/* sso_token.c — an ID token of another provider (OpenID Connect Core 3.1.3.7), and its keys.
 *
 *    header {"alg","kid"} -> exactly one key of the provider's set, whose kind fixes the algorithm
 *    claims {"iss","aud","azp","exp","iat","nonce","sub","at_hash"} -> each compared
 *
 * A key verifies one algorithm: RSA keys RS256, keys of P-256 ES256. "none" and HS256 are therefore
 * never looked at, whatever the token says, and a public key is never a secret. What the token
 * brings along as a key of its own (jwk, jku, x5u, x5c) is refused, as is anything critical.
 * Always true: RC_OK from sso_token_read is worth nothing until sso_token_verify has said so too.
 */
#include "app/auth/sso_impl.h"
#include "app/json.h"
#include "kernel/core/worker.h"

enum { ISSUED_BEFORE_S = 3600 };

/* ---- Keys (RFC 7517, 7518 6) ----------------------------------------------------------------- */

static bool member_bytes(const cJSON *jwk, const char *name, u8 *to, size_t room, size_t *n) {
    str text;
    return jwt_text(jwk, name, &text) && !base64url_decode(text, to, room, n) && *n;
}

static bool rsa_read(const cJSON *jwk, struct sso_key *k) {
    u8 exponent[4];
    size_t n, e;
    if (!member_bytes(jwk, "n", k->key, sizeof k->key - 4, &n) || n < 256 || !k->key[0] ||
        !member_bytes(jwk, "e", exponent, sizeof exponent, &e))
        return false;
    memset(k->key + n, 0, 4);
    memcpy(k->key + n + 4 - e, exponent, e);
    k->key_len = n + 4;
    k->algorithm = COSE_RS256;
    return true;
}

static bool ec_read(const cJSON *jwk, struct sso_key *k) {
    str curve;
    size_t x, y;
    if (!jwt_text(jwk, "crv", &curve) || !str_eq(curve, S("P-256")) ||
        !member_bytes(jwk, "x", k->key, 32, &x) || !member_bytes(jwk, "y", k->key + 32, 32, &y) ||
        x != 32 || y != 32)
        return false;
    k->key_len = 64;
    k->algorithm = COSE_ES256;
    return true;
}

/* Absent, or this text. */
static bool fits(const cJSON *object, const char *name, str wanted) {
    str text;
    return !cJSON_GetObjectItemCaseSensitive(object, name) ||
           (jwt_text(object, name, &text) && str_eq(text, wanted));
}

static bool key_read(const cJSON *jwk, struct sso_key *k) {
    str kind, kid = S("");
    *k = (struct sso_key){0};
    if (!jwt_text(jwk, "kty", &kind) || !fits(jwk, "use", S("sig"))) return false;
    if (cJSON_GetObjectItemCaseSensitive(jwk, "kid") && !jwt_text(jwk, "kid", &kid)) return false;
    if (str_to_c(kid, k->kid, sizeof k->kid)) return false;
    if (str_eq(kind, S("RSA"))) return fits(jwk, "alg", S("RS256")) && rsa_read(jwk, k);
    return str_eq(kind, S("EC")) && fits(jwk, "alg", S("ES256")) && ec_read(jwk, k);
}

rc_t sso_keys_read(struct arena *a, str jwks, struct sso_key *out, u32 *count) {
    struct diag why;
    cJSON *root;
    *count = 0;
    rc_t rc = json_parse(a, jwks, &root, &why);
    if (rc) return rc;
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(root, "keys"), *one;
    if (!cJSON_IsArray(keys)) return RC_INVALID;
    cJSON_ArrayForEach(one, keys) {
        if (*count == SSO_KEYS_MAX) break;
        if (key_read(one, &out[*count])) (*count)++;
    }
    return RC_OK;
}

const struct sso_key *sso_key_find(const struct sso_key *keys, u32 count,
                                   const struct sso_token *t) {
    const struct sso_key *found = NULL;
    for (u32 i = 0; i < count; i++) {
        if (keys[i].algorithm != t->algorithm) continue;
        if (t->kid.ptr && !str_eq(str_from_c(keys[i].kid), t->kid)) continue;
        if (found) return NULL; /* which one? A provider with several says it */
        found = &keys[i];
    }
    return found;
}

/* ---- The text -------------------------------------------------------------------------------- */

static rc_t refuse(const char **why, const char *reason) {
    *why = reason;
    return RC_INVALID;
}

static rc_t header_read(const cJSON *header, struct sso_token *out, const char **why) {
    static const char *const never[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"};
    str text;
    if (!jwt_text(header, "alg", &text)) return refuse(why, "the token names no algorithm");
    if (str_eq(text, S("RS256"))) out->algorithm = COSE_RS256;
    else if (str_eq(text, S("ES256"))) out->algorithm = COSE_ES256;
    else return refuse(why, "the algorithm is neither RS256 nor ES256");
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (cJSON_GetObjectItemCaseSensitive(header, never[i]))
            return refuse(why, "the header names an extension or a key of its own");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(header, "typ");
    if (type && !(cJSON_IsString(type) && str_eq_nocase(str_from_c(type->valuestring), S("JWT"))))
        return refuse(why, "the type is not JWT");
    if (!cJSON_GetObjectItemCaseSensitive(header, "kid")) return RC_OK;
    return jwt_text(header, "kid", &out->kid) && out->kid.len
               ? RC_OK
               : refuse(why, "kid is not a text");
}

static bool audience_fits(const cJSON *claims, str client_id) {
    const cJSON *aud = cJSON_GetObjectItemCaseSensitive(claims, "aud"), *one;
    str text, party;
    bool named = cJSON_IsString(aud) && str_eq(str_from_c(aud->valuestring), client_id);
    bool others = false;
    if (cJSON_IsArray(aud)) cJSON_ArrayForEach(one, aud) {
            text = str_from_c(cJSON_IsString(one) ? one->valuestring : "");
            named = named || str_eq(text, client_id);
            others = others || !str_eq(text, client_id);
        }
    bool says = jwt_text(claims, "azp", &party);
    if (cJSON_GetObjectItemCaseSensitive(claims, "azp") && !says) return false;
    if (says) return named && str_eq(party, client_id);
    return named && !others; /* several audiences without azp: meant for whom? */
}

static rc_t times_check(const cJSON *claims, s64 now_s, const char **why) {
    s64 issued, expires, not_before;
    if (!jwt_time(claims, "exp", &expires)) return refuse(why, "exp is not a time");
    if (!jwt_time(claims, "iat", &issued)) return refuse(why, "iat is not a time");
    if (expires + CLOCK_SKEW_S <= now_s) return refuse(why, "the token has expired");
    if (issued > now_s + CLOCK_SKEW_S) return refuse(why, "the token comes from the future");
    if (issued + ISSUED_BEFORE_S < now_s) return refuse(why, "the token is old");
    if (cJSON_GetObjectItemCaseSensitive(claims, "nbf") &&
        (!jwt_time(claims, "nbf", &not_before) || not_before > now_s + CLOCK_SKEW_S))
        return refuse(why, "the token is not valid yet");
    return RC_OK;
}

/* The left half of the access token's hash (Core 3.1.3.6); both algorithms have SHA-256. */
static bool access_fits(const cJSON *claims, str access_token) {
    u8 hash[SHA256_BYTES], said[SHA256_BYTES];
    str text;
    size_t n;
    if (!cJSON_GetObjectItemCaseSensitive(claims, "at_hash") || !access_token.len) return true;
    sha256(access_token, hash);
    return jwt_text(claims, "at_hash", &text) &&
           !base64url_decode(text, said, sizeof said, &n) && n == SHA256_BYTES / 2 &&
           !memcmp(hash, said, n);
}

void sso_person_read(const cJSON *claims, struct sso_claims *out) {
    const cJSON *verified = cJSON_GetObjectItemCaseSensitive(claims, "email_verified");
    str text;
    if (!out->email.len && jwt_text(claims, "email", &text)) {
        out->email = text;
        out->email_verified =
            cJSON_IsTrue(verified) ||
            (cJSON_IsString(verified) && !strcmp(verified->valuestring, "true"));
    }
    if (!out->name.len && jwt_text(claims, "name", &text)) out->name = text;
    if (!out->name.len && jwt_text(claims, "preferred_username", &text)) out->name = text;
}

static bool subject_sound(str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] < 0x20 || (u8)s.ptr[i] >= 0x7F) return false;
    return s.len > 0 && s.len <= SSO_SUBJECT_MAX;
}

static rc_t claims_read(const cJSON *claims, const struct sso_expected *e, struct sso_token *out,
                        const char **why) {
    str text;
    if (!jwt_text(claims, "iss", &text) || !str_eq(text, e->issuer))
        return refuse(why, "the token is another issuer's");
    if (!audience_fits(claims, e->client_id)) return refuse(why, "the token is meant for others");
    rc_t rc = times_check(claims, e->now_s, why);
    if (rc) return rc;
    if (!jwt_text(claims, "nonce", &text) || !str_eq_secret(text, e->nonce))
        return refuse(why, "the token answers another sign-in (nonce)");
    if (!jwt_text(claims, "sub", &out->claims.subject) || !subject_sound(out->claims.subject))
        return refuse(why, "sub is missing or unsound");
    if (!access_fits(claims, e->access_token))
        return refuse(why, "the access token is not the one signed for (at_hash)");
    sso_person_read(claims, &out->claims);
    return RC_OK;
}

rc_t sso_token_read(struct arena *a, str token, const struct sso_expected *e,
                    struct sso_token *out, const char **why) {
    str rest = token, part[3];
    cJSON *header, *claims;
    *out = (struct sso_token){0};
    *why = "not a signed token";
    if (token.len > SSO_TOKEN_MAX) return RC_LIMIT;
    for (u32 i = 0; i < 3; i++)
        if (!str_split(&rest, '.', &part[i]) || !part[i].len) return RC_INVALID;
    if (part[2].ptr + part[2].len != token.ptr + token.len) return RC_INVALID;
    u8 *bytes = arena_alloc(a, BASE64_BYTES(part[2].len) + 1);
    size_t n;
    if (!bytes) return RC_NO_MEMORY;
    rc_t rc = jwt_decode_object(a, part[0], &header);
    if (rc == RC_OK) rc = header_read(header, out, why);
    if (rc == RC_OK) rc = jwt_decode_object(a, part[1], &claims);
    if (rc == RC_OK) rc = claims_read(claims, e, out, why);
    if (rc == RC_OK) rc = base64url_decode(part[2], bytes, BASE64_BYTES(part[2].len) + 1, &n);
    if (rc) return rc;
    out->signature = str_of((const char *)bytes, n);
    out->signed_part = str_of(token.ptr, part[0].len + 1 + part[1].len);
    *why = NULL;
    return RC_OK;
}

/* ---- The signature --------------------------------------------------------------------------- */

struct verify_job {
    const struct sso_key *key;
    const struct sso_token *token;
    rc_t rc;
};
static void verify(void *arg) {
    struct verify_job *job = arg;
    const struct sso_key *k = job->key;
    str key = str_of((const char *)k->key, k->key_len);
    str signature = job->token->signature;
    job->rc = RC_DENIED;
    if (k->algorithm != job->token->algorithm) return;
    if (k->algorithm == COSE_RS256)
        job->rc = rs256_verify(key, job->token->signed_part, signature);
    else if (signature.len == ES256_SIGNATURE_BYTES)
        job->rc = es256_verify(k->key, job->token->signed_part, (const u8 *)signature.ptr);
}

rc_t sso_token_verify(const struct sso_key *key, const struct sso_token *t) {
    struct sso_key copy = *key; /* the cache may change meanwhile */
    struct verify_job job = {.key = &copy, .token = t};
    rc_t rc = worker_run(verify, &job);
    return rc ? rc : job.rc;
}
