/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h — what platform_wait() and start.c ask of the virtio devices. */
#pragma once
#include "kernel/base/base.h"

u32 nic_look(void);  /* WAIT_NIC, WAIT_LINK */
void nic_arm(void);  /* the next frame shall interrupt */
u32 disk_look(void); /* WAIT_DISK, WAIT_DISK_SIZE */
void disk_arm(void);
void rng_seed(void); /* waits a bounded time for the random device, if there is one */
void virtio_console_look(void);
