/* SPDX-License-Identifier: Apache-2.0 */
/* smp.c — workers: the other CPUs, or the idle time of the only one.
 *
 *   several CPUs   worker w = CPU w + 1; woken from real mode all at once by a broadcast, parked
 *                  by HLT until a wake-up interrupt
 *   one CPU        worker 0 is a second context, "the background". platform_wait() runs it
 *                  instead of HLT; any interrupt saves its vector state and returns to the loop
 *
 * Always true: the loop and the other CPUs' workers run with interrupts off (they come only while
 * parked); the background runs with them on, except while it holds a lock, so that a lock's
 * holder is never left waiting for the loop. */
#include "kernel/guest/guest.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

enum { WORKER_STACK_BYTES = 131072, TLS_LOOP_BYTES = 4096, TRAMPOLINE = 0x10000 };
enum { START_WAIT_US = 200000 };

extern u8 tls_image_start[], tls_image_end[], tls_bytes[], tls_align[]; /* kernel.ld */
extern u8 trampoline_start[], trampoline_end[];
extern u32 trampoline_cr3, trampoline_efer, trampoline_count, trampoline_limit;
extern u64 trampoline_stacks, trampoline_entry;

static struct worker {
    void (*entry)(void *arg);
    void *arg;
    u64 stack_top, tls;
    volatile u32 wake, parked;
    volatile bool alive; /* its CPU has arrived */
} workers[WORKER_MAX];
static u32 cpu_count = 1;
static bool others_started;

static __thread u32 my_thread;
static __thread u32 locks_held;

static struct {
    bool started, running;
    u64 rsp, loop_rsp, loop_tls;
    u8 vectors[512] __attribute__((aligned(16))); /* FXSAVE */
} background;

/* ---- Thread-local memory --------------------------------------------------------------------- */

/* x86-64 variant II: the block ends at the thread pointer, which points to itself. */
static u64 tls_block(u8 *memory, size_t room) {
    size_t align = (size_t)tls_align, bytes = ALIGN_UP((size_t)tls_bytes, align);
    u64 at = ALIGN_UP((u64)memory + bytes, align);
    CHECK(at + 64 <= (u64)memory + room);
    memset(memory, 0, room);
    memcpy((void *)(at - bytes), tls_image_start, (size_t)(tls_image_end - tls_image_start));
    *(u64 *)at = at;
    return at;
}

void tls_start(void) {
    static u8 loop_block[TLS_LOOP_BYTES] __attribute__((aligned(64)));
    background.loop_tls = tls_block(loop_block, sizeof loop_block);
    msr_write(MSR_FS_BASE, background.loop_tls);
}

static rc_t worker_memory(struct worker *w) {
    if (w->stack_top) return RC_OK;
    u8 *tls = ram_keep(TLS_LOOP_BYTES, 64);
    u8 *stack = platform_stack(WORKER_STACK_BYTES);
    if (!tls || !stack) return RC_NO_MEMORY;
    w->tls = tls_block(tls, TLS_LOOP_BYTES);
    w->stack_top = (u64)stack + WORKER_STACK_BYTES;
    return RC_OK;
}

/* ---- Who am I, locks ------------------------------------------------------------------------- */

u32 platform_thread(void) { return my_thread; }

static bool on_background(void) { return my_thread && cpu_count == 1; }

void platform_lock(struct platform_lock *lock) {
    if (on_background()) {
        irq_off();
        locks_held++;
    }
    while (__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&lock->word, __ATOMIC_RELAXED)) cpu_pause();
}

void platform_unlock(struct platform_lock *lock) {
    __atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
    if (on_background() && --locks_held == 0) irq_on();
}

/* ---- One CPU: the background ----------------------------------------------------------------- */

static void background_entry(void) {
    my_thread = 1;
    irq_on();
    workers[0].entry(workers[0].arg);
    for (;;) platform_worker_park(0);
}

static void background_prepare(struct worker *w) {
    u64 *sp = (u64 *)w->stack_top;
    *--sp = 0;                     /* keeps the entry aligned as after a call */
    *--sp = (u64)background_entry; /* stack_switch returns here */
    for (int i = 0; i < 6; i++) *--sp = 0;
    *--sp = 0x037F00001F80ull; /* x87 control word, MXCSR: the defaults */
    background.rsp = (u64)sp;
    background.started = true;
}

bool background_runnable(void) {
    return background.started && (!workers[0].parked || workers[0].wake);
}

void background_run(void) {
    CHECK(background.started && !background.running);
    background.running = true;
    msr_write(MSR_FS_BASE, workers[0].tls);
    stack_switch(&background.loop_rsp, background.rsp);
    msr_write(MSR_FS_BASE, background.loop_tls);
    background.running = false;
}

/* In an interrupt on the background's stack: the ordinary frames below keep its registers. */
void background_preempt(void) {
    if (!background.running) return;
    __asm__ volatile("fxsave %0\n\tfninit" : "=m"(background.vectors));
    stack_switch(&background.rsp, background.loop_rsp);
    __asm__ volatile("fxrstor %0" ::"m"(background.vectors));
}

static void background_park(struct worker *w) {
    irq_off();
    w->parked = 1;
    while (!__atomic_exchange_n(&w->wake, 0, __ATOMIC_SEQ_CST))
        stack_switch(&background.rsp, background.loop_rsp);
    w->parked = 0;
    irq_on();
}

/* ---- Several CPUs ---------------------------------------------------------------------------- */

static NORETURN void cpu_main(u32 number) {
    struct worker *w = &workers[number - 1];
    page_cpu();
    trap_cpu(number);
    apic_cpu();
    msr_write(MSR_FS_BASE, w->tls);
    my_thread = number;
    __atomic_store_n(&w->alive, true, __ATOMIC_RELEASE);
    for (;;) {
        platform_worker_park(number - 1);
        if (w->entry) w->entry(w->arg);
    }
}

static rc_t others_start(void) {
    static u64 stacks[CPU_MAX];
    others_started = true;
    page_seal(false);
    for (u32 i = 1; i < cpu_count; i++) {
        if (worker_memory(&workers[i - 1])) return RC_NO_MEMORY;
        stacks[i - 1] = workers[i - 1].stack_top;
        trap_prepare(i);
    }
    size_t bytes = (size_t)(trampoline_end - trampoline_start);
    page_set(TRAMPOLINE, bytes, PAGE_WRITE);
    u8 *to = (u8 *)TRAMPOLINE;
    __asm__("" : "+r"(to)); /* an address below a page is no object the compiler knows */
    memcpy(to, trampoline_start, bytes);
#define FIELD(name, type) (*(type *)(to + ((u8 *)&(name) - trampoline_start)))
    FIELD(trampoline_cr3, u32) = (u32)cr3_read();
    FIELD(trampoline_efer, u32) = (u32)msr_read(0xC0000080) & 0x901;
    FIELD(trampoline_limit, u32) = cpu_count - 1;
    FIELD(trampoline_stacks, u64) = (u64)stacks;
    FIELD(trampoline_entry, u64) = (u64)cpu_main;
    /* Writable and executable for these microseconds: it patches itself, then is data again. */
    page_open_for_startup(TRAMPOLINE, bytes);
    apic_send_init_others();
    clock_delay_us(cpu_has.hypervisor ? 10 : 10000);
    apic_send_startup_others(TRAMPOLINE >> 12);
    u32 alive = 0;
    u64 end = platform_clock_ns() + START_WAIT_US * NS_PER_US;
    while (alive < cpu_count - 1 && platform_clock_ns() < end) {
        alive = 0;
        for (u32 i = 0; i < cpu_count - 1; i++) alive += workers[i].alive;
        cpu_pause();
    }
    page_set(TRAMPOLINE, bytes, PAGE_WRITE);
    page_seal(true);
    if (alive == cpu_count - 1) return RC_OK;
    log_error("smp", "not all CPUs started", "wanted=%u started=%u", cpu_count - 1, alive);
    return RC_IO;
}

void smp_start(void) {
    u32 n = acpi_cpu_count();
    if (!n) n = fwcfg_cpu_count();
    cpu_count = MAX(1u, MIN(n, MIN(CPU_MAX, (u32)WORKER_MAX + 1)));
}

/* ---- The seam -------------------------------------------------------------------------------- */

u32 platform_worker_count(void) { return cpu_count > 1 ? cpu_count - 1 : 1; }

rc_t platform_worker_start(u32 worker, void (*entry)(void *arg), void *arg) {
    CHECK(worker < platform_worker_count());
    struct worker *w = &workers[worker];
    CHECK(!w->entry);
    w->arg = arg;
    if (cpu_count == 1) {
        rc_t rc = worker_memory(w);
        if (rc) return rc;
        w->entry = entry;
        background_prepare(w);
        return RC_OK;
    }
    if (!others_started) {
        rc_t rc = others_start();
        if (rc == RC_NO_MEMORY) return rc;
    }
    if (!w->alive) return RC_IO;
    w->entry = entry;
    platform_worker_wake(worker);
    return RC_OK;
}

void platform_worker_park(u32 worker) {
    struct worker *w = &workers[worker];
    if (cpu_count == 1) {
        background_park(w);
        return;
    }
    w->parked = 1;
    while (!__atomic_exchange_n(&w->wake, 0, __ATOMIC_SEQ_CST)) irq_sleep();
    w->parked = 0;
}

void platform_worker_wake(u32 worker) {
    struct worker *w = &workers[worker];
    __atomic_store_n(&w->wake, 1, __ATOMIC_SEQ_CST);
    if (cpu_count > 1 && w->parked) apic_send(cpus[worker + 1].apic_id, VECTOR_WAKE);
}
