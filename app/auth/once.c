/* SPDX-License-Identifier: Apache-2.0 */
/* once.c — secrets that work once: invitations, codes by mail, the second step of a login,
 * challenges of passkeys, codes of OAuth. One table holds them all.
 *
 *    a ticket   prefix + base64url(32 random bytes)   found by its hash; nobody guesses 256 bits
 *    a code     8 digits, for people to type          found by whom it is for; ONCE_TRIES tries
 *
 * Always true: the table holds hashes, never the secret; taking one removes its row in the same
 * write that does what it allows, so of two requests with one secret exactly one succeeds; an
 * expired one is as good as none, and is removed when the next is made. */
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"
#include <stdio.h>

enum { TICKET_BYTES = 32 };

static str hash_text(str kind, str user_id, str secret, u8 hash[SHA256_BYTES], struct arena *a) {
    str all = arena_printf(a, "%.*s\n%.*s\n%.*s", STR(kind), STR(user_id), STR(secret));
    if (!all.ptr) return all;
    sha256(all, hash);
    secret_wipe((char *)all.ptr, all.len);
    return str_of((const char *)hash, SHA256_BYTES);
}

static rc_t insert(struct db_txn *t, str hash, const struct once *o, u64 lifetime_s) {
    u64 now = auth_now_ns();
    rc_t rc = db_run(t, "DELETE FROM auth_once WHERE expires_ns<=?1", DB_INT(now));
    if (rc) return rc;
    return db_run(t,
                  "INSERT INTO auth_once(hash,kind,user_id,data,tries,created_ns,expires_ns)"
                  " VALUES(?1,?2,?3,?4,0,?5,?6)",
                  DB_BLOB(hash), DB_TEXT(o->kind), o->user_id.len ? DB_TEXT(o->user_id) : DB_NULL,
                  DB_TEXT(o->data.ptr ? o->data : S("")), DB_INT(now),
                  DB_INT(now + lifetime_s * NS_PER_S));
}

rc_t once_ticket(struct db_txn *t, struct arena *a, const struct once *o, const char *prefix,
                 u64 lifetime_s, str *out) {
    u8 random[TICKET_BYTES], hash[SHA256_BYTES];
    char text[BASE64_LEN(TICKET_BYTES) + 1];
    rc_t rc = platform_entropy(random, sizeof random);
    if (rc) return rc;
    base64url_encode(random, sizeof random, text);
    *out = arena_printf(a, "%s%s", prefix, text);
    secret_wipe(text, sizeof text);
    secret_wipe(random, sizeof random);
    if (!out->ptr) return RC_NO_MEMORY;
    str key = hash_text(o->kind, S(""), *out, hash, a);
    return key.ptr ? insert(t, key, o, lifetime_s) : RC_NO_MEMORY;
}

/* Of the digits 0-9, each as likely as the others: 250 is the largest multiple of 10 below 256. */
static rc_t digits_make(char *to, size_t n) {
    while (n) {
        u8 random[16];
        rc_t rc = platform_entropy(random, sizeof random);
        if (rc) return rc;
        for (size_t i = 0; i < sizeof random && n; i++)
            if (random[i] < 250) to[--n] = (char)('0' + random[i] % 10);
    }
    return RC_OK;
}

rc_t once_code(struct db_txn *t, struct arena *a, const struct once *o, u64 lifetime_s, str *out) {
    u8 hash[SHA256_BYTES];
    char *digits = arena_alloc(a, ONCE_DIGITS);
    if (!digits) return RC_NO_MEMORY;
    rc_t rc = digits_make(digits, ONCE_DIGITS);
    if (rc) return rc;
    *out = str_of(digits, ONCE_DIGITS);
    str key = hash_text(o->kind, o->user_id, *out, hash, a);
    if (!key.ptr) return RC_NO_MEMORY;
    /* The newest counts: who asks again has lost the one before. */
    rc = db_run(t, "DELETE FROM auth_once WHERE user_id=?1 AND kind=?2", DB_TEXT(o->user_id),
                DB_TEXT(o->kind));
    return rc ? rc : insert(t, key, o, lifetime_s);
}

static rc_t row_read(struct db_rows *r, struct arena *a, struct once *out) {
    out->kind = arena_copy(a, db_column_text(r, 0));
    out->user_id = db_column_null(r, 1) ? S("") : arena_copy(a, db_column_text(r, 1));
    out->data = arena_copy(a, db_column_text(r, 2));
    out->tries = db_column_int(r, 3);
    out->created_ns = (u64)db_column_int(r, 4);
    out->expires_ns = (u64)db_column_int(r, 5);
    return out->kind.ptr && out->user_id.ptr && out->data.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t find(struct db_txn *t, struct arena *a, str key, str kind, struct once *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT kind,user_id,data,tries,created_ns,expires_ns FROM auth_once"
                       " WHERE hash=?1 AND kind=?2 AND expires_ns>?3",
                       DB_BLOB(key), DB_TEXT(kind), DB_INT(auth_now_ns()));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = row_read(r, a, out);
    db_done(r);
    return rc;
}

rc_t once_peek(struct db_txn *t, struct arena *a, str kind, str ticket, struct once *out) {
    u8 hash[SHA256_BYTES];
    if (ticket.len == 0 || ticket.len > ONCE_TICKET_MAX) return RC_NOT_FOUND;
    str key = hash_text(kind, S(""), ticket, hash, a);
    return key.ptr ? find(t, a, key, kind, out) : RC_NO_MEMORY;
}

rc_t once_take(struct db_txn *t, struct arena *a, str kind, str ticket, struct once *out) {
    u8 hash[SHA256_BYTES];
    if (ticket.len == 0 || ticket.len > ONCE_TICKET_MAX) return RC_NOT_FOUND;
    str key = hash_text(kind, S(""), ticket, hash, a);
    rc_t rc = key.ptr ? find(t, a, key, kind, out) : RC_NO_MEMORY;
    return rc ? rc : db_run(t, "DELETE FROM auth_once WHERE hash=?1", DB_BLOB(key));
}

rc_t once_spend(struct db_txn *t, struct arena *a, str kind, str ticket, str data, u64 kept_s) {
    u8 hash[SHA256_BYTES];
    str key = hash_text(kind, S(""), ticket, hash, a);
    if (!key.ptr) return RC_NO_MEMORY;
    return db_run(t, "UPDATE auth_once SET tries=-1,data=?2,expires_ns=?3 WHERE hash=?1",
                  DB_BLOB(key), DB_TEXT(data), DB_INT(auth_now_ns() + kept_s * NS_PER_S));
}

rc_t once_used(struct db_txn *t, struct arena *a, const struct once *o, str secret, u64 kept_s) {
    u8 hash[SHA256_BYTES];
    str key = hash_text(o->kind, S(""), secret, hash, a);
    return key.ptr ? insert(t, key, o, kept_s) : RC_NO_MEMORY;
}

rc_t once_missed(struct db_txn *t, struct arena *a, str kind, str ticket) {
    u8 hash[SHA256_BYTES];
    str key = hash_text(kind, S(""), ticket, hash, a);
    if (!key.ptr) return RC_NO_MEMORY;
    rc_t rc = db_run(t, "UPDATE auth_once SET tries=tries+1 WHERE hash=?1", DB_BLOB(key));
    if (rc) return rc;
    return db_run(t, "DELETE FROM auth_once WHERE hash=?1 AND tries>=?2", DB_BLOB(key),
                  DB_INT(ONCE_TRIES));
}

rc_t once_code_take(struct db_txn *t, struct arena *a, str kind, str user_id, str code,
                    struct once *out) {
    u8 hash[SHA256_BYTES];
    if (code.len != ONCE_DIGITS) code = S("");
    str key = hash_text(kind, user_id, code, hash, a);
    rc_t rc = key.ptr ? find(t, a, key, kind, out) : RC_NO_MEMORY;
    if (rc == RC_OK) return db_run(t, "DELETE FROM auth_once WHERE hash=?1", DB_BLOB(key));
    if (rc != RC_NOT_FOUND) return rc;
    /* A wrong one: it costs a try of the one there is. */
    rc = db_run(t, "UPDATE auth_once SET tries=tries+1 WHERE user_id=?1 AND kind=?2",
                DB_TEXT(user_id), DB_TEXT(kind));
    if (rc == RC_OK)
        rc = db_run(t, "DELETE FROM auth_once WHERE user_id=?1 AND kind=?2 AND tries>=?3",
                    DB_TEXT(user_id), DB_TEXT(kind), DB_INT(ONCE_TRIES));
    return rc ? rc : RC_NOT_FOUND;
}
