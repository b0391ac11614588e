/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h — what C cannot say: ports, model registers, barriers, and what each CPU owns.
 * Names and numbers: Intel SDM volumes 2 and 3. Everything here is inline; no state. */
#pragma once
#include "kernel/base/base.h"

#define PAGE_BYTES 4096u
#define CPU_MAX 8u

/* ---- Ports ----------------------------------------------------------------------------------- */

static inline void out8(u16 port, u8 v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static inline void out16(u16 port, u16 v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port)); }
static inline void out32(u16 port, u32 v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline u8 in8(u16 port) {
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u16 in16(u16 port) {
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u32 in32(u16 port) {
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void out8_many(u16 port, const void *from, size_t n) {
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

/* ---- Registers ------------------------------------------------------------------------------- */

enum {
    MSR_APIC_BASE = 0x1B,
    MSR_TSC_DEADLINE = 0x6E0,
    MSR_X2APIC = 0x800, /* + register offset / 16 */
    MSR_FS_BASE = 0xC0000100,
    MSR_GS_BASE = 0xC0000101,
    MSR_KVM_WALL_CLOCK = 0x4B564D00,
    MSR_KVM_SYSTEM_TIME = 0x4B564D01,
};

static inline u64 msr_read(u32 msr) {
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static inline void msr_write(u32 msr, u64 v) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 tsc_read(void) {
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

struct cpuid {
    u32 a, b, c, d;
};
static inline struct cpuid cpuid_read(u32 leaf, u32 sub) {
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

static inline u64 cr0_read(void) {
    u64 v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
static inline u64 cr2_read(void) {
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}
static inline u64 cr3_read(void) {
    u64 v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}
static inline void cr3_write(u64 v) { __asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory"); }
static inline u64 cr4_read(void) {
    u64 v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
static inline void cr4_write(u64 v) { __asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory"); }

enum {
    CR4_UMIP = 1u << 11,
    CR4_SMEP = 1u << 20,
    CR4_SMAP = 1u << 21,
};

/* ---- Order and rest -------------------------------------------------------------------------- */

static inline void cpu_pause(void) { __asm__ volatile("pause"); }
static inline void irq_off(void) { __asm__ volatile("cli" ::: "memory"); }
static inline void irq_on(void) { __asm__ volatile("sti" ::: "memory"); }
typedef u64 irq_state_t; /* the flags register */
static inline irq_state_t irq_save(void) {
    irq_state_t flags;
    __asm__ volatile("pushfq\n\tpop %0\n\tcli" : "=r"(flags)::"memory");
    return flags;
}
static inline void irq_restore(irq_state_t flags) {
    if (flags & 0x200) irq_on();
}
/* Takes what is pending, now: `sti` alone only takes effect after the next instruction. */
static inline void irq_window(void) { __asm__ volatile("sti\n\tnop\n\tcli" ::: "memory"); }
/* Sleeps until an interrupt; nothing can slip in between the two. Interrupts are off again
 * after. */
static inline void irq_sleep(void) { __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory"); }
static inline NORETURN void cpu_stop(void) {
    for (;;) __asm__ volatile("cli\n\thlt");
}

/* Stores before loads: the one reordering x86 does (a driver's "publish, then look again"). */
static inline void fence_full(void) { __asm__ volatile("mfence" ::: "memory"); }

/* ---- Device registers ------------------------------------------------------------------------ */

static inline u8 mmio_read8(u64 at) { return *(const volatile u8 *)at; }
static inline u16 mmio_read16(u64 at) { return *(const volatile u16 *)at; }
static inline u32 mmio_read32(u64 at) { return *(const volatile u32 *)at; }
static inline void mmio_write8(u64 at, u8 v) { *(volatile u8 *)at = v; }
static inline void mmio_write16(u64 at, u16 v) { *(volatile u16 *)at = v; }
static inline void mmio_write32(u64 at, u32 v) { *(volatile u32 *)at = v; }
