/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h — numbers as the wire and foreign formats write them: most significant byte first.
 * The bytes may lie anywhere; whoever calls has made sure that they are there. */
#pragma once
#include "kernel/base/base.h"

static inline u32 be16(const void *from) {
    const u8 *p = from;
    return (u32)p[0] << 8 | p[1];
}
static inline u32 be24(const void *from) {
    const u8 *p = from;
    return be16(p) << 8 | p[2];
}
static inline u32 be32(const void *from) {
    const u8 *p = from;
    return be16(p) << 16 | be16(p + 2);
}

static inline void be32_put(void *to, u32 n) {
    u32 swapped = __builtin_bswap32(n);
    memcpy(to, &swapped, sizeof swapped);
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "what is put is swapped first");
