/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c — the seeded machine: virtual time, randomness by streams, workers, lives.
 *
 *   platform_wait:  workers run until they park -> what is due happens -> bits? -> jump to the next
 *
 * Always true: one thread; nothing here reads a real clock or real entropy; every choice is drawn
 * from a stream that the seed and the purpose determine; every event enters the trace hash.
 *
 * Workers are coroutines that run inside platform_wait, as on a guest with one core: a job runs to
 * its end there and takes a drawn span of virtual time. */
#include "kernel/host/sim_impl.h"
#include "kernel/base/limits.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define CALLS_MAX 256u
#define REGIONS_MAX 16u
#define WORKER_STACK_BYTES MIB(1)
#define WALL_DEFAULT_NS (1767225600ull * NS_PER_S) /* 2026-01-01T00:00:00Z */
#define TURN_NS NS_PER_US

struct shared { /* survives a life */
    u64 now_ns, trace;
    u64 wall_offset_ns;
    u64 streams[SIM_STREAMS];
};
struct call {
    u64 at_ns, order;
    void (*fn)(void *arg);
    void *arg;
};
struct worker {
    ucontext_t context;
    void (*entry)(void *arg);
    void *arg;
    char *stack;
    bool started, parked, woken;
#ifdef __SANITIZE_ADDRESS__
    void *fake_stack;
#endif
};

struct sim_options sim_options;
static struct shared *shared;
static struct {
    void *at;
    u64 bytes;
} regions[REGIONS_MAX];
static u32 region_count;
static struct call calls[CALLS_MAX];
static u32 call_count;
static u64 call_order;
static struct worker workers[WORKER_MAX];
static ucontext_t loop_context;
static bool entropy_broken;
#ifdef __SANITIZE_ADDRESS__
static void *loop_fake_stack;
static const void *loop_bottom;
static size_t loop_bytes;
#endif

/* ---- Randomness, trace, time ----------------------------------------------------------------- */

u64 sim_mix(u64 x) {
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

u64 sim_draw(enum sim_stream stream, u64 below) {
    shared->streams[stream] += 0x9E3779B97F4A7C15ull;
    return below ? sim_mix(shared->streams[stream]) % below : 0;
}

u64 sim_random(u64 below) { return sim_draw(SIM_RANDOM_TEST, below); }

void sim_trace(u64 kind, u64 a, u64 b) {
    shared->trace = sim_mix(shared->trace ^ sim_mix(kind ^ sim_mix(a ^ sim_mix(b))));
}
u64 sim_trace_hash(void) { return shared->trace; }
u64 sim_now_ns(void) { return shared->now_ns; }

static u64 wall_ns(void) {
    return sim_options.wall_ns == SIM_NO_WALL && !shared->wall_offset_ns
               ? 0
               : shared->wall_offset_ns + shared->now_ns;
}
static void wall_set(u64 utc_ns) { shared->wall_offset_ns = utc_ns - shared->now_ns; }
void sim_wall_step(s64 ns) { shared->wall_offset_ns += (u64)ns; }

static rc_t entropy(void *to, size_t n) {
    if (entropy_broken) return RC_IO;
    for (size_t i = 0; i < n; i++) ((u8 *)to)[i] = (u8)sim_draw(SIM_RANDOM_ENTROPY, 256);
    return RC_OK;
}
void sim_entropy_fails(bool fails) { entropy_broken = fails; }
void sim_power_button(void) { host_raise(WAIT_POWER); }

void sim_at(u64 clock_ns, void (*fn)(void *arg), void *arg) {
    CHECK(call_count < CALLS_MAX);
    calls[call_count++] = (struct call){clock_ns, call_order++, fn, arg};
}

/* The earliest call; of two at the same time the one asked for first. */
static struct call *first_call(void) {
    struct call *best = NULL;
    for (u32 i = 0; i < call_count; i++) {
        struct call *c = &calls[i];
        if (!best || c->at_ns < best->at_ns || (c->at_ns == best->at_ns && c->order < best->order))
            best = c;
    }
    return best;
}

static void run_calls(u64 now_ns) {
    for (struct call *c; (c = first_call()) && c->at_ns <= now_ns;) {
        struct call taken = *c;
        *c = calls[--call_count];
        taken.fn(taken.arg);
    }
}

/* ---- Workers --------------------------------------------------------------------------------- */

static void worker_main(u32 index) {
    struct worker *w = &workers[index];
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &loop_bottom, &loop_bytes);
#endif
    w->entry(w->arg);
    panic("a worker returned");
}

static u32 worker_count(void) { return sim_options.worker_count; }

static rc_t worker_start(u32 index, void (*entry)(void *arg), void *arg) {
    if (index >= WORKER_MAX) return RC_INVALID;
    struct worker *w = &workers[index];
    char *stack = w->stack ? w->stack : platform_stack(WORKER_STACK_BYTES);
    if (!stack) return RC_NO_MEMORY;
    *w = (struct worker){.entry = entry, .arg = arg, .stack = stack, .started = true};
    if (getcontext(&w->context)) return RC_NO_MEMORY;
    w->context.uc_stack.ss_sp = stack;
    w->context.uc_stack.ss_size = WORKER_STACK_BYTES;
    makecontext(&w->context, (void (*)(void))worker_main, 1, index);
    return RC_OK;
}

static void worker_park(u32 index) {
    struct worker *w = &workers[index];
    if (!w->woken) {
        w->parked = true;
#ifdef __SANITIZE_ADDRESS__
        __sanitizer_start_switch_fiber(&w->fake_stack, loop_bottom, loop_bytes);
#endif
        swapcontext(&w->context, &loop_context);
#ifdef __SANITIZE_ADDRESS__
        __sanitizer_finish_switch_fiber(w->fake_stack, &loop_bottom, &loop_bytes);
#endif
    }
    w->woken = false;
}

static void worker_wake(u32 index) {
    CHECK(index < WORKER_MAX);
    workers[index].woken = true;
}

/* Lets every worker that can run do so until it parks. */
static void run_workers(void) {
    for (u32 i = 0; i < sim_options.worker_count; i++) {
        struct worker *w = &workers[i];
        if (!w->started || (w->parked && !w->woken)) continue;
        w->parked = false;
        shared->now_ns += sim_draw(SIM_RANDOM_WORK, NS_PER_MS);
        host_thread_set(i + 1);
#ifdef __SANITIZE_ADDRESS__
        __sanitizer_start_switch_fiber(&loop_fake_stack, w->stack, WORKER_STACK_BYTES);
#endif
        swapcontext(&loop_context, &w->context);
#ifdef __SANITIZE_ADDRESS__
        __sanitizer_finish_switch_fiber(loop_fake_stack, NULL, NULL);
#endif
        host_thread_set(0);
        sim_trace(1, i, shared->now_ns);
    }
}

/* ---- The sleep ------------------------------------------------------------------------------- */

static u32 wait_until(u64 deadline_ns) {
    shared->now_ns += TURN_NS;
    for (;;) {
        run_workers();
        run_calls(shared->now_ns);
        u32 bits = sim_disk_run(shared->now_ns) | sim_wire_run(shared->now_ns) | host_raised_take();
        if (bits) sim_trace(2, bits, shared->now_ns);
        if (bits || shared->now_ns >= deadline_ns) return bits;
        u64 next = MIN(sim_disk_next_ns(), sim_wire_next_ns());
        struct call *call = first_call();
        if (call) next = MIN(next, call->at_ns);
        next = MIN(next, deadline_ns);
        if (next == UINT64_MAX) panic("sim: asleep for ever, and nothing is to come: a lost wake");
        shared->now_ns = MAX(next, shared->now_ns);
    }
}

/* ---- Start and lives ------------------------------------------------------------------------- */

void *sim_shared_alloc(u64 bytes) {
    CHECK(region_count < REGIONS_MAX);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    CHECK(p != MAP_FAILED);
    regions[region_count].at = p;
    regions[region_count++].bytes = bytes;
    return p;
}

static const struct host_sim simulated = {
    .clock_ns = sim_now_ns,
    .wall_ns = wall_ns,
    .wall_set = wall_set,
    .entropy = entropy,
    .wait = wait_until,
    .worker_count = worker_count,
    .worker_start = worker_start,
    .worker_park = worker_park,
    .worker_wake = worker_wake,
    .disk_count = sim_disk_count,
    .disk_open = sim_disk_open,
    .disk_submit = sim_disk_submit,
    .disk_poll = sim_disk_poll,
    .disk_emergency = sim_disk_emergency,
    .nic_count = sim_nic_count,
    .nic_open = sim_nic_open,
    .nic_up = sim_nic_up,
    .nic_send = sim_nic_send,
    .nic_recv = sim_nic_recv,
};

void sim_stop(void) {
    while (region_count) {
        region_count--;
        munmap(regions[region_count].at, regions[region_count].bytes);
    }
    shared = NULL;
    host_sim = NULL;
}

void sim_start(const struct sim_options *options) {
    sim_stop();
    struct sim_options *o = &sim_options;
    *o = *options;
    if (!o->block_bytes) o->block_bytes = 512;
    if (!o->op_bytes_max) o->op_bytes_max = 65536;
    if (!o->disk_ns_min && !o->disk_ns_max) o->disk_ns_min = 20000, o->disk_ns_max = 200000;
    if (!o->queue_max) o->queue_max = DISK_QUEUE_MAX;
    o->worker_count = MIN(o->worker_count ? o->worker_count : 1, (u32)WORKER_MAX);
    if (!o->log_bytes_max) o->log_bytes_max = MIB(256);
    CHECK(o->disk_count <= DISK_MAX);
    shared = sim_shared_alloc(sizeof *shared);
    for (u32 i = 0; i < SIM_STREAMS; i++) shared->streams[i] = sim_mix(o->seed ^ sim_mix(i + 1));
    if (o->wall_ns != SIM_NO_WALL)
        shared->wall_offset_ns = o->wall_ns ? o->wall_ns : WALL_DEFAULT_NS;
    call_count = 0;
    entropy_broken = false;
    for (u32 i = 0; i < WORKER_MAX; i++) workers[i].started = false;
    (void)host_raised_take();
    sim_disk_start();
    sim_wire_start();
    host_sim = &simulated;
}

/* Without exit handlers: they belong to the parent. Coverage is counted all the same. */
extern void __gcov_dump(void) __attribute__((weak));
void sim_end_life(int status) {
    fflush(NULL);
    if (__gcov_dump) __gcov_dump();
    _exit(status);
}

int sim_life(void (*life)(void *arg), void *arg, u32 seconds) {
    sim_disk_drop_in_flight();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL); /* ends a life that hangs */
        alarm(seconds);
        life(arg);
        sim_end_life(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    sim_disk_drop_in_flight();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
