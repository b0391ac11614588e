/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c — the text of an access token (RFC 7519, 9068), read as RFC 8725 advises.
 *
 *    base64url(header) . base64url(claims) . base64url(r || s)
 *    {"alg":"ES256","typ":"at+jwt","kid":"..."}
 *    {"iss","aud","sub","iat","exp","jti","role","sid","client_id"}
 *
 * One algorithm, one type, one key: a header that asks for anything else (none, HS256, an embedded
 * or remote key, `crit`) is refused before its signature is looked at. Nothing here is trusted
 * until token.c has verified the signature and asked the database. Always true: RC_OK means each
 * claim has the type, the form and the bounds we issue. */
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/json.h"

const char jwt_other_key[] = "the key is not ours";

static rc_t refuse(const char **why, const char *reason) {
    *why = reason;
    return RC_INVALID;
}

bool jwt_text(const cJSON *object, const char *name, str *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(m)) return false;
    *out = str_from_c(m->valuestring);
    return true;
}

/* A whole number of seconds between 1970 and the year 9999. */
bool jwt_time(const cJSON *object, const char *name, s64 *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(m)) return false;
    double d = m->valuedouble;
    if (!(d > 0 && d < 253402300800.0)) return false; /* also refuses NaN */
    *out = (s64)d;
    return (double)*out == d;
}

rc_t jwt_decode_object(struct arena *a, str part, cJSON **out) {
    size_t room = BASE64_BYTES(part.len), n;
    char *bytes = arena_alloc(a, room + 1);
    if (!bytes) return RC_NO_MEMORY; /* the token's length was checked: it is not its fault */
    rc_t rc = base64url_decode(part, bytes, room, &n);
    if (rc) return rc;
    struct diag diag;
    rc =
        json_parse(a, str_of(bytes, n), out, &diag); /* refuses duplicates, NUL, depth, bad UTF-8 */
    if (rc) return rc;
    return cJSON_IsObject(*out) ? RC_OK : RC_INVALID;
}

static rc_t check_header(const cJSON *header, str kid, const char **why) {
    static const char *const never[] = {"crit", "b64", "jwk", "jku", "x5u",
                                        "x5c",  "x5t", "zip", "enc"};
    str text;
    if (!jwt_text(header, "alg", &text) || !str_eq(text, S("ES256")))
        return refuse(why, "the algorithm is not ES256");
    if (!jwt_text(header, "typ", &text) || !str_eq(text, S("at+jwt")))
        return refuse(why, "the type is not at+jwt");
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (cJSON_GetObjectItemCaseSensitive(header, never[i]))
            return refuse(why, "the header names an extension or a key of its own");
    if (!jwt_text(header, "kid", &text) || !str_eq(text, kid)) return refuse(why, jwt_other_key);
    return RC_OK;
}

static rc_t check_times(const cJSON *claims, s64 now_s, s64 *expires_s, const char **why) {
    s64 issued, expires, not_before;
    if (!jwt_time(claims, "iat", &issued)) return refuse(why, "iat is not a time");
    if (!jwt_time(claims, "exp", &expires)) return refuse(why, "exp is not a time");
    if (expires <= now_s) return refuse(why, "expired");
    if (issued > now_s + CLOCK_SKEW_S) return refuse(why, "issued in the future");
    if (expires <= issued || expires - issued > ACCESS_SECONDS)
        return refuse(why, "lives too long");
    if (cJSON_GetObjectItemCaseSensitive(claims, "nbf")) {
        if (!jwt_time(claims, "nbf", &not_before)) return refuse(why, "nbf is not a time");
        if (not_before > now_s + CLOCK_SKEW_S) return refuse(why, "not valid yet");
    }
    *expires_s = expires;
    return RC_OK;
}

static rc_t check_claims(const cJSON *claims, const struct jwt_expected *e, struct jwt *out,
                         const char **why) {
    str text;
    if (!jwt_text(claims, "iss", &text) || !str_eq(text, e->issuer))
        return refuse(why, "wrong issuer");
    if (!jwt_text(claims, "aud", &text) || !str_eq(text, e->audience))
        return refuse(why, "wrong audience");
    if (!jwt_text(claims, "sub", &out->user_id) || !id_valid(out->user_id))
        return refuse(why, "sub is not a user");
    if (!jwt_text(claims, "sid", &out->session_id) || !id_valid(out->session_id))
        return refuse(why, "sid is not a session");
    if (!jwt_text(claims, "jti", &out->token_id) || !id_valid(out->token_id))
        return refuse(why, "jti is not an id");
    if (!jwt_text(claims, "role", &out->role) ||
        !(str_eq(out->role, S("admin")) || str_eq(out->role, S("user"))))
        return refuse(why, "unknown role");
    return check_times(claims, e->now_s, &out->expires_s, why);
}

rc_t jwt_parse(struct arena *a, str token, const struct jwt_expected *expected, struct jwt *out,
               const char **why) {
    str rest = token, header_part, claims_part, signature_part;
    cJSON *header, *claims;
    size_t n;
    rc_t rc;
    *why = "not a token of ours";
    if (token.len == 0) return RC_INVALID;
    if (token.len > TOKEN_MAX) return RC_LIMIT;
    if (!str_split(&rest, '.', &header_part) || !str_split(&rest, '.', &claims_part) ||
        !str_split(&rest, '.', &signature_part) || rest.ptr)
        return refuse(why, "not three parts");
    if (signature_part.len != BASE64_LEN(ES256_SIGNATURE_BYTES) ||
        base64url_decode(signature_part, out->signature, sizeof out->signature, &n))
        return refuse(why, "the signature is not 64 bytes");
    if ((rc = jwt_decode_object(a, header_part, &header))) return rc;
    if ((rc = check_header(header, expected->kid, why))) return rc;
    if ((rc = jwt_decode_object(a, claims_part, &claims))) return rc;
    if ((rc = check_claims(claims, expected, out, why))) return rc;
    out->signed_part = str_of(token.ptr, header_part.len + 1 + claims_part.len);
    *why = NULL;
    return RC_OK;
}

static str encoded(struct arena *a, str json) {
    char *to = json.ptr ? arena_alloc(a, BASE64_LEN(json.len) + 1) : NULL;
    return to ? str_of(to, base64url_encode(json.ptr, json.len, to)) : str_of(NULL, 0);
}

str jwt_encode(struct arena *a, str type, str kid, str claims) {
    str header = encoded(a, arena_printf(a, "{\"alg\":\"ES256\",\"typ\":\"%.*s\",\"kid\":\"%.*s\"}",
                                         STR(type), STR(kid)));
    str body = encoded(a, claims);
    if (!header.ptr || !body.ptr) return str_of(NULL, 0);
    return arena_printf(a, "%.*s.%.*s", STR(header), STR(body));
}

str jwt_unsigned_claims(struct arena *a, str kid, const struct jwt_claims *c) {
    str scope = c->scope.len ? arena_printf(a, ",\"scope\":\"%.*s\"", STR(c->scope)) : S("");
    if (!scope.ptr) return scope;
    str claims = arena_printf(
        a,
        "{\"iss\":\"%.*s\",\"aud\":\"%.*s\",\"sub\":\"%.*s\",\"client_id\":\"%.*s\","
        "\"iat\":%lld,\"exp\":%lld,\"jti\":\"%.*s\",\"role\":\"%.*s\",\"sid\":\"%.*s\"%.*s}",
        STR(c->issuer), STR(c->audience), STR(c->user_id), STR(c->client_id),
        (long long)c->issued_s, (long long)(c->issued_s + ACCESS_SECONDS), STR(c->token_id),
        STR(c->role), STR(c->session_id), STR(scope));
    return jwt_encode(a, S("at+jwt"), kid, claims);
}

str jwt_unsigned(struct arena *a, str issuer, str audience, str kid, str user_id, str session_id,
                 str token_id, str role, s64 issued_s) {
    struct jwt_claims claims = {.issuer = issuer,
                                .audience = audience,
                                .user_id = user_id,
                                .session_id = session_id,
                                .token_id = token_id,
                                .role = role,
                                .client_id = audience,
                                .issued_s = issued_s};
    return jwt_unsigned_claims(a, kid, &claims);
}

str jwt_signed(struct arena *a, str unsigned_part, const u8 signature[ES256_SIGNATURE_BYTES]) {
    char text[BASE64_LEN(ES256_SIGNATURE_BYTES) + 1];
    base64url_encode(signature, ES256_SIGNATURE_BYTES, text);
    return arena_printf(a, "%.*s.%s", STR(unsigned_part), text);
}
