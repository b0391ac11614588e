/* SPDX-License-Identifier: Apache-2.0 */
/* start.c — from the first C function to app_main, in the order of need:
 *
 *   thread-local memory and a first canary | console | what the loader said | memory | page tables
 *   | traps | VMM's files | ACPI | interrupt controllers | clock | entropy | devices | app_main
 *
 * Nothing here waits for a device longer than it must: this path is most of the boot time. */
#include "kernel/guest/guest.h"
#include "kernel/guest/words.h"
#include "kernel/guest/virtio/devices.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

#define NO_CANARY __attribute__((no_stack_protector))
enum { CONFIG_BYTES_MAX = 262144 };

struct cpu_features cpu_has SEALED;
bool under_test SEALED;
uintptr_t __stack_chk_guard = 0;
static struct handoff handoff;
static str config_json;

extern void (*init_array_start[])(void);
extern void (*init_array_end[])(void);

void selftest(str command_line) __attribute__((weak)); /* tests/guest: only in images for tests */
NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void) { panic("A stack frame was overwritten (stack canary)."); }

/* Low byte zero: a string that runs over cannot reproduce it. */
static inline __attribute__((always_inline)) void canary_set(u64 v) {
    __stack_chk_guard = (uintptr_t)(v & ~0xFFull);
}

static void cpu_identify(void) {
    struct cpuid basic = cpuid_read(1, 0), more = cpuid_read(7, 0), ext = cpuid_read(0x80000001, 0);
    if (cpuid_read(0, 0).a < 7) more = (struct cpuid){0};
    cpu_has.rdrand = basic.c >> 30 & 1;
    cpu_has.x2apic = basic.c >> 21 & 1;
    cpu_has.tsc_deadline = basic.c >> 24 & 1;
    cpu_has.hypervisor = basic.c >> 31 & 1;
    cpu_has.smep = more.b >> 7 & 1;
    cpu_has.smap = more.b >> 20 & 1;
    cpu_has.rdseed = more.b >> 18 & 1;
    cpu_has.umip = more.c >> 2 & 1;
    cpu_has.nx = ext.d >> 20 & 1;
    cpu_has.page_1g = ext.d >> 26 & 1;
    if (!cpu_has.hypervisor) return;
    struct cpuid h = cpuid_read(0x40000000, 0);
    cpu_has.kvm = h.b == 0x4B4D564B;  /* "KVMK" */
    cpu_has.tcg = h.b == 0x54474354;  /* "TCGT" */
    if (cpu_has.kvm) cpu_has.kvm_features = cpuid_read(0x40000001, 0).a;
}

/* boot.S maps the first 4 GiB; address 0 is no place for anything of ours. */
static const void *early_view(u64 phys, size_t n) {
    bool ok = phys && n <= 1ull << 32 && phys <= (1ull << 32) - n;
    return ok ? (const void *)phys : NULL;
}

static void handoff_read(u32 magic, u64 info) {
    rc_t rc = handoff_pvh(early_view, info, &handoff);
    if (rc == RC_PASS && magic == MULTIBOOT2_MAGIC) {
        rc = handoff_multiboot2(early_view, info, &handoff);
        /* GRUB hands over a copy of the ACPI root in its own memory: keep ours. */
        static u8 rsdp[36] __attribute__((aligned(16)));
        if (!rc && handoff.rsdp) {
            memcpy(rsdp, (const void *)handoff.rsdp, sizeof rsdp);
            handoff.rsdp = (u64)rsdp;
        }
    }
    if (rc) panic("The loader's information is missing or broken: %s.", rc_name(rc));
}

static str option(str key) {
    return words_value((str){handoff.command_line, handoff.command_line_bytes}, key);
}

static void constructors_run(void) {
    for (void (**fn)(void) = init_array_start; fn < init_array_end; fn++) (*fn)();
}

static void machine_start(u32 magic, u64 info) {
    serial_start();
    handoff_read(magic, info);
    bool qemu = fwcfg_start();
    if (!handoff.rsdp && (!qemu || fwcfg_has(S("etc/acpi/rsdp"))))
        handoff.rsdp = handoff_find_rsdp(early_view);
    ram_start(&handoff);
    page_start(&handoff);
    trap_start();
    if (qemu &&
        fwcfg_file(S("opt/org.openpolicy/config"), CONFIG_BYTES_MAX, &config_json) == RC_LIMIT)
        log_error("boot", "the configuration file is too long and was ignored", "bytes_max=%d",
                  CONFIG_BYTES_MAX);
    under_test = qemu && debug_exit_start();
    if (str_eq(option(S("test=")), S("1"))) under_test = true;
    acpi_start(handoff.rsdp);
    apic_start();
    clock_start();
    entropy_start();
    smp_start();
    pci_start();
    virtio_mmio_start((str){handoff.command_line, handoff.command_line_bytes});
    rng_seed();
    serial_interrupts_on();
    acpi_button_on();
    constructors_run();
}

static str machine_or_kvm(void) {
    str name = machine_name();
    return name.len ? name : cpu_has.kvm ? S("kvm") : S("unknown");
}

NO_CANARY NORETURN void start(u32 magic, u64 info);
NO_CANARY void start(u32 magic, u64 info) {
    cpu_identify();
    canary_set(entropy_early());
    tls_start();
    machine_start(magic, info);
    u64 canary = entropy_early();
    if (platform_entropy(&canary, sizeof canary)) canary ^= entropy_early();
    canary_set(canary);
    u64 vmm_start_ns = 0;
    if (str_to_u64(option(S("vmm_start_ns=")), &vmm_start_ns)) vmm_start_ns = 0;
    static struct boot_info boot;
    boot = (struct boot_info){
        .command_line = {handoff.command_line, handoff.command_line_bytes},
        .config_json = config_json,
        .machine = machine_or_kvm(),
        .memory_bytes = ram_bytes(),
        .heap_bytes = ram_heap_bytes(),
        .first_instruction_ns = 0,
        .vmm_start_ns = vmm_start_ns,
        .test = under_test,
    };
    page_seal(true);
    if (selftest) selftest(boot.command_line);
    app_main(&boot);
    panic("app_main returned");
}
