/* SPDX-License-Identifier: Apache-2.0 */
/* der.h — a reader of DER (X.690): items one after another, none beyond its end. */
#pragma once
#include "kernel/base/base.h"

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTF8 = 0x0C,
    DER_NUMERIC = 0x12,
    DER_PRINTABLE = 0x13,
    DER_T61 = 0x14,
    DER_IA5 = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERAL_TIME = 0x18,
    DER_BMP = 0x1E,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80,
    DER_CONTEXT_CONSTRUCTED = 0xA0, /* + number */
};

struct der_item {
    u8 tag;
    str body;
    str whole; /* with tag and length */
};
/* The next item of `*rest`, which then begins after it. False: none, or not DER. */
bool der_next(str *rest, struct der_item *out);
/* The same when it has this tag; else nothing is taken. */
bool der_take(str *rest, u8 tag, str *body);
bool der_take_whole(str *rest, u8 tag, struct der_item *out);
bool der_take_oid(str *rest, str *oid); /* the body: compare with OID("...") */
bool der_take_whole_number(str *rest,
                           str *out);     /* INTEGER >= 0: big-endian bytes without leading zeros */
bool der_take_small(str *rest, u32 *out); /* INTEGER of at most 31 bits */
bool der_take_bits(str *rest, str *bytes,
                   u32 *unused); /* BIT STRING: its bytes, unused bits of the last */
