/* SPDX-License-Identifier: Apache-2.0 */
/* cc.h — lwIP's compiler glue: the C library's types, and our panic for its assertions. */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <limits.h>
#include <sys/types.h>

#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_NO_UNISTD_H 1
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX /* tells lwIP that ssize_t is there */
#endif
#define BYTE_ORDER LITTLE_ENDIAN

__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *fmt, ...);
uint32_t link_random(void); /* net/link.c: from the platform's entropy, buffered */
#define LWIP_PLATFORM_ASSERT(text) panic("lwip %s:%d: %s", __FILE__, __LINE__, text)
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_RAND() link_random()

/* NO_SYS=1 and one loop: nothing to protect, nothing to save. */
typedef int sys_prot_t;
