/* SPDX-License-Identifier: Apache-2.0 */
/* totp.c — codes of an authenticator app (RFC 6238 over RFC 4226), and the base32 its secret is
 * typed in.
 *
 *    step = seconds since 1970 / 30;  HMAC-SHA1(secret, step) -> 31 bits at an offset -> 6 digits
 *
 * SHA-1 because every app knows it, and HMAC does not need more of it. A code is accepted for its
 * step and one to either side (clocks drift), never for a step that was used or one before it.
 * Arithmetic only: which step was used is kept by factor.c. */
#include "app/auth/auth_impl.h"
#include "kernel/base/bytes.h"
#include <mbedtls/md.h>
#include <stdio.h>

enum { STEP_S = 30, DRIFT = 1 };
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

size_t base32_encode(const void *bytes, size_t n, char *to) {
    const u8 *p = bytes;
    size_t at = 0;
    u32 bits = 0, have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | p[i]) & 0xFFFF;
        for (have += 8; have >= 5;) {
            have -= 5;
            to[at++] = letters[bits >> have & 31];
        }
    }
    if (have) to[at++] = letters[bits << (5 - have) & 31];
    to[at] = 0;
    return at;
}

u32 hotp(str secret, u64 counter, u32 modulus) {
    u8 message[8], mac[20];
    for (int i = 7; i >= 0; i--, counter >>= 8) message[i] = (u8)counter;
    int rc = mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), (const u8 *)secret.ptr,
                             secret.len, message, sizeof message, mac);
    if (rc) return UINT32_MAX; /* no memory: matches nothing */
    const u8 *at = mac + (mac[19] & 15);
    u32 word = be32(at) & 0x7FFFFFFF;
    return word % modulus;
}

bool totp_check(str secret, str code, u64 now_s, s64 used_step, s64 *out_step) {
    s64 now = (s64)(now_s / STEP_S), found = -1;
    char text[TOTP_DIGITS + 1];
    if (code.len != TOTP_DIGITS) return false;
    for (s64 step = now - DRIFT; step <= now + DRIFT; step++) {
        u32 value = hotp(secret, (u64)step, 1000000);
        if (value == UINT32_MAX) continue;
        snprintf(text, sizeof text, "%06u", value % 1000000u);
        bool match = str_eq_secret(code, str_of(text, TOTP_DIGITS));
        if (match && step > used_step) found = step;
    }
    secret_wipe(text, sizeof text);
    *out_step = found;
    return found >= 0;
}
