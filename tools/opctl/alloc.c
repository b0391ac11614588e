/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.c — counts what is asked of malloc (the linker sends its callers here first), and times
 * something by repeating it. */
#include "tools/opctl/alloc.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static struct alloc_count counted;

void *__wrap_malloc(size_t n) {
    counted.bytes += n, counted.calls++;
    return __real_malloc(n);
}
void *__wrap_calloc(size_t count, size_t n) {
    counted.bytes += count * n, counted.calls++;
    return __real_calloc(count, n);
}
void *__wrap_realloc(void *p, size_t n) {
    counted.bytes += n, counted.calls++;
    return __real_realloc(p, n);
}

struct alloc_count alloc_counted(void) {
    return counted;
}

bool timing_take(struct timing *t, u64 least_ns, bool (*once)(void *arg), void *arg) {
    for (u64 n = 1;; n *= 2) {
        struct alloc_count before = counted;
        u64 from = steady_ns();
        for (u64 i = 0; i < n; i++)
            if (!once(arg)) return false;
        u64 ns = steady_ns() - from;
        *t = (struct timing){n, ns, counted.bytes - before.bytes, counted.calls - before.calls};
        if (ns >= least_ns) return true;
    }
}

void figure_text(char *to, size_t room, double x) {
    int places = x == 0 || x >= 999.95 ? 0
                 : x >= 99.995         ? 1
                 : x >= 9.9995         ? 2
                 : x >= 0.99995        ? 3
                 : x >= 0.099995       ? 4
                 : x >= 0.0099995      ? 5
                                       : 6;
    snprintf(to, room, "%*.*f", places ? 11 + places : 10, places, x);
}

void timing_write(FILE *f, const struct timing *t, bool allocations) {
    char ns[64];
    figure_text(ns, sizeof ns, (double)t->ns / (double)t->n);
    fprintf(f, "%8llu\t%s ns/op", (unsigned long long)t->n, ns);
    if (allocations)
        fprintf(f, "\t%8llu B/op\t%8llu allocs/op", (unsigned long long)(t->bytes / t->n),
                (unsigned long long)(t->allocs / t->n));
}
