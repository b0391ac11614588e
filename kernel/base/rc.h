/* SPDX-License-Identifier: Apache-2.0 */
/* rc.h — result codes. A function that can fail returns one; values leave through
 * out-parameters, last. Words for people go to a `struct diag` the caller passes. */
#pragma once

#if __STDC_VERSION__ > 201710L
#define RC_NODISCARD [[nodiscard]]
#else
#define RC_NODISCARD /* a library, in older C, that meets our types in its configuration */
#endif
typedef enum RC_NODISCARD rc {
    RC_OK = 0,
    RC_AGAIN,     /* not yet: call again when bytes, room or time arrive */
    RC_PASS,      /* not mine: let the next handler look */
    RC_NOT_FOUND, /* the caller's request: no such thing */
    RC_DENIED,    /* the caller's request: not allowed */
    RC_INVALID,   /* the caller's request: malformed or out of range */
    RC_CONFLICT,  /* the caller's request: exists already, or was changed meanwhile */
    RC_LIMIT,     /* a number in limits.h was reached */
    RC_NO_MEMORY, /* a budget is used up */
    RC_FULL,      /* the disk is full */
    RC_IO,        /* the world: a device failed */
    RC_CORRUPT,   /* the world: bytes that cannot be right */
    RC_TIMEOUT,   /* the world: nothing came in time */
    RC_CLOSED,    /* the peer or the service has gone */
} rc_t;

const char *rc_name(rc_t rc); /* "RC_IO"; never NULL */

/* A sentence for a person about what went wrong: filled by whoever knows best. */
#define DIAG_TEXT_MAX 256
struct diag {
    char text[DIAG_TEXT_MAX]; /* NUL-terminated, possibly cut */
    int line, column;         /* 1-based; 0 = not about a place in a text */
};
void diag_set(struct diag *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
