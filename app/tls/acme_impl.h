/* SPDX-License-Identifier: Apache-2.0 */
/* acme_impl.h — certificates by an authority (RFC 8555) from inside:
 *
 *   acme.c          the timer, what is done when it fires, what the API tells
 *   acme_schedule.c when: renewal, retries
 *   acme_store.c    the account and the certificate in the database
 *   acme_order.c    the conversation from an account to a certificate
 *   acme_call.c     one signed request and its answer: nonces, problems, patience
 *   acme_text.c     what the messages say: read strictly, written; no I/O */
#pragma once
#include "app/auth/jose.h"
#include "app/json.h"
#include "app/module.h"
#include "net/http_client.h"
#include "net/tls.h"

LIMIT(ACME_NAMES_MAX, 32u, 4u)         /* names of one certificate */
LIMIT(ACME_ANSWER_MAX, 65536u, 16384u) /* bytes of an answer, a chain too */
#define ACME_NAMES_TEXT_MAX 2048u      /* all of them, comma-separated */
#define ACME_ARENA_MAX KIB(4096)       /* of one conversation */
#define ACME_URL_MAX 1024u
#define ACME_TOKEN_MAX 256u
#define ACME_NONCE_MAX 256u
#define ACME_ID "acme" /* its certificate among the further ones */

/* ---- acme_text.c ----------------------------------------------------------------------------- */

/* All texts live in the arena. Whatever an authority says is checked before it is used: URLs are
 * https, tokens are base64url, states are known words. RC_INVALID: `why` names the member. */
struct acme_directory {
    str new_nonce, new_account, new_order, renewal_info /* empty: it has none */, terms;
    bool wants_binding;
};
rc_t acme_read_directory(struct arena *a, str text, struct acme_directory *out, struct diag *why);

enum acme_state { ACME_PENDING, ACME_READY, ACME_PROCESSING, ACME_VALID, ACME_INVALID };
struct acme_order {
    enum acme_state state;
    str authorizations[ACME_NAMES_MAX];
    u32 authorization_count;
    str finalize, certificate; /* the latter once it is valid */
};
rc_t acme_read_order(struct arena *a, str text, struct acme_order *out, struct diag *why);

struct acme_authorization {
    enum acme_state state; /* other ends than valid are ACME_INVALID */
    str name;
    str url, token; /* of the challenge wanted; empty: it is not offered */
    enum acme_state challenge;
};
/* In `why`, for one that failed: what the authority says about it. */
rc_t acme_read_authorization(struct arena *a, str text, const char *challenge,
                             struct acme_authorization *out, struct diag *why);

struct acme_problem {
    str type; /* behind urn:ietf:params:acme:error: */
    str detail;
};
void acme_read_problem(struct arena *a, str text, struct acme_problem *out);
/* When to replace a certificate (RFC 9773 4.2), UTC. */
rc_t acme_read_window(struct arena *a, str text, u64 *from_ns, u64 *until_ns, struct diag *why);
/* Retry-After (RFC 9110 10.2.3) as seconds from `now_ns` (UTC): at least `min`, at most `max`,
 * which it is too when there is none. */
u64 acme_retry_after_s(str field, u64 now_ns, u64 min, u64 max, u64 absent);

/* What a signature stands below (RFC 7515 7.2.2). `kid` empty: the key itself is sent. */
str acme_protected(struct arena *a, const struct es256_key *key, str kid, str nonce, str url);
str acme_jwk(struct arena *a, const struct es256_key *key);
str acme_flattened(struct arena *a, str protected_json, str payload, str *to_sign);
str acme_flattened_end(struct arena *a, str message, const void *signature, size_t n);
/* RFC 8555 7.3.4: the account's key, signed by a key that its owner has of the authority.
 * RC_INVALID: the key is not base64url. ptr NULL in *out: no memory. */
rc_t acme_binding(struct arena *a, str kid, str mac_key, str jwk, str url, str *out);
str acme_base64url(struct arena *a, str bytes);
/* token "." thumbprint (RFC 8555 8.1). */
str acme_key_authorization(struct arena *a, const struct es256_key *key, str token);

/* ---- acme_call.c ----------------------------------------------------------------------------- */

struct acme_talk {
    struct arena *a;
    const struct es256_key *key;
    struct acme_directory directory;
    str kid;                     /* the account's URL; empty: there is none yet */
    char nonce[ACME_NONCE_MAX];  /* the last one given; empty: none */
    struct acme_problem problem; /* of the last answer that was one; type empty: it was none */
    u64 retry_after_s;           /* of the last answer; 0: not said */
    str location;                /* of the last answer */
    struct diag *why;
};
/* GET without a signature. */
rc_t acme_get(struct acme_talk *t, str url, str *body);
/* A signed POST; `payload` empty: POST-as-GET. A nonce that is refused is replaced, a few times.
 * RC_DENIED: the authority says no (`problem`); RC_LIMIT: it says no for now. */
rc_t acme_post(struct acme_talk *t, str url, str payload, const char *accept, str *body);

/* ---- acme_order.c ---------------------------------------------------------------------------- */

struct acme_wish {
    str names;        /* comma-separated */
    str contact;      /* e-mail address; may be empty */
    str kid, mac_key; /* external account binding; may be empty */
    bool agreed, by_tls;
    str replaces; /* the renewal id of the certificate before; empty: none, or it is not to be told
                   */
};
rc_t acme_open(struct acme_talk *t, str directory_url);
/* t->kid becomes the account's. */
rc_t acme_register(struct acme_talk *t, const struct acme_wish *wish);
/* From an account to a key and a chain, both in the arena. */
rc_t acme_obtain(struct acme_talk *t, const struct acme_wish *wish, str *key_pem, str *chain_pem);

/* The authority's word on when; RC_NOT_FOUND: it has none to give. */
rc_t acme_window(struct acme_talk *t, str renewal_id, u64 *from_ns, u64 *until_ns);

/* The answer to an authority's question over HTTP, while it asks. */
str acme_http_answer(str token); /* ptr NULL: not ours */

/* ---- acme_store.c ---------------------------------------------------------------------------- */

/* One row: the account, and how the certificate fares. */
struct acme_row {
    bool stored;
    struct es256_key key;
    char directory[ACME_URL_MAX], account[ACME_URL_MAX]; /* the latter empty: not registered yet */
    char names[ACME_NAMES_TEXT_MAX]; /* of the certificate we have; empty: none was got */
    u32 failures;                    /* in a row */
    u64 retry_at_ns;                 /* UTC; 0: whenever */
};
rc_t acme_load(struct acme_row *row);
rc_t acme_save(const struct acme_row *row);
/* Key and chain into use and into the database, and the row with them. */
rc_t acme_keep(struct acme_row *row, str names, str key_pem, str chain_pem, struct diag *why);

/* ---- acme_schedule.c: when; arithmetic on UTC nanoseconds ------------------------------------ */

/* Without the authority's word: a third of its life before the end, half of it when it lives for
 * less than ten days. */
u64 acme_renew_at(u64 not_before_ns, u64 not_after_ns);
/* With it: somewhere in its window, by `random`; never before the certificate is as old as
 * acme_age_min says, and never after its end. */
u64 acme_renew_in(u64 from_ns, u64 until_ns, u64 random, u64 not_before_ns, u64 not_after_ns);
/* How long after the nth failure in a row (from 1), varied by a tenth. */
u64 acme_retry_s(u32 failures, u64 random);

/* ---- acme.c ---------------------------------------------------------------------------------- */

rc_t acme_sleep(u64 seconds); /* RC_CLOSED: the appliance stops */
void acme_start(void);        /* once the database is open */
void acme_stop(void);
void acme_answer_challenge(struct request *rq);
void acme_answer_state(struct request *rq);
void acme_answer_renew(struct request *rq);
