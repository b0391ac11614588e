/* SPDX-License-Identifier: Apache-2.0 */
/* host_impl.h — what the files of kernel/host tell each other and nobody else.
 *
 * Three kinds of device have more than one back end (a real one and a simulated one, or several
 * real ones); each is a small table of functions, chosen before app_main runs. */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* ppoll, accept4, fallocate: this row is Linux. Include this header first. */
#endif
#include "kernel/platform.h"
#include <poll.h>

/* ---- main.c: what was asked for -------------------------------------------------------------- */

struct host_options {
    const char *disks[4]; /* files; DISK_MAX */
    u32 disk_count;
    u64 disk_bytes; /* of a file that has to be made; 0: HOST_DISK_BYTES */
    const char *config_file;
    const char *net; /* "user", "tap:NAME", "stream:PATH", "none" */
    int https_port, http_port, resp_port; /* on 127.0.0.1, for --net user; 0: none */
    u32 memory_mib, cpus;
    const char *command_line;
    bool test;
};
extern struct host_options host_options;
#define HOST_DISK_BYTES (1ull << 30)
#define EXIT_BROKEN 134 /* after a panic, under --test: as if aborted */
#define EXIT_RESET 75   /* asked to be started again */
#define EXIT_USAGE 64

/* Says one line on standard error and exits with EXIT_USAGE: wrong flags, missing files. */
void host_refuse(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/* ---- wait.c: everything that can end the loop's sleep ---------------------------------------- */

void host_wait_start(void);     /* before any thread exists */
void host_raise(u32 wait_bits); /* any thread, signal handlers too: ends the sleep */
u32 host_raised_take(void);     /* the bits raised so far, for a simulated sleep */

/* The descriptors of one sleep, gathered anew for each. */
struct host_poll {
    struct pollfd *fds;
    u32 count, room;
    u64 deadline_ns; /* a back end may bring it forward */
};
int host_poll_add(struct host_poll *p, int fd, short events); /* its index; -1: no memory */

/* ---- console.c, disk.c, clock.c -------------------------------------------------------------- */

void host_console_start(void);
void host_console_restore(void); /* the terminal as it was; callable in a signal handler */
void host_console_poll(struct host_poll *p);
u32 host_console_polled(struct host_poll *p); /* WAIT_* bits */

void host_clock_start(void);
u64 host_real_ns(void); /* the machine's clock even when the platform's is simulated */

void host_disks_start(void);
void host_disks_stop(void); /* waits for what is in flight, closes */
u32 host_disks_check_size(void); /* WAIT_DISK_SIZE when a file grew or shrank */

/* worker.c: a detached thread that leaves signals to the loop; who is running, for coroutines. */
rc_t host_thread_start(void *(*entry)(void *), void *arg);
void host_thread_set(u32 thread);

/* ---- Network back ends ----------------------------------------------------------------------- */

struct host_nic {
    const char *name;
    rc_t (*open)(const char *argument, struct nic_info *out);
    bool (*up)(void);
    rc_t (*send)(const u8 *frame, size_t n); /* RC_AGAIN: no room now */
    rc_t (*recv)(void *to, size_t room, size_t *out_len);
    void (*poll)(struct host_poll *p);   /* adds descriptors, brings the deadline forward */
    u32 (*polled)(struct host_poll *p);  /* looks at them; WAIT_* bits */
};
extern const struct host_nic host_nic_user, host_nic_tap, host_nic_stream;
void host_nic_start(const char *net);
void host_nic_poll(struct host_poll *p);
u32 host_nic_polled(struct host_poll *p);

/* ---- crash.c --------------------------------------------------------------------------------- */

void host_crash_start(void);        /* signal handlers; symbols */
void host_crash_thread_start(void); /* a stack to die on, per thread */

/* ---- A simulated machine in place of the real one; sim.c fills it in ------------------------- */

struct host_sim {
    u64 (*clock_ns)(void);
    u64 (*wall_ns)(void);
    void (*wall_set)(u64 utc_ns);
    rc_t (*entropy)(void *to, size_t n);
    u32 (*wait)(u64 deadline_ns);
    u32 (*worker_count)(void);
    rc_t (*worker_start)(u32 worker, void (*entry)(void *arg), void *arg);
    void (*worker_park)(u32 worker);
    void (*worker_wake)(u32 worker);
    u32 (*disk_count)(void);
    rc_t (*disk_open)(u32 disk, struct disk_info *out);
    rc_t (*disk_submit)(u32 disk, struct disk_op *op);
    void (*disk_poll)(u32 disk);
    rc_t (*disk_emergency)(u32 disk, u64 block, const void *data, u32 count);
    u32 (*nic_count)(void);
    rc_t (*nic_open)(u32 nic, struct nic_info *out);
    bool (*nic_up)(u32 nic);
    rc_t (*nic_send)(u32 nic, const u8 *frame, size_t n);
    rc_t (*nic_recv)(u32 nic, void *to, size_t room, size_t *out_len);
};
extern const struct host_sim *host_sim; /* NULL: the real machine */
