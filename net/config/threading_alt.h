/* SPDX-License-Identifier: Apache-2.0 */
/* threading_alt.h — mbedTLS's mutexes are platform locks: held for a table lookup, never across
 * anything that waits. net/tls.c gives the functions. Plain C: the library is built without our
 * headers. */
#pragma once

typedef struct mbedtls_threading_mutex_t {
    unsigned int word; /* a struct platform_lock */
} mbedtls_threading_mutex_t;
