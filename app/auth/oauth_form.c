/* SPDX-License-Identifier: Apache-2.0 */
/* oauth_form.c — parameters of OAuth requests: form bodies and queries, and who the client is.
 *
 * Strict where the RFCs are: a parameter given twice is refused (RFC 6749 3.1), a client proves
 * itself in one way, not in two (2.3). Errors are the RFC's JSON, not problem+json, because client
 * libraries read `error`. Always true: secrets are compared as hashes, in constant time; an unknown
 * client and a wrong secret get the same answer. */
#include "app/auth/oauth_impl.h"
#include "app/config/config.h"
#include "app/id.h"

void oauth_error(struct request *rq, int status, const char *error, const char *text) {
    struct json_writer w;
    json_open(&w, 2048);
    json_object(&w, NULL);
    json_text(&w, "error", str_from_c(error));
    json_text(&w, "error_description", str_from_c(text));
    json_object_end(&w);
    if (status == 401) {
        rc_t rc = http_answer_field(rq->x, S("WWW-Authenticate"), S("Basic realm=\"oauth\""));
        (void)rc; /* without the field the status still says it */
    }
    reply_json(rq, status, &w);
}

bool form_value(struct arena *a, str form, const char *name, str *out) {
    str pair, raw, plain;
    *out = str_of(NULL, 0);
    while (str_split(&form, '&', &pair)) {
        raw = str_take(pair, str_find_byte(pair, '='));
        if (http_percent_decode(a, raw, true, &plain)) return false;
        if (!str_eq(plain, str_from_c(name))) continue;
        if (out->ptr) return false;
        raw = str_skip(pair, MIN(raw.len + 1, pair.len));
        if (http_percent_decode(a, raw, true, out)) return false;
        if (!out->ptr) *out = S("");
        for (size_t i = 0; i < out->len; i++)
            if ((u8)out->ptr[i] < 0x20 || out->ptr[i] == 0x7F) return false;
    }
    return true;
}

bool oauth_form(struct request *rq, str *out) {
    str type = http_field(rq->http, S("Content-Type"));
    type = str_trim(str_take(type, str_find_byte(type, ';')));
    if (!str_eq_nocase(type, S("application/x-www-form-urlencoded"))) {
        oauth_error(rq, 400, "invalid_request", "Send application/x-www-form-urlencoded.");
        return false;
    }
    return request_body(rq, out);
}

str percent_encode(struct arena *a, str text) {
    static const char hex[] = "0123456789ABCDEF";
    char *to = arena_alloc(a, text.len * 3 + 1);
    size_t n = 0;
    if (!to) return str_of(NULL, 0);
    for (size_t i = 0; i < text.len; i++) {
        u8 c = (u8)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            to[n++] = (char)c;
        } else {
            to[n++] = '%';
            to[n++] = hex[c >> 4];
            to[n++] = hex[c & 15];
        }
    }
    return str_of(to, n);
}

str oauth_base(struct request *rq) {
    str issuer = config_text("auth.issuer"), host = http_field(rq->http, S("Host"));
    if (issuer.len) return issuer;
    for (size_t i = 0; i < host.len; i++) /* it is quoted in JSON and in pages */
        if (host.ptr[i] == '"' || host.ptr[i] == '<' || host.ptr[i] == '\\' || host.ptr[i] == '&')
            host = S("invalid");
    return arena_join(rq->arena, rq->http->secure ? S("https://") : S("http://"), host);
}

/* ---- The client ------------------------------------------------------------------------------ */

/* "Basic base64(id:secret)", both form-encoded (RFC 6749 2.3.1). */
static bool basic_read(struct request *rq, str value, str *id, str *secret) {
    str text = str_trim(str_skip(value, 6)), raw;
    char *to = arena_alloc(rq->arena, text.len + 1);
    size_t n;
    while (text.len && text.ptr[text.len - 1] == '=') text.len--;
    if (!to || base64_decode(text, to, text.len + 1, &n)) return false;
    raw = str_of(to, n);
    size_t colon = str_find_byte(raw, ':');
    if (colon == raw.len) return false;
    return !http_percent_decode(rq->arena, str_take(raw, colon), true, id) &&
           !http_percent_decode(rq->arena, str_skip(raw, colon + 1), true, secret);
}

static bool names_read(struct request *rq, str form, str *id, str *secret) {
    str value, form_id, form_secret;
    u32 at = 0;
    bool basic = http_field_next(rq->http, S("Authorization"), &at, &value) &&
                 str_eq_nocase(str_take(value, 6), S("Basic "));
    if (!form_value(rq->arena, form, "client_id", &form_id) ||
        !form_value(rq->arena, form, "client_secret", &form_secret))
        return false;
    *id = form_id;
    *secret = form_secret;
    if (!basic) return form_id.ptr != NULL;
    if (form_secret.ptr || !basic_read(rq, value, id, secret)) return false;
    return !form_id.ptr || str_eq(form_id, *id);
}

static rc_t client_find(struct request *rq, str id, struct oauth_client *out) {
    struct db_txn *t;
    if (!id_valid(id)) return RC_NOT_FOUND;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = oauth_client_read(t, rq->arena, id, out);
    db_read_end(t);
    return rc;
}

bool oauth_client_authenticate(struct request *rq, str form, struct oauth_client *out) {
    str id = {NULL, 0}, secret = {NULL, 0};
    u8 hash[SHA256_BYTES];
    bool named = names_read(rq, form, &id, &secret);
    rc_t rc = named ? client_find(rq, id, out) : RC_NOT_FOUND;
    if (rc && rc != RC_NOT_FOUND) {
        reply_rc(rq, rc, "Looking for the client");
        return false;
    }
    sha256(secret, hash);
    bool fits = rc == RC_OK &&
                (out->confidential
                     ? secret.ptr && str_eq_secret(str_of((char *)hash, sizeof hash),
                                                   str_of((char *)out->secret_hash, sizeof hash))
                     : secret.len == 0);
    if (!fits) oauth_error(rq, 401, "invalid_client", "The client is unknown or not proved.");
    return fits;
}
