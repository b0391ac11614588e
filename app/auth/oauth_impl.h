/* SPDX-License-Identifier: Apache-2.0 */
/* oauth_impl.h — what the files of the OAuth 2 / OpenID provider share. */
#pragma once
#include "app/auth/auth_impl.h"

enum {
    OAUTH_CODE_S = 60,
    OAUTH_PAR_S = 300,
    OAUTH_URI_MAX = 512,
    OAUTH_URIS_MAX = 2048, /* of one client, together */
    OAUTH_TEXT_MAX = 512,  /* state, nonce */
    CHALLENGE_LEN = 43,    /* base64url of a SHA-256 */
    VERIFIER_MIN = 43,
    VERIFIER_MAX = 128,
};

/* ---- oauth_client.c: applications, registered by administrators ------------------------------ */

struct oauth_client { /* texts in the arena */
    str id, name, owner_id;
    str redirect_uris, grants, scopes; /* words, one blank between */
    u8 secret_hash[SHA256_BYTES];
    bool confidential; /* has a secret */
    u64 created_ns;
};
#define OAUTH_TABLE                                                                                \
    "CREATE TABLE oauth_client(id TEXT PRIMARY KEY,"                                               \
    " owner_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE, name TEXT NOT NULL,"           \
    " secret_hash BLOB, redirect_uris TEXT NOT NULL, grants TEXT NOT NULL, scopes TEXT NOT NULL,"  \
    " created_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
rc_t oauth_client_read(struct db_txn *t, struct arena *a, str id, struct oauth_client *out);
bool words_have(str words, str word);
bool words_cover(str words, str wanted); /* each of `wanted` is among `words` */

/* ---- oauth_token.c --------------------------------------------------------------------------- */

struct grant { /* what an application is being given */
    struct oauth_client client;
    struct user user;
    str session_id, refresh_token, scope, nonce, issuer;
    u64 auth_time_s;
    bool mfa;
    str ended; /* a session that a replay ended */
};

rc_t oauth_grant_event(struct db_txn *t, struct request *rq, const struct grant *g,
                       const char *result, const char *how);
void oauth_tokens_answer(struct request *rq, const struct grant *g);

/* ---- oauth_device.c: things without a keyboard (RFC 8628) ------------------------------------ */

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"
#define DEVICE_TABLE                                                                               \
    "CREATE TABLE oauth_device(hash BLOB PRIMARY KEY, user_code TEXT NOT NULL UNIQUE,"             \
    " client_id TEXT NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE, scope TEXT NOT NULL," \
    " user_id TEXT REFERENCES user(id) ON DELETE CASCADE, state INTEGER NOT NULL DEFAULT 0,"       \
    " mfa INTEGER NOT NULL DEFAULT 0, issuer TEXT NOT NULL, interval_s INTEGER NOT NULL,"          \
    " polled_ns INTEGER NOT NULL DEFAULT 0, decided_ns INTEGER NOT NULL DEFAULT 0,"                \
    " expires_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"                                         \
    "CREATE INDEX oauth_device_expires ON oauth_device(expires_ns);"
void oauth_device_post(struct request *rq);
void oauth_by_device(struct request *rq, str form, struct grant *g);
void oauth_device_page_get(struct request *rq), oauth_device_script_get(struct request *rq);
void device_get(struct request *rq), device_post(struct request *rq);
extern const char oauth_signin_page[]; /* oauth.c: asks who somebody is, then loads again */

/* ---- oauth_form.c: parameters of forms and queries ------------------------------------------- */

/* The value of a name in "a=b&c=d", decoded into the arena; ptr NULL: absent. false: there twice,
 * or not proper text. */
bool form_value(struct arena *a, str form, const char *name, str *out);
/* The body of a form; false: answered. */
bool oauth_form(struct request *rq, str *out);
void oauth_error(struct request *rq, int status, const char *error, const char *text);
str percent_encode(struct arena *a, str text); /* ptr NULL: no memory */
/* "https://host", or auth.issuer; in the arena. */
str oauth_base(struct request *rq);
/* Who calls the token endpoint and its like; false: answered (invalid_client). */
bool oauth_client_authenticate(struct request *rq, str form, struct oauth_client *out);

void oauth_clients_get(struct request *rq), oauth_clients_post(struct request *rq);
void oauth_client_delete(struct request *rq);
void oauth_discovery_get(struct request *rq), oauth_authorize_get(struct request *rq);
void oauth_signin_script_get(struct request *rq), oauth_par_post(struct request *rq);
void oauth_token_post(struct request *rq), oauth_revoke_post(struct request *rq);
void oauth_introspect_post(struct request *rq), oauth_userinfo(struct request *rq);
/* PHASE_AUTH for a route that answers for itself: RC_OK someone, RC_PASS a guest; else answered. */
rc_t auth_identify(struct request *rq);
