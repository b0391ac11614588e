/* SPDX-License-Identifier: Apache-2.0 */
/* console.h — the operator's serial line: a status screen and a few read-only commands that
 * modules bring (`help`, `status`, `mem`, `log`, `stop`). No shell, nothing that reads or writes
 * data. Lines typed are bounded; unknown ones are answered with `help`. The core brings help, mem,
 * log, loop, fibers, disks. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/buf.h"

struct console_command {
    const char *name, *help;
    void (*run)(str arguments, struct buf *out); /* on the loop, must not park */
};
rc_t console_init(void);
rc_t console_command_add(const struct console_command *command); /* lives for ever */
void console_print(const char *fmt, ...) PRINTF_LIKE(1, 2);      /* to the operator, always shown */
