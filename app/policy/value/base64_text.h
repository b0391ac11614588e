/* SPDX-License-Identifier: Apache-2.0 */
/* base64_text.h — base64 with the tolerance and the error places of the reference's language: line
 * ends are skipped anywhere, unused bits of the last character are not looked at. */
#pragma once
#include "kernel/base/base.h"

enum {
    BASE64_URL = 1,    /* - and _ instead of + and / */
    BASE64_NO_PAD = 2, /* no = at the end: written without, refused when read */
};
/* Room that reading never exceeds. */
#define BASE64_READ_ROOM(n) ((n) / 4 * 3 + 3)
/* Exact size of what is written, with or without padding. */
#define BASE64_WRITE_ROOM(n) (((n) + 2) / 3 * 4)

/* RC_INVALID: `*bad_at` is the index that "illegal base64 data at input byte N" names. */
rc_t base64_text_read(str text, unsigned flags, char *to, size_t *len, size_t *bad_at);
size_t base64_text_write(str bytes, unsigned flags, char *to);
