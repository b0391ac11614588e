/* SPDX-License-Identifier: Apache-2.0 */
/* quote.c — a string in double quotes, a rune in single ones: what cannot be seen is escaped. */
#include "app/policy/builtin/quote.h"
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/unicode.h"

static void escaped(struct buf *to, u32 r, char quote, bool ascii_only) {
    static const char plain[] = "\a\b\f\n\r\t\v", letter[] = "abfnrtv";
    if (r == (u32)quote || r == '\\') {
        (void)buf_add_byte(to, '\\');
        (void)buf_add_byte(to, (char)r);
        return;
    }
    if ((r < 0x80 || !ascii_only) && unicode_is_print(r)) {
        buf_add_rune(to, r);
        return;
    }
    for (u32 i = 0; r && i < 7; i++)
        if (r == (u8)plain[i]) {
            (void)buf_printf(to, "\\%c", letter[i]);
            return;
        }
    if (r < ' ' || r == 0x7F) (void)buf_printf(to, "\\x%02x", r);
    else if (r < 0x10000) (void)buf_printf(to, "\\u%04x", r);
    else (void)buf_printf(to, "\\U%08x", r);
}

void quote_write(struct buf *to, str s, bool ascii_only) {
    u32 width;
    (void)buf_add_byte(to, '"');
    for (size_t at = 0; at < s.len; at += width) {
        u32 r = rune_decode(s, at, &width);
        if (r == RUNE_BAD && width == 1) (void)buf_printf(to, "\\x%02x", (u8)s.ptr[at]);
        else escaped(to, r, '"', ascii_only);
    }
    (void)buf_add_byte(to, '"');
}

void quote_write_rune(struct buf *to, u32 rune, bool ascii_only) {
    if (rune > RUNE_MAX || (rune >= 0xD800 && rune < 0xE000)) rune = RUNE_BAD;
    (void)buf_add_byte(to, '\'');
    escaped(to, rune, '\'', ascii_only);
    (void)buf_add_byte(to, '\'');
}
