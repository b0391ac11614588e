/* SPDX-License-Identifier: Apache-2.0 */
/* system.h — the machine as a whole: what it is, since when, stop and restart. */
#pragma once
#include "kernel/platform.h"

/* Set by app/main.c as they happen; platform clock, 0 = not yet. */
struct boot_stamps {
    u64 vmm_start_ns; /* wall clock, UTC since 1970; 0 = unknown */
    u64 first_instruction_ns, storage_ready_ns, listener_ready_ns, first_answer_ns;
};
extern struct boot_stamps boot_stamps;
extern const struct boot_info *boot_machine; /* lives for ever */
/* How the machine stops: set by app/main.c. `reset`: start again. */
extern void (*system_stop)(bool reset);

extern const struct module system_module;
