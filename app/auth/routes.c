/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c — every route of identity: who may call it, under which permission, and its words for
 * the API document. What each does is told where its handler is; the shapes of bodies and answers
 * are in schemas.c. Always true: what changes one's own account or somebody else's names a
 * permission; what is public is what works without an account (sign in, register, forget). */
#include "app/auth/oauth_impl.h"
#include "app/auth/sso_impl.h"

static const struct route_param users_query[] = {
    {"role", "string", "admin or user."},
    {"state", "string", "active or disabled."},
    {"q", "string", "Part of the name or the address."},
    {"organisation", "string", "Its id: only its accounts."},
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

static const struct route_param page_query[] = {
    {"limit", "integer", "1 to 100; 20."},
    {"offset", "integer", "Entries to skip."},
    {NULL, NULL, NULL},
};

static const struct route_param authorize_query[] = {
    {"client_id", "string", "Of the application."},
    {"redirect_uri", "string", "One that it has registered, letter by letter."},
    {"response_type", "string", "code."},
    {"scope", "string", "Words of its scopes; all of them unless given."},
    {"state", "string", "Given back as it is."},
    {"nonce", "string", "Into the ID token."},
    {"code_challenge", "string", "PKCE, base64url of a SHA-256."},
    {"code_challenge_method", "string", "S256."},
    {"response_mode", "string", "query."},
    {"prompt", "string", "none: never ask to sign in."},
    {"request_uri", "string", "Of a pushed request."},
    {"max_age", "string", "Known, not used."},
    {"login_hint", "string", "Known, not used."},
    {"ui_locales", "string", "Known, not used."},
    {"display", "string", "Known, not used."},
    {"acr_values", "string", "Known, not used."},
    {NULL, NULL, NULL},
};

static const struct route_param sso_query[] = {
    {"return", "string", "A path of this appliance to come back to; /."},
    {NULL, NULL, NULL},
};

static const struct route_param device_query[] = {
    {"user_code", "string", "As the device shows it."},
    {NULL, NULL, NULL},
};

/* One's own account, and other people's. */
#define ROUTE(verb, path, handler, who, allowed, text, group, ...)                                 \
    {                                                                                              \
        .method = HTTP_##verb, .pattern = path, .handle = handler, .access = who,                  \
        .permission = allowed, .summary = text, .tag = group, __VA_ARGS__                          \
    }
#define OPEN(verb, path, handler, text, group, ...)                                                \
    ROUTE(verb, path, handler, ACCESS_PUBLIC, NULL, text, group, __VA_ARGS__)
#define SELF(verb, path, handler, may, text, group, ...)                                           \
    ROUTE(verb, path, handler, ACCESS_USER, "auth:self:" may, text, group, __VA_ARGS__)
#define ORG(verb, path, handler, may, text, ...)                                                   \
    ROUTE(verb, path, handler, ACCESS_ADMIN, "auth:organisation:" may, text, "organisations",      \
          __VA_ARGS__)
#define GROUP(verb, path, handler, may, text, ...)                                                 \
    ROUTE(verb, path, handler, ACCESS_ADMIN, "auth:group:" may, text, "groups", __VA_ARGS__)
#define ADMIN(verb, path, handler, may, text, group, ...)                                          \
    ROUTE(verb, path, handler, ACCESS_ADMIN, "auth:user:" may, text, group, __VA_ARGS__)

const struct route auth_routes[] = {
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
    OPEN(POST, "/api/v1/auth/login/second-factor", login_second_post,
         "The second step of a sign-in: a code", "auth", .body_schema = "#SecondFactor",
         .answer_schema = "#Tokens"),
    OPEN(POST, "/api/v1/auth/verify", verify_post, "Confirm an e-mail address with the code sent",
         "auth", .success = 204, .body_schema = "#EmailCode"),
    OPEN(POST, "/api/v1/auth/verify/send", verify_send_post, "Send that code again", "auth",
         .success = 202, .body_schema = "#EmailOnly"),
    OPEN(POST, "/api/v1/auth/forgot-password", forgot_password_post,
         "Send a code to choose a new password", "auth", .success = 202,
         .body_schema = "#EmailOnly"),
    OPEN(POST, "/api/v1/auth/reset-password", reset_password_post,
         "Choose a new password with the code sent; every session ends", "auth", .success = 204,
         .body_schema = "#PasswordReset"),
    SELF(POST, "/api/v1/auth/change-email", change_email_post, "update",
         "Ask for another e-mail address; a code goes there", "auth", .success = 202,
         .body_schema = "#EmailOnly"),
    SELF(POST, "/api/v1/auth/change-email/confirm", change_email_confirm_post, "update",
         "Use it, with the code sent there", "auth", .body_schema = "#Code",
         .answer_schema = "#User"),
    SELF(DELETE, "/api/v1/auth/me", me_delete, "update", "Remove one's account", "auth",
         .success = 204),
    SELF(GET, "/api/v1/auth/mfa", mfa_get, "read", "Which second factors are on", "second factor",
         .answer_schema = "#SecondFactors"),
    SELF(POST, "/api/v1/auth/mfa/totp", totp_post, "update",
         "Begin with an authenticator app: its secret and picture", "second factor",
         .answer_schema = "#TotpSecret"),
    SELF(POST, "/api/v1/auth/mfa/totp/confirm", totp_confirm_post, "update",
         "Turn it on with a code of it; recovery codes, shown once", "second factor",
         .body_schema = "#Code", .answer_schema = "#RecoveryCodes"),
    SELF(POST, "/api/v1/auth/mfa/totp/remove", totp_remove_post, "update",
         "Turn it off with a code of it", "second factor", .success = 204, .body_schema = "#Code"),
    SELF(POST, "/api/v1/auth/mfa/recovery-codes", recovery_codes_post, "update",
         "New recovery codes instead of the old", "second factor", .body_schema = "#Code",
         .answer_schema = "#RecoveryCodes"),
    SELF(GET, "/api/v1/auth/passkeys", passkeys_get, "read", "List my passkeys", "second factor",
         .answer_schema = "#Passkeys"),
    SELF(POST, "/api/v1/auth/passkeys/begin", passkeys_begin_post, "update",
         "What navigator.credentials.create() wants, with a challenge for five minutes",
         "second factor", .answer_schema = "#PasskeyOptions"),
    SELF(POST, "/api/v1/auth/passkeys", passkeys_post, "update",
         "Keep the passkey it made; the first second factor comes with recovery codes",
         "second factor", .success = 201, .body_schema = "#NewPasskey",
         .answer_schema = "#Passkey"),
    SELF(PUT, "/api/v1/auth/passkeys/{id}", passkey_put, "update", "Rename one of my passkeys",
         "second factor", .success = 204, .body_schema = "#Profile"),
    SELF(DELETE, "/api/v1/auth/passkeys/{id}", passkey_delete, "update",
         "Remove one of my passkeys", "second factor", .success = 204),
    OPEN(POST, "/api/v1/auth/login/passkey/begin", login_passkey_begin_post,
         "What navigator.credentials.get() wants, with a challenge for five minutes", "auth",
         .body_schema = "#PasskeyAsking", .answer_schema = "#PasskeyOptions"),
    OPEN(POST, "/api/v1/auth/login/passkey", login_passkey_post,
         "Sign in with a passkey: alone, or as the second step", "auth",
         .body_schema = "#PasskeyLogin", .answer_schema = "#Tokens"),
    OPEN(GET, "/api/v1/auth/sso", sso_list_get, "Providers that people may sign in with", "sso",
         .answer_schema = "#SsoProviders"),
    OPEN(GET, "/api/v1/auth/sso/{name}/login", sso_login_get,
         "Send a browser to a provider, to sign in with it", "sso", .success = 303,
         .query = sso_query),
    OPEN(GET, "/api/v1/auth/sso/{name}/callback", sso_callback_get,
         "Where the provider sends it back", "sso", .success = 303, .page = true, .lenient = true),
    OPEN(GET, "/api/v1/auth/sso/second.js", sso_script_get,
         "The script of the page that asks for the second factor", "sso"),
    SELF(POST, "/api/v1/auth/sso/{name}/link", sso_link_post, "update",
         "Begin to link one's account: where the browser goes", "sso",
         .answer_schema = "#SsoLocation"),
    SELF(GET, "/api/v1/auth/identities", identities_get, "read",
         "Providers one's account is linked to", "sso", .answer_schema = "#Identities"),
    SELF(DELETE, "/api/v1/auth/identities/{id}", identity_delete, "update", "Remove such a link",
         "sso", .success = 204),
    ADMIN(DELETE, "/api/v1/auth/users/{id}/mfa", user_mfa_delete, "update",
          "Remove somebody's second factors, for whom has lost them", "users", .success = 204),
    ADMIN(POST, "/api/v1/auth/users/import", users_import_post, "create",
          "Accounts from another system, with the hashes of their passwords", "users",
          .success = 201, .body_schema = "#UserImport", .answer_schema = "#Imported"),
    ADMIN(GET, "/api/v1/auth/invites", invites_get, "list", "List the invitations", "users",
          .query = page_query, .answer_schema = "#InvitePage"),
    ADMIN(POST, "/api/v1/auth/invites", invites_post, "create",
          "Invite somebody; the answer shows the invitation, once", "users", .success = 201,
          .body_schema = "#NewInvite", .answer_schema = "#Invite"),
    ADMIN(DELETE, "/api/v1/auth/invites/{id}", invite_delete, "delete", "Take an invitation back",
          "users", .success = 204),
    ADMIN(GET, "/api/v1/auth/outbox", outbox_get, "outbox",
          "Messages that wait to be sent, with the codes they carry", "users", .query = page_query,
          .answer_schema = "#OutboxPage"),
    ADMIN(DELETE, "/api/v1/auth/outbox/{id}", outbox_delete, "outbox",
          "Remove a message that was passed on", "users", .success = 204),
    ADMIN(GET, "/api/v1/auth/signing-keys", signing_keys_get, "keys",
          "The keys that sign tokens, the newest first", "auth", .answer_schema = "#SigningKeys"),
    ADMIN(POST, "/api/v1/auth/signing-keys/rotate", signing_keys_rotate_post, "keys",
          "A new key: published now, signing in a day; or at once, ending every access token",
          "auth", .body_schema = "#Rotation", .answer_schema = "#SigningKeys"),
    OPEN(GET, "/.well-known/openid-configuration", oauth_discovery_get,
         "What this provider can do (OpenID Connect Discovery)", "oauth",
         .answer_schema = "#OAuthAnswer"),
    OPEN(GET, "/.well-known/oauth-authorization-server", oauth_discovery_get,
         "What this provider can do (RFC 8414)", "oauth", .answer_schema = "#OAuthAnswer"),
    OPEN(GET, "/oauth2/authorize", oauth_authorize_get,
         "Where an application sends a browser: back with a code", "oauth",
         .query = authorize_query, .success = 303, .page = true),
    OPEN(GET, "/oauth2/signin.js", oauth_signin_script_get, "The script of the sign-in page",
         "oauth"),
    OPEN(POST, "/oauth2/par", oauth_par_post, "Push an authorization request (RFC 9126)", "oauth",
         .success = 201, .answer_schema = "#OAuthAnswer"),
    OPEN(POST, "/oauth2/device_authorization", oauth_device_post,
         "Codes for a device without a keyboard (RFC 8628)", "oauth",
         .answer_schema = "#OAuthAnswer"),
    OPEN(GET, "/oauth2/device", oauth_device_page_get,
         "Where somebody types the code a device shows", "oauth", .query = device_query,
         .page = true),
    OPEN(GET, "/oauth2/device.js", oauth_device_script_get, "The script of that page", "oauth"),
    SELF(GET, "/api/v1/auth/devices/{code}", device_get, "read",
         "Which application shows this code, and what it asks for", "oauth",
         .answer_schema = "#DeviceRequest"),
    SELF(POST, "/api/v1/auth/devices/{code}", device_post, "update",
         "Allow it to act for me, or refuse", "oauth", .body_schema = "#DeviceDecision",
         .answer_schema = "#DeviceRequest"),
    OPEN(POST, "/oauth2/token", oauth_token_post, "Tokens for a code, a refresh token or a client",
         "oauth", .answer_schema = "#OAuthAnswer"),
    OPEN(POST, "/oauth2/revoke", oauth_revoke_post, "End a token (RFC 7009)", "oauth"),
    OPEN(POST, "/oauth2/introspect", oauth_introspect_post, "Is this token good? (RFC 7662)",
         "oauth", .answer_schema = "#OAuthAnswer"),
    OPEN(GET, "/oauth2/userinfo", oauth_userinfo, "Who signed in, for the application", "oauth",
         .answer_schema = "#OAuthAnswer"),
    OPEN(POST, "/oauth2/userinfo", oauth_userinfo, "Who signed in, for the application", "oauth",
         .answer_schema = "#OAuthAnswer"),
    ADMIN(GET, "/api/v1/auth/clients", oauth_clients_get, "clients",
          "List the applications that may ask people to sign in", "oauth", .query = page_query,
          .answer_schema = "#ClientPage"),
    ADMIN(POST, "/api/v1/auth/clients", oauth_clients_post, "clients",
          "Register an application; the answer shows its secret, once", "oauth", .success = 201,
          .body_schema = "#NewClient", .answer_schema = "#Client"),
    ADMIN(DELETE, "/api/v1/auth/clients/{id}", oauth_client_delete, "clients",
          "Remove an application; its tokens end", "oauth", .success = 204),
    ORG(GET, "/api/v1/auth/organisations", orgs_get, "list", "List the organisations",
        .query = page_query, .answer_schema = "#OrganisationPage"),
    ORG(POST, "/api/v1/auth/organisations", orgs_post, "create", "Make an organisation",
        .success = 201, .body_schema = "#NewOrganisation", .answer_schema = "#Organisation"),
    ORG(GET, "/api/v1/auth/organisations/{id}", org_get, "read", "Read an organisation",
        .answer_schema = "#Organisation"),
    ORG(PUT, "/api/v1/auth/organisations/{id}", org_put, "update", "Rename an organisation",
        .body_schema = "#OrganisationChange", .answer_schema = "#Organisation"),
    ORG(DELETE, "/api/v1/auth/organisations/{id}", org_delete, "delete",
        "Remove an organisation that has neither accounts nor documents", .success = 204),
    GROUP(GET, "/api/v1/auth/groups", groups_get, "list", "List the groups", .query = page_query,
          .answer_schema = "#GroupPage"),
    GROUP(POST, "/api/v1/auth/groups", groups_post, "create", "Make a group", .success = 201,
          .body_schema = "#NewGroup", .answer_schema = "#Group"),
    GROUP(GET, "/api/v1/auth/groups/{id}", group_get, "read", "Read a group and its members",
          .answer_schema = "#Group"),
    GROUP(PUT, "/api/v1/auth/groups/{id}", group_put, "update", "Change a group's name or roles",
          .body_schema = "#GroupChange", .answer_schema = "#Group"),
    GROUP(DELETE, "/api/v1/auth/groups/{id}", group_delete, "delete", "Remove a group",
          .success = 204),
    GROUP(PUT, "/api/v1/auth/groups/{id}/members/{user}", group_member_put, "update",
          "Put somebody into a group", .success = 204),
    GROUP(DELETE, "/api/v1/auth/groups/{id}/members/{user}", group_member_delete, "update",
          "Take somebody out of a group", .success = 204),
    SELF(GET, "/api/v1/auth/sessions", sessions_get, "read", "Where I am signed in", "sessions",
         .query = page_query, .answer_schema = "#SessionPage"),
    SELF(DELETE, "/api/v1/auth/sessions/{id}", session_delete, "update", "End one of my sessions",
         "sessions", .success = 204),
    SELF(POST, "/api/v1/auth/reauthenticate", reauthenticate_post, "update",
         "Show again who I am, for what matters", "auth", .success = 204,
         .body_schema = "#Reauthentication"),
    SELF(GET, "/api/v1/auth/api-keys", keys_get, "read", "List my API keys", "api keys",
         .query = page_query, .answer_schema = "#ApiKeyPage"),
    SELF(POST, "/api/v1/auth/api-keys", keys_post, "update",
         "Make an API key; the answer shows it, once", "api keys", .success = 201,
         .body_schema = "#NewApiKey", .answer_schema = "#ApiKey"),
    SELF(GET, "/api/v1/auth/api-keys/{id}", key_get, "read", "Read one of my API keys", "api keys",
         .answer_schema = "#ApiKey"),
    SELF(DELETE, "/api/v1/auth/api-keys/{id}", key_delete, "update",
         "Remove one of my API keys, at once", "api keys", .success = 204),
    ADMIN(GET, "/api/v1/auth/users/{id}/sessions", user_sessions_get, "read",
          "Where somebody is signed in", "users", .query = page_query,
          .answer_schema = "#SessionPage"),
    ADMIN(DELETE, "/api/v1/auth/users/{id}/sessions", user_sessions_delete, "update",
          "End all of somebody's sessions", "users", .success = 204),
    ADMIN(GET, "/api/v1/auth/users/{id}/api-keys", user_keys_get, "read",
          "List somebody's API keys", "users", .query = page_query, .answer_schema = "#ApiKeyPage"),
    ADMIN(DELETE, "/api/v1/auth/users/{id}/api-keys/{key}", user_key_delete, "update",
          "Remove one of somebody's API keys", "users", .success = 204),
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
