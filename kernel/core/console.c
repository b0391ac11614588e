/* SPDX-License-Identifier: Apache-2.0 */
/* console.c — the operator's serial line: typed characters become lines, lines find a command.
 *
 *   byte -> [ line, CONSOLE_LINE_MAX ] --enter--> word, rest -> command's run(rest, out) -> console
 *
 * The terminal does not echo (a serial line cannot), so this does. Answers are gathered in a
 * bounded buffer and written at once; a long one is cut and says so. The few commands here are the
 * core's own; modules bring theirs. Nothing typed reaches data: whoever holds the serial line may
 * look, and stop the machine, which a power switch could do as well. */
#include "kernel/core/console.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include <stdarg.h>
#include <stdio.h>

#define OUT_BYTES_MAX 32768u
#define INPUT_PER_TURN 256u /* a flood of typing does not hold the loop */

struct console {
    const struct console_command *commands[CONSOLE_COMMAND_MAX];
    u32 command_count;
    char line[CONSOLE_LINE_MAX];
    u32 length;
    bool too_long; /* the line is dropped at its end */
    bool after_cr; /* CR LF is one line end */
    struct buf out;
};
static struct console serial;

void console_print(const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0) platform_console_put((str){text, MIN((size_t)n, sizeof text - 1)});
}

/* ---- The core's own commands ----------------------------------------------------------------- */

static void run_help(str arguments, struct buf *out) {
    (void)arguments;
    for (u32 i = 0; i < serial.command_count; i++)
        (void)buf_printf(out, "  %-10s %s\n", serial.commands[i]->name, serial.commands[i]->help);
}

static void run_mem(str arguments, struct buf *out) {
    (void)arguments;
    memory_print(out);
    (void)buf_printf(out, "machine: %llu KiB in use\n",
                     (unsigned long long)platform_memory_used() >> 10);
}

static void run_log(str arguments, struct buf *out) {
    u64 lines = 20;
    if (arguments.len && str_to_u64(arguments, &lines)) {
        (void)buf_add(out, S("log: how many lines? For example: log 50\n"));
        return;
    }
    u64 next = log_next_seq(), seq = next - MIN(MIN(lines, 200ull), next);
    while (seq < next) {
        char text[LOG_LINE_MAX];
        size_t n;
        rc_t rc = log_read(&seq, text, sizeof text, &n);
        if (rc == RC_LIMIT) continue; /* moved on to the oldest there is */
        if (rc) break;
        (void)buf_printf(out, "%.*s\n", (int)n, text);
        seq++;
    }
}

static void run_loop(str arguments, struct buf *out) {
    (void)arguments;
    struct loop_stats s;
    struct worker_stats w;
    loop_stats_get(&s);
    worker_stats_get(&w);
    u64 whole_ns = s.busy_ns + s.idle_ns;
    (void)buf_printf(out, "loop: %llu turns, %llu%% busy, longest %llu us, %llu slow\n",
                     (unsigned long long)s.turns,
                     (unsigned long long)(whole_ns ? s.busy_ns * 100 / whole_ns : 0),
                     (unsigned long long)s.lag_us_max, (unsigned long long)s.slow_turns);
    (void)buf_printf(out, "workers: %u, %llu jobs, %llu refused, longest queue %u\n",
                     worker_count(), (unsigned long long)w.jobs, (unsigned long long)w.refused,
                     w.queue_peak);
}

static void see_fiber(void *arg, const char *name, u64 parked_ns) {
    (void)buf_printf(arg, "  %-20s parked %llu ms\n", name,
                     (unsigned long long)(parked_ns / NS_PER_MS));
}

static void run_fibers(str arguments, struct buf *out) {
    (void)arguments;
    (void)buf_printf(out, "fibers: %u of %u in use, at most %u\n", fiber_count(), fiber_capacity(),
                     fiber_count_peak());
    fiber_each(see_fiber, out);
}

static void run_disks(str arguments, struct buf *out) {
    (void)arguments;
    for (u32 i = 0; i < platform_disk_count(); i++) {
        struct disk_info info;
        struct disk_stats s;
        if (disk_info_get(i, &info)) continue;
        disk_stats_get(i, &s);
        (void)buf_printf(
            out, "disk %u: %llu MiB%s, %llu reads, %llu writes, %llu flushes, %llu errors, "
            "%u now\n",
            i, (unsigned long long)(info.block_count * info.block_bytes >> 20),
            info.read_only ? " read-only" : "", (unsigned long long)s.reads,
            (unsigned long long)s.writes, (unsigned long long)s.flushes,
            (unsigned long long)s.errors, s.in_flight);
    }
}

static const struct console_command own[] = {
    {"help", "this list", run_help},
    {"mem", "memory budgets", run_mem},
    {"log", "log N: the newest N lines (20)", run_log},
    {"loop", "how busy the loop and the workers are", run_loop},
    {"fibers", "what is running and what waits", run_fibers},
    {"disks", "disks and what they did", run_disks},
};

/* ---- Typing ---------------------------------------------------------------------------------- */

static void dispatch(str line) {
    str rest = str_trim(line), word;
    if (!rest.len || !str_split(&rest, ' ', &word)) return;
    buf_clear(&serial.out);
    bool known = false;
    for (u32 i = 0; i < serial.command_count && !known; i++) {
        if (!str_eq(word, str_from_c(serial.commands[i]->name))) continue;
        known = true;
        serial.commands[i]->run(rest.ptr ? str_trim(rest) : S(""), &serial.out);
    }
    if (!known) {
        (void)buf_add(&serial.out, S("No such command. There are:\n"));
        run_help(S(""), &serial.out);
    }
    platform_console_put(buf_str(&serial.out));
    if (serial.out.failed) platform_console_put(S("(cut: the answer is longer)\n"));
}

static void end_line(void) {
    platform_console_put(S("\n"));
    if (serial.too_long) platform_console_put(S("The line is too long.\n"));
    else dispatch((str){serial.line, serial.length});
    serial.length = 0;
    serial.too_long = false;
}

static void typed(char c) {
    bool after_cr = serial.after_cr;
    serial.after_cr = c == '\r';
    if (c == '\n' && after_cr) return;
    if (c == '\r' || c == '\n') {
        end_line();
    } else if (c == '\b' || c == 0x7F) {
        if (!serial.length) return;
        serial.length--;
        platform_console_put(S("\b \b"));
    } else if (c == 0x15) { /* Ctrl-U */
        for (; serial.length; serial.length--) platform_console_put(S("\b \b"));
        serial.too_long = false;
    } else if (c < 0x20 || c > 0x7E) {
        return; /* escape sequences, line noise */
    } else if (serial.length == sizeof serial.line) {
        serial.too_long = true;
    } else {
        serial.line[serial.length++] = c;
        platform_console_put((str){&c, 1});
    }
}

static bool on_typing(void *arg, u32 bits) {
    (void)arg, (void)bits;
    for (u32 i = 0; i < INPUT_PER_TURN; i++) {
        int c = platform_console_get();
        if (c < 0) return false;
        typed((char)c);
    }
    return true;
}

rc_t console_command_add(const struct console_command *command) {
    if (serial.command_count == CONSOLE_COMMAND_MAX) return RC_LIMIT;
    serial.commands[serial.command_count++] = command;
    return RC_OK;
}

rc_t console_init(void) {
    buf_close(&serial.out);
    serial = (struct console){0};
    buf_open(&serial.out, OUT_BYTES_MAX);
    for (u32 i = 0; i < ARRAY_LEN(own); i++) {
        rc_t rc = console_command_add(&own[i]);
        if (rc) return rc;
    }
    return loop_poller_add(WAIT_CONSOLE, on_typing, NULL);
}
