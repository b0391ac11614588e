/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c — what access control asks about accounts: who administers (they must never be shut
 * out), and who somebody is (to explain what another person may do). */
#include "app/access/access.h"
#include "app/auth/auth_impl.h"

static bool actor_read(struct db_rows *rows, struct arena *a, struct actor *out) {
    *out = (struct actor){.user_id = arena_copy(a, db_column_text(rows, 0)),
                          .email = arena_copy(a, db_column_text(rows, 1)),
                          .role = arena_copy(a, db_column_text(rows, 2)),
                          .kind = ACTOR_USER};
    return out->user_id.ptr && out->email.ptr && out->role.ptr;
}

static u32 administrators(struct arena *a, struct actor *to, u32 room) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    u32 count = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) return 0;
    rc = db_query(t, &rows,
                  "SELECT id,email,role FROM user WHERE role='admin' AND state='active' "
                  "ORDER BY login_ns DESC LIMIT ?1",
                  DB_INT(room));
    while (!rc && !(rc = db_next(rows)) && count < room && actor_read(rows, a, &to[count])) count++;
    db_done(rows);
    db_read_end(t);
    return count;
}

static bool account(struct arena *a, str id_or_email, struct actor *out) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return false;
    rc = db_query(t, &rows, "SELECT id,email,role FROM user WHERE id=?1 OR email=lower(?1)",
                  DB_TEXT(id_or_email));
    if (!rc) rc = db_next(rows);
    bool found = !rc && actor_read(rows, a, out);
    db_done(rows);
    db_read_end(t);
    return found;
}

void directory_start(void) {
    static const struct access_directory directory = {administrators, account};
    access_directory_use(&directory);
}
