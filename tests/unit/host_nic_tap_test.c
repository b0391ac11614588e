/* SPDX-License-Identifier: Apache-2.0 */
/* host_nic_tap_test.c — frames through the tap back end. A tap keeps packets apart as a sequenced
 * socket does, so one of these stands in for it: no privileges, and both ends are ours. */
#include "kernel/host/host_impl.h"
#include <stdio.h>
#include <unistd.h>
#include "tests/test.h"
#define _exit(status) test_exit(status)
#include "kernel/host/nic_tap.c"
#undef _exit
#include <sys/socket.h>
#include <sys/wait.h>

static int peer;
static void begin(void) {
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
    fd = pair[0];
    peer = pair[1];
    send_blocked = false;
}
static void end(void) {
    close(fd);
    close(peer);
    fd = -1;
}
static u32 poll_once(void) {
    struct pollfd fds[4];
    struct host_poll p = {.fds = fds, .room = 4, .deadline_ns = UINT64_MAX};
    tap_poll(&p);
    if (p.count) poll(p.fds, p.count, 0);
    return tap_polled(&p);
}

TEST(one_frame_per_read_and_write) {
    u8 frame[1600], got[2048];
    size_t n = 0;
    begin();
    EXPECT(tap_up());
    EXPECT_EQ(poll_once(), 0);
    EXPECT_RC(tap_recv(got, sizeof got, &n), RC_AGAIN);
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = (u8)i;
    EXPECT_EQ(write(peer, frame, 60), 60);
    EXPECT_EQ(write(peer, frame, 1514), 1514);
    EXPECT_EQ(poll_once(), WAIT_NIC);
    EXPECT_OK(tap_recv(got, sizeof got, &n));
    EXPECT_EQ(n, 60);
    EXPECT_OK(tap_recv(got, sizeof got, &n));
    EXPECT_EQ(n, 1514);
    EXPECT(memcmp(got, frame, 1514) == 0);
    EXPECT_OK(tap_send(frame, 100));
    EXPECT_EQ(read(peer, got, sizeof got), 100);
    end();
    EXPECT(!tap_up());
    EXPECT_EQ(poll_once(), 0);
}

TEST(a_full_interface_is_tried_again_when_it_has_room) {
    static u8 frame[1514], got[2048];
    u32 sent = 0;
    begin();
    while (tap_send(frame, sizeof frame) == RC_OK && sent < 100000) sent++;
    EXPECT(send_blocked && sent > 0 && sent < 100000);
    EXPECT_EQ(poll_once(), 0);
    while (read(peer, got, sizeof got) > 0) {}
    EXPECT_EQ(poll_once(), WAIT_NIC);
    EXPECT(!send_blocked);
    EXPECT_OK(tap_send(frame, sizeof frame));
    close(peer);
    /* an interface that is down loses it, as a wire would */
    EXPECT_OK(tap_send(frame, sizeof frame));
    end();
}

/* Opening: each in a child, for a refusal ends the process. */
static int open_in_child(const char *name) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct nic_info info;
        dup2(open("/dev/null", O_WRONLY), 2);
        (void)tap_open(name, &info);
        test_exit(tap_up() ? 42 : 43);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
TEST(a_name_that_cannot_be_is_refused) {
    EXPECT_EQ(open_in_child("a-name-longer-than-fifteen"), EXIT_USAGE);
    int status = open_in_child("no/name"); /* refused by the kernel, or there is no tun device */
    EXPECT_EQ(status, EXIT_USAGE);
}
