/* SPDX-License-Identifier: Apache-2.0 */
/* tls_impl.h — what tls.c (the library and who we are), tls_identity.c (keys and certificates),
 * tls_admit.c (whose turn it is) and tls_session.c (records of one stream) share. Not for other
 * folders. */
#pragma once
#include "net/tls.h"
#include "mbedtls/pk.h"
#include "mbedtls/ssl.h"
#include "mbedtls/x509_crt.h"

/* A key, its chain, and the settings made of them. Counted: sessions keep the one they began with.
 */
struct tls_identity {
    u32 references;
    mbedtls_ssl_config settings;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    char id[TLS_NAMED_ID_MAX]; /* of a further one */
    struct tls_identity_info info;
};

rc_t tls_library_init(void);
int tls_random(void *unused, unsigned char *to, size_t n); /* mbedtls_f_rng_t */
rc_t rc_from_tls(int e);
void tls_words(int e, char *to, size_t room); /* what the library says about an error */

/* Shared by every session: protocol versions, suites, groups, tickets. */
rc_t tls_settings_init(mbedtls_ssl_config *settings, int endpoint);
struct tls_identity *tls_identity_current(void); /* NULL: none; the caller holds it */
void tls_identity_release(struct tls_identity *id);
/* Any thread: the one for a name, held; NULL: none of the further ones is. */
struct tls_identity *tls_identity_named(str host);
/* Held; NULL: no such challenge is under way. */
struct tls_identity *tls_identity_challenge(str host);
#define TLS_CHALLENGE_PROTOCOL "acme-tls/1"
int tls_on_certificate(mbedtls_ssl_context *ssl);
int tls_on_server_name(void *arg, mbedtls_ssl_context *ssl, const unsigned char *name, size_t n);
void tls_fingerprint(const mbedtls_x509_crt *crt, char to[96]);
mbedtls_x509_crt *tls_trust_store(void); /* what tls_trust_add collected */

/* tls_trust.c */
const mbedtls_ssl_config *tls_trust_settings(const struct tls_trust *t);

/* tls_identity.c. A key and a certificate for acme-tls/1; fibers. */
rc_t tls_make_challenge(str name, const u8 digest[TLS_CHALLENGE_DIGEST], char *key_pem,
                        size_t key_room, char *cert_pem, size_t cert_room);
/* On a worker: no loop state. */
rc_t tls_identity_parse(str key_pem, str chain_pem, bool challenge, struct tls_identity **out,
                        struct diag *why);
void tls_identity_free(struct tls_identity *id);

extern struct tls_stats tls_counters;

/* tls_admit.c: the order in which handshakes are worked on. A session's place in it: */
struct tls_line {
    struct tls_turn *first, *last;
    u32 count;
};
struct tls_turn;
struct tls_turn_calls {
    bool (*step)(struct tls_turn *t); /* gives its next step to a worker; false: it has ended */
    void (*shed)(struct tls_turn *t, rc_t why); /* must end it */
};
struct tls_turn {
    struct tls_turn *prev, *next;
    struct tls_line *line; /* NULL: in none */
    const struct tls_turn_calls *calls;
    u64 since_ns, deadline_ns; /* in this line; over by then, or dropped */
    u64 busy_ns;               /* its steps so far */
    bool started, running;
};
void tls_turn_init(struct tls_turn *t, const struct tls_turn_calls *calls, u64 deadline_ns);
/* bytes to work on; RC_LIMIT: too many wait, the caller ends it */
rc_t tls_turn_ask(struct tls_turn *t);
void tls_turn_done(struct tls_turn *t, u64 busy_ns); /* the step is over */
void tls_turn_end(struct tls_turn *t, bool finished); /* no more steps; may be said again */
void tls_admit_again(void);                           /* memory has come back */
struct tls_turn *tls_admit_silent(void); /* can be done without: has not said a word for long */
void tls_admit_stats(struct tls_stats *out);
