/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c — the change log: what happened to records, in order, for those who listen.
 *
 *   data_change   seq collection kind record at_ns before      one row per change, in its
 * transaction
 *
 * A listener (events.c) reads the log from where it stopped, at its own pace: nothing is queued for
 * it, so a slow one holds a fiber and a position, and no memory that grows. The log keeps the
 * newest DATA_CHANGES_KEPT rows; who comes later than that is told that there is a gap.
 *
 * The table is made with the first collection: an appliance without collections has none. */
#include "app/data/data_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

enum { TRIM_EVERY = 64 };
static struct wait_queue listening;
static u64 told; /* how often there was something to look at */

rc_t changes_make_table(struct db_txn *t) {
    return db_run(t, "CREATE TABLE IF NOT EXISTS data_change(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                     " collection INTEGER NOT NULL, kind INTEGER NOT NULL, record TEXT NOT NULL,"
                     " at_ns INTEGER NOT NULL, before TEXT NOT NULL) STRICT");
}

/* What the rules may be asked of a record once it is gone; by column, as names change. */
static rc_t record_was(struct json_writer *w, const struct collection *c, const struct record *r) {
    json_open(w, MIB(2));
    json_object(w, NULL);
    json_text(w, "id", r->id);
    json_int(w, "version", r->version);
    json_text(w, "org_id", r->org_id);
    json_text(w, "owner_id", r->owner_id);
    (void)buf_printf(&w->out, ",\"created_ns\":\"%llu\",\"updated_ns\":\"%llu\"",
                     (unsigned long long)r->created_ns, (unsigned long long)r->updated_ns);
    json_object(w, "f");
    for (u32 i = 0; i < c->field_count; i++) {
        struct field f = c->fields[i];
        f.name = f.column;
        if (r->values[i].kind != DB_KIND_NULL) field_json(w, &f, &r->values[i]);
    }
    json_object_end(w);
    json_object_end(w);
    return w->out.failed ? RC_NO_MEMORY : RC_OK;
}

rc_t changes_add(struct db_txn *t, const struct collection *c, enum change kind,
                 const struct record *r) {
    struct json_writer w;
    json_open(&w, 1);
    rc_t rc = kind == CHANGE_DELETE ? record_was(&w, c, r) : RC_OK;
    str before = kind == CHANGE_DELETE ? buf_str(&w.out) : S("");
    if (!rc)
        rc = db_run(t,
                    "INSERT INTO data_change(collection,kind,record,at_ns,before)"
                    " VALUES(?1,?2,?3,?4,?5)",
                    DB_INT(c->num), DB_INT(kind), DB_TEXT(r->id), DB_INT(data_now_ns()),
                    DB_TEXT(before));
    json_close(&w);
    s64 seq = db_last_id(t);
    if (rc || seq % TRIM_EVERY) return rc;
    return db_run(t, "DELETE FROM data_change WHERE seq<=?1", DB_INT(seq - DATA_CHANGES_KEPT));
}

rc_t changes_range(struct db_txn *t, s64 *oldest, s64 *newest) {
    struct db_rows *r = NULL;
    *oldest = *newest = 0;
    rc_t rc = db_query(t, &r,
                       "SELECT coalesce((SELECT min(seq) FROM data_change),0),"
                       "coalesce((SELECT seq FROM sqlite_sequence WHERE name='data_change'),0)");
    if (!rc) rc = db_next(r);
    if (!rc) *oldest = db_column_int(r, 0), *newest = db_column_int(r, 1);
    db_done(r);
    return rc;
}

void changes_tell(void) {
    told++;
    wait_queue_wake_all(&listening);
}
u64 changes_told(void) {
    return told;
}

rc_t changes_wait(u64 ms) {
    return wait_queue_wait(&listening, platform_clock_ns() + ms * NS_PER_MS);
}
