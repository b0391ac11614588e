/* SPDX-License-Identifier: Apache-2.0 */
/* link.c — the wire: platform nic below, lwIP's netif above.
 *
 *   WAIT_NIC -> recv up to RX_BATCH frames -> ethernet_input ... -> stream_deliver()
 *   turn's end -> stream_flush_all() -> frames that found the ring full -> one doorbell
 *
 * A frame is received into a full-size buffer; a small one is copied to a buffer of its size, so
 * that a peer's tiny segments never make us hold big blocks. Checksums the device vouches for are
 * not computed again; those it offers to fill in are left to it, packet by packet, never as a
 * global switch. When the ring is full, at most TX_WAITING_MAX frames wait; more are dropped, and
 * TCP sends them again.
 *
 * lwIP's timers run from two of ours: TCP's only while there is a connection block, the rest once a
 * second. What addresses the netif has is link_address.c's business. */
#include "net/link_impl.h"
#include "net/heap.h"
#include "net/net_impl.h"
#include "net/pcb.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/inet_chksum.h"
#include "lwip/init.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "netif/ethernet.h"

#define RX_BATCH 64
#define RX_COPY_BELOW 768u /* shorter frames move to a buffer of their size */
#define FRAME_LEAST 60u     /* IEEE 802.3: the shortest frame, without its check sequence */
#define TX_WAITING_MAX 256u

static struct link link_of_loop;
struct link *const link_here = &link_of_loop;

/* ---- Sending --------------------------------------------------------------------------------- */

/* Offset of the TCP header if the device is to complete its checksum: its field then gets the sum
 * of the pseudo header, as virtio 1.2 5.1.6.2 wants it. 0: nothing to complete. */
static u16 checksum_prepare(struct pbuf *p) {
    u8 *frame = p->payload;
    u16 at;
    struct tcp_hdr *tcp;
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN) return 0;
    const struct eth_hdr *eth = p->payload;
    ip_addr_t src = {0}, dest = {0};
    if (eth->type == PP_HTONS(ETHTYPE_IP)) {
        const struct ip_hdr *ip = (const struct ip_hdr *)(frame + SIZEOF_ETH_HDR);
        if (IPH_PROTO(ip) != IP_PROTO_TCP) return 0;
        at = (u16)(SIZEOF_ETH_HDR + IPH_HL_BYTES(ip));
        ip_addr_set_ip4_u32_val(src, ip->src.addr);
        ip_addr_set_ip4_u32_val(dest, ip->dest.addr);
    } else if (eth->type == PP_HTONS(ETHTYPE_IPV6)) {
        const struct ip6_hdr *ip = (const struct ip6_hdr *)(frame + SIZEOF_ETH_HDR);
        if (p->len < SIZEOF_ETH_HDR + IP6_HLEN + TCP_HLEN) return 0;
        if (IP6H_NEXTH(ip) != IP6_NEXTH_TCP) return 0;
        at = SIZEOF_ETH_HDR + IP6_HLEN;
        ip_addr_copy_from_ip6_packed(src, ip->src);
        ip_addr_copy_from_ip6_packed(dest, ip->dest);
    } else {
        return 0;
    }
    if (p->len < at + TCP_HLEN) return 0;
    tcp = (struct tcp_hdr *)(frame + at);
    struct pbuf empty = {.next = NULL, .ref = 1};
    tcp->chksum = (u16)~ip_chksum_pseudo(&empty, IP_PROTO_TCP, (u16)(p->tot_len - at), &src, &dest);
    return at;
}

static rc_t frame_send(struct link *l, struct pbuf *p) {
    str parts[NIC_TX_PARTS_MAX];
    struct nic_tx tx = {.parts = parts};
    struct pbuf *q = p;
    for (; q && tx.count < NIC_TX_PARTS_MAX; q = q->next)
        if (q->len) parts[tx.count++] = str_of(q->payload, q->len);
    if (q) return RC_LIMIT;
    if (l->nic_info.offloads & NIC_CSUM_TX) {
        tx.csum_start = checksum_prepare(p);
        tx.csum_offset = offsetof(struct tcp_hdr, chksum);
        tx.csum = tx.csum_start != 0;
    }
    rc_t rc = platform_nic_send(l->nic, &tx);
    if (rc) return rc;
    l->tx_frames++;
    l->tx_bytes += p->tot_len;
    l->kick = true;
    return RC_OK;
}

static bool tx_flush(struct link *l) {
    while (l->waiting_count) {
        u32 at = l->waiting_at;
        rc_t rc = frame_send(l, l->waiting[at]);
        if (rc == RC_AGAIN) return false;
        if (rc) l->tx_dropped++;
        pbuf_free(l->waiting[at]);
        l->waiting_at = (at + 1) % TX_WAITING_MAX;
        l->waiting_count--;
    }
    return true;
}

static err_t netif_linkoutput(struct netif *netif, struct pbuf *p) {
    struct link *l = netif->state;
    if (pcb_output_muted()) return ERR_OK;
    if (p->tot_len > l->nic_info.mtu + SIZEOF_ETH_HDR) {
        l->tx_dropped++;
        return ERR_VAL;
    }
    rc_t rc = l->waiting_count ? RC_AGAIN : frame_send(l, p);
    if (rc == RC_OK) return ERR_OK;
    if (rc == RC_LIMIT || rc == RC_AGAIN) { /* too scattered for the device, or it is full */
        struct pbuf *whole =
            l->waiting_count < TX_WAITING_MAX ? pbuf_clone(PBUF_RAW, PBUF_RAM, p) : NULL;
        if (whole) {
            l->waiting[(l->waiting_at + l->waiting_count++) % TX_WAITING_MAX] = whole;
            if (rc == RC_LIMIT) (void)tx_flush(l);
            return ERR_OK;
        }
    }
    l->tx_dropped++;
    return ERR_OK; /* lost on the way, as any frame may be: the sender's timer knows what to do */
}

static void link_before_sleep(void *arg) {
    struct link *l = arg;
    stream_flush_all();
    (void)tx_flush(l);
    if (l->kick) platform_nic_kick(l->nic);
    l->kick = false;
    if (pcb_count() && !timer_waiting(&l->tcp_timer))
        (void)timer_start_after_ms(&l->tcp_timer, pcb_timer_interval_ms());
}

/* ---- Receiving ------------------------------------------------------------------------------- */

void link_frame_input(struct link *l, struct pbuf *p, u32 flags) {
    u16 checks = NETIF_CHECKSUM_ENABLE_ALL;
    if (flags & NIC_RX_CSUM_OK)
        checks &= (u16) ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP);
    if (l->nic_info.offloads & NIC_CSUM_TX) checks &= (u16)~NETIF_CHECKSUM_GEN_TCP;
    NETIF_SET_CHECKSUM_CTRL(&l->netif, checks);
    l->rx_frames++;
    l->rx_bytes += p->tot_len;
    if (l->netif.input(p, &l->netif) != ERR_OK) {
        l->rx_dropped++;
        pbuf_free(p);
    }
}

/* The next frame in a buffer of its own; NULL: none waiting, or no memory (then it is lost). */
static struct pbuf *frame_take(struct link *l, rc_t *rc, u32 *flags) {
    size_t n = 0;
    struct pbuf *p = l->spare ? l->spare : pbuf_alloc(PBUF_RAW, NIC_FRAME_MAX, PBUF_RAM);
    static u8 nowhere[NIC_FRAME_MAX];
    l->spare = NULL;
    *rc = platform_nic_recv(l->nic, p ? p->payload : nowhere, NIC_FRAME_MAX, &n, flags);
    if (*rc || !p || n < SIZEOF_ETH_HDR) {
        if (!*rc) l->rx_dropped++;
        l->spare = p;
        return NULL;
    }
    if (n < FRAME_LEAST) { /* as the wire would have it; lwIP reads an ARP packet unasked */
        memset((u8 *)p->payload + n, 0, FRAME_LEAST - n);
        n = FRAME_LEAST;
    }
    if (n < RX_COPY_BELOW) {
        struct pbuf *small = pbuf_alloc(PBUF_RAW, (u16)n, PBUF_RAM);
        if (small) memcpy(small->payload, p->payload, n);
        else l->rx_dropped++;
        l->spare = p;
        return small;
    }
    pbuf_realloc(p, (u16)n);
    return p;
}

static bool link_poll(void *arg, u32 bits) {
    struct link *l = arg;
    rc_t rc = RC_OK;
    u32 flags = 0, n = 0;
    if (bits & WAIT_LINK) link_carrier_changed(l);
    for (; n < RX_BATCH; n++) {
        struct pbuf *p = frame_take(l, &rc, &flags);
        if (rc) break;
        if (p) link_frame_input(l, p, flags);
    }
    stream_deliver();
    return rc == RC_OK;
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static void on_tcp_timer(void *arg) {
    struct link *l = arg;
    pcb_timer();
    stream_deliver();
    if (pcb_count()) (void)timer_start_after_ms(&l->tcp_timer, pcb_timer_interval_ms());
}

static void on_second(void *arg) {
    struct link *l = arg;
    etharp_tmr();
    ip_reass_tmr();
    dns_tmr();
    nd6_tmr();
    ip6_reass_tmr();
    for (int i = 0; i < 1000 / MLD6_TMR_INTERVAL; i++) mld6_tmr();
    if (l->dhcp_wanted) {
        dhcp_fine_tmr();
        dhcp_fine_tmr();
        if (++l->seconds % DHCP_COARSE_TIMER_SECS == 0) dhcp_coarse_tmr();
    }
    link_address_watch(l);
    (void)timer_start_after_ms(&l->second, 1000);
}

/* ---- Start ----------------------------------------------------------------------------------- */

static err_t netif_begin(struct netif *netif) {
    struct link *l = netif->state;
    netif->name[0] = 'e', netif->name[1] = (char)('0' + l->nic % 10);
    netif->hostname = l->hostname;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = netif_linkoutput;
    netif->mtu = l->nic_info.mtu;
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, l->nic_info.mac, 6);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    NETIF_SET_CHECKSUM_CTRL(netif, (l->nic_info.offloads & NIC_CSUM_TX)
                                       ? NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP
                                       : NETIF_CHECKSUM_ENABLE_ALL);
    return ERR_OK;
}

void net_init(void) {
    static bool done;
    if (done) return;
    done = true;
    lwip_init();
    /* A block, its SYN-ACK segment and their buffers: a quarter of the budget may be such. */
    pcb_init((u32)MIN((size_t)CONNECTION_MAX * 4, MAX(net_heap_limit() / 4 / 512, (size_t)512)));
}

rc_t link_start(const struct link_options *o, struct diag *why) {
    struct link *l = link_here;
    if (o->nic >= platform_nic_count()) {
        diag_set(why, "there is no network card number %u", (unsigned)o->nic);
        return RC_NOT_FOUND;
    }
    rc_t rc = link_address_options(l, o, why);
    if (rc) return rc;
    net_init();
    if (l->started) {
        diag_set(why, "the network is already up");
        return RC_CONFLICT;
    }
    l->nic = o->nic;
    if ((rc = platform_nic_open(l->nic, &l->nic_info))) {
        diag_set(why, "the network card does not answer: %s", rc_name(rc));
        return rc;
    }
    if (l->nic_info.mtu > NIC_FRAME_MAX - 18) l->nic_info.mtu = NIC_FRAME_MAX - 18;
    timer_init(&l->tcp_timer, on_tcp_timer, l);
    timer_init(&l->second, on_second, l);
    if (!netif_add_noaddr(&l->netif, l, netif_begin, ethernet_input)) return RC_NO_MEMORY;
    netif_set_default(&l->netif);
    if ((rc = loop_poller_add(WAIT_NIC | WAIT_LINK, link_poll, l))) return rc;
    if ((rc = loop_before_sleep_add(link_before_sleep, l))) return rc;
    if ((rc = timer_start_after_ms(&l->second, 1000))) return rc;
    l->started = true;
    link_address_start(l);
    return RC_OK;
}
