/* SPDX-License-Identifier: Apache-2.0 */
/* token_cache.c — access tokens already found good, so that the next request with one costs a hash
 * and a comparison instead of a P-256 verification and two database rows.
 *
 *    bucket = keyed hash of the token -> TOKEN_WAYS slots, each with the whole token
 *
 * Always true: a slot answers only for the identical token, before its expiry, and while nobody has
 * ended its session, disabled its user or changed their role: those drop the slot at once. A proof
 * being made while something is dropped is not kept (generation). Lives on the loop; bounded; the
 * oldest of a bucket gives way. The database stays the authority: an empty cache is only slower. */
#include "app/auth/auth_impl.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { TOKEN_WAYS = 4, TOKEN_KEPT_MAX = 1024 };
struct slot {
    u64 hash, used_at, expires_ns; /* used_at 0: free */
    u16 token_len, email_len, role_len;
    char user_id[36], session_id[36], token_id[36], role[8];
    char email[EMAIL_MAX];
    char token[TOKEN_KEPT_MAX];
};
static struct {
    struct slot *slots;
    size_t buckets; /* a power of two */
    u64 seed, clock, generation;
} cache;

rc_t token_cache_start(void) {
    size_t room = memory_heap_bytes() / 256, buckets = 8;
    while (buckets < 1024 && buckets * 2 * TOKEN_WAYS * sizeof(struct slot) <= room) buckets *= 2;
    rc_t rc = platform_entropy(&cache.seed, sizeof cache.seed);
    if (rc) return rc;
    cache.slots = memory_zero(MEMORY_SERVICES, buckets * TOKEN_WAYS * sizeof(struct slot));
    cache.buckets = cache.slots ? buckets : 0;
    return cache.slots ? RC_OK : RC_NO_MEMORY;
}

void token_cache_stop(void) {
    if (cache.slots) secret_wipe(cache.slots, cache.buckets * TOKEN_WAYS * sizeof(struct slot));
    memory_free(MEMORY_SERVICES, cache.slots);
    cache.slots = NULL;
    cache.buckets = 0;
}

static struct slot *bucket_of(u64 hash) {
    return cache.slots + (hash & (cache.buckets - 1)) * TOKEN_WAYS;
}

/* Eight bytes at a time, time by length alone: the tokens are secrets. */
static bool same_token(const struct slot *s, str token) {
    u64 difference = 0, x, y;
    size_t i = 0;
    if (s->token_len != token.len) return false;
    for (; i + 8 <= token.len; i += 8) {
        memcpy(&x, s->token + i, 8);
        memcpy(&y, token.ptr + i, 8);
        difference |= x ^ y;
    }
    for (; i < token.len; i++) difference |= (u64)(u8)(s->token[i] ^ token.ptr[i]);
    return difference == 0;
}

bool token_cache_find(str token, u64 now_ns, struct token_proof *out) {
    if (cache.buckets == 0 || token.len > TOKEN_KEPT_MAX) return false;
    u64 hash = str_hash(token, cache.seed);
    struct slot *s = bucket_of(hash);
    for (u32 i = 0; i < TOKEN_WAYS; i++, s++) {
        if (s->used_at == 0 || s->hash != hash || !same_token(s, token)) continue;
        if (s->expires_ns <= now_ns) {
            secret_wipe(s, sizeof *s);
            return false;
        }
        s->used_at = ++cache.clock;
        *out = (struct token_proof){
            .token = str_of(s->token, s->token_len),
            .user_id = str_of(s->user_id, sizeof s->user_id),
            .session_id = str_of(s->session_id, sizeof s->session_id),
            .token_id = str_of(s->token_id, sizeof s->token_id),
            .role = str_of(s->role, s->role_len),
            .email = str_of(s->email, s->email_len),
            .expires_ns = s->expires_ns,
        };
        return true;
    }
    return false;
}

u64 token_cache_generation(void) {
    return cache.generation;
}

void token_cache_put(const struct token_proof *p, u64 generation) {
    if (cache.buckets == 0 || generation != cache.generation) return;
    if (p->token.len > TOKEN_KEPT_MAX || p->email.len > EMAIL_MAX || p->role.len > 8) return;
    if (p->user_id.len != 36 || p->session_id.len != 36 || p->token_id.len != 36) return;
    u64 hash = str_hash(p->token, cache.seed);
    struct slot *s = bucket_of(hash), *oldest = s;
    for (u32 i = 0; i < TOKEN_WAYS; i++)
        if (s[i].used_at < oldest->used_at) oldest = s + i;
    *oldest = (struct slot){.hash = hash,
                            .used_at = ++cache.clock,
                            .expires_ns = p->expires_ns,
                            .token_len = (u16)p->token.len,
                            .email_len = (u16)p->email.len,
                            .role_len = (u16)p->role.len};
    memcpy(oldest->user_id, p->user_id.ptr, 36);
    memcpy(oldest->session_id, p->session_id.ptr, 36);
    memcpy(oldest->token_id, p->token_id.ptr, 36);
    memcpy(oldest->role, p->role.ptr, p->role.len);
    memcpy(oldest->email, p->email.ptr, p->email.len);
    memcpy(oldest->token, p->token.ptr, p->token.len);
}

void token_cache_drop_session(str session_id) {
    cache.generation++;
    for (size_t i = 0; i < cache.buckets * TOKEN_WAYS; i++) {
        struct slot *s = cache.slots + i;
        if (s->used_at && str_eq(session_id, str_of(s->session_id, sizeof s->session_id)))
            secret_wipe(s, sizeof *s);
    }
}

void token_cache_drop_user(str user_id) {
    cache.generation++;
    for (size_t i = 0; i < cache.buckets * TOKEN_WAYS; i++) {
        struct slot *s = cache.slots + i;
        if (s->used_at && str_eq(user_id, str_of(s->user_id, sizeof s->user_id)))
            secret_wipe(s, sizeof *s);
    }
}
