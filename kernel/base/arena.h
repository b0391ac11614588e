/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h — bump memory with one owner: allocate freely, register cleanups, drop it all at once.
 * Every arena has a maximum; reaching it returns NULL, and the caller answers 413 or 503.
 * Not for more than one thread at a time. */
#pragma once
#include "kernel/base/base.h"

struct arena_block;
struct arena_cleanup;
struct arena {
    char *at, *end;             /* free bytes of the current block */
    struct arena_block *blocks; /* newest first; the caller's first block is not in here */
    struct arena_cleanup *cleanups;
    char *first;                /* the caller's block, may be NULL */
    size_t first_bytes;
    size_t used, max;           /* bytes taken from malloc and the first block */
    bool starved;               /* a NULL was malloc's fault, not the maximum's: come again later */
};

/* `first` (may be NULL) is memory of the caller's that outlives the arena, used before malloc. */
void arena_open(struct arena *a, void *first, size_t first_bytes, size_t bytes_max);
void arena_close(struct arena *a); /* cleanups newest first, then all memory; may be reopened */
void arena_reset(struct arena *a); /* as close, then open with the same first block and maximum */

void *arena_alloc(struct arena *a, size_t n);      /* 16-byte aligned, not zeroed; NULL: no room */
void *arena_zero(struct arena *a, size_t n);       /* zeroed */
str arena_copy(struct arena *a, str s);            /* NUL after it for luck; ptr NULL: no room */
char *arena_cstr(struct arena *a, str s);          /* NULL: no room or s holds a NUL */
str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3); /* ptr NULL: no room */
/* arena_join(a, S("policy/"), id): one text of several; much cheaper than printf. ptr NULL: no
 * room */
#define arena_join(a, ...)                                                                         \
    arena_join_parts(a, (const str[]){__VA_ARGS__},                                                \
                     sizeof((const str[]){__VA_ARGS__}) / sizeof(str))
str arena_join_parts(struct arena *a, const str *parts, size_t count);
/* RC_NO_MEMORY: not registered, and `fn` was called at once so that nothing leaks. */
rc_t arena_on_close(struct arena *a, void (*fn)(void *arg), void *arg);
