/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c — telling people what happened to their account: signed in from a device not seen
 * before, a password changed, a second factor added or removed.
 *
 * A device is a program and a network: the hash of the User-Agent and the address's network. The
 * first one of an account is no news. Notices are written with the change they tell of. */
#include "app/auth/auth_impl.h"

enum { NOTICE_S = 7 * 86400, DEVICES_MAX = 50 };

static const struct {
    const char *subject, *text;
} notices[] = {
    [NOTICE_DEVICE] = {"A new sign-in", "Your account was used to sign in from a new device."},
    [NOTICE_PASSWORD] = {"Your password was changed", "The password of your account was changed."},
    [NOTICE_FACTOR] = {"Your second factor was changed",
                       "A second factor of your account was added or removed."},
    [NOTICE_EMAIL] = {"Your e-mail address was changed",
                      "Your account has another e-mail address now."},
};

rc_t notice_add(struct db_txn *t, struct arena *a, const struct user *user, enum notice what,
                struct request *rq) {
    char address[48];
    struct message m = {
        .user_id = user->id,
        .address = user->email,
        .kind = "notice",
        .subject = notices[what].subject,
        .body = arena_printf(a,
                             "%s\nAddress: %.*s\nIf this was not you, choose a new password and "
                             "end your other sessions.\n",
                             notices[what].text,
                             STR(net_address_text(&rq->http->peer, address, sizeof address))),
        .lifetime_s = NOTICE_S,
    };
    return m.body.ptr ? outbox_add(t, &m) : RC_NO_MEMORY;
}

/* The whole v4 network /24, or /64. */
static str network_of(const struct net_address *peer) {
    return str_of((const char *)peer->bytes, net_address_is_v4(peer) ? 15 : 8);
}

rc_t device_seen(struct db_txn *t, struct request *rq, const struct user *user) {
    str client = str_take(http_field(rq->http, S("User-Agent")), 200);
    str text = arena_join(rq->arena, network_of(&rq->http->peer), S("\n"), client);
    u8 hash[SHA256_BYTES];
    if (!text.ptr) return RC_NO_MEMORY;
    sha256(text, hash);
    rc_t rc = db_run(t,
                     "INSERT INTO auth_device(user_id,hash,first_ns) VALUES(?1,?2,?3)"
                     " ON CONFLICT DO NOTHING",
                     DB_TEXT(user->id), DB_BLOB(str_of((char *)hash, sizeof hash)),
                     DB_INT(auth_now_ns()));
    if (rc || db_changes(t) == 0) return rc;
    rc = db_run(t,
                "DELETE FROM auth_device WHERE user_id=?1 AND hash IN (SELECT hash FROM auth_device"
                " WHERE user_id=?1 ORDER BY first_ns DESC LIMIT -1 OFFSET ?2)",
                DB_TEXT(user->id), DB_INT(DEVICES_MAX));
    if (rc) return rc;
    struct db_rows *r = NULL;
    s64 count = 0;
    rc = db_query(t, &r, "SELECT count(*) FROM auth_device WHERE user_id=?1", DB_TEXT(user->id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) count = db_column_int(r, 0);
    db_done(r);
    return rc || count < 2 ? rc : notice_add(t, rq->arena, user, NOTICE_DEVICE, rq);
}
