/* SPDX-License-Identifier: Apache-2.0 */
/* xts.c — AES-256-XTS over sectors, in the processor's instructions where it has them.
 *
 *   tweak 0 = AES(place key, unit number)          tweak i+1 = tweak i times x in GF(2^128)
 *   block i = AES(data key, block i ^ tweak i) ^ tweak i
 *
 * mbedTLS's XTS goes through its general block call for every 16 bytes, four times the instructions
 * that are needed when eight blocks run abreast; a page of the database is 256 of them, and each
 * commit writes several. So processors with AES run the loop below, all others mbedTLS's. Both are
 * held against each other, and against the standard's vectors, by tests/unit/storage_xts_test.c.
 *
 * Always true: the time depends on the length alone; a key is wiped when it is closed. */
#include "storage/xts.h"
#include "kernel/core/memory.h"
#include <mbedtls/aes.h>
#include <mbedtls/platform_util.h>

#define ABREAST 8u /* AES instructions take some four cycles and begin every one */

struct library_keys {
    mbedtls_aes_xts_context encrypt, decrypt;
};

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static bool cpu_has_aes(void) {
    u32 a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_AES;
}

#define WITH_AES __attribute__((target("aes,sse2")))

/* FIPS 197, 5.2, for a key of two blocks. */
WITH_AES static __m128i key_next(__m128i before, __m128i assisted) {
    before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
    before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
    return _mm_xor_si128(before, assisted);
}

WITH_AES static void keys_expand(const u8 key[32], u8 out[XTS_ROUNDS + 1][16]) {
    __m128i a = _mm_loadu_si128((const __m128i_u *)key);
    __m128i b = _mm_loadu_si128((const __m128i_u *)(key + 16));
    _mm_store_si128((__m128i *)out[0], a);
    _mm_store_si128((__m128i *)out[1], b);
#define FIRST(i, constant)                                                                         \
    a = key_next(a, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(b, constant), 0xff));              \
    _mm_store_si128((__m128i *)out[i], a);
#define SECOND(i)                                                                                  \
    b = key_next(b, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(a, 0), 0xaa));                     \
    _mm_store_si128((__m128i *)out[i], b);
    FIRST(2, 0x01) SECOND(3) FIRST(4, 0x02) SECOND(5) FIRST(6, 0x04) SECOND(7) FIRST(8, 0x08)
    SECOND(9) FIRST(10, 0x10) SECOND(11) FIRST(12, 0x20) SECOND(13) FIRST(14, 0x40)
#undef FIRST
#undef SECOND
}

/* Decryption runs the rounds backwards, with its inner keys mixed (FIPS 197, 5.3.5). */
WITH_AES static void keys_invert(u8 from[XTS_ROUNDS + 1][16], u8 out[XTS_ROUNDS + 1][16]) {
    for (u32 i = 0; i <= XTS_ROUNDS; i++) {
        __m128i k = _mm_load_si128((const __m128i *)from[XTS_ROUNDS - i]);
        bool inner = i != 0 && i != XTS_ROUNDS;
        _mm_store_si128((__m128i *)out[i], inner ? _mm_aesimc_si128(k) : k);
    }
}

/* Times x: the carry out of bit 127 comes back as x^7 + x^2 + x + 1. */
WITH_AES static inline __m128i tweak_next(__m128i t) {
    const __m128i carries = _mm_set_epi32(1, 1, 1, 0x87);
    __m128i top = _mm_shuffle_epi32(_mm_srai_epi32(t, 31), 0x93);
    return _mm_xor_si128(_mm_slli_epi32(t, 1), _mm_and_si128(top, carries));
}

WITH_AES static __m128i tweak_first(const struct xts *x, u64 unit) {
    const __m128i *k = (const __m128i *)x->place;
    __m128i t = _mm_xor_si128(_mm_set_epi64x(0, (s64)unit), k[0]);
    for (u32 i = 1; i < XTS_ROUNDS; i++) t = _mm_aesenc_si128(t, k[i]);
    return _mm_aesenclast_si128(t, k[XTS_ROUNDS]);
}

/* One unit: eight blocks at a time. */
WITH_AES static inline void unit_run(const __m128i *k, __m128i t, const u8 *from, u8 *to,
                                     bool encrypt) {
    for (u32 at = 0; at < XTS_UNIT_BYTES; at += ABREAST * 16) {
        __m128i tweak[ABREAST], s[ABREAST];
#pragma GCC unroll 8
        for (u32 j = 0; j < ABREAST; j++) {
            tweak[j] = _mm_xor_si128(t, k[0]);
            s[j] = _mm_loadu_si128((const __m128i_u *)(from + at + 16 * j));
            s[j] = _mm_xor_si128(s[j], tweak[j]);
            t = tweak_next(t);
        }
        for (u32 i = 1; i < XTS_ROUNDS; i++) {
#pragma GCC unroll 8
            for (u32 j = 0; j < ABREAST; j++)
                s[j] = encrypt ? _mm_aesenc_si128(s[j], k[i]) : _mm_aesdec_si128(s[j], k[i]);
        }
        __m128i last = _mm_xor_si128(k[0], k[XTS_ROUNDS]);
#pragma GCC unroll 8
        for (u32 j = 0; j < ABREAST; j++) {
            __m128i end = _mm_xor_si128(tweak[j], last); /* the last key and the tweak in one */
            s[j] = encrypt ? _mm_aesenclast_si128(s[j], end) : _mm_aesdeclast_si128(s[j], end);
            _mm_storeu_si128((__m128i_u *)(to + at + 16 * j), s[j]);
        }
    }
}

WITH_AES static void units_run(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n,
                               bool encrypt) {
    for (; n; n -= XTS_UNIT_BYTES, from += XTS_UNIT_BYTES, to += XTS_UNIT_BYTES, unit++) {
        __m128i t = tweak_first(x, unit);
        if (encrypt) unit_run((const __m128i *)x->encrypt, t, from, to, true);
        else unit_run((const __m128i *)x->decrypt, t, from, to, false);
    }
}

WITH_AES static void keys_make(struct xts *x, const u8 *key) {
    keys_expand(key, x->encrypt);
    keys_expand(key + XTS_KEY_BYTES / 2, x->place);
    keys_invert(x->encrypt, x->decrypt);
}
#else
static bool cpu_has_aes(void) { return false; }
static void keys_make(struct xts *x, const u8 *key) { (void)x, (void)key; }
static void units_run(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n,
                      bool encrypt) {
    (void)x, (void)unit, (void)from, (void)to, (void)n, (void)encrypt;
}
#endif

/* ---- By mbedTLS ------------------------------------------------------------------------------ */

static rc_t library_open(struct xts *x, const u8 *key) {
    struct library_keys *k = memory_zero(MEMORY_SQL, sizeof *k);
    if (!k) return RC_NO_MEMORY;
    mbedtls_aes_xts_init(&k->encrypt);
    mbedtls_aes_xts_init(&k->decrypt);
    int bad = mbedtls_aes_xts_setkey_enc(&k->encrypt, key, XTS_KEY_BYTES * 8);
    bad |= mbedtls_aes_xts_setkey_dec(&k->decrypt, key, XTS_KEY_BYTES * 8);
    CHECK(!bad); /* only a key of another length is refused */
    x->by_library = k;
    return RC_OK;
}

static void library_run(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n,
                        bool encrypt) {
    struct library_keys *k = x->by_library;
    for (; n; n -= XTS_UNIT_BYTES, from += XTS_UNIT_BYTES, to += XTS_UNIT_BYTES, unit++) {
        u8 place[16] = {0};
        memcpy(place, &unit, sizeof unit); /* little-endian, as the standard has it */
        int bad = mbedtls_aes_crypt_xts(encrypt ? &k->encrypt : &k->decrypt,
                                        encrypt ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT,
                                        XTS_UNIT_BYTES, place, from, to);
        CHECK(!bad);
    }
}

/* ---- Either ---------------------------------------------------------------------------------- */

rc_t xts_open(struct xts *x, const u8 key[XTS_KEY_BYTES]) {
    *x = (struct xts){.of_processor = cpu_has_aes()};
    if (!x->of_processor) return library_open(x, key);
    keys_make(x, key);
    return RC_OK;
}

void xts_close(struct xts *x) {
    struct library_keys *k = x->by_library;
    if (k) {
        mbedtls_aes_xts_free(&k->encrypt);
        mbedtls_aes_xts_free(&k->decrypt);
        memory_free(MEMORY_SQL, k);
    }
    mbedtls_platform_zeroize(x, sizeof *x);
}

void xts_encrypt(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n) {
    CHECK(n % XTS_UNIT_BYTES == 0);
    if (x->of_processor) units_run(x, unit, from, to, n, true);
    else library_run(x, unit, from, to, n, true);
}

void xts_decrypt(const struct xts *x, u64 unit, const u8 *from, u8 *to, size_t n) {
    CHECK(n % XTS_UNIT_BYTES == 0);
    if (x->of_processor) units_run(x, unit, from, to, n, false);
    else library_run(x, unit, from, to, n, false);
}
