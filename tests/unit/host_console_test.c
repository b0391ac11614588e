/* SPDX-License-Identifier: Apache-2.0 */
/* host_console_test.c — the terminal: raw while the appliance has it, as it was afterwards; input
 * from pipes, from nowhere, and the loop's sleep that ends with it. */
#include "kernel/host/console.c"
#include "kernel/host/host_impl.h"
#include "tests/test.h"
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static int kept_in, kept_out;
static void redirect(int in, int out) {
    fflush(NULL);
    kept_in = dup(0);
    kept_out = dup(1);
    dup2(in, 0);
    if (out >= 0) dup2(out, 1);
}
static void undo(void) {
    dup2(kept_in, 0);
    dup2(kept_out, 1);
    close(kept_in);
    close(kept_out);
}

TEST(a_pipe_is_read_to_its_end) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    host_wait_start();
    redirect(p[0], -1);
    host_console_start();
    EXPECT_EQ(platform_console_get(), -1);
    EXPECT_EQ(write(p[1], "hi", 2), 2);
    u32 bits = platform_wait(platform_clock_ns() + 5 * NS_PER_S);
    int first = platform_console_get(), second = platform_console_get();
    int third = platform_console_get();
    close(p[1]);
    int at_end = platform_console_get();
    bool still = reading;
    u32 after = platform_wait(platform_clock_ns() + 20 * NS_PER_MS);
    undo();
    close(p[0]);
    EXPECT_EQ(bits, WAIT_CONSOLE);
    EXPECT_EQ(first, 'h');
    EXPECT_EQ(second, 'i');
    EXPECT_EQ(third, -1);
    EXPECT_EQ(at_end, -1);
    EXPECT(!still);
    EXPECT_EQ(after, 0); /* an ended input does not keep the loop awake */
}

TEST(nobody_reading_stops_nothing) {
    int p[2];
    static char text[100000];
    REQUIRE(pipe(p) == 0);
    memset(text, 'x', sizeof text);
    redirect(0, p[1]);
    u64 began = host_real_ns();
    for (u32 i = 0; i < 20; i++) platform_console_put(str_of(text, sizeof text));
    u64 took = host_real_ns() - began;
    size_t got = 0;
    while (poll(&(struct pollfd){.fd = p[0], .events = POLLIN}, 1, 0) > 0)
        got += (size_t)read(p[0], text, sizeof text);
    platform_console_put(S("again")); /* read: so it is shown again */
    ssize_t n = poll(&(struct pollfd){.fd = p[0], .events = POLLIN}, 1, 1000) > 0
                    ? read(p[0], text, sizeof text)
                    : 0;
    undo();
    close(p[0]);
    close(p[1]);
    EXPECT(took < 2 * NS_PER_S);
    EXPECT(got >= 4096);
    EXPECT_STR(str_of(text, (size_t)n), S("again"));
}

/* In a session of its own, with the terminal as its controlling one. Exit status: bits of truth. */
static int at_terminal(int slave) {
    struct termios t;
    int truths = 0;
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    tcgetattr(slave, &t);
    t.c_lflag |= ICANON | ECHO | ISIG;
    tcsetattr(slave, TCSANOW, &t);
    dup2(slave, 0);
    dup2(slave, 1);
    host_console_start();
    tcgetattr(slave, &t);
    if (!(t.c_lflag & (ICANON | ECHO))) truths |= 1; /* raw */
    if (t.c_lflag & ISIG) truths |= 2;               /* Ctrl-C still stops */
    platform_console_put(S("prompt> "));
    struct pollfd one = {.fd = 0, .events = POLLIN};
    poll(&one, 1, 5000);
    if (platform_console_get() == 'k') truths |= 4;  /* one key, no line end needed */
    host_console_restore();
    host_console_restore();
    tcgetattr(slave, &t);
    if ((t.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO)) truths |= 8;
    return truths;
}

TEST(a_terminal_is_raw_and_put_back) {
    int master, slave;
    REQUIRE(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(at_terminal(slave));
    }
    char text[64] = {0};
    size_t n = 0;
    struct pollfd one = {.fd = master, .events = POLLIN};
    while (n < 8 && poll(&one, 1, 10000) > 0) {
        ssize_t got = read(master, text + n, sizeof text - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    EXPECT_EQ(write(master, "k", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_STR(str_of(text, n), S("prompt> "));
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 15);
    close(master);
    close(slave);
}
