/* SPDX-License-Identifier: Apache-2.0 */
/* nic_stream.c — frames on a Unix stream socket, framed as QEMU's `-netdev stream` does:
 *
 *   u32 length, big-endian | that many bytes of Ethernet frame | u32 length | ...
 *
 * Connects if somebody listens at the path; otherwise listens itself, for one peer at a time. The
 * link is up while a peer is there; a peer that breaks the framing is dropped, and a next one may
 * come. What the socket does not take at once is kept for one frame; beyond that RC_AGAIN. */
#include "kernel/host/host_impl.h"
#include "kernel/base/bytes.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM_FRAME_MAX 69632u /* QEMU's NET_BUFSIZE: more is a broken peer */

static struct {
    int listener, peer; /* -1: none */
    int polled_listener, polled_peer;
    u8 in[2 * (4 + STREAM_FRAME_MAX)];
    size_t in_from, in_to; /* bytes not yet looked at */
    u8 out[4 + NIC_FRAME_MAX];
    size_t out_from, out_to; /* the rest of one frame */
    bool blocked;            /* RC_AGAIN was answered */
} stream = {.listener = -1, .peer = -1, .polled_listener = -1, .polled_peer = -1};

static void take_peer(int fd) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    stream.peer = fd;
    stream.in_from = stream.in_to = stream.out_from = stream.out_to = 0;
    host_raise(WAIT_LINK);
}

static void drop_peer(void) {
    if (stream.peer < 0) return;
    close(stream.peer);
    stream.peer = -1;
    stream.in_from = stream.in_to = stream.out_from = stream.out_to = 0;
    stream.blocked = false;
    host_raise(WAIT_LINK | WAIT_NIC);
}

static rc_t stream_open(const char *path, struct nic_info *out) {
    (void)out;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (str_to_c(str_from_c(path), at.sun_path, sizeof at.sun_path))
        host_refuse("--net stream:%s: the path is too long", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) host_refuse("--net stream: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) {
        take_peer(fd);
        return RC_OK;
    }
    struct stat st;
    if (lstat(path, &st) == 0) {
        /* nobody answers there: a socket left over, or a slip of the pen */
        if (!S_ISSOCK(st.st_mode)) host_refuse("--net stream:%s: exists and is no socket", path);
        unlink(path);
    }
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1))
        host_refuse("--net stream:%s: %s", path, strerror(errno));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    stream.listener = fd;
    return RC_OK;
}

static bool stream_up(void) { return stream.peer >= 0; }

/* Pushes the kept bytes out; false: some are left. */
static bool drain(void) {
    while (stream.peer >= 0 && stream.out_from < stream.out_to) {
        ssize_t n = send(stream.peer, stream.out + stream.out_from,
                         stream.out_to - stream.out_from, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return false;
        if (n <= 0) drop_peer();
        else stream.out_from += (size_t)n;
    }
    return true;
}

static rc_t stream_send(const u8 *frame, size_t n) {
    if (stream.peer < 0) return RC_OK; /* lost, as on an unplugged wire */
    if (!drain()) {
        stream.blocked = true;
        return RC_AGAIN;
    }
    const u8 head[4] = {(u8)(n >> 24), (u8)(n >> 16), (u8)(n >> 8), (u8)n};
    memcpy(stream.out, head, sizeof head);
    memcpy(stream.out + sizeof head, frame, n);
    stream.out_from = 0;
    stream.out_to = sizeof head + n;
    (void)drain();
    return RC_OK;
}

static void fill(void) {
    if (stream.in_from) {
        memmove(stream.in, stream.in + stream.in_from, stream.in_to - stream.in_from);
        stream.in_to -= stream.in_from;
        stream.in_from = 0;
    }
    ssize_t n = recv(stream.peer, stream.in + stream.in_to, sizeof stream.in - stream.in_to, 0);
    if (n > 0) stream.in_to += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) drop_peer();
}

/* One frame out of what has come. */
static rc_t next_frame(void *to, size_t room, size_t *out_len) {
    for (;;) {
        const u8 *p = stream.in + stream.in_from;
        size_t have = stream.in_to - stream.in_from;
        if (have < 4) return RC_AGAIN;
        size_t n = be32(p);
        if (n > STREAM_FRAME_MAX) {
            drop_peer();
            return RC_AGAIN;
        }
        if (have < 4 + n) return RC_AGAIN;
        stream.in_from += 4 + n;
        if (n == 0 || n > room) continue; /* not for an Ethernet of this size */
        memcpy(to, p + 4, n);
        *out_len = n;
        return RC_OK;
    }
}

static rc_t stream_recv(void *to, size_t room, size_t *out_len) {
    if (stream.peer < 0) return RC_AGAIN;
    rc_t rc = next_frame(to, room, out_len);
    if (rc != RC_AGAIN || stream.peer < 0) return rc;
    fill();
    return stream.peer < 0 ? RC_AGAIN : next_frame(to, room, out_len);
}

static void stream_poll(struct host_poll *p) {
    stream.polled_listener = stream.polled_peer = -1;
    if (stream.peer >= 0)
        stream.polled_peer =
            host_poll_add(p, stream.peer,
                          (short)(POLLIN | (stream.out_from < stream.out_to ? POLLOUT : 0)));
    else if (stream.listener >= 0)
        stream.polled_listener = host_poll_add(p, stream.listener, POLLIN);
}

static u32 stream_polled(struct host_poll *p) {
    u32 bits = 0;
    if (stream.polled_listener >= 0 && p->fds[stream.polled_listener].revents) {
        int fd = accept4(stream.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) take_peer(fd);
    }
    if (stream.polled_peer >= 0 && stream.peer >= 0) {
        short seen = p->fds[stream.polled_peer].revents;
        if (seen & (POLLIN | POLLHUP | POLLERR)) bits |= WAIT_NIC;
        if (seen & POLLOUT && drain() && stream.blocked) {
            stream.blocked = false;
            bits |= WAIT_NIC;
        }
    }
    return bits;
}

const struct host_nic host_nic_stream = {
    .name = "stream",
    .open = stream_open,
    .up = stream_up,
    .send = stream_send,
    .recv = stream_recv,
    .poll = stream_poll,
    .polled = stream_polled,
};
