/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c — time and entropy from the kernel below.
 *
 * Always true: platform_clock_ns starts near 0 and never goes back; stepping the wall clock moves
 * an offset of our own and leaves the machine's clock alone. */
#include "kernel/host/host_impl.h"
#include <errno.h>
#include <sys/random.h>
#include <time.h>

const struct host_sim *host_sim;
static u64 start_ns;
static s64 wall_offset_ns; /* set by the loop, read by any thread */

static u64 read_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

void host_clock_start(void) { start_ns = read_clock(CLOCK_MONOTONIC); }

u64 host_real_ns(void) { return read_clock(CLOCK_MONOTONIC) - start_ns; }

u64 platform_clock_ns(void) { return host_sim ? host_sim->clock_ns() : host_real_ns(); }

u64 platform_wall_ns(void) {
    if (host_sim) return host_sim->wall_ns();
    return read_clock(CLOCK_REALTIME) + (u64)__atomic_load_n(&wall_offset_ns, __ATOMIC_RELAXED);
}

void platform_wall_set(u64 utc_ns) {
    if (host_sim) {
        host_sim->wall_set(utc_ns);
        return;
    }
    s64 offset = (s64)(utc_ns - read_clock(CLOCK_REALTIME));
    __atomic_store_n(&wall_offset_ns, offset, __ATOMIC_RELAXED);
}

rc_t platform_entropy(void *to, size_t n) {
    if (host_sim) return host_sim->entropy(to, n);
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)to + done, n - done, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return RC_IO;
        done += (size_t)got;
    }
    return RC_OK;
}
