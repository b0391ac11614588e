/* SPDX-License-Identifier: Apache-2.0 */
/* rune.c — UTF-8 as the reference's language reads and writes it.
 *
 * A byte that starts no whole character counts as U+FFFD of width 1, so that every string, also one
 * that a builtin decoded from bytes, is a sequence of runes. */
#include "app/policy/builtin/builtin_impl.h"

u32 rune_decode(str s, size_t at, u32 *width) {
    const u8 *p = (const u8 *)s.ptr + at;
    size_t left = s.len - at;
    u32 b = p[0];
    *width = 1;
    if (b < 0x80) return b;
    u32 need = b >= 0xC2 && b <= 0xDF   ? 2
               : b >= 0xE0 && b <= 0xEF ? 3
               : b >= 0xF0 && b <= 0xF4 ? 4
                                        : 0;
    if (!need || left < need) return RUNE_BAD;
    /* The second byte's range keeps out what is too long, surrogates, and what is beyond U+10FFFF.
     */
    u8 low = b == 0xE0   ? 0xA0
             : b == 0xF0 ? 0x90
                         : 0x80,
       high = b == 0xED   ? 0x9F
              : b == 0xF4 ? 0x8F
                          : 0xBF;
    if (p[1] < low || p[1] > high) return RUNE_BAD;
    u32 r = (b & (0xFFu >> (need + 1))) << 6 | (p[1] & 0x3Fu);
    for (u32 i = 2; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80) return RUNE_BAD;
        r = r << 6 | (p[i] & 0x3Fu);
    }
    *width = need;
    return r;
}

u32 rune_decode_last(str s, size_t end, u32 *width) {
    size_t start = end - 1;
    str head = str_take(s, end);
    for (size_t back = 0; back < 3 && start > 0 && ((u8)s.ptr[start] & 0xC0) == 0x80; back++)
        start--;
    u32 r = rune_decode(head, start, width);
    if (start + *width == end) return r;
    *width = 1;
    return RUNE_BAD;
}

u32 rune_encode(char to[4], u32 r) {
    if (r < 0x80) {
        to[0] = (char)r;
        return 1;
    }
    if (r > RUNE_MAX || (r >= 0xD800 && r <= 0xDFFF)) r = RUNE_BAD;
    u32 n = r < 0x800 ? 2 : r < 0x10000 ? 3 : 4;
    for (u32 i = n - 1; i > 0; i--, r >>= 6) to[i] = (char)(0x80 | (r & 0x3F));
    to[0] = (char)((0xF00u >> n) | r);
    return n;
}

void buf_add_rune(struct buf *b, u32 rune) {
    char bytes[4];
    (void)buf_add(b, str_of(bytes, rune_encode(bytes, rune)));
}

bool str_is_ascii(str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] >= 0x80) return false;
    return true;
}

size_t rune_count(str s) {
    size_t n = 0;
    for (size_t at = 0; at < s.len; n++) {
        u32 width;
        rune_decode(s, at, &width);
        at += width;
    }
    return n;
}

size_t str_find_from(str s, str needle, size_t from) {
    if (from > s.len) return s.len + 1;
    if (needle.len == 0) return from;
    while (s.len - from >= needle.len) {
        const char *at = memchr(s.ptr + from, needle.ptr[0], s.len - from - needle.len + 1);
        if (!at) break;
        from = (size_t)(at - s.ptr);
        if (memcmp(at, needle.ptr, needle.len) == 0) return from;
        from++;
    }
    return s.len + 1;
}
