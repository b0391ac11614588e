/* SPDX-License-Identifier: Apache-2.0 */
/* tls_impl.h — what tls.c (the library and who we are), tls_identity.c (keys and certificates) and
 * tls_session.c (records of one stream) share. Not for other folders. */
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
mbedtls_ssl_config *tls_client_settings(void); /* NULL: no memory */

/* tls_identity.c, on a worker: no loop state */
rc_t tls_identity_parse(str key_pem, str chain_pem, struct tls_identity **out, struct diag *why);
void tls_identity_free(struct tls_identity *id);

extern struct tls_stats tls_counters;
