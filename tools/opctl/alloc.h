/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.h — what the command asked of malloc, and timing by repetition: for benchmarks. */
#pragma once
#include "tools/opctl/opctl.h"

struct alloc_count { u64 bytes, calls; };
struct alloc_count alloc_counted(void); /* since the process began */

struct timing { u64 n, ns, bytes, allocs; };
/* Rounds that double until one lasts `least_ns`; that one is told. False: `once` failed. */
bool timing_take(struct timing *t, u64 least_ns, bool (*once)(void *arg), void *arg);
/* As the reference's language writes benchmarks: "  100\t  12.34 ns/op", "  0 B/op\t  0 allocs/op".
 */
void timing_write(FILE *f, const struct timing *t, bool allocations);
void figure_text(char *to, size_t room, double x); /* ten places before the point */
