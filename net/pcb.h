/* SPDX-License-Identifier: Apache-2.0 */
/* pcb.h — lwIP's connection blocks, found by hash; who may open one; how long dead ones stay.
 * Every lwIP call that adds or removes a block goes through here. Loop only. */
#pragma once
#include "kernel/base/base.h"
#include "lwip/tcp.h"

struct stream;

void pcb_init(u32 connections_max);
/* Blocks of every kind: open, half open, TIME_WAIT. */
u32 pcb_count(void);
struct pcb_stats {
    u64 half_open_full; /* SYNs answered with a cookie */
    u64 cookies_good;   /* connections made from one */
    u64 recycled;       /* TIME_WAIT blocks ended early */
    u64 refused;        /* SYNs dropped: no block to be had */
    u64 fragments;      /* TCP in IP fragments, dropped */
    u32 half_open;
};
void pcb_stats_get(struct pcb_stats *out);

/* One step of TCP's clock; call every pcb_timer_interval_ms() while pcb_count() > 0. */
void pcb_timer(void);
u32 pcb_timer_interval_ms(void);

/* lwIP's calls, with the block's bucket in place around them. */
struct tcp_pcb *pcb_listen(u16 port, tcp_accept_fn accept, void *arg); /* NULL: port in use */
void pcb_unlisten(struct tcp_pcb *listener);
struct tcp_pcb *pcb_connect(const ip_addr_t *to, u16 port, tcp_connected_fn connected, void *arg);
void pcb_accepted(struct tcp_pcb *pcb, struct stream *owner); /* in the accept callback */
void pcb_set_owner(struct tcp_pcb *pcb, struct stream *owner);
err_t pcb_shutdown_send(struct tcp_pcb *pcb);
void pcb_close(struct tcp_pcb *pcb); /* the peer may still be owed bytes: lwIP sends them */
void pcb_abort(struct tcp_pcb *pcb); /* reset */
/* Connections from an address that is no longer ours end. */
void pcb_address_gone(const ip_addr_t *address);

/* The block of `owner` was freed by lwIP. stream.c. */
void stream_pcb_gone(struct stream *owner);
/* Frames sent while a cookie's SYN is replayed go nowhere. link.c asks. */
bool pcb_output_muted(void);
