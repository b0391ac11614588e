/* SPDX-License-Identifier: Apache-2.0 */
/* guest_virtio_test.c — the disk and network drivers against a device in this process: one that
 * serves correctly from memory, and then one that lies. The bus is a table of functions, so the
 * drivers run here exactly as in the machine. */
#include "kernel/guest/virtio/ring.c"
#include "kernel/guest/virtio/device.c"
#include "kernel/guest/virtio/disk.c"
#include "kernel/guest/virtio/nic.c"
#include "tests/test.h"
#include <stdlib.h>

/* ---- What the drivers need of the machine ---------------------------------------------------- */

static void *kept[16]; /* by the device of now */
static u32 kept_count;
void *ram_keep(size_t bytes, size_t align) {
    CHECK(kept_count < ARRAY_LEN(kept));
    return kept[kept_count++] = aligned_alloc(align, ALIGN_UP(bytes, align));
}
void *ram_keep_zero(size_t bytes, size_t align) { return memset(ram_keep(bytes, align), 0, bytes); }
void apic_timer_at(u64 deadline_ns) { (void)deadline_ns; }
void rng_found(struct virtio *v) { (void)v; }
void virtio_console_found(struct virtio *v) { (void)v; }

/* ---- The device ------------------------------------------------------------------------------ */

enum { QUEUES = 2, DISK_SECTORS = 256 };
static struct device {
    u64 offered, accepted;
    u8 status;
    u16 seen[QUEUES];
    const struct ring *rings[QUEUES];
    u8 config[64];
    bool refuses, silent;
    u32 (*serve)(u16 queue, u16 head); /* bytes written */
    u32 kicks, id_lie, bytes_lie;      /* added to what it answers */
} device;
static u8 disk_bytes[DISK_SECTORS * 512];
static u32 flushes, discards;

static u32 t_features(struct virtio *v, u32 word) {
    (void)v;
    return (u32)(device.offered >> (32 * word));
}
static void t_features_set(struct virtio *v, u32 word, u32 bits) {
    (void)v;
    device.accepted |= (u64)bits << (32 * word);
}
static u8 t_status(struct virtio *v) {
    (void)v;
    return device.refuses ? (u8)(device.status & ~STATUS_FEATURES_OK) : device.status;
}
static void t_status_set(struct virtio *v, u8 s) {
    (void)v;
    device.status = s;
    if (s == 0) memset(device.seen, 0, sizeof device.seen), device.accepted = 0;
}
static u32 t_generation(struct virtio *v) {
    (void)v;
    return 7;
}
static u16 t_queue_size_max(struct virtio *v, u16 queue) {
    (void)v;
    return queue < QUEUES ? 64 : 0;
}
static void t_queue_on(struct virtio *v, u16 queue, const struct ring *q) {
    (void)v;
    device.rings[queue] = q;
}
static void answer_on(u16 queue, u32 id, u32 bytes) {
    const struct ring *q = device.rings[queue];
    u16 i = q->used->index;
    q->used->ring[i & (q->size - 1)] = (struct vring_used_element){id, bytes};
    q->used->index = (u16)(i + 1);
}
static void t_kick(struct virtio *v, u16 queue) {
    device.kicks++;
    if (device.silent || !device.serve || (v->kind == VIRTIO_NET && queue == NET_RX_QUEUE)) return;
    const struct ring *q = device.rings[queue];
    while (device.seen[queue] != q->avail->index) {
        u16 head = q->avail->ring[device.seen[queue]++ & (q->size - 1)];
        u32 bytes = device.serve(queue, head);
        answer_on(queue, head + device.id_lie, bytes + device.bytes_lie);
    }
    *(u16 *)&q->used->ring[q->size] = q->avail->index; /* wants to hear of the next */
}
static const struct virtio_bus test_bus = {t_features, t_features_set, t_status,   t_status_set,
                                           t_generation, t_queue_size_max, t_queue_on, t_kick};

static struct virtio *device_new(u32 kind, u64 offered) {
    static struct virtio v;
    while (kept_count) free(kept[--kept_count]);
    device = (struct device){.offered = offered | FEATURE_VERSION_1};
    v = (struct virtio){.bus = &test_bus, .kind = kind, .config = (u64)(uintptr_t)device.config,
                        .config_bytes = sizeof device.config};
    memcpy(v.where, "test", 5);
    return &v;
}

/* ---- A disk ---------------------------------------------------------------------------------- */

static struct vring_desc *desc_of(u16 queue, u16 i) { return &device.rings[queue]->desc[i]; }

static u32 disk_serve(u16 queue, u16 head) {
    struct vring_desc *d = desc_of(queue, head);
    struct virtio_block_head *h = (void *)(uintptr_t)d->address;
    u32 written = 1;
    u64 at = h->sector * 512;
    u8 status = BLOCK_OK;
    for (;;) {
        d = desc_of(queue, d->next);
        u8 *p = (void *)(uintptr_t)d->address;
        if (!(d->flags & DESC_NEXT)) {
            *p = status;
            break;
        }
        if (h->verb == BLOCK_DISCARD_VERB) {
            discards++;
            continue;
        }
        if (h->verb == BLOCK_GET_ID) {
            memcpy(p, "serial\x01number", 13);
            written += d->bytes;
            continue;
        }
        if (at + d->bytes > sizeof disk_bytes) status = BLOCK_IOERR;
        else if (h->verb == BLOCK_IN) memcpy(p, disk_bytes + at, d->bytes), written += d->bytes;
        else memcpy(disk_bytes + at, p, d->bytes);
        at += d->bytes;
    }
    if (h->verb == BLOCK_FLUSH_VERB) flushes++;
    return written;
}

static u32 done_count;
static void op_done(struct disk_op *op) {
    (void)op;
    done_count++;
}
static rc_t run(enum disk_verb verb, u64 block, u32 count, void *data) {
    struct disk_op op = {.verb = verb, .block = block, .count = count, .data = data,
                         .done = op_done};
    done_count = 0;
    EXPECT_OK(platform_disk_submit(0, &op));
    platform_disk_kick(0);
    EXPECT_EQ(disk_look() & WAIT_DISK, WAIT_DISK);
    platform_disk_poll(0);
    EXPECT_EQ(done_count, 1);
    return op.rc;
}

static struct virtio *disk_new(u64 features) {
    disk_count = 0;
    memset(disks, 0, sizeof disks);
    struct virtio *v = device_new(VIRTIO_BLOCK, features);
    u64 sectors = DISK_SECTORS;
    memcpy(device.config, &sectors, 8);
    device.config[BLOCK_CONFIG_WRITEBACK] = 1;
    memcpy(device.config + BLOCK_CONFIG_DISCARD_MAX, &(u32){128}, 4);
    device.serve = disk_serve;
    virtio_found(v);
    return v;
}

static u8 data[65536] __attribute__((aligned(4096)));
static u8 back[65536] __attribute__((aligned(4096)));

TEST(disk_serves) {
    disk_new(BLOCK_FLUSH | BLOCK_DISCARD | BLOCK_CONFIG_WCE | FEATURE_EVENT_IDX);
    struct disk_info info;
    EXPECT_EQ(platform_disk_count(), 1);
    EXPECT_OK(platform_disk_open(0, &info));
    EXPECT_EQ(info.block_count, DISK_SECTORS);
    EXPECT_EQ(info.block_bytes, 512);
    EXPECT(info.volatile_cache && info.discard && !info.read_only);
    EXPECT_STR(str_from_c(info.serial), S("serial?number"));
    EXPECT_RC(platform_disk_open(1, &info), RC_NOT_FOUND);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (u8)test_random();
    flushes = discards = 0;
    EXPECT_OK(run(DISK_WRITE, 100, 128, data));
    EXPECT_OK(run(DISK_READ, 100, 128, back));
    EXPECT(!memcmp(data, back, sizeof data));
    EXPECT_OK(run(DISK_FLUSH, 0, 0, NULL));
    EXPECT_EQ(flushes, 1);
    EXPECT_OK(run(DISK_DISCARD, 0, 128, NULL));
    EXPECT_EQ(discards, 1);
    EXPECT_RC(run(DISK_DISCARD, 0, 129, NULL), RC_INVALID);
    EXPECT_RC(run(DISK_READ, 255, 2, back), RC_INVALID);
    EXPECT_RC(run(DISK_READ, ~0ull, 2, back), RC_INVALID);
    EXPECT_RC(run(DISK_READ, 0, 0, back), RC_INVALID);
    EXPECT_OK(platform_disk_emergency_write(0, 3, data, 16));
    EXPECT(!memcmp(disk_bytes + 3 * 512, data, 16 * 512));
    EXPECT_RC(platform_disk_emergency_write(0, 250, data, 16), RC_IO);
}

TEST(disk_in_small_pieces) {
    struct virtio *v = disk_new(0);
    v = disk_new(BLOCK_SIZE_MAX | BLOCK_SEG_MAX | BLOCK_BLK_SIZE);
    memcpy(device.config + BLOCK_CONFIG_SIZE_MAX, &(u32){4096}, 4);
    memcpy(device.config + BLOCK_CONFIG_SEG_MAX, &(u32){3}, 4);
    memcpy(device.config + BLOCK_CONFIG_BLK_SIZE, &(u32){4096}, 4);
    struct disk_info info;
    EXPECT_OK(platform_disk_open(0, &info));
    EXPECT_EQ(info.op_bytes_max, 3 * 4096);
    EXPECT_EQ(info.block_bytes, 4096);
    EXPECT_EQ(info.block_count, DISK_SECTORS / 8);
    EXPECT(!info.volatile_cache);
    EXPECT_OK(run(DISK_WRITE, 2, 3, data));
    EXPECT_OK(run(DISK_READ, 2, 3, back));
    EXPECT(!memcmp(data, back, 3 * 4096));
    EXPECT_RC(run(DISK_READ, 2, 4, back), RC_INVALID);
    EXPECT_OK(run(DISK_FLUSH, 0, 0, NULL)); /* nothing to flush: answered at once */
    v->config_changed = true;
    EXPECT_EQ(disk_look(), WAIT_DISK_SIZE);
}

TEST(disk_read_only) {
    disk_new(BLOCK_RO);
    struct disk_info info;
    EXPECT_OK(platform_disk_open(0, &info));
    EXPECT(info.read_only);
    EXPECT_RC(run(DISK_WRITE, 0, 1, data), RC_DENIED);
    EXPECT_OK(run(DISK_READ, 0, 1, back));
}

TEST(disk_full_queue) {
    disk_new(0);
    struct disk_info info;
    EXPECT_OK(platform_disk_open(0, &info));
    device.silent = true;
    static struct disk_op ops[DISK_QUEUE_MAX + 1];
    u32 n = 0;
    for (; n < ARRAY_LEN(ops); n++) {
        ops[n] = (struct disk_op){.verb = DISK_READ, .block = n, .count = 1,
                                  .data = back + 512 * (n % 64), .done = op_done};
        if (platform_disk_submit(0, &ops[n]) == RC_AGAIN) break;
    }
    EXPECT(n >= 2 && n <= DISK_QUEUE_MAX);
    device.silent = false;
    done_count = 0;
    t_kick(disks[0].v, 0);
    platform_disk_poll(0);
    EXPECT_EQ(done_count, n);
}

static void disk_lies(u32 id_lie, u32 bytes_lie) {
    disk_new(BLOCK_FLUSH);
    struct disk_info info;
    EXPECT_OK(platform_disk_open(0, &info));
    device.id_lie = id_lie;
    device.bytes_lie = bytes_lie;
    EXPECT_RC(run(DISK_READ, 0, 1, back), RC_IO);
    EXPECT_EQ(device.status, 0); /* it was reset */
    device.id_lie = device.bytes_lie = 0;
    EXPECT_RC(run(DISK_READ, 0, 1, back), RC_IO);
    EXPECT_RC(platform_disk_open(0, &info), RC_IO);
    EXPECT_RC(platform_disk_emergency_write(0, 0, data, 1), RC_IO);
}
TEST(lying_disks_are_switched_off) {
    disk_lies(1, 0);
    disk_lies(63, 0);
    disk_lies(100000, 0);
    disk_lies(0, 1);
    disk_lies(0, 0x80000000);
}

TEST(disk_without_modern_interface) {
    disk_count = 0;
    struct virtio *v = device_new(VIRTIO_BLOCK, 0);
    device.offered = 0;
    virtio_found(v);
    EXPECT_EQ(disk_count, 0);
    EXPECT_EQ(device.status, STATUS_FAILED);
    v = device_new(VIRTIO_BLOCK, 0);
    device.refuses = true;
    virtio_found(v);
    EXPECT_EQ(disk_count, 0);
}

/* ---- A network card -------------------------------------------------------------------------- */

static u8 sent[2048];
static u32 sent_bytes, sent_count;
static struct virtio_net_head sent_head;

static u32 nic_serve(u16 queue, u16 head) {
    struct vring_desc *d = desc_of(queue, head);
    memcpy(&sent_head, (void *)(uintptr_t)d->address, sizeof sent_head);
    sent_bytes = d->bytes - HEAD_BYTES;
    memcpy(sent, (u8 *)(uintptr_t)d->address + HEAD_BYTES, sent_bytes);
    sent_count++;
    return 0;
}
static u32 nic_queue_serve(u16 queue, u16 head);

static struct virtio *nic_new(u64 features) {
    nic_count = 0;
    memset(nics, 0, sizeof nics);
    struct virtio *v = device_new(VIRTIO_NET, features);
    memcpy(device.config, "\x52\x54\x00\x01\x02\x03\x01\x00", 8);
    memcpy(device.config + NET_CONFIG_MTU, &(u16){1400}, 2);
    virtio_found(v);
    struct nic_info info;
    EXPECT_OK(platform_nic_open(0, &info));
    device.serve = nic_queue_serve;
    sent_count = 0;
    return v;
}
static u32 nic_queue_serve(u16 queue, u16 head) { return nic_serve(queue, head); }

/* The device writes `bytes` (head and frame) into the next lent buffer; `claim` is its word. */
static void nic_gives(const void *bytes, u32 n, u32 claim) {
    const struct ring *q = device.rings[NET_RX_QUEUE];
    REQUIRE(device.seen[0] != q->avail->index);
    u16 head = q->avail->ring[device.seen[0]++ & (q->size - 1)];
    memcpy((void *)(uintptr_t)q->desc[head].address, bytes, n);
    answer_on(NET_RX_QUEUE, head, claim);
}

TEST(nic_sends) {
    nic_new(NET_CSUM | NET_GUEST_CSUM | NET_MAC | NET_MTU | NET_STATUS | NET_MRG_RXBUF |
            FEATURE_EVENT_IDX);
    struct nic_info info;
    EXPECT_OK(platform_nic_open(0, &info));
    EXPECT_EQ(info.mac[5], 3);
    EXPECT_EQ(info.mtu, 1400);
    EXPECT_EQ(info.offloads, NIC_CSUM_TX | NIC_CSUM_RX);
    EXPECT(platform_nic_up(0) && !platform_nic_up(1));
    str parts[] = {S("0123456789abcdef"), S("payload")};
    struct nic_tx tx = {
        .parts = parts, .count = 2, .csum = true, .csum_start = 14, .csum_offset = 2};
    for (int i = 0; i < 500; i++) {
        EXPECT_OK(platform_nic_send(0, &tx));
        platform_nic_kick(0);
    }
    EXPECT_EQ(sent_count, 500);
    EXPECT_STR(((str){(char *)sent, sent_bytes}), S("0123456789abcdefpayload"));
    EXPECT_EQ(sent_head.flags, NET_HEAD_NEEDS_CSUM);
    EXPECT_EQ(sent_head.csum_start, 14);
    device.silent = true;
    u32 n = 0;
    while (platform_nic_send(0, &tx) == RC_OK) n++;
    EXPECT_EQ(n, nics[0].tx.size);
    EXPECT_EQ(nic_look(), 0);
    device.silent = false;
    t_kick(nics[0].v, NET_TX_QUEUE);
    EXPECT_EQ(nic_look(), WAIT_NIC); /* room again, said once */
    EXPECT_EQ(nic_look(), 0);
    static char big[3000];
    str large = {big, sizeof big};
    EXPECT_RC(platform_nic_send(0, &(struct nic_tx){.parts = &large, .count = 1}), RC_INVALID);
}

static u8 packet[4096];
static rc_t receive(size_t *len, u32 *flags) {
    static u8 to[1600];
    return platform_nic_recv(0, to, sizeof to, len, flags);
}
static void head_set(u8 flags, u16 buffers) {
    struct virtio_net_head h = {.flags = flags, .buffers = buffers};
    memcpy(packet, &h, sizeof h);
}

TEST(nic_receives) {
    struct virtio *v = nic_new(NET_MRG_RXBUF | NET_GUEST_CSUM | NET_STATUS | FEATURE_EVENT_IDX);
    size_t len = 0;
    u32 flags = 0;
    EXPECT_RC(receive(&len, &flags), RC_AGAIN);
    for (int i = 0; i < 1000; i++) {
        head_set(i & 1 ? NET_HEAD_DATA_VALID : 0, 1);
        nic_gives(packet, HEAD_BYTES + 60, HEAD_BYTES + 60);
        EXPECT_EQ(nic_look(), WAIT_NIC);
        EXPECT_OK(receive(&len, &flags));
        EXPECT_EQ(len, 60);
        EXPECT_EQ(flags, i & 1 ? NIC_RX_CSUM_OK : 0);
        if (i % 20 == 0) EXPECT_RC(receive(&len, &flags), RC_AGAIN); /* lends again */
    }
    head_set(0, 2); /* a frame in two buffers */
    nic_gives(packet, 1000, 1000);
    nic_gives(packet, 200, 200);
    EXPECT_OK(receive(&len, &flags));
    EXPECT_EQ(len, 1000 - HEAD_BYTES + 200);
    head_set(0, 5); /* a giant is dropped whole, and the next frame is there */
    for (int i = 0; i < 5; i++) nic_gives(packet, 2048, 2048);
    head_set(0, 1);
    nic_gives(packet, HEAD_BYTES + 70, HEAD_BYTES + 70);
    EXPECT_OK(receive(&len, &flags));
    EXPECT_EQ(len, 70);
    nic_gives(packet, 2048, 2048); /* one buffer, and longer than the caller's room */
    EXPECT_RC(receive(&len, &flags), RC_AGAIN);
    EXPECT(platform_nic_up(0));
    head_set(0, 1); /* too short for anything: skipped */
    nic_gives(packet, HEAD_BYTES + 3, HEAD_BYTES + 3);
    nic_gives(packet, 4, 4);
    EXPECT_RC(receive(&len, &flags), RC_AGAIN);
    device.config[NET_CONFIG_STATUS] = 0;
    v->config_changed = true;
    EXPECT_EQ(nic_look(), WAIT_LINK);
    EXPECT(!platform_nic_up(0));
}

TEST(buffers_go_back_also_when_the_last_frame_ends_a_batch) {
    nic_new(NET_MRG_RXBUF | FEATURE_EVENT_IDX);
    size_t len;
    u32 flags, n = nics[0].rx.size;
    head_set(0, 1);
    for (u32 i = 0; i < n; i++) nic_gives(packet, 100, 100); /* every buffer there is */
    u16 *wants = (u16 *)&device.rings[0]->used->ring[n];
    *wants = device.rings[0]->avail->index; /* the device has run dry: tell me */
    for (u32 i = 0; i < n; i++) EXPECT_OK(receive(&len, &flags));
    device.kicks = 0;
    EXPECT_EQ(nic_look(), 0); /* nobody asks for one more frame; the doorbell rings anyway */
    EXPECT_EQ(device.kicks, 1);
}

static void nic_lies(u16 buffers, u32 claim) {
    nic_new(NET_MRG_RXBUF | FEATURE_EVENT_IDX);
    size_t len;
    u32 flags;
    head_set(0, buffers);
    nic_gives(packet, 100, claim);
    EXPECT_RC(receive(&len, &flags), RC_AGAIN);
    EXPECT_EQ(device.status, 0);
    EXPECT(!platform_nic_up(0));
    EXPECT_EQ(nic_look(), 0);
    str part = S("0123456789abcdef");
    EXPECT_RC(platform_nic_send(0, &(struct nic_tx){.parts = &part, .count = 1}), RC_IO);
}
TEST(lying_cards_are_switched_off) {
    nic_lies(0, 100);
    nic_lies(2, 100); /* and the second never comes */
    nic_lies(60000, 100);
    nic_lies(1, 2049); /* more than was lent */
    nic_lies(1, 0xFFFFFFFF);
}

TEST(config_is_read_within_its_bounds) {
    struct virtio *v = device_new(VIRTIO_NET, 0);
    u64 all = ~0ull;
    virtio_config(v, 60, &all, 8);
    EXPECT_EQ(all, 0);
    virtio_config(v, 0xFFFFFFFF, &all, 8);
    EXPECT_EQ(all, 0);
}
