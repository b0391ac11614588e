/* SPDX-License-Identifier: Apache-2.0 */
/* rc.c — result codes as words, and sentences for people. */
#include "kernel/base/base.h"
#include <stdarg.h>
#include <stdio.h>

const char *rc_name(rc_t rc) {
    static const char *const names[] = {
        [RC_OK] = "RC_OK",
        [RC_AGAIN] = "RC_AGAIN",
        [RC_PASS] = "RC_PASS",
        [RC_NOT_FOUND] = "RC_NOT_FOUND",
        [RC_DENIED] = "RC_DENIED",
        [RC_INVALID] = "RC_INVALID",
        [RC_CONFLICT] = "RC_CONFLICT",
        [RC_LIMIT] = "RC_LIMIT",
        [RC_NO_MEMORY] = "RC_NO_MEMORY",
        [RC_FULL] = "RC_FULL",
        [RC_IO] = "RC_IO",
        [RC_CORRUPT] = "RC_CORRUPT",
        [RC_TIMEOUT] = "RC_TIMEOUT",
        [RC_CLOSED] = "RC_CLOSED",
    };
    if ((size_t)rc >= ARRAY_LEN(names) || !names[rc]) return "RC_?";
    return names[rc];
}

void diag_set(struct diag *why, const char *fmt, ...) {
    if (!why) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
}
