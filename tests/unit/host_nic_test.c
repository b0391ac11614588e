/* SPDX-License-Identifier: Apache-2.0 */
/* host_nic_test.c — frames through a Unix stream socket, with hostile framing, and through
 * libslirp: the gateway answers ARP, and a forwarded port becomes a SYN. */
#include "kernel/host/nic_stream.c"
#include "kernel/host/host_impl.h"
#include "tests/test.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char path[64];
static u8 frame[NIC_FRAME_MAX];
static size_t frame_len;
static u32 flags;

static rc_t receive_within(u64 ms) {
    u64 until = platform_clock_ns() + ms * NS_PER_MS;
    for (;;) {
        rc_t rc = platform_nic_recv(0, frame, sizeof frame, &frame_len, &flags);
        if (rc != RC_AGAIN || platform_clock_ns() >= until) return rc;
        (void)platform_wait(until);
    }
}
static rc_t send_bytes(const void *bytes, size_t n) {
    str part = {bytes, n};
    return platform_nic_send(0, &(struct nic_tx){.parts = &part, .count = 1});
}
static int connect_to(const char *to) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    EXPECT_OK(str_to_c(str_from_c(to), at.sun_path, sizeof at.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}
static void write_all(int fd, const void *bytes, size_t n) {
    EXPECT_EQ(write(fd, bytes, n), (ssize_t)n);
}

static int peer; /* a listening stream, and one peer connected to it */
static void begin(void) {
    struct nic_info info;
    static char net[80];
    snprintf(path, sizeof path, "/tmp/host_nic_test.%d", (int)getpid());
    snprintf(net, sizeof net, "stream:%s", path);
    host_wait_start();
    host_nic_start(net);
    EXPECT_EQ(platform_nic_count(), 1);
    EXPECT_OK(platform_nic_open(0, &info));
    EXPECT_EQ(info.mtu, 1500);
    EXPECT(!platform_nic_up(0));
    EXPECT_OK(send_bytes("lost", 4));
    peer = connect_to(path);
    EXPECT(platform_wait(platform_clock_ns() + NS_PER_S) & WAIT_LINK || platform_nic_up(0));
    EXPECT(platform_nic_up(0));
}
static void end(void) {
    drop_peer();
    close(stream.listener);
    stream.listener = -1;
    close(peer);
    unlink(path);
}

TEST(frames_go_both_ways_in_pieces) {
    begin();
    write_all(peer, "\0\0\0\5hel", 7);
    EXPECT_RC(receive_within(20), RC_AGAIN);
    write_all(peer, "lo\0\0\0\2", 6);
    EXPECT_OK(receive_within(1000));
    EXPECT_STR(str_of((char *)frame, frame_len), S("hello"));
    write_all(peer, "ok", 2);
    EXPECT_OK(receive_within(1000));
    EXPECT_STR(str_of((char *)frame, frame_len), S("ok"));
    str parts[2] = {S("ab"), S("cde")};
    EXPECT_OK(platform_nic_send(0, &(struct nic_tx){.parts = parts, .count = 2}));
    char got[9];
    EXPECT_EQ(read(peer, got, sizeof got), 9);
    EXPECT(memcmp(got, "\0\0\0\5abcde", 9) == 0);
    end();
}

TEST(a_peer_that_does_not_read_fills_the_ring) {
    begin();
    rc_t rc = RC_OK;
    u32 sent = 0;
    memset(frame, 7, sizeof frame);
    while (!(rc = send_bytes(frame, 1500)) && sent < 100000) sent++;
    EXPECT_RC(rc, RC_AGAIN);
    static u8 sink[65536];
    size_t drained = 0;
    u64 until = platform_clock_ns() + 10 * NS_PER_S;
    while (drained < (size_t)sent * 1504 && platform_clock_ns() < until) {
        ssize_t n = recv(peer, sink, sizeof sink, MSG_DONTWAIT);
        if (n > 0) drained += (size_t)n;
        else (void)platform_wait(platform_clock_ns() + NS_PER_MS);
    }
    EXPECT_EQ(drained, (size_t)sent * 1504); /* nothing lost, nothing torn */
    EXPECT_OK(send_bytes(frame, 60));
    end();
}

TEST(a_hostile_peer_is_dropped_and_the_next_one_served) {
    begin();
    write_all(peer, "\377\377\377\377boom", 8);
    EXPECT_RC(receive_within(200), RC_AGAIN);
    EXPECT(!platform_nic_up(0));
    EXPECT_EQ(stream.peer, -1);
    close(peer);
    peer = connect_to(path);
    (void)platform_wait(platform_clock_ns() + NS_PER_S);
    EXPECT(platform_nic_up(0));
    u8 jumbo[4 + 9000] = {0, 0, 9000 >> 8, 9000 & 255}; /* QEMU could, our Ethernet does not */
    write_all(peer, jumbo, sizeof jumbo);
    write_all(peer, "\0\0\0\0\0\0\0\1z", 9); /* an empty one, then one byte */
    EXPECT_OK(receive_within(1000));
    EXPECT_EQ(frame_len, 1);
    close(peer);
    EXPECT_RC(receive_within(200), RC_AGAIN);
    EXPECT(!platform_nic_up(0));
    end();
}

TEST(random_bytes_never_break_the_framing_code) {
    begin();
    for (u32 round = 0; round < 200; round++) {
        u8 noise[512];
        for (u32 i = 0; i < sizeof noise; i++) noise[i] = (u8)(test_random() % (i % 7 ? 256 : 2));
        if (send(peer, noise, sizeof noise, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            close(peer);
            peer = connect_to(path);
        }
        for (u32 i = 0; i < 64; i++) {
            (void)platform_wait(0);
            if (platform_nic_recv(0, frame, sizeof frame, &frame_len, &flags)) break;
            EXPECT(frame_len >= 1 && frame_len <= NIC_FRAME_MAX);
        }
    }
    end();
}

TEST(a_file_that_is_no_socket_is_left_alone) {
    struct nic_info info;
    char name[] = "/tmp/host_nic_test.XXXXXX";
    int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)stream_open(name, &info);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), EXIT_USAGE);
    EXPECT_EQ(access(name, F_OK), 0);
    unlink(name);
    close(fd);
}

/* ---- libslirp -------------------------------------------------------------------------------- */

static int free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static const u8 who_has_gateway[42] = {
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, /* Ethernet, ARP */
    0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15,     /* from 10.0.2.15 */
    0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

/* libslirp with one forwarded port: once per process, and the port as it was. */
static struct sockaddr_in user_net(void) {
    static struct sockaddr_in at;
    struct nic_info info;
    if (at.sin_port) return at;
    host_options = (struct host_options){.http_port = free_port()};
    host_wait_start();
    host_nic_start("user");
    EXPECT_OK(platform_nic_open(0, &info));
    at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
                              .sin_port = htons((u16)host_options.http_port)};
    return at;
}

TEST(libslirp_answers_arp_and_forwards_a_port) {
    struct sockaddr_in at = user_net();
    EXPECT(platform_nic_up(0));
    EXPECT_OK(send_bytes(who_has_gateway, sizeof who_has_gateway));
    bool answered = false;
    for (u32 i = 0; i < 20 && !answered; i++) {
        EXPECT_OK(receive_within(2000));
        answered = frame_len >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2;
    }
    EXPECT(answered);
    EXPECT(memcmp(frame + 28, who_has_gateway + 38, 4) == 0); /* by 10.0.2.2 itself */
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)!connect(client, (struct sockaddr *)&at, sizeof at);
    bool syn = false;
    for (u32 i = 0; i < 20 && !syn; i++) {
        if (receive_within(2000)) break;
        syn = frame_len >= 54 && frame[12] == 8 && frame[13] == 0 && frame[23] == 6 &&
              frame[36] == 0 && frame[37] == 80 && frame[47] == 2;
    }
    EXPECT(syn);
    close(client);
}

/* How many connections wait to be accepted by this process's listening sockets; see tcp(7). */
static u32 waiting_to_be_accepted(void) {
    u32 waiting = 0;
    for (int fd = 3; fd < 256; fd++) {
        int listening = 0;
        socklen_t n = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) || !listening) continue;
        struct tcp_info info = {0};
        n = sizeof info;
        EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
        waiting += info.tcpi_unacked;
    }
    return waiting;
}

TEST(a_burst_of_clients_finds_a_queue_it_fits_into) {
    enum { CLIENTS = 64 };
    int client[CLIENTS];
    struct sockaddr_in at = user_net();
    u32 before = waiting_to_be_accepted();
    for (u32 i = 0; i < CLIENTS; i++) { /* none is accepted meanwhile: the loop is elsewhere */
        client[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(client[i], (struct sockaddr *)&at, sizeof at);
    }
    /* Each is known to Linux, none has to try again. */
    EXPECT_EQ(waiting_to_be_accepted() - before, CLIENTS);
    for (u32 i = 0; i < CLIENTS; i++) close(client[i]);
}
