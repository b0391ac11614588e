/* SPDX-License-Identifier: Apache-2.0 */
/* str.h — a view of bytes somebody else owns: pointer and length, no NUL.
 * Bytes from outside are always handled as these. Comparisons are bytewise;
 * the `_nocase` ones fold ASCII letters only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "kernel/base/rc.h"

typedef struct str {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;
} str;

#define S(lit) ((str){"" lit, sizeof(lit) - 1})
#define STR(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline str str_of(const char *ptr, size_t len) { return (str){ptr, len}; }
static inline str str_from_c(const char *z) { return (str){z, z ? strlen(z) : 0}; }
static inline bool str_eq(str a, str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline str str_skip(str s, size_t n) {
    if (n > s.len) n = s.len;
    return (str){s.ptr + n, s.len - n};
}
static inline str str_take(str s, size_t n) { return (str){s.ptr, n < s.len ? n : s.len}; }

bool str_eq_nocase(str a, str b);
int str_cmp(str a, str b); /* <0, 0, >0: bytewise, shorter first */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
str str_trim(str s);                            /* ASCII blanks off both ends */
size_t str_find(str s, str needle);             /* index, or s.len when absent */
size_t str_find_byte(str s, char c);            /* index, or s.len when absent */
bool str_split(str *rest, char at, str *first); /* false when nothing is left */
/* Whole-string decimal numbers: no sign but '-' for s64, no blanks, no overflow. RC_INVALID. */
rc_t str_to_u64(str s, uint64_t *out);
rc_t str_to_s64(str s, int64_t *out);
bool str_is_utf8(str s);                             /* RFC 3629: no surrogates, no overlongs */
bool str_eq_secret(str a, str b);                    /* time depends on lengths only */
uint64_t str_hash(str s, uint64_t seed);             /* keyed; not for signatures */
/* Copy with a final NUL into `to`; RC_LIMIT when it does not fit, RC_INVALID if s holds a NUL. */
rc_t str_to_c(str s, char *to, size_t room);
/* lower case, NUL-ended; RC_LIMIT */
rc_t str_hex(const void *bytes, size_t n, char *to, size_t room);
