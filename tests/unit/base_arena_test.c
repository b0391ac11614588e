/* SPDX-License-Identifier: Apache-2.0 */
/* base_arena_test.c — bump memory and growing bytes: alignment, the maximum, failing malloc,
 * order of cleanups. malloc is replaced inside the included files so that the nth call can fail. */
#include <stdlib.h>
static long malloc_fails_at = -1; /* counts down; 0: this one fails */
static void *failing_malloc(size_t n) { return malloc_fails_at-- == 0 ? NULL : malloc(n); }
static void *failing_realloc(void *p, size_t n) {
    return malloc_fails_at-- == 0 ? NULL : realloc(p, n);
}
#define malloc failing_malloc
#define realloc failing_realloc
#include "kernel/base/arena.c"
#include "kernel/base/buf.c"
#undef malloc
#undef realloc
#include "tests/test.h"

static bool aligned(const void *p) { return (uintptr_t)p % ARENA_ALIGN == 0; }

TEST(arena_hands_out_aligned_bytes_that_stay) {
    struct arena a;
    arena_open(&a, NULL, 0, MIB(1));
    char *kept[200];
    for (u32 i = 0; i < ARRAY_LEN(kept); i++) {
        kept[i] = arena_alloc(&a, 1 + i * 3 % 97);
        REQUIRE(kept[i]);
        EXPECT(aligned(kept[i]));
        memset(kept[i], (int)i, 1 + i * 3 % 97);
    }
    for (u32 i = 0; i < ARRAY_LEN(kept); i++) EXPECT_EQ((u8)kept[i][0], i);
    EXPECT(arena_alloc(&a, 0));
    arena_close(&a);
    EXPECT_EQ(a.used, 0);
}

TEST(arena_uses_the_callers_block_first) {
    char first[256] __attribute__((aligned(16)));
    struct arena a;
    arena_open(&a, first, sizeof first, KIB(64));
    char *p = arena_alloc(&a, 100);
    EXPECT(p == first);
    EXPECT(a.blocks == NULL);
    char *q = arena_alloc(&a, 200); /* no room left in it */
    EXPECT(q && (q < first || q >= first + sizeof first));
    arena_reset(&a);
    EXPECT(arena_alloc(&a, 256) == first);
    arena_close(&a);
    arena_open(&a, first + 1, 4, 4096); /* too small once aligned: simply unused */
    EXPECT(arena_alloc(&a, 1) != NULL);
    arena_close(&a);
}

TEST(arena_stops_at_its_maximum) {
    struct arena a;
    arena_open(&a, NULL, 0, 2 * ARENA_BLOCK_BYTES);
    EXPECT(arena_alloc(&a, 4 * ARENA_BLOCK_BYTES) == NULL);
    EXPECT(arena_alloc(&a, SIZE_MAX) == NULL);
    EXPECT(arena_alloc(&a, SIZE_MAX - 8) == NULL);
    size_t got = 0;
    while (arena_alloc(&a, 64)) got += 64;
    EXPECT(a.used <= a.max);
    EXPECT(got > ARENA_BLOCK_BYTES); /* the tail is used by small blocks too */
    EXPECT(arena_zero(&a, 64) == NULL);
    EXPECT(arena_copy(&a, S("0123456789012345678901234567890123456789")).ptr == NULL);
    EXPECT(arena_printf(&a, "%0100d", 1).ptr == NULL);
    arena_close(&a);
}

TEST(arena_large_pieces_get_their_own_block) {
    struct arena a;
    arena_open(&a, NULL, 0, MIB(1));
    char *small = arena_alloc(&a, 16);
    char *large = arena_zero(&a, ARENA_BLOCK_BYTES);
    char *next = arena_alloc(&a, 16);
    REQUIRE(small && large && next);
    EXPECT(next == small + 16); /* the current block went on */
    for (size_t i = 0; i < ARENA_BLOCK_BYTES; i++)
        if (large[i]) EXPECT_EQ(i, -1);
    arena_close(&a);
}

TEST(arena_copies_text) {
    struct arena a;
    arena_open(&a, NULL, 0, KIB(64));
    str s = arena_copy(&a, S("text"));
    EXPECT_STR(s, S("text"));
    EXPECT_EQ(s.ptr[4], 0);
    EXPECT(arena_copy(&a, (str){NULL, 0}).ptr != NULL);
    EXPECT_STR(str_from_c(arena_cstr(&a, S("c"))), S("c"));
    EXPECT(arena_cstr(&a, S("a\0b")) == NULL);
    EXPECT_STR(arena_printf(&a, "%d-%s", 5, "x"), S("5-x"));
    arena_close(&a);
}

static char order[8];
static size_t order_len;
static char digits[] = "01234";
static void note(void *arg) { order[order_len++] = *(char *)arg; }

TEST(arena_cleans_up_newest_first) {
    struct arena a;
    order_len = 0;
    arena_open(&a, NULL, 0, KIB(64));
    EXPECT_OK(arena_on_close(&a, note, &digits[1]));
    EXPECT_OK(arena_on_close(&a, note, &digits[2]));
    EXPECT_OK(arena_on_close(&a, note, &digits[3]));
    arena_close(&a);
    EXPECT_STR(str_of(order, order_len), S("321"));
    arena_close(&a); /* twice does nothing */
    EXPECT_EQ(order_len, 3);
    arena_open(&a, NULL, 0, 8); /* no room: called at once, nothing leaks */
    EXPECT_RC(arena_on_close(&a, note, &digits[4]), RC_NO_MEMORY);
    EXPECT_STR(str_of(order, order_len), S("3214"));
    arena_close(&a);
}

TEST(arena_survives_each_failing_malloc) {
    for (long nth = 0; nth < 8; nth++) {
        struct arena a;
        arena_open(&a, NULL, 0, MIB(4));
        malloc_fails_at = nth;
        for (u32 i = 0; i < 400; i++) {
            char *p = arena_alloc(&a, 97);
            if (p) memset(p, 1, 97);
        }
        malloc_fails_at = -1;
        EXPECT(arena_alloc(&a, 97) != NULL); /* usable again */
        arena_close(&a);
    }
}

TEST(buf_grows_to_its_maximum_and_remembers_failure) {
    struct buf b;
    buf_open(&b, 100);
    EXPECT(b.ptr == NULL);
    EXPECT_OK(buf_add(&b, S("hello")));
    EXPECT_OK(buf_add_byte(&b, ' '));
    EXPECT_OK(buf_printf(&b, "%s %d", "world", 42));
    EXPECT_STR(buf_str(&b), S("hello world 42"));
    EXPECT_OK(buf_add(&b, (str){NULL, 0}));
    char big[101];
    memset(big, 'x', sizeof big);
    EXPECT_RC(buf_add(&b, (str){big, 101}), RC_LIMIT);
    EXPECT(b.failed);
    EXPECT_RC(buf_add(&b, S("y")), RC_LIMIT); /* check once, at the end */
    EXPECT_STR(buf_str(&b), S("hello world 42"));
    buf_clear(&b);
    EXPECT_OK(buf_add(&b, (str){big, 100}));
    EXPECT_EQ(b.len, 100);
    EXPECT(b.room <= b.max);
    EXPECT_RC(buf_add_byte(&b, 'z'), RC_LIMIT);
    buf_close(&b);
    EXPECT(b.ptr == NULL && b.max == 100);
}

TEST(buf_printf_needs_room_for_the_nul) {
    struct buf b;
    buf_open(&b, 4);
    EXPECT_OK(buf_printf(&b, "%s", "abc"));
    EXPECT_EQ(b.len, 3);
    EXPECT_RC(buf_printf(&b, "%s", "d"), RC_LIMIT);
    EXPECT_STR(buf_str(&b), S("abc"));
    buf_close(&b);
}

TEST(buf_drops_from_the_front) {
    struct buf b;
    buf_open(&b, 100);
    EXPECT_OK(buf_add(&b, S("abcdef")));
    buf_drop(&b, 0);
    buf_drop(&b, 2);
    EXPECT_STR(buf_str(&b), S("cdef"));
    buf_drop(&b, 4);
    EXPECT_EQ(b.len, 0);
    buf_close(&b);
}

TEST(buf_failed_realloc_keeps_content) {
    struct buf b;
    buf_open(&b, KIB(64));
    EXPECT_OK(buf_add(&b, S("kept")));
    malloc_fails_at = 0;
    EXPECT_RC(buf_reserve(&b, 1000), RC_NO_MEMORY);
    malloc_fails_at = -1;
    EXPECT_STR(buf_str(&b), S("kept"));
    EXPECT_RC(buf_add(&b, S("x")), RC_LIMIT);
    buf_close(&b);
}

TEST(buf_many_small_adds_against_a_model) {
    static char model[5000];
    struct buf b;
    size_t n = 0;
    buf_open(&b, sizeof model);
    while (n < sizeof model - 40) {
        char piece[40];
        size_t len = test_random() % sizeof piece;
        for (size_t i = 0; i < len; i++) piece[i] = (char)test_random();
        memcpy(model + n, piece, len);
        n += len;
        EXPECT_OK(buf_add(&b, (str){piece, len}));
        if (test_random() % 16 == 0) {
            size_t drop = test_random() % (n + 1);
            buf_drop(&b, drop);
            memmove(model, model + drop, n -= drop);
        }
        if (b.len != n || (n && memcmp(b.ptr, model, n))) EXPECT_EQ(b.len, n);
        if (test_random() % 400 == 0) break;
    }
    buf_close(&b);
}
