/* SPDX-License-Identifier: Apache-2.0 */
/* str.c — views of bytes: compare, search, split, numbers, UTF-8.
 * Always true: nothing here reads past ptr + len, writes through ptr, or keeps a copy. */
#include "kernel/base/base.h"

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool str_eq_nocase(str a, str b) {
    if (a.len != b.len) return false;
    if (!a.len || memcmp(a.ptr, b.ptr, a.len) == 0) return true; /* the case is mostly the same */
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i])) return false;
    return true;
}

int str_cmp(str a, str b) {
    size_t n = MIN(a.len, b.len);
    int d = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (d) return d;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts(str s, str prefix) {
    return s.len >= prefix.len && str_eq(str_take(s, prefix.len), prefix);
}

bool str_ends(str s, str suffix) {
    return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

str str_trim(str s) {
    while (s.len && is_blank(s.ptr[0])) s = str_skip(s, 1);
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

size_t str_find_byte(str s, char c) {
    const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return p ? (size_t)(p - s.ptr) : s.len;
}

size_t str_find(str s, str needle) {
    if (needle.len == 0) return 0;
    for (size_t i = 0; i + needle.len <= s.len;) {
        size_t at = str_find_byte(str_skip(s, i), needle.ptr[0]) + i;
        if (at + needle.len > s.len) break;
        if (memcmp(s.ptr + at, needle.ptr, needle.len) == 0) return at;
        i = at + 1;
    }
    return s.len;
}

bool str_split(str *rest, char at, str *first) {
    if (!rest->ptr) return false;
    size_t i = str_find_byte(*rest, at);
    *first = str_take(*rest, i);
    *rest = i < rest->len ? str_skip(*rest, i + 1) : (str){NULL, 0};
    return true;
}

rc_t str_to_u64(str s, uint64_t *out) {
    uint64_t n = 0;
    if (s.len == 0) return RC_INVALID;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return RC_INVALID;
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (unsigned)(s.ptr[i] - '0'), &n))
            return RC_INVALID;
    }
    *out = n;
    return RC_OK;
}

rc_t str_to_s64(str s, int64_t *out) {
    bool minus = s.len && s.ptr[0] == '-';
    uint64_t n;
    rc_t rc = str_to_u64(minus ? str_skip(s, 1) : s, &n);
    if (rc) return rc;
    if (n > (uint64_t)INT64_MAX + minus) return RC_INVALID;
    *out = minus ? (int64_t)(0 - n) : (int64_t)n;
    return RC_OK;
}

/* Length of the well-formed sequence at p (1..4), 0 if there is none (RFC 3629, table 3-7). */
static size_t utf8_sequence(const u8 *p, size_t n) {
    u8 a = p[0];
    if (a < 0x80) return 1;
    if (a >= 0xC2 && a <= 0xDF) return n >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if ((a & 0xF0) == 0xE0) {
        u8 low = a == 0xE0 ? 0xA0 : 0x80, high = a == 0xED ? 0x9F : 0xBF;
        return n >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (a >= 0xF0 && a <= 0xF4) {
        u8 low = a == 0xF0 ? 0x90 : 0x80, high = a == 0xF4 ? 0x8F : 0xBF;
        return n >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 &&
                       (p[3] & 0xC0) == 0x80
                   ? 4
                   : 0;
    }
    return 0;
}

bool str_is_utf8(str s) {
    const u8 *p = (const u8 *)s.ptr;
    for (size_t i = 0; i < s.len;) {
        u64 word;
        if (i + 8 <= s.len && (memcpy(&word, p + i, 8), !(word & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        size_t n = utf8_sequence(p + i, s.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

bool str_eq_secret(str a, str b) {
    if (a.len != b.len) return false;
    volatile u8 difference = 0;
    for (size_t i = 0; i < a.len; i++) difference |= (u8)(a.ptr[i] ^ b.ptr[i]);
    return difference == 0;
}

/* Multiply-and-fold over 8-byte words (the construction of wyhash): fast, and with a random seed
 * good enough against hash flooding of tables that are bounded anyway. */
static u64 fold_multiply(u64 a, u64 b) {
    unsigned __int128 m = (unsigned __int128)a * b;
    return (u64)m ^ (u64)(m >> 64);
}

uint64_t str_hash(str s, uint64_t seed) {
    u64 h = seed ^ 0x9E3779B97F4A7C15ull, word;
    size_t n = s.len;
    const char *p = s.ptr;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = fold_multiply(h ^ word, 0xD6E8FEB86659FD93ull);
    }
    word = 0;
    if (n) memcpy(&word, p, n);
    return fold_multiply(h ^ word, 0xA0761D6478BD642Full ^ s.len);
}

rc_t str_to_c(str s, char *to, size_t room) {
    if (s.len >= room) return RC_LIMIT;
    if (s.len && memchr(s.ptr, 0, s.len)) return RC_INVALID;
    if (s.len) memcpy(to, s.ptr, s.len);
    to[s.len] = 0;
    return RC_OK;
}

rc_t str_hex(const void *bytes, size_t n, char *to, size_t room) {
    static const char digits[] = "0123456789abcdef";
    const u8 *p = bytes;
    if (room < 2 * n + 1) return RC_LIMIT;
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = digits[p[i] >> 4];
        to[2 * i + 1] = digits[p[i] & 15];
    }
    to[2 * n] = 0;
    return RC_OK;
}
