/* SPDX-License-Identifier: Apache-2.0 */
/* tls_identity.c — keys and certificates: made on first boot, read and checked when replaced. All
 * of it is arithmetic and parsing, so it runs on workers.
 *
 * What is made: an ECDSA P-256 key, and a certificate signed by itself for the names given and
 * `localhost`, for 825 days from yesterday (clocks differ), for servers only, with a random serial
 * number. What is taken: a key and a chain that belong together, EC on P-256 or P-384, or RSA of at
 * least 2,048 bits; anything else is refused with a sentence. */
#include "net/tls_impl.h"
#include "net/stream.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "mbedtls/asn1.h"
#include "mbedtls/asn1write.h"
#include "mbedtls/base64.h"
#include "mbedtls/oid.h"
#include "mbedtls/pem.h"
#include "mbedtls/platform_util.h"
#include "mbedtls/sha256.h"
#include "mbedtls/x509_csr.h"
#include <stdio.h>
#include <time.h>

#define DAYS 825u
#define DAY_NS (86400 * NS_PER_S)
#define NAMES_MAX 16u

/* ---- Making ---------------------------------------------------------------------------------- */

struct make_job {
    str names;
    const u8 *digest; /* of a challenge's certificate; NULL: one for every day */
    char *key_pem, *cert_pem;
    size_t key_room, cert_room;
    u8 *request; /* instead of a certificate */
    size_t request_room, request_bytes;
    rc_t rc;
};

struct names {
    mbedtls_x509_san_list list[NAMES_MAX];
    struct net_address addresses[NAMES_MAX];
    u32 count;
};

static void names_add(struct names *n, str name) {
    if (n->count == NAMES_MAX || name.len == 0 || name.len > 253) return;
    mbedtls_x509_san_list *san = &n->list[n->count];
    struct net_address *a = &n->addresses[n->count];
    memset(san, 0, sizeof *san);
    if (net_address_parse(name, a) == RC_OK) {
        bool v4 = net_address_is_v4(a);
        san->node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
        san->node.san.unstructured_name.p = a->bytes + (v4 ? 12 : 0);
        san->node.san.unstructured_name.len = v4 ? 4 : 16;
    } else {
        san->node.type = MBEDTLS_X509_SAN_DNS_NAME;
        san->node.san.unstructured_name.p = (unsigned char *)(uintptr_t)name.ptr;
        san->node.san.unstructured_name.len = name.len;
    }
    if (n->count) n->list[n->count - 1].next = san;
    n->count++;
}

static void utc_text(u64 ns, char to[16]) { /* YYYYMMDDhhmmss */
    time_t seconds = (time_t)(ns / NS_PER_S);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(to, 16, "%Y%m%d%H%M%S", &tm);
}

static void names_split(struct names *n, str list) {
    str part;
    while (list.len && str_split(&list, ',', &part)) names_add(n, str_trim(part));
}

/* RFC 8737 3: critical, an OCTET STRING with the hash of the key authorization. */
static int add_digest(mbedtls_x509write_cert *w, const u8 *digest) {
    static const char oid[] = MBEDTLS_OID_PKIX "\x01\x1f";
    u8 value[2 + TLS_CHALLENGE_DIGEST] = {MBEDTLS_ASN1_OCTET_STRING, TLS_CHALLENGE_DIGEST};
    memcpy(value + 2, digest, TLS_CHALLENGE_DIGEST);
    return mbedtls_x509write_crt_set_extension(w, oid, sizeof oid - 1, 1, value, sizeof value);
}

static int write_certificate(struct make_job *j, mbedtls_pk_context *key) {
    mbedtls_x509write_cert w;
    struct names names = {.count = 0};
    char from[16], until[16];
    u8 serial[16];
    u64 now = platform_wall_ns();
    u64 start = now > 2 * DAY_NS ? now - DAY_NS : 1735689600ull * NS_PER_S; /* 2025: no clock yet */
    if (!j->digest) names_add(&names, S("localhost"));
    names_split(&names, j->names);
    utc_text(start, from);
    utc_text(start + DAYS * DAY_NS, until);
    mbedtls_asn1_sequence usage = {.buf = {.tag = MBEDTLS_ASN1_OID,
                                           .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH,
                                           .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)}};
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, key);
    mbedtls_x509write_crt_set_issuer_key(&w, key);
    int e = tls_random(NULL, serial, sizeof serial);
    serial[0] = (serial[0] & 0x7F) | 0x40; /* positive, and of full length (RFC 5280 4.1.2.2) */
    if (!e) e = mbedtls_x509write_crt_set_serial_raw(&w, serial, sizeof serial);
    if (!e) e = mbedtls_x509write_crt_set_subject_name(&w, "CN=OpenPolicy Appliance");
    if (!e) e = mbedtls_x509write_crt_set_issuer_name(&w, "CN=OpenPolicy Appliance");
    if (!e) e = mbedtls_x509write_crt_set_validity(&w, from, until);
    if (!e) e = mbedtls_x509write_crt_set_basic_constraints(&w, 0, -1);
    if (!e) e = mbedtls_x509write_crt_set_subject_key_identifier(&w);
    if (!e) e = mbedtls_x509write_crt_set_key_usage(&w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (!e) e = mbedtls_x509write_crt_set_ext_key_usage(&w, &usage);
    if (!e) e = mbedtls_x509write_crt_set_subject_alternative_name(&w, names.list);
    if (!e && j->digest) e = add_digest(&w, j->digest);
    if (!e) e = mbedtls_x509write_crt_pem(&w, (u8 *)j->cert_pem, j->cert_room, tls_random, NULL);
    mbedtls_x509write_crt_free(&w);
    return e;
}

/* The names alone: what else a certificate says is the authority's. The library writes the end of
 * the room. */
static int write_request(struct make_job *j, mbedtls_pk_context *key) {
    mbedtls_x509write_csr w;
    struct names names = {.count = 0};
    names_split(&names, j->names);
    mbedtls_x509write_csr_init(&w);
    mbedtls_x509write_csr_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&w, key);
    int e = mbedtls_x509write_csr_set_subject_alternative_name(&w, names.list);
    if (!e) e = mbedtls_x509write_csr_der(&w, j->request, j->request_room, tls_random, NULL);
    mbedtls_x509write_csr_free(&w);
    if (e <= 0) return e ? e : MBEDTLS_ERR_ASN1_INVALID_LENGTH;
    j->request_bytes = (size_t)e;
    memmove(j->request, j->request + j->request_room - e, (size_t)e);
    return 0;
}

static void make_on_worker(void *arg) {
    struct make_job *j = arg;
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int e = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (!e) e = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), tls_random, NULL);
    if (!e) e = mbedtls_pk_write_key_pem(&key, (u8 *)j->key_pem, j->key_room);
    if (!e) e = j->request ? write_request(j, &key) : write_certificate(j, &key);
    mbedtls_pk_free(&key);
    bool small = e == MBEDTLS_ERR_ASN1_BUF_TOO_SMALL || e == MBEDTLS_ERR_PEM_BAD_INPUT_DATA ||
                 e == MBEDTLS_ERR_BASE64_BUFFER_TOO_SMALL;
    j->rc = e == 0 ? RC_OK : small ? RC_LIMIT : RC_IO;
}

static rc_t make(struct make_job *job) {
    rc_t rc = tls_library_init();
    if (!rc) rc = worker_run(make_on_worker, job);
    return rc ? rc : job->rc;
}

rc_t tls_make_challenge(str name, const u8 digest[TLS_CHALLENGE_DIGEST], char *key_pem,
                        size_t key_room, char *cert_pem, size_t cert_room) {
    return make(&(struct make_job){.names = name,
                                   .digest = digest,
                                   .key_pem = key_pem,
                                   .key_room = key_room,
                                   .cert_pem = cert_pem,
                                   .cert_room = cert_room});
}

rc_t tls_make_identity(str names, char *key_pem, size_t key_room, char *cert_pem,
                       size_t cert_room) {
    return tls_make_challenge(names, NULL, key_pem, key_room, cert_pem, cert_room);
}

rc_t tls_make_request(str names, char *key_pem, size_t key_room, u8 *request, size_t request_room,
                      size_t *request_bytes) {
    struct make_job job = {.names = names,
                           .key_pem = key_pem,
                           .key_room = key_room,
                           .request = request,
                           .request_room = request_room};
    rc_t rc = make(&job);
    *request_bytes = job.request_bytes;
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static rc_t parse_pem(str pem, struct diag *why, const char *what, char **z) {
    *z = memory_alloc(MEMORY_TLS, pem.len + 1);
    if (!*z) return RC_NO_MEMORY;
    if (str_to_c(pem, *z, pem.len + 1) == RC_OK && strstr(*z, "-----BEGIN ")) return RC_OK;
    diag_set(why, "the %s is not PEM text", what);
    return RC_INVALID;
}

static void forget(char *z) { /* it held a private key */
    if (z) mbedtls_platform_zeroize(z, memory_size(z));
    memory_free(MEMORY_TLS, z);
}

static rc_t key_allowed(const mbedtls_pk_context *key, struct diag *why) {
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA)) {
        if (mbedtls_pk_get_bitlen(key) >= 2048) return RC_OK;
        diag_set(why, "an RSA key must have at least 2048 bits");
        return RC_INVALID;
    }
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA)) {
        mbedtls_ecp_group_id curve = mbedtls_pk_ec(*key)->MBEDTLS_PRIVATE(grp).id;
        if (curve == MBEDTLS_ECP_DP_SECP256R1 || curve == MBEDTLS_ECP_DP_SECP384R1) return RC_OK;
    }
    diag_set(why, "the key must be ECDSA on P-256 or P-384, or RSA");
    return RC_INVALID;
}

static u64 time_to_ns(const mbedtls_x509_time *t) {
    u32 y = (u32)t->year - (t->mon <= 2), era = y / 400, yoe = y - era * 400;
    u32 doy = (153u * (u32)(t->mon + (t->mon > 2 ? -3 : 9)) + 2) / 5 + (u32)t->day - 1;
    u64 days = (u64)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return (days * 86400 + (u64)t->hour * 3600 + (u64)t->min * 60 + (u64)t->sec) * NS_PER_S;
}

static void names_text(const mbedtls_x509_crt *crt, char *to, size_t room) {
    size_t n = 0;
    to[0] = 0;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next) {
        char one[254];
        u8 type = s->buf.tag & 0x1F;
        if (type == MBEDTLS_X509_SAN_DNS_NAME && s->buf.len < sizeof one) {
            memcpy(one, s->buf.p, s->buf.len);
            one[s->buf.len] = 0;
        } else if (type == MBEDTLS_X509_SAN_IP_ADDRESS && (s->buf.len == 4 || s->buf.len == 16)) {
            struct net_address a = {.bytes = {[10] = 0xFF, [11] = 0xFF}};
            memcpy(a.bytes + (16 - s->buf.len), s->buf.p, s->buf.len);
            (void)net_address_text(&a, one, sizeof one);
        } else {
            continue;
        }
        int w = snprintf(to + n, room - n, "%s%s", n ? "," : "", one);
        if (w < 0 || (size_t)w >= room - n) {
            to[n] = 0;
            return;
        }
        n += (size_t)w;
    }
}

void tls_fingerprint(const mbedtls_x509_crt *crt, char to[96]) {
    u8 hash[32];
    (void)mbedtls_sha256(crt->raw.p, crt->raw.len, hash,
                         0); /* fails only without memory: it needs none */
    for (int i = 0; i < 32; i++)
        (void)snprintf(to + i * 3, 4, i < 31 ? "%02X:" : "%02X", hash[i]);
}

static bool add_base64url(char *to, size_t room, size_t *at, const mbedtls_x509_buf *b) {
    size_t n = 0;
    if (!b->len || mbedtls_base64_encode((u8 *)to + *at, room - *at, &n, b->p, b->len))
        return false;
    for (char *p = to + *at, *end = p + n; p < end; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    while (n && to[*at + n - 1] == '=') n--;
    *at += n;
    return true;
}

/* RFC 9773 4.1: the key identifier of who signed it, a dot, the serial number. */
static void renewal_id(const mbedtls_x509_crt *crt, char to[TLS_RENEWAL_ID_MAX]) {
    size_t at = 0;
    bool ok = add_base64url(to, TLS_RENEWAL_ID_MAX, &at, &crt->authority_key_id.keyIdentifier);
    if (ok) to[at++] = '.';
    ok = ok && add_base64url(to, TLS_RENEWAL_ID_MAX, &at, &crt->serial);
    to[ok ? at : 0] = 0;
}

static void describe(struct tls_identity *id) {
    struct tls_identity_info *info = &id->info;
    const mbedtls_x509_crt *crt = &id->chain;
    tls_fingerprint(crt, info->fingerprint_sha256);
    if (mbedtls_x509_dn_gets(info->subject, sizeof info->subject, &crt->subject) < 0)
        info->subject[0] = 0;
    if (mbedtls_x509_dn_gets(info->issuer, sizeof info->issuer, &crt->issuer) < 0)
        info->issuer[0] = 0;
    names_text(crt, info->names, sizeof info->names);
    renewal_id(crt, info->renewal_id);
    info->not_before_ns = time_to_ns(&crt->valid_from);
    info->not_after_ns = time_to_ns(&crt->valid_to);
    info->self_signed = crt->issuer_raw.len == crt->subject_raw.len &&
                        memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->subject_raw.len) == 0;
}

/* The library names a missing block in a dozen ways, some of which also stand for bad bytes; the
 * budget has counted it. */
static u64 tls_allocations_refused(void) {
    struct memory_use use;
    memory_use_get(MEMORY_TLS, &use);
    return use.refused;
}

static int accept_extension(void *arg, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                            int critical, const unsigned char *from, const unsigned char *end) {
    (void)arg, (void)crt, (void)oid, (void)critical, (void)from, (void)end;
    return 0;
}

/* One of ours, whose critical extension the library does not know. */
static int parse_challenge(mbedtls_x509_crt *to, const char *z) {
    mbedtls_pem_context pem;
    size_t used;
    mbedtls_pem_init(&pem);
    int e = mbedtls_pem_read_buffer(&pem, "-----BEGIN CERTIFICATE-----",
                                    "-----END CERTIFICATE-----", (const u8 *)z, NULL, 0, &used);
    size_t n = 0;
    const u8 *der = e ? NULL : mbedtls_pem_get_buffer(&pem, &n);
    if (!e) e = mbedtls_x509_crt_parse_der_with_ext_cb(to, der, n, 1, accept_extension, NULL);
    mbedtls_pem_free(&pem);
    return e;
}

static rc_t parse_into(struct tls_identity *id, str key_pem, str chain_pem, bool challenge,
                       struct diag *why) {
    u64 refused = tls_allocations_refused();
    char *key = NULL, *chain = NULL;
    rc_t rc = parse_pem(key_pem, why, "key", &key);
    if (!rc) rc = parse_pem(chain_pem, why, "certificate", &chain);
    if (!rc &&
        mbedtls_pk_parse_key(&id->key, (u8 *)key, key_pem.len + 1, NULL, 0, tls_random, NULL)) {
        diag_set(why,
                 "the key cannot be read; it must be unencrypted PEM (SEC 1, PKCS #1 or PKCS #8)");
        rc = RC_INVALID;
    }
    if (!rc && (challenge ? parse_challenge(&id->chain, chain)
                          : mbedtls_x509_crt_parse(&id->chain, (u8 *)chain, chain_pem.len + 1))) {
        diag_set(why, "a certificate of the chain cannot be read");
        rc = RC_INVALID;
    }
    if (!rc) rc = key_allowed(&id->key, why);
    if (!rc && mbedtls_pk_check_pair(&id->chain.pk, &id->key, tls_random, NULL)) {
        diag_set(why, "the key does not belong to the first certificate of the chain");
        rc = RC_INVALID;
    }
    forget(key);
    forget(chain);
    if (rc == RC_INVALID && tls_allocations_refused() != refused) {
        diag_set(why, "no memory for another certificate");
        rc = RC_NO_MEMORY;
    }
    return rc;
}

rc_t tls_identity_parse(str key_pem, str chain_pem, bool challenge, struct tls_identity **out,
                        struct diag *why) {
    struct tls_identity *id = memory_zero(MEMORY_TLS, sizeof *id);
    if (!id) {
        diag_set(why, "no memory for another certificate");
        return RC_NO_MEMORY;
    }
    id->references = 1;
    mbedtls_ssl_config_init(&id->settings);
    mbedtls_x509_crt_init(&id->chain);
    mbedtls_pk_init(&id->key);
    rc_t rc = parse_into(id, key_pem, chain_pem, challenge, why);
    if (rc) {
        tls_identity_free(id);
        return rc;
    }
    describe(id);
    *out = id;
    return RC_OK;
}

void tls_identity_free(struct tls_identity *id) {
    mbedtls_ssl_config_free(&id->settings);
    mbedtls_x509_crt_free(&id->chain);
    mbedtls_pk_free(&id->key);
    memory_free(MEMORY_TLS, id);
}
