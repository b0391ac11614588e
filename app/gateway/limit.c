/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c — how many requests a client may make: GCRA, one time stamp per (rule, bucket, key).
 *
 *   T = window / quota      tat: when the client would have used up what it took, at the pace T
 *
 *        now         tat              now + burst * T
 *   ------|-----------|----------------------|------> a request moves tat by T; past the end: 429
 *
 * It is the leaky bucket without a timer and without a counter to reset: nothing bursts at the edge
 * of a window, and a key that has been quiet costs nothing, for its stamp lies in the past.
 *
 * All buckets of all rules of a request are asked before any is charged: refused calls cost
 * nothing.
 * Rules that count only some answers ("count_status") are charged first and given back when the
 * answer was another, so that parallel calls cannot slip past together.
 *
 * Memory: a table of sets of WAYS stamps that never grows. In a full set the stamp nearest to its
 * end goes: he who has used least is forgotten first. Always true: a key is in one set; requests
 * are counted on the loop alone, so the count is exact. RFC 6585 4; RateLimit fields as in
 * draft-ietf-httpapi-ratelimit-headers-10. */
#include "app/gateway/limit.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <stdio.h>

enum { WAYS = 8, CHARGES_MAX = 16, FIELD_MAX = 512 };

struct slot {
    u64 key, tat_ns;
};
static struct {
    struct slot *slots;
    u32 sets; /* a power of two */
    u64 seed;
} store;

struct charge { /* what one request costs in one bucket */
    u64 key, step_ns, room_ns, tat_ns;
    const struct edge_limit *rule;
    const struct edge_bucket *bucket;
    u32 number; /* of the bucket, from 1 */
};
struct bill {
    struct charge list[CHARGES_MAX];
    u32 count;
    const struct http_exchange *x;
};

/* ---- The stamps ------------------------------------------------------------------------------ */

static bool store_ready(void) {
    struct memory_use use;
    if (store.slots) return true;
    memory_use_get(MEMORY_SERVICES, &use);
    u32 sets = GATEWAY_LIMIT_SLOTS / WAYS;
    while (sets > 16 && sets * WAYS * sizeof(struct slot) > use.limit / 4) sets /= 2;
    if (!store.seed && platform_entropy(&store.seed, sizeof store.seed))
        store.seed = platform_clock_ns();
    store.slots = memory_zero(MEMORY_SERVICES, sets * WAYS * sizeof(struct slot));
    store.sets = store.slots ? sets : 0;
    return store.slots != NULL;
}

static struct slot *set_of(u64 key) { return &store.slots[(key & (store.sets - 1)) * WAYS]; }

static u64 tat_of(u64 key) {
    const struct slot *s = set_of(key);
    for (u32 i = 0; i < WAYS; i++)
        if (s[i].key == key) return s[i].tat_ns;
    return 0;
}

static void tat_set(u64 key, u64 tat_ns) {
    struct slot *s = set_of(key), *least = s;
    for (u32 i = 0; i < WAYS; i++) {
        if (s[i].key == key) {
            s[i].tat_ns = tat_ns;
            return;
        }
        if (s[i].tat_ns < least->tat_ns) least = &s[i];
    }
    *least = (struct slot){key, tat_ns};
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static str network_of(const struct net_address *a) {
    bool v4 = net_address_is_v4(a);
    return str_of((const char *)a->bytes, v4 ? 16 : 8); /* a /64 is one customer's */
}

static str key_of(const struct request *rq, enum edge_limit_key kind) {
    const struct actor *who = &rq->actor;
    switch (kind) {
    case EDGE_KEY_ROUTE: return str_from_c(rq->route->pattern);
    case EDGE_KEY_API_KEY:
        if (who->kind == ACTOR_KEY && who->session_id.len) return who->session_id;
        break;
    case EDGE_KEY_USER:
        if (who->user_id.len) return who->user_id;
        break;
    case EDGE_KEY_NETWORK: break;
    }
    return network_of(&rq->http->peer);
}

bool limit_wants_actor(const struct edge_limit *l) {
    return l->key == EDGE_KEY_USER || l->key == EDGE_KEY_API_KEY;
}

static void add_rule(const struct request *rq, const struct edge_limit *l, struct bill *b) {
    u64 who = str_hash(key_of(rq, l->key), str_hash(l->name, store.seed + l->key));
    for (u32 i = 0; i < l->bucket_count && b->count < CHARGES_MAX; i++) {
        const struct edge_bucket *k = &l->buckets[i];
        u64 step = k->window_ms * NS_PER_MS / k->quota;
        u64 shape = (k->window_ms << 20 ^ k->quota) * 0x9E3779B97F4A7C15ull;
        u64 key = (who ^ shape) | 1; /* 0: free */
        b->list[b->count++] = (struct charge){.key = key,
                                              .step_ns = step,
                                              .room_ns = step * k->burst,
                                              .tat_ns = tat_of(key),
                                              .rule = l,
                                              .bucket = k,
                                              .number = i + 1};
    }
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static void add_name(struct buf *to, const struct charge *c) {
    (void)!!buf_printf(to, "\"%.*s", STR(c->rule->name)); /* checked once, at the end */
    if (c->number > 1) (void)!!buf_printf(to, "-%u", c->number);
    (void)!!buf_add(to, S("\""));
}

static u64 left_of(const struct charge *c, u64 now) {
    u64 used = c->tat_ns > now ? c->tat_ns - now : 0;
    return used >= c->room_ns ? 0 : (c->room_ns - used) / c->step_ns;
}

/* The policies, and how it stands with the one that has least left. */
static void tell(struct request *rq, const struct bill *b, u64 now) {
    struct buf policy, state;
    const struct charge *least = &b->list[0];
    buf_open(&policy, FIELD_MAX);
    buf_open(&state, FIELD_MAX);
    for (u32 i = 0; i < b->count; i++) {
        const struct charge *c = &b->list[i];
        if (i) (void)!!buf_add(&policy, S(", "));
        add_name(&policy, c);
        (void)!!buf_printf(&policy, ";q=%u;w=%llu", c->bucket->quota,
                           (unsigned long long)(c->bucket->window_ms / 1000));
        if (left_of(c, now) < left_of(least, now)) least = c;
    }
    add_name(&state, least);
    u64 used = least->tat_ns > now ? least->tat_ns - now : 0;
    (void)!!buf_printf(&state, ";r=%llu;t=%llu", (unsigned long long)left_of(least, now),
                       (unsigned long long)((used + NS_PER_S - 1) / NS_PER_S));
    if (!policy.failed && !state.failed) {
        (void)!!http_answer_field(rq->x, S("RateLimit-Policy"), buf_str(&policy));
        (void)!!http_answer_field(rq->x, S("RateLimit"), buf_str(&state));
    }
    buf_close(&policy);
    buf_close(&state);
}

/* ---- Charging -------------------------------------------------------------------------------- */

static void give_back(void *arg) {
    const struct bill *b = arg;
    for (u32 i = 0; i < b->count; i++) {
        const struct edge_limit *l = b->list[i].rule;
        if (b->x->status >= l->status_from && b->x->status <= l->status_to) continue;
        u64 tat = tat_of(b->list[i].key);
        if (tat > b->list[i].step_ns) tat_set(b->list[i].key, tat - b->list[i].step_ns);
    }
}

/* What counts only some answers is settled when the request is over: its arena dies after the
 * answer, before the exchange. The rules live in the table, which the request holds longer. */
static rc_t settle_later(struct request *rq, const struct bill *b) {
    struct bill *later = NULL;
    for (u32 i = 0; i < b->count; i++) {
        if (!b->list[i].rule->only_failed) continue;
        if (!later && !(later = arena_zero(rq->arena, sizeof *later))) return RC_NO_MEMORY;
        later->x = rq->x;
        later->list[later->count++] = b->list[i];
    }
    return later ? arena_on_close(rq->arena, give_back, later) : RC_OK;
}

static rc_t refuse(struct request *rq, const struct bill *b, const struct charge *c, u64 now) {
    char text[24];
    u64 wait_ns = c->tat_ns + c->step_ns - c->room_ns - now;
    u64 wait_s = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)wait_s);
    metric_add(METRIC_GATEWAY_LIMITED, 1);
    tell(rq, b, now);
    (void)!!http_answer_field(rq->x, S("Retry-After"), str_of(text, (size_t)n));
    reply_problem(rq, 429, "too_many_requests",
                  "Too many requests for the limit \"%.*s\"; try again in %llu s.",
                  STR(c->rule->name), (unsigned long long)wait_s);
    return RC_LIMIT;
}

rc_t limit_charge(struct request *rq, const struct edge *e, const u32 *rules, u32 count,
                  bool with_actor) {
    struct bill b;
    b.count = 0;
    for (u32 i = 0; i < count; i++) {
        const struct edge_limit *l = &e->limits[rules[i]];
        if (limit_wants_actor(l) != with_actor) continue;
        if (!store_ready()) return RC_PASS; /* the load's own shedding takes over */
        add_rule(rq, l, &b);
    }
    if (!b.count) return RC_PASS;
    u64 now = platform_clock_ns();
    for (u32 i = 0; i < b.count; i++) {
        struct charge *c = &b.list[i];
        if (c->tat_ns < now) c->tat_ns = now;
        if (c->tat_ns + c->step_ns > now + c->room_ns) return refuse(rq, &b, c, now);
    }
    if (settle_later(rq, &b)) {
        reply_rc(rq, RC_NO_MEMORY, "Counting the request");
        return RC_NO_MEMORY;
    }
    for (u32 i = 0; i < b.count; i++) {
        b.list[i].tat_ns += b.list[i].step_ns;
        tat_set(b.list[i].key, b.list[i].tat_ns);
    }
    tell(rq, &b, now);
    return RC_OK;
}

void limit_forget(void) {
    memory_free(MEMORY_SERVICES, store.slots);
    store.slots = NULL;
    store.sets = 0;
}
