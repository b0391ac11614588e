/* SPDX-License-Identifier: Apache-2.0 */
/* nic_tap.c — a tap interface somebody made for us (`ip tuntap add dev NAME mode tap user ME`):
 * one frame per read and write, so the kernel below is the wire. */
#include "kernel/host/host_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fd = -1;
static int polled_at = -1;
static bool send_blocked;

static rc_t tap_open(const char *name, struct nic_info *out) {
    (void)out;
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (str_to_c(str_from_c(name), request.ifr_name, sizeof request.ifr_name))
        host_refuse("--net tap:%s: the name is too long", name);
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) host_refuse("--net tap:%s: /dev/net/tun: %s", name, strerror(errno));
    if (ioctl(fd, TUNSETIFF, &request)) host_refuse("--net tap:%s: %s", name, strerror(errno));
    return RC_OK;
}

static bool tap_up(void) { return fd >= 0; }

static rc_t tap_send(const u8 *frame, size_t n) {
    ssize_t wrote;
    do wrote = write(fd, frame, n);
    while (wrote < 0 && errno == EINTR);
    if (wrote < 0 && errno == EAGAIN) {
        send_blocked = true;
        return RC_AGAIN;
    }
    return RC_OK; /* a frame the interface refuses (it is down) is lost, as on a wire */
}

static rc_t tap_recv(void *to, size_t room, size_t *out_len) {
    ssize_t n;
    do n = read(fd, to, room);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return RC_AGAIN;
    *out_len = (size_t)n;
    return RC_OK;
}

static void tap_poll(struct host_poll *p) {
    polled_at = fd < 0 ? -1 : host_poll_add(p, fd, (short)(POLLIN | (send_blocked ? POLLOUT : 0)));
}

static u32 tap_polled(struct host_poll *p) {
    if (polled_at < 0) return 0;
    short seen = p->fds[polled_at].revents;
    if (seen & POLLOUT) send_blocked = false;
    return seen & (POLLIN | POLLOUT) ? WAIT_NIC : 0;
}

const struct host_nic host_nic_tap = {
    .name = "tap",
    .open = tap_open,
    .up = tap_up,
    .send = tap_send,
    .recv = tap_recv,
    .poll = tap_poll,
    .polled = tap_polled,
};
