/* SPDX-License-Identifier: Apache-2.0 */
/* guest_ring_fuzz.c — a hostile device writes anything anywhere in the shared memory of a queue,
 * at any time. Tokens must come back at most once each and only while in flight. Each input byte
 * pair is a step: add a request, look, or store a byte or a used element. */
#include "kernel/guest/virtio/ring.c"

enum { SIZE = 16 };
static u8 shared[4096] __attribute__((aligned(4096)));
static struct ring r;
static char tokens[SIZE];
static bool in_flight[SIZE];

static void poll_all(void) {
    void *token;
    u32 bytes;
    while (ring_poll(&r, &token, &bytes) == RC_OK) {
        size_t t = (size_t)((char *)token - tokens);
        CHECK(t < SIZE);
        CHECK(in_flight[t]);
        CHECK(bytes <= 512);
        in_flight[t] = false;
    }
}

int LLVMFuzzerTestOneInput(const u8 *p, size_t n);
int LLVMFuzzerTestOneInput(const u8 *p, size_t n) {
    static u8 data[768];
    memset(shared, 0, sizeof shared);
    memset(in_flight, 0, sizeof in_flight);
    ring_open(&r, SIZE, shared, n & 1);
    for (size_t i = 0; i + 3 < n; i += 4) {
        u32 k = p[i + 1] % SIZE, parts = 1 + p[i + 2] % 3;
        struct ring_part part[] = {{data, 256}, {data + 256, 256}, {data + 512, 256}};
        switch (p[i] % 5) {
        case 0:
            if (!in_flight[k] && ring_add(&r, part, parts - 1, 1, &tokens[k]) == RC_OK)
                in_flight[k] = true;
            break;
        case 1: poll_all(); break;
        case 2: shared[(p[i + 1] | (u32)p[i + 2] << 8) % ring_bytes(SIZE)] = p[i + 3]; break;
        case 3:
            r.used->ring[r.used->index % SIZE] = (struct vring_used_element){p[i + 1], p[i + 2]};
            r.used->index++;
            break;
        case 4:
            (void)ring_kick_due(&r);
            p[i + 1] & 1 ? ring_arm(&r) : ring_disarm(&r);
            break;
        }
        CHECK(r.free_count <= SIZE);
    }
    poll_all();
    return 0;
}
