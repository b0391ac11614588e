/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h — the cache for the platform itself: keys of its own, which no client of the wire sees,
 * flushes or evicts. Loop only; nothing here parks.
 *
 * Ownership: the cache copies what it keeps; a returned view lives until the next call. */
#pragma once
#include "kernel/base/base.h"

extern const struct module cache_module;
void cache_listen(void); /* opens the ports if somebody may sign in, closes them if nobody may */
