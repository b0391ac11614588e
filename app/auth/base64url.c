/* SPDX-License-Identifier: Apache-2.0 */
/* base64url.c — base64 as tokens carry it (RFC 4648 section 5, RFC 7515 section 2), and the
 * standard alphabet as password hashes carry it. Both without padding.
 *
 * Always true: each byte string has exactly one accepted text. Blanks, padding, foreign letters, a
 * lone last letter and unused bits that are not zero are refused: a token with two spellings would
 * slip past anything that compares tokens. */
#include "app/auth/auth_impl.h"

static const char url_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c, bool url) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (url ? '-' : '+')) return 62;
    if (c == (url ? '_' : '/')) return 63;
    return -1;
}

static rc_t decode(str text, bool url, void *to, size_t room, size_t *out_len) {
    u8 *p = to;
    size_t n = 0;
    u32 bits = 0, have = 0;
    if (text.len % 4 == 1) return RC_INVALID;
    if (BASE64_BYTES(text.len) > room) return RC_LIMIT;
    for (size_t i = 0; i < text.len; i++) {
        int v = value_of(text.ptr[i], url);
        if (v < 0) return RC_INVALID;
        bits = bits << 6 | (u32)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            p[n++] = (u8)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    if (bits) return RC_INVALID; /* leftovers must be zero */
    CHECK(n == BASE64_BYTES(text.len));
    *out_len = n;
    return RC_OK;
}

static size_t encode(const void *bytes, size_t n, bool url, char *to) {
    const u8 *p = bytes;
    size_t at = 0;
    u32 bits = 0, have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | p[i]) & 0xFFFF;
        for (have += 8; have >= 6;) {
            have -= 6;
            to[at++] = url_letters[bits >> have & 63];
        }
    }
    if (have) to[at++] = url_letters[bits << (6 - have) & 63];
    to[at] = 0;
    for (size_t i = 0; !url && i < at; i++) {
        if (to[i] == '-') to[i] = '+';
        if (to[i] == '_') to[i] = '/';
    }
    CHECK(at == BASE64_LEN(n));
    return at;
}

rc_t base64url_decode(str text, void *to, size_t room, size_t *out_len) {
    return decode(text, true, to, room, out_len);
}
rc_t base64_decode(str text, void *to, size_t room, size_t *out_len) {
    return decode(text, false, to, room, out_len);
}
size_t base64url_encode(const void *bytes, size_t n, char *to) {
    return encode(bytes, n, true, to);
}
size_t base64_encode(const void *bytes, size_t n, char *to) {
    return encode(bytes, n, false, to);
}
