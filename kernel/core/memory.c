/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c — the RAM budget: a bound and a count over malloc.
 *
 *   block:  [ struct header: size asked for, budget | bytes handed out, 16-aligned ... ]
 *
 * Always true: for each budget used <= limit, and the limits together never exceed the heap. Each
 * budget gets its least figure and its percentage of what the heap has beyond all the leasts, so
 * the table fits a 64 MiB machine and grows with RAM; a machine smaller than the leasts gets them
 * scaled down. Counters are atomic: workers allocate too.
 *
 * Leaves to malloc where blocks lie; leaves to each user what to answer when NULL comes back. */
#include "kernel/core/memory.h"
#include <stdlib.h>

struct header {
    size_t size;
    u32 budget;
    u32 mark; /* catches a pointer that is not ours, and a second free */
};
static_assert(sizeof(struct header) == 16, "keeps what is handed out 16-aligned");
#define MARK_LIVE 0x4D454D2Bu
#define MARK_FREE 0x4D454D2Du

struct budget {
    const char *name, *when_full;
    u64 least, most;
    u32 percent;
    size_t used, peak, limit;
    u64 refused;
};
static struct budget budgets[MEMORY_BUDGET_COUNT] = {
#define B(id, title, share, low, high, full)                                                       \
    {.name = title, .when_full = full, .least = low, .most = high, .percent = share, .limit = low},
    MEMORY_BUDGETS(B)
#undef B
};
static u64 heap_total;
static u64 fault_nth; /* 0: none. Tests set it, on one thread */
static bool fault_for_ever;

#define B(id, title, share, low, high, full) +(share)
static_assert(0 MEMORY_BUDGETS(B) <= 100, "budgets share at most the whole heap");
#undef B

void memory_init(u64 heap_bytes) {
    u64 leasts = 0;
    heap_total = heap_bytes;
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++) leasts += budgets[i].least;
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++) {
        struct budget *b = &budgets[i];
        u64 limit;
        if (heap_bytes < leasts)
            limit = (u64)((unsigned __int128)b->least * heap_bytes / leasts);
        else
            limit = MIN(b->least + (heap_bytes - leasts) / 100 * b->percent, b->most);
        b->limit = (size_t)limit;
    }
}

void memory_fault_set(u64 nth, bool for_ever) {
    fault_nth = nth;
    fault_for_ever = for_ever;
}

static bool fault_due(void) {
    if (fault_nth > 1) {
        fault_nth--;
        return false;
    }
    if (!fault_for_ever) fault_nth = 0;
    return true;
}

bool memory_charge(enum memory_budget which, size_t n) {
    CHECK(which < MEMORY_BUDGET_COUNT);
    struct budget *b = &budgets[which];
    if (__builtin_expect(fault_nth != 0, 0) && fault_due()) {
        __atomic_add_fetch(&b->refused, 1, __ATOMIC_RELAXED);
        return false;
    }
    size_t used = __atomic_add_fetch(&b->used, n, __ATOMIC_RELAXED);
    if (used > b->limit || used < n) {
        __atomic_sub_fetch(&b->used, n, __ATOMIC_RELAXED);
        __atomic_add_fetch(&b->refused, 1, __ATOMIC_RELAXED);
        return false;
    }
    size_t peak = __atomic_load_n(&b->peak, __ATOMIC_RELAXED);
    while (used > peak &&
           !__atomic_compare_exchange_n(&b->peak, &peak, used, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {}
    return true;
}

void memory_refund(enum memory_budget which, size_t n) {
    CHECK(which < MEMORY_BUDGET_COUNT);
    size_t before = __atomic_fetch_sub(&budgets[which].used, n, __ATOMIC_RELAXED);
    CHECK(before >= n);
}

void *memory_alloc(enum memory_budget b, size_t n) {
    if (n > SIZE_MAX - sizeof(struct header)) return NULL;
    size_t whole = n + sizeof(struct header);
    if (!memory_charge(b, whole)) return NULL;
    struct header *h = malloc(whole);
    if (!h) {
        memory_refund(b, whole);
        __atomic_add_fetch(&budgets[b].refused, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    *h = (struct header){n, b, MARK_LIVE};
    return h + 1;
}

void *memory_zero(enum memory_budget b, size_t n) {
    void *p = memory_alloc(b, n);
    if (p) memset(p, 0, n);
    return p;
}

static struct header *header_of(const void *p) {
    struct header *h = (struct header *)(uintptr_t)p - 1;
    CHECK(h->mark == MARK_LIVE);
    return h;
}

void *memory_resize(enum memory_budget b, void *p, size_t n) {
    if (!p) return memory_alloc(b, n);
    struct header *h = header_of(p);
    CHECK(h->budget == b);
    if (n > SIZE_MAX - sizeof *h) return NULL;
    size_t old = h->size;
    if (n > old && !memory_charge(b, n - old)) return NULL;
    struct header *moved = realloc(h, n + sizeof *h);
    if (!moved) {
        if (n > old) memory_refund(b, n - old);
        return NULL;
    }
    if (n < old) memory_refund(b, old - n);
    moved->size = n;
    return moved + 1;
}

void memory_free(enum memory_budget b, void *p) {
    if (!p) return;
    struct header *h = header_of(p);
    CHECK(h->budget == b);
    h->mark = MARK_FREE;
    memory_refund(b, h->size + sizeof *h);
    free(h);
}

size_t memory_size(const void *p) { return header_of(p)->size; }

void memory_use_get(enum memory_budget which, struct memory_use *out) {
    CHECK(which < MEMORY_BUDGET_COUNT);
    struct budget *b = &budgets[which];
    *out = (struct memory_use){
        .name = b->name,
        .used = __atomic_load_n(&b->used, __ATOMIC_RELAXED),
        .peak = __atomic_load_n(&b->peak, __ATOMIC_RELAXED),
        .limit = b->limit,
        .refused = __atomic_load_n(&b->refused, __ATOMIC_RELAXED),
    };
}

u64 memory_heap_bytes(void) { return heap_total; }

u32 memory_pressure_percent(void) {
    u64 used = 0;
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++)
        used += __atomic_load_n(&budgets[i].used, __ATOMIC_RELAXED);
    return heap_total ? (u32)MIN(used * 100 / heap_total, (u64)100) : 0;
}

/* Failing to print the table is no failure: `to` says itself that it is full. */
static void line(struct buf *to, const char *name, u64 used, u64 peak, u64 limit, u64 refused,
                 const char *when_full) {
    (void)buf_printf(to, "%-17s %9llu %9llu %9llu %8llu  %s\n", name,
                     (unsigned long long)used >> 10,
                      (unsigned long long)peak >> 10, (unsigned long long)limit >> 10,
                      (unsigned long long)refused, when_full);
}

void memory_print(struct buf *to) {
    u64 used = 0, limit = 0;
    (void)buf_printf(to, "%-17s %9s %9s %9s %8s  %s\n", "budget", "used KiB", "peak KiB",
                     "limit KiB", "refused", "when full");
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++) {
        struct memory_use u;
        memory_use_get((enum memory_budget)i, &u);
        line(to, u.name, u.used, u.peak, u.limit, u.refused, budgets[i].when_full);
        used += u.used;
        limit += u.limit;
    }
    line(to, "all", used, 0, limit, 0, "");
}
