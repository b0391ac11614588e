/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c — the loop's sleep: one ppoll over the descriptors of console and network, and one
 * eventfd for everything that comes from other threads and from signals.
 *
 *   disk threads, workers, SIGTERM -> host_raise: bits |= ..., eventfd -> ppoll ends -> bits taken
 *
 * Always true: a bit raised before or during the sleep is returned by this sleep or the next; the
 * eventfd is written only by whoever finds no bit set, so a burst costs one system call. */
#include "kernel/host/host_impl.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int event_fd = -1;
static u32 raised;            /* WAIT_* bits from elsewhere */
static struct host_poll gathered;
static u64 size_checked_ns;
#define SIZE_CHECK_NS NS_PER_S /* how soon a disk file that grew is noticed */

void host_raise(u32 wait_bits) {
    int saved = errno;
    u32 before = __atomic_fetch_or(&raised, wait_bits, __ATOMIC_SEQ_CST);
    if (before == 0 && event_fd >= 0) {
        u64 one = 1;
        ssize_t wrote = write(event_fd, &one, sizeof one);
        (void)wrote; /* full means that a wake is waiting already */
    }
    errno = saved;
}

u32 host_raised_take(void) { return __atomic_exchange_n(&raised, 0, __ATOMIC_SEQ_CST); }

void platform_loop_wake(void) { host_raise(WAIT_WAKE); }

static void on_stop_signal(int number) {
    static volatile sig_atomic_t asked;
    if (asked++ >= 2) { /* somebody insists */
        host_console_restore();
        _exit(128 + number);
    }
    host_raise(WAIT_POWER);
}

void host_wait_start(void) {
    event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event_fd < 0) host_refuse("no eventfd: %s", strerror(errno));
    struct sigaction stop = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

int host_poll_add(struct host_poll *p, int fd, short events) {
    if (p->count == p->room) {
        u32 room = p->room ? p->room * 2 : 64;
        struct pollfd *grown = realloc(p->fds, room * sizeof *grown);
        if (!grown) return -1;
        p->fds = grown;
        p->room = room;
    }
    p->fds[p->count] = (struct pollfd){.fd = fd, .events = events};
    return (int)p->count++;
}

/* One look at every descriptor, sleeping until `deadline_ns` at most. */
static u32 sleep_once(u64 deadline_ns) {
    struct host_poll *p = &gathered;
    p->count = 0;
    p->deadline_ns = deadline_ns;
    int own = host_poll_add(p, event_fd, POLLIN);
    host_console_poll(p);
    host_nic_poll(p);
    u64 now = deadline_ns ? host_real_ns() : 0;
    u64 sleep_ns = p->deadline_ns > now ? p->deadline_ns - now : 0;
    if (__atomic_load_n(&raised, __ATOMIC_SEQ_CST)) sleep_ns = 0;
    struct timespec span = {(time_t)(sleep_ns / NS_PER_S), (long)(sleep_ns % NS_PER_S)};
    int ready = ppoll(p->fds, p->count, &span, NULL);
    if (ready < 0) /* a signal: nothing was looked at */
        for (u32 i = 0; i < p->count; i++) p->fds[i].revents = 0;
    if (own >= 0 && p->fds[own].revents) {
        u64 count;
        ssize_t got = read(event_fd, &count, sizeof count);
        (void)got;
    }
    u32 bits = host_raised_take();
    return bits | host_console_polled(p) | host_nic_polled(p);
}

u32 platform_wait(u64 deadline_ns) {
    if (host_sim) return host_sim->wait(deadline_ns);
    for (;;) {
        u64 until = deadline_ns;
        if (until) until = MIN(until, host_real_ns() + SIZE_CHECK_NS);
        u32 bits = sleep_once(until);
        u64 now = host_real_ns();
        if (now - size_checked_ns >= SIZE_CHECK_NS) {
            size_checked_ns = now;
            bits |= host_disks_check_size();
        }
        if (bits || deadline_ns <= now) return bits;
    }
}
