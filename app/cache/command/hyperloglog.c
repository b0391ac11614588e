/* SPDX-License-Identifier: Apache-2.0 */
/* hyperloglog.c — how many distinct elements, from 16,384 registers: PFADD, PFCOUNT, PFMERGE.
 *
 *   "HYLL" | encoding | 3 unused | estimate, 8 bytes, top bit: stale | registers
 *     dense   6 bits each, lowest bits first
 *     sparse  00zzzzzz  1..64 zeroes    01zzzzzz zzzzzzzz  1..16384 zeroes
 *             1vvvvvnn  value 1..32, n+1 times
 *
 * The bytes, the hash and the estimator (O. Ertl, 2017) are those of Redis,
     so that strings and counts
 * can be exchanged. A sparse string is unpacked, changed and packed anew; it becomes dense when it
 * grows beyond hll-sparse-max-bytes or a register beyond 32. Bytes that cannot be right are
 * refused. */
#include "app/cache/data/memory.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include <math.h>

#define REGISTERS 16384u
#define HEAD 16u
#define DENSE_BYTES (HEAD + REGISTERS * 6 / 8)
#define NOT_HLL "WRONGTYPE Key is not a valid HyperLogLog string value."
#define CORRUPT "INVALIDOBJ Corrupted HLL object detected"

static u64 murmur(str s) {
    const u64 m = 0xC6A4A7935BD1E995ull;
    u64 h = 0xADC83B19ull ^ (s.len * m), k;
    const char *p = s.ptr;
    size_t n = s.len;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&k, p, 8);
        k *= m;
        k ^= k >> 47;
        k *= m;
        h ^= k;
        h *= m;
    }
    if (n) {
        for (size_t i = 0; i < n; i++) h ^= (u64)(u8)p[i] << (8 * i);
        h *= m;
    }
    h ^= h >> 47;
    h *= m;
    return h ^ h >> 47;
}

static bool register_raise(u8 *registers, str element) {
    u64 h = murmur(element);
    u32 i = (u32)(h & (REGISTERS - 1));
    u8 n = (u8)(__builtin_ctzll(h >> 14 | 1ull << 50) + 1);
    if (registers[i] >= n) return false;
    registers[i] = n;
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool is_hll(str s) {
    return s.len >= HEAD && memcmp(s.ptr, "HYLL", 4) == 0 && (u8)s.ptr[4] <= 1 &&
           (s.ptr[4] || s.len == DENSE_BYTES);
}

static bool sparse_read(str s, u8 *registers) {
    u32 at = 0;
    for (size_t i = HEAD; i < s.len; i++) {
        u8 b = (u8)s.ptr[i];
        u32 run = (b & 63) + 1u, value = 0;
        if (b & 0x80) {
            run = (b & 3) + 1u;
            value = (b >> 2 & 31) + 1u;
        } else if (b & 0x40) {
            if (i + 1 == s.len) return false;
            run = ((u32)(b & 63) << 8 | (u8)s.ptr[++i]) + 1u;
        }
        if (run > REGISTERS - at) return false;
        for (; run; run--, at++)
            if (registers[at] < value) registers[at] = (u8)value;
    }
    return at == REGISTERS;
}

/* Raises each register to what the string has. */
static bool merge(str s, u8 *registers) {
    if (s.ptr[4]) return sparse_read(s, registers);
    const u8 *p = (const u8 *)s.ptr + HEAD;
    for (u32 i = 0; i < REGISTERS; i++) {
        u32 bit = i * 6, low = p[bit / 8] >> bit % 8;
        u32 high = bit % 8 > 2 ? (u32)p[bit / 8 + 1] << (8 - bit % 8) : 0;
        u8 value = (u8)((low | high) & 63);
        if (registers[i] < value) registers[i] = value;
    }
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static struct text *dense_write(const u8 *registers) {
    struct text *t = text_new(S(""), DENSE_BYTES);
    memset(t->bytes, 0, DENSE_BYTES);
    t->len = DENSE_BYTES;
    memcpy(t->bytes, "HYLL", 4);
    u8 *p = (u8 *)t->bytes + HEAD;
    for (u32 i = 0; i < REGISTERS; i++) {
        u32 bit = i * 6;
        p[bit / 8] |= (u8)(registers[i] << bit % 8);
        if (bit % 8 > 2) p[bit / 8 + 1] |= (u8)(registers[i] >> (8 - bit % 8));
    }
    return t;
}

/* NULL: it would be too long, or a register is too high. */
static struct text *sparse_write(const u8 *registers) {
    size_t most = (size_t)settings.hll_sparse_bytes;
    struct text *t = text_new(S("HYLL\1\0\0\0\0\0\0\0\0\0\0\0"), HEAD + most + 2);
    for (u32 i = 0, run; i < REGISTERS; i += run) {
        u8 v = registers[i];
        for (run = 1; i + run < REGISTERS && registers[i + run] == v && (!v || run < 4); run++) {}
        if (v > 32 || t->len - HEAD + 2 > most) {
            text_drop(t);
            return NULL;
        }
        u8 *p = (u8 *)t->bytes + t->len;
        if (v) *p = (u8)(0x80 | (v - 1) << 2 | (run - 1));
        else if (run <= 64) *p = (u8)(run - 1);
        else {
            p[0] = (u8)(0x40 | (run - 1) >> 8);
            p[1] = (u8)(run - 1);
            t->len++;
        }
        t->len++;
    }
    return t;
}

static void store(struct client *c, str key, const u8 *registers, bool dense) {
    struct text *t = dense ? NULL : sparse_write(registers);
    if (!t) t = dense_write(registers);
    t->bytes[15] = (char)0x80; /* the estimate is stale */
    (void)keys_put(c->db, key, object_of_text(t), true);
}

/* ---- Estimating ------------------------------------------------------------------------------ */

static double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double before, y = 1, z = 1 - x;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (before != z);
    return z / 3;
}

static double sigma(double x) {
    if (x == 1) return INFINITY;
    double before, y = 1, z = x;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (before != z);
    return z;
}

static u64 estimate(const u8 *registers) {
    u32 histogram[64] = {0};
    double m = REGISTERS;
    for (u32 i = 0; i < REGISTERS; i++) histogram[registers[i]]++;
    double z = m * tau((m - histogram[51]) / m);
    for (u32 j = 50; j >= 1; j--) z = (z + histogram[j]) * 0.5;
    z += m * sigma(histogram[0] / m);
    return (u64)llround(0.721347520444481703680 * m * m / z);
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* Merges the key's registers. False: told. *o NULL: no such key. */
static bool key_merge(struct client *c, str key, u8 *registers, bool write, struct object **o,
                      bool *dense) {
    bool bad;
    *o = write ? look_write(c, key, OBJECT_STRING, &bad) : look_read(c, key, OBJECT_STRING, &bad);
    if (bad) return false;
    if (!*o) return true;
    char scratch[OBJECT_NUMBER_ROOM];
    str s = object_str(*o, scratch);
    if (!is_hll(s)) {
        say_error(c, NOT_HLL);
        return false;
    }
    *dense |= !s.ptr[4];
    if (merge(s, registers)) return true;
    say_error(c, CORRUPT);
    return false;
}

static u8 work[REGISTERS]; /* of the command that runs */

void cmd_pfadd(struct client *c) {
    struct object *o;
    bool dense = false, changed = false;
    memset(work, 0, sizeof work);
    if (!key_merge(c, c->argv[1], work, true, &o, &dense)) return;
    for (u32 i = 2; i < c->argc; i++) changed |= register_raise(work, c->argv[i]);
    changed |= !o;
    if (changed) {
        store(c, c->argv[1], work, dense);
        notify(NOTIFY_STRING, "pfadd", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, changed);
}

void cmd_pfcount(struct client *c) {
    struct object *o = NULL;
    bool dense = false;
    char scratch[OBJECT_NUMBER_ROOM];
    memset(work, 0, sizeof work);
    for (u32 i = 1; i < c->argc; i++)
        if (!key_merge(c, c->argv[i], work, false, &o, &dense)) return;
    if (c->argc > 2 || !o) {
        say_integer(c, c->argc > 2 ? (s64)estimate(work) : 0);
        return;
    }
    str s = object_str(o, scratch);
    u64 n;
    memcpy(&n, s.ptr + 8, 8);
    if (n >> 63) { /* stale: kept with the key from now on */
        n = estimate(work);
        memcpy(object_edit(o, s.len)->bytes + 8, &n, 8);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, (s64)n);
}

void cmd_pfmerge(struct client *c) {
    struct object *o;
    bool dense = false;
    memset(work, 0, sizeof work);
    for (u32 i = 1; i < c->argc; i++)
        if (!key_merge(c, c->argv[i], work, i == 1, &o, &dense)) return;
    store(c, c->argv[1], work, dense);
    notify(NOTIFY_STRING, "pfadd", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
    say_ok(c);
}
