/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — platform disk operations for fibers: submit, park, return. Splits what is larger than
 * the device takes, waits when its queue is full. Before the loop runs (at start) the same calls
 * poll instead of parking. `data` need not be aligned; aligned data is not copied.
 *
 * Results: RC_OK; RC_IO, RC_FULL, RC_DENIED (read-only) from the device; RC_INVALID: beyond its
 * end; RC_NOT_FOUND: no such disk. An operation that failed may have been done in part.
 * After a failed flush nothing is known about what was written before it: never retry and go on. */
#pragma once
#include "kernel/platform.h"

rc_t disk_init(void); /* opens every disk, registers the poller; a disk that fails is left out */
void disk_on_size(void (*changed)(u32 disk)); /* on the loop, must not park; one listener */
rc_t disk_info_get(u32 disk, struct disk_info *out);
rc_t disk_read(u32 disk, u64 block, u32 count, void *to);
rc_t disk_write(u32 disk, u64 block, u32 count, const void *from);
rc_t disk_flush(u32 disk); /* RC_OK: all written before is durable; free without volatile cache */
rc_t disk_discard(u32 disk, u64 block, u32 count); /* RC_OK at once where the device cannot */

struct disk_stats {
    u64 reads, writes, flushes, bytes_read, bytes_written, errors;
    u64 flush_ns_total;
    u32 in_flight;          /* operations in the device now */
    u64 oldest_ns;          /* how long the oldest of them has been there: a stall shows here */
};
void disk_stats_get(u32 disk, struct disk_stats *out);

/* Faults for tests: the nth operation of a kind from now (1: the next) fails with `rc` without
 * reaching the device, and with for_ever all after it; 0 clears. */
void disk_fault_set(u32 disk, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever);
