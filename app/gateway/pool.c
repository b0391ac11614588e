/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c — the servers of an upstream: whose turn it is, who rests, when all of them do.
 *
 *   target   well --N failures in a row--> resting (rest x how often, at most 5 min) --> well
 *            well --failed health checks--> ill --passed--> well
 *   breaker  closed --N in a row, or half of >= 20 in 10 s--> open (rest, doubling, at most 5 min)
 *            --> half open: PROBES requests one after the other, all well --> closed
 *
 * A target that rests is passed over while another is well. When none is, all are tried: refusing
 * everything because of what was seen a while ago is worse than asking (RFC 9110 has no word for
 * it; Envoy calls it panic). So the last host is never ejected.
 *
 * State goes by the names of upstream and URL and outlives tables: a change of routes does not
 * forget who is ill. Always true: `under_way` of a target counts what pool_take gave and pool_done
 * has not had back. Loop only, nothing parks. */
#include "app/gateway/pool_impl.h"
#include "app/json.h"
#include "app/metrics/metrics.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { REST_MAX_MS = 300000, WINDOW_MS = 10000, WINDOW_LEAST = 20, PROBES = 3 };
enum { BUDGET_LEAST = 3, BUDGET_PERCENT = 20 }; /* retries at once, of the requests under way */

struct pool *pools_first;

static u64 next_random(void) { /* which of two: no secret */
    static u64 s;
    if (!s) s = platform_clock_ns() | 1;
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    return s;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static struct pool_target *target_of(struct pool *p, str url, u32 weight) {
    for (struct pool_target *t = p->targets; t; t = t->next)
        if (str_eq(t->url, url)) {
            t->references++;
            t->weight = weight;
            return t;
        }
    struct pool_target *t = memory_zero(MEMORY_SERVICES, sizeof *t + url.len);
    if (!t) return NULL;
    memcpy(t->text, url.ptr, url.len);
    t->url = str_of(t->text, url.len);
    t->weight = weight;
    t->references = 1;
    t->next = p->targets;
    p->targets = t;
    p->breaker = BREAKER_CLOSED; /* what was seen of others says nothing of this one */
    p->opened = p->failures = p->window_all = p->window_failed = 0;
    return t;
}

static void target_release(struct pool *p, struct pool_target *t) {
    if (--t->references) return;
    struct pool_target **at = &p->targets;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    memory_free(MEMORY_SERVICES, t);
}

static struct pool *pool_find(str name) {
    for (struct pool *p = pools_first; p; p = p->next)
        if (str_eq(p->name, name)) return p;
    struct pool *p = memory_zero(MEMORY_SERVICES, sizeof *p + name.len);
    if (!p) return NULL;
    memcpy(p->text, name.ptr, name.len);
    p->name = str_of(p->text, name.len);
    p->next = pools_first;
    pools_first = p;
    return p;
}

static void pool_drop(struct pool *p) {
    struct pool **at = &pools_first;
    if (p->references || p->targets) return;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    memory_free(MEMORY_SERVICES, p);
}

rc_t pool_open(const struct edge_upstream *u, struct pool **out) {
    struct pool *p = pool_find(u->name);
    if (!p) return RC_NO_MEMORY;
    struct pool_view *v = memory_zero(MEMORY_SERVICES, sizeof *v);
    if (v) v->upstream = u, v->pool = p, v->next = p->views;
    p->references++;
    for (u32 i = 0; v && i < u->target_count; i++) {
        struct pool_target *t = target_of(p, u->targets[i].url, u->targets[i].weight);
        if (!t) break;
        v->targets[v->count++] = t;
    }
    if (!v || v->count < u->target_count) {
        for (u32 i = 0; v && i < v->count; i++) target_release(p, v->targets[i]);
        memory_free(MEMORY_SERVICES, v);
        p->references--;
        pool_drop(p);
        return RC_NO_MEMORY;
    }
    p->views = v;
    *out = p;
    return RC_OK;
}

/* The views of a pool are released oldest first or newest first, by whose table ends. */
void pool_close(struct pool *p, const struct edge_upstream *u) {
    struct pool_view **at = &p->views;
    while (*at && (*at)->upstream != u) at = &(*at)->next;
    CHECK(*at != NULL);
    struct pool_view *v = *at;
    *at = v->next;
    for (u32 i = 0; i < v->count; i++) target_release(p, v->targets[i]);
    memory_free(MEMORY_SERVICES, v);
    p->references--;
    pool_drop(p);
}

static struct pool_view *view_of(struct pool *p, const struct edge_upstream *u) {
    struct pool_view *v = p->views;
    while (v && v->upstream != u) v = v->next;
    CHECK(v != NULL);
    return v;
}

/* ---- The breaker ----------------------------------------------------------------------------- */

static void breaker_open(struct pool *p, const struct edge_upstream *u) {
    u64 rest_ms = MIN((u64)u->breaker_ms << MIN(p->opened, 8u), (u64)REST_MAX_MS);
    p->opened++;
    p->breaker = BREAKER_OPEN;
    p->open_until_ns = loop_now_ns() + rest_ms * NS_PER_MS;
    p->probing = p->probes_well = 0;
    metric_add(METRIC_GATEWAY_BREAKER_OPENED, 1);
    log_warn("gateway", "an upstream fails; its requests get 503 for a while",
             "upstream=%.*s ms=%llu", STR(p->name), (unsigned long long)rest_ms);
}

static rc_t breaker_ask(struct pool_pick *k, u32 *wait_s) {
    struct pool *p = k->pool;
    u64 now = loop_now_ns();
    k->probe = false;
    if (!k->upstream->breaker_failures || p->breaker == BREAKER_CLOSED) return RC_OK;
    if (p->breaker == BREAKER_OPEN && now < p->open_until_ns) {
        *wait_s = (u32)((p->open_until_ns - now + NS_PER_S - 1) / NS_PER_S);
        return RC_DENIED;
    }
    p->breaker = BREAKER_HALF_OPEN;
    *wait_s = 1;
    if (p->probing) return RC_DENIED; /* one at a time */
    p->probing++;
    k->probe = true;
    return RC_OK;
}

static void breaker_count(struct pool *p, bool failed) {
    u64 now = loop_now_ns();
    if (now - p->window_ns > WINDOW_MS * NS_PER_MS) {
        p->window_ns = now;
        p->window_all = p->window_failed = 0;
    }
    p->window_all++;
    p->window_failed += failed;
    p->failures = failed ? p->failures + 1 : 0;
}

static void breaker_note(struct pool_pick *k, enum pool_outcome outcome) {
    struct pool *p = k->pool;
    bool failed = outcome == POOL_FAILED;
    if (k->probe) {
        k->probe = false;
        if (p->probing) p->probing--;
        if (outcome == POOL_UNKNOWN || p->breaker != BREAKER_HALF_OPEN) return;
        if (failed) {
            breaker_open(p, k->upstream);
        } else if (++p->probes_well >= PROBES) {
            p->breaker = BREAKER_CLOSED;
            p->opened = p->failures = p->window_all = p->window_failed = 0;
            log_info("gateway", "an upstream is well again", "upstream=%.*s", STR(p->name));
        }
        return;
    }
    if (outcome == POOL_UNKNOWN || p->breaker != BREAKER_CLOSED) return;
    if (!k->upstream->breaker_failures) return;
    breaker_count(p, failed);
    if (!failed) return;
    bool many = p->window_all >= WINDOW_LEAST && p->window_failed * 2 >= p->window_all;
    if (p->failures >= k->upstream->breaker_failures || many) breaker_open(p, k->upstream);
}

/* ---- Whose turn ------------------------------------------------------------------------------ */

static bool resting(const struct pool_target *t) {
    return t->ill || loop_now_ns() < t->rest_until_ns;
}

struct choice { /* those that may be taken */
    u32 index[EDGE_TARGETS_MAX], count;
};

static bool choices(const struct pool_pick *k, const struct pool_view *v, bool any,
                    struct choice *c) {
    c->count = 0;
    for (u32 i = 0; i < v->count; i++) {
        if (k->tried & 1u << i || (!any && resting(v->targets[i]))) continue;
        if (v->targets[i]->under_way < k->upstream->requests_max) c->index[c->count++] = i;
    }
    return c->count > 0;
}

/* Smooth weighted round robin: each gains its weight, the richest pays for all. */
static u32 by_turn(struct pool_view *v, const struct choice *c) {
    s64 total = 0;
    u32 best = c->index[0];
    for (u32 i = 0; i < c->count; i++) {
        struct pool_target *t = v->targets[c->index[i]];
        t->credit += t->weight;
        total += t->weight;
        if (t->credit > v->targets[best]->credit) best = c->index[i];
    }
    v->targets[best]->credit -= total;
    return best;
}

/* Two at random, the one with less under way for its weight. */
static u32 by_load(struct pool_view *v, const struct choice *c) {
    u64 r = next_random();
    u32 a = c->index[(u32)r % c->count];
    u32 b = c->index[(u32)(r >> 32) % c->count];
    if (a == b) b = c->index[((u32)(r >> 32) + 1) % c->count];
    const struct pool_target *x = v->targets[a], *y = v->targets[b];
    return (u64)x->under_way * y->weight <= (u64)y->under_way * x->weight ? a : b;
}

static u64 mix(u64 h) {
    h ^= h >> 33, h *= 0xFF51AFD7ED558CCDull;
    h ^= h >> 33, h *= 0xC4CEB9FE1A85EC53ull;
    return h ^ h >> 33;
}

/* Rendezvous: the highest score of (key, target) has it, so that when one goes only its keys
 * move. The best of `weight` draws: a heavier one wins more often. */
static u32 by_hash(struct pool_view *v, const struct choice *c, u64 key) {
    u64 best_score = 0;
    u32 best = c->index[0];
    for (u32 i = 0; i < c->count; i++) {
        const struct pool_target *t = v->targets[c->index[i]];
        u64 base = str_hash(t->url, key), score = 0;
        for (u32 draw = 0; draw < MIN(t->weight, 64u); draw++)
            score = MAX(score, mix(base + draw * 0x9E3779B97F4A7C15ull));
        if (score < best_score) continue;
        best_score = score;
        best = c->index[i];
    }
    return best;
}

rc_t pool_take(struct pool_pick *k, u32 *target, u32 *wait_s) {
    struct pool_view *v = view_of(k->pool, k->upstream);
    struct choice c;
    *wait_s = 1;
    if (!k->tried) {
        rc_t rc = breaker_ask(k, wait_s);
        if (rc) return rc;
    }
    if (!choices(k, v, false, &c) && !choices(k, v, true, &c)) {
        bool all_tried = k->tried + 1 == 1ull << v->count;
        if (k->probe) breaker_note(k, POOL_UNKNOWN);
        return all_tried ? RC_NOT_FOUND : RC_LIMIT;
    }
    switch (k->upstream->balance) {
    case EDGE_ROUND_ROBIN: *target = by_turn(v, &c); break;
    case EDGE_LEAST_REQUEST: *target = by_load(v, &c); break;
    case EDGE_HASH: *target = by_hash(v, &c, k->hash); break;
    }
    k->tried |= 1u << *target;
    v->targets[*target]->under_way++;
    v->targets[*target]->requests++;
    k->pool->under_way++;
    return RC_OK;
}

/* ---- How it went ----------------------------------------------------------------------------- */

static u32 well_beside(const struct pool_view *v, const struct pool_target *t) {
    u32 n = 0;
    for (u32 i = 0; i < v->count; i++) n += v->targets[i] != t && !resting(v->targets[i]);
    return n;
}

static void target_failed(struct pool_view *v, struct pool_target *t) {
    const struct edge_upstream *u = v->upstream;
    t->failed++;
    if (!u->eject_failures || ++t->failures < u->eject_failures || resting(t)) return;
    if (!well_beside(v, t)) return; /* never the last one */
    t->rested = MIN(t->rested + 1, 1000u);
    u64 rest_ms = MIN((u64)u->eject_ms * t->rested, (u64)REST_MAX_MS);
    t->rest_until_ns = loop_now_ns() + rest_ms * NS_PER_MS;
    t->failures = 0;
    metric_add(METRIC_GATEWAY_EJECTED, 1);
    log_warn("gateway", "a server of an upstream fails; it rests",
             "upstream=%.*s server=%s ms=%llu", STR(v->pool->name), LOGSTR(t->url),
             (unsigned long long)rest_ms);
}

void pool_done(struct pool_pick *k, u32 target, enum pool_outcome outcome) {
    struct pool_view *v = view_of(k->pool, k->upstream);
    struct pool_target *t = v->targets[target];
    CHECK(t->under_way > 0 && k->pool->under_way > 0);
    t->under_way--;
    k->pool->under_way--;
    if (outcome == POOL_FAILED) {
        target_failed(v, t);
    } else if (outcome == POOL_ANSWERED) {
        t->failures = 0;
        if (t->rested && loop_now_ns() > t->rest_until_ns + REST_MAX_MS * NS_PER_MS) t->rested = 0;
    }
    breaker_note(k, outcome);
}

bool pool_may_retry(struct pool *p) {
    u64 now = loop_now_ns();
    if (p->breaker != BREAKER_CLOSED) return false;
    if (now - p->retry_ns > NS_PER_S) { /* a budget for each second */
        p->retry_ns = now;
        p->retries = 0;
        p->retry_base = p->under_way;
    }
    p->retry_base = MAX(p->retry_base, p->under_way);
    if (p->retries >= MAX((u32)BUDGET_LEAST, p->retry_base * BUDGET_PERCENT / 100)) return false;
    p->retries++;
    metric_add(METRIC_GATEWAY_RETRIES, 1);
    return true;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void write_target(struct json_writer *w, const struct pool_target *t) {
    u64 now = loop_now_ns();
    json_object(w, NULL);
    json_text(w, "url", t->url);
    json_text(w, "state", t->ill                     ? S("unhealthy")
                          : now < t->rest_until_ns ? S("resting")
                                                   : S("well"));
    json_int(w, "weight", t->weight);
    json_int(w, "under_way", t->under_way);
    json_int(w, "requests", (s64)t->requests);
    json_int(w, "failures", (s64)t->failed);
    u64 rest_ns = now < t->rest_until_ns ? t->rest_until_ns - now : 0;
    json_int(w, "rest_ms", (s64)(rest_ns / NS_PER_MS));
    if (t->checks) json_int(w, "health_checks", (s64)t->checks);
    if (t->said[0]) json_text(w, "last_check", str_from_c(t->said));
    json_object_end(w);
}

void pool_write(struct json_writer *w, const struct edge_upstream *u, struct pool *p) {
    static const char *const states[] = {"closed", "open", "half open"};
    struct pool_view *v = view_of(p, u);
    u64 now = loop_now_ns();
    bool open = p->breaker == BREAKER_OPEN && now < p->open_until_ns;
    json_object(w, NULL);
    json_text(w, "name", p->name);
    json_text(w, "breaker", str_from_c(states[p->breaker]));
    json_int(w, "breaker_ms", open ? (s64)((p->open_until_ns - now) / NS_PER_MS) : 0);
    json_int(w, "under_way", p->under_way);
    json_array(w, "targets");
    for (u32 i = 0; i < v->count; i++) write_target(w, v->targets[i]);
    json_array_end(w);
    json_object_end(w);
}
