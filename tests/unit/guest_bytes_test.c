/* SPDX-License-Identifier: Apache-2.0 */
/* Every length around the steps of bytes.c, every alignment, overlap both ways; each result is
 * compared with bytes moved one by one. The buffers end where they end: the sanitizer watches. */
#include "tests/test.h"
#include <stdlib.h>
#include <string.h>

/* Under names of their own: the host's library stays what the rest of the test uses. */
#define memcpy guest_memcpy
#define memmove guest_memmove
#define memset guest_memset
#define memcmp guest_memcmp
#define memchr guest_memchr
#define strcmp guest_strcmp
#define strlen guest_strlen
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *left, const void *right, size_t n);
void *memchr(const void *bytes, int byte, size_t n);
int strcmp(const char *left, const char *right);
size_t strlen(const char *text);
#include "kernel/guest/bytes.c"

enum { LONG = 300 };

static void fill(u8 *p, size_t n, u32 seed) {
    for (size_t i = 0; i < n; i++) p[i] = (u8)(seed = seed * 1103515245u + 12345u, seed >> 16);
}

static bool same(const u8 *a, const u8 *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

TEST(copy_each_length_and_alignment) {
    for (size_t n = 0; n <= LONG; n++)
        for (size_t shift = 0; shift < 17; shift += 3) {
            u8 *from = malloc(n + shift + 1), *to = malloc(n + shift + 1);
            fill(from, n + shift + 1, (u32)n);
            fill(to, n + shift + 1, (u32)n + 7);
            u8 before = shift ? to[shift - 1] : 0, after = to[n + shift];
            CHECK_TRUE(guest_memcpy(to + shift, from + shift, n) == to + shift);
            CHECK_TRUE(same(to + shift, from + shift, n));
            CHECK_EQ(to[n + shift], after);
            if (shift) CHECK_EQ(to[shift - 1], before);
            free(from);
            free(to);
        }
}

TEST(copy_to_the_very_end) {
    for (size_t n = 1; n <= LONG; n++) {
        u8 *from = malloc(n), *to = malloc(n);
        fill(from, n, (u32)n);
        guest_memcpy(to, from, n);
        CHECK_TRUE(same(to, from, n));
        free(from);
        free(to);
    }
}

TEST(move_overlapping_both_ways) {
    u8 plain[2 * LONG], moved[2 * LONG];
    for (size_t n = 0; n <= LONG; n += n < 80 ? 1 : 13)
        for (int by = -70; by <= 70; by += 1) {
            fill(plain, sizeof plain, (u32)n);
            fill(moved, sizeof moved, (u32)n);
            u8 copy[LONG];
            for (size_t i = 0; i < n; i++) copy[i] = plain[100 + i];
            for (size_t i = 0; i < n; i++) plain[(size_t)(100 + by) + i] = copy[i];
            guest_memmove(moved + 100 + by, moved + 100, n);
            CHECK_TRUE(same(plain, moved, sizeof plain));
        }
}

TEST(set_each_length) {
    for (size_t n = 0; n <= LONG; n++) {
        u8 *to = malloc(n + 2);
        to[0] = to[n + 1] = 1;
        CHECK_TRUE(guest_memset(to + 1, 0x1A5, n) == to + 1);
        for (size_t i = 1; i <= n; i++) CHECK_EQ(to[i], 0xA5);
        CHECK_EQ(to[0], 1);
        CHECK_EQ(to[n + 1], 1);
        free(to);
    }
}

TEST(compare_finds_the_first_difference) {
    for (size_t n = 0; n <= 100; n++) {
        u8 *a = malloc(n + 1), *b = malloc(n + 1);
        fill(a, n, 3);
        fill(b, n, 3);
        CHECK_EQ(guest_memcmp(a, b, n), 0);
        for (size_t at = 0; at < n; at++) {
            u8 old = b[at];
            b[at] = (u8)(old + 0x80); /* bytes compare without a sign */
            if (at + 1 < n) b[n - 1] ^= 0x55;
            int sign = a[at] < b[at] ? -1 : 1, got = guest_memcmp(a, b, n);
            CHECK_TRUE((got > 0) - (got < 0) == sign);
            b[at] = old;
            if (at + 1 < n) b[n - 1] ^= 0x55;
        }
        free(a);
        free(b);
    }
}

TEST(texts_compare_as_bytes) {
    EXPECT(guest_strcmp("", "") == 0);
    EXPECT(guest_strcmp("title", "title") == 0);
    EXPECT(guest_strcmp("title", "titles") < 0);
    EXPECT(guest_strcmp("title", "tit") > 0);
    EXPECT(guest_strcmp("\xC3", "a") > 0);
}

TEST(find_the_first) {
    for (size_t n = 0; n <= 100; n++) {
        u8 *p = malloc(n + 1);
        guest_memset(p, 'x', n);
        EXPECT(guest_memchr(p, 'y', n) == NULL);
        for (size_t at = 0; at < n; at++) {
            p[at] = 0xC3;
            if (at + 1 < n) p[n - 1] = 0xC3;
            EXPECT(guest_memchr(p, -61, n) == p + at); /* compared as a byte */
            p[at] = p[n - 1] = 'x';
        }
        free(p);
    }
}

TEST(length_of_each_text) { /* reads the 16-byte block around the text, so the block is ours */
    _Alignas(16) char block[160];
    for (size_t start = 0; start < 20; start++)
        for (size_t n = 0; n < 100; n++) {
            guest_memset(block, 'x', sizeof block);
            if (start) block[start - 1] = 0;
            block[start + n] = 0;
            CHECK_EQ(guest_strlen(block + start), n);
        }
}
