/* SPDX-License-Identifier: Apache-2.0 */
/* xts.h — AES-256-XTS, the cipher of disks: IEEE 1619, NIST SP 800-38E. Every 16 bytes depend on
 * the key, on where they lie and on themselves, on nothing beside them: what a torn write leaves
 * is, by 16 bytes, old or new, as it would be without a cipher. It hides; it proves nothing. */
#pragma once
#include "kernel/base/base.h"

#define XTS_KEY_BYTES 64u   /* AES-256 twice: for the bytes, and for the places */
#define XTS_UNIT_BYTES 512u /* of one place's number: a sector, whatever the disk's block is */
#define XTS_ROUNDS 14u

struct xts {
    bool of_processor; /* it has AES in instructions */
    __attribute__((aligned(16))) u8 encrypt[XTS_ROUNDS + 1][16], decrypt[XTS_ROUNDS + 1][16],
        place[XTS_ROUNDS + 1][16];
    void *by_library; /* what mbedTLS keeps, where the processor has none */
};
/* RC_NO_MEMORY. */
rc_t xts_open(struct xts *x, const u8 key[XTS_KEY_BYTES]);
void xts_close(struct xts *x); /* wipes the key; all zero is fine */
/* `n`: whole units, the first of them number `unit`. `from` may be `to`. */
void xts_encrypt(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n);
void xts_decrypt(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n);
