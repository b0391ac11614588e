/* SPDX-License-Identifier: Apache-2.0 */
/* session.c — one session per login. Access tokens name it (`sid`) and die with it; a refresh token
 * carries it on and is a new one each time.
 *
 *    refresh token = "opr_" + base64url( session id 16 | family 16 | turn 24 )
 *    row           = SHA-256(family), SHA-256(turn), SHA-256(previous turn), rotated when
 *
 * `family` stays the same for a session's life and proves that a token once was ours; `turn`
 * changes. A right family with a turn that is neither current nor, for REFRESH_GRACE_S, the one
 * before it, is a token used twice: one of the two holders is a thief, so the session ends for
 * both. Any old token of the family shows this, without a row per token. Within the grace a
 * repeated token (two tabs, a lost answer) gets the same successor again, from a small table in
 * memory: nobody is logged out by a flaky network. Always true: the database never holds a token,
 * only hashes of random halves. */
#include "app/auth/auth.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "kernel/platform.h"

enum { ID_BYTES = 16, FAMILY_BYTES = 16, TURN_BYTES = 24 };
enum { REFRESH_BYTES = ID_BYTES + FAMILY_BYTES + TURN_BYTES };
#define REFRESH_PREFIX "opr_"
#define REFRESH_LEN (sizeof REFRESH_PREFIX - 1 + BASE64_LEN(REFRESH_BYTES))

struct refresh_parts {
    u8 id[ID_BYTES], family[FAMILY_BYTES], turn[TURN_BYTES];
};
static_assert(sizeof(struct refresh_parts) == REFRESH_BYTES, "the parts have no padding");

/* ---- Texts ----------------------------------------------------------------------------------- */

static rc_t parts_parse(str token, struct refresh_parts *out) {
    size_t n;
    if (token.len != REFRESH_LEN || !str_starts(token, S(REFRESH_PREFIX))) return RC_INVALID;
    rc_t rc = base64url_decode(str_skip(token, sizeof REFRESH_PREFIX - 1), out, sizeof *out, &n);
    return rc || n != sizeof *out ? RC_INVALID : RC_OK;
}

static str parts_text(struct arena *a, const struct refresh_parts *parts) {
    char *to = arena_alloc(a, REFRESH_LEN + 1);
    if (!to) return str_of(NULL, 0);
    memcpy(to, REFRESH_PREFIX, sizeof REFRESH_PREFIX - 1);
    base64url_encode(parts, sizeof *parts, to + sizeof REFRESH_PREFIX - 1);
    return str_of(to, REFRESH_LEN);
}

static void id_text(const u8 id[ID_BYTES], char to[ID_ROOM]) {
    char hex[ID_BYTES * 2 + 1];
    rc_t rc = str_hex(id, ID_BYTES, hex, sizeof hex);
    CHECK(rc == RC_OK);
    size_t at = 0;
    for (size_t i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) to[at++] = '-';
        to[at++] = hex[i];
    }
    to[at] = 0;
}

static void id_bytes(str text, u8 to[ID_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-') continue;
        u8 v = (u8)(c <= '9' ? c - '0' : c - 'a' + 10);
        to[n / 2] = (u8)(n % 2 ? to[n / 2] | v : v << 4);
        n++;
    }
}

static str hash_of(const void *bytes, size_t n, u8 to[SHA256_BYTES]) {
    sha256(str_of(bytes, n), to);
    return str_of((const char *)to, SHA256_BYTES);
}

/* ---- The grace table ------------------------------------------------------------------------- */

enum { GRACE_SLOTS = 64 };
static struct grace {
    u8 old_hash[SHA256_BYTES]; /* of the whole token that was turned in */
    char next[REFRESH_LEN];
    u64 until_ns; /* platform clock; 0: free */
} grace[GRACE_SLOTS];
static u32 grace_at;

void session_rotated(const struct session_refresh *done, str old_token) {
    if (done->result != REFRESH_ROTATED || done->refresh_token.len != REFRESH_LEN) return;
    struct grace *g = &grace[grace_at++ % GRACE_SLOTS]; /* the oldest gives way */
    sha256(old_token, g->old_hash);
    memcpy(g->next, done->refresh_token.ptr, REFRESH_LEN);
    g->until_ns = platform_clock_ns() + REFRESH_GRACE_S * NS_PER_S;
}

static bool grace_find(struct arena *a, str token, str *out) {
    u8 hash[SHA256_BYTES];
    str key = hash_of(token.ptr, token.len, hash);
    for (size_t i = 0; i < GRACE_SLOTS; i++) {
        struct grace *g = &grace[i];
        if (g->until_ns && g->until_ns < platform_clock_ns()) secret_wipe(g, sizeof *g);
        if (!g->until_ns || !str_eq(key, str_of((char *)g->old_hash, SHA256_BYTES))) continue;
        *out = arena_copy(a, str_of(g->next, REFRESH_LEN));
        return out->ptr != NULL;
    }
    return false;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Which sessions must give way: those that have ended, and the oldest of too many. */
static rc_t make_room(struct db_txn *t, str user_id, u64 now, bool *ended_others) {
    rc_t rc = db_run(t, "DELETE FROM session WHERE expires_ns<=?1", DB_INT(now));
    if (rc == RC_OK)
        rc = db_run(t,
                    "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE user_id=?1"
                    " ORDER BY refreshed_ns DESC LIMIT -1 OFFSET ?2)",
                    DB_TEXT(user_id), DB_INT(SESSIONS_PER_USER_MAX - 1));
    *ended_others = rc == RC_OK && db_changes(t) > 0;
    return rc;
}

static u64 first_expiry(const struct session_options *o, u64 now) {
    u64 idle = o->remember ? COOKIE_REMEMBER_S : COOKIE_IDLE_S;
    if (!o->cookie) return now + SESSION_IDLE_S * NS_PER_S;
    return now + (o->admin && !o->remember ? idle / 2 : idle) * NS_PER_S;
}

static str cookie_make(struct arena *a, u8 hash[SHA256_BYTES]) {
    u8 random[32];
    char text[BASE64_LEN(sizeof random) + 1];
    if (platform_entropy(random, sizeof random)) return str_of(NULL, 0);
    base64url_encode(random, sizeof random, text);
    str cookie = arena_printf(a, COOKIE_PREFIX "%s", text);
    if (cookie.ptr) sha256(cookie, hash);
    secret_wipe(random, sizeof random);
    return cookie;
}

static struct db_value text_or_null(str s) {
    return s.ptr ? DB_TEXT(s) : DB_NULL;
}

static rc_t insert(struct db_txn *t, struct request *rq, str user_id,
                   const struct session_options *o, struct session_start *out) {
    struct refresh_parts parts;
    u8 family[SHA256_BYTES], turn[SHA256_BYTES], cookie[SHA256_BYTES];
    char address[48];
    rc_t rc = platform_entropy(&parts, sizeof parts);
    if (rc) return rc;
    id_bytes(out->session_id, parts.id);
    out->refresh_token = parts_text(rq->arena, &parts);
    out->cookie = o->cookie ? cookie_make(rq->arena, cookie) : str_of(NULL, 0);
    if (!out->refresh_token.ptr || (o->cookie && !out->cookie.ptr)) return RC_NO_MEMORY;
    u64 now = auth_now_ns();
    str client = str_take(http_field(rq->http, S("User-Agent")), 200);
    if (!client.ptr || !str_is_utf8(client)) client = S("");
    rc = db_run(
        t,
        "INSERT INTO session(id,user_id,family,turn,created_ns,refreshed_ns,expires_ns,"
        "address,client,mfa,proved_ns,cookie,remember,client_id,scopes)"
        " VALUES(?1,?2,?3,?4,?5,?5,?6,?7,?8,?9,?5,?10,?11,?12,?13)",
        DB_TEXT(out->session_id), DB_TEXT(user_id),
        DB_BLOB(hash_of(parts.family, FAMILY_BYTES, family)),
        DB_BLOB(hash_of(parts.turn, TURN_BYTES, turn)), DB_INT(now), DB_INT(first_expiry(o, now)),
        DB_TEXT(net_address_text(&rq->http->peer, address, sizeof address)), DB_TEXT(client),
        DB_INT(o->mfa), o->cookie ? DB_BLOB(str_of((char *)cookie, sizeof cookie)) : DB_NULL,
        DB_INT(o->remember), text_or_null(o->client_id), text_or_null(o->scopes));
    secret_wipe(&parts, sizeof parts);
    return rc;
}

rc_t session_begin(struct db_txn *t, struct request *rq, str user_id,
                   const struct session_options *options, struct session_start *out) {
    static const struct session_options plain;
    char *id = arena_alloc(rq->arena, ID_ROOM);
    if (!id) return RC_NO_MEMORY;
    rc_t rc = id_make(id, &out->session_id);
    if (rc == RC_OK) rc = make_room(t, user_id, auth_now_ns(), &out->ended_others);
    return rc ? rc : insert(t, rq, user_id, options ? options : &plain, out);
}

struct session_row {
    u8 family[SHA256_BYTES], turn[SHA256_BYTES], previous[SHA256_BYTES];
    bool has_previous;
    u64 created_ns, refreshed_ns, expires_ns;
    str user_id;
};

static void copy_hash(struct db_rows *r, int column, u8 to[SHA256_BYTES]) {
    str s = db_column_text(r, column);
    memset(to, 0, SHA256_BYTES);
    if (s.len == SHA256_BYTES) memcpy(to, s.ptr, SHA256_BYTES);
}

static rc_t row_read(struct db_txn *t, struct arena *a, str id, struct session_row *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT user_id,family,turn,previous,created_ns,refreshed_ns,expires_ns"
                       " FROM session WHERE id=?1",
                       DB_TEXT(id));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) {
        out->user_id = arena_copy(a, db_column_text(r, 0));
        copy_hash(r, 1, out->family);
        copy_hash(r, 2, out->turn);
        copy_hash(r, 3, out->previous);
        out->has_previous = !db_column_null(r, 3);
        out->created_ns = (u64)db_column_int(r, 4);
        out->refreshed_ns = (u64)db_column_int(r, 5);
        out->expires_ns = (u64)db_column_int(r, 6);
        if (!out->user_id.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static bool hash_matches(const void *bytes, size_t n, const u8 wanted[SHA256_BYTES]) {
    u8 hash[SHA256_BYTES];
    return str_eq_secret(hash_of(bytes, n, hash), str_of((const char *)wanted, SHA256_BYTES));
}

static rc_t turn_over(struct db_txn *t, struct arena *a, struct refresh_parts *parts,
                      const struct session_row *row, u64 now, struct session_refresh *out) {
    u8 hash[SHA256_BYTES];
    rc_t rc = platform_entropy(parts->turn, TURN_BYTES);
    if (rc) return rc;
    out->refresh_token = parts_text(a, parts);
    if (!out->refresh_token.ptr) return RC_NO_MEMORY;
    u64 expires = MIN(now + SESSION_IDLE_S * NS_PER_S, row->created_ns + SESSION_LIFE_S * NS_PER_S);
    out->result = REFRESH_ROTATED;
    return db_run(
        t, "UPDATE session SET previous=turn,turn=?2,refreshed_ns=?3,expires_ns=?4 WHERE id=?1",
        DB_TEXT(out->session_id), DB_BLOB(hash_of(parts->turn, TURN_BYTES, hash)), DB_INT(now),
        DB_INT(expires));
}

rc_t session_rotate(struct db_txn *t, struct arena *a, str token, struct session_refresh *out) {
    struct refresh_parts parts;
    struct session_row row;
    char id[ID_ROOM];
    *out = (struct session_refresh){.result = REFRESH_REFUSED};
    if (parts_parse(token, &parts)) return RC_OK;
    id_text(parts.id, id);
    rc_t rc = row_read(t, a, str_of(id, ID_LEN), &row);
    if (rc) return rc == RC_NOT_FOUND ? RC_OK : rc;
    u64 now = auth_now_ns();
    if (!hash_matches(parts.family, FAMILY_BYTES, row.family) || row.expires_ns <= now)
        return RC_OK;
    out->user_id = row.user_id;
    out->session_id = arena_copy(a, str_of(id, ID_LEN));
    if (!out->session_id.ptr) return RC_NO_MEMORY;
    if (hash_matches(parts.turn, TURN_BYTES, row.turn))
        return turn_over(t, a, &parts, &row, now, out);
    bool lately = now - row.refreshed_ns <= REFRESH_GRACE_S * NS_PER_S && now >= row.refreshed_ns;
    if (row.has_previous && lately && hash_matches(parts.turn, TURN_BYTES, row.previous)) {
        /* Repeated: the same answer if we still know it; else refused, but nobody is a thief yet.
         */
        if (grace_find(a, token, &out->refresh_token)) out->result = REFRESH_REPEATED;
        return RC_OK;
    }
    out->result = REFRESH_REUSED;
    return session_end(t, out->session_id);
}

bool session_of_refresh(struct arena *a, str token, str *out_session_id) {
    struct refresh_parts parts;
    char id[ID_ROOM];
    if (parts_parse(token, &parts)) return false;
    id_text(parts.id, id);
    *out_session_id = arena_copy(a, str_of(id, ID_LEN));
    return out_session_id->ptr != NULL;
}

rc_t session_end(struct db_txn *t, str session_id) {
    return db_run(t, "DELETE FROM session WHERE id=?1", DB_TEXT(session_id));
}

rc_t session_end_all(struct db_txn *t, str user_id, str except_id, s64 *out_count) {
    rc_t rc = db_run(t, "DELETE FROM session WHERE user_id=?1 AND id<>?2", DB_TEXT(user_id),
                     DB_TEXT(except_id.ptr ? except_id : S("")));
    *out_count = rc ? 0 : db_changes(t);
    return rc;
}

rc_t auth_sessions_end(struct db_txn *t) {
    return db_run(t, "DELETE FROM session");
}

#define STATE_QUERY                                                                                \
    "SELECT u.id,u.email,u.name,u.role,u.state,u.password,u.created_ns,u.updated_ns,"              \
    "u.password_ns,u.login_ns,u.locked_ns,u.failures,u.version,u.verified_ns,u.org_id,"            \
    "s.mfa,s.proved_ns,s.remember,s.client_id,s.scopes,s.created_ns,s.refreshed_ns,s.expires_ns,"  \
    "s.id FROM session s JOIN user u ON u.id=s.user_id WHERE u.state='active' AND "

static rc_t state_read(struct db_rows *r, struct arena *a, struct user *out,
                       struct session_state *state) {
    rc_t rc = user_read(r, a, out);
    if (rc) return rc;
    enum { MFA = USER_COLUMN_COUNT, PROVED, REMEMBER, CLIENT, SCOPES, CREATED, TOUCHED, END, ID };
    *state = (struct session_state){
        .mfa = db_column_int(r, MFA) != 0,
        .proved_ns = (u64)db_column_int(r, PROVED),
        .remember = db_column_int(r, REMEMBER) != 0,
        .created_ns = (u64)db_column_int(r, CREATED),
        .touched_ns = (u64)db_column_int(r, TOUCHED),
        .expires_ns = (u64)db_column_int(r, END),
        .session_id = arena_copy(a, db_column_text(r, ID)),
    };
    if (!db_column_null(r, CLIENT)) state->client_id = arena_copy(a, db_column_text(r, CLIENT));
    if (!db_column_null(r, SCOPES)) state->scopes = arena_copy(a, db_column_text(r, SCOPES));
    bool whole = state->session_id.ptr && (state->client_id.ptr || db_column_null(r, CLIENT)) &&
                 (state->scopes.ptr || db_column_null(r, SCOPES));
    return whole ? RC_OK : RC_NO_MEMORY;
}

rc_t session_owner(struct db_txn *t, struct arena *a, str session_id, str user_id, struct user *out,
                   struct session_state *state) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, STATE_QUERY "s.id=?1 AND s.user_id=?2 AND s.expires_ns>?3",
                       DB_TEXT(session_id), DB_TEXT(user_id), DB_INT(auth_now_ns()));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = state_read(r, a, out, state);
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_DENIED : rc;
}

rc_t session_by_cookie(struct db_txn *t, struct arena *a, str cookie, struct user *out,
                       struct session_state *state) {
    struct db_rows *r = NULL;
    u8 hash[SHA256_BYTES];
    rc_t rc = db_query(t, &r, STATE_QUERY "s.cookie=?1 AND s.expires_ns>?2",
                       DB_BLOB(hash_of(cookie.ptr, cookie.len, hash)), DB_INT(auth_now_ns()));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = state_read(r, a, out, state);
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_DENIED : rc;
}
