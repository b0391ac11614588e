/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h — what the files of this folder offer one another, in boot order. Nothing above the
 * seam includes it. All physical memory that is mapped is mapped at its own address. */
#pragma once
#include "kernel/guest/cpu.h"
#include "kernel/guest/handoff.h"

/* ---- start.c --------------------------------------------------------------------------------- */

/* What CPUID offers and we use. Filled first of all. */
struct cpu_features {
    bool nx, page_1g, smep, smap, umip, rdrand, rdseed, x2apic, tsc_deadline;
    bool hypervisor, kvm, tcg;
    u32 kvm_features; /* CPUID 0x40000001 eax */
};
extern struct cpu_features cpu_has;
extern bool under_test;               /* a harness watches: die with a status, do not reset */
extern u64 boot_tsc;                  /* TSC at the first instruction (boot.S) */
extern uintptr_t __stack_chk_guard;

/* Addresses from image/kernel.ld. */
extern u8 image_start[], text_start[], text_end[], rodata_start[], rodata_end[];
extern u8 data_start[], sealed_start[], sealed_end[], bss_end[], image_end[];
extern u8 loop_stack_guard[], loop_stack_top[];

/* Written during boot, read-only from app_main on. */
#define SEALED __attribute__((section(".sealed")))

/* ---- serial.c -------------------------------------------------------------------------------- */

void serial_start(void);
bool serial_present(void);
void serial_put(str bytes);
void serial_interrupts_on(void);
void serial_collect(void); /* interrupt side: bytes typed, into the small ring below */
int console_get(void);     /* -1: nothing typed */
void console_typed(u8 byte);
extern bool console_has_input;
extern void (*console_also)(str bytes); /* a second console (virtio), or NULL */

/* ---- ram.c ----------------------------------------------------------------------------------- */

void ram_start(const struct handoff *h);
u64 ram_bytes(void);                       /* all RAM of the machine */
u64 ram_heap_bytes(void);                  /* what sbrk can still give, plus what it gave */
void *ram_keep(size_t bytes, size_t align); /* for ever; not zeroed; NULL: none left */
void *ram_keep_zero(size_t bytes, size_t align); /* likewise, zeroed; panics when none is left */
void *ram_keep_table(void);                /* one page out of the reserve; not zeroed */
void *ram_sbrk(ptrdiff_t more);            /* (void *)-1: none left */
const void *ram_view(u64 phys, size_t n);  /* firmware's bytes, mapped read-only; NULL: no */

/* ---- page.c ---------------------------------------------------------------------------------- */

enum page_kind { PAGE_NONE, PAGE_READ, PAGE_WRITE, PAGE_CODE, PAGE_DEVICE };
void page_start(const struct handoff *h);
void page_cpu(void); /* this CPU's control registers and tables */
void page_set(u64 start, u64 bytes, enum page_kind kind); /* whole pages around the range */
/* The one exception to W^X: the other CPUs' first instructions, for some microseconds. */
void page_open_for_startup(u64 start, u64 bytes);
bool page_is_mapped(u64 at);
void page_seal(bool sealed); /* the .sealed section: read-only, or open again for a moment */
bool page_is_guard(u64 at);  /* is it in a page left out on purpose, below some stack? */
u64 page_walk_check(void (*put)(str)); /* every mapped range to `put`; count of W+X or user ones */

/* ---- trap.c ---------------------------------------------------------------------------------- */

enum { /* vectors; 0..31 are the CPU's exceptions */
    VECTOR_TIMER = 0x20,
    VECTOR_WAKE = 0x21,
    VECTOR_SERIAL = 0x22,
    VECTOR_POWER = 0x23,
    VECTOR_DEVICE = 0x24, /* + n, VECTOR_DEVICES of them */
    VECTOR_DEVICES = 24,
    VECTOR_SPURIOUS = 0x3F,
    VECTOR_COUNT = 0x40,
};

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} __attribute__((packed));

struct cpu { /* reached through GS: see this_cpu() */
    struct cpu *self;
    u32 index;   /* 0 = boot CPU */
    u32 apic_id;
    struct tss tss;
};
extern struct cpu cpus[CPU_MAX];
static inline struct cpu *this_cpu(void) {
    struct cpu *c;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(c));
    return c;
}

struct trap_frame { /* as trap_entry.S pushes it */
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss; /* by the CPU */
};
void trap_start(void);        /* IDT; then trap_cpu(0) */
void trap_prepare(u32 index); /* fault stacks, TSS and descriptors of a CPU, by the boot CPU */
void trap_cpu(u32 index);     /* loads them, on that CPU */
rc_t trap_claim_device(void (*fn)(void *arg), void *arg, u8 *out_vector); /* RC_LIMIT */
void trap_handle(struct trap_frame *f);
extern struct trap_frame *volatile trap_fault; /* the frame panic() should show, or NULL */

/* ---- symbols.c ------------------------------------------------------------------------------- */

/* The function that holds `at`; empty when unknown. */
str symbol_at(u64 at, u64 *out_offset);

/* ---- fwcfg.c, acpi.c ------------------------------------------------------------------------- */

bool fwcfg_start(void); /* false: not QEMU. Needs nothing but the boot tables */
bool fwcfg_has(str name);
/* The whole file in kept memory; RC_NOT_FOUND, RC_LIMIT (over bytes_max), RC_IO. */
rc_t fwcfg_file(str name, size_t bytes_max, str *out);
u32 fwcfg_cpu_count(void); /* 0: unknown */

void acpi_start(u64 rsdp); /* 0: there is none, a normal case */
void acpi_button_on(void);
bool acpi_button_pressed(void); /* since last asked */
void acpi_interrupt(void);      /* the SCI or the GED fired */
void acpi_power_off(void);      /* returns when there is no way */
void acpi_reset(void);
u32 acpi_cpu_count(void);       /* 0: no MADT */
u64 acpi_pci_ecam(u8 *out_last_bus); /* 0: no MCFG */
u16 acpi_pm_timer_port(void);   /* 0: none */
u32 acpi_gsi_of_isa(u8 irq, bool *out_level, bool *out_low);
struct ioapic_at {
    u64 phys;
    u32 gsi_base;
};
u32 acpi_ioapics(struct ioapic_at *out, u32 max); /* 0: no MADT */

/* ---- apic.c ---------------------------------------------------------------------------------- */

void apic_start(void);     /* LAPIC of the boot CPU, I/O APICs, PIC off */
void apic_cpu(void);       /* LAPIC of the running CPU */
u32 apic_id(void);
void apic_done(void);      /* end of interrupt */
void apic_send(u32 apic_id, u8 vector);
void apic_send_nmi_others(void);
void apic_send_init_others(void);
void apic_send_startup_others(u8 page);
/* Routes a global interrupt to the boot CPU. RC_NOT_FOUND: no I/O APIC has it. */
rc_t apic_route(u32 gsi, u8 vector, bool level, bool active_low);
void apic_mask(u32 gsi, bool masked);
void apic_msi(u8 vector, u64 *out_address, u32 *out_data);
void apic_timer_stop(void);
void apic_timer_at(u64 deadline_ns); /* one shot; platform clock */
u32 apic_timer_count(void);          /* for calibration: counts down */
void apic_timer_free_run(void);

/* ---- clock.c --------------------------------------------------------------------------------- */

void clock_start(void);
void clock_refine(void); /* now and then: a better estimate of the TSC's rate */
u64 clock_tsc_hz(void);
u64 clock_tsc_at(u64 ns); /* TSC value at a platform time */
u64 clock_apic_hz(void);  /* of the LAPIC timer, undivided */
str clock_source(void);
void clock_delay_us(u32 us);

/* ---- entropy.c ------------------------------------------------------------------------------- */

void entropy_start(void);                         /* RDRAND, RDSEED */
void entropy_mix(const void *bytes, size_t n, bool trusted);
u64 entropy_early(void);                          /* for the first canary */

/* ---- smp.c ----------------------------------------------------------------------------------- */

void smp_start(void);             /* counts CPUs, starts none */
bool background_runnable(void);   /* one CPU: worker 0 has something to do */
void background_run(void);        /* until it parks or an interrupt comes; interrupts off around */
void background_preempt(void);    /* interrupt side: back to the loop, if it was the background */
void tls_start(void);             /* thread-local memory of the loop, before anything needs it */
void stack_switch(u64 *save_rsp, u64 load_rsp); /* trap_entry.S */

/* ---- wait.c ---------------------------------------------------------------------------------- */

bool debug_exit_start(void);    /* is the device there by which QEMU ends with a status? */
void wait_note(u32 wait_bits); /* interrupt side: platform_wait() shall return these */

/* ---- devices --------------------------------------------------------------------------------- */

void pci_start(void);         /* finds devices and hands virtio ones over */
void virtio_mmio_start(str command_line);
str machine_name(void);
