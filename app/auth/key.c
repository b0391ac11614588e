/* SPDX-License-Identifier: Apache-2.0 */
/* key.c — API keys: for programs that act for somebody, without their password.
 *
 *    opk_<43 letters>      base64url of 32 random bytes; the prefix is for those who scan for leaks
 *
 * A key is shown once, when it is made; the table holds its SHA-256 (256 random bits need no slow
 * hash) and its first letters, to tell it from others. It may do what its scopes cover *and* what
 * the policy lets its owner do: access_decide asks both. It dies with its row, its owner's account
 * or its time. Always true: a key never makes a key; a removed one is dead in the next request. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"
#include "app/scope.h"
#include "kernel/platform.h"

enum {
    SECRET_BYTES = 32,
    HINT_LEN = 10, /* "opk_" and six letters: 36 of 256 bits */
    KEY_DEFAULT_S = 90 * 86400,
    KEY_LIFE_MAX_S = 5 * 366 * 86400,
    SCOPES_COUNT_MAX = 32,
    ANSWER_MAX = 1 << 17,
};
#define KEY_LEN (sizeof KEY_PREFIX - 1 + BASE64_LEN(SECRET_BYTES))

/* ---- Judging --------------------------------------------------------------------------------- */

static rc_t proof_read(struct db_rows *r, struct arena *a, struct token_proof *out) {
    out->session_id = arena_copy(a, db_column_text(r, 0));
    out->scopes = arena_copy(a, db_column_text(r, 1));
    out->expires_ns = (u64)db_column_int(r, 2);
    out->user_id = arena_copy(a, db_column_text(r, 3));
    out->email = arena_copy(a, db_column_text(r, 4));
    out->role = arena_copy(a, db_column_text(r, 5));
    out->token_id = out->session_id;
    out->kind = ACTOR_KEY;
    bool whole = out->session_id.ptr && out->scopes.ptr && out->user_id.ptr && out->email.ptr &&
                 out->role.ptr;
    return whole ? RC_OK : RC_NO_MEMORY;
}

static rc_t proof_find(struct arena *a, str text, u64 now, struct token_proof *out) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    u8 hash[SHA256_BYTES];
    sha256(text, hash);
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT k.id,k.scopes,k.expires_ns,u.id,u.email,u.role FROM api_key k"
                  " JOIN user u ON u.id=k.user_id WHERE k.hash=?1 AND u.state='active'"
                  " AND (k.expires_ns=0 OR k.expires_ns>?2)",
                  DB_BLOB(str_of((char *)hash, sizeof hash)), DB_INT(now));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = proof_read(r, a, out);
    db_done(r);
    struct user owner;
    if (rc == RC_OK) rc = user_by_id(t, a, out->user_id, &owner);
    if (rc == RC_OK) rc = membership_fill(t, a, &owner, out);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_DENIED : rc;
}

rc_t api_key_verify(struct request *rq, str text, struct actor *out, const char **why) {
    struct token_proof proof = {.token = text};
    u64 now = auth_now_ns();
    *why = "not a key of ours";
    if (text.len != KEY_LEN || !str_starts(text, S(KEY_PREFIX))) return RC_DENIED;
    if (token_cache_find(text, now, &proof)) return actor_fill(rq->arena, &proof, out);
    u64 generation = token_cache_generation();
    rc_t rc = proof_find(rq->arena, text, now, &proof);
    if (rc == RC_DENIED) *why = "no such key, or it has expired";
    if (rc) return rc;
    u64 kept = now + PROOF_KEPT_S * NS_PER_S;
    proof.expires_ns = proof.expires_ns ? MIN(proof.expires_ns, kept) : kept;
    token_cache_put(&proof, generation);
    touch(TOUCH_KEY, proof.session_id, now, 0, &rq->http->peer);
    return actor_fill(rq->arena, &proof, out);
}

/* ---- Reading --------------------------------------------------------------------------------- */

#define KEY_COLUMNS "id,name,hint,scopes,created_ns,expires_ns,used_ns,used_address"
struct key {
    str id, name, hint, scopes, used_address;
    u64 created_ns, expires_ns, used_ns;
};

static void key_json(struct json_writer *w, const struct key *k, str secret) {
    str rest = k->scopes, word;
    json_object(w, NULL);
    json_text(w, "id", k->id);
    json_text(w, "name", k->name);
    json_text(w, "prefix", k->hint);
    json_array(w, "scopes");
    while (str_split(&rest, ' ', &word)) json_text(w, NULL, word);
    json_array_end(w);
    json_time(w, "created_at", k->created_ns);
    json_time(w, "expires_at", k->expires_ns);
    json_time(w, "last_used_at", k->used_ns);
    json_text(w, "last_used_address", k->used_address);
    if (secret.len) json_text(w, "key", secret);
    json_object_end(w);
}

static struct key key_view(struct db_rows *r) {
    return (struct key){
        .id = db_column_text(r, 0),
        .name = db_column_text(r, 1),
        .hint = db_column_text(r, 2),
        .scopes = db_column_text(r, 3),
        .created_ns = (u64)db_column_int(r, 4),
        .expires_ns = (u64)db_column_int(r, 5),
        .used_ns = (u64)db_column_int(r, 6),
        .used_address = db_column_text(r, 7),
    };
}

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    str user_id = *(const str *)arg;
    struct db_rows *r = NULL;
    (void)rq;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM api_key WHERE user_id=?1", DB_TEXT(user_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT " KEY_COLUMNS " FROM api_key WHERE user_id=?1"
                  " ORDER BY id DESC LIMIT ?2 OFFSET ?3",
                  DB_TEXT(user_id), DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct key k = key_view(r);
        key_json(w, &k, S(""));
    }
    db_done(r);
    return rc;
}

static void no_such_key(struct request *rq) {
    reply_problem(rq, 404, "key_not_found", "There is no API key with this id.");
}

static void list(struct request *rq, str user_id) {
    struct page page;
    if (!request_page(rq, &page)) return;
    page_answer(rq, &page, ANSWER_MAX, items, &user_id, "Listing the keys");
}
void keys_get(struct request *rq) {
    list(rq, rq->actor.user_id);
}
void user_keys_get(struct request *rq) {
    if (user_route_reached(rq)) list(rq, rq->params[0]);
}

void key_get(struct request *rq) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    struct json_writer w;
    rc_t rc = id_valid(rq->params[0]) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = db_query(t, &r, "SELECT " KEY_COLUMNS " FROM api_key WHERE id=?1 AND user_id=?2",
                      DB_TEXT(rq->params[0]), DB_TEXT(rq->actor.user_id));
        if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
            struct key k = key_view(r);
            json_open(&w, 8192);
            key_json(&w, &k, S(""));
        }
        db_done(r);
        db_read_end(t);
    }
    if (rc == RC_OK)
        reply_json(rq, 200, &w);
    else if (rc == RC_NOT_FOUND)
        no_such_key(rq);
    else
        reply_rc(rq, rc, "Reading the key");
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* ["policies:*", "rego:decision:read"] as one text. */
static bool scopes_member(struct request *rq, const cJSON *body, str *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "scopes"), *one;
    char *to = arena_alloc(rq->arena, SCOPES_MAX);
    size_t n = 0;
    bool fine = to && cJSON_IsArray(list) && cJSON_GetArraySize(list) >= 1 &&
                cJSON_GetArraySize(list) <= SCOPES_COUNT_MAX;
    cJSON_ArrayForEach(one, list) {
        str word = fine && cJSON_IsString(one) ? str_from_c(one->valuestring) : S("");
        fine = fine && scope_valid(word) && n + word.len + 1 <= SCOPES_MAX;
        if (!fine) break;
        if (n) to[n++] = ' ';
        memcpy(to + n, word.ptr, word.len);
        n += word.len;
    }
    *out = str_of(to, n);
    if (!fine)
        reply_problem(rq, 422, "scopes_invalid",
                      "\"scopes\" must list 1 to %d scopes such as \"policies:document:read\", "
                      "\"policies:*\" or \"*\", at most %u bytes together.",
                      SCOPES_COUNT_MAX, SCOPES_MAX);
    return fine;
}

static rc_t insert(struct db_txn *t, struct request *rq, const struct key *k, str secret) {
    struct db_rows *r = NULL;
    u8 hash[SHA256_BYTES];
    s64 count = 0;
    sha256(secret, hash);
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM api_key WHERE user_id=?1",
                       DB_TEXT(rq->actor.user_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) count = db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    if (count >= KEYS_PER_USER_MAX) return RC_DENIED;
    rc = db_run(t,
                "INSERT INTO api_key(id,user_id,name,hint,hash,scopes,created_ns,expires_ns)"
                " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                DB_TEXT(k->id), DB_TEXT(rq->actor.user_id), DB_TEXT(k->name), DB_TEXT(k->hint),
                DB_BLOB(str_of((char *)hash, sizeof hash)), DB_TEXT(k->scopes),
                DB_INT(k->created_ns), DB_INT(k->expires_ns));
    struct audit_event event = {
        .action = "key.create",
        .resource = arena_printf(rq->arena, "key/%.*s", STR(k->id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"prefix\":\"%.*s\",\"scopes\":\"%.*s\"}", STR(k->hint),
                               STR(k->scopes)),
    };
    return rc ? rc : audit_add(t, rq, &event);
}

static rc_t key_make(struct request *rq, struct key *k, u64 lifetime_s, str *out_secret) {
    u8 random[SECRET_BYTES];
    char *id = arena_alloc(rq->arena, ID_ROOM), *text = arena_alloc(rq->arena, KEY_LEN + 1);
    struct db_txn *t;
    if (!id || !text) return RC_NO_MEMORY;
    rc_t rc = platform_entropy(random, sizeof random);
    if (rc == RC_OK) rc = id_make(id, &k->id);
    if (rc) return rc;
    memcpy(text, KEY_PREFIX, sizeof KEY_PREFIX - 1);
    base64url_encode(random, sizeof random, text + sizeof KEY_PREFIX - 1);
    secret_wipe(random, sizeof random);
    *out_secret = str_of(text, KEY_LEN);
    k->hint = str_take(*out_secret, HINT_LEN);
    k->created_ns = auth_now_ns();
    k->expires_ns = lifetime_s ? k->created_ns + lifetime_s * NS_PER_S : 0;
    if ((rc = db_write_begin(&t))) return rc;
    return db_write_end(t, insert(t, rq, k, *out_secret));
}

void keys_post(struct request *rq) {
    static const char *const members[] = {"name", "scopes", "expires_in", NULL};
    struct key k = {.used_address = S("")};
    struct json_writer w;
    s64 lifetime = KEY_DEFAULT_S;
    cJSON *body;
    str secret;
    if (!person_recent(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &k.name) ||
        !scopes_member(rq, body, &k.scopes) ||
        !request_member_int(rq, body, "expires_in", false, 0, KEY_LIFE_MAX_S, &lifetime))
        return;
    rc_t rc = key_make(rq, &k, (u64)lifetime, &secret);
    if (rc == RC_DENIED) {
        reply_problem(rq, 409, "too_many_keys", "An account has at most %d API keys; remove one.",
                      KEYS_PER_USER_MAX);
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Making the key");
        return;
    }
    json_open(&w, 8192);
    key_json(&w, &k, secret);
    reply_location(rq, arena_join(rq->arena, S("/api/v1/auth/api-keys/"), k.id));
    reply_json(rq, 201, &w);
}

/* ---- Removing -------------------------------------------------------------------------------- */

static rc_t delete_rows(struct db_txn *t, struct request *rq, str user_id, str id) {
    rc_t rc =
        db_run(t, "DELETE FROM api_key WHERE id=?1 AND user_id=?2", DB_TEXT(id), DB_TEXT(user_id));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    struct audit_event event = {
        .action = "key.delete",
        .resource = arena_printf(rq->arena, "key/%.*s", STR(id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"user\":\"%.*s\"}", STR(user_id)),
    };
    return rc ? rc : audit_add(t, rq, &event);
}

static void key_remove(struct request *rq, str user_id, str id) {
    struct db_txn *t;
    rc_t rc = id_valid(id) && id_valid(user_id) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = delete_rows(t, rq, user_id, id);
        rc = db_write_end(t, rc);
    }
    if (rc == RC_OK) token_cache_drop_session(id);
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        no_such_key(rq);
    else
        reply_rc(rq, rc, "Removing the key");
}

void key_delete(struct request *rq) {
    if (person_only(rq)) key_remove(rq, rq->actor.user_id, rq->params[0]);
}
void user_key_delete(struct request *rq) {
    if (user_route_reached(rq)) key_remove(rq, rq->params[0], rq->params[1]);
}
