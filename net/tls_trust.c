/* SPDX-License-Identifier: Apache-2.0 */
/* tls_trust.c — whom outgoing connections believe, and who we are to them.
 *
 *   {ca, certificate, key, insecure} --SHA-256--> kept? --> one more holder
 *                                          '-> worker: parse -> settings -> kept
 *
 * A policy that names its authority in each call would have it parsed in each call; so what was
 * made is kept by content, the least recently used goes, and whoever still holds it keeps it alive.
 * Without a text of its own a trust believes the store (tls_trust_add), which is filled at start
 * and not changed later: workers read it. */
#include "net/tls_impl.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/sha256.h"

enum { KEPT_MAX = 16, ID_BYTES = 32, PEM_BYTES_MAX = 1 << 20 };

struct tls_trust {
    u32 references;
    u64 used_ns;
    u8 id[ID_BYTES];
    mbedtls_ssl_config settings;
    mbedtls_x509_crt ca, chain;
    mbedtls_pk_context key;
};
static struct tls_trust *kept[KEPT_MAX];

/* ---- Kept by content ------------------------------------------------------------------------- */

static rc_t id_of(const struct tls_trust_options *o, u8 id[ID_BYTES]) {
    mbedtls_sha256_context c;
    const str parts[] = {o->ca_pem, o->cert_pem, o->key_pem};
    mbedtls_sha256_init(&c);
    int e = mbedtls_sha256_starts(&c, 0);
    for (size_t i = 0; i < ARRAY_LEN(parts) && !e; i++) {
        u64 n = parts[i].len;
        e = mbedtls_sha256_update(&c, (const u8 *)&n, sizeof n);
        if (!e && n) e = mbedtls_sha256_update(&c, (const u8 *)parts[i].ptr, n);
    }
    u8 insecure = o->insecure;
    if (!e) e = mbedtls_sha256_update(&c, &insecure, 1);
    if (!e) e = mbedtls_sha256_finish(&c, id);
    mbedtls_sha256_free(&c);
    return e ? RC_NO_MEMORY : RC_OK;
}

static void trust_free(struct tls_trust *t) {
    mbedtls_ssl_config_free(&t->settings);
    mbedtls_x509_crt_free(&t->ca);
    mbedtls_x509_crt_free(&t->chain);
    mbedtls_pk_free(&t->key);
    memory_free(MEMORY_TLS, t);
}

void tls_trust_release(struct tls_trust *t) {
    if (t && --t->references == 0) trust_free(t);
}

struct tls_trust *tls_trust_hold(struct tls_trust *t) {
    t->references++;
    return t;
}

const mbedtls_ssl_config *tls_trust_settings(const struct tls_trust *t) {
    return &t->settings;
}

static struct tls_trust *kept_find(const u8 id[ID_BYTES]) {
    for (u32 i = 0; i < KEPT_MAX; i++) {
        if (!kept[i] || memcmp(kept[i]->id, id, ID_BYTES) != 0) continue;
        kept[i]->used_ns = platform_clock_ns();
        return tls_trust_hold(kept[i]);
    }
    return NULL;
}

static void kept_add(struct tls_trust *t) {
    u32 at = 0;
    for (u32 i = 0; i < KEPT_MAX && kept[at]; i++)
        if (!kept[i] || kept[i]->used_ns < kept[at]->used_ns) at = i;
    tls_trust_release(kept[at]);
    t->used_ns = platform_clock_ns();
    kept[at] = tls_trust_hold(t);
}

/* ---- Making one, on a worker ----------------------------------------------------------------- */

struct make_job {
    const struct tls_trust_options *o;
    struct tls_trust *t;
    struct diag *why;
    rc_t rc;
};

static rc_t refuse(struct diag *why, const char *what) {
    diag_set(why, "%s", what);
    return RC_INVALID;
}

static rc_t with_nul(str pem, char **z) {
    if (pem.len > PEM_BYTES_MAX) return RC_INVALID;
    *z = memory_alloc(MEMORY_TLS, pem.len + 1);
    if (!*z) return RC_NO_MEMORY;
    memcpy(*z, pem.ptr, pem.len);
    (*z)[pem.len] = 0;
    return RC_OK;
}

static void forget(char *z, size_t n) { /* it may have held a key */
    if (z) mbedtls_platform_zeroize(z, n);
    memory_free(MEMORY_TLS, z);
}

static rc_t parse_certificates(str pem, mbedtls_x509_crt *into, struct diag *why,
                               const char *refusal) {
    char *z = NULL;
    rc_t rc = with_nul(pem, &z);
    if (!rc && mbedtls_x509_crt_parse(into, (const u8 *)z, pem.len + 1)) rc = refuse(why, refusal);
    forget(z, pem.len);
    return rc;
}

static rc_t parse_key(str pem, struct tls_trust *t, struct diag *why) {
    char *z = NULL;
    rc_t rc = with_nul(pem, &z);
    if (!rc && mbedtls_pk_parse_key(&t->key, (const u8 *)z, pem.len + 1, NULL, 0, tls_random, NULL))
        rc = refuse(why, "the client's key cannot be read; it must be unencrypted PEM");
    if (!rc && mbedtls_pk_check_pair(&t->chain.pk, &t->key, tls_random, NULL))
        rc = refuse(why, "the client's key does not belong to its certificate");
    forget(z, pem.len);
    return rc;
}

static void make_on_worker(void *arg) {
    struct make_job *j = arg;
    const struct tls_trust_options *o = j->o;
    struct tls_trust *t = j->t;
    rc_t rc = tls_settings_init(&t->settings, MBEDTLS_SSL_IS_CLIENT);
    if (!rc && o->ca_pem.len)
        rc = parse_certificates(o->ca_pem, &t->ca, j->why,
                                "the authority's certificate cannot be read; it must be PEM");
    if (!rc && !o->cert_pem.len != !o->key_pem.len)
        rc = refuse(j->why, "a client's certificate and its key belong together");
    if (!rc && o->cert_pem.len) {
        rc = parse_certificates(o->cert_pem, &t->chain, j->why,
                                "the client's certificate cannot be read; it must be PEM");
        if (!rc) rc = parse_key(o->key_pem, t, j->why);
        if (!rc && mbedtls_ssl_conf_own_cert(&t->settings, &t->chain, &t->key)) rc = RC_NO_MEMORY;
    }
    if (o->insecure) mbedtls_ssl_conf_authmode(&t->settings, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_ca_chain(&t->settings, o->ca_pem.len ? &t->ca : tls_trust_store(), NULL);
    j->rc = rc;
}

rc_t tls_trust_open(const struct tls_trust_options *o, struct tls_trust **out, struct diag *why) {
    u8 id[ID_BYTES];
    rc_t rc = tls_library_init();
    if (!rc) rc = id_of(o, id);
    if (rc) return rc;
    if ((*out = kept_find(id))) return RC_OK;
    struct tls_trust *t = memory_zero(MEMORY_TLS, sizeof *t);
    if (!t) return RC_NO_MEMORY;
    t->references = 1;
    memcpy(t->id, id, ID_BYTES);
    mbedtls_ssl_config_init(&t->settings);
    mbedtls_x509_crt_init(&t->ca);
    mbedtls_x509_crt_init(&t->chain);
    mbedtls_pk_init(&t->key);
    struct make_job job = {.o = o, .t = t, .why = why};
    rc = worker_run(make_on_worker, &job);
    if (!rc) rc = job.rc;
    if (rc) {
        tls_trust_release(t);
        return rc;
    }
    kept_add(t);
    *out = t;
    return RC_OK;
}
