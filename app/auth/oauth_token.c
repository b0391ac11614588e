/* SPDX-License-Identifier: Apache-2.0 */
/* oauth_token.c — tokens for applications: POST /oauth2/token and what is asked about its answers.
 *
 * A code becomes a session of its user that belongs to the client: the access token carries its
 * scopes (access_decide asks them, as an API key's), the refresh token turns over as everybody's
 * does (session.c), and the person sees it among their sessions and may end it. Always true: of two
 * requests with one code one gets tokens, and the second ends what the first got (RFC 6749 4.1.2);
 * a wrong verifier uses the code up; a refresh token works only for the client that got it, and
 * only here. Every grant leaves an audit row. */
#include "app/audit/audit.h"
#include "app/auth/oauth_impl.h"
#include "app/id.h"

static str line_of(str *rest) {
    str line = {NULL, 0};
    if (!str_split(rest, '\n', &line)) line = S("");
    return line;
}

rc_t oauth_grant_event(struct db_txn *t, struct request *rq, const struct grant *g,
                       const char *result, const char *how) {
    struct audit_event event = {
        .action = "client.token",
        .resource = arena_printf(rq->arena, "client/%.*s", STR(g->client.id)),
        .result = result,
        .detail =
            arena_printf(rq->arena, "{\"grant\":\"%s\",\"user\":\"%.*s\"}", how, STR(g->user.id)),
    };
    return audit_add(t, rq, &event);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static rc_t id_token(struct arena *a, const struct grant *g, str *out) {
    const struct es256_key *key = keyring_signer();
    s64 now = (s64)(auth_now_ns() / NS_PER_S);
    struct json_writer w;
    if (!key) return RC_AGAIN;
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "iss", g->issuer);
    json_text(&w, "sub", g->user.id);
    json_text(&w, "aud", g->client.id);
    json_int(&w, "iat", now);
    json_int(&w, "exp", now + ACCESS_SECONDS);
    json_int(&w, "auth_time", (s64)g->auth_time_s);
    if (g->nonce.len) json_text(&w, "nonce", g->nonce);
    if (words_have(g->scope, S("email"))) {
        json_text(&w, "email", g->user.email);
        json_bool(&w, "email_verified", g->user.verified_ns != 0);
    }
    if (words_have(g->scope, S("profile"))) json_text(&w, "name", g->user.name);
    json_array(&w, "amr");
    json_text(&w, NULL, S("pwd"));
    if (g->mfa) json_text(&w, NULL, S("mfa"));
    json_array_end(&w);
    json_object_end(&w);
    str text = w.out.failed ? str_of(NULL, 0)
                            : jwt_encode(a, S("JWT"), str_from_c(key->kid), buf_str(&w.out));
    json_close(&w);
    return token_sign(a, text, key, out);
}

void oauth_tokens_answer(struct request *rq, const struct grant *g) {
    struct json_writer w;
    str access, id = {NULL, 0};
    rc_t rc = token_issue_for(rq->arena, &g->user, g->session_id, g->client.id, g->scope, &access);
    if (rc == RC_OK && g->issuer.len && words_have(g->scope, S("openid")))
        rc = id_token(rq->arena, g, &id);
    if (rc) {
        reply_rc(rq, rc, "Signing the token");
        return;
    }
    json_open(&w, 16384);
    json_object(&w, NULL);
    json_text(&w, "access_token", access);
    json_text(&w, "token_type", S("Bearer"));
    json_int(&w, "expires_in", ACCESS_SECONDS);
    json_text(&w, "scope", g->scope);
    if (g->refresh_token.len) json_text(&w, "refresh_token", g->refresh_token);
    if (id.ptr) json_text(&w, "id_token", id);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- Code ------------------------------------------------------------------------------------ */

static bool verifier_fits(str verifier, str challenge) {
    u8 hash[SHA256_BYTES];
    char text[BASE64_LEN(SHA256_BYTES) + 1];
    if (verifier.len < VERIFIER_MIN || verifier.len > VERIFIER_MAX) return false;
    sha256(verifier, hash);
    size_t n = base64url_encode(hash, sizeof hash, text);
    return str_eq_secret(str_of(text, n), challenge);
}

/* RC_DENIED: refused, what that changed is in `t`. */
static rc_t code_use(struct db_txn *t, struct request *rq, str code, str redirect, str verifier,
                     struct grant *g) {
    struct session_start session;
    struct once o;
    rc_t rc = once_peek(t, rq->arena, S("code"), code, &o);
    if (rc) return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    if (o.tries < 0) { /* used before: whoever got tokens for it may be a thief */
        g->ended = o.data;
        rc = session_end(t, o.data);
        if (rc == RC_OK) rc = once_take(t, rq->arena, S("code"), code, &o);
        return rc ? rc : RC_DENIED;
    }
    str rest = o.data, client = line_of(&rest), uri = line_of(&rest);
    g->scope = line_of(&rest);
    str challenge = line_of(&rest);
    g->nonce = line_of(&rest);
    g->issuer = line_of(&rest);
    if (str_to_u64(line_of(&rest), &g->auth_time_s)) return RC_CORRUPT;
    g->mfa = str_eq(line_of(&rest), S("mfa"));
    if (!str_eq(client, g->client.id)) return RC_DENIED; /* not its own: it stays for its owner */
    if (!str_eq(uri, redirect) || !verifier_fits(verifier, challenge)) {
        rc = once_take(t, rq->arena, S("code"), code, &o);
        return rc ? rc : RC_DENIED;
    }
    rc = user_by_id(t, rq->arena, o.user_id, &g->user);
    if (rc || !str_eq(g->user.state, S("active"))) return rc && rc != RC_NOT_FOUND ? rc : RC_DENIED;
    struct session_options options = {.mfa = g->mfa, .client_id = g->client.id, .scopes = g->scope};
    if ((rc = session_begin(t, rq, g->user.id, &options, &session))) return rc;
    g->session_id = session.session_id;
    if (words_have(g->client.grants, S("refresh_token"))) g->refresh_token = session.refresh_token;
    rc = once_spend(t, rq->arena, S("code"), code, session.session_id, ACCESS_SECONDS);
    return rc ? rc : oauth_grant_event(t, rq, g, "ok", "authorization_code");
}

static void refused(struct request *rq, rc_t rc) {
    if (rc == RC_DENIED)
        oauth_error(rq, 400, "invalid_grant",
                    "The code or token is wrong, was used or is too old.");
    else
        reply_rc(rq, rc, "Granting");
}

static void by_code(struct request *rq, str form, struct grant *g) {
    str code, redirect, verifier;
    struct db_txn *t;
    if (!form_value(rq->arena, form, "code", &code) ||
        !form_value(rq->arena, form, "redirect_uri", &redirect) ||
        !form_value(rq->arena, form, "code_verifier", &verifier) || !code.ptr || !redirect.ptr ||
        !verifier.ptr) {
        oauth_error(rq, 400, "invalid_request",
                    "code, redirect_uri and code_verifier are wanted, once each.");
        return;
    }
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) {
        rc = code_use(t, rq, code, redirect, verifier, g);
        if (rc == RC_DENIED) {
            rc = oauth_grant_event(t, rq, g, "denied", "authorization_code");
            rc_t kept = db_write_end(t, rc);
            rc = kept ? kept : RC_DENIED;
        } else {
            rc = db_write_end(t, rc);
        }
    }
    if (g->ended.len) token_cache_drop_session(g->ended);
    if (rc)
        refused(rq, rc);
    else
        oauth_tokens_answer(rq, g);
}

/* ---- Refresh --------------------------------------------------------------------------------- */

static rc_t refresh_use(struct db_txn *t, struct request *rq, str token, struct grant *g,
                        struct session_refresh *done) {
    struct session_state state;
    rc_t rc = session_rotate(t, rq->arena, token, done);
    if (rc || done->result == REFRESH_REFUSED) return rc ? rc : RC_DENIED;
    if (done->result == REFRESH_REUSED)
        return oauth_grant_event(t, rq, g, "denied", "refresh_token");
    rc = session_owner(t, rq->arena, done->session_id, done->user_id, &g->user, &state);
    if (rc) return rc;
    if (!state.client_id.ptr || !str_eq(state.client_id, g->client.id)) return RC_DENIED;
    g->session_id = done->session_id;
    g->refresh_token = done->refresh_token;
    g->scope = state.scopes;
    return RC_OK;
}

static void by_refresh(struct request *rq, str form, struct grant *g) {
    struct session_refresh done = {.result = REFRESH_REFUSED};
    str token, scope;
    struct db_txn *t;
    if (!form_value(rq->arena, form, "refresh_token", &token) || !token.len ||
        !form_value(rq->arena, form, "scope", &scope)) {
        oauth_error(rq, 400, "invalid_request", "refresh_token is wanted, once.");
        return;
    }
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, refresh_use(t, rq, token, g, &done));
    if (rc == RC_OK && done.result == REFRESH_REUSED) {
        token_cache_drop_session(done.session_id);
        rc = RC_DENIED;
    }
    if (rc == RC_OK && done.result == REFRESH_ROTATED) session_rotated(&done, token);
    if (rc)
        refused(rq, rc);
    else if (scope.len && !words_cover(g->scope, scope))
        oauth_error(rq, 400, "invalid_scope", "More than was granted.");
    else
        oauth_tokens_answer(rq, g);
}

/* ---- For itself ------------------------------------------------------------------------------ */

enum { MACHINE = 2 }; /* session.remember: of an application acting for itself */

/* One session for all of its tokens: they are many, and none is refreshed. */
static rc_t machine_session(struct db_txn *t, struct request *rq, struct grant *g) {
    struct session_options options = {.client_id = g->client.id, .scopes = g->scope};
    struct session_start session = {0};
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT id FROM session WHERE user_id=?1 AND client_id=?2 AND scopes=?3"
                       " AND remember=?4 AND expires_ns>?5",
                       DB_TEXT(g->user.id), DB_TEXT(g->client.id), DB_TEXT(g->scope),
                       DB_INT(MACHINE), DB_INT(auth_now_ns()));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK)
        session.session_id = arena_copy(rq->arena, db_column_text(r, 0));
    db_done(r);
    if (rc == RC_NOT_FOUND) rc = session_begin(t, rq, g->user.id, &options, &session);
    if (rc) return rc;
    g->session_id = session.session_id;
    if (!g->session_id.ptr) return RC_NO_MEMORY;
    return db_run(t, "UPDATE session SET remember=?2,expires_ns=?3 WHERE id=?1",
                  DB_TEXT(g->session_id), DB_INT(MACHINE),
                  DB_INT(auth_now_ns() + (ACCESS_SECONDS + CLOCK_SKEW_S) * NS_PER_S));
}

static rc_t machine_use(struct db_txn *t, struct request *rq, struct grant *g) {
    rc_t rc = user_by_id(t, rq->arena, g->client.owner_id, &g->user);
    if (rc || !str_eq(g->user.state, S("active"))) return rc && rc != RC_NOT_FOUND ? rc : RC_DENIED;
    rc = machine_session(t, rq, g);
    return rc ? rc : oauth_grant_event(t, rq, g, "ok", "client_credentials");
}

static void by_client(struct request *rq, str form, struct grant *g) {
    struct db_txn *t;
    if (!form_value(rq->arena, form, "scope", &g->scope) ||
        !words_cover(g->client.scopes, g->scope)) {
        oauth_error(rq, 400, "invalid_scope", "This client may not ask for this scope.");
        return;
    }
    if (!g->scope.len) g->scope = g->client.scopes;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, machine_use(t, rq, g));
    if (rc)
        refused(rq, rc);
    else
        oauth_tokens_answer(rq, g);
}

void oauth_token_post(struct request *rq) {
    static const struct {
        const char *name;
        void (*run)(struct request *rq, str form, struct grant *g);
    } grants[] = {{"authorization_code", by_code},
                  {"refresh_token", by_refresh},
                  {"client_credentials", by_client},
                  {DEVICE_GRANT, oauth_by_device}};
    struct grant g = {.issuer = S("")};
    str form, type;
    if (!oauth_form(rq, &form)) return;
    if (!form_value(rq->arena, form, "grant_type", &type) || !type.len) {
        oauth_error(rq, 400, "invalid_request", "grant_type is wanted, once.");
        return;
    }
    if (!oauth_client_authenticate(rq, form, &g.client)) return;
    for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
        if (!str_eq(type, str_from_c(grants[i].name))) continue;
        if (words_have(g.client.grants, type))
            grants[i].run(rq, form, &g);
        else
            oauth_error(rq, 400, "unauthorized_client", "This client may not use this grant.");
        return;
    }
    oauth_error(rq, 400, "unsupported_grant_type", "This grant is not known here.");
}

/* ---- Ending, asking, telling (RFC 7009, RFC 7662, OpenID Connect 5.3) --------------------------
 */

static rc_t revoke_rows(struct db_txn *t, struct request *rq, str session_id,
                        const struct grant *g) {
    rc_t rc = db_run(t, "DELETE FROM session WHERE id=?1 AND client_id=?2", DB_TEXT(session_id),
                     DB_TEXT(g->client.id));
    return rc || !db_changes(t) ? rc : oauth_grant_event(t, rq, g, "ok", "revoked");
}

void oauth_revoke_post(struct request *rq) {
    struct grant g = {.issuer = S("")};
    struct actor who = {0};
    struct db_txn *t;
    const char *why;
    str form, token, session_id = {NULL, 0};
    if (!oauth_form(rq, &form) || !oauth_client_authenticate(rq, form, &g.client)) return;
    if (!form_value(rq->arena, form, "token", &token) || !token.len) {
        oauth_error(rq, 400, "invalid_request", "token is wanted, once.");
        return;
    }
    rc_t rc = RC_OK;
    if (session_of_refresh(rq->arena, token, &session_id))
        ; /* whoever holds any token of the family may end it */
    else if ((rc = token_verify(rq->arena, token, &who, &why)) == RC_OK)
        session_id = who.session_id;
    if (rc == RC_DENIED) rc = RC_OK; /* a bad token is as good as revoked */
    if (rc == RC_OK && session_id.len) {
        rc = db_write_begin(&t);
        if (rc == RC_OK) rc = db_write_end(t, revoke_rows(t, rq, session_id, &g));
        if (rc == RC_OK) token_cache_drop_session(session_id);
    }
    if (rc)
        reply_rc(rq, rc, "Ending the token");
    else
        reply_empty(rq, 200);
}

void oauth_introspect_post(struct request *rq) {
    struct oauth_client client;
    struct actor who = {0};
    struct json_writer w;
    const char *why;
    str form, token;
    if (!oauth_form(rq, &form) || !oauth_client_authenticate(rq, form, &client)) return;
    if (!client.confidential) {
        oauth_error(rq, 401, "invalid_client", "Only a confidential client may ask.");
        return;
    }
    if (!form_value(rq->arena, form, "token", &token) || !token.len) {
        oauth_error(rq, 400, "invalid_request", "token is wanted, once.");
        return;
    }
    rc_t rc = token_verify(rq->arena, token, &who, &why);
    if (rc && rc != RC_DENIED) {
        reply_rc(rq, rc, "Judging the token");
        return;
    }
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_bool(&w, "active", rc == RC_OK);
    if (rc == RC_OK) {
        json_text(&w, "sub", who.user_id);
        json_text(&w, "username", who.email);
        json_text(&w, "jti", who.token_id);
        json_text(&w, "token_type", S("Bearer"));
        if (who.scopes.ptr) json_text(&w, "scope", who.scopes);
    }
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void oauth_userinfo(struct request *rq) {
    struct user user;
    struct json_writer w;
    struct db_txn *t;
    rc_t rc = auth_identify(rq);
    if (rc && rc != RC_PASS) return; /* answered */
    if (rq->actor.kind != ACTOR_CLIENT || !words_have(rq->actor.scopes, S("openid"))) {
        int status = rq->actor.kind == ACTOR_GUEST ? 401 : 403;
        rc = http_answer_field(rq->x, S("WWW-Authenticate"),
                               status == 401 ? S("Bearer realm=\"openpolicy\"")
                                             : S("Bearer error=\"insufficient_scope\""));
        reply_problem(rq, status, "openid_wanted",
                      "An application's access token with the scope openid is wanted.");
        return;
    }
    if ((rc = db_read_begin(&t)) == RC_OK) {
        rc = user_by_id(t, rq->arena, rq->actor.user_id, &user);
        db_read_end(t);
    }
    if (rc) {
        reply_rc(rq, rc, "Reading the account");
        return;
    }
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_text(&w, "sub", user.id);
    if (words_have(rq->actor.scopes, S("profile"))) json_text(&w, "name", user.name);
    if (words_have(rq->actor.scopes, S("email"))) {
        json_text(&w, "email", user.email);
        json_bool(&w, "email_verified", user.verified_ns != 0);
    }
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
