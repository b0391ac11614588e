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

enum { TOKEN_WAYS = 4, TOKEN_KEPT_MAX = 1024, TEXTS = 9 };
struct slot {
    u64 hash, used_at, expires_ns; /* used_at 0: free */
    u16 token_len, lens[TEXTS];
    u8 kind;
    bool mfa, bounded; /* bounded: there is a list of scopes, perhaps an empty one */
    char session_id[36], user_id[36];
    char bytes[1424]; /* the token, then the texts in the order of texts_of */
};
/* Where each text of a proof lies; the same order in every slot. */
static void texts_of(struct token_proof *p, str *out[TEXTS]) {
    str *all[TEXTS] = {&p->user_id, &p->session_id, &p->token_id, &p->role,
                       &p->email,   &p->scopes,     &p->groups,   &p->roles,
                       &p->org_id};
    memcpy(out, all, sizeof all);
}
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
        memcpy(&x, s->bytes + i, 8);
        memcpy(&y, token.ptr + i, 8);
        difference |= x ^ y;
    }
    for (; i < token.len; i++) difference |= (u64)(u8)(s->bytes[i] ^ token.ptr[i]);
    return difference == 0;
}

static void unpack(const struct slot *s, struct token_proof *out) {
    const char *at = s->bytes + s->token_len;
    str *texts[TEXTS];
    texts_of(out, texts);
    out->token = str_of(s->bytes, s->token_len);
    for (u32 i = 0; i < TEXTS; i++) {
        *texts[i] = str_of(at, s->lens[i]);
        at += s->lens[i];
    }
    if (!s->bounded) out->scopes = str_of(NULL, 0);
    out->kind = (enum actor_kind)s->kind;
    out->mfa = s->mfa;
    out->expires_ns = s->expires_ns;
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
        unpack(s, out);
        return true;
    }
    return false;
}

u64 token_cache_generation(void) {
    return cache.generation;
}

/* Its texts behind each other; false: it does not fit, and is not kept. */
static bool pack(struct slot *s, const struct token_proof *proof) {
    struct token_proof p = *proof;
    size_t n = p.token.len;
    str *texts[TEXTS];
    texts_of(&p, texts);
    if (n == 0 || n > TOKEN_KEPT_MAX) return false;
    memcpy(s->bytes, p.token.ptr, n);
    s->token_len = (u16)n;
    for (u32 i = 0; i < TEXTS; i++) {
        if (texts[i]->len > sizeof s->bytes - n) return false;
        if (texts[i]->len) memcpy(s->bytes + n, texts[i]->ptr, texts[i]->len);
        s->lens[i] = (u16)texts[i]->len;
        n += texts[i]->len;
    }
    s->kind = (u8)p.kind;
    s->mfa = p.mfa;
    s->bounded = p.scopes.ptr != NULL;
    s->expires_ns = p.expires_ns;
    return true;
}

void token_cache_put(const struct token_proof *p, u64 generation) {
    if (cache.buckets == 0 || generation != cache.generation) return;
    if (p->user_id.len != 36 || p->session_id.len != 36) return;
    u64 hash = str_hash(p->token, cache.seed);
    struct slot *s = bucket_of(hash), *oldest = s;
    for (u32 i = 0; i < TOKEN_WAYS; i++)
        if (s[i].used_at < oldest->used_at) oldest = s + i;
    *oldest = (struct slot){.hash = hash};
    if (!pack(oldest, p)) {
        secret_wipe(oldest, sizeof *oldest);
        return;
    }
    memcpy(oldest->user_id, p->user_id.ptr, 36);
    memcpy(oldest->session_id, p->session_id.ptr, 36);
    oldest->used_at = ++cache.clock;
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

void token_cache_drop_all(void) {
    cache.generation++;
    if (cache.slots) secret_wipe(cache.slots, cache.buckets * TOKEN_WAYS * sizeof(struct slot));
}
