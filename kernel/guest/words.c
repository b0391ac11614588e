/* SPDX-License-Identifier: Apache-2.0 */
/* words.c — command line words: `key=value`, and where virtio-mmio devices are.
 * Always true: nothing is read beyond the view; numbers never overflow (16 digits at most). */
#include "kernel/guest/words.h"

str words_value(str line, str key) {
    str word;
    while (str_split(&line, ' ', &word))
        if (str_starts(word, key)) return str_skip(word, key.len);
    return (str){NULL, 0};
}

/* A number as in C, decimal or 0x; what follows it stays in *s. */
static bool number_take(str *s, u64 *out) {
    bool hex = str_starts(*s, S("0x"));
    if (hex) *s = str_skip(*s, 2);
    u64 v = 0;
    size_t n = 0;
    for (; n < s->len && n < 16; n++) {
        char c = s->ptr[n];
        u32 digit = c >= '0' && c <= '9'   ? (u32)(c - '0')
                    : c >= 'a' && c <= 'f' ? (u32)(c - 'a' + 10)
                                           : 16;
        if (digit >= (hex ? 16u : 10u)) break;
        v = v * (hex ? 16 : 10) + digit;
    }
    *s = str_skip(*s, n);
    *out = v;
    return n > 0;
}

static bool byte_take(str *s, char c) {
    if (!s->len || s->ptr[0] != c) return false;
    *s = str_skip(*s, 1);
    return true;
}

rc_t words_virtio_place(str s, u64 *out_base, u32 *out_gsi) {
    u64 bytes, base, irq;
    if (!number_take(&s, &bytes)) return RC_INVALID;
    (void)byte_take(&s, 'K');
    if (!byte_take(&s, '@') || !number_take(&s, &base)) return RC_INVALID;
    if (!byte_take(&s, ':') || !number_take(&s, &irq)) return RC_INVALID;
    if (s.len && s.ptr[0] != ':') return RC_INVALID;
    if (irq > 1023 || base < 0x100000 || base > 1ull << 46 || (base & 3)) return RC_INVALID;
    *out_base = base;
    *out_gsi = (u32)irq;
    return RC_OK;
}
