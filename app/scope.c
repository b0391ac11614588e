/* SPDX-License-Identifier: Apache-2.0 */
/* scope.c — does a list of scopes cover a permission? (scope.h)
 *
 * Compared part by part between colons, without allocation: it is asked for every request that an
 * API key makes. Always true: a wildcard stands for whole parts, so "policies:doc*" covers nothing,
 * and a list that is empty covers nothing. */
#include "app/scope.h"

static bool covers(str word, str permission) {
    str wanted, part;
    if (str_eq(word, S("*"))) return true;
    if (str_find_byte(word, ':') == word.len) return false;
    while (str_split(&word, ':', &wanted)) {
        if (!permission.ptr) return false;
        if (!word.ptr && str_eq(wanted, S("*"))) return permission.len > 0;
        if (!str_split(&permission, ':', &part)) return false;
        if (!str_eq(wanted, S("*")) && !str_eq(wanted, part)) return false;
    }
    return permission.ptr == NULL; /* nothing of it is left over */
}

bool scope_allows(str scopes, str permission) {
    str word;
    while (str_split(&scopes, ' ', &word))
        if (word.len && covers(word, permission)) return true;
    return false;
}

bool scope_valid(str word) {
    str part;
    u32 parts = 0;
    if (str_eq(word, S("*"))) return true;
    while (str_split(&word, ':', &part)) {
        if (++parts > 3 || part.len == 0) return false;
        if (str_eq(part, S("*"))) continue;
        for (size_t i = 0; i < part.len; i++) {
            char c = part.ptr[i];
            bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
            if (!fine) return false;
        }
    }
    return parts >= 2;
}
