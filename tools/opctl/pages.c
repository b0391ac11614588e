/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c — large pages behind what a command keeps.
 *
 *   heap:  | first 4 MiB: ordinary pages | from there: pages of 2 MiB, where the system has them |
 *
 * Ten thousand rules are forty megabytes of trees: ten thousand faults of 4 KiB took a third of the
 * time they need to load. Commands that stay small never come that far. What the system does not
 * offer is not missed: nothing here can fail. */
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/opctl/opctl.h"

enum { ORDINARY = 4 << 20, AHEAD = 128 << 20, LARGE = 2 << 20, MAPPED = 32 << 20 };

void pages_prepare(void) {
    (void)mallopt(M_TOP_PAD, AHEAD); /* addresses, not memory */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED);
    (void)mallopt(M_TRIM_THRESHOLD, AHEAD);
    char *first = malloc(1), *end = sbrk(0);
    uintptr_t from = ALIGN_UP((uintptr_t)first + ORDINARY, (uintptr_t)LARGE);
    if (first && from < (uintptr_t)end)
        (void)madvise((void *)from, (uintptr_t)end - from, MADV_HUGEPAGE);
    free(first);
}
