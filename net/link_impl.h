/* SPDX-License-Identifier: Apache-2.0 */
/* link_impl.h — the interface as link.c (frames), link_address.c (addresses), name.c and sntp.c
 * share it. Not for other folders. */
#pragma once
#include "net/link.h"
#include "kernel/platform.h"
#include "kernel/core/timer.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

struct link {
    u32 nic;
    bool started, kick;
    struct nic_info nic_info;
    struct netif netif;
    char hostname[64];
    struct timer tcp_timer, second;
    u32 seconds;
    struct pbuf *spare;        /* a full-size receive buffer, ready */
    struct pbuf *waiting[256]; /* frames the ring had no room for, in order */
    u32 waiting_at, waiting_count;
    u64 rx_frames, tx_frames, rx_bytes, tx_bytes, rx_dropped, tx_dropped;

    /* link_address.c */
    bool dhcp_wanted, ipv6_wanted, dns_given;
    ip4_addr_t address, netmask, gateway;
    ip_addr_t dns[2], ntp[2];
    char ntp_name[2][256]; /* names asked for; empty: an address, or none */
    u32 dns_count, ntp_count;
    u64 ready_ns;
    bool was_ready;
    ip_addr_t seen[1 + LWIP_IPV6_NUM_ADDRESSES]; /* addresses at the last look */
};
extern struct link *const link_here;

void net_init(void); /* lwIP and its tables; once */
void link_frame_input(struct link *l, struct pbuf *p, u32 nic_rx_flags); /* takes p */

rc_t link_address_options(struct link *l, const struct link_options *o, struct diag *why);
void link_address_start(struct link *l);
void link_address_watch(struct link *l); /* notices what changed; tells who asked */
void link_carrier_changed(struct link *l);
void sntp_start(struct link *l);
