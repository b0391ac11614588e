/* SPDX-License-Identifier: Apache-2.0 */
/* selftest.c — the machine provoked from inside: `selftest=NAME` on the command line of an image
 * that only tests link (build/guest/selftest). Each provocation must be caught by the hardware or
 * the compiler's guard; one that comes back says NOT CAUGHT. tests/integration/test_selftest.py
 * knows what each must leave on the console. */
#include "kernel/guest/guest.h"
#include "kernel/guest/words.h"
#include "kernel/platform.h"
#include <stdio.h>
#include <stdlib.h>

#define OPAQUE(p) __asm__ volatile("" : "+r"(p)) /* the compiler shall not see through it */

void selftest(str command_line);

static const u64 constant[4] = {1, 2, 3, 4};
static u64 variable[4] = {1, 2, 3, 4};
static u64 sealed_word SEALED = 7;
static volatile u64 sink;

static void store(const void *at) {
    volatile u64 *p = (u64 *)(u64)at;
    OPAQUE(p);
    *p = 0x4141414141414141ull;
}
static void load(u64 at) {
    volatile u64 *p = (u64 *)at;
    OPAQUE(p);
    sink = *p;
}
static void call(const void *at) {
    void (*fn)(void);
    u8 *bytes = (u8 *)(u64)at;
    OPAQUE(bytes);
    memcpy(&fn, &bytes, sizeof fn);
    fn();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void text_write(void) { store(text_start + 4096); }
static void rodata_write(void) { store(constant); }
static void sealed_write(void) {
    printf("sealed %llu\n", (unsigned long long)sealed_word);
    store(&sealed_word);
}
static void table_write(void) { /* the interrupt table itself */
    struct {
        u16 bytes;
        u64 at;
    } __attribute__((packed)) idt;
    __asm__ volatile("sidt %0" : "=m"(idt));
    store((void *)idt.at);
}
static void heap_run(void) {
    u8 *p = malloc(64);
    memset(p, 0xC3, 64); /* ret */
    call(p);
}
static void stack_run(void) {
    u8 bytes[16];
    memset(bytes, 0xC3, sizeof bytes);
    call(bytes);
}
static void data_run(void) {
    memset(variable, 0xC3, sizeof variable);
    call(variable);
}
static void ring_run(void) {
    u8 *p = ram_keep_zero(4096, 4096); /* as device rings are */
    memset(p, 0xC3, 16);
    call(p);
}
static void page_table_run(void) { call((void *)cr3_read()); }
static void null_read(void) { load(0); }
static void null_write(void) { store((void *)8); }
static void null_call(void) { call((void *)16); }
static void low_read(void) { load(0xFFF8); }
static void noncanonical(void) { load(0x8000000000000000ull); }
static void nowhere(void) { load(0x3F0000000000ull); }

static void walk_put(str line) { platform_console_put(line); }
static void walk(void) {
    printf("walk: %llu bad\n", (unsigned long long)page_walk_check(walk_put));
    platform_exit(0);
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static __attribute__((noinline)) u64 dig(volatile u64 depth) {
    volatile u8 hole[600];
    hole[depth % 600] = (u8)depth;
    if (depth == ~0ull) return 0; /* never; the compiler cannot know */
    return dig(depth + 1) + hole[0];
}
static void loop_stack(void) { sink = dig(0); }
static void worker_digs(void *arg) {
    (void)arg;
    sink = dig(0);
}
static void on_worker(void (*fn)(void *)) {
    if (platform_worker_start(0, fn, NULL)) printf("no worker\n");
    u64 end = platform_clock_ns() + 5 * NS_PER_S;
    while (platform_clock_ns() < end) platform_wait(end);
}
static void worker_stack(void) { on_worker(worker_digs); }
static void worker_divides(void *arg) {
    u64 zero = (u64)arg;
    __asm__ volatile("xor %%edx, %%edx\n\tdiv %0" ::"r"(zero) : "rax", "rdx", "cc");
}
static void worker_fault(void) { on_worker(worker_divides); }

static __attribute__((noinline)) void overrun(volatile size_t n) {
    volatile char local[32];
    volatile char *p = local;
    OPAQUE(p);
    for (size_t i = 0; i < n; i++) p[i] = 'A';
    sink = (u64)local[0];
}
static void canary(void) { overrun(64); }
static void canary_value(void) {
    printf("canary %016llx\n", (unsigned long long)__stack_chk_guard);
    platform_exit(0);
}

/* ---- What the CPU offers --------------------------------------------------------------------- */

/* One page of kept memory marked as a user's, at every level. */
static u8 *user_page(enum page_kind kind) {
    u8 *p = ram_keep_zero(4096, 4096);
    memset(p, 0xC3, 16);
    page_set((u64)p, 4096, PAGE_NONE); /* splits what is larger */
    page_set((u64)p, 4096, kind);
    u64 *table = (u64 *)cr3_read();
    for (int shift = 39; shift >= 12; shift -= 9) {
        u64 *entry = &table[(u64)p >> shift & 511];
        *entry |= 4;
        table = (u64 *)(*entry & 0x000FFFFFFFFFF000ull);
    }
    cr3_write(cr3_read());
    return p;
}
static void smep(void) { call(user_page(PAGE_CODE)); }
static void smap_read(void) { load((u64)user_page(PAGE_WRITE)); }
static void smap_write(void) { store(user_page(PAGE_WRITE)); }
static void bits(void) {
    u64 cr0 = cr0_read(), cr4 = cr4_read(), efer = msr_read(0xC0000080);
    printf("bits: wp %d nxe %d smep %d/%d smap %d/%d umip %d/%d\n", (int)(cr0 >> 16 & 1),
           (int)(efer >> 11 & 1), (int)(cr4 >> 20 & 1), cpu_has.smep, (int)(cr4 >> 21 & 1),
           cpu_has.smap, (int)(cr4 >> 11 & 1), cpu_has.umip);
    platform_exit(0);
}
static void entropy(void) {
    u64 v[2] = {0, 0};
    rc_t rc = platform_entropy(v, sizeof v);
    printf("entropy %s %016llx%016llx\n", rc_name(rc), (unsigned long long)v[0],
           (unsigned long long)v[1]);
    platform_exit(0);
}

/* ---- Every other exception ------------------------------------------------------------------- */

static void divide(void) { worker_divides(NULL); }
static void undefined(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void unaligned(void) {
    static u8 bytes[32] __attribute__((aligned(16)));
    __asm__ volatile("movaps %0, %%xmm0" ::"m"(bytes[1]));
}
static void double_fault(void) { /* a bad stack while the general protection handler needs one */
    __asm__ volatile("mov $0x8000000000000000, %%rax\n\tmov %%rax, %%rsp\n\tpush %%rax" ::: "rax");
}
static void selector(void) { __asm__ volatile("mov %0, %%ds" ::"r"(0x1F8)); }
static void nmi(void) {
    printf("waiting for an NMI\n");
    u64 end = platform_clock_ns() + 5 * NS_PER_S;
    while (platform_clock_ns() < end) platform_wait(end);
}
static void vector_unknown(void) { __asm__ volatile("int $0x50"); }

static void faulty_console(str bytes) {
    (void)bytes;
    undefined();
}
static void nested(void) { /* the panic's own output panics */
    console_also = faulty_console;
    panic("the first of two");
}
/* All memory taken, by stacks and then by the heap: refused politely, and the machine goes on. */
static void exhaust(void) {
    u32 stacks = 0, blocks = 0;
    while (platform_stack(65536)) stacks++;
    while (malloc(100000)) blocks++;
    printf("exhausted: %u stacks, %u blocks, used %llu of %llu\n", stacks, blocks,
           (unsigned long long)platform_memory_used(), (unsigned long long)ram_bytes());
    platform_exit(0);
}
static void exhaust_heap(void) {
    u32 stacks = 0, blocks = 0;
    while (malloc(100000)) blocks++;
    while (platform_stack(65536)) stacks++;
    printf("exhausted: %u stacks, %u blocks\n", stacks, blocks);
    platform_exit(0);
}
static void exit_status(void) { platform_exit(7); }
static void reset(void) { platform_exit(PLATFORM_EXIT_RESET); }

static const struct {
    const char *name;
    void (*run)(void);
} provocations[] = {
    {"text-write", text_write},
    {"rodata-write", rodata_write},
    {"sealed-write", sealed_write},
    {"table-write", table_write},
    {"heap-run", heap_run},
    {"stack-run", stack_run},
    {"data-run", data_run},
    {"ring-run", ring_run},
    {"page-table-run", page_table_run},
    {"null-read", null_read},
    {"null-write", null_write},
    {"null-call", null_call},
    {"low-read", low_read},
    {"noncanonical", noncanonical},
    {"nowhere", nowhere},
    {"walk", walk},
    {"loop-stack", loop_stack},
    {"worker-stack", worker_stack},
    {"worker-fault", worker_fault},
    {"canary", canary},
    {"canary-value", canary_value},
    {"smep", smep},
    {"smap-read", smap_read},
    {"smap-write", smap_write},
    {"bits", bits},
    {"entropy", entropy},
    {"divide", divide},
    {"undefined", undefined},
    {"breakpoint", breakpoint},
    {"unaligned", unaligned},
    {"double-fault", double_fault},
    {"selector", selector},
    {"nmi", nmi},
    {"vector-unknown", vector_unknown},
    {"nested", nested},
    {"exit-status", exit_status},
    {"reset", reset},
    {"exhaust", exhaust},
    {"exhaust-heap", exhaust_heap},
};

void selftest(str command_line) {
    str name = words_value(command_line, S("selftest="));
    for (size_t i = 0; i < ARRAY_LEN(provocations); i++) {
        if (!str_eq(name, str_from_c(provocations[i].name))) continue;
        provocations[i].run();
        printf("NOT CAUGHT: %s\n", provocations[i].name);
        platform_exit(1);
    }
    if (!name.len) return;
    printf("no such selftest\n");
    platform_exit(2);
}
