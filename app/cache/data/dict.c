/* SPDX-License-Identifier: Apache-2.0 */
/* dict.c — linear hashing (W. Litwin, 1980): the table grows by splitting one bucket per insert.
 *
 *   level 8, split 3:   [0][1][2] 3  4  5  6  7 [8][9][10]      buckets = 8 + 3
 *                        `--------- split into b and b + 8
 *   bucket of h:  b = h & 7;  b < split ? h & 15 : b
 *
 * Buckets lie in segments of 4 KiB behind a small directory, so that growing never copies or clears
 * more than one segment. A scan walks bucket numbers of the lower level with their bits reversed
 * and visits both halves of a split bucket: then whatever is split or merged between two calls has
 * either been seen or still comes (the argument of Pieter Noordhuis for tables of powers of two).
 *
 * Always true: each node hangs in the bucket of its hash; split <= mask; count nodes hang there. */
#include "app/cache/data/dict.h"
#include "app/cache/data/memory.h"
#include "app/cache/limits.h"

#define FIRST 4u       /* buckets of a new table */
#define CHAIN_SEEN 12u /* longer chains do not happen under a keyed hash at load 1 */

static u64 seed = 0x9E3779B97F4A7C15ull, random_state = 1;

void cache_random_seed(u64 s) {
    seed ^= s * 0xD1342543DE82EF95ull;
    random_state ^= s | 1;
}

u64 cache_random(void) {
    u64 z = random_state += 0x9E3779B97F4A7C15ull; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

u64 cache_random_below(u64 n) {
    return (u64)(((unsigned __int128)cache_random() * n) >> 64);
}

u32 dict_hash(str key) {
    u64 h = str_hash(key, seed);
    return (u32)(h ^ (h >> 32));
}

u32 dict_buckets(const struct dict *d) {
    return d->segments ? d->mask + 1 + d->split : 0;
}

static u32 bucket_of(const struct dict *d, u32 hash) {
    u32 b = hash & d->mask;
    return b < d->split ? hash & (2 * d->mask + 1) : b;
}

static struct node **bucket(const struct dict *d, u32 b) {
    return &d->segments[b / CACHE_SEGMENT][b % CACHE_SEGMENT];
}

void dict_open(struct dict *d, size_t key_at) {
    *d = (struct dict){.mask = FIRST - 1, .key_at = (u16)key_at};
}

void dict_close(struct dict *d) {
    if (d->segments)
        for (u32 s = 0; s * CACHE_SEGMENT < dict_buckets(d); s++) cache_free(d->segments[s]);
    cache_free(d->segments);
    dict_open(d, d->key_at);
}

void dict_close_empty(struct dict *d) {
    if (!d->count && !d->held) dict_close(d);
}

/* ---- Growing and shrinking by one bucket ----------------------------------------------------- */

/* Bucket b exists and is empty. */
static void bucket_make(struct dict *d, u32 b) {
    u32 s = b / CACHE_SEGMENT;
    if (s >= d->segment_room) {
        d->segment_room = d->segment_room ? d->segment_room * 2 : 1;
        d->segments = cache_resize(d->segments, d->segment_room * sizeof *d->segments);
    }
    if (s) {
        if (b % CACHE_SEGMENT == 0)
            d->segments[s] = cache_alloc(CACHE_SEGMENT * sizeof(struct node *));
    } else if (b >= d->first_room) {
        u32 room = d->first_room ? d->first_room * 2 : FIRST;
        d->segments[0] = cache_resize(d->first_room ? d->segments[0] : NULL,
                                      MIN(room, (u32)CACHE_SEGMENT) * sizeof(struct node *));
        d->first_room = MIN(room, (u32)CACHE_SEGMENT);
    }
    *bucket(d, b) = NULL;
}

static void grow(struct dict *d) {
    u32 from = d->split, level = d->mask + 1;
    if (level >= 1u << 30) return;
    bucket_make(d, level + from);
    struct node **low = bucket(d, from), **high = bucket(d, level + from);
    struct node *n = *low, *next;
    *low = NULL;
    for (; n; n = next) {
        struct node **to = n->hash & level ? high : low;
        next = n->next;
        n->next = *to;
        *to = n;
    }
    if (++d->split == level) {
        d->mask = 2 * level - 1;
        d->split = 0;
    }
}

static void shrink(struct dict *d) {
    if (!d->split) {
        if (d->mask + 1 <= FIRST) return;
        d->mask /= 2;
        d->split = d->mask + 1;
    }
    u32 last = d->mask + d->split;
    struct node **low = bucket(d, --d->split), *high = *bucket(d, last);
    while (*low) low = &(*low)->next;
    *low = high;
    if (last >= CACHE_SEGMENT && last % CACHE_SEGMENT == 0)
        cache_free(d->segments[last / CACHE_SEGMENT]);
}

/* ---- Looking, adding, removing --------------------------------------------------------------- */

struct node **dict_link(const struct dict *d, str key, u32 hash) {
    if (!d->count) return NULL;
    for (struct node **p = bucket(d, bucket_of(d, hash)); *p; p = &(*p)->next)
        if ((*p)->hash == hash && str_eq(dict_key(d, *p), key)) return p;
    return NULL;
}

struct node *dict_find(const struct dict *d, str key) {
    struct node **link = d->count ? dict_link(d, key, dict_hash(key)) : NULL;
    return link ? *link : NULL;
}

void dict_insert(struct dict *d, struct node *n, u32 hash) {
    if (!d->segments)
        for (u32 b = 0; b < FIRST; b++) bucket_make(d, b);
    struct node **at = bucket(d, bucket_of(d, hash));
    n->hash = hash;
    n->next = *at;
    *at = n;
    if (++d->count > dict_buckets(d) && !d->held) grow(d);
}

void dict_unlink(struct dict *d, struct node **link) {
    *link = (*link)->next;
    d->count--;
    for (u32 i = 0; i < 8 && !d->held && (u64)d->count * 4 < dict_buckets(d); i++) shrink(d);
}

struct node *dict_remove(struct dict *d, str key) {
    struct node **link = d->count ? dict_link(d, key, dict_hash(key)) : NULL;
    struct node *n = link ? *link : NULL;
    if (n) dict_unlink(d, link);
    return n;
}

struct node *dict_take_any(struct dict *d) {
    if (!d->count) return NULL;
    u32 b;
    while (!*bucket(d, b = dict_buckets(d) - 1) && b >= FIRST && !d->held) shrink(d);
    while (!*bucket(d, b)) b--; /* held, or the last few */
    struct node **at = bucket(d, b), *n = *at;
    *at = n->next;
    d->count--;
    return n;
}

struct node *dict_random(const struct dict *d) {
    if (!d->count) return NULL;
    u32 buckets = dict_buckets(d);
    for (;;) { /* a random place in a random chain: taken if there is one, so all are alike */
        u64 r = cache_random();
        u32 depth = (u32)(r >> 32) % CHAIN_SEEN;
        struct node *n = *bucket(d, (u32)(((r & 0xFFFFFFFFu) * buckets) >> 32));
        while (n && depth--) n = n->next;
        if (n) return n;
    }
}

/* ---- Walking --------------------------------------------------------------------------------- */

static u64 bits_reversed(u64 v) {
    v = ((v >> 1) & 0x5555555555555555u) | ((v & 0x5555555555555555u) << 1);
    v = ((v >> 2) & 0x3333333333333333u) | ((v & 0x3333333333333333u) << 2);
    v = ((v >> 4) & 0x0F0F0F0F0F0F0F0Fu) | ((v & 0x0F0F0F0F0F0F0F0Fu) << 4);
    return __builtin_bswap64(v);
}

static void see_bucket(const struct dict *d, u32 b, void (*see)(void *, struct node *), void *arg) {
    for (struct node *n = *bucket(d, b), *next; n; n = next) {
        next = n->next;
        see(arg, n);
    }
}

u64 dict_scan(const struct dict *d, u64 cursor, void (*see)(void *arg, struct node *n), void *arg) {
    if (!d->count) return 0;
    u32 b = (u32)cursor & d->mask;
    see_bucket(d, b, see, arg);
    if (b < d->split) see_bucket(d, b + d->mask + 1, see, arg);
    return bits_reversed(bits_reversed(cursor | ~(u64)d->mask) + 1);
}

void dict_walk_begin(struct dict_walk *w, struct dict *d) {
    *w = (struct dict_walk){.d = d};
    d->held++;
}

void dict_walk_end(struct dict_walk *w) {
    if (w->d) w->d->held--;
    w->d = NULL;
}

struct node *dict_walk_next(struct dict_walk *w) {
    if (!w->d) return NULL;
    while (!w->next && w->bucket < dict_buckets(w->d)) w->next = *bucket(w->d, w->bucket++);
    struct node *n = w->next;
    if (n) w->next = n->next;
    else dict_walk_end(w);
    return n;
}

size_t dict_bytes(const struct dict *d) {
    if (!d->segments) return 0;
    u32 segments = (dict_buckets(d) + CACHE_SEGMENT - 1) / CACHE_SEGMENT;
    return cache_size(d->segments) + cache_size(d->segments[0]) +
           (segments - 1) * (CACHE_SEGMENT * sizeof(struct node *) + 8);
}

void dict_check(const struct dict *d) {
    u32 n = 0;
    CHECK(d->split <= d->mask);
    for (u32 b = 0; b < dict_buckets(d); b++)
        for (struct node *at = *bucket(d, b); at; at = at->next, n++)
            CHECK(bucket_of(d, at->hash) == b);
    CHECK(n == d->count);
}
