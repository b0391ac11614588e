/* SPDX-License-Identifier: Apache-2.0 */
/* touch.c — when a key or a browser's session was last used, written down lazily.
 *
 * A write for each request would turn every read into one. So the newest use is kept here, and ten
 * seconds after the first of them a fiber writes all there are in one transaction. Always true: at
 * most TOUCH_SLOTS wait, the rest is simply noted a minute later; nobody waits for it; what is
 * lost with the machine is ten seconds of "last used", never a permission. */
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/timer.h"

enum { TOUCH_SLOTS = 64, TOUCH_AFTER_MS = 10000 };
static struct note {
    enum touch_kind kind;
    char id[ID_ROOM], address[48];
    u64 now_ns, expires_ns;
} notes[TOUCH_SLOTS], writing[TOUCH_SLOTS];
static u32 note_count;
static bool busy; /* writing[] is in use: its writer may be parked */
static struct timer soon;

static rc_t note_write(struct db_txn *t, const struct note *n) {
    if (n->kind == TOUCH_KEY)
        return db_run(t, "UPDATE api_key SET used_ns=max(used_ns,?2),used_address=?3 WHERE id=?1",
                      DB_TEXT(str_from_c(n->id)), DB_INT(n->now_ns),
                      DB_TEXT(str_from_c(n->address)));
    return db_run(t,
                  "UPDATE session SET refreshed_ns=max(refreshed_ns,?2),"
                  "expires_ns=max(expires_ns,?3) WHERE id=?1",
                  DB_TEXT(str_from_c(n->id)), DB_INT(n->now_ns), DB_INT(n->expires_ns));
}

static void flush(void *arg) {
    struct db_txn *t;
    u32 count = note_count;
    (void)arg;
    memcpy(writing, notes, count * sizeof notes[0]);
    note_count = 0;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) {
        for (u32 i = 0; rc == RC_OK && i < count; i++) rc = note_write(t, &writing[i]);
        rc = db_write_end(t, rc);
    }
    if (rc) log_warn("auth", "when keys were last used was not written", "rc=%s", rc_name(rc));
    busy = false;
}

static void start_flush(void *arg) {
    (void)arg;
    busy = !busy && fiber_start("last used", flush, NULL, NULL) == RC_OK;
    if (!busy) note_count = 0;
}

void touch(enum touch_kind kind, str id, u64 now_ns, u64 expires_ns,
           const struct net_address *peer) {
    u32 i = 0;
    while (i < note_count && !(notes[i].kind == kind && str_eq(id, str_from_c(notes[i].id)))) i++;
    if (i == TOUCH_SLOTS || id.len != ID_LEN) return;
    struct note *n = &notes[i];
    if (i == note_count) note_count++;
    n->kind = kind;
    memcpy(n->id, id.ptr, ID_LEN);
    n->id[ID_LEN] = 0;
    n->now_ns = now_ns;
    n->expires_ns = expires_ns;
    net_address_text(peer, n->address, sizeof n->address);
    if (timer_waiting(&soon)) return;
    timer_init(&soon, start_flush, NULL);
    if (timer_start_after_ms(&soon, TOUCH_AFTER_MS)) note_count = 0;
}
