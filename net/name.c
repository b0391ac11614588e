/* SPDX-License-Identifier: Apache-2.0 */
/* name.c — names to addresses: lwIP's resolver, waited for by a fiber.
 *
 *   name --A, AAAA at once--> lwIP (keeps answers for their TTL) --> IPv4 first, then IPv6
 *
 * Both are asked at the same time; once one has answered, the other gets SECOND_MS more (RFC 8305
 * 3), so that a server that ignores one kind costs nothing. An answer may come after its asker has
 * given up, so what both look at is counted and freed by the last. An address written out is its
 * own answer and asks nobody. */
#include "net/address.h"
#include "net/link.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "lwip/dns.h"
#include "lwip/netif.h"

#define SECOND_MS 50u

struct question {
    struct fiber *asker; /* NULL: has given up */
    struct half {
        struct question *of;
        bool answered, found;
        ip_addr_t address;
    } v4, v6;
    u32 references;
};

static void release(struct question *q) {
    if (--q->references == 0) memory_free(MEMORY_NET, q);
}

static void on_answer(const char *name, const ip_addr_t *address, void *arg) {
    struct half *h = arg;
    struct question *q = h->of;
    (void)name;
    h->answered = true;
    if (address) {
        h->found = true;
        h->address = *address;
    }
    if (q->asker) fiber_wake(q->asker);
    release(q);
}

static void ask(struct question *q, struct half *h, const char *name, u8 kind) {
    h->of = q;
    q->references++;
    err_t e = dns_gethostbyname_addrtype(name, &h->address, on_answer, h, kind);
    if (e == ERR_INPROGRESS) return;
    h->answered = true;
    h->found = e == ERR_OK;
    release(q);
}

/* Without an IPv6 address of our own that leads anywhere, theirs are of no use. */
static bool speaks_v6(void) {
    for (int i = 0; netif_default && i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif_default, i)) &&
            !ip6_addr_islinklocal(netif_ip6_addr(netif_default, i)))
            return true;
    return false;
}

static rc_t wait(struct question *q, u64 deadline_ns) {
    rc_t rc = RC_OK;
    q->asker = fiber_self();
    while (!rc && !(q->v4.answered && q->v6.answered)) {
        if (q->v4.found || q->v6.found)
            deadline_ns = MIN(deadline_ns, platform_clock_ns() + SECOND_MS * NS_PER_MS);
        rc = fiber_park(deadline_ns);
    }
    q->asker = NULL;
    if (q->v4.found || q->v6.found) return RC_OK;
    return rc ? rc : RC_NOT_FOUND;
}

rc_t name_resolve_all(str name, u64 deadline_ns, struct net_address *out, u32 room, u32 *count) {
    char z[DNS_MAX_NAME_LENGTH];
    *count = 0;
    CHECK(room > 0);
    if (net_address_parse(name, out) == RC_OK) {
        *count = 1;
        return RC_OK;
    }
    if (name.len == 0 || str_to_c(name, z, sizeof z)) return RC_NOT_FOUND;
    CHECK(fiber_inside());
    struct question *q = memory_zero(MEMORY_NET, sizeof *q);
    if (!q) return RC_LIMIT;
    q->references = 1;
    ask(q, &q->v4, z, LWIP_DNS_ADDRTYPE_IPV4);
    q->v6.answered = !speaks_v6();
    if (!q->v6.answered) ask(q, &q->v6, z, LWIP_DNS_ADDRTYPE_IPV6);
    rc_t rc = wait(q, deadline_ns);
    if (q->v4.found) net_address_from_ip(&q->v4.address, 0, &out[(*count)++]);
    if (q->v6.found && *count < room) net_address_from_ip(&q->v6.address, 0, &out[(*count)++]);
    release(q);
    return rc;
}

rc_t name_resolve(str name, u64 deadline_ns, struct net_address *out) {
    u32 count;
    return name_resolve_all(name, deadline_ns, out, 1, &count);
}
