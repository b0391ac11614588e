/* SPDX-License-Identifier: Apache-2.0 */
/* sntp.c — the time of day from the network (RFC 4330, RFC 5905 wire format).
 *
 *   ask (transmit time = 64 random bits) -> answer must carry them as its origin time
 *   offset = server's middle - our middle; the wall clock is set by it, the monotonic one never
 *
 * A forged answer has to guess the random bits and the source port. Refused as well: another
 * sender, an unsynchronised server, a stratum outside 1..15, a round trip over a second. A
 * kiss-of-death (stratum 0) makes us ask another server, later. Asked again after 4, 8, ... seconds
 * until the first answer, then every POLL_SECONDS. */
#include "net/link_impl.h"
#include "kernel/base/bytes.h"
#include "net/net_impl.h"
#include "kernel/base/log.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/udp.h"

#define PORT 123
#define PACKET_BYTES 48
#define POLL_SECONDS 1024
#define FIRST_RETRY_SECONDS 4
#define NTP_TO_UNIX 2208988800ull /* 1900 to 1970, seconds */
#define ROUND_TRIP_MAX_NS NS_PER_S

static struct sntp {
    struct link *link;
    struct udp_pcb *pcb;
    struct timer timer;
    struct sntp_status status;
    ip_addr_t server; /* whom the question under way was put to */
    u8 nonce[8];
    bool waiting; /* for an answer to that question */
    u64 asked_ns;
    u32 turn, retry_seconds;
} sntp_of_loop, *const sntp = &sntp_of_loop;

void sntp_status_get(struct sntp_status *out) {
    *out = sntp->status;
}

/* An NTP timestamp as UTC nanoseconds since 1970; its first era ends in 2036. */
static u64 ntp_to_ns(const u8 *p) {
    u64 seconds = be32(p), fraction = be32(p + 4);
    if (seconds < 0x80000000ull) seconds += 1ull << 32;
    return (seconds - NTP_TO_UNIX) * NS_PER_S + (fraction * NS_PER_S >> 32);
}

static void again_after(u32 seconds) {
    (void)timer_start_after_ms(&sntp->timer, (u64)seconds * 1000);
}

static void retry(void) {
    sntp->waiting = false;
    again_after(sntp->retry_seconds);
    if (sntp->retry_seconds < POLL_SECONDS) sntp->retry_seconds *= 2;
}

static void apply(const u8 *p, u64 now_ns) {
    u64 round_trip = now_ns - sntp->asked_ns;
    u64 received = ntp_to_ns(p + 32), sent = ntp_to_ns(p + 40);
    u64 server_took = sent > received ? sent - received : 0;
    if (server_took > round_trip) server_took = round_trip;
    u64 utc = sent + (round_trip - server_took) / 2, wall = platform_wall_ns();
    platform_wall_set(utc);
    sntp->status.offset_ns = wall ? (s64)(utc - wall) : 0;
    if (!sntp->status.synced)
        log_info("net", "time set from the network", "offset_ms=%lld",
                 (long long)(sntp->status.offset_ns / (s64)NS_PER_MS));
    sntp->status.synced = true;
    sntp->status.last_ns = now_ns;
    sntp->retry_seconds = FIRST_RETRY_SECONDS;
    again_after(POLL_SECONDS);
}

/* Why an answer is not one; NULL: it is good. */
static const char *answer_fault(const u8 *p, size_t n, u64 round_trip_ns) {
    if (n < PACKET_BYTES) return "short";
    u8 leap = p[0] >> 6, version = p[0] >> 3 & 7, mode = p[0] & 7;
    if (mode != 4 || version < 3 || version > 4) return "not a server's answer";
    if (memcmp(p + 24, sntp->nonce, 8) != 0) return "not an answer to our question";
    if (p[1] == 0) return "kiss of death";
    if (leap == 3 || p[1] > 15) return "server has no time itself";
    if (be32(p + 40) == 0 || be32(p + 32) == 0) return "no time in it";
    if (round_trip_ns > ROUND_TRIP_MAX_NS) return "too slow";
    return NULL;
}

static void on_packet(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                      u16_t port) {
    u8 bytes[PACKET_BYTES] = {0};
    u64 now = platform_clock_ns();
    (void)arg, (void)pcb;
    size_t n = pbuf_copy_partial(p, bytes, sizeof bytes, 0);
    pbuf_free(p);
    if (!sntp->waiting || port != PORT || !ip_addr_eq(from, &sntp->server)) return;
    const char *fault = answer_fault(bytes, n, now - sntp->asked_ns);
    if (!fault) {
        sntp->waiting = false;
        apply(bytes, now);
        return;
    }
    log_debug("net", "time answer refused", "why=\"%s\"", fault);
    if (n == PACKET_BYTES && memcmp(bytes + 24, sntp->nonce, 8) == 0) retry();
}

static void ask(const ip_addr_t *server) {
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, PACKET_BYTES, PBUF_RAM);
    again_after(sntp->retry_seconds);
    if (!p) return;
    u8 *bytes = p->payload;
    memset(bytes, 0, PACKET_BYTES);
    bytes[0] = 4 << 3 | 3; /* version 4, client */
    u32 random[2] = {net_random_u32(), net_random_u32()};
    memcpy(sntp->nonce, random, 8);
    memcpy(bytes + 40, sntp->nonce, 8);
    sntp->server = *server;
    sntp->waiting = true;
    sntp->asked_ns = platform_clock_ns();
    (void)udp_sendto(sntp->pcb, p, server, PORT);
    pbuf_free(p);
}

static void on_name(const char *name, const ip_addr_t *address, void *arg) {
    (void)name, (void)arg;
    if (address) ask(address);
}

static void on_timer(void *arg) {
    struct link *l = sntp->link;
    (void)arg;
    retry();
    if (!link_ready() || !l->ntp_count) return;
    u32 i = sntp->turn++ % l->ntp_count;
    if (!l->ntp_name[i][0]) {
        ask(&l->ntp[i]);
        return;
    }
    ip_addr_t address;
    if (dns_gethostbyname(l->ntp_name[i], &address, on_name, NULL) == ERR_OK) ask(&address);
}

static void on_link(void) {
    if (link_ready() && sntp->link->ntp_count && !sntp->status.synced) {
        sntp->retry_seconds = FIRST_RETRY_SECONDS;
        again_after(0);
    }
}

/* lwIP's DHCP client calls this with what option 42 said; configured servers come first. */
void dhcp_set_ntp_servers(u8_t count, const ip4_addr_t *servers) {
    struct link *l = link_here;
    if (l->ntp_count) return;
    for (u8 i = 0; i < count && l->ntp_count < ARRAY_LEN(l->ntp); i++) {
        l->ntp_name[l->ntp_count][0] = 0;
        ip_addr_copy_from_ip4(l->ntp[l->ntp_count], servers[i]);
        l->ntp_count++;
    }
    on_link();
}

void sntp_start(struct link *l) {
    sntp->link = l;
    sntp->retry_seconds = FIRST_RETRY_SECONDS;
    timer_init(&sntp->timer, on_timer, NULL);
    sntp->pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (!sntp->pcb || udp_bind(sntp->pcb, IP_ANY_TYPE, 0) != ERR_OK) {
        log_warn("net", "no time from the network", "rc=%s", "RC_NO_MEMORY");
        return;
    }
    udp_recv(sntp->pcb, on_packet, NULL);
    link_on_change(on_link);
}
