/* SPDX-License-Identifier: Apache-2.0 */
/* id.c — UUIDv7.
 *
 *    0                   48   52            64 66                            128
 *    | unix time in ms    | 7 | counter      |10| random                      |
 *
 * Always true: a later id of this machine compares greater, also within a millisecond (the counter
 * is seeded low and stepped) and after the wall clock was set back (the newest time seen is kept).
 * Databases like that: rows made together lie together. */
#include "app/id.h"
#include "kernel/platform.h"

static struct {
    u64 ms;
    u32 counter; /* 12 bits */
} last;

/* Random bytes are fetched for many ids at once: ids need not be secret, only different, and of two
 * that share their random part time and counter tell them apart. */
static struct {
    u8 bytes[256];
    size_t used;
} pool = {.used = sizeof pool.bytes};

static rc_t random_10(u8 to[10]) {
    if (pool.used + 10 > sizeof pool.bytes) {
        rc_t rc = platform_entropy(pool.bytes, sizeof pool.bytes);
        if (rc) return rc;
        pool.used = 0;
    }
    memcpy(to, pool.bytes + pool.used, 10);
    pool.used += 10;
    return RC_OK;
}

static void put_text(const u8 bytes[16], char to[ID_ROOM]) {
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) to[at++] = '-';
        to[at++] = digits[bytes[i] >> 4];
        to[at++] = digits[bytes[i] & 15];
    }
    to[at] = 0;
    CHECK(at == ID_LEN);
}

rc_t id_make(char to[ID_ROOM], str *out) {
    u8 b[16];
    rc_t rc = random_10(b + 6);
    if (rc) return rc;
    u64 wall = platform_wall_ns();
    u64 ms = (wall ? wall : platform_clock_ns()) / NS_PER_MS;
    if (ms > last.ms) {
        last.ms = ms;
        last.counter = (u32)(b[6] << 8 | b[7]) & 0x7FF; /* leaves at least 2048 steps */
    } else if (++last.counter > 0xFFF) {
        last.ms++;
        last.counter = 0;
    }
    for (int i = 0; i < 6; i++) b[i] = (u8)(last.ms >> (40 - 8 * i));
    b[6] = (u8)(0x70 | last.counter >> 8);
    b[7] = (u8)last.counter;
    b[8] = (u8)(0x80 | (b[8] & 0x3F));
    put_text(b, to);
    *out = str_of(to, ID_LEN);
    return RC_OK;
}

bool id_valid(str text) {
    if (text.len != ID_LEN) return false;
    for (size_t i = 0; i < ID_LEN; i++) {
        char c = text.ptr[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return false;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}
