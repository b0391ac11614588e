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
struct tls_identity_info {
    char fingerprint_sha256[96]; /* "AB:CD:..." of the leaf */
    char subject[256], issuer[256], names[512];
    u64 not_before_ns, not_after_ns; /* UTC */
    bool self_signed;
};
rc_t tls_identity_info_get(struct tls_identity_info *out); /* RC_NOT_FOUND */

struct tls_stats {
    u64 handshakes, resumed, failed, handshake_us_total;
    u64 started;  /* worked on at all */
    u64 refused;  /* no certificate, no memory */
    u64 shed;     /* dropped: too many, too late, gone before their turn */
    u32 waiting, in_progress; /* now */
};
void tls_stats_get(struct tls_stats *out);
