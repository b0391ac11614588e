/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h — the RAM budget. Boot divides the heap once into named budgets and prints the table;
 * each library and service allocates within its own, so that none starves another. A budget is a
 * bound and a count over malloc, not a heap: sanitizers see every block. Any thread. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/buf.h"

/* MEMORY_BUDGET(name, percent of the heap, least bytes, most bytes, what happens when full) */
#define MEMORY_BUDGETS(B)                                                                          \
    B(NET, "net", 15, KIB(3072), MIB(512), "frames dropped, peers retransmit")                     \
    B(CONNECTIONS, "connections", 12, KIB(2048), MIB(1024), "new connections refused")             \
    B(TLS, "tls", 15, KIB(4096), MIB(1024), "handshakes refused")                                  \
    B(REQUESTS, "requests", 15, KIB(6144), MIB(1024), "503")                                       \
    B(SQL, "sql", 15, KIB(6144), MIB(2048), "503")                                                 \
    B(CACHE, "cache", 8, KIB(1024), MIB(8192), "oldest evicted")                                   \
    B(POLICY, "policy", 8, KIB(1024), MIB(4096), "change refused with 507")                        \
    B(PASSWORD, "password hashing", 0, KIB(20480), KIB(81920), "logins wait, then 503")            \
    B(FIBERS, "fiber stacks", 6, KIB(1200), MIB(32), "503")                                        \
    B(SERVICES, "services", 5, KIB(1024), MIB(256), "503")

enum memory_budget {
#define B(id, name, percent, least, most, full) MEMORY_##id,
    MEMORY_BUDGETS(B)
#undef B
        MEMORY_BUDGET_COUNT
};

struct memory_use {
    const char *name;
    size_t used, peak, limit; /* bytes */
    u64 refused;              /* allocations that did not fit */
};

/* Divides; small machines get the least figures, never more than fits. */
void memory_init(u64 heap_bytes);
void *memory_alloc(enum memory_budget b, size_t n); /* NULL: over budget or no RAM; 16-aligned */
void *memory_zero(enum memory_budget b, size_t n);
/* As realloc; NULL leaves p as it was. */
void *memory_resize(enum memory_budget b, void *p, size_t n);
void memory_free(enum memory_budget b, void *p);  /* NULL is fine */
/* For memory that does not come from malloc (stacks, a library's pool): counts it. False: over. */
bool memory_charge(enum memory_budget b, size_t n);
void memory_refund(enum memory_budget b, size_t n);
/* For tests: the nth allocation from now (1: the next), of any budget, finds no memory, and with
 * for_ever all after it; 0 clears. memory_charge counts as one. */
void memory_fault_set(u64 nth, bool for_ever);
size_t memory_size(const void *p);                /* as asked for */
void memory_use_get(enum memory_budget b, struct memory_use *out);
u32 memory_pressure_percent(void);                /* of the whole heap in use */
u64 memory_heap_bytes(void);
void memory_print(struct buf *to);                /* the table, for the console and the log */
