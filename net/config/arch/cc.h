/* SPDX-License-Identifier: Apache-2.0 */
/* cc.h — lwIP's compiler and machine glue: x86_64, gcc or clang, nothing of an operating system. */
#pragma once
#include <stdint.h>
#include <limits.h>
#include <sys/types.h>
#include <stddef.h>
#include "kernel/base/check.h"

#ifndef BYTE_ORDER
#define BYTE_ORDER 1234 /* little endian */
#endif
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_UNISTD_H 1
#ifndef SSIZE_MAX
#define SSIZE_MAX INTPTR_MAX /* lwIP must not define ssize_t again */
#endif

#define lwip_htons(x) __builtin_bswap16((uint16_t)(x))
#define lwip_htonl(x) __builtin_bswap32((uint32_t)(x))

/* An invariant of lwIP's own is broken: last words, then a reset. Input is checked with LWIP_ERROR
 * and by statistics counters, which only run their handler. */
#define LWIP_PLATFORM_ASSERT(message) panic("lwip: %s", message)
#define LWIP_PLATFORM_DIAG(arguments)
#define LWIP_ERROR(message, expression, handler)                                                   \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            handler;                                                                               \
        }                                                                                          \
    } while (0)

uint32_t net_random_u32(void);
#define LWIP_RAND() net_random_u32()

uint16_t net_checksum(const void *bytes, int n);
#define LWIP_CHKSUM net_checksum
