/* SPDX-License-Identifier: Apache-2.0 */
/* console.c — the terminal as the appliance's serial line.
 *
 * A serial line neither echoes nor gathers lines, so a terminal is told not to either; signals
 * keep working (Ctrl-C stops cleanly). It is put back on every way out. In the background of a
 * shell, or without a terminal's input, nothing is read. */
#include "kernel/host/host_impl.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

static bool reading, terminal;
static struct termios before;
static int polled_at = -1;

void host_console_start(void) {
    terminal = isatty(STDIN_FILENO) != 0;
    reading = !terminal || tcgetpgrp(STDIN_FILENO) == getpgrp();
    if (!terminal || !reading) return;
    if (tcgetattr(STDIN_FILENO, &before)) {
        terminal = false;
        return;
    }
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0; /* reading never waits, without O_NONBLOCK on a file others share */
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

void host_console_restore(void) {
    if (terminal && reading) tcsetattr(STDIN_FILENO, TCSANOW, &before);
    terminal = false;
}

void host_console_poll(struct host_poll *p) {
    polled_at = reading ? host_poll_add(p, STDIN_FILENO, POLLIN) : -1;
}

u32 host_console_polled(struct host_poll *p) {
    if (polled_at < 0 || !p->fds[polled_at].revents) return 0;
    if (p->fds[polled_at].revents & (POLLERR | POLLNVAL)) {
        reading = false;
        return 0;
    }
    return WAIT_CONSOLE;
}

int platform_console_get(void) {
    if (!reading) return -1;
    struct pollfd one = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&one, 1, 0) <= 0 || !one.revents) return -1;
    u8 c;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n == 1) return c;
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) reading = false; /* end of input */
    return -1;
}

/* Nobody reading must not stop the loop: after one wait, what does not fit is dropped until
 * somebody reads again. Writable means room for PIPE_BUF bytes at least. */
#define PATIENCE_MS 50

void platform_console_put(str bytes) {
    static bool stuck; /* any thread may set it; either value is right */
    while (bytes.len) {
        struct pollfd one = {.fd = STDOUT_FILENO, .events = POLLOUT};
        int ready = poll(&one, 1, __atomic_load_n(&stuck, __ATOMIC_RELAXED) ? 0 : PATIENCE_MS);
        if (ready < 0 && errno == EINTR) continue;
        __atomic_store_n(&stuck, ready == 0, __ATOMIC_RELAXED);
        if (ready <= 0) return;
        ssize_t n = write(STDOUT_FILENO, bytes.ptr, MIN(bytes.len, (size_t)PIPE_BUF));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return;
        bytes = str_skip(bytes, (size_t)n);
    }
}
