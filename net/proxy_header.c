/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_header.c — the PROXY protocol, read strictly.
 *
 *   v1  "PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n"       one line, 107 bytes at most
 *   v2  0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | 2.command | family.protocol | length BE16 | addresses
 *
 * One blank between words, no leading zeros, addresses of the family that is told. What v2 carries
 * behind its addresses is passed over. Always true: no byte past `bytes` is read; a header that was
 * accepted is at most PROXY_V2_MAX long. */
#include "net/proxy_header.h"
#include "kernel/base/bytes.h"

static const u8 signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

/* ---- Version 1 ------------------------------------------------------------------------------- */

static bool read_port(str text, u16 *out) {
    u64 n;
    if (!text.len || text.len > 5 || (text.len > 1 && text.ptr[0] == '0')) return false;
    if (str_to_u64(text, &n) || n > 65535) return false;
    *out = (u16)n;
    return true;
}

static bool read_address(str text, bool v4, struct net_address *out) {
    return text.len && text.ptr[0] != '[' && net_address_parse(text, out) == RC_OK &&
           net_address_is_v4(out) == v4 && (str_find_byte(text, ':') == text.len) == v4;
}

static rc_t parse_v1(str bytes, struct proxy_header *out) {
    str whole = str_take(bytes, PROXY_V1_MAX);
    size_t end = str_find(whole, S("\r\n"));
    if (end == whole.len) return bytes.len >= PROXY_V1_MAX ? RC_INVALID : RC_AGAIN;
    str rest = str_take(whole, end), word[6] = {{0}};
    u32 n = 0;
    struct net_address to;
    u16 port;
    out->length = end + 2;
    while (n < 6 && str_split(&rest, ' ', &word[n])) n++;
    if (n >= 2 && str_eq(word[1], S("UNKNOWN"))) return RC_OK;
    bool v4 = str_eq(word[1], S("TCP4"));
    if (n != 6 || rest.ptr || (!v4 && !str_eq(word[1], S("TCP6")))) return RC_INVALID;
    if (!read_address(word[2], v4, &out->client) || !read_address(word[3], v4, &to) ||
        !read_port(word[4], &out->client.port) || !read_port(word[5], &port))
        return RC_INVALID;
    out->told = true;
    return RC_OK;
}

/* ---- Version 2 ------------------------------------------------------------------------------- */

static rc_t parse_v2(str bytes, struct proxy_header *out) {
    const u8 *b = (const u8 *)bytes.ptr;
    if (bytes.len < 16) return RC_AGAIN;
    u32 command = b[12] & 15, family = b[13] >> 4, length = be16(b + 14);
    if (b[12] >> 4 != 2 || command > 1 || 16 + length > PROXY_V2_MAX) return RC_INVALID;
    out->length = 16 + length;
    if (bytes.len < out->length) return RC_AGAIN;
    if (command == 0) return RC_OK; /* LOCAL: the proxy itself, a health check */
    if (family == 1 && length >= 12) {
        memset(out->client.bytes, 0, 10);
        memset(out->client.bytes + 10, 0xFF, 2);
        memcpy(out->client.bytes + 12, b + 16, 4);
        out->client.port = (u16)be16(b + 24);
        out->told = true;
    } else if (family == 2 && length >= 36) {
        memcpy(out->client.bytes, b + 16, 16);
        out->client.port = (u16)be16(b + 48);
        out->told = true;
    } else if (family == 1 || family == 2 || family > 3) {
        return RC_INVALID;
    }
    return RC_OK; /* unspecified and UNIX: the connection's own address stands */
}

rc_t proxy_header_parse(str bytes, struct proxy_header *out) {
    static const char v1[] = "PROXY ";
    size_t n1 = MIN(bytes.len, sizeof v1 - 1), n2 = MIN(bytes.len, sizeof signature);
    *out = (struct proxy_header){0};
    if (!bytes.len) return RC_AGAIN;
    if (memcmp(bytes.ptr, v1, n1) == 0)
        return n1 < sizeof v1 - 1 ? RC_AGAIN : parse_v1(bytes, out);
    if (memcmp(bytes.ptr, signature, n2) == 0)
        return n2 < sizeof signature ? RC_AGAIN : parse_v2(bytes, out);
    return RC_INVALID;
}
