/* SPDX-License-Identifier: Apache-2.0 */
/* http.c — http.send and net.lookup_ip_addr of policies in the appliance: through its own client,
 * from the asker's fiber, so that a policy that waits keeps nobody else waiting.
 *
 *   http.send -> cache -> may it go out at all? -> client -> name -> may this address be called? ->
 *
 * A policy is code of whoever may write policies, and its URL may come from whoever asks. Where it
 * leads is judged twice: nothing leaves when policy.http.reach is off, and each address, also those
 * of redirects, is judged after its name was resolved, so that a name cannot change its mind in
 * between. Link-local addresses, where clouds keep their credentials, are never called. */
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/policy/builtin/http_cache.h"
#include "app/rego/rego_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/http_client.h"
#include "net/link.h"

#define WAIT_NS_MAX (10 * NS_PER_S) /* a decision has no longer, whatever the policy says */
enum { ANSWER_BYTES_MAX = 8 << 20, REDIRECTS_MAX = 10, CACHE_BYTES_MAX = 8 << 20 };
enum reach { REACH_OFF, REACH_HOSTS, REACH_PUBLIC, REACH_PRIVATE }; /* ORDER policy.http.reach */

/* ---- Where policies may call ----------------------------------------------------------------- */

static bool in_network(str network, const struct net_address *a) {
    struct net_address base;
    u64 bits;
    size_t slash = str_find_byte(network, '/');
    if (net_address_parse(str_take(network, slash), &base)) return false;
    if (slash == network.len) return memcmp(base.bytes, a->bytes, 16) == 0;
    if (net_address_is_v4(&base) != net_address_is_v4(a)) return false;
    if (str_to_u64(str_skip(network, slash + 1), &bits)) return false;
    if (net_address_is_v4(a)) bits += 96;
    for (u32 i = 0; i < 16 && bits; i++) {
        u8 mask = bits >= 8 ? 0xFF : (u8)(0xFF << (8 - bits));
        if ((base.bytes[i] ^ a->bytes[i]) & mask) return false;
        bits -= MIN(bits, (u64)8);
    }
    return true;
}

static bool is_listed(str host, const struct net_address *a) {
    str rest = config_text("policy.http.hosts"), one;
    while (str_split(&rest, ',', &one)) {
        one = str_trim(one);
        if (str_eq_nocase(one, host) || in_network(one, a)) return true;
    }
    return false;
}

/* Loopback, private (RFC 1918, RFC 4193), shared (RFC 6598), documentation and benchmarks. */
static bool is_private(const struct net_address *a) {
    static const str networks[] = {
        S("127.0.0.0/8"),     S("10.0.0.0/8"),     S("172.16.0.0/12"), S("192.168.0.0/16"),
        S("100.64.0.0/10"),   S("192.0.0.0/24"),   S("192.0.2.0/24"),  S("198.18.0.0/15"),
        S("198.51.100.0/24"), S("203.0.113.0/24"), S("::1/128"),       S("fc00::/7"),
        S("2001:db8::/32"),   S("64:ff9b:1::/48"), S("64:ff9b::/96"),  S("2002::/16")};
    for (size_t i = 0; i < ARRAY_LEN(networks); i++)
        if (in_network(networks[i], a)) return true;
    return false;
}

static bool may_call(void *arg, str host, const struct net_address *to) {
    enum reach reach = (enum reach)config_int("policy.http.reach");
    const struct http_send_request *r = arg;
    if (!http_host_allowed(r->allow_net, host)) return false;
    if (reach == REACH_OFF || !http_client_public(NULL, host, to)) return false;
    if (is_listed(host, to)) return true;
    return reach == REACH_PRIVATE || (reach == REACH_PUBLIC && !is_private(to));
}

/* ---- One request ----------------------------------------------------------------------------- */

/* What people write and a request line cannot carry is escaped, as the reference does. */
static str escape_url(struct arena *a, str url) {
    static const char hex[] = "0123456789ABCDEF";
    char *to = arena_alloc(a, url.len * 3 + 1);
    size_t n = 0;
    if (!to) return str_of(NULL, 0);
    for (size_t i = 0; i < url.len; i++) {
        u8 c = (u8)url.ptr[i];
        if (c == ' ' || c >= 0x80 || strchr("\"<>\\^`{|}", c ? c : 'a')) {
            to[n++] = '%', to[n++] = hex[c >> 4], to[n++] = hex[c & 15];
        } else {
            to[n++] = (char)c;
        }
    }
    return str_of(to, n);
}

static bool is_ours(str name) {
    static const char *const ours[] = {"Content-Length",
                                       "Transfer-Encoding",
                                       "Connection",
                                       "Keep-Alive",
                                       "Proxy-Connection",
                                       "Upgrade",
                                       "TE",
                                       "Trailer",
                                       "Expect"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_eq_nocase(name, str_from_c(ours[i]))) return true;
    return false;
}

static rc_t fields_of(struct arena *a, const struct http_send_request *r,
                      struct http_client_request *out, str *host) {
    struct http_field *list = arena_alloc(a, MAX(r->header_count, 1u) * sizeof *list);
    if (!list) return RC_NO_MEMORY;
    for (u32 i = 0; i < r->header_count; i++) {
        if (is_ours(r->headers[i].name)) continue; /* the reference's client drops them too */
        if (str_eq_nocase(r->headers[i].name, S("Host"))) *host = r->headers[i].text;
        list[out->field_count++] = (struct http_field){r->headers[i].name, r->headers[i].text};
    }
    out->fields = list;
    return RC_OK;
}

/* From the arena, which ends, to the question's heap. */
static str move(struct heap *h, str s) {
    char *to = s.len ? heap_alloc(h, s.len) : NULL;
    if (to) memcpy(to, s.ptr, s.len);
    return str_of(to, to ? s.len : 0);
}

static rc_t answer_of(struct heap *h, const struct http_client_answer *from, str body,
                      struct http_send_answer *out) {
    struct http_send_header *list = heap_alloc(h, MAX(from->field_count, 1u) * sizeof *list);
    if (!list) return RC_NO_MEMORY;
    *out = (struct http_send_answer){.status = (u32)from->status,
                                     .reason = move(h, from->reason),
                                     .body = move(h, body),
                                     .headers = list,
                                     .header_count = from->field_count};
    for (u32 i = 0; i < from->field_count; i++)
        list[i] = (struct http_send_header){move(h, from->fields[i].name),
                                            move(h, from->fields[i].value)};
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

static rc_t send_in(struct arena *a, struct heap *h, const struct http_send_request *r,
                    struct http_send_answer *out, struct diag *why) {
    struct http_client_trust trust = {.ca_pem = r->ca_cert,
                                      .cert_pem = r->client_cert,
                                      .key_pem = r->client_key,
                                      .server_name = r->server_name,
                                      .insecure = r->insecure};
    struct http_client_request q = {.method = r->method,
                                    .url = escape_url(a, r->url),
                                    .body = r->body,
                                    .trust = &trust,
                                    .may_call = may_call,
                                    .may_call_arg = (void *)(uintptr_t)r,
                                    .deadline_ns =
                                        platform_clock_ns() + MIN(r->timeout_ns, WAIT_NS_MAX),
                                    .redirects_max = r->follow ? REDIRECTS_MAX : 0,
                                    .attempts = r->attempts};
    struct http_client_answer answer;
    str host = {NULL, 0}, body;
    rc_t rc = q.url.ptr ? fields_of(a, r, &q, &host) : RC_NO_MEMORY;
    if (rc) return rc;
    if (host.len && !r->server_name.len)
        trust.server_name = str_take(host, str_find_byte(host, ':'));
    rc = http_client_fetch(a, &q, ANSWER_BYTES_MAX, &answer, &body, why);
    return rc ? rc : answer_of(h, &answer, body, out);
}

static rc_t send_now(void *arg, struct heap *h, const struct http_send_request *r,
                     struct http_send_answer *out, struct diag *why) {
    struct arena a;
    (void)arg;
    if (!fiber_inside()) {
        diag_set(why, "this question may not wait");
        return RC_DENIED;
    }
    if (config_int("policy.http.reach") == REACH_OFF) {
        diag_set(why, "policies may not call out: policy.http.reach is off");
        return RC_DENIED;
    }
    arena_open(&a, NULL, 0, KIB(512));
    metric_add(METRIC_POLICY_HTTP_CALLS, 1);
    rc_t rc = send_in(&a, h, r, out, why);
    if (rc) metric_add(METRIC_POLICY_HTTP_FAILED, 1);
    if (rc == RC_NO_MEMORY) diag_set(why, "no memory for the answer");
    arena_close(&a);
    return rc;
}

/* ---- What questions are given ---------------------------------------------------------------- */

static rc_t lookup(void *arg, str name, u8 (*addresses)[16], u32 *count, struct diag *why) {
    struct net_address found[NAME_LOOKUP_MAX];
    (void)arg;
    *count = 0;
    rc_t rc = RC_DENIED;
    if (fiber_inside() && config_int("policy.http.reach") != REACH_OFF)
        rc = name_resolve_all(name, platform_clock_ns() + 5 * NS_PER_S, found, NAME_LOOKUP_MAX,
                              count);
    for (u32 i = 0; i < *count; i++) memcpy(addresses[i], found[i].bytes, 16);
    if (rc == RC_NOT_FOUND)
        diag_set(why, "no such host");
    else if (rc == RC_DENIED)
        diag_set(why, "policies may not ask: policy.http.reach is off");
    else if (rc)
        diag_set(why, "no name server has answered in time");
    return rc;
}

static struct http_cache_sender sender = {.next = send_now};

void rego_http_fill(struct policy_ask *ask) {
    if (!sender.cache && http_cache_open(CACHE_BYTES_MAX, &sender.cache)) sender.cache = NULL;
    ask->http = sender.cache ? http_cache_send : send_now;
    ask->http_arg = &sender;
    ask->lookup = lookup;
}

void rego_http_stop(void) {
    http_cache_close(sender.cache);
    sender.cache = NULL;
}

void rego_http_stats(struct http_cache_stats *out) {
    *out = (struct http_cache_stats){0};
    if (sender.cache) http_cache_stats_get(sender.cache, out);
}
