/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c — where the loop sleeps, and how the machine ends.
 *
 *   look -> nothing? -> ask devices for an interrupt -> look again -> timer -> HLT (or background)
 *
 * Busy loops never take device interrupts: rings are looked at, and only before sleeping are
 * interrupts asked for (EVENT_IDX). Looking again after asking closes the gap in between.
 * On one CPU a runnable background gets at least SHARE_US of every SHARE_PERIOD_MS, so a flood on
 * the network cannot starve logins. */
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/devices.h"
#include "kernel/platform.h"

enum { SHARE_US = 200, SHARE_PERIOD_MS = 2 };
/* Exit statuses through isa-debug-exit: QEMU ends with (v << 1) | 1, tools/run.sh with v. */
enum { EXIT_PANIC = 60, DEBUG_EXIT_MAX = 63 };

static volatile u32 noted;
static volatile bool sleeping;
static u64 background_last_ns;

void wait_note(u32 wait_bits) { __atomic_fetch_or(&noted, wait_bits, __ATOMIC_SEQ_CST); }

static u32 look(void) {
    u32 bits = nic_look() | disk_look();
    if (noted) bits |= __atomic_exchange_n(&noted, 0, __ATOMIC_SEQ_CST);
    virtio_console_look();
    if (console_has_input) {
        console_has_input = false;
        bits |= WAIT_CONSOLE;
    }
    if (acpi_button_pressed()) bits |= WAIT_POWER;
    return bits;
}

static void background_share(void) {
    if (!background_runnable()) return;
    u64 now = platform_clock_ns();
    if (now - background_last_ns < SHARE_PERIOD_MS * NS_PER_MS) return;
    apic_timer_at(now + SHARE_US * NS_PER_US);
    background_run();
    background_last_ns = platform_clock_ns();
}

static void rest(u64 deadline_ns) {
    apic_timer_at(deadline_ns);
    sleeping = true;
    fence_full();
    if (noted) {
        /* woken between the look and here */
    } else if (background_runnable()) {
        background_run();
        background_last_ns = platform_clock_ns();
    } else {
        irq_sleep();
    }
    sleeping = false;
}

u32 platform_wait(u64 deadline_ns) {
    irq_window();
    u32 bits = look();
    if (bits || deadline_ns == 0) {
        background_share();
        return bits;
    }
    clock_refine();
    nic_arm();
    disk_arm();
    fence_full();
    while (!(bits = look())) {
        if (platform_clock_ns() >= deadline_ns) break;
        rest(deadline_ns);
    }
    return bits;
}

void platform_loop_wake(void) {
    wait_note(WAIT_WAKE);
    if (sleeping) apic_send(cpus[0].apic_id, VECTOR_WAKE);
}

/* ---- The end --------------------------------------------------------------------------------- */

static u16 debug_exit_port;

/* isa-debug-exit reads as zero where an empty port reads as ones. */
bool debug_exit_start(void) {
    static const u16 ports[] = {0xF4, 0x501};
    for (size_t i = 0; i < ARRAY_LEN(ports) && !debug_exit_port; i++)
        if (in8(ports[i]) == 0) debug_exit_port = ports[i];
    return debug_exit_port != 0;
}

static NORETURN void reset(void) {
    irq_off();
    acpi_reset();
    out8(0xCF9, 0x02); /* q35, pc: hard reset */
    out8(0xCF9, 0x06);
    for (int i = 0; i < 1000 && (in8(0x64) & 2); i++) cpu_pause();
    out8(0x64, 0xFE); /* keyboard controller */
    clock_delay_us(1000);
    struct {
        u16 bytes;
        u64 at;
    } __attribute__((packed)) nothing = {0, 0};
    /* no handler for the handler: triple fault */
    __asm__ volatile("lidt %0\n\tint3" ::"m"(nothing));
    cpu_stop();
}

void platform_exit(int status) {
    if (status == PLATFORM_EXIT_RESET) reset();
    irq_off();
    if (status != 0 && debug_exit_port) out8(debug_exit_port, (u8)(status & DEBUG_EXIT_MAX));
    acpi_power_off();
    clock_delay_us(100000); /* the VMM may take a moment */
    if (debug_exit_port) out8(debug_exit_port, (u8)(status & DEBUG_EXIT_MAX));
    reset(); /* no way to power off: `-no-reboot` turns this into one */
}

void platform_die(void) {
    if (under_test && debug_exit_port) out8(debug_exit_port, EXIT_PANIC);
    reset();
}
