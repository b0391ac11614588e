/* SPDX-License-Identifier: Apache-2.0 */
/* evict.c — room for more: before a command that may grow the data, keys go until it fits.
 *
 *   allkeys-*    from all keys          volatile-*   from those with an end
 *   lru  the longest unused             lfu  the least used
 *   random                              ttl  the next to end (exactly: the heap's first)
 *
 * LRU and LFU look at a few keys at random (maxmemory-samples) and keep the best candidates in a
 * pool of sixteen between calls: with five samples that is close to the exact order. One call works
 * for at most a slice; if the data still does not fit, the command goes on while memory is being
 * freed anyway (large values go lazily), and is refused when nothing more can go.
 *
 * Always true: a key in the pool may have gone meanwhile; it is looked up again before it goes. */
#include "app/cache/evict.h"
#include "app/cache/command.h"
#include "app/cache/data/memory.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/platform.h"

const char *const evict_policy_names[EVICT_POLICY_COUNT] = {
    "noeviction", "allkeys-lru", "volatile-lru", "allkeys-lfu", "volatile-lfu",
    "allkeys-random", "volatile-random", "volatile-ttl"};
u32 evict_samples = 5;

#define POOL 16u
#define POOL_KEY 256u /* longer keys are not remembered from call to call */
struct candidate {
    u64 score; /* higher goes first */
    u32 db, len;
    char key[POOL_KEY];
};
static struct {
    enum evict_policy policy;
    u64 limit;
    struct candidate pool[POOL]; /* by score, the best last */
    u32 count;
    u32 next_db;
} ev = {.policy = EVICT_ALL_LRU};

void evict_policy_set(enum evict_policy p) {
    ev.policy = p;
    ev.count = 0;
    keys_use_policy(p == EVICT_ALL_LFU || p == EVICT_VOLATILE_LFU);
}

enum evict_policy evict_policy_get(void) { return ev.policy; }
void evict_limit_set(u64 bytes) { ev.limit = bytes; }
u64 evict_limit_get(void) { return ev.limit; }

static bool ends_only(void) {
    return ev.policy == EVICT_VOLATILE_LRU || ev.policy == EVICT_VOLATILE_LFU ||
           ev.policy == EVICT_VOLATILE_RANDOM || ev.policy == EVICT_VOLATILE_TTL;
}

static u32 eligible(const struct keys *k) { return ends_only() ? k->ends.count : k->dict.count; }

static struct entry *some_key(struct keys *k) {
    if (!ends_only()) return (struct entry *)dict_random(&k->dict);
    return deadlines_some(&k->ends, (u32)cache_random_below(k->ends.count))->item;
}

static u64 score_of(const struct entry *e) {
    if (keys_use_is_lfu()) return 255u - keys_frequency(&e->object);
    return keys_idle_ms(&e->object);
}

static void pool_offer(const struct keys *k, const struct entry *e) {
    u64 score = score_of(e);
    u32 at = 0;
    if (e->node.len > POOL_KEY) return;
    for (u32 i = 0; i < ev.count; i++)
        if (ev.pool[i].db == k->id && ev.pool[i].len == e->node.len &&
            memcmp(ev.pool[i].key, e->key, e->node.len) == 0)
            return;
    while (at < ev.count && ev.pool[at].score < score) at++;
    if (ev.count == POOL) {
        if (!at) return;
        at--;
        memmove(&ev.pool[0], &ev.pool[1], at * sizeof ev.pool[0]);
    } else {
        memmove(&ev.pool[at + 1], &ev.pool[at], (ev.count - at) * sizeof ev.pool[0]);
        ev.count++;
    }
    struct candidate *c = &ev.pool[at];
    c->score = score;
    c->db = k->id;
    c->len = e->node.len;
    memcpy(c->key, e->key, e->node.len);
}

static struct entry *best_of_samples(struct keys **out) {
    for (u32 round = 0; round < 8; round++) {
        for (u32 i = 0; i < CACHE_DATABASES; i++) {
            struct keys *k = &databases[i];
            u32 n = MIN(evict_samples, eligible(k));
            for (u32 j = 0; j < n; j++) pool_offer(k, some_key(k));
        }
        while (ev.count) {
            struct candidate *c = &ev.pool[--ev.count];
            struct keys *k = &databases[c->db];
            struct entry *e = (struct entry *)dict_find(&k->dict, str_of(c->key, c->len));
            if (!e || (ends_only() && !e->deadline_slot)) continue;
            *out = k;
            return e;
        }
    }
    return NULL;
}

static struct entry *choose(struct keys **out) {
    bool random = ev.policy == EVICT_ALL_RANDOM || ev.policy == EVICT_VOLATILE_RANDOM;
    struct entry *best = NULL;
    s64 at = INT64_MAX;
    if (ev.policy == EVICT_NOTHING) return NULL;
    if (!random && ev.policy != EVICT_VOLATILE_TTL) best = best_of_samples(out);
    for (u32 i = 0; i < CACHE_DATABASES && !best; i++) { /* random: databases take turns */
        struct keys *k = &databases[random ? ev.next_db++ % CACHE_DATABASES : i];
        if (!eligible(k)) continue;
        if (ev.policy == EVICT_VOLATILE_TTL) {
            const struct deadline *d = deadlines_first(&k->ends);
            if (d->at >= at) continue;
            at = d->at;
            *out = k;
            continue;
        }
        best = some_key(k);
        *out = k;
    }
    if (at < INT64_MAX) best = deadlines_first(&(*out)->ends)->item;
    return best;
}

static void evict(struct keys *k, struct entry *e) {
    struct text *key = text_new(entry_key(e), 0);
    str name = str_of(key->bytes, key->len);
    keys_delete_entry(k, e);
    keys_stats.evicted++;
    key_changed(NULL, k, name);
    notify(NOTIFY_EVICTED, "evicted", name, k);
    text_drop(key);
}

static bool fits(void) {
    u64 used = cache_used();
    u64 budget = cache_memory_budget();
    budget -= budget / 32; /* what one command may add without asking */
    return used <= budget && (!ev.limit || used + cache_fixed() <= ev.limit);
}

bool evict_make_room(void) {
    if (fits()) return true;
    u64 started = platform_clock_ns(), until = started + LOOP_SLICE_US * NS_PER_US;
    bool some = false;
    for (u32 n = 1; !fits(); n++) {
        struct keys *k = NULL;
        struct entry *e = choose(&k);
        if (!e) break;
        evict(k, e);
        some = true;
        if (n % 8 == 0 && platform_clock_ns() >= until) break;
    }
    latency_see("eviction-cycle", (platform_clock_ns() - started) / NS_PER_MS);
    struct lazy_stats lazy;
    lazy_stats_get(&lazy);
    while (!fits() && lazy.pending && platform_clock_ns() < until) {
        (void)lazy_run(until);
        lazy_stats_get(&lazy);
    }
    return fits() || (some && cache_used() <= cache_memory_budget());
}
