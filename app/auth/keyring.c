/* SPDX-License-Identifier: Apache-2.0 */
/* keyring.c — the keys that sign access tokens, and their change.
 *
 *      published            signs                     still verifies     gone
 *    |--------------------|-------------------------|------------------|
 *    made  KEY_AHEAD_S    active      KEY_SIGNS_S    the next is active  + a token's life
 *
 * A new key is published (JWKS) a day before it signs, so that whoever caches the set knows it in
 * time; the old one verifies until its last token has expired. Looked at when the database opens
 * and every hour. An administrator may change keys at once (a key may have leaked): then the old
 * ones are removed, and every access token with them; sessions live on.
 *
 * Always true: the row is durable before a key signs; exactly one key signs; ring_ holds what the
 * table holds. Keys and the issuer's name are made on the first start, so tokens outlive a restart
 * and two appliances never accept each other's. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "app/id.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/timer.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum {
    KEYS_MAX = 8,
    KEY_SIGNS_S = 30 * 86400,
    KEY_AHEAD_S = 86400,
    KEY_AFTER_S = ACCESS_SECONDS + CLOCK_SKEW_S,
    LOOK_EVERY_MS = 3600 * 1000,
};
static struct ring_key {
    struct es256_key key;
    u64 created_ns, active_ns;
} ring[KEYS_MAX]; /* the newest first */
static u32 ring_count;
static char ring_issuer[64]; /* "urn:uuid:..." */
static struct timer look;
static bool looking;

/* What applications compare with the discovery document, if the operator gave it a name. */
str keyring_issuer(void) {
    str named = config_text("auth.issuer");
    return named.len ? named : str_from_c(ring_issuer);
}

static const struct ring_key *signer(u64 now) {
    for (u32 i = 0; i < ring_count; i++)
        if (ring[i].active_ns <= now) return &ring[i];
    return ring_count ? &ring[ring_count - 1] : NULL; /* a clock that went back */
}

const struct es256_key *keyring_signer(void) {
    const struct ring_key *k = signer(auth_now_ns());
    return k ? &k->key : NULL;
}

const struct es256_key *keyring_at(u32 i) {
    return i < ring_count ? &ring[i].key : NULL;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static rc_t ring_read(struct db_txn *t) {
    struct db_rows *r = NULL;
    u32 n = 0;
    rc_t rc = db_query(t, &r,
                       "SELECT private_key,public_key,issuer,created_ns,active_ns FROM auth_key"
                       " ORDER BY created_ns DESC,kid LIMIT ?1",
                       DB_INT(KEYS_MAX));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct ring_key *k = &ring[n];
        if ((rc = es256_load(db_column_text(r, 0), db_column_text(r, 1), &k->key))) break;
        if ((rc = str_to_c(db_column_text(r, 2), ring_issuer, sizeof ring_issuer))) break;
        k->created_ns = (u64)db_column_int(r, 3);
        k->active_ns = (u64)db_column_int(r, 4);
        n++;
    }
    db_done(r);
    if (rc == RC_NOT_FOUND) rc = RC_OK;
    ring_count = rc ? 0 : n;
    return rc;
}

struct make_job {
    struct es256_key key;
    rc_t rc;
};
static void make_key(void *arg) {
    struct make_job *job = arg;
    job->rc = es256_make(&job->key);
}

static rc_t key_insert(struct db_txn *t, const struct es256_key *key, u64 active_ns) {
    char id[ID_ROOM], issuer[64] = "urn:uuid:";
    str text;
    if (ring_issuer[0]) {
        memcpy(issuer, ring_issuer, sizeof issuer);
    } else {
        rc_t rc = id_make(id, &text);
        if (rc) return rc;
        memcpy(issuer + 9, text.ptr, text.len + 1);
    }
    return db_run(t,
                  "INSERT INTO auth_key(kid,private_key,public_key,issuer,created_ns,active_ns)"
                  " VALUES(?1,?2,?3,?4,?5,?6)",
                  DB_TEXT(str_from_c(key->kid)),
                  DB_BLOB(str_of((const char *)key->private_key, sizeof key->private_key)),
                  DB_BLOB(str_of((const char *)key->public_key, sizeof key->public_key)),
                  DB_TEXT(str_from_c(issuer)), DB_INT(auth_now_ns()), DB_INT(active_ns));
}

/* ---- Change ---------------------------------------------------------------------------------- */

struct change {
    bool make, now, drop_others;
    u64 drop_active_before_ns; /* 0: none; keys that became active before are gone */
};

static rc_t change_rows(struct db_txn *t, struct request *rq, const struct change *c,
                        const struct es256_key *made) {
    u64 now = auth_now_ns();
    rc_t rc = RC_OK;
    if (c->drop_others) rc = db_run(t, "DELETE FROM auth_key");
    if (rc == RC_OK && c->drop_active_before_ns)
        rc = db_run(t, "DELETE FROM auth_key WHERE active_ns<?1", DB_INT(c->drop_active_before_ns));
    if (rc == RC_OK && c->make)
        rc = key_insert(t, made, c->now ? now : now + KEY_AHEAD_S * NS_PER_S);
    if (rc || !c->make) return rc;
    struct audit_event event = {
        .action = "key.rotate",
        .resource = str_from_c(made->kid),
        .result = "ok",
        .detail = c->drop_others ? S("{\"others\":\"removed\"}") : str_of(NULL, 0),
    };
    return audit_add(t, rq, &event);
}

static rc_t ring_change(struct request *rq, const struct change *c) {
    struct make_job job = {0};
    struct db_txn *t;
    rc_t rc = c->make ? worker_run(make_key, &job) : RC_OK;
    if (rc == RC_OK) rc = job.rc;
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, change_rows(t, rq, c, &job.key));
    if (rc == RC_OK && c->make)
        log_info("auth", "made a key that signs tokens", "kid=%s", job.key.kid);
    secret_wipe(&job, sizeof job);
    if (rc || (rc = db_read_begin(&t))) return rc;
    rc = ring_read(t);
    db_read_end(t);
    return rc;
}

/* What is due now; false: nothing. */
static bool due(struct change *c) {
    u64 now = auth_now_ns();
    const struct ring_key *k = signer(now);
    *c = (struct change){0};
    if (!k) {
        c->make = c->now = true;
        return true;
    }
    u64 age_s = now > k->active_ns ? (now - k->active_ns) / NS_PER_S : 0;
    bool next_waits = ring[0].active_ns > now;
    c->make = !next_waits && age_s >= KEY_SIGNS_S - KEY_AHEAD_S;
    if (age_s >= KEY_AFTER_S && k != &ring[ring_count - 1]) c->drop_active_before_ns = k->active_ns;
    return c->make || c->drop_active_before_ns;
}

static void look_now(void *arg) {
    struct change c;
    (void)arg;
    rc_t rc = due(&c) ? ring_change(NULL, &c) : RC_OK;
    if (rc) log_warn("auth", "the signing keys could not be changed", "rc=%s", rc_name(rc));
    looking = false;
}

static void look_later(void *arg) {
    (void)arg;
    looking = !looking && fiber_start("signing keys", look_now, NULL, NULL) == RC_OK;
    rc_t rc = timer_start_after_ms(&look, LOOK_EVERY_MS);
    if (rc) log_warn("auth", "no timer for the signing keys");
}

rc_t keyring_start(void) {
    struct db_txn *t;
    struct change c;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = ring_read(t);
    db_read_end(t);
    if (rc == RC_OK && due(&c)) rc = ring_change(NULL, &c);
    if (rc) return rc;
    timer_init(&look, look_later, NULL);
    return timer_start_after_ms(&look, LOOK_EVERY_MS);
}

void keyring_stop(void) {
    timer_stop(&look);
    secret_wipe(ring, sizeof ring);
    ring_count = 0;
}

/* ---- Routes ---------------------------------------------------------------------------------- */

void jwks_get(struct request *rq) {
    struct json_writer w;
    char x[48], y[48];
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_array(&w, "keys");
    for (u32 i = 0; i < ring_count; i++) {
        base64url_encode(ring[i].key.public_key, 32, x);
        base64url_encode(ring[i].key.public_key + 32, 32, y);
        json_object(&w, NULL);
        json_text(&w, "kty", S("EC"));
        json_text(&w, "crv", S("P-256"));
        json_text(&w, "use", S("sig"));
        json_text(&w, "alg", S("ES256"));
        json_text(&w, "kid", str_from_c(ring[i].key.kid));
        json_text(&w, "x", str_from_c(x));
        json_text(&w, "y", str_from_c(y));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void signing_keys_get(struct request *rq) {
    const struct ring_key *signs = signer(auth_now_ns());
    struct json_writer w;
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_array(&w, "items");
    for (u32 i = 0; i < ring_count; i++) {
        json_object(&w, NULL);
        json_text(&w, "kid", str_from_c(ring[i].key.kid));
        json_text(&w, "algorithm", S("ES256"));
        json_time(&w, "created_at", ring[i].created_ns);
        json_time(&w, "active_at", ring[i].active_ns);
        json_bool(&w, "signs", &ring[i] == signs);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void signing_keys_rotate_post(struct request *rq) {
    static const char *const members[] = {"now", NULL};
    struct change c = {.make = true};
    cJSON *body;
    if (!person_recent(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_bool(rq, body, "now", false, &c.now))
        return;
    c.drop_others = c.now;
    if (!c.now && (ring_count == KEYS_MAX || (ring_count && ring[0].active_ns > auth_now_ns()))) {
        reply_problem(
            rq, 409, "already_waiting",
            "A new key is published already and signs within a day; \"now\": true changes "
            "keys at once.");
        return;
    }
    rc_t rc = ring_change(rq, &c);
    if (rc == RC_OK && c.now) token_cache_drop_all();
    if (rc)
        reply_rc(rq, rc, "Changing the keys");
    else
        signing_keys_get(rq);
}
