/* SPDX-License-Identifier: Apache-2.0 */
/* networks.c — lists of networks, read and asked. IPv4 lies in IPv6 (::ffff:a.b.c.d), so "/8" of
 * IPv4 is 104 bits here and one comparison serves both. Bits beyond the prefix do not count. */
#include "app/config/networks.h"

static rc_t parse_one(str text, struct network *out) {
    struct net_address a;
    u64 bits = 128;
    size_t slash = str_find_byte(text, '/');
    if (net_address_parse(str_take(text, slash), &a)) return RC_INVALID;
    u32 before = net_address_is_v4(&a) ? 96 : 0;
    if (slash < text.len) {
        if (str_to_u64(str_skip(text, slash + 1), &bits) || bits > 128 - before) return RC_INVALID;
        bits += before;
    }
    memcpy(out->bytes, a.bytes, sizeof out->bytes);
    out->bits = (u32)bits;
    return RC_OK;
}

rc_t networks_parse(str text, struct network list[NETWORKS_MAX], u32 *count) {
    str one;
    *count = 0;
    if (!text.len) return RC_OK;
    while (str_split(&text, ',', &one)) {
        if (*count == NETWORKS_MAX) return RC_LIMIT;
        rc_t rc = parse_one(str_trim(one), &list[*count]);
        if (rc) return rc;
        ++*count;
    }
    return RC_OK;
}

static bool holds(const struct network *n, const u8 *bytes) {
    u32 whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->bytes, bytes, whole) != 0) return false;
    return !rest || !((n->bytes[whole] ^ bytes[whole]) >> (8 - rest));
}

bool networks_hold(const struct network *list, u32 count, const struct net_address *a) {
    for (u32 i = 0; i < count; i++)
        if (holds(&list[i], a->bytes)) return true;
    return false;
}

bool check_networks(str value, struct diag *why) {
    struct network list[NETWORKS_MAX];
    u32 count;
    if (!networks_parse(value, list, &count)) return true;
    diag_set(why, "wants addresses or networks such as 10.0.0.0/8, comma-separated, 64 at most");
    return false;
}
