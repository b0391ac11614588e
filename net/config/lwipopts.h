/* SPDX-License-Identifier: Apache-2.0 */
/* lwipopts.h — lwIP's settings: raw API on one loop (NO_SYS), IPv4 and IPv6, DHCP, DNS, SNTP. */
#pragma once

/* The machine */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 8
#define LWIP_CHKSUM_ALGORITHM 3
#define LWIP_STATS 1
#define LWIP_STATS_DISPLAY 0

/* Pools, in bytes and pieces: all of lwIP's memory is static, so the link budget is known */
#define MEM_SIZE (2 * 1024 * 1024)
#define MEMP_NUM_PBUF 1024
#define MEMP_NUM_TCP_PCB 1024
#define MEMP_NUM_TCP_PCB_LISTEN 24
#define MEMP_NUM_TCP_SEG 2048
#define MEMP_NUM_UDP_PCB 12
#define MEMP_NUM_REASSDATA 16
#define MEMP_NUM_FRAG_PBUF 32
#define PBUF_POOL_SIZE 512
#define PBUF_POOL_BUFSIZE 1600
#define IP_REASS_MAX_PBUFS 32

/* Protocols */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_RAW 1
#define LWIP_DHCP 1
#define LWIP_ACD 1
#define LWIP_DHCP_DOES_ACD_CHECK 0 /* it would hold the address back for seconds at boot */
#define LWIP_DHCP_MAX_DNS_SERVERS 3
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 3
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_DHCP6 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1 /* offloads are switched per interface at run time */
#define IP_FORWARD 0
#define LWIP_TCP_KEEPALIVE 1

/* TCP */
#define LWIP_TCP 1
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 4
#define TCP_WND (256 * 1024)
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN (4 * TCP_SND_BUF / TCP_MSS)
#define TCP_SNDLOWAT 32768 /* a u16 inside lwIP */
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 255
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_TIMESTAMPS 0
#define TCP_QUEUE_OOSEQ 1
#define TCP_MSL 1000UL /* TIME_WAIT is 2 s, not 2 minutes */
#define TCP_OVERSIZE TCP_MSS

/* Names and time */
#define LWIP_DNS_SECURE                                                                            \
    (LWIP_DNS_SECURE_RAND_XID | LWIP_DNS_SECURE_NO_MULTIPLE_OUTSTANDING | LWIP_DNS_SECURE_RAND_SRC_PORT)
#define SNTP_SERVER_DNS 1
#define SNTP_MAX_SERVERS 3
