/* SPDX-License-Identifier: Apache-2.0 */
/* lwipopts.h — lwIP settings only. One loop, raw API, memory from MEMORY_NET (net/heap.c), our own
 * timers (net/link.c) and our own PCB lookup (net/pcb.c). Anything not named is lwIP's default. */
#pragma once
#include "net/config/lwip_hooks.h"

/* ---- Shape ---- */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_TIMERS 0 /* link.c calls every *_tmr: only the ones needed, only while needed */

/* ---- Memory: one bounded heap; the pools of memp are size classes of it ---- */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC net_heap_alloc
#define MEM_CUSTOM_CALLOC net_heap_zero
#define MEM_CUSTOM_FREE net_heap_free
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define PBUF_LINK_HLEN 14
#define PBUF_LINK_ENCAPSULATION_HLEN 0

/* ---- Ethernet, ARP ---- */
#define LWIP_ARP 1
#define ARP_TABLE_SIZE 64        /* neighbours on one link; the oldest makes room */
#define ARP_QUEUEING 0           /* one packet waits per unresolved address: bounded by the table */
#define ETHARP_SUPPORT_VLAN 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1

/* ---- IPv4 ---- */
#define LWIP_IPV4 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 16    /* for all half-built datagrams together */
#define IP_REASS_MAXAGE 5        /* seconds */
#define IP_FRAG 0                /* TCP fits by MSS; we send no large UDP */
#define IP_OPTIONS_ALLOWED 0     /* source routing and friends: dropped */
#define LWIP_ICMP 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define LWIP_RAW 0
#define LWIP_IGMP 0
#define LWIP_AUTOIP 0

/* ---- DHCP: no address check by ARP. It costs seconds; the server answers for its leases ------ */
#define LWIP_DHCP 1
#define LWIP_ACD 0
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DHCP_BOOTP_FILE 0
#define LWIP_DHCP_GET_NTP_SRV 1
#define LWIP_DHCP_MAX_NTP_SERVERS 2
#define LWIP_DHCP_PROVIDE_DNS_SERVERS 1

/* ---- DNS ---- */
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 2
#define DNS_TABLE_SIZE 16
#define DNS_MAX_NAME_LENGTH 254
#define LWIP_DNS_SUPPORT_MDNS_QUERIES 0
#define LWIP_DNS_SECURE 7        /* random id, random source port, no two queries alike */

/* ---- IPv6 ---- */
#define LWIP_IPV6 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 1
#define IPV6_FRAG_COPYHEADER 1   /* its notes do not fit into a 64-bit fragment header */
#define LWIP_IPV6_NUM_ADDRESSES 3
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 1
#define LWIP_ND6_QUEUEING 0      /* one packet per neighbour, as with ARP */
#define LWIP_ND6_NUM_NEIGHBORS 64
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_NUM_PREFIXES 4
#define LWIP_ND6_NUM_ROUTERS 3
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 0 /* any neighbour could name the resolver */
#define MEMP_NUM_MLD6_GROUP 8

/* ---- UDP ---- */
#define LWIP_UDP 1
#define LWIP_UDPLITE 0

/* ---- TCP ---- */
#define LWIP_TCP 1
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_WND (256 * 1024)     /* a peer's credit; what it really gets is bounded by stream.c */
#define TCP_SND_BUF (256 * 1024) /* likewise */
#define TCP_SND_QUEUELEN 2048
#define MEMP_NUM_TCP_SEG 2048    /* lwIP's sanity check compares with the line above */
#define TCP_SNDLOWAT (32 * 1024)
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES (64 * 1024)
#define TCP_OOSEQ_MAX_PBUFS 64
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 0
#define TCP_TMR_INTERVAL 50      /* ms: delayed ACK; retransmission grain is twice that */
#define LWIP_TCP_RTO_TIME 1000   /* RFC 6298 2.1 */
#define TCP_MSL 1000UL           /* TIME_WAIT 2 s: 60 s fills memory at any real request rate */
#define TCP_LISTEN_BACKLOG 0     /* its counter is 8 bits; admission is net/pcb.c */
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define TCP_OVERSIZE TCP_MSS
#define LWIP_TCP_SYN_RCVD_TIMEOUT 5000

/* ---- Statistics: counters are cheap and feed /metrics ---- */
#define LWIP_STATS 1
#define LWIP_STATS_LARGE 1
#define LWIP_STATS_DISPLAY 0
#define MEM_STATS 0
#define MEMP_STATS 0
#define SYS_STATS 0
