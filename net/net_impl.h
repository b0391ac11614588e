/* SPDX-License-Identifier: Apache-2.0 */
/* net_impl.h — what the files of this folder share below streams. Not for other folders. */
#pragma once
#include "kernel/base/base.h"

uint32_t net_random_u32(void);
uint16_t net_checksum(const void *bytes, int n);
rc_t rc_from_lwip(int e); /* err_t */

/* Ends the turn's batch: everything written leaves, then one doorbell. */
void stream_flush_all(void); /* stream.c: called by link.c before sleeping */
void stream_deliver(void);   /* stream.c: events gathered while lwIP was running */
bool stream_work_waits(void);
