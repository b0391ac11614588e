/* SPDX-License-Identifier: Apache-2.0 */
/* sha256_x86.c — SHA-256 in the processor's instructions, for message authentication.
 *
 *   mac = H(key ^ 5c5c... , H(key ^ 3636... , message))    a key longer than a block: its hash
 *
 * The instructions keep the state as two registers, ABEF and CDGH, and do two rounds each; four
 * words of the message schedule are one register, of which four are alive at a time. Time depends
 * on lengths alone. What is secret on the stack is wiped. */
#include "app/policy/builtin/sha256_x86.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <mbedtls/platform_util.h>

enum { BLOCK = 64 };

static const u32 rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct sha256 {
    u32 state[8];
    u64 bytes; /* so far */
    u8 rest[BLOCK];
};

/* Asked once: where a hypervisor answers, the question costs as much as a signature. */
static bool cpu_has_sha(void) {
    static u8 known; /* 1: no; 2: yes. Any thread finds the same. */
    u8 answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!answer) {
        u32 a, b, c = 0, d;
        bool sse = __get_cpuid(1, &a, &b, &c, &d) && c & bit_SSSE3 && c & bit_SSE4_1;
        bool has = sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
        answer = has ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}

__attribute__((target("sha,sse4.1,ssse3"))) static void compress(u32 state[8], const u8 *at,
                                                                  size_t blocks) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i_u *)state), 0xb1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i_u *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; blocks; blocks--, at += BLOCK) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i_u *)(at + 16 * i)), big_endian);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m128i k = _mm_loadu_si128((const __m128i_u *)(rounds + 4 * i));
            __m128i words = _mm_add_epi32(w[i % 4], k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, words);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(words, 0x0e));
            if (i >= 12) continue;
            __m128i next = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
            w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
        }
        abef = _mm_add_epi32(abef, abef_before), cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b), high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i_u *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i_u *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static void begin(struct sha256 *h, const u8 block[BLOCK]) {
    *h = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                   0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    if (!block) return;
    compress(h->state, block, 1);
    h->bytes = BLOCK;
}

/* The last of it: whole blocks, then what is left with its length behind it. */
static void finish(struct sha256 *h, const u8 *at, size_t n, u8 out[SHA256_BYTES]) {
    size_t whole = n / BLOCK, left = n % BLOCK;
    u64 bits = (h->bytes + n) * 8;
    if (whole) compress(h->state, at, whole);
    memset(h->rest, 0, BLOCK);
    if (left) memcpy(h->rest, at + whole * BLOCK, left);
    h->rest[left] = 0x80;
    if (left >= BLOCK - 8) {
        compress(h->state, h->rest, 1);
        memset(h->rest, 0, BLOCK);
    }
    for (int i = 0; i < 8; i++) h->rest[BLOCK - 1 - i] = (u8)(bits >> 8 * i);
    compress(h->state, h->rest, 1);
    for (int i = 0; i < SHA256_BYTES; i++) out[i] = (u8)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

bool sha256_x86_hmac(str key, str message, u8 mac[SHA256_BYTES]) {
    struct sha256 h;
    u8 pad[BLOCK] = {0};
    if (!cpu_has_sha()) return false;
    if (key.len > BLOCK) {
        begin(&h, NULL);
        finish(&h, (const u8 *)key.ptr, key.len, pad);
    } else if (key.len) {
        memcpy(pad, key.ptr, key.len);
    }
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
    begin(&h, pad);
    finish(&h, (const u8 *)message.ptr, message.len, mac);
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
    begin(&h, pad);
    finish(&h, mac, SHA256_BYTES, mac);
    mbedtls_platform_zeroize(pad, sizeof pad), mbedtls_platform_zeroize(&h, sizeof h);
    return true;
}
#else
bool sha256_x86_hmac(str key, str message, u8 mac[SHA256_BYTES]) {
    (void)key, (void)message, (void)mac;
    return false;
}
#endif
