/* SPDX-License-Identifier: Apache-2.0 */
/* port.c — the small things lwIP asks of a port: random numbers, the internet checksum, the time.
 *
 * Random numbers (DNS ids, source ports, DHCP ids) come from the machine's entropy in blocks; if
 * the machine has none, from a hash chain over the clock, which is enough for a port number but is
 * never used for a key. The checksum adds eight bytes at a time with the carry folded in, so a full
 * segment costs some 400 instructions on the machines whose NIC does not do it. */
#include "net/net_impl.h"
#include "kernel/platform.h"
#include "lwip/sys.h"

uint32_t net_random_u32(void) {
    static u32 pool[64], left;
    static u64 chain = 0x9E3779B97F4A7C15ull;
    if (!left) {
        if (platform_entropy(pool, sizeof pool) != RC_OK)
            for (u32 i = 0; i < ARRAY_LEN(pool); i++) {
                u64 at[2] = {chain, platform_clock_ns()};
                chain = str_hash(str_of((const char *)at, sizeof at), chain + i);
                pool[i] = (u32)(chain >> 16);
            }
        left = ARRAY_LEN(pool);
    }
    u32 value = pool[--left];
    pool[left] = 0;
    return value;
}

/* Sixty-four bytes, one add-with-carry each eight. In assembly because compilers keep the carry
 * in a register between the steps, which triples the count. */
static u64 add_block(const u8 *p, u64 sum) {
    __asm__("addq (%1), %0\n\tadcq 8(%1), %0\n\tadcq 16(%1), %0\n\tadcq 24(%1), %0\n\t"
            "adcq 32(%1), %0\n\tadcq 40(%1), %0\n\tadcq 48(%1), %0\n\tadcq 56(%1), %0\n\t"
            "adcq $0, %0"
            : "+r"(sum)
            : "r"(p), "m"(*(const u8(*)[64])p)
            : "cc");
    return sum;
}

/* RFC 1071: ones' complement sum of 16-bit words in network order, returned in memory order. */
uint16_t net_checksum(const void *bytes, int n) {
    const u8 *p = bytes;
    size_t left = n > 0 ? (size_t)n : 0;
    u64 sum = 0, word;
    for (; left >= 64; left -= 64, p += 64) sum = add_block(p, sum);
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        sum += word;
        sum += sum < word;
    }
    word = 0;
    if (left) memcpy(&word, p, left);
    sum += word;
    sum += sum < word;
    sum = (sum >> 32) + (sum & 0xFFFFFFFFu);
    sum = (sum >> 32) + (sum & 0xFFFFFFFFu);
    u32 half = (u32)(sum >> 16) + (u32)(sum & 0xFFFFu);
    half = (half >> 16) + (half & 0xFFFFu);
    return (uint16_t)(half + (half >> 16));
}

uint32_t sys_now(void) {
    return (u32)(platform_clock_ns() / NS_PER_MS);
}

rc_t rc_from_lwip(int e) {
    switch (e) {
    case 0: return RC_OK;
    case -1: return RC_NO_MEMORY; /* ERR_MEM */
    case -2:
    case -7: return RC_AGAIN;   /* ERR_BUF, ERR_WOULDBLOCK */
    case -3: return RC_TIMEOUT; /* ERR_TIMEOUT */
    case -13:
    case -14:
    case -15: return RC_CLOSED; /* ERR_ABRT, ERR_RST, ERR_CLSD */
    case -6:
    case -16: return RC_INVALID; /* ERR_VAL, ERR_ARG */
    case -8: return RC_CONFLICT; /* ERR_USE */
    default: return RC_IO;
    }
}
