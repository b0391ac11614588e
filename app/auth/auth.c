/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c — identity as a module: its tables, its routes, and PHASE_AUTH, which turns
 * `Authorization: Bearer` into `rq->actor`.
 *
 * Always true: no header, a guest; a header that is not a good token, 401 (never a guest by
 * mistake); a failure to find out, 503. Public routes that ask for no permission (login, health) do
 * not look at the header at all, so a client with an old token can still log in. */
#include "app/auth/auth.h"
#include "app/auth/auth_impl.h"
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

rc_t auth_phase(struct request *rq) {
    const struct route *route = rq->route;
    u32 at = 0;
    str value, second;
    const char *why;
    if (!route || (route->access == ACCESS_PUBLIC && !route->permission)) return RC_PASS;
    if (!http_field_next(rq->http, S("Authorization"), &at, &value)) return RC_PASS;
    if (http_field_next(rq->http, S("Authorization"), &at, &second))
        return unauthorized(rq, "two Authorization fields");
    if (value.len < 8 || !str_eq_nocase(str_take(value, 7), S("Bearer ")))
        return unauthorized(rq, "not a Bearer token");
    rc_t rc = token_verify(rq->arena, str_trim(str_skip(value, 7)), &rq->actor, &why);
    if (rc == RC_OK) return RC_OK;
    if (rc == RC_DENIED) return unauthorized(rq, why);
    reply_rc(rq, rc == RC_AGAIN ? RC_LIMIT : rc, "Checking the token");
    return rc;
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
    if ((rc = token_start(why))) return rc;
    return setup_start(why);
}

static void auth_stop(void) {
    token_cache_stop();
    password_stop();
}

static const struct route_param users_query[] = {
    {"role", "string", "admin or user."},
    {"state", "string", "active or disabled."},
    {"q", "string", "Part of the name or the address."},
    {"limit", "integer", "1 to 100; 20."},
    {"offset", "integer", "Accounts to skip."},
    {NULL, NULL, NULL},
};

/* The same under the old prefix, which clients of the platform before this one still use. */
#define ACCOUNT_ROUTES(prefix)                                                                     \
    {.method = HTTP_POST,                                                                          \
     .pattern = prefix "/login",                                                                   \
     .handle = login_post,                                                                         \
     .summary = "Log in with e-mail address and password",                                         \
     .tag = "auth",                                                                                \
     .body_schema = "#Login",                                                                      \
     .answer_schema = "#Tokens"},                                                                  \
        {.method = HTTP_POST,                                                                      \
         .pattern = prefix "/refresh",                                                             \
         .handle = refresh_post,                                                                   \
         .summary = "A new token pair for a refresh token",                                        \
         .tag = "auth",                                                                            \
         .body_schema = "#Refresh",                                                                \
         .answer_schema = "#Tokens"},                                                              \
        {.method = HTTP_POST,                                                                      \
         .pattern = prefix "/register",                                                            \
         .handle = register_post,                                                                  \
         .summary = "Make an account, where registration is open",                                 \
         .tag = "auth",                                                                            \
         .success = 201,                                                                           \
         .body_schema = "#Registration",                                                           \
         .answer_schema = "#User"},                                                                \
        {.method = HTTP_POST,                                                                      \
         .pattern = prefix "/logout",                                                              \
         .handle = logout_post,                                                                    \
         .access = ACCESS_USER,                                                                    \
         .permission = "auth:self:update",                                                         \
         .summary = "End this session at once",                                                    \
         .tag = "auth",                                                                            \
         .success = 204},                                                                          \
        {.method = HTTP_GET,                                                                       \
         .pattern = prefix "/me",                                                                  \
         .handle = me_get,                                                                         \
         .access = ACCESS_USER,                                                                    \
         .permission = "auth:self:read",                                                           \
         .summary = "Who am I",                                                                    \
         .tag = "auth",                                                                            \
         .answer_schema = "#User"},                                                                \
    {                                                                                              \
        .method = HTTP_GET, .pattern = prefix "/users", .handle = users_get,                       \
        .access = ACCESS_ADMIN, .permission = "auth:user:list", .summary = "List the accounts",    \
        .tag = "users", .query = users_query, .answer_schema = "#UserPage"                         \
    }

static const struct route auth_routes[] = {
    ACCOUNT_ROUTES("/api/v1/auth"),
    ACCOUNT_ROUTES("/api/auth"),
    {.method = HTTP_POST,
     .pattern = "/api/v1/auth/logout-all",
     .handle = logout_all_post,
     .access = ACCESS_USER,
     .permission = "auth:self:update",
     .summary = "End every session of this account at once",
     .tag = "auth",
     .success = 204},
    {.method = HTTP_PUT,
     .pattern = "/api/v1/auth/me",
     .handle = me_put,
     .access = ACCESS_USER,
     .permission = "auth:self:update",
     .summary = "Change one's name",
     .tag = "auth",
     .body_schema = "#Profile",
     .answer_schema = "#User"},
    {.method = HTTP_POST,
     .pattern = "/api/v1/auth/change-password",
     .handle = change_password_post,
     .access = ACCESS_USER,
     .permission = "auth:self:update",
     .summary = "Change one's password; other sessions end",
     .tag = "auth",
     .success = 204,
     .body_schema = "#PasswordChange"},
    {.method = HTTP_POST,
     .pattern = "/api/v1/auth/users",
     .handle = users_post,
     .access = ACCESS_ADMIN,
     .permission = "auth:user:create",
     .summary = "Make an account",
     .tag = "users",
     .success = 201,
     .body_schema = "#NewUser",
     .answer_schema = "#User",
     .idempotency_key = true},
    {.method = HTTP_GET,
     .pattern = "/api/v1/auth/users/{id}",
     .handle = user_get,
     .access = ACCESS_ADMIN,
     .permission = "auth:user:read",
     .summary = "Read an account",
     .tag = "users",
     .answer_schema = "#User"},
    {.method = HTTP_PUT,
     .pattern = "/api/v1/auth/users/{id}",
     .handle = user_put,
     .access = ACCESS_ADMIN,
     .permission = "auth:user:update",
     .summary = "Change an account: name, address, role, state, password, lock",
     .tag = "users",
     .body_schema = "#UserChange",
     .answer_schema = "#User"},
    {.method = HTTP_DELETE,
     .pattern = "/api/v1/auth/users/{id}",
     .handle = user_delete,
     .access = ACCESS_ADMIN,
     .permission = "auth:user:delete",
     .summary = "Remove an account",
     .tag = "users",
     .success = 204},
    {.method = HTTP_GET,
     .pattern = "/api/v1/setup",
     .handle = setup_get,
     .summary = "Is a first administrator still wanted?",
     .tag = "setup",
     .answer_schema = "{\"type\":\"object\",\"required\":[\"required\"],"
                      "\"properties\":{\"required\":{\"type\":\"boolean\"}}}"},
    {.method = HTTP_POST,
     .pattern = "/api/v1/setup",
     .handle = setup_post,
     .summary = "Make the first administrator with the console's setup code",
     .tag = "setup",
     .success = 201,
     .body_schema = "#Setup",
     .answer_schema = "#Tokens"},
    {.method = HTTP_GET,
     .pattern = "/.well-known/jwks.json",
     .handle = jwks_get,
     .summary = "The public key that verifies access tokens (RFC 7517)",
     .tag = "auth",
     .answer_schema =
         "{\"type\":\"object\",\"required\":[\"keys\"],"
         "\"properties\":{\"keys\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"},
    {.pattern = NULL},
};

#define TEXT "{\"type\":\"string\"}"
#define EMAIL "\"email\":{\"type\":\"string\",\"format\":\"email\",\"maxLength\":254}"
#define PASSWORD(name)                                                                             \
    "\"" name "\":{\"type\":\"string\",\"minLength\":12,\"maxLength\":256,\"format\":"             \
              "\"password\"}"
#define NAME "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}"
#define ROLE "\"role\":{\"type\":\"string\",\"enum\":[\"admin\",\"user\"]}"
#define STATE "\"state\":{\"type\":\"string\",\"enum\":[\"active\",\"disabled\"]}"
#define TIME "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define OBJECT(required, properties)                                                               \
    "{\"type\":\"object\",\"required\":[" required "],\"additionalProperties\":false,"             \
    "\"properties\":{" properties "}}"

static const struct module_schema auth_schemas[] = {
    {"Login", OBJECT("\"email\",\"password\"", "\"email\":" TEXT ",\"password\":" TEXT)},
    {"Refresh", OBJECT("\"refresh_token\"", "\"refresh_token\":" TEXT)},
    {"Registration", OBJECT("\"email\",\"password\",\"name\"",
                            EMAIL "," PASSWORD("password") "," NAME ",\"role\":" TEXT)},
    {"Profile", OBJECT("\"name\"", NAME)},
    {"PasswordChange", OBJECT("\"current_password\",\"new_password\"",
                              "\"current_password\":" TEXT "," PASSWORD("new_password"))},
    {"NewUser",
     OBJECT("\"email\",\"password\",\"name\"", EMAIL "," PASSWORD("password") "," NAME "," ROLE)},
    {"UserChange",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" EMAIL "," NAME "," ROLE
     "," STATE "," PASSWORD("password") ",\"locked\":{\"const\":false}}}"},
    {"Setup", OBJECT("\"code\",\"email\",\"password\"",
                     "\"code\":" TEXT "," EMAIL "," PASSWORD("password") "," NAME)},
    {"User",
     "{\"type\":\"object\",\"required\":[\"id\",\"email\",\"name\",\"role\",\"state\"],"
     "\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"}," EMAIL "," NAME "," ROLE
     "," STATE ",\"created_at\":" TIME ",\"updated_at\":" TIME ",\"password_changed_at\":" TIME
     ",\"last_login_at\":" TIME ",\"failed_logins\":{\"type\":\"integer\"},"
     "\"locked\":{\"type\":\"boolean\"},\"version\":{\"type\":\"integer\"}}}"},
    {"UserPage", "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"limit\",\"next\"],"
                 "\"properties\":{\"items\":{\"type\":\"array\",\"items\":"
                 "{\"$ref\":\"#/components/schemas/User\"}},\"total\":{\"type\":\"integer\"},"
                 "\"limit\":{\"type\":\"integer\"},\"offset\":{\"type\":\"integer\"},"
                 "\"next\":{\"type\":[\"string\",\"null\"]}}}"},
    {"Tokens",
     "{\"type\":\"object\",\"required\":[\"access_token\",\"refresh_token\",\"token_type\","
     "\"expires_in\",\"user\"],\"properties\":{\"access_token\":" TEXT ",\"refresh_token\":" TEXT
     ",\"token_type\":{\"const\":\"Bearer\"},\"expires_in\":{\"type\":\"integer\"},"
     "\"user\":{\"$ref\":\"#/components/schemas/User\"}}}"},
    {NULL, NULL},
};

const struct module auth_module = {
    .name = "auth",
    .start = auth_start,
    .stop = auth_stop,
    .routes = auth_routes,
    .phases = {[PHASE_AUTH] = auth_phase},
    .schema = &auth_schema,
    .schemas = auth_schemas,
};
