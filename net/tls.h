/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h — who we are on port 443: keys, certificates, tickets. mbedTLS under a stream; handshakes
 * run on workers, so the loop never does public-key arithmetic. */
#pragma once
#include "kernel/base/base.h"

rc_t tls_init(void); /* RC_IO: no entropy; TLS stays off and says why */
/* A new ECDSA P-256 key and self-signed certificate, valid for the names and addresses given
 * (comma separated; `localhost` always), 825 days. PEM, NUL-ended. Fibers only (uses a worker). */
rc_t tls_make_identity(str names, char *key_pem, size_t key_room, char *cert_pem, size_t cert_room);
/* Takes effect for new connections; running ones keep theirs. The key must match the first
 * certificate of the chain. RC_INVALID says in `why` what is wrong. Fibers only. */
rc_t tls_use_identity(str key_pem, str chain_pem, struct diag *why);
bool tls_has_identity(void);
/* A new key (ECDSA P-256, PEM) and a request to certify it for the names, comma separated (PKCS
 * #10, DER; RFC 2986). Fibers only. RC_LIMIT: no room. */
rc_t tls_make_request(str names, char *key_pem, size_t key_room, u8 *request, size_t request_room,
                      size_t *request_bytes);
/* An authority that looks whether `name` is ours says so in the handshake (ALPN acme-tls/1) and is
 * shown a certificate that holds `digest`, after which the connection ends (RFC 8737). One name at
 * a time; nobody else ever sees it. Fibers only. */
#define TLS_CHALLENGE_DIGEST 32u
rc_t tls_challenge_set(str name, const u8 digest[TLS_CHALLENGE_DIGEST], struct diag *why);
void tls_challenge_clear(void);
/* Further ones, for clients that ask for a name they are valid for (SNI, RFC 6066 3); everybody
 * else gets the one above. `id` is the owner's word for one; adding it again replaces it, for new
 * connections. RC_INVALID; RC_LIMIT: TLS_NAMED_MAX. Fibers only. */
#define TLS_NAMED_MAX 64u
#define TLS_NAMED_ID_MAX 64u
rc_t tls_add_identity(str id, str key_pem, str chain_pem, struct diag *why);
rc_t tls_remove_identity(str id); /* RC_NOT_FOUND */

/* How the server side speaks: said once, before the first identity. Fibers only. */
enum tls_clients { TLS_CLIENTS_UNASKED, TLS_CLIENTS_ASKED, TLS_CLIENTS_REQUIRED };
struct tls_server_rules {
    bool modern;              /* TLS 1.3 only */
    enum tls_clients clients; /* whether they are asked for a certificate, and may lack one */
    str client_ca_pem;        /* who vouches for it */
};
rc_t tls_server_rules_set(const struct tls_server_rules *rules, struct diag *why); /* RC_INVALID */

/* A client that showed a certificate, and proved that it has the key. */
struct tls_peer {
    bool verified; /* by client_ca_pem, and in its time */
    char subject[256], fingerprint_sha256[96];
};
/* Certificates (PEM) that outgoing connections believe; added to those before. At start, on a
 * fiber: later, workers read them. RC_INVALID. */
rc_t tls_trust_add(str pem, struct diag *why);
u32 tls_trust_count(void); /* of them */

/* What an outgoing connection believes, and who we are to it if asked. */
struct tls_trust_options {
    str ca_pem;            /* instead of the store; empty: the store */
    str cert_pem, key_pem; /* both or none */
    bool insecure;         /* any certificate will do */
};
struct tls_trust;
/* Made by a worker on first use and kept for the next who asks for the same; counted. Fibers only.
 * RC_INVALID: `why` says which text is wrong. */
rc_t tls_trust_open(const struct tls_trust_options *o, struct tls_trust **out, struct diag *why);
struct tls_trust *tls_trust_hold(struct tls_trust *t); /* one more holder */
void tls_trust_release(struct tls_trust *t); /* NULL is fine */
#define TLS_RENEWAL_ID_MAX 192u
struct tls_identity_info {
    char fingerprint_sha256[96]; /* "AB:CD:..." of the leaf */
    char subject[256], issuer[256], names[512];
    u64 not_before_ns, not_after_ns; /* UTC */
    bool self_signed;
    char renewal_id[TLS_RENEWAL_ID_MAX]; /* RFC 9773 4.1; empty: it names no authority's key */
};
rc_t tls_identity_info_get(struct tls_identity_info *out); /* RC_NOT_FOUND */
/* The further ones, from 0; false: that was the last. */
bool tls_named_info(u32 at, char id[TLS_NAMED_ID_MAX], struct tls_identity_info *out);

struct tls_stats {
    u64 handshakes, resumed, failed, handshake_us_total;
    u64 started;  /* worked on at all */
    u64 refused;  /* no certificate, no memory */
    u64 shed;     /* dropped: too many, too late, gone before their turn */
    u32 waiting, in_progress; /* now */
};
void tls_stats_get(struct tls_stats *out);
