/* SPDX-License-Identifier: Apache-2.0 */
/* link_address.c — which addresses the interface has: fixed, from DHCP, or from IPv6 routers.
 *
 * A fixed address is in use as soon as link_start returns; a leased one with the server's
 * acknowledgement, without asking the link by ARP whether somebody else has it (seconds, for a
 * question the server has answered). IPv6 forms its link-local address at once and others as
 * routers announce prefixes. When an address goes, its connections go with it. */
#include "net/link_impl.h"
#include "net/address.h"
#include "net/pcb.h"
#include "kernel/base/log.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/ethip6.h"
#include "lwip/mld6.h"

#define LISTENERS_MAX 8

static void (*listeners[LISTENERS_MAX])(void);
static u32 listener_count;

/* ---- Options --------------------------------------------------------------------------------- */

static rc_t parse_v4_option(str text, const char *what, ip4_addr_t *out, struct diag *why) {
    struct net_address a;
    if (net_address_parse(text, &a) || !net_address_is_v4(&a)) {
        diag_set(why, "%s \"%.*s\" is not an IPv4 address", what, STR(text));
        return RC_INVALID;
    }
    memcpy(&out->addr, a.bytes + 12, 4);
    return RC_OK;
}

static rc_t parse_fixed(struct link *l, str text, struct diag *why) {
    uint64_t bits = 24;
    size_t slash = str_find_byte(text, '/');
    if (slash < text.len &&
        (str_to_u64(str_skip(text, slash + 1), &bits) || bits < 1 || bits > 32)) {
        diag_set(why, "net.address \"%.*s\": the part after / must be 1 to 32", STR(text));
        return RC_INVALID;
    }
    rc_t rc = parse_v4_option(str_take(text, slash), "net.address", &l->address, why);
    if (rc) return rc;
    l->netmask.addr = lwip_htonl((u32)(0xFFFFFFFFull << (32 - bits)));
    u32 host = lwip_ntohl(l->address.addr);
    if (host == 0 || host >> 28 == 14 || host >> 24 == 127 || host == 0xFFFFFFFFu) {
        diag_set(why, "net.address \"%.*s\" is not an address a machine can have", STR(text));
        return RC_INVALID;
    }
    return RC_OK;
}

rc_t link_address_options(struct link *l, const struct link_options *o, struct diag *why) {
    rc_t rc;
    str rest, part;
    l->dhcp_wanted = o->address.len == 0 || str_eq_nocase(o->address, S("dhcp"));
    l->ipv6_wanted = o->ipv6;
    if (!l->dhcp_wanted && (rc = parse_fixed(l, o->address, why))) return rc;
    if (o->gateway.len && (rc = parse_v4_option(o->gateway, "net.gateway", &l->gateway, why)))
        return rc;
    l->dns_count = l->ntp_count = 0;
    for (rest = o->dns; rest.len && str_split(&rest, ',', &part);) {
        struct net_address a;
        part = str_trim(part);
        if (l->dns_count == ARRAY_LEN(l->dns) || net_address_parse(part, &a)) {
            diag_set(why, "net.dns: \"%.*s\" is not an address, or there are more than two",
                     STR(part));
            return RC_INVALID;
        }
        net_address_to_ip(&a, &l->dns[l->dns_count++]);
    }
    l->dns_given = l->dns_count > 0;
    for (rest = o->ntp; rest.len && str_split(&rest, ',', &part);) {
        struct net_address a;
        u32 i = l->ntp_count;
        part = str_trim(part);
        if (i == ARRAY_LEN(l->ntp) || part.len == 0 ||
            str_to_c(part, l->ntp_name[i], sizeof l->ntp_name[i])) {
            diag_set(why, "net.ntp: \"%.*s\" is not a name, or there are more than two", STR(part));
            return RC_INVALID;
        }
        if (net_address_parse(part, &a) == RC_OK) {
            net_address_to_ip(&a, &l->ntp[i]);
            l->ntp_name[i][0] = 0;
        }
        l->ntp_count++;
    }
    str name = o->hostname.len ? o->hostname : S("openpolicy");
    if (str_to_c(name, l->hostname, sizeof l->hostname)) {
        diag_set(why, "net.hostname must be at most 63 bytes");
        return RC_INVALID;
    }
    return RC_OK;
}

/* ---- Watching -------------------------------------------------------------------------------- */

bool link_ready(void) {
    struct link *l = link_here;
    return l->started && netif_is_up(&l->netif) && netif_is_link_up(&l->netif) &&
           !ip4_addr_isany(netif_ip4_addr(&l->netif));
}

void link_on_change(void (*fn)(void)) {
    CHECK(listener_count < LISTENERS_MAX);
    listeners[listener_count++] = fn;
}

static void address_now(struct link *l, u32 i, ip_addr_t *out) {
    memset(out, 0, sizeof *out);
    if (i == 0)
        ip_addr_copy_from_ip4(*out, *netif_ip4_addr(&l->netif));
    else if (ip6_addr_isvalid(netif_ip6_addr_state(&l->netif, (s8)(i - 1))))
        ip_addr_copy_from_ip6(*out, *netif_ip6_addr(&l->netif, i - 1));
}

void link_address_watch(struct link *l) {
    bool changed = link_ready() != l->was_ready;
    for (u32 i = 0; i < ARRAY_LEN(l->seen); i++) {
        ip_addr_t now;
        address_now(l, i, &now);
        if (ip_addr_eq(&now, &l->seen[i])) continue;
        if (!ip_addr_isany(&l->seen[i])) pcb_address_gone(&l->seen[i]);
        l->seen[i] = now;
        changed = true;
        if (!ip_addr_isany(&now)) {
            char text[IPADDR_STRLEN_MAX];
            log_info("net", "address in use", "address=%s", ipaddr_ntoa_r(&now, text, sizeof text));
        }
    }
    if (!changed) return;
    l->was_ready = link_ready();
    if (l->was_ready && !l->ready_ns) l->ready_ns = platform_clock_ns();
    for (u32 i = 0; i < listener_count; i++) listeners[i]();
}

static void on_netif_event(struct netif *netif, netif_nsc_reason_t reason,
                           const netif_ext_callback_args_t *args) {
    (void)reason, (void)args;
    if (netif == &link_here->netif && link_here->started) link_address_watch(link_here);
}

void link_carrier_changed(struct link *l) {
    if (platform_nic_up(l->nic))
        netif_set_link_up(&l->netif);
    else
        netif_set_link_down(&l->netif);
    log_info("net", "link changed", "up=%d", netif_is_link_up(&l->netif) ? 1 : 0);
    link_address_watch(l);
}

void link_address_start(struct link *l) {
    static netif_ext_callback_t watcher;
    struct netif *n = &l->netif;
    netif_add_ext_callback(&watcher, on_netif_event);
    for (u32 i = 0; i < l->dns_count; i++) dns_setserver((u8)i, &l->dns[i]);
    if (!l->dhcp_wanted) netif_set_addr(n, &l->address, &l->netmask, &l->gateway);
    netif_set_up(n);
    if (platform_nic_up(l->nic)) netif_set_link_up(n);
    if (l->ipv6_wanted) {
        netif_create_ip6_linklocal_address(n, 1);
        netif_set_ip6_autoconfig_enabled(n, 1);
    }
    if (l->dhcp_wanted && dhcp_start(n) != ERR_OK)
        log_warn("net", "DHCP could not start; set net.address to a fixed address", "rc=%s",
                 "RC_NO_MEMORY");
    sntp_start(l);
    link_address_watch(l);
}

/* ---- Status ---------------------------------------------------------------------------------- */

static void text_v4(const ip4_addr_t *a, char to[16]) {
    if (ip4_addr_isany_val(*a))
        to[0] = 0;
    else
        (void)ip4addr_ntoa_r(a, to, 16);
}

void link_status_get(struct link_status *out) {
    struct link *l = link_here;
    memset(out, 0, sizeof *out);
    if (!l->started) return;
    struct netif *n = &l->netif;
    out->up = netif_is_link_up(n);
    out->dhcp_bound = l->dhcp_wanted && dhcp_supplied_address(n);
    memcpy(out->mac, l->nic_info.mac, 6);
    text_v4(netif_ip4_addr(n), out->ipv4);
    text_v4(netif_ip4_netmask(n), out->netmask);
    text_v4(netif_ip4_gw(n), out->gateway);
    for (u32 i = 0, at = 0; i < LWIP_IPV6_NUM_ADDRESSES && at < ARRAY_LEN(out->ipv6); i++) {
        if (!ip6_addr_isvalid(netif_ip6_addr_state(n, (s8)i))) continue;
        struct net_address a;
        ip_addr_t ip;
        ip_addr_copy_from_ip6(ip, *netif_ip6_addr(n, i));
        net_address_from_ip(&ip, 0, &a);
        (void)net_address_text(&a, out->ipv6[at++], sizeof out->ipv6[0]);
    }
    out->rx_frames = l->rx_frames, out->tx_frames = l->tx_frames;
    out->rx_bytes = l->rx_bytes, out->tx_bytes = l->tx_bytes;
    out->rx_dropped = l->rx_dropped, out->tx_dropped = l->tx_dropped;
    out->ready_ns = l->ready_ns;
}
