/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c — monotonic time from the TSC, wall time from the hypervisor or the CMOS clock.
 *
 *   ns = base_ns + ((tsc - base_tsc) * scale) >> 32
 *
 * How fast the TSC runs, first answer wins:
 *   kvm-clock page | CPUID 0x40000010 | CPUID 0x15 / 0x16 | LAPIC timer under QEMU and KVM, whose
 *   rate is 1 GHz by definition | ACPI PM timer | PIT channel 2 | a guess, and a warning
 * A measured rate starts from a short look at boot and is refined while the machine runs: each
 * refinement moves the base, so time never jumps and never goes back. Every measurement is
 * bounded by a count of tries: a missing or stuck timer costs microseconds, never a hang.
 * Readers on any CPU retry when `version` moved under them. */
#include "kernel/guest/guest.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

struct pvclock { /* KVM_CPUID_FEATURES: KVM_FEATURE_CLOCKSOURCE2 */
    u32 version, reserved;
    u64 tsc, ns;
    u32 scale;
    s8 shift;
    u8 flags, reserved2[2];
};
struct pvwall {
    u32 version, seconds, ns;
};
enum { LAPIC_QEMU_HZ = 1000000000, PM_TIMER_HZ = 3579545, PIT_HZ = 1193182 };
enum { FIRST_LOOK_US = 60 };

static struct {
    volatile u32 version; /* odd: being changed */
    u64 base_tsc, base_ns;
    u64 scale; /* ns * 2^32 per tick */
    u64 hz;
} now_is;
static const char *source = "none";
static u64 apic_hz = LAPIC_QEMU_HZ;
static s64 wall_offset_ns; /* wall = monotonic + this; 0 = unknown */
static bool wall_asked;
static struct pvclock pv __attribute__((aligned(64)));

/* ---- Reading --------------------------------------------------------------------------------- */

static u64 scaled(u64 ticks, u64 scale) { return (u64)((unsigned __int128)ticks * scale >> 32); }

u64 platform_clock_ns(void) {
    for (;;) {
        u32 v = __atomic_load_n(&now_is.version, __ATOMIC_ACQUIRE);
        u64 tsc = tsc_read(), base = now_is.base_tsc;
        u64 ns = now_is.base_ns + scaled(tsc > base ? tsc - base : 0, now_is.scale);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(v & 1) && v == now_is.version) return ns;
    }
}

u64 clock_tsc_hz(void) { return now_is.hz; }
u64 clock_apic_hz(void) { return apic_hz; }
str clock_source(void) { return str_from_c(source); }

u64 clock_tsc_at(u64 ns) {
    u64 from = ns > now_is.base_ns ? ns - now_is.base_ns : 0;
    from = MIN(from, 1000000 * NS_PER_S); /* keeps the product within 128 bits */
    return now_is.base_tsc + (u64)((unsigned __int128)from * now_is.hz / NS_PER_S) + 1;
}

static void rate_set(u64 hz) {
    u64 tsc = tsc_read(), base = now_is.base_tsc;
    u64 ns = now_is.base_ns + scaled(tsc > base ? tsc - base : 0, now_is.scale);
    irq_state_t before = irq_save();
    __atomic_store_n(&now_is.version, now_is.version + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    now_is.base_tsc = tsc;
    now_is.base_ns = ns;
    now_is.hz = hz;
    now_is.scale = (NS_PER_S << 32) / hz; /* 1e9 * 2^32 < 2^62 */
    __atomic_store_n(&now_is.version, now_is.version + 1, __ATOMIC_RELEASE);
    irq_restore(before);
}

void clock_delay_us(u32 us) {
    u64 end = platform_clock_ns() + us * NS_PER_US;
    for (u32 i = 0; i < 50 * us + 1000 && platform_clock_ns() < end; i++) cpu_pause();
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* A reference timer counts up, modulo 2^bits, at hz; `read` takes some hundred ns. */
struct reference {
    const char *name;
    u64 (*read)(void);
    u64 hz;
    u32 bits;
};
static struct reference against;  /* what refinement measures with; read NULL: rate is exact */
static u64 mark_tsc, mark_count;  /* where the measurement began */
static u64 refine_at_ns;          /* when to look again */
static u16 pm_port;

static u64 read_lapic(void) { return 0xFFFFFFFFu - apic_timer_count(); }
static u64 read_pm(void) { return in32(pm_port) & 0xFFFFFF; }
static u64 read_pit(void) {
    out8(0x43, 0x80); /* latch channel 2 */
    u32 low = in8(0x42);
    return (0xFFFFu - (low | (u32)in8(0x42) << 8)) & 0xFFFF;
}

/* One simultaneous reading: of a few, the one with the least time around it. */
static void read_both(u64 *tsc, u64 *count) {
    u64 best = ~0ull;
    for (int i = 0; i < 4; i++) {
        u64 before = tsc_read(), c = against.read(), after = tsc_read();
        if (after - before >= best) continue;
        best = after - before;
        *tsc = before + best / 2;
        *count = c;
    }
}

static u64 counted(u64 from, u64 to) { return (to - from) & ((1ull << against.bits) - 1); }

/* Runs for a moment; 0: the reference stands still, or the answer makes no sense. */
static u64 measure(struct reference r) {
    against = r;
    u64 enough = r.hz * FIRST_LOOK_US / 1000000, tsc = 0, count = 0;
    read_both(&mark_tsc, &mark_count);
    for (u32 i = 0; i < 20000; i++) {
        if (counted(mark_count, count = r.read()) >= enough) break;
        cpu_pause();
    }
    read_both(&tsc, &count);
    u64 ticks = counted(mark_count, count);
    if (ticks < enough / 2) return 0;
    u64 hz = (u64)((unsigned __int128)(tsc - mark_tsc) * r.hz / ticks);
    if (hz < 10000000 || hz > 20000000000ull) return 0;
    source = r.name;
    return hz;
}

/* The LAPIC timer is busy with deadlines later on, so under QEMU and KVM refinement has no free
 * counter except the PM timer or the PIT; each look doubles the base line until it is 16 s. */
void clock_refine(void) {
    if (!refine_at_ns || platform_clock_ns() < refine_at_ns) return;
    u64 tsc = 0, count = 0;
    read_both(&tsc, &count);
    u64 ticks = counted(mark_count, count);
    u64 guess = (u64)((unsigned __int128)(tsc - mark_tsc) * against.hz / now_is.hz);
    u64 period = 1ull << against.bits;
    u64 wraps = (guess + period / 2 - ticks) / period; /* whole turns, by the present rate */
    if (guess + period / 2 < ticks) wraps = 0;
    u64 hz =
        (u64)((unsigned __int128)(tsc - mark_tsc) * against.hz / (wraps * period + ticks + !ticks));
    bool sane = hz > now_is.hz - now_is.hz / 20 && hz < now_is.hz + now_is.hz / 20;
    if (sane) rate_set(hz);
    u64 up = platform_clock_ns();
    refine_at_ns = up < 16 * NS_PER_S && sane ? 2 * up : 0;
}

static u64 rate_from_cpuid(void) {
    u32 top = cpuid_read(0, 0).a;
    if (cpu_has.hypervisor && cpuid_read(0x40000000, 0).a >= 0x40000010) {
        source = "hypervisor";
        u64 khz = cpuid_read(0x40000010, 0).a;
        if (khz) return khz * 1000;
    }
    struct cpuid r = top >= 0x15 ? cpuid_read(0x15, 0) : (struct cpuid){0};
    source = "cpuid";
    if (r.a && r.b && r.c) return (u64)r.c * r.b / r.a;
    u64 mhz = top >= 0x16 && !cpu_has.hypervisor ? cpuid_read(0x16, 0).a & 0xFFFF : 0;
    return mhz * 1000000;
}

static u64 rate_from_kvm(void) {
    if (!cpu_has.kvm || !(cpu_has.kvm_features & 1u << 3)) return 0;
    msr_write(MSR_KVM_SYSTEM_TIME, (u64)&pv | 1);
    fence_full();
    u64 scale = pv.scale;
    int shift = pv.shift;
    msr_write(MSR_KVM_SYSTEM_TIME, 0);
    if (!scale || shift < -31 || shift > 31) return 0;
    source = "kvm-clock";
    u64 hz = (NS_PER_S << 32) / scale;
    return shift < 0 ? hz << -shift : hz >> shift;
}

static void pit_free_run(void) {
    out8(0x61, (u8)((in8(0x61) & ~2) | 1)); /* gate on, speaker off */
    out8(0x43, 0xB4);                       /* channel 2, both bytes, rate generator */
    out8(0x42, 0xFF);
    out8(0x42, 0xFF);
}

static u64 rate_measured(void) {
    u64 hz = 0;
    pm_port = acpi_pm_timer_port();
    if (cpu_has.tcg || cpu_has.kvm) {
        apic_timer_free_run();
        hz = measure((struct reference){"lapic", read_lapic, LAPIC_QEMU_HZ / 16, 32});
    }
    struct reference slow = {"pm-timer", read_pm, PM_TIMER_HZ, 24};
    if (!pm_port) {
        pit_free_run();
        slow = (struct reference){"pit", read_pit, PIT_HZ, 16};
    }
    if (!hz) return measure(slow);
    against = slow; /* only begin: refinement finds out whether it counts */
    read_both(&mark_tsc, &mark_count);
    return hz;
}

static void apic_rate_measure(u64 tsc_hz) {
    if (cpu_has.tcg || cpu_has.kvm) return;
    apic_timer_free_run();
    u64 t0 = tsc_read(), c0 = read_lapic();
    while (tsc_read() - t0 < tsc_hz / 5000) cpu_pause();
    u64 t1 = tsc_read(), c1 = read_lapic();
    if (c1 > c0) apic_hz = (u64)((unsigned __int128)(c1 - c0) * 16 * tsc_hz / (t1 - t0));
}

void clock_start(void) {
    now_is.base_tsc = boot_tsc;
    u64 hz = rate_from_kvm();
    if (!hz) hz = rate_from_cpuid();
    if (!hz) {
        hz = rate_measured();
        if (hz) refine_at_ns = 20 * NS_PER_MS;
    }
    if (!hz) {
        log_warn("clock", "no timer to measure the TSC with; taking it for 1 GHz");
        source = "guess";
        hz = NS_PER_S;
    }
    rate_set(hz);
    now_is.base_tsc = boot_tsc; /* the first instruction is zero on this clock */
    now_is.base_ns = 0;
    apic_rate_measure(hz);
    apic_timer_stop();
}

/* ---- Wall time ------------------------------------------------------------------------------- */

static u8 cmos_read(u8 reg) {
    out8(0x70, 0x80 | reg); /* NMI stays off while we look */
    return in8(0x71);
}
static u32 from_bcd(u32 v) { return (v & 15) + (v >> 4) * 10; }

/* Days since 1970-01-01 of a civil date (Howard Hinnant's algorithm). */
static u64 days_of(u32 y, u32 m, u32 d) {
    y -= m <= 2;
    u32 era = y / 400, yoe = y - era * 400;
    u32 doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
    return (u64)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static u64 wall_from_cmos(void) {
    static const u8 regs[] = {0, 2, 4, 7, 8, 9, 0x32}; /* s m h day month year century */
    u32 v[7], again[7];
    for (int tries = 0; tries < 3; tries++) {
        for (int i = 0; i < 1000 && (cmos_read(10) & 0x80); i++) cpu_pause();
        for (int i = 0; i < 7; i++) v[i] = cmos_read(regs[i]);
        for (int i = 0; i < 7; i++) again[i] = cmos_read(regs[i]);
        if (!memcmp(v, again, sizeof v)) break;
    }
    u8 mode = cmos_read(11);
    bool pm = v[2] & 0x80;
    v[2] &= 0x7F;
    if (!(mode & 4))
        for (int i = 0; i < 7; i++) v[i] = from_bcd(v[i]);
    if (!(mode & 2)) v[2] = v[2] % 12 + (pm ? 12 : 0);
    u32 year = v[5] + (v[6] >= 20 && v[6] < 30 ? v[6] * 100 : 2000);
    bool sane = v[0] < 61 && v[1] < 60 && v[2] < 24 && v[3] >= 1 && v[3] <= 31 && v[4] >= 1 &&
                v[4] <= 12 && v[5] < 100;
    if (!sane) return 0;
    return (days_of(year, v[4], v[3]) * 86400 + v[2] * 3600 + v[1] * 60 + v[0]) * NS_PER_S;
}

static u64 wall_from_kvm(void) {
    static struct pvwall w __attribute__((aligned(16)));
    if (!cpu_has.kvm || !(cpu_has.kvm_features & 1u << 3)) return 0;
    msr_write(MSR_KVM_SYSTEM_TIME, (u64)&pv | 1);
    msr_write(MSR_KVM_WALL_CLOCK, (u64)&w);
    fence_full();
    u64 ticks = tsc_read() - pv.tsc; /* host uptime now = pv.ns + scaled ticks */
    ticks = pv.shift < 0 ? ticks >> -pv.shift : ticks << pv.shift;
    u64 up = pv.ns + scaled(ticks, pv.scale);
    msr_write(MSR_KVM_SYSTEM_TIME, 0);
    return w.seconds ? w.seconds * NS_PER_S + w.ns + up : 0;
}

void platform_wall_set(u64 utc_ns) {
    wall_asked = true;
    wall_offset_ns = (s64)(utc_ns - platform_clock_ns());
}

u64 platform_wall_ns(void) {
    if (!wall_asked) { /* asked for late: reading the CMOS takes many port accesses */
        u64 wall = wall_from_kvm();
        if (!wall) wall = wall_from_cmos();
        if (wall) platform_wall_set(wall);
        wall_asked = true;
    }
    return wall_offset_ns ? platform_clock_ns() + (u64)wall_offset_ns : 0;
}
