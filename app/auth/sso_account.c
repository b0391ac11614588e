/* SPDX-License-Identifier: Apache-2.0 */
/* sso_account.c — whose account it is that another provider vouches for.
 *
 *    (issuer, subject) known ......................... its account, whatever its address is now
 *    somebody signed in asked to link ................ theirs
 *    "link": "email", both addresses proven .......... the account with that address
 *    "create", address proven ........................ a new one, without a password
 *    else ............................................ nobody's: refused
 *
 * An address alone is a claim: it counts only when the provider says it has proven it, when it is
 * in the domains the provider may speak for, and when the account here has proven it too (else
 * whoever registered the address first would own what its true owner signs in to). Always true: an
 * administrator's account is never linked by address; two requests cannot link one person twice
 * (UNIQUE); each link leaves an audit row. */
#include "app/audit/audit.h"
#include "app/auth/sso_impl.h"
#include "app/id.h"

enum { IDENTITIES_MAX = 16 }; /* of one account */

struct linking {
    struct request *rq;
    const struct provider *p;
    const struct sso_claims *c;
    str email;   /* normalised and proven; empty: none */
    str link_to; /* the account that asked; empty: none */
    str user_id;
    const char *why;
};

static rc_t identity_find(struct db_txn *t, struct linking *l) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT user_id FROM auth_identity WHERE issuer=?1 AND subject=?2",
                       DB_TEXT(l->p->issuer), DB_TEXT(l->c->subject));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        l->user_id = arena_copy(l->rq->arena, db_column_text(r, 0));
        if (!l->user_id.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static rc_t identity_insert(struct db_txn *t, struct linking *l, const char *how) {
    char id[ID_ROOM];
    str text;
    rc_t rc = id_make(id, &text);
    if (rc == RC_OK)
        rc = db_run(t,
                    "INSERT INTO auth_identity(id,issuer,subject,user_id,provider,email,created_ns)"
                    " SELECT ?1,?2,?3,?4,?5,?6,?7 WHERE"
                    " (SELECT count(*) FROM auth_identity WHERE user_id=?4)<?8",
                    DB_TEXT(text), DB_TEXT(l->p->issuer), DB_TEXT(l->c->subject),
                    DB_TEXT(l->user_id), DB_TEXT(l->p->name), DB_TEXT(l->email),
                    DB_INT(auth_now_ns()), DB_INT(IDENTITIES_MAX));
    if (rc) return rc;
    if (db_changes(t) == 0) {
        l->why = "The account is linked to too many others; remove one.";
        return RC_DENIED;
    }
    struct audit_event event = {
        .action = "identity.link",
        .resource = arena_join(l->rq->arena, S("user/"), l->user_id),
        .result = "ok",
        .detail = arena_printf(l->rq->arena, "{\"provider\":\"%.*s\",\"how\":\"%s\"}",
                               STR(l->p->name), how),
    };
    return audit_add(t, l->rq, &event);
}

static rc_t refused(struct linking *l, const char *why) {
    l->why = why;
    return RC_DENIED;
}

/* ---- The ways to an account ------------------------------------------------------------------ */

static rc_t by_request(struct db_txn *t, struct linking *l, bool known) {
    struct user user;
    if (known && str_eq(l->user_id, l->link_to)) return RC_OK;
    if (known) return refused(l, "That person is linked to another account here.");
    rc_t rc = user_by_id(t, l->rq->arena, l->link_to, &user);
    if (rc == RC_NOT_FOUND) return refused(l, "The account that asked is gone.");
    l->user_id = l->link_to;
    return rc ? rc : identity_insert(t, l, "asked");
}

static rc_t by_address(struct db_txn *t, struct linking *l, const struct user *user) {
    if (!str_eq(l->p->link, S("email")))
        return refused(l, "There is an account with this address: sign in to it, then link it.");
    if (str_eq(user->role, S("admin")))
        return refused(l, "An administrator's account is linked by signing in to it first.");
    if (!user->verified_ns)
        return refused(l, "The account's address was never confirmed here: confirm it first.");
    if (l->p->organisation.len && !str_eq(l->p->organisation, user->org_id))
        return refused(l, "The account is not of the organisation this provider speaks for.");
    l->user_id = user->id;
    return identity_insert(t, l, "address");
}

/* As a new account's own audit row has it. */
static rc_t by_making(struct db_txn *t, struct linking *l) {
    struct user user = {.email = l->email,
                        .name = l->c->name.len ? str_take(l->c->name, NAME_MAX_BYTES) : l->email,
                        .role = S("user"),
                        .state = S("active"),
                        .phc = S(PASSWORD_NONE),
                        .org_id = l->p->organisation,
                        .verified_ns = auth_now_ns()};
    while (!str_is_utf8(user.name)) user.name.len--; /* cut inside a character */
    if (!l->p->create) return refused(l, "Nobody here is known by this sign-in; ask for one.");
    rc_t rc = user_insert(t, l->rq->arena, &user);
    if (rc) return rc;
    l->user_id = user.id;
    struct audit_event event = {
        .action = "user.create",
        .resource = arena_join(l->rq->arena, S("user/"), user.id),
        .result = "ok",
        .detail = arena_printf(l->rq->arena, "{\"email\":\"%.*s\",\"provider\":\"%.*s\"}",
                               STR(user.email), STR(l->p->name)),
    };
    rc = audit_add(t, l->rq, &event);
    return rc ? rc : identity_insert(t, l, "made");
}

static rc_t account_rows(struct db_txn *t, struct linking *l) {
    struct user user;
    rc_t rc = identity_find(t, l);
    if (rc && rc != RC_NOT_FOUND) return rc;
    if (l->link_to.len) return by_request(t, l, rc == RC_OK);
    if (rc == RC_OK) return RC_OK;
    if (!l->email.len)
        return refused(l, "The provider does not vouch for an address that it may speak for.");
    rc = user_by_email(t, l->rq->arena, l->email, &user);
    if (rc == RC_NOT_FOUND) return by_making(t, l);
    return rc ? rc : by_address(t, l, &user);
}

/* The address, if it may be believed; empty otherwise. */
static str proven_address(struct arena *a, const struct provider *p, const struct sso_claims *c) {
    char *to = arena_alloc(a, EMAIL_MAX + 1);
    str email = S(""), domain, rest = p->domains, one;
    if (!to || !(c->email_verified || p->trust_email) || !c->email.len) return S("");
    if (email_normalise(c->email, to, &email)) return S("");
    if (!p->domains.len) return email;
    domain = str_skip(email, str_find_byte(email, '@') + 1);
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, domain)) return email;
    return S("");
}

rc_t sso_account(struct request *rq, const struct provider *p, const struct sso_claims *c,
                 str link_to, str *out_user_id, const char **why) {
    struct linking l = {.rq = rq, .p = p, .c = c, .link_to = link_to};
    struct db_txn *t;
    l.email = proven_address(rq->arena, p, c);
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, account_rows(t, &l));
    *out_user_id = l.user_id;
    *why = l.why;
    if (rc != RC_CONFLICT) return rc;
    *why = "Somebody signed in so at the same moment; try again.";
    return RC_DENIED;
}

rc_t sso_account_used(struct db_txn *t, str issuer, str subject) {
    return db_run(t, "UPDATE auth_identity SET login_ns=?3 WHERE issuer=?1 AND subject=?2",
                  DB_TEXT(issuer), DB_TEXT(subject), DB_INT(auth_now_ns()));
}

/* ---- One's own ------------------------------------------------------------------------------- */

void identities_get(struct request *rq) {
    struct db_rows *r = NULL;
    struct json_writer w;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "Listing the linked accounts");
        return;
    }
    json_open(&w, 32768);
    json_object(&w, NULL);
    json_array(&w, "items");
    rc = db_query(t, &r,
                  "SELECT id,provider,issuer,email,created_ns,login_ns FROM auth_identity"
                  " WHERE user_id=?1 ORDER BY id",
                  DB_TEXT(rq->actor.user_id));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(&w, NULL);
        json_text(&w, "id", db_column_text(r, 0));
        json_text(&w, "provider", db_column_text(r, 1));
        json_text(&w, "issuer", db_column_text(r, 2));
        json_text(&w, "email", db_column_text(r, 3));
        json_time(&w, "created_at", (u64)db_column_int(r, 4));
        json_time(&w, "last_used_at", (u64)db_column_int(r, 5));
        json_object_end(&w);
    }
    db_done(r);
    db_read_end(t);
    json_array_end(&w);
    json_object_end(&w);
    if (rc == RC_NOT_FOUND) {
        reply_json(rq, 200, &w);
        return;
    }
    json_close(&w);
    reply_rc(rq, rc, "Listing the linked accounts");
}

void identity_delete(struct request *rq) {
    static const struct removal removal = {
        .sql = "DELETE FROM auth_identity WHERE id=?1 AND user_id=?2",
        .of_asker = true,
        .kind = "identity",
        .missing = "identity_not_found",
        .sentence = "You are not linked to this.",
        .doing = "Removing the link",
    };
    if (person_recent(rq)) row_remove(rq, &removal);
}
