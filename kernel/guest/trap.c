/* SPDX-License-Identifier: Apache-2.0 */
/* trap.c — exceptions become panics, interrupts become bits.
 *
 *   vector 0..31   an exception: nothing here recovers; registers and backtrace, then the end
 *   vector 32..63  timer, wake-up, serial, power, devices: mark it, acknowledge, return
 *
 * The loop runs with interrupts off and takes them only inside platform_wait(); the background
 * worker of a one-CPU machine runs with them on and is left for the loop when one comes (smp.c).
 * Faults that may come from a bad stack run on stacks of their own (IST), with guard pages, so a
 * stack overflow is a page fault with a report and never a triple fault. */
#include "kernel/guest/guest.h"
#include "kernel/base/panic.h"
#include "kernel/platform.h"

enum { FAULT_STACK_BYTES = 16384, IST_DOUBLE = 1, IST_PAGE, IST_NMI, IST_MACHINE, IST_COUNT = 4 };
enum { EXC_NMI = 2, EXC_DOUBLE = 8, EXC_PAGE = 14, EXC_MACHINE = 18 };

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
static_assert(sizeof(struct gate) == 16, "SDM 3A 6.14.1");
struct table_pointer {
    u16 bytes_less_1;
    u64 at;
} __attribute__((packed));

enum { SEL_CODE = 8, SEL_DATA = 16, SEL_TSS = 24 };

struct cpu cpus[CPU_MAX];
struct trap_frame *volatile trap_fault;
static volatile bool stopping; /* last words are being said: an NMI means stop */

static struct gate idt[VECTOR_COUNT] SEALED;
static u64 gdt[3 + 2 * CPU_MAX] SEALED;
static struct {
    void (*fn)(void *arg);
    void *arg;
} device_vectors[VECTOR_DEVICES] SEALED;
static u32 device_vector_count SEALED;
extern u8 trap_stubs[];

static const char *const exception_names[32] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode",
    "device not available", "double fault", "9", "invalid TSS", "segment not present",
    "stack segment fault", "general protection", "page fault", "15", "x87 error",
    "alignment check", "machine check", "SIMD error", "virtualization", "control protection",
    "22", "23", "24", "25", "26", "27", "hypervisor injection", "VMM communication", "security",
    "31"};

/* ---- Setting up ------------------------------------------------------------------------------ */

static u64 fault_stack_new(void) {
    u8 *low = platform_stack(FAULT_STACK_BYTES);
    if (!low) panic("No memory for a fault stack.");
    return (u64)low + FAULT_STACK_BYTES;
}

void trap_prepare(u32 index) {
    struct cpu *c = &cpus[index];
    for (int i = 0; i < IST_COUNT; i++)
        if (!c->tss.ist[i]) c->tss.ist[i] = fault_stack_new();
    c->self = c;
    c->index = index;
    c->tss.io_map = sizeof c->tss;
    u64 base = (u64)&c->tss;
    u64 *d = &gdt[3 + 2 * index];
    d[0] = (sizeof c->tss - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 | (base >> 24) << 56;
    d[1] = base >> 32;
}

void trap_cpu(u32 index) {
    struct cpu *c = &cpus[index];
    struct table_pointer gp = {sizeof gdt - 1, (u64)gdt}, ip = {sizeof idt - 1, (u64)idt};
    __asm__ volatile("lgdt %0" ::"m"(gp));
    __asm__ volatile("lidt %0" ::"m"(ip));
    __asm__ volatile("push %0\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tlretq\n1:" ::"i"(SEL_CODE)
                     : "rax", "memory");
    __asm__ volatile("mov %0, %%ss\n\tmov %0, %%ds\n\tmov %0, %%es" ::"r"(SEL_DATA));
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS + 16 * index));
    msr_write(MSR_GS_BASE, (u64)c);
}

static u8 ist_of(u32 vector) {
    switch (vector) {
    case EXC_DOUBLE: return IST_DOUBLE;
    case EXC_PAGE: return IST_PAGE;
    case EXC_NMI: return IST_NMI;
    case EXC_MACHINE: return IST_MACHINE;
    default: return 0;
    }
}

void trap_start(void) {
    gdt[1] = 0x00AF9A000000FFFF;
    gdt[2] = 0x00CF92000000FFFF;
    for (u32 v = 0; v < VECTOR_COUNT; v++) {
        u64 at = (u64)trap_stubs + 16ull * v;
        idt[v] = (struct gate){(u16)at, SEL_CODE, ist_of(v), 0x8E, (u16)(at >> 16), (u32)(at >> 32),
                               0};
    }
    trap_prepare(0);
    trap_cpu(0);
}

rc_t trap_claim_device(void (*fn)(void *arg), void *arg, u8 *out_vector) {
    if (device_vector_count == VECTOR_DEVICES) return RC_LIMIT;
    device_vectors[device_vector_count].fn = fn;
    device_vectors[device_vector_count].arg = arg;
    *out_vector = (u8)(VECTOR_DEVICE + device_vector_count++);
    return RC_OK;
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

static NORETURN void exception(struct trap_frame *f) {
    if (f->vector == EXC_NMI && stopping) cpu_stop();
    if (!trap_fault) trap_fault = f;
    u64 at = f->vector == EXC_PAGE ? cr2_read() : 0;
    const char *note = "", *owner = NULL;
    if (f->vector == EXC_PAGE) owner = panic_stack_owner((const void *)(uintptr_t)at);
    if (f->vector == EXC_PAGE && at < 0x10000) note = " (null pointer)";
    else if (f->vector == EXC_PAGE && page_is_guard(at)) note = " (stack overflow: guard page)";
    panic("exception %u, %s%s: error 0x%llx, address 0x%llx, thread %u%s%s", (unsigned)f->vector,
          exception_names[f->vector & 31], note, (unsigned long long)f->error,
          (unsigned long long)at, platform_thread(), owner ? ", fiber " : "", owner ? owner : "");
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

void trap_handle(struct trap_frame *f) {
    u32 vector = (u32)f->vector;
    if (vector < 32) exception(f);
    if (vector == VECTOR_SPURIOUS) return; /* has no end-of-interrupt */
    u32 device = vector - VECTOR_DEVICE;
    if (vector == VECTOR_SERIAL) serial_collect();
    else if (vector == VECTOR_POWER) acpi_interrupt();
    else if (device < device_vector_count) device_vectors[device].fn(device_vectors[device].arg);
    apic_done();
    background_preempt();
}

/* ---- Last words ------------------------------------------------------------------------------ */

struct line {
    char text[160];
    size_t n;
};
static void add(struct line *l, str s) {
    size_t n = MIN(s.len, sizeof l->text - l->n);
    memcpy(l->text + l->n, s.ptr, n);
    l->n += n;
}
static void add_hex(struct line *l, u64 v) {
    char digits[16];
    for (int i = 0; i < 16; i++) digits[i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
    add(l, (str){digits, 16});
}

static void put_registers(const struct trap_frame *f, void (*put)(str)) {
    static const char names[][4] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8 ",
                                    "r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "flg",
                                    "cr0", "cr2", "cr3", "cr4"};
    const u64 values[] = {f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->rsp, f->r8,
                          f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15, f->rip, f->rflags,
                          cr0_read(), cr2_read(), cr3_read(), cr4_read()};
    struct line l = {.n = 0};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        add(&l, str_from_c(names[i]));
        add(&l, S(" "));
        add_hex(&l, values[i]);
        bool last = i % 4 == 3 || i + 1 == ARRAY_LEN(values);
        add(&l, last ? S("\n") : S("  "));
        if (last) {
            put((str){l.text, l.n});
            l.n = 0;
        }
    }
}

static void put_place(u64 at, void (*put)(str)) {
    struct line l = {.n = 0};
    u64 offset = 0;
    str name = symbol_at(at, &offset);
    add(&l, S("  "));
    add_hex(&l, at);
    if (name.len) {
        add(&l, S(" "));
        add(&l, str_take(name, 100));
        add(&l, S("+0x"));
        char hex[8];
        int n = 0;
        for (int shift = 28; shift >= 0; shift -= 4)
            if (n || offset >> shift & 15 || !shift)
                hex[n++] = "0123456789abcdef"[offset >> shift & 15];
        add(&l, (str){hex, (size_t)n});
    }
    add(&l, S("\n"));
    put((str){l.text, l.n});
}

static bool in_text(u64 at) { return at >= (u64)text_start && at < (u64)text_end; }

void platform_backtrace(void (*put)(str)) {
    stopping = true;
    apic_send_nmi_others();
    const struct trap_frame *f = trap_fault;
    u64 frame = (u64)__builtin_frame_address(0);
    if (f) {
        put_registers(f, put);
        put_place(f->rip, put);
        frame = f->rbp;
        /* A jump into nowhere: the call that did it left its return address on the stack. */
        bool wild = !in_text(f->rip) && !(f->rsp & 7) && page_is_mapped(f->rsp);
        u64 caller = wild ? *(const u64 *)f->rsp : 0;
        if (in_text(caller)) put_place(caller, put);
    }
    u64 low = 0; /* frames only go up, so this ends */
    for (int depth = 0; depth < 32 && frame > low && !(frame & 7); depth++) {
        if (!page_is_mapped(frame) || !page_is_mapped(frame + 15)) break;
        const u64 *p = (const u64 *)frame;
        if (!in_text(p[1])) break;
        put_place(p[1], put);
        low = frame;
        frame = p[0];
    }
}
