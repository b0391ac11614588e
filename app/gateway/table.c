/* SPDX-License-Identifier: Apache-2.0 */
/* table.c — the routes in force: made of gateway.routes, exchanged whole when it changes.
 *
 *   option changes -> edge_parse -> new table -> `now` ------> requests hold it
 *                                     old table: freed by the last request that holds it
 *
 * Servers' states (health, failures, requests under way) are not the table's but their pools',
 * which go by name and stay across changes.
 *
 * Always true: `now` is one the check accepted; a document that cannot be loaded for want of memory
 * leaves the old one in force, and the log says so. Loop only. */
#include "app/config/config.h"
#include "app/gateway/gateway_impl.h"
#include "app/gateway/pool_impl.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

static struct gateway_table *now;

/* Metrics tell routes apart by the address of their name, for ever: each name once. */
static const char *label_of(str name) {
    static char *labels[PROXY_NAMES_MAX];
    static u32 count;
    for (u32 i = 0; i < count; i++)
        if (str_eq(str_skip(str_from_c(labels[i]), 8), name)) return labels[i];
    char *z = count < PROXY_NAMES_MAX ? memory_alloc(MEMORY_SERVICES, name.len + 9) : NULL;
    if (!z) return "gateway:other";
    memcpy(z, "gateway:", 8);
    memcpy(z + 8, name.ptr, name.len);
    z[8 + name.len] = 0;
    return labels[count++] = z;
}

static rc_t make_routes(struct gateway_table *t) {
    u32 n = t->edge.route_count;
    if (!(t->routes = arena_zero(&t->arena, (n + 1) * sizeof *t->routes))) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) {
        const struct edge_route *e = &t->edge.routes[i];
        struct gateway_route *g = &t->routes[i];
        const char *permission = arena_cstr(&t->arena, e->permission);
        if (!permission) return RC_NO_MEMORY;
        bool public = e->access == EDGE_PUBLIC;
        g->edge = e;
        g->table = t;
        g->route = (struct route){.pattern = label_of(e->name),
                                  .handle = proxy_handle,
                                  .access = public                    ? ACCESS_PUBLIC
                                            : e->access == EDGE_ADMIN ? ACCESS_ADMIN
                                                                      : ACCESS_USER,
                                  .permission = public ? NULL : permission,
                                  .summary = "A route to an upstream",
                                  .tag = "gateway"};
    }
    return RC_OK;
}

static void table_free(struct gateway_table *t) {
    for (u32 i = 0; t->pools && i < t->edge.upstream_count; i++)
        if (t->pools[i]) pool_close(t->pools[i], &t->edge.upstreams[i]);
    arena_close(&t->arena);
    memory_free(MEMORY_SERVICES, t);
}

static rc_t make_pools(struct gateway_table *t) {
    u32 n = t->edge.upstream_count;
    if (!(t->pools = arena_zero(&t->arena, (n + 1) * sizeof *t->pools))) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) {
        rc_t rc = pool_open(&t->edge.upstreams[i], &t->pools[i]);
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t table_make(str text, struct gateway_table **out, struct diag *why) {
    struct gateway_table *t = memory_zero(MEMORY_SERVICES, sizeof *t);
    *out = NULL;
    if (!t) return RC_NO_MEMORY;
    t->references = 1;
    t->since_ns = platform_clock_ns();
    arena_open(&t->arena, NULL, 0, EDGE_ARENA_MAX);
    str copy = arena_copy(&t->arena, text); /* views into the option would not outlive it */
    rc_t rc = copy.ptr ? edge_parse(&t->arena, copy, &t->edge, why) : RC_NO_MEMORY;
    if (!rc) rc = make_routes(t);
    if (!rc) rc = make_pools(t);
    if (rc)
        table_free(t);
    else
        *out = t;
    return rc;
}

static void on_change(void) {
    struct gateway_table *made, *old = now;
    struct diag why = {0};
    str text = config_text("gateway.routes");
    rc_t rc = text.len ? table_make(text, &made, &why) : RC_OK;
    if (!text.len) made = NULL;
    if (rc) {
        log_error("gateway", "the routes could not be loaded; those before stay in force",
                  "rc=%s why=%s", rc_name(rc), LOGSTR(str_from_c(why.text)));
        return;
    }
    now = made && made->edge.route_count ? made : NULL;
    if (made && !now) table_release(made);
    if (old) table_release(old);
    gateway_table_changed(now != NULL, now && now->edge.any_host);
    pool_health_follow();
    log_info("gateway", "routes in force", "routes=%u upstreams=%u",
             now ? now->edge.route_count : 0, now ? now->edge.upstream_count : 0);
}

rc_t table_start(void) {
    rc_t rc = config_on_change("gateway.routes", on_change);
    if (!rc) on_change();
    return rc;
}

void table_stop(void) {
    if (now) table_release(now);
    now = NULL;
    gateway_table_changed(false, false);
}

struct gateway_table *table_now(void) { return now; }
void table_hold(struct gateway_table *t) { t->references++; }
void table_release(struct gateway_table *t) {
    CHECK(t->references > 0);
    if (--t->references == 0) table_free(t);
}
