/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c — platform disk operations as calls that return when they are done.
 *
 *   disk_read -> chunks of op_bytes_max -> submit ... park ... done() wakes -> next chunk
 *                  unaligned: through one of a few bounce buffers, waited for in turn
 *
 * The operation lives on the caller's stack: nothing is allocated, and nothing returns before the
 * device has let go of it. Doorbells are rung once per turn, after everything that submits has run.
 * A queue that is full makes its callers wait for the next completion, in order.
 *
 * Before the loop runs there are no fibers: the same calls then poll the device, and what else
 * platform_wait reports meanwhile is kept for the loop's first turn. */
#include "kernel/core/disk.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include <stdlib.h>

struct request { /* one platform operation and who waits for it */
    struct disk_op op;
    struct fiber *fiber; /* NULL: polled for */
    bool finished;
    u32 disk;
    u64 start_ns;
    struct request *before, *after; /* in the device, oldest first */
};
struct fault {
    u64 nth; /* 0: none */
    rc_t rc;
    bool for_ever;
};
struct disk {
    struct disk_info info;
    bool open, dirty; /* dirty: submitted since the last doorbell */
    struct request *oldest, *newest;
    struct wait_queue room; /* for the device's queue */
    struct disk_stats stats;
    struct fault faults[DISK_DISCARD + 1];
    u64 said_ns;        /* when the last few errors were logged: a dead disk does not flood */
    u32 said, unsaid;
};

#define BOUNCE_BYTES 65536u
#define BOUNCE_COUNT 2u
#define DATA_ALIGN 16u /* what the seam asks of `data` */
#define POLL_NS NS_PER_MS

struct disk_table {
    struct disk at[DISK_MAX];
    u32 count;
    void *bounce[BOUNCE_COUNT]; /* free ones, NULL: lent; on first use */
    u32 bounce_made, bounce_free;
    struct wait_queue bounce_wait;
    void (*on_size)(u32 disk);
};
static struct disk_table boot_disks;
static struct disk_table *const disks = &boot_disks;

static struct disk *find(u32 disk) {
    return disk < disks->count && disks->at[disk].open ? &disks->at[disk] : NULL;
}

/* ---- One operation --------------------------------------------------------------------------- */

static void on_done(struct disk_op *op) {
    struct request *r = op->arg;
    struct disk *d = &disks->at[r->disk];
    if (r->before) r->before->after = r->after;
    else d->oldest = r->after;
    if (r->after) r->after->before = r->before;
    else d->newest = r->before;
    d->stats.in_flight--;
    r->finished = true;
    if (r->fiber) fiber_wake(r->fiber);
    wait_queue_wake_one(&d->room);
}

static void link_request(struct disk *d, struct request *r) {
    r->before = d->newest;
    r->after = NULL;
    if (d->newest) d->newest->after = r;
    else d->oldest = r;
    d->newest = r;
    d->stats.in_flight++;
}

static void poll_once(u32 disk) {
    platform_disk_kick(disk);
    loop_raise(platform_wait(platform_clock_ns() + POLL_NS));
    platform_disk_poll(disk);
}

/* The seam's operation, with the patience it asks for. */
static void submit_and_wait(struct disk *d, struct request *r) {
    rc_t rc;
    while ((rc = platform_disk_submit(r->disk, &r->op)) == RC_AGAIN) {
        if (!r->fiber) {
            poll_once(r->disk);
        } else {
            d->dirty = true;
            rc_t woke = wait_queue_wait(&d->room, UINT64_MAX);
            CHECK(!woke);
        }
    }
    if (rc) {
        r->op.rc = rc;
        return;
    }
    link_request(d, r);
    d->dirty = true;
    while (!r->finished) {
        if (!r->fiber) {
            poll_once(r->disk);
        } else {
            rc_t woke = fiber_park(UINT64_MAX);
            CHECK(!woke);
        }
    }
}

static bool fault_due(struct disk *d, enum disk_verb verb, rc_t *out) {
    struct fault *f = &d->faults[verb];
    if (f->nth == 0) return false;
    if (f->nth > 1) {
        f->nth--;
        return false;
    }
    if (!f->for_ever) f->nth = 0;
    *out = f->rc;
    return true;
}

#define SAY_MAX 5u /* lines about errors of one disk ... */
#define SAY_NS (10 * NS_PER_S) /* ... in such a span */

static bool may_say(struct disk *d, u32 disk) {
    u64 now = loop_now_ns();
    if (now - d->said_ns >= SAY_NS) {
        if (d->unsaid)
            log_warn("disk", "more operations failed", "disk=%u count=%u", disk, d->unsaid);
        d->said_ns = now;
        d->said = d->unsaid = 0;
    }
    if (d->said < SAY_MAX) {
        d->said++;
        return true;
    }
    d->unsaid++;
    return false;
}

static const char *const verb_names[] = {"read", "write", "flush", "discard"};

static rc_t operate(u32 disk, enum disk_verb verb, u64 block, u32 count, void *data) {
    struct disk *d = &disks->at[disk];
    struct request r = {.disk = disk, .fiber = fiber_self(), .start_ns = platform_clock_ns()};
    r.op = (struct disk_op){
        .verb = verb, .block = block, .count = count, .data = data, .done = on_done, .arg = &r};
    CHECK(r.fiber || !loop_running());
    if (!fault_due(d, verb, &r.op.rc)) submit_and_wait(d, &r);
    u64 bytes = (u64)count * d->info.block_bytes;
    switch (verb) {
    case DISK_READ: d->stats.reads++, d->stats.bytes_read += bytes; break;
    case DISK_WRITE: d->stats.writes++, d->stats.bytes_written += bytes; break;
    case DISK_FLUSH:
        d->stats.flushes++;
        d->stats.flush_ns_total += platform_clock_ns() - r.start_ns;
        break;
    case DISK_DISCARD: break;
    }
    if (r.op.rc) {
        d->stats.errors++;
        if (may_say(d, disk))
            log_warn("disk", "operation failed", "disk=%u verb=%s block=%llu count=%u rc=%s", disk,
                     verb_names[verb], (unsigned long long)block, count, rc_name(r.op.rc));
    }
    return r.op.rc;
}

/* ---- Bounce buffers -------------------------------------------------------------------------- */

static void *bounce_take(void) {
    for (;;) {
        if (disks->bounce_free) return disks->bounce[--disks->bounce_free];
        if (disks->bounce_made < BOUNCE_COUNT) {
            bool counted = memory_charge(MEMORY_SERVICES, BOUNCE_BYTES);
            void *fresh = counted ? aligned_alloc(4096, BOUNCE_BYTES) : NULL;
            if (!fresh && counted) memory_refund(MEMORY_SERVICES, BOUNCE_BYTES);
            if (fresh) {
                disks->bounce_made++;
                return fresh;
            }
            if (disks->bounce_made == 0) return NULL;
        }
        CHECK(fiber_inside()); /* polling callers are alone and give back what they take */
        rc_t rc = wait_queue_wait(&disks->bounce_wait, UINT64_MAX);
        CHECK(!rc);
    }
}

static void bounce_give(void *buffer) {
    CHECK(disks->bounce_free < BOUNCE_COUNT);
    disks->bounce[disks->bounce_free++] = buffer;
    wait_queue_wake_one(&disks->bounce_wait);
}

static rc_t transfer_bounced(u32 disk, enum disk_verb verb, u64 block, u32 count, char *data) {
    const struct disk_info *info = &disks->at[disk].info;
    u32 chunk_max = MIN(BOUNCE_BYTES, info->op_bytes_max) / info->block_bytes;
    char *bounce = bounce_take();
    if (!bounce) return RC_NO_MEMORY;
    rc_t rc = RC_OK;
    while (count && !rc) {
        u32 n = MIN(count, chunk_max);
        size_t bytes = (size_t)n * info->block_bytes;
        if (verb == DISK_WRITE) memcpy(bounce, data, bytes);
        rc = operate(disk, verb, block, n, bounce);
        if (verb == DISK_READ && !rc) memcpy(data, bounce, bytes);
        block += n, count -= n, data += bytes;
    }
    bounce_give(bounce);
    return rc;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static rc_t check_range(u32 disk, u64 block, u32 count) {
    struct disk *d = find(disk);
    if (!d) return RC_NOT_FOUND;
    if (block > d->info.block_count || count > d->info.block_count - block) return RC_INVALID;
    return RC_OK;
}

static rc_t transfer(u32 disk, enum disk_verb verb, u64 block, u32 count, char *data) {
    rc_t rc = check_range(disk, block, count);
    if (rc) return rc;
    const struct disk_info *info = &disks->at[disk].info;
    if ((uintptr_t)data % DATA_ALIGN) return transfer_bounced(disk, verb, block, count, data);
    u32 chunk_max = info->op_bytes_max / info->block_bytes;
    while (count && !rc) {
        u32 n = MIN(count, chunk_max);
        rc = operate(disk, verb, block, n, data);
        block += n, count -= n, data += (size_t)n * info->block_bytes;
    }
    return rc;
}

rc_t disk_read(u32 disk, u64 block, u32 count, void *to) {
    return transfer(disk, DISK_READ, block, count, to);
}

rc_t disk_write(u32 disk, u64 block, u32 count, const void *from) {
    struct disk *d = find(disk);
    if (d && d->info.read_only) return RC_DENIED;
    return transfer(disk, DISK_WRITE, block, count, (char *)(uintptr_t)from);
}

rc_t disk_flush(u32 disk) {
    struct disk *d = find(disk);
    if (!d) return RC_NOT_FOUND;
    if (!d->info.volatile_cache && !d->faults[DISK_FLUSH].nth) return RC_OK;
    return operate(disk, DISK_FLUSH, 0, 0, NULL);
}

rc_t disk_discard(u32 disk, u64 block, u32 count) {
    rc_t rc = check_range(disk, block, count);
    if (rc) return rc;
    struct disk *d = find(disk);
    if (d->info.read_only) return RC_DENIED;
    if (!d->info.discard || count == 0) return RC_OK;
    return operate(disk, DISK_DISCARD, block, count, NULL);
}

rc_t disk_info_get(u32 disk, struct disk_info *out) {
    struct disk *d = find(disk);
    if (!d) return RC_NOT_FOUND;
    *out = d->info;
    return RC_OK;
}

void disk_stats_get(u32 disk, struct disk_stats *out) {
    *out = (struct disk_stats){0};
    struct disk *d = find(disk);
    if (!d) return;
    *out = d->stats;
    if (d->oldest) out->oldest_ns = platform_clock_ns() - d->oldest->start_ns;
}

void disk_fault_set(u32 disk, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever) {
    struct disk *d = find(disk);
    CHECK(d);
    d->faults[verb] = (struct fault){nth, rc, for_ever};
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void refresh(u32 disk) {
    struct disk *d = &disks->at[disk];
    struct disk_info info;
    rc_t rc = platform_disk_open(disk, &info);
    if (!rc && (info.block_bytes < 512 || info.op_bytes_max < info.block_bytes)) rc = RC_INVALID;
    if (rc) {
        log_error("disk", "a disk cannot be used", "disk=%u rc=%s", disk, rc_name(rc));
        return;
    }
    bool resized = d->open && info.block_count != d->info.block_count;
    if (resized)
        log_info("disk", "a disk changed its size", "disk=%u blocks=%llu was=%llu", disk,
                 (unsigned long long)info.block_count, (unsigned long long)d->info.block_count);
    d->info = info;
    d->open = true;
    if (resized && disks->on_size) disks->on_size(disk);
}

void disk_on_size(void (*changed)(u32 disk)) { disks->on_size = changed; }

static bool on_wait(void *arg, u32 bits) {
    (void)arg;
    for (u32 i = 0; i < disks->count; i++) {
        if (disks->at[i].oldest) platform_disk_poll(i);
        if (bits & WAIT_DISK_SIZE) refresh(i);
    }
    return false;
}

static void ring_doorbells(void *arg) {
    (void)arg;
    for (u32 i = 0; i < disks->count; i++) {
        if (!disks->at[i].dirty) continue;
        disks->at[i].dirty = false;
        platform_disk_kick(i);
    }
}

rc_t disk_init(void) {
    memset(disks->at, 0, sizeof disks->at);
    disks->on_size = NULL;
    disks->count = MIN(platform_disk_count(), (u32)DISK_MAX);
    for (u32 i = 0; i < disks->count; i++) refresh(i);
    rc_t rc = loop_poller_add(WAIT_DISK | WAIT_DISK_SIZE, on_wait, NULL);
    if (rc) return rc;
    return loop_before_sleep_add(ring_doorbells, NULL);
}
