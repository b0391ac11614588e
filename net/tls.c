/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c — the TLS library on this machine, and who we are to those who connect.
 *
 * Only what is safe today is offered: TLS 1.2 and 1.3, ephemeral X25519, P-256 or P-384, AES-GCM or
 * ChaCha20-Poly1305 (RFC 9325 4.2). Sessions resume by tickets in both versions; the ticket keys
 * change every TICKET_SECONDS, the one before stays good as long again. Randomness is the machine's
 * own; without a trustworthy source there is no TLS, and the log says so.
 *
 * Who we are is one counted object: replacing it means that the next connection gets the new one
 * and the last session of the old one frees it. There may be further ones, by the names clients
 * ask for; workers look for them in the middle of a handshake, so a lock guards the list and all
 * counts.
 *
 * Where clients are asked for certificates no session is resumed: a ticket does not keep who it
 * was. */
#include "net/tls_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "mbedtls/error.h"
#include "mbedtls/platform_time.h"
#include "mbedtls/ssl_ticket.h"
#include "mbedtls/threading.h"
#include "psa/crypto.h"
#include <time.h>

#define TICKET_SECONDS (6 * 3600)

static struct tls {
    bool ready;
    struct tls_identity *current;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_x509_crt trust, client_ca;
    bool modern;
    enum tls_clients clients;
    struct platform_lock lock; /* of `named`, `challenge` and every identity's count */
    struct tls_identity *named[TLS_NAMED_MAX];
    u32 named_count;
    struct tls_identity *challenge; /* for an authority that looks; NULL: none does */
} tls_of_loop, *const tls = &tls_of_loop;

struct tls_stats tls_counters;
void tls_stats_get(struct tls_stats *out) {
    *out = tls_counters;
    tls_admit_stats(out);
}

/* ---- What the library asks of a machine ------------------------------------------------------ */

void *tls_calloc(size_t count, size_t size) {
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) return NULL;
    return memory_zero(MEMORY_TLS, n ? n : 1);
}

void tls_free(void *p) {
    memory_free(MEMORY_TLS, p);
}

time_t tls_time(time_t *out) {
    time_t now = (time_t)(platform_wall_ns() / NS_PER_S);
    if (out) *out = now;
    return now;
}

mbedtls_ms_time_t mbedtls_ms_time(void) {
    return (mbedtls_ms_time_t)(platform_clock_ns() / NS_PER_MS);
}

int tls_random(void *unused, unsigned char *to, size_t n) {
    (void)unused;
    return platform_entropy(to, n) == RC_OK ? 0 : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                             uint8_t *output, size_t output_size,
                                             size_t *output_length) {
    (void)context;
    *output_length = 0;
    if (platform_entropy(output, output_size)) return PSA_ERROR_INSUFFICIENT_ENTROPY;
    *output_length = output_size;
    return PSA_SUCCESS;
}

static_assert(sizeof(mbedtls_threading_mutex_t) == sizeof(struct platform_lock),
              "one is the other");
static struct platform_lock *lock_of(mbedtls_threading_mutex_t *m) {
    return (struct platform_lock *)&m->word;
}
static void mutex_init(mbedtls_threading_mutex_t *m) { m->word = 0; }
static void mutex_free(mbedtls_threading_mutex_t *m) { (void)m; }
static int mutex_lock(mbedtls_threading_mutex_t *m) {
    platform_lock(lock_of(m));
    return 0;
}
static int mutex_unlock(mbedtls_threading_mutex_t *m) {
    platform_unlock(lock_of(m));
    return 0;
}

rc_t rc_from_tls(int e) {
    switch (e) {
    case 0: return RC_OK;
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE: return RC_AGAIN;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED: return RC_NO_MEMORY;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF: return RC_CLOSED;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED: return RC_DENIED;
    default: return RC_INVALID;
    }
}

void tls_words(int e, char *to, size_t room) {
    mbedtls_strerror(e, to, room);
}

rc_t tls_library_init(void) {
    u8 probe[16];
    if (tls->ready) return RC_OK;
    rc_t rc = platform_entropy(probe, sizeof probe);
    if (rc) {
        log_error("tls",
                  "no trustworthy random numbers, so no keys: give the machine virtio-rng or a CPU "
                  "with RDRAND",
                  "rc=%s", rc_name(rc));
        return RC_IO;
    }
    mbedtls_threading_set_alt(mutex_init, mutex_free, mutex_lock, mutex_unlock);
    if (psa_crypto_init() != PSA_SUCCESS) return RC_NO_MEMORY;
    mbedtls_ssl_ticket_init(&tls->tickets);
    int e = mbedtls_ssl_ticket_setup(&tls->tickets, tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                     TICKET_SECONDS);
    if (e) return RC_NO_MEMORY;
    mbedtls_x509_crt_init(&tls->trust);
    mbedtls_x509_crt_init(&tls->client_ca);
    tls->ready = true;
    return RC_OK;
}

rc_t tls_init(void) {
    return tls_library_init();
}

/* Counts what resumed; workers call it. */
static int ticket_parse(void *arg, mbedtls_ssl_session *session, unsigned char *bytes, size_t n) {
    int e = mbedtls_ssl_ticket_parse(arg, session, bytes, n);
    if (e == 0) (void)__atomic_add_fetch(&tls_counters.resumed, 1, __ATOMIC_RELAXED);
    return e;
}

/* ---- Settings -------------------------------------------------------------------------------- */

static void ask_clients(mbedtls_ssl_config *s) {
    if (tls->clients == TLS_CLIENTS_UNASKED) {
        mbedtls_ssl_conf_session_tickets_cb(s, mbedtls_ssl_ticket_write, ticket_parse,
                                            &tls->tickets);
        mbedtls_ssl_conf_new_session_tickets(s, 1);
        mbedtls_ssl_conf_authmode(s, MBEDTLS_SSL_VERIFY_NONE);
        return;
    }
    mbedtls_ssl_conf_new_session_tickets(s, 0);
    mbedtls_ssl_conf_session_tickets(s, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    mbedtls_ssl_conf_ca_chain(s, &tls->client_ca, NULL);
    mbedtls_ssl_conf_authmode(s, tls->clients == TLS_CLIENTS_REQUIRED
                                     ? MBEDTLS_SSL_VERIFY_REQUIRED
                                     : MBEDTLS_SSL_VERIFY_OPTIONAL);
}

rc_t tls_settings_init(mbedtls_ssl_config *s, int endpoint) {
    static const uint16_t groups[] = {
        MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    static const uint16_t signatures[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
                                          MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
                                          MBEDTLS_TLS1_3_SIG_NONE};
    static const char *served[] = {"h2", "http/1.1", TLS_CHALLENGE_PROTOCOL, NULL};
    static const char *asked[] = {"http/1.1", NULL};
    const char **protocols = endpoint == MBEDTLS_SSL_IS_SERVER ? served : asked;
    mbedtls_ssl_config_init(s);
    if (mbedtls_ssl_config_defaults(s, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT))
        return RC_NO_MEMORY;
    mbedtls_ssl_conf_rng(s, tls_random, NULL);
    mbedtls_ssl_conf_min_tls_version(s, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(s, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_tls13_key_exchange_modes(s,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
    mbedtls_ssl_conf_groups(s, groups);
    mbedtls_ssl_conf_sig_algs(s, signatures);
    if (mbedtls_ssl_conf_alpn_protocols(s, protocols)) return RC_NO_MEMORY;
    if (endpoint == MBEDTLS_SSL_IS_SERVER) {
        if (tls->modern) mbedtls_ssl_conf_min_tls_version(s, MBEDTLS_SSL_VERSION_TLS1_3);
        mbedtls_ssl_conf_sni(s, tls_on_server_name, NULL);
        mbedtls_ssl_conf_cert_cb(s, tls_on_certificate);
        ask_clients(s);
        /* the order of net/config: AES with the processor's help first */
        mbedtls_ssl_conf_preference_order(s, MBEDTLS_SSL_SRV_CIPHERSUITE_ORDER_SERVER);
    } else {
        mbedtls_ssl_conf_authmode(s, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    return RC_OK;
}

mbedtls_x509_crt *tls_trust_store(void) {
    return &tls->trust;
}

u32 tls_trust_count(void) {
    u32 n = 0;
    for (const mbedtls_x509_crt *c = &tls->trust; tls->ready && c && c->raw.p; c = c->next) n++;
    return n;
}

struct trust_job {
    mbedtls_x509_crt *to;
    const char *pem;
    size_t len;
    int e;
};
static void trust_on_worker(void *arg) { /* a hundred of them take milliseconds */
    struct trust_job *j = arg;
    j->e = mbedtls_x509_crt_parse(j->to, (const u8 *)j->pem, j->len);
}

static rc_t certificates_add(mbedtls_x509_crt *to, str pem, struct diag *why) {
    rc_t rc = tls_library_init();
    if (rc) return rc;
    char *z = memory_alloc(MEMORY_TLS, pem.len + 1);
    if (!z) return RC_NO_MEMORY;
    struct trust_job job = {.to = to, .pem = z, .len = pem.len + 1};
    rc = str_to_c(pem, z, pem.len + 1);
    if (!rc) rc = worker_run(trust_on_worker, &job);
    memory_free(MEMORY_TLS, z);
    if (!rc && job.e == 0) return RC_OK;
    diag_set(why, "the certificates to trust are not PEM");
    return RC_INVALID;
}

rc_t tls_trust_add(str pem, struct diag *why) {
    return certificates_add(&tls->trust, pem, why);
}

rc_t tls_server_rules_set(const struct tls_server_rules *rules, struct diag *why) {
    if (rules->clients != TLS_CLIENTS_UNASKED) {
        rc_t rc = certificates_add(&tls->client_ca, rules->client_ca_pem, why);
        if (rc) return rc;
    }
    tls->modern = rules->modern;
    tls->clients = rules->clients;
    return RC_OK;
}

/* ---- Who we are ------------------------------------------------------------------------------ */

struct tls_identity *tls_identity_current(void) {
    platform_lock(&tls->lock);
    if (tls->current) tls->current->references++;
    platform_unlock(&tls->lock);
    return tls->current;
}

void tls_identity_release(struct tls_identity *id) {
    if (!id) return;
    platform_lock(&tls->lock);
    u32 left = --id->references;
    platform_unlock(&tls->lock);
    if (!left) tls_identity_free(id);
}

struct parse_job {
    str key_pem, chain_pem;
    bool challenge;
    struct diag *why;
    struct tls_identity *made;
    rc_t rc;
};
static void parse_on_worker(void *arg) {
    struct parse_job *j = arg;
    j->rc = tls_identity_parse(j->key_pem, j->chain_pem, j->challenge, &j->made, j->why);
}

static rc_t identity_read(struct parse_job *job) {
    rc_t rc = tls_library_init();
    if (rc) {
        diag_set(job->why, "there are no trustworthy random numbers, so there is no TLS");
        return rc;
    }
    if ((rc = worker_run(parse_on_worker, job))) {
        diag_set(job->why, "every worker is busy");
        return rc;
    }
    return job->rc;
}

rc_t tls_use_identity(str key_pem, str chain_pem, struct diag *why) {
    struct parse_job job = {.key_pem = key_pem, .chain_pem = chain_pem, .why = why};
    rc_t rc = identity_read(&job);
    if (rc) return rc;
    rc = tls_settings_init(&job.made->settings, MBEDTLS_SSL_IS_SERVER);
    if (!rc && mbedtls_ssl_conf_own_cert(&job.made->settings, &job.made->chain, &job.made->key))
        rc = RC_NO_MEMORY;
    if (rc) {
        diag_set(why, "no memory for another certificate");
        tls_identity_free(job.made);
        return rc;
    }
    struct tls_identity *before = tls->current;
    tls->current = job.made;
    tls_identity_release(before);
    log_info("tls", "certificate in use", "sha256=%s", tls->current->info.fingerprint_sha256);
    return RC_OK;
}

bool tls_has_identity(void) {
    return tls->current != NULL;
}

rc_t tls_identity_info_get(struct tls_identity_info *out) {
    if (!tls->current) return RC_NOT_FOUND;
    *out = tls->current->info;
    return RC_OK;
}

/* ---- By name --------------------------------------------------------------------------------- */

/* RFC 6125 6.4.3: `*` stands for one whole label, the first. */
static bool name_fits(str pattern, str host) {
    if (!str_starts(pattern, S("*."))) return str_eq_nocase(pattern, host);
    size_t dot = str_find_byte(host, '.');
    return dot && dot < host.len && str_eq_nocase(str_skip(pattern, 1), str_skip(host, dot));
}

static bool valid_for(const struct tls_identity *id, str host) {
    for (const mbedtls_x509_sequence *s = &id->chain.subject_alt_names; s && s->buf.p; s = s->next)
        if ((s->buf.tag & 0x1F) == MBEDTLS_X509_SAN_DNS_NAME &&
            name_fits(str_of((const char *)s->buf.p, s->buf.len), host))
            return true;
    return false;
}

struct tls_identity *tls_identity_named(str host) {
    struct tls_identity *found = NULL;
    platform_lock(&tls->lock);
    for (u32 i = 0; i < tls->named_count && !found; i++)
        if (valid_for(tls->named[i], host)) found = tls->named[i];
    if (found) found->references++;
    platform_unlock(&tls->lock);
    return found;
}

static u32 named_at(str id) { /* the loop alone changes the list */
    u32 i = 0;
    while (i < tls->named_count && !str_eq(str_from_c(tls->named[i]->id), id)) i++;
    return i;
}

rc_t tls_add_identity(str id, str key_pem, str chain_pem, struct diag *why) {
    struct parse_job job = {.key_pem = key_pem, .chain_pem = chain_pem, .why = why};
    if (id.len == 0 || id.len >= TLS_NAMED_ID_MAX) return RC_INVALID;
    rc_t rc = identity_read(&job);
    if (rc) return rc;
    (void)!!str_to_c(id, job.made->id, sizeof job.made->id);
    struct tls_identity *before = NULL;
    u32 at = named_at(id);
    if (at == TLS_NAMED_MAX) {
        diag_set(why, "there are %u certificates already", TLS_NAMED_MAX);
        tls_identity_free(job.made);
        return RC_LIMIT;
    }
    platform_lock(&tls->lock);
    if (at == tls->named_count) tls->named_count++;
    else before = tls->named[at];
    tls->named[at] = job.made;
    platform_unlock(&tls->lock);
    tls_identity_release(before);
    log_info("tls", "certificate in use for its names", "id=%s sha256=%s", LOGSTR(id),
             job.made->info.fingerprint_sha256);
    return RC_OK;
}

rc_t tls_remove_identity(str id) {
    u32 at = named_at(id);
    if (at == tls->named_count) return RC_NOT_FOUND;
    platform_lock(&tls->lock);
    struct tls_identity *gone = tls->named[at];
    tls->named[at] = tls->named[--tls->named_count];
    platform_unlock(&tls->lock);
    tls_identity_release(gone);
    return RC_OK;
}

bool tls_named_info(u32 at, char id[TLS_NAMED_ID_MAX], struct tls_identity_info *out) {
    if (at >= tls->named_count) return false;
    memcpy(id, tls->named[at]->id, TLS_NAMED_ID_MAX);
    *out = tls->named[at]->info;
    return true;
}

/* ---- For authorities that look --------------------------------------------------------------- */

struct tls_identity *tls_identity_challenge(str host) {
    platform_lock(&tls->lock);
    struct tls_identity *found = tls->challenge && valid_for(tls->challenge, host) ? tls->challenge
                                                                                  : NULL;
    if (found) found->references++;
    platform_unlock(&tls->lock);
    return found;
}

static void challenge_is(struct tls_identity *id) {
    platform_lock(&tls->lock);
    struct tls_identity *before = tls->challenge;
    tls->challenge = id;
    platform_unlock(&tls->lock);
    tls_identity_release(before);
}

rc_t tls_challenge_set(str name, const u8 digest[TLS_CHALLENGE_DIGEST], struct diag *why) {
    char key[1024], chain[4096];
    rc_t rc = tls_make_challenge(name, digest, key, sizeof key, chain, sizeof chain);
    struct parse_job job = {
        .key_pem = str_from_c(key), .chain_pem = str_from_c(chain), .challenge = true, .why = why};
    if (rc) diag_set(why, "no certificate for the challenge could be made: %s", rc_name(rc));
    else rc = identity_read(&job);
    memset(key, 0, sizeof key);
    if (!rc) challenge_is(job.made);
    return rc;
}

void tls_challenge_clear(void) {
    challenge_is(NULL);
}
