/* SPDX-License-Identifier: Apache-2.0 */
/* use.c — how lately and how often a value was used, in five bytes of it.
 *
 *   LRU   used_at: the second of the last use
 *   LFU   often: a counter that grows ever more rarely (a logarithm); used_at: the minute in which
 *         it was last halved towards zero
 *
 * A counter of 255 stands for about a million uses at the default factor of 10; an unused value
 * loses one each minute. New values begin at 5, so that they are not the first to go. */
#include "app/cache/keys.h"

#define LFU_INITIAL 5u

u32 keys_lfu_log_factor = 10, keys_lfu_decay_minutes = 1;
static bool lfu;

void keys_use_policy(bool use_lfu) { lfu = use_lfu; }
bool keys_use_is_lfu(void) { return lfu; }

static u32 minute(void) { return (u32)(cache_now_ms() / 60000); }

u8 keys_frequency(const struct object *o) {
    u32 passed = minute() - o->used_at;
    u32 lost = keys_lfu_decay_minutes ? passed / keys_lfu_decay_minutes : 0;
    return (u8)(lost > o->often ? 0 : o->often - lost);
}

static void count_use(struct object *o) {
    u8 n = keys_frequency(o);
    u32 above = n > LFU_INITIAL ? n - LFU_INITIAL : 0;
    if (n < 255 && cache_random_below((u64)above * keys_lfu_log_factor + 1) == 0) n++;
    o->often = n;
    o->used_at = minute();
}

void keys_use_begin(struct object *o) {
    o->often = LFU_INITIAL;
    o->used_at = lfu ? minute() : (u32)(cache_now_ms() / 1000);
}

void keys_touch(struct entry *e) {
    if (lfu) count_use(&e->object);
    else e->object.used_at = (u32)(cache_now_ms() / 1000);
}

u64 keys_idle_ms(const struct object *o) {
    if (lfu) return 0;
    s64 idle = cache_now_ms() - (s64)(s32)o->used_at * 1000;
    return idle > 0 ? (u64)idle : 0;
}

void keys_use_set(struct object *o, s64 idle_seconds, s32 frequency) {
    if (lfu && frequency >= 0) {
        o->often = (u8)frequency;
        o->used_at = minute();
    } else if (!lfu && idle_seconds >= 0) {
        s64 at = cache_now_ms() / 1000 - idle_seconds;
        o->used_at = (u32)at; /* may be before the start: the difference is what counts */
    }
}
