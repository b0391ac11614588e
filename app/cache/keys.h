/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h — the databases: keys, their values, and when they end. Knows no client and no command;
 * who wants to hear of changes sets keys_hooks.
 *
 * Times are milliseconds of a clock that never jumps (cache_now_ms, fixed for the length of a
 * command). The wall clock's own times are that plus cache_wall_offset_ms, which follows it when
 * somebody sets it: what was to live for a minute still does. */
#pragma once
#include "app/cache/data/deadlines.h"
#include "app/cache/data/dict.h"
#include "app/cache/limits.h"
#include "app/cache/object.h"

/* One block per key: | entry | key | a short string's bytes |. */
struct entry {
    struct node node;
    struct object object;
    u32 deadline_slot;
    char key[];
};
static inline str entry_key(const struct entry *e) { return str_of(e->key, e->node.len); }

struct keys {
    struct dict dict;
    struct deadlines ends;
    u32 id;
};
extern struct keys databases[CACHE_DATABASES];

void keys_open(void);
void keys_clock_tick(void);  /* reads the clock; before each command */
s64 cache_now_ms(void);
s64 cache_wall_offset_ms(void);
u64 cache_now_us(void);      /* read now */

/* Looking. Ended keys are not there (and are deleted on the way). `_read` counts a hit or a miss
 * and marks use; `keys_peek` does neither. */
struct entry *keys_peek(struct keys *k, str key);
struct entry *keys_read(struct keys *k, str key);
struct entry *keys_write(struct keys *k, str key); /* to change it: marks use only */
void keys_touch(struct entry *e);                  /* marks use */

/* Adding: the key must be absent. Takes the object. */
struct entry *keys_add(struct keys *k, str key, struct object o);
/* Sets whether or not it is there; its end is kept only with keep_end. Takes the object. The entry
 * may have moved. */
struct entry *keys_put(struct keys *k, str key, struct object o, bool keep_end);
/* The same for a string, which is put where it takes the least room. */
struct entry *keys_put_str(struct keys *k, str key, str value, bool keep_end);
/* Exchanges the value of an entry that is there; the old one is freed. */
void keys_replace(struct entry *e, struct object o);
bool keys_delete(struct keys *k, str key);
void keys_delete_entry(struct keys *k, struct entry *e);
struct object keys_take(struct keys *k, struct entry *e); /* deletes the key, gives its value */
void keys_flush(struct keys *k);
void keys_swap(struct keys *a, struct keys *b);
struct entry *keys_random(struct keys *k);

/* Ends. -1: never. */
s64 keys_end(const struct keys *k, const struct entry *e);
void keys_end_set(struct keys *k, struct entry *e, s64 at_ms);
bool keys_end_drop(struct keys *k, struct entry *e); /* false: had none */
/* Deletes what has ended, until the clock says until_ns; false: nothing more is due. */
bool keys_expire_run(u64 until_ns);
s64 keys_next_end_ms(void);      /* INT64_MAX: none */
void keys_expiry_set(bool active); /* off: only on access (for tests of that) */

/* Heard of every change. Each may be NULL. */
struct keys_hooks {
    void (*changed)(struct keys *k, str key);  /* by deletion at its end, or eviction */
    void (*expired)(struct keys *k, str key);  /* after it has been deleted */
    bool paused;                               /* nothing ends by itself now (CLIENT PAUSE) */
    void (*fields_end)(struct keys *k, struct entry *e); /* deletes ended fields of a hash */
};
extern struct keys_hooks keys_hooks;

struct keys_stats {
    u64 hits, misses, expired, expired_fields, evicted;
};
extern struct keys_stats keys_stats;

/* How often and how lately a value was used. */
void keys_use_begin(struct object *o); /* a new value */
void keys_use_policy(bool lfu);
bool keys_use_is_lfu(void);
extern u32 keys_lfu_log_factor, keys_lfu_decay_minutes;
u64 keys_idle_ms(const struct object *o);
u8 keys_frequency(const struct object *o); /* decayed to now */
void keys_use_set(struct object *o, s64 idle_seconds, s32 frequency); /* -1: leave; RESTORE */
