/* SPDX-License-Identifier: Apache-2.0 */
/* isn.c — sequence numbers nobody can guess (RFC 6528) and SYN cookies.
 *
 *   cookie:  | minute:5 | mss:3 | keyed hash of tuple, client ISN, minute, mss : 24 |
 *
 * A cookie is good for its minute and the next two. SipHash-2-4 (Aumasson, Bernstein) with a
 * 128-bit key drawn at boot: a peer that sees its own numbers learns nothing about another's. */
#include "net/isn.h"
#include "net/net_impl.h"
#include "kernel/platform.h"

static struct {
    u64 isn_key[2], cookie_key[2];
    bool ready;
} secret;

static const u16 cookie_mss[8] = {536, 1024, 1200, 1300, 1360, 1400, 1440, 1460};

static u64 rotate(u64 x, int by) {
    return x << by | x >> (64 - by);
}

static void sip_round(u64 v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

u64 siphash(const u64 key[2], const void *bytes, size_t n) {
    u64 v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
                key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};
    const u8 *p = bytes;
    size_t left = n;
    u64 word;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        v[3] ^= word, sip_round(v), sip_round(v), v[0] ^= word;
    }
    word = 0;
    if (left) memcpy(&word, p, left);
    word |= (u64)n << 56;
    v[3] ^= word, sip_round(v), sip_round(v), v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void isn_init(void) {
    for (int i = 0; i < 2; i++) {
        secret.isn_key[i] = (u64)net_random_u32() << 32 | net_random_u32();
        secret.cookie_key[i] = (u64)net_random_u32() << 32 | net_random_u32();
    }
    secret.ready = true;
}

u32 isn_for(const struct tuple *t) {
    if (!secret.ready) isn_init();
    u32 clock = (u32)(platform_clock_ns() / (4 * NS_PER_US));
    return clock + (u32)siphash(secret.isn_key, t, sizeof *t);
}

static u32 minute_now(void) {
    return (u32)(platform_clock_ns() / (60 * NS_PER_S));
}

static u32 cookie_hash(const struct tuple *t, u32 client_isn, u32 minute, u32 mss_step) {
    struct {
        struct tuple tuple;
        u32 isn, minute, mss, zero;
    } in = {*t, client_isn, minute, mss_step, 0};
    return (u32)siphash(secret.cookie_key, &in, sizeof in) & 0xFFFFFFu;
}

u32 isn_cookie_make(const struct tuple *t, u32 client_isn, u16 mss) {
    if (!secret.ready) isn_init();
    u32 step = 7, minute = minute_now();
    while (step && cookie_mss[step] > mss) step--;
    return (minute & 31) << 27 | step << 24 | cookie_hash(t, client_isn, minute, step);
}

bool isn_cookie_check(const struct tuple *t, u32 client_isn, u32 cookie, u16 *out_mss) {
    u32 now = minute_now(), step = cookie >> 24 & 7;
    u32 age = (now - (cookie >> 27)) & 31;
    if (!secret.ready || age > 2 || age > now) return false;
    if (cookie_hash(t, client_isn, now - age, step) != (cookie & 0xFFFFFFu)) return false;
    *out_mss = cookie_mss[step];
    return true;
}
