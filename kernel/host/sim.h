/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h — a seeded machine for tests: clock, disks, wire and workers that behave, and misbehave,
 * the same way each time the same seed is given. It takes the place of the real devices below
 * kernel/platform.h; everything above runs unchanged.
 *
 *   sim_start(&(struct sim_options){.seed = 7, .disk_count = 1, .disk_bytes = MIB(16)});
 *   memory_init(MIB(200)); loop_init(); fiber_init(16); worker_init(); disk_init();
 *   fiber_start("test", my_test, NULL, NULL);    my_test: disk_write(...), ..., loop_stop()
 *   loop_run();                                  time jumps from event to event: no waiting
 *   for (u64 k = 0; k < sim_disk_log_count(0); k++) {
 *       sim_disk_state(0, k, SIM_TORN, k, image);  what a power cut after entry k may leave
 *       ...
 *   }
 *
 * Statics of the code under test outlive a crash inside one process; sim_life() runs one life of
 * the machine in a forked child instead. Disks, their log and the clock lie in shared memory, so
 * the parent sees what the child's life did, and the next life boots from it.
 *
 * Virtual time moves only in platform_wait: to the next event, or 1 us when there is work. Asking
 * to sleep for ever with nothing to come is a panic: somebody lost a wake. */
#pragma once
#include "kernel/platform.h"

struct sim_options {
    u64 seed;
    u32 disk_count;      /* <= DISK_MAX */
    u64 disk_bytes;      /* each; all zero at first */
    u32 block_bytes;     /* 512 if 0, or 4096 */
    u32 op_bytes_max;    /* 64 KiB if 0 */
    bool write_through;  /* no volatile cache: every write is durable when it completes */
    u64 disk_ns_min, disk_ns_max; /* latency; 20..200 us if both 0 */
    u32 queue_max;       /* operations in flight; DISK_QUEUE_MAX if 0 */
    u32 nic_count;       /* 0 or 1 */
    u32 worker_count;    /* 1 if 0 */
    u64 wall_ns;         /* UTC at the start; 2026-01-01 if 0; SIM_NO_WALL: it has no idea */
    u64 log_bytes_max;   /* room for logged writes: 256 MiB if 0 (address space, used as needed) */
};
#define SIM_NO_WALL UINT64_MAX
void sim_start(const struct sim_options *options); /* may be called again: a new machine */
void sim_stop(void);                               /* back to the real machine */
u64 sim_random(u64 below);                         /* the test's own stream; 0 <= n < below */
u64 sim_trace_hash(void); /* over every event so far: equal seeds must give equal hashes */
void sim_at(u64 clock_ns, void (*fn)(void *arg), void *arg); /* calls fn inside platform_wait */
void sim_wall_step(s64 ns);                        /* NTP, an operator, a resumed snapshot */
void sim_entropy_fails(bool fails);                /* platform_entropy answers RC_IO */
void sim_power_button(void);                       /* WAIT_POWER */

/* One life of the machine in a child process, at most `seconds` of real time. Returns its exit
 * status, SIM_CUT after sim_disk_cut_at's moment, or 128 + signal. What is in flight is lost. */
#define SIM_CUT 99
int sim_life(void (*life)(void *arg), void *arg, u32 seconds);
void sim_end_life(int status) NORETURN; /* inside: ends it at once, as returning does with 0 */

/* ---- Disk ------------------------------------------------------------------------------------ */

/* The nth operation of a kind from now (1: the next) fails with rc, with for_ever all after it. */
void sim_disk_fail(u32 disk, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever);
/* Bad sectors: one range per kind; count 0 clears. */
void sim_disk_fail_range(u32 disk, enum disk_verb verb, u64 block, u64 count, rc_t rc);
void sim_disk_full(u32 disk, bool full);           /* writes answer RC_FULL */
void sim_disk_stall(u32 disk, u64 ns);             /* nothing completes for so long */
void sim_disk_lie(u32 disk, bool lie);             /* flushes answer RC_OK and do nothing */
void sim_disk_misdirect(u32 disk, u64 nth);        /* the nth write from now lands elsewhere */
void sim_disk_rot(u32 disk, u64 byte, u8 flip);    /* flips bits of what is stored */
void sim_disk_read_only(u32 disk, bool on);
void sim_disk_resize(u32 disk, u64 bytes);         /* <= at start; raises WAIT_DISK_SIZE */
u8 *sim_disk_bytes(u32 disk);                      /* what a read would see now */
void sim_disk_load(u32 disk, const u8 *image);     /* replaces all content; empties the log */

/* The log of completed operations. */
struct sim_disk_entry {
    enum disk_verb verb; /* never DISK_READ */
    u64 block;
    u32 count;
    u64 covers;          /* flush: the entries below this index were made durable by it */
    u64 data_at;         /* write: where its bytes lie, for sim_disk_entry_data */
    u64 clock_ns;
};
u64 sim_disk_log_count(u32 disk);
const struct sim_disk_entry *sim_disk_log(u32 disk, u64 index);
const u8 *sim_disk_entry_data(const struct sim_disk_entry *entry);
u64 sim_disk_flush_count(u32 disk); /* that did something: a test with none proves nothing */

/* What a cut after the first `entries` log entries may leave: all that flushes made durable, and of
 * the rest: */
enum sim_tear {
    SIM_NONE,     /* nothing */
    SIM_ALL,      /* everything */
    SIM_TORN,     /* each 512-byte sector of each write by the toss of a coin */
    SIM_REVERSED, /* everything, the later writes first: the earlier of two overlapping ones wins */
    /* of each write the sectors from some one on: its end came before its beginning */
    SIM_TAIL,
    SIM_SUBSET,   /* write i when bit i of `seed` is set: for all subsets of up to 64 */
};
u32 sim_disk_open_writes(u32 disk, u64 entries);   /* how many "of the rest" there are */
void sim_disk_state(u32 disk, u64 entries, enum sim_tear tear, u64 seed, u8 *image);
void sim_disk_cut(u32 disk, u64 seed); /* now: content becomes a torn state, log empties */
/* This life ends (exit status SIM_CUT) when its nth write or flush would complete; that one may
 * arrive in part. Inside sim_life only. */
void sim_disk_cut_at(u32 disk, u64 nth);

/* ---- Wire ------------------------------------------------------------------------------------ */

struct sim_wire { /* chances in 1/1000 per frame, each way */
    u32 loss, duplicate, reorder, corrupt, truncate;
    u64 delay_ns_min, delay_ns_max;
};
void sim_wire_set(const struct sim_wire *to_appliance, const struct sim_wire *from_appliance);
/* Who listens at the other end. */
void sim_wire_peer(void (*frame)(void *arg, const u8 *bytes, size_t n), void *arg);
void sim_wire_send(const void *bytes, size_t n);   /* from the peer to the appliance */
void sim_wire_link(bool up);                       /* raises WAIT_LINK */
void sim_wire_block(bool blocked);                 /* the send ring is full: RC_AGAIN */
struct sim_wire_stats {
    u64 in, out, lost, duplicated, reordered, corrupted, truncated, overflowed;
};
void sim_wire_stats_get(struct sim_wire_stats *out);
