/* SPDX-License-Identifier: Apache-2.0 */
/* core_impl.h — what the files of this folder tell each other and nobody else. */
#pragma once
#include "kernel/base/base.h"

/* fiber.c for loop.c: runs what is ready, at most FIBER_RUNS_PER_TURN switches; true: any ran. */
#define FIBER_RUNS_PER_TURN 128u
bool fiber_run_ready(void);
bool fiber_any_ready(void);

/* fiber_x86_64.S: saves the callee-saved state on the running stack and its top in *save, then
 * goes on where `to` was saved. fiber_enter is where a fresh stack starts: r12(r13). */
void fiber_switch(void **save, void *to);
void fiber_enter(void);

/* worker.c for fiber.c: whose job the calling worker thread runs; empty when it idles. */
str worker_request_id(u32 thread);
