/* SPDX-License-Identifier: Apache-2.0 */
/* guest_ring_test.c — the split queue against a device that behaves, and one that does not. */
#include "kernel/guest/virtio/ring.c"
#include "tests/test.h"
#include <stdlib.h>

static struct ring r;
static char tokens[RING_SIZE_MAX];

static void *shared_new(u16 size) { return aligned_alloc(4096, ALIGN_UP(ring_bytes(size), 4096)); }

static void *begin(u16 size, bool event_idx) {
    void *m = shared_new(size);
    memset(m, 0, ring_bytes(size));
    ring_open(&r, size, m, event_idx);
    return m;
}

/* The device answers one chain: `bytes` written. */
static void device_answers(u32 id, u32 bytes) {
    u16 i = r.used->index;
    r.used->ring[i & (r.size - 1)] = (struct vring_used_element){id, bytes};
    r.used->index = (u16)(i + 1);
}

static u16 device_takes(u16 *seen) { return r.avail->ring[(*seen)++ & (r.size - 1)]; }

TEST(chains_go_out_and_come_back) {
    void *m = begin(8, true);
    u8 a[16], b[512], c[1];
    struct ring_part parts[] = {{a, 16}, {b, 512}, {c, 1}};
    u16 seen = 0;
    for (int round = 0; round < 70000; round++) { /* indexes wrap */
        EXPECT_OK(ring_add(&r, parts, 1, 2, &tokens[1]));
        EXPECT_OK(ring_add(&r, parts, 2, 1, &tokens[2]));
        EXPECT_RC(ring_add(&r, parts, 1, 2, &tokens[3]), RC_AGAIN); /* 2 descriptors left */
        EXPECT(ring_kick_due(&r) || r.used->index != r.avail_index);
        u16 first = device_takes(&seen), second = device_takes(&seen);
        EXPECT_EQ(r.desc[first].flags, DESC_NEXT);
        EXPECT_EQ(r.desc[r.desc[first].next].flags, DESC_NEXT | DESC_WRITE);
        device_answers(second, 1); /* in another order */
        device_answers(first, 513);
        void *token;
        u32 bytes;
        REQUIRE(ring_poll(&r, &token, &bytes) == RC_OK);
        EXPECT(token == &tokens[2]);
        EXPECT_EQ(bytes, 1);
        REQUIRE(ring_poll(&r, &token, &bytes) == RC_OK);
        EXPECT(token == &tokens[1]);
        EXPECT_RC(ring_poll(&r, &token, &bytes), RC_AGAIN);
        REQUIRE(r.free_count == 8);
    }
    free(m);
}

TEST(doorbell_only_when_the_device_asks) {
    void *m = begin(8, true);
    u8 a[4];
    struct ring_part part = {a, 4};
    EXPECT(!ring_kick_due(&r)); /* nothing added */
    *avail_event(&r) = 0;       /* wants to hear of the first */
    EXPECT_OK(ring_add(&r, &part, 1, 0, tokens));
    EXPECT(ring_kick_due(&r));
    EXPECT(!ring_kick_due(&r)); /* told already */
    *avail_event(&r) = 5;
    EXPECT_OK(ring_add(&r, &part, 1, 0, tokens));
    EXPECT(!ring_kick_due(&r));
    free(m);
    m = begin(8, false);
    EXPECT_OK(ring_add(&r, &part, 1, 0, tokens));
    r.used->flags = USED_NO_NOTIFY;
    EXPECT(!ring_kick_due(&r));
    r.used->flags = 0;
    EXPECT_OK(ring_add(&r, &part, 1, 0, tokens));
    EXPECT(ring_kick_due(&r));
    free(m);
}

static bool would_interrupt(u16 before, u16 after) { /* the device's own rule, 2.7.7.2 */
    u16 event = *used_event(&r);
    return (u16)(after - event - 1) < (u16)(after - before);
}

TEST(interrupt_only_when_armed) {
    void *m = begin(8, true);
    EXPECT(!would_interrupt(0, 1));
    ring_arm(&r);
    EXPECT(would_interrupt(0, 1));
    EXPECT(would_interrupt(0, 3));
    EXPECT(!would_interrupt(1, 2)); /* once */
    ring_disarm(&r);
    EXPECT(!would_interrupt(0, 1));
    free(m);
    m = begin(8, false);
    EXPECT_EQ(r.avail->flags, AVAIL_NO_INTERRUPT);
    ring_arm(&r);
    EXPECT_EQ(r.avail->flags, 0);
    free(m);
}

static void lie(u32 id, u32 bytes, u16 index_step) {
    void *m = begin(8, true), *token;
    u8 a[16], b[64];
    struct ring_part parts[] = {{a, 16}, {b, 64}};
    u32 got;
    EXPECT_OK(ring_add(&r, parts, 1, 1, &tokens[1]));
    r.used->ring[0] = (struct vring_used_element){id, bytes};
    r.used->index = index_step;
    EXPECT_RC(ring_poll(&r, &token, &got), RC_CORRUPT);
    EXPECT_RC(ring_poll(&r, &token, &got), RC_CORRUPT); /* and stays so */
    EXPECT(!ring_has_used(&r));
    EXPECT_RC(ring_add(&r, parts, 1, 1, &tokens[1]), RC_AGAIN);
    EXPECT(!ring_kick_due(&r));
    free(m);
}

TEST(lying_devices_are_found_out) {
    lie(8, 0, 1);          /* no such descriptor */
    lie(0xFFFFFFFF, 0, 1);
    lie(1, 0, 1);          /* the middle of a chain */
    lie(2, 0, 1);          /* not in flight */
    lie(0, 65, 1);         /* more than was lent */
    lie(0, 0xFFFFFFFF, 1);
    lie(0, 64, 9);         /* more answers than descriptors */
    lie(0, 64, 0x8000);
}

TEST(the_same_answer_twice_is_a_lie) {
    void *m = begin(8, true), *token;
    u8 b[64];
    struct ring_part part = {b, 64};
    u32 got;
    EXPECT_OK(ring_add(&r, &part, 0, 1, &tokens[1]));
    device_answers(0, 64);
    device_answers(0, 64);
    EXPECT_OK(ring_poll(&r, &token, &got));
    EXPECT_RC(ring_poll(&r, &token, &got), RC_CORRUPT);
    free(m);
}

/* Whatever the device writes, wherever it may: we only ever hand back tokens in flight, once. */
TEST(random_devices_never_break_us) {
    static u8 in_flight[RING_SIZE_MAX];
    for (int run = 0; run < 2000; run++) {
        u16 size = (u16)(1u << (test_random() % 6));
        u8 *m = begin(size, test_random() & 1);
        u8 b[64];
        struct ring_part parts[] = {{b, 32}, {b + 32, 32}};
        memset(in_flight, 0, sizeof in_flight);
        for (int step = 0; step < 60; step++) {
            u32 k = (u32)(test_random() % size), n = 1 + (u32)(test_random() % 2);
            if (!in_flight[k] && n <= r.free_count && !r.broken) {
                EXPECT_OK(ring_add(&r, parts, n - 1, 1, &tokens[k]));
                in_flight[k] = 1;
            }
            (void)ring_kick_due(&r);
            if (test_random() % 3) device_answers((u32)(test_random() % size), 32);
            else m[test_random() % ring_bytes(size)] = (u8)test_random();
            void *token;
            u32 bytes;
            while (ring_poll(&r, &token, &bytes) == RC_OK) {
                size_t t = (size_t)((char *)token - tokens);
                REQUIRE(t < size && in_flight[t]);
                EXPECT(bytes <= 64);
                in_flight[t] = 0;
            }
        }
        free(m);
    }
}
