/* SPDX-License-Identifier: Apache-2.0 */
/* auth_impl.h — what the files of app/auth share. Nobody outside this folder includes it: others
 * know who is asking from `struct actor` and whether they may from app/access/access.h. */
#pragma once
#include "app/auth/accounts.h"
#include "app/module.h"
#include "app/auth/jose.h"
#include "app/reply.h"

/* ---- Sizes; each bound is enforced where the bytes come in ----------------------------------- */

enum {
    EMAIL_MIN = 3,
    PASSWORD_MIN = 12,  /* characters; 15 or more are recommended */
    PASSWORD_MAX = 256, /* bytes */
    PHC_ROOM = 160,     /* "$argon2id$v=19$m=19456,t=2,p=1$<22>$<43>" is 97 */
    TOKEN_MAX = 2048,   /* ours have about 560 bytes; longer ones are refused unread */
    ACCESS_SECONDS = 600,
    CLOCK_SKEW_S = 60,
    REFRESH_GRACE_S = 10,
    SESSION_IDLE_S = 30 * 86400,
    SESSION_LIFE_S = 90 * 86400,
    SESSIONS_PER_USER_MAX = 50, /* the oldest ends */
    COOKIE_IDLE_S = 30 * 60,    /* administrators: half of it */
    COOKIE_LIFE_S = 12 * 3600,
    COOKIE_REMEMBER_S = 30 * 86400,
    PROOF_KEPT_S = 60, /* of a key or a cookie: how stale "last used" may get */
    REAUTH_S = 600,    /* what matters asks again after that long */
    KEYS_PER_USER_MAX = 50,
};

/* ---- directory.c ----------------------------------------------------------------------------- */

void directory_start(void); /* tells access control where to ask about accounts */

/* ---- jwt.c: the text of a token, no cryptography --------------------------------------------- */

struct jwt_expected {
    str issuer, audience, kid;
    s64 now_s;
};
struct jwt {
    str signed_part; /* header.payload, a view of the token */
    u8 signature[ES256_SIGNATURE_BYTES];
    str user_id, session_id, token_id, role; /* in the arena */
    s64 expires_s;
};
/* Everything but the signature and the database's word. RC_INVALID with a reason for the log;
 * RC_LIMIT: too long; RC_NO_MEMORY. Allocates at most about 8 * token.len from `a`. */
rc_t jwt_parse(struct arena *a, str token, const struct jwt_expected *expected, struct jwt *out,
               const char **why);
extern const char jwt_other_key[]; /* the reason when the header names another key */
/* header.payload for es256_sign, in `a`; ptr NULL: no room. All texts are our own ids. */
str jwt_unsigned(struct arena *a, str issuer, str audience, str kid, str user_id, str session_id,
                 str token_id, str role, s64 issued_s);
/* base64url of a header with this typ and of claims that are JSON already. */
str jwt_encode(struct arena *a, str type, str kid, str claims);
struct jwt_claims {
    str issuer, audience, user_id, session_id, token_id, role, client_id, scope; /* scope: or "" */
    s64 issued_s;
};
str jwt_unsigned_claims(struct arena *a, str kid, const struct jwt_claims *c);
/* Pieces of any JWT: a part that is an object; a member that is a text, or a time in seconds. */
rc_t jwt_decode_object(struct arena *a, str part, cJSON **out);
bool jwt_text(const cJSON *object, const char *name, str *out);
bool jwt_time(const cJSON *object, const char *name, s64 *out);
str jwt_signed(struct arena *a, str unsigned_part, const u8 signature[ES256_SIGNATURE_BYTES]);

/* ---- password.c ------------------------------------------------------------------------------ */

/* The rule a new password breaks, as a sentence; NULL: fine. `email` may be empty. */
const char *password_weakness(str password, str email);
/* Is it guessed easily? *why NULL: no; otherwise what to do, as a sentence. At least fine by
 * password_weakness. Parks as password_hash does, with the same errors. */
rc_t password_strength(str password, str email, const char **why);
/* Runs on a worker, in the memory of a slot: some work that is done with passwords only. */
rc_t password_on_slot(void (*fn)(void *arg, u8 *memory, size_t room), void *arg);
/* Fibers, or before the loop runs. Parks for one of a few slots of 19 MiB, then for a worker.
 * RC_LIMIT RC_NO_MEMORY: busy, answer 503; RC_CORRUPT: `phc` is not one of ours. */
rc_t password_hash(str password, char phc[PHC_ROOM]);
rc_t password_verify(str password, str phc, bool *out_match);
/* Costs what password_verify costs and never matches: an unknown user must not answer faster. */
rc_t password_verify_nobody(str password);
bool password_is_foreign(str phc); /* not hashed as we do: to be replaced at the next sign-in */
rc_t password_start(void);
void password_stop(void);
void password_trim(void); /* gives idle memory back now: nobody is about to log in */

/* ---- foreign.c, import.c: hashes made elsewhere ---------------------------------------------- */

struct foreign {
    enum foreign_kind {
        FOREIGN_BCRYPT,
        FOREIGN_PBKDF2_SHA256,
        FOREIGN_PBKDF2_SHA512,
        FOREIGN_ARGON2ID,
        FOREIGN_ARGON2I
    } kind;
    u32 kib, passes, lanes; /* argon2's costs; passes: PBKDF2's rounds */
    u8 salt[64], hash[64];
    size_t salt_len, hash_len;
    char text[64]; /* bcrypt's own */
};
/* NULL: understood; otherwise why it is not taken over. */
const char *foreign_parse(str phc, struct foreign *out);
bool foreign_matches(const struct foreign *f, str password); /* bcrypt, PBKDF2; on a worker */
void users_import_post(struct request *rq);

/* ---- delay.c: failed logins cost time -------------------------------------------------------- */

/* Counts a try before its password is looked at, so that a burst of them cannot pass together.
 * Returns 0: go on; otherwise the nanoseconds to wait (nothing was counted). */
u64 delay_take(str account, const struct net_address *peer, u64 now_ns);
void delay_succeeded(str account, const struct net_address *peer, u64 now_ns); /* takes it back */
void delay_returned(str account, const struct net_address *peer, u64 now_ns);  /* was not judged */
rc_t delay_start(void);                                                        /* keys the table */

/* ---- token_cache.c: tokens already verified -------------------------------------------------- */

struct token_proof { /* views live until the next change of the cache: copy before parking */
    str token, user_id, session_id, token_id, role, email;
    str scopes, groups, roles, org_id; /* as in struct actor */
    enum actor_kind kind;
    bool mfa;
    u64 expires_ns; /* wall clock */
};
rc_t token_cache_start(void);
void token_cache_stop(void);
bool token_cache_find(str token, u64 now_ns, struct token_proof *out);
/* Before looking into the database take the generation, and put with it: if anybody was dropped in
 * between, the proof may be stale and is not kept. */
u64 token_cache_generation(void);
void token_cache_put(const struct token_proof *proof, u64 generation);
void token_cache_drop_session(str session_id);

/* ---- code.c ---------------------------------------------------------------------------------- */

/* As typed: any case, hyphens and blanks left out, O, I and L read as the digits they look like.
 * False: not so many letters of the alphabet. */
bool code_normalise(str typed, char *to, size_t letters);
rc_t code_draw(char *to, size_t letters); /* at random, 5 bits a letter; no NUL after them */

/* ---- user.c ---------------------------------------------------------------------------------- */

rc_t user_asking(struct request *rq, struct user *out); /* the actor's own row */
/* Answers a DELETE of the row whose id is the route's: `sql` takes it as ?1. 204, 404 or an error;
 * one audit row "KIND.delete". */
struct removal {
    const char *sql, *kind;         /* "invite" */
    bool of_asker;                  /* its ?2 is who asks; else the organisation they are in */
    const char *missing, *sentence; /* the problem's code and words when there is none */
    const char *doing;              /* "Removing the invitation" */
};
void row_remove(struct request *rq, const struct removal *r);
/* The same of the account in the route; false: answered 404. */
bool user_route_reached(struct request *rq);
/* An administrator of the appliance is in no organisation, and nobody of one makes others
 * administrators; false: answered. */
bool user_role_fits(struct request *rq, str role, str org_id);
rc_t user_set_password(struct db_txn *t, str id, str phc);
void user_json(struct json_writer *w, const char *key, const struct user *user, bool for_admin);
/* Members of a body: answers itself and returns false. */
bool user_email_member(struct request *rq, const cJSON *body, bool required, str *out);
bool user_role_member(struct request *rq, const cJSON *body, bool required, str *out);
/* Rules and strength; false: answered, 422 with what to do about it. Parks. */
bool user_password_acceptable(struct request *rq, str password, str email);
/* Hashed into `phc`, which *out views; false: answered (503 when too many hash at once). */
bool user_password_hash(struct request *rq, str password, char phc[PHC_ROOM], str *out);
/* One write: the account and the row that tells of it, whose resource is filled in. false:
 * answered, a taken address with 409. */
struct audit_event;
bool user_create(struct request *rq, struct user *user, struct audit_event *event,
                 const char *what);
void user_answer(struct request *rq, int status, const struct user *user, bool for_admin);
void user_email_taken(struct request *rq);

/* ---- org.c, group.c: organisations, and groups that give roles ------------------------------- */

#define ORG_TABLES                                                                                 \
    "CREATE TABLE org(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, title TEXT NOT NULL,"        \
    " created_ns INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1) STRICT, WITHOUT ROWID;"     \
    "ALTER TABLE user ADD COLUMN org_id TEXT NOT NULL DEFAULT '';"                                 \
    "CREATE INDEX user_org ON user(org_id);"                                                       \
    "CREATE TABLE auth_group(id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL,"       \
    " roles TEXT NOT NULL, created_ns INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1,"       \
    " UNIQUE(org_id,name)) STRICT, WITHOUT ROWID;"                                                 \
    "CREATE TABLE auth_member(user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE,"        \
    " group_id TEXT NOT NULL REFERENCES auth_group(id) ON DELETE CASCADE,"                         \
    " PRIMARY KEY(user_id,group_id)) STRICT, WITHOUT ROWID;"                                       \
    "CREATE INDEX auth_member_group ON auth_member(group_id);"
/* Into groups, roles and org_id of the proof. */
rc_t membership_fill(struct db_txn *t, struct arena *a, const struct user *user,
                     struct token_proof *out);
/* An organisation's id by its id or name, from a body's member; absent: as it was. "": none. False:
 * answered. */
bool org_member(struct request *rq, const cJSON *body, str *out_id);
bool short_name_valid(str name); /* [a-z0-9] and -, 2 to 40: of groups and organisations */
void orgs_get(struct request *rq), orgs_post(struct request *rq), org_get(struct request *rq);
void org_put(struct request *rq), org_delete(struct request *rq);
void groups_get(struct request *rq), groups_post(struct request *rq), group_get(struct request *rq);
void group_put(struct request *rq), group_delete(struct request *rq);
void group_member_put(struct request *rq), group_member_delete(struct request *rq);

/* ---- session.c: one per login, ended by logout, carried by a rotating refresh token ---------- */

struct session_start {
    str session_id, refresh_token; /* in the arena; the only time the token is seen */
    str cookie;        /* asked for: its value, likewise */
    bool ended_others; /* SESSIONS_PER_USER_MAX: after the commit, drop the user's proofs */
};
struct session_options {
    bool mfa;              /* a second factor was shown */
    bool cookie, remember; /* carried by a cookie instead of tokens; for 30 days */
    bool admin;            /* idle for half as long */
    str client_id, scopes; /* an application's: which, and what it may; ptr NULL: not one */
};
rc_t session_begin(struct db_txn *t, struct request *rq, str user_id,
                   const struct session_options *options, struct session_start *out);
enum refresh_result { REFRESH_ROTATED, REFRESH_REPEATED, REFRESH_REFUSED, REFRESH_REUSED };
struct session_refresh {
    enum refresh_result result;
    str session_id, user_id, refresh_token;
};
/* Inside a write: rotates. REUSED: the family was ended in `t`: commit it and audit. */
rc_t session_rotate(struct db_txn *t, struct arena *a, str token, struct session_refresh *out);
/* After the commit of a ROTATED one: lets a client repeat itself for REFRESH_GRACE_S. */
void session_rotated(const struct session_refresh *done, str old_token);
rc_t session_end(struct db_txn *t, str session_id);
struct session_state { /* texts in the arena */
    str session_id, client_id, scopes; /* ptr NULL: none */
    u64 proved_ns;                     /* when its person last showed who they are */
    u64 created_ns, touched_ns, expires_ns;
    bool mfa, remember;
};
/* Is this session of this user alive, and who is that now? RC_DENIED: no. */
rc_t session_owner(struct db_txn *t, struct arena *a, str session_id, str user_id, struct user *out,
                   struct session_state *state);
/* Which session a refresh token is of, by its text alone: proves nothing. false: not one. */
bool session_of_refresh(struct arena *a, str token, str *out_session_id);
/* The same by a cookie's value. */
rc_t session_by_cookie(struct db_txn *t, struct arena *a, str cookie, struct user *out,
                       struct session_state *state);
void sessions_get(struct request *rq), session_delete(struct request *rq);
void user_sessions_get(struct request *rq), user_sessions_delete(struct request *rq);

/* ---- cookie.c: sessions of browsers ---------------------------------------------------------- */

#define COOKIE_NAME "__Host-openpolicy"
#define COOKIE_PREFIX "ops_"
str cookie_named(const struct request *rq, str name); /* its value; ptr NULL: none, or two */
str cookie_of(const struct request *rq);              /* a session's; likewise */
/* Same origin, as far as a browser tells; else false, and 403 is answered. */
bool cookie_same_origin(struct request *rq, bool must_say);
bool origin_is_own(const struct request *rq, str origin); /* "https://host:port" of the request */
rc_t cookie_verify(struct request *rq, str cookie, struct actor *out, const char **why);
void cookie_set(struct request *rq, str value, bool remember);
void cookie_clear(struct request *rq);

/* ---- touch.c: when something was last used, written down lazily ------------------------------ */

enum touch_kind { TOUCH_KEY, TOUCH_COOKIE };
/* Within ten seconds, in one write with others; lost when the machine stops before. */
void touch(enum touch_kind kind, str id, u64 now_ns, u64 expires_ns,
           const struct net_address *peer);

/* ---- key.c: API keys ------------------------------------------------------------------------- */

#define KEY_PREFIX "opk_"
rc_t api_key_verify(struct request *rq, str text, struct actor *out, const char **why);
#define KEY_TABLE                                                                                  \
    "CREATE TABLE api_key(id TEXT PRIMARY KEY,"                                                    \
    " user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE, name TEXT NOT NULL,"            \
    " hint TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL,"                        \
    " created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,"                                   \
    " used_ns INTEGER NOT NULL DEFAULT 0, used_address TEXT NOT NULL DEFAULT '')"                  \
    " STRICT, WITHOUT ROWID;"                                                                      \
    "CREATE INDEX api_key_user ON api_key(user_id);"
void keys_get(struct request *rq), keys_post(struct request *rq);
void key_get(struct request *rq), key_delete(struct request *rq);
void user_keys_get(struct request *rq), user_key_delete(struct request *rq);

/* ---- outbox.c, notice.c: messages for people ------------------------------------------------- */

#define OUTBOX_TABLE                                                                               \
    "CREATE TABLE outbox(id TEXT PRIMARY KEY, user_id TEXT REFERENCES user(id) ON DELETE CASCADE," \
    " address TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,"       \
    " created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"            \
    "CREATE INDEX outbox_user ON outbox(user_id,kind);"                                            \
    "CREATE INDEX outbox_expires ON outbox(expires_ns);"                                           \
    "CREATE TABLE auth_device(user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE,"        \
    " hash BLOB NOT NULL, first_ns INTEGER NOT NULL, PRIMARY KEY(user_id,hash))"                   \
    " STRICT, WITHOUT ROWID;"
struct message {
    str user_id, address; /* user_id empty: somebody without an account */
    const char *kind, *subject;
    str body;
    u64 lifetime_s;
};
rc_t outbox_add(struct db_txn *t, const struct message *m);
rc_t outbox_lately(struct db_txn *t, str user_id, const char *kind, bool *out_enough);
enum notice { NOTICE_DEVICE, NOTICE_PASSWORD, NOTICE_FACTOR, NOTICE_EMAIL };
rc_t notice_add(struct db_txn *t, struct arena *a, const struct user *user, enum notice what,
                struct request *rq);
/* A sign-in from here: tells its person if this program or network is new to the account. */
rc_t device_seen(struct db_txn *t, struct request *rq, const struct user *user);
void outbox_get(struct request *rq), outbox_delete(struct request *rq);

/* ---- mailbox.c, invite.c: what a code by mail proves; asking somebody in --------------------- */

rc_t mailbox_send(struct db_txn *t, struct arena *a, const struct user *user, bool reset);
void verify_post(struct request *rq), verify_send_post(struct request *rq);
void forgot_password_post(struct request *rq), reset_password_post(struct request *rq);
/* Fills role and verified_ns; RC_DENIED: not a ticket for this address. */
rc_t invite_take(struct db_txn *t, struct arena *a, str ticket, struct user *user);
void invites_get(struct request *rq), invites_post(struct request *rq);
void invite_delete(struct request *rq);

/* ---- totp.c, factor.c: the second factor ----------------------------------------------------- */

#define FACTOR_TABLE                                                                               \
    "CREATE TABLE factor_totp(user_id TEXT PRIMARY KEY REFERENCES user(id) ON DELETE CASCADE,"     \
    " secret BLOB NOT NULL, step INTEGER NOT NULL, failures INTEGER NOT NULL,"                     \
    " confirmed_ns INTEGER NOT NULL, created_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"          \
    "CREATE TABLE factor_recovery(user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE,"    \
    " hash BLOB NOT NULL, PRIMARY KEY(user_id,hash)) STRICT, WITHOUT ROWID;"                       \
    "CREATE TABLE passkey(id BLOB PRIMARY KEY,"                                                    \
    " user_id TEXT NOT NULL REFERENCES user(id) ON DELETE CASCADE, name TEXT NOT NULL,"            \
    " key BLOB NOT NULL, algorithm INTEGER NOT NULL, counter INTEGER NOT NULL,"                    \
    " created_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"     \
    "CREATE INDEX passkey_user ON passkey(user_id);"
enum { TOTP_DIGITS = 6 };
size_t base32_encode(const void *bytes, size_t n, char *to); /* NUL-ended, no padding */
u32 hotp(str secret, u64 counter, u32 modulus);              /* RFC 4226; UINT32_MAX: no memory */
/* Right, and for a step newer than `used_step`; which, into *out_step. */
bool totp_check(str secret, str code, u64 now_s, s64 used_step, s64 *out_step);
struct factor_methods {
    bool totp;
    u32 recovery_codes, passkeys;
};
rc_t factor_methods(struct db_txn *t, str user_id, struct factor_methods *out);
/* An app's code or a recovery code, used up in `t`; a wrong one is counted there: commit it. */
rc_t factor_check(struct db_txn *t, struct arena *a, str user_id, str code, bool *out_right);
enum { RECOVERY_CODES = 10 };
/* New ones instead of those there were, as shown ("ABCDE-FGHJK"), in the arena. */
rc_t recovery_make(struct db_txn *t, struct arena *a, str user_id, str out[RECOVERY_CODES]);
/* Tells its person and the audit log that something about their second factor changed. */
rc_t factor_event(struct db_txn *t, struct request *rq, str user_id, const char *action);
u64 factor_delay(struct request *rq, str user_id); /* as delay_take */
void factor_delay_over(struct request *rq, str user_id);
void mfa_get(struct request *rq), totp_post(struct request *rq);
void totp_confirm_post(struct request *rq), totp_remove_post(struct request *rq);
void recovery_codes_post(struct request *rq), user_mfa_delete(struct request *rq);
void login_second_post(struct request *rq);

/* ---- cbor.c, webauthn.c, passkey.c: keys in people's devices --------------------------------- */

enum cbor_kind { /* RFC 8949's major types */
    CBOR_UINT, CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_TAG, CBOR_SIMPLE
};
struct cbor {
    str rest; /* not read yet */
};
struct cbor_item {
    enum cbor_kind kind;
    u64 value; /* the number, or how many elements or pairs follow; negative: -1 - value */
    str text;  /* of strings; a view */
};
rc_t cbor_next(struct cbor *r, struct cbor_item *out); /* RC_INVALID; elements are read next */
rc_t cbor_skip(struct cbor *r, str *out); /* one item with all inside. RC_LIMIT: too deep */
s64 cbor_int(const struct cbor_item *item);            /* INT64_MIN: not a number, or too large */

enum { COSE_ES256 = -7, COSE_RS256 = -257, CREDENTIAL_ID_MAX = 1023, WEBAUTHN_KEY_MAX = 516 };
struct webauthn_data { /* views of what was read */
    str bytes;         /* of the authenticator data: what is signed, with the client's */
    u8 site_hash[SHA256_BYTES];
    u32 counter;
    bool present, verified, backed_up; /* somebody was there; and it was them; kept elsewhere too */
    str credential_id; /* of a new one, with its key */
    s64 algorithm;
    u8 key[WEBAUTHN_KEY_MAX];
    size_t key_len;
    str own_signature; /* over bytes and the hash of clientDataJSON; ptr NULL: none to check */
};
/* RC_INVALID, RC_LIMIT: not what an authenticator sends. `made`: with a new credential. */
rc_t webauthn_data_read(str bytes, bool made, struct webauthn_data *out);
rc_t webauthn_attestation_read(str bytes, struct webauthn_data *out);
/* `key`: modulus, then the exponent in 4 bytes. RC_DENIED: not by this key. Slow: on a worker. */
rc_t rs256_verify(str key, str message, str signature);
/* RC_DENIED: not by this key. Slow: on a worker. */
rc_t webauthn_signed(s64 algorithm, str key, str message, str signature);
#define PASSKEY_COLUMNS "ALTER TABLE passkey ADD COLUMN site TEXT NOT NULL DEFAULT '';"
void passkeys_get(struct request *rq), passkeys_begin_post(struct request *rq);
void passkeys_post(struct request *rq), passkey_put(struct request *rq);
void passkey_delete(struct request *rq);
void login_passkey_begin_post(struct request *rq), login_passkey_post(struct request *rq);

/* ---- person.c: a person at a login, not a key ------------------------------------------------ */

/* false: answered 403. Recent: showed who they are within REAUTH_S; else asked to do it again. */
bool person_only(struct request *rq);
bool person_recent(struct request *rq);
void reauthenticate_post(struct request *rq);

/* ---- once.c: secrets that work once ---------------------------------------------------------- */

enum { ONCE_DIGITS = 8, ONCE_TRIES = 5, ONCE_TICKET_MAX = 64 };
struct once {
    str kind, user_id, data; /* user_id may be empty; data: what it allows, of its kind */
    s64 tries;
    u64 created_ns, expires_ns;
};
#define ONCE_TABLE                                                                                 \
    "CREATE TABLE auth_once(hash BLOB PRIMARY KEY, kind TEXT NOT NULL,"                            \
    " user_id TEXT REFERENCES user(id) ON DELETE CASCADE, data TEXT NOT NULL,"                     \
    " tries INTEGER NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL)"           \
    " STRICT, WITHOUT ROWID;"                                                                      \
    "CREATE INDEX auth_once_expires ON auth_once(expires_ns);"                                     \
    "CREATE INDEX auth_once_user ON auth_once(user_id,kind);"
/* A secret of 256 bits behind a prefix, in the arena: the only time it is seen. */
rc_t once_ticket(struct db_txn *t, struct arena *a, const struct once *o, const char *prefix,
                 u64 lifetime_s, str *out);
/* Digits to type, for o->user_id; replaces the one of the same kind. */
rc_t once_code(struct db_txn *t, struct arena *a, const struct once *o, u64 lifetime_s, str *out);
rc_t once_peek(struct db_txn *t, struct arena *a, str kind, str ticket, struct once *out);
/* RC_NOT_FOUND: none such, or used, or too old. Found: its row is gone with `t`. */
rc_t once_take(struct db_txn *t, struct arena *a, str kind, str ticket, struct once *out);
/* Used up, but kept so that a second use shows: its tries are -1, its data what it gave. */
rc_t once_spend(struct db_txn *t, struct arena *a, str kind, str ticket, str data, u64 kept_s);
/* A secret made elsewhere is used: RC_CONFLICT when it was before. */
rc_t once_used(struct db_txn *t, struct arena *a, const struct once *o, str secret, u64 kept_s);
/* A wrong answer to what the ticket asks: the fifth makes it worthless. */
rc_t once_missed(struct db_txn *t, struct arena *a, str kind, str ticket);
/* The same for digits; RC_NOT_FOUND has counted a try in `t`: commit it. */
rc_t once_code_take(struct db_txn *t, struct arena *a, str kind, str user_id, str code,
                    struct once *out);

/* ---- keyring.c: the keys that sign, and their change ----------------------------------------- */

rc_t keyring_start(void); /* makes the first key */
void keyring_stop(void);
str keyring_issuer(void);
const struct es256_key *keyring_signer(void); /* NULL: not started. Copy before parking */
const struct es256_key *keyring_at(u32 i);    /* NULL: no more */
void jwks_get(struct request *rq), signing_keys_get(struct request *rq);
void signing_keys_rotate_post(struct request *rq);

/* ---- token.c: tokens made and judged --------------------------------------- */

rc_t token_start(struct diag *why); /* loads or makes the keys */
rc_t token_sign(struct arena *a, str unsigned_part, const struct es256_key *key, str *out);
rc_t token_issue(struct arena *a, const struct user *user, str session_id, str *out);
/* An application's: names the client and its scopes. */
rc_t token_issue_for(struct arena *a, const struct user *user, str session_id, str client_id,
                     str scope, str *out);
/* The whole truth about a token: text, signature, session, user. RC_DENIED: no (reason in `why`);
 * anything else: could not be found out. */
rc_t token_verify(struct arena *a, str token, struct actor *out, const char **why);
/* Copies into the request's arena: the cache may change while the request parks. */
rc_t actor_fill(struct arena *a, const struct token_proof *p, struct actor *out);
void auth_now_floor(u64 utc_ns);

/* ---- Routes ---------------------------------------------------------------------------------- */

extern const struct route auth_routes[];          /* routes.c */
extern const struct module_schema auth_schemas[]; /* schemas.c */

void login_post(struct request *rq), refresh_post(struct request *rq),
    logout_post(struct request *rq);
void logout_all_post(struct request *rq), register_post(struct request *rq);
void me_get(struct request *rq), me_put(struct request *rq), me_delete(struct request *rq);
void change_password_post(struct request *rq);
void change_email_post(struct request *rq), change_email_confirm_post(struct request *rq);
void users_get(struct request *rq), users_post(struct request *rq), user_get(struct request *rq);
void user_put(struct request *rq), user_delete(struct request *rq);
void setup_get(struct request *rq), setup_post(struct request *rq);
rc_t setup_start(struct diag *why); /* first admin: from the configuration, or a code to type */
rc_t auth_phase(struct request *rq);
/* Signs somebody in who has proved who they are without a password. `also` runs in the write that
 * makes the session: RC_DENIED RC_NOT_FOUND: they have not, after all. Answers. */
struct login_proof {
    str user_id;
    bool cookie, remember;
    str return_to; /* a browser's: it gets a redirect there, or a page; ptr NULL: JSON */
    bool first;    /* was the first factor alone: the second is asked for where there is one */
    str ticket; /* of a password shown before: its second step; ptr NULL: none */
    rc_t (*also)(struct db_txn *t, struct request *rq, void *arg);
    void *arg;
};
void login_proved(struct request *rq, const struct login_proof *p);
/* Whose second step a ticket is; RC_NOT_FOUND: nobody's. */
rc_t login_ticket_user(struct db_txn *t, struct arena *a, str ticket, str *out_user_id);
/* Issues and sends the token pair. */
void session_answer(struct request *rq, int status, const struct user *user, str session_id,
                    str refresh_token);
void too_many(struct request *rq, u64 wait_ns); /* 429, Retry-After */
void password_busy(struct request *rq); /* 503, Retry-After */
