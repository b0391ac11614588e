/* SPDX-License-Identifier: Apache-2.0 */
/* backup.h — the database as one plain SQLite file: a copy out while everybody goes on writing, and
 * a file in that takes the database's place, whole or not at all.
 *
 *   out:  one read transaction, page after page. Writers do not wait for it; when the log has no
 *         room left for them it is the copy that ends.
 *   in:   staged at the far end of the partition -> checked by SQLite -> armed -> clean stop writes
 *         one marker block -> the next start copies the pages and forgets the log. A cut before the
 *         marker leaves the old database, one after it the new one: the start goes on copying.
 *
 * One of each at a time. Fibers only. */
#pragma once
#include "storage/db.h"

/* ---- Out ------------------------------------------------------------------------------------- */

struct db_snapshot;
/* RC_CONFLICT: another is being taken. */
rc_t db_snapshot_open(struct db_snapshot **out, u64 *out_bytes);
/* The next whole pages that `room` holds. RC_NOT_FOUND: that was all; RC_LIMIT: given up for the
 * writers' sake, or for the sake of a stop. */
rc_t db_snapshot_read(struct db_snapshot *s, u8 *to, size_t room, size_t *got);
void db_snapshot_close(struct db_snapshot *s);

/* ---- In -------------------------------------------------------------------------------------- */

struct db_restore;
/* RC_CONFLICT: another is under way; RC_FULL: no room beside the database; RC_INVALID: not a
 * database of ours by its size. `why` says it in a sentence, here and below. */
rc_t db_restore_open(u64 bytes, struct db_restore **out, struct diag *why);
rc_t db_restore_write(struct db_restore *r, str bytes, struct diag *why);
/* All has come: is it a whole, sound database that this program can go on with? RC_INVALID,
 * RC_CORRUPT, RC_CONFLICT: made by a newer program. Takes its time, in slices. */
rc_t db_restore_check(struct db_restore *r, struct diag *why);
/* The first column of the first row of a query on it; checked only. */
rc_t db_restore_number(struct db_restore *r, const char *sql, s64 *out);
/* The next db_close puts it in the database's place. `note` is kept for the next life. */
rc_t db_restore_arm(struct db_restore *r, str note);
void db_restore_close(struct db_restore *r); /* forgets what was staged, unless armed */

/* After db_open: was the database replaced at this start? Says so until db_restored_forget. */
bool db_restored(char *note, size_t room);
rc_t db_restored_forget(void);
