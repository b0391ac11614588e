/* SPDX-License-Identifier: Apache-2.0 */
/* acme_order.c — the conversation with a certificate authority, RFC 8555 7:
 *
 *   directory -> account (found by its key, or made) -> order for all names
 *   per name:  authorization valid already? else challenge: put up the answer, say so, wait
 *   finalize (a request signed by a new key) -> wait -> chain
 *
 * Names are shown one after the other, so one answer is up at a time: `question`, over HTTP, or in
 * TLS (net/tls.h). Always true: an answer is up only while its authorization is being looked at; a
 * wait asks again as the authority says, at least every WAIT_S_MAX seconds, and has an end. */
#include "app/tls/acme_impl.h"

enum { WAIT_S_MAX = 30, ASK_S = 1, ROUNDS_MAX = 90, KEY_ROOM = 1024, REQUEST_ROOM = 8192 };

static struct {
    char token[ACME_TOKEN_MAX + 1], answer[ACME_TOKEN_MAX + 1 + ES256_KID_ROOM];
} question;

str acme_http_answer(str token) {
    bool ours = question.token[0] && str_eq(token, str_from_c(question.token));
    return ours ? str_from_c(question.answer) : str_of(NULL, 0);
}

static rc_t no_memory(struct acme_talk *t) {
    diag_set(t->why, "no memory for a conversation with the authority");
    return RC_NO_MEMORY;
}

rc_t acme_open(struct acme_talk *t, str directory_url) {
    str body;
    rc_t rc = acme_get(t, directory_url, &body);
    return rc ? rc : acme_read_directory(t->a, body, &t->directory, t->why);
}

/* ---- The account ----------------------------------------------------------------------------- */

static rc_t may_register(struct acme_talk *t, const struct acme_wish *wish) {
    if (t->directory.terms.len && !wish->agreed) {
        diag_set(t->why, "the authority has terms: read %.*s and set acme.agree",
                 STR(str_take(t->directory.terms, 160)));
        return RC_DENIED;
    }
    if (t->directory.wants_binding && (!wish->kid.len || !wish->mac_key.len)) {
        diag_set(t->why,
                 "the authority wants to know whose account this is: set acme.binding_id and "
                 "acme.binding_key");
        return RC_DENIED;
    }
    return RC_OK;
}

rc_t acme_register(struct acme_talk *t, const struct acme_wish *wish) {
    str binding = S(""), contact = S(""), body;
    rc_t rc = may_register(t, wish);
    if (rc) return rc;
    if (wish->kid.len && wish->mac_key.len) {
        str jwk = acme_jwk(t->a, t->key);
        rc = jwk.ptr ? acme_binding(t->a, wish->kid, wish->mac_key, jwk, t->directory.new_account,
                                    &binding)
                     : RC_NO_MEMORY;
        if (rc == RC_INVALID) diag_set(t->why, "acme.binding_key is not base64url");
        if (rc) return rc == RC_INVALID ? rc : no_memory(t);
        binding = arena_join(t->a, S(",\"externalAccountBinding\":"), binding);
    }
    if (wish->contact.len) /* an e-mail address has no quote (check_email) */
        contact = arena_join(t->a, S(",\"contact\":[\"mailto:"), wish->contact, S("\"]"));
    if (!binding.ptr || !contact.ptr) return no_memory(t);
    str payload = arena_join(t->a, S("{\"termsOfServiceAgreed\":"),
                             wish->agreed ? S("true") : S("false"), contact, binding, S("}"));
    if (!payload.ptr) return no_memory(t);
    t->kid = S("");
    rc = acme_post(t, t->directory.new_account, payload, NULL, &body);
    if (rc) return rc;
    if (!str_starts(t->location, S("https://")) || t->location.len >= ACME_URL_MAX) {
        diag_set(t->why, "the authority does not say where the account is");
        return RC_INVALID;
    }
    t->kid = t->location;
    return RC_OK;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static rc_t wait_round(struct acme_talk *t, u32 round, const char *what) {
    if (round == ROUNDS_MAX) {
        diag_set(t->why, "the authority does not come to an end with %s", what);
        return RC_TIMEOUT;
    }
    u64 s = t->retry_after_s ? t->retry_after_s : ASK_S + round / 4;
    return acme_sleep(MIN(s, (u64)WAIT_S_MAX));
}

/* ---- One name -------------------------------------------------------------------------------- */

static rc_t put_up(struct acme_talk *t, const struct acme_wish *wish,
                   const struct acme_authorization *z) {
    str answer = acme_key_authorization(t->a, t->key, z->token);
    u8 digest[SHA256_BYTES];
    if (!answer.ptr) return no_memory(t);
    if (wish->by_tls) {
        sha256(answer, digest);
        return tls_challenge_set(z->name, digest, t->why);
    }
    rc_t rc = str_to_c(answer, question.answer, sizeof question.answer);
    if (!rc) rc = str_to_c(z->token, question.token, sizeof question.token);
    return rc;
}

static void take_down(void) {
    memset(&question, 0, sizeof question);
    tls_challenge_clear();
}

static rc_t read_authorization(struct acme_talk *t, const struct acme_wish *wish, str url,
                               struct acme_authorization *z) {
    str body;
    rc_t rc = acme_post(t, url, S(""), NULL, &body);
    return rc ? rc
              : acme_read_authorization(t->a, body, wish->by_tls ? "tls-alpn-01" : "http-01", z,
                                        t->why);
}

static rc_t show(struct acme_talk *t, const struct acme_wish *wish, str url,
                 struct acme_authorization *z) {
    str body;
    rc_t rc = put_up(t, wish, z);
    if (!rc) rc = acme_post(t, z->url, S("{}"), NULL, &body);
    for (u32 round = 0; !rc; round++) {
        rc = read_authorization(t, wish, url, z);
        if (!rc && z->state == ACME_VALID) return RC_OK;
        if (!rc && (z->state == ACME_INVALID || z->challenge == ACME_INVALID)) return RC_DENIED;
        if (!rc) rc = wait_round(t, round, "a challenge");
    }
    return rc;
}

static rc_t authorize(struct acme_talk *t, const struct acme_wish *wish, str url) {
    struct acme_authorization z;
    rc_t rc = read_authorization(t, wish, url, &z);
    if (rc || z.state == ACME_VALID) return rc;
    if (z.state == ACME_INVALID) return RC_DENIED;
    if (!z.token.len) {
        diag_set(t->why, "the authority does not offer %s for %.*s; choose another acme.challenge",
                 wish->by_tls ? "tls-alpn-01" : "http-01", STR(str_take(z.name, 120)));
        return RC_DENIED;
    }
    rc = show(t, wish, url, &z);
    take_down();
    return rc;
}

/* ---- The order ------------------------------------------------------------------------------- */

static rc_t post_order(struct acme_talk *t, str names, str replaces, struct acme_order *o) {
    struct json_writer w;
    str body, one;
    json_open(&w, KIB(16));
    json_object(&w, NULL);
    json_array(&w, "identifiers");
    while (str_split(&names, ',', &one)) {
        json_object(&w, NULL);
        json_text(&w, "type", S("dns"));
        json_text(&w, "value", str_trim(one));
        json_object_end(&w);
    }
    json_array_end(&w);
    if (replaces.len) json_text(&w, "replaces", replaces);
    json_object_end(&w);
    str payload = w.out.failed ? str_of(NULL, 0) : arena_copy(t->a, buf_str(&w.out));
    json_close(&w);
    if (!payload.ptr) return no_memory(t);
    rc_t rc = acme_post(t, t->directory.new_order, payload, NULL, &body);
    return rc ? rc : acme_read_order(t->a, body, o, t->why);
}

/* An authority that does not know what is to be replaced, or has seen it replaced, refuses the
 * order for that alone (RFC 9773 5): then without. */
static rc_t new_order(struct acme_talk *t, const struct acme_wish *wish, struct acme_order *o) {
    rc_t rc = post_order(t, wish->names, t->directory.renewal_info.len ? wish->replaces : S(""), o);
    bool again =
        rc == RC_DENIED && t->directory.renewal_info.len && wish->replaces.len &&
        (str_eq(t->problem.type, S("alreadyReplaced")) || str_eq(t->problem.type, S("malformed")));
    return again ? post_order(t, wish->names, S(""), o) : rc;
}

/* Until the order has left `state`s that mean waiting. */
static rc_t follow(struct acme_talk *t, str url, struct acme_order *o, enum acme_state wanted) {
    str body;
    rc_t rc = RC_OK;
    for (u32 round = 0; !rc; round++) {
        if (o->state == wanted || o->state == ACME_VALID) return RC_OK;
        if (o->state == ACME_INVALID) return RC_DENIED;
        rc = wait_round(t, round, "an order");
        if (!rc) rc = acme_post(t, url, S(""), NULL, &body);
        if (!rc) rc = acme_read_order(t->a, body, o, t->why);
    }
    return rc;
}

static rc_t finalize(struct acme_talk *t, const struct acme_wish *wish, str url,
                     struct acme_order *o, char *key) {
    u8 *request = arena_alloc(t->a, REQUEST_ROOM);
    size_t n = 0;
    str body;
    if (!request) return no_memory(t);
    rc_t rc = tls_make_request(wish->names, key, KEY_ROOM, request, REQUEST_ROOM, &n);
    if (rc) {
        diag_set(t->why, "no key could be made: %s", rc_name(rc));
        return rc;
    }
    str csr = acme_base64url(t->a, str_of((const char *)request, n));
    str payload = csr.ptr ? arena_join(t->a, S("{\"csr\":\""), csr, S("\"}")) : csr;
    if (!payload.ptr) return no_memory(t);
    rc = acme_post(t, o->finalize, payload, NULL, &body);
    if (!rc) rc = acme_read_order(t->a, body, o, t->why);
    return rc ? rc : follow(t, url, o, ACME_VALID);
}

rc_t acme_obtain(struct acme_talk *t, const struct acme_wish *wish, str *key_pem, str *chain_pem) {
    struct acme_order o;
    char *key = arena_alloc(t->a, KEY_ROOM);
    rc_t rc = key ? new_order(t, wish, &o) : no_memory(t);
    if (rc) return rc;
    key[0] = 0;
    str url = t->location;
    if (!str_starts(url, S("https://"))) {
        diag_set(t->why, "the authority does not say where the order is");
        return RC_INVALID;
    }
    for (u32 i = 0; !rc && i < o.authorization_count && o.state == ACME_PENDING; i++)
        rc = authorize(t, wish, o.authorizations[i]);
    if (!rc) rc = follow(t, url, &o, ACME_READY);
    if (!rc) rc = finalize(t, wish, url, &o, key);
    if (!rc)
        rc = acme_post(t, o.certificate, S(""), "application/pem-certificate-chain", chain_pem);
    *key_pem = str_from_c(key);
    if (rc) secret_wipe(key, KEY_ROOM);
    return rc;
}

rc_t acme_window(struct acme_talk *t, str renewal_id, u64 *from_ns, u64 *until_ns) {
    str body, base = t->directory.renewal_info;
    if (!base.len || !renewal_id.len) return RC_NOT_FOUND;
    str url = arena_join(t->a, base, str_ends(base, S("/")) ? S("") : S("/"), renewal_id);
    if (!url.ptr) return no_memory(t);
    rc_t rc = acme_get(t, url, &body);
    return rc ? rc : acme_read_window(t->a, body, from_ns, until_ns, t->why);
}
