/* SPDX-License-Identifier: Apache-2.0 */
/* passkey.c — keys in people's devices (WebAuthn): as a second factor, and instead of a password.
 *
 *    POST /passkeys/begin         what navigator.credentials.create() wants
 *    POST /passkeys               its answer: kept under a name
 *    POST /login/passkey/begin    what navigator.credentials.get() wants; with `mfa_token`, for the
 *                                 second step of that sign-in
 *    POST /login/passkey          its answer: signed in
 *
 * Bodies are what PublicKeyCredential.toJSON() makes and parse...OptionsFromJSON() take.
 *
 * Always true: a challenge works once, for five minutes; site and origin are those of the address
 * people reach us at (auth.issuer, or the request's own Host); a passkey counts only at the site it
 * was made for; a counter that does not grow means a copy, and is refused; without a password the
 * device must have verified its person; whoever has a second factor must have shown it to add or
 * remove one. Signatures are checked on a worker, and before anything is written. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum {
    CHALLENGE_S = 300,
    PASSKEYS_MAX = 10, /* of an account */
    CLIENT_DATA_MAX = 4096,
    ATTESTATION_MAX = 8192,
    SIGNATURE_MAX = 1024,
    SITE_MAX = 253,
};

/* ---- Who we are, to a browser ---------------------------------------------------------------- */

/* The host people reach us at, without a port. */
static str site_of(const struct request *rq) {
    str issuer = config_text("auth.issuer"), host = http_field(rq->http, S("Host"));
    if (str_starts(issuer, S("https://"))) {
        host = str_skip(issuer, 8);
        host = str_take(host, str_find_byte(host, '/'));
    }
    return str_take(host, MIN(str_find_byte(host, ':'), (size_t)SITE_MAX));
}

static bool origin_fits(const struct request *rq, str origin) {
    str issuer = config_text("auth.issuer");
    if (!str_starts(issuer, S("https://"))) return origin_is_own(rq, origin);
    size_t end = 8 + str_find_byte(str_skip(issuer, 8), '/');
    return str_eq(origin, str_take(issuer, end));
}

static bool site_fits(str site, const struct webauthn_data *data) {
    u8 hash[SHA256_BYTES];
    sha256(site, hash);
    return memcmp(hash, data->site_hash, sizeof hash) == 0;
}

/* ---- Reading what a browser answers ---------------------------------------------------------- */

/* A member in base64url; ptr NULL when absent and not required. false: answered. */
static bool bytes_member(struct request *rq, const cJSON *of, const char *name, bool required,
                         size_t max, str *out) {
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(of, name);
    str text = cJSON_IsString(member) ? str_from_c(member->valuestring) : str_of(NULL, 0);
    u8 *to = NULL;
    size_t n = 0;
    *out = str_of(NULL, 0);
    if ((!member || cJSON_IsNull(member)) && !required) return true;
    if (text.len && text.len <= BASE64_LEN(max) && (to = arena_alloc(rq->arena, max)) &&
        base64url_decode(text, to, max, &n) == RC_OK && n) {
        *out = str_of((const char *)to, n);
        return true;
    }
    reply_problem(rq, 422, "credential_invalid",
                  "credential: %s must be 1 to %u bytes in base64url.", name, (u32)max);
    return false;
}

struct ceremony {
    str challenge; /* as it was sent: its ticket */
    str credential_id, client_data, site;
    struct webauthn_data data;
    str signature;         /* of a sign-in */
    str key, user_id, handle; /* the passkey's own */
    s64 algorithm;
    u32 counter;
    rc_t verdict;
};

/* clientDataJSON: of this kind, for this origin. The challenge in it is judged when it is taken. */
static const char *client_data_wrong(struct request *rq, const char *type, struct ceremony *c) {
    struct diag why;
    cJSON *json;
    if (json_parse(rq->arena, c->client_data, &json, &why) || !cJSON_IsObject(json))
        return "clientDataJSON is not JSON.";
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(json, "type");
    const cJSON *origin = cJSON_GetObjectItemCaseSensitive(json, "origin");
    const cJSON *challenge = cJSON_GetObjectItemCaseSensitive(json, "challenge");
    if (!cJSON_IsString(kind) || !str_eq(str_from_c(kind->valuestring), str_from_c(type)))
        return "It was made for something else.";
    if (!cJSON_IsString(origin) || !origin_fits(rq, str_from_c(origin->valuestring)))
        return "It was made for another origin.";
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "crossOrigin")))
        return "It was made inside a page of somebody else's.";
    if (!cJSON_IsString(challenge)) return "It has no challenge.";
    c->challenge = str_from_c(challenge->valuestring);
    return c->challenge.len && c->challenge.len <= ONCE_TICKET_MAX ? NULL : "It has no challenge.";
}

static bool ceremony_refused(struct request *rq, const char *why) {
    if (why) reply_problem(rq, 422, "credential_invalid", "credential: %s", why);
    return why;
}

/* Common to both: the credential's name and what the browser says it was asked. */
static bool ceremony_read(struct request *rq, const cJSON *body, const char *type,
                          struct ceremony *c, const cJSON **response) {
    const cJSON *credential = cJSON_GetObjectItemCaseSensitive(body, "credential");
    *response = cJSON_GetObjectItemCaseSensitive(credential, "response");
    if (!cJSON_IsObject(credential) || !cJSON_IsObject(*response)) {
        ceremony_refused(rq, "an object as PublicKeyCredential.toJSON() makes it is wanted.");
        return false;
    }
    c->site = site_of(rq);
    return bytes_member(rq, credential, "id", true, CREDENTIAL_ID_MAX, &c->credential_id) &&
           bytes_member(rq, *response, "clientDataJSON", true, CLIENT_DATA_MAX, &c->client_data) &&
           !ceremony_refused(rq, client_data_wrong(rq, type, c));
}

static void verify_job(void *arg) {
    struct ceremony *c = arg;
    u8 message[ATTESTATION_MAX + SHA256_BYTES];
    CHECK(c->data.bytes.len <= ATTESTATION_MAX);
    memcpy(message, c->data.bytes.ptr, c->data.bytes.len);
    sha256(c->client_data, message + c->data.bytes.len);
    c->verdict = webauthn_signed(c->algorithm, c->key,
                                 str_of((char *)message, c->data.bytes.len + SHA256_BYTES),
                                 c->signature);
}

/* RC_DENIED: not signed by that key. */
static rc_t verify(struct ceremony *c) {
    rc_t rc = worker_run(verify_job, c);
    return rc ? rc : c->verdict;
}

/* ---- Challenges ------------------------------------------------------------------------------ */

static rc_t challenge_make(struct db_txn *t, struct request *rq, const char *kind, str user_id,
                           str *out) {
    struct once o = {.kind = str_from_c(kind), .user_id = user_id, .data = site_of(rq)};
    return once_ticket(t, rq->arena, &o, "", CHALLENGE_S, out);
}

/* RC_DENIED: used, too old, somebody else's, or for another site. */
static rc_t challenge_take(struct db_txn *t, struct request *rq, const char *kind, str user_id,
                           const struct ceremony *c) {
    struct once o;
    rc_t rc = once_take(t, rq->arena, str_from_c(kind), c->challenge, &o);
    if (rc) return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    bool fits = str_eq(o.data, c->site) && (!o.user_id.len || str_eq(o.user_id, user_id));
    return fits ? RC_OK : RC_DENIED;
}

static str id_text(struct arena *a, str id) {
    char *to = arena_alloc(a, BASE64_LEN(id.len) + 1);
    return to ? str_of(to, base64url_encode(id.ptr, id.len, to)) : str_of(NULL, 0);
}

/* [{"type": "public-key", "id": ...}] of an account's passkeys at this site. */
static rc_t credentials_json(struct db_txn *t, struct request *rq, str user_id,
                             struct json_writer *w, const char *key) {
    struct db_rows *r = NULL;
    json_array(w, key);
    rc_t rc = db_query(t, &r, "SELECT id FROM passkey WHERE user_id=?1 AND site=?2 ORDER BY id",
                       DB_TEXT(user_id), DB_TEXT(site_of(rq)));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "type", S("public-key"));
        json_text(w, "id", id_text(rq->arena, db_column_text(r, 0)));
        json_object_end(w);
    }
    db_done(r);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- Making one ------------------------------------------------------------------------------ */

/* Who has a second factor shows it before another is added, or one is taken away. */
static bool factor_shown(struct request *rq) {
    struct factor_methods m = {0};
    struct db_txn *t;
    if (rq->actor.mfa) return true;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = factor_methods(t, rq->actor.user_id, &m);
        db_read_end(t);
    }
    if (rc)
        reply_rc(rq, rc, "Reading the second factor");
    else if (m.totp || m.passkeys)
        reply_problem(rq, 403, "second_factor_wanted",
                      "Sign in with your second factor before you change it.");
    return !rc && !m.totp && !m.passkeys;
}

static void algorithms_json(struct json_writer *w) {
    static const s64 algorithms[] = {COSE_ES256, COSE_RS256};
    json_array(w, "pubKeyCredParams");
    for (u32 i = 0; i < ARRAY_LEN(algorithms); i++) {
        json_object(w, NULL);
        json_text(w, "type", S("public-key"));
        json_int(w, "alg", algorithms[i]);
        json_object_end(w);
    }
    json_array_end(w);
}

static void creation_json(struct json_writer *w, struct request *rq, str challenge, str name) {
    json_text(w, "challenge", challenge);
    json_int(w, "timeout", CHALLENGE_S * 1000);
    json_text(w, "attestation", S("none"));
    json_object(w, "rp");
    json_text(w, "id", site_of(rq));
    json_text(w, "name", S("OpenPolicy"));
    json_object_end(w);
    json_object(w, "user");
    json_text(w, "id", id_text(rq->arena, rq->actor.user_id));
    json_text(w, "name", rq->actor.email);
    json_text(w, "displayName", name);
    json_object_end(w);
    algorithms_json(w);
    json_object(w, "authenticatorSelection");
    json_text(w, "residentKey", S("preferred"));
    json_text(w, "userVerification", S("preferred"));
    json_object_end(w);
}

static rc_t begin_rows(struct db_txn *t, struct request *rq, struct json_writer *w) {
    struct user user;
    str challenge;
    rc_t rc = user_by_id(t, rq->arena, rq->actor.user_id, &user);
    if (rc == RC_OK) rc = challenge_make(t, rq, "passkey_new", rq->actor.user_id, &challenge);
    if (rc) return rc;
    creation_json(w, rq, challenge, user.name);
    return credentials_json(t, rq, rq->actor.user_id, w, "excludeCredentials");
}

/* {"publicKey": what `rows` writes} */
typedef rc_t options_rows(struct db_txn *t, struct request *rq, struct json_writer *w);
static void options_answer(struct request *rq, options_rows *rows) {
    struct json_writer w;
    struct db_txn *t;
    json_open(&w, KIB(32));
    json_object(&w, NULL);
    json_object(&w, "publicKey");
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, rows(t, rq, &w));
    json_object_end(&w);
    json_object_end(&w);
    if (rc == RC_OK) {
        reply_json(rq, 200, &w);
        return;
    }
    json_close(&w);
    if (rc == RC_NOT_FOUND)
        reply_problem(rq, 401, "mfa_token_refused", "This sign-in is over; begin again.");
    else
        reply_rc(rq, rc, "Making the challenge");
}

void passkeys_begin_post(struct request *rq) {
    if (person_recent(rq) && factor_shown(rq)) options_answer(rq, begin_rows);
}

struct making {
    struct ceremony c;
    str name;
    str codes[RECOVERY_CODES];
    bool first; /* there was no second factor: recovery codes go with it */
};

static rc_t made_rows(struct db_txn *t, struct request *rq, struct making *m) {
    struct factor_methods before;
    const struct webauthn_data *d = &m->c.data;
    str id = rq->actor.user_id;
    rc_t rc = challenge_take(t, rq, "passkey_new", id, &m->c);
    if (rc == RC_OK) rc = factor_methods(t, id, &before);
    if (rc == RC_OK && before.passkeys >= PASSKEYS_MAX) rc = RC_LIMIT;
    if (rc) return rc;
    m->first = !before.totp && !before.passkeys;
    rc = db_run(t,
                "INSERT INTO passkey(id,user_id,name,key,algorithm,counter,created_ns,site)"
                " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                DB_BLOB(d->credential_id), DB_TEXT(id), DB_TEXT(m->name),
                DB_BLOB(str_of((const char *)d->key, d->key_len)), DB_INT(d->algorithm),
                DB_INT(d->counter), DB_INT(auth_now_ns()), DB_TEXT(m->c.site));
    if (rc == RC_OK && m->first) rc = recovery_make(t, rq->arena, id, m->codes);
    /* Who made it has shown it: this session needs no second sign-in. */
    if (rc == RC_OK)
        rc = db_run(t, "UPDATE session SET mfa=1 WHERE id=?1", DB_TEXT(rq->actor.session_id));
    return rc ? rc : factor_event(t, rq, id, "user.passkey_add");
}

static void passkey_json(struct json_writer *w, struct arena *a, struct db_rows *r) {
    json_object(w, NULL);
    json_text(w, "id", id_text(a, db_column_text(r, 0)));
    json_text(w, "name", db_column_text(r, 1));
    json_text(w, "algorithm", db_column_int(r, 2) == COSE_RS256 ? S("RS256") : S("ES256"));
    json_time(w, "created_at", (u64)db_column_int(r, 3));
    json_time(w, "last_used_at", (u64)db_column_int(r, 4));
    json_text(w, "site", db_column_text(r, 5));
    json_object_end(w);
}

static void made_answer(struct request *rq, const struct making *m) {
    struct json_writer w;
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "id", id_text(rq->arena, m->c.data.credential_id));
    json_text(&w, "name", m->name);
    json_text(&w, "algorithm", m->c.data.algorithm == COSE_RS256 ? S("RS256") : S("ES256"));
    json_text(&w, "site", m->c.site);
    if (m->first) {
        json_array(&w, "recovery_codes");
        for (u32 i = 0; i < RECOVERY_CODES; i++) json_text(&w, NULL, m->codes[i]);
        json_array_end(&w);
    }
    json_object_end(&w);
    reply_json(rq, 201, &w);
}

static const char *made_wrong(struct ceremony *c, str attestation) {
    if (webauthn_attestation_read(attestation, &c->data))
        return "attestationObject is none, or of an attestation that was not asked for.";
    if (!str_eq(c->data.credential_id, c->credential_id)) return "id is another credential's.";
    if (!site_fits(c->site, &c->data)) return "It was made for another site.";
    return c->data.present ? NULL : "Nobody was present.";
}

static void made_refused(struct request *rq, rc_t rc) {
    if (rc == RC_DENIED)
        reply_problem(rq, 403, "challenge_refused",
                      "The challenge was used or is too old; begin again.");
    else if (rc == RC_CONFLICT)
        reply_problem(rq, 409, "passkey_known", "This passkey is registered already.");
    else if (rc == RC_LIMIT)
        reply_problem(rq, 409, "too_many_passkeys", "An account has at most %d; remove one.",
                      PASSKEYS_MAX);
    else
        reply_rc(rq, rc, "Keeping the passkey");
}

void passkeys_post(struct request *rq) {
    static const char *const members[] = {"name", "credential", NULL};
    struct making m = {0};
    const cJSON *response;
    struct db_txn *t;
    cJSON *body;
    str attestation;
    if (!person_recent(rq) || !factor_shown(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &m.name) ||
        !ceremony_read(rq, body, "webauthn.create", &m.c, &response) ||
        !bytes_member(rq, response, "attestationObject", true, ATTESTATION_MAX, &attestation) ||
        ceremony_refused(rq, made_wrong(&m.c, attestation)))
        return;
    rc_t rc = RC_OK;
    if (m.c.data.own_signature.ptr) {
        m.c.algorithm = m.c.data.algorithm;
        m.c.key = str_of((const char *)m.c.data.key, m.c.data.key_len);
        m.c.signature = m.c.data.own_signature;
        rc = verify(&m.c);
        if (rc == RC_DENIED) {
            ceremony_refused(rq, "The attestation's signature does not fit.");
            return;
        }
    }
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, made_rows(t, rq, &m));
    if (rc) {
        made_refused(rq, rc);
        return;
    }
    token_cache_drop_session(rq->actor.session_id); /* its proof did not say mfa */
    made_answer(rq, &m);
}

/* ---- Signing in ------------------------------------------------------------------------------ */

struct asking { /* options_answer has room for no argument: rq->local */
    str ticket; /* of a password shown before; ptr NULL: none */
};

static rc_t asked_rows(struct db_txn *t, struct request *rq, struct json_writer *w) {
    const struct asking *asking = rq->local;
    str user_id = S(""), challenge;
    rc_t rc = RC_OK;
    if (asking->ticket.ptr) rc = login_ticket_user(t, rq->arena, asking->ticket, &user_id);
    if (rc == RC_OK) rc = challenge_make(t, rq, "passkey_login", user_id, &challenge);
    if (rc) return rc;
    json_text(w, "challenge", challenge);
    json_int(w, "timeout", CHALLENGE_S * 1000);
    json_text(w, "rpId", site_of(rq));
    json_text(w, "userVerification", user_id.len ? S("preferred") : S("required"));
    return credentials_json(t, rq, user_id, w, "allowCredentials");
}

void login_passkey_begin_post(struct request *rq) {
    static const char *const members[] = {"mfa_token", NULL};
    struct asking asking = {.ticket = {NULL, 0}};
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "mfa_token", false, 1, ONCE_TICKET_MAX, &asking.ticket))
        return;
    void *before = rq->local;
    rq->local = &asking;
    options_answer(rq, asked_rows);
    rq->local = before;
}

static rc_t passkey_find(struct request *rq, struct ceremony *c) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r, "SELECT user_id,key,algorithm FROM passkey WHERE id=?1 AND site=?2",
                  DB_BLOB(c->credential_id), DB_TEXT(c->site));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) {
        c->user_id = arena_copy(rq->arena, db_column_text(r, 0));
        c->key = arena_copy(rq->arena, db_column_text(r, 1));
        c->algorithm = db_column_int(r, 2);
        if (!c->user_id.ptr || !c->key.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    db_read_end(t);
    return rc;
}

/* In the write that makes the session: the challenge once, and a counter that grew. */
static rc_t shown_rows(struct db_txn *t, struct request *rq, void *arg) {
    const struct ceremony *c = arg;
    rc_t rc = challenge_take(t, rq, "passkey_login", c->user_id, c);
    if (rc) return rc;
    rc = db_run(t,
                "UPDATE passkey SET counter=?2,used_ns=?3 WHERE id=?1 AND"
                " (counter<?2 OR (counter=0 AND ?2=0))",
                DB_BLOB(c->credential_id), DB_INT(c->data.counter), DB_INT(auth_now_ns()));
    return rc == RC_OK && db_changes(t) == 0 ? RC_DENIED : rc;
}

static bool login_read(struct request *rq, struct ceremony *c, struct login_proof *p) {
    static const char *const members[] = {"credential", "mfa_token", "cookie", "remember", NULL};
    const cJSON *response;
    cJSON *body;
    str data;
    return request_json(rq, &body) && request_members_known(rq, body, members) &&
           request_member_text(rq, body, "mfa_token", false, 1, ONCE_TICKET_MAX, &p->ticket) &&
           request_member_bool(rq, body, "cookie", false, &p->cookie) &&
           request_member_bool(rq, body, "remember", false, &p->remember) &&
           cookie_same_origin(rq, false) &&
           ceremony_read(rq, body, "webauthn.get", c, &response) &&
           bytes_member(rq, response, "authenticatorData", true, ATTESTATION_MAX, &data) &&
           bytes_member(rq, response, "signature", true, SIGNATURE_MAX, &c->signature) &&
           bytes_member(rq, response, "userHandle", false, 64, &c->handle) &&
           !ceremony_refused(rq, webauthn_data_read(data, false, &c->data)
                                     ? "authenticatorData is none."
                                     : NULL);
}

/* Found, of this site, signed by its key, and with a person there. RC_DENIED: not. */
static rc_t shown(struct request *rq, struct ceremony *c, bool alone) {
    if (!site_fits(c->site, &c->data) || !c->data.present || (alone && !c->data.verified))
        return RC_DENIED;
    rc_t rc = passkey_find(rq, c);
    if (rc) return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    if (c->handle.ptr && !str_eq(c->handle, c->user_id)) return RC_DENIED;
    return verify(c);
}

void login_passkey_post(struct request *rq) {
    struct ceremony c = {0};
    struct login_proof p = {.ticket = {NULL, 0}, .also = shown_rows, .arg = &c};
    if (!login_read(rq, &c, &p)) return;
    str key = id_text(rq->arena, str_take(c.credential_id, 32));
    u64 wait = delay_take(key, &rq->http->peer, platform_clock_ns());
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = shown(rq, &c, !p.ticket.ptr);
    if (rc == RC_DENIED) {
        reply_problem(rq, 401, "passkey_refused",
                      "The passkey is not known here, or did not verify who you are.");
        return;
    }
    if (rc) {
        delay_returned(key, &rq->http->peer, platform_clock_ns());
        reply_rc(rq, rc, "Checking the passkey");
        return;
    }
    delay_succeeded(key, &rq->http->peer, platform_clock_ns());
    p.user_id = c.user_id;
    login_proved(rq, &p);
}

/* ---- Looking after them ---------------------------------------------------------------------- */

void passkeys_get(struct request *rq) {
    struct db_rows *r = NULL;
    struct json_writer w;
    struct db_txn *t;
    json_open(&w, KIB(32));
    json_object(&w, NULL);
    json_array(&w, "items");
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = db_query(t, &r,
                      "SELECT id,name,algorithm,created_ns,used_ns,site FROM passkey"
                      " WHERE user_id=?1 ORDER BY created_ns,id",
                      DB_TEXT(rq->actor.user_id));
        while (rc == RC_OK && (rc = db_next(r)) == RC_OK) passkey_json(&w, rq->arena, r);
        if (rc == RC_NOT_FOUND) rc = RC_OK;
        db_done(r);
        db_read_end(t);
    }
    json_array_end(&w);
    json_object_end(&w);
    if (rc == RC_OK) {
        reply_json(rq, 200, &w);
        return;
    }
    json_close(&w);
    reply_rc(rq, rc, "Listing the passkeys");
}

static bool id_param(struct request *rq, str *out) {
    u8 *to = arena_alloc(rq->arena, CREDENTIAL_ID_MAX);
    size_t n = 0;
    if (!to || base64url_decode(rq->params[0], to, CREDENTIAL_ID_MAX, &n)) n = 0;
    *out = str_of((const char *)to, n);
    if (!n) reply_problem(rq, 404, "passkey_not_found", "You have no passkey with this id.");
    return n > 0;
}

static void changed(struct request *rq, rc_t rc) {
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "passkey_not_found", "You have no passkey with this id.");
    else
        reply_rc(rq, rc, "Changing the passkey");
}

static rc_t rename_rows(struct db_txn *t, struct request *rq, str id, str name) {
    rc_t rc = db_run(t, "UPDATE passkey SET name=?3 WHERE id=?1 AND user_id=?2", DB_BLOB(id),
                     DB_TEXT(rq->actor.user_id), DB_TEXT(name));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    struct audit_event event = {
        .action = "user.passkey_rename",
        .resource = arena_join(rq->arena, S("user/"), rq->actor.user_id),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void passkey_put(struct request *rq) {
    static const char *const members[] = {"name", NULL};
    struct db_txn *t;
    cJSON *body;
    str id, name;
    if (!person_only(rq) || !id_param(rq, &id) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &name))
        return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, rename_rows(t, rq, id, name));
    changed(rq, rc);
}

/* The last factor takes its recovery codes along: they would open nothing. */
static rc_t delete_rows(struct db_txn *t, struct request *rq, str id) {
    struct factor_methods left;
    str user_id = rq->actor.user_id;
    rc_t rc = db_run(t, "DELETE FROM passkey WHERE id=?1 AND user_id=?2", DB_BLOB(id),
                     DB_TEXT(user_id));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    if (rc == RC_OK) rc = factor_methods(t, user_id, &left);
    if (rc == RC_OK && !left.totp && !left.passkeys)
        rc = db_run(t, "DELETE FROM factor_recovery WHERE user_id=?1", DB_TEXT(user_id));
    return rc ? rc : factor_event(t, rq, user_id, "user.passkey_remove");
}

void passkey_delete(struct request *rq) {
    struct db_txn *t;
    str id;
    if (!person_recent(rq) || !id_param(rq, &id) || !factor_shown(rq)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, delete_rows(t, rq, id));
    changed(rq, rc);
}
