/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.c — sessions of browsers, carried by a cookie that scripts cannot read.
 *
 *    Set-Cookie: __Host-openpolicy=ops_<43 letters>; Path=/; Secure; HttpOnly; SameSite=Lax
 *
 * The value is 256 random bits; its hash finds the session's row, and for PROOF_KEPT_S the token
 * cache remembers what it proved. Idle for COOKIE_IDLE_S (administrators half of it), at most
 * COOKIE_LIFE_S; remembered: COOKIE_REMEMBER_S.
 *
 * A browser sends a cookie whoever made it ask (CSRF). So a request that changes something and
 * relies on a cookie must come from our own pages: the browser says so in Origin, which no page
 * can forge, and in Sec-Fetch-Site; without Origin it is refused. Always true: a cookie that proves
 * nothing makes a guest, not an error, because browsers send it with everything; two cookies of our
 * name (one was planted) prove nothing; a sign-in never keeps the session that was there. */
#include "app/auth/auth_impl.h"
#include <stdio.h>

str cookie_named(const struct request *rq, str name) {
    str found = {NULL, 0}, value;
    u32 at = 0;
    while (http_field_next(rq->http, S("Cookie"), &at, &value)) {
        str pair;
        while (str_split(&value, ';', &pair)) {
            pair = str_trim(pair);
            if (!str_eq(str_take(pair, str_find_byte(pair, '=')), name)) continue;
            if (found.ptr) return str_of(NULL, 0);
            found = str_skip(pair, MIN(name.len + 1, pair.len));
        }
    }
    return found;
}

str cookie_of(const struct request *rq) {
    str found = cookie_named(rq, S(COOKIE_NAME));
    return str_starts(found, S(COOKIE_PREFIX)) && found.len <= ONCE_TICKET_MAX ? found
                                                                               : str_of(NULL, 0);
}

/* "https://host:port" of the request itself; plain HTTP may be the inside of somebody's TLS. */
bool origin_is_own(const struct request *rq, str origin) {
    str host = http_field(rq->http, S("Host"));
    if (str_starts(origin, S("https://")))
        return host.len && str_eq_nocase(str_skip(origin, 8), host);
    if (rq->http->secure || !str_starts(origin, S("http://"))) return false;
    return host.len && str_eq_nocase(str_skip(origin, 7), host);
}

bool cookie_same_origin(struct request *rq, bool must_say) {
    str origin, second, site = http_field(rq->http, S("Sec-Fetch-Site"));
    u32 at = 0;
    bool said = http_field_next(rq->http, S("Origin"), &at, &origin);
    bool fine =
        said ? origin_is_own(rq, origin) && !http_field_next(rq->http, S("Origin"), &at, &second)
             : !must_say;
    if (site.ptr && !str_eq(site, S("same-origin")) && !str_eq(site, S("none"))) fine = false;
    if (fine) return true;
    reply_problem(rq, 403, "cross_site",
                  "A request that relies on a cookie must come from this appliance's own pages "
                  "(Origin).");
    return false;
}

static rc_t read_session(struct request *rq, str cookie, struct token_proof *out) {
    struct session_state state;
    struct user user;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = session_by_cookie(t, rq->arena, cookie, &user, &state);
    *out = (struct token_proof){0};
    if (rc == RC_OK) rc = membership_fill(t, rq->arena, &user, out);
    db_read_end(t);
    if (rc) return rc;
    u64 now = auth_now_ns(), expires = state.expires_ns;
    if (!state.remember) {
        u64 idle = str_eq(user.role, S("admin")) ? COOKIE_IDLE_S / 2 : COOKIE_IDLE_S;
        expires = MIN(now + idle * NS_PER_S, state.created_ns + COOKIE_LIFE_S * NS_PER_S);
        touch(TOUCH_COOKIE, state.session_id, now, expires, &rq->http->peer);
    }
    *out = (struct token_proof){.token = cookie,
                                .user_id = user.id,
                                .session_id = state.session_id,
                                .role = user.role,
                                .email = user.email,
                                .groups = out->groups,
                                .roles = out->roles,
                                .org_id = out->org_id,
                                .kind = ACTOR_USER,
                                .mfa = state.mfa,
                                .expires_ns = MIN(expires, now + PROOF_KEPT_S * NS_PER_S)};
    return RC_OK;
}

rc_t cookie_verify(struct request *rq, str cookie, struct actor *out, const char **why) {
    struct token_proof proof;
    *why = "the session has ended";
    if (token_cache_find(cookie, auth_now_ns(), &proof)) return actor_fill(rq->arena, &proof, out);
    u64 generation = token_cache_generation();
    rc_t rc = read_session(rq, cookie, &proof);
    if (rc) return rc;
    token_cache_put(&proof, generation);
    return actor_fill(rq->arena, &proof, out);
}

#define ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=Lax"
void cookie_set(struct request *rq, str value, bool remember) {
    char age[32] = "";
    if (remember) snprintf(age, sizeof age, "; Max-Age=%d", COOKIE_REMEMBER_S);
    str line = arena_printf(rq->arena, COOKIE_NAME "=%.*s" ATTRIBUTES "%s", STR(value), age);
    rc_t rc = line.ptr ? http_answer_field(rq->x, S("Set-Cookie"), line) : RC_NO_MEMORY;
    (void)rc; /* without it the browser is simply not signed in */
}

void cookie_clear(struct request *rq) {
    rc_t rc =
        http_answer_field(rq->x, S("Set-Cookie"), S(COOKIE_NAME "=" ATTRIBUTES "; Max-Age=0"));
    (void)rc; /* the session behind it is dead either way */
}
