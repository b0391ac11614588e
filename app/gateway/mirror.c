/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.c — a copy of a request for an upstream that is to be watched under real traffic; its
 * answer is read and forgotten.
 *
 *   proxy.c: fields, target -> mirror_begin -> body so far -> mirror_send -> a fiber of its own
 *
 * The copy never costs the original anything but memory: it leaves after the original was sent, on
 * its own fiber, and when MIRRORS_MAX are under way, memory is short or the body does not fit into
 * one piece there is none. Always true: a mirror holds the table until it is done. */
#include "app/gateway/mirror.h"
#include "app/metrics/metrics.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { MIRRORS_MAX = 32, MIRROR_ARENA_MAX = 131072, MIRROR_ANSWER_MAX = 1048576 };

struct mirror {
    struct arena a;
    struct gateway_table *table;
    u32 upstream;
    str method, target, body;
    struct http_field *fields;
    u32 field_count;
};
static u32 under_way;

void mirror_drop(struct mirror *m) {
    if (!m) return;
    table_release(m->table);
    arena_close(&m->a);
    memory_free(MEMORY_REQUESTS, m);
    under_way--;
}

struct mirror *mirror_begin(const struct gateway_route *g, const struct http_client_pass *p) {
    bool fits = p->length >= 0 && p->length <= PROXY_PIECE && !p->upgrade.len;
    if (g->edge->mirror < 0 || !fits || under_way >= MIRRORS_MAX) return NULL;
    struct mirror *m = memory_zero(MEMORY_REQUESTS, sizeof *m);
    if (!m) return NULL;
    under_way++;
    arena_open(&m->a, NULL, 0, MIRROR_ARENA_MAX);
    table_hold(g->table);
    m->table = g->table;
    m->upstream = (u32)g->edge->mirror;
    m->method = arena_copy(&m->a, p->method);
    m->target = arena_copy(&m->a, p->target);
    m->fields = arena_alloc(&m->a, (p->field_count + 1) * sizeof *m->fields);
    bool copied = m->method.ptr && m->target.ptr && m->fields;
    for (u32 i = 0; copied && i < p->field_count; i++) {
        struct http_field *f = &m->fields[m->field_count++];
        *f = (struct http_field){arena_copy(&m->a, p->fields[i].name),
                                 arena_copy(&m->a, p->fields[i].value)};
        copied = f->name.ptr && f->value.ptr;
    }
    if (copied) return m;
    mirror_drop(m);
    return NULL;
}

/* false: it is gone. */
static bool add_body(struct mirror *m, str bytes) {
    m->body = arena_join(&m->a, m->body, bytes);
    return m->body.ptr != NULL && m->body.len <= PROXY_PIECE;
}
void mirror_body(struct mirror **m, str bytes) {
    if (!*m || add_body(*m, bytes)) return;
    mirror_drop(*m);
    *m = NULL;
}

static rc_t talk(struct mirror *m, struct http_client_pass *p, u64 answer_ms, struct diag *why) {
    struct http_client_call *c;
    struct http_client_answer answer;
    char piece[1024];
    size_t got = 1, all = 0;
    bool reused;
    rc_t rc = http_client_pass_open(p, &c, &reused, why);
    if (rc) return rc;
    rc = http_client_pass_write(c, m->body, why);
    if (!rc) rc = http_client_pass_end(c, why);
    u64 until = platform_clock_ns() + answer_ms * NS_PER_MS;
    do {
        if (!rc) rc = http_client_pass_answer(c, &m->a, until, &answer, why);
    } while (!rc && answer.status < 200);
    http_client_patience(c, until);
    while (!rc && got && all < MIRROR_ANSWER_MAX) {
        rc = http_client_pass_read(c, piece, sizeof piece, &got, why);
        all += got;
    }
    if (rc || got) http_client_pass_drop(c);
    else http_client_close(c);
    return rc;
}

static void run(void *arg) {
    struct mirror *m = arg;
    const struct edge_upstream *u = &m->table->edge.upstreams[m->upstream];
    struct pool_pick k = {.upstream = u, .pool = m->table->pools[m->upstream]};
    struct http_client_trust trust = {
        .ca_pem = u->ca_pem, .server_name = u->server_name, .insecure = u->insecure};
    struct diag why = {0};
    u32 target, wait_s;
    if (!pool_take(&k, &target, &wait_s)) {
        struct http_client_pass p = {.url = u->targets[target].url,
                                     .method = m->method,
                                     .target = m->target,
                                     .fields = m->fields,
                                     .field_count = m->field_count,
                                     .length = (s64)m->body.len,
                                     .trust = &trust,
                                     .connect_deadline_ns =
                                         platform_clock_ns() + u->connect_ms * NS_PER_MS,
                                     .stall_ms = u->answer_ms};
        rc_t rc = talk(m, &p, u->answer_ms, &why);
        pool_done(&k, target, rc ? POOL_FAILED : POOL_ANSWERED);
        metric_add(METRIC_GATEWAY_MIRRORED, 1);
    }
    mirror_drop(m);
}

void mirror_send(struct mirror *m) {
    struct fiber *f;
    if (m && fiber_start("mirror", run, m, &f)) mirror_drop(m);
}
