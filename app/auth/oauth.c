/* SPDX-License-Identifier: Apache-2.0 */
/* oauth.c — where an application sends a browser: discovery and the authorization endpoint.
 *
 *    app -> GET /oauth2/authorize?client_id&redirect_uri&code_challenge&state
 *             not signed in: our own page asks, then comes back here
 *             signed in:     303 redirect_uri?code&state&iss        (code: 60 s, once)
 *    app -> POST /oauth2/token                                       (oauth_token.c)
 *
 * OAuth 2.0 as RFC 9700 wants it: the code flow alone, PKCE with S256 always, exact redirect
 * addresses, `iss` in the answer (RFC 9207), pushed requests (RFC 9126). Administrators register
 * applications, so nobody is asked for consent. Always true: an error is redirected only to an
 * address the client has registered; the code holds all it was asked for, and the token endpoint
 * compares. The data of a code: lines of client, redirect, scopes, challenge, nonce, issuer, time.
 */
#include "app/auth/oauth_impl.h"

struct asked {
    str client_id, redirect_uri, type, scope, state, nonce, challenge, method, mode, prompt;
    struct oauth_client client;
};

/* ---- Discovery (RFC 8414, OpenID Connect Discovery 1.0) ---------------------------------------
 */

static void list_json(struct json_writer *w, const char *key, const char *words) {
    str rest = str_from_c(words), one;
    json_array(w, key);
    while (str_split(&rest, ' ', &one)) json_text(w, NULL, one);
    json_array_end(w);
}

void oauth_discovery_get(struct request *rq) {
    static const char *const places[][2] = {
        {"authorization_endpoint", "/oauth2/authorize"},
        {"token_endpoint", "/oauth2/token"},
        {"userinfo_endpoint", "/oauth2/userinfo"},
        {"jwks_uri", "/.well-known/jwks.json"},
        {"revocation_endpoint", "/oauth2/revoke"},
        {"introspection_endpoint", "/oauth2/introspect"},
        {"pushed_authorization_request_endpoint", "/oauth2/par"},
        {"device_authorization_endpoint", "/oauth2/device_authorization"},
    };
    static const char *const lists[][2] = {
        {"response_types_supported", "code"},
        {"response_modes_supported", "query"},
        {"grant_types_supported",
         "authorization_code refresh_token client_credentials " DEVICE_GRANT},
        {"subject_types_supported", "public"},
        {"id_token_signing_alg_values_supported", "ES256"},
        {"scopes_supported", "openid profile email"},
        {"token_endpoint_auth_methods_supported", "client_secret_basic client_secret_post none"},
        {"revocation_endpoint_auth_methods_supported",
         "client_secret_basic client_secret_post none"},
        {"introspection_endpoint_auth_methods_supported", "client_secret_basic client_secret_post"},
        {"code_challenge_methods_supported", "S256"},
        {"claims_supported", "sub iss aud exp iat auth_time nonce email email_verified name amr"},
    };
    struct json_writer w;
    str base = oauth_base(rq);
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "issuer", base);
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        json_text(&w, places[i][0], arena_join(rq->arena, base, str_from_c(places[i][1])));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) list_json(&w, lists[i][0], lists[i][1]);
    json_bool(&w, "authorization_response_iss_parameter_supported", true);
    json_bool(&w, "request_uri_parameter_supported", true);
    json_bool(&w, "claims_parameter_supported", false);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- What was asked -------------------------------------------------------------------------- */

static bool asked_read(struct arena *a, str form, struct asked *q) {
    return form_value(a, form, "client_id", &q->client_id) &&
           form_value(a, form, "redirect_uri", &q->redirect_uri) &&
           form_value(a, form, "response_type", &q->type) &&
           form_value(a, form, "scope", &q->scope) && form_value(a, form, "state", &q->state) &&
           form_value(a, form, "nonce", &q->nonce) &&
           form_value(a, form, "code_challenge", &q->challenge) &&
           form_value(a, form, "code_challenge_method", &q->method) &&
           form_value(a, form, "response_mode", &q->mode) &&
           form_value(a, form, "prompt", &q->prompt);
}

static rc_t client_of(struct request *rq, str id, struct oauth_client *out) {
    struct db_txn *t;
    if (id.len != 36) return RC_NOT_FOUND;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = oauth_client_read(t, rq->arena, id, out);
    db_read_end(t);
    return rc;
}

/* The error to send back; NULL: nothing is wrong with it. */
static const char *asked_wrong(struct arena *a, struct asked *q, const char **text) {
    u8 hash[SHA256_BYTES + 1];
    size_t n;
    (void)a;
    *text = "response_type is \"code\".";
    if (!str_eq(q->type, S("code"))) return "unsupported_response_type";
    *text = "This client may not use the code flow.";
    if (!words_have(q->client.grants, S("authorization_code"))) return "unauthorized_client";
    *text = "PKCE is wanted: code_challenge, and code_challenge_method \"S256\".";
    if (!str_eq(q->method, S("S256")) || q->challenge.len != CHALLENGE_LEN ||
        base64url_decode(q->challenge, hash, sizeof hash, &n))
        return "invalid_request";
    *text = "response_mode is \"query\".";
    if (q->mode.ptr && !str_eq(q->mode, S("query"))) return "invalid_request";
    *text = "state and nonce have at most 512 bytes.";
    if (q->state.len > OAUTH_TEXT_MAX || q->nonce.len > OAUTH_TEXT_MAX) return "invalid_request";
    *text = "This client may not ask for this scope.";
    if (!q->scope.len) q->scope = q->client.scopes;
    if (!words_cover(q->client.scopes, q->scope)) return "invalid_scope";
    return NULL;
}

/* 303 to the client with code or error; `name` "code" or "error". */
static void send_back(struct request *rq, const struct asked *q, const char *name, str value,
                      const char *text) {
    struct arena *a = rq->arena;
    bool has_query = str_find_byte(q->redirect_uri, '?') < q->redirect_uri.len;
    str to = arena_join(a, q->redirect_uri, has_query ? S("&") : S("?"), str_from_c(name), S("="),
                        percent_encode(a, value), S("&iss="), percent_encode(a, oauth_base(rq)));
    if (q->state.ptr) to = arena_join(a, to, S("&state="), percent_encode(a, q->state));
    if (text) to = arena_join(a, to, S("&error_description="), percent_encode(a, str_from_c(text)));
    rc_t rc = to.ptr ? http_answer_field(rq->x, S("Location"), to) : RC_NO_MEMORY;
    if (rc)
        reply_rc(rq, rc, "Sending back");
    else
        reply_empty(rq, 303);
}

/* ---- Pushed requests (RFC 9126) ---------------------------------------------------------------
 */

#define REQUEST_URI "urn:ietf:params:oauth:request_uri:"

void oauth_par_post(struct request *rq) {
    struct once o = {.kind = S("par")};
    struct asked q = {0};
    struct json_writer w;
    struct db_txn *t;
    const char *text, *error;
    str form, ticket, inner;
    if (!oauth_form(rq, &form) || !oauth_client_authenticate(rq, form, &q.client)) return;
    if (!asked_read(rq->arena, form, &q) || !form_value(rq->arena, form, "request_uri", &inner) ||
        inner.ptr || !q.client_id.ptr || !words_have(q.client.redirect_uris, q.redirect_uri)) {
        oauth_error(rq, 400, "invalid_request", "A parameter is missing, given twice or wrong.");
        return;
    }
    if ((error = asked_wrong(rq->arena, &q, &text))) {
        oauth_error(rq, 400, error, text);
        return;
    }
    struct arena *a = rq->arena;
    str parts[] = {q.client_id, q.redirect_uri, q.scope, q.state, q.nonce, q.challenge, q.prompt};
    static const char *const names[] = {"client_id", "redirect_uri",   "scope", "state",
                                        "nonce",     "code_challenge", "prompt"};
    o.data = S("response_type=code&code_challenge_method=S256"); /* never the secret */
    for (size_t i = 0; i < ARRAY_LEN(parts) && o.data.ptr; i++)
        if (parts[i].ptr)
            o.data = arena_join(a, o.data, S("&"), str_from_c(names[i]), S("="),
                                percent_encode(a, parts[i]));
    rc_t rc = o.data.ptr ? db_write_begin(&t) : RC_NO_MEMORY;
    if (rc == RC_OK) rc = db_write_end(t, once_ticket(t, a, &o, "", OAUTH_PAR_S, &ticket));
    if (rc) {
        reply_rc(rq, rc, "Keeping the request");
        return;
    }
    json_open(&w, 1024);
    json_object(&w, NULL);
    json_text(&w, "request_uri", arena_join(a, S(REQUEST_URI), ticket));
    json_int(&w, "expires_in", OAUTH_PAR_S);
    json_object_end(&w);
    reply_json(rq, 201, &w);
}

/* The query itself, or what was pushed. false: answered. */
static bool form_of(struct request *rq, str *form) {
    struct once o;
    struct db_txn *t;
    str uri, id, pushed_id;
    *form = rq->http->query;
    bool fine = form_value(rq->arena, *form, "request_uri", &uri) &&
                form_value(rq->arena, *form, "client_id", &id);
    if (fine && !uri.ptr) return true;
    rc_t rc = fine && str_starts(uri, S(REQUEST_URI)) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = once_peek(t, rq->arena, S("par"), str_skip(uri, sizeof REQUEST_URI - 1), &o);
        db_read_end(t);
    }
    *form = rc ? S("") : o.data;
    fine = rc == RC_OK && form_value(rq->arena, *form, "client_id", &pushed_id) &&
           str_eq(id, pushed_id);
    if (!fine)
        reply_problem(rq, 400, "request_uri_refused", "This request is unknown, or too old.");
    return fine;
}

/* ---- The authorization endpoint ---------------------------------------------------------------
 */

const char oauth_signin_page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Sign in</title><h1>Sign in</h1>"
    "<form id=\"f\"><p><label>E-mail <input name=\"email\" type=\"email\" "
    "autocomplete=\"username\" required></label></p><p><label>Password <input name=\"password\" "
    "type=\"password\" autocomplete=\"current-password\" required></label></p><p hidden "
    "id=\"c\"><label>Code <input name=\"code\" autocomplete=\"one-time-code\"></label></p>"
    "<p><button>Sign in</button></p><p id=\"m\" role=\"alert\"></p></form><p id=\"s\"></p>"
    "<script src=\"/oauth2/signin.js\"></script>";

void oauth_signin_script_get(struct request *rq) {
    reply_text(rq, 200, "text/javascript; charset=utf-8",
               S("document.getElementById('f').addEventListener('submit',async e=>{"
                 "e.preventDefault();const d=Object.fromEntries(new FormData(e.target));"
                 "if(!d.code)delete d.code;d.cookie=true;"
                 "const r=await fetch('/api/v1/auth/login',{method:'POST',headers:"
                 "{'Content-Type':'application/json'},body:JSON.stringify(d)});"
                 "if(r.ok){location.reload();return}const p=await r.json();"
                 "if(p.code==='second_factor_required')document.getElementById('c').hidden=false;"
                 "document.getElementById('m').textContent=p.detail});"
                 "fetch('/api/v1/auth/sso').then(r=>r.json()).then(l=>{for(const i of l.items){"
                 "const a=document.createElement('a');a.textContent='Sign in with '+i.title;"
                 "a.href=i.login+'?return='+encodeURIComponent(location.pathname+location.search);"
                 "document.getElementById('s').append(a,' ')}});\n"));
}

static void ask_sign_in(struct request *rq, const struct asked *q) {
    if (words_have(q->prompt, S("none")))
        send_back(rq, q, "error", S("login_required"), "Nobody is signed in.");
    else
        reply_text(rq, 200, "text/html; charset=utf-8", str_from_c(oauth_signin_page));
}

static rc_t code_rows(struct db_txn *t, struct request *rq, const struct asked *q, str *code) {
    struct once o = {.kind = S("code"), .user_id = rq->actor.user_id};
    o.data = arena_printf(
        rq->arena, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%.*s\n%llu\n%s", STR(q->client.id),
        STR(q->redirect_uri), STR(q->scope), STR(q->challenge), STR(q->nonce), STR(oauth_base(rq)),
        (unsigned long long)(auth_now_ns() / NS_PER_S), rq->actor.mfa ? "mfa" : "pwd");
    if (!o.data.ptr) return RC_NO_MEMORY;
    return once_ticket(t, rq->arena, &o, "oac_", OAUTH_CODE_S, code);
}

void oauth_authorize_get(struct request *rq) {
    struct asked q = {0};
    struct db_txn *t;
    const char *text, *error;
    str form, code;
    if (!form_of(rq, &form)) return;
    rc_t rc = asked_read(rq->arena, form, &q) ? client_of(rq, q.client_id, &q.client) : RC_INVALID;
    if (rc == RC_OK && !words_have(q.client.redirect_uris, q.redirect_uri)) rc = RC_NOT_FOUND;
    if (rc == RC_INVALID || rc == RC_NOT_FOUND) { /* nobody we could send back to */
        reply_problem(rq, 400, "client_refused",
                      "The client or its redirect_uri is unknown, or a parameter is there twice.");
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Looking for the client");
        return;
    }
    if ((error = asked_wrong(rq->arena, &q, &text))) {
        send_back(rq, &q, "error", str_from_c(error), text);
        return;
    }
    rc = auth_identify(rq);
    if (rc && rc != RC_PASS) return; /* answered */
    if (rq->actor.kind != ACTOR_USER) {
        ask_sign_in(rq, &q);
        return;
    }
    rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, code_rows(t, rq, &q, &code));
    if (rc)
        reply_rc(rq, rc, "Making the code");
    else
        send_back(rq, &q, "code", code, NULL);
}
