/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c — SQLite's memory comes from its budget and from nowhere else.
 *
 * memory.c bounds and counts; a request that does not fit is refused, SQLite then rolls the
 * statement back and reports SQLITE_NOMEM, and the caller sees RC_NO_MEMORY. Sanitizers see every
 * block. Sizes are kept by memory.c, so there is no header of our own. */
#include "kernel/core/memory.h"
#include "storage/store.h"
#include <sqlite3.h>

static void *heap_malloc(int n) { return n > 0 ? memory_alloc(MEMORY_SQL, (size_t)n) : NULL; }
static void heap_free(void *p) { memory_free(MEMORY_SQL, p); }
static void *heap_realloc(void *p, int n) { return memory_resize(MEMORY_SQL, p, (size_t)n); }
static int heap_size(void *p) { return p ? (int)memory_size(p) : 0; }
static int heap_roundup(int n) { return (n + 15) & ~15; }
static int heap_init(void *arg) {
    (void)arg;
    return SQLITE_OK;
}
static void heap_shutdown(void *arg) { (void)arg; }

rc_t heap_start(void) {
    static const sqlite3_mem_methods methods = {heap_malloc,  heap_free, heap_realloc,  heap_size,
                                                heap_roundup, heap_init, heap_shutdown, NULL};
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK ? RC_OK : RC_CONFLICT;
}
