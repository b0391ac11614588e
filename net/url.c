/* SPDX-License-Identifier: Apache-2.0 */
/* url.c — paths and percent-escapes (RFC 3986), decoded once and never twice.
 *
 * Every path that two readers could resolve differently is refused rather than repaired: dot
 * segments in any spelling (`..`, `%2e%2e`, `.%2E`), backslashes, NUL, overlong UTF-8. Runs of
 * slashes become one. An escaped slash keeps its escape, so that decoding cannot move a boundary.
 */
#include "net/url.h"

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at raw[*i] with its escape undone; -1: a bad escape. */
static int unescape(str raw, size_t *i) {
    char c = raw.ptr[*i];
    if (c != '%') return (u8)c;
    if (raw.len - *i < 3) return -1;
    int high = hex(raw.ptr[*i + 1]), low = hex(raw.ptr[*i + 2]);
    if (high < 0 || low < 0) return -1;
    *i += 2;
    return high << 4 | low;
}

rc_t url_decode(str raw, bool plus_is_blank, char *to, str *out) {
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        int c = raw.ptr[i] == '+' && plus_is_blank ? ' ' : unescape(raw, &i);
        if (c <= 0) return RC_INVALID;
        to[n++] = (char)c;
    }
    *out = str_of(to, n);
    return str_is_utf8(*out) ? RC_OK : RC_INVALID;
}

static bool is_dots(const char *from, size_t n) {
    return (n == 1 && from[0] == '.') || (n == 2 && from[0] == '.' && from[1] == '.');
}

/* Most paths are letters, digits, '-' and '_' between single slashes: nothing to change. */
static bool is_plain_already(str raw) {
    char before = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        bool letter = (u8)((c | 32) - 'a') < 26, digit = (u8)(c - '0') < 10;
        if (!letter && !digit && c != '-' && c != '_' && (c != '/' || before == '/')) return false;
        before = c;
    }
    return true;
}

rc_t url_path_plain(str raw, char *to, str *out) {
    size_t n = 0, segment = 0;
    bool high = false;
    if (!raw.len || raw.ptr[0] != '/') return RC_INVALID;
    if (is_plain_already(raw)) {
        memcpy(to, raw.ptr, raw.len);
        *out = str_of(to, raw.len);
        return RC_OK;
    }
    for (size_t i = 0; i < raw.len; i++) {
        bool escaped = raw.ptr[i] == '%';
        int c = unescape(raw, &i);
        if (c < 0x20 || c == 0x7F || c == '\\') return RC_INVALID;
        high |= c >= 0x80;
        if (c == '/' && escaped) {
            memcpy(to + n, "%2F", 3);
            n += 3;
        } else if (c == '/') {
            if (is_dots(to + segment, n - segment)) return RC_INVALID;
            if (n && to[n - 1] == '/') continue;
            to[n++] = '/';
            segment = n;
        } else {
            to[n++] = (char)c;
        }
    }
    if (is_dots(to + segment, n - segment)) return RC_INVALID;
    *out = str_of(to, n);
    return !high || str_is_utf8(*out) ? RC_OK : RC_INVALID;
}
