/* SPDX-License-Identifier: Apache-2.0 */
/* token.c — access tokens made and judged.
 *
 *    PHASE_AUTH:  Authorization: Bearer T
 *                  -> token_cache hit: done, no arithmetic, no database
 *                  -> jwt_parse -> signature (a worker) -> session and user (a reader) -> cached
 *
 * The key and the issuer's name are made on the first start and kept in the database, so tokens
 * outlive a restart and two appliances never accept each other's.
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
    struct es256_key key;
    char issuer[64]; /* "urn:uuid:..." */
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

/* ---- The key --------------------------------------------------------------------------------- */

static rc_t key_read(bool *found) {
    struct db_txn *t;
    struct db_rows *r = NULL;
    *found = false;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(
        t, &r,
        "SELECT private_key,public_key,issuer,"
        "(SELECT max(refreshed_ns) FROM session) FROM auth_key ORDER BY created_ns DESC LIMIT 1");
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) {
        rc = es256_load(db_column_text(r, 0), db_column_text(r, 1), &token_of_loop.key);
        if (rc == RC_OK)
            rc = str_to_c(db_column_text(r, 2), token_of_loop.issuer, sizeof token_of_loop.issuer);
        *found = rc == RC_OK;
        auth_now_floor((u64)db_column_int(r, 3));
    }
    db_done(r);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

struct make_job {
    struct es256_key key;
    rc_t rc;
};
static void make_key(void *arg) {
    struct make_job *job = arg;
    job->rc = es256_make(&job->key);
}

static rc_t key_write(const struct es256_key *key, str issuer) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(
        t,
        "INSERT INTO auth_key(kid,private_key,public_key,issuer,created_ns) VALUES(?1,?2,?3,?4,?5)",
        DB_TEXT(str_from_c(key->kid)),
        DB_BLOB(str_of((const char *)key->private_key, sizeof key->private_key)),
        DB_BLOB(str_of((const char *)key->public_key, sizeof key->public_key)), DB_TEXT(issuer),
        DB_INT(platform_wall_ns()));
    return db_write_end(t, rc);
}

static rc_t key_create(void) {
    struct make_job job = {0};
    char id[ID_ROOM];
    str text;
    rc_t rc = worker_run(make_key, &job);
    if (rc || (rc = job.rc)) return rc;
    if ((rc = id_make(id, &text))) return rc;
    char issuer[64] = "urn:uuid:";
    memcpy(issuer + 9, text.ptr, text.len + 1);
    if ((rc = key_write(&job.key, str_from_c(issuer)))) return rc;
    token_of_loop.key = job.key;
    memcpy(token_of_loop.issuer, issuer, sizeof issuer);
    secret_wipe(&job, sizeof job);
    log_info("auth", "made the key that signs tokens", "kid=%s", token_of_loop.key.kid);
    return RC_OK;
}

rc_t token_start(struct diag *why) {
    bool found;
    rc_t rc = key_read(&found);
    if (rc == RC_OK && !found) rc = key_create();
    if (rc) diag_set(why, "the key that signs tokens could not be read or made (%s)", rc_name(rc));
    token_of_loop.ready = rc == RC_OK;
    return rc;
}

/* ---- Making ---------------------------------------------------------------------------------- */

struct sign_job {
    str message;
    u8 signature[ES256_SIGNATURE_BYTES];
    rc_t rc;
};
static void sign(void *arg) {
    struct sign_job *job = arg;
    job->rc = es256_sign(&token_of_loop.key, job->message, job->signature);
}

rc_t token_issue(struct arena *a, const struct user *user, str session_id, str *out) {
    struct sign_job job;
    char id[ID_ROOM];
    str token_id;
    rc_t rc = id_make(id, &token_id);
    if (rc) return rc;
    job.message = jwt_unsigned(a, str_from_c(token_of_loop.issuer), AUDIENCE,
                               str_from_c(token_of_loop.key.kid), user->id, session_id, token_id,
                               user->role, (s64)(auth_now_ns() / NS_PER_S));
    if (!job.message.ptr) return RC_NO_MEMORY;
    if ((rc = worker_run(sign, &job)) || (rc = job.rc)) return rc;
    *out = jwt_signed(a, job.message, job.signature);
    return out->ptr ? RC_OK : RC_NO_MEMORY;
}

/* ---- Judging --------------------------------------------------------------------------------- */

struct verify_job {
    const struct jwt *jwt;
    rc_t rc;
};
static void verify(void *arg) {
    struct verify_job *job = arg;
    job->rc =
        es256_verify(token_of_loop.key.public_key, job->jwt->signed_part, job->jwt->signature);
}

rc_t actor_fill(struct arena *a, const struct token_proof *p, struct actor *out) {
    const str parts[] = {p->user_id,    p->email,  p->role,   p->token_id,
                         p->session_id, p->scopes, p->groups, p->org_id};
    str *const targets[] = {&out->user_id,    &out->email,  &out->role,   &out->token_id,
                            &out->session_id, &out->scopes, &out->groups, &out->org_id};
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

/* The text and its signature. */
static rc_t verify_text(struct arena *a, str text, struct jwt *jwt, const char **why) {
    struct jwt_expected expected = {str_from_c(token_of_loop.issuer), AUDIENCE,
                                    str_from_c(token_of_loop.key.kid),
                                    (s64)(auth_now_ns() / NS_PER_S)};
    rc_t rc = jwt_parse(a, text, &expected, jwt, why);
    if (rc == RC_NO_MEMORY) return rc;
    if (rc) return RC_DENIED; /* also when too long: it cannot be ours */
    struct verify_job job = {jwt, RC_DENIED};
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

void jwks_get(struct request *rq) {
    struct json_writer w;
    char x[48], y[48];
    base64url_encode(token_of_loop.key.public_key, 32, x);
    base64url_encode(token_of_loop.key.public_key + 32, 32, y);
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_array(&w, "keys");
    json_object(&w, NULL);
    json_text(&w, "kty", S("EC"));
    json_text(&w, "crv", S("P-256"));
    json_text(&w, "use", S("sig"));
    json_text(&w, "alg", S("ES256"));
    json_text(&w, "kid", str_from_c(token_of_loop.key.kid));
    json_text(&w, "x", str_from_c(x));
    json_text(&w, "y", str_from_c(y));
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
