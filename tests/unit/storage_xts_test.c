/* SPDX-License-Identifier: Apache-2.0 */
/* storage_xts_test.c — the disk's cipher: the standard's vector, and the processor's instructions
 * against mbedTLS over random keys, places and lengths. */
#include "storage/xts.c"
#include "tests/test.h"
#include <stdlib.h>

/* IEEE 1619-2007, annex B, vector 10: XTS-AES-256, a unit of 512 bytes. */
static const u8 vector_key[XTS_KEY_BYTES] = {
    0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45, 0x23, 0x53, 0x60, 0x28, 0x74, 0x71, 0x35, 0x26,
    0x62, 0x49, 0x77, 0x57, 0x24, 0x70, 0x93, 0x69, 0x99, 0x59, 0x57, 0x49, 0x66, 0x96, 0x76, 0x27,
    0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97, 0x93, 0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95,
    0x02, 0x88, 0x41, 0x97, 0x16, 0x93, 0x99, 0x37, 0x51, 0x05, 0x82, 0x09, 0x74, 0x94, 0x45, 0x92};
static const u8 vector_first[16] = {0x1c, 0x3b, 0x3a, 0x10, 0x2f, 0x77, 0x03, 0x86,
                                    0xe4, 0x83, 0x6c, 0x99, 0xe3, 0x70, 0xcf, 0x9b};

static void random_fill(u8 *to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = (u8)test_random();
}

TEST(the_standards_vector) {
    u8 plain[XTS_UNIT_BYTES], out[XTS_UNIT_BYTES], back[XTS_UNIT_BYTES];
    struct xts x;
    for (u32 i = 0; i < sizeof plain; i++) plain[i] = (u8)i;
    for (int library = 0; library < 2; library++) {
        EXPECT_OK(xts_open(&x, vector_key));
        if (library && x.of_processor) EXPECT_OK(library_open(&x, vector_key));
        if (library) x.of_processor = false;
        xts_encrypt(&x, 0xff, plain, out, sizeof plain);
        EXPECT(memcmp(out, vector_first, sizeof vector_first) == 0);
        xts_decrypt(&x, 0xff, out, back, sizeof back);
        EXPECT(memcmp(back, plain, sizeof plain) == 0);
        xts_close(&x);
    }
}

TEST(processor_and_library_agree) {
    enum { MAX = 16 * XTS_UNIT_BYTES };
    u8 *plain = malloc(MAX), *a = malloc(MAX), *b = malloc(MAX);
    for (u32 round = 0; round < 200; round++) {
        u8 key[XTS_KEY_BYTES];
        struct xts fast, slow = {0};
        size_t n = (1 + test_random() % 16) * XTS_UNIT_BYTES;
        u64 unit = test_random() >> test_random() % 60;
        random_fill(key, sizeof key);
        random_fill(plain, n);
        EXPECT_OK(xts_open(&fast, key));
        EXPECT_OK(library_open(&slow, key));
        xts_encrypt(&fast, unit, plain, a, n);
        xts_encrypt(&slow, unit, plain, b, n);
        EXPECT(memcmp(a, b, n) == 0);
        EXPECT(memcmp(a, plain, n) != 0);
        xts_decrypt(&fast, unit, a, a, n); /* in place */
        xts_decrypt(&slow, unit, b, b, n);
        EXPECT(memcmp(a, plain, n) == 0);
        EXPECT(memcmp(b, plain, n) == 0);
        xts_close(&fast);
        xts_close(&slow);
    }
    free(plain), free(a), free(b);
}

TEST(each_place_has_its_own) {
    u8 zero[2 * XTS_UNIT_BYTES] = {0}, out[2 * XTS_UNIT_BYTES];
    struct xts x;
    EXPECT_OK(xts_open(&x, vector_key));
    xts_encrypt(&x, 7, zero, out, sizeof out);
    for (u32 i = 0; i < sizeof out; i += 16)
        for (u32 j = 0; j < i; j += 16) EXPECT(memcmp(out + i, out + j, 16) != 0);
    xts_close(&x);
    for (u32 i = 0; i < sizeof x; i++) EXPECT_EQ(((u8 *)&x)[i], 0);
}
