/* SPDX-License-Identifier: Apache-2.0 */
/* lwip_hooks.h — the places where lwIP asks the port. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct pbuf;
struct netif;

void *net_heap_alloc(size_t n);
void *net_heap_zero(size_t count, size_t size);
void net_heap_free(void *p);

/* net/pcb.c: choose the hash bucket of a segment, or drop it before TCP sees it. 1 = eaten. */
int pcb_input_v4(struct pbuf *p, struct netif *in);
int pcb_input_v6(struct pbuf *p, struct netif *in);
#define LWIP_HOOK_IP4_INPUT(p, in) pcb_input_v4(p, in)
#define LWIP_HOOK_IP6_INPUT(p, in) pcb_input_v6(p, in)

/* net/isn.c: initial sequence numbers as RFC 6528 wants them. */
struct ip_addr;
uint32_t isn_next(const void *local_ip, uint16_t local_port, const void *remote_ip,
                  uint16_t remote_port);
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port)                            \
    isn_next(local_ip, local_port, remote_ip, remote_port)
