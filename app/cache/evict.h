/* SPDX-License-Identifier: Apache-2.0 */
/* evict.h — what goes when memory is short: eight policies. */
#pragma once
#include "app/cache/keys.h"

enum evict_policy {
    EVICT_NOTHING,
    EVICT_ALL_LRU, EVICT_VOLATILE_LRU,
    EVICT_ALL_LFU, EVICT_VOLATILE_LFU,
    EVICT_ALL_RANDOM, EVICT_VOLATILE_RANDOM,
    EVICT_VOLATILE_TTL,
    EVICT_POLICY_COUNT,
};
extern const char *const evict_policy_names[EVICT_POLICY_COUNT];
void evict_policy_set(enum evict_policy p);
enum evict_policy evict_policy_get(void);
extern u32 evict_samples;
/* Removes keys until the data fits its limit, for at most a slice. False: it still does not fit
 * and nothing more can go now. */
bool evict_make_room(void);
void evict_limit_set(u64 bytes); /* 0: the machine's grant alone */
u64 evict_limit_get(void);
