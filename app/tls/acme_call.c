/* SPDX-License-Identifier: Apache-2.0 */
/* acme_call.c — one question to a certificate authority, signed, and its answer (RFC 8555 6).
 *
 *   a nonce at hand? (else HEAD newNonce) -> JWS signed on a worker -> POST
 *       2xx: the body; its Replay-Nonce is for the next one
 *       badNonce: with the nonce of that answer, up to TRIES_MAX times (RFC 8555 6.5)
 *       anything else: what the authority says, as a problem
 *
 * Always true: a nonce is used once; a call is over after CALL_MS; what comes back is bounded. The
 * certificate of the authority's own server is believed by tls.trust alone. */
#include "app/tls/acme_impl.h"
#include "app/version.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum { CALL_MS = 30000, TRIES_MAX = 12, RETRY_S_MAX = 86400 };

struct sign_job {
    const struct es256_key *key;
    str message;
    u8 signature[ES256_SIGNATURE_BYTES];
    rc_t rc;
};
static void sign_on_worker(void *arg) {
    struct sign_job *j = arg;
    j->rc = es256_sign(j->key, j->message, j->signature);
}

/* ---- One exchange ---------------------------------------------------------------------------- */

static void keep_nonce(struct acme_talk *t, str nonce) {
    bool ok = nonce.len > 0 && nonce.len < sizeof t->nonce;
    for (size_t i = 0; ok && i < nonce.len; i++) {
        char c = nonce.ptr[i]; /* base64url (RFC 8555 6.5.1) */
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    }
    if (!ok || str_to_c(nonce, t->nonce, sizeof t->nonce)) t->nonce[0] = 0;
}

static rc_t exchange(struct acme_talk *t, const char *method, str url, str body, const char *accept,
                     int *status, str *answer_body) {
    struct http_field fields[4];
    struct http_client_answer answer;
    u32 n = 0;
    fields[n++] = (struct http_field){S("User-Agent"), S("openpolicy/" OPENPOLICY_VERSION)};
    if (accept) fields[n++] = (struct http_field){S("Accept"), str_from_c(accept)};
    if (body.len) fields[n++] = (struct http_field){S("Content-Type"), S("application/jose+json")};
    struct http_client_request r = {.method = str_from_c(method),
                                    .url = url,
                                    .fields = fields,
                                    .field_count = n,
                                    .body = body,
                                    .attempts = 2,
                                    .deadline_ns = platform_clock_ns() + CALL_MS * NS_PER_MS};
    t->problem = (struct acme_problem){0};
    rc_t rc = http_client_fetch(t->a, &r, ACME_ANSWER_MAX, &answer, answer_body, t->why);
    if (rc) return rc;
    keep_nonce(t, http_client_field(&answer, S("Replay-Nonce")));
    t->location = http_client_field(&answer, S("Location"));
    t->retry_after_s = acme_retry_after_s(http_client_field(&answer, S("Retry-After")),
                                          platform_wall_ns(), 1, RETRY_S_MAX, 0);
    *status = answer.status;
    return RC_OK;
}

static rc_t refusal(struct acme_talk *t, int status, str body) {
    acme_read_problem(t->a, body, &t->problem);
    diag_set(t->why, "the authority answers %d %.*s: %.*s", status,
             STR(str_take(t->problem.type, 60)), STR(str_take(t->problem.detail, 180)));
    bool later = status == 429 || status >= 500 || str_eq(t->problem.type, S("rateLimited"));
    return later ? RC_LIMIT : RC_DENIED;
}

rc_t acme_get(struct acme_talk *t, str url, str *body) {
    int status;
    rc_t rc = exchange(t, "GET", url, S(""), "application/json", &status, body);
    if (rc || status == 200) return rc;
    return refusal(t, status, *body);
}

/* ---- Signed ---------------------------------------------------------------------------------- */

static rc_t want_nonce(struct acme_talk *t) {
    str unused;
    int status;
    if (t->nonce[0]) return RC_OK;
    rc_t rc = exchange(t, "HEAD", t->directory.new_nonce, S(""), NULL, &status, &unused);
    if (rc) return rc;
    if (t->nonce[0]) return RC_OK;
    diag_set(t->why, "the authority gives no nonce (newNonce answered %d)", status);
    return RC_INVALID;
}

static rc_t sign(struct acme_talk *t, str url, str payload, str *message) {
    str to_sign;
    str nonce = arena_copy(t->a, str_from_c(t->nonce));
    t->nonce[0] = 0; /* used */
    if (!nonce.ptr) return RC_NO_MEMORY;
    str head = acme_protected(t->a, t->key, t->kid, nonce, url);
    *message = head.ptr ? acme_flattened(t->a, head, payload, &to_sign) : head;
    if (!message->ptr) return RC_NO_MEMORY;
    struct sign_job job = {.key = t->key, .message = to_sign};
    rc_t rc = worker_run(sign_on_worker, &job);
    if (!rc) rc = job.rc;
    if (rc) return rc;
    *message = acme_flattened_end(t->a, *message, job.signature, sizeof job.signature);
    return message->ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t acme_post(struct acme_talk *t, str url, str payload, const char *accept, str *body) {
    for (u32 tries = 1;; tries++) {
        str message;
        int status;
        rc_t rc = want_nonce(t);
        if (!rc) rc = sign(t, url, payload, &message);
        if (rc == RC_NO_MEMORY) diag_set(t->why, "no memory for a request to the authority");
        if (!rc) rc = exchange(t, "POST", url, message, accept, &status, body);
        if (rc) return rc;
        if (status >= 200 && status < 300) return RC_OK;
        rc = refusal(t, status, *body);
        if (tries == TRIES_MAX || !str_eq(t->problem.type, S("badNonce"))) return rc;
    }
}
