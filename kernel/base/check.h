/* SPDX-License-Identifier: Apache-2.0 */
/* check.h — facts that must hold. CHECK stays on in every build, has no side effects, states
 * one fact, and is never applied to input: input gets a result code. */
#pragma once

#define CHECK(e)                                                                                   \
    do {                                                                                           \
        if (__builtin_expect(!(e), 0)) panic("%s:%d: CHECK(%s)", __FILE__, __LINE__, #e);          \
    } while (0)

/* Last words (message, registers, backtrace, log tail) on the console and into the crash record,
 * then a reset; under test an exit with a non-zero status. Never returns, may be called
 * anywhere. */
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *fmt, ...);
