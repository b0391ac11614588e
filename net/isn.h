/* SPDX-License-Identifier: Apache-2.0 */
/* isn.h — keyed hashes of connection addresses: sequence numbers, SYN cookies. */
#pragma once
#include "kernel/base/base.h"

u64 siphash(const u64 key[2], const void *bytes, size_t n); /* SipHash-2-4 */

/* Who speaks to whom, in a fixed layout so that it can be hashed. */
struct tuple {
    u32 remote[4], local[4];     /* IPv4 in [0], the rest zero; network order */
    u16 remote_port, local_port; /* host order */
    u32 v6;
};
static_assert(sizeof(struct tuple) == 40, "hashed as bytes: no holes");

void isn_init(void);
u32 isn_for(const struct tuple *t); /* RFC 6528: a 4 us clock plus a keyed hash */

/* A SYN cookie: the sequence number that lets a connection be made without remembering its SYN.
 * Eight steps of MSS in three bits, minutes in five, the rest keyed hash. */
u32 isn_cookie_make(const struct tuple *t, u32 client_isn, u16 mss);
bool isn_cookie_check(const struct tuple *t, u32 client_isn, u32 cookie, u16 *out_mss);
