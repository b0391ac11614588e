/* SPDX-License-Identifier: Apache-2.0 */
/* address.c — IP addresses as 16 bytes and as text. IPv4 is ::ffff:a.b.c.d inside and dotted
 * outside. Text is read strictly: four decimal parts without leading zeros, or RFC 4291 without a
 * zone; nothing that some other reader would take for another address (no octal, no "127.1"). */
#include "net/address.h"

static const u8 v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool net_address_is_v4(const struct net_address *a) {
    return memcmp(a->bytes, v4_prefix, 12) == 0;
}

void net_address_from_ip(const ip_addr_t *ip, u16 port, struct net_address *out) {
    out->port = port;
    if (IP_IS_V6(ip)) {
        memcpy(out->bytes, ip_2_ip6(ip)->addr, 16);
        return;
    }
    memcpy(out->bytes, v4_prefix, 12);
    memcpy(out->bytes + 12, &ip_2_ip4(ip)->addr, 4);
}

void net_address_to_ip(const struct net_address *a, ip_addr_t *out) {
    memset(out, 0, sizeof *out);
    if (net_address_is_v4(a)) {
        u32 v4;
        memcpy(&v4, a->bytes + 12, 4);
        ip_addr_set_ip4_u32(out, v4);
        return;
    }
    memcpy(ip_2_ip6(out)->addr, a->bytes, 16);
    IP_SET_TYPE(out, IPADDR_TYPE_V6);
}

static char *put_byte(char *to, u8 v) {
    if (v >= 100) *to++ = (char)('0' + v / 100);
    if (v >= 10) *to++ = (char)('0' + v / 10 % 10);
    *to++ = (char)('0' + v % 10);
    return to;
}

str net_address_text(const struct net_address *a, char *to, size_t room) {
    ip_addr_t ip;
    CHECK(room >= 46);
    if (net_address_is_v4(a)) { /* for every line of the access log */
        char *at = put_byte(to, a->bytes[12]);
        for (int i = 13; i < 16; i++) {
            *at++ = '.';
            at = put_byte(at, a->bytes[i]);
        }
        *at = 0;
        return str_of(to, (size_t)(at - to));
    }
    net_address_to_ip(a, &ip);
    if (!ipaddr_ntoa_r(&ip, to, (int)room)) return S("?");
    for (char *p = to; *p; p++)
        if (*p >= 'A' && *p <= 'F') *p = (char)(*p + 32); /* RFC 5952 4.3 */
    return str_from_c(to);
}

static rc_t parse_v4(str text, struct net_address *out) {
    str rest = text, part;
    u32 n = 0;
    memcpy(out->bytes, v4_prefix, 12);
    while (str_split(&rest, '.', &part)) {
        uint64_t value;
        if (n == 4 || part.len > 3 || str_to_u64(part, &value) || value > 255) return RC_INVALID;
        if (part.len > 1 && part.ptr[0] == '0') return RC_INVALID;
        out->bytes[12 + n++] = (u8)value;
    }
    return n == 4 ? RC_OK : RC_INVALID;
}

rc_t net_address_parse(str text, struct net_address *out) {
    char z[46];
    ip6_addr_t v6;
    out->port = 0;
    if (str_find_byte(text, ':') == text.len) return parse_v4(text, out);
    for (size_t i = 0, run = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        run = hex ? run + 1 : 0;
        if ((!hex && c != ':') || run > 4) return RC_INVALID; /* lwIP would cut a longer group */
    }
    if (str_to_c(text, z, sizeof z) || !ip6addr_aton(z, &v6)) return RC_INVALID;
    memcpy(out->bytes, v6.addr, 16);
    return RC_OK;
}
