/* SPDX-License-Identifier: Apache-2.0 */
/* named.c — further certificates, for the names clients ask for.
 *
 *   PUT    /api/v1/tls/certificates/{name}   {"key": PEM, "chain": PEM} checked -> in use -> row
 *   GET    /api/v1/tls/certificates          all, the one for everybody first (name: default)
 *   DELETE /api/v1/tls/certificates/{name}   row away -> new connections get the one for everybody
 *
 * `name` is only what the operator calls it; which hosts it answers for is in the certificate. What
 * is in use is what is stored: when a row cannot be written, what stood there before comes back.
 * Private keys leave the database only for the TLS row. */
#include "app/tls/certificate.h"
#include "app/tls/acme_impl.h"
#include "app/tls/tls_app_impl.h"
#include "app/audit/audit.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"
#include "net/tls.h"

/* ---- Keeping ------------------------------------------------------------------------------- */

static rc_t recorded(struct db_txn *t, struct request *rq, const char *action, str name) {
    return audit_add(t, rq,
                     &(struct audit_event){.action = action,
                                           .resource = arena_join(rq->arena,
                                                                  S("tls/certificates/"), name),
                                           .result = "ok"});
}

rc_t named_write(struct db_txn *t, str name, str key, str chain) {
    return db_run(t,
                  "INSERT INTO tls_named (name, key_pem, chain_pem, changed_at)"
                  " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
                  " SET key_pem=?2, chain_pem=?3, changed_at=?4",
                  DB_TEXT(name), DB_TEXT(key), DB_TEXT(chain),
                  DB_INT(platform_wall_ns() / NS_PER_MS));
}

static rc_t store(struct request *rq, str name, str key, str chain) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = named_write(t, name, key, chain);
    if (!rc) rc = recorded(t, rq, "tls.certificate.add", name);
    return db_write_end(t, rc);
}

/* The first whose name comes after `*name`, which becomes it; or `*name` itself (`this`). */
static rc_t load(struct arena *a, const char *sql, str *name, str *key, str *chain) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows, sql, DB_TEXT(*name));
    if (!rc) rc = db_next(rows);
    if (!rc) {
        *name = arena_copy(a, db_column_text(rows, 0));
        *key = arena_copy(a, db_column_text(rows, 1));
        *chain = arena_copy(a, db_column_text(rows, 2));
        if (!name->ptr || !key->ptr || !chain->ptr) rc = RC_NO_MEMORY;
    }
    db_done(rows);
    db_read_end(t);
    return rc;
}

#define COLUMNS "SELECT name, key_pem, chain_pem FROM tls_named"

void named_start(void) {
    char at[TLS_NAMED_ID_MAX] = "";
    for (;;) {
        struct arena a;
        struct diag why = {0};
        str name = str_from_c(at), key, chain;
        arena_open(&a, NULL, 0, PEM_KEY_MAX + PEM_CHAIN_MAX + KIB(32));
        rc_t rc = load(&a, COLUMNS " WHERE name > ?1 ORDER BY name LIMIT 1", &name, &key, &chain);
        rc_t used = rc ? rc : tls_add_identity(name, key, chain, &why);
        if (!rc && used)
            log_error("tls", "a stored certificate is not usable", "name=%s why=%s", LOGSTR(name),
                      LOGSTR(str_from_c(why.text)));
        if (!rc) memset((char *)(uintptr_t)key.ptr, 0, key.len);
        bool more = !rc && str_to_c(name, at, sizeof at) == RC_OK;
        arena_close(&a);
        if (!more) return;
    }
}

void named_restore(str name) {
    struct arena a;
    struct diag why = {0};
    str key, chain, id = name;
    arena_open(&a, NULL, 0, PEM_KEY_MAX + PEM_CHAIN_MAX + KIB(32));
    rc_t rc = load(&a, COLUMNS " WHERE name = ?1", &id, &key, &chain);
    if (!rc) rc = tls_add_identity(name, key, chain, &why);
    else rc = tls_remove_identity(name);
    arena_close(&a);
    if (rc) log_error("tls", "the earlier certificate could not be restored", "rc=%s", rc_name(rc));
}

/* ---- API ----------------------------------------------------------------------------------- */

static bool name_good(struct request *rq, str name) {
    bool good = name.len > 0 && name.len < TLS_NAMED_ID_MAX && !str_eq(name, S("default")) &&
                !str_eq(name, S(ACME_ID));
    for (size_t i = 0; i < name.len && good; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    }
    if (!good)
        reply_problem(rq, 422, "name_invalid",
                      "The name wants 1 to 63 of a-z, 0-9, `.`, `-`, `_`, and is neither "
                      "`default` nor `acme`.");
    return good;
}

void named_put(struct request *rq) {
    cJSON *body;
    str key, chain, name = rq->params[0];
    struct diag why = {0};
    if (!name_good(rq, name) || !request_json(rq, &body)) return;
    if (!request_members_known(rq, body, (const char *const[]){"key", "chain", NULL}) ||
        !request_member_text(rq, body, "key", true, 1, PEM_KEY_MAX, &key) ||
        !request_member_text(rq, body, "chain", true, 1, PEM_CHAIN_MAX, &chain))
        return;
    rc_t rc = tls_add_identity(name, key, chain, &why);
    if (rc == RC_INVALID || rc == RC_LIMIT) {
        reply_problem(rq, 422, rc == RC_LIMIT ? "too_many_certificates" : "certificate_invalid",
                      "The certificate is not usable: %s.", why.text);
        return;
    }
    if (!rc && (rc = store(rq, name, key, chain))) named_restore(name);
    if (rc) {
        reply_rc(rq, rc, "Adding the certificate");
        return;
    }
    named_list(rq);
}

void named_delete(struct request *rq) {
    str name = rq->params[0];
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (!rc) {
        rc = db_run(t, "DELETE FROM tls_named WHERE name = ?1", DB_TEXT(name));
        if (!rc && db_changes(t) == 0) rc = RC_NOT_FOUND;
        if (!rc) rc = recorded(t, rq, "tls.certificate.remove", name);
        rc = db_write_end(t, rc);
    }
    if (!rc && tls_remove_identity(name))
        log_warn("tls", "a certificate was stored and not in use", "name=%s", LOGSTR(name));
    if (rc) reply_rc(rq, rc, "The certificate");
    else reply_empty(rq, 204);
}

bool named_info(str name, struct tls_identity_info *out) {
    char id[TLS_NAMED_ID_MAX];
    for (u32 i = 0; tls_named_info(i, id, out); i++)
        if (str_eq(str_from_c(id), name)) return true;
    return false;
}

void named_list(struct request *rq) {
    struct tls_identity_info info;
    struct json_writer w;
    char id[TLS_NAMED_ID_MAX];
    json_open(&w, KIB(128));
    json_object(&w, NULL);
    json_array(&w, "items");
    for (u32 i = 0;; i++) {
        if (i == 0 && tls_identity_info_get(&info)) continue;
        if (i && !tls_named_info(i - 1, id, &info)) break;
        json_object(&w, NULL);
        json_text(&w, "name", i ? str_from_c(id) : S("default"));
        certificate_members(&w, &info);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
