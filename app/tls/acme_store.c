/* SPDX-License-Identifier: Apache-2.0 */
/* acme_store.c — the account with an authority and what it gave, in the database.
 *
 *   acme_account (one row): where, who we are there, for which names, how often it failed
 *   tls_named "acme":       key and certificate, in use as every further certificate is
 *
 * Always true: a certificate is in use only if its row was written, and the row of the account says
 * for which names; when writing fails the one before comes back into use. The private keys leave
 * the database only for TLS and for signatures. */
#include "app/tls/acme_impl.h"
#include "app/tls/tls_app_impl.h"
#include "app/audit/audit.h"

static rc_t read_row(struct db_rows *r, struct acme_row *row) {
    rc_t rc = str_to_c(db_column_text(r, 0), row->directory, sizeof row->directory);
    if (!rc) rc = str_to_c(db_column_text(r, 1), row->account, sizeof row->account);
    if (!rc) rc = es256_load(db_column_text(r, 2), db_column_text(r, 3), &row->key);
    if (!rc) rc = str_to_c(db_column_text(r, 4), row->names, sizeof row->names);
    row->failures = (u32)db_column_int(r, 5);
    row->retry_at_ns = (u64)db_column_int(r, 6);
    row->stored = !rc;
    return rc;
}

rc_t acme_load(struct acme_row *row) {
    struct db_txn *t;
    struct db_rows *r = NULL;
    memset(row, 0, sizeof *row);
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT directory, account, private_key, public_key, names, failures, retry_at_ns"
                  " FROM acme_account WHERE id = 1");
    if (!rc) rc = db_next(r);
    if (!rc) rc = read_row(r, row);
    db_done(r);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t write_row(struct db_txn *t, const struct acme_row *row) {
    str private_key = str_of((const char *)row->key.private_key, sizeof row->key.private_key);
    str public_key = str_of((const char *)row->key.public_key, sizeof row->key.public_key);
    return db_run(
        t,
        "INSERT INTO acme_account (id, directory, account, private_key, public_key, names,"
        " failures, retry_at_ns) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT DO UPDATE SET directory=?1, account=?2, private_key=?3,"
        " public_key=?4, names=?5, failures=?6, retry_at_ns=?7",
        DB_TEXT(str_from_c(row->directory)), DB_TEXT(str_from_c(row->account)),
        DB_BLOB(private_key), DB_BLOB(public_key), DB_TEXT(str_from_c(row->names)),
        DB_INT(row->failures), DB_INT(row->retry_at_ns));
}

rc_t acme_save(const struct acme_row *row) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    return rc ? rc : db_write_end(t, write_row(t, row));
}

rc_t acme_keep(struct acme_row *row, str names, str key_pem, str chain_pem, struct diag *why) {
    static const struct audit_event event = {.action = "tls.certificate.renew",
                                             .resource = {"tls/certificates/" ACME_ID, 21},
                                             .result = "ok"};
    struct db_txn *t;
    if (chain_pem.len > PEM_CHAIN_MAX || str_to_c(names, row->names, sizeof row->names)) {
        diag_set(why, "the chain or the list of names is too long");
        return RC_LIMIT;
    }
    rc_t rc = tls_add_identity(S(ACME_ID), key_pem, chain_pem, why);
    if (rc) return rc;
    row->failures = 0;
    row->retry_at_ns = 0;
    rc = db_write_begin(&t);
    if (!rc) {
        rc = named_write(t, S(ACME_ID), key_pem, chain_pem);
        if (!rc) rc = write_row(t, row);
        if (!rc) rc = audit_add(t, NULL, &event);
        rc = db_write_end(t, rc);
    }
    if (!rc) return RC_OK;
    diag_set(why, "the certificate cannot be stored: %s", rc_name(rc));
    named_restore(S(ACME_ID));
    return rc;
}
