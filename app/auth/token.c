/* SPDX-License-Identifier: Apache-2.0 */
/* token.c — access tokens made and judged.
 *
 *    PHASE_AUTH:  Authorization: Bearer T
 *                  -> token_cache hit: done, no arithmetic, no database
 *                  -> jwt_parse -> signature (a worker) -> session and user (a reader) -> cached
 *
 * Keys are keyring.c's: the token's header names one of them.
 * Always true: a token is good only while its session row exists, its user is active and still has
 * the role it names. A failure to find that out (disk, memory) is 503, never "yes" and never 401.
 */
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "kernel/base/log.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

#define AUDIENCE S("openpolicy")
static struct {
    bool ready;
    u64 floor_ns, floor_clock_ns;
} token_of_loop;

/* ---- Time ------------------------------------------------------------------------------------ */

void auth_now_floor(u64 utc_ns) {
    if (utc_ns <= token_of_loop.floor_ns) return;
    token_of_loop.floor_ns = utc_ns;
    token_of_loop.floor_clock_ns = platform_clock_ns();
}

/* A machine without a clock must not make expired tokens good again. */
u64 auth_now_ns(void) {
    u64 wall = platform_wall_ns();
    u64 at_least = token_of_loop.floor_ns + (platform_clock_ns() - token_of_loop.floor_clock_ns);
    if (wall) return wall;
    return at_least;
}

/* The newest moment the database knows of. */
static rc_t floor_read(void) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r, "SELECT max(refreshed_ns) FROM session");
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) auth_now_floor((u64)db_column_int(r, 0));
    db_done(r);
    db_read_end(t);
    return rc;
}

rc_t token_start(struct diag *why) {
    rc_t rc = floor_read();
    if (rc == RC_OK) rc = keyring_start();
    if (rc) diag_set(why, "the key that signs tokens could not be read or made (%s)", rc_name(rc));
    token_of_loop.ready = rc == RC_OK;
    return rc;
}

/* ---- Making ---------------------------------------------------------------------------------- */

struct sign_job {
    struct es256_key key; /* a copy: the ring may change meanwhile */
    str message;
    u8 signature[ES256_SIGNATURE_BYTES];
    rc_t rc;
};
static void sign(void *arg) {
    struct sign_job *job = arg;
    job->rc = es256_sign(&job->key, job->message, job->signature);
}

rc_t token_sign(struct arena *a, str unsigned_part, const struct es256_key *key, str *out) {
    struct sign_job job = {.key = *key, .message = unsigned_part};
    if (!unsigned_part.ptr) return RC_NO_MEMORY;
    rc_t rc = worker_run(sign, &job);
    secret_wipe(&job.key, sizeof job.key);
    if (rc || (rc = job.rc)) return rc;
    *out = jwt_signed(a, unsigned_part, job.signature);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t token_issue_for(struct arena *a, const struct user *user, str session_id, str client_id,
                     str scope, str *out) {
    const struct es256_key *key = keyring_signer();
    struct jwt_claims claims = {.issuer = keyring_issuer(),
                                .audience = AUDIENCE,
                                .user_id = user->id,
                                .session_id = session_id,
                                .role = user->role,
                                .client_id = client_id,
                                .scope = scope,
                                .issued_s = (s64)(auth_now_ns() / NS_PER_S)};
    char id[ID_ROOM];
    if (!key) return RC_AGAIN;
    rc_t rc = id_make(id, &claims.token_id);
    if (rc) return rc;
    return token_sign(a, jwt_unsigned_claims(a, str_from_c(key->kid), &claims), key, out);
}

rc_t token_issue(struct arena *a, const struct user *user, str session_id, str *out) {
    return token_issue_for(a, user, session_id, AUDIENCE, S(""), out);
}

/* ---- Judging --------------------------------------------------------------------------------- */

struct verify_job {
    u8 public_key[64];
    const struct jwt *jwt;
    rc_t rc;
};
static void verify(void *arg) {
    struct verify_job *job = arg;
    job->rc = es256_verify(job->public_key, job->jwt->signed_part, job->jwt->signature);
}

rc_t actor_fill(struct arena *a, const struct token_proof *p, struct actor *out) {
    const str parts[] = {p->user_id,    p->email,  p->role,   p->token_id,
                         p->session_id, p->scopes, p->groups, p->roles,
                         p->org_id};
    str *const targets[] = {&out->user_id,    &out->email,  &out->role,   &out->token_id,
                            &out->session_id, &out->scopes, &out->groups, &out->roles,
                            &out->org_id};
    size_t n = 1;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) n += parts[i].len;
    char *to = arena_alloc(a, n);
    if (!to) return RC_NO_MEMORY;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        *targets[i] = str_of(to, parts[i].len);
        if (!parts[i].len) continue;
        memcpy(to, parts[i].ptr, parts[i].len);
        to += parts[i].len;
    }
    if (!p->scopes.ptr) out->scopes = str_of(NULL, 0);
    out->kind = p->kind;
    out->mfa = p->mfa;
    return RC_OK;
}

/* With the key its header names, which must be of ours. */
static rc_t parse_with_key(struct arena *a, str text, struct jwt *jwt, struct verify_job *job,
                           const char **why) {
    const struct es256_key *key;
    rc_t rc = RC_INVALID;
    for (u32 i = 0; rc == RC_INVALID && (key = keyring_at(i)); i++) {
        struct jwt_expected expected = {keyring_issuer(), AUDIENCE, str_from_c(key->kid),
                                        (s64)(auth_now_ns() / NS_PER_S)};
        rc = jwt_parse(a, text, &expected, jwt, why);
        if (rc == RC_OK) memcpy(job->public_key, key->public_key, sizeof job->public_key);
        if (rc && *why != jwt_other_key) break;
    }
    return rc;
}

/* The text and its signature. */
static rc_t verify_text(struct arena *a, str text, struct jwt *jwt, const char **why) {
    struct verify_job job = {.jwt = jwt, .rc = RC_DENIED};
    rc_t rc = parse_with_key(a, text, jwt, &job, why);
    if (rc == RC_NO_MEMORY) return rc;
    if (rc) return RC_DENIED; /* also when too long: it cannot be ours */
    if ((rc = worker_run(verify, &job))) return rc;
    if (job.rc == RC_DENIED) *why = "the signature does not fit";
    return job.rc;
}

static rc_t verify_slowly(struct arena *a, str text, struct token_proof *out, const char **why) {
    struct session_state state;
    struct jwt jwt;
    struct user user;
    struct db_txn *t;
    rc_t rc = verify_text(a, text, &jwt, why);
    if (rc || (rc = db_read_begin(&t))) return rc;
    rc = session_owner(t, a, jwt.session_id, jwt.user_id, &user, &state);
    *out = (struct token_proof){0};
    if (rc == RC_OK) rc = membership_fill(t, a, &user, out);
    db_read_end(t);
    if (rc == RC_DENIED) *why = "the session has ended or the account is disabled";
    if (rc == RC_OK && !str_eq(user.role, jwt.role)) {
        *why = "the account's role has changed";
        rc = RC_DENIED;
    }
    if (rc) return rc;
    *out = (struct token_proof){.token = text,
                                .user_id = jwt.user_id,
                                .session_id = jwt.session_id,
                                .token_id = jwt.token_id,
                                .role = jwt.role,
                                .email = user.email,
                                .scopes = state.scopes,
                                .groups = out->groups,
                                .roles = out->roles,
                                .org_id = out->org_id,
                                .kind = state.client_id.ptr ? ACTOR_CLIENT : ACTOR_USER,
                                .mfa = state.mfa,
                                .expires_ns = (u64)jwt.expires_s * NS_PER_S};
    return RC_OK;
}

rc_t token_verify(struct arena *a, str text, struct actor *out, const char **why) {
    struct token_proof proof;
    *why = "not a token of ours";
    if (!token_of_loop.ready) return RC_AGAIN;
    if (text.len == 0 || text.len > TOKEN_MAX) return RC_DENIED;
    if (token_cache_find(text, auth_now_ns(), &proof)) return actor_fill(a, &proof, out);
    u64 generation = token_cache_generation();
    rc_t rc = verify_slowly(a, text, &proof, why);
    if (rc) return rc;
    token_cache_put(&proof, generation);
    return actor_fill(a, &proof, out);
}
