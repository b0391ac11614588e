/* SPDX-License-Identifier: Apache-2.0 */
/* pool_health.c — servers behind us are asked whether they live: one short-lived fiber per check.
 *
 *   timer, every TICK_MS -> whose check is due? -> fiber: GET path, a 2xx or 3xx in time -> passes
 *                                                                                  else  -> fails
 *
 * `health_passes` in a row make an ill one well, `health_fails` make it ill. The times between
 * checks vary by a tenth, so that a hundred of them do not fall together. At most CHECKS_MAX run at
 * once: the rest waits for the next tick. Always true: a check holds its target and its view, which
 * the table may drop meanwhile; its result then counts for nobody. */
#include "app/gateway/pool_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { TICK_MS = 100, CHECKS_MAX = 8, ANSWER_MAX = 65536, ARENA_MAX = 262144 };

static struct timer tick;
static u32 running;
static bool stopped;

struct check {
    struct gateway_table *table; /* held: the upstream's settings are in it */
    u32 upstream, target;
};

static void judge(const struct edge_upstream *u, struct pool_target *t, bool well,
                  const char *said) {
    (void)!!str_to_c(str_take(str_from_c(well ? "" : said), sizeof t->said - 1), t->said,
                     sizeof t->said);
    t->checks++;
    t->passes = well ? t->passes + 1 : 0;
    t->fails = well ? 0 : t->fails + 1;
    if (well && t->ill && t->passes >= u->health_passes) {
        t->ill = false;
        t->failures = 0;
        t->rest_until_ns = 0;
        log_info("gateway", "a server is well again", "upstream=%.*s server=%s", STR(u->name),
                 LOGSTR(t->url));
    } else if (!well && !t->ill && t->fails >= u->health_fails) {
        t->ill = true;
        log_warn("gateway", "a server fails its health checks and gets no requests",
                 "upstream=%.*s server=%s why=%s", STR(u->name), LOGSTR(t->url),
                 LOGSTR(str_from_c(t->said)));
    }
}

static struct pool_target *target_in(struct gateway_table *table, u32 upstream, u32 target) {
    struct pool_view *v = table->pools[upstream]->views;
    while (v->upstream != &table->edge.upstreams[upstream]) v = v->next;
    return v->targets[target];
}

static void run_check(void *arg) {
    struct check *c = arg;
    const struct edge_upstream *u = &c->table->edge.upstreams[c->upstream];
    struct pool_target *t = target_in(c->table, c->upstream, c->target);
    struct http_client_trust trust = {
        .ca_pem = u->ca_pem, .server_name = u->server_name, .insecure = u->insecure};
    struct http_client_answer answer;
    struct arena a;
    struct diag why = {0};
    str body;
    arena_open(&a, NULL, 0, ARENA_MAX);
    struct http_client_request r = {.method = S("GET"),
                                    .url = arena_join(&a, t->url, u->health_path),
                                    .trust = &trust,
                                    .deadline_ns = platform_clock_ns() +
                                                   u->health_timeout_ms * NS_PER_MS};
    rc_t rc = http_client_fetch(&a, &r, ANSWER_MAX, &answer, &body, &why);
    bool well = !rc && answer.status >= 200 && answer.status < 400;
    if (!rc && !well) diag_set(&why, "it answered %d", answer.status);
    if (!stopped) judge(u, t, well, why.text);
    arena_close(&a);
    table_release(c->table);
    memory_free(MEMORY_SERVICES, c);
    running--;
}

/* A tenth more or less than the interval, by the clock's lowest bits. */
static u64 next_due(const struct edge_upstream *u, u64 now) {
    u64 ns = u->health_interval_ms * NS_PER_MS;
    return now + ns * 9 / 10 + platform_clock_ns() % (ns / 5 + 1);
}

static bool start_check(struct gateway_table *table, u32 upstream, u32 target) {
    struct fiber *f;
    struct check *c = running < CHECKS_MAX ? memory_zero(MEMORY_SERVICES, sizeof *c) : NULL;
    if (!c) return false;
    *c = (struct check){table, upstream, target};
    table_hold(table);
    running++;
    if (!fiber_start("health", run_check, c, &f)) return true;
    running--;
    table_release(table);
    memory_free(MEMORY_SERVICES, c);
    return false;
}

static void on_tick(void *arg) {
    struct gateway_table *table = table_now();
    u64 now = loop_now_ns();
    (void)arg;
    for (u32 i = 0; table && i < table->edge.upstream_count; i++) {
        const struct edge_upstream *u = &table->edge.upstreams[i];
        for (u32 k = 0; u->health_path.len && k < u->target_count; k++) {
            struct pool_target *t = target_in(table, i, k);
            if (now < t->next_check_ns) continue;
            if (start_check(table, i, k)) t->next_check_ns = next_due(u, now);
        }
    }
    pool_health_follow();
}

/* The timer runs only while somebody is to be asked: an idle machine sleeps. */
void pool_health_follow(void) {
    struct gateway_table *table = table_now();
    bool wanted = false;
    for (u32 i = 0; table && i < table->edge.upstream_count; i++)
        wanted |= table->edge.upstreams[i].health_path.len > 0;
    if (!tick.fn) timer_init(&tick, on_tick, NULL);
    if (wanted && !stopped)
        (void)timer_start_after_ms(&tick, TICK_MS);
    else
        timer_stop(&tick);
}

void pool_health_start(void) {
    stopped = false;
    pool_health_follow();
}
void pool_health_stop(void) {
    stopped = true;
    if (tick.fn) timer_stop(&tick);
}
