/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — what a text option may hold: addresses, names, e-mail.
 *
 * Shapes only, nothing is looked up. What passes here is safe to hand to the network row, to a
 * certificate and to a log line. */
#include "app/config/check.h"
#include "net/http_url.h"
#include "net/stream.h"

static bool wanted(struct diag *why, const char *what) {
    diag_set(why, "wants %s", what);
    return false;
}
static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool check_any(str value, struct diag *why) {
    (void)value;
    (void)why;
    return true;
}

/* Labels of letters, digits and inner hyphens, 63 bytes each, 253 together (RFC 1123 2.1). */
static bool is_name(str s) {
    str rest = s, one;
    if (!s.len || s.len > 253 || s.ptr[s.len - 1] == '.') return false;
    while (str_split(&rest, '.', &one)) {
        if (!one.len || one.len > 63 || one.ptr[0] == '-' || one.ptr[one.len - 1] == '-')
            return false;
        for (size_t i = 0; i < one.len; i++)
            if (!is_alnum(one.ptr[i]) && one.ptr[i] != '-') return false;
    }
    return true;
}
static bool is_address(str s) {
    struct net_address a;
    return net_address_parse(s, &a) == RC_OK;
}

bool check_hostname(str value, struct diag *why) {
    return !value.len || (is_name(value) && str_find_byte(value, '.') == value.len) ||
           wanted(why, "a host name: letters, digits and hyphens");
}

bool check_email(str value, struct diag *why) {
    size_t at = str_find_byte(value, '@');
    if (!value.len) return true;
    bool ok = at > 0 && at <= 64 && at < value.len && is_name(str_skip(value, at + 1));
    for (size_t i = 0; ok && i < at; i++) /* unquoted local part, UTF-8 allowed (RFC 6531) */
        ok = is_alnum(value.ptr[i]) || strchr("!#$%&'*+-/=?^_`{|}~.", value.ptr[i]) ||
             (u8)value.ptr[i] >= 0x80;
    return (ok && str_is_utf8(value)) || wanted(why, "an e-mail address such as ada@example.org");
}

bool check_address(str value, struct diag *why) {
    return !value.len || is_address(value) || wanted(why, "an IP address");
}

bool check_network(str value, struct diag *why) {
    struct net_address a;
    u64 prefix;
    size_t slash = str_find_byte(value, '/');
    if (!value.len || str_eq(value, S("dhcp"))) return true;
    if (slash < value.len && net_address_parse(str_take(value, slash), &a) == RC_OK &&
        net_address_is_v4(&a) && str_to_u64(str_skip(value, slash + 1), &prefix) == RC_OK &&
        prefix >= 1 && prefix <= 32)
        return true;
    return wanted(why, "\"dhcp\" or an IPv4 address with prefix such as 192.0.2.2/24");
}

static bool each(str value, bool (*fits)(str)) {
    str one;
    while (str_split(&value, ',', &one))
        if (!fits(str_trim(one))) return false;
    return true;
}
static bool is_host(str s) { return is_name(s) || is_address(s); }

bool check_addresses(str value, struct diag *why) {
    return !value.len || each(value, is_address) || wanted(why, "IP addresses, comma-separated");
}
bool check_hosts(str value, struct diag *why) {
    return !value.len || each(value, is_host) ||
           wanted(why, "names or IP addresses, comma-separated");
}

static bool is_dns_name(str s) { return is_name(s) && !is_address(s); }
bool check_dns_names(str value, struct diag *why) {
    return !value.len || each(value, is_dns_name) ||
           wanted(why, "DNS names without wildcards, comma-separated");
}

bool check_https_url(str value, struct diag *why) {
    struct http_url url;
    struct diag inner;
    bool ok = !value.len || (!http_url_parse(value, &url, &inner) && url.tls);
    return ok || wanted(why, "a URL that begins with https://");
}

bool check_certificates(str value, struct diag *why) {
    bool ok = !value.len || (str_find(value, S("-----BEGIN CERTIFICATE-----")) < value.len &&
                             str_find(value, S("PRIVATE KEY")) == value.len);
    return ok || wanted(why, "certificates as PEM text");
}

/* An address and how many of its bits count: "10.0.0.0/8". */
static bool is_network(str s) {
    struct net_address a;
    u64 bits;
    size_t slash = str_find_byte(s, '/');
    if (slash == s.len || net_address_parse(str_take(s, slash), &a)) return false;
    return !str_to_u64(str_skip(s, slash + 1), &bits) && bits <= (net_address_is_v4(&a) ? 32 : 128);
}
static bool is_call_host(str s) { return is_host(s) || is_network(s); }
bool check_call_hosts(str value, struct diag *why) {
    return !value.len || each(value, is_call_host) ||
           wanted(why, "names, IP addresses or networks such as 10.1.0.0/16, comma-separated");
}

bool check_path(str value, struct diag *why) {
    bool ok = true;
    for (size_t i = 0; ok && i < value.len; i++)
        ok = is_alnum(value.ptr[i]) || strchr("/-._~%", value.ptr[i]);
    return ok || wanted(why, "a path of letters, digits, slashes and -._~%");
}

bool check_issuer(str value, struct diag *why) {
    bool secure = str_starts(value, S("https://"));
    str rest = str_skip(value, secure ? 8 : 7);
    bool ok = (secure || str_starts(value, S("http://"))) && rest.len &&
              rest.ptr[rest.len - 1] != '/' && is_alnum(rest.ptr[0]);
    for (size_t i = 0; ok && i < rest.len; i++)
        ok = is_alnum(rest.ptr[i]) || strchr(".-:/[]_", rest.ptr[i]);
    return !value.len || ok || wanted(why, "an address such as https://id.example.org");
}
