/* SPDX-License-Identifier: Apache-2.0 */
/* sim_impl.h — what sim.c, sim_disk.c and sim_wire.c share. Disks, log and clock lie in memory
 * that forked lives share with their parent; the wire and what is in flight belong to one life. */
#pragma once
#include "kernel/host/host_impl.h"
#include "kernel/host/sim.h"

enum sim_stream { SIM_RANDOM_TEST, SIM_RANDOM_DISK, SIM_RANDOM_WIRE, SIM_RANDOM_ENTROPY,
                  SIM_RANDOM_WORK, SIM_STREAMS };
/* One stream per purpose: a new draw in one never shifts another. */
u64 sim_draw(enum sim_stream stream, u64 below);
u64 sim_mix(u64 x); /* splitmix64's finisher: a number's own random number */
void sim_trace(u64 kind, u64 a, u64 b);
u64 sim_now_ns(void);
void *sim_shared_alloc(u64 bytes); /* zeroed pages, shared with children, gone at the next start */
extern struct sim_options sim_options;

/* sim_disk.c */
void sim_disk_start(void);
u64 sim_disk_next_ns(void);        /* when the next operation completes; UINT64_MAX: none */
u32 sim_disk_run(u64 now_ns);      /* completes what is due; WAIT_* bits */
void sim_disk_drop_in_flight(void);
u32 sim_disk_count(void);
rc_t sim_disk_open(u32 disk, struct disk_info *out);
rc_t sim_disk_submit(u32 disk, struct disk_op *op);
void sim_disk_poll(u32 disk);
rc_t sim_disk_emergency(u32 disk, u64 block, const void *data, u32 count);

/* sim_wire.c */
void sim_wire_start(void);
u64 sim_wire_next_ns(void);
u32 sim_wire_run(u64 now_ns);
u32 sim_nic_count(void);
rc_t sim_nic_open(u32 nic, struct nic_info *out);
bool sim_nic_up(u32 nic);
rc_t sim_nic_send(u32 nic, const u8 *frame, size_t n);
rc_t sim_nic_recv(u32 nic, void *to, size_t room, size_t *out_len);
