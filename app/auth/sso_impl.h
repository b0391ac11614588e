/* SPDX-License-Identifier: Apache-2.0 */
/* sso_impl.h — what the files of single sign-on share: we as the client of another provider. */
#pragma once
#include "app/auth/auth_impl.h"
#include "app/config/providers.h"

/* ---- sso_token.c: what a provider says of somebody ------------------------------------------- */

enum {
    SSO_TOKEN_MAX = 16384, /* bytes of an ID token */
    SSO_KEYS_MAX = 16,     /* of one provider */
    SSO_KID_ROOM = 128,
    SSO_SUBJECT_MAX = 255, /* OpenID Connect Core 2 */
};
struct sso_key {
    char kid[SSO_KID_ROOM]; /* "": it has none */
    s64 algorithm;          /* COSE_ES256 or COSE_RS256: what it verifies, and nothing else */
    u8 key[WEBAUTHN_KEY_MAX];
    size_t key_len;
};
/* The keys of a JWK set that we can use, at most SSO_KEYS_MAX; others are passed over. */
rc_t sso_keys_read(struct arena *a, str jwks, struct sso_key *out, u32 *count);

struct sso_expected {
    str issuer, client_id, nonce;
    str access_token; /* that came along; empty: none */
    s64 now_s;
};
struct sso_claims { /* texts in the arena; empty: not told */
    str subject, email, name;
    bool email_verified;
};
struct sso_token {
    str signed_part, signature; /* signature: its bytes, in the arena */
    str kid;                    /* ptr NULL: it names none */
    s64 algorithm;
    struct sso_claims claims;
};
/* Everything but the signature. RC_INVALID: `why` says what; RC_LIMIT; RC_NO_MEMORY. */
rc_t sso_token_read(struct arena *a, str token, const struct sso_expected *e,
                    struct sso_token *out, const char **why);
/* The key that must have signed it; NULL: none of these. */
const struct sso_key *sso_key_find(const struct sso_key *keys, u32 count,
                                   const struct sso_token *t);
/* RC_DENIED: not by this key. Parks: on a worker. */
rc_t sso_token_verify(const struct sso_key *key, const struct sso_token *t);
/* email, email_verified and name of claims or of a userinfo answer, where not told yet. */
void sso_person_read(const cJSON *claims, struct sso_claims *out);

/* ---- sso_fetch.c: what we ask a provider ----------------------------------------------------- */

struct sso_places { /* of its discovery document; texts in the arena */
    str authorization, token, userinfo; /* userinfo: may be empty */
    bool says_issuer; /* it names itself in the answer (RFC 9207) */
};
/* Kept for an hour. RC_INVALID: its document is not sound; else as http_client_fetch. */
rc_t sso_discover(struct arena *a, const struct provider *p, struct sso_places *out,
                  struct diag *why);
/* The key of a token; looks again when the kid is new, but not more than once a minute.
 * RC_NOT_FOUND: it has no such key. */
rc_t sso_key_of(const struct provider *p, const struct sso_token *t, struct sso_key *out,
                struct diag *why);
struct sso_exchange {
    str code, verifier, redirect_uri;
    str id_token, access_token; /* out, in the arena */
};
rc_t sso_redeem(struct arena *a, const struct provider *p, const struct sso_places *places,
                struct sso_exchange *x, struct diag *why);
/* What the token did not say of the person; RC_DENIED: the answer is about somebody else. */
rc_t sso_userinfo(struct arena *a, const struct provider *p, str url, str access_token,
                  struct sso_claims *out, struct diag *why);
void sso_forget(void); /* what was kept */

/* ---- sso_account.c: whose account that is ---------------------------------------------------- */

#define SSO_TABLE                                                                                  \
    "CREATE TABLE auth_identity(id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL," \
    " user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE, provider TEXT NOT NULL,"        \
    " email TEXT NOT NULL, created_ns INTEGER NOT NULL, login_ns INTEGER NOT NULL DEFAULT 0,"      \
    " UNIQUE(issuer,subject)) STRICT, WITHOUT ROWID;"                                              \
    "CREATE INDEX auth_identity_user ON auth_identity(user_id);"
/* The account of that person, linked or made where the provider's settings allow it. `link_to`: the
 * account that asked to be linked; empty: none did. RC_DENIED: `why` is a sentence. */
rc_t sso_account(struct request *rq, const struct provider *p, const struct sso_claims *c,
                 str link_to, str *out_user_id, const char **why);
rc_t sso_account_used(struct db_txn *t, str issuer, str subject);
void identities_get(struct request *rq), identity_delete(struct request *rq);

/* ---- sso.c: the ceremony --------------------------------------------------------------------- */

void sso_list_get(struct request *rq), sso_login_get(struct request *rq);
void sso_callback_get(struct request *rq), sso_link_post(struct request *rq);
void sso_script_get(struct request *rq);
