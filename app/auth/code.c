/* SPDX-License-Identifier: Apache-2.0 */
/* code.c — codes that people copy by hand: letters of Crockford's alphabet, 5 random bits each. It
 * has no I, L, O or U, so that what is read aloud or off a screen can be typed back. */
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

bool code_normalise(str typed, char *to, size_t letters) {
    size_t n = 0;
    for (size_t i = 0; i < typed.len; i++) {
        char c = typed.ptr[i];
        if (c == '-' || c == ' ') continue;
        if (c >= 'a' && c <= 'z') c = (char)(c - 32);
        c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
        if (n == letters || !c || !strchr(alphabet, c)) return false;
        to[n++] = c;
    }
    return n == letters;
}

rc_t code_draw(char *to, size_t letters) {
    rc_t rc = platform_entropy(to, letters);
    for (size_t i = 0; !rc && i < letters; i++) to[i] = alphabet[to[i] & 31];
    return rc;
}
