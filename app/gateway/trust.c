/* SPDX-License-Identifier: Apache-2.0 */
/* trust.c — who is asking, when the one who connects is a proxy of ours (http.trusted_proxies).
 *
 *   client 203.0.113.9 -> proxy 10.0.0.2 -> us      X-Forwarded-For: 6.6.6.6, 203.0.113.9
 *                                                     (the client's words) ^  (the proxy's) ^
 *
 * Nobody is believed until the list is set. Then, from right to left, each address was added by the
 * one behind it: we go on as long as that one is trusted, and the first that is not is the client.
 * From then on the request is his: limits, delays of sign-ins, audit and log see his address. Text
 * that is no address ends the walk. Always true: a peer outside the list changes nothing. */
#include "app/gateway/trust.h"
#include "app/config/config.h"
#include "app/config/networks.h"
#include "net/proxy_header.h"

static struct network trusted[NETWORKS_MAX];
static u32 trusted_count;

/* Load balancers that pass bytes on say first whose they are: they must, for who might or might not
 * would let a client say it. */
static bool expects_header(const struct net_address *peer, u16 our_port) {
    return (our_port == 80 || our_port == 443) && trust_peer(peer);
}

static void on_change(void) {
    if (networks_parse(config_text("http.trusted_proxies"), trusted, &trusted_count))
        trusted_count = 0; /* the check has refused it before */
    stream_proxies_use(config_bool("http.proxy_protocol") ? expects_header : NULL);
}

rc_t trust_start(void) {
    rc_t rc = config_on_change("http.trusted_proxies", on_change);
    if (!rc) rc = config_on_change("http.proxy_protocol", on_change);
    on_change();
    return rc;
}

bool trust_peer(const struct net_address *a) {
    return networks_hold(trusted, trusted_count, a);
}

/* "203.0.113.9", "203.0.113.9:4711", "[2001:db8::1]:80" */
static bool read_address(str text, struct net_address *out) {
    text = str_trim(text);
    if (net_address_parse(text, out) == RC_OK) return true;
    if (text.len && text.ptr[0] == '[')
        return !net_address_parse(str_skip(str_take(text, str_find_byte(text, ']')), 1), out);
    return !net_address_parse(str_take(text, str_find_byte(text, ':')), out);
}

static str last_of(str *list) {
    size_t at = list->len;
    while (at && list->ptr[at - 1] != ',') at--;
    str one = str_skip(*list, at);
    *list = str_take(*list, at ? at - 1 : 0);
    return one;
}

rc_t trust_phase(struct request *rq) {
    struct http_request *h = (struct http_request *)(uintptr_t)rq->http; /* the exchange's own */
    struct net_address client = h->peer, next;
    str value, list = {NULL, 0};
    u32 at = 0;
    if (!trusted_count || !trust_peer(&h->peer)) return RC_PASS;
    while (http_field_next(h, S("X-Forwarded-For"), &at, &value)) /* several lines are one list */
        list = list.ptr ? arena_join(rq->arena, list, S(","), value) : value;
    while (list.len && trust_peer(&client)) {
        if (!read_address(last_of(&list), &next)) break;
        next.port = 0;
        client = next;
    }
    str proto = http_field(h, S("X-Forwarded-Proto"));
    if (str_eq_nocase(proto, S("https"))) h->secure = true;
    h->peer = client;
    return RC_PASS;
}
