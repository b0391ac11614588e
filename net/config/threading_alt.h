/* SPDX-License-Identifier: Apache-2.0 */
/* threading_alt.h — mbedTLS's mutexes are platform locks: held for a table lookup, never across
 * anything that waits. net/tls.c gives the functions. */
#pragma once
#include "kernel/platform.h"

typedef struct mbedtls_threading_mutex_t {
    struct platform_lock lock;
} mbedtls_threading_mutex_t;
