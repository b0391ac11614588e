/* SPDX-License-Identifier: Apache-2.0 */
/* oauth_device.c — signing in on things without a keyboard (RFC 8628).
 *
 *    device -> POST /oauth2/device_authorization   device_code (secret), user_code "WDJB-MJHT"
 *    person -> /oauth2/device on their phone       types the code, sees who asks what, decides
 *    device -> POST /oauth2/token                  authorization_pending until then, then tokens
 *
 * Always true: the table holds the hash of the device code; a user code has 8 of 20 consonants (34
 * bits), lives ten minutes, and wrong ones cost time (delay.c); only a person at a login decides,
 * once; tokens are given once; a device that asks too often must wait longer (slow_down). */
#include "app/audit/audit.h"
#include "app/auth/oauth_impl.h"
#include "kernel/platform.h"

enum { DEVICE_S = 600, POLL_S = 5, LETTERS = 8, CODES_MAX = 10000 };
enum device_state { PENDING, ALLOWED, REFUSED };
static const char consonants[] = "BCDFGHJKLMNPQRSTVWXZ";

/* ---- The device asks ------------------------------------------------------------------------- */

/* Each letter as likely as the others: 240 is the largest multiple of 20 below 256. */
static rc_t user_code_make(char to[LETTERS]) {
    for (size_t n = 0; n < LETTERS;) {
        u8 random[16];
        rc_t rc = platform_entropy(random, sizeof random);
        if (rc) return rc;
        for (size_t i = 0; i < sizeof random && n < LETTERS; i++)
            if (random[i] < 240) to[n++] = consonants[random[i] % 20];
    }
    return RC_OK;
}

static bool user_code_read(str typed, char to[LETTERS]) {
    size_t n = 0;
    for (size_t i = 0; i < typed.len; i++) {
        char c = typed.ptr[i];
        if (c == '-' || c == ' ') continue;
        if (c >= 'a' && c <= 'z') c = (char)(c - 32);
        if (n == LETTERS || !c || !strchr(consonants, c)) return false;
        to[n++] = c;
    }
    return n == LETTERS;
}

struct starting {
    u8 hash[SHA256_BYTES];
    char user_code[LETTERS];
    str client_id, scope, issuer;
};

static rc_t start_rows(struct db_txn *t, const struct starting *s) {
    u64 now = auth_now_ns();
    rc_t rc = db_run(t, "DELETE FROM oauth_device WHERE expires_ns<=?1", DB_INT(now));
    if (rc) return rc;
    rc = db_run(t,
                "INSERT INTO oauth_device(hash,user_code,client_id,scope,issuer,interval_s,"
                "expires_ns) SELECT ?1,?2,?3,?4,?5,?6,?7"
                " WHERE (SELECT count(*) FROM oauth_device)<?8",
                DB_BLOB(str_of((const char *)s->hash, SHA256_BYTES)),
                DB_TEXT(str_of(s->user_code, LETTERS)), DB_TEXT(s->client_id), DB_TEXT(s->scope),
                DB_TEXT(s->issuer), DB_INT(POLL_S), DB_INT(now + DEVICE_S * NS_PER_S),
                DB_INT(CODES_MAX));
    return rc == RC_OK && db_changes(t) == 0 ? RC_LIMIT : rc;
}

static rc_t start(struct request *rq, struct starting *s, str *device_code) {
    u8 random[32];
    char text[BASE64_LEN(sizeof random) + 1];
    struct db_txn *t;
    rc_t rc = platform_entropy(random, sizeof random);
    if (rc == RC_OK) rc = user_code_make(s->user_code);
    if (rc) return rc;
    base64url_encode(random, sizeof random, text);
    *device_code = arena_printf(rq->arena, "oad_%s", text);
    if (!device_code->ptr) return RC_NO_MEMORY;
    sha256(*device_code, s->hash);
    secret_wipe(random, sizeof random);
    if ((rc = db_write_begin(&t))) return rc;
    return db_write_end(t, start_rows(t, s));
}

void oauth_device_post(struct request *rq) {
    struct oauth_client client;
    struct starting s;
    struct json_writer w;
    str form, device_code;
    if (!oauth_form(rq, &form) || !oauth_client_authenticate(rq, form, &client)) return;
    if (!words_have(client.grants, S(DEVICE_GRANT))) {
        oauth_error(rq, 400, "unauthorized_client", "This client may not use this grant.");
        return;
    }
    if (!form_value(rq->arena, form, "scope", &s.scope) || !words_cover(client.scopes, s.scope)) {
        oauth_error(rq, 400, "invalid_scope", "This client may not ask for this scope.");
        return;
    }
    if (!s.scope.len) s.scope = client.scopes;
    s.client_id = client.id;
    s.issuer = oauth_base(rq);
    rc_t rc = start(rq, &s, &device_code);
    if (rc) {
        reply_rc(rq, rc, "Making the codes");
        return;
    }
    str shown = arena_printf(rq->arena, "%.4s-%.4s", s.user_code, s.user_code + 4);
    str page = arena_join(rq->arena, s.issuer, S("/oauth2/device"));
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_text(&w, "device_code", device_code);
    json_text(&w, "user_code", shown);
    json_text(&w, "verification_uri", page);
    json_text(&w, "verification_uri_complete",
              arena_join(rq->arena, page, S("?user_code="), shown));
    json_int(&w, "expires_in", DEVICE_S);
    json_int(&w, "interval", POLL_S);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- The person decides ---------------------------------------------------------------------- */

struct deciding {
    str client_id, name, scope;
};

static rc_t asked_find(struct db_txn *t, struct arena *a, const char code[LETTERS],
                       struct deciding *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT d.client_id,c.name,d.scope FROM oauth_device d JOIN oauth_client c"
                       " ON c.id=d.client_id WHERE d.user_code=?1 AND d.state=?2 AND"
                       " d.expires_ns>?3",
                       DB_TEXT(str_of(code, LETTERS)), DB_INT(PENDING), DB_INT(auth_now_ns()));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        out->client_id = arena_copy(a, db_column_text(r, 0));
        out->name = arena_copy(a, db_column_text(r, 1));
        out->scope = arena_copy(a, db_column_text(r, 2));
        if (!out->client_id.ptr || !out->name.ptr || !out->scope.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static rc_t decide_rows(struct db_txn *t, struct request *rq, const char code[LETTERS], bool allow,
                        struct deciding *d) {
    rc_t rc = asked_find(t, rq->arena, code, d);
    if (rc) return rc;
    rc = db_run(t,
                "UPDATE oauth_device SET state=?2,user_id=?3,mfa=?4,decided_ns=?5"
                " WHERE user_code=?1",
                DB_TEXT(str_of(code, LETTERS)), DB_INT(allow ? ALLOWED : REFUSED),
                DB_TEXT(rq->actor.user_id), DB_INT(rq->actor.mfa), DB_INT(auth_now_ns()));
    struct audit_event event = {
        .action = allow ? "client.device_allow" : "client.device_refuse",
        .resource = arena_join(rq->arena, S("client/"), d->client_id),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

/* Wrong codes cost time: 34 bits are few for whoever may try at will. */
static u64 device_wait(struct request *rq) {
    str key = arena_join(rq->arena, S("(device) "), rq->actor.user_id);
    return delay_take(key.ptr ? key : rq->actor.user_id, &rq->http->peer, platform_clock_ns());
}

static void device_known(struct request *rq) {
    str key = arena_join(rq->arena, S("(device) "), rq->actor.user_id);
    delay_succeeded(key.ptr ? key : rq->actor.user_id, &rq->http->peer, platform_clock_ns());
}

static void device_answer(struct request *rq, rc_t rc, const struct deciding *d) {
    struct json_writer w;
    if (rc == RC_NOT_FOUND) {
        reply_problem(rq, 404, "device_code_unknown",
                      "No device shows this code, or it is too old.");
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Looking for the device");
        return;
    }
    device_known(rq);
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "client_id", d->client_id);
    json_text(&w, "name", d->name);
    json_text(&w, "scope", d->scope);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void device_get(struct request *rq) {
    struct deciding d;
    struct db_txn *t;
    char code[LETTERS];
    if (!person_only(rq)) return;
    u64 wait = device_wait(rq);
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = user_code_read(rq->params[0], code) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = asked_find(t, rq->arena, code, &d);
        db_read_end(t);
    }
    device_answer(rq, rc, &d);
}

void device_post(struct request *rq) {
    static const char *const members[] = {"allow", NULL};
    struct deciding d;
    struct db_txn *t;
    cJSON *body;
    char code[LETTERS];
    bool allow = false;
    if (!person_only(rq) || !request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_bool(rq, body, "allow", true, &allow))
        return;
    u64 wait = device_wait(rq);
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = user_code_read(rq->params[0], code) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_write_end(t, decide_rows(t, rq, code, allow, &d));
    device_answer(rq, rc, &d);
}

/* ---- Its page -------------------------------------------------------------------------------- */

static const char page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width\"><title>Connect a device</title><h1>Connect a device</h1>"
    "<form id=\"f\"><p><label>Code on the device <input name=\"code\" id=\"code\" "
    "autocomplete=\"off\" required></label></p><p><button>Continue</button></p></form>"
    "<div id=\"d\" hidden><p id=\"w\"></p><p><button id=\"y\">Allow</button> "
    "<button id=\"n\">Refuse</button></p></div><p id=\"m\" role=\"alert\"></p>"
    "<script src=\"/oauth2/device.js\"></script>";

void oauth_device_page_get(struct request *rq) {
    rc_t rc = auth_identify(rq);
    if (rc && rc != RC_PASS) return; /* answered */
    reply_text(rq, 200, "text/html; charset=utf-8",
               str_from_c(rq->actor.kind == ACTOR_USER ? page : oauth_signin_page));
}

void oauth_device_script_get(struct request *rq) {
    reply_text(
        rq, 200, "text/javascript; charset=utf-8",
        S("const $=i=>document.getElementById(i),say=t=>{$('m').textContent=t};"
          "$('code').value=new URLSearchParams(location.search).get('user_code')||'';"
          "const at=()=>'/api/v1/auth/devices/'+encodeURIComponent($('code').value.trim());"
          "$('f').addEventListener('submit',async e=>{e.preventDefault();say('');"
          "const r=await fetch(at()),p=await r.json();if(!r.ok){say(p.detail);return}"
          "$('w').textContent=p.name+' asks for: '+(p.scope||'nothing more than who you are');"
          "$('d').hidden=false});"
          "const decide=async allow=>{const r=await fetch(at(),{method:'POST',headers:"
          "{'Content-Type':'application/json'},body:JSON.stringify({allow})}),p=await r.json();"
          "$('d').hidden=true;say(r.ok?(allow?'Connected.':'Refused.')+' You may close this page.'"
          ":p.detail)};"
          "$('y').addEventListener('click',()=>decide(true));"
          "$('n').addEventListener('click',()=>decide(false));\n"));
}

/* ---- The device gets its tokens -------------------------------------------------------------- */

struct polled {
    u8 hash[SHA256_BYTES];
    enum device_state state;
    str user_id;
    s64 interval_s;
    u64 polled_ns, decided_ns, expires_ns;
    const char *error; /* as RFC 8628 3.5 names it; NULL: tokens */
};

static rc_t poll_read(struct db_txn *t, struct request *rq, struct grant *g, struct polled *p) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT state,user_id,interval_s,polled_ns,decided_ns,expires_ns,scope,"
                       "issuer,mfa FROM oauth_device WHERE hash=?1 AND client_id=?2",
                       DB_BLOB(str_of((char *)p->hash, SHA256_BYTES)), DB_TEXT(g->client.id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        p->state = (enum device_state)db_column_int(r, 0);
        p->user_id = db_column_null(r, 1) ? S("") : arena_copy(rq->arena, db_column_text(r, 1));
        p->interval_s = db_column_int(r, 2);
        p->polled_ns = (u64)db_column_int(r, 3);
        p->decided_ns = (u64)db_column_int(r, 4);
        p->expires_ns = (u64)db_column_int(r, 5);
        g->scope = arena_copy(rq->arena, db_column_text(r, 6));
        g->issuer = arena_copy(rq->arena, db_column_text(r, 7));
        g->mfa = db_column_int(r, 8) != 0;
        if (!p->user_id.ptr || !g->scope.ptr || !g->issuer.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static rc_t poll_later(struct db_txn *t, struct polled *p, u64 now) {
    bool hasty = p->polled_ns && now - p->polled_ns < (u64)p->interval_s * NS_PER_S;
    p->error = hasty ? "slow_down" : "authorization_pending";
    return db_run(t, "UPDATE oauth_device SET polled_ns=?2,interval_s=interval_s+?3 WHERE hash=?1",
                  DB_BLOB(str_of((char *)p->hash, SHA256_BYTES)), DB_INT(now),
                  DB_INT(hasty ? POLL_S : 0));
}

static rc_t poll_rows(struct db_txn *t, struct request *rq, struct grant *g, struct polled *p) {
    struct session_start session;
    u64 now = auth_now_ns();
    rc_t rc = poll_read(t, rq, g, p);
    if (rc == RC_NOT_FOUND) {
        p->error = "invalid_grant";
        return RC_OK;
    }
    if (rc) return rc;
    if (p->expires_ns <= now) p->error = "expired_token";
    else if (p->state == PENDING) return poll_later(t, p, now);
    rc = db_run(t, "DELETE FROM oauth_device WHERE hash=?1",
                DB_BLOB(str_of((char *)p->hash, SHA256_BYTES)));
    if (rc || p->error) return rc;
    if (p->state == ALLOWED) rc = user_by_id(t, rq->arena, p->user_id, &g->user);
    if (rc && rc != RC_NOT_FOUND) return rc;
    if (rc || p->state != ALLOWED || !str_eq(g->user.state, S("active"))) {
        p->error = "access_denied";
        return oauth_grant_event(t, rq, g, "denied", "device_code");
    }
    struct session_options options = {.mfa = g->mfa, .client_id = g->client.id, .scopes = g->scope};
    if ((rc = session_begin(t, rq, g->user.id, &options, &session))) return rc;
    g->session_id = session.session_id;
    g->auth_time_s = p->decided_ns / NS_PER_S;
    if (words_have(g->client.grants, S("refresh_token"))) g->refresh_token = session.refresh_token;
    return oauth_grant_event(t, rq, g, "ok", "device_code");
}

void oauth_by_device(struct request *rq, str form, struct grant *g) {
    struct polled p = {.error = NULL};
    struct db_txn *t;
    str code;
    if (!form_value(rq->arena, form, "device_code", &code) || !code.len) {
        oauth_error(rq, 400, "invalid_request", "device_code is wanted, once.");
        return;
    }
    sha256(code, p.hash);
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, poll_rows(t, rq, g, &p));
    if (rc)
        reply_rc(rq, rc, "Granting");
    else if (p.error)
        oauth_error(rq, 400, p.error, "The person has not allowed it, or not yet.");
    else
        oauth_tokens_answer(rq, g);
}
