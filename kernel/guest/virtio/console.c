/* SPDX-License-Identifier: Apache-2.0 */
/* console.c — a virtio console [virtio 1.2, 5.3], for machines without a serial port: what goes
 * to the console goes there too, what is typed there is typed here. Port 0 only. Output is copied
 * into a few buffers; when the host does not take them in time, it is dropped. */
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/guest/virtio/devices.h"

enum { IN_QUEUE = 0, OUT_QUEUE = 1, BUFFERS = 8, BUFFER_BYTES = 512, WAIT_SPINS = 20000 };

static struct virtio *device;
static struct ring in, out;
static u8 in_bytes[64];
static struct buffer {
    bool busy;
    char bytes[BUFFER_BYTES];
} buffers[BUFFERS];

static void listen_again(void) {
    struct ring_part part = {in_bytes, sizeof in_bytes};
    if (ring_add(&in, &part, 0, 1, in_bytes)) return;
    ring_arm(&in);
    virtio_kick(device, IN_QUEUE, &in);
}

static void reclaim(void) {
    void *token;
    u32 bytes;
    rc_t rc;
    while (!(rc = ring_poll(&out, &token, &bytes))) ((struct buffer *)token)->busy = false;
    if (rc == RC_CORRUPT) virtio_kill(device, "console output ring");
}

static struct buffer *buffer_free(void) {
    for (u32 spins = 0; spins < WAIT_SPINS; spins++) {
        reclaim();
        for (u32 i = 0; i < BUFFERS; i++)
            if (!buffers[i].busy) return &buffers[i];
        cpu_pause();
    }
    return NULL;
}

static void put(str bytes) {
    while (bytes.len && !device->dead) {
        struct buffer *b = buffer_free();
        if (!b) return;
        size_t n = MIN(bytes.len, (size_t)BUFFER_BYTES);
        memcpy(b->bytes, bytes.ptr, n);
        struct ring_part part = {b->bytes, (u32)n};
        if (ring_add(&out, &part, 1, 0, b)) return;
        b->busy = true;
        virtio_kick(device, OUT_QUEUE, &out);
        bytes = str_skip(bytes, n);
    }
}

void virtio_console_look(void) {
    void *token;
    u32 bytes;
    if (!device || device->dead) return;
    rc_t rc = ring_poll(&in, &token, &bytes);
    if (rc == RC_CORRUPT) virtio_kill(device, "console input ring");
    if (rc) return;
    for (u32 i = 0; i < bytes; i++) console_typed(in_bytes[i]);
    listen_again();
}

void virtio_console_found(struct virtio *v) {
    if (device || virtio_begin(v, FEATURE_EVENT_IDX)) return;
    if (virtio_queue(v, IN_QUEUE, 8, &in) || virtio_queue(v, OUT_QUEUE, 2 * BUFFERS, &out)) return;
    device = v;
    virtio_go(v);
    listen_again();
    console_also = put;
}
