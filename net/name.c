/* SPDX-License-Identifier: Apache-2.0 */
/* name.c — names to addresses: lwIP's resolver, waited for by a fiber. IPv4 first, then IPv6. An
 * answer may come after its asker has given up, so what both look at is counted and freed by the
 * last. An address written out is its own answer and asks nobody. */
#include "net/address.h"
#include "net/link.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "lwip/dns.h"

struct question {
    struct fiber *asker; /* NULL: has given up */
    bool answered, found;
    ip_addr_t address;
    u32 references;
};

static void release(struct question *q) {
    if (--q->references == 0) memory_free(MEMORY_NET, q);
}

static void on_answer(const char *name, const ip_addr_t *address, void *arg) {
    struct question *q = arg;
    (void)name;
    q->answered = true;
    if (address) {
        q->found = true;
        q->address = *address;
    }
    if (q->asker) fiber_wake(q->asker);
    release(q);
}

static rc_t ask(struct question *q, const char *name, u64 deadline_ns) {
    rc_t rc = RC_OK;
    err_t e =
        dns_gethostbyname_addrtype(name, &q->address, on_answer, q, LWIP_DNS_ADDRTYPE_IPV4_IPV6);
    if (e == ERR_OK) return RC_OK;
    if (e != ERR_INPROGRESS) return e == ERR_MEM ? RC_LIMIT : RC_NOT_FOUND;
    q->references++;
    q->asker = fiber_self();
    while (!q->answered && rc == RC_OK) rc = fiber_park(deadline_ns);
    q->asker = NULL;
    if (rc) return rc;
    return q->found ? RC_OK : RC_NOT_FOUND;
}

rc_t name_resolve(str name, u64 deadline_ns, struct net_address *out) {
    char z[DNS_MAX_NAME_LENGTH];
    if (net_address_parse(name, out) == RC_OK) return RC_OK;
    if (name.len == 0 || str_to_c(name, z, sizeof z)) return RC_NOT_FOUND;
    CHECK(fiber_inside());
    struct question *q = memory_zero(MEMORY_NET, sizeof *q);
    if (!q) return RC_LIMIT;
    q->references = 1;
    rc_t rc = ask(q, z, deadline_ns);
    if (!rc) net_address_from_ip(&q->address, 0, out);
    release(q);
    return rc;
}
