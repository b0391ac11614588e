/* SPDX-License-Identifier: Apache-2.0 */
/* panic.h — the crash record: the last words that survive a reset. panic() itself: check.h. */
#pragma once
#include "kernel/base/base.h"

#define CRASH_RECORD_BYTES 8192u

/* Where panic() stores its record; set once the data disk is open. Block counts in blocks of
 * `block_bytes`. The record is text, zero-padded to CRASH_RECORD_BYTES, beginning "PANIC ". */
void panic_record_at(u32 disk, u64 block, u32 block_bytes);

/* Whose stack, or the unmapped page below it, an address lies in; NULL: nobody's. For whoever
 * catches a fault and wants to name the fiber that overran its stack. Set by the scheduler. */
extern const char *(*panic_stack_owner)(const void *address);
