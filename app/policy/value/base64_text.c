/* SPDX-License-Identifier: Apache-2.0 */
/* base64_text.c — base64 as the reference's language reads and writes it.
 *
 * Reading goes by quanta of four characters. What is wrong is told by its index in the input, and
 * the rules for that index (the start of a quantum that ends too soon, the character itself
 * otherwise) are part of messages users see. Knows nothing of values. */
#include "app/policy/value/base64_text.h"

static const char alphabet[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* A digit's value plus one, by character; 0: none. */
#define LETTERS_AND_DIGITS                                                                        \
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,       \
    ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15,            \
    ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,           \
    ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29,           \
    ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,           \
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43,           \
    ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,           \
    ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,           \
    ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62

struct reading {
    str text;
    size_t at, bad_at;
    unsigned flags;
    u8 digits[4];
    u32 count; /* of digits in the quantum */
    bool last;
};

static const u8 digits_of[2][128] = {{LETTERS_AND_DIGITS, ['+'] = 63, ['/'] = 64},
                                     {LETTERS_AND_DIGITS, ['-'] = 63, ['_'] = 64}};

static int digit_of(char c, unsigned flags) {
    return (u8)c < 128 ? digits_of[flags & BASE64_URL ? 1 : 0][(u8)c] - 1 : -1;
}

/* Whole quanta of nothing but digits, as nearly all are. */
static size_t read_plain(struct reading *r, char *to) {
    const u8 *digits = digits_of[r->flags & BASE64_URL ? 1 : 0];
    const u8 *at = (const u8 *)r->text.ptr + r->at;
    size_t n = 0;
    for (; r->text.len - r->at > 4; r->at += 4, at += 4, n += 3) {
        if ((at[0] | at[1] | at[2] | at[3]) >= 128) break;
        u32 a = digits[at[0]], b = digits[at[1]], c = digits[at[2]], d = digits[at[3]];
        if (!a || !b || !c || !d) break;
        u32 bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        to[n] = (char)(bits >> 16), to[n + 1] = (char)(bits >> 8), to[n + 2] = (char)bits;
    }
    return n;
}

static void skip_line_ends(struct reading *r) {
    while (r->at < r->text.len && (r->text.ptr[r->at] == '\n' || r->text.ptr[r->at] == '\r'))
        r->at++;
}

static rc_t bad(struct reading *r, size_t at) {
    r->bad_at = at;
    return RC_INVALID;
}

/* The first = of a quantum was read: the second one if need be, and nothing but line ends after. */
static rc_t read_padding(struct reading *r) {
    if (r->count < 2) return bad(r, r->at - 1);
    if (r->count == 2) {
        skip_line_ends(r);
        if (r->at == r->text.len) return bad(r, r->text.len);
        if (r->text.ptr[r->at] != '=') return bad(r, r->at - 1);
        r->at++;
    }
    skip_line_ends(r);
    if (r->at < r->text.len) return bad(r, r->at);
    r->last = true;
    return RC_OK;
}

static rc_t read_quantum(struct reading *r) {
    r->count = 0;
    while (r->count < 4) {
        if (r->at == r->text.len) {
            r->last = true;
            if (r->count == 0) return RC_OK;
            if (r->count == 1 || !(r->flags & BASE64_NO_PAD)) return bad(r, r->at - r->count);
            return RC_OK;
        }
        char c = r->text.ptr[r->at++];
        int digit = digit_of(c, r->flags);
        if (digit >= 0) {
            r->digits[r->count++] = (u8)digit;
            continue;
        }
        if (c == '\n' || c == '\r') continue;
        if (c != '=' || r->flags & BASE64_NO_PAD) return bad(r, r->at - 1);
        return read_padding(r);
    }
    return RC_OK;
}

rc_t base64_text_read(str text, unsigned flags, char *to, size_t *len, size_t *bad_at) {
    struct reading r = {.text = text, .flags = flags};
    size_t n = read_plain(&r, to);
    *len = 0;
    while (!r.last) {
        rc_t rc = read_quantum(&r);
        if (rc) {
            *bad_at = r.bad_at;
            return rc;
        }
        if (r.count < 2) break;
        for (u32 i = r.count; i < 4; i++) r.digits[i] = 0;
        to[n++] = (char)(r.digits[0] << 2 | r.digits[1] >> 4);
        if (r.count > 2) to[n++] = (char)(r.digits[1] << 4 | r.digits[2] >> 2);
        if (r.count > 3) to[n++] = (char)(r.digits[2] << 6 | r.digits[3]);
    }
    *len = n;
    return RC_OK;
}

size_t base64_text_write(str bytes, unsigned flags, char *to) {
    const char *digits = alphabet[flags & BASE64_URL ? 1 : 0];
    const u8 *p = (const u8 *)bytes.ptr;
    size_t n = 0, left = bytes.len;
    for (; left >= 3; left -= 3, p += 3) {
        u32 v = (u32)p[0] << 16 | (u32)p[1] << 8 | p[2];
        for (int shift = 18; shift >= 0; shift -= 6) to[n++] = digits[v >> shift & 63];
    }
    if (left) {
        u32 v = (u32)p[0] << 16 | (left > 1 ? (u32)p[1] << 8 : 0);
        to[n++] = digits[v >> 18];
        to[n++] = digits[v >> 12 & 63];
        if (left > 1) to[n++] = digits[v >> 6 & 63];
        for (size_t i = left; i < 3 && !(flags & BASE64_NO_PAD); i++) to[n++] = '=';
    }
    return n;
}
