/* SPDX-License-Identifier: Apache-2.0 */
/* link.h — the network interface: platform nic below, lwIP above; addresses, names, time. */
#pragma once
#include "kernel/base/base.h"
#include "net/stream.h"

struct link_options {
    str address; /* "dhcp" or "192.0.2.2/24" */
    str gateway; /* "" or "192.0.2.1" */
    str dns;     /* "" (from DHCP) or addresses, comma separated */
    str ntp;     /* "" (off, or from DHCP) or names/addresses, comma separated */
    str hostname;
    bool ipv6; /* SLAAC */
    u32 nic;
};
rc_t link_start(const struct link_options *options, struct diag *why); /* RC_INVALID names it */
bool link_ready(void);                                                 /* an address is usable */
struct link_status {
    bool up, dhcp_bound;
    u8 mac[6];
    char ipv4[16], netmask[16], gateway[16]; /* "" = none */
    char ipv6[3][46];                        /* "" = none */
    u64 rx_frames, tx_frames, rx_bytes, tx_bytes, rx_dropped, tx_dropped;
    u64 ready_ns; /* platform clock when first ready; 0 = not yet */
};
void link_status_get(struct link_status *out);
void link_on_change(void (*fn)(void)); /* address or link changed; called on the loop */

/* Names to addresses; fibers only. RC_NOT_FOUND RC_TIMEOUT. */
rc_t name_resolve(str name, u64 deadline_ns, struct net_address *out);
#define NAME_ADDRESSES_MAX 8u /* of one name that are looked at */
/* All that are known, those to be tried first in front. Ports are 0. */
rc_t name_resolve_all(str name, u64 deadline_ns, struct net_address *out, u32 room, u32 *count);

/* Time from the network: steps the wall clock once, then follows. */
struct sntp_status {
    bool synced;
    u64 last_ns;
    s64 offset_ns;
};
void sntp_status_get(struct sntp_status *out);
