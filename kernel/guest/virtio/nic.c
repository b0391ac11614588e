/* SPDX-License-Identifier: Apache-2.0 */
/* nic.c — the platform's network cards over virtio-net [virtio 1.2, 5.1].
 *
 *   rx: buffers lent to the device -> [head | frame], one or several (MRG_RXBUF) -> copied out
 *   tx: frame copied into a slot [head | frame] -> device -> slot free again
 *
 * One copy each way keeps ownership simple: whoever calls owns nothing of the rings. Buffers are
 * given back at once and the doorbell rings when a batch is through. Checksums are the device's
 * work where it offers that. A device that breaks the rules is reset; its link is down for ever. */
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/guest/virtio/devices.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

enum { BUFFER_BYTES = 2048, HEAD_BYTES = sizeof(struct virtio_net_head) };
enum { RX_BUFFERS = 256, TX_BUFFERS = 128 };
static_assert(NIC_FRAME_MAX + HEAD_BYTES <= BUFFER_BYTES, "a frame fits one buffer");

struct nic {
    struct virtio *v;
    struct ring rx, tx;
    u8 *rx_memory, *tx_memory;
    void *tx_free[TX_BUFFERS];
    u32 tx_free_count;
    bool open, up;
    bool starved;  /* a send was refused: tell when there is room */
    bool returned; /* buffers went back since the last doorbell */
};
static struct nic nics[NIC_MAX];
static u32 nic_count;

static void nic_kill(struct nic *n, const char *why) {
    virtio_kill(n->v, why);
    n->up = false;
}

static bool link_read(struct nic *n) {
    if (n->v->dead) return false;
    if (!(n->v->features & NET_STATUS)) return true;
    u16 status;
    virtio_config(n->v, NET_CONFIG_STATUS, &status, sizeof status);
    return status & NET_LINK_UP;
}

static void rx_lend(struct nic *n, void *buffer) {
    struct ring_part part = {buffer, BUFFER_BYTES};
    if (ring_add(&n->rx, &part, 0, 1, buffer)) return; /* cannot be: it just came from there */
    n->returned = true;
}

void nic_found(struct virtio *v) {
    if (nic_count == NIC_MAX) return;
    struct nic *n = &nics[nic_count];
    n->v = v;
    if (virtio_begin(v, NET_CSUM | NET_GUEST_CSUM | NET_MTU | NET_MAC | NET_MRG_RXBUF | NET_STATUS |
                            FEATURE_EVENT_IDX))
        return;
    if (virtio_queue(v, NET_RX_QUEUE, RX_BUFFERS, &n->rx) ||
        virtio_queue(v, NET_TX_QUEUE, TX_BUFFERS, &n->tx))
        return;
    n->rx_memory = ram_keep((size_t)n->rx.size * BUFFER_BYTES, PAGE_BYTES);
    n->tx_memory = ram_keep((size_t)n->tx.size * BUFFER_BYTES, PAGE_BYTES);
    if (!n->rx_memory || !n->tx_memory) return;
    nic_count++;
}

u32 platform_nic_count(void) { return nic_count; }

rc_t platform_nic_open(u32 nic, struct nic_info *out) {
    if (nic >= nic_count) return RC_NOT_FOUND;
    struct nic *n = &nics[nic];
    *out = (struct nic_info){.mtu = 1500};
    u64 f = n->v->features;
    if (f & NET_MAC) virtio_config(n->v, NET_CONFIG_MAC, out->mac, 6);
    else if (platform_entropy(out->mac, 6) == RC_OK) out->mac[0] = (u8)((out->mac[0] & 0xFC) | 2);
    else memcpy(out->mac, "\x02\x4F\x50\x00\x00\x01", 6); /* locally administered */
    u16 mtu = 0;
    if (f & NET_MTU) virtio_config(n->v, NET_CONFIG_MTU, &mtu, sizeof mtu);
    if (mtu >= 1280 && mtu < 1500) out->mtu = mtu;
    out->offloads = (f & NET_CSUM ? NIC_CSUM_TX : 0u) | (f & NET_GUEST_CSUM ? NIC_CSUM_RX : 0u);
    if (n->open) return RC_OK;
    n->open = true;
    for (u32 i = 0; i < n->tx.size; i++) n->tx_free[i] = n->tx_memory + (size_t)i * BUFFER_BYTES;
    n->tx_free_count = n->tx.size;
    virtio_go(n->v);
    for (u32 i = 0; i < n->rx.size; i++) rx_lend(n, n->rx_memory + (size_t)i * BUFFER_BYTES);
    virtio_kick(n->v, NET_RX_QUEUE, &n->rx);
    n->up = link_read(n);
    return RC_OK;
}

bool platform_nic_up(u32 nic) { return nic < nic_count && nics[nic].up; }

/* ---- Out ------------------------------------------------------------------------------------- */

static void tx_reclaim(struct nic *n) {
    void *token;
    u32 bytes;
    rc_t rc;
    while (!(rc = ring_poll(&n->tx, &token, &bytes))) n->tx_free[n->tx_free_count++] = token;
    if (rc == RC_CORRUPT) nic_kill(n, "send ring");
}

rc_t platform_nic_send(u32 nic, const struct nic_tx *frame) {
    struct nic *n = &nics[nic];
    CHECK(nic < nic_count && n->open);
    CHECK(frame->count && frame->count <= NIC_TX_PARTS_MAX);
    if (n->v->dead) return RC_IO;
    tx_reclaim(n);
    if (!n->tx_free_count) {
        n->starved = true;
        return RC_AGAIN;
    }
    u8 *buffer = n->tx_free[n->tx_free_count - 1];
    struct virtio_net_head head = {0};
    if (frame->csum) {
        CHECK(n->v->features & NET_CSUM);
        head.flags = NET_HEAD_NEEDS_CSUM;
        head.csum_start = frame->csum_start;
        head.csum_offset = frame->csum_offset;
    }
    memcpy(buffer, &head, HEAD_BYTES);
    size_t at = HEAD_BYTES;
    for (u32 i = 0; i < frame->count; i++) {
        str part = frame->parts[i];
        if (part.len > BUFFER_BYTES - at) return RC_INVALID;
        memcpy(buffer + at, part.ptr, part.len);
        at += part.len;
    }
    struct ring_part whole = {buffer, (u32)at};
    if (ring_add(&n->tx, &whole, 1, 0, buffer)) return RC_IO; /* as many slots as descriptors */
    n->tx_free_count--;
    return RC_OK;
}

void platform_nic_kick(u32 nic) {
    if (nic < nic_count && nics[nic].open) virtio_kick(nics[nic].v, NET_TX_QUEUE, &nics[nic].tx);
}

/* ---- In -------------------------------------------------------------------------------------- */

static void rx_doorbell(struct nic *n) {
    if (!n->returned) return;
    n->returned = false;
    virtio_kick(n->v, NET_RX_QUEUE, &n->rx);
}

/* The further buffers of one frame, appended while there is room; *whole is false when it does not
 * fit (a sender may put giants on the wire). false: the device lied, 5.1.6.4: they come
 * together. */
static bool rx_rest(struct nic *n, u32 more, u8 *to, size_t room, size_t *len, bool *whole) {
    while (more--) {
        void *buffer;
        u32 bytes;
        if (ring_poll(&n->rx, &buffer, &bytes)) return false;
        if (bytes > room - *len) *whole = false;
        size_t take = MIN((size_t)bytes, room - *len);
        memcpy(to + *len, buffer, take);
        *len += take;
        rx_lend(n, buffer);
    }
    return true;
}

rc_t platform_nic_recv(u32 nic, void *to, size_t room, size_t *out_len, u32 *out_flags) {
    struct nic *n = &nics[nic];
    CHECK(nic < nic_count && n->open);
    if (n->v->dead) return RC_AGAIN;
    for (;;) {
        void *buffer;
        u32 bytes;
        rc_t rc = ring_poll(&n->rx, &buffer, &bytes);
        if (rc == RC_CORRUPT) nic_kill(n, "receive ring");
        if (rc) {
            rx_doorbell(n);
            return RC_AGAIN;
        }
        struct virtio_net_head head;
        memcpy(&head, buffer, HEAD_BYTES);
        u32 count = n->v->features & NET_MRG_RXBUF ? head.buffers : 1;
        size_t got = bytes > HEAD_BYTES ? bytes - HEAD_BYTES : 0, len = MIN(got, room);
        bool whole = got <= room;
        memcpy(to, (u8 *)buffer + HEAD_BYTES, len);
        rx_lend(n, buffer);
        if (count == 0 || count > n->rx.size || !rx_rest(n, count - 1, to, room, &len, &whole)) {
            nic_kill(n, "frame in buffers that never came");
            return RC_AGAIN;
        }
        if (!whole || len < 14) continue; /* a giant, or not even an Ethernet header: dropped */
        *out_len = len;
        *out_flags = head.flags & (NET_HEAD_NEEDS_CSUM | NET_HEAD_DATA_VALID) ? NIC_RX_CSUM_OK : 0u;
        return RC_OK;
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

u32 nic_look(void) {
    u32 bits = 0;
    for (u32 i = 0; i < nic_count; i++) {
        struct nic *n = &nics[i];
        if (!n->open || n->v->dead) continue;
        rx_doorbell(n); /* a caller may have stopped exactly at the last frame */
        if (ring_has_used(&n->rx)) bits |= WAIT_NIC;
        if (n->starved && ring_has_used(&n->tx)) {
            n->starved = false;
            bits |= WAIT_NIC;
        }
        if (!n->v->config_changed) continue;
        n->v->config_changed = false;
        bool up = link_read(n);
        if (up != n->up) bits |= WAIT_LINK;
        n->up = up;
    }
    return bits;
}

void nic_arm(void) {
    for (u32 i = 0; i < nic_count; i++) {
        struct nic *n = &nics[i];
        if (!n->open || n->v->dead) continue;
        ring_arm(&n->rx);
        if (n->starved) ring_arm(&n->tx);
    }
}
