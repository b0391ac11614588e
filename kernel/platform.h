/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h — THE SEAM: every call a machine must offer. Two machines offer it:
 * kernel/guest (bare x86_64, virtio) and kernel/host (a Linux process, or seeded simulated
 * devices). Everything above is the same source on both. `app_main` is the only call upward.
 *
 * Threads: the *loop* runs on the boot core and owns all devices; *workers* run only jobs.
 * Unless a comment says "any thread", a call MUST be made on the loop. */
#pragma once
#include "kernel/base/base.h"

/* ---- Start ------------------------------------------------------------------------------- */

/* What the machine knows at start. All strings live for ever. */
struct boot_info {
    str command_line;       /* kernel command line or process arguments; may be empty */
    str config_json;        /* QEMU fw_cfg opt/org.openpolicy/config or --config; may be empty */
    str machine;            /* "microvm", "q35", "pc", "host", "sim" ... */
    u64 memory_bytes;       /* RAM of the machine (host: the limit given or 256 MiB) */
    u64 heap_bytes;         /* what malloc can hand out in all */
    u64 first_instruction_ns; /* on the platform clock */
    u64 vmm_start_ns;       /* wall clock, UTC since 1970; 0 = unknown */
    bool test;              /* a test harness watches: panic exits instead of resetting */
};
void app_main(const struct boot_info *boot); /* runs on the loop's own stack; does not return */

/* ---- Time, entropy, console ---------------------------------------------------------------- */

u64 platform_clock_ns(void);        /* any thread; monotonic, 0 at first instruction */
u64 platform_wall_ns(void);         /* any thread; UTC since 1970; 0 = the machine has no idea */
void platform_wall_set(u64 utc_ns); /* steps the wall clock (SNTP); never the monotonic one */
/* Any thread. Fills `to` with bytes fit for keys. RC_IO: no trustworthy source; make no keys. */
rc_t platform_entropy(void *to, size_t n);
void platform_console_put(str bytes); /* any thread; best effort, never fails, never parks */
/* A panic's: the console too, and wherever else this machine's operator looks; waits for a slow
 * reader, some seconds in all. */
void platform_last_words(str bytes);
int platform_console_get(void);       /* next byte typed, -1: nothing */

/* ---- Network ------------------------------------------------------------------------------- */

enum { NIC_CSUM_TX = 1, NIC_CSUM_RX = 2 }; /* offloads in force */
enum { NIC_RX_CSUM_OK = 1 };               /* the device vouches for the L4 checksum */
struct nic_info {
    u8 mac[6];
    u16 mtu;      /* bytes of L3 payload */
    u32 offloads; /* NIC_CSUM_* */
};
struct nic_tx {
    const str *parts; /* the Ethernet frame in pieces, in order */
    u32 count;        /* 1..NIC_TX_PARTS_MAX */
    u16 csum_start;   /* with csum: first byte covered, from the frame's start */
    u16 csum_offset;  /* with csum: where the 16-bit sum goes, from csum_start */
    bool csum;        /* the device completes the checksum (needs NIC_CSUM_TX) */
};
#define NIC_TX_PARTS_MAX 18u
#define NIC_FRAME_MAX 1518u

u32 platform_nic_count(void);
rc_t platform_nic_open(u32 nic, struct nic_info *out);
bool platform_nic_up(u32 nic); /* link state */
/* Copies or takes the bytes before it returns. RC_AGAIN: ring full, frame not taken. */
rc_t platform_nic_send(u32 nic, const struct nic_tx *frame);
void platform_nic_kick(u32 nic); /* one doorbell after a batch of sends */
/* One frame into `to`. RC_AGAIN: none waiting (and the next one will raise WAIT_NIC). */
rc_t platform_nic_recv(u32 nic, void *to, size_t room, size_t *out_len, u32 *out_flags);

/* ---- Disk ---------------------------------------------------------------------------------- */

struct disk_info {
    u64 block_count; /* in blocks of block_bytes */
    u32 block_bytes; /* 512 or 4096 */
    u32 op_bytes_max; /* largest single transfer */
    bool read_only;
    bool volatile_cache; /* a flush means something; false: every write is durable at once */
    bool discard;
    char serial[21]; /* NUL-ended, may be empty */
};
enum disk_verb { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD };
struct disk_op { /* owned by the caller, untouched by it from submit until done */
    enum disk_verb verb;
    rc_t rc;   /* set at completion: RC_OK, RC_IO, RC_FULL (ENOSPC), RC_DENIED (read-only) */
    u64 block; /* first block */
    u32 count; /* blocks; 0 for flush */
    void *data; /* count * block_bytes, 16-byte aligned (512 preferred); NULL for flush/discard */
    void (*done)(struct disk_op *op); /* called on the loop from platform_disk_poll */
    void *arg;                        /* the caller's */
    struct disk_op *next;             /* the driver's while in flight */
};
u32 platform_disk_count(void);
rc_t platform_disk_open(u32 disk, struct disk_info *out); /* again after WAIT_DISK_SIZE */
/* RC_AGAIN: queue full, try after a completion. A flush covers every write completed before it
 * was submitted. Completion order is the device's. */
rc_t platform_disk_submit(u32 disk, struct disk_op *op);
void platform_disk_kick(u32 disk);
void platform_disk_poll(u32 disk); /* runs done() for what has completed */

/* ---- Waiting, ending ----------------------------------------------------------------------- */

enum {
    WAIT_NIC = 1,        /* frames came, or a full send ring has room */
    WAIT_DISK = 2,       /* operations completed */
    WAIT_CONSOLE = 4,    /* bytes typed */
    WAIT_WAKE = 8,       /* platform_loop_wake was called */
    WAIT_POWER = 16,     /* power button, SIGTERM: stop cleanly */
    WAIT_DISK_SIZE = 32, /* a disk changed its size */
    WAIT_LINK = 64,      /* a link went up or down */
};
/* Sleeps (HLT) until a device has work or the clock reaches deadline_ns; 0 = only look. On a
 * machine with one core this is where workers run; they are preempted when it has to return. */
u32 platform_wait(u64 deadline_ns);
void platform_loop_wake(void); /* any thread */

#define PLATFORM_EXIT_RESET (-1) /* restart the machine; the host process exits with 75 */
void platform_exit(int status) NORETURN; /* 0: power off */

/* ---- Workers and locks ----------------------------------------------------------------------- */

u32 platform_worker_count(void); /* other cores, at least 1, at most WORKER_MAX */
rc_t platform_worker_start(u32 worker, void (*entry)(void *arg), void *arg);
void platform_worker_park(u32 worker); /* on that worker: until woken since the last return */
void platform_worker_wake(u32 worker); /* any thread */

/* Any thread. For a few dozen instructions of shared state between loop and workers; the holder
 * is not preempted by the loop. Never held across a call that waits. Zero-initialised. */
struct platform_lock {
    u32 word;
};
void platform_lock(struct platform_lock *lock);
void platform_unlock(struct platform_lock *lock);
u32 platform_thread(void); /* any thread: 0 = the loop, 1 + worker otherwise */

/* ---- Memory ---------------------------------------------------------------------------------- */

/* A stack for a fiber: lowest usable byte; the page below is unmapped. NULL: no memory.
 * Bytes: a multiple of 4096. Stacks are never given back; pools reuse them. */
void *platform_stack(size_t bytes);
u64 platform_memory_used(void); /* image + tables + heap in use, bytes */

/* ---- Last words ------------------------------------------------------------------------------ */

/* Called by panic() once: registers and symbolised backtrace through `put`, callable anywhere. */
void platform_backtrace(void (*put)(str));
/* Write at most one record synchronously, polling, with everything else stopped. Best effort. */
rc_t platform_disk_emergency_write(u32 disk, u64 block, const void *data, u32 count);
/* Ends the machine after a panic: reset, or a non-zero exit under test. */
void platform_die(void) NORETURN;
