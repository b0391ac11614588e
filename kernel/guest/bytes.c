/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.c — memcpy, memmove, memset, memcmp, memchr and strlen by 16 bytes, in place of the C
 * library's.
 *
 * The library's x86 versions are of another age: short copies by `rep movsb` (dozens of cycles to
 * start), long ones past the caches by 8-byte non-temporal stores (a page that is copied is read
 * next), comparisons by single bytes unless both sides are aligned. These take part in everything:
 * a request's bytes, a page of the database, a frame.
 *
 *   n <= 16      two words that overlap in the middle; 8, 4, 2 or 1 bytes each
 *   n <= 64      two or four vectors that overlap; all are read before any is written
 *   longer       64 bytes a turn; the odd end first read, last written (backwards: the beginning)
 *
 * Always true: no byte outside the ranges is read or written (strlen: outside their 16-byte
 * blocks, which never cross a page); memcpy does what memmove does. Only SSE2, which
 * every x86-64 has, and only the registers that a switch between threads keeps (smp.c). So nothing
 * that runs in an interrupt may call these before background_preempt has saved them. */
#include "kernel/base/base.h"

typedef u8 v16 __attribute__((vector_size(16)));
typedef v16 v16_any __attribute__((aligned(1), may_alias));
typedef u64 u64_any __attribute__((aligned(1), may_alias));
typedef u32 u32_any __attribute__((aligned(1), may_alias));
typedef u16 u16_any __attribute__((aligned(1), may_alias));

#define AT(type, p, offset) (*(type *)((uintptr_t)(p) + (offset)))
#define GET(type, p, offset) (*(const type *)((uintptr_t)(p) + (offset)))

/* ---- Copying --------------------------------------------------------------------------------- */

static inline void copy_ends(u8 *to, const u8 *from, size_t n) { /* n <= 16 */
#define ENDS(type)                                                                                 \
    do {                                                                                           \
        type first = GET(type, from, 0), last = GET(type, from, n - sizeof(type));                 \
        AT(type, to, 0) = first;                                                                   \
        AT(type, to, n - sizeof(type)) = last;                                                     \
    } while (0)
    if (n >= 8) ENDS(u64_any);
    else if (n >= 4) ENDS(u32_any);
    else if (n >= 2) ENDS(u16_any);
    else if (n) *to = *from;
#undef ENDS
}

static inline void copy_64(u8 *to, const u8 *from) {
    v16 a = GET(v16_any, from, 0), b = GET(v16_any, from, 16);
    v16 c = GET(v16_any, from, 32), d = GET(v16_any, from, 48);
    AT(v16_any, to, 0) = a;
    AT(v16_any, to, 16) = b;
    AT(v16_any, to, 32) = c;
    AT(v16_any, to, 48) = d;
}

static void copy_long(u8 *to, const u8 *from, size_t n) { /* n > 64 */
    bool forward = (uintptr_t)to - (uintptr_t)from >= n;
    const u8 *edge = forward ? from + n - 64 : from;
    u8 *edge_to = forward ? to + n - 64 : to;
    v16 a = GET(v16_any, edge, 0), b = GET(v16_any, edge, 16);
    v16 c = GET(v16_any, edge, 32), d = GET(v16_any, edge, 48);
    if (forward) {
        for (; n > 128; to += 128, from += 128, n -= 128) {
            copy_64(to, from);
            copy_64(to + 64, from + 64);
        }
        if (n > 64) copy_64(to, from);
    } else
        for (; n > 64; n -= 64) copy_64(to + n - 64, from + n - 64);
    AT(v16_any, edge_to, 0) = a;
    AT(v16_any, edge_to, 16) = b;
    AT(v16_any, edge_to, 32) = c;
    AT(v16_any, edge_to, 48) = d;
}

static inline void *copy(void *to, const void *from, size_t n) {
    if (n <= 16) {
        copy_ends(to, from, n);
    } else if (n <= 32) {
        v16 first = GET(v16_any, from, 0), last = GET(v16_any, from, n - 16);
        AT(v16_any, to, 0) = first;
        AT(v16_any, to, n - 16) = last;
    } else if (n <= 64) {
        v16 a = GET(v16_any, from, 0), b = GET(v16_any, from, 16);
        v16 c = GET(v16_any, from, n - 32), d = GET(v16_any, from, n - 16);
        AT(v16_any, to, 0) = a;
        AT(v16_any, to, 16) = b;
        AT(v16_any, to, n - 32) = c;
        AT(v16_any, to, n - 16) = d;
    } else {
        copy_long(to, from, n);
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) { return copy(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return copy(to, from, n); }

/* ---- Filling --------------------------------------------------------------------------------- */

void *memset(void *to, int byte, size_t n) {
    u8 *p = to, *end = p + n;
    u64 word = (u8)byte * 0x0101010101010101u;
    if (n < 16) {
        if (n >= 8) AT(u64_any, p, 0) = AT(u64_any, end, -8) = word;
        else if (n >= 4) AT(u32_any, p, 0) = AT(u32_any, end, -4) = (u32)word;
        else if (n >= 2) AT(u16_any, p, 0) = AT(u16_any, end, -2) = (u16)word;
        else if (n) *p = (u8)word;
        return to;
    }
    v16 v = (v16)(__attribute__((vector_size(16))) u64){word, word};
    for (; end - p >= 64; p += 64)
        AT(v16_any, p, 0) = AT(v16_any, p, 16) = AT(v16_any, p, 32) = AT(v16_any, p, 48) = v;
    for (; end - p >= 16; p += 16) AT(v16_any, p, 0) = v;
    AT(v16_any, end, -16) = v;
    return to;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static inline unsigned equal_mask(v16 a, v16 b) { /* bit i: byte i is the same */
    return (unsigned)__builtin_ia32_pmovmskb128(
        (__attribute__((vector_size(16))) char)(a == b));
}

static inline int differ(const u8 *a, const u8 *b, size_t at) {
    return a[at] - b[at];
}

static int compare_short(const u8 *a, const u8 *b, size_t n) { /* n < 16 */
    if (n >= 8) {
        u64 x = GET(u64_any, a, 0), y = GET(u64_any, b, 0);
        if (x == y) x = GET(u64_any, a, n - 8), y = GET(u64_any, b, n - 8);
        x = __builtin_bswap64(x), y = __builtin_bswap64(y);
        return (x > y) - (x < y);
    }
    if (n >= 4) {
        u32 x = GET(u32_any, a, 0), y = GET(u32_any, b, 0);
        if (x == y) x = GET(u32_any, a, n - 4), y = GET(u32_any, b, n - 4);
        x = __builtin_bswap32(x), y = __builtin_bswap32(y);
        return (x > y) - (x < y);
    }
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return differ(a, b, i);
    return 0;
}

int memcmp(const void *left, const void *right, size_t n) {
    const u8 *a = left, *b = right;
    if (n < 16) return compare_short(a, b, n);
    for (size_t at = 0;; at += 16) {
        if (at + 16 > n) {
            if (at == n) return 0;
            at = n - 16;
        }
        unsigned same = equal_mask(GET(v16_any, a, at), GET(v16_any, b, at));
        if (same != 0xFFFF) return differ(a, b, at + (size_t)__builtin_ctz(~same));
    }
}

void *memchr(const void *bytes, int byte, size_t n) {
    const u8 *p = bytes, want = (u8)byte;
    const v16 all = {want, want, want, want, want, want, want, want,
                     want, want, want, want, want, want, want, want};
    for (; n >= 16; p += 16, n -= 16) {
        unsigned here = equal_mask(GET(v16_any, p, 0), all);
        if (here) return (void *)(uintptr_t)(p + __builtin_ctz(here));
    }
    for (; n; p++, n--)
        if (*p == want) return (void *)(uintptr_t)p;
    return NULL;
}

/* Most pairs differ in their first byte, so what counts is how soon that is seen. */
int strcmp(const char *left, const char *right) {
    const u8 *a = (const u8 *)left, *b = (const u8 *)right;
    while (*a == *b && *a) a++, b++;
    return *a - *b;
}

size_t strlen(const char *text) {
    const uintptr_t start = (uintptr_t)text, block = start & ~(uintptr_t)15;
    const v16 zero = {0};
    unsigned ends = equal_mask(*(const v16_any *)block, zero) >> (start - block);
    if (ends) return (size_t)__builtin_ctz(ends);
    for (uintptr_t at = block + 16;; at += 16) {
        ends = equal_mask(*(const v16_any *)at, zero);
        if (ends) return at - start + (size_t)__builtin_ctz(ends);
    }
}
