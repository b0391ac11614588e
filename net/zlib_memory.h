/* SPDX-License-Identifier: Apache-2.0 */
/* zlib_memory.h — zlib's states out of the budget of requests: one that finds no memory ends with
 * Z_MEM_ERROR, and the request it serves goes on or fails as its caller says. */
#pragma once
#include "kernel/core/memory.h"
#include <zlib.h>

static inline void *zlib_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return memory_alloc(MEMORY_REQUESTS, (size_t)count * size);
}
static inline void zlib_free(void *unused, void *p) {
    (void)unused;
    memory_free(MEMORY_REQUESTS, p);
}
#define ZLIB_STREAM ((z_stream){.zalloc = zlib_alloc, .zfree = zlib_free})
