/* SPDX-License-Identifier: Apache-2.0 */
/* rng.c — entropy from the hypervisor [virtio 1.2, 5.4]. One request is made when the device is
 * found, so that the answer is usually there when start.c asks for it. The device is hostile like
 * every other: what it gives is mixed into the generator, never used as it is. */
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/guest/virtio/devices.h"
#include "kernel/platform.h"

enum { SEED_BYTES = 64, WAIT_MS = 5, WAIT_ALONE_MS = 500 };

static struct virtio *device;
static struct ring ring;
static u8 seed[SEED_BYTES] __attribute__((aligned(64)));

static void ask(void) {
    struct ring_part part = {seed, SEED_BYTES};
    if (ring_add(&ring, &part, 0, 1, seed)) return;
    ring_arm(&ring);
    virtio_kick(device, 0, &ring);
}

void rng_found(struct virtio *v) {
    if (device || virtio_begin(v, FEATURE_EVENT_IDX)) return;
    if (virtio_queue(v, 0, 8, &ring)) return;
    device = v;
    virtio_go(v);
    ask();
}

void rng_seed(void) {
    if (!device) return;
    /* Without the CPU's own source this one decides whether keys can be made: be patient. */
    u64 end = platform_clock_ns() + (cpu_has.rdrand ? WAIT_MS : WAIT_ALONE_MS) * NS_PER_MS;
    while (!ring_has_used(&ring) && platform_clock_ns() < end) {
        apic_timer_at(end);
        irq_sleep();
    }
    void *token;
    u32 bytes = 0;
    rc_t rc = ring_poll(&ring, &token, &bytes);
    if (rc == RC_CORRUPT) virtio_kill(device, "entropy ring");
    if (rc) return;
    u32 different = 0;
    for (u32 i = 1; i < bytes; i++) different += seed[i] != seed[0];
    entropy_mix(seed, bytes, bytes >= 32 && different > bytes / 2);
    memset(seed, 0, sizeof seed);
}
