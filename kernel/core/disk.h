/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — platform disk operations for fibers: submit, park, return. Splits what is larger than
 * the device takes, waits when its queue is full. Before the loop runs (at start) the same calls
 * poll instead of parking. `data` need not be aligned; aligned data is not copied. */
#pragma once
#include "kernel/platform.h"

rc_t disk_init(void); /* registers the poller */
rc_t disk_info_get(u32 disk, struct disk_info *out);
rc_t disk_read(u32 disk, u64 block, u32 count, void *to);
rc_t disk_write(u32 disk, u64 block, u32 count, const void *from);
rc_t disk_flush(u32 disk); /* RC_OK: everything written before is durable; free when no volatile cache */
rc_t disk_discard(u32 disk, u64 block, u32 count);

struct disk_stats {
    u64 reads, writes, flushes, bytes_read, bytes_written, errors;
    u64 flush_ns_total;
};
void disk_stats_get(u32 disk, struct disk_stats *out);

/* Faults for tests: the nth operation of a kind from now fails with `rc`; 0 clears. */
void disk_fault_set(u32 disk, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever);
