/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c — identity as a module: its tables, its routes, and PHASE_AUTH, which turns
 * `Authorization: Bearer` into `rq->actor`.
 *
 * Always true: no header, a guest; a header that is not a good token, 401 (never a guest by
 * mistake); a failure to find out, 503. Public routes that ask for no permission (login, health) do
 * not look at the header at all, so a client with an old token can still log in. */
#include "app/auth/auth.h"
#include "app/auth/oauth_impl.h"
#include "app/auth/sso_impl.h"
#include "kernel/base/log.h"
#include "net/tls.h"

static const char *const steps[] = {
    "CREATE TABLE user(id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " role TEXT NOT NULL CHECK(role IN ('admin','user')),"
    " state TEXT NOT NULL CHECK(state IN ('active','disabled')), password TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL, password_ns INTEGER NOT NULL,"
    " login_ns INTEGER NOT NULL DEFAULT 0, locked_ns INTEGER NOT NULL DEFAULT 0,"
    " failures INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 1) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE session(id TEXT PRIMARY KEY,"
    " user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE, family BLOB NOT NULL,"
    " turn BLOB NOT NULL, previous BLOB, created_ns INTEGER NOT NULL, refreshed_ns INTEGER NOT "
    "NULL,"
    " expires_ns INTEGER NOT NULL, address TEXT NOT NULL, client TEXT NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE INDEX session_user ON session(user_id);"
    "CREATE INDEX session_expires ON session(expires_ns);"
    "CREATE TABLE auth_key(kid TEXT PRIMARY KEY, private_key BLOB NOT NULL, public_key BLOB NOT "
    "NULL,"
    " issuer TEXT NOT NULL, created_ns INTEGER NOT NULL) STRICT;"
    "CREATE TABLE auth_setup(id INTEGER PRIMARY KEY CHECK(id=1), code_hash BLOB,"
    " tries INTEGER NOT NULL, configured_email TEXT, configured_phc TEXT) STRICT;",
    "ALTER TABLE user ADD COLUMN verified_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE session ADD COLUMN mfa INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE session ADD COLUMN proved_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE session ADD COLUMN cookie BLOB;"
    "ALTER TABLE session ADD COLUMN remember INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE session ADD COLUMN client_id TEXT;"
    "ALTER TABLE session ADD COLUMN scopes TEXT;"
    "CREATE UNIQUE INDEX session_cookie ON session(cookie) WHERE cookie IS NOT NULL;" ONCE_TABLE,
    KEY_TABLE,
    OUTBOX_TABLE FACTOR_TABLE,
    "ALTER TABLE auth_key ADD COLUMN active_ns INTEGER NOT NULL DEFAULT 0;"
    "UPDATE auth_key SET active_ns=created_ns;",
    OAUTH_TABLE "CREATE INDEX session_client ON session(client_id) WHERE client_id IS NOT NULL;",
    PASSKEY_COLUMNS,
    ORG_TABLES,
    DEVICE_TABLE,
    SSO_TABLE DIRECTORY_COLUMNS,
    NULL,
};
static const struct db_schema auth_schema = {.module = "auth", .steps = steps};

/* ---- PHASE_AUTH ------------------------------------------------------------------------------ */

static rc_t unauthorized(struct request *rq, const char *why) {
    log_info("auth", "a token was refused", "why=\"%s\"", why);
    rc_t rc = http_answer_field(rq->x, S("WWW-Authenticate"),
                                S("Bearer realm=\"openpolicy\", error=\"invalid_token\""));
    (void)rc; /* without the field the status still says it */
    reply_problem(rq, 401, "invalid_token", "The access token is not valid; log in or refresh it.");
    return RC_DENIED;
}

static rc_t refused(struct request *rq, rc_t rc, const char *why) {
    if (rc == RC_DENIED) return unauthorized(rq, why);
    reply_rc(rq, rc == RC_AGAIN ? RC_LIMIT : rc, "Checking the token");
    return rc;
}

static rc_t by_header(struct request *rq, str value) {
    const char *why = "not a Bearer token";
    if (value.len < 8 || !str_eq_nocase(str_take(value, 7), S("Bearer ")))
        return unauthorized(rq, why);
    str token = str_trim(str_skip(value, 7));
    if (str_starts(token, S(COOKIE_PREFIX))) return unauthorized(rq, "a cookie's value");
    rc_t rc = str_starts(token, S(KEY_PREFIX)) ? api_key_verify(rq, token, &rq->actor, &why)
                                               : token_verify(rq->arena, token, &rq->actor, &why);
    return rc ? refused(rq, rc, why) : RC_OK;
}

static rc_t by_key_header(struct request *rq, str value) {
    const char *why;
    rc_t rc = api_key_verify(rq, value, &rq->actor, &why);
    return rc ? refused(rq, rc, why) : RC_OK;
}

/* What only reads may come from anywhere: the answer stays with the browser's same-origin rule. */
static rc_t by_cookie(struct request *rq, str cookie) {
    enum http_method m = rq->http->method;
    bool reads = m == HTTP_GET || m == HTTP_HEAD || m == HTTP_OPTIONS;
    const char *why;
    rc_t rc = cookie_verify(rq, cookie, &rq->actor, &why);
    if (rc == RC_DENIED) return RC_PASS; /* a guest: browsers send old cookies with everything */
    if (rc) return refused(rq, rc, why);
    if (reads || cookie_same_origin(rq, true)) return RC_OK;
    rq->actor = (struct actor){0};
    return RC_DENIED;
}

rc_t auth_phase(struct request *rq) {
    const struct route *route = rq->route;
    if (!route || (route->access == ACCESS_PUBLIC && !route->permission)) return RC_PASS;
    return auth_identify(rq);
}

rc_t auth_identify(struct request *rq) {
    u32 at = 0, key_at = 0;
    str value, key, second;
    bool bearer = http_field_next(rq->http, S("Authorization"), &at, &value);
    if (bearer && http_field_next(rq->http, S("Authorization"), &at, &second))
        return unauthorized(rq, "two Authorization fields");
    if (http_field_next(rq->http, S("X-Api-Key"), &key_at, &key))
        return bearer || http_field_next(rq->http, S("X-Api-Key"), &key_at, &second)
                   ? unauthorized(rq, "two proofs at once")
                   : by_key_header(rq, key);
    if (bearer) return by_header(rq, value);
    str cookie = cookie_of(rq);
    return cookie.ptr ? by_cookie(rq, cookie) : RC_PASS;
}

/* ---- The module ------------------------------------------------------------------------------ */

static rc_t auth_start(struct diag *why) {
    rc_t rc = tls_init(); /* the library's locks; signatures need them with or without TLS */
    if (rc == RC_OK) rc = delay_start();
    if (rc == RC_OK) rc = token_cache_start();
    if (rc == RC_OK) rc = password_start();
    if (rc) {
        diag_set(why, "no entropy or no memory for authentication (%s)", rc_name(rc));
        return rc;
    }
    directory_start();
    if ((rc = token_start(why))) return rc;
    return setup_start(why);
}

static void auth_stop(void) {
    sso_forget();
    keyring_stop();
    token_cache_stop();
    password_stop();
}

const struct module auth_module = {
    .name = "auth",
    .start = auth_start,
    .stop = auth_stop,
    .routes = auth_routes,
    .phases = {[PHASE_AUTH] = auth_phase},
    .schema = &auth_schema,
    .schemas = auth_schemas,
};
