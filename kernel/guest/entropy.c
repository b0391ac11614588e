/* SPDX-License-Identifier: Apache-2.0 */
/* entropy.c — random bytes fit for keys.
 *
 *   RDSEED, RDRAND, virtio-rng, (TSC) -> mix -> 256-bit key -> ChaCha20 -> bytes
 *
 * A generator with fast key erasure (D. J. Bernstein, 2017): every answer first produces the next
 * key from the stream, so a later look into memory cannot recover earlier answers. Fresh RDRAND
 * and the TSC are mixed in every request, so a copied machine diverges. ChaCha20: RFC 8439.
 * Trusted are only sources made for it, after a start-up test; the TSC is mixed but never counts.
 * Without a trusted source the answer is RC_IO, and the caller makes no keys. */
#include "kernel/guest/guest.h"
#include "kernel/platform.h"

static u32 key[8];
static u64 requests;
static u32 sources; /* trusted ones mixed in so far */
static struct platform_lock lock;

static inline u32 rotl(u32 v, int n) { return v << n | v >> (32 - n); }
__attribute__((always_inline)) static inline void quarter(u32 *s, int a, int b, int c, int d) {
    s[a] += s[b], s[d] = rotl(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotl(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotl(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotl(s[b] ^ s[c], 7);
}

static void chacha20_block(const u32 k[8], u32 counter, const u32 nonce[3], u32 out[16]) {
    u32 in[16] = {0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, k[0], k[1], k[2], k[3], k[4],
                  k[5], k[6], k[7], counter, nonce[0], nonce[1], nonce[2]};
    memcpy(out, in, sizeof in);
    for (int round = 0; round < 10; round++) {
        quarter(out, 0, 4, 8, 12);
        quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14);
        quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15);
        quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13);
        quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) out[i] += in[i];
}

/* ---- The CPU's own source -------------------------------------------------------------------- */

static bool rdrand_once(u64 *out) {
    u8 ok = 0;
    for (int i = 0; i < 10 && !ok; i++)
        __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*out), "=qm"(ok)::"cc");
    return ok;
}
static bool rdseed_once(u64 *out) {
    u8 ok = 0;
    for (int i = 0; i < 10 && !ok; i++)
        __asm__ volatile("rdseed %0\n\tsetc %1" : "=r"(*out), "=qm"(ok)::"cc");
    return ok;
}

/* A CPU whose generator is stuck answers the same word, zeros or ones: seen in the field. */
static bool cpu_source_works(bool (*read)(u64 *)) {
    u64 last = 0, v = 0;
    for (int i = 0; i < 8; i++) {
        if (!read(&v) || v == last || v + 1 < 2) return false;
        last = v;
    }
    return true;
}

u64 entropy_early(void) {
    u64 v = 0;
    if (cpu_has.rdrand && !rdrand_once(&v)) v = 0;
    return v ^ (tsc_read() * 0x9E3779B97F4A7C15ull);
}

/* ---- Mixing and giving ----------------------------------------------------------------------- */

/* One block of the stream: its first half is the next key, its second may be given away. */
static void stir(const u32 with[8], u32 out_given[8]) {
    u32 block[16], nonce[3] = {1, 0, 0};
    for (int i = 0; i < 8; i++) key[i] ^= with[i];
    chacha20_block(key, 0, nonce, block);
    memcpy(key, block, sizeof key);
    memcpy(out_given, block + 8, sizeof key);
}

static void erase(void *p, size_t n) {
    memset(p, 0, n);
    __asm__ volatile("" ::"r"(p) : "memory"); /* it is meant */
}

void entropy_mix(const void *bytes, size_t n, bool trusted) {
    const u8 *p = bytes;
    platform_lock(&lock);
    while (n) {
        u32 part[8] = {0}, unused[8];
        size_t some = MIN(n, sizeof part);
        memcpy(part, p, some);
        stir(part, unused);
        p += some;
        n -= some;
    }
    if (trusted) sources++;
    platform_unlock(&lock);
}

void entropy_start(void) {
    u64 words[4];
    bool good = cpu_has.rdrand && cpu_source_works(rdrand_once);
    if (!good) cpu_has.rdrand = false;
    if (cpu_has.rdseed && !cpu_source_works(rdseed_once)) cpu_has.rdseed = false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = tsc_read();
        if (good && !rdrand_once(&words[i])) good = false;
    }
    entropy_mix(words, sizeof words, good);
    for (size_t i = 0; i < ARRAY_LEN(words) && cpu_has.rdseed; i++)
        if (!rdseed_once(&words[i])) break;
    words[0] ^= tsc_read();
    entropy_mix(words, sizeof words, false);
}

rc_t platform_entropy(void *to, size_t n) {
    u8 *p = to;
    if (!sources) return RC_IO;
    u64 fresh[4] = {tsc_read(), 0, 0, 0};
    for (int i = 1; i < 3 && cpu_has.rdrand; i++)
        if (!rdrand_once(&fresh[i])) break;
    platform_lock(&lock);
    fresh[3] = ++requests;
    u32 part[8], given[8], block[16], nonce[3] = {2, 0, 0};
    memcpy(part, fresh, sizeof part);
    stir(part, given); /* our key moves on before anything is given */
    platform_unlock(&lock);
    if (n <= sizeof given) { /* an id, a salt, a key */
        memcpy(p, given, n);
        erase(given, sizeof given);
        return RC_OK;
    }
    for (u32 counter = 0; n; counter++) { /* more: a stream under a key of its own */
        chacha20_block(given, counter, nonce, block);
        size_t some = MIN(n, sizeof block);
        memcpy(p, block, some);
        p += some;
        n -= some;
    }
    erase(given, sizeof given);
    erase(block, sizeof block);
    return RC_OK;
}
