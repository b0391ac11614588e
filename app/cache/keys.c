/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c — sixteen databases of keys.
 *
 *   dict --> | next hash len | object, 16 bytes | slot | key bytes | bytes of a short string |
 *                                   |              `--> deadlines: who ends next
 *                                   `--> whatever the type keeps
 *
 * One block per key, and for a number or a short string nothing else. When a short string changes
 * its length the block may move: only the chain's link and the deadline know its address.
 *
 * Always true: an entry in `ends` has its slot, and no other; a key found is one that has not
 * ended; an EMBED object lies in an entry and ends inside its block. */
#include "app/cache/keys.h"
#include "app/cache/data/hash.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "kernel/platform.h"

struct keys databases[CACHE_DATABASES];
struct keys_hooks keys_hooks;
struct keys_stats keys_stats;
static struct {
    s64 now_ms, wall_offset_ms;
    bool known, active;
} now = {.active = true};

/* ---- Time ------------------------------------------------------------------------------------ */

void keys_clock_tick(void) {
    now.now_ms = (s64)(platform_clock_ns() / NS_PER_MS) + 1;
    s64 wall_ms = (s64)(platform_wall_ns() / NS_PER_MS), drift;
    /* One more: the two clocks' fractions differ, and no end of the wall clock's may seem later
     * than it was asked for. */
    drift = wall_ms + 1 - now.now_ms - now.wall_offset_ms;
    if (!now.known || drift > 1000 || drift < -1000) now.wall_offset_ms += drift;
    now.known = true;
}

s64 cache_now_ms(void) { return now.now_ms; }
s64 cache_wall_offset_ms(void) { return now.wall_offset_ms; }
u64 cache_now_us(void) { return platform_clock_ns() / NS_PER_US; }

void keys_open(void) {
    u64 seed;
    if (platform_entropy(&seed, sizeof seed)) seed = platform_clock_ns();
    cache_random_seed(seed);
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        struct keys *k = &databases[i];
        if (k->dict.segments || k->ends.chunks) keys_flush(k);
        dict_open(&k->dict, offsetof(struct entry, key));
        deadlines_open(&k->ends, offsetof(struct entry, deadline_slot));
        k->id = i;
    }
    keys_clock_tick();
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static struct entry *entry_new(str key, size_t more) {
    struct entry *e = cache_alloc(sizeof *e + key.len + more);
    *e = (struct entry){.node.len = (u32)key.len};
    if (key.len) memcpy(e->key, key.ptr, key.len);
    return e;
}

static void entry_free(void *node) {
    struct entry *e = node;
    object_free(&e->object);
    cache_free(e);
}

static void embed(struct entry *e, str value) {
    char *to = e->key + e->node.len;
    if (value.len) memcpy(to, value.ptr, value.len);
    e->object.type = OBJECT_STRING;
    e->object.encoding = ENC_EMBED;
    e->object.embed.at = (u32)(to - (char *)&e->object);
    e->object.embed.len = (u32)value.len;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void ended(struct keys *k, struct entry *e) {
    char few[256];
    struct text *many = NULL;
    str key = entry_key(e);
    if (key.len > sizeof few) {
        many = text_new(key, 0);
        key = str_of(many->bytes, key.len);
    } else {
        memcpy(few, key.ptr, key.len);
        key.ptr = few;
    }
    keys_delete_entry(k, e);
    keys_stats.expired++;
    if (keys_hooks.changed) keys_hooks.changed(k, key);
    if (keys_hooks.expired) keys_hooks.expired(k, key);
    if (many) text_drop(many);
}

struct entry *keys_peek(struct keys *k, str key) {
    struct entry *e = (struct entry *)dict_find(&k->dict, key);
    if (!e || !e->deadline_slot || deadlines_at(&k->ends, e) > now.now_ms) return e;
    if (!keys_hooks.paused) ended(k, e);
    return NULL;
}

struct entry *keys_read(struct keys *k, str key) {
    struct entry *e = keys_peek(k, key);
    if (!e) {
        keys_stats.misses++;
        return NULL;
    }
    keys_stats.hits++;
    keys_touch(e);
    return e;
}

struct entry *keys_write(struct keys *k, str key) {
    struct entry *e = keys_peek(k, key);
    if (e) keys_touch(e);
    return e;
}

struct entry *keys_random(struct keys *k) {
    for (u32 tries = 0; tries < 100; tries++) {
        struct entry *e = (struct entry *)dict_random(&k->dict);
        if (!e || !e->deadline_slot || deadlines_at(&k->ends, e) > now.now_ms) return e;
        if (!keys_hooks.paused) ended(k, e);
    }
    return NULL;
}

/* ---- Adding and exchanging ------------------------------------------------------------------- */

struct entry *keys_add(struct keys *k, str key, struct object o) {
    struct entry *e = entry_new(key, 0);
    e->object = o;
    keys_use_begin(&e->object);
    dict_insert(&k->dict, &e->node, dict_hash(key));
    return e;
}

void keys_replace(struct entry *e, struct object o) {
    struct object old = e->object;
    o.used_at = old.used_at;
    o.often = old.often;
    e->object = o;
    if (old.encoding != ENC_EMBED || old.type != OBJECT_STRING) object_free(&old);
}

struct entry *keys_put(struct keys *k, str key, struct object o, bool keep_end) {
    struct entry *e = keys_write(k, key);
    if (!e) return keys_add(k, key, o);
    if (!keep_end) (void)keys_end_drop(k, e);
    keys_replace(e, o);
    return e;
}

/* The entry's block, with room for `more` bytes behind the key. */
static struct entry *entry_resize(struct keys *k, struct node **link, size_t more) {
    struct entry *e = (struct entry *)*link;
    size_t want = sizeof *e + e->node.len + more, have = cache_size(e) - 8;
    if (want <= have && have - want < 64) return e;
    e = cache_resize(e, want);
    *link = &e->node;
    deadlines_moved(&k->ends, e);
    return e;
}

struct entry *keys_put_str(struct keys *k, str key, str value, bool keep_end) {
    s64 n;
    bool integer = integer_parse(value, &n), small = !integer && value.len <= CACHE_EMBED_MAX;
    u32 hash = dict_hash(key);
    struct node **link = dict_link(&k->dict, key, hash);
    struct entry *e = link ? (struct entry *)*link : NULL;
    if (!e) {
        e = entry_new(key, small ? value.len : 0);
        keys_use_begin(&e->object);
        dict_insert(&k->dict, &e->node, hash);
    } else {
        if (!keep_end) (void)keys_end_drop(k, e);
        if (e->object.encoding != ENC_EMBED) object_free(&e->object);
        e = entry_resize(k, link, small ? value.len : 0);
    }
    if (small) {
        embed(e, value);
    } else {
        struct object o = integer ? object_of_integer(n) : object_of_text(text_new(value, 0));
        o.used_at = e->object.used_at;
        o.often = e->object.often;
        e->object = o;
    }
    keys_touch(e);
    return e;
}

/* ---- Deleting -------------------------------------------------------------------------------- */

static void unlink_entry(struct keys *k, struct entry *e) {
    struct node **link = dict_link(&k->dict, entry_key(e), e->node.hash);
    CHECK(link && *link == &e->node);
    dict_unlink(&k->dict, link);
    deadlines_drop(&k->ends, e);
}

void keys_delete_entry(struct keys *k, struct entry *e) {
    unlink_entry(k, e);
    entry_free(e);
}

bool keys_delete(struct keys *k, str key) {
    struct entry *e = keys_peek(k, key);
    if (e) keys_delete_entry(k, e);
    return e != NULL;
}

struct object keys_take(struct keys *k, struct entry *e) {
    struct object o = object_take(&e->object);
    keys_delete_entry(k, e);
    return o;
}

void keys_flush(struct keys *k) {
    struct dict old = k->dict;
    dict_open(&k->dict, offsetof(struct entry, key));
    deadlines_close(&k->ends);
    if (old.segments) lazy_free_dict(old, entry_free);
}

void keys_swap(struct keys *a, struct keys *b) {
    struct keys was = *a;
    *a = *b;
    *b = was;
    b->id = a->id;
    a->id = was.id;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

s64 keys_end(const struct keys *k, const struct entry *e) {
    return e->deadline_slot ? deadlines_at(&k->ends, e) : -1;
}

void keys_end_set(struct keys *k, struct entry *e, s64 at_ms) {
    deadlines_set(&k->ends, e, at_ms);
}

bool keys_end_drop(struct keys *k, struct entry *e) {
    bool had = e->deadline_slot != 0;
    deadlines_drop(&k->ends, e);
    return had;
}

void keys_expiry_set(bool active) { now.active = active; }

s64 keys_next_end_ms(void) {
    s64 next = INT64_MAX;
    for (u32 i = 0; now.active && i < CACHE_DATABASES; i++) {
        const struct deadline *d = deadlines_first(&databases[i].ends);
        if (d && d->at < next) next = d->at;
    }
    s64 at;
    if (now.active && hashes_ending_first(&at) && at < next) next = at;
    return next;
}

/* Fields of hashes. One that is in no database any more waits to be freed. */
static bool fields_expire(u64 until_ns) {
    struct entry *e;
    s64 at;
    for (u32 n = 1; (e = hashes_ending_first(&at)) && at <= now.now_ms; n++) {
        struct keys *k = NULL;
        for (u32 i = 0; i < CACHE_DATABASES && !k; i++)
            if (dict_find(&databases[i].dict, entry_key(e)) == &e->node) k = &databases[i];
        if (k && keys_hooks.fields_end) keys_hooks.fields_end(k, e);
        else hashes_ending_forget(&e->object);
        if (n % 4 == 0 && platform_clock_ns() >= until_ns) return true;
    }
    return false;
}

bool keys_expire_run(u64 until_ns) {
    if (keys_hooks.paused || !now.active) return false;
    keys_clock_tick();
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        struct keys *k = &databases[i];
        const struct deadline *d;
        for (u32 n = 1; (d = deadlines_first(&k->ends)) && d->at <= now.now_ms; n++) {
            ended(k, d->item);
            if (n % 16 == 0 && platform_clock_ns() >= until_ns) return true;
        }
    }
    return fields_expire(until_ns);
}
