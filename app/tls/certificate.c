/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.c — who we are on port 443.
 *
 *   first start: key + self-signed certificate made on a worker -> row -> in use -> fingerprint on
 *                the console, so that the operator can compare what the browser shows
 *   later:       row -> in use
 *   PUT /api/v1/tls/certificate: {"key": PEM, "chain": PEM} checked -> row -> in use, live
 *
 * Always true: what is in use is what is stored, or a temporary one while there is no database; the
 * private key leaves the database only for the TLS row: no answer, log line or audit row holds it.
 * A self-signed certificate that has ended is made anew at start; others are the operator's. */
#include "app/tls/certificate.h"
#include "app/tls/acme_impl.h"
#include "app/tls/tls_app_impl.h"
#include "app/audit/audit.h"
#include "app/config/config.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/link.h"
#include "net/tls.h"
#include <stdio.h>

static const char *const steps[] = {
    "CREATE TABLE tls_identity ("
    " id INTEGER PRIMARY KEY CHECK (id = 1),"
    " key_pem TEXT NOT NULL, chain_pem TEXT NOT NULL,"
    " source TEXT NOT NULL CHECK (source IN ('generated', 'uploaded')),"
    " changed_at INTEGER NOT NULL) STRICT;",
    "CREATE TABLE tls_named ("
    " name TEXT PRIMARY KEY, key_pem TEXT NOT NULL, chain_pem TEXT NOT NULL,"
    " changed_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
    "CREATE TABLE acme_account ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), directory TEXT NOT NULL, account TEXT NOT NULL,"
    " private_key BLOB NOT NULL, public_key BLOB NOT NULL, names TEXT NOT NULL,"
    " failures INTEGER NOT NULL, retry_at_ns INTEGER NOT NULL) STRICT;",
    NULL,
};
static const struct db_schema schema = {.module = "tls", .steps = steps};

/* ---- Making -------------------------------------------------------------------------------- */

struct identity {
    char key[4096], chain[4096];
};

/* What the certificate is to be valid for: our name, the addresses we have by now, the
 * operator's. */
static void names_for(char *to, size_t room) {
    struct link_status link;
    str host = config_text("net.hostname"), extra = config_text("tls.names");
    str address = config_text("net.address");
    link_status_get(&link);
    const char *ipv4 = link.ipv4;
    char fixed[64] = "";
    if (!ipv4[0] && !str_eq(address, S("dhcp")) &&
        str_to_c(str_take(address, str_find_byte(address, '/')), fixed, sizeof fixed) == RC_OK)
        ipv4 = fixed;
    snprintf(to, room, "%.*s%s%s%s%.*s", STR(host), ipv4[0] ? "," : "", ipv4, extra.len ? "," : "",
             STR(extra));
}

static rc_t make(struct identity *id, struct diag *why) {
    char names[640];
    names_for(names, sizeof names);
    rc_t rc = tls_make_identity(str_from_c(names), id->key, sizeof id->key, id->chain,
                                sizeof id->chain);
    if (rc) {
        diag_set(why, "no key could be made: %s", rc_name(rc));
        return rc;
    }
    return tls_use_identity(str_from_c(id->key), str_from_c(id->chain), why);
}

rc_t certificate_use_temporary(void) {
    struct diag why = {0};
    struct identity *id = memory_alloc(MEMORY_SERVICES, sizeof *id);
    if (!id) return RC_NO_MEMORY;
    rc_t rc = make(id, &why);
    memset(id, 0, sizeof *id);
    memory_free(MEMORY_SERVICES, id);
    if (rc) log_error("tls", "no certificate; port 443 stays shut", "why=%s",
                      LOGSTR(str_from_c(why.text)));
    return rc;
}

/* ---- Keeping ------------------------------------------------------------------------------- */

static rc_t store(struct request *rq, str key, str chain, const char *source) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(t,
                "INSERT INTO tls_identity (id, key_pem, chain_pem, source, changed_at)"
                " VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
                " SET key_pem=?1, chain_pem=?2, source=?3, changed_at=?4",
                DB_TEXT(key), DB_TEXT(chain), DB_TEXT(str_from_c(source)),
                DB_INT(platform_wall_ns() / NS_PER_MS));
    if (!rc)
        rc = audit_add(t, rq,
                       &(struct audit_event){.action = "tls.certificate.replace",
                                             .resource = S("tls/certificate"),
                                             .result = "ok"});
    return db_write_end(t, rc);
}

/* RC_NOT_FOUND: none is stored. */
static rc_t use_stored(struct diag *why) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows, "SELECT key_pem, chain_pem FROM tls_identity WHERE id = 1");
    if (!rc) rc = db_next(rows);
    struct arena a;
    arena_open(&a, NULL, 0, PEM_KEY_MAX + PEM_CHAIN_MAX + KIB(32));
    if (!rc) {
        str key = arena_copy(&a, db_column_text(rows, 0));
        str chain = arena_copy(&a, db_column_text(rows, 1));
        db_done(rows); /* the reader is not held while a worker reads the key */
        rows = NULL;
        db_read_end(t);
        t = NULL;
        rc = key.ptr && chain.ptr ? tls_use_identity(key, chain, why) : RC_NO_MEMORY;
        if (key.ptr) memset((char *)(uintptr_t)key.ptr, 0, key.len);
    }
    db_done(rows);
    if (t) db_read_end(t);
    arena_close(&a);
    return rc;
}

static bool ended(void) {
    struct tls_identity_info info;
    u64 now = platform_wall_ns();
    return now && tls_identity_info_get(&info) == RC_OK && info.self_signed &&
           info.not_after_ns <= now;
}

static rc_t make_and_store(struct request *rq, struct diag *why) {
    struct identity *id = memory_alloc(MEMORY_SERVICES, sizeof *id);
    if (!id) return RC_NO_MEMORY;
    rc_t rc = make(id, why);
    if (!rc) {
        rc = store(rq, str_from_c(id->key), str_from_c(id->chain), "generated");
        if (rc) diag_set(why, "the certificate cannot be stored: %s", rc_name(rc));
    }
    memset(id, 0, sizeof *id);
    memory_free(MEMORY_SERVICES, id);
    return rc;
}

static void use_trusted(void) {
    struct diag why = {0};
    str pem = config_text("tls.trust");
    if (pem.len && tls_trust_add(pem, &why))
        log_error("tls", "tls.trust cannot be read; servers it stands for are not believed",
                  "why=%s", LOGSTR(str_from_c(why.text)));
}

/* How TLS is spoken here; before there is an identity. */
static void use_rules(void) {
    static bool said; /* start may come again, once there is a disk */
    struct diag why = {0};
    str ca = config_text("tls.client_ca");
    bool required = config_bool("tls.client_required");
    struct tls_server_rules rules = {.modern = config_bool("tls.modern"), .client_ca_pem = ca};
    if (ca.len) rules.clients = required ? TLS_CLIENTS_REQUIRED : TLS_CLIENTS_ASKED;
    if (said) return;
    said = true;
    if (required && !ca.len)
        log_error("tls", "tls.client_required without tls.client_ca: no client can be vouched for, "
                         "so none is asked");
    if (tls_server_rules_set(&rules, &why))
        log_error("tls", "tls.client_ca cannot be read; no client is vouched for", "why=%s",
                  LOGSTR(str_from_c(why.text)));
}

static rc_t start(struct diag *why) {
    use_trusted();
    use_rules();
    named_start();
    acme_start();
    rc_t rc = use_stored(why);
    if (rc == RC_INVALID)
        log_error("tls", "the stored certificate is not usable; a new one is made", "why=%s",
                  LOGSTR(str_from_c(why->text)));
    else if (rc && rc != RC_NOT_FOUND)
        return rc;
    else if (!rc && !ended())
        return RC_OK;
    return make_and_store(NULL, why);
}

/* ---- API ----------------------------------------------------------------------------------- */

void certificate_members(struct json_writer *w, const struct tls_identity_info *info) {
    json_text(w, "fingerprint_sha256", str_from_c(info->fingerprint_sha256));
    json_text(w, "subject", str_from_c(info->subject));
    json_text(w, "issuer", str_from_c(info->issuer));
    json_text(w, "names", str_from_c(info->names));
    json_time(w, "not_before", info->not_before_ns);
    json_time(w, "not_after", info->not_after_ns);
    json_bool(w, "self_signed", info->self_signed);
}

static void answer_info(struct request *rq) {
    struct tls_identity_info info;
    struct json_writer w;
    if (tls_identity_info_get(&info)) {
        reply_problem(rq, 404, "no_certificate", "There is no certificate; PUT one.");
        return;
    }
    json_open(&w, KIB(8));
    json_object(&w, NULL);
    certificate_members(&w, &info);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static void put_certificate(struct request *rq) {
    cJSON *body;
    str key, chain;
    struct diag why = {0};
    if (!request_json(rq, &body)) return;
    if (!request_members_known(rq, body, (const char *const[]){"key", "chain", NULL}) ||
        !request_member_text(rq, body, "key", true, 1, PEM_KEY_MAX, &key) ||
        !request_member_text(rq, body, "chain", true, 1, PEM_CHAIN_MAX, &chain))
        return;
    rc_t rc = tls_use_identity(key, chain, &why);
    if (rc == RC_INVALID) {
        reply_problem(rq, 422, "certificate_invalid", "The certificate is not usable: %s.",
                      why.text);
        return;
    }
    if (!rc && (rc = store(rq, key, chain, "uploaded"))) {
        struct diag back = {0};
        if (use_stored(&back)) /* what is stored stays in force */
            log_error("tls", "the earlier certificate could not be restored", "why=%s",
                      LOGSTR(str_from_c(back.text)));
    }
    if (rc)
        reply_rc(rq, rc, "Replacing the certificate");
    else
        answer_info(rq);
}

static void post_generate(struct request *rq) {
    struct diag why = {0};
    rc_t rc = make_and_store(rq, &why);
    if (rc)
        reply_rc(rq, rc, "Making a certificate");
    else
        answer_info(rq);
}

#define CERTIFICATE_ROUTE(verb, path, fn, right, words, body)                                      \
    {.method = verb, .pattern = path, .handle = fn, .access = ACCESS_ADMIN, .permission = right,   \
     .summary = words, .tag = "tls", .body_schema = body, .answer_schema = "#Certificate"}
static const struct route routes[] = {
    CERTIFICATE_ROUTE(HTTP_GET, "/api/v1/tls/certificate", answer_info, "tls:certificate:read",
                      "The certificate in use", NULL),
    CERTIFICATE_ROUTE(HTTP_PUT, "/api/v1/tls/certificate", put_certificate,
                      "tls:certificate:update", "Replace key and certificate, live",
                      "#CertificateUpload"),
    CERTIFICATE_ROUTE(HTTP_POST, "/api/v1/tls/certificate/generate", post_generate,
                      "tls:certificate:update", "A new key and self-signed certificate", NULL),
    {.method = HTTP_GET, .pattern = "/api/v1/tls/certificates", .handle = named_list,
     .access = ACCESS_ADMIN, .permission = "tls:certificate:read", .tag = "tls",
     .summary = "All certificates in use, the one for everybody first",
     .answer_schema = "#CertificateList"},
    {.method = HTTP_PUT, .pattern = "/api/v1/tls/certificates/{name}", .handle = named_put,
     .access = ACCESS_ADMIN, .permission = "tls:certificate:update", .tag = "tls",
     .summary = "A further certificate, for clients that ask for a name it is valid for",
     .body_schema = "#CertificateUpload", .answer_schema = "#CertificateList"},
    {.method = HTTP_DELETE, .pattern = "/api/v1/tls/certificates/{name}", .handle = named_delete,
     .access = ACCESS_ADMIN, .permission = "tls:certificate:update", .tag = "tls",
     .summary = "Takes a further certificate out of use", .success = 204},
    {.method = HTTP_GET, .pattern = "/api/v1/tls/acme", .handle = acme_answer_state,
     .access = ACCESS_ADMIN, .permission = "tls:acme:read", .tag = "tls",
     .summary = "How the certificate by an authority fares", .answer_schema = "#Acme"},
    {.method = HTTP_POST, .pattern = "/api/v1/tls/acme/renew", .handle = acme_answer_renew,
     .access = ACCESS_ADMIN, .permission = "tls:acme:update", .tag = "tls", .success = 202,
     .summary = "Asks the authority for a new certificate now", .answer_schema = "#Acme"},
    {.method = HTTP_GET, .pattern = "/.well-known/acme-challenge/{token}",
     .handle = acme_answer_challenge, .access = ACCESS_PUBLIC, .quiet = true, .probe = true,
     .tag = "tls", .summary = "What an authority asks to see that a name is ours (RFC 8555 8.3)"},
    {0},
};
static const struct module_schema schemas[] = {
    {"Certificate",
     "{\"type\":\"object\",\"properties\":{\"fingerprint_sha256\":{\"type\":\"string\"},"
     "\"subject\":{\"type\":\"string\"},\"issuer\":{\"type\":\"string\"},\"names\":{\"type\":"
     "\"string\"},\"not_before\":{\"type\":[\"string\",\"null\"]},\"not_after\":{\"type\":"
     "[\"string\",\"null\"]},\"self_signed\":{\"type\":\"boolean\"}},"
     "\"required\":[\"fingerprint_sha256\",\"self_signed\"]}"},
    {"Acme",
     "{\"type\":\"object\",\"properties\":{"
     "\"state\":{\"enum\":[\"off\",\"waiting\",\"working\",\"failed\"]},"
     "\"directory\":{\"type\":\"string\"},\"names\":{\"type\":\"string\"},"
     "\"challenge\":{\"type\":\"string\"},\"account\":{\"type\":[\"string\",\"null\"]},"
     "\"terms\":{\"type\":[\"string\",\"null\"]},\"certificate\":{\"anyOf\":["
     "{\"$ref\":\"#/components/schemas/Certificate\"},{\"type\":\"null\"}]},"
     "\"renew_at\":{\"type\":[\"string\",\"null\"]},"
     "\"next_attempt_at\":{\"type\":[\"string\",\"null\"]},"
     "\"got_at\":{\"type\":[\"string\",\"null\"]},\"failures\":{\"type\":\"integer\"},"
     "\"error\":{\"type\":[\"string\",\"null\"]},"
     "\"error_at\":{\"type\":[\"string\",\"null\"]}},"
     "\"required\":[\"state\",\"failures\",\"error\"]}"},
    {"CertificateList",
     "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"fingerprint_sha256\":{\"type\":"
     "\"string\"},\"names\":{\"type\":\"string\"},\"not_after\":{\"type\":[\"string\",\"null\"]}"
     "}}}},"
     "\"required\":[\"items\"]}"},
    {"CertificateUpload",
     "{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\",\"description\":\"PEM\"},"
     "\"chain\":{\"type\":\"string\",\"description\":\"PEM, the leaf first\"}},\"required\":"
     "[\"key\",\"chain\"],\"additionalProperties\":false}"},
    {0},
};
const struct module tls_module = {.name = "tls",
                                  .start = start,
                                  .stop = acme_stop,
                                  .routes = routes,
                                  .schema = &schema,
                                  .schemas = schemas};
