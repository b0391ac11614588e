/* SPDX-License-Identifier: Apache-2.0 */
/* sso.c — signing in with another provider (OpenID Connect Core 3.1), seen from a browser.
 *
 *    GET sso/NAME/login?return=/x --> cookie (sealed), 303 to the provider
 *        ?client_id&redirect_uri&scope&state&nonce&code_challenge
 *    the provider --> GET sso/NAME/callback?code&state&iss, with the cookie
 *        -> redeem the code -> verify the ID token -> whose account -> a session's cookie, 303 /x
 *
 * Nothing is written for who has proved nothing: the cookie carries what the sign-in needs, sealed
 * with a key that this start of the appliance made, and state, nonce and PKCE verifier are made
 * from it. So an answer fits only the browser that asked (login CSRF), only the provider it was
 * sent to (mix-up: one redirect address each, `iss` as RFC 9207 has it), for ten minutes. In the
 * write that makes the session the cookie is marked as used: of two answers one signs in. */
#include "app/audit/audit.h"
#include "app/auth/oauth_impl.h"
#include "app/auth/sso_impl.h"
#include "app/config/config.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"
#include <mbedtls/md.h>

#define SSO_COOKIE "__Host-openpolicy-sso"
#define CALLBACK "/api/v1/auth/sso/"
enum { FLOW_S = 600, RETURN_MAX = 1024, CODE_MAX = 2048, FLOW_MAX = 2048, MAC_TEXT = 43 };

struct flow { /* of one sign-in; texts in the arena */
    str sealed;   /* what the cookie's seal is over */
    str provider, return_to, base, link_to; /* link_to: the account that asked; empty: none did */
    u64 began_s;
};

/* ---- The seal -------------------------------------------------------------------------------- */

static struct {
    u8 key[32];
    bool made;
} seal;

/* base64url(HMAC(key, purpose and what is sealed)); ptr NULL: no entropy, no memory. */
static str seal_text(struct arena *a, const char *purpose, str sealed) {
    u8 mac[32];
    if (!seal.made) seal.made = platform_entropy(seal.key, sizeof seal.key) == RC_OK;
    char *to = arena_alloc(a, BASE64_LEN(sizeof mac) + 1);
    str all = arena_join(a, str_from_c(purpose), S("\n"), sealed);
    if (!to || !all.ptr || !seal.made ||
        mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), seal.key, sizeof seal.key,
                        (const u8 *)all.ptr, all.len, mac))
        return str_of(NULL, 0);
    return str_of(to, base64url_encode(mac, sizeof mac, to));
}

/* Sets the cookie and fills f->sealed. */
static rc_t flow_seal(struct request *rq, struct flow *f) {
    u8 random[18];
    char letters[BASE64_LEN(sizeof random) + 1];
    struct arena *a = rq->arena;
    rc_t rc = platform_entropy(random, sizeof random);
    if (rc) return rc;
    base64url_encode(random, sizeof random, letters);
    str plain = arena_printf(a, "%.*s\n%.*s\n%.*s\n%.*s\n%llu\n%s", STR(f->provider),
                             STR(f->return_to), STR(f->base), STR(f->link_to),
                             (unsigned long long)f->began_s, letters);
    char *to = plain.ptr ? arena_alloc(a, BASE64_LEN(plain.len) + 1) : NULL;
    if (!to) return RC_NO_MEMORY;
    f->sealed = str_of(to, base64url_encode(plain.ptr, plain.len, to));
    str mac = seal_text(a, "seal", f->sealed);
    str line = arena_printf(a, SSO_COOKIE "=%.*s.%.*s; Path=/; Secure; HttpOnly; SameSite=Lax; "
                               "Max-Age=%d", STR(f->sealed), STR(mac), FLOW_S);
    if (!mac.ptr || !line.ptr) return RC_NO_MEMORY;
    return http_answer_field(rq->x, S("Set-Cookie"), line);
}

static void flow_over(struct request *rq) {
    rc_t rc = http_answer_field(rq->x, S("Set-Cookie"),
                                S(SSO_COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Lax; "
                                             "Max-Age=0"));
    (void)rc; /* it is worthless soon in any case */
}

/* The sign-in this browser began, if its cookie is ours, whole and not too old. */
static bool flow_open(struct request *rq, struct flow *f) {
    str value = cookie_named(rq, S(SSO_COOKIE)), part[6], rest;
    if (value.len < MAC_TEXT + 2 || value.len > FLOW_MAX) return false;
    size_t dot = value.len - MAC_TEXT - 1, n;
    f->sealed = str_take(value, dot);
    str mac = seal_text(rq->arena, "seal", f->sealed);
    char *to = arena_alloc(rq->arena, value.len);
    if (!mac.ptr || !to || value.ptr[dot] != '.' || !str_eq_secret(mac, str_skip(value, dot + 1)) ||
        base64url_decode(f->sealed, to, value.len, &n))
        return false;
    rest = str_of(to, n);
    for (u32 i = 0; i < 6; i++) {
        size_t end = str_find_byte(rest, '\n');
        part[i] = str_take(rest, end);
        rest = str_skip(rest, MIN(end + 1, rest.len));
    }
    f->provider = part[0], f->return_to = part[1], f->base = part[2], f->link_to = part[3];
    u64 now_s = auth_now_ns() / NS_PER_S;
    return !str_to_u64(part[4], &f->began_s) && f->began_s <= now_s && now_s - f->began_s <= FLOW_S;
}

/* ---- Providers ------------------------------------------------------------------------------- */

static rc_t providers_now(struct arena *a, struct provider list[PROVIDERS_MAX], u32 *count) {
    struct diag why = {0};
    str text = arena_copy(a, config_text("auth.providers")); /* it may change while we park */
    return text.ptr ? providers_parse(a, text, list, count, &why) : RC_NO_MEMORY;
}

/* false: answered. */
static bool provider_named(struct request *rq, str name, struct provider *out) {
    struct provider list[PROVIDERS_MAX];
    u32 count = 0;
    rc_t rc = providers_now(rq->arena, list, &count);
    for (u32 i = 0; rc == RC_OK && i < count; i++) {
        if (!str_eq(list[i].name, name)) continue;
        *out = list[i];
        return true;
    }
    if (rc)
        reply_rc(rq, rc, "Reading the providers");
    else
        reply_problem(rq, 404, "provider_not_found", "No provider for sign-ins has this name.");
    return false;
}

void sso_list_get(struct request *rq) {
    struct provider list[PROVIDERS_MAX];
    struct json_writer w;
    u32 count = 0;
    rc_t rc = providers_now(rq->arena, list, &count);
    if (rc) {
        reply_rc(rq, rc, "Reading the providers");
        return;
    }
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_array(&w, "items");
    for (u32 i = 0; i < count; i++) {
        json_object(&w, NULL);
        json_text(&w, "name", list[i].name);
        json_text(&w, "title", list[i].title);
        json_text(&w, "login", arena_join(rq->arena, S(CALLBACK), list[i].name, S("/login")));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* What went wrong is for the log; people get a sentence. */
static void failed(struct request *rq, const struct provider *p, rc_t rc, const char *why) {
    log_warn("auth", "a sign-in with a provider failed", "provider=%.*s why=\"%s\"", STR(p->name),
             why);
    flow_over(rq);
    if (rc == RC_NO_MEMORY || rc == RC_LIMIT)
        reply_rc(rq, rc, "Asking the provider");
    else if (rc == RC_DENIED)
        reply_problem(rq, 401, "provider_refused", "The provider did not confirm this sign-in.");
    else
        reply_problem(rq, 502, "provider_failed",
                      "The provider could not be asked, or answered wrongly; the log says why.");
}

/* ---- There ----------------------------------------------------------------------------------- */

static bool return_sound(str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] <= 0x20 || (u8)s.ptr[i] >= 0x7F || strchr("\\\"'<>", s.ptr[i]))
            return false;
    return str_starts(s, S("/")) && !str_starts(s, S("//"));
}

static str redirect_uri(struct arena *a, const struct flow *f) {
    return arena_join(a, f->base, S(CALLBACK), f->provider, S("/callback"));
}

/* Where the browser goes; ptr NULL: no memory. */
static str there(struct arena *a, const struct provider *p, const struct sso_places *places,
                 const struct flow *f) {
    u8 hash[SHA256_BYTES];
    char challenge[BASE64_LEN(sizeof hash) + 1];
    str verifier = seal_text(a, "pkce", f->sealed), state = seal_text(a, "state", f->sealed);
    str nonce = seal_text(a, "nonce", f->sealed), uri = redirect_uri(a, f);
    if (!verifier.ptr || !state.ptr || !nonce.ptr || !uri.ptr) return str_of(NULL, 0);
    sha256(verifier, hash);
    base64url_encode(hash, sizeof hash, challenge);
    bool query = str_find_byte(places->authorization, '?') < places->authorization.len;
    return arena_join(a, places->authorization, query ? S("&") : S("?"),
                      S("response_type=code&client_id="), percent_encode(a, p->client_id),
                      S("&redirect_uri="), percent_encode(a, uri), S("&scope="),
                      percent_encode(a, p->scopes), S("&state="), state, S("&nonce="), nonce,
                      S("&code_challenge="), str_from_c(challenge),
                      S("&code_challenge_method=S256"));
}

/* Fills *to with where to go and sets the cookie; false: answered. */
static bool begin(struct request *rq, struct flow *f, str *to) {
    struct provider p;
    struct sso_places places;
    struct diag why = {0};
    if (!provider_named(rq, rq->params[0], &p)) return false;
    rc_t rc = sso_discover(rq->arena, &p, &places, &why);
    if (rc) {
        failed(rq, &p, rc == RC_DENIED ? RC_IO : rc, why.text); /* a certificate, say */
        return false;
    }
    f->provider = p.name;
    f->base = oauth_base(rq);
    f->began_s = auth_now_ns() / NS_PER_S;
    rc = flow_seal(rq, f);
    *to = rc ? str_of(NULL, 0) : there(rq->arena, &p, &places, f);
    if (to->ptr) return true;
    reply_rc(rq, rc ? rc : RC_NO_MEMORY, "Beginning the sign-in");
    return false;
}

void sso_login_get(struct request *rq) {
    struct flow f = {.return_to = S("/"), .link_to = S("")};
    str to;
    if (!request_query_text(rq, "return", RETURN_MAX, &f.return_to)) return;
    if (!return_sound(f.return_to)) {
        reply_problem(rq, 400, "return_invalid", "return: a path of this appliance, such as /x.");
        return;
    }
    if (!begin(rq, &f, &to)) return;
    rc_t rc = http_answer_field(rq->x, S("Location"), to);
    if (rc)
        reply_rc(rq, rc, "Beginning the sign-in");
    else
        reply_empty(rq, 303);
}

/* A POST, so that no other site can make somebody's browser link a stranger to their account. */
void sso_link_post(struct request *rq) {
    struct flow f = {.return_to = S("/"), .link_to = rq->actor.user_id};
    struct json_writer w;
    str to;
    if (!person_recent(rq) || !begin(rq, &f, &to)) return;
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "location", to);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- And back -------------------------------------------------------------------------------- */

struct back {
    struct provider p;
    struct flow flow;
    struct sso_token token;
    str code, state, issuer, error;
};

static bool back_read(struct request *rq, struct back *b) {
    struct arena *a = rq->arena;
    str form = rq->http->query;
    return form_value(a, form, "code", &b->code) && form_value(a, form, "state", &b->state) &&
           form_value(a, form, "iss", &b->issuer) && form_value(a, form, "error", &b->error);
}

/* Does the answer belong to the sign-in that this browser began with this provider? NULL: yes. */
static const char *back_fits(struct request *rq, struct back *b) {
    if (!back_read(rq, b)) return "a parameter is there twice or not text";
    if (!flow_open(rq, &b->flow)) return "no sign-in was begun in this browser, or too long ago";
    if (!str_eq(b->flow.provider, b->p.name)) return "the sign-in was begun with another provider";
    str state = seal_text(rq->arena, "state", b->flow.sealed);
    if (!state.ptr || !str_eq_secret(state, b->state)) return "state is another sign-in's";
    if (b->issuer.ptr && !str_eq(b->issuer, b->p.issuer)) return "iss is another provider's";
    if (b->error.ptr) return "the provider says no";
    if (!b->code.len || b->code.len > CODE_MAX) return "no code came";
    return NULL;
}

static rc_t token_of(struct request *rq, struct back *b, const struct sso_places *places,
                     struct diag *why) {
    struct arena *a = rq->arena;
    struct sso_exchange x = {.code = b->code,
                             .verifier = seal_text(a, "pkce", b->flow.sealed),
                             .redirect_uri = redirect_uri(a, &b->flow)};
    struct sso_key key;
    const char *reason = "";
    if (!x.verifier.ptr || !x.redirect_uri.ptr) return RC_NO_MEMORY;
    rc_t rc = sso_redeem(a, &b->p, places, &x, why);
    if (rc) return rc;
    struct sso_expected e = {.issuer = b->p.issuer,
                             .client_id = b->p.client_id,
                             .nonce = seal_text(a, "nonce", b->flow.sealed),
                             .access_token = x.access_token,
                             .now_s = (s64)(auth_now_ns() / NS_PER_S)};
    rc = e.nonce.ptr ? sso_token_read(a, x.id_token, &e, &b->token, &reason) : RC_NO_MEMORY;
    if (rc == RC_NO_MEMORY) return rc;
    if (rc) {
        diag_set(why, "its ID token: %s", reason);
        return RC_DENIED;
    }
    if ((rc = sso_key_of(&b->p, &b->token, &key, why)))
        return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    rc = sso_token_verify(&key, &b->token);
    if (rc == RC_DENIED) diag_set(why, "its ID token: the signature does not fit");
    struct sso_claims *c = &b->token.claims;
    if (rc == RC_OK && !c->email.len && places->userinfo.len && x.access_token.len)
        rc = sso_userinfo(a, &b->p, places->userinfo, x.access_token, c, why);
    return rc;
}

/* In the write that makes the session: this sign-in is over, for whoever else holds its cookie. */
static rc_t used(struct db_txn *t, struct request *rq, void *arg) {
    const struct back *b = arg;
    struct once o = {.kind = S("sso"), .user_id = S("")};
    rc_t rc = once_used(t, rq->arena, &o, b->flow.sealed, FLOW_S + CLOCK_SKEW_S);
    if (rc == RC_CONFLICT) return RC_DENIED;
    return rc ? rc : sso_account_used(t, b->p.issuer, b->token.claims.subject);
}

static void nobody(struct request *rq, const struct provider *p, const char *why) {
    struct audit_event event = {
        .action = "user.login",
        .result = "denied",
        .detail = arena_printf(rq->arena, "{\"provider\":\"%.*s\"}", STR(p->name)),
    };
    rc_t rc = audit_add_alone(rq, &event);
    flow_over(rq);
    if (rc)
        reply_rc(rq, rc, "Recording the sign-in");
    else
        reply_problem(rq, 403, "account_refused", "%s", why);
}

void sso_callback_get(struct request *rq) {
    struct back b = {0};
    struct sso_places places;
    struct diag why = {0};
    const char *wrong;
    str user_id;
    if (!provider_named(rq, rq->params[0], &b.p)) return;
    if ((wrong = back_fits(rq, &b))) {
        failed(rq, &b.p, RC_DENIED, wrong);
        return;
    }
    rc_t rc = sso_discover(rq->arena, &b.p, &places, &why);
    if (rc == RC_OK && places.says_issuer && !b.issuer.ptr) {
        diag_set(&why, "iss is missing, which this provider always sends");
        rc = RC_DENIED;
    }
    if (rc == RC_OK) rc = token_of(rq, &b, &places, &why);
    if (rc) {
        failed(rq, &b.p, rc, why.text);
        return;
    }
    rc = sso_account(rq, &b.p, &b.token.claims, b.flow.link_to, &user_id, &wrong);
    if (rc == RC_DENIED) {
        nobody(rq, &b.p, wrong);
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Looking for the account");
        return;
    }
    flow_over(rq);
    struct login_proof proof = {.user_id = user_id,
                                .cookie = true,
                                .return_to = b.flow.return_to,
                                .first = !str_eq(b.p.second_factor, S("theirs")),
                                .also = used,
                                .arg = &b};
    login_proved(rq, &proof);
}

/* ---- The second step's page ------------------------------------------------------------------ */

/* What login.c's page for a second factor does. */
void sso_script_get(struct request *rq) {
    reply_text(
        rq, 200, "text/javascript; charset=utf-8",
        S("const f=document.getElementById('f'),d=f.dataset,m=document.getElementById('m');"
          "async function send(u,b){const r=await fetch(u,{method:'POST',headers:{'Content-Type':"
          "'application/json'},body:JSON.stringify(b)});if(r.ok){location.replace(d.to);return}"
          "m.textContent=(await r.json()).detail}"
          "f.addEventListener('submit',e=>{e.preventDefault();"
          "send('/api/v1/auth/login/second-factor',{mfa_token:d.ticket,code:f.code.value})});"
          "document.getElementById('p').addEventListener('click',async()=>{"
          "const r=await fetch('/api/v1/auth/login/passkey/begin',{method:'POST',headers:"
          "{'Content-Type':'application/json'},body:JSON.stringify({mfa_token:d.ticket})});"
          "const o=PublicKeyCredential.parseRequestOptionsFromJSON((await r.json()).publicKey);"
          "const c=await navigator.credentials.get({publicKey:o});"
          "send('/api/v1/auth/login/passkey',{mfa_token:d.ticket,credential:c.toJSON()})});\n"));
}
