/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h — the memory of cached data: malloc, counted to the byte. An allocation never fails:
 * whoever lets the data grow asks `cache_room` first, and a reserve covers what that estimate
 * missed. Loop only. */
#pragma once
#include "kernel/base/base.h"

rc_t cache_memory_open(size_t bytes_max); /* at most what MEMORY_CACHE has; RC_NO_MEMORY */
void cache_memory_limit(size_t bytes_max);
size_t cache_memory_limit_get(void);
size_t cache_memory_budget(void);         /* what the machine grants at most */

void *cache_alloc(size_t n);
void *cache_zero(size_t n);
void *cache_resize(void *p, size_t n);    /* p NULL: as cache_alloc */
void cache_free(void *p);                 /* NULL is fine */
size_t cache_size(const void *p);         /* what it really takes */

/* What the cache takes besides, whatever it holds: its tables. INFO and the limit count it. */
void cache_fixed_set(size_t bytes);
size_t cache_fixed(void);
size_t cache_used(void);                  /* bytes, the allocator's own included */
size_t cache_used_peak(void);
void cache_used_peak_reset(void);
/* May `more` bytes be added without leaving the machine's grant? The limit an operator sets is
 * looked at before a command (evict.h); this one bounds a single command's appetite. */
bool cache_room(size_t more);
