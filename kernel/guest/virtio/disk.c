/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c — the platform's disks over virtio-blk [virtio 1.2, 5.2].
 *
 *   op -> [head: verb, sector] [data, in pieces of size_max] [status byte] -> device -> done(op)
 *
 * Always true: an op is in flight, or its done() has been or will be called exactly once. Flushes
 * go out exactly as asked. Answers that need no device (read-only, out of range) also come through
 * poll, so a caller sees one order of events. A device that breaks the rules is reset, and every
 * op in flight fails with RC_IO: after the reset it cannot touch their memory. */
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/guest/virtio/devices.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

enum { SECTOR_BYTES = 512, OP_BYTES_MAX = 1 << 20, PIECES_MAX = 16 };
enum { EMERGENCY_SPINS = 20000000, ID_WAIT_MS = 200 };

struct request {
    struct virtio_block_head head;
    struct virtio_block_discard discard;
    volatile u8 status;
    struct disk_op *op;
    struct request *next;
};
struct disk {
    struct virtio *v;
    struct ring ring;
    struct request requests[DISK_QUEUE_MAX];
    struct request *free;
    struct disk_op *answered, **answered_end; /* finished without the device */
    u64 sectors;
    u32 block_bytes, piece_bytes, pieces, discard_sectors;
    bool read_only, serial_known;
    u8 serial[BLOCK_ID_BYTES + 1];
};
static struct disk disks[DISK_MAX];
static u32 disk_count;

/* ---- Facts ----------------------------------------------------------------------------------- */

static void facts_read(struct disk *d) {
    u64 f = d->v->features;
    u32 size_max = 0, seg_max = 1, block = SECTOR_BYTES;
    virtio_config(d->v, BLOCK_CONFIG_CAPACITY, &d->sectors, 8);
    if (f & BLOCK_SIZE_MAX) virtio_config(d->v, BLOCK_CONFIG_SIZE_MAX, &size_max, 4);
    if (f & BLOCK_SEG_MAX) virtio_config(d->v, BLOCK_CONFIG_SEG_MAX, &seg_max, 4);
    if (f & BLOCK_BLK_SIZE) virtio_config(d->v, BLOCK_CONFIG_BLK_SIZE, &block, 4);
    if (f & BLOCK_DISCARD) virtio_config(d->v, BLOCK_CONFIG_DISCARD_MAX, &d->discard_sectors, 4);
    d->block_bytes = block == 4096 ? 4096 : SECTOR_BYTES;
    d->piece_bytes = size_max >= 4096 && size_max < OP_BYTES_MAX ? size_max & ~4095u : OP_BYTES_MAX;
    d->pieces = MAX(1u, MIN(seg_max, (u32)PIECES_MAX));
    d->read_only = f & BLOCK_RO;
    d->sectors = MIN(d->sectors, 1ull << 54);
}

/* One request, waited for: only at start and for last words. */
static bool request_now(struct disk *d, struct request *q, const struct ring_part *parts, u32 reads,
                        u32 writes, u32 spins) {
    q->status = 0xFF;
    if (ring_add(&d->ring, parts, reads, writes, q)) return false;
    virtio_kick(d->v, 0, &d->ring);
    void *token;
    u32 bytes;
    for (u32 i = 0; i < spins; i++) {
        rc_t rc = ring_poll(&d->ring, &token, &bytes);
        if (rc == RC_OK) return token == q && q->status == BLOCK_OK;
        if (rc != RC_AGAIN) return false;
        cpu_pause();
    }
    return false;
}

static rc_t disk_begin(struct disk *d) {
    return virtio_begin(d->v, BLOCK_SIZE_MAX | BLOCK_SEG_MAX | BLOCK_RO | BLOCK_BLK_SIZE |
                                  BLOCK_FLUSH | BLOCK_CONFIG_WCE | BLOCK_DISCARD |
                                  FEATURE_EVENT_IDX);
}

void disk_found(struct virtio *v) {
    if (disk_count == DISK_MAX) return;
    struct disk *d = &disks[disk_count];
    d->v = v;
    if (disk_begin(d) || virtio_queue(v, 0, RING_SIZE_MAX, &d->ring)) return;
    facts_read(d);
    for (u32 i = 0; i < DISK_QUEUE_MAX; i++) {
        d->requests[i].next = d->free;
        d->free = &d->requests[i];
    }
    d->answered_end = &d->answered;
    disk_count++;
    virtio_go(v);
}

u32 platform_disk_count(void) { return disk_count; }

/* The serial number takes a request of its own; QEMU answers it within the doorbell. */
static void serial_read(struct disk *d) {
    struct request *q = d->free;
    if (d->serial_known || !q) return;
    d->serial_known = true;
    q->head = (struct virtio_block_head){.verb = BLOCK_GET_ID};
    struct ring_part parts[] = {{&q->head, sizeof q->head}, {d->serial, BLOCK_ID_BYTES},
                                {(void *)&q->status, 1}};
    u64 end = platform_clock_ns() + ID_WAIT_MS * NS_PER_MS;
    d->free = q->next;
    q->op = NULL;
    q->status = 0xFF;
    if (ring_add(&d->ring, parts, 1, 2, q)) return;
    virtio_kick(d->v, 0, &d->ring);
    while (!ring_has_used(&d->ring) && platform_clock_ns() < end) {
        ring_arm(&d->ring);
        apic_timer_at(end);
        if (!ring_has_used(&d->ring)) irq_sleep();
    }
    platform_disk_poll((u32)(d - disks));
    if (q->status != BLOCK_OK) memset(d->serial, 0, sizeof d->serial);
}

rc_t platform_disk_open(u32 disk, struct disk_info *out) {
    if (disk >= disk_count) return RC_NOT_FOUND;
    struct disk *d = &disks[disk];
    if (d->v->dead) return RC_IO;
    facts_read(d);
    serial_read(d);
    u8 writeback = 1;
    if (d->v->features & BLOCK_CONFIG_WCE)
        virtio_config(d->v, BLOCK_CONFIG_WRITEBACK, &writeback, 1);
    *out = (struct disk_info){
        .block_count = d->sectors / (d->block_bytes / SECTOR_BYTES),
        .block_bytes = d->block_bytes,
        .op_bytes_max = MIN((u32)OP_BYTES_MAX, d->piece_bytes * d->pieces),
        .read_only = d->read_only,
        .volatile_cache = (d->v->features & BLOCK_FLUSH) && writeback,
        .discard = (d->v->features & BLOCK_DISCARD) && d->discard_sectors,
    };
    for (u32 i = 0; i < BLOCK_ID_BYTES && d->serial[i]; i++)
        out->serial[i] = d->serial[i] >= ' ' && d->serial[i] < 0x7F ? (char)d->serial[i] : '?';
    return RC_OK;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static rc_t op_check(const struct disk *d, const struct disk_op *op) {
    bool changes = op->verb == DISK_WRITE || op->verb == DISK_DISCARD;
    u64 blocks = d->sectors / (d->block_bytes / SECTOR_BYTES);
    if (d->v->dead) return RC_IO;
    if (changes && d->read_only) return RC_DENIED;
    if (op->verb == DISK_FLUSH) return RC_OK;
    if (op->count == 0 || op->count > blocks || op->block > blocks - op->count) return RC_INVALID;
    if (op->verb == DISK_DISCARD)
        return (u64)op->count * (d->block_bytes / SECTOR_BYTES) <= d->discard_sectors ? RC_OK
                                                                                      : RC_INVALID;
    if (op->count > OP_BYTES_MAX / d->block_bytes) return RC_INVALID;
    return (u64)op->count * d->block_bytes <= (u64)d->piece_bytes * d->pieces ? RC_OK : RC_INVALID;
}

static void answer(struct disk *d, struct disk_op *op, rc_t rc) {
    op->rc = rc;
    op->next = NULL;
    *d->answered_end = op;
    d->answered_end = &op->next;
}

static u32 data_parts(const struct disk *d, const struct disk_op *op, struct ring_part *parts) {
    u32 left = op->count * d->block_bytes, n = 0;
    for (u8 *at = op->data; left; n++) {
        u32 bytes = MIN(left, d->piece_bytes);
        parts[n] = (struct ring_part){at, bytes};
        at += bytes;
        left -= bytes;
    }
    return n;
}

static rc_t request_add(struct disk *d, struct request *q, struct disk_op *op) {
    static const u8 verbs[] = {[DISK_READ] = BLOCK_IN,
                               [DISK_WRITE] = BLOCK_OUT,
                               [DISK_FLUSH] = BLOCK_FLUSH_VERB,
                               [DISK_DISCARD] = BLOCK_DISCARD_VERB};
    u32 step = d->block_bytes / SECTOR_BYTES, n = 1, data = 0;
    struct ring_part parts[PIECES_MAX + 2] = {{&q->head, sizeof q->head}};
    bool moves = op->verb == DISK_READ || op->verb == DISK_WRITE;
    q->head = (struct virtio_block_head){.verb = verbs[op->verb],
                                         .sector = moves ? op->block * step : 0};
    if (moves) {
        data = data_parts(d, op, parts + 1);
    } else if (op->verb == DISK_DISCARD) {
        q->discard = (struct virtio_block_discard){op->block * step, op->count * step, 0};
        parts[1] = (struct ring_part){&q->discard, sizeof q->discard};
        data = 1;
    }
    n += data;
    parts[n] = (struct ring_part){(void *)&q->status, 1};
    q->status = 0xFF;
    q->op = op;
    u32 writes = op->verb == DISK_READ ? data + 1 : 1;
    return ring_add(&d->ring, parts, n + 1 - writes, writes, q);
}

rc_t platform_disk_submit(u32 disk, struct disk_op *op) {
    CHECK(disk < disk_count);
    struct disk *d = &disks[disk];
    CHECK(op->done);
    rc_t rc = op_check(d, op);
    bool nothing_to_flush = op->verb == DISK_FLUSH && !(d->v->features & BLOCK_FLUSH);
    if (rc || nothing_to_flush) {
        answer(d, op, rc);
        return RC_OK;
    }
    struct request *q = d->free;
    if (!q || (rc = request_add(d, q, op))) return RC_AGAIN;
    d->free = q->next;
    return RC_OK;
}

void platform_disk_kick(u32 disk) {
    if (disk < disk_count) virtio_kick(disks[disk].v, 0, &disks[disk].ring);
}

static rc_t rc_of_status(u8 status) { return status == BLOCK_OK ? RC_OK : RC_IO; }

static void request_done(struct disk *d, struct request *q, rc_t rc) {
    struct disk_op *op = q->op;
    q->op = NULL;
    q->next = d->free;
    d->free = q;
    if (!op) return;
    op->rc = rc;
    op->done(op);
}

static void disk_fail_all(struct disk *d) {
    virtio_kill(d->v, "disk ring");
    for (u32 i = 0; i < DISK_QUEUE_MAX; i++)
        if (d->requests[i].op) request_done(d, &d->requests[i], RC_IO);
}

void platform_disk_poll(u32 disk) {
    if (disk >= disk_count) return;
    struct disk *d = &disks[disk];
    struct disk_op *op = d->answered;
    d->answered = NULL;
    d->answered_end = &d->answered;
    while (op) {
        struct disk_op *next = op->next;
        op->done(op);
        op = next;
    }
    void *token;
    u32 bytes;
    rc_t rc = RC_AGAIN;
    while (!d->v->dead && !(rc = ring_poll(&d->ring, &token, &bytes))) {
        struct request *q = token;
        request_done(d, q, rc_of_status(q->status));
    }
    if (rc == RC_CORRUPT) disk_fail_all(d);
}

/* ---- Waiting, last words --------------------------------------------------------------------- */

u32 disk_look(void) {
    u32 bits = 0;
    for (u32 i = 0; i < disk_count; i++) {
        struct disk *d = &disks[i];
        if (d->answered || (!d->v->dead && ring_has_used(&d->ring))) bits |= WAIT_DISK;
        if (!d->v->config_changed) continue;
        d->v->config_changed = false;
        bits |= WAIT_DISK_SIZE;
    }
    return bits;
}

void disk_arm(void) {
    for (u32 i = 0; i < disk_count; i++)
        if (!disks[i].v->dead) ring_arm(&disks[i].ring);
}

/* Everything else has stopped: the device is reset, so nothing of before can disturb. */
rc_t platform_disk_emergency_write(u32 disk, u64 block, const void *data, u32 count) {
    if (disk >= disk_count || disks[disk].v->dead) return RC_IO;
    struct disk *d = &disks[disk];
    struct disk_op op = {.verb = DISK_WRITE, .block = block, .count = count, .data = (void *)data};
    if (op_check(d, &op) || disk_begin(d)) return RC_IO;
    virtio_queue_again(d->v, 0, &d->ring);
    virtio_go(d->v);
    struct request *q = &d->requests[0];
    u32 step = d->block_bytes / SECTOR_BYTES;
    struct ring_part parts[PIECES_MAX + 2] = {{&q->head, sizeof q->head}};
    q->head = (struct virtio_block_head){.verb = BLOCK_OUT, .sector = block * step};
    u32 n = 1 + data_parts(d, &op, parts + 1);
    parts[n] = (struct ring_part){(void *)&q->status, 1};
    if (!request_now(d, q, parts, n, 1, EMERGENCY_SPINS)) return RC_IO;
    if (!(d->v->features & BLOCK_FLUSH)) return RC_OK;
    q->head = (struct virtio_block_head){.verb = BLOCK_FLUSH_VERB};
    struct ring_part flush[] = {{&q->head, sizeof q->head}, {(void *)&q->status, 1}};
    return request_now(d, q, flush, 1, 1, EMERGENCY_SPINS) ? RC_OK : RC_IO;
}
