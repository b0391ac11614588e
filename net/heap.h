/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h — memory of the network row: lwIP's and the streams' small blocks, out of one budget. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/core/memory.h"
#include "net/config/lwip_hooks.h"

/* Bytes handed out and not yet returned; the budget's limit. Both without a lock. */
size_t net_heap_used(void);
size_t net_heap_limit(void);
/* More than three quarters gone: what can wait (send buffers) waits, so that acknowledgements and
 * received frames still find room. */
bool net_heap_tight(void);
