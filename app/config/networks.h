/* SPDX-License-Identifier: Apache-2.0 */
/* networks.h — lists of addresses and networks, "10.0.0.0/8, 2001:db8::/32, 192.0.2.7". */
#pragma once
#include "net/stream.h"

#define NETWORKS_MAX 64u
struct network {
    u8 bytes[16]; /* as in net_address */
    u32 bits;     /* 0..128, of the 16 bytes */
};
/* RC_INVALID: one is none; RC_LIMIT: more than NETWORKS_MAX. */
rc_t networks_parse(str text, struct network list[NETWORKS_MAX], u32 *count);
bool networks_hold(const struct network *list, u32 count, const struct net_address *a);
bool check_networks(str value, struct diag *why);
