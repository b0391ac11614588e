/* SPDX-License-Identifier: Apache-2.0 */
/* words.h — the few words of the kernel command line this machine itself understands.
 * Pure functions over bytes from outside. */
#pragma once
#include "kernel/base/base.h"

/* What follows `key` (with its '=') in the first word that begins with it; ptr NULL: absent. */
str words_value(str line, str key);
/* A virtio-mmio device, Linux's syntax: <bytes>[K]@<base>:<irq>[:<id>]. RC_INVALID. */
rc_t words_virtio_place(str word, u64 *out_base, u32 *out_gsi);
