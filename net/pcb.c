/* SPDX-License-Identifier: Apache-2.0 */
/* pcb.c — a hash table around lwIP's lists, and the door in front of them.
 *
 * lwIP finds a connection by walking one list: 10,000 connections cost 200 us per segment. It keeps
 * the list's head in a global, so we keep one list per hash bucket and put the right one there:
 *
 *   frame -> ip4_input -> hook: parse the four-tuple, hash, select(bucket) -> tcp_input
 *   our call -> select(bucket of the pcb) -> tcp_close(...) -> select(back)
 *   timer -> for each bucket in use: select, tcp_fasttmr, tcp_slowtmr with the clock held
 *
 * Always true: tcp_active_pcbs and tcp_tw_pcbs are the lists of bucket `current`; a block is in the
 * bucket of its tuple; lwIP's code is never entered between a select and its way back other than
 * through this file.
 *
 * The door. A SYN costs us a block until its third packet comes, and a flood sends no third packet.
 * Some HALF_OPEN_MAX such blocks are kept; beyond, the answer is a SYN cookie and nothing is kept
 * (window scaling and SACK are lost for that connection, nothing else). When the cookie comes back,
 * the SYN it stands for is made again and fed to lwIP, muted, ahead of the segment itself.
 * A SYN that reopens a connection in TIME_WAIT ends the old one (RFC 1122 4.2.2.13); when blocks
 * run out, those in TIME_WAIT go first. TCP in IP fragments is dropped: MSS keeps it from being
 * needed, and no hash fits the second fragment. */
#include "net/pcb.h"
#include "net/heap.h"
#include "net/isn.h"
#include "net/net_impl.h"
#include "kernel/platform.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/priv/tcp_priv.h"

#define BUCKETS 1024u
#define HALF_OPEN_MAX 512u
#define HALF_OPEN_KEPT 8u                 /* of them for connections whose cookie came back */
#define COOKIE_WINDOW_NS (180 * NS_PER_S) /* how long after a flood its cookies are looked for */
#define TIMER_STEPS 8u                    /* a tick is spread once there are many blocks */
#define TIMER_SPREAD_FROM 1024u
static_assert(BUCKETS % (64 * TIMER_STEPS) == 0, "a step is whole words of the bitmap");

struct half_open { /* a block whose third packet has not come */
    struct half_open *next_free;
    bool used;
};

static struct pcb_table {
    struct {
        struct tcp_pcb *active, *time_wait;
    } bucket[BUCKETS];
    u64 in_use[BUCKETS / 64]; /* a bit per bucket that held a block when it was put away */
    u32 current;
    u64 key[2];
    u32 count, max;
    struct half_open slots[HALF_OPEN_MAX], *free_slot;
    u32 half_open, half_open_max;
    u32 sweep;       /* where the search for TIME_WAIT blocks goes on */
    u32 timer_at;    /* next 64 buckets of the tick */
    bool slow_phase; /* every second tick is tcp_slowtmr's */
    u8 timer_mirror; /* lwIP's private tcp_timer_ctr, counted along */
    u64 cookies_until_ns;
    bool replaying;
    u32 forced_isn;
    struct pcb_stats stats;
} table_of_loop, *const table = &table_of_loop;

static const struct tcp_ext_arg_callbacks watch;

/* ---- Buckets ------------------------------------------------------------------------------- */

static u32 tuple_bucket(const struct tuple *t) {
    u64 a = (u64)t->remote[0] << 32 | t->local[0];
    u64 b = (u64)t->remote_port << 16 | t->local_port;
    if (t->v6) {
        a ^= ((u64)t->remote[1] << 32 | t->remote[2]) * 0x9E3779B97F4A7C15ull;
        b ^= (u64)t->remote[3] << 32 | t->local[3];
    }
    unsigned __int128 m = (unsigned __int128)(a ^ table->key[0]) * (b ^ table->key[1]);
    u64 folded = (u64)m ^ (u64)(m >> 64);
    return (u32)(folded ^ folded >> 32) % BUCKETS;
}

static void tuple_of_pcb(const struct tcp_pcb *pcb, struct tuple *t) {
    *t = (struct tuple){.remote_port = pcb->remote_port, .local_port = pcb->local_port};
    if (IP_IS_V6_VAL(pcb->remote_ip)) {
        t->v6 = 1;
        memcpy(t->remote, ip_2_ip6(&pcb->remote_ip)->addr, 16);
        memcpy(t->local, ip_2_ip6(&pcb->local_ip)->addr, 16);
    } else {
        t->remote[0] = ip_2_ip4(&pcb->remote_ip)->addr;
        t->local[0] = ip_2_ip4(&pcb->local_ip)->addr;
    }
}

/* Puts bucket b's lists where lwIP looks; returns the bucket that was there. */
static u32 select_bucket(u32 b) {
    u32 before = table->current;
    if (b == before) return before;
    table->bucket[before].active = tcp_active_pcbs;
    table->bucket[before].time_wait = tcp_tw_pcbs;
    u64 bit = 1ull << before % 64;
    if (tcp_active_pcbs || tcp_tw_pcbs) table->in_use[before / 64] |= bit;
    else table->in_use[before / 64] &= ~bit;
    tcp_active_pcbs = table->bucket[b].active;
    tcp_tw_pcbs = table->bucket[b].time_wait;
    table->current = b;
    return before;
}

static u32 select_pcb(const struct tcp_pcb *pcb) {
    struct tuple t;
    tuple_of_pcb(pcb, &t);
    return select_bucket(tuple_bucket(&t));
}

static bool pcb_matches(const struct tcp_pcb *pcb, const struct tuple *t) {
    struct tuple own;
    if (pcb->remote_port != t->remote_port || pcb->local_port != t->local_port) return false;
    tuple_of_pcb(pcb, &own);
    return memcmp(&own, t, sizeof own) == 0;
}

static struct tcp_pcb *find(struct tcp_pcb *list, const struct tuple *t) {
    while (list && !pcb_matches(list, t)) list = list->next;
    return list;
}

static bool bucket_empty(u32 b) {
    if (b == table->current) return !tcp_active_pcbs && !tcp_tw_pcbs;
    return !(table->in_use[b / 64] >> b % 64 & 1);
}

void pcb_init(u32 connections_max) {
    table->key[0] = (u64)net_random_u32() << 32 | net_random_u32();
    table->key[1] = (u64)net_random_u32() << 32 | net_random_u32() | 1;
    table->max = connections_max;
    /* At most half of the blocks, or a flood would lock out what comes back with a cookie. */
    table->half_open_max = MIN(HALF_OPEN_MAX - HALF_OPEN_KEPT, connections_max / 2);
    table->free_slot = NULL;
    for (u32 i = 0; i < HALF_OPEN_MAX; i++) {
        table->slots[i] = (struct half_open){table->free_slot, false};
        table->free_slot = &table->slots[i];
    }
    isn_init();
}

u32 pcb_count(void) {
    return table->count;
}

void pcb_stats_get(struct pcb_stats *out) {
    *out = table->stats;
    out->half_open = table->half_open;
}

bool pcb_output_muted(void) {
    return table->replaying;
}

/* ---- Birth and death of blocks --------------------------------------------------------------- */

static bool is_slot(const void *p) {
    const struct half_open *s = p;
    return s >= table->slots && s < table->slots + HALF_OPEN_MAX;
}

static void slot_free(struct half_open *s) {
    CHECK(s->used);
    s->used = false;
    s->next_free = table->free_slot;
    table->free_slot = s;
    table->half_open--;
}

static err_t watch_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb) {
    (void)listener;
    struct half_open *s = table->free_slot;
    if (!s) return ERR_MEM; /* the door keeps this from happening */
    table->free_slot = s->next_free;
    s->used = true;
    table->half_open++;
    table->count++;
    tcp_ext_arg_set_callbacks(pcb, id, &watch);
    tcp_ext_arg_set(pcb, id, s);
    return ERR_OK;
}

static void watch_destroy(u8_t id, void *data) {
    (void)id;
    CHECK(table->count > 0);
    table->count--;
    if (is_slot(data))
        slot_free(data);
    else if (data)
        stream_pcb_gone(data);
}

static const struct tcp_ext_arg_callbacks watch = {watch_destroy, watch_passive_open};
/* A listener's block is watched for its children only: it has no callback for its own end. */
static const struct tcp_ext_arg_callbacks watch_listener = {NULL, watch_passive_open};

void pcb_set_owner(struct tcp_pcb *pcb, struct stream *owner) {
    tcp_ext_arg_set(pcb, 0, owner);
}

void pcb_accepted(struct tcp_pcb *pcb, struct stream *owner) {
    void *data = tcp_ext_arg_get(pcb, 0);
    if (is_slot(data)) slot_free(data);
    pcb_set_owner(pcb, owner);
}

/* ---- Calls into lwIP ------------------------------------------------------------------------- */

struct tcp_pcb *pcb_listen(u16 port, tcp_accept_fn accept, void *arg) {
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *listener;
    if (!pcb) return NULL;
    if (tcp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK || !(listener = tcp_listen(pcb))) {
        (void)tcp_close(pcb);
        return NULL;
    }
    tcp_arg(listener, arg);
    tcp_accept(listener, accept);
    tcp_ext_arg_set_callbacks(listener, 0, &watch_listener);
    return listener;
}

/* Blocks remember their listener until they are accepted, in whatever bucket they are. */
void pcb_unlisten(struct tcp_pcb *listener) {
    for (u32 b = 0; b < BUCKETS; b++) {
        if (bucket_empty(b)) continue;
        u32 before = select_bucket(b);
        for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
            if (p->listener == (struct tcp_pcb_listen *)listener) p->listener = NULL;
        (void)select_bucket(before);
    }
    (void)tcp_close(listener);
}

/* Registered in whatever bucket is current, always at its head; then moved to its own. */
struct tcp_pcb *pcb_connect(const ip_addr_t *to, u16 port, tcp_connected_fn connected, void *arg) {
    if (table->count >= table->max) return NULL;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(to));
    if (!pcb) return NULL;
    table->count++;
    tcp_ext_arg_set_callbacks(pcb, 0, &watch);
    tcp_arg(pcb, arg);
    if (tcp_connect(pcb, to, port, connected) != ERR_OK) {
        (void)tcp_close(pcb);
        return NULL;
    }
    CHECK(tcp_active_pcbs == pcb);
    tcp_active_pcbs = pcb->next;
    struct tuple t;
    tuple_of_pcb(pcb, &t);
    u32 before = select_bucket(tuple_bucket(&t));
    bool taken = find(tcp_active_pcbs, &t) || find(tcp_tw_pcbs, &t);
    pcb->next = tcp_active_pcbs;
    tcp_active_pcbs = pcb;
    if (taken) tcp_abandon(pcb, 0); /* lwIP looked for a free port in the wrong bucket */
    (void)select_bucket(before);
    return taken ? NULL : pcb;
}

err_t pcb_shutdown_send(struct tcp_pcb *pcb) {
    u32 before = select_pcb(pcb);
    err_t e = tcp_shutdown(pcb, 0, 1);
    (void)select_bucket(before);
    return e;
}

void pcb_close(struct tcp_pcb *pcb) {
    u32 before = select_pcb(pcb);
    if (tcp_close(pcb) != ERR_OK) tcp_abort(pcb);
    (void)select_bucket(before);
}

void pcb_abort(struct tcp_pcb *pcb) {
    u32 before = select_pcb(pcb);
    tcp_abort(pcb);
    (void)select_bucket(before);
}

void pcb_address_gone(const ip_addr_t *address) {
    for (u32 b = 0; b < BUCKETS; b++) {
        if (bucket_empty(b)) continue;
        u32 before = select_bucket(b);
        for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
            next = p->next;
            if (ip_addr_eq(&p->local_ip, address)) tcp_abandon(p, 0);
        }
        (void)select_bucket(before);
    }
}

/* ---- The clock ------------------------------------------------------------------------------- */

u32 pcb_timer_interval_ms(void) {
    return table->count < TIMER_SPREAD_FROM ? TCP_TMR_INTERVAL : TCP_TMR_INTERVAL / TIMER_STEPS;
}

/* lwIP skips a block whose last_timer equals its round counter; with one round per bucket an 8-bit
 * counter can come round to the same value, so such a block is moved aside first. */
static void timer_round(void (*fn)(void)) {
    table->timer_mirror++;
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (p->last_timer == table->timer_mirror) p->last_timer--;
    fn();
}

/* On the lists of the bucket in place. */
static void timer_bucket(void) {
    timer_round(tcp_fasttmr);
    if (!table->slow_phase) return;
    u32 ticks = tcp_ticks;
    tcp_ticks = ticks - 1; /* tcp_slowtmr adds it back: one tick per tick, not per bucket */
    timer_round(tcp_slowtmr);
    CHECK(tcp_ticks == ticks);
}

static void timer_word(u32 word) {
    u64 bits = table->in_use[word];
    if (table->current / 64 == word) bits |= 1ull << table->current % 64;
    for (; bits; bits &= bits - 1) {
        u32 b = word * 64 + (u32)__builtin_ctzll(bits);
        if (bucket_empty(b)) continue;
        (void)select_bucket(b);
        timer_bucket();
    }
}

void pcb_timer(void) {
    u32 steps = table->count < TIMER_SPREAD_FROM ? 1 : TIMER_STEPS;
    u32 end = MIN(table->timer_at + BUCKETS / 64 / steps, BUCKETS / 64), before = table->current;
    if (table->timer_at == 0) {
        table->slow_phase = !table->slow_phase;
        if (table->slow_phase) tcp_ticks++;
    }
    for (u32 word = table->timer_at; word < end; word++) timer_word(word);
    (void)select_bucket(before);
    table->timer_at = end == BUCKETS / 64 ? 0 : end;
}

/* ---- The door -------------------------------------------------------------------------------- */

static bool listening_on(u16 port) {
    for (struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next)
        if (l->local_port == port) return true;
    return false;
}

/* Ends TIME_WAIT blocks, going round the table: enough for a while, or all there are. */
static void recycle_time_wait(u32 wanted) {
    for (u32 i = 0; i < BUCKETS && wanted; i++) {
        u32 b = table->sweep++ % BUCKETS;
        if (bucket_empty(b)) continue;
        u32 before = select_bucket(b);
        while (tcp_tw_pcbs && wanted) {
            tcp_abandon(tcp_tw_pcbs, 0);
            table->stats.recycled++;
            wanted--;
        }
        (void)select_bucket(before);
    }
}

struct segment { /* what the door reads of a segment, host order */
    struct tuple tuple;
    const struct tcp_hdr *header;
    u32 seq, ack;
    u8 flags;
    u16 mss;
    ip_addr_t from, to;
    struct netif *netif;
};

/* SYN cookies: the answer that is not remembered. */
static void cookie_send(const struct segment *s) {
    struct pbuf *p = pbuf_alloc(PBUF_IP, TCP_HLEN + 4, PBUF_RAM);
    if (!p) return;
    struct tcp_hdr *h = p->payload;
    u8 *option = (u8 *)p->payload + TCP_HLEN;
    memset(h, 0, TCP_HLEN);
    h->src = lwip_htons(s->tuple.local_port);
    h->dest = lwip_htons(s->tuple.remote_port);
    h->seqno = lwip_htonl(isn_cookie_make(&s->tuple, s->seq, s->mss));
    h->ackno = lwip_htonl(s->seq + 1);
    TCPH_HDRLEN_FLAGS_SET(h, (TCP_HLEN + 4) / 4, TCP_SYN | TCP_ACK);
    h->wnd = lwip_htons(TCPWND_MIN16(TCP_WND));
    option[0] = LWIP_TCP_OPT_MSS, option[1] = LWIP_TCP_OPT_LEN_MSS;
    option[2] = TCP_MSS >> 8, option[3] = TCP_MSS & 0xFF;
    IF__NETIF_CHECKSUM_ENABLED(s->netif, NETIF_CHECKSUM_GEN_TCP) {
        h->chksum = ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, &s->to, &s->from);
    }
    (void)ip_output_if(p, &s->to, &s->from, TCP_TTL, 0, IP_PROTO_TCP, s->netif);
    pbuf_free(p);
}

/* The SYN that this ACK's cookie stands for, as a packet, into lwIP. */
static void cookie_replay(const struct segment *s, u16 mss) {
    bool v6 = s->tuple.v6;
    u16 ip_bytes = v6 ? IP6_HLEN : IP_HLEN;
    struct pbuf *p = pbuf_alloc(PBUF_LINK, (u16)(ip_bytes + TCP_HLEN + 4), PBUF_RAM);
    if (!p) return;
    memset(p->payload, 0, p->len);
    if (v6) {
        struct ip6_hdr *ip = p->payload;
        IP6H_VTCFL_SET(ip, 6, 0, 0);
        IP6H_PLEN_SET(ip, TCP_HLEN + 4);
        IP6H_NEXTH_SET(ip, IP6_NEXTH_TCP);
        IP6H_HOPLIM_SET(ip, 64);
        ip6_addr_copy_to_packed(ip->src, *ip_2_ip6(&s->from));
        ip6_addr_copy_to_packed(ip->dest, *ip_2_ip6(&s->to));
    } else {
        struct ip_hdr *ip = p->payload;
        IPH_VHL_SET(ip, 4, IP_HLEN / 4);
        IPH_LEN_SET(ip, lwip_htons(p->tot_len));
        IPH_TTL_SET(ip, 64);
        IPH_PROTO_SET(ip, IP_PROTO_TCP);
        ip4_addr_copy(ip->src, *ip_2_ip4(&s->from));
        ip4_addr_copy(ip->dest, *ip_2_ip4(&s->to));
    }
    struct tcp_hdr *h = (struct tcp_hdr *)((u8 *)p->payload + ip_bytes);
    u8 *option = (u8 *)h + TCP_HLEN;
    h->src = lwip_htons(s->tuple.remote_port);
    h->dest = lwip_htons(s->tuple.local_port);
    h->seqno = lwip_htonl(s->seq - 1);
    TCPH_HDRLEN_FLAGS_SET(h, (TCP_HLEN + 4) / 4, TCP_SYN);
    h->wnd = s->header->wnd;
    option[0] = LWIP_TCP_OPT_MSS, option[1] = LWIP_TCP_OPT_LEN_MSS;
    option[2] = (u8)(mss >> 8), option[3] = (u8)mss;
    u16 checks = s->netif->chksum_flags;
    table->replaying = true;
    table->forced_isn = s->ack - 1;
    NETIF_SET_CHECKSUM_CTRL(s->netif,
                            checks & (u16) ~(NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_TCP));
    (void)(v6 ? ip6_input(p, s->netif) : ip4_input(p, s->netif));
    NETIF_SET_CHECKSUM_CTRL(s->netif, checks);
    table->replaying = false;
    table->stats.cookies_good++;
}

uint32_t isn_next(const void *local, uint16_t local_port, const void *remote,
                  uint16_t remote_port) {
    if (table->replaying) return table->forced_isn;
    struct tcp_pcb ends = {.local_port = local_port, .remote_port = remote_port};
    struct tuple t;
    ip_addr_copy(ends.local_ip, *(const ip_addr_t *)local);
    ip_addr_copy(ends.remote_ip, *(const ip_addr_t *)remote);
    tuple_of_pcb(&ends, &t);
    return isn_for(&t);
}

/* A SYN for one of our ports. True: it has been dealt with. */
static bool door_syn(const struct segment *s) {
    struct tcp_pcb *old = find(tcp_tw_pcbs, &s->tuple);
    if (old && TCP_SEQ_GT(s->seq, old->rcv_nxt))
        tcp_abandon(old, 0);
    else if (old)
        return false;
    if (find(tcp_active_pcbs, &s->tuple)) return false; /* its own retransmission, or an attack */
    if (!listening_on(s->tuple.local_port)) return false;
    if (table->count >= table->max) recycle_time_wait(64);
    if (table->count >= table->max || net_heap_tight()) {
        table->stats.refused++;
        return true;
    }
    if (table->half_open < table->half_open_max) return false;
    table->stats.half_open_full++;
    table->cookies_until_ns = platform_clock_ns() + COOKIE_WINDOW_NS;
    cookie_send(s);
    return true;
}

static void door_ack(const struct segment *s) {
    u16 mss;
    if (platform_clock_ns() > table->cookies_until_ns) return;
    if (find(tcp_active_pcbs, &s->tuple) || find(tcp_tw_pcbs, &s->tuple)) return;
    if (!listening_on(s->tuple.local_port) || !table->free_slot) return;
    if (table->count >= table->max) return;
    if (isn_cookie_check(&s->tuple, s->seq - 1, s->ack - 1, &mss)) cookie_replay(s, mss);
}

static u16 option_mss(const u8 *at, size_t n) {
    while (n >= 2 && at[0] != LWIP_TCP_OPT_EOL) {
        if (at[0] == LWIP_TCP_OPT_NOP) {
            at++, n--;
            continue;
        }
        if (at[1] < 2 || at[1] > n) break;
        if (at[0] == LWIP_TCP_OPT_MSS && at[1] == 4) return (u16)(at[2] << 8 | at[3]);
        n -= at[1], at += at[1];
    }
    return 536;
}

/* `h` with `n` readable bytes is what claims to be a TCP header. Whatever else happens, the bucket
 * is chosen, so that lwIP never files a block in a wrong one. True: eaten. */
static bool segment_input(struct segment *s, const u8 *h, size_t n) {
    if (n < TCP_HLEN) return false; /* lwIP counts it and drops it */
    s->header = (const struct tcp_hdr *)h;
    s->tuple.remote_port = lwip_ntohs(s->header->src);
    s->tuple.local_port = lwip_ntohs(s->header->dest);
    (void)select_bucket(tuple_bucket(&s->tuple));
    if (table->replaying) return false;
    s->flags = TCPH_FLAGS(s->header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    if ((s->flags & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN)) return true; /* nobody honest's */
    if (s->flags != TCP_SYN && (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK) return false;
    if (s->flags != TCP_SYN && !table->cookies_until_ns) return false;
    s->seq = lwip_ntohl(s->header->seqno);
    s->ack = lwip_ntohl(s->header->ackno);
    if (s->flags == TCP_SYN) {
        size_t header_bytes = TCPH_HDRLEN_BYTES(s->header);
        if (header_bytes < TCP_HLEN || header_bytes > n) return false;
        s->mss = option_mss(h + TCP_HLEN, header_bytes - TCP_HLEN);
        return door_syn(s);
    }
    door_ack(s);
    return false;
}

int pcb_input_v4(struct pbuf *p, struct netif *in) {
    const struct ip_hdr *ip = p->payload;
    if (p->len < IP_HLEN || IPH_V(ip) != 4 || IPH_PROTO(ip) != IP_PROTO_TCP) return 0;
    size_t ip_bytes = IPH_HL_BYTES(ip);
    if (ip_bytes < IP_HLEN || p->len < ip_bytes) return 0;
    if (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF)) {
        table->stats.fragments++;
        pbuf_free(p);
        return 1;
    }
    struct segment s = {.netif = in};
    s.tuple.remote[0] = ip->src.addr;
    s.tuple.local[0] = ip->dest.addr;
    ip_addr_set_ip4_u32_val(s.from, ip->src.addr);
    ip_addr_set_ip4_u32_val(s.to, ip->dest.addr);
    if (!segment_input(&s, (const u8 *)p->payload + ip_bytes, p->len - ip_bytes)) return 0;
    pbuf_free(p);
    return 1;
}

/* The offset of the TCP header behind extension headers; 0: it is not TCP, or not to be found. */
static size_t tcp_offset_v6(const struct pbuf *p, bool *fragment) {
    const u8 *bytes = p->payload;
    size_t at = IP6_HLEN;
    u8 next = IP6H_NEXTH((const struct ip6_hdr *)p->payload);
    for (int depth = 0; depth < 8; depth++) {
        if (next == IP6_NEXTH_TCP) return at;
        bool extension = next == IP6_NEXTH_HOPBYHOP || next == IP6_NEXTH_DESTOPTS ||
                         next == IP6_NEXTH_ROUTING || next == IP6_NEXTH_FRAGMENT;
        if (!extension) return 0;
        if (p->len < at + 8) break;
        if (next == IP6_NEXTH_FRAGMENT) {
            u8 inside = bytes[at];
            *fragment = inside != IP6_NEXTH_UDP && inside != IP6_NEXTH_ICMP6;
            return 0;
        }
        next = bytes[at];
        at += 8 + (size_t)bytes[at + 1] * 8;
    }
    *fragment = true; /* cut short, or nested as nobody honest does: dropped */
    return 0;
}

int pcb_input_v6(struct pbuf *p, struct netif *in) {
    const struct ip6_hdr *ip = p->payload;
    if (p->len < IP6_HLEN || IP6H_V(ip) != 6) return 0;
    bool fragment = false;
    size_t at = tcp_offset_v6(p, &fragment);
    if (fragment) {
        table->stats.fragments++;
        pbuf_free(p);
        return 1;
    }
    if (!at || p->len < at) return 0;
    struct segment s = {.netif = in, .tuple.v6 = 1};
    memcpy(s.tuple.remote, &ip->src, 16);
    memcpy(s.tuple.local, &ip->dest, 16);
    ip_addr_copy_from_ip6_packed(s.from, ip->src);
    ip_addr_copy_from_ip6_packed(s.to, ip->dest);
    ip6_addr_assign_zone(ip_2_ip6(&s.from), IP6_UNICAST, in);
    ip6_addr_assign_zone(ip_2_ip6(&s.to), IP6_UNKNOWN, in);
    if (ip6_addr_ismulticast(ip_2_ip6(&s.to))) return 0;
    if (!segment_input(&s, (const u8 *)p->payload + at, p->len - at)) return 0;
    pbuf_free(p);
    return 1;
}
