/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h — rows of accounts, for whoever manages them in another way than our own API does
 * (app/scim). Who may is asked before; that an administrator is left is asked of
 * user_other_admins, inside the write. */
#pragma once
#include "app/module.h"

enum {
    EMAIL_MAX = 254, /* RFC 5321 4.5.3.1.3 less the brackets */
    NAME_MAX_BYTES = 200,
};
/* The hash of an account that has no password, as those made by others are: nothing matches it. */
#define PASSWORD_NONE "!"

struct user { /* texts in the arena given */
    str id, email, name, role, state, phc, org_id; /* org_id: empty, or of their organisation */
    u64 created_ns, updated_ns, password_ns, login_ns, locked_ns, verified_ns; /* 0: never */
    s64 failures, version;
};
#define USER_COLUMNS                                                                               \
    "id,email,name,role,state,password,created_ns,updated_ns,password_ns,login_ns,locked_ns,"      \
    "failures,version,verified_ns,org_id"
#define USER_COLUMN_COUNT 15
rc_t user_read(struct db_rows *r, struct arena *a, struct user *out); /* a row of USER_COLUMNS */
rc_t user_by_email(struct db_txn *t, struct arena *a, str email,
                   struct user *out); /* RC_NOT_FOUND */
rc_t user_by_id(struct db_txn *t, struct arena *a, str id, struct user *out);
/* Lower case, trimmed; the reason otherwise. Room EMAIL_MAX + 1. */
const char *email_normalise(str text, char *to, str *out);
/* Fills id and times. RC_CONFLICT: the address is taken. */
rc_t user_insert(struct db_txn *t, struct arena *a, struct user *user);
/* May whoever asks look after this account? Whoever is in an organisation: only its own. */
bool user_reached(const struct request *rq, const struct user *user);
rc_t user_other_admins(struct db_txn *t, str except_id, s64 *out); /* active admins but this one */

/* What ended must end at once: after the commit the verified tokens are dropped. */
rc_t session_end_all(struct db_txn *t, str user_id, str except_id, s64 *out_count);
void token_cache_drop_user(str user_id);
void token_cache_drop_all(void);
u64 auth_now_ns(void); /* wall clock, never before the newest time this database has seen */

/* Further columns that a directory fills (RFC 7643): what it calls an account, the parts of a
 * name; what it calls a group, and when that changed. */
#define DIRECTORY_COLUMNS                                                                          \
    "ALTER TABLE user ADD COLUMN external_id TEXT NOT NULL DEFAULT '';"                            \
    "ALTER TABLE user ADD COLUMN given_name TEXT NOT NULL DEFAULT '';"                             \
    "ALTER TABLE user ADD COLUMN family_name TEXT NOT NULL DEFAULT '';"                            \
    "ALTER TABLE auth_group ADD COLUMN external_id TEXT NOT NULL DEFAULT '';"                      \
    "ALTER TABLE auth_group ADD COLUMN title TEXT NOT NULL DEFAULT '';"                            \
    "ALTER TABLE auth_group ADD COLUMN updated_ns INTEGER NOT NULL DEFAULT 0;"
