/* SPDX-License-Identifier: Apache-2.0 */
/* nic_slirp.c — a network without privileges: libslirp plays gateway, DHCP and DNS, and turns the
 * appliance's connections into ordinary sockets of this process.
 *
 *   10.0.2.0/24   .2 gateway, .3 DNS, .15 the appliance (by DHCP)      fd00::/64   ::2, ::3
 *   127.0.0.1:PORT  ->  10.0.2.15:443 | 80 | 6379
 *
 * Frames from libslirp wait in a ring of FRAMES_MAX. While more than half of it is in use libslirp
 * is left alone, neither fed nor polled, so that a burst waits instead of being lost and sent again
 * a second later; only what it says beyond that in one breath is dropped. Its listening sockets get
 * a queue of their own length: libslirp asks for one connection, and what a burst of clients opens
 * beyond that Linux makes wait for seconds without telling them. Frames for it wait in
 * `out` until the loop is about to sleep: libslirp needs more stack than a fiber has. Its
 * descriptors join each sleep of wait.c. */
#include "kernel/host/host_impl.h"
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define FRAMES_MAX 1024u
#define FRAMES_BUSY (FRAMES_MAX / 2)
#define TIMERS_MAX 4u
#define ACCEPT_QUEUE 4096 /* connections not yet accepted; Linux bounds it by net.core.somaxconn */

struct frame {
    u16 length;
    u8 bytes[NIC_FRAME_MAX];
};
struct slirp_timer {
    SlirpTimerCb fn;
    void *arg;
    u64 deadline_ns; /* UINT64_MAX: not set */
    bool used;
};
static struct {
    Slirp *slirp;
    struct frame *ring; /* from libslirp */
    u32 first, count;
    struct frame *out; /* to libslirp */
    u32 out_count;
    bool out_refused; /* a frame found no room */
    struct slirp_timer timers[TIMERS_MAX];
    struct host_poll *poll; /* during one sleep */
    bool left_alone;        /* in this sleep: the ring is too full to hear more */
} user;

/* ---- What libslirp asks of us ---------------------------------------------------------------- */

static ssize_t on_packet(const void *bytes, size_t n, void *opaque) {
    (void)opaque;
    if (user.count == FRAMES_MAX || n > NIC_FRAME_MAX) return (ssize_t)n; /* lost */
    struct frame *f = &user.ring[(user.first + user.count++) % FRAMES_MAX];
    f->length = (u16)n;
    memcpy(f->bytes, bytes, n);
    return (ssize_t)n;
}

static void on_guest_error(const char *message, void *opaque) { (void)message, (void)opaque; }
static int64_t on_clock(void *opaque) {
    (void)opaque;
    return (int64_t)host_real_ns();
}

static void *on_timer_new(SlirpTimerCb fn, void *arg, void *opaque) {
    (void)opaque;
    for (u32 i = 0; i < TIMERS_MAX; i++) {
        if (user.timers[i].used) continue;
        user.timers[i] = (struct slirp_timer){fn, arg, UINT64_MAX, true};
        return &user.timers[i];
    }
    panic("libslirp wants more than %u timers", TIMERS_MAX);
}

static void on_timer_free(void *timer, void *opaque) {
    (void)opaque;
    ((struct slirp_timer *)timer)->used = false;
}

static void on_timer_mod(void *timer, int64_t expire_ms, void *opaque) {
    (void)opaque;
    ((struct slirp_timer *)timer)->deadline_ns = (u64)MAX(expire_ms, 0) * NS_PER_MS;
}

static void on_fd(int fd, void *opaque) { (void)fd, (void)opaque; } /* gathered anew each time */
static void on_notify(void *opaque) { (void)opaque; }

static const SlirpCb callbacks = {
    .send_packet = on_packet,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_fd,
    .unregister_poll_fd = on_fd,
    .notify = on_notify,
};

/* ---- Opening --------------------------------------------------------------------------------- */

static struct in_addr v4(const char *text) {
    struct in_addr a = {0};
    int ok = inet_pton(AF_INET, text, &a);
    CHECK(ok == 1);
    return a;
}
static struct in6_addr v6(const char *text) {
    struct in6_addr a = {0};
    int ok = inet_pton(AF_INET6, text, &a);
    CHECK(ok == 1);
    return a;
}

static void forward(int from, int to) {
    if (from == 0) return;
    if (slirp_add_hostfwd(user.slirp, 0, v4("127.0.0.1"), from, v4("10.0.2.15"), to))
        host_refuse("127.0.0.1 port %d cannot be used: %s", from, strerror(errno));
}

/* listen() once more changes the length of a listening socket's queue. */
static int queue_lengthen(int fd, int events, void *opaque) {
    int listening = 0;
    socklen_t size = sizeof listening;
    (void)events, (void)opaque;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening)
        (void)listen(fd, ACCEPT_QUEUE); /* refused: it stays as short as it was */
    return -1;
}

/* Each connection is a socket of this process: as many as it may have. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* refused: it stays as it was */
}

static rc_t user_open(const char *argument, struct nic_info *out) {
    (void)argument, (void)out;
    if (user.slirp) return RC_OK;
    raise_descriptor_limit();
    user.ring = calloc(FRAMES_MAX, sizeof *user.ring);
    user.out = calloc(FRAMES_MAX, sizeof *user.out);
    if (!user.ring || !user.out) return RC_NO_MEMORY;
    SlirpConfig config = {
        .version = 1,
        .in_enabled = true,
        .vnetwork = v4("10.0.2.0"),
        .vnetmask = v4("255.255.255.0"),
        .vhost = v4("10.0.2.2"),
        .vdhcp_start = v4("10.0.2.15"),
        .vnameserver = v4("10.0.2.3"),
        .in6_enabled = true,
        .vprefix_addr6 = v6("fd00::"),
        .vprefix_len = 64,
        .vhost6 = v6("fd00::2"),
        .vnameserver6 = v6("fd00::3"),
        .vhostname = "openpolicy",
        .if_mtu = 1500,
        .if_mru = 1500,
    };
    user.slirp = slirp_new(&config, &callbacks, NULL);
    if (!user.slirp) return RC_IO;
    forward(host_options.https_port, 443);
    forward(host_options.http_port, 80);
    forward(host_options.resp_port, 6379);
    u32 unused_ms = UINT32_MAX;
    slirp_pollfds_fill(user.slirp, &unused_ms, queue_lengthen, NULL);
    return RC_OK;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static bool user_up(void) { return user.slirp != NULL; }

static rc_t user_send(const u8 *frame, size_t n) {
    user.out_refused |= user.out_count == FRAMES_MAX;
    if (user.out_count == FRAMES_MAX) return RC_AGAIN;
    if (n > NIC_FRAME_MAX) return RC_INVALID;
    struct frame *f = &user.out[user.out_count++];
    f->length = (u16)n;
    memcpy(f->bytes, frame, n);
    return RC_OK;
}

/* On the loop's own stack. It may answer at once (ARP, ICMP, a SYN's reply): do not sleep on it. */
static void out_empty(void) {
    u32 fed = 0;
    for (; fed < user.out_count && user.count < FRAMES_BUSY; fed++)
        slirp_input(user.slirp, user.out[fed].bytes, user.out[fed].length);
    user.out_count -= fed;
    if (fed && user.out_count)
        memmove(user.out, user.out + fed, user.out_count * sizeof *user.out);
    if (user.count || user.out_count || user.out_refused) host_raise(WAIT_NIC);
    user.out_refused = false;
}

static rc_t user_recv(void *to, size_t room, size_t *out_len) {
    while (user.count) {
        struct frame *f = &user.ring[user.first];
        user.first = (user.first + 1) % FRAMES_MAX;
        user.count--;
        if (f->length > room) continue;
        memcpy(to, f->bytes, f->length);
        *out_len = f->length;
        return RC_OK;
    }
    return RC_AGAIN;
}

/* ---- The sleep ------------------------------------------------------------------------------- */

static int add_poll(int fd, int events, void *opaque) {
    (void)opaque;
    short wanted = 0;
    if (events & SLIRP_POLL_IN) wanted |= POLLIN;
    if (events & SLIRP_POLL_OUT) wanted |= POLLOUT;
    if (events & SLIRP_POLL_PRI) wanted |= POLLPRI;
    return host_poll_add(user.poll, fd, wanted); /* POLLERR and POLLHUP come by themselves */
}

static int get_revents(int index, void *opaque) {
    (void)opaque;
    if (index < 0) return 0;
    short seen = user.poll->fds[index].revents;
    int events = 0;
    if (seen & POLLIN) events |= SLIRP_POLL_IN;
    if (seen & POLLOUT) events |= SLIRP_POLL_OUT;
    if (seen & POLLPRI) events |= SLIRP_POLL_PRI;
    if (seen & POLLERR) events |= SLIRP_POLL_ERR;
    if (seen & POLLHUP) events |= SLIRP_POLL_HUP;
    return events;
}

static void user_poll(struct host_poll *p) {
    if (!user.slirp) return;
    user.poll = p;
    out_empty();
    user.left_alone = user.count >= FRAMES_BUSY;
    if (user.left_alone) return;
    u32 timeout_ms = UINT32_MAX;
    slirp_pollfds_fill(user.slirp, &timeout_ms, add_poll, NULL);
    if (timeout_ms != UINT32_MAX)
        p->deadline_ns = MIN(p->deadline_ns, host_real_ns() + timeout_ms * NS_PER_MS);
    for (u32 i = 0; i < TIMERS_MAX; i++)
        if (user.timers[i].used) p->deadline_ns = MIN(p->deadline_ns, user.timers[i].deadline_ns);
}

static u32 user_polled(struct host_poll *p) {
    if (!user.slirp) return 0;
    user.poll = p;
    if (user.left_alone) return WAIT_NIC;
    slirp_pollfds_poll(user.slirp, 0, get_revents, NULL);
    u64 now = host_real_ns();
    for (u32 i = 0; i < TIMERS_MAX; i++) {
        struct slirp_timer *t = &user.timers[i];
        if (!t->used || t->deadline_ns > now) continue;
        t->deadline_ns = UINT64_MAX;
        t->fn(t->arg);
    }
    return user.count ? WAIT_NIC : 0;
}

const struct host_nic host_nic_user = {
    .name = "user",
    .open = user_open,
    .up = user_up,
    .send = user_send,
    .recv = user_recv,
    .poll = user_poll,
    .polled = user_polled,
};
