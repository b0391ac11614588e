/* SPDX-License-Identifier: Apache-2.0 */
/* der.c — tag, length, body; definite lengths only, in the fewest bytes, as DER asks. */
#include "app/policy/builtin/der.h"

bool der_next(str *rest, struct der_item *out) {
    const u8 *p = (const u8 *)rest->ptr;
    if (rest->len < 2 || (p[0] & 0x1F) == 0x1F) return false; /* no long tags in what we read */
    size_t head = 2, len = p[1];
    if (len >= 0x80) {
        size_t digits = len & 0x7F;
        if (digits == 0 || digits > 4 || rest->len < 2 + digits) return false;
        len = 0;
        for (size_t i = 0; i < digits; i++) len = len << 8 | p[2 + i];
        if (len < 0x80 || (digits > 1 && len >> 8 * (digits - 1) == 0)) return false;
        head += digits;
    }
    if (len > rest->len - head) return false;
    *out = (struct der_item){p[0], str_of(rest->ptr + head, len), str_of(rest->ptr, head + len)};
    *rest = str_skip(*rest, head + len);
    return true;
}

bool der_take_whole(str *rest, u8 tag, struct der_item *out) {
    str copy = *rest;
    if (!der_next(&copy, out) || out->tag != tag) return false;
    *rest = copy;
    return true;
}

bool der_take(str *rest, u8 tag, str *body) {
    struct der_item item;
    if (!der_take_whole(rest, tag, &item)) return false;
    *body = item.body;
    return true;
}

bool der_take_oid(str *rest, str *oid) {
    return der_take(rest, DER_OID, oid) && oid->len;
}

bool der_take_whole_number(str *rest, str *out) {
    str copy = *rest;
    if (!der_take(&copy, DER_INTEGER, out) || out->len == 0 || (u8)out->ptr[0] >= 0x80)
        return false;
    if (out->len > 1 && out->ptr[0] == 0 && (u8)out->ptr[1] < 0x80) return false;
    while (out->len && out->ptr[0] == 0) *out = str_skip(*out, 1);
    *rest = copy;
    return true;
}

bool der_take_small(str *rest, u32 *out) {
    str copy = *rest, bytes;
    if (!der_take_whole_number(&copy, &bytes) || bytes.len > 4) return false;
    u32 n = 0;
    for (size_t i = 0; i < bytes.len; i++) n = n << 8 | (u8)bytes.ptr[i];
    if (n > INT32_MAX) return false;
    *out = n, *rest = copy;
    return true;
}

bool der_take_bits(str *rest, str *bytes, u32 *unused) {
    str copy = *rest, body;
    if (!der_take(&copy, DER_BIT_STRING, &body) || body.len == 0) return false;
    *unused = (u8)body.ptr[0];
    *bytes = str_skip(body, 1);
    if (*unused > 7 || (bytes->len == 0 && *unused)) return false;
    *rest = copy;
    return true;
}
