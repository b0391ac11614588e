/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c — bump memory with cleanups.
 *
 *   first block (caller's)   block -> block -> block     each: [header | bytes ... at | ... end)
 *
 * Always true: at <= end; used <= max; a pointer handed out stays valid until close.
 * Large requests get a block of their own, so the current one is not thrown away. */
#include "kernel/base/arena.h"
#include "kernel/base/limits.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t bytes; /* of the whole malloc */
};
struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *);
    void *arg;
};
#define ARENA_ALIGN 16u
#define BLOCK_HEADER ALIGN_UP(sizeof(struct arena_block), (size_t)ARENA_ALIGN)

void arena_open(struct arena *a, void *first, size_t first_bytes, size_t bytes_max) {
    *a = (struct arena){.first = first, .first_bytes = first ? first_bytes : 0, .max = bytes_max};
    if (first) {
        uintptr_t aligned = ALIGN_UP((uintptr_t)first, (uintptr_t)ARENA_ALIGN);
        a->end = a->first + first_bytes;
        a->at = aligned < (uintptr_t)a->end ? (char *)aligned : a->end;
        a->used = first_bytes;
    }
}

void arena_close(struct arena *a) {
    while (a->cleanups) {
        struct arena_cleanup *c = a->cleanups;
        a->cleanups = c->next; /* first, so that a cleanup may allocate or register */
        c->fn(c->arg);
    }
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    a->at = a->end = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a) {
    char *first = a->first;
    size_t first_bytes = a->first_bytes, max = a->max;
    arena_close(a);
    arena_open(a, first, first_bytes, max);
}

static struct arena_block *add_block(struct arena *a, size_t bytes) {
    if (bytes > a->max || a->used > a->max - bytes) return NULL;
    struct arena_block *b = malloc(bytes);
    if (!b) {
        a->starved = true;
        return NULL;
    }
    b->bytes = bytes;
    b->next = a->blocks;
    a->blocks = b;
    a->used += bytes;
    return b;
}

void *arena_alloc(struct arena *a, size_t n) {
    if (n > a->max) return NULL;
    n = n ? ALIGN_UP(n, (size_t)ARENA_ALIGN) : ARENA_ALIGN;
    if (n <= (size_t)(a->end - a->at)) {
        void *p = a->at;
        a->at += n;
        return p;
    }
    if (n > ARENA_BLOCK_BYTES / 2) {
        struct arena_block *own = add_block(a, BLOCK_HEADER + n);
        return own ? (char *)own + BLOCK_HEADER : NULL;
    }
    size_t bytes = MAX((size_t)ARENA_BLOCK_BYTES, MIN(a->used, KIB(256)));
    struct arena_block *b = add_block(a, BLOCK_HEADER + bytes);
    if (!b && bytes > n) b = add_block(a, BLOCK_HEADER + (bytes = n));
    if (!b) return NULL;
    a->at = (char *)b + BLOCK_HEADER;
    a->end = (char *)b + b->bytes;
    void *p = a->at;
    a->at += n;
    CHECK(a->at <= a->end);
    return p;
}

void *arena_zero(struct arena *a, size_t n) {
    void *p = arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

str arena_copy(struct arena *a, str s) {
    char *p = arena_alloc(a, s.len + 1);
    if (!p) return (str){NULL, 0};
    if (s.len) memcpy(p, s.ptr, s.len);
    p[s.len] = 0;
    return (str){p, s.len};
}

char *arena_cstr(struct arena *a, str s) {
    if (s.len && memchr(s.ptr, 0, s.len)) return NULL;
    return (char *)arena_copy(a, s).ptr;
}

str arena_printf(struct arena *a, const char *fmt, ...) {
    va_list args, again;
    size_t room = (size_t)(a->end - a->at);
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(room ? a->at : NULL, room, fmt, args); /* nearly always it fits at once */
    va_end(args);
    char *there = a->at, *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p && (p != there || (size_t)n >= room)) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p ? (str){p, (size_t)n} : (str){NULL, 0};
}

str arena_join_parts(struct arena *a, const str *parts, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += parts[i].len;
    char *p = arena_alloc(a, n + 1), *at = p;
    if (!p) return (str){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len) memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *at = 0;
    return (str){p, n};
}

rc_t arena_on_close(struct arena *a, void (*fn)(void *arg), void *arg) {
    struct arena_cleanup *c = arena_alloc(a, sizeof *c);
    if (!c) {
        fn(arg);
        return RC_NO_MEMORY;
    }
    *c = (struct arena_cleanup){a->cleanups, fn, arg};
    a->cleanups = c;
    return RC_OK;
}
